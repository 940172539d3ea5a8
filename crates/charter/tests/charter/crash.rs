//! `kill -9` at any moment: what was answered is there, the next start is clean, and the trail verifies.

use crate::program::Place;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Moments at which the server is killed, in milliseconds after writing begins; primes, so that they fall differently each time.
const MOMENTS: [u64; 6] = [7, 41, 97, 173, 311, 523];

#[test]
fn a_killed_server_loses_nothing_it_answered_and_its_trail_verifies() {
    let place = Place::new();
    place.run(&["migrate", "up"]).ended(0);
    place.run(&["organizations", "create", "--key", "toys", "--name", "Soft Toys"]).ended(0);
    let mut answered: BTreeSet<String> = BTreeSet::new();
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        let server = place.serve(&[]);
        let token = std::fs::read_to_string(place.path("charter-data/operator-token")).unwrap();
        let (address, token) = (server.address.clone(), token.trim().to_owned());
        let (is_over, seen) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let (address, token, is_over, seen) = (&address, &token, &is_over, &seen);
                scope.spawn(move || {
                    for number in 0.. {
                        if is_over.load(Ordering::Relaxed) {
                            return;
                        }
                        let key = format!("team-{round}-{writer}-{number}");
                        match create(address, token, &key) {
                            Some(201 | 200) => seen.lock().unwrap().push(key),
                            Some(status) => panic!("{key}: status {status}"),
                            None => return,
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(moment));
            server.kill();
            is_over.store(true, Ordering::Relaxed);
        });
        answered.extend(seen.into_inner().unwrap());
        let run = place.run(&["audit", "verify", "--all"]).ended(0);
        assert!(run.out.contains("toys: ") && !run.out.contains("BROKEN"), "{}", run.out);
    }
    assert!(answered.len() > 10, "only {} changes were answered", answered.len());
    let teams = place.run(&["teams", "list", "--org", "toys", "--all", "--json"]).ended(0).json();
    let there: BTreeSet<String> = teams["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|team| team["key"].as_str().map(str::to_owned))
        .collect();
    let lost: Vec<&String> = answered.difference(&there).collect();
    assert!(lost.is_empty(), "answered and lost: {lost:?}");
    let trail = place
        .run(&["audit", "list", "--org", "toys", "--action", "team.create", "--all", "--json"])
        .ended(0)
        .json();
    let recorded = trail["items"].as_array().unwrap().len();
    assert_eq!(recorded, there.len(), "each team has its event and each event its team");
}

/// Creates a team; none when the server went away.
fn create(address: &str, token: &str, key: &str) -> Option<u16> {
    use std::io::{Read, Write};
    let body = format!(r#"{{"key":"{key}","name":"{key}"}}"#);
    let host = address.strip_prefix("http://")?;
    let mut stream = std::net::TcpStream::connect(host).ok()?;
    let request = format!(
        "POST /api/v1/organizations/toys/teams HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}
