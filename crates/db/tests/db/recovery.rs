//! PostgreSQL's connections come and go; the program stays.

use std::time::Duration;

use charter_db::{Database, Error, Options, Statement};
use charter_testkit::database;

use crate::{INSTALLATION, count, execute, schema};

const END_ALL: Statement = Statement::new(
    "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
);
const PID: Statement = Statement::new("select pg_backend_pid()");
const INSERT: Statement = Statement::new("insert into entries (place) values ($1)");
const COUNT: Statement = Statement::new("select count(*) from entries");

#[tokio::test]
async fn ended_connections_are_replaced_without_a_failed_call() {
    let server = database::postgres().await;
    schema(&server, "create table entries (place $int not null primary key)").await;
    let database = Database::open(&Options { pool_size: 4, ..server.options().clone() }).await.unwrap();
    for round in 0..5 {
        let busy: Vec<_> = (0..4).map(|_| database.query(INSTALLATION, &PID, &[])).collect();
        futures_util::future::try_join_all(busy).await.unwrap();
        assert!(count(&server, &END_ALL).await > 0);
        // No pause: the pool still holds connections that are already dead.
        execute(&database, INSERT, vec![round.into()]).await.unwrap();
        assert_eq!(count(&database, &COUNT).await, round + 1);
    }
}

#[tokio::test]
async fn a_connection_lost_inside_a_write_is_an_outage_and_leaves_nothing() {
    let database = database::postgres().await;
    schema(&database, "create table entries (place $int not null primary key)").await;
    let other = Database::clone(&database);
    let lost = database.write(INSTALLATION, move |tx| {
        Box::pin(async move {
            tx.execute(&INSERT, &[1.into()]).await?;
            other.query(INSTALLATION, &END_ALL, &[]).await?;
            tx.execute(&INSERT, &[2.into()]).await
        })
    });
    let error = lost.await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(error.is_outage());
    assert_eq!(count(&database, &COUNT).await, 0);
}

#[tokio::test]
async fn a_connection_lost_at_commit_leaves_the_outcome_open() {
    let database = database::postgres().await;
    schema(&database, "create table entries (place $int not null primary key)").await;
    let other = Database::clone(&database);
    let lost = database.write(INSTALLATION, move |tx| {
        Box::pin(async move {
            tx.execute(&INSERT, &[1.into()]).await?;
            other.query(INSTALLATION, &END_ALL, &[]).await.map(|_| ())
        })
    });
    let error = lost.await.unwrap_err();
    assert!(matches!(error, Error::CommitUnknown(_)), "{error:?}");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended() {
    let server = database::postgres().await;
    let options = Options { statement_timeout: Duration::from_millis(50), ..server.options().clone() };
    let database = Database::open(&options).await.unwrap();
    let slow = database.query(INSTALLATION, &Statement::new("select pg_sleep(10)"), &[]).await;
    assert!(matches!(slow, Err(Error::Busy(_))), "{slow:?}");
    database.ping().await.unwrap();
}

#[tokio::test]
async fn an_exhausted_pool_is_busy_and_not_forever() {
    let server = database::postgres().await;
    let options =
        Options { pool_size: 1, wait_timeout: Duration::from_millis(50), ..server.options().clone() };
    let database = Database::open(&options).await.unwrap();
    let holder = Database::clone(&database);
    let held = tokio::spawn(async move {
        holder.query(INSTALLATION, &Statement::new("select pg_sleep(0.4)"), &[]).await.map(|_| ())
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refused = database.ping().await;
    assert!(matches!(refused, Err(Error::Busy(_))), "{refused:?}");
    held.await.unwrap().unwrap();
    database.ping().await.unwrap();
}

#[tokio::test]
async fn deadlocks_are_told_as_aborted() {
    const LOCK: Statement = Statement::new("update entries set place = place where place = $1");
    let database = database::postgres().await;
    schema(
        &database,
        "create table entries (place $int not null primary key); insert into entries values (1), (2)",
    )
    .await;
    let crossing = |first: i64, second: i64| {
        database.write(INSTALLATION, move |tx| {
            Box::pin(async move {
                tx.execute(&LOCK, &[first.into()]).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
                tx.execute(&LOCK, &[second.into()]).await
            })
        })
    };
    let (one, two) = tokio::join!(crossing(1, 2), crossing(2, 1));
    let aborted =
        [&one, &two].into_iter().filter(|it| matches!(it, Err(error) if error.is_retryable())).count();
    assert_eq!(aborted, 1, "{one:?} {two:?}");
}

#[tokio::test]
async fn addresses_that_cannot_work_say_why() {
    let server = database::postgres().await;
    let nowhere = async |url: &str| Database::open(&Options::new(url)).await;
    let missing = server.options().url.replace("/test_", "/no_test_");
    assert!(matches!(nowhere(&missing).await, Err(Error::Config(_))));
    let gone = "postgres://nobody@/none?host=/nonexistent";
    assert!(matches!(nowhere(gone).await, Err(Error::Unavailable(_))));
    assert!(matches!(nowhere("mysql://here").await, Err(Error::Config(_))));
    assert!(matches!(nowhere("postgres://h/d?sslmode=verify-ca").await, Err(Error::Config(_))));
    assert!(matches!(
        nowhere("postgres://h/d?sslmode=verify-full&sslrootcert=/none").await,
        Err(Error::Config(_))
    ));
    let plain = format!("{}&sslmode=disable&target_session_attrs=read-write", server.options().url);
    nowhere(&plain).await.unwrap().ping().await.unwrap();
    let secret = nowhere("postgres://u:hunter2@h/d?bogus=1").await.err().unwrap();
    assert!(
        matches!(secret, Error::Config(_)) && !format!("{secret} {secret:?}").contains("hunter2"),
        "{secret:?}"
    );
}
