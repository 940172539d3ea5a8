//! The other system, as the commands of adoption read it: where it is, which one it is, and what it says.

use crate::failure::{Failure, Result};
use charter_adopt::anomaly::{Anomalies, AnomalyKind};
use charter_adopt::check;
use charter_adopt::mapping::{self, Mapping};
use charter_adopt::source::{self, EachUser, Heard, NamedTables, Passing, ReadError, System, Tables};
use charter_app::identity::adopted_hash::AdoptedHash;
use charter_db::Engine;
use charter_db::foreign::Foreign;
use clap::{Arg, ArgMatches};
use std::collections::BTreeMap;

const FROM: &str = "from";
const MAP: &str = "map";
const SYSTEM: &str = "system";
/// Names of the systems, as they are typed.
const SYSTEMS: [(&str, System); 9] = [
    ("role_column", System::RoleColumn),
    ("role_tables", System::RoleTables),
    ("django", System::Django),
    ("flask_appbuilder", System::FlaskAppbuilder),
    ("laravel", System::Laravel),
    ("frappe", System::Frappe),
    ("odoo", System::Odoo),
    ("tryton", System::Tryton),
    ("keycloak", System::Keycloak),
];

/// Where the other system's database is.
pub fn from() -> Arg {
    Arg::new(FROM).long(FROM).value_name("ADDRESS").required(true).help(
        "The other system's database: sqlite:path or postgres://..., or @file, a file that holds the address; or the export of a Keycloak \
         realm, realm.json. It is only read",
    )
}

/// What its roles become.
pub fn map() -> Arg {
    Arg::new(MAP).long(MAP).value_name("FILE").help("What its roles become, and where its tables stand")
}

/// Which system it is.
pub fn system() -> Arg {
    Arg::new(SYSTEM)
        .long(SYSTEM)
        .value_name("NAME")
        .value_parser(SYSTEMS.map(|(name, _)| name))
        .help("Which system it is, where its tables fit more than one")
}

/// The name of a system, as it is typed.
pub fn name(system: System) -> &'static str {
    SYSTEMS.iter().find(|(_, known)| *known == system).map_or("", |(name, _)| *name)
}

/// What was read, and how.
pub struct Legacy {
    /// Which system it is.
    pub system: System,
    /// What its database runs on; nothing where it was read from a file.
    pub engine: Option<Engine>,
    /// Where its tables stand, for a system of one's own.
    pub tables: Option<NamedTables>,
    /// What the operator said of its roles.
    pub mapping: Option<Mapping>,
    /// What it says.
    pub heard: Heard,
    /// Formats of passwords, and how many users have one.
    pub passwords: BTreeMap<String, u64>,
}

fn address(matches: &ArgMatches) -> Result<String> {
    let from = matches.get_one::<String>(FROM).cloned().unwrap_or_default();
    let Some(path) = from.strip_prefix('@') else { return Ok(from) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
    Ok(text.trim().to_owned())
}

fn mapping_of(matches: &ArgMatches) -> Result<Option<Mapping>> {
    let Some(path) = matches.get_one::<String>(MAP) else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
    mapping::parse(&text).map(Some).map_err(|faults| {
        let told: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
        Failure::new(format!("{path} is not a mapping:{}", told.concat()))
    })
}

/// The system that was named on the command line.
fn named(matches: &ArgMatches) -> Option<System> {
    let named = matches.get_one::<String>(SYSTEM)?;
    SYSTEMS.iter().find(|(known, _)| known == named).map(|(_, system)| *system)
}

/// The system its tables give away, or the operator named.
fn settled(tables: &Tables<'_>, matches: &ArgMatches, mapping: Option<&Mapping>) -> Result<System> {
    if let Some(system) = named(matches).or_else(|| mapping.map(|mapping| mapping.system)) {
        return Ok(system);
    }
    match source::detect(tables).as_slice() {
        [system] => Ok(*system),
        [] => Err(Failure::new(
            "no system that is known was found there: write a mapping with [source], where its tables stand, and give it with --map",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|system| name(*system)).collect();
            Err(Failure::new(format!("its tables fit {}: say which with --system", names.join(" and "))))
        }
    }
}

/// A login as Charter compares it, or why it can be none.
fn login_rule(login: &str) -> std::result::Result<String, String> {
    charter_app::text::login("login", login).map_err(|problem| {
        let first = problem.fields.first().map(|field| field.detail.clone());
        first.unwrap_or(problem.detail)
    })
}

/// Reads the other system, in one state of it.
pub async fn read(matches: &ArgMatches) -> Result<Legacy> {
    let mapping = mapping_of(matches)?;
    let address = address(matches)?;
    let mut passwords: BTreeMap<String, u64> = BTreeMap::new();
    let mut each = |passing: Passing<'_>, anomalies: &mut Anomalies| {
        let format = password(&passing, anomalies);
        *passwords.entry(format).or_default() += 1;
    };
    let (system, engine, tables, mut heard) = if address.ends_with(".json") {
        (System::Keycloak, None, None, read_file(&address, matches, mapping.as_ref(), &mut each)?)
    } else {
        let (system, engine, tables, heard) =
            read_database(&address, matches, mapping.as_ref(), &mut each).await?;
        (system, Some(engine), tables, heard)
    };
    let catalogue =
        charter_catalogue::shipped().map_err(|_| Failure::new("the shipped catalogue cannot be read"))?;
    check::judge(&mut heard, mapping.as_ref(), &catalogue)
        .map_err(|error| Failure::new(format!("the shipped catalogue cannot be used: {error}")))?;
    Ok(Legacy { system, engine, tables, mapping, heard, passwords })
}

fn read_file(
    path: &str,
    matches: &ArgMatches,
    mapping: Option<&Mapping>,
    each: EachUser<'_>,
) -> Result<Heard> {
    let said = named(matches).or_else(|| mapping.map(|mapping| mapping.system));
    if let Some(other) = said.filter(|system| *system != System::Keycloak) {
        return Err(Failure::new(format!(
            "a file ending in .json is the export of a Keycloak realm, and {} was named: give the address of its database to --from",
            name(other)
        )));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
    source::keycloak::read(&text, login_rule, each)
        .map_err(|wanted| Failure::new(format!("{path}: {wanted}")))
}

async fn read_database(
    address: &str,
    matches: &ArgMatches,
    mapping: Option<&Mapping>,
    each: EachUser<'_>,
) -> Result<(System, Engine, Option<NamedTables>, Heard)> {
    let failed = |error: charter_db::Error| Failure::new(format!("the other system's database: {error}"));
    let mut foreign = Foreign::open(address).await.map_err(failed)?;
    let all = foreign.tables().await.map_err(failed)?;
    let tables = Tables::new(&foreign, &all);
    let system = settled(&tables, matches, mapping)?;
    let named = match mapping.and_then(|mapping| mapping.tables.clone()) {
        Some(named) => Some(named),
        None if matches!(system, System::RoleColumn | System::RoleTables) => source::proposed(&tables),
        None => None,
    };
    let statements = source::statements(&tables, system, named.as_ref())
        .map_err(|wanted| Failure::new(wanted.to_string()))?;
    let heard =
        source::read(&mut foreign, &statements, login_rule, each).await.map_err(|error| match error {
            ReadError::Database { .. } => Failure::new(format!("the other system's database, {error}")),
            ReadError::Wanted(wanted) => Failure::new(wanted.to_string()),
        })?;
    Ok((system, foreign.engine(), named, heard))
}

/// The format of a user's password; one that cannot be taken over is noted.
fn password(passing: &Passing<'_>, anomalies: &mut Anomalies) -> String {
    const NONE: &str = "none";
    // Django writes one that fits nothing with a ! in front.
    let Some(hash) = passing.password.filter(|hash| !hash.is_empty() && !hash.starts_with('!')) else {
        return NONE.to_owned();
    };
    match AdoptedHash::parse(hash) {
        Ok(known) => known.scheme(),
        Err(refused) => {
            let row = format!("user {}", passing.user.id);
            anomalies.note(AnomalyKind::UnknownPassword, row, refused.to_string());
            "unknown".to_owned()
        }
    }
}
