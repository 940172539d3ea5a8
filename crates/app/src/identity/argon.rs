//! Argon2, in memory that goes back to the system with every hash.
//!
//! A hash works in 19 MiB and more. glibc keeps what was freed for the next one, once for every thread that ever hashed: after a crowd at
//! the door a service would hold hundreds of megabytes for good. What is larger than 32 MiB it takes from the system alone and gives back
//! at once, so that much is asked for. Of what is asked for only what is used is ever there.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{
    Algorithm, Argon2, Block, CustomizedPasswordHasher, Params, PasswordHasher, Version, password_hash,
};

/// Blocks of 1 KiB that are asked for at least: one more than glibc would keep.
const BLOCKS_MIN: usize = 32 * 1024 + 1;

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
        let blocks = self.params.block_count();
        let mut memory = Vec::with_capacity(blocks.max(BLOCKS_MIN));
        memory.resize(blocks, Block::new());
        Argon2::new(self.algorithm, self.version, self.params.clone())
            .hash_password_into_with_memory(password, salt, output, memory)
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
