//! How checks of organizations that were cut over are answered at this node: how many failed, how many were slow, whether an event could not be
//! written to the trail, and whether the other system could answer in our place. A few minutes are kept, in memory: `flush.rs` looks at them
//! once a second.

use super::BackLimits;
use charter_kernel::{OrganizationId, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// How far back is looked.
const WINDOW_MINUTES: i64 = 5;
const MINUTE_SECONDS: i64 = 60;
/// The slowest of so many is what the limit of the 99th percentile is about.
const SLOW_ONE_IN: u64 = 100;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Minute {
    checks: u64,
    failed: u64,
    slow: u64,
    /// Questions to the other system, and how many of them it gave no answer to.
    asked: u64,
    unanswered: u64,
}

impl Minute {
    fn add(&mut self, more: Self) {
        self.checks += more.checks;
        self.failed += more.failed;
        self.slow += more.slow;
        self.asked += more.asked;
        self.unanswered += more.unanswered;
    }
}

struct Watched {
    since: Timestamp,
    minutes: BTreeMap<i64, Minute>,
    /// Why it has to go back, once that was found: it is tried until it is written.
    why: Option<String>,
    is_told_blind: bool,
}

/// Organizations that were cut over, as this node serves them.
#[derive(Default)]
pub(super) struct Serving {
    watched: Mutex<HashMap<OrganizationId, Watched>>,
    is_any: AtomicBool,
}

fn minute(at: Timestamp) -> i64 {
    at.seconds().div_euclid(MINUTE_SECONDS)
}

/// Why what was seen of an organization takes it back.
fn why(seen: Minute, limits: BackLimits) -> Option<String> {
    let Minute { checks, failed, slow, .. } = seen;
    if checks < u64::from(limits.errors_from) {
        return None;
    }
    let minutes = WINDOW_MINUTES;
    if failed.saturating_mul(100_000) > u64::from(limits.errors_max).saturating_mul(checks) {
        let percent = f64::from(limits.errors_max) / 1_000.0;
        return Some(format!(
            "{failed} of {checks} checks failed within {minutes} minutes, more than {percent} %"
        ));
    }
    (slow.saturating_mul(SLOW_ONE_IN) > checks).then(|| {
        let most = limits.p99_ms_max;
        format!("{slow} of {checks} checks took longer than {most} ms within {minutes} minutes, more than one in {SLOW_ONE_IN}")
    })
}

/// Whether the other system could not answer in our place: no more of its answers may be missing than of ours may fail.
fn is_blind(seen: Minute, limits: BackLimits) -> bool {
    seen.unanswered.saturating_mul(100_000) > u64::from(limits.errors_max).saturating_mul(seen.asked)
}

/// What is to be done about one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has to go back.
    Back(String),
    /// It would have to, and the other system gives no answers either: told once.
    Blind(String),
}

impl Serving {
    fn with<T>(&self, f: impl FnOnce(&mut HashMap<OrganizationId, Watched>) -> T) -> T {
        f(&mut self.watched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins to watch an organization that was cut over then.
    pub fn watch(&self, organization: OrganizationId, since: Timestamp) {
        self.is_any.store(true, Ordering::Relaxed);
        self.with(|watched| {
            if watched.get(&organization).is_none_or(|it| it.since != since) {
                let it = Watched { since, minutes: BTreeMap::new(), why: None, is_told_blind: false };
                watched.insert(organization, it);
            }
        });
    }

    fn note(&self, organization: OrganizationId, at: Timestamp, more: Minute) {
        if !self.is_any.load(Ordering::Relaxed) {
            return;
        }
        self.with(|watched| {
            if let Some(it) = watched.get_mut(&organization) {
                it.minutes.entry(minute(at)).or_default().add(more);
            }
        });
    }

    /// Whether any organization is watched.
    pub fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Relaxed)
    }

    /// Takes note of checks that were answered or failed.
    pub fn served(
        &self,
        organization: OrganizationId,
        at: Timestamp,
        checks: u64,
        is_failed: bool,
        is_slow: bool,
    ) {
        let of = |is: bool| if is { checks } else { 0 };
        let more =
            Minute { checks, failed: of(is_failed), slow: of(is_slow && !is_failed), ..Minute::default() };
        self.note(organization, at, more);
    }

    /// Takes note of a question to the other system.
    pub fn asked(&self, organization: OrganizationId, at: Timestamp, is_unanswered: bool) {
        self.note(
            organization,
            at,
            Minute { asked: 1, unanswered: u64::from(is_unanswered), ..Minute::default() },
        );
    }

    /// Takes note that an event of an organization could not be written to its trail.
    pub fn unaudited(&self, organization: OrganizationId, why: &str) {
        if !self.is_any() {
            return;
        }
        self.with(|watched| {
            if let Some(it) = watched.get_mut(&organization) {
                it.why.get_or_insert_with(|| {
                    format!("an event could not be written to the audit trail: {why}")
                });
            }
        });
    }

    /// Those that have to go back, or would have to.
    pub fn verdicts(&self, now: Timestamp, limits: BackLimits) -> Vec<(OrganizationId, Timestamp, Verdict)> {
        if !self.is_any() {
            return Vec::new();
        }
        let from = minute(now) - WINDOW_MINUTES;
        self.with(|watched| {
            let mut found = Vec::new();
            for (organization, it) in watched.iter_mut() {
                it.minutes.retain(|minute, _| *minute > from);
                let mut seen = Minute::default();
                it.minutes.values().for_each(|minute| seen.add(*minute));
                it.why = it.why.take().or_else(|| why(seen, limits));
                let Some(why) = it.why.clone() else { continue };
                if !is_blind(seen, limits) {
                    found.push((*organization, it.since, Verdict::Back(why)));
                } else if !it.is_told_blind {
                    it.is_told_blind = true;
                    found.push((*organization, it.since, Verdict::Blind(why)));
                }
            }
            found
        })
    }

    /// An organization went back, or was not to.
    pub fn forget(&self, organization: OrganizationId, since: Timestamp) {
        self.with(|watched| {
            if watched.get(&organization).is_some_and(|it| it.since == since) {
                watched.remove(&organization);
            }
            self.is_any.store(!watched.is_empty(), Ordering::Relaxed);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOYS: OrganizationId = OrganizationId(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn told(serving: &Serving, seconds: i64) -> Vec<Verdict> {
        let limits = BackLimits::default();
        serving.verdicts(at(seconds), limits).into_iter().map(|(_, _, verdict)| verdict).collect()
    }

    #[test]
    fn more_than_one_in_a_hundred_that_fail_or_are_slow_are_too_many() {
        let seen = |checks, failed, slow| Minute { checks, failed, slow, ..Minute::default() };
        let usual = BackLimits::default();
        for (few, many) in [(seen(100, 1, 0), seen(100, 2, 0)), (seen(100, 0, 1), seen(100, 0, 2))] {
            assert_eq!(why(few, usual), None);
            assert!(why(many, usual).is_some());
        }
        assert_eq!(why(seen(99, 99, 0), usual), None, "too few to say");
        assert_eq!(
            why(seen(100, 2, 0), usual).unwrap(),
            "2 of 100 checks failed within 5 minutes, more than 1 %"
        );
        assert_eq!(
            why(seen(100, 0, 2), usual).unwrap(),
            "2 of 100 checks took longer than 1000 ms within 5 minutes, more than one in 100"
        );
        assert_eq!(why(seen(u64::MAX, u64::MAX, 0), BackLimits { errors_max: 100_000, ..usual }), None);
    }

    #[test]
    fn what_is_older_than_the_window_or_of_another_mode_does_not_count() {
        let serving = Serving::default();
        serving.served(TOYS, at(0), 1_000, true, false);
        assert!(!serving.is_any(), "nobody was cut over");
        serving.watch(TOYS, at(0));
        serving.served(TOYS, at(10), 99, true, false);
        serving.served(TOYS, at(400), 1, true, false);
        assert_eq!(told(&serving, 400), []);
        serving.served(TOYS, at(401), 99, false, false);
        assert_eq!(told(&serving, 402), [], "one of a hundred");
        serving.served(TOYS, at(403), 10, true, false);
        serving.watch(TOYS, at(404));
        assert_eq!(told(&serving, 405), [], "it was cut over anew");
        serving.served(TOYS, at(405), 100, true, true);
        assert_eq!(told(&serving, 405).len(), 1);
        // It is tried until it is written, however long that takes.
        assert_eq!(told(&serving, 4_000).len(), 1);
        serving.forget(TOYS, at(0));
        assert_eq!(told(&serving, 4_001).len(), 1, "that was another one");
        serving.forget(TOYS, at(404));
        assert!(told(&serving, 4_002).is_empty() && !serving.is_any());
    }

    #[test]
    fn nothing_goes_back_to_a_system_that_gives_no_answers() {
        let serving = Serving::default();
        serving.watch(TOYS, at(0));
        serving.unaudited(TOYS, "no room");
        serving.asked(TOYS, at(1), true);
        assert!(matches!(&told(&serving, 2)[..], [Verdict::Blind(why)] if why.ends_with("trail: no room")));
        assert_eq!(told(&serving, 3), [], "told once");
        (0..100).for_each(|_| serving.asked(TOYS, at(4), false));
        assert!(matches!(&told(&serving, 5)[..], [Verdict::Back(_)]), "1 of 101 answers is missing");
    }
}
