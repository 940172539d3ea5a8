//! The text of a caller's credential: `ch{k|s}_{live|test}_{id}_{secret}_{check}`, 72 characters: `chk_` an API key of a user, `chs_` a
//! service token, which is the key of a service account. The id (12 characters) is public and names the record; the secret (43
//! characters, 256 bits) is shown once and kept as a keyed hash of the whole text; the check (6 characters, CRC-32 of all before it)
//! turns junk away before anything is looked up. The form is frozen: scanners know it.

use super::seal::Pepper;
use charter_kernel::CredentialId;
use charter_kernel::{OrganizationId, PrincipalId, Revision, Timestamp};
use charter_policy::condition::AddressRange;
use std::net::IpAddr;
use zeroize::Zeroizing;

pub(super) const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID: usize = 12;
const SECRET: usize = 43;
const CHECK: usize = 6;
/// Length of a token.
pub const TOKEN_LENGTH: usize = 8 + 1 + ID + 1 + SECRET + 1 + CHECK;
/// What every key of a user begins with.
pub const USER_PREFIX: &str = "chk_";
/// What every key of a service account begins with.
pub const SERVICE_PREFIX: &str = "chs_";

/// Whose credential it is: the letter after `ch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// An API key of a user.
    User,
    /// A key of a service account, also called a service token.
    Service,
}

impl CredentialKind {
    /// The letter kept beside the hash.
    pub const fn letter(self) -> char {
        match self {
            Self::User => 'k',
            Self::Service => 's',
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::User => USER_PREFIX,
            Self::Service => SERVICE_PREFIX,
        }
    }
}

/// A token that is well formed, and nothing more.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// Whose it says it is.
    pub kind: CredentialKind,
    /// Its public part.
    pub id: &'a str,
    /// Whether it is for a real installation or for trying out.
    pub is_live: bool,
    text: &'a str,
}

impl Presented<'_> {
    /// The whole of it, to be hashed and never kept.
    pub(crate) fn text(&self) -> &str {
        self.text
    }
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presented").field("id", &self.id).finish_non_exhaustive()
    }
}

pub(super) fn check_of(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes()) as usize;
    let mut digits = [b'0'; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS.get(rest % 62).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

/// Reads a token; none when length, characters or check are wrong. Looks nothing up.
pub fn read(text: &str) -> Option<Presented<'_>> {
    let kind = if text.starts_with(USER_PREFIX) { CredentialKind::User } else { CredentialKind::Service };
    let (is_live, id) = read_parts(kind.prefix(), text)?;
    Some(Presented { kind, id, is_live, text })
}

/// What a token of the common form says in the clear: whether it is for a real installation, and its public part.
pub(super) fn read_parts<'a>(prefix: &str, text: &'a str) -> Option<(bool, &'a str)> {
    if text.len() != TOKEN_LENGTH || !text.is_ascii() {
        return None;
    }
    let (signed, check) = text.rsplit_once('_')?;
    let mut parts = signed.strip_prefix(prefix)?.split('_');
    let (mode, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
    let is_live = match mode {
        "live" => true,
        "test" => false,
        _ => return None,
    };
    let is_word = |word: &str, length: usize| {
        word.len() == length && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let is_whole =
        parts.next().is_none() && is_word(id, ID) && is_word(secret, SECRET) && is_word(check, CHECK);
    (is_whole && check == check_of(signed)).then_some((is_live, id))
}

/// A new token.
pub struct NewToken {
    /// Its public part.
    pub id: String,
    /// The whole of it, to be shown once.
    pub text: Zeroizing<String>,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Makes a token from a source of random bytes.
pub fn generate(kind: CredentialKind, is_live: bool, random: impl FnMut() -> [u8; 64]) -> NewToken {
    generate_with(kind.prefix(), is_live, random)
}

/// Makes a token of the common form.
pub(super) fn generate_with(prefix: &str, is_live: bool, mut random: impl FnMut() -> [u8; 64]) -> NewToken {
    let mut word = |length: usize| {
        let mut word = String::with_capacity(length);
        while word.len() < length {
            // 248 is four times 62: a byte below it gives each digit with the same probability.
            let fitting = random().into_iter().filter(|byte| *byte < 248);
            word.extend(
                fitting
                    .filter_map(|byte| DIGITS.get(usize::from(byte % 62)).copied().map(char::from))
                    .take(length - word.len()),
            );
        }
        word
    };
    let (id, secret) = (word(ID), Zeroizing::new(word(SECRET)));
    let mode = if is_live { "live" } else { "test" };
    let signed = Zeroizing::new(format!("{prefix}{mode}_{id}_{}", *secret));
    let text = Zeroizing::new(format!("{}_{}", *signed, check_of(&signed)));
    NewToken { id, text }
}

/// What a node keeps of a token to verify it without the database.
#[derive(Debug, Clone)]
pub struct TokenRecord {
    /// The organization it works in.
    pub organization: OrganizationId,
    /// Its id.
    pub credential: CredentialId,
    /// Whose it is.
    pub kind: CredentialKind,
    /// The user or service account it belongs to.
    pub principal: PrincipalId,
    /// Version of the pepper its hash was made with.
    pub pepper_version: Option<u32>,
    /// The keyed hash of the token.
    pub hash: Vec<u8>,
    /// Blocks it may be used from.
    pub addresses: Option<Vec<AddressRange>>,
    /// From when it is valid.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// Whether it was revoked.
    pub is_revoked: bool,
    /// Whether it was put aside as leaked.
    pub is_quarantined: bool,
    /// The revision of the organization this was read at.
    pub revision: Revision,
}

/// Why a token does not let its bearer in; outside it is one answer, in the log the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Unknown id, or another secret.
    Secret,
    /// Revoked.
    Revoked,
    /// Not valid yet, or no longer.
    Time,
    /// Reported as leaked, and nobody has decided yet.
    Quarantined,
    /// From an address it may not be used from.
    Address,
}

/// Judges a token by its record, cheapest and least telling first. Without a record the same hash is made all the same.
pub fn judge(
    pepper: &Pepper,
    presented: Presented<'_>,
    record: Option<&TokenRecord>,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), Refused> {
    let is_secret = is_secret(pepper, presented, record);
    let Some(record) = record.filter(|_| is_secret) else { return Err(Refused::Secret) };
    standing(record, address, now)
}

/// Whether a text is the whole of the credential of a record. Without a record the same hash is made all the same.
pub fn is_secret(pepper: &Pepper, presented: Presented<'_>, record: Option<&TokenRecord>) -> bool {
    let nothing = [0; 32];
    let hash = record.map_or(&nothing[..], |record| &record.hash);
    let version = record.and_then(|record| record.pepper_version);
    let is_same = pepper.is_token(version, presented.text, hash);
    is_same && record.is_some_and(|record| record.kind == presented.kind)
}

/// What a record says against a credential whose secret is right.
pub fn standing(record: &TokenRecord, address: Option<IpAddr>, now: Timestamp) -> Result<(), Refused> {
    if record.is_revoked {
        return Err(Refused::Revoked);
    }
    if record.is_quarantined {
        return Err(Refused::Quarantined);
    }
    if record.not_before.is_some_and(|from| now < from) || record.expires_at.is_some_and(|to| now >= to) {
        return Err(Refused::Time);
    }
    if let Some(blocks) = &record.addresses
        && !address.is_some_and(|address| blocks.iter().any(|block| block.contains(address)))
    {
        return Err(Refused::Address);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "chs_live_0123456789AB_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg";

    fn token() -> NewToken {
        let mut next = 0u8;
        generate(CredentialKind::Service, true, move || {
            core::array::from_fn(|_| {
                next = next.wrapping_mul(5).wrapping_add(17);
                next
            })
        })
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn record(pepper: &Pepper, token: &NewToken) -> TokenRecord {
        TokenRecord {
            organization: OrganizationId(1),
            credential: CredentialId(2),
            kind: CredentialKind::Service,
            principal: PrincipalId(3),
            pepper_version: Some(pepper.version()),
            hash: pepper.of_token(&token.text).to_vec(),
            addresses: None,
            not_before: None,
            expires_at: None,
            is_revoked: false,
            is_quarantined: false,
            revision: Revision(1),
        }
    }

    #[test]
    fn the_form_is_frozen() {
        assert_eq!(TOKEN_LENGTH, 72);
        let token = format!("{SAMPLE}_{}", check_of(SAMPLE));
        assert_eq!(token, format!("{SAMPLE}_4Qwdqo"));
        let presented = read(&token).unwrap();
        assert_eq!(
            (presented.kind, presented.id, presented.is_live),
            (CredentialKind::Service, "0123456789AB", true)
        );
        let user = SAMPLE.replace("chs_", "chk_");
        assert_eq!(read(&format!("{user}_{}", check_of(&user))).unwrap().kind, CredentialKind::User);
        let test = SAMPLE.replace("live", "test");
        assert!(!read(&format!("{test}_{}", check_of(&test))).unwrap().is_live);
    }

    #[test]
    fn a_new_token_reads_back_and_two_differ() {
        let token = token();
        assert_eq!(read(&token.text).unwrap().id, token.id);
        let other = generate(CredentialKind::User, false, || core::array::from_fn(|at| at as u8 * 3));
        assert!(!read(&other.text).unwrap().is_live);
        assert_ne!(other.id, token.id);
        assert!(!format!("{token:?} {:?}", read(&token.text)).contains(&token.text[22..65]));
    }

    #[test]
    fn anything_else_is_refused_without_a_look_up() {
        let good = format!("{SAMPLE}_{}", check_of(SAMPLE));
        let bare = |text: &str| format!("{text}_{}", check_of(text));
        let bad = [
            String::new(),
            good[..71].to_owned(),
            format!("{good}0"),
            good.to_lowercase(),
            good.replace("Qw", "qW"),
            format!("{SAMPLE}_AAAAAA"),
            bare(&SAMPLE.replace("live", "LIVE")),
            bare(&SAMPLE.replace("chs_", "chx_")),
            bare(&SAMPLE.replace("chs_", "CHK_")),
            bare(&SAMPLE.replace("chs_", "chr_")),
            bare(&SAMPLE.replace("AB_0", "A_B0")),
            bare(&SAMPLE.replace('C', "-")),
            bare(&SAMPLE.replace('C', "_")),
            bare(&SAMPLE.replace('C', "\0")),
            bare(&SAMPLE.replace("CD", "é")),
        ];
        for text in bad {
            assert!(read(&text).is_none(), "{text}");
        }
        for at in 9..72 {
            let mut changed = good.clone().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            assert!(read(std::str::from_utf8(&changed).unwrap()).is_none(), "position {at}");
        }
    }

    /// Attack 80, and the rest of what a record may say against a token.
    #[test]
    fn a_token_is_judged_by_secret_state_time_and_address() {
        let (pepper, token) = (Pepper::new(&[1; 32]), token());
        let good = record(&pepper, &token);
        let judged = |record: Option<&TokenRecord>, address: Option<&str>, now: i64| {
            let address = address.map(|address| address.parse().unwrap());
            judge(&pepper, read(&token.text).unwrap(), record, address, at(now))
        };
        assert_eq!(judged(Some(&good), None, 100), Ok(()));
        assert_eq!(judged(None, None, 100), Err(Refused::Secret));
        let other = TokenRecord { hash: pepper.of_token("other").to_vec(), ..good.clone() };
        assert_eq!(judged(Some(&other), None, 100), Err(Refused::Secret));
        let empty = TokenRecord { hash: Vec::new(), ..good.clone() };
        assert_eq!(judged(Some(&empty), None, 100), Err(Refused::Secret));
        let version = TokenRecord { pepper_version: None, ..good.clone() };
        assert_eq!(judged(Some(&version), None, 100), Err(Refused::Secret));
        let kind = TokenRecord { kind: CredentialKind::User, ..good.clone() };
        assert_eq!(judged(Some(&kind), None, 100), Err(Refused::Secret));
        let aside = TokenRecord { is_quarantined: true, ..good.clone() };
        assert_eq!(judged(Some(&aside), None, 100), Err(Refused::Quarantined));
        let revoked = TokenRecord { is_revoked: true, ..good.clone() };
        assert_eq!(judged(Some(&revoked), None, 100), Err(Refused::Revoked));
        let dated = TokenRecord { not_before: Some(at(50)), expires_at: Some(at(100)), ..good.clone() };
        assert_eq!(judged(Some(&dated), None, 49), Err(Refused::Time));
        assert_eq!(judged(Some(&dated), None, 50), Ok(()));
        assert_eq!(judged(Some(&dated), None, 99), Ok(()));
        assert_eq!(judged(Some(&dated), None, 100), Err(Refused::Time));
        let blocks =
            ["192.0.2.0/24", "2001:db8::/32"].map(|text| AddressRange::parse(text).unwrap()).to_vec();
        let placed = TokenRecord { addresses: Some(blocks), ..good };
        for inside in ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8:1::1"] {
            assert_eq!(judged(Some(&placed), Some(inside), 100), Ok(()), "{inside}");
        }
        for outside in ["192.0.3.7", "::1", "127.0.0.1", "2001:db9::1", "::ffff:192.0.3.7", "::c000:207"] {
            assert_eq!(judged(Some(&placed), Some(outside), 100), Err(Refused::Address), "{outside}");
        }
        assert_eq!(judged(Some(&placed), None, 100), Err(Refused::Address));
    }

    #[test]
    fn blocks_of_addresses_are_read_strictly() {
        for text in ["0.0.0.0/0", "::/0", "192.0.2.1", "192.0.2.1/32", "2001:db8::/64", "::1"] {
            assert!(AddressRange::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "192.0.2.1/24",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "192.0.2.0/",
            "2001:db8::/129",
            "x/8",
            "192.0.2",
        ] {
            assert!(AddressRange::parse(text).is_err(), "{text}");
        }
        let everything = AddressRange::parse("::/0").unwrap();
        assert!(
            everything.contains("2001:db8::1".parse().unwrap())
                && !everything.contains("192.0.2.1".parse().unwrap())
        );
    }
}
