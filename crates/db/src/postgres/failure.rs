//! What PostgreSQL's errors mean.

use std::{error, fmt, sync::Arc};

use tokio_postgres::error::{DbError, SqlState};

use super::value::Mismatch;
use crate::Error;

/// A driver's error that shows its source as well.
#[derive(Debug)]
pub(crate) struct Driver(pub(crate) tokio_postgres::Error);

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match error::Error::source(&self.0) {
            Some(source) => write!(f, "{}: {source}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl error::Error for Driver {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        error::Error::source(&self.0)
    }
}

/// Why no connection could be made.
#[cold]
pub(crate) fn connecting(error: tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(db) => {
            let code = db.code().code();
            if code.starts_with("28") || code == "3D000" {
                Error::Config(db.message().to_owned())
            } else {
                failure(error)
            }
        }
        None => Error::Unavailable(Arc::new(Driver(error))),
    }
}

#[cold]
pub(crate) fn failure(error: tokio_postgres::Error) -> Error {
    if let Some(db) = error.as_db_error() {
        return database_failure(db);
    }
    let source = error::Error::source(&error);
    if let Some(mismatch) = source.and_then(|source| source.downcast_ref::<Mismatch>()) {
        return Error::Statement(format!("{error}: {mismatch}"));
    }
    if error.is_closed() || source.is_some_and(|source| source.is::<std::io::Error>()) {
        return Error::Unavailable(Arc::new(Driver(error)));
    }
    let driver = Driver(error);
    if driver.0.to_string().starts_with("expected") {
        return Error::Statement(driver.to_string());
    }
    Error::Other(Arc::new(driver))
}

fn database_failure(db: &DbError) -> Error {
    let cause = Arc::new(db.clone());
    let constraint = || db.constraint().unwrap_or_default().to_owned();
    match db.code() {
        &SqlState::UNIQUE_VIOLATION | &SqlState::EXCLUSION_VIOLATION => {
            Error::Unique { constraint: constraint() }
        }
        &SqlState::FOREIGN_KEY_VIOLATION => Error::Foreign { constraint: constraint() },
        &SqlState::CHECK_VIOLATION => Error::Check { constraint: constraint() },
        &SqlState::NOT_NULL_VIOLATION => {
            Error::Check { constraint: db.column().unwrap_or_default().to_owned() }
        }
        &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => Error::Aborted(cause),
        &SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => Error::CommitUnknown(cause),
        &SqlState::DISK_FULL => Error::Full(cause),
        &SqlState::LOCK_NOT_AVAILABLE | &SqlState::QUERY_CANCELED => Error::Busy(cause),
        &SqlState::READ_ONLY_SQL_TRANSACTION => Error::ReadOnly(cause),
        &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => Error::Corrupt(cause),
        &SqlState::IO_ERROR | &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Error::Unavailable(cause),
        code if code.code().starts_with("08") || code.code().starts_with("57P") => Error::Unavailable(cause),
        code if code.code().starts_with("53") => Error::Busy(cause),
        // A table changed its shape beneath a prepared statement.
        &SqlState::FEATURE_NOT_SUPPORTED if db.message().contains("cached plan") => Error::Aborted(cause),
        _ => Error::Other(cause),
    }
}
