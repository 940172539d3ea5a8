//! Step 1: what can be reached.

use super::aside::{self, Found};
use super::{Rescue, removal, report::Step};
use crate::command::adopt::legacy;
use crate::config::text;
use crate::installation;
use charter_db::foreign::{Foreign, ForeignRow};
use charter_db::{Database, Engine, Error};
use charter_store::{migration, rescue as tables};
use serde_json::json;

/// Charter's own database, in a file: it is looked at, and opened by nobody.
fn own_file(rescue: &Rescue<'_>, step: &mut Step) {
    let path = aside::path(rescue.configuration);
    let place = path.display();
    let is_recorded = rescue.record.is_some() && removal::elsewhere(rescue).is_none();
    match &rescue.found {
        Found::Charters if aside::is_in_use(&path) => {
            let options = installation::options(rescue.configuration);
            step.fail(format!("Charter's database: {}", aside::is_held(&path, &options)));
        }
        Found::Charters => {
            let size = std::fs::metadata(&path).map_or(0, |found| found.len());
            step.tell(format!("Charter's database: the SQLite file {place}, {size} bytes"));
            step.note("charter", json!({ "engine": "sqlite", "bytes": size }));
        }
        Found::Nothing => match aside::earlier(&path).last() {
            Some(earlier) => step.tell(format!(
                "Charter's database: {place} was moved aside already, to {}",
                earlier.display()
            )),
            None => step.fail(format!("Charter's database: there is no file {place}")),
        },
        Found::Stranger(why) => step.fail(format!("Charter's database: {why}")),
        Found::Empty if is_recorded => step.tell(format!(
            "Charter's database: the SQLite file {place} holds no tables, and is moved aside as it is"
        )),
        Found::Empty => step.fail(format!(
            "Charter's database: {place} holds no tables, and nothing says that it is Charter's"
        )),
        // A file that is damaged is moved aside as it is: there is nothing that anybody has to mend first.
        Found::Unread(error @ Error::Corrupt(_)) if is_recorded => step.tell(format!(
            "Charter's database: the SQLite file {place} is damaged ({error}), and is moved aside as it is"
        )),
        Found::Unread(error) => {
            step.fail(format!("Charter's database: {place} cannot be looked at: {error}"));
        }
    }
}

/// Charter's own database.
async fn own(rescue: &Rescue<'_>, step: &mut Step) {
    if !rescue.is_postgres() {
        return own_file(rescue, step);
    }
    let place = text::without_password(&rescue.configuration.database);
    let database = match Database::open(&installation::options(rescue.configuration)).await {
        Ok(database) => database,
        Err(error) => return step.fail(format!("Charter's database, {place}: {error}")),
    };
    let looked = async {
        let server = tables::server(&database).await?;
        let standing = tables::standing(&database).await?;
        Ok::<_, Error>((server, standing))
    };
    match looked.await {
        Ok((server, standing)) => {
            let known = migration::tables();
            let count = known.iter().filter(|name| standing.contains(name)).count();
            let schema = server.schema.as_deref().map_or_else(
                || "its schema is not there".to_owned(),
                |schema| format!("{count} of Charter's {} tables stand in the schema {schema}", known.len()),
            );
            step.tell(format!(
                "Charter's database: PostgreSQL {}, database {}, as {}; {schema}",
                server.version, server.database, server.account
            ));
            step.note("charter", json!({ "engine": "postgres", "version": server.version, "tables": count }));
        }
        Err(error) => step.fail(format!("Charter's database, {place}: {error}")),
    }
    // It was only looked at: what closing it says changes nothing.
    let _closed = database.close().await;
}

/// The other system's.
async fn other(rescue: &Rescue<'_>, step: &mut Step) {
    let from = match &rescue.from {
        Ok(from) => from,
        Err(why) => return step.fail(format!("the other system's database: {why}")),
    };
    if legacy::is_file(from) {
        return step
            .tell(format!("the other system was read from the file {from}: no database is connected to"));
    }
    let place = text::without_password(from);
    let looked = async {
        let mut foreign = Foreign::open(from).await?;
        let (engine, query) = match foreign.engine() {
            Engine::Sqlite => ("SQLite", "select sqlite_version()"),
            Engine::Postgres => ("PostgreSQL", "select pg_catalog.current_setting('server_version')"),
        };
        let mut version = String::new();
        let mut each = |row: ForeignRow<'_>| {
            version.extend(row.iter().flatten().copied());
            Ok(())
        };
        foreign.for_each(query, &mut each).await?;
        let tables = charter_adopt::beside::others(foreign.tables().await?);
        Ok::<_, Error>((engine, version, tables.len()))
    };
    match looked.await {
        Ok((engine, version, tables)) => {
            step.tell(format!("the other system's database: {engine} {version}, {tables} tables at {place}"));
            step.note(
                "other",
                json!({ "engine": engine.to_lowercase(), "version": version, "tables": tables }),
            );
        }
        Err(error) => step.fail(format!("the other system's database, {place}: {error}")),
    }
}

/// Step 1.
pub async fn run(rescue: &Rescue<'_>, step: &mut Step) {
    own(rescue, step).await;
    other(rescue, step).await;
    if let Some(record) = &rescue.record {
        step.tell(format!(
            "the record of run {}, begun at {}: organizations {}, tables there {}",
            record.run,
            record.started_at,
            record.organizations.len(),
            record.legacy.tables.len()
        ));
    }
}
