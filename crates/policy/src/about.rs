//! Small questions about a shard or about facts that use cases ask beside the decision.

use crate::Index;
use crate::reference::Explanation;
use crate::set::PermissionSet;
use crate::shard::{Roles, Shard};
use charter_kernel::facts::{OrganizationFacts, PrincipalKind};
use charter_kernel::{Decision, PrincipalId, RoleKey, Timestamp};
use std::collections::BTreeMap;

/// Every permission a role gives in an organization, with what it inherits and what stands under a condition.
pub fn role_codes(index: &Index, facts: &OrganizationFacts, role: &RoleKey) -> PermissionSet {
    let roles = Roles::new(index, facts, &mut Vec::new());
    roles
        .get(role)
        .map(|(_, role)| role.lines.iter().fold(role.set.clone(), |set, (more, _)| set.union(more)))
        .unwrap_or_default()
}

/// The same for every role an organization knows.
pub fn all_role_codes(index: &Index, facts: &OrganizationFacts) -> BTreeMap<RoleKey, PermissionSet> {
    let roles = Roles::new(index, facts, &mut Vec::new());
    roles
        .roles
        .iter()
        .map(|role| {
            (role.key.clone(), role.lines.iter().fold(role.set.clone(), |set, (more, _)| set.union(more)))
        })
        .collect()
}

impl Shard {
    /// Whether the principal has a membership in force.
    pub fn is_member(&self, principal: PrincipalId, now: Timestamp) -> bool {
        let Some(slot) = self.slot(principal) else { return false };
        if !slot.is_special() {
            return true;
        }
        let extras = self.rare.as_deref().map(|rare| &*rare.extras).unwrap_or_default();
        extras
            .binary_search_by_key(&principal, |it| it.0)
            .ok()
            .and_then(|at| extras.get(at))
            .is_some_and(|(_, _, window)| window.is_live(now))
    }

    /// Kind of a member, with or without a membership in force.
    pub fn kind_of(&self, principal: PrincipalId) -> Option<PrincipalKind> {
        self.slot(principal)
            .map(|slot| if slot.is_program() { PrincipalKind::ServiceAccount } else { PrincipalKind::User })
    }

    /// Whether a resource is registered in this organization, under any name of its type.
    pub fn is_registered(&self, kind: &str, id: &str) -> bool {
        self.index.kind(kind).is_some_and(|kind| self.registered(kind, id).is_some())
    }
}

impl Explanation {
    /// The explanation of a decision that needed no facts: a name nobody knows.
    pub fn of(decision: Decision) -> Self {
        Self {
            decision,
            path: Vec::new(),
            remedies: Vec::new(),
            sentence: decision.reason.sentence().to_owned(),
        }
    }
}
