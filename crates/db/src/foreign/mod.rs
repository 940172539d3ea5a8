//! A database of another system: looked at in one consistent snapshot, and never written. Its types are its own, so every column is
//! read as a text; statements are made of names that were found in it, which [`quoted`] makes safe.
//! The words in which the engines differ are in `words.rs`.

mod postgres;
mod share;
mod sqlite;
mod words;

pub use share::Share;
use share::Turns;

use crate::{Engine, Error};

/// One look at a database of another system. All that is read sees the same state of it.
pub struct Foreign {
    inner: Inner,
    share: Share,
}

enum Inner {
    Sqlite(sqlite::Snapshot),
    Postgres(postgres::Snapshot),
}

/// A table or view of another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignTable {
    /// The schema on PostgreSQL; empty on SQLite.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<ForeignColumn>,
    /// Whether this user of the database may read it.
    pub is_readable: bool,
}

/// A column of another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignColumn {
    /// Its name.
    pub name: String,
    /// Its type, as the database writes it.
    pub kind: String,
}

impl ForeignTable {
    /// Its name, to be put into a statement.
    pub fn quoted(&self) -> Result<String, Error> {
        let name = quoted(&self.name)?;
        if self.schema.is_empty() { Ok(name) } else { Ok(format!("{}.{name}", quoted(&self.schema)?)) }
    }

    /// The column of this name, whatever its case.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ForeignColumn> {
        let exact = self.columns.iter().find(|column| column.name == name);
        exact.or_else(|| self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)))
    }
}

/// What a look at a row gives: texts, and nothing where the column holds nothing.
pub type ForeignRow<'a> = &'a [Option<&'a str>];

/// Called with each row; an error ends the reading.
pub type EachForeign<'f> = &'f mut (dyn FnMut(ForeignRow<'_>) -> Result<(), Error> + Send);

/// A name of a table or column, to be put into a statement.
pub fn quoted(name: &str) -> Result<String, Error> {
    if name.is_empty() || name.contains('\0') {
        return Err(Error::Statement(
            "a name of a table or column is empty or holds the character zero".to_owned(),
        ));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

impl Foreign {
    /// Opens the database and begins to look: `sqlite:path` or `postgres://...`. A SQLite file is not created, not locked against its
    /// own program, and not changed.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let inner = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Inner::Postgres(postgres::Snapshot::open(url).await?)
        } else if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
            Inner::Sqlite(sqlite::Snapshot::open(path)?)
        } else {
            return Err(Error::Config("the address begins with neither sqlite: nor postgres://".to_owned()));
        };
        Ok(Self { inner, share: Share::WHOLE })
    }

    /// The same, taking no more than a share of the time when it reads rows.
    #[must_use]
    pub fn taking(self, share: Share) -> Self {
        Self { share, ..self }
    }

    /// The engine beneath.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &self.inner {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// The tables and views, by name; those of the database itself are left out.
    pub async fn tables(&mut self) -> Result<Vec<ForeignTable>, Error> {
        match &mut self.inner {
            Inner::Sqlite(snapshot) => snapshot.tables(),
            Inner::Postgres(snapshot) => snapshot.tables().await,
        }
    }

    /// Keeps nobody waiting from now on who writes to these tables: all that is read later is read of them alone.
    pub async fn hold_no_longer(&mut self, tables: &[ForeignTable]) -> Result<(), Error> {
        match &mut self.inner {
            Inner::Sqlite(snapshot) => snapshot.hold_no_longer(tables),
            Inner::Postgres(_) => Ok(()),
        }
    }

    /// The account of the connection, where it may make no tables in a schema that is there. A file has no accounts.
    pub async fn kept_out_of(&mut self, schema: &str) -> Result<Option<String>, Error> {
        match &mut self.inner {
            Inner::Sqlite(_) => Ok(None),
            Inner::Postgres(snapshot) => snapshot.kept_out_of(schema).await,
        }
    }

    /// The columns that order the rows of a table for good, which is called `t` in the statement: its primary key; all of them where it has none.
    pub async fn order_of(&mut self, table: &ForeignTable) -> Result<String, Error> {
        let literal = |name: &str| format!("'{}'", name.replace('\'', "''"));
        let text = match &self.inner {
            Inner::Sqlite(_) => {
                format!(
                    "select name from pragma_table_info({}) where pk > 0 order by pk",
                    literal(&table.name)
                )
            }
            Inner::Postgres(_) => format!(
                "select a.attname::text from pg_catalog.pg_index i \
                 join pg_catalog.pg_class c on c.oid = i.indrelid \
                 join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                 join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey) \
                 where i.indisprimary and n.nspname = {} and c.relname = {} \
                 order by pg_catalog.array_position(i.indkey::smallint[], a.attnum)",
                literal(&table.schema),
                literal(&table.name)
            ),
        };
        let mut key: Vec<String> = Vec::new();
        let mut each = |row: ForeignRow<'_>| {
            key.extend(row.iter().flatten().map(|name| (*name).to_owned()));
            Ok(())
        };
        self.for_each(&text, &mut each).await?;
        let has_none = key.is_empty();
        let columns = table.columns.iter().filter(|column| has_none || key.contains(&column.name));
        let order = columns.map(|column| {
            let is_text =
                ["text", "character", "name", "citext"].iter().any(|kind| column.kind.starts_with(kind));
            Ok(match (&self.inner, has_none) {
                // By bytes: the order of a language changes with the system's libraries.
                // Of the table: a name alone is that of what is selected, which is a text.
                (Inner::Postgres(_), false) if !is_text => format!("t.{}", quoted(&column.name)?),
                (Inner::Postgres(_), _) => format!("t.{}::text collate \"C\"", quoted(&column.name)?),
                (Inner::Sqlite(_), false) => format!("t.{}", quoted(&column.name)?),
                (Inner::Sqlite(_), true) => self.exact_text_of(&column.name)?,
            })
        });
        Ok(order.collect::<Result<Vec<String>, Error>>()?.join(", "))
    }

    /// Lends the rows of a statement one by one. On PostgreSQL its columns are texts; see [`Foreign::text_of`]. On SQLite this holds
    /// the thread until the last row: it belongs on one that may wait.
    pub async fn for_each(&mut self, text: &str, each: EachForeign<'_>) -> Result<(), Error> {
        let turns = Turns::begin(self.share);
        match &mut self.inner {
            Inner::Sqlite(snapshot) => snapshot.for_each(text, turns, each),
            Inner::Postgres(snapshot) => snapshot.for_each(text, turns, each).await,
        }
    }
}
