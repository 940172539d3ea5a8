//! The step of roles: which assignments reach the subject, and what the roles they name give.

use super::above::reach;
use super::walk::{Answer, Walk, span};
use crate::index::ADMINISTRATOR;
use charter_kernel::catalogue::CatalogueRole;
use charter_kernel::facts::{AssignmentFact, OrganizationKind, RoleFact, RolePermission};
use charter_kernel::{DecidedBy, PermissionCode, Reason, RoleKey, Subject};
use std::collections::BTreeSet;

/// An assignment that reaches the subject, and how.
pub(super) struct Held<'a> {
    pub(super) assignment: &'a AssignmentFact,
    /// May it give, or only carry denials (through teams that stand in a circle).
    pub(super) gives: bool,
    pub(super) via: String,
}

impl<'a> Walk<'a> {
    fn shipped(&self, key: &RoleKey) -> Option<&'a CatalogueRole> {
        self.index.catalogue().role(key)
    }

    fn own(&self, key: &RoleKey) -> Vec<&'a RoleFact> {
        if self.shipped(key).is_some() {
            return Vec::new();
        }
        self.facts.roles.iter().filter(|role| role.key == *key).collect()
    }

    fn exists_here(&self, key: &RoleKey) -> bool {
        match self.shipped(key) {
            Some(role) => !role.system || self.facts.organization.kind == OrganizationKind::Platform,
            None => !self.own(key).is_empty(),
        }
    }

    fn parents(&self, key: &RoleKey) -> Vec<RoleKey> {
        match self.shipped(key) {
            Some(role) => role.role.parents.clone(),
            None => self.own(key).iter().flat_map(|role| role.parents.clone()).collect(),
        }
    }

    /// The role and those it inherits from, for what it gives.
    pub(super) fn gives(&self, key: &RoleKey) -> BTreeSet<RoleKey> {
        let above = |key: &RoleKey| self.parents(key);
        let sound = |from: &RoleKey, to: &RoleKey| {
            self.exists_here(from) && !reach(to, &above, &|_, _| true).contains(from)
        };
        let mut roles = reach(key, &above, &sound);
        roles.retain(|key| self.exists_here(key));
        if self.exists_here(key) { roles } else { BTreeSet::new() }
    }

    /// The role and those it inherits from, for what a block on a role reaches.
    pub(super) fn is(&self, key: &RoleKey) -> BTreeSet<RoleKey> {
        reach(key, &|key| self.parents(key), &|_, _| true)
    }

    pub(super) fn level_of(&self, key: &RoleKey) -> Option<charter_kernel::facts::Level> {
        match self.shipped(key) {
            Some(role) => Some(role.role.level),
            None => self.own(key).iter().map(|role| role.level).min(),
        }
    }

    pub(super) fn lines(&self, key: &RoleKey) -> Vec<&'a RolePermission> {
        match self.shipped(key) {
            Some(role) => role.role.permissions.iter().collect(),
            None => self.own(key).into_iter().flat_map(|role| &role.permissions).collect(),
        }
    }

    pub(super) fn held(&self) -> Vec<Held<'a>> {
        let mut held: Vec<Held<'a>> = Vec::new();
        for assignment in &self.facts.assignments {
            match assignment.subject {
                Subject::Principal(principal) if principal == self.check.subject => {
                    held.push(Held { assignment, gives: true, via: "directly".to_owned() });
                }
                Subject::Team(team) if self.teams_all.contains(&team) => {
                    let key =
                        self.facts.teams.iter().find(|it| it.id == team).map_or("?", |it| it.key.as_str());
                    held.push(Held {
                        assignment,
                        gives: self.teams_sound.contains(&team),
                        via: format!("via team {key}"),
                    });
                }
                _ => {}
            }
        }
        held.sort_by_key(|held| held.assignment.id);
        held
    }

    pub(super) fn administers(&mut self) -> bool {
        if !self.facts.members.iter().any(|member| member.principal == self.check.subject) {
            return false;
        }
        for held in self.held() {
            let administers =
                self.gives(&held.assignment.role).iter().any(|role| role.as_str() == ADMINISTRATOR);
            if administers
                && held.gives
                && self.live(held.assignment.window)
                && self.holds(held.assignment.condition.as_ref())
            {
                return true;
            }
        }
        false
    }

    pub(super) fn by_roles(&mut self, code: &PermissionCode, in_grace: bool) -> Answer {
        let mut plain = false;
        let mut timed = None;
        let mut too_low = false;
        for held in self.held() {
            let assignment = held.assignment;
            if !held.gives {
                continue;
            }
            let row = || Some(format!("assignment {}", assignment.id));
            for role in self.gives(&assignment.role) {
                for line in self.lines(&role) {
                    if !line.pattern.matches(code) {
                        continue;
                    }
                    let from = if role == assignment.role {
                        String::new()
                    } else {
                        format!(", inherited from {role}")
                    };
                    let words = format!("role {} {}{from} gives {}", assignment.role, held.via, line.pattern);
                    if !self.live(assignment.window) {
                        self.note(
                            "role",
                            row(),
                            format!("{words}, but the assignment is in force {}", span(assignment.window)),
                        );
                        if let Some(at) = assignment.window.from().filter(|at| *at > self.check.now) {
                            self.opens.push((at, words));
                        }
                        continue;
                    }
                    let level = self.level_of(&assignment.role);
                    if let Some(minimum) = self.check.minimum_level
                        && level.is_none_or(|level| level < minimum)
                    {
                        too_low = true;
                        self.note("role", row(), format!("{words}, but {} is needed here", minimum.as_str()));
                        continue;
                    }
                    let conditions = [assignment.condition.as_ref(), line.condition.as_ref()];
                    let failed =
                        conditions.into_iter().flatten().find(|key| !self.holds(Some(*key))).cloned();
                    if let Some(key) = failed {
                        self.note(
                            "role",
                            row(),
                            format!("{words}, but condition {key} does not hold: {}", self.why_not(&key)),
                        );
                        self.fell_away.push(key);
                        continue;
                    }
                    self.note("role", row(), words);
                    if assignment.window.is_always() && conditions == [None, None] {
                        plain = true;
                    } else {
                        timed = timed.or(Some(assignment.id));
                    }
                }
            }
        }
        match (plain, timed) {
            (true, _) => (Reason::GrantedByRole, DecidedBy::Roles, in_grace),
            (false, Some(id)) => (Reason::GrantedByRole, DecidedBy::Assignment(id), in_grace),
            (false, None) if !self.fell_away.is_empty() => {
                (Reason::ConditionNotMet, DecidedBy::Nothing, false)
            }
            (false, None) if too_low => (Reason::LevelTooLow, DecidedBy::Nothing, false),
            (false, None) => {
                let mut held: Vec<String> =
                    self.held().iter().map(|held| held.assignment.role.to_string()).collect();
                held.dedup();
                let held = if held.is_empty() { "none".to_owned() } else { held.join(", ") };
                self.note("role", None, format!("no grant allows it, and no role; roles held: {held}"));
                (Reason::NoGrant, DecidedBy::Nothing, false)
            }
        }
    }
}
