//! The rules of `cargo xtask tidy`, each against a small tree that breaks it and one that does not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot write its tree should stop")]

mod documents;
mod floors;
mod migrations;
mod rust_text;
mod sources;

use std::fs;

use tempfile::TempDir;

/// A repository of a few files; each is given as path and text.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

/// What tidy says about a repository of these files, one `path:line: advice` each.
fn violations(files: &[(&str, &str)]) -> Vec<String> {
    let root = tree(files);
    xtask::tidy::check(root.path()).unwrap().violations.iter().map(ToString::to_string).collect()
}

/// Asserts one violation that begins with this `path:line:` and mentions this word.
#[track_caller]
fn one(found: &[String], place: &str, word: &str) {
    let matches = found.len() == 1 && found.iter().all(|it| it.starts_with(place) && it.contains(word));
    assert!(matches, "expected one violation at {place} about {word:?}, got {found:#?}");
}

#[test]
fn white_space_at_the_end_a_tab_and_a_missing_last_line_feed_are_named() {
    one(&violations(&[("a.md", "fine\nnot \n")]), "a.md:2:", "white space");
    one(&violations(&[("a.sql", "select\t1;\n")]), "a.sql:1:", "tab");
    one(&violations(&[("a.rs", "fn main() {}\r\n")]), "a.rs:1:", "line feed");
    one(&violations(&[("a.rs", "// one\n// two")]), "a.rs:2:", "line feed");
    assert_eq!(violations(&[("a.txt", "not ours \n"), ("empty.md", "")]), Vec::<String>::new());
}

#[test]
fn folders_of_builds_and_of_other_tools_are_not_read() {
    let found = violations(&[
        ("target/debug/a.rs", "bad \n"),
        ("ui/node_modules/x/a.md", "bad \n"),
        (".git/a.md", "bad \n"),
        (".ci/a.md", "bad \n"),
    ]);
    one(&found, ".ci/a.md:1:", "white space");
}

#[test]
fn this_repository_is_read_whole() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let report = xtask::tidy::check(root).unwrap();
    assert!(report.files > 10, "only {} files read", report.files);
}
