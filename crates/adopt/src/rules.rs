//! What everybody may do, over all permissions that a proof speaks of: by the other system's own rules, or by those that take their place.

use crate::answers::Bits;
use crate::away::Less;
use crate::facts::{LegacyFacts, LegacyRole, LegacyUser, NONE};
use crate::mapping;
use crate::modules::Modules;
use crate::sets::SetId;
use crate::universe::Universe;
use charter_kernel::catalogue::Catalogue;
use std::collections::HashMap;
use std::sync::Arc;

/// What roles give, whatever modules are on.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Each role, by its place in the facts.
    pub roles: Vec<Bits>,
    /// Whoever may do everything.
    pub superuser: Bits,
    /// Roles by which everything of the installation itself is allowed, by their places.
    pub over_all: Vec<bool>,
    /// Whether it is to whoever may do everything.
    pub superuser_over_all: bool,
}

impl Rules {
    /// Those of the other system. Roles of one with permissions of its own allow what stands at them; a role that is a word allows what
    /// the shipped role of that name does, and nothing that anybody knows when there is none.
    #[must_use]
    pub fn before(facts: &LegacyFacts, catalogue: &Catalogue, universe: &Universe) -> Self {
        let has_own = !facts.permissions.is_empty();
        let named = |role: &LegacyRole| mapping::shipped(catalogue, &role.name);
        let gives = |role: &LegacyRole| {
            if has_own {
                return of_set(facts, universe, role.permissions);
            }
            named(role).map_or_else(|| universe.none(), |key| universe.of_role(catalogue, &key))
        };
        let is_over_all = |role: &LegacyRole| {
            !has_own && named(role).and_then(|key| catalogue.role(&key)).is_some_and(|role| role.system)
        };
        Self {
            roles: facts.roles.iter().map(gives).collect(),
            superuser: if has_own { universe.own() } else { universe.all() },
            over_all: facts.roles.iter().map(is_over_all).collect(),
            superuser_over_all: !has_own,
        }
    }
}

/// What decides an answer: roles, rights besides them, whether all is allowed, the kind of organization.
type Class = (SetId, SetId, bool, u32);

/// Asks rules about users.
pub struct Asking<'a> {
    facts: &'a LegacyFacts,
    modules: &'a Modules,
    universe: &'a Universe,
    rules: &'a Rules,
    none: Arc<Bits>,
    known: HashMap<Class, Arc<Bits>>,
}

impl<'a> Asking<'a> {
    /// Asks these.
    #[must_use]
    pub fn new(
        facts: &'a LegacyFacts,
        modules: &'a Modules,
        universe: &'a Universe,
        rules: &'a Rules,
    ) -> Self {
        let none = Arc::new(universe.none());
        Self { facts, modules, universe, rules, none, known: HashMap::new() }
    }

    /// What a user may do in the organization it belongs to: nothing when it may not sign in, belongs to none, or its organization is off.
    pub fn of(&mut self, user: LegacyUser<'_>) -> Arc<Bits> {
        let nothing = Arc::clone(&self.none);
        let Some(organization) = home(self.facts, user) else { return nothing };
        let Some(kind) = self.modules.kind(organization) else { return nothing };
        if !user.is_active || !is_open(self.facts, organization) {
            return nothing;
        }
        let (facts, rules, modules, universe) = (self.facts, self.rules, self.modules, self.universe);
        let class = (user.roles, user.permissions, user.is_superuser, kind);
        let bits = self.known.entry(class).or_insert_with(|| {
            let mut bits = of_set(facts, universe, user.permissions);
            for role in facts.role_sets.members(user.roles) {
                rules.roles.get(*role as usize).into_iter().for_each(|role| bits.add(role));
            }
            if user.is_superuser {
                bits.add(&rules.superuser);
            }
            modules.reach(kind).into_iter().for_each(|reach| bits.keep(reach));
            Arc::new(bits)
        });
        Arc::clone(bits)
    }

    /// What a user holds, whichever organization it counts in.
    #[must_use]
    pub fn held(&self, user: LegacyUser<'_>) -> Bits {
        let (facts, rules) = (self.facts, self.rules);
        let mut bits = of_set(facts, self.universe, user.permissions);
        for role in facts.role_sets.members(user.roles) {
            rules.roles.get(*role as usize).into_iter().for_each(|role| bits.add(role));
        }
        if user.is_superuser {
            bits.add(&rules.superuser);
        }
        bits
    }

    /// What a user may do there without what is kept away.
    #[must_use]
    pub fn without(&self, user: LegacyUser<'_>, less: &Less) -> Bits {
        let (facts, rules) = (self.facts, self.rules);
        let mut bits = self.universe.none();
        let kind = home(facts, user).filter(|home| is_open(facts, *home));
        let Some(kind) = kind.and_then(|home| self.modules.kind(home)) else { return bits };
        if !user.is_active || less.all {
            return bits;
        }
        let held = facts.permission_sets.members(user.permissions).iter();
        for place in held.filter(|place| !less.permissions.contains(place)) {
            self.universe.legacy(*place).into_iter().for_each(|place| bits.set(place));
        }
        let held = facts.role_sets.members(user.roles).iter();
        for role in held.filter(|role| !less.roles.contains(role)) {
            rules.roles.get(*role as usize).into_iter().for_each(|role| bits.add(role));
        }
        if user.is_superuser && !less.roles.contains(&NONE) {
            bits.add(&rules.superuser);
        }
        self.modules.reach(kind).into_iter().for_each(|reach| bits.keep(reach));
        bits
    }

    /// Whether a user may do everything of the installation itself without what is kept away.
    #[must_use]
    pub fn is_over_all_without(&self, user: LegacyUser<'_>, less: &Less) -> bool {
        let by_role = |role: &u32| {
            !less.over_all.contains(role) && self.rules.over_all.get(*role as usize).copied().unwrap_or(false)
        };
        let by_flag = user.is_superuser && self.rules.superuser_over_all && !less.over_all.contains(&NONE);
        user.is_active && (by_flag || self.facts.role_sets.members(user.roles).iter().any(by_role))
    }

    /// Whether a user may do everything of the installation itself, across organizations.
    #[must_use]
    pub fn is_over_all(&self, user: LegacyUser<'_>) -> bool {
        let by_role = |role: &u32| self.rules.over_all.get(*role as usize).copied().unwrap_or(false);
        let by_flag = user.is_superuser && self.rules.superuser_over_all;
        user.is_active && (by_flag || self.facts.role_sets.members(user.roles).iter().any(by_role))
    }
}

/// A set of the other system's permissions.
#[must_use]
pub fn of_set(facts: &LegacyFacts, universe: &Universe, set: SetId) -> Bits {
    let mut bits = universe.none();
    for place in facts.permission_sets.members(set) {
        universe.legacy(*place).into_iter().for_each(|place| bits.set(place));
    }
    bits
}

/// The organization a user belongs to: the only one, where the other system knows none.
#[must_use]
pub fn home(facts: &LegacyFacts, user: LegacyUser<'_>) -> Option<u32> {
    if facts.organizations.is_empty() { Some(0) } else { user.organization }
}

/// Users by the organization they belong to, each by its place in the facts; the last list has those who belong to none.
#[must_use]
pub fn by_home(facts: &LegacyFacts, organizations: usize) -> Vec<Vec<u32>> {
    let mut lists = vec![Vec::new(); organizations + 1];
    for (place, user) in facts.users.iter().enumerate() {
        let at = home(facts, user).map_or(organizations, |home| home as usize).min(organizations);
        if let (Some(list), Ok(place)) = (lists.get_mut(at), u32::try_from(place)) {
            list.push(place);
        }
    }
    lists
}

/// Whether an organization is in use.
#[must_use]
pub fn is_open(facts: &LegacyFacts, organization: u32) -> bool {
    let known = facts.organizations.get(organization as usize);
    facts.organizations.is_empty() || known.is_some_and(|organization| organization.is_active)
}
