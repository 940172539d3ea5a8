//! Grants: rights, or denials, outside roles, for one user or team; with reach, window, condition, reason, and who gave them.

use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::edit::{Bench, EditOptions, Edited, edit};
use crate::guard::Permit;
use crate::subject::{self, SubjectRef};
use crate::text;
use charter_kernel::facts::{GrantFact, Reach};
use charter_kernel::{ConditionKey, Effect, GrantId, Pattern, Problem, Window};

/// A grant to be given.
#[derive(Debug, Clone)]
pub struct GrantDraft {
    /// Who gets it.
    pub subject: SubjectRef,
    /// What it is about.
    pub pattern: Pattern,
    /// How far it reaches.
    pub reach: Reach,
    /// Allow or deny.
    pub effect: Effect,
    /// When.
    pub window: Window,
    /// Under which condition.
    pub condition: Option<ConditionKey>,
    /// Why.
    pub reason: String,
}

/// Gives a grant.
pub async fn give(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    mut options: EditOptions,
    draft: GrantDraft,
) -> Result<Edited<GrantFact>, Problem> {
    let reason = text::demanded_reason("reason", &draft.reason)?;
    if options.reason.is_empty() {
        options.reason.clone_from(&reason);
    }
    let id = GrantId(app.fresh_id());
    let given_by = ctx.principal().map(|principal| principal.id);
    let ends = draft.effect == Effect::Deny && draft.window.to().is_some();
    let mut edited = edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        subject::not_over(draft.window, bench.now)?;
        let grant = GrantFact {
            id,
            subject: subject::resolve(bench.facts, &draft.subject)?,
            pattern: draft.pattern,
            reach: draft.reach,
            effect: draft.effect,
            window: draft.window,
            condition: draft.condition,
            reason,
            given_by,
            given_at: bench.now,
        };
        bench.facts.grants.push(grant.clone());
        Ok(grant)
    })
    .await?;
    if ends {
        edited.warnings.push("this denial has an end: whatever it denies is open again after it".to_owned());
    }
    Ok(edited)
}

/// Takes a grant back.
pub async fn revoke(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    id: GrantId,
) -> Result<Edited<GrantFact>, Problem> {
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let at = bench.facts.grants.iter().position(|row| row.id == id);
        let at = at.ok_or_else(|| Problem::not_found(format!("no grant {id} in this organization")))?;
        Ok(bench.facts.grants.remove(at))
    })
    .await
}

/// One grant.
pub async fn get(app: &App, permit: &Permit, id: GrantId) -> Result<GrantFact, Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    facts
        .grants
        .into_iter()
        .find(|row| row.id == id)
        .ok_or_else(|| Problem::not_found(format!("no grant {id} in this organization")))
}

/// Grants by id, one page; of one subject when asked.
pub async fn list(
    app: &App,
    permit: &Permit,
    of: Option<SubjectRef>,
    page: &Page,
) -> Result<Listing<GrantFact>, Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    let of = of.map(|of| subject::resolve(&facts, &of)).transpose()?;
    let mut rows = facts.grants;
    rows.retain(|row| of.is_none_or(|of| row.subject == of));
    rows.sort_by_key(|row| row.id);
    Ok(page.cut(rows, |row| row.id.to_string()))
}
