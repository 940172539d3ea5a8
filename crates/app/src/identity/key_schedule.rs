//! When signing keys come and go: pure arithmetic on the keys that are there, the policy, and one `now`.
//!
//! A new key is published before it signs, so that verifiers elsewhere have it; the key before it keeps verifying, and a few are kept for
//! as long as somebody may hold what they signed. Each step is found from the keys alone: a node that died half way leaves keys from
//! which the next one finds the same step.

use charter_kernel::Timestamp;
use charter_store::signing_key::{KeyState, SigningKey};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// Verifiers keep our public keys for this long; a key that is published for twice as long is known to all of them.
pub const PUBLIC_KEYS_SECONDS: i64 = 300;
/// A key may sign this long after it was published, at the earliest.
pub const AHEAD_SECONDS_MIN: i64 = 2 * PUBLIC_KEYS_SECONDS;
/// Longest time a key may be published before it signs.
pub const AHEAD_SECONDS_MAX: i64 = 30 * DAY;
/// A key that signs from later than this was made by a clock that was wrong.
const DOUBT_SECONDS: i64 = 300;

/// What an installation decides about its signing keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPolicy {
    /// A key signs for this many days; none never rotates by itself.
    pub every_days: Option<u32>,
    /// Hour of the day, in UTC, at which a new key begins to sign.
    pub hour: u8,
    /// Seconds a key is published before it signs.
    pub ahead_seconds: u32,
    /// How many keys that no longer sign keep verifying.
    pub history: u32,
    /// For how many days they do.
    pub grace_days: u32,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self { every_days: Some(90), hour: 2, ahead_seconds: 86_400, history: 3, grace_days: 270 }
    }
}

impl KeyPolicy {
    /// Seconds between publishing a key and signing with it.
    pub fn ahead_seconds(&self) -> i64 {
        i64::from(self.ahead_seconds).max(AHEAD_SECONDS_MIN)
    }

    /// When a key that began to sign then is followed by the next one: at the hour, when its days are over. A key that began within
    /// an hour after the hour is followed at the hour too, or a service that is a moment late would be a day late the next time.
    fn ends_at(&self, activates_at: Timestamp) -> Option<Timestamp> {
        let last = activates_at.seconds() + i64::from(self.every_days?) * DAY;
        let midnight = last.div_euclid(DAY) * DAY;
        let at = midnight + i64::from(self.hour.min(23)) * HOUR;
        Some(Timestamp::from_seconds(if at + HOUR <= last { at + DAY } else { at }))
    }
}

/// The next thing to do about the keys of a lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// No key signs or will, or the one that does was made by a clock that was ahead, and nobody may accept what it signs: one is
    /// made that signs at once.
    Begin,
    /// The next key is made and published.
    Publish {
        /// From when it signs.
        activates_at: Timestamp,
    },
    /// The published key begins to sign, and the one before it stops.
    Activate {
        /// The key.
        kid: String,
    },
    /// The published key waits for a time that a clock that was ahead gave it: it gets another.
    BringForward {
        /// The key.
        kid: String,
        /// From when it signs.
        activates_at: Timestamp,
    },
    /// A key stops verifying.
    Remove {
        /// The key.
        kid: String,
    },
}

fn of_state(keys: &[SigningKey], state: KeyState) -> impl Iterator<Item = &SigningKey> {
    keys.iter().filter(move |key| key.state == state)
}

/// The key that signs.
pub fn active(keys: &[SigningKey]) -> Option<&SigningKey> {
    of_state(keys, KeyState::Active).next()
}

/// The key that is published and signs next.
pub fn pending(keys: &[SigningKey]) -> Option<&SigningKey> {
    of_state(keys, KeyState::Pending).min_by_key(|key| (key.activates_at, key.kid.clone()))
}

/// What is due now, if anything; asked again after each step until nothing is. Tokens live for `life_seconds`, clocks that differ allowed
/// for: no key stops verifying before the last token it signed has ended.
pub fn due(keys: &[SigningKey], policy: &KeyPolicy, life_seconds: i64, now: Timestamp) -> Option<Step> {
    let pending = pending(keys);
    let Some(active) = active(keys) else {
        // Doubtful times are no reason to sign with a key nobody has seen, unless there is no other.
        return Some(match pending {
            Some(key) => Step::Activate { kid: key.kid.clone() },
            None => Step::Begin,
        });
    };
    if active.activates_at > now.plus_seconds(DOUBT_SECONDS) {
        return Some(Step::Begin);
    }
    let earliest = now.plus_seconds(policy.ahead_seconds());
    match pending {
        Some(key) if key.activates_at <= now => return Some(Step::Activate { kid: key.kid.clone() }),
        Some(key) if key.activates_at > now.plus_seconds(AHEAD_SECONDS_MAX + DOUBT_SECONDS) => {
            return Some(Step::BringForward { kid: key.kid.clone(), activates_at: earliest });
        }
        Some(_) => {}
        None => {
            if let Some(ends_at) = policy.ends_at(active.activates_at)
                && ends_at <= earliest
            {
                return Some(Step::Publish { activates_at: ends_at.max(earliest) });
            }
        }
    }
    over(keys, policy, life_seconds, now).map(|key| Step::Remove { kid: key.kid.clone() })
}

/// The oldest key that verifies for longer than the policy lets it.
fn over<'a>(
    keys: &'a [SigningKey],
    policy: &KeyPolicy,
    life_seconds: i64,
    now: Timestamp,
) -> Option<&'a SigningKey> {
    let mut retiring: Vec<&SigningKey> = of_state(keys, KeyState::Retiring).collect();
    retiring.sort_by(|a, b| (b.retired_at, &b.kid).cmp(&(a.retired_at, &a.kid)));
    let for_longer_than =
        |key: &SigningKey, seconds: i64| key.retired_at.is_none_or(|at| at.plus_seconds(seconds) <= now);
    let grace = (i64::from(policy.grace_days) * DAY).max(life_seconds);
    let history = policy.history as usize;
    retiring
        .iter()
        .enumerate()
        .rev()
        .find(|(place, key)| for_longer_than(key, if *place >= history { life_seconds } else { grace }))
        .map(|(_, key)| *key)
}

/// When the next key begins to sign, as things stand.
pub fn next_at(keys: &[SigningKey], policy: &KeyPolicy) -> Option<Timestamp> {
    match (pending(keys), active(keys)) {
        (Some(key), _) => Some(key.activates_at),
        (None, Some(key)) => policy.ends_at(key.activates_at),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str, state: KeyState, activates_at: i64, retired_at: Option<i64>) -> SigningKey {
        SigningKey {
            kid: kid.to_owned(),
            purpose: "access".to_owned(),
            alg: "EdDSA".to_owned(),
            state,
            public_key: Vec::new(),
            sealed_private: None,
            created_at: Timestamp::from_seconds(activates_at),
            published_at: Timestamp::from_seconds(activates_at),
            activates_at: Timestamp::from_seconds(activates_at),
            retired_at: retired_at.map(Timestamp::from_seconds),
            removed_at: None,
            revoked_at: None,
            revoke_reason: None,
        }
    }

    fn at(day: i64, hour: i64) -> Timestamp {
        Timestamp::from_seconds(day * DAY + hour * HOUR)
    }

    const LIFE: i64 = 660;
    const POLICY: KeyPolicy =
        KeyPolicy { every_days: Some(90), hour: 2, ahead_seconds: 86_400, history: 3, grace_days: 270 };

    #[test]
    fn a_key_is_published_a_day_before_it_signs_at_two_at_night_after_ninety_days() {
        // Signs since noon of day 100: the next one at 02:00 of day 191, published at 02:00 of day 190.
        let keys = [key("a", KeyState::Active, 100 * DAY + 12 * HOUR, None)];
        assert_eq!(next_at(&keys, &POLICY), Some(at(191, 2)));
        assert_eq!(due(&keys, &POLICY, LIFE, Timestamp(at(190, 2).0 - 1)), None);
        assert_eq!(due(&keys, &POLICY, LIFE, at(190, 2)), Some(Step::Publish { activates_at: at(191, 2) }));
        // From 02:00 to 02:00 it is ninety days to the second.
        let keys = [key("a", KeyState::Active, 100 * DAY + 2 * HOUR, None)];
        assert_eq!(next_at(&keys, &POLICY), Some(at(190, 2)));
        // A service that was a moment late is not a day late the next time.
        for late in [1, 59 * 60] {
            let keys = [key("a", KeyState::Active, 100 * DAY + 2 * HOUR + late, None)];
            assert_eq!(next_at(&keys, &POLICY), Some(at(190, 2)));
        }
    }

    #[test]
    fn no_key_stops_verifying_before_the_last_token_it_signed_has_ended() {
        let none_kept = KeyPolicy { history: 0, grace_days: 0, ..POLICY };
        let keys = [
            key("a", KeyState::Active, 1_000 * DAY, None),
            key("b", KeyState::Retiring, 0, Some(1_000 * DAY)),
        ];
        let ended = at(1_000, 0).plus_seconds(LIFE);
        assert_eq!(due(&keys, &none_kept, LIFE, Timestamp(ended.0 - 1)), None);
        assert_eq!(due(&keys, &none_kept, LIFE, ended), Some(Step::Remove { kid: "b".to_owned() }));
    }

    #[test]
    fn keys_of_a_clock_that_was_ahead_do_not_stand_in_the_way() {
        let keys = [key("a", KeyState::Active, 500 * DAY, None)];
        assert_eq!(due(&keys, &POLICY, LIFE, at(100, 0)), Some(Step::Begin));
        assert_eq!(due(&keys, &POLICY, LIFE, at(500, 0).plus_seconds(-DOUBT_SECONDS)), None);
        let keys = [key("a", KeyState::Active, 99 * DAY, None), key("b", KeyState::Pending, 500 * DAY, None)];
        let forward = Step::BringForward { kid: "b".to_owned(), activates_at: at(101, 0) };
        assert_eq!(due(&keys, &POLICY, LIFE, at(100, 0)), Some(forward));
        let keys = [key("a", KeyState::Active, 99 * DAY, None), key("b", KeyState::Pending, 130 * DAY, None)];
        assert_eq!(due(&keys, &POLICY, LIFE, at(100, 0)), None, "thirty days ahead may have been asked for");
    }

    #[test]
    fn a_rotation_that_was_slept_through_still_publishes_first() {
        let keys = [key("a", KeyState::Active, 0, None)];
        assert_eq!(due(&keys, &POLICY, LIFE, at(500, 7)), Some(Step::Publish { activates_at: at(501, 7) }));
    }

    #[test]
    fn a_published_key_signs_from_its_time_and_not_before() {
        let keys = [key("a", KeyState::Active, 0, None), key("b", KeyState::Pending, 90 * DAY, None)];
        assert_eq!(due(&keys, &POLICY, LIFE, Timestamp(at(90, 0).0 - 1)), None);
        assert_eq!(due(&keys, &POLICY, LIFE, at(90, 0)), Some(Step::Activate { kid: "b".to_owned() }));
        assert_eq!(next_at(&keys, &POLICY), Some(at(90, 0)));
    }

    #[test]
    fn without_a_key_that_signs_the_published_one_does_or_a_new_one() {
        assert_eq!(due(&[], &POLICY, LIFE, at(1, 0)), Some(Step::Begin));
        let keys = [key("b", KeyState::Pending, 90 * DAY, None), key("x", KeyState::Revoked, 0, None)];
        assert_eq!(due(&keys, &POLICY, LIFE, at(1, 0)), Some(Step::Activate { kid: "b".to_owned() }));
    }

    #[test]
    fn three_old_keys_verify_and_none_for_longer_than_its_grace() {
        let old = |kid: &str, retired: i64| key(kid, KeyState::Retiring, 0, Some(retired * DAY));
        let signs = key("a", KeyState::Active, 1_000 * DAY, None);
        let keys = [signs.clone(), old("b", 1_000), old("c", 999), old("d", 998), old("e", 997)];
        assert_eq!(due(&keys, &POLICY, LIFE, at(1_001, 0)), Some(Step::Remove { kid: "e".to_owned() }));
        assert_eq!(due(&keys[..4], &POLICY, LIFE, at(1_001, 0)), None);
        let keys = [signs.clone(), old("b", 800)];
        assert_eq!(due(&keys, &POLICY, LIFE, at(1_069, 23)), None);
        assert_eq!(due(&keys, &POLICY, LIFE, at(1_070, 0)), Some(Step::Remove { kid: "b".to_owned() }));
        let none_kept = KeyPolicy { history: 0, ..POLICY };
        assert_eq!(
            due(&[signs, old("b", 1_000)], &none_kept, LIFE, at(1_001, 0)),
            Some(Step::Remove { kid: "b".to_owned() })
        );
    }

    #[test]
    fn without_a_number_of_days_nothing_rotates_by_itself() {
        let keys = [key("a", KeyState::Active, 0, None)];
        let never = KeyPolicy { every_days: None, ..POLICY };
        assert_eq!(due(&keys, &never, LIFE, at(100_000, 0)), None);
        assert_eq!(next_at(&keys, &never), None);
    }

    #[test]
    fn a_key_is_never_published_for_less_than_verifiers_keep_the_old_ones() {
        let hasty = KeyPolicy { ahead_seconds: 0, ..POLICY };
        assert_eq!(hasty.ahead_seconds(), 600);
    }
}
