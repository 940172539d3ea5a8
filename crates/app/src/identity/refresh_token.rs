//! The form of refresh tokens: `chr_{live|test}_{id}_{secret}_{check}`, 72 characters, like that of service tokens.
//!
//! A refresh token is no row of its own. Its id says the version of the key and the session's counter, its secret is the session's id
//! and a keyed hash of all that, so the database keeps one number per session, and the successor of a token can be made again. It
//! depends on the pepper and on no signing key.

use super::credential_text::{DIGITS, TOKEN_LENGTH, check_of};
use super::seal::Pepper;
use charter_kernel::SessionId;
use zeroize::Zeroizing;

/// What every refresh token begins with.
pub const PREFIX: &str = "chr_";
/// Version of the key the hash is made with.
const VERSION: char = '1';
const COUNTER: usize = 11;
const SECRET: usize = 43;

/// What a refresh token says, once it is known to be ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented {
    /// The session.
    pub session: SessionId,
    /// The counter it was made at.
    pub counter: u64,
}

fn digit(value: usize) -> u8 {
    DIGITS.get(value % 62).copied().unwrap_or(b'0')
}

fn value(digit: u8) -> Option<u16> {
    DIGITS.iter().position(|known| *known == digit).and_then(|at| u16::try_from(at).ok())
}

/// A number as digits, the first the highest.
fn number_text(mut number: u64) -> String {
    let mut text = [b'0'; COUNTER];
    for place in text.iter_mut().rev() {
        *place = digit((number % 62) as usize);
        number /= 62;
    }
    text.iter().copied().map(char::from).collect()
}

fn read_number(text: &str) -> Option<u64> {
    text.bytes().try_fold(0u64, |number, byte| number.checked_mul(62)?.checked_add(u64::from(value(byte)?)))
}

/// 256 bits as 43 digits.
fn secret_text(bytes: &[u8; 32]) -> Zeroizing<String> {
    let mut rest = Zeroizing::new(*bytes);
    let mut text = [b'0'; SECRET];
    for place in text.iter_mut().rev() {
        let mut carry = 0u16;
        for byte in rest.iter_mut() {
            let here = carry << 8 | u16::from(*byte);
            *byte = (here / 62) as u8;
            carry = here % 62;
        }
        *place = digit(usize::from(carry));
    }
    Zeroizing::new(text.iter().copied().map(char::from).collect())
}

fn read_secret(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0u8; 32];
    for byte in text.bytes() {
        let mut carry = value(byte)?;
        for place in bytes.iter_mut().rev() {
            let here = u16::from(*place) * 62 + carry;
            *place = (here & 0xff) as u8;
            carry = here >> 8;
        }
        if carry > 0 {
            return None;
        }
    }
    Some(bytes)
}

fn says(mode: &str, session: SessionId, counter: u64) -> Vec<u8> {
    [mode.as_bytes(), &[VERSION as u8], &counter.to_be_bytes(), &session.0.to_be_bytes()].concat()
}

fn mode(is_live: bool) -> &'static str {
    if is_live { "live" } else { "test" }
}

/// The refresh token of a session at a counter.
pub fn make(pepper: &Pepper, is_live: bool, session: SessionId, counter: u64) -> Zeroizing<String> {
    let mode = mode(is_live);
    let mut bytes = Zeroizing::new([0; 32]);
    let (id, tag) = bytes.split_at_mut(16);
    id.copy_from_slice(&session.0.to_be_bytes());
    tag.copy_from_slice(&pepper.of_refresh(&says(mode, session, counter)));
    let secret = secret_text(&bytes);
    let signed = Zeroizing::new(format!("{PREFIX}{mode}_{VERSION}{}_{}", number_text(counter), *secret));
    Zeroizing::new(format!("{}_{}", *signed, check_of(&signed)))
}

/// Reads a refresh token: form and check first, then whether it is ours. Looks nothing up.
pub fn read(pepper: &Pepper, is_live: bool, text: &str) -> Option<Presented> {
    if text.len() != TOKEN_LENGTH || !text.is_ascii() {
        return None;
    }
    let (signed, check) = text.rsplit_once('_')?;
    if check != check_of(signed) {
        return None;
    }
    let mut parts = signed.strip_prefix(PREFIX)?.split('_');
    let (said, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || said != mode(is_live) || secret.len() != SECRET {
        return None;
    }
    let counter = id.strip_prefix(VERSION).filter(|digits| digits.len() == COUNTER)?;
    let counter = read_number(counter)?;
    let bytes = Zeroizing::new(read_secret(secret)?);
    let (id, tag) = bytes.split_first_chunk::<16>()?;
    let session = SessionId(u128::from_be_bytes(*id));
    pepper.is_refresh(&says(said, session, counter), tag).then_some(Presented { session, counter })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionId = SessionId(0x0193_e7a0_0000_7000_8000_0000_0000_0001);

    #[test]
    fn a_refresh_token_reads_back_and_has_the_form_scanners_know() {
        let pepper = Pepper::new(&[3; 32]);
        for counter in [0, 1, 61, 62, 1_000_000, u64::MAX] {
            let token = make(&pepper, true, SESSION, counter);
            assert_eq!((token.len(), token.get(..9)), (72, Some("chr_live_")));
            assert_eq!(read(&pepper, true, &token), Some(Presented { session: SESSION, counter }));
            assert_eq!(read(&pepper, false, &token), None, "it is of a real installation");
            assert_eq!(read(&Pepper::new(&[4; 32]), true, &token), None);
        }
    }

    #[test]
    fn the_largest_secret_fits_and_a_larger_number_is_none() {
        assert_eq!(read_secret(&secret_text(&[0xff; 32])), Some([0xff; 32]));
        assert_eq!(read_secret(&"z".repeat(43)), None);
    }

    /// Attack 30: with the check made to fit, a changed bit is still found, wherever it is.
    #[test]
    fn a_token_with_anything_changed_is_not_ours() {
        let pepper = Pepper::new(&[3; 32]);
        let token = make(&pepper, true, SESSION, 7);
        let (signed, _) = token.rsplit_once('_').unwrap();
        for at in 0..signed.len() {
            for other in *b"0A_z" {
                let mut changed = signed.as_bytes().to_vec();
                if changed[at] == other {
                    continue;
                }
                changed[at] = other;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(read(&pepper, true, &format!("{changed}_{}", check_of(&changed))), None, "{at}");
            }
        }
        for bad in ["", "chr_live_", &token[1..], &format!("{}x", *token), &token.to_lowercase()] {
            assert_eq!(read(&pepper, true, bad), None);
        }
    }
}
