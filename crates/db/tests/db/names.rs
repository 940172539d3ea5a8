//! A violated constraint has the same name on both engines.

use charter_db::{Error, Statement, Value};
use charter_testkit::{both_engines, database::TestDatabase};

use crate::{execute, schema};

const TABLES: &str = "create table owners (id $int not null primary key); \
    create table things (owner $int not null references owners (id), place $int not null, code text not null, \
    name text not null, alias text, amount $int not null constraint amount_is_positive check (amount > 0), \
    primary key (owner, place), unique (owner, code)); \
    create unique index things_by_name on things (owner, name) where amount > 0; \
    create unique index things_by_alias on things (owner, lower(alias)); \
    insert into owners values (1)";
const INSERT: Statement = Statement::new(
    "insert into things (owner, place, code, name, alias, amount) values ($1, $2, $3, $4, $5, $6)",
);

fn thing(owner: i64, place: i64, code: &str, name: Option<&str>, alias: &str, amount: i64) -> Vec<Value> {
    vec![owner.into(), place.into(), code.into(), name.into(), alias.into(), amount.into()]
}

both_engines!(unique_violations_name_the_index, async |database: TestDatabase| {
    schema(&database, TABLES).await;
    execute(&database, INSERT, thing(1, 1, "a", Some("a"), "A", 1)).await.unwrap();
    for (params, expected) in [
        (thing(1, 1, "b", Some("b"), "b", 1), "things_pkey"),
        (thing(1, 2, "a", Some("b"), "b", 1), "things_owner_code_key"),
        (thing(1, 2, "b", Some("a"), "b", 1), "things_by_name"),
        (thing(1, 2, "b", Some("b"), "a", 1), "things_by_alias"),
    ] {
        match execute(&database, INSERT, params).await {
            Err(Error::Unique { constraint }) => assert_eq!(constraint, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
});

both_engines!(other_violations_are_told_apart, async |database: TestDatabase| {
    schema(&database, TABLES).await;
    let foreign = execute(&database, INSERT, thing(2, 1, "a", Some("a"), "a", 1)).await;
    assert!(matches!(foreign, Err(Error::Foreign { .. })), "{foreign:?}");
    let check = execute(&database, INSERT, thing(1, 1, "a", Some("a"), "a", 0)).await;
    assert!(
        matches!(&check, Err(Error::Check { constraint }) if constraint == "amount_is_positive"),
        "{check:?}"
    );
    let null = execute(&database, INSERT, thing(1, 1, "a", None, "a", 1)).await;
    assert!(matches!(&null, Err(Error::Check { constraint }) if constraint == "name"), "{null:?}");
});
