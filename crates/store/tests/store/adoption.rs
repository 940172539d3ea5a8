//! Whatever holds an account or stands in an organization is known to the rollback of adoptions: a table that nobody thought of is found here.

use charter_db::{Scope, Statement};
use charter_store::{adoption_account, adoption_wipe};
use charter_testkit::database::postgres;

use crate::world::migrated;

/// Ids of other things than accounts.
const OTHER_IDS: &[&str] = &[
    "organization_id",
    "team_id",
    "parent_id",
    "grant_id",
    "assignment_id",
    "block_id",
    "subscription_id",
    "override_id",
    "correlation_id",
    "request_id",
    "session_id",
    "parent_session_id",
    "begun_session_id",
    "credential_id",
    "successor_of",
    "mail_id",
    "reset_id",
    "webhook_id",
    "delivery_id",
    "client_id",
    "invitation_id",
    "change_id",
    "holder",
    "factor_id",
    "node_id",
];

/// Tables that name an organization and are not wiped with it, with the reason.
const NOT_WIPED: &[(&str, &str)] = &[
    ("audit_events", "a trail is never removed: its organization stays"),
    ("entitlement_events", "the same"),
    ("adopted_changes", "forgotten as the rollback goes on"),
    ("adopted_rows", "forgotten as the rollback goes on"),
    ("removed_organizations", "tells other nodes that it is gone"),
    ("sessions", "accounts turn to another organization, and sessions end by themselves"),
];

async fn columns(of: &'static str) -> Vec<(String, String)> {
    let db = postgres().await;
    migrated(&db).await;
    const COLUMNS: Statement = Statement::new(
        "select table_name::text, column_name::text from information_schema.columns \
         where table_schema = current_schema() and udt_name = 'uuid' order by 1, 2",
    );
    let rows = db.query(Scope::Installation, &COLUMNS, &[]).await.unwrap();
    let all = rows.iter().map(|row| (row.get::<String>(0).unwrap(), row.get::<String>(1).unwrap()));
    all.filter(|(_, column)| of.is_empty() || column == of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_column_that_holds_an_account_is_emptied_or_left_alone_for_a_reason() {
    let gone = adoption_account::columns();
    let mut unknown = Vec::new();
    for (table, column) in columns("").await {
        let name = format!("{table}.{column}");
        let is_left = adoption_account::LEFT_ALONE.iter().any(|(left, why)| *left == name && !why.is_empty());
        if !gone.contains(&name) && !is_left && !OTHER_IDS.contains(&column.as_str()) {
            unknown.push(name);
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_of_an_organization_is_wiped_with_it_or_left_for_a_reason() {
    let wiped = adoption_wipe::tables();
    let mut unknown = Vec::new();
    for (table, _) in columns("organization_id").await {
        let is_left = NOT_WIPED.iter().any(|(left, _)| *left == table);
        if !wiped.contains(&table.as_str()) && !is_left {
            unknown.push(table);
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}
