//! OAuth clients of an organization: registered, changed, removed. A secret is in the answer that makes it and nowhere else.

use super::TAG;
use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use charter_app::App;
use charter_app::identity::oauth::client::{self, ClientDraft, ClientUpdate, WithSecret};
use charter_app::identity::oauth::{AUTHORIZATION_CODE, ClientKind, IdTokenAlg, OauthClient};
use charter_kernel::{OauthClientId, PrincipalId, Problem, ProblemKind, Timestamp};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const CLIENTS: &str = "/api/v1/organizations/{organization}/oauth-clients";
const CLIENT: &str = "/api/v1/organizations/{organization}/oauth-clients/{client}";
const READ: Guard = Guard::Permission("admin.oauth_clients.read");
const OVERLAP_SECONDS: u32 = 86_400;

/// The routes of this file.
pub(super) fn routes() -> Vec<Route<App>> {
    vec![
        Route::list(CLIENTS, READ, list)
            .named("oauth-clients.list", TAG, "Lists OAuth clients in the order they were registered, removed ones too."),
        Route::post(CLIENTS, Guard::Permission("admin.oauth_clients.create"), create)
            .named("oauth-clients.create", TAG, "Registers an application as OAuth client; its secret is shown once.")
            .described(
                "Only members of the organization sign in to it, and its tokens work in the organization only. A scope is a \
                 word of OpenID Connect or a pattern of permissions; with a token the application does what is in its scope \
                 and its user may do at that moment. A client of the organization's own (`first_party`) asks nobody whether \
                 they agree, and one with a `service_account` stands for that account: its maker has to hold what it could do, and \
                 for one that asks nobody `admin.org_settings.update` as well.",
            )
            .status(StatusCode::CREATED)
            .problems(&[
                ProblemKind::BeyondGiver,
                ProblemKind::LimitReached,
                ProblemKind::NotFound,
                ProblemKind::Taken,
            ])
            .example(
                r#"{"name":"Shop","kind":"confidential","redirect_uris":["https://shop.example/callback"],"scopes":["openid","email","sales.*.read"]}"#,
            )
            .for_people()
            .demands_recent_sign_in()
            .keeps_no_answers(),
        Route::get(CLIENT, READ, show)
            .named("oauth-clients.show", TAG, "Shows one OAuth client, without its secret.")
            .problems(&[ProblemKind::NotFound]),
        Route::patch(CLIENT, Guard::Permission("admin.oauth_clients.update"), update)
            .named("oauth-clients.update", TAG, "Changes an OAuth client, or switches it off and on.")
            .described(
                "Switched off, or with less to ask for, what it was given ends. With another address to return to, or more to \
                 ask for, everybody is asked again whether they agree.",
            )
            .problems(&[
                ProblemKind::BeyondGiver,
                ProblemKind::NotFound,
                ProblemKind::Changed,
                ProblemKind::Taken,
            ])
            .for_people()
            .demands_recent_sign_in()
            .example(r#"{"active":false}"#),
        Route::post(
            "/api/v1/organizations/{organization}/oauth-clients/{client}/rotate-secret",
            Guard::Permission("admin.oauth_clients.rotate"),
            rotate_secret,
        )
        .named("oauth-clients.rotate-secret", TAG, "Gives a client a new secret, shown once; the old one is taken as well for a while.")
        .described("Without that while (`overlap_seconds` 0), what the client was given ends, too.")
        .problems(&[ProblemKind::BeyondGiver, ProblemKind::NotFound, ProblemKind::InUse])
        .example(r#"{"overlap_seconds":86400}"#)
        .for_people()
        .demands_recent_sign_in()
        .keeps_no_answers(),
        Route::delete(CLIENT, Guard::Permission("admin.oauth_clients.delete"), delete)
            .named("oauth-clients.delete", TAG, "Removes an OAuth client for good; what it was given ends.")
            .problems(&[ProblemKind::NotFound]),
    ]
}

/// Where a client runs, and so whether it can keep a secret.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[schemars(rename = "OauthClientKind")]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// On a server: it keeps a secret.
    Confidential,
    /// In a browser: it keeps none.
    Public,
    /// On a device of its user: it keeps none, and may listen on any port of that device.
    Native,
}

/// How ID tokens are signed.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[schemars(rename = "IdTokenAlg")]
enum Alg {
    /// ECDSA over P-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// RSA, for libraries that know nothing else.
    #[serde(rename = "RS256")]
    Rs256,
}

impl From<Alg> for IdTokenAlg {
    fn from(alg: Alg) -> Self {
        match alg {
            Alg::Es256 => Self::Es256,
            Alg::Rs256 => Self::Rs256,
        }
    }
}

impl From<Kind> for ClientKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Confidential => Self::Confidential,
            Kind::Public => Self::Public,
            Kind::Native => Self::Native,
        }
    }
}

/// An OAuth client.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OauthClient")]
struct ClientView {
    /// Its id: the `client_id` of the standards.
    #[schemars(with = "wire::Id")]
    id: OauthClientId,
    /// What people know it as.
    name: String,
    /// `confidential`, `public` or `native`.
    kind: &'static str,
    /// Where browsers may be sent back to.
    redirect_uris: Vec<String>,
    /// Where they may be sent after signing out.
    post_logout_redirect_uris: Vec<String>,
    /// How it may ask for tokens.
    grant_types: Vec<String>,
    /// What it may ask for.
    scopes: Vec<String>,
    /// What its access tokens may be for besides Charter itself.
    audiences: Vec<String>,
    /// Whether it is the organization's own: nobody is asked whether they agree.
    first_party: bool,
    /// How its ID tokens are signed: `ES256` or `RS256`.
    id_token_alg: &'static str,
    /// The service account its client credentials stand for.
    #[schemars(with = "Option<wire::Id>")]
    service_account_id: Option<PrincipalId>,
    /// Until when the secret before the present one is taken as well.
    #[schemars(with = "Option<wire::Time>")]
    previous_secret_until: Option<Timestamp>,
    /// `active`, `disabled` or `deleted`.
    status: &'static str,
    /// Who registered it; none is the operator.
    #[schemars(with = "Option<wire::Id>")]
    created_by: Option<PrincipalId>,
    /// When it was registered.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// When it was last changed.
    #[schemars(with = "wire::Time")]
    updated_at: Timestamp,
}

impl From<OauthClient> for ClientView {
    fn from(it: OauthClient) -> Self {
        Self {
            id: it.id,
            name: it.name,
            kind: it.kind.as_str(),
            redirect_uris: it.redirect_uris,
            post_logout_redirect_uris: it.post_logout_redirect_uris,
            grant_types: it.grant_types,
            scopes: it.scopes,
            audiences: it.audiences,
            first_party: it.is_first_party,
            id_token_alg: it.id_token_alg.as_str(),
            service_account_id: it.service_account,
            previous_secret_until: it.previous_until,
            status: it.status.as_str(),
            created_by: it.created_by,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}

/// An OAuth client with its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthClientWithSecret")]
struct WithSecretView {
    /// The secret: keep it now, it is not shown again. Clients that can keep none have none.
    client_secret: Option<String>,
    /// The client as it is listed.
    client: ClientView,
}

impl From<WithSecret> for WithSecretView {
    fn from(it: WithSecret) -> Self {
        Self { client_secret: it.secret.map(|secret| secret.to_string()), client: it.client.into() }
    }
}

/// A client to be registered.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "NewOauthClient")]
#[serde(deny_unknown_fields)]
struct CreateBody {
    /// What people know it as.
    name: String,
    /// Where it runs.
    kind: Kind,
    /// Where browsers may be sent back to: compared letter by letter.
    #[serde(default)]
    redirect_uris: Vec<String>,
    /// Where they may be sent after signing out.
    #[serde(default)]
    post_logout_redirect_uris: Vec<String>,
    /// `authorization_code`, `refresh_token`, `client_credentials`; left out, the first. None at all is for a client that only asks
    /// what tokens are worth.
    #[serde(default)]
    grant_types: Option<Vec<String>>,
    /// `openid`, `profile`, `email`, `offline_access`, and patterns of permissions.
    #[serde(default)]
    scopes: Vec<String>,
    /// What its access tokens may be for besides Charter itself (RFC 8707): absolute URIs, compared letter by letter.
    #[serde(default)]
    audiences: Vec<String>,
    /// Whether it is the organization's own: nobody is asked whether they agree.
    #[serde(default)]
    first_party: bool,
    /// How its ID tokens are signed; `ES256` when left out.
    #[serde(default)]
    id_token_alg: Alg,
    /// The service account its client credentials stand for: its id or name.
    #[serde(default)]
    service_account: Option<String>,
}

/// What changes about a client; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "OauthClientChange")]
#[serde(deny_unknown_fields)]
struct UpdateBody {
    /// What people know it as.
    #[serde(default)]
    name: Option<String>,
    /// Where browsers may be sent back to.
    #[serde(default)]
    redirect_uris: Option<Vec<String>>,
    /// Where they may be sent after signing out.
    #[serde(default)]
    post_logout_redirect_uris: Option<Vec<String>>,
    /// How it may ask for tokens.
    #[serde(default)]
    grant_types: Option<Vec<String>>,
    /// What it may ask for.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// What its access tokens may be for besides Charter itself.
    #[serde(default)]
    audiences: Option<Vec<String>>,
    /// Whether it is the organization's own.
    #[serde(default)]
    first_party: Option<bool>,
    /// How its ID tokens are signed.
    #[serde(default)]
    id_token_alg: Option<Alg>,
    /// The service account its client credentials stand for.
    #[serde(default)]
    service_account: Option<String>,
    /// Whether it may be used.
    #[serde(default)]
    active: Option<bool>,
}

/// How a secret is replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "OauthClientSecretRotation")]
#[serde(deny_unknown_fields)]
struct RotateBody {
    /// Seconds for which the old secret is taken as well, at most 30 days; left out, a day.
    #[serde(default)]
    overlap_seconds: Option<u32>,
}

/// A place in an organization.
#[derive(Debug, Deserialize, JsonSchema)]
struct ClientPath {
    /// Its id.
    #[schemars(with = "wire::Id")]
    client: OauthClientId,
}

async fn list(call: Call) -> Result<Reply<Items<ClientView>>, Problem> {
    let found = client::list(&call.app, call.permit()?, &call.page()).await?;
    Ok(call.items(found.items, found.next))
}

async fn create(call: Call<(), (), CreateBody>) -> Result<Reply<WithSecretView>, Problem> {
    let permit = call.permit()?.clone();
    let it = call.body;
    let draft = ClientDraft {
        name: it.name,
        kind: it.kind.into(),
        redirect_uris: it.redirect_uris,
        post_logout_redirect_uris: it.post_logout_redirect_uris,
        grant_types: it.grant_types.unwrap_or_else(|| vec![AUTHORIZATION_CODE.to_owned()]),
        scopes: it.scopes,
        audiences: it.audiences,
        is_first_party: it.first_party,
        id_token_alg: it.id_token_alg.into(),
        service_account: it.service_account,
    };
    let made = client::create(&call.app, &call.ctx, &permit, draft).await?;
    let place =
        format!("/api/v1/organizations/{}/oauth-clients/{}", made.client.organization, made.client.id);
    Ok(Reply::new(made.into()).location(place))
}

async fn show(call: Call<ClientPath>) -> Result<Reply<ClientView>, Problem> {
    Ok(Reply::new(client::get(&call.app, call.permit()?, call.path.client).await?.into()))
}

async fn update(call: Call<ClientPath, (), UpdateBody>) -> Result<Reply<ClientView>, Problem> {
    let permit = call.permit()?.clone();
    let it = call.body;
    let update = ClientUpdate {
        name: it.name,
        redirect_uris: it.redirect_uris,
        post_logout_redirect_uris: it.post_logout_redirect_uris,
        grant_types: it.grant_types,
        scopes: it.scopes,
        audiences: it.audiences,
        is_first_party: it.first_party,
        id_token_alg: it.id_token_alg.map(Into::into),
        service_account: it.service_account,
        is_active: it.active,
    };
    Ok(Reply::new(client::update(&call.app, &call.ctx, &permit, call.path.client, update).await?.into()))
}

async fn rotate_secret(call: Call<ClientPath, (), RotateBody>) -> Result<Reply<WithSecretView>, Problem> {
    let (permit, overlap) = (call.permit()?.clone(), call.body.overlap_seconds.unwrap_or(OVERLAP_SECONDS));
    let made = client::rotate_secret(&call.app, &call.ctx, &permit, call.path.client, overlap).await?;
    Ok(Reply::new(made.into()))
}

async fn delete(call: Call<ClientPath>) -> Result<Reply<()>, Problem> {
    client::delete(&call.app, &call.ctx, call.permit()?, call.path.client).await?;
    Ok(Reply::empty())
}
