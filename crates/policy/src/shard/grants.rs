//! Grants as rows of who they are given to.

use super::overlay::{ALWAYS, Row};
use super::rows::{Builder, Holding, span};
use super::teams::Teams;
use charter_kernel::Effect;
use charter_kernel::PrincipalId;
use charter_kernel::facts::Level;
use charter_kernel::facts::OrganizationFacts;
use std::collections::HashMap;

impl<'a> Builder<'a> {
    pub(super) fn grants(
        &mut self,
        facts: &'a OrganizationFacts,
        teams: &Teams,
        by_principal: &mut HashMap<PrincipalId, Holding>,
        by_team: &mut [Holding],
    ) {
        for grant in &facts.grants {
            let what = format!("grant {}", grant.id);
            let permissions = self.index.pattern(&grant.pattern);
            if permissions.is_empty() {
                self.faults.push(format!("{what}: {} matches no permission", grant.pattern));
                continue;
            }
            let condition = self.condition(grant.condition.as_ref(), &what);
            let Some((section, kind, resource)) = self.reach(&grant.reach, false, &what) else { continue };
            let set = self.set(permissions);
            let (from, to) = span(grant.window);
            let row = self.row(Row {
                section,
                kind,
                resource,
                id: grant.id.0,
                deny: grant.effect == Effect::Deny,
                level: Level::Admin,
                set,
                from,
                to,
                conditions: [condition, ALWAYS],
            });
            let Some(holding) = self.holding(grant.subject, teams, by_principal, by_team, &what) else {
                continue;
            };
            match grant.effect {
                Effect::Allow => holding.allows.push(row),
                Effect::Deny => holding.denies.push(row),
            }
        }
    }
}
