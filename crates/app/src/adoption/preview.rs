//! What taking a run back would do, told before anything is done: the same that `undo.rs` does, counted.

use super::run::{RunView, reading_problem, view};
use super::undo::{Undone, made_since, owners, require_step, stands};
use super::{Run, RunState, Step, UndoDraft, known, range_of, require_operator};
use crate::App;
use crate::caller::RequestContext;
use charter_db::Conn;
use charter_kernel::{OrganizationId, Problem};
use charter_store as store;
use charter_store::{adoption_change, adoption_lookup, adoption_password, adoption_preview, adoption_wipe};
use std::collections::BTreeMap;

/// Organizations that are looked at at once.
const ORGANIZATIONS: usize = 2_000;

/// Says what would go with a run and what would be put back, or why it cannot be taken back, once those of its source that came after it are.
pub async fn preview_undo(
    app: &App,
    ctx: &RequestContext,
    number: u64,
    draft: UndoDraft,
) -> Result<(Undone, RunView), Problem> {
    require_operator(ctx)?;
    require_step(draft.to)?;
    reading_problem(app, move |conn| {
        Box::pin(async move {
            let run = known(conn, number).await?;
            let mut undone = Undone::default();
            if run.state != RunState::Undone && draft.to != Step::Data {
                if run.state != RunState::Undoing {
                    require_last(conn, &run).await?;
                    let made = made_since(conn, &run).await?;
                    made.refuse_unless(draft.discard)?;
                    undone.discarded = made.counts();
                    undone.answering = made.answering;
                }
                count(conn, &run, &mut undone).await?;
            }
            Ok((undone, view(conn, run, true).await?))
        })
    })
    .await
}

/// Refuses where a run of another source stands on this one.
async fn require_last(conn: &mut Conn, run: &Run) -> Result<(), Problem> {
    let mut after = run.number;
    while let Some(later) = store::adoption_run::later(conn, after).await? {
        if later.source != run.source {
            return Err(stands(&later));
        }
        after = later.number;
    }
    Ok(())
}

async fn count(conn: &mut Conn, run: &Run, undone: &mut Undone) -> Result<(), Problem> {
    let rows = adoption_preview::rows(conn, range_of(run.number)).await?;
    undone.removed = rows.into_iter().filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>();
    let mut organizations = 0;
    for owner in owners(conn, run).await? {
        let own = adoption_preview::organizations(conn, run.number, range_of(owner)).await?;
        for part in own.chunks(ORGANIZATIONS) {
            let kept: Vec<OrganizationId> = adoption_wipe::with_trail(conn, part).await?;
            organizations += (part.len() - kept.len()) as u64;
            let keys = adoption_lookup::organizations(conn, &kept).await?;
            undone.kept.extend(keys.into_iter().map(|it| it.key));
        }
    }
    let changed = adoption_change::counts(conn, run.number).await?;
    let passwords = adoption_password::count(conn, run.number).await?;
    let put_back = changed.iter().map(|(_, count)| *count).sum::<u64>() + passwords;
    for (kind, count) in [("organizations", organizations), ("put_back", put_back)] {
        if count > 0 {
            undone.removed.insert(kind, count);
        }
    }
    Ok(())
}
