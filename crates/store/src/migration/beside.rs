//! Migrations on PostgreSQL beside others: other nodes of the installation, other installations and other programs in the same database.

use core::time::Duration;

use charter_db::{Database, Engine, Error, Statement, Tx, Value};

use super::MigrationError;

/// Taken first, so that nodes starting at once migrate one after the other; waiting for a table is bounded, waiting for the other node
/// by the statement timeout.
const LOCK: i64 = 4_858_190_423_515_620;
/// How often a step is tried that waited in vain for a table which somebody else holds.
const ATTEMPTS: u32 = 5;
/// How long the others go first before it is tried again.
const PAUSE: Duration = Duration::from_millis(500);

const SCHEMA: Statement = Statement::new("select 1 from pg_namespace where nspname = $1");
const MAY_MAKE_SCHEMAS: Statement =
    Statement::new("select current_user::text, has_database_privilege(current_database(), 'create')");

/// Does a step again that waited in vain for a table: in between, whoever waits behind it goes on.
pub(super) async fn patiently<T, F, W>(database: &Database, mut step: F) -> Result<T, MigrationError>
where
    F: FnMut() -> W,
    W: Future<Output = Result<T, MigrationError>>,
{
    let mut attempt = 1;
    loop {
        match step().await {
            Err(MigrationError::Database(Error::Busy(_)))
                if attempt < ATTEMPTS && database.engine() == Engine::Postgres =>
            {
                tokio::time::sleep(PAUSE * attempt).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// One lock for each schema: installations beside each other migrate without waiting for one another.
pub(super) async fn lock(tx: &mut Tx, schema: Option<&str>) -> Result<(), MigrationError> {
    let key =
        schema.map_or_else(|| LOCK.to_string(), |schema| format!("hashtextextended('{schema}', {LOCK})"));
    tx.batch(&format!("select pg_advisory_xact_lock({key}); set local lock_timeout = '2s'")).await?;
    Ok(())
}

/// Asked for first: `if not exists` would want the right to make schemas even where there is nothing to make.
pub(super) async fn make_schema(tx: &mut Tx, schema: &str) -> Result<(), MigrationError> {
    if !tx.query(&SCHEMA, &[Value::from(schema)]).await?.is_empty() {
        return Ok(());
    }
    let row = tx.query_one(&MAY_MAKE_SCHEMAS, &[]).await?;
    if !row.get::<bool>(1)? {
        return Err(MigrationError::Schema { name: schema.to_owned(), account: row.get(0)? });
    }
    tx.batch(&format!("create schema \"{schema}\"")).await?;
    Ok(())
}
