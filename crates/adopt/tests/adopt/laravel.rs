//! spatie/laravel-permission, on tables like those its migration makes.

use crate::shared::{codes, heard, made, may, noted, refused, rule};
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::source::{self, LoginRule, NamedTables, System, Tables};
use charter_db::foreign::Foreign;
use charter_testkit::{both_engines, database::TestDatabase};

/// The tables of the package; `TEAM` and `TEAM_NULL` are the columns of teams.
const TABLES: &str = r#"
create table users (id bigint primary key, name varchar(255) not null, email varchar(255) not null, email_verified_at timestamp, password varchar(255) not null, deleted_at timestamp);
create table permissions (id bigint primary key, name varchar(255) not null, guard_name varchar(255) not null, unique (name, guard_name));
create table roles (id bigint primary key, TEAM_NULL name varchar(255) not null, guard_name varchar(255) not null);
create table model_has_permissions (permission_id bigint not null references permissions, model_type varchar(255) not null, KEY not null TEAM);
create table model_has_roles (role_id bigint not null references roles, model_type varchar(255) not null, KEY not null TEAM);
create table role_has_permissions (permission_id bigint not null references permissions, role_id bigint not null references roles);
insert into users (id, name, email, password, deleted_at) values (1, 'Ann', 'ann@toys.example', 'x', null), (2, 'Bob', 'Bob@toys.example', 'x', null),
  (3, 'Cid', 'cid@toys.example', 'x', null), (4, 'Gone', 'gone@toys.example', 'x', '2024-01-01 00:00:00'), (5, 'Eve', 'eve@toys.example', 'x', null);
insert into permissions values (1, 'edit articles', 'web'), (2, 'publish articles', 'web'), (3, 'edit articles', 'api'), (4, 'posts.*', 'web');
"#;

fn tables(team: &str, key: &str) -> String {
    let (column, nullable) = if team.is_empty() {
        (String::new(), String::new())
    } else {
        (format!(", {team} bigint not null"), format!("{team} bigint,"))
    };
    TABLES.replace("TEAM_NULL", &nullable).replace("TEAM", &column).replace("KEY", key)
}

both_engines!(guards_are_told_apart_and_other_models_are_left_out, async |database: TestDatabase| {
    made(&database, &tables("", "model_id bigint")).await;
    made(
        &database,
        r"insert into roles values (1, 'writer', 'web'), (2, 'writer', 'api');
        insert into role_has_permissions values (1, 1), (2, 1), (3, 2);
        insert into model_has_roles values (1, 'App\Models\User', 1), (2, 'App\Models\User', 2), (1, 'App\Models\User', 3), (1, 'App\Models\AdminUser', 5),
          (1, 'App\Models\User', 4), (1, 'App\Models\Team', 2), (1, 'App\Models\User', 77);
        insert into model_has_permissions values (4, 'App\Models\User', 1), (2, 'App\Models\Team', 1);",
    )
    .await;
    let heard = heard(&database, System::Laravel).await;
    let held = may(&heard);
    let set = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(held.len(), 4, "who was deleted is no user");
    assert_eq!(held["ann@toys.example"], set(&["edit articles", "publish articles", "posts.*"]));
    assert_eq!(held["Bob@toys.example"], set(&["api:edit articles"]));
    assert_eq!(held["cid@toys.example"], set(&["edit articles", "publish articles"]));
    assert_eq!(held["eve@toys.example"], codes(""), "a class that only ends like it is no user");
    let others = noted(&heard, AnomalyKind::OtherHolder);
    let rows: Vec<&str> = others.iter().map(|(row, _)| row.as_str()).collect();
    assert_eq!(
        rows,
        [
            r"model_has_roles model_type=App\Models\AdminUser model_id=5 role_id=1",
            r"model_has_roles model_type=App\Models\Team model_id=2 role_id=1",
            r"model_has_permissions model_type=App\Models\Team model_id=1 permission_id=2"
        ]
    );
    assert_eq!(others[0].1, r"App\Models\AdminUser is no user");
    let orphans = noted(&heard, AnomalyKind::Orphan);
    assert_eq!(
        orphans,
        [(
            r"model_has_roles model_type=App\Models\User model_id=77 role_id=1".into(),
            "users 77 is not there".into()
        )],
        "who was deleted is there, and only gone"
    );
});

both_engines!(two_classes_of_users_are_not_taken_for_one, async |database: TestDatabase| {
    // A customer of the shop with the number of an employee once had the employee's rights here, and the other way round.
    made(&database, &tables("", "model_id bigint")).await;
    made(
        &database,
        r"insert into roles values (1, 'writer', 'web'); insert into role_has_permissions values (1, 1);
        insert into model_has_roles values (1, 'App\Models\User', 1), (1, 'Modules\Shop\User', 2), (1, 'user', 3);",
    )
    .await;
    let several = heard(&database, System::Laravel).await;
    let rows: Vec<String> =
        noted(&several, AnomalyKind::SeveralUsers).into_iter().map(|(row, _)| row).collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.contains(&r"model_type Modules\Shop\User".to_owned()) && AnomalyKind::SeveralUsers.stops());
    let of = async |class: &str| {
        let text = format!("[users]\ntable = \"users\"\nmodel = '{class}'");
        let named: NamedTables = toml::from_str(&text).unwrap();
        let mut foreign = Foreign::open(&database.options().url).await.unwrap();
        let all = foreign.tables().await.unwrap();
        let tables = Tables::new(&foreign, &all, None);
        let statements = source::statements(&tables, System::Laravel, Some(&named)).unwrap();
        let heard = source::read(&mut foreign, &statements, rule as LoginRule, &mut |_, _| {}).await.unwrap();
        assert!(noted(&heard, AnomalyKind::SeveralUsers).is_empty());
        let held = may(&heard);
        held.into_iter().filter(|(_, codes)| !codes.is_empty()).map(|(login, _)| login).collect::<Vec<_>>()
    };
    assert_eq!(of(r"App\Models\User").await, ["ann@toys.example"]);
    assert_eq!(of(r"Modules\Shop\User").await, ["Bob@toys.example"]);
    assert_eq!(of("user").await, ["cid@toys.example"], "by the name of a morph map");
});

both_engines!(one_class_of_an_unusual_name_is_asked_about_like_several, async |database: TestDatabase| {
    // Sue of the shop has number 1 in a table of its own, and Ann of the users got what is Sue's.
    made(&database, &tables("", "model_id bigint")).await;
    let rows = r"insert into roles values (1, 'writer', 'web'); insert into model_has_roles values (1, 'Modules\Shop\User', 1);";
    made(&database, rows).await;
    let asked = noted(&heard(&database, System::Laravel).await, AnomalyKind::SeveralUsers);
    assert_eq!(asked, [(r"model_type Modules\Shop\User".to_owned(), "rows: 1".to_owned())]);
    made(&database, r"update model_has_roles set model_type = 'App\Models\User'").await;
    assert!(noted(&heard(&database, System::Laravel).await, AnomalyKind::SeveralUsers).is_empty());
});

both_engines!(words_of_roles_beside_the_package_are_asked_about, async |database: TestDatabase| {
    made(&database, &tables("", "model_id bigint")).await;
    made(
        &database,
        "alter table users add column role varchar(40); update users set role = 'admin' where id = 1",
    )
    .await;
    let asked = noted(&heard(&database, System::Laravel).await, AnomalyKind::UnreadRole);
    assert_eq!(asked, [("users.role admin".to_owned(), "users: 1".to_owned())]);
});

both_engines!(a_team_is_an_organization_and_its_rights_end_there, async |database: TestDatabase| {
    made(&database, &tables("team_id", "model_id bigint")).await;
    made(
        &database,
        r"insert into roles values (1, null, 'writer', 'web'), (2, 10, 'editor', 'web'), (3, 20, 'editor', 'web');
        insert into role_has_permissions values (1, 1), (2, 2), (1, 3);
        insert into model_has_roles values (1, 'App\Models\User', 1, 10), (2, 'App\Models\User', 1, 10), (1, 'App\Models\User', 1, 20),
          (2, 'App\Models\User', 2, 20), (3, 'App\Models\User', 3, 20);
        insert into model_has_permissions values (4, 'App\Models\User', 1, 20);",
    )
    .await;
    let heard = heard(&database, System::Laravel).await;
    let held = may(&heard);
    let set = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(held["ann@toys.example@10"], set(&["edit articles", "publish articles"]));
    assert_eq!(held["ann@toys.example@20"], set(&["edit articles", "posts.*"]));
    assert_eq!(held["Bob@toys.example@20"], set(&[]), "a role of another team counts nowhere else");
    assert_eq!(held["cid@toys.example@20"], set(&["edit articles"]));
    assert_eq!(heard.anomalies.count(AnomalyKind::DuplicateLogin), 0, "one user in two teams is one user");
    let orphans = noted(&heard, AnomalyKind::Orphan);
    assert_eq!(orphans, [("user 5".into(), "belongs to no organization".into())]);
    let names: Vec<&str> = heard.facts.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["writer", "editor #2", "editor #3"]);
});

both_engines!(keys_of_models_may_be_texts_and_strange_columns_are_refused, async |database: TestDatabase| {
    let text = tables("", "model_uuid varchar(36)").replace(
        "id bigint primary key, name varchar(255) not null, email",
        "id varchar(36) primary key, name varchar(255) not null, email",
    );
    made(&database, &text).await;
    made(
        &database,
        r"insert into roles values (1, 'writer', 'web'); insert into role_has_permissions values (1, 1);
        insert into model_has_roles values (1, 'App\Models\User', '2'), (1, 'App\Models\User', 'x9');",
    )
    .await;
    let found = heard(&database, System::Laravel).await;
    assert_eq!(may(&found)["Bob@toys.example"].len(), 1);
    assert_eq!(
        noted(&found, AnomalyKind::Orphan)[0].0,
        r"model_has_roles model_type=App\Models\User model_uuid=x9 role_id=1"
    );
    made(
        &database,
        "alter table model_has_roles add column a int; alter table model_has_roles add column b int",
    )
    .await;
    assert!(
        refused(&database, System::Laravel).await.to_string().contains("model_has_roles has more columns")
    );
});
