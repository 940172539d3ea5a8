//! Codes of authenticator apps: TOTP (RFC 6238) with HMAC-SHA-1, six digits, thirty seconds, which is what the apps know.

use super::seal::is_same;
use aws_lc_rs::hmac;
use charter_kernel::Timestamp;
use zeroize::Zeroizing;

/// Bytes of a seed: as many as the hash is wide (RFC 4226, 4).
pub const SEED: usize = 20;
const STEP_SECONDS: i64 = 30;
const DIGITS: usize = 6;
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The number a code is the last digits of (RFC 4226, 5.3).
fn number(seed: &[u8], counter: u64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed);
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let tag = tag.as_ref();
    let offset = tag.last().map_or(0, |last| usize::from(last & 0xf));
    let four = tag.get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    u32::from_be_bytes(four) & 0x7fff_ffff
}

/// The time step an instant lies in.
pub fn step_at(now: Timestamp) -> u64 {
    u64::try_from(now.seconds().div_euclid(STEP_SECONDS)).unwrap_or(0)
}

/// The code of a time step.
pub fn code(seed: &[u8], step: u64) -> Zeroizing<String> {
    Zeroizing::new(format!("{:06}", number(seed, step) % 1_000_000))
}

/// The time step a typed code is of: the present one, the one before or the one after. The time tells not which.
pub fn step_of(seed: &[u8], typed: &str, now: Timestamp) -> Option<u64> {
    let typed: Zeroizing<String> = Zeroizing::new(typed.chars().filter(|c| !c.is_whitespace()).collect());
    if typed.len() != DIGITS || !typed.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let now = step_at(now);
    let mut found = None;
    for step in [now.saturating_add(1), now.saturating_sub(1), now] {
        if is_same(code(seed, step).as_bytes(), typed.as_bytes()) {
            found = Some(step);
        }
    }
    found
}

/// A seed as people type it (RFC 4648, base 32 without padding).
pub fn shown(seed: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(seed.len().div_ceil(5) * 8));
    for chunk in seed.chunks(5) {
        let bits =
            chunk.iter().enumerate().fold(0u64, |bits, (at, byte)| bits | u64::from(*byte) << (32 - 8 * at));
        let letters = (chunk.len() * 8).div_ceil(5);
        text.extend(
            (0..letters)
                .filter_map(|at| LETTERS.get((bits >> (35 - 5 * at) & 31) as usize).copied().map(char::from)),
        );
    }
    text
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// What an app reads from a picture: who gave the seed, whose it is, and the seed.
pub fn uri(issuer: &str, login: &str, seed: &[u8]) -> Zeroizing<String> {
    let (issuer, login) = (escaped(issuer), escaped(login));
    Zeroizing::new(format!(
        "otpauth://totp/{issuer}:{login}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
        *shown(seed)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC: &[u8; 20] = b"12345678901234567890";

    #[test]
    fn the_vectors_of_rfc_6238() {
        for (seconds, expected) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            let step = step_at(Timestamp::from_seconds(seconds));
            assert_eq!(number(RFC, step) % 100_000_000, expected, "{seconds}");
        }
    }

    #[test]
    fn the_vectors_of_rfc_4226() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (counter, expected) in expected.iter().enumerate() {
            assert_eq!(*code(RFC, counter as u64), *expected);
        }
    }

    /// Attack 96: a clock that is off by one step is forgiven, by two not.
    #[test]
    fn a_code_of_the_step_before_or_after_is_taken_and_none_further_off() {
        let now = Timestamp::from_seconds(1_800_000_015);
        let step = step_at(now);
        for (off, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let of = step.checked_add_signed(off).unwrap();
            assert_eq!(step_of(RFC, &code(RFC, of), now), taken.then_some(of), "{off}");
        }
        let right = code(RFC, step);
        assert_eq!(step_of(RFC, &format!(" {} {}", &right[..3], &right[3..]), now), Some(step));
        for bad in
            ["", "1", &right[1..], &format!("{}0", *right), "12345x", "１２３４５６", &"1".repeat(100_000)]
        {
            assert_eq!(step_of(RFC, bad, now), None, "{bad}");
        }
    }

    #[test]
    fn a_seed_is_shown_as_rfc_4648_says() {
        for (text, expected) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(*shown(text.as_bytes()), *expected);
        }
        let uri = uri("charter.example", "ann+1@toys.example", RFC);
        assert_eq!(
            *uri,
            "otpauth://totp/charter.example:ann%2B1%40toys.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=charter.example&algorithm=SHA1&digits=6&period=30"
        );
    }
}
