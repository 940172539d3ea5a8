//! A database that fails when told to: away altogether, or at one step only.

use std::sync::{Arc, Mutex, PoisonError};

pub use charter_db::Step;
use charter_db::{Error, Interference};

/// Faults on demand; give it to [`crate::database::TestDatabase::fail_with`].
#[derive(Debug, Default)]
pub struct Faults {
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    is_away: bool,
    is_full: bool,
    /// How many steps are left before the one that fails.
    left: Option<usize>,
    /// How many steps were taken.
    taken: usize,
    /// How many of them were commits.
    commits: usize,
    struck: Option<Step>,
}

/// What the driver would have said.
#[derive(Debug)]
struct Said(&'static str);

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Said {}

impl Faults {
    /// None yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing works.
    pub fn take_away(&self) {
        self.plan().is_away = true;
    }

    /// From now on nothing can be made final, as there is no room.
    pub fn fill(&self) {
        self.plan().is_full = true;
    }

    /// Everything works again.
    pub fn mend(&self) {
        *self.plan() = Plan::default();
    }

    /// The step after so many others fails, once.
    pub fn fail_after(&self, steps: usize) {
        *self.plan() = Plan { left: Some(steps), ..Plan::default() };
    }

    /// Mends everything, and tells how many steps were taken since the last order.
    pub fn taken(&self) -> usize {
        std::mem::take(&mut *self.plan()).taken
    }

    /// Mends everything, and tells how many changes were made final since the last order.
    pub fn commits(&self) -> usize {
        std::mem::take(&mut *self.plan()).commits
    }

    /// Mends everything, and tells which step failed, if one did.
    pub fn struck(&self) -> Option<Step> {
        let mut plan = self.plan();
        let struck = plan.struck;
        *plan = Plan::default();
        struck
    }
}

impl Interference for Faults {
    fn at(&self, step: Step) -> Result<(), Error> {
        let mut plan = self.plan();
        plan.taken += 1;
        plan.commits += usize::from(step == Step::Commit);
        if plan.is_away {
            return Err(Error::Unavailable(Arc::new(Said("connection refused"))));
        }
        if plan.is_full && step == Step::Commit {
            return Err(Error::Full(Arc::new(Said("no space left on device"))));
        }
        match plan.left {
            Some(0) => {
                plan.left = None;
                plan.struck = Some(step);
                let said = Arc::new(Said("connection reset"));
                Err(if step == Step::Committed {
                    Error::CommitUnknown(said)
                } else {
                    Error::Unavailable(said)
                })
            }
            Some(left) => {
                plan.left = Some(left - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }
}
