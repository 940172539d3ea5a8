//! A run as the service keeps it: begun, written to, told of, and taken back.

use super::super::generic::pages_by;
use super::here::text;
use super::record::{self, Record};
use crate::client::{Answer, Call, Client};
use crate::failure::{Failure, Result};
use crate::folder::{Folder, Lock, write_private};
use crate::output;
use charter_adopt::plan::Plan;
use charter_adopt::rows::{Counts, Rows};
use charter_kernel::{PrincipalId, Timestamp, counted};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How often a call that found the service busy or away is made again.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(500);
/// File of the data folder that names whoever works at runs.
const HOLDER: &str = "holder";
/// The kind of row that a rollback changes first, and removes later.
const CLOSED: &str = "organizations_closed";
/// Rows of earlier runs that a rollback puts back.
pub const PUT_BACK: &str = "put_back";
/// Statuses by which a service says that it may be asked again.
const AGAIN: [u16; 3] = [429, 502, 503];

/// Whoever works at runs from a data folder: one process at a time. One that is killed leaves its name to the next, which need not wait for
/// the service to forget it.
pub struct Holder {
    id: String,
    _lock: Lock,
}

/// Whether somebody works at runs from a data folder, or another one, by what the service says of one.
pub fn is_at_work(run: &Value, data: &Path, now: Timestamp) -> bool {
    let until = text(run, "held_until").parse::<Timestamp>();
    if !until.is_ok_and(|until| until > now) {
        return false;
    }
    // Whoever is killed leaves the word of a minute behind, and the lock to the next.
    let folder = Folder::at(&record::folder(data));
    let own = std::fs::read_to_string(folder.path().join(HOLDER));
    let is_own = own.is_ok_and(|own| own == text(run, "holder"));
    let is_free = || matches!(folder.try_lock(), Ok(Some(_)));
    !(is_own && is_free())
}

/// What is said to whoever comes second: the run that was begun last is named by its record.
fn taken(data: &Path) -> Failure {
    let begun = Record::newest(data).ok().flatten().filter(|record| record.state == "applying");
    let begun = begun.map(|it| {
        format!(" (run {} of {}, begun {})", it.run, it.source, output::to_the_second(&it.started_at))
    });
    Failure::new(format!(
        "another apply or rollback is at work from this data folder{}: wait until it has ended; charter adopt status tells how far it is",
        begun.unwrap_or_default()
    ))
}

impl Holder {
    /// Refuses while somebody has the place, before anything is looked at.
    pub fn nobody(data: &Path) -> Result<()> {
        let folder = Folder::at(&record::folder(data));
        match folder.path().exists() && matches!(folder.try_lock(), Ok(None)) {
            true => Err(taken(data)),
            false => Ok(()),
        }
    }

    /// Takes the place, or says that somebody else has it.
    pub fn take(data: &Path) -> Result<Self> {
        let folder = Folder::create(&record::folder(data)).map_err(Failure::new)?;
        let lock = folder.try_lock().map_err(Failure::new)?.ok_or_else(|| taken(data))?;
        let path = folder.path().join(HOLDER);
        let known = std::fs::read_to_string(&path).ok().filter(|text| text.parse::<PrincipalId>().is_ok());
        let id = match known {
            Some(id) => id,
            None => {
                let id = PrincipalId(charter_app::World::system().fresh_id()).to_string();
                write_private(&path, &id).map_err(Failure::new)?;
                id
            }
        };
        Ok(Self { id, _lock: lock })
    }
}

/// A run, and whoever works at it.
pub struct Desk<'a> {
    client: &'a Client,
    holder: &'a str,
    /// Its number.
    pub run: u64,
    /// As it was when this began.
    pub found: Value,
}

/// What went with a run.
#[derive(Debug, Default)]
pub struct Undone {
    /// How many rows.
    pub rows: u64,
    /// How many rows of earlier runs are as they were before.
    pub put_back: u64,
    /// Keys of organizations that have a trail of their own: they stay, closed and empty.
    pub kept: Vec<String>,
    /// How many users whom people stopped the next plan asks about.
    pub remembered: u64,
    /// And about how many roles and modules that they removed or changed.
    pub remembered_rows: u64,
}

/// What is told of a step.
pub struct Told {
    /// The step.
    pub step: &'static str,
    /// `running`, `done` or `failed`.
    pub state: &'static str,
    /// Rows so far.
    pub rows: u64,
    /// What it came to.
    pub checksum: Option<String>,
    /// More about it.
    pub detail: Value,
    /// Why it failed.
    pub error: Option<String>,
}

/// Rows as they are sent.
#[derive(Serialize)]
struct Batch<'a> {
    holder: &'a str,
    #[serde(flatten)]
    rows: &'a Rows,
}

/// Sends a call again while the service is busy or away for a moment: everything that is sent here may be sent twice.
pub async fn send(client: &Client, call: &Call) -> Result<Answer> {
    let mut attempt = 0;
    loop {
        let answer = client.send(call).await;
        attempt += 1;
        let again = match &answer {
            Ok(answer) => AGAIN.contains(&answer.status),
            Err(_) => true,
        };
        if !again || attempt >= ATTEMPTS {
            return answer?.good();
        }
        tokio::time::sleep(PAUSE * attempt).await;
    }
}

/// Every item of a list, asked for in this way.
pub async fn every_page(client: &Client, call: Call) -> Result<Vec<Value>> {
    pages_by(async |call: &Call| send(client, call).await, call, None).await
}

impl Undone {
    /// How much it was, in words.
    pub fn told(&self) -> String {
        let removed = format!("{} removed", counted(self.rows, "row", "rows"));
        let told = match self.put_back {
            0 => removed,
            count => format!("{removed}, {} put back", counted(count, "row", "rows")),
        };
        let users = (self.remembered > 0).then(|| {
            format!(
                "{} whom people stopped here meanwhile, or from whom they took something",
                counted(self.remembered, "user", "users")
            )
        });
        let rows = (self.remembered_rows > 0).then(|| {
            format!(
                "{} that people removed or changed",
                counted(self.remembered_rows, "role or module", "roles and modules")
            )
        });
        let asked: Vec<String> = users.into_iter().chain(rows).collect();
        match asked.is_empty() {
            true => told,
            false => format!("{told}; the next plan asks about {}", asked.join(", and about ")),
        }
    }
}

impl<'a> Desk<'a> {
    /// Begins the run of a plan, or goes on with it.
    pub async fn begin(client: &'a Client, holder: &'a Holder, plan: &Plan) -> Result<Self> {
        let holder = holder.id.as_str();
        let body = json!({
            "source": plan.source, "system": plan.system, "engine": plan.engine, "plan_hash": plan.hash,
            "facts_fingerprint": plan.facts, "plan": plan, "holder": holder,
        });
        let found = send(client, &Call::new("POST", "/api/v1/adoption/runs").json(&body)).await?.json()?;
        let run = found.get("run").and_then(Value::as_u64);
        let run = run.ok_or_else(|| Failure::new("the service began a run without a number"))?;
        Ok(Self { client, holder, run, found })
    }

    /// A run that is there, to be taken back.
    pub async fn of(client: &'a Client, holder: &'a Holder, run: u64) -> Result<Self> {
        let call = Call::new("GET", format!("/api/v1/adoption/runs/{run}"));
        let found = send(client, &call).await?.json()?;
        Ok(Self { client, holder: &holder.id, run, found })
    }

    /// Its state when this began.
    pub fn state(&self) -> &str {
        text(&self.found, "state")
    }

    /// A step, as it was when this began.
    pub fn step(&self, name: &str) -> Option<&Value> {
        let steps = self.found.get("steps").and_then(Value::as_array)?;
        steps.iter().find(|step| text(step, "step") == name)
    }

    /// Writes rows; gives how many were new, and how many accounts that stood have another password now.
    pub async fn rows(&self, rows: &Rows) -> Result<(Counts, u64)> {
        let body = serde_json::to_vec(&Batch { holder: self.holder, rows })
            .map_err(|error| Failure::new(format!("rows cannot be written down: {error}")))?;
        let body = Some(("application/json".to_owned(), body));
        let call = Call { body, ..Call::new("POST", format!("/api/v1/adoption/runs/{}/rows", self.run)) };
        let answer = send(self.client, &call).await?.json()?;
        let inserted = answer.get("inserted").cloned().unwrap_or_default();
        let inserted = serde_json::from_value(inserted).map_err(|flaw| {
            Failure::new(format!("the service told of rows in words unknown here: {flaw}"))
        })?;
        Ok((inserted, answer.get("passwords").and_then(Value::as_u64).unwrap_or(0)))
    }

    /// Changes and removes rows of runs before this one.
    pub async fn changes(&self, mut batch: Value) -> Result<()> {
        if let Some(batch) = batch.as_object_mut() {
            batch.insert("holder".to_owned(), json!(self.holder));
        }
        let call = Call::new("POST", format!("/api/v1/adoption/runs/{}/changes", self.run)).json(&batch);
        send(self.client, &call).await?;
        Ok(())
    }

    /// Tells of a step; one that ends the run is told again until it has.
    pub async fn tell(&self, told: Told) -> Result<()> {
        let body = json!({
            "holder": self.holder, "step": told.step, "state": told.state, "row_count": told.rows,
            "checksum": told.checksum, "detail": told.detail, "error": told.error,
        });
        let call = Call::new("POST", format!("/api/v1/adoption/runs/{}/steps", self.run)).json(&body);
        loop {
            let answer = send(self.client, &call).await?.json()?;
            let steps = answer.get("steps").and_then(Value::as_array).into_iter().flatten();
            let own = steps.into_iter().find(|step| text(step, "step") == told.step);
            if told.state != "done" || own.is_none_or(|own| text(own, "state") == "done") {
                return Ok(());
            }
        }
    }

    fn undo_call(&self, to: &str, discard: bool, dry_run: bool) -> Call {
        let body = json!({ "holder": self.holder, "to": to, "discard": discard, "dry_run": dry_run });
        Call::new("POST", format!("/api/v1/adoption/runs/{}/undo", self.run)).json(&body)
    }

    /// Refuses what could not be taken back, as if the runs of its source after this one were gone; tells what would go. Nothing is written.
    pub async fn check_undo(&self, to: &str, discard: bool) -> Result<Value> {
        send(self.client, &self.undo_call(to, discard, true)).await?.json()
    }

    /// Takes the run back, to a step.
    pub async fn undo(&self, to: &str, discard: bool, mut each: impl FnMut(u64)) -> Result<Undone> {
        let call = self.undo_call(to, discard, false);
        let mut undone = Undone::default();
        loop {
            let answer = send(self.client, &call).await?.json()?;
            let counts = answer.get("removed").and_then(Value::as_object);
            for (kind, count) in counts.into_iter().flatten() {
                let count = count.as_u64().unwrap_or(0);
                match kind.as_str() {
                    // Those that are closed stand there still.
                    CLOSED => {}
                    PUT_BACK => undone.put_back += count,
                    _ => undone.rows += count,
                }
            }
            let kept = answer.get("kept").and_then(Value::as_array).into_iter().flatten();
            undone.kept.extend(kept.filter_map(|key| Some(key.as_str()?.to_owned())));
            let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
            undone.remembered += count("remembered");
            undone.remembered_rows += count("remembered_rows");
            each(undone.rows + undone.put_back);
            if answer.get("done") == Some(&Value::Bool(true)) {
                return Ok(undone);
            }
        }
    }
}
