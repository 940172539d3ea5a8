//! Support sessions: somebody of the platform acts as a member of an organization, for an hour at most, with a reason, and both names in
//! the trail.
//!
//! It is a session of the member like any other, for that organization alone, so the organization's administrators see and end it. What
//! is left to it is less than what the member may: nothing dangerous, nothing of the administration but reading, and nothing of the
//! member's own account. It lasts only while its supporter may give support.

use super::authenticate::Stop;
use super::begin::{self, Opening, SignIn, issue};
use super::own_session::own_session_of;
use super::session::Known;
use super::token::TokenFault;
use super::{membership, notice, notice::Notice, session, session_limits};
use crate::App;
use crate::audit;
use crate::caller::{Caller, Ceiling, RequestContext, SignedIn};
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use crate::{member, text};
use charter_db::{BoxFuture, Scope};
use charter_kernel::facts::{PrincipalKind, PrincipalStatus};
use charter_kernel::{Pattern, Problem, ProblemKind, RequestId, SessionId, Timestamp};
use charter_store as store;
pub use charter_store::session::Support;
use serde_json::json;
use std::sync::Arc;

/// What a supporter needs in the platform organization.
pub const PERMISSION: &str = "platform.support_access.execute";
/// How a session came about whose principal proved nothing.
pub(super) const AMR: &str = "support";
/// Longest support session, in minutes.
pub const MINUTES_MAX: u32 = 60;

/// Refuses whoever acts as somebody else, for what only they do themselves.
pub fn require_own(ctx: &RequestContext) -> Result<(), Problem> {
    match ctx.principal().and_then(|caller| caller.support.as_ref()) {
        None => Ok(()),
        Some(_) => Err(Problem::new(
            ProblemKind::Forbidden,
            "a support session does not do this: only the member does, signed in on their own",
        )),
    }
}

/// What is left to a support session.
pub(super) fn ceiling(app: &App) -> Ceiling {
    let catalogue = app.snapshots().catalogue();
    let left: Vec<Pattern> = catalogue
        .permissions
        .iter()
        .filter(|permission| !permission.dangerous)
        .map(|permission| &permission.code)
        .filter(|code| code.module() != "admin" || code.action() == "read")
        .map(|code| Pattern::from(code.clone()))
        .collect();
    Ceiling::new(left, &app.snapshots().index())
}

/// Refuses a support session whose supporter may not give support any more.
pub(super) async fn require_supporter(app: &App, known: &Known, now: Timestamp) -> Result<(), Stop> {
    let Some((by, _)) = &known.support else { return Ok(()) };
    let proved = known.amr.iter().filter(|method| *method != AMR).cloned().collect();
    let supporter = SignedIn::bare(by.by, PrincipalKind::User, by.login.clone(), by.login.clone());
    // That they proved it lately was judged when the session began.
    let caller = SignedIn { amr: proved, authenticated_at: Some(now), ..supporter };
    let request = RequestId(app.fresh_id());
    let ctx = RequestContext { caller: Caller::Principal(Arc::new(caller)), request, address: None, now };
    match app.require(&ctx, app.platform(), PERMISSION).await {
        Ok(_) => Ok(()),
        Err(problem) if problem.kind == ProblemKind::Unavailable => Err(problem.into()),
        Err(_) => Err(TokenFault::Principal.into()),
    }
}

/// What a support session is asked for with.
#[derive(Debug, Clone, Copy)]
pub struct SupportDraft<'a> {
    /// Key or id of the organization.
    pub organization: &'a str,
    /// Login or id of the member.
    pub member: &'a str,
    /// Why.
    pub reason: &'a str,
    /// For how many minutes at most.
    pub minutes: u32,
}

/// Begins to act as a member of an organization.
pub async fn begin(
    app: &App,
    ctx: &RequestContext,
    _: &Permit,
    draft: SupportDraft<'_>,
    opening: Opening,
) -> Result<SignIn, Problem> {
    let SupportDraft { organization, member: who, reason, minutes } = draft;
    let reason = text::demanded_reason("reason", reason)?;
    if !(1..=MINUTES_MAX).contains(&minutes) {
        return Err(Problem::invalid(
            "minutes",
            format!("a whole number from 1 to {MINUTES_MAX} is expected"),
        ));
    }
    let (supporter, _) = own_session_of(ctx)?;
    let (organization, now, platform) =
        (app.resolve_organization(organization).await?, ctx.now, app.platform());
    let target = {
        let facts = crate::facts(app, organization).await?;
        let found = member::find(&facts, who)?;
        let is_live = found.standing() == PrincipalStatus::Active && found.window.is_live(now);
        (found.principal, found.kind, is_live)
    };
    let (who, kind, is_live) = target;
    let refused = |detail: &str| Problem::new(ProblemKind::Forbidden, detail.to_owned());
    if kind != PrincipalKind::User {
        return Err(refused("nobody acts as a service account: issue a service token"));
    }
    if !is_live {
        return Err(refused("the member may not act at this moment, and so may nobody for them"));
    }
    let platforms = reading!(app.database(), platform, |conn| store::membership::get(conn, platform, who))?;
    if platforms.is_some() || organization == platform || who == supporter.id {
        return Err(refused("nobody acts as somebody of the platform, or as themselves"));
    }
    let mut begun = begin::begin(app, ctx, who, Some(organization), opening).await?;
    if !begun.limits.allow_address(ctx.address) {
        return Err(session_limits::wrong_address());
    }
    // It pushes out none of the member's own.
    begun.limits.sessions_max = None;
    let ends_at = now.plus_seconds(i64::from(minutes) * 60);
    let row = &mut begun.session;
    // What the supporter proved counts for the right to support, and for nothing of the member.
    row.amr =
        std::iter::once(AMR).chain(supporter.amr.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    row.expires_at = row.expires_at.min(ends_at);
    row.idle_expires_at = row.idle_expires_at.min(row.expires_at);
    row.support = Some(Support { by: supporter.id, login: supporter.login.clone(), reason: reason.clone() });
    let until = row.expires_at;
    let (ctx_inside, new, app_inside, by) =
        (ctx.clone(), begun.clone(), app.clone(), supporter.login.clone());
    let (ended, _) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                if !membership::hold_standing_member(transaction.tx(), organization, who, now).await? {
                    let detail = "the member may not act at this moment, and so may nobody for them";
                    return Err(Problem::new(ProblemKind::Forbidden, detail));
                }
                let (ended, events) =
                    begin::write(&mut transaction, &ctx_inside, platform, &new, &reason).await?;
                let notice = Notice::SupportBegan { by, reason: reason.clone(), until };
                notice::queue(&app_inside, transaction.tx(), who, notice, now).await?;
                let session = new.session.id;
                let mut event =
                    audit::event(&ctx_inside, organization, "support.begin", "principal", who.to_string());
                event.reason = reason;
                event.after = Some(json!({ "session": session.to_string(), "until": until }).to_string());
                transaction.commit(event, events, ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    issue(app, begun, now)
}
