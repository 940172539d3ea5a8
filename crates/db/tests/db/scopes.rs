//! The scope reaches PostgreSQL's row policies and never the next user of the connection.

use charter_db::{Database, Error, Options, Scope, Statement, Value};
use charter_testkit::database;

use crate::{INSTALLATION, schema};

const SETTINGS: Statement = Statement::new(
    "select current_setting('app.org', true), current_setting('app.scope', true), pg_backend_pid()",
);
const INSERT: Statement = Statement::new("insert into papers (organization_id, place) values ($1, $2)");
const ALL: Statement = Statement::new("select organization_id from papers");

const A: u128 = 0x0192_1111_2222_7333_8444_5555_6666_7777;
const B: u128 = 0x0192_1111_2222_7333_8444_5555_6666_7778;

#[tokio::test]
async fn row_policies_see_the_scope_and_the_next_transaction_does_not_inherit_it() {
    let owner = database::postgres().await;
    schema(
        &owner,
        "create table papers (organization_id uuid not null, place bigint not null, primary key (organization_id, place)); \
         alter table papers enable row level security; alter table papers force row level security; \
         create policy papers_of_one on papers using (organization_id = current_setting('app.org')::uuid \
             or current_setting('app.scope') = 'installation'); \
         do $do$ begin create role charter_db_test login; exception when duplicate_object or unique_violation then null; end $do$; \
         grant select, insert on papers to charter_db_test",
    )
    .await;
    // One connection, so that each transaction follows the one before on the same backend.
    let url = owner.options().url.replace("postgres://postgres@", "postgres://charter_db_test@");
    let database = Database::open(&Options { pool_size: 1, url, ..Options::new("") }).await.unwrap();
    let insert = |scope, id, place: i64| {
        database.write(scope, move |tx| {
            Box::pin(async move { tx.execute(&INSERT, &[Value::Id(id), place.into()]).await })
        })
    };
    insert(Scope::Organization(A), A, 1).await.unwrap();
    insert(Scope::Organization(A), A, 2).await.unwrap();
    insert(Scope::Organization(B), B, 1).await.unwrap();
    let foreign = insert(Scope::Organization(A), B, 9).await;
    assert!(matches!(foreign, Err(Error::Other(_))), "{foreign:?}");

    let seen = async |scope| -> Vec<u128> {
        let rows = database.query(scope, &ALL, &[]).await.unwrap();
        let inside =
            database.read(scope, |conn| Box::pin(async move { conn.query(&ALL, &[]).await })).await.unwrap();
        let mut streamed = 0;
        let stream = database.for_each(scope, &ALL, &[], |_| {
            streamed += 1;
            Ok::<_, Error>(())
        });
        stream.await.unwrap();
        assert_eq!((rows.len(), rows.len()), (inside.len(), streamed));
        rows.iter().map(|row| row.get(0).unwrap()).collect()
    };
    assert_eq!(seen(Scope::Organization(A)).await, [A, A]);
    assert_eq!(seen(Scope::Organization(B)).await, [B]);
    assert_eq!(seen(Scope::Organization(1)).await, []);
    assert_eq!(seen(INSTALLATION).await.len(), 3);
}

#[tokio::test]
async fn a_scope_ends_with_its_transaction_however_it_ends() {
    let server = database::postgres().await;
    let database = Database::open(&Options { pool_size: 1, ..server.options().clone() }).await.unwrap();
    let settings = async |scope| {
        let row = database.query_one(scope, &SETTINGS, &[]).await.unwrap();
        (row.get::<String>(0).unwrap(), row.get::<String>(1).unwrap(), row.get::<i64>(2).unwrap())
    };
    let (org, scope, pid) = settings(Scope::Organization(A)).await;
    assert_eq!((org.as_str(), scope.as_str()), ("01921111-2222-7333-8444-555566667777", "organization"));

    let failing = database.write::<_, (), Error>(Scope::Organization(B), |tx| {
        Box::pin(async move { tx.batch("select 1 / 0").await })
    });
    assert!(failing.await.is_err());
    let broken = database.query(Scope::Organization(B), &Statement::new("select 1 / 0"), &[]).await;
    assert!(broken.is_err());
    let given_up = database.write::<_, (), Error>(Scope::Organization(B), |tx| {
        Box::pin(async move { tx.query(&Statement::new("select pg_sleep(0.2)"), &[]).await.map(|_| ()) })
    });
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), given_up).await.is_err());

    let (org, scope, same) = settings(INSTALLATION).await;
    assert_eq!((org.as_str(), scope.as_str()), ("00000000-0000-0000-0000-000000000000", "installation"));
    assert_eq!(same, pid, "the connection is the same, and was used by all");
    let open = database.write(INSTALLATION, |tx| {
        Box::pin(async move {
            tx.batch("commit").await?;
            tx.query_one(&SETTINGS, &[]).await
        })
    });
    let outside = open.await.unwrap();
    assert_eq!(
        (outside.get::<String>(0).unwrap(), outside.get::<String>(1).unwrap()),
        (String::new(), String::new())
    );
}
