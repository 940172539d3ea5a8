//! Entitlements: what an organization may use, and the rows behind it.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::entitlement_access::{READERS, TAG, readable};
use crate::organization::OrganizationPath;
use crate::shown;
use crate::subscription::Subscription;
use charter_app::entitlement;
use charter_app::entitlement::{EntitlementCheck, EntitlementRow, OrganizationEntitlements, StandingView};
use charter_kernel::catalogue::ModuleScope;
use charter_kernel::entitlement::{EntitlementFact, PreviewFact};
use charter_kernel::{Key, OrganizationId, PrincipalId, Problem, ProblemKind, Timestamp, catalogue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A module of the catalogue, as a buyer sees it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListedModule {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Entitlements never switch it off.
    pub always_on: bool,
    /// Screens for it come with the program.
    pub bundled: bool,
    /// `organization`, or `system` for modules of the platform organization.
    pub scope: &'static str,
    /// Modules it needs.
    #[schemars(with = "Vec<wire::Key>")]
    pub depends_on: Vec<Key>,
    /// Names older systems use for it.
    pub legacy_keys: Vec<String>,
    /// Its parts.
    pub submodules: Vec<ListedSubmodule>,
}

/// A part of a module.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListedSubmodule {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// What it is for.
    pub description: String,
}

impl From<catalogue::Module> for ListedModule {
    fn from(module: catalogue::Module) -> Self {
        Self {
            key: module.key,
            name: module.name,
            description: module.description,
            always_on: module.always_on,
            bundled: module.bundled,
            scope: match module.scope {
                ModuleScope::Organization => "organization",
                ModuleScope::System => "system",
            },
            depends_on: module.depends_on,
            legacy_keys: module.legacy_keys,
            submodules: module
                .submodules
                .into_iter()
                .map(|(key, description)| ListedSubmodule { key, description })
                .collect(),
        }
    }
}

/// How a module or a part of it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Entitlement {
    /// The module.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// The part; null for the module as a whole.
    #[schemars(with = "Option<wire::Key>")]
    pub submodule: Option<Key>,
    /// Name of the module, or what the part is for.
    pub name: String,
    /// Entitlements never switch it off.
    pub always_on: bool,
    /// Everybody may use it, a running grace included.
    pub entitled: bool,
    /// `full`, `grace`, `read_only`, `preview` or `denied`.
    pub access: &'static str,
    /// Why: `always_on`, `enabled`, `legacy`, `grace`, `read_only`, `preview`, `platform`, or the reason of a denial.
    pub reason: &'static str,
    /// `plan`, `addon`, `trial`, `override` or `migration`; null where no row decides.
    pub source: Option<&'static str>,
    /// Which subscription; empty for overrides and migration.
    pub source_id: String,
    /// When this becomes another answer by itself.
    #[schemars(with = "Option<wire::Time>")]
    pub until: Option<Timestamp>,
    /// What somebody should know.
    pub warnings: Vec<String>,
    /// The parts of a module.
    pub submodules: Vec<Entitlement>,
}

impl From<StandingView> for Entitlement {
    fn from(view: StandingView) -> Self {
        Self {
            module: view.module,
            submodule: view.submodule,
            name: view.name,
            always_on: view.always_on,
            entitled: view.entitled,
            access: view.access.as_str(),
            reason: view.reason,
            source: view.source.map(|source| source.as_str()),
            source_id: view.source_id,
            until: view.until,
            warnings: view.warnings,
            submodules: view.submodules.into_iter().map(Self::from).collect(),
        }
    }
}

/// A plan and its version.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanInForce {
    /// The plan.
    #[schemars(with = "wire::Key")]
    pub plan: Key,
    /// Its version.
    pub version: u32,
}

/// Everything an organization may use.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Entitlements {
    /// The organization.
    #[schemars(with = "wire::Id")]
    pub organization: OrganizationId,
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// The plan in force.
    pub plan: Option<PlanInForce>,
    /// No row decides anything yet: the `enabled_modules` document does.
    pub legacy: bool,
    /// How many changes of entitlements there were.
    pub version: u64,
    /// The modules, each with its parts.
    pub modules: Vec<Entitlement>,
    /// The earliest instant at which any of this becomes another answer by itself.
    #[schemars(with = "Option<wire::Time>")]
    pub until: Option<Timestamp>,
}

impl From<OrganizationEntitlements> for Entitlements {
    fn from(found: OrganizationEntitlements) -> Self {
        Self {
            organization: found.organization,
            key: found.key,
            plan: found.plan.map(|(plan, version)| PlanInForce { plan, version }),
            legacy: found.is_legacy,
            version: found.version,
            modules: found.modules.into_iter().map(Entitlement::from).collect(),
            until: found.until,
        }
    }
}

/// A row, with its source.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EntitlementLine {
    /// The module.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// The part; null for the module as a whole.
    #[schemars(with = "Option<wire::Key>")]
    pub submodule: Option<Key>,
    /// `plan`, `addon`, `trial`, `override` or `migration`.
    pub source: &'static str,
    /// Which subscription; empty for overrides and migration.
    pub source_id: String,
    /// `enabled`, `disabled`, `blocked` or `preview`.
    pub status: &'static str,
    /// First instant at which it counts.
    #[schemars(with = "Option<wire::Time>")]
    pub from: Option<Timestamp>,
    /// First instant at which it no longer counts.
    #[schemars(with = "Option<wire::Time>")]
    pub to: Option<Timestamp>,
    /// After its end it goes on until then, with a warning.
    #[schemars(with = "Option<wire::Time>")]
    pub grace_until: Option<Timestamp>,
    /// Reading and export go on until then.
    #[schemars(with = "Option<wire::Time>")]
    pub read_only_until: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

impl From<EntitlementFact> for EntitlementLine {
    fn from(row: EntitlementFact) -> Self {
        Self {
            module: row.module,
            submodule: row.submodule,
            source: row.source.as_str(),
            source_id: row.source_id,
            status: row.status.as_str(),
            from: row.window.from(),
            to: row.window.to(),
            grace_until: row.grace_until,
            read_only_until: row.read_only_until,
            reason: row.reason,
        }
    }
}

/// A row with its version and who changed it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EntitlementRecord {
    /// The row.
    pub row: EntitlementLine,
    /// Grows by one with each change.
    pub row_version: u64,
    /// Id of who changed it last; null when the operator or Charter itself did.
    #[schemars(with = "Option<wire::Id>")]
    pub changed_by: Option<PrincipalId>,
    /// When it was changed last.
    #[schemars(with = "wire::Time")]
    pub changed_at: Timestamp,
}

impl From<EntitlementRow> for EntitlementRecord {
    fn from(row: EntitlementRow) -> Self {
        Self {
            row: row.entitlement.into(),
            row_version: row.row_version,
            changed_by: row.changed.by,
            changed_at: row.changed.at,
        }
    }
}

/// A place on a preview list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PreviewPlace {
    /// The module.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// Who may use it.
    #[schemars(with = "wire::Id")]
    pub principal: PrincipalId,
}

impl From<PreviewFact> for PreviewPlace {
    fn from(row: PreviewFact) -> Self {
        Self { module: row.module, principal: row.principal }
    }
}

/// The rows behind what an organization may use.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EntitlementRows {
    /// Rows of modules, then those of their parts.
    pub rows: Vec<EntitlementRecord>,
    /// The preview lists.
    pub previews: Vec<PreviewPlace>,
    /// Plan, add-ons and trials, ended ones too.
    pub subscriptions: Vec<Subscription>,
}

/// What is to be checked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntitlementAsked {
    /// The module.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// A part of it.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub submodule: Option<Key>,
    /// An action, such as `read`: it matters while the module is read only.
    #[serde(default)]
    pub action: Option<String>,
}

/// Whether it may be used.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EntitlementAnswer {
    /// Yes or no, for the caller.
    pub entitled: bool,
    /// `full`, `grace`, `read_only`, `preview` or `denied`.
    pub access: &'static str,
    /// Why, a word that never changes.
    pub reason: &'static str,
    /// When the answer may become another by itself.
    #[schemars(with = "Option<wire::Time>")]
    pub until: Option<Timestamp>,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

impl From<EntitlementCheck> for EntitlementAnswer {
    fn from(found: EntitlementCheck) -> Self {
        Self {
            entitled: found.entitled,
            access: found.access.as_str(),
            reason: found.reason,
            until: found.until,
            warnings: found.warnings,
        }
    }
}

async fn modules(call: Call) -> Result<Reply<Items<ListedModule>>, Problem> {
    let page = call.page().cut(entitlement::modules(&call.app), |module| module.key.to_string());
    Ok(call.listing(page))
}

async fn own(call: Call) -> Result<Reply<Entitlements>, Problem> {
    let found = entitlement::of_organization(&call.app, call.organization()?, call.ctx.now).await?;
    let revision = found.revision;
    Ok(shown::versioned(found.into(), revision))
}

async fn check(call: Call<(), EntitlementAsked>) -> Result<Reply<EntitlementAnswer>, Problem> {
    let EntitlementAsked { module, submodule, action } = &call.query;
    let organization = call.organization()?;
    let found =
        entitlement::check(&call.app, &call.ctx, organization, module, submodule.as_ref(), action.as_deref())
            .await?;
    Ok(Reply::new(found.into()))
}

async fn rows(call: Call<OrganizationPath>) -> Result<Reply<EntitlementRows>, Problem> {
    let id = readable(&call.app, &call.ctx, &call.path.organization).await?;
    let found = entitlement::rows(&call.app, id).await?;
    let answer = EntitlementRows {
        rows: found.rows.into_iter().map(EntitlementRecord::from).collect(),
        previews: found.previews.into_iter().map(PreviewPlace::from).collect(),
        subscriptions: found.subscriptions.into_iter().map(Subscription::from).collect(),
    };
    Ok(shown::versioned(answer, found.revision))
}

async fn effective(call: Call<OrganizationPath>) -> Result<Reply<Entitlements>, Problem> {
    let id = readable(&call.app, &call.ctx, &call.path.organization).await?;
    let found = entitlement::of_organization(&call.app, id, call.ctx.now).await?;
    let revision = found.revision;
    Ok(shown::versioned(found.into(), revision))
}

/// The routes of entitlements.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(
            "/api/v1/modules",
            Guard::SignedIn("what modules there are is no secret among users"),
            modules,
        )
        .named("modules.list", TAG, "Lists the modules of the catalogue."),
        Route::get("/api/v1/entitlements/org", Guard::Permission("admin.org_entitlements.read"), own)
            .named("entitlements.own", TAG, "Shows what the caller's organization may use, with reasons.")
            .described("The organization is the one the credential was issued for, or the one in the query."),
        Route::get("/api/v1/entitlements/check", Guard::Permission("admin.org_entitlements.read"), check)
            .named(
                "entitlements.check",
                TAG,
                "Tells whether the organization may use a module or a part of it.",
            )
            .problems(&[ProblemKind::NotFound]),
        Route::get("/api/v1/organizations/{organization}/entitlements", Guard::SignedIn(READERS), rows)
            .named(
                "entitlements.rows",
                TAG,
                "Shows the rows behind what an organization may use, with their sources.",
            )
            .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden]),
        Route::get(
            "/api/v1/organizations/{organization}/effective-entitlements",
            Guard::SignedIn(READERS),
            effective,
        )
        .named("entitlements.show", TAG, "Shows what an organization may use, with reasons.")
        .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden]),
    ]
}
