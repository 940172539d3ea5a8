//! Statements: one text for both engines wherever possible, two side by side where not.

/// SQL that is a constant of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text for SQLite.
    pub sqlite: &'static str,
    /// The text for PostgreSQL.
    pub postgres: &'static str,
}

impl Statement {
    /// One text that both engines understand.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }

    /// Two texts, for the few places where the engines truly differ.
    #[must_use]
    pub const fn forked(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres }
    }
}

/// Whose data a statement or transaction works on.
///
/// On PostgreSQL it sets `app.scope` (`organization` or `installation`) and `app.org` (a uuid; all zeros for the
/// installation) for the transaction, which the row policies of the schema compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One organization's data.
    Organization(u128),
    /// The installation itself, across organizations.
    Installation,
}

/// The engine beneath, of interest to migrations alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}
