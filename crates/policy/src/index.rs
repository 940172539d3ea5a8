//! The catalogue compiled for deciding: codes to numbers by one hash, patterns to sets, types of resource with their two
//! names folded into one, shipped roles expanded.

use crate::graph::closures;
use crate::set::{PermissionIndex, PermissionSet};
use crate::shard::Roles;
use charter_kernel::catalogue::{Catalogue, ModuleScope};
use charter_kernel::facts::{Level, OrganizationKind, RoleFact};
use charter_kernel::{ConditionKey, Key, Pattern, PermissionCode, RoleKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

/// Number of a kind of resource; the singular and the plural name of one kind share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindIndex(pub u16);

/// Why a catalogue cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexError(String);

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for IndexError {}

/// Texts to numbers: open addressing, one multiplication per eight bytes.
#[derive(Debug, Default)]
struct TextTable {
    slots: Box<[u16]>,
    keys: Box<[Box<str>]>,
}

const FREE: u16 = u16::MAX;

#[inline]
fn hash_text(text: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = text.len() as u64;
    let mut mix = |word: u64| hash = (hash.rotate_left(23) ^ word).wrapping_mul(K);
    if let Some(last) = text.last_chunk::<8>() {
        let (words, _) = text.as_chunks::<8>();
        for word in words {
            mix(u64::from_le_bytes(*word));
        }
        mix(u64::from_le_bytes(*last));
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        mix(u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)));
    } else {
        mix(text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
    hash ^ hash >> 32
}

impl TextTable {
    fn new(keys: Vec<Box<str>>) -> Self {
        let size = (keys.len() * 4).next_power_of_two().max(4);
        let mut slots = vec![FREE; size];
        for (at, key) in keys.iter().enumerate() {
            let mut place = hash_text(key.as_bytes()) as usize & (size - 1);
            while slots.get(place).is_some_and(|slot| *slot != FREE) {
                place = (place + 1) & (size - 1);
            }
            if let Some(slot) = slots.get_mut(place) {
                *slot = at as u16;
            }
        }
        Self { slots: slots.into(), keys: keys.into() }
    }

    #[inline]
    fn get(&self, text: &str) -> Option<u16> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = hash_text(text.as_bytes()) as usize & mask;
        loop {
            let at = *self.slots.get(place)?;
            if at == FREE {
                return None;
            }
            if self.keys.get(usize::from(at)).is_some_and(|key| **key == *text) {
                return Some(at);
            }
            place = (place + 1) & mask;
        }
    }
}

/// A shipped role, expanded over its parents.
#[derive(Debug, Clone)]
pub(crate) struct ShippedRole {
    pub fact: RoleFact,
    pub system: bool,
    pub sod_exempt: bool,
    /// Numbers of the role itself and of those it inherits from.
    pub gives: Vec<usize>,
    /// What it gives without a condition, parents included.
    pub set: PermissionSet,
    /// What it gives under a condition, parents included.
    pub lines: Vec<(PermissionSet, ConditionKey)>,
}

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
    registered: Box<[bool]>,
    pub(crate) roles: Vec<ShippedRole>,
    role_numbers: HashMap<RoleKey, usize>,
    modules: HashMap<Key, u16>,
    /// For customers and for the platform organization.
    shipped_roles: [Arc<Roles>; 2],
}

/// Key of the role whose holders administer an organization.
pub const ADMINISTRATOR: &str = "org_admin";

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
            registered: Box::default(),
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

    /// Kinds: every type of resource and every middle word. The middle word that most actions of a type stand for is
    /// its plural name, unless another type claims it too or several modules use it.
    fn name_kinds(&mut self) {
        let mut names: BTreeSet<Box<str>> = self.by_resource.keys().cloned().collect();
        names.extend(self.catalogue.resource_types.iter().map(|kind| kind.key.as_str().into()));
        let mut claims: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for kind in &self.catalogue.resource_types {
            let mut words: BTreeMap<&str, usize> = BTreeMap::new();
            for action in &kind.actions {
                *words.entry(action.permission.resource()).or_default() += 1;
            }
            let most = words.values().copied().max().unwrap_or(0);
            let mut leading = words.iter().filter(|(_, times)| **times == most);
            if let (Some((word, _)), None) = (leading.next(), leading.next()) {
                claims.entry(word).or_default().push(kind.key.as_str());
            }
        }
        let names: Vec<Box<str>> = names.into_iter().collect();
        let number = |name: &str| names.binary_search_by(|it| (**it).cmp(name)).ok();
        let mut kind_of: Vec<u16> = (0..names.len()).map(|at| at as u16).collect();
        for (word, types) in &claims {
            let [kind] = types.as_slice() else { continue };
            let modules: BTreeSet<&str> = self
                .permissions
                .iter()
                .filter(|code| code.resource() == *word)
                .map(PermissionCode::module)
                .collect();
            let is_type = self.catalogue.resource_types.iter().any(|it| it.key.as_str() == *word);
            if modules.len() == 1
                && !is_type
                && let (Some(word), Some(kind)) = (number(word), number(kind))
                && let Some(slot) = kind_of.get_mut(word)
            {
                *slot = kind as u16;
            }
        }
        self.kind_names = (0..names.len())
            .map(|at| {
                names
                    .iter()
                    .zip(&kind_of)
                    .filter(|(_, kind)| usize::from(**kind) == at)
                    .map(|(name, _)| name.clone())
                    .collect()
            })
            .collect();
        self.kinds = TextTable::new(names);
        self.kind_of = kind_of.into();
        let mut registered = vec![false; self.kind_of.len()];
        for kind in self.catalogue.resource_types.iter().filter(|kind| kind.registered) {
            if let Some(flag) =
                self.kind(kind.key.as_str()).and_then(|kind| registered.get_mut(usize::from(kind.0)))
            {
                *flag = true;
            }
        }
        self.registered = registered.into();
    }

    fn expand_roles(&mut self) -> Result<(), IndexError> {
        let roles = &self.catalogue.roles;
        let numbers: HashMap<RoleKey, usize> =
            roles.iter().enumerate().map(|(at, role)| (role.role.key.clone(), at)).collect();
        let mut edges = Vec::new();
        for role in roles {
            let key = &role.role.key;
            let mut above = Vec::new();
            for parent in &role.role.parents {
                let Some(at) = numbers.get(parent) else {
                    return Err(IndexError(format!(
                        "role {key} inherits from {parent}, which the catalogue lacks"
                    )));
                };
                if !role.system && roles.get(*at).is_some_and(|parent| parent.system) {
                    return Err(IndexError(format!(
                        "role {key} inherits from {parent}, which has scope system: give {key} scope system or drop the parent"
                    )));
                }
                above.push(*at);
            }
            edges.push(above);
        }
        let closures = closures(&edges);
        if let Some(role) = closures.cyclic.first().and_then(|at| roles.get(*at)) {
            return Err(IndexError(format!(
                "role {} inherits from itself: break the circle of parents",
                role.role.key
            )));
        }
        let mut expanded = Vec::new();
        for (role, gives) in roles.iter().zip(&closures.gives) {
            let mut set = PermissionSet::EMPTY;
            let mut lines = Vec::new();
            for line in gives.iter().filter_map(|at| roles.get(*at)).flat_map(|role| &role.role.permissions) {
                let permissions = self.pattern(&line.pattern);
                match &line.condition {
                    None => set.add(&permissions),
                    Some(condition) => lines.push((permissions, condition.clone())),
                }
            }
            expanded.push(ShippedRole {
                fact: role.role.clone(),
                system: role.system,
                sod_exempt: role.sod_exempt,
                gives: gives.iter().copied().collect(),
                set,
                lines,
            });
        }
        self.roles = expanded;
        self.role_numbers = numbers;
        Ok(())
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
            return self.all;
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
                None => self.all,
            },
            word => self.by_module.get(word).copied().unwrap_or_default(),
        };
        for (word, sets) in [(resource, &self.by_resource), (action, &self.by_action)] {
            if word != "*" {
                set = sets.get(word).map_or(PermissionSet::EMPTY, |permissions| set.intersect(permissions));
            }
        }
        set
    }

    /// The kind a name stands for, singular or plural.
    #[inline]
    pub fn kind(&self, name: &str) -> Option<KindIndex> {
        let at = self.kinds.get(name)?;
        self.kind_of.get(usize::from(at)).copied().map(KindIndex)
    }

    /// Whether every resource of the kind is registered, so that an id that is not does not exist.
    #[inline]
    pub fn is_registered(&self, kind: KindIndex) -> bool {
        self.registered.get(usize::from(kind.0)).is_some_and(|flag| *flag)
    }

    /// The names of a kind.
    pub fn kind_names(&self, kind: KindIndex) -> impl Iterator<Item = &str> {
        self.kind_names.get(usize::from(kind.0)).into_iter().flatten().map(|name| &**name)
    }

    /// The permission that a type of resource and an action name, with the level the type demands, if any: an action of the
    /// type, else the one code with one of the kind's names as its middle word. A full permission code as action stands
    /// for itself.
    pub fn resolve(&self, kind: &str, action: &str) -> Option<(PermissionIndex, Option<Level>)> {
        if action.contains('.') {
            return self.permission(action).map(|permission| (permission, None));
        }
        let of_type = |name: &str| {
            let kind = self.catalogue.resource_types.iter().find(|it| it.key.as_str() == name)?;
            let action = kind.actions.iter().find(|it| it.action == action)?;
            Some((self.permission(action.permission.as_str())?, Some(action.minimum_level)))
        };
        if let Some(found) = of_type(kind) {
            return Some(found);
        }
        let same_thing = self.kind(kind).and_then(|kind| self.kind_names(kind).find_map(of_type));
        let names = self.kind(kind).into_iter().flat_map(|kind| self.kind_names(kind));
        let named = names.filter_map(|name| self.by_resource.get(name)).flat_map(PermissionSet::iter);
        let mut codes =
            named.filter(|permission| self.code(*permission).is_some_and(|code| code.action() == action));
        match (codes.next(), codes.next()) {
            (Some(permission), None) => match same_thing {
                Some((of_type, level)) if of_type == permission => Some((permission, level)),
                _ => Some((permission, None)),
            },
            (None, _) => same_thing,
            (Some(_), Some(_)) => None,
        }
    }

    /// The names of actions that resolve for a kind of resource, sorted.
    pub fn actions(&self, kind: &str) -> Vec<&str> {
        let Some(number) = self.kind(kind) else { return Vec::new() };
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for name in self.kind_names(number) {
            if let Some(kind) = self.catalogue.resource_types.iter().find(|it| it.key.as_str() == name) {
                names.extend(kind.actions.iter().map(|action| action.action.as_str()));
            }
            for permission in self.by_resource.get(name).into_iter().flat_map(PermissionSet::iter) {
                names.extend(self.code(permission).map(PermissionCode::action));
            }
        }
        names.retain(|action| self.resolve(kind, action).is_some());
        names.into_iter().collect()
    }

    /// The permissions that the actions of a kind of resource stand for.
    pub fn kind_permissions(&self, kind: &str) -> PermissionSet {
        let named = self.kind(kind).into_iter().flat_map(|number| self.kind_names(number));
        named.fold(PermissionSet::EMPTY, |set, name| {
            let of_type = self.catalogue.resource_types.iter().filter(|it| it.key.as_str() == name);
            let actions = of_type.flat_map(|it| &it.actions);
            let stood_for =
                actions.filter_map(|action| self.permission(action.permission.as_str())).collect();
            set.union(&stood_for).union(&self.by_resource.get(name).copied().unwrap_or_default())
        })
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
        self.by_module.get(module).copied().unwrap_or_default()
    }

    pub(crate) fn module_number(&self, module: &str) -> Option<u16> {
        self.modules.get(module).copied()
    }

    pub(crate) fn role_number(&self, role: &RoleKey) -> Option<usize> {
        self.role_numbers.get(role).copied()
    }

    pub(crate) fn shipped_roles(&self, kind: OrganizationKind) -> Arc<Roles> {
        let [customer, platform] = &self.shipped_roles;
        Arc::clone(if kind == OrganizationKind::Platform { platform } else { customer })
    }

    /// What a shipped role gives without a condition, its parents included.
    pub fn shipped_role(&self, role: &RoleKey) -> Option<&PermissionSet> {
        self.role_number(role).and_then(|at| self.roles.get(at)).map(|role| &role.set)
    }
}
