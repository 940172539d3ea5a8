//! Charter in a schema of its own, beside another system whose tables have the same names.

use charter_db::{Database, Error, Options, Scope, Statement};
use charter_store::migration::{self, MigrationError};
use charter_store::wall::{self, Hole};
use charter_testkit::database::{TestDatabase, postgres_in};
use charter_testkit::{both_engines, dump};

use crate::filling::two_organizations;
use crate::world::*;

/// A system that has had tables of these names for years.
const OTHER: &str = "
    create table public.roles (id serial primary key, name varchar(80) unique, rights text[]);
    create table public.permissions (id serial primary key, code text);
    create table public.plans (id int primary key, title text);
    create table public.charter_migrations (oops text);
    create table public.sessions (role_id int references public.roles (id));
    insert into public.roles (name, rights) values ('boss', '{a,b}'), ('clerk', null);
    insert into public.sessions values (1), (2);
    create view public.grants as select name from public.roles";

async fn run(database: &Database, text: &'static str) {
    let work = database.write::<_, _, Error>(Scope::Installation, move |tx| Box::pin(tx.batch(text)));
    work.await.unwrap();
}

async fn beside() -> (TestDatabase, String) {
    let db = postgres_in("charter").await;
    run(&db, OTHER).await;
    let before = dump::of_schema(&db.options().url, "public");
    assert!(before.contains("clerk"));
    (db, before)
}

async fn standing(db: &Database, schema: &'static str) -> Vec<String> {
    const TABLES: Statement =
        Statement::new("select tablename::text from pg_tables where schemaname = $1 order by 1");
    let rows = db.query(Scope::Installation, &TABLES, &[schema.into()]).await.unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_go_up_and_down_beside_tables_of_the_same_names_and_leave_them_alone() {
    let (db, before) = beside().await;
    assert!(migration::states(&db).await.unwrap().iter().all(|state| state.applied_at.is_none()));
    let made = migration::migrate_up(&db, NOW).await.unwrap();
    assert_eq!(made.len(), migration::newest() as usize);
    assert_eq!(standing(&db, "charter").await, migration::tables());
    two_organizations(&db).await;
    assert!(migration::migrate_up(&db, NOW).await.unwrap().is_empty());
    for to in (0..migration::newest()).rev().step_by(7).chain([0]) {
        migration::migrate_down(&db, to).await.unwrap();
    }
    assert_eq!(standing(&db, "charter").await, Vec::<String>::new());
    assert_eq!(dump::of_schema(&db.options().url, "public"), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wall_is_looked_at_in_that_schema_and_two_installations_do_not_meet() {
    let (db, before) = beside().await;
    two_organizations(&db).await;
    let other = Options { schema: Some("other".to_owned()), ..db.options().clone() };
    let other = Database::open(&other).await.unwrap();
    migration::migrate_up(&other, NOW).await.unwrap();
    const GRANTS: Statement = Statement::new("select count(*) from grants");
    let count = async |db: &Database| {
        db.query_one(Scope::Installation, &GRANTS, &[]).await.unwrap().get::<i64>(0).unwrap()
    };
    assert_eq!((count(&db).await, count(&other).await), (4, 0));

    db.maintain("drop role if exists own_schema_role").await.unwrap();
    db.maintain("create role own_schema_role login").await.unwrap();
    assert!(migration::grant_application_role(&db, "own_schema_role").await.unwrap());
    let url = db.options().url.replacen("postgres@", "own_schema_role@", 1);
    let application = Database::open(&Options { url, ..db.options().clone() }).await.unwrap();
    assert_eq!(wall::holes(&application).await.unwrap(), []);
    assert_eq!(count(&application).await, 4);
    run(&other, "alter table grants no force row level security").await;
    assert_eq!(
        wall::holes(&application).await.unwrap(),
        [],
        "that of the other installation is its own affair"
    );
    run(&db, "alter table grants no force row level security").await;
    assert_eq!(wall::holes(&application).await.unwrap(), [Hole::Open { table: "grants".to_owned() }]);

    // Without the schema's own name nothing of it is reached.
    let blind = Options { schema: Some("other".to_owned()), ..application_options(&db) };
    let blind = Database::open(&blind).await.unwrap();
    assert!(blind.query(Scope::Installation, &GRANTS, &[]).await.is_err());
    assert_eq!(dump::of_schema(&db.options().url, "public"), before);
    blind.close().await.unwrap();
    application.close().await.unwrap();
    db.maintain("drop owned by own_schema_role").await.unwrap();
    db.maintain("drop role own_schema_role").await.unwrap();
}

fn application_options(db: &TestDatabase) -> Options {
    Options { url: db.options().url.replacen("postgres@", "own_schema_role@", 1), ..db.options().clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_make_the_schema_is_told_what_to_run() {
    let db = postgres_in("charter").await;
    db.maintain("drop role if exists own_schema_guest").await.unwrap();
    db.maintain("create role own_schema_guest login").await.unwrap();
    let url = db.options().url.replacen("postgres@", "own_schema_guest@", 1);
    let guest = Database::open(&Options { url, ..db.options().clone() }).await.unwrap();
    let refused = migration::migrate_up(&guest, NOW).await.unwrap_err();
    assert!(matches!(&refused, MigrationError::Schema { name, .. } if name == "charter"), "{refused:?}");
    let told = refused.to_string();
    let (_, remedy) = told.split_once("run `").unwrap();
    let remedy: &'static str = remedy.trim_end_matches('`').to_owned().leak();
    run(&db, remedy).await;
    assert!(!migration::migrate_up(&guest, NOW).await.unwrap().is_empty());
    guest.close().await.unwrap();
    db.maintain("drop owned by own_schema_guest cascade").await.unwrap();
    db.maintain("drop role own_schema_guest").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_waits_in_vain_for_a_table_lets_others_go_first_and_tries_again() {
    const WAITING: Statement = Statement::new(
        "select count(*) from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())",
    );
    let db = postgres_in("charter").await;
    migration::migrate_up(&db, NOW).await.unwrap();
    let held = Database::open(db.options()).await.unwrap();
    let watch = Database::open(db.options()).await.unwrap();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let holder = held.write::<_, _, Error>(Scope::Installation, move |tx| {
        Box::pin(async move {
            tx.batch("lock table adoption_runs, adopted_rows in access share mode").await?;
            let _told = begun.send(());
            let waiting = async || {
                let row = watch.query_one(Scope::Installation, &WAITING, &[]).await;
                row.and_then(|row| row.get::<i64>(0)).unwrap() > 0
            };
            // Somebody comes to wait, and gives up.
            while !waiting().await {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            while waiting().await {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            Ok(())
        })
    });
    let down = async {
        has_begun.await.unwrap();
        migration::migrate_down(&db, 41).await.unwrap()
    };
    let (held, undone) = tokio::join!(holder, down);
    held.unwrap();
    assert_eq!(undone.last(), Some(&"0042_adoption"));
}

both_engines!(the_list_of_tables_is_what_the_migrations_leave, async |db: TestDatabase| {
    const ALL: Statement = Statement::forked(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\' order by name",
        "select tablename::text from pg_tables where schemaname = 'public' order by tablename",
    );
    migration::migrate_up(&db, NOW).await.unwrap();
    let rows = db.query(Scope::Installation, &ALL, &[]).await.unwrap();
    let tables: Vec<String> = rows.iter().map(|row| row.get(0).unwrap()).collect();
    assert!(tables.len() > 60);
    assert_eq!(tables, migration::tables());
});
