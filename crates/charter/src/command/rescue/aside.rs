//! A SQLite file moved aside: one that is Charter's own as a whole, and nothing in it is lost.

use super::{Rescue, removal, report::Step};
use crate::command::adopt::record::Record;
use crate::config::Configuration;
use crate::installation;
use charter_adopt::plan::more;
use charter_db::foreign::{Foreign, ForeignTable};
use charter_db::{Database, Error, Options};
use charter_store::migration;
use serde_json::json;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What SQLite keeps beside a file. They go first: a file without its log would have lost what was written last.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", ""];

/// The table that says of a file that it is Charter's.
const SIGNATURE: (&str, [&str; 4]) = ("charter_migrations", ["number", "name", "checksum", "applied_at"]);

/// Names of tables that are told.
const TOLD_MAX: usize = 5;

/// The file, wherever links lead.
pub fn path(configuration: &Configuration) -> PathBuf {
    path_of(&configuration.database)
}

/// The file of an address.
pub fn path_of(address: &str) -> PathBuf {
    let path = address.strip_prefix("sqlite://").or_else(|| address.strip_prefix("sqlite:"));
    let path = Path::new(path.unwrap_or(address));
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// What stands where Charter's file is to be.
pub enum Found {
    /// Nothing; or Charter's tables are in no file.
    Nothing,
    /// Charter's own. It alone may be opened as that: opening changes a file.
    Charters,
    /// A file without tables.
    Empty,
    /// Somebody else's, or not Charter's alone, and why.
    Stranger(String),
    /// It cannot be told whose it is.
    Unread(Error),
}

/// What the tables of a file say of it. It is looked at as another program's is.
async fn tables(path: &Path) -> Result<Vec<ForeignTable>, Error> {
    Foreign::open(&format!("sqlite://{}", path.display())).await?.tables().await
}

fn is_signature(table: &ForeignTable) -> bool {
    table.name == SIGNATURE.0 && table.columns.iter().map(|column| column.name.as_str()).eq(SIGNATURE.1)
}

/// Whether two names lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let found = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino()));
    one == other || matches!((found(one), found(other)), (Ok(one), Ok(other)) if one == other)
}

/// Looks at the file that the configuration names, before anybody opens it as Charter's: that alone would change it. `others` are the addresses
/// of the other system's database; the record may name tables that this version of Charter does not know.
pub async fn look(configuration: &Configuration, others: &[&str], record: Option<&Record>) -> Found {
    let path = path(configuration);
    if configuration.database.starts_with("postgres") || !path.exists() {
        return Found::Nothing;
    }
    let sqlite = others.iter().filter(|address| address.starts_with("sqlite:"));
    if sqlite.map(|address| path_of(address)).any(|other| is_same(&path, &other)) {
        return Found::Stranger(format!(
            "{} is the other system's own file, by a link or another name, and stays: look where Charter's own file is, and put it \
             back or remove the link",
            path.display()
        ));
    }
    let tables = match tables(&path).await {
        Ok(tables) => tables,
        Err(error) => return Found::Unread(error),
    };
    if tables.is_empty() {
        return Found::Empty;
    }
    if !tables.iter().any(is_signature) {
        return Found::Stranger(unsigned(&path));
    }
    let mut own = migration::tables();
    own.extend(record.into_iter().flat_map(|record| record.tables.clone()));
    let names = tables.iter().map(|table| table.name.as_str());
    let foreign: Vec<&str> = names.filter(|name| !own.iter().any(|own| own == name)).collect();
    if foreign.is_empty() { Found::Charters } else { Found::Stranger(shared(&path, &foreign)) }
}

fn unsigned(path: &Path) -> String {
    format!(
        "without the table charter_migrations nothing says that {} is Charter's: look whose it is, and put Charter's own back",
        path.display()
    )
}

/// Tells that a file is not Charter's alone.
fn shared(path: &Path, foreign: &[&str]) -> String {
    let first = foreign.get(..foreign.len().min(TOLD_MAX)).unwrap_or_default();
    format!(
        "{} holds tables of another program beside Charter's ({}{}), and stays: `charter migrate down --to 0 --yes` takes Charter's away and leaves \
         the others in their place. (If a later version of Charter made them, let that version do the rescue.)",
        path.display(),
        first.join(", "),
        more(foreign.len() as u64, first.len())
    )
}

/// Whether a program of Charter has the file open; nothing is opened or changed for it.
pub fn is_in_use(path: &Path) -> bool {
    File::open(beside(path, ".lock"))
        .is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Tells that Charter itself has the file open.
pub fn is_held(path: &Path, options: &Options) -> String {
    let holder = Database::holder(options).map_or_else(String::new, |pid| format!(", process {pid}"));
    format!(
        "{} is open in another program of Charter{holder}: stop it first, then do this step again",
        path.display()
    )
}

fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

/// Files that were moved aside before, oldest first.
pub fn earlier(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut prefix = path.file_name().map_or_else(OsString::new, ToOwned::to_owned);
    prefix.push(".rescued-");
    let prefix = prefix.to_string_lossy().into_owned();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
        .filter(|path| !path.to_string_lossy().ends_with("-wal") && !path.to_string_lossy().ends_with("-shm"))
        .collect();
    found.sort();
    found
}

/// The name a file gets that is moved aside.
pub fn moved(path: &Path, stamp: &str) -> PathBuf {
    beside(path, &format!(".rescued-{stamp}"))
}

/// The name it gets: that of a move that was cut short before the file itself, or a new one.
fn target(path: &Path, stamp: &str) -> PathBuf {
    let new = moved(path, stamp);
    let folder = path.parent().unwrap_or(Path::new("."));
    let prefix = format!("{}.rescued-", path.file_name().unwrap_or_default().to_string_lossy());
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let cut_short = names
        .filter_map(|name| {
            name.to_str()?.strip_suffix("-wal").filter(|name| name.starts_with(&prefix)).map(str::to_owned)
        })
        .map(|name| folder.join(name))
        .find(|path| !path.exists());
    cut_short.unwrap_or(new)
}

/// Moves the file aside.
pub async fn run(rescue: &Rescue<'_>, step: &mut Step) {
    if let Some(elsewhere) = removal::elsewhere(rescue) {
        return step.fail(format!("nothing is moved: {elsewhere}"));
    }
    let why = match &rescue.found {
        Found::Stranger(why) => Some(why),
        _ => rescue.another.as_ref(),
    };
    if let Some(why) = why {
        return step.fail(format!("nothing is moved: {why}"));
    }
    let path = path(rescue.configuration);
    // Much may have become of it since it was looked at first.
    let now = if rescue.is_dry_run { None } else { Some(rescue.look().await) };
    let found = now.as_ref().unwrap_or(&rescue.found);
    match found {
        Found::Charters => {}
        Found::Nothing => {
            return match earlier(&path).last() {
                Some(earlier) => step.nothing(format!("it lies at {} already", earlier.display())),
                None => step.fail(format!("there is no file {}", path.display())),
            };
        }
        Found::Stranger(why) => return step.fail(format!("nothing is moved: {why}")),
        // A record that came this far names the file, whatever has become of it; another program's tables are not what becomes of it.
        Found::Empty if rescue.record.is_some() => {}
        Found::Empty => return step.fail(format!("nothing is moved: {}", unsigned(&path))),
        Found::Unread(error @ Error::Busy(_)) => {
            return step.fail(format!(
                "nothing is moved: another program holds {} ({error}), and whose it is cannot be told: stop that program first, then do this \
                 step again",
                path.display()
            ));
        }
        Found::Unread(error) if rescue.record.is_some() => {
            step.tell(format!("it cannot be opened ({error}), and is moved as it is"));
        }
        Found::Unread(error) => {
            return step.fail(format!(
                "nothing is moved: {} cannot be read ({error}), and no record says that it is Charter's",
                path.display()
            ));
        }
    }
    let options = installation::options(rescue.configuration);
    // Whoever has it open goes on writing into it wherever it lies.
    if is_in_use(&path) {
        return step.fail(is_held(&path, &options));
    }
    let target = target(&path, &rescue.stamp);
    if rescue.is_dry_run {
        return step.would(format!("move {} aside, to {}", path.display(), target.display()));
    }
    if matches!(found, Found::Charters) {
        match Database::open(&options).await {
            Ok(database) => {
                if let Err(error) = database.checkpoint().await {
                    step.tell(format!("its log could not be moved into it, and goes along: {error}"));
                }
                let _closed = database.close().await;
            }
            Err(Error::Busy(_)) => return step.fail(is_held(&path, &options)),
            Err(error) => step.tell(format!("it cannot be opened ({error}), and is moved as it is")),
        }
    }
    for companion in COMPANIONS {
        let (old, new) = (beside(&path, companion), beside(&target, companion));
        if !old.exists() {
            continue;
        }
        if let Err(error) = fs::rename(&old, &new) {
            return step.fail(format!("{} cannot be moved: {error}", old.display()));
        }
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        step.tell(format!("the folder may not know it yet after a power cut: {error}"));
    }
    step.tell(format!("{} lies at {} now; nothing in it is lost", path.display(), target.display()));
    step.note("moved_to", json!(target.display().to_string()));
}
