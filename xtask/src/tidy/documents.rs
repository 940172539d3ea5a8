//! Rules for Markdown: a path that a document names exists. Paths stand in back-quotes (`crates/kernel`) or as the target
//! of a link; fenced blocks are left alone, since they show commands and pictures.

use std::path::{Component, Path, PathBuf};

use super::File;
use crate::Finding;

/// How a path of the repository begins.
const BEGINNINGS: &[&str] =
    &["crates/", "docs/", "migrations/", "xtask/", ".ci/", "tests/", "bench/", "sdk/"];

pub(super) fn check(file: &File, root: &Path, violations: &mut Vec<Finding>) {
    let mut fence: Option<&str> = None;
    for (number, line) in file.lines() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                for named in quoted(line).filter_map(repository_path) {
                    if !root.join(named).exists() {
                        let advice = format!("`{named}` does not exist: correct the path, or the sentence");
                        violations.push(Finding::new(&file.path, number, advice));
                    }
                }
                for target in link_targets(line) {
                    if !resolve(root, &file.path, target).is_some_and(|path| path.exists()) {
                        let advice = format!("the link to {target} leads nowhere: correct it");
                        violations.push(Finding::new(&file.path, number, advice));
                    }
                }
            }
        }
    }
}

/// The texts between single back-quotes.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The part of a quoted text that must exist: without a line number, and only up to a placeholder.
fn repository_path(text: &str) -> Option<&str> {
    if text.contains(char::is_whitespace) || !BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) {
        return None;
    }
    let path = text.split([':', '#']).next().unwrap_or(text);
    match path.find(['*', '<', '{', '$', '[', '…']).or_else(|| path.find("...")) {
        Some(placeholder) => path.get(..placeholder)?.rsplit_once('/').map(|(folder, _)| folder),
        None => Some(path.trim_end_matches('/')),
    }
}

/// Targets of links that lead to a file: not to the web, not to a heading.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    let outside_code = line.split('`').step_by(2);
    outside_code.flat_map(|text| text.split("](").skip(1)).filter_map(|rest| {
        let target = rest.split([')', ' ']).next()?.split('#').next()?;
        (!target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")).then_some(target)
    })
}

/// A link target as a path, relative to the document that holds it; none when it leaves the repository.
fn resolve(root: &Path, document: &str, target: &str) -> Option<PathBuf> {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    let joined = Path::new(folder).join(target);
    for component in joined.components() {
        match component {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.iter().fold(root.to_path_buf(), |path, part| path.join(part)))
}
