//! Scopes: words a client may ask for. Four are of OpenID Connect; every other one is a pattern over permissions and a ceiling over what
//! its tokens may do.

use charter_kernel::Pattern;
use charter_policy::{Index, PermissionSet};

/// An ID token is wanted.
pub const OPENID: &str = "openid";
/// The name is wanted.
pub const PROFILE: &str = "profile";
/// The e-mail address is wanted.
pub const EMAIL: &str = "email";
/// Tokens are wanted while the user is away.
pub const OFFLINE: &str = "offline_access";
/// The words of OpenID Connect.
pub const OF_OPENID: [&str; 4] = [OPENID, PROFILE, EMAIL, OFFLINE];

/// Most words of one scope.
pub const WORDS_MAX: usize = 50;

/// A scope: words, each once, in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope(Vec<String>);

impl Scope {
    /// Reads a scope as it stands in a request: words with one blank between them.
    pub fn read(text: &str) -> Result<Self, String> {
        Self::of(text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    /// A scope of these words.
    pub fn of(words: Vec<String>) -> Result<Self, String> {
        let mut kept: Vec<String> = Vec::new();
        for word in words {
            let is_word = OF_OPENID.contains(&word.as_str()) || word.parse::<Pattern>().is_ok();
            if !is_word {
                let shown: String = word.chars().filter(|c| !c.is_control()).take(80).collect();
                return Err(format!(
                    "{shown:?} is no scope: {} and patterns of permissions such as sales.*.read are",
                    OF_OPENID.join(", ")
                ));
            }
            if !kept.contains(&word) {
                kept.push(word);
            }
        }
        if kept.len() > WORDS_MAX {
            return Err(format!("{WORDS_MAX} words at most make a scope"));
        }
        Ok(Self(kept))
    }

    /// Whether a word is among it.
    pub fn has(&self, word: &str) -> bool {
        self.0.iter().any(|known| known == word)
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The words with a blank between them.
    pub fn text(&self) -> String {
        self.0.join(" ")
    }

    /// The same without the words of OpenID Connect.
    pub fn of_permissions(&self) -> Self {
        Self(self.0.iter().filter(|word| !OF_OPENID.contains(&word.as_str())).cloned().collect())
    }

    /// The permissions it reaches at most.
    pub fn permissions(&self, index: &Index) -> PermissionSet {
        let mut all = PermissionSet::EMPTY;
        for pattern in patterns(&self.text()) {
            all.add(&index.pattern(&pattern));
        }
        all
    }

    /// The first word that reaches beyond another scope.
    pub fn beyond<'a>(&'a self, allowed: &Self, index: &Index) -> Option<&'a str> {
        let most = allowed.permissions(index);
        let is_within = |word: &str| {
            allowed.has(word)
                || word.parse::<Pattern>().is_ok_and(|pattern| {
                    let wanted = index.pattern(&pattern);
                    !wanted.is_empty() && wanted.is_subset_of(&most)
                })
        };
        self.0.iter().map(String::as_str).find(|word| !is_within(word))
    }

    /// The first pattern that matches no permission.
    pub fn without_meaning(&self, index: &Index) -> Option<&str> {
        let means =
            |word: &str| word.parse::<Pattern>().is_ok_and(|pattern| !index.pattern(&pattern).is_empty());
        self.0.iter().map(String::as_str).find(|word| !OF_OPENID.contains(word) && !means(word))
    }
}

/// The patterns of a scope. A word that is none limits to nothing, and so adds nothing.
pub fn patterns(scope: &str) -> Vec<Pattern> {
    scope.split(' ').filter(|word| !OF_OPENID.contains(word)).filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::read(text).unwrap()
    }

    fn index() -> Index {
        Index::new(&charter_catalogue::shipped().unwrap()).unwrap()
    }

    #[test]
    fn words_stand_once_and_are_known() {
        assert_eq!(scope("openid  sales.*.read openid").text(), "openid sales.*.read");
        for wrong in ["admin", "OPENID", "sales.*", "sales.*.read\u{a0}x", "a\"b", "\u{7}"] {
            assert!(Scope::read(wrong).is_err(), "{wrong:?}");
        }
        assert!(Scope::of((0..60).map(|n| format!("sales.a{n}.read")).collect()).is_err());
    }

    #[test]
    fn a_scope_is_within_another_by_what_it_reaches_and_not_by_how_it_is_written() {
        let index = index();
        let allowed = scope("openid sales.*.read");
        assert_eq!(scope("openid sales.invoices.read").beyond(&allowed, &index), None);
        assert_eq!(scope("sales.*.read").beyond(&allowed, &index), None);
        for wider in ["sales.*.*", "*", "*.*.read", "sales.invoices.create", "profile", "offline_access"] {
            assert_eq!(scope(wider).beyond(&allowed, &index), Some(wider));
        }
        // What means nothing today may mean something tomorrow.
        assert_eq!(scope("sales.dragons.read").beyond(&allowed, &index), Some("sales.dragons.read"));
        assert_eq!(scope("sales.dragons.read openid").without_meaning(&index), Some("sales.dragons.read"));
        assert!(scope("openid email").permissions(&index).is_empty());
    }
}
