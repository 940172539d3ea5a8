//! Keyed hashes of what must only be recognised: tokens, codes, cookies. One key a purpose, all made from the pepper.
//!
//! The pepper has versions. The newest makes hashes; while it is being replaced, the one before it still recognises what it made, so that
//! nobody is signed out by a rotation (`vault/pepper.rs`). The first version comes from the configuration, later ones are kept sealed.

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use std::fmt;
use std::sync::Arc;

/// The version of the pepper of the configuration.
pub const CONFIGURED: u32 = 1;

/// The keys of one version.
struct Keys {
    version: u32,
    tokens: hmac::Key,
    logins: hmac::Key,
    codes: hmac::Key,
    legacy: hmac::Key,
    refresh: hmac::Key,
    cookies: hmac::Key,
    csrf: hmac::Key,
    devices: hmac::Key,
    clients: hmac::Key,
    oauth_codes: hmac::Key,
    consents: hmac::Key,
    invitations: hmac::Key,
    emails: hmac::Key,
    challenges: hmac::Key,
    recovery: hmac::Key,
}

type Purpose = fn(&Keys) -> &hmac::Key;

impl Keys {
    fn of(version: u32, pepper: &[u8; 32]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, pepper);
        let key =
            |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose.as_bytes()).as_ref());
        Self {
            version,
            tokens: key("charter service tokens 1"),
            logins: key("charter logins 1"),
            codes: key("charter codes 1"),
            legacy: key("charter legacy secrets 1"),
            refresh: key("charter refresh tokens 1"),
            cookies: key("charter session cookies 1"),
            csrf: key("charter csrf tokens 1"),
            devices: key("charter known devices 1"),
            clients: key("charter oauth clients 1"),
            oauth_codes: key("charter oauth codes 1"),
            consents: key("charter oauth consents 1"),
            invitations: key("charter invitations 1"),
            emails: key("charter email addresses 1"),
            challenges: key("charter challenges 1"),
            recovery: key("charter recovery codes 1"),
        }
    }
}

/// The versions in force, that which makes hashes first.
#[derive(Clone)]
pub struct Pepper {
    live: Arc<ArcSwap<Vec<Arc<Keys>>>>,
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

impl Pepper {
    /// With the pepper of the configuration.
    pub fn new(pepper: &[u8; 32]) -> Self {
        Self { live: Arc::new(ArcSwap::from_pointee(vec![Arc::new(Keys::of(CONFIGURED, pepper))])) }
    }

    /// Works with these versions from now on, that which makes hashes first.
    pub(crate) fn learn(&self, live: &[(u32, &[u8; 32])]) {
        let known = self.live.load();
        if live.is_empty()
            || known.iter().map(|keys| keys.version).eq(live.iter().map(|(version, _)| *version))
        {
            return;
        }
        let keys = live.iter().map(|(version, pepper)| Arc::new(Keys::of(*version, pepper)));
        self.live.store(Arc::new(keys.collect()));
    }

    /// Forgets the versions that have ended, whatever else cannot be learned now.
    pub(crate) fn keep_only(&self, live: &[u32]) {
        let known = self.live.load();
        if known.iter().all(|keys| live.contains(&keys.version)) {
            return;
        }
        let left = known.iter().filter(|keys| live.contains(&keys.version)).map(Arc::clone);
        self.live.store(Arc::new(left.collect()));
    }

    /// The version that makes hashes.
    pub fn version(&self) -> u32 {
        self.live.load().first().map_or(CONFIGURED, |keys| keys.version)
    }

    /// Whether a version still recognises what it made.
    pub fn is_live(&self, version: u32) -> bool {
        self.live.load().iter().any(|keys| keys.version == version)
    }

    fn sign(&self, purpose: Purpose, says: &[u8]) -> (u32, [u8; 32]) {
        let live = self.live.load();
        // There is always one: it is made with one, and learns no empty list.
        live.first().map_or((CONFIGURED, [0; 32]), |keys| {
            (keys.version, bytes(hmac::sign(purpose(keys), says).as_ref()))
        })
    }

    /// The hashes by every version in force, newest first.
    fn every(&self, purpose: Purpose, says: &[u8]) -> Vec<[u8; 32]> {
        self.live.load().iter().map(|keys| bytes(hmac::sign(purpose(keys), says).as_ref())).collect()
    }

    /// Whether some version in force made this hash, of which so many bytes are kept; the time tells nothing.
    fn is_of(&self, purpose: Purpose, says: &[u8], hash: &[u8], length: usize) -> bool {
        let same = |made: &[u8; 32]| super::seal::is_same(made.get(..length).unwrap_or_default(), hash);
        self.every(purpose, says).iter().fold(false, |found, made| same(made) | found)
    }

    /// The hash of a token.
    pub fn of_token(&self, token: &str) -> [u8; 32] {
        self.sign(|keys| &keys.tokens, token.as_bytes()).1
    }

    /// The hash of a token, with the version that made it.
    pub fn stamped_token(&self, token: &str) -> (u32, [u8; 32]) {
        self.sign(|keys| &keys.tokens, token.as_bytes())
    }

    /// Whether a token has this hash by a version; the time tells nothing. A version that has ended recognises nothing.
    pub fn is_token(&self, version: Option<u32>, token: &str, hash: &[u8]) -> bool {
        let live = self.live.load();
        let keys = live.iter().find(|keys| Some(keys.version) == version);
        // The same work, whether or not there is such a version.
        let Some(by) = keys.or_else(|| live.first()) else { return false };
        hmac::verify(&by.tokens, token.as_bytes(), hash).is_ok() && keys.is_some()
    }

    /// What stands for a login where the login itself must not be kept.
    pub fn of_login(&self, login: &str) -> [u8; 32] {
        self.sign(|keys| &keys.logins, login.as_bytes()).1
    }

    /// The same by every version in force: how a login is looked up.
    pub fn every_login(&self, login: &str) -> Vec<[u8; 32]> {
        self.every(|keys| &keys.logins, login.as_bytes())
    }

    /// What stands for a secret of a former system, by every version in force with its number, that which makes hashes first.
    pub fn every_legacy_secret(&self, secret: &[u8]) -> Vec<(u32, [u8; 32])> {
        let by = |keys: &Arc<Keys>| (keys.version, bytes(hmac::sign(&keys.legacy, secret).as_ref()));
        self.live.load().iter().map(by).collect()
    }

    /// What proves that a refresh token is ours: 128 bits over what it says.
    pub fn of_refresh(&self, says: &[u8]) -> [u8; 16] {
        half(self.sign(|keys| &keys.refresh, says).1)
    }

    /// Whether this proves it.
    pub fn is_refresh(&self, says: &[u8], proof: &[u8]) -> bool {
        self.is_of(|keys| &keys.refresh, says, proof, 16)
    }

    /// The hash of a session's cookie, with the version that made it.
    pub fn stamped_cookie(&self, cookie: &str) -> (u32, [u8; 32]) {
        self.sign(|keys| &keys.cookies, cookie.as_bytes())
    }

    /// The same by every version in force: how a cookie is looked up.
    pub fn every_cookie(&self, cookie: &str) -> Vec<[u8; 32]> {
        self.every(|keys| &keys.cookies, cookie.as_bytes())
    }

    /// What a page of ours shows to prove that it is one, for a session.
    pub fn of_csrf(&self, session: u128) -> [u8; 32] {
        self.sign(|keys| &keys.csrf, &session.to_be_bytes()).1
    }

    /// Whether this proves it.
    pub fn is_csrf(&self, session: u128, proof: &[u8]) -> bool {
        self.is_of(|keys| &keys.csrf, &session.to_be_bytes(), proof, 32)
    }

    /// What proves that a device was known: 128 bits over what its token says.
    pub fn of_device(&self, says: &[u8]) -> [u8; 16] {
        half(self.sign(|keys| &keys.devices, says).1)
    }

    /// Whether this proves it.
    pub fn is_device(&self, says: &[u8], proof: &[u8]) -> bool {
        self.is_of(|keys| &keys.devices, says, proof, 16)
    }

    /// The hash of an OAuth client's secret, with the version that made it.
    pub fn stamped_client_secret(&self, secret: &str) -> (u32, [u8; 32]) {
        self.sign(|keys| &keys.clients, secret.as_bytes())
    }

    /// Whether an OAuth client's secret has this hash by some version in force; the time tells nothing.
    pub fn is_client_secret(&self, secret: &str, hash: &[u8]) -> bool {
        self.is_of(|keys| &keys.clients, secret.as_bytes(), hash, 32)
    }

    /// The hash of an authorization code.
    pub fn of_oauth_code(&self, code: &str) -> [u8; 32] {
        self.sign(|keys| &keys.oauth_codes, code.as_bytes()).1
    }

    /// The same by every version in force: how a code is looked up.
    pub fn every_oauth_code(&self, code: &str) -> Vec<[u8; 32]> {
        self.every(|keys| &keys.oauth_codes, code.as_bytes())
    }

    /// What proves that a page of ours asked for an agreement.
    pub fn of_consent(&self, says: &[u8]) -> [u8; 32] {
        self.sign(|keys| &keys.consents, says).1
    }

    /// Whether this proves it.
    pub fn is_consent(&self, says: &[u8], proof: &[u8]) -> bool {
        self.is_of(|keys| &keys.consents, says, proof, 32)
    }

    /// What proves that a challenge is ours.
    pub fn of_challenge(&self, says: &[u8]) -> [u8; 32] {
        self.sign(|keys| &keys.challenges, says).1
    }

    /// Whether this proves it.
    pub fn is_challenge(&self, says: &[u8], proof: &[u8]) -> bool {
        self.is_of(|keys| &keys.challenges, says, proof, 32)
    }

    /// Whether this is the half of such a proof.
    pub fn is_challenged(&self, says: &[u8], proof: &[u8; 16]) -> bool {
        self.is_of(|keys| &keys.challenges, says, proof, 16)
    }

    /// The hash of a recovery code of somebody.
    pub fn of_recovery(&self, principal: u128, code: &str) -> [u8; 32] {
        self.sign(|keys| &keys.recovery, &recovery_of(principal, code)).1
    }

    /// The same by every version in force: how a recovery code is looked up.
    pub fn every_recovery(&self, principal: u128, code: &str) -> Vec<[u8; 32]> {
        self.every(|keys| &keys.recovery, &recovery_of(principal, code))
    }

    /// The hash of an invitation's token.
    pub fn of_invitation(&self, token: &str) -> [u8; 32] {
        self.sign(|keys| &keys.invitations, token.as_bytes()).1
    }

    /// Whether an invitation's token has this hash by some version in force; the time tells nothing.
    pub fn is_invitation(&self, token: &str, hash: &[u8]) -> bool {
        self.is_of(|keys| &keys.invitations, token.as_bytes(), hash, 32)
    }

    /// What a sealed address is found by.
    pub fn of_email(&self, email: &str) -> [u8; 32] {
        self.sign(|keys| &keys.emails, email.as_bytes()).1
    }

    /// The same by every version in force: how an address is looked up.
    pub fn every_email(&self, email: &str) -> Vec<[u8; 32]> {
        self.every(|keys| &keys.emails, email.as_bytes())
    }

    /// The hash of a one-time code.
    pub fn of_code(&self, code: &str) -> [u8; 32] {
        self.sign(|keys| &keys.codes, code.as_bytes()).1
    }

    /// The same by every version in force: how a code is looked up.
    pub fn every_code(&self, code: &str) -> Vec<[u8; 32]> {
        self.every(|keys| &keys.codes, code.as_bytes())
    }

    /// Whether a one-time code has this hash by some version in force; the time tells nothing.
    pub fn is_code(&self, code: &str, hash: &[u8]) -> bool {
        self.is_of(|keys| &keys.codes, code.as_bytes(), hash, 32)
    }
}

/// What tells a pepper from another without telling anything about it.
pub(crate) fn proof_of(pepper: &[u8; 32]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, pepper);
    bytes(hmac::sign(&key, b"charter pepper proof 1").as_ref())
}

fn recovery_of(principal: u128, code: &str) -> Vec<u8> {
    [principal.to_be_bytes().as_slice(), code.as_bytes()].concat()
}

fn half(tag: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(tag) {
        *to = from;
    }
    half
}

fn bytes(tag: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, from) in bytes.iter_mut().zip(tag) {
        *byte = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_hashes_differently_for_each_purpose_and_pepper() {
        let pepper = Pepper::new(&[1; 32]);
        let all = [
            pepper.of_token("x"),
            pepper.of_login("x"),
            pepper.of_code("x"),
            pepper.stamped_cookie("x").1,
            pepper.of_oauth_code("x"),
            Pepper::new(&[2; 32]).of_token("x"),
        ];
        for (at, hash) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != hash));
        }
        assert!(pepper.is_token(Some(1), "x", &pepper.of_token("x")));
        assert!(!pepper.is_token(Some(1), "x", &pepper.of_token("y")));
        assert!(!pepper.is_token(Some(1), "x", &[]));
        assert!(!pepper.is_token(None, "x", &pepper.of_token("x")));
    }

    #[test]
    fn of_two_versions_the_newer_hashes_and_both_recognise() {
        let pepper = Pepper::new(&[1; 32]);
        let (old, code, refresh) = (pepper.of_token("x"), pepper.of_code("c"), pepper.of_refresh(b"r"));
        pepper.learn(&[(2, &[2; 32]), (1, &[1; 32])]);
        let (version, new) = pepper.stamped_token("x");
        assert_eq!((version, pepper.version()), (2, 2));
        assert!(pepper.is_token(Some(1), "x", &old) && pepper.is_token(Some(2), "x", &new));
        assert!(!pepper.is_token(Some(2), "x", &old) && !pepper.is_token(Some(1), "x", &new));
        assert!(pepper.is_code("c", &code) && pepper.is_code("c", &pepper.of_code("c")));
        assert!(pepper.every_code("c").contains(&code));
        assert!(pepper.is_refresh(b"r", &refresh) && !pepper.is_refresh(b"s", &refresh));
        assert!(!pepper.is_refresh(b"r", &refresh[..8]), "a part proves nothing");
        // The older ends: what it made is nobody's any more.
        pepper.learn(&[(2, &[2; 32])]);
        assert!(!pepper.is_token(Some(1), "x", &old) && !pepper.is_code("c", &code));
        assert!(pepper.is_token(Some(2), "x", &new) && !pepper.is_live(1));
        // It is forgotten even when nothing can be learned in its place.
        let pepper = Pepper::new(&[1; 32]);
        pepper.keep_only(&[2]);
        assert!(!pepper.is_token(Some(1), "x", &old) && pepper.every_code("c").is_empty());
    }
}
