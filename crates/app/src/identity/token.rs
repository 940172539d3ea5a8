//! Access tokens: JWTs of the profile RFC 9068, signed with EdDSA, valid for some minutes. A token says who, for which organization, by
//! which session; it carries no permissions, because those are decided when asked.
//!
//! Verification trusts nothing in the token: the algorithm is fixed, the header may have three fields and no others, every claim is
//! demanded in its exact type, a name may stand once, and a key verifies only what it can have signed (`signing_key.rs`).

use super::signing_key::{EDDSA, KeySet};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::{OrganizationId, PrincipalId, SessionId, Timestamp};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// Longest token that is looked at.
pub const TOKEN_MAX: usize = 8 * 1024;
const TYPE: &str = "at+jwt";
const ALGORITHM: &str = EDDSA;
/// The client of tokens that nobody's application was given.
pub const CLIENT: &str = "charter";

/// Who issues tokens, to whom they are addressed, and how long they live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTerms {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// Seconds from `iat` to `exp`.
    pub life_seconds: i64,
    /// How far the clocks of two machines may be apart.
    pub leeway_seconds: i64,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: Audience,
    /// The principal.
    pub sub: PrincipalId,
    /// The application it was issued to.
    pub client_id: String,
    /// Issued at, in seconds.
    pub iat: i64,
    /// Not before, in seconds.
    pub nbf: i64,
    /// Expires, in seconds.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
    /// The organization it is for; none is any the principal is a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrganizationId>,
    /// The session.
    pub sid: SessionId,
    /// How the principal proved itself.
    pub amr: Vec<String>,
    /// When it did, in seconds.
    pub auth_time: i64,
    /// What the client may do by it, where it is not ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Who really acts, in a support session (RFC 8693).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Acting>,
}

/// Somebody who acts as the principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acting {
    /// Who.
    pub sub: PrincipalId,
}

/// One audience or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    fn has(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

/// Only these three fields; whatever else a header may carry (`jku`, `x5u`, `jwk`, `crit`, `zip`) is refused by not being one of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $word:literal),* $(,)?) => {
        /// Why a token is refused. Callers are told one sentence for all of them; the audit trail has the word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum TokenFault { $($(#[$doc])* $name),* }

        impl TokenFault {
            /// The word of the audit trail.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $word),* } }
        }
    };
}

faults! {
    /// Not three parts of base64url, or too long.
    Form = "token.form",
    /// The header is not one of ours.
    Header = "token.header",
    /// Another algorithm than ours.
    Algorithm = "token.alg",
    /// Another type of token.
    Type = "token.typ",
    /// The key id is not one.
    KeyId = "token.kid",
    /// No key has that id.
    UnknownKey = "token.key_unknown",
    /// The key is not in use, or no longer.
    KeyState = "token.key_state",
    /// The signature does not fit.
    Signature = "token.signature",
    /// A claim is missing, twice there, or of another type.
    Claims = "token.claims",
    /// Somebody else's token.
    Issuer = "token.iss",
    /// A token for somebody else.
    Audience = "token.aud",
    /// Over.
    Expired = "token.exp",
    /// Not begun.
    NotYet = "token.nbf",
    /// The key did not sign at that time.
    Window = "token.window",
    /// Valid for longer than we issue.
    Life = "token.life",
    /// Issued before an instant before which none counts.
    Floor = "token.floor",
    /// A refresh token that is none of ours.
    Refresh = "refresh_token",
    /// A cookie that leads to no session.
    Cookie = "session.cookie",
    /// Its session has ended.
    Session = "token.session",
    /// Its principal may not act.
    Principal = "token.principal",
    /// A proxy that names users without the secret it shares with us.
    Proxy = "proxy.secret",
    /// An API key, service token or operator token that is none.
    ServiceToken = "service_token",
    /// An API key or service token that was revoked.
    KeyRevoked = "api_key.revoked",
    /// One that is not valid yet, or no longer.
    KeyTime = "api_key.time",
    /// One from an address it may not be used from.
    KeyAddress = "api_key.address",
    /// One that is put aside because it was reported as leaked.
    KeyQuarantined = "api_key.quarantined",
}

/// Signs a token; none without an active key.
pub fn mint(keys: &KeySet, claims: &Claims) -> Option<String> {
    signed(keys, TYPE, claims)
}

/// Claims of another type of token, signed by the lineage of these keys.
pub(super) fn signed(keys: &KeySet, typ: &str, claims: &impl Serialize) -> Option<String> {
    let header = Header {
        alg: keys.signer_alg()?.to_owned(),
        typ: typ.to_owned(),
        kid: keys.signer_kid()?.to_owned(),
    };
    let part = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
    let signed =
        format!("{}.{}", part(serde_json::to_vec(&header).ok()?), part(serde_json::to_vec(claims).ok()?));
    let signature = keys.sign(signed.as_bytes())?;
    Some(format!("{signed}.{}", part(signature)))
}

impl TokenTerms {
    /// The claims of a new token.
    #[expect(clippy::too_many_arguments, reason = "each is one claim")]
    pub fn claims(
        &self,
        now: Timestamp,
        jti: u128,
        sub: PrincipalId,
        org: Option<OrganizationId>,
        sid: SessionId,
        amr: Vec<String>,
        authenticated_at: Timestamp,
        ends_at: Timestamp,
        supporter: Option<PrincipalId>,
    ) -> Claims {
        let iat = now.seconds();
        Claims {
            iss: self.issuer.clone(),
            aud: Audience::One(self.audience.clone()),
            sub,
            client_id: CLIENT.to_owned(),
            iat,
            nbf: iat,
            exp: (iat + self.life_seconds).min(ends_at.seconds()),
            jti: SessionId(jti).to_string(),
            org,
            sid,
            amr,
            auth_time: authenticated_at.seconds(),
            act: supporter.map(|sub| Acting { sub }),
            scope: None,
        }
    }

    /// Whether a token that expires then is over, the difference of clocks allowed for.
    pub fn is_over(&self, exp: i64, now: Timestamp) -> bool {
        now.seconds() >= exp.saturating_add(self.leeway_seconds)
    }
}

fn is_kid(kid: &str) -> bool {
    (1..=64).contains(&kid.len())
        && kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// What a token says, when all of it holds at this instant and it is for us.
pub fn verify(keys: &KeySet, terms: &TokenTerms, token: &str, now: Timestamp) -> Result<Claims, TokenFault> {
    verified(keys, terms, token, Some(&terms.audience), now)
}

/// The same whomever the token is for. What it says may be told, and lets nobody in.
pub(super) fn verify_for_any(
    keys: &KeySet,
    terms: &TokenTerms,
    token: &str,
    now: Timestamp,
) -> Result<Claims, TokenFault> {
    verified(keys, terms, token, None, now)
}

fn verified(
    keys: &KeySet,
    terms: &TokenTerms,
    token: &str,
    audience: Option<&str>,
    now: Timestamp,
) -> Result<Claims, TokenFault> {
    if token.len() > TOKEN_MAX {
        return Err(TokenFault::Form);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenFault::Form);
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Form);
    let (header_json, payload_json, signature) = (decode(header)?, decode(payload)?, decode(signature)?);

    let header_fields: Loose = serde_json::from_slice(&header_json).map_err(|_| TokenFault::Header)?;
    if header_fields.alg.as_deref() != Some(ALGORITHM) {
        return Err(TokenFault::Algorithm);
    }
    if header_fields.typ.as_deref() != Some(TYPE) {
        return Err(TokenFault::Type);
    }
    let header_known: Header = serde_json::from_slice(&header_json).map_err(|_| TokenFault::Header)?;
    if !is_kid(&header_known.kid) {
        return Err(TokenFault::KeyId);
    }
    let key = keys.get(&header_known.kid).ok_or(TokenFault::UnknownKey)?;
    if !key.is_accepted() {
        return Err(TokenFault::KeyState);
    }
    let signed = token.get(..header.len() + 1 + payload.len()).ok_or(TokenFault::Form)?;
    if !key.has_signed(signed.as_bytes(), &signature) {
        return Err(TokenFault::Signature);
    }

    has_no_name_twice(&payload_json).map_err(|_| TokenFault::Claims)?;
    let claims: Claims = serde_json::from_slice(&payload_json).map_err(|_| TokenFault::Claims)?;
    let latest = now.seconds() + terms.leeway_seconds;
    if claims.iss != terms.issuer {
        return Err(TokenFault::Issuer);
    }
    if audience.is_some_and(|audience| !claims.aud.has(audience)) {
        return Err(TokenFault::Audience);
    }
    if claims.iat < 0 || claims.nbf < 0 || claims.exp < claims.iat {
        return Err(TokenFault::Claims);
    }
    if terms.is_over(claims.exp, now) {
        return Err(TokenFault::Expired);
    }
    if claims.iat > latest || claims.nbf > latest {
        return Err(TokenFault::NotYet);
    }
    if !key.may_have_signed_at(claims.iat, terms.leeway_seconds) {
        return Err(TokenFault::Window);
    }
    if claims.exp - claims.iat > terms.life_seconds {
        return Err(TokenFault::Life);
    }
    Ok(claims)
}

/// Enough of a header to say what is wrong with it.
#[derive(Default)]
struct Loose {
    alg: Option<String>,
    typ: Option<String>,
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = serde_json::Map::deserialize(deserializer)?;
        let text = |name: &str| fields.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        Ok(Self { alg: text("alg"), typ: text("typ") })
    }
}

/// Refuses JSON in which an object, at any depth, has a name twice: two readers would read two different tokens.
pub(super) fn has_no_name_twice(json: &[u8]) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Once.deserialize(&mut reader)?;
    reader.end()
}

struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! leaves {
    ($($visit:ident $kind:ty),*) => {$( fn $visit<E>(self, _: $kind) -> Result<(), E> { Ok(()) } )*};
}

impl<'de> Visitor<'de> for Once {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON in which each name stands once")
    }

    leaves!(visit_bool bool, visit_i64 i64, visit_u64 u64, visit_f64 f64, visit_str & str);

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = entries.next_key::<String>()? {
            if !names.insert(name) {
                return Err(de::Error::custom("a name stands twice"));
            }
            entries.next_value_seed(Self)?;
        }
        Ok(())
    }
}
