//! The demo company: what its start prints works, its decisions come as the examples say, and it is there whole or not at all.

use crate::program::{Place, Run};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

const CASES: [(&str, &str); 2] = [
    ("toys", concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/demo-cases.toml")),
    ("trading", concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/demo-trading-cases.toml")),
];

/// A stopped installation with the demo company.
fn installed() -> Place {
    let place = Place::new();
    assert_eq!(place.serve(&["--demo"]).stop(), 0);
    place
}

fn heads(place: &Place, variables: &[(&str, &str)]) -> String {
    let run = place.run_with(&["audit", "verify", "--all"], variables).ended(0);
    assert!(!run.out.contains("BROKEN"), "{}", run.out);
    run.out
}

/// The examples come as expected, and a policy that was exported changes nothing when it is applied.
fn comes_as_the_examples_say(place: &Place, variables: &[(&str, &str)]) {
    for (organization, cases) in CASES {
        let run = place.run_with(&["policy", "test", "--org", organization, cases], variables).ended(0);
        assert!(run.out.ends_with("as expected, 0 not\n"), "{}", run.out);
        let export = ["policy", "export", "--org", organization];
        let exported = place.run_with(&export, variables).ended(0).out;
        let file = place.write("policy.toml", &exported).display().to_string();
        let run = place.run_with(&["policy", "plan", "--org", organization, &file], variables).ended(0);
        assert!(
            run.out.starts_with("nobody's access changes; the document says what is in force"),
            "{}",
            run.out
        );
        place.run_with(&["policy", "apply", "--org", organization, &file], variables).ended(0);
        assert_eq!(place.run_with(&export, variables).ended(0).out, exported);
        // A change there and back again ends at the same bytes.
        let other =
            place.write("other.toml", &exported.replace("\"06:00\"", "\"07:00\"")).display().to_string();
        place.run_with(&["policy", "apply", "--org", organization, &other], variables).ended(0);
        assert_ne!(place.run_with(&export, variables).ended(0).out, exported);
        place.run_with(&["policy", "apply", "--org", organization, &file], variables).ended(0);
        assert_eq!(place.run_with(&export, variables).ended(0).out, exported);
    }
    heads(place, variables);
}

#[test]
fn the_examples_come_as_expected_with_and_without_a_server() {
    let place = Place::new();
    let server = place.serve(&["--demo"]);
    comes_as_the_examples_say(&place, &[]);
    assert_eq!(server.stop(), 0);
    for (organization, cases) in CASES {
        place.run(&["policy", "test", "--org", organization, cases]).ended(0);
    }
}

/// Runs only where `./test` started a PostgreSQL server.
#[test]
fn the_examples_come_as_expected_on_postgresql() {
    let Ok(server_address) = std::env::var("CHARTER_TEST_POSTGRES") else { return };
    let name = format!("charter_demo_{}", std::process::id());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let on_server = |statement: String| {
        let options = charter_db::Options::new(server_address.clone());
        runtime.block_on(async move {
            let database = charter_db::Database::open(&options).await.unwrap();
            database.maintain(&statement).await.unwrap();
        });
    };
    on_server(format!("create database {name}"));
    let address = server_address.replacen("postgres@/postgres", &format!("postgres@/{name}"), 1);
    assert_ne!(address, server_address);
    let variables = [("CHARTER_DATABASE", address.as_str())];
    let place = Place::new();
    let server = place.serve_with(&["--demo"], &variables);
    comes_as_the_examples_say(&place, &variables);
    assert_eq!(server.stop(), 0);
    let server = place.serve_with(&["--demo"], &variables);
    assert_eq!(server.stop(), 0);
    on_server(format!("drop database {name} with (force)"));
}

fn shell(place: &Place, script: &str) -> Run {
    let output = Command::new("sh").current_dir(place.path("")).args(["-c", script]).output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn the_lines_it_prints_work_as_they_stand() {
    let place = Place::new();
    let server = place.serve(&["--demo"]);
    for told in ["soft-toys-for-all", "ann@toys.example", "root@group.example", &server.address] {
        assert!(server.greeting.contains(told), "{told}: {}", server.greeting);
    }
    assert!(!server.greeting.contains("--code"), "the demo has an administrator: {}", server.greeting);
    let (_, lines) = server.greeting.split_once("Try, ").unwrap();
    let commands: Vec<&str> = lines.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let (curl, charter): (Vec<&str>, Vec<&str>) =
        commands.into_iter().partition(|line| !line.contains(" --org toys "));
    let codes: Vec<i32> = charter.iter().map(|line| shell(&place, line).code).collect();
    assert_eq!(codes, [0, 1, 0, 0], "{charter:?}");
    assert!(std::fs::read_to_string(place.path("policy.toml")).unwrap().contains("organization = \"toys\""));
    let has_curl = Command::new("curl").arg("--version").stdout(Stdio::null()).status();
    if has_curl.is_ok_and(|status| status.success()) {
        let run = shell(&place, &curl.join("\n")).ended(0);
        assert!(run.out.contains("finance.invoices.read"), "{}{}", run.out, run.err);
        assert!(run.out.contains(r#""decision":"allow""#), "{}{}", run.out, run.err);
        assert!(curl.iter().any(|line| line.contains("/access/v1/evaluation")), "{curl:?}");
        assert!(run.out.contains(r#""decision":true"#), "{}{}", run.out, run.err);
    }
    assert_eq!(server.stop(), 0);
}

#[test]
fn the_invoice_is_decided_and_explained() {
    let place = installed();
    let check = |invoice: &str, more: &[&str]| {
        let asked =
            ["check", "--org", "toys", "--as", "ann@toys.example", "finance.invoices.approve", "--resource"];
        place.run(&[&asked[..], &[invoice], more].concat())
    };
    let run = check("invoice:1042", &["--explain"]).ended(0);
    assert!(
        run.out.starts_with("allow: ann@toys.example finance.invoices.approve on invoice:1042 in toys\n")
    );
    assert!(run.out.contains("decided by  role invoice_approver directly gives"), "{}", run.out);
    assert!(run.out.contains("assignment "), "{}", run.out);
    let run = check("invoice:1043", &["--explain"]).ended(1);
    assert!(run.out.contains("resource.amount must be at most 10000, and is 26500"), "{}", run.out);
    let (_, remedies) = run.out.split_once("what would change it:\n").unwrap();
    assert!(remedies.contains("finance_manager") && remedies.contains("charter grants give"), "{remedies}");
    assert!(run.out.lines().all(|line| line.len() <= 110 || line.contains("charter grants")), "{}", run.out);
    let run = check("invoice:1043", &[]).ended(1);
    assert!(run.out.contains("--explain tells"), "{}", run.out);
    check("invoice", &[]).ended(2);

    let ask = |who: &str, what: &str| place.run(&["check", "--org", "toys", "--as", who, what, "--explain"]);
    let run = ask("ann@toys.example", "finance.invoices.aprove").ended(1);
    assert!(run.out.contains("did you mean finance.invoices.approve?"), "{}", run.out);
    let run = ask("anne@toys.example", "finance.invoices.approve").ended(1);
    assert!(run.out.contains("did you mean ann@toys.example?"), "{}", run.out);
    let run = ask("ann@toys.example", "approve").ended(2);
    assert!(run.err.contains("--resource TYPE:ID or --type TYPE"), "{}", run.err);

    let who = ["who-can", "--org", "toys", "finance.invoices.approve", "--resource"];
    let logins = |invoice: &str| -> BTreeSet<String> {
        let answer = place.run(&[&who[..], &[invoice, "--json"]].concat()).ended(0).json();
        answer["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["login"].as_str().unwrap().to_owned())
            .collect()
    };
    let (small, large) = (logins("invoice:1042"), logins("invoice:1043"));
    let gone: Vec<&String> = small.difference(&large).collect();
    assert_eq!(gone, ["ann@toys.example"]);
    let list =
        ["list-resources", "--org", "toys", "--as", "ann@toys.example", "--type", "invoice", "approve"];
    let run = place.run(&list).ended(0);
    assert!(run.out.contains("1042") && !run.out.contains("1043"), "{}", run.out);
}

#[test]
fn a_plan_tells_by_name_who_gains_and_who_loses_what() {
    let place = installed();
    let exported = place.run(&["policy", "export", "--org", "toys"]).ended(0).out;
    let changed =
        exported.replacen("\"sales.quotations.delete\"", "\"sales.quotations.update\"", 1).replacen(
            "permissions = [\n  \"admin.permissions.read\",\n]",
            "permissions = [\n  \"admin.roles.read\",\n]",
            1,
        );
    let file = place.write("policy.toml", &changed).display().to_string();
    let run = place.run(&["policy", "plan", "--org", "toys", &file]).ended(0);
    let expected = "\
erp-gateway
  + admin.roles.read
  - admin.permissions.read

tom@toys.example
  + sales.quotations.delete
  - sales.quotations.update

";
    assert!(run.out.starts_with(expected), "{}", run.out);
    assert!(
        run.out.contains("2 accounts gain or lose access, 4 changes; nothing was written"),
        "{}",
        run.out
    );
    let moved = exported.replace("\"cutting_operator\"", "\"packing_operator\"");
    let file = place.write("policy.toml", &moved).display().to_string();
    let run = place.run(&["policy", "plan", "--org", "toys", &file]).ended(0);
    let expected = "\
cem@toys.example, clara@toys.example
  + production.packing: execute, read
  - production.cutting: execute, read

";
    assert!(run.out.starts_with(expected), "{}", run.out);
    let wider = exported.replace("limit = 10000", "limit = 30000");
    let file = place.write("policy.toml", &wider).display().to_string();
    let run = place.run(&["policy", "plan", "--org", "toys", &file]).ended(0);
    assert!(run.out.contains("note: what is given under up_to_10000"), "{}", run.out);
    assert!(!run.out.contains("nobody's access changes"), "{}", run.out);
    assert_eq!(place.run(&["policy", "export", "--org", "toys"]).ended(0).out, exported);
}

#[test]
fn every_shipped_role_is_held_by_one_of_some_sixty_people() {
    let place = installed();
    let items = |words: &[&str], organization: &str| -> Vec<serde_json::Value> {
        let run = place.run(&[words, &["--org", organization, "--all", "--json"]].concat()).ended(0);
        run.json()["items"].as_array().unwrap().clone()
    };
    let texts = |items: &[serde_json::Value], name: &str| -> BTreeSet<String> {
        items.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
    };
    let (mut held, mut people) = (BTreeSet::new(), BTreeSet::new());
    for organization in ["platform", "toys", "trading"] {
        held.extend(texts(&items(&["assignments", "list"], organization), "role"));
        people.extend(texts(&items(&["members", "list"], organization), "login"));
    }
    let roles = texts(&items(&["roles", "list"], "toys"), "key");
    let idle: Vec<&String> = roles.difference(&held).collect();
    assert!(idle.is_empty() && roles.len() >= 24, "nobody holds {idle:?}");
    assert!((58..=66).contains(&people.len()), "{} people", people.len());
}

#[test]
fn a_second_start_changes_nothing() {
    let place = installed();
    let before = heads(&place, &[]);
    let server = place.serve(&["--demo"]);
    assert!(server.greeting.contains("soft-toys-for-all"), "{}", server.greeting);
    assert_eq!(server.stop(), 0);
    assert_eq!(heads(&place, &[]), before);
    let server = place.serve(&[]);
    assert!(!server.greeting.contains("soft-toys-for-all"), "{}", server.greeting);
    assert_eq!(server.stop(), 0);
    assert_eq!(heads(&place, &[]), before);
}

#[test]
fn an_installation_in_use_refuses_the_demo_and_stays_as_it_is() {
    let place = Place::new();
    place.run(&["migrate", "up"]).ended(0);
    place.run(&["organizations", "create", "--key", "acme", "--name", "Acme"]).ended(0);
    let before = heads(&place, &[]);
    let run = place.run(&["serve", "--demo", "--listen", "127.0.0.1:0"]).ended(2);
    assert!(
        run.err.contains("there is an organization acme") && run.err.contains("Nothing was changed"),
        "{}",
        run.err
    );
    assert!(!run.out.contains("listens on"), "{}", run.out);
    assert_eq!(heads(&place, &[]), before);
    assert_eq!(place.serve(&[]).stop(), 0);
}

/// Moments at which an installation is cut short, in milliseconds after the start.
const MOMENTS: [u64; 4] = [150, 400, 900, 1_700];

#[test]
fn a_demo_that_was_cut_short_is_whole_after_the_next_start() {
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        let place = Place::new();
        let mut child = place
            .command(&["serve", "--demo", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        child.kill().unwrap();
        child.wait().unwrap();
        // What was begun goes on, whether or not it is asked for again; what was not begun is.
        let held = place.path("charter-data/charter.db").exists()
            && place.run(&["organizations", "list", "--json"]).json()["items"]
                .as_array()
                .is_some_and(|it| it.len() > 1);
        let server = if held && round % 2 == 0 { place.serve(&[]) } else { place.serve(&["--demo"]) };
        for (organization, cases) in CASES {
            place.run(&["policy", "test", "--org", organization, cases]).ended(0);
        }
        let login = ["auth", "login", "--login", "sven@trading.example", "--json"];
        place.feed(&login, "soft-toys-for-all\n").ended(0);
        assert_eq!(server.stop(), 0);
        heads(&place, &[]);
    }
}

#[test]
fn shells_are_told_how_to_complete() {
    let place = Place::new();
    for (shell, told) in [("bash", "_charter"), ("zsh", "#compdef charter"), ("fish", "complete -c charter")]
    {
        let run = place.run(&["completions", shell]).ended(0);
        assert!(run.out.contains(told) && run.out.contains("who-can"), "{shell}");
    }
    place.run(&["completions", "cmd"]).ended(2);
}
