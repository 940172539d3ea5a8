//! A schema of one's own: several programs, or several installations, live in one database and never meet.

use crate::Error;

/// The longest name: a channel made of it stays within the 63 bytes of PostgreSQL's names.
const LENGTH_MAX: usize = 40;

/// Whether a schema may have this name: small letters, digits and low lines, so that it means the same wherever it is written.
#[must_use]
pub fn is_schema_name(name: &str) -> bool {
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    // Those of PostgreSQL itself are no place for tables.
    let is_its_own = name.starts_with("pg_") || name == "information_schema";
    begins && name.bytes().all(plain) && name.len() <= LENGTH_MAX && !is_its_own
}

/// The name, quoted as a setting of a connection wants it.
pub(super) fn checked(name: &str) -> Result<String, Error> {
    if is_schema_name(name) {
        return Ok(format!("\"{name}\""));
    }
    Err(Error::Config(format!(
        "{name:?} is no name for a schema: up to {LENGTH_MAX} small letters, digits and _ are expected, and not pg_ in front"
    )))
}

/// What the writes of a schema are told on.
pub(crate) fn channel(name: &str, schema: Option<&str>) -> String {
    schema.map_or_else(|| name.to_owned(), |schema| format!("{name}_{schema}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_has_a_plain_name_that_its_channel_can_carry() {
        for good in ["charter", "_x", "a1_b2", &"a".repeat(LENGTH_MAX)] {
            assert!(is_schema_name(good), "{good}");
            assert!(channel(crate::CHANNEL, Some(good)).len() < 63);
        }
        let bad = ["", "1a", "A", "a-b", "a b", "a\"b", "pg_x", "information_schema", "ä", &"a".repeat(41)];
        for bad in bad {
            assert!(!is_schema_name(bad) && checked(bad).is_err(), "{bad}");
        }
    }
}
