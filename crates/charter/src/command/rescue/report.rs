//! What each step did, told and written down: in a file, and in Charter's audit trail where there is one left.

use super::aside::Found;
use super::{Rescue, removal};
use crate::command::adopt::record;
use crate::config::{account, text};
use crate::folder::{make_folder, write_private};
use crate::installation;
use crate::output;
use charter_app::audit;
use charter_db::{Database, Scope, Tx};
use charter_kernel::audit::{Actor, AuditEvent, Outcome};
use charter_kernel::{Key, Problem};
use charter_store as store;
use charter_store::rescue as tables;
use serde_json::{Map, Value, json};

/// Tables without which nothing is put into the trail.
const TRAIL: [&str; 3] = ["organizations", "organization_keys", "audit_events"];

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was done.
    Done,
    /// It was done, and something is lost by it.
    Lossy,
    /// There was nothing to do.
    Nothing,
    /// It would be done.
    Would,
    /// It was not done, or not wholly.
    Failed,
}

impl Ended {
    const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Lossy => "done with a loss",
            Self::Nothing => "nothing to do",
            Self::Would => "would",
            Self::Failed => "FAILED",
        }
    }
}

/// A step and what came of it.
#[derive(Debug)]
pub struct Step {
    number: u8,
    title: &'static str,
    pub ended: Ended,
    told: Vec<String>,
    detail: Map<String, Value>,
}

impl Step {
    pub fn new(number: u8, title: &'static str) -> Self {
        Self { number, title, ended: Ended::Done, told: Vec::new(), detail: Map::new() }
    }

    /// Says something.
    pub fn tell(&mut self, text: impl Into<String>) {
        self.told.push(text.into());
    }

    /// Says what went wrong.
    pub fn fail(&mut self, text: impl Into<String>) {
        self.ended = Ended::Failed;
        self.tell(text);
    }

    /// Says what is lost by what is done.
    pub fn lose(&mut self, text: impl Into<String>) {
        if self.ended == Ended::Done {
            self.ended = Ended::Lossy;
        }
        self.tell(text);
    }

    /// Says why there is nothing to do.
    pub fn nothing(&mut self, text: impl Into<String>) {
        if self.ended == Ended::Done {
            self.ended = Ended::Nothing;
        }
        self.tell(text);
    }

    /// Says what was done though there seemed to be nothing to do.
    pub fn did(&mut self, text: impl Into<String>) {
        if self.ended == Ended::Nothing {
            self.ended = Ended::Done;
        }
        self.tell(text);
    }

    /// Says what would be done.
    pub fn would(&mut self, text: impl Into<String>) {
        if matches!(self.ended, Ended::Done | Ended::Nothing) {
            self.ended = Ended::Would;
        }
        self.tell(text);
    }

    /// Puts something into the written record.
    pub fn note(&mut self, name: &str, value: Value) {
        self.detail.insert(name.to_owned(), value);
    }

    /// Whether it is the step that took Charter's tables away.
    pub fn took_away(&self) -> bool {
        self.number == 2 && matches!(self.ended, Ended::Done | Ended::Lossy)
    }

    /// For a person.
    pub fn text(&self) -> String {
        let mut text = format!("{} {}: {}\n", self.number, self.title, self.ended.word());
        for line in &self.told {
            text.push_str(&output::wrapped("  ", line));
        }
        text
    }

    /// For a program, and for the file.
    pub fn as_json(&self) -> Value {
        json!({
            "step": self.number,
            "title": self.title,
            "ended": self.ended.word().to_lowercase(),
            "told": self.told,
            "detail": self.detail,
        })
    }
}

fn document(rescue: &Rescue<'_>, done: &[Step]) -> Value {
    let steps: Vec<Value> = done.iter().map(Step::as_json).collect();
    json!({
        "format": 1,
        "at": rescue.now.to_string(),
        "account": rescue.configuration.account,
        "machine": account::machine(),
        "process": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "database": text::without_password(&rescue.configuration.database),
        "database_schema": rescue.configuration.database_schema,
        "from": rescue.from.as_deref().ok().map(text::without_password),
        "run": rescue.record.as_ref().map(|record| record.run),
        "steps": steps,
    })
}

/// Appends to the trail of the platform organization, if all of it still stands.
async fn to_the_trail(rescue: &Rescue<'_>, document: &Value) -> Result<(), String> {
    // Neither another program's file is opened as Charter's, nor anything written into the trail of another installation.
    if let Some(why) = removal::elsewhere(rescue).or_else(|| rescue.another.clone()) {
        return Err(why);
    }
    if !rescue.is_postgres() {
        match rescue.look().await {
            Found::Charters => {}
            Found::Nothing => return Err("its file is not there any more".to_owned()),
            Found::Empty => return Err("the file at its place holds no tables".to_owned()),
            Found::Stranger(_) => return Err("the file at its place is not Charter's".to_owned()),
            Found::Unread(error) => return Err(format!("its file cannot be read: {error}")),
        }
    }
    let database = Database::open(&installation::options(rescue.configuration)).await;
    let database = database.map_err(|error| error.to_string())?;
    // Without them there is no trail, and asking would only put a fault into the log.
    if rescue.is_postgres() {
        let standing = tables::standing(&database).await.map_err(|error| error.to_string())?;
        if !TRAIL.iter().all(|table| standing.iter().any(|it| it == table)) {
            let _closed = database.close().await;
            return Err("its tables are gone".to_owned());
        }
    }
    let platform: Key = super::PLATFORM.parse().map_err(|_| "the platform has no key".to_owned())?;
    let (now, account, after) = (rescue.now, rescue.configuration.account.clone(), document.to_string());
    let written = database.write::<_, (), Problem>(Scope::Installation, move |tx: &mut Tx| {
        Box::pin(async move {
            let organization = store::organization::by_key(tx, &platform).await?;
            let organization =
                organization.ok_or_else(|| Problem::not_found("there is no platform organization"))?;
            let event = AuditEvent {
                organization,
                at: now,
                actor: Actor::Operator { account },
                action: "rescue.run",
                target_kind: "installation",
                target: "rescue".to_owned(),
                outcome: Outcome::Done,
                reason: String::new(),
                before: None,
                after: Some(after),
                request: None,
                address: None,
            };
            audit::append(tx, [event]).await
        })
    });
    let written = written.await.map_err(|problem| problem.detail.to_string());
    let closed = database.close().await.map_err(|error| error.to_string());
    written.and(closed)
}

/// Step 6.
pub async fn run(rescue: &Rescue<'_>, done: &[Step], step: &mut Step) {
    let folder = record::folder(&rescue.configuration.data);
    let path = folder.join(format!("rescue-{}.json", rescue.stamp));
    if rescue.is_dry_run {
        step.would(format!("write {}, and an event into the audit trail if it is left", path.display()));
        return;
    }
    let document = document(rescue, done);
    let write = || {
        make_folder(&rescue.configuration.data)?;
        make_folder(&folder)?;
        write_private(&path, &format!("{document:#}\n"))
    };
    match write() {
        Ok(()) => step.tell(format!("{} says who did what, and when", path.display())),
        Err(wrong) => step.fail(wrong),
    }
    match to_the_trail(rescue, &document).await {
        Ok(()) => step.tell("the audit trail of the platform organization says it too"),
        Err(why) => step.tell(format!("the audit trail cannot say it too: {why}")),
    }
}
