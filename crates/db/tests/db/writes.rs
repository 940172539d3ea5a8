use charter_db::{Database, Error, Statement, Value};
use charter_testkit::{both_engines, database::TestDatabase};
use futures_util::future::join_all;

use crate::{INSTALLATION, count, execute, schema};

const TABLE: &str = "create table entries (place $int not null primary key, amount $int not null default 0)";
const INSERT: Statement = Statement::new("insert into entries (place) values ($1)");
const COUNT: Statement = Statement::new("select count(*) from entries");
const AMOUNT: Statement = Statement::new("select amount from entries where place = $1");
const LOCK: Statement = Statement::new("update entries set amount = amount where place = $1");
const SET: Statement = Statement::new("update entries set amount = $2 where place = $1");

both_engines!(sixty_four_writers_lose_no_update, async |database: TestDatabase| {
    schema(&database, TABLE).await;
    execute(&database, INSERT, vec![1.into()]).await.unwrap();
    let add = |database: Database| async move {
        for _ in 0..10 {
            let add = database.write(INSTALLATION, |tx| {
                Box::pin(async move {
                    tx.execute(&LOCK, &[1.into()]).await?;
                    let amount: i64 = tx.query_one(&AMOUNT, &[1.into()]).await?.get(0)?;
                    tx.execute(&SET, &[1.into(), (amount + 1).into()]).await?;
                    Ok::<_, Error>(())
                })
            });
            add.await.unwrap();
        }
    };
    let tasks: Vec<_> = (0..64).map(|_| tokio::spawn(add(Database::clone(&database)))).collect();
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let row = database.query_one(INSTALLATION, &AMOUNT, &[1.into()]).await.unwrap();
    assert_eq!(row.get::<i64>(0).unwrap(), 640);
});

#[derive(Debug)]
enum Failure {
    Chosen,
    Database(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

both_engines!(a_failing_write_takes_nothing_with_it, async |database: TestDatabase| {
    schema(&database, TABLE).await;
    let write = |place: i64| {
        database.write(INSTALLATION, move |tx| {
            Box::pin(async move {
                tx.execute(&INSERT, &[place.into()]).await?;
                match place % 4 {
                    0 => Ok(place),
                    1 => Err(Failure::Chosen),
                    2 => panic!("as the test demands"),
                    // The same row again: the statement itself fails.
                    _ => tx.execute(&INSERT, &[place.into()]).await.map(|_| place).map_err(Failure::from),
                }
            })
        })
    };
    // All are queued before any is answered, so on SQLite they share transactions.
    for (place, outcome) in (0..200).zip(join_all((0..200).map(write)).await) {
        match place % 4 {
            0 => assert_eq!(outcome.unwrap(), place),
            1 => assert!(matches!(outcome, Err(Failure::Chosen))),
            2 => assert!(
                matches!(&outcome, Err(Failure::Database(Error::Panicked(why))) if why == "as the test demands"),
                "{outcome:?}"
            ),
            _ => assert!(matches!(outcome, Err(Failure::Database(Error::Unique { .. })))),
        }
    }
    assert_eq!(count(&database, &COUNT).await, 50);
});

both_engines!(a_write_with_a_failed_statement_never_commits, async |database: TestDatabase| {
    schema(&database, TABLE).await;
    let swallowing = database.write(INSTALLATION, |tx| {
        Box::pin(async move {
            tx.execute(&INSERT, &[1.into()]).await?;
            assert!(tx.execute(&INSERT, &[1.into()]).await.is_err());
            Ok::<_, Error>(())
        })
    });
    assert!(matches!(swallowing.await, Err(Error::Unique { .. })));
    assert_eq!(count(&database, &COUNT).await, 0);
});

both_engines!(a_write_given_up_halfway_leaves_nothing, async |database: TestDatabase| {
    schema(&database, TABLE).await;
    for place in 0..20 {
        let write = database.write(INSTALLATION, move |tx| {
            Box::pin(async move {
                tx.execute(&INSERT, &[place.into()]).await?;
                tokio::time::sleep(std::time::Duration::from_millis(30)).await;
                Err::<(), _>(Error::Statement("never mind".to_owned()))
            })
        });
        assert!(tokio::time::timeout(std::time::Duration::from_millis(10), write).await.is_err());
    }
    execute(&database, INSERT, vec![100.into()]).await.unwrap();
    assert_eq!(count(&database, &COUNT).await, 1);
});

both_engines!(writes_give_rows_back, async |database: TestDatabase| {
    const RETURNING: Statement =
        Statement::new("insert into entries (place, amount) values ($1, $2) returning amount");
    schema(&database, TABLE).await;
    let amount = database.write(INSTALLATION, |tx| {
        Box::pin(async move { tx.query_one(&RETURNING, &[1.into(), 7.into()]).await?.get::<i64>(0) })
    });
    assert_eq!(amount.await.unwrap(), 7);
    assert_eq!(execute(&database, SET, vec![1.into(), 8.into()]).await.unwrap(), 1);
    assert_eq!(execute(&database, SET, vec![2.into(), 8.into()]).await.unwrap(), 0);
});

both_engines!(a_committed_write_is_there_after_reopening, async |mut database: TestDatabase| {
    schema(&database, TABLE).await;
    execute(&database, INSERT, vec![1.into()]).await.unwrap();
    database.checkpoint().await.unwrap();
    database.ping().await.unwrap();
    database.reopen().await;
    assert_eq!(count(&database, &COUNT).await, 1);
    database.close().await.unwrap();
    let late = execute(&database, INSERT, vec![2.into()]).await.unwrap_err();
    assert!(matches!(late, Error::Unavailable(_)), "{late:?}");
    assert!(database.ping().await.is_err());
    assert!(late.is_outage());
});

both_engines!(documents_are_read_into_by_name, async |database: TestDatabase| {
    const NAME: Statement =
        Statement::forked("select cast($1 as text) ->> 'name'", "select cast($1 as jsonb) ->> 'name'");
    let row = database
        .query_one(INSTALLATION, &NAME, &[Value::Json(r#"{"name":"Ada"}"#.to_owned())])
        .await
        .unwrap();
    assert_eq!(row.get::<String>(0).unwrap(), "Ada");
});
