//! What a new password has to be, after NIST SP 800-63B-4: long enough, not among those attackers try first, not made of what
//! everybody knows about the account, and not quickly guessed. Nothing is asked about kinds of characters, and nothing ever expires.
//!
//! Each refusal names its rule and says what to do.

use super::password::Password;
use crate::App;
use charter_db::{Conn, Tx};
use charter_kernel::{PrincipalId, Problem};
use charter_store as store;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;
use zxcvbn::{Score, zxcvbn};

/// Most bytes of a password; a longer one is refused, never cut.
pub const BYTES_MAX: usize = 1024;
/// Fewest characters of a password that is the only factor, when no installation asks for another number.
pub const CHARACTERS_MIN: u32 = 15;
/// Fewest characters of a password with a second factor beside it, and the lowest number an installation may ask for.
pub const CHARACTERS_FLOOR: u32 = 8;
/// Letters of a word that is looked for in a password.
const WORD_MIN: usize = 3;
/// Letters that have to be left of a password without such words.
const LEFT_MIN: usize = 4;
/// Passwords that lead the lists of leaked ones, and words such passwords are made of.
const COMMON: &str = include_str!("common_passwords.txt");
/// What this software is called.
const PRODUCT: &str = "charter";

/// What a new password is measured by.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Words everybody knows about the account: parts of its login and name, its organizations. Folded.
    words: BTreeSet<String>,
    /// The login, folded.
    login: String,
    /// Fewest characters.
    characters_min: usize,
}

impl Measure {
    /// For an account of this login and this name in organizations of these names and keys.
    pub fn new(login: &str, name: &str, organizations: &[String], characters_min: u32) -> Self {
        let login = folded(login);
        let mut words = BTreeSet::from([PRODUCT.to_owned()]);
        for text in [login.clone(), folded(name)].into_iter().chain(organizations.iter().map(|it| folded(it)))
        {
            let parts = text.split(|c: char| !c.is_alphanumeric());
            words.extend(parts.filter(|part| part.chars().count() >= WORD_MIN).map(str::to_owned));
        }
        Self { words, login, characters_min: characters_min.max(CHARACTERS_FLOOR) as usize }
    }
}

/// One form for everything that is compared: compatibility forms, lower case.
fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase()
}

/// What an account's new password is measured by, as its organizations are now.
pub(super) async fn measure(app: &App, who: PrincipalId) -> Result<Measure, Problem> {
    let asked = app.identity().settings().password_characters_min;
    let (login, name, organizations, has_factor) = reading_all!(app.database(), |conn| async move {
        let conn: &mut Conn = conn;
        let mut organizations = Vec::new();
        for place in store::membership::organizations_of(conn, who).await? {
            if let Some(row) = store::organization::get(conn, place).await? {
                organizations.extend([row.organization.key.to_string(), row.organization.name]);
            }
        }
        let found = store::principal::by_id(conn, who).await?;
        let (login, name) = found.map(|it| (it.login_folded, it.name)).unwrap_or_default();
        let has_factor = store::second_factor::has(conn, who).await?;
        Ok::<_, charter_db::Error>((login, name, organizations, has_factor))
    })?;
    // Who asks for more than the norm means it for everybody.
    let characters_min = if has_factor && asked <= CHARACTERS_MIN { CHARACTERS_FLOOR } else { asked };
    Ok(Measure::new(&login, &name, &organizations, characters_min))
}

/// Whether a password is too short to be the only factor here.
pub(super) fn is_short(app: &App, chosen: &Password) -> bool {
    chosen.characters() < app.identity().settings().password_characters_min as usize
}

/// Notes whether the password somebody has from now on may be the only factor; refuses one that may not, where it would be.
pub(super) async fn note_length(
    tx: &mut Tx,
    who: PrincipalId,
    field: &str,
    is_short: bool,
) -> Result<(), Problem> {
    if is_short && !store::second_factor::has(tx, who).await? {
        let detail = "it is too short without a second factor: choose a longer one (rule: length)";
        return Err(Problem::invalid(field, detail));
    }
    Ok(store::short_password::note(tx, who, is_short).await?)
}

/// Refuses a password that does not meet the rules; `text` is normalised and not longer than a password may be.
pub(super) fn judge(field: &str, text: &str, measure: &Measure) -> Result<(), Problem> {
    let refused = |rule: &str, detail: &str| Err(Problem::invalid(field, format!("{detail} (rule: {rule})")));
    let (folded, least) = (folded(text), measure.characters_min);
    if text.chars().count() < least {
        let detail = format!(
            "at least {least} characters are needed; any characters do, several words make a good one"
        );
        return refused("length", &detail);
    }
    if folded == measure.login || is_made_of(&folded, measure.words.iter().map(String::as_str)) {
        return refused(
            "context",
            "it is made of your login, your name, your organization or this service, the first things an attacker tries: choose other words",
        );
    }
    let common = COMMON.split_whitespace();
    if is_run(&folded)
        || common.clone().any(|known| known == folded)
        || is_made_of(&folded, common.filter(|word| word.chars().all(char::is_alphabetic)))
    {
        return refused("common", "it is among the passwords attackers try first: choose another");
    }
    let words: Vec<&str> = measure.words.iter().map(String::as_str).collect();
    // Eight characters drawn by lot have a score of two: where so few are enough, so is that.
    let needed = if least < CHARACTERS_MIN as usize { Score::Two } else { Score::Three };
    if zxcvbn(text, &words).score() < needed {
        return refused(
            "strength",
            "it would be guessed quickly: take more words that have nothing to do with each other, or more characters",
        );
    }
    Ok(())
}

/// Whether a text is nothing but words of a list, with digits and signs around them: fewer than a handful of letters are left without.
fn is_made_of<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> bool {
    let mut found: Vec<&str> = words.filter(|word| text.contains(word)).collect();
    // Long words first: the short ones may be part of them.
    found.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut left = text.to_owned();
    for word in &found {
        left = left.replace(word, " ");
    }
    !found.is_empty() && left.chars().filter(|c| c.is_alphabetic()).count() < LEFT_MIN
}

/// Whether a text is a run, or a few characters over and over.
fn is_run(folded: &str) -> bool {
    let characters: Vec<char> = folded.chars().collect();
    let unit_max = 4.min(characters.len() / 2);
    let repeats = (1..=unit_max).any(|unit| {
        characters.chunks(unit).all(|chunk| characters.get(..chunk.len()).is_some_and(|first| first == chunk))
    });
    let steps = |by: i64| {
        characters.windows(2).all(|pair| match pair {
            [a, b] => {
                i64::from(u32::from(*b)) - i64::from(u32::from(*a)) == by
                    || (*a, *b) == ('9', '0')
                    || (*a, *b) == ('0', '9')
            }
            _ => true,
        })
    };
    repeats || steps(1) || steps(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(login: &str) -> Measure {
        let organizations = ["toys", "Soft Toys Limited"].map(str::to_owned);
        Measure::new(login, "Ann Bäcker", &organizations, CHARACTERS_MIN)
    }

    /// The rule that refuses a password.
    fn rule(text: &str, measure: &Measure) -> Option<String> {
        let problem = judge("password", text, measure).err()?;
        let (_, rule) = problem.detail.rsplit_once("(rule: ").unwrap();
        Some(rule.trim_end_matches(')').to_owned())
    }

    #[test]
    fn each_rule_refuses_what_it_is_for() {
        let cases = [
            ("", "length"),
            ("short", "length"),
            ("fourteen chars", "length"),
            ("ann.baker@toys.example", "context"),
            ("ann.baker.1234567!", "context"),
            ("Soft Toys Limited 2026", "context"),
            ("softtoyscharter!!", "context"),
            ("Charter-Charter-2026", "context"),
            ("BA\u{308}CKER-bäcker-2026", "context"),
            ("password12345678", "common"),
            ("Passwort!!Passwort!!", "common"),
            ("welcome-summer-2026", "common"),
            ("1234567890123456", "common"),
            ("9876543210987654", "common"),
            ("aaaaaaaaaaaaaaaaaaaa", "common"),
            ("abcabcabcabcabcabc", "common"),
            ("abcdefghijklmnopqr", "common"),
            ("correcthorsebatterystaple", "common"),
            ("1qaz2wsx3edc4rfv5tgb", "common"),
            ("P@ssw0rdP@ssw0rd", "strength"),
            ("december 24th 1999", "common"),
        ];
        for (text, expected) in cases {
            assert_eq!(rule(text, &measure("ann.baker@toys.example")).as_deref(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_asked_about_kinds_of_characters() {
        let fine = [
            "correct horse battery",
            "staple the horse to it",
            "annually paid rent, late",
            "Kh7-t9Qz!mW2xR4p",
            "пароль для медведя",
            "長い合言葉はとても良いものです",
            "     a bear walks by",
        ];
        for text in fine {
            assert_eq!(rule(text, &measure("ann@toys.example")), None, "{text:?}");
        }
        let long: String = "many words that make one long phrase; ".chars().cycle().take(64).collect();
        assert_eq!(rule(&long, &measure("ann@toys.example")), None);
    }

    #[test]
    fn the_shortest_is_what_the_installation_says_and_never_below_eight() {
        let with = |least: u32| Measure::new("ann@toys.example", "Ann", &[], least);
        assert_eq!(rule("vK8#qT2$", &with(8)), None);
        assert_eq!(rule("vK8#qT2", &with(1)).as_deref(), Some("length"));
        assert_eq!(rule("vK8#qT2$", &with(9)).as_deref(), Some("length"));
        let problem = judge("new_password", "short", &with(15)).unwrap_err();
        assert_eq!(problem.fields[0].field, "new_password");
        assert!(problem.detail.contains("at least 15 characters"), "{problem}");
    }

    #[test]
    fn the_list_of_common_passwords_has_each_once() {
        let list: Vec<&str> = COMMON.split_whitespace().collect();
        let unique: BTreeSet<&str> = list.iter().copied().collect();
        assert!(list.len() >= 300 && unique.len() == list.len(), "{} of {}", unique.len(), list.len());
        assert!(list.iter().all(|word| *word == folded(word)));
    }
}
