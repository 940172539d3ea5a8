use charter_db::{Database, Error, Statement};
use charter_testkit::{both_engines, database::TestDatabase};

use crate::{INSTALLATION, count, execute, schema};

const TABLE: &str = "create table entries (place $int not null primary key)";
const INSERT: Statement = Statement::new("insert into entries (place) values ($1)");
const COUNT: Statement = Statement::new("select count(*) from entries");

both_engines!(a_reader_sees_one_state_throughout, async |database: TestDatabase| {
    schema(&database, TABLE).await;
    execute(&database, INSERT, vec![1.into()]).await.unwrap();
    let writer = Database::clone(&database);
    let seen = database.read(INSTALLATION, move |conn| {
        Box::pin(async move {
            let before: i64 = conn.query_one(&COUNT, &[]).await?.get(0)?;
            execute(&writer, INSERT, vec![2.into()]).await?;
            let after: i64 = conn.query_one(&COUNT, &[]).await?.get(0)?;
            Ok::<_, Error>((before, after))
        })
    });
    assert_eq!(seen.await.unwrap(), (1, 1));
    assert_eq!(count(&database, &COUNT).await, 2);
});

both_engines!(a_reader_cannot_write, async |database: TestDatabase| {
    const SNEAKY: Statement = Statement::new("insert into entries (place) values (1) returning place");
    schema(&database, TABLE).await;
    let sneaky = database.query(INSTALLATION, &SNEAKY, &[]).await;
    assert!(matches!(sneaky, Err(Error::ReadOnly(_))), "{sneaky:?}");
    let sneaky =
        database.read(INSTALLATION, |conn| Box::pin(async move { conn.query(&SNEAKY, &[]).await })).await;
    assert!(matches!(sneaky, Err(Error::ReadOnly(_))), "{sneaky:?}");
    assert_eq!(count(&database, &COUNT).await, 0);
});

both_engines!(a_panicking_reader_harms_no_other, async |database: TestDatabase| {
    schema(&database, TABLE).await;
    for _ in 0..20 {
        let outcome = database
            .read::<_, (), Error>(INSTALLATION, |conn| {
                Box::pin(async move {
                    conn.query(&COUNT, &[]).await?;
                    panic!("as the test demands")
                })
            })
            .await;
        assert!(matches!(outcome, Err(Error::Panicked(_))), "{outcome:?}");
    }
    assert_eq!(count(&database, &COUNT).await, 0);
});

both_engines!(more_readers_than_connections_take_turns, async |database: TestDatabase| {
    schema(&database, TABLE).await;
    execute(&database, INSERT, vec![1.into()]).await.unwrap();
    let readers = (0..100).map(|_| {
        database.read(INSTALLATION, |conn| {
            Box::pin(async move {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                conn.query_one(&COUNT, &[]).await?.get::<i64>(0)
            })
        })
    });
    for seen in futures_util::future::join_all(readers).await {
        assert_eq!(seen.unwrap(), 1);
    }
});

both_engines!(a_long_result_streams_and_stops_when_told, async |database: TestDatabase| {
    const MANY: Statement = Statement::new(
        "with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 50000) select n from numbers",
    );
    let mut sum = 0;
    let all = database.for_each(INSTALLATION, &MANY, &[], |row| {
        sum += row.get_int(0)?;
        Ok::<_, Error>(())
    });
    all.await.unwrap();
    assert_eq!(sum, 50_000 * 50_001 / 2);
    let mut seen = 0;
    let some = database.for_each(INSTALLATION, &MANY, &[], |_| {
        seen += 1;
        if seen == 1000 { Err(Error::Statement("enough".to_owned())) } else { Ok(()) }
    });
    assert!(matches!(some.await, Err(Error::Statement(_))));
    assert_eq!(seen, 1000);
    database.ping().await.unwrap();
});

both_engines!(a_plan_tells_a_search_from_a_scan, async |database: TestDatabase| {
    const SEARCH: Statement = Statement::new("select place from entries where place = $1");
    const SCAN: Statement = Statement::new("select place from entries where place % 2 = $1");
    schema(&database, TABLE).await;
    let scans =
        |plan: &[String]| plan.iter().any(|line| line.starts_with("SCAN") || line.contains("Seq Scan"));
    let search = database.explain(INSTALLATION, &SEARCH, &[1.into()]).await.unwrap();
    assert!(!scans(&search), "{search:?}");
    let scan = database.explain(INSTALLATION, &SCAN, &[1.into()]).await.unwrap();
    assert!(!scan.is_empty() && scan != search, "{scan:?}");
});
