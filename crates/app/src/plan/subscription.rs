//! Subscriptions to plans: at once, at an instant, or at the end of the paid period; and the end of any subscription.

use super::addon::{addons_cut_off, addons_ending};
use super::preview::Preview;
use super::rows::{
    GRACE_DAYS, READ_ONLY_DAYS, add, cut_json, days, fresh, json, move_end, published, window, withdraw,
};
use super::{EndAction, PlanRow, SubscriptionRow, SubscriptionStatus};
use crate::caller::RequestContext;
use crate::entitlement::desk::{By, ChangeOptions, Changed, CutShort, Desk, State, change};
use crate::entitlement::{Cause, Entry, plan_in_force};
use crate::guard::Permit;
use crate::{App, text};
use charter_kernel::entitlement::SubscriptionKind;
use charter_kernel::{Key, OrganizationId, Problem, ProblemKind, SubscriptionId, Timestamp};

/// When a change of plan takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// An upgrade at once, a downgrade at the end of the paid period.
    Auto,
    /// At once.
    Now,
    /// At an instant.
    At(Timestamp),
    /// At the end of the paid period.
    PeriodEnd,
}

/// A subscription to a plan.
#[derive(Debug, Clone)]
pub struct SubscribeDraft {
    /// The plan.
    pub plan: Key,
    /// Its version; the newest published one when left out.
    pub version: Option<u32>,
    /// When it takes effect.
    pub when: When,
    /// A downgrade before the end of the paid period.
    pub force: bool,
    /// End of the paid period; none is open.
    pub ends_at: Option<Timestamp>,
    /// Days of grace after the end.
    pub grace_days: Option<u32>,
    /// Days of reading after the grace.
    pub read_only_days: Option<u32>,
    /// Plan that follows at the end; none lets it expire.
    pub fallback_plan: Option<Key>,
    /// Stays on its version when others are moved.
    pub pinned: bool,
    /// Why.
    pub reason: String,
}

/// What a change of subscriptions did, or would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribed {
    /// The subscription.
    pub subscription: SubscriptionRow,
    /// What it means.
    pub preview: Preview,
    /// Scheduled changes that were withdrawn for it.
    pub withdrawn: Vec<SubscriptionId>,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

pub(super) fn preview_json(preview: &Preview) -> serde_json::Value {
    serde_json::to_value(preview).unwrap_or_default()
}

/// The instant a change of plan takes effect, by the rule of upgrade and downgrade.
fn takes_effect(
    desk: &Desk<'_>,
    current: Option<&SubscriptionRow>,
    plan: &PlanRow,
    draft: &SubscribeDraft,
) -> Result<Timestamp, Problem> {
    let now = desk.now;
    let Some(current) = current else {
        return match draft.when {
            When::Auto | When::Now => Ok(now),
            When::At(at) if at >= now => Ok(at),
            When::At(at) => Err(Problem::invalid("when", format!("{at} is over already: it is {now} now"))),
            When::PeriodEnd => {
                Err(Problem::invalid("when", "the organization has no plan whose end to wait for"))
            }
        };
    };
    let it = &current.subscription;
    let rank = desk.state.plan(&it.plan, it.version).map_or(0, |plan| plan.rank);
    let is_downgrade = plan.rank < rank;
    let end = it.window.to();
    let wanted = match draft.when {
        When::Now => now,
        When::At(at) if at < now => {
            return Err(Problem::invalid("when", format!("{at} is over already: it is {now} now")));
        }
        When::At(at) => at,
        When::Auto if !is_downgrade || (draft.force && end.is_none()) => now,
        When::Auto | When::PeriodEnd => end.ok_or_else(|| {
            Problem::invalid(
                "when",
                format!(
                    "the subscription to {} has no end to wait for: name an instant, or force it now",
                    it.plan
                ),
            )
        })?,
    };
    if is_downgrade && !draft.force && wanted < end.unwrap_or(Timestamp(now.0 + 1)) {
        let until =
            end.map_or_else(|| "it has no end".to_owned(), |end| format!("the paid period ends at {end}"));
        return Err(Problem::invalid(
            "when",
            format!(
                "{} is below {} ({until}): wait for the end, or force it with a reason",
                plan.key, it.plan
            ),
        ));
    }
    Ok(wanted)
}

fn cut(desk: &mut Desk<'_>, ids: Vec<SubscriptionId>, at: Timestamp, cut_short: &mut CutShort) {
    for id in ids {
        let Some(row) = desk.state.subscription(id) else { continue };
        cut_short.push((id, row.subscription.window.to()));
        // One that has not begun yet is taken back.
        if row.subscription.window.from().is_some_and(|from| from >= at && from > desk.now) {
            withdraw(desk, id);
        } else {
            move_end(desk, id, Some(at));
        }
    }
}

pub(super) fn warnings(preview: &Preview) -> Vec<String> {
    let mut warnings = Vec::new();
    for it in &preview.limits_lowered {
        if it.above > 0 {
            warnings.push(format!(
                "{}: {} are used, {} above the new limit: nothing can be added",
                it.limit, it.used, it.above
            ));
        }
    }
    for it in &preview.broken_dependencies {
        warnings.push(format!("{} needs {}, which cannot be used", it.module, it.needs));
    }
    for module in &preview.kept_by_others {
        warnings.push(format!("{module} stays on through another row"));
    }
    warnings
}

pub(super) fn settled_preview(desk: &mut Desk<'_>, before: &State, at: Timestamp) -> Preview {
    desk.state.settle();
    Preview::compare(&desk.index, before, desk.state, desk.now, at)
}

/// Adds the plan that follows at the end of another subscription.
pub(super) fn add_fallback(
    desk: &mut Desk<'_>,
    key: &Key,
    at: Timestamp,
    reason: &str,
) -> Result<SubscriptionRow, Problem> {
    let plan = published(desk, key, None).map_err(|problem| Problem {
        fields: Vec::new(),
        ..Problem::invalid("fallback_plan", problem.detail)
    })?;
    let row = fresh(desk, SubscriptionKind::Plan, &plan, 1, window("fallback_plan", at, None)?);
    add(desk, row.clone(), &plan, reason);
    Ok(row)
}

/// Subscribes an organization to a plan: at once, at an instant, or at the end of the present one. A change that was scheduled before
/// is withdrawn.
pub async fn subscribe(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    options: ChangeOptions,
    draft: SubscribeDraft,
) -> Result<Changed<Subscribed>, Problem> {
    let reason = text::demanded_reason("reason", &draft.reason)?;
    let grace_days = days("grace_days", draft.grace_days.unwrap_or(GRACE_DAYS))?;
    let read_only_days = days("read_only_days", draft.read_only_days.unwrap_or(READ_ONLY_DAYS))?;
    change(app, By::request(ctx, Cause::Api), organization, options, move |desk| {
        desk.require_customer()?;
        desk.state.settle();
        let before = desk.state.clone();
        let plan = published(desk, &draft.plan, draft.version)?;
        let scheduled: Vec<SubscriptionId> = desk
            .state
            .subscriptions
            .iter()
            .filter(|row| row.subscription.kind == SubscriptionKind::Plan)
            .filter(|row| row.subscription.window.from().is_some_and(|from| from > desk.now))
            .filter(|row| row.status != SubscriptionStatus::Ended)
            .map(|row| row.subscription.id)
            .collect();
        let mut withdrawn = Vec::new();
        for id in scheduled {
            if let Some(old) = withdraw(desk, id) {
                withdrawn.push((id, old));
            }
        }
        let current = plan_in_force(&desk.state.subscriptions, desk.now).cloned();
        if let Some(current) = &current {
            let it = &current.subscription;
            if (&it.plan, it.version) == (&plan.key, plan.version) && it.window.to() == draft.ends_at {
                return Err(Problem::new(
                    ProblemKind::Taken,
                    format!(
                        "the organization has version {} of {} already, with the same end",
                        plan.version, plan.key
                    ),
                ));
            }
        }
        let at = takes_effect(desk, current.as_ref(), &plan, &draft)?;
        let mut row = fresh(desk, SubscriptionKind::Plan, &plan, 1, window("ends_at", at, draft.ends_at)?);
        (row.grace_days, row.read_only_days, row.pinned) = (grace_days, read_only_days, draft.pinned);
        if draft.fallback_plan.is_some() {
            row.end_action = EndAction::FallbackPlan(draft.fallback_plan.clone());
        }
        let mut cut_short = CutShort::new();
        if let Some(current) = &current
            && current.subscription.window.to().is_none_or(|to| to > at)
        {
            cut(desk, vec![current.subscription.id], at, &mut cut_short);
        }
        let ending = addons_ending(desk, &plan, at);
        cut(desk, ending, at, &mut cut_short);
        add(desk, row.clone(), &plan, &reason);
        let cut_off = addons_cut_off(desk, at);
        cut(desk, cut_off, at, &mut cut_short);
        let mut fallback = None;
        if let (Some(key), Some(end)) = (&draft.fallback_plan, draft.ends_at) {
            fallback = Some(add_fallback(desk, key, end, &reason)?);
        } else if draft.fallback_plan.is_some() {
            return Err(Problem::invalid(
                "fallback_plan",
                "a plan can follow only one that has an end: give ends_at",
            ));
        }
        let preview = settled_preview(desk, &before, at);
        for (id, old) in &withdrawn {
            let mut entry = Entry::new("subscription.withdraw", "subscription", id.to_string(), &reason);
            entry.before = Some(json(old));
            desk.entries.push(entry);
        }
        let action = if at > desk.now { "plan.schedule" } else { "plan.subscribe" };
        let mut entry = Entry::new(action, "plan", format!("{} {}", plan.key, plan.version), &reason);
        entry.before = current.as_ref().map(json);
        entry.after = Some(serde_json::json!({
            "subscription": json(&row),
            "cut_short": cut_json(&cut_short),
            "fallback": fallback.as_ref().map(json),
            "preview": preview_json(&preview),
        }));
        desk.entries.push(entry);
        Ok(Subscribed {
            warnings: warnings(&preview),
            subscription: row,
            preview,
            withdrawn: withdrawn.into_iter().map(|(id, _)| id).collect(),
        })
    })
    .await
}

/// The plan that was to follow at the end of a subscription follows at its earlier end.
fn follow_on(
    desk: &mut Desk<'_>,
    ended: &SubscriptionRow,
    at: Timestamp,
    reason: &str,
) -> Result<(), Problem> {
    let EndAction::FallbackPlan(Some(key)) = &ended.end_action else { return Ok(()) };
    let end = ended.subscription.window.to();
    let follows = desk
        .state
        .subscriptions
        .iter()
        .find(|row| {
            row.status == SubscriptionStatus::Scheduled
                && row.subscription.kind == SubscriptionKind::Plan
                && row.subscription.plan == *key
                && row.subscription.window.from() == end
        })
        .map(|row| row.subscription.id);
    if let Some(id) = follows {
        withdraw(desk, id);
        add_fallback(desk, key, at, reason)?;
    }
    Ok(())
}

/// What is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Its kind, when only that kind is meant.
    pub kind: Option<SubscriptionKind>,
    /// When; at once when left out.
    pub at: Option<Timestamp>,
}

/// Ends a plan, add-on or trial at once, or at an instant; one that has not begun is withdrawn, and what it was to replace goes on.
pub async fn end(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    options: ChangeOptions,
    Ending { subscription: id, kind, at }: Ending,
    reason: &str,
) -> Result<Changed<Subscribed>, Problem> {
    let reason = text::demanded_reason("reason", reason)?;
    change(app, By::request(ctx, Cause::Api), organization, options, move |desk| {
        desk.state.settle();
        let before = desk.state.clone();
        let row = desk
            .state
            .subscription(id)
            .filter(|row| kind.is_none_or(|kind| row.subscription.kind == kind))
            .cloned()
            .ok_or_else(|| Problem::not_found(format!("no such subscription {id} in this organization")))?;
        if row.status == SubscriptionStatus::Ended {
            return Err(Problem::new(ProblemKind::InUse, format!("the subscription {id} has ended already")));
        }
        let begins_later = row.subscription.window.from().is_some_and(|from| from > desk.now);
        let at = match at {
            Some(at) if at < desk.now => {
                return Err(Problem::invalid("at", format!("{at} is over already: it is {} now", desk.now)));
            }
            Some(at) => at,
            None => desk.now,
        };
        let (action, instant) = if begins_later {
            withdraw(desk, id);
            ("subscription.withdraw", row.subscription.window.from().unwrap_or(desk.now))
        } else {
            move_end(desk, id, Some(at));
            follow_on(desk, &row, at, &reason)?;
            let action = match row.subscription.kind {
                SubscriptionKind::Plan => "plan.end",
                SubscriptionKind::Addon => "addon.end",
                SubscriptionKind::Trial => "trial.end",
            };
            (action, at)
        };
        let preview = settled_preview(desk, &before, instant);
        let after = desk.state.subscription(id).cloned().unwrap_or(row.clone());
        let mut entry = Entry::new(action, "subscription", id.to_string(), &reason);
        entry.before = Some(json(&row));
        entry.after = Some(serde_json::json!({ "ended": json(&after), "preview": preview_json(&preview) }));
        desk.entries.push(entry);
        Ok(Subscribed { warnings: warnings(&preview), subscription: after, preview, withdrawn: Vec::new() })
    })
    .await
}

/// Every subscription of an organization, ended ones too, in the order they were made.
pub async fn subscriptions(app: &App, organization: OrganizationId) -> Result<Vec<SubscriptionRow>, Problem> {
    let found =
        reading!(app.database(), organization, |conn| charter_store::subscription::list(conn, organization))?;
    Ok(found)
}
