//! The rules every edit of an access policy must keep, checked on the facts before and after as a whole:
//! names exist, trees have no cycle, conditions compile, nobody gives what they do not hold, nobody raises themselves, duties stay
//! apart, and somebody can still administer the organization.

mod duties;
mod form;
mod giver;
mod moved;

use crate::App;
use crate::caller::RequestContext;
use crate::edit::EditOptions;
use charter_kernel::facts::{
    AssignmentFact, OrganizationFacts, OrganizationKind, PrincipalKind, PrincipalStatus, Subject,
};
use charter_kernel::{PrincipalId, Problem, ProblemKind, Timestamp};
use std::collections::HashSet;

pub(crate) use giver::{held_by, may_hold};

/// Deepest nesting of roles and of teams.
pub const DEPTH_MAX: usize = 8;
/// Role whose holders administer a customer organization.
pub const ORGANIZATION_ADMINISTRATOR: &str = "org_admin";
/// Role whose holders administer the platform organization.
pub const PLATFORM_ADMINISTRATOR: &str = "superadmin";

/// Checks an edit; gives what an administrator should know about it.
pub fn check(
    app: &App,
    ctx: &RequestContext,
    options: &EditOptions,
    before: &OrganizationFacts,
    after: &OrganizationFacts,
) -> Result<Vec<String>, Problem> {
    let index = app.snapshots().index();
    form::names(&index, before, after)?;
    form::trees(after)?;
    form::conditions(after, before)?;
    if let Some(principal) = ctx.principal() {
        let ceiling = principal.ceiling.as_ref().map(|ceiling| ceiling.under(&index));
        giver::beyond_giver(&index, principal.id, ceiling.as_ref(), before, after, ctx.now)?;
    }
    last_administrator(before, after, ctx.now)?;
    duties::duties(&index, options, before, after, ctx.now)
}

/// The rows of `after` that are not in `before` just so.
fn new<'a, T: PartialEq>(before: &'a [T], after: &'a [T]) -> impl Iterator<Item = &'a T> {
    // Rows keep their places but for what the edit touched: the common head and tail need no search.
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (before, after) = (before.get(head..).unwrap_or_default(), after.get(head..).unwrap_or_default());
    let tail = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
    let before = before.get(..before.len() - tail).unwrap_or_default();
    let after = after.get(..after.len() - tail).unwrap_or_default();
    after.iter().filter(|row| !before.contains(row))
}

fn administrators(facts: &OrganizationFacts, now: Timestamp) -> usize {
    let role = match facts.organization.kind {
        OrganizationKind::Platform => PLATFORM_ADMINISTRATOR,
        OrganizationKind::Customer => ORGANIZATION_ADMINISTRATOR,
    };
    let holds = |row: &&AssignmentFact| {
        row.role.as_str() == role
            && row.condition.is_none()
            && row.window.is_live(now)
            && row.window.to().is_none()
    };
    let direct: HashSet<PrincipalId> = facts
        .assignments
        .iter()
        .filter(holds)
        .filter_map(|row| match row.subject {
            Subject::Principal(id) => Some(id),
            Subject::Team(_) => None,
        })
        .collect();
    facts
        .members
        .iter()
        .filter(|member| {
            direct.contains(&member.principal)
                && member.kind == PrincipalKind::User
                && member.standing() == PrincipalStatus::Active
                && member.window.is_live(now)
                && member.window.to().is_none()
        })
        .count()
}

fn last_administrator(
    before: &OrganizationFacts,
    after: &OrganizationFacts,
    now: Timestamp,
) -> Result<(), Problem> {
    if administrators(before, now) > 0 && administrators(after, now) == 0 {
        return Err(Problem::new(
            ProblemKind::LastAdministrator,
            "this would leave nobody who can administer the organization: give the administrator's role to another active user first, without an end",
        ));
    }
    Ok(())
}
