//! What other entries name: teams, conditions and own roles, with the trees they form.

use super::row::in_old_places;
use super::{DEPTH_MAX, Run};
use crate::policy_document::{RoleEntry, Spot, TeamEntry};
use crate::text;
use charter_kernel::facts::{ConditionFact, RoleFact, RolePermission, TeamFact};
use charter_kernel::{Condition, Key, PrincipalId, RoleKey, TeamId};
use std::collections::{BTreeMap, BTreeSet, HashSet};

impl<'a> Run<'a> {
    pub(super) fn teams(&mut self, new_id: &mut dyn FnMut() -> u128) -> Vec<TeamFact> {
        for entry in &self.document.teams {
            let old = self.before.teams.iter().find(|team| team.key == entry.key.value);
            let id = old.map_or_else(|| TeamId(new_id()), |team| team.id);
            self.teams.insert(entry.key.value.as_str(), id);
        }
        let parents: BTreeMap<&str, Vec<&str>> = self
            .document
            .teams
            .iter()
            .map(|entry| {
                (entry.key.value.as_str(), entry.parent.iter().map(|parent| parent.value.as_str()).collect())
            })
            .collect();
        let mut made = Vec::new();
        for entry in &self.document.teams {
            made.extend(self.one_team(entry));
            self.tree(&entry.key, &parents, "team", "stand above itself");
        }
        let places = self.before.teams.iter().enumerate().map(|(place, team)| (team.id, place)).collect();
        in_old_places(made, &places, |team| team.id)
    }

    fn one_team(&mut self, entry: &TeamEntry) -> Option<TeamFact> {
        let id = self.teams.get(entry.key.value.as_str()).copied()?;
        let old = self.before.teams.iter().find(|team| team.id == id);
        let parent = entry.parent.as_ref().and_then(|parent| self.team(parent));
        let mut members = Vec::new();
        for login in &entry.members {
            let Some(member) = self.principal(login) else { continue };
            if members.contains(&member) {
                self.fault(login, format!("`{}` stands here twice: remove one", login.value));
            } else {
                members.push(member);
            }
        }
        let name = match old.filter(|old| old.name == entry.name.value) {
            Some(old) => old.name.clone(),
            None => self.checked(&entry.name, text::name("name", &entry.name.value)),
        };
        let same: HashSet<PrincipalId> = members.iter().copied().collect();
        if let Some(old) = old
            && old.members.len() == members.len()
            && old.members.iter().all(|member| same.contains(member))
        {
            members.clone_from(&old.members);
        } else {
            members.sort();
        }
        Some(TeamFact { id, key: entry.key.value.clone(), name, parent, members })
    }

    /// Refuses cycles and lines of ancestors that are too long.
    fn tree(&mut self, key: &Spot<Key>, parents: &BTreeMap<&str, Vec<&str>>, noun: &str, cycle: &str) {
        let start = key.value.as_str();
        let above = |row: &BTreeSet<&'a str>| -> BTreeSet<&'a str> {
            let found = row.iter().flat_map(|name| parents.get(name).into_iter().flatten());
            found.filter_map(|name| self.document_name(name)).collect()
        };
        let mut row: BTreeSet<&str> = self.document_name(start).into_iter().collect();
        let mut depth = 1;
        loop {
            row = above(&row);
            if row.contains(start) {
                return self.fault(key, format!("{noun} `{start}` would {cycle}: cut the circle"));
            }
            if row.is_empty() {
                break;
            }
            depth += 1;
            // A circle above that this one is not part of: it is told at its own members.
            if depth > parents.len() {
                return;
            }
        }
        if depth > DEPTH_MAX {
            self.fault(
                key,
                format!("{noun} `{start}` would stand deeper than {DEPTH_MAX} levels: flatten the tree"),
            );
        }
    }

    /// The same name, borrowed from the document.
    fn document_name(&self, name: &str) -> Option<&'a str> {
        let document = self.document;
        let teams = document.teams.iter().map(|team| team.key.value.as_str());
        teams.chain(document.roles.iter().map(|role| role.key.value.as_str())).find(|known| *known == name)
    }

    pub(super) fn conditions(&mut self) -> Vec<ConditionFact> {
        let mut made = Vec::new();
        for entry in &self.document.conditions {
            let fact = ConditionFact { key: entry.key.value.clone(), condition: entry.condition.clone() };
            for team in teams_in(&entry.condition) {
                if !self.teams.contains_key(team.as_str()) {
                    self.fault(
                        &entry.key,
                        format!(
                            "no team `{team}` in the document; add it under [teams] or correct the condition"
                        ),
                    );
                }
            }
            if !self.before.conditions.contains(&fact)
                && let Err(error) = charter_policy::condition::compile(&fact.condition)
            {
                self.fault(&entry.key, error.to_string());
            }
            made.push(fact);
        }
        let places =
            self.before.conditions.iter().enumerate().map(|(place, row)| (row.key.clone(), place)).collect();
        in_old_places(made, &places, |row| row.key.clone())
    }

    pub(super) fn roles(&mut self) -> Vec<RoleFact> {
        let parents: BTreeMap<&str, Vec<&str>> = self
            .document
            .roles
            .iter()
            .map(|entry| {
                (entry.key.value.as_str(), entry.parents.iter().map(|parent| parent.value.as_str()).collect())
            })
            .collect();
        let mut made = Vec::new();
        for entry in &self.document.roles {
            made.push(self.one_role(entry));
            self.tree(&entry.key, &parents, "role", "inherit from itself");
        }
        let places =
            self.before.roles.iter().enumerate().map(|(place, row)| (row.key.clone(), place)).collect();
        in_old_places(made, &places, |row| row.key.clone())
    }

    fn one_role(&mut self, entry: &RoleEntry) -> RoleFact {
        let key = &entry.key;
        if self.catalogue.role(&key.value).is_some() {
            self.fault(
                key,
                format!(
                    "`{}` is a shipped role: make a role of your own that inherits from it, and change that",
                    key.value
                ),
            );
        }
        let old = self.before.roles.iter().find(|role| role.key == key.value);
        let mut permissions = Vec::new();
        for (pattern, condition) in &entry.permissions {
            let line = RolePermission {
                pattern: pattern.value.clone(),
                condition: self.condition(condition.as_ref()),
            };
            let known = old.is_some_and(|old| old.permissions.contains(&line));
            if !known {
                self.pattern(pattern);
                if pattern.value.as_str() == "*" && !self.platform {
                    self.fault(pattern, "a lone * reaches the platform: use *.*.*");
                }
            }
            if permissions.contains(&line) {
                self.fault(pattern, format!("`{}` stands here twice: remove one", pattern.value));
            }
            permissions.push(line);
        }
        let mut parents: Vec<RoleKey> = Vec::new();
        for parent in &entry.parents {
            let known = old.is_some_and(|old| old.parents.contains(&parent.value));
            self.role(parent, known);
            if !known {
                self.inside(parent);
            }
            if parents.contains(&parent.value) {
                self.fault(parent, format!("`{}` stands here twice: remove one", parent.value));
            }
            parents.push(parent.value.clone());
        }
        let name = match old.filter(|old| old.name == entry.name.value) {
            Some(old) => old.name.clone(),
            None => self.checked(&entry.name, text::name("name", &entry.name.value)),
        };
        let order = |a: &RolePermission, b: &RolePermission| {
            (&a.pattern, &a.condition).cmp(&(&b.pattern, &b.condition))
        };
        permissions.sort_by(order);
        parents.sort();
        if let Some(old) = old {
            let (mut old_permissions, mut old_parents) = (old.permissions.clone(), old.parents.clone());
            old_permissions.sort_by(order);
            old_parents.sort();
            if old_permissions == permissions {
                permissions.clone_from(&old.permissions);
            }
            if old_parents == parents {
                parents.clone_from(&old.parents);
            }
        }
        RoleFact { key: key.value.clone(), name, parents, permissions, level: entry.level }
    }
}

/// The teams a condition names, however deep.
fn teams_in(condition: &Condition) -> Vec<&Key> {
    let mut found = Vec::new();
    let mut waiting = vec![condition];
    while let Some(next) = waiting.pop() {
        match next {
            Condition::Team { team } => found.push(team),
            Condition::All { of } | Condition::Any { of } => waiting.extend(of),
            _ => {}
        }
    }
    found
}
