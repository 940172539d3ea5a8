//! What people change by hand in what an organization may use: overrides of modules and their parts, and preview lists.

use crate::edge::{Call, Reply, Route, wire};
use crate::entitlement::{EntitlementLine, PreviewPlace};
use crate::entitlement_access::{CHANGE, ChangeReason, ReasonQuery, TAG, options};
use crate::shown;
use crate::shown::{EditQuery, RemovalQuery};
use charter_app::entitlement;
use charter_app::entitlement::{Changed, OverrideDraft, OverrideKind, OverrideView};
use charter_kernel::{Key, Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an override says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverrideStatus {
    /// On, whatever the plan says.
    Enabled,
    /// For the members on the preview list.
    Preview,
    /// Off, whatever anything else says.
    Blocked,
}

impl From<OverrideStatus> for OverrideKind {
    fn from(status: OverrideStatus) -> Self {
        match status {
            OverrideStatus::Enabled => Self::Enabled,
            OverrideStatus::Preview => Self::Preview,
            OverrideStatus::Blocked => Self::Blocked,
        }
    }
}

/// An override to be written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutEntitlement {
    /// `enabled`, `preview` (for those on the preview list) or `blocked`.
    pub status: OverrideStatus,
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

/// What a change by hand did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EntitlementChanged {
    /// The override; null when it was taken back.
    pub entitlement: Option<EntitlementLine>,
    /// Modules it needs that cannot be used: nothing is switched on in silence.
    #[schemars(with = "Vec<wire::Key>")]
    pub missing: Vec<Key>,
    /// What somebody should know.
    pub warnings: Vec<String>,
    /// The revision of the organization after it.
    pub revision: u64,
    /// Nothing was written.
    pub dry_run: bool,
}

fn changed(done: Changed<OverrideView>) -> Reply<EntitlementChanged> {
    let answer = EntitlementChanged {
        entitlement: done.value.row.map(EntitlementLine::from),
        missing: done.value.missing,
        warnings: done.value.warnings,
        revision: done.revision.0,
        dry_run: done.dry_run,
    };
    shown::versioned(answer, done.revision)
}

/// A module of an organization.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EntitlementPath {
    /// Key or id of the organization.
    pub organization: String,
    /// Key of the module.
    #[schemars(with = "wire::Key")]
    pub module: Key,
}

/// A part of a module of an organization.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EntitlementPartPath {
    /// Key or id of the organization.
    pub organization: String,
    /// Key of the module.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// Key of the part.
    #[schemars(with = "wire::Key")]
    pub submodule: Key,
}

/// Somebody's place on a preview list.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct PreviewPath {
    /// Key or id of the organization.
    pub organization: String,
    /// Key of the module.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// Login or id of the member.
    pub member: String,
}

fn draft(module: &Key, submodule: Option<&Key>, body: &PutEntitlement) -> Result<OverrideDraft, Problem> {
    Ok(OverrideDraft {
        module: module.clone(),
        submodule: submodule.cloned(),
        kind: body.status.into(),
        window: shown::window(body.from, body.to)?,
        reason: body.reason.clone(),
    })
}

async fn put(
    call: Call<EntitlementPath, EditQuery, PutEntitlement>,
) -> Result<Reply<EntitlementChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let draft = draft(&call.path.module, None, &call.body)?;
    entitlement::put_override(&call.app, &call.ctx, call.permit()?, id, options, draft).await.map(changed)
}

async fn put_part(
    call: Call<EntitlementPartPath, EditQuery, PutEntitlement>,
) -> Result<Reply<EntitlementChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let draft = draft(&call.path.module, Some(&call.path.submodule), &call.body)?;
    entitlement::put_override(&call.app, &call.ctx, call.permit()?, id, options, draft).await.map(changed)
}

async fn remove(call: Call<EntitlementPath, RemovalQuery>) -> Result<Reply<EntitlementChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let reason = call.query.reason.as_deref().unwrap_or_default();
    let what = (call.path.module.clone(), None);
    entitlement::delete_override(&call.app, &call.ctx, call.permit()?, id, options, what, reason)
        .await
        .map(changed)
}

async fn remove_part(
    call: Call<EntitlementPartPath, RemovalQuery>,
) -> Result<Reply<EntitlementChanged>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let reason = call.query.reason.as_deref().unwrap_or_default();
    let what = (call.path.module.clone(), Some(call.path.submodule.clone()));
    entitlement::delete_override(&call.app, &call.ctx, call.permit()?, id, options, what, reason)
        .await
        .map(changed)
}

async fn add_preview(call: Call<PreviewPath, (), ChangeReason>) -> Result<Reply<PreviewPlace>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let PreviewPath { module, member, .. } = &call.path;
    let (module, member) = (module.clone(), member.clone());
    let reason = &call.body.reason;
    let done =
        entitlement::add_preview(&call.app, &call.ctx, call.permit()?, id, module, member, reason).await?;
    Ok(shown::versioned(done.value.into(), done.revision))
}

async fn remove_preview(call: Call<PreviewPath, ReasonQuery>) -> Result<Reply<PreviewPlace>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let PreviewPath { module, member, .. } = &call.path;
    let (module, member) = (module.clone(), member.clone());
    let reason = &call.query.reason;
    let done =
        entitlement::remove_preview(&call.app, &call.ctx, call.permit()?, id, module, member, reason).await?;
    Ok(shown::versioned(done.value.into(), done.revision))
}

const MODULE: &str = "/api/v1/organizations/{organization}/entitlements/{module}";
const PART: &str = "/api/v1/organizations/{organization}/entitlements/{module}/{submodule}";
const PREVIEW: &str = "/api/v1/organizations/{organization}/previews/{module}/{member}";
const REFUSED: &[ProblemKind] = &[ProblemKind::InUse, ProblemKind::NotFound];

/// The routes of overrides and preview lists.
pub fn routes() -> Vec<Route> {
    vec![
        Route::put(MODULE, CHANGE, put)
            .named("entitlements.override", TAG, "Overrides what an organization's plan says of a module.")
            .described(
                "To switch a module off against its plan, block it. A module that another usable one needs stays; modules it needs \
                 itself are listed, not switched on.",
            )
            .problems(REFUSED)
            .example(r#"{"status": "enabled", "to": "2027-01-01T00:00:00Z", "reason": "agreed on the phone"}"#),
        Route::put(PART, CHANGE, put_part)
            .named("entitlements.override-part", TAG, "Overrides what an organization's plan says of a part of a module.")
            .problems(REFUSED)
            .example(r#"{"status": "blocked", "reason": "payroll is done elsewhere"}"#),
        Route::delete(MODULE, CHANGE, remove)
            .named("entitlements.remove-override", TAG, "Takes the override of a module back.")
            .problems(REFUSED),
        Route::delete(PART, CHANGE, remove_part)
            .named("entitlements.remove-override-part", TAG, "Takes the override of a part of a module back.")
            .problems(REFUSED),
        Route::put(PREVIEW, CHANGE, add_preview)
            .named("previews.add", TAG, "Puts a member on the preview list of a module.")
            .problems(&[ProblemKind::NotFound])
            .example(r#"{"reason": "tries it out for us"}"#),
        Route::delete(PREVIEW, CHANGE, remove_preview)
            .named("previews.remove", TAG, "Takes a member off the preview list of a module.")
            .problems(&[ProblemKind::NotFound]),
    ]
}
