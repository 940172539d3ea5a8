//! Policies and catalogues as files, from the command line.

use crate::program::Place;

fn prepared() -> Place {
    let place = Place::new();
    place.run(&["organizations", "create", "--key", "toys", "--name", "Soft Toys", "--data", "."]).ended(0);
    for (login, name) in [("ann@toys.example", "Ann"), ("bob@toys.example", "Bob")] {
        place
            .run(&["members", "add", "--data", ".", "--org", "toys", "--login", login, "--name", name])
            .ended(0);
    }
    place
}

/// The arguments with what all commands of this file share.
fn run(place: &Place, arguments: &[&str]) -> crate::program::Run {
    place.run(&[arguments, &["--data", ".", "--org", "toys"]].concat())
}

const SALES: &str = r#"
[teams.sales]
name = "Sales"
members = ["ann@toys.example"]

[[assignments]]
role = "viewer"
team = "sales"
"#;

#[test]
fn a_policy_is_planned_applied_and_comes_back_the_same() {
    let place = prepared();
    let before = run(&place, &["policy", "export"]).ended(0).out;
    place.write("policy.toml", &format!("{before}{SALES}"));
    let plan = run(&place, &["policy", "plan", "policy.toml"]).ended(0).out;
    assert!(plan.contains("ann@toys.example\n  + dashboard.boards.read\n"), "{plan}");
    assert!(!plan.contains("bob@toys.example"), "{plan}");
    assert!(plan.contains("nothing was written"), "{plan}");
    assert_eq!(run(&place, &["policy", "export"]).ended(0).out, before, "a plan changes nothing");
    let applied = run(&place, &["policy", "apply", "policy.toml", "--reason", "new sales team"]).ended(0).out;
    assert!(
        applied.contains("ann@toys.example\n  + dashboard.boards.read\n") && applied.contains("in force"),
        "{applied}"
    );
    run(&place, &["check", "--as", "ann@toys.example", "dashboard.boards.read"]).ended(0);
    let after = run(&place, &["policy", "export"]).ended(0).out;
    assert_ne!(after, before);
    place.write("policy.toml", &after);
    let again = run(&place, &["policy", "apply", "policy.toml"]).ended(0).out;
    assert!(again.contains("nobody's access changes"), "{again}");
    assert_eq!(run(&place, &["policy", "export"]).ended(0).out, after, "byte for byte");
    place.write("empty.toml", &before);
    let plan = run(&place, &["policy", "plan", "empty.toml", "--json"]).ended(0).json();
    assert!(
        plan["access_changes"].as_array().unwrap().iter().all(|change| change["change"] == "lost"),
        "{plan}"
    );
    let trail = run(&place, &["audit", "list", "--all", "--json"]).ended(0).json();
    let reasons: Vec<&str> =
        trail["items"].as_array().unwrap().iter().filter_map(|event| event["reason"].as_str()).collect();
    assert!(reasons.contains(&"new sales team"), "{reasons:?}");
    run(&place, &["audit", "verify"]).ended(0);
}

#[test]
fn a_plan_that_is_old_is_refused() {
    let place = prepared();
    let before = run(&place, &["policy", "export"]).ended(0).out;
    place.write("policy.toml", &format!("{before}{SALES}"));
    let plan = run(&place, &["policy", "plan", "policy.toml", "--json"]).ended(0).json();
    let revision = plan["revision"].to_string();
    run(&place, &["teams", "create", "--key", "home", "--name", "Home"]).ended(0);
    let refused = run(&place, &["policy", "apply", "policy.toml", "--if-revision", &revision]).ended(2);
    assert!(refused.err.contains("Changed meanwhile"), "{}", refused.err);
    run(&place, &["check", "--as", "ann@toys.example", "dashboard.boards.read"]).ended(1);
    // A document that says what is in force now, with the revision of now: it was refused all the same while the number was sent bare.
    let now = run(&place, &["policy", "export"]).ended(0).out;
    place.write("policy.toml", &format!("{now}{SALES}"));
    let plan = run(&place, &["policy", "plan", "policy.toml", "--json"]).ended(0).json();
    let revision = plan["revision"].to_string();
    run(&place, &["policy", "apply", "policy.toml", "--if-revision", &revision]).ended(0);
}

#[test]
fn faults_of_a_policy_are_told_with_their_lines_and_change_nothing() {
    let place = prepared();
    let before = run(&place, &["policy", "export"]).ended(0).out;
    let wrong = format!(
        "{before}{SALES}\n[[grants]]\nprincipal = \"nobody@toys.example\"\npermission = \"no.such.thing\"\n"
    );
    place.write("policy.toml", &wrong);
    let refused = run(&place, &["policy", "apply", "policy.toml"]).ended(2);
    assert!(refused.err.contains("line "), "{}", refused.err);
    assert_eq!(run(&place, &["policy", "export"]).ended(0).out, before);
}

const CASES: &str = r#"format = "charter-policy-cases/1"
organization = "toys"

[[cases]]
name = "ann sees boards"
as = "ann@toys.example"
permission = "dashboard.boards.read"
expect = "allow"

[[cases]]
name = "bob does not"
as = "bob@toys.example"
permission = "dashboard.boards.read"
expect = "deny"
"#;

#[test]
fn expected_decisions_end_with_one_when_one_comes_otherwise() {
    let place = prepared();
    place.write("cases.toml", CASES);
    let failed = run(&place, &["policy", "test", "cases.toml"]).ended(1).out;
    assert!(failed.contains("FAIL line 4: ann sees boards"), "{failed}");
    assert!(failed.contains("- expected allow") && failed.contains("+ got      deny"), "{failed}");
    assert!(failed.contains("2 cases: 1 as expected, 1 not"), "{failed}");
    run(&place, &["assignments", "assign", "--role", "viewer", "--subject", "member:ann@toys.example"])
        .ended(0);
    let passed = run(&place, &["policy", "test", "cases.toml", "--verbose"]).ended(0).out;
    assert!(passed.contains("ok   line 4: ann sees boards"), "{passed}");
    place.write("cases.toml", "format = \"charter-policy-cases/1\"\n");
    let empty = run(&place, &["policy", "test", "cases.toml"]).ended(2);
    assert!(empty.err.contains("there are no cases"), "{}", empty.err);
}

#[test]
fn ones_own_entries_of_the_catalogue_come_into_force() {
    let place = prepared();
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../catalogue/examples/toys.toml");
    run(&place, &["check", "--as", "ann@toys.example", "finance.invoices.approve"]).ended(1);
    run(&place, &["catalogue", "lint", own]).ended(0);
    let diff = run(&place, &["catalogue", "diff", own]).ended(0).out;
    assert!(diff.contains("+ permissions finance.invoices.approve"), "{diff}");
    let applied = run(&place, &["catalogue", "apply", own]).ended(0).out;
    assert!(applied.contains("in force"), "{applied}");
    let exported = run(&place, &["catalogue", "export"]).ended(0).out;
    assert_eq!(exported, std::fs::read_to_string(own).unwrap());
    let again = run(&place, &["catalogue", "apply", own]).ended(0).out;
    assert!(again.contains("it says what is in force already"), "{again}");
    let check = run(&place, &["check", "--as", "ann@toys.example", "finance.invoices.approve", "--json"])
        .ended(1)
        .json();
    assert_ne!(check["reason"], "unknown_permission");
    place.write("broken.toml", "format = 7\n");
    run(&place, &["catalogue", "lint", "broken.toml"]).ended(2);
}
