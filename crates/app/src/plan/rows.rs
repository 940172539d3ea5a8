//! What a subscription is made of: the entitlement rows it brings, of its source and with its id, and how both begin, move and end
//! together. A change that lies ahead is written with its instants at once, so that it takes effect on time whether or not a job runs.

use super::{DAYS_MAX, EndAction, PlanRow, PlanStatus, SubscriptionRow, SubscriptionStatus};
use crate::entitlement::desk::{CutShort, Desk};
use crate::entitlement::legacy_word;
use charter_kernel::catalogue::Module;
use charter_kernel::entitlement::{
    EntitlementFact, EntitlementSource, EntitlementStatus, SubscriptionFact, SubscriptionKind,
};
use charter_kernel::{Key, ModuleKey, Problem, SubmoduleKey, SubscriptionId, Timestamp, Window};
use charter_policy::Index;
use std::collections::{BTreeMap, BTreeSet};

/// Days of grace after an end, when nothing else is said.
pub(super) const GRACE_DAYS: u32 = 7;
/// Days of reading after the grace, when nothing else is said.
pub(super) const READ_ONLY_DAYS: u32 = 30;
const DAY_SECONDS: i64 = 86_400;

pub(super) fn days(field: &str, days: u32) -> Result<u32, Problem> {
    if days > DAYS_MAX {
        return Err(Problem::invalid(field, format!("at most {DAYS_MAX} days are allowed")));
    }
    Ok(days)
}

pub(super) fn after_days(at: Timestamp, days: u32) -> Timestamp {
    at.plus_seconds(i64::from(days) * DAY_SECONDS).min(Timestamp::MAX)
}

const fn source(kind: SubscriptionKind) -> EntitlementSource {
    match kind {
        SubscriptionKind::Plan => EntitlementSource::Plan,
        SubscriptionKind::Addon => EntitlementSource::Addon,
        SubscriptionKind::Trial => EntitlementSource::Trial,
    }
}

/// The published version a draft means.
pub(super) fn published(desk: &Desk<'_>, key: &Key, version: Option<u32>) -> Result<PlanRow, Problem> {
    let mut known = desk.state.plans.iter().filter(|plan| plan.key == *key).peekable();
    if known.peek().is_none() {
        return Err(Problem::invalid("plan", format!("no plan {key}")));
    }
    let found = known
        .filter(|plan| {
            plan.status == PlanStatus::Published && version.is_none_or(|wanted| plan.version == wanted)
        })
        .max_by_key(|plan| plan.version);
    found.cloned().ok_or_else(|| match version {
        Some(version) => {
            Problem::invalid("version", format!("version {version} of {key} is not a published one"))
        }
        None => Problem::invalid("plan", format!("no version of {key} is published")),
    })
}

/// The modules of a plan that entitlements can switch.
pub(super) fn modules_of(plan: &PlanRow, index: &Index) -> BTreeSet<ModuleKey> {
    let switched = |key: &ModuleKey| index.catalogue().module(key.as_str()).is_some_and(|it| !it.always_on);
    plan.entitlements.iter().map(|line| &line.module).filter(|module| switched(module)).cloned().collect()
}

/// The submodules a plan version lists for a module, or nothing when it has the module as a whole.
fn listed_parts(plan: &PlanRow, module: &Module) -> Option<BTreeMap<SubmoduleKey, bool>> {
    let lines = || plan.entitlements.iter().filter(|line| line.module == module.key);
    let whole = lines().find(|line| line.submodule.is_none());
    let listed: BTreeMap<SubmoduleKey, bool> =
        lines().filter_map(|line| Some((line.submodule.clone()?, line.preview))).collect();
    match whole {
        None => Some(listed),
        // All of it, some parts otherwise: a source that lists parts lists them all.
        Some(whole) if listed.values().any(|preview| *preview != whole.preview) => {
            let all = module.submodules.iter();
            Some(
                all.map(|(key, _)| (key.clone(), listed.get(key).copied().unwrap_or(whole.preview)))
                    .collect(),
            )
        }
        Some(_) => None,
    }
}

/// The rows a subscription brings.
fn rows_of(row: &SubscriptionRow, plan: &PlanRow, index: &Index, reason: &str) -> Vec<EntitlementFact> {
    let it = &row.subscription;
    let make = |module: &ModuleKey, submodule: Option<SubmoduleKey>, preview: bool| {
        let mut fact = EntitlementFact {
            module: module.clone(),
            submodule,
            source: source(it.kind),
            source_id: it.id.to_string(),
            status: if preview { EntitlementStatus::Preview } else { EntitlementStatus::Enabled },
            window: it.window,
            grace_until: None,
            read_only_until: None,
            reason: reason.to_owned(),
        };
        follow(&mut fact, row);
        fact
    };
    let mut rows = Vec::new();
    for key in modules_of(plan, index) {
        let Some(module) = index.catalogue().module(key.as_str()) else { continue };
        let preview = plan.entitlements.iter().filter(|line| line.module == key).all(|line| line.preview);
        rows.push(make(&key, None, preview));
        for (submodule, part_preview) in listed_parts(plan, module).into_iter().flatten() {
            rows.push(make(&key, Some(submodule), part_preview));
        }
    }
    rows
}

/// Brings a row's instants in line with its subscription.
fn follow(fact: &mut EntitlementFact, row: &SubscriptionRow) {
    fact.window = row.subscription.window;
    let end = row.subscription.window.to();
    fact.grace_until = end.filter(|_| row.grace_days > 0).map(|end| after_days(end, row.grace_days));
    fact.read_only_until = end
        .filter(|_| row.read_only_days > 0)
        .map(|end| after_days(after_days(end, row.grace_days), row.read_only_days));
}

fn is_of(fact: &EntitlementFact, row: &SubscriptionRow) -> bool {
    fact.source == source(row.subscription.kind) && fact.source_id == row.subscription.id.to_string()
}

/// Adds a subscription with its rows.
pub(super) fn add(desk: &mut Desk<'_>, row: SubscriptionRow, plan: &PlanRow, reason: &str) {
    let rows = rows_of(&row, plan, &desk.index, reason);
    // The legacy document has no say in a module that has a row. A plan takes over from it when it begins; what only lies over it
    // (a trial, an add-on) leaves it as it is.
    let modules: Vec<ModuleKey> = modules_of(plan, &desk.index).into_iter().collect();
    let starts = row.subscription.window.from();
    match row.subscription.kind {
        SubscriptionKind::Plan => {
            if let Some(starts) = starts.filter(|starts| *starts > desk.now) {
                legacy_word(desk, &modules, Some(starts), reason);
            }
        }
        SubscriptionKind::Addon | SubscriptionKind::Trial => legacy_word(desk, &modules, None, reason),
    }
    desk.state.facts.entitlements.extend(rows);
    desk.state.subscriptions.push(row);
}

/// Moves the end of a subscription and of its rows. One that would end before it was ever in force is over, and its rows go.
pub(super) fn move_end(desk: &mut Desk<'_>, id: SubscriptionId, end: Option<Timestamp>) {
    let now = desk.now;
    let Some(row) = desk.state.subscriptions.iter_mut().find(|row| row.subscription.id == id) else { return };
    row.updated_at = now;
    let Ok(window) = Window::new(row.subscription.window.from(), end) else {
        row.status = SubscriptionStatus::Ended;
        let row = row.clone();
        desk.state.facts.entitlements.retain(|fact| !is_of(fact, &row));
        return;
    };
    row.subscription.window = window;
    if window.is_over(now) {
        row.status = SubscriptionStatus::Ended;
    }
    let row = row.clone();
    for fact in desk.state.facts.entitlements.iter_mut().filter(|fact| is_of(fact, &row)) {
        follow(fact, &row);
    }
}

/// Takes back a subscription that has not begun: its rows were never in force and go, and what it cut short gets its end back.
pub(super) fn withdraw(desk: &mut Desk<'_>, id: SubscriptionId) -> Option<SubscriptionRow> {
    let now = desk.now;
    let row = desk.state.subscriptions.iter_mut().find(|row| row.subscription.id == id)?;
    let old = row.clone();
    row.status = SubscriptionStatus::Ended;
    row.updated_at = now;
    desk.state.facts.entitlements.retain(|fact| !is_of(fact, &old));
    for (cut, end) in desk.state.cut_short.remove(&id).unwrap_or_default() {
        let open = desk.state.subscription(cut).is_some_and(|row| row.status != SubscriptionStatus::Ended);
        if open {
            move_end(desk, cut, end);
        }
    }
    if let Some(starts) = old.subscription.window.from() {
        crate::entitlement::reopen_legacy_word(desk, starts);
    }
    Some(old)
}

/// A subscription as events keep it.
pub(super) fn json(row: &SubscriptionRow) -> serde_json::Value {
    let it = &row.subscription;
    let (end_action, fallback) = match &row.end_action {
        EndAction::Expire => ("expire", None),
        EndAction::FallbackPlan(plan) => ("fallback_plan", plan.as_ref()),
    };
    serde_json::json!({
        "id": it.id,
        "kind": it.kind.as_str(),
        "plan": it.plan,
        "version": it.version,
        "quantity": it.quantity,
        "starts_at": it.window.from(),
        "ends_at": it.window.to(),
        "grace_days": row.grace_days,
        "read_only_days": row.read_only_days,
        "end_action": end_action,
        "fallback_plan": fallback,
        "pinned": row.pinned,
    })
}

pub(super) fn cut_json(cut: &CutShort) -> serde_json::Value {
    cut.iter().map(|(id, ends_at)| serde_json::json!({ "id": id, "ends_at": ends_at })).collect()
}

pub(super) fn fresh(
    desk: &Desk<'_>,
    kind: SubscriptionKind,
    plan: &PlanRow,
    quantity: u32,
    window: Window,
) -> SubscriptionRow {
    let begins_later = window.from().is_some_and(|from| from > desk.now);
    SubscriptionRow {
        subscription: SubscriptionFact {
            id: SubscriptionId(desk.fresh_id()),
            kind,
            plan: plan.key.clone(),
            version: plan.version,
            quantity,
            window,
            limits: Vec::new(),
        },
        status: if begins_later { SubscriptionStatus::Scheduled } else { SubscriptionStatus::Active },
        grace_days: GRACE_DAYS,
        read_only_days: READ_ONLY_DAYS,
        end_action: EndAction::Expire,
        pinned: false,
        created_at: desk.now,
        updated_at: desk.now,
    }
}

pub(super) fn window(field: &str, from: Timestamp, to: Option<Timestamp>) -> Result<Window, Problem> {
    Window::new(Some(from), to).map_err(|error| Problem::invalid(field, error.to_string()))
}
