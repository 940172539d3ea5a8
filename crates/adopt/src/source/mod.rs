//! Readers: how each system says who may do what. A reader is a set of statements over the tables it finds; what takes up their rows is
//! the same for all of them ([`read`]), and for the one that reads a file ([`keycloak`]).

mod detect;
mod django;
mod flask_appbuilder;
mod frappe;
mod intake;
pub mod keycloak;
mod laravel;
mod named;
mod odoo;
mod read;
mod statements;
mod tryton;
mod unseen;

pub use detect::{detect, proposed, statements};
pub use intake::{EachUser, Heard, LoginRule, Passing, Taking, moved};
pub use named::{LinkColumns, NameColumns, NamedTables, OrganizationColumns, UserColumns};
pub use read::read;
pub use statements::{BETWEEN, LONG_TRANSACTIONS, ReadError, Statements, Tables, Wanted};
pub use unseen::unseen;

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
    /// Tryton.
    Tryton,
    /// The export of a Keycloak realm, a file.
    Keycloak,
}
