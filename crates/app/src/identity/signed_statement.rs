//! What the installation states under its signature, for years: not a token, since its type is another one, and checked against every key
//! there ever was. A key that verifies tokens no more still tells what it signed while it was in use; one that was revoked tells nothing.

use super::lineage::{self, Lineage};
use super::signing_key::{KeySet, VerifyingKey};
use super::{LEEWAY_SECONDS, token};
use crate::App;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::{Problem, ProblemKind, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Nothing that is stated is longer.
pub const STATEMENT_MAX: usize = 16 * 1024;

/// Who signed, and when, beside what is stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<T> {
    /// The installation.
    pub iss: String,
    /// When, in seconds.
    pub iat: i64,
    /// The public part of the key, so that the signature can be checked far from here.
    pub jwk: Value,
    /// What is stated.
    #[serde(flatten)]
    pub stated: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// A statement whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed<T> {
    /// The id of the key.
    pub kid: String,
    /// What was signed.
    pub signed: Signed<T>,
}

/// States something under the key that signs; gives a JWS in its compact form (RFC 7515).
pub async fn sign<T: Serialize>(app: &App, typ: &str, stated: T, now: Timestamp) -> Result<String, Problem> {
    // It is to be read in years: not by a key that another node let go a moment ago.
    lineage::reload(app).await?;
    let keys = app.identity().keys();
    let no_key = || Problem::new(ProblemKind::Unavailable, "no signing key is active").retry_after(1);
    let jwk = keys.signer_jwk().ok_or_else(no_key)?;
    let signed = Signed { iss: app.identity().terms.issuer.clone(), iat: now.seconds(), jwk, stated };
    token::signed(&keys, typ, &signed).ok_or_else(no_key)
}

/// What a statement of a type says, or why it counts for nothing.
pub async fn confirm<T: DeserializeOwned>(
    app: &App,
    typ: &str,
    text: &str,
    now: Timestamp,
) -> Result<Result<Confirmed<T>, &'static str>, Problem> {
    let known = confirmed(&app.identity().keys(), typ, text);
    if known.as_ref().err() == Some(&UNKNOWN_KEY) && lineage::reload_for_unknown(app, now).await? {
        return Ok(confirmed(&app.identity().keys(), typ, text));
    }
    Ok(known)
}

const FORM: &str = "it is no signature of this kind";
const UNKNOWN_KEY: &str = "it names a key that this installation never had";

fn confirmed<T: DeserializeOwned>(
    keys: &KeySet,
    typ: &str,
    text: &str,
) -> Result<Confirmed<T>, &'static str> {
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return Err(FORM) };
    if text.len() > STATEMENT_MAX {
        return Err(FORM);
    }
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| FORM);
    let known: Header = serde_json::from_slice(&decode(header)?).map_err(|_| FORM)?;
    if known.alg != Lineage::Access.alg() || known.typ != typ {
        return Err(FORM);
    }
    let key: &VerifyingKey = keys.get(&known.kid).ok_or(UNKNOWN_KEY)?;
    let message = text.get(..header.len() + 1 + payload.len()).ok_or(FORM)?;
    if !key.has_signed(message.as_bytes(), &decode(signature)?) {
        return Err("it was changed after it was signed, or another key signed it");
    }
    if key.is_revoked() {
        return Err("the key that signed it was revoked, so that nothing it signed counts");
    }
    let signed: Signed<T> = serde_json::from_slice(&decode(payload)?).map_err(|_| FORM)?;
    if !key.may_have_signed_at(signed.iat, LEEWAY_SECONDS) {
        return Err(
            "its key did not sign at that time: where the clock of a machine was wrong then, prove again by `charter adopt verify --proof FILE`",
        );
    }
    Ok(Confirmed { kid: known.kid, signed })
}
