//! The one list of settings: each flag, each variable, each key of `charter.toml`, each row of the guide comes from here. The settings
//! themselves stand in a file for each concept.

mod outside;
mod place;
mod running;
mod secrets;
mod shadow;
mod sign_in;

/// What a setting's text has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Address and port.
    Address,
    /// A file or folder.
    Path,
    /// `sqlite:` or `postgres:` address.
    Database,
    /// `http:` or `https:` address.
    Url,
    /// Networks, separated by commas.
    Networks,
    /// A span of time between two bounds, in seconds.
    Duration(u64, u64),
    /// Bytes between two bounds.
    Size(u64, u64),
    /// A whole number between two bounds.
    Count(u64, u64),
    /// `true` or `false`.
    Switch,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A filter of log messages.
    Filter,
    /// Any text.
    Text,
}

/// Who reads a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Every command.
    Everyone,
    /// The server.
    Server,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Key in `charter.toml`; flag and variable follow from it.
    pub key: &'static str,
    /// What its text has to be.
    pub kind: Kind,
    /// The text when nobody sets it; none is "not set", or worked out from other settings.
    pub default: Option<&'static str>,
    /// How the default is described where it is not a text.
    pub otherwise: &'static str,
    /// Never shown, and no flag: other users of the machine can read the arguments of a process.
    pub secret: bool,
    /// Who reads it.
    pub reader: Reader,
    /// One sentence.
    pub summary: &'static str,
}

impl Setting {
    /// Name of the environment variable.
    pub fn variable(&self) -> String {
        format!("CHARTER_{}", self.key.to_uppercase())
    }

    /// The flag without its hyphens in front, for settings that have one.
    pub fn flag(&self) -> Option<String> {
        (!self.secret).then(|| self.key.replace('_', "-"))
    }

    /// The default as a person reads it.
    pub fn default_text(&self) -> &'static str {
        self.default.unwrap_or(self.otherwise)
    }
}

const fn setting(
    key: &'static str,
    kind: Kind,
    default: Result<&'static str, &'static str>,
    reader: Reader,
    summary: &'static str,
) -> Setting {
    let (default, otherwise) = match default {
        Ok(text) => (Some(text), ""),
        Err(otherwise) => (None, otherwise),
    };
    Setting { key, kind, default, otherwise, secret: false, reader, summary }
}

const fn secret(setting: Setting) -> Setting {
    Setting { secret: true, ..setting }
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Every setting, in the order they are shown.
const GROUPS: [&[Setting]; 6] =
    [place::ALL, secrets::ALL, outside::ALL, sign_in::ALL, shadow::ALL, running::ALL];

/// Every setting.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.into_iter().flatten()
}

/// The setting of a key.
pub fn find(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key == key)
}
