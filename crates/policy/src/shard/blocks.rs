//! Blocks as rows of whom they stop, or of everybody.

use super::overlay::{ALWAYS, Row};
use super::rows::{Builder, Holding, span};
use super::teams::Teams;
use charter_kernel::PrincipalId;
use charter_kernel::Subject;
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::facts::{BlockFact, BlockSubject, Level};
use std::collections::HashMap;

impl<'a> Builder<'a> {
    pub(super) fn block(&mut self, block: &'a BlockFact) -> Option<Row> {
        let what = format!("block {}", block.id);
        let permissions = self.index.pattern(&block.pattern);
        if permissions.is_empty() {
            self.faults.push(format!("{what}: {} matches no permission", block.pattern));
            return None;
        }
        let condition = self.condition(block.condition.as_ref(), &what);
        let (section, kind, resource) = self.reach(&block.reach, true, &what)?;
        let set = self.set(permissions);
        let (from, to) = span(block.window);
        Some(Row {
            section,
            kind,
            resource,
            id: block.id.0,
            deny: true,
            level: Level::Admin,
            set,
            from,
            to,
            conditions: [condition, ALWAYS],
        })
    }

    pub(super) fn blocks(
        &mut self,
        facts: &'a OrganizationFacts,
        teams: &Teams,
        by_principal: &mut HashMap<PrincipalId, Holding>,
        by_team: &mut [Holding],
        everyone: &mut Vec<Row>,
    ) {
        for block in &facts.blocks {
            let Some(row) = self.block(block) else { continue };
            let subject = match &block.subject {
                BlockSubject::Everyone => {
                    everyone.push(row);
                    continue;
                }
                // Flattened over the assignments already.
                BlockSubject::Role(_) => continue,
                BlockSubject::Principal(principal) => Subject::Principal(*principal),
                BlockSubject::Team(team) => Subject::Team(*team),
            };
            let at = self.row(row);
            let what = format!("block {}", block.id);
            if let Some(holding) = self.holding(subject, teams, by_principal, by_team, &what) {
                holding.denies.push(at);
            }
        }
    }
}
