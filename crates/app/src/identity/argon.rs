//! Argon2, in memory that goes back to the system when nobody signs in any more.
//!
//! A hash works in 19 MiB and more. To take them from the system for each hash costs a third of it, so the memory is kept for the next one, as
//! many pieces as there were hashes at once, until a round of the service finds that none was used since the round before. It has
//! to go back then: glibc keeps what is freed, once for every thread that ever hashed, and after a crowd at the door a service would
//! hold hundreds of megabytes for good. What is larger than 32 MiB it gives back at once, so that much is asked for. Of what is asked
//! for only what is used is ever there.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{
    Algorithm, Argon2, Block, CustomizedPasswordHasher, Params, PasswordHasher, Version, password_hash,
};
use std::sync::{Mutex, PoisonError};

/// Blocks of 1 KiB that are asked for at least: one more than glibc would keep.
const BLOCKS_MIN: usize = 32 * 1024 + 1;

/// Memory of hashes that are done.
static SPARE: Mutex<Spare> = Mutex::new(Spare { pieces: Vec::new(), is_fresh: false });

struct Spare {
    pieces: Vec<Vec<Block>>,
    /// Whether a piece was put here since the last round.
    is_fresh: bool,
}

/// Memory of so many blocks. What an earlier hash left in it is written over by the first pass.
fn take(blocks: usize) -> Vec<Block> {
    let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pieces.pop();
    let mut memory = spare.unwrap_or_default();
    if memory.capacity() < blocks.max(BLOCKS_MIN) {
        memory = Vec::with_capacity(blocks.max(BLOCKS_MIN));
    }
    memory.resize(blocks, Block::new());
    memory
}

fn keep(memory: Vec<Block>) {
    // A dear hash of another system is no measure for the next one.
    if memory.len() < BLOCKS_MIN {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        spare.pieces.push(memory);
        spare.is_fresh = true;
    }
}

/// A round of the service: gives back what was not used since the last one.
pub(crate) fn give_back() {
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    let unused = if spare.is_fresh { Vec::new() } else { std::mem::take(&mut spare.pieces) };
    spare.is_fresh = false;
    drop(spare);
    drop(unused);
}

/// Argon2 with its parameters.
pub(super) struct Argon {
    algorithm: Algorithm,
    version: Version,
    params: Params,
}

impl Argon {
    /// Any form of it.
    pub fn new(algorithm: Algorithm, version: Version, params: Params) -> Self {
        Self { algorithm, version, params }
    }

    /// The form that hashes of our own have.
    pub fn own(params: Params) -> Self {
        Self::new(Algorithm::Argon2id, Version::V0x13, params)
    }

    /// Fills an output of any length.
    pub fn fill(&self, password: &[u8], salt: &[u8], output: &mut [u8]) -> argon2::Result<()> {
        let mut memory = take(self.params.block_count());
        let filled = Argon2::new(self.algorithm, self.version, self.params.clone())
            .hash_password_into_with_memory(password, salt, output, &mut memory);
        keep(memory);
        filled
    }
}

impl PasswordHasher<PasswordHash> for Argon {
    fn hash_password_with_salt(&self, password: &[u8], salt: &[u8]) -> password_hash::Result<PasswordHash> {
        let length = self.params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let mut buffer = [0; Output::MAX_LENGTH];
        let output = buffer.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
        self.fill(password, salt, output)?;
        Ok(PasswordHash {
            algorithm: self.algorithm.ident(),
            version: Some(self.version.into()),
            params: ParamsString::try_from(&self.params)?,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(output)?),
        })
    }
}

/// With these the library verifies: it reads the parameters and compares.
impl CustomizedPasswordHasher<PasswordHash> for Argon {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> password_hash::Result<PasswordHash> {
        let algorithm = algorithm.map(Algorithm::try_from).transpose()?.unwrap_or_default();
        let version = version.map(Version::try_from).transpose()?.unwrap_or_default();
        Self::new(algorithm, version, params).hash_password_with_salt(password, salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordVerifier;

    #[test]
    fn a_hash_is_the_one_that_the_library_makes_in_memory_of_its_own() {
        for (memory_kib, passes, lanes, length) in [(64, 1, 1, None), (64, 3, 2, None), (128, 2, 4, Some(16))]
        {
            let params = Params::new(memory_kib, passes, lanes, length).unwrap();
            let theirs = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
            let theirs: PasswordHash =
                theirs.hash_password_with_salt(b"correct horse battery", &[3; 16]).unwrap();
            let ours = Argon::own(params);
            let hash: PasswordHash =
                ours.hash_password_with_salt(b"correct horse battery", &[3; 16]).unwrap();
            assert_eq!(hash.to_string(), theirs.to_string());
            assert_eq!(ours.verify_password(b"correct horse battery", &theirs), Ok(()));
            let wrong = ours.verify_password(b"correct horse batterie", &theirs);
            assert_eq!(wrong, Err(password_hash::Error::PasswordInvalid));
        }
    }

    #[test]
    fn memory_is_kept_for_the_next_hash_and_given_back_when_none_comes() {
        let held = || SPARE.lock().unwrap().pieces.len();
        let hash = |memory_kib| -> String {
            let params = Params::new(memory_kib, 1, 1, None).unwrap();
            let hash: PasswordHash =
                Argon::own(params).hash_password_with_salt(b"password", &[3; 16]).unwrap();
            hash.to_string()
        };
        let (small, large) = (hash(64), hash(256));
        assert!(held() > 0);
        // In memory of a larger hash, and in memory of a smaller one.
        assert_eq!((hash(64), hash(256), hash(64)), (small.clone(), large, small));
        give_back();
        assert!(held() > 0, "it was used since the round before");
        give_back();
        assert_eq!(held(), 0);
        hash(40 * 1024);
        assert_eq!(held(), 0, "so much is not kept");
    }

    #[test]
    fn the_parameters_of_a_hash_count_and_not_those_of_who_verifies() {
        let made = |memory_kib| Argon::own(Params::new(memory_kib, 1, 1, None).unwrap());
        let hash: PasswordHash =
            made(64).hash_password_with_salt(b"correct horse battery", &[3; 16]).unwrap();
        assert_eq!(made(128).verify_password(b"correct horse battery", &hash), Ok(()));
        let mut damaged = hash.clone();
        damaged.version = Some(0x12);
        assert!(made(64).verify_password(b"correct horse battery", &damaged).is_err());
        damaged = hash;
        damaged.hash = None;
        assert!(made(64).verify_password(b"correct horse battery", &damaged).is_err());
    }
}
