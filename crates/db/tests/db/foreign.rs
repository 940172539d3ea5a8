//! Databases of other systems are looked at and never written.

use charter_db::foreign::{Foreign, quoted};
use charter_db::{Database, Error, Statement};
use charter_testkit::{both_engines, database::TestDatabase};

use crate::{execute, schema};

const TABLE: &str = "create table \"Odd \"\"Users\"\"\" (id $int not null primary key, is_active $bool, \"Role\" varchar(30), note $json)";

async fn all(foreign: &mut Foreign, text: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
    let mut found = Vec::new();
    let mut each = |row: charter_db::foreign::ForeignRow<'_>| {
        found.push(row.iter().map(|cell| cell.map(str::to_owned)).collect());
        Ok(())
    };
    foreign.for_each(text, &mut each).await?;
    Ok(found)
}

both_engines!(a_look_sees_one_state_as_texts_and_never_writes, async |database: TestDatabase| {
    const INSERT: Statement = Statement::new(
        "insert into \"Odd \"\"Users\"\"\" (id, is_active, \"Role\", note) values ($1, $2, $3, $4)",
    );
    schema(&database, TABLE).await;
    let row = |id: i64| {
        vec![id.into(), true.into(), "bookkéeper".into(), charter_db::Json("{\"a\": 1}".to_owned()).into()]
    };
    execute(&database, INSERT, row(1)).await.unwrap();
    execute(
        &database,
        INSERT,
        vec![2.into(), charter_db::Value::Null, charter_db::Value::Null, charter_db::Value::Null],
    )
    .await
    .unwrap();
    let mut foreign = Foreign::open(&database.options().url).await.unwrap();
    assert_eq!(foreign.engine(), Database::engine(&database));
    let tables = foreign.tables().await.unwrap();
    let table = tables.iter().find(|table| table.name == "Odd \"Users\"").unwrap();
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["id", "is_active", "Role", "note"]);
    assert!(table.is_readable);
    assert_eq!(table.column("ROLE").unwrap().name, "Role");
    let list: Vec<String> = columns.iter().map(|name| foreign.text_of(name).unwrap()).collect();
    let text = format!("select {} from {} order by id", list.join(", "), table.quoted().unwrap());
    // What is written after the look began is not seen.
    execute(&database, INSERT, row(3)).await.unwrap();
    let rows = all(&mut foreign, &text).await.unwrap();
    assert_eq!(rows.len(), 2);
    let first: Vec<&str> = rows[0].iter().map(|cell| cell.as_deref().unwrap()).collect();
    assert_eq!((first[0], first[2], first[3]), ("1", "bookkéeper", "{\"a\": 1}"));
    assert!(["1", "true"].contains(&first[1]));
    assert_eq!(rows[1][1..], [None, None, None]);
    let sneaky = format!("delete from {} returning '1'", table.quoted().unwrap());
    let refused = all(&mut foreign, &sneaky).await;
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
});

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_not_waited_for() {
    // The system takes connections for a listener that never does.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = Foreign::open(&format!("postgres://erp@127.0.0.1:{port}/erp?connect_timeout=1")).await;
    let Err(error) = silent else { panic!("nobody let us in") };
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("did not let us in within 1 seconds: see whether"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent.sqlite");
    let refused = Foreign::open(&format!("sqlite:{}", path.display())).await;
    assert!(matches!(refused, Err(Error::Config(_))));
    assert!(!path.exists());
    assert!(matches!(Foreign::open("mysql://x").await, Err(Error::Config(_))));
    std::fs::write(
        &path,
        "no database at all, but longer than a header of one would have to be, by some way",
    )
    .unwrap();
    let refused = Foreign::open(&format!("sqlite:{}", path.display())).await;
    assert!(matches!(refused, Err(Error::Corrupt(_))), "{:?}", refused.err());
}

#[test]
fn names_cannot_end_their_quotes() {
    assert_eq!(quoted("a\"; drop table b; --").unwrap(), "\"a\"\"; drop table b; --\"");
    assert!(quoted("").is_err());
    assert!(quoted("a\0b").is_err());
}

#[tokio::test]
async fn a_file_without_a_log_is_written_by_its_program_while_it_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("erp.sqlite");
    let program = rusqlite::Connection::open(&path).unwrap();
    program.busy_timeout(std::time::Duration::ZERO).unwrap();
    program.execute_batch("create table users (id int primary key); insert into users values (1)").unwrap();
    program
        .execute_batch("create table files (bytes blob); insert into files values (zeroblob(100))")
        .unwrap();
    let mut foreign = Foreign::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let users: Vec<_> =
        foreign.tables().await.unwrap().into_iter().filter(|table| table.name == "users").collect();
    assert!(
        program.execute_batch("insert into users values (3)").is_err(),
        "while it is not known what is read"
    );
    foreign.hold_no_longer(&users).await.unwrap();
    let one = vec![vec![Some("1".to_owned())]];
    assert_eq!(all(&mut foreign, "select id from users").await.unwrap(), one);
    program.execute_batch("insert into users values (2)").unwrap();
    assert_eq!(all(&mut foreign, "select id from users").await.unwrap(), one, "it is still one state");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(left, [path], "a copy has no name");
    assert_eq!(foreign.order_of(&users[0]).await.unwrap(), "t.\"id\"");
    assert!(all(&mut foreign, "select bytes from files").await.is_err(), "what is not read is not copied");
}

/// Every file of a folder, byte for byte.
fn files(folder: &std::path::Path) -> std::collections::BTreeMap<std::ffi::OsString, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect()
}

#[tokio::test]
async fn a_file_whose_program_does_not_run_is_read_with_its_log_and_nothing_is_left_beside_it() {
    // A log of the reader's own stayed there, which the program could not write when it ran as somebody else.
    let database = charter_testkit::database::sqlite().await;
    const INSERT: Statement = Statement::new("insert into toys (id) values ($1)");
    schema(&database, "create table toys (id $int not null primary key)").await;
    execute(&database, INSERT, vec![1.into()]).await.unwrap();
    let path = database.options().url.strip_prefix("sqlite://").unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("toys.db");
    // As it stands after a power cut, with rows that are in the log alone; then as its program leaves it.
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(format!("{path}-wal"), folder.path().join("toys.db-wal")).unwrap();
    for _ in 0..2 {
        let before = files(folder.path());
        let url = format!("sqlite://{}", copy.display());
        let mut foreign = Foreign::open(&url).await.unwrap();
        assert_eq!(all(&mut foreign, "select id from toys").await.unwrap(), [[Some("1".to_owned())]]);
        assert_eq!(files(folder.path()), before);
        drop(foreign);
        assert_eq!(files(folder.path()), before);
        let own = Database::open(&charter_db::Options::new(url)).await.unwrap();
        own.close().await.unwrap();
        let _ = std::fs::remove_file(folder.path().join("toys.db.lock"));
        assert_eq!(files(folder.path()).len(), 1, "its own program takes its log away");
    }
}
