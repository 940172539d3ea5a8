//! Usage: what organizations used of their limits, counted once.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::entitlement_access::{CHANGE, READERS, readable};
use crate::limit::{FOUND, LimitPath, READABLE};
use crate::organization::OrganizationPath;
use crate::plan::Enforcement;
use charter_app::limit;
use charter_kernel::{Key, Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was used in one period.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Usage {
    /// The limit.
    #[schemars(with = "wire::Key")]
    pub limit: Key,
    /// Start of the period; null for what exists now.
    #[schemars(with = "Option<wire::Time>")]
    pub period_start: Option<Timestamp>,
    /// How much.
    pub used: i64,
    /// When it was last counted.
    #[schemars(with = "wire::Time")]
    pub updated_at: Timestamp,
}

/// One use to be counted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageEvent {
    /// Chosen by the caller: the same event counts once.
    pub key: String,
    /// The limit.
    #[schemars(with = "wire::Key")]
    pub limit: Key,
    /// How many more of a counter; the whole count of a gauge.
    pub amount: i64,
    /// When it happened; now when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub at: Option<Timestamp>,
}

/// Uses to be counted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageEvents {
    /// Key or id of the organization that used it.
    pub organization: String,
    /// At most 1,000 events.
    pub events: Vec<UsageEvent>,
}

/// What became of a batch of uses.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsageCounted {
    /// Events counted now.
    pub counted: usize,
    /// Events that were counted before.
    pub repeated: usize,
    /// Limits that are reached or exceeded.
    pub reached: Vec<ReachedLimit>,
}

/// A limit that is reached or exceeded.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReachedLimit {
    /// The limit.
    #[schemars(with = "wire::Key")]
    pub limit: Key,
    /// What is used of it.
    pub used: i64,
}

/// A use that must stay within the limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consumption {
    /// How many; less than zero gives back of a gauge.
    pub amount: i64,
    /// Chosen by the caller: the same use counts once.
    #[serde(default)]
    pub key: Option<String>,
}

/// What is known after something was used.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Consumed {
    /// The limit.
    #[schemars(with = "wire::Key")]
    pub limit: Key,
    /// Used, with this.
    pub used: i64,
    /// The value; null is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    pub enforcement: Enforcement,
    /// `ok`, `warning`, `reached` or `beyond`.
    pub state: &'static str,
    /// It was counted before, by its key.
    pub repeated: bool,
    /// What somebody should know.
    pub warning: Option<String>,
}

async fn consume(call: Call<LimitPath, (), Consumption>) -> Result<Reply<Consumed>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let limit = call.path.limit.clone();
    let Consumption { amount, key } = &call.body;
    let done =
        limit::consume(&call.app, call.permit()?, id, limit, *amount, key.clone(), call.ctx.now).await?;
    Ok(Reply::new(Consumed {
        limit: done.limit,
        used: done.used,
        value: done.value,
        enforcement: done.enforcement.into(),
        state: done.state.as_str(),
        repeated: done.repeated,
        warning: done.warning,
    }))
}

async fn usage(call: Call<OrganizationPath>) -> Result<Reply<Items<Usage>>, Problem> {
    let id = readable(&call.app, &call.ctx, &call.path.organization).await?;
    let found = limit::usage(&call.app, id).await?;
    let page = call.page().cut(found, |row| format!("{} {:020}", row.limit, row.period_start.0));
    Ok(call.viewed(page.map(|row| Usage {
        limit: row.limit,
        period_start: Some(row.period_start).filter(|start| start.0 != 0),
        used: row.used,
        updated_at: row.updated_at,
    })))
}

async fn record(call: Call<(), (), UsageEvents>) -> Result<Reply<UsageCounted>, Problem> {
    let id = call.app.resolve_organization(&call.body.organization).await?;
    let now = call.ctx.now;
    let events = call.body.events.iter().map(|event| limit::UsageEvent {
        key: event.key.clone(),
        limit: event.limit.clone(),
        amount: event.amount,
        at: event.at.unwrap_or(now),
    });
    let done = limit::record_usage(&call.app, call.permit()?, id, events.collect(), now).await?;
    Ok(Reply::new(UsageCounted {
        counted: done.counted,
        repeated: done.repeated,
        reached: done.reached.into_iter().map(|(limit, used)| ReachedLimit { limit, used }).collect(),
    }))
}

/// The routes of usage.
pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/organizations/{organization}/limits/{limit}/consume", CHANGE, consume)
            .named("limits.consume", "Limits", "Uses some of a limit, and refuses what would go beyond a hard one.")
            .described("Two at once never exceed a hard limit together. An amount below zero gives back of a gauge.")
            .problems(&[ProblemKind::NotFound, ProblemKind::LimitReached])
            .example(r#"{"amount": 1, "key": "warehouse-17"}"#),
        Route::list("/api/v1/organizations/{organization}/usage", Guard::SignedIn(READERS), usage)
            .named("usage.list", "Limits", "Lists what an organization used, period by period.")
            .problems(READABLE),
        Route::post("/api/v1/usage/events", CHANGE, record)
            .named("usage.record", "Limits", "Counts a batch of uses; an event whose key was counted before counts no more.")
            .problems(FOUND)
            .example(
                r#"{"organization": "toys", "events": [{"key": "invoice-1042", "limit": "invoices_posted", "amount": 1}]}"#,
            ),
    ]
}
