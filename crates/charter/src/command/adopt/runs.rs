//! Runs that are kept, and `charter adopt status`.

use super::super::Invocation;
use super::super::show;
use super::desk;
use super::desk::{every_page, send};
use super::here::text;
use super::plan;
use crate::client::{Call, Client};
use crate::config::Configuration;
use crate::failure::{Failure, Outcome, Result};
use crate::folder::Folder;
use crate::{installation, output};
use charter_adopt::plan::Plan;
use charter_app::adoption;
use charter_db::{Database, Options};
use charter_kernel::{Key, counted};
use clap::Command;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Lines of why a step failed that are told.
const LINES_MAX: usize = 12;

/// All runs, the newest first.
pub async fn all(client: &Client) -> Result<Vec<Value>> {
    let list = Call::new("GET", "/api/v1/adoption/runs").ask("limit", "200");
    let mut runs = every_page(client, list).await?;
    runs.sort_by_key(|run| std::cmp::Reverse(number(run)));
    Ok(runs)
}

/// States of a run that keeps others from beginning.
pub const UNDER_WAY: [&str; 2] = ["applying", "undoing"];

/// The number of a run.
pub fn number(run: &Value) -> u64 {
    run.get("run").and_then(Value::as_u64).unwrap_or(0)
}

/// The newest run of a source in one of these states.
pub async fn newest(client: &Client, source: &Key, states: &[&str]) -> Result<Option<Value>> {
    let is_it = |run: &Value| text(run, "source") == source.as_str() && states.contains(&text(run, "state"));
    Ok(all(client).await?.into_iter().find(is_it))
}

/// The plan that a run carried out.
pub async fn plan_of(client: &Client, number: u64) -> Result<Plan> {
    let whole = send(client, &Call::new("GET", format!("/api/v1/adoption/runs/{number}"))).await?.json()?;
    serde_json::from_value(whole.get("plan").cloned().unwrap_or_default()).map_err(|flaw| {
        Failure::new(format!("the plan of run {number} was made by another version of this program: {flaw}"))
    })
}

/// A run by its number and source.
pub fn named(run: &Value) -> String {
    format!("run {} of {}", number(run), text(run, "source"))
}

/// What is so of a run under way.
pub fn under_way(run: &Value) -> String {
    if text(run, "state") == "undoing" {
        return "is being taken back".to_owned();
    }
    format!("was begun and is not done (stage {})", stage(run))
}

/// The stage that a run is in.
fn stage(run: &Value) -> &'static str {
    const STEPS: [&str; 4] = ["before", "schema", "data", "equivalence"];
    let steps = run.get("steps").and_then(Value::as_array);
    let is_done = |step: &str| {
        let mut own = steps.into_iter().flatten().filter(|it| text(it, "step") == step);
        own.any(|it| text(it, "state") == "done")
    };
    STEPS.into_iter().find(|step| !is_done(step)).unwrap_or("equivalence")
}

/// What was broken off, and how it goes on; nothing where somebody is at work.
fn broken_off(run: &Value, configuration: &Configuration) -> Option<String> {
    let state = text(run, "state");
    if !UNDER_WAY.contains(&state) || desk::is_at_work(run, &configuration.data, installation::now()) {
        return None;
    }
    let back = rollback(run);
    Some(match state {
        "undoing" => format!("taking it back was broken off: {back} goes on"),
        _ => format!(
            "broken off in {}: charter adopt apply goes on with its plan, {back} takes it back",
            stage(run)
        ),
    })
}

/// What the rows of a step are.
fn rows_told(step: &Value) -> String {
    let count = step.get("row_count").and_then(Value::as_u64).unwrap_or(0);
    match text(step, "step") {
        "schema" => counted(count, "table", "tables"),
        "equivalence" => counted(count, "user", "users"),
        _ => counted(count, "row", "rows"),
    }
}

/// How a run is taken back.
pub fn rollback(run: &Value) -> String {
    match text(run, "source") {
        "legacy" => "charter adopt rollback".to_owned(),
        source => format!("charter adopt rollback --source {source}"),
    }
}

/// Whether a run stands without its proof, as it was taken back to that on purpose.
fn is_unproved(run: &Value) -> bool {
    text(run, "state") == "failed" && text(run, "back_to") == "data"
}

/// Why a plan cannot begin: another run is under way, or stands without its proof, and is finished or taken back first.
pub async fn in_the_way(client: &Client, plan: &Plan) -> Result<Option<String>> {
    let is_other = |run: &Value| {
        let is_own = text(run, "state") != "undoing" && text(run, "plan_hash") == plan.hash;
        let is_unproved = is_unproved(run) && text(run, "source") == plan.source.as_str();
        (UNDER_WAY.contains(&text(run, "state")) || is_unproved) && !is_own
    };
    let Some(run) = all(client).await?.into_iter().find(is_other) else { return Ok(None) };
    let (who, how, back) = (named(&run), under_way(&run), rollback(&run));
    let is_same_source = text(&run, "source") == plan.source.as_str();
    Ok(Some(if text(&run, "state") == "undoing" {
        format!("{who} {how}: {back} goes on with that; then plan again")
    } else if is_unproved(&run) {
        format!(
            "{who} was taken back to the step data, and stands without its proof: prove it again with its own plan, charter adopt apply --plan \
             FILE, or take all of it back, {back}; then plan again"
        )
    } else if is_same_source && text(&run, "facts_fingerprint") != plan.facts {
        format!(
            "{who} {how}, and the other system has other rows by now, so it cannot go on: take it back, {back}, and plan again"
        )
    } else {
        format!(
            "{who} {how}: finish it with its own plan, charter adopt apply --plan FILE, or take it back, {back}; then plan again"
        )
    }))
}

/// Those of these roles that an earlier plan of the source knew.
pub async fn known_roles(
    client: &Client,
    source: &Key,
    mut wanted: BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    if wanted.is_empty() {
        return Ok(known);
    }
    for run in all(client).await?.iter().filter(|run| text(run, "source") == source.as_str()) {
        // The plan of another version says nothing here.
        let Ok(plan) = plan_of(client, number(run)).await else { continue };
        let mut found: BTreeSet<String> = plan.roles.into_iter().map(|role| role.name).collect();
        found.extend(plan.gone_roles);
        known.extend(wanted.iter().filter(|name| found.contains(*name)).cloned());
        wanted.retain(|name| !found.contains(name));
        if wanted.is_empty() {
            break;
        }
    }
    Ok(known)
}

pub fn command() -> Command {
    Command::new("status").about("Show what was taken over: each run with its steps").arg(plan::source())
}

/// Shows the runs of a source.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let source = plan::source_of(invocation.matches)?;
    if !installation::is_there(&invocation.loaded.configuration).await {
        return Err(Failure::new("there is no installation here: nothing was taken over"));
    }
    let runs = match beside(&invocation.loaded.configuration, &source).await {
        Some(runs) => runs,
        None => {
            let client = Client::connect(&invocation.loaded.configuration).await?;
            let told = runs_of(&client, &source).await;
            client.close().await?;
            told?
        }
    };
    if invocation.is_json {
        show::raw(&json!({ "items": runs }));
        return Ok(Outcome::Good);
    }
    if runs.is_empty() {
        output::print(&format!(
            "nothing was taken over from {source} yet: charter adopt inspect --from ADDRESS tells what is there"
        ));
        return Ok(Outcome::Good);
    }
    let mut told = String::new();
    for run in &runs {
        let broken_off = broken_off(run, &invocation.loaded.configuration);
        let state = match text(run, "back_to") {
            "" if broken_off.is_some() => "broken off".to_owned(),
            "" => text(run, "state").to_owned(),
            step => format!("taken back to the step {step}"),
        };
        told.push_str(&format!(
            "run {} of {}: {state}, begun {}\n",
            number(run),
            text(run, "source"),
            output::to_the_second(text(run, "started_at"))
        ));
        for step in run.get("steps").and_then(Value::as_array).into_iter().flatten() {
            let state = match text(step, "state") {
                "running" if broken_off.is_some() => "broken off",
                state => state,
            };
            told.push_str(&format!("  {:<12} {state:<8} {}\n", text(step, "step"), rows_told(step)));
            told.push_str(&why(text(step, "error")));
        }
        if let Some(broken_off) = broken_off {
            told.push_str(&output::wrapped("  ", &broken_off));
        }
    }
    output::print(told.trim_end());
    Ok(Outcome::Good)
}

/// Why a step failed: the first lines of it, each by itself.
fn why(error: &str) -> String {
    let lines: Vec<&str> = error.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut told = String::new();
    for line in lines.iter().take(LINES_MAX) {
        let inner = line.len() - line.trim_start().len();
        told.push_str(&output::wrapped(&" ".repeat(4 + inner), line));
    }
    let left = lines.len().saturating_sub(LINES_MAX);
    if left > 0 {
        told.push_str(&format!(
            "    and {} (--json has all)\n",
            counted(left as u64, "line more", "lines more")
        ));
    }
    told
}

/// The runs of a source beside a command that works on the database: as they stand there, for there is nobody to be asked. Nothing where no
/// command does, or where they cannot be read; then whoever asks waits for it.
async fn beside(configuration: &Configuration, source: &Key) -> Option<Vec<Value>> {
    if configuration.url.is_some() || !Folder::at(&configuration.data).is_taken_by_a_command() {
        return None;
    }
    let options = Options { pool_size: 1, ..installation::options(configuration) };
    let database = Database::open_to_read(&options).await.ok()?;
    let found = adoption::look(&database, source).await;
    let _closed = database.close().await;
    Some(found.ok()?.into_iter().map(charter_api::adoption::told).collect())
}

async fn runs_of(client: &Client, source: &Key) -> Result<Vec<Value>> {
    let mut runs = Vec::new();
    for run in all(client).await?.into_iter().filter(|run| text(run, "source") == source.as_str()) {
        let call = Call::new("GET", format!("/api/v1/adoption/runs/{}", number(&run)));
        let mut run = send(client, &call).await?.json()?;
        run.as_object_mut().and_then(|run| run.remove("plan"));
        runs.push(run);
    }
    Ok(runs)
}
