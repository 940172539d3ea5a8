//! WebAuthn (level 2), the part a relying party does that asks for no attestation: is what a browser hands over from this site, for
//! this challenge, by a passkey that checked its user, signed with its key?
//!
//! Pure: bytes in, a verdict out. What the passkey says about itself beyond its key (its maker, its model) is neither asked for nor
//! believed, so there is no certificate to judge. The cryptography is that of `aws-lc-rs`.

use super::cbor::{self, Item};
use super::seal::is_same;
use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Longest of anything a browser hands over.
const LENGTH_MAX: usize = 16 * 1024;
/// Longest name of a credential (WebAuthn, 5.8.3).
const CREDENTIAL_ID_MAX: usize = 1_023;

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const HAS_CREDENTIAL: u8 = 1 << 6;
const HAS_EXTENSIONS: u8 = 1 << 7;

/// Algorithms of keys that are taken, by their number at COSE, best first: Ed25519, P-256 with SHA-256, RSA (PKCS 1.5) with SHA-256.
pub const ALGORITHMS: [i64; 3] = [-8, -7, -257];

/// Why something is not taken. For the trail and the tests: a client is told one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be read.
    Form,
    /// It was made for another kind of ceremony.
    Kind,
    /// It answers another challenge.
    Challenge,
    /// It was made on a page of another site.
    Origin,
    /// It was made for another relying party.
    RelyingParty,
    /// Nobody touched the passkey.
    Presence,
    /// The passkey did not check who touched it.
    Verification,
    /// The key is of a kind that is not taken.
    Key,
    /// The signature is not of the key.
    Signature,
}

/// Who passkeys are for: this site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// What pages call their origin.
    pub origin: String,
    /// What passkeys are bound to: the host.
    pub id: String,
}

impl Site {
    /// The site at an address. None where browsers allow no passkeys: at a bare address, and over plain HTTP but for localhost.
    pub fn of(address: &str) -> Option<Self> {
        let (scheme, rest) = address.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port.to_owned())),
            None => (authority, None),
        };
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        let last = host.rsplit('.').next()?;
        let is_address = last.bytes().all(|byte| byte.is_ascii_digit());
        if !is_name || is_address || !(scheme == "https" || (scheme == "http" && host == "localhost")) {
            return None;
        }
        let port = match (scheme, port.as_deref()) {
            ("https", Some("443")) | ("http", Some("80")) | (_, None) => String::new(),
            (_, Some(port)) => format!(":{port}"),
        };
        Some(Self { origin: format!("{scheme}://{host}{port}"), id: host })
    }
}

/// A passkey that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What it is known by.
    pub credential_id: Vec<u8>,
    /// Its public key (COSE).
    pub public_key: Vec<u8>,
    /// How often it says it was used.
    pub sign_count: u32,
}

/// What a browser says it signed.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

fn client_data(bytes: &[u8], kind: &str, challenge: &[u8], site: &Site) -> Result<(), Fault> {
    if bytes.len() > LENGTH_MAX {
        return Err(Fault::Form);
    }
    let said: ClientData = serde_json::from_slice(bytes).map_err(|_| Fault::Form)?;
    if said.kind != kind {
        return Err(Fault::Kind);
    }
    let answered = URL_SAFE_NO_PAD.decode(said.challenge).map_err(|_| Fault::Challenge)?;
    if !is_same(&answered, challenge) {
        return Err(Fault::Challenge);
    }
    if said.origin != site.origin || said.cross_origin {
        return Err(Fault::Origin);
    }
    Ok(())
}

/// What the passkey itself says.
struct AuthenticatorData<'a> {
    flags: u8,
    sign_count: u32,
    rest: &'a [u8],
}

fn authenticator_data<'a>(bytes: &'a [u8], site: &Site) -> Result<AuthenticatorData<'a>, Fault> {
    if bytes.len() > LENGTH_MAX {
        return Err(Fault::Form);
    }
    let (party, rest) = bytes.split_at_checked(32).ok_or(Fault::Form)?;
    let (flags, rest) = rest.split_first().ok_or(Fault::Form)?;
    let (count, rest) = rest.split_first_chunk::<4>().ok_or(Fault::Form)?;
    if !is_same(party, &Sha256::digest(site.id.as_bytes())) {
        return Err(Fault::RelyingParty);
    }
    if flags & USER_PRESENT == 0 {
        return Err(Fault::Presence);
    }
    if flags & USER_VERIFIED == 0 {
        return Err(Fault::Verification);
    }
    if flags & BACKUP_ELIGIBLE == 0 && flags & BACKED_UP != 0 {
        return Err(Fault::Form);
    }
    Ok(AuthenticatorData { flags: *flags, sign_count: u32::from_be_bytes(*count), rest })
}

/// What follows has to be extensions where there are any, and nothing else.
fn ended(flags: u8, rest: &[u8]) -> Result<(), Fault> {
    if flags & HAS_EXTENSIONS == 0 {
        return if rest.is_empty() { Ok(()) } else { Err(Fault::Form) };
    }
    match cbor::read(rest) {
        Some((Item::Map(_), [])) => Ok(()),
        _ => Err(Fault::Form),
    }
}

/// Judges a passkey that was made (WebAuthn, 7.1).
pub fn made(site: &Site, challenge: &[u8], said: &[u8], attestation: &[u8]) -> Result<Made, Fault> {
    client_data(said, "webauthn.create", challenge, site)?;
    if attestation.len() > LENGTH_MAX {
        return Err(Fault::Form);
    }
    let Some((object, [])) = cbor::read(attestation) else { return Err(Fault::Form) };
    let data = object.get(&Item::Text("authData")).and_then(Item::bytes).ok_or(Fault::Form)?;
    let AuthenticatorData { flags, sign_count, rest } = authenticator_data(data, site)?;
    if flags & HAS_CREDENTIAL == 0 {
        return Err(Fault::Form);
    }
    let (_model, rest) = rest.split_at_checked(16).ok_or(Fault::Form)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(Fault::Form)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (credential_id, rest) = rest.split_at_checked(length).ok_or(Fault::Form)?;
    if credential_id.is_empty() || credential_id.len() > CREDENTIAL_ID_MAX {
        return Err(Fault::Form);
    }
    let (_, after) = cbor::read(rest).ok_or(Fault::Form)?;
    let public_key = rest.get(..rest.len() - after.len()).ok_or(Fault::Form)?;
    Key::read(public_key)?;
    ended(flags, after)?;
    Ok(Made { credential_id: credential_id.to_vec(), public_key: public_key.to_vec(), sign_count })
}

/// Judges a passkey that was used (WebAuthn, 7.2); gives how often it says it was used. Whether that has grown is judged where it is kept.
pub fn used(
    site: &Site,
    challenge: &[u8],
    public_key: &[u8],
    said: &[u8],
    data: &[u8],
    signed: &[u8],
) -> Result<u32, Fault> {
    client_data(said, "webauthn.get", challenge, site)?;
    let AuthenticatorData { flags, sign_count, rest } = authenticator_data(data, site)?;
    if flags & HAS_CREDENTIAL != 0 {
        return Err(Fault::Form);
    }
    ended(flags, rest)?;
    let message = [data, Sha256::digest(said).as_slice()].concat();
    Key::read(public_key)?.verify(&message, signed)?;
    Ok(sign_count)
}

/// A public key (COSE, RFC 9052).
enum Key<'a> {
    Ed25519(&'a [u8]),
    P256(Vec<u8>),
    Rsa { n: &'a [u8], e: &'a [u8] },
}

impl<'a> Key<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let Some((map, [])) = cbor::read(bytes) else { return Err(Fault::Form) };
        let number = |key: i128| map.get(&Item::Number(key));
        let part = |key: i128| number(key).and_then(Item::bytes).ok_or(Fault::Key);
        let sized =
            |key: i128| part(key).and_then(|it| if it.len() == 32 { Ok(it) } else { Err(Fault::Key) });
        let is = |key: i128, value: i128| number(key) == Some(&Item::Number(value));
        // Kind of key, algorithm, curve, then its parts.
        if is(1, 1) && is(3, -8) && is(-1, 6) {
            return Ok(Self::Ed25519(sized(-2)?));
        }
        if is(1, 2) && is(3, -7) && is(-1, 1) {
            return Ok(Self::P256([&[4], sized(-2)?, sized(-3)?].concat()));
        }
        if is(1, 3) && is(3, -257) {
            let (n, e) = (part(-1)?, part(-2)?);
            let is_sized = (256..=1_024).contains(&n.len()) && (1..=8).contains(&e.len());
            return if is_sized { Ok(Self::Rsa { n, e }) } else { Err(Fault::Key) };
        }
        Err(Fault::Key)
    }

    fn verify(&self, message: &[u8], signed: &[u8]) -> Result<(), Fault> {
        let verdict = match self {
            Self::Ed25519(x) => UnparsedPublicKey::new(&signature::ED25519, x).verify(message, signed),
            Self::P256(point) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point).verify(message, signed)
            }
            Self::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signed)
            }
        };
        verdict.map_err(|_| Fault::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_https_with_a_name_or_localhost() {
        let site = |address: &str| Site::of(address).map(|site| (site.origin, site.id));
        let of = |origin: &str, id: &str| Some((origin.to_owned(), id.to_owned()));
        assert_eq!(site("https://charter.example"), of("https://charter.example", "charter.example"));
        assert_eq!(site("https://Charter.example:443/x"), of("https://charter.example", "charter.example"));
        assert_eq!(
            site("https://charter.example:8443/"),
            of("https://charter.example:8443", "charter.example")
        );
        assert_eq!(site("http://localhost:8080"), of("http://localhost:8080", "localhost"));
        for bad in [
            "http://charter.example",
            "https://192.0.2.1",
            "http://127.0.0.1:8080",
            "https://[::1]:8080",
            "charter.example",
            "https://",
            "",
        ] {
            assert_eq!(site(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_of_other_kinds_are_not_taken() {
        let p256 = |crv: u8, alg: u8, length: u8| {
            let part = |key: u8| [&[key, 0x58, length][..], &vec![7; usize::from(length)]].concat();
            [&[0xa5, 0x01, 0x02, 0x03, alg, 0x20, crv][..], &part(0x21), &part(0x22)].concat()
        };
        assert!(Key::read(&p256(1, 0x26, 32)).is_ok());
        for bad in [
            p256(2, 0x26, 32),
            p256(1, 0x27, 32),
            p256(1, 0x26, 31),
            [p256(1, 0x26, 32), vec![0]].concat(),
            vec![0xa0],
            vec![],
        ] {
            assert!(Key::read(&bad).is_err(), "{bad:x?}");
        }
    }
}
