//! Permissions as small numbers, and sets of them as bits.

/// Number of a permission in one [`Index`](crate::Index); another catalogue numbers them anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PermissionIndex(pub u16);

const WORDS: usize = 16;

/// A set of permissions: 1,024 bits, so that the 445 codes shipped and as many of an installation's own fit without a
/// heap. A catalogue with more permissions is refused when it is compiled, never cut off.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PermissionSet([u64; WORDS]);

impl PermissionSet {
    /// How many permissions a catalogue may have.
    pub const CAPACITY: usize = WORDS * 64;
    /// The set without members.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// The set of the first `count` permissions.
    pub fn first(count: usize) -> Self {
        let mut set = Self::EMPTY;
        for at in 0..count.min(Self::CAPACITY) {
            set.insert(PermissionIndex(at as u16));
        }
        set
    }

    /// Whether the permission is in the set.
    #[inline]
    pub fn contains(&self, permission: PermissionIndex) -> bool {
        let at = permission.0;
        self.0.get(usize::from(at >> 6)).is_some_and(|word| word >> (at & 63) & 1 == 1)
    }

    /// Adds a permission.
    #[inline]
    pub fn insert(&mut self, permission: PermissionIndex) {
        let at = permission.0;
        if let Some(word) = self.0.get_mut(usize::from(at >> 6)) {
            *word |= 1 << (at & 63);
        }
    }

    /// Takes a permission out.
    pub fn remove(&mut self, permission: PermissionIndex) {
        let at = permission.0;
        if let Some(word) = self.0.get_mut(usize::from(at >> 6)) {
            *word &= !(1 << (at & 63));
        }
    }

    fn zip(&self, other: &Self, with: impl Fn(u64, u64) -> u64) -> Self {
        let mut out = *self;
        for (word, other) in out.0.iter_mut().zip(&other.0) {
            *word = with(*word, *other);
        }
        out
    }

    /// Permissions in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    /// Permissions in both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    /// Permissions here and not there.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    /// Permissions in exactly one of the two.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a ^ b)
    }

    /// Adds every permission of another set.
    pub fn add(&mut self, other: &Self) {
        *self = self.union(other);
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// How many are in it.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether the two share a permission.
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    /// Whether every permission here is there as well.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.without(other).is_empty()
    }

    /// The permissions, in order.
    pub fn iter(&self) -> impl Iterator<Item = PermissionIndex> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            core::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                Some(PermissionIndex((at * 64 + bit) as u16))
            })
        })
    }

    /// The bits as bytes, lowest permission first, `count` permissions long: the form in which a client keeps them.
    pub fn to_bytes(&self, count: usize) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).take(count.div_ceil(8)).collect()
    }
}

impl Default for PermissionSet {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl core::fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.iter().map(|permission| permission.0)).finish()
    }
}

impl FromIterator<PermissionIndex> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = PermissionIndex>>(permissions: I) -> Self {
        let mut set = Self::EMPTY;
        for permission in permissions {
            set.insert(permission);
        }
        set
    }
}
