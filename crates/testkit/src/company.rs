//! A database that a real framework makes, with what it says itself that everybody may do: scripts of `tests/adoption`.

use std::path::Path;
use std::process::Command;

/// Has a script of `tests/adoption` make a company in an empty database, and tells its answers, as JSON.
#[must_use]
#[expect(clippy::expect_used, reason = "a test without its company has failed")]
pub fn made_by(script: &str, url: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/adoption");
    let answers = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut python = Command::new(folder.join(".venv/bin/python"));
    let output = python.arg(folder.join(script)).arg(url).arg(answers.path()).output();
    let output = output.expect("Python for tests is there: run tests/adoption/prepare first");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(answers.path()).expect("the answers are read")
}
