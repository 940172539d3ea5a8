//! Time and randomness: the two things of the outside world that use cases are handed, so that a test replays from its seed.

use charter_kernel::Timestamp;
use charter_kernel::id::uuid_v7;
use std::cell::RefCell;
use std::sync::Arc;

/// Ids made of one question to the operating system.
const IDS_AT_ONCE: usize = 64;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// This instant.
    fn now(&self) -> Timestamp;
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
