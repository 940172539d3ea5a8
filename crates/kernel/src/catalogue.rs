//! The catalogue as a value: modules, permissions, shipped roles, conflicts, limits, plans and types of resource. Its document form,
//! lint and comparison live in `charter-catalogue`.

use crate::entitlement::{Enforcement, LimitKind};
use crate::facts::{Level, RoleFact};
use crate::{Key, ModuleKey, Pattern, PermissionCode, ResourceTypeKey, RoleKey, SubmoduleKey};
use std::collections::{BTreeMap, BTreeSet};

/// Where a module works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModuleScope {
    /// Inside one organization.
    Organization,
    /// Across organizations: checked in the platform organization only, never part of a plan.
    System,
}

/// A module.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// Its key.
    pub key: ModuleKey,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Charter ships screens for it.
    pub bundled: bool,
    /// Entitlements never switch it off.
    pub always_on: bool,
    /// Where it works.
    pub scope: ModuleScope,
    /// Modules it needs.
    pub depends_on: Vec<ModuleKey>,
    /// Names older systems use in `enabled_modules`.
    pub legacy_keys: Vec<String>,
    /// Its parts: key and description.
    pub submodules: Vec<(SubmoduleKey, String)>,
}

/// A permission.
#[derive(Debug, Clone, PartialEq)]
pub struct Permission {
    /// Its code.
    pub code: PermissionCode,
    /// The submodule that must be entitled.
    pub submodule: SubmoduleKey,
    /// What it lets one do.
    pub description: String,
    /// Asks again, records before and after.
    pub dangerous: bool,
}

/// A shipped role.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogueRole {
    /// Key, name, parents, permissions, level.
    pub role: RoleFact,
    /// What it is for.
    pub description: String,
    /// Scope system: may be given in the platform organization only.
    pub system: bool,
    /// Legacy names that map to it.
    pub aliases: Vec<String>,
    /// May hold conflicting permissions.
    pub sod_exempt: bool,
}

/// How a separation-of-duty conflict is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Refused unless overridden with a reason and an end.
    Block,
    /// Shown and recorded.
    Warn,
}

/// Two sets of permissions that one person must not hold together.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// Its key.
    pub key: Key,
    /// How it is kept.
    pub severity: Severity,
    /// One side.
    pub left: Vec<Pattern>,
    /// The other side.
    pub right: Vec<Pattern>,
    /// What could go wrong.
    pub why: String,
}

/// A limit a plan may set.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Its key.
    pub key: Key,
    /// What is counted.
    pub description: String,
    /// The unit.
    pub unit: String,
    /// Gauge or counter.
    pub kind: LimitKind,
    /// Counters start anew each month.
    pub monthly: bool,
}

/// The value of a limit in a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct CataloguePlanLimit {
    /// The limit.
    pub limit: Key,
    /// Its value; none is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    pub enforcement: Enforcement,
}

/// A plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its key.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Orders plans for upgrade and downgrade.
    pub rank: i64,
    /// Days of trial.
    pub trial_days: u32,
    /// Modules it enables, with all their submodules.
    pub modules: Vec<ModuleKey>,
    /// Its limits; one left out is unlimited.
    pub limits: Vec<CataloguePlanLimit>,
}

/// What one action on a type of resource asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceAction {
    /// The action's name.
    pub action: String,
    /// The lowest level of role that may.
    pub minimum_level: Level,
    /// The permission it stands for.
    pub permission: PermissionCode,
}

/// A type of resource with rights of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceType {
    /// Its key.
    pub key: ResourceTypeKey,
    /// Its name.
    pub name: String,
    /// Every resource of the type is registered: a check of an id that is not is denied, and no search finds anything for it.
    pub registered: bool,
    /// Its actions.
    pub actions: Vec<ResourceAction>,
}

/// A whole catalogue; every list is sorted by key.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "each field is a list of the type it names")]
pub struct Catalogue {
    pub version: String,
    pub actions: Vec<(String, String)>,
    /// Codes that must not be used again, with the reason.
    pub retired: Vec<(PermissionCode, String)>,
    pub modules: Vec<Module>,
    pub permissions: Vec<Permission>,
    pub roles: Vec<CatalogueRole>,
    pub conflicts: Vec<Conflict>,
    pub limits: Vec<Limit>,
    pub plans: Vec<Plan>,
    pub resource_types: Vec<ResourceType>,
}

impl Catalogue {
    /// The module with this key.
    pub fn module(&self, key: &str) -> Option<&Module> {
        self.modules.iter().find(|module| module.key.as_str() == key)
    }

    /// The permission with this code.
    pub fn permission(&self, code: &str) -> Option<&Permission> {
        self.permissions.iter().find(|permission| permission.code.as_str() == code)
    }

    /// The shipped role with this key.
    pub fn role(&self, key: &RoleKey) -> Option<&CatalogueRole> {
        self.roles.iter().find(|role| &role.role.key == key)
    }

    /// The words that types of resource take for their plural name: for each type the middle word that most of its actions
    /// stand for, if there is one.
    pub fn plural_claims(&self) -> BTreeMap<&str, Vec<&ResourceType>> {
        let mut claims: BTreeMap<&str, Vec<&ResourceType>> = BTreeMap::new();
        for kind in &self.resource_types {
            let mut words: BTreeMap<&str, usize> = BTreeMap::new();
            for action in &kind.actions {
                *words.entry(action.permission.resource()).or_default() += 1;
            }
            let most = words.values().copied().max().unwrap_or(0);
            let mut leading = words.iter().filter(|(_, times)| **times == most);
            if let (Some((word, _)), None) = (leading.next(), leading.next()) {
                claims.entry(word).or_default().push(kind);
            }
        }
        claims
    }

    /// The types that have a plural name of their own, by that name: a word that one type alone took, that one module
    /// alone uses, and that is not itself a type.
    pub fn plural_names(&self) -> BTreeMap<&str, &str> {
        let is_plain = |word: &str| {
            let modules: BTreeSet<&str> = self
                .permissions
                .iter()
                .filter(|it| it.code.resource() == word)
                .map(|it| it.code.module())
                .collect();
            modules.len() == 1 && self.resource_types.iter().all(|it| it.key.as_str() != word)
        };
        let claims = self.plural_claims().into_iter();
        claims
            .filter_map(|(word, types)| match types.as_slice() {
                [kind] if is_plain(word) => Some((word, kind.key.as_str())),
                _ => None,
            })
            .collect()
    }

    /// The names that the things of a middle word have in a module: the word, the type that took it for its plural name, or
    /// both.
    pub fn names_of(&self, module: &str, word: &str) -> BTreeSet<&str> {
        if let Some((word, kind)) = self.plural_names().get_key_value(word) {
            return BTreeSet::from([*word, *kind]);
        }
        let claims = self.plural_claims();
        let of_module = |kind: &&&ResourceType| {
            let mut codes = kind.actions.iter().map(|it| &it.permission);
            codes.any(|it| it.module() == module && it.resource() == word)
        };
        let types = claims.get(word).into_iter().flatten().filter(of_module).map(|kind| kind.key.as_str());
        let is_type = self.resource_types.iter().any(|it| it.key.as_str() == word);
        let types: BTreeSet<&str> = types.filter(|_| !is_type).collect();
        let words = self.permissions.iter().map(|it| it.code.resource());
        if types.is_empty() { words.filter(|it| *it == word).collect() } else { types }
    }
}
