//! Password hashes that other systems made: bcrypt, PBKDF2, scrypt and argon2, as Django, passlib, Werkzeug and their kin write them.
//!
//! One closed type. A text is read strictly (`parse.rs`), within ceilings, so that no table that is taken over can stop the service;
//! it is written back in one form per scheme. What a source did to a password before hashing is done the same way (`compute.rs`):
//! plain bcrypt looks at 72 bytes and no more, and a password with a zero byte fits no such hash. A hash that is weaker than what is
//! safe to keep is put inside an argon2id hash when it is taken over (`wrapped.rs`). Whatever it was, the first sign-in with the
//! right password replaces it by a hash of our own.

mod compute;
mod parse;
mod print;
#[cfg(test)]
mod tests;
mod wrapped;

pub(super) use wrapped::WrappedHash;

use std::fmt;
use std::num::NonZeroU32;

/// Most bytes of a hash's text.
const TEXT_MAX: usize = 512;
/// Most memory of argon2, in KiB: 1 GiB.
const ARGON2_MEMORY_MAX: u32 = 1024 * 1024;
/// Most passes of argon2.
const ARGON2_PASSES_MAX: u32 = 10;
/// Most lanes of argon2.
const ARGON2_LANES_MAX: u32 = 16;
/// Most of the binary logarithm of scrypt's N: 2^17.
const SCRYPT_LOG_N_MAX: u8 = 17;
/// Most of scrypt's block size.
const SCRYPT_BLOCK_MAX: u32 = 8;
/// Most of scrypt's lanes.
const SCRYPT_LANES_MAX: u32 = 10;
/// Most rounds of PBKDF2.
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
/// Most of bcrypt's cost.
const BCRYPT_COST_MAX: u32 = 15;
/// Least of bcrypt's cost that any system writes.
const BCRYPT_COST_MIN: u32 = 4;

/// Why a hash is not taken over. Says nothing of the hash itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It is longer than any hash.
    TooLong,
    /// Its format is known, and nothing that could be verified safely.
    Unsafe(&'static str),
    /// Its format is not known.
    Unknown,
    /// It starts like a known format and goes on otherwise.
    Malformed {
        /// The format.
        format: &'static str,
        /// What is wrong.
        wrong: &'static str,
    },
    /// Verifying it would cost more than is allowed.
    TooDear {
        /// The format.
        format: &'static str,
        /// What there is too much of.
        parameter: &'static str,
        /// The most that is allowed.
        most: u64,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {TEXT_MAX} bytes, which no password hash is"),
            Self::Unsafe(what) => {
                write!(
                    f,
                    "{what}: leave the user out of the import and add them as a member; they get a new password by mail \
                     (`auth.forgot-password`) or from the operator"
                )
            }
            Self::Unknown => f.write_str(
                "the format is not known; these are: bcrypt ($2a$, $2b$, $2y$), Django (pbkdf2_sha256$, pbkdf2_sha1$, argon2$, scrypt$, bcrypt$, \
                 bcrypt_sha256$), passlib ($pbkdf2-sha256$, $pbkdf2-sha512$, $pbkdf2$, $bcrypt-sha256$, $scrypt$), Werkzeug (pbkdf2:, scrypt:), \
                 argon2 ($argon2id$, $argon2i$)",
            ),
            Self::Malformed { format, wrong } => write!(f, "not a whole {format} hash: {wrong}"),
            Self::TooDear { format, parameter, most } => {
                write!(f, "{format} with more than {most} {parameter}: verifying it would stop the service for others")
            }
        }
    }
}

impl std::error::Error for Refused {}

/// What goes into PBKDF2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// What a system does to a password before bcrypt sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing: bcrypt looks at 72 bytes of it.
    Nothing,
    /// SHA-256 in hexadecimal: Django's `bcrypt_sha256`, Flask-Bcrypt with long passwords.
    Sha256Hex,
    /// SHA-256 in base64: the first version of passlib's `bcrypt-sha256`.
    Sha256Base64,
    /// HMAC-SHA-256, keyed by the salt's text, in base64: the second.
    HmacBase64,
}

/// The version of argon2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argon2Version {
    Old,
    Present,
}

/// How a password is made into the output.
#[derive(Clone, PartialEq, Eq)]
enum Recipe {
    Argon2 { is_id: bool, version: Argon2Version, memory_kib: u32, passes: u32, lanes: u32, salt: Vec<u8> },
    Bcrypt { before: Before, cost: u32, salt: [u8; 16] },
    Pbkdf2 { digest: Digest, rounds: NonZeroU32, salt: Vec<u8> },
    Scrypt { log_n: u8, block: u32, lanes: u32, salt: Vec<u8> },
}

/// A password hash another system made, understood and within the ceilings.
#[derive(Clone, PartialEq, Eq)]
pub struct AdoptedHash {
    recipe: Recipe,
    output: Vec<u8>,
}

impl fmt::Debug for AdoptedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdoptedHash({})", self.scheme())
    }
}

impl AdoptedHash {
    /// The scheme with its cost, for people.
    pub fn scheme(&self) -> String {
        match &self.recipe {
            Recipe::Argon2 { is_id, memory_kib, passes, lanes, .. } => {
                format!("argon2{} {memory_kib} KiB, {passes}/{lanes}", if *is_id { "id" } else { "i" })
            }
            Recipe::Bcrypt { before: Before::Nothing, cost, .. } => format!("bcrypt {cost}"),
            Recipe::Bcrypt { cost, .. } => format!("bcrypt-sha256 {cost}"),
            Recipe::Pbkdf2 { digest, rounds, .. } => {
                let digest = match digest {
                    Digest::Sha1 => "sha1",
                    Digest::Sha256 => "sha256",
                    Digest::Sha512 => "sha512",
                };
                format!("pbkdf2-{digest} {rounds}")
            }
            Recipe::Scrypt { log_n, block, lanes, .. } => format!("scrypt 2^{log_n}, {block}/{lanes}"),
        }
    }

    /// Whether what is kept of a password came from another system, and is no hash of our own.
    pub fn is_one(kept: &str) -> bool {
        WrappedHash::is_one(kept) || !kept.starts_with(super::password::OWN)
    }

    /// Whether what is kept came of this very hash; none where it is one of our own, made since by a sign-in or of a new password.
    pub fn is_kept_as(&self, kept: &str) -> Option<bool> {
        if WrappedHash::is_one(kept) {
            return WrappedHash::parse(kept).ok().map(|wrapped| wrapped.is_around(self));
        }
        Self::is_one(kept).then(|| kept == self.to_text())
    }

    /// Whether it is weaker than what OWASP's password storage page allows to be kept, and so has to be wrapped.
    pub fn is_weak(&self) -> bool {
        /// Memory in KiB, passes.
        const ARGON2: [(u32, u32); 5] =
            [(46 * 1024, 1), (19 * 1024, 2), (12 * 1024, 3), (9 * 1024, 4), (7 * 1024, 5)];
        /// Binary logarithm of N, lanes; with blocks of eight.
        const SCRYPT: [(u8, u32); 5] = [(17, 1), (16, 2), (15, 3), (14, 5), (13, 10)];
        !match &self.recipe {
            Recipe::Argon2 { memory_kib, passes, .. } => {
                ARGON2.iter().any(|(memory, least)| memory_kib >= memory && passes >= least)
            }
            Recipe::Bcrypt { cost, .. } => *cost >= 10,
            Recipe::Pbkdf2 { digest, rounds, .. } => match digest {
                Digest::Sha1 => false,
                Digest::Sha256 => rounds.get() >= 600_000,
                Digest::Sha512 => rounds.get() >= 210_000,
            },
            Recipe::Scrypt { log_n, block, lanes, .. } => {
                *block >= 8 && SCRYPT.iter().any(|(log, least)| log_n >= log && lanes >= least)
            }
        }
    }
}
