//! Sessions: what a node remembers of them, listing and ending one's own, signing out.
//!
//! A session is read from the database when a token first names it here, and again when what is remembered is half a minute old. One
//! that ended stays ended in memory; those that ended on other nodes are learned by a poll.

use super::sign_in;
use super::token::Claims;
use crate::App;
use crate::audit;
use crate::caller::{Caller, Listing, Page, RequestContext, SignedIn};
use crate::transaction::{Committed, Transaction};
use arc_swap::ArcSwapOption;
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::session::Session;
use std::sync::Arc;

/// What is remembered longer than this is read again.
const READ_AGAIN_SECONDS: i64 = 30;
/// The poll reaches back this far before the last: longer than a change may take to become final.
pub(super) const OVERLAP_SECONDS: i64 = 60;
/// How long a session that is over is kept.
const KEPT_SECONDS: i64 = 30 * 86_400;
/// No token lives this long: a floor that lies further back refuses nothing.
const FLOOR_SECONDS: i64 = 40 * 86_400;

/// What a node remembers of a session.
#[derive(Debug, Clone)]
pub enum Remembered {
    /// It may be used.
    Live(Arc<Known>),
    /// It has ended, for good.
    Ended,
}

/// A live session with its principal.
#[derive(Debug)]
pub struct Known {
    /// The principal.
    pub principal: PrincipalId,
    /// User or service account.
    pub kind: PrincipalKind,
    /// Its login.
    pub login: String,
    /// Its name.
    pub name: String,
    /// Whether the principal may act.
    pub is_active: bool,
    /// When the session ends at the latest.
    pub ends_at: Timestamp,
    read_at: Timestamp,
    last: ArcSwapOption<(Arc<Claims>, Arc<SignedIn>)>,
}

impl Known {
    /// Who signed in, with what their token says; made once as long as requests come with the same token.
    pub(super) fn signed_in(&self, claims: &Arc<Claims>) -> Arc<SignedIn> {
        if let Some(last) = &*self.last.load()
            && Arc::ptr_eq(&last.0, claims)
        {
            return Arc::clone(&last.1);
        }
        let signed_in = Arc::new(SignedIn {
            id: self.principal,
            kind: self.kind,
            login: self.login.clone(),
            name: self.name.clone(),
            session: Some(claims.sid),
            credential: None,
            organization: claims.org,
            ceiling: None,
            amr: claims.amr.clone(),
            expires_at: Some(Timestamp::from_seconds(claims.exp)),
        });
        self.last.store(Some(Arc::new((Arc::clone(claims), Arc::clone(&signed_in)))));
        signed_in
    }
}

/// The session a token names, when it may be used.
pub(super) async fn known(app: &App, id: SessionId, now: Timestamp) -> Result<Option<Arc<Known>>, Problem> {
    let identity = app.identity();
    let remembered = identity.sessions.get(&id);
    match &remembered {
        Some(Remembered::Ended) => return Ok(None),
        Some(Remembered::Live(known)) if known.read_at.plus_seconds(READ_AGAIN_SECONDS) > now => {
            return Ok((known.ends_at > now).then(|| Arc::clone(known)));
        }
        _ => {}
    }
    let read = reading_all!(app.database(), |conn| async move {
        let Some(session) = store::session::get(conn, id).await? else { return Ok(None) };
        let Some(principal) = store::principal::by_id(conn, session.principal).await? else {
            return Ok(None);
        };
        let is_active = sign_in::is_standing(conn, &principal, session.organization).await?;
        Ok::<_, charter_db::Error>(Some((session, principal, is_active)))
    });
    let found = match (read, remembered) {
        (Ok(found), _) => found,
        // The database is away: what is remembered holds until the poll, too, is older than allowed.
        (Err(problem), Some(Remembered::Live(known))) if problem.kind == ProblemKind::Unavailable => {
            return Ok((known.ends_at > now).then_some(known));
        }
        (Err(problem), _) => return Err(problem),
    };
    let Some((session, principal, is_active)) = found else { return Ok(None) };
    if session.ended_at.is_some() {
        identity.sessions.put(id, Remembered::Ended, |_| false);
        return Ok(None);
    }
    let known = Arc::new(Known {
        principal: principal.id,
        kind: principal.kind,
        login: principal.login_folded,
        name: principal.name,
        is_active,
        ends_at: session.expires_at.min(session.idle_expires_at),
        read_at: now,
        last: ArcSwapOption::empty(),
    });
    identity
        .sessions
        .put(id, Remembered::Live(Arc::clone(&known)), |there| matches!(there, Remembered::Ended));
    // It may have ended while it was read.
    let has_ended = matches!(identity.sessions.get(&id), Some(Remembered::Ended));
    Ok((!has_ended && session.is_live(now)).then_some(known))
}

/// This node lets nobody in by this session any more.
pub(super) fn forget(app: &App, ended: &[SessionId]) {
    let identity = app.identity();
    for id in ended {
        identity.sessions.put(*id, Remembered::Ended, |_| false);
    }
    if !ended.is_empty() {
        identity.verified.forget(|id| ended.contains(&id));
    }
}

/// Learns which sessions ended elsewhere.
pub(super) async fn learn_ended(app: &App, since: Timestamp) -> Result<(), Problem> {
    let since = since.plus_seconds(-OVERLAP_SECONDS);
    let ended = reading_all!(app.database(), |conn| store::session::ended_since(conn, since))?;
    for id in ended {
        app.identity().sessions.put(id, Remembered::Ended, |_| false);
    }
    Ok(())
}

/// Forgets sessions that have been over for a month; what became of them is in the trail.
pub(super) async fn purge(app: &App, now: Timestamp) -> Result<(), Problem> {
    let (before, floor) = (now.plus_seconds(-KEPT_SECONDS), now.plus_seconds(-FLOOR_SECONDS));
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                store::session::purge(tx, before).await?;
                store::token_floor::purge(tx, floor).await?;
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}

/// The signed-in principal, or the problem why there is none.
pub fn principal_of(ctx: &RequestContext) -> Result<&SignedIn, Problem> {
    match &ctx.caller {
        Caller::Principal(principal) => Ok(principal),
        Caller::Operator { .. } => Err(Problem::new(
            ProblemKind::Forbidden,
            "the operator has no account: sign in as a user to do this",
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
            "a service token has no session: this is for people who signed in",
        )
    })?;
    Ok((principal, session))
}

/// Signs out: the session ends, with every token made for it.
pub async fn sign_out(app: &App, ctx: &RequestContext) -> Result<(), Problem> {
    let (principal, session) = session_of(ctx)?;
    end(app, ctx, principal.id, session, "signed out").await
}

/// Ends one of one's own sessions.
pub async fn end_own(app: &App, ctx: &RequestContext, session: SessionId) -> Result<(), Problem> {
    let (principal, _) = session_of(ctx)?;
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
            let event = event(&ctx_inside, platform, &session, "session.end", reason);
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    forget(app, &[id]);
    Ok(())
}

/// An event about a session, in the trail of its organization; in the platform's while none is chosen.
pub(super) fn event(
    ctx: &RequestContext,
    platform: OrganizationId,
    session: &Session,
    action: &'static str,
    reason: &str,
) -> charter_kernel::audit::AuditEvent {
    let organization = session.organization.unwrap_or(platform);
    let mut event = audit::event(ctx, organization, action, "session", session.id.to_string());
    event.reason = reason.to_owned();
    event
}

/// One's own live sessions, oldest first, one page.
pub async fn list_own(app: &App, ctx: &RequestContext, page: &Page) -> Result<Listing<Session>, Problem> {
    let (principal, _) = session_of(ctx)?;
    let (owner, limit, now) = (principal.id, page.limit, ctx.now);
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
            if session.is_live(now) {
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

fn cursor((at, id): (Timestamp, SessionId)) -> String {
    format!("{}_{id}", at.micros())
}

fn read_cursor(text: &str) -> Option<(Timestamp, SessionId)> {
    let (at, id) = text.split_once('_')?;
    Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
}
