//! Time and randomness: the two things of the outside world that use cases are handed, so that a test replays from its seed.

use charter_kernel::Timestamp;
use charter_kernel::id::uuid_v7;
use std::cell::RefCell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Ids made of one question to the operating system.
const IDS_AT_ONCE: usize = 64;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// This instant.
    fn now(&self) -> Timestamp;

    /// Microseconds since some instant, which never go back: a clock that nobody sets needs no other.
    fn steady_micros(&self) -> i64 {
        self.now().micros()
    }
}

/// Makes unpredictable bytes.
pub trait Randomness: Send + Sync {
    /// Fills the whole slice.
    fn fill(&self, bytes: &mut [u8]);

    /// Bits of an id. Ids are names, not secrets: they have to differ, not to be hidden.
    fn id_bits(&self) -> u128 {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        u128::from_le_bytes(bytes)
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this adapter is the one place that reads the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this adapter is the one place that reads the machine's clock"
    )]
    fn steady_micros(&self) -> i64 {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        let since = Instant::now().duration_since(*FIRST.get_or_init(Instant::now));
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    #[expect(
        clippy::expect_used,
        clippy::disallowed_methods,
        reason = "the one place that asks the system for randomness; without it no secret may be made, so stopping is right"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }

    /// Asks the system once for many ids: every request takes one, and a system call is a tenth of what a check costs.
    fn id_bits(&self) -> u128 {
        thread_local! {
            static LEFT: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
        }
        LEFT.with_borrow_mut(|left| {
            if let Some(bits) = left.pop() {
                return bits;
            }
            let mut bytes = [0; 16 * IDS_AT_ONCE];
            self.fill(&mut bytes);
            let (blocks, _) = bytes.as_chunks::<16>();
            left.extend(blocks.iter().copied().map(u128::from_le_bytes));
            left.pop().unwrap_or_default()
        })
    }
}

/// The outside world as use cases see it.
#[derive(Clone)]
pub struct World {
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

impl World {
    /// The real one.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), randomness: Arc::new(SystemRandomness) }
    }

    /// One made of the given parts.
    pub fn new(clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self { clock, randomness }
    }

    /// This instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Microseconds since some instant, which never go back, whatever the clock is set to.
    pub fn steady_micros(&self) -> i64 {
        self.clock.steady_micros()
    }

    /// This instant by both clocks.
    pub fn moment(&self) -> Moment {
        Moment { at: self.now(), steady_micros: self.steady_micros() }
    }

    /// The instant that the clock told at the beginning of what is under way, by both clocks.
    pub(crate) fn moment_of(&self, at: Timestamp) -> Moment {
        let passed = self.now().micros().saturating_sub(at.micros()).max(0);
        Moment { at, steady_micros: self.steady_micros().saturating_sub(passed) }
    }

    /// Unpredictable bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.randomness.fill(&mut bytes);
        bytes
    }

    /// A fresh id, ordered by time.
    pub fn fresh_id(&self) -> u128 {
        let milliseconds = u64::try_from(self.now().micros() / 1_000).unwrap_or(0);
        uuid_v7(milliseconds, self.randomness.id_bits())
    }
}

/// An instant by the clock, which may be set, and by one that never goes back, which may stand still while the machine sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By the clock.
    pub at: Timestamp,
    /// By the other one.
    pub steady_micros: i64,
}

impl Moment {
    /// How old what was read then is: by whichever clock it is older.
    pub fn age_micros(self, now: Self) -> i64 {
        let steady = now.steady_micros.saturating_sub(self.steady_micros);
        now.at.micros().saturating_sub(self.at.micros()).max(steady).max(0)
    }
}

/// When something was last read.
#[derive(Debug)]
pub(crate) struct LastRead {
    at: AtomicI64,
    steady_micros: AtomicI64,
}

impl LastRead {
    pub(crate) fn new(read: Moment) -> Self {
        Self { at: AtomicI64::new(read.at.micros()), steady_micros: AtomicI64::new(read.steady_micros) }
    }

    fn moment(&self) -> Moment {
        let at = Timestamp(self.at.load(Ordering::Acquire));
        Moment { at, steady_micros: self.steady_micros.load(Ordering::Acquire) }
    }

    /// Notes a reading that began then; one that began before the last changes nothing.
    pub(crate) fn note(&self, began: Moment) {
        if self.steady_micros.fetch_max(began.steady_micros, Ordering::AcqRel) <= began.steady_micros {
            self.at.store(began.at.micros(), Ordering::Release);
        }
    }

    /// How long ago that was.
    pub(crate) fn age_micros(&self, now: Moment) -> i64 {
        self.moment().age_micros(now)
    }

    /// From when on changes are to be read: where the clock was set back since, the last reading as it tells it now.
    pub(crate) fn since(&self, now: Moment) -> Timestamp {
        let last = self.moment();
        let passed = now.steady_micros.saturating_sub(last.steady_micros);
        last.at.min(Timestamp(now.at.micros().saturating_sub(passed)))
    }
}

#[cfg(test)]
mod tests {
    use super::{LastRead, Moment};
    use charter_kernel::Timestamp;

    fn moment(at: i64, steady: i64) -> Moment {
        Moment { at: Timestamp::from_seconds(at), steady_micros: steady * 1_000_000 }
    }

    #[test]
    fn what_was_read_grows_old_whatever_the_clock_is_set_to() {
        let last = LastRead::new(moment(1_000, 10));
        let told = [
            (moment(1_005, 15), 5, 1_000),
            (moment(200, 15), 5, 195),
            (moment(9_000, 15), 8_000, 1_000),
            (moment(1_005, 10), 5, 1_000),
        ];
        for (now, age, since) in told {
            assert_eq!(
                (last.age_micros(now), last.since(now).seconds()),
                (age * 1_000_000, since),
                "{now:?}"
            );
        }
        last.note(moment(200, 15));
        assert_eq!(
            (last.age_micros(moment(201, 16)), last.since(moment(201, 16)).seconds()),
            (1_000_000, 200)
        );
        last.note(moment(900, 11));
        assert_eq!(last.age_micros(moment(201, 16)), 1_000_000);
    }
}
