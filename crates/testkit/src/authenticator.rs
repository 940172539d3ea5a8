//! A passkey made of software, with the browser around it: it answers the options of WebAuthn as a browser does, honestly or in each of
//! the ways an attacker would like.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A passkey and the browser it is in.
pub struct Passkey {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    user: Vec<u8>,
    /// How often it was used; a passkey that does not count stays at zero.
    pub count: u32,
    /// Whether it counts.
    pub counts: bool,
    /// Whether it checks its user.
    pub verifies: bool,
    /// The page it is used on.
    pub origin: String,
    /// What it is bound to, where that is not what the page asks for.
    pub party: Option<String>,
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn word<'a>(options: &'a Value, at: &str) -> &'a str {
    options.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn head(major: u8, length: usize) -> Vec<u8> {
    let major = major << 5;
    match u8::try_from(length) {
        Ok(short @ 0..=23) => vec![major | short],
        Ok(byte) => vec![major | 24, byte],
        Err(_) => [&[major | 25][..], &u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()].concat(),
    }
}

fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len()), bytes.to_vec()].concat()
}

fn cbor_text(text: &str) -> Vec<u8> {
    [head(3, text.len()), text.as_bytes().to_vec()].concat()
}

impl Passkey {
    /// Makes one as the options ask for it, on a page of this origin; gives what the browser hands over.
    #[expect(clippy::expect_used, reason = "a test without its passkey has failed")]
    pub fn make(options: &Value, origin: &str) -> (Self, Value) {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key is made");
        let user = word(options, "/user/id");
        let public = key.public_key().as_ref().to_vec();
        let passkey = Self {
            id: Sha256::digest(&public).to_vec(),
            user: URL_SAFE_NO_PAD.decode(user).expect("a user handle"),
            key,
            count: 0,
            counts: true,
            verifies: true,
            origin: origin.to_owned(),
            party: None,
        };
        let handed = passkey.hand_over_new(options, &public);
        (passkey, handed)
    }

    fn hand_over_new(&self, options: &Value, public: &[u8]) -> Value {
        // The point: 4, x, y.
        let (x, y) = public.get(1..).unwrap_or_default().split_at(32);
        let point = [&[0x21][..], &cbor_bytes(x), &[0x22], &cbor_bytes(y)].concat();
        let cose = [&[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01][..], &point].concat();
        let length = u16::try_from(self.id.len()).unwrap_or(u16::MAX).to_be_bytes();
        let party = word(options, "/rp/id");
        let data = [self.data(party, 0x40), vec![0; 16], length.to_vec(), self.id.clone(), cose].concat();
        let object = [
            head(5, 3),
            cbor_text("fmt"),
            cbor_text("none"),
            cbor_text("attStmt"),
            head(5, 0),
            cbor_text("authData"),
            cbor_bytes(&data),
        ]
        .concat();
        let said = self.said("webauthn.create", options);
        json!({
            "id": text(&self.id),
            "rawId": text(&self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
            "response": {
                "clientDataJSON": text(said),
                "attestationObject": text(object),
                "transports": ["internal"],
            },
        })
    }

    /// Uses it as the options ask for it; gives what the browser hands over.
    pub fn answer(&mut self, options: &Value) -> Value {
        if self.counts {
            self.count += 1;
        }
        let said = self.said("webauthn.get", options);
        self.hand_over(options, &said)
    }

    /// The same, of a kind of ceremony it is not for.
    pub fn answer_as(&mut self, kind: &str, options: &Value) -> Value {
        let said = self.said(kind, options);
        self.hand_over(options, &said)
    }

    #[expect(clippy::expect_used, reason = "a test without its signature has failed")]
    #[expect(clippy::disallowed_methods, reason = "a key signs with randomness of its own")]
    fn hand_over(&self, options: &Value, said: &str) -> Value {
        let data = self.data(word(options, "/rpId"), 0);
        let message = [data.as_slice(), Sha256::digest(said).as_slice()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &message).expect("it signs").as_ref().to_vec();
        json!({
            "id": text(&self.id),
            "rawId": text(&self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": text(said),
                "authenticatorData": text(data),
                "signature": text(signature),
                "userHandle": text(&self.user),
            },
        })
    }

    fn said(&self, kind: &str, options: &Value) -> String {
        json!({
            "type": kind,
            "challenge": word(options, "/challenge"),
            "origin": self.origin,
            "crossOrigin": false,
        })
        .to_string()
    }

    fn data(&self, party: &str, flags: u8) -> Vec<u8> {
        let party = self.party.as_deref().unwrap_or(party);
        let checked = if self.verifies { 4 } else { 0 };
        [Sha256::digest(party).as_slice(), &[1 | checked | flags], &self.count.to_be_bytes()].concat()
    }
}
