//! Plans: versions that never change once published, the draft that becomes the next one, and (in `subscription.rs`, `addon.rs`,
//! `trial.rs`, `rows.rs`, `preview.rs`, `migrate.rs`, `sweep.rs`) what organizations subscribe to.

mod addon;
mod migrate;
mod preview;
mod rows;
mod subscription;
mod sweep;
mod trial;

pub use addon::{AddonDraft, add_addon};
pub use migrate::{MigrateOptions, MigrationReport, migrate};
pub use preview::{AffectedUser, BrokenDependency, EndingAddon, EndingModule, LoweredLimit, Preview};
pub use subscription::{Ending, SubscribeDraft, Subscribed, When, end, subscribe, subscriptions};
pub use sweep::{Swept, forget_usage_events, sweep};
pub use trial::{TrialDraft, TrialEnd, start_trial};

pub use charter_store::plan::{PlanEntitlement, PlanRow, PlanStatus};
pub use charter_store::subscription::{EndAction, SubscriptionRow, SubscriptionStatus};

use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use crate::{App, audit, text};
use charter_db::{BoxFuture, Scope};
use charter_kernel::catalogue::{Catalogue, ModuleScope};
use charter_kernel::entitlement::PlanLimit;
use charter_kernel::{Key, ModuleKey, Problem, ProblemKind};
use charter_store as store;
use std::collections::BTreeSet;

/// Longest trial and grace, in days.
pub(crate) const DAYS_MAX: u32 = 3_650;

/// A version of a plan to be written.
#[derive(Debug, Clone)]
pub struct PlanDraft {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Orders plans for upgrade and downgrade.
    pub rank: i64,
    /// Days of trial; zero for none.
    pub trial_days: u32,
    /// What it enables.
    pub entitlements: Vec<PlanEntitlement>,
    /// What it limits; a limit left out is unlimited.
    pub limits: Vec<PlanLimit>,
}

/// A draft as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Drafted {
    /// The version.
    pub plan: PlanRow,
    /// What somebody should know before it is published.
    pub warnings: Vec<String>,
}

/// Every version of every plan, by key and version.
pub async fn list(app: &App) -> Result<Vec<PlanRow>, Problem> {
    reading_all!(app.database(), |conn| store::plan::list(conn))
}

fn no_plan(key: &Key) -> Problem {
    Problem::not_found(format!("no plan {key}"))
}

/// The versions of a plan, oldest first.
pub async fn versions(app: &App, key: &Key) -> Result<Vec<PlanRow>, Problem> {
    let wanted = key.clone();
    let found =
        reading_all!(app.database(), |conn| async move { store::plan::versions(conn, &wanted).await })?;
    if found.is_empty() { Err(no_plan(key)) } else { Ok(found) }
}

/// One version of a plan; the newest published one when none is named.
pub async fn get(app: &App, key: &Key, version: Option<u32>) -> Result<PlanRow, Problem> {
    let wanted = key.clone();
    let found = reading_all!(app.database(), |conn| async move {
        match version {
            Some(version) => store::plan::get(conn, &wanted, version).await,
            None => store::plan::latest(conn, &wanted).await,
        }
    })?;
    found.ok_or_else(|| match version {
        Some(version) => Problem::not_found(format!("no version {version} of a plan {key}")),
        None => Problem::not_found(format!("no published plan {key}")),
    })
}

/// A plan version as the audit trail keeps it.
fn record(plan: &PlanRow) -> String {
    serde_json::json!({
        "key": plan.key,
        "version": plan.version,
        "name": plan.name,
        "description": plan.description,
        "rank": plan.rank,
        "trial_days": plan.trial_days,
        "status": plan.status.as_str(),
        "modules": plan.entitlements.iter().map(|it| serde_json::json!({
            "module": it.module,
            "submodule": it.submodule,
            "access": if it.preview { "preview" } else { "full" },
        })).collect::<Vec<_>>(),
        "limits": plan.limits.iter().map(|it| serde_json::json!({
            "limit": it.limit,
            "value": it.value,
            "enforcement": it.enforcement.as_str(),
            "warn_percent": it.warn_percent,
        })).collect::<Vec<_>>(),
    })
    .to_string()
}

/// Checks a draft against the catalogue, and tells what is worth knowing.
fn checked(catalogue: &Catalogue, draft: &PlanDraft) -> Result<Vec<String>, Problem> {
    let mut lines = BTreeSet::new();
    for (at, line) in draft.entitlements.iter().enumerate() {
        let field = format!("modules.{at}");
        let module = catalogue
            .module(line.module.as_str())
            .ok_or_else(|| Problem::invalid(&field, format!("no module {} in the catalogue", line.module)))?;
        if module.scope == ModuleScope::System {
            return Err(Problem::invalid(
                &field,
                format!("{} belongs to the platform organization", module.key),
            ));
        }
        if let Some(submodule) = &line.submodule
            && !module.submodules.iter().any(|(known, _)| known == submodule)
        {
            return Err(Problem::invalid(
                &field,
                format!("the module {} has no submodule {submodule}", module.key),
            ));
        }
        if !lines.insert((&line.module, &line.submodule)) {
            return Err(Problem::invalid(&field, "stands twice"));
        }
    }
    let mut limits = BTreeSet::new();
    for (at, limit) in draft.limits.iter().enumerate() {
        let field = format!("limits.{at}");
        if !catalogue.limits.iter().any(|known| known.key == limit.limit) {
            return Err(Problem::invalid(&field, format!("no limit {} in the catalogue", limit.limit)));
        }
        if limit.value.is_some_and(|value| value < 0) {
            return Err(Problem::invalid(&field, "a limit is zero or more; null is unlimited"));
        }
        if limit.warn_percent > 100 {
            return Err(Problem::invalid(&field, "warn_percent is a share from 0 to 100"));
        }
        if !limits.insert(&limit.limit) {
            return Err(Problem::invalid(&field, "stands twice"));
        }
    }
    if draft.trial_days > DAYS_MAX {
        return Err(Problem::invalid("trial_days", format!("at most {DAYS_MAX} days are allowed")));
    }
    let has = |key: &ModuleKey| {
        catalogue.module(key.as_str()).is_some_and(|module| module.always_on)
            || draft.entitlements.iter().any(|line| line.module == *key)
    };
    let mut warnings = Vec::new();
    for module in draft.entitlements.iter().filter_map(|line| catalogue.module(line.module.as_str())) {
        for needed in module.depends_on.iter().filter(|needed| !has(needed)) {
            warnings.push(format!("{} needs {needed}, which the plan does not have", module.key));
        }
    }
    warnings.sort();
    warnings.dedup();
    Ok(warnings)
}

/// Writes the draft of the next version of a plan, or of the first version of a new one; a draft there is already is replaced.
pub async fn draft_version(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    key: Key,
    draft: PlanDraft,
    reason: &str,
) -> Result<Drafted, Problem> {
    let reason = text::demanded_reason("reason", reason)?;
    let name = text::name("name", &draft.name)?;
    let description = text::reason("description", &draft.description)?;
    let warnings = checked(&app.snapshots().catalogue(), &draft)?;
    let (ctx_inside, platform) = (ctx.clone(), permit.organization());
    let (plan, _) = app
        .write(Scope::Installation, platform, ctx.now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let known = store::plan::versions(transaction.tx(), &key).await?;
                let newest = known.last();
                let old = newest.filter(|plan| plan.status == PlanStatus::Draft);
                let version = match (old, newest) {
                    (Some(draft), _) => draft.version,
                    (None, Some(newest)) => newest.version + 1,
                    (None, None) => 1,
                };
                if old.is_some() {
                    store::plan::delete_draft(transaction.tx(), &key, version).await?;
                }
                let mut plan = PlanRow {
                    key,
                    version,
                    name,
                    description,
                    rank: draft.rank,
                    trial_days: draft.trial_days,
                    status: PlanStatus::Draft,
                    published_at: None,
                    entitlements: draft.entitlements,
                    limits: draft.limits,
                };
                plan.entitlements.sort_by(|a, b| (&a.module, &a.submodule).cmp(&(&b.module, &b.submodule)));
                plan.limits.sort_by(|a, b| a.limit.cmp(&b.limit));
                store::plan::insert(transaction.tx(), &plan).await?;
                let target = format!("{} {}", plan.key, plan.version);
                let mut event = audit::event(&ctx_inside, platform, "plan.draft", "plan", target);
                event.before = old.map(record);
                event.after = Some(record(&plan));
                event.reason = reason;
                transaction.commit(event, Vec::new(), plan).await
            }) as BoxFuture<'_, Result<Committed<PlanRow>, Problem>>
        })
        .await?;
    Ok(Drafted { plan, warnings })
}

#[derive(Clone, Copy)]
enum Step {
    Publish,
    Retire,
    Discard,
}

async fn step(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    (key, version): (Key, u32),
    step: Step,
    reason: &str,
) -> Result<PlanRow, Problem> {
    let reason = text::demanded_reason("reason", reason)?;
    let (ctx_inside, platform) = (ctx.clone(), permit.organization());
    let (plan, _) = app
        .write(Scope::Installation, platform, ctx.now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let before = store::plan::get(transaction.tx(), &key, version)
                    .await?
                    .ok_or_else(|| Problem::not_found(format!("no version {version} of a plan {key}")))?;
                let mut after = before.clone();
                let (action, done) = match step {
                    Step::Publish => {
                        (after.status, after.published_at) = (PlanStatus::Published, Some(ctx_inside.now));
                        let tx = transaction.tx();
                        ("plan.publish", store::plan::publish(tx, &key, version, ctx_inside.now).await?)
                    }
                    Step::Retire => {
                        after.status = PlanStatus::Retired;
                        ("plan.retire", store::plan::retire(transaction.tx(), &key, version).await?)
                    }
                    Step::Discard => {
                        ("plan.discard", store::plan::delete_draft(transaction.tx(), &key, version).await?)
                    }
                };
                if !done {
                    let wanted = if matches!(step, Step::Retire) { "published" } else { "draft" };
                    return Err(Problem::new(
                        ProblemKind::InUse,
                        format!("version {version} of {key} is {}, not {wanted}", before.status.as_str()),
                    ));
                }
                let mut event =
                    audit::event(&ctx_inside, platform, action, "plan", format!("{key} {version}"));
                event.before = Some(record(&before));
                event.after = (!matches!(step, Step::Discard)).then(|| record(&after));
                event.reason = reason;
                transaction.commit(event, Vec::new(), after).await
            }) as BoxFuture<'_, Result<Committed<PlanRow>, Problem>>
        })
        .await?;
    Ok(plan)
}

/// Publishes a draft: from now on it never changes, and can be subscribed to.
pub async fn publish(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    key: Key,
    version: u32,
    reason: &str,
) -> Result<PlanRow, Problem> {
    step(app, ctx, permit, (key, version), Step::Publish, reason).await
}

/// Retires a published version: nobody can subscribe to it any more, and those who have it keep it.
pub async fn retire(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    key: Key,
    version: u32,
    reason: &str,
) -> Result<PlanRow, Problem> {
    step(app, ctx, permit, (key, version), Step::Retire, reason).await
}

/// Throws a draft away.
pub async fn discard(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    key: Key,
    version: u32,
    reason: &str,
) -> Result<PlanRow, Problem> {
    step(app, ctx, permit, (key, version), Step::Discard, reason).await
}
