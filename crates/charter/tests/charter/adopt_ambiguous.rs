//! What could be taken for something else in the other system stops a plan, and the plan says what to write.

use crate::adopt_run::Erp;
use crate::program::Place;
use charter_testkit::{both_engines, database::TestDatabase};

const TWINS: &str = "create table users (id int primary key, email varchar(80));
    create table roles (id int primary key, name varchar(80)); create table permissions (id int primary key, code varchar(80));
    create table user_roles (user_id int, role_id int); create table role_permissions (role_id int, permission_id int);
    insert into users values (1, 'ann@toys.example'), (2, 'bob@toys.example');
    insert into roles values (5, 'clerk'), (7, 'clerk'); insert into permissions values (1, 'pay.read'), (2, 'pay.write');
    insert into user_roles values (1, 5), (2, 7); insert into role_permissions values (5, 1), (7, 2);";

both_engines!(
    the_last_of_several_roles_of_one_name_is_not_taken_for_another,
    async |database: TestDatabase| {
        // Role 7 once became what the mapping says of role 5 as soon as role 5 was gone.
        database.maintain(TWINS).await.unwrap();
        let erp = Erp { place: Place::new(), database: &database };
        let from = erp.url();
        erp.run(&["adopt", "inspect", "--from", &from, "--propose", "roles.toml"]).ended(0);
        let text = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
        assert!(text.contains("\"clerk #5\" = \"own\"") && text.contains("\"clerk #7\" = \"own\""), "{text}");
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        database.maintain("delete from user_roles where role_id = 5").await.unwrap();
        database.maintain("delete from role_permissions where role_id = 5").await.unwrap();
        database.maintain("delete from roles where id = 5").await.unwrap();
        let run = erp.plan(&["--accept", "clerk #7"]).ended(1);
        let told = run.told();
        assert!(
            told.contains("roles.\"clerk #7\": there is no such role there, and \"clerk\" is"),
            "{}",
            run.out
        );
        assert!(told.contains("--accept \"clerk #7\": there is no such role there"), "{}", run.out);
        assert!(!told.contains("gone there"), "{}", run.out);
        // Who says which is meant goes on; a name that no role has any more, alone or among others, is gone.
        erp.place
            .write("roles.toml", &text.replace("\"clerk #5\"", "\"clerk\"").replace("\"clerk #7\" =", "# "));
        erp.plan(&[]).ended(0);
        database.maintain("insert into roles values (8, 'clerk')").await.unwrap();
        let run = erp.plan(&[]).ended(1);
        assert!(
            run.told().contains("roles.\"clerk\": there is no such role there, and \"clerk #7\" is"),
            "{}",
            run.out
        );
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_table_in_another_schema_is_never_read_for_it() {
    // A copy of the users with other roles once took the place of the users, beside the organizations of the other schema.
    let database = charter_testkit::database::postgres().await;
    let tables = "create schema erp; create table erp.organizations (id int primary key, name varchar(80));
        create table erp.users (id int primary key, email varchar(80), role varchar(40), organization_id int);
        insert into erp.organizations values (1, 'Toys'); insert into erp.users values (2, 'bob@toys.example', 'accountant', 1);";
    database.maintain(tables).await.unwrap();
    let erp = Erp { place: Place::new(), database: &database };
    let from = erp.url();
    erp.run(&["adopt", "inspect", "--from", &from, "--propose", "roles.toml"]).ended(0);
    let text = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
    assert!(
        text.contains("table = \"erp.users\"") && text.contains("table = \"erp.organizations\""),
        "{text}"
    );
    let short =
        text.replace("\"erp.users\"", "\"users\"").replace("\"erp.organizations\"", "\"organizations\"");
    erp.place.write("roles.toml", &short);
    erp.plan(&[]).ended(0);
    // Charter has tables of these names as well, in the schema beside it.
    erp.apply(&[]).ended(0);
    let copy = "create schema archive; create table archive.users as select * from erp.users; update archive.users set role = 'org_admin'";
    database.maintain(copy).await.unwrap();
    let run = erp.plan(&[]).ended(2);
    assert!(run.told().contains("there are several tables users (archive.users, erp.users)"), "{}", run.err);
    assert!(run.told().contains("write schema.table in the mapping"), "{}", run.err);
    erp.run(&["adopt", "inspect", "--from", &from]).ended(2);
    erp.place.write("roles.toml", &text);
    let run = erp.plan(&[]).ended(0);
    assert!(
        run.told().contains("nothing changed since run 1") || run.told().contains("is ready"),
        "{}",
        run.out
    );
    let inspect = ["adopt", "inspect", "--from", &from, "--map", "roles.toml", "--propose", "schema.toml"];
    erp.place.write("roles.toml", "[source]\nsystem = \"role_column\"\nschema = \"erp\"\n");
    erp.run(&inspect).ended(0);
    let proposed = std::fs::read_to_string(erp.place.path("schema.toml")).unwrap();
    assert!(
        proposed.contains("schema = \"erp\"") && proposed.contains("table = \"erp.users\""),
        "{proposed}"
    );
    erp.place.write("roles.toml", "[source]\nsystem = \"role_column\"\nschema = \"nowhere\"\n");
    let run = erp.run(&inspect[..6]).ended(2);
    assert!(run.told().contains("there is no schema \"nowhere\""), "{}", run.err);
}

both_engines!(
    nothing_is_proved_while_nobody_can_tell_who_may_do_what_there,
    async |database: TestDatabase| {
        // A plan stopped, while verify and its signed proof said that nobody gained and nobody lost.
        let with_words = TWINS
            .replace("email varchar(80)", "email varchar(80), role varchar(40)")
            .replace("insert into users", "insert into users (id, email)");
        database.maintain(&with_words).await.unwrap();
        database.maintain("update roles set name = 'boss' where id = 7").await.unwrap();
        let erp = Erp { place: Place::new(), database: &database };
        let from = erp.url();
        erp.run(&["adopt", "inspect", "--from", &from, "--propose", "roles.toml"]).ended(0);
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        erp.run(&["adopt", "verify", "--from", &from]).ended(0);
        database.maintain("update users set role = 'clerk' where id = 2").await.unwrap();
        let run = erp.run(&["adopt", "verify", "--from", &from, "--proof", "unclear.json"]).ended(1);
        let told = run.told();
        assert!(told.contains("so nothing is proved: "), "{}", run.out);
        assert!(!told.contains("nobody gained"), "{}", run.out);
        let run = erp.run(&["adopt", "check-proof", "unclear.json"]).ended(1);
        assert!(run.told().contains("nobody could tell who might do what"), "{}", run.out);
        database.maintain("update users set role = null").await.unwrap();
        erp.run(&["adopt", "verify", "--from", &from]).ended(0);
        // Nothing is taken back before the address of the comparison was reached.
        let run = erp.run(&["adopt", "rollback", "--from", "sqlite:absent.db"]).ended(2);
        assert!(
            run.told().contains("nothing was taken back; without --from nothing is compared"),
            "{}",
            run.err
        );
        let run = erp.run(&["adopt", "rollback", "--from", &from]).ended(0);
        assert!(run.told().contains("run 1 was taken back"), "{}", run.out);
    }
);
