//! Rules for `migrations/`: `NNNN_name.sql` with its way back `NNNN_name.down.sql`, numbered from 0001 without gaps.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::Finding;

pub(super) fn check(root: &Path, violations: &mut Vec<Finding>) -> io::Result<()> {
    let folder = root.join("migrations");
    if !folder.is_dir() {
        return Ok(());
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut numbered: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    let mut say = |name: &str, advice: String| {
        violations.push(Finding::new(&format!("migrations/{name}"), 1, advice));
    };
    for name in &names {
        let up = name.strip_suffix(".down.sql").or_else(|| name.strip_suffix(".sql"));
        match up.and_then(number) {
            Some(number) if name.ends_with(".down.sql") => {
                let partner = format!("{}.sql", up.unwrap_or_default());
                if !names.contains(&partner) {
                    say(name, format!("add {partner}: a way back needs a way forward (number {number:04})"));
                }
            }
            Some(number) => {
                numbered.entry(number).or_default().push(name);
                let partner = format!("{}.down.sql", up.unwrap_or_default());
                if !names.contains(&partner) {
                    say(name, format!("add {partner}: each migration has its way back"));
                }
            }
            None if name == "README.md" => {}
            None => say(name, "name it NNNN_name.sql or NNNN_name.down.sql, in lower case".to_owned()),
        }
    }
    for (expected, (number, sharing)) in (1..).zip(&numbered) {
        let first = sharing.first().copied().unwrap_or_default();
        if *number != expected {
            say(first, format!("number it {expected:04}: migrations count without gaps"));
            break;
        }
        for name in sharing.iter().skip(1) {
            say(name, format!("give it a number of its own: {number:04} is taken by {first}"));
        }
    }
    Ok(())
}

/// The number of `NNNN_name`, when the name has that form.
fn number(stem: &str) -> Option<usize> {
    let (digits, name) = stem.split_once('_')?;
    let well_formed = digits.len() == 4
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if well_formed { digits.parse().ok() } else { None }
}
