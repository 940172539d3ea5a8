//! Runs of adoption and their steps: what was taken over from which system, and how far it got.

use charter_db::{Conn, RowRef, Tx, Value};
use charter_kernel::{Key, Timestamp};

use crate::param::Document;
use crate::{Page, Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select run_no, source_key, system, engine, state, plan_hash, facts_fingerprint, error, started_at, ended_at from adoption_runs ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into adoption_runs (run_no, source_key, system, engine, state, plan_hash, plan, facts_fingerprint, started_at, removals_noted) \
              values ($1, $2, $3, $4, 'applying', $5, $6, $7, $8, 1)";
    GET = select!("where run_no = $1");
    PLAN = "select plan from adoption_runs where run_no = $1";
    PAGE = select!("where run_no < $1 order by run_no desc limit $2");
    NEWEST = "select coalesce(max(run_no), 0) from adoption_runs";
    OF_PLAN = select!("where source_key = $1 and plan_hash = $2 order by run_no desc limit 1");
    AT_WORK = select!("where state in ('applying', 'undoing') order by run_no limit 1");
    /// The run after this one that has not been taken back.
    LATER = select!("where run_no > $1 and state <> 'undone' order by run_no limit 1");
    SET_STATE = "update adoption_runs set state = $2, error = $3, ended_at = $4 where run_no = $1";
    STEPS = "select run_no, step, state, row_count, checksum, detail, error, started_at, ended_at from adoption_steps \
             where run_no = $1 order by case step when 'before' then 1 when 'schema' then 2 when 'data' then 3 else 4 end";
    PUT_STEP = "insert into adoption_steps (run_no, step, state, row_count, checksum, detail, error, started_at, ended_at) \
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (run_no, step) do update set state = excluded.state, \
                row_count = excluded.row_count, checksum = excluded.checksum, detail = excluded.detail, error = excluded.error, \
                started_at = case when adoption_steps.state = 'running' then adoption_steps.started_at else excluded.started_at end, \
                ended_at = excluded.ended_at";
}

/// A closed list of words that the database keeps.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// What a word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// Where the other system keeps its rows.
    RunEngine {
        /// A SQLite file.
        Sqlite = "sqlite",
        /// PostgreSQL.
        Postgres = "postgres",
        /// A file it wrote.
        File = "file",
    }
}

words! {
    /// How far a run is.
    RunState {
        /// Rows are being written.
        Applying = "applying",
        /// All is written and proved.
        Applied = "applied",
        /// A step failed, or steps were taken back.
        Failed = "failed",
        /// It is being taken back.
        Undoing = "undoing",
        /// Nothing is left of it.
        Undone = "undone",
    }
}

words! {
    /// The steps of a run, in order.
    Step {
        /// What has to be so before anything is written.
        Before = "before",
        /// Codes, roles and tables.
        Schema = "schema",
        /// The rows.
        Data = "data",
        /// The proof that nobody gained and nobody lost.
        Equivalence = "equivalence",
    }
}

words! {
    /// How a step stands.
    StepState {
        /// It has begun.
        Running = "running",
        /// It is over and right.
        Done = "done",
        /// It went wrong.
        Failed = "failed",
        /// It was taken back.
        Undone = "undone",
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number; the ids of its rows begin with it.
    pub number: u64,
    /// The other system, by the name the operator gave it.
    pub source: Key,
    /// What it is built with.
    pub system: String,
    /// Where it keeps its rows.
    pub engine: RunEngine,
    /// How far the run is.
    pub state: RunState,
    /// Stands for the plan.
    pub plan_hash: String,
    /// Stands for what the other system's rows came to.
    pub facts_fingerprint: String,
    /// What went wrong.
    pub error: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// Which one.
    pub step: Step,
    /// How it stands.
    pub state: StepState,
    /// How many rows it was about.
    pub row_count: u64,
    /// What they come to.
    pub checksum: Option<String>,
    /// More about it, a JSON object.
    pub detail: String,
    /// What went wrong.
    pub error: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

fn run(row: RowRef<'_>) -> Result<Run> {
    Ok(Run {
        number: row.get(0)?,
        source: row::parsed(row, 1)?,
        system: row::text(row, 2)?,
        engine: row::word(row, 3, RunEngine::from_word)?,
        state: row::word(row, 4, RunState::from_word)?,
        plan_hash: row::text(row, 5)?,
        facts_fingerprint: row::text(row, 6)?,
        error: row::opt_text(row, 7)?,
        started_at: row::time(row, 8)?,
        ended_at: row::opt_time(row, 9)?,
    })
}

fn step(row: RowRef<'_>) -> Result<StepRow> {
    Ok(StepRow {
        step: row::word(row, 1, Step::from_word)?,
        state: row::word(row, 2, StepState::from_word)?,
        row_count: row.get(3)?,
        checksum: row::opt_text(row, 4)?,
        detail: row.get_json(5)?.to_owned(),
        error: row::opt_text(row, 6)?,
        started_at: row::time(row, 7)?,
        ended_at: row::opt_time(row, 8)?,
    })
}

/// Adds a run that applies its plan, a JSON object.
pub async fn insert(tx: &mut Tx, run: &Run, plan: &str) -> Result<()> {
    let it = run;
    let engine = it.engine.as_str();
    let params: &[Value] = params![
        it.number,
        it.source,
        it.system,
        engine,
        it.plan_hash,
        Document(plan),
        it.facts_fingerprint,
        it.started_at
    ];
    tx.execute(&INSERT, params).await?;
    Ok(())
}

/// The run with this number.
pub async fn get(conn: &mut Conn, number: u64) -> Result<Option<Run>> {
    row::opt(conn, &GET, params![number], run).await
}

/// The plan of a run, a JSON text.
pub async fn plan(conn: &mut Conn, number: u64) -> Result<Option<String>> {
    row::opt(conn, &PLAN, params![number], |row| Ok(row.get_json(0)?.to_owned())).await
}

/// Runs below a number, newest first.
pub async fn page(conn: &mut Conn, below: u64, limit: u32) -> Result<Page<Run>> {
    row::page(conn, &PAGE, params![below], limit, run).await
}

/// The number of the newest run; zero when there was none.
pub async fn newest(conn: &mut Conn) -> Result<u64> {
    conn.query_one(&NEWEST, &[]).await?.get(0)
}

/// The newest run of a plan.
pub async fn of_plan(conn: &mut Conn, source: &Key, plan_hash: &str) -> Result<Option<Run>> {
    row::opt(conn, &OF_PLAN, params![source, plan_hash], run).await
}

/// The run that is being applied or taken back.
pub async fn at_work(conn: &mut Conn) -> Result<Option<Run>> {
    row::opt(conn, &AT_WORK, &[], run).await
}

/// The first run after this one that has not been taken back.
pub async fn later(conn: &mut Conn, number: u64) -> Result<Option<Run>> {
    row::opt(conn, &LATER, params![number], run).await
}

/// Says how far a run is.
pub async fn set_state(
    tx: &mut Tx,
    number: u64,
    state: RunState,
    error: Option<&str>,
    ended_at: Option<Timestamp>,
) -> Result<()> {
    tx.execute(&SET_STATE, params![number, state.as_str(), error, ended_at]).await?;
    Ok(())
}

/// The steps of a run that have begun, in order.
pub async fn steps(conn: &mut Conn, number: u64) -> Result<Vec<StepRow>> {
    row::list(conn, &STEPS, params![number], step).await
}

/// Says how a step stands.
pub async fn put_step(tx: &mut Tx, number: u64, row: &StepRow) -> Result<()> {
    let (step, state) = (row.step.as_str(), row.state.as_str());
    let params: &[Value] = params![
        number,
        step,
        state,
        row.row_count,
        row.checksum,
        Document(&row.detail),
        row.error,
        row.started_at,
        row.ended_at
    ];
    tx.execute(&PUT_STEP, params).await?;
    Ok(())
}
