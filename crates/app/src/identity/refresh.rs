//! Refreshing: a session's refresh token is exchanged for an access token and the next refresh token, with one small write.
//!
//! The session keeps a counter. The newest token moves it on. The one before it, within twenty seconds, is another tab of the same
//! browser, or an answer that was lost on its way: it gets the same successor and nothing is written. Anything older is in two hands,
//! and the session ends. So it does when anybody but the OAuth client it was given to shows a token. No signing key is needed to know a
//! refresh token, so nobody is signed out when one leaks.

use super::begin::{SignIn, issue_tokens};
use super::notice::{self, Notice};
use super::refresh_token::{self, Presented};
use super::session_limits::{self, Limits};
use super::{session, sign_in, token::TokenFault};
use crate::App;
use crate::caller::RequestContext;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::audit::Outcome;
use charter_kernel::{OauthClientId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use charter_store::session::Session;

/// For how long the token before the newest gets the same successor again.
const AGAIN_SECONDS: i64 = 20;
/// What the trail says of a token that came a second time.
const REUSED: &str = "a refresh token came again after it was used: the session may be in two hands";
/// What the trail says of a token that somebody else showed.
const ELSEWHERE: &str = "a refresh token was shown by another client than the one it was given to";

fn invalid() -> Problem {
    Problem::new(ProblemKind::Unauthenticated, "the refresh token is not valid, or no longer: sign in again")
}

/// What a token is worth to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    /// It is the newest.
    Newest,
    /// It was the newest a moment ago.
    JustUsed,
    /// It is older.
    Reused,
    /// It was given to somebody else.
    Elsewhere,
    /// Its session is over, or it is none of it.
    Nothing,
}

fn judge(
    session: &Session,
    client: Option<OauthClientId>,
    counter: u64,
    limits: &Limits,
    now: Timestamp,
) -> Worth {
    if !session.is_live(now) || limits.ends_at(session) <= now || session.cookie_hash.is_some() {
        return Worth::Nothing;
    }
    if session.client != client {
        return Worth::Elsewhere;
    }
    let is_recent = session.refreshed_at.is_some_and(|at| now < at.plus_seconds(AGAIN_SECONDS));
    match session.refresh_counter.checked_sub(counter) {
        Some(0) => Worth::Newest,
        Some(1) if is_recent => Worth::JustUsed,
        Some(_) => Worth::Reused,
        // A counter the database does not know of: it was restored from an older copy.
        None => Worth::Nothing,
    }
}

/// Exchanges a refresh token of somebody who signed in here.
pub async fn refresh(app: &App, ctx: &RequestContext, text: &str) -> Result<SignIn, Problem> {
    let session = moved_on(app, ctx, text, None, true, |_| Ok(())).await?;
    issue_tokens(app, session, ctx.now)
}

/// The session of a refresh token, moved on, when it is the one of this client. `may` has a say once the token is known to be good, before
/// anything is written. What an organization says of addresses holds where the token is shown from its user's own.
pub(super) async fn moved_on(
    app: &App,
    ctx: &RequestContext,
    text: &str,
    client: Option<OauthClientId>,
    is_of_user: bool,
    may: impl Fn(&Session) -> Result<(), Problem>,
) -> Result<Session, Problem> {
    let (identity, now) = (app.identity(), ctx.now);
    let refused = |fault| {
        identity.refusals.record(fault, ctx.address, now);
        invalid()
    };
    let Some(presented) = refresh_token::read(&identity.pepper, identity.settings.is_live, text) else {
        return Err(refused(TokenFault::Refresh));
    };
    // Of tabs that come at the same moment one moves the counter on; the others find it moved and look again.
    for _ in 0..3 {
        let Some((session, limits)) = load(app, presented).await? else {
            return Err(refused(TokenFault::Session));
        };
        match judge(&session, client, presented.counter, &limits, now) {
            Worth::Nothing => return Err(refused(TokenFault::Session)),
            Worth::Reused => {
                end_family(app, ctx, &session, "session.reuse", REUSED).await?;
                return Err(invalid());
            }
            Worth::Elsewhere => {
                end_family(app, ctx, &session, "session.reuse", ELSEWHERE).await?;
                return Err(invalid());
            }
            Worth::JustUsed => {
                require_address(ctx, &limits, is_of_user)?;
                may(&session)?;
                return Ok(session);
            }
            Worth::Newest => {
                require_address(ctx, &limits, is_of_user)?;
                may(&session)?;
                if let Some(moved) = advance(app, session, presented, &limits, now).await? {
                    return Ok(moved);
                }
            }
        }
    }
    Err(Problem::new(ProblemKind::Unavailable, "the session is being refreshed elsewhere: try again")
        .retry_after(1))
}

fn require_address(ctx: &RequestContext, limits: &Limits, is_of_user: bool) -> Result<(), Problem> {
    if !is_of_user || limits.allow_address(ctx.address) {
        Ok(())
    } else {
        Err(session_limits::wrong_address())
    }
}

/// The session of a token whose principal may act, and what holds for it.
async fn load(app: &App, presented: Presented) -> Result<Option<(Session, Limits)>, Problem> {
    let settings = app.identity().settings.clone();
    reading_all!(app.database(), |conn| async move {
        let Some(session) = store::session::get(conn, presented.session).await? else { return Ok(None) };
        let Some(principal) = store::principal::by_id(conn, session.principal).await? else {
            return Ok(None);
        };
        if !sign_in::is_standing(conn, &principal, session.organization).await? {
            return Ok(None);
        }
        let (who, organization) = (session.principal, session.organization);
        let limits = session_limits::read(conn, &settings, who, organization, false).await?;
        Ok::<_, charter_db::Error>(Some((session, limits)))
    })
}

/// Moves the counter on: the one write of a refresh. None when somebody else did.
async fn advance(
    app: &App,
    session: Session,
    presented: Presented,
    limits: &Limits,
    now: Timestamp,
) -> Result<Option<Session>, Problem> {
    let (idle, ends) = (limits.idle_until(&session, now), limits.ends_at(&session));
    let id = session.id;
    let counter: Result<Option<u64>, Problem> = app
        .database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(
                async move { Ok(store::session::refresh(tx, id, presented.counter, now, idle, ends).await?) },
            ) as BoxFuture<'_, Result<Option<u64>, Problem>>
        })
        .await;
    Ok(counter?.map(|refresh_counter| Session {
        refresh_counter,
        refreshed_at: Some(now),
        idle_expires_at: idle,
        expires_at: ends,
        ..session
    }))
}

/// Ends the session a token of which is in the wrong hands, and leaves word of it.
pub(super) async fn end_family(
    app: &App,
    ctx: &RequestContext,
    session: &Session,
    action: &'static str,
    why: &'static str,
) -> Result<(), Problem> {
    let (platform, now, id) = (app.platform(), ctx.now, session.id);
    let (ctx_inside, row, app_inside) = (ctx.clone(), session.clone(), app.clone());
    let ended = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                if !store::session::end(transaction.tx(), id, why, now).await? {
                    return Err(invalid());
                }
                let notice = Notice::SessionReused { address: ctx_inside.address };
                notice::queue(&app_inside, transaction.tx(), row.principal, notice, now).await?;
                let mut event = session::event(&ctx_inside, platform, &row, action, why);
                event.outcome = Outcome::Denied;
                let end = session::event(&ctx_inside, platform, &row, "session.end", why);
                transaction.commit(event, vec![end], ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await;
    session::forget(app, &[id]);
    ended.map(|_| ())
}
