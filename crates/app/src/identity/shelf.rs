//! A bounded map for what a node remembers of things that live in the database: full, it forgets, and the next question is asked again.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{PoisonError, RwLock};

const SHARDS: usize = 16;

/// See the module.
pub struct Shelf<K, V> {
    hasher: RandomState,
    shards: Box<[RwLock<HashMap<K, V>>]>,
    shard_max: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Shelf<K, V> {
    /// A shelf for about so many.
    pub fn new(max: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            shard_max: max.div_ceil(SHARDS).max(1),
        }
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> Option<&RwLock<HashMap<K, V>>> {
        self.shards.get(self.hasher.hash_one(key) as usize % SHARDS)
    }

    /// What is remembered under the key.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shard(key)?.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Remembers a value, unless what is there already is one that stays.
    pub fn put(&self, key: K, value: V, stays: impl Fn(&V) -> bool) {
        let Some(shard) = self.shard(&key) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.get(&key).is_some_and(&stays) {
            return;
        }
        if shard.len() >= self.shard_max && !shard.contains_key(&key) {
            shard.clear();
        }
        shard.insert(key, value);
    }

    /// Forgets the key.
    pub fn forget<Q>(&self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.forget_unless(key, |_| false);
    }

    /// Forgets the key, unless what is there is one that stays.
    pub fn forget_unless<Q>(&self, key: &Q, stays: impl Fn(&V) -> bool)
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if let Some(shard) = self.shard(key) {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            if !shard.get(key).is_some_and(stays) {
                shard.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_shelf_forgets_and_a_value_that_stays_is_not_overwritten() {
        let shelf: Shelf<u32, u32> = Shelf::new(64);
        for key in 0..10_000 {
            shelf.put(key, key, |_| false);
            assert_eq!(shelf.get(&key), Some(key));
        }
        assert!((0..10_000).filter(|key| shelf.get(key).is_some()).count() <= 64);
        shelf.put(1, 7, |_| false);
        shelf.put(1, 8, |value| *value == 7);
        assert_eq!(shelf.get(&1), Some(7));
        shelf.forget_unless(&1, |value| *value == 7);
        assert_eq!(shelf.get(&1), Some(7));
        shelf.forget(&1);
        assert_eq!(shelf.get(&1), None);
    }
}
