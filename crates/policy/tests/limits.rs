//! Effective limits, a row for each sentence.

use crate::world::*;
use charter_kernel::entitlement::*;
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::*;
use charter_policy::limits::{EffectiveLimit, effective};

fn subscription(
    id: u128,
    kind: SubscriptionKind,
    quantity: u32,
    value: Option<Option<i64>>,
) -> SubscriptionFact {
    SubscriptionFact {
        id: SubscriptionId(id),
        kind,
        plan: key("basic"),
        version: 1,
        quantity,
        window: Window::ALWAYS,
        limits: value
            .map(|value| PlanLimit {
                limit: key("users"),
                value,
                enforcement: Enforcement::Soft,
                warn_percent: 90,
            })
            .into_iter()
            .collect(),
    }
}

fn change(id: u128, mode: LimitMode, value: Option<i64>) -> LimitOverrideFact {
    LimitOverrideFact {
        id: LimitOverrideId(id),
        limit: key("users"),
        mode,
        value,
        enforcement: Enforcement::Hard,
        window: Window::ALWAYS,
        reason: "asked".into(),
    }
}

fn with(subscriptions: Vec<SubscriptionFact>, limit_overrides: Vec<LimitOverrideFact>) -> OrganizationFacts {
    OrganizationFacts { subscriptions, limit_overrides, ..facts() }
}

#[track_caller]
fn found(facts: &OrganizationFacts) -> EffectiveLimit {
    let found = effective(facts, &catalogue(), &key("users"), NOW).unwrap();
    let mut turned = facts.clone();
    turned.subscriptions.reverse();
    turned.limit_overrides.reverse();
    assert_eq!(effective(&turned, &catalogue(), &key("users"), NOW).unwrap(), found);
    found
}

use LimitMode::{Add, Set};
use SubscriptionKind::{Addon, Plan, Trial};

#[test]
fn the_plan_s_value_is_the_base_and_a_plan_that_leaves_a_limit_out_does_not_limit() {
    let limit = found(&with(vec![subscription(1, Plan, 1, Some(Some(10)))], vec![]));
    assert_eq!((limit.value, limit.enforcement, limit.warn_percent), (Some(10), Enforcement::Soft, 90));
    assert_eq!(found(&with(vec![subscription(1, Plan, 1, None)], vec![])).value, None);
    assert!(effective(&facts(), &catalogue(), &key("spoons"), NOW).is_none());
}

#[test]
fn add_ons_add_times_their_quantity_and_a_trial_replaces_if_it_is_larger() {
    let plan = subscription(1, Plan, 1, Some(Some(10)));
    let addons = || {
        vec![plan.clone(), subscription(2, Addon, 3, Some(Some(5))), subscription(3, Addon, 1, Some(Some(2)))]
    };
    assert_eq!(found(&with(addons(), vec![])).value, Some(27));
    for (trial, value) in [(Some(20), Some(27)), (Some(100), Some(100)), (None, None)] {
        let mut rows = addons();
        rows.push(subscription(4, Trial, 1, Some(trial)));
        assert_eq!(found(&with(rows, vec![])).value, value);
    }
    let huge = subscription(2, Addon, u32::MAX, Some(Some(i64::MAX)));
    assert_eq!(found(&with(vec![plan, huge], vec![])).value, Some(i64::MAX));
}

#[test]
fn an_override_that_sets_wins_over_everything_and_one_that_adds_comes_last() {
    let rows = || vec![subscription(1, Plan, 1, Some(Some(10))), subscription(2, Trial, 1, Some(Some(100)))];
    let limit = found(&with(rows(), vec![change(1, Set, Some(3))]));
    assert_eq!((limit.value, limit.enforcement), (Some(3), Enforcement::Hard));
    assert_eq!(found(&with(rows(), vec![change(1, Set, Some(3)), change(2, Add, Some(4))])).value, Some(7));
    assert_eq!(found(&with(rows(), vec![change(1, Add, Some(-4))])).value, Some(96));
    assert_eq!(found(&with(rows(), vec![change(1, Set, Some(3)), change(2, Set, None)])).value, Some(3));
    assert_eq!(found(&with(vec![], vec![change(1, Set, None)])).value, None);
}

fn entitlement(source: EntitlementSource, window: Window) -> EntitlementFact {
    EntitlementFact {
        module: key("finance"),
        submodule: None,
        source,
        source_id: String::new(),
        status: EntitlementStatus::Enabled,
        window,
        grace_until: None,
        read_only_until: None,
        reason: String::new(),
    }
}

#[test]
fn without_plan_and_override_it_is_unlimited_until_a_plan_has_begun_and_zero_after_it() {
    let mut bare = with(vec![], vec![]);
    bare.entitlements.clear();
    assert_eq!(found(&bare).value, None);
    let later = window(Some(20), None);
    bare.entitlements = vec![
        entitlement(EntitlementSource::Migration, window(None, Some(20))),
        entitlement(EntitlementSource::Override, Window::ALWAYS),
        entitlement(EntitlementSource::Plan, later),
    ];
    bare.subscriptions = vec![SubscriptionFact { window: later, ..subscription(1, Plan, 1, Some(Some(3))) }];
    let limit = found(&bare);
    assert_eq!(
        (limit.value, limit.next_change),
        (None, Some(at(20))),
        "a scheduled plan limits nothing before it begins"
    );
    bare.subscriptions.clear();
    bare.entitlements = vec![entitlement(EntitlementSource::Plan, window(None, Some(5)))];
    let limit = found(&bare);
    assert_eq!((limit.value, limit.enforcement), (Some(0), Enforcement::Hard), "its plan is over");
}

#[test]
fn a_trial_limits_who_has_nothing_else_and_takes_nothing_from_a_legacy_document() {
    let mut trying = with(vec![subscription(1, Trial, 1, Some(Some(5)))], vec![]);
    trying.entitlements.clear();
    assert_eq!(found(&trying).value, Some(5));
    trying.organization.enabled_modules = Some("[\"finance\"]".to_owned());
    assert_eq!(found(&trying).value, None);
}

#[test]
fn only_rows_in_force_count_and_the_next_change_is_named() {
    let mut plan = subscription(1, Plan, 1, Some(Some(10)));
    plan.window = window(None, Some(50));
    let mut coming = change(1, Add, Some(5));
    coming.window = window(Some(20), None);
    let limit = found(&with(vec![plan], vec![coming]));
    assert_eq!((limit.value, limit.next_change), (Some(10), Some(at(20))));
}
