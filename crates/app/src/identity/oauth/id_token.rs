//! ID tokens (OpenID Connect Core): who signed in, told to the client that asked. Signed by a lineage of their own, of another type and for
//! another audience than access tokens: neither is ever taken for the other.

use super::scope::{EMAIL, PROFILE, Scope};
use crate::App;
use crate::caller::is_multi_factor;
use crate::identity::key_rotation::advance_lineage;
use crate::identity::signing_key::{ES256, ID};
use crate::identity::token::{TOKEN_MAX, has_no_name_twice, signed};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::{OauthClientId, PrincipalId, Problem, Timestamp};
use charter_store::principal::Principal;
use serde::{Deserialize, Serialize};

const TYPE: &str = "JWT";
/// The algorithms ID tokens are signed with.
pub const ALGORITHMS: [&str; 1] = [ES256];
/// What `acr` says of one factor.
pub const SINGLE_FACTOR: &str = "urn:charter:acr:single-factor";
/// What it says of two.
pub const MULTI_FACTOR: &str = "urn:charter:acr:multi-factor";

/// What a client learns of a user, as far as its scope says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// Shown name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// When the account was last changed, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<i64>,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl Profile {
    /// What a scope lets a client know.
    pub fn of(principal: &Principal, scope: &Scope) -> Self {
        let (knows_name, knows_email) = (scope.has(PROFILE), scope.has(EMAIL));
        let email = Some(principal.login.clone()).filter(|login| login.contains('@'));
        Self {
            name: knows_name.then(|| principal.name.clone()),
            // A login that is an address is told to those alone who may know the address.
            preferred_username: (knows_name && (knows_email || email.is_none()))
                .then(|| principal.login.clone()),
            updated_at: knows_name.then(|| principal.updated_at.seconds()),
            email: email.filter(|_| knows_email),
        }
    }
}

#[derive(Debug, Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: PrincipalId,
    aud: OauthClientId,
    azp: OauthClientId,
    iat: i64,
    exp: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    at_hash: String,
    amr: Vec<&'a str>,
    acr: &'static str,
    #[serde(flatten)]
    profile: Profile,
}

/// What an ID token says.
pub(super) struct Saying<'a> {
    /// To whom.
    pub client: OauthClientId,
    /// Of whom.
    pub principal: &'a Principal,
    /// As far as this lets it.
    pub scope: &'a Scope,
    /// What the client wants to find.
    pub nonce: Option<&'a str>,
    /// How the principal proved itself, joined by spaces.
    pub amr: &'a str,
    /// When it did.
    pub authenticated_at: Timestamp,
    /// The access token beside it.
    pub access_token: &'a str,
}

/// The left half of the hash that goes with ES256.
fn at_hash(access_token: &str) -> String {
    let sum = digest::digest(&digest::SHA256, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(sum.as_ref().get(..16).unwrap_or_default())
}

/// Begins the lineage of keys that sign ID tokens, where it has not begun yet.
pub(super) async fn ready(app: &App) -> Result<(), Problem> {
    if app.identity().id_keys().has_signer() {
        return Ok(());
    }
    advance_lineage(app, ID).await
}

/// Signs an ID token; none without an active key.
pub(super) fn mint(app: &App, saying: &Saying<'_>, now: Timestamp) -> Option<String> {
    let identity = app.identity();
    let amr: Vec<&str> = saying.amr.split(' ').collect();
    let claims = Claims {
        iss: &identity.terms.issuer,
        sub: saying.principal.id,
        aud: saying.client,
        azp: saying.client,
        iat: now.seconds(),
        exp: now.seconds() + identity.terms.life_seconds,
        auth_time: saying.authenticated_at.seconds(),
        nonce: saying.nonce,
        at_hash: at_hash(saying.access_token),
        acr: if is_multi_factor(amr.iter().copied()) { MULTI_FACTOR } else { SINGLE_FACTOR },
        amr,
        profile: Profile::of(saying.principal, saying.scope),
    };
    signed(&identity.id_keys(), TYPE, &claims)
}

/// Whom an ID token that a client shows again was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The client it was for.
    pub client: OauthClientId,
    /// Whom it was about.
    pub principal: PrincipalId,
}

#[derive(Deserialize)]
struct ShownHeader {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Deserialize)]
struct ShownClaims {
    iss: String,
    sub: PrincipalId,
    aud: OauthClientId,
    iat: i64,
}

/// Reads an ID token of ours that a client shows as a hint. It may be over: it proves nothing about now.
pub fn read_hint(app: &App, token: &str) -> Option<Shown> {
    let identity = app.identity();
    if token.len() > TOKEN_MAX {
        return None;
    }
    let (said, signature) = token.rsplit_once('.')?;
    let (header, payload) = said.split_once('.')?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let header: ShownHeader = serde_json::from_slice(&decode(header)?).ok()?;
    if header.typ != TYPE || !ALGORITHMS.contains(&header.alg.as_str()) {
        return None;
    }
    let keys = identity.id_keys();
    let key = keys.get(&header.kid).filter(|key| key.is_accepted())?;
    if !key.has_signed(said.as_bytes(), &decode(signature)?) {
        return None;
    }
    let payload = decode(payload)?;
    has_no_name_twice(&payload).ok()?;
    let claims: ShownClaims = serde_json::from_slice(&payload).ok()?;
    let is_ours = claims.iss == identity.terms.issuer
        && key.may_have_signed_at(claims.iat, identity.terms.leeway_seconds);
    is_ours.then_some(Shown { client: claims.aud, principal: claims.sub })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of OpenID Connect Core, appendix A.3.
    #[test]
    fn an_id_token_names_the_access_token_beside_it() {
        assert_eq!(at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
    }
}
