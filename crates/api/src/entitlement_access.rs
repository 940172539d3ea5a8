//! What the routes of entitlements share: who reads and changes them, and why.

use crate::edge::{Guard, Precondition};
use charter_app::entitlement::ChangeOptions;
use charter_app::{App, RequestContext};
use charter_kernel::{OrganizationId, Problem};
use schemars::JsonSchema;
use serde::Deserialize;

/// Who may change what organizations are entitled to.
pub(crate) const CHANGE: Guard = Guard::PlatformPermission("platform.entitlements.update");

/// The tag of these routes.
pub(crate) const TAG: &str = "Entitlements";

/// Why a sign-in is enough for routes that read one organization's entitlements.
pub(crate) const READERS: &str = "the handler asks for admin.org_entitlements.read there or platform.entitlements.read in the platform organization";

/// The organization a text names, for somebody who may read its entitlements: its own people, and those of the platform.
pub(crate) async fn readable(app: &App, ctx: &RequestContext, text: &str) -> Result<OrganizationId, Problem> {
    let id = app.resolve_organization(text).await?;
    let (here, on_platform) = ("admin.org_entitlements.read", "platform.entitlements.read");
    app.require_here_or_on_platform(ctx, id, here, on_platform).await?;
    Ok(id)
}

/// How a change is to be made, from what came with the request.
pub(crate) fn options(precondition: &Precondition, dry_run: bool) -> Result<ChangeOptions, Problem> {
    Ok(ChangeOptions { dry_run, if_revision: precondition.expected_revision()? })
}

/// Why something is changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeReason {
    /// Why.
    pub reason: String,
}

/// Why something is taken away.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonQuery {
    /// Why.
    #[serde(default)]
    pub reason: String,
}
