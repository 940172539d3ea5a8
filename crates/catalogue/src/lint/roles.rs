//! Roles: what they inherit, hold and are called, and what they must not hold together.

use super::cycles::cycles;
use super::patterns::{matched_times, some_of};
use super::{Run, fold_role_name};
use charter_kernel::catalogue::{Catalogue, CatalogueRole, ModuleScope, Severity};
use charter_kernel::{Pattern, PermissionCode, RoleKey};
use std::collections::{BTreeMap, BTreeSet};

/// The most roles in a line of inheritance.
const ROLE_DEPTH: usize = 8;

impl Run<'_> {
    pub(super) fn roles(&mut self) {
        let it = self.it;
        let system_modules: BTreeSet<&str> = it
            .modules
            .iter()
            .filter(|module| module.scope == ModuleScope::System)
            .map(|module| module.key.as_str())
            .collect();
        let edges: BTreeMap<&str, Vec<&str>> = it
            .roles
            .iter()
            .map(|role| {
                (role.role.key.as_str(), role.role.parents.iter().map(|parent| parent.as_str()).collect())
            })
            .collect();
        for cycle in cycles(&edges) {
            let first = cycle.first().copied().unwrap_or_default();
            self.error(
                "role_cycle",
                format!("roles.{first}.parents"),
                format!("goes round: {} -> {first}; cut it", cycle.join(" -> ")),
            );
        }
        for entry in &it.roles {
            let role = &entry.role;
            let at = format!("roles.{}", role.key);
            for parent in &role.parents {
                match it.role(parent) {
                    None => self.error("parent_unknown", format!("{at}.parents"), format!("role `{parent}` does not exist; add it or leave it out")),
                    Some(above) if above.system && !entry.system => self.error(
                        "parent_system",
                        format!("{at}.parents"),
                        format!("`{parent}` is held in the platform organization only; a role of organizations cannot inherit it"),
                    ),
                    Some(above) if above.role.level > role.level => self.error(
                        "parent_level",
                        format!("{at}.level"),
                        format!("is lower than the level of its parent `{parent}`; raise it to {}", above.role.level.as_str()),
                    ),
                    Some(_) => {}
                }
            }
            if too_deep(it, &role.key) {
                self.error(
                    "role_depth",
                    format!("{at}.parents"),
                    format!("inherits through more than {ROLE_DEPTH} roles; flatten it"),
                );
            }
            self.role_patterns(entry, &at);
            let held = self.held.get(&role.key).cloned().unwrap_or_default();
            if held.is_empty() {
                self.error("role_empty", at.clone(), "holds no permission; add one or remove the role");
            }
            let mut unread: BTreeSet<PermissionCode> = BTreeSet::new();
            for code in &held {
                let read = format!("{}.{}.read", code.module(), code.resource());
                if code.action() != "read" && it.permission(&read).is_some() && !held.contains(read.as_str())
                {
                    unread.insert(code.clone());
                }
            }
            for code in unread {
                self.error(
                    "change_without_read",
                    format!("{at}.permissions"),
                    format!("may {code} but not read it; add {}.{}.read", code.module(), code.resource()),
                );
            }
            let beyond: BTreeSet<PermissionCode> =
                held.iter().filter(|code| system_modules.contains(code.module())).cloned().collect();
            if !entry.system && !beyond.is_empty() {
                self.error(
                    "platform_reached",
                    format!("{at}.permissions"),
                    format!(
                        "a role of organizations reaches {}; only a role of scope system may",
                        some_of(&beyond)
                    ),
                );
            }
            if !entry.system {
                self.role_conflicts(entry, &held, &at);
            }
        }
    }

    fn role_patterns(&mut self, entry: &CatalogueRole, at: &str) {
        let it = self.it;
        let mut inherited: BTreeSet<&PermissionCode> = BTreeSet::new();
        let above: Vec<BTreeSet<PermissionCode>> =
            entry.role.parents.iter().filter_map(|parent| self.held.get(parent).cloned()).collect();
        inherited.extend(above.iter().flatten());
        let (each, times) = matched_times(it, entry.role.permissions.iter().map(|line| &line.pattern));
        for (pattern, matched) in each {
            let place = format!("{at}.permissions");
            let twice = |code| times.get(code).is_some_and(|times| *times > 1);
            if matched.is_empty() {
                self.error(
                    "pattern_empty",
                    place,
                    format!("`{pattern}` matches no permission; correct or remove it"),
                );
            } else if matched.iter().all(|code| twice(code) || inherited.contains(code)) {
                self.error(
                    "pattern_redundant",
                    place,
                    format!("`{pattern}` adds nothing to the other lines; remove it"),
                );
            }
        }
    }

    fn role_conflicts(&mut self, entry: &CatalogueRole, held: &BTreeSet<PermissionCode>, at: &str) {
        if entry.sod_exempt {
            return;
        }
        let it = self.it;
        for conflict in &it.conflicts {
            let side = |patterns: &[Pattern]| {
                held.iter().find(|code| patterns.iter().any(|pattern| pattern.matches(code))).cloned()
            };
            let (Some(left), Some(right)) = (side(&conflict.left), side(&conflict.right)) else { continue };
            let what =
                format!("holds {left} and {right}, against conflict `{}`: {}", conflict.key, conflict.why);
            match conflict.severity {
                Severity::Block => {
                    self.error("conflict_broken", at.to_owned(), format!("{what}; take one of them out"))
                }
                Severity::Warn => self.warning("conflict_touched", at.to_owned(), what),
            }
        }
    }

    pub(super) fn aliases(&mut self) {
        let it = self.it;
        let mut taken: BTreeMap<String, &RoleKey> =
            it.roles.iter().map(|role| (fold_role_name(role.role.key.as_str()), &role.role.key)).collect();
        for role in &it.roles {
            let key = &role.role.key;
            for alias in &role.aliases {
                let at = format!("roles.{key}.aliases");
                let folded = fold_role_name(alias);
                if folded != *alias || folded.is_empty() {
                    self.error("alias_form", at.clone(), format!("`{alias}` is compared in lower case with _ for blanks and dashes; write `{folded}`"));
                }
                match taken.insert(folded, key) {
                    Some(other) if other == key => {
                        self.error("alias_twice", at, format!("`{alias}` already means this role; remove it"))
                    }
                    Some(other) => {
                        self.error(
                            "alias_twice",
                            at,
                            format!("`{alias}` already means role `{other}`; keep it at one of them"),
                        );
                    }
                    None => {}
                }
            }
        }
    }
}

/// Whether a line of inheritance from here is longer than allowed; a cycle is.
fn too_deep(catalogue: &Catalogue, role: &RoleKey) -> bool {
    let mut row: BTreeSet<&RoleKey> = BTreeSet::from([role]);
    for _ in 0..ROLE_DEPTH {
        let roles = row.iter().filter_map(|key| catalogue.role(key));
        row = roles
            .flat_map(|role| &role.role.parents)
            .filter(|parent| catalogue.role(parent).is_some())
            .collect();
    }
    !row.is_empty()
}
