//! Add-ons: what lies beside a plan, and ends by itself when the plan includes it or takes away what it needs.

use super::rows::{add, cut_json, fresh, json, modules_of, published, window};
use super::subscription::{Subscribed, preview_json, settled_preview, warnings};
use super::{PlanRow, SubscriptionRow, SubscriptionStatus};
use crate::caller::RequestContext;
use crate::entitlement::desk::{By, ChangeOptions, Changed, CutShort, Desk, change};
use crate::entitlement::{Access, Cause, Entry, Standings};
use crate::guard::Permit;
use crate::{App, text};
use charter_kernel::entitlement::SubscriptionKind;
use charter_kernel::{Key, ModuleKey, OrganizationId, Problem, ProblemKind, SubscriptionId, Timestamp};

/// An add-on to be added.
#[derive(Debug, Clone)]
pub struct AddonDraft {
    /// The plan that describes it.
    pub plan: Key,
    /// Its version; the newest published one when left out.
    pub version: Option<u32>,
    /// How many times.
    pub quantity: u32,
    /// When it begins; at once when left out.
    pub starts_at: Option<Timestamp>,
    /// When it ends; none is open.
    pub ends_at: Option<Timestamp>,
    /// Stays on its version when others are moved.
    pub pinned: bool,
    /// Why.
    pub reason: String,
}

/// The add-ons that end with a change to a plan: those it includes, and those whose modules need one it does not bring.
pub(super) fn addons_ending(desk: &Desk<'_>, plan: &PlanRow, at: Timestamp) -> Vec<SubscriptionId> {
    let included = modules_of(plan, &desk.index);
    let mut ending = Vec::new();
    for row in &desk.state.subscriptions {
        let it = &row.subscription;
        if it.kind != SubscriptionKind::Addon
            || row.status == SubscriptionStatus::Ended
            || it.window.is_over(at)
        {
            continue;
        }
        let Some(addon) = desk.state.plan(&it.plan, it.version) else { continue };
        let modules = modules_of(addon, &desk.index);
        let is_included = !modules.is_empty() && modules.is_subset(&included) && addon.limits.is_empty();
        if is_included {
            ending.push(it.id);
        }
    }
    ending
}

/// The add-ons whose modules need one that, after the change, nothing brings.
pub(super) fn addons_cut_off(desk: &Desk<'_>, at: Timestamp) -> Vec<SubscriptionId> {
    let standings = Standings::new(&desk.state.facts, &desk.index);
    let usable = |key: &ModuleKey| {
        let module = desk.catalogue().module(key.as_str());
        module.is_some_and(|module| matches!(standings.module(module, at).access, Access::Full))
    };
    let cut_off = |row: &&SubscriptionRow| {
        let it = &row.subscription;
        let Some(addon) = desk.state.plan(&it.plan, it.version) else { return false };
        let modules = modules_of(addon, &desk.index);
        modules
            .iter()
            .filter_map(|key| desk.catalogue().module(key.as_str()))
            .flat_map(|module| &module.depends_on)
            .any(|needed| !modules.contains(needed) && !usable(needed))
    };
    desk.state
        .subscriptions
        .iter()
        .filter(|row| {
            row.subscription.kind == SubscriptionKind::Addon && row.status != SubscriptionStatus::Ended
        })
        .filter(|row| !row.subscription.window.is_over(at))
        .filter(cut_off)
        .map(|row| row.subscription.id)
        .collect()
}

/// Adds an add-on.
pub async fn add_addon(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    options: ChangeOptions,
    draft: AddonDraft,
) -> Result<Changed<Subscribed>, Problem> {
    let reason = text::demanded_reason("reason", &draft.reason)?;
    if draft.quantity == 0 || draft.quantity > 1_000_000 {
        return Err(Problem::invalid("quantity", "a whole number from 1 to 1000000 is expected"));
    }
    change(app, By::request(ctx, Cause::Api), organization, options, move |desk| {
        desk.require_customer()?;
        desk.state.settle();
        let before = desk.state.clone();
        let plan = published(desk, &draft.plan, draft.version)?;
        let at = draft.starts_at.unwrap_or(desk.now).max(desk.now);
        let has = desk.state.subscriptions.iter().find(|row| {
            row.subscription.kind == SubscriptionKind::Addon
                && row.status != SubscriptionStatus::Ended
                && row.subscription.plan == plan.key
                && !row.subscription.window.is_over(at)
        });
        if let Some(has) = has {
            return Err(Problem::new(
                ProblemKind::Taken,
                format!(
                    "the organization has the add-on {} already ({}): end that one first",
                    plan.key, has.subscription.id
                ),
            ));
        }
        let mut row = fresh(
            desk,
            SubscriptionKind::Addon,
            &plan,
            draft.quantity,
            window("ends_at", at, draft.ends_at)?,
        );
        row.pinned = draft.pinned;
        add(desk, row.clone(), &plan, &reason);
        let preview = settled_preview(desk, &before, at);
        let mut entry = Entry::new("addon.add", "addon", format!("{} {}", plan.key, plan.version), &reason);
        entry.after = Some(serde_json::json!({
            "subscription": json(&row),
            "cut_short": cut_json(&CutShort::new()),
            "preview": preview_json(&preview),
        }));
        desk.entries.push(entry);
        Ok(Subscribed { warnings: warnings(&preview), subscription: row, preview, withdrawn: Vec::new() })
    })
    .await
}
