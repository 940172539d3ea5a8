//! Secrets: reading them, telling weak ones, making new ones.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;

/// A secret text. Its debug form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Texts people put where a secret should be.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "changethis",
    "change-me",
    "change_me",
    "replaceme",
    "replace-me",
    "replace_me",
    "password",
    "passw0rd",
    "placeholder",
    "insecure",
    "example",
    "letmein",
    "mysecret",
    "my-secret",
    "my_secret",
    "supersecret",
    "super-secret",
    "super_secret",
    "yoursecret",
    "your-secret",
    "your_secret",
    "secretkey",
    "secret-key",
    "secret_key",
    "notsecret",
    "not-secret",
    "development",
    "qwerty",
    "0123456789",
    "1234567890",
    "abcdefgh",
    "lorem",
    "charter",
    "deadbeef",
    "cafebabe",
];
const SHORTEST: usize = 32;
const LEAST_BITS: f64 = 96.0;

impl Secret {
    /// A secret of its text; blank ends do not count.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// A secret of exactly this text.
    pub fn exact(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A new random one: 32 bytes as base64 after a prefix.
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary makes the secrets of a development installation"
    )]
    pub fn generate(prefix: &str) -> Result<Self, String> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random bytes: {error}"))?;
        Ok(Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text, to be sent or written down, never shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// How many characters it has.
    pub fn length(&self) -> usize {
        self.0.chars().count()
    }

    /// The 32 bytes it stands for: those it encodes in hex or base64, or else the digest of its text.
    pub fn bytes(&self) -> [u8; 32] {
        self.encoded().unwrap_or_else(|| Sha256::digest(self.0.as_bytes()).into())
    }

    fn encoded(&self) -> Option<[u8; 32]> {
        if self.0.len() == 64 && self.0.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let mut bytes = [0; 32];
            for (place, pair) in bytes.iter_mut().zip(self.0.as_bytes().chunks(2)) {
                *place = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
            }
            return Some(bytes);
        }
        [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
            .iter()
            .find_map(|alphabet| alphabet.decode(&self.0).ok()?.try_into().ok())
    }

    /// Why it is too weak for production, if it is.
    pub fn weakness(&self) -> Option<String> {
        let length = self.length();
        let lower = self.0.to_lowercase();
        if length == 0 {
            return Some("is empty".to_owned());
        }
        if PLACEHOLDERS.iter().any(|placeholder| lower.contains(placeholder)) {
            return Some("looks like a placeholder or a word that anybody can guess".to_owned());
        }
        if length < SHORTEST {
            return Some(format!("has {length} characters; {SHORTEST} are the least"));
        }
        (self.bits() < LEAST_BITS).then(|| "repeats itself too much to be random".to_owned())
    }

    /// What the frequencies of its characters and of its pairs allow at most, in bits.
    fn bits(&self) -> f64 {
        let characters: Vec<char> = self.0.chars().collect();
        let mut singles: HashMap<char, usize> = HashMap::new();
        let mut steps: HashMap<i64, usize> = HashMap::new();
        for character in &characters {
            *singles.entry(*character).or_default() += 1;
        }
        for (first, second) in characters.iter().zip(characters.iter().skip(1)) {
            *steps.entry(i64::from(u32::from(*second)) - i64::from(u32::from(*first))).or_default() += 1;
        }
        let length = characters.len() as f64;
        entropy(singles.values(), length).min(entropy(steps.values(), length - 1.0)) * length
    }
}

fn entropy<'a>(counts: impl Iterator<Item = &'a usize>, total: f64) -> f64 {
    counts.map(|count| *count as f64 / total).map(|share| -share * share.log2()).sum()
}
