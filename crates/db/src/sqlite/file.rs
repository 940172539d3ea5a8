//! The file: who may open it, and how its connections are set.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::failure::plain;
use crate::{Error, Options, error::message};

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 128;
/// Memory for pages, in KiB: there is one writer and there are several readers, and what they miss is in the system's cache.
const WRITER_CACHE: u32 = 4_000;
const READER_CACHE: u32 = 2_000;

/// The one name of a file, whatever links lead to it. Where it is not there yet, its folder is.
pub(super) fn one_name(path: &Path) -> Result<PathBuf, Error> {
    let found = path.canonicalize().or_else(|error| match path.file_name() {
        Some(name) if error.kind() == std::io::ErrorKind::NotFound && !path.is_symlink() => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            Ok(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
        }
        _ => Err(error),
    });
    found.map_err(|error| {
        Error::Config(format!("the database folder cannot be used: {}: {error}", path.display()))
    })
}

/// The file beside the database that says which process writes to it.
fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// The process that wrote itself into that file last.
pub(super) fn holder(path: &Path) -> Option<u32> {
    fs::read_to_string(lock_of(&one_name(path).ok()?)).ok()?.trim().parse().ok()
}

/// Takes the file beside the database, by its one name, that says which process writes to it.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let name = lock_of(path);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .map_err(|error| {
            Error::Config(format!("the database folder cannot be used: {}: {error}", name.display()))
        })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let whose = match file.read_to_string(&mut pid) {
                Ok(_) if !pid.trim().is_empty() => format!("process {}", pid.trim()),
                _ => "another process".to_owned(),
            };
            return Err(Error::Busy(message(format!("{} is in use by Charter, {whose}", path.display()))));
        }
        Err(TryLockError::Error(error)) => return Err(Error::Unavailable(Arc::new(error))),
    }
    file.set_len(0)
        .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()))
        .map_err(|error| io_failure(error, &name))?;
    Ok(file)
}

/// Creates the file readable for its owner alone; SQLite gives its companions the same mode.
pub(super) fn create_private(path: &Path) -> Result<(), Error> {
    if fs::exists(path).map_err(|error| io_failure(error, path))? {
        return Ok(());
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(io_failure(error, path)),
    }
}

/// Which file was opened. SQLite goes on with a file that was deleted or replaced beneath it, and what is written then is lost.
#[derive(Clone, Debug)]
pub(super) struct Whereabouts {
    path: Arc<Path>,
    device: u64,
    inode: u64,
}

impl Whereabouts {
    /// The file of this one name, which is looked for where it was written to be.
    pub(super) fn of(name: &Path, written: &Path) -> Result<Self, Error> {
        let found = fs::metadata(name).map_err(|error| io_failure(error, name))?;
        Ok(Self { path: written.into(), device: found.dev(), inode: found.ino() })
    }

    /// Fails when the path leads elsewhere now.
    pub(super) fn require_unmoved(&self) -> Result<(), Error> {
        let found = fs::metadata(&self.path).map_err(|error| io_failure(error, &self.path))?;
        if (found.dev(), found.ino()) == (self.device, self.inode) {
            return Ok(());
        }
        let text = format!("{} is another file than the one that was opened", self.path.display());
        Err(Error::Unavailable(message(text)))
    }
}

fn io_failure(error: std::io::Error, path: &Path) -> Error {
    let kind = error.kind();
    let text = message(format!("{}: {error}", path.display()));
    match kind {
        std::io::ErrorKind::StorageFull => Error::Full(text),
        std::io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly(text),
        _ => Error::Unavailable(text),
    }
}

pub(super) fn connect(path: &Path, read_only: bool) -> Result<Connection, Error> {
    let mode = if read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let connection =
        Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(plain)?;
    let settle = || {
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        // Without these, a misspelt column in double quotes is a text.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        let cache = if read_only { READER_CACHE } else { WRITER_CACHE };
        connection.execute_batch(&format!(
            "pragma foreign_keys = on; pragma temp_store = memory; pragma cache_size = -{cache}; pragma cell_size_check = on;",
        ))
    };
    settle().map_err(plain)?;
    if read_only {
        connection.execute_batch("pragma query_only = on").map_err(plain)?;
    }
    Ok(connection)
}

pub(super) fn prepare_writer(
    connection: &Connection,
    options: &Options,
    memory: bool,
) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", if options.durable && !memory { "full" } else { "off" })?;
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    if let Some(pages) = options.max_pages {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    // Reads the first page, so that a file that is no database is refused now.
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))
}
