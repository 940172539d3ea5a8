//! Entitlements: what an organization may use. `standing.rs` has the rules over rows, `desk.rs` the one way rows change, `overrides.rs`
//! what people change by hand, `legacy.rs` the taking over of `enabled_modules` and `truncate.rs` the way back, `chain.rs` the events. Plans and subscriptions, which
//! bring most rows, live in `plan`; amounts in `limit`.

mod chain;
pub(crate) mod desk;
mod legacy;
mod overrides;
mod standing;
mod truncate;

pub use chain::{Cause, EntitlementEvent, Entry, canonical, events, verify};
pub(crate) use chain::{Origin, actor_text, append as append_events};
pub use desk::{ChangeOptions, Changed};
pub use legacy::{LegacyReport, migrate_legacy, migrate_legacy_all};
pub(crate) use legacy::{keep_legacy_word as legacy_word, reopen_legacy_word};
pub use overrides::{
    OverrideDraft, OverrideKind, OverrideView, add_preview, delete_override, put_override, remove_preview,
};
pub use standing::{Access, Standing, Standings};
pub use truncate::{ModuleChange, Truncated, truncate};

use crate::App;
use crate::caller::RequestContext;
use charter_kernel::catalogue::{Module, ModuleScope};
use charter_kernel::entitlement::{EntitlementFact, EntitlementSource, PreviewFact};
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{
    Key, ModuleKey, OrganizationId, PrincipalId, Problem, Revision, SubmoduleKey, Timestamp,
};
use charter_policy::Index;
use charter_store as store;
use desk::State;
use std::sync::Arc;
use store::subscription::{SubscriptionRow, SubscriptionStatus};

/// A row with its version and who changed it.
pub use charter_store::entitlement::EntitlementRow;

/// From how many days before its end on a right is warned about.
const WARN_DAYS: i64 = 14;
const DAY_SECONDS: i64 = 86_400;

/// The modules of the catalogue.
pub fn modules(app: &App) -> Vec<Module> {
    app.snapshots().catalogue().modules.clone()
}

/// How one module or submodule stands, in words.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingView {
    /// The module.
    pub module: ModuleKey,
    /// The submodule, or the module as a whole.
    pub submodule: Option<SubmoduleKey>,
    /// Its name (of a module) or what it is (of a submodule).
    pub name: String,
    /// Entitlements never switch it off.
    pub always_on: bool,
    /// Whether it may be used by everybody, grace included.
    pub entitled: bool,
    /// How far it may be used.
    pub access: Access,
    /// Why, as a word that never changes.
    pub reason: &'static str,
    /// Source of the row that decides; none for rules without a row.
    pub source: Option<EntitlementSource>,
    /// Which subscription, add-on, trial.
    pub source_id: String,
    /// The next instant at which this becomes another answer by itself.
    pub until: Option<Timestamp>,
    /// What somebody should know: an end that nears, a grace that runs, a module it needs.
    pub warnings: Vec<String>,
    /// The parts of a module.
    pub submodules: Vec<StandingView>,
}

/// Everything an organization may use.
#[derive(Debug, Clone, PartialEq)]
pub struct OrganizationEntitlements {
    /// The organization.
    pub organization: OrganizationId,
    /// Its key.
    pub key: Key,
    /// The revision it was read from.
    pub revision: Revision,
    /// How many changes of entitlements there were.
    pub version: u64,
    /// The plan in force and its version.
    pub plan: Option<(Key, u32)>,
    /// No row decides anything: the legacy document does.
    pub is_legacy: bool,
    /// The modules, in the order of the catalogue.
    pub modules: Vec<StandingView>,
    /// The earliest instant at which any of this becomes another answer by itself.
    pub until: Option<Timestamp>,
}

/// The rows behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct OrganizationRows {
    /// The revision they were read from.
    pub revision: Revision,
    /// Each row with its source.
    pub rows: Vec<EntitlementRow>,
    /// The preview lists.
    pub previews: Vec<PreviewFact>,
    /// The subscriptions, ended ones too.
    pub subscriptions: Vec<SubscriptionRow>,
}

/// The answer to whether something may be used.
#[derive(Debug, Clone, PartialEq)]
pub struct EntitlementCheck {
    /// Whether it may.
    pub entitled: bool,
    /// How far the module or part may be used.
    pub access: Access,
    /// Why, as a word that never changes.
    pub reason: &'static str,
    /// The next instant at which the answer may become another by itself.
    pub until: Option<Timestamp>,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

fn warnings(
    standings: &Standings<'_>,
    index: &Index,
    module: &Module,
    standing: &Standing<'_>,
    now: Timestamp,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let row = standing.row;
    let shown = |at: Option<Timestamp>| at.map_or_else(|| "?".to_owned(), |at| at.to_string());
    match (standing.access, row) {
        (Access::Full | Access::Preview, Some(row)) => {
            if let Some(end) = row.window.to()
                && end <= now.plus_seconds(WARN_DAYS * DAY_SECONDS)
            {
                warnings.push(format!("the {} that gives it ends at {end}", row.source.as_str()));
            }
        }
        (Access::Grace, Some(row)) => warnings.push(format!(
            "the right to it ended at {}: it goes on until {}",
            shown(row.window.to()),
            shown(row.grace_until)
        )),
        (Access::ReadOnly, Some(row)) => warnings.push(format!(
            "the right to it ended at {}: reading and export go on until {}",
            shown(row.window.to()),
            shown(row.read_only_until)
        )),
        _ => {}
    }
    if standing.is_usable() {
        for needed in standings.missing(module, index, now) {
            warnings.push(format!("it needs the module {needed}, which cannot be used"));
        }
    }
    warnings
}

fn view(
    standings: &Standings<'_>,
    index: &Index,
    module: &Module,
    submodule: Option<&(SubmoduleKey, String)>,
    now: Timestamp,
) -> StandingView {
    let standing = match submodule {
        None => standings.module(module, now),
        Some((key, _)) => standings.submodule(module, key, now),
    };
    StandingView {
        module: module.key.clone(),
        submodule: submodule.map(|(key, _)| key.clone()),
        name: submodule.map_or_else(|| module.name.clone(), |(_, what)| what.clone()),
        always_on: module.always_on,
        entitled: matches!(standing.access, Access::Full | Access::Grace),
        access: standing.access,
        reason: standing.reason,
        source: standing.row.map(|row| row.source),
        source_id: standing.row.map(|row| row.source_id.clone()).unwrap_or_default(),
        until: standings.until(module, submodule.map(|(key, _)| key), now),
        warnings: if submodule.is_none() {
            warnings(standings, index, module, &standing, now)
        } else {
            Vec::new()
        },
        submodules: if submodule.is_none() {
            module.submodules.iter().map(|part| view(standings, index, module, Some(part), now)).collect()
        } else {
            Vec::new()
        },
    }
}

/// How every module of the catalogue stands in an organization; system modules are left out.
pub(crate) fn effective(facts: &OrganizationFacts, index: &Index, now: Timestamp) -> Vec<StandingView> {
    let standings = Standings::new(facts, index);
    index
        .catalogue()
        .modules
        .iter()
        .filter(|module| module.scope == ModuleScope::Organization)
        .map(|module| view(&standings, index, module, None, now))
        .collect()
}

/// The plan subscription in force.
pub(crate) fn plan_in_force(subscriptions: &[SubscriptionRow], now: Timestamp) -> Option<&SubscriptionRow> {
    subscriptions
        .iter()
        .filter(|row| row.status != SubscriptionStatus::Ended)
        .filter(|row| row.subscription.kind == charter_kernel::entitlement::SubscriptionKind::Plan)
        .find(|row| row.subscription.window.is_live(now))
}

/// Everything an organization may use now, with reasons.
pub async fn of_organization(
    app: &App,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<OrganizationEntitlements, Problem> {
    let index = app.snapshots().index();
    let facts = crate::facts(app, organization).await?;
    let version =
        reading!(app.database(), organization, |conn| store::entitlement::version(conn, organization))?;
    let modules = effective(&facts, &index, now);
    let plan = facts
        .subscriptions
        .iter()
        .find(|it| it.kind == charter_kernel::entitlement::SubscriptionKind::Plan && it.window.is_live(now))
        .map(|it| (it.plan.clone(), it.version));
    Ok(OrganizationEntitlements {
        organization,
        key: facts.organization.key.clone(),
        revision: facts.organization.revision,
        version,
        plan,
        is_legacy: facts.entitlements.is_empty() && facts.organization.enabled_modules.is_some(),
        until: modules
            .iter()
            .flat_map(|module| std::iter::once(module).chain(&module.submodules))
            .filter_map(|standing| standing.until)
            .min(),
        modules,
    })
}

/// The rows behind it, with their sources.
pub async fn rows(app: &App, organization: OrganizationId) -> Result<OrganizationRows, Problem> {
    let state = State::load(app, organization).await?;
    let rows = reading!(app.database(), organization, |conn| store::entitlement::list(conn, organization))?;
    Ok(OrganizationRows {
        revision: state.facts.organization.revision,
        rows,
        previews: state.facts.previews,
        subscriptions: state.subscriptions,
    })
}

/// The module a key names.
pub(crate) fn module<'a>(index: &'a Index, key: &ModuleKey) -> Result<&'a Module, Problem> {
    index
        .catalogue()
        .module(key.as_str())
        .ok_or_else(|| Problem::not_found(format!("no module {key} in the catalogue")))
}

/// The same, and its submodule if one is named.
pub(crate) fn part<'a>(
    index: &'a Index,
    key: &ModuleKey,
    submodule: Option<&SubmoduleKey>,
) -> Result<&'a Module, Problem> {
    let module = module(index, key)?;
    if let Some(submodule) = submodule
        && !module.submodules.iter().any(|(known, _)| known == submodule)
    {
        return Err(Problem::not_found(format!("the module {key} has no submodule {submodule}")));
    }
    Ok(module)
}

/// Whether the organization may use a module, or a part of it, for an action; for the caller when one is signed in.
pub async fn check(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    module: &ModuleKey,
    submodule: Option<&SubmoduleKey>,
    action: Option<&str>,
) -> Result<EntitlementCheck, Problem> {
    let index: Arc<Index> = app.snapshots().index();
    let facts = crate::facts(app, organization).await?;
    let standings = Standings::new(&facts, &index);
    let module = part(&index, module, submodule)?;
    let standing = match submodule {
        None => standings.module(module, ctx.now),
        Some(submodule) => standings.submodule(module, submodule, ctx.now),
    };
    let previewed = ctx.principal().is_some_and(|it| standings.is_previewed(&module.key, it.id));
    let entitled = standing.allows(action, previewed);
    let reason = match standing.access {
        Access::Preview if !entitled => charter_kernel::Reason::PreviewOnly.as_str(),
        _ => standing.reason,
    };
    Ok(EntitlementCheck {
        entitled,
        access: standing.access,
        reason,
        until: standings.until(module, submodule, ctx.now),
        warnings: warnings(&standings, &index, module, &standing, ctx.now),
    })
}

/// A row as events and the audit trail keep it.
pub(crate) fn row_json(row: &EntitlementFact) -> serde_json::Value {
    serde_json::json!({
        "module": row.module,
        "submodule": row.submodule,
        "source": row.source.as_str(),
        "source_id": row.source_id,
        "status": row.status.as_str(),
        "from": row.window.from(),
        "to": row.window.to(),
        "grace_until": row.grace_until,
        "read_only_until": row.read_only_until,
        "reason": row.reason,
    })
}

/// A member named by login or id.
pub(crate) fn member(facts: &OrganizationFacts, who: &str) -> Result<PrincipalId, Problem> {
    crate::member::find(facts, who).map(|member| member.principal)
}

/// The organizations of an installation, page by page; the platform organization is left out.
pub(crate) async fn customers(
    app: &App,
    after: OrganizationId,
) -> Result<(Vec<(OrganizationId, Key)>, Option<OrganizationId>), Problem> {
    const PAGE: u32 = 500;
    let found = reading_all!(app.database(), |conn| store::organization::page(conn, after, PAGE))?;
    let last = found.rows.last().map(|row| row.organization.id).filter(|_| found.more);
    let platform = app.platform();
    let rows = found
        .rows
        .into_iter()
        .map(|row| (row.organization.id, row.organization.key))
        .filter(|(id, _)| *id != platform)
        .collect();
    Ok((rows, last))
}
