//! The second half of signing in: whoever showed the right password of an account with a second factor is asked for it, and begins a
//! session by it. In between there is no session, nothing that refreshes, and no cookie.

use super::begin::{self, SessionKind, SignIn, acting_as, begin};
use super::challenge::{self, Challenge, LIFE_SECONDS, Purpose};
use super::factor_proof::{self, MFA, Proof, Right, WRONG};
use super::membership::{is_standing, membership_of};
use super::notice::{self, Notice};
use super::password::Verified;
use super::proved_sign_in::{Proved, enter};
use super::sign_in::{keep_rehashed, require_address};
use super::throttle::AccountKey;
use super::{guesses, passkey, session};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::audit::{Actor, AuditEvent, Outcome};
use charter_kernel::{OrganizationId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use charter_store::principal::Principal;
use charter_store::second_factor::{FactorKind, SecondFactor};
use serde_json::Value;
use zeroize::Zeroizing;

/// Whoever showed the right password.
pub(super) struct Shown {
    pub principal: Principal,
    pub organization: Option<OrganizationId>,
    pub kind: SessionKind,
    pub is_known: bool,
    pub user_agent: Option<String>,
    pub verified: Verified,
    pub counter: AccountKey,
}

/// The question for a second factor.
#[derive(Debug)]
pub struct Asked {
    /// What the answer has to come with.
    pub challenge: Zeroizing<String>,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
    /// What can be shown: `totp`, `passkey`, `recovery_code`.
    pub methods: Vec<&'static str>,
    /// What a browser is asked with for a passkey, where there is one.
    pub passkey: Option<Value>,
}

/// The answer to it.
pub struct SecondSignInDraft {
    /// What the question came with.
    pub challenge: Zeroizing<String>,
    /// What is shown.
    pub proof: Proof,
    /// The program it is typed into.
    pub user_agent: Option<String>,
    /// The cookie of a session that the new one takes the place of.
    pub replaces: Option<String>,
}

impl std::fmt::Debug for SecondSignInDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondSignInDraft").field("proof", &self.proof).finish_non_exhaustive()
    }
}

/// When the password was set that is in force; a challenge given for another one is worth nothing.
fn password_set_at(principal: &Principal) -> Timestamp {
    principal.password_changed_at.unwrap_or(principal.created_at)
}

/// What can be shown by somebody with these factors.
fn methods(factors: &[SecondFactor], has_passkey: bool, recovery_codes: u64) -> Vec<&'static str> {
    let mut methods = Vec::new();
    let is_app = |factor: &SecondFactor| matches!(factor.kind, FactorKind::Totp { .. });
    if factors.iter().any(|factor| factor.confirmed_at.is_some() && is_app(factor)) {
        methods.push("totp");
    }
    if has_passkey {
        methods.push("passkey");
    }
    if recovery_codes > 0 {
        methods.push("recovery_code");
    }
    methods
}

/// Asks for the second factor. The right password is on the trail, and its guesses are forgiven; those at the factor are not.
pub(super) async fn ask(app: &App, ctx: &RequestContext, shown: Shown) -> Result<Asked, Problem> {
    let (identity, now, platform) = (app.identity(), ctx.now, app.platform());
    let Shown { principal, organization, kind, is_known, user_agent, verified, counter } = shown;
    let who = principal.id;
    let (factors, codes) = reading_all!(app.database(), |conn| async move {
        let factors = store::second_factor::of_principal(conn, who).await?;
        Ok::<_, charter_db::Error>((factors, store::recovery_code::count(conn, who).await?))
    })?;
    let (expires_at, nonce) = (now.plus_seconds(LIFE_SECONDS), app.world().random());
    let (passkey, ceremony) = passkey::request_for(app, &factors, &nonce)?.unzip();
    let ceremony = ceremony.unwrap_or_default();
    let question = Challenge {
        purpose: Purpose::SecondFactor,
        principal: Some(who),
        session: None,
        organization,
        kind,
        is_known_device: is_known,
        password_changed_at: Some(password_set_at(&principal)),
        device: challenge::device_of(&identity.pepper, user_agent.as_deref()),
        nonce,
        ceremony,
        expires_at,
    };
    let ctx_inside = acting_as(ctx, &principal);
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            begin::require_unchanged(&mut transaction, &principal, &verified).await?;
            keep_rehashed(&mut transaction, &principal, &verified).await?;
            guesses::forgive(transaction.tx(), &counter).await?;
            let organization = organization.unwrap_or(platform);
            let mut event =
                audit::event(&ctx_inside, organization, "session.challenge", "principal", who.to_string());
            event.reason = "the password was right: a second factor is asked for".to_owned();
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    Ok(Asked {
        challenge: challenge::make(&identity.pepper, identity.settings.is_live, &question),
        expires_at,
        methods: methods(&factors, passkey.is_some(), codes),
        passkey,
    })
}

pub(super) fn over() -> Problem {
    Problem::new(ProblemKind::Unauthenticated, "the challenge is not valid, or no longer: sign in again")
}

/// Begins the session with the second factor.
pub async fn sign_in(app: &App, ctx: &RequestContext, draft: SecondSignInDraft) -> Result<SignIn, Problem> {
    let (identity, now) = (app.identity(), ctx.now);
    let user_agent = draft.user_agent.map(begin::shortened);
    let (pepper, is_live) = (&identity.pepper, identity.settings.is_live);
    let question = challenge::read(pepper, is_live, Purpose::SecondFactor, &draft.challenge, now)
        .filter(|it| challenge::is_of_device(pepper, it, user_agent.as_deref()))
        .ok_or_else(over)?;
    let who = question.principal.ok_or_else(over)?;
    let counter = guesses::of_factor(app, who);
    guesses::take(app, ctx.address, counter, now).await?;
    let place = question.organization;
    let found = reading_all!(app.database(), |conn| async move {
        let Some(principal) = store::principal::by_id(conn, who).await? else { return Ok(None) };
        let factors = store::second_factor::of_principal(conn, who).await?;
        let is_standing = is_standing(conn, &principal, place).await?;
        Ok::<_, charter_db::Error>(is_standing.then_some((principal, factors)))
    })?;
    let (principal, factors) = found
        .filter(|(principal, _)| Some(password_set_at(principal)) == question.password_changed_at)
        .ok_or_else(over)?;
    let right = match factor_proof::look(app, who, &factors, &draft.proof, Some(&question), now).await? {
        Ok(right) => right,
        Err(why) => {
            record_failure(app, ctx, &principal, place, why).await?;
            return Err(factor_proof::wrong());
        }
    };
    if let Some(organization) = place {
        membership_of(app, &principal, organization, now).await?;
    }
    let opening = begin::Opening { kind: question.kind, user_agent };
    let mut begun = begin(app, ctx, who, place, opening).await?;
    add_methods(&mut begun.session.amr, right.method());
    require_address(app, ctx, &principal, &begun).await?;
    let old = match &draft.replaces {
        Some(cookie) if question.kind == SessionKind::Cookie => session::by_cookie(app, cookie).await?,
        _ => None,
    };
    let login = app.identity().pepper.of_login(&principal.login_folded);
    let proved = Proved {
        place,
        spends: (question.nonce, question.expires_at),
        forgives: Some(counter),
        is_known_device: question.is_known_device,
        why: format!("signed in with a password and {}", right.words()),
        taken: WRONG,
        principal,
        begun,
        right,
        old,
    };
    let mut done = enter(app, ctx, proved).await?;
    done.device_token = (!question.is_known_device).then(|| begin::device_token(app, &login, now));
    Ok(done)
}

/// Adds what a second factor proves to what a session says of its proofs.
pub(super) fn add_methods(amr: &mut String, method: &str) {
    for method in [method, MFA] {
        if !amr.split(' ').any(|there| there == method) {
            amr.push(' ');
            amr.push_str(method);
        }
    }
}

/// A recovery code that was used is an event of its own, and its owner is told.
pub(super) async fn used(
    app: &App,
    transaction: &mut Transaction<'_>,
    ctx: &RequestContext,
    session: &store::session::Session,
    right: &Right,
) -> Result<Option<AuditEvent>, Problem> {
    let Right::Recovery(_) = right else { return Ok(None) };
    let (organization, who) = (session.organization.unwrap_or(app.platform()), session.principal);
    let what = "a recovery code stood in for the second factor of your account";
    let notice = Notice::SecondFactor { what, address: ctx.address };
    notice::queue(app, transaction.tx(), who, notice, ctx.now).await?;
    Ok(Some(audit::event(ctx, organization, "mfa.use_recovery_code", "principal", who.to_string())))
}

/// Leaves word of a wrong second factor.
pub(super) async fn record_failure(
    app: &App,
    ctx: &RequestContext,
    principal: &Principal,
    place: Option<OrganizationId>,
    reason: &str,
) -> Result<(), Problem> {
    let (platform, now) = (app.platform(), ctx.now);
    let organization = place.unwrap_or(platform);
    let mut event = audit::event(ctx, organization, "session.begin", "principal", principal.id.to_string());
    event.actor = Actor::Nobody;
    event.outcome = Outcome::Denied;
    event.reason = reason.to_owned();
    app.write(Scope::Installation, platform, now, move |transaction: Transaction<'_>| {
        Box::pin(async move { transaction.commit(event, Vec::new(), ()).await })
            as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await
    .map(|_| ())
}
