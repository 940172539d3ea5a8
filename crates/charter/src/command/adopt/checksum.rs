//! What bytes come to.

use sha2::{Digest, Sha256};

/// What bytes come to.
pub fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
