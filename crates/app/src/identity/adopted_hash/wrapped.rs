//! A weak hash inside a strong one: argon2id over what the weak scheme made of the password. Whoever reads the table has to guess
//! through both. `$wrapped$<the weak hash without its output>$argon2id$...`.

use super::super::argon::Argon;
use super::AdoptedHash;
use argon2::password_hash::phc::PasswordHash;
use argon2::{PasswordHasher, PasswordVerifier};
use charter_kernel::{Problem, ProblemKind};

const PREFIX: &str = "$wrapped$";
const OUTER: &str = "$argon2id$";

fn broken(error: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Internal, format!("a wrapped password hash: {error}"))
}

/// A wrapped hash.
pub(crate) struct WrappedHash {
    /// How the weak scheme goes; its output is nothing but zeros.
    inner: AdoptedHash,
    /// The strong hash of that output.
    outer: String,
}

impl WrappedHash {
    /// Whether a text is one.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let rest = text.strip_prefix(PREFIX).ok_or_else(|| broken("it does not start as one"))?;
        let at = rest.rfind(OUTER).ok_or_else(|| broken("there is no strong hash around it"))?;
        let (inner, outer) = rest.split_at(at);
        let inner = AdoptedHash::parse(inner).map_err(broken)?;
        PasswordHash::new(outer).map_err(broken)?;
        Ok(Self { inner, outer: outer.to_owned() })
    }

    /// Wraps a hash.
    pub fn around(adopted: &AdoptedHash, engine: &Argon, salt: &[u8]) -> Result<Self, Problem> {
        let outer: PasswordHash = engine.hash_password_with_salt(&adopted.output, salt).map_err(broken)?;
        let output = vec![0; adopted.output.len()];
        let inner = AdoptedHash { recipe: adopted.recipe.clone(), output };
        Ok(Self { inner, outer: outer.to_string() })
    }

    /// Whether it goes around a hash: each has a salt of its own.
    pub fn is_around(&self, adopted: &AdoptedHash) -> bool {
        self.inner.recipe == adopted.recipe
    }

    /// Its text.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}{}", self.inner.to_text(), self.outer)
    }

    /// The parameters of the strong hash.
    pub fn outer(&self) -> Result<PasswordHash, Problem> {
        PasswordHash::new(&self.outer).map_err(broken)
    }

    /// Whether it is the hash of a password, as it was typed.
    pub fn fits(&self, typed: &str, engine: &Argon) -> Result<bool, Problem> {
        let Some(output) = self.inner.output_of(typed)? else { return Ok(false) };
        match engine.verify_password(&output, &self.outer()?) {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(broken(error)),
        }
    }
}
