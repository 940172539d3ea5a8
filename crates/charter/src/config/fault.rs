//! What is wrong with a configuration, and what to do about it.

use std::fmt;

/// One thing that keeps the service from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The setting, or the place in a file.
    pub place: String,
    /// What is wrong, without secrets.
    pub wrong: String,
    /// What to do.
    pub remedy: String,
}

impl Fault {
    /// A fault of its three parts.
    pub fn new(place: impl Into<String>, wrong: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: place.into(), wrong: wrong.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    {}", self.place, self.wrong, self.remedy)
    }
}
