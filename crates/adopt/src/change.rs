//! What a run changes and takes away of what earlier runs of its source wrote: as the service tells what stands, and as it is sent.

use crate::named::Named;
use crate::removals::Removed as ByPeople;
use charter_kernel::facts::{OrganizationStatus, PrincipalStatus};
use charter_kernel::{AssignmentId, GrantId, OrganizationId, PrincipalId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// How much a run changes and takes away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeCounts {
    /// Assignments that go.
    pub assignments: u64,
    /// Grants that go.
    pub grants: u64,
    /// Memberships of accounts that were here before, which end or begin again.
    pub memberships: u64,
    /// Memberships in organizations that their users left, which go.
    #[serde(default, skip_serializing_if = "is_none")]
    pub memberships_removed: u64,
    /// Accounts that are deactivated.
    pub deactivated: u64,
    /// Accounts that act again.
    pub reactivated: u64,
    /// Accounts with another login or name.
    pub renamed: u64,
    /// Roles that give something else.
    pub roles: u64,
    /// Modules that are switched.
    pub modules: u64,
    /// Organizations that are closed, opened, renamed, or have another document of modules.
    pub organizations: u64,
    /// Assignments that go, by role.
    pub by_role: BTreeMap<String, u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
pub(crate) const fn is_none(count: &u64) -> bool {
    *count == 0
}

impl ChangeCounts {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether no count is above that of another.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let list = |it: &Self| {
            [
                it.assignments,
                it.grants,
                it.memberships,
                it.memberships_removed,
                it.deactivated,
                it.reactivated,
                it.renamed,
                it.roles,
                it.modules,
                it.organizations,
            ]
        };
        list(self).iter().zip(list(other)).all(|(one, other)| *one <= other)
    }
}

/// The account of a user of the source, as it is here.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "each field is what the service tells by that name")]
pub struct HeldAccount {
    pub legacy_id: String,
    pub principal: PrincipalId,
    pub login: String,
    pub name: String,
    pub status: String,
    /// It acts with the proof of a run that is under way.
    pub waits: bool,
    /// A run of the source made it, and no other source has it.
    pub own: bool,
    pub status_settled: bool,
    pub name_settled: bool,
}

/// An organization as it is here.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "each field is what the service tells by that name")]
pub struct HeldOrganization {
    pub name: String,
    pub status: String,
    pub enabled_modules: Option<String>,
    /// It opens with the proof of a run that is under way.
    pub waits: bool,
    /// A run of the source made it.
    pub own: bool,
    pub settled: bool,
}

/// A role that a run made.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "each field is what the service tells by that name")]
pub struct HeldRole {
    pub key: String,
    pub name: String,
    pub permissions: Vec<String>,
    /// It builds on others, or gives something under a condition, as people made it.
    pub extended: bool,
    pub settled: bool,
}

/// A module for which a run wrote a row.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "each field is what the service tells by that name")]
pub struct HeldModule {
    pub module: String,
    pub status: String,
    pub settled: bool,
}

/// What a member has by runs.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "each field is what the service tells by that name")]
pub struct HeldMember {
    pub principal: PrincipalId,
    pub status: String,
    /// It is in force with the proof of a run that is under way.
    pub waits: bool,
    /// A run recorded the membership as its own.
    pub recorded: bool,
    /// The run that made the account made the membership.
    pub with_account: bool,
    pub settled: bool,
    /// It is as a run left it, and nothing hangs on it that people made.
    pub bare: bool,
    /// It is not in force now by dates that people gave it, whatever its status.
    pub out_of_time: bool,
    pub assignments: Vec<(AssignmentId, String)>,
    pub grants: Vec<(GrantId, String)>,
}

/// What runs wrote into an organization; a page of its members.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "each field is what the service tells by that name")]
pub struct Held {
    pub organization: HeldOrganization,
    pub roles: Vec<HeldRole>,
    pub modules: Vec<HeldModule>,
    pub members: Vec<HeldMember>,
    #[serde(default)]
    pub removed: ByPeople,
    pub next: Option<PrincipalId>,
}

/// An assignment or a grant that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Its id.
    #[serde(serialize_with = "as_id")]
    pub id: u128,
    /// Where.
    pub organization: OrganizationId,
}

fn as_id<S: serde::Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    AssignmentId(*id).serialize(serializer)
}

/// A membership that ends or begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MembershipChange {
    /// Where.
    pub organization: OrganizationId,
    /// Whose.
    pub principal: PrincipalId,
    /// `active`, `deactivated` or `removed`.
    pub status: &'static str,
}

/// An account that becomes another; what is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountChange {
    /// The account.
    pub principal: PrincipalId,
    /// `active` or `deactivated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    /// Its login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The login it has now.
    #[serde(skip)]
    pub login_before: String,
}

/// A role that gives something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each field is one of the role")]
pub struct RoleChange {
    pub organization: OrganizationId,
    pub key: String,
    pub name: String,
    pub permissions: Vec<String>,
    /// Those of them that it does not give now.
    #[serde(skip)]
    pub gains: Vec<String>,
}

/// A module that is switched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each field is one of the row")]
pub struct ModuleChange {
    pub organization: OrganizationId,
    pub module: String,
    pub status: &'static str,
}

/// An organization that becomes another; what is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrganizationChange {
    /// The organization.
    pub organization: OrganizationId,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `active` or `closed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    /// Its document of modules; `Some(None)` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled_modules: Option<Option<String>>,
    /// The document it has now.
    #[serde(skip)]
    pub modules_before: Option<String>,
    /// The name it has now.
    #[serde(skip)]
    pub name_before: String,
    /// Whether it is closed now.
    #[serde(skip)]
    pub was_closed: bool,
}

/// All that a run changes and takes away.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is a list of the type it names")]
pub struct Changes {
    pub assignments: Vec<Removed>,
    pub grants: Vec<Removed>,
    pub memberships: Vec<MembershipChange>,
    pub accounts: Vec<AccountChange>,
    pub roles: Vec<RoleChange>,
    pub modules: Vec<ModuleChange>,
    pub organizations: Vec<OrganizationChange>,
    /// Assignments that go, by role.
    pub by_role: BTreeMap<String, u64>,
    /// Rows that stand and are still wanted.
    pub kept: Kept,
    /// What stops the plan and what stays as it is, one by one.
    pub told: Vec<Named>,
}

impl Changes {
    /// How much it is.
    #[must_use]
    pub fn counts(&self) -> ChangeCounts {
        let of = |status: &str| self.accounts.iter().filter(|it| it.status == Some(status)).count() as u64;
        let renamed = self.accounts.iter().filter(|it| it.login.is_some() || it.name.is_some());
        let removed = self.memberships.iter().filter(|it| it.status == REMOVED).count() as u64;
        ChangeCounts {
            assignments: self.assignments.len() as u64,
            grants: self.grants.len() as u64,
            memberships: self.memberships.len() as u64 - removed,
            memberships_removed: removed,
            deactivated: of(DEACTIVATED),
            reactivated: of(ACTIVE),
            renamed: renamed.count() as u64,
            roles: self.roles.len() as u64,
            modules: self.modules.len() as u64,
            organizations: self.organizations.len() as u64,
            by_role: self.by_role.clone(),
        }
    }

    /// Whether an account acts no more after the run.
    #[must_use]
    pub fn stops(&self, principal: u128) -> bool {
        let at = self.accounts.binary_search_by_key(&principal, |it| it.principal.0);
        at.ok().and_then(|at| self.accounts.get(at)).is_some_and(|it| it.status == Some(DEACTIVATED))
    }

    /// Whether an organization is closed by the run.
    #[must_use]
    pub fn closes(&self, organization: OrganizationId) -> bool {
        let is_it = |it: &&OrganizationChange| it.organization == organization;
        self.organizations.iter().find(is_it).is_some_and(|it| it.status == Some(CLOSED))
    }

    /// Whether a membership ends with the run.
    #[must_use]
    pub fn ends(&self, organization: OrganizationId, principal: u128) -> bool {
        let key = (organization, principal);
        let at = self.memberships.binary_search_by_key(&key, |it| (it.organization, it.principal.0));
        at.ok().and_then(|at| self.memberships.get(at)).is_some_and(|it| it.status != ACTIVE)
    }
}

/// Rows that stand and are still wanted, by the bits that say what they are of.
#[derive(Debug, Clone, Default)]
pub struct Kept(Vec<u64>);

#[expect(clippy::cast_possible_truncation, reason = "the lower bits are what is meant")]
pub(crate) const fn lower(id: u128) -> u64 {
    id as u64
}

impl Kept {
    pub(crate) fn add(&mut self, id: u128) {
        self.0.push(lower(id));
    }

    pub(crate) fn close(&mut self) {
        self.0.sort_unstable();
        self.0.dedup();
        self.0.shrink_to_fit();
    }

    /// Whether a row of a run stands already by an earlier one.
    #[must_use]
    pub fn has(&self, id: u128) -> bool {
        self.0.binary_search(&lower(id)).is_ok()
    }

    /// The same, by the bits that say what a row is of.
    pub(crate) fn has_bits(&self, bits: u64) -> bool {
        self.0.binary_search(&bits).is_ok()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(crate) const ACTIVE: &str = PrincipalStatus::Active.as_str();
pub(crate) const CLOSED: &str = OrganizationStatus::Closed.as_str();
/// Of a membership that goes.
pub(crate) const REMOVED: &str = "removed";
pub(crate) const DEACTIVATED: &str = PrincipalStatus::Deactivated.as_str();

/// Accounts whose logins change, so that each comes after the one that has its new login now, and those that change places come together.
#[must_use]
pub fn in_order(renamed: Vec<AccountChange>) -> Vec<Vec<AccountChange>> {
    let holders: HashMap<String, usize> =
        renamed.iter().enumerate().map(|(at, it)| (it.login_before.clone(), at)).collect();
    let mut left: Vec<Option<AccountChange>> = renamed.into_iter().map(Some).collect();
    let mut groups = Vec::new();
    for first in 0..left.len() {
        let mut group = Vec::new();
        let mut at = Some(first);
        while let Some(it) = at.and_then(|at| left.get_mut(at)).and_then(Option::take) {
            at = it.login.as_ref().and_then(|login| holders.get(login)).copied();
            group.push(it);
        }
        if !group.is_empty() {
            group.reverse();
            groups.push(group);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(id: u128, from: &str, to: &str) -> AccountChange {
        AccountChange {
            principal: PrincipalId(id),
            status: None,
            login: Some(to.to_owned()),
            name: None,
            login_before: from.to_owned(),
        }
    }

    #[test]
    fn whoever_has_a_login_gives_it_up_before_another_gets_it() {
        let all = vec![
            renamed(1, "a", "b"),
            renamed(2, "b", "c"),
            renamed(3, "x", "y"),
            renamed(4, "y", "x"),
            renamed(5, "d", "a"),
        ];
        let groups = in_order(all);
        let ids: Vec<Vec<u128>> =
            groups.iter().map(|group| group.iter().map(|it| it.principal.0).collect()).collect();
        assert_eq!(ids, [vec![2, 1], vec![4, 3], vec![5]]);
    }

    #[test]
    fn rows_are_known_by_what_they_are_of_whichever_run_wrote_them() {
        let of = |run| crate::ids::id(run, crate::ids::Kind::Grant, &["a", "b"]);
        let mut kept = Kept::default();
        kept.add(of(1));
        kept.add(of(4));
        kept.close();
        assert_eq!((kept.len(), kept.has(of(9))), (1, true));
        assert!(!kept.has(crate::ids::id(1, crate::ids::Kind::Assignment, &["a", "b"])));
    }

    #[test]
    fn counts_are_within_others_kind_by_kind() {
        let more = ChangeCounts { assignments: 3, modules: 1, ..ChangeCounts::default() };
        let less = ChangeCounts { assignments: 2, ..ChangeCounts::default() };
        assert!(less.is_within(&more) && !more.is_within(&less) && !more.is_none());
    }
}
