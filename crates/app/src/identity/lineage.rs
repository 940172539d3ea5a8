//! The lineages of signing keys in the database: read, and read again when a token names a key this node has not seen. Keys are made and
//! end in `key_rotation.rs`.

use super::signing_key::{ACCESS, ID, KeySet};
use crate::App;
use charter_kernel::{Problem, Timestamp};
use charter_store as store;
use charter_store::signing_key::SigningKey;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Reads the keys.
pub async fn reload(app: &App) -> Result<(), Problem> {
    let kept = reading_all!(app.database(), |conn| store::signing_key::list(conn))?;
    let (access, others): (Vec<_>, Vec<_>) = kept.into_iter().partition(|key| key.purpose == ACCESS);
    learn(app, ACCESS, access)?;
    learn(app, ID, others.into_iter().filter(|key| key.purpose == ID).collect())
}

/// Works with these keys of a lineage from now on; verified tokens are forgotten when something changed.
pub fn learn(app: &App, purpose: &str, kept: Vec<SigningKey>) -> Result<(), Problem> {
    let identity = app.identity();
    if purpose == ID {
        if !identity.id_keys().is_of(&kept) {
            identity.id_keys.store(Arc::new(KeySet::new(kept, &identity.sealer)?));
        }
    } else if !identity.keys().is_of(&kept) {
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
