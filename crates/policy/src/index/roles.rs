//! The shipped roles, each expanded over its parents.

use super::{Index, IndexError};
use crate::graph::closures;
use crate::set::PermissionSet;
use crate::shard::Roles;
use charter_kernel::facts::{OrganizationKind, RoleFact};
use charter_kernel::{ConditionKey, RoleKey};
use std::collections::HashMap;
use std::sync::Arc;

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

/// Key of the role whose holders administer an organization.
pub const ADMINISTRATOR: &str = "org_admin";

impl Index {
    pub(super) fn expand_roles(&mut self) -> Result<(), IndexError> {
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
