//! `charter adopt rollback`: back by one step, to a named one, or to a run, in the order in which things were done.

use super::super::Invocation;
use super::super::show;
use super::apply::{compared, put_catalogue};
use super::desk::{Desk, Holder};
use super::here::text;
use super::legacy::{self, Looking};
use super::progress::Progress;
use super::record::Record;
use super::{here, plan, ready, runs};
use crate::client::Client;
use crate::failure::{Failure, Outcome, Result};
use crate::{installation, output};
use charter_adopt::module;
use clap::{Arg, ArgAction, Command};
use serde_json::{Value, json};

const TO: &str = "to";
const FROM: &str = "from";
const DISCARD: &str = "discard";
/// States of a run that can be taken back.
const STANDING: [&str; 4] = ["applied", "applying", "failed", "undoing"];
const STEPS: [&str; 3] = ["before", "schema", "data"];

pub fn command() -> Command {
    Command::new("rollback")
        .about("Take the last run back: whole, to one of its steps, or every run after a named one")
        .arg(plan::source())
        .arg(Arg::new(TO).long(TO).value_name("STEP").default_value("before").help(
            "before (nothing of the run is left), schema (its rows go, the codes stay), data (the proof alone goes), or run-N: every run \
             after that one goes",
        ))
        .arg(
            Arg::new(FROM)
                .long(FROM)
                .value_name("ADDRESS")
                .help("The other system's database: its tables are compared with what they came to before the run"),
        )
        .arg(
            Arg::new(DISCARD)
                .long(DISCARD)
                .action(ArgAction::SetTrue)
                .help("Let go of what people did since with what the run took over: roles, keys, sessions"),
        )
        .after_help("The other system's tables were never written, so it goes on as before. Stop asking this one first.")
}

enum To {
    Step(String),
    Run(u64),
}

fn to(invocation: &Invocation<'_>) -> Result<To> {
    let asked = invocation.matches.get_one::<String>(TO).map_or("before", String::as_str);
    if STEPS.contains(&asked) {
        return Ok(To::Step(asked.to_owned()));
    }
    let run = asked.strip_prefix("run-").and_then(|number| number.parse().ok());
    run.map(To::Run)
        .ok_or_else(|| Failure::new(format!("--to {asked}: before, schema, data, or run-N is expected")))
}

struct Taken {
    run: u64,
    removed: u64,
    lines: Vec<String>,
}

/// Takes runs back, the newest first.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let source = plan::source_of(invocation.matches)?;
    let to = to(invocation)?;
    if !installation::is_there(&invocation.loaded.configuration).await {
        return Err(Failure::new("there is no installation here: nothing was taken over"));
    }
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = back(invocation, &client, source.as_str(), &to).await;
    client.close().await?;
    let taken = done?;
    if invocation.is_json {
        let runs: Vec<Value> = taken
            .iter()
            .map(|it| json!({ "run": it.run, "removed": it.removed, "other_system": it.lines }))
            .collect();
        show::raw(&json!({ "runs": runs }));
        return Ok(Outcome::Good);
    }
    if taken.is_empty() {
        output::print(&format!("there is no run of {source} to take back"));
    }
    for it in taken {
        output::print(&format!("run {} was taken back: {} rows removed", it.run, it.removed));
        it.lines.iter().for_each(|line| output::print(line));
    }
    Ok(Outcome::Good)
}

async fn back(invocation: &Invocation<'_>, client: &Client, source: &str, to: &To) -> Result<Vec<Taken>> {
    let all = runs::all(client).await?;
    let standing =
        all.iter().filter(|run| text(run, "source") == source && STANDING.contains(&text(run, "state")));
    let (step, numbers): (&str, Vec<u64>) = match to {
        To::Step(step) => (step, standing.take(1).map(runs::number).collect()),
        To::Run(last) => {
            if !all.iter().any(|run| runs::number(run) == *last && text(run, "source") == source) {
                return Err(Failure::new(format!(
                    "there is no run {last} of {source}: charter adopt status shows them"
                )));
            }
            ("before", standing.map(runs::number).filter(|number| number > last).collect())
        }
    };
    let discard = invocation.matches.get_flag(DISCARD);
    let holder = Holder::take(&invocation.loaded.configuration.data)?;
    let mut taken = Vec::new();
    for number in numbers {
        let desk = Desk::of(client, &holder, number).await?;
        let mut progress = Progress::new("removing rows", 0);
        let removed = desk.undo(step, discard, |removed| progress.at(removed)).await?;
        drop(progress);
        let lines = match step {
            "before" => after_whole(invocation, client, number).await?,
            _ => Vec::new(),
        };
        taken.push(Taken { run: number, removed, lines });
    }
    Ok(taken)
}

/// What is done once nothing of a run is left.
async fn after_whole(invocation: &Invocation<'_>, client: &Client, number: u64) -> Result<Vec<String>> {
    let is_last = !runs::all(client).await?.iter().any(|run| STANDING.contains(&text(run, "state")));
    let own = here::own(client).await?;
    let without = module::without_permissions(&own);
    if is_last && own != without {
        put_catalogue(client, &without).await?;
    }
    let data = &invocation.loaded.configuration.data;
    let record = Record::of(data, u32::try_from(number).unwrap_or(u32::MAX)).map_err(Failure::new)?;
    let Some(record) = record else { return Ok(Vec::new()) };
    let record = Record { state: "undone".to_owned(), ..record };
    record.write(data).map_err(Failure::new)?;
    let Some(from) = invocation.matches.get_one::<String>(FROM) else {
        return Ok(vec!["the other system's tables were not looked at: --from compares them".to_owned()]);
    };
    let system = legacy::system_named(&record.system);
    let plan = runs::plan_of(client, number).await?;
    let mapping = legacy::parsed("the mapping of the run", &plan.mapping)?;
    let mut looking = Looking::open(&legacy::address(from)?, system, Some(&mapping)).await?;
    let now = ready::sums(&mut looking).await?;
    Ok(compared(&record.legacy.tables, &now))
}
