//! `charter rescue`: the emergency way back to the other system, in six steps. It takes nothing for granted: no service, no healthy
//! schema, no App; each step connects for itself, tells what it did, and can be done again. What the run wrote down
//! (`adopt/record.rs`) says where everything is and by which names.

mod aside;
mod connection;
mod interrupt;
mod legacy;
mod removal;
mod report;
mod restart;
mod sign_in;

use super::Invocation;
use super::adopt::record::{self, RESCUED, Record};
use super::show;
use crate::config::{Configuration, Secret, text};
use crate::failure::{Failure, Outcome, Result};
use crate::folder::{Folder, Lock};
use crate::{installation, output, terminal};
use aside::Found;
use charter_db::{Conn, Database, Error, Options, Scope};
use charter_kernel::{Key, OrganizationId, Timestamp};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use interrupt::Stop;
use report::{Ended, Step};
use serde_json::{Value, json};

const FROM: &str = "from";
const STEP: &str = "step";
const DRY_RUN: &str = "dry_run";
const ORGANIZATION: &str = "organization";
/// Names of organizations that are told.
const NAMES_TOLD: usize = 3;
/// The step that writes down what was done: whatever else is cut short.
const RECORD_STEP: u8 = 6;
/// The organization that runs an installation: its name counts where there is no record.
const PLATFORM: &str = "platform";

/// The steps, by what they are about.
const STEPS: [&str; 6] = [
    "verify the connections",
    "remove Charter's tables",
    "confirm the other system's tables",
    "restart the other system",
    "sign in there",
    "write the record of the rescue",
];

pub fn command() -> Command {
    Command::new("rescue")
        .about("Go back to the other system in an emergency: needs neither the service nor healthy tables")
        .arg(Arg::new(FROM).long(FROM).value_name("ADDRESS").help(
            "The other system's database: sqlite:path or postgres://..., or @file, a file that holds the address; left out, the one of the adoption",
        ))
        .arg(
            Arg::new(STEP)
                .long(STEP)
                .value_name("N")
                .action(ArgAction::Append)
                .value_parser(value_parser!(u8).range(1..=6))
                .help("Only this step, 1 to 6; may be given several times"),
        )
        .arg(
            Arg::new(DRY_RUN)
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Look at everything, tell what would be done, and change nothing"),
        )
        .args(restart::arguments())
        .args(sign_in::arguments())
        .after_help(
            "Steps: 1 the connections, 2 Charter's tables go (a SQLite file is moved aside), 3 the other system's tables are compared with what \
             they were, 4 it is restarted, 5 somebody signs in there, 6 a record is written. A step that fails is told and the others go on.\n\
             It asks for the name of an organization that was taken over before it acts; --organization NAME says it for a script.\n\
             Charter's own tables are those of the configuration; --database ADDRESS and --database-schema NAME say that they stand elsewhere.\n\
             Exit codes: 0 all was done, 1 something was not, 2 nothing was begun, 130 or 143 a signal ended it.",
        )
}

/// What every step knows.
struct Rescue<'a> {
    configuration: &'a Configuration,
    matches: &'a ArgMatches,
    /// The record of the adoption; none when there is none that can be read.
    record: Option<Record>,
    /// Address of the other system's database, or why it is not known.
    from: std::result::Result<String, String>,
    is_dry_run: bool,
    now: Timestamp,
    /// What its files are called by: the instant, and a number where another one has that.
    stamp: String,
    /// Keeps every other command and service out of the data folder.
    lock: Option<Lock>,
    /// What stands at the place of Charter's SQLite file.
    found: Found,
    /// Why the record says nothing about the installation that stands in the database.
    another: Option<String>,
    /// The password of step 5, where somebody was asked for it.
    password: Option<std::result::Result<Secret, String>>,
}

impl Rescue<'_> {
    fn is_postgres(&self) -> bool {
        self.configuration.database.starts_with("postgres")
    }

    /// Whether the step is one of those that were asked for.
    fn is_chosen(&self, step: u8) -> bool {
        let mut chosen = self.matches.get_many::<u8>(STEP).into_iter().flatten().peekable();
        chosen.peek().is_none() || chosen.any(|it| *it == step)
    }

    /// What stands at the place of Charter's SQLite file by now.
    async fn look(&self) -> Found {
        let record = self.record.as_ref();
        let others = [self.from.as_deref().ok(), record.map(|record| record.from.as_str())];
        let others: Vec<&str> = others.into_iter().flatten().collect();
        aside::look(self.configuration, &others, record).await
    }

    /// Who is at work in the data folder, when it is not us.
    fn in_the_way(&self) -> Option<String> {
        if self.lock.is_some() {
            return None;
        }
        let folder = Folder::at(&self.configuration.data);
        Some(match folder.service() {
            Some(service) => format!(
                "the service is at work (process {} at {}): stop it first, or it would make the tables again",
                service.pid, service.address
            ),
            None if folder.path().exists() => {
                "another charter command is at work in the data folder".to_owned()
            }
            None => return None,
        })
    }
}

/// Which installation stands in the database, by the id of its platform organization, where that can be read: for reading alone.
async fn standing(configuration: &Configuration) -> Option<String> {
    let platform: Key = PLATFORM.parse().ok()?;
    let options = Options { pool_size: 1, ..installation::options(configuration) };
    let database = Database::open_to_read(&options).await.ok()?;
    let found = match charter_store::migration::is_begun(&database).await {
        Ok(true) => {
            let read = database.read::<_, Option<OrganizationId>, Error>(
                Scope::Installation,
                move |conn: &mut Conn| {
                    Box::pin(async move { charter_store::organization::by_key(conn, &platform).await })
                },
            );
            read.await.ok().flatten()
        }
        _ => None,
    };
    let _closed = database.close().await;
    found.map(|id| id.to_string())
}

/// Why a record says nothing about the installation that stands there.
fn of_another(record: &Record, standing: &str, configuration: &Configuration) -> Option<String> {
    // One of an earlier version tells none.
    let recorded = record.installation.as_deref().filter(|id| *id != standing)?;
    let path = record::folder(&configuration.data).join(format!("run-{:06}.json", record.run));
    Some(format!(
        "the record of run {} is of another installation ({recorded}) than the one that stands in the database ({standing}). If that one is \
         to go, move {} away: rescue then goes by what the database itself says, and asks for `{PLATFORM}`; if it is not, name the \
         database of the record with --database",
        record.run,
        path.display()
    ))
}

/// A stamp that no file of a rescue has yet.
fn free_stamp(configuration: &Configuration, now: Timestamp) -> String {
    let (folder, database) = (record::folder(&configuration.data), aside::path(configuration));
    let stamp = record::stamp(now);
    let named = |count: u32| match count {
        1 => stamp.clone(),
        count => format!("{stamp}-{count}"),
    };
    let is_free = |stamp: &String| {
        let names = ["", ".json", "-restart.log"].map(|end| folder.join(format!("rescue-{stamp}{end}")));
        names.iter().all(|path| !path.exists()) && !aside::moved(&database, stamp).exists()
    };
    (1..1_000).map(named).find(is_free).unwrap_or_else(|| stamp.clone())
}

fn address(matches: &ArgMatches, record: Option<&Record>) -> std::result::Result<String, String> {
    let recorded = || record.map(|record| record.from.replace(":***@", "@")).filter(|from| !from.is_empty());
    let from = matches.get_one::<String>(FROM).cloned().or_else(recorded);
    let from = from.ok_or_else(|| "give its address with --from: no record tells it".to_owned())?;
    let Some(path) = from.strip_prefix('@') else { return Ok(from) };
    let read = std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"));
    Ok(read?.trim().to_owned())
}

/// Whether a word names what is rescued.
fn is_named(word: &str, record: Option<&Record>) -> bool {
    let fits = |record: &Record| record.organizations.iter().any(|it| it.key == word || it.name == word);
    word == PLATFORM || record.is_some_and(fits)
}

/// The names that count.
fn counting(record: Option<&Record>) -> String {
    let Some(record) = record else { return format!("`{PLATFORM}`") };
    let names = record.organizations.iter().map(|it| it.name.as_str());
    let first: Vec<&str> = names.take(NAMES_TOLD).collect();
    match record.organizations.len().saturating_sub(first.len()) {
        _ if first.is_empty() => format!("`{PLATFORM}`"),
        0 => {
            format!("the name of an organization that was taken over ({}), or `{PLATFORM}`", first.join(", "))
        }
        more => format!(
            "the name of an organization that was taken over ({} and {more} more), or `{PLATFORM}`",
            first.join(", ")
        ),
    }
}

/// Lets somebody go on who knows whose tables these are.
fn confirm(rescue: &Rescue<'_>) -> Result<()> {
    let wrong = |word: &str| {
        let known = if rescue.record.is_some() {
            "no organization of the adoption"
        } else {
            "not `platform`, and there is no record that names others"
        };
        Failure::new(format!("{word:?} is {known}: nothing was done"))
    };
    // Only the flag: what stands in the environment or in a file was not said about this.
    if let Some(word) = rescue.matches.get_one::<String>(ORGANIZATION) {
        return if is_named(word, rescue.record.as_ref()) { Ok(()) } else { Err(wrong(word)) };
    }
    let what = counting(rescue.record.as_ref());
    match terminal::word(&format!("To do this, type {what}: "))? {
        Some(word) if is_named(&word, rescue.record.as_ref()) => Ok(()),
        Some(word) => Err(wrong(&word)),
        None => Err(Failure::new(format!(
            "nothing was done: type {what} when asked, or give it with --organization {}",
            if rescue.record.is_some() { "NAME" } else { PLATFORM }
        ))),
    }
}

/// Runs the steps and tells each as it ends; the exit code where a signal ended them, and then only the record is still written.
async fn steps(rescue: &Rescue<'_>, is_json: bool) -> (Vec<Step>, Option<u8>) {
    let mut done: Vec<Step> = Vec::new();
    let (mut stop, mut stopped): (Option<Stop>, Option<u8>) = (None, None);
    for (number, title) in (1..).zip(STEPS).filter(|(number, _)| rescue.is_chosen(*number)) {
        if stopped.is_some() && number != RECORD_STEP {
            continue;
        }
        let mut step = Step::new(number, title);
        let ended = match number {
            1 => interrupt::unless(&mut stop, connection::run(rescue, &mut step)).await,
            2 => interrupt::unless(&mut stop, removal::run(rescue, &mut step)).await,
            3 => interrupt::unless(&mut stop, legacy::run(rescue, &mut step)).await,
            4 => restart::run(rescue, &mut stop, &mut step).await,
            5 => interrupt::unless(&mut stop, sign_in::run(rescue, &mut step)).await,
            _ => interrupt::unless(&mut stop, report::run(rescue, &done, &mut step)).await,
        };
        if let Err(code) = ended {
            step.fail("a signal ended it");
            stopped = Some(code);
        }
        if !is_json {
            output::print(step.text().trim_end());
        }
        done.push(step);
    }
    (done, stopped)
}

/// Says in the record that its installation is gone: a later one is another.
fn mark_rescued(rescue: &Rescue<'_>) {
    let Some(record) = &rescue.record else { return };
    let record = Record { state: RESCUED.to_owned(), ..record.clone() };
    if let Err(wrong) = record.write(&rescue.configuration.data) {
        output::complain(&format!("the record of run {} cannot say that it is over: {wrong}", record.run));
    }
}

/// Goes back.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let configuration = &invocation.loaded.configuration;
    let matches = invocation.matches;
    let folder = Folder::at(&configuration.data);
    let lock = if folder.path().exists() { folder.try_lock()? } else { None };
    let newest = Record::newest(&configuration.data);
    let recorded = newest.as_ref().ok().and_then(Option::as_ref);
    let from = address(matches, recorded);
    let others = [from.as_deref().ok(), recorded.map(|record| record.from.as_str())];
    let others: Vec<&str> = others.into_iter().flatten().collect();
    let found = aside::look(configuration, &others, recorded).await;
    let may_stand = configuration.database.starts_with("postgres") || matches!(found, Found::Charters);
    let standing = if recorded.is_some() && may_stand { standing(configuration).await } else { None };
    let is_gone = |record: &Record| {
        record.state == RESCUED
            && standing.as_ref().is_some_and(|id| record.installation.as_ref() != Some(id))
    };
    let (record, told) = match newest {
        Ok(Some(record)) if is_gone(&record) => (
            None,
            Some(format!(
                "the record of run {} is of an installation that a rescue took away, and no adoption has a record since",
                record.run
            )),
        ),
        Ok(Some(record)) => (Some(record), None),
        Ok(None) => {
            (None, Some(format!("there is no record of an adoption in {}", configuration.data.display())))
        }
        Err(wrong) => (None, Some(format!("the record of the adoption cannot be used: {wrong}"))),
    };
    if let Some(told) = told {
        output::complain(&told);
    }
    let another = match (&record, &standing) {
        (Some(record), Some(standing)) => of_another(record, standing, configuration),
        _ => None,
    };
    let now = installation::now();
    let mut rescue = Rescue {
        configuration,
        matches,
        from: address(matches, record.as_ref()),
        record,
        is_dry_run: true,
        now,
        stamp: free_stamp(configuration, now),
        lock,
        found,
        another,
        password: None,
    };
    let is_dry_run = matches.get_flag(DRY_RUN);
    if !is_dry_run {
        if matches.get_one::<String>(ORGANIZATION).is_none() {
            // Whoever is asked sees first what it is about.
            let _shown = steps(&rescue, invocation.is_json).await;
        }
        confirm(&rescue)?;
        rescue.is_dry_run = false;
        // Before anything is done: nobody has to wait for the step to come.
        rescue.password = sign_in::ask(&rescue);
    }
    if !invocation.is_json && !is_dry_run {
        output::print(&format!("rescue begins: {}", text::without_password(&configuration.database)));
    }
    let (done, stopped) = steps(&rescue, invocation.is_json).await;
    if !is_dry_run && done.iter().any(Step::took_away) {
        mark_rescued(&rescue);
    }
    if invocation.is_json {
        let steps: Vec<Value> = done.iter().map(Step::as_json).collect();
        show::raw(&json!({ "dry_run": is_dry_run, "steps": steps }));
    }
    if let Some(code) = stopped {
        output::complain(
            "charter: stopped: what was done stands above, and each step can be done again with --step N",
        );
        return Ok(Outcome::Stopped(code));
    }
    let failed = done.iter().filter(|step| step.ended == Ended::Failed).count();
    if failed > 0 {
        output::complain(&format!("{failed} of {} steps did not succeed", done.len()));
        return Ok(Outcome::Denied);
    }
    if done.iter().any(|step| step.ended == Ended::Lossy) {
        output::complain("all steps were done, but not all of what went could be kept: step 2 says what");
        return Ok(Outcome::Denied);
    }
    if is_dry_run && !invocation.is_json {
        output::print("nothing was changed");
    }
    Ok(Outcome::Good)
}
