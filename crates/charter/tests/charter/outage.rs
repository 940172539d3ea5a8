//! The database goes away, fills up or forgets its connections while the program runs: it says so, decides nothing in doubt, and goes
//! on by itself when the database is back. And `kill -9` over PostgreSQL.

use crate::program::{Place, Server};
use charter_testkit::server::PostgresServer;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const KEYS: [(&str, &str); 2] = [
    ("CHARTER_KEY_ENCRYPTION_KEY", "3q2+7wABkL0Vt5u9ZxCw1YpQmR8sN4hJ6gFdKbTeU0o="),
    ("CHARTER_PEPPER", "Zm9XbGq1r8TtY2vKc7Hs5Np0Jd4Qx6Ew9Ul3Ai8Bo1M="),
];

/// An answer: its status, its headers and its body.
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

/// Sends one request as the operator; none when nobody answers.
pub fn ask(address: &str, token: &str, method: &str, path: &str, body: &str) -> Option<Answer> {
    let host = address.strip_prefix("http://")?;
    let mut stream = std::net::TcpStream::connect(host).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// A running service with its operator's token.
struct Service<'a> {
    server: &'a Server,
    token: String,
}

impl<'a> Service<'a> {
    fn of(place: &Place, server: &'a Server) -> Self {
        let token = std::fs::read_to_string(place.path("charter-data/operator-token")).unwrap();
        Self { server, token: token.trim().to_owned() }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        ask(&self.server.address, &self.token, method, path, body).expect("the service answers")
    }

    fn check(&self) -> Answer {
        let asked = r#"{"subject": "ann@toys.example", "permission": "dashboard.boards.read"}"#;
        self.ask("POST", "/api/v1/organizations/toys/checks", asked)
    }

    fn create(&self, key: &str) -> Answer {
        let body = format!(r#"{{"key": "{key}", "name": "{key}"}}"#);
        self.ask("POST", "/api/v1/organizations/toys/teams", &body)
    }

    /// Asks until the answer is the wanted one.
    fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        for _ in 0..300 {
            if is_so(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{what}");
    }
}

#[track_caller]
fn is_outage(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);
    assert!(answer.body.contains("urn:charter:problem:"), "{}", answer.body);
}

/// Toys with ann, who is a viewer.
fn toys(place: &Place, variables: &[(&str, &str)]) {
    place.run_with(&["migrate", "up"], variables).ended(0);
    place.run_with(&["organizations", "create", "--key", "toys", "--name", "Soft Toys"], variables).ended(0);
    let add = ["members", "add", "--org", "toys", "--login", "ann@toys.example"];
    place.run_with(&add, variables).ended(0);
    let role = ["--subject", "member:ann@toys.example", "--role", "viewer"];
    place.run_with(&[&["assignments", "assign", "--org", "toys"], &role[..]].concat(), variables).ended(0);
}

#[track_caller]
fn trail_is_whole(place: &Place, variables: &[(&str, &str)]) {
    let run = place.run_with(&["audit", "verify", "--all"], variables).ended(0);
    assert!(run.out.contains("toys: ") && !run.out.contains("BROKEN"), "{}", run.out);
}

#[test]
fn a_postgresql_server_that_stops_is_survived_and_found_again() {
    let postgres = PostgresServer::new();
    let address = postgres.url("postgres");
    let variables = [&KEYS[..], &[("CHARTER_DATABASE", address.as_str())]].concat();
    let place = Place::new();
    toys(&place, &variables);
    let server = place.serve_with(&["--max-staleness", "3s"], &variables);
    let service = Service::of(&place, &server);
    assert!(service.check().body.contains("\"allow\""));
    assert_eq!(service.create("before").status, 201);
    // Every connection is cut, and the next request does not notice.
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'charter'";
    on(&address, cut);
    assert_eq!(service.create("between").status, 201);

    postgres.stop();
    let first = service.check();
    assert!(first.status == 200 && first.body.contains("\"allow\""), "{}", first.body);
    is_outage(&service.create("during"));
    assert_eq!(service.ask("GET", "/readyz", "").status, 503);
    assert_eq!(service.ask("GET", "/healthz", "").status, 200);
    service.until("the facts become too old", |service| {
        let answer = service.check();
        if answer.status == 200 {
            assert!(answer.body.contains("\"allow\""), "{}", answer.body);
            return false;
        }
        is_outage(&answer);
        assert!(!answer.body.contains("\"decision\""), "{}", answer.body);
        true
    });

    postgres.start();
    service.until("decisions come back without a restart", |service| service.check().status == 200);
    service.until("it is ready again", |service| service.ask("GET", "/readyz", "").status == 200);
    assert_eq!(service.create("after").status, 201);
    trail_is_whole(&place, &variables);
    let teams =
        place.run_with(&["teams", "list", "--org", "toys", "--all", "--json"], &variables).ended(0).json();
    let keys: Vec<&str> =
        teams["items"].as_array().unwrap().iter().filter_map(|it| it["key"].as_str()).collect();
    assert_eq!(keys, ["after", "before", "between"]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_service_started_before_its_postgresql_server_waits_for_it() {
    let postgres = PostgresServer::new();
    let address = postgres.url("postgres");
    let variables = [&KEYS[..], &[("CHARTER_DATABASE", address.as_str())]].concat();
    let place = Place::new();
    postgres.stop();
    let started = std::thread::scope(|scope| {
        let starting = scope.spawn(|| place.serve_with(&[], &variables));
        let log = place.path("log");
        while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains("waiting for the database")) {
            assert!(!starting.is_finished(), "it came up without a database, or did not wait");
            std::thread::sleep(Duration::from_millis(50));
        }
        postgres.start();
        starting.join().unwrap()
    });
    assert_eq!(Service::of(&place, &started).ask("GET", "/readyz", "").status, 200);
    assert_eq!(started.stop(), 0);
}

/// Runs one statement on a server.
fn on(address: &str, statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = charter_db::Options { pool_size: 1, ..charter_db::Options::new(address) };
    runtime.block_on(async move {
        let database = charter_db::Database::open(&options).await.unwrap();
        // The connection that asks is one of those that are ended.
        let _ended = database.maintain(statement).await;
    });
}

#[test]
fn changes_of_another_node_arrive_though_the_connection_that_listens_is_cut() {
    let postgres = PostgresServer::new();
    let address = postgres.url("postgres");
    let variables = [&KEYS[..], &[("CHARTER_DATABASE", address.as_str())]].concat();
    let (place, other_place) = (Place::new(), Place::new());
    toys(&place, &variables);
    let (server, other_server) = (place.serve_with(&[], &variables), other_place.serve_with(&[], &variables));
    let (here, there) = (Service::of(&place, &server), Service::of(&other_place, &other_server));
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen %'";
    let member = "/api/v1/organizations/toys/members/ann@toys.example";
    for (status, decision) in [("suspended", "\"deny\""), ("active", "\"allow\""), ("suspended", "\"deny\"")]
    {
        on(&address, cut);
        let changed = here.ask("PATCH", member, &format!(r#"{{"status": "{status}"}}"#));
        assert_eq!(changed.status, 200, "{}", changed.body);
        assert!(here.check().body.contains(decision));
        there.until("the change arrives on the other node", |node| {
            on(&address, cut);
            node.check().body.contains(decision)
        });
    }
    there.until("it is ready", |node| node.ask("GET", "/readyz", "").status == 200);
    assert_eq!((server.stop(), other_server.stop()), (0, 0));
    trail_is_whole(&place, &variables);
}

#[test]
fn a_postgresql_server_without_a_free_connection_is_an_outage_and_no_more() {
    let postgres = PostgresServer::start_with("-c max_connections=12 -c superuser_reserved_connections=0");
    let address = postgres.url("postgres");
    let variables = [&KEYS[..], &[("CHARTER_DATABASE", address.as_str())]].concat();
    let place = Place::new();
    toys(&place, &variables);
    let server = place.serve_with(&["--database-pool", "2"], &variables);
    let service = Service::of(&place, &server);
    assert_eq!(service.create("before").status, 201);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let taken = runtime.block_on(async {
        let mut taken = Vec::new();
        // One after the other until the server has none to give.
        for _ in 0..40 {
            let options = charter_db::Options { pool_size: 1, ..charter_db::Options::new(address.as_str()) };
            match charter_db::Database::open(&options).await {
                Ok(database) => taken.push(database),
                Err(error) => {
                    assert!(error.is_outage(), "{error:?}");
                    break;
                }
            }
        }
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() \
                   and query not like '%server_version%'";
        if let Some(database) = taken.last() {
            let _ended = database.maintain(end).await;
        }
        taken
    });
    assert!(taken.len() < 40);
    for number in 0..5 {
        let answer = service.create(&format!("full-{number}"));
        assert!(answer.status == 201 || answer.status == 503, "{}", answer.body);
        assert!(service.check().body.contains("\"allow\""));
    }
    runtime.block_on(async { drop(taken) });
    drop(runtime);
    service.until("a connection is found", |service| service.create("after").status == 201);
    trail_is_whole(&place, &variables);
    assert_eq!(server.stop(), 0);
}

#[test]
fn killed_over_postgresql_it_loses_nothing_it_answered_and_starts_clean() {
    let postgres = PostgresServer::new();
    let address = postgres.url("postgres");
    let variables = [&KEYS[..], &[("CHARTER_DATABASE", address.as_str())]].concat();
    let place = Place::new();
    // A kill while the schema is made, at several moments: the next start makes it whole.
    for moment in [5, 31, 67] {
        let mut child = place.command(&["migrate", "up"]).envs(variables.iter().copied()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    toys(&place, &variables);
    let mut answered = Vec::new();
    // Moments follow from a seed: the same each time, and spread.
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    for round in 0..5 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let server = place.serve_with(&[], &variables);
        let service = Service::of(&place, &server);
        let (address, token) = (service.server.address.clone(), service.token.clone());
        let told = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (address, token, told) = (address.clone(), token.clone(), Arc::clone(&told));
                std::thread::spawn(move || {
                    let mut seen = Vec::new();
                    for number in 0.. {
                        let key = format!("t-{round}-{writer}-{number}");
                        let body = format!(r#"{{"key": "{key}", "name": "{key}"}}"#);
                        let path = "/api/v1/organizations/toys/teams";
                        match ask(&address, &token, "POST", path, &body).map(|answer| answer.status) {
                            Some(201) => {
                                seen.push(key);
                                told.fetch_add(1, Ordering::Relaxed);
                            }
                            Some(status) => panic!("{key}: {status}"),
                            None => break,
                        }
                    }
                    seen
                })
            })
            .collect();
        // However slow the machine is, some are answered before the kill.
        while told.load(Ordering::Relaxed) < 3 && !writers.iter().all(|writer| writer.is_finished()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(seed % 400));
        server.kill();
        for writer in writers {
            answered.extend(writer.join().unwrap());
        }
        trail_is_whole(&place, &variables);
    }
    assert!(answered.len() > 10, "{}", answered.len());
    let list = |arguments: &[&str]| {
        let run = place.run_with(&[arguments, &["--org", "toys", "--all", "--json"]].concat(), &variables);
        run.ended(0).json()["items"].as_array().unwrap().clone()
    };
    let teams = list(&["teams", "list"]);
    let there: Vec<&str> = teams.iter().filter_map(|team| team["key"].as_str()).collect();
    assert!(answered.iter().all(|key| there.contains(&key.as_str())), "answered and lost");
    assert_eq!(list(&["audit", "list", "--action", "team.create"]).len(), there.len());
}

#[test]
fn a_sqlite_file_that_may_not_grow_refuses_changes_and_the_next_start_is_clean() {
    let place = Place::new();
    toys(&place, &[]);
    // The kernel ends a write beyond the limit as a full disk does; the program is started through a shell that sets it.
    let server = place.serve_limited("ulimit -f 4000");
    let service = Service::of(&place, &server);
    let name = "x".repeat(150);
    let mut created = 0;
    let refused = loop {
        let body = format!(r#"{{"key": "t-{created}", "name": "{name}"}}"#);
        let answer = service.ask("POST", "/api/v1/organizations/toys/teams", &body);
        if answer.status != 201 {
            break answer;
        }
        created += 1;
        assert!(created < 20_000, "the limit is never reached");
    };
    is_outage(&refused);
    assert!(service.check().body.contains("\"allow\""), "decisions go on");
    is_outage(&service.create("another"));
    let teams = service.ask("GET", "/api/v1/organizations/toys/teams?limit=1", "");
    assert_eq!(teams.status, 200, "{}", teams.body);
    let _code = server.stop();
    trail_is_whole(&place, &[]);
    let server = place.serve(&[]);
    let service = Service::of(&place, &server);
    assert_eq!(service.create("after").status, 201);
    assert_eq!(server.stop(), 0);
    let teams = place.run(&["teams", "list", "--org", "toys", "--all", "--json"]).ended(0).json();
    assert_eq!(teams["items"].as_array().unwrap().len(), created + 1);
}

#[test]
fn a_sqlite_file_that_is_moved_away_is_an_outage_until_it_is_back() {
    let place = Place::new();
    toys(&place, &[]);
    let server = place.serve(&["--max-staleness", "3s"]);
    let service = Service::of(&place, &server);
    assert!(service.check().body.contains("\"allow\""));
    let (file, aside) = (place.path("charter-data/charter.db"), place.path("charter-data/aside"));
    std::fs::rename(&file, &aside).unwrap();
    is_outage(&service.create("during"));
    service.until("it is not ready", |service| service.ask("GET", "/readyz", "").status == 503);
    service.until("the facts become too old", |service| service.check().status == 503);
    std::fs::rename(&aside, &file).unwrap();
    service.until("decisions come back without a restart", |service| service.check().status == 200);
    assert_eq!(service.create("after").status, 201);
    assert_eq!(server.stop(), 0);
    trail_is_whole(&place, &[]);
}
