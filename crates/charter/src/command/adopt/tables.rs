//! Our own tables, as they stand in the database; and whether that is the one that a service works on.

use super::{here, legacy};
use crate::client::Client;
use crate::config::Configuration;
use crate::config::text::without_password;
use crate::failure::{Failure, Result};
use crate::installation;
use charter_adopt::beside;
use charter_db::Engine;
use charter_db::foreign::{Foreign, ForeignTable};
use std::path::Path;

/// The names of Charter's tables: those its migrations make, each of which has to be there.
pub async fn ours(configuration: &Configuration) -> Result<Vec<String>> {
    let look = async || -> std::result::Result<Vec<ForeignTable>, charter_db::Error> {
        Foreign::open(&configuration.database).await?.tables().await
    };
    let there = legacy::patiently(async || {
        look().await.map_err(|error| {
            let failure = Failure::new(format!("the database of Charter: {error}"));
            if legacy::is_passing(&error) { failure.passing() } else { failure }
        })
    });
    let there = there.await?;
    let schema = configuration.database_schema.as_deref().unwrap_or("public");
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

/// The database of the configuration, in words.
pub fn place(configuration: &Configuration) -> String {
    let place = without_password(&configuration.database);
    match &configuration.database_schema {
        Some(schema) => format!("{place}, schema {schema}"),
        None => place,
    }
}

/// Refuses a configuration whose database is not the one that the service works on: the record and the proof of a run would name what is
/// not its own, and a rescue would take that away.
pub async fn of_the_service(configuration: &Configuration, client: &Client) -> Result<()> {
    if !client.is_remote() {
        return Ok(());
    }
    let service = here::installation(client).await?;
    let schema = configuration.database_schema.as_deref().unwrap_or("public");
    let looked = async {
        let mut database = Foreign::open(&configuration.database).await?;
        beside::installation(&mut database, schema).await
    };
    let why = match looked.await {
        Ok(Some(id)) if id == beside::digits(&service.id) => return Ok(()),
        Ok(Some(_)) => "which holds another installation".to_owned(),
        Ok(None) => "which holds no installation".to_owned(),
        Err(error) => format!("which cannot be looked at ({error})"),
    };
    Err(Failure::new(format!(
        "the service works on another database than this command is told of: {}, {why}. The record and the proof of a run would name that one, \
         and a rescue would take it away. Run the command with the configuration of the service, or name its database here with --database and \
         --database-schema (CHARTER_DATABASE, CHARTER_DATABASE_SCHEMA); nothing was written",
        place(configuration)
    )))
}

/// Names of tables that are told.
const TOLD_MAX: usize = 5;

/// The file of an address of SQLite.
fn file(address: &str) -> Option<&Path> {
    address.strip_prefix("sqlite://").or_else(|| address.strip_prefix("sqlite:")).map(Path::new)
}

/// Whether two addresses name one file.
fn is_one_file(one: &str, other: &str) -> bool {
    let real = |address| file(address).and_then(|path| path.canonicalize().ok());
    real(one).is_some_and(|path| real(other) == Some(path))
}

/// Refuses a place for a new installation that cannot be one, before anything is written there: the other system's own file or schema, a schema
/// in which tables of the same names stand, or one in which this account may make none.
pub async fn fit(configuration: &Configuration, other: &str, read: &[ForeignTable]) -> Result<()> {
    let own = &configuration.database;
    if is_one_file(own, other) {
        return Err(Failure::new(format!(
            "{} is the other system's own file, and Charter's tables go into one of their own: name another with --database, or leave it out",
            without_password(own)
        )));
    }
    let is_missing = file(own).is_some_and(|path| !path.exists());
    if is_missing || installation::is_there(configuration).await {
        return Ok(());
    }
    let failed = |error: charter_db::Error| {
        Failure::new(format!("Charter's database, {}: {error}", place(configuration)))
    };
    let schema = configuration.database_schema.as_deref().unwrap_or("public");
    let mut database = Foreign::open(own).await.map_err(failed)?;
    if let Some(account) = database.kept_out_of(schema).await.map_err(failed)? {
        return Err(Failure::new(format!(
            "the account {account} may make no tables in the schema {schema} of Charter's database: as the owner of the schema, run `grant usage, \
             create on schema {schema} to {account}`, or name another with --database-schema"
        )));
    }
    let names = charter_store::migration::tables();
    let tables = database.tables().await.map_err(failed)?;
    let there = |is_it: &dyn Fn(&ForeignTable) -> bool| -> Vec<String> {
        let here = tables.iter().filter(|table| table.schema.is_empty() || table.schema == schema);
        here.filter(|table| is_it(table)).map(|table| table.name.clone()).collect()
    };
    let taken = there(&|table| names.contains(&table.name));
    // What stands beside Charter's tables is Charter's: the other system could not be read any more.
    let theirs = there(&|table| read.iter().any(|it| it.schema == table.schema && it.name == table.name));
    let (what, found) = match (taken.is_empty(), theirs.is_empty()) {
        (true, true) => return Ok(()),
        (false, _) => ("tables of the names that Charter's have stand", taken),
        (true, false) => ("tables of the names that the other system's have stand", theirs),
    };
    let first = found.get(..found.len().min(TOLD_MAX)).unwrap_or_default();
    Err(Failure::new(format!(
        "{what} in {} already, and are not Charter's ({}{}): {}",
        place(configuration),
        first.join(", "),
        charter_adopt::plan::more(found.len() as u64, first.len()),
        match database.engine() {
            Engine::Postgres => "give Charter a schema of its own, --database-schema charter",
            Engine::Sqlite => "give Charter a file of its own, --database sqlite:PATH",
        }
    )))
}
