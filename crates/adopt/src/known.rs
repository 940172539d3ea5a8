//! What is here already of another system: which organizations and accounts are whose there, and which rows its runs wrote.

use crate::ids;
use charter_kernel::{Key, OrganizationId, PrincipalId};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What is here already.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Organizations, by their ids in the other system.
    pub organizations: HashMap<String, (OrganizationId, Key)>,
    /// Accounts, by the ids of users in the other system.
    pub users: HashMap<Box<str>, PrincipalId>,
    /// Those of them that users of another source have as well.
    pub shared: HashSet<PrincipalId>,
    /// Keys of organizations that are taken.
    pub taken: BTreeSet<String>,
    /// The platform organization.
    pub platform: Option<OrganizationId>,
    /// Runs of the source that stand.
    pub runs: BTreeSet<u64>,
    /// Organizations that such a run linked, by their ids in the other system.
    pub standing: Vec<(String, OrganizationId)>,
    /// Organizations of runs that were taken back which people closed or suspended, by those ids: no run opens them.
    pub closed: BTreeSet<String>,
}

impl Known {
    /// Whether a run of the source made an account.
    #[must_use]
    pub fn made(&self, principal: PrincipalId) -> bool {
        self.wrote(principal.0)
    }

    /// Whether a row is of a run of the source, by its id.
    #[must_use]
    pub fn wrote(&self, id: u128) -> bool {
        u64::try_from(ids::run_of(id)).is_ok_and(|run| self.runs.contains(&run))
    }

    /// Whether it did, and no other source has the account as well.
    #[must_use]
    pub fn is_own(&self, principal: PrincipalId) -> bool {
        self.made(principal) && !self.shared.contains(&principal)
    }
}
