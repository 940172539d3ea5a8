//! `charter adopt rollback`: back by one step, to a named one, or to a run, in the order in which things were done.

use super::super::Invocation;
use super::super::show;
use super::catalogue;
use super::desk::{Desk, Holder, Undone};
use super::here::text;
use super::interrupt::{self, Stop};
use super::legacy::{self, Looking};
use super::progress::Progress;
use super::record::Record;
use super::rollback_preview::{self, Preview};
use super::telling::compared;
use super::{here, plan, ready, runs};
use crate::client::Client;
use crate::failure::{Failure, Outcome, Result};
use crate::{installation, output};
use charter_adopt::mapping::Mapping;
use charter_adopt::module;
use charter_adopt::plan::{Plan, more};
use charter_db::foreign::Share;
use charter_kernel::counted;
use clap::{Arg, ArgAction, Command};
use serde_json::{Value, json};
use std::cell::RefCell;

const TO: &str = "to";
const FROM: &str = "from";
const DISCARD: &str = "discard";
const DRY_RUN: &str = "dry_run";
/// States of a run that can be taken back.
const STANDING: [&str; 4] = ["applied", "applying", "failed", "undoing"];
/// The step of which nothing is left.
const WHOLE: &str = "before";
const STEPS: [&str; 3] = [WHOLE, "schema", "data"];
/// Organizations that are told by their keys.
pub const TOLD_MAX: usize = 10;

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
                .help(
                    "Let go of what people did since with what the run took over: roles, keys, sessions; and of organizations in shadow mode or cut over",
                ),
        )
        .arg(
            Arg::new(DRY_RUN)
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .conflicts_with(FROM)
                .help("Say what would go and what would be put back, and write nothing"),
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

#[derive(Default)]
struct Taken {
    run: u64,
    undone: Undone,
    lines: Vec<String>,
}

/// How far a rollback came.
#[derive(Default)]
struct Reached {
    taken: Vec<Taken>,
    /// The run that is being taken back, and how many rows of it went.
    at: Option<(u64, u64)>,
    /// How many are to be taken back.
    wanted: usize,
}

impl Reached {
    /// What was done, for somebody who has to go on.
    fn told(&self) -> String {
        let numbers: Vec<String> = self.taken.iter().map(|it| it.run.to_string()).collect();
        let whole = match numbers.len() {
            0 => "no run was taken back wholly".to_owned(),
            1 => format!("run {} was taken back", numbers.concat()),
            _ => format!("runs {} were taken back", numbers.join(", ")),
        };
        let rows = |rows| counted(rows, "row is gone or put back", "rows are gone or put back");
        let begun = self.at.filter(|(_, gone)| *gone > 0);
        let begun = begun.map(|(run, gone)| format!(", run {run} is begun ({})", rows(gone)));
        let more = match self.wanted > self.taken.len() || self.wanted == 0 {
            true => "the same command goes on",
            false => "nothing is left to be taken back",
        };
        format!("{whole}{}; {more}", begun.unwrap_or_default())
    }
}

/// Takes runs back, the newest first.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let source = plan::source_of(invocation.matches)?;
    let to = to(invocation)?;
    let from = invocation.matches.get_one::<String>(FROM);
    let from = from.map(|from| legacy::address(from)).transpose()?;
    if !installation::is_there(&invocation.loaded.configuration).await {
        return Err(Failure::new("there is no installation here: nothing was taken over"));
    }
    if !invocation.matches.get_flag(DRY_RUN) {
        Holder::nobody(&invocation.loaded.configuration.data)?;
    }
    let mut stop = Stop::listen()?;
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let reached = RefCell::new(Reached::default());
    let work = Work { invocation, client: &client, from: from.as_deref(), reached: &reached };
    if invocation.matches.get_flag(DRY_RUN) {
        let looked = stop.unless(work.would(source.as_str(), &to)).await;
        client.close().await?;
        return match looked {
            Err(code) => Ok(interrupt::told(code, "nothing was written")),
            Ok(found) => {
                rollback_preview::tell(invocation.is_json, source.as_str(), &found?);
                Ok(Outcome::Good)
            }
        };
    }
    let done = stop.unless(work.back(source.as_str(), &to)).await;
    client.close().await?;
    match done {
        Err(code) => return Ok(interrupt::told(code, reached.borrow().told())),
        Ok(Err(failure)) if reached.borrow().taken.is_empty() && reached.borrow().at.is_none() => {
            return Err(failure);
        }
        Ok(Err(failure)) => {
            return Err(Failure::new(format!("{failure}\n  {}", reached.borrow().told())));
        }
        Ok(Ok(())) => {}
    }
    let taken = reached.into_inner().taken;
    if invocation.is_json {
        let runs: Vec<Value> = taken
            .iter()
            .map(|it| {
                json!({
                    "run": it.run, "removed": it.undone.rows, "put_back": it.undone.put_back, "kept": it.undone.kept,
                    "remembered": it.undone.remembered, "remembered_rows": it.undone.remembered_rows,
                    "other_system": it.lines,
                })
            })
            .collect();
        show::raw(&json!({ "runs": runs }));
        return Ok(Outcome::Good);
    }
    if taken.is_empty() {
        output::print(&format!("there is no run of {source} to take back"));
    }
    for it in taken {
        let step = match &to {
            To::Step(step) if step != WHOLE => format!(" to the step {step}"),
            _ => String::new(),
        };
        output::print(&format!("run {} was taken back{step}: {}", it.run, it.undone.told()));
        if !it.undone.kept.is_empty() {
            output::print(&output::wrapped("  ", &stays(&it.undone.kept)));
        }
        it.lines.iter().for_each(|line| output::print(line));
    }
    Ok(Outcome::Good)
}

/// Says which organizations stay.
pub fn stays(kept: &[String]) -> String {
    let named = kept.iter().take(TOLD_MAX).cloned().collect::<Vec<_>>().join(", ");
    let more = more(kept.len() as u64, kept.len().min(TOLD_MAX));
    let (have, it) = if kept.len() == 1 {
        ("has a trail of its own, which", "it stays")
    } else {
        ("have trails of their own, which", "they stay")
    };
    format!("{named}{more} {have} nobody deletes: {it}, closed and empty")
}

struct Work<'a> {
    invocation: &'a Invocation<'a>,
    client: &'a Client,
    from: Option<&'a str>,
    reached: &'a RefCell<Reached>,
}

impl Work<'_> {
    /// The step, the desks of the runs that go, and what would go with each; refused unless all of them can.
    async fn looked<'h>(
        &'h self,
        holder: &'h Holder,
        source: &str,
        to: &'h To,
    ) -> Result<(&'h str, Vec<(Desk<'h>, Value)>)> {
        let all = runs::all(self.client).await?;
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
                (WHOLE, standing.map(runs::number).filter(|number| number > last).collect())
            }
        };
        let discard = self.invocation.matches.get_flag(DISCARD);
        let mut desks = Vec::with_capacity(numbers.len());
        let mut refused = Vec::new();
        for number in numbers {
            let desk = Desk::of(self.client, holder, number).await?;
            // None is taken back before all of them can be.
            match desk.check_undo(step, discard).await {
                Ok(found) => desks.push((desk, found)),
                Err(failure) => refused.push(format!("run {number}: {failure}")),
            }
        }
        if !refused.is_empty() {
            return Err(Failure::new(format!("{}\n  nothing was taken back", refused.join("\n  "))));
        }
        Ok((step, desks))
    }

    /// What would go, run by run.
    async fn would(&self, source: &str, to: &To) -> Result<Preview> {
        let holder = Holder::take(&self.invocation.loaded.configuration.data)?;
        let (step, desks) = self.looked(&holder, source, to).await?;
        let runs: Vec<(u64, Value)> = desks.into_iter().map(|(desk, found)| (desk.run, found)).collect();
        let all = runs::all(self.client).await?;
        let mut standing = all.iter().filter(|run| STANDING.contains(&text(run, "state"))).map(runs::number);
        let own = here::own(self.client).await?;
        let codes_go = step == WHOLE
            && own != module::without_permissions(&own)
            && standing.all(|number| runs.iter().any(|(run, _)| *run == number));
        Ok(Preview { step: step.to_owned(), runs, codes_go })
    }

    async fn back(&self, source: &str, to: &To) -> Result<()> {
        let discard = self.invocation.matches.get_flag(DISCARD);
        let holder = Holder::take(&self.invocation.loaded.configuration.data)?;
        let (step, desks) = self.looked(&holder, source, to).await?;
        for (desk, _) in &desks {
            self.reach_other_system(desk.run).await?;
        }
        self.reached.borrow_mut().wanted = desks.len();
        for (desk, _) in desks {
            let mut progress = Progress::new("removing rows", 0);
            let undone = desk.undo(step, discard, |gone| {
                self.reached.borrow_mut().at = Some((desk.run, gone));
                progress.at(gone);
            });
            let undone = undone.await?;
            drop(progress);
            {
                let mut reached = self.reached.borrow_mut();
                reached.at = None;
                reached.taken.push(Taken { run: desk.run, undone, lines: Vec::new() });
            }
            let lines = match step {
                WHOLE => self.after_whole(desk.run).await?,
                _ => self.other_system(desk.run).await?,
            };
            if let Some(last) = self.reached.borrow_mut().taken.last_mut() {
                last.lines = lines;
            }
        }
        Ok(())
    }

    /// What is done once nothing of a run is left.
    async fn after_whole(&self, number: u64) -> Result<Vec<String>> {
        let (client, invocation) = (self.client, self.invocation);
        let is_last = !runs::all(client).await?.iter().any(|run| STANDING.contains(&text(run, "state")));
        let own = here::own(client).await?;
        let without = module::without_permissions(&own);
        if is_last && own != without {
            catalogue::put(client, &without).await?;
        }
        if let Some((record, _)) = self.record(number).await? {
            let record = Record { state: "undone".to_owned(), ..record };
            record.write(&invocation.loaded.configuration.data).map_err(Failure::new)?;
        }
        if self.from.is_none() {
            return Ok(vec!["the other system's tables were not looked at: --from compares them".to_owned()]);
        }
        self.other_system(number).await
    }

    /// The record of a run, with its plan. That of another installation, before a rescue, has the same name.
    async fn record(&self, number: u64) -> Result<Option<(Record, Plan)>> {
        let data = &self.invocation.loaded.configuration.data;
        let record = Record::of(data, u32::try_from(number).unwrap_or(u32::MAX)).map_err(Failure::new)?;
        let plan = runs::plan_of(self.client, number).await?;
        Ok(record.filter(|record| record.plan_hash == plan.hash).map(|record| (record, plan)))
    }

    /// Whether the other system can be looked at, before anything is taken back.
    async fn reach_other_system(&self, number: u64) -> Result<()> {
        let Some((from, Some((record, mapping)))) = self.from.zip(self.comparable(number).await.ok()) else {
            return Ok(());
        };
        let (share, system) = (self.share(), legacy::system_named(&record.system));
        let look = async || Looking::open(from, share, system, Some(&mapping)).await.map(drop);
        legacy::patiently(look).await.map_err(|failure| {
            Failure::new(format!(
                "--from: {failure}\n  nothing was taken back; without --from nothing is compared"
            ))
        })
    }

    /// What a run says of the other system's tables before it, and by which mapping they are found.
    async fn comparable(&self, number: u64) -> Result<Option<(Record, Mapping)>> {
        let Some((record, plan)) = self.record(number).await? else { return Ok(None) };
        let mapping = legacy::parsed("the mapping of the run", &plan.mapping)?;
        Ok(Some((record, mapping)))
    }

    fn share(&self) -> Share {
        self.invocation.loaded.configuration.read_share
    }

    /// Whether the other system's tables are as they were before a run, where its address was given. The run is gone whatever comes of that.
    async fn other_system(&self, number: u64) -> Result<Vec<String>> {
        let Some(from) = self.from else { return Ok(Vec::new()) };
        let not_compared =
            |why: String| Ok(vec![format!("the other system's tables were not compared: {why}")]);
        let (record, mapping) = match self.comparable(number).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                let data = self.invocation.loaded.configuration.data.display();
                return not_compared(format!(
                    "there is no record of run {number} in {data}, which says what they came to before"
                ));
            }
            Err(failure) => return not_compared(failure.to_string()),
        };
        let system = legacy::system_named(&record.system);
        match ready::summed(from, self.share(), system, Some(&mapping)).await {
            Ok(now) => Ok(compared(&record.legacy.tables, &now)),
            Err(failure) => {
                not_compared(format!("{failure}; `charter rescue --step 3 --from ADDRESS` compares them"))
            }
        }
    }
}
