//! Trials: a plan over the plan for some days. At the end the organization falls back to its plan, goes over to another, or expires
//! through grace and reading.

use super::rows::{
    GRACE_DAYS, READ_ONLY_DAYS, add, after_days, cut_json, days, fresh, json, modules_of, published, window,
};
use super::subscription::{Subscribed, add_fallback, preview_json, settled_preview, warnings};
use super::{EndAction, SubscriptionStatus};
use crate::caller::RequestContext;
use crate::entitlement::desk::{By, ChangeOptions, Changed, CutShort, change};
use crate::entitlement::{Cause, Entry};
use crate::guard::Permit;
use crate::{App, text};
use charter_kernel::entitlement::{EntitlementSource, SubscriptionKind};
use charter_kernel::{Key, OrganizationId, Problem, ProblemKind};
use std::collections::BTreeSet;

/// What happens at the end of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialEnd {
    /// Falls back to the organization's plan at once; expires through grace and read-only when it has none.
    Auto,
    /// Goes over to this plan; for an organization that has none.
    Plan(Key),
    /// Expires through grace and read-only.
    Expire,
}

/// A trial to be started.
#[derive(Debug, Clone)]
pub struct TrialDraft {
    /// The plan to be tried.
    pub plan: Key,
    /// Its version; the newest published one when left out.
    pub version: Option<u32>,
    /// How long; as the plan says when left out.
    pub days: Option<u32>,
    /// What happens at its end.
    pub end: TrialEnd,
    /// Days of grace after it expires.
    pub grace_days: Option<u32>,
    /// Days of reading after the grace.
    pub read_only_days: Option<u32>,
    /// Another trial of a module that was tried before.
    pub force: bool,
    /// Why.
    pub reason: String,
}

/// Starts a trial, which lies over the plan. A module is tried once, unless forced with a reason.
pub async fn start_trial(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    options: ChangeOptions,
    draft: TrialDraft,
) -> Result<Changed<Subscribed>, Problem> {
    let reason = text::demanded_reason("reason", &draft.reason)?;
    let grace_days = days("grace_days", draft.grace_days.unwrap_or(GRACE_DAYS))?;
    let read_only_days = days("read_only_days", draft.read_only_days.unwrap_or(READ_ONLY_DAYS))?;
    change(app, By::request(ctx, Cause::Api), organization, options, move |desk| {
        desk.require_customer()?;
        desk.state.settle();
        let before = desk.state.clone();
        let plan = published(desk, &draft.plan, draft.version)?;
        let length = days("days", draft.days.unwrap_or(plan.trial_days))?;
        if length == 0 {
            return Err(Problem::invalid("days", format!("{} has no trial: say how many days", plan.key)));
        }
        let modules = modules_of(&plan, &desk.index);
        let tried: BTreeSet<&str> = desk
            .state
            .facts
            .entitlements
            .iter()
            .filter(|row| row.source == EntitlementSource::Trial && modules.contains(&row.module))
            .map(|row| row.module.as_str())
            .collect();
        if !tried.is_empty() && !draft.force {
            let tried: Vec<&str> = tried.into_iter().collect();
            return Err(Problem::new(
                ProblemKind::Taken,
                format!("tried before: {}. Another trial has to be forced, with a reason", tried.join(", ")),
            ));
        }
        let at = desk.now;
        let end = after_days(at, length);
        let has_plan = desk.state.subscriptions.iter().any(|row| {
            row.subscription.kind == SubscriptionKind::Plan
                && row.status != SubscriptionStatus::Ended
                && !row.subscription.window.is_over(end)
        });
        let mut row = fresh(desk, SubscriptionKind::Trial, &plan, 1, window("days", at, Some(end))?);
        let falls_back = match &draft.end {
            TrialEnd::Auto => has_plan,
            TrialEnd::Plan(_) if has_plan => {
                return Err(Problem::invalid(
                    "fallback_plan",
                    "the organization has a plan: the trial falls back to that",
                ));
            }
            TrialEnd::Plan(_) => true,
            TrialEnd::Expire => false,
        };
        (row.grace_days, row.read_only_days) = if falls_back { (0, 0) } else { (grace_days, read_only_days) };
        if falls_back {
            row.end_action = EndAction::FallbackPlan(match &draft.end {
                TrialEnd::Plan(key) => Some(key.clone()),
                _ => None,
            });
        }
        add(desk, row.clone(), &plan, &reason);
        let fallback = match &draft.end {
            TrialEnd::Plan(key) => Some(add_fallback(desk, key, end, &reason)?),
            _ => None,
        };
        let preview = settled_preview(desk, &before, at);
        let mut entry = Entry::new("trial.start", "trial", format!("{} {}", plan.key, plan.version), &reason);
        entry.after = Some(serde_json::json!({
            "subscription": json(&row),
            "cut_short": cut_json(&CutShort::new()),
            "fallback": fallback.as_ref().map(json),
            "forced": draft.force,
            "preview": preview_json(&preview),
        }));
        desk.entries.push(entry);
        Ok(Subscribed { warnings: warnings(&preview), subscription: row, preview, withdrawn: Vec::new() })
    })
    .await
}
