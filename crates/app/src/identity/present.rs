//! The session a request came by: read now, renewed, replaced by another in its place, turned to another organization.

use super::begin::{self, Begun, SignIn, issue, issue_tokens, replace};
use super::membership::{is_standing, membership};
use super::own_session::own_session_of;
use super::session;
use super::sign_in::require_address;
use crate::App;
use crate::caller::RequestContext;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::audit::AuditEvent;
use charter_kernel::{OrganizationId, Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::principal::Principal;
use charter_store::session::Session;

/// A new token. For another organization a new session replaces the present one; for the same the session goes on.
pub async fn switch(
    app: &App,
    ctx: &RequestContext,
    organization: Option<String>,
) -> Result<SignIn, Problem> {
    let now = ctx.now;
    // Who is stopped in one organization may turn to another.
    let (old, principal) = present_in(app, ctx, organization.is_none()).await?;
    let target = match &organization {
        Some(text) => Some(membership(app, &principal, text, now).await?),
        None => old.organization,
    };
    if target == old.organization {
        return renew(app, old, now);
    }
    let reason = "turned to another organization";
    let begun = replace(app, ctx, &old, target).await?;
    require_address(app, ctx, &principal, &begun).await?;
    put_in_place(app, ctx, &old, &begun, reason).await?;
    issue(app, begun, now)
}

/// The same session again: a new access token, or for a browser what it has.
fn renew(app: &App, session: Session, now: Timestamp) -> Result<SignIn, Problem> {
    if session.cookie_hash.is_none() {
        return issue_tokens(app, session, now);
    }
    Ok(SignIn {
        token: None,
        expires_at: session.idle_expires_at,
        refresh_token: None,
        cookie: None,
        csrf_token: Some(begin::csrf_token(app, session.id)),
        device_token: None,
        session,
    })
}

/// Writes a session in the place of another, which ends.
pub(super) async fn put_in_place(
    app: &App,
    ctx: &RequestContext,
    old: &Session,
    begun: &Begun,
    reason: &'static str,
) -> Result<(), Problem> {
    let (platform, now) = (app.platform(), ctx.now);
    let (ctx_inside, new, before) = (ctx.clone(), begun.clone(), old.clone());
    let (ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let (ended, mut events) =
                    swap(&mut transaction, &ctx_inside, platform, &before, &new, reason).await?;
                let first = events.remove(0);
                transaction.commit(first, events, ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    Ok(())
}

/// The same within a transaction. Gives what ended, and the events, at least one.
pub(super) async fn swap(
    transaction: &mut Transaction<'_>,
    ctx: &RequestContext,
    platform: OrganizationId,
    old: &Session,
    new: &Begun,
    reason: &str,
) -> Result<(Vec<SessionId>, Vec<AuditEvent>), Problem> {
    begin::hold(transaction.tx(), new.session.principal).await?;
    if !store::session::end(transaction.tx(), old.id, reason, ctx.now).await? {
        return Err(gone());
    }
    let (mut ended, mut events) = begin::write(transaction, ctx, platform, new, reason).await?;
    // What applications were given by it goes with it.
    ended.extend(store::session::end_of_parent(transaction.tx(), old.id, reason, ctx.now).await?);
    events.push(session::event(ctx, platform, old, "session.end", reason));
    ended.push(old.id);
    Ok((ended, events))
}

/// The caller's session and principal, read now, when both may be used.
pub(super) async fn present(app: &App, ctx: &RequestContext) -> Result<(Session, Principal), Problem> {
    present_in(app, ctx, true).await
}

/// The same; when it does not count where the session is for, the principal has to stand anywhere.
async fn present_in(
    app: &App,
    ctx: &RequestContext,
    counts_place: bool,
) -> Result<(Session, Principal), Problem> {
    let (caller, id) = own_session_of(ctx)?;
    let (who, now) = (caller.id, ctx.now);
    let found = reading_all!(app.database(), |conn| async move {
        let Some(session) = store::session::get(conn, id).await? else { return Ok(None) };
        let Some(principal) = store::principal::by_id(conn, who).await? else { return Ok(None) };
        let place = session.organization.filter(|_| counts_place);
        let is_standing = is_standing(conn, &principal, place).await?;
        Ok::<_, charter_db::Error>(is_standing.then_some((session, principal)))
    })?;
    found.filter(|(session, _)| session.is_live(now)).ok_or_else(gone)
}

pub(super) fn gone() -> Problem {
    Problem::new(ProblemKind::Unauthenticated, "the session has ended: sign in again")
}
