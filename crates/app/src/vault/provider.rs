//! Where the secrets of the configuration come from when they are kept elsewhere: a small trait, whose other side stands on the wire
//! (`crates/courier`).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use zeroize::Zeroizing;

/// One version of what is kept.
#[derive(Clone)]
pub struct KeptSecrets {
    /// Its number.
    pub version: u64,
    /// The key-encryption key, as text.
    pub key_encryption_key: Option<Zeroizing<String>>,
    /// The pepper, as text.
    pub pepper: Option<Zeroizing<String>>,
}

impl fmt::Debug for KeptSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSecrets").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Why secrets could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unobtained {
    /// Asked again it would say the same: somebody has to change something.
    Refused(String),
    /// It may answer later.
    Unavailable(String),
}

impl fmt::Display for Unobtained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Unavailable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Unobtained {}

/// Secrets on their way.
pub type Obtaining<'a> = Pin<Box<dyn Future<Output = Result<Vec<KeptSecrets>, Unobtained>> + Send + 'a>>;

/// Keeps secrets and gives them to this installation.
pub trait SecretsProvider: Send + Sync {
    /// The versions it keeps, newest first, and at least one.
    fn secrets(&self) -> Obtaining<'_>;
}
