//! Secrets at rest: sealing what must be read again (private keys, secrets of webhooks, mail). `pepper.rs` hashes what must only be
//! recognised.
//!
//! Two floors of keys. Key-encryption keys come from the configuration, never from the database, so that a copy of the database opens
//! nothing; they seal the keys of the vault, which are kept in the database and seal everything else. What is sealed begins with the
//! number of its key, so that a key can be replaced while both open.

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use charter_kernel::Timestamp;
use charter_store::vault::VaultKey;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

pub use super::pepper::Pepper;

/// First byte of what a key-encryption key sealed itself: AES-256-GCM, a random nonce of 12 bytes, the text, a tag of 16 bytes. So was
/// everything before there was a vault, and so are the keys of the vault.
const DIRECT: u8 = 1;
/// First byte of what a key of the vault sealed: its number in 4 bytes follows, then the same.
pub(crate) const NUMBERED: u8 = 2;
const NONCE: usize = 12;
/// Of a prefix: the byte above and a number.
const PREFIX: usize = charter_store::sealed::PREFIX;

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSealed;

impl fmt::Display for NotSealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("does not open with the key-encryption key of the configuration: is it the one the installation was made with?")
    }
}

impl std::error::Error for NotSealed {}

/// A key of the vault whose key-encryption key is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The key.
    pub number: u32,
    /// What sealed it.
    pub kek: String,
    /// What is configured, newest first.
    pub configured: Vec<String>,
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, kek, configured } = self;
        write!(
            f,
            "vault key {number} is sealed by key-encryption key {kek}, and configured is {}: put that one back, in key_encryption_key or \
             among key_encryption_key_previous; nothing was changed",
            configured.join(", ")
        )
    }
}

/// A key-encryption key.
struct Kek {
    id: String,
    key: LessSafeKey,
}

/// What a key of the vault is known by outside: a keyed hash of a fixed text.
fn kek_id(key: &[u8; 32]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"charter key-encryption key 1");
    crate::audit::hex(tag.as_ref().get(..6).unwrap_or_default())
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, NotSealed> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| NotSealed)
}

/// The keys of the vault a node knows.
#[derive(Clone, Default)]
struct Known {
    /// The one that is to seal, whether or not this node can open it.
    active: Option<u32>,
    /// Those it has opened.
    keys: BTreeMap<u32, Arc<LessSafeKey>>,
    /// Those it cannot open, and another node may.
    locked: BTreeSet<u32>,
    /// The highest number there ever was; none before there was a vault.
    newest: Option<u32>,
}

/// Seals with the newest key of the vault, and opens with every one there is.
pub struct Sealer {
    keks: Vec<Kek>,
    known: ArcSwap<Known>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

fn bound_to(id: &str) -> Aad<Vec<u8>> {
    Aad::from([b"charter seal 1 ", id.as_bytes()].concat())
}

fn bound_to_key(prefix: &[u8], id: &str) -> Aad<Vec<u8>> {
    Aad::from([b"charter seal 2 ", prefix, b" ", id.as_bytes()].concat())
}

fn wrapped_as(number: u32) -> String {
    format!("vault key {number}")
}

fn prefix_of(number: u32) -> [u8; PREFIX] {
    let mut prefix = [NUMBERED; PREFIX];
    for (to, from) in prefix.iter_mut().skip(1).zip(number.to_be_bytes()) {
        *to = from;
    }
    prefix
}

/// The number of the key that sealed what begins so; none when a key-encryption key did.
pub(crate) fn number_in(sealed: &[u8]) -> Option<u32> {
    let (format, rest) = sealed.split_first()?;
    (*format == NUMBERED).then(|| rest.first_chunk().map(|number| u32::from_be_bytes(*number))).flatten()
}

fn sealed(
    key: &LessSafeKey,
    prefix: &[u8],
    aad: Aad<Vec<u8>>,
    secret: &[u8],
    nonce: [u8; NONCE],
) -> Result<Vec<u8>, NotSealed> {
    let mut text = secret.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
        .map_err(|_| NotSealed)?;
    Ok([prefix, &nonce, &text].concat())
}

fn opened(key: &LessSafeKey, aad: Aad<Vec<u8>>, rest: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotSealed> {
    let (nonce, text) = rest.split_at_checked(NONCE).ok_or(NotSealed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotSealed)?;
    let mut text = Zeroizing::new(text.to_vec());
    let length = key.open_in_place(nonce, aad, &mut text).map_err(|_| NotSealed)?.len();
    text.truncate(length);
    Ok(text)
}

impl Sealer {
    /// With a key-encryption key of the configuration.
    pub fn new(key: &[u8; 32]) -> Result<Self, NotSealed> {
        Self::with(key, &[])
    }

    /// With the newest, which seals, and those before it, newest first, which only open.
    pub fn with(newest: &[u8; 32], previous: &[[u8; 32]]) -> Result<Self, NotSealed> {
        let kek = |key: &[u8; 32]| Ok(Kek { id: kek_id(key), key: cipher(key)? });
        let keks = std::iter::once(newest).chain(previous).map(kek).collect::<Result<_, NotSealed>>()?;
        Ok(Self { keks, known: ArcSwap::default() })
    }

    /// What the key-encryption keys are known by, newest first.
    pub fn keks(&self) -> Vec<String> {
        self.keks.iter().map(|kek| kek.id.clone()).collect()
    }

    /// A new key of the vault, sealed by the newest key-encryption key, whose id comes first.
    pub(crate) fn wrap(
        &self,
        number: u32,
        key: &[u8; 32],
        nonce: [u8; NONCE],
    ) -> Result<(String, Vec<u8>), NotSealed> {
        let kek = self.keks.first().ok_or(NotSealed)?;
        let wrapped = sealed(&kek.key, &[DIRECT], bound_to(&wrapped_as(number)), key, nonce)?;
        Ok((kek.id.clone(), wrapped))
    }

    /// A key of the vault in the clear.
    pub(crate) fn unwrap(&self, key: &VaultKey) -> Result<Zeroizing<[u8; 32]>, Locked> {
        let locked = || Locked { number: key.number, kek: key.kek.clone(), configured: self.keks() };
        let kek = self.keks.iter().find(|kek| kek.id == key.kek).ok_or_else(locked)?;
        let wrapped = key.wrapped.as_deref().ok_or_else(locked)?;
        let rest = wrapped.strip_prefix(&[DIRECT]).ok_or_else(locked)?;
        let bytes = opened(&kek.key, bound_to(&wrapped_as(key.number)), rest).map_err(|_| locked())?;
        let mut clear = Zeroizing::new([0; 32]);
        if bytes.len() != clear.len() {
            return Err(locked());
        }
        clear.copy_from_slice(&bytes);
        Ok(clear)
    }

    /// Works with these keys of the vault from now on. One that cannot be opened is told, and the others count.
    pub fn learn(&self, kept: &[VaultKey], now: Timestamp) -> Result<(), Locked> {
        let before = self.known.load_full();
        let newest = kept.iter().map(|key| key.number).max().max(before.newest);
        let (mut known, mut outcome) = (Known { newest, ..Known::default() }, Ok(()));
        // Whatever this node's clock says: a key seals as soon as the one before it is retired, and the first one always.
        let mut is_before_over = true;
        for key in kept {
            let is_in_force = key.activates_at <= now || is_before_over;
            is_before_over = key.retired_at.is_some() || key.destroyed_at.is_some();
            if key.destroyed_at.is_some() {
                continue;
            }
            if is_in_force {
                known.active = Some(key.number);
            }
            let cipher = match before.keys.get(&key.number) {
                Some(there) => Ok(Arc::clone(there)),
                None => self.unwrap(key).and_then(|clear| {
                    cipher(&clear).map(Arc::new).map_err(|_| Locked {
                        number: key.number,
                        kek: key.kek.clone(),
                        configured: self.keks(),
                    })
                }),
            };
            match cipher {
                Ok(cipher) => {
                    known.keys.insert(key.number, cipher);
                }
                Err(locked) => {
                    known.locked.insert(key.number);
                    outcome = Err(locked);
                }
            }
        }
        // A clock that goes back a little does not bring an older key back.
        let is_there = |number: &u32| known.keys.contains_key(number) || known.locked.contains(number);
        known.active = known.active.max(before.active.filter(is_there));
        self.known.store(Arc::new(known));
        outcome
    }

    /// The number of the key that is to seal now; none while only the key-encryption key does.
    pub fn active(&self) -> Option<u32> {
        self.known.load().active
    }

    /// What everything begins with that the active key sealed; none when this node cannot open it.
    pub(crate) fn active_prefix(&self) -> Option<[u8; PREFIX]> {
        let known = self.known.load();
        known.active.filter(|number| known.keys.contains_key(number)).map(prefix_of)
    }

    /// Whether this node has opened every key there is: only such a one may judge that a value cannot be opened.
    pub(crate) fn has_every_key(&self) -> bool {
        self.known.load().locked.is_empty()
    }

    /// Whether a value that does not open here may open on another node: its key is locked here, not read yet, or a key-encryption key
    /// that is configured there.
    pub(crate) fn may_open_elsewhere(&self, sealed: &[u8]) -> bool {
        let known = self.known.load();
        match number_in(sealed) {
            Some(number) => known.locked.contains(&number) || Some(number) > known.newest,
            None => sealed.first() == Some(&DIRECT),
        }
    }

    /// The number of the key that sealed a value, when this node has not read of a key of that number.
    pub(crate) fn unread(&self, sealed: &[u8]) -> Option<u32> {
        let number = number_in(sealed)?;
        let known = self.known.load();
        let is_known = known.keys.contains_key(&number) || known.locked.contains(&number);
        (!is_known && Some(number) > known.newest).then_some(number)
    }

    /// Seals a secret under the id of what it belongs to: moved to another id it does not open. Where there is a vault, its active key
    /// seals or nothing does: whatever else sealed it may be destroyed before it is sealed again.
    pub fn seal(&self, id: &str, secret: &[u8], nonce: [u8; NONCE]) -> Result<Vec<u8>, NotSealed> {
        let known = self.known.load();
        match known.newest {
            Some(_) => {
                let number = known.active.ok_or(NotSealed)?;
                let key = known.keys.get(&number).ok_or(NotSealed)?;
                let prefix = prefix_of(number);
                sealed(key, &prefix, bound_to_key(&prefix, id), secret, nonce)
            }
            None => {
                let kek = self.keks.first().ok_or(NotSealed)?;
                sealed(&kek.key, &[DIRECT], bound_to(id), secret, nonce)
            }
        }
    }

    /// Opens what was sealed under the id, by a key this node knows: `vault::open` reads the others first.
    pub fn open(&self, id: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotSealed> {
        if let Some(rest) = sealed.strip_prefix(&[DIRECT]) {
            return self
                .keks
                .iter()
                .find_map(|kek| opened(&kek.key, bound_to(id), rest).ok())
                .ok_or(NotSealed);
        }
        let number = number_in(sealed).ok_or(NotSealed)?;
        let (prefix, rest) = sealed.split_at_checked(PREFIX).ok_or(NotSealed)?;
        let known = self.known.load();
        let key = known.keys.get(&number).ok_or(NotSealed)?;
        opened(key, bound_to_key(prefix, id), rest)
    }
}

/// Whether two secrets are the same; the time tells at most their lengths.
pub fn is_same(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(sealer: &Sealer, number: u32, activates: i64) -> VaultKey {
        let (kek, wrapped) = sealer.wrap(number, &[number as u8; 32], [number as u8; 12]).unwrap();
        let at = Timestamp::from_seconds;
        VaultKey {
            number,
            kek,
            wrapped: Some(wrapped),
            created_at: at(0),
            activates_at: at(activates),
            keep_seconds: 0,
            unreadable: 0,
            retired_at: None,
            destroy_at: None,
            destroyed_at: None,
        }
    }

    fn is_damage_refused(sealer: &Sealer, sealed: &[u8]) {
        for at in 0..sealed.len() {
            let mut damaged = sealed.to_vec();
            damaged[at] ^= 1;
            assert_eq!(sealer.open("a", &damaged), Err(NotSealed), "byte {at}");
            assert_eq!(sealer.open("a", &sealed[..at]), Err(NotSealed), "cut at {at}");
        }
    }

    #[test]
    fn what_is_sealed_opens_under_its_id_and_key_only() {
        let sealer = Sealer::new(&[1; 32]).unwrap();
        let sealed = sealer.seal("a", b"secret", [9; 12]).unwrap();
        assert_eq!(sealer.open("a", &sealed).unwrap().as_slice(), b"secret");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(sealer.open("b", &sealed), Err(NotSealed));
        assert_eq!(Sealer::new(&[2; 32]).unwrap().open("a", &sealed), Err(NotSealed));
        let newer = Sealer::with(&[2; 32], &[[1; 32]]).unwrap();
        assert_eq!(newer.open("a", &sealed).unwrap().as_slice(), b"secret");
        is_damage_refused(&sealer, &sealed);
    }

    #[test]
    fn the_newest_key_whose_time_has_come_seals_and_all_of_them_open() {
        let (sealer, at) = (Sealer::new(&[1; 32]).unwrap(), Timestamp::from_seconds);
        let kept = [key(&sealer, 1, 0), key(&sealer, 2, 100)];
        sealer.learn(&kept, at(99)).unwrap();
        let old = sealer.seal("a", b"secret", [9; 12]).unwrap();
        assert_eq!((sealer.active(), number_in(&old)), (Some(1), Some(1)));
        sealer.learn(&kept, at(100)).unwrap();
        let new = sealer.seal("a", b"secret", [8; 12]).unwrap();
        assert_eq!(number_in(&new), Some(2));
        assert!(new.starts_with(&sealer.active_prefix().unwrap()));
        for sealed in [&old, &new] {
            assert_eq!(sealer.open("a", sealed).unwrap().as_slice(), b"secret");
            assert_eq!(sealer.open("b", sealed), Err(NotSealed));
            is_damage_refused(&sealer, sealed);
        }
        // The number is bound in: a value cannot be said to be another key's.
        let mut moved = old.clone();
        moved[4] = 2;
        assert_eq!(sealer.open("a", &moved), Err(NotSealed));
        // A clock that went back does not make the old key seal again.
        sealer.learn(&kept, at(50)).unwrap();
        assert_eq!(sealer.active(), Some(2));
        let gone =
            [VaultKey { destroyed_at: Some(at(200)), wrapped: None, ..kept[0].clone() }, kept[1].clone()];
        sealer.learn(&gone, at(200)).unwrap();
        assert_eq!(sealer.open("a", &old), Err(NotSealed));
        assert!(sealer.open("a", &new).is_ok());
    }

    #[test]
    fn a_node_that_is_late_or_has_lost_a_key_seals_by_the_key_of_now_or_not_at_all() {
        let (sealer, at) = (Sealer::new(&[1; 32]).unwrap(), Timestamp::from_seconds);
        // The first key seals, whatever the clock says.
        let kept = [key(&sealer, 1, 50), key(&sealer, 2, 100)];
        sealer.learn(&kept, at(10)).unwrap();
        assert_eq!(sealer.active(), Some(1));
        // Somewhere everything is sealed by the second: it is its time here as well.
        let retired = [VaultKey { retired_at: Some(at(110)), ..kept[0].clone() }, kept[1].clone()];
        sealer.learn(&retired, at(10)).unwrap();
        assert_eq!(sealer.active(), Some(2));
        // That says nothing about a third.
        let third = [retired[0].clone(), retired[1].clone(), key(&sealer, 3, 900)];
        sealer.learn(&third, at(10)).unwrap();
        assert_eq!(sealer.active(), Some(2));
        // A new key that this node has no key-encryption key for: what it has is not used in its place.
        let newer = Sealer::with(&[2; 32], &[[1; 32]]).unwrap();
        let fourth = [third[2].clone(), key(&newer, 4, 1_000)];
        sealer.learn(&fourth, at(999)).unwrap_err();
        assert_eq!(number_in(&sealer.seal("a", b"secret", [9; 12]).unwrap()), Some(3));
        sealer.learn(&fourth, at(1_000)).unwrap_err();
        assert_eq!(sealer.seal("a", b"secret", [9; 12]), Err(NotSealed));
        // An emptied table brings no sealing by the key-encryption key back.
        sealer.learn(&[], at(1_000)).unwrap();
        assert_eq!(sealer.seal("a", b"secret", [9; 12]), Err(NotSealed));
    }

    #[test]
    fn a_key_of_the_vault_opens_by_its_key_encryption_key_alone() {
        let (old, at) = (Sealer::new(&[1; 32]).unwrap(), Timestamp::from_seconds);
        let kept = [key(&old, 1, 0)];
        let other = Sealer::new(&[2; 32]).unwrap();
        let locked = other.learn(&kept, at(1)).unwrap_err();
        assert_eq!((locked.number, &locked.kek, &locked.configured), (1, &old.keks()[0], &other.keks()));
        assert!(locked.to_string().contains("nothing was changed"));
        let both = Sealer::with(&[2; 32], &[[1; 32]]).unwrap();
        both.learn(&kept, at(1)).unwrap();
        assert_eq!(both.active(), Some(1));
        assert_eq!(both.wrap(2, &[5; 32], [0; 12]).unwrap().0, other.keks()[0], "the newest seals");
        // Without its key-encryption key a node seals nothing, rather than by what will be destroyed.
        assert_eq!(other.seal("a", b"secret", [9; 12]), Err(NotSealed));
        assert_eq!((other.active(), other.active_prefix()), (Some(1), None));
        assert!(!other.has_every_key() && both.has_every_key());
        let sealed = both.seal("a", b"secret", [9; 12]).unwrap();
        assert!(other.may_open_elsewhere(&sealed) && !both.may_open_elsewhere(&sealed));
        // Of another number it is another key.
        let swapped = [VaultKey { number: 7, ..kept[0].clone() }];
        assert!(Sealer::new(&[1; 32]).unwrap().learn(&swapped, at(1)).is_err());
    }
}
