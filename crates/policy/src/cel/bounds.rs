//! Bounds on the text of an expression, kept before a parser sees it.

use super::error;
use crate::condition::ConditionError;

const SOURCE_MAX: usize = 2048;

const NESTING_MAX: usize = 16;

pub(super) const TOKENS_MAX: usize = 320;

/// Refuses texts that would be slow or deep to parse, before a parser sees them.
pub(super) fn bounded(source: &str) -> Result<(), ConditionError> {
    if source.trim().is_empty() {
        return error(
            "expression: nothing is written: give an expression, for example resource.properties.amount <= 500",
        );
    }
    if source.len() > SOURCE_MAX {
        return error(format!(
            "expression: {} bytes, at most {SOURCE_MAX} are possible: split the condition",
            source.len()
        ));
    }
    let (mut depth, mut tokens, mut choices, mut signs) = (0usize, 0usize, 0usize, 0usize);
    let mut in_word = false;
    let mut bytes = source.bytes();
    while let Some(byte) = bytes.next() {
        let is_word = byte.is_ascii_alphanumeric() || byte == b'_';
        if is_word && in_word {
            continue;
        }
        in_word = is_word;
        if byte.is_ascii_whitespace() {
            continue;
        }
        tokens += 1;
        signs = if matches!(byte, b'!' | b'-') { signs + 1 } else { 0 };
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'?' => choices += 1,
            b'`' => return error("expression: quoted names (`) are not possible"),
            b'"' | b'\'' => loop {
                match bytes.next() {
                    Some(b'\\') => {
                        bytes.next();
                    }
                    Some(end) if end == byte => break,
                    Some(b'\n') | None => {
                        return error(
                            "expression: a text is not closed: end it with the quote it began with, on the same line",
                        );
                    }
                    Some(_) => {}
                }
            },
            _ if !byte.is_ascii() || byte.is_ascii_control() => {
                return error("expression: only ASCII characters may stand outside quoted texts");
            }
            _ => {}
        }
        if depth > NESTING_MAX || choices > NESTING_MAX || signs > 4 {
            return error(format!(
                "expression: nested deeper than {NESTING_MAX}: name parts of it as conditions of their own"
            ));
        }
        if tokens > TOKENS_MAX {
            return error(format!("expression: more than {TOKENS_MAX} words and signs: split the condition"));
        }
    }
    Ok(())
}
