//! Names of the other system as words of Charter. Two names are never one word: where letters were lost, a sum of the name is added.

use charter_kernel::{Key, PermissionCode};
use sha2::{Digest, Sha256};

/// The module that the other system's own permissions become.
pub const MODULE: &str = "adopted";
/// The middle word of permissions that name no thing.
const NO_THING: &str = "system";
/// How many letters of a sum are added.
const SUM: usize = 8;
/// Most letters of a name that are kept.
const KEPT_MAX: usize = 48;

/// A word of lower-case letters, digits and underscores that begins with a letter.
fn word(name: &str) -> String {
    let mut word = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            word.push(letter.to_ascii_lowercase());
        } else if !word.ends_with('_') {
            word.push('_');
        }
    }
    if !word.starts_with(|first: char| first.is_ascii_lowercase()) {
        word.insert_str(0, "x_");
    }
    word.truncate(KEPT_MAX);
    // What looks like a word with a sum gets one of its own.
    if word == name && !ends_like_sum(name) {
        return word;
    }
    format!("{}_{}", word.trim_end_matches('_'), sum(name))
}

/// The first letters of a sum.
fn sum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(SUM / 2).map(|byte| format!("{byte:02x}")).collect()
}

fn ends_like_sum(name: &str) -> bool {
    let is_hex = |end: &str| end.len() == SUM && end.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    name.rsplit_once('_').is_some_and(|(_, end)| is_hex(end))
}

/// The code that a permission of the other system becomes: what stands before its last dot is the thing, what stands after it the action.
#[must_use]
pub fn code(legacy: &str) -> Option<PermissionCode> {
    let (thing, action) = legacy.rsplit_once('.').unwrap_or((NO_THING, legacy));
    format!("{MODULE}.{}.{}", word(thing), word(action)).parse().ok()
}

/// The key that a role of the other system becomes.
#[must_use]
pub fn role_key(legacy: &str) -> Option<Key> {
    format!("{MODULE}_{}", word(legacy)).parse().ok()
}

/// The key that an organization of the other system gets: its name's, told apart from others by its id where it has to be.
pub fn organization_key(name: &str, id: &str, is_taken: impl Fn(&str) -> bool) -> Option<Key> {
    let plain = |text: &str| {
        let mut word = String::with_capacity(text.len());
        for letter in text.chars() {
            if letter.is_ascii_alphanumeric() {
                word.push(letter.to_ascii_lowercase());
            } else if !word.is_empty() && !word.ends_with('-') {
                word.push('-');
            }
        }
        word.truncate(KEPT_MAX);
        word.trim_end_matches('-').to_owned()
    };
    let word = plain(name);
    let word =
        if word.starts_with(|first: char| first.is_ascii_lowercase()) { word } else { format!("org-{word}") };
    let first = word.trim_end_matches('-');
    let sum = sum(id);
    let named = [first.to_owned(), format!("{first}-{}", plain(id)), format!("{first}-{sum}")];
    let numbered = (2..u32::MAX).map(|times| format!("{first}-{sum}-{times}"));
    let is_free = |key: &String| Key::is_valid(key) && !key.ends_with('-') && !is_taken(key);
    named.into_iter().chain(numbered).find(is_free)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn organizations_of_one_name_get_keys_of_their_own() {
        let key = |name: &str, id: &str, taken: &[&str]| {
            organization_key(name, id, |key| taken.contains(&key)).unwrap().as_str().to_owned()
        };
        assert_eq!(key("Toys & Games Ltd.", "7", &[]), "toys-games-ltd");
        assert_eq!(key("Toys", "7", &["toys"]), "toys-7");
        assert_eq!(key("42", "7", &[]), "org-42");
        let odd = key("玩具 😀", "a b", &["org"]);
        assert_eq!(odd, "org-a-b");
        assert!(key("x", "😀", &["x"]).starts_with("x-"));
        assert_eq!(key(&"y".repeat(300), "1", &[]).len(), 48);
        // Others may be called like what would be made; a run once failed over a key that was empty.
        let made = key("x", "1", &["x", "x-1"]);
        assert_eq!(key("x", "1", &["x", "x-1", &made]), format!("{made}-2"));
    }

    #[test]
    fn plain_names_stay_and_others_are_told_apart() {
        let code = |text| code(text).unwrap().as_str().to_owned();
        assert_eq!(code("auth.add_group"), "adopted.auth.add_group");
        assert_eq!(code("edit"), "adopted.system.edit");
        let odd = [
            "auth.Add_Group",
            "auth.add_group",
            "auth.add group",
            "auth.add  group",
            "auth.add-group",
            "auth.",
            "auth.1",
            "auth.😀",
            "a.uth.add_group",
            "",
            ".",
            "_._",
            "auth.add_group_0123abcd",
        ];
        let different: BTreeSet<String> = odd.iter().map(|text| code(text)).collect();
        assert_eq!(different.len(), odd.len(), "{different:?}");
        let long = "x".repeat(300);
        assert_ne!(code(&long), code(&format!("{long}x")));
        assert!(role_key("Änderungs-Manager 😀").is_some());
        assert_ne!(role_key("admin"), role_key("Admin"));
        // A role that was called as another's key is made up once stood for both.
        let made = role_key("Boss").unwrap();
        let (_, looks_so) = made.as_str().split_once('_').unwrap();
        assert_ne!(role_key(looks_so).unwrap(), made);
    }
}
