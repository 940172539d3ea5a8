//! The third stage: rows, in batches. What was written before a run was broken off is not sent again.

use super::apply::sum;
use super::desk::{Desk, Told};
use super::here::text;
use super::legacy::Looking;
use super::progress::Progress;
use crate::failure::{Failure, Result};
use charter_adopt::rows::{Counts, Making, Rows, Source};
use charter_app::identity::adopted_hash::AdoptedHash;
use charter_kernel::counted;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

/// Rows of one kind in one call, at most.
const ROWS_MAX: usize = 5_000;
/// Users of one batch.
const USERS: usize = 2_500;
/// Users with a weak hash in one batch: each costs the service a hash of its own.
const WEAK: usize = 200;
/// Batches between two notes of how far it is.
const NOTED_EVERY: u64 = 10;
/// Users whose passwords are read ahead.
const AHEAD: usize = 4_096;

/// A user's id, and the hash of the password where it is one that is known.
struct Password {
    id: String,
    hash: Option<String>,
    is_weak: bool,
}

/// Reads ids and hashes, in the order and the state in which the users were read before. On a thread of its own: a file is read without
/// a pause.
fn passwords(mut looking: Looking) -> Result<mpsc::Receiver<Result<Password>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let handle = tokio::runtime::Handle::current();
    let work = move || {
        let _inside = handle.enter();
        let mut each = |id: &str, hash: Option<&str>| {
            let known = hash.and_then(|hash| Some((hash, AdoptedHash::parse(hash).ok()?)));
            let password = Password {
                id: id.to_owned(),
                is_weak: known.as_ref().is_some_and(|(_, known)| known.is_weak()),
                hash: known.map(|(hash, _)| hash.to_owned()),
            };
            let gone = || charter_db::Error::Statement("nobody waits for the users any more".to_owned());
            sender.blocking_send(Ok(password)).map_err(|_| gone())
        };
        if let Err(error) = futures_executor::block_on(looking.passwords(&mut each)) {
            let _ = sender.blocking_send(Err(super::legacy::failed(error)));
        }
    };
    let thread = std::thread::Builder::new().name("legacy".to_owned());
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with the last user, or when nobody waits for them any more"
    )]
    thread.spawn(work).map_err(|error| Failure::new(format!("no thread to read with: {error}")))?;
    Ok(receiver)
}

/// Rows in calls that are not too large; what is referred to stands in the same call or before it.
fn split(rows: Rows) -> Vec<Rows> {
    fn parts<T>(list: Vec<T>) -> Vec<Vec<T>> {
        let mut parts = Vec::new();
        let mut list = list.into_iter().peekable();
        while list.peek().is_some() {
            parts.push(list.by_ref().take(ROWS_MAX).collect());
        }
        parts
    }
    if rows.longest() <= ROWS_MAX {
        return vec![rows];
    }
    let mut calls = Vec::new();
    calls.extend(
        parts(rows.organizations).into_iter().map(|organizations| Rows { organizations, ..Rows::default() }),
    );
    calls.extend(parts(rows.roles).into_iter().map(|roles| Rows { roles, ..Rows::default() }));
    calls.extend(parts(rows.users).into_iter().map(|users| Rows { users, ..Rows::default() }));
    calls.extend(
        parts(rows.memberships).into_iter().map(|memberships| Rows { memberships, ..Rows::default() }),
    );
    calls.extend(
        parts(rows.assignments).into_iter().map(|assignments| Rows { assignments, ..Rows::default() }),
    );
    calls.extend(parts(rows.grants).into_iter().map(|grants| Rows { grants, ..Rows::default() }));
    calls.extend(
        parts(rows.entitlements).into_iter().map(|entitlements| Rows { entitlements, ..Rows::default() }),
    );
    calls
}

struct Writing<'a> {
    desk: &'a Desk<'a>,
    inserted: Counts,
    sent: Counts,
    rows: Sha256,
    batches: u64,
    users: u64,
}

impl Writing<'_> {
    async fn send(&mut self, rows: Rows) -> Result<()> {
        self.sent.add(rows.counts());
        if rows.longest() == 0 {
            return Ok(());
        }
        for call in split(rows) {
            self.inserted.add(self.desk.rows(&call).await?);
        }
        self.batches += 1;
        if self.batches.is_multiple_of(NOTED_EVERY) {
            self.note("running", None).await?;
        }
        Ok(())
    }

    /// Rows as they are summed: without hashes of passwords.
    fn sum(&mut self, rows: &Rows) {
        let mut value = serde_json::to_value(rows).unwrap_or_default();
        for user in value.get_mut("users").and_then(Value::as_array_mut).into_iter().flatten() {
            user.as_object_mut().and_then(|user| user.remove("password_hash"));
        }
        self.rows.update(value.to_string());
    }

    async fn note(&self, state: &'static str, checksum: Option<String>) -> Result<()> {
        let told = Told {
            step: "data",
            state,
            rows: self.sent.sum(),
            checksum,
            detail: json!({ "users_read": self.users, "inserted": self.inserted }),
            error: None,
        };
        self.desk.tell(told).await
    }
}

/// How many users were written before the run was broken off. Of a step that was taken back nothing is left.
fn written_before(desk: &Desk<'_>) -> u64 {
    let step = desk.step("data").filter(|step| text(step, "state") != "undone");
    let read = step.and_then(|step| step.pointer("/detail/users_read"));
    read.and_then(Value::as_u64).unwrap_or(0)
}

/// Writes everything.
pub async fn write(
    desk: &Desk<'_>,
    source: Source<'_>,
    looking: Looking,
    planned: Counts,
) -> Result<Vec<String>> {
    let mut making = Making::new(source);
    let mut writing = Writing {
        desk,
        inserted: Counts::default(),
        sent: Counts::default(),
        rows: Sha256::new(),
        batches: 0,
        users: 0,
    };
    writing.note("running", None).await?;
    let frame = making.frame();
    writing.sum(&frame);
    writing.send(frame).await?;
    let skipped = written_before(desk);
    let mut passwords = passwords(looking)?;
    let mut progress = Progress::new("writing users", source.facts.users.len() as u64);
    let (mut rows, mut weak) = (Rows::default(), 0);
    for user in source.facts.users.iter() {
        let password = password_of(&mut passwords, user.id).await?;
        making.user(user, password.hash.as_deref(), &mut rows);
        weak += usize::from(password.is_weak);
        writing.users += 1;
        progress.at(writing.users);
        if rows.users.len() >= USERS || rows.longest() >= ROWS_MAX || weak >= WEAK {
            weak = 0;
            let batch = std::mem::take(&mut rows);
            writing.sum(&batch);
            if writing.users > skipped {
                writing.send(batch).await?;
            } else {
                writing.sent.add(batch.counts());
            }
        }
    }
    writing.sum(&rows);
    writing.send(rows).await?;
    drop(progress);
    if writing.sent != planned {
        return Err(Failure::new(format!(
            "{} to be written, and {} were planned: make the plan again",
            counted(writing.sent.sum(), "row came", "rows came"),
            planned.sum()
        )));
    }
    let checksum: String = writing.rows.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    writing.note("done", Some(sum(checksum.as_bytes()))).await?;
    let (sent, inserted) = (writing.sent, writing.inserted);
    Ok(vec![
        [
            counted(sent.organizations, "organization", "organizations"),
            counted(sent.users, "user", "users"),
            counted(sent.memberships, "membership", "memberships"),
            counted(sent.roles, "role", "roles"),
            counted(sent.assignments, "assignment", "assignments"),
            counted(sent.grants, "grant", "grants"),
            counted(sent.entitlements, "module on or off", "modules on or off"),
        ]
        .join(", "),
        format!("{} of {} new", inserted.sum(), counted(sent.sum(), "row was", "rows were")),
    ])
}

/// A user's password; rows between that belong to nobody who comes over are passed by.
async fn password_of(passwords: &mut mpsc::Receiver<Result<Password>>, id: &str) -> Result<Password> {
    loop {
        let missing = || Failure::new("the users were not read as they were before: make the plan again");
        let password = passwords.recv().await.ok_or_else(missing)??;
        if password.id == id {
            return Ok(password);
        }
    }
}
