//! Passkeys: adding one, and signing in with one alone. A passkey that checked its user is something one has and something one is or
//! knows at once; so it is a second factor after a password, and enough without one.
//!
//! What a browser signs is judged in `webauthn.rs`. A challenge is answered once, and a passkey that counts its uses never goes back.

use super::begin::{self, Opening, SessionKind, SignIn, begin};
use super::challenge::{self, Challenge, LIFE_SECONDS, Purpose};
use super::factor_proof::Right;
use super::membership::{is_standing, membership, only_membership};
use super::own_factor::{Added, Counting, finish, named, own, require_room};
use super::proved_sign_in::{Proved, enter};
use super::second_sign_in::{over, record_failure};
use super::sign_in::require_address;
use super::webauthn::{Fault, Site};
use super::{factor_proof, session};
use crate::App;
use crate::caller::RequestContext;
use crate::vault;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{FactorId, PrincipalId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use charter_store::second_factor::{FactorKind, SecondFactor};
use serde::Deserialize;
use serde_json::{Value, json};
use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential};
use zeroize::Zeroizing;

/// What the trail says of a passkey that is wrong.
const WRONG: &str = "wrong passkey";
/// What it says of one that was used less often than it was.
const WENT_BACK: &str = "a passkey that went back: is it a copy?";

/// What a page asks the browser with, and what it sends back beside the answer.
#[derive(Debug)]
pub struct Options {
    /// What the answer has to come with.
    pub challenge: Zeroizing<String>,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
    /// What the browser is given (`PublicKeyCredentialCreationOptionsJSON` or `PublicKeyCredentialRequestOptionsJSON`).
    pub public_key: Value,
}

/// A passkey that was made, as the browser hands it over (`RegistrationResponseJSON`).
#[derive(Debug)]
pub struct MadeCredential(RegisterPublicKeyCredential);

/// A passkey that was used, as the browser hands it over (`AuthenticationResponseJSON`).
#[derive(Debug)]
pub struct UsedCredential(PublicKeyCredential);

fn unreadable() -> Problem {
    Problem::invalid("credential", "what the browser's `credential.toJSON()` gives is expected")
}

fn handed<'a, T: Deserialize<'a>>(value: &'a Value, kind: impl Fn(&T) -> &str) -> Result<T, Problem> {
    let read = T::deserialize(value).map_err(|_| unreadable())?;
    if kind(&read) == "public-key" { Ok(read) } else { Err(unreadable()) }
}

impl MadeCredential {
    /// Reads it.
    pub fn read(value: &Value) -> Result<Self, Problem> {
        Ok(Self(handed(value, |it: &RegisterPublicKeyCredential| &it.type_)?))
    }
}

impl UsedCredential {
    /// Reads it.
    pub fn read(value: &Value) -> Result<Self, Problem> {
        Ok(Self(handed(value, |it: &PublicKeyCredential| &it.type_)?))
    }
}

/// Whether browsers allow passkeys at this service's address.
pub fn is_possible(app: &App) -> bool {
    Site::of(&app.identity().settings.public_url).is_some()
}

fn site(app: &App) -> Result<Site, Problem> {
    Site::of(&app.identity().settings.public_url).ok_or_else(|| {
        Problem::new(
            ProblemKind::Forbidden,
            "browsers allow no passkeys here: public_url has to be https with a name, or http://localhost",
        )
    })
}

fn listed(factors: &[SecondFactor]) -> Vec<Value> {
    let passkey = |factor: &SecondFactor| match &factor.kind {
        FactorKind::Passkey { credential_id, .. } => {
            Some(json!({ "type": "public-key", "id": URL_SAFE_NO_PAD.encode(credential_id) }))
        }
        FactorKind::Totp { .. } => None,
    };
    factors.iter().filter_map(passkey).collect()
}

/// What a browser is asked with for one of these passkeys, and the sealed state; none where there are none.
pub(super) fn request_for(
    app: &App,
    factors: &[SecondFactor],
    nonce: &[u8; 32],
) -> Result<Option<(Value, Vec<u8>)>, Problem> {
    let allowed = listed(factors);
    let Some(site) = Site::of(&app.identity().settings.public_url).filter(|_| !allowed.is_empty()) else {
        return Ok(None);
    };
    let (mut public_key, ceremony) = site.ask(app, nonce)?;
    put(&mut public_key, "allowCredentials", allowed);
    Ok(Some((public_key, ceremony)))
}

fn put(options: &mut Value, name: &str, value: Vec<Value>) {
    if let Some(options) = options.as_object_mut() {
        options.insert(name.to_owned(), value.into());
    }
}

fn question(app: &App, purpose: Purpose, user_agent: Option<&str>, now: Timestamp) -> Challenge {
    Challenge {
        purpose,
        principal: None,
        session: None,
        organization: None,
        kind: SessionKind::Bearer,
        is_known_device: false,
        password_changed_at: None,
        device: challenge::device_of(&app.identity().pepper, user_agent),
        nonce: app.world().random(),
        ceremony: Vec::new(),
        expires_at: now.plus_seconds(LIFE_SECONDS),
    }
}

fn options(app: &App, question: &Challenge, public_key: Value) -> Options {
    let identity = app.identity();
    Options {
        challenge: challenge::make(&identity.pepper, identity.settings.is_live, question),
        expires_at: question.expires_at,
        public_key,
    }
}

/// What a page asks the browser with to use a passkey: any of this site. Nothing is kept of it.
pub fn use_options(app: &App, ctx: &RequestContext, user_agent: Option<String>) -> Result<Options, Problem> {
    let user_agent = user_agent.map(begin::shortened);
    let mut asked = question(app, Purpose::Passkey, user_agent.as_deref(), ctx.now);
    let (public_key, ceremony) = site(app)?.ask(app, &asked.nonce)?;
    asked.ceremony = ceremony;
    Ok(options(app, &asked, public_key))
}

/// The challenge of `use_options` that a text is.
pub(super) fn used_challenge(
    app: &App,
    text: &str,
    user_agent: Option<&str>,
    now: Timestamp,
) -> Result<Challenge, Problem> {
    let (pepper, is_live) = (&app.identity().pepper, app.identity().settings.is_live);
    challenge::read(pepper, is_live, Purpose::Passkey, text, now)
        .filter(|it| challenge::is_of_device(pepper, it, user_agent))
        .ok_or_else(over)
}

/// What a page asks the browser with to make a passkey.
pub async fn new_options(app: &App, ctx: &RequestContext) -> Result<Options, Problem> {
    let (who, factors) = own(app, ctx).await?;
    require_room(&factors)?;
    let site = site(app)?;
    let caller = super::own_session::principal_of(ctx)?;
    let mut asked = Challenge {
        principal: Some(who),
        session: caller.session,
        ..question(app, Purpose::NewPasskey, None, ctx.now)
    };
    let (mut public_key, ceremony) = site.ask_new(app, &asked.nonce, who, &caller.login, &caller.name)?;
    put(&mut public_key, "excludeCredentials", listed(&factors));
    asked.ceremony = ceremony;
    Ok(options(app, &asked, public_key))
}

fn not_taken() -> Problem {
    Problem::new(
        ProblemKind::InvalidCredentials,
        "the passkey was not made for this, or its user was not checked: begin again",
    )
}

/// Adds a passkey that was made.
pub async fn add(
    app: &App,
    ctx: &RequestContext,
    challenge: &str,
    name: Option<&str>,
    credential: MadeCredential,
) -> Result<Added, Problem> {
    let (who, factors) = own(app, ctx).await?;
    require_room(&factors)?;
    let name = named(name, "passkey")?;
    let (site, identity, now) = (site(app)?, app.identity(), ctx.now);
    let session = ctx.principal().and_then(|caller| caller.session);
    let (pepper, is_live) = (&identity.pepper, identity.settings.is_live);
    let asked = challenge::read(pepper, is_live, Purpose::NewPasskey, challenge, now)
        .filter(|it| it.principal == Some(who) && it.session == session)
        .ok_or_else(over)?;
    vault::meet(app, &asked.ceremony).await;
    let made = site.made(app, &asked.nonce, &asked.ceremony, &credential.0)?.ok_or_else(not_taken)?;
    let factor = SecondFactor {
        id: FactorId(app.fresh_id()),
        principal: who,
        // Its count is compared from the first use on.
        kind: FactorKind::Passkey { credential_id: made.credential_id, kept: made.kept, sign_count: 0 },
        name,
        created_at: now,
        confirmed_at: Some(now),
        last_used_at: None,
    };
    let spent = (asked.nonce, asked.expires_at);
    finish(app, ctx, Counting::Passkey { factor: Box::new(factor), spent }).await
}

/// Looks at a passkey that was used for a challenge by somebody whose factors these are.
pub(super) async fn look(
    app: &App,
    factors: &[SecondFactor],
    credential: &UsedCredential,
    asked: &Challenge,
) -> Result<Result<Right, &'static str>, Problem> {
    let handed = &credential.0;
    vault::meet(app, &asked.ceremony).await;
    for factor in factors {
        let FactorKind::Passkey { credential_id, kept, .. } = &factor.kind else { continue };
        if credential_id != handed.get_credential_id() {
            continue;
        }
        let whose = factor.principal.0.to_be_bytes();
        if handed.get_user_unique_id().is_some_and(|user| user != whose) {
            return Ok(Err(WRONG));
        }
        return Ok(match site(app)?.used(app, &asked.nonce, &asked.ceremony, kept, handed)? {
            Ok(judged) => Ok(Right::Passkey(factor.id, judged)),
            Err(Fault::WentBack) => Err(WENT_BACK),
            Err(Fault::Wrong) => Err(WRONG),
        });
    }
    Ok(Err(WRONG))
}

/// A sign-in with a passkey alone.
#[derive(Debug)]
pub struct PasskeySignInDraft {
    /// What the question came with.
    pub challenge: Zeroizing<String>,
    /// What the browser handed over.
    pub credential: UsedCredential,
    /// The organization to work in, by key or id; left out, the one membership there is, or any.
    pub organization: Option<String>,
    /// What the session is to be used by, and the program.
    pub opening: Opening,
    /// The cookie of a session that this one takes the place of.
    pub replaces: Option<String>,
}

/// Signs a user in with a passkey alone.
pub async fn sign_in(app: &App, ctx: &RequestContext, draft: PasskeySignInDraft) -> Result<SignIn, Problem> {
    let (identity, now) = (app.identity(), ctx.now);
    identity.throttle.take_from_address(ctx.address, now)?;
    let user_agent = draft.opening.user_agent.clone().map(begin::shortened);
    let asked = used_challenge(app, &draft.challenge, user_agent.as_deref(), now)?;
    let Some((named, wanted)) = site(app)?.named(&draft.credential.0) else {
        return Err(factor_proof::wrong());
    };
    let found = reading_all!(app.database(), |conn| async move {
        let Some(factor) = store::second_factor::by_credential(conn, &wanted).await? else { return Ok(None) };
        let Some(principal) = store::principal::by_id(conn, factor.principal).await? else { return Ok(None) };
        let is_standing = is_standing(conn, &principal, None).await?;
        Ok::<_, charter_db::Error>(Some((factor, principal, is_standing)))
    })?;
    let Some((factor, principal, is_standing)) = found else { return Err(factor_proof::wrong()) };
    let who: PrincipalId = principal.id;
    let may = is_standing && principal.kind == PrincipalKind::User && named == who;
    let looked = look(app, std::slice::from_ref(&factor), &draft.credential, &asked).await?;
    let right = match looked.and_then(|right| if may { Ok(right) } else { Err(WRONG) }) {
        Ok(right) => right,
        Err(why) => {
            record_failure(app, ctx, &principal, None, why).await?;
            return Err(factor_proof::wrong());
        }
    };
    let organization = match &draft.organization {
        Some(text) => Some(membership(app, &principal, text, now).await?),
        None => only_membership(app, &principal, now).await?,
    };
    let mut begun = begin(app, ctx, who, organization, draft.opening).await?;
    begun.session.amr = format!("{} {}", right.method(), factor_proof::MFA);
    require_address(app, ctx, &principal, &begun).await?;
    let old = match &draft.replaces {
        Some(cookie) => session::by_cookie(app, cookie).await?,
        None => None,
    };
    let proved = Proved {
        place: None,
        spends: (asked.nonce, asked.expires_at),
        forgives: None,
        is_known_device: false,
        why: "signed in with a passkey".to_owned(),
        taken: WENT_BACK,
        principal,
        begun,
        right,
        old,
    };
    enter(app, ctx, proved).await
}
