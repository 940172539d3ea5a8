//! Migrations: the files of `migrations/`, made and unmade one transaction each.
//!
//! A file is one text for both engines; `render` puts in the engine's types. Each file's checksum is kept, and a database whose files
//! differ from this program's, or which is newer, is refused. The PostgreSQL advisory lock below, which lets one node migrate
//! while others wait, is the only one in Charter: migrations are run by hand or at start, not by a request.

use core::fmt;

use charter_db::{Database, Engine, Error, Row, Scope, Statement, Tx, Value};
use charter_kernel::Timestamp;
use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

mod beside;
mod text;

use beside::{lock, make_schema, patiently};
use text::render;

struct Migration {
    number: u32,
    name: &'static str,
    up: &'static str,
    down: &'static str,
}

macro_rules! migrations {
    ($($number:literal $name:literal)*) => {
        const MIGRATIONS: &[Migration] = &[$(Migration {
            number: $number,
            name: $name,
            up: include_str!(concat!("../../../../migrations/", $name, ".sql")),
            down: include_str!(concat!("../../../../migrations/", $name, ".down.sql")),
        }),*];
    };
}

migrations! {
    1 "0001_organizations"
    2 "0002_principals"
    3 "0003_memberships"
    4 "0004_conditions"
    5 "0005_teams"
    6 "0006_roles"
    7 "0007_grants"
    8 "0008_assignments"
    9 "0009_blocks"
    10 "0010_resources"
    11 "0011_catalogue"
    12 "0012_entitlements"
    13 "0013_audit_events"
    14 "0014_sessions"
    15 "0015_credentials"
    16 "0016_signing_keys"
    17 "0017_idempotency_keys"
    18 "0018_settings"
    19 "0019_due"
    20 "0020_token_floors"
    21 "0021_mail_outbox"
    22 "0022_password_resets"
    23 "0023_webhooks"
    24 "0024_identity_settings"
    25 "0025_cookie_sessions"
    26 "0026_sign_in_counters"
    27 "0027_support_sessions"
    28 "0028_api_keys"
    29 "0029_oauth"
    30 "0030_id_tokens_rs256"
    31 "0031_registration"
    32 "0032_email_changes"
    33 "0033_vault"
    34 "0034_second_factors"
    35 "0035_second_factor_demands"
    36 "0036_oauth_audiences"
    37 "0037_people"
    38 "0038_keys_in_use"
    39 "0039_names_of_former_secrets"
    40 "0040_oauth_audience_holders"
    41 "0041_agreements_of_deactivated_accounts"
    42 "0042_adoption"
    43 "0043_shadow"
    44 "0044_runs_that_follow"
    45 "0045_shadow_pairs"
    46 "0046_removals"
    47 "0047_runs_go_on"
    48 "0048_partial_indexes"
    49 "0049_taken_back"
    50 "0050_remembered"
    51 "0051_remembered_rows"
}

const PRESENT: Statement = Statement::forked(
    "select 1 from sqlite_schema where type = 'table' and name = 'charter_migrations'",
    "select 1 where to_regclass('charter_migrations') is not null",
);
const APPLIED: Statement =
    Statement::new("select number, name, checksum, applied_at from charter_migrations order by number");
const NUMBERS: Statement = Statement::new("select number from charter_migrations");
const RECORD: Statement = Statement::new(
    "insert into charter_migrations (number, name, checksum, applied_at) values ($1, $2, $3, $4)",
);
const FORGET: Statement = Statement::new("delete from charter_migrations where number = $1");
const TABLES: Statement = Statement::new(
    "select tablename::text from pg_tables where schemaname = current_schema() order by tablename",
);
const WHO: Statement = Statement::new("select current_user::text, current_schema()::text");

const TABLE: &str = "create table if not exists charter_migrations (
    number {int} not null primary key,
    name {text} not null,
    checksum {text} not null,
    applied_at {time} not null
){strict}";

/// Tables whose rows are only ever added: the application's role may neither change nor delete them.
const APPEND_ONLY: &[&str] = &["audit_events", "entitlement_events"];

/// Why the tables were left as they are.
#[derive(Debug, Clone)]
pub enum MigrationError {
    /// The database refused.
    Database(Error),
    /// The file differs from the one the database was made with.
    Changed {
        /// The file.
        name: String,
    },
    /// The database was made by a later version of Charter.
    Newer {
        /// The first migration this program does not know.
        name: String,
    },
    /// The schema is missing and may not be made.
    Schema {
        /// Its name.
        name: String,
        /// The account that may not.
        account: String,
    },
    /// Not a name of a role: lower-case letters, digits and underscores are expected.
    NotARole {
        /// What was given.
        name: String,
    },
}

impl From<Error> for MigrationError {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for MigrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => write!(f, "the tables could not be migrated: {error}"),
            Self::Changed { name } => write!(
                f,
                "migration {name} differs from the one this database was made with; run the version of Charter that made it, or restore the file"
            ),
            Self::Newer { name } => write!(
                f,
                "the database has migration {name}, which this version of Charter does not know; run the later version, or migrate down with it first"
            ),
            Self::Schema { name, account } => write!(
                f,
                "the schema {name} is missing and the account {account} may not make it: as the owner of the database, run `create schema {name} authorization {account}`"
            ),
            Self::NotARole { name } => write!(
                f,
                "{name:?} is not a name for the application's role: lower-case letters, digits and _ are expected"
            ),
        }
    }
}

impl core::error::Error for MigrationError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

/// A migration and when it was applied, if it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// When it was applied.
    pub applied_at: Option<Timestamp>,
}

/// The number of the newest migration this program knows.
#[must_use]
pub fn newest() -> u32 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

/// The tables that stand when every migration this program knows is applied, by name.
#[must_use]
pub fn tables() -> Vec<String> {
    made_by(|_| true)
}

/// The tables that the migrations made which are noted as applied, by name; the table of the notes is there.
pub async fn applied_tables(database: &Database) -> Result<Vec<String>, Error> {
    let rows = database.query(Scope::Installation, &NUMBERS, &[]).await?;
    let numbers: BTreeSet<u32> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    Ok(made_by(|number| numbers.contains(&number)))
}

fn made_by(is_applied: impl Fn(u32) -> bool) -> Vec<String> {
    let mut tables = BTreeSet::from(["charter_migrations".to_owned()]);
    for migration in MIGRATIONS.iter().filter(|migration| is_applied(migration.number)) {
        for line in render(Engine::Postgres, migration.up).lines() {
            let words: Vec<&str> = line.split([' ', '(', ';']).filter(|word| !word.is_empty()).collect();
            match words.as_slice() {
                ["create", "table", name, ..] => _ = tables.insert((*name).to_owned()),
                ["drop", "table", name, ..] => _ = tables.remove(*name),
                ["alter", "table", old, "rename", "to", new, ..] => {
                    tables.remove(*old);
                    tables.insert((*new).to_owned());
                }
                _ => {}
            }
        }
    }
    tables.into_iter().collect()
}

/// Applies what is missing, oldest first; gives the names of what was applied.
pub async fn migrate_up(database: &Database, now: Timestamp) -> Result<Vec<&'static str>, MigrationError> {
    let engine = database.engine();
    let mut applied = Vec::new();
    loop {
        let schema = database.schema().map(str::to_owned);
        let step = patiently(database, move || {
            let schema = schema.clone();
            database.write(Scope::Installation, move |tx| {
                Box::pin(async move { up(tx, engine, schema.as_deref(), now).await })
            })
        })
        .await?;
        match step {
            Some(name) => applied.push(name),
            None => return Ok(applied),
        }
    }
}

/// Unmakes every migration after number `to`, newest first; gives their names. Zero leaves an empty database.
pub async fn migrate_down(database: &Database, to: u32) -> Result<Vec<&'static str>, MigrationError> {
    let engine = database.engine();
    let mut undone = Vec::new();
    loop {
        let schema = database.schema().map(str::to_owned);
        let step = patiently(database, move || {
            let schema = schema.clone();
            database.write(Scope::Installation, move |tx| {
                Box::pin(async move { down(tx, engine, schema.as_deref(), to).await })
            })
        })
        .await?;
        match step {
            Some(name) => undone.push(name),
            None => return Ok(undone),
        }
    }
}

/// Whether migrations were ever applied, in the schema that is looked into.
pub async fn is_begun(database: &Database) -> Result<bool, Error> {
    Ok(!database.query(Scope::Installation, &PRESENT, &[]).await?.is_empty())
}

/// Every migration this program knows, as it is where there is no database yet.
#[must_use]
pub fn unapplied() -> Vec<MigrationState> {
    let state = |migration: &Migration| MigrationState {
        number: migration.number,
        name: migration.name,
        applied_at: None,
    };
    MIGRATIONS.iter().map(state).collect()
}

/// Every migration this program knows, with when it was applied; refuses like [`migrate_up`], and changes nothing.
pub async fn states(database: &Database) -> Result<Vec<MigrationState>, MigrationError> {
    let present = database.query(Scope::Installation, &PRESENT, &[]).await?;
    let rows = if present.is_empty() {
        Vec::new()
    } else {
        database.query(Scope::Installation, &APPLIED, &[]).await?
    };
    let applied = verify(&rows)?;
    let state = |migration: &Migration| MigrationState {
        number: migration.number,
        name: migration.name,
        applied_at: applied.iter().find(|(number, _)| *number == migration.number).map(|(_, at)| *at),
    };
    Ok(MIGRATIONS.iter().map(state).collect())
}

/// Lets another role than the owner of the tables use them: read and write, but only add to the trails. Does nothing on SQLite, and when the role
/// is the owner itself. To be called after each migration.
pub async fn grant_application_role(database: &Database, role: &str) -> Result<bool, MigrationError> {
    let named = !role.is_empty()
        && role.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && role.len() < 64;
    if !named {
        return Err(MigrationError::NotARole { name: role.to_owned() });
    }
    if database.engine() == Engine::Sqlite {
        return Ok(false);
    }
    let role = role.to_owned();
    database.write(Scope::Installation, move |tx| Box::pin(async move { grant(tx, &role).await })).await
}

async fn grant(tx: &mut Tx, role: &str) -> Result<bool, MigrationError> {
    let who = tx.query_one(&WHO, &[]).await?;
    let (owner, schema): (String, String) = (who.get(0)?, who.get(1)?);
    if owner == role {
        return Ok(false);
    }
    let mut text = format!("grant usage on schema \"{schema}\" to \"{role}\";\n");
    for row in tx.query(&TABLES, &[]).await? {
        let table: String = row.get(0)?;
        let rights = match table.as_str() {
            "charter_migrations" => "select",
            table if APPEND_ONLY.contains(&table) => "select, insert",
            _ => "select, insert, update, delete",
        };
        text.push_str(&format!(
            "revoke all on \"{table}\" from \"{role}\"; grant {rights} on \"{table}\" to \"{role}\";\n"
        ));
    }
    tx.batch(&text).await?;
    Ok(true)
}

async fn up(
    tx: &mut Tx,
    engine: Engine,
    schema: Option<&str>,
    now: Timestamp,
) -> Result<Option<&'static str>, MigrationError> {
    if engine == Engine::Postgres {
        lock(tx, schema).await?;
    }
    if let Some(schema) = schema {
        make_schema(tx, schema).await?;
    }
    if tx.query(&PRESENT, &[]).await?.is_empty() {
        tx.batch(&render(engine, TABLE)).await?;
    }
    let applied = verify(&tx.query(&APPLIED, &[]).await?)?;
    let missing = |migration: &&Migration| applied.iter().all(|(number, _)| *number != migration.number);
    let Some(next) = MIGRATIONS.iter().find(missing) else { return Ok(None) };
    tx.batch(&render(engine, next.up)).await?;
    let params = &[
        Value::from(next.number),
        Value::from(next.name),
        Value::from(checksum(next.up)),
        Value::Time(now.0),
    ];
    tx.execute(&RECORD, params).await?;
    Ok(Some(next.name))
}

async fn down(
    tx: &mut Tx,
    engine: Engine,
    schema: Option<&str>,
    to: u32,
) -> Result<Option<&'static str>, MigrationError> {
    if engine == Engine::Postgres {
        lock(tx, schema).await?;
    }
    if tx.query(&PRESENT, &[]).await?.is_empty() {
        return Ok(None);
    }
    let applied = verify(&tx.query(&APPLIED, &[]).await?)?;
    let newest = applied.iter().map(|(number, _)| *number).filter(|number| *number > to).max();
    let Some(last) = newest.and_then(|number| MIGRATIONS.iter().find(|one| one.number == number)) else {
        if applied.is_empty() {
            tx.batch("drop table charter_migrations").await?;
        }
        return Ok(None);
    };
    tx.batch(&render(engine, last.down)).await?;
    tx.execute(&FORGET, &[Value::from(last.number)]).await?;
    Ok(Some(last.name))
}

/// Number and time of the applied migrations, if each is known here and unchanged.
fn verify(rows: &[Row]) -> Result<Vec<(u32, Timestamp)>, MigrationError> {
    let mut applied = Vec::with_capacity(rows.len());
    for row in rows {
        let (number, name): (u32, String) = (row.get(0)?, row.get(1)?);
        let Some(known) = MIGRATIONS.iter().find(|migration| migration.number == number) else {
            return Err(MigrationError::Newer { name });
        };
        if row.get::<String>(2)? != checksum(known.up) {
            return Err(MigrationError::Changed { name });
        }
        applied.push((number, Timestamp(row.get::<charter_db::Time>(3)?.0)));
    }
    Ok(applied)
}

fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
