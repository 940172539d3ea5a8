//! Where Charter's own tables cannot go: said before anything is written there.

use crate::adopt_run::Erp;
use crate::program::Place;
use charter_testkit::{both_engines, database::TestDatabase, dump};

both_engines!(charter_makes_no_tables_among_those_of_the_other_system, async |database: TestDatabase| {
    let erp = Erp::with(&database, 3).await;
    let from = erp.url();
    erp.run(&["adopt", "inspect", "--from", &from, "--propose", "roles.toml"]);
    erp.plan(&[]).ended(0);
    let before = erp.dump();
    let apply = ["adopt", "apply", "--no-backup", "Ann"];
    let run = erp.place.run_with(&apply, &[("CHARTER_DATABASE", &from)]).ended(2);
    let said = run.told();
    match from.starts_with("postgres") {
        true => {
            assert!(said.contains("(organizations)") && said.contains("--database-schema charter"), "{said}")
        }
        false => {
            assert!(said.contains("is the other system's own file") && said.contains("--database"), "{said}")
        }
    }
    assert_eq!(erp.dump(), before);
    // Nor beside what a killed service left in the data folder, which nobody works on: nothing was looked at then.
    let server = erp.place.serve(&[]);
    server.kill();
    assert!(erp.place.path("charter-data/service.json").exists(), "a killed server cannot clean up");
    let again = erp.place.run_with(&apply, &[("CHARTER_DATABASE", &from)]).ended(2);
    assert_eq!(again.told(), said);
    assert_eq!(erp.dump(), before);
    if !from.starts_with("postgres") {
        return;
    }
    // A schema that this account may not write into is said by its name, with what to do.
    let role = format!("guest_{}", from.split(['/', '?']).nth(3).unwrap());
    for text in [
        format!("create role {role} login"),
        "create schema closed".to_owned(),
        format!("grant usage on schema closed to {role}"),
    ] {
        database.maintain(&text).await.unwrap();
    }
    let guest = from.replacen("postgres@", &format!("{role}@"), 1);
    let variables = [("CHARTER_DATABASE", guest.as_str()), ("CHARTER_DATABASE_SCHEMA", "closed")];
    let run = erp.place.run_with(&apply, &variables);
    database.maintain(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
    let said = run.ended(2).told();
    assert!(said.contains(&format!("grant usage, create on schema closed to {role}")), "{said}");
});

#[tokio::test]
async fn charter_makes_no_tables_in_the_schema_of_the_other_system() {
    // It wrote everything, could not find the other system's tables beside its own any more, and took it all back after half a minute.
    let database = charter_testkit::database::postgres().await;
    let tables =
        "create table users (id int primary key, email varchar(90), role varchar(60), is_active boolean);
        insert into users values (1, 'ann@toys.example', 'accountant', true)";
    database.maintain(tables).await.unwrap();
    let (place, from) = (Place::new(), database.options().url.clone());
    let own = [("CHARTER_DATABASE", from.as_str())];
    let before = dump::of_schema(&from, "public");
    place.run(&["adopt", "inspect", "--from", &from, "--propose", "roles.toml"]).ended(0);
    place.run_with(&["adopt", "plan", "--from", &from, "--map", "roles.toml"], &own).ended(0);
    let apply = ["adopt", "apply", "--no-backup", "Ann"];
    let said = place.run_with(&apply, &own).ended(2).told();
    for part in ["that the other system's have stand", "(users)", "--database-schema charter"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(dump::of_schema(&from, "public"), before);
    let schema = [own[0], ("CHARTER_DATABASE_SCHEMA", "charter")];
    place.run_with(&apply, &schema).ended(0);
    // Where they stand in one schema already it is said why nothing is found.
    let other = Place::new();
    other.run_with(&["migrate", "up"], &own).ended(0);
    let said = other.run(&["adopt", "inspect", "--from", &from]).ended(2).told();
    assert!(said.contains("beside Charter's own tables was not looked at (schema public)"), "{said}");
}
