//! Chores of the repository, in Rust so that they run wherever the build runs. [`tidy`] reads files and says which
//! rules of the house they break; [`floors`] reads the dependency graph. Both return [`Finding`]s and
//! print nothing: `main.rs` does; [`bench`] runs servers and prints what it measures. A new chore is a module here and a row in `main.rs`.

pub mod bench;
pub mod floors;
pub mod rust_text;
pub mod tidy;

use std::fmt;

/// One place in the repository and what to do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Path from the root of the repository, with forward slashes.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// What to do, as a sentence.
    pub advice: String,
}

impl Finding {
    /// A finding at a line of a file.
    pub fn new(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, advice: advice.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.advice)
    }
}
