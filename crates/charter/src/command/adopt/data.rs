//! The third stage: rows, in batches. What was written before a run was broken off is not sent again.

use super::checksum::sum;
use super::desk::{Desk, Told};
use super::here::text;
use super::passwords::Kept;
use super::progress::Progress;
use crate::failure::{Failure, Result};
use charter_adopt::rows::{Counts, Making, Rows, Source};
use charter_adopt::rules::by_home;
use charter_kernel::counted;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Write;

/// Rows of one kind in one call, at most.
const ROWS_MAX: usize = 5_000;
/// Permissions of roles in one call, more or less.
pub const PERMISSIONS_MAX: usize = 20_000;
/// Rows of one kind, more or less, in one call with what users have.
const BATCH: usize = 4_000;
/// Users with a weak hash in one batch: each costs the service a hash of its own.
const WEAK: usize = 200;
/// Batches between two notes of how far it is.
const NOTED_EVERY: u64 = 10;
/// Batches on their way at once: while one is written, the next is made.
const UNDERWAY: usize = 2;

/// How many roles go in one call, by how many permissions they have.
pub fn roles_of_a_call(permissions: impl Iterator<Item = usize>) -> usize {
    (PERMISSIONS_MAX / permissions.max().unwrap_or(1).max(1)).clamp(1, ROWS_MAX)
}

/// Rows in calls that are not too large; what is referred to stands in the same call or before it.
fn split(rows: Rows) -> Vec<Rows> {
    fn by<T>(list: Vec<T>, most: usize) -> Vec<Vec<T>> {
        let mut parts = Vec::new();
        let mut list = list.into_iter().peekable();
        while list.peek().is_some() {
            parts.push(list.by_ref().take(most).collect());
        }
        parts
    }
    fn parts<T>(list: Vec<T>) -> Vec<Vec<T>> {
        by(list, ROWS_MAX)
    }
    let roles_max = roles_of_a_call(rows.roles.iter().map(|role| role.permissions.len()));
    if rows.longest() <= ROWS_MAX && rows.roles.len() <= roles_max {
        return vec![rows];
    }
    let mut calls = Vec::new();
    calls.extend(
        parts(rows.organizations).into_iter().map(|organizations| Rows { organizations, ..Rows::default() }),
    );
    calls.extend(by(rows.roles, roles_max).into_iter().map(|roles| Rows { roles, ..Rows::default() }));
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

/// How far the writing is.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    /// Users whose accounts were written.
    accounts: u64,
    /// Users whose memberships, roles and rights were written.
    members: u64,
    sent: Counts,
}

struct Writing<'a> {
    desk: &'a Desk<'a>,
    inserted: Counts,
    /// What was made so far.
    made: Reached,
    /// What of it stands in the database.
    stands: Reached,
    /// Accounts of earlier runs that have another password.
    passwords: u64,
    underway: FuturesOrdered<BoxFuture<'a, Result<(Counts, u64, Reached)>>>,
    rows: Summed,
    batches: u64,
}

/// Takes texts in for their sum.
struct Summed(Sha256);

impl Write for Summed {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.update(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Writing<'_> {
    /// Sends rows, unless they were sent before.
    async fn pass(&mut self, rows: Rows, was_sent: bool) -> Result<()> {
        self.made.sent.add(rows.counts());
        if rows.longest() == 0 || was_sent {
            return Ok(());
        }
        let (desk, reached) = (self.desk, self.made);
        self.underway.push_back(Box::pin(async move {
            let (mut inserted, mut passwords) = (Counts::default(), 0);
            for call in split(rows) {
                let (counts, changed) = desk.rows(&call).await?;
                inserted.add(counts);
                passwords += changed;
            }
            Ok((inserted, passwords, reached))
        }));
        self.land(UNDERWAY - 1).await
    }

    /// Waits until at most so many batches are on their way.
    async fn land(&mut self, most: usize) -> Result<()> {
        while self.underway.len() > most
            && let Some(landed) = self.underway.next().await
        {
            let (inserted, passwords, reached) = match landed {
                Ok(landed) => landed,
                Err(failure) => {
                    // Nothing may be on its way any more when the run is taken back.
                    while self.underway.next().await.is_some() {}
                    return Err(failure);
                }
            };
            self.inserted.add(inserted);
            self.passwords += passwords;
            self.stands = reached;
            self.batches += 1;
            if self.batches.is_multiple_of(NOTED_EVERY) {
                self.note("running", None).await?;
            }
        }
        Ok(())
    }

    /// Takes rows in for the sum of all; they have no passwords yet.
    fn sum(&mut self, rows: &Rows) -> Result<()> {
        serde_json::to_writer(&mut self.rows, rows)
            .map_err(|error| Failure::new(format!("rows cannot be summed: {error}")))
    }

    async fn note(&self, state: &'static str, checksum: Option<String>) -> Result<()> {
        let Reached { accounts, members, sent } = self.stands;
        let told = Told {
            step: "data",
            state,
            rows: sent.sum(),
            checksum,
            detail: json!({ "accounts": accounts, "members": members, "inserted": self.inserted }),
            error: None,
        };
        self.desk.tell(told).await
    }
}

/// How many users were done in a part of the work before the run was broken off. Of a step that was taken back nothing is left.
fn done_before(desk: &Desk<'_>, part: &str) -> u64 {
    let step = desk.step("data").filter(|step| text(step, "state") != "undone");
    let done = step.and_then(|step| step.get("detail")).and_then(|detail| detail.get(part));
    done.and_then(Value::as_u64).unwrap_or(0)
}

/// Accounts, in the order in which their passwords can be read.
async fn accounts(writing: &mut Writing<'_>, making: &mut Making<'_>, mut passwords: Kept) -> Result<()> {
    let facts = making.source().facts;
    let skipped = done_before(writing.desk, "accounts");
    let mut progress = Progress::new("writing accounts", facts.users.len() as u64);
    let (mut rows, mut hashes, mut weak) = (Rows::default(), Vec::new(), 0);
    let mut users = facts.users.iter().peekable();
    while let Some(user) = users.next() {
        let password = passwords.of(user.id)?;
        if making.account(user, &mut rows) {
            weak += usize::from(password.is_weak);
            hashes.push(password.hash);
        }
        writing.made.accounts += 1;
        progress.at(writing.made.accounts);
        if rows.users.len() >= ROWS_MAX || weak >= WEAK || users.peek().is_none() {
            weak = 0;
            let mut batch = std::mem::take(&mut rows);
            writing.sum(&batch)?;
            for (user, hash) in batch.users.iter_mut().zip(hashes.drain(..)) {
                user.password_hash = hash;
            }
            writing.pass(batch, writing.made.accounts <= skipped).await?;
        }
    }
    // Who becomes a member has an account.
    writing.land(0).await
}

/// What users have, organization by organization: rows of one stand side by side in the database.
async fn members(writing: &mut Writing<'_>, making: &mut Making<'_>) -> Result<()> {
    let facts = making.source().facts;
    let skipped = done_before(writing.desk, "members");
    let mut progress = Progress::new("writing members", facts.users.len() as u64);
    let places = by_home(facts, making.organizations().len());
    let mut users =
        places.into_iter().flatten().filter_map(|place| facts.users.get(place as usize)).peekable();
    let mut rows = Rows::default();
    while let Some(user) = users.next() {
        making.member(user, &mut rows);
        writing.made.members += 1;
        progress.at(writing.made.members);
        if rows.longest() >= BATCH || users.peek().is_none() {
            let batch = std::mem::take(&mut rows);
            writing.sum(&batch)?;
            writing.pass(batch, writing.made.members <= skipped).await?;
        }
    }
    writing.land(0).await
}

/// Writes everything.
pub async fn write(
    desk: &Desk<'_>,
    source: Source<'_>,
    passwords: Kept,
    planned: Counts,
) -> Result<Vec<String>> {
    let mut making = Making::new(source);
    let mut writing = Writing {
        desk,
        inserted: Counts::default(),
        made: Reached::default(),
        stands: Reached::default(),
        passwords: 0,
        underway: FuturesOrdered::new(),
        rows: Summed(Sha256::new()),
        batches: 0,
    };
    writing.note("running", None).await?;
    let frame = making.frame();
    writing.sum(&frame)?;
    writing.pass(frame, false).await?;
    writing.land(0).await?;
    accounts(&mut writing, &mut making, passwords).await?;
    members(&mut writing, &mut making).await?;
    // What stands by an earlier run is not written a second time.
    let mut there = writing.made.sent;
    there.add(making.skipped());
    if there != planned {
        return Err(Failure::new(format!(
            "{} to be written, and {} were planned: make the plan again",
            counted(there.sum(), "row came", "rows came"),
            planned.sum()
        )));
    }
    let checksum: String =
        writing.rows.0.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    // Batches that were sent before the run was broken off stand as well.
    writing.stands = writing.made;
    writing.note("done", Some(sum(checksum.as_bytes()))).await?;
    let (sent, inserted) = (there, writing.inserted);
    let passwords = (writing.passwords > 0).then(|| {
        format!("{} there and here", counted(writing.passwords, "password changed", "passwords changed"))
    });
    let mut lines = vec![
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
    ];
    lines.extend(passwords);
    Ok(lines)
}
