//! The text of a migration for one engine.

use charter_db::Engine;

/// The text of a file for one engine: comments go, words in braces become types, blocks marked `-- postgres:begin` ... `-- postgres:end` (and
/// likewise sqlite) stay on their engine only, and `-- isolate: T` becomes the row level security of table T.
pub(super) fn render(engine: Engine, text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut only = None;
    for line in text.lines() {
        let trimmed = line.trim();
        match trimmed {
            "-- postgres:begin" => only = Some(Engine::Postgres),
            "-- sqlite:begin" => only = Some(Engine::Sqlite),
            "-- postgres:end" | "-- sqlite:end" => only = None,
            _ if only.is_some_and(|only| only != engine) => {}
            _ => match trimmed.strip_prefix("-- isolate: ") {
                Some(table) => {
                    if engine == Engine::Postgres {
                        out.push_str(&isolation(table));
                    }
                }
                None if trimmed.is_empty() || trimmed.starts_with("--") => {}
                None => {
                    out.push_str(&types(engine, line));
                    out.push('\n');
                }
            },
        }
    }
    out
}

fn types(engine: Engine, line: &str) -> String {
    let column = line.split_whitespace().next().unwrap_or_default();
    let words: [(&str, String); 9] = match engine {
        Engine::Postgres => [
            ("{id}", "uuid".into()),
            ("{time}", "timestamptz".into()),
            ("{json}", "jsonb".into()),
            ("{int}", "bigint".into()),
            ("{bool}", "boolean".into()),
            ("{bytes}", "bytea".into()),
            // By bytes, as SQLite compares: lists then come in one order on both, whatever the database's locale.
            ("{text}", "text collate \"C\"".into()),
            ("{strict}", String::new()),
            ("{clustered}", String::new()),
        ],
        Engine::Sqlite => [
            ("{id}", format!("blob check (length({column}) = 16)")),
            ("{time}", "integer".into()),
            ("{json}", format!("text check (json_valid({column}))")),
            ("{int}", "integer".into()),
            ("{bool}", format!("integer check ({column} in (0, 1))")),
            ("{bytes}", "blob".into()),
            ("{text}", "text".into()),
            ("{strict}", " strict".into()),
            // Rows live in the primary key's tree, so that one organization's rows lie together.
            ("{clustered}", " strict, without rowid".into()),
        ],
    };
    words.iter().fold(line.to_owned(), |line, (word, text)| line.replace(word, text))
}

fn isolation(table: &str) -> String {
    format!(
        "alter table {table} enable row level security;
alter table {table} force row level security;
create policy {table}_organization on {table} using (organization_id = nullif(current_setting('app.org', true), '')::uuid);
create policy {table}_installation on {table} using (current_setting('app.scope', true) = 'installation');
"
    )
}
