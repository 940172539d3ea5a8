//! What SQLite's errors mean, and which constraint it was.

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode};

use crate::Error;

/// A driver's error still to be explained, or one of ours.
pub(super) enum Failure {
    Driver(rusqlite::Error),
    Ours(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Failure {
    #[cold]
    pub(super) fn explain(self, connection: &Connection) -> Error {
        match self {
            Self::Ours(error) => error,
            Self::Driver(rusqlite::Error::SqliteFailure(code, Some(text)))
                if code.code == ErrorCode::ConstraintViolation =>
            {
                constraint(connection, code.extended_code, &text)
            }
            Self::Driver(error) => plain(error),
        }
    }
}

#[cold]
pub(crate) fn plain(error: rusqlite::Error) -> Error {
    let code = error.sqlite_error_code();
    let cause = Arc::new(error);
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            Error::Busy(cause)
        }
        Some(ErrorCode::DiskFull) => Error::Full(cause),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::OutOfMemory) => {
            Error::Unavailable(cause)
        }
        Some(ErrorCode::PermissionDenied) => Error::Unavailable(cause),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt(cause),
        Some(ErrorCode::ReadOnly) => Error::ReadOnly(cause),
        Some(ErrorCode::OperationInterrupted | ErrorCode::OperationAborted | ErrorCode::SchemaChanged) => {
            Error::Aborted(cause)
        }
        _ => Error::Other(cause),
    }
}

/// Names a violated constraint as PostgreSQL would.
fn constraint(connection: &Connection, code: i32, text: &str) -> Error {
    let detail = text.split_once("failed: ").map_or("", |(_, detail)| detail).trim();
    match code {
        rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY | rusqlite::ffi::SQLITE_CONSTRAINT_ROWID => {
            let table = detail.split('.').next().unwrap_or_default();
            Error::Unique { constraint: format!("{table}_pkey") }
        }
        rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE => {
            if let Some(index) = detail.strip_prefix("index ") {
                return Error::Unique { constraint: index.trim_matches('\'').to_owned() };
            }
            let table = detail.split('.').next().unwrap_or_default();
            let columns: Vec<&str> =
                detail.split(", ").filter_map(|one| Some(one.split_once('.')?.1)).collect();
            let named = index_name(connection, table, &columns).ok().flatten();
            Error::Unique {
                constraint: named.unwrap_or_else(|| format!("{table}_{}_key", columns.join("_"))),
            }
        }
        rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Error::Foreign { constraint: String::new() },
        rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL => Error::Check {
            constraint: detail.split_once('.').map_or(detail, |(_, column)| column).to_owned(),
        },
        _ => Error::Check { constraint: detail.to_owned() },
    }
}

fn index_name(connection: &Connection, table: &str, columns: &[&str]) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached(
        "select list.name, (select group_concat(name, ',' order by seqno) from pragma_index_info(list.name)) \
         from pragma_index_list($1) list where list.\"unique\" and list.origin = 'c'",
    )?;
    let mut rows = statement.query([table])?;
    let wanted = columns.join(",");
    while let Some(row) = rows.next()? {
        if row.get::<_, Option<String>>(1)?.as_deref() == Some(wanted.as_str()) {
            return row.get(0).map(Some);
        }
    }
    Ok(None)
}
