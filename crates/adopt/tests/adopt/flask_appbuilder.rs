//! Flask-AppBuilder, on tables as versions before groups have them.

use crate::shared::{codes, heard, made, may, noted};
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::source::System;
use charter_testkit::{both_engines, database::TestDatabase};

const TABLES: &str = r#"
create table ab_user (id int primary key, first_name varchar(64), last_name varchar(64), username varchar(64), password varchar(256), active boolean, email varchar(320));
create table ab_role (id int primary key, name varchar(64));
create table ab_permission (id int primary key, name varchar(100));
create table ab_view_menu (id int primary key, name varchar(250));
create table ab_permission_view (id int primary key, permission_id int, view_menu_id int);
create table ab_permission_view_role (id int primary key, permission_view_id int, role_id int);
create table ab_user_role (id int primary key, user_id int, role_id int);
insert into ab_user values (1, 'Änn', 'O''Neil', 'ann', 'x', true, 'ann@toys.example'), (2, 'Bob', 'B', 'bob', 'x', true, ''), (3, 'Off', 'O', 'off', 'x', false, ''), (4, 'Nil', 'N', 'nil', 'x', null, '');
insert into ab_role values (1, 'Admin'), (2, 'Public'), (3, 'Clerk');
insert into ab_permission values (1, 'can_read'), (2, 'can_write');
insert into ab_view_menu values (1, 'Sales'), (2, 'Log.In');
insert into ab_permission_view values (1, 1, 1), (2, 2, 1), (3, 1, 2), (4, 9, 1);
insert into ab_permission_view_role values (1, 1, 1), (2, 3, 2), (3, 1, 3), (4, 2, 3), (5, 4, 3);
insert into ab_user_role values (1, 1, 1), (2, 2, 3), (3, 3, 3), (4, 4, 3), (5, 2, 3);
"#;

both_engines!(admin_holds_its_rows_and_the_public_role_is_nobodys, async |database: TestDatabase| {
    made(&database, TABLES).await;
    let heard = heard(&database, System::FlaskAppbuilder).await;
    let held = may(&heard);
    assert_eq!(held["ann"], codes("Sales.can_read"));
    assert_eq!(held["bob"], codes("Sales.can_read Sales.can_write"));
    assert_eq!((held["off"].len(), held["nil"].len()), (0, 0));
    assert_eq!(heard.facts.permissions.len(), 3, "a pair that leads nowhere is no permission");
    assert_eq!(
        noted(&heard, AnomalyKind::Orphan),
        [("ab_permission_view id=4".into(), "ab_permission 9 is not there".into())]
    );
    let row = |kind| -> Vec<String> { noted(&heard, kind).into_iter().map(|(row, _)| row).collect() };
    assert_eq!(row(AnomalyKind::MissingValue), ["user 4"]);
    assert_eq!(row(AnomalyKind::InactiveWithRoles), ["user 3", "user 4"]);
});

both_engines!(a_role_by_a_group_is_a_role, async |database: TestDatabase| {
    made(&database, TABLES).await;
    made(
        &database,
        "create table ab_group (id int primary key, name varchar(100)); create table ab_user_group (id int primary key, user_id int, group_id int);
        create table ab_group_role (id int primary key, group_id int, role_id int);
        insert into ab_group values (1, 'staff'); insert into ab_user_group values (1, 1, 1), (2, 2, 1), (3, 2, 7); insert into ab_group_role values (1, 1, 3), (2, 1, 8);",
    )
    .await;
    let heard = heard(&database, System::FlaskAppbuilder).await;
    assert_eq!(may(&heard)["ann"], codes("Sales.can_read Sales.can_write"));
    let rows: Vec<String> = noted(&heard, AnomalyKind::Orphan).into_iter().map(|(row, _)| row).collect();
    assert_eq!(
        rows,
        [
            "ab_permission_view id=4",
            "ab_user_group user_id=2 group_id=7",
            "ab_group_role group_id=1 role_id=8"
        ]
    );
});
