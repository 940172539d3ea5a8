//! A schema of one's own: nothing outside is found, and those in another one are not heard.

use std::time::Duration;

use charter_db::{CHANNEL, Database, Error, Notification, Options, Statement};
use charter_testkit::database;

use crate::INSTALLATION;

async fn say(database: &Database, what: &'static str) {
    let work = database.write::<_, _, Error>(INSTALLATION, move |tx| Box::pin(tx.notify(what)));
    work.await.unwrap();
}

#[tokio::test]
async fn tables_of_public_are_out_of_sight_and_postgresqls_own_functions_are_not() {
    const ROLES: Statement = Statement::new("select count(*) from roles");
    const FOUND: Statement =
        Statement::new("select md5('x'), to_regclass('roles') is null, current_schema()::text");
    let database = database::postgres_in("charter").await;
    assert_eq!(database.schema(), Some("charter"));
    database.maintain("create table public.roles (name text)").await.unwrap();
    let seen = database.query(INSTALLATION, &ROLES, &[]).await;
    assert!(seen.unwrap_err().to_string().contains("\"roles\" does not exist"));
    let row = database.query_one(INSTALLATION, &FOUND, &[]).await.unwrap();
    assert!(row.get::<bool>(1).unwrap());
    assert_eq!(row.get::<Option<String>>(2).unwrap(), None, "it is not there yet");
    database.maintain("create schema charter").await.unwrap();
    let row = database.query_one(INSTALLATION, &FOUND, &[]).await.unwrap();
    assert_eq!(row.get::<Option<String>>(2).unwrap().as_deref(), Some("charter"));
}

#[tokio::test]
async fn who_speaks_in_one_schema_is_heard_in_that_one_alone() {
    let one = database::postgres_in("one").await;
    let open = async |schema: Option<&str>| {
        let options = Options { schema: schema.map(str::to_owned), ..one.options().clone() };
        Database::open(&options).await.unwrap()
    };
    let (two, none) = (open(Some("two")).await, open(None).await);
    let mut ears = [
        one.listen(CHANNEL).await.unwrap(),
        two.listen(CHANNEL).await.unwrap(),
        none.listen(CHANNEL).await.unwrap(),
    ];
    say(&one, "to one").await;
    say(&two, "to two").await;
    say(&none, "to none").await;
    for (ear, heard) in ears.iter_mut().zip(["to one", "to two", "to none"]) {
        assert_eq!(ear.next().await, Notification::Payload(heard.to_owned()));
        assert!(tokio::time::timeout(Duration::from_millis(50), ear.next()).await.is_err(), "nothing else");
    }
}

#[tokio::test]
async fn a_name_that_is_none_and_a_file_are_refused() {
    let server = database::postgres().await;
    let refused = async |options: Options| match Database::open(&options).await.err() {
        Some(Error::Config(why)) => why,
        other => panic!("{other:?}"),
    };
    let bad = Options { schema: Some("x, public".to_owned()), ..server.options().clone() };
    assert!(refused(bad).await.contains("no name for a schema"));
    let file = Options { schema: Some("charter".to_owned()), ..Options::new("sqlite::memory:") };
    assert!(refused(file).await.contains("no schemas"));
}
