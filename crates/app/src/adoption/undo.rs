//! A run taken back, some thousand rows a call until nothing is left: its organizations are closed first, then its accounts go with all they
//! have, then what it wrote into organizations that stay, and its own organizations, and what it changed is put back (`put_back.rs`). Each call
//! is one transaction, and whatever stops it, the next call goes on.
//!
//! What allows goes before what denies, and an account goes whole, so nobody has more in between than before or after.

use super::put_back;
use super::run::{RunView, view};
use super::{
    LEASE, Run, RunState, Step, StepState, event, hold, is_of_run, known, range_of, require_operator,
};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::entitlement::{Cause, Entry, Origin, actor_text, append_events};
use crate::identity::session;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::{Key, ModuleKey, OrganizationId, Problem, ProblemKind, SessionId, counted};
use charter_policy::Index;
use charter_store as store;
use charter_store::adoption_made::{self, Made};
use charter_store::adoption_undo as undo_rows;
use charter_store::removed_organization::Removed;
use charter_store::{
    adoption_account, adoption_hold, adoption_lookup, adoption_remembered, adoption_row, adoption_stopped,
    adoption_wipe,
};
use std::collections::{BTreeMap, BTreeSet};

/// Accounts of one call.
const ACCOUNTS: u32 = 1_000;
/// Organizations that are closed in one call.
const CLOSED: u32 = 2_000;
/// Organizations that are told by their keys.
const TOLD_MAX: usize = 10;
/// Organizations that are gone through in one call.
const ORGANIZATIONS: u32 = 50;

/// How far a run is taken back.
#[derive(Debug, Clone, Copy)]
pub struct UndoDraft {
    /// Who holds the lease.
    pub holder: u128,
    /// The step to which: what came after it is taken back.
    pub to: Step,
    /// Whether what people made since goes as well.
    pub discard: bool,
}

/// What one call took back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// Rows removed, by kind.
    pub removed: BTreeMap<&'static str, u64>,
    /// Organizations with a trail of their own, which stay, closed and empty.
    pub kept: Vec<Key>,
    /// Nothing is left to do.
    pub done: bool,
    /// Users whom people stopped meanwhile, or from whom they took something, that are remembered for the next plan.
    pub remembered: u64,
    /// Roles and modules that people removed or changed, that are remembered as well.
    pub remembered_rows: u64,
    /// What people made since that would go as well, by what it is: told before only.
    pub discarded: BTreeMap<&'static str, u64>,
    /// Organizations in shadow mode or cut over, in which nobody would be known any more: told before only.
    pub answering: Vec<Key>,
}

/// What a call leaves to be done in memory.
#[derive(Default)]
struct Aftermath {
    touched: Vec<OrganizationId>,
    gone: Vec<Removed>,
    ended: Vec<SessionId>,
    events: Vec<AuditEvent>,
}

/// Takes back some of a run.
pub async fn undo(
    app: &App,
    ctx: &RequestContext,
    number: u64,
    draft: UndoDraft,
) -> Result<(Undone, RunView), Problem> {
    require_operator(ctx)?;
    require_step(draft.to)?;
    let (platform, now, ctx) = (app.platform(), ctx.now, ctx.clone());
    let index = app.snapshots().index();
    let ((undone, view, aftermath), _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                hold(tx, draft.holder, now).await?;
                let mut run = known(tx, number).await?;
                let (mut undone, mut aftermath) = (Undone::default(), Aftermath::default());
                if run.state == RunState::Undone || draft.to == Step::Data {
                    undone.done = true;
                } else {
                    if run.state != RunState::Undoing {
                        require_free(tx, &run, draft.discard).await?;
                        let range = range_of(number);
                        undone.remembered =
                            adoption_remembered::remember(tx, &run.source, range, now).await?;
                        undone.remembered_rows =
                            adoption_remembered::remember_rows(tx, &run.source, range, now).await?;
                        store::adoption_run::set_state(tx, number, RunState::Undoing, run.error.as_deref(), None).await?;
                        run.state = RunState::Undoing;
                    }
                    undone.done = piece(tx, &ctx, &index, &run, platform, &mut undone, &mut aftermath).await?;
                }
                if undone.done && run.state != RunState::Undone {
                    finish(tx, &mut run, draft.to, &ctx).await?;
                }
                if undone.done {
                    store::lease::give_back(tx, LEASE, draft.holder).await?;
                }
                let told = serde_json::json!({
                    "to": draft.to.as_str(), "discard": draft.discard, "removed": undone.removed, "done": undone.done,
                    "remembered": undone.remembered, "remembered_rows": undone.remembered_rows,
                });
                let told = event(&ctx, platform, "adoption.undo", number, told);
                let view = view(tx, run, true).await?;
                let events = std::mem::take(&mut aftermath.events);
                transaction.commit(told, events, (undone, view, aftermath)).await
            }) as BoxFuture<'_, Result<Committed<(Undone, RunView, Aftermath)>, Problem>>
        })
        .await?;
    session::forget(app, &aftermath.ended);
    for organization in aftermath.touched.iter().chain(aftermath.gone.iter().map(|it| &it.organization)) {
        app.snapshots().forget(*organization);
    }
    if !aftermath.gone.is_empty() {
        app.organizations().forget(&aftermath.gone);
    }
    app.snapshots().forget(platform);
    Ok((undone, view))
}

pub(super) fn require_step(to: Step) -> Result<(), Problem> {
    if to == Step::Equivalence {
        return Err(Problem::invalid("to", "before, schema or data is expected"));
    }
    Ok(())
}

pub(super) fn stands(later: &Run) -> Problem {
    let (number, source, state) = (later.number, &later.source, later.state.as_str());
    Problem::new(
        ProblemKind::InUse,
        format!("run {number} of the source {source} came after it and is {state}: take that back first"),
    )
}

/// Refuses while another run stands on this one, and while people's own rows would go unasked after the equivalence held.
async fn require_free(tx: &mut Tx, run: &Run, discard: bool) -> Result<(), Problem> {
    if let Some(later) = store::adoption_run::later(tx, run.number).await? {
        return Err(stands(&later));
    }
    if discard {
        return Ok(());
    }
    made_since(tx, run).await?.refuse_unless(discard)
}

/// What people made since with what a run took over, and where it answers by now.
#[derive(Default)]
pub(super) struct MadeSince {
    made: Made,
    /// Organizations in shadow mode or cut over.
    pub answering: Vec<Key>,
}

impl MadeSince {
    /// Refuses when there is any, unless it is to go.
    pub fn refuse_unless(&self, discard: bool) -> Result<(), Problem> {
        if discard || (self.made.is_empty() && self.answering.is_empty()) {
            return Ok(());
        }
        let mut why = Vec::new();
        if !self.made.is_empty() {
            let counts: Vec<String> =
                self.made.iter().map(|(one, several, count)| counted(count, one, several)).collect();
            why.push(format!(
                "people made since: {}; they go as well when told to discard them, with --discard",
                counts.join(", ")
            ));
        }
        if !self.answering.is_empty() {
            let first: Vec<&str> = self.answering.iter().take(TOLD_MAX).map(Key::as_str).collect();
            let rest = match self.answering.len().saturating_sub(first.len()) {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            why.push(format!(
                "in shadow mode or cut over: {}{rest}; whoever asks here about what the run brought would be denied: have them ask the other \
                 system again, then `charter adopt shadow stop --force`, or take the run back all the same, with --discard",
                first.join(", ")
            ));
        }
        Err(Problem::new(ProblemKind::InUse, why.join("; ")))
    }

    /// How much people made, by what it is.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.made.iter().map(|(_, several, count)| (several, count)).collect()
    }
}

/// Counts what people made since. What was never proved can always be taken back, or its gains would stay in force.
pub(super) async fn made_since(conn: &mut Conn, run: &Run) -> Result<MadeSince, Problem> {
    let (range, mut made) = (range_of(run.number), Made::default());
    let Some(opened_at) = adoption_hold::opened_at(conn, run.number).await? else {
        return Ok(MadeSince::default());
    };
    let until = range_of(store::adoption_run::newest(conn).await?).to;
    for owner in owners(conn, run).await? {
        adoption_made::in_organizations(conn, &mut made, range, range_of(owner), until).await?;
        adoption_stopped::in_organizations(conn, &mut made, range, range_of(owner)).await?;
    }
    adoption_made::elsewhere(conn, &mut made, range, until).await?;
    adoption_stopped::elsewhere(conn, &mut made, range, opened_at).await?;
    for (one, several, count) in put_back::changed_since(conn, run).await? {
        made.add(one, several, count);
    }
    let answering = store::shadow::answering(conn, run.number).await?;
    Ok(MadeSince { made, answering })
}

async fn piece(
    tx: &mut Tx,
    ctx: &RequestContext,
    index: &Index,
    run: &Run,
    platform: OrganizationId,
    undone: &mut Undone,
    aftermath: &mut Aftermath,
) -> Result<bool, Problem> {
    let range = range_of(run.number);
    let now = ctx.now;
    // Nobody does anything any more where all is to go.
    for owner in owners(tx, run).await? {
        let open = undo_rows::open(tx, run.number, range_of(owner), CLOSED).await?;
        if !open.is_empty() {
            adoption_row::touch(tx, &open, now).await?;
            undone.removed.insert("organizations_closed", undo_rows::close(tx, &open, now).await?);
            aftermath.touched.extend(open);
            return Ok(false);
        }
    }
    if let Some(stretch) = adoption_account::next(tx, range.from, range.to, ACCOUNTS).await? {
        let places = adoption_account::places(tx, stretch).await?;
        let touched: Vec<_> = places.iter().copied().filter(|id| *id != platform).collect();
        adoption_row::touch(tx, &touched, now).await?;
        undone.removed.insert("rows", adoption_account::remove_members(tx, &places, stretch).await?);
        let (accounts, ended) = adoption_account::remove_accounts(tx, stretch, now).await?;
        undone.removed.insert("users", accounts);
        aftermath.ended = ended;
        aftermath.touched.extend(touched);
        return Ok(false);
    }
    let work = undo_rows::work(tx, run.number, ORGANIZATIONS).await?;
    if work.is_empty() {
        // Its own rows are gone: what it changed is put back as it was.
        let put = put_back::put_back(tx, ctx, index, run, platform).await?;
        if put.rows > 0 {
            undone.removed.insert("put_back", put.rows);
            aftermath.touched.extend(put.touched);
            aftermath.ended = put.ended;
            return Ok(false);
        }
        store::adoption_removal::forget(tx, run.number).await?;
        undo_rows::forget_links(tx, range).await?;
        return Ok(true);
    }
    let owners = owners(tx, run).await?;
    let (own, others): (Vec<_>, Vec<_>) =
        work.iter().copied().partition(|id| owners.iter().any(|owner| is_of_run(*owner, id.0)));
    let touched: Vec<_> = work.iter().copied().filter(|id| *id != platform).collect();
    adoption_row::touch(tx, &touched, now).await?;
    if !others.is_empty() {
        undone.removed.insert("rows", undo_rows::remove_written(tx, range, &others).await?);
        let told = undo_rows::modules(tx, run.number, &others).await?;
        undone.removed.insert("entitlements", undo_rows::remove_entitlements(tx, run.number, &others).await?);
        tell_entitlements(tx, ctx, run, &told).await?;
    }
    undo_rows::forget(tx, run.number, &work).await?;
    if !own.is_empty() {
        let kept: BTreeSet<_> = adoption_wipe::with_trail(tx, &own).await?.into_iter().collect();
        let rows = adoption_wipe::wipe(tx, &own).await?;
        *undone.removed.entry("rows").or_default() += rows;
        let gone: Vec<_> = own.iter().copied().filter(|id| !kept.contains(id)).collect();
        if !gone.is_empty() {
            // Other nodes read here what they must forget: the revisions go as well.
            aftermath.gone = store::removed_organization::record(tx, &gone, now).await?;
            undone.removed.insert("organizations", adoption_wipe::remove(tx, &gone).await?);
        }
        let keys = adoption_lookup::organizations(tx, &Vec::from_iter(kept.iter().copied())).await?;
        undone.kept.extend(keys.into_iter().map(|it| it.key));
        aftermath.events.extend(kept.into_iter().map(|id| {
            let mut event = audit::event(ctx, id, "adoption.undo", "organization", id.to_string());
            event.reason = format!("run {} was taken back; its trail stays", run.number);
            event
        }));
    }
    aftermath.touched.extend(touched);
    Ok(false)
}

/// The run, and those before it that were taken back: organizations of theirs that had to stay are this one's now, unless a run in between
/// stands, whose they are.
pub(super) async fn owners(conn: &mut Conn, run: &Run) -> Result<Vec<u64>, Problem> {
    let mut owners = Vec::new();
    for number in undo_rows::undone_runs(conn).await? {
        let mut after = number;
        let next = loop {
            match store::adoption_run::later(conn, after).await? {
                Some(other) if other.source != run.source => after = other.number,
                next => break next.map(|next| next.number),
            }
        };
        if next == Some(run.number) {
            owners.push(number);
        }
    }
    owners.push(run.number);
    Ok(owners)
}

pub(super) async fn tell_entitlements(
    tx: &mut Tx,
    ctx: &RequestContext,
    run: &Run,
    told: &[(OrganizationId, ModuleKey)],
) -> Result<(), Problem> {
    let mut by_organization: BTreeMap<OrganizationId, Vec<&ModuleKey>> = BTreeMap::new();
    for (organization, module) in told {
        by_organization.entry(*organization).or_default().push(module);
    }
    let origin = Origin {
        actor: actor_text(&ctx.actor()),
        cause: Cause::Migration,
        at: ctx.now,
        request: Some(ctx.request),
    };
    for (organization, modules) in by_organization {
        let reason = format!("run {} was taken back", run.number);
        let mut entry =
            Entry::new("entitlement.adopt-undo", "organization", organization.to_string(), &reason);
        entry.before = Some(serde_json::json!({ "modules": modules }));
        append_events(tx, organization, &origin, &[entry]).await?;
        store::entitlement::bump_version(tx, organization).await?;
    }
    Ok(())
}

/// The steps after the one named are undone, and so is the run when nothing of it is left.
async fn finish(tx: &mut Tx, run: &mut Run, to: Step, ctx: &RequestContext) -> Result<(), Problem> {
    for mut row in store::adoption_run::steps(tx, run.number).await? {
        if row.step > to || to == Step::Before {
            row.state = StepState::Undone;
            row.ended_at = Some(ctx.now);
            store::adoption_run::put_step(tx, run.number, &row).await?;
        }
    }
    if to != Step::Data {
        adoption_hold::close(tx, run.number).await?;
    }
    run.state = if to == Step::Before { RunState::Undone } else { RunState::Failed };
    run.error = None;
    run.ended_at = Some(ctx.now);
    store::adoption_run::set_state(tx, run.number, run.state, run.error.as_deref(), run.ended_at).await?;
    Ok(())
}
