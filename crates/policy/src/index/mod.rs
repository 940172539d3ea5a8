//! The catalogue compiled for deciding: codes to numbers by one hash, patterns to sets, types of resource with their two
//! names folded into one, shipped roles expanded.

mod kinds;
mod roles;
mod text_table;

use kinds::KindAction;
pub use kinds::KindIndex;
pub use roles::ADMINISTRATOR;
pub(crate) use roles::ShippedRole;

use crate::set::{PermissionIndex, PermissionSet};
use crate::shard::Roles;
use charter_kernel::catalogue::{Catalogue, ModuleScope};
use charter_kernel::facts::OrganizationKind;
use charter_kernel::{Key, Pattern, PermissionCode, RoleKey};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use text_table::TextTable;

/// Why a catalogue cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexError(String);

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for IndexError {}

/// A module and one of its submodules, the unit of entitlement.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub module: u16,
    pub submodule: Key,
    pub permissions: PermissionSet,
}

/// The compiled catalogue. Shared by every shard compiled against it.
#[derive(Debug)]
pub struct Index {
    catalogue: Catalogue,
    codes: TextTable,
    permissions: Box<[PermissionCode]>,
    part_of: Box<[u16]>,
    pub(crate) parts: Box<[Part]>,
    pub(crate) system: PermissionSet,
    pub(crate) always_on: PermissionSet,
    pub(crate) reads: PermissionSet,
    pub(crate) suspended: PermissionSet,
    all: PermissionSet,
    by_module: BTreeMap<Box<str>, PermissionSet>,
    by_resource: BTreeMap<Box<str>, PermissionSet>,
    by_action: BTreeMap<Box<str>, PermissionSet>,
    kinds: TextTable,
    kind_of: Box<[u16]>,
    kind_names: Box<[Box<[Box<str>]>]>,
    kind_actions: Box<[Box<[KindAction]>]>,
    registered: Box<[bool]>,
    misnamed: Box<[PermissionSet]>,
    pub(crate) roles: Vec<ShippedRole>,
    role_numbers: HashMap<RoleKey, usize>,
    modules: HashMap<Key, u16>,
    /// For customers and for the platform organization.
    shipped_roles: [Arc<Roles>; 2],
}

impl Index {
    /// Compiles a catalogue, or says what is wrong with it.
    pub fn new(catalogue: &Catalogue) -> Result<Self, IndexError> {
        let count = catalogue.permissions.len();
        if count > PermissionSet::CAPACITY {
            return Err(IndexError(format!(
                "the catalogue has {count} permissions, at most {} are possible: remove some or split the installation",
                PermissionSet::CAPACITY
            )));
        }
        let modules: HashMap<Key, u16> = catalogue
            .modules
            .iter()
            .enumerate()
            .map(|(at, module)| (module.key.clone(), at as u16))
            .collect();
        let mut permissions: Vec<_> = catalogue.permissions.iter().collect();
        permissions.sort_by(|a, b| a.code.cmp(&b.code));
        let mut this = Self {
            codes: TextTable::new(permissions.iter().map(|it| it.code.as_str().into()).collect()),
            permissions: permissions.iter().map(|it| it.code.clone()).collect(),
            all: PermissionSet::first(count),
            part_of: Box::default(),
            parts: Box::default(),
            system: PermissionSet::EMPTY,
            always_on: PermissionSet::EMPTY,
            reads: PermissionSet::EMPTY,
            suspended: PermissionSet::EMPTY,
            by_module: BTreeMap::new(),
            by_resource: BTreeMap::new(),
            by_action: BTreeMap::new(),
            kinds: TextTable::default(),
            kind_of: Box::default(),
            kind_names: Box::default(),
            kind_actions: Box::default(),
            registered: Box::default(),
            misnamed: Box::default(),
            roles: Vec::new(),
            role_numbers: HashMap::new(),
            modules,
            shipped_roles: Default::default(),
            catalogue: catalogue.clone(),
        };
        let mut parts: Vec<Part> = Vec::new();
        let mut part_numbers: HashMap<(u16, Key), u16> = HashMap::new();
        let mut part_of = Vec::with_capacity(count);
        for (at, permission) in permissions.iter().enumerate() {
            let code = &permission.code;
            let number = PermissionIndex(at as u16);
            if permissions.get(at + 1).is_some_and(|next| next.code == *code) {
                return Err(IndexError(format!(
                    "permission {code} stands twice in the catalogue: remove one"
                )));
            }
            let Some((module_number, module)) = this
                .modules
                .get(code.module())
                .and_then(|at| Some((*at, catalogue.modules.get(usize::from(*at))?)))
            else {
                return Err(IndexError(format!(
                    "permission {code} names a module that the catalogue lacks: add the module"
                )));
            };
            if module.scope == ModuleScope::System {
                this.system.insert(number);
            }
            if module.always_on {
                this.always_on.insert(number);
            }
            if matches!(code.action(), "read" | "export") {
                this.reads.insert(number);
            }
            if code.action() == "export"
                || matches!(code.as_str(), "admin.org_entitlements.read" | "audit.events.read")
            {
                this.suspended.insert(number);
            }
            this.by_module.entry(code.module().into()).or_default().insert(number);
            this.by_resource.entry(code.resource().into()).or_default().insert(number);
            this.by_action.entry(code.action().into()).or_default().insert(number);
            let part =
                *part_numbers.entry((module_number, permission.submodule.clone())).or_insert_with(|| {
                    parts.push(Part {
                        module: module_number,
                        submodule: permission.submodule.clone(),
                        permissions: PermissionSet::EMPTY,
                    });
                    (parts.len() - 1) as u16
                });
            if let Some(part) = parts.get_mut(usize::from(part)) {
                part.permissions.insert(number);
            }
            part_of.push(part);
        }
        this.part_of = part_of.into();
        this.parts = parts.into();
        this.name_kinds();
        this.expand_roles()?;
        this.shipped_roles = [OrganizationKind::Customer, OrganizationKind::Platform]
            .map(|kind| Arc::new(Roles::shipped(&this, kind)));
        Ok(this)
    }

    /// The catalogue this was compiled from.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// How many permissions there are.
    pub fn len(&self) -> usize {
        self.permissions.len()
    }

    /// Whether the catalogue has no permission at all.
    pub fn is_empty(&self) -> bool {
        self.permissions.is_empty()
    }

    /// The number of a permission code; none for codes that are unknown or retired.
    #[inline]
    pub fn permission(&self, code: &str) -> Option<PermissionIndex> {
        self.codes.get(code).map(PermissionIndex)
    }

    /// The code of a permission.
    pub fn code(&self, permission: PermissionIndex) -> Option<&PermissionCode> {
        self.permissions.get(usize::from(permission.0))
    }

    /// Every code, in the order of their numbers.
    pub fn codes(&self) -> &[PermissionCode] {
        &self.permissions
    }

    /// Every permission.
    pub fn all(&self) -> &PermissionSet {
        &self.all
    }

    /// The permissions a pattern reaches.
    pub fn pattern(&self, pattern: &Pattern) -> PermissionSet {
        let text = pattern.as_str();
        if text == "*" {
            return self.all.clone();
        }
        if let Some(at) = self.permission(text) {
            return PermissionSet::from_iter([at]);
        }
        let mut words = text.split('.');
        let (Some(module), Some(resource), Some(action), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return PermissionSet::EMPTY;
        };
        let mut set = match module {
            "*" => match self.by_module.get("platform") {
                Some(platform) => self.all.without(platform),
                None => self.all.clone(),
            },
            word => self.by_module.get(word).cloned().unwrap_or_default(),
        };
        for (word, sets) in [(resource, &self.by_resource), (action, &self.by_action)] {
            if word != "*" {
                set = sets.get(word).map_or(PermissionSet::EMPTY, |permissions| set.intersect(permissions));
            }
        }
        set
    }

    pub(crate) fn part(&self, permission: PermissionIndex) -> Option<(usize, &Part)> {
        let at = usize::from(*self.part_of.get(usize::from(permission.0))?);
        Some((at, self.parts.get(at)?))
    }

    /// Key of the module of a permission.
    pub fn module_of(&self, permission: PermissionIndex) -> Option<&str> {
        self.code(permission).map(PermissionCode::module)
    }

    /// The permissions of a module.
    pub fn module_permissions(&self, module: &str) -> PermissionSet {
        self.by_module.get(module).cloned().unwrap_or_default()
    }

    pub(crate) fn module_number(&self, module: &str) -> Option<u16> {
        self.modules.get(module).copied()
    }
}
