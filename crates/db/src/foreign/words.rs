//! Words that a statement on another system's tables needs and that the engines do not share.

use super::{Foreign, Inner, quoted};
use crate::Error;

impl Foreign {
    /// A column as a text, to be put into a statement: on PostgreSQL whatever its type.
    pub fn text_of(&self, column: &str) -> Result<String, Error> {
        let column = quoted(column)?;
        Ok(match &self.inner {
            Inner::Sqlite(_) => column,
            Inner::Postgres(_) => format!("{column}::text"),
        })
    }

    /// A column as a text that no other value has, whatever it holds: for sums, not for reading.
    pub fn exact_text_of(&self, column: &str) -> Result<String, Error> {
        let column = quoted(column)?;
        Ok(match &self.inner {
            // A SQLite column holds values of any kind, texts that are none among them.
            Inner::Sqlite(_) => format!(
                "case typeof({column}) when 'null' then null when 'text' then 't' || hex({column}) \
                 when 'blob' then 'b' || hex({column}) else quote({column}) end"
            ),
            Inner::Postgres(_) => format!("{column}::text"),
        })
    }

    /// What an expression gives, as a text: on PostgreSQL whatever its type.
    #[must_use]
    pub fn as_text(&self, expression: &str) -> String {
        match &self.inner {
            Inner::Sqlite(_) => expression.to_owned(),
            Inner::Postgres(_) => format!("{expression}::text"),
        }
    }

    /// A character by its number.
    #[must_use]
    pub fn character(&self, number: u32) -> String {
        match &self.inner {
            Inner::Sqlite(_) => format!("char({number})"),
            Inner::Postgres(_) => format!("chr({number})"),
        }
    }

    /// Texts of several rows as one, in their order, with a character between.
    #[must_use]
    pub fn joined(&self, text: &str, between: u32) -> String {
        let between = self.character(between);
        match &self.inner {
            Inner::Sqlite(_) => format!("group_concat({text}, {between} order by {text})"),
            Inner::Postgres(_) => format!("string_agg({text}, {between} order by {text})"),
        }
    }
}
