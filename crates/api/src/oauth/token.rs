//! `/oauth/token`, `/oauth/introspect`, `/oauth/revoke`: what clients ask with their own credentials.

use super::form::{Credentials, Form, told};
use super::{INTROSPECT, REVOKE, TAG, TOKEN};
use crate::edge::{Answer, Guard, JSON, RawCall, Route};
use axum::body::Bytes;
use axum::response::Response;
use charter_app::App;
use charter_app::identity::oauth::exchange::{self, Issued, TokenDraft};
use charter_app::identity::oauth::inspect::{self, Worth};
use charter_app::identity::oauth::{Fault, Refused, Stop};
use charter_kernel::{Problem, ProblemKind};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

const WHY: &str = "a client shows its own credential, in the form of RFC 6749";
const BODY_LIMIT: usize = 32 * 1024;

/// The routes of this file.
pub(super) fn routes() -> Vec<Route<App>> {
    vec![
        Route::raw(Method::POST, TOKEN, Guard::Public(WHY), tokens)
            .named("oauth.token", TAG, "Gives a client tokens for a code, for a refresh token, or for its service account.")
            .described(
                "A form with `grant_type` `authorization_code` (with `code`, `redirect_uri`, `code_verifier`), \
                 `refresh_token` or `client_credentials`. A client says who it is by Basic or in the form; one that keeps no \
                 secret by `client_id` alone. Errors are those of RFC 6749. A code that comes again, and a refresh token that \
                 another client shows, end what was given before.",
            )
            .problems(&[ProblemKind::Throttled, ProblemKind::Forbidden])
            .takes_form::<TokenForm>()
            .example(r#"{"grant_type":"client_credentials","scope":"sales.*.read"}"#)
            .gives::<IssuedView>()
            .open_to_pages()
            .body_limit(BODY_LIMIT),
        Route::raw(Method::POST, INTROSPECT, Guard::Public(WHY), introspect)
            .named("oauth.introspect", TAG, "Tells a client what a token is worth (RFC 7662).")
            .described(
                "A form with `token`, from a client that keeps a secret. It is told of access tokens for its own organization \
                 and of its own refresh tokens; of every other `{\"active\":false}`.",
            )
            .problems(&[ProblemKind::Throttled])
            .takes_form::<ShownForm>()
            .example(r#"{"token":"chr_live_..."}"#)
            .gives::<WorthView>()
            .body_limit(BODY_LIMIT),
        Route::raw(Method::POST, REVOKE, Guard::Public(WHY), revoke)
            .named("oauth.revoke", TAG, "Takes back a token of a client, with all that belongs to it (RFC 7009).")
            .described("A form with `token`. A token that is over, or another client's, changes nothing and is answered the same.")
            .problems(&[ProblemKind::Throttled])
            .takes_form::<ShownForm>()
            .example(r#"{"token":"chr_live_..."}"#)
            .open_to_pages()
            .body_limit(BODY_LIMIT),
    ]
}

/// What a client asks tokens for (RFC 6749 and RFC 7636).
#[derive(JsonSchema)]
#[schemars(rename = "OauthTokenRequest")]
#[expect(
    dead_code,
    reason = "the document shows it; `Form` reads it, which knows parameters that stand twice"
)]
struct TokenForm {
    /// `authorization_code`, `refresh_token` or `client_credentials`.
    grant_type: String,
    /// The code, for `authorization_code`.
    code: Option<String>,
    /// Where the code was sent, for `authorization_code`.
    redirect_uri: Option<String>,
    /// What the challenge was made from, for `authorization_code`.
    code_verifier: Option<String>,
    /// The refresh token, for `refresh_token`.
    refresh_token: Option<String>,
    /// Words with a blank between them: less than was given, or all of it when it is left out.
    scope: Option<String>,
    /// What the access token is for, when it is not Charter itself (RFC 8707): one resource of those that were asked for.
    resource: Option<String>,
    /// The client, when it does not say so by Basic.
    client_id: Option<String>,
    /// Its secret, where it keeps one and does not say so by Basic.
    client_secret: Option<String>,
}

/// A token a client asks about or gives back.
#[derive(JsonSchema)]
#[schemars(rename = "OauthTokenShown")]
#[expect(
    dead_code,
    reason = "the document shows it; `Form` reads it, which knows parameters that stand twice"
)]
struct ShownForm {
    /// An access token or a refresh token.
    token: String,
    /// What kind it is; the token tells it, too.
    token_type_hint: Option<String>,
    /// The client, when it does not say so by Basic.
    client_id: Option<String>,
    /// Its secret, where it keeps one and does not say so by Basic.
    client_secret: Option<String>,
}

/// Tokens (RFC 6749, section 5.1).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthTokens")]
struct IssuedView {
    /// The access token.
    access_token: String,
    /// How it is sent.
    token_type: &'static str,
    /// Seconds until it ends.
    expires_in: i64,
    /// What it is for.
    scope: String,
    /// What the next is asked for with, where the scope has `offline_access`.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Who signed in, where the scope has `openid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

impl From<Issued> for IssuedView {
    fn from(it: Issued) -> Self {
        Self {
            access_token: it.access_token.to_string(),
            token_type: "Bearer",
            expires_in: it.expires_in,
            scope: it.scope.text(),
            refresh_token: it.refresh_token.map(|token| token.to_string()),
            id_token: it.id_token.map(|token| token.to_string()),
        }
    }
}

/// What a token is worth (RFC 7662, section 2.2).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthTokenWorth")]
struct WorthView {
    /// Whether it is worth anything.
    active: bool,
    /// The rest is there when it is.
    #[serde(flatten)]
    worth: Option<ActiveView>,
}

/// Who acts in somebody's place.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthActor")]
struct ActorView {
    /// Their id.
    sub: String,
}

/// What a token says that is worth something.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthTokenFacts")]
struct ActiveView {
    /// What it is for.
    scope: String,
    /// The client it was given to.
    client_id: String,
    /// Whom it stands for.
    sub: String,
    /// Their login, where the scope of the token lets its client know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// Who really acts, in a support session (RFC 8693, section 4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<ActorView>,
    /// How an access token is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// When it ends, in seconds.
    exp: i64,
    /// When it was issued, in seconds.
    iat: i64,
    /// From when it is good, in seconds.
    nbf: i64,
    /// Who issued it.
    iss: String,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// Its own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// The organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<String>,
    /// How its principal proved itself (RFC 8176).
    amr: Vec<String>,
    /// When it did, in seconds.
    auth_time: i64,
}

impl ActiveView {
    fn of(it: Worth, issuer: &str) -> Self {
        Self {
            scope: it.scope,
            client_id: it.client_id,
            sub: it.sub.to_string(),
            username: it.username,
            act: it.act.map(|id| ActorView { sub: id.to_string() }),
            token_type: it.is_access_token.then_some("Bearer"),
            exp: it.exp,
            iat: it.iat,
            nbf: it.iat,
            iss: issuer.to_owned(),
            aud: it.aud,
            jti: it.jti,
            org: it.org.map(|org| org.to_string()),
            amr: it.amr,
            auth_time: it.auth_time,
        }
    }
}

fn json(view: &impl Serialize) -> Result<Response, Problem> {
    let flaw = |flaw: serde_json::Error| Problem::new(ProblemKind::Internal, format!("the answer: {flaw}"));
    Ok(Answer::new(StatusCode::OK, JSON, serde_json::to_vec(view).map_err(flaw)?).into())
}

async fn form(call: &mut RawCall<App>) -> Result<(Form, Credentials), Stop> {
    let form = Form::read(call).await?;
    let credentials = Credentials::read(&call.parts.headers, &form)?;
    Ok((form, credentials))
}

fn token(form: &Form) -> Result<&str, Stop> {
    let missing = || Refused { fault: Fault::InvalidRequest, detail: "token is missing".to_owned() };
    form.get("token").ok_or_else(|| Stop::Refused(missing()))
}

async fn tokens(mut call: RawCall<App>) -> Result<Response, Problem> {
    let (form, credentials) = match form(&mut call).await {
        Ok(read) => read,
        Err(stop) => return told(stop),
    };
    let resources = form.all("resource");
    let draft = TokenDraft {
        resources: &resources,
        grant_type: form.get("grant_type"),
        code: form.get("code"),
        redirect_uri: form.get("redirect_uri"),
        code_verifier: form.get("code_verifier"),
        refresh_token: form.get("refresh_token"),
        scope: form.get("scope"),
    };
    match exchange::tokens(&call.app, &call.ctx, credentials.presented(), draft).await {
        Ok(issued) => json(&IssuedView::from(issued)),
        Err(stop) => told(stop),
    }
}

async fn introspect(mut call: RawCall<App>) -> Result<Response, Problem> {
    let worth = async {
        let (form, credentials) = form(&mut call).await?;
        inspect::introspect(&call.app, &call.ctx, credentials.presented(), token(&form)?).await
    };
    match worth.await {
        Ok(worth) => {
            let issuer = &call.app.identity().settings().issuer;
            let worth = worth.map(|worth| ActiveView::of(worth, issuer));
            json(&WorthView { active: worth.is_some(), worth })
        }
        Err(stop) => told(stop),
    }
}

async fn revoke(mut call: RawCall<App>) -> Result<Response, Problem> {
    let done = async {
        let (form, credentials) = form(&mut call).await?;
        inspect::revoke(&call.app, &call.ctx, credentials.presented(), token(&form)?).await
    };
    match done.await {
        Ok(()) => Ok(Answer {
            status: StatusCode::OK,
            content_type: None,
            headers: Vec::new(),
            etag: None,
            body: Bytes::new(),
        }
        .into()),
        Err(stop) => told(stop),
    }
}
