//! Names of the other system as words of Charter. Two names are never one word: where letters were lost, a sum of the name is added.

use charter_kernel::{Key, PermissionCode};
use sha2::{Digest, Sha256};

/// The module that the other system's own permissions become.
pub const MODULE: &str = "adopted";
/// The middle word of permissions that name no thing.
const NO_THING: &str = "system";
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
    if word == name {
        return word;
    }
    let sum = Sha256::digest(name.as_bytes());
    let sum: String = sum.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{}_{sum}", word.trim_end_matches('_'))
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
    let sum: String =
        Sha256::digest(id.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let candidates = [first.to_owned(), format!("{first}-{}", plain(id)), format!("{first}-{sum}")];
    let key = candidates.iter().find(|key| Key::is_valid(key) && !key.ends_with('-') && !is_taken(key))?;
    key.parse().ok()
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
        ];
        let different: BTreeSet<String> = odd.iter().map(|text| code(text)).collect();
        assert_eq!(different.len(), odd.len(), "{different:?}");
        let long = "x".repeat(300);
        assert_ne!(code(&long), code(&format!("{long}x")));
        assert!(role_key("Änderungs-Manager 😀").is_some());
        assert_ne!(role_key("admin"), role_key("Admin"));
    }
}
