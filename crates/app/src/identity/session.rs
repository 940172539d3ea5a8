//! Sessions: what a node remembers of them.
//!
//! A session is read from the database when a token or cookie first names it here, and again when what is remembered is half a minute
//! old. One that ended stays ended in memory; those that ended on other nodes are learned by a poll. That a cookie was used is
//! noted in memory and written about every ten seconds for all sessions together.

use super::membership;
use super::oauth::scope;
use super::session_limits;
use super::support;
use super::token::{self, Claims};
use crate::App;
use crate::audit;
use crate::caller::{ByClient, Ceiling, RequestContext, SignedIn};
use arc_swap::ArcSwapOption;
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{
    OauthClientId, OrganizationId, PrincipalId, Problem, ProblemKind, SessionId, Timestamp,
};
use charter_policy::Index;
use charter_store as store;
use charter_store::principal::Principal;
use charter_store::session::{Session, Support};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What is remembered longer than this is read again.
const READ_AGAIN_SECONDS: i64 = 30;
/// The poll reaches back this far before the last: longer than a change may take to become final.
pub(super) const OVERLAP_SECONDS: i64 = 60;
/// How long a session that is over is kept.
const KEPT_SECONDS: i64 = 30 * 86_400;
/// A session used again within this is not noted again.
const NOTE_SECONDS: i64 = 60;
/// What was noted is written together at most this often.
const WRITE_SECONDS: i64 = 10;
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
    /// The organization it is for.
    pub organization: Option<OrganizationId>,
    /// How the principal proved itself.
    pub amr: Vec<String>,
    /// When it did.
    pub authenticated_at: Timestamp,
    /// Whether it is used by a cookie.
    pub is_cookie: bool,
    /// Which pepper hashed the cookie.
    pub cookie_pepper: Option<u32>,
    /// The OAuth client that has it.
    pub client: Option<OauthClientId>,
    /// When the session ends unless it is used.
    pub ends_at: Timestamp,
    /// Who really acts, in a support session, and what is left to them.
    pub(super) support: Option<(Arc<Support>, Ceiling)>,
    /// When the session ends however it is used.
    ends_latest_at: Timestamp,
    idle_seconds: i64,
    noted_at: Timestamp,
    read_at: Timestamp,
    by_token: ArcSwapOption<(Arc<Claims>, Arc<SignedIn>)>,
    by_cookie: OnceLock<Arc<SignedIn>>,
}

impl Known {
    /// Who signed in, with what their token says; made once as long as requests come with the same token.
    pub(super) fn signed_in(&self, claims: &Arc<Claims>, index: &Arc<Index>) -> Arc<SignedIn> {
        if let Some(last) = &*self.by_token.load()
            && Arc::ptr_eq(&last.0, claims)
        {
            return Arc::clone(&last.1);
        }
        let expires_at = Timestamp::from_seconds(claims.exp);
        let signed_in = match self.client {
            None => self.made(Some(claims.sid), claims.org, expires_at),
            Some(id) => {
                let by_client = ByClient { id, scope: claims.scope.clone().unwrap_or_default() };
                let ceiling = Ceiling::new(scope::patterns(&by_client.scope), index);
                let made = self.made(None, claims.org, expires_at);
                Arc::new(SignedIn {
                    ceiling: Some(ceiling),
                    by_client: Some(by_client),
                    ..Arc::unwrap_or_clone(made)
                })
            }
        };
        self.by_token.store(Some(Arc::new((Arc::clone(claims), Arc::clone(&signed_in)))));
        signed_in
    }

    /// Who really acts, in a support session.
    pub(super) fn supporter(&self) -> Option<PrincipalId> {
        self.support.as_ref().map(|(support, _)| support.by)
    }

    /// Whether the session is of the client a token says it was issued to.
    pub(super) fn is_of_client(&self, claims: &Claims) -> bool {
        match self.client {
            None => claims.client_id == token::CLIENT,
            Some(id) => claims.client_id == id.to_string(),
        }
    }

    /// Who signed in in a browser; made once as long as nothing new is known of the session.
    pub(super) fn signed_in_by_cookie(&self, id: SessionId) -> Arc<SignedIn> {
        Arc::clone(self.by_cookie.get_or_init(|| self.made(Some(id), self.organization, self.ends_at)))
    }

    fn made(
        &self,
        session: Option<SessionId>,
        organization: Option<OrganizationId>,
        expires_at: Timestamp,
    ) -> Arc<SignedIn> {
        Arc::new(SignedIn {
            id: self.principal,
            kind: self.kind,
            login: self.login.clone(),
            name: self.name.clone(),
            session,
            credential: None,
            organization,
            ceiling: self.support.as_ref().map(|(_, ceiling)| ceiling.clone()),
            by_client: None,
            amr: if self.support.is_some() { vec![support::AMR.to_owned()] } else { self.amr.clone() },
            authenticated_at: Some(self.authenticated_at).filter(|_| self.support.is_none()),
            expires_at: Some(expires_at),
            legacy_issued_at: None,
            support: self.support.as_ref().map(|(support, _)| Arc::clone(support)),
        })
    }
}

/// Sessions whose use waits to be written: when, and until when they may rest now.
#[derive(Debug, Default)]
pub struct Uses {
    waiting: Mutex<HashMap<SessionId, (Timestamp, Timestamp)>>,
    written_at: Mutex<Option<Timestamp>>,
}

/// Whether the principal of a session may act by it. An application's ends with the membership, and with the browser's session it came of.
pub(super) async fn is_standing(
    conn: &mut Conn,
    session: &Session,
    principal: &Principal,
    now: Timestamp,
) -> Result<bool, charter_db::Error> {
    if !membership::is_standing(conn, principal, session.organization).await? {
        return Ok(false);
    }
    let (Some(_), Some(organization)) = (session.client, session.organization) else { return Ok(true) };
    if let Some(parent) = session.parent {
        let parent = store::session::get(conn, parent).await?;
        if !parent.is_some_and(|parent| parent.is_live(now)) {
            return Ok(false);
        }
    }
    membership::is_standing_member(conn, organization, principal.id, now).await
}

/// The session a token names, when it may be used.
pub(super) async fn known(app: &App, id: SessionId, now: Timestamp) -> Result<Option<Arc<Known>>, Problem> {
    let identity = app.identity();
    let remembered = identity.sessions.get(&id);
    match &remembered {
        Some(Remembered::Ended) => return Ok(None),
        // One that seems to be over may have been used on another node.
        Some(Remembered::Live(known))
            if known.read_at.plus_seconds(READ_AGAIN_SECONDS) > now && known.ends_at > now =>
        {
            return Ok(Some(Arc::clone(known)));
        }
        _ => {}
    }
    let settings = identity.settings.clone();
    let read = reading_all!(app.database(), |conn| async move {
        let Some(session) = store::session::get(conn, id).await? else { return Ok(None) };
        let Some(principal) = store::principal::by_id(conn, session.principal).await? else {
            return Ok(None);
        };
        let is_active = is_standing(conn, &session, &principal, now).await?;
        let is_cookie = session.cookie_hash.is_some();
        let limits =
            session_limits::read(conn, &settings, principal.id, session.organization, is_cookie).await?;
        Ok::<_, charter_db::Error>(Some((session, principal, is_active, limits)))
    });
    let found = match (read, remembered) {
        (Ok(found), _) => found,
        // The database is away: what is remembered holds until the poll, too, is older than allowed.
        (Err(problem), Some(Remembered::Live(known))) if problem.kind == ProblemKind::Unavailable => {
            return Ok((known.ends_at > now).then_some(known));
        }
        (Err(problem), _) => return Err(problem),
    };
    let Some((session, principal, is_active, limits)) = found else { return Ok(None) };
    if session.ended_at.is_some() {
        identity.sessions.put(id, Remembered::Ended, |_| false);
        return Ok(None);
    }
    let ends_latest_at = limits.ends_at(&session);
    // A use that waits to be written counts already.
    let noted = identity.uses.of(id);
    let idle_expires_at =
        noted.map_or(session.idle_expires_at, |(_, until)| until.max(session.idle_expires_at));
    let ends_at = ends_latest_at.min(idle_expires_at);
    let support = session.support.map(|by| (Arc::new(by), support::ceiling(app)));
    let known = Arc::new(Known {
        support,
        principal: principal.id,
        kind: principal.kind,
        login: principal.login_folded,
        name: principal.name,
        is_active,
        organization: session.organization,
        amr: session.amr.split(' ').map(str::to_owned).collect(),
        authenticated_at: session.authenticated_at,
        is_cookie: session.cookie_hash.is_some(),
        cookie_pepper: session.cookie_pepper,
        client: session.client,
        ends_at,
        ends_latest_at,
        idle_seconds: limits.idle_seconds,
        noted_at: noted.map_or_else(|| session.refreshed_at.unwrap_or(session.created_at), |(at, _)| at),
        read_at: now,
        by_token: ArcSwapOption::empty(),
        by_cookie: OnceLock::new(),
    });
    identity
        .sessions
        .put(id, Remembered::Live(Arc::clone(&known)), |there| matches!(there, Remembered::Ended));
    // It may have ended while it was read.
    let has_ended = matches!(identity.sessions.get(&id), Some(Remembered::Ended));
    Ok((!has_ended && ends_at > now).then_some(known))
}

impl Uses {
    fn of(&self, id: SessionId) -> Option<(Timestamp, Timestamp)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }
}

/// Takes note that a session was used by its cookie now.
pub(super) fn note_use(app: &App, id: SessionId, known: &Arc<Known>, now: Timestamp) {
    if known.noted_at.plus_seconds(NOTE_SECONDS) > now {
        return;
    }
    let until = now.plus_seconds(known.idle_seconds).min(known.ends_latest_at);
    let identity = app.identity();
    identity.uses.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (now, until));
    let used = Known {
        ends_at: until,
        noted_at: now,
        login: known.login.clone(),
        name: known.name.clone(),
        amr: known.amr.clone(),
        support: known.support.clone(),
        by_token: ArcSwapOption::empty(),
        by_cookie: OnceLock::new(),
        ..**known
    };
    identity.sessions.put(id, Remembered::Live(Arc::new(used)), |there| matches!(there, Remembered::Ended));
}

/// Writes the uses that wait. What cannot be written waits on.
pub(super) async fn write_uses(app: &App, now: Timestamp) -> Result<(), Problem> {
    let uses = &app.identity().uses;
    let due: Vec<(SessionId, (Timestamp, Timestamp))> = {
        let mut written_at = uses.written_at.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = uses.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_early = written_at.is_some_and(|at| at.plus_seconds(WRITE_SECONDS) > now);
        if waiting.is_empty() || is_early {
            return Ok(());
        }
        *written_at = Some(now);
        waiting.iter().map(|(id, use_)| (*id, *use_)).collect()
    };
    let rows = due.clone();
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                for (id, (at, until)) in rows {
                    store::session::touch(tx, id, at, until).await?;
                }
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await?;
    let mut waiting = uses.waiting.lock().unwrap_or_else(PoisonError::into_inner);
    for (id, use_) in due {
        if waiting.get(&id) == Some(&use_) {
            waiting.remove(&id);
        }
    }
    Ok(())
}

/// The session a cookie leads to; none when it has not the form of one, or leads nowhere.
pub(super) async fn id_of_cookie(app: &App, cookie: &str) -> Result<Option<SessionId>, Problem> {
    if cookie.len() != super::begin::COOKIE || !cookie.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(None);
    }
    let identity = app.identity();
    let hashes = identity.pepper.every_cookie(cookie);
    if let Some(id) = hashes.iter().find_map(|hash| identity.cookies.get(hash)) {
        return Ok(Some(id));
    }
    let found = reading_all!(app.database(), |conn| async move {
        for hash in hashes {
            if let Some(session) = store::session::by_cookie(conn, &hash).await? {
                return Ok::<_, charter_db::Error>(Some((hash, session.id)));
            }
        }
        Ok(None)
    })?;
    Ok(found.map(|(hash, id)| {
        identity.cookies.put(hash, id, |_| false);
        id
    }))
}

/// The live session a cookie leads to.
pub(super) async fn by_cookie(app: &App, cookie: &str) -> Result<Option<Session>, Problem> {
    let Some(id) = id_of_cookie(app, cookie).await? else { return Ok(None) };
    let now = app.now();
    let found = reading_all!(app.database(), |conn| store::session::get(conn, id))?;
    Ok(found.filter(|session| session.is_live(now)))
}

/// Signs somebody out everywhere: every session ends, and so do the tokens of a former system that were issued until now. Gives the
/// sessions that ended.
pub(crate) async fn end_everywhere(
    tx: &mut Tx,
    who: PrincipalId,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<SessionId>, Problem> {
    store::token_floor::end_former(tx, who, reason, now).await?;
    Ok(store::session::end_of_principal(tx, who, reason, now).await?)
}

/// This node lets nobody in by this session any more.
pub(crate) fn forget(app: &App, ended: &[SessionId]) {
    let identity = app.identity();
    for id in ended {
        identity.sessions.put(*id, Remembered::Ended, |_| false);
    }
    if !ended.is_empty() {
        identity.verified.forget(|id| ended.contains(&id));
    }
}

/// Learns which sessions ended elsewhere.
pub(crate) async fn learn_ended(app: &App, since: Timestamp) -> Result<(), Problem> {
    let since = since.plus_seconds(-OVERLAP_SECONDS);
    let ended = reading_all!(app.database(), |conn| store::session::ended_since(conn, since))?;
    for id in ended {
        app.identity().sessions.put(id, Remembered::Ended, |_| false);
    }
    Ok(())
}

/// Forgets guesses of yesterday, and sessions that have been over for a month; what became of them is in the trail.
pub(super) async fn purge(app: &App, now: Timestamp) -> Result<(), Problem> {
    let (before, floor) = (now.plus_seconds(-KEPT_SECONDS), now.plus_seconds(-FLOOR_SECONDS));
    let day = now.plus_seconds(-86_400);
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                store::session::purge(tx, before, day).await?;
                store::sign_in_counter::purge(tx, day).await?;
                store::token_floor::purge(tx, floor).await?;
                store::second_factor::purge(tx, day).await?;
                store::spent_challenge::purge(tx, day).await?;
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
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
