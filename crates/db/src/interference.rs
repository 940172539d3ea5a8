//! Failures on demand: a test opens a database with something that may refuse at each step, and so sees what the program
//! makes of a database that fails just there. A program that runs for real opens its database without one.

use std::{fmt, sync::Arc};

use crate::Error;

/// Where a database can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A read or write is about to begin.
    Begin,
    /// A statement is about to run.
    Statement,
    /// A write is about to be made final; a failure here leaves nothing of it.
    Commit,
    /// A write has been made final and its answer is on its way; a failure here loses the answer, not the write.
    Committed,
}

/// Told of each step before it is taken; its error is the step's.
pub trait Interference: fmt::Debug + Send + Sync {
    /// Lets the step happen, or says how it fails.
    fn at(&self, step: Step) -> Result<(), Error>;
}

/// What was given with the options, or nothing, which lets everything happen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hook(pub(crate) Option<Arc<dyn Interference>>);

impl Hook {
    #[inline]
    pub(crate) fn at(&self, step: Step) -> Result<(), Error> {
        self.0.as_ref().map_or(Ok(()), |interference| interference.at(step))
    }
}
