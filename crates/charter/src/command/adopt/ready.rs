//! The first stage: whether everything is there that a run wants, before anything is written anywhere.

use super::legacy::{self, Looking};
use super::place;
use crate::config::Configuration;
use crate::config::text::without_password;
use crate::failure::{Failure, Result};
use crate::folder::Folder;
use charter_adopt::mapping::Mapping;
use charter_adopt::plan::Plan;
use charter_adopt::source::{Heard, System};
use charter_adopt::sums::{self, TableSum};
use charter_db::Engine;
use charter_db::foreign::Share;
use charter_kernel::counted;
use clap::{Arg, ArgMatches};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

const BACKUP: &str = "backup";
const NO_BACKUP: &str = "no_backup";
/// Both, by name.
pub const NAMES: [&str; 2] = [BACKUP, NO_BACKUP];
/// How old a backup may be.
const BACKUP_AGE: Duration = Duration::from_secs(60 * 60);
/// Entries of a folder that are looked at for the newest.
const ENTRIES_MAX: usize = 100_000;
/// Clocks of two machines are so far apart at most.
const CLOCKS_APART: Duration = Duration::from_secs(60);
/// Bytes that a row of ours comes to, indexes with it.
const ROW_BYTES: u64 = 400;
/// How much more room there has to be than the rows want.
const ROOM: u64 = 3;

/// Which backup there is.
pub fn arguments() -> [Arg; 2] {
    [
        Arg::new(BACKUP).long(BACKUP).value_name("FILE").conflicts_with(NO_BACKUP).help(
            "A backup of the other system's database, a file or a folder of files, at most an hour old",
        ),
        Arg::new(NO_BACKUP)
            .long("no-backup")
            .value_name("NAME")
            .help("Go on without a backup, as decided by this person"),
    ]
}

/// What the first stage found.
pub struct Ready {
    /// When it began to look.
    pub started_at: String,
    /// Tables of the other system, and what they came to.
    pub sums: BTreeMap<String, TableSum>,
    /// What is told of it.
    pub detail: Value,
    /// The same, in lines.
    pub lines: Vec<String>,
}

/// When the newest file of a folder was written that holds anything, however deep it stands; none where none does. Links lead out of it, and are not
/// followed.
fn newest(folder: &Path) -> io::Result<Option<SystemTime>> {
    let mut newest: Option<SystemTime> = None;
    let (mut folders, mut seen) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_dir() {
                folders.push(entry.path());
            } else if about.is_file() && about.len() > 0 {
                newest = newest.max(Some(about.modified()?));
            }
            seen += 1;
            if seen >= ENTRIES_MAX {
                return Ok(newest);
            }
        }
    }
    Ok(newest)
}

fn backup(matches: &ArgMatches, plan: &Plan) -> Result<(String, Value)> {
    if let Some(who) = matches.get_one::<String>(NO_BACKUP) {
        if who.trim().is_empty() {
            return Err(Failure::new("--no-backup wants the name of whoever decided that"));
        }
        return Ok((format!("no backup, as {who} decided"), json!({ "without": who })));
    }
    let Some(path) = matches.get_one::<String>(BACKUP) else {
        return Err(Failure::new(
            "name a backup of the other system's database that is at most an hour old, --backup FILE; or who decided to go on without \
             one, --no-backup NAME",
        ));
    };
    let wrong = |what: String| Failure::new(format!("the backup {path}: {what}"));
    let about = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    let written = match about.is_dir() {
        true => newest(Path::new(path)),
        false if about.len() == 0 => Ok(None),
        false => about.modified().map(Some),
    };
    let Some(written) = written.map_err(|error| wrong(error.to_string()))? else {
        return Err(wrong("it is empty".to_owned()));
    };
    let made = written.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(crate::installation::now().micros()).unwrap_or(0);
    let now = Duration::from_micros(now);
    if made > now + CLOCKS_APART {
        return Err(wrong(
            "it is dated in the future, so nobody knows how old it is: set the clock of this machine, or that of the one it came from, \
             and make a new one"
                .to_owned(),
        ));
    }
    let age = now.saturating_sub(made);
    if place::of(&format!("sqlite:{path}"))? == place::of(&plan.from)? {
        return Err(wrong("it is the other system's database itself: name a copy of it".to_owned()));
    }
    if age > BACKUP_AGE {
        return Err(wrong(format!(
            "it is {} minutes old, and at most 60 are accepted: make a new one",
            age.as_secs() / 60
        )));
    }
    let minutes = age.as_secs() / 60;
    let old = counted(minutes, "minute", "minutes");
    Ok((format!("backup {path}, {old} old"), json!({ "file": path, "minutes": minutes })))
}

/// The service through which rows are written, where there is one.
pub fn through(configuration: &Configuration) -> Option<String> {
    let service = || Folder::at(&configuration.data).service_at_work().map(|service| service.address);
    configuration.url.clone().or_else(service)
}

/// Where Charter's own rows go.
fn own_database(configuration: &Configuration) -> Vec<String> {
    let mut lines = vec![format!("Charter's database is {}", without_password(&configuration.database))];
    lines.extend(configuration.database_schema.as_ref().map(|schema| format!("in its schema {schema}")));
    lines.extend(through(configuration).map(|url| format!("through the service at {url}")));
    lines
}

/// Room where Charter writes, if its database is a file of this machine.
fn room(configuration: &Configuration, rows: u64) -> Result<Option<String>> {
    let address = &configuration.database;
    let Some(path) = address.strip_prefix("sqlite://").or_else(|| address.strip_prefix("sqlite:")) else {
        return Ok(None);
    };
    let folder = Path::new(path).ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let Ok(about) = rustix::fs::statvfs(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    else {
        return Ok(None);
    };
    let (free, wanted) =
        (about.f_bavail.saturating_mul(about.f_frsize), rows.saturating_mul(ROW_BYTES * ROOM));
    let mib = |bytes: u64| bytes / (1024 * 1024);
    if free < wanted {
        return Err(Failure::new(format!(
            "{} has {} MiB left, and this wants {} MiB (three times what its rows come to): make room first",
            folder.display(),
            mib(free),
            mib(wanted)
        )));
    }
    Ok(Some(format!("{} MiB free, {} MiB wanted", mib(free), mib(wanted))))
}

/// One text of the other system's database.
async fn asked(looking: &mut Looking, text: &str) -> Option<String> {
    let mut answer = None;
    let mut each = |row: charter_db::foreign::ForeignRow<'_>| {
        answer = row.first().copied().flatten().map(str::to_owned);
        Ok(())
    };
    looking.foreign()?.for_each(text, &mut each).await.ok()?;
    answer
}

/// Checksums of the tables that the reader reads.
pub async fn sums(looking: &mut Looking) -> Result<BTreeMap<String, TableSum>> {
    let tables = std::mem::take(&mut looking.read);
    let sums = match looking.foreign() {
        Some(foreign) => sums::legacy_checksums(foreign, &tables).await.map_err(legacy::broken_off),
        None => Ok(BTreeMap::new()),
    };
    looking.read = tables;
    sums
}

/// The same of a look of its own.
pub async fn summed(
    address: &str,
    share: Share,
    system: Option<System>,
    mapping: Option<&Mapping>,
) -> Result<BTreeMap<String, TableSum>> {
    legacy::patiently(async || sums(&mut Looking::open(address, share, system, mapping).await?).await).await
}

/// The version of the server of the other system's database, where it has one that tells it.
pub async fn server_version(looking: &mut Looking) -> Option<String> {
    if looking.engine() != Some(Engine::Postgres) {
        return None;
    }
    asked(looking, "select current_setting('server_version')").await
}

/// Looks at everything.
pub async fn look(
    matches: &ArgMatches,
    configuration: &Configuration,
    plan: &Plan,
    looking: &mut Looking,
    heard: &Heard,
) -> Result<Ready> {
    let started_at = crate::installation::now().to_string();
    let mut lines = vec![format!(
        "{}, {} and {}, as planned",
        counted(heard.facts.users.len() as u64, "user", "users"),
        counted(heard.facts.roles.len() as u64, "role", "roles"),
        counted(heard.facts.permissions.len() as u64, "permission", "permissions")
    )];
    lines.extend(own_database(configuration));
    let (line, backup) = backup(matches, plan)?;
    lines.push(line);
    let room = room(configuration, plan.rows.sum())?;
    lines.extend(room.clone());
    let (mut version, mut long) = (None, None);
    if looking.engine() == Some(Engine::Postgres) {
        version = server_version(looking).await;
        lines.extend(version.as_ref().map(|version| format!("PostgreSQL {version}")));
        let replica = asked(looking, "select pg_is_in_recovery()::text").await;
        if replica.as_deref() == Some("true") {
            lines.push(
                "it is a replica: what was written on its primary a moment ago may be missing".to_owned(),
            );
        }
        long = asked(looking, charter_adopt::source::LONG_TRANSACTIONS).await.filter(|count| count != "0");
        lines.extend(long.as_ref().map(|count| {
            let count = count.parse::<u64>().unwrap_or(0);
            let count = counted(count, "transaction there has", "transactions there have");
            format!("{count} been open for more than ten minutes: nothing here waits for that")
        }));
    }
    let sums = sums(looking).await?;
    lines.push(format!("{} summed", counted(sums.len() as u64, "table", "tables")));
    let anomalies: u64 = plan.anomalies.values().sum();
    if anomalies > 0 {
        let rows = counted(anomalies, "row is not as it should be", "rows are not as they should be");
        lines.push(format!("{rows}, as the plan says"));
    }
    let detail = json!({
        "backup": backup, "room": room, "server_version": version, "long_transactions": long, "tables": sums,
    });
    Ok(Ready { started_at, sums, detail, lines })
}
