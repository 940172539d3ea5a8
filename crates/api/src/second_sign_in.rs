//! The second half of signing in: the second factor of an account that has one.

use crate::edge::{Call, Guard, Reply, Route, wire};
use crate::signed_in::{self, Kind, SIGNING_IN, SignedInView};
use charter_app::App;
use charter_app::identity::factor_proof::Proof;
use charter_app::identity::passkey::{self, Options, PasskeySignInDraft, UsedCredential};
use charter_app::identity::second_sign_in::{self, Asked, SecondSignInDraft};
use charter_kernel::{Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post(
            "/api/v1/auth/mfa",
            Guard::Public("the challenge in the body stands for the password that was shown"),
            answer,
        )
        .named("auth.mfa", "Sign-in", "Signs in with the second factor, after the password.")
        .described(
            "The challenge is the one the sign-in answered with; it is taken once, from the program it was given to, within five \
             minutes. One of `code`, `recovery_code` and `passkey` is sent. Wrong factors are counted by account: signing in \
             anew does not begin the count anew.",
        )
        .problems(SIGNING_IN)
        .example(r#"{"challenge":"chm_live_eyJ0eXAiOiJzZWNvbmQtZmFjdG9yIn0.rk6Vt0zJ","code":"492039"}"#)
        .body_limit(64 * 1024)
        .knows_client()
        .keeps_no_answers(),
        Route::post(
            "/api/v1/auth/passkey/options",
            Guard::Public("whoever signs in with a passkey has no credential yet"),
            options,
        )
        .named("auth.passkey-options", "Sign-in", "Tells what a page asks the browser with to use a passkey.")
        .described(
            "Give `public_key` to `PublicKeyCredential.parseRequestOptionsFromJSON` and the result to \
             `navigator.credentials.get`. What that gives (`toJSON()`) goes to `POST /api/v1/auth/passkey`, or to \
             `POST /api/v1/auth/reauthenticate`, with the challenge.",
        )
        .problems(&[ProblemKind::Forbidden])
        .knows_client()
        .keeps_no_answers(),
        Route::post(
            "/api/v1/auth/passkey",
            Guard::Public("the passkey in the body is the credential"),
            by_passkey,
        )
        .named("auth.passkey", "Sign-in", "Signs in with a passkey alone.")
        .described("The passkey has to check its user (PIN, finger, face), so it stands for both factors.")
        .problems(SIGNING_IN)
        .example(r#"{"challenge":"chm_live_eyJ0eXAiOiJwYXNza2V5In0.rk6Vt0zJ","credential":{}}"#)
        .body_limit(64 * 1024)
        .knows_client()
        .keeps_no_answers(),
    ]
}

/// What signing in with a password leads to: a session, or the question for the second factor.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Entry")]
#[serde(untagged)]
pub enum EntryView {
    /// A session.
    SignedIn(Box<SignedInView>),
    /// The question for the second factor.
    Asked(AskedView),
}

/// The question for the second factor.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SecondFactorAsked")]
pub struct AskedView {
    /// Always true.
    mfa_required: bool,
    /// What `POST /api/v1/auth/mfa` takes, once.
    challenge: String,
    /// Seconds until it ends.
    expires_in: i64,
    /// When it ends.
    #[schemars(with = "wire::Time")]
    expires_at: Timestamp,
    /// What can be shown: `totp` (a code of an authenticator app), `passkey`, `recovery_code`.
    methods: Vec<&'static str>,
    /// What a page asks the browser with for the passkey (`PublicKeyCredentialRequestOptionsJSON`); null where there is none.
    passkey: Option<Value>,
}

impl AskedView {
    /// As it is asked now.
    pub fn of(asked: Asked, now: Timestamp) -> Self {
        Self {
            mfa_required: true,
            challenge: asked.challenge.to_string(),
            expires_in: asked.expires_at.seconds() - now.seconds(),
            expires_at: asked.expires_at,
            methods: asked.methods,
            passkey: asked.passkey,
        }
    }
}

/// What is shown of the forms a second factor has; none when nothing is.
pub fn proof(
    code: Option<String>,
    recovery_code: Option<String>,
    passkey: Option<&Value>,
) -> Result<Option<Proof>, Problem> {
    match (code, recovery_code, passkey) {
        (None, None, None) => Ok(None),
        (Some(code), None, None) => Ok(Some(Proof::Code(Zeroizing::new(code)))),
        (None, Some(code), None) => Ok(Some(Proof::RecoveryCode(Zeroizing::new(code)))),
        (None, None, Some(passkey)) => Ok(Some(Proof::Passkey(Box::new(UsedCredential::read(passkey)?)))),
        _ => Err(Problem::invalid("code", "one second factor is expected: send one of its forms")),
    }
}

/// The second factor, with what it was asked by.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SecondFactorAnswer")]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    /// The challenge of the sign-in.
    challenge: String,
    /// The code an authenticator app shows.
    #[serde(default)]
    code: Option<String>,
    /// A recovery code.
    #[serde(default)]
    recovery_code: Option<String>,
    /// A passkey, as the browser gives it (`AuthenticationResponseJSON`).
    #[serde(default)]
    passkey: Option<Value>,
}

async fn answer(call: Call<(), (), AnswerBody>) -> Result<Reply<SignedInView>, Problem> {
    let AnswerBody { challenge, code, recovery_code, passkey } = call.body;
    let proof = proof(code, recovery_code, passkey.as_ref())?;
    let client = call.client;
    let draft = SecondSignInDraft {
        challenge: Zeroizing::new(challenge),
        proof: proof.ok_or_else(|| Problem::invalid("code", "is missing: a second factor is expected"))?,
        user_agent: client.user_agent.clone(),
        replaces: client.session.clone(),
    };
    let begun = second_sign_in::sign_in(&call.app, &call.ctx, draft).await?;
    Ok(signed_in::answer(begun, &client, call.ctx.now))
}

/// What a page asks the browser with.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PasskeyOptions")]
pub struct OptionsView {
    /// What is sent back beside the browser's answer, once.
    challenge: String,
    /// When it ends.
    #[schemars(with = "wire::Time")]
    expires_at: Timestamp,
    /// What the browser is asked with, in WebAuthn's JSON form.
    public_key: Value,
}

impl From<Options> for OptionsView {
    fn from(it: Options) -> Self {
        let Options { challenge, expires_at, public_key } = it;
        Self { challenge: challenge.to_string(), expires_at, public_key }
    }
}

async fn options(call: Call) -> Result<Reply<OptionsView>, Problem> {
    let options = passkey::use_options(&call.app, &call.ctx, call.client.user_agent.clone())?;
    Ok(Reply::new(options.into()))
}

/// A passkey that was used.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PasskeySignIn")]
#[serde(deny_unknown_fields)]
struct PasskeyBody {
    /// The challenge of the options.
    challenge: String,
    /// What the browser gave (`AuthenticationResponseJSON`).
    credential: Value,
    /// Key or id of the organization to work in; left out, the only one there is, or any.
    #[serde(default)]
    organization: Option<String>,
    /// What the session is to be used by.
    #[serde(default)]
    session: Kind,
}

async fn by_passkey(call: Call<(), (), PasskeyBody>) -> Result<Reply<SignedInView>, Problem> {
    let PasskeyBody { challenge, credential, organization, session } = call.body;
    let client = call.client;
    let draft = PasskeySignInDraft {
        challenge: Zeroizing::new(challenge),
        credential: UsedCredential::read(&credential)?,
        organization,
        opening: signed_in::opening(session, &client)?,
        replaces: client.session.clone().filter(|_| session == Kind::Cookie),
    };
    let begun = passkey::sign_in(&call.app, &call.ctx, draft).await?;
    Ok(signed_in::answer(begun, &client, call.ctx.now))
}
