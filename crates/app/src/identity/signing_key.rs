//! Keys that sign access tokens: Ed25519, one lineage per purpose. A key is `pending` (published, does not sign yet), `active` (signs),
//! `retiring` (verifies what it signed; its private part is destroyed), `retired` (gone), or `revoked` (refused at once).
//!
//! The private part is sealed (`seal.rs`) and named by the key's id. The id is the thumbprint of the public part (RFC 7638), so an id can
//! never come to mean another key. Here: the set of keys in memory and its public document; the rows are made in `lineage.rs`.

use super::seal::Sealer;
use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store::signing_key::{KeyState, SigningKey};
use serde_json::json;
use std::collections::HashMap;

/// The lineage whose keys sign access tokens.
pub const ACCESS: &str = "access";

/// A key that verifies.
#[derive(Debug, Clone)]
pub struct VerifyingKey {
    state: KeyState,
    public: UnparsedPublicKey<Vec<u8>>,
    activates_at: Timestamp,
    retired_at: Option<Timestamp>,
}

impl VerifyingKey {
    /// Whether the key signed the message.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify(message, signature).is_ok()
    }

    /// Whether tokens of this key are accepted at all.
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, KeyState::Active | KeyState::Retiring)
    }

    /// Whether the key may have signed a token issued in this second: a thief of an old key can only make tokens that have
    /// expired already.
    pub fn may_have_signed_at(&self, iat: i64, leeway_seconds: i64) -> bool {
        iat >= self.activates_at.seconds()
            && self.retired_at.is_none_or(|retired_at| iat <= retired_at.seconds() + leeway_seconds)
    }
}

struct Signer {
    kid: String,
    pair: Ed25519KeyPair,
}

/// The keys of one lineage, immutable: a change makes another set.
#[derive(Default)]
pub struct KeySet {
    verifying: HashMap<String, VerifyingKey>,
    signer: Option<Signer>,
    document: String,
    etag: String,
    kept: Vec<SigningKey>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.kept).finish()
    }
}

fn wrong(kid: &str, what: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Internal, format!("signing key {kid}: {what}"))
}

impl KeySet {
    /// The set of what is kept. The private part of the active key must open.
    pub fn new(mut kept: Vec<SigningKey>, sealer: &Sealer) -> Result<Self, Problem> {
        kept.sort_by(|a, b| (a.activates_at, &a.kid).cmp(&(b.activates_at, &b.kid)));
        let mut set = Self::default();
        let mut published = Vec::new();
        for key in &kept {
            if matches!(key.state, KeyState::Pending | KeyState::Active | KeyState::Retiring) {
                published.push(json!({
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "alg": "EdDSA",
                    "use": "sig",
                    "kid": key.kid,
                    "x": URL_SAFE_NO_PAD.encode(&key.public_key),
                }));
            }
            if key.state == KeyState::Active {
                let sealed = key
                    .sealed_private
                    .as_deref()
                    .ok_or_else(|| wrong(&key.kid, "its private part is missing"))?;
                let seed = sealer.open(&key.kid, sealed).map_err(|error| wrong(&key.kid, error))?;
                let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &key.public_key)
                    .map_err(|_| wrong(&key.kid, "its two parts do not belong together"))?;
                set.signer = Some(Signer { kid: key.kid.clone(), pair });
            }
            set.verifying.insert(
                key.kid.clone(),
                VerifyingKey {
                    state: key.state,
                    public: UnparsedPublicKey::new(&ED25519, key.public_key.clone()),
                    activates_at: key.activates_at,
                    retired_at: key.retired_at,
                },
            );
        }
        set.document = json!({ "keys": published }).to_string();
        let sum = digest::digest(&digest::SHA256, set.document.as_bytes());
        set.etag = URL_SAFE_NO_PAD.encode(sum.as_ref().get(..12).unwrap_or_default());
        set.kept = kept;
        Ok(set)
    }

    /// The key of an id.
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.verifying.get(kid)
    }

    /// Whether a key signs.
    pub fn has_signer(&self) -> bool {
        self.signer.is_some()
    }

    /// The id of the key that signs.
    pub fn signer_kid(&self) -> Option<&str> {
        self.signer.as_ref().map(|signer| signer.kid.as_str())
    }

    /// The signature of the active key.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.signer.as_ref().map(|signer| signer.pair.sign(message).as_ref().to_vec())
    }

    /// The public keys as a document for verifiers (RFC 7517).
    pub fn document(&self) -> &str {
        &self.document
    }

    /// The version of the document.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The keys the set was made of, in the order in which they began to sign.
    pub fn kept(&self) -> &[SigningKey] {
        &self.kept
    }

    /// Whether the set was made of exactly these keys.
    pub fn is_of(&self, kept: &[SigningKey]) -> bool {
        self.kept.len() == kept.len() && kept.iter().all(|key| self.kept.contains(key))
    }
}

/// A new key from 32 random bytes, its private part sealed.
pub fn generate(
    seed: &[u8; 32],
    nonce: [u8; 12],
    sealer: &Sealer,
    state: KeyState,
    now: Timestamp,
    activates_at: Timestamp,
) -> Result<SigningKey, Problem> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| wrong("new", "could not be made"))?;
    let public = pair.public_key().as_ref().to_vec();
    let kid = thumbprint(&public);
    let sealed = sealer.seal(&kid, seed, nonce).map_err(|error| wrong(&kid, error))?;
    Ok(SigningKey {
        kid,
        purpose: ACCESS.to_owned(),
        alg: "EdDSA".to_owned(),
        state,
        public_key: public,
        sealed_private: Some(sealed),
        created_at: now,
        published_at: now,
        activates_at,
        retired_at: None,
        removed_at: None,
        revoked_at: None,
        revoke_reason: None,
    })
}

/// The thumbprint of an Ed25519 key (RFC 7638, RFC 8037).
fn thumbprint(public: &[u8]) -> String {
    let text = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(public));
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> Sealer {
        Sealer::new(&[1; 32]).unwrap()
    }

    fn key(seed: u8, state: KeyState) -> SigningKey {
        let mut key = generate(
            &[seed; 32],
            [seed; 12],
            &sealer(),
            state,
            Timestamp::from_seconds(1_000),
            Timestamp::from_seconds(1_000),
        )
        .unwrap();
        if state != KeyState::Active && state != KeyState::Pending {
            key.sealed_private = None;
            key.retired_at = Some(Timestamp::from_seconds(2_000));
        }
        key
    }

    /// The key and thumbprint of RFC 8037, appendix A.
    #[test]
    fn the_key_id_is_the_thumbprint_of_the_public_part() {
        let public = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(thumbprint(&public), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn pending_active_and_retiring_keys_are_published_and_nothing_private_is() {
        let states =
            [KeyState::Pending, KeyState::Active, KeyState::Retiring, KeyState::Retired, KeyState::Revoked];
        let kept: Vec<SigningKey> = states.iter().zip(1..).map(|(state, seed)| key(seed, *state)).collect();
        let set = KeySet::new(kept.clone(), &sealer()).unwrap();
        let document: serde_json::Value = serde_json::from_str(set.document()).unwrap();
        let mut kids: Vec<&str> =
            document["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
        kids.sort_unstable();
        let mut expected: Vec<&str> = kept.iter().take(3).map(|key| key.kid.as_str()).collect();
        expected.sort_unstable();
        assert_eq!(kids, expected);
        assert!(document["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()));
        assert_eq!(set.signer_kid(), Some(kept[1].kid.as_str()));
        assert!(set.is_of(&kept) && !set.is_of(&kept[..4]));
        let fewer = KeySet::new(kept[..2].to_vec(), &sealer()).unwrap();
        assert_ne!(fewer.etag(), set.etag());
    }

    #[test]
    fn a_private_part_moved_to_another_key_does_not_open() {
        let mut moved = key(1, KeyState::Active);
        moved.sealed_private = key(2, KeyState::Active).sealed_private;
        assert!(KeySet::new(vec![moved], &sealer()).is_err());
    }

    #[test]
    fn the_wrong_key_encryption_key_is_said_so() {
        let problem =
            KeySet::new(vec![key(1, KeyState::Active)], &Sealer::new(&[9; 32]).unwrap()).unwrap_err();
        assert!(problem.detail.contains("key-encryption key"), "{problem}");
    }
}
