//! Commands against a running server and without one: the same answers, the same exit codes.

use crate::program::{Place, Server};
use serde_json::Value;
use std::collections::BTreeMap;

/// An installation with one organization, one member and one own role.
fn toys(place: &Place) {
    place.run(&["organizations", "create", "--key", "toys", "--name", "Soft Toys"]).ended(0);
    let member = ["members", "add", "--org", "toys", "--login", "ann@toys.example", "--name", "Ann"];
    place.run(&member).ended(0);
    let role = ["roles", "create", "--org", "toys", "--key", "greeter", "--name", "Greeter", "--permissions"];
    let lines = r#"[{"permission":"dashboard.boards.read"}]"#;
    place.run(&[&role[..], &[lines, "--level", "viewer"]].concat()).ended(0);
    let assign = [
        "assignments",
        "assign",
        "--org",
        "toys",
        "--subject",
        "member:ann@toys.example",
        "--role",
        "greeter",
    ];
    place.run(&assign).ended(0);
}

fn prepared() -> Place {
    let place = Place::new();
    place.run(&["migrate", "up"]).ended(0);
    toys(&place);
    place
}

/// The installation with and without a server: each test holds for both.
fn both_ways(test: impl Fn(&Place, Option<&Server>)) {
    let place = prepared();
    test(&place, None);
    let server = place.serve(&[]);
    test(&place, Some(&server));
    assert_eq!(server.stop(), 0);
}

#[test]
fn check_ends_with_zero_one_or_two() {
    both_ways(|place, _| {
        let check =
            |permission: &str, who: &str| place.run(&["check", "--org", "toys", "--as", who, permission]);
        let run = check("dashboard.boards.read", "ann@toys.example").ended(0);
        assert!(
            run.out.starts_with("allow: ann@toys.example dashboard.boards.read in toys\n")
                && run.out.contains("granted_by_role, permission layer"),
            "{}",
            run.out
        );
        let run = check("dashboard.boards.create", "ann@toys.example").ended(1);
        assert!(run.out.starts_with("deny: "), "{}", run.out);
        check("dashboard.boards.read", "nobody@toys.example").ended(1);
        check("no.such.permission", "ann@toys.example").ended(1);
        let run = place.run(&["check", "--as", "ann@toys.example", "dashboard.boards.read"]).ended(2);
        assert!(run.err.contains("no organization is named"), "{}", run.err);
        let run = place
            .run(&["check", "--org", "nowhere", "--as", "ann@toys.example", "dashboard.boards.read"])
            .ended(2);
        assert!(run.err.contains("Not found"), "{}", run.err);
        let run =
            place.run(&["check", "--org", "toys", "--as", "x", "a.b.c", "--resource", "invoice"]).ended(2);
        assert!(run.err.contains("TYPE:ID is expected"), "{}", run.err);
    });
}

#[test]
fn explain_tells_the_way_and_what_would_change_it() {
    both_ways(|place, _| {
        let check = ["check", "--org", "toys", "--as", "ann@toys.example", "--explain"];
        let run = place.run(&[&check[..], &["dashboard.boards.read"]].concat()).ended(0);
        assert!(run.out.contains("how it came:") && run.out.contains("role"), "{}", run.out);
        let run = place.run(&[&check[..], &["dashboard.summaries.read"]].concat()).ended(1);
        assert!(run.out.contains("what would change it:"), "{}", run.out);
        let run = place.run(
            &[&check[..], &["dashboard.boards.read", "--json", "--at", "2030-01-01T00:00:00Z"]].concat(),
        );
        let answer = run.ended(0).json();
        assert_eq!(answer["decision"], "allow");
        assert!(answer["path"].as_array().is_some_and(|path| !path.is_empty()), "{answer}");
        place.run(&[&check[..], &["dashboard.boards.read", "--at", "tomorrow"]].concat()).ended(2);
    });
}

#[test]
fn searches_are_complete_and_agree_with_checks() {
    both_ways(|place, _| {
        let run = place.run(&["who-can", "--org", "toys", "dashboard.boards.read", "--json"]).ended(0).json();
        let logins: Vec<&str> =
            run["items"].as_array().unwrap().iter().filter_map(|item| item["login"].as_str()).collect();
        assert_eq!(logins, ["ann@toys.example"]);
        let run =
            place.run(&["what-can", "--org", "toys", "--as", "ann@toys.example", "--json"]).ended(0).json();
        assert_eq!(run["items"].as_array().map(Vec::len), Some(1), "{run}");
        let run = place.run(&["who-can", "--org", "toys", "dashboard.boards.create"]).ended(0);
        assert_eq!(run.out.trim(), "none");
        let list =
            ["list-resources", "--org", "toys", "--as", "ann@toys.example", "--type", "invoice", "read"];
        place.run(&list).ended(0);
    });
}

#[test]
fn what_the_api_has_the_command_line_has() {
    let place = prepared();
    let document = place.run(&["service", "openapi", "--json"]).ended(0).json();
    let mut count = 0;
    // A group's help lists its commands: one process tells of all of them.
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for methods in document["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            // Pages are for browsers, and forms are protocols that programs speak.
            let is_a_page = operation["responses"].as_object().unwrap().values().any(|response| {
                ["text/html", "text/css", "text/javascript"]
                    .iter()
                    .any(|kind| !response["content"][kind].is_null())
            });
            let is_a_form =
                !operation["requestBody"]["content"]["application/x-www-form-urlencoded"].is_null();
            if is_a_page || is_a_form {
                continue;
            }
            let words: Vec<&str> = match id {
                "setup.complete" => vec!["setup"],
                "users.set-password" => vec!["password", "set"],
                "catalogue.own" => vec!["catalogue", "export"],
                "keys.record-legacy-rotation" => vec!["keys", "rotate"],
                "vault.rotate-pepper" => vec!["vault", "rotate"],
                id if id.starts_with("shadow.") => vec!["adopt", "shadow"],
                id => id.split('.').collect(),
            };
            let (group, command) = words.split_first().unwrap();
            // A third word tells a second way of asking the same thing from the first.
            groups
                .entry((*group).to_owned())
                .or_default()
                .extend(command.first().map(|word| (*word).to_owned()));
            count += 1;
        }
    }
    assert!(count > 40, "{count} operations");
    for (group, commands) in groups {
        let help = place.run(&[group.as_str(), "--help"]).ended(0);
        assert!(help.out.contains("Usage: charter"), "{group}: {}", help.out);
        for command in &commands {
            let is_listed = help.out.lines().any(|line| line.split_whitespace().next() == Some(command));
            assert!(is_listed, "charter {group} has no {command}: {}", help.out);
        }
    }
}

#[test]
fn bodies_come_from_flags_files_and_standard_input() {
    let place = prepared();
    let create = ["teams", "create", "--org", "toys"];
    place.run(&[&create[..], &["--key", "sales", "--name", "Sales"]].concat()).ended(0);
    place.write("team.json", r#"{"key":"export","name":"Export"}"#);
    let run = place
        .run(&[&create[..], &["--body", "team.json", "--name", "Export and more", "--json"]].concat())
        .ended(0);
    assert_eq!(run.json()["team"]["name"], "Export and more");
    place.feed(&[&create[..], &["--body", "-"]].concat(), r#"{"key":"home","name":"Home"}"#).ended(0);
    let run = place.run(&["teams", "list", "--org", "toys"]).ended(0);
    for key in ["sales", "export", "home"] {
        assert!(run.out.contains(key), "{}", run.out);
    }
    let run = place.feed(&[&create[..], &["--body", "-"]].concat(), "{").ended(2);
    assert!(run.err.contains("is not JSON"), "{}", run.err);
    let run = place.run(&[&create[..], &["--key", "Not A Key", "--name", "x"]].concat()).ended(2);
    assert!(run.err.contains("charter: "), "{}", run.err);
}

#[test]
fn lists_follow_their_cursors() {
    both_ways(|place, _| {
        let run = place.run(&["roles", "list", "--org", "toys", "--limit", "5", "--json"]).ended(0).json();
        assert_eq!(run["items"].as_array().map(Vec::len), Some(5));
        let cursor = run["next_cursor"].as_str().unwrap();
        let run = place
            .run(&["roles", "list", "--org", "toys", "--limit", "5", "--cursor", cursor, "--json"])
            .ended(0)
            .json();
        assert_eq!(run["items"].as_array().map(Vec::len), Some(5));
        let run =
            place.run(&["roles", "list", "--org", "toys", "--limit", "5", "--all", "--json"]).ended(0).json();
        let keys: std::collections::BTreeSet<&str> =
            run["items"].as_array().unwrap().iter().filter_map(|item| item["key"].as_str()).collect();
        assert_eq!(keys.len(), 23, "22 shipped roles and one of their own");
        assert_eq!(run["next_cursor"], Value::Null);
        let run = place.run(&["roles", "list", "--org", "toys", "--limit", "5"]).ended(0);
        assert!(run.err.contains("there are more"), "{}", run.err);
    });
}

#[test]
fn every_change_is_in_the_trail_under_the_operators_name() {
    both_ways(|place, _| {
        let trail = place.run(&["audit", "list", "--org", "toys", "--json"]).ended(0).json();
        let events = trail["items"].as_array().unwrap();
        let actions: Vec<&str> = events.iter().rev().filter_map(|event| event["action"].as_str()).collect();
        assert_eq!(actions[..4], ["organization.create", "member.add", "role.create", "role.assign"]);
        assert!(events.iter().all(|event| event["actor"]["kind"] == "operator"), "{trail}");
        let run = place.run(&["audit", "verify", "--org", "toys"]).ended(0);
        assert!(run.out.contains("the chain is whole"), "{}", run.out);
        let run = place.run(&["audit", "verify", "--all"]).ended(0);
        assert!(run.out.contains("platform: ") && run.out.contains("toys: "), "{}", run.out);
    });
}

#[test]
fn a_problem_is_told_on_standard_error_with_what_to_do() {
    both_ways(|place, _| {
        let run = place.run(&["organizations", "create", "--key", "toys", "--name", "Again"]).ended(2);
        assert!(run.out.is_empty() && run.err.contains("Already taken"), "{}{}", run.out, run.err);
        let run =
            place.run_with(&["roles", "list", "--org", "toys"], &[("CHARTER_TOKEN", "rubbish")]).ended(2);
        assert!(run.err.contains("Sign in first") && run.err.contains("CHARTER_TOKEN"), "{}", run.err);
    });
}

#[test]
fn the_organization_can_stand_in_the_environment() {
    let place = prepared();
    let run = place.run_with(&["members", "list", "--json"], &[("CHARTER_ORGANIZATION", "toys")]).ended(0);
    assert_eq!(run.json()["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn two_commands_at_once_wait_for_each_other() {
    let place = prepared();
    let children: Vec<_> = (0..4)
        .map(|number| {
            let key = format!("team-{number}");
            let arguments = ["teams", "create", "--org", "toys", "--key", &key, "--name", &key];
            place.command(&arguments).stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let run = place.run(&["teams", "list", "--org", "toys", "--json"]).ended(0).json();
    assert_eq!(run["items"].as_array().map(Vec::len), Some(4));
}
