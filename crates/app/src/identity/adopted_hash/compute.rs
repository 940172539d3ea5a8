//! Computes what a source would have computed from a password.

use super::super::argon::Argon;
use super::{AdoptedHash, Argon2Version, Before, Digest, Recipe};
use argon2::{Algorithm, Params, Version};
use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use charter_kernel::{Problem, ProblemKind};
use zeroize::Zeroizing;

/// How many bytes bcrypt looks at.
const BCRYPT_BYTES: usize = 72;

fn broken(error: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Internal, format!("an adopted password hash could not be computed: {error}"))
}

impl AdoptedHash {
    /// Whether it is the hash of a password, as it was typed.
    pub(crate) fn fits(&self, typed: &str) -> Result<bool, Problem> {
        let Some(output) = self.output_of(typed)? else { return Ok(false) };
        Ok(constant_time::verify_slices_are_equal(&output, &self.output).is_ok())
    }

    /// What the source makes of a password; none when it takes no such password.
    ///
    /// A password with a zero byte is none, whatever the scheme: some bcrypts stop there, some refuse it, and PBKDF2 cannot tell one at the
    /// end from none.
    pub(super) fn output_of(&self, typed: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Problem> {
        if typed.contains('\0') {
            return Ok(None);
        }
        let mut output = Zeroizing::new(vec![0; self.output.len()]);
        match &self.recipe {
            Recipe::Argon2 { is_id, version, memory_kib, passes, lanes, salt } => {
                let params = Params::new(*memory_kib, *passes, *lanes, Some(output.len())).map_err(broken)?;
                let algorithm = if *is_id { Algorithm::Argon2id } else { Algorithm::Argon2i };
                let version = match version {
                    Argon2Version::Old => Version::V0x10,
                    Argon2Version::Present => Version::V0x13,
                };
                Argon::new(algorithm, version, params)
                    .fill(typed.as_bytes(), salt, &mut output)
                    .map_err(broken)?;
            }
            Recipe::Bcrypt { before, cost, salt } => {
                let computed =
                    Zeroizing::new(bcrypt::bcrypt(*cost, *salt, &bcrypt_key(*before, typed, salt)));
                // The last of the 24 bytes never made it into the text.
                output.clear();
                output.extend(computed.iter().take(self.output.len()));
            }
            Recipe::Pbkdf2 { digest, rounds, salt } => {
                let algorithm = match digest {
                    Digest::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
                    Digest::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
                    Digest::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
                };
                pbkdf2::derive(algorithm, *rounds, salt, typed.as_bytes(), &mut output);
            }
            Recipe::Scrypt { log_n, block, lanes, salt } => {
                let params = scrypt::Params::new(*log_n, *block, *lanes).map_err(broken)?;
                scrypt::scrypt(typed.as_bytes(), salt, &params, &mut output).map_err(broken)?;
            }
        }
        Ok(Some(output))
    }
}

/// What bcrypt is given: the password or what was made of it, with the zero byte that ends it, and no more than it looks at.
fn bcrypt_key(before: Before, typed: &str, salt: &[u8; 16]) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(BCRYPT_BYTES.max(typed.len() + 1)));
    match before {
        Before::Nothing => key.extend_from_slice(typed.as_bytes()),
        Before::Sha256Hex => {
            let hashed = digest::digest(&digest::SHA256, typed.as_bytes());
            key.extend(hashed.as_ref().iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 15)]));
        }
        Before::Sha256Base64 => {
            let hashed = digest::digest(&digest::SHA256, typed.as_bytes());
            key.extend_from_slice(STANDARD.encode(hashed).as_bytes());
        }
        Before::HmacBase64 => {
            let by = hmac::Key::new(hmac::HMAC_SHA256, super::parse::BCRYPT_TEXT.encode(salt).as_bytes());
            key.extend_from_slice(STANDARD.encode(hmac::sign(&by, typed.as_bytes())).as_bytes());
        }
    }
    key.push(0);
    key.truncate(BCRYPT_BYTES);
    key
}

const fn hex_digit(four_bits: u8) -> u8 {
    if four_bits < 10 { b'0' + four_bits } else { b'a' + four_bits - 10 }
}
