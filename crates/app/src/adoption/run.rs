//! Runs: begun, gone on with, listed.

use super::{
    LEASE, Run, RunEngine, RunState, Step, StepRow, StepState, event, hold, known, require_operator,
};
use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Conn, Database, Scope};
use charter_kernel::{Key, Problem, ProblemKind, Timestamp};
use charter_store as store;

/// Runs that are looked at together.
const LOOKED: u32 = 200;
/// Most characters of the words about a run.
const TEXT_MAX: usize = 200;

/// A run to be begun, or gone on with.
#[derive(Debug, Clone)]
pub struct RunDraft {
    /// The other system, by the name the operator gave it.
    pub source: Key,
    /// What it is built with.
    pub system: String,
    /// Where it keeps its rows.
    pub engine: RunEngine,
    /// Stands for the plan.
    pub plan_hash: String,
    /// Stands for what the other system's rows came to.
    pub facts_fingerprint: String,
    /// The plan, a JSON object.
    pub plan: String,
    /// Who holds the lease.
    pub holder: u128,
}

/// A run with its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunView {
    /// The run.
    pub run: Run,
    /// The steps that have begun, in order.
    pub steps: Vec<StepRow>,
    /// Whether it was begun before.
    pub resumed: bool,
    /// Who works at runs, and until when nobody else may, where the run is under way and somebody does or was broken off.
    pub at_work: Option<(u128, Timestamp)>,
    /// When what it brought was opened first; nothing where its proof never held.
    pub opened_at: Option<Timestamp>,
}

impl RunView {
    /// The step to which the run was taken back on purpose, where no step of it failed.
    pub fn back_to(&self) -> Option<Step> {
        let is = |state: StepState| self.steps.iter().any(|row| row.state == state);
        if self.run.state != RunState::Failed || is(StepState::Failed) || !is(StepState::Undone) {
            return None;
        }
        self.steps.iter().filter(|row| row.state == StepState::Done).map(|row| row.step).max()
    }
}

impl RunDraft {
    fn check(&self) -> Result<(), Problem> {
        let texts = [
            ("system", &self.system),
            ("plan_hash", &self.plan_hash),
            ("facts_fingerprint", &self.facts_fingerprint),
        ];
        for (field, text) in texts {
            let is_plain =
                !text.is_empty() && text.chars().count() <= TEXT_MAX && !text.chars().any(char::is_control);
            if !is_plain {
                let detail = format!("1 to {TEXT_MAX} characters without control characters are expected");
                return Err(Problem::invalid(field, detail));
            }
        }
        Ok(())
    }
}

pub(super) async fn view(conn: &mut Conn, run: Run, resumed: bool) -> Result<RunView, Problem> {
    let steps = store::adoption_run::steps(conn, run.number).await?;
    let at_work = match run.state {
        RunState::Applying | RunState::Undoing => store::lease::held(conn, LEASE).await?,
        _ => None,
    };
    let opened_at = store::adoption_hold::opened_at(conn, run.number).await?;
    Ok(RunView { run, steps, resumed, at_work, opened_at })
}

/// What is to be done about a plan.
enum Begin {
    /// Its run stands as it is.
    Stands(Run),
    /// Its run goes on.
    GoesOn(Run),
    /// It gets a new run.
    New,
}

async fn judge(conn: &mut Conn, draft: &RunDraft) -> Result<Begin, Problem> {
    let found = store::adoption_run::of_plan(conn, &draft.source, &draft.plan_hash).await?;
    if let Some(run) = &found
        && run.state == RunState::Applied
    {
        return Ok(Begin::Stands(run.clone()));
    }
    let own = found.as_ref().map(|run| run.number);
    if let Some(other) = store::adoption_run::at_work(conn).await?
        && (Some(other.number) != own || other.state == RunState::Undoing)
    {
        let (number, state, source) = (other.number, other.state.as_str(), &other.source);
        return Err(Problem::new(
            ProblemKind::InProgress,
            format!(
                "run {number} of the source {source} is {state}: finish it, or take it back, before another begins"
            ),
        ));
    }
    Ok(match found {
        Some(run) if matches!(run.state, RunState::Applying | RunState::Failed) => Begin::GoesOn(run),
        _ => Begin::New,
    })
}

/// Begins a run of a plan, or goes on with the one there is. Gives whether it is new.
pub async fn begin(app: &App, ctx: &RequestContext, draft: RunDraft) -> Result<(RunView, bool), Problem> {
    require_operator(ctx)?;
    draft.check()?;
    let asked = draft.clone();
    let standing = reading_problem(app, move |conn| {
        Box::pin(async move {
            match judge(conn, &asked).await? {
                Begin::Stands(run) => Ok(Some(view(conn, run, true).await?)),
                _ => Ok(None),
            }
        })
    })
    .await?;
    if let Some(standing) = standing {
        return Ok((standing, false));
    }
    let (platform, now, ctx) = (app.platform(), ctx.now, ctx.clone());
    let (made, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                hold(tx, draft.holder, now).await?;
                let (run, is_new) = match judge(tx, &draft).await? {
                    Begin::Stands(run) => (run, false),
                    Begin::GoesOn(run) => {
                        store::adoption_run::set_state(tx, run.number, RunState::Applying, None, None)
                            .await?;
                        (Run { state: RunState::Applying, error: None, ended_at: None, ..run }, false)
                    }
                    Begin::New => {
                        let run = Run {
                            number: store::adoption_run::newest(tx).await? + 1,
                            source: draft.source,
                            system: draft.system,
                            engine: draft.engine,
                            state: RunState::Applying,
                            plan_hash: draft.plan_hash,
                            facts_fingerprint: draft.facts_fingerprint,
                            error: None,
                            started_at: now,
                            ended_at: None,
                        };
                        store::adoption_run::insert(tx, &run, &draft.plan).await?;
                        (run, true)
                    }
                };
                let action = if is_new { "adoption.begin" } else { "adoption.resume" };
                let told = serde_json::json!({
                    "source": run.source, "system": run.system, "engine": run.engine.as_str(),
                    "plan_hash": run.plan_hash, "facts_fingerprint": run.facts_fingerprint,
                });
                let event = event(&ctx, platform, action, run.number, told);
                let view = view(tx, run, !is_new).await?;
                transaction.commit(event, Vec::new(), (view, is_new)).await
            }) as BoxFuture<'_, Result<Committed<(RunView, bool)>, Problem>>
        })
        .await?;
    Ok(made)
}

/// Reads with statements that may find something wrong themselves.
pub(super) async fn reading_problem<T: Send + 'static>(
    app: &App,
    body: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    app.database().read(Scope::Installation, body).await
}

/// One run with its steps.
pub async fn get(app: &App, ctx: &RequestContext, number: u64) -> Result<RunView, Problem> {
    require_operator(ctx)?;
    reading_problem(app, move |conn| {
        Box::pin(async move {
            let run = known(conn, number).await?;
            view(conn, run, false).await
        })
    })
    .await
}

/// The runs of a source, newest first, as they stand in a database that another process may be writing to. Whoever may read all of that asks
/// nobody.
pub async fn look(database: &Database, source: &Key) -> Result<Vec<RunView>, Problem> {
    let source = source.clone();
    database.read(Scope::Installation, move |conn: &mut Conn| Box::pin(of_source(conn, source))).await
}

async fn of_source(conn: &mut Conn, source: Key) -> Result<Vec<RunView>, Problem> {
    let (mut below, mut views) = (u64::try_from(i64::MAX).unwrap_or(0), Vec::new());
    loop {
        let found = store::adoption_run::page(conn, below, LOOKED).await?;
        let more = found.rows.last().filter(|_| found.more).map(|run| run.number);
        for run in found.rows.into_iter().filter(|run| run.source == source) {
            views.push(view(conn, run, false).await?);
        }
        match more {
            Some(number) => below = number,
            None => return Ok(views),
        }
    }
}

/// The plan of a run, a JSON text.
pub async fn plan(app: &App, ctx: &RequestContext, number: u64) -> Result<String, Problem> {
    require_operator(ctx)?;
    let found = reading_all!(app.database(), |conn| store::adoption_run::plan(conn, number))?;
    found.ok_or_else(|| Problem::not_found(format!("no run {number}")))
}

/// Runs, newest first, one page.
pub async fn list(app: &App, ctx: &RequestContext, page: &Page) -> Result<Listing<RunView>, Problem> {
    require_operator(ctx)?;
    let below = match &page.after {
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
        None => u64::try_from(i64::MAX).unwrap_or(0),
    };
    let limit = page.limit;
    reading_problem(app, move |conn| {
        Box::pin(async move {
            let found = store::adoption_run::page(conn, below, limit).await?;
            let next = found.rows.last().filter(|_| found.more).map(|run| run.number.to_string());
            let mut items = Vec::with_capacity(found.rows.len());
            for run in found.rows {
                items.push(view(conn, run, false).await?);
            }
            Ok(Listing { items, next })
        })
    })
    .await
}
