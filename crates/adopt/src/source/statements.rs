//! The statements of a reader: each gives texts in columns of a fixed order, whatever the other system calls them.

use charter_db::foreign::{Foreign, ForeignTable, quoted};
use charter_db::{Engine, Error};

/// Between ids that one column holds.
pub const BETWEEN: char = '\u{1f}';

/// What a reader asks. Each text is a whole statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statements {
    /// Organizations: id, name, enabled modules, whether it is active. Without it there is one organization.
    pub organizations: Option<String>,
    /// Roles: id, name. Without it a role is the word that stands at the user.
    pub roles: Option<String>,
    /// Roles that give what others give: role, the role it implies.
    pub implied: Option<String>,
    /// Permissions: id, code.
    pub permissions: Option<String>,
    /// What roles allow: role, permission.
    pub role_permissions: Option<String>,
    /// Users: id, login, name, active, superuser, organization, role by its word, roles by ids, permissions by ids, password.
    pub users: String,
    /// Rows that refer to something that is not there: each statement gives the row, and what is missing.
    pub orphans: Vec<String>,
    /// Roles that everybody holds who may sign in, by their ids.
    pub everybody: Vec<String>,
}

impl Statements {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let single =
            [&self.organizations, &self.roles, &self.implied, &self.permissions, &self.role_permissions];
        let single = single.into_iter().flatten().map(String::as_str);
        single.chain([self.users.as_str()]).chain(self.orphans.iter().map(String::as_str))
    }
}

/// Why a reader cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A table is not there.
    Table(String),
    /// A table has no such column.
    Column {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A table may not be read by this user of the database.
    Privilege(String),
    /// What is there has a shape that cannot be read without giving somebody more or less.
    Unfit(String),
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Table(table) => write!(f, "there is no table {table}: name the right one under [source]"),
            Self::Column { table, column } => {
                write!(f, "the table {table} has no column {column}: name the right one under [source]")
            }
            Self::Privilege(table) => {
                write!(f, "this user of the database may not read the table {table}: grant it select there")
            }
            Self::Unfit(why) => f.write_str(why),
        }
    }
}

/// The tables of a database, for readers that look for theirs.
pub struct Tables<'a> {
    foreign: &'a Foreign,
    all: &'a [ForeignTable],
}

impl<'a> Tables<'a> {
    /// Looks among these.
    pub const fn new(foreign: &'a Foreign, all: &'a [ForeignTable]) -> Self {
        Self { foreign, all }
    }

    /// The engine they stand in.
    pub fn engine(&self) -> Engine {
        self.foreign.engine()
    }

    /// All of them.
    pub const fn all(&self) -> &'a [ForeignTable] {
        self.all
    }

    /// A table by its name, or by schema and name.
    pub fn find(&self, name: &str) -> Option<&'a ForeignTable> {
        let whole = |table: &&ForeignTable| format!("{}.{}", table.schema, table.name) == name;
        let exact = |table: &&ForeignTable| table.name == name;
        let public = |table: &&ForeignTable| table.name == name && table.schema == "public";
        let all = self.all;
        all.iter().find(public).or_else(|| all.iter().find(exact)).or_else(|| all.iter().find(whole))
    }

    /// A table that must be there and readable.
    pub fn need(&self, name: &str) -> Result<&'a ForeignTable, Wanted> {
        let table = self.find(name).ok_or_else(|| Wanted::Table(name.to_owned()))?;
        if table.is_readable { Ok(table) } else { Err(Wanted::Privilege(name.to_owned())) }
    }

    /// A column of a table that must be there, as a text to be put into a statement; `alias` is the table's there.
    pub fn text(&self, table: &ForeignTable, alias: &str, column: &str) -> Result<String, Wanted> {
        let missing = || Wanted::Column { table: table.name.clone(), column: column.to_owned() };
        let found = table.column(column).ok_or_else(missing)?;
        let text = self.foreign.text_of(&found.name).map_err(|_| missing())?;
        Ok(format!("{alias}.{text}"))
    }

    /// The same of one that may be missing.
    pub fn text_or_null(
        &self,
        table: &ForeignTable,
        alias: &str,
        column: Option<&str>,
    ) -> Result<String, Wanted> {
        column.map_or_else(|| Ok("null".to_owned()), |column| self.text(table, alias, column))
    }

    /// The name of a table, to be put into a statement.
    pub fn name(&self, table: &ForeignTable) -> Result<String, Wanted> {
        table.quoted().map_err(|_| Wanted::Table(table.name.clone()))
    }

    /// The name of a column, to be put into a statement where its type counts.
    pub fn plain(&self, table: &ForeignTable, alias: &str, column: &str) -> Result<String, Wanted> {
        let missing = || Wanted::Column { table: table.name.clone(), column: column.to_owned() };
        let found = table.column(column).ok_or_else(missing)?;
        Ok(format!("{alias}.{}", quoted(&found.name).map_err(|_| missing())?))
    }

    /// Texts of several rows in one column, to be put into a statement.
    pub fn joined(&self, text: &str) -> String {
        match self.foreign.engine() {
            Engine::Sqlite => format!("group_concat({text}, char(31) order by {text})"),
            Engine::Postgres => format!("string_agg({text}, chr(31) order by {text})"),
        }
    }

    /// A link of two tables, gathered by its left side: a statement that gives `owner` and `ids`.
    pub fn gathered(&self, link: &ForeignTable, left: &str, right: &str) -> Result<String, Wanted> {
        let (owner, ids) = (self.plain(link, "l", left)?, self.text(link, "l", right)?);
        Ok(format!(
            "(select {owner} as owner, {} as ids from {} l group by {owner})",
            self.joined(&ids),
            self.name(link)?
        ))
    }

    /// Rows of a link whose side leads nowhere.
    pub fn orphans(
        &self,
        link: &ForeignTable,
        side: &str,
        to: &ForeignTable,
        key: &str,
    ) -> Result<String, Wanted> {
        let (from, side_text) = (self.plain(link, "l", side)?, self.text(link, "l", side)?);
        let (known, name) = (self.plain(to, "t", key)?, self.name(link)?);
        let words = |name: &str| name.replace('\'', "''");
        Ok(format!(
            "select '{}', '{} ' || {side_text} from {name} l left join {} t on {known} = {from} \
             where {known} is null and {from} is not null",
            words(&link.name),
            words(&to.name),
            self.name(to)?
        ))
    }
}

/// A fault of the database, or something that is missing there.
#[derive(Debug)]
pub enum ReadError {
    /// The database.
    Database(Error),
    /// A table or column.
    Wanted(Wanted),
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<Wanted> for ReadError {
    fn from(wanted: Wanted) -> Self {
        Self::Wanted(wanted)
    }
}
