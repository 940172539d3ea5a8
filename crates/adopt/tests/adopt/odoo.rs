//! Odoo, on tables like its own (17 and later; PostgreSQL alone, as there).

use crate::shared::{codes, heard, made, may, noted};
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::source::System;
use charter_testkit::database::postgres;

const TABLES: &str = r#"
create table ir_model (id serial primary key, model varchar not null, name jsonb);
create table ir_model_data (id serial primary key, name varchar not null, module varchar not null, model varchar not null, res_id int, noupdate boolean);
create table res_partner (id serial primary key, name varchar, email varchar, active boolean);
create table res_users (id serial primary key, company_id int, partner_id int not null, active boolean default true, login varchar not null, password varchar, share boolean);
create table res_groups (id serial primary key, name jsonb not null, category_id int, share boolean, color int);
create table res_groups_implied_rel (gid int not null, hid int not null, primary key (gid, hid));
create table res_groups_users_rel (gid int not null, uid int not null, primary key (gid, uid));
create table ir_model_access (id serial primary key, name varchar not null, model_id int not null, group_id int, active boolean, perm_read boolean, perm_write boolean, perm_create boolean, perm_unlink boolean);
create table ir_rule (id serial primary key, name varchar, model_id int not null, active boolean, perm_read boolean, domain_force text, global boolean);
insert into ir_model (id, model) values (1, 'res.partner'), (2, 'sale.order'), (3, 'ir.ui.menu'), (4, 'secret.thing');
insert into res_partner (id, name) values (1, 'System'), (2, 'Mitchell Admin'), (3, 'Marc "Demo" 😀'), (4, 'Portal'), (5, 'Gone');
insert into res_users (id, partner_id, active, login, password, share) values
  (1, 1, false, '__system__', null, false), (2, 2, true, 'admin', '$pbkdf2-sha512$600000$abc$def', false),
  (3, 3, true, 'demo', null, false), (4, 4, true, 'portal', null, true), (5, 5, false, 'gone', null, false), (6, 5, null, 'unsaid', null, false);
insert into res_groups (id, name) values (1, '{"en_US": "User"}'), (2, '{"en_US": "User"}'), (3, '{"en_US": "Administrator"}'), (4, '{"en_US": "Portal"}');
insert into ir_model_data (name, module, model, res_id) values ('group_user', 'base', 'res.groups', 1), ('group_sale_salesman', 'sales_team', 'res.groups', 2),
  ('group_portal', 'base', 'res.groups', 4), ('group_sale_salesman', 'x', 'res.users', 3);
-- The administrators of sales are salesmen, who are users: two steps, and a ring.
insert into res_groups_implied_rel values (3, 2), (2, 1), (1, 3);
delete from res_groups_implied_rel where gid = 1;
insert into res_groups_users_rel values (3, 2), (2, 3), (4, 4), (3, 5), (3, 6), (77, 3);
insert into ir_model_access (name, model_id, group_id, active, perm_read, perm_write, perm_create, perm_unlink) values
  ('everybody', 3, null, true, true, false, false, false), ('users', 1, 1, true, true, true, false, false),
  ('sales', 2, 2, true, true, true, true, false), ('sales boss', 2, 3, true, true, true, true, true),
  ('off', 4, 1, false, true, true, true, true), ('unsaid', 4, 1, null, true, true, true, true), ('nothing', 4, 4, true, null, false, null, false);
insert into ir_rule (name, model_id, active, global) values ('own orders', 2, true, false), ('old', 2, false, true);
"#;

#[tokio::test]
async fn odoo_groups_imply_others_and_rows_without_a_group_are_for_everybody() {
    let database = postgres().await;
    made(&database, TABLES).await;
    let heard = heard(&database, System::Odoo).await;
    let may = may(&heard);
    let sales = "ir.ui.menu.read res.partner.read res.partner.write sale.order.read sale.order.write sale.order.create";
    assert_eq!(may["demo"], codes(sales));
    assert_eq!(may["admin"], codes(&format!("{sales} sale.order.unlink")));
    assert_eq!(may["portal"], codes("ir.ui.menu.read"));
    assert_eq!(may["gone"], codes(""), "who is not active may do nothing");
    assert_eq!(may["unsaid"], codes(""));
    assert_eq!(may["__system__"], codes(""), "nobody may sign in with it");
    let names: Vec<&str> = heard.facts.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "base.group_user",
            "sales_team.group_sale_salesman",
            "Administrator",
            "base.group_portal",
            "Everybody"
        ]
    );
    let demo = heard.facts.users.iter().find(|user| user.login == "demo").unwrap();
    assert_eq!(demo.name, "Marc \"Demo\" 😀");
    assert_eq!(
        noted(&heard, AnomalyKind::Condition),
        [("ir_rule 1".into(), "own orders (records of sale.order)".into())]
    );
    assert_eq!(
        noted(&heard, AnomalyKind::Orphan),
        [("res_groups_users_rel uid=3 gid=77".into(), "res_groups 77 is not there".into())]
    );
    assert_eq!(
        noted(&heard, AnomalyKind::MissingValue).len(),
        1,
        "{:?}",
        noted(&heard, AnomalyKind::MissingValue)
    );
    assert_eq!(heard.anomalies.count(AnomalyKind::InactiveWithRoles), 3);
}

#[tokio::test]
async fn the_system_account_of_older_versions_may_do_everything_where_it_signs_in() {
    let database = postgres().await;
    made(&database, TABLES).await;
    made(&database, "update res_users set active = true where id = 1").await;
    let heard = heard(&database, System::Odoo).await;
    assert_eq!(may(&heard)["__system__"].len(), heard.facts.permissions.len());
}
