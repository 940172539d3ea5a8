//! The data folder: who may read it, who works in it, what is left of it.

use crate::program::{Place, mode};
use std::path::Path;

fn service(place: &Place) -> serde_json::Value {
    let text = std::fs::read_to_string(place.path("charter-data/service.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn everything_in_it_is_for_its_owner_alone() {
    let place = Place::new();
    let server = place.serve(&[]);
    assert_eq!(mode(&place.path("charter-data")), 0o700);
    assert_eq!(mode(&place.path("charter-data/secrets")), 0o700);
    let mut files = Vec::new();
    fn walk(path: &Path, files: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, files) } else { files.push(path) }
        }
    }
    walk(&place.path("charter-data"), &mut files);
    for path in &files {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    for name in
        ["operator-token", "service.json", "secrets/key-encryption-key", "secrets/pepper", "charter.db"]
    {
        assert!(files.contains(&place.path("charter-data").join(name)), "{name} is missing in {files:?}");
    }
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_running_server_tells_where_it_is_and_a_stopped_one_does_not() {
    let place = Place::new();
    let server = place.serve(&[]);
    let told = service(&place);
    assert_eq!(told["address"].as_str(), Some(server.address.as_str()));
    assert_eq!(told["pid"].as_u64(), Some(u64::from(server.pid())));
    assert_eq!(told["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(server.stop(), 0);
    assert!(!place.path("charter-data/service.json").exists());
}

#[test]
fn secrets_are_made_once() {
    let place = Place::new();
    let read = |name: &str| std::fs::read_to_string(place.path("charter-data").join(name)).unwrap();
    let names = ["operator-token", "secrets/key-encryption-key", "secrets/pepper"];
    place.serve(&[]).stop();
    let before = names.map(read);
    place.serve(&[]).stop();
    assert_eq!(before, names.map(read));
    assert_eq!(before.each_ref().map(|secret| secret.trim().len()), [47, 43, 43], "32 random bytes each");
    assert_ne!(before[1], before[2]);
}

#[test]
fn two_servers_in_one_folder_is_refused_with_who_is_there() {
    let place = Place::new();
    let server = place.serve(&[]);
    let run = place.run(&["serve", "--listen", "127.0.0.1:0"]).ended(2);
    assert!(run.err.contains("another service is at work"), "{}", run.err);
    assert!(run.err.contains(&format!("process {}", server.pid())), "{}", run.err);
    assert!(run.err.contains(&server.address), "{}", run.err);
    let run = place.run(&["migrate", "status"]).ended(2);
    assert!(run.err.contains("another service is at work"), "{}", run.err);
    assert_eq!(server.stop(), 0);
}

#[test]
fn what_a_killed_server_left_does_not_mislead() {
    let place = Place::new();
    let server = place.serve(&[]);
    let old = server.address.clone();
    server.kill();
    assert_eq!(service(&place)["address"].as_str(), Some(old.as_str()), "a killed server cannot clean up");
    place.run(&["service", "alive", "--json"]).ended(0);
    assert!(!place.path("charter-data/service.json").exists(), "the leftover is removed");
    let server = place.serve(&[]);
    place.run(&["service", "alive"]).ended(0);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = place.run(&["serve", "--listen", &address]).ended(2);
    assert!(run.err.contains(&format!("cannot listen on {address}")), "{}", run.err);
}

#[test]
fn a_command_without_an_installation_says_how_to_begin() {
    let place = Place::new();
    let run = place.run(&["service", "alive"]).ended(2);
    assert!(run.err.contains("start one with `charter serve`"), "{}", run.err);
    assert!(!place.path("charter-data").exists());
}

#[test]
fn a_command_does_not_send_the_operator_token_to_another_machine() {
    let place = Place::new();
    place.serve(&[]).stop();
    let run = place.run(&["service", "alive", "--url", "https://charter.example.com"]).ended(2);
    assert!(run.err.contains("set CHARTER_TOKEN"), "{}", run.err);
}

#[test]
fn commands_find_the_running_server_by_its_address_too() {
    let place = Place::new();
    let server = place.serve(&[]);
    place.run(&["service", "alive", "--url", &server.address]).ended(0);
    let elsewhere = Place::new();
    let run = elsewhere.run(&["service", "alive", "--url", &server.address]).ended(2);
    assert!(
        run.err.contains("no credential: there is no ") && run.err.contains("CHARTER_TOKEN"),
        "{}",
        run.err
    );
    assert_eq!(server.stop(), 0);
    let run = place.run(&["service", "alive", "--url", "http://127.0.0.1:1"]).ended(2);
    assert!(run.err.contains("cannot be reached"), "{}", run.err);
}

#[test]
fn the_schema_goes_down_and_up_again() {
    let place = Place::new();
    place.run(&["migrate", "up"]).ended(0);
    let run = place.run(&["migrate", "down", "--to", "0"]).ended(0);
    assert!(run.err.contains("nothing was undone"), "{}", run.err);
    let applied = |run: &crate::program::Run| {
        let rows = run.json()["migrations"].as_array().unwrap().clone();
        rows.iter().filter(|row| row["applied_at"].is_string()).count()
    };
    let all = applied(&place.run(&["migrate", "status", "--json"]).ended(0));
    assert!(all >= 18, "{all}");
    place.run(&["migrate", "down", "--to", "3", "--yes"]).ended(0);
    assert_eq!(applied(&place.run(&["migrate", "status", "--json"]).ended(0)), 3);
    place.run(&["migrate", "up"]).ended(0);
    assert_eq!(applied(&place.run(&["migrate", "status", "--json"]).ended(0)), all);
}
