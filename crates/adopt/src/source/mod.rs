//! Readers: how each system says who may do what. A reader is a set of statements over the tables it finds; what reads their rows is
//! the same for all of them ([`read`]).

mod detect;
mod django;
mod flask_appbuilder;
mod frappe;
mod laravel;
mod named;
mod odoo;
mod read;
mod statements;

pub use detect::{detect, proposed, statements};
pub use named::{LinkColumns, NameColumns, NamedTables, OrganizationColumns, UserColumns};
pub use read::{EachUser, Heard, Passing, read};
pub use statements::{BETWEEN, ReadError, Statements, Tables, Wanted};

use serde::{Deserialize, Serialize};

/// A system whose roles can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// A table of users with a column that names a role.
    RoleColumn,
    /// Tables of users, roles and their links, named by the mapping.
    RoleTables,
    /// Django's `auth`.
    Django,
    /// Flask-AppBuilder.
    FlaskAppbuilder,
    /// spatie/laravel-permission.
    Laravel,
    /// Frappe and ERPNext.
    Frappe,
    /// Odoo.
    Odoo,
}
