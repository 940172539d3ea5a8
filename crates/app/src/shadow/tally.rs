//! What comparing gave, counted in memory and written once a second, so that a million checks cost a bounded number of rows; and the look
//! at what was written, after which an organization goes back by itself.

use super::mode::go_back;
use super::rule::{LegacyAnswer, LegacyQuestion};
use super::{Flip, ShadowCounts, ShadowMode};
use crate::App;
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{Decision, OrganizationId, PrincipalId, Problem, Timestamp};
use charter_store as store;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// Different flips that are told apart between two flushes; more are counted.
const DISTINCT_MAX: usize = 10_000;
/// Different flips that are kept of one organization; more are counted.
pub const KEPT_MAX: u32 = 10_000;
/// Losses count as too many from this many checks of a day on.
const CHECKS_MIN: u64 = 1_000;
/// And when more than one in so many is one.
const LOSSES_ONE_IN: u64 = 1_000;

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

type FlipKey = (PrincipalId, String, bool);

/// What was compared in one organization since its mode began.
#[derive(Default)]
struct Counted {
    days: BTreeMap<Timestamp, ShadowCounts>,
    flips: HashMap<FlipKey, Flip>,
    last_flip_at: Option<Timestamp>,
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

type Waiting = HashMap<(OrganizationId, Timestamp), Counted>;

/// What waits to be written.
#[derive(Default)]
pub(super) struct Tally {
    waiting: Mutex<(Waiting, usize)>,
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
        if let Some(flip) = flip
            && counted.flip(flip, *distinct < DISTINCT_MAX)
        {
            *distinct += 1;
        }
    }

    fn all(&self) -> Waiting {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting).0
    }

    /// What could not be written waits again.
    fn give_back(&self, place: (OrganizationId, Timestamp), back: Counted) {
        let mut guard = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (waiting, distinct) = &mut *guard;
        let counted = waiting.entry(place).or_default();
        for (day, counts) in back.days {
            plus(counted.days.entry(day).or_default(), counts);
        }
        for flip in back.flips.into_values() {
            *distinct += usize::from(counted.flip(flip, *distinct < DISTINCT_MAX));
        }
    }
}

/// What a day's counts say of an organization that was cut over: why it has to go back, if it has to.
fn why_back(counts: ShadowCounts) -> Option<String> {
    let ShadowCounts { compared, gains, losses, .. } = counts;
    if gains > 0 {
        return Some(format!("{gains} answers allowed what the other system denies"));
    }
    (compared >= CHECKS_MIN && losses.saturating_mul(LOSSES_ONE_IN) > compared).then(|| {
        format!("{losses} of {compared} answers denied what the other system allows, more than 0.1 %")
    })
}

/// Writes what was compared in one organization; tells why it has to go back, if it has to.
async fn write(
    tx: &mut Tx,
    organization: OrganizationId,
    since: Timestamp,
    counted: &Counted,
) -> Result<Option<String>, Problem> {
    let Some(row) = store::shadow::get(tx, organization).await?.filter(|row| row.since == since) else {
        // The mode changed meanwhile: what was compared before is not what is asked now.
        return Ok(None);
    };
    for (day, counts) in &counted.days {
        store::shadow_count::add(tx, organization, since, *day, *counts).await?;
    }
    let mut kept = store::shadow_count::kept(tx, organization, KEPT_MAX).await?;
    for flip in counted.flips.values() {
        if !store::shadow_count::again(tx, organization, flip).await? && kept < u64::from(KEPT_MAX) {
            store::shadow_count::insert(tx, organization, flip).await?;
            kept += 1;
        }
    }
    if let Some(at) = counted.last_flip_at {
        store::shadow::flipped(tx, organization, at).await?;
    }
    let Some(from) =
        counted.days.keys().next().filter(|_| row.mode == ShadowMode::CutOver && row.is_automatic)
    else {
        return Ok(None);
    };
    Ok(why_back(store::shadow_count::sum(tx, organization, since, *from).await?))
}

/// Writes what was compared. What cannot be written is tried again. An organization that was cut over and has to go back does.
pub async fn flush(app: &App) -> Result<(), Problem> {
    let mut failed = None;
    for (place, counted) in app.shadow().tally.all() {
        let (organization, since) = place;
        let counted = std::sync::Arc::new(counted);
        let inside = std::sync::Arc::clone(&counted);
        let written = app
            .database()
            .write(Scope::Organization(organization.bits()), move |tx: &mut Tx| {
                Box::pin(async move { write(tx, organization, since, &inside).await })
                    as BoxFuture<'_, Result<Option<String>, Problem>>
            })
            .await;
        let outcome = match written {
            Ok(None) => Ok(()),
            Ok(Some(why)) => go_back(app, organization, since, why).await,
            Err(problem) => {
                if let Some(counted) = std::sync::Arc::into_inner(counted) {
                    app.shadow().tally.give_back(place, counted);
                }
                Err(problem)
            }
        };
        if let Err(problem) = outcome {
            failed = Some(problem);
        }
    }
    failed.map_or(Ok(()), Err)
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
    fn one_gain_is_too_many_and_losses_are_from_one_in_a_thousand() {
        let counts = |compared, gains, losses| ShadowCounts { compared, gains, losses, unknown: 9 };
        assert!(why_back(counts(5, 1, 0)).is_some());
        assert!(why_back(counts(999, 0, 999)).is_none());
        assert!(why_back(counts(1_000, 0, 1)).is_none());
        assert!(why_back(counts(1_000, 0, 2)).is_some());
        assert!(why_back(counts(10_000, 0, 10)).is_none());
        assert!(why_back(counts(10_000, 0, 11)).is_some());
    }
}
