//! A look at a SQLite file that another program writes.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
    config::DbConfig,
    types::ValueRef,
};

use super::{EachForeign, ForeignColumn, ForeignTable};
use crate::{Error, error::message, sqlite::plain};

/// How long to wait for a program that holds the file for itself.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Snapshot {
    connection: Connection,
}

fn words(value: ValueRef<'_>, column: &str, buffer: &mut String) -> Result<bool, Error> {
    use std::fmt::Write as _;
    buffer.clear();
    let unreadable =
        || Error::Column { column: column.to_owned(), message: "the text is not UTF-8".to_owned() };
    match value {
        ValueRef::Null => return Ok(false),
        ValueRef::Integer(number) => write!(buffer, "{number}"),
        ValueRef::Real(number) => write!(buffer, "{number}"),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            buffer.push_str(std::str::from_utf8(bytes).map_err(|_| unreadable())?);
            Ok(())
        }
    }
    .map_err(|_| unreadable())?;
    Ok(true)
}

/// How often a file is copied that changes meanwhile.
const COPIES: u32 = 5;
/// Where the heading of a file says how it is written and read, and what it says where it has a log.
const FORMS: std::ops::Range<usize> = 18..20;
const LOGGED: u8 = 2;

/// A file beside another.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Whether a file has a log that no program works with now. Whoever opened it would make the files of the log, and a reader leaves them behind: its
/// own program could not write them then, where it runs as somebody else.
fn is_at_rest(path: &Path) -> io::Result<bool> {
    let mut heading = Vec::new();
    File::open(path)?.take(FORMS.end as u64).read_to_end(&mut heading)?;
    let is_logged = heading.get(FORMS).is_some_and(|forms| forms.contains(&LOGGED));
    Ok(is_logged && !beside(path, "-shm").exists())
}

/// How a file and what is left of its log stand: who writes them changes that.
fn standing(path: &Path) -> io::Result<[Option<(u64, SystemTime)>; 2]> {
    let of = |path: &Path| match fs::metadata(path) {
        Ok(about) => Ok(Some((about.len(), about.modified()?))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    Ok([of(path)?, of(&beside(path, "-wal"))?])
}

/// Copies what a file holds, and not what may be done with it: it may be for reading alone.
fn contents(of: &Path, to: &Path) -> io::Result<u64> {
    io::copy(&mut File::open(of)?, &mut File::create(to)?)
}

/// Copies a file at rest, with what is left of its log; nothing where its program begins to work meanwhile.
fn copied_at_rest(path: &Path) -> Result<Option<Connection>, Error> {
    let wrong = |error: io::Error| Error::Unavailable(Arc::new(error));
    let path = path.canonicalize().map_err(wrong)?;
    for _ in 0..COPIES {
        if !is_at_rest(&path).map_err(wrong)? {
            return Ok(None);
        }
        let folder = tempfile::tempdir().map_err(wrong)?;
        let copy = folder.path().join("copy");
        let before = standing(&path).map_err(wrong)?;
        contents(&path, &copy).map_err(wrong)?;
        if before.iter().all(Option::is_some) {
            contents(&beside(&path, "-wal"), &beside(&copy, "-wal")).map_err(wrong)?;
        }
        if standing(&path).map_err(wrong)? != before || !is_at_rest(&path).map_err(wrong)? {
            continue;
        }
        let copy = Connection::open(&copy).map_err(plain)?;
        // What its log holds goes into the copy, which is one file then, and has no name once its folder is gone.
        copy.query_row("pragma journal_mode = delete", [], |_| Ok(())).map_err(plain)?;
        return Ok(Some(copy));
    }
    Err(Error::Busy(message("another program goes on writing the file")))
}

/// Beside a log a look keeps nobody from writing. Without one it would for as long as it lasts: then it is one at a copy, in a file without a name
/// that is gone with the connection, and the file itself is held for as long as copying takes.
fn copied(file: Connection) -> Result<Connection, Error> {
    file.busy_timeout(PATIENCE).map_err(plain)?;
    let mode: String = file.query_row("pragma journal_mode", [], |row| row.get(0)).map_err(plain)?;
    if mode == "wal" {
        return Ok(file);
    }
    let mut copy = Connection::open("").map_err(plain)?;
    let step = Backup::new(&file, &mut copy).and_then(|backup| backup.step(-1)).map_err(plain)?;
    match step {
        StepResult::Done => Ok(copy),
        _ => Err(Error::Busy(message("another program holds the file"))),
    }
}

impl Snapshot {
    pub(super) fn open(path: &str) -> Result<Self, Error> {
        let path = Path::new(path);
        if !path.is_file() {
            return Err(Error::Config(format!("there is no file {}", path.display())));
        }
        let connection = match copied_at_rest(path)? {
            Some(copy) => copy,
            None => {
                // Its program's log is read through its shared index, which a reader may have to write; the tables are not touched.
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                copied(Connection::open_with_flags(path, flags).map_err(plain)?)?
            }
        };
        let settle = || {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
            connection.execute_batch("pragma query_only = on; pragma cell_size_check = on; begin")?;
            // The snapshot begins with the first page that is read.
            connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))
        };
        settle().map_err(plain)?;
        Ok(Self { connection })
    }

    pub(super) fn tables(&self) -> Result<Vec<ForeignTable>, Error> {
        let read = || {
            let mut names = self.connection.prepare(
                "select name from sqlite_schema where type in ('table', 'view') and name not like 'sqlite\\_%' escape '\\' order by name",
            )?;
            let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let mut columns =
                self.connection.prepare("select name, type from pragma_table_xinfo($1) order by cid")?;
            let mut tables = Vec::with_capacity(names.len());
            for name in names {
                let found = columns
                    .query_map([&name], |row| Ok(ForeignColumn { name: row.get(0)?, kind: row.get(1)? }))?;
                let columns = found.collect::<Result<_, _>>()?;
                tables.push(ForeignTable { schema: String::new(), name, columns, is_readable: true });
            }
            Ok(tables)
        };
        read().map_err(plain)
    }

    pub(super) fn for_each(&self, text: &str, each: EachForeign<'_>) -> Result<(), Error> {
        let mut statement = self.connection.prepare(text).map_err(plain)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut texts = vec![String::new(); names.len()];
        let mut present = vec![false; names.len()];
        let mut rows = statement.query([]).map_err(plain)?;
        while let Some(row) = rows.next().map_err(plain)? {
            for (place, ((name, text), is_present)) in
                names.iter().zip(&mut texts).zip(&mut present).enumerate()
            {
                *is_present = words(row.get_ref(place).map_err(plain)?, name, text)?;
            }
            let cells: Vec<Option<&str>> = texts
                .iter()
                .zip(&present)
                .map(|(text, is_present)| is_present.then_some(text.as_str()))
                .collect();
            each(&cells)?;
        }
        Ok(())
    }
}
