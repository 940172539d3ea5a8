//! What comparing gave, counted in memory, so that a million checks cost a bounded number of rows. `flush.rs` writes it.

use super::flush::Kept;
use super::rule::{LegacyAnswer, LegacyQuestion};
use super::{Flip, ShadowCounts, ShadowRow};
use charter_kernel::{Decision, OrganizationId, PermissionCode, PrincipalId, Timestamp};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Different flips that are told apart between two flushes; more are counted.
const DISTINCT_MAX: usize = 10_000;
/// Pairs that this node remembers as kept, of all organizations; then it begins anew.
const REMEMBERED_MAX: usize = 200_000;

/// One question and both answers.
pub(super) struct Compared<'a> {
    pub asked: &'a LegacyQuestion,
    pub ours: &'a Decision,
    pub theirs: &'a LegacyAnswer,
    /// Since when the organization has its mode.
    pub since: Timestamp,
    pub at: Timestamp,
}

/// The first instant of a day.
pub(super) fn day(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.seconds().div_euclid(86_400) * 86_400)
}

fn plus(counts: &mut ShadowCounts, more: ShadowCounts) {
    counts.compared += more.compared;
    counts.gains += more.gains;
    counts.losses += more.losses;
    counts.unknown += more.unknown;
}

pub(super) type FlipKey = (PrincipalId, String, bool);
pub(super) type Pair = (PrincipalId, PermissionCode);

/// What was compared without a difference, after the last one.
#[derive(Default)]
pub(super) struct Undisputed {
    pub compared: u64,
    pub from: Option<Timestamp>,
    pub pairs: HashSet<Pair>,
}

impl Undisputed {
    fn one(&mut self, asked: &LegacyQuestion, at: Timestamp) {
        self.compared += 1;
        self.from = Some(self.from.map_or(at, |from| from.min(at)));
        if self.pairs.len() < DISTINCT_MAX {
            self.pairs.insert((asked.principal, asked.permission.clone()));
        }
    }

    fn join(&mut self, more: Self) {
        self.compared += more.compared;
        self.from = [self.from, more.from].into_iter().flatten().min();
        let room = DISTINCT_MAX.saturating_sub(self.pairs.len());
        self.pairs.extend(more.pairs.into_iter().take(room));
    }
}

/// What was compared in one organization since its mode began.
#[derive(Default)]
pub(super) struct Counted {
    pub days: BTreeMap<Timestamp, ShadowCounts>,
    pub flips: HashMap<FlipKey, Flip>,
    pub last_flip_at: Option<Timestamp>,
    pub undisputed: Undisputed,
}

impl Counted {
    /// Takes up a flip if there is room for it; tells whether it is one more.
    fn flip(&mut self, flip: Flip, has_room: bool) -> bool {
        self.last_flip_at = self.last_flip_at.max(Some(flip.last_at));
        let key = (flip.principal, flip.permission.clone(), flip.is_gain);
        if let Some(known) = self.flips.get_mut(&key) {
            known.count += flip.count;
            if flip.last_at >= known.last_at {
                known.last_at = flip.last_at;
                known.ours_reason = flip.ours_reason;
                known.theirs_reason = flip.theirs_reason;
            }
            return false;
        }
        if has_room {
            self.flips.insert(key, flip);
        }
        has_room
    }
}

pub(super) type Waiting = HashMap<(OrganizationId, Timestamp), Counted>;

/// Pairs of an organization that are kept already, as long as neither its mode changed nor an answer differed.
struct Remembered {
    place: (Timestamp, Option<Timestamp>),
    pairs: HashSet<Pair>,
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Tally {
    waiting: Mutex<(Waiting, usize)>,
    remembered: Mutex<HashMap<OrganizationId, Remembered>>,
}

impl Tally {
    /// Takes up both answers to a question.
    pub fn take(&self, compared: Compared<'_>) {
        let Compared { asked, ours, theirs, since, at } = compared;
        let ours_allows = ours.is_allow();
        let (counts, flip) = match theirs.allows() {
            None => (ShadowCounts { unknown: 1, ..ShadowCounts::default() }, None),
            Some(allows) if allows == ours_allows => {
                (ShadowCounts { compared: 1, ..ShadowCounts::default() }, None)
            }
            Some(_) => {
                let (gains, losses) = (u64::from(ours_allows), u64::from(!ours_allows));
                let flip = Flip {
                    principal: asked.principal,
                    permission: asked.permission.to_string(),
                    is_gain: ours_allows,
                    ours_reason: ours.reason.as_str().to_owned(),
                    theirs_reason: theirs.why(),
                    count: 1,
                    first_at: at,
                    last_at: at,
                };
                (ShadowCounts { compared: 1, gains, losses, unknown: 0 }, Some(flip))
            }
        };
        let mut guard = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (waiting, distinct) = &mut *guard;
        let counted = waiting.entry((asked.organization, since)).or_default();
        plus(counted.days.entry(day(at)).or_default(), counts);
        match flip {
            Some(flip) => {
                counted.undisputed = Undisputed::default();
                *distinct += usize::from(counted.flip(flip, *distinct < DISTINCT_MAX));
            }
            None if counts.compared > 0 => counted.undisputed.one(asked, at),
            None => {}
        }
    }

    /// Pairs that are not known to be kept.
    pub fn unknown_pairs(
        &self,
        organization: OrganizationId,
        row: &ShadowRow,
        pairs: &HashSet<Pair>,
    ) -> Vec<Pair> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let known = remembered.get(&organization).filter(|it| it.place == (row.since, row.last_flip_at));
        let is_new = |pair: &&Pair| known.is_none_or(|known| !known.pairs.contains(pair));
        pairs.iter().filter(is_new).cloned().collect()
    }

    /// Remembers that pairs are kept.
    pub fn remember(&self, organization: OrganizationId, kept: Kept) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.values().map(|it| it.pairs.len()).sum::<usize>() + kept.pairs.len() > REMEMBERED_MAX {
            remembered.clear();
        }
        let of_one = remembered
            .entry(organization)
            .or_insert_with(|| Remembered { place: kept.place, pairs: HashSet::new() });
        if of_one.place != kept.place {
            *of_one = Remembered { place: kept.place, pairs: HashSet::new() };
        }
        of_one.pairs.extend(kept.pairs);
    }

    pub fn all(&self) -> Waiting {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting).0
    }

    /// What could not be written waits again.
    pub fn give_back(&self, place: (OrganizationId, Timestamp), back: Counted) {
        let mut guard = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (waiting, distinct) = &mut *guard;
        let counted = waiting.entry(place).or_default();
        for (day, counts) in back.days {
            plus(counted.days.entry(day).or_default(), counts);
        }
        // What was compared before an answer differed meanwhile counts no more.
        if counted.last_flip_at.is_none() {
            counted.undisputed.join(back.undisputed);
        }
        counted.last_flip_at = counted.last_flip_at.max(back.last_flip_at);
        for flip in back.flips.into_values() {
            *distinct += usize::from(counted.flip(flip, *distinct < DISTINCT_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use charter_kernel::{DecidedBy, Reason, Revision};

    fn take(tally: &Tally, principal: u128, ours: Reason, theirs: &LegacyAnswer, seconds: i64) {
        let asked = LegacyQuestion {
            organization: OrganizationId(1),
            principal: PrincipalId(principal),
            permission: "finance.vouchers.approve".parse().unwrap(),
            description: String::new(),
            at: Timestamp::from_seconds(seconds),
        };
        let ours = Decision {
            reason: ours,
            decided_by: DecidedBy::Nothing,
            revision: Revision(1),
            valid_until: None,
            in_grace: false,
        };
        let (since, at) = (Timestamp::from_seconds(5), Timestamp::from_seconds(seconds));
        tally.take(Compared { asked: &asked, ours: &ours, theirs, since, at });
    }

    #[test]
    fn equal_flips_are_one_with_a_count_and_the_last_reasons() {
        let tally = Tally::default();
        let no = |why: &str| LegacyAnswer::Deny(why.to_owned());
        take(&tally, 2, Reason::GrantedByRole, &no("first\nline"), 10);
        take(&tally, 2, Reason::GrantedToSubject, &no("second"), 90_000);
        take(&tally, 2, Reason::NoGrant, &LegacyAnswer::Allow(String::new()), 30);
        take(&tally, 2, Reason::NoGrant, &no("both"), 30);
        take(&tally, 2, Reason::NoGrant, &LegacyAnswer::Unknown(String::new()), 30);
        take(&tally, 2, Reason::NoGrant, &LegacyAnswer::Unavailable(String::new()), 30);
        let all = tally.all();
        let counted = &all[&(OrganizationId(1), Timestamp::from_seconds(5))];
        let first = ShadowCounts { compared: 3, gains: 1, losses: 1, unknown: 2 };
        let second = ShadowCounts { compared: 1, gains: 1, losses: 0, unknown: 0 };
        let days = [(Timestamp(0), first), (Timestamp::from_seconds(86_400), second)];
        assert_eq!(counted.days, days.into());
        assert_eq!(counted.flips.len(), 2);
        let gain = &counted.flips[&(PrincipalId(2), "finance.vouchers.approve".to_owned(), true)];
        let told = (gain.count, gain.ours_reason.as_str(), gain.theirs_reason.as_str());
        assert_eq!(told, (2, "granted_to_subject", "second"));
        assert_eq!((gain.first_at.seconds(), gain.last_at.seconds()), (10, 90_000));
        assert_eq!(counted.last_flip_at, Some(Timestamp::from_seconds(90_000)));
        assert!(tally.all().is_empty());
    }

    #[test]
    fn what_is_told_apart_is_bounded_and_all_of_it_is_counted() {
        let tally = Tally::default();
        let more = DISTINCT_MAX + 7;
        for principal in 0..more {
            take(&tally, principal as u128, Reason::GrantedByRole, &LegacyAnswer::Deny(String::new()), 10);
        }
        let mut all = tally.all();
        let (place, counted) = all.drain().next().unwrap();
        assert_eq!((counted.flips.len(), counted.days[&Timestamp(0)].gains), (DISTINCT_MAX, more as u64));
        // What goes back and comes again is what it was.
        take(&tally, 3, Reason::GrantedByRole, &LegacyAnswer::Deny(String::new()), 20);
        tally.give_back(place, counted);
        let again = tally.all();
        assert_eq!(again[&place].days[&Timestamp(0)].gains, more as u64 + 1);
        assert_eq!(again[&place].flips.len(), DISTINCT_MAX);
    }

    #[test]
    fn what_was_compared_since_the_last_flip_is_counted_with_its_pairs() {
        let tally = Tally::default();
        let no = LegacyAnswer::Deny(String::new());
        let quiet = |tally: &Tally| {
            let counted = tally.all().into_values().next().unwrap();
            (counted.undisputed.compared, counted.undisputed.pairs.len(), counted.undisputed.from)
        };
        for seconds in [10, 11, 12] {
            take(&tally, 2, Reason::NoGrant, &no, seconds);
        }
        take(&tally, 3, Reason::NoGrant, &no, 13);
        take(&tally, 3, Reason::NoGrant, &LegacyAnswer::Unavailable(String::new()), 13);
        assert_eq!(quiet(&tally), (4, 2, Some(Timestamp::from_seconds(10))));
        take(&tally, 2, Reason::NoGrant, &no, 20);
        take(&tally, 2, Reason::GrantedByRole, &no, 21);
        take(&tally, 2, Reason::NoGrant, &no, 22);
        assert_eq!(quiet(&tally), (1, 1, Some(Timestamp::from_seconds(22))));
        take(&tally, 2, Reason::GrantedByRole, &no, 23);
        assert_eq!(quiet(&tally), (0, 0, None));
    }
}
