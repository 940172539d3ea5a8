//! Signing in with a password, and turning a session to another organization.
//!
//! An unknown login, a wrong password, an account that may not act: one answer, the same work, one audit event each. Only who has the
//! right password learns more.

use super::password::{Password, Verified};
use super::session::{self, principal_of, session_of};
use super::token;
use crate::App;
use crate::audit;
use crate::caller::{Caller, RequestContext};
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Conn, Scope};
use charter_kernel::audit::{Actor, Outcome};
use charter_kernel::facts::{MemberFact, OrganizationStatus, PrincipalKind, PrincipalStatus};
use charter_kernel::{OrganizationId, Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::principal::Principal;
use charter_store::session::Session;
use serde_json::json;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Longest login that is looked at.
const LOGIN_MAX: usize = 512;

/// Characters kept of what a client says it is.
const USER_AGENT_MAX: usize = 200;

/// What somebody typed to sign in.
pub struct SignInDraft {
    /// E-mail.
    pub login: String,
    /// Password.
    pub password: Zeroizing<String>,
    /// The organization to work in, by key or id; left out, the one membership there is, or any.
    pub organization: Option<String>,
    /// The program they typed it into.
    pub user_agent: Option<String>,
}

impl std::fmt::Debug for SignInDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInDraft").field("login", &self.login).finish_non_exhaustive()
    }
}

/// A session that began, with its first token.
pub struct SignIn {
    /// The access token.
    pub token: Zeroizing<String>,
    /// When the token ends.
    pub expires_at: Timestamp,
    /// The session.
    pub session: Session,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").field("session", &self.session.id).finish_non_exhaustive()
    }
}

fn shortened(user_agent: String) -> String {
    user_agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_MAX).collect()
}

/// What an event of a session that begins says beside it.
pub(super) fn begun_with(session: &Session) -> Option<String> {
    session.user_agent.as_ref().map(|sent| json!({ "user_agent": sent }).to_string())
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
    let user_agent = draft.user_agent.map(shortened);
    identity.throttle.take_from_address(ctx.address, now)?;
    // What cannot be anybody's login goes the way of one that is nobody's.
    let is_possible = draft.login.len() <= LOGIN_MAX && !draft.login.contains('\0');
    let login = if is_possible { text::fold_login(&draft.login) } else { String::new() };
    let account = identity.pepper.of_login(&login);
    identity.throttle.take_from_account(account, now)?;
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
            record_failure(app, ctx, found, is_active, &account, user_agent.as_deref()).await?;
            return Err(invalid_credentials());
        }
    };
    identity.throttle.forgive(account);
    let organization = match &draft.organization {
        Some(text) => Some(membership(app, &principal, text, now).await?),
        None => only_membership(app, &principal, now).await?,
    };
    let begun = begin(app, ctx, &principal, organization, user_agent);
    let ctx_inside = acting_as(ctx, &principal);
    let (session, platform) = (begun.clone(), app.platform());
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            if let Verified::Rehashed(hash) = &verified {
                let set_at = principal.password_changed_at.unwrap_or(now);
                store::principal::set_password(transaction.tx(), principal.id, Some(hash), set_at).await?;
            }
            store::session::insert(transaction.tx(), &session).await?;
            let mut event =
                session::event(&ctx_inside, platform, &session, "session.begin", "signed in with a password");
            event.after = begun_with(&session);
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    issue(app, begun, now)
}

async fn record_failure(
    app: &App,
    ctx: &RequestContext,
    found: Option<Principal>,
    is_active: bool,
    account: &[u8; 32],
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
    app.write(Scope::Installation, platform, now, move |transaction: Transaction<'_>| {
        Box::pin(async move { transaction.commit(event, Vec::new(), ()).await })
            as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await
    .map(|_| ())
}

/// The context of a request whose caller turned out to be this principal, for the audit trail.
pub(super) fn acting_as(ctx: &RequestContext, principal: &Principal) -> RequestContext {
    let mut ctx = ctx.clone();
    ctx.caller = Caller::Principal(Arc::new(crate::caller::SignedIn {
        id: principal.id,
        kind: principal.kind,
        login: principal.login_folded.clone(),
        name: principal.name.clone(),
        session: None,
        credential: None,
        organization: None,
        ceiling: None,
        amr: Vec::new(),
        expires_at: None,
    }));
    ctx
}

/// A session that is about to begin.
pub(super) fn begin(
    app: &App,
    ctx: &RequestContext,
    principal: &Principal,
    organization: Option<OrganizationId>,
    user_agent: Option<String>,
) -> Session {
    let settings = app.identity().settings();
    let expires_at = ctx.now.plus_seconds(i64::from(settings.session_seconds));
    Session {
        id: SessionId(app.fresh_id()),
        principal: principal.id,
        organization,
        amr: "pwd".to_owned(),
        authenticated_at: ctx.now,
        created_at: ctx.now,
        expires_at,
        idle_expires_at: ctx.now.plus_seconds(i64::from(settings.session_idle_seconds)).min(expires_at),
        ended_at: None,
        end_reason: None,
        refresh_counter: 0,
        refreshed_at: None,
        address: ctx.address.map(|address| address.to_string()),
        user_agent: user_agent.map(shortened),
    }
}

/// A session for whoever came with a token of the former system.
pub(super) async fn begin_from_legacy(
    app: &App,
    ctx: &RequestContext,
    principal: &Principal,
    organization: Option<String>,
    user_agent: Option<String>,
) -> Result<Session, Problem> {
    let organization = match &organization {
        Some(text) => Some(membership(app, principal, text, ctx.now).await?),
        None => only_membership(app, principal, ctx.now).await?,
    };
    let mut session = begin(app, ctx, principal, organization, user_agent);
    session.amr = super::legacy_caller::LEGACY.to_owned();
    Ok(session)
}

/// A token for a session.
pub(super) fn issue(app: &App, session: Session, now: Timestamp) -> Result<SignIn, Problem> {
    let identity = app.identity();
    let claims = identity.terms.claims(
        now,
        app.fresh_id(),
        session.principal,
        session.organization,
        session.id,
        session.amr.split(' ').map(str::to_owned).collect(),
        session.authenticated_at,
        session.expires_at,
    );
    let token = token::mint(&identity.keys(), &claims).ok_or_else(|| {
        Problem::new(ProblemKind::Unavailable, "no signing key is active yet: try again in a second")
            .retry_after(1)
    })?;
    Ok(SignIn { token: Zeroizing::new(token), expires_at: Timestamp::from_seconds(claims.exp), session })
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
async fn memberships(
    app: &App,
    who: charter_kernel::PrincipalId,
    now: Timestamp,
) -> Result<Vec<OwnMembership>, Problem> {
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
    let mut organizations = memberships(app, principal.id, ctx.now).await?;
    if principal.credential.is_some() {
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
    let (caller, id) = session_of(ctx)?;
    let (who, now, platform) = (caller.id, ctx.now, app.platform());
    let is_turning = organization.is_some();
    let gone = || Problem::new(ProblemKind::Unauthenticated, "the session has ended: sign in again");
    let found = reading_all!(app.database(), |conn| async move {
        let Some(old) = store::session::get(conn, id).await? else { return Ok(None) };
        let Some(principal) = store::principal::by_id(conn, who).await? else { return Ok(None) };
        // Who is stopped in one organization may turn to another.
        let is_standing = is_standing(conn, &principal, old.organization.filter(|_| !is_turning)).await?;
        Ok::<_, charter_db::Error>(is_standing.then_some((old, principal)))
    })?;
    let (old, principal) = found.filter(|(old, _)| old.is_live(now)).ok_or_else(gone)?;
    let target = match &organization {
        Some(text) => Some(membership(app, &principal, text, now).await?),
        None => old.organization,
    };
    if target == old.organization {
        return issue(app, old, now);
    }
    let mut new = begin(app, ctx, &principal, target, old.user_agent.clone());
    // The same sign-in: it proves no more and lasts no longer.
    new.amr.clone_from(&old.amr);
    new.authenticated_at = old.authenticated_at;
    new.expires_at = old.expires_at;
    new.idle_expires_at = new.idle_expires_at.min(old.expires_at);
    let (ctx_inside, session, before) = (ctx.clone(), new.clone(), old.clone());
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            if !store::session::end(transaction.tx(), before.id, "turned to another organization", now)
                .await?
            {
                return Err(Problem::new(
                    ProblemKind::Unauthenticated,
                    "the session has ended: sign in again",
                ));
            }
            store::session::insert(transaction.tx(), &session).await?;
            let reason = "turned to another organization";
            let ended = session::event(&ctx_inside, platform, &before, "session.end", reason);
            let begun = session::event(&ctx_inside, platform, &session, "session.begin", reason);
            transaction.commit(begun, vec![ended], ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    session::forget(app, &[old.id]);
    issue(app, new, now)
}
