//! What is given to somebody: assignments, grants, blocks and registered resources.

use super::row::{Row, identify, in_old_places};
use super::{Run, SaidOfAssignment};
use crate::policy_document::{AssignmentEntry, BlockEntry, GrantEntry, Named, ResourceEntry, Spot};
use crate::text;
use charter_kernel::facts::{AssignmentFact, BlockFact, BlockSubject, GrantFact, ResourceFact};
use charter_kernel::{AssignmentId, BlockId, GrantId, PrincipalId, RoleKey, Subject};
use std::collections::{HashMap, HashSet};

impl Run<'_> {
    pub(super) fn assignments(&mut self, new_id: &mut dyn FnMut() -> u128) -> Vec<AssignmentFact> {
        let mut made: Vec<(Option<Spot<u128>>, AssignmentFact)> = Vec::new();
        let mut lines: HashMap<SaidOfAssignment, (usize, bool)> = HashMap::new();
        for entry in &self.document.assignments {
            let Some(row) = self.one_assignment(entry) else { continue };
            let says = (row.role.clone(), row.subject, row.window, row.condition.clone());
            let here = (entry.role.line, entry.id.is_some());
            if let Some((line, has_id)) = lines.insert(says, here)
                && !(has_id && entry.id.is_some())
            {
                self.fault(&entry.role, format!("says the same as the entry at line {line}: remove one"));
            }
            made.push((entry.id.clone(), row));
        }
        identify(&self.before.assignments, made, new_id, &mut self.faults)
    }

    fn one_assignment(&mut self, entry: &AssignmentEntry) -> Option<AssignmentFact> {
        let subject = self.subject(&entry.subject);
        let row = AssignmentFact {
            id: AssignmentId(0),
            role: entry.role.value.clone(),
            subject: subject.unwrap_or(Subject::Principal(PrincipalId(0))),
            window: self.window(&entry.window),
            condition: self.condition(entry.condition.as_ref()),
        };
        let (unchanged, known) = self.old_assignments.standing(entry.id.as_ref(), &row);
        self.role(&entry.role, unchanged);
        if !unchanged {
            self.inside(&entry.role);
        }
        if !known {
            self.not_over(&entry.window);
        }
        subject.map(|_| row)
    }

    pub(super) fn grants(
        &mut self,
        new_id: &mut dyn FnMut() -> u128,
        giver: Option<PrincipalId>,
    ) -> Vec<GrantFact> {
        let mut made = Vec::new();
        for entry in &self.document.grants {
            if let Some(row) = self.one_grant(entry, giver) {
                made.push((entry.id.clone(), row));
            }
        }
        let mut rows = identify(&self.before.grants, made, new_id, &mut self.faults);
        let old: HashMap<GrantId, &GrantFact> = self.before.grants.iter().map(|row| (row.id, row)).collect();
        for row in &mut rows {
            if let Some(old) = old.get(&row.id).filter(|old| old.says_the_same(row)) {
                row.given_by = old.given_by;
                row.given_at = old.given_at;
            }
        }
        rows
    }

    fn one_grant(&mut self, entry: &GrantEntry, giver: Option<PrincipalId>) -> Option<GrantFact> {
        let subject = self.subject(&entry.subject);
        let mut row = GrantFact {
            id: GrantId(0),
            subject: subject.unwrap_or(Subject::Principal(PrincipalId(0))),
            pattern: entry.permission.value.clone(),
            reach: entry.reach.value.clone(),
            effect: entry.effect,
            window: self.window(&entry.window),
            condition: self.condition(entry.condition.as_ref()),
            reason: entry.reason.value.clone(),
            given_by: giver,
            given_at: self.now,
        };
        let (unchanged, known) = self.old_grants.standing(entry.id.as_ref(), &row);
        if !unchanged {
            self.pattern(&entry.permission);
            self.reach(&entry.reach);
            row.reason = self.checked(&entry.reason, text::demanded_reason("reason", &entry.reason.value));
        }
        if !known {
            self.not_over(&entry.window);
        }
        subject.map(|_| row)
    }

    pub(super) fn blocks(&mut self, new_id: &mut dyn FnMut() -> u128) -> Vec<BlockFact> {
        let mut made = Vec::new();
        for entry in &self.document.blocks {
            if let Some(row) = self.one_block(entry) {
                made.push((entry.id.clone(), row));
            }
        }
        identify(&self.before.blocks, made, new_id, &mut self.faults)
    }

    fn one_block(&mut self, entry: &BlockEntry) -> Option<BlockFact> {
        let named_role = match &entry.subject.value {
            Named::Role(key) => match key.parse::<RoleKey>() {
                Ok(value) => Some(Spot { line: entry.subject.line, at: entry.subject.at.clone(), value }),
                Err(error) => {
                    self.fault(&entry.subject, format!("`{key}` is {error}"));
                    return None;
                }
            },
            _ => None,
        };
        let subject = match (&entry.subject.value, &named_role) {
            (Named::Everyone, _) => Some(BlockSubject::Everyone),
            (_, Some(role)) => Some(BlockSubject::Role(role.value.clone())),
            _ => self.subject(&entry.subject).map(|subject| match subject {
                Subject::Principal(id) => BlockSubject::Principal(id),
                Subject::Team(id) => BlockSubject::Team(id),
            }),
        };
        let is_known = subject.is_some();
        let mut row = BlockFact {
            id: BlockId(0),
            subject: subject.unwrap_or(BlockSubject::Everyone),
            pattern: entry.permission.value.clone(),
            reach: entry.reach.value.clone(),
            window: self.window(&entry.window),
            condition: self.condition(entry.condition.as_ref()),
            reason: entry.reason.value.clone(),
            conflict: entry.conflict.as_ref().map(|conflict| conflict.value.clone()),
        };
        let (unchanged, known) = self.old_blocks.standing(entry.id.as_ref(), &row);
        if let Some(role) = &named_role {
            self.role(role, unchanged);
        }
        if !unchanged {
            self.pattern(&entry.permission);
            self.reach(&entry.reach);
            row.reason = self.checked(&entry.reason, text::demanded_reason("reason", &entry.reason.value));
            if let Some(conflict) = &entry.conflict
                && !self.catalogue.conflicts.iter().any(|known| known.key == conflict.value)
            {
                self.fault(
                    conflict,
                    format!("no conflict `{}` in the catalogue; correct it or leave it out", conflict.value),
                );
            }
        }
        if !known {
            self.not_over(&entry.window);
        }
        is_known.then_some(row)
    }

    pub(super) fn resources(&mut self) -> Vec<ResourceFact> {
        let mut seen = HashSet::new();
        let mut made = Vec::new();
        for entry in &self.document.resources {
            if !seen.insert(&entry.resource.value) {
                self.fault(&entry.resource, "this resource stands here twice: remove one");
            }
            made.push(self.one_resource(entry));
        }
        let places = self
            .before
            .resources
            .iter()
            .enumerate()
            .map(|(place, row)| (row.resource.clone(), place))
            .collect();
        in_old_places(made, &places, |row| row.resource.clone())
    }

    fn one_resource(&mut self, entry: &ResourceEntry) -> ResourceFact {
        let resource = entry.resource.value.clone();
        let old = self.before.resources.iter().find(|row| row.resource == resource);
        if old.is_none() {
            self.kind(&entry.resource, &resource.kind);
        }
        let owner = entry.owner.as_ref().and_then(|owner| self.principal(owner));
        let said = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        let same = old.filter(|old| {
            old.attributes == entry.attributes.value
                || said(&old.attributes).is_some_and(|json| Some(json) == said(&entry.attributes.value))
        });
        let attributes = match same {
            Some(old) => old.attributes.clone(),
            None => self.checked(&entry.attributes, text::json_object("attributes", &entry.attributes.value)),
        };
        ResourceFact { resource, owner, attributes }
    }
}
