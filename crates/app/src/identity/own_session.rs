//! One's own sessions: listing and ending them, signing out.

use super::session::{event, forget};
use super::support;
use crate::App;
use crate::caller::{Caller, Listing, Page, RequestContext, SignedIn};
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{OauthClientId, PrincipalId, Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use std::collections::{BTreeMap, BTreeSet};

pub use charter_store::session::Session;

/// The signed-in principal, or the problem why there is none.
pub fn principal_of(ctx: &RequestContext) -> Result<&SignedIn, Problem> {
    match &ctx.caller {
        Caller::Principal(principal) => Ok(principal),
        Caller::Operator { .. } => Err(Problem::new(
            ProblemKind::Forbidden,
            "the operator has no account, and this is done as a user: sign in (`charter auth login --login E-MAIL`), and set CHARTER_TOKEN to \
             the access token it prints",
        )),
        Caller::Anonymous => Err(Problem::new(
            ProblemKind::Unauthenticated,
            "no credential came with the request: send `Authorization: Bearer <token>`",
        )),
    }
}

/// The signed-in principal and its session; a service token has none.
pub fn session_of(ctx: &RequestContext) -> Result<(&SignedIn, SessionId), Problem> {
    let principal = principal_of(ctx)?;
    let session = principal.session.ok_or_else(|| {
        Problem::new(
            ProblemKind::Forbidden,
            "your credential has no session: this is for people who signed in here",
        )
    })?;
    Ok((principal, session))
}

/// The same for what only its owner does: whoever acts as them for support does not.
pub(super) fn own_session_of(ctx: &RequestContext) -> Result<(&SignedIn, SessionId), Problem> {
    support::require_own(ctx)?;
    session_of(ctx)
}

/// Signs out: the session ends, with every token made for it.
pub async fn sign_out(app: &App, ctx: &RequestContext) -> Result<(), Problem> {
    let (principal, session) = session_of(ctx)?;
    end(app, ctx, principal.id, session, "signed out").await
}

/// Ends one of one's own sessions.
pub async fn end_own(app: &App, ctx: &RequestContext, session: SessionId) -> Result<(), Problem> {
    let (principal, _) = own_session_of(ctx)?;
    end(app, ctx, principal.id, session, "ended by its owner").await
}

async fn end(
    app: &App,
    ctx: &RequestContext,
    owner: PrincipalId,
    id: SessionId,
    reason: &'static str,
) -> Result<(), Problem> {
    let missing = move || Problem::not_found(format!("you have no session {id}"));
    let ctx_inside = ctx.clone();
    let platform = app.platform();
    app.write(Scope::Installation, platform, ctx.now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let found =
                store::session::get(transaction.tx(), id).await?.filter(|session| session.principal == owner);
            let session = found.ok_or_else(missing)?;
            if !store::session::end(transaction.tx(), id, reason, ctx_inside.now).await? {
                return Err(missing());
            }
            // What applications were given by it goes with it.
            let mut ended =
                store::session::end_of_parent(transaction.tx(), id, reason, ctx_inside.now).await?;
            ended.push(id);
            let event = event(&ctx_inside, platform, &session, "session.end", reason);
            transaction.commit(event, Vec::new(), ended).await
        }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
    })
    .await
    .map(|(ended, _)| forget(app, &ended))
}

/// Ends every session of one's own but the present one; tells how many ended.
pub async fn end_others(app: &App, ctx: &RequestContext) -> Result<usize, Problem> {
    const REASON: &str = "ended by its owner, with every other";
    let (principal, kept) = own_session_of(ctx)?;
    let (who, now, platform, ctx_inside) = (principal.id, ctx.now, app.platform(), ctx.clone());
    let (ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let ended = store::session::end_others(transaction.tx(), who, kept, REASON, now).await?;
                store::token_floor::end_former(transaction.tx(), who, REASON, now).await?;
                // What somebody else began in one of them.
                store::email_change::end_unproved(transaction.tx(), who, now).await?;
                let mut event = crate::audit::event(
                    &ctx_inside,
                    platform,
                    "session.end_others",
                    "principal",
                    who.to_string(),
                );
                event.reason = REASON.to_owned();
                event.after = Some(format!(r#"{{"sessions_ended":{}}}"#, ended.len()));
                transaction.commit(event, Vec::new(), ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    forget(app, &ended);
    Ok(ended.len())
}

/// One's own live sessions, oldest first, one page.
pub async fn list_own(app: &App, ctx: &RequestContext, page: &Page) -> Result<Listing<Session>, Problem> {
    let (principal, _) = own_session_of(ctx)?;
    list_live(app, principal.id, ctx.now, page, |_| true).await
}

/// The live sessions of a principal that a reader may see, oldest first, one page.
pub(super) async fn list_live(
    app: &App,
    owner: PrincipalId,
    now: Timestamp,
    page: &Page,
    is_seen: impl Fn(&Session) -> bool,
) -> Result<Listing<Session>, Problem> {
    let limit = page.limit;
    let mut after = match &page.after {
        None => (Timestamp::MIN, SessionId(0)),
        Some(cursor) => {
            read_cursor(cursor).ok_or_else(|| Problem::invalid("cursor", "not a cursor of this list"))?
        }
    };
    let mut items: Vec<Session> = Vec::new();
    loop {
        let found =
            reading_all!(app.database(), |conn| store::session::of_principal(conn, owner, after, limit))?;
        for session in found.rows {
            after = (session.created_at, session.id);
            if session.is_live(now) && is_seen(&session) {
                items.push(session);
            }
            if items.len() == limit as usize {
                return Ok(Listing { items, next: Some(cursor(after)) });
            }
        }
        if !found.more {
            return Ok(Listing { items, next: None });
        }
    }
}

/// The names of the applications that sessions are of.
pub async fn clients_of(app: &App, sessions: &[Session]) -> Result<BTreeMap<OauthClientId, String>, Problem> {
    let clients: BTreeSet<_> = sessions.iter().filter_map(|session| session.client).collect();
    if clients.is_empty() {
        return Ok(BTreeMap::new());
    }
    reading_all!(app.database(), |conn| async move {
        let mut names = BTreeMap::new();
        for client in clients {
            if let Some(found) = store::oauth_client::anywhere(conn, client).await? {
                names.insert(client, found.name);
            }
        }
        Ok::<_, charter_db::Error>(names)
    })
}

fn cursor((at, id): (Timestamp, SessionId)) -> String {
    format!("{}_{id}", at.micros())
}

fn read_cursor(text: &str) -> Option<(Timestamp, SessionId)> {
    let (at, id) = text.split_once('_')?;
    Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
}
