use std::time::Duration;

use charter_db::{CHANNEL, Error, Notification, Statement};
use charter_testkit::database;

use crate::INSTALLATION;

#[tokio::test]
async fn committed_writes_are_heard_and_a_lost_connection_is_told() {
    const END: Statement = Statement::new(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like 'listen %' and datname = current_database()",
    );
    let database = database::postgres().await;
    let mut listener = database.listen(CHANNEL).await.unwrap();
    let say = |what: &'static str, stays: bool| {
        database.write(INSTALLATION, move |tx| {
            Box::pin(async move {
                tx.notify(what).await?;
                if stays { Ok(()) } else { Err(Error::Statement("changed my mind".to_owned())) }
            })
        })
    };
    say("one", true).await.unwrap();
    say("never", false).await.unwrap_err();
    say("two", true).await.unwrap();
    assert_eq!(listener.next().await, Notification::Payload("one".to_owned()));
    assert_eq!(listener.next().await, Notification::Payload("two".to_owned()));

    let ended = database.query_one(INSTALLATION, &END, &[]).await.unwrap();
    assert_eq!(ended.get::<i64>(0).unwrap(), 1);
    assert_eq!(listener.next().await, Notification::Reconnected);
    say("three", true).await.unwrap();
    assert_eq!(listener.next().await, Notification::Payload("three".to_owned()));
    assert!(matches!(database.listen("no; such").await, Err(Error::Config(_))));
}

#[tokio::test]
async fn sqlite_has_nobody_to_hear_from() {
    let database = database::sqlite().await;
    let mut listener = database.listen(CHANNEL).await.unwrap();
    database
        .write::<_, (), Error>(INSTALLATION, |tx| Box::pin(async move { tx.notify("one").await }))
        .await
        .unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), listener.next()).await.is_err());
}
