//! Our own tables, as they stand in the database.

use crate::config::Configuration;
use crate::failure::{Failure, Result};
use charter_db::foreign::Foreign;

/// The names of Charter's tables: those its migrations make, each of which has to be there.
pub async fn ours(configuration: &Configuration) -> Result<Vec<String>> {
    let failed = |error: charter_db::Error| Failure::new(format!("the database of Charter: {error}"));
    let mut database = Foreign::open(&configuration.database).await.map_err(failed)?;
    let schema = configuration.database_schema.as_deref().unwrap_or("public");
    let there = database.tables().await.map_err(failed)?;
    let is_there = |name: &str| {
        there.iter().any(|table| table.name == name && (table.schema.is_empty() || table.schema == schema))
    };
    let names = charter_store::migration::tables();
    let missing: Vec<&str> = names.iter().map(String::as_str).filter(|name| !is_there(name)).collect();
    if missing.is_empty() {
        return Ok(names);
    }
    Err(Failure::new(format!(
        "{} of Charter's tables are not there ({}): `charter migrate status` tells more",
        missing.len(),
        missing.join(", ")
    )))
}
