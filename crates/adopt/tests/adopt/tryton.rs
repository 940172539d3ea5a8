//! Tryton: the real one makes its tables and says itself what everybody may do; and tables by hand, as older versions have them.

use crate::frameworks::{company, foreign_url};
use crate::shared::{codes, heard, made, may, noted, read};
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::source::System;
use charter_testkit::{both_engines, database::TestDatabase};
use std::collections::BTreeSet;

both_engines!(tryton_and_charter_agree_on_every_user_and_permission, async |database: TestDatabase| {
    let url = foreign_url(&database);
    let told = company("tryton_company.py", &url.0);
    let heard = read(&url.0, System::Tryton).await.unwrap();
    let texts = |value: &serde_json::Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let known: BTreeSet<String> = heard.facts.permissions.iter().cloned().collect();
    assert_eq!(known, texts(&told["permissions"]));
    // What stands in Tryton's code no reader sees: those models are named as not seen.
    let in_code = texts(&told["in_code"]);
    let is_seen = |code: &&String| code.rsplit_once('.').is_some_and(|(model, _)| !in_code.contains(model));
    let held = may(&heard);
    let told = told["users"].as_object().unwrap();
    assert_eq!(held.keys().collect::<BTreeSet<_>>(), told.keys().collect::<BTreeSet<_>>());
    let mut pairs = 0;
    for (login, codes) in told {
        let codes = texts(codes);
        let codes: BTreeSet<&String> = codes.iter().filter(is_seen).collect();
        assert_eq!(held[login].iter().filter(is_seen).collect::<BTreeSet<_>>(), codes, "{login}");
        pairs += codes.len();
    }
    assert!(pairs > 1_000, "{pairs}");
    let own = heard
        .facts
        .users
        .iter()
        .filter(|user| !heard.facts.permission_sets.members(user.permissions).is_empty());
    assert!(own.count() > 0, "somebody holds what is open to them by default");
    assert!(heard.anomalies.count(AnomalyKind::InactiveWithRoles) > 0);
});

/// Tables as 7.0 has them: rows name their model by its number.
const TABLES: &str = r#"
create table ir_model (id int primary key, model varchar not null, name varchar);
create table res_user (id int primary key, name varchar, login varchar not null, password_hash varchar, active boolean);
create table res_group (id int primary key, name varchar not null, active boolean, parent int);
create table "res_user-res_group" (id int primary key, "user" int not null, "group" int not null);
create table ir_model_access (id int primary key, model int not null, "group" int, active boolean, perm_read boolean, perm_write boolean, perm_create boolean, perm_delete boolean);
create table ir_rule_group (id int primary key, name varchar not null, model int not null, global_p boolean);
create table ir_model_field_access (id int primary key, model int, field int, active boolean);
insert into ir_model values (1, 'party.party', 'Party'), (2, 'sale.sale', 'Sale'), (3, 'open.thing', 'Open'), (4, 'half.thing', 'Half');
insert into res_user values (0, 'Root', 'root', null, false), (1, 'Administrator', 'admin', null, true), (2, 'Änn', 'ann', null, true), (3, 'Off', 'off', null, false),
  (4, 'Bob', 'bob', null, true);
insert into res_group values (1, 'Sales', true, 2), (2, 'Between', false, 3), (3, 'Parties', true, null), (4, 'Closed', false, null);
insert into "res_user-res_group" values (1, 2, 1), (2, 3, 1), (3, 4, 4), (4, 4, 99);
insert into ir_model_access values (1, 1, null, true, true, false, false, false), (2, 1, 3, true, true, true, false, false), (3, 2, null, true, false, false, false, false),
  (4, 2, 1, true, true, true, true, false), (5, 2, 2, true, true, true, true, true), (6, 4, 3, true, true, false, null, false), (7, 3, 1, false, false, false, false, false);
insert into ir_rule_group values (1, 'Own sales', 2, false);
insert into ir_model_field_access values (1, 1, 1, true), (2, 1, 2, false);
"#;

both_engines!(what_no_row_closes_is_open_and_groups_inherit, async |database: TestDatabase| {
    made(&database, TABLES).await;
    let heard = heard(&database, System::Tryton).await;
    let held = may(&heard);
    let open = "open.thing.read open.thing.write open.thing.create open.thing.delete party.party.read";
    assert_eq!(
        held["ann"],
        codes(&format!(
            "{open} party.party.write sale.sale.read sale.sale.write sale.sale.create half.thing.read"
        )),
        "a group that is not active gives nothing and passes on what those above it give"
    );
    let half = "half.thing.read half.thing.write half.thing.create half.thing.delete";
    assert_eq!(held["bob"], codes(&format!("{open} {half}")), "no row concerns bob");
    assert_eq!(held["admin"], codes(&format!("{open} {half}")));
    assert_eq!(held["off"], codes(""));
    assert_eq!(held["root"], codes(""));
    let conditions = noted(&heard, AnomalyKind::Condition);
    assert_eq!(conditions[0], ("ir_rule_group 1".into(), "Own sales (records of sale.sale)".into()));
    assert_eq!(conditions[1].0, "ir_model_field_access 1");
    assert_eq!(conditions.len(), 2);
    assert_eq!(
        noted(&heard, AnomalyKind::Orphan),
        [("res_user-res_group user=4 group=99".into(), "res_group 99 is not there".into())]
    );
});
