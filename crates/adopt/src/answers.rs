//! What the other system allows, by its own permissions: for everybody at once, as rows of bits that whoever holds the same shares.

use crate::facts::{LegacyFacts, LegacyUser};
use crate::sets::SetId;
use std::collections::HashMap;
use std::rc::Rc;

/// Permissions, a bit for each, by their places in the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// None of so many.
    #[must_use]
    pub fn none(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    /// All of so many.
    #[must_use]
    pub fn all(len: usize) -> Self {
        let mut bits = Self::none(len);
        for place in 0..len {
            bits.set(place);
        }
        bits
    }

    /// Sets one.
    pub fn set(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    /// Whether one is set.
    #[must_use]
    pub fn has(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Sets those of another, too.
    pub fn add(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Keeps those that another has, too.
    pub fn keep(&mut self, other: &Self) {
        for (at, word) in self.0.iter_mut().enumerate() {
            *word &= other.0.get(at).copied().unwrap_or(0);
        }
    }

    /// Takes out those that another has.
    pub fn remove(&mut self, other: &Self) {
        for (at, word) in self.0.iter_mut().enumerate() {
            *word &= !other.0.get(at).copied().unwrap_or(0);
        }
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Those that are set here and not there, by their places.
    pub fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let left = |(at, word): (usize, &u64)| (at, word & !other.0.get(at).copied().unwrap_or(0));
        self.0.iter().enumerate().map(left).flat_map(|(at, word)| places(at, word))
    }

    /// Those that are set, by their places.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| places(at, *word))
    }

    /// How many are set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

/// The places of the bits of one word.
fn places(at: usize, mut left: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (left != 0).then(|| {
            let place = left.trailing_zeros() as usize;
            left &= left - 1;
            at * 64 + place
        })
    })
}

/// Asks the facts.
pub struct Answers<'a> {
    facts: &'a LegacyFacts,
    none: Rc<Bits>,
    all: Rc<Bits>,
    known: HashMap<(SetId, SetId), Rc<Bits>>,
}

impl<'a> Answers<'a> {
    /// Asks these.
    #[must_use]
    pub fn new(facts: &'a LegacyFacts) -> Self {
        let len = facts.permissions.len();
        Self { facts, none: Rc::new(Bits::none(len)), all: Rc::new(Bits::all(len)), known: HashMap::new() }
    }

    /// What a user may do: nothing when inactive, everything as a superuser, else what roles and grants add up to.
    pub fn of(&mut self, user: LegacyUser<'_>) -> Rc<Bits> {
        if !user.is_active {
            return Rc::clone(&self.none);
        }
        if user.is_superuser {
            return Rc::clone(&self.all);
        }
        let facts = self.facts;
        let bits = self.known.entry((user.roles, user.permissions)).or_insert_with(|| {
            let mut bits = Bits::none(facts.permissions.len());
            let by_roles =
                facts.role_sets.members(user.roles).iter().filter_map(|role| facts.roles.get(*role as usize));
            let sets = by_roles.map(|role| role.permissions).chain([user.permissions]);
            for place in sets.flat_map(|set| facts.permission_sets.members(set)) {
                bits.set(*place as usize);
            }
            Rc::new(bits)
        });
        Rc::clone(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_and_not_there_is_told_by_place() {
        let mut here = Bits::none(130);
        for place in [0, 63, 64, 129] {
            here.set(place);
        }
        let mut there = Bits::none(130);
        there.set(64);
        there.set(1);
        assert_eq!(here.without(&there).collect::<Vec<_>>(), [0, 63, 129]);
        assert_eq!((here.count(), here.has(129), here.has(128), here.has(9999)), (4, true, false, false));
        assert_eq!(Bits::all(130).count(), 130);
    }
}
