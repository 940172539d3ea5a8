//! A million users in a hundred thousand organizations, on SQLite or PostgreSQL: how long one organization takes after a start, how long all
//! of them, and what they weigh.
//!
//! `cargo run --release --bin load -- [--database URL] [--organizations N] [--loaders N]`. An empty database is filled first; one that this
//! program filled before is used as it is. On PostgreSQL the filling needs a superuser, who alone may put off the checks of references.

mod fill;

use charter_app::identity::{self, Secrets};
use charter_app::{App, Settings, World};
use charter_db::{Database, Options, Scope, Statement};
use charter_kernel::OrganizationId;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Members of each organization.
pub const MEMBERS: usize = 10;

struct Arguments {
    database: String,
    organizations: usize,
    loaders: usize,
}

fn arguments() -> Arguments {
    let mut found =
        Arguments { database: "sqlite://bench-load.sqlite".into(), organizations: 100_000, loaders: 2 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().expect("a value after each flag");
        match word.as_str() {
            "--database" => found.database = value,
            "--organizations" => found.organizations = value.parse().expect("a number"),
            "--loaders" => found.loaders = value.parse().expect("a number"),
            other => panic!("{other} is not known: use --database, --organizations, --loaders"),
        }
    }
    found
}

async fn open(url: &str) -> App {
    let secrets = Secrets { key_encryption_key: [7; 32], pepper: [8; 32] };
    let settings = Settings {
        database: options(url),
        migrate: true,
        max_staleness_seconds: 3600,
        drop_unused_seconds: 3600,
        identity: identity::Settings::new("https://bench.example", secrets),
    };
    App::open(settings, World::system()).await.expect("the application opens")
}

fn options(url: &str) -> Options {
    Options { durable: false, statement_timeout: Duration::from_secs(600), ..Options::new(url) }
}

async fn one(database: &Database, text: &'static str) -> i64 {
    let statement = Statement::new(text);
    let row = database.query_one(Scope::Installation, &statement, &[]).await.expect("a count");
    row.get(0).expect("a number")
}

/// Memory the process itself holds; pages of the database's file that it has mapped are not its own.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<usize>().ok()).unwrap_or(0) * 1024
}

#[tokio::main]
async fn main() {
    let Arguments { database: url, organizations, loaders } = arguments();
    let app = open(&url).await;
    if one(app.database(), "select count(*) from organizations").await < organizations as i64 {
        let begun = Instant::now();
        fill::fill(app.database(), organizations).await;
        println!("filled in {:.1} s", begun.elapsed().as_secs_f64());
    }
    let middle = fill::organization_id(organizations / 2);
    app.close().await.expect("it closes");
    drop(app);

    let begun = Instant::now();
    let app = open(&url).await;
    let opened = begun.elapsed();
    let now = app.now();
    let snapshot = app.snapshots().snapshot(middle, now).await.expect("the organization is there");
    println!(
        "start {:.0} ms, one organization of {} members servable {:.1} ms later",
        opened.as_secs_f64() * 1e3,
        snapshot.shard().member_count(),
        (begun.elapsed() - opened).as_secs_f64() * 1e3
    );
    drop(snapshot);
    app.close().await.expect("it closes");
    drop(app);

    let mut times = Vec::new();
    let mut before = resident_bytes();
    for round in 0..3 {
        let app = open(&url).await;
        if round == 0 {
            before = resident_bytes();
        }
        let begun = Instant::now();
        let warmed = warm(&app, loaders).await;
        times.push(begun.elapsed().as_secs_f64());
        assert!(warmed >= organizations as u64, "{warmed} of {organizations} organizations loaded");
        if round == 0 {
            let users = organizations * MEMBERS;
            let (bytes, count) = app.snapshots().memory();
            println!(
                "{count} organizations in memory: {:.1} bytes a user by count, {:.1} by resident memory",
                bytes as f64 / users as f64,
                (resident_bytes() - before) as f64 / users as f64
            );
        }
        let one: OrganizationId = fill::organization_id(7);
        assert!(app.snapshots().in_memory(one, app.now()).is_some());
        app.close().await.expect("it closes");
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{} users in {organizations} organizations loaded and compiled by {loaders} loaders in {:.2} s (least {:.2} s)",
        organizations * MEMBERS,
        times[times.len() / 2],
        times[0]
    );
}

async fn warm(app: &App, loaders: usize) -> u64 {
    let plan = Arc::new(app.plan_warming().await.expect("a plan"));
    let tasks: Vec<_> = (0..loaders)
        .map(|_| {
            let (app, plan) = (app.clone(), plan.clone());
            tokio::spawn(async move { app.warm(&plan).await.expect("it loads") })
        })
        .collect();
    let mut warmed = 0;
    for task in tasks {
        warmed += task.await.expect("a loader ends");
    }
    warmed
}
