//! `charter adopt inspect`: what is there, and what stands in the way. It writes nothing, anywhere.

use super::super::Invocation;
use super::super::show;
use super::legacy::{self, Legacy};
use crate::failure::{Failure, Outcome, Result};
use crate::output;
use crate::whole_file::{self, WholeFile};
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
use std::path::Path;

const PROPOSE: &str = "propose";
const FORCE: &str = "force";
const ANOMALIES: &str = "anomalies";

/// Rows of one kind of anomaly that `--json` names.
const JSON_MAX: usize = 100;
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
        .arg(
            Arg::new(ANOMALIES)
                .long(ANOMALIES)
                .value_name("FILE")
                .help("Where every row goes that is not as it should be, a line of JSON each"),
        )
        .after_help(
            "Nothing is written, there or here, but the files of --propose and --anomalies. The other system may go on: all is read in one state of its database. Exit code 1: \
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
        proposed.schema = said.schema.clone();
        proposed.organization = said.organization.clone().or(proposed.organization);
    }
    Ok(proposed)
}

/// Writes the proposal to a file, which must be new unless it is to be written over.
fn write(path: &str, text: &str, is_forced: bool) -> Result<()> {
    if !is_forced && Path::new(path).exists() {
        return Err(Failure::new(format!(
            "{path} is there already: name another file, or write over it with --force"
        )));
    }
    whole_file::write(path, text).map_err(|error| Failure::new(format!("{path} cannot be written: {error}")))
}

/// Writes down every row that is not as it should be.
fn write_anomalies(path: &str, found: &Legacy) -> Result<()> {
    let failed = |error: std::io::Error| Failure::new(format!("{path} cannot be written: {error}"));
    let mut file = WholeFile::create(path).map_err(failed)?;
    for (kind, _, rows) in found.heard.anomalies.iter() {
        for it in rows {
            let line = json!({ "kind": kind, "row": it.row, "detail": it.detail, "stops": kind.stops() });
            writeln!(file, "{line}").map_err(failed)?;
        }
    }
    file.finish().map_err(failed)
}

/// What has to be done before anything is taken over.
fn ending(found: &Legacy, lines: &[RoleLine], superuser: &Becomes) -> String {
    let stopping: Vec<String> = found
        .heard
        .anomalies
        .iter()
        .filter(|(kind, ..)| kind.stops())
        .map(|(kind, count, _)| format!("{} ({count})", kind.noun()))
        .collect();
    let open = lines.iter().filter(|line| line.becomes == Becomes::Unknown).count() as u64;
    let mut told = String::new();
    let has_superusers = found.heard.facts.users.iter().any(|user| user.is_superuser);
    if has_superusers && *superuser == Becomes::Unknown {
        told.push_str(&output::wrapped(
            "",
            "whoever may do everything wants a word in the mapping: superuser",
        ));
    }
    if open > 0 {
        let roles = counted(open, "role wants", "roles want");
        told.push_str(&output::wrapped("", &format!("{roles} a word in the mapping")));
    }
    if !stopping.is_empty() {
        let things = counted(stopping.len() as u64, "thing has", "things have");
        told.push_str(&output::wrapped("", &format!("{things} to be mended first: {}", stopping.join(", "))));
    }
    if told.is_empty() { told } else { format!("\n{told}") }
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
    let anomalies = invocation.matches.get_one::<String>(ANOMALIES);
    let found = legacy::read_naming(invocation, anomalies.is_some()).await?;
    let proposed = proposed(&found)?;
    let file = invocation.matches.get_one::<String>(PROPOSE);
    if let Some(path) = file {
        write(path, &mapping::print(&proposed, &found.heard.facts), invocation.matches.get_flag(FORCE))?;
    }
    if let Some(path) = anomalies {
        write_anomalies(path, &found)?;
    }
    // What a mapping keeps silent about is proposed in a file, and shown as what nobody has said.
    let said = found.mapping.as_ref().unwrap_or(&proposed);
    let lines = role_lines(&found, said);
    let stops = found.heard.anomalies.iter().any(|(kind, ..)| kind.stops());
    if invocation.is_json {
        show::raw(&as_json(&found, &lines));
    } else {
        output::print(&as_text(&found, &lines, &said.superuser));
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
    /// Who may do everything and may not sign in.
    inactive_superusers: usize,
}

fn counts(found: &Legacy) -> Counts {
    let users = || found.heard.facts.users.iter();
    Counts {
        active: users().filter(|user| user.is_active).count(),
        superusers: users().filter(|user| user.is_superuser && user.is_active).count(),
        inactive_superusers: users().filter(|user| user.is_superuser && !user.is_active).count(),
    }
}

/// Users who are left out, as their logins can be none here.
fn nameless(found: &Legacy) -> u64 {
    let kinds = [AnomalyKind::MissingLogin, AnomalyKind::UnfitLogin];
    kinds.iter().map(|kind| found.heard.anomalies.count(*kind)).sum()
}

fn as_text(found: &Legacy, lines: &[RoleLine], superuser: &Becomes) -> String {
    let facts = &found.heard.facts;
    let Counts { active, superusers, inactive_superusers } = counts(found);
    let besides = match inactive_superusers {
        0 => String::new(),
        count => format!(", and {count} who may not sign in"),
    };
    let besides = match nameless(found) {
        0 => format!("{besides})"),
        count => format!("{besides}), and {count} without a login that can be one here, who are left out"),
    };
    let organizations = match facts.organizations.len() {
        0 => "1, as the system knows none".to_owned(),
        count => count.to_string(),
    };
    let mut told = format!(
        "{} in {}\n\norganizations  {organizations}\nusers          {} ({active} may sign in, {superusers} of them may do everything{besides}\n\
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
    let (stopping, others): (Vec<_>, Vec<_>) =
        found.heard.anomalies.iter().partition(|(kind, ..)| kind.stops());
    for (kind, count, named) in stopping.into_iter().chain(others) {
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
    told.push_str(&ending(found, lines, superuser));
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
        told.push_str(&format!("  and {left} more (--anomalies FILE names every one)\n"));
    }
    told
}

/// The first of rows; a file has all.
fn first(rows: &[Anomaly]) -> &[Anomaly] {
    rows.get(..JSON_MAX).unwrap_or(rows)
}

fn as_json(found: &Legacy, lines: &[RoleLine]) -> Value {
    let facts = &found.heard.facts;
    let Counts { active, superusers, .. } = counts(found);
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
            json!({ "kind": kind, "count": count, "stops": kind.stops(), "means": kind.means(), "rows": first(named) })
        })
        .collect();
    json!({
        "system": found.system,
        "engine": legacy::engine_word(found.engine),
        "fingerprint": found.heard.fingerprint,
        "organizations": facts.organizations.len(),
        "users": { "count": facts.users.len(), "active": active, "superusers": superusers, "left_out": nameless(found) },
        "permissions": facts.permissions.len(),
        "roles": roles,
        "passwords": found.passwords,
        "anomalies": anomalies,
        "unseen": unseen(found.system),
    })
}
