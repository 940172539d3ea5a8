//! Many keys of an organization at once: who has left, what nobody uses, what was made before an incident. Each key has an event of its
//! own on the trail; a dry run tells what would happen and changes nothing.

use super::credential::{Credential, KeyFilter, by_a_person, list, not_beyond, told};
use super::credential_change::{OVERLAP_SECONDS_MAX, over, rotatable, successor};
use crate::App;
use crate::caller::{Page, RequestContext};
use crate::guard::Permit;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{Problem, ProblemKind};
use charter_store as store;
use zeroize::Zeroizing;

/// Most keys of one change.
pub const KEYS_MAX: u32 = 500;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkAction {
    /// Revoke them.
    Revoke,
    /// Put new keys in their places; the old ones go on for so many seconds.
    Rotate {
        /// For how long.
        overlap_seconds: u32,
    },
}

/// What became of one key, or would become.
pub struct BulkOutcome {
    /// The key.
    pub credential: Credential,
    /// Why nothing happens to it, when nothing does.
    pub left_alone: Option<String>,
    /// The key in its place, with its text.
    pub successor: Option<(Credential, Zeroizing<String>)>,
}

/// What became of all of them.
pub struct BulkDone {
    /// Key by key.
    pub outcomes: Vec<BulkOutcome>,
    /// Whether the filter wants more keys than are changed at once.
    pub has_more: bool,
}

/// Does one thing to every key a filter wants.
pub async fn change(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    filter: &KeyFilter,
    action: BulkAction,
    reason: &str,
    is_dry_run: bool,
) -> Result<BulkDone, Problem> {
    by_a_person(ctx)?;
    let (organization, now) = (permit.organization(), ctx.now);
    let reason = text::reason("reason", reason)?;
    if matches!(action, BulkAction::Rotate { overlap_seconds } if overlap_seconds > OVERLAP_SECONDS_MAX) {
        return Err(Problem::invalid("overlap_seconds", format!("0 to {OVERLAP_SECONDS_MAX} is expected")));
    }
    let facts = crate::facts(app, organization).await?;
    let found = list(app, permit, filter, now, &Page::first(KEYS_MAX)).await?;
    let mut outcomes = Vec::with_capacity(found.items.len());
    for credential in found.items {
        let checked = match action {
            BulkAction::Revoke if credential.revoked_at.is_some() => {
                Err(Problem::new(ProblemKind::InUse, "the key was revoked before"))
            }
            BulkAction::Revoke => Ok(()),
            BulkAction::Rotate { overlap_seconds } => {
                over(now, &credential).and_then(|()| rotatable(ctx, &credential, overlap_seconds)).and_then(
                    |()| not_beyond(app, ctx, &facts, credential.principal, credential.scopes.as_deref()),
                )
            }
        };
        let successor = match action {
            BulkAction::Rotate { .. } if checked.is_ok() => Some(successor(app, ctx, &credential)),
            _ => None,
        };
        outcomes.push(BulkOutcome {
            credential,
            left_alone: checked.err().map(|problem| problem.detail),
            successor,
        });
    }
    let has_more = found.next.is_some();
    if is_dry_run {
        outcomes.iter_mut().for_each(|outcome| outcome.successor = None);
        return Ok(BulkDone { outcomes, has_more });
    }
    if outcomes.iter().all(|outcome| outcome.left_alone.is_some()) {
        return Ok(BulkDone { outcomes, has_more });
    }
    let ctx_inside = ctx.clone();
    let (outcomes, revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let by = ctx_inside.principal().map(|caller| caller.id);
                let mut events = Vec::new();
                for outcome in outcomes.iter_mut().filter(|outcome| outcome.left_alone.is_none()) {
                    let id = outcome.credential.id;
                    let before = store::credential::get(transaction.tx(), organization, id).await?;
                    // What somebody else did meanwhile comes first.
                    if before.as_ref().is_none_or(|now| now.row_version != outcome.credential.row_version) {
                        outcome.left_alone = Some("was changed meanwhile: ask again".to_owned());
                        outcome.successor = None;
                        continue;
                    }
                    let tx = transaction.tx();
                    let mut event = match (action, &outcome.successor) {
                        (BulkAction::Rotate { overlap_seconds }, Some((new, _))) => {
                            store::credential::insert(tx, new).await?;
                            if overlap_seconds == 0 {
                                store::credential::revoke(tx, organization, id, by, "rotated", now).await?;
                            } else {
                                let end = now.plus_seconds(i64::from(overlap_seconds));
                                let end = outcome.credential.window.to().map_or(end, |own| own.min(end));
                                store::credential::set_overlap(tx, organization, id, end).await?;
                            }
                            told(&ctx_inside, "credential.rotate", before.as_ref(), Some(new), id)
                        }
                        _ => {
                            store::credential::revoke(tx, organization, id, by, &reason, now).await?;
                            told(&ctx_inside, "credential.revoke", before.as_ref(), None, id)
                        }
                    };
                    event.reason.clone_from(&reason);
                    if let Some(after) = store::credential::get(transaction.tx(), organization, id).await? {
                        outcome.credential = after;
                    }
                    events.push(event);
                }
                if events.is_empty() {
                    return Err(Problem::new(
                        ProblemKind::Changed,
                        "every one of the keys was changed meanwhile: ask again",
                    ));
                }
                let first = events.remove(0);
                transaction.commit(first, events, outcomes).await
            }) as BoxFuture<'_, Result<Committed<Vec<BulkOutcome>>, Problem>>
        })
        .await?;
    for outcome in &outcomes {
        app.identity().credentials.forget(outcome.credential.key_id.as_str());
    }
    app.snapshots().hear_own(organization, revision).await?;
    Ok(BulkDone { outcomes, has_more })
}
