//! OAuth 2.0 and OpenID Connect: an application is let in on behalf of somebody who signs in here, or as a service account.
//!
//! A client is an application an organization registered (`client.rs`, `client_secret.rs`). A browser asks for a code (`request.rs` reads
//! what is asked, `authorize.rs` answers), the client exchanges it (`exchange.rs`) for an access token, an ID token (`id_token.rs`) and a
//! refresh token. What it is given is a session with the client's id and scope: it is ended, limited and listed like any other, and its
//! refresh tokens count like all of them. A scope is a ceiling (`scope.rs`): with a token an application may do what is in its scope and its
//! user may do at that moment.

mod audience;
pub mod authorize;
pub mod client;
mod client_audience;
mod client_form;
pub mod client_secret;
pub mod code_exchange;
pub mod consent;
pub mod exchange;
pub mod id_token;
pub mod inspect;
pub mod logout;
pub mod meaning;
mod redirect;
pub mod request;
pub mod scope;

use crate::App;
use charter_db::{BoxFuture, Scope as Sees, Tx};
use charter_kernel::{Problem, Timestamp};
use charter_store as store;

pub use charter_store::oauth_client::{ClientKind, ClientStatus, IdTokenAlg, OauthClient};

/// The code grant (RFC 6749, section 4.1).
pub const AUTHORIZATION_CODE: &str = "authorization_code";
/// The refresh grant (RFC 6749, section 6).
pub const REFRESH_TOKEN: &str = "refresh_token";
/// The grant of a service account (RFC 6749, section 4.4).
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// The grants there are; no implicit one, and none with a password.
pub const GRANT_TYPES: [&str; 3] = [AUTHORIZATION_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS];

/// How long codes that ended are kept, so that one that comes again is known.
const CODES_KEPT_SECONDS: i64 = 86_400;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// What a client is told was wrong, in the words of RFC 6749 and OpenID Connect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $name),* }

        impl Fault {
            /// The word of the standard.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $word),* } }
        }
    };
}

faults! {
    /// A parameter is missing, stands twice, or is wrong.
    InvalidRequest = "invalid_request";
    /// Who asks is not the client it says it is.
    InvalidClient = "invalid_client";
    /// A code or refresh token is wrong, over, used, or somebody else's.
    InvalidGrant = "invalid_grant";
    /// The client may not ask that way.
    UnauthorizedClient = "unauthorized_client";
    /// There is no such grant.
    UnsupportedGrantType = "unsupported_grant_type";
    /// There is no such type of response.
    UnsupportedResponseType = "unsupported_response_type";
    /// More than the client may ask for.
    InvalidScope = "invalid_scope";
    /// A resource the client may not ask for.
    InvalidTarget = "invalid_target";
    /// The user, or their organization, says no.
    AccessDenied = "access_denied";
    /// Nobody is signed in, and nobody may be asked to.
    LoginRequired = "login_required";
    /// Something else has to be asked, and nobody may be.
    InteractionRequired = "interaction_required";
    /// Nobody agreed, and nobody may be asked to.
    ConsentRequired = "consent_required";
    /// Parameters in a signed object are not understood.
    RequestNotSupported = "request_not_supported";
    /// Parameters at an address are not fetched.
    RequestUriNotSupported = "request_uri_not_supported";
    /// A client does not register itself.
    RegistrationNotSupported = "registration_not_supported";
}

/// A request of a client that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What was wrong.
    pub fault: Fault,
    /// The same for people, with what to do.
    pub detail: String,
}

/// Why a client gets nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It asked wrongly.
    Refused(Refused),
    /// It cannot be answered, or not now.
    Problem(Problem),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<charter_db::Error> for Stop {
    fn from(error: charter_db::Error) -> Self {
        Self::Problem(error.into())
    }
}

fn refused(fault: Fault, detail: impl Into<String>) -> Stop {
    Stop::Refused(Refused { fault, detail: detail.into() })
}

/// Forgets codes of yesterday.
pub(super) async fn purge(app: &App, now: Timestamp) -> Result<(), Problem> {
    let before = now.plus_seconds(-CODES_KEPT_SECONDS);
    app.database()
        .write(Sees::Installation, move |tx: &mut Tx| {
            Box::pin(async move { Ok(store::oauth_code::purge(tx, before).await.map(drop)?) })
                as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}
