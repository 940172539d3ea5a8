//! Names that people are shown, brought into the form that Charter takes: other systems let anything into theirs.

use super::twins::MARK;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// Longest name Charter takes.
const NAME_MAX: usize = 200;
/// Longest part of an id that goes into a name.
const ID_MAX: usize = 100;

/// Controls, line and paragraph separators, and marks that turn the direction of text: Charter refuses names with them.
fn is_unwanted(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
}

fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).and_then(|(end, _)| text.get(..end)).unwrap_or(text).trim()
}

/// A name without what Charter refuses; it may be empty.
pub(super) fn name(text: &str) -> Cow<'_, str> {
    if text.contains(is_unwanted) {
        let blank = text.replace(is_unwanted, " ");
        return Cow::Owned(cut(blank.trim(), NAME_MAX).to_owned());
    }
    Cow::Borrowed(cut(text.trim(), NAME_MAX))
}

/// A name that is never empty: that of the id where there is no other.
pub(super) fn named(text: Option<&str>, id: &str) -> String {
    let of = |text: &str| Some(name(text).into_owned()).filter(|name| !name.is_empty());
    // Of an id without a character that can be seen its notation is shown.
    text.and_then(of).or_else(|| of(id)).unwrap_or_else(|| cut(&format!("{id:?}"), NAME_MAX).to_owned())
}

/// An id as a part of a name: no two are one, so what would be cleaned or cut is shown by its notation, and with its sum.
fn notation(id: &str) -> Cow<'_, str> {
    let is_plain = !id.is_empty() && !id.starts_with('"') && name(id) == id && id.chars().count() <= ID_MAX;
    if is_plain {
        return Cow::Borrowed(id);
    }
    let quoted = format!("{id:?}");
    if quoted.chars().count() <= ID_MAX {
        return Cow::Owned(quoted);
    }
    let sum: String = Sha256::digest(id.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    Cow::Owned(format!("{} {sum}", cut(&quoted, ID_MAX.saturating_sub(sum.len() + 1))))
}

/// A name that others have, with the id behind it.
pub(super) fn again(first: &str, id: &str) -> String {
    let mark = format!("{MARK}{}", notation(id));
    format!("{}{mark}", cut(first, NAME_MAX.saturating_sub(mark.chars().count())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_charter_would_refuse_is_cleaned_and_an_empty_one_is_that_of_the_id() {
        assert_eq!(named(Some(" Soft\u{1b}Toys\u{202e}\n"), "7"), "Soft Toys");
        assert_eq!(named(Some("Clérk 🧸"), "7"), "Clérk 🧸");
        assert_eq!((named(Some("\t\u{feff} "), "7"), named(None, "7")), ("7".to_owned(), "7".to_owned()));
        assert_eq!(named(None, "\n"), "\"\\n\"");
        let long = "ä".repeat(300);
        assert_eq!(named(Some(&long), "7").chars().count(), NAME_MAX);
        let ids = [long.clone(), format!("{long}x"), "\u{202e}".to_owned(), "7".to_owned()];
        let names: Vec<String> = ids.iter().map(|id| again(&named(Some(&long), "7"), id)).collect();
        let is_fit = |name: &String| name.chars().count() <= NAME_MAX && !name.contains(is_unwanted);
        assert!(names.iter().all(is_fit) && names[0] != names[1], "{names:?}");
        assert_eq!(again("boss", "7"), "boss #7");
    }
}
