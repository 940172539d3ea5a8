//! What only a file can suffer: a full disk, a second process, damage.

use std::{fs, time::Duration};

use charter_db::{Database, Error, Options, Statement, Value};
use charter_testkit::database;

use crate::{INSTALLATION, count, execute, schema};

const INSERT: Statement = Statement::new("insert into blobs (place, content) values ($1, $2)");
const COUNT: Statement = Statement::new("select count(*) from blobs");

#[tokio::test]
async fn a_full_disk_is_told_and_what_was_written_stays() {
    let file = database::sqlite().await;
    schema(&file, "create table blobs (place integer not null primary key, content blob not null)").await;
    let options = Options { max_pages: Some(100), ..file.options().clone() };
    drop_and_open(file, options, async |database| {
        let mut written = 0;
        let full = loop {
            match execute(&database, INSERT, vec![written.into(), Value::Bytes(vec![7; 8000])]).await {
                Ok(_) => written += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, Error::Full(_)), "{full:?}");
        assert!(full.is_outage() && written > 10);
        assert_eq!(count(&database, &COUNT).await, written);
        // A batch in which one write does not fit: nobody is told that he succeeded unless he did.
        let writes = (0..50).map(|place| {
            let size = if place % 10 == 9 { 1 << 20 } else { 10 };
            execute(&database, INSERT, vec![(1000 + place).into(), Value::Bytes(vec![7; size])])
        });
        let outcomes = futures_util::future::join_all(writes).await;
        let told = i64::try_from(outcomes.iter().filter(|outcome| outcome.is_ok()).count()).unwrap();
        assert!(
            outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Full(_)))),
            "{outcomes:?}"
        );
        assert_eq!(count(&database, &COUNT).await, written + told);
        const MAKE_ROOM: Statement = Statement::new("delete from blobs");
        execute(&database, MAKE_ROOM, vec![]).await.unwrap();
        execute(&database, INSERT, vec![1.into(), Value::Bytes(vec![7; 8000])]).await.unwrap();
        assert_eq!(count(&database, &COUNT).await, 1);
    })
    .await;
}

/// Opens the same file with other options.
async fn drop_and_open(file: database::TestDatabase, options: Options, story: impl AsyncFnOnce(Database)) {
    file.close().await.unwrap();
    story(Database::open(&options).await.unwrap()).await;
}

#[tokio::test]
async fn a_file_is_read_beside_its_writer_and_takes_no_write_then() {
    let first = database::sqlite().await;
    schema(&first, "create table blobs (place integer not null primary key, content blob not null)").await;
    let beside = Database::open_to_read(first.options()).await.unwrap();
    execute(&first, INSERT, vec![1.into(), Value::Bytes(vec![7])]).await.unwrap();
    assert_eq!(count(&beside, &COUNT).await, 1, "what was written since is seen");
    assert!(execute(&beside, INSERT, vec![2.into(), Value::Bytes(vec![7])]).await.is_err());
    beside.close().await.unwrap();
    execute(&first, INSERT, vec![2.into(), Value::Bytes(vec![7])]).await.unwrap();
    assert_eq!(count(&first, &COUNT).await, 2);
    let nowhere = Options { url: "sqlite:nowhere.db".to_owned(), ..first.options().clone() };
    assert!(Database::open_to_read(&nowhere).await.is_err());
    assert!(!fs::exists("nowhere.db").unwrap(), "looking makes no file");
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_the_file() {
    let first = database::sqlite().await;
    let second = Database::open(first.options()).await.err().unwrap();
    assert!(matches!(second, Error::Busy(_)));
    assert!(second.to_string().contains(&format!("process {}", std::process::id())), "{second}");
    first.close().await.unwrap();
    Database::open(first.options()).await.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn a_database_has_one_writer_by_whatever_name_it_is_opened() {
    use std::os::unix::fs::symlink;
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("real")).unwrap();
    symlink(at("real"), at("folder")).unwrap();
    symlink(at("real/charter.db"), at("file.db")).unwrap();
    symlink("file.db", at("again.db")).unwrap();
    let options = |name: &str| Options::new(format!("sqlite://{}", at(name).display()));
    let names = ["real/charter.db", "folder/charter.db", "file.db", "again.db", "folder/../real/charter.db"];
    // The file is not there yet: its folder is.
    let first = Database::open(&options("folder/charter.db")).await.unwrap();
    for name in names {
        let second =
            Database::open(&options(name)).await.err().unwrap_or_else(|| panic!("{name}: a second writer"));
        assert!(matches!(second, Error::Busy(_)), "{name}: {second:?}");
        assert_eq!(Database::holder(&options(name)), Some(std::process::id()), "{name}");
    }
    first.close().await.unwrap();
    let first = Database::open(&options("again.db")).await.unwrap();
    for name in names {
        assert!(matches!(Database::open(&options(name)).await.err(), Some(Error::Busy(_))), "{name}");
    }
    first.close().await.unwrap();
    let mut found: Vec<_> = fs::read_dir(place.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, ["again.db", "file.db", "folder", "real"], "what belongs to it lies beside it");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.db");
    fs::write(&path, "Dear Sir or Madam, ".repeat(1000)).unwrap();
    let refused = Database::open(&Options::new(format!("sqlite://{}", path.display()))).await.err().unwrap();
    assert!(matches!(refused, Error::Corrupt(_)), "{refused:?}");
    let nowhere = Database::open(&Options::new("sqlite:///nonexistent/folder/x.db")).await.err().unwrap();
    assert!(matches!(nowhere, Error::Config(_)), "{nowhere:?}");
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let database = database::sqlite().await;
    schema(&database, "create table blobs (place integer not null primary key, content blob not null)").await;
    let path = database.options().url.strip_prefix("sqlite://").unwrap().to_owned();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mode = fs::metadata(format!("{path}{suffix}")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{suffix}");
    }
}

#[tokio::test]
async fn memory_is_shared_by_readers_and_writer_and_by_nobody_else() {
    let one = Database::open(&Options::new("sqlite::memory:")).await.unwrap();
    let two = Database::open(&Options::new("sqlite::memory:")).await.unwrap();
    for database in [&one, &two] {
        schema(database, "create table blobs (place integer not null primary key, content blob not null)")
            .await;
    }
    execute(&one, INSERT, vec![1.into(), Value::Bytes(vec![])]).await.unwrap();
    assert_eq!((count(&one, &COUNT).await, count(&two, &COUNT).await), (1, 0));
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_and_recovers() {
    let file = database::sqlite().await;
    file.close().await.unwrap();
    let database = Database::open(&Options { write_queue: 2, ..file.options().clone() }).await.unwrap();
    let slow = || {
        database.write::<_, (), Error>(INSTALLATION, |_| {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(())
            })
        })
    };
    let outcomes = futures_util::future::join_all((0..20).map(|_| slow())).await;
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(Error::Busy(_)))));
    assert!(outcomes.iter().any(Result::is_ok));
    slow().await.unwrap();
}

#[tokio::test]
async fn a_write_inside_a_write_is_refused_rather_than_waiting_for_itself() {
    let database = database::sqlite().await;
    let inner = Database::clone(&database);
    let nested = database.write::<_, (), Error>(INSTALLATION, move |_| {
        Box::pin(async move { inner.write(INSTALLATION, |_| Box::pin(async { Ok(()) })).await })
    });
    assert!(matches!(nested.await, Err(Error::Statement(_))));
}

#[tokio::test]
async fn upkeep_runs_outside_transactions() {
    let database = database::sqlite().await;
    database.maintain("vacuum").await.unwrap();
    assert!(database.maintain("vacuum nonsense").await.is_err());
}

#[tokio::test]
async fn a_file_that_was_taken_away_takes_no_writes_until_it_is_back() {
    let file = database::sqlite().await;
    schema(&file, "create table blobs (place integer not null primary key, content blob not null)").await;
    let insert =
        async |place: i64| execute(&file, INSERT, vec![place.into(), Value::Bytes(vec![7; 10])]).await;
    insert(1).await.unwrap();
    let path = file.options().url.strip_prefix("sqlite://").unwrap().to_owned();
    let aside = format!("{path}.aside");
    fs::rename(&path, &aside).unwrap();
    for _ in 0..2 {
        let gone = insert(2).await.unwrap_err();
        assert!(matches!(gone, Error::Unavailable(_)), "{gone:?}");
        let unread = file.query(INSTALLATION, &COUNT, &[]).await.unwrap_err();
        assert!(matches!(unread, Error::Unavailable(_)), "{unread:?}");
        // Another file in its place is not it.
        fs::write(&path, "").unwrap();
    }
    fs::rename(&aside, &path).unwrap();
    insert(2).await.unwrap();
    assert_eq!(count(&file, &COUNT).await, 2);
}

#[tokio::test]
async fn while_another_program_holds_the_file_writes_are_busy_and_reads_go_on() {
    let file = database::sqlite().await;
    schema(&file, "create table blobs (place integer not null primary key, content blob not null)").await;
    let path = file.options().url.strip_prefix("sqlite://").unwrap();
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let insert = || execute(&file, INSERT, vec![1.into(), Value::Bytes(vec![7; 10])]);
    let held = insert().await.unwrap_err();
    assert!(matches!(held, Error::Busy(_)), "{held:?}");
    assert!(held.is_outage());
    assert_eq!(count(&file, &COUNT).await, 0);
    other.execute_batch("rollback").unwrap();
    insert().await.unwrap();
    assert_eq!(count(&file, &COUNT).await, 1);
}
