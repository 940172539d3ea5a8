//! Shadow mode: an organization that was taken over from another system is answered by that system's rule, or by ours with the other one beside
//! it, until nobody's answer differs any more. Only the question of roles is the other system's to answer: what stops somebody here whatever
//! roles they hold (a block, an inactive account, the ceiling of a credential, what the organization is entitled to) stops them in every mode,
//! and where the other system's answer is in doubt the answer is no.
//!
//! `rule.rs` is how the other system is asked, `answer.rs` whose answer is given, `batch.rs` how many are asked for at once, `tally.rs` what is counted, `serving.rs` how well we answer, `flush.rs` how it is written, `mode.rs` how an organization goes on
//! and back, `standing.rs` how it stands, `replay.rs` how recorded answers are compared. docs/decisions/0016-the-other-system-answers-the-question-of-roles.md says why.

mod answer;
mod batch;
mod flush;
mod mode;
mod replay;
mod rule;
mod serving;
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

use crate::App;
use crate::caller::RequestContext;
use answer::Waiting;
use arc_swap::ArcSwapOption;
use charter_kernel::{OrganizationId, Problem, ProblemKind};
use serving::Serving;
use std::sync::{Arc, OnceLock};
use tally::{Compared, Tally};

/// What takes an organization back by itself that was cut over. A single gain always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackLimits {
    /// Losses that are put up with among 100,000 checks of a day.
    pub losses_max: u32,
    /// Losses count from so many checks of a day on.
    pub checks_min: u32,
    /// Failures that are put up with among 100,000 checks of a few minutes, ours and the other system's.
    pub errors_max: u32,
    /// Failures and slow answers count from so many checks of a few minutes on.
    pub errors_from: u32,
    /// How long all but one in a hundred checks may take.
    pub p99_ms_max: u32,
}

impl Default for BackLimits {
    fn default() -> Self {
        Self { losses_max: 100, checks_min: 1_000, errors_max: 1_000, errors_from: 100, p99_ms_max: 1_000 }
    }
}

/// The rule of the other system at this node, and what comparing with it gave.
#[derive(Default)]
pub struct Shadow {
    rule: ArcSwapOption<Box<dyn LegacyRule>>,
    back_limits: OnceLock<BackLimits>,
    tally: Tally,
    serving: Serving,
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

    /// Takes up both answers to a question.
    fn take(&self, compared: Compared<'_>) {
        let is_unanswered = compared.theirs.allows().is_none();
        self.serving.asked(compared.asked.organization, compared.at, is_unanswered);
        self.tally.take(compared);
    }

    /// Takes note that an event could not be written to the trail of an organization, unless nothing can be written for the moment.
    pub fn unaudited(&self, organization: OrganizationId, problem: &Problem) {
        let is_passing = matches!(problem.kind, ProblemKind::Unavailable | ProblemKind::OutcomeUnknown);
        if !is_passing {
            self.serving.unaudited(organization, &problem.detail);
        }
    }

    /// Whether this node knows how to ask.
    pub fn can_ask(&self) -> bool {
        self.rule.load().is_some()
    }
}

impl App {
    /// Takes note of checks of an organization that were answered or failed, with how long that took: it may lead back to the other system.
    pub fn note_served(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        checks: u64,
        problem: Option<&Problem>,
    ) {
        let shadow = self.shadow();
        if !shadow.serving.is_any() || checks == 0 {
            return;
        }
        let now = self.now();
        let took_ms = now.micros().saturating_sub(ctx.now.micros()) / 1_000;
        // Of a batch each check has its share.
        let share = took_ms / i64::try_from(checks).unwrap_or(i64::MAX);
        let is_slow = share > i64::from(shadow.back_limits().p99_ms_max);
        let is_failed = problem.is_some_and(|problem| problem.kind.status() >= 500);
        shadow.serving.served(organization, now, checks, is_failed, is_slow);
    }
}
