//! Tokens the former system issued (HS256), accepted while they last: so that nobody has to sign in again on the day of the change.
//!
//! A path of its own beside `token.rs`: the secrets are `LegacySecret`s, which cannot sign and never meet a public key, so no token can
//! make one verifier take the other's key. What such a token says about roles or permissions is ignored: it names a user, and the user
//! may do what the engine says. Where the operator says which claim is the user's id there, it is looked for among those who were adopted
//! from that system, and the other names only have to agree. Everything ends at an instant: 270 days after the installation first took such tokens, sooner when the
//! operator says so, and a day for secrets that can be guessed.

use super::LEEWAY_SECONDS;
use super::legacy_secret::{LegacyFile, LegacySecret};
use super::seal::Pepper;
use super::token::{TOKEN_MAX, TokenFault, has_no_name_twice};
use crate::audit;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::{Key, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// How long tokens of the former system are taken at most.
pub const GRACE_SECONDS: i64 = 270 * 86_400;
/// How long, when their secret is weak.
pub const WEAK_GRACE_SECONDS: i64 = 86_400;
/// A token that is valid for longer than this is none a system issues for access.
const LIFE_SECONDS_MAX: i64 = 31 * 86_400;
/// Claims that may name the user, the clearest first.
const NAMES: [&str; 5] = ["email", "preferred_username", "username", "sub", "identity"];
/// Claims that say what a token is for, where systems say it.
const KINDS: [&str; 3] = ["token_type", "type", "typ"];

struct Known {
    secret: LegacySecret,
    key: DecodingKey,
    is_weak: bool,
    until: Timestamp,
    has_ended: AtomicBool,
    /// Since it was written down last.
    accepted: AtomicU64,
    last_at: AtomicI64,
}

/// The secrets in force, and what was let in by each.
pub struct LegacyTokens {
    known: Vec<Known>,
    pepper: Pepper,
    ids: Option<LegacyIds>,
    written_at: AtomicI64,
}

/// Tokens name users by their ids in a system that was adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyIds {
    /// The claim that is the id.
    pub claim: String,
    /// The name under which that system was adopted.
    pub source: Key,
}

impl fmt::Debug for LegacyTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LegacyTokens({} secrets)", self.known.len())
    }
}

/// A secret in force, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacySecretState {
    /// What it is called: nothing can be learned from it.
    pub id: String,
    /// It can be guessed.
    pub is_weak: bool,
    /// When its tokens are refused.
    pub until: Timestamp,
    /// Since when its tokens are taken.
    pub taken_at: Timestamp,
    /// How many requests came by a token of it.
    pub accepted: u64,
    /// When the last of them did.
    pub last_accepted_at: Option<Timestamp>,
}

/// What a secret is called by a version of the pepper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub by: u32,
    pub id: String,
}

/// A secret of the file, as this node has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// What it is called by every version of the pepper in force, that which makes hashes first.
    pub ids: Vec<Name>,
    pub is_weak: bool,
    pub until: Timestamp,
    pub has_ended: bool,
    /// Requests that are not written down yet, and when the last of them came.
    pub accepted: u64,
    pub last_at: Option<Timestamp>,
}

impl Held {
    /// Whether some version in force calls it so.
    pub fn is_called(&self, id: &str) -> bool {
        self.ids.iter().any(|name| name.id == id)
    }
}

/// The user a token names: every claim that could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyClaims {
    /// Their id in a system that was adopted, where tokens have one: it alone says who they are.
    pub id: Option<(Key, String)>,
    /// Possible logins, the clearest first.
    pub names: Vec<String>,
    /// When the token ends.
    pub expires_at: Timestamp,
    /// When it was issued, where it says so.
    pub issued_at: Option<i64>,
}

impl LegacyTokens {
    /// With the secrets of a file, from the instant the installation first took such tokens, until one the operator names.
    pub fn new(file: &LegacyFile, pepper: &Pepper, since: Timestamp, until: Option<Timestamp>) -> Self {
        let grace = since.plus_seconds(GRACE_SECONDS);
        let at_most = until.map_or(grace, |until| until.min(grace));
        let known = file.secrets().map(|secret| Known::of(secret, since, at_most)).collect();
        Self { known, pepper: pepper.clone(), ids: None, written_at: AtomicI64::new(since.micros()) }
    }

    /// The same, with users named by their ids in a system that was adopted.
    pub fn naming_by(self, ids: Option<LegacyIds>) -> Self {
        Self { ids, ..self }
    }

    /// The same, counting on where those before them stopped.
    pub fn counting_on(self, before: Option<&Self>) -> Self {
        let Some(before) = before else { return self };
        self.written_at.store(before.written_at.load(Ordering::Relaxed), Ordering::Relaxed);
        for known in &self.known {
            let Some(it) = before.known.iter().find(|it| it.secret == known.secret) else { continue };
            known.accepted.store(it.accepted.load(Ordering::Relaxed), Ordering::Relaxed);
            known.last_at.store(it.last_at.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self
    }

    /// Those of them that a file still holds and that nobody can guess, as they are.
    pub fn still_in(&self, file: &LegacyFile) -> Self {
        let stays = |known: &&Known| !known.is_weak && file.secrets().any(|secret| *secret == known.secret);
        Self {
            known: self.known.iter().filter(stays).map(Known::again).collect(),
            pepper: self.pepper.clone(),
            ids: self.ids.clone(),
            written_at: AtomicI64::new(self.written_at.load(Ordering::Acquire)),
        }
    }

    /// What a secret is called by every version of the pepper in force. Nothing can be learned from it.
    fn ids(&self, known: &Known) -> Vec<Name> {
        let hashes = self.pepper.every_legacy_secret(known.secret.bytes());
        let name =
            |(by, hash): (u32, [u8; 32])| Name { by, id: audit::hex(hash.get(..6).unwrap_or_default()) };
        hashes.into_iter().map(name).collect()
    }

    /// The secrets of the file, newest first.
    pub(super) fn held(&self) -> Vec<Held> {
        let of = |known: &Known| {
            let accepted = known.accepted.load(Ordering::Acquire);
            let last_at = Timestamp(known.last_at.load(Ordering::Acquire));
            Held {
                ids: self.ids(known),
                is_weak: known.is_weak,
                until: known.until,
                has_ended: known.has_ended(),
                accepted,
                last_at: (accepted > 0).then_some(last_at),
            }
        };
        self.known.iter().map(of).collect()
    }

    /// Ends the secrets that are called so, for good.
    pub(super) fn end(&self, is_ended: impl Fn(&str) -> bool) {
        for known in self.known.iter().filter(|known| !known.has_ended()) {
            if self.ids(known).iter().any(|name| is_ended(&name.id)) {
                known.has_ended.store(true, Ordering::Release);
            }
        }
    }

    /// Whether what was counted is to be written now; who is told so writes it.
    pub(super) fn takes_turn(&self, every_seconds: i64, now: Timestamp) -> bool {
        let last = self.written_at.load(Ordering::Acquire);
        Timestamp(last).plus_seconds(every_seconds) <= now
            && self
                .written_at
                .compare_exchange(last, now.micros(), Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// Notes that so much of what was counted for a secret is written down.
    pub(super) fn written(&self, id: &str, accepted: u64) {
        if let Some(known) = self.known.iter().find(|known| self.ids(known).iter().any(|name| name.id == id))
        {
            known.accepted.fetch_sub(accepted, Ordering::AcqRel);
        }
    }

    /// What a token says, when one of the secrets signed it and it holds at this instant.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<LegacyClaims, TokenFault> {
        if token.len() > TOKEN_MAX || !is_header_plain(token)? {
            return Err(TokenFault::Header);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are judged here, against the one `now` of the request.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let signed = self.known.iter().filter(|known| !known.has_ended()).find_map(|known| {
            let token = decode::<Map<String, Value>>(token, &known.key, &validation).ok()?;
            Some((known, token.claims))
        });
        let (known, claims) = signed.ok_or(TokenFault::Signature)?;
        let payload = token.split('.').nth(1).unwrap_or_default();
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenFault::Form)?;
        has_no_name_twice(&payload).map_err(|_| TokenFault::Claims)?;
        if known.until <= now {
            return Err(TokenFault::KeyState);
        }
        let claims = judge(&claims, self.ids.as_ref(), now)?;
        known.last_at.fetch_max(now.micros(), Ordering::AcqRel);
        known.accepted.fetch_add(1, Ordering::AcqRel);
        Ok(claims)
    }
}

impl Known {
    fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    fn again(&self) -> Self {
        Self {
            secret: self.secret.clone(),
            key: self.key.clone(),
            is_weak: self.is_weak,
            until: self.until,
            has_ended: AtomicBool::new(self.has_ended()),
            accepted: AtomicU64::new(self.accepted.load(Ordering::Acquire)),
            last_at: AtomicI64::new(self.last_at.load(Ordering::Acquire)),
        }
    }

    fn of(secret: &LegacySecret, since: Timestamp, until: Timestamp) -> Self {
        let is_weak = secret.weakness().is_some();
        let weak_until = since.plus_seconds(WEAK_GRACE_SECONDS);
        Self {
            secret: secret.clone(),
            key: DecodingKey::from_secret(secret.bytes()),
            is_weak,
            until: if is_weak { until.min(weak_until) } else { until },
            has_ended: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            last_at: AtomicI64::new(0),
        }
    }
}

/// Whether a token could be the former system's, by the algorithm its header names. That chooses the verifier and nothing else.
pub fn is_for_legacy(token: &str) -> bool {
    let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let header = header.and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok());
    header.is_some_and(|header| header.get("alg").and_then(Value::as_str) == Some("HS256"))
}

/// Only `alg`, `typ` and `kid` may stand in the header: nothing that leads to another key or changes the meaning.
fn is_header_plain(token: &str) -> Result<bool, TokenFault> {
    let part = token.split('.').next().unwrap_or_default();
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Form)?;
    has_no_name_twice(&json).map_err(|_| TokenFault::Header)?;
    let header: Map<String, Value> = serde_json::from_slice(&json).map_err(|_| TokenFault::Header)?;
    if header.get("alg").and_then(Value::as_str) != Some("HS256") {
        return Err(TokenFault::Algorithm);
    }
    let is_type =
        header.get("typ").is_none_or(|typ| typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("JWT")));
    if !is_type {
        return Err(TokenFault::Type);
    }
    Ok(header.keys().all(|name| matches!(name.as_str(), "alg" | "typ" | "kid")))
}

fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, TokenFault> {
    match claims.get(name) {
        None => Ok(None),
        // Some systems write fractions of a second; the whole seconds count.
        Some(value) => {
            let whole = value.as_i64().or_else(|| {
                value.as_f64().filter(|it| it.is_finite() && it.abs() < 1e12).map(|it| it.floor() as i64)
            });
            whole.filter(|whole| *whole >= 0).map(Some).ok_or(TokenFault::Claims)
        }
    }
}

/// The id a claim is: a text or a whole number.
fn id_of(claims: &Map<String, Value>, claim: &str) -> Result<String, TokenFault> {
    let id = match claims.get(claim) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
        _ => return Err(TokenFault::Claims),
    };
    if id.is_empty() { Err(TokenFault::Claims) } else { Ok(id) }
}

fn judge(
    claims: &Map<String, Value>,
    ids: Option<&LegacyIds>,
    now: Timestamp,
) -> Result<LegacyClaims, TokenFault> {
    let exp = seconds(claims, "exp")?.ok_or(TokenFault::Claims)?;
    let (iat, nbf) = (seconds(claims, "iat")?, seconds(claims, "nbf")?);
    let latest = now.seconds() + LEEWAY_SECONDS;
    if now.seconds() >= exp.saturating_add(LEEWAY_SECONDS) {
        return Err(TokenFault::Expired);
    }
    if iat.is_some_and(|iat| iat > latest) || nbf.is_some_and(|nbf| nbf > latest) {
        return Err(TokenFault::NotYet);
    }
    if exp - iat.unwrap_or(now.seconds()) > LIFE_SECONDS_MAX {
        return Err(TokenFault::Life);
    }
    for kind in KINDS {
        // A refresh, reset or invitation token opens nothing here.
        if claims
            .get(kind)
            .is_some_and(|value| !value.as_str().is_some_and(|it| it.eq_ignore_ascii_case("access")))
        {
            return Err(TokenFault::Type);
        }
    }
    let id = ids.map(|ids| Ok((ids.source.clone(), id_of(claims, &ids.claim)?))).transpose()?;
    let mut names: Vec<String> = Vec::new();
    for name in NAMES.into_iter().filter(|name| ids.is_none_or(|ids| ids.claim != *name)) {
        if let Some(text) =
            claims.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
            && !names.iter().any(|known| known == text)
        {
            names.push(text.to_owned());
        }
    }
    if names.is_empty() && id.is_none() {
        return Err(TokenFault::Claims);
    }
    Ok(LegacyClaims { id, names, expires_at: Timestamp::from_seconds(exp), issued_at: iat })
}

#[cfg(test)]
mod tests {
    use super::super::legacy_secret;
    use super::*;
    use aws_lc_rs::hmac;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;
    const NEW: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";
    const OLD: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn tokens() -> LegacyTokens {
        let file = legacy_secret::read(&format!("SECRET_KEY={NEW}\nSECRET_KEYS_HISTORY={OLD},weak")).unwrap();
        LegacyTokens::new(&file, &Pepper::new(&[2; 32]), at(NOW - 86_400 * 2), None)
    }

    fn part(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    fn signed(algorithm: hmac::Algorithm, secret: &[u8], header: &str, claims: &str) -> String {
        let text = format!("{}.{}", part(header), part(claims));
        let tag = hmac::sign(&hmac::Key::new(algorithm, secret), text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    fn token(secret: &str, claims: &Value) -> String {
        signed(hmac::HMAC_SHA256, secret.as_bytes(), r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string())
    }

    fn claims() -> Value {
        json!({ "sub": "ann@toys.example", "iat": NOW - 60, "exp": NOW + 1_800, "role": "superadmin" })
    }

    fn refused(token: &str) -> TokenFault {
        tokens().verify(token, at(NOW)).unwrap_err()
    }

    #[test]
    fn tokens_of_the_newest_and_of_older_secrets_name_their_user_and_nothing_else() {
        let tokens = tokens();
        for secret in [NEW, OLD] {
            let found = tokens.verify(&token(secret, &claims()), at(NOW)).unwrap();
            assert_eq!(found.names, ["ann@toys.example"]);
            assert_eq!(found.expires_at, at(NOW + 1_800));
        }
        assert_eq!(tokens.held().iter().map(|held| held.accepted).collect::<Vec<_>>(), [1, 1, 0]);
        let both = json!({ "email": "ann@toys.example", "sub": "ann", "exp": NOW + 60 });
        assert_eq!(tokens.verify(&token(NEW, &both), at(NOW)).unwrap().names, ["ann@toys.example", "ann"]);
        assert!(is_for_legacy(&token(NEW, &claims())) && !is_for_legacy("a.b.c"));
    }

    #[test]
    fn ids_are_texts_or_whole_numbers_of_the_claim_that_is_named() {
        let ids = LegacyIds { claim: "sub".to_owned(), source: "erp".parse().unwrap() };
        let tokens = tokens().naming_by(Some(ids));
        let found = |sub: Value| {
            let claims = json!({ "sub": sub, "username": "ann", "exp": NOW + 60 });
            tokens.verify(&token(NEW, &claims), at(NOW))
        };
        for sub in [json!("17"), json!(17)] {
            let claims = found(sub).unwrap();
            assert_eq!(claims.id.unwrap().1, "17");
            assert_eq!(claims.names, ["ann"]);
        }
        for sub in [json!(""), json!(17.0), json!(true), json!(null), json!(["17"])] {
            assert!(found(sub.clone()).is_err(), "{sub}");
        }
        let without = json!({ "username": "ann", "exp": NOW + 60 });
        assert_eq!(tokens.verify(&token(NEW, &without), at(NOW)).unwrap_err(), TokenFault::Claims);
        let alone = json!({ "sub": 17, "exp": NOW + 60 });
        assert!(tokens.verify(&token(NEW, &alone), at(NOW)).unwrap().names.is_empty());
    }

    /// Attacks 1, 3, 4, 7 and 19, against this verifier.
    #[test]
    fn other_algorithms_headers_and_secrets_are_refused() {
        let text = claims().to_string();
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"EdDSA"}"#,
            r#"{"alg":["HS256"]}"#,
        ] {
            assert_eq!(
                refused(&signed(hmac::HMAC_SHA256, NEW.as_bytes(), header, &text)),
                TokenFault::Algorithm,
                "{header}"
            );
        }
        let longer = signed(hmac::HMAC_SHA512, NEW.as_bytes(), r#"{"alg":"HS512"}"#, &text);
        assert_eq!(refused(&longer), TokenFault::Algorithm);
        for extra in ["jwk", "jku", "x5u", "x5c", "crit", "zip", "b64"] {
            let header = json!({ "alg": "HS256", extra: "https://evil.example" }).to_string();
            assert_eq!(
                refused(&signed(hmac::HMAC_SHA256, NEW.as_bytes(), &header, &text)),
                TokenFault::Header,
                "{extra}"
            );
        }
        let twice = r#"{"alg":"HS256","alg":"none"}"#;
        assert_eq!(refused(&signed(hmac::HMAC_SHA256, NEW.as_bytes(), twice, &text)), TokenFault::Header);
        let typ = r#"{"alg":"HS256","typ":"at+jwt"}"#;
        assert_eq!(refused(&signed(hmac::HMAC_SHA256, NEW.as_bytes(), typ, &text)), TokenFault::Type);
        assert_eq!(refused(&token(&"0".repeat(64), &claims())), TokenFault::Signature);
        let whole = token(NEW, &claims());
        assert_eq!(refused(&format!("{whole}x")), TokenFault::Signature);
        for broken in [format!("{whole}.x"), whole.replacen('.', "", 1), String::new()] {
            assert!(tokens().verify(&broken, at(NOW)).is_err(), "{broken}");
        }
        for name in ["sub", "email", "role"] {
            let duplicate =
                format!(r#"{{"{name}":"a@b.example","{name}":"ann@toys.example","exp":{}}}"#, NOW + 60);
            let header = r#"{"alg":"HS256"}"#;
            assert!(
                tokens()
                    .verify(&signed(hmac::HMAC_SHA256, NEW.as_bytes(), header, &duplicate), at(NOW))
                    .is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn times_are_demanded_and_held() {
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            token(NEW, &claims)
        };
        assert_eq!(refused(&token(NEW, &json!({ "sub": "ann@toys.example" }))), TokenFault::Claims);
        assert_eq!(refused(&with("exp", json!("tomorrow"))), TokenFault::Claims);
        assert_eq!(refused(&with("exp", json!(-1))), TokenFault::Claims);
        assert_eq!(refused(&with("exp", json!(NOW - 61))), TokenFault::Expired);
        assert_eq!(refused(&with("exp", json!(NOW + 40 * 86_400))), TokenFault::Life);
        assert_eq!(refused(&with("iat", json!(NOW + 61))), TokenFault::NotYet);
        assert_eq!(refused(&with("nbf", json!(NOW + 61))), TokenFault::NotYet);
        assert!(tokens().verify(&with("exp", json!(NOW as f64 + 100.5)), at(NOW)).is_ok());
        for kind in KINDS {
            assert_eq!(refused(&with(kind, json!("refresh"))), TokenFault::Type, "{kind}");
            assert!(tokens().verify(&with(kind, json!("access")), at(NOW)).is_ok());
        }
        assert_eq!(refused(&token(NEW, &json!({ "sub": 7, "exp": NOW + 60 }))), TokenFault::Claims);
    }

    /// Attack 18: after the grace nothing is taken; a weak secret's is a day.
    #[test]
    fn the_grace_ends_and_a_weak_secret_has_a_day() {
        let weak = token("weak", &claims());
        assert_eq!(refused(&weak), TokenFault::KeyState);
        let tokens = tokens();
        let first_day = tokens.verify(&weak, at(NOW - 86_400 - 1));
        assert_eq!(
            first_day,
            Err(TokenFault::NotYet),
            "by its day it was within its grace, and not issued yet"
        );
        let late = at(NOW - 2 * 86_400 + GRACE_SECONDS);
        let claims = json!({ "sub": "ann@toys.example", "exp": late.seconds() + 60 });
        assert_eq!(tokens.verify(&token(NEW, &claims), late), Err(TokenFault::KeyState));
        assert!(tokens.verify(&token(NEW, &claims), late.plus_seconds(-1)).is_ok());
        let file = legacy_secret::read(&format!("SECRET_KEY={NEW}")).unwrap();
        let closed = LegacyTokens::new(&file, &Pepper::new(&[2; 32]), at(NOW), Some(at(NOW)));
        assert_eq!(closed.verify(&token(NEW, &self::claims()), at(NOW)), Err(TokenFault::KeyState));
    }
}
