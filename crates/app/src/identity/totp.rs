//! Codes of authenticator apps: TOTP (RFC 6238) with HMAC-SHA-1, six digits, thirty seconds, which is what the apps know. `totp-rs` makes
//! and compares them; what is ours is that a step counts once (`second_factor.rs` of the store).

use charter_kernel::{Problem, ProblemKind, Timestamp};
use totp_rs::{Algorithm, Builder, Totp, TotpError};
use zeroize::Zeroizing;

/// Bytes of a seed: as many as the hash is wide (RFC 4226, 4).
pub const SEED: usize = 20;
const STEP_SECONDS: u64 = 30;
const DIGITS: u8 = 6;
/// Steps a clock may be off, either way.
const OFF: u16 = 1;

fn builder(seed: &[u8]) -> Builder {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_step_duration(STEP_SECONDS)
        .with_skew(OFF)
        .with_secret(seed)
}

fn failed(error: &TotpError) -> Problem {
    Problem::new(ProblemKind::Internal, format!("a seed of an authenticator app: {error}"))
}

fn codes(seed: &[u8]) -> Result<Totp, Problem> {
    builder(seed).build().map_err(|error| failed(&error))
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.seconds()).unwrap_or(0)
}

/// The code of an instant.
pub fn code(seed: &[u8], at: Timestamp) -> Result<Zeroizing<String>, Problem> {
    Ok(Zeroizing::new(codes(seed)?.generate(seconds(at)).to_string()))
}

/// The time step a typed code is of: the present one, the one before or the one after.
pub fn step_of(seed: &[u8], typed: &str, now: Timestamp) -> Result<Option<u64>, Problem> {
    let typed: Zeroizing<String> = Zeroizing::new(typed.chars().filter(|c| !c.is_whitespace()).collect());
    Ok(codes(seed)?.check(&typed, seconds(now)))
}

/// A seed as it is given to an app.
pub(super) struct Shown {
    /// As people type it (RFC 4648, base 32 without padding).
    pub secret: Zeroizing<String>,
    /// As an app reads it from a picture: who gave the seed, whose it is, and the seed.
    pub uri: Zeroizing<String>,
}

/// A seed of somebody at this service, to be given to an app.
pub(super) fn shown(issuer: &str, login: &str, seed: &[u8]) -> Result<Shown, Problem> {
    // The names are shown to people, and a colon parts them.
    let (issuer, login) = (issuer.replace(':', " "), login.replace(':', " "));
    let codes = builder(seed)
        .with_issuer(Some(issuer))
        .with_account_name(login)
        .build()
        .map_err(|error| failed(&error))?;
    let uri = codes.to_url().map_err(|error| failed(&error))?;
    Ok(Shown { secret: Zeroizing::new(codes.secret().to_base32()), uri: Zeroizing::new(uri) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC: &[u8; 20] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// Of its eight digits we use the last six.
    #[test]
    fn the_vectors_of_rfc_6238() {
        for (seconds, expected) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(*code(RFC, at(seconds)).unwrap(), expected[2..], "{seconds}");
            let step = seconds.unsigned_abs() / STEP_SECONDS;
            assert_eq!(step_of(RFC, &expected[2..], at(seconds)).unwrap(), Some(step), "{seconds}");
        }
    }

    #[test]
    fn the_vectors_of_rfc_4226() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (counter, expected) in (0..).zip(expected) {
            assert_eq!(*code(RFC, at(counter * 30)).unwrap(), *expected);
        }
    }

    /// Attack 96: a clock that is off by one step is forgiven, by two not.
    #[test]
    fn a_code_of_the_step_before_or_after_is_taken_and_none_further_off() {
        let now = at(1_800_000_015);
        let step = 1_800_000_015 / STEP_SECONDS;
        for (off, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let of = step.checked_add_signed(off).unwrap();
            let typed = code(RFC, now.plus_seconds(off * 30)).unwrap();
            assert_eq!(step_of(RFC, &typed, now).unwrap(), taken.then_some(of), "{off}");
        }
        let right = code(RFC, now).unwrap();
        let spaced = format!(" {} {}", &right[..3], &right[3..]);
        assert_eq!(step_of(RFC, &spaced, now).unwrap(), Some(step));
        for bad in [
            "",
            "1",
            &right[1..],
            &format!("{}0", *right),
            "12345x",
            "+12345",
            "１２３４５６",
            &"1".repeat(100_000),
        ] {
            assert_eq!(step_of(RFC, bad, now).unwrap(), None, "{bad}");
        }
    }

    #[test]
    fn a_seed_is_given_as_apps_read_it() {
        let given = shown("charter.example", "ann+1@toys.example", RFC).unwrap();
        assert_eq!(*given.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            *given.uri,
            "otpauth://totp/charter.example:ann%2B1%40toys.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=charter.example"
        );
        let odd = shown("localhost:8080", "a:b", RFC).unwrap();
        assert!(odd.uri.starts_with("otpauth://totp/localhost%208080:a%20b?"), "{}", *odd.uri);
        assert!(code(b"short", at(0)).is_err());
    }
}
