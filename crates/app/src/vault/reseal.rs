//! Sealing again: what keys before the active one sealed is sealed by that one, a page a transaction, by whichever node has the lease.
//!
//! Nothing about the progress is kept but the values themselves: each begins with the number of its key. A node that dies in the middle
//! leaves values of two keys, both of which open, and the next one goes on with those that are left.

use super::{PAGES_OF_A_ROUND, Progress, internal, learn, sealed_as, status};
use crate::App;
use crate::audit;
use crate::guard::Permit;
use crate::identity::LEEWAY_SECONDS;
use crate::identity::seal::{NUMBERED, number_in};
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Conn, Scope, Tx, Value};
use charter_kernel::audit::AuditEvent;
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store as store;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use store::sealed::{COLUMNS, IndexHash, SealedRow};

/// The lease of whoever works on the vault.
pub(super) const LEASE: &str = "vault";
/// How long a node that says nothing keeps it.
const LEASE_SECONDS: i64 = 60;
/// Values in one transaction.
pub(super) const PAGE: u32 = 100;
/// After a pass that found what cannot be opened, the next one waits.
const REST_SECONDS: i64 = 600;

/// Where a pass is.
#[derive(Clone, Default)]
pub(super) struct Place {
    key: u32,
    column: usize,
    after: Option<Vec<Value>>,
    unreadable: u64,
}

/// Takes the lease in a transaction; false while another node has it.
pub(super) async fn lease(app: &App, tx: &mut Tx, now: Timestamp) -> Result<bool, charter_db::Error> {
    let holder = app.identity().vault().holder;
    store::lease::take(tx, LEASE, holder, now.plus_seconds(LEASE_SECONDS), now).await
}

/// What was done with a page.
pub(super) struct Sealed {
    pub rows: usize,
    pub changed: u64,
    pub unreadable: u64,
    pub last: Option<Vec<Value>>,
}

/// Opens a value and seals it by the active key; none when it cannot be opened.
fn again(app: &App, at: usize, row: &SealedRow) -> Option<Vec<u8>> {
    let (column, sealer) = (COLUMNS.get(at)?, app.identity().sealer());
    let name = column.bound_to(row);
    let sealed =
        sealer.open(&name, &row.value).and_then(|clear| sealer.seal(&name, &clear, app.world().random()));
    if sealed.is_err() {
        let (value, key) = (column.name_of(row), number_in(&row.value));
        tracing::error!(value, ?key, "a sealed value cannot be opened: it stays as it is");
    }
    sealed.ok()
}

/// Seals a page of a column again; none while another node has the lease.
pub(super) async fn page(
    app: &App,
    at: usize,
    prefix: [u8; store::sealed::PREFIX],
    after: Option<Vec<Value>>,
) -> Result<Option<Sealed>, Problem> {
    let (inside, now) = (app.clone(), app.now());
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                if !lease(&inside, tx, now).await? {
                    return Ok(None);
                }
                let rows = store::sealed::page(tx, at, &prefix, after.as_deref(), PAGE).await?;
                let mut done = Sealed { rows: rows.len(), changed: 0, unreadable: 0, last: None };
                for row in rows {
                    match again(&inside, at, &row) {
                        // Who changed it in between sealed it by the key of that moment: a later pass looks again.
                        Some(value) => {
                            done.changed += u64::from(store::sealed::replace(tx, at, &row, &value).await?);
                        }
                        None => done.unreadable += 1,
                    }
                    done.last = Some(row.keys);
                }
                Ok(Some(done))
            }) as BoxFuture<'_, Result<Option<Sealed>, Problem>>
        })
        .await
}

/// How many values there are by key; none is a key-encryption key itself.
pub(super) async fn counts(conn: &mut Conn) -> Result<Vec<Vec<(Option<u32>, u64)>>, charter_db::Error> {
    let mut all = Vec::with_capacity(COLUMNS.len());
    for at in 0..COLUMNS.len() {
        let mut of_column: Vec<(Option<u32>, u64)> = Vec::new();
        for (prefix, count) in store::sealed::count(conn, at, NUMBERED).await? {
            let key = number_in(&prefix);
            match of_column.iter_mut().find(|(known, _)| *known == key) {
                Some((_, sum)) => *sum += count,
                None => of_column.push((key, count)),
            }
        }
        of_column.sort_unstable();
        all.push(of_column);
    }
    Ok(all)
}

/// How many values of all columns a test of their keys holds for.
pub(super) fn sum(counts: &[Vec<(Option<u32>, u64)>], is_meant: impl Fn(Option<u32>) -> bool) -> u64 {
    counts.iter().flatten().filter(|(key, _)| is_meant(*key)).map(|(_, count)| count).sum()
}

/// What is due.
enum Due {
    Reseal(u32),
    Destroy,
}

fn due(app: &App, now: Timestamp) -> Option<Due> {
    let vault = app.identity().vault();
    let sealer = app.identity().sealer();
    // Who cannot open every key leaves this to a node that can, and counts nothing as unreadable that is not.
    let active = sealer.active().filter(|_| sealer.active_prefix().is_some() && sealer.has_every_key())?;
    let keys = vault.keys();
    let older = || keys.iter().filter(|key| key.number < active && key.destroyed_at.is_none());
    if older().any(|key| key.retired_at.is_none()) {
        return Some(Due::Reseal(active));
    }
    older().any(|key| key.destroy_at.is_some_and(|at| at <= now)).then_some(Due::Destroy)
}

/// The version of the pepper by which indexes are to be made. Until some time after it began to hash, a node whose clock is behind may
/// still make one by the version before.
fn index_due(app: &App, now: Timestamp) -> Option<u32> {
    let (sealer, vault) = (app.identity().sealer(), app.identity().vault());
    sealer.active_prefix().filter(|_| sealer.has_every_key())?;
    let version = app.identity().pepper().version();
    let peppers = vault.peppers();
    let pepper = peppers.iter().find(|pepper| pepper.version == version)?;
    let is_due = pepper.indexed_at.is_none() && pepper.activates_at.plus_seconds(LEEWAY_SECONDS) <= now;
    is_due.then_some(version)
}

/// Does what is due, so many pages of it.
pub(super) async fn work(app: &App, pages: usize) -> Result<(), Problem> {
    let now = app.now();
    // A rotation that a value holds up holds nothing else up.
    if let Some(version) = index_due(app, now) {
        index(app, version, now).await?;
    }
    match due(app, now) {
        None => Ok(()),
        Some(Due::Reseal(key)) => reseal(app, key, pages, now).await,
        Some(Due::Destroy) => destroy(app, now).await,
    }
}

async fn reseal(app: &App, key: u32, pages: usize, now: Timestamp) -> Result<(), Problem> {
    let vault = app.identity().vault();
    if vault.rests_until.load(Ordering::Acquire) > now.micros() {
        return Ok(());
    }
    let Some(prefix) = app.identity().sealer().active_prefix() else { return Ok(()) };
    let begun = vault.place.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut place =
        begun.filter(|place| place.key == key).unwrap_or_else(|| Place { key, ..Place::default() });
    for _ in 0..pages {
        if place.column >= COLUMNS.len() {
            let unreadable = place.unreadable;
            *vault.place.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return finish(app, key, unreadable, now).await;
        }
        let Some(done) = page(app, place.column, prefix, place.after.take()).await? else {
            // Another node is at it, and knows better where it is.
            *vault.place.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Ok(());
        };
        place.unreadable += done.unreadable;
        if done.rows < PAGE as usize {
            place.column += 1;
        } else {
            place.after = done.last;
        }
        *vault.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place.clone());
    }
    Ok(())
}

/// Runs a step behind the lease that ends with events; without any, nothing was to be done.
async fn step<F>(app: &App, now: Timestamp, body: F) -> Result<(), Problem>
where
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<Vec<AuditEvent>, Problem>> + Send + 'static,
{
    let (inside, platform) = (app.clone(), app.platform());
    let written = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let nothing = || Problem::new(ProblemKind::Taken, "another node did what was due");
                if !lease(&inside, transaction.tx(), now).await? {
                    return Err(nothing());
                }
                let mut events = body(transaction.tx()).await?;
                if events.is_empty() {
                    return Err(nothing());
                }
                let first = events.remove(0);
                transaction.commit(first, events, ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await;
    match written {
        Err(problem) if problem.kind == ProblemKind::Taken => Ok(()),
        Err(problem) => Err(problem),
        Ok(_) => learn(app).await,
    }
}

fn told(app: &App, now: Timestamp, action: &'static str, kind: &'static str, number: u32) -> AuditEvent {
    audit::system_event("vault", app.platform(), now, action, kind, number.to_string())
}

/// Looks whether anything is left, and retires the keys before when nothing is.
async fn finish(app: &App, key: u32, unreadable: u64, now: Timestamp) -> Result<(), Problem> {
    let keep =
        app.identity().vault().keys().iter().find(|it| it.number == key).map_or(0, |it| it.keep_seconds);
    if unreadable > 0 {
        let until = now.plus_seconds(REST_SECONDS).micros();
        app.identity().vault().rests_until.store(until, Ordering::Release);
    }
    let inside = app.clone();
    step(app, now, move |tx| {
        Box::pin(async move {
            let mut events = Vec::new();
            let before = store::vault::keys(tx).await?;
            let known = before.iter().find(|it| it.number == key).map_or(0, |it| it.unreadable);
            if known != unreadable {
                store::vault::set_unreadable(tx, key, unreadable).await?;
                let mut event = told(&inside, now, "vault_key.unreadable", "vault_key", key);
                event.after = Some(serde_json::json!({ "values": unreadable }).to_string());
                events.push(event);
            }
            let counts = counts(tx).await?;
            if sum(&counts, |of| of != Some(key)) == 0 {
                let until = now.plus_seconds(i64::from(keep));
                for number in store::vault::retire_before(tx, key, now, until).await? {
                    let mut event = told(&inside, now, "vault_key.retire", "vault_key", number);
                    event.after = Some(serde_json::json!({ "destroyed_at": until }).to_string());
                    events.push(event);
                }
            }
            Ok(events)
        })
    })
    .await
}

/// Destroys keys whose time has come, once more only when nothing is sealed by them.
async fn destroy(app: &App, now: Timestamp) -> Result<(), Problem> {
    let inside = app.clone();
    step(app, now, move |tx| {
        Box::pin(async move {
            let mut events = Vec::new();
            let counts = counts(tx).await?;
            for key in store::vault::keys(tx).await? {
                if key.destroyed_at.is_some() || key.destroy_at.is_none_or(|at| at > now) {
                    continue;
                }
                if sum(&counts, |of| of == Some(key.number)) > 0 {
                    // A node whose clock was far behind sealed with it: it goes on until that is sealed again.
                    store::vault::reopen(tx, key.number).await?;
                    events.push(told(&inside, now, "vault_key.reopen", "vault_key", key.number));
                } else if store::vault::destroy(tx, key.number, now).await? {
                    events.push(told(&inside, now, "vault_key.destroy", "vault_key", key.number));
                }
            }
            Ok(events)
        })
    })
    .await
}

/// Makes keyed indexes anew by a version of the pepper: what leads to a sealed value is made from that value.
async fn index(app: &App, version: u32, now: Timestamp) -> Result<(), Problem> {
    for (at, column) in COLUMNS.iter().enumerate() {
        let Some(index) = column.index else { continue };
        let mut after = None;
        loop {
            let (inside, from) = (app.clone(), after.take());
            let last = app
                .database()
                .write(Scope::Installation, move |tx: &mut Tx| {
                    Box::pin(async move {
                        if !lease(&inside, tx, now).await? {
                            return Err(Problem::new(ProblemKind::Taken, "another node is at it"));
                        }
                        // No value begins with nothing: this is every value.
                        let rows = store::sealed::page(tx, at, &[], from.as_deref(), PAGE).await?;
                        let last =
                            (rows.len() == PAGE as usize).then(|| rows.last().map(|row| row.keys.clone()));
                        for row in rows {
                            let opened = inside.identity().sealer().open(&column.bound_to(&row), &row.value);
                            let Some(clear) = opened.ok().and_then(|it| String::from_utf8(it.to_vec()).ok())
                            else {
                                continue;
                            };
                            let hash = match index.hash {
                                IndexHash::Login => inside.identity().pepper().of_login(&clear),
                                IndexHash::Email => inside.identity().pepper().of_email(&clear),
                            };
                            if row.index.as_deref() != Some(hash.as_slice()) {
                                store::sealed::replace_index(tx, at, &row, &hash).await?;
                            }
                        }
                        Ok(last.flatten())
                    }) as BoxFuture<'_, Result<Option<Vec<Value>>, Problem>>
                })
                .await;
            match last {
                Ok(Some(keys)) => after = Some(keys),
                Ok(None) => break,
                Err(problem) if problem.kind == ProblemKind::Taken => return Ok(()),
                Err(problem) => return Err(problem),
            }
        }
    }
    let inside = app.clone();
    step(app, now, move |tx| {
        Box::pin(async move {
            store::vault::set_indexed(tx, version, now).await?;
            Ok(vec![told(&inside, now, "pepper.index", "pepper", version)])
        })
    })
    .await
}

/// Does at once what the next rounds would do, and tells how far it is. For operators who wait.
pub async fn advance(app: &App, permit: &Permit) -> Result<Option<Progress>, Problem> {
    learn(app).await?;
    app.identity().vault().rests_until.store(i64::MIN, Ordering::Release);
    work(app, PAGES_OF_A_ROUND * 4).await?;
    learn(app).await?;
    Ok(status(app, permit).await?.rotation)
}

/// A pepper of the vault, sealed by its active key.
pub(super) fn seal_pepper(app: &App, version: u32, pepper: &[u8; 32]) -> Result<Vec<u8>, Problem> {
    app.identity().sealer().seal(&sealed_as(version), pepper, app.world().random()).map_err(internal)
}
