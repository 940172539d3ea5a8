//! Every statement of the crate: prepared on both engines, its plan read, its organization named.

use charter_db::{Database, Scope, Statement, Value};
use charter_testkit::database::{postgres, sqlite};

use crate::world::migrated;

/// Tables that stay small however large the installation grows.
const SMALL: &[&str] = &[
    "catalogue_documents",
    "modules",
    "submodules",
    "module_dependencies",
    "module_aliases",
    "permissions",
    "limits",
    "plans",
    "plan_entitlements",
    "plan_limits",
    "resource_kinds",
    "settings",
    "setup_codes",
    "signing_keys",
    "vault_keys",
    "vault_peppers",
    "leases",
    "nodes",
    "legacy_secrets",
    "adoption_runs",
];

/// Statements that read across organizations, and why they may.
const ACROSS: &[(&str, &str)] = &[
    ("organization::PAGE", "the list of organizations"),
    ("organization::IDS", "the spans that loaders share out, each of which then names its organizations"),
    ("revision::CHANGED", "the poll for changes"),
    (
        "shadow::NAMED_ORGANIZATIONS",
        "the other system is read for all organizations that came from it at once",
    ),
    ("shadow::ANSWERING", "a rollback asks which organizations that its run wrote into answer by now"),
    ("removed_organization::RECORD", "a rollback removes many organizations at once"),
    ("credential::BY_KEY_ID", "the caller is not known yet; the directory leads to one row"),
    (
        "credential::EXPIRING",
        "the sweeper asks whose owners have to be told, then works in each organization",
    ),
    ("credential_use::PURGE", "a job of the installation; no decision reads the rows it forgets"),
    ("subscription::BEGINNINGS_DUE", "the sweeper asks which organizations have work, then works in each"),
    ("subscription::ENDS_DUE", "the same"),
    ("subscription::ORGANIZATIONS_OF_PLAN", "a plan's move asks who has it, then works in each"),
    ("webhook::BEHIND", "a job asks which webhooks have work, then works in each organization"),
    ("webhook_delivery::DUE", "the same"),
    ("webhook_delivery::PURGE", "a job of the installation; nobody waits for the rows it forgets"),
    ("oauth_code::PURGE", "a job of the installation; nobody waits for the rows it forgets"),
    ("vault::CREDENTIALS", "a count an operator asks for"),
    ("vault::CLIENTS", "the same"),
    ("vault::OTHERS", "the same"),
    ("invitation::OVERDUE", "a job asks which invitations have run out, then works in each organization"),
    ("invitation::PURGE_HOMES", "a job of the installation; nobody waits for the rows it forgets"),
    ("invitation::PURGE", "the same"),
    (
        "registration::WAITING_FOR_MAIL",
        "a job asks which addresses have to be written to, then works in each organization",
    ),
    ("registration::OVERDUE", "a job asks which requests have ended, then works in each organization"),
    ("registration::PURGE", "a job of the installation; nobody waits for the rows it forgets"),
    ("usage::PURGE_ALL", "a job of the installation; no decision reads the rows it forgets"),
];

/// Statements whose plan reads a table that grows, and why they may.
const SCANS: &[(&str, &str)] = &[
    (
        "plan::DELETE_DRAFT",
        "SQLite looks for subscriptions to the draft; plans are made by hand, a few a year",
    ),
    ("vault::CREDENTIALS", "an operator asks how many credentials stand on each pepper, a few times a year"),
    ("vault::CLIENTS", "the same"),
    ("vault::COOKIES", "the same"),
    ("vault::SESSIONS", "the same"),
    ("session::LIVE", "an operator asks how many sessions a rotation of keys leaves alone"),
    ("vault::OTHERS", "the same"),
    (
        "adoption_wipe::oauth_audiences",
        "an operator takes a run back; audiences are a few for each application",
    ),
];

/// A value of each parameter's type, as PostgreSQL infers it.
async fn dummies(db: &Database, statement: &'static Statement) -> Vec<Value> {
    const TYPES: Statement = Statement::new(
        "select array_to_string(parameter_types::text[], ',') from pg_prepared_statements where name = 'probe'",
    );
    let types: String = crate::write!(db, tx => async {
        tx.batch(&format!("prepare probe as {}", statement.postgres)).await?;
        let types = tx.query_one(&TYPES, &[]).await?.get(0)?;
        tx.batch("deallocate probe").await?;
        Ok(types)
    })
    .unwrap();
    let value = |name: &str| match name {
        "uuid" => Value::Id(1),
        "text" => Value::from("a"),
        "bigint" => Value::Int(1),
        "timestamp with time zone" => Value::Time(1),
        "jsonb" => Value::Json("{}".to_owned()),
        "bytea" => Value::Bytes(vec![1]),
        "boolean" => Value::Bool(true),
        other => panic!("a parameter of type {other}"),
    };
    types.split(',').filter(|name| !name.is_empty()).map(value).collect()
}

/// The tables scanned whole in a plan of SQLite. What a part of the statement gives is no table; how that part reads stands in the plan.
fn scanned(plan: &[String]) -> Vec<&str> {
    let begun = |line: &String, word: &str| line.strip_prefix(word).map(str::to_owned);
    let parts: Vec<String> = plan
        .iter()
        .filter_map(|line| begun(line, "CO-ROUTINE ").or_else(|| begun(line, "MATERIALIZE ")))
        .collect();
    // Rows that a parameter brings are no table.
    let is_parameter = |line: &&String| line.contains(" VIRTUAL TABLE ");
    let tables = plan
        .iter()
        .filter(|line| !is_parameter(line))
        .filter_map(|line| line.strip_prefix("SCAN ")?.split(' ').next());
    tables.filter(|table| *table != "CONSTANT" && !parts.iter().any(|part| part == table)).collect()
}

/// The tables of a PostgreSQL plan read without a condition on an index.
fn unconditional(plan: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in plan.iter().enumerate() {
        let Some((_, rest)) = line.split_once("Scan") else { continue };
        if rest.starts_with(" using ") || rest.starts_with(" on ") || rest.starts_with(" Backward using ") {
            let deeper = plan[index + 1..].iter().take_while(|next| !next.contains("->"));
            let conditioned = deeper.clone().any(|next| next.contains("Index Cond"));
            // What these read stands on lines of its own, or is no table.
            let is_outer =
                ["Bitmap Heap Scan", "Function Scan", "Subquery Scan"].iter().any(|word| line.contains(word));
            if !conditioned && !is_outer {
                found.push(
                    rest.split(" on ")
                        .nth(1)
                        .unwrap_or(rest)
                        .split(' ')
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                );
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_prepares_on_both_engines_and_scans_no_table_that_grows() {
    let (postgres, sqlite) = (postgres().await, sqlite().await);
    migrated(&postgres).await;
    migrated(&sqlite).await;
    let mut problems = Vec::new();
    let all = charter_store::statements();
    assert!(all.len() > 150);
    for (name, statement) in all {
        let params = dummies(&postgres, statement).await;
        let plan = postgres.explain(Scope::Installation, statement, &params).await.unwrap_or_else(|error| {
            panic!("{name} on PostgreSQL: {error}");
        });
        let scans = unconditional(&plan);
        let may_scan = SCANS.iter().any(|(may, _)| *may == name);
        if !may_scan && scans.iter().any(|table| !SMALL.contains(&table.as_str())) {
            problems.push(format!("{name} on PostgreSQL:\n{}", plan.join("\n")));
        }
        let plan = sqlite.explain(Scope::Installation, statement, &params).await.unwrap_or_else(|error| {
            panic!("{name} on SQLite: {error}");
        });
        let scans = scanned(&plan).iter().any(|table| !SMALL.contains(table))
            && !SCANS.iter().any(|(scans, _)| *scans == name);
        let sorts = plan.iter().any(|line| line.contains("TEMP B-TREE"));
        if scans || (sorts && (name.contains("PAGE") || name.contains("FACTS") || name.contains("EACH"))) {
            problems.push(format!("{name} on SQLite:\n{}", plan.join("\n")));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// The tables that row level security isolates, from the migrations.
fn isolated() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        tables.extend(text.lines().filter_map(|line| Some(line.strip_prefix("-- isolate: ")?.to_owned())));
    }
    tables
}

#[test]
fn every_statement_on_an_organizations_data_names_the_organization() {
    let tables = isolated();
    assert!(tables.len() > 25);
    for (name, statement) in charter_store::statements() {
        // An adoption is the operator's: a batch writes, and a rollback removes, rows of many organizations at once.
        if ACROSS.iter().any(|(across, _)| *across == name) || name.starts_with("adoption_") {
            continue;
        }
        for text in [statement.sqlite, statement.postgres] {
            let words: Vec<&str> = text
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .filter(|word| !word.is_empty())
                .collect();
            if !tables.iter().any(|table| words.contains(&table.as_str())) {
                continue;
            }
            let inserts = text.contains("(organization_id, ") && text.contains("values ($1, ");
            let names = text.contains("organization_id = $1");
            let range = text.contains("organization_id >= $1 and ") && text.contains("organization_id <= $2");
            assert!(inserts || names || range, "{name} does not begin with the organization: {text}");
        }
    }
}
