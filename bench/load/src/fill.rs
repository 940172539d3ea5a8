//! Filling: organizations founded a minute apart, each with members who joined within the hour after, one role each, and the modules of a
//! small plan. Ids are ordered by time, as the application makes them.

use charter_db::{BoxFuture, Database, Engine, Error, Scope, Statement, Tx, Value};
use charter_kernel::{OrganizationId, uuid_v7};
use std::collections::HashMap;
use std::fmt::Write as _;

use crate::MEMBERS;

const FOUNDED_MS: u64 = 1_700_000_000_000;
const MINUTE_MS: u64 = 60_000;
const ROLES: [&str; 5] = ["viewer", "accountant", "sales_officer", "warehouse_operator", "manager"];
const MODULES: [&str; 5] = ["crm", "finance", "inventory", "reports", "sales"];
/// Organizations written in one transaction.
const AT_ONCE: usize = 100;

fn random(number: u64) -> u128 {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u128::from(state)
    };
    next() << 64 | next()
}

/// The id of the n-th organization.
pub fn organization_id(number: usize) -> OrganizationId {
    OrganizationId(uuid_v7(FOUNDED_MS + number as u64 * MINUTE_MS, random(number as u64)))
}

fn member_id(organization: usize, member: usize) -> u128 {
    let joined = random((organization * MEMBERS + member) as u64 | 1 << 40);
    let at = FOUNDED_MS + organization as u64 * MINUTE_MS + (joined % 3_600_000) as u64;
    uuid_v7(at, random((organization * MEMBERS + member) as u64 | 1 << 41))
}

/// One table's rows, written many at a time.
struct Table {
    head: &'static str,
    /// A row, with `?` for each parameter of its own.
    row: &'static str,
    rows: Vec<Vec<Value>>,
}

/// Texts already made, which live as long as the program, as statements do.
#[derive(Default)]
struct Texts(HashMap<(&'static str, usize), Statement>);

impl Texts {
    fn of(&mut self, table: &Table) -> Statement {
        *self.0.entry((table.head, table.rows.len())).or_insert_with(|| {
            let mut text = format!("{} values ", table.head);
            let mut next = 1;
            for at in 0..table.rows.len() {
                if at > 0 {
                    text.push(',');
                }
                for character in table.row.chars() {
                    if character == '?' {
                        write!(text, "${next}").expect("a text grows");
                        next += 1;
                    } else {
                        text.push(character);
                    }
                }
            }
            Statement::new(Box::leak(text.into_boxed_str()))
        })
    }
}

fn tables(from: usize, to: usize) -> Vec<Table> {
    let now = Value::Time(FOUNDED_MS as i64 * 1000);
    let table = |head, row| Table { head, row, rows: Vec::new() };
    let mut organizations = table(
        "insert into organizations (organization_id, organization_key, name, kind, status, assertable, created_at, updated_at)",
        "(?, ?, ?, 'customer', 'active', ?, ?, ?)",
    );
    let mut keys = table("insert into organization_keys (organization_key, organization_id)", "(?, ?)");
    let mut revisions =
        table("insert into organization_revisions (organization_id, revision, changed_at)", "(?, 1, ?)");
    let mut principals = table(
        "insert into principals (principal_id, kind, login, login_folded, name, status, created_at, updated_at)",
        "(?, 'user', ?, ?, ?, 'active', ?, ?)",
    );
    let mut logins = table("insert into logins (login_folded, principal_id)", "(?, ?)");
    let mut memberships = table(
        "insert into memberships (organization_id, principal_id, attributes, created_at, updated_at)",
        "(?, ?, ?, ?, ?)",
    );
    let mut directory = table("insert into principal_memberships (principal_id, organization_id)", "(?, ?)");
    let mut assignments = table(
        "insert into assignments (organization_id, assignment_id, role_key, principal_id, reason, given_at)",
        "(?, ?, ?, ?, '', ?)",
    );
    let mut entitlements = table(
        "insert into org_entitlements (organization_id, module_key, source, source_id, status, starts_at, reason, row_version, changed_at)",
        "(?, ?, 'plan', ?, 'enabled', ?, '', 1, ?)",
    );
    let json = |text: &str| Value::Json(text.to_owned());
    for number in from..to {
        let organization = Value::Id(organization_id(number).0);
        let key = Value::from(format!("org{number}"));
        let name = Value::from(format!("Organization {number}"));
        let row = vec![organization.clone(), key.clone(), name, json("[]"), now.clone(), now.clone()];
        organizations.rows.push(row);
        keys.rows.push(vec![key, organization.clone()]);
        revisions.rows.push(vec![organization.clone(), now.clone()]);
        for member in 0..MEMBERS {
            let unique = (number * MEMBERS + member) as u64;
            let id = Value::Id(member_id(number, member));
            let login = Value::from(format!("user{unique}@org{number}.example"));
            let name = Value::from(format!("User {unique}"));
            let row = vec![id.clone(), login.clone(), login.clone(), name, now.clone(), now.clone()];
            principals.rows.push(row);
            logins.rows.push(vec![login, id.clone()]);
            memberships.rows.push(vec![
                organization.clone(),
                id.clone(),
                json("{}"),
                now.clone(),
                now.clone(),
            ]);
            directory.rows.push(vec![id.clone(), organization.clone()]);
            let at = FOUNDED_MS + number as u64 * MINUTE_MS + member as u64;
            let assignment = Value::Id(uuid_v7(at, random(unique | 1 << 42)));
            let role = Value::from(ROLES[unique as usize % ROLES.len()]);
            assignments.rows.push(vec![organization.clone(), assignment, role, id, now.clone()]);
        }
        for module in MODULES {
            let source =
                Value::from(charter_kernel::SubscriptionId(random(number as u64 | 1 << 43)).to_string());
            entitlements.rows.push(vec![
                organization.clone(),
                module.into(),
                source,
                now.clone(),
                now.clone(),
            ]);
        }
    }
    vec![
        organizations,
        keys,
        revisions,
        principals,
        logins,
        memberships,
        directory,
        assignments,
        entitlements,
    ]
}

/// Writes all organizations, then brings the planner's statistics up to date.
pub async fn fill(database: &Database, organizations: usize) {
    let is_postgres = database.engine() == Engine::Postgres;
    let mut texts = Texts::default();
    for from in (0..organizations).step_by(AT_ONCE) {
        let statements: Vec<(Statement, Vec<Value>)> = tables(from, (from + AT_ONCE).min(organizations))
            .into_iter()
            .map(|table| (texts.of(&table), table.rows.into_iter().flatten().collect()))
            .collect();
        let written = database.write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                if is_postgres {
                    tx.batch("set local session_replication_role = replica").await?;
                }
                for (statement, values) in &statements {
                    tx.execute(statement, values).await?;
                }
                Ok(())
            }) as BoxFuture<'_, Result<(), Error>>
        });
        written.await.expect("the rows are written");
    }
    let statistics = if is_postgres { "vacuum analyze" } else { "analyze" };
    database.maintain(statistics).await.expect("statistics");
}
