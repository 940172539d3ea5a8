//! The steps of a run, in order. What they come to decides how far the run is.

use super::run::{RunView, view};
use super::{
    LEASE, RunState, Step, StepRow, StepState, event, hold, is_of_run, known, range_of, require_operator,
};
use crate::App;
use crate::caller::RequestContext;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use serde_json::Value;

/// Most characters of what went wrong.
const ERROR_MAX: usize = 4_000;

/// Most accounts that are opened at once: one statement has its time, and others wait for it.
const OPENED_MAX: u32 = 50_000;
/// In the detail of the equivalence: the last account that is open.
const OPENED_TO: &str = "opened_to";

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
                    let (mut state, mut detail) = (draft.state, draft.detail);
                    if (draft.step, draft.state) == (Step::Equivalence, StepState::Done)
                        && let Some(last) = open(tx, number, own, now).await?
                    {
                        (state, detail) = (StepState::Running, opened_to(&detail, last));
                    }
                    let ended_at = (state != StepState::Running).then_some(now);
                    let row = StepRow {
                        step: draft.step,
                        state,
                        row_count: draft.row_count,
                        checksum: draft.checksum,
                        detail,
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

/// Opens the next accounts of a run that wait; gives how far it came when more are left.
async fn open(
    tx: &mut Tx,
    number: u64,
    own: Option<&StepRow>,
    now: Timestamp,
) -> Result<Option<PrincipalId>, Problem> {
    let range = range_of(number);
    let before = own.filter(|row| row.state == StepState::Running).and_then(|row| {
        let detail: Value = serde_json::from_str(&row.detail).ok()?;
        detail.get(OPENED_TO)?.as_str()?.parse::<PrincipalId>().ok()
    });
    let before = before.filter(|last| is_of_run(number, last.0));
    Ok(store::adoption_hold::open(tx, range, before, OPENED_MAX, now).await?)
}

/// What is told of a step whose accounts are open up to one.
fn opened_to(detail: &str, last: PrincipalId) -> String {
    let mut detail: Value = serde_json::from_str(detail).unwrap_or_default();
    if let Some(detail) = detail.as_object_mut() {
        detail.insert(OPENED_TO.to_owned(), last.to_string().into());
    }
    detail.to_string()
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
