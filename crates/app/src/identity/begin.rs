//! The beginning of a session: its limits, its cookie, its row with what it pushes out, and the answer with the first tokens.

use super::credential_text::DIGITS;
use super::notice::{self, Notice};
use super::password::Verified;
use super::session_limits::{self, Limits};
use super::{device, refresh_token, session, token};
use crate::App;
use crate::caller::{Caller, RequestContext, SignedIn};
use crate::transaction::Transaction;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_db::Tx;
use charter_kernel::audit::AuditEvent;
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::principal::Principal;
use charter_store::session::Session;
use serde_json::json;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Characters of a cookie: 256 bits.
pub(super) const COOKIE: usize = 43;
/// Most characters that are kept of what a program calls itself.
const USER_AGENT_MAX: usize = 200;

/// What a session is used by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionKind {
    /// A program, or a page that keeps tokens itself: access tokens and a refresh token.
    #[default]
    Bearer,
    /// A browser: a cookie scripts cannot read.
    Cookie,
}

/// What a client says of itself when a session begins.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// What the session is used by.
    pub kind: SessionKind,
    /// The program.
    pub user_agent: Option<String>,
}

impl Opening {
    /// The same again, for a session that takes another's place.
    pub(super) fn like(session: &Session) -> Self {
        let kind = if session.cookie_hash.is_some() { SessionKind::Cookie } else { SessionKind::Bearer };
        Self { kind, user_agent: session.user_agent.clone() }
    }
}

/// A session about to begin.
#[derive(Clone)]
pub(super) struct Begun {
    /// Its row.
    pub session: Session,
    /// What holds for it.
    pub limits: Limits,
    cookie: Option<Zeroizing<String>>,
}

/// A session that began, with what its bearer shows.
pub struct SignIn {
    /// The access token; sessions of browsers have none.
    pub token: Option<Zeroizing<String>>,
    /// When the access token ends; of a browser's session, when it ends unless it is used.
    pub expires_at: Timestamp,
    /// What the next access token is asked for with; sessions of browsers have none.
    pub refresh_token: Option<Zeroizing<String>>,
    /// The cookie of a browser's session, once.
    pub cookie: Option<Zeroizing<String>>,
    /// What pages without Fetch metadata show, for browsers' sessions.
    pub csrf_token: Option<String>,
    /// What makes this device known at the next sign-in, when it was not yet.
    pub device_token: Option<Zeroizing<String>>,
    /// The session.
    pub session: Session,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").field("session", &self.session.id).finish_non_exhaustive()
    }
}

impl SignIn {
    /// The access token, for callers who asked for one.
    pub fn access_token(&self) -> &str {
        self.token.as_ref().map_or("", |token| token)
    }
}

/// What is kept of what a program calls itself.
pub(super) fn shortened(user_agent: String) -> String {
    user_agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_MAX).collect()
}

/// What an event of a session that begins says beside it.
pub(super) fn begun_with(session: &Session) -> Option<String> {
    session.user_agent.as_ref().map(|sent| json!({ "user_agent": sent }).to_string())
}

/// Random digits.
pub(super) fn random_word(app: &App, length: usize) -> Zeroizing<String> {
    let mut word = Zeroizing::new(String::with_capacity(length));
    while word.len() < length {
        let bytes: Zeroizing<[u8; 64]> = Zeroizing::new(app.world().random());
        // 248 is four times 62: a byte below it gives each digit with the same probability.
        let fitting = bytes.iter().filter(|byte| **byte < 248);
        let missing = length - word.len();
        word.extend(
            fitting
                .filter_map(|byte| DIGITS.get(usize::from(byte % 62)).copied().map(char::from))
                .take(missing),
        );
    }
    word
}

/// A session for a principal; refused from an address its organization does not allow.
pub(super) async fn begin(
    app: &App,
    ctx: &RequestContext,
    principal: PrincipalId,
    organization: Option<OrganizationId>,
    opening: Opening,
) -> Result<Begun, Problem> {
    let (now, is_cookie) = (ctx.now, opening.kind == SessionKind::Cookie);
    let limits = session_limits::of(app, principal, organization, is_cookie).await?;
    // 43 digits of 62 are 256 bits.
    let cookie = is_cookie.then(|| random_word(app, COOKIE));
    let expires_at = now.plus_seconds(limits.absolute_seconds);
    let hashed = cookie.as_ref().map(|cookie| app.identity().pepper.stamped_cookie(cookie));
    let session = Session {
        id: SessionId(app.fresh_id()),
        principal,
        organization,
        amr: "pwd".to_owned(),
        authenticated_at: now,
        created_at: now,
        expires_at,
        idle_expires_at: now.plus_seconds(limits.idle_seconds).min(expires_at),
        ended_at: None,
        end_reason: None,
        refresh_counter: 0,
        refreshed_at: None,
        address: ctx.address.map(|address| address.to_string()),
        user_agent: opening.user_agent.map(shortened),
        support: None,
        cookie_hash: hashed.map(|(_, hash)| hash.to_vec()),
        cookie_pepper: hashed.map(|(version, _)| version),
        client: None,
        scope: None,
        audiences: Vec::new(),
        parent: None,
    };
    Ok(Begun { session, limits, cookie })
}

/// A session that takes another's place, by the same proof: it lasts no longer than that one.
pub(super) async fn replace(
    app: &App,
    ctx: &RequestContext,
    old: &Session,
    organization: Option<OrganizationId>,
) -> Result<Begun, Problem> {
    let mut begun = begin(app, ctx, old.principal, organization, Opening::like(old)).await?;
    let new = &mut begun.session;
    new.amr.clone_from(&old.amr);
    new.authenticated_at = old.authenticated_at;
    new.expires_at = new.expires_at.min(old.expires_at);
    new.idle_expires_at = new.idle_expires_at.min(new.expires_at);
    Ok(begun)
}

/// Holds the account of a session that is to begin, before anything of it is read. Whoever deactivates the account comes before this and is
/// seen, or waits and then ends what began. Those who end sessions of a member take the lock of the platform, under which sessions begin.
pub(super) async fn hold(tx: &mut Tx, who: PrincipalId) -> Result<(), Problem> {
    match store::principal::hold(tx, who).await? {
        Some(PrincipalStatus::Active) => Ok(()),
        _ => {
            Err(Problem::new(ProblemKind::Unauthenticated, "the account is not active: ask an administrator"))
        }
    }
}

/// Writes a session; those beyond the number its organization allows end. Gives what ended, and the events.
pub(super) async fn write(
    transaction: &mut Transaction<'_>,
    ctx: &RequestContext,
    platform: OrganizationId,
    begun: &Begun,
    reason: &str,
) -> Result<(Vec<SessionId>, Vec<AuditEvent>), Problem> {
    const SURPLUS: &str = "more sessions than the organization allows";
    let (session, tx) = (&begun.session, transaction.tx());
    store::session::insert(tx, session).await?;
    let ended = match begun.limits.sessions_max {
        None => Vec::new(),
        Some(most) => {
            store::session::end_surplus(tx, session.principal, session.organization, most, SURPLUS, ctx.now)
                .await?
        }
    };
    let mut first = session::event(ctx, platform, session, "session.begin", reason);
    first.after = begun_with(session);
    let mut events = vec![first];
    for id in &ended {
        let gone = Session { id: *id, ..session.clone() };
        events.push(session::event(ctx, platform, &gone, "session.end", SURPLUS));
    }
    Ok((ended, events))
}

/// Ends the session whose place one takes that began, and adds it to what ended, and to the events.
pub(super) async fn take_place(
    transaction: &mut Transaction<'_>,
    ctx: &RequestContext,
    platform: OrganizationId,
    old: Option<Session>,
    (ended, events): &mut (Vec<SessionId>, Vec<AuditEvent>),
) -> Result<(), Problem> {
    const WHY: &str = "somebody signed in in its place";
    if let Some(old) = old
        && store::session::end(transaction.tx(), old.id, WHY, ctx.now).await?
    {
        events.push(session::event(ctx, platform, &old, "session.end", WHY));
        ended.push(old.id);
    }
    Ok(())
}

/// What a page of a browser's session shows to prove that it is ours.
pub fn csrf_token(app: &App, session: SessionId) -> String {
    URL_SAFE_NO_PAD.encode(app.identity().pepper.of_csrf(session.0))
}

/// Whether a page shows that.
pub fn is_csrf_token(app: &App, session: SessionId, token: &str) -> bool {
    let shown = URL_SAFE_NO_PAD.decode(token);
    shown.is_ok_and(|shown| app.identity().pepper.is_csrf(session.0, &shown))
}

/// The answer for a session that began.
pub(super) fn issue(app: &App, begun: Begun, now: Timestamp) -> Result<SignIn, Problem> {
    let Begun { session, cookie, .. } = begun;
    if session.cookie_hash.is_some() {
        return Ok(SignIn {
            token: None,
            expires_at: session.idle_expires_at,
            refresh_token: None,
            cookie,
            csrf_token: Some(csrf_token(app, session.id)),
            device_token: None,
            session,
        });
    }
    issue_tokens(app, session, now)
}

/// What the principal of a session proved; who acts as them proved it for themselves.
fn proved(session: &Session) -> Vec<String> {
    match session.support {
        Some(_) => vec![super::support::AMR.to_owned()],
        None => session.amr.split(' ').map(str::to_owned).collect(),
    }
}

/// Tokens for a session that is used by them.
pub(super) fn issue_tokens(app: &App, session: Session, now: Timestamp) -> Result<SignIn, Problem> {
    let identity = app.identity();
    let claims = identity.terms.claims(
        now,
        app.fresh_id(),
        session.principal,
        session.organization,
        session.id,
        proved(&session),
        session.authenticated_at,
        session.expires_at,
        session.support.as_ref().map(|support| support.by),
    );
    let token = token::mint(&identity.keys(), &claims).ok_or_else(|| {
        Problem::new(ProblemKind::Unavailable, "no signing key is active yet: try again in a second")
            .retry_after(1)
    })?;
    let refresh =
        refresh_token::make(&identity.pepper, identity.settings.is_live, session.id, session.refresh_counter);
    Ok(SignIn {
        token: Some(Zeroizing::new(token)),
        expires_at: Timestamp::from_seconds(claims.exp),
        refresh_token: Some(refresh),
        cookie: None,
        csrf_token: None,
        device_token: None,
        session,
    })
}

/// A token that makes the device of a sign-in known.
pub(super) fn device_token(
    app: &App,
    account: &super::throttle::AccountKey,
    now: Timestamp,
) -> Zeroizing<String> {
    device::make(&app.identity().pepper, account, app.world().random(), now)
}

/// Refuses when the account changed since its password was proved: whoever set a new one wins, and ended the sessions of the old. A
/// hash that was to be replaced by a better one of the same password may have been so by another sign-in.
pub(super) async fn require_unchanged(
    transaction: &mut Transaction<'_>,
    proved: &Principal,
    verified: &Verified,
) -> Result<(), Problem> {
    hold(transaction.tx(), proved.id).await?;
    let present = store::principal::by_id(transaction.tx(), proved.id).await?;
    let is_same = present.is_some_and(|it| {
        let is_rehashed = matches!(verified, Verified::Rehashed(_));
        let is_same_password = it.password_hash == proved.password_hash
            || is_rehashed && it.password_changed_at == proved.password_changed_at;
        it.status == proved.status && is_same_password
    });
    if is_same {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::Unavailable, "the account was changed meanwhile: try again").retry_after(1))
}

/// Tells the owner of a session that begins on a device that is not known, from where none began lately.
pub(super) async fn tell_if_new(
    app: &App,
    transaction: &mut Transaction<'_>,
    ctx: &RequestContext,
    session: &Session,
    is_known_device: bool,
) -> Result<(), Problem> {
    if is_known_device || store::session::is_familiar(transaction.tx(), session).await? {
        return Ok(());
    }
    let notice = Notice::NewSignIn { address: ctx.address, user_agent: session.user_agent.clone() };
    notice::queue(app, transaction.tx(), session.principal, notice, ctx.now).await
}

/// The context of a request whose caller turned out to be this principal, for the audit trail.
pub(super) fn acting_as(ctx: &RequestContext, principal: &Principal) -> RequestContext {
    let mut ctx = ctx.clone();
    ctx.caller = Caller::Principal(Arc::new(SignedIn::without_session(principal.clone())));
    ctx
}
