//! The registry of sealed columns: whole, and its statements run on both engines.

use charter_db::{Scope, Statement, Value};
use charter_store::sealed::{self, COLUMNS};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;

use crate::world::migrated;

const NAMES: Statement = Statement::forked(
    "select t.name, c.name from sqlite_schema t join pragma_table_info(t.name) c where t.type = 'table'",
    "select table_name::text, column_name::text from information_schema.columns where table_schema = current_schema()",
);

async fn columns(db: &TestDatabase) -> Vec<(String, String)> {
    let rows = db.query(Scope::Installation, &NAMES, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0).unwrap(), row.get(1).unwrap())).collect()
}

// Who adds a sealed column adds a line to `store/src/sealed.rs`: without it a rotation would leave its values behind.
both_engines!(every_sealed_column_stands_in_the_registry, async |db: TestDatabase| {
    migrated(&db).await;
    let there = columns(&db).await;
    assert!(there.len() > 200);
    for (table, column) in there.iter().filter(|(_, column)| column.starts_with("sealed_")) {
        let is_known = COLUMNS.iter().any(|it| it.table == table && it.column == column);
        assert!(
            is_known,
            "{table}.{column} is sealed and stands in no line of COLUMNS in store/src/sealed.rs"
        );
    }
    for it in COLUMNS {
        let named = it.keys.iter().map(|key| key.column()).chain([it.column]);
        for column in named.chain(it.index.map(|index| index.column)) {
            let is_there = there.iter().any(|(table, name)| table == it.table && name == column);
            assert!(is_there, "{}.{column} is no column", it.table);
        }
        for part in it.bound_to.split('{').skip(1) {
            let name = part.split(['}', ':']).next().unwrap();
            assert!(it.keys.iter().any(|key| key.column() == name), "{}: {name} is no key", it.bound_to);
        }
    }
});

// Whoever looks for what is lost with a key finds every column in the operator's book.
#[test]
fn the_guide_names_every_sealed_column() {
    let guide = include_str!("../../../../docs/guide/vault.md");
    for it in COLUMNS {
        let name = format!("`{}.{}`", it.table, it.column);
        assert!(guide.contains(&name), "docs/guide/vault.md does not name {name}");
    }
}

// A page of each column, by its primary key and by nothing else.
both_engines!(every_sealed_column_can_be_walked, async |db: TestDatabase| {
    migrated(&db).await;
    for (at, column) in COLUMNS.iter().enumerate() {
        let after: Vec<Value> = column
            .keys
            .iter()
            .map(|key| match key {
                sealed::Key::Id(_) => Value::Id(1),
                sealed::Key::Text(_) => Value::from("a"),
                sealed::Key::Int(_) => Value::Int(1),
            })
            .collect();
        let row = sealed::SealedRow { keys: after.clone(), value: vec![1], index: Some(vec![2]) };
        crate::write!(db, tx => async {
            assert_eq!(sealed::count(tx, at, 2).await?, []);
            assert_eq!(sealed::page(tx, at, &[2, 0, 0, 0, 1], None, 10).await?, []);
            assert_eq!(sealed::page(tx, at, &[], Some(&after), 10).await?, []);
            assert!(!sealed::replace(tx, at, &row, &[3]).await?);
            assert!(!sealed::replace_index(tx, at, &row, &[3]).await?);
            Ok(())
        })
        .unwrap();
    }
    let id = Value::Id(0x0193_e7a0_0000_7000_8000_0000_0000_0001);
    let row = sealed::SealedRow { keys: vec![Value::Id(1), id.clone()], value: Vec::new(), index: None };
    assert_eq!(COLUMNS[1].bound_to(&row), "webhook 0193e7a0-0000-7000-8000-000000000001");
    let row = sealed::SealedRow { keys: vec![id], value: Vec::new(), index: None };
    assert_eq!(COLUMNS[4].bound_to(&row), "password reset 0193e7a0000070008000000000000001");
});
