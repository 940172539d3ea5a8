//! The rows of a run of adoption, in batches.

use crate::adoption::{OPERATOR, RunPath, TAG};
use crate::edge::{Call, Reply, Route, wire};
use charter_app::App;
use charter_app::adoption::{self, Inserted, ROWS_MAX, Rows};
use charter_kernel::{
    AssignmentId, GrantId, Key, OrganizationId, Pattern, PrincipalId, Problem, ProblemKind, RequestId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Five thousand rows of each kind, with long names.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post("/api/v1/adoption/runs/{run}/rows", OPERATOR, write)
            .named("adoption.runs.rows", TAG, "Writes a batch of rows of a run, as the operator.")
            .described(
                "All rows of a batch are written or none; a fault names its row. A row that is there already stays as it is, so a batch can \
                 be repeated. Ids of new rows lie in the range of the run. Nothing but rows that allow is written.",
            )
            .problems(&[
                ProblemKind::Forbidden,
                ProblemKind::NotFound,
                ProblemKind::InProgress,
                ProblemKind::Taken,
                ProblemKind::Changed,
            ])
            .example(
                r#"{"holder":"0193e7a0-0000-7000-8000-000000000001","organizations":[{"legacy_id":"7","id":"00000000-0001-7000-8000-000000000007","key":"toys","name":"Soft Toys","status":"active"}]}"#,
            )
            .body_limit(BODY_MAX)
            .timeout(Duration::from_secs(600))
            .keeps_no_answers(),
    ]
}

/// An organization of another system.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptedOrganization")]
#[serde(deny_unknown_fields)]
struct OrganizationBody {
    /// Its id there.
    legacy_id: String,
    /// Its id here: one of the run, or that of an organization that is there, which is linked only.
    #[schemars(with = "wire::Id")]
    id: OrganizationId,
    /// Its key.
    #[schemars(with = "wire::Key")]
    key: Key,
    /// Its name.
    name: String,
    /// The document of the modules it has, as found.
    #[serde(default)]
    enabled_modules: Option<String>,
    /// `active`, `suspended` or `closed`.
    status: String,
}

/// A role of an organization's own.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptedRole")]
#[serde(deny_unknown_fields)]
struct RoleBody {
    /// Whose.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// Its key.
    #[schemars(with = "wire::Key")]
    key: Key,
    /// Its name.
    name: String,
    /// `viewer`, `developer`, `manager` or `admin`.
    level: String,
    /// What it gives.
    #[schemars(with = "Vec<wire::Pattern>")]
    permissions: Vec<Pattern>,
}

/// A user of another system.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptedUser")]
#[serde(deny_unknown_fields)]
struct UserBody {
    /// Their id there.
    legacy_id: String,
    /// The account here: one of the run, or one that is there with this login, which is linked only.
    #[schemars(with = "wire::Id")]
    id: PrincipalId,
    /// E-mail or user name.
    login: String,
    /// Shown name; the login when left out.
    #[serde(default)]
    name: Option<String>,
    /// `active` or `deactivated`. An active account is suspended until the equivalence of the run is done.
    status: String,
    /// The hash of the password, as the other system has it. An account that an earlier run made gets it where what is kept is what a run took
    /// over still.
    #[serde(default)]
    password_hash: Option<String>,
}

/// A membership.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptedMembership")]
#[serde(deny_unknown_fields)]
struct MembershipBody {
    /// Where.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// Whose.
    #[schemars(with = "wire::Id")]
    principal: PrincipalId,
    /// `active`, `suspended` or `deactivated`.
    status: String,
}

/// An assignment.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptedAssignment")]
#[serde(deny_unknown_fields)]
struct AssignmentBody {
    /// Its id, one of the run.
    #[schemars(with = "wire::Id")]
    id: AssignmentId,
    /// Where.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// The role.
    #[schemars(with = "wire::Key")]
    role: Key,
    /// Whose.
    #[schemars(with = "wire::Id")]
    principal: PrincipalId,
}

/// A grant that reaches the organization as a whole.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptedGrant")]
#[serde(deny_unknown_fields)]
struct GrantBody {
    /// Its id, one of the run.
    #[schemars(with = "wire::Id")]
    id: GrantId,
    /// Where.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// Whose.
    #[schemars(with = "wire::Id")]
    principal: PrincipalId,
    /// What it allows.
    #[schemars(with = "wire::Pattern")]
    pattern: Pattern,
}

/// Whether an organization may use a module.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptedEntitlement")]
#[serde(deny_unknown_fields)]
struct EntitlementBody {
    /// Whose.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// The module.
    #[schemars(with = "wire::Key")]
    module: Key,
    /// `enabled` or `disabled`.
    status: String,
}

/// A batch of rows; they are written in this order.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptionRows")]
#[serde(deny_unknown_fields)]
struct RowsBody {
    /// Who carries the run out.
    #[schemars(with = "wire::Id")]
    holder: RequestId,
    /// Organizations.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    organizations: Vec<OrganizationBody>,
    /// Roles.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    roles: Vec<RoleBody>,
    /// Users.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    users: Vec<UserBody>,
    /// Memberships.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    memberships: Vec<MembershipBody>,
    /// Assignments.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    assignments: Vec<AssignmentBody>,
    /// Grants.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    grants: Vec<GrantBody>,
    /// Entitlements.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    entitlements: Vec<EntitlementBody>,
}

impl From<RowsBody> for Rows {
    fn from(body: RowsBody) -> Self {
        let organization = |it: OrganizationBody| adoption::OrganizationRow {
            legacy_id: it.legacy_id,
            id: it.id,
            key: it.key,
            name: it.name,
            enabled_modules: it.enabled_modules,
            status: it.status,
        };
        let role = |it: RoleBody| adoption::RoleRow {
            organization: it.organization,
            key: it.key,
            name: it.name,
            level: it.level,
            permissions: it.permissions,
        };
        let user = |it: UserBody| adoption::UserRow {
            legacy_id: it.legacy_id,
            id: it.id,
            login: it.login,
            name: it.name,
            status: it.status,
            password_hash: it.password_hash,
        };
        let membership = |it: MembershipBody| adoption::MembershipRow {
            organization: it.organization,
            principal: it.principal,
            status: it.status,
        };
        let assignment = |it: AssignmentBody| adoption::AssignmentRow {
            id: it.id.0,
            organization: it.organization,
            role: it.role,
            principal: it.principal,
        };
        let grant = |it: GrantBody| adoption::GrantRow {
            id: it.id.0,
            organization: it.organization,
            principal: it.principal,
            pattern: it.pattern,
        };
        let entitlement = |it: EntitlementBody| adoption::EntitlementRow {
            organization: it.organization,
            module: it.module,
            status: it.status,
        };
        Self {
            organizations: body.organizations.into_iter().map(organization).collect(),
            roles: body.roles.into_iter().map(role).collect(),
            users: body.users.into_iter().map(user).collect(),
            memberships: body.memberships.into_iter().map(membership).collect(),
            assignments: body.assignments.into_iter().map(assignment).collect(),
            grants: body.grants.into_iter().map(grant).collect(),
            entitlements: body.entitlements.into_iter().map(entitlement).collect(),
        }
    }
}

/// How many rows of each kind are new.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionRowsInserted")]
struct InsertedView {
    /// Organizations.
    organizations: u64,
    /// Roles.
    roles: u64,
    /// Users.
    users: u64,
    /// Memberships.
    memberships: u64,
    /// Assignments.
    assignments: u64,
    /// Grants.
    grants: u64,
    /// Entitlements.
    entitlements: u64,
}

impl From<Inserted> for InsertedView {
    fn from(it: Inserted) -> Self {
        let Inserted { organizations, roles, users, memberships, assignments, grants, entitlements } = it;
        Self { organizations, roles, users, memberships, assignments, grants, entitlements }
    }
}

/// What became of a batch.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionRowsWritten")]
struct WrittenView {
    /// How many rows of each kind are new.
    inserted: InsertedView,
    /// How many accounts of earlier runs have another password, as their users have there.
    passwords: u64,
}

async fn write(call: Call<RunPath, (), RowsBody>) -> Result<Reply<WrittenView>, Problem> {
    let (holder, run) = (call.body.holder.0, call.path.run);
    let written = adoption::write(&call.app, &call.ctx, run, holder, call.body.into()).await?;
    Ok(Reply::new(WrittenView { inserted: written.inserted.into(), passwords: written.passwords }))
}
