//! The limit in force: the plan's value, then add-ons and trials, then overrides.

use charter_kernel::catalogue::Catalogue;
use charter_kernel::entitlement::{Enforcement, EntitlementSource, LimitMode, PlanLimit, SubscriptionKind};
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{Key, Timestamp, Window};

/// A limit as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveLimit {
    /// The limit.
    pub limit: Key,
    /// How much; none is unlimited.
    pub value: Option<i64>,
    /// What happens beyond.
    pub enforcement: Enforcement,
    /// Warn from this share of the value on.
    pub warn_percent: u8,
    /// The rows it comes from, in the order in which they were applied.
    pub from: Vec<String>,
    /// The next instant at which it may change by itself.
    pub next_change: Option<Timestamp>,
}

const WARN_PERCENT: u8 = 80;

fn larger(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    Some(one?.max(other?))
}

fn sum(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    Some(one?.saturating_add(other?))
}

/// How strict an enforcement is.
fn strictness(enforcement: Enforcement) -> u8 {
    match enforcement {
        Enforcement::Hard => 2,
        Enforcement::Soft => 1,
        Enforcement::Report => 0,
    }
}

/// The limit in force at `now`; none for a limit that the catalogue does not have.
///
/// The largest value of the plans in force is the base (a plan that leaves the limit out does not limit it). Add-ons add
/// their value, times their quantity; the value of a trial replaces the sum if it is larger. An override that sets wins
/// over all of these, several that set: the smallest; overrides that add come last. Without plan and override the limit
/// is unlimited until the organization's first plan begins: a legacy document, what was taken over from it, what was changed by
/// hand and what lies ahead limit nothing, and a trial or add-on beside a legacy document takes nothing away. Without a
/// legacy document a trial or add-on is the first to count. After that it is zero and hard.
pub fn effective(
    facts: &OrganizationFacts,
    catalogue: &Catalogue,
    limit: &Key,
    now: Timestamp,
) -> Option<EffectiveLimit> {
    catalogue.limits.iter().find(|known| known.key == *limit)?;
    let mut from: Vec<String> = Vec::new();
    let subscriptions = facts.subscriptions.iter().map(|row| row.window);
    let overridden = facts.limit_overrides.iter().filter(|row| row.limit == *limit).map(|row| row.window);
    let next_change = subscriptions.chain(overridden).filter_map(|window| window.next_change(now)).min();
    let live = |kind: SubscriptionKind| {
        let mut rows: Vec<_> = facts
            .subscriptions
            .iter()
            .filter(|row| row.kind == kind && row.window.is_live(now))
            .map(|row| (row, row.limits.iter().find(|it| it.limit == *limit)))
            .collect();
        rows.sort_by_key(|(row, _)| row.id);
        rows.dedup();
        rows
    };
    // The plan whose value is largest; of equal ones the stricter.
    let unlimited = PlanLimit {
        limit: limit.clone(),
        value: None,
        enforcement: Enforcement::Report,
        warn_percent: WARN_PERCENT,
    };
    let mut base: Option<PlanLimit> = None;
    for (plan, found) in live(SubscriptionKind::Plan) {
        let offered = found.cloned().unwrap_or_else(|| unlimited.clone());
        let better = base.as_ref().is_none_or(|base| match (base.value, offered.value) {
            (base_value, value) if base_value == value => {
                strictness(offered.enforcement) > strictness(base.enforcement)
            }
            (None, _) => false,
            (_, None) => true,
            (Some(held), Some(value)) => value > held,
        });
        if better {
            from = vec![format!("plan {} {}", plan.plan, plan.id)];
            base = Some(offered);
        }
    }
    let has_begun = |window: Window| window.from().is_none_or(|from| from <= now);
    let had = |kind: SubscriptionKind, source: EntitlementSource| {
        facts.subscriptions.iter().any(|row| row.kind == kind && has_begun(row.window))
            || facts.entitlements.iter().any(|row| row.source == source && has_begun(row.window))
    };
    let lives_on_legacy = !had(SubscriptionKind::Plan, EntitlementSource::Plan)
        && (facts.organization.enabled_modules.is_some()
            || !(had(SubscriptionKind::Addon, EntitlementSource::Addon)
                || had(SubscriptionKind::Trial, EntitlementSource::Trial)));
    let had_plan = base.is_some();
    let base = base.unwrap_or_else(|| {
        if lives_on_legacy {
            from.push("no plan yet: nothing limits".to_owned());
            unlimited
        } else {
            from.push("no plan in force".to_owned());
            PlanLimit {
                limit: limit.clone(),
                value: Some(0),
                enforcement: Enforcement::Hard,
                warn_percent: WARN_PERCENT,
            }
        }
    });
    let (mut value, mut enforcement, warn_percent) = (base.value, base.enforcement, base.warn_percent);
    for (addon, found) in live(SubscriptionKind::Addon) {
        if let Some(found) = found {
            value = sum(value, found.value.map(|it| it.saturating_mul(i64::from(addon.quantity))));
            from.push(format!("add-on {} {} x {}", addon.plan, addon.id, addon.quantity));
        }
    }
    for (trial, found) in live(SubscriptionKind::Trial) {
        // A trial that leaves the limit out says nothing about it.
        if let Some(found) = found
            && larger(value, found.value) != value
        {
            value = found.value;
            if !had_plan {
                enforcement = found.enforcement;
            }
            from.push(format!("trial {} {}", trial.plan, trial.id));
        }
    }
    let mut overrides: Vec<_> =
        facts.limit_overrides.iter().filter(|row| row.limit == *limit && row.window.is_live(now)).collect();
    overrides.sort_by_key(|row| row.id);
    overrides.dedup();
    let set = overrides
        .iter()
        .filter(|row| row.mode == LimitMode::Set)
        .min_by_key(|row| (row.value.is_none(), row.value, u8::MAX - strictness(row.enforcement)));
    if let Some(row) = set {
        value = row.value;
        enforcement = row.enforcement;
        from.push(format!("override {}", row.id));
    }
    for row in overrides.iter().filter(|row| row.mode == LimitMode::Add) {
        value = sum(value, row.value);
        from.push(format!("override {}", row.id));
    }
    Some(EffectiveLimit { limit: limit.clone(), value, enforcement, warn_percent, from, next_change })
}
