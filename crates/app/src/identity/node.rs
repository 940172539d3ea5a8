//! The nodes that run: each says so every few seconds, and which signing keys it has read. Nothing is decided by it; operators see whom a
//! rotation reaches.

use super::lineage::Lineage;
use crate::App;
use crate::audit;
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::{Problem, Timestamp};
use charter_store as store;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};
use store::node::Node;
use store::signing_key::SigningKey;

/// A node that was not seen for this long does not count as running.
pub const SEEN_SECONDS: i64 = 60;
/// How often a node says that it runs, as long as it has nothing new to say.
const BEAT_SECONDS: i64 = 15;
/// Clocks may be this far apart where it counts that nobody runs.
const ALONE_SECONDS: i64 = SEEN_SECONDS + super::LEEWAY_SECONDS;
/// Nodes that said nothing for this long are forgotten.
const KEPT_SECONDS: i64 = 3_600;

/// What this node has said of itself.
#[derive(Debug)]
pub(super) struct Beat {
    started_at: Timestamp,
    said: Mutex<Option<(Timestamp, String)>>,
}

impl Beat {
    pub(super) fn new(started_at: Timestamp) -> Self {
        Self { started_at, said: Mutex::default() }
    }

    fn said(&self) -> Option<(Timestamp, String)> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn say(&self, said: Option<(Timestamp, String)>) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }
}

/// A node that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// What it said of itself.
    pub node: Node,
    /// Whether it has read the signing keys as they are now.
    pub is_current: bool,
}

/// What stands for signing keys and their states.
fn standing_for<'a>(keys: impl Iterator<Item = &'a SigningKey>) -> String {
    let mut lines: Vec<String> =
        keys.map(|key| format!("{} {} {}\n", key.kid, key.state.as_str(), key.activates_at)).collect();
    lines.sort_unstable();
    audit::hex(Sha256::digest(lines.concat()).get(..6).unwrap_or_default())
}

/// Says that this node runs, unless it has just said the same.
pub(crate) async fn beat(app: &App) -> Result<(), Problem> {
    let (identity, now) = (app.identity(), app.now());
    let sets = Lineage::ALL.map(|lineage| identity.keys_of(lineage));
    let signing_keys = standing_for(sets.iter().flat_map(|set| set.kept()));
    let is_fresh = |at: Timestamp| at <= now && now < at.plus_seconds(BEAT_SECONDS);
    if identity.beat.said().is_some_and(|(at, keys)| is_fresh(at) && keys == signing_keys) {
        return Ok(());
    }
    let node = Node {
        id: identity.vault.holder(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: identity.beat.started_at,
        seen_at: now,
        signing_keys: signing_keys.clone(),
    };
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move { Ok(store::node::beat(tx, &node).await?) })
                as BoxFuture<'_, Result<(), Problem>>
        })
        .await?;
    identity.beat.say(Some((now, signing_keys)));
    Ok(())
}

/// Says that this node stops.
pub(super) async fn leave(app: &App) {
    let identity = app.identity();
    if identity.beat.said().is_none() {
        return;
    }
    let id = identity.vault.holder();
    let left = app.database().write(Scope::Installation, move |tx: &mut Tx| {
        Box::pin(async move { Ok(store::node::leave(tx, id).await?) }) as BoxFuture<'_, Result<(), Problem>>
    });
    match left.await {
        Ok(()) => identity.beat.say(None),
        Err(problem) => tracing::debug!(%problem, "this node counts as running for another minute"),
    }
}

/// Forgets nodes that are long gone.
pub(super) async fn purge(app: &App, now: Timestamp) -> Result<(), Problem> {
    let before = now.plus_seconds(-KEPT_SECONDS);
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move { Ok(store::node::purge(tx, before).await.map(drop)?) })
                as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}

/// The nodes that run, the oldest first.
pub async fn running(app: &App, now: Timestamp) -> Result<Vec<NodeState>, Problem> {
    let (nodes, keys) = reading_all!(app.database(), |conn| async move {
        let nodes = store::node::seen_since(conn, now.plus_seconds(-SEEN_SECONDS)).await?;
        Ok::<_, charter_db::Error>((nodes, store::signing_key::list(conn).await?))
    })?;
    let current = standing_for(keys.iter().filter(|key| Lineage::of(key).is_some()));
    let state = |node: Node| NodeState { is_current: node.signing_keys == current, node };
    Ok(nodes.into_iter().map(state).collect())
}

/// Whether no node runs, by whichever clock.
pub(crate) async fn none_runs(conn: &mut Conn, now: Timestamp) -> Result<bool, charter_db::Error> {
    Ok(store::node::seen_since(conn, now.plus_seconds(-ALONE_SECONDS)).await?.is_empty())
}
