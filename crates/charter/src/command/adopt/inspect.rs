//! `charter adopt inspect`: what is there, and what stands in the way. It writes nothing, anywhere.

use super::super::Invocation;
use super::super::show;
use super::legacy::{self, Legacy};
use crate::failure::{Failure, Outcome, Result};
use crate::output;
use charter_adopt::anomaly::{Anomaly, AnomalyKind};
use charter_adopt::mapping::{self, Becomes, Mapping};
use charter_adopt::plan::more;
use charter_adopt::source::unseen;
use charter_db::Engine;
use charter_kernel::counted;
use clap::{Arg, ArgAction, Command};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;

const PROPOSE: &str = "propose";
const FORCE: &str = "force";

/// Lines of one kind of anomaly that are told; `--json` tells more.
const TOLD_MAX: usize = 10;
/// Rows that are named in one line.
const ROWS_MAX: usize = 5;

pub fn command() -> Command {
    Command::new("inspect")
        .about("Say what a running system has: users, roles, permissions, organizations, and what stands in the way")
        .arg(legacy::from())
        .arg(legacy::map())
        .arg(legacy::system())
        .arg(
            Arg::new(PROPOSE)
                .long(PROPOSE)
                .value_name("FILE")
                .help("Write a mapping to begin with: what each role would become, to be edited; what --map says already stays"),
        )
        .arg(
            Arg::new(FORCE)
                .long(FORCE)
                .action(ArgAction::SetTrue)
                .requires(PROPOSE)
                .help("Write it over a file that is there"),
        )
        .after_help(
            "Nothing is written, there or here, but the file of --propose. The other system may go on: all is read in one state of its database. Exit code 1: \
             something has to be mended before anything can be taken over.",
        )
}

struct RoleLine {
    name: String,
    users: u64,
    permissions: usize,
    becomes: Becomes,
}

fn becomes(becomes: &Becomes) -> String {
    match becomes {
        Becomes::Role(key) => key.to_string(),
        Becomes::Own => "a role of its own".to_owned(),
        Becomes::Nothing => "nothing".to_owned(),
        Becomes::Unknown => "? (say it in the mapping)".to_owned(),
    }
}

/// What is proposed; what the operator said already stays.
fn proposed(found: &Legacy) -> Result<Mapping> {
    let catalogue =
        charter_catalogue::shipped().map_err(|_| Failure::new("the shipped catalogue cannot be read"))?;
    let mut proposed = mapping::propose(found.system, found.tables.clone(), &found.heard.facts, &catalogue);
    if let Some(said) = &found.mapping {
        proposed.roles.extend(said.roles.clone());
        if said.superuser != Becomes::Unknown {
            proposed.superuser = said.superuser.clone();
        }
        proposed.modules = said.modules;
        proposed.organization = said.organization.clone().or(proposed.organization);
    }
    Ok(proposed)
}

/// Writes the proposal to a file, which must be new unless it is to be written over.
fn write(path: &str, text: &str, is_forced: bool) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(is_forced).create_new(!is_forced);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::new(format!("{path} is there already: name another file, or write over it with --force"))
        }
        _ => Failure::new(format!("{path} cannot be written: {error}")),
    })
}

fn role_lines(found: &Legacy, proposed: &Mapping) -> Vec<RoleLine> {
    let facts = &found.heard.facts;
    let mut users: BTreeMap<u32, u64> = BTreeMap::new();
    for user in facts.users.iter() {
        for role in facts.role_sets.members(user.roles) {
            *users.entry(*role).or_default() += 1;
        }
    }
    let lines = facts.roles.iter().enumerate().map(|(place, role)| RoleLine {
        name: role.name.clone(),
        users: u32::try_from(place).ok().and_then(|place| users.get(&place).copied()).unwrap_or(0),
        permissions: facts.permission_sets.members(role.permissions).len(),
        becomes: proposed.roles.get(&role.name).cloned().unwrap_or(Becomes::Unknown),
    });
    lines.collect()
}

/// Reads the other system and tells what it has.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let found = legacy::read(invocation.matches).await?;
    let proposed = proposed(&found)?;
    let lines = role_lines(&found, &proposed);
    let file = invocation.matches.get_one::<String>(PROPOSE);
    if let Some(path) = file {
        write(path, &mapping::print(&proposed, &found.heard.facts), invocation.matches.get_flag(FORCE))?;
    }
    let stops = found.heard.anomalies.iter().any(|(kind, ..)| kind.stops());
    if invocation.is_json {
        show::raw(&as_json(&found, &lines));
    } else {
        output::print(&as_text(&found, &lines));
        if let Some(path) = file {
            output::print(&format!(
                "\nwritten: {path}: read each line of it, and give it with --map from now on\n"
            ));
        }
    }
    Ok(if stops { Outcome::Denied } else { Outcome::Good })
}

fn engine(engine: Option<Engine>) -> &'static str {
    match engine {
        Some(Engine::Sqlite) => "SQLite",
        Some(Engine::Postgres) => "PostgreSQL",
        None => "a file",
    }
}

struct Counts {
    active: usize,
    superusers: usize,
}

fn counts(found: &Legacy) -> Counts {
    let users = || found.heard.facts.users.iter();
    Counts {
        active: users().filter(|user| user.is_active).count(),
        superusers: users().filter(|user| user.is_superuser && user.is_active).count(),
    }
}

fn as_text(found: &Legacy, lines: &[RoleLine]) -> String {
    let facts = &found.heard.facts;
    let Counts { active, superusers } = counts(found);
    let organizations = match facts.organizations.len() {
        0 => "1, as the system knows none".to_owned(),
        count => count.to_string(),
    };
    let mut told = format!(
        "{} in {}\n\norganizations  {organizations}\nusers          {} ({active} may sign in, {superusers} of them may do everything)\n\
         roles          {}\npermissions    {}\nfingerprint    {}\n",
        legacy::name(found.system),
        engine(found.engine),
        facts.users.len(),
        facts.roles.len(),
        facts.permissions.len(),
        found.heard.fingerprint,
    );
    let row = |line: &RoleLine| {
        vec![line.name.clone(), line.users.to_string(), line.permissions.to_string(), becomes(&line.becomes)]
    };
    if !lines.is_empty() {
        let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
        told.push_str(&format!(
            "\n{}",
            output::table_within(&["role", "users", "permissions", "becomes"], &rows)
        ));
    }
    if !found.passwords.is_empty() {
        let rows: Vec<Vec<String>> =
            found.passwords.iter().map(|(format, users)| vec![format.clone(), users.to_string()]).collect();
        told.push_str(&format!("\n{}", output::table(&["password", "users"], &rows)));
    }
    if facts.permissions.is_empty() && !facts.roles.is_empty() {
        told.push_str(&format!("\n{}", output::wrapped("before: ", super::plan::BEFORE)));
    }
    for (kind, count, named) in found.heard.anomalies.iter() {
        told.push_str(&format!("\n{}", output::wrapped("", &kind.counted(count))));
        told.push_str(&match kind {
            AnomalyKind::UnknownRole => by_role(lines, named),
            _ => by_detail(count, named),
        });
    }
    if found.heard.anomalies.iter().next().is_none() {
        told.push_str("\nnothing stands in the way\n");
    }
    told.push_str("\nnot to be seen from here:\n");
    for line in unseen(found.system) {
        told.push_str(&output::wrapped("  ", line));
    }
    told
}

/// Rows, the first of them by name.
fn rows_of(all: u64, rows: &[&Anomaly]) -> String {
    let first: Vec<&str> = rows.iter().take(ROWS_MAX).map(|it| it.row.as_str()).collect();
    format!("{}{}", first.join(", "), more(all, first.len()))
}

/// Roles that nobody knows, each with who holds it.
fn by_role(lines: &[RoleLine], named: &[Anomaly]) -> String {
    let unknown = || lines.iter().filter(|line| line.becomes == Becomes::Unknown && line.users > 0);
    let mut told = String::new();
    for line in unknown().take(TOLD_MAX) {
        let name = charter_adopt::check::shown(&line.name);
        let of = |it: &&Anomaly| it.detail.strip_prefix(&name).is_some_and(|rest| rest.starts_with(':'));
        let rows: Vec<&Anomaly> = named.iter().filter(of).collect();
        let who = if rows.is_empty() { String::new() } else { format!(" ({})", rows_of(line.users, &rows)) };
        let users = counted(line.users, "user", "users");
        told.push_str(&output::wrapped("  ", &format!("{name}: {users}{who}")));
    }
    let left = unknown().count().saturating_sub(TOLD_MAX) as u64;
    if left > 0 {
        told.push_str(&format!("  and {}\n", counted(left, "role more", "roles more")));
    }
    told
}

/// Rows of one kind: those of which the same is said stand together.
fn by_detail(count: u64, named: &[Anomaly]) -> String {
    let mut groups: Vec<(&str, Vec<&Anomaly>)> = Vec::new();
    for anomaly in named {
        match groups.iter_mut().find(|(detail, _)| *detail == anomaly.detail) {
            Some((_, rows)) => rows.push(anomaly),
            None => groups.push((&anomaly.detail, vec![anomaly])),
        }
    }
    let mut told = String::new();
    // Where all say the same, all that were counted are of it.
    let is_one = groups.len() == 1;
    let mut shown = 0;
    for (detail, rows) in groups.iter().take(TOLD_MAX) {
        let all = if is_one { count } else { rows.len() as u64 };
        shown += all;
        told.push_str(&output::wrapped("  ", &format!("{}: {detail}", rows_of(all, rows))));
    }
    let left = count.saturating_sub(shown);
    if left > 0 {
        told.push_str(&format!("  and {left} more (--json names up to a hundred)\n"));
    }
    told
}

fn as_json(found: &Legacy, lines: &[RoleLine]) -> Value {
    let facts = &found.heard.facts;
    let Counts { active, superusers } = counts(found);
    let roles: Vec<Value> = lines
        .iter()
        .map(|line| {
            let becomes = match &line.becomes {
                Becomes::Role(key) => json!({ "role": key }),
                Becomes::Own => json!("own"),
                Becomes::Nothing => json!("none"),
                Becomes::Unknown => Value::Null,
            };
            json!({ "name": line.name, "users": line.users, "permissions": line.permissions, "becomes": becomes })
        })
        .collect();
    let anomalies: Vec<Value> = found
        .heard
        .anomalies
        .iter()
        .map(|(kind, count, named)| {
            json!({ "kind": kind, "count": count, "stops": kind.stops(), "means": kind.means(), "rows": named })
        })
        .collect();
    json!({
        "system": found.system,
        "engine": legacy::engine_word(found.engine),
        "fingerprint": found.heard.fingerprint,
        "organizations": facts.organizations.len(),
        "users": { "count": facts.users.len(), "active": active, "superusers": superusers },
        "permissions": facts.permissions.len(),
        "roles": roles,
        "passwords": found.passwords,
        "anomalies": anomalies,
        "unseen": unseen(found.system),
    })
}
