//! Assignments as rows: plain ones become part of a role set, the rest rows with window and conditions; blocks on a role
//! follow those who hold it.

use super::overlay::{ALWAYS, Row, Section, WHOLE};
use super::roles::{Roles, administers};
use super::rows::{Builder, Holding, span};
use super::teams::Teams;
use crate::set::PermissionSet;
use charter_kernel::PrincipalId;
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::facts::{BlockFact, BlockSubject};
use std::collections::HashMap;

impl<'a> Builder<'a> {
    pub(super) fn assignments(
        &mut self,
        facts: &'a OrganizationFacts,
        roles: &Roles,
        teams: &Teams,
        by_principal: &mut HashMap<PrincipalId, Holding>,
        by_team: &mut [Holding],
    ) {
        let mut role_blocks: HashMap<usize, Vec<&'a BlockFact>> = HashMap::new();
        for block in &facts.blocks {
            if let BlockSubject::Role(role) = &block.subject
                && let Some((at, _)) = roles.get(role)
            {
                role_blocks.entry(at).or_default().push(block);
            }
        }
        for fact in &facts.assignments {
            let Some((number, role)) = roles.get(&fact.role) else { continue };
            let what = || format!("assignment {}", fact.id);
            if !role.gives_anything {
                let why = if self.index.role_number(&fact.role).is_some() {
                    "may be given in the platform organization only"
                } else {
                    "does not exist"
                };
                self.faults.push(format!("{}: role {} {why}, it gives nothing", what(), fact.role));
            }
            let (from, to) = span(fact.window);
            let condition = self.condition(fact.condition.as_ref(), &format_args!("assignment {}", fact.id));
            let plain = fact.window.is_always() && condition == ALWAYS;
            let (mut allows, mut denies) = (Vec::new(), Vec::new());
            let held = |section, set, conditions, level| Row {
                section,
                kind: WHOLE,
                resource: None,
                id: fact.id.0,
                deny: false,
                level,
                set,
                from,
                to,
                conditions,
            };
            if role.gives_anything {
                if !plain {
                    if !role.set.is_empty() {
                        let set = self.set(role.set.clone());
                        allows.push(self.row(held(Section::Role, set, [condition, ALWAYS], role.level)));
                    }
                    if administers(roles, role) {
                        let set = self.set(PermissionSet::EMPTY);
                        allows.push(self.row(held(
                            Section::Administers,
                            set,
                            [condition, ALWAYS],
                            role.level,
                        )));
                    }
                }
                for (permissions, key) in &role.lines {
                    let found = self.condition_numbers.get(key).copied();
                    let line = match found {
                        Some(at) => at,
                        None => {
                            self.faults.push(format!(
                                "role {}: condition {key} does not exist, the line gives nothing",
                                role.key
                            ));
                            self.broken()
                        }
                    };
                    let set = self.set(permissions.clone());
                    allows.push(self.row(held(Section::Role, set, [condition, line], role.level)));
                }
            }
            for block in role.is.iter().filter_map(|at| role_blocks.get(at)).flatten() {
                let (block_from, block_to) = span(block.window);
                let (from, to) = (from.max(block_from), to.min(block_to));
                if from < to
                    && let Some(mut row) = self.block(block)
                {
                    (row.from, row.to) = (from, to);
                    let [own, _] = row.conditions;
                    row.conditions = [own, condition];
                    denies.push(self.row(row));
                }
            }
            let Some(holding) = self.holding(
                fact.subject,
                teams,
                by_principal,
                by_team,
                &format_args!("assignment {}", fact.id),
            ) else {
                continue;
            };
            if plain && role.gives_anything {
                holding.roles.push(number as u16);
            }
            holding.allows.extend(allows);
            holding.denies.extend(denies);
        }
    }
}
