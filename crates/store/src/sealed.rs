//! The registry of sealed columns, and the statements that walk them.
//!
//! Whoever adds a column that the vault seals adds a line to `COLUMNS`: a rotation of the vault's key then seals its values again, the
//! status counts them, and where a keyed index leads to them it is made anew when the pepper changes. A test refuses a column whose name
//! begins with `sealed_` and that stands in no line.

use std::sync::LazyLock;

use charter_db::{Conn, Row, Statement, Tx, Value};

use crate::Result;

/// What a column of a primary key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// An id.
    Id(&'static str),
    /// A text.
    Text(&'static str),
    /// A number.
    Int(&'static str),
}

impl Key {
    /// The column.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Id(column) | Self::Text(column) | Self::Int(column) => column,
        }
    }
}

/// Which keyed hash an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexHash {
    /// That of a login, or of an address that may become one.
    Login,
    /// That of an address nobody signs in with yet.
    Email,
}

/// A column by which a sealed value is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedIndex {
    /// The column.
    pub column: &'static str,
    /// What it holds.
    pub hash: IndexHash,
}

/// A column whose values are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedColumn {
    /// The table.
    pub table: &'static str,
    /// Its primary key.
    pub keys: &'static [Key],
    /// The column.
    pub column: &'static str,
    /// What a value is sealed under: text with the columns of the primary key in braces, `{column:hex}` for an id without its hyphens.
    pub bound_to: &'static str,
    /// The column it is found by, where there is one.
    pub index: Option<KeyedIndex>,
}

/// Every sealed column.
pub const COLUMNS: &[SealedColumn] = &[
    SealedColumn {
        table: "signing_keys",
        keys: &[Key::Text("kid")],
        column: "sealed_private",
        bound_to: "{kid}",
        index: None,
    },
    SealedColumn {
        table: "webhooks",
        keys: &[Key::Id("organization_id"), Key::Id("webhook_id")],
        column: "secret",
        bound_to: "webhook {webhook_id}",
        index: None,
    },
    SealedColumn {
        table: "webhooks",
        keys: &[Key::Id("organization_id"), Key::Id("webhook_id")],
        column: "previous_secret",
        bound_to: "webhook {webhook_id}",
        index: None,
    },
    SealedColumn {
        table: "mail_outbox",
        keys: &[Key::Id("mail_id")],
        column: "content",
        bound_to: "mail {mail_id}",
        index: None,
    },
    SealedColumn {
        table: "password_resets",
        keys: &[Key::Id("reset_id")],
        column: "login",
        bound_to: "password reset {reset_id:hex}",
        index: Some(KeyedIndex { column: "login_hash", hash: IndexHash::Login }),
    },
    SealedColumn {
        table: "registration_requests",
        keys: &[Key::Id("organization_id"), Key::Id("request_id")],
        column: "email",
        bound_to: "registration_requests email {request_id}",
        index: Some(KeyedIndex { column: "email_hash", hash: IndexHash::Email }),
    },
    SealedColumn {
        table: "registration_requests",
        keys: &[Key::Id("organization_id"), Key::Id("request_id")],
        column: "name",
        bound_to: "registration_requests name {request_id}",
        index: None,
    },
    SealedColumn {
        table: "invitations",
        keys: &[Key::Id("organization_id"), Key::Id("invitation_id")],
        column: "email",
        bound_to: "invitations email {invitation_id}",
        index: Some(KeyedIndex { column: "email_hash", hash: IndexHash::Email }),
    },
    SealedColumn {
        table: "email_changes",
        keys: &[Key::Id("change_id")],
        column: "old_email",
        bound_to: "email_changes old_email {change_id}",
        index: Some(KeyedIndex { column: "old_email_hash", hash: IndexHash::Email }),
    },
    SealedColumn {
        table: "email_changes",
        keys: &[Key::Id("change_id")],
        column: "new_email",
        bound_to: "email_changes new_email {change_id}",
        index: None,
    },
    SealedColumn {
        table: "second_factors",
        keys: &[Key::Id("factor_id")],
        column: "sealed_secret",
        bound_to: "second factor {factor_id}",
        index: None,
    },
    SealedColumn {
        table: "vault_peppers",
        keys: &[Key::Int("pepper_version")],
        column: "sealed_pepper",
        bound_to: "pepper {pepper_version}",
        index: None,
    },
];

impl SealedColumn {
    /// What the value of a row is sealed under.
    pub fn bound_to(&self, row: &SealedRow) -> String {
        let mut name = self.bound_to.to_owned();
        for (key, value) in self.keys.iter().zip(&row.keys) {
            let (column, text) = (key.column(), shown(value));
            name = name
                .replace(&format!("{{{column}:hex}}"), &text.replace('-', ""))
                .replace(&format!("{{{column}}}"), &text);
        }
        name
    }

    /// Its primary key and its name, for the log.
    pub fn name_of(&self, row: &SealedRow) -> String {
        let keys: Vec<String> = row.keys.iter().map(shown).collect();
        format!("{}.{} {}", self.table, self.column, keys.join(" "))
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Id(id) => {
            let digits = format!("{id:032x}");
            let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
            [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
        }
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The first bytes of a sealed value, which tell its key.
pub const PREFIX: usize = 5;

/// A sealed value.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// The primary key of its row.
    pub keys: Vec<Value>,
    /// The value.
    pub value: Vec<u8>,
    /// What its index holds, where there is one.
    pub index: Option<Vec<u8>>,
}

impl core::fmt::Debug for SealedRow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SealedRow").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// The statements of one column. They reach across organizations: they change how a value is kept and never what it is.
struct Statements {
    count: Statement,
    first: Statement,
    next: Statement,
    update: Statement,
    reindex: Option<Statement>,
}

impl Statements {
    fn of(it: &SealedColumn) -> Self {
        let new = |text: String| Statement::new(text.leak());
        let SealedColumn { table, column, .. } = it;
        let names: Vec<&str> = it.keys.iter().map(|key| key.column()).collect();
        let keys = names.join(", ");
        let numbered = |from: usize| -> Vec<String> {
            (from..from + names.len()).map(|number| format!("${number}")).collect()
        };
        let these = |from: usize| -> String {
            let pairs = names.iter().zip(numbered(from));
            pairs.map(|(name, number)| format!("{name} = {number}")).collect::<Vec<_>>().join(" and ")
        };
        let index = it.index.map_or_else(String::new, |index| format!(", {}", index.column));
        let select = format!(
            "select {keys}, {column}{index} from {table} where {column} is not null and substr({column}, 1, {PREFIX}) <> $1"
        );
        Self {
            // What is sealed without a key's number begins with one byte that tells so, and then with what is random.
            count: new(format!(
                "select case when substr({column}, 1, 1) = $1 then substr({column}, 1, {PREFIX}) else substr({column}, 1, 1) end, \
                 count(*) from {table} where {column} is not null group by 1"
            )),
            first: new(format!("{select} order by {keys} limit $2")),
            next: new(format!(
                "{select} and ({keys}) > ({}) order by {keys} limit $2",
                numbered(3).join(", ")
            )),
            update: new(format!("update {table} set {column} = $1 where {} and {column} = $2", these(3))),
            reindex: it.index.map(|index| {
                let index = index.column;
                new(format!("update {table} set {index} = $1 where {} and {index} = $2", these(3)))
            }),
        }
    }
}

static STATEMENTS: LazyLock<Vec<Statements>> = LazyLock::new(|| COLUMNS.iter().map(Statements::of).collect());

fn statements(at: usize) -> Result<(&'static SealedColumn, &'static Statements)> {
    COLUMNS.get(at).zip(STATEMENTS.get(at)).ok_or_else(|| crate::row::bad(at, "no such sealed column"))
}

/// How many values of a column begin with the same bytes. `format` is the first byte of values that have a key's number.
pub async fn count(conn: &mut Conn, at: usize, format: u8) -> Result<Vec<(Vec<u8>, u64)>> {
    let (_, statements) = statements(at)?;
    let rows = conn.query(&statements.count, &[Value::Bytes(vec![format])]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Values of a column that do not begin with these bytes, after a row.
pub async fn page(
    conn: &mut Conn,
    at: usize,
    not: &[u8],
    after: Option<&[Value]>,
    limit: u32,
) -> Result<Vec<SealedRow>> {
    let (column, statements) = statements(at)?;
    let mut params = vec![Value::Bytes(not.to_vec()), Value::Int(i64::from(limit))];
    let rows = match after {
        None => conn.query(&statements.first, &params).await?,
        Some(after) => {
            params.extend_from_slice(after);
            conn.query(&statements.next, &params).await?
        }
    };
    rows.iter().map(|row| read(column, row)).collect()
}

fn read(column: &SealedColumn, row: &Row) -> Result<SealedRow> {
    let count = column.keys.len();
    let key = |(at, key): (usize, &Key)| -> Result<Value> {
        Ok(match key {
            Key::Id(_) => Value::Id(row.as_ref().get_id(at)?),
            Key::Text(_) => Value::Text(row.get(at)?),
            Key::Int(_) => Value::Int(row.as_ref().get_int(at)?),
        })
    };
    Ok(SealedRow {
        keys: column.keys.iter().enumerate().map(key).collect::<Result<_>>()?,
        value: row.get(count)?,
        index: if column.index.is_some() { row.get(count + 1)? } else { None },
    })
}

/// Puts the same value, sealed anew, in the place of the old one; false when that changed in between.
pub async fn replace(tx: &mut Tx, at: usize, row: &SealedRow, value: &[u8]) -> Result<bool> {
    let (_, statements) = statements(at)?;
    let mut params = vec![Value::Bytes(value.to_vec()), Value::Bytes(row.value.clone())];
    params.extend_from_slice(&row.keys);
    Ok(tx.execute(&statements.update, &params).await? > 0)
}

/// Puts a keyed hash by another pepper in the place of the old one; false when that changed in between.
pub async fn replace_index(tx: &mut Tx, at: usize, row: &SealedRow, hash: &[u8]) -> Result<bool> {
    let (_, statements) = statements(at)?;
    let (Some(reindex), Some(old)) = (&statements.reindex, &row.index) else { return Ok(false) };
    let mut params = vec![Value::Bytes(hash.to_vec()), Value::Bytes(old.clone())];
    params.extend_from_slice(&row.keys);
    Ok(tx.execute(reindex, &params).await? > 0)
}
