//! The slow, obvious way: the design's order walked step by step over the plain rows, saying what it finds. `explain` shows
//! it to people; tests hold the engine against it. It shares with the engine only the catalogue's names and the evaluation
//! of a single condition.

mod above;
mod blocks;
mod entitlement;
mod grants;
mod order;
mod remedies;
mod roles;
mod sentence;
mod walk;

use crate::check::{Assume, Check, CheckResource, Context};
use crate::index::Index;
use crate::set::PermissionIndex;
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{Decision, Effect, Key, Layer, PrincipalId, RoleKey, Timestamp};
use sentence::sentence;
use walk::Walk;

/// One step of the way to a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStep {
    /// Which step of the order: organization, principal, membership, resource, ceiling, entitlement, block, grant, role.
    pub step: &'static str,
    /// The row, as its kind and id or key, where there is one.
    pub row: Option<String>,
    /// What it says.
    pub words: String,
}

/// What would allow what was denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The layer to change.
    pub layer: Layer,
    /// What to do.
    pub words: String,
    /// Roles that would do, if roles would.
    pub roles: Vec<RoleKey>,
    /// Plans that would do, if plans would.
    pub plans: Vec<Key>,
    /// When it becomes allowed by itself, if it does.
    pub at: Option<Timestamp>,
}

/// A decision with the way to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// The rows on the way, in the order of the steps; for administrators.
    pub path: Vec<PathStep>,
    /// What would allow it; for administrators.
    pub remedies: Vec<Remedy>,
    /// One plain sentence for the person who asked.
    pub sentence: String,
}

/// What a principal can do, whatever the request's circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Never.
    No,
    /// When some condition holds.
    Conditional,
    /// Always.
    Yes,
}

/// Whether two answers are the same: effect, reason, deciding row, revision, grace. How long an answer may be kept may differ.
pub fn agree(one: &Decision, other: &Decision) -> bool {
    (one.reason, one.decided_by, one.revision, one.in_grace)
        == (other.reason, other.decided_by, other.revision, other.in_grace)
}

/// Decides and explains.
pub fn decide(index: &Index, facts: &OrganizationFacts, check: &Check<'_>) -> Explanation {
    let mut walk = Walk::new(index, facts, check, Assume::Nothing);
    let (reason, decided_by, in_grace) = walk.decide();
    let decision = Decision {
        reason,
        decided_by,
        revision: facts.organization.revision,
        valid_until: walk.until,
        in_grace,
    };
    let remedies = if decision.is_allow() { Vec::new() } else { walk.remedies(reason) };
    Explanation { decision, remedies, sentence: sentence(reason, in_grace).to_owned(), path: walk.path }
}

/// What a principal can do, with every condition taken at its best and at its worst.
pub fn access(
    index: &Index,
    facts: &OrganizationFacts,
    principal: PrincipalId,
    permission: PermissionIndex,
    resource: Option<CheckResource<'_>>,
    now: Timestamp,
) -> Access {
    let check = Check {
        subject: principal,
        permission,
        minimum_level: None,
        resource,
        now,
        context: &Context::EMPTY,
        ceiling: None,
    };
    let allows = |assume| Walk::new(index, facts, &check, assume).decide().0.effect() == Effect::Allow;
    match (allows(Assume::Worst), allows(Assume::Best)) {
        (true, _) => Access::Yes,
        (false, true) => Access::Conditional,
        (false, false) => Access::No,
    }
}
