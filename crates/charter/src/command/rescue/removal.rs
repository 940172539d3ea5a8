//! Step 2: Charter's tables go, by name and no others.

use super::{Rescue, aside, report::Step};
use crate::command::adopt::record::{self, Record};
use crate::config::text;
use crate::folder::{create_private, make_folder};
use crate::installation;
use charter_db::{Conn, Database, Error, Scope, Statement};
use charter_kernel::Timestamp;
use charter_store::node::{self, Node};
use charter_store::{migration, rescue as tables};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often tables are asked for that somebody else holds.
const ATTEMPTS: u32 = 8;
/// Where services say that they run.
const NODES: &str = "nodes";
/// One that was seen within this time may still be at work: several of its beats, and clocks that are apart.
const LATELY_SECONDS: i64 = 300;
/// How long the others go first.
const PAUSE: Duration = Duration::from_secs(1);

/// Which tables are meant, and who says so.
struct List {
    names: Vec<String>,
    origin: String,
}

/// The record of the adoption, where it names tables.
fn recorded<'a>(rescue: &'a Rescue<'_>) -> Option<&'a Record> {
    rescue.record.as_ref().filter(|record| !record.tables.is_empty())
}

/// The schema that Charter's tables have for themselves, where they have one.
fn own_schema<'a>(rescue: &'a Rescue<'_>) -> Option<&'a str> {
    rescue.configuration.database_schema.as_deref().filter(|schema| *schema != "public")
}

async fn list(rescue: &Rescue<'_>, database: &Database, is_signed: bool) -> Result<List, Error> {
    // A migration that was never applied made nothing: a table of such a name is somebody else's.
    let applied = if is_signed { migration::applied_tables(database).await? } else { Vec::new() };
    let noted = if is_signed { tables::noted(database).await.ok().flatten() } else { None };
    let (mut names, origin) = match (recorded(rescue), noted) {
        (Some(record), _) => (record.tables.clone(), format!("the record of run {}", record.run)),
        (None, Some(noted)) => (noted, "what the run noted in the database".to_owned()),
        (None, None) if is_signed => (applied.clone(), "the migrations that are noted as applied".to_owned()),
        (None, None) => (migration::tables(), "the migrations this version of Charter knows".to_owned()),
    };
    if is_signed && own_schema(rescue).is_some() {
        // Later migrations may have made more; in Charter's own schema they are its own too.
        names.extend(applied);
        names.sort_unstable();
        names.dedup();
    }
    Ok(List { names, origin })
}

/// Why the record is no proof here: it is about another place.
pub fn elsewhere(rescue: &Rescue<'_>) -> Option<String> {
    let (record, configuration) = (rescue.record.as_ref()?, rescue.configuration);
    let here = text::without_password(&configuration.database);
    // What an earlier version wrote may hide less.
    let is_here = if rescue.is_postgres() {
        text::without_password(&record.database) == here
    } else {
        record.database.starts_with("sqlite:")
            && aside::path_of(&record.database) == aside::path(configuration)
    };
    if is_here && record.database_schema == configuration.database_schema {
        return None;
    }
    let of = |schema: &Option<String>| {
        schema.as_ref().map_or_else(String::new, |schema| format!(", schema {schema}"))
    };
    Some(format!(
        "the record is about {}{}, and the configuration names {here}{}: say --database and --database-schema as they were, \
         or move the record away",
        text::without_password(&record.database),
        of(&record.database_schema),
        of(&configuration.database_schema)
    ))
}

/// What is said of a table that is to be kept.
enum Told {
    Kept(String),
    Lost(String),
}

/// Writes down what is worth keeping, as far as it can be read. Fails where it cannot be written, and then leaves nothing behind.
async fn keep(
    rescue: &Rescue<'_>,
    database: &Database,
    standing: &[String],
    step: &mut Step,
) -> Result<(), String> {
    let folder = record::folder(&rescue.configuration.data).join(format!("rescue-{}", rescue.stamp));
    make_folder(&rescue.configuration.data)?;
    make_folder(&record::folder(&rescue.configuration.data))?;
    make_folder(&folder)?;
    let (mut kept, mut told): (Vec<PathBuf>, Vec<Told>) = (Vec::new(), Vec::new());
    for (name, statement) in tables::KEPT {
        if !standing.iter().any(|table| table == name) {
            told.push(Told::Kept(format!("{name} is not there, and so is not kept")));
            continue;
        }
        let path = folder.join(format!("{name}.jsonl"));
        let place = path.display();
        told.push(match keep_one(database, statement, &path).await {
            Ok((rows, None)) => Told::Kept(format!("{rows} rows of {name} are kept in {place}")),
            Ok((0, Some(error))) => Told::Lost(format!("{name} could not be kept: {error}")),
            Ok((rows, Some(error))) => Told::Lost(format!(
                "{name} could not be kept as a whole: {rows} rows are in {place}; {error}"
            )),
            Err(wrong) => {
                // The tables stay: what was written of them is worth nothing, and takes room.
                for path in kept {
                    let _gone = std::fs::remove_file(path);
                }
                let _gone = std::fs::remove_dir(&folder);
                return Err(wrong);
            }
        });
        kept.push(path);
    }
    for told in told {
        match told {
            Told::Kept(text) => step.tell(text),
            Told::Lost(text) => step.lose(text),
        }
    }
    if let Err(error) = File::open(&folder).and_then(|folder| folder.sync_all()) {
        step.tell(format!("{} may not know its files yet after a power cut: {error}", folder.display()));
    }
    Ok(())
}

/// Writes the rows of a table down as they come: how many there are in the file, on the disk, and why it is not all of them where the rest cannot be
/// read. Fails where the file cannot be written, and then leaves none.
async fn keep_one(
    database: &Database,
    statement: &Statement,
    path: &Path,
) -> Result<(u64, Option<Error>), String> {
    let mut file = BufWriter::new(create_private(path)?);
    let (mut rows, mut unwritten) = (0_u64, None);
    let read = tables::for_each(database, statement, |row| {
        let written = file.write_all(row.as_bytes()).and_then(|()| file.write_all(b"\n"));
        if let Err(error) = written {
            unwritten = Some(error.to_string());
            return Err(Error::Other(Arc::new(error)));
        }
        rows += 1;
        Ok(())
    });
    let read = read.await;
    let written = match unwritten {
        Some(wrong) => Err(wrong),
        None => {
            let flushed = file.into_inner().map_err(std::io::IntoInnerError::into_error);
            flushed.and_then(|file| file.sync_all()).map_err(|error| error.to_string())
        }
    };
    if written.is_err() || (rows == 0 && read.is_err()) {
        let _nothing_in_it = std::fs::remove_file(path);
    }
    written.map_err(|wrong| format!("{}: {wrong}", path.display()))?;
    Ok((rows, read.err()))
}

/// Names the services that were alive lately, on this machine or another: their tables go under them.
async fn tell_services(database: &Database, standing: &[String], now: Timestamp, step: &mut Step) {
    if !standing.iter().any(|table| table == NODES) {
        return;
    }
    let since = now.plus_seconds(-LATELY_SECONDS);
    let seen = database.read::<_, Vec<Node>, Error>(Scope::Installation, move |conn: &mut Conn| {
        Box::pin(async move { node::seen_since(conn, since).await })
    });
    match seen.await {
        Ok(nodes) => {
            let live: Vec<Value> = nodes
                .iter()
                .map(|node| json!({ "node": format!("{:032x}", node.id), "seen_at": node.seen_at.to_string() }))
                .collect();
            step.note("live", json!(live));
            for node in nodes {
                step.tell(format!(
                    "a service or a run was at work on these tables lately, maybe on another machine: node {:032x}, version {}, begun at {}, \
                     seen last at {}. If it still is, stop it: it answers nothing without them, and makes them again when it is started anew",
                    node.id, node.version, node.started_at, node.seen_at
                ));
            }
        }
        Err(error) => {
            step.tell(format!("whether a service is at work on these tables cannot be read: {error}"))
        }
    }
}

/// Drops them, as often as somebody else holds one of them.
async fn drop_all(database: &Database, names: &[String]) -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        match tables::drop_tables(database, names).await {
            // Whoever takes tables in another order than we do may bring the server to end either of us.
            Err(Error::Busy(_) | Error::Aborted(_)) if attempt < ATTEMPTS => {
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
    let Some(schema) = own_schema(rescue) else { return Ok(()) };
    if !tables::has_schema(database, schema).await? {
        return Ok(());
    }
    if rescue.is_dry_run {
        step.would(format!("drop the schema {schema}, if nothing else stands in it"));
        return Ok(());
    }
    match tables::drop_schema(database, schema).await {
        Ok(()) => step.did(format!("the schema {schema} is gone")),
        Err(error) => step.tell(format!("the schema {schema} stays: {}", plainly(&error))),
    }
    Ok(())
}

async fn on_postgres(rescue: &Rescue<'_>, database: &Database, step: &mut Step) -> Result<(), Error> {
    if let Some(elsewhere) = elsewhere(rescue) {
        step.fail(format!("nothing is dropped: {elsewhere}"));
        return Ok(());
    }
    if let Some(another) = &rescue.another {
        step.fail(format!("nothing is dropped: {another}"));
        return Ok(());
    }
    let is_signed = tables::is_signed(database).await?;
    // A record says of a schema of Charter's own whose it is. Elsewhere, and without one, the table of migrations has to.
    let is_charters = is_signed || (own_schema(rescue).is_some() && recorded(rescue).is_some());
    let List { names, origin } = list(rescue, database, is_signed).await?;
    let standing = tables::standing(database).await?;
    tell_services(database, &standing, rescue.now, step).await;
    let (there, gone): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| standing.contains(name));
    if there.is_empty() {
        step.note("tables", json!(there));
        step.nothing(format!("none of the tables is there any more, by {origin}"));
        return if is_charters { drop_schema(rescue, database, step).await } else { Ok(()) };
    }
    if !is_charters {
        step.fail(
            "nothing is dropped: tables of these names stand there, and without the table charter_migrations nothing says that they \
             are Charter's",
        );
        return Ok(());
    }
    step.note("tables", json!(there));
    if !gone.is_empty() {
        step.tell(format!("not there any more: {}", gone.join(", ")));
    }
    if rescue.is_dry_run {
        step.would(format!("drop {} tables, by {origin}: {}", there.len(), there.join(", ")));
        return drop_schema(rescue, database, step).await;
    }
    if let Err(wrong) = keep(rescue, database, &standing, step).await {
        let folder = record::folder(&rescue.configuration.data);
        step.fail(format!(
            "nothing is dropped: what is to be kept cannot be written down ({wrong}). Make room there and do this step again, or copy {} into \
             a data folder on another disk and name that one with --data",
            folder.display()
        ));
        return Ok(());
    }
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
