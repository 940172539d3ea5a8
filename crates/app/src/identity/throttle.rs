//! Throttling of guesses: per account a delay that doubles, per address a rate. Nothing is ever locked for good, because a lock is a
//! lever against the owner. Accounts that do not exist are counted like those that do.
//!
//! Here is what counters mean. Those of sign-in, of forgotten passwords and of mails live in the database, shared by all nodes
//! (`guesses.rs`); those of service tokens, and
//! a first look at addresses that keeps a flood off the database, in the memory of each node.

use charter_kernel::{Problem, ProblemKind, Timestamp};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Wrong guesses without delay.
const FREE: u32 = 5;
/// Longest delay.
const DELAY_SECONDS_MAX: i64 = 900;
/// After this long without a guess an account begins anew.
const FORGET_SECONDS: i64 = 24 * 3_600;
/// Guesses an address may make at once, and per minute after that.
const ADDRESS_BURST: i64 = 30;
const MICROS_PER_GUESS: i64 = 60_000_000 / ADDRESS_BURST;
/// Wrong guesses at everybody of an organization together, at once and per minute after that.
pub const PLACE_BURST: i64 = 300;
/// Requests for an account that an organization takes at once, and per minute after that.
pub const REGISTRATION_BURST: i64 = 30;
/// Mails that nobody asked for which a mailbox gets at once, and a day after that.
pub const MAILBOX_BURST: i64 = 20;
/// The same from one organization.
pub const MAILBOX_BURST_OF_ORGANIZATION: i64 = 5;
const DAY_MICROS: i64 = 86_400_000_000;
/// Most counters of a kind.
const COUNTERS_MAX: usize = 100_000;

/// What stands for a login: a keyed hash.
pub type AccountKey = [u8; 32];

/// The guesses at an account since the last right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guesses {
    /// How many.
    pub count: u32,
    /// When the last one was made.
    pub last_at: Timestamp,
}

impl Guesses {
    fn delay_seconds(self) -> i64 {
        match self.count.checked_sub(FREE) {
            None => 0,
            Some(beyond) => {
                1i64.checked_shl(beyond.min(30)).unwrap_or(DELAY_SECONDS_MAX).min(DELAY_SECONDS_MAX)
            }
        }
    }

    fn free_at(self) -> Timestamp {
        self.last_at.plus_seconds(self.delay_seconds())
    }

    /// The guesses with one more; refused while the delay lasts, and then not counted.
    pub fn with_one(self, now: Timestamp) -> Result<Self, Problem> {
        let is_forgotten = self.last_at.plus_seconds(FORGET_SECONDS) <= now;
        let count = if is_forgotten { 0 } else { self.count };
        let free_at = Self { count, ..self }.free_at();
        if free_at > now {
            return Err(wait(free_at.micros() - now.micros()));
        }
        Ok(Self { count: count.saturating_add(1), last_at: now })
    }
}

/// When all guesses of an address are available again after one more; refused beyond its rate, and then not counted.
pub fn full_after_one(full_at: Timestamp, now: Timestamp) -> Result<Timestamp, Problem> {
    full_after_one_of(full_at, now, ADDRESS_BURST)
}

/// The same for what may be done so often at once, and per minute after that.
pub fn full_after_one_of(full_at: Timestamp, now: Timestamp, burst: i64) -> Result<Timestamp, Problem> {
    full_after_one_within(full_at, now, burst, 60_000_000)
}

/// The same for what may be done so often at once, and a day after that.
pub fn full_after_one_of_a_day(full_at: Timestamp, now: Timestamp, burst: i64) -> Result<Timestamp, Problem> {
    full_after_one_within(full_at, now, burst, DAY_MICROS)
}

fn full_after_one_within(
    full_at: Timestamp,
    now: Timestamp,
    burst: i64,
    micros: i64,
) -> Result<Timestamp, Problem> {
    let micros_each = micros / burst.max(1);
    let after = Timestamp(full_at.max(now).micros() + micros_each);
    let over = after.micros() - now.micros() - burst * micros_each;
    if over > 0 { Err(wait(over)) } else { Ok(after) }
}

/// The counters of one node.
#[derive(Debug, Default)]
pub struct Throttle {
    /// For each address the instant at which all its guesses are available again.
    addresses: Mutex<HashMap<IpAddr, Timestamp>>,
}

/// The bucket of an address: itself, or the /64 of an IPv6 address, which one host has whole.
pub fn bucket(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// How long somebody waits, as people say it; never too short.
pub(super) fn span(seconds: u32) -> String {
    let of = |count: u32, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    match seconds {
        0..=90 => of(seconds.max(1), "second"),
        91..=5_400 => of(seconds.div_ceil(60), "minute"),
        _ => of(seconds.div_ceil(3_600), "hour"),
    }
}

fn wait(micros: i64) -> Problem {
    let seconds = u32::try_from(micros.div_euclid(1_000_000) + 1).unwrap_or(1);
    Problem::new(ProblemKind::Throttled, format!("too many attempts: try again in {}", span(seconds)))
        .retry_after(seconds)
}

/// Makes room: what no longer counts goes first, then the quarter that was quiet the longest.
fn make_room<K: Hash + Eq + Copy, V: Copy>(
    counters: &mut HashMap<K, V>,
    counts: impl Fn(&V) -> bool,
    last: impl Fn(&V) -> Timestamp,
) {
    if counters.len() < COUNTERS_MAX {
        return;
    }
    counters.retain(|_, value| counts(value));
    if counters.len() < COUNTERS_MAX {
        return;
    }
    let mut times: Vec<Timestamp> = counters.values().map(&last).collect();
    times.sort_unstable();
    if let Some(quiet) = times.get(COUNTERS_MAX / 4) {
        counters.retain(|_, value| last(value) > *quiet);
    }
}

impl Throttle {
    /// Takes a guess from an address's allowance. Without an address (the caller is in this process) nothing is taken.
    pub fn take_from_address(&self, address: Option<IpAddr>, now: Timestamp) -> Result<(), Problem> {
        let Some(address) = address else { return Ok(()) };
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut addresses, |full_at| *full_at > now, |full_at| *full_at);
        let full_at = addresses.entry(bucket(address)).or_insert(now);
        *full_at = full_after_one(*full_at, now)?;
        Ok(())
    }

    /// Gives the last guess of an address back: it was none.
    pub fn give_back_to_address(&self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = addresses.get_mut(&bucket(address)) {
            *full_at = Timestamp(full_at.micros() - MICROS_PER_GUESS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    #[test]
    fn how_long_somebody_waits_is_said_in_their_words_and_never_too_short() {
        for (seconds, words) in [
            (0, "1 second"),
            (1, "1 second"),
            (90, "90 seconds"),
            (91, "2 minutes"),
            (719, "12 minutes"),
            (5_400, "90 minutes"),
            (5_401, "2 hours"),
        ] {
            assert_eq!(span(seconds), words);
        }
    }

    /// Attack 55: the account's counter does not care from where; the owner gets in after the delay, always.
    #[test]
    fn an_account_is_delayed_after_five_guesses_and_never_locked() {
        let mut guesses = Guesses { count: 0, last_at: at(0) };
        for _ in 0..5 {
            guesses = guesses.with_one(at(0)).unwrap();
        }
        let mut now = 0;
        let mut delays = Vec::new();
        for _ in 0..14 {
            let problem = guesses.with_one(at(now)).unwrap_err();
            assert_eq!(problem.kind, ProblemKind::Throttled);
            let seconds = i64::from(problem.retry_after_seconds.unwrap());
            delays.push(seconds - 1);
            now += seconds;
            guesses = guesses.with_one(at(now)).unwrap();
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]);
        assert_eq!(guesses.with_one(at(now + 86_400)).unwrap().count, 1, "a day later it begins anew");
    }

    /// Attack 56: a spray over a thousand accounts ends at the address.
    #[test]
    fn an_address_has_thirty_guesses_a_minute() {
        let throttle = Throttle::default();
        let address = Some("192.0.2.1".parse().unwrap());
        let taken = (0..1_000).filter(|_| throttle.take_from_address(address, at(0)).is_ok()).count();
        assert_eq!(taken, 30);
        let problem = throttle.take_from_address(address, at(0)).unwrap_err();
        assert_eq!(problem.retry_after_seconds, Some(3));
        throttle.take_from_address(address, at(2)).unwrap();
        throttle.take_from_address(address, at(2)).unwrap_err();
        throttle.take_from_address(Some("192.0.2.2".parse().unwrap()), at(0)).unwrap();
        throttle.take_from_address(None, at(0)).unwrap();
        throttle.give_back_to_address(address);
        throttle.take_from_address(address, at(2)).unwrap();
        throttle.take_from_address(address, at(2)).unwrap_err();
    }

    /// Attack 60, and the mapped form of an IPv4 address.
    #[test]
    fn one_host_is_one_bucket() {
        let throttle = Throttle::default();
        let rotating = |low: u128| Some(IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | low)));
        let taken =
            (0..1_000).filter(|low| throttle.take_from_address(rotating(*low), at(0)).is_ok()).count();
        assert_eq!(taken, 30);
        throttle.take_from_address(rotating(1 << 64), at(0)).unwrap();
        assert_eq!(bucket("::ffff:192.0.2.1".parse().unwrap()), bucket("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn the_counters_are_bounded() {
        let throttle = Throttle::default();
        for number in 0..COUNTERS_MAX as u32 + 50_000 {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
            throttle.take_from_address(Some(address), at(i64::from(number) / 1_000)).unwrap();
        }
        assert!(throttle.addresses.lock().unwrap().len() <= COUNTERS_MAX);
    }
}
