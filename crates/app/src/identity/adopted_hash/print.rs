//! Writes a hash in the one form each scheme has here; `AdoptedHash::parse` reads it back.

use super::parse::BCRYPT_TEXT;
use super::{AdoptedHash, Argon2Version, Before, Digest, Recipe};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::fmt;

fn passlib(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes).replace('+', ".")
}

impl AdoptedHash {
    /// Its text.
    pub fn to_text(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for AdoptedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.recipe {
            // Django's form: without its first word it would be taken for one of our own, and those are over normalised passwords.
            Recipe::Argon2 { is_id, version, memory_kib, passes, lanes, salt } => {
                let kind = if *is_id { "id" } else { "i" };
                let version = match version {
                    Argon2Version::Old => 16,
                    Argon2Version::Present => 19,
                };
                let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(&self.output));
                write!(
                    f,
                    "argon2$argon2{kind}$v={version}$m={memory_kib},t={passes},p={lanes}${salt}${output}"
                )
            }
            Recipe::Bcrypt { before, cost, salt } => {
                let (salt, output) = (BCRYPT_TEXT.encode(salt), BCRYPT_TEXT.encode(&self.output));
                match before {
                    Before::Nothing => write!(f, "$2b${cost:02}${salt}{output}"),
                    Before::Sha256Hex => write!(f, "bcrypt_sha256$$2b${cost:02}${salt}{output}"),
                    Before::Sha256Base64 => write!(f, "$bcrypt-sha256$2b,{cost}${salt}${output}"),
                    Before::HmacBase64 => write!(f, "$bcrypt-sha256$v=2,t=2b,r={cost}${salt}${output}"),
                }
            }
            Recipe::Pbkdf2 { digest, rounds, salt } => {
                let name = match digest {
                    Digest::Sha1 => "pbkdf2",
                    Digest::Sha256 => "pbkdf2-sha256",
                    Digest::Sha512 => "pbkdf2-sha512",
                };
                write!(f, "${name}${rounds}${}${}", passlib(salt), passlib(&self.output))
            }
            Recipe::Scrypt { log_n, block, lanes, salt } => {
                let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(&self.output));
                write!(f, "$scrypt$ln={log_n},r={block},p={lanes}${salt}${output}")
            }
        }
    }
}
