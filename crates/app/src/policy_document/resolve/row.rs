//! Rows that carry an id: an entry finds its row by the id it names, or by saying just what a row says already.

use crate::policy_document::{Fault, Spot};
use charter_kernel::facts::{AssignmentFact, BlockFact, GrantFact};
use charter_kernel::{AssignmentId, BlockId, GrantId};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// What a row that carries an id has to offer so that an entry finds its row.
pub(super) trait Row: Clone {
    fn id(&self) -> u128;
    fn set_id(&mut self, id: u128);
    /// Says the same, whatever the id and whoever gave it.
    fn says_the_same(&self, other: &Self) -> bool;
}

impl Row for AssignmentFact {
    fn id(&self) -> u128 {
        self.id.0
    }
    fn set_id(&mut self, id: u128) {
        self.id = AssignmentId(id);
    }
    fn says_the_same(&self, other: &Self) -> bool {
        (&self.role, self.subject, self.window, &self.condition)
            == (&other.role, other.subject, other.window, &other.condition)
    }
}

impl Row for GrantFact {
    fn id(&self) -> u128 {
        self.id.0
    }
    fn set_id(&mut self, id: u128) {
        self.id = GrantId(id);
    }
    fn says_the_same(&self, other: &Self) -> bool {
        let words = |row: &Self| (row.subject, row.effect, row.window);
        words(self) == words(other)
            && (&self.pattern, &self.reach, &self.condition, &self.reason)
                == (&other.pattern, &other.reach, &other.condition, &other.reason)
    }
}

impl Row for BlockFact {
    fn id(&self) -> u128 {
        self.id.0
    }
    fn set_id(&mut self, id: u128) {
        self.id = BlockId(id);
    }
    fn says_the_same(&self, other: &Self) -> bool {
        let mut same = other.clone();
        same.id = self.id;
        *self == same
    }
}

/// Gives each made row its id: the one it names, else that of a row that says the same and is named by no entry, else a new one. Rows keep the
/// places they had; new ones follow.
pub(super) fn identify<T: Row>(
    before: &[T],
    made: Vec<(Option<Spot<u128>>, T)>,
    new_id: &mut dyn FnMut() -> u128,
    faults: &mut Vec<Fault>,
) -> Vec<T> {
    let mut used: HashSet<u128> = HashSet::new();
    for (id, _) in &made {
        if let Some(id) = id
            && !used.insert(id.value)
        {
            faults.push(id.fault("this id stands here twice: leave it out of the new entry"));
        }
    }
    let places: HashMap<u128, usize> =
        before.iter().enumerate().map(|(place, row)| (row.id(), place)).collect();
    let mut rows = Vec::with_capacity(made.len());
    for (id, mut row) in made {
        let id = match id {
            Some(id) => id.value,
            None => before
                .iter()
                .find(|old| !used.contains(&old.id()) && old.says_the_same(&row))
                .map_or_else(&mut *new_id, Row::id),
        };
        used.insert(id);
        row.set_id(id);
        rows.push(row);
    }
    in_old_places(rows, &places, Row::id)
}

pub(super) fn in_old_places<T, K: Hash + Eq>(
    mut rows: Vec<T>,
    places: &HashMap<K, usize>,
    key: impl Fn(&T) -> K,
) -> Vec<T> {
    rows.sort_by_key(|row| places.get(&key(row)).copied().unwrap_or(usize::MAX));
    rows
}

/// The rows of today by id.
pub(super) struct Old<'a, T> {
    rows: &'a [T],
    by_id: HashMap<u128, &'a T>,
}

impl<'a, T: Row> Old<'a, T> {
    pub(super) fn new(rows: &'a [T]) -> Self {
        Self { rows, by_id: rows.iter().map(|row| (row.id(), row)).collect() }
    }

    /// Whether an entry says just what its row says already, and whether it has a row at all.
    pub(super) fn standing(&self, id: Option<&Spot<u128>>, row: &T) -> (bool, bool) {
        match id {
            Some(id) => {
                let old = self.by_id.get(&id.value);
                (old.is_some_and(|old| old.says_the_same(&with_id(row, id.value))), old.is_some())
            }
            None => {
                let same = self.rows.iter().any(|old| old.says_the_same(row));
                (same, same)
            }
        }
    }
}

fn with_id<T: Row>(row: &T, id: u128) -> T {
    let mut row = row.clone();
    row.set_id(id);
    row
}
