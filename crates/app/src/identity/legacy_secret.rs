//! Secrets of the system that issued tokens before us, as its `.env` file holds them: read, judged, and rewritten for its next rotation.
//!
//! `SECRET_KEY` is the newest, `SECRET_KEYS_HISTORY` a comma list of at most three before it. Here they are values of a type of their own,
//! which only `legacy_token.rs` takes, and only to verify: nothing of ours is ever signed with them.

use charter_kernel::{Problem, Timestamp};
use std::fmt;
use zeroize::Zeroizing;

/// How many old secrets a file may hold.
pub const HISTORY_MAX: usize = 3;
/// A shorter secret can be guessed from one token.
pub const SECRET_BYTES_MIN: usize = 32;
const SECRET_KEY: &str = "SECRET_KEY";
const HISTORY: &str = "SECRET_KEYS_HISTORY";
const LAST_ROTATED: &str = "KEY_LAST_ROTATED";
const ROTATION_DAYS: &str = "KEY_ROTATION_DAYS";
const ROTATION_DAYS_DEFAULT: u32 = 90;

/// One secret of the former system. It verifies, and cannot sign.
#[derive(Clone, PartialEq, Eq)]
pub struct LegacySecret(Zeroizing<String>);

impl fmt::Debug for LegacySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegacySecret(..)")
    }
}

/// What makes a secret too weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Fewer than 32 bytes.
    Short,
    /// A word of the kind examples and templates have.
    Placeholder,
    /// One character, or a few, again and again.
    Monotonous,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "has fewer than 32 bytes",
            Self::Placeholder => "is a placeholder of a template",
            Self::Monotonous => "repeats a few characters",
        })
    }
}

const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "secret-key",
    "your-secret",
    "your_secret",
    "supersecret",
    "insecure",
    "example",
    "placeholder",
    "dev-secret",
    "test-secret",
];

impl LegacySecret {
    /// The bytes tokens were signed with.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// What is weak about it, if anything is.
    pub fn weakness(&self) -> Option<Weakness> {
        let folded = self.0.to_lowercase();
        let mut letters: Vec<u8> = self.0.bytes().collect();
        letters.sort_unstable();
        letters.dedup();
        if self.0.len() < SECRET_BYTES_MIN {
            Some(Weakness::Short)
        } else if PLACEHOLDERS.iter().any(|word| folded.contains(word)) {
            Some(Weakness::Placeholder)
        } else if letters.len() < 8 {
            Some(Weakness::Monotonous)
        } else {
            None
        }
    }
}

/// What an `.env` file says of signing secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyFile {
    /// The line in which the newest secret stands.
    pub line: usize,
    /// The newest secret.
    pub current: LegacySecret,
    /// Those before it, newest first.
    pub history: Vec<LegacySecret>,
    /// When the newest was made.
    pub rotated_at: Option<Timestamp>,
    /// Days between rotations.
    pub rotation_days: u32,
}

impl LegacyFile {
    /// All secrets, newest first.
    pub fn secrets(&self) -> impl Iterator<Item = &LegacySecret> {
        std::iter::once(&self.current).chain(&self.history)
    }

    /// Which secrets of the history can be guessed, counted from one, and why.
    pub fn weak_history(&self) -> Vec<(usize, Weakness)> {
        let numbered = self.history.iter().zip(1..);
        numbered.filter_map(|(secret, number)| Some((number, secret.weakness()?))).collect()
    }

    /// The same without those: they verify nothing.
    #[must_use]
    pub fn without_weak_history(&self) -> Self {
        let mut strong = self.clone();
        strong.history.retain(|secret| secret.weakness().is_none());
        strong
    }
}

fn fault(what: impl fmt::Display) -> Problem {
    Problem::invalid("legacy_env", what.to_string())
}

/// The name a line gives a value to.
fn name_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, _) = line.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}

/// The value of a line: quoted, or up to a comment.
fn value_of(line: &str) -> Result<&str, &'static str> {
    let value = line.split_once('=').map_or("", |(_, value)| value).trim();
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let (inside, after) = rest.split_once(quote).ok_or("has a quote that does not end")?;
            let after = after.trim();
            if !after.is_empty() && !after.starts_with('#') {
                return Err("goes on after its quote");
            }
            if inside.contains('\\') || (quote == '"' && inside.contains('$')) {
                return Err(
                    "has a backslash or a variable in it, which programs read differently: write it plainly",
                );
            }
            return Ok(inside);
        }
    }
    Ok(value.split(" #").next().unwrap_or_default().trim_end())
}

/// Reads a file. Values are never in what it complains about.
pub fn read(text: &str) -> Result<LegacyFile, Problem> {
    let mut found: [Option<&str>; 4] = [None; 4];
    let mut places = [0; 4];
    let names = [SECRET_KEY, HISTORY, LAST_ROTATED, ROTATION_DAYS];
    for (number, line) in text.lines().enumerate() {
        let Some(place) = name_of(line).and_then(|name| names.iter().position(|known| *known == name)) else {
            continue;
        };
        let name = names.get(place).copied().unwrap_or_default();
        if let Some(line) = places.get_mut(place) {
            *line = number + 1;
        }
        let value =
            value_of(line).map_err(|what| fault(format_args!("line {}: {name} {what}", number + 1)))?;
        match found.get_mut(place) {
            Some(slot @ None) => *slot = Some(value),
            _ => return Err(fault(format_args!("line {}: {name} stands twice", number + 1))),
        }
    }
    let [current, history, rotated_at, days] = found;
    let [place_of_current, place_of_history, place_of_time, place_of_days] = places;
    let secret = |text: &str| LegacySecret(Zeroizing::new(text.to_owned()));
    let current =
        current.filter(|value| !value.is_empty()).ok_or_else(|| fault("SECRET_KEY is missing or empty"))?;
    let history: Vec<LegacySecret> = history
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .map(secret)
        .collect();
    if history.len() > HISTORY_MAX {
        return Err(fault(format_args!(
            "line {place_of_history}: SECRET_KEYS_HISTORY holds {} secrets: {HISTORY_MAX} at most",
            history.len()
        )));
    }
    let current = secret(current);
    if history.contains(&current) {
        return Err(fault("SECRET_KEY stands in SECRET_KEYS_HISTORY too: it was not rotated"));
    }
    let rotated_at = match rotated_at.filter(|value| !value.is_empty()) {
        None => None,
        Some(text) => {
            let wrong = || {
                fault(format_args!(
                    "line {place_of_time}: KEY_LAST_ROTATED is no time; write it as 2026-11-21T02:00:00Z"
                ))
            };
            Some(instant(text).ok_or_else(wrong)?)
        }
    };
    let rotation_days = match days.filter(|value| !value.is_empty()) {
        None => ROTATION_DAYS_DEFAULT,
        Some(text) => text.parse().ok().filter(|days| (1..=3_650).contains(days)).ok_or_else(|| {
            fault(format_args!("line {place_of_days}: KEY_ROTATION_DAYS is no number of days from 1 to 3650"))
        })?,
    };
    Ok(LegacyFile { line: place_of_current, current, history, rotated_at, rotation_days })
}

/// A time as systems write it: with a zone, without one (then UTC), or a date.
fn instant(text: &str) -> Option<Timestamp> {
    let with_zone = |text: &str| text.parse::<Timestamp>().ok();
    let dated = text.replacen(' ', "T", 1);
    with_zone(&dated)
        .or_else(|| with_zone(&format!("{dated}Z")))
        .or_else(|| with_zone(&format!("{dated}T00:00:00Z")))
}

/// How a line quotes its value. Some programs read quotes as part of it, so a line that had none gets none.
fn quote_of(line: &str) -> &'static str {
    match line.split_once('=').map_or("", |(_, value)| value).trim_start().chars().next() {
        Some('"') => "\"",
        Some('\'') => "'",
        _ => "",
    }
}

/// A line with a value, quoted in this way; where a value would be read otherwise without quotes, with them.
fn line_of(export: &str, name: &str, value: &str, quote: &str) -> String {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'#$\\`".contains(&byte));
    let quote = match quote {
        "" if is_plain => "",
        "" if value.contains(['"', '$']) => "'",
        "" => "\"",
        quote => quote,
    };
    format!("{export}{name}={quote}{value}{quote}")
}

/// The text of the file after a rotation: the new secret in front, the one so far first in the history, every other line untouched.
pub fn rotated(text: &str, new: &str, now: Timestamp) -> Result<String, Problem> {
    let file = read(text)?;
    let history: Vec<&str> = file.secrets().take(HISTORY_MAX).map(|secret| secret.0.as_str()).collect();
    if history.iter().any(|secret| secret.contains(',')) {
        return Err(fault(
            "a secret has a comma in it, and the history is a comma list: rotate by hand once",
        ));
    }
    let values = [
        (SECRET_KEY, new.to_owned()),
        (HISTORY, history.join(",")),
        (LAST_ROTATED, Timestamp::from_seconds(now.seconds()).to_string()),
    ];
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = Vec::new();
    let mut written = [false; 3];
    // Lines that are added are written as the one of the secret is.
    let mut style = ("", "");
    for line in text.lines() {
        let place = name_of(line).and_then(|name| values.iter().position(|(known, _)| *known == name));
        match place.and_then(|place| Some((place, values.get(place)?))) {
            Some((place, (name, value))) => {
                let export = if line.trim_start().starts_with("export ") { "export " } else { "" };
                let quote = quote_of(line);
                if *name == SECRET_KEY {
                    style = (export, quote);
                }
                lines.push(line_of(export, name, value, quote));
                if let Some(done) = written.get_mut(place) {
                    *done = true;
                }
            }
            None => lines.push(line.to_owned()),
        }
    }
    for ((name, value), done) in values.iter().zip(written) {
        if !done {
            lines.push(line_of(style.0, name, value, style.1));
        }
    }
    let rotated = lines.join(newline) + newline;
    // What was written is read again: a file nobody can read back never replaces one that works.
    let again = read(&rotated)?;
    let is_right = again.current.bytes() == new.as_bytes()
        && again.history.iter().map(LegacySecret::bytes).eq(history.iter().map(|secret| secret.as_bytes()));
    if is_right { Ok(rotated) } else { Err(fault("the rotated file would not read back as it was meant")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    const NEW: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";

    #[test]
    fn a_file_is_read_as_programs_read_it() {
        let text = format!(
            "# secrets\nDEBUG=1\nexport SECRET_KEY='{OLD}' # signs\nSECRET_KEYS_HISTORY=aaaa , bbbb\nKEY_LAST_ROTATED=2026-08-01\nKEY_ROTATION_DAYS=30\nOTHER=\"x=y\"\n"
        );
        let file = read(&text).unwrap();
        assert_eq!(file.current.bytes(), OLD.as_bytes());
        assert_eq!(file.history.iter().map(LegacySecret::bytes).collect::<Vec<_>>(), [b"aaaa", b"bbbb"]);
        assert_eq!(file.rotated_at.unwrap().to_string(), "2026-08-01T00:00:00Z");
        assert_eq!(file.rotation_days, 30);
        let plain = read(&format!("SECRET_KEY={OLD}")).unwrap();
        assert_eq!((plain.history.len(), plain.rotated_at, plain.rotation_days), (0, None, 90));
        assert_eq!((file.line, plain.line), (3, 1));
    }

    #[test]
    fn what_cannot_be_right_is_named_without_its_value() {
        for (text, what) in [
            ("DEBUG=1".to_owned(), "SECRET_KEY is missing"),
            ("SECRET_KEY=".to_owned(), "SECRET_KEY is missing"),
            (format!("SECRET_KEY={OLD}\nSECRET_KEY={NEW}"), "line 2: SECRET_KEY stands twice"),
            (format!("SECRET_KEY=\"{OLD}"), "line 1: SECRET_KEY has a quote"),
            (format!("SECRET_KEY=\"{OLD}\" {NEW}"), "goes on after its quote"),
            (format!("SECRET_KEY=\"{OLD}\\n\""), "backslash"),
            (format!("SECRET_KEY={OLD}\nSECRET_KEYS_HISTORY=a,b,c,d"), "holds 4 secrets"),
            (format!("SECRET_KEY={OLD}\nSECRET_KEYS_HISTORY={OLD}"), "was not rotated"),
            (
                format!("SECRET_KEY={OLD}\nKEY_LAST_ROTATED=yesterday"),
                "line 2: KEY_LAST_ROTATED is no time; write it as 2",
            ),
            (format!("SECRET_KEY={OLD}\nKEY_ROTATION_DAYS=0"), "KEY_ROTATION_DAYS"),
        ] {
            let problem = read(&text).unwrap_err();
            let told = problem.to_string() + &format!("{problem:?}");
            assert!(told.contains(what), "{told}");
            assert!(!told.contains(OLD) && !told.contains(NEW), "{told}");
        }
    }

    #[test]
    fn a_rotated_line_is_quoted_as_it_was_and_where_it_has_to_be() {
        let now = "2026-11-21T02:00:00Z".parse().unwrap();
        let rotated = |text: &str| rotated(text, NEW, now).unwrap();
        let text = format!("SECRET_KEY='{OLD}'\nKEY_ROTATION_DAYS=30\nSECRET_KEYS_HISTORY=\"\"\n");
        let expected = format!(
            "SECRET_KEY='{NEW}'\nKEY_ROTATION_DAYS=30\nSECRET_KEYS_HISTORY=\"{OLD}\"\nKEY_LAST_ROTATED='2026-11-21T02:00:00Z'\n"
        );
        assert_eq!(rotated(&text), expected);
        for (old, history) in [("a b", "\"a b\""), ("a#b", "\"a#b\""), ("a$b", "'a$b'"), ("a+/=b", "a+/=b")] {
            let text = rotated(&format!("SECRET_KEY={old}\n"));
            assert!(text.contains(&format!("\nSECRET_KEYS_HISTORY={history}\n")), "{text}");
            assert_eq!(read(&text).unwrap().history.first().unwrap().bytes(), old.as_bytes());
        }
    }

    #[test]
    fn a_rotation_keeps_every_other_line_and_three_secrets() {
        let text = format!(
            "# ours\r\nSECRET_KEYS_HISTORY=aa,bb,cc\r\nDB=\"postgres://x\"\r\nexport SECRET_KEY={OLD}\r\n"
        );
        let now = "2026-11-21T02:00:00Z".parse().unwrap();
        let rotated = rotated(&text, NEW, now).unwrap();
        assert_eq!(
            rotated,
            format!(
                "# ours\r\nSECRET_KEYS_HISTORY={OLD},aa,bb\r\nDB=\"postgres://x\"\r\nexport SECRET_KEY={NEW}\r\n\
                 export KEY_LAST_ROTATED=2026-11-21T02:00:00Z\r\n"
            )
        );
        let again = super::rotated(&rotated, "f".repeat(64).as_str(), now).unwrap();
        let file = read(&again).unwrap();
        assert_eq!(
            file.history.iter().map(LegacySecret::bytes).collect::<Vec<_>>(),
            [NEW.as_bytes(), OLD.as_bytes(), b"aa"]
        );
    }

    /// Attack 116, for the former system's secrets.
    #[test]
    fn weak_secrets_are_told_from_strong_ones() {
        let weakness = |text: &str| read(&format!("SECRET_KEY='{text}'")).unwrap().current.weakness();
        assert_eq!(weakness("short"), Some(Weakness::Short));
        assert_eq!(weakness("django-insecure-4f3c2b1a0f9e8d7c6b5a4938271605f4"), Some(Weakness::Placeholder));
        assert_eq!(weakness("CHANGEME-CHANGEME-CHANGEME-CHANGEME"), Some(Weakness::Placeholder));
        assert_eq!(weakness(&"abc".repeat(20)), Some(Weakness::Monotonous));
        assert_eq!(weakness(OLD), None);
        let file =
            read(&format!("SECRET_KEY={OLD}\nSECRET_KEYS_HISTORY=short,{NEW},{}", "abc".repeat(20))).unwrap();
        assert_eq!(file.weak_history(), [(1, Weakness::Short), (3, Weakness::Monotonous)]);
        let left = file.without_weak_history();
        assert_eq!(
            left.secrets().map(LegacySecret::bytes).collect::<Vec<_>>(),
            [OLD.as_bytes(), NEW.as_bytes()]
        );
        assert_eq!(format!("{:?}", read(&format!("SECRET_KEY={OLD}")).unwrap().current), "LegacySecret(..)");
    }
}
