//! Keys that sign tokens: Ed25519 for access tokens; for ID tokens P-256 (ES256), which more libraries know, or RSA (RS256) for those that
//! know nothing else. A key is `pending` (published, does not sign yet), `active` (signs),
//! `retiring` (verifies what it signed; its private part is destroyed), `retired` (gone), or `revoked` (refused at once).
//!
//! The private part is sealed (`seal.rs`) and named by the key's id. The id is the thumbprint of the public part (RFC 7638), so an id can
//! never come to mean another key. Here: the set of keys in memory and its public document; the rows are made in `lineage.rs`.

use super::lineage::Lineage;
use super::seal::Sealer;
use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKey as RsaPublicKey};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store::signing_key::{KeyState, SigningKey};
use serde_json::{Value, json};
use std::collections::HashMap;
use zeroize::Zeroizing;

/// The algorithm of access tokens.
pub const EDDSA: &str = "EdDSA";
/// The algorithm of ID tokens.
pub const ES256: &str = "ES256";
/// Their other algorithm.
pub const RS256: &str = "RS256";

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

    /// Whether nothing it signed counts any more.
    pub fn is_revoked(&self) -> bool {
        self.state == KeyState::Revoked
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

enum Pair {
    Edwards(Ed25519KeyPair),
    P256(Box<EcdsaKeyPair>),
    Rsa(RsaKeyPair),
}

impl Pair {
    /// The pair of what is kept.
    fn open(alg: &str, seed: &[u8], public: &[u8]) -> Option<Self> {
        match alg {
            RS256 => {
                let pair = RsaKeyPair::from_pkcs8(seed).ok()?;
                (pair.public_key().as_ref() == public).then_some(Self::Rsa(pair))
            }
            EDDSA => Ed25519KeyPair::from_seed_and_public_key(seed, public).ok().map(Self::Edwards),
            ES256 => {
                EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, seed, public)
                    .ok()
                    .map(|pair| Self::P256(Box::new(pair)))
            }
            _ => None,
        }
    }

    /// The public part of a private one.
    fn public_of(alg: &str, seed: &[u8]) -> Option<Vec<u8>> {
        match alg {
            RS256 => Some(RsaKeyPair::from_pkcs8(seed).ok()?.public_key().as_ref().to_vec()),
            EDDSA => Some(Ed25519KeyPair::from_seed_unchecked(seed).ok()?.public_key().as_ref().to_vec()),
            ES256 => {
                let private = agreement::PrivateKey::from_private_key(&ECDH_P256, seed).ok()?;
                Some(private.compute_public_key().ok()?.as_ref().to_vec())
            }
            _ => None,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the library draws the nonce of a signature itself; it cannot be seeded"
    )]
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Edwards(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
            Self::P256(pair) => Some(pair.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec()),
        }
    }
}

struct Signer {
    kid: String,
    alg: String,
    pair: Pair,
}

/// How what a key of an algorithm signed is verified.
fn verification(alg: &str) -> Option<&'static dyn VerificationAlgorithm> {
    match alg {
        EDDSA => Some(&ED25519),
        ES256 => Some(&ECDSA_P256_SHA256_FIXED),
        RS256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        _ => None,
    }
}

/// What names a public key (RFC 7638): its members in the order of the alphabet.
fn members(alg: &str, public: &[u8]) -> Option<Value> {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    match alg {
        EDDSA => Some(json!({ "crv": "Ed25519", "kty": "OKP", "x": text(Some(public)) })),
        RS256 => {
            let key = RsaPublicKey::from_der(public).ok()?;
            let [e, n] =
                [key.exponent(), key.modulus()].map(|part| part.big_endian_without_leading_zero().to_vec());
            Some(json!({ "e": text(Some(&e)), "kty": "RSA", "n": text(Some(&n)) }))
        }
        // An uncompressed point: 4, x, y.
        ES256 if public.len() == 65 => Some(
            json!({ "crv": "P-256", "kty": "EC", "x": text(public.get(1..33)), "y": text(public.get(33..)) }),
        ),
        _ => None,
    }
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
                let mut form = members(&key.alg, &key.public_key)
                    .ok_or_else(|| wrong(&key.kid, "its public part is of no known form"))?;
                for (name, value) in [("alg", key.alg.as_str()), ("use", "sig"), ("kid", key.kid.as_str())] {
                    if let Some(form) = form.as_object_mut() {
                        form.insert(name.to_owned(), value.into());
                    }
                }
                published.push(form);
            }
            if key.state == KeyState::Active {
                let sealed = key
                    .sealed_private
                    .as_deref()
                    .ok_or_else(|| wrong(&key.kid, "its private part is missing"))?;
                let seed = sealer.open(&key.kid, sealed).map_err(|error| wrong(&key.kid, error))?;
                let pair = Pair::open(&key.alg, &seed, &key.public_key)
                    .ok_or_else(|| wrong(&key.kid, "its two parts do not belong together"))?;
                set.signer = Some(Signer { kid: key.kid.clone(), alg: key.alg.clone(), pair });
            }
            let verification =
                verification(&key.alg).ok_or_else(|| wrong(&key.kid, "its algorithm is not known"))?;
            set.verifying.insert(
                key.kid.clone(),
                VerifyingKey {
                    state: key.state,
                    public: UnparsedPublicKey::new(verification, key.public_key.clone()),
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

    /// The algorithm of the key that signs.
    pub fn signer_alg(&self) -> Option<&str> {
        self.signer.as_ref().map(|signer| signer.alg.as_str())
    }

    /// The public part of the key that signs, as a document for verifiers has it.
    pub fn signer_jwk(&self) -> Option<Value> {
        let kid = self.signer_kid()?;
        let key = self.kept.iter().find(|key| key.kid == kid)?;
        members(&key.alg, &key.public_key)
    }

    /// The signature of the active key.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.signer.as_ref()?.pair.sign(message)
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

/// A new key of the lineage of access tokens from 32 random bytes, its private part sealed.
pub fn generate(
    seed: &[u8; 32],
    nonce: [u8; 12],
    sealer: &Sealer,
    state: KeyState,
    now: Timestamp,
    activates_at: Timestamp,
) -> Result<SigningKey, Problem> {
    generate_for(Lineage::Access, seed, nonce, sealer, state, now, activates_at)
}

/// The private part of a new key of a lineage: 32 random bytes, or what the library makes of randomness of its own (PKCS #8).
pub async fn private_part(lineage: Lineage, seed: [u8; 32]) -> Result<Zeroizing<Vec<u8>>, Problem> {
    if lineage.alg() != RS256 {
        return Ok(Zeroizing::new(seed.to_vec()));
    }
    // It takes a good part of a second.
    let made = tokio::task::spawn_blocking(|| {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
        let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        Some(Zeroizing::new(der.as_ref().to_vec()))
    });
    made.await.ok().flatten().ok_or_else(not_made)
}

fn not_made() -> Problem {
    Problem::new(ProblemKind::Unavailable, "a signing key could not be made: try again").retry_after(1)
}

/// A new key of any lineage from its private part, which is sealed.
pub fn generate_for(
    lineage: Lineage,
    seed: &[u8],
    nonce: [u8; 12],
    sealer: &Sealer,
    state: KeyState,
    now: Timestamp,
    activates_at: Timestamp,
) -> Result<SigningKey, Problem> {
    let alg = lineage.alg();
    // Of P-256 not every number is a key: one in four billion tries fails, and the next round tries again.
    let public = Pair::public_of(alg, seed).ok_or_else(not_made)?;
    let kid = thumbprint(alg, &public);
    let sealed = sealer.seal(&kid, seed, nonce).map_err(|error| wrong(&kid, error))?;
    Ok(SigningKey {
        kid,
        purpose: lineage.purpose().to_owned(),
        alg: alg.to_owned(),
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

/// The thumbprint of a public key (RFC 7638, RFC 8037).
fn thumbprint(alg: &str, public: &[u8]) -> String {
    let text = members(alg, public).unwrap_or_default().to_string();
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
        assert_eq!(thumbprint(EDDSA, &public), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn pending_active_and_retiring_keys_are_published_and_nothing_private_is() {
        let states =
            [KeyState::Pending, KeyState::Active, KeyState::Retiring, KeyState::Retired, KeyState::Revoked];
        let kept: Vec<SigningKey> = states.iter().zip(1..).map(|(state, seed)| key(seed, *state)).collect();
        let set = KeySet::new(kept.clone(), &sealer()).unwrap();
        let document: Value = serde_json::from_str(set.document()).unwrap();
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

    /// The key of RFC 6979, appendix A.2.5.
    #[test]
    fn a_key_of_id_tokens_signs_and_verifies_with_es256() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let seed = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        let x = hex("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6");
        let seed: [u8; 32] = seed.try_into().unwrap();
        let now = Timestamp::from_seconds(1_000);
        let key = generate_for(Lineage::Id, &seed, [1; 12], &sealer(), KeyState::Active, now, now).unwrap();
        assert_eq!((key.public_key.len(), &key.public_key[1..33]), (65, x.as_slice()));
        let set = KeySet::new(vec![key.clone()], &sealer()).unwrap();
        assert_eq!(set.signer_alg(), Some("ES256"));
        let signature = set.sign(b"sample").unwrap();
        assert_eq!(signature.len(), 64);
        let verifying = set.get(&key.kid).unwrap();
        assert!(verifying.has_signed(b"sample", &signature) && !verifying.has_signed(b"Sample", &signature));
        let document: Value = serde_json::from_str(set.document()).unwrap();
        let form = &document["keys"][0];
        assert_eq!(
            [&form["kty"], &form["crv"], &form["alg"]],
            [&json!("EC"), &json!("P-256"), &json!("ES256")]
        );
        assert_eq!(form["x"], URL_SAFE_NO_PAD.encode(x));
        assert!(form["y"].is_string() && form.get("d").is_none());
        assert!(generate_for(Lineage::Id, &[0; 32], [1; 12], &sealer(), KeyState::Active, now, now).is_err());
    }

    #[tokio::test]
    async fn a_key_of_id_tokens_signs_and_verifies_with_rs256() {
        let now = Timestamp::from_seconds(1_000);
        let private = private_part(Lineage::IdRs256, [1; 32]).await.unwrap();
        let key =
            generate_for(Lineage::IdRs256, &private, [1; 12], &sealer(), KeyState::Active, now, now).unwrap();
        let set = KeySet::new(vec![key.clone()], &sealer()).unwrap();
        assert_eq!(set.signer_alg(), Some("RS256"));
        let signature = set.sign(b"sample").unwrap();
        let verifying = set.get(&key.kid).unwrap();
        assert!(verifying.has_signed(b"sample", &signature) && !verifying.has_signed(b"Sample", &signature));
        let document: Value = serde_json::from_str(set.document()).unwrap();
        let form = &document["keys"][0];
        assert_eq!(
            [&form["kty"], &form["alg"], &form["e"]],
            [&json!("RSA"), &json!("RS256"), &json!("AQAB")]
        );
        assert_eq!(URL_SAFE_NO_PAD.decode(form["n"].as_str().unwrap()).unwrap().len(), 256);
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            assert!(form.get(private).is_none(), "{private}");
        }
        let other = private_part(Lineage::IdRs256, [1; 32]).await.unwrap();
        let other =
            generate_for(Lineage::IdRs256, &other, [1; 12], &sealer(), KeyState::Active, now, now).unwrap();
        let mixed = SigningKey { public_key: other.public_key, ..key };
        assert!(KeySet::new(vec![mixed], &sealer()).is_err(), "its two parts do not belong together");
    }

    /// The key of RFC 7638, section 3.1.
    #[test]
    fn the_key_id_of_an_rsa_key_is_its_thumbprint() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
            tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI\
            SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let n = URL_SAFE_NO_PAD.decode(n).unwrap();
        // SEQUENCE of two numbers, n with a zero in front because its first bit is set (RFC 8017, appendix A.1.1).
        let mut der = vec![0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
        der.extend(&n);
        der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
        assert_eq!(thumbprint(RS256, &der), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
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
