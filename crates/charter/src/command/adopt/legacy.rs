//! The other system, as the commands of adoption read it: where it is, which one it is, and what it says.

use super::super::Invocation;
use crate::failure::{Failure, Result};
use charter_adopt::anomaly::{Anomalies, AnomalyKind};
use charter_adopt::check;
use charter_adopt::mapping::{self, Mapping};
use charter_adopt::source::{
    self, EachUser, Heard, LoginRule, NamedTables, Passing, ReadError, Statements, System, Tables, Taking,
    Wanted,
};
use charter_app::World;
use charter_app::identity::adopted_hash::{AdoptedHash, Refused};
use charter_db::Engine;
use charter_db::foreign::{Foreign, ForeignRow, ForeignTable, Share};
use clap::{Arg, ArgMatches};
use std::collections::BTreeMap;
use std::time::Duration;

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
/// How the file of a realm's export ends.
const EXPORT: &str = ".json";

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

/// The system of a name.
pub fn system_named(name: &str) -> Option<System> {
    SYSTEMS.iter().find(|(known, _)| *known == name).map(|(_, system)| *system)
}

/// What was read, and how.
pub struct Legacy {
    /// Which system it is.
    pub system: System,
    /// What its database runs on; nothing where it is a file.
    pub engine: Option<Engine>,
    /// Where its tables stand, for a system of one's own.
    pub tables: Option<NamedTables>,
    /// What the operator said of its roles.
    pub mapping: Option<Mapping>,
    /// The same, as the file says.
    pub mapping_text: Option<String>,
    /// What it says.
    pub heard: Heard,
    /// Formats of passwords, and how many users have one.
    pub passwords: BTreeMap<String, u64>,
}

impl Legacy {
    /// Users who bring no password that can be taken over; nothing where no password was looked at.
    pub fn without_password(&self) -> u64 {
        [NO_PASSWORD, UNKNOWN_PASSWORD].iter().filter_map(|format| self.passwords.get(*format)).sum()
    }
}

/// What stands for a user without a password.
const NO_PASSWORD: &str = "none";
/// What stands for a password that cannot be taken over.
const UNKNOWN_PASSWORD: &str = "unknown";

/// The word of an engine, or of a file.
pub const fn engine_word(engine: Option<Engine>) -> &'static str {
    match engine {
        Some(Engine::Sqlite) => "sqlite",
        Some(Engine::Postgres) => "postgres",
        None => "file",
    }
}

/// The address as it was typed.
pub fn typed(matches: &ArgMatches) -> String {
    matches.get_one::<String>(FROM).cloned().unwrap_or_default()
}

/// The address that a text names: itself, or what stands in a file.
pub fn address(from: &str) -> Result<String> {
    let Some(path) = from.strip_prefix('@') else { return Ok(from.to_owned()) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
    Ok(text.trim().to_owned())
}

/// Whether an address is that of a file, and no database's.
pub fn is_file(address: &str) -> bool {
    address.ends_with(EXPORT) && !address.contains(':')
}

/// The mapping that was given.
pub fn mapping_of(matches: &ArgMatches) -> Result<Option<(Mapping, String)>> {
    let Some(path) = matches.get_one::<String>(MAP) else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
    parsed(path, &text).map(|mapping| Some((mapping, text)))
}

/// A mapping as a file says.
pub fn parsed(path: &str, text: &str) -> Result<Mapping> {
    mapping::parse(text).map_err(|faults| {
        let told: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
        Failure::new(format!("{path} is not a mapping:{}", told.concat()))
    })
}

/// What is said of tables that are looked for and stand where nothing is looked at.
fn left_out(tables: &Tables<'_>) -> String {
    let schemas: Vec<&str> = tables.left_out().collect();
    match schemas.is_empty() {
        true => String::new(),
        false => format!(
            "; what stands beside Charter's own tables was not looked at (schema {}): they go into one of their own, --database-schema charter",
            schemas.join(", ")
        ),
    }
}

/// The system its tables give away, or the operator named.
fn settled(tables: &Tables<'_>, named: Option<System>, mapping: Option<&Mapping>) -> Result<System> {
    if let Some(system) = named.or_else(|| mapping.map(|mapping| mapping.system)) {
        return Ok(system);
    }
    let found = source::detect(tables).map_err(|wanted| Failure::new(wanted.to_string()))?;
    match found.as_slice() {
        [system] => Ok(*system),
        [] => Err(Failure::new(format!(
            "no system that is known was found there: write a mapping with [source], where its tables stand, and give it with --map{}",
            left_out(tables)
        ))),
        several => {
            let names: Vec<&str> = several.iter().map(|system| name(*system)).collect();
            Err(Failure::new(format!("its tables fit {}: say which with --system", names.join(" and "))))
        }
    }
}

/// The other system while it is being looked at: all that is read of it is one state of it.
pub struct Looking {
    at: At,
    /// Which system it is.
    pub system: System,
    /// Where its tables stand, for a system of one's own.
    pub tables: Option<NamedTables>,
    /// Its tables that are read, by schema and name.
    pub read: Vec<ForeignTable>,
    /// Whether every row that is not as it should be is named, and not the first of each kind alone.
    pub names_all: bool,
}

/// What is being looked at.
enum At {
    Database { foreign: Foreign, statements: Box<Statements> },
    File { path: String, text: String },
}

/// For how long the other system is looked at again before a look is given up, and how long between two of them.
const PATIENCE_MICROS: i64 = 60_000_000;
const PAUSE: Duration = Duration::from_secs(2);

/// What a database of the other system answers with.
pub fn failed(error: charter_db::Error) -> Failure {
    Failure::new(format!("the other system's database: {error}"))
}

/// The same of a look that was begun: a lock there and a lost connection pass.
pub fn broken_off(error: charter_db::Error) -> Failure {
    let passes = is_passing(&error);
    let failure = failed(error);
    if passes { failure.passing() } else { failure }
}

/// Whether it may go better in a moment.
pub fn is_passing(error: &charter_db::Error) -> bool {
    use charter_db::Error::{Aborted, Busy, Unavailable};
    matches!(error, Busy(_) | Unavailable(_) | Aborted(_))
}

/// Looks at the other system, and anew where a lock there or a lost connection ended the look.
pub async fn patiently<T>(mut look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let (world, mut first, mut was_there) = (World::system(), None, false);
    loop {
        match look().await {
            Err(failure) if failure.is_passing(was_there) => {
                let now = world.steady_micros();
                if now - *first.get_or_insert(now) >= PATIENCE_MICROS {
                    return Err(failure);
                }
                was_there = true;
                tracing::warn!("{failure}: looked at again in {} s", PAUSE.as_secs());
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// What an address answers with at which a look cannot begin: a lock there passes, a server that cannot be reached where it was there before.
fn opening(error: charter_db::Error) -> Failure {
    match error {
        charter_db::Error::Busy(_) => failed(error).passing(),
        error if is_passing(&error) => failed(error).passing_if_before(),
        error => failed(error),
    }
}

/// A login as Charter compares it, or why it can be none.
fn login_rule(login: &str) -> std::result::Result<String, String> {
    charter_app::text::login("login", login).map_err(|problem| {
        let first = problem.fields.first().map(|field| field.detail.clone());
        first.unwrap_or(problem.detail)
    })
}

/// Told of each user's id and the hash of the password, as it stands there.
pub type EachPassword<'f> =
    &'f mut (dyn FnMut(&str, Option<&str>) -> std::result::Result<(), charter_db::Error> + Send);

impl Looking {
    /// Begins to look.
    pub async fn open(
        address: &str,
        share: Share,
        named: Option<System>,
        mapping: Option<&Mapping>,
    ) -> Result<Self> {
        if is_file(address) {
            return Self::file(address, named.or_else(|| mapping.map(|mapping| mapping.system)));
        }
        if !address.starts_with("sqlite:") && !address.contains("://") {
            return Err(Failure::new(format!(
                "{address} is no address: did you mean sqlite:{address}, or @{address} for a file that holds the address?"
            )));
        }
        let mut foreign = Foreign::open(address).await.map_err(opening)?.taking(share);
        let all = charter_adopt::beside::others(foreign.tables().await.map_err(opening)?);
        let schema = mapping.and_then(|mapping| mapping.schema.as_deref());
        if let Some(schema) = schema.filter(|schema| !all.iter().any(|table| table.schema == **schema)) {
            return Err(Failure::new(format!(
                "source.schema: there is no schema {schema:?} with tables there"
            )));
        }
        let (system, tables, statements) = {
            let found = Tables::new(&foreign, &all, schema);
            let system = settled(&found, named, mapping)?;
            let tables = match mapping.and_then(|mapping| mapping.tables.clone()) {
                Some(tables) => Some(tables),
                None if matches!(system, System::RoleColumn | System::RoleTables) => {
                    source::proposed(&found, Some(system))
                        .map_err(|wanted| Failure::new(wanted.to_string()))?
                }
                None => None,
            };
            let statements = source::statements(&found, system, tables.as_ref()).map_err(|wanted| {
                let hidden = matches!(wanted, Wanted::Table(_)).then(|| left_out(&found)).unwrap_or_default();
                Failure::new(format!("{wanted}{hidden}"))
            })?;
            (system, tables, statements)
        };
        let is_read = |table: &ForeignTable| {
            let name = table.quoted().unwrap_or_default();
            statements.all().any(|text| text.contains(&name))
        };
        let read: Vec<ForeignTable> = all.iter().filter(|table| is_read(table)).cloned().collect();
        foreign.hold_no_longer(&read).await.map_err(opening)?;
        let at = At::Database { foreign, statements: Box::new(statements) };
        Ok(Self { at, system, tables, read, names_all: false })
    }

    fn file(path: &str, said: Option<System>) -> Result<Self> {
        if let Some(other) = said.filter(|system| *system != System::Keycloak) {
            return Err(Failure::new(format!(
                "a file ending in {EXPORT} is the export of a Keycloak realm, and {} was named: give the address of its database to --from",
                name(other)
            )));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
        let at = At::File { path: path.to_owned(), text };
        Ok(Self { at, system: System::Keycloak, tables: None, read: Vec::new(), names_all: false })
    }

    /// What its database runs on; nothing where it is a file.
    pub fn engine(&self) -> Option<Engine> {
        match &self.at {
            At::Database { foreign, .. } => Some(foreign.engine()),
            At::File { .. } => None,
        }
    }

    /// The database itself, to be asked more in the same state; nothing where it is a file.
    pub const fn foreign(&mut self) -> Option<&mut Foreign> {
        match &mut self.at {
            At::Database { foreign, .. } => Some(foreign),
            At::File { .. } => None,
        }
    }

    /// Reads it; users are also shown to `each`.
    pub async fn hear(&mut self, each: EachUser<'_>) -> Result<Heard> {
        let taking = Taking { rule: login_rule, names_all: self.names_all };
        match &mut self.at {
            At::Database { foreign, statements } => {
                source::read(foreign, statements, taking, each).await.map_err(|error| match error {
                    ReadError::Database { error: ref cause, .. } => {
                        let failure = Failure::new(format!("the other system's database, {error}"));
                        if is_passing(cause) { failure.passing() } else { failure }
                    }
                    ReadError::Wanted(wanted) => Failure::new(wanted.to_string()),
                })
            }
            At::File { path, text } => source::keycloak::read(text, taking, each)
                .map_err(|wanted| Failure::new(format!("{path}: {wanted}"))),
        }
    }

    /// Reads the users' ids and the hashes of their passwords once more, in the order and the state in which they were heard.
    pub async fn passwords(&mut self, each: EachPassword<'_>) -> std::result::Result<(), charter_db::Error> {
        const ID: usize = 0;
        const PASSWORD: usize = 9;
        match &mut self.at {
            At::Database { foreign, statements } => {
                let mut row = |row: ForeignRow<'_>| {
                    let cell = |place: usize| row.get(place).copied().flatten();
                    each(cell(ID).unwrap_or_default(), cell(PASSWORD))
                };
                foreign.for_each(&statements.users, &mut row).await
            }
            At::File { text, .. } => {
                let mut outcome = Ok(());
                let mut user = |passing: Passing<'_>, _: &mut Anomalies| {
                    if outcome.is_ok() {
                        outcome = each(passing.user.id, passing.password);
                    }
                };
                source::keycloak::read(text, login_rule as LoginRule, &mut user)
                    .map_err(|wanted| charter_db::Error::Statement(wanted.to_string()))?;
                outcome
            }
        }
    }
}

/// Reads the other system, in one state of it.
pub async fn read(invocation: &Invocation<'_>) -> Result<Legacy> {
    read_naming(invocation, false).await
}

/// The same, with every row that is not as it should be by name where that is asked for.
pub async fn read_naming(invocation: &Invocation<'_>, names_all: bool) -> Result<Legacy> {
    let (matches, share) = (invocation.matches, invocation.loaded.configuration.read_share);
    let given = mapping_of(matches)?;
    let named = matches.get_one::<String>(SYSTEM).and_then(|name| system_named(name));
    let mapping = given.as_ref().map(|(mapping, _)| mapping);
    let address = address(&typed(matches))?;
    let look = async || {
        let mut looking = Looking::open(&address, share, named, mapping).await?;
        looking.names_all = names_all;
        let (heard, passwords) = heard(&mut looking, mapping).await?;
        Ok((looking, heard, passwords))
    };
    let (looking, heard, passwords) = patiently(look).await?;
    let (engine, system, tables) = (looking.engine(), looking.system, looking.tables);
    let (mapping, mapping_text) = given.unzip();
    Ok(Legacy { system, engine, tables, mapping, mapping_text, heard, passwords })
}

/// Reads it with the formats of passwords, and judges what was read by the catalogue and the mapping.
pub async fn heard(
    looking: &mut Looking,
    mapping: Option<&Mapping>,
) -> Result<(Heard, BTreeMap<String, u64>)> {
    let mut passwords: BTreeMap<String, u64> = BTreeMap::new();
    let mut each = |passing: Passing<'_>, anomalies: &mut Anomalies| {
        let format = password(&passing, anomalies);
        *passwords.entry(format).or_default() += 1;
    };
    let mut heard = looking.hear(&mut each).await?;
    let catalogue =
        charter_catalogue::shipped().map_err(|_| Failure::new("the shipped catalogue cannot be read"))?;
    check::judge(&mut heard, mapping, &catalogue)
        .map_err(|error| Failure::new(format!("the shipped catalogue cannot be used: {error}")))?;
    Ok((heard, passwords))
}

/// The format of a user's password; one that cannot be taken over is noted.
fn password(passing: &Passing<'_>, anomalies: &mut Anomalies) -> String {
    // Django writes one that fits nothing with a ! in front.
    let Some(hash) = passing.password.filter(|hash| !hash.is_empty() && !hash.starts_with('!')) else {
        return NO_PASSWORD.to_owned();
    };
    match AdoptedHash::parse(hash) {
        Ok(known) => known.scheme(),
        Err(refused) => {
            let row = format!("user {}", passing.user.id);
            let why = match refused {
                Refused::Unsafe(what) => what.to_owned(),
                other => other.to_string(),
            };
            anomalies.note(AnomalyKind::UnknownPassword, row, why);
            UNKNOWN_PASSWORD.to_owned()
        }
    }
}
