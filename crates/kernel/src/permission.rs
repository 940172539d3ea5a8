//! Permission codes `module.resource.action` and patterns over them.

use core::fmt;
use core::str::FromStr;

/// Why a text is not a permission code or pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAPermission {
    /// Not three lower-case words joined by dots.
    Code,
    /// Not three words or stars joined by dots, nor a lone star.
    Pattern,
}

impl fmt::Display for NotAPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code => "not a permission code: three lower-case words joined by dots are expected, for example sales.invoices.read",
            Self::Pattern => "not a pattern: three lower-case words or * joined by dots, or a lone *, are expected, for example sales.*.read",
        })
    }
}

impl core::error::Error for NotAPermission {}

fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 64
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn three_words(text: &str) -> Option<[&str; 3]> {
    let mut words = text.split('.');
    let parts = [words.next()?, words.next()?, words.next()?];
    words.next().is_none().then_some(parts)
}

/// The code of a permission: `module.resource.action`, three lower-case words.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PermissionCode(Box<str>);

impl PermissionCode {
    /// The whole code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn words(&self) -> [&str; 3] {
        three_words(&self.0).unwrap_or_default()
    }

    /// The first word.
    pub fn module(&self) -> &str {
        let [module, _, _] = self.words();
        module
    }

    /// The middle word: the type of resource.
    pub fn resource(&self) -> &str {
        let [_, resource, _] = self.words();
        resource
    }

    /// The last word.
    pub fn action(&self) -> &str {
        let [_, _, action] = self.words();
        action
    }
}

impl FromStr for PermissionCode {
    type Err = NotAPermission;
    fn from_str(text: &str) -> Result<Self, NotAPermission> {
        match three_words(text) {
            Some(words) if words.iter().all(|word| is_word(word)) => Ok(Self(text.into())),
            _ => Err(NotAPermission::Code),
        }
    }
}

/// A pattern over codes: each place a word or `*`; a lone `*` means every code. The module `platform` is reached only by
/// a lone `*` or by a pattern that names it, so that `*.*.read` stays inside one organization.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern that matches one code only.
    pub fn exactly(code: &PermissionCode) -> Self {
        Self(code.0.clone())
    }

    /// The code, when the pattern has no star.
    pub fn as_code(&self) -> Option<PermissionCode> {
        self.0.parse().ok()
    }

    /// Whether the pattern reaches a code.
    pub fn matches(&self, code: &PermissionCode) -> bool {
        if &*self.0 == "*" {
            return true;
        }
        let (Some(pattern), Some(words)) = (three_words(&self.0), three_words(&code.0)) else { return false };
        let [module, ..] = words;
        let [module_pattern, ..] = pattern;
        if module == "platform" && module_pattern != "platform" {
            return false;
        }
        pattern.iter().zip(words).all(|(place, word)| *place == "*" || *place == word)
    }
}

impl From<PermissionCode> for Pattern {
    fn from(code: PermissionCode) -> Self {
        Self(code.0)
    }
}

impl FromStr for Pattern {
    type Err = NotAPermission;
    fn from_str(text: &str) -> Result<Self, NotAPermission> {
        let valid = text == "*"
            || three_words(text).is_some_and(|words| words.iter().all(|word| *word == "*" || is_word(word)));
        if valid { Ok(Self(text.into())) } else { Err(NotAPermission::Pattern) }
    }
}

macro_rules! text_form {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", &*self.0) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> { serializer.serialize_str(&self.0) }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str { &self.0 }
        }
    )*};
}

text_form!(PermissionCode, Pattern);
