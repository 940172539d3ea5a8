//! Django and Flask-AppBuilder make their own tables and say themselves what everybody may do; Charter agrees with each answer.

use crate::shared::{made, may, noted, read, refused, rule};
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::mapping;
use charter_adopt::source::{self, Heard, LoginRule, System, Tables};
use charter_db::foreign::Foreign;
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Has a script of `tests/adoption` make a company in a database, and tells what it says everybody may do.
pub fn company(script: &str, url: &str) -> Value {
    serde_json::from_str(&charter_testkit::company::made_by(script, url)).unwrap()
}

/// Every user beside every permission.
fn agree(heard: &Heard, told: &Value) {
    let codes = |value: &Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
    };
    let known: BTreeSet<String> = heard.facts.permissions.iter().cloned().collect();
    assert_eq!(known, codes(&told["permissions"]));
    let held = may(heard);
    let told: BTreeMap<String, BTreeSet<String>> =
        told["users"].as_object().unwrap().iter().map(|(login, may)| (login.clone(), codes(may))).collect();
    assert_eq!(held.len(), told.len());
    for (login, may) in &told {
        assert_eq!(held.get(login), Some(may), "{login}");
    }
    assert!(told.values().any(|may| !may.is_empty()));
}

both_engines!(django_and_charter_agree_on_every_user_and_permission, async |database: TestDatabase| {
    let url = foreign_url(&database);
    let told = company("django_company.py", &url.0);
    let heard = read(&url.0, System::Django).await.unwrap();
    agree(&heard, &told);
    assert!(heard.anomalies.count(AnomalyKind::InactiveWithRoles) > 0);
    assert_eq!(heard.anomalies.count(AnomalyKind::Orphan), 0);
    let again = read(&url.0, System::Django).await.unwrap();
    assert_eq!(heard.fingerprint, again.fingerprint);
});

const LEFTOVER: &str = "create table auth_permission (id int, codename varchar(80), content_type_id int); create table auth_group (id int, name varchar(80));
    create table django_content_type (id int, app_label varchar(80)); create table auth_group_permissions (group_id int, permission_id int);
    create table auth_user (id int, username varchar(80), password varchar(80), is_active boolean, is_superuser boolean);
    create table auth_user_groups (user_id int, group_id int); create table auth_user_user_permissions (user_id int, permission_id int);
    create table accounts_user (id int, email varchar(80), password varchar(80), is_active boolean, is_superuser boolean);
    create table accounts_user_groups (user_id int, group_id int); create table accounts_user_user_permissions (user_id int, permission_id int);
    insert into auth_user values (1, 'old', 'x', true, true); insert into accounts_user values (1, 'ann', 'x', true, false);
    insert into accounts_user_groups values (77, 3); insert into auth_permission values (5, 'add_toy', 9);";

both_engines!(a_leftover_table_of_users_is_not_taken_for_the_projects_own, async |database: TestDatabase| {
    made(&database, LEFTOVER).await;
    let told = refused(&database, System::Django).await.to_string();
    assert!(
        told.contains("(accounts_user, auth_user)")
            || told.contains("(public.accounts_user, public.auth_user)"),
        "{told}"
    );
    let mapping =
        mapping::parse("[source]\nsystem = \"django\"\n[source.users]\ntable = \"accounts_user\"").unwrap();
    let mut foreign = Foreign::open(&database.options().url).await.unwrap();
    let all = foreign.tables().await.unwrap();
    let tables = Tables::new(&foreign, &all, None);
    let statements = source::statements(&tables, System::Django, mapping.tables.as_ref()).unwrap();
    let heard = source::read(&mut foreign, &statements, rule as LoginRule, &mut |_, _| {}).await.unwrap();
    let users: Vec<_> = heard.facts.users.iter().map(|user| (user.login, user.is_superuser)).collect();
    assert_eq!(users, [("ann", false)]);
    assert_eq!(
        noted(&heard, AnomalyKind::Orphan),
        [
            ("accounts_user_groups user_id=77 group_id=3".into(), "accounts_user 77 is not there".into()),
            ("accounts_user_groups user_id=77 group_id=3".into(), "auth_group 3 is not there".into()),
            ("auth_permission id=5".into(), "django_content_type 9 is not there".into()),
        ]
    );
});

both_engines!(
    flask_appbuilder_and_charter_agree_on_every_user_and_permission,
    async |database: TestDatabase| {
        let url = foreign_url(&database);
        let told = company("flask_company.py", &url.0);
        agree(&read(&url.0, System::FlaskAppbuilder).await.unwrap(), &told);
    }
);

/// An empty database of the same engine that another program may write: the test's own on PostgreSQL, a file beside it on SQLite.
pub fn foreign_url(database: &TestDatabase) -> (String, Option<tempfile::TempDir>) {
    let url = database.options().url.clone();
    if url.starts_with("postgres") {
        return (url, None);
    }
    let folder = tempfile::tempdir().unwrap();
    (format!("sqlite:{}", folder.path().join("legacy.sqlite").display()), Some(folder))
}
