//! What takes the place of the other system's roles: keys of roles here, roles of their own with what they held, and the rules they come to.

use crate::facts::{LegacyFacts, LegacyRole};
use crate::mapping::{Becomes, Mapping};
use crate::naming;
use crate::rules::{Rules, of_set};
use crate::universe::Universe;
use charter_kernel::catalogue::Catalogue;
use charter_kernel::{Key, PermissionCode, RoleKey};
use std::collections::HashMap;

/// The role that whoever may do everything in a system with permissions of its own gets.
// Keys made of names have no dash.
pub const SUPERUSER_ROLE: &str = "adopted-superuser";
/// The role that whoever runs all of the other system gets in the organization they belong to.
const OVER_ALL: &str = "adopted-superadmin";

/// A role that is made in every organization where somebody holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRole {
    /// Its key.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// What it gives.
    pub patterns: Vec<String>,
}

/// What takes the place of one role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The role that is given in the organization.
    pub role: Option<Key>,
    /// That role, if it has to be made.
    pub own: Option<OwnRole>,
    /// The role of the installation that is given in the platform organization besides.
    pub over_all: Option<RoleKey>,
}

/// What takes the place of all roles.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Each role, by its place in the facts.
    pub roles: Vec<Place>,
    /// Whoever may do everything.
    pub superuser: Place,
    /// What they come to.
    pub rules: Rules,
    /// Roles nobody has said anything of, by their names.
    pub unmapped: Vec<String>,
    /// What the mapping says that cannot be done.
    pub faults: Vec<String>,
}

struct Making<'a> {
    mapping: &'a Mapping,
    facts: &'a LegacyFacts,
    catalogue: &'a Catalogue,
    universe: &'a Universe,
    made: HashMap<Key, String>,
    faults: Vec<String>,
}

impl Making<'_> {
    fn shipped(&mut self, of: &str, key: &RoleKey) -> (Place, crate::answers::Bits, bool) {
        let Some(role) = self.catalogue.role(key) else {
            let known: Vec<&str> = self.catalogue.roles.iter().map(|role| role.role.key.as_str()).collect();
            let near = charter_catalogue::document::nearest(key.as_str(), &known);
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            self.faults.push(format!("{of}: there is no role `{key}` in the catalogue{near}"));
            return (Place::default(), self.universe.none(), false);
        };
        if !role.system {
            let place = Place { role: Some(key.clone()), ..Place::default() };
            return (place, self.universe.of_role(self.catalogue, key), false);
        }
        // A role of the installation is given in the platform organization only; in their own they keep all they had.
        let own = OVER_ALL.parse().ok().map(|own| OwnRole {
            key: own,
            name: "Super administrator (adopted)".to_owned(),
            patterns: vec!["*.*.*".to_owned()],
        });
        let place = Place { role: own.as_ref().map(|own| own.key.clone()), own, over_all: Some(key.clone()) };
        (place, self.universe.all(), true)
    }

    fn of_role(&mut self, role: &LegacyRole, becomes: &Becomes) -> (Place, crate::answers::Bits, bool) {
        match becomes {
            Becomes::Role(key) => self.shipped(&format!("roles.{:?}", role.name), key),
            Becomes::Nothing | Becomes::Unknown => (Place::default(), self.universe.none(), false),
            Becomes::Own if self.facts.permissions.is_empty() => {
                self.faults.push(format!(
                    "roles.{:?}: `own` keeps what a role allowed, and the other system has no permissions of its own: name a role, or `none`",
                    role.name
                ));
                (Place::default(), self.universe.none(), false)
            }
            Becomes::Own => {
                let bits = of_set(self.facts, self.universe, role.permissions);
                let Some(key) = naming::role_key(&role.name) else {
                    self.faults.push(format!("roles.{:?}: no key can be made of its name", role.name));
                    return (Place::default(), self.universe.none(), false);
                };
                if let Some(other) = self.made.insert(key.clone(), role.name.clone()) {
                    self.faults.push(format!(
                        "roles.{:?} and {other:?} would both become the role {key}: rename one of them there",
                        role.name
                    ));
                }
                let codes = bits.iter().filter_map(|place| self.universe.code(place));
                let own = OwnRole {
                    key: key.clone(),
                    name: role.name.clone(),
                    patterns: codes.map(|code: &PermissionCode| code.as_str().to_owned()).collect(),
                };
                (Place { role: Some(key), own: Some(own), over_all: None }, bits, false)
            }
        }
    }

    fn of_superuser(&mut self, becomes: &Becomes) -> (Place, crate::answers::Bits, bool) {
        match becomes {
            Becomes::Role(key) => self.shipped("superuser", key),
            Becomes::Nothing | Becomes::Unknown => (Place::default(), self.universe.none(), false),
            Becomes::Own if self.facts.permissions.is_empty() => {
                self.faults.push(
                    "superuser: `own` keeps what the other system's permissions allowed, and it has none: name a role, or `none`"
                        .to_owned(),
                );
                (Place::default(), self.universe.none(), false)
            }
            Becomes::Own => {
                // One by one: what another system has, and what was there once, is none of theirs.
                let bits = self.universe.own();
                let codes = bits.iter().filter_map(|place| self.universe.code(place));
                let patterns = codes.map(|code| code.as_str().to_owned()).collect();
                let name = "Superuser (adopted)".to_owned();
                let key = self.mapping.superuser_role.clone().or_else(|| SUPERUSER_ROLE.parse().ok());
                let own = key.map(|key| OwnRole { key, name, patterns });
                let place = Place { role: own.as_ref().map(|own| own.key.clone()), own, over_all: None };
                (place, bits, false)
            }
        }
    }
}

impl Intent {
    /// What a mapping comes to.
    #[must_use]
    pub fn new(facts: &LegacyFacts, mapping: &Mapping, catalogue: &Catalogue, universe: &Universe) -> Self {
        let mut making =
            Making { mapping, facts, catalogue, universe, made: HashMap::new(), faults: Vec::new() };
        let (mut roles, mut bits, mut over_all, mut unmapped) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for role in &facts.roles {
            let becomes = mapping.roles.get(&role.name).unwrap_or(&Becomes::Unknown);
            if *becomes == Becomes::Unknown && !unmapped.contains(&role.name) {
                unmapped.push(role.name.clone());
            }
            let (place, gives, is_over_all) = making.of_role(role, becomes);
            roles.push(place);
            bits.push(gives);
            over_all.push(is_over_all);
        }
        if mapping.superuser == Becomes::Unknown && facts.users.iter().any(|user| user.is_superuser) {
            unmapped.push("superuser".to_owned());
        }
        let (superuser, superuser_bits, superuser_over_all) = making.of_superuser(&mapping.superuser);
        let rules = Rules { roles: bits, superuser: superuser_bits, over_all, superuser_over_all };
        Self { roles, superuser, rules, unmapped, faults: making.faults }
    }

    /// Roles that are made, those of several of the other system's more than once.
    pub fn own(&self) -> impl Iterator<Item = &OwnRole> {
        self.roles.iter().chain([&self.superuser]).filter_map(|place| place.own.as_ref())
    }

    /// Whether a role of this key is made.
    #[must_use]
    pub fn makes(&self, key: &str) -> bool {
        self.own().any(|own| own.key.as_str() == key)
    }
}
