//! Secrets at rest: sealing what must be read again (private keys), and keyed hashes of what must only be recognised (tokens, codes).
//! Both keys come from the configuration, never from the database, so that a copy of the database opens nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use std::fmt;

/// First byte of what is sealed: AES-256-GCM, a random nonce of 12 bytes, the text, a tag of 16 bytes.
const FORMAT: u8 = 1;
const NONCE: usize = 12;

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSealed;

impl fmt::Display for NotSealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("does not open with the key-encryption key of the configuration: is it the one the installation was made with?")
    }
}

impl std::error::Error for NotSealed {}

/// Seals and opens with the key-encryption key.
pub struct Sealer {
    key: LessSafeKey,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

fn bound_to(id: &str) -> Aad<Vec<u8>> {
    Aad::from([b"charter seal 1 ", id.as_bytes()].concat())
}

impl Sealer {
    /// With a key of the configuration.
    pub fn new(key: &[u8; 32]) -> Result<Self, NotSealed> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| NotSealed)?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    /// Seals a secret under the id of what it belongs to: moved to another id it does not open.
    pub fn seal(&self, id: &str, secret: &[u8], nonce: [u8; NONCE]) -> Result<Vec<u8>, NotSealed> {
        let mut text = secret.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound_to(id), &mut text)
            .map_err(|_| NotSealed)?;
        Ok([&[FORMAT][..], &nonce, &text].concat())
    }

    /// Opens what was sealed under the id.
    pub fn open(&self, id: &str, sealed: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, NotSealed> {
        let (format, rest) = sealed.split_first().ok_or(NotSealed)?;
        let (nonce, text) = rest.split_at_checked(NONCE).ok_or(NotSealed)?;
        if *format != FORMAT {
            return Err(NotSealed);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotSealed)?;
        let mut text = zeroize::Zeroizing::new(text.to_vec());
        let length = self.key.open_in_place(nonce, bound_to(id), &mut text).map_err(|_| NotSealed)?.len();
        text.truncate(length);
        Ok(text)
    }
}

/// Keyed hashes, one key a purpose, all made from the pepper.
#[derive(Clone)]
pub struct Pepper {
    tokens: hmac::Key,
    logins: hmac::Key,
    codes: hmac::Key,
    legacy: hmac::Key,
    refresh: hmac::Key,
    cookies: hmac::Key,
    csrf: hmac::Key,
    devices: hmac::Key,
    challenges: hmac::Key,
    recovery: hmac::Key,
    clients: hmac::Key,
    oauth_codes: hmac::Key,
    consents: hmac::Key,
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

impl Pepper {
    /// Version of the pepper in use, kept beside each hash made with it.
    pub const VERSION: u32 = 1;

    /// With a pepper of the configuration.
    pub fn new(pepper: &[u8; 32]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, pepper);
        let key =
            |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose.as_bytes()).as_ref());
        Self {
            tokens: key("charter service tokens 1"),
            logins: key("charter logins 1"),
            codes: key("charter codes 1"),
            legacy: key("charter legacy secrets 1"),
            refresh: key("charter refresh tokens 1"),
            cookies: key("charter session cookies 1"),
            csrf: key("charter csrf tokens 1"),
            devices: key("charter known devices 1"),
            challenges: key("charter challenges 1"),
            recovery: key("charter recovery codes 1"),
            clients: key("charter oauth clients 1"),
            oauth_codes: key("charter oauth codes 1"),
            consents: key("charter oauth consents 1"),
        }
    }

    /// The hash of a token.
    pub fn of_token(&self, token: &str) -> [u8; 32] {
        mac(&self.tokens, token)
    }

    /// Whether a token has this hash; the time tells nothing.
    pub fn is_token(&self, token: &str, hash: &[u8]) -> bool {
        hmac::verify(&self.tokens, token.as_bytes(), hash).is_ok()
    }

    /// What stands for a login where the login itself must not be kept.
    pub fn of_login(&self, login: &str) -> [u8; 32] {
        mac(&self.logins, login)
    }

    /// What stands for a secret of a former system.
    pub fn of_legacy_secret(&self, secret: &[u8]) -> [u8; 32] {
        bytes(hmac::sign(&self.legacy, secret).as_ref())
    }

    /// What proves that a refresh token is ours: 128 bits over what it says.
    pub fn of_refresh(&self, says: &[u8]) -> [u8; 16] {
        half(hmac::sign(&self.refresh, says).as_ref())
    }

    /// The hash of a session's cookie.
    pub fn of_cookie(&self, cookie: &str) -> [u8; 32] {
        mac(&self.cookies, cookie)
    }

    /// What a page of ours shows to prove that it is one, for a session.
    pub fn of_csrf(&self, session: u128) -> [u8; 32] {
        bytes(hmac::sign(&self.csrf, &session.to_be_bytes()).as_ref())
    }

    /// What proves that a device was known: 128 bits over what its token says.
    pub fn of_device(&self, says: &[u8]) -> [u8; 16] {
        half(hmac::sign(&self.devices, says).as_ref())
    }

    /// What proves that a challenge is ours.
    pub fn of_challenge(&self, says: &[u8]) -> [u8; 32] {
        bytes(hmac::sign(&self.challenges, says).as_ref())
    }

    /// The hash of a recovery code of somebody.
    pub fn of_recovery(&self, principal: u128, code: &str) -> [u8; 32] {
        let says = [principal.to_be_bytes().as_slice(), code.as_bytes()].concat();
        bytes(hmac::sign(&self.recovery, &says).as_ref())
    }

    /// The hash of an OAuth client's secret.
    pub fn of_client_secret(&self, secret: &str) -> [u8; 32] {
        mac(&self.clients, secret)
    }

    /// Whether an OAuth client's secret has this hash; the time tells nothing.
    pub fn is_client_secret(&self, secret: &str, hash: &[u8]) -> bool {
        hmac::verify(&self.clients, secret.as_bytes(), hash).is_ok()
    }

    /// The hash of an authorization code.
    pub fn of_oauth_code(&self, code: &str) -> [u8; 32] {
        mac(&self.oauth_codes, code)
    }

    /// What proves that a page of ours asked for an agreement.
    pub fn of_consent(&self, says: &[u8]) -> [u8; 32] {
        bytes(hmac::sign(&self.consents, says).as_ref())
    }

    /// The hash of a one-time code.
    pub fn of_code(&self, code: &str) -> [u8; 32] {
        mac(&self.codes, code)
    }
}

fn half(tag: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(tag) {
        *to = *from;
    }
    half
}

fn mac(key: &hmac::Key, text: &str) -> [u8; 32] {
    bytes(hmac::sign(key, text.as_bytes()).as_ref())
}

fn bytes(tag: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, from) in bytes.iter_mut().zip(tag) {
        *byte = *from;
    }
    bytes
}

/// Whether two secrets are the same; the time tells at most their lengths.
pub fn is_same(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_under_its_id_and_key_only() {
        let sealer = Sealer::new(&[1; 32]).unwrap();
        let sealed = sealer.seal("a", b"secret", [9; 12]).unwrap();
        assert_eq!(sealer.open("a", &sealed).unwrap().as_slice(), b"secret");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(sealer.open("b", &sealed), Err(NotSealed));
        assert_eq!(Sealer::new(&[2; 32]).unwrap().open("a", &sealed), Err(NotSealed));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(sealer.open("a", &damaged), Err(NotSealed), "byte {at}");
            assert_eq!(sealer.open("a", &sealed[..at]), Err(NotSealed), "cut at {at}");
        }
    }

    #[test]
    fn one_text_hashes_differently_for_each_purpose_and_pepper() {
        let pepper = Pepper::new(&[1; 32]);
        let all = [
            pepper.of_token("x"),
            pepper.of_login("x"),
            pepper.of_code("x"),
            Pepper::new(&[2; 32]).of_token("x"),
        ];
        for (at, hash) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != hash));
        }
        assert!(pepper.is_token("x", &pepper.of_token("x")));
        assert!(!pepper.is_token("x", &pepper.of_token("y")));
        assert!(!pepper.is_token("x", &[]));
    }
}
