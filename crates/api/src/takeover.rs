//! Taking `enabled_modules` documents over as rows, and the emergency exit back to them.

use crate::edge::{Call, Reply, Route, wire};
use crate::entitlement_access::{CHANGE, TAG, options};
use crate::organization::OrganizationPath;
use crate::shown::{self, EditQuery};
use charter_app::entitlement::{self, Changed, LegacyReport};
use charter_kernel::{Key, OrganizationId, Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which `enabled_modules` documents are taken over.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrateLegacy {
    /// Key or id of one organization; every one when left out.
    #[serde(default)]
    pub organization: Option<String>,
    /// Tell what would happen and write nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Why.
    pub reason: String,
}

/// What taking over one organization's document did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LegacyTakeover {
    /// The organization.
    #[schemars(with = "wire::Id")]
    pub organization: OrganizationId,
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Modules that are on from now on by a row.
    #[schemars(with = "Vec<wire::Key>")]
    pub enabled: Vec<Key>,
    /// Modules that are off from now on by a row.
    #[schemars(with = "Vec<wire::Key>")]
    pub disabled: Vec<Key>,
    /// Modules that had a row already.
    #[schemars(with = "Vec<wire::Key>")]
    pub kept: Vec<Key>,
    /// Modules several names of the document fold to: on wins.
    #[schemars(with = "Vec<wire::Key>")]
    pub folded_twice: Vec<Key>,
    /// Names of the document that are no module.
    pub unknown: Vec<String>,
    /// The document cannot be read; nothing is written until it is mended.
    pub unreadable: bool,
    /// What somebody should know.
    pub warnings: Vec<String>,
    /// It was written.
    pub written: bool,
}

impl From<Changed<LegacyReport>> for LegacyTakeover {
    fn from(done: Changed<LegacyReport>) -> Self {
        let it = done.value;
        Self {
            organization: it.organization,
            key: it.key,
            enabled: it.enabled,
            disabled: it.disabled,
            kept: it.kept,
            folded_twice: it.folded_twice,
            unknown: it.unknown,
            unreadable: it.unreadable,
            warnings: it.warnings,
            written: done.wrote,
        }
    }
}

/// What taking over the documents did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LegacyTakeovers {
    /// One report an organization.
    pub organizations: Vec<LegacyTakeover>,
    /// Nothing was to be written.
    pub dry_run: bool,
}

/// Which rows go, and why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TruncateEntitlements {
    /// Every row, and subscriptions end; left out, only rows of source migration.
    #[serde(default)]
    pub all: bool,
    /// Why.
    pub reason: String,
}

/// A module that goes on or off.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ModuleTurn {
    /// The module.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// Whether it is on afterwards.
    pub on: bool,
}

/// What the emergency exit removed, or would remove.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TruncatedEntitlements {
    /// Rows of modules.
    pub modules: usize,
    /// Rows of parts.
    pub submodules: usize,
    /// Subscriptions that were ended.
    pub subscriptions: usize,
    /// Modules that stand otherwise afterwards.
    pub changes: Vec<ModuleTurn>,
    /// The revision of the organization after it.
    pub revision: u64,
    /// Nothing was written.
    pub dry_run: bool,
}

async fn migrate_legacy(call: Call<(), (), MigrateLegacy>) -> Result<Reply<LegacyTakeovers>, Problem> {
    let MigrateLegacy { organization, dry_run, reason } = &call.body;
    let (app, ctx, permit) = (&call.app, &call.ctx, call.permit()?);
    let reports = match organization {
        Some(text) => {
            let id = app.resolve_organization(text).await?;
            vec![entitlement::migrate_legacy(app, ctx, permit, id, *dry_run, reason).await?]
        }
        None => entitlement::migrate_legacy_all(app, ctx, permit, *dry_run, reason).await?,
    };
    let organizations = reports.into_iter().map(LegacyTakeover::from).collect();
    Ok(Reply::new(LegacyTakeovers { organizations, dry_run: *dry_run }))
}

async fn truncate(
    call: Call<OrganizationPath, EditQuery, TruncateEntitlements>,
) -> Result<Reply<TruncatedEntitlements>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let TruncateEntitlements { all, reason } = &call.body;
    let permit = call.permit()?;
    let done = entitlement::truncate(&call.app, &call.ctx, permit, id, options, *all, reason).await?;
    let turned = |it: entitlement::ModuleChange| ModuleTurn { module: it.module, on: it.on };
    let answer = TruncatedEntitlements {
        modules: done.value.modules,
        submodules: done.value.submodules,
        subscriptions: done.value.subscriptions,
        changes: done.value.changes.into_iter().map(turned).collect(),
        revision: done.revision.0,
        dry_run: done.dry_run,
    };
    Ok(shown::versioned(answer, done.revision))
}

/// The routes of the takeover.
pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/entitlements/migrate-legacy", CHANGE, migrate_legacy)
            .named("entitlements.migrate-legacy", TAG, "Takes enabled_modules documents over as rows.")
            .described("A row for every module without one. Done again, it writes nothing.")
            .problems(&[ProblemKind::NotFound])
            .timeout(std::time::Duration::from_secs(3_600))
            .example(r#"{"organization": "toys", "dry_run": true, "reason": "going over to plans"}"#),
        Route::post(
            "/api/v1/organizations/{organization}/truncate-entitlements",
            CHANGE,
            truncate,
        )
        .named("entitlements.truncate", TAG, "Removes an organization's entitlement rows, so that enabled_modules rules again.")
        .described(
            "The emergency exit after a takeover that went wrong: rows of source migration go, or with all every row, and subscriptions \
             end; preview lists, events, usage and limit overrides stay. Done again, it writes nothing.",
        )
        .problems(&[ProblemKind::NotFound])
        .example(r#"{"reason": "the takeover went wrong"}"#),
    ]
}
