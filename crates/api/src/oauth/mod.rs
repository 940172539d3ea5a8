//! OAuth 2.0 and OpenID Connect over HTTP. Clients are administered by JSON like everything else (`client.rs`); what applications and
//! browsers use keeps the forms of the standards: parameters in addresses and forms (`form.rs`), errors by their words, pages (`page.rs`).

mod authorize;
mod client;
mod consent;
mod discovery;
mod form;
mod logout;
mod page;
mod prove;
mod token;
mod user_info;
mod visit;

use crate::edge::Route;
use charter_app::App;

/// Where browsers are sent to sign in.
const AUTHORIZE: &str = "/oauth/authorize";
/// Where its pages have their script.
const SCRIPT: &str = "/oauth/passkey.js";
/// Where clients get tokens.
const TOKEN: &str = "/oauth/token";
/// Where they ask what a token is worth.
const INTROSPECT: &str = "/oauth/introspect";
/// Where they give one back.
const REVOKE: &str = "/oauth/revoke";
/// Where they ask who their user is.
const USER_INFO: &str = "/oauth/userinfo";
/// Where they send browsers to sign out.
const LOGOUT: &str = "/oauth/logout";
/// The group of these routes in the document.
const TAG: &str = "OAuth";

/// The routes of this folder.
pub fn routes() -> Vec<Route<App>> {
    [
        client::routes(),
        consent::routes(),
        discovery::routes(),
        authorize::routes(),
        token::routes(),
        user_info::routes(),
        logout::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
