//! A run of adoption taken back, some thousand rows a call.

use crate::adoption::{OPERATOR, RunPath, TAG, word};
use crate::edge::{Call, Reply, Route, wire};
use charter_app::App;
use charter_app::adoption::{self, Step, UndoDraft, Undone};
use charter_kernel::{Key, Problem, ProblemKind, RequestId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post("/api/v1/adoption/runs/{run}/undo", OPERATOR, undo)
            .named("adoption.runs.undo", TAG, "Takes back some of a run, as the operator.")
            .described(
                "To be called until `done`. What people made since about what the run brought stops it, unless they are to be discarded as well; so do organizations in \
                 shadow mode or cut over. \
                 An organization that has a trail by now stays, closed and empty. With `dry_run` nothing is written: it says whether the run \
                 could be taken back once those of its source that came after it are, and what would go and be put back.",
            )
            .problems(&[ProblemKind::Forbidden, ProblemKind::NotFound, ProblemKind::InProgress, ProblemKind::InUse])
            .example(r#"{"holder":"0193e7a0-0000-7000-8000-000000000001","to":"before","discard":false}"#)
            .timeout(Duration::from_secs(120))
            .keeps_no_answers(),
    ]
}

/// How far a run is taken back.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptionUndo")]
#[serde(deny_unknown_fields)]
struct UndoBody {
    /// Who takes it back.
    #[schemars(with = "wire::Id")]
    holder: RequestId,
    /// `before`, `schema` or `data`: what came after this step is taken back; `before` leaves nothing.
    to: String,
    /// Whether what people made since goes as well.
    #[serde(default)]
    discard: bool,
    /// Only say whether it could be done, and what would be.
    #[serde(default)]
    dry_run: bool,
}

/// What one call took back.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionUndone")]
struct UndoneView {
    /// Rows removed, by kind; `put_back` counts rows of earlier runs that are as they were before.
    removed: BTreeMap<&'static str, u64>,
    /// With `dry_run`: what people made since that would go as well, by what it is.
    discarded: BTreeMap<&'static str, u64>,
    /// With `dry_run`: keys of organizations in shadow mode or cut over, in which nobody would be known any more.
    #[schemars(with = "Vec<wire::Key>")]
    answering: Vec<Key>,
    /// Users whom people stopped meanwhile, or from whom they took something: the next plan asks about them.
    remembered: u64,
    /// Roles and modules that people removed or changed: the next plan asks about them, too.
    remembered_rows: u64,
    /// Keys of organizations that have a trail by now: they stay, closed and empty.
    #[schemars(with = "Vec<wire::Key>")]
    kept: Vec<Key>,
    /// Nothing is left to do.
    done: bool,
    /// How the run is now.
    state: &'static str,
}

async fn undo(call: Call<RunPath, (), UndoBody>) -> Result<Reply<UndoneView>, Problem> {
    let UndoBody { holder, to, discard, dry_run } = call.body;
    let to = word("to", &to, Step::from_word, "before, schema or data")?;
    let draft = UndoDraft { holder: holder.0, to, discard };
    let (undone, run) = match dry_run {
        true => adoption::preview_undo(&call.app, &call.ctx, call.path.run, draft).await?,
        false => adoption::undo(&call.app, &call.ctx, call.path.run, draft).await?,
    };
    let Undone { removed, kept, done, remembered, remembered_rows, discarded, answering } = undone;
    let state = run.run.state.as_str();
    Ok(Reply::new(UndoneView {
        removed,
        discarded,
        answering,
        remembered,
        remembered_rows,
        kept,
        done,
        state,
    }))
}
