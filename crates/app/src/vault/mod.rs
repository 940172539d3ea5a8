//! The vault: keys that seal what is sensitive, and versions of the pepper. Which values they seal stands in one list
//! (`store/src/sealed.rs`).
//!
//! A new key is published first and seals 75 seconds later, when every node has read it, however late its clock; at once where none runs. Then one node at a time, by a lease, seals again
//! what the keys before it sealed (`reseal.rs`): a page at a time, found by the number each value begins with, so that a node that dies
//! leaves nothing to be put in order. Both keys open until nothing is left of the old one, and for as long again as was asked; then
//! the old one is destroyed. `rotation.rs` begins it, `pepper.rs` does the same for hashes, which are made anew when their secret is
//! shown (`rehash.rs`). A node that meets a value of a key it has not read reads the keys at that moment (`meeting.rs`).

mod existing;
mod meeting;
pub mod pepper;
pub mod provider;
pub(crate) mod rehash;
mod reseal;
pub mod rotation;
mod status;

pub use existing::{Existing, encrypt_existing};
pub(crate) use meeting::{meet, open};
pub use reseal::advance;
pub use status::{ColumnState, KekState, KeyState, KeyWord, PepperState, Progress, Status, status};

use crate::App;
use crate::audit;
use crate::clock::World;
use crate::identity::pepper::{CONFIGURED, proof_of};
use crate::identity::seal::{Pepper, Sealer, is_same};
use crate::transaction::{Committed, Transaction};
use arc_swap::ArcSwap;
use charter_db::{BoxFuture, Database, Scope};
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store as store;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use store::vault::{VaultKey, VaultPepper};
use zeroize::Zeroizing;

/// How long a key or a pepper is published before it is used: every node reads them once a second, and clocks may be a minute apart.
/// Where no node runs, nobody has to read a key first.
pub const PUBLISHED_SECONDS: i64 = crate::identity::LEEWAY_SECONDS + 15;
/// Shortest and longest time, and that when nothing is said, for which an old key is kept when nothing is sealed by it any more.
pub const KEEP_SECONDS: std::ops::RangeInclusive<u32> = 3_600..=365 * 86_400;
/// What is kept when nothing is said.
pub const KEEP_SECONDS_DEFAULT: u32 = 86_400;
/// Pages that one round of a node seals again, and a call of an operator.
const PAGES_OF_A_ROUND: usize = 5;

/// What a node knows of the vault.
pub struct Vault {
    /// Who this node is to others: in leases, and among the nodes that run.
    holder: u128,
    configured: Zeroizing<[u8; 32]>,
    keys: ArcSwap<Vec<VaultKey>>,
    peppers: ArcSwap<Vec<VaultPepper>>,
    place: Mutex<Option<reseal::Place>>,
    rests_until: AtomicI64,
    waiting: rehash::Waiting,
    vain: meeting::Vain,
}

/// What a pepper is sealed under.
fn sealed_as(version: u32) -> String {
    format!("pepper {version}")
}

async fn read(database: &Database) -> Result<(Vec<VaultKey>, Vec<VaultPepper>), Problem> {
    reading_all!(database, |conn| async move {
        Ok::<_, charter_db::Error>((store::vault::keys(conn).await?, store::vault::peppers(conn).await?))
    })
}

fn internal(error: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Internal, error.to_string())
}

impl Vault {
    /// With what the database has. Refuses when the configuration cannot open it: nothing is ever made in its place.
    pub(crate) async fn open(
        database: &Database,
        world: &World,
        sealer: &Sealer,
        pepper: &Pepper,
        configured: &[u8; 32],
    ) -> Result<Self, Problem> {
        let (keys, peppers) = read(database).await?;
        let vault = Self {
            holder: world.fresh_id(),
            configured: Zeroizing::new(*configured),
            keys: ArcSwap::default(),
            peppers: ArcSwap::default(),
            place: Mutex::default(),
            rests_until: AtomicI64::new(i64::MIN),
            waiting: rehash::Waiting::default(),
            vain: meeting::Vain::default(),
        };
        let now = world.now();
        sealer.learn(&keys, now).map_err(internal)?;
        vault.learn_peppers(&peppers, sealer, pepper, now)?;
        vault.keys.store(Arc::new(keys));
        vault.peppers.store(Arc::new(peppers));
        Ok(vault)
    }

    fn learn_peppers(
        &self,
        kept: &[VaultPepper],
        sealer: &Sealer,
        pepper: &Pepper,
        now: Timestamp,
    ) -> Result<(), Problem> {
        // First of all, and whatever goes wrong below: what has ended counts no more.
        let is_live = |row: &&VaultPepper| row.ended_at.is_none();
        if !kept.is_empty() {
            let numbers: Vec<u32> = kept.iter().filter(is_live).map(|row| row.version).collect();
            pepper.keep_only(&numbers);
        }
        let mut live = Vec::with_capacity(2);
        for row in kept.iter().rev().filter(is_live) {
            let clear = match &row.sealed {
                None => self.configured.clone(),
                Some(sealed) => {
                    let opened = sealer.open(&sealed_as(row.version), sealed).map_err(|error| {
                        internal(format!("version {} of the pepper {error}", row.version))
                    })?;
                    Zeroizing::new(opened.as_slice().try_into().map_err(internal)?)
                }
            };
            if !is_same(&proof_of(&clear), &row.proof) {
                return Err(internal(format!(
                    "the pepper of the configuration is not the one that credentials were hashed with (version {}): put that one back; \
                     nothing was changed",
                    row.version
                )));
            }
            live.push((row.version, row.activates_at <= now, clear));
        }
        // The one that hashes first; one that is published only recognises. A clock that is behind brings none back: what hashes here
        // already goes on, and when no version's time has come by this clock, the newest one hashes.
        let in_force = pepper.version();
        let hashes = live.iter().position(|(version, is_active, _)| *is_active || *version == in_force);
        if !live.is_empty() {
            let first = live.remove(hashes.unwrap_or(0));
            live.insert(0, first);
            let live: Vec<(u32, &[u8; 32])> =
                live.iter().map(|(version, _, clear)| (*version, &**clear)).collect();
            pepper.learn(&live);
        }
        Ok(())
    }

    /// Who this node is to others.
    pub(crate) fn holder(&self) -> u128 {
        self.holder
    }

    /// The keys, oldest first.
    pub(crate) fn keys(&self) -> Arc<Vec<VaultKey>> {
        self.keys.load_full()
    }

    /// The versions of the pepper, oldest first.
    pub(crate) fn peppers(&self) -> Arc<Vec<VaultPepper>> {
        self.peppers.load_full()
    }
}

/// Reads keys and peppers, and makes the first key of an installation that has none.
pub(crate) async fn learn(app: &App) -> Result<(), Problem> {
    let (keys, peppers) = read(app.database()).await?;
    if keys.is_empty() {
        begin(app).await?;
        let (keys, peppers) = read(app.database()).await?;
        return take_in(app, keys, peppers);
    }
    take_in(app, keys, peppers)
}

fn take_in(app: &App, keys: Vec<VaultKey>, peppers: Vec<VaultPepper>) -> Result<(), Problem> {
    let (identity, now) = (app.identity(), app.now());
    let vault = identity.vault();
    if let Err(locked) = identity.sealer().learn(&keys, now) {
        // What this node knows goes on; who reads what a key sealed that it does not know is told so.
        tracing::error!(%locked, "a key of the vault cannot be opened by this node");
    }
    vault.learn_peppers(&peppers, identity.sealer(), identity.pepper(), now)?;
    vault.keys.store(Arc::new(keys));
    vault.peppers.store(Arc::new(peppers));
    Ok(())
}

/// A new first key would have the number of one that is gone, and its values the number of values that nobody opens any more.
fn require_none_numbered(counts: &[Vec<(Option<u32>, u64)>]) -> Result<(), Problem> {
    let of_column = |of: &Vec<(Option<u32>, u64)>| reseal::sum(std::slice::from_ref(of), |key| key.is_some());
    let columns: Vec<String> = store::sealed::COLUMNS
        .iter()
        .zip(counts)
        .filter(|(_, of)| of_column(of) > 0)
        .map(|(column, of)| format!("{}.{} ({})", column.table, column.column, of_column(of)))
        .collect();
    if columns.is_empty() {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::Internal,
        format!(
            "the table vault_keys is empty, and there are values that its keys sealed: {}. Put its rows back from a backup; when they are \
             lost for good, docs/guide/vault.md tells what to remove first. Nothing was made and nothing was changed",
            columns.join(", ")
        ),
    ))
}

/// The first key, and the pepper of the configuration as the first version.
async fn begin(app: &App) -> Result<(), Problem> {
    let (platform, now) = (app.platform(), app.now());
    let secret = Zeroizing::new(app.world().random::<32>());
    let (kek, wrapped) = app.identity().sealer().wrap(1, &secret, app.world().random()).map_err(internal)?;
    let key = VaultKey {
        number: 1,
        kek,
        wrapped: Some(wrapped),
        created_at: now,
        activates_at: now,
        keep_seconds: KEEP_SECONDS_DEFAULT,
        unreadable: 0,
        retired_at: None,
        destroy_at: None,
        destroyed_at: None,
    };
    let pepper = VaultPepper {
        version: CONFIGURED,
        sealed: None,
        proof: proof_of(&app.identity().vault().configured).to_vec(),
        created_at: now,
        activates_at: now,
        indexed_at: Some(now),
        ended_at: None,
    };
    let written = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                if !store::vault::keys(tx).await?.is_empty() {
                    return Err(Problem::new(ProblemKind::Taken, "another node has made the first key"));
                }
                require_none_numbered(&reseal::counts(tx).await?)?;
                store::vault::insert_key(tx, &key).await?;
                store::vault::insert_pepper(tx, &pepper).await?;
                store::vault::set_indexed(tx, pepper.version, now).await?;
                let event = audit::system_event("vault", platform, now, "vault_key.create", "vault_key", "1");
                transaction.commit(event, Vec::new(), ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await;
    match written {
        Err(problem) if problem.kind == ProblemKind::Taken => Ok(()),
        other => other.map(drop),
    }
}

/// What a node does for the vault about once a second. What cannot be done now is done later.
pub(crate) async fn round(app: &App) {
    rehash::flush(app).await;
    if let Err(problem) = reseal::work(app, PAGES_OF_A_ROUND).await {
        tracing::warn!(%problem, "the vault could not seal again what is due: it goes on later");
    }
}
