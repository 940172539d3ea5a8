//! `cargo xtask bench identity`: what signing in costs beside its hash, whether 200 people who sign in at once slow down a check by an API
//! key, what a full service holds in memory, and what a key costs beside better-auth. One server, filled once.

use super::load::{Client, Connection, now, request};
use super::server::{Server, cpu_of_children_microseconds};
use super::{Plan, build, median};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const USERS: usize = 1_000;
const KEYS: usize = 10_000;
const WITH_PASSWORD: usize = 200;
/// Sign-ins and bare hashes of one round.
const HASHES: u32 = 20;
/// Requests by key of one round.
const REQUESTS: usize = 2_000;
const PASSWORD: &str = "a password for one benchmark";
const IN: &str = "/api/v1/organizations/toys";

struct Filled {
    key: String,
}

fn login(number: usize) -> String {
    format!("person{number}@toys.example")
}

/// A request to sign in, as it comes from an address of its own through a proxy.
fn sign_in(number: usize, round: usize) -> Vec<u8> {
    let body = json!({ "login": login(number), "password": PASSWORD }).to_string();
    let from = format!("203.0.{}.{}", round % 250, number % 250 + 1);
    request("POST", "/api/v1/auth/login", &[("x-forwarded-for", &from)], &body)
}

fn called(connection: &mut Connection, bytes: &[u8]) -> Result<Value, String> {
    let answer = connection.call(bytes)?;
    if !(200..300).contains(&answer.status) {
        return Err(format!("{} {}", answer.status, answer.body));
    }
    Ok(serde_json::from_str(&answer.body).unwrap_or_default())
}

fn text(value: &Value, name: &str) -> Result<String, String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("no {name} in {value}"))
}

fn fill(server: &Server) -> Result<Filled, String> {
    let operator = format!("Bearer {}", server.operator_token()?);
    let mut connection = Connection::open(server.address)?;
    let mut post = |path: &str, body: &Value| {
        let bytes = request("POST", path, &[("authorization", &operator)], &body.to_string());
        called(&mut connection, &bytes).map_err(|flaw| format!("POST {path}: {flaw}"))
    };
    post(
        "/api/v1/organizations",
        &json!({ "key": "toys", "name": "Soft Toys Ltd", "enabled_modules": ["finance", "sales"] }),
    )?;
    for number in 0..USERS {
        post(&format!("{IN}/members"), &json!({ "login": login(number) }))?;
        let role = if number == 0 { "org_admin" } else { "accountant" };
        post(&format!("{IN}/assignments"), &json!({ "role": role, "subject": { "member": login(number) } }))?;
        if number < WITH_PASSWORD {
            post(&format!("/api/v1/users/{}/password", login(number)), &json!({ "password": PASSWORD }))?;
        }
    }
    let mut key = String::new();
    let mut bearer = String::new();
    for number in 0..KEYS {
        if number % 5_000 == 0 {
            // The sign-in is still a recent one for every key.
            let signed_in = called(&mut connection, &sign_in(0, 200 + number / 5_000))?;
            bearer = format!("Bearer {}", text(&signed_in, "access_token")?);
        }
        let body = json!({ "name": format!("key {number}"), "scopes": ["full"] }).to_string();
        let bytes = request("POST", "/api/v1/api-keys", &[("authorization", &bearer)], &body);
        let made = called(&mut connection, &bytes).map_err(|flaw| format!("key {number}: {flaw}"))?;
        key = text(&made, "token")?;
    }
    Ok(Filled { key })
}

/// Signing in beside its hash: the processor time of both, in turn.
fn beside_hash(server: &Server, program: &Path, rounds: usize) -> Result<(), String> {
    let mut connection = Connection::open(server.address)?;
    let mut ratios = Vec::new();
    let mut costs = Vec::new();
    for round in 0..rounds {
        let before = server.cpu_microseconds()?;
        for number in 0..HASHES as usize {
            called(&mut connection, &sign_in(number + 1, round))?;
        }
        let signed_in = server.cpu_microseconds()? - before;
        let before = cpu_of_children_microseconds()?;
        let status = Command::new(program).arg(HASHES.to_string()).output();
        status.map_err(|flaw| format!("{}: {flaw}", program.display()))?;
        let bare = cpu_of_children_microseconds()? - before;
        ratios.push(signed_in as f64 / bare as f64);
        costs.push(signed_in as f64 / f64::from(HASHES) / 1e3);
    }
    println!("| sign-in, CPU | {:.1} ms | {:.2} x bare argon2id | 1.15 |", median(costs), median(ratios));
    Ok(())
}

/// Checks by key while nobody and while 200 people sign in; milliseconds at the 99th of a hundred.
fn beside_crowd(server: &Server, filled: &Filled, rounds: usize) -> Result<(), String> {
    let bearer = format!("Bearer {}", filled.key);
    let body = r#"{"subject":"person1@toys.example","permission":"finance.accounts.read"}"#;
    let check = request("POST", &format!("{IN}/checks"), &[("authorization", &bearer)], body);
    let timed = |goes_on: &dyn Fn(usize) -> bool| -> Result<Vec<f64>, String> {
        let mut connection = Connection::open(server.address)?;
        let mut times = Vec::new();
        while goes_on(times.len()) {
            let begun = now();
            called(&mut connection, &check)?;
            times.push((now() - begun).as_secs_f64() * 1e3);
        }
        Ok(times)
    };
    let p99 = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN)
    };
    let (mut quiet, mut crowded, mut refused) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        quiet.push(p99(timed(&|count| count < REQUESTS)?));
        let is_over = AtomicBool::new(false);
        let (times, statuses) = thread::scope(|scope| {
            let people: Vec<_> = (0..WITH_PASSWORD)
                .map(|number| {
                    scope.spawn(move || {
                        let mut connection = Connection::open(server.address)?;
                        connection.call(&sign_in(number, 100 + round)).map(|answer| answer.status)
                    })
                })
                .collect();
            let checks = scope.spawn(|| timed(&|_| !is_over.load(Ordering::Relaxed)));
            let statuses: Result<Vec<u16>, String> = people
                .into_iter()
                .map(|one| one.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())))
                .collect();
            is_over.store(true, Ordering::Relaxed);
            let times = checks.join().unwrap_or_else(|_| Err("a thread panicked".to_owned()));
            (times, statuses)
        });
        let statuses = statuses?;
        if let Some(other) = statuses.iter().find(|status| !matches!(status, 200 | 503)) {
            return Err(format!("a sign-in was answered {other}"));
        }
        refused += statuses.iter().filter(|status| **status == 503).count();
        crowded.push(p99(times?));
    }
    println!(
        "| check by key, p99 | {:.2} ms, {:.2} ms beside 200 sign-ins at once ({} of {} told to wait) | | 10 ms |",
        median(quiet),
        median(crowded),
        refused,
        rounds * WITH_PASSWORD
    );
    Ok(())
}

/// What a check in process costs by texts, in nanoseconds of processor time: what so many more of them add.
fn check_in_process(root: &Path) -> Result<f64, String> {
    /// Rounds of so many questions.
    const ROUNDS: u64 = 300;
    const QUESTIONS: f64 = 100_000.0;
    let cost = |rounds: u64| -> Result<u64, String> {
        let before = cpu_of_children_microseconds()?;
        let status = Command::new("cargo")
            .args([
                "bench",
                "--quiet",
                "--profile",
                "release",
                "--package",
                "charter-policy",
                "--bench",
                "check",
            ])
            .args(["--", "loops", &rounds.to_string(), "texts"])
            .current_dir(root)
            .status();
        match status {
            Ok(status) if status.success() => Ok(cpu_of_children_microseconds()? - before),
            Ok(status) => Err(format!("the bench of checks ended with {status}")),
            Err(flaw) => Err(format!("cargo: {flaw}")),
        }
    };
    // The first run builds it.
    cost(1)?;
    let few = cost(ROUNDS)?;
    Ok(cost(2 * ROUNDS)?.saturating_sub(few) as f64 * 1e3 / (ROUNDS as f64 * QUESTIONS))
}

/// A key and a check beside better-auth, where its packages are installed.
fn beside_better_auth(server: &Server, filled: &Filled, root: &Path, rounds: usize) -> Result<(), String> {
    let folder = root.join("bench/better-auth");
    if !folder.join("node_modules").is_dir() {
        println!("\nbetter-auth is left out: `npm ci --prefix bench/better-auth` installs it");
        return Ok(());
    }
    let bearer = format!("Bearer {}", filled.key);
    let body = r#"{"subject":"person1@toys.example","permission":"finance.accounts.read"}"#;
    let check = request("POST", &format!("{IN}/checks"), &[("authorization", &bearer)], body);
    // Busy, as better-auth is while it is measured.
    let mut client = Client::open(server.address)?;
    let mut costs = Vec::new();
    for _ in 0..rounds {
        let before = server.cpu_microseconds()?;
        let (count, _) = client.run(&check, 200, Duration::from_millis(500))?;
        costs.push((server.cpu_microseconds()? - before) as f64 / count.max(1) as f64);
    }
    let own = median(costs);
    let output = Command::new("node").arg("measure.mjs").arg("500").current_dir(&folder).output();
    let output = output.map_err(|flaw| format!("node: {flaw}"))?;
    let told: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("better-auth: {}", String::from_utf8_lossy(&output.stderr)))?;
    let cost = |name: &str| told.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    println!(
        "| key and check over HTTP, CPU | {own:.0} us | 1/{:.0} of better-auth's key alone, in process ({:.0} us) | 1/40 |",
        cost("api_key_us") / own,
        cost("api_key_us")
    );
    let check = check_in_process(root)?;
    println!(
        "| check by texts, in process, CPU | {check:.0} ns | 1/{:.0} of better-auth's permission check ({:.0} us) | 1/100 |",
        cost("permission_us") * 1e3 / check,
        cost("permission_us")
    );
    Ok(())
}

/// Runs all of it.
pub fn run(root: &Path, plan: &Plan) -> Result<(), String> {
    let folder = build(root)?;
    let data = std::env::temp_dir().join(format!("charter-bench-{}", std::process::id()));
    // A proxy is trusted, so that each sign-in comes from an address of its own.
    let server = Server::charter_behind_proxy(&folder.join("charter"), data)?;
    println!("filling an organization with {USERS} users and {KEYS} keys");
    let filled = fill(&server)?;
    println!("\n| | | beside | goal |\n|---|---|---|---|");
    println!(
        "| {USERS} users and {KEYS} keys, resident | {:.1} MB | | 60 MB |",
        server.resident_bytes()? as f64 / 1e6
    );
    beside_hash(&server, &folder.join("examples/argon2id"), plan.rounds)?;
    beside_crowd(&server, &filled, plan.rounds.min(5))?;
    println!("| the same, resident in the crowd | {:.1} MB | | |", server.resident_bytes()? as f64 / 1e6);
    // What the hashes held goes back a second after the last, and threads that nothing waits for end.
    thread::sleep(Duration::from_secs(15));
    println!("| the same, 15 s after the crowd | {:.1} MB | | |", server.resident_bytes()? as f64 / 1e6);
    beside_better_auth(&server, &filled, root, plan.rounds)
}
