//! All that a database holds, table by table, as short texts to be compared: one statement, whatever there is.

use std::collections::BTreeMap;

use charter_db::{Database, Engine, Scope, Statement};

/// Reads what a database holds, but for some tables.
#[derive(Debug)]
pub struct Content {
    statement: Statement,
}

/// What a database held at a moment, by table.
pub type Held = BTreeMap<String, String>;

/// Every column with its table.
const COLUMNS: Statement = Statement::forked(
    "select t.name, c.name from sqlite_schema t join pragma_table_info(t.name) c where t.type = 'table' order by t.name, c.cid",
    "select t.tablename::text, c.column_name::text from pg_tables t join information_schema.columns c \
     on c.table_schema = t.schemaname and c.table_name = t.tablename where t.schemaname = current_schema() \
     order by t.tablename, c.ordinal_position",
);

impl Content {
    /// For a database whose tables stay as they are.
    #[expect(clippy::expect_used, reason = "a test that cannot read its database has failed")]
    pub async fn of(database: &Database, leaves_out: &[&str]) -> Self {
        let rows = database.query(Scope::Installation, &COLUMNS, &[]).await.expect("the tables are listed");
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in &rows {
            let (table, column): (String, String) =
                (row.get(0).expect("a table"), row.get(1).expect("a column"));
            if !leaves_out.contains(&table.as_str()) {
                tables.entry(table).or_default().push(column);
            }
        }
        let parts: Vec<String> = tables
            .iter()
            .map(|(table, columns)| match database.engine() {
                Engine::Sqlite => {
                    let row: Vec<String> = columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
                    let row = row.join(" || ' ' || ");
                    format!(
                        "select '{table}', coalesce((select group_concat(line, ';') from (select {row} as line from {table} order by 1)), '')"
                    )
                }
                Engine::Postgres => {
                    format!("select '{table}', coalesce((select md5(string_agg(t::text, ';' order by t::text)) from {table} t), '')")
                }
            })
            .collect();
        Self { statement: Statement::new(parts.join(" union all ").leak()) }
    }

    /// What it holds now.
    #[expect(clippy::expect_used, reason = "a test that cannot read its database has failed")]
    pub async fn held(&self, database: &Database) -> Held {
        let rows = database.query(Scope::Installation, &self.statement, &[]).await;
        let pair = |row: &charter_db::Row| (row.get(0).expect("a table"), row.get(1).expect("its content"));
        rows.expect("the database is read").iter().map(pair).collect()
    }
}

/// The tables in which two moments differ.
#[must_use]
pub fn differing<'a>(one: &'a Held, other: &'a Held) -> Vec<&'a str> {
    let differs = |(table, content): &(&String, &String)| other.get(*table) != Some(*content);
    one.iter().filter(differs).map(|(table, _)| table.as_str()).collect()
}
