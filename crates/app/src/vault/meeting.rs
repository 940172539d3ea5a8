//! A value that names a key of the vault this node has not read: a round has not come yet, or is late. The keys are read at that moment, so
//! that whoever asked for the value gets it.
//!
//! One at a time reads, and the others find what it has read. A number that stays unknown is looked for once a second at most.

use super::{read, take_in};
use crate::App;
use crate::identity::seal::NotSealed;
use charter_kernel::{Problem, Timestamp};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// A number that was looked for in vain is looked for again after this long.
const VAIN_SECONDS: i64 = 1;
/// Numbers that are looked for within that time at most.
const VAIN_MAX: usize = 16;

/// Numbers that were looked for in vain, and when. Who holds it reads.
#[derive(Default)]
pub(super) struct Vain(tokio::sync::Mutex<BTreeMap<u32, Timestamp>>);

/// Opens what was sealed under a name, by a key this node has not read yet as well.
pub(crate) async fn open(app: &App, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotSealed> {
    meet(app, sealed).await;
    app.identity().sealer().open(name, sealed)
}

/// Reads the keys when a value names one that this node has not read. What cannot be read now does not open, as before.
pub(crate) async fn meet(app: &App, sealed: &[u8]) {
    let sealer = app.identity().sealer();
    let Some(number) = sealer.unread(sealed) else { return };
    let mut vain = app.identity().vault().vain.0.lock().await;
    if sealer.unread(sealed).is_none() {
        return;
    }
    let now = app.now();
    vain.retain(|_, at| *at <= now && now < at.plus_seconds(VAIN_SECONDS));
    if vain.contains_key(&number) || vain.len() >= VAIN_MAX {
        return;
    }
    if let Err(problem) = learn(app).await {
        tracing::warn!(number, %problem, "a value names a vault key that is not known here, and the keys could not be read");
    }
    if sealer.unread(sealed).is_some() {
        vain.insert(number, now);
    }
}

async fn learn(app: &App) -> Result<(), Problem> {
    let (keys, peppers) = read(app.database()).await?;
    take_in(app, keys, peppers)
}
