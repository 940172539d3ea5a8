//! Systems of one's own: a role column, role tables, and what may be wrong with their rows.

use crate::shared::{codes, heard, made, may, noted, read, refused, rule};
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::check;
use charter_adopt::source::{self, LoginRule, NamedTables, ReadError, System, Tables, UserColumns};
use charter_db::foreign::Foreign;
use charter_testkit::{both_engines, database::TestDatabase};

const WORDS: &str = r#"
create table organizations (id int primary key, name varchar(80), enabled_modules text, is_active boolean);
create table users (id int primary key, email varchar(80), full_name varchar(80), role varchar(40), is_active boolean, is_superuser boolean, organization_id int, hashed_password text);
insert into organizations values (1, 'Toys', '{"CRM": true}', true), (2, null, null, null);
insert into users values (1, 'Ann@Toys.example', 'Ann', 'manager', true, false, 1, null), (2, 'ann@toys.example ', 'Ann', 'Manager', true, false, 1, null),
  (3, 'bob@toys.example', 'Bob "the boss" 😀', ' ', true, false, 1, null), (4, 'cid@toys.example', 'Cid', null, null, null, 7, null),
  (5, ' ', 'Nobody', 'manager', true, false, 1, null), (6, 'off@toys.example', 'Off', 'manager', false, true, null, null),
  (7, 'a b@toys.example', 'Blank', 'manager', true, false, 1, null);
"#;

both_engines!(whatever_is_wrong_with_a_row_is_noted_with_the_row, async |database: TestDatabase| {
    made(&database, WORDS).await;
    let heard = heard(&database, System::RoleColumn).await;
    let rows = |kind| -> Vec<String> { noted(&heard, kind).into_iter().map(|(row, _)| row).collect() };
    assert_eq!(rows(AnomalyKind::DuplicateLogin), ["user 1", "user 2"]);
    assert_eq!(
        noted(&heard, AnomalyKind::DuplicateLogin)[0].1,
        "signs in as Ann@Toys.example, and user 2 as ann@toys.example"
    );
    assert_eq!(rows(AnomalyKind::MissingRole), ["user 3", "user 4"]);
    assert_eq!(rows(AnomalyKind::MissingLogin), ["user 5"]);
    assert_eq!(rows(AnomalyKind::UnfitLogin), ["user 7"]);
    assert_eq!(rows(AnomalyKind::MissingValue), ["organization 2", "organization 2", "user 4", "user 4"]);
    assert_eq!(rows(AnomalyKind::Orphan), ["user 4", "user 6"]);
    assert_eq!(rows(AnomalyKind::InactiveWithRoles), ["user 6"]);
    assert_eq!(heard.facts.users.len(), 5, "who cannot sign in here is left out");
    assert_eq!(heard.facts.organizations[1].name, "2");
    let roles: Vec<&str> = heard.facts.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(roles, ["manager", "Manager"], "words are told apart as they stand; the mapping folds them");
});

both_engines!(
    names_that_charter_would_refuse_are_read_without_what_it_refuses,
    async |database: TestDatabase| {
        // A control character in a name once ended a run at its third stage, with the catalogue written.
        let long = "x".repeat(300);
        let rows = format!(
        "create table organizations (id int primary key, name text, is_active boolean);
        create table users (id int primary key, email varchar(80), full_name varchar(80), role text, is_active boolean, organization_id int);
        insert into organizations values (1, ' Soft\u{7}Toys\n', true), (2, '\t\u{202e}', true), (3, '{long}', true);
        insert into users values (1, 'ann', 'Ann\u{1b}[2J', 'boss\u{202e}', true, 1), (2, 'bob', '\u{1}', 'boss', true, 1)"
    );
        made(&database, &rows).await;
        let heard = heard(&database, System::RoleColumn).await;
        let names: Vec<&str> = heard.facts.organizations.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["Soft Toys", "2", &long[..200]]);
        let names: Vec<&str> = heard.facts.roles.iter().map(|role| role.name.as_str()).collect();
        assert_eq!(names, ["boss #\"boss\\u{202e}\"", "boss #boss"]);
        let names: Vec<&str> = heard.facts.users.iter().map(|user| user.name).collect();
        assert_eq!(names, ["Ann [2J", ""]);
    }
);

both_engines!(modules_are_judged_by_the_rule_that_is_in_force, async |database: TestDatabase| {
    made(
        &database,
        r#"create table organizations (id int primary key, name varchar(80), enabled_modules text);
        create table users (id int primary key, email varchar(80), role varchar(40), organization_id int);
        insert into organizations values (1, 'a', '{"crm": true, " cRm ": false, "warp": 1}'), (2, 'b', '["CRM", "Finance"]'), (3, 'c', '"{\"crm\": \"yes\"}"'),
          (4, 'd', '{broken'), (5, 'e', ''), (6, 'f', '7');
        insert into users values (1, 'ann', 'boss', 1), (2, 'bob', 'org-admin', 1), (3, 'cid', 'boss', 2);"#,
    )
    .await;
    let mut heard = heard(&database, System::RoleColumn).await;
    let catalogue = charter_catalogue::shipped().unwrap();
    check::judge(&mut heard, None, &catalogue).unwrap();
    let of = |kind| noted(&heard, kind);
    assert_eq!(of(AnomalyKind::DoubledModule), [("organization 1".into(), "crm".into())]);
    assert_eq!(of(AnomalyKind::UnknownModule), [("organization 1".into(), "\"warp\"".into())]);
    let rows: Vec<String> = of(AnomalyKind::UnreadableModules).into_iter().map(|(row, _)| row).collect();
    assert_eq!(rows, ["organization 4", "organization 6"]);
    let unknown: Vec<String> = of(AnomalyKind::UnknownRole).into_iter().map(|(row, _)| row).collect();
    assert_eq!(unknown, ["user 1", "user 3"]);
});

const TABLES: &str = r#"
create table users (id int primary key, username varchar(80), "is active" boolean);
create table roles (id int primary key, name varchar(80));
create table permissions (id int primary key, code varchar(80));
create table user_roles (user_id int, role_id int);
create table role_permissions (role_id int, permission_id int);
create table user_permissions (user_id int, permission_id int);
insert into users values (1, 'ann', true), (2, 'bob', true);
insert into roles values (1, 'clerk'), (2, 'clerk'), (3, 'it''s "odd" 😀');
insert into permissions values (1, 'a.read'), (2, 'a.write'), (3, 'a.read');
insert into user_roles values (1, 1), (1, 3), (2, 2), (9, 1), (1, 9);
insert into role_permissions values (1, 1), (2, 2), (3, 9), (8, 1);
insert into user_permissions values (2, 3), (2, 8);
"#;

both_engines!(role_tables_add_up_and_rows_that_lead_nowhere_are_noted, async |database: TestDatabase| {
    made(&database, TABLES).await;
    let heard = heard(&database, System::RoleTables).await;
    let held = may(&heard);
    assert_eq!(held["ann"], codes("a.read"));
    assert_eq!(held["bob"], codes("a.write a.read"), "two rows of one code are one permission");
    let names: Vec<&str> = heard.facts.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(
        names,
        ["clerk #1", "clerk #2", "it's \"odd\" 😀"],
        "roles are mapped by name, so no two share one"
    );
    let orphans = noted(&heard, AnomalyKind::Orphan);
    let orphans: Vec<(&str, &str)> =
        orphans.iter().map(|(row, what)| (row.as_str(), what.as_str())).collect();
    assert_eq!(
        orphans,
        [
            ("user_roles user_id=9 role_id=1", "users 9 is not there"),
            ("user_roles user_id=1 role_id=9", "roles 9 is not there"),
            ("user_permissions user_id=2 permission_id=8", "permissions 8 is not there"),
            ("role_permissions role_id=3 permission_id=9", "permissions 9 is not there"),
            ("role_permissions role_id=8 permission_id=1", "roles 8 is not there"),
        ],
        "each by its row, and not by its table alone"
    );
});

both_engines!(words_of_roles_beside_tables_of_roles_are_asked_about, async |database: TestDatabase| {
    // They were passed by, and the proof said that nobody lost anything.
    made(&database, TABLES).await;
    made(&database, "alter table users add column role varchar(80)").await;
    assert!(
        noted(&heard(&database, System::RoleTables).await, AnomalyKind::UnreadRole).is_empty(),
        "it is empty"
    );
    made(&database, "update users set role = 'org_admin' where id = 1").await;
    let asked = noted(&heard(&database, System::RoleTables).await, AnomalyKind::UnreadRole);
    assert_eq!(asked, [("users.role org_admin".to_owned(), "users: 1".to_owned())]);
    assert!(AnomalyKind::UnreadRole.stops());
    let mut foreign = Foreign::open(&database.options().url).await.unwrap();
    let all = foreign.tables().await.unwrap();
    let tables = Tables::new(&foreign, &all, None);
    let mut named = source::proposed(&tables, None).unwrap().unwrap();
    let mut asked = |unused: &str| {
        named.users.unused_role = vec![unused.to_owned()];
        source::statements(&tables, System::RoleTables, Some(&named))
    };
    assert!(asked("rolle").is_err(), "a column that is not there");
    let statements = asked("role").unwrap();
    let heard = source::read(&mut foreign, &statements, rule as LoginRule, &mut |_, _| {}).await.unwrap();
    assert!(noted(&heard, AnomalyKind::UnreadRole).is_empty(), "the operator said that nothing goes by it");
});

both_engines!(several_columns_of_words_are_all_said_to_be_unused, async |database: TestDatabase| {
    // One name was taken, so that with two such columns no plan could be made ready.
    made(&database, TABLES).await;
    made(&database, "alter table users add column role varchar(80)").await;
    made(&database, "alter table users add column user_role varchar(80)").await;
    made(&database, "update users set role = 'boss', user_role = 'clerk' where id = 1").await;
    let mut foreign = Foreign::open(&database.options().url).await.unwrap();
    let all = foreign.tables().await.unwrap();
    let tables = Tables::new(&foreign, &all, None);
    let named = source::proposed(&tables, Some(System::RoleTables)).unwrap().unwrap();
    assert!(named.users.unused_role.is_empty(), "nobody said so");
    let users = |unused: &str| {
        let text = format!("table = \"users\"\nid = \"id\"\nlogin = \"username\"\nunused_role = {unused}");
        toml::from_str::<UserColumns>(&text)
    };
    let statements = |unused: &str| {
        let named = NamedTables { users: users(unused).unwrap(), ..named.clone() };
        let again: UserColumns = toml::from_str(&toml::to_string(&named.users).unwrap()).unwrap();
        assert_eq!(again, named.users);
        source::statements(&tables, System::RoleTables, Some(&named)).unwrap()
    };
    let asked = [
        ("\"role\"", "users.user_role clerk"),
        ("[\"role\"]", "users.user_role clerk"),
        ("[\"role\", \"user_role\"]", ""),
        ("[]", "users.role boss, users.user_role clerk"),
    ]
    .map(|(unused, rows)| (unused, rows, statements(unused)));
    for (unused, rows, statements) in asked {
        let heard = source::read(&mut foreign, &statements, rule as LoginRule, &mut |_, _| {}).await.unwrap();
        let told: Vec<String> =
            noted(&heard, AnomalyKind::UnreadRole).into_iter().map(|(row, _)| row).collect();
        assert_eq!(told.join(", "), rows, "{unused}");
    }
    let flaw = users("7").unwrap_err().to_string();
    assert!(flaw.contains("a list of such names"), "{flaw}");
});

both_engines!(what_is_proposed_is_of_the_system_that_was_chosen, async |database: TestDatabase| {
    // With role_column the roles of the tables were proposed, and no column: such a mapping was refused at once.
    made(&database, TABLES).await;
    made(&database, "alter table users add column role varchar(80)").await;
    made(&database, "update users set role = 'viewer' where id = 1").await;
    let mut foreign = Foreign::open(&database.options().url).await.unwrap();
    let all = foreign.tables().await.unwrap();
    let tables = Tables::new(&foreign, &all, None);
    assert_eq!(source::detect(&tables).unwrap(), [System::RoleTables]);
    let proposed = |chosen| source::proposed(&tables, chosen).unwrap().unwrap();
    let by_word = proposed(Some(System::RoleColumn));
    assert_eq!((by_word.users.role.as_deref(), &by_word.roles), (Some("role"), &None));
    assert_eq!(by_word.unfit(System::RoleColumn), None);
    for chosen in [None, Some(System::RoleTables)] {
        let by_tables = proposed(chosen);
        assert!(by_tables.users.role.is_none() && by_tables.roles.is_some());
        assert_eq!(by_tables.unfit(System::RoleTables), None);
    }
    let statements = source::statements(&tables, System::RoleColumn, None).unwrap();
    let heard = source::read(&mut foreign, &statements, rule as LoginRule, &mut |_, _| {}).await.unwrap();
    let roles: Vec<&str> = heard.facts.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(roles, ["viewer"]);
});

both_engines!(a_column_of_roles_that_is_not_there_is_not_proposed, async |database: TestDatabase| {
    made(&database, TABLES).await;
    let mut foreign = Foreign::open(&database.options().url).await.unwrap();
    let all = foreign.tables().await.unwrap();
    let tables = Tables::new(&foreign, &all, None);
    assert_eq!(source::proposed(&tables, Some(System::RoleColumn)).unwrap(), None);
    let wanted = source::statements(&tables, System::RoleColumn, None).unwrap_err();
    assert!(wanted.to_string().contains("a column of roles"), "{wanted}");
});

both_engines!(a_row_without_an_id_or_a_code_is_noted_by_what_it_has, async |database: TestDatabase| {
    // Roles and permissions without one were left out in silence.
    made(
        &database,
        "create table organizations (id int, name varchar(80)); create table roles (id int, name varchar(80)); create table permissions (id int, code varchar(80));
        create table users (id int, username varchar(80), organization_id int); create table user_roles (user_id int, role_id int);
        create table role_permissions (role_id int, permission_id int);
        insert into organizations values (1, 'Toys'), (null, 'Soap'); insert into roles values (1, 'clerk'), (null, 'boss'), (null, null);
        insert into permissions values (1, 'a.read'), (2, null), (null, 'a.write'); insert into users values (1, 'ann', 1), (null, 'bob', 1);",
    )
    .await;
    let mut told = noted(&heard(&database, System::RoleTables).await, AnomalyKind::MissingValue);
    told.sort();
    let told: Vec<(&str, &str)> = told.iter().map(|(row, what)| (row.as_str(), what.as_str())).collect();
    assert_eq!(
        told,
        [
            ("organization \"Soap\"", "its id"),
            ("permission \"a.write\"", "its id"),
            ("permission 2", "its code"),
            ("role \"boss\"", "its id"),
            ("role without a name", "its id"),
            ("user \"bob\"", "its id"),
        ]
    );
});

both_engines!(an_id_that_holds_what_parts_ids_is_no_other_role, async |database: TestDatabase| {
    // Such a row once gave the role `boss`, and a role without an id was everybody's who held none.
    made(
        &database,
        "create table users (id int primary key, username varchar(80)); create table roles (id varchar(80), name varchar(80));
        create table permissions (id varchar(80), code varchar(80)); create table user_roles (user_id int, role_id varchar(80));
        create table role_permissions (role_id varchar(80), permission_id varchar(80));
        insert into users values (1, 'ann'), (2, 'bob'), (3, 'cid');
        insert into roles values ('boss', 'Boss'), ('', 'Nobody'), ('x\u{1f}boss', 'Odd'), ('x\u{1d}boss', 'Odder');
        insert into permissions values ('all', 'do.all'), ('\u{1f}', 'do.more');
        insert into user_roles values (1, 'x\u{1f}boss'), (2, 'boss');
        insert into role_permissions values ('boss', 'all'), ('', 'all'), ('x\u{1d}boss', 'all');",
    )
    .await;
    let heard = heard(&database, System::RoleTables).await;
    let held = may(&heard);
    assert_eq!((&held["ann"], &held["cid"]), (&codes(""), &codes("")));
    assert_eq!(held["bob"], codes("do.all"));
    let noted = noted(&heard, AnomalyKind::UnfitId);
    assert_eq!(noted.len(), 4, "{noted:?}");
    assert!(AnomalyKind::UnfitId.stops());
});

both_engines!(what_breaks_off_in_the_middle_is_a_failure_that_says_where, async |database: TestDatabase| {
    made(&database, "create table people (id int primary key, email varchar(80), role varchar(40))").await;
    for first in [0, 500] {
        let rows: Vec<String> = (first..first + 500).map(|n| format!("({n}, 'u{n}', 'viewer')")).collect();
        made(&database, &format!("insert into people values {}", rows.join(", "))).await;
    }
    let is_sqlite = !database.options().url.starts_with("postgres");
    // The row breaks the reading off: on PostgreSQL it ends the connection itself.
    let breaks = if is_sqlite {
        "abs(-9223372036854775807 - 1)"
    } else {
        "pg_terminate_backend(pg_backend_pid())::int"
    };
    let view = format!(
        "create view users as select id, email, role, case when id = 700 then {breaks} else 1 end as is_active from people"
    );
    made(&database, &view).await;
    let error = read(&database.options().url, System::RoleColumn).await.unwrap_err();
    assert!(matches!(error, ReadError::Database { reading: "its users", .. }), "{error:?}");
    let told = error.to_string();
    assert!(
        told.starts_with("while its users were read: ") && told.contains("nothing was written"),
        "{told}"
    );
});

#[tokio::test]
async fn a_schema_of_charter_in_the_same_database_is_not_taken_for_the_other_system() {
    let database = charter_testkit::database::postgres().await;
    made(
        &database,
        "create table users (id int primary key, email varchar(80), role varchar(40), organization_id int);
        insert into users values (1, 'ann', 'viewer', 1);
        create schema charter; create table charter.organizations (id int primary key, name text, enabled_modules text);
        create table charter.organization_revisions (id int); create table charter.adoption_runs (id int);",
    )
    .await;
    let heard = heard(&database, System::RoleColumn).await;
    assert_eq!((heard.facts.organizations.len(), heard.facts.users.len()), (0, 1));
    assert_eq!(heard.anomalies.count(AnomalyKind::Orphan), 0);
}

const COPY: &str = "create schema erp; create table erp.users (id int primary key, email varchar(80), role varchar(40), organization_id int);
    create table erp.organizations (id int primary key, name varchar(80)); insert into erp.organizations values (1, 'Toys');
    insert into erp.users values (1, 'bob', 'viewer', 1);
    create schema archive; create table archive.users (id int primary key, email varchar(80), role varchar(40), organization_id int);
    insert into archive.users values (1, 'bob', 'org_admin', 1);";

#[tokio::test]
async fn a_table_that_stands_in_several_schemas_is_not_guessed() {
    // A copy of the users in another schema once stood in for them, since it came first by its name.
    let database = charter_testkit::database::postgres().await;
    made(&database, COPY).await;
    let mut foreign = Foreign::open(&database.options().url).await.unwrap();
    let all = foreign.tables().await.unwrap();
    let refused =
        |schema: Option<&str>| source::detect(&Tables::new(&foreign, &all, schema)).unwrap_err().to_string();
    assert!(
        refused(None).starts_with("there are several tables users (archive.users, erp.users)"),
        "{}",
        refused(None)
    );
    let tables = Tables::new(&foreign, &all, None);
    let mut named: NamedTables = toml::from_str(
        "[users]\ntable = \"users\"\nid = \"id\"\nlogin = \"email\"\nrole = \"role\"\norganization = \"organization_id\"\n\
         [organizations]\ntable = \"organizations\"\nid = \"id\"\nname = \"name\"",
    )
    .unwrap();
    let wanted = source::statements(&tables, System::RoleColumn, Some(&named)).unwrap_err();
    assert!(wanted.to_string().contains("write schema.table"), "{wanted}");
    named.users.table = "erp.users".to_owned();
    let by_name = source::statements(&tables, System::RoleColumn, Some(&named)).unwrap();
    let heard = source::read(&mut foreign, &by_name, rule as LoginRule, &mut |_, _| {}).await.unwrap();
    assert_eq!(heard.facts.roles[0].name, "viewer");
    // The schema of all of them is enough, and what is proposed says it.
    let tables = Tables::new(&foreign, &all, Some("erp"));
    assert_eq!(source::detect(&tables).unwrap(), [System::RoleColumn]);
    let proposed = source::proposed(&tables, None).unwrap().unwrap();
    assert_eq!(
        (proposed.users.table.as_str(), proposed.organizations.unwrap().table.as_str()),
        ("erp.users", "erp.organizations")
    );
    // Not even public wins.
    made(&database, "create table users (id int primary key, email varchar(80), role varchar(40))").await;
    let all = Foreign::open(&database.options().url).await.unwrap().tables().await.unwrap();
    let wanted = source::detect(&Tables::new(&foreign, &all, None)).unwrap_err();
    assert!(wanted.to_string().contains("public.users"), "{wanted}");
}

#[tokio::test]
async fn the_tables_of_a_framework_stand_in_one_schema() {
    let database = charter_testkit::database::postgres().await;
    let tables = |schema: &str| {
        format!(
            "create schema {schema}; create table {schema}.auth_permission (id int); create table {schema}.auth_group (id int); \
             create table {schema}.django_content_type (id int); \
             create table {schema}.auth_user (id int);"
        )
    };
    made(&database, &tables("erp")).await;
    made(&database, "create schema old; create table old.auth_group_permissions (id int)").await;
    let told = refused(&database, System::Django).await.to_string();
    assert!(
        told.contains("erp.auth_permission and old.auth_group_permissions stand in two schemas"),
        "{told}"
    );
    made(&database, &tables("tenant")).await;
    let told = refused(&database, System::Django).await.to_string();
    assert!(told.contains("(erp.auth_permission, tenant.auth_permission)"), "{told}");
}

#[tokio::test]
async fn a_table_that_may_not_be_read_is_named() {
    let database = charter_testkit::database::postgres().await;
    let name = database.options().url.split(['/', '?']).nth(3).unwrap().to_owned();
    let role = format!("reader_{name}");
    made(&database, WORDS).await;
    made(&database, &format!("create role {role} login; grant select on organizations to {role}")).await;
    let url = database.options().url.replacen("postgres@", &format!("{role}@"), 1);
    let error = read(&url, System::RoleColumn).await.unwrap_err();
    made(&database, &format!("grant select on users to {role}")).await;
    let heard = read(&url, System::RoleColumn).await.unwrap();
    made(&database, &format!("drop owned by {role}; drop role {role}")).await;
    let ReadError::Wanted(wanted) = error else { panic!("{error}") };
    assert_eq!(
        wanted.to_string(),
        "this user of the database may not read the table users: grant it select there"
    );
    assert_eq!(heard.facts.users.len(), 5, "reading is all it needs");
}

both_engines!(a_system_that_nobody_knows_is_none, async |database: TestDatabase| {
    made(
        &database,
        "create table users (id int primary key, email varchar(80), role varchar(40), organization_id int)",
    )
    .await;
    made(&database, "create table organizations (id int primary key)").await;
    assert!(read(&database.options().url, System::RoleColumn).await.is_ok());
    made(&database, "create table roles (id int, name text); create table model_has_roles (role_id int); create table role_has_permissions (a int); create table permissions (id int)").await;
    assert!(refused(&database, System::Laravel).await.to_string().contains("no table model_has_permissions"));
});
