//! Reads the texts other systems write. Strict: one spelling each, all of it, within the ceilings.

use super::{
    ARGON2_LANES_MAX, ARGON2_MEMORY_MAX, ARGON2_PASSES_MAX, AdoptedHash, Argon2Version, BCRYPT_COST_MAX,
    BCRYPT_COST_MIN, Before, Digest, PBKDF2_ROUNDS_MAX, Recipe, Refused, SCRYPT_BLOCK_MAX, SCRYPT_LANES_MAX,
    SCRYPT_LOG_N_MAX, TEXT_MAX,
};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, STANDARD_NO_PAD};
use std::num::NonZeroU32;

/// Some systems leave bits in the last letter of a salt; the others do not look at them.
pub(super) const BCRYPT_TEXT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);
const SALT_MAX: usize = 128;

/// One format, for what is said when a text is refused.
#[derive(Clone, Copy)]
struct Format(&'static str);

impl Format {
    fn wrong<T>(self, wrong: &'static str) -> Result<T, Refused> {
        Err(Refused::Malformed { format: self.0, wrong })
    }

    fn dear<T>(self, parameter: &'static str, most: impl Into<u64>) -> Result<T, Refused> {
        Err(Refused::TooDear { format: self.0, parameter, most: most.into() })
    }

    /// A decimal number without sign or leading zero, from one to a ceiling.
    fn number(self, text: &str, parameter: &'static str, most: u32) -> Result<u32, Refused> {
        let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        if text.is_empty() || !is_decimal {
            return self.wrong("a number is not one");
        }
        match text.parse::<u32>() {
            Ok(number) if number <= most => Ok(number),
            _ => self.dear(parameter, most),
        }
    }

    fn salt(self, bytes: Option<Vec<u8>>) -> Result<Vec<u8>, Refused> {
        match bytes {
            Some(bytes) if (1..=SALT_MAX).contains(&bytes.len()) => Ok(bytes),
            _ => self.wrong("the salt is empty, too long or spelled wrong"),
        }
    }

    fn output(self, bytes: Option<Vec<u8>>, is_length: impl Fn(usize) -> bool) -> Result<Vec<u8>, Refused> {
        match bytes {
            Some(bytes) if is_length(bytes.len()) => Ok(bytes),
            _ => self.wrong("the output is cut, too long or spelled wrong"),
        }
    }

    fn pbkdf2(
        self,
        digest: Digest,
        rounds: &str,
        salt: Option<Vec<u8>>,
        output: Option<Vec<u8>>,
    ) -> Result<AdoptedHash, Refused> {
        let rounds = self.number(rounds, "rounds", PBKDF2_ROUNDS_MAX)?;
        let Some(rounds) = NonZeroU32::new(rounds) else { return self.wrong("no rounds") };
        let salt = self.salt(salt)?;
        let output = self.output(output, |length| length == digest.bytes())?;
        Ok(AdoptedHash { recipe: Recipe::Pbkdf2 { digest, rounds, salt }, output })
    }

    fn scrypt(
        self,
        log_n: u8,
        block: &str,
        lanes: &str,
        salt: Option<Vec<u8>>,
        output: Vec<u8>,
    ) -> Result<AdoptedHash, Refused> {
        if log_n > SCRYPT_LOG_N_MAX {
            return self.dear("of N", 1_u64 << SCRYPT_LOG_N_MAX);
        }
        let block = self.number(block, "of r", SCRYPT_BLOCK_MAX)?;
        let lanes = self.number(lanes, "of p", SCRYPT_LANES_MAX)?;
        if scrypt::Params::new(log_n, block, lanes).is_err() {
            return self.wrong("N, r and p do not go together");
        }
        let salt = self.salt(salt)?;
        Ok(AdoptedHash { recipe: Recipe::Scrypt { log_n, block, lanes, salt }, output })
    }

    fn bcrypt_cost(self, cost: &str) -> Result<u32, Refused> {
        let bare = cost.strip_prefix('0').filter(|bare| bare.len() == 1).unwrap_or(cost);
        let number = self.number(bare, "of cost", BCRYPT_COST_MAX)?;
        if number < BCRYPT_COST_MIN { self.wrong("the cost is less than 4") } else { Ok(number) }
    }

    fn bcrypt(self, before: Before, cost: u32, salt: &str, output: &str) -> Result<AdoptedHash, Refused> {
        let salt = self.salt(BCRYPT_TEXT.decode(salt).ok())?;
        let Ok(salt) = salt.try_into() else { return self.wrong("the salt is not 16 bytes") };
        let output = self.output(BCRYPT_TEXT.decode(output).ok(), |length| length == 23)?;
        Ok(AdoptedHash { recipe: Recipe::Bcrypt { before, cost, salt }, output })
    }

    /// Two digits of cost; salt and output in one text.
    fn bcrypt_text(self, before: Before, cost: &str, body: &str) -> Result<AdoptedHash, Refused> {
        if cost.len() != 2 {
            return self.wrong("the cost is not two digits");
        }
        let cost = self.bcrypt_cost(cost)?;
        let Some((salt, output)) = body.split_at_checked(22) else { return self.wrong("it is cut") };
        self.bcrypt(before, cost, salt, output)
    }

    fn argon2(self, kind: &str, rest: &[&str]) -> Result<AdoptedHash, Refused> {
        let is_id = kind == "argon2id";
        let (version, rest) = match rest {
            ["v=19", rest @ ..] => (Argon2Version::Present, rest),
            ["v=16", rest @ ..] => (Argon2Version::Old, rest),
            rest => (Argon2Version::Old, rest),
        };
        let [parameters, salt, output] = rest else { return self.wrong("it has too few or too many parts") };
        let Some([memory, passes, lanes]) = named(parameters, ["m", "t", "p"]) else {
            return self.wrong("m, t and p are expected, and nothing else");
        };
        let memory_kib = self.number(memory, "KiB of memory", ARGON2_MEMORY_MAX)?;
        let passes = self.number(passes, "passes", ARGON2_PASSES_MAX)?;
        let lanes = self.number(lanes, "lanes", ARGON2_LANES_MAX)?;
        if memory_kib < 8 * lanes {
            return self.wrong("the memory is less than eight KiB a lane");
        }
        let salt = self.salt(STANDARD_NO_PAD.decode(salt).ok())?;
        if salt.len() < 8 {
            return self.wrong("the salt is less than eight bytes");
        }
        let output =
            self.output(STANDARD_NO_PAD.decode(output).ok(), |length| (16..=64).contains(&length))?;
        Ok(AdoptedHash { recipe: Recipe::Argon2 { is_id, version, memory_kib, passes, lanes, salt }, output })
    }
}

/// The values of `a=1,b=2,c=3`, in this order and no other.
fn named<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[&'a str; N]> {
    let mut values = [""; N];
    let mut parts = text.split(',');
    for (value, name) in values.iter_mut().zip(names) {
        *value = parts.next()?.strip_prefix(name)?.strip_prefix('=')?;
    }
    parts.next().is_none().then_some(values)
}

/// The base64 of passlib: a dot for the plus, and no padding.
fn passlib(text: &str) -> Option<Vec<u8>> {
    if text.contains('+') {
        return None;
    }
    STANDARD_NO_PAD.decode(text.replace('.', "+")).ok()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// The logarithm of a power of two, spelled as the number.
fn log_of(format: Format, text: &str) -> Result<u8, Refused> {
    let number = format.number(text, "of N", 1 << SCRYPT_LOG_N_MAX)?;
    if !number.is_power_of_two() || number < 2 {
        return format.wrong("N is no power of two");
    }
    u8::try_from(number.ilog2()).or_else(|_| format.wrong("N is no power of two"))
}

fn text_salt(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

impl AdoptedHash {
    /// Reads a hash in any of the formats that are known.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        if text.len() > TEXT_MAX {
            return Err(Refused::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refused::Unknown);
        }
        let parts: Vec<&str> = text.split('$').collect();
        match parts.as_slice() {
            ["", "2a" | "2b" | "2y", cost, body] => Format("bcrypt").bcrypt_text(Before::Nothing, cost, body),
            ["bcrypt", "", "2a" | "2b" | "2y", cost, body] => {
                Format("Django bcrypt").bcrypt_text(Before::Nothing, cost, body)
            }
            ["bcrypt_sha256", "", "2a" | "2b" | "2y", cost, body] => {
                Format("Django bcrypt_sha256").bcrypt_text(Before::Sha256Hex, cost, body)
            }
            ["", "bcrypt-sha256", parameters, salt, output] => passlib_bcrypt(parameters, salt, output),
            ["", kind @ ("argon2id" | "argon2i"), rest @ ..] => Format("argon2").argon2(kind, rest),
            ["argon2", kind @ ("argon2id" | "argon2i"), rest @ ..] => {
                Format("Django argon2").argon2(kind, rest)
            }
            ["pbkdf2_sha256", rounds, salt, output] => Format("Django pbkdf2_sha256").pbkdf2(
                Digest::Sha256,
                rounds,
                text_salt(salt),
                STANDARD.decode(output).ok(),
            ),
            ["pbkdf2_sha1", rounds, salt, output] => Format("Django pbkdf2_sha1").pbkdf2(
                Digest::Sha1,
                rounds,
                text_salt(salt),
                STANDARD.decode(output).ok(),
            ),
            ["", "pbkdf2", rounds, salt, output] => {
                Format("passlib pbkdf2").pbkdf2(Digest::Sha1, rounds, passlib(salt), passlib(output))
            }
            ["", "pbkdf2-sha256", rounds, salt, output] => {
                Format("passlib pbkdf2-sha256").pbkdf2(Digest::Sha256, rounds, passlib(salt), passlib(output))
            }
            ["", "pbkdf2-sha512", rounds, salt, output] => {
                Format("passlib pbkdf2-sha512").pbkdf2(Digest::Sha512, rounds, passlib(salt), passlib(output))
            }
            ["", "scrypt", parameters, salt, output] => passlib_scrypt(parameters, salt, output),
            ["scrypt", n, salt, block, lanes, output] => {
                let format = Format("Django scrypt");
                let output = format.output(STANDARD.decode(output).ok(), |length| length == 64)?;
                format.scrypt(log_of(format, n)?, block, lanes, text_salt(salt), output)
            }
            [method, salt, output] if method.starts_with("pbkdf2:") || method.starts_with("scrypt:") => {
                werkzeug(method, salt, output)
            }
            _ => Err(refused(text, &parts)),
        }
    }
}

fn passlib_bcrypt(parameters: &str, salt: &str, output: &str) -> Result<AdoptedHash, Refused> {
    let format = Format("passlib bcrypt-sha256");
    let (before, kind, cost) = match (parameters.split_once(','), named(parameters, ["v", "t", "r"])) {
        (_, Some(["2", kind, cost])) => (Before::HmacBase64, kind, cost),
        (Some((kind, cost)), None) => (Before::Sha256Base64, kind, cost),
        _ => return format.wrong("its parameters are not those of version 1 or 2"),
    };
    if !matches!(kind, "2a" | "2b") {
        return format.wrong("its kind of bcrypt is not 2a or 2b");
    }
    let cost = format.bcrypt_cost(cost)?;
    let found = format.bcrypt(before, cost, salt, output)?;
    // The salt's text is a key here: only one spelling of it makes the same output.
    match &found.recipe {
        Recipe::Bcrypt { salt: bytes, .. } if BCRYPT_TEXT.encode(bytes) == salt => Ok(found),
        _ => format.wrong("the salt has bits left over"),
    }
}

fn passlib_scrypt(parameters: &str, salt: &str, output: &str) -> Result<AdoptedHash, Refused> {
    let format = Format("passlib scrypt");
    let Some([log_n, block, lanes]) = named(parameters, ["ln", "r", "p"]) else {
        return format.wrong("ln, r and p are expected, and nothing else");
    };
    let log_n = format.number(log_n, "of the logarithm of N", u32::from(SCRYPT_LOG_N_MAX))?;
    let log_n = u8::try_from(log_n).or_else(|_| format.wrong("the logarithm of N is too large"))?;
    let output = format.output(STANDARD_NO_PAD.decode(output).ok(), |length| length == 32 || length == 64)?;
    format.scrypt(log_n, block, lanes, STANDARD_NO_PAD.decode(salt).ok(), output)
}

fn werkzeug(method: &str, salt: &str, output: &str) -> Result<AdoptedHash, Refused> {
    let words: Vec<&str> = method.split(':').collect();
    let (salt, output) = (text_salt(salt), hex(output));
    let digest = |name: &str| match name {
        "sha1" => Some(Digest::Sha1),
        "sha256" => Some(Digest::Sha256),
        "sha512" => Some(Digest::Sha512),
        _ => None,
    };
    match words.as_slice() {
        ["pbkdf2", name, rounds] => {
            let format = Format("Werkzeug pbkdf2");
            let Some(digest) = digest(name) else {
                return format.wrong("its digest is not sha1, sha256 or sha512");
            };
            format.pbkdf2(digest, rounds, salt, output)
        }
        ["pbkdf2", ..] => {
            Format("Werkzeug pbkdf2").wrong("the number of rounds is missing, and it differs by version")
        }
        ["scrypt", n, block, lanes] => {
            let format = Format("Werkzeug scrypt");
            let output = format.output(output, |length| length == 64)?;
            format.scrypt(log_of(format, n)?, block, lanes, salt, output)
        }
        _ => Format("Werkzeug scrypt").wrong("N, r and p are expected"),
    }
}

/// Why a text in no format of ours is refused: its format by name where it can be told.
fn refused(text: &str, parts: &[&str]) -> Refused {
    let is_hex = |length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    Refused::Unsafe(match parts {
        ["", "2" | "2x", ..] => {
            "bcrypt of the first kinds ($2$, $2x$) had errors that give other passwords the same hash"
        }
        ["", "argon2d", ..] => "argon2d is not for passwords",
        ["", "1" | "apr1", ..] => "md5-crypt is too weak to take over",
        ["", "5", ..] => "sha256-crypt is not taken over",
        ["", "6", ..] => "sha512-crypt is not taken over",
        ["", "y" | "gy" | "7", ..] => "yescrypt is not taken over",
        ["md5" | "unsalted_md5", ..] => "md5 is too weak to take over",
        ["sha1" | "unsalted_sha1", ..] => "one round of sha1 is too weak to take over",
        ["sha256" | "sha512" | "plain", _, _] => "one round of a fast digest is too weak to take over",
        _ if text.starts_with('!') || text.starts_with('*') => {
            "the former system says that no password fits this account"
        }
        _ if text.starts_with('{') => "hashes of directories ({SSHA}, {CRYPT}) are not taken over",
        _ if is_hex(32) => "md5 without a salt is too weak to take over",
        _ if is_hex(40) => "sha1 without a salt is too weak to take over",
        _ if is_hex(64) || is_hex(128) => "a digest without a salt is too weak to take over",
        _ => return Refused::Unknown,
    })
}
