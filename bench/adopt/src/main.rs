//! A million users of another system taken over on PostgreSQL: how long each command takes and what it weighs, and what an application that
//! works on the other system's tables meanwhile feels of it.
//!
//! `cargo run --release --bin adopt -- --charter PATH --server URL [--own URL] [--users N] [--load N] [--data FOLDER]`. The server gets two
//! databases of its own, which are dropped first if they are there; with `--own` Charter's is on that other one. With `--load` an application asks as many questions a second beside each command,
//! which is stopped every other two seconds: waits beside it and alone come from the same minutes.

mod application;
mod company;
mod run;

use application::{Application, Beside};
use std::path::PathBuf;
use std::time::Duration;

/// How long the application works before anything counts.
const WARM: Duration = Duration::from_secs(10);

/// Permissions of the shipped catalogue, each of which is compared for every user.
const PERMISSIONS: f64 = 445.0;

pub struct Arguments {
    charter: PathBuf,
    server: String,
    own: Option<String>,
    users: u64,
    load: u64,
    data: PathBuf,
}

fn arguments() -> Arguments {
    let mut found = Arguments {
        charter: "../target/release/charter".into(),
        server: String::new(),
        own: None,
        users: 1_000_000,
        load: 0,
        data: std::env::temp_dir().join("charter-bench-adopt"),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().expect("a value after each flag");
        match word.as_str() {
            "--charter" => found.charter = value.into(),
            "--server" => found.server = value,
            "--own" => found.own = Some(value),
            "--users" => found.users = value.parse().expect("a number"),
            "--load" => found.load = value.parse().expect("a number"),
            "--data" => found.data = value.into(),
            other => panic!("{other} is not known: use --charter, --server, --own, --users, --load, --data"),
        }
    }
    assert!(!found.server.is_empty(), "--server URL: an administrator's address, as postgres://postgres@/postgres?host=/run/postgresql");
    found
}

#[tokio::main]
async fn main() {
    let asked = arguments();
    let company = company::make(&asked.server, asked.own.as_deref().unwrap_or(&asked.server), asked.users).await;
    println!("{} users with ten roles in {} organizations", asked.users, company.organizations);
    let application = if asked.load > 0 { Some(Application::start(&company, asked.load).await) } else { None };
    if let Some(application) = &application {
        // Its connections and the cache are warm when it counts.
        application.beside(Beside::Change);
        tokio::time::sleep(WARM).await;
    }
    let _ = std::fs::remove_dir_all(&asked.data);
    std::fs::create_dir_all(&asked.data).expect("the folder of the run");
    let map = asked.data.join("roles.toml");
    let plan = asked.data.join("plan.json");
    let (map, plan) = (map.to_str().expect("a path"), plan.to_str().expect("a path"));
    let other = company.other.as_str();
    let steps: [(&str, &[&str]); 4] = [
        ("inspect", &["inspect", "--from", other, "--propose", map]),
        ("plan", &["plan", "--from", other, "--map", map, "--out", plan]),
        ("apply", &["apply", "--plan", plan, "--from", other, "--no-backup", "bench"]),
        ("verify", &["verify", "--from", other]),
    ];
    for (name, words) in steps {
        let ran = run::run(&asked, &company.own, words, application.as_ref()).await;
        println!("{name}: {:.1} s, {} MB at most", ran.took.as_secs_f64(), ran.most_bytes / 1_000_000);
        if name == "verify" {
            let pairs = asked.users as f64 * PERMISSIONS / ran.took.as_secs_f64();
            println!("  {:.1} million pairs of user and permission a second, reading included", pairs / 1e6);
        }
        if let Some(application) = &application {
            application.told();
        }
    }
}
