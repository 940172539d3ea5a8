//! Settings: where they come from, what wins, and what is wrong with them.

use crate::program::{Place, Run};
use serde_json::Value;

fn setting(run: &Run, key: &str) -> (String, String) {
    let document = run.json();
    let settings = document["settings"].as_array().unwrap().clone();
    let row = settings.iter().find(|row| row["key"] == key).unwrap();
    (row["value"].as_str().unwrap().to_owned(), row["source"].as_str().unwrap().to_owned())
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let place = Place::new();
    let show = ["config", "show", "--json"];
    assert_eq!(setting(&place.run(&show), "token_life"), ("10m".into(), "default".into()));
    place.write("charter.toml", "# ours\ntoken_life = \"11m\"\n");
    assert_eq!(setting(&place.run(&show), "token_life"), ("11m".into(), "charter.toml:2".into()));
    let variables = [("CHARTER_TOKEN_LIFE", "12m")];
    assert_eq!(
        setting(&place.run_with(&show, &variables), "token_life"),
        ("12m".into(), "CHARTER_TOKEN_LIFE".into())
    );
    let with_flag = ["config", "show", "--json", "--token-life", "13m"];
    assert_eq!(
        setting(&place.run_with(&with_flag, &variables), "token_life"),
        ("13m".into(), "--token-life".into())
    );
}

#[test]
fn the_file_can_be_named_and_must_then_exist() {
    let place = Place::new();
    place.write("other.toml", "listen = \"127.0.0.1:9\"\n");
    let run = place.run(&["config", "show", "--json", "--config", "other.toml"]);
    assert_eq!(setting(&run, "listen"), ("127.0.0.1:9".into(), "other.toml:1".into()));
    let run = place.run_with(&["config", "check"], &[("CHARTER_CONFIG", "missing.toml")]).ended(2);
    assert!(run.err.contains("missing.toml cannot be read"), "{}", run.err);
}

#[test]
fn defaults_follow_the_settings_they_are_made_of() {
    let place = Place::new();
    let run = place.run(&["config", "show", "--json", "--data", "there", "--listen", ":9000"]);
    assert_eq!(setting(&run, "database").0, "sqlite://there/charter.db");
    assert_eq!(setting(&run, "public_url").0, "http://localhost:9000");
    let run = place.run(&["config", "show", "--json", "--public-url", "https://charter.example.com/"]);
    assert_eq!(setting(&run, "issuer").0, "https://charter.example.com");
}

#[test]
fn secrets_are_never_shown() {
    let place = Place::new();
    place.write("charter.toml", "pepper = \"of-the-file-and-quite-long\"\n");
    let variables = [
        ("CHARTER_KEY_ENCRYPTION_KEY", "of-the-environment-and-long"),
        (
            "CHARTER_DATABASE",
            "postgres://charter:hunter2@db.internal/charter?sslmode=require&password=hunter3",
        ),
        ("CHARTER_TOKEN", "chs_live_secret"),
    ];
    for command in [&["config", "show"][..], &["config", "check", "--production", "--json"]] {
        let run = place.run_with(command, &variables);
        let all = format!("{}{}", run.out, run.err);
        for secret in ["of-the-file", "of-the-environment", "hunter", "chs_live"] {
            assert!(!all.contains(secret), "{secret} is shown: {all}");
        }
        assert!(all.contains("postgres://charter:***@db.internal/charter?sslmode=require"), "{all}");
        assert!(all.contains("(hidden, 26 characters)"), "{all}");
    }
}

#[test]
fn every_fault_of_the_file_is_named_with_its_line() {
    let place = Place::new();
    let text = "listen = \"127.0.0.1:8080\"\n\ntoken_lif = \"10m\"\nproduction = \"yes\"\nbody_limit = 12.5\n[server]\nport = 1\n";
    place.write("charter.toml", text);
    let run = place.run(&["config", "check", "--json"]).ended(2);
    let faults = run.json()["faults"].as_array().unwrap().clone();
    let text = |fault: &Value| {
        let part = |name: &str| fault[name].as_str().unwrap().to_owned();
        format!("{} | {} | {}", part("place"), part("wrong"), part("remedy"))
    };
    let faults: Vec<String> = faults.iter().map(text).collect();
    assert_eq!(
        faults,
        [
            "charter.toml:3 | `token_lif` is not a setting | did you mean `token_life`?",
            "charter.toml:4 | `production` cannot be a text | write true or false, without quotes",
            "charter.toml:5 | `body_limit` cannot be a number | write a size such as \"1MiB\"",
            "charter.toml:6 | `server` is not a setting | remove it; `charter config show` lists every setting",
        ]
    );
}

#[test]
fn a_key_that_stands_twice_is_a_fault() {
    let place = Place::new();
    place.write("charter.toml", "listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n");
    let run = place.run(&["config", "check"]).ended(2);
    assert!(run.err.contains("charter.toml:2"), "{}", run.err);
}

#[test]
fn values_that_cannot_be_understood_are_named_with_what_is_expected() {
    let table: &[(&str, &str, &str)] = &[
        ("--listen", "nowhere", "write an address and a port"),
        ("--listen", "1.2.3.4", "write an address and a port"),
        ("--public-url", "charter.example.com", "write an address such as https://"),
        ("--public-url", "https://user@charter.example.com", "write an address such as https://"),
        ("--trusted-proxies", "10.0.0.0/33", "write addresses or networks"),
        ("--token-life", "10", "write a span of time"),
        ("--token-life", "2d", "write a span of time"),
        ("--max-staleness", "1s", "write a span of time"),
        ("--body-limit", "1TB", "write a size"),
        ("--database-pool", "0", "write a whole number from 1 to 500"),
        ("--log", "no[t]=a=filter", "write a level"),
        ("--log-format", "xml", "write one of auto, text, json"),
        ("--database", "mysql://x/y", "write sqlite:///path/to/file or postgres://"),
        ("--database", "sqlite::memory:", "name a file"),
        ("--database-file", "missing", "name a file that exists"),
        ("--pepper-file", "missing", "name a file that exists"),
    ];
    let place = Place::new();
    for (flag, value, remedy) in table {
        let run = place.run(&["config", "check", flag, value]).ended(2);
        assert!(run.err.contains("1 fault"), "{flag} {value}: {}", run.err);
        assert!(run.err.contains(remedy), "{flag} {value}: {}", run.err);
    }
}

#[test]
fn what_shadow_mode_is_told_is_checked_before_it_is_asked() {
    let place = Place::new();
    place.write("roles.toml", "this is no mapping\n");
    place.write("empty", "");
    let file = place.write("address", "mysql://erp/erp\n").display().to_string();
    let from = "postgres://reader:hunter2@db.internal/erp";
    let faulty: &[(&[(&str, &str)], &str)] = &[
        (&[("FROM", "mysql://erp/erp")], "write sqlite:/path/to/file or postgres://"),
        (&[("FROM_FILE", &file)], "write sqlite:/path/to/file or postgres://"),
        (&[("FROM_FILE", "missing")], "name a file that exists"),
        (&[("FROM", from), ("ENDPOINT", "https://erp.example/may")], "keep one of the two"),
        (&[("FROM", from), ("MAP", "missing.toml")], "name the mapping"),
        (&[("FROM", from), ("MAP", "roles.toml")], "name the mapping"),
        (&[("ENDPOINT", "erp.example/may")], "write an address such as https://"),
        (&[("ENDPOINT", "https://erp.example/may"), ("TOKEN_FILE", "missing")], "name a file that exists"),
        (&[("FROM", from), ("SOURCE", "no name")], "write a name such as legacy"),
        (&[("FROM", from), ("REFRESH", "0s")], "write a span of time"),
        (&[("LOSSES_MAX", "100001")], "write a whole number from 0 to 100000"),
        (&[("LOSSES_FROM", "0")], "write a whole number from 1 to"),
    ];
    for (variables, remedy) in faulty {
        let names: Vec<(String, &str)> =
            variables.iter().map(|(name, value)| (format!("CHARTER_SHADOW_{name}"), *value)).collect();
        let variables: Vec<(&str, &str)> =
            names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let run = place.run_with(&["config", "check"], &variables).ended(2);
        assert!(run.err.contains("1 fault") && run.err.contains(remedy), "{variables:?}: {}", run.err);
        assert!(!run.err.contains("hunter2"), "{}", run.err);
    }
    let good =
        [("CHARTER_SHADOW_FROM", from), ("CHARTER_SHADOW_REFRESH", "5s"), ("CHARTER_SHADOW_LOSSES_MAX", "0")];
    let run = place.run_with(&["config", "check"], &good).ended(0);
    assert!(!format!("{}{}", run.out, run.err).contains("hunter2"));
    // In production nobody in between may say who may do what.
    let clear = [("CHARTER_SHADOW_ENDPOINT", "http://erp.example/may")];
    let run = place.run_with(&["config", "check", "--production"], &clear).ended(2);
    assert!(run.err.contains("is not https"), "{}", run.err);
}

#[test]
fn all_faults_are_told_at_once_by_whatever_command() {
    let place = Place::new();
    let variables =
        [("CHARTER_TOKEN_LIFE", "soon"), ("CHARTER_BODY_LIMIT", "much"), ("CHARTER_PRODUCTION", "maybe")];
    for command in [&["config", "check"][..], &["serve"], &["migrate", "status"]] {
        let run = place.run_with(command, &variables).ended(2);
        assert!(run.err.contains("3 faults"), "{}", run.err);
        for place in ["CHARTER_TOKEN_LIFE", "CHARTER_BODY_LIMIT", "CHARTER_PRODUCTION"] {
            assert!(run.err.contains(place), "{}", run.err);
        }
    }
}

#[test]
fn a_value_and_a_file_for_it_exclude_each_other() {
    let place = Place::new();
    place.write("address", "postgres://db.internal/charter\n");
    let variables = [("CHARTER_DATABASE", "sqlite:///x.db")];
    let run = place.run_with(&["config", "check", "--database-file", "address"], &variables).ended(2);
    assert!(run.err.contains("keep one of the two"), "{}", run.err);
    let run = place.run(&["config", "show", "--database-file", "address"]).ended(0);
    assert!(run.out.contains("(from database_file)"), "{}", run.out);
}

#[test]
fn a_variable_that_names_no_setting_is_a_warning() {
    let place = Place::new();
    let variables = [
        ("CHARTER_LISTN", "x"),
        ("CHARTER_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("CHARTER_SERVICE_HOST", "x"),
        ("CHARTER_TEST_POSTGRES", "x"),
    ];
    let run = place.run_with(&["config", "check"], &variables).ended(0);
    assert!(run.err.contains("CHARTER_LISTN is set, and there is no such setting"), "{}", run.err);
    assert!(
        !run.err.contains("8080_TCP")
            && !run.err.contains("SERVICE_HOST")
            && !run.err.contains("CHARTER_TEST"),
        "{}",
        run.err
    );
}

#[test]
fn the_legacy_bypass_is_a_warning() {
    let run = Place::new().run(&["config", "check", "--legacy-super-admin"]).ended(0);
    assert!(run.err.contains("super administrators bypass every permission"), "{}", run.err);
}

#[test]
fn an_unknown_command_or_flag_ends_with_two_and_help_with_zero() {
    let place = Place::new();
    place.run(&["frobnicate"]).ended(2);
    place.run(&["serve", "--frobnicate"]).ended(2);
    place.run(&["--help"]).ended(0);
    place.run(&["serve", "--help"]).ended(0);
    place.run(&["version"]).ended(0);
}

const BREACHED: &str = "\
0000000A0E3B9F25FF41DE4B5AC238C2D545C7A8:15\r\n\
5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:52256179\r\n\
814A72A705311050F62828E8989D5C34812DD1D7:3\r\n";

#[test]
fn a_file_of_breached_passwords_is_looked_at_before_anything_starts() {
    let place = Place::new();
    let with = |file: &str| [("CHARTER_BREACHED_PASSWORDS", file.to_owned())];
    let check = |file: &str| {
        let variables = with(file);
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(key, value)| (*key, value.as_str())).collect();
        place.run_with(&["config", "check"], &variables)
    };
    place.write("good.txt", BREACHED);
    check("good.txt").ended(0);
    place.write("by-count.txt", &BREACHED.lines().rev().map(|line| format!("{line}\n")).collect::<String>());
    place.write("plain.txt", "password\n123456\n");
    for (file, why) in [
        ("missing.txt", "cannot be opened"),
        ("by-count.txt", "ordered by hash"),
        ("plain.txt", "HASH:COUNT"),
        (".", "it is no file"),
    ] {
        let run = check(file).ended(2);
        assert!(run.err.contains("breached_passwords:") && run.err.contains(why), "{}", run.err);
        let run = place
            .run_with(&["serve", "--listen", "127.0.0.1:0"], &[("CHARTER_BREACHED_PASSWORDS", file)])
            .ended(2);
        assert!(run.err.contains("breached_passwords") && run.err.contains(why), "{}", run.err);
    }
}

#[test]
fn a_running_service_looks_new_passwords_up_in_the_file_that_is_there() {
    let place = Place::new();
    place.write("breached.txt", BREACHED);
    place.write("charter.toml", "breached_passwords = \"breached.txt\"\n");
    let server = place.serve(&[]);
    place.run(&["organizations", "create", "--key", "toys", "--name", "Toys"]).ended(0);
    place.run(&["members", "add", "--org", "toys", "--login", "ann@toys.example"]).ended(0);
    let set = |password: &str| place.feed(&["password", "set", "ann@toys.example"], &format!("{password}\n"));
    let run = set("leaked with many others once");
    assert!(run.code != 0 && run.err.contains("rule: breached"), "{}", run.err);
    // While the file is broken nothing is taken; when another is there, it is the one that counts.
    place.write("breached.txt", "");
    let run = set("a phrase that is its own");
    assert!(run.code != 0 && run.err.contains("none is taken unchecked"), "{}", run.err);
    place.write("breached.txt", BREACHED);
    set("a phrase that is its own").ended(0);
    assert_eq!(server.stop(), 0);
}
