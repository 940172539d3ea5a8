//! `charter rescue` after the export of a realm was taken over: a file is nothing that anybody connects to.

use crate::program::Place;
use serde_json::Value;

const REALM: &str = r#"{"realm": "toys", "roles": {"realm": [{"name": "accountant"}]},
    "users": [{"id": "1", "username": "ann", "enabled": true, "realmRoles": ["accountant"]}]}"#;

fn told(run: &Value, step: usize) -> (String, String) {
    let it = &run["steps"][step];
    (it["ended"].as_str().unwrap().to_owned(), it["told"].to_string())
}

#[test]
fn a_realm_that_was_read_from_a_file_is_no_reason_to_fail() {
    let place = Place::new();
    place.write("realm.json", REALM);
    place.run(&["adopt", "inspect", "--from", "realm.json", "--propose", "roles.toml"]);
    place.run(&["adopt", "plan", "--from", "realm.json", "--map", "roles.toml"]).ended(0);
    place.run(&["adopt", "apply", "--no-backup", "Ann"]).ended(0);
    let look = ["rescue", "--dry-run", "--step", "1", "--step", "3", "--json"];
    let run = place.run(&look).ended(0).json();
    let (ended, said) = told(&run, 0);
    assert!(ended != "failed" && said.contains("read from the file realm.json"), "{run:#}");
    let (ended, said) = told(&run, 1);
    assert!(ended != "failed" && said.contains("what the file says is what it said then"), "{run:#}");
    // It is told of a file that says something else, and of one that is gone; neither is a failure.
    place.write("realm.json", &REALM.replace("\"ann\"", "\"bob\""));
    assert!(told(&place.run(&look).ended(0).json(), 1).1.contains("something else by now"));
    std::fs::remove_file(place.path("realm.json")).unwrap();
    let run = place.run(&look).ended(0).json();
    assert!(told(&run, 1).1.contains("not there any more"), "{run:#}");
    let run =
        place.run(&["rescue", "--organization", "platform", "--step", "1", "--step", "2", "--step", "3"]);
    assert!(run.ended(0).told().contains("charter.db.rescued-"));
}
