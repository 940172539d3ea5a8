//! Sets of small numbers, each kept once: a million users hold a few hundred different sets of roles.

use std::collections::HashMap;

/// A set that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SetId(u32);

/// Sets, each kept once. The empty one is there from the beginning.
#[derive(Debug, Clone)]
pub struct Sets {
    all: Vec<Box<[u32]>>,
    known: HashMap<Box<[u32]>, SetId>,
}

impl Default for Sets {
    fn default() -> Self {
        let empty: Box<[u32]> = Box::new([]);
        Self { all: vec![empty.clone()], known: HashMap::from([(empty, SetId(0))]) }
    }
}

impl Sets {
    /// Keeps a set; its members may come in any order, and twice.
    pub fn keep(&mut self, mut members: Vec<u32>) -> SetId {
        members.sort_unstable();
        members.dedup();
        if let Some(known) = self.known.get(members.as_slice()) {
            return *known;
        }
        let id = SetId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        let members = members.into_boxed_slice();
        self.all.push(members.clone());
        self.known.insert(members, id);
        id
    }

    /// The set with one member more.
    pub fn with(&mut self, set: SetId, member: u32) -> SetId {
        let members = self.members(set);
        if members.binary_search(&member).is_ok() {
            return set;
        }
        let mut wider = members.to_vec();
        wider.push(member);
        self.keep(wider)
    }

    /// Its members, in order.
    #[must_use]
    pub fn members(&self, set: SetId) -> &[u32] {
        self.all.get(set.0 as usize).map_or(&[], |members| members)
    }

    /// How many different sets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether nothing but the empty set was kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_members_are_one_set_whatever_their_order() {
        let mut sets = Sets::default();
        let first = sets.keep(vec![3, 1, 3]);
        assert_eq!(first, sets.keep(vec![1, 3]));
        assert_eq!(sets.members(first), [1, 3]);
        let wider = sets.with(first, 2);
        assert_eq!(sets.members(wider), [1, 2, 3]);
        assert_eq!(sets.with(wider, 3), wider);
        assert_eq!(sets.keep(vec![]), SetId::default());
        assert_eq!(sets.len(), 3);
    }
}
