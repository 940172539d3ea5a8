//! The snapshot service: one immutable shard per organization, built when first asked for, swapped by the writer before it answers,
//! brought up to date from other nodes' changes, and dropped when long unused. Readers take no lock.
//!
//! Freshness: the node reads the change sequence about once a second (and at once when told by a notification). A node that has
//! not read it for `max_staleness` decides nothing. How changes are read is `follow.rs`, where the snapshots are `slots.rs`, what is remembered with them of sign-in `demand.rs`, of
//! shadow mode `mode.rs`, of what was kept away `kept_away.rs`.
//! Next: `check.rs` asks; `edit.rs` swaps.

mod demand;
mod follow;
mod kept_away;
mod mode;
mod slots;

use crate::clock::{LastRead, World};
use crate::organization::Directory;
use arc_swap::{ArcSwap, ArcSwapOption};
use charter_db::Database;
use charter_kernel::catalogue::Catalogue;
use charter_kernel::facts::{MemberFact, OrganizationFacts};
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, Revision, Timestamp};
use charter_policy::{Index, Interner, Shard};
use charter_store as store;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use demand::RememberedDemand;
use kept_away::RememberedKeptAway;
pub use mode::ModeSince;
use mode::RememberedMode;
use slots::{Slot, Slots};

/// Hashes of the shipped and the own document.
pub(crate) type CatalogueSignature = (Option<Vec<u8>>, Option<Vec<u8>>);

type Names = HashMap<Box<str>, PrincipalId>;

/// One organization at one revision.
pub struct Snapshot {
    shard: Shard,
    index: Arc<Index>,
    names: OnceLock<Names>,
    demand: RememberedDemand,
    mode: RememberedMode,
    kept_away: RememberedKeptAway,
}

impl Snapshot {
    /// The compiled facts.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// The compiled catalogue they were compiled with.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// The second factor that the organization demands.
    pub(crate) fn demand(&self) -> &RememberedDemand {
        &self.demand
    }

    /// Whose answer the organization is given.
    pub(crate) fn mode(&self) -> &RememberedMode {
        &self.mode
    }

    /// What runs of adoption keep away from members.
    pub(crate) fn kept_away(&self) -> &RememberedKeptAway {
        &self.kept_away
    }
}

/// Counters of the service, for metrics and readiness.
#[derive(Debug, Default)]
pub struct SnapshotCounters {
    /// Shards built from the database.
    pub built: AtomicU64,
    /// Shards dropped because nobody asked for long.
    pub dropped: AtomicU64,
}

/// Organizations as they are supposed to be that are kept at once.
const SUPPOSED_MAX: usize = 4;

/// See the module.
pub struct Snapshots {
    database: Database,
    world: World,
    index: ArcSwap<Index>,
    catalogue: ArcSwap<Catalogue>,
    catalogue_signature: ArcSwap<CatalogueSignature>,
    codes_tag: ArcSwapOption<(Arc<Index>, Arc<str>)>,
    interner: Interner,
    registered_kinds: ArcSwap<HashSet<String>>,
    slots: Slots,
    last_read: LastRead,
    max_staleness_seconds: i64,
    directory: Arc<Directory>,
    supposed: Mutex<Vec<(OrganizationId, String, Arc<Snapshot>)>>,
    counters: SnapshotCounters,
}

impl Snapshots {
    /// A service over a database, with the catalogue it starts with.
    pub fn new(
        database: Database,
        world: World,
        catalogue: Arc<Catalogue>,
        index: Arc<Index>,
        max_staleness_seconds: u32,
        directory: Arc<Directory>,
    ) -> Self {
        let last_read = LastRead::new(world.moment());
        Self {
            database,
            world,
            index: ArcSwap::new(index),
            catalogue: ArcSwap::new(catalogue),
            catalogue_signature: ArcSwap::default(),
            codes_tag: ArcSwapOption::empty(),
            interner: Interner::default(),
            registered_kinds: ArcSwap::default(),
            slots: Slots::default(),
            last_read,
            max_staleness_seconds: i64::from(max_staleness_seconds),
            directory,
            supposed: Mutex::default(),
            counters: SnapshotCounters::default(),
        }
    }

    /// The catalogue in force.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.load_full()
    }

    /// The compiled catalogue in force.
    pub fn index(&self) -> Arc<Index> {
        self.index.load_full()
    }

    /// A tag of the codes of a compiled catalogue, made once as long as that one is asked about.
    pub fn codes_tag(&self, index: &Arc<Index>, make: impl FnOnce(&Index) -> String) -> Arc<str> {
        if let Some(known) = &*self.codes_tag.load()
            && Arc::ptr_eq(&known.0, index)
        {
            return Arc::clone(&known.1);
        }
        let tag: Arc<str> = make(index).into();
        self.codes_tag.store(Some(Arc::new((Arc::clone(index), Arc::clone(&tag)))));
        tag
    }

    /// Whether other documents are installed than those the catalogue in force was read from.
    pub(crate) fn catalogue_changed(&self, signature: &CatalogueSignature) -> bool {
        **self.catalogue_signature.load() != *signature
    }

    /// Remembers which documents the catalogue in force was read from.
    pub(crate) fn catalogue_seen(&self, signature: CatalogueSignature) {
        self.catalogue_signature.store(Arc::new(signature));
    }

    /// Shares equal sets between shards.
    pub fn interner(&self) -> &Interner {
        &self.interner
    }

    /// Counters.
    pub fn counters(&self) -> &SnapshotCounters {
        &self.counters
    }

    /// How long ago the change sequence was last read, in seconds: how old what this node decides by may be, also where the clock was set
    /// back since.
    pub fn age_seconds(&self, now: Timestamp) -> i64 {
        self.last_read.age_micros(self.world.moment_of(now)) / 1_000_000
    }

    /// Refuses when the facts may be older than `max_staleness`.
    pub fn require_fresh(&self, now: Timestamp) -> Result<(), Problem> {
        let age_seconds = self.age_seconds(now);
        if age_seconds <= self.max_staleness_seconds {
            return Ok(());
        }
        Err(Problem {
            retry_after_seconds: Some(1),
            ..Problem::new(
                ProblemKind::Unavailable,
                format!(
                    "changes could not be read for {age_seconds} s (at most {} s are allowed): no decision is given until the database answers",
                    self.max_staleness_seconds
                ),
            )
        })
    }

    /// The snapshot of an organization, fresh enough to decide from; built now when it is not in memory.
    pub async fn snapshot(
        &self,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<Arc<Snapshot>, Problem> {
        self.require_fresh(now)?;
        if let Some(snapshot) = self.in_memory(organization, now) {
            return Ok(snapshot);
        }
        Box::pin(self.build(organization, Revision(0), now)).await
    }

    /// The snapshot when it is in memory already: no lock, no await.
    pub fn in_memory(&self, organization: OrganizationId, now: Timestamp) -> Option<Arc<Snapshot>> {
        self.slots.look(organization, |slot| {
            let snapshot = slot.snapshot.load_full()?;
            let seconds = now.seconds();
            if slot.last_used_seconds.load(Ordering::Relaxed) + 30 < seconds {
                slot.last_used_seconds.store(seconds, Ordering::Relaxed);
            }
            Some(snapshot)
        })
    }

    /// A snapshot at least as new as `revision` (the `Charter-At-Least` header).
    pub async fn at_least(
        &self,
        organization: OrganizationId,
        revision: Revision,
        now: Timestamp,
    ) -> Result<Arc<Snapshot>, Problem> {
        let snapshot = self.snapshot(organization, now).await?;
        if snapshot.shard().revision() >= revision {
            return Ok(snapshot);
        }
        let snapshot = Box::pin(self.build(organization, revision, now)).await?;
        if snapshot.shard().revision() >= revision {
            return Ok(snapshot);
        }
        Err(Problem {
            retry_after_seconds: Some(1),
            ..Problem::new(
                ProblemKind::Unavailable,
                format!(
                    "revision {revision} is not known yet: the newest is {}",
                    snapshot.shard().revision()
                ),
            )
        })
    }

    async fn build(
        &self,
        organization: OrganizationId,
        wanted: Revision,
        now: Timestamp,
    ) -> Result<Arc<Snapshot>, Problem> {
        let missing = || Problem::not_found("no such organization, or you are not a member of it");
        // Unknown ids get no slot: a stranger's guesses must not grow the map.
        let known = match self.slots.get(organization) {
            Some(slot) => slot,
            None => {
                if reading!(self.database, organization, |conn| store::organization::get(conn, organization))?
                    .is_none()
                {
                    return Err(missing());
                }
                self.slots.add(organization).ok_or_else(missing)?
            }
        };
        let _one_at_a_time = known.build.lock().await;
        if let Some(snapshot) = known.snapshot.load_full()
            && wanted > Revision(0)
            && snapshot.shard().revision() >= wanted
        {
            return Ok(snapshot);
        } else if let Some(snapshot) = known.snapshot.load_full()
            && wanted == Revision(0)
        {
            return Ok(snapshot);
        }
        loop {
            let facts = store::facts::load(&self.database, organization).await?.ok_or_else(missing)?;
            let snapshot = self.compile(&facts)?;
            // Asked for with the next request, perhaps while the database is away.
            snapshot.demand.read(&self.database, organization).await?;
            let mode = snapshot.mode.read(&self.database, organization).await?;
            if mode.mode != store::shadow::ShadowMode::Off {
                snapshot.kept_away.read(&self.database, organization, &snapshot.index).await?;
            }
            self.counters.built.fetch_add(1, Ordering::Relaxed);
            known.last_used_seconds.store(now.seconds(), Ordering::Relaxed);
            let revision = snapshot.shard().revision();
            let in_force = offer(&known, snapshot);
            // A change that was announced while this build read the facts is read now, not at the next poll.
            if known.heard.load(Ordering::Acquire) <= in_force.shard().revision().0 || revision < wanted {
                return Ok(in_force);
            }
        }
    }

    /// Compiles facts with the catalogue in force.
    pub fn compile(&self, facts: &OrganizationFacts) -> Result<Arc<Snapshot>, Problem> {
        let index = self.index();
        let shard = Shard::compile(&index, facts, &self.interner)
            .map_err(|error| Problem::new(ProblemKind::Internal, format!("facts do not compile: {error}")))?;
        let (demand, mode) = (RememberedDemand::default(), RememberedMode::default());
        let (names, kept_away) = (OnceLock::new(), RememberedKeptAway::default());
        let snapshot = Snapshot { shard, index, names, demand, mode, kept_away };
        // Who was asked for by login will be again, perhaps while the database is away.
        let had_names = self
            .slots
            .get(facts.organization.id)
            .and_then(|slot| slot.snapshot.load_full())
            .is_some_and(|before| before.names.get().is_some());
        if had_names {
            snapshot.names.get_or_init(|| names_of(&facts.members));
        }
        Ok(Arc::new(snapshot))
    }

    /// The same after an edit of the facts of this revision, which changed nothing else: what was demanded then is demanded now.
    pub(crate) fn compile_edited(
        &self,
        before: Revision,
        facts: &OrganizationFacts,
    ) -> Result<Arc<Snapshot>, Problem> {
        let snapshot = self.compile(facts)?;
        let known = self.slots.get(facts.organization.id).and_then(|slot| slot.snapshot.load_full());
        if let Some(known) = known.filter(|known| known.shard().revision() == before) {
            snapshot.demand.take_over(&known.demand);
            snapshot.mode.take_over(&known.mode);
        }
        Ok(snapshot)
    }

    /// Whether any organization may have registered a resource of this type.
    pub fn is_kind_registered(&self, kind: &str) -> bool {
        self.registered_kinds.load().contains(kind)
    }

    async fn read_registered_kinds(&self) -> Result<(), Problem> {
        let kinds = reading_all!(self.database, |conn| store::resource::kinds(conn))?;
        self.note_registered_kinds(kinds);
        Ok(())
    }

    /// Takes note that resources of these types are registered somewhere. A type is never forgotten: asking about one that is gone
    /// costs a look, forgetting one that a writer has just told of would open another organization's resource.
    pub(crate) fn note_registered_kinds(&self, kinds: impl IntoIterator<Item = String>) {
        let fresh: Vec<String> = kinds.into_iter().filter(|kind| !self.is_kind_registered(kind)).collect();
        if !fresh.is_empty() {
            self.registered_kinds.rcu(|known| {
                let mut all = HashSet::clone(known);
                all.extend(fresh.iter().cloned());
                all
            });
        }
    }

    /// Puts a newer snapshot in force; an older one changes nothing.
    pub fn swap(&self, organization: OrganizationId, snapshot: Arc<Snapshot>) {
        if let Some(slot) = self.slots.add(organization) {
            slot.last_used_seconds.store(self.world.now().seconds(), Ordering::Relaxed);
            let index = Arc::clone(&snapshot.index);
            offer(&slot, snapshot);
            // Another catalogue came into force since this was compiled: whoever asks next compiles anew.
            if !Arc::ptr_eq(&index, &self.index.load()) {
                self.slots.remove(organization);
            }
        }
    }

    /// An organization compiled from facts that are not in force, at least as new as a revision: nobody decides by it. A few are kept, with
    /// what was supposed, for who asks page by page.
    pub(crate) fn supposed(
        &self,
        organization: OrganizationId,
        what: &str,
        revision: Revision,
    ) -> Option<Arc<Snapshot>> {
        let kept = self.supposed.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, _, snapshot) =
            kept.iter().find(|(of, supposition, _)| *of == organization && supposition == what)?;
        let is_it = snapshot.shard.revision() >= revision && Arc::ptr_eq(&snapshot.index, &self.index.load());
        is_it.then(|| Arc::clone(snapshot))
    }

    /// Keeps such a one in the place of an older one of the same organization; none forgets it.
    pub(crate) fn suppose(&self, organization: OrganizationId, what: &str, snapshot: Option<Arc<Snapshot>>) {
        let mut kept = self.supposed.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(of, supposition, _)| *of != organization || supposition != what);
        if let Some(snapshot) = snapshot {
            if kept.len() >= SUPPOSED_MAX {
                kept.remove(0);
            }
            kept.push((organization, what.to_owned(), snapshot));
        }
    }

    /// Drops organizations nobody asked for since `before`, and returns how many.
    pub fn drop_unused(&self, before: Timestamp) -> usize {
        let dropped = self.slots.remove_unused(before);
        self.counters.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
        dropped
    }

    /// Bytes that the snapshots in memory take, and how many there are.
    pub fn memory(&self) -> (usize, usize) {
        let (mut bytes, mut count) = (0, 0);
        self.slots.each(|snapshot| {
            bytes += snapshot.shard().memory_bytes() + size_of::<Slot>();
            count += 1;
        });
        (bytes, count)
    }

    /// Puts another catalogue in force; every organization is compiled anew when next asked for.
    pub fn replace_catalogue(&self, catalogue: Arc<Catalogue>, index: Arc<Index>) {
        self.slots.clear_after(|| {
            self.catalogue.store(catalogue);
            self.index.store(index);
        });
    }

    /// The principal a login names in an organization; the names are read once per snapshot, when first asked for.
    pub async fn principal_by_login(
        &self,
        organization: OrganizationId,
        snapshot: &Snapshot,
        login_folded: &str,
    ) -> Result<Option<PrincipalId>, Problem> {
        if let Some(names) = snapshot.names.get() {
            return Ok(names.get(login_folded).copied());
        }
        let facts = Box::pin(store::facts::load(&self.database, organization)).await?;
        let names = facts.map(|facts| names_of(&facts.members)).unwrap_or_default();
        Ok(snapshot.names.get_or_init(|| names).get(login_folded).copied())
    }
}

fn names_of(members: &[MemberFact]) -> Names {
    members.iter().map(|member| (member.login.as_str().into(), member.principal)).collect()
}

/// Stores the snapshot unless a newer one is there already, and returns the one in force.
fn offer(slot: &Slot, offered: Arc<Snapshot>) -> Arc<Snapshot> {
    slot.snapshot.rcu(|current| match current {
        Some(current)
            if current.shard().revision() > offered.shard().revision()
                || (current.shard().revision() == offered.shard().revision()
                    && Arc::ptr_eq(&current.index, &offered.index)) =>
        {
            Some(Arc::clone(current))
        }
        _ => Some(Arc::clone(&offered)),
    });
    slot.snapshot.load_full().unwrap_or(offered)
}
