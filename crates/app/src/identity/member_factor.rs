//! Second factors of a member, seen and taken away by an administrator. Taken away only where the account belongs to that organization
//! alone: an administrator of one must not open the account of somebody who works in another. The operator may always.

use super::notice::{self, Notice};
use super::session;
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use crate::{member, rules, text};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{PrincipalId, Problem, ProblemKind, SessionId};
use charter_store as store;
use charter_store::second_factor::SecondFactor;
use serde_json::json;

async fn find(app: &App, permit: &Permit, who: &str) -> Result<PrincipalId, Problem> {
    Ok(member::find(&crate::facts(app, permit.organization()).await?, who)?.principal)
}

/// The factors of a member that count, oldest first.
pub async fn list(app: &App, permit: &Permit, who: &str) -> Result<Vec<SecondFactor>, Problem> {
    let who = find(app, permit, who).await?;
    let mut found = reading_all!(app.database(), |conn| store::second_factor::of_principal(conn, who))?;
    found.retain(|factor| factor.confirmed_at.is_some());
    Ok(found)
}

/// Refuses who could thereby open the account of somebody who may do more than they.
async fn require_beneath(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    who: PrincipalId,
) -> Result<(), Problem> {
    let Some(caller) = ctx.principal() else { return Ok(()) };
    let facts = crate::facts(app, permit.organization()).await?;
    let index = app.snapshots().index();
    let held = rules::held_by(&index, &facts, caller.id, ctx.now);
    let beyond = rules::may_hold(&index, &facts, who).without(&held);
    match beyond.iter().next().and_then(|first| index.code(first)) {
        None => Ok(()),
        Some(code) => Err(Problem::new(
            ProblemKind::BeyondGiver,
            format!("the member may do what you may not ({code}): ask somebody who may"),
        )),
    }
}

/// Takes all factors and recovery codes of a member away, and ends their sessions; tells how many there were of either.
pub async fn reset(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    who: &str,
    reason: &str,
) -> Result<(u64, usize), Problem> {
    let who = find(app, permit, who).await?;
    let reason = text::demanded_reason("reason", reason)?;
    if ctx.principal().is_some_and(|caller| caller.id == who) {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "these are your own second factors: remove them with `DELETE /api/v1/me/factors/{factor}`",
        ));
    }
    require_beneath(app, ctx, permit, who).await?;
    let (organization, now, ctx_inside) = (permit.organization(), ctx.now, ctx.clone());
    let (is_operator, app_inside, platform) = (ctx.is_operator(), app.clone(), app.platform());
    // The lock is the one under which sessions begin: none that showed a factor is written after they were ended.
    let ((ended, removed), _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                let places = store::membership::organizations_of(tx, who).await?;
                if !is_operator && places.iter().any(|place| *place != organization) {
                    return Err(Problem::new(
                        ProblemKind::Forbidden,
                        "the account belongs to other organizations as well: ask the operator of the installation",
                    ));
                }
                let removed = store::second_factor::delete_of_principal(tx, who).await?;
                if removed == 0 {
                    return Err(Problem::not_found("the member has no second factor"));
                }
                store::recovery_code::replace(tx, who, &[], now).await?;
                store::email_change::end_unproved(tx, who, now).await?;
                let ended =
                    session::end_everywhere(tx, who, "the second factors were reset", now).await?;
                let notice = Notice::SecondFactor { what: "the second factors of your account were taken away by an administrator, and every session ended", address: None };
                notice::queue(&app_inside, tx, who, notice, now).await?;
                let mut event =
                    audit::event(&ctx_inside, organization, "mfa.reset", "principal", who.to_string());
                event.reason = reason;
                event.after = Some(json!({ "removed": removed, "sessions_ended": ended.len() }).to_string());
                transaction.commit(event, Vec::new(), (ended, removed)).await
            }) as BoxFuture<'_, Result<Committed<(Vec<SessionId>, u64)>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    Ok((removed, ended.len()))
}
