//! What a node remembers of the use of each key: how often and from where since it was written down last, and how much of its rate is left.
//!
//! A use costs two additions and a look at the address; the database learns of it in batches (`key_flush.rs`).

use charter_kernel::problem::RateLimit;
use charter_kernel::{CredentialId, OrganizationId, Timestamp};
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Networks of one key that wait to be written at most; what comes from more is counted all the same.
const NETWORKS_MAX: usize = 64;
const MINUTE: i64 = 60_000_000;

/// The network of an address: a /24, or a /48, which is what one site is given.
pub fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("{}/24", Ipv4Addr::from_bits(address.to_bits() & 0xffff_ff00)),
        IpAddr::V6(address) => format!("{}/48", Ipv6Addr::from_bits(address.to_bits() >> 80 << 80)),
    }
}

#[derive(Debug, Default)]
struct Seen {
    last: Option<IpAddr>,
    known: BTreeSet<String>,
    waiting: BTreeSet<String>,
    has_alerted_at: Option<Timestamp>,
    had_night: bool,
}

/// What is left of a rate, by when all of it is available again.
#[derive(Debug)]
struct Rate {
    full_at: Timestamp,
    /// Microseconds taken since other nodes were told.
    untold: i64,
}

/// The use of one key on this node.
#[derive(Debug)]
pub struct KeyUse {
    /// The organization it works in.
    pub organization: OrganizationId,
    /// The key.
    pub credential: CredentialId,
    uses: AtomicU64,
    refusals: AtomicU64,
    last_at: AtomicI64,
    /// Zero where it has no rate of its own.
    per_minute: AtomicU32,
    seen: Mutex<Seen>,
    rate: Mutex<Rate>,
}

/// What was counted since the last time it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// How often it let its bearer in.
    pub uses: u64,
    /// How often it was refused.
    pub refusals: u64,
    /// When it was used or refused last.
    pub last_at: Timestamp,
    /// From where it was used last.
    pub address: Option<IpAddr>,
    /// Networks this node has not asked the database about.
    pub networks: Vec<String>,
}

impl KeyUse {
    fn new(organization: OrganizationId, credential: CredentialId) -> Self {
        Self {
            organization,
            credential,
            uses: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            last_at: AtomicI64::new(0),
            per_minute: AtomicU32::new(0),
            seen: Mutex::default(),
            rate: Mutex::new(Rate { full_at: Timestamp::MIN, untold: 0 }),
        }
    }

    /// Takes one request from the rate; refused with what is known about it when nothing is left.
    pub fn take(&self, per_minute: u32, now: Timestamp) -> Result<(), RateLimit> {
        let each = MINUTE / i64::from(per_minute.max(1));
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let after = rate.full_at.max(now).micros() + each;
        if after - now.micros() > each * i64::from(per_minute) {
            return Err(state(per_minute, rate.full_at, now));
        }
        rate.full_at = Timestamp(after);
        rate.untold += each;
        Ok(())
    }

    /// What was taken from the rate since other nodes were told.
    fn taken(&self) -> Option<i64> {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        (rate.untold > 0).then(|| std::mem::take(&mut rate.untold))
    }

    /// Puts back what other nodes could not be told.
    pub fn give_back_taken(&self, micros: i64) {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).untold += micros;
    }

    /// When all of the rate is available again, by what all nodes took; what was taken here meanwhile comes on top.
    pub fn learn_rate(&self, full_at: Timestamp) {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.full_at = Timestamp(full_at.micros() + rate.untold);
    }

    /// Takes note of the rate it has.
    pub fn set_rate(&self, per_minute: Option<u32>) {
        self.per_minute.store(per_minute.unwrap_or(0), Ordering::Relaxed);
    }

    /// What is left of its rate, where it has one.
    pub fn rate(&self, now: Timestamp) -> Option<RateLimit> {
        let per_minute = self.per_minute.load(Ordering::Relaxed);
        let full_at = self.rate.lock().unwrap_or_else(PoisonError::into_inner).full_at;
        (per_minute > 0).then(|| state(per_minute, full_at, now))
    }

    /// Takes note of a use.
    pub fn note(&self, address: Option<IpAddr>, now: Timestamp) {
        self.uses.fetch_add(1, Ordering::Relaxed);
        self.last_at.fetch_max(now.micros(), Ordering::Relaxed);
        let Some(address) = address else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.last != Some(address) {
            seen.last = Some(address);
            let network = network_of(address);
            if !seen.known.contains(&network) && seen.waiting.len() < NETWORKS_MAX {
                seen.waiting.insert(network);
            }
        }
    }

    /// Takes note of a refusal.
    pub fn note_refusal(&self, now: Timestamp) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        self.last_at.fetch_max(now.micros(), Ordering::Relaxed);
    }

    /// What waits to be written; none when nothing does.
    pub fn drain(&self) -> Option<Counted> {
        let (uses, refusals) =
            (self.uses.swap(0, Ordering::Relaxed), self.refusals.swap(0, Ordering::Relaxed));
        if uses == 0 && refusals == 0 {
            return None;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Counted {
            uses,
            refusals,
            last_at: Timestamp(self.last_at.load(Ordering::Relaxed)),
            address: seen.last,
            networks: seen.waiting.iter().cloned().collect(),
        })
    }

    /// Puts back what could not be written.
    pub fn give_back(&self, counted: &Counted) {
        self.uses.fetch_add(counted.uses, Ordering::Relaxed);
        self.refusals.fetch_add(counted.refusals, Ordering::Relaxed);
    }

    /// A network is in the database now.
    pub fn learn_network(&self, network: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(network) = seen.waiting.take(network)
            && seen.known.len() < NETWORKS_MAX
        {
            seen.known.insert(network);
        }
    }

    /// Whether an alert about refusals may be given now; one an hour is.
    pub fn may_alert(&self, now: Timestamp) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let may = seen.has_alerted_at.is_none_or(|at| at.plus_seconds(3_600) <= now);
        if may {
            seen.has_alerted_at = Some(now);
        }
        may
    }

    /// Whether this node has not yet seen a night's use of it; asked once a night at most.
    pub fn is_first_night(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        !std::mem::replace(&mut seen.had_night, true)
    }

    fn is_idle(&self, now: Timestamp) -> bool {
        let rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = rate.full_at <= now && rate.untold == 0;
        quiet && self.uses.load(Ordering::Relaxed) == 0 && self.refusals.load(Ordering::Relaxed) == 0
    }
}

fn seconds(micros: i64) -> u32 {
    u32::try_from(micros.max(0).div_euclid(1_000_000) + i64::from(micros.rem_euclid(1_000_000) > 0))
        .unwrap_or(u32::MAX)
}

fn state(per_minute: u32, full_at: Timestamp, now: Timestamp) -> RateLimit {
    let each = MINUTE / i64::from(per_minute.max(1));
    let used = (full_at.micros().saturating_sub(now.micros())).max(0);
    // What is used in part is used.
    let taken = used / each + i64::from(used % each > 0);
    let remaining = u32::try_from((i64::from(per_minute) - taken).max(0)).unwrap_or(0);
    let wait = used + each - each * i64::from(per_minute);
    RateLimit {
        limit: per_minute,
        remaining,
        reset_seconds: seconds(used),
        retry_seconds: seconds(wait).max(1),
    }
}

/// The uses of all keys on this node.
#[derive(Debug, Default)]
pub struct KeyUses {
    keys: RwLock<HashMap<CredentialId, Arc<KeyUse>>>,
}

impl KeyUses {
    /// That of a key, from now on remembered.
    pub fn of(&self, organization: OrganizationId, credential: CredentialId) -> Arc<KeyUse> {
        if let Some(found) = self.get(credential) {
            return found;
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(keys.entry(credential).or_insert_with(|| Arc::new(KeyUse::new(organization, credential))))
    }

    /// That of a key, where it was used.
    pub fn get(&self, credential: CredentialId) -> Option<Arc<KeyUse>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(&credential).cloned()
    }

    /// What was taken from rates since other nodes were told, in microseconds.
    pub fn taken(&self) -> Vec<(Arc<KeyUse>, i64)> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().filter_map(|it| it.taken().map(|micros| (Arc::clone(it), micros))).collect()
    }

    /// All of them; those that nothing remembers and nothing waits for are forgotten.
    pub fn all(&self, now: Timestamp) -> Vec<Arc<KeyUse>> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, it| Arc::strong_count(it) > 1 || !it.is_idle(now));
        keys.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp(1_800_000_000_000_000 + millis * 1_000)
    }

    fn key() -> KeyUse {
        KeyUse::new(OrganizationId(1), CredentialId(2))
    }

    /// Attack 89 on one node.
    #[test]
    fn the_eleventh_request_of_ten_a_minute_is_refused_and_told_when() {
        let key = key();
        assert_eq!(key.rate(at(0)), None);
        key.set_rate(Some(10));
        let taken = (0..100).filter(|_| key.take(10, at(0)).is_ok()).count();
        assert_eq!(taken, 10);
        let refused = key.take(10, at(0)).unwrap_err();
        assert_eq!(refused, RateLimit { limit: 10, remaining: 0, reset_seconds: 60, retry_seconds: 6 });
        assert!(key.take(10, at(5_999)).is_err());
        key.take(10, at(6_000)).unwrap();
        assert!(key.take(10, at(6_000)).is_err());
        assert_eq!(key.rate(at(66_000)).unwrap().remaining, 10);
        assert_eq!(key.rate(at(12_000)).unwrap().remaining, 1);
    }

    /// Attack 89 on two nodes: what both took adds up, and the debt is paid before either lets through more.
    #[test]
    fn what_nodes_took_adds_up() {
        let (one, other) = (key(), key());
        for key in [&one, &other] {
            assert_eq!((0..50).filter(|_| key.take(10, at(0)).is_ok()).count(), 10);
        }
        let mut full_at = at(0).micros();
        for key in [&one, &other] {
            full_at += key.taken().unwrap();
            key.learn_rate(Timestamp(full_at));
        }
        assert_eq!((one.taken(), other.taken()), (None, None));
        assert!(other.take(10, at(60_000)).is_err(), "twenty were let through in this minute");
        other.take(10, at(66_000)).unwrap();
        other.give_back_taken(5);
        assert_eq!(other.taken(), Some(6_000_005));
    }

    #[test]
    fn requests_at_the_same_time_all_count() {
        let key = key();
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..100).filter(|_| key.take(10, at(0)).is_ok()).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 10);
    }

    #[test]
    fn uses_wait_until_they_are_written_and_come_back_when_they_cannot_be() {
        let key = key();
        assert_eq!(key.drain(), None);
        for address in ["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "2001:db8:1:2::1", "2001:db8:1:3::1"] {
            key.note(Some(address.parse().unwrap()), at(1));
        }
        key.note_refusal(at(2));
        let counted = key.drain().unwrap();
        assert_eq!((counted.uses, counted.refusals, counted.last_at), (5, 1, at(2)));
        assert_eq!(counted.networks, ["192.0.2.0/24", "2001:db8:1::/48"]);
        assert_eq!(key.drain(), None);
        key.give_back(&counted);
        assert_eq!(key.drain().unwrap().uses, 5);
        key.learn_network("192.0.2.0/24");
        key.note(Some("192.0.2.77".parse().unwrap()), at(3));
        assert_eq!(key.drain().unwrap().networks, ["2001:db8:1::/48"]);
    }

    #[test]
    fn what_nothing_waits_for_is_forgotten() {
        let uses = KeyUses::default();
        let held = uses.of(OrganizationId(1), CredentialId(1));
        uses.of(OrganizationId(1), CredentialId(2));
        uses.of(OrganizationId(1), CredentialId(3)).take(10, at(0)).unwrap();
        uses.of(OrganizationId(1), CredentialId(4)).note(None, at(0));
        assert_eq!(uses.all(at(0)).len(), 3);
        assert_eq!(uses.taken().len(), 1);
        assert_eq!(uses.all(at(60_000)).len(), 2, "the rate of the third is whole again");
        drop(held);
    }
}
