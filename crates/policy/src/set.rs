//! Permissions as small numbers, and sets of them as bits.

/// Number of a permission in one [`Index`](crate::Index); another catalogue numbers them anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PermissionIndex(pub u16);

/// Words that a set holds without a heap.
const WORDS: usize = 16;

/// A set of permissions. The first 1,024 fit without a heap: the 445 codes shipped and as many of an installation's own. Who takes over a
/// large framework has thousands: the rest of their bits stands behind a pointer. A catalogue with more permissions than a set can hold
/// is refused when it is compiled, never cut off.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PermissionSet {
    words: [u64; WORDS],
    /// The words after these; the last is not zero, so that equal sets are equal here.
    more: Option<Box<[u64]>>,
}

impl PermissionSet {
    /// How many permissions a catalogue may have.
    pub const CAPACITY: usize = 16_384;
    /// The set without members.
    pub const EMPTY: Self = Self { words: [0; WORDS], more: None };

    /// The set of the first `count` permissions.
    pub fn first(count: usize) -> Self {
        (0..count.min(Self::CAPACITY)).map(|at| PermissionIndex(at as u16)).collect()
    }

    fn more(&self) -> &[u64] {
        self.more.as_deref().unwrap_or_default()
    }

    fn all_words(&self) -> impl Iterator<Item = u64> {
        self.words.iter().chain(self.more()).copied()
    }

    /// Whether the permission is in the set.
    #[inline]
    pub fn contains(&self, permission: PermissionIndex) -> bool {
        let (at, bit) = (usize::from(permission.0 >> 6), permission.0 & 63);
        let word = match self.words.get(at) {
            Some(word) => Some(word),
            None => self.more().get(at - WORDS),
        };
        word.is_some_and(|word| word >> bit & 1 == 1)
    }

    /// Adds a permission.
    #[inline]
    pub fn insert(&mut self, permission: PermissionIndex) {
        let (at, bit) = (usize::from(permission.0 >> 6), permission.0 & 63);
        if let Some(word) = self.words.get_mut(at) {
            *word |= 1 << bit;
            return;
        }
        let mut more = self.more.take().map(Vec::from).unwrap_or_default();
        let at = at - WORDS;
        if more.len() <= at {
            more.resize(at + 1, 0);
        }
        if let Some(word) = more.get_mut(at) {
            *word |= 1 << bit;
        }
        self.more = Some(more.into_boxed_slice());
    }

    /// Takes a permission out.
    pub fn remove(&mut self, permission: PermissionIndex) {
        let (at, bit) = (usize::from(permission.0 >> 6), permission.0 & 63);
        if let Some(word) = self.words.get_mut(at) {
            *word &= !(1 << bit);
            return;
        }
        let mut more = self.more.take().map(Vec::from).unwrap_or_default();
        if let Some(word) = more.get_mut(at - WORDS) {
            *word &= !(1 << bit);
        }
        self.more = kept(more);
    }

    #[inline]
    fn zip(&self, other: &Self, with: impl Fn(u64, u64) -> u64) -> Self {
        let mut words = self.words;
        for (word, other) in words.iter_mut().zip(&other.words) {
            *word = with(*word, *other);
        }
        let more = if self.more.is_none() && other.more.is_none() {
            None
        } else {
            let (a, b) = (self.more(), other.more());
            let word = |of: &[u64], at: usize| of.get(at).copied().unwrap_or(0);
            kept((0..a.len().max(b.len())).map(|at| with(word(a, at), word(b, at))).collect())
        };
        Self { words, more }
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
        self.more.is_none() && self.words.iter().all(|word| *word == 0)
    }

    /// How many are in it.
    pub fn len(&self) -> usize {
        self.all_words().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether the two share a permission.
    pub fn meets(&self, other: &Self) -> bool {
        let share = |(a, b): (&u64, &u64)| a & b != 0;
        self.words.iter().zip(&other.words).any(share) || self.more().iter().zip(other.more()).any(share)
    }

    /// Whether every permission here is there as well.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.without(other).is_empty()
    }

    /// The permissions, in order.
    pub fn iter(&self) -> impl Iterator<Item = PermissionIndex> + '_ {
        self.all_words().enumerate().flat_map(|(at, word)| {
            let mut left = word;
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
        let mut bytes: Vec<u8> = self.all_words().flat_map(u64::to_le_bytes).collect();
        bytes.resize(count.div_ceil(8), 0);
        bytes
    }

    /// Bytes it takes, those behind the pointer included.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + size_of_val(self.more())
    }
}

/// Words without the zeros at their end; none when nothing is left.
fn kept(mut more: Vec<u64>) -> Option<Box<[u64]>> {
    let end = more.iter().rposition(|word| *word != 0)?;
    more.truncate(end + 1);
    Some(more.into_boxed_slice())
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
