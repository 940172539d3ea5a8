//! What can go wrong, named for what a caller can do about it.

use std::{error, fmt, sync::Arc};

/// The driver's error beneath one of ours, shared by all writes of a failed batch.
pub type Cause = Arc<dyn error::Error + Send + Sync + 'static>;

/// Why the database did not do as it was asked.
#[derive(Clone, Debug)]
pub enum Error {
    /// The database cannot be reached or cannot read or write its files; later it may again.
    Unavailable(Cause),
    /// The database has too much to do, or another process holds it; try again later.
    Busy(Cause),
    /// The disk is full; nothing was written.
    Full(Cause),
    /// Another row has the same key; the constraint has PostgreSQL's name on both engines.
    Unique {
        /// Name of the index or constraint, such as `grants_pkey`.
        constraint: String,
    },
    /// A row that is referred to is missing, or a row still referred to was deleted.
    Foreign {
        /// Name of the constraint; empty on SQLite, which does not tell.
        constraint: String,
    },
    /// A value is outside what the table allows, null included.
    Check {
        /// Name of the constraint, or of the column that may not be null.
        constraint: String,
    },
    /// The statement would write, and this connection or server may only read.
    ReadOnly(Cause),
    /// The file is damaged or is not a database.
    Corrupt(Cause),
    /// The PostgreSQL server is older than this program supports.
    TooOld {
        /// The server's version, such as `14.9`.
        version: String,
    },
    /// The options or the address are wrong.
    Config(String),
    /// A column does not hold what the code expects.
    Column {
        /// The column's name.
        column: String,
        /// What was expected and what was found.
        message: String,
    },
    /// One row was expected.
    Rows {
        /// How many there were.
        found: usize,
    },
    /// The statement and its parameters do not belong together.
    Statement(String),
    /// Another transaction got in the way, or time ran out; nothing was written, and a retry may succeed.
    Aborted(Cause),
    /// The connection was lost during commit: the write may or may not have happened.
    CommitUnknown(Cause),
    /// The code of a write or read panicked; it was rolled back.
    Panicked(String),
    /// Anything else the driver reports.
    Other(Cause),
}

/// A cause that has only a message.
#[derive(Debug)]
pub(crate) struct Message(String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for Message {}

pub(crate) fn message(text: impl Into<String>) -> Cause {
    Arc::new(Message(text.into()))
}

impl Error {
    /// Whether the database is out of reach, overloaded or full: the caller's own work was in order.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Busy(_) | Self::Full(_) | Self::ReadOnly(_) | Self::Corrupt(_)
        )
    }

    /// Whether the same work, begun anew, may succeed at once.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Aborted(_))
    }

    pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self::Panicked(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(cause) => write!(f, "the database is unavailable: {cause}"),
            Self::Busy(cause) => write!(f, "the database is busy: {cause}"),
            Self::Full(cause) => write!(f, "the database's disk is full: {cause}"),
            Self::Unique { constraint } => write!(f, "the key is taken ({constraint})"),
            Self::Foreign { constraint } => {
                write!(f, "a row referred to is missing or in use ({constraint})")
            }
            Self::Check { constraint } => write!(f, "a value is not allowed ({constraint})"),
            Self::ReadOnly(cause) => write!(f, "the database may only be read: {cause}"),
            Self::Corrupt(cause) => write!(f, "the database is damaged: {cause}"),
            Self::TooOld { version } => {
                write!(f, "the PostgreSQL server is version {version}, and 15 or later is needed")
            }
            Self::Config(message) => write!(f, "the database's configuration is wrong: {message}"),
            Self::Column { column, message } => write!(f, "column {column}: {message}"),
            Self::Rows { found } => write!(f, "one row was expected, {found} found"),
            Self::Statement(message) => write!(f, "the statement cannot run: {message}"),
            Self::Aborted(cause) => write!(f, "the transaction was aborted: {cause}"),
            Self::CommitUnknown(cause) => {
                write!(f, "the connection was lost during commit, so the outcome is unknown: {cause}")
            }
            Self::Panicked(message) => write!(f, "the transaction's code panicked: {message}"),
            Self::Other(cause) => write!(f, "the database reports: {cause}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Unavailable(cause)
            | Self::Busy(cause)
            | Self::Full(cause)
            | Self::ReadOnly(cause)
            | Self::Corrupt(cause)
            | Self::Aborted(cause)
            | Self::CommitUnknown(cause)
            | Self::Other(cause) => Some(&**cause),
            _ => None,
        }
    }
}
