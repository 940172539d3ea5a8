//! A SQLite file moved aside: one that is Charter's own as a whole, and nothing in it is lost.

use super::{Rescue, removal, report::Step};
use crate::config::Configuration;
use crate::installation;
use charter_db::foreign::{Foreign, ForeignTable};
use charter_db::{Database, Error, Options};
use serde_json::json;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What SQLite keeps beside a file. They go first: a file without its log would have lost what was written last.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", ""];

/// The table that says of a file that it is Charter's.
const SIGNATURE: (&str, [&str; 4]) = ("charter_migrations", ["number", "name", "checksum", "applied_at"]);

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

/// What the tables of a file say of it.
enum Tables {
    /// Charter's migrations are noted there.
    Charters,
    /// They are another program's.
    Others,
    /// There are none.
    None,
}

/// What the file holds. It is looked at as another program's is: opening it as Charter does would change it.
async fn tables(path: &Path) -> Result<Tables, Error> {
    let tables = Foreign::open(&format!("sqlite://{}", path.display())).await?.tables().await?;
    let is_signature = |table: &ForeignTable| {
        table.name == SIGNATURE.0 && table.columns.iter().map(|column| column.name.as_str()).eq(SIGNATURE.1)
    };
    Ok(match tables.iter().any(is_signature) {
        true => Tables::Charters,
        false if tables.is_empty() => Tables::None,
        false => Tables::Others,
    })
}

/// Whether two names lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let found = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino()));
    one == other || matches!((found(one), found(other)), (Ok(one), Ok(other)) if one == other)
}

/// Why the file that the configuration names is not Charter's, though it lies at its place. Asked before anybody opens it as Charter's: that
/// alone would change it. `others` are the addresses of the other system's database.
pub async fn stranger(configuration: &Configuration, others: &[&str], is_alone: bool) -> Option<String> {
    let path = path(configuration);
    if configuration.database.starts_with("postgres") || !path.exists() {
        return None;
    }
    let sqlite = others.iter().filter(|address| address.starts_with("sqlite:"));
    if sqlite.map(|address| path_of(address)).any(|other| is_same(&path, &other)) {
        return Some(format!(
            "{} is the other system's own file, by a link or another name, and stays: look where Charter's own file is, and put it \
             back or remove the link",
            path.display()
        ));
    }
    // Beside a service it would be waited for, and nobody else opens it either.
    let is_others = is_alone && matches!(tables(&path).await, Ok(Tables::Others));
    is_others.then(|| unsigned(&path))
}

fn unsigned(path: &Path) -> String {
    format!(
        "without the table charter_migrations nothing says that {} is Charter's: look whose it is, and put Charter's own back",
        path.display()
    )
}

/// Tells that Charter itself has the file open.
fn is_held(path: &Path, options: &Options) -> String {
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
    if let Some(why) = rescue.stranger.as_ref().or(rescue.another.as_ref()) {
        return step.fail(format!("nothing is moved: {why}"));
    }
    let path = path(rescue.configuration);
    if !path.exists() {
        match earlier(&path).last() {
            Some(earlier) => step.nothing(format!("it lies at {} already", earlier.display())),
            None => step.fail(format!("there is no file {}", path.display())),
        }
        return;
    }
    let options = installation::options(rescue.configuration);
    match tables(&path).await {
        Ok(Tables::Charters) => {}
        // A record that came this far names the file, whatever has become of it; another program's tables are not what becomes of it.
        Ok(Tables::None) if rescue.record.is_some() => {}
        Ok(Tables::None | Tables::Others) => {
            return step.fail(format!("nothing is moved: {}", unsigned(&path)));
        }
        Err(Error::Busy(_)) => return step.fail(is_held(&path, &options)),
        Err(_) if rescue.record.is_some() => {}
        Err(error) => {
            return step.fail(format!(
                "nothing is moved: {} cannot be read ({error}), and no record says that it is Charter's",
                path.display()
            ));
        }
    }
    let target = target(&path, &rescue.stamp);
    // Whoever has it open goes on writing into it wherever it lies.
    match Database::open(&options).await {
        Ok(database) => {
            if !rescue.is_dry_run
                && let Err(error) = database.checkpoint().await
            {
                step.tell(format!("its log could not be moved into it, and goes along: {error}"));
            }
            let _closed = database.close().await;
        }
        Err(Error::Busy(_)) => return step.fail(is_held(&path, &options)),
        Err(error) => step.tell(format!("it cannot be opened ({error}), and is moved as it is")),
    }
    if rescue.is_dry_run {
        return step.would(format!("move {} aside, to {}", path.display(), target.display()));
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
