//! What a change of plan means, before it is made: computed from the state before and the state after, and stored with the event.

use crate::entitlement::desk::State;
use crate::entitlement::{Access, Standings};
use charter_kernel::catalogue::ModuleScope;
use charter_kernel::entitlement::SubscriptionKind;
use charter_kernel::facts::{AssignmentFact, OrganizationFacts, Subject};
use charter_kernel::{
    Effect, GrantId, Key, ModuleKey, PrincipalId, RoleKey, SubscriptionId, TeamId, Timestamp,
};
use charter_policy::{Index, PermissionSet, limits};
use charter_store as store;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use store::subscription::SubscriptionStatus;

/// What a change of plan, add-on or trial means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// When it takes effect.
    pub at: Timestamp,
    /// Modules that can be used after and could not before.
    pub gained: Vec<ModuleKey>,
    /// Modules that cannot be used at all from then on.
    pub lost: Vec<ModuleKey>,
    /// Modules that end through grace and read-only.
    pub read_only: Vec<EndingModule>,
    /// Modules the plan does not bring but that another row keeps on.
    pub kept_by_others: Vec<ModuleKey>,
    /// Users whose roles or grants point to modules that are lost or become read-only.
    pub users: Vec<AffectedUser>,
    /// Limits that become lower.
    pub limits_lowered: Vec<LoweredLimit>,
    /// Add-ons that end with the change.
    pub addons_ending: Vec<EndingAddon>,
    /// Modules left without one they need.
    pub broken_dependencies: Vec<BrokenDependency>,
}

/// A module that ends step by step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndingModule {
    /// The module.
    pub module: ModuleKey,
    /// It goes on until then, with a warning.
    pub grace_until: Option<Timestamp>,
    /// Reading and export go on until then.
    pub read_only_until: Option<Timestamp>,
}

/// A user who works with a module that ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AffectedUser {
    /// The principal.
    pub principal: PrincipalId,
    /// The login.
    pub login: String,
    /// The shown name.
    pub name: String,
    /// The modules.
    pub modules: Vec<ModuleKey>,
    /// Roles that point there.
    pub roles: Vec<RoleKey>,
    /// Grants that point there.
    pub grants: Vec<GrantId>,
}

/// A limit that becomes lower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoweredLimit {
    /// The limit.
    pub limit: Key,
    /// Its value before; none was unlimited.
    pub before: Option<i64>,
    /// Its value after.
    pub after: Option<i64>,
    /// How it is kept after.
    pub enforcement: &'static str,
    /// What is used now.
    pub used: i64,
    /// By how much that is above the new value: nothing is switched off, but nothing can be added.
    pub above: i64,
}

/// An add-on that ends with a change of plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndingAddon {
    /// Its subscription.
    pub subscription: SubscriptionId,
    /// Its plan.
    pub plan: Key,
    /// When it ends.
    pub ends_at: Option<Timestamp>,
}

/// A module that needs another one that cannot be used any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenDependency {
    /// The module that stays.
    pub module: ModuleKey,
    /// What it needs.
    pub needs: ModuleKey,
}

impl Preview {
    /// Compares two states around an instant.
    pub(crate) fn compare(
        index: &Index,
        before: &State,
        after: &State,
        now: Timestamp,
        at: Timestamp,
    ) -> Self {
        // What would have been in force at a future instant is what is in force right before it.
        let earlier = if at > now { Timestamp(at.0 - 1) } else { now };
        let (old, new) = (Standings::new(&before.facts, index), Standings::new(&after.facts, index));
        let mut preview = Self {
            at,
            gained: Vec::new(),
            lost: Vec::new(),
            read_only: Vec::new(),
            kept_by_others: Vec::new(),
            users: Vec::new(),
            limits_lowered: Vec::new(),
            addons_ending: Vec::new(),
            broken_dependencies: Vec::new(),
        };
        for module in &index.catalogue().modules {
            if module.always_on || module.scope == ModuleScope::System {
                continue;
            }
            let (was, is) = (old.module(module, earlier), new.module(module, at));
            match (was.access, is.access) {
                (Access::Denied | Access::ReadOnly | Access::Grace, Access::Full | Access::Preview) => {
                    preview.gained.push(module.key.clone());
                }
                (was, Access::Denied) if was != Access::Denied => preview.lost.push(module.key.clone()),
                (Access::Full | Access::Preview, Access::Grace | Access::ReadOnly) => {
                    preview.read_only.push(EndingModule {
                        module: module.key.clone(),
                        grace_until: is.row.and_then(|row| row.grace_until),
                        read_only_until: is.row.and_then(|row| row.read_only_until),
                    });
                }
                _ => {}
            }
            let ended = |row: &&charter_kernel::entitlement::EntitlementFact| {
                row.module == module.key && row.submodule.is_none() && row.window.to() == Some(at)
            };
            if is.access == Access::Full
                && after.facts.entitlements.iter().any(|row| ended(&row))
                && is.row.is_some_and(|row| row.window.from().is_none_or(|from| from < at))
            {
                preview.kept_by_others.push(module.key.clone());
            }
            if is.is_usable() {
                let already = old.missing(module, index, earlier);
                for needs in new.missing(module, index, at) {
                    if !already.contains(&needs) || !was.is_usable() {
                        preview
                            .broken_dependencies
                            .push(BrokenDependency { module: module.key.clone(), needs });
                    }
                }
            }
        }
        let ending: Vec<ModuleKey> =
            preview.lost.iter().chain(preview.read_only.iter().map(|it| &it.module)).cloned().collect();
        preview.users = affected(&after.facts, index, &ending, now.max(at));
        preview.limits_lowered = lowered(index, before, after, (earlier, at, now));
        preview.addons_ending = after
            .subscriptions
            .iter()
            .filter(|row| row.subscription.kind == SubscriptionKind::Addon)
            .filter(|row| {
                let old = before.subscription(row.subscription.id);
                old.is_some_and(|old| {
                    old.status != SubscriptionStatus::Ended
                        && (row.status == SubscriptionStatus::Ended
                            || old.subscription.window != row.subscription.window)
                })
            })
            .map(|row| EndingAddon {
                subscription: row.subscription.id,
                plan: row.subscription.plan.clone(),
                ends_at: row.subscription.window.to(),
            })
            .collect();
        preview
    }
}

fn lowered(
    index: &Index,
    before: &State,
    after: &State,
    (earlier, at, now): (Timestamp, Timestamp, Timestamp),
) -> Vec<LoweredLimit> {
    let mut lowered = Vec::new();
    for limit in &index.catalogue().limits {
        let old = limits::effective(&before.facts, index.catalogue(), &limit.key, earlier);
        let new = limits::effective(&after.facts, index.catalogue(), &limit.key, at);
        let (Some(old), Some(new)) = (old, new) else { continue };
        let Some(value) = new.value else { continue };
        if old.value.is_some_and(|old| old <= value) {
            continue;
        }
        let used = crate::limit::used(&after.usage, limit, now);
        lowered.push(LoweredLimit {
            limit: limit.key.clone(),
            before: old.value,
            after: new.value,
            enforcement: new.enforcement.as_str(),
            used,
            above: used.saturating_sub(value).max(0),
        });
    }
    lowered
}

/// What a role gives, its parents included.
fn role_set(
    facts: &OrganizationFacts,
    index: &Index,
    role: &RoleKey,
    seen: &mut BTreeSet<RoleKey>,
) -> PermissionSet {
    if !seen.insert(role.clone()) {
        return PermissionSet::EMPTY;
    }
    if let Some(shipped) = index.shipped_role(role) {
        return shipped.clone();
    }
    let mut set = PermissionSet::EMPTY;
    if let Some(own) = facts.roles.iter().find(|it| it.key == *role) {
        for line in &own.permissions {
            set.add(&index.pattern(&line.pattern));
        }
        for parent in &own.parents {
            set.add(&role_set(facts, index, parent, seen));
        }
    }
    set
}

/// The members of a team and of the teams below it.
fn members_of(facts: &OrganizationFacts, team: TeamId) -> BTreeSet<PrincipalId> {
    let (mut members, mut open, mut seen) = (BTreeSet::new(), vec![team], BTreeSet::new());
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        for team in &facts.teams {
            if team.id == id {
                members.extend(team.members.iter().copied());
            }
            if team.parent == Some(id) {
                open.push(team.id);
            }
        }
    }
    members
}

/// The modules that somebody's roles and grants point to, with those roles and grants.
type Pointing = (BTreeSet<ModuleKey>, BTreeSet<RoleKey>, BTreeSet<GrantId>);

fn affected(
    facts: &OrganizationFacts,
    index: &Index,
    modules: &[ModuleKey],
    at: Timestamp,
) -> Vec<AffectedUser> {
    if modules.is_empty() {
        return Vec::new();
    }
    let sets: Vec<(&ModuleKey, PermissionSet)> =
        modules.iter().map(|module| (module, index.module_permissions(module.as_str()))).collect();
    let pointing = |set: &PermissionSet| -> Vec<&ModuleKey> {
        sets.iter().filter(|(_, of_module)| of_module.meets(set)).map(|(module, _)| *module).collect()
    };
    let mut by_role: HashMap<&RoleKey, Vec<&ModuleKey>> = HashMap::new();
    for AssignmentFact { role, .. } in &facts.assignments {
        by_role.entry(role).or_insert_with(|| pointing(&role_set(facts, index, role, &mut BTreeSet::new())));
    }
    let mut users: HashMap<PrincipalId, Pointing> = HashMap::new();
    let holders = |subject: Subject| match subject {
        Subject::Principal(principal) => BTreeSet::from([principal]),
        Subject::Team(team) => members_of(facts, team),
    };
    for assignment in facts.assignments.iter().filter(|it| !it.window.is_over(at)) {
        let Some(modules) = by_role.get(&assignment.role).filter(|modules| !modules.is_empty()) else {
            continue;
        };
        for principal in holders(assignment.subject) {
            let user = users.entry(principal).or_default();
            user.0.extend(modules.iter().copied().cloned());
            user.1.insert(assignment.role.clone());
        }
    }
    for grant in facts.grants.iter().filter(|it| it.effect == Effect::Allow && !it.window.is_over(at)) {
        let modules = pointing(&index.pattern(&grant.pattern));
        if modules.is_empty() {
            continue;
        }
        for principal in holders(grant.subject) {
            let user = users.entry(principal).or_default();
            user.0.extend(modules.iter().copied().cloned());
            user.2.insert(grant.id);
        }
    }
    let mut affected: Vec<AffectedUser> = facts
        .members
        .iter()
        .filter(|member| !member.window.is_over(at))
        .filter_map(|member| {
            let (modules, roles, grants) = users.remove(&member.principal)?;
            Some(AffectedUser {
                principal: member.principal,
                login: member.login.clone(),
                name: member.name.clone(),
                modules: modules.into_iter().collect(),
                roles: roles.into_iter().collect(),
                grants: grants.into_iter().collect(),
            })
        })
        .collect();
    affected.sort_by(|a, b| a.login.cmp(&b.login));
    affected
}
