//! What production refuses to start with: all of it at once, each with what to do.

use crate::program::{Place, Run, set_mode};

const KEY: &str = "3q2+7wABkL0Vt5u9ZxCw1YpQmR8sN4hJ6gFdKbTeU0o=";
const PEPPER: &str = "Zm9XbGq1r8TtY2vKc7Hs5Np0Jd4Qx6Ew9Ul3Ai8Bo1M=";

/// Settings that production starts with.
fn good(place: &Place) -> Vec<(&'static str, String)> {
    vec![
        ("CHARTER_PRODUCTION", "true".to_owned()),
        ("CHARTER_DATABASE", format!("sqlite://{}", place.path("charter.db").display())),
        ("CHARTER_KEY_ENCRYPTION_KEY", KEY.to_owned()),
        ("CHARTER_PEPPER", PEPPER.to_owned()),
        ("CHARTER_PUBLIC_URL", "https://charter.example.com".to_owned()),
    ]
}

fn check(place: &Place, changes: &[(&'static str, &str)]) -> Run {
    let mut variables = good(place);
    for (name, value) in changes {
        variables.retain(|(known, _)| known != name);
        variables.push((name, (*value).to_owned()));
    }
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    place.run_with(&["config", "check"], &variables)
}

#[test]
fn a_good_configuration_has_no_faults() {
    let run = check(&Place::new(), &[]).ended(0);
    assert!(run.out.contains("no faults"), "{}", run.out);
}

#[test]
fn an_installation_that_runs_is_checked_without_being_stopped() {
    let place = Place::new();
    let variables = good(&place);
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = place.serve_with(&[], &variables);
    let run = check(&place, &[]).ended(0);
    assert!(run.out.contains("no faults"), "{}", run.out);
    let told = format!("database: the running service (process {} at {}", server.pid(), server.address);
    assert!(run.out.contains(&told) && run.out.contains("every migration is applied"), "{}", run.out);
    let run = place.run_with(&["config", "check", "--json"], &variables).ended(0).json();
    assert!(run["ok"] == true && run["database"].as_str().unwrap().contains("has it open"), "{run}");
    let run = check(&place, &[("CHARTER_PEPPER", "short")]).ended(2);
    assert!(run.err.contains("1 fault ") && run.err.contains("pepper: is weak"), "{}", run.err);
    // Of another folder nothing is known of the service.
    let elsewhere = place.path("elsewhere").display().to_string();
    let run = check(&place, &[("CHARTER_DATA", &elsewhere)]).ended(2);
    assert!(run.err.contains("is in use by Charter"), "{}", run.err);
    assert_eq!(server.stop(), 0);
    let run = check(&place, &[]).ended(0);
    assert!(!run.out.contains("running service"), "{}", run.out);

    let to_try: Vec<(&str, &str)> =
        variables.iter().filter(|(name, _)| *name != "CHARTER_PRODUCTION").copied().collect();
    let server = place.serve_with(&[], &to_try);
    let run = check(&place, &[]).ended(2);
    assert!(run.err.contains("not started for production") && run.err.contains("1 fault "), "{}", run.err);
    assert_eq!(server.stop(), 0);
}

#[test]
fn each_fault_alone_is_refused_with_what_to_do() {
    let short = "k7Gq2mZ9";
    let table: &[(&str, &str, &str, &str)] = &[
        ("CHARTER_PEPPER", "", "pepper: is missing", "openssl rand -base64 32"),
        ("CHARTER_PEPPER", short, "pepper: is weak: it has 8 characters", "openssl rand -base64 32"),
        ("CHARTER_PEPPER", "please-changeme-please-changeme-please", "looks like a placeholder", "openssl"),
        ("CHARTER_PEPPER", "MyPasswordIsVeryLongButStillAPassword1", "looks like a placeholder", "openssl"),
        ("CHARTER_PEPPER", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "repeats itself", "openssl"),
        ("CHARTER_PEPPER", "abcabcabcabcabcabcabcabcabcabcabcabcabcabcab", "repeats itself", "openssl"),
        ("CHARTER_PEPPER", KEY, "is the same secret as key_encryption_key", "give each its own"),
        ("CHARTER_KEY_ENCRYPTION_KEY", "", "key_encryption_key: is missing", "key_encryption_key_file"),
        ("CHARTER_DATABASE", "", "database: is not set", "set CHARTER_DATABASE"),
        ("CHARTER_PUBLIC_URL", "", "public_url: is not set", "put a proxy with TLS in front"),
        ("CHARTER_PUBLIC_URL", "http://charter.example.com", "is not https", "put a proxy with TLS in front"),
        (
            "CHARTER_ISSUER",
            "http://charter.example.com",
            "issuer: http://charter.example.com is not https",
            "use public_url",
        ),
        ("CHARTER_LISTEN", "0.0.0.0:8080", "plain HTTP that other machines can reach", "trusted_proxies"),
        ("CHARTER_TRUSTED_PROXIES", "0.0.0.0/0", "is everybody", "list the proxies alone"),
    ];
    for (name, value, wrong, remedy) in table {
        let run = check(&Place::new(), &[(name, value)]).ended(2);
        assert!(run.err.contains("1 fault "), "{name}={value}: {}", run.err);
        assert!(run.err.contains(wrong) && run.err.contains(remedy), "{name}={value}: {}", run.err);
    }
}

#[test]
fn a_proxy_names_users_when_it_is_known_and_shows_a_secret() {
    let header = ("CHARTER_PROXY_USER_HEADER", "X-Forwarded-User");
    let proxies = ("CHARTER_TRUSTED_PROXIES", "10.0.0.4");
    check(&Place::new(), &[header, proxies, ("CHARTER_PROXY_SECRET", PEPPER)]).ended(0);
    let table: &[(&[(&'static str, &str)], &str)] = &[
        (&[header, ("CHARTER_PROXY_SECRET", PEPPER)], "list the proxy in trusted_proxies"),
        (&[header, proxies], "proxy_secret_file"),
        (&[header, proxies, ("CHARTER_PROXY_SECRET", "too short")], "holds 9 characters, 32 are needed"),
        (&[("CHARTER_PROXY_USER_HEADER", "Cookie"), proxies], "which nothing else is told by"),
        (&[("CHARTER_PROXY_USER_HEADER", "no header"), proxies], "which nothing else is told by"),
    ];
    for (changes, remedy) in table {
        let run = check(&Place::new(), changes).ended(2);
        assert!(run.err.contains(remedy), "{changes:?}: {}", run.err);
    }
}

#[test]
fn a_default_password_of_the_database_is_refused() {
    for address in [
        "postgres://charter:charter@127.0.0.1:1/x",
        "postgres://app:changeme@127.0.0.1:1/x",
        "postgres://app:short@127.0.0.1:1/x",
    ] {
        let run = check(&Place::new(), &[("CHARTER_DATABASE", address)]).ended(2);
        assert!(run.err.contains("password"), "{}", run.err);
        assert!(run.err.contains("password of its own"), "{}", run.err);
    }
}

#[test]
fn a_database_that_cannot_be_opened_is_a_fault() {
    let run =
        check(&Place::new(), &[("CHARTER_DATABASE", "postgres://charter@127.0.0.1:1/charter")]).ended(2);
    assert!(run.err.contains("database: cannot be opened"), "{}", run.err);
}

#[test]
fn a_proxy_that_is_declared_lets_it_listen_everywhere() {
    check(&Place::new(), &[("CHARTER_LISTEN", "0.0.0.0:8080"), ("CHARTER_TRUSTED_PROXIES", "10.0.0.0/8")])
        .ended(0);
}

#[test]
fn files_that_everybody_can_read_are_refused() {
    let place = Place::new();
    let key = place.write("key", KEY);
    set_mode(&key, 0o644);
    std::fs::create_dir(place.path("charter-data")).unwrap();
    set_mode(&place.path("charter-data"), 0o755);
    let file = place.write("charter.toml", &format!("pepper = \"{PEPPER}\"\n"));
    set_mode(&file, 0o604);
    let key = key.display().to_string();
    let run = check(
        &place,
        &[
            ("CHARTER_KEY_ENCRYPTION_KEY", ""),
            ("CHARTER_KEY_ENCRYPTION_KEY_FILE", &key),
            ("CHARTER_PEPPER", ""),
        ],
    );
    let run = run.ended(2);
    assert!(run.err.contains("3 faults"), "{}", run.err);
    for wrong in ["mode 0644", "chmod 600", "mode 0755", "chmod 700", "mode 0604", "it holds a secret"] {
        assert!(run.err.contains(wrong), "{wrong} is missing: {}", run.err);
    }
    set_mode(&place.path("key"), 0o440);
    set_mode(&place.path("charter-data"), 0o750);
    set_mode(&file, 0o640);
    check(
        &place,
        &[
            ("CHARTER_KEY_ENCRYPTION_KEY", ""),
            ("CHARTER_KEY_ENCRYPTION_KEY_FILE", &key),
            ("CHARTER_PEPPER", ""),
        ],
    )
    .ended(0);
}

#[test]
fn serve_names_everything_at_once_and_makes_nothing() {
    let place = Place::new();
    let variables = [("CHARTER_PEPPER", "changeme"), ("CHARTER_KEY_ENCRYPTION_KEY", "changeme")];
    let run =
        place.run_with(&["serve", "--production", "--demo", "--listen", "0.0.0.0:0"], &variables).ended(2);
    assert!(run.err.contains("production refuses to start"), "{}", run.err);
    let faults = [
        "key_encryption_key: is weak",
        "pepper: is weak",
        "pepper: is the same secret",
        "database: is not set",
        "public_url: is not set",
        "listen: 0.0.0.0:0 is plain HTTP",
        "--demo: puts published passwords",
    ];
    assert!(run.err.contains(&format!("{} faults", faults.len())), "{}", run.err);
    for fault in faults {
        assert!(run.err.contains(fault), "{fault} is missing: {}", run.err);
    }
    assert!(!place.path("charter-data").exists(), "a refused start leaves nothing behind");
}

#[test]
fn a_database_that_held_the_demo_company_is_refused() {
    let place = Place::new();
    place.serve(&["--demo"]).stop();
    let address = format!("sqlite://{}", place.path("charter-data/charter.db").display());
    let run = check(&place, &[("CHARTER_DATABASE", &address)]).ended(2);
    assert!(run.err.contains("2 faults"), "{}", run.err);
    assert!(run.err.contains("holds the demo company") && run.err.contains("demo password"), "{}", run.err);
}
