//! Service tokens: the API keys of an organization's service accounts, made, listed, revoked. `api_key.rs` has what else can be done with
//! them. The text of a token is in the answer that makes it and nowhere else.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use charter_app::App;
use charter_app::identity::credential::{self, CredentialDraft, KeyFilter, NewCredential, Reach};
use charter_app::identity::credential_text::CredentialKind;
use charter_kernel::{CredentialId, PrincipalId, Problem, ProblemKind, Timestamp, Window};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const READ: Guard = Guard::Permission("admin.api_keys.read");

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::list("/api/v1/organizations/{organization}/service-tokens", READ, list)
            .named("service-tokens.list", "Service tokens", "Lists service tokens in the order they were made, revoked ones too."),
        Route::post(
            "/api/v1/organizations/{organization}/service-tokens",
            Guard::Permission("admin.api_keys.create"),
            create,
        )
        .named("service-tokens.create", "Service tokens", "Makes a service token for a service account; its text is shown once.")
        .described(
            "A token works in this organization only. It may do what its account may do at that moment, cut down to its \
             scopes. Nobody makes a token that may do what they may not.",
        )
        .status(StatusCode::CREATED)
        .problems(&[ProblemKind::BeyondGiver, ProblemKind::NotFound])
        .example(r#"{"account":"web-shop","name":"shop server","scopes":["sales.*.read"],"expires_at":"2027-01-01T00:00:00Z"}"#)
        .keeps_no_answers()
        .for_people(),
        Route::get("/api/v1/organizations/{organization}/service-tokens/{token}", READ, show)
            .named("service-tokens.show", "Service tokens", "Shows one service token, without its text.")
            .problems(&[ProblemKind::NotFound]),
        Route::delete(
            "/api/v1/organizations/{organization}/service-tokens/{token}",
            Guard::Permission("admin.api_keys.revoke"),
            revoke,
        )
        .named("service-tokens.revoke", "Service tokens", "Revokes a service token, for good.")
        .problems(&[ProblemKind::NotFound, ProblemKind::InUse]),
    ]
}

/// A service token to be made.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewServiceToken")]
#[serde(deny_unknown_fields)]
struct CreateBody {
    /// The service account: its id or name.
    account: String,
    /// What the token is for.
    name: String,
    /// Scopes or patterns its rights are limited to; left out, all its account has.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// Blocks of addresses it may be used from, as `192.0.2.0/24`; left out, any.
    #[serde(default)]
    addresses: Option<Vec<String>>,
    /// From when it is valid; left out, at once.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    not_before: Option<Timestamp>,
    /// Until when; left out, until it is revoked.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    expires_at: Option<Timestamp>,
}

/// A service token.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServiceToken")]
struct ServiceTokenView {
    /// Its id.
    #[schemars(with = "wire::Id")]
    id: CredentialId,
    /// The public part of its text.
    key_id: String,
    /// What it is for.
    name: String,
    /// The service account it belongs to.
    #[schemars(with = "wire::Id")]
    account_id: PrincipalId,
    /// Scopes or patterns its rights are limited to; none is no limit.
    scopes: Option<Vec<String>>,
    /// Blocks of addresses it may be used from; none is any.
    addresses: Option<Vec<String>>,
    /// From when it is valid.
    #[schemars(with = "Option<wire::Time>")]
    not_before: Option<Timestamp>,
    /// Until when.
    #[schemars(with = "Option<wire::Time>")]
    expires_at: Option<Timestamp>,
    /// When it was made.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// Who made it; none is the operator.
    #[schemars(with = "Option<wire::Id>")]
    created_by: Option<PrincipalId>,
    /// When it was revoked.
    #[schemars(with = "Option<wire::Time>")]
    revoked_at: Option<Timestamp>,
    /// Why.
    revoke_reason: Option<String>,
}

macro_rules! view {
    ($it:expr) => {{
        let it = $it;
        ServiceTokenView {
            id: it.id,
            key_id: it.key_id,
            name: it.name,
            account_id: it.principal,
            scopes: it.scopes,
            addresses: it.addresses,
            not_before: it.window.from(),
            expires_at: it.window.to(),
            created_at: it.created_at,
            created_by: it.created_by,
            revoked_at: it.revoked_at,
            revoke_reason: it.revoke_reason,
        }
    }};
}

/// A service token with its text.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MadeServiceToken")]
struct NewServiceTokenView {
    /// Its text: keep it now, it is not shown again.
    token: String,
    /// The token as it is listed.
    service_token: ServiceTokenView,
}

/// A place in an organization.
#[derive(Deserialize, JsonSchema)]
struct TokenPath {
    /// Its id.
    #[schemars(with = "wire::Id")]
    token: CredentialId,
}

async fn list(call: Call) -> Result<Reply<Items<ServiceTokenView>>, Problem> {
    let filter = KeyFilter { kind: Some(CredentialKind::Service), ..KeyFilter::default() };
    let found = credential::list(&call.app, call.permit()?, &filter, call.ctx.now, &call.page()).await?;
    Ok(call.items(found.items.into_iter().map(|it| view!(it)), found.next))
}

async fn create(call: Call<(), (), CreateBody>) -> Result<Reply<NewServiceTokenView>, Problem> {
    let permit = call.permit()?.clone();
    let body = call.body;
    let window = Window::new(body.not_before, body.expires_at)
        .map_err(|error| Problem::invalid("expires_at", error.to_string()))?;
    let draft = CredentialDraft {
        account: Some(body.account),
        name: body.name,
        scopes: body.scopes,
        addresses: body.addresses,
        window,
        requests_per_minute: None,
    };
    let NewCredential { credential, token } =
        credential::create(&call.app, &call.ctx, &permit, draft).await?;
    let place = format!("/api/v1/organizations/{}/service-tokens/{}", credential.organization, credential.id);
    let view = NewServiceTokenView { token: token.to_string(), service_token: view!(credential) };
    Ok(Reply::new(view).location(place))
}

async fn show(call: Call<TokenPath>) -> Result<Reply<ServiceTokenView>, Problem> {
    let found =
        credential::get(&call.app, &call.ctx, call.permit()?, Reach::Service, call.path.token).await?;
    Ok(Reply::new(view!(found)))
}

/// Why it is revoked.
#[derive(Deserialize, JsonSchema)]
struct RevokeQuery {
    /// Why, for the audit trail.
    #[serde(default)]
    reason: Option<String>,
}

async fn revoke(call: Call<TokenPath, RevokeQuery>) -> Result<Reply<ServiceTokenView>, Problem> {
    let reason = call.query.reason.as_deref().unwrap_or_default();
    let (permit, id) = (call.permit()?, call.path.token);
    let revoked = credential::revoke(&call.app, &call.ctx, permit, Reach::Service, id, reason).await?;
    Ok(Reply::new(view!(revoked)))
}
