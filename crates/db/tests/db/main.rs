//! The seam keeps its promises on both engines.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod foreign;
mod names;
mod notifications;
mod own_schema;
mod reads;
mod recovery;
mod scopes;
mod sqlite_file;
mod templates;
mod values;
mod writes;

use charter_db::{Database, Engine, Error, Scope, Statement, Value};

const INSTALLATION: Scope = Scope::Installation;

/// Runs DDL given for both engines, with `$id`, `$time`, `$json`, `$bytes`, `$bool` and `$int` for the types.
async fn schema(database: &Database, text: &str) {
    let types = match database.engine() {
        Engine::Sqlite => ["blob", "integer", "text", "blob", "integer", "integer"],
        Engine::Postgres => ["uuid", "timestamptz", "jsonb", "bytea", "boolean", "bigint"],
    };
    let mut text = text.to_owned();
    for (name, ty) in ["$id", "$time", "$json", "$bytes", "$bool", "$int"].iter().zip(types) {
        text = text.replace(name, ty);
    }
    database
        .write::<_, (), Error>(INSTALLATION, move |tx| Box::pin(async move { tx.batch(&text).await }))
        .await
        .unwrap();
}

/// Runs one writing statement.
async fn execute(database: &Database, statement: Statement, params: Vec<Value>) -> Result<u64, Error> {
    database
        .write(INSTALLATION, move |tx| Box::pin(async move { tx.execute(&statement, &params).await }))
        .await
}

async fn count(database: &Database, statement: &Statement) -> i64 {
    database.query_one(INSTALLATION, statement, &[]).await.unwrap().get(0).unwrap()
}
