//! Signing in with a password.
//!
//! An unknown login, a wrong password, an account that may not act: one answer, the same work, one audit event each. Only who has the
//! right password learns more. An account with a second factor is asked for it before anything begins (`second_sign_in.rs`).

use super::begin::{self, Begun, acting_as, begin, issue};
use super::membership::{membership, only_membership};
use super::password::{Password, Verified};
use super::second_sign_in::{self, Asked};
use super::{guesses, session, session_limits};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::audit::{Actor, Outcome};
use charter_kernel::facts::{PrincipalKind, PrincipalStatus};
use charter_kernel::{Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::principal::Principal;
use serde_json::json;
use zeroize::Zeroizing;

pub use super::begin::{Opening, SessionKind, SignIn};
pub(super) use super::membership::is_standing;
pub use super::membership::{Me, OwnMembership, me};
pub use super::present::switch;

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

/// What a right password leads to.
#[derive(Debug)]
pub enum Entry {
    /// A session.
    Begun(Box<SignIn>),
    /// The question for a second factor; no session yet.
    Asked(Asked),
}

impl Entry {
    /// The session, for whoever knows that the account has no second factor.
    pub fn begun(self) -> Result<SignIn, Problem> {
        match self {
            Self::Begun(begun) => Ok(*begun),
            Self::Asked(_) => Err(Problem::new(
                ProblemKind::SecondFactor,
                "the account has a second factor: sign in with it",
            )),
        }
    }
}

/// Signs a user in, or asks for the second factor.
pub async fn sign_in(app: &App, ctx: &RequestContext, draft: SignInDraft) -> Result<Entry, Problem> {
    let (identity, now) = (app.identity(), ctx.now);
    let user_agent = draft.opening.user_agent.clone().map(begin::shortened);
    // What cannot be anybody's login goes the way of one that is nobody's.
    let is_possible = draft.login.len() <= LOGIN_MAX && !draft.login.contains('\0');
    let login = if is_possible { text::fold_login(&draft.login) } else { String::new() };
    let account = identity.pepper.of_login(&login);
    let counter = guesses::of_account(app, &account, &login, draft.device.as_deref(), now);
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
    let (kind, is_known) = (draft.opening.kind, counter != account);
    let begun = begin(app, ctx, principal.id, organization, draft.opening).await?;
    require_address(app, ctx, &principal, &begun).await?;
    let who = principal.id;
    if reading_all!(app.database(), |conn| store::second_factor::has(conn, who))? {
        let shown =
            second_sign_in::Shown { principal, organization, kind, is_known, user_agent, verified, counter };
        return Ok(Entry::Asked(second_sign_in::ask(app, ctx, shown).await?));
    }
    if reading_all!(app.database(), |conn| store::short_password::has(conn, who))? {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "the second factor of the account was taken away, and its password is too short to be the only one: have a mail \
             sent to you with which you set another, at `/forgot-password` or by `POST /api/v1/auth/forgot-password`",
        ));
    }
    let old = match &draft.replaces {
        Some(cookie) => session::by_cookie(app, cookie).await?,
        None => None,
    };
    let ctx_inside = acting_as(ctx, &principal);
    let (new, platform, app_inside) = (begun.clone(), app.platform(), app.clone());
    let (ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                begin::require_unchanged(&mut transaction, &principal, &verified).await?;
                // A factor that was added since it was looked for counts.
                if store::second_factor::has(transaction.tx(), principal.id).await? {
                    return Err(Problem::new(
                        ProblemKind::Unavailable,
                        "the account is being changed: try again",
                    )
                    .retry_after(1));
                }
                keep_rehashed(&mut transaction, &principal, &verified).await?;
                guesses::forgive(transaction.tx(), &counter).await?;
                begin::tell_if_new(&app_inside, &mut transaction, &ctx_inside, &new.session, is_known)
                    .await?;
                let why = "signed in with a password";
                let mut begins = begin::write(&mut transaction, &ctx_inside, platform, &new, why).await?;
                begin::take_place(&mut transaction, &ctx_inside, platform, old, &mut begins).await?;
                let (ended, mut events) = begins;
                let first = events.remove(0);
                transaction.commit(first, events, ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    let mut done = issue(app, begun, now)?;
    done.device_token = (!is_known).then(|| begin::device_token(app, &account, now));
    Ok(Entry::Begun(Box::new(done)))
}

/// Keeps the hash of a password that was made anew with today's cost.
pub(super) async fn keep_rehashed(
    transaction: &mut Transaction<'_>,
    principal: &Principal,
    verified: &Verified,
) -> Result<(), Problem> {
    if let (Verified::Rehashed(better), Some(old)) = (verified, &principal.password_hash) {
        store::principal::rehash(transaction.tx(), principal.id, old, better).await?;
    }
    Ok(())
}

/// Refuses a session from an address its organization does not allow, and leaves word of it.
pub(super) async fn require_address(
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
    // Whoever holds such a token proved nothing here: what asks for a recent sign-in asks them for the password.
    begun.session.authenticated_at = Timestamp::from_seconds(0);
    Ok(begun)
}
