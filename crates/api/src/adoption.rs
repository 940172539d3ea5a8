//! Runs of adoption: begun, gone on with, step by step; for the operator's commands.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::shown;
use charter_app::App;
use charter_app::adoption::{
    self, RunDraft, RunEngine, RunView as Found, Step, StepDraft, StepRow, StepState,
};
use charter_kernel::{Key, PrincipalId, Problem, ProblemKind, RequestId, Timestamp};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Largest plan.
const PLAN_MAX: usize = 8 * 1024 * 1024;

pub(crate) const OPERATOR: Guard = Guard::SignedIn("only the operator at the machine gets past the use case");
pub(crate) const TAG: &str = "Adoption";

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post("/api/v1/adoption/runs", OPERATOR, begin)
            .named("adoption.runs.begin", TAG, "Begins a run that carries out a plan, or goes on with the one there is, as the operator.")
            .described(
                "One run is at work at a time. Whoever begins it names themselves as the holder, and keeps the place by each further call; 60 s \
                 after the last one another may go on. A plan that was applied is not applied again; one that was taken back gets a new run.",
            )
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::Forbidden, ProblemKind::InProgress])
            .example(
                r#"{"source":"legacy","system":"django","engine":"postgres","plan_hash":"9f86d081884c7d65","facts_fingerprint":"60303ae22b998861","plan":{"users":3},"holder":"0193e7a0-0000-7000-8000-000000000001"}"#,
            )
            .body_limit(PLAN_MAX)
            .keeps_no_answers(),
        Route::list("/api/v1/adoption/runs", OPERATOR, list)
            .named("adoption.runs.list", TAG, "Lists the runs, newest first, as the operator.")
            .described("What was taken over from which system, and how far each run got.")
            .problems(&[ProblemKind::Forbidden]),
        Route::get("/api/v1/adoption/runs/{run}", OPERATOR, show)
            .named("adoption.runs.show", TAG, "Shows a run with its steps and its plan, as the operator.")
            .described("The plan is the one the run was begun with.")
            .problems(&[ProblemKind::Forbidden, ProblemKind::NotFound]),
        Route::post("/api/v1/adoption/runs/{run}/steps", OPERATOR, step)
            .named("adoption.runs.step", TAG, "Says how a step of a run stands, as the operator.")
            .described(
                "The steps are before, schema, data and equivalence, in this order. The run is applied when the last is done, and failed when \
                 one fails. With the equivalence the accounts of the run are opened, 50,000 a call: as long as it is answered as running, say it again.",
            )
            .problems(&[
                ProblemKind::Forbidden,
                ProblemKind::NotFound,
                ProblemKind::InProgress,
                ProblemKind::InUse,
                ProblemKind::Changed,
            ])
            .example(
                r#"{"holder":"0193e7a0-0000-7000-8000-000000000001","step":"before","state":"done","row_count":0,"detail":{"backup":"an hour old"}}"#,
            )
            .keeps_no_answers(),
    ]
}

/// A run to be begun, or gone on with.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewAdoptionRun")]
#[serde(deny_unknown_fields)]
struct BeginBody {
    /// The other system, by the name the operator gave it.
    #[schemars(with = "wire::Key")]
    source: Key,
    /// What it is built with.
    system: String,
    /// Where it keeps its rows: `sqlite`, `postgres` or `file`.
    engine: String,
    /// Stands for the plan.
    plan_hash: String,
    /// Stands for what the other system's rows came to.
    facts_fingerprint: String,
    /// The plan.
    #[schemars(with = "wire::AnyObject")]
    plan: Map<String, Value>,
    /// Who carries it out.
    #[schemars(with = "wire::Id")]
    holder: RequestId,
}

/// How a step stands.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptionStepChange")]
#[serde(deny_unknown_fields)]
struct StepBody {
    /// Who carries the run out.
    #[schemars(with = "wire::Id")]
    holder: RequestId,
    /// `before`, `schema`, `data` or `equivalence`.
    step: String,
    /// `running`, `done` or `failed`.
    state: String,
    /// How many rows it was about.
    row_count: u64,
    /// What they come to.
    #[serde(default)]
    checksum: Option<String>,
    /// More about it.
    #[serde(default)]
    #[schemars(with = "wire::AnyObject")]
    detail: Map<String, Value>,
    /// What went wrong.
    #[serde(default)]
    error: Option<String>,
}

/// A step of a run.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionStep")]
struct StepView {
    /// `before`, `schema`, `data` or `equivalence`.
    step: &'static str,
    /// `running`, `done`, `failed` or `undone`.
    state: &'static str,
    /// How many rows it was about.
    row_count: u64,
    /// What they come to.
    checksum: Option<String>,
    /// More about it.
    #[schemars(with = "wire::Json")]
    detail: Value,
    /// What went wrong.
    error: Option<String>,
    /// When it began.
    #[schemars(with = "wire::Time")]
    started_at: Timestamp,
    /// When it ended.
    #[schemars(with = "Option<wire::Time>")]
    ended_at: Option<Timestamp>,
}

impl From<StepRow> for StepView {
    fn from(row: StepRow) -> Self {
        Self {
            step: row.step.as_str(),
            state: row.state.as_str(),
            row_count: row.row_count,
            checksum: row.checksum,
            detail: shown::json_value(&row.detail),
            error: row.error,
            started_at: row.started_at,
            ended_at: row.ended_at,
        }
    }
}

/// A run of adoption.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionRun")]
struct RunView {
    /// Its number.
    run: u64,
    /// The other system, by the name the operator gave it.
    #[schemars(with = "wire::Key")]
    source: Key,
    /// What it is built with.
    system: String,
    /// Where it keeps its rows.
    engine: &'static str,
    /// `applying`, `applied`, `failed`, `undoing` or `undone`.
    state: &'static str,
    /// Stands for the plan.
    plan_hash: String,
    /// Stands for what the other system's rows came to.
    facts_fingerprint: String,
    /// The step to which it was taken back on purpose, where it is `failed` for that.
    back_to: Option<&'static str>,
    /// What went wrong.
    error: Option<String>,
    /// When it began.
    #[schemars(with = "wire::Time")]
    started_at: Timestamp,
    /// When it ended.
    #[schemars(with = "Option<wire::Time>")]
    ended_at: Option<Timestamp>,
    /// When the accounts that it brought were opened first; nothing where its proof never held, or its rows are gone.
    #[schemars(with = "Option<wire::Time>")]
    opened_at: Option<Timestamp>,
    /// The steps that have begun, in order.
    steps: Vec<StepView>,
    /// Whether it was begun before this call.
    resumed: bool,
    /// Who works at runs, where this one is under way; nobody, or a time that is over, says that it was broken off.
    #[schemars(with = "Option<wire::Id>")]
    holder: Option<PrincipalId>,
    /// Until when nobody else may.
    #[schemars(with = "Option<wire::Time>")]
    held_until: Option<Timestamp>,
}

impl From<Found> for RunView {
    fn from(found: Found) -> Self {
        let back_to = found.back_to().map(Step::as_str);
        let run = found.run;
        Self {
            run: run.number,
            source: run.source,
            system: run.system,
            engine: run.engine.as_str(),
            state: run.state.as_str(),
            plan_hash: run.plan_hash,
            facts_fingerprint: run.facts_fingerprint,
            back_to,
            error: run.error,
            started_at: run.started_at,
            ended_at: run.ended_at,
            opened_at: found.opened_at,
            steps: found.steps.into_iter().map(StepView::from).collect(),
            resumed: found.resumed,
            holder: found.at_work.map(|(holder, _)| PrincipalId(holder)),
            held_until: found.at_work.map(|(_, until)| until),
        }
    }
}

/// A run as the API tells it, for whoever reads it without asking the API.
#[must_use]
pub fn told(found: Found) -> Value {
    serde_json::to_value(RunView::from(found)).unwrap_or_default()
}

/// A run of adoption with its plan.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionRunDetail")]
struct DetailView {
    /// The run.
    #[serde(flatten)]
    run: RunView,
    /// The plan it carries out.
    #[schemars(with = "wire::Json")]
    plan: Value,
}

/// A run's place.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RunPath {
    /// Number of the run.
    pub run: u64,
}

pub(crate) fn word<T>(
    field: &str,
    text: &str,
    from_word: fn(&str) -> Option<T>,
    expected: &str,
) -> Result<T, Problem> {
    from_word(text).ok_or_else(|| Problem::invalid(field, format!("{expected} is expected")))
}

async fn begin(call: Call<(), (), BeginBody>) -> Result<Reply<RunView>, Problem> {
    let BeginBody { source, system, engine, plan_hash, facts_fingerprint, plan, holder } = call.body;
    let draft = RunDraft {
        source,
        system,
        engine: word("engine", &engine, RunEngine::from_word, "sqlite, postgres or file")?,
        plan_hash,
        facts_fingerprint,
        plan: Value::Object(plan).to_string(),
        holder: holder.0,
    };
    let (run, is_new) = adoption::begin(&call.app, &call.ctx, draft).await?;
    let place = format!("/api/v1/adoption/runs/{}", run.run.number);
    let reply = Reply::new(run.into()).location(place);
    Ok(if is_new { reply } else { reply.status(StatusCode::OK) })
}

async fn list(call: Call) -> Result<Reply<Items<RunView>>, Problem> {
    let found = adoption::list(&call.app, &call.ctx, &call.page()).await?;
    Ok(call.listing(found))
}

async fn show(call: Call<RunPath>) -> Result<Reply<DetailView>, Problem> {
    let run = adoption::get(&call.app, &call.ctx, call.path.run).await?.into();
    let plan = adoption::plan(&call.app, &call.ctx, call.path.run).await?;
    Ok(Reply::new(DetailView { run, plan: shown::json_value(&plan) }))
}

async fn step(call: Call<RunPath, (), StepBody>) -> Result<Reply<RunView>, Problem> {
    let StepBody { holder, step, state, row_count, checksum, detail, error } = call.body;
    let draft = StepDraft {
        holder: holder.0,
        step: word("step", &step, Step::from_word, "before, schema, data or equivalence")?,
        state: word("state", &state, StepState::from_word, "running, done or failed")?,
        row_count,
        checksum,
        detail: Value::Object(detail).to_string(),
        error,
    };
    Ok(Reply::new(adoption::step(&call.app, &call.ctx, call.path.run, draft).await?.into()))
}
