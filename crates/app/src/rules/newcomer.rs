//! What may be given to somebody who is no member yet: no privileged role, and no role beyond whoever lets them in.

use super::giver::held_by;
use charter_kernel::facts::{Level, OrganizationFacts, Subject};
use charter_kernel::{PrincipalId, Problem, ProblemKind, RoleKey, TeamId, Timestamp};
use charter_policy::{Index, PermissionSet, role_codes};
use std::collections::BTreeSet;

/// Modules whose dangerous permissions make a role privileged.
const GOVERNING: [&str; 2] = ["admin.", "platform."];

/// Whether an organization knows a role and may give it.
pub(crate) fn is_known_role(index: &Index, facts: &OrganizationFacts, role: &RoleKey) -> bool {
    let is_shipped = index.catalogue().role(role).is_some_and(|shipped| !shipped.system);
    is_shipped || facts.roles.iter().any(|own| own.key == *role)
}

fn level_of(index: &Index, facts: &OrganizationFacts, role: &RoleKey) -> Option<Level> {
    match index.catalogue().role(role) {
        Some(shipped) => Some(shipped.role.level),
        None => facts.roles.iter().find(|own| own.key == *role).map(|own| own.level),
    }
}

/// Whether a role is of the highest level, is the platform's, or holds a dangerous permission over others.
pub(crate) fn is_privileged(index: &Index, facts: &OrganizationFacts, role: &RoleKey) -> bool {
    let is_highest = level_of(index, facts, role).is_none_or(|level| level == Level::Admin);
    let is_of_platform = index.catalogue().role(role).is_some_and(|shipped| shipped.system);
    let codes = role_codes(index, facts, role);
    let governs = |code: &str| GOVERNING.iter().any(|module| code.starts_with(module));
    is_highest
        || is_of_platform
        || index
            .catalogue()
            .permissions
            .iter()
            .filter(|permission| permission.dangerous && governs(permission.code.as_str()))
            .filter_map(|permission| index.permission(permission.code.as_str()))
            .any(|permission| codes.contains(permission))
}

/// The highest level of the roles a principal holds now without condition, by itself and by its teams.
fn level_held(index: &Index, facts: &OrganizationFacts, who: PrincipalId, now: Timestamp) -> Option<Level> {
    let mut teams: BTreeSet<TeamId> =
        facts.teams.iter().filter(|team| team.members.contains(&who)).map(|team| team.id).collect();
    // A member of a team is one of every team above it.
    loop {
        let above: Vec<TeamId> = facts
            .teams
            .iter()
            .filter(|team| teams.contains(&team.id))
            .filter_map(|team| team.parent)
            .filter(|parent| !teams.contains(parent))
            .collect();
        if above.is_empty() {
            break;
        }
        teams.extend(above);
    }
    facts
        .assignments
        .iter()
        .filter(|row| row.window.is_live(now) && row.condition.is_none())
        .filter(|row| match row.subject {
            Subject::Principal(id) => id == who,
            Subject::Team(id) => teams.contains(&id),
        })
        .filter_map(|row| level_of(index, facts, &row.role))
        .max()
}

/// Refuses roles above the giver's own level, and roles with rights the giver does not hold.
pub(crate) fn require_may_give(
    index: &Index,
    facts: &OrganizationFacts,
    giver: PrincipalId,
    ceiling: Option<&PermissionSet>,
    roles: &[RoleKey],
    now: Timestamp,
) -> Result<(), Problem> {
    let held = held_by(index, facts, giver, now);
    let held = match ceiling {
        Some(ceiling) => held.intersect(ceiling),
        None => held,
    };
    let own = level_held(index, facts, giver, now);
    for role in roles {
        if level_of(index, facts, role) > own {
            let detail = format!("the role {role} is of a level above yours: ask somebody who has it");
            return Err(Problem::new(ProblemKind::BeyondGiver, detail));
        }
        if !role_codes(index, facts, role).without(&held).is_empty() {
            let detail =
                format!("the role {role} holds rights you do not hold yourself: ask somebody who does");
            return Err(Problem::new(ProblemKind::BeyondGiver, detail));
        }
    }
    Ok(())
}
