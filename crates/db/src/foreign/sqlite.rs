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
    config::DbConfig,
    types::{ToSqlOutput, ValueRef},
};

use super::share::Turns;
use super::{EachForeign, ForeignColumn, ForeignTable};
use crate::{Error, error::message, sqlite::plain};

/// How long to wait for a program that holds the file for itself.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Snapshot {
    connection: Connection,
    /// The file in its place, where its program does not run: it is read as one that nobody writes.
    at_rest: Option<(PathBuf, Standing)>,
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
type Standing = [Option<(u64, SystemTime)>; 2];

fn standing(path: &Path) -> io::Result<Standing> {
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

fn wrong(error: io::Error) -> Error {
    Error::Unavailable(Arc::new(error))
}

/// Whether a file stands as it stood, and is at rest.
fn is_as_it_stood(path: &Path, before: &Standing) -> Result<bool, Error> {
    Ok(standing(path).map_err(wrong)? == *before && is_at_rest(path).map_err(wrong)?)
}

/// Reads a file at rest whose log is gone, as one that nobody writes: then nothing is made beside it.
fn in_its_place(path: &Path) -> Result<Connection, Error> {
    let name = path.to_str().ok_or_else(|| Error::Config(format!("{} is no text", path.display())))?;
    let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{name}?immutable=1"), flags).map_err(plain)
}

/// Looks at a file at rest, in a copy where something is left of its log; nothing where its program works.
fn opened_at_rest(path: &Path) -> Result<Option<Snapshot>, Error> {
    let path = path.canonicalize().map_err(wrong)?;
    for _ in 0..COPIES {
        if !is_at_rest(&path).map_err(wrong)? {
            return Ok(None);
        }
        let before = standing(&path).map_err(wrong)?;
        if !matches!(before, [Some(_), Some((1.., _))]) {
            return Ok(Some(Snapshot { connection: in_its_place(&path)?, at_rest: Some((path, before)) }));
        }
        let folder = tempfile::tempdir().map_err(wrong)?;
        let copy = folder.path().join("copy");
        contents(&path, &copy).map_err(wrong)?;
        contents(&beside(&path, "-wal"), &beside(&copy, "-wal")).map_err(wrong)?;
        if !is_as_it_stood(&path, &before)? {
            continue;
        }
        let connection = Connection::open(&copy).map_err(plain)?;
        // What its log holds goes into the copy, which is one file then, and has no name once its folder is gone.
        connection.query_row("pragma journal_mode = delete", [], |_| Ok(())).map_err(plain)?;
        return Ok(Some(Snapshot { connection, at_rest: None }));
    }
    Err(Error::Busy(message("another program goes on writing the file")))
}

/// Tables of a file, in a file without a name that is gone with the connection.
fn copied(file: &Connection, tables: &[ForeignTable]) -> Result<Connection, Error> {
    let copy = Connection::open("").map_err(plain)?;
    copy.execute_batch("pragma foreign_keys = off; pragma ignore_check_constraints = on; begin")
        .map_err(plain)?;
    for table in tables {
        let kept = || {
            let made: String = file.query_row(
                "select sql from sqlite_schema where type = 'table' and name = $1",
                [&table.name],
                |row| row.get(0),
            )?;
            copy.execute_batch(&made)?;
            let name = table.name.replace('"', "\"\"");
            let mut read = file.prepare(&format!("select * from \"{name}\""))?;
            let columns = read.column_count();
            let places = vec!["?"; columns].join(", ");
            let mut write = copy.prepare(&format!("insert into \"{name}\" values ({places})"))?;
            let mut rows = read.query([])?;
            while let Some(row) = rows.next()? {
                for place in 0..columns {
                    write.raw_bind_parameter(place + 1, ToSqlOutput::Borrowed(row.get_ref(place)?))?;
                }
                write.raw_execute()?;
            }
            Ok(())
        };
        kept().map_err(plain)?;
    }
    copy.execute_batch("commit").map_err(plain)?;
    Ok(copy)
}

/// Nothing is written from now on, and all that is read is of one state.
fn settle(connection: &Connection) -> Result<(), Error> {
    let settled = || {
        connection.busy_timeout(PATIENCE)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.execute_batch("pragma query_only = on; pragma cell_size_check = on; begin")?;
        // The snapshot begins with the first page that is read.
        connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))
    };
    settled().map_err(|error| match plain(error) {
        Error::ReadOnly(_) => Error::Config(
            "what its program wrote last stands in a journal beside the file, and only who may write can take that up: start that program once, \
             or let this account write beside the file"
                .to_owned(),
        ),
        other => other,
    })
}

impl Snapshot {
    pub(super) fn open(path: &str) -> Result<Self, Error> {
        let path = Path::new(path);
        if !path.is_file() {
            return Err(Error::Config(format!("there is no file {}", path.display())));
        }
        let opened = match opened_at_rest(path)? {
            Some(opened) => opened,
            None => {
                // Its program's log is read through its shared index, which a reader may have to write; the tables are not touched.
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(path, flags).map_err(plain)?;
                Self { connection, at_rest: None }
            }
        };
        settle(&opened.connection)?;
        Ok(opened)
    }

    /// What was read of a file at rest counts if its program did not begin to work meanwhile.
    fn has_rested(&self) -> Result<(), Error> {
        match &self.at_rest {
            Some((path, before)) if !is_as_it_stood(path, before)? => {
                Err(Error::Busy(message("its program began to write the file while it was read")))
            }
            _ => Ok(()),
        }
    }

    /// Beside a log a look keeps nobody from writing. Without one it would for as long as it lasts: then the tables that are read are copied
    /// first, and the file is held for as long as that takes. Where that cannot be done, as there is no room for it, they are read in their place.
    pub(super) fn hold_no_longer(&mut self, tables: &[ForeignTable]) -> Result<(), Error> {
        let mode: String =
            self.connection.query_row("pragma journal_mode", [], |row| row.get(0)).map_err(plain)?;
        if mode == "wal" || self.at_rest.is_some() {
            return Ok(());
        }
        match copied(&self.connection, tables) {
            Ok(copy) => {
                settle(&copy)?;
                self.connection = copy;
            }
            Err(why) => tracing::debug!(%why, "the other system's tables are read in their place"),
        }
        Ok(())
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
        let tables = read().map_err(plain)?;
        self.has_rested().map(|()| tables)
    }

    pub(super) fn for_each(&self, text: &str, mut turns: Turns, each: EachForeign<'_>) -> Result<(), Error> {
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
            if let Some(rest) = turns.rest() {
                std::thread::sleep(rest);
                turns.go_on();
            }
        }
        self.has_rested()
    }
}
