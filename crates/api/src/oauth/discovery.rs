//! What this service can do, for clients that ask before they begin (RFC 8414, OpenID Connect Discovery).

use super::{AUTHORIZE, INTROSPECT, LOGOUT, REVOKE, TAG, TOKEN, USER_INFO};
use crate::edge::{Call, Guard, Reply, Route};
use charter_app::App;
use charter_app::identity::oauth::id_token::{ALGORITHMS, MULTI_FACTOR, SINGLE_FACTOR};
use charter_app::identity::oauth::{GRANT_TYPES, scope};
use charter_kernel::Problem;
use schemars::JsonSchema;
use serde::Serialize;

const WHY: &str = "clients read what a service can do before they have anything to show";

/// The routes of this file.
pub(super) fn routes() -> Vec<Route<App>> {
    vec![
        Route::get("/.well-known/openid-configuration", Guard::Public(WHY), show).named(
            "oauth.openid-configuration",
            TAG,
            "Says what this OpenID provider can do and where.",
        ),
        Route::get("/.well-known/oauth-authorization-server", Guard::Public(WHY), show).named(
            "oauth.server-metadata",
            TAG,
            "Says what this authorization server can do and where (RFC 8414).",
        ),
    ]
}

/// What this service can do. The names are those of the standards.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthMetadata")]
struct MetadataView {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: String,
    jwks_uri: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    end_session_endpoint: String,
    scopes_supported: Vec<&'static str>,
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: Vec<&'static str>,
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: [&'static str; 3],
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
    code_challenge_methods_supported: [&'static str; 1],
    claims_supported: Vec<&'static str>,
    acr_values_supported: [&'static str; 2],
    prompt_values_supported: [&'static str; 4],
    authorization_response_iss_parameter_supported: bool,
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
}

async fn show(call: Call) -> Result<Reply<MetadataView>, Problem> {
    let settings = call.app.identity().settings();
    let base = settings.public_url.trim_end_matches('/');
    let at = |path: &str| format!("{base}{path}");
    let view = MetadataView {
        issuer: settings.issuer.clone(),
        authorization_endpoint: at(AUTHORIZE),
        token_endpoint: at(TOKEN),
        userinfo_endpoint: at(USER_INFO),
        jwks_uri: at("/.well-known/jwks.json"),
        introspection_endpoint: at(INTROSPECT),
        revocation_endpoint: at(REVOKE),
        end_session_endpoint: at(LOGOUT),
        scopes_supported: scope::OF_OPENID.to_vec(),
        response_types_supported: ["code"],
        response_modes_supported: ["query"],
        grant_types_supported: GRANT_TYPES.to_vec(),
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ALGORITHMS.to_vec(),
        token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
        introspection_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
        revocation_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
        code_challenge_methods_supported: ["S256"],
        claims_supported: vec![
            "iss",
            "sub",
            "aud",
            "azp",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "at_hash",
            "amr",
            "acr",
            "name",
            "preferred_username",
            "updated_at",
            "email",
        ],
        acr_values_supported: [SINGLE_FACTOR, MULTI_FACTOR],
        prompt_values_supported: ["none", "login", "consent", "select_account"],
        authorization_response_iss_parameter_supported: true,
        claims_parameter_supported: false,
        request_parameter_supported: false,
        request_uri_parameter_supported: false,
    };
    Ok(Reply::new(view).cache("public, max-age=300"))
}
