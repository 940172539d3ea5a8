//! Roles: the shipped ones, read only, and an organization's own.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::shown::{self, EditQuery, Mentioned, RemovalQuery, Shown, edited_answer, nowhere};
use charter_app::names::Names;
use charter_app::role::{self, RoleDetail, RoleDraft, RoleUpdate, RoleView};
use charter_app::search::HeldPermission;
use charter_kernel::facts::{RoleFact, RolePermission};
use charter_kernel::{Key, Pattern, PermissionCode, Problem, ProblemKind};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The level of a role, for rights on single things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    #[default]
    Viewer,
    Developer,
    Manager,
    Admin,
}

impl From<Level> for charter_kernel::facts::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Viewer => Self::Viewer,
            Level::Developer => Self::Developer,
            Level::Manager => Self::Manager,
            Level::Admin => Self::Admin,
        }
    }
}

impl From<charter_kernel::facts::Level> for Level {
    fn from(level: charter_kernel::facts::Level) -> Self {
        use charter_kernel::facts::Level as Fact;
        match level {
            Fact::Viewer => Self::Viewer,
            Fact::Developer => Self::Developer,
            Fact::Manager => Self::Manager,
            Fact::Admin => Self::Admin,
        }
    }
}

/// One line of a role.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleLine {
    /// A permission or a pattern over permissions.
    #[schemars(with = "wire::Pattern")]
    pub permission: Pattern,
    /// Key of the condition under which it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<wire::Key>")]
    pub condition: Option<Key>,
}

impl From<RoleLine> for RolePermission {
    fn from(line: RoleLine) -> Self {
        Self { pattern: line.permission, condition: line.condition }
    }
}

impl From<RolePermission> for RoleLine {
    fn from(line: RolePermission) -> Self {
        Self { permission: line.pattern, condition: line.condition }
    }
}

/// A role.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Role {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Roles it inherits from.
    #[schemars(with = "Vec<wire::Key>")]
    pub parents: Vec<Key>,
    /// What it gives by itself.
    pub permissions: Vec<RoleLine>,
    /// Its level, for rights on single things.
    pub level: Level,
}

impl From<RoleFact> for Role {
    fn from(row: RoleFact) -> Self {
        Self {
            key: row.key,
            name: row.name,
            parents: row.parents,
            permissions: row.permissions.into_iter().map(Into::into).collect(),
            level: row.level.into(),
        }
    }
}

impl Shown for Role {
    type Row = RoleFact;

    fn mention(_: &RoleFact, _: &mut Mentioned) {}

    fn of(row: RoleFact, _: &Names) -> Self {
        row.into()
    }
}

/// A role with where it comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListedRole {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Roles it inherits from.
    #[schemars(with = "Vec<wire::Key>")]
    pub parents: Vec<Key>,
    /// What it gives by itself.
    pub permissions: Vec<RoleLine>,
    /// Its level, for rights on single things.
    pub level: Level,
    /// It comes from the catalogue and cannot be changed here.
    pub shipped: bool,
    /// What it is for; own roles have none.
    pub description: String,
    /// Names that older systems use for it.
    pub aliases: Vec<String>,
    /// How many permissions it gives, with what it inherits.
    pub permissions_count: usize,
}

impl From<RoleView> for ListedRole {
    fn from(view: RoleView) -> Self {
        let Role { key, name, parents, permissions, level } = view.role.into();
        Self {
            key,
            name,
            parents,
            permissions,
            level,
            shipped: view.shipped,
            description: view.description,
            aliases: view.aliases,
            permissions_count: view.codes,
        }
    }
}

/// A permission a role gives.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RoleGives {
    /// The permission.
    #[schemars(with = "wire::Code")]
    pub permission: PermissionCode,
    /// Under a condition only.
    pub conditional: bool,
}

impl From<HeldPermission> for RoleGives {
    fn from(held: HeldPermission) -> Self {
        Self { permission: held.code, conditional: held.conditional }
    }
}

/// A role with every permission it gives.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownRole {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Roles it inherits from.
    #[schemars(with = "Vec<wire::Key>")]
    pub parents: Vec<Key>,
    /// What it gives by itself.
    pub permissions: Vec<RoleLine>,
    /// Its level, for rights on single things.
    pub level: Level,
    /// It comes from the catalogue and cannot be changed here.
    pub shipped: bool,
    /// What it is for; own roles have none.
    pub description: String,
    /// Names that older systems use for it.
    pub aliases: Vec<String>,
    /// How many permissions it gives, with what it inherits.
    pub permissions_count: usize,
    /// Every permission it gives, patterns and parents expanded.
    pub effective_permissions: Vec<RoleGives>,
}

impl From<RoleDetail> for ShownRole {
    fn from(detail: RoleDetail) -> Self {
        let ListedRole {
            key,
            name,
            parents,
            permissions,
            level,
            shipped,
            description,
            aliases,
            permissions_count,
        } = detail.view.into();
        Self {
            key,
            name,
            parents,
            permissions,
            level,
            shipped,
            description,
            aliases,
            permissions_count,
            effective_permissions: detail.effective.into_iter().map(Into::into).collect(),
        }
    }
}

/// A role to be created.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Its key; a shipped role's key cannot be taken.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Roles it inherits from.
    #[serde(default)]
    #[schemars(with = "Vec<wire::Key>")]
    pub parents: Vec<Key>,
    /// What it gives.
    #[serde(default)]
    pub permissions: Vec<RoleLine>,
    /// Its level, for rights on single things.
    #[serde(default)]
    pub level: Level,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What changes about a role; what is left out stays, lists are replaced whole.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleChange {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Roles it inherits from.
    #[serde(default)]
    #[schemars(with = "Option<Vec<wire::Key>>")]
    pub parents: Option<Vec<Key>>,
    /// What it gives.
    #[serde(default)]
    pub permissions: Option<Vec<RoleLine>>,
    /// Its level.
    #[serde(default)]
    pub level: Option<Level>,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
    /// Accept separation-of-duty conflicts that come of it, for this reason.
    #[serde(default)]
    pub accept_conflicts: Option<String>,
}

/// One role's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RolePath {
    /// Key of the role.
    pub role: String,
}

edited_answer!(EditedRole { role: Role });

async fn list(call: Call) -> Result<Reply<Items<ListedRole>>, Problem> {
    let found = role::list(&call.app, call.permit()?, &call.page()).await?;
    Ok(call.listing(found))
}

async fn create(call: Call<(), EditQuery, NewRole>) -> Result<Reply<EditedRole>, Problem> {
    let organization = call.organization()?;
    let body = &call.body;
    let options = shown::options(&call.precondition, call.query.dry_run, body.reason.as_deref(), None)?;
    let draft = RoleDraft {
        key: body.key.clone(),
        name: body.name.clone(),
        parents: body.parents.clone(),
        permissions: body.permissions.iter().cloned().map(Into::into).collect(),
        level: body.level.into(),
    };
    let edited = role::create(&call.app, &call.ctx, call.permit()?, options, draft).await?;
    let place = |role: &Role| Some(format!("/api/v1/organizations/{organization}/roles/{}", role.key));
    EditedRole::answer(&call.app, organization, edited, place).await
}

async fn get(call: Call<RolePath>) -> Result<Reply<ShownRole>, Problem> {
    let revision = shown::revision(&call.app, &call.ctx, call.organization()?).await?;
    let found = role::get(&call.app, call.permit()?, &call.path.role).await?;
    Ok(shown::versioned(found.into(), revision))
}

async fn update(call: Call<RolePath, EditQuery, RoleChange>) -> Result<Reply<EditedRole>, Problem> {
    let body = &call.body;
    let options = shown::options(
        &call.precondition,
        call.query.dry_run,
        body.reason.as_deref(),
        body.accept_conflicts.as_deref(),
    )?;
    let lines = body.permissions.clone();
    let update = RoleUpdate {
        name: body.name.clone(),
        parents: body.parents.clone(),
        permissions: lines.map(|lines| lines.into_iter().map(Into::into).collect()),
        level: body.level.map(Into::into),
    };
    let key = call.path.role.clone();
    let edited = role::update(&call.app, &call.ctx, call.permit()?, options, key, update).await?;
    EditedRole::answer(&call.app, call.organization()?, edited, nowhere).await
}

async fn delete(call: Call<RolePath, RemovalQuery>) -> Result<Reply<EditedRole>, Problem> {
    let options = call.query.options(&call.precondition)?;
    let key = call.path.role.clone();
    let edited = role::delete(&call.app, &call.ctx, call.permit()?, options, key).await?;
    EditedRole::answer(&call.app, call.organization()?, edited, nowhere).await
}

const ROLES: &str = "/api/v1/organizations/{organization}/roles";
const ROLE: &str = "/api/v1/organizations/{organization}/roles/{role}";

/// The routes of roles.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(ROLES, Guard::Permission("admin.roles.read"), list).named(
            "roles.list",
            "Roles",
            "Lists the shipped roles and the organization's own.",
        ),
        Route::post(ROLES, Guard::Permission("admin.roles.create"), create)
            .named("roles.create", "Roles", "Creates a role of the organization's own.")
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::Taken, ProblemKind::BeyondGiver])
            .example(
                r#"{"key": "invoice_clerk", "name": "Invoice clerk", "permissions": [{"permission": "sales.invoices.read"}]}"#,
            ),
        Route::get(ROLE, Guard::Permission("admin.roles.read"), get).named("roles.get", "Roles", "Shows one role with every permission it gives."),
        Route::patch(ROLE, Guard::Permission("admin.roles.update"), update)
            .named("roles.update", "Roles", "Changes one of the organization's own roles.")
            .problems(&[ProblemKind::BeyondGiver, ProblemKind::Conflict])
            .example(r#"{"level": "developer"}"#),
        Route::delete(ROLE, Guard::Permission("admin.roles.delete"), delete)
            .named("roles.delete", "Roles", "Deletes a role that nobody holds.")
            .problems(&[ProblemKind::InUse]),
    ]
}
