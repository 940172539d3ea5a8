//! Equal things kept once for all shards: role sets, timelines, compiled conditions.

use crate::condition::{self, CompiledCondition, ConditionError};
use crate::entitle::Timeline;
use crate::set::{PermissionIndex, PermissionSet};
use charter_kernel::Condition;
use charter_kernel::facts::Level;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What one combination of roles gives without condition or window.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct RoleSet {
    /// By roles of at least each level, viewer first; the first is everything.
    pub at_least: [PermissionSet; 4],
    /// One of the roles administers the organization.
    pub administers: bool,
}

impl RoleSet {
    #[inline]
    pub(crate) fn gives(&self, permission: PermissionIndex, minimum: Option<Level>) -> bool {
        let at = minimum.map_or(0, |level| level as usize - 1);
        self.at_least.get(at).is_some_and(|set| set.contains(permission))
    }

    pub(crate) fn all(&self) -> &PermissionSet {
        let [all, ..] = &self.at_least;
        all
    }

    pub(crate) fn memory(&self) -> usize {
        let behind = self.at_least.iter().map(|set| set.memory() - size_of::<PermissionSet>());
        size_of::<Self>() + behind.sum::<usize>()
    }
}

/// A hash of parts that nobody outside chooses to collide: equality is checked, and buckets are small.
struct Folding(u64);

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
}

struct Pool<T> {
    buckets: HashMap<u64, Vec<Weak<T>>>,
    sweep_at: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { buckets: HashMap::new(), sweep_at: 1024 }
    }
}

impl<T: Eq + Hash> Pool<T> {
    fn share(&mut self, value: T) -> Arc<T> {
        let mut hasher = Folding(0);
        value.hash(&mut hasher);
        if self.buckets.len() >= self.sweep_at {
            self.buckets.retain(|_, bucket| {
                bucket.retain(|held| held.strong_count() > 0);
                !bucket.is_empty()
            });
            self.sweep_at = (self.buckets.len() * 2).max(1024);
        }
        let bucket = self.buckets.entry(hasher.finish()).or_default();
        if let Some(found) = bucket.iter().filter_map(Weak::upgrade).find(|held| **held == value) {
            return found;
        }
        let new = Arc::new(value);
        bucket.retain(|held| held.strong_count() > 0);
        bucket.push(Arc::downgrade(&new));
        new
    }
}

#[derive(Default)]
struct Pools {
    role_sets: Pool<RoleSet>,
    timelines: Pool<Timeline>,
    conditions: HashMap<String, Weak<CompiledCondition>>,
    sweep_conditions_at: usize,
}

/// Shares equal parts between the shards of all organizations. Used while compiling only; deciding never touches it.
#[derive(Default)]
pub struct Interner {
    pools: Mutex<Pools>,
}

impl std::fmt::Debug for Interner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interner")
    }
}

impl Interner {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn pools(&self) -> std::sync::MutexGuard<'_, Pools> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn role_set(&self, set: RoleSet) -> Arc<RoleSet> {
        self.pools().role_sets.share(set)
    }

    pub(crate) fn timeline(&self, timeline: Timeline) -> Arc<Timeline> {
        self.pools().timelines.share(timeline)
    }

    pub(crate) fn condition(&self, written: &Condition) -> Result<Arc<CompiledCondition>, ConditionError> {
        let key = serde_json::to_string(written).map_err(|wrong| ConditionError(wrong.to_string()))?;
        if let Some(found) = self.pools().conditions.get(&key).and_then(Weak::upgrade) {
            return Ok(found);
        }
        let new = Arc::new(condition::compile(written)?);
        let mut pools = self.pools();
        if pools.conditions.len() >= pools.sweep_conditions_at {
            pools.conditions.retain(|_, held| held.strong_count() > 0);
            pools.sweep_conditions_at = (pools.conditions.len() * 2).max(1024);
        }
        pools.conditions.insert(key, Arc::downgrade(&new));
        Ok(new)
    }
}
