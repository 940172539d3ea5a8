//! A framework with thousands of permissions of its own: all of them become codes, and the proof compares each.

use crate::adopt_run::{Erp, check};
use crate::program::Place;
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::Value;

/// The tables of Django's accounts, as its first migrations make them.
const TABLES: &str = "
    create table django_content_type (id integer primary key, app_label varchar(100) not null, model varchar(100) not null);
    create table auth_permission (id integer primary key, name varchar(255) not null, content_type_id integer not null, codename varchar(100) not null);
    create table auth_group (id integer primary key, name varchar(150) not null unique);
    create table auth_group_permissions (id integer primary key, group_id integer not null, permission_id integer not null);
    create table auth_user (id integer primary key, password varchar(128) not null, last_login timestamp, is_superuser boolean not null,
        username varchar(150) not null unique, first_name varchar(150) not null, last_name varchar(150) not null, email varchar(254) not null,
        is_staff boolean not null, is_active boolean not null, date_joined timestamp not null);
    create table auth_user_groups (id integer primary key, user_id integer not null, group_id integer not null);
    create table auth_user_user_permissions (id integer primary key, user_id integer not null, permission_id integer not null);
    insert into auth_group values (1, 'everything'), (2, 'every third');";

const MODELS: usize = 700;
const ACTIONS: [&str; 4] = ["add", "change", "delete", "view"];

async fn insert(database: &TestDatabase, table: &str, rows: Vec<String>) {
    for rows in rows.chunks(500) {
        database.maintain(&format!("insert into {table} values {}", rows.join(", "))).await.unwrap();
    }
}

async fn django(database: &TestDatabase) {
    database.maintain(TABLES).await.unwrap();
    let models = (0..MODELS).map(|model| format!("({model}, 'app{}', 'model{model}')", model % 7));
    insert(database, "django_content_type", models.collect()).await;
    let all = || (0..MODELS * 4).map(|at| (at, at / 4, ACTIONS[at % 4]));
    let permissions = all().map(|(at, model, action)| {
        format!("({at}, 'Can {action} model {model}', {model}, '{action}_model{model}')")
    });
    insert(database, "auth_permission", permissions.collect()).await;
    let of_groups = all().map(|(at, ..)| format!("({at}, 1, {at})"));
    let thirds =
        all().filter(|(at, ..)| at % 3 == 0).map(|(at, ..)| format!("({}, 2, {at})", MODELS * 4 + at));
    insert(database, "auth_group_permissions", of_groups.chain(thirds).collect()).await;
    let users = ["ann", "bob", "eve"].iter().enumerate().map(|(at, name)| {
        format!("({at}, '!', null, false, '{name}@shop.example', '{name}', '', '{name}@shop.example', false, true, '2026-01-01 00:00:00')")
    });
    insert(database, "auth_user", users.collect()).await;
    insert(database, "auth_user_groups", vec!["(1, 0, 1)".to_owned(), "(2, 1, 2)".to_owned()]).await;
    // The last there is.
    insert(database, "auth_user_user_permissions", vec![format!("(1, 2, {})", MODELS * 4 - 1)]).await;
}

both_engines!(thousands_of_permissions_come_over_and_each_is_proved, async |database: TestDatabase| {
    django(&database).await;
    let erp = Erp { place: Place::new(), database: &database };
    let from = erp.url();
    erp.run(&["adopt", "inspect", "--from", &from, "--propose", "roles.toml"]);
    let planned = erp.plan(&[]).ended(0);
    assert!(planned.out.contains("nobody gains and nobody loses"), "{}", planned.out);
    erp.apply(&[]).ended(0);
    let proved: Value = erp.verify().ended(0).json();
    assert_eq!(proved["holds"], true, "{proved:#}");

    let organizations = erp.run(&["organizations", "list", "--json"]).ended(0).json();
    let mut keys = organizations["items"].as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap());
    let organization = keys.rfind(|key| *key != "platform").unwrap().to_owned();
    let last = MODELS - 1;
    let code_of = |action: &str| format!("adopted.app{}.{action}_model{last}", last % 7);
    for (user, action, wanted) in [
        ("ann", "delete", 0),
        ("bob", "view", 0),
        ("bob", "delete", 1),
        ("eve", "view", 0),
        ("eve", "delete", 1),
    ] {
        let code = code_of(action);
        let told = check(&erp, &organization, &format!("{user}@shop.example"), &code);
        assert_eq!(told, wanted, "{user} {code}");
    }
});
