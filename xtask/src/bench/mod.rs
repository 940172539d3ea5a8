//! `cargo xtask bench http`: Charter over HTTP beside an empty axum handler, in the same run. Both are processes of their own on
//! loopback, driven by the same client in turn, round after round; what is printed are medians of the rounds' ratios.

mod identity;
mod load;
mod server;

use load::{Client, Connection, request};
use server::{Credentials, Server};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const USAGE: &str = "usage: cargo xtask bench http [--rounds N] [--milliseconds N] [--only WORDS] | cargo xtask bench identity [--rounds N]";

/// How long and how often is measured.
struct Plan {
    rounds: usize,
    span: Duration,
    only: Option<String>,
    is_of_identity: bool,
}

impl Plan {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut plan =
            Self { rounds: 11, span: Duration::from_millis(500), only: None, is_of_identity: false };
        let mut rest = arguments.iter();
        match rest.next().map(String::as_str) {
            Some("http") => {}
            Some("identity") => plan.is_of_identity = true,
            _ => return Err(USAGE.to_owned()),
        }
        while let Some(name) = rest.next() {
            let value = rest.next();
            if name == "--only" {
                plan.only = Some(value.ok_or(USAGE)?.clone());
                continue;
            }
            let number = value.and_then(|text| text.parse::<u64>().ok()).filter(|number| *number > 0);
            match (name.as_str(), number) {
                ("--rounds", Some(number)) => plan.rounds = usize::try_from(number).unwrap_or(usize::MAX),
                ("--milliseconds", Some(number)) => plan.span = Duration::from_millis(number),
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(plan)
    }
}

/// One kind of request to one server.
struct Case {
    name: &'static str,
    is_baseline: bool,
    request: Vec<u8>,
    status: u16,
    rounds: Vec<Round>,
}

/// What one round of one case measured.
#[derive(Clone, Copy)]
struct Round {
    per_second: f64,
    cpu_microseconds: f64,
}

/// Runs the benchmark and prints its table.
///
/// # Errors
/// When a server does not start or answers otherwise than expected.
pub fn run(root: &Path, arguments: &[String]) -> Result<(), String> {
    let plan = Plan::read(arguments)?;
    if plan.is_of_identity {
        return identity::run(root, &plan);
    }
    let folder = build(root)?;
    let is_pinned = pin_self();
    let empty = Server::empty(&folder.join("examples/empty_handler"), is_pinned)?;
    let data = std::env::temp_dir().join(format!("charter-bench-{}", std::process::id()));
    let charter = Server::charter(&folder.join("charter"), data, is_pinned)?;
    println!("filling an organization");
    let credentials = server::fill(&charter)?;
    let mut cases = cases(&charter, &credentials)?;
    if let Some(words) = &plan.only {
        cases.retain(|case| case.name.starts_with("empty handler") || case.name.contains(words.as_str()));
    }
    println!("measuring process {}", charter.pid());
    let (mut to_empty, mut to_charter) = (Client::open(empty.address)?, Client::open(charter.address)?);
    // The first round warms up and is forgotten.
    for round in 0..=plan.rounds {
        for case in &mut cases {
            let (server, client) =
                if case.is_baseline { (&empty, &mut to_empty) } else { (&charter, &mut to_charter) };
            let before = server.cpu_microseconds()?;
            let (count, span) = client
                .run(&case.request, case.status, plan.span)
                .map_err(|flaw| format!("{}: {flaw}", case.name))?;
            let cpu = server.cpu_microseconds()? - before;
            if round > 0 {
                case.rounds.push(Round {
                    per_second: count as f64 / span.as_secs_f64(),
                    cpu_microseconds: cpu as f64 / count.max(1) as f64,
                });
            }
        }
    }
    report(&cases, is_pinned);
    Ok(())
}

/// Builds both servers; gives the folder they are in.
fn build(root: &Path) -> Result<std::path::PathBuf, String> {
    let status = Command::new("cargo")
        .args(["build", "--release", "-p", "charter", "-p", "charter-api", "--bin", "charter"])
        .args(["-p", "charter-app", "--example", "empty_handler", "--example", "argon2id"])
        .current_dir(root)
        .status()
        .map_err(|flaw| format!("cargo cannot be run: {flaw}"))?;
    if !status.success() {
        return Err("the servers do not build".to_owned());
    }
    let metadata = crate::floors::metadata(root)?;
    let target = metadata.get("target_directory").and_then(serde_json::Value::as_str).unwrap_or("target");
    Ok(Path::new(target).join("release"))
}

/// Keeps this process off the first processor, which the servers get for themselves.
fn pin_self() -> bool {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let moved = || {
        let rest = format!("1-{}", processors - 1);
        Command::new("taskset").args(["-a", "-c", "-p", &rest, &std::process::id().to_string()]).output()
    };
    processors > 1 && moved().is_ok_and(|output| output.status.success())
}

fn evaluation(number: usize) -> String {
    format!(
        r#"{{"subject":{{"type":"user","id":"person{number}@toys.example"}},"action":{{"name":"read"}},"resource":{{"type":"account","id":"{}"}}}}"#,
        1000 + number
    )
}

fn cases(charter: &Server, credentials: &Credentials) -> Result<Vec<Case>, String> {
    let [operator, service, access, key] =
        [&credentials.operator, &credentials.service, &credentials.access, &credentials.key]
            .map(|token| format!("Bearer {token}"));
    let mut connection = Connection::open(charter.address)?;
    let mut cases = Vec::new();
    let one = evaluation(0);
    for (name, path) in [("empty handler", "/empty"), ("empty handler that reads the body", "/reading")] {
        let request = request("POST", path, &[], &one);
        cases.push(Case { name, is_baseline: true, request, status: 200, rounds: Vec::new() });
    }
    let items: Vec<String> = (0..100).map(evaluation).collect();
    let batch = format!(r#"{{"evaluations":[{}]}}"#, items.join(","));
    let check = r#"{"subject":"person0@toys.example","permission":"finance.accounts.read"}"#;
    let here = "/organizations/toys/access/v1/evaluation";
    let mut add = |name, method, path, headers: &[(&str, &str)], body: &str, status, shows| {
        let request = request(method, path, headers, body);
        let answer = connection.call(&request)?;
        if answer.status != status || !answer.body.contains(shows) {
            return Err(format!("{name}: {} {}", answer.status, answer.body));
        }
        cases.push(Case { name, is_baseline: false, request, status, rounds: Vec::new() });
        Ok(answer)
    };
    let [operator, service, access, key] =
        [&*operator, &*service, &*access, &*key].map(|bearer| ("authorization", bearer));
    let yes = r#""decision":true"#;
    add("evaluation, operator's token", "POST", here, &[operator], &one, 200, yes)?;
    add("evaluation, service token", "POST", "/access/v1/evaluation", &[service], &one, 200, yes)?;
    add("evaluation, API key", "POST", "/access/v1/evaluation", &[key], &one, 200, yes)?;
    add("evaluation, access token", "POST", "/access/v1/evaluation", &[access], &one, 200, yes)?;
    add(BATCH, "POST", "/access/v1/evaluations", &[service], &batch, 200, yes)?;
    let records: Vec<String> =
        (1000..1100).map(|id| format!(r#"{{"resource":{{"type":"account","id":"{id}"}}}}"#)).collect();
    let list = format!(
        r#"{{"subject":{{"type":"user","id":"person0@toys.example"}},"action":{{"name":"read"}},"evaluations":[{}]}}"#,
        records.join(",")
    );
    add(LIST, "POST", "/access/v1/evaluations", &[service], &list, 200, yes)?;
    let checks = "/api/v1/organizations/toys/checks";
    add("check, service token", "POST", checks, &[service], check, 200, r#""allow""#)?;
    let (mine, bitmap) = ("/api/v1/me/permissions", ("accept", "application/vnd.charter.bitmap"));
    let first = connection_of(charter)?.call(&request("GET", mine, &[access, bitmap], ""))?;
    let etag = first.etag.ok_or("the bitmap has no ETag")?;
    add(
        "own permissions, unchanged (304)",
        "GET",
        mine,
        &[access, bitmap, ("if-none-match", &etag)],
        "",
        304,
        "",
    )?;
    Ok(cases)
}

const BATCH: &str = "batch of 100 questions, service token";
const LIST: &str = "batch of 100 records for one subject, service token";

fn connection_of(server: &Server) -> Result<Connection, String> {
    Connection::open(server.address)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(cases: &[Case], is_pinned: bool) {
    let Some(baseline) = cases.first() else { return };
    let over = |case: &Case, of: fn(&Round) -> f64| {
        median(case.rounds.iter().zip(&baseline.rounds).map(|(own, base)| of(own) / of(base)).collect())
    };
    let place = if is_pinned { "one processor a server, another for the client" } else { "nothing pinned" };
    println!("\n{} rounds, {place}\n", baseline.rounds.len());
    println!("| request | requests/s | of empty | CPU us/request | of empty |\n|---|---:|---:|---:|---:|");
    for case in cases {
        println!(
            "| {} | {:.0} | {:.2} | {:.1} | {:.2} |",
            case.name,
            median(case.rounds.iter().map(|round| round.per_second).collect()),
            over(case, |round| round.per_second),
            median(case.rounds.iter().map(|round| round.cpu_microseconds).collect()),
            over(case, |round| round.cpu_microseconds),
        );
    }
    let find = |name: &str| cases.iter().find(|case| case.name == name);
    for name in [BATCH, LIST] {
        let (Some(batch), Some(one)) = (find(name), find("evaluation, service token")) else { continue };
        let pairs = batch.rounds.iter().zip(&one.rounds);
        let ratio = median(pairs.map(|(batch, one)| batch.cpu_microseconds / one.cpu_microseconds).collect());
        println!("\n{name}: {ratio:.1} times the CPU of one evaluation");
    }
}
