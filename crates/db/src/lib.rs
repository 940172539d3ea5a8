//! The one seam to SQLite and PostgreSQL: values, rows, statements and transactions that mean the same on both.
//! It knows nothing of what the rows are about. A write is one closure; it is answered when it is durable, and a
//! statement that failed inside fails it whole. On SQLite waiting writes share a commit (`sqlite/`); on PostgreSQL
//! each transaction carries its scope for the row policies (`postgres/`).

mod database;
mod error;
pub mod foreign;
mod interference;
mod listen;
mod postgres;
mod problem;
mod row;
mod sqlite;
mod statement;
mod transaction;
mod value;
mod wait;

pub use futures_util::future::BoxFuture;

pub use crate::{
    database::{Database, Options},
    error::{Cause, Error},
    interference::{Interference, Step},
    listen::{CHANNEL, Listener, Notification},
    postgres::is_schema_name,
    row::{Row, RowRef},
    statement::{Engine, Scope, Statement},
    transaction::{Conn, Tx},
    value::{Cell, FromValue, Json, Time, Value},
};

use crate::transaction::{Inner, Lend};
