//! Passwords that leaked from anywhere: an operator gives a list of SHA-1 hashes, as Have I Been Pwned publishes it, and no new password may
//! stand in it. How the list is kept is the adapter's affair; here is what is asked of it, and what doubt means.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use charter_kernel::{Problem, ProblemKind};

/// SHA-1 of a password: what the lists are made of, and worth nothing else.
pub type Sha1 = [u8; 20];

/// A list of breached passwords.
pub trait BreachedPasswords: std::fmt::Debug + Send + Sync {
    /// Whether a password of this hash stands in it, or why that cannot be said. Called on threads that may wait for a disk.
    fn holds(&self, hash: &Sha1) -> Result<bool, String>;
}

/// The hash a list knows a password by.
fn sha1(password: &str) -> Option<Sha1> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()).as_ref().try_into().ok()
}

/// Refuses a new password that stands in the list in one of its forms. One that cannot be looked up is not taken either.
pub(super) fn judge<'a>(
    list: &dyn BreachedPasswords,
    field: &str,
    forms: impl IntoIterator<Item = &'a str>,
) -> Result<(), Problem> {
    for form in forms {
        let found = sha1(form).ok_or_else(|| "it has no hash".to_owned()).and_then(|hash| list.holds(&hash));
        match found {
            Ok(false) => {}
            Ok(true) => {
                let detail = "it stands in a list of passwords that leaked, the first thing an attacker tries: choose another \
                              (rule: breached)";
                return Err(Problem::invalid(field, detail));
            }
            Err(error) => {
                tracing::error!(%error, "a new password could not be looked up among the breached ones: it is refused");
                let detail =
                    "new passwords cannot be checked at this moment, and none is taken unchecked: try again";
                return Err(Problem::new(ProblemKind::Unavailable, detail).retry_after(10));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_lists_are_made_of() {
        let hash = sha1("password").unwrap();
        let text: String = hash.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(text, "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8");
    }
}
