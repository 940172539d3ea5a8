//! Rules for Rust files: SQL and driver names stay on their floors, files stay readable in one sitting, and nothing
//! promises to be finished later.

use super::{File, Report};
use crate::rust_text::literals;
use crate::{Finding, tidy::sources::sql::looks_like_sql};

const LINES_MAX: usize = 600;
const LINES_NOTED: usize = 400;

/// Words that promise work instead of doing it, in pieces so that this file passes its own rule.
const UNFINISHED: &[(&str, &str)] = &[
    (concat!("to", "do!"), "write the code, or leave the branch out"),
    (concat!("unimple", "mented!"), "write the code, or leave the branch out"),
    (concat!("#[ig", "nore"), "run the test or delete it; nobody reads an ignored one"),
    (concat!("FIX", "ME"), "mend it now, or describe the limit as it is"),
    (concat!("XX", "X"), "mend it now, or describe the limit as it is"),
];
const PROVISIONAL: &str = concat!("for ", "now");

const DRIVERS: &[&str] = &["rusqlite", "tokio_postgres", "deadpool"];

pub(super) fn check(file: &File, report: &mut Report) {
    unfinished(file, &mut report.violations);
    let Some(place) = Place::of(&file.path) else { return };
    if place.is_source {
        length(file, report);
    }
    if place.krate != "db" {
        drivers(file, &mut report.violations);
    }
    // Adoption asks the databases of other systems, which are nobody's store; it reaches none of ours.
    if place.is_source && !matches!(place.krate, "db" | "store" | "testkit" | "adopt") {
        statements(file, &mut report.violations);
    }
}

/// Where a file of `crates/` stands.
struct Place<'a> {
    krate: &'a str,
    is_source: bool,
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let (krate, rest) = path.strip_prefix("crates/")?.split_once('/')?;
        Some(Self { krate, is_source: rest.starts_with("src/") })
    }
}

fn unfinished(file: &File, violations: &mut Vec<Finding>) {
    for (number, line) in file.lines() {
        for (word, advice) in UNFINISHED {
            if line.contains(word) {
                violations.push(Finding::new(&file.path, number, format!("`{word}`: {advice}")));
            }
        }
        if has_phrase(line, PROVISIONAL) {
            let advice = format!("\"{PROVISIONAL}\": say what is true, or make it final");
            violations.push(Finding::new(&file.path, number, advice));
        }
    }
}

/// True when the phrase stands in the line as whole words, in any case.
fn has_phrase(line: &str, phrase: &str) -> bool {
    let line = line.to_lowercase();
    let is_word = |character: Option<char>| character.is_some_and(|it| it.is_alphanumeric() || it == '_');
    line.match_indices(phrase).any(|(at, found)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + found.len()..).and_then(|text| text.chars().next());
        !is_word(before) && !is_word(after)
    })
}

fn length(file: &File, report: &mut Report) {
    let lines = file.text.lines().count();
    let advice = format!("{lines} lines: two concepts usually hide in a file this long; give each its own");
    if lines > LINES_MAX {
        report.violations.push(Finding::new(&file.path, lines, format!("{advice} (at most {LINES_MAX})")));
    } else if lines > LINES_NOTED {
        report.notes.push(Finding::new(&file.path, lines, advice));
    }
}

fn drivers(file: &File, violations: &mut Vec<Finding>) {
    for (number, line) in file.lines() {
        if let Some(driver) = DRIVERS.iter().find(|driver| line.contains(**driver)) {
            let advice = format!("`{driver}`: only crates/db names a driver; use what charter-db offers");
            violations.push(Finding::new(&file.path, number, advice));
        }
    }
}

fn statements(file: &File, violations: &mut Vec<Finding>) {
    let tests_from =
        file.lines().find(|(_, line)| line.trim() == "#[cfg(test)]").map_or(usize::MAX, |(number, _)| number);
    for literal in literals(&file.text) {
        if literal.line < tests_from && looks_like_sql(&literal.text) {
            let advice = "move this statement to the file of its concept in crates/store";
            violations.push(Finding::new(&file.path, literal.line, advice));
        }
    }
}

mod sql {
    /// True for the text of a statement, not for a sentence that begins with the same verb.
    pub(super) fn looks_like_sql(literal: &str) -> bool {
        let text = literal.replace("\\n", " ").replace("\\\n", " ").to_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        let has = |word: &str| words.contains(&word);
        match words.as_slice() {
            ["insert", "into", _, ..] | ["delete", "from", _, ..] | ["update", _, "set", ..] => true,
            ["update", _, _, "set", ..] | ["update", _, "as", _, "set", ..] => true,
            ["select", _, ..] => {
                has("from") && (has("where") || has("join") || has("limit") || words.len() <= 4)
            }
            ["with", _, "as", ..] | ["with", "recursive", ..] => has("select") || has("(select"),
            _ => false,
        }
    }
}
