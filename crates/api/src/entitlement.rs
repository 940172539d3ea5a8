//! Entitlements: what an organization may use, the rows behind it, what people change by hand, and the trail of it.

use crate::audit::AuditVerification;
use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::organization::OrganizationPath;
use crate::plan::Subscription;
use crate::shown::{self, EditQuery, RemovalQuery};
use charter_app::entitlement::{
    self, ChangeOptions, Changed, EntitlementCheck, EntitlementEvent, EntitlementRow, LegacyReport,
    OrganizationEntitlements, OverrideDraft, OverrideKind, OverrideView, StandingView,
};
use charter_app::{App, RequestContext, audit as trail};
use charter_kernel::catalogue::{self, ModuleScope};
use charter_kernel::entitlement::{EntitlementFact, PreviewFact};
use charter_kernel::{Key, OrganizationId, PrincipalId, Problem, ProblemKind, RequestId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a sign-in is enough for routes that read one organization's entitlements.
pub(crate) const READERS: &str = "the handler asks for admin.org_entitlements.read there or platform.entitlements.read in the platform organization";

/// The organization a text names, for somebody who may read its entitlements: its own people, and those of the platform.
pub(crate) async fn readable(app: &App, ctx: &RequestContext, text: &str) -> Result<OrganizationId, Problem> {
    let id = app.resolve_organization(text).await?;
    if let Err(here) = app.require(ctx, id, "admin.org_entitlements.read").await {
        if here.kind == ProblemKind::Unavailable {
            return Err(here);
        }
        app.require(ctx, app.platform(), "platform.entitlements.read").await.map_err(|_| here)?;
    }
    Ok(id)
}

/// How a change is to be made, from what came with the request.
pub(crate) fn options(
    precondition: &crate::edge::Precondition,
    dry_run: bool,
) -> Result<ChangeOptions, Problem> {
    Ok(ChangeOptions { dry_run, if_revision: precondition.expected_revision()? })
}

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

/// Why something is changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeReason {
    /// Why.
    pub reason: String,
}

/// An event of the chain of entitlements.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EntitlementHappened {
    /// Its number in the chain of the organization, from 1.
    pub seq: u64,
    /// When.
    #[schemars(with = "wire::Time")]
    pub at: Timestamp,
    /// Who: a login, `operator:` and an account, or the part of Charter.
    pub actor: String,
    /// `api`, `sweeper`, `migration` or `plan_publish`.
    pub cause: &'static str,
    /// What, as `noun.verb`.
    pub action: String,
    /// The module, where it is about one.
    #[schemars(with = "Option<wire::Key>")]
    pub module: Option<Key>,
    /// The part, where it is about one.
    #[schemars(with = "Option<wire::Key>")]
    pub submodule: Option<Key>,
    /// The limit, where it is about one.
    #[schemars(with = "Option<wire::Key>")]
    pub limit: Option<Key>,
    /// The thing before.
    #[schemars(with = "Option<wire::Json>")]
    pub before: Option<Value>,
    /// The thing after; for a change of plan with what it means.
    #[schemars(with = "Option<wire::Json>")]
    pub after: Option<Value>,
    /// Why.
    pub reason: String,
    /// The request that caused it.
    #[schemars(with = "Option<wire::Id>")]
    pub request_id: Option<RequestId>,
    /// Hash of the event before it, in hexadecimal.
    pub previous_hash: String,
    /// Its own hash, in hexadecimal.
    pub hash: String,
}

impl From<EntitlementEvent> for EntitlementHappened {
    fn from(event: EntitlementEvent) -> Self {
        Self {
            seq: event.seq,
            at: event.at,
            actor: event.actor,
            cause: event.cause.as_str(),
            action: event.action,
            module: event.module,
            submodule: event.submodule,
            limit: event.limit,
            before: event.before.as_deref().map(shown::json_value),
            after: event.after.as_deref().map(shown::json_value),
            reason: event.reason,
            request_id: event.correlation,
            previous_hash: trail::hex(&event.prev_hash),
            hash: trail::hex(&event.hash),
        }
    }
}

/// Which events are looked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntitlementEventFilter {
    /// Only those about this module.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub module: Option<Key>,
}

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

/// What the emergency exit removed, or would remove.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TruncatedEntitlements {
    /// Rows of modules.
    pub modules: usize,
    /// Rows of parts.
    pub submodules: usize,
    /// Places on preview lists.
    pub previews: usize,
    /// Subscriptions that were ended.
    pub subscriptions: usize,
    /// The revision of the organization after it.
    pub revision: u64,
    /// Nothing was written.
    pub dry_run: bool,
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

/// Why something is taken away.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonQuery {
    /// Why.
    #[serde(default)]
    pub reason: String,
}

async fn events(
    call: Call<OrganizationPath, EntitlementEventFilter>,
) -> Result<Reply<Items<EntitlementHappened>>, Problem> {
    let id = readable(&call.app, &call.ctx, &call.path.organization).await?;
    let found = entitlement::events(&call.app, id, call.query.module.clone(), &call.page()).await?;
    Ok(call.listing(found))
}

async fn verify(call: Call<OrganizationPath>) -> Result<Reply<AuditVerification>, Problem> {
    let id = readable(&call.app, &call.ctx, &call.path.organization).await?;
    Ok(Reply::new(entitlement::verify(&call.app, id).await?.into()))
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
    call: Call<OrganizationPath, EditQuery, ChangeReason>,
) -> Result<Reply<TruncatedEntitlements>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let options = options(&call.precondition, call.query.dry_run)?;
    let reason = &call.body.reason;
    let done = entitlement::truncate(&call.app, &call.ctx, call.permit()?, id, options, reason).await?;
    let answer = TruncatedEntitlements {
        modules: done.value.modules,
        submodules: done.value.submodules,
        previews: done.value.previews,
        subscriptions: done.value.subscriptions,
        revision: done.revision.0,
        dry_run: done.dry_run,
    };
    Ok(shown::versioned(answer, done.revision))
}

const MODULE: &str = "/api/v1/organizations/{organization}/entitlements/{module}";
const PART: &str = "/api/v1/organizations/{organization}/entitlements/{module}/{submodule}";
const PREVIEW: &str = "/api/v1/organizations/{organization}/previews/{module}/{member}";
const CHANGE: Guard = Guard::PlatformPermission("platform.entitlements.update");
const REFUSED: &[ProblemKind] = &[ProblemKind::InUse, ProblemKind::NotFound];
const TAG: &str = "Entitlements";

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
            .named("entitlements.check", TAG, "Tells whether the organization may use a module or a part of it.")
            .problems(&[ProblemKind::NotFound]),
        Route::get("/api/v1/organizations/{organization}/entitlements", Guard::SignedIn(READERS), rows)
            .named("entitlements.rows", TAG, "Shows the rows behind what an organization may use, with their sources.")
            .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden]),
        Route::get(
            "/api/v1/organizations/{organization}/effective-entitlements",
            Guard::SignedIn(READERS),
            effective,
        )
        .named("entitlements.show", TAG, "Shows what an organization may use, with reasons.")
        .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden]),
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
        Route::list(
            "/api/v1/organizations/{organization}/entitlement-events",
            Guard::SignedIn(READERS),
            events,
        )
        .named("entitlements.events", TAG, "Lists what changed in an organization's entitlements, newest first.")
        .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden]),
        Route::get(
            "/api/v1/organizations/{organization}/entitlement-events/verification",
            Guard::SignedIn(READERS),
            verify,
        )
        .named("entitlements.verify", TAG, "Reads the whole chain of entitlement events and tells what does not fit.")
        .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden])
        .timeout(std::time::Duration::from_secs(300)),
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
            "The emergency exit after a takeover that went wrong: rows and preview lists go, subscriptions end; events, usage and \
             limit overrides stay.",
        )
        .problems(&[ProblemKind::NotFound])
        .example(r#"{"reason": "the takeover went wrong"}"#),
    ]
}
