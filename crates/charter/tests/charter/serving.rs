//! A server from its first start to its orderly end.

use crate::program::Place;
use std::io::{Read, Write};
use std::time::Duration;

/// The one-time code in a greeting.
fn code(greeting: &str) -> String {
    let (_, rest) = greeting.split_once("--code ").unwrap_or_else(|| panic!("no code in {greeting}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

/// One request; status, head and body.
fn ask(address: &str, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
    let host = address.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let credential = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{credential}content-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

#[test]
fn the_first_administrator_is_made_with_the_printed_code_once() {
    let place = Place::new();
    let server = place.serve(&[]);
    let code = code(&server.greeting);
    let setup = ["setup", "--code", &code, "--login", "root@group.example", "--name", "Root"];
    let run = place
        .feed(&["setup", "--code", "AAAAA-BBBBB", "--login", "x@group.example"], "a long pass phrase it is\n")
        .ended(2);
    assert!(run.err.contains("the code is unknown"), "{}", run.err);
    let run = place.feed(&setup, "short\n").ended(2);
    assert!(run.err.contains("password"), "{}", run.err);
    let run = place.feed(&setup, "a long pass phrase it is\n").ended(0);
    assert!(run.out.contains("root@group.example is the first administrator"), "{}", run.out);
    place.feed(&setup, "a long pass phrase it is\n").ended(2);
    let login = r#"{"login":"root@group.example","password":"a long pass phrase it is"}"#;
    let (status, body) = ask(&server.address, "POST", "/api/v1/auth/login", None, login);
    assert_eq!(status, 200, "{body}");
    let token: serde_json::Value = serde_json::from_str(&body).unwrap();
    let token = token["access_token"].as_str().unwrap().to_owned();
    let list = ["organizations", "list", "--json"];
    let run = place.run_with(&list, &[("CHARTER_TOKEN", &token)]).ended(0);
    assert_eq!(run.json()["items"][0]["key"], "platform");
    assert_eq!(server.stop(), 0);
    let server = place.serve(&[]);
    assert!(!server.greeting.contains("--code"), "{}", server.greeting);
    let run = place.run_with(&list, &[("CHARTER_TOKEN", &token), ("CHARTER_URL", &server.address)]);
    assert_eq!(run.code, 2, "its issuer was another address: {}", run.err);
    assert_eq!(server.stop(), 0);
}

#[test]
fn an_administrators_credential_works_with_and_without_a_server() {
    let place = Place::new();
    let fixed = ["--public-url", "http://localhost:8080"];
    let server = place.serve(&fixed);
    let code = code(&server.greeting);
    let setup = ["setup", "--code", &code, "--login", "root@group.example", "--json"];
    let answer = place.feed(&setup, "a long pass phrase it is\n").ended(0).json();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let create = ["organizations", "create", "--name", "Soft Toys", "--key"];
    place.run_with(&[&create[..], &["toys"]].concat(), &[("CHARTER_TOKEN", &token)]).ended(0);
    assert_eq!(server.stop(), 0);
    place.run_with(&[&create[..], &["trading"]].concat(), &[("CHARTER_TOKEN", &token)]).ended(0);
    let trail = place
        .run(&["audit", "list", "--org", "platform", "--action", "organization.create", "--json"])
        .ended(0);
    let actors: Vec<String> = trail.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|event| event["actor"]["login"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(actors.iter().filter(|login| *login == "root@group.example").count(), 2, "{actors:?}");
}

#[test]
fn the_operator_sets_a_password_that_is_never_an_argument() {
    let place = Place::new();
    let server = place.serve(&[]);
    let code = code(&server.greeting);
    place
        .feed(&["setup", "--code", &code, "--login", "root@group.example"], "a long pass phrase it is\n")
        .ended(0);
    place.feed(&["password", "set", "root@group.example"], "another long pass phrase\n").ended(0);
    let login = |password: &str| {
        let body = format!(r#"{{"login":"root@group.example","password":"{password}"}}"#);
        ask(&server.address, "POST", "/api/v1/auth/login", None, &body).0
    };
    assert_eq!(login("a long pass phrase it is"), 401);
    assert_eq!(login("another long pass phrase"), 200);
    let run = place.feed(&["password", "set", "nobody@group.example"], "another long pass phrase\n").ended(2);
    assert!(run.err.contains("no user nobody@group.example"), "{}", run.err);
    let run = place
        .feed(&["auth", "login", "--login", "root@group.example", "--json"], "another long pass phrase\n")
        .ended(0);
    assert!(run.json()["access_token"].is_string());
    let help = place.run(&["auth", "login", "--help"]).ended(0);
    assert!(!help.out.contains("--password"), "{}", help.out);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_stopping_server_says_first_that_it_is_not_ready() {
    let place = Place::new();
    let server = place.serve(&["--shutdown-delay", "2s"]);
    assert_eq!(ask(&server.address, "GET", "/readyz", None, "").0, 200);
    let address = server.address.clone();
    let stopping = std::thread::spawn(move || server.stop());
    let mut answers = Vec::new();
    for _ in 0..40 {
        std::thread::sleep(Duration::from_millis(50));
        let (status, body) = ask(&address, "GET", "/readyz", None, "");
        answers.push(status);
        if status == 503 {
            assert!(body.contains("is stopping"), "{body}");
            break;
        }
    }
    assert_eq!(answers.last(), Some(&503), "{answers:?}");
    assert_eq!(ask(&address, "GET", "/healthz", None, "").0, 200, "it still answers");
    assert_eq!(stopping.join().unwrap(), 0);
    assert!(!place.path("charter-data/charter.db-wal").exists(), "the log was moved into the file");
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let place = Place::new();
    let server = place.serve(&["--body-limit", "4KiB"]);
    let token = std::fs::read_to_string(place.path("charter-data/operator-token")).unwrap();
    let body = format!(r#"{{"key":"toys","name":"{}"}}"#, "x".repeat(5000));
    let (status, body) = ask(&server.address, "POST", "/api/v1/organizations", Some(token.trim()), &body);
    assert_eq!(status, 413, "{body}");
    assert_eq!(server.stop(), 0);
}

/// Runs only where `./test` started a PostgreSQL server.
#[test]
fn two_services_on_one_postgresql_see_each_others_changes() {
    #[expect(clippy::disallowed_methods, reason = "the test server's address comes from ./test")]
    let Ok(server_address) = std::env::var("CHARTER_TEST_POSTGRES") else { return };
    let name = format!("charter_cli_{}", std::process::id());
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
    let secrets = [
        ("CHARTER_DATABASE", address.as_str()),
        ("CHARTER_KEY_ENCRYPTION_KEY", "3q2+7wABkL0Vt5u9ZxCw1YpQmR8sN4hJ6gFdKbTeU0o="),
        ("CHARTER_PEPPER", "Zm9XbGq1r8TtY2vKc7Hs5Np0Jd4Qx6Ew9Ul3Ai8Bo1M="),
    ];
    let (one, two) = (Place::new(), Place::new());
    one.run_with(&["organizations", "create", "--key", "toys", "--name", "Soft Toys"], &secrets).ended(0);
    let (first, second) = (one.serve_with(&[], &secrets), two.serve_with(&[], &secrets));
    let here = [&secrets[..], &[("CHARTER_ORGANIZATION", "toys")]].concat();
    let check = |place: &Place| {
        place.run_with(&["check", "--as", "ann@toys.example", "dashboard.boards.read"], &here).code
    };
    one.run_with(&["members", "add", "--login", "ann@toys.example"], &here).ended(0);
    assert_eq!((check(&one), check(&two)), (1, 1));
    let assign =
        ["assignments", "assign", "--subject", "member:ann@toys.example", "--role", "viewer", "--json"];
    let given = one.run_with(&assign, &here).ended(0).json();
    assert_eq!(check(&one), 0);
    let reaches = |wanted: i32| {
        (0..30).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            check(&two) == wanted
        })
    };
    assert!(reaches(0), "the second service learns of it");
    let id = given["assignment"]["id"].as_str().unwrap();
    two.run_with(&["assignments", "unassign", "--assignment", id], &here).ended(0);
    assert_eq!(check(&two), 1);
    assert!((0..30).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        check(&one) == 1
    }));
    let run = two.run_with(&["audit", "verify", "--all"], &secrets).ended(0);
    assert!(!run.out.contains("BROKEN"), "{}", run.out);
    assert_eq!((first.stop(), second.stop()), (0, 0));
    on_server(format!("drop database {name} with (force)"));
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn a_service_bounds_what_freed_memory_it_keeps_unless_somebody_else_did() {
    let place = Place::new();
    let bound = |server: &crate::program::Server| -> Vec<String> {
        let variables = std::fs::read_to_string(format!("/proc/{}/environ", server.pid())).unwrap();
        variables.split('\0').filter(|one| one.starts_with("MALLOC_")).map(str::to_owned).collect()
    };
    let server = place.serve(&[]);
    let cores = std::thread::available_parallelism().unwrap().get().max(2);
    assert_eq!(bound(&server), [format!("MALLOC_ARENA_MAX={cores}")]);
    assert_eq!(server.stop(), 0);
    let server = place.serve_with(&[], &[("MALLOC_ARENA_MAX", "77")]);
    assert_eq!(bound(&server), ["MALLOC_ARENA_MAX=77"]);
    assert_eq!(server.stop(), 0);
}
