//! Signing in with a password, and turning a session to another organization.
//!
//! An unknown login, a wrong password, an account that may not act: one answer, the same work, one audit event each. Only who has the
//! right password learns more.

use super::begin::{self, Begun, acting_as, begin, issue, issue_tokens, replace};
use super::notice::{self, Notice};
use super::own_session::{own_session_of, principal_of};
use super::password::{Password, Verified};
use super::throttle::AccountKey;
use super::{guesses, session, session_limits};
use crate::App;
use crate::audit;
use crate::caller::{Caller, RequestContext};
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Conn, Scope};
use charter_kernel::audit::{Actor, Outcome};
use charter_kernel::facts::{MemberFact, OrganizationStatus, PrincipalKind, PrincipalStatus};
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::principal::Principal;
use charter_store::session::Session;
use serde_json::json;
use zeroize::Zeroizing;

pub use super::begin::{Opening, SessionKind, SignIn};

/// Longest login that is looked at.
const LOGIN_MAX: usize = 512;

/// What somebody typed to sign in.
pub struct SignInDraft {
    /// E-mail.
    pub login: String,
    /// Password.
    pub password: Zeroizing<String>,
    /// The organization to work in, by key or id; left out, the one membership there is, or any.
    pub organization: Option<String>,
    /// What the session is to be used by, and the program it is typed into.
    pub opening: Opening,
    /// The token that makes the device known, where it has one.
    pub device: Option<String>,
    /// The cookie of a session that this one takes the place of.
    pub replaces: Option<String>,
}

impl std::fmt::Debug for SignInDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInDraft").field("login", &self.login).finish_non_exhaustive()
    }
}

fn invalid_credentials() -> Problem {
    Problem::new(ProblemKind::InvalidCredentials, "login or password is wrong")
}

fn no_organization() -> Problem {
    Problem::not_found("no such organization, or you are not a member of it")
}

/// Signs a user in.
pub async fn sign_in(app: &App, ctx: &RequestContext, draft: SignInDraft) -> Result<SignIn, Problem> {
    let (identity, now) = (app.identity(), ctx.now);
    let user_agent = draft.opening.user_agent.clone().map(begin::shortened);
    // What cannot be anybody's login goes the way of one that is nobody's.
    let is_possible = draft.login.len() <= LOGIN_MAX && !draft.login.contains('\0');
    let login = if is_possible { text::fold_login(&draft.login) } else { String::new() };
    let account = identity.pepper.of_login(&login);
    let counter = guesses::of_account(app, &account, draft.device.as_deref(), now);
    guesses::take(app, ctx.address, counter, now).await?;
    let places = guesses::of_places(app, &login, draft.organization.as_deref());
    if counter == account {
        guesses::require_free_places(app, &places, now).await?;
    }
    let wanted = login.clone();
    let found = reading_all!(app.database(), |conn| async move {
        let Some(found) = store::principal::by_login(conn, &wanted).await? else { return Ok(None) };
        let is_standing = is_standing(conn, &found, None).await?;
        Ok::<_, charter_db::Error>(Some((found, is_standing)))
    })?;
    let is_active = found.as_ref().is_some_and(|(_, is_standing)| *is_standing);
    let found = found.map(|(principal, _)| principal);
    let stored = found
        .as_ref()
        .filter(|principal| principal.kind == PrincipalKind::User)
        .and_then(|it| it.password_hash.clone());
    let verified =
        identity.hasher.verify(Password::typed(&draft.password), stored, app.world().random()).await?;
    let principal = match (found, &verified) {
        (Some(principal), Verified::Right | Verified::Rehashed(_)) if is_active => principal,
        (found, _) => {
            record_failure(app, ctx, found, is_active, &account, places, user_agent.as_deref()).await?;
            return Err(invalid_credentials());
        }
    };
    let organization = match &draft.organization {
        Some(text) => Some(membership(app, &principal, text, now).await?),
        None => only_membership(app, &principal, now).await?,
    };
    let begun = begin(app, ctx, principal.id, organization, draft.opening).await?;
    require_address(app, ctx, &principal, &begun).await?;
    let old = match &draft.replaces {
        Some(cookie) => session::by_cookie(app, cookie).await?,
        None => None,
    };
    let ctx_inside = acting_as(ctx, &principal);
    let (new, platform, app_inside) = (begun.clone(), app.platform(), app.clone());
    let is_known = counter != account;
    let (ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                begin::require_unchanged(&mut transaction, &principal, &verified).await?;
                if let (Verified::Rehashed(better), Some(old)) = (&verified, &principal.password_hash) {
                    store::principal::rehash(transaction.tx(), principal.id, old, better).await?;
                }
                guesses::forgive(transaction.tx(), &counter).await?;
                if !is_known && !store::session::is_familiar(transaction.tx(), &new.session).await? {
                    let user_agent = new.session.user_agent.clone();
                    let notice = Notice::NewSignIn { address: ctx_inside.address, user_agent };
                    notice::queue(&app_inside, transaction.tx(), principal.id, notice, now).await?;
                }
                let why = "signed in with a password";
                let (mut ended, mut events) =
                    begin::write(&mut transaction, &ctx_inside, platform, &new, why).await?;
                if let Some(old) = old {
                    let why = "somebody signed in in its place";
                    if store::session::end(transaction.tx(), old.id, why, now).await? {
                        events.push(session::event(&ctx_inside, platform, &old, "session.end", why));
                        ended.push(old.id);
                    }
                }
                let first = events.remove(0);
                transaction.commit(first, events, ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    let mut done = issue(app, begun, now)?;
    done.device_token = (!is_known).then(|| begin::device_token(app, &account, now));
    Ok(done)
}

/// Refuses a session from an address its organization does not allow, and leaves word of it.
async fn require_address(
    app: &App,
    ctx: &RequestContext,
    principal: &Principal,
    begun: &Begun,
) -> Result<(), Problem> {
    if begun.limits.allow_address(ctx.address) {
        return Ok(());
    }
    let (platform, ctx_inside) = (app.platform(), acting_as(ctx, principal));
    let why = "from an address the organization does not allow";
    let mut event = session::event(&ctx_inside, platform, &begun.session, "session.begin", why);
    event.outcome = Outcome::Denied;
    event.after = begin::begun_with(&begun.session);
    app.write(Scope::Installation, platform, ctx.now, move |transaction: Transaction<'_>| {
        Box::pin(async move { transaction.commit(event, Vec::new(), ()).await })
            as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    Err(session_limits::wrong_address())
}

async fn record_failure(
    app: &App,
    ctx: &RequestContext,
    found: Option<Principal>,
    is_active: bool,
    account: &[u8; 32],
    places: Vec<[u8; 32]>,
    user_agent: Option<&str>,
) -> Result<(), Problem> {
    let (platform, now) = (app.platform(), ctx.now);
    let target = found.as_ref().map_or_else(|| "unknown".to_owned(), |principal| principal.id.to_string());
    let mut event = audit::event(ctx, platform, "session.begin", "principal", target);
    event.actor = Actor::Nobody;
    event.outcome = Outcome::Denied;
    event.reason = match &found {
        None => "unknown login".to_owned(),
        Some(principal) if principal.status != PrincipalStatus::Active => {
            format!("account {}", principal.status.as_str())
        }
        Some(_) if !is_active => "no membership is active".to_owned(),
        Some(_) => "wrong password".to_owned(),
    };
    // The same guesses can be told apart from others without keeping what was typed, which may have been a password.
    let mut after = json!({ "login_hash": audit::hex(account.get(..8).unwrap_or_default()) });
    if let (Some(after), Some(sent)) = (after.as_object_mut(), user_agent) {
        after.insert("user_agent".to_owned(), sent.into());
    }
    event.after = Some(after.to_string());
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            guesses::count_places(transaction.tx(), &places, now).await?;
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await
    .map(|_| ())
}

/// A session for whoever came with a token of the former system.
pub(super) async fn begin_from_legacy(
    app: &App,
    ctx: &RequestContext,
    principal: &Principal,
    organization: Option<String>,
    opening: Opening,
) -> Result<Begun, Problem> {
    let organization = match &organization {
        Some(text) => Some(membership(app, principal, text, ctx.now).await?),
        None => only_membership(app, principal, ctx.now).await?,
    };
    let mut begun = begin(app, ctx, principal.id, organization, opening).await?;
    require_address(app, ctx, principal, &begun).await?;
    begun.session.amr = super::legacy_caller::LEGACY.to_owned();
    Ok(begun)
}

fn is_live(member: &MemberFact, now: Timestamp) -> bool {
    member.standing() == PrincipalStatus::Active && member.window.is_live(now)
}

/// Whether somebody may act: the account is active, and so is the membership of the organization, or any one there is.
pub(super) async fn is_standing(
    conn: &mut Conn,
    principal: &Principal,
    organization: Option<OrganizationId>,
) -> Result<bool, charter_db::Error> {
    if principal.status != PrincipalStatus::Active {
        return Ok(false);
    }
    let places = match organization {
        Some(organization) => vec![organization],
        None => store::membership::organizations_of(conn, principal.id).await?,
    };
    let mut is_stopped = false;
    for place in places {
        match store::membership::get(conn, place, principal.id).await? {
            Some(member) if member.standing() == PrincipalStatus::Active => return Ok(true),
            Some(_) => is_stopped = true,
            None => {}
        }
    }
    Ok(!is_stopped)
}

/// Whether somebody may act in an organization as a member of it now. Applications are let in by members, and by nobody else.
pub(super) async fn is_standing_member(
    conn: &mut Conn,
    organization: OrganizationId,
    who: PrincipalId,
    now: Timestamp,
) -> Result<bool, charter_db::Error> {
    let Some(principal) = store::principal::by_id(conn, who).await? else { return Ok(false) };
    let member = store::membership::get(conn, organization, who).await?;
    let place = store::organization::get(conn, organization).await?;
    let is_open = place.is_some_and(|place| place.organization.status == OrganizationStatus::Active);
    Ok(is_open
        && principal.status == PrincipalStatus::Active
        && member.is_some_and(|member| is_live(&member, now)))
}

/// The organization a text names, when the principal is a member of it now.
async fn membership(
    app: &App,
    principal: &Principal,
    text: &str,
    now: Timestamp,
) -> Result<OrganizationId, Problem> {
    let organization = app.resolve_organization(text).await?;
    let who = principal.id;
    let found =
        reading!(app.database(), organization, |conn| store::membership::get(conn, organization, who))?;
    found.filter(|member| is_live(member, now)).map(|_| organization).ok_or_else(no_organization)
}

/// The one organization the principal is a member of now, if it is one.
async fn only_membership(
    app: &App,
    principal: &Principal,
    now: Timestamp,
) -> Result<Option<OrganizationId>, Problem> {
    let live: Vec<_> = memberships(app, principal.id, now).await?.into_iter().map(|found| found.id).collect();
    Ok(match live.as_slice() {
        [only] => Some(*only),
        _ => None,
    })
}

/// An organization somebody is a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnMembership {
    /// Its id.
    pub id: OrganizationId,
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub status: OrganizationStatus,
}

/// The organizations a principal is a member of now.
async fn memberships(app: &App, who: PrincipalId, now: Timestamp) -> Result<Vec<OwnMembership>, Problem> {
    reading_all!(app.database(), |conn| async move {
        let mut found = Vec::new();
        for id in store::membership::organizations_of(conn, who).await? {
            let member = store::membership::get(conn, id, who).await?;
            if !member.is_some_and(|member| is_live(&member, now)) {
                continue;
            }
            if let Some(row) = store::organization::get(conn, id).await? {
                let fact = row.organization;
                found.push(OwnMembership {
                    id,
                    key: fact.key.to_string(),
                    name: fact.name,
                    status: fact.status,
                });
            }
        }
        found.sort_by(|a: &OwnMembership, b| a.key.cmp(&b.key));
        Ok::<_, charter_db::Error>(found)
    })
}

/// Who somebody is, and where they may work.
#[derive(Debug, Clone)]
pub struct Me {
    /// The account, unless it is the operator.
    pub principal: Option<crate::caller::SignedIn>,
    /// The operator's account at the machine.
    pub operator: Option<String>,
    /// The organizations they are members of now.
    pub organizations: Vec<OwnMembership>,
}

/// Who is asking.
pub async fn me(app: &App, ctx: &RequestContext) -> Result<Me, Problem> {
    if let Caller::Operator { account } = &ctx.caller {
        return Ok(Me { principal: None, operator: Some(account.clone()), organizations: Vec::new() });
    }
    let principal = principal_of(ctx)?;
    if principal.by_client.is_some() && principal.kind == PrincipalKind::User {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "an application learns who its user is from /oauth/userinfo, as far as they agreed",
        ));
    }
    let mut organizations = memberships(app, principal.id, ctx.now).await?;
    if ctx.is_by_program() {
        organizations.retain(|found| Some(found.id) == principal.organization);
    }
    Ok(Me { principal: Some(principal.clone()), operator: None, organizations })
}

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
    put_in_place(app, ctx, &old, &begun, reason, None).await?;
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
    forgiven: Option<AccountKey>,
) -> Result<(), Problem> {
    let (platform, now) = (app.platform(), ctx.now);
    let (ctx_inside, new, before) = (ctx.clone(), begun.clone(), old.clone());
    let (mut ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                if !store::session::end(transaction.tx(), before.id, reason, now).await? {
                    return Err(gone());
                }
                if let Some(account) = &forgiven {
                    guesses::forgive(transaction.tx(), account).await?;
                }
                let (mut ended, mut events) =
                    begin::write(&mut transaction, &ctx_inside, platform, &new, reason).await?;
                ended.extend(store::session::end_of_parent(transaction.tx(), before.id, reason, now).await?);
                events.push(session::event(&ctx_inside, platform, &before, "session.end", reason));
                let first = events.remove(0);
                transaction.commit(first, events, ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    ended.push(old.id);
    session::forget(app, &ended);
    Ok(())
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
