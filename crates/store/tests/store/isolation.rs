//! The second wall on PostgreSQL: row level security keeps organizations apart whatever a statement says.

use charter_db::{Database, Options, Scope, Statement, Value};
use charter_kernel::*;
use charter_store::wall::{self, Hole};
use charter_store::{grant, membership, migration, organization};
use charter_testkit::database::{TestDatabase, postgres};

use crate::filling::*;
use crate::world::*;

/// Tables that say where something is: read before the organization is known.
const DIRECTORIES: &[&str] = &[
    "adopted_changes",
    "adopted_kept_away",
    "adopted_organizations",
    "adopted_rows",
    "credential_keys",
    "invitation_homes",
    "oauth_audiences",
    "oauth_client_homes",
    "organization_keys",
    "principal_memberships",
    "removed_organizations",
    "resource_homes",
    "sessions",
];

/// The database as a role that owns nothing and is no superuser. Roles belong to the server, so each test has its own.
async fn as_application(db: &TestDatabase, role: &str) -> Database {
    db.maintain(&format!("drop role if exists {role}")).await.unwrap();
    db.maintain(&format!("create role {role} login")).await.unwrap();
    assert!(migration::grant_application_role(db, role).await.unwrap());
    let url = &db.options().url;
    let (scheme, rest) = url.split_once("://").unwrap();
    let rest = rest.split_once('@').map_or(rest, |(_, host)| host);
    let options = Options { url: format!("{scheme}://{role}@{rest}"), pool_size: 2, ..db.options().clone() };
    Database::open(&options).await.unwrap()
}

async fn gone(db: &TestDatabase, application: Database, role: &str) {
    application.close().await.unwrap();
    drop(application);
    db.maintain(&format!("drop owned by {role}")).await.unwrap();
    db.maintain(&format!("drop role {role}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_names_another_organization_finds_nothing() {
    let db = postgres().await;
    let (toys, trade) = two_organizations(&db).await;
    let (a, b) = (toys.organization.id, trade.organization.id);
    let application = as_application(&db, "isolation_reader").await;

    let inside = Scope::Organization(a.0);
    let seen = application
        .read::<_, _, charter_db::Error>(inside, move |conn| {
            Box::pin(async move {
                let own = membership::page(conn, a, PrincipalId(0), 10).await?.rows.len();
                let other = membership::page(conn, b, PrincipalId(0), 10).await?.rows.len();
                let other_organization = organization::get(conn, b).await?;
                Ok((own, other, other_organization))
            })
        })
        .await
        .unwrap();
    assert_eq!(seen, (3, 0, None));

    // Nor can it write there: the row fails the policy.
    let mut row = trade.grants[1].clone();
    row.id = GrantId(77);
    let refused = application
        .write::<_, _, charter_db::Error>(inside, move |tx| {
            Box::pin(async move { grant::insert(tx, b, &row).await })
        })
        .await;
    assert!(refused.is_err());
    let kept = application
        .write::<_, _, charter_db::Error>(inside, move |tx| {
            Box::pin(async move { grant::delete(tx, b, GrantId(2031)).await })
        })
        .await;
    assert!(!kept.unwrap(), "the other organization's grant is not even seen");

    // A careless statement without the organization sees its own rows only; the installation sees all.
    const CARELESS: Statement = Statement::new("select organization_id from grants order by 1");
    let own = application.query(inside, &CARELESS, &[]).await.unwrap();
    assert!(own.iter().all(|row| row.get::<u128>(0).unwrap() == a.0) && own.len() == 2);
    assert_eq!(application.query(Scope::Installation, &CARELESS, &[]).await.unwrap().len(), 4);
    gone(&db, application, "isolation_reader").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_application_role_adds_to_the_trail_and_changes_nothing_in_it() {
    let db = postgres().await;
    migrated(&db).await;
    const RIGHTS: Statement = Statement::new(
        "select has_table_privilege($1, $2, 'insert'), has_table_privilege($1, $2, 'update'), has_table_privilege($1, $2, 'delete')",
    );
    let application = as_application(&db, "isolation_writer").await;
    let rights = async |table: &str| {
        let params = [Value::from("isolation_writer"), Value::from(table)];
        let row = db.query_one(Scope::Installation, &RIGHTS, &params).await.unwrap();
        [0, 1, 2].map(|index| row.get::<bool>(index).unwrap())
    };
    assert_eq!(rights("audit_events").await, [true, false, false]);
    assert_eq!(rights("entitlement_events").await, [true, false, false]);
    assert_eq!(rights("charter_migrations").await, [false, false, false]);
    assert_eq!(rights("grants").await, [true, true, true]);
    gone(&db, application, "isolation_writer").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wall_has_a_hole_for_its_owner_and_for_who_passes_by_and_none_for_the_application() {
    let db = postgres().await;
    migrated(&db).await;
    let found = wall::holes(&db).await.unwrap();
    assert!(matches!(found.as_slice(), [Hole::PassesBy { .. }]), "{found:?}");
    let application = as_application(&db, "isolation_wall").await;
    assert_eq!(wall::holes(&application).await.unwrap(), []);
    db.maintain("alter role isolation_wall bypassrls").await.unwrap();
    let passes = Hole::PassesBy { account: "isolation_wall".to_owned() };
    assert_eq!(wall::holes(&application).await.unwrap(), [passes]);
    db.maintain("alter role isolation_wall nobypassrls").await.unwrap();
    db.maintain("alter table grants owner to isolation_wall").await.unwrap();
    let owns = Hole::Owns { account: "isolation_wall".to_owned() };
    assert_eq!(wall::holes(&application).await.unwrap(), std::slice::from_ref(&owns));
    db.maintain("alter table grants no force row level security").await.unwrap();
    let open = Hole::Open { table: "grants".to_owned() };
    assert_eq!(wall::holes(&application).await.unwrap(), [owns, open]);
    gone(&db, application, "isolation_wall").await;
    let other = charter_testkit::database::sqlite().await;
    assert_eq!(wall::holes(&other).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_of_an_organization_is_isolated_and_keyed_by_it() {
    let db = postgres().await;
    migrated(&db).await;
    const TABLES: Statement = Statement::new(
        "select c.relname::text, c.relrowsecurity and c.relforcerowsecurity, \
         (select count(*) from pg_policies p where p.tablename = c.relname) \
         from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id' \
         where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace order by 1",
    );
    let rows = db.query(Scope::Installation, &TABLES, &[]).await.unwrap();
    assert!(rows.len() > 30);
    for row in &rows {
        let (table, forced, policies): (String, bool, i64) =
            (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap());
        let directory = DIRECTORIES.contains(&table.as_str());
        assert_eq!((forced, policies), if directory { (false, 0) } else { (true, 2) }, "{table}");
    }
    // The organization comes first in every index and foreign key, but for those that jobs of the installation read by instant.
    const KEYS: Statement = Statement::new(
        "select i.indexrelid::regclass::text from pg_index i join pg_class c on c.oid = i.indrelid \
         join pg_attribute o on o.attrelid = c.oid and o.attname = 'organization_id' \
         where c.relrowsecurity and i.indkey[0] <> o.attnum \
         union all select conname::text from pg_constraint k join pg_attribute o on o.attrelid = k.conrelid \
         and o.attname = 'organization_id' join pg_class c on c.oid = k.conrelid \
         where c.relrowsecurity and contype = 'f' and conkey[1] <> o.attnum",
    );
    let mut odd: Vec<String> = db
        .query(Scope::Installation, &KEYS, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0).unwrap())
        .collect();
    odd.sort_unstable();
    let known = [
        "adopted_removals_principal",
        "credential_uses_hour",
        "credentials_expiring",
        "invitations_closed",
        "invitations_open",
        "oauth_codes_expires",
        "org_subscriptions_beginning",
        "org_subscriptions_ending",
        "org_subscriptions_plan",
        "organization_revisions_changed",
        "registration_requests_asked",
        "registration_requests_closed",
        "registration_requests_open",
        "usage_events_oldest",
        "webhook_deliveries_due",
        "webhook_deliveries_finished",
    ];
    assert_eq!(odd, known);
}

#[tokio::test]
async fn a_role_is_a_plain_name() {
    let db = charter_testkit::database::sqlite().await;
    assert!(!migration::grant_application_role(&db, "charter_app").await.unwrap());
    for name in ["", "a\"b", "A b", "x; drop table grants"] {
        assert!(migration::grant_application_role(&db, name).await.is_err(), "{name}");
    }
}
