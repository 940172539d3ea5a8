//! Limits of an organization: what they are, what changes them, and whether something is within.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::entitlement_access::{CHANGE, READERS, options, readable};
use crate::organization::OrganizationPath;
use crate::plan::Enforcement;
use crate::shown::{self, EditQuery};
use charter_app::entitlement::Changed;
use charter_app::limit::{self, LimitDraft, LimitView};
use charter_kernel::entitlement::LimitOverrideFact;
use charter_kernel::{Key, LimitOverrideId, Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether an override replaces or adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitMode {
    /// Stands in place of what plan, add-ons and trials say.
    #[default]
    Set,
    /// Comes on top.
    Add,
}

impl From<LimitMode> for charter_kernel::entitlement::LimitMode {
    fn from(mode: LimitMode) -> Self {
        match mode {
            LimitMode::Set => Self::Set,
            LimitMode::Add => Self::Add,
        }
    }
}

/// A limit changed for one organization.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LimitOverride {
    /// Its id.
    #[schemars(with = "wire::Id")]
    pub id: LimitOverrideId,
    /// The limit.
    #[schemars(with = "wire::Key")]
    pub limit: Key,
    /// Replace or add.
    pub mode: LimitMode,
    /// The value; null is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    pub enforcement: Enforcement,
    /// First instant at which it counts.
    #[schemars(with = "Option<wire::Time>")]
    pub from: Option<Timestamp>,
    /// First instant at which it no longer counts.
    #[schemars(with = "Option<wire::Time>")]
    pub to: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

impl From<LimitOverrideFact> for LimitOverride {
    fn from(row: LimitOverrideFact) -> Self {
        Self {
            id: row.id,
            limit: row.limit,
            mode: match row.mode {
                charter_kernel::entitlement::LimitMode::Set => LimitMode::Set,
                charter_kernel::entitlement::LimitMode::Add => LimitMode::Add,
            },
            value: row.value,
            enforcement: row.enforcement.into(),
            from: row.window.from(),
            to: row.window.to(),
            reason: row.reason,
        }
    }
}

/// A limit of an organization with what is used of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LimitInForce {
    /// The limit.
    #[schemars(with = "wire::Key")]
    pub limit: Key,
    /// What is counted.
    pub description: String,
    /// The unit.
    pub unit: String,
    /// `gauge` for what exists now, `counter` for what happened in the period.
    pub kind: &'static str,
    /// Its value; null is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    pub enforcement: Enforcement,
    /// Warn from this share of the value on.
    pub warn_percent: u8,
    /// The rows the value comes from, in the order in which they were applied.
    pub comes_from: Vec<String>,
    /// What is used.
    pub used: i64,
    /// Start of the period of a counter.
    #[schemars(with = "Option<wire::Time>")]
    pub period_start: Option<Timestamp>,
    /// `ok`, `warning`, `reached` or `beyond`.
    pub state: &'static str,
    /// When the value may change by itself.
    #[schemars(with = "Option<wire::Time>")]
    pub until: Option<Timestamp>,
    /// The overrides of it, in force or not.
    pub overrides: Vec<LimitOverride>,
}

impl From<LimitView> for LimitInForce {
    fn from(view: LimitView) -> Self {
        Self {
            limit: view.limit.key,
            description: view.limit.description,
            unit: view.limit.unit,
            kind: view.limit.kind.as_str(),
            value: view.effective.value,
            enforcement: view.effective.enforcement.into(),
            warn_percent: view.effective.warn_percent,
            comes_from: view.effective.from,
            used: view.used,
            period_start: view.period_start,
            state: view.state.as_str(),
            until: view.effective.next_change,
            overrides: view.overrides.into_iter().map(LimitOverride::from).collect(),
        }
    }
}

/// A limit to be changed for one organization.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutLimit {
    /// Replace or add.
    #[serde(default)]
    pub mode: LimitMode,
    /// The value; null is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    #[serde(default)]
    pub enforcement: Enforcement,
    /// First instant at which it counts; at once when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub from: Option<Timestamp>,
    /// First instant at which it no longer counts; never when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub to: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

/// What changing a limit did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LimitChanged {
    /// The overrides written, or taken back.
    pub overrides: Vec<LimitOverride>,
    /// The revision of the organization after it.
    pub revision: u64,
    /// Nothing was written.
    pub dry_run: bool,
}

fn changed(done: Changed<Vec<LimitOverrideFact>>) -> Reply<LimitChanged> {
    let answer = LimitChanged {
        overrides: done.value.into_iter().map(LimitOverride::from).collect(),
        revision: done.revision.0,
        dry_run: done.dry_run,
    };
    shown::versioned(answer, done.revision)
}

/// A limit of an organization.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LimitPath {
    /// Key or id of the organization.
    pub organization: String,
    /// Key of the limit.
    #[schemars(with = "wire::Key")]
    pub limit: Key,
}

/// Which overrides are taken back.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitRemoval {
    /// Tell what would happen and write nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Only the one that sets, or that adds; both when left out.
    #[serde(default)]
    pub mode: Option<LimitMode>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// An amount to be checked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AmountAsked {
    /// How many more; 1 when left out.
    #[serde(default = "one")]
    pub amount: i64,
}

fn one() -> i64 {
    1
}

/// Whether an amount is within a limit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LimitAnswer {
    /// Whether it may go on.
    pub allowed: bool,
    /// Why not.
    pub reason: Option<&'static str>,
    /// Used until now.
    pub used: i64,
    /// The value; null is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    pub enforcement: Enforcement,
    /// What somebody should know.
    pub warning: Option<String>,
}

async fn list(call: Call<OrganizationPath>) -> Result<Reply<Items<LimitInForce>>, Problem> {
    let id = readable(&call.app, &call.ctx, &call.path.organization).await?;
    let found = limit::of_organization(&call.app, id, call.ctx.now).await?;
    let page = call.page().cut(found, |view| view.limit.key.to_string());
    Ok(call.listing(page))
}

async fn put(call: Call<LimitPath, EditQuery, PutLimit>) -> Result<Reply<LimitChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let body = &call.body;
    let draft = LimitDraft {
        limit: call.path.limit.clone(),
        mode: body.mode.into(),
        value: body.value,
        enforcement: body.enforcement.into(),
        window: shown::window(body.from, body.to)?,
        reason: body.reason.clone(),
    };
    let done = limit::put_override(&call.app, &call.ctx, call.permit()?, id, options, draft).await?;
    Ok(changed(done.map(|row| vec![row])))
}

async fn remove(call: Call<LimitPath, LimitRemoval>) -> Result<Reply<LimitChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let what = (call.path.limit.clone(), call.query.mode.map(Into::into));
    let reason = &call.query.reason;
    limit::delete_override(&call.app, &call.ctx, call.permit()?, id, options, what, reason).await.map(changed)
}

async fn check(call: Call<LimitPath, AmountAsked>) -> Result<Reply<LimitAnswer>, Problem> {
    let id = readable(&call.app, &call.ctx, &call.path.organization).await?;
    let found = limit::check(&call.app, id, &call.path.limit, call.query.amount, call.ctx.now).await?;
    Ok(Reply::new(LimitAnswer {
        allowed: found.allowed,
        reason: found.reason.map(|reason| reason.as_str()),
        used: found.used,
        value: found.effective.value,
        enforcement: found.effective.enforcement.into(),
        warning: found.warning,
    }))
}

const LIMIT: &str = "/api/v1/organizations/{organization}/limits/{limit}";
/// What a limit that is not there answers.
pub(crate) const FOUND: &[ProblemKind] = &[ProblemKind::NotFound];
/// What routes that read limits refuse with.
pub(crate) const READABLE: &[ProblemKind] = &[ProblemKind::NotFound, ProblemKind::Forbidden];

/// The routes of limits.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/api/v1/organizations/{organization}/limits", Guard::SignedIn(READERS), list)
            .named(
                "limits.list",
                "Limits",
                "Lists an organization's limits, where they come from and what is used of them.",
            )
            .problems(READABLE),
        Route::put(LIMIT, CHANGE, put)
            .named("limits.override", "Limits", "Changes a limit for one organization.")
            .problems(FOUND)
            .example(r#"{"value": 25, "reason": "agreed on the phone"}"#),
        Route::delete(LIMIT, CHANGE, remove)
            .named("limits.remove-override", "Limits", "Takes the changes of a limit back.")
            .problems(FOUND),
        Route::get(
            "/api/v1/organizations/{organization}/limits/{limit}/check",
            Guard::SignedIn(READERS),
            check,
        )
        .named("limits.check", "Limits", "Tells whether some more is within a limit; counts nothing.")
        .problems(READABLE),
    ]
}
