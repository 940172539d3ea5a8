//! Rows: owned, and borrowed from the driver while a long result streams by.

use std::sync::Arc;

use crate::{Cell, Error, FromValue, Value};

/// One row of a result, owned.
#[derive(Clone, Debug)]
pub struct Row {
    pub(crate) values: Vec<Value>,
    pub(crate) names: Names,
}

/// The names of a result's columns, shared by its rows and joined by line ends.
pub(crate) type Names = Arc<str>;

impl Row {
    /// Reads a column, counted from zero.
    #[inline]
    pub fn get<T: FromValue>(&self, index: usize) -> Result<T, Error> {
        decode(self.cell(index)?, || self.name(index))
    }

    /// Reads a column without a type in mind.
    pub fn cell(&self, index: usize) -> Result<Cell<'_>, Error> {
        self.values.get(index).map(Value::cell).ok_or_else(|| absent(index))
    }

    /// How many columns the row has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the row has no columns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The same row, as [`RowRef`].
    #[must_use]
    pub fn as_ref(&self) -> RowRef<'_> {
        RowRef(Source::Owned(self))
    }

    fn name(&self, index: usize) -> String {
        self.names.lines().nth(index).unwrap_or("?").to_owned()
    }
}

/// One row of a streaming result; texts and bytes are lent from the driver's buffer.
#[derive(Clone, Copy)]
pub struct RowRef<'a>(pub(crate) Source<'a>);

#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
    Owned(&'a Row),
}

impl<'a> RowRef<'a> {
    /// Reads a column without a type in mind.
    #[inline]
    pub fn cell(&self, index: usize) -> Result<Cell<'a>, Error> {
        match self.0 {
            Source::Sqlite(row) => crate::sqlite::cell(row, index),
            Source::Postgres(row) => crate::postgres::cell(row, index),
            Source::Owned(row) => row.cell(index),
        }
    }

    /// Reads a column, counted from zero.
    #[inline]
    pub fn get<T: FromValue>(&self, index: usize) -> Result<T, Error> {
        decode(self.cell(index)?, || self.name(index))
    }

    /// A boolean.
    #[inline]
    pub fn get_bool(&self, index: usize) -> Result<bool, Error> {
        self.get(index)
    }

    /// A whole number.
    #[inline]
    pub fn get_int(&self, index: usize) -> Result<i64, Error> {
        self.get(index)
    }

    /// A whole number, or nothing.
    #[inline]
    pub fn get_opt_int(&self, index: usize) -> Result<Option<i64>, Error> {
        self.get(index)
    }

    /// An id.
    #[inline]
    pub fn get_id(&self, index: usize) -> Result<u128, Error> {
        self.get(index)
    }

    /// An id, or nothing.
    #[inline]
    pub fn get_opt_id(&self, index: usize) -> Result<Option<u128>, Error> {
        self.get(index)
    }

    /// A time in microseconds since 1970 in UTC.
    #[inline]
    pub fn get_time(&self, index: usize) -> Result<i64, Error> {
        Ok(self.get::<crate::Time>(index)?.0)
    }

    /// A time in microseconds since 1970 in UTC, or nothing.
    #[inline]
    pub fn get_opt_time(&self, index: usize) -> Result<Option<i64>, Error> {
        Ok(self.get::<Option<crate::Time>>(index)?.map(|time| time.0))
    }

    /// A text.
    #[inline]
    pub fn get_text(&self, index: usize) -> Result<&'a str, Error> {
        self.get_opt_text(index)?.ok_or_else(|| wrong("text", &Cell::Null, self.name(index)))
    }

    /// A text, or nothing.
    #[inline]
    pub fn get_opt_text(&self, index: usize) -> Result<Option<&'a str>, Error> {
        match self.cell(index)? {
            Cell::Text(text) | Cell::Json(text) => Ok(Some(text)),
            Cell::Null => Ok(None),
            cell => Err(wrong("text", &cell, self.name(index))),
        }
    }

    /// The text of a document.
    #[inline]
    pub fn get_json(&self, index: usize) -> Result<&'a str, Error> {
        self.get_text(index)
    }

    /// The text of a document, or nothing.
    #[inline]
    pub fn get_opt_json(&self, index: usize) -> Result<Option<&'a str>, Error> {
        self.get_opt_text(index)
    }

    /// Bytes.
    #[inline]
    pub fn get_bytes(&self, index: usize) -> Result<&'a [u8], Error> {
        self.get_opt_bytes(index)?.ok_or_else(|| wrong("bytes", &Cell::Null, self.name(index)))
    }

    /// Bytes, or nothing.
    #[inline]
    pub fn get_opt_bytes(&self, index: usize) -> Result<Option<&'a [u8]>, Error> {
        match self.cell(index)? {
            Cell::Bytes(bytes) => Ok(Some(bytes)),
            Cell::Null => Ok(None),
            cell => Err(wrong("bytes", &cell, self.name(index))),
        }
    }

    fn name(&self, index: usize) -> String {
        match self.0 {
            Source::Sqlite(row) => row.as_ref().column_name(index).unwrap_or("?").to_owned(),
            Source::Postgres(row) => {
                row.columns().get(index).map_or_else(|| "?".to_owned(), |column| column.name().to_owned())
            }
            Source::Owned(row) => row.name(index),
        }
    }
}

#[inline]
fn decode<T: FromValue>(cell: Cell<'_>, name: impl FnOnce() -> String) -> Result<T, Error> {
    T::from_cell(cell).ok_or_else(|| wrong(T::WANTED, &cell, name()))
}

#[cold]
fn wrong(wanted: &str, found: &Cell<'_>, column: String) -> Error {
    Error::Column { column, message: format!("expected {wanted}, found {}", found.kind()) }
}

#[cold]
pub(crate) fn absent(index: usize) -> Error {
    Error::Column { column: (index + 1).to_string(), message: "the row has fewer columns".to_owned() }
}
