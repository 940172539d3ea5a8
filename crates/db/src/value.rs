//! The values a statement takes and a row gives: nine kinds, the same on both engines.

use crate::Error;

/// A parameter of a statement, or one column of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Null,
    /// Truth; `boolean`, or an integer 0 or 1 on SQLite.
    Bool(bool),
    /// A whole number; `bigint`, `integer` or `smallint`.
    Int(i64),
    /// An id; `uuid`, or a blob of 16 bytes on SQLite.
    Id(u128),
    /// Microseconds since 1970 in UTC; `timestamptz`, or an integer on SQLite.
    Time(i64),
    /// Text without the character zero, which PostgreSQL cannot store.
    Text(String),
    /// A JSON document; `jsonb`, or text on SQLite.
    Json(String),
    /// Bytes; `bytea`, or a blob on SQLite.
    Bytes(Vec<u8>),
}

/// A time in microseconds since 1970 in UTC, as a parameter and as a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// The text of a JSON document, as a parameter and as a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub String);

/// A borrowed [`Value`]: what a column holds before anyone asks for a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// Truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// An id.
    Id(u128),
    /// Microseconds since 1970 in UTC.
    Time(i64),
    /// Text.
    Text(&'a str),
    /// The text of a JSON document.
    Json(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl Cell<'_> {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Id(_) => "an id",
            Self::Time(_) => "a time",
            Self::Text(_) => "text",
            Self::Json(_) => "a document",
            Self::Bytes(_) => "bytes",
        }
    }

    pub(crate) fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(b),
            Self::Int(i) => Value::Int(i),
            Self::Id(id) => Value::Id(id),
            Self::Time(t) => Value::Time(t),
            Self::Text(s) => Value::Text(s.to_owned()),
            Self::Json(s) => Value::Json(s.to_owned()),
            Self::Bytes(b) => Value::Bytes(b.to_owned()),
        }
    }
}

impl Value {
    pub(crate) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(b) => Cell::Bool(*b),
            Self::Int(i) => Cell::Int(*i),
            Self::Id(id) => Cell::Id(*id),
            Self::Time(t) => Cell::Time(*t),
            Self::Text(s) => Cell::Text(s),
            Self::Json(s) => Cell::Json(s),
            Self::Bytes(b) => Cell::Bytes(b),
        }
    }

    /// Refuses what only one of the engines would take.
    pub(crate) fn check(&self, index: usize) -> Result<(), Error> {
        match self {
            Self::Text(text) | Self::Json(text) if text.as_bytes().contains(&0) => {
                Err(Error::Statement(format!("parameter ${} holds the character zero", index + 1)))
            }
            _ => Ok(()),
        }
    }
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// What the column should have held, for the error message.
    const WANTED: &'static str;

    /// Reads the cell, or nothing when it holds something else.
    fn from_cell(cell: Cell<'_>) -> Option<Self>;
}

macro_rules! from_value {
    ($type:ty, $wanted:literal, $($pattern:pat => $result:expr),+) => {
        impl FromValue for $type {
            const WANTED: &'static str = $wanted;
            #[inline]
            fn from_cell(cell: Cell<'_>) -> Option<Self> {
                match cell {
                    $($pattern => $result,)+
                    _ => None,
                }
            }
        }
    };
}

from_value!(bool, "a boolean", Cell::Bool(b) => Some(b), Cell::Int(0) => Some(false), Cell::Int(1) => Some(true));
from_value!(i64, "a whole number", Cell::Int(i) => Some(i));
from_value!(i32, "a whole number of 32 bits", Cell::Int(i) => i.try_into().ok());
from_value!(u64, "a whole number from zero", Cell::Int(i) => i.try_into().ok());
from_value!(u32, "a whole number from zero of 32 bits", Cell::Int(i) => i.try_into().ok());
from_value!(u16, "a whole number from zero of 16 bits", Cell::Int(i) => i.try_into().ok());
from_value!(usize, "a whole number from zero", Cell::Int(i) => i.try_into().ok());
from_value!(u128, "an id", Cell::Id(id) => Some(id),
    Cell::Bytes(bytes) => Some(u128::from_be_bytes(bytes.try_into().ok()?)));
from_value!(Time, "a time", Cell::Time(t) | Cell::Int(t) => Some(Time(t)));
from_value!(String, "text", Cell::Text(s) | Cell::Json(s) => Some(s.to_owned()));
from_value!(Json, "a document", Cell::Json(s) | Cell::Text(s) => Some(Json(s.to_owned())));
from_value!(Vec<u8>, "bytes", Cell::Bytes(bytes) => Some(bytes.to_owned()));

impl<const N: usize> FromValue for [u8; N] {
    const WANTED: &'static str = "bytes of a fixed length";
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Bytes(bytes) => bytes.try_into().ok(),
            _ => None,
        }
    }
}

impl FromValue for Value {
    const WANTED: &'static str = "any value";
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        Some(cell.to_value())
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const WANTED: &'static str = T::WANTED;
    #[inline]
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

macro_rules! into_value {
    ($($type:ty: $name:ident => $value:expr),+ $(,)?) => {$(
        impl From<$type> for Value {
            fn from($name: $type) -> Self {
                $value
            }
        }
    )+};
}

into_value! {
    bool: b => Self::Bool(b),
    i64: i => Self::Int(i),
    i32: i => Self::Int(i.into()),
    u32: i => Self::Int(i.into()),
    u16: i => Self::Int(i.into()),
    u8: i => Self::Int(i.into()),
    &str: s => Self::Text(s.to_owned()),
    &String: s => Self::Text(s.clone()),
    String: s => Self::Text(s),
    Vec<u8>: b => Self::Bytes(b),
    &[u8]: b => Self::Bytes(b.to_owned()),
    Time: t => Self::Time(t.0),
    Json: j => Self::Json(j.0),
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
