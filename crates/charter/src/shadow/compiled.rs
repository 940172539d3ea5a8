//! What was read of the other system at one instant, put together: what each of its users may do, by the classes of answers there are. Ids are used
//! again there: one that has another login or name than what is linked to it here tells nothing, before a run follows it.

use super::links::{Links, doubled, is_the_same, is_the_same_organization};
use crate::failure::{Failure, Result};
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::answers::Bits;
use charter_adopt::facts::{LegacyFacts, LegacyUser};
use charter_adopt::mapping::Mapping;
use charter_adopt::plan::Ground;
use charter_adopt::rows::ONE;
use charter_adopt::rules::{Asking, home, is_open, of_set};
use charter_adopt::source::Heard;
use charter_adopt::universe::Universe;
use charter_app::clock::Moment;
use charter_kernel::catalogue::Catalogue;
use charter_kernel::{OrganizationId, PermissionCode, PrincipalId};
use std::collections::HashMap;
use std::sync::Arc;

/// Users whose answers are the same, and what these come from.
pub(super) struct Class {
    pub(super) bits: Arc<Bits>,
    pub(super) holds: Holds,
}

/// What somebody has in the other system.
pub(super) enum Holds {
    /// Nothing that counts, and why.
    Nothing(&'static str),
    /// Roles, by their places; permissions besides them; and whether all is allowed.
    These { roles: Vec<u32>, own: Option<Bits>, is_superuser: bool },
}

/// What a role is called, and what it gives.
pub(super) struct Role {
    pub(super) name: String,
    pub(super) bits: Bits,
}

/// What can be told of an account in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The class of its answers.
    Class(usize),
    /// Two users of the other system are the account.
    Two,
    /// The user's id has another login there than what is linked to it.
    SomebodyElse,
    /// The organization's id has another name there than what is linked to it.
    AnotherOrganization,
    /// Somebody else there has the login, or the id has two.
    Doubled,
}

/// What can be told of whom.
pub(super) type People = HashMap<(PrincipalId, OrganizationId), Place>;

/// What was read at one instant.
pub(super) struct Compiled {
    pub(super) as_of: Moment,
    pub(super) codes: HashMap<PermissionCode, usize>,
    pub(super) roles: Vec<Role>,
    pub(super) superuser: Bits,
    pub(super) classes: Vec<Class>,
    pub(super) people: People,
    /// Why nothing can be told of anybody: nobody can tell who is whose.
    pub(super) in_doubt: Option<&'static str>,
}

/// What a user holds there.
fn holds(facts: &LegacyFacts, universe: &Universe, user: LegacyUser<'_>) -> Holds {
    if !user.is_active {
        return Holds::Nothing("an account that is not active there");
    }
    if !home(facts, user).is_some_and(|organization| is_open(facts, organization)) {
        return Holds::Nothing("an organization that is not active there");
    }
    let own = !facts.permission_sets.members(user.permissions).is_empty();
    Holds::These {
        roles: facts.role_sets.members(user.roles).to_vec(),
        own: own.then(|| of_set(facts, universe, user.permissions)),
        is_superuser: user.is_superuser,
    }
}

/// Puts together what was read.
pub(super) fn compile(
    as_of: Moment,
    heard: &Heard,
    mapping: &Mapping,
    catalogue: Catalogue,
    links: &Links,
) -> Result<Compiled> {
    let facts = &heard.facts;
    let ground = Ground::new(facts, mapping, catalogue).map_err(|wrong| Failure::new(wrong.to_string()))?;
    let mut asking = Asking::new(facts, &ground.modules, &ground.universe, &ground.before);
    // What the mapping names is no organization of the other system.
    let organization_of = |user: LegacyUser<'_>| {
        let place = home(facts, user)?;
        if facts.organizations.is_empty() {
            return links.organizations.get(ONE).map(|linked| (linked.organization, true));
        }
        let there = facts.organizations.get(place as usize)?;
        let linked = links.organizations.get(&there.id)?;
        Some((linked.organization, is_the_same_organization(&there.name, linked)))
    };
    let doubled = doubled(facts, &heard.anomalies);
    // Nobody's rights are one set of bits whatever the reason.
    let mut known: HashMap<(*const Bits, Option<&'static str>), usize> = HashMap::new();
    let mut classes: Vec<Class> = Vec::new();
    let mut people = People::new();
    for user in facts.users.iter() {
        let linked = links.users.get(user.id).zip(organization_of(user));
        let Some((account, (organization, is_same_organization))) = linked else { continue };
        let bits = asking.of(user);
        let nothing = match holds(facts, &ground.universe, user) {
            Holds::Nothing(why) => Some(why),
            Holds::These { .. } => None,
        };
        let class = *known.entry((Arc::as_ptr(&bits), nothing)).or_insert_with(|| {
            classes.push(Class { bits, holds: holds(facts, &ground.universe, user) });
            classes.len() - 1
        });
        let place = if doubled.contains(user.id) {
            Place::Doubled
        } else if !is_same_organization {
            Place::AnotherOrganization
        } else if !is_the_same(user, account) {
            Place::SomebodyElse
        } else {
            Place::Class(class)
        };
        let entry = people.entry((account.principal, organization));
        let twice = |before: &mut Place| {
            if *before != Place::Doubled {
                *before = Place::Two;
            }
        };
        entry.and_modify(twice).or_insert(place);
    }
    let codes = ground.universe.codes().iter().enumerate().map(|(place, code)| (code.clone(), place));
    let named = facts.roles.iter().zip(&ground.before.roles);
    let roles = named.map(|(role, bits)| Role { name: role.name.clone(), bits: bits.clone() }).collect();
    let superuser = ground.before.superuser.clone();
    let doubts = [
        (AnomalyKind::DuplicateOrganization, "two of its organizations have one id"),
        (AnomalyKind::SeveralUsers, "several kinds of things may be its users"),
        (AnomalyKind::UnreadRole, "roles stand in two places there, and one of them is not read"),
    ];
    let in_doubt = doubts.into_iter().find(|(kind, _)| heard.anomalies.count(*kind) > 0).map(|(_, why)| why);
    Ok(Compiled { as_of, codes: codes.collect(), roles, superuser, classes, people, in_doubt })
}
