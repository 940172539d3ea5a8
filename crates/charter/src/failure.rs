//! Why a command could not do its work: told on standard error, exit code 2.

use charter_kernel::Problem;
use std::fmt;

/// What went wrong and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    text: String,
    passes: Passes,
}

/// Whether something may go better in a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passes {
    /// Nothing says so.
    No,
    /// It may, if it went well before.
    IfBefore,
    /// It may.
    Yes,
}

impl Failure {
    /// A failure of its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), passes: Passes::No }
    }

    /// The same, where it may go better in a moment.
    #[must_use]
    pub fn passing(self) -> Self {
        Self { passes: Passes::Yes, ..self }
    }

    /// The same, where it may go better in a moment if it went well before.
    #[must_use]
    pub fn passing_if_before(self) -> Self {
        Self { passes: Passes::IfBefore, ..self }
    }

    /// Whether it may go better in a moment.
    #[must_use]
    pub fn is_passing(&self, went_well_before: bool) -> bool {
        self.passes == Passes::Yes || (self.passes == Passes::IfBefore && went_well_before)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::new(format!("{}: {}", problem.kind.title(), problem.detail))
    }
}

/// How a command ended that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done; for a check, allowed.
    Good,
    /// For a check, denied; for a test or a comparison, something differs.
    Denied,
    /// It came to no answer, as it had nothing to compare.
    Nothing,
    /// A signal ended it; how a shell would say so.
    Stopped(u8),
}

/// What a command gives.
pub type Result<T = Outcome> = std::result::Result<T, Failure>;
