//! Runs statements on a connection: `$n` to parameters, columns to values.

use std::sync::Arc;

use rusqlite::{Connection, types::ValueRef};

use super::failure::Failure;
use crate::{Cell, Error, Row, Value, row::Names};

pub(super) fn query(connection: &Connection, text: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
    let run = || {
        let mut statement = connection.prepare_cached(text)?;
        bind(&mut statement, params)?;
        let names = names_of(&statement);
        let mut found = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            found.push(owned(row, &names)?);
        }
        Ok(found)
    };
    run().map_err(|failure: Failure| failure.explain(connection))
}

pub(super) fn names_of(statement: &rusqlite::Statement<'_>) -> Names {
    let mut names = String::with_capacity(64);
    for name in statement.column_names() {
        names.push_str(name);
        names.push('\n');
    }
    names.into()
}

pub(super) fn owned(row: &rusqlite::Row<'_>, names: &Names) -> Result<Row, Error> {
    let count = row.as_ref().column_count();
    let mut values = Vec::with_capacity(count);
    for index in 0..count {
        values.push(cell(row, index)?.to_value());
    }
    Ok(Row { values, names: Arc::clone(names) })
}

#[inline]
pub(crate) fn cell<'a>(row: &'a rusqlite::Row<'_>, index: usize) -> Result<Cell<'a>, Error> {
    match row.get_ref(index) {
        Ok(ValueRef::Null) => Ok(Cell::Null),
        Ok(ValueRef::Integer(i)) => Ok(Cell::Int(i)),
        Ok(ValueRef::Blob(bytes)) => Ok(Cell::Bytes(bytes)),
        Ok(ValueRef::Text(text)) => std::str::from_utf8(text).map(Cell::Text).map_err(|_| Error::Column {
            column: row.as_ref().column_name(index).unwrap_or("?").to_owned(),
            message: "the text is not UTF-8".to_owned(),
        }),
        Ok(ValueRef::Real(_)) => Err(Error::Column {
            column: row.as_ref().column_name(index).unwrap_or("?").to_owned(),
            message: "a floating point number was found, and sums must be exact".to_owned(),
        }),
        Err(_) => Err(crate::row::absent(index)),
    }
}

/// Binds `$n` to the n-th parameter; to SQLite itself `$2` is only a name.
pub(super) fn bind(statement: &mut rusqlite::Statement<'_>, params: &[Value]) -> Result<(), Failure> {
    let mut highest = 0;
    for place in 1..=statement.parameter_count() {
        let number: usize = statement
            .parameter_name(place)
            .and_then(|name| name.strip_prefix('$'))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| Error::Statement("a parameter is not written as $1, $2, ...".to_owned()))?;
        highest = highest.max(number);
        let index = number.wrapping_sub(1);
        let value = params.get(index).ok_or_else(|| {
            Error::Statement(format!("parameter ${number} is missing, {} given", params.len()))
        })?;
        value.check(index)?;
        match value {
            Value::Null => statement.raw_bind_parameter(place, rusqlite::types::Null),
            Value::Bool(b) => statement.raw_bind_parameter(place, i64::from(*b)),
            Value::Int(i) | Value::Time(i) => statement.raw_bind_parameter(place, i),
            Value::Id(id) => statement.raw_bind_parameter(place, id.to_be_bytes()),
            Value::Text(text) | Value::Json(text) => statement.raw_bind_parameter(place, text),
            Value::Bytes(bytes) => statement.raw_bind_parameter(place, bytes),
        }?;
    }
    if highest != params.len() {
        return Err(Error::Statement(format!("{} parameters given, {highest} used", params.len())).into());
    }
    Ok(())
}
