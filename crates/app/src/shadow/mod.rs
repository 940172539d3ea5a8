//! Shadow mode: an organization that was taken over from another system is answered by that system's rule, or by ours with the other one beside
//! it, until nobody's answer differs any more. Only the question of roles is the other system's to answer: what stops somebody here whatever
//! roles they hold (a block, an inactive account, the ceiling of a credential, what the organization is entitled to) stops them in every mode,
//! and where the other system's answer is in doubt the answer is no.
//!
//! `rule.rs` is how the other system is asked, `answer.rs` whose answer is given, `batch.rs` how many are asked for at once, `tally.rs` what is counted, `flush.rs` how it is written, `mode.rs` how an organization goes on
//! and back, `standing.rs` how it stands, `replay.rs` how recorded answers are compared. docs/decisions/0016-the-other-system-answers-the-question-of-roles.md says why.

mod answer;
mod batch;
mod flush;
mod mode;
mod replay;
mod rule;
mod standing;
mod tally;

pub use answer::{Beside, Side, beside, compare_waiting};
pub use batch::{AT_ONCE, Patience};
pub use charter_store::shadow::{Quiet, ShadowMode, ShadowRow};
pub use charter_store::shadow_count::{Flip, ShadowCounts};
pub use flush::flush;
pub use mode::{AFTER_SECONDS, AFTER_SECONDS_MIN, COMPARED_MIN, ModeChange, change, operator_only};
pub use replay::{LINES_MAX, Recorded, Replayed, replay};
pub use rule::{Answering, LegacyAnswer, LegacyQuestion, LegacyRule};
pub use standing::{Standing, flips, list, show};

use answer::Waiting;
use arc_swap::ArcSwapOption;
use std::sync::{Arc, OnceLock};
use tally::Tally;

/// What takes an organization back by itself that was cut over. A single gain always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackLimits {
    /// Losses that are put up with among 100,000 checks of a day.
    pub losses_max: u32,
    /// Losses count from so many checks of a day on.
    pub checks_min: u32,
}

impl Default for BackLimits {
    fn default() -> Self {
        Self { losses_max: 100, checks_min: 1_000 }
    }
}

/// The rule of the other system at this node, and what comparing with it gave.
#[derive(Default)]
pub struct Shadow {
    rule: ArcSwapOption<Box<dyn LegacyRule>>,
    back_limits: OnceLock<BackLimits>,
    tally: Tally,
    waiting: Waiting,
}

impl Shadow {
    /// Says how the other system is asked.
    pub fn ask_by(&self, rule: Box<dyn LegacyRule>) {
        self.rule.store(Some(Arc::new(rule)));
    }

    /// Says what takes an organization back by itself; the first word counts.
    pub fn go_back_at(&self, limits: BackLimits) {
        let _ = self.back_limits.set(limits);
    }

    /// What takes an organization back by itself.
    fn back_limits(&self) -> BackLimits {
        self.back_limits.get().copied().unwrap_or_default()
    }

    /// Whether this node knows how to ask.
    pub fn can_ask(&self) -> bool {
        self.rule.load().is_some()
    }
}
