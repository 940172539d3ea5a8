//! `charter adopt inspect`: an ERP with a role column, and what stands in the way of taking it over, each named with its row.

use crate::program::{Place, Run};
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../app/src/identity/adopted_hash/vectors.jsonl");

fn hash(source: &str) -> String {
    let vectors = VECTORS.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut fitting = vectors.filter(|vector| vector["source"] == source);
    fitting.next().unwrap()["hash"].as_str().unwrap().replace('\'', "''")
}

/// The shipped roles by key and name, written as no two programs write them.
fn odd_names() -> Vec<String> {
    let catalogue = charter_catalogue::shipped().unwrap();
    assert_eq!(catalogue.roles.len(), 22);
    let odd = |(place, role): (usize, &charter_kernel::catalogue::CatalogueRole)| match place % 4 {
        0 => role.role.key.as_str().to_uppercase(),
        1 => role.role.name.to_lowercase(),
        2 => format!(" {} ", role.role.key.as_str().replace('_', "-")),
        _ => role.role.name.to_uppercase(),
    };
    catalogue.roles.iter().enumerate().map(odd).collect()
}

/// Documents of modules in every form that older systems write, and some that are broken.
const DOCUMENTS: &[&str] = &[
    r#"'{"crm": true, "FINANCE": 1, "Inventory": "1", "Sales": "TRUE", " hr ": "yes", "reports": "on", "procurement": "Enabled", "production": {"enabled": "on"}}'"#,
    r#"'["CRM", "finance"]'"#,
    r#"'"{\"crm\": true}"'"#,
    "null",
    "''",
    r#"'{"crm": true, " cRm ": false}'"#,
    r#"'{"crm": true, "warp drive": true}'"#,
    r#"'{"crm": tru'"#,
    "'42'",
];

/// What an ERP of years holds: 22 users whose roles are known, and the rest as it grew.
fn tables() -> String {
    let mut text = String::from(
        "create table organizations (id int primary key, name varchar(80), enabled_modules text, is_active boolean);
        create table users (id int primary key, email varchar(90), full_name varchar(80), role varchar(60), is_active boolean, is_superuser boolean, organization_id int, hashed_password text);",
    );
    for (place, document) in DOCUMENTS.iter().enumerate() {
        text.push_str(&format!(
            "insert into organizations values ({0}, 'O''Neil \"{0}\" \u{1f600}', {document}, true);",
            place + 1
        ));
    }
    for (place, name) in odd_names().iter().enumerate() {
        text.push_str(&format!(
            "insert into users values ({0}, 'user{0}@toys.example', 'User {0}', '{name}', true, false, 1, '{1}');",
            place + 1,
            hash(if place % 2 == 0 { "passlib bcrypt" } else { "django pbkdf2_sha256" })
        ));
    }
    let rows = [
        "101, 'Ann@Toys.example', 'Ann', 'manager', true, false, 2, null",
        "102, 'ann@toys.example', 'Ann again', 'manager', true, false, 3, null",
        "103, 'orphan@toys.example', 'Orphan', 'manager', true, false, 77, null",
        "104, 'boss@toys.example', 'Bo\"ss\" \u{1f600}', 'Chief Fun Officer \u{1f600}', true, false, 1, null",
        "105, 'null@toys.example', null, null, null, null, null, null",
        "106, 'off@toys.example', 'Off', 'manager', false, false, 1, null",
        "107, 'weak@toys.example', 'Weak', 'manager', true, false, 1, 'hunter2 in the clear'",
        "108, 'ann o''neil', 'Blank', 'manager', true, false, 1, null",
        "109, null, 'Nobody', 'manager', true, false, 1, null",
        "110, 'root@toys.example', 'Root', 'superadmin', true, true, 1, '!'",
    ];
    for row in rows {
        text.push_str(&format!("insert into users values ({row});"));
    }
    text
}

fn inspect(place: &Place, database: &TestDatabase, more: &[&str]) -> Run {
    place.run(&[&["adopt", "inspect", "--from", &database.options().url], more].concat())
}

/// Rows of a kind, parted by commas.
fn rows(told: &Value, kind: &str) -> String {
    let found = told["anomalies"].as_array().unwrap().iter().find(|it| it["kind"] == kind);
    let rows = found.unwrap_or_else(|| panic!("{kind}: {told:#}"))["rows"].as_array().unwrap().iter();
    rows.map(|row| row["row"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(", ")
}

both_engines!(
    an_erp_with_a_role_column_is_inspected_and_everything_odd_is_named,
    async |database: TestDatabase| {
        database.maintain(&tables()).await.unwrap();
        let place = Place::new();
        let told = inspect(&place, &database, &["--json"]).ended(1).json();
        assert_eq!(told["system"], "role_column");
        assert_eq!(
            (&told["organizations"], &told["users"]["count"]),
            (&DOCUMENTS.len().into(), &30.into()),
            "{told:#}"
        );
        assert_eq!((&told["users"]["active"], &told["users"]["superusers"]), (&28.into(), &1.into()));
        let shipped: std::collections::BTreeSet<&str> = told["roles"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|role| role["becomes"]["role"].as_str())
            .collect();
        assert_eq!(shipped.len(), 22, "{shipped:?}");
        assert_eq!(rows(&told, "duplicate_login"), "user 101, user 102");
        assert_eq!(rows(&told, "missing_login"), "user 109");
        assert_eq!(rows(&told, "unfit_login"), "user 108");
        assert_eq!(rows(&told, "orphan"), "user 103, user 105");
        assert_eq!(rows(&told, "missing_role"), "user 105");
        assert_eq!(rows(&told, "unknown_role"), "user 104");
        assert_eq!(rows(&told, "missing_value"), "organization 4, user 105, user 105");
        assert_eq!(rows(&told, "inactive_with_roles"), "user 106");
        assert_eq!(rows(&told, "unreadable_modules"), "organization 8, organization 9");
        assert_eq!(rows(&told, "unknown_module"), "organization 7");
        assert_eq!(rows(&told, "doubled_module"), "organization 6");
        assert_eq!(rows(&told, "unknown_password"), "user 107");
        let text = inspect(&place, &database, &[]).ended(1).out;
        for said in [
            "role_column in ",
            "user 101: signs in as Ann@Toys.example, and user 102 as ann@toys.example",
            "\"Chief Fun Officer \u{1f600}\": 1 user (user 104)",
            "organization 7: \"warp drive\"",
            "not to be seen from here:",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(
            !text.contains("hunter2") && !told.to_string().contains("hunter2"),
            "a password is never told"
        );
        assert!(!place.path("charter-data").exists(), "looking writes nothing here");
        let again = inspect(&place, &database, &["--json"]).ended(1).json();
        assert_eq!(again["fingerprint"], told["fingerprint"]);
        database.maintain("update users set role = 'viewer' where id = 101").await.unwrap();
        let other = inspect(&place, &database, &["--json"]).ended(1).json();
        assert_ne!(other["fingerprint"], told["fingerprint"]);
    }
);

both_engines!(a_mapping_is_proposed_edited_and_read_again, async |database: TestDatabase| {
    database.maintain(&tables()).await.unwrap();
    database.maintain("delete from users where id = 102").await.unwrap();
    let place = Place::new();
    let run = inspect(&place, &database, &["--propose", "roles.toml"]).ended(0);
    assert!(run.out.contains("written: roles.toml"), "{}", run.out);
    let text = std::fs::read_to_string(place.path("roles.toml")).unwrap();
    let line = "\"Chief Fun Officer \u{1f600}\" = \"?\" # 1 user\n";
    assert!(text.contains(line), "{text}");
    let run = inspect(&place, &database, &["--propose", "roles.toml"]).ended(2);
    assert!(run.err.contains("--force"), "{}", run.err);
    assert_eq!(std::fs::read_to_string(place.path("roles.toml")).unwrap(), text, "nothing was written over");
    place.write("roles.toml", &text.replace(line, &line.replace('?', "viewer")));
    let map = ["--map", "roles.toml", "--json"];
    let told = inspect(&place, &database, &map).ended(0).json();
    assert!(told["anomalies"].as_array().unwrap().iter().all(|it| it["kind"] != "unknown_role"), "{told:#}");
    // A role that came since is added, and what was said stays.
    database.maintain("update users set role = 'newcomer' where id = 107").await.unwrap();
    inspect(&place, &database, &["--map", "roles.toml", "--propose", "roles.toml", "--force"]).ended(0);
    let text = std::fs::read_to_string(place.path("roles.toml")).unwrap();
    assert!(text.contains("\"newcomer\" = \"?\"") && text.contains("\u{1f600}\" = \"viewer\""), "{text}");
    inspect(&place, &database, &["--map", "roles.toml"]).ended(0);
    place.write("roles.toml", "[source]\nsystem = \"role_column\"\n[roles]\nboss = \"No Key\"\n");
    let run = inspect(&place, &database, &["--map", "roles.toml"]).ended(2);
    assert!(run.err.contains("roles.\"boss\": the key of a role"), "{}", run.err);
});

both_engines!(tables_of_any_name_are_read_by_a_mapping, async |database: TestDatabase| {
    database
        .maintain(
            "create table \"my \"\"users\"\" \u{1f600}\" (\"the id\" int primary key, \"Log In\" varchar(80), \"Rolle; drop\" varchar(40));
            insert into \"my \"\"users\"\" \u{1f600}\" values (1, 'ann', 'viewer'), (2, 'bob', 'accountant')",
        )
        .await
        .unwrap();
    let place = Place::new();
    let run = inspect(&place, &database, &[]).ended(2);
    assert!(run.err.contains("no system that is known") && run.err.contains("--map"), "{}", run.err);
    place.write(
        "roles.toml",
        "[source]\nsystem = \"role_column\"\n[source.users]\ntable = 'my \"users\" \u{1f600}'\nid = \"the id\"\nlogin = \"Log In\"\nrole = \"Rolle; drop\"\n",
    );
    let told = inspect(&place, &database, &["--map", "roles.toml", "--json"]).ended(0).json();
    assert_eq!(
        (&told["users"]["count"], told["roles"].as_array().unwrap().len()),
        (&2.into(), 2),
        "{told:#}"
    );
    inspect(&place, &database, &["--map", "roles.toml", "--propose", "whole.toml"]).ended(0);
    let again = inspect(&place, &database, &["--map", "whole.toml", "--json"]).ended(0).json();
    assert_eq!(again["fingerprint"], told["fingerprint"], "the proposal keeps the names of the tables");
    let text = std::fs::read_to_string(place.path("whole.toml")).unwrap();
    place.write("whole.toml", &text.replace("Log In", "Log Out"));
    let run = inspect(&place, &database, &["--map", "whole.toml"]).ended(2);
    assert!(run.err.contains("has no column Log Out"), "{}", run.err);
});

#[tokio::test]
async fn a_user_of_the_database_who_may_only_read_is_enough_and_less_is_said_clearly() {
    let database = charter_testkit::database::postgres().await;
    let url = database.options().url.clone();
    let role = format!("reader_{}", url.split(['/', '?']).nth(3).unwrap());
    database.maintain(&tables()).await.unwrap();
    let grant = format!("create role {role} login; grant select on organizations to {role}");
    database.maintain(&grant).await.unwrap();
    let theirs = url.replacen("postgres@", &format!("{role}@"), 1);
    let place = Place::new();
    place.write("address", &format!("{theirs}\n"));
    let refused = place.run(&["adopt", "inspect", "--from", "@address"]);
    database.maintain(&format!("grant select on users to {role}")).await.unwrap();
    let read = place.run(&["adopt", "inspect", "--from", "@address", "--json"]);
    database.maintain(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
    assert!(refused.err.contains("may not read the table users: grant it select there"), "{}", refused.err);
    refused.ended(2);
    assert_eq!(read.ended(1).json()["users"]["count"], 30);
}

#[test]
fn an_address_that_leads_nowhere_is_a_failure_and_its_password_is_never_told() {
    let place = Place::new();
    place.write("no.db", "this is no database, and longer than the heading of one would be, at any rate");
    for (address, said) in [
        ("postgres://erp:hunter2@127.0.0.1:1/erp", "the other system's database"),
        ("postgres://erp:hunter2@127.0.0.1:none/erp", "the other system's database"),
        ("mysql://erp:hunter2@127.0.0.1/erp", "neither sqlite: nor postgres://"),
        ("sqlite:nowhere.db", "there is no file nowhere.db"),
        ("sqlite:no.db", "the other system's database"),
        ("@nowhere", "nowhere cannot be read"),
        ("nowhere.json", "nowhere.json cannot be read"),
    ] {
        for json in [None, Some("--json")] {
            let mut arguments = vec!["adopt", "inspect", "--from", address];
            arguments.extend(json);
            let run = place.run(&arguments).ended(2);
            assert!(run.err.contains(said), "{address}: {}", run.err);
            assert!(!format!("{}{}", run.out, run.err).contains("hunter2"), "{address}: {}", run.err);
        }
    }
    assert!(!place.path("nowhere.db").exists(), "a file is not made by looking for it");
}

#[test]
fn the_export_of_a_keycloak_realm_is_inspected_without_a_database() {
    let place = Place::new();
    let realm = r#"{"realm": "toys", "roles": {"realm": [{"name": "accountant"}, {"name": "boss", "composites": {"realm": ["accountant"]}}]},
        "users": [{"id": "1", "username": "ann", "enabled": true, "realmRoles": ["boss"]}, {"id": "2", "username": "off", "enabled": false, "realmRoles": ["boss"]}]}"#;
    place.write("realm.json", realm);
    let told = place.run(&["adopt", "inspect", "--from", "realm.json", "--json"]).ended(0).json();
    assert_eq!((&told["system"], &told["engine"]), (&"keycloak".into(), &"file".into()));
    assert_eq!((&told["users"]["count"], &told["permissions"]), (&2.into(), &2.into()));
    assert_eq!(rows(&told, "inactive_with_roles"), "user 2");
    let run = place.run(&["adopt", "inspect", "--from", "realm.json", "--system", "django"]).ended(2);
    assert!(run.err.contains("django was named"), "{}", run.err);
    let run = place.run(&["adopt", "inspect", "--from", "sqlite:realm.json"]).ended(2);
    assert!(!run.err.is_empty());
    place.write("realm.json", "{\"realm\": \"toys\"}");
    let run = place.run(&["adopt", "inspect", "--from", "realm.json"]).ended(2);
    assert!(run.err.contains("kc.sh export --realm toys"), "{}", run.err);
}
