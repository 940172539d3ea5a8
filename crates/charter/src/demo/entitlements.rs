//! What the toy maker may use: it gave up the plan with its own trucks for a smaller one, so that transport can still be read, and
//! it tries machine care for two more days. The trading company has nothing but its `enabled_modules` of old.

use super::{context, key};
use charter_app::App;
use charter_app::entitlement::ChangeOptions;
use charter_app::plan::{self, SubscribeDraft, TrialDraft, TrialEnd, When};
use charter_kernel::entitlement::SubscriptionKind;
use charter_kernel::{OrganizationId, Problem};

/// The plan of before, and the plan of today.
const PLANS: [(&str, &str); 2] = [
    ("toy_fleet", "first contract, with the module for our own trucks"),
    ("toy_maker", "new contract, without the trucks that were sold"),
];
const TRIAL: &str = "machine_care";
const TRIAL_DAYS: u32 = 2;

/// Subscribes the toy maker to what it is not subscribed to yet.
pub(super) async fn install(app: &App, id: OrganizationId) -> Result<(), Problem> {
    let ctx = context(app);
    let permit = app.require(&ctx, app.platform(), "platform.entitlements.update").await?;
    let had = plan::subscriptions(app, id).await?;
    let has = |kind: SubscriptionKind, name: &str| {
        had.iter().any(|row| row.subscription.kind == kind && row.subscription.plan.as_str() == name)
    };
    for (name, reason) in PLANS {
        if has(SubscriptionKind::Plan, name) {
            continue;
        }
        let draft = SubscribeDraft {
            plan: key(name)?,
            version: None,
            when: When::Now,
            force: true,
            ends_at: None,
            grace_days: Some(0),
            read_only_days: Some(30),
            fallback_plan: None,
            pinned: false,
            reason: reason.to_owned(),
        };
        plan::subscribe(app, &context(app), &permit, id, ChangeOptions::default(), draft).await?;
    }
    if !has(SubscriptionKind::Trial, TRIAL) {
        let draft = TrialDraft {
            plan: key(TRIAL)?,
            version: None,
            days: Some(TRIAL_DAYS),
            end: TrialEnd::Auto,
            grace_days: None,
            read_only_days: None,
            force: false,
            reason: "machine care, to look at before the season".to_owned(),
        };
        plan::start_trial(app, &context(app), &permit, id, ChangeOptions::default(), draft).await?;
    }
    Ok(())
}
