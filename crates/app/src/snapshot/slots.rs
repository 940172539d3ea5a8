//! Where the snapshots are: a slot for each organization in memory, spread over many maps, so that adding one copies little. Readers take no
//! lock; who adds or removes a slot does.

use super::Snapshot;
use crate::id_hash::IdHasher;
use arc_swap::{ArcSwap, ArcSwapOption};
use charter_kernel::{OrganizationId, Timestamp};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many maps there are.
const SPREAD: usize = 1024;

type Map = HashMap<OrganizationId, Arc<Slot>, BuildHasherDefault<IdHasher>>;

/// The place of one organization.
#[derive(Default)]
pub(super) struct Slot {
    /// What is decided by.
    pub snapshot: ArcSwapOption<Snapshot>,
    /// Held by who builds it.
    pub build: tokio::sync::Mutex<()>,
    /// The newest revision anybody spoke of: a build that ends below it is done again.
    pub heard: AtomicU64,
    /// When somebody asked last.
    pub last_used_seconds: AtomicI64,
}

/// All of them.
pub(super) struct Slots {
    maps: Box<[ArcSwap<Map>]>,
    adding: Mutex<()>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { maps: (0..SPREAD).map(|_| ArcSwap::default()).collect(), adding: Mutex::new(()) }
    }
}

impl Slots {
    fn map_of(&self, organization: OrganizationId) -> Option<&ArcSwap<Map>> {
        self.maps.get((organization.bits() as usize ^ (organization.bits() >> 64) as usize) % SPREAD)
    }

    /// Looks at the slot of an organization where it is.
    pub fn look<T>(&self, organization: OrganizationId, at: impl FnOnce(&Slot) -> Option<T>) -> Option<T> {
        at(self.map_of(organization)?.load().get(&organization)?)
    }

    /// The slot of an organization.
    pub fn get(&self, organization: OrganizationId) -> Option<Arc<Slot>> {
        self.map_of(organization)?.load().get(&organization).cloned()
    }

    /// The slot of an organization, made when there is none.
    pub fn add(&self, organization: OrganizationId) -> Option<Arc<Slot>> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let map = self.map_of(organization)?;
        let current = map.load_full();
        if let Some(slot) = current.get(&organization) {
            return Some(Arc::clone(slot));
        }
        let slot = Arc::new(Slot::default());
        let mut grown = Map::clone(&current);
        grown.insert(organization, Arc::clone(&slot));
        map.store(Arc::new(grown));
        Some(slot)
    }

    /// Forgets an organization.
    pub fn remove(&self, organization: OrganizationId) {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(map) = self.map_of(organization) {
            let mut kept = Map::clone(&map.load_full());
            kept.remove(&organization);
            map.store(Arc::new(kept));
        }
    }

    /// Forgets organizations nobody asked for since, and returns how many.
    pub fn remove_unused(&self, before: Timestamp) -> usize {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut removed = 0;
        for map in &self.maps {
            let current = map.load_full();
            let kept: Map = current
                .iter()
                .filter(|(_, slot)| slot.last_used_seconds.load(Ordering::Relaxed) >= before.seconds())
                .map(|(organization, slot)| (*organization, Arc::clone(slot)))
                .collect();
            if kept.len() < current.len() {
                removed += current.len() - kept.len();
                map.store(Arc::new(kept));
            }
        }
        removed
    }

    /// Does something, and then forgets all of them; none is added in between.
    pub fn clear_after(&self, change: impl FnOnce()) {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        change();
        for map in &self.maps {
            map.store(Arc::default());
        }
    }

    /// Shows every snapshot.
    pub fn each(&self, mut show: impl FnMut(&Snapshot)) {
        for map in &self.maps {
            for slot in map.load().values() {
                if let Some(snapshot) = slot.snapshot.load_full() {
                    show(&snapshot);
                }
            }
        }
    }
}
