//! Plans with their versions, and what organizations subscribe to: plan, add-ons, trials.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::entitlement::{ChangeReason, READERS, ReasonQuery, options, readable};
use crate::organization::OrganizationPath;
use crate::shown::{self, EditQuery};
use charter_app::entitlement::Changed;
use charter_app::plan::{
    self, AddonDraft, Drafted, EndAction, MigrateOptions, MigrationReport, PlanDraft, PlanEntitlement,
    PlanRow, SubscribeDraft, Subscribed, SubscriptionRow, SubscriptionStatus, TrialDraft, TrialEnd, When,
};
use charter_kernel::entitlement::PlanLimit;
use charter_kernel::{
    GrantId, Key, OrganizationId, PrincipalId, Problem, ProblemKind, SubscriptionId, Timestamp,
};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a limit is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// Refused beyond the value.
    #[default]
    Hard,
    /// Allowed, and warned about.
    Soft,
    /// Allowed, and counted.
    Report,
}

impl From<Enforcement> for charter_kernel::entitlement::Enforcement {
    fn from(enforcement: Enforcement) -> Self {
        match enforcement {
            Enforcement::Hard => Self::Hard,
            Enforcement::Soft => Self::Soft,
            Enforcement::Report => Self::Report,
        }
    }
}

impl From<charter_kernel::entitlement::Enforcement> for Enforcement {
    fn from(enforcement: charter_kernel::entitlement::Enforcement) -> Self {
        use charter_kernel::entitlement::Enforcement as Kept;
        match enforcement {
            Kept::Hard => Self::Hard,
            Kept::Soft => Self::Soft,
            Kept::Report => Self::Report,
        }
    }
}

/// A module, or a part of one, that a plan brings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanModule {
    /// The module.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// One part of it; all of them when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub submodule: Option<Key>,
    /// For the preview list only.
    #[serde(default)]
    pub preview: bool,
}

fn warn_percent() -> u8 {
    80
}

/// A limit a plan sets.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanLimitLine {
    /// The limit.
    #[schemars(with = "wire::Key")]
    pub limit: Key,
    /// Its value; null is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    #[serde(default)]
    pub enforcement: Enforcement,
    /// Warn from this share of the value on.
    #[serde(default = "warn_percent")]
    pub warn_percent: u8,
}

/// One version of a plan.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Plan {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its version, from 1.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Orders plans for upgrade and downgrade.
    pub rank: i64,
    /// Days of trial; zero for none.
    pub trial_days: u32,
    /// `draft`, `published` or `retired`.
    pub status: &'static str,
    /// When it was published.
    #[schemars(with = "Option<wire::Time>")]
    pub published_at: Option<Timestamp>,
    /// What it brings.
    pub modules: Vec<PlanModule>,
    /// What it limits; a limit that is not here is unlimited.
    pub limits: Vec<PlanLimitLine>,
}

impl From<PlanRow> for Plan {
    fn from(row: PlanRow) -> Self {
        Self {
            key: row.key,
            version: row.version,
            name: row.name,
            description: row.description,
            rank: row.rank,
            trial_days: row.trial_days,
            status: row.status.as_str(),
            published_at: row.published_at,
            modules: row
                .entitlements
                .into_iter()
                .map(|line| PlanModule {
                    module: line.module,
                    submodule: line.submodule,
                    preview: line.preview,
                })
                .collect(),
            limits: row
                .limits
                .into_iter()
                .map(|line| PlanLimitLine {
                    limit: line.limit,
                    value: line.value,
                    enforcement: line.enforcement.into(),
                    warn_percent: line.warn_percent,
                })
                .collect(),
        }
    }
}

/// A version of a plan to be drafted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlanVersion {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Orders plans for upgrade and downgrade.
    pub rank: i64,
    /// Days of trial; none when left out.
    #[serde(default)]
    pub trial_days: u32,
    /// What it brings.
    #[serde(default)]
    pub modules: Vec<PlanModule>,
    /// What it limits.
    #[serde(default)]
    pub limits: Vec<PlanLimitLine>,
    /// Why.
    pub reason: String,
}

/// A plan to be drafted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlan {
    /// Its key; it never changes.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its first version.
    pub version: NewPlanVersion,
}

impl NewPlanVersion {
    fn draft(&self) -> PlanDraft {
        PlanDraft {
            name: self.name.clone(),
            description: self.description.clone(),
            rank: self.rank,
            trial_days: self.trial_days,
            entitlements: self
                .modules
                .iter()
                .map(|line| PlanEntitlement {
                    module: line.module.clone(),
                    submodule: line.submodule.clone(),
                    preview: line.preview,
                })
                .collect(),
            limits: self
                .limits
                .iter()
                .map(|line| PlanLimit {
                    limit: line.limit.clone(),
                    value: line.value,
                    enforcement: line.enforcement.into(),
                    warn_percent: line.warn_percent,
                })
                .collect(),
        }
    }
}

/// A draft as written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanDrafted {
    /// The version.
    pub plan: Plan,
    /// What somebody should know before it is published.
    pub warnings: Vec<String>,
}

impl From<Drafted> for PlanDrafted {
    fn from(drafted: Drafted) -> Self {
        Self { plan: drafted.plan.into(), warnings: drafted.warnings }
    }
}

/// A plan's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PlanPath {
    /// Key of the plan.
    #[schemars(with = "wire::Key")]
    pub plan: Key,
}

/// The place of one version of a plan.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PlanVersionPath {
    /// Key of the plan.
    #[schemars(with = "wire::Key")]
    pub plan: Key,
    /// The version.
    pub version: u32,
}

/// Which subscriptions are moved to another version of their plan.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MigratePlan {
    /// To which version; the newest published one when left out.
    #[serde(default)]
    pub version: Option<u32>,
    /// Only those of this organization, by key or id.
    #[serde(default)]
    pub organization: Option<String>,
    /// Pinned ones too.
    #[serde(default)]
    pub include_pinned: bool,
    /// Why.
    pub reason: String,
}

/// A subscription to a plan, add-on or trial.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Subscription {
    /// Its id, which is also the source id of the rows it brings.
    #[schemars(with = "wire::Id")]
    pub id: SubscriptionId,
    /// `plan`, `addon` or `trial`.
    pub kind: &'static str,
    /// The plan.
    #[schemars(with = "wire::Key")]
    pub plan: Key,
    /// Its version.
    pub version: u32,
    /// How many times.
    pub quantity: u32,
    /// `scheduled`, `active` or `ended`.
    pub status: &'static str,
    /// When it begins.
    #[schemars(with = "Option<wire::Time>")]
    pub starts_at: Option<Timestamp>,
    /// When it ends.
    #[schemars(with = "Option<wire::Time>")]
    pub ends_at: Option<Timestamp>,
    /// Days for which everything goes on after the end, with a warning.
    pub grace_days: u32,
    /// Days of reading and export after that.
    pub read_only_days: u32,
    /// `expire`, or `fallback_plan` when a plan goes on after it.
    pub end_action: &'static str,
    /// The plan that follows it; null is the organization's own.
    #[schemars(with = "Option<wire::Key>")]
    pub fallback_plan: Option<Key>,
    /// Stays on its version when others are moved.
    pub pinned: bool,
    /// When it was made.
    #[schemars(with = "wire::Time")]
    pub created_at: Timestamp,
}

impl From<SubscriptionRow> for Subscription {
    fn from(row: SubscriptionRow) -> Self {
        let it = row.subscription;
        let (end_action, fallback_plan) = match row.end_action {
            EndAction::Expire => ("expire", None),
            EndAction::FallbackPlan(plan) => ("fallback_plan", plan),
        };
        Self {
            id: it.id,
            kind: it.kind.as_str(),
            plan: it.plan,
            version: it.version,
            quantity: it.quantity,
            status: match row.status {
                SubscriptionStatus::Scheduled => "scheduled",
                SubscriptionStatus::Active => "active",
                SubscriptionStatus::Ended => "ended",
            },
            starts_at: it.window.from(),
            ends_at: it.window.to(),
            grace_days: row.grace_days,
            read_only_days: row.read_only_days,
            end_action,
            fallback_plan,
            pinned: row.pinned,
            created_at: row.created_at,
        }
    }
}

/// When a change of plan takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenName {
    /// An upgrade at once, a downgrade at the end of the paid period.
    #[default]
    Auto,
    /// At once.
    Now,
    /// At the end of the paid period.
    PeriodEnd,
}

/// A plan for an organization.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSubscription {
    /// The plan.
    #[schemars(with = "wire::Key")]
    pub plan: Key,
    /// Its version; the newest published one when left out.
    #[serde(default)]
    pub version: Option<u32>,
    /// When it takes effect.
    #[serde(default)]
    pub when: WhenName,
    /// The instant at which it takes effect, in place of `when`.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub at: Option<Timestamp>,
    /// A downgrade before the end of the paid period.
    #[serde(default)]
    pub force: bool,
    /// End of the paid period; open when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub ends_at: Option<Timestamp>,
    /// Days of grace after its end; 7 when left out.
    #[serde(default)]
    pub grace_days: Option<u32>,
    /// Days of reading and export after the grace; 30 when left out.
    #[serde(default)]
    pub read_only_days: Option<u32>,
    /// The plan that follows at its end; without one it expires.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub fallback_plan: Option<Key>,
    /// Stays on its version when others are moved.
    #[serde(default)]
    pub pinned: bool,
    /// Why.
    pub reason: String,
}

fn once() -> u32 {
    1
}

/// An add-on for an organization.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAddon {
    /// The plan that describes it.
    #[schemars(with = "wire::Key")]
    pub plan: Key,
    /// Its version; the newest published one when left out.
    #[serde(default)]
    pub version: Option<u32>,
    /// How many times its limits are added.
    #[serde(default = "once")]
    pub quantity: u32,
    /// When it begins; at once when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub starts_at: Option<Timestamp>,
    /// When it ends; never when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub ends_at: Option<Timestamp>,
    /// Stays on its version when others are moved.
    #[serde(default)]
    pub pinned: bool,
    /// Why.
    pub reason: String,
}

/// What happens at the end of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrialEndName {
    /// Falls back to the organization's plan at once, or expires through grace and reading when it has none.
    #[default]
    Auto,
    /// Expires through grace and reading.
    Expire,
}

/// A trial for an organization.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrial {
    /// The plan to be tried.
    #[schemars(with = "wire::Key")]
    pub plan: Key,
    /// Its version; the newest published one when left out.
    #[serde(default)]
    pub version: Option<u32>,
    /// How many days; as the plan says when left out.
    #[serde(default)]
    pub days: Option<u32>,
    /// What happens at its end.
    #[serde(default)]
    pub end: TrialEndName,
    /// The plan that follows at its end, for an organization that has none; in place of `end`.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub fallback_plan: Option<Key>,
    /// Days of grace after it expires; 7 when left out.
    #[serde(default)]
    pub grace_days: Option<u32>,
    /// Days of reading and export after the grace; 30 when left out.
    #[serde(default)]
    pub read_only_days: Option<u32>,
    /// Another trial of a module that was tried before.
    #[serde(default)]
    pub force: bool,
    /// Why.
    pub reason: String,
}

/// What a change of plan, add-on or trial means.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanPreview {
    /// When it takes effect.
    #[schemars(with = "wire::Time")]
    pub at: Timestamp,
    /// Modules that can be used after and could not before.
    #[schemars(with = "Vec<wire::Key>")]
    pub gained: Vec<Key>,
    /// Modules that cannot be used at all from then on.
    #[schemars(with = "Vec<wire::Key>")]
    pub lost: Vec<Key>,
    /// Modules that end through grace and reading.
    pub read_only: Vec<EndingModule>,
    /// Modules the plan does not bring but that another row keeps on.
    #[schemars(with = "Vec<wire::Key>")]
    pub kept_by_others: Vec<Key>,
    /// Users whose roles or grants point to modules that are lost or become read only.
    pub users: Vec<AffectedUser>,
    /// Limits that become lower.
    pub limits_lowered: Vec<LoweredLimit>,
    /// Add-ons that end with the change.
    pub addons_ending: Vec<EndingAddon>,
    /// Modules left without one they need.
    pub broken_dependencies: Vec<BrokenDependency>,
}

/// A module that ends step by step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EndingModule {
    /// The module.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// It goes on until then, with a warning.
    #[schemars(with = "Option<wire::Time>")]
    pub grace_until: Option<Timestamp>,
    /// Reading and export go on until then.
    #[schemars(with = "Option<wire::Time>")]
    pub read_only_until: Option<Timestamp>,
}

/// A user who works with a module that ends.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AffectedUser {
    /// The account.
    #[schemars(with = "wire::Id")]
    pub principal: PrincipalId,
    /// Its login.
    pub login: String,
    /// Its name.
    pub name: String,
    /// The modules.
    #[schemars(with = "Vec<wire::Key>")]
    pub modules: Vec<Key>,
    /// Roles that point there.
    #[schemars(with = "Vec<wire::Key>")]
    pub roles: Vec<Key>,
    /// Grants that point there.
    #[schemars(with = "Vec<wire::Id>")]
    pub grants: Vec<GrantId>,
}

/// A limit that becomes lower.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LoweredLimit {
    /// The limit.
    #[schemars(with = "wire::Key")]
    pub limit: Key,
    /// Its value before; null was unlimited.
    pub before: Option<i64>,
    /// Its value after.
    pub after: Option<i64>,
    /// How it is kept after: `hard`, `soft` or `report`.
    pub enforcement: &'static str,
    /// What is used now.
    pub used: i64,
    /// By how much that is above the new value: nothing is switched off, but nothing can be added.
    pub above: i64,
}

/// An add-on that ends with a change of plan.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EndingAddon {
    /// Its subscription.
    #[schemars(with = "wire::Id")]
    pub subscription: SubscriptionId,
    /// Its plan.
    #[schemars(with = "wire::Key")]
    pub plan: Key,
    /// When it ends.
    #[schemars(with = "Option<wire::Time>")]
    pub ends_at: Option<Timestamp>,
}

/// A module that needs another one that cannot be used.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BrokenDependency {
    /// The module that stays.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// What it needs.
    #[schemars(with = "wire::Key")]
    pub needs: Key,
}

impl From<plan::Preview> for PlanPreview {
    fn from(preview: plan::Preview) -> Self {
        Self {
            at: preview.at,
            gained: preview.gained,
            lost: preview.lost,
            read_only: preview
                .read_only
                .into_iter()
                .map(|it| EndingModule {
                    module: it.module,
                    grace_until: it.grace_until,
                    read_only_until: it.read_only_until,
                })
                .collect(),
            kept_by_others: preview.kept_by_others,
            users: preview
                .users
                .into_iter()
                .map(|it| AffectedUser {
                    principal: it.principal,
                    login: it.login,
                    name: it.name,
                    modules: it.modules,
                    roles: it.roles,
                    grants: it.grants,
                })
                .collect(),
            limits_lowered: preview
                .limits_lowered
                .into_iter()
                .map(|it| LoweredLimit {
                    limit: it.limit,
                    before: it.before,
                    after: it.after,
                    enforcement: it.enforcement,
                    used: it.used,
                    above: it.above,
                })
                .collect(),
            addons_ending: preview
                .addons_ending
                .into_iter()
                .map(|it| EndingAddon { subscription: it.subscription, plan: it.plan, ends_at: it.ends_at })
                .collect(),
            broken_dependencies: preview
                .broken_dependencies
                .into_iter()
                .map(|it| BrokenDependency { module: it.module, needs: it.needs })
                .collect(),
        }
    }
}

/// What a change of subscriptions did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SubscriptionChanged {
    /// The subscription.
    pub subscription: Subscription,
    /// What it means.
    pub preview: PlanPreview,
    /// Scheduled changes that were withdrawn for it.
    #[schemars(with = "Vec<wire::Id>")]
    pub withdrawn: Vec<SubscriptionId>,
    /// What somebody should know.
    pub warnings: Vec<String>,
    /// The revision of the organization after it.
    pub revision: u64,
    /// Nothing was written.
    pub dry_run: bool,
}

fn subscribed(done: Changed<Subscribed>) -> Reply<SubscriptionChanged> {
    let answer = SubscriptionChanged {
        subscription: done.value.subscription.into(),
        preview: done.value.preview.into(),
        withdrawn: done.value.withdrawn,
        warnings: done.value.warnings,
        revision: done.revision.0,
        dry_run: done.dry_run,
    };
    shown::versioned(answer, done.revision)
}

/// What moving one organization to another version means.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanMigration {
    /// The organization.
    #[schemars(with = "wire::Id")]
    pub organization: OrganizationId,
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// The subscriptions that are moved.
    pub moved: Vec<MovedSubscription>,
    /// The version they come to.
    pub to: u32,
    /// Subscriptions that are pinned and stay.
    #[schemars(with = "Vec<wire::Id>")]
    pub pinned: Vec<SubscriptionId>,
    /// What it means.
    pub preview: PlanPreview,
    /// It was written.
    pub applied: bool,
}

/// A subscription that is moved to another version of its plan.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MovedSubscription {
    /// The subscription.
    #[schemars(with = "wire::Id")]
    pub subscription: SubscriptionId,
    /// The version it comes from.
    pub from: u32,
}

impl From<MigrationReport> for PlanMigration {
    fn from(report: MigrationReport) -> Self {
        Self {
            organization: report.organization,
            key: report.key,
            moved: report
                .from
                .into_iter()
                .map(|(subscription, from)| MovedSubscription { subscription, from })
                .collect(),
            to: report.to,
            pinned: report.pinned,
            preview: report.preview.into(),
            applied: report.applied,
        }
    }
}

/// What moving subscriptions did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanMigrations {
    /// One report an organization.
    pub organizations: Vec<PlanMigration>,
    /// Nothing was to be written.
    pub dry_run: bool,
}

/// One subscription's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SubscriptionPath {
    /// Key or id of the organization.
    pub organization: String,
    /// The subscription.
    #[schemars(with = "wire::Id")]
    pub subscription: SubscriptionId,
}

/// How a subscription is to end.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndQuery {
    /// Tell what would happen and write nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// When it ends; at once when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub at: Option<Timestamp>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

fn position(plan: &PlanRow) -> String {
    format!("{} {:010}", plan.key, plan.version)
}

async fn list(call: Call) -> Result<Reply<Items<Plan>>, Problem> {
    let page = call.page().cut(plan::list(&call.app).await?, position);
    Ok(call.listing(page))
}

async fn versions(call: Call<PlanPath>) -> Result<Reply<Items<Plan>>, Problem> {
    let page = call.page().cut(plan::versions(&call.app, &call.path.plan).await?, position);
    Ok(call.listing(page))
}

async fn get(call: Call<PlanPath>) -> Result<Reply<Plan>, Problem> {
    Ok(Reply::new(plan::get(&call.app, &call.path.plan, None).await?.into()))
}

async fn version(call: Call<PlanVersionPath>) -> Result<Reply<Plan>, Problem> {
    let PlanVersionPath { plan, version } = &call.path;
    Ok(Reply::new(plan::get(&call.app, plan, Some(*version)).await?.into()))
}

fn place(drafted: &Drafted) -> String {
    format!("/api/v1/plans/{}/versions/{}", drafted.plan.key, drafted.plan.version)
}

async fn create(call: Call<(), (), NewPlan>) -> Result<Reply<PlanDrafted>, Problem> {
    let NewPlan { key, version } = &call.body;
    match plan::versions(&call.app, key).await {
        Err(problem) if problem.kind == ProblemKind::NotFound => {}
        Err(problem) => return Err(problem),
        Ok(_) => {
            let detail = format!("there is a plan {key} already: draft its next version");
            return Err(Problem::new(ProblemKind::Taken, detail));
        }
    }
    let (key, reason) = (key.clone(), &version.reason);
    let drafted =
        plan::draft_version(&call.app, &call.ctx, call.permit()?, key, version.draft(), reason).await?;
    let place = place(&drafted);
    Ok(Reply::new(PlanDrafted::from(drafted)).location(place))
}

async fn draft(call: Call<PlanPath, (), NewPlanVersion>) -> Result<Reply<PlanDrafted>, Problem> {
    let key = call.path.plan.clone();
    plan::versions(&call.app, &key).await?;
    let (draft, reason) = (call.body.draft(), &call.body.reason);
    let drafted = plan::draft_version(&call.app, &call.ctx, call.permit()?, key, draft, reason).await?;
    let place = place(&drafted);
    Ok(Reply::new(PlanDrafted::from(drafted)).location(place))
}

async fn publish(call: Call<PlanVersionPath, (), ChangeReason>) -> Result<Reply<Plan>, Problem> {
    let PlanVersionPath { plan: key, version } = &call.path;
    let done =
        plan::publish(&call.app, &call.ctx, call.permit()?, key.clone(), *version, &call.body.reason).await?;
    Ok(Reply::new(done.into()))
}

async fn retire(call: Call<PlanVersionPath, (), ChangeReason>) -> Result<Reply<Plan>, Problem> {
    let PlanVersionPath { plan: key, version } = &call.path;
    let done =
        plan::retire(&call.app, &call.ctx, call.permit()?, key.clone(), *version, &call.body.reason).await?;
    Ok(Reply::new(done.into()))
}

async fn discard(call: Call<PlanVersionPath, ReasonQuery>) -> Result<Reply<Plan>, Problem> {
    let PlanVersionPath { plan: key, version } = &call.path;
    let done = plan::discard(&call.app, &call.ctx, call.permit()?, key.clone(), *version, &call.query.reason)
        .await?;
    Ok(Reply::new(done.into()))
}

async fn migrate(call: Call<PlanPath, EditQuery, MigratePlan>) -> Result<Reply<PlanMigrations>, Problem> {
    let body = &call.body;
    let organization = match &body.organization {
        Some(text) => Some(call.app.resolve_organization(text).await?),
        None => None,
    };
    let options = MigrateOptions {
        version: body.version,
        organization,
        include_pinned: body.include_pinned,
        dry_run: call.query.dry_run,
        reason: body.reason.clone(),
    };
    let key = call.path.plan.clone();
    let reports = plan::migrate(&call.app, &call.ctx, call.permit()?, key, options).await?;
    let organizations = reports.into_iter().map(PlanMigration::from).collect();
    Ok(Reply::new(PlanMigrations { organizations, dry_run: call.query.dry_run }))
}

async fn subscribe(
    call: Call<OrganizationPath, EditQuery, NewSubscription>,
) -> Result<Reply<SubscriptionChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let body = &call.body;
    let draft = SubscribeDraft {
        plan: body.plan.clone(),
        version: body.version,
        when: match (body.at, body.when) {
            (Some(at), _) => When::At(at),
            (None, WhenName::Auto) => When::Auto,
            (None, WhenName::Now) => When::Now,
            (None, WhenName::PeriodEnd) => When::PeriodEnd,
        },
        force: body.force,
        ends_at: body.ends_at,
        grace_days: body.grace_days,
        read_only_days: body.read_only_days,
        fallback_plan: body.fallback_plan.clone(),
        pinned: body.pinned,
        reason: body.reason.clone(),
    };
    plan::subscribe(&call.app, &call.ctx, call.permit()?, id, options, draft).await.map(subscribed)
}

async fn add_addon(
    call: Call<OrganizationPath, EditQuery, NewAddon>,
) -> Result<Reply<SubscriptionChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let body = &call.body;
    let draft = AddonDraft {
        plan: body.plan.clone(),
        version: body.version,
        quantity: body.quantity,
        starts_at: body.starts_at,
        ends_at: body.ends_at,
        pinned: body.pinned,
        reason: body.reason.clone(),
    };
    plan::add_addon(&call.app, &call.ctx, call.permit()?, id, options, draft).await.map(subscribed)
}

async fn start_trial(
    call: Call<OrganizationPath, EditQuery, NewTrial>,
) -> Result<Reply<SubscriptionChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let body = &call.body;
    let draft = TrialDraft {
        plan: body.plan.clone(),
        version: body.version,
        days: body.days,
        end: match (&body.fallback_plan, body.end) {
            (Some(plan), _) => TrialEnd::Plan(plan.clone()),
            (None, TrialEndName::Auto) => TrialEnd::Auto,
            (None, TrialEndName::Expire) => TrialEnd::Expire,
        },
        grace_days: body.grace_days,
        read_only_days: body.read_only_days,
        force: body.force,
        reason: body.reason.clone(),
    };
    plan::start_trial(&call.app, &call.ctx, call.permit()?, id, options, draft).await.map(subscribed)
}

async fn end(call: Call<SubscriptionPath, EndQuery>) -> Result<Reply<SubscriptionChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let EndQuery { at, reason, .. } = &call.query;
    let what = plan::Ending { subscription: call.path.subscription, kind: None, at: *at };
    plan::end(&call.app, &call.ctx, call.permit()?, id, options, what, reason).await.map(subscribed)
}

async fn end_addon(call: Call<SubscriptionPath, EndQuery>) -> Result<Reply<SubscriptionChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let EndQuery { at, reason, .. } = &call.query;
    let kind = Some(charter_kernel::entitlement::SubscriptionKind::Addon);
    let what = plan::Ending { subscription: call.path.subscription, kind, at: *at };
    plan::end(&call.app, &call.ctx, call.permit()?, id, options, what, reason).await.map(subscribed)
}

async fn subscriptions(call: Call<OrganizationPath>) -> Result<Reply<Items<Subscription>>, Problem> {
    let id = readable(&call.app, &call.ctx, &call.path.organization).await?;
    let all = plan::subscriptions(&call.app, id).await?;
    let page = call.page().cut(all, |row| row.subscription.id.to_string());
    Ok(call.listing(page))
}

const PLAN: &str = "/api/v1/plans/{plan}";
const VERSIONS: &str = "/api/v1/plans/{plan}/versions";
const VERSION: &str = "/api/v1/plans/{plan}/versions/{version}";
const READ: Guard = Guard::PlatformPermission("platform.plans.read");
const UPDATE: Guard = Guard::PlatformPermission("platform.plans.update");
const CHANGE: Guard = Guard::PlatformPermission("platform.entitlements.update");
const FOUND: &[ProblemKind] = &[ProblemKind::NotFound];
const STEP: &[ProblemKind] = &[ProblemKind::NotFound, ProblemKind::InUse];
const SUBSCRIBED: &[ProblemKind] = &[ProblemKind::NotFound, ProblemKind::Taken];

/// The routes of plans and subscriptions.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/api/v1/plans", READ, list).named(
            "plans.list",
            "Plans",
            "Lists every version of every plan.",
        ),
        Route::post("/api/v1/plans", Guard::PlatformPermission("platform.plans.create"), create)
            .named("plans.create", "Plans", "Drafts the first version of a new plan.")
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::Taken])
            .example(
                r#"{"key": "workshop", "version": {"name": "Workshop", "rank": 15, "modules": [{"module": "inventory"}], "limits": [{"limit": "users", "value": 20}], "reason": "for small makers"}}"#,
            ),
        Route::get(PLAN, READ, get)
            .named("plans.get", "Plans", "Shows the newest published version of a plan.")
            .problems(FOUND),
        Route::list(VERSIONS, READ, versions)
            .named("plans.versions", "Plans", "Lists the versions of a plan, oldest first.")
            .problems(FOUND),
        Route::post(VERSIONS, UPDATE, draft)
            .named("plans.draft", "Plans", "Drafts the next version of a plan; a draft there is already is replaced.")
            .status(StatusCode::CREATED)
            .problems(FOUND)
            .example(
                r#"{"name": "Starter", "rank": 10, "modules": [{"module": "crm"}, {"module": "finance", "submodule": "ledger"}], "reason": "a smaller entry"}"#,
            ),
        Route::get(VERSION, READ, version)
            .named("plans.version", "Plans", "Shows one version of a plan.")
            .problems(FOUND),
        Route::delete(VERSION, UPDATE, discard)
            .named("plans.discard", "Plans", "Throws a draft away.")
            .problems(STEP),
        Route::post("/api/v1/plans/{plan}/versions/{version}/publish", UPDATE, publish)
            .named("plans.publish", "Plans", "Publishes a draft; from then on it never changes.")
            .problems(STEP)
            .example(r#"{"reason": "agreed"}"#),
        Route::post(
            "/api/v1/plans/{plan}/versions/{version}/retire",
            Guard::PlatformPermission("platform.plans.delete"),
            retire,
        )
        .named("plans.retire", "Plans", "Retires a published version; those who have it keep it.")
        .problems(STEP)
        .example(r#"{"reason": "no longer sold"}"#),
        Route::post("/api/v1/plans/{plan}/migrate", UPDATE, migrate)
            .named("plans.migrate", "Plans", "Moves subscriptions to another version of their plan.")
            .described("With `dry_run` it tells, per organization, what is gained and lost and which limits become lower.")
            .problems(FOUND)
            .timeout(std::time::Duration::from_secs(3_600))
            .example(r#"{"reason": "the new offer"}"#),
        Route::list("/api/v1/organizations/{organization}/subscriptions", Guard::SignedIn(READERS), subscriptions)
            .named("subscriptions.list", "Plans", "Lists an organization's plan, add-ons and trials, ended ones too.")
            .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden]),
        Route::delete(
            "/api/v1/organizations/{organization}/subscriptions/{subscription}",
            CHANGE,
            end,
        )
        .named("subscriptions.end", "Plans", "Ends a plan, add-on or trial; one that has not begun is withdrawn.")
        .problems(STEP),
        Route::post("/api/v1/organizations/{organization}/plan", CHANGE, subscribe)
            .named("plans.subscribe", "Plans", "Puts an organization on a plan.")
            .described(
                "An upgrade takes effect at once, a downgrade at the end of the paid period unless forced. A change that was \
                 scheduled before is withdrawn. With `dry_run` it tells what it would mean.",
            )
            .problems(SUBSCRIBED)
            .example(r#"{"plan": "growth", "ends_at": "2027-12-31T00:00:00Z", "reason": "contract 4711"}"#),
        Route::post("/api/v1/organizations/{organization}/trials", CHANGE, start_trial)
            .named("trials.start", "Plans", "Starts a trial, which lies over the plan.")
            .problems(SUBSCRIBED)
            .example(r#"{"plan": "growth", "days": 30, "reason": "wants to see production"}"#),
        Route::post("/api/v1/organizations/{organization}/addons", CHANGE, add_addon)
            .named("addons.add", "Plans", "Adds an add-on.")
            .problems(SUBSCRIBED)
            .example(r#"{"plan": "starter", "quantity": 2, "reason": "ordered"}"#),
        Route::delete("/api/v1/organizations/{organization}/addons/{subscription}", CHANGE, end_addon)
            .named("addons.end", "Plans", "Ends an add-on.")
            .problems(STEP),
    ]
}
