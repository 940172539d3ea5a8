//! Makes the rows that a run writes, in the order of the facts: the same facts, mapping and run give the same rows.

use crate::away::Away;
use crate::change::Kept;
use crate::facts::{LegacyFacts, LegacyUser, NONE};
use crate::ids::{self, Kind};
use crate::intent::{Intent, OwnRole};
use crate::known::Known;
use crate::modules::Modules;
use crate::naming;
use crate::rows::{
    AssignmentRow, Counts, EntitlementRow, GrantRow, MembershipRow, OrganizationRow, RoleRow, Rows, UserRow,
};
use crate::rules::home;
use charter_kernel::catalogue::{Catalogue, ModuleScope};
use charter_kernel::{Key, OrganizationId, PrincipalId};
use std::collections::{BTreeMap, BTreeSet};

/// What the rows of a run are made of.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The facts.
    pub facts: &'a LegacyFacts,
    /// What takes the place of roles.
    pub intent: &'a Intent,
    /// Which modules are on.
    pub modules: &'a Modules,
    /// The catalogue in force.
    pub catalogue: &'a Catalogue,
    /// What is here already.
    pub known: &'a Known,
    /// The one organization of a system that knows none.
    pub one: Option<(&'a Key, &'a str)>,
    /// The run.
    pub run: u64,
    /// Rows of earlier runs that stand and are not written again.
    pub kept: Option<&'a Kept>,
    /// What people took away and stays so: it is not written.
    pub away: Option<&'a Away>,
}

/// Makes rows.
pub struct Making<'a> {
    source: Source<'a>,
    skipped: Counts,
    organizations: Vec<OrganizationRow>,
    before: String,
}

/// The legacy id of the one organization of a system that knows none.
pub const ONE: &str = "1";

impl<'a> Making<'a> {
    /// Makes those of a run.
    #[must_use]
    pub fn new(source: Source<'a>) -> Self {
        let (organizations, before, skipped) = (Vec::new(), String::new(), Counts::default());
        let mut this = Self { source, skipped, organizations, before };
        this.organizations = this.all_organizations();
        this
    }

    fn all_organizations(&self) -> Vec<OrganizationRow> {
        let Source { facts, known, one, run, .. } = self.source;
        let mut taken = known.taken.clone();
        let mut row =
            |legacy_id: &str, name: &str, fixed: Option<&Key>, modules: Option<&String>, is_active| {
                let (id, key) = match known.organizations.get(legacy_id) {
                    Some((id, key)) => (id.0, key.as_str().to_owned()),
                    None => {
                        let id = ids::id(run, Kind::Organization, &[legacy_id]);
                        let key = fixed.cloned();
                        let key = key
                            .or_else(|| naming::organization_key(name, legacy_id, |key| taken.contains(key)));
                        (id, key.map(|key| key.as_str().to_owned()).unwrap_or_default())
                    }
                };
                taken.insert(key.clone());
                OrganizationRow {
                    legacy_id: legacy_id.to_owned(),
                    id: OrganizationId(id).to_string(),
                    key,
                    name: name.to_owned(),
                    enabled_modules: modules.cloned(),
                    // A suspended one would leave administrators a few rights.
                    status: if is_active { "active" } else { "closed" },
                }
            };
        if facts.organizations.is_empty() {
            return one.map(|(key, name)| row(ONE, name, Some(key), None, true)).into_iter().collect();
        }
        let all = facts.organizations.iter();
        all.map(|it| row(&it.id, &it.name, None, it.enabled_modules.as_ref(), it.is_active)).collect()
    }

    /// What the rows are made of.
    #[must_use]
    pub const fn source(&self) -> Source<'a> {
        self.source
    }

    /// How many rows were left out because they stand by an earlier run.
    #[must_use]
    pub const fn skipped(&self) -> Counts {
        self.skipped
    }

    /// Whether people put a user out of an organization, and it stays so.
    fn is_out(&self, organization: &str, principal: PrincipalId) -> bool {
        let id = organization.parse().ok();
        self.source.away.zip(id).is_some_and(|(away, id)| away.has_member(id, principal))
    }

    /// The id of an assignment or a grant, unless it stands by an earlier run, or stays away.
    fn fresh(&mut self, kind: Kind, parts: &[&str]) -> Option<String> {
        let id = ids::id(self.source.run, kind, parts);
        if self.source.away.is_some_and(|away| away.has(id)) {
            return None;
        }
        if !self.source.kept.is_some_and(|kept| kept.has(id)) {
            return Some(OrganizationId(id).to_string());
        }
        match kind {
            Kind::Grant => self.skipped.grants += 1,
            _ => self.skipped.assignments += 1,
        }
        None
    }

    /// The organizations, by their places in the facts.
    #[must_use]
    pub fn organizations(&self) -> &[OrganizationRow] {
        &self.organizations
    }

    /// Roles that are made, organization by organization: those that somebody holds there.
    fn roles(&self) -> Vec<RoleRow> {
        let Source { facts, intent, .. } = self.source;
        let mut held: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for user in facts.users.iter() {
            if let Some(home) = home(facts, user) {
                let held = held.entry(home).or_default();
                held.extend(facts.role_sets.members(user.roles));
                held.extend(user.is_superuser.then_some(NONE));
            }
        }
        let mut rows = Vec::new();
        for (home, roles) in held {
            let Some(organization) = self.organizations.get(home as usize) else { continue };
            let place = |role: &u32| match *role {
                NONE => Some(&intent.superuser),
                role => intent.roles.get(role as usize),
            };
            let own = roles.iter().filter_map(place).filter_map(|place| place.own.as_ref());
            let is_away = |key: &Key| {
                let id = organization.id.parse().ok();
                let away = self.source.away.zip(id);
                away.is_some_and(|(away, id)| away.has_role(id, key.as_str()))
            };
            let own = own.filter(|own| !is_away(&own.key));
            let distinct: BTreeMap<&Key, &OwnRole> = own.map(|own| (&own.key, own)).collect();
            rows.extend(distinct.into_values().map(|own| RoleRow {
                organization: organization.id.clone(),
                key: own.key.as_str().to_owned(),
                name: own.name.clone(),
                level: "viewer",
                permissions: own.patterns.clone(),
            }));
        }
        rows
    }

    fn entitlements(&self) -> Vec<EntitlementRow> {
        let Source { catalogue, modules, .. } = self.source;
        let is_switched = |module: &&charter_kernel::catalogue::Module| {
            module.scope == ModuleScope::Organization && module.key.as_str() != naming::MODULE
        };
        let mut rows = Vec::new();
        let is_left = |id: &str| self.source.away.is_some_and(|away| away.has_modules(id));
        let all = self.organizations.iter().enumerate();
        // A row for one of them would end what the document says of all others.
        for (place, organization) in all.filter(|(_, organization)| !is_left(&organization.id)) {
            let kind = u32::try_from(place).ok().and_then(|place| modules.kind(place));
            let on = kind.and_then(|kind| modules.on(kind));
            for module in catalogue.modules.iter().filter(is_switched) {
                let is_on = module.always_on || on.is_some_and(|on| on.contains(&module.key));
                rows.push(EntitlementRow {
                    organization: organization.id.clone(),
                    module: module.key.as_str().to_owned(),
                    status: if is_on { "enabled" } else { "disabled" },
                });
            }
        }
        rows
    }

    /// What stands before users: organizations, their roles and their modules.
    #[must_use]
    pub fn frame(&self) -> Rows {
        Rows {
            organizations: self.organizations.clone(),
            roles: self.roles(),
            entitlements: self.entitlements(),
            ..Rows::default()
        }
    }

    /// The account of a user.
    #[must_use]
    pub fn principal(&self, legacy_id: &str) -> PrincipalId {
        let known = self.source.known.users.get(legacy_id).copied();
        known.unwrap_or_else(|| PrincipalId(ids::id(self.source.run, Kind::User, &[legacy_id])))
    }

    /// Adds the account of a user, without a password, and says whether it did: a user stands in as many rows as they have organizations,
    /// one after the other.
    pub fn account(&mut self, user: LegacyUser<'_>, rows: &mut Rows) -> bool {
        if self.before == user.id {
            return false;
        }
        self.before.clear();
        self.before.push_str(user.id);
        rows.users.push(UserRow {
            legacy_id: user.id.to_owned(),
            id: self.principal(user.id).to_string(),
            login: user.login.to_owned(),
            name: if user.name.is_empty() { user.login } else { user.name }.to_owned(),
            status: if user.is_active { "active" } else { "deactivated" },
            password_hash: None,
        });
        true
    }

    /// Adds what a user has in its organization, and over all of them.
    pub fn member(&mut self, user: LegacyUser<'_>, rows: &mut Rows) {
        let Source { facts, intent, known, .. } = self.source;
        let account = self.principal(user.id);
        let principal = account.to_string();
        let is_known = known.users.contains_key(user.id);
        let roles =
            facts.role_sets.members(user.roles).iter().filter_map(|role| intent.roles.get(*role as usize));
        let places: Vec<_> = roles.chain(user.is_superuser.then_some(&intent.superuser)).collect();
        let organization = home(facts, user).and_then(|home| self.organizations.get(home as usize));
        let organization = organization.map(|organization| organization.id.clone());
        if let Some(organization) = organization.filter(|id| !self.is_out(id, account)) {
            rows.memberships.push(MembershipRow {
                organization: organization.clone(),
                principal: principal.clone(),
                status: if user.is_active || !is_known { "active" } else { "deactivated" },
            });
            // An account that was here before, or that another system has as well, goes on, whatever this one says of its user.
            let is_left_out = !user.is_active && is_known && !known.is_own(account);
            let keys: BTreeSet<&Key> =
                places.iter().filter(|_| !is_left_out).filter_map(|place| place.role.as_ref()).collect();
            for key in keys {
                let id = self.fresh(Kind::Assignment, &[&organization, &principal, key.as_str()]);
                rows.assignments.extend(id.map(|id| AssignmentRow {
                    id,
                    organization: organization.clone(),
                    role: key.as_str().to_owned(),
                    principal: principal.clone(),
                }));
            }
            let direct = facts.permission_sets.members(user.permissions).iter().filter(|_| !is_left_out);
            let codes = direct.filter_map(|place| facts.permissions.get(*place as usize));
            for code in codes.filter_map(|name| naming::code(name)) {
                let id = self.fresh(Kind::Grant, &[&organization, &principal, code.as_str()]);
                rows.grants.extend(id.map(|id| GrantRow {
                    id,
                    organization: organization.clone(),
                    principal: principal.clone(),
                    pattern: code.as_str().to_owned(),
                }));
            }
        }
        // A plan may be made before there is an installation: it counts these rows, too.
        let platform = known.platform.unwrap_or(OrganizationId(0)).to_string();
        let mut over_all: BTreeSet<&Key> =
            places.iter().filter_map(|place| place.over_all.as_ref()).collect();
        if self.is_out(&platform, account) {
            over_all.clear();
        }
        if !over_all.is_empty() && user.is_active {
            rows.memberships.push(MembershipRow {
                organization: platform.clone(),
                principal: principal.clone(),
                status: "active",
            });
        }
        for key in over_all.into_iter().filter(|_| user.is_active) {
            let id = self.fresh(Kind::Assignment, &[&platform, &principal, key.as_str()]);
            rows.assignments.extend(id.map(|id| AssignmentRow {
                id,
                organization: platform.clone(),
                role: key.as_str().to_owned(),
                principal: principal.clone(),
            }));
        }
    }
}
