//! What organizations subscribe to: plan, add-ons, trials; and what a change of it means.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::entitlement_access::{CHANGE, READERS, options, readable};
use crate::organization::OrganizationPath;
use crate::plan_preview::PlanPreview;
use crate::shown;
use crate::shown::EditQuery;
use charter_app::entitlement::Changed;
use charter_app::plan;
use charter_app::plan::{
    AddonDraft, EndAction, Ending, SubscribeDraft, Subscribed, SubscriptionRow, SubscriptionStatus,
    TrialDraft, TrialEnd, When,
};
use charter_kernel::entitlement::SubscriptionKind;
use charter_kernel::{Key, Problem, ProblemKind, SubscriptionId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    let what = Ending { subscription: call.path.subscription, kind: None, at: *at };
    plan::end(&call.app, &call.ctx, call.permit()?, id, options, what, reason).await.map(subscribed)
}

async fn end_addon(call: Call<SubscriptionPath, EndQuery>) -> Result<Reply<SubscriptionChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let EndQuery { at, reason, .. } = &call.query;
    let kind = Some(SubscriptionKind::Addon);
    let what = Ending { subscription: call.path.subscription, kind, at: *at };
    plan::end(&call.app, &call.ctx, call.permit()?, id, options, what, reason).await.map(subscribed)
}

async fn subscriptions(call: Call<OrganizationPath>) -> Result<Reply<Items<Subscription>>, Problem> {
    let id = readable(&call.app, &call.ctx, &call.path.organization).await?;
    let all = plan::subscriptions(&call.app, id).await?;
    let page = call.page().cut(all, |row| row.subscription.id.to_string());
    Ok(call.listing(page))
}

const STEP: &[ProblemKind] = &[ProblemKind::NotFound, ProblemKind::InUse];
const SUBSCRIBED: &[ProblemKind] = &[ProblemKind::NotFound, ProblemKind::Taken];

/// The routes of subscriptions.
pub fn routes() -> Vec<Route> {
    vec![
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
