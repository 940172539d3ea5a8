//! The roles of one organization: shipped, own, and names that only rows mention, each expanded over what it inherits.

use crate::graph::closures;
use crate::index::{ADMINISTRATOR, Index};
use crate::interner::RoleSet;
use crate::set::PermissionSet;
use charter_kernel::facts::{BlockSubject, Level, OrganizationFacts, OrganizationKind, RoleFact};
use charter_kernel::{ConditionKey, RoleKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A role as it stands in one organization.
#[derive(Debug)]
pub(crate) struct Role {
    pub key: RoleKey,
    pub level: Level,
    pub set: PermissionSet,
    pub lines: Vec<(PermissionSet, ConditionKey)>,
    /// It and what it inherits from, as far as it gives.
    pub gives: BTreeSet<usize>,
    /// The same, cycles and dropped rows included: what a block on a role reaches.
    pub is: BTreeSet<usize>,
    /// May be held here and exists.
    pub gives_anything: bool,
    pub sod_exempt: bool,
}

/// The roles an organization knows: shipped, own, and names that only rows mention.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    pub roles: Vec<Role>,
    pub numbers: HashMap<RoleKey, usize>,
}

impl Roles {
    /// The shipped roles as they stand in every organization of a kind.
    pub(crate) fn shipped(index: &Index, kind: OrganizationKind) -> Self {
        let mut roles = Vec::with_capacity(index.roles.len());
        let mut numbers = HashMap::with_capacity(index.roles.len());
        for (at, role) in index.roles.iter().enumerate() {
            let usable = kind == OrganizationKind::Platform || !role.system;
            let all: BTreeSet<usize> = role.gives.iter().copied().collect();
            roles.push(Role {
                key: role.fact.key.clone(),
                level: role.fact.level,
                set: if usable { role.set.clone() } else { PermissionSet::EMPTY },
                lines: if usable { role.lines.clone() } else { Vec::new() },
                gives: if usable { all.clone() } else { BTreeSet::from([at]) },
                is: all,
                gives_anything: usable,
                sod_exempt: role.sod_exempt && usable,
            });
            numbers.insert(role.fact.key.clone(), at);
        }
        Self { roles, numbers }
    }

    /// The roles of an organization; those of one without roles of its own are shared.
    pub(crate) fn new(index: &Index, facts: &OrganizationFacts, faults: &mut Vec<String>) -> Arc<Self> {
        let base = index.shipped_roles(facts.organization.kind);
        let is_shipped = |key: &RoleKey| base.numbers.contains_key(key);
        let in_block = |subject: &BlockSubject| match subject {
            BlockSubject::Role(role) => is_shipped(role),
            _ => true,
        };
        if facts.roles.is_empty()
            && facts.assignments.iter().all(|row| is_shipped(&row.role))
            && facts.blocks.iter().all(|block| in_block(&block.subject))
        {
            return base;
        }
        let Self { mut roles, mut numbers } = Self::shipped(index, facts.organization.kind);
        let mut own: BTreeMap<&RoleKey, Vec<&RoleFact>> = BTreeMap::new();
        for fact in &facts.roles {
            if index.role_number(&fact.key).is_some() {
                faults.push(format!(
                    "role {}: a shipped role has that key, the organization's own is ignored",
                    fact.key
                ));
            } else {
                own.entry(&fact.key).or_default().push(fact);
            }
        }
        // Names that only rows mention are roles that give nothing, so that a block on them still finds its holders.
        let mut ghosts: BTreeSet<&RoleKey> = BTreeSet::new();
        ghosts.extend(facts.assignments.iter().map(|row| &row.role));
        ghosts.extend(facts.roles.iter().flat_map(|role| &role.parents));
        ghosts.extend(facts.blocks.iter().filter_map(|block| match &block.subject {
            BlockSubject::Role(role) => Some(role),
            _ => None,
        }));
        ghosts.retain(|key| index.role_number(key).is_none() && !own.contains_key(*key));
        let blank = |key: &RoleKey, level: Level, exists: bool| Role {
            key: key.clone(),
            level,
            set: PermissionSet::EMPTY,
            lines: Vec::new(),
            gives: BTreeSet::new(),
            is: BTreeSet::new(),
            gives_anything: exists,
            sod_exempt: false,
        };
        for (key, rows) in &own {
            let level = rows.iter().map(|row| row.level).min().unwrap_or(Level::Viewer);
            numbers.insert((*key).clone(), roles.len());
            roles.push(blank(key, level, true));
        }
        for key in ghosts {
            numbers.insert(key.clone(), roles.len());
            roles.push(blank(key, Level::Viewer, false));
        }
        let mut this = Self { roles, numbers };
        this.expand_own(index, &own, faults);
        Arc::new(this)
    }

    fn expand_own(
        &mut self,
        index: &Index,
        own: &BTreeMap<&RoleKey, Vec<&RoleFact>>,
        faults: &mut Vec<String>,
    ) {
        let shipped = index.roles.len();
        let edges: Vec<Vec<usize>> = self
            .roles
            .iter()
            .enumerate()
            .map(|(at, role)| match index.roles.get(at) {
                Some(shipped) => shipped.gives.iter().copied().filter(|above| *above != at).collect(),
                None => own
                    .get(&role.key)
                    .into_iter()
                    .flatten()
                    .flat_map(|row| &row.parents)
                    .filter_map(|parent| self.numbers.get(parent).copied())
                    .collect(),
            })
            .collect();
        let full = closures(&edges);
        // A shipped role that may not be held here gives nothing, so nothing is inherited through it either.
        let usable: Vec<Vec<usize>> = edges
            .iter()
            .zip(&self.roles)
            .map(|(above, role)| if role.gives_anything { above.clone() } else { Vec::new() })
            .collect();
        let closures = closures(&usable);
        for at in &full.cyclic {
            if let Some(role) = self.roles.get(*at) {
                faults.push(format!(
                    "role {}: inherits from itself, the parents on the circle give nothing",
                    role.key
                ));
            }
        }
        let mut expanded = Vec::new();
        for at in shipped..self.roles.len() {
            let gives = closures.gives.get(at).cloned().unwrap_or_default();
            let (mut set, mut lines) = (PermissionSet::EMPTY, Vec::new());
            for above in &gives {
                let Some(role) = self.roles.get(*above) else { continue };
                if *above < shipped {
                    set.add(&role.set);
                    lines.extend(role.lines.iter().cloned());
                    if !role.gives_anything {
                        faults.push(format!(
                            "role {}: inherits from {}, which only the platform organization has",
                            self.key(at),
                            role.key
                        ));
                    }
                    continue;
                }
                if !role.gives_anything && *above != at {
                    faults.push(format!(
                        "role {}: inherits from {}, which does not exist",
                        self.key(at),
                        role.key
                    ));
                }
                for line in own.get(&role.key).into_iter().flatten().flat_map(|row| &row.permissions) {
                    let permissions = index.pattern(&line.pattern);
                    if permissions.is_empty() && *above == at {
                        faults.push(format!("role {}: {} matches no permission", role.key, line.pattern));
                    }
                    match &line.condition {
                        None => set.add(&permissions),
                        Some(condition) => lines.push((permissions, condition.clone())),
                    }
                }
            }
            expanded.push((at, set, lines, gives, full.is.get(at).cloned().unwrap_or_default()));
        }
        for (at, role) in self.roles.iter_mut().enumerate().take(shipped) {
            role.is = full.is.get(at).cloned().unwrap_or_default();
        }
        for (at, set, lines, gives, is) in expanded {
            if let Some(role) = self.roles.get_mut(at) {
                (role.set, role.lines, role.gives, role.is) = (set, lines, gives, is);
            }
        }
    }

    fn key(&self, at: usize) -> &str {
        self.roles.get(at).map_or("", |role| role.key.as_str())
    }

    pub(crate) fn get(&self, key: &RoleKey) -> Option<(usize, &Role)> {
        let at = *self.numbers.get(key)?;
        Some((at, self.roles.get(at)?))
    }
}

pub(super) fn role_set(roles: &Roles, held: &[u16]) -> RoleSet {
    let mut set = RoleSet { at_least: [PermissionSet::EMPTY; 4], administers: false };
    for role in held.iter().filter_map(|at| roles.roles.get(usize::from(*at))) {
        for at_least in set.at_least.iter_mut().take(role.level as usize) {
            at_least.add(&role.set);
        }
        set.administers |= administers(roles, role);
    }
    set
}

pub(crate) fn administers(roles: &Roles, role: &Role) -> bool {
    role.gives_anything
        && role
            .gives
            .iter()
            .filter_map(|at| roles.roles.get(*at))
            .any(|role| role.key.as_str() == ADMINISTRATOR && role.gives_anything)
}
