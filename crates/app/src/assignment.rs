//! Assignments: a role given to a user, service account or team, for a time, under a condition.

use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::edit::{Bench, EditOptions, Edited, edit};
use crate::guard::Permit;
use crate::subject::{self, SubjectRef};
use charter_kernel::facts::AssignmentFact;
use charter_kernel::{AssignmentId, ConditionKey, Problem, ProblemKind, RoleKey, Window};

/// An assignment to be made.
#[derive(Debug, Clone)]
pub struct AssignmentDraft {
    /// The role.
    pub role: RoleKey,
    /// Who gets it.
    pub subject: SubjectRef,
    /// When.
    pub window: Window,
    /// Under which condition.
    pub condition: Option<ConditionKey>,
}

/// Assigns a role.
pub async fn assign(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    draft: AssignmentDraft,
) -> Result<Edited<AssignmentFact>, Problem> {
    let id = AssignmentId(app.fresh_id());
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        subject::not_over(draft.window, bench.now)?;
        let subject = subject::resolve(bench.facts, &draft.subject)?;
        let row = AssignmentFact {
            id,
            role: draft.role,
            subject,
            window: draft.window,
            condition: draft.condition,
        };
        let same = |other: &&AssignmentFact| {
            other.role == row.role
                && other.subject == row.subject
                && other.window == row.window
                && other.condition == row.condition
        };
        if let Some(other) = bench.facts.assignments.iter().find(same) {
            return Err(Problem::new(
                ProblemKind::Taken,
                format!("assignment {} says the same already", other.id),
            ));
        }
        bench.facts.assignments.push(row.clone());
        Ok(row)
    })
    .await
}

/// Takes a role back.
pub async fn unassign(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    id: AssignmentId,
) -> Result<Edited<AssignmentFact>, Problem> {
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let at = bench.facts.assignments.iter().position(|row| row.id == id);
        let at = at.ok_or_else(|| Problem::not_found(format!("no assignment {id} in this organization")))?;
        Ok(bench.facts.assignments.remove(at))
    })
    .await
}

/// One assignment.
pub async fn get(app: &App, permit: &Permit, id: AssignmentId) -> Result<AssignmentFact, Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    facts
        .assignments
        .into_iter()
        .find(|row| row.id == id)
        .ok_or_else(|| Problem::not_found(format!("no assignment {id} in this organization")))
}

/// Assignments by id, one page; of one subject or one role when asked.
pub async fn list(
    app: &App,
    permit: &Permit,
    of: Option<SubjectRef>,
    role: Option<String>,
    page: &Page,
) -> Result<Listing<AssignmentFact>, Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    let of = of.map(|of| subject::resolve(&facts, &of)).transpose()?;
    let mut rows = facts.assignments;
    rows.retain(|row| {
        of.is_none_or(|of| row.subject == of) && role.as_ref().is_none_or(|role| row.role.as_str() == role)
    });
    rows.sort_by_key(|row| row.id);
    Ok(page.cut(rows, |row| row.id.to_string()))
}
