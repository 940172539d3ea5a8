//! Subscriptions: plan, add-ons, trials. A subscription brings entitlement rows of its source and with its id; its end is their end,
//! followed by grace and a read-only time. A change that lies ahead is written with its instants at once, so that it takes effect on
//! time whether or not a job runs; the sweeper only moves its status.

use super::preview::Preview;
use super::{DAYS_MAX, EndAction, PlanRow, PlanStatus, SubscriptionRow, SubscriptionStatus};
use crate::caller::RequestContext;
use crate::entitlement::desk::{By, ChangeOptions, Changed, CutShort, Desk, State, change};
use crate::entitlement::{Cause, Entry, Standings, legacy_word, plan_in_force};
use crate::guard::Permit;
use crate::{App, text};
use charter_kernel::catalogue::Module;
use charter_kernel::entitlement::{
    EntitlementFact, EntitlementSource, EntitlementStatus, SubscriptionFact, SubscriptionKind,
};
use charter_kernel::{
    Key, ModuleKey, OrganizationId, Problem, ProblemKind, SubmoduleKey, SubscriptionId, Timestamp, Window,
};
use charter_policy::Index;
use std::collections::{BTreeMap, BTreeSet};

/// Days of grace after an end, when nothing else is said.
pub const GRACE_DAYS: u32 = 7;
/// Days of reading after the grace, when nothing else is said.
pub const READ_ONLY_DAYS: u32 = 30;
const DAY_SECONDS: i64 = 86_400;

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

fn days(field: &str, days: u32) -> Result<u32, Problem> {
    if days > DAYS_MAX {
        return Err(Problem::invalid(field, format!("at most {DAYS_MAX} days are allowed")));
    }
    Ok(days)
}

fn after_days(at: Timestamp, days: u32) -> Timestamp {
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
fn published(desk: &Desk<'_>, key: &Key, version: Option<u32>) -> Result<PlanRow, Problem> {
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

fn preview_json(preview: &Preview) -> serde_json::Value {
    serde_json::to_value(preview).unwrap_or_default()
}

fn fresh(
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

fn window(field: &str, from: Timestamp, to: Option<Timestamp>) -> Result<Window, Problem> {
    Window::new(Some(from), to).map_err(|error| Problem::invalid(field, error.to_string()))
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

/// The add-ons that end with a change to a plan: those it includes, and those whose modules need one it does not bring.
fn addons_ending(desk: &Desk<'_>, plan: &PlanRow, at: Timestamp) -> Vec<SubscriptionId> {
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
fn addons_cut_off(desk: &Desk<'_>, at: Timestamp) -> Vec<SubscriptionId> {
    let standings = Standings::new(&desk.state.facts, &desk.index);
    let usable = |key: &ModuleKey| {
        let module = desk.catalogue().module(key.as_str());
        module.is_some_and(|module| {
            matches!(standings.module(module, at).access, crate::entitlement::Access::Full)
        })
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

fn warnings(preview: &Preview) -> Vec<String> {
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

fn settled_preview(desk: &mut Desk<'_>, before: &State, at: Timestamp) -> Preview {
    desk.state.settle();
    Preview::compare(&desk.index, before, desk.state, desk.now, at)
}

/// Adds the plan that follows at the end of another subscription.
fn add_fallback(
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
