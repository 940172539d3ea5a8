//! Two services in two schemas of one database, beside another system's tables of the same names.

use crate::program::Place;
use charter_db::{Error, Scope};
use charter_testkit::database::postgres;
use charter_testkit::dump;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_in_one_database_serve_their_own_and_leave_public_alone() {
    let database = postgres().await;
    let other = "create table roles (id int, name text); create table memberships (a int); insert into roles values (1, 'boss')";
    let made = database.write::<_, _, Error>(Scope::Installation, move |tx| Box::pin(tx.batch(other)));
    made.await.unwrap();
    let url = database.options().url.clone();
    let before = dump::of_schema(&url, "public");
    let (one, two) = (Place::new(), Place::new());
    let variables =
        |schema: &'static str| [("CHARTER_DATABASE", url.as_str()), ("CHARTER_DATABASE_SCHEMA", schema)];
    let (first, second) = (variables("charter_one"), variables("charter_two"));
    let (server, neighbour) = (one.serve_with(&[], &first), two.serve_with(&[], &second));
    one.run_with(&["organizations", "create", "--key", "toys", "--name", "Soft Toys"], &first).ended(0);
    let toys = [&first[..], &[("CHARTER_ORGANIZATION", "toys")]].concat();
    one.run_with(&["members", "add", "--login", "ann@toys.example"], &toys).ended(0);
    let check = ["check", "--as", "ann@toys.example", "dashboard.boards.read"];
    one.run_with(&check, &toys).ended(1);
    let assign = ["assignments", "assign", "--subject", "member:ann@toys.example", "--role", "viewer"];
    one.run_with(&assign, &toys).ended(0);
    one.run_with(&check, &toys).ended(0);
    let elsewhere = [&second[..], &[("CHARTER_ORGANIZATION", "toys")]].concat();
    two.run_with(&check, &elsewhere).ended(2);
    assert_eq!((server.stop(), neighbour.stop()), (0, 0));
    one.run_with(&["audit", "verify", "--all"], &first).ended(0);
    assert_eq!(dump::of_schema(&url, "public"), before);
}

#[test]
fn a_schema_is_refused_for_a_file_and_under_a_name_that_is_none() {
    let place = Place::new();
    let run = place.run(&["config", "check", "--database-schema", "charter"]).ended(2);
    assert!(run.err.contains("which is Charter's alone"), "{}", run.err);
    let postgres = ["--database", "postgres://localhost/erp", "--database-schema"];
    let run = place.run(&[&["config", "check"], &postgres[..], &["pg_x"]].concat()).ended(2);
    assert!(run.err.contains("not beginning with pg_"), "{}", run.err);
    place.run(&[&["config", "check"], &postgres[..], &["charter"]].concat()).ended(0);
}
