//! `charter migrate`: the schema, up, down, and how far it is. The service must not be running on the data folder.

use super::{Invocation, arguments};
use crate::failure::{Failure, Outcome, Result};
use crate::folder::Folder;
use crate::{installation, output};
use charter_store::migration;
use clap::{Arg, ArgAction, Command};
use serde_json::{Value, json};

const TO: &str = "to";
const YES: &str = "yes";
const ROLE: &str = "application-role";

pub fn up_command() -> Command {
    arguments::server(Command::new("up")).about("Bring the schema up to date").arg(
        Arg::new(ROLE)
            .long(ROLE)
            .value_name("ROLE")
            .help("PostgreSQL: also let this role, which does not own the tables, use them"),
    )
}

pub fn down_command() -> Command {
    arguments::server(Command::new("down"))
        .about("Undo migrations, newest first; what they added is lost")
        .arg(
            Arg::new(TO)
                .long(TO)
                .value_name("NUMBER")
                .required(true)
                .value_parser(clap::value_parser!(u32))
                .help("Undo every migration after this number; 0 empties the database"),
        )
        .arg(
            Arg::new(YES)
                .long(YES)
                .action(ArgAction::SetTrue)
                .help("Really do it; without it, say what would be undone"),
        )
}

pub fn status_command() -> Command {
    arguments::server(Command::new("status")).about("Say which migrations are applied")
}

fn failed(error: migration::MigrationError) -> Failure {
    Failure::new(error.to_string())
}

/// Runs `migrate up`, `migrate down` or `migrate status`.
pub async fn run(words: &str, invocation: &Invocation<'_>) -> Result {
    let configuration = &invocation.loaded.configuration;
    if words != "migrate up" && !installation::is_there(configuration).await {
        // To look at nothing, or to undo it, makes no folder and no file.
        let name = if invocation.matches.try_get_one::<bool>(YES).ok().flatten() == Some(&true) {
            "undone"
        } else {
            "would_undo"
        };
        let is_status = words == "migrate status";
        let report = if is_status { told(&migration::unapplied()) } else { json!({ name: [] }) };
        show(&report, invocation.is_json);
        return Ok(Outcome::Good);
    }
    let folder = Folder::create(&configuration.data)?;
    let _lock = installation::lock(&folder).await?;
    let database = installation::database(configuration).await?;
    let report = match words {
        "migrate up" => {
            let applied = migration::migrate_up(&database, installation::now()).await.map_err(failed)?;
            if let Some(role) = invocation.matches.get_one::<String>(ROLE) {
                migration::grant_application_role(&database, role).await.map_err(failed)?;
            }
            json!({ "applied": applied })
        }
        "migrate down" => down(invocation, &database).await?,
        _ => status(&database).await?,
    };
    database.close().await.map_err(charter_kernel::Problem::from)?;
    show(&report, invocation.is_json);
    Ok(Outcome::Good)
}

async fn down(invocation: &Invocation<'_>, database: &charter_db::Database) -> Result<Value> {
    let to = invocation.matches.get_one::<u32>(TO).copied().unwrap_or_default();
    if invocation.matches.get_flag(YES) {
        let undone = migration::migrate_down(database, to).await.map_err(failed)?;
        return Ok(json!({ "undone": undone }));
    }
    let states = migration::states(database).await.map_err(failed)?;
    let doomed: Vec<&str> = states
        .iter()
        .rev()
        .filter(|state| state.number > to && state.applied_at.is_some())
        .map(|state| state.name)
        .collect();
    Ok(json!({ "would_undo": doomed }))
}

async fn status(database: &charter_db::Database) -> Result<Value> {
    Ok(told(&migration::states(database).await.map_err(failed)?))
}

fn told(states: &[migration::MigrationState]) -> Value {
    let rows: Vec<Value> = states
        .iter()
        .map(|state| {
            let applied_at = state.applied_at.map(|at| at.to_string());
            json!({ "number": state.number, "name": state.name, "applied_at": applied_at })
        })
        .collect();
    json!({ "migrations": rows })
}

fn show(report: &Value, is_json: bool) {
    if is_json {
        return super::show::raw(report);
    }
    if let Some(rows) = report.get("migrations").and_then(Value::as_array) {
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let applied = row.get("applied_at").and_then(Value::as_str).unwrap_or("not applied");
                let name = row.get("name").and_then(Value::as_str).unwrap_or_default();
                vec![name.to_owned(), applied.to_owned()]
            })
            .collect();
        return output::print(&output::table(&["MIGRATION", "APPLIED"], &rows));
    }
    for (what, sentence) in [("applied", "applied"), ("undone", "undone"), ("would_undo", "would be undone")]
    {
        let Some(names) = report.get(what).and_then(Value::as_array) else { continue };
        if names.is_empty() {
            output::print("nothing to do");
        }
        for name in names.iter().filter_map(Value::as_str) {
            output::print(&format!("{name} {sentence}"));
        }
        if what == "would_undo" && !names.is_empty() {
            output::complain(
                "nothing was undone: add --yes to do it; what these migrations added will be lost",
            );
        }
    }
}
