//! The statements of a reader: each gives texts in columns of a fixed order, whatever the other system calls them.

use crate::anomaly::AnomalyKind;
use charter_db::Error;
use charter_db::foreign::{Foreign, ForeignTable, quoted};
use std::collections::BTreeSet;

/// Between ids that one column holds.
pub const BETWEEN: char = '\u{1f}';
/// What stands for it within an id that holds it: no id that counts has either.
pub(super) const INSTEAD: char = '\u{1d}';

/// How many transactions have been open there for more than ten minutes (PostgreSQL).
pub const LONG_TRANSACTIONS: &str = "select count(*)::text from pg_stat_activity where xact_start < now() - interval '10 minutes' \
     and pid <> pg_backend_pid()";

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
    /// Rows that are not as they should be, or cannot be taken over: each statement gives the row, and what is wrong with it.
    pub findings: Vec<(AnomalyKind, String)>,
    /// Roles that everybody holds who may sign in, by their ids.
    pub everybody: Vec<String>,
    /// Whether organizations say which modules they have.
    pub tells_modules: bool,
    /// Whether users are superusers or not.
    pub tells_superuser: bool,
}

impl Statements {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let single =
            [&self.organizations, &self.roles, &self.implied, &self.permissions, &self.role_permissions];
        let single = single.into_iter().flatten().map(String::as_str);
        let findings = self.findings.iter().map(|(_, text)| text.as_str());
        single.chain([self.users.as_str()]).chain(self.orphans.iter().map(String::as_str)).chain(findings)
    }
}

/// Why a reader cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A table is not there.
    Table(String),
    /// Several schemas have a table of this name.
    Several {
        /// The name.
        table: String,
        /// The tables, each with its schema.
        candidates: Vec<String>,
    },
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
            Self::Several { table, candidates } => write!(
                f,
                "there are several tables {table} ({}): write schema.table in the mapping, or under [source] the schema that all of them stand in, \
                 as schema = \"NAME\"",
                candidates.join(", ")
            ),
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
    all: Vec<&'a ForeignTable>,
    home: Option<&'a ForeignTable>,
    ours: BTreeSet<&'a str>,
}

/// The name of a table with its schema, where the engine has any.
#[must_use]
pub fn whole(table: &ForeignTable) -> String {
    if table.schema.is_empty() { table.name.clone() } else { format!("{}.{}", table.schema, table.name) }
}

/// A text, to be put into a statement.
fn quoted_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Tables that together are of no other system than Charter, which may live in a schema of the same database.
const OURS: [&str; 2] = ["organization_revisions", "adoption_runs"];

impl<'a> Tables<'a> {
    /// Looks among these, or among those of one schema; a schema that is Charter's own is left out.
    pub fn new(foreign: &'a Foreign, all: &'a [ForeignTable], schema: Option<&str>) -> Self {
        let has = |schema: &str, name: &str| all.iter().any(|it| it.schema == schema && it.name == name);
        let ours: BTreeSet<&str> = all
            .iter()
            .filter(|table| table.name == OURS[0] && OURS.iter().all(|name| has(&table.schema, name)))
            .map(|table| table.schema.as_str())
            .collect();
        let is_meant = |table: &&ForeignTable| schema.is_none_or(|schema| table.schema == schema);
        let is_theirs = |table: &&ForeignTable| !ours.contains(table.schema.as_str());
        let all = all.iter().filter(is_theirs).filter(is_meant).collect();
        Self { foreign, all, home: None, ours }
    }

    /// The schemas that were left out, as Charter's tables stand in them.
    pub fn left_out(&self) -> impl Iterator<Item = &'a str> {
        self.ours.iter().copied()
    }

    /// The same for a system whose tables all stand beside one of them.
    pub fn around(&self, name: &str) -> Result<Self, Wanted> {
        let home = self.find(name)?.ok_or_else(|| Wanted::Table(name.to_owned()))?;
        Ok(Self { home: Some(home), all: self.all.clone(), ours: self.ours.clone(), ..*self })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &'a ForeignTable> {
        self.all.iter().copied()
    }

    /// A table by its name, or by schema and name. Which of several is meant nobody guesses, not even that one of them stands in `public`.
    pub fn find(&self, name: &str) -> Result<Option<&'a ForeignTable>, Wanted> {
        let is_it = |table: &&ForeignTable| table.name == name || whole(table) == name;
        let found: Vec<&'a ForeignTable> = self.all().filter(is_it).collect();
        match found.as_slice() {
            [] => Ok(None),
            [one] => match self.home.filter(|home| home.schema != one.schema) {
                None => Ok(Some(one)),
                Some(home) => Err(Wanted::Unfit(format!(
                    "{} and {} stand in two schemas: write under [source] the one of all tables of this system, as schema = \"NAME\"",
                    whole(home),
                    whole(one)
                ))),
            },
            several => Err(Wanted::Several {
                table: name.to_owned(),
                candidates: several.iter().map(|table| whole(table)).collect(),
            }),
        }
    }

    /// A table that must be there and readable.
    pub fn need(&self, name: &str) -> Result<&'a ForeignTable, Wanted> {
        let table = self.find(name)?.ok_or_else(|| Wanted::Table(name.to_owned()))?;
        if table.is_readable { Ok(table) } else { Err(Wanted::Privilege(name.to_owned())) }
    }

    /// The table of this name in the schema of another one.
    pub fn beside(&self, table: &ForeignTable, name: &str) -> Option<&'a ForeignTable> {
        self.all().find(|it| it.schema == table.schema && it.name == name)
    }

    /// The same of one that must be there and readable.
    pub fn need_beside(&self, table: &ForeignTable, name: &str) -> Result<&'a ForeignTable, Wanted> {
        let found = self.beside(table, name).ok_or_else(|| Wanted::Table(name.to_owned()))?;
        if found.is_readable { Ok(found) } else { Err(Wanted::Privilege(whole(found))) }
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

    /// A column as a text whatever the engine, to be compared with one.
    pub fn word(&self, table: &ForeignTable, alias: &str, column: &str) -> Result<String, Wanted> {
        Ok(format!("cast({} as text)", self.plain(table, alias, column)?))
    }

    /// Whether a column says yes, to be put into a statement.
    pub fn is_true(&self, table: &ForeignTable, alias: &str, column: &str) -> Result<String, Wanted> {
        Ok(format!("coalesce(lower({}), '0') in ('1', 't', 'true')", self.word(table, alias, column)?))
    }

    /// The name of a column, to be put into a statement where its type counts.
    pub fn plain(&self, table: &ForeignTable, alias: &str, column: &str) -> Result<String, Wanted> {
        let missing = || Wanted::Column { table: table.name.clone(), column: column.to_owned() };
        let found = table.column(column).ok_or_else(missing)?;
        Ok(format!("{alias}.{}", quoted(&found.name).map_err(|_| missing())?))
    }

    /// Texts of several rows in one column, to be put into a statement. A text that holds what stands between them stays one, and is no id.
    pub fn joined(&self, text: &str) -> String {
        let of = |separator: char| self.foreign.character(u32::from(separator));
        let one = format!("replace({text}, {}, {})", of(BETWEEN), of(INSTEAD));
        self.foreign.joined(&one, u32::from(BETWEEN))
    }

    /// What stands between ids that one column holds, to be put into a statement.
    pub fn between(&self) -> String {
        self.foreign.character(u32::from(BETWEEN))
    }

    /// What an expression gives, as a text.
    pub fn as_text(&self, expression: &str) -> String {
        self.foreign.as_text(expression)
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

    /// A row as a person finds it again, to be put into a statement: its table, and what stands in the columns that tell it from others.
    pub fn row(&self, table: &ForeignTable, alias: &str, by: &[&str]) -> Result<String, Wanted> {
        let mut row = quoted_text(&table.name);
        for column in by {
            let text = self.text(table, alias, column)?;
            row.push_str(&format!(" || {} || coalesce({text}, 'null')", quoted_text(&format!(" {column}="))));
        }
        Ok(row)
    }

    /// Rows of a link whose side leads nowhere, each by the columns that tell it from others.
    pub fn orphans(
        &self,
        link: &ForeignTable,
        by: &[&str],
        side: &str,
        to: &ForeignTable,
        key: &str,
    ) -> Result<String, Wanted> {
        self.orphans_among(link, by, side, to, key, "")
    }

    /// The same of some of its rows; `only` goes on after a condition, and calls the link `l`.
    pub fn orphans_among(
        &self,
        link: &ForeignTable,
        by: &[&str],
        side: &str,
        to: &ForeignTable,
        key: &str,
        only: &str,
    ) -> Result<String, Wanted> {
        let (from, side_text) = (self.plain(link, "l", side)?, self.text(link, "l", side)?);
        let known = self.plain(to, "t", key)?;
        Ok(format!(
            "select {}, {} || {side_text} from {} l left join {} t on {known} = {from} \
             where {known} is null and {from} is not null{only} order by 1, 2",
            self.row(link, "l", by)?,
            quoted_text(&format!("{} ", to.name)),
            self.name(link)?,
            self.name(to)?
        ))
    }
}

/// A fault of the database, or something that is missing there.
#[derive(Debug)]
pub enum ReadError {
    /// The database.
    Database {
        /// What was being read.
        reading: &'static str,
        /// What it said.
        error: Error,
    },
    /// A table or column.
    Wanted(Wanted),
}

impl From<Wanted> for ReadError {
    fn from(wanted: Wanted) -> Self {
        Self::Wanted(wanted)
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database { reading, error } => {
                write!(
                    f,
                    "while {reading} were read: {error}; nothing was written, so it can simply be run again"
                )
            }
            Self::Wanted(wanted) => wanted.fmt(f),
        }
    }
}
