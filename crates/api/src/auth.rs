//! Signing in and out, refreshing, proving again, the first administrator, and the public keys of our tokens.

use crate::edge::{Call, Crumb, ETag, Guard, Reply, Route};
use crate::second_sign_in::{self, AskedView, EntryView};
use crate::signed_in::{self, Kind, SIGNING_IN, SignedInView};
use charter_app::App;
use charter_app::identity::lineage::Lineage;
use charter_app::identity::setup::{self, SetupDraft};
use charter_app::identity::sign_in::{self, Entry, SignInDraft};
use charter_app::identity::step_up::{self, ReproofDraft};
use charter_app::identity::{legacy_caller, own_password, own_session, refresh};
use charter_kernel::{Problem, ProblemKind};
use http::StatusCode;
use http::header::SET_COOKIE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

pub(crate) const THROTTLED: &[ProblemKind] = &[ProblemKind::InvalidCredentials, ProblemKind::Throttled];
const PROVING: &[ProblemKind] =
    &[ProblemKind::InvalidCredentials, ProblemKind::Throttled, ProblemKind::SecondFactor];
pub(crate) const SELF_SERVICE: Guard = Guard::SignedIn("everybody sees and ends what is their own");

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post("/api/v1/auth/login", Guard::Public("whoever signs in has no credential yet"), login)
            .named("auth.login", "Sign-in", "Signs in with e-mail and password.")
            .described(
                "An unknown login, a wrong password and an account that may not act get the same answer. After five wrong \
                 guesses an account is delayed (429 with Retry-After), never locked; a device one signed in from before is \
                 not delayed by what others guess elsewhere. The access token is sent as `Authorization: Bearer <token>`; \
                 before it ends, `POST /api/v1/auth/refresh` gives the next. A browser asks for `\"session\": \"cookie\"`: \
                 it gets a cookie and no tokens, and its changes are taken from pages of this service alone. An account \
                 with a second factor begins no session here: the answer has `mfa_required` and a `challenge`, which \
                 `POST /api/v1/auth/mfa` takes within five minutes together with the factor.",
            )
            .problems(SIGNING_IN)
            .example(r#"{"login":"ann@toys.example","password":"correct horse battery","organization":"toys"}"#)
            .body_limit(16 * 1024)
            .knows_client()
            .keeps_no_answers(),
        Route::post("/api/v1/auth/refresh", Guard::Public("the refresh token in the body is the credential"), refreshed)
            .named("auth.refresh", "Sign-in", "Exchanges a refresh token for an access token and the next refresh token.")
            .described(
                "The token before the newest gets the same answer again for 20 seconds, so that tabs of one browser do not \
                 sign each other out. An older one ends the session: it may be in two hands.",
            )
            .problems(&[ProblemKind::Unauthenticated, ProblemKind::Forbidden])
            .example(r#"{"refresh_token":"chr_live_100000000000_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg_4Qwdqo"}"#)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::post("/api/v1/auth/reauthenticate", SELF_SERVICE, reauthenticate)
            .for_people()
            .named("auth.reauthenticate", "Sign-in", "Proves again who one is, for what asks for a recent sign-in.")
            .described(
                "What is dangerous for an account or the installation asks that its caller signed in within ten minutes, and \
                 answers 401 `step-up-required` otherwise. An account with a second factor sends it as well. The session goes \
                 on under a new id; what was given for the old one ends.",
            )
            .problems(PROVING)
            .example(r#"{"password":"correct horse battery"}"#)
            .body_limit(64 * 1024)
            .knows_client()
            .keeps_no_answers(),
        Route::post("/api/v1/auth/logout", SELF_SERVICE, logout)
            .for_people()
            .named("auth.logout", "Sign-in", "Signs out: the session ends, with every token made for it.")
            .knows_client(),
        Route::post("/api/v1/auth/switch", SELF_SERVICE, switch)
            .for_people()
            .named("auth.switch", "Sign-in", "Gives a new token, for the same or another organization one is a member of.")
            .described("For another organization the session is replaced and the old token ends.")
            .problems(&[ProblemKind::Forbidden, ProblemKind::NotFound])
            .example(r#"{"organization":"trade"}"#)
            .knows_client()
            .keeps_no_answers(),
        Route::post("/api/v1/auth/exchange", Guard::SignedIn("whoever came with a token of the former system"), exchange)
            .for_people()
            .named("auth.exchange", "Sign-in", "Exchanges a token of the former system for a session, without a new sign-in.")
            .described("The token is the bearer token of the request. The body may be left out.")
            .body_may_be_missing()
            .problems(&[ProblemKind::Forbidden])
            .example(r#"{"organization":"toys"}"#)
            .knows_client()
            .keeps_no_answers(),
        Route::post(
            "/api/v1/users/{user}/password",
            Guard::SignedIn("only the operator at the machine gets past the use case"),
            set_password,
        )
        .for_people()
            .named("users.set-password", "Sign-in", "Sets a user's password, as the operator at the machine.")
        .problems(&[ProblemKind::Forbidden, ProblemKind::NotFound])
        .example(r#"{"password":"correct horse battery"}"#)
        .body_limit(16 * 1024)
        .keeps_no_answers(),
        Route::post("/api/v1/setup", Guard::Public("a new installation has nobody who could sign in; a one-time code is asked for"), set_up)
            .named("setup.complete", "Sign-in", "Makes the first administrator of a new installation, with its one-time code.")
            .status(StatusCode::CREATED)
            .problems(SIGNING_IN)
            .example(r#"{"code":"4F2PN-8S0XA-ZZ1VD-3KQ7M-WEC55-0T9HB","login":"ann@toys.example","password":"correct horse battery"}"#)
            .body_limit(16 * 1024)
            .knows_client()
            .keeps_no_answers(),
        Route::get("/.well-known/jwks.json", Guard::Public("verifiers of our tokens need the public keys"), keys)
            .named("keys.public", "Sign-in", "Gives the public keys of our access tokens and ID tokens (RFC 7517).")
            .open_to_pages(),
    ]
}

/// What is typed to sign in.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SignIn")]
#[serde(deny_unknown_fields)]
struct LoginBody {
    /// E-mail; `email` and `username` are understood as well.
    #[serde(alias = "email", alias = "username")]
    login: String,
    /// Password.
    password: String,
    /// Key or id of the organization to work in; left out, the only one there is, or any.
    #[serde(default)]
    organization: Option<String>,
    /// What the session is to be used by.
    #[serde(default)]
    session: Kind,
    /// What an earlier sign-in on this device was given; a browser sends its cookie.
    #[serde(default)]
    device_token: Option<String>,
}

async fn login(call: Call<(), (), LoginBody>) -> Result<Reply<EntryView>, Problem> {
    let LoginBody { login, password, organization, session, device_token } = call.body;
    let client = call.client;
    let draft = SignInDraft {
        login,
        password: Zeroizing::new(password),
        organization,
        opening: signed_in::opening(session, &client)?,
        device: device_token.or_else(|| client.device.clone()),
        replaces: client.session.clone().filter(|_| session == Kind::Cookie),
    };
    Ok(match sign_in::sign_in(&call.app, &call.ctx, draft).await? {
        Entry::Begun(begun) => {
            signed_in::answer(*begun, &client, call.ctx.now).map(|view| EntryView::SignedIn(Box::new(view)))
        }
        Entry::Asked(asked) => Reply::new(EntryView::Asked(AskedView::of(asked, call.ctx.now))),
    })
}

/// A refresh token, and nothing else: what it is for was said at sign-in.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Refresh")]
#[serde(deny_unknown_fields)]
struct RefreshBody {
    /// The newest refresh token of the session.
    refresh_token: String,
}

async fn refreshed(call: Call<(), (), RefreshBody>) -> Result<Reply<SignedInView>, Problem> {
    let token = Zeroizing::new(call.body.refresh_token);
    let begun = refresh::refresh(&call.app, &call.ctx, &token).await?;
    Ok(signed_in::answer(begun, &call.client, call.ctx.now))
}

/// What proves it again: the password, with the second factor where the account has one; or a passkey alone.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Reauthentication")]
#[serde(deny_unknown_fields)]
struct ReauthenticateBody {
    /// Password.
    #[serde(default)]
    password: Option<String>,
    /// The code an authenticator app shows.
    #[serde(default)]
    code: Option<String>,
    /// A recovery code.
    #[serde(default)]
    recovery_code: Option<String>,
    /// A passkey, as the browser gives it (`AuthenticationResponseJSON`); it needs no password beside it.
    #[serde(default)]
    passkey: Option<Value>,
    /// The challenge of `POST /api/v1/auth/passkey/options`, with a passkey.
    #[serde(default)]
    challenge: Option<String>,
}

async fn reauthenticate(call: Call<(), (), ReauthenticateBody>) -> Result<Reply<SignedInView>, Problem> {
    let ReauthenticateBody { password, code, recovery_code, passkey, challenge } = call.body;
    let draft = ReproofDraft {
        password: password.map(Zeroizing::new),
        proof: second_sign_in::proof(code, recovery_code, passkey.as_ref())?,
        challenge: challenge.map(Zeroizing::new),
        user_agent: call.client.user_agent.clone(),
    };
    let begun = step_up::reauthenticate(&call.app, &call.ctx, draft).await?;
    Ok(signed_in::answer(begun, &call.client, call.ctx.now))
}

async fn logout(call: Call) -> Result<Reply<()>, Problem> {
    own_session::sign_out(&call.app, &call.ctx).await?;
    let mut reply = Reply::empty();
    if call.client.session.is_some()
        && let Some(header) = call.client.cookies.set(Crumb::Session, "", 0)
    {
        reply = reply.header(SET_COOKIE, &header);
    }
    Ok(reply)
}

/// Where to turn to.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SwitchOrganization")]
#[serde(deny_unknown_fields)]
struct SwitchBody {
    /// Key or id of the organization; left out, the same.
    #[serde(default)]
    organization: Option<String>,
}

async fn switch(call: Call<(), (), SwitchBody>) -> Result<Reply<SignedInView>, Problem> {
    let begun = sign_in::switch(&call.app, &call.ctx, call.body.organization).await?;
    Ok(signed_in::answer(begun, &call.client, call.ctx.now))
}

async fn exchange(call: Call<(), (), SwitchBody>) -> Result<Reply<SignedInView>, Problem> {
    let opening = signed_in::opening(Kind::Bearer, &call.client)?;
    let begun = legacy_caller::exchange(&call.app, &call.ctx, call.body.organization, opening).await?;
    Ok(signed_in::answer(begun, &call.client, call.ctx.now))
}

/// One user of the installation.
#[derive(Deserialize, JsonSchema)]
struct UserPath {
    /// E-mail.
    user: String,
}

/// A password to be set.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewPassword")]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    /// The password from now on: as long as the rules for passwords ask for, at most 1,024 bytes.
    password: String,
}

/// What setting a password did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PasswordSet")]
struct PasswordSetView {
    /// How many sessions ended.
    sessions_ended: usize,
}

async fn set_password(call: Call<UserPath, (), PasswordBody>) -> Result<Reply<PasswordSetView>, Problem> {
    let password = Zeroizing::new(call.body.password);
    let sessions_ended = own_password::set(&call.app, &call.ctx, &call.path.user, password).await?;
    Ok(Reply::new(PasswordSetView { sessions_ended }))
}

/// The first administrator.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Setup")]
#[serde(deny_unknown_fields)]
struct SetupBody {
    /// The one-time code `charter serve` printed.
    code: String,
    /// E-mail.
    login: String,
    /// Shown name; the e-mail when left out.
    #[serde(default)]
    name: Option<String>,
    /// Password: as long as the rules for passwords ask for, at most 1,024 bytes.
    password: String,
}

async fn set_up(call: Call<(), (), SetupBody>) -> Result<Reply<SignedInView>, Problem> {
    let SetupBody { code, login, name, password } = call.body;
    let draft = SetupDraft { code: Zeroizing::new(code), login, name, password: Zeroizing::new(password) };
    let begun = setup::complete(&call.app, &call.ctx, draft).await?;
    Ok(signed_in::answer(begun, &call.client, call.ctx.now))
}

/// Public keys (RFC 7517).
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PublicKeys")]
struct KeysView {
    /// The keys.
    keys: Vec<KeyView>,
}

/// One public key (RFC 7518, RFC 8037).
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PublicKey")]
struct KeyView {
    /// `OKP`, `EC` or `RSA`.
    kty: String,
    /// `Ed25519` or `P-256`; of `OKP` and `EC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    /// `EdDSA`, `ES256` or `RS256`.
    alg: String,
    /// `sig`.
    #[serde(rename = "use")]
    purpose: String,
    /// The id tokens name it by.
    kid: String,
    /// The public key or its first half, base64url; of `OKP` and `EC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    /// Its second half, of `EC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    /// The modulus, base64url; of `RSA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    /// The exponent, of `RSA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<String>,
}

async fn keys(call: Call) -> Result<Reply<KeysView>, Problem> {
    let identity = call.app.identity();
    let sets = Lineage::ALL.map(|lineage| identity.keys_of(lineage));
    let mut all = KeysView { keys: Vec::new() };
    for set in &sets {
        let view: KeysView = serde_json::from_str(set.document())
            .map_err(|error| Problem::new(ProblemKind::Internal, format!("the document of keys: {error}")))?;
        all.keys.extend(view.keys);
    }
    let version = sets.iter().map(|set| set.document()).collect::<String>();
    Ok(Reply::new(all).etag(ETag::of(version.as_bytes())).cache("public, max-age=300"))
}
