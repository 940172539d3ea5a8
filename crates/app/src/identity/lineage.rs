//! The lineage of signing keys in the database: read, made when there is none, and reloaded when a token names a key this node has not
//! seen. Two nodes that start at once make one key: the database lets one active key of a purpose be (`signing_keys_active`).

use super::LEEWAY_SECONDS;
use super::signing_key::{ACCESS, KeySet, generate};
use crate::App;
use crate::audit;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store as store;
use charter_store::signing_key::KeyState;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Reads the keys; verified tokens are forgotten when something changed.
pub async fn reload(app: &App) -> Result<(), Problem> {
    let identity = app.identity();
    let kept = reading_all!(app.database(), |conn| store::signing_key::of_purpose(conn, ACCESS))?;
    if !identity.keys().is_of(&kept) {
        identity.keys.store(Arc::new(KeySet::new(kept, &identity.sealer)?));
        identity.verified.clear();
    }
    Ok(())
}

/// Reads the keys again because a token names an unknown one: at most once a second, however many such tokens come. Tells whether
/// they were read.
pub async fn reload_for_unknown(app: &App, now: Timestamp) -> Result<bool, Problem> {
    let read_at = &app.identity().keys_read_at;
    let last = read_at.load(Ordering::Acquire);
    let is_due = now.micros() - last >= 1_000_000;
    if !is_due || read_at.compare_exchange(last, now.micros(), Ordering::AcqRel, Ordering::Acquire).is_err() {
        return Ok(false);
    }
    reload(app).await?;
    Ok(true)
}

/// Makes the first key, unless another node was faster; then takes that one.
pub async fn ensure_active(app: &App) -> Result<(), Problem> {
    let (identity, platform, now) = (app.identity(), app.platform(), app.now());
    // Active from a little earlier, so that a node whose clock is behind can sign with it at once.
    let from = now.plus_seconds(-LEEWAY_SECONDS);
    let key =
        generate(&app.world().random(), app.world().random(), &identity.sealer, KeyState::Active, now, from)?;
    let kid = key.kid.clone();
    let written = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let kept = store::signing_key::of_purpose(transaction.tx(), ACCESS).await?;
                if kept.iter().any(|key| key.state == KeyState::Active) {
                    return Err(Problem::new(ProblemKind::Taken, "a key signs already"));
                }
                store::signing_key::insert(transaction.tx(), &key).await?;
                let event = audit::system_event(
                    "identity",
                    platform,
                    now,
                    "signing_key.activate",
                    "signing_key",
                    kid,
                );
                transaction.commit(event, Vec::new(), ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await;
    match written {
        Ok(_) => {}
        Err(problem) if problem.kind == ProblemKind::Taken => {}
        Err(problem) => return Err(problem),
    }
    reload(app).await
}
