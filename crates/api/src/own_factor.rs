//! One's own second factors.

use crate::auth::SELF_SERVICE;
use crate::edge::{Call, Reply, Route, wire};
use crate::qr_code;
use crate::second_sign_in::OptionsView;
use crate::signed_in::{self, SignedInView};
use charter_app::App;
use charter_app::identity::own_factor::{self, Added, RecoveryCodes, SecondFactor};
use charter_app::identity::passkey::{self, MadeCredential};
use charter_kernel::{FactorId, Problem, ProblemKind, Timestamp};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

const TAG: &str = "Own account";
const PROVING: &[ProblemKind] =
    &[ProblemKind::InvalidCredentials, ProblemKind::Throttled, ProblemKind::NotFound];

/// The routes of this file. All that changes asks for a recent sign-in.
pub fn routes() -> Vec<Route<App>> {
    let routes = vec![
        Route::get("/api/v1/me/factors", SELF_SERVICE, list).named(
            "me.factors",
            TAG,
            "Lists one's own second factors, and how many recovery codes are left.",
        ),
        Route::post("/api/v1/me/factors/totp", SELF_SERVICE, begin_app)
            .named("me.add-totp", TAG, "Begins to add an authenticator app: its secret, shown once.")
            .described(
                "The app counts once one of its codes is sent to `confirm`. One that was begun before and not confirmed is \
                 forgotten.",
            )
            .status(StatusCode::CREATED)
            .example(r#"{"name":"phone","picture":true}"#)
            .demands_recent_sign_in()
            .keeps_no_answers(),
        Route::post("/api/v1/me/factors/totp/{factor}/confirm", SELF_SERVICE, confirm_app)
            .named("me.confirm-totp", TAG, "Adds an authenticator app for good, with one of its codes.")
            .described(
                "With the first second factor come ten recovery codes, shown once, and the other sessions end. The present \
                 session goes on under a new id.",
            )
            .problems(PROVING)
            .example(r#"{"code":"492039"}"#)
            .demands_recent_sign_in()
            .knows_client()
            .keeps_no_answers(),
        Route::post("/api/v1/me/factors/passkeys/options", SELF_SERVICE, passkey_options)
            .named("me.passkey-options", TAG, "Tells what a page asks the browser with to make a passkey.")
            .described(
                "Give `public_key` to `PublicKeyCredential.parseCreationOptionsFromJSON` and the result to \
                 `navigator.credentials.create`. What that gives (`toJSON()`) goes to `POST /api/v1/me/factors/passkeys` with \
                 the challenge.",
            )
            .problems(&[ProblemKind::Forbidden])
            .demands_recent_sign_in()
            .keeps_no_answers(),
        Route::post("/api/v1/me/factors/passkeys", SELF_SERVICE, add_passkey)
            .named("me.add-passkey", TAG, "Adds a passkey that was made.")
            .described(
                "With the first second factor come ten recovery codes, shown once, and the other sessions end. The present \
                 session goes on under a new id.",
            )
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::InvalidCredentials, ProblemKind::Taken, ProblemKind::Forbidden])
            .example(r#"{"challenge":"chm_live_eyJ0eXAiOiJuZXctcGFzc2tleSJ9.rk6Vt0zJ","name":"laptop","credential":{}}"#)
            .body_limit(64 * 1024)
            .demands_recent_sign_in()
            .knows_client()
            .keeps_no_answers(),
        Route::delete("/api/v1/me/factors/{factor}", SELF_SERVICE, remove)
            .named("me.remove-factor", TAG, "Removes one of one's own second factors. The other sessions end.")
            .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden])
            .demands_recent_sign_in(),
        Route::post("/api/v1/me/recovery-codes", SELF_SERVICE, renew)
            .named("me.renew-recovery-codes", TAG, "Gives new recovery codes; those before open nothing any more.")
            .problems(&[ProblemKind::NotFound])
            .demands_recent_sign_in()
            .keeps_no_answers(),
    ];
    routes.into_iter().map(Route::for_people).collect()
}

/// A second factor.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SecondFactor")]
pub struct FactorView {
    /// Its id.
    #[schemars(with = "wire::Id")]
    id: FactorId,
    /// `totp` (an authenticator app) or `passkey`.
    kind: &'static str,
    /// What its owner calls it.
    name: String,
    /// When it was added.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// When it was last used to sign in.
    #[schemars(with = "Option<wire::Time>")]
    last_used_at: Option<Timestamp>,
}

impl From<SecondFactor> for FactorView {
    fn from(it: SecondFactor) -> Self {
        Self {
            id: it.id,
            kind: it.kind.as_str(),
            name: it.name,
            created_at: it.created_at,
            last_used_at: it.last_used_at,
        }
    }
}

/// One's own second factors.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnFactors")]
struct FactorsView {
    /// Those that count, oldest first.
    factors: Vec<FactorView>,
    /// Recovery codes that were not used yet.
    recovery_codes_left: u64,
    /// The names of one's organizations that demand a second factor: one who has none does little in them.
    demanded_by: Vec<String>,
}

async fn list(call: Call) -> Result<Reply<FactorsView>, Problem> {
    let own = own_factor::list(&call.app, &call.ctx).await?;
    let factors = own.factors.into_iter().map(Into::into).collect();
    let (recovery_codes_left, demanded_by) = (own.recovery_codes_left, own.demanded_by);
    Ok(Reply::new(FactorsView { factors, recovery_codes_left, demanded_by }))
}

/// An authenticator app to be added.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AuthenticatorAppDraft")]
#[serde(deny_unknown_fields)]
struct NewAppBody {
    /// What its owner calls it.
    #[serde(default)]
    name: Option<String>,
    /// Whether the answer brings a picture of the address, too.
    #[serde(default)]
    picture: bool,
}

/// An authenticator app about to be added.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewAuthenticatorApp")]
struct NewAppView {
    /// The id of the factor.
    #[schemars(with = "wire::Id")]
    id: FactorId,
    /// The secret, to be typed into the app; it is not shown again.
    secret: String,
    /// The same, as an app reads it from a picture (QR code).
    uri: String,
    /// The picture, as SVG, when it was asked for.
    picture: Option<String>,
}

async fn begin_app(call: Call<(), (), NewAppBody>) -> Result<Reply<NewAppView>, Problem> {
    let new = own_factor::begin_app(&call.app, &call.ctx, call.body.name.as_deref()).await?;
    let (secret, uri) = (new.secret.to_string(), new.uri.to_string());
    let picture = call.body.picture.then(|| qr_code::svg(&uri)).transpose()?;
    Ok(Reply::new(NewAppView { id: new.id, secret, uri, picture }))
}

/// One second factor.
#[derive(Deserialize, JsonSchema)]
struct FactorPath {
    /// Its id.
    #[schemars(with = "wire::Id")]
    factor: FactorId,
}

/// A code of the app.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AuthenticatorAppCode")]
#[serde(deny_unknown_fields)]
struct CodeBody {
    /// Six digits.
    code: String,
}

/// A factor that counts from now on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FactorAdded")]
pub struct AddedView {
    /// The factor.
    #[schemars(with = "wire::Id")]
    factor_id: FactorId,
    /// Recovery codes, each of which stands in for the factor once; null when there were some already. They are not shown again.
    recovery_codes: Option<Vec<String>>,
    /// The session, under a new id.
    session: SignedInView,
}

fn shown(codes: &RecoveryCodes) -> Vec<String> {
    codes.0.iter().map(|code| code.to_string()).collect()
}

/// The answer for a factor that was added.
pub fn added<P, Q, B>(call: &Call<P, Q, B>, added: Added) -> Reply<AddedView> {
    let Added { factor, recovery_codes, signed_in } = added;
    let recovery_codes = recovery_codes.as_ref().map(shown);
    signed_in::answer(signed_in, &call.client, call.ctx.now).map(|session| AddedView {
        factor_id: factor,
        recovery_codes,
        session,
    })
}

async fn confirm_app(mut call: Call<FactorPath, (), CodeBody>) -> Result<Reply<AddedView>, Problem> {
    let code = Zeroizing::new(std::mem::take(&mut call.body.code));
    let done = own_factor::confirm_app(&call.app, &call.ctx, call.path.factor, code).await?;
    Ok(added(&call, done))
}

async fn passkey_options(call: Call) -> Result<Reply<OptionsView>, Problem> {
    Ok(Reply::new(passkey::new_options(&call.app, &call.ctx).await?.into()))
}

/// A passkey that was made.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewPasskey")]
#[serde(deny_unknown_fields)]
struct PasskeyBody {
    /// The challenge of the options.
    challenge: String,
    /// What its owner calls it.
    #[serde(default)]
    name: Option<String>,
    /// What the browser gave (`RegistrationResponseJSON`).
    credential: Value,
}

async fn add_passkey(call: Call<(), (), PasskeyBody>) -> Result<Reply<AddedView>, Problem> {
    let PasskeyBody { challenge, name, credential } = &call.body;
    let credential = MadeCredential::read(credential)?;
    let done = passkey::add(&call.app, &call.ctx, challenge, name.as_deref(), credential).await?;
    Ok(added(&call, done))
}

async fn remove(call: Call<FactorPath>) -> Result<Reply<()>, Problem> {
    own_factor::remove(&call.app, &call.ctx, call.path.factor).await?;
    Ok(Reply::empty())
}

/// Recovery codes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecoveryCodes")]
struct RecoveryCodesView {
    /// Each stands in for a second factor once. They are not shown again.
    recovery_codes: Vec<String>,
}

async fn renew(call: Call) -> Result<Reply<RecoveryCodesView>, Problem> {
    let codes = own_factor::renew_recovery_codes(&call.app, &call.ctx).await?;
    Ok(Reply::new(RecoveryCodesView { recovery_codes: shown(&codes) }))
}
