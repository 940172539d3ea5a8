//! Values in PostgreSQL's binary form.

use std::{error, fmt};

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::failure::Driver;
use crate::{Cell, Error, Value};

/// Microseconds between 1970 and 2000, where PostgreSQL's time begins.
const EPOCH: i64 = 946_684_800_000_000;

/// A value of one kind, where the server expects another type.
#[derive(Debug)]
pub(super) struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for Mismatch {}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn error::Error + Sync + Send>> {
        let mismatch = || {
            Err(Mismatch(format!("{} was given where PostgreSQL expects {ty}", self.cell().kind())).into())
        };
        match (self, ty) {
            (Self::Null, _) => return Ok(IsNull::Yes),
            (Self::Bool(b), &Type::BOOL) => out.extend_from_slice(&[u8::from(*b)]),
            (Self::Int(i), &Type::INT8) => out.extend_from_slice(&i.to_be_bytes()),
            (Self::Int(i), &Type::INT4) => out.extend_from_slice(&i32::try_from(*i)?.to_be_bytes()),
            (Self::Int(i), &Type::INT2) => out.extend_from_slice(&i16::try_from(*i)?.to_be_bytes()),
            (Self::Id(id), &Type::UUID) => out.extend_from_slice(&id.to_be_bytes()),
            (Self::Time(t), &Type::TIMESTAMPTZ) => match t.checked_sub(EPOCH) {
                Some(t) => out.extend_from_slice(&t.to_be_bytes()),
                None => {
                    return Err(Mismatch("the time is before what PostgreSQL can store".to_owned()).into());
                }
            },
            (
                Self::Text(text) | Self::Json(text),
                &(Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN),
            ) => {
                out.extend_from_slice(text.as_bytes());
            }
            (Self::Json(text), &Type::JSONB) => {
                out.extend_from_slice(&[1]);
                out.extend_from_slice(text.as_bytes());
            }
            (Self::Json(text), &Type::JSON) => out.extend_from_slice(text.as_bytes()),
            (Self::Bytes(bytes), &Type::BYTEA) => out.extend_from_slice(bytes),
            _ => return mismatch(),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn error::Error + Sync + Send>> {
        Ok(match ty {
            &Type::UUID => Cell::Id(u128::from_be_bytes(raw.try_into()?)),
            &Type::INT8 => Cell::Int(i64::from_be_bytes(raw.try_into()?)),
            &Type::TEXT | &Type::VARCHAR | &Type::BPCHAR | &Type::NAME | &Type::UNKNOWN => {
                Cell::Text(std::str::from_utf8(raw)?)
            }
            &Type::TIMESTAMPTZ => match i64::from_be_bytes(raw.try_into()?).checked_add(EPOCH) {
                Some(micros) => Cell::Time(micros),
                None => return Err(Mismatch("the time is later than can be told".to_owned()).into()),
            },
            &Type::BOOL => Cell::Bool(raw != [0]),
            &Type::INT4 => Cell::Int(i32::from_be_bytes(raw.try_into()?).into()),
            &Type::INT2 => Cell::Int(i16::from_be_bytes(raw.try_into()?).into()),
            &Type::JSONB => match raw.split_first() {
                Some((1, text)) => Cell::Json(std::str::from_utf8(text)?),
                _ => return Err(Mismatch("the document has an unknown version".to_owned()).into()),
            },
            &Type::JSON => Cell::Json(std::str::from_utf8(raw)?),
            &Type::BYTEA => Cell::Bytes(raw),
            &Type::OID => Cell::Int(u32::from_be_bytes(raw.try_into()?).into()),
            &Type::VOID => Cell::Null,
            &Type::NUMERIC => return Err(Mismatch("numeric: cast the sum to bigint".to_owned()).into()),
            ty => return Err(Mismatch(format!("the type {ty} is not one of ours")).into()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn error::Error + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[inline]
pub(crate) fn cell(row: &tokio_postgres::Row, index: usize) -> Result<Cell<'_>, Error> {
    match row.try_get::<_, Cell<'_>>(index) {
        Ok(cell) => Ok(cell),
        Err(error) => match row.columns().get(index) {
            Some(column) => {
                Err(Error::Column { column: column.name().to_owned(), message: Driver(error).to_string() })
            }
            None => Err(crate::row::absent(index)),
        },
    }
}
