//! Plans with their versions, and moving organizations from one version to another.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::entitlement_access::{ChangeReason, ReasonQuery};
use crate::plan_preview::PlanPreview;
use crate::shown::EditQuery;
use charter_app::plan::{
    self, Drafted, MigrateOptions, MigrationReport, PlanDraft, PlanEntitlement, PlanRow,
};
use charter_kernel::entitlement::PlanLimit;
use charter_kernel::{Key, OrganizationId, Problem, ProblemKind, SubscriptionId, Timestamp};
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

const PLAN: &str = "/api/v1/plans/{plan}";
const VERSIONS: &str = "/api/v1/plans/{plan}/versions";
const VERSION: &str = "/api/v1/plans/{plan}/versions/{version}";
const READ: Guard = Guard::PlatformPermission("platform.plans.read");
const UPDATE: Guard = Guard::PlatformPermission("platform.plans.update");
const FOUND: &[ProblemKind] = &[ProblemKind::NotFound];
const STEP: &[ProblemKind] = &[ProblemKind::NotFound, ProblemKind::InUse];

/// The routes of plans.
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
    ]
}
