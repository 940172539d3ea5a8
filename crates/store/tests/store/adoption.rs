//! Whatever holds an account or stands in an organization is known to the rollback of adoptions: a table that nobody thought of is found here.

use charter_db::{Scope, Statement};
use charter_kernel::PrincipalId;
use charter_store::adoption_row::{self, NewUser};
use charter_store::adoption_run::{self, Run, RunEngine, RunState};
use charter_store::adoption_undo::Range;
use charter_store::{adoption_account, adoption_hold, adoption_wipe};
use charter_testkit::both_engines;
use charter_testkit::database::{TestDatabase, postgres};

use crate::world::{NOW, at, key, migrated};

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

fn run(number: u64) -> Run {
    Run {
        number,
        source: key("legacy"),
        system: "role_column".to_owned(),
        engine: RunEngine::Sqlite,
        plan_hash: "a".repeat(64),
        facts_fingerprint: "b".repeat(64),
        state: RunState::Applying,
        error: None,
        started_at: NOW,
        ended_at: None,
    }
}

async fn waiting(db: &TestDatabase) -> Vec<String> {
    const WAITING: Statement =
        Statement::new("select login from principals where status = 'suspended' order by login");
    let rows = db.query(Scope::Installation, &WAITING, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

// A page opens its own accounts; what a person suspends behind it stays suspended, and accounts of other runs wait for theirs.
both_engines!(accounts_of_a_run_are_opened_page_by_page, async |db: TestDatabase| {
    migrated(&db).await;
    let user = |id: u128, login: &str| NewUser {
        id: PrincipalId(id),
        login: login.to_owned(),
        name: login.to_owned(),
        status: "suspended",
        password_hash: None,
    };
    let range = Range { run: 1, from: 1 << 80, to: 2 << 80 };
    let users = [
        user(range.from, "a"),
        user(range.from + 1, "b"),
        user(range.from + 2, "c"),
        user(range.to - 1, "d"),
        user(range.to, "other run"),
    ];
    crate::write!(db, tx => async {
        adoption_run::insert(tx, &run(1), "{}").await?;
        adoption_row::insert_users(tx, &users, NOW).await
    })
    .unwrap();
    let open = async || crate::write!(db, tx => adoption_hold::open(tx, range, 2, at(1))).unwrap();
    assert!(open().await);
    assert_eq!(waiting(&db).await, ["c", "d", "other run"]);
    const SUSPEND: Statement = Statement::new("update principals set status = 'suspended' where login = 'a'");
    crate::write!(db, tx => tx.execute(&SUSPEND, &[])).unwrap();
    // Whoever goes on needs to know nothing: the run remembers what is open, also when its proof was taken back meanwhile.
    assert!(!open().await);
    assert_eq!(waiting(&db).await, ["a", "other run"]);
    let opened = async || {
        let platform = charter_kernel::OrganizationId(1);
        crate::write!(db, tx => adoption_hold::opened(tx, 1, platform, at(2))).unwrap()
    };
    opened().await;
    assert!(open().await, "a second opening looks at all of them");
    assert!(!open().await);
    assert_eq!(waiting(&db).await, ["a", "other run"]);
});
