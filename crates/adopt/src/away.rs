//! What is kept away: rights and memberships that people took away by hand and that stay so. Their rows are not written, and the proof takes their
//! users for having that much less.

use crate::answers::Bits;
use crate::change::{Changes, OrganizationChange, lower};
use crate::facts::{LegacyFacts, LegacyUser, NONE};
use crate::intent::{Intent, Place};
use crate::naming;
use crate::plan::Ground;
use crate::removals::Removals;
use crate::rules::{Asking, home};
use crate::taken::Taken;
use charter_kernel::{OrganizationId, PrincipalId};
use charter_policy::Index;
use charter_policy::legacy::enabled_modules;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What one right is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// Being a member.
    Membership,
    /// A role, by its key.
    Role(String),
    /// A permission, by its code.
    Right(String),
}

impl What {
    /// Its kind and its key, as the service has them.
    #[must_use]
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Membership => ("membership", ""),
            Self::Role(key) => ("assignment", key),
            Self::Right(code) => ("grant", code),
        }
    }

    /// What such words stand for.
    #[must_use]
    pub fn from_words(kind: &str, key: &str) -> Option<Self> {
        match kind {
            "membership" => Some(Self::Membership),
            "assignment" => Some(Self::Role(key.to_owned())),
            "grant" => Some(Self::Right(key.to_owned())),
            _ => None,
        }
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Membership => f.write_str("the membership"),
            Self::Role(key) => write!(f, "role {key}"),
            Self::Right(code) => f.write_str(code),
        }
    }
}

/// Something that a run was told to keep away.
pub type Kept = (OrganizationId, PrincipalId, What);

/// What is kept away: rows that are not written, and what their users have less by it.
#[derive(Debug, Clone, Default)]
pub struct Away {
    rows: HashSet<u64>,
    members: HashSet<(OrganizationId, PrincipalId)>,
    /// Roles that people deleted, and nobody gets back.
    pub(crate) roles: HashSet<(OrganizationId, String)>,
    users: HashMap<(String, Option<u32>), Less>,
    /// Organizations in which people removed modules.
    modules: HashSet<OrganizationId>,
    /// The same by their places in the facts: those modules, and what is within reach without them.
    reach: HashMap<u32, (BTreeSet<String>, Bits)>,
    /// All of it but for modules, each once.
    pub list: BTreeSet<Kept>,
}

/// What a user has less in one organization, and over all of them.
#[derive(Debug, Clone, Default)]
pub struct Less {
    /// Everything there: no member.
    pub all: bool,
    /// Roles, by their places in the facts; [`NONE`] for the mark of whoever may do everything.
    pub roles: BTreeSet<u32>,
    /// Rights besides roles, by the places of the permissions.
    pub permissions: BTreeSet<u32>,
    /// Roles by which everything of the installation is allowed.
    pub over_all: BTreeSet<u32>,
}

impl Away {
    /// Whether nothing is kept away.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.list.is_empty() && self.modules.is_empty()
    }

    /// Whether a row is.
    #[must_use]
    pub fn has(&self, id: u128) -> bool {
        self.rows.contains(&lower(id))
    }

    /// Whether somebody is kept out of an organization.
    #[must_use]
    pub fn has_member(&self, organization: OrganizationId, principal: PrincipalId) -> bool {
        !self.members.is_empty() && self.members.contains(&(organization, principal))
    }

    /// Whether a role is that people removed, and nobody gets back.
    #[must_use]
    pub fn has_role(&self, organization: OrganizationId, key: &str) -> bool {
        !self.roles.is_empty() && self.roles.contains(&(organization, key.to_owned()))
    }

    /// Whether people removed modules of an organization, which stay so.
    #[must_use]
    pub fn has_modules(&self, organization: &str) -> bool {
        let id = || organization.parse::<OrganizationId>().ok();
        !self.modules.is_empty() && id().is_some_and(|id| self.modules.contains(&id))
    }

    /// Whether a module is one of them, by the place of the organization.
    #[must_use]
    pub fn has_module(&self, place: usize, module: &str) -> bool {
        let place = u32::try_from(place).ok();
        place.and_then(|place| self.reach.get(&place)).is_some_and(|(modules, _)| modules.contains(module))
    }

    /// What a user may do without what is kept away; none where nothing is.
    #[must_use]
    pub fn least(&self, facts: &LegacyFacts, asking: &mut Asking<'_>, user: LegacyUser<'_>) -> Option<Bits> {
        let less = self.of(user);
        let reach = match self.reach.is_empty() {
            true => None,
            false => home(facts, user).and_then(|home| self.reach.get(&home)),
        };
        if less.is_none() && reach.is_none() {
            return None;
        }
        let mut least = match less {
            Some(less) => asking.without(user, less),
            None => (*asking.of(user)).clone(),
        };
        reach.into_iter().for_each(|(_, reach)| least.keep(reach));
        Some(least)
    }

    /// Leaves the modules of an organization as people left them: those that are gone are out of reach, unless something else has them on.
    pub(crate) fn add_modules(
        &mut self,
        ground: &Ground<'_>,
        organization: OrganizationId,
        place: u32,
        gone: &BTreeSet<String>,
        still_on: Option<&BTreeSet<String>>,
    ) {
        self.modules.insert(organization);
        let is_on = |module: &str| still_on.is_some_and(|on| on.contains(module));
        let on = ground.modules.kind(place).and_then(|kind| ground.modules.on(kind));
        let on = on.into_iter().flatten();
        let on = on.filter(|module| !gone.contains(module.as_str()) || is_on(module.as_str()));
        self.reach.insert(place, (gone.clone(), ground.universe.within(on)));
    }

    /// What a user has less where it belongs.
    #[must_use]
    pub fn of(&self, user: LegacyUser<'_>) -> Option<&Less> {
        if self.users.is_empty() {
            return None;
        }
        self.users.get(&(user.id.to_owned(), user.organization))
    }

    pub(crate) fn add(&mut self, ground: &Ground<'_>, platform: Option<OrganizationId>, taken: &Taken) {
        let Some(user) = ground.facts.users.get(taken.place as usize) else { return };
        self.list.insert((taken.organization, taken.principal, taken.what.clone()));
        self.rows.extend(taken.bits);
        let less = self.users.entry((user.id.to_owned(), user.organization)).or_default();
        let (facts, intent) = (ground.facts, &ground.intent);
        let is_over_all = platform == Some(taken.organization);
        let roles = facts.role_sets.members(user.roles).iter().copied();
        let roles = roles.chain(user.is_superuser.then_some(NONE));
        let of = |role: u32| place(intent, role);
        match &taken.what {
            What::Membership => {
                self.members.insert((taken.organization, taken.principal));
                less.all |= !is_over_all;
            }
            What::Role(key) if is_over_all => {
                let is_it = |role: &u32| {
                    of(*role).and_then(|it| it.over_all.as_ref()).is_some_and(|it| it.as_str() == key)
                };
                less.over_all.extend(roles.filter(is_it));
            }
            What::Role(key) => {
                let is_it = |role: &u32| {
                    of(*role).and_then(|it| it.role.as_ref()).is_some_and(|it| it.as_str() == key)
                };
                less.roles.extend(roles.filter(is_it));
            }
            What::Right(code) => {
                let is_it = |at: &u32| {
                    let name = facts.permissions.get(*at as usize);
                    name.and_then(|name| naming::code(name)).is_some_and(|it| it.as_str() == code)
                };
                let held = facts.permission_sets.members(user.permissions).iter().copied();
                less.permissions.extend(held.filter(is_it));
            }
        }
    }
}

/// The modules that are on once a run is done in organizations in which people removed modules: those that are on now. Where a document decides, and
/// the run puts another in its place, that one does.
pub(crate) fn on_after(
    ground: &Ground<'_>,
    changes: &Changes,
    removals: &Removals,
) -> BTreeMap<OrganizationId, BTreeSet<String>> {
    let mut all = removals.on.clone();
    let changed: Vec<&OrganizationChange> = changes
        .organizations
        .iter()
        .filter(|it| it.enabled_modules.is_some() && removals.modules.contains_key(&it.organization))
        .collect();
    if changed.is_empty() {
        return all;
    }
    let Ok(index) = Index::new(&ground.catalogue) else { return all };
    let said = |document: Option<&str>| -> BTreeSet<String> {
        enabled_modules(document, &index).on.iter().map(|module| module.as_str().to_owned()).collect()
    };
    for it in changed {
        let before = said(it.modules_before.as_deref());
        let after = said(it.enabled_modules.as_ref().and_then(Option::as_deref));
        let on = all.entry(it.organization).or_default();
        let gone = removals.modules.get(&it.organization).into_iter().flatten();
        // What stands otherwise than the document says, something else decides.
        for module in gone.filter(|module| before.contains(*module) != after.contains(*module)) {
            if before.contains(module) && on.contains(module) {
                on.remove(module);
            } else if after.contains(module) && !on.contains(module) {
                on.insert(module.clone());
            }
        }
    }
    all
}

fn place(intent: &Intent, role: u32) -> Option<&Place> {
    match role {
        NONE => Some(&intent.superuser),
        role => intent.roles.get(role as usize),
    }
}

/// What a role that a run makes gives, by its key; nothing of one that is shipped.
#[must_use]
pub fn gives(intent: &Intent, what: &What) -> Vec<String> {
    match what {
        What::Membership => Vec::new(),
        What::Right(code) => vec![code.clone()],
        What::Role(key) => {
            let own = intent.own().find(|own| own.key.as_str() == key);
            own.map(|own| own.patterns.clone()).unwrap_or_default()
        }
    }
}
