//! `charter.toml`: strict, flat, each value with the line it stands on.

use super::fault::Fault;
use super::setting::{self, Kind, find};
use std::collections::BTreeMap;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// One value of the file.
#[derive(Debug)]
pub struct FileValue {
    /// Its text, as a flag or variable would hold it.
    pub text: String,
    /// The line it stands on.
    pub line: usize,
}

/// Reads the text of a configuration file: its values, and everything that is wrong with it.
pub fn parse(path: &Path, text: &str) -> (BTreeMap<&'static str, FileValue>, Vec<Fault>) {
    let mut values = BTreeMap::new();
    let mut faults = Vec::new();
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        faults.push(Fault::new(
            place(path, line),
            format!("not TOML: {}", error.message()),
            "correct the line",
        ));
    }
    if !faults.is_empty() {
        return (values, faults);
    }
    let mut rows: Vec<_> = table.get_ref().iter().collect();
    rows.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in rows {
        let line = line_of(text, key.span().start);
        let name: &str = key.get_ref();
        let Some(setting) = find(name).filter(|setting| setting.key != "config") else {
            faults.push(Fault::new(place(path, line), format!("`{name}` is not a setting"), advice(name)));
            continue;
        };
        match plain(value.get_ref(), setting.kind) {
            Some(text) => {
                values.insert(setting.key, FileValue { text, line });
            }
            None => faults.push(Fault::new(
                place(path, line),
                format!("`{name}` cannot be {}", article(value.get_ref())),
                format!("write {}", expected(setting.kind)),
            )),
        }
    }
    (values, faults)
}

fn place(path: &Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
}

fn plain(value: &DeValue<'_>, kind: Kind) -> Option<String> {
    match (value, kind) {
        (DeValue::Boolean(is_on), Kind::Switch) => Some(is_on.to_string()),
        (DeValue::Integer(number), Kind::Count(..) | Kind::Size(..)) if number.radix() == 10 => {
            Some(number.as_str().replace('_', ""))
        }
        (DeValue::Array(parts), Kind::Networks) => {
            let parts: Option<Vec<&str>> = parts.iter().map(|part| part.get_ref().as_str()).collect();
            Some(parts?.join(","))
        }
        (DeValue::String(text), kind) if kind != Kind::Switch => Some(text.to_string()),
        _ => None,
    }
}

fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Boolean(_) => "true or false",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::String(_) => "a text",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
        DeValue::Datetime(_) => "a date",
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Switch => "true or false, without quotes",
        Kind::Count(..) => "a whole number",
        Kind::Size(..) => "a size such as \"1MiB\"",
        Kind::Duration(..) => "a span of time such as \"10m\"",
        Kind::Networks => "a list such as [\"10.0.0.0/8\"]",
        _ => "a text in double quotes",
    }
}

/// The setting that was probably meant, or where the list stands.
fn advice(name: &str) -> String {
    let near = setting::all()
        .filter(|setting| setting.key != "config")
        .map(|setting| (distance(name, setting.key), setting.key))
        .min()
        .filter(|(distance, key)| *distance * 3 <= key.len());
    match near {
        Some((_, key)) => format!("did you mean `{key}`?"),
        None => "remove it; `charter config show` lists every setting".to_owned(),
    }
}

/// How many letters to change, add or leave out to come from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((y, above_left), above) in b.iter().zip(row.iter()).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            next.push((above_left + usize::from(x != *y)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
