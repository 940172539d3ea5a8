//! What somebody who signed in is told: tokens for programs, cookies for browsers.

use crate::edge::{Client, Crumb, Reply, wire};
use charter_app::identity::device::KNOWN_SECONDS;
use charter_app::identity::sign_in::{Opening, SessionKind, SignIn};
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, SessionId, Timestamp};
use http::header::SET_COOKIE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a sign-in is refused.
pub(crate) const SIGNING_IN: &[ProblemKind] =
    &[ProblemKind::InvalidCredentials, ProblemKind::Throttled, ProblemKind::Forbidden];

/// What a session is to be used by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[schemars(rename = "SessionKind")]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A program, or a page that keeps tokens itself.
    #[default]
    Bearer,
    /// A browser: the answer sets a cookie that scripts cannot read.
    Cookie,
}

/// What a client that signs in says of itself. A browser that cannot be given a cookie is told so.
pub fn opening(kind: Kind, client: &Client) -> Result<Opening, Problem> {
    if kind == Kind::Cookie && client.cookies.set(Crumb::Session, "", 0).is_none() {
        return Err(Problem::invalid(
            "session",
            "cookies would travel in the clear here: set public_url to an https address",
        ));
    }
    let kind = match kind {
        Kind::Bearer => SessionKind::Bearer,
        Kind::Cookie => SessionKind::Cookie,
    };
    Ok(Opening { kind, user_agent: client.user_agent.clone() })
}

/// A session, with the tokens for it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SignedIn")]
pub struct SignedInView {
    /// The access token; a browser's session has none, its cookie is enough.
    access_token: Option<String>,
    /// How it is sent.
    token_type: Option<&'static str>,
    /// Seconds until it ends; of a browser's session, until it ends unless it is used.
    expires_in: i64,
    /// When it ends.
    #[schemars(with = "wire::Time")]
    expires_at: Timestamp,
    /// What the next access token is asked for with, once; a browser's session has none.
    refresh_token: Option<String>,
    /// For pages in browsers that send neither `Sec-Fetch-Site` nor `Origin`: what they send as `X-CSRF-Token`.
    csrf_token: Option<String>,
    /// To be sent with the next sign-in on this device, so that what others guess does not slow it down; a browser gets a cookie.
    device_token: Option<String>,
    /// The session.
    #[schemars(with = "wire::Id")]
    session_id: SessionId,
    /// When the session ends at the latest.
    #[schemars(with = "wire::Time")]
    session_expires_at: Timestamp,
    /// The principal.
    #[schemars(with = "wire::Id")]
    principal_id: PrincipalId,
    /// The organization it is for; none is any the principal is a member of.
    #[schemars(with = "Option<wire::Id>")]
    organization_id: Option<OrganizationId>,
}

/// The answer for a session that began.
pub fn answer(begun: SignIn, client: &Client, now: Timestamp) -> Reply<SignedInView> {
    let SignIn { token, expires_at, refresh_token, cookie, csrf_token, device_token, session } = begun;
    let is_browser = session.cookie_hash.is_some();
    let text = |secret: &Option<zeroize::Zeroizing<String>>| secret.as_ref().map(|secret| secret.to_string());
    let view = SignedInView {
        token_type: token.is_some().then_some("Bearer"),
        access_token: text(&token),
        expires_in: expires_at.seconds() - now.seconds(),
        expires_at,
        refresh_token: text(&refresh_token),
        csrf_token,
        device_token: text(&device_token).filter(|_| !is_browser),
        session_id: session.id,
        session_expires_at: session.expires_at,
        principal_id: session.principal,
        organization_id: session.organization,
    };
    let mut reply = Reply::new(view);
    let life = session.expires_at.seconds() - now.seconds();
    for (crumb, secret, seconds) in
        [(Crumb::Session, cookie, life), (Crumb::Device, device_token.filter(|_| is_browser), KNOWN_SECONDS)]
    {
        if let Some(header) = secret.and_then(|secret| client.cookies.set(crumb, &secret, seconds)) {
            reply = reply.header(SET_COOKIE, &header);
        }
    }
    reply
}
