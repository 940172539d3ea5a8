//! What was compared is written once a second; and the look at what was written, after which an organization goes back by itself.

use super::mode::go_back;
use super::serving::Verdict;
use super::tally::{Counted, Pair, Undisputed};
use super::{BackLimits, Quiet, ShadowCounts, ShadowMode, ShadowRow};
use crate::App;
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{OrganizationId, Problem, Timestamp};
use charter_store as store;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Different flips that are kept of one organization; more are counted.
pub const KEPT_MAX: u32 = 10_000;
/// Different pairs of account and permission that are kept of one organization; more are not counted.
pub const PAIRS_MAX: u64 = 100_000;

/// Pairs that a flush kept.
pub(super) struct Kept {
    pub place: (Timestamp, Option<Timestamp>),
    pub pairs: Vec<Pair>,
}

/// What a flush of one organization came to.
struct Written {
    kept: Kept,
    /// Why it has to go back, if it has to.
    why_back: Option<String>,
}

/// What a day's counts say of an organization that was cut over: why it has to go back, if it has to.
fn why_back(counts: ShadowCounts, limits: BackLimits) -> Option<String> {
    let ShadowCounts { compared, gains, losses, .. } = counts;
    if gains > 0 {
        let answers = if gains == 1 { "answer" } else { "answers" };
        return Some(format!("{gains} {answers} allowed what the other system denies"));
    }
    let is_too_many = losses.saturating_mul(100_000) > u64::from(limits.losses_max).saturating_mul(compared);
    (compared >= u64::from(limits.checks_min) && is_too_many).then(|| {
        let percent = f64::from(limits.losses_max) / 1_000.0;
        format!("{losses} of {compared} answers denied what the other system allows, more than {percent} %")
    })
}

/// Counts what was compared since the last difference anew. Where that is in doubt, it is less.
async fn write_undisputed(
    tx: &mut Tx,
    app: &App,
    before: &ShadowRow,
    counted: &Counted,
) -> Result<Kept, Problem> {
    let organization = before.organization;
    let last_flip_at = before.last_flip_at.max(counted.last_flip_at);
    let after = ShadowRow { last_flip_at, ..before.clone() };
    let mut quiet = before.quiet;
    if counted.last_flip_at.is_some() {
        store::shadow_count::forget_pairs(tx, organization).await?;
        quiet = Quiet::default();
    }
    let Undisputed { compared, from, pairs } = &counted.undisputed;
    // Another node saw a difference after these.
    let is_disputed = before.last_flip_at.zip(*from).is_some_and(|(flipped, from)| flipped > from);
    let mut kept = Kept { place: (after.since, after.last_flip_at), pairs: Vec::new() };
    if !is_disputed {
        quiet.compared += compared;
        for (principal, permission) in app.shadow().tally.unknown_pairs(organization, &after, pairs) {
            if quiet.pairs >= PAIRS_MAX {
                break;
            }
            let is_new = store::shadow_count::pair(tx, organization, principal, permission.as_str()).await?;
            quiet.pairs += u64::from(is_new);
            kept.pairs.push((principal, permission));
        }
    }
    if quiet != before.quiet {
        store::shadow::quiet(tx, organization, quiet).await?;
    }
    Ok(kept)
}

/// Writes what was compared in one organization.
async fn write(
    tx: &mut Tx,
    app: &App,
    organization: OrganizationId,
    since: Timestamp,
    counted: &Counted,
) -> Result<Option<Written>, Problem> {
    let Some(row) = store::shadow::hold(tx, organization).await?.filter(|row| row.since == since) else {
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
    let kept = write_undisputed(tx, app, &row, counted).await?;
    let is_watched = row.mode == ShadowMode::CutOver && row.is_automatic;
    let why_back = match counted.days.keys().next().filter(|_| is_watched) {
        None => None,
        Some(from) => {
            let counts = store::shadow_count::sum(tx, organization, since, *from).await?;
            why_back(counts, app.shadow().back_limits())
        }
    };
    Ok(Some(Written { kept, why_back }))
}

/// Writes what was compared. What cannot be written is tried again. An organization that was cut over and has to go back does, and where that
/// cannot be written it is tried again too.
pub async fn flush(app: &App) -> Result<(), Problem> {
    let mut failed = None;
    for (place, counted) in app.shadow().tally.all() {
        let (organization, since) = place;
        let first = counted.days.keys().next().copied();
        let counted = Arc::new(counted);
        let (inside, this) = (Arc::clone(&counted), app.clone());
        let written = app
            .database()
            .write(Scope::Organization(organization.bits()), move |tx: &mut Tx| {
                Box::pin(async move { write(tx, &this, organization, since, &inside).await })
                    as BoxFuture<'_, Result<Option<Written>, Problem>>
            })
            .await;
        let outcome = match written {
            Ok(None) => Ok(()),
            Ok(Some(Written { kept, why_back })) => {
                app.shadow().tally.remember(organization, kept);
                let gone = match why_back {
                    None => Ok(()),
                    Some(why) => go_back(app, organization, since, why).await,
                };
                if let (Err(_), Some(first)) = (&gone, first) {
                    // It is counted; what is left is to look at the counts once more.
                    let days = BTreeMap::from([(first, ShadowCounts::default())]);
                    app.shadow().tally.give_back(place, Counted { days, ..Counted::default() });
                }
                gone
            }
            Err(problem) => {
                if let Some(counted) = Arc::into_inner(counted) {
                    app.shadow().tally.give_back(place, counted);
                }
                Err(problem)
            }
        };
        if let Err(problem) = outcome {
            failed = Some(problem);
        }
    }
    match (watch(app).await, failed) {
        (outcome, None) => outcome,
        (_, Some(problem)) => Err(problem),
    }
}

/// Takes those back that are served badly; what cannot be written is tried again.
async fn watch(app: &App) -> Result<(), Problem> {
    let mut outcome = Ok(());
    for (organization, since, verdict) in app.shadow().serving.verdicts(app.now(), app.shadow().back_limits())
    {
        match verdict {
            Verdict::Blind(why) => {
                tracing::warn!(%organization, why, "not gone back: the other system gives no answers either");
            }
            Verdict::Back(why) => match go_back(app, organization, since, why).await {
                Ok(()) => app.shadow().serving.forget(organization, since),
                Err(problem) => outcome = Err(problem),
            },
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gain_is_too_many_and_losses_are_from_one_in_a_thousand() {
        let told = |limits, compared, gains, losses| {
            why_back(ShadowCounts { compared, gains, losses, unknown: 9 }, limits)
        };
        let usual = BackLimits::default();
        assert_eq!(told(usual, 5, 1, 0).unwrap(), "1 answer allowed what the other system denies");
        assert!(told(usual, 999, 0, 999).is_none());
        assert!(told(usual, 1_000, 0, 1).is_none());
        let why = "2 of 1000 answers denied what the other system allows, more than 0.1 %";
        assert_eq!(told(usual, 1_000, 0, 2).unwrap(), why);
        assert!(told(usual, 10_000, 0, 10).is_none());
        assert!(told(usual, 10_000, 0, 11).is_some());
        let strict = BackLimits { losses_max: 0, checks_min: 1, ..usual };
        assert!(told(strict, 0, 0, 0).is_none());
        assert!(told(strict, 1, 0, 1).unwrap().ends_with("more than 0 %"));
        let patient = BackLimits { losses_max: 100_000, checks_min: 1, ..usual };
        assert!(told(patient, u64::MAX, 0, u64::MAX).is_none());
        assert!(told(patient, 9, 2, 0).is_some(), "no setting puts up with a gain");
    }
}
