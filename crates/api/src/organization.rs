//! Organizations: create, list, change, suspend, close.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::shown::{self, AccessChange, EditQuery, Mentioned, Shown};
use charter_app::App;
use charter_app::edit::Edited;
use charter_app::names::Names;
use charter_app::organization::{self, OrganizationDraft, OrganizationUpdate, OrganizationView};
use charter_kernel::facts::OrganizationStatus as Status;
use charter_kernel::{Key, OrganizationId, Problem, ProblemKind, Timestamp};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An organization.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Organization {
    /// Its id.
    #[schemars(with = "wire::Id")]
    pub id: OrganizationId,
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// `platform` for the one that runs the installation, `customer` for the others.
    pub kind: &'static str,
    /// `active`, `suspended` or `closed`.
    pub status: &'static str,
    /// The `enabled_modules` document of an older system, as found.
    #[schemars(with = "Option<wire::Json>")]
    pub enabled_modules: Option<Value>,
    /// Attributes a caller may assert with a check.
    pub assertable: Vec<String>,
    /// Version of its facts: what a check is answered from, and what `If-Match` names.
    pub revision: u64,
    /// When it was made.
    #[schemars(with = "wire::Time")]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schemars(with = "wire::Time")]
    pub updated_at: Timestamp,
}

impl From<OrganizationView> for Organization {
    fn from(view: OrganizationView) -> Self {
        let row = view.organization;
        Self {
            id: row.id,
            key: row.key,
            name: row.name,
            kind: row.kind.as_str(),
            status: row.status.as_str(),
            enabled_modules: row.enabled_modules.as_deref().map(shown::json_value),
            assertable: row.assertable,
            revision: row.revision.0,
            created_at: view.created_at,
            updated_at: view.updated_at,
        }
    }
}

impl Shown for Organization {
    type Row = OrganizationView;

    fn mention(_: &OrganizationView, _: &mut Mentioned) {}

    fn of(view: OrganizationView, _: &Names) -> Self {
        view.into()
    }
}

/// An organization after a change, and what the change did or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EditedOrganization {
    /// The organization after the change.
    #[serde(flatten)]
    pub organization: Organization,
    /// Nothing was written.
    pub dry_run: bool,
    /// Who gained and who lost what, at most 1,000 of them.
    pub access_changes: Vec<AccessChange>,
    /// How many there are in all.
    pub access_changes_count: usize,
}

/// An organization to be created.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganization {
    /// Its key; it never changes.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// The `enabled_modules` document of an older system.
    #[serde(default)]
    #[schemars(with = "Option<wire::Json>")]
    pub enabled_modules: Option<Value>,
}

/// What changes about an organization; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationChange {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Attributes a caller may assert with a check: `subject.<attribute>` or `resource.<attribute>`, `*` for every attribute.
    #[serde(default)]
    pub assertable: Option<Vec<String>>,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The document of an older system.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutEnabledModules {
    /// The document as it is; null removes it.
    #[schemars(with = "Option<wire::Json>")]
    pub enabled_modules: Option<Value>,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Why an organization is stopped, or goes on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusReason {
    /// Why, for the audit trail.
    pub reason: String,
}

/// One organization's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OrganizationPath {
    /// Key or id of the organization.
    pub organization: String,
}

fn reply(view: OrganizationView) -> Reply<Organization> {
    let revision = view.organization.revision;
    shown::versioned(view.into(), revision)
}

async fn edited(
    app: &App,
    id: OrganizationId,
    edited: Edited<OrganizationView>,
) -> Result<Reply<EditedOrganization>, Problem> {
    let revision = edited.revision;
    let (organization, outcome) = shown::edited::<Organization>(app, id, edited).await?;
    let shown::Outcome { dry_run, access_changes, access_changes_count, .. } = outcome;
    let answer = EditedOrganization { organization, dry_run, access_changes, access_changes_count };
    Ok(shown::versioned(answer, revision))
}

async fn list(call: Call) -> Result<Reply<Items<Organization>>, Problem> {
    let found = organization::list(&call.app, call.permit()?, &call.page()).await?;
    Ok(call.listing(found))
}

async fn create(call: Call<(), (), NewOrganization>) -> Result<Reply<Organization>, Problem> {
    let body = &call.body;
    let draft = OrganizationDraft {
        key: body.key.clone(),
        name: body.name.clone(),
        enabled_modules: body.enabled_modules.as_ref().map(Value::to_string),
    };
    let made = organization::create(&call.app, &call.ctx, call.permit()?, draft).await?;
    let place = format!("/api/v1/organizations/{}", made.organization.key);
    Ok(reply(made).location(place))
}

async fn get(call: Call<OrganizationPath>) -> Result<Reply<Organization>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let (here, on_platform) = ("admin.org_settings.read", "platform.organizations.read");
    call.app.require_here_or_on_platform(&call.ctx, id, here, on_platform).await?;
    Ok(reply(organization::get(&call.app, id).await?))
}

async fn update(call: Call<(), EditQuery, OrganizationChange>) -> Result<Reply<EditedOrganization>, Problem> {
    let body = &call.body;
    let update = OrganizationUpdate {
        name: body.name.clone(),
        assertable: body.assertable.clone(),
        reason: body.reason.clone().unwrap_or_default(),
        if_revision: call.precondition.expected_revision()?,
        dry_run: call.query.dry_run,
        ..OrganizationUpdate::default()
    };
    let id = call.organization()?;
    let done = organization::update(&call.app, &call.ctx, call.permit()?, id, update).await?;
    edited(&call.app, id, done).await
}

async fn put_enabled_modules(
    call: Call<OrganizationPath, EditQuery, PutEnabledModules>,
) -> Result<Reply<EditedOrganization>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let update = OrganizationUpdate {
        enabled_modules: Some(call.body.enabled_modules.as_ref().map(Value::to_string)),
        reason: call.body.reason.clone().unwrap_or_default(),
        if_revision: call.precondition.expected_revision()?,
        dry_run: call.query.dry_run,
        ..OrganizationUpdate::default()
    };
    let done = organization::update(&call.app, &call.ctx, call.permit()?, id, update).await?;
    edited(&call.app, id, done).await
}

async fn turn(
    call: Call<OrganizationPath, EditQuery, StatusReason>,
    status: Status,
) -> Result<Reply<EditedOrganization>, Problem> {
    let id = call.app.resolve_organization(&call.path.organization).await?;
    let update = OrganizationUpdate {
        status: Some(status),
        reason: call.body.reason.clone(),
        if_revision: call.precondition.expected_revision()?,
        dry_run: call.query.dry_run,
        ..OrganizationUpdate::default()
    };
    let done = organization::update(&call.app, &call.ctx, call.permit()?, id, update).await?;
    edited(&call.app, id, done).await
}

async fn suspend(
    call: Call<OrganizationPath, EditQuery, StatusReason>,
) -> Result<Reply<EditedOrganization>, Problem> {
    turn(call, Status::Suspended).await
}

async fn resume(
    call: Call<OrganizationPath, EditQuery, StatusReason>,
) -> Result<Reply<EditedOrganization>, Problem> {
    turn(call, Status::Active).await
}

async fn close(
    call: Call<OrganizationPath, EditQuery, StatusReason>,
) -> Result<Reply<EditedOrganization>, Problem> {
    turn(call, Status::Closed).await
}

const ORGANIZATIONS: &str = "/api/v1/organizations";
const ORGANIZATION: &str = "/api/v1/organizations/{organization}";
const WHY: &str = r#"{"reason": "the contract was not renewed"}"#;

/// The routes of organizations.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(ORGANIZATIONS, Guard::PlatformPermission("platform.organizations.read"), list).named(
            "organizations.list",
            "Organizations",
            "Lists the organizations of the installation.",
        ),
        Route::post(ORGANIZATIONS, Guard::PlatformPermission("platform.organizations.create"), create)
            .named("organizations.create", "Organizations", "Creates an organization.")
            .described("Members, a plan and an administrator come next.")
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::Taken])
            .example(r#"{"key": "toys", "name": "Soft Toys Ltd"}"#),
        Route::get(
            ORGANIZATION,
            Guard::SignedIn(
                "the handler asks for admin.org_settings.read there or platform.organizations.read in the platform organization",
            ),
            get,
        )
        .named("organizations.get", "Organizations", "Shows one organization.")
        .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden]),
        Route::patch(ORGANIZATION, Guard::Permission("admin.org_settings.update"), update)
            .named("organizations.update", "Organizations", "Changes an organization's name or what callers may assert.")
            .example(r#"{"assertable": ["resource.amount"]}"#),
        Route::put(
            "/api/v1/organizations/{organization}/enabled-modules",
            Guard::PlatformPermission("platform.organizations.update"),
            put_enabled_modules,
        )
        .named("organizations.enabled-modules", "Organizations", "Keeps the enabled_modules document of an older system.")
        .example(r#"{"enabled_modules": ["finance", "inventory"]}"#),
        Route::post(
            "/api/v1/organizations/{organization}/suspend",
            Guard::PlatformPermission("platform.organizations.suspend"),
            suspend,
        )
        .named("organizations.suspend", "Organizations", "Stops an organization for a while.")
        .example(WHY),
        Route::post(
            "/api/v1/organizations/{organization}/resume",
            Guard::PlatformPermission("platform.organizations.suspend"),
            resume,
        )
        .named("organizations.resume", "Organizations", "Puts a suspended or closed organization in use again.")
        .example(r#"{"reason": "the invoice is paid"}"#),
        Route::post(
            "/api/v1/organizations/{organization}/close",
            Guard::PlatformPermission("platform.organizations.delete"),
            close,
        )
        .named("organizations.close", "Organizations", "Ends an organization; its facts stay.")
        .example(WHY),
    ]
}
