//! Ids of what a run writes. They stand in one range, which the number of the run opens, and come from what a row is of: so writing it again
//! changes nothing, and a run is taken back by its range.

use charter_kernel::id::uuid_v7;
use sha2::{Digest, Sha256};

/// What an id is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An organization, by its id in the other system.
    Organization,
    /// A user, by the id in the other system.
    User,
    /// A role of a user in an organization.
    Assignment,
    /// A right of a user in an organization.
    Grant,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::User => "user",
            Self::Assignment => "assignment",
            Self::Grant => "grant",
        }
    }
}

/// The id of a row of a run. Lengths go in, so that no two lists of parts look alike.
#[must_use]
pub fn id(run: u64, kind: Kind, parts: &[&str]) -> u128 {
    let mut sum = Sha256::new_with_prefix(kind.word());
    for part in parts {
        sum.update((part.len() as u64).to_be_bytes());
        sum.update(part);
    }
    let random = sum.finalize().iter().take(16).fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
    uuid_v7(run, random)
}

/// The run an id would be of: an id of another kind names none there ever was.
#[must_use]
pub const fn run_of(id: u128) -> u128 {
    id >> 80
}

/// Numbers of runs lie below this; where they stand in an id, every other one has the time it was made, milliseconds since 1970.
const RUNS: u128 = 1 << 36;

/// Whether a run made what has this id.
#[must_use]
pub const fn is_of_a_run(id: u128) -> bool {
    run_of(id) < RUNS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_run_stand_in_its_range_and_differ_by_what_they_are_of() {
        let all = [
            id(7, Kind::User, &["1"]),
            id(7, Kind::Organization, &["1"]),
            id(7, Kind::Assignment, &["1", "2"]),
            id(7, Kind::Assignment, &["12", ""]),
            id(7, Kind::Assignment, &["", "12"]),
            id(7, Kind::Grant, &["1", "2"]),
        ];
        let different: std::collections::BTreeSet<u128> = all.into_iter().collect();
        assert_eq!(different.len(), all.len());
        assert!(all.iter().all(|id| (7 << 80..8 << 80).contains(id)));
        assert_eq!(id(7, Kind::User, &["1"]), all[0]);
        assert!(all.iter().all(|id| is_of_a_run(*id)));
        assert!(!is_of_a_run(uuid_v7(1_700_000_000_000, 7)));
        assert_ne!(id(8, Kind::User, &["1"]), all[0]);
    }
}
