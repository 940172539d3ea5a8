//! The steps of a run, in order. What they come to decides how far the run is.

use super::run::{RunView, view};
use super::{LEASE, RunState, Step, StepRow, StepState, event, hold, known, range_of, require_operator};
use crate::App;
use crate::caller::RequestContext;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{OrganizationId, Problem, ProblemKind};
use charter_store as store;

/// Most characters of what went wrong.
const ERROR_MAX: usize = 4_000;

/// Most accounts that are opened at once: one statement has its time, and others wait for it.
const OPENED_MAX: u32 = 50_000;

/// How a step stands.
#[derive(Debug, Clone)]
pub struct StepDraft {
    /// Who holds the lease.
    pub holder: u128,
    /// Which step.
    pub step: Step,
    /// How it stands; `undone` is for rollback to say.
    pub state: StepState,
    /// How many rows it was about.
    pub row_count: u64,
    /// What they come to.
    pub checksum: Option<String>,
    /// More about it, a JSON object.
    pub detail: String,
    /// What went wrong.
    pub error: Option<String>,
}

/// Says how a step stands. Said again it changes nothing. With the equivalence the accounts of the run are opened, some
/// thousand a call: the step is running as long as more wait, and is said again.
pub async fn step(
    app: &App,
    ctx: &RequestContext,
    number: u64,
    draft: StepDraft,
) -> Result<RunView, Problem> {
    require_operator(ctx)?;
    if draft.state == StepState::Undone {
        return Err(Problem::invalid(
            "state",
            "running, done or failed is expected: steps are taken back by a rollback",
        ));
    }
    if draft.error.as_ref().is_some_and(|error| error.chars().count() > ERROR_MAX || error.contains('\0')) {
        return Err(Problem::invalid("error", format!("at most {ERROR_MAX} characters are allowed")));
    }
    if (draft.state == StepState::Failed) != draft.error.is_some() {
        return Err(Problem::invalid("error", "a step that failed says why, and no other does"));
    }
    let (platform, now, ctx) = (app.platform(), ctx.now, ctx.clone());
    let ((told, opened), _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                hold(tx, draft.holder, now).await?;
                let mut run = known(tx, number).await?;
                let steps = store::adoption_run::steps(tx, number).await?;
                let mut opened = Vec::new();
                let own = steps.iter().find(|row| row.step == draft.step);
                let is_said = own.is_some_and(|row| row.state == draft.state) && run.state == RunState::Applied;
                if !is_said {
                    require_turn(&run, &steps, draft.step)?;
                    let mut state = draft.state;
                    if (draft.step, draft.state) == (Step::Equivalence, StepState::Done)
                        && store::adoption_hold::open(tx, range_of(number), OPENED_MAX, now).await?
                    {
                        state = StepState::Running;
                    }
                    let ended_at = (state != StepState::Running).then_some(now);
                    let row = StepRow {
                        step: draft.step,
                        state,
                        row_count: draft.row_count,
                        checksum: draft.checksum,
                        detail: draft.detail,
                        error: draft.error,
                        started_at: now,
                        ended_at,
                    };
                    store::adoption_run::put_step(tx, number, &row).await?;
                    run.error.clone_from(&row.error);
                    match (row.step, row.state) {
                        (_, StepState::Failed) => (run.state, run.ended_at) = (RunState::Failed, Some(now)),
                        (Step::Equivalence, StepState::Done) => {
                            (run.state, run.ended_at) = (RunState::Applied, Some(now));
                            opened = store::adoption_hold::opened(tx, number, platform, now).await?;
                            store::adoption_remembered::forget(tx, &run.source).await?;
                        }
                        _ => {}
                    }
                    if run.state != RunState::Applying {
                        store::adoption_run::set_state(tx, number, run.state, run.error.as_deref(), run.ended_at).await?;
                    }
                }
                if run.state == RunState::Applied {
                    store::lease::give_back(tx, LEASE, draft.holder).await?;
                }
                let view = view(tx, run, true).await?;
                let row = view.steps.iter().find(|row| row.step == draft.step);
                let after = serde_json::json!({
                    "step": draft.step.as_str(), "state": draft.state.as_str(), "run": view.run.state.as_str(),
                    "row_count": row.map(|row| row.row_count), "checksum": row.and_then(|row| row.checksum.clone()),
                    "error": row.and_then(|row| row.error.clone()),
                });
                let event = event(&ctx, platform, "adoption.step", number, after);
                transaction.commit(event, Vec::new(), (view, opened)).await
            }) as BoxFuture<'_, Result<Committed<(RunView, Vec<OrganizationId>)>, Problem>>
        })
        .await?;
    for organization in opened {
        app.snapshots().forget(organization);
    }
    app.snapshots().forget(platform);
    Ok(told)
}

/// Refuses a step of a run that is not applied, and one before whose turn is.
fn require_turn(run: &super::Run, steps: &[StepRow], step: Step) -> Result<(), Problem> {
    if run.state != RunState::Applying {
        let (number, state) = (run.number, run.state.as_str());
        return Err(Problem::new(
            ProblemKind::Changed,
            format!("run {number} is {state}: begin it again with its plan before its steps go on"),
        ));
    }
    let is_done = |wanted: Step| steps.iter().any(|row| row.step == wanted && row.state == StepState::Done);
    let missing =
        Step::ALL.iter().copied().filter(|earlier| *earlier < step).find(|earlier| !is_done(*earlier));
    match missing {
        None => Ok(()),
        Some(earlier) => Err(Problem::new(
            ProblemKind::InUse,
            format!("the step {} comes first, and is not done", earlier.as_str()),
        )),
    }
}
