//! The other system, as the commands of adoption read it: where it is, which one it is, and what it says.

use crate::failure::{Failure, Result};
use charter_adopt::anomaly::{Anomalies, AnomalyKind};
use charter_adopt::mapping::{self, Mapping};
use charter_adopt::source::{self, Heard, NamedTables, Passing, ReadError, System, Tables};
use charter_app::identity::adopted_hash::AdoptedHash;
use charter_db::Engine;
use charter_db::foreign::Foreign;
use clap::{Arg, ArgMatches};
use std::collections::BTreeMap;

const FROM: &str = "from";
const MAP: &str = "map";
const SYSTEM: &str = "system";
/// Names of the systems, as they are typed.
const SYSTEMS: [(&str, System); 7] = [
    ("role_column", System::RoleColumn),
    ("role_tables", System::RoleTables),
    ("django", System::Django),
    ("flask_appbuilder", System::FlaskAppbuilder),
    ("laravel", System::Laravel),
    ("frappe", System::Frappe),
    ("odoo", System::Odoo),
];

/// Where the other system's database is.
pub fn from() -> Arg {
    Arg::new(FROM).long(FROM).value_name("ADDRESS").required(true).help(
        "The other system's database: sqlite:path or postgres://..., or @file, a file that holds the address; it is only read",
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
    /// What its database runs on.
    pub engine: Engine,
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

/// The system its tables give away, or the operator named.
fn settled(tables: &Tables<'_>, matches: &ArgMatches, mapping: Option<&Mapping>) -> Result<System> {
    let named = matches.get_one::<String>(SYSTEM);
    let named =
        named.and_then(|name| SYSTEMS.iter().find(|(known, _)| known == name)).map(|(_, system)| *system);
    if let Some(system) = named.or_else(|| mapping.map(|mapping| mapping.system)) {
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

/// Reads the other system, in one state of it.
pub async fn read(matches: &ArgMatches) -> Result<Legacy> {
    let mapping = mapping_of(matches)?;
    let failed = |error: charter_db::Error| Failure::new(format!("the other system's database: {error}"));
    let mut foreign = Foreign::open(&address(matches)?).await.map_err(failed)?;
    let all = charter_adopt::beside::others(foreign.tables().await.map_err(failed)?);
    let tables = Tables::new(&foreign, &all);
    let system = settled(&tables, matches, mapping.as_ref())?;
    let named = match mapping.as_ref().and_then(|mapping| mapping.tables.clone()) {
        Some(named) => Some(named),
        None if matches!(system, System::RoleColumn | System::RoleTables) => source::proposed(&tables),
        None => None,
    };
    let statements = source::statements(&tables, system, named.as_ref())
        .map_err(|wanted| Failure::new(wanted.to_string()))?;
    let mut passwords: BTreeMap<String, u64> = BTreeMap::new();
    let mut each = |passing: Passing<'_>, anomalies: &mut Anomalies| {
        let format = password(&passing, anomalies);
        *passwords.entry(format).or_default() += 1;
    };
    let heard = source::read(&mut foreign, &statements, &mut each).await.map_err(|error| match error {
        ReadError::Database(error) => failed(error),
        ReadError::Wanted(wanted) => Failure::new(wanted.to_string()),
    })?;
    Ok(Legacy { system, engine: foreign.engine(), tables: named, mapping, heard, passwords })
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
