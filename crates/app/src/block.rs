//! Blocks: denials that nothing overrides, for a principal, a team, the holders of a role, or everybody.

use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::edit::{Bench, EditOptions, Edited, edit};
use crate::guard::Permit;
use crate::subject::{self, SubjectRef};
use crate::text;
use charter_kernel::facts::{BlockFact, BlockSubject, Reach, Subject};
use charter_kernel::{BlockId, ConditionKey, Key, Pattern, Problem, RoleKey, Window};

/// Whom a block stops, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockSubjectRef {
    /// A member or team.
    Subject(SubjectRef),
    /// The holders of a role.
    Role(RoleKey),
    /// Everybody.
    Everyone,
}

/// A block to be set.
#[derive(Debug, Clone)]
pub struct BlockDraft {
    /// Whom it stops.
    pub subject: BlockSubjectRef,
    /// What it stops.
    pub pattern: Pattern,
    /// How far it reaches.
    pub reach: Reach,
    /// When.
    pub window: Window,
    /// Under which condition.
    pub condition: Option<ConditionKey>,
    /// Why.
    pub reason: String,
    /// The separation-of-duty conflict it resolves.
    pub conflict: Option<Key>,
}

/// Sets a block.
pub async fn set(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    mut options: EditOptions,
    draft: BlockDraft,
) -> Result<Edited<BlockFact>, Problem> {
    let reason = text::demanded_reason("reason", &draft.reason)?;
    if options.reason.is_empty() {
        options.reason.clone_from(&reason);
    }
    let id = BlockId(app.fresh_id());
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        subject::not_over(draft.window, bench.now)?;
        let subject = match draft.subject {
            BlockSubjectRef::Subject(by_name) => match subject::resolve(bench.facts, &by_name)? {
                Subject::Principal(id) => BlockSubject::Principal(id),
                Subject::Team(id) => BlockSubject::Team(id),
            },
            BlockSubjectRef::Role(key) => BlockSubject::Role(key),
            BlockSubjectRef::Everyone => BlockSubject::Everyone,
        };
        let block = BlockFact {
            id,
            subject,
            pattern: draft.pattern,
            reach: draft.reach,
            window: draft.window,
            condition: draft.condition,
            reason,
            conflict: draft.conflict,
        };
        bench.facts.blocks.push(block.clone());
        Ok(block)
    })
    .await
}

/// Lifts a block.
pub async fn lift(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    id: BlockId,
) -> Result<Edited<BlockFact>, Problem> {
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let at = bench.facts.blocks.iter().position(|row| row.id == id);
        let at = at.ok_or_else(|| Problem::not_found(format!("no block {id} in this organization")))?;
        Ok(bench.facts.blocks.remove(at))
    })
    .await
}

/// One block.
pub async fn get(app: &App, permit: &Permit, id: BlockId) -> Result<BlockFact, Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    facts
        .blocks
        .into_iter()
        .find(|row| row.id == id)
        .ok_or_else(|| Problem::not_found(format!("no block {id} in this organization")))
}

/// Blocks by id, one page.
pub async fn list(app: &App, permit: &Permit, page: &Page) -> Result<Listing<BlockFact>, Problem> {
    let mut rows = crate::facts(app, permit.organization()).await?.blocks;
    rows.sort_by_key(|row| row.id);
    Ok(page.cut(rows, |row| row.id.to_string()))
}
