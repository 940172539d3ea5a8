//! Separation of duties: nobody comes to hold both sides of a conflict unseen.

use super::new;
use crate::edit::EditOptions;
use charter_kernel::catalogue::Severity;
use charter_kernel::facts::{BlockSubject, OrganizationFacts, Reach};
use charter_kernel::{Effect, PrincipalId, Problem, ProblemKind, Timestamp};
use charter_policy::{Index, PermissionSet, sod};
use std::collections::HashSet;

/// Separation of duties: conflicts somebody would hold who did not before.
pub(super) fn duties(
    index: &Index,
    options: &EditOptions,
    before: &OrganizationFacts,
    after: &OrganizationFacts,
    now: Timestamp,
) -> Result<Vec<String>, Problem> {
    let was = sod::Holdings::new(index, before, now);
    let will = sod::Holdings::new(index, after, now);
    let (mut warnings, mut refused) = (Vec::new(), Vec::new());
    for member in &after.members {
        let found = will.conflicts(member.principal);
        if found.is_empty() {
            continue;
        }
        let earlier: HashSet<_> =
            was.conflicts(member.principal).into_iter().map(|held| held.conflict).collect();
        for held in found.into_iter().filter(|held| !earlier.contains(&held.conflict)) {
            if is_resolved(index, after, member.principal, &held, now) {
                continue;
            }
            let first = |side: &[sod::Held]| {
                side.first().map_or_else(String::new, |held| held.permission.to_string())
            };
            let sentence = format!(
                "{} would hold both sides of {}: {} and {} ({})",
                member.login,
                held.conflict,
                first(&held.left),
                first(&held.right),
                held.why
            );
            match held.severity {
                Severity::Warn => warnings.push(sentence),
                Severity::Block if options.accept_conflicts.is_some() => {
                    warnings.push(format!("accepted: {sentence}"))
                }
                Severity::Block => refused.push(sentence),
            }
        }
    }
    if let Some(first) = refused.first() {
        let more = refused.len() - 1;
        let others = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        return Err(Problem::new(
            ProblemKind::Conflict,
            format!(
                "{first}{others}: choose another person, block one side for them, or accept it with a reason and an end date"
            ),
        ));
    }
    if warnings.iter().any(|warning| warning.starts_with("accepted: ")) {
        let endless = new(&before.assignments, &after.assignments).any(|row| row.window.to().is_none())
            || new(&before.grants, &after.grants)
                .any(|row| row.effect == Effect::Allow && row.window.to().is_none());
        if endless {
            return Err(Problem::invalid(
                "to",
                "a conflict can be accepted only for a time: give the new rows an end",
            ));
        }
    }
    Ok(warnings)
}

/// A block without condition or end that stops one whole side of the conflict for the principal resolves it.
fn is_resolved(
    index: &Index,
    facts: &OrganizationFacts,
    principal: PrincipalId,
    held: &sod::HeldConflict,
    now: Timestamp,
) -> bool {
    let blocked = facts
        .blocks
        .iter()
        .filter(|block| block.subject == BlockSubject::Principal(principal))
        .filter(|block| block.condition.is_none() && block.reach == Reach::Organization)
        .filter(|block| block.window.is_live(now) && block.window.to().is_none())
        .fold(PermissionSet::default(), |all, block| all.union(&index.pattern(&block.pattern)));
    let stopped = |side: &[sod::Held]| {
        side.iter()
            .all(|held| index.permission(held.permission.as_str()).is_some_and(|code| blocked.contains(code)))
    };
    stopped(&held.left) || stopped(&held.right)
}
