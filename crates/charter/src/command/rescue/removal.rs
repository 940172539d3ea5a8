//! Step 2: Charter's tables go, by name and no others.

use super::{Rescue, aside, report::Step};
use crate::command::adopt::record;
use crate::config::text;
use crate::folder::{make_folder, write_private};
use crate::installation;
use charter_db::{Database, Error};
use charter_store::{migration, rescue as tables};
use serde_json::json;
use std::time::Duration;

/// How often tables are asked for that somebody else holds.
const ATTEMPTS: u32 = 8;
/// How long the others go first.
const PAUSE: Duration = Duration::from_secs(1);

/// Which tables are meant, and who says so.
struct List {
    names: Vec<String>,
    origin: String,
}

async fn list(rescue: &Rescue<'_>, database: &Database) -> List {
    if let Some(record) = rescue.record.as_ref().filter(|record| !record.tables.is_empty()) {
        let origin = format!("the record of run {}", record.run);
        return List { names: record.tables.clone(), origin };
    }
    if let Ok(Some(names)) = tables::noted(database).await {
        return List { names, origin: "what the run noted in the database".to_owned() };
    }
    List { names: migration::tables(), origin: "the migrations this version of Charter knows".to_owned() }
}

/// Why these tables are not Charter's for certain.
async fn doubt(rescue: &Rescue<'_>, database: &Database) -> Result<Option<String>, Error> {
    let configuration = rescue.configuration;
    if let Some(record) = &rescue.record {
        let here = text::without_password(&configuration.database);
        if record.database != here || record.database_schema != configuration.database_schema {
            let of = |schema: &Option<String>| {
                schema.as_ref().map_or_else(String::new, |schema| format!(", schema {schema}"))
            };
            return Ok(Some(format!(
                "the record is about {}{}, and the configuration names {here}{}: say --database and --database-schema as they were, \
                 or move the record away",
                record.database,
                of(&record.database_schema),
                of(&configuration.database_schema)
            )));
        }
    }
    // In a schema of its own they are Charter's. Elsewhere the table of migrations has to say so.
    if configuration.database_schema.is_some() || tables::is_signed(database).await? {
        return Ok(None);
    }
    Ok(Some(
        "tables of these names stand there, and without the table charter_migrations nothing says that they are Charter's".to_owned(),
    ))
}

/// Writes down what is worth keeping, as far as it can be read.
async fn keep(rescue: &Rescue<'_>, database: &Database, standing: &[String], step: &mut Step) {
    let folder = record::folder(&rescue.configuration.data).join(format!("rescue-{}", rescue.stamp()));
    let made = make_folder(&rescue.configuration.data)
        .and_then(|()| make_folder(&record::folder(&rescue.configuration.data)))
        .and_then(|()| make_folder(&folder));
    if let Err(wrong) = made {
        return step.tell(format!("nothing is kept: {wrong}"));
    }
    for (name, statement) in tables::KEPT {
        if !standing.iter().any(|table| table == name) {
            step.tell(format!("{name} is not there, and so is not kept"));
            continue;
        }
        let (mut text, mut rows) = (String::new(), 0_u64);
        let read = tables::for_each(database, statement, |row| {
            text.push_str(row);
            text.push('\n');
            rows += 1;
            Ok(())
        });
        let path = folder.join(format!("{name}.jsonl"));
        let kept = match read.await {
            Ok(()) => write_private(&path, &text),
            Err(error) => Err(error.to_string()),
        };
        match kept {
            Ok(()) => step.tell(format!("{rows} rows of {name} are kept in {}", path.display())),
            Err(wrong) => step.tell(format!("{name} could not be kept: {wrong}")),
        }
    }
}

/// Drops them, as often as somebody else holds one of them.
async fn drop_all(database: &Database, names: &[String]) -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        match tables::drop_tables(database, names).await {
            Err(Error::Busy(_)) if attempt < ATTEMPTS => {
                tokio::time::sleep(PAUSE).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// What the database says, without its advice to drop what others have too.
fn plainly(error: &Error) -> String {
    let text = error.to_string();
    text.split("\nHINT").next().unwrap_or_default().replace('\n', "; ")
}

async fn drop_schema(rescue: &Rescue<'_>, database: &Database, step: &mut Step) -> Result<(), Error> {
    let Some(schema) = rescue.configuration.database_schema.as_deref().filter(|schema| *schema != "public")
    else {
        return Ok(());
    };
    if !tables::has_schema(database, schema).await? {
        return Ok(());
    }
    if rescue.is_dry_run {
        step.would(format!("drop the schema {schema}, if nothing else stands in it"));
        return Ok(());
    }
    match tables::drop_schema(database, schema).await {
        Ok(()) => step.tell(format!("the schema {schema} is gone")),
        Err(error) => step.tell(format!("the schema {schema} stays: {}", plainly(&error))),
    }
    Ok(())
}

async fn on_postgres(rescue: &Rescue<'_>, database: &Database, step: &mut Step) -> Result<(), Error> {
    let List { mut names, origin } = list(rescue, database).await;
    let standing = tables::standing(database).await?;
    if rescue.configuration.database_schema.is_some() {
        // Later migrations may have made more; in Charter's own schema they are its own too.
        names.extend(migration::tables());
        names.sort_unstable();
        names.dedup();
    }
    let (there, gone): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| standing.contains(name));
    step.note("tables", json!(there));
    if there.is_empty() {
        step.tell(format!("none of the tables is there any more, by {origin}"));
        return drop_schema(rescue, database, step).await;
    }
    if let Some(doubt) = doubt(rescue, database).await? {
        step.fail(format!("nothing is dropped: {doubt}"));
        return Ok(());
    }
    if !gone.is_empty() {
        step.tell(format!("not there any more: {}", gone.join(", ")));
    }
    if rescue.is_dry_run {
        step.would(format!("drop {} tables, by {origin}: {}", there.len(), there.join(", ")));
        return drop_schema(rescue, database, step).await;
    }
    keep(rescue, database, &standing, step).await;
    match drop_all(database, &there).await {
        Ok(()) => step.tell(format!("{} tables are dropped, by {origin}", there.len())),
        Err(error) => {
            step.fail(format!("nothing is dropped: {}", plainly(&error)));
            return Ok(());
        }
    }
    drop_schema(rescue, database, step).await
}

/// Step 2.
pub async fn run(rescue: &Rescue<'_>, step: &mut Step) {
    if let Some(who) = rescue.in_the_way() {
        return step.fail(who);
    }
    if !rescue.is_postgres() {
        return aside::run(rescue, step).await;
    }
    let options = charter_db::Options { pool_size: 2, ..installation::options(rescue.configuration) };
    let database = match Database::open(&options).await {
        Ok(database) => database,
        Err(error) => return step.fail(format!("nothing is dropped: {error}")),
    };
    if let Err(error) = on_postgres(rescue, &database, step).await {
        step.fail(format!("it was not seen through: {error}"));
    }
    let _closed = database.close().await;
}
