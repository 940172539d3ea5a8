//! What the words of a scope mean to the person who is asked: in the words of the shipped scopes of keys where they say the same, else in
//! those of the catalogue.

use super::scope::{EMAIL, OFFLINE, OPENID, PROFILE, Scope};
use crate::App;
use crate::identity::key_scope::SCOPES;
use charter_policy::Index;

/// One thing that an application may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// In words.
    pub words: String,
    /// The patterns over permissions it stands for; none for what is of the person alone.
    pub patterns: Vec<String>,
}

impl Meaning {
    fn of(words: impl Into<String>, patterns: &[&str]) -> Self {
        Self { words: words.into(), patterns: patterns.iter().map(|&it| it.to_owned()).collect() }
    }
}

/// A sentence of a list as a part of one.
fn part(text: &str) -> String {
    let mut rest = text.trim_end_matches('.').chars();
    let first = rest.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    format!("{first}{}", rest.as_str())
}

fn of_word(word: &str, index: &Index) -> Meaning {
    match word {
        OPENID => return Meaning::of("know that it is you", &[]),
        PROFILE => return Meaning::of("see your name", &[]),
        EMAIL => return Meaning::of("see your e-mail address", &[]),
        OFFLINE => return Meaning::of("go on while you are away, until you end its session", &[]),
        "*" => return Meaning::of("do everything that you may do", &[]),
        _ => {}
    }
    if let Some(permission) = index.catalogue().permission(word) {
        return Meaning::of(part(&permission.description), &[word]);
    }
    let named = |text: &str| text.replace('_', " ");
    let words = match *word.split('.').collect::<Vec<_>>() {
        ["*", "*", "*"] => "do everything that you may do".to_owned(),
        ["*", "*", "read"] => "see everything that you may see".to_owned(),
        [module, "*", "read"] if module != "*" => format!("see what you may see of {}", named(module)),
        [module, "*", "*"] if module != "*" => format!("do what you may do of {}", named(module)),
        [module, resource, "*"] if module != "*" && resource != "*" => {
            format!("do what you may do with {} of {}", named(resource), named(module))
        }
        _ => "do what you may do of".to_owned(),
    };
    Meaning::of(words, &[word])
}

/// What a scope means, in the order of its words.
pub(super) fn of(scope: &Scope, index: &Index) -> Vec<Meaning> {
    let mut found: Vec<Meaning> = Vec::new();
    for word in scope.words() {
        if found.iter().any(|meaning| meaning.patterns.contains(word)) {
            continue;
        }
        // The widest first: what a shipped scope says whole is said in its words.
        let shipped = SCOPES.iter().find(|it| {
            it.patterns.contains(&word.as_str()) && it.patterns.iter().all(|part| scope.has(part))
        });
        found.push(match shipped {
            Some(it) => Meaning::of(part(it.description).replace("its owner may", "you may"), it.patterns),
            None => of_word(word, index),
        });
    }
    found
}

/// What a scope means that was agreed to.
pub fn of_text(app: &App, scope: &str) -> Vec<Meaning> {
    Scope::read(scope).map(|scope| of(&scope, &app.snapshots().index())).unwrap_or_default()
}
