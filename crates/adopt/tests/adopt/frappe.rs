//! Frappe, on tables like its own (15; PostgreSQL, which is one of its engines).

use crate::shared::{codes, heard, made, may, noted};
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::source::System;
use charter_testkit::{both_engines, database::TestDatabase};

const TABLES: &str = r#"
create table "tabDocType" ("name" varchar(255) primary key, "istable" smallint not null default 0, "is_submittable" smallint not null default 0, "allow_import" smallint not null default 0);
create table "tabRole" ("name" varchar(140) primary key, "disabled" smallint not null default 0);
create table "tabUser" ("name" varchar(140) primary key, "enabled" smallint not null default 1, "full_name" varchar(140), "user_type" varchar(140));
create table "tabHas Role" ("name" varchar(140) primary key, "parent" varchar(140), "parentfield" varchar(140), "parenttype" varchar(140), "role" varchar(140));
create table "tabDocPerm" ("name" varchar(255) primary key, "docstatus" smallint not null default 0, "parent" varchar(255), "parentfield" varchar(255), "parenttype" varchar(255),
  "permlevel" bigint default '0', "role" varchar(255), "if_owner" smallint not null default 0, "read" smallint not null default 1, "write" smallint not null default 0,
  "create" smallint not null default 0, "submit" smallint not null default 0, "delete" smallint not null default 0, "import" smallint not null default 0);
create table "tabCustom DocPerm" ("name" varchar(140) primary key, "docstatus" smallint not null default 0, "parent" varchar(140), "permlevel" bigint default '0', "role" varchar(140),
  "if_owner" smallint not null default 0, "read" smallint not null default 1, "write" smallint not null default 0, "create" smallint not null default 0,
  "submit" smallint not null default 0, "delete" smallint not null default 0);
create table "tabUser Permission" ("name" varchar(140) primary key, "user" varchar(140), "allow" varchar(140), "for_value" varchar(140));
create table "tabDocShare" ("name" varchar(140) primary key, "user" varchar(140), "share_doctype" varchar(140), "share_name" varchar(140), "everyone" smallint);
create table "__Auth" ("doctype" varchar(140) not null, "name" varchar(255) not null, "fieldname" varchar(140) not null, "password" text not null, "encrypted" int not null default 0);
insert into "tabDocType" values ('Sales Invoice', 0, 1, 1), ('ToDo', 0, 0, 0), ('Note', 0, 0, 0), ('Sales Invoice Item', 1, 0, 0), ('Page', 0, 0, 0), ('DocType', 0, 0, 0);
insert into "tabRole" values ('All', 0), ('Guest', 0), ('Desk User', 0), ('Administrator', 0), ('Accounts User', 0), ('Old', 1), ('System Manager', 0);
insert into "tabUser" values ('Administrator', 1, 'Administrator', 'System User'), ('Guest', 1, 'Guest', 'Website User'), ('ann@toys.example', 1, 'Ann', 'System User'),
  ('web@toys.example', 1, 'Web', 'Website User'), ('off@toys.example', 0, 'Off', 'System User');
insert into "tabHas Role" values ('1', 'ann@toys.example', 'roles', 'User', 'Accounts User'), ('2', 'web@toys.example', 'roles', 'Page', 'Accounts User'),
  ('3', 'off@toys.example', 'roles', 'User', 'Accounts User'), ('4', 'ann@toys.example', 'roles', 'User', 'Old'), ('5', 'web@toys.example', 'roles', 'User', 'Desk User'),
  ('6', 'gone@toys.example', 'roles', 'User', 'Accounts User'), ('7', 'ann@toys.example', 'roles', 'User', 'Nowhere'), ('8', 'a page', 'roles', 'Page', 'Accounts User');
insert into "tabDocPerm" ("name", "parent", "parenttype", "permlevel", "role", "if_owner", "read", "write", "create", "submit", "delete", "import") values
  ('a', 'Sales Invoice', 'DocType', 0, 'Accounts User', 0, 1, 1, 1, 1, 0, 1),
  ('b', 'Sales Invoice', 'DocType', 1, 'Accounts User', 0, 1, 1, 1, 1, 1, 1),
  ('c', 'ToDo', 'DocType', 0, 'All', 1, 1, 1, 1, 1, 1, 1),
  ('d', 'Note', 'DocType', 0, 'Accounts User', 0, 1, 1, 1, 1, 1, 1),
  ('e', 'Sales Invoice Item', 'DocType', 0, 'All', 0, 1, 1, 1, 1, 1, 1),
  ('f', 'Page', 'DocType', 0, 'Desk User', 0, 1, 0, 0, 0, 0, 0),
  ('g', 'Page', 'Something', 0, 'All', 0, 1, 1, 1, 1, 1, 1),
  ('h', 'Page', 'DocType', 0, 'Guest', 0, 0, 0, 0, 0, 0, 0),
  ('i', 'DocType', 'DocType', 0, 'Old', 0, 1, 0, 0, 0, 0, 0),
  ('j', 'DocType', 'DocType', 0, 'System Manager', 0, 1, 1, 1, 1, 1, 1);
-- Notes have one row of the project's own, so that no standard row of theirs counts; types of the core keep theirs.
insert into "tabCustom DocPerm" ("name", "parent", "role", "read", "write") values ('x', 'Note', 'Desk User', 1, 0), ('y', 'DocType', 'All', 1, 1);
insert into "tabUser Permission" values ('up1', 'ann@toys.example', 'Company', 'Toys "Ltd" 😀');
insert into "tabDocShare" values ('s1', 'web@toys.example', 'Note', 'N-1', 0), ('s2', null, 'Note', 'N-2', 1);
insert into "__Auth" values ('User', 'ann@toys.example', 'password', '$pbkdf2-sha256$29000$abc$def', 0), ('User', 'ann@toys.example', 'api_secret', 'sealed', 1);
"#;

both_engines!(own_rows_replace_standard_ones_and_implicit_roles_are_held, async |database: TestDatabase| {
    made(&database, TABLES).await;
    let heard = heard(&database, System::Frappe).await;
    let held = may(&heard);
    let todo = "ToDo.read_if_owner ToDo.write_if_owner ToDo.create ToDo.delete_if_owner";
    let set = |all: &[&str]| -> std::collections::BTreeSet<String> {
        codes(todo).into_iter().chain(all.iter().map(|it| (*it).to_owned())).collect()
    };
    assert_eq!(
        held["ann@toys.example"],
        set(&[
            "Sales Invoice.read",
            "Sales Invoice.write",
            "Sales Invoice.create",
            "Sales Invoice.submit",
            "Sales Invoice.import",
            "Note.read",
            "Page.read",
            "DocType.read",
        ])
    );
    assert_eq!(held["web@toys.example"], set(&[]), "roles of pages and automatic ones are held by no row");
    assert_eq!(held["off@toys.example"], codes(""));
    assert_eq!(held["Administrator"].len(), heard.facts.permissions.len());
    assert!(!held.contains_key("Guest"));
    assert_eq!(
        noted(&heard, AnomalyKind::Orphan),
        [
            (
                "tabHas Role parent=ann@toys.example role=Nowhere".into(),
                "tabRole Nowhere is not there".into()
            ),
            (
                "tabHas Role parent=gone@toys.example role=Accounts User".into(),
                "tabUser gone@toys.example is not there".into()
            ),
        ]
    );
    let conditions = noted(&heard, AnomalyKind::Condition);
    assert_eq!(conditions.len(), 3, "{conditions:?}");
    assert_eq!(conditions[0].1, "user ann@toys.example sees only this Company: Toys \"Ltd\" 😀");
    assert_eq!(conditions[2].1, "user everybody was shown this Note: N-2");
});
