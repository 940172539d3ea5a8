//! Removing Charter's tables when nothing can be taken for granted: whatever stands of them by name, and nothing else. PostgreSQL only;
//! a SQLite file is Charter's as a whole.

use charter_db::{Database, Scope, Statement};

use crate::Result;

/// Tables of the schema that is looked into.
const STANDING: Statement = Statement::new(
    "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where n.nspname = current_schema() and c.relkind in ('r', 'p') order by 1",
);
/// The one table that says of the others whose they are.
const SIGNATURE: Statement = Statement::new(
    "select 1 from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
     where n.nspname = current_schema() and c.relname = 'charter_migrations' and c.relkind in ('r', 'p') \
     and a.attnum > 0 and not a.attisdropped \
     having array_agg(a.attname::text order by a.attnum) = array['number', 'name', 'checksum', 'applied_at']",
);
const SERVER: Statement = Statement::new(
    "select current_setting('server_version'), current_database()::text, current_user::text, current_schema()::text",
);
/// What a run noted of the schema it found.
const NOTED: Statement = Statement::new(
    "select detail::text from adoption_steps where step = 'schema' and state <> 'undone' order by run_no desc limit 1",
);
const SCHEMA: Statement = Statement::new("select 1 from pg_namespace where nspname = $1");

/// What is kept of tables that go, where it can be read: each row as a document.
pub const KEPT: &[(&str, Statement)] = &[
    (
        "audit_events",
        Statement::new("select row_to_json(t)::text from audit_events t order by organization_id, seq"),
    ),
    (
        "entitlement_events",
        Statement::new("select row_to_json(t)::text from entitlement_events t order by organization_id, seq"),
    ),
    ("org_subscriptions", Statement::new("select row_to_json(t)::text from org_subscriptions t")),
    ("org_entitlements", Statement::new("select row_to_json(t)::text from org_entitlements t")),
    ("org_subentitlements", Statement::new("select row_to_json(t)::text from org_subentitlements t")),
];

/// A server, as it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// The database.
    pub database: String,
    /// The account.
    pub account: String,
    /// The schema that is looked into; none where there is no such schema.
    pub schema: Option<String>,
}

/// Asks the server who it is.
pub async fn server(database: &Database) -> Result<Server> {
    let row = database.query_one(Scope::Installation, &SERVER, &[]).await?;
    Ok(Server { version: row.get(0)?, database: row.get(1)?, account: row.get(2)?, schema: row.get(3)? })
}

/// Every table that stands in the schema.
pub async fn standing(database: &Database) -> Result<Vec<String>> {
    let rows = database.query(Scope::Installation, &STANDING, &[]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Whether the schema holds the table in which Charter's migrations are noted, as Charter makes it.
pub async fn is_signed(database: &Database) -> Result<bool> {
    Ok(!database.query(Scope::Installation, &SIGNATURE, &[]).await?.is_empty())
}

/// The tables a run noted, where it noted any.
pub async fn noted(database: &Database) -> Result<Option<Vec<String>>> {
    let row = database.query_opt(Scope::Installation, &NOTED, &[]).await?;
    let Some(text) = row.map(|row| row.get::<String>(0)).transpose()? else { return Ok(None) };
    let detail: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let names = detail.get("tables").and_then(serde_json::Value::as_array).into_iter().flatten();
    let names: Vec<String> = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    Ok((!names.is_empty()).then_some(names))
}

/// Rows of one of [`KEPT`], one by one.
pub async fn for_each(
    database: &Database,
    statement: &Statement,
    mut each: impl FnMut(&str) -> Result<()> + Send,
) -> Result<()> {
    database.for_each(Scope::Installation, statement, &[], |row| each(row.get_text(0)?)).await
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Drops these tables in one transaction, all or none. What hangs on them from outside stops it, by name.
pub async fn drop_tables(database: &Database, tables: &[String]) -> Result<()> {
    let names: Vec<String> = tables.iter().map(|name| quoted(name)).collect();
    let text = format!("set local lock_timeout = '2s'; drop table {} restrict", names.join(", "));
    database.write(Scope::Installation, move |tx| Box::pin(async move { tx.batch(&text).await })).await
}

/// Whether there is a schema of this name.
pub async fn has_schema(database: &Database, name: &str) -> Result<bool> {
    Ok(!database.query(Scope::Installation, &SCHEMA, &[name.into()]).await?.is_empty())
}

/// Drops a schema with nothing in it.
pub async fn drop_schema(database: &Database, name: &str) -> Result<()> {
    let text = format!("set local lock_timeout = '2s'; drop schema {} restrict", quoted(name));
    database.write(Scope::Installation, move |tx| Box::pin(async move { tx.batch(&text).await })).await
}
