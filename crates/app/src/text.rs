//! Texts people type, brought into the form in which they are kept, or refused with what is expected.

use charter_kernel::{Key, Problem};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// Longest name of anything.
const NAME_MAX: usize = 200;
/// Longest reason.
const REASON_MAX: usize = 1_000;
/// Largest JSON object of attributes.
const ATTRIBUTES_MAX: usize = 16 * 1024;

pub(crate) fn is_unwanted(c: char) -> bool {
    // Controls, line and paragraph separators, and marks that turn the direction of text.
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
}

/// The same as [`fold_login`] without a copy where a login has that form already.
pub fn folded_login(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text.trim());
    }
    Cow::Owned(fold_login(text))
}

/// Characters nobody sees: with them one address would look like another.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The mailbox an address leads to as far as one can tell: what stands behind a plus sign is the reader's own. Mails are counted by it;
/// accounts are not, because not every server reads a plus sign like that.
pub fn mailbox(email: &str) -> String {
    let (local, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    let box_of = local.split_once('+').map_or(local, |(before, _)| before);
    format!("{}@{domain}", if box_of.is_empty() { local } else { box_of })
}

/// The domain of an address in the form in which addresses are compared.
pub fn domain(field: &str, text: &str) -> Result<String, Problem> {
    let folded = fold_login(text);
    let folded = folded.strip_prefix('@').unwrap_or(&folded);
    let wrong = || Problem::invalid(field, format!("{text:?} is no domain: toys.example is one"));
    let address = email(field, &format!("a@{folded}")).map_err(|_| wrong())?;
    let (_, domain) = address.rsplit_once('@').ok_or_else(wrong)?;
    if domain != folded || !domain.contains('.') {
        return Err(wrong());
    }
    Ok(domain.to_owned())
}

/// A login in the one form in which it is compared: NFKC, lower case, no blanks around.
pub fn fold_login(text: &str) -> String {
    // Nearly every login is ASCII, which is NFKC as it stands.
    if text.is_ascii() {
        return text.trim().to_ascii_lowercase();
    }
    text.trim().nfkc().collect::<String>().to_lowercase()
}

/// An e-mail address, folded.
pub fn email(field: &str, text: &str) -> Result<String, Problem> {
    let folded = fold_login(text);
    let expected = || Problem::invalid(field, "an e-mail address is expected, for example ann@toys.example");
    let (local, domain) = folded.rsplit_once('@').ok_or_else(expected)?;
    let right = !local.is_empty()
        && folded.len() <= 254
        && domain.split('.').all(|label| !label.is_empty())
        && !folded.chars().any(|c| {
            is_unwanted(c)
                || is_invisible(c)
                || c.is_whitespace()
                || matches!(c, '<' | '>' | '"' | ',' | ';' | '\\')
        })
        && !local.contains('@');
    if right { Ok(folded) } else { Err(expected()) }
}

/// The login of a user, folded: an e-mail address, or a plain user name as systems without addresses have them.
pub fn login(field: &str, text: &str) -> Result<String, Problem> {
    let folded = fold_login(text);
    if folded.contains('@') {
        return email(field, text);
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    if folded.is_empty()
        || folded.len() > 64
        || !folded.chars().all(plain)
        || folded.parse::<charter_kernel::PrincipalId>().is_ok()
    {
        return Err(Problem::invalid(
            field,
            "an e-mail address is expected, or a user name of at most 64 letters, digits, dots, underscores and dashes",
        ));
    }
    Ok(folded)
}

/// The name of a service account: a key.
pub fn service_account_login(field: &str, text: &str) -> Result<String, Problem> {
    let folded = fold_login(text);
    if Key::is_valid(&folded) {
        Ok(folded)
    } else {
        Err(Problem::invalid(
            field,
            "a service account's name has 1 to 64 characters from a-z, 0-9, _ and -, beginning with a letter",
        ))
    }
}

/// A shown name.
pub fn name(field: &str, text: &str) -> Result<String, Problem> {
    let trimmed: String = text.trim().nfc().collect();
    if trimmed.is_empty() || trimmed.chars().count() > NAME_MAX || trimmed.chars().any(is_unwanted) {
        return Err(Problem::invalid(
            field,
            format!("1 to {NAME_MAX} characters without control characters are expected"),
        ));
    }
    Ok(trimmed)
}

/// A reason, which may be empty.
pub fn reason(field: &str, text: &str) -> Result<String, Problem> {
    let trimmed: String = text.trim().nfc().collect();
    if trimmed.chars().count() > REASON_MAX || trimmed.chars().any(|c| is_unwanted(c) && c != '\n') {
        return Err(Problem::invalid(
            field,
            format!("at most {REASON_MAX} characters without control characters are expected"),
        ));
    }
    Ok(trimmed)
}

/// A reason that must be given.
pub fn demanded_reason(field: &str, text: &str) -> Result<String, Problem> {
    let given = reason(field, text)?;
    if given.is_empty() {
        return Err(Problem::invalid(field, "a reason is needed: say why"));
    }
    Ok(given)
}

/// A JSON object, kept with its keys sorted so that both engines give back the same text; empty means `{}`.
pub fn json_object(field: &str, text: &str) -> Result<String, Problem> {
    if text.trim().is_empty() {
        return Ok("{}".to_owned());
    }
    if text.len() > ATTRIBUTES_MAX {
        return Err(Problem::invalid(field, format!("at most {ATTRIBUTES_MAX} bytes are allowed")));
    }
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(sorted(&value).to_string()),
        Ok(_) => Err(Problem::invalid(field, "a JSON object is expected")),
        Err(error) => Err(Problem::invalid(field, format!("a JSON object is expected: {error}"))),
    }
}

/// The same JSON with the keys of every object sorted.
pub fn sorted(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            serde_json::Value::Object(entries.into_iter().collect())
        }
        serde_json::Value::Array(items) => serde_json::Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
