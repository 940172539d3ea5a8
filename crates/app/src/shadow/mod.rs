//! Shadow mode: an organization that was taken over from another system is answered by that system's rule, or by ours with the other one beside
//! it, until nobody's answer differs any more. Only the question of roles is the other system's to answer: what stops somebody here whatever
//! roles they hold (a block, an inactive account, the ceiling of a credential, what the organization is entitled to) stops them in every mode,
//! and where the other system's answer is in doubt the answer is no.
//!
//! `rule.rs` is how the other system is asked, `answer.rs` whose answer is given, `tally.rs` what is counted, `mode.rs` how an organization goes on
//! and back, `standing.rs` how it stands, `replay.rs` how recorded answers are compared. docs/decisions/0016-the-other-system-answers-the-question-of-roles.md says why.

mod answer;
mod mode;
mod replay;
mod rule;
mod standing;
mod tally;

pub use answer::{Beside, Side, beside, compare_waiting};
pub use charter_store::shadow::{ShadowMode, ShadowRow};
pub use charter_store::shadow_count::{Flip, ShadowCounts};
pub use mode::{AFTER_SECONDS, COMPARED_MIN, ModeChange, change, operator_only};
pub use replay::{LINES_MAX, Recorded, Replayed, replay};
pub use rule::{Answering, LegacyAnswer, LegacyQuestion, LegacyRule};
pub use standing::{Standing, flips, list, show};
pub use tally::flush;

use answer::Waiting;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use tally::Tally;

/// The rule of the other system at this node, and what comparing with it gave.
#[derive(Default)]
pub struct Shadow {
    rule: ArcSwapOption<Box<dyn LegacyRule>>,
    tally: Tally,
    waiting: Waiting,
}

impl Shadow {
    /// Says how the other system is asked.
    pub fn ask_by(&self, rule: Box<dyn LegacyRule>) {
        self.rule.store(Some(Arc::new(rule)));
    }

    /// Whether this node knows how to ask.
    pub fn can_ask(&self) -> bool {
        self.rule.load().is_some()
    }
}
