//! Sums of another system's tables: the same rows give the same sum however they lie, and any other byte gives another.

use charter_adopt::fingerprint::Fingerprint;
use charter_adopt::sums::{TableSum, legacy_checksums, name_of};
use charter_db::foreign::Foreign;
use charter_db::{Database, Engine, Error, Scope};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use std::collections::BTreeMap;

async fn run(database: &TestDatabase, text: &'static str) {
    let work = database.write::<_, _, Error>(Scope::Installation, move |tx| Box::pin(tx.batch(text)));
    work.await.unwrap();
}

async fn sums(database: &TestDatabase) -> BTreeMap<String, TableSum> {
    let mut foreign = Foreign::open(&database.options().url).await.unwrap();
    let tables = foreign.tables().await.unwrap();
    legacy_checksums(&mut foreign, &tables).await.unwrap()
}

both_engines!(sums_tell_every_other_byte_and_not_how_rows_lie, async |database: TestDatabase| {
    run(
        &database,
        "create table users (tenant varchar(9), id int, password text, seen timestamp, primary key (tenant, id));
         create table links (a int, b text);
         insert into users values ('b', 1, 'pbkdf2$x', '2026-01-02 03:04:05'), ('a', 10, null, null), ('a', 9, '', null);
         insert into links values (2, 'é'), (1, null), (1, 'x')",
    )
    .await;
    let before = sums(&database).await;
    let schema = if Database::engine(&database) == Engine::Postgres { "public." } else { "" };
    let (users, links) = (format!("{schema}users"), format!("{schema}links"));
    assert_eq!(before.keys().collect::<Vec<_>>(), [&links, &users]);
    assert_eq!((before[&users].rows, before[&links].rows), (3, 3));
    assert_ne!(before[&users].sha256, before[&links].sha256);

    // The same rows, put down in another order.
    run(
        &database,
        "delete from links; insert into links values (1, 'x'), (2, 'é'), (1, null);
         delete from users where id = 1; insert into users values ('b', 1, 'pbkdf2$x', '2026-01-02 03:04:05')",
    )
    .await;
    assert_eq!(sums(&database).await, before);

    for change in [
        "update users set password = 'pbkdf2$X' where id = 1",
        "update users set password = null where id = 9",
        "update links set b = 'e\u{301}' where a = 2",
        "insert into links values (1, 'x')",
        "alter table links add column c int",
    ] {
        let earlier = sums(&database).await;
        run(&database, change).await;
        assert_ne!(sums(&database).await, earlier, "{change}");
    }
});

both_engines!(rows_are_summed_in_the_order_of_their_numbers, async |database: TestDatabase| {
    run(&database, "create table numbers (id int primary key); insert into numbers values (10), (9), (-1)")
        .await;
    let mut expected = Fingerprint::default();
    expected.row("columns", &[Some("id")]);
    for id in ["-1", "9", "10"] {
        expected.row("row", &[Some(id)]);
    }
    let told = sums(&database).await.into_values().map(|sum| sum.sha256).collect::<Vec<_>>();
    assert_eq!(told, [expected.words()]);
});

#[tokio::test]
async fn values_of_another_kind_and_bytes_that_are_no_text_count() {
    let database = charter_testkit::database::sqlite().await;
    run(
        &database,
        "create table odd (id integer primary key, held); insert into odd values (1, 1), (2, x'ff00')",
    )
    .await;
    let one = sums(&database).await;
    run(&database, "update odd set held = '1' where id = 1").await;
    let two = sums(&database).await;
    run(&database, "update odd set held = x'fe00' where id = 2").await;
    let three = sums(&database).await;
    assert!(one != two && two != three);
    let mut foreign = Foreign::open(&database.options().url).await.unwrap();
    assert_eq!(foreign.tables().await.unwrap().iter().map(name_of).collect::<Vec<_>>(), ["odd"]);
}
