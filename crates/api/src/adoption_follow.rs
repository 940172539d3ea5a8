//! What a run changes and removes of what earlier runs of its source wrote, in batches.

use crate::adoption::{OPERATOR, RunPath, TAG};
use crate::edge::{Call, Reply, Route, wire};
use charter_app::App;
use charter_app::adoption::{self, ACCOUNTS_MAX, Changes, Followed, ROWS_MAX};
use charter_kernel::{
    AssignmentId, GrantId, Key, OrganizationId, Pattern, PrincipalId, Problem, ProblemKind, RequestId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;

/// Five thousand rows of each kind, with long names.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post("/api/v1/adoption/runs/{run}/changes", OPERATOR, follow)
            .named("adoption.runs.follow", TAG, "Changes and removes rows of earlier runs of the source, as the operator.")
            .described(
                "All changes of a batch are made or none; a fault names its row. Only what earlier runs of the same source wrote is touched, and only \
                 where people did not change it since. Each row is noted as it was, and comes back with a rollback of the run. An account \
                 that is to act again waits for the proof. A batch can be repeated.",
            )
            .problems(&[
                ProblemKind::Forbidden,
                ProblemKind::NotFound,
                ProblemKind::InProgress,
                ProblemKind::Taken,
                ProblemKind::Changed,
            ])
            .example(
                r#"{"holder":"0193e7a0-0000-7000-8000-000000000001","accounts":[{"principal":"00000000-0001-7000-8000-000000000007","status":"deactivated"}]}"#,
            )
            .body_limit(BODY_MAX)
            .timeout(Duration::from_secs(600))
            .keeps_no_answers(),
    ]
}

/// An assignment that goes.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RemovedAssignment")]
#[serde(deny_unknown_fields)]
struct AssignmentBody {
    /// Its id, one of an earlier run.
    #[schemars(with = "wire::Id")]
    id: AssignmentId,
    /// Where.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
}

/// A grant that goes.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RemovedGrant")]
#[serde(deny_unknown_fields)]
struct GrantBody {
    /// Its id, one of an earlier run.
    #[schemars(with = "wire::Id")]
    id: GrantId,
    /// Where.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
}

/// A membership that an earlier run recorded.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ChangedMembership")]
#[serde(deny_unknown_fields)]
struct MembershipBody {
    /// Where.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// Whose.
    #[schemars(with = "wire::Id")]
    principal: PrincipalId,
    /// `active` or `deactivated`; `removed` takes one away on which nothing hangs that people made.
    status: String,
}

/// An account that an earlier run made; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ChangedAccount")]
#[serde(deny_unknown_fields)]
struct AccountBody {
    /// The account.
    #[schemars(with = "wire::Id")]
    principal: PrincipalId,
    /// `active` or `deactivated`.
    #[serde(default)]
    status: Option<String>,
    /// E-mail or user name.
    #[serde(default)]
    login: Option<String>,
    /// Shown name.
    #[serde(default)]
    name: Option<String>,
}

/// A role that an earlier run made.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ChangedRole")]
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
    /// What it gives from now on.
    #[schemars(with = "Vec<wire::Pattern>")]
    permissions: Vec<Pattern>,
}

/// A module for which an earlier run wrote a row.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ChangedModule")]
#[serde(deny_unknown_fields)]
struct ModuleBody {
    /// Whose.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// The module.
    #[schemars(with = "wire::Key")]
    module: Key,
    /// `enabled` or `disabled`.
    status: String,
}

/// An organization that an earlier run made; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ChangedOrganization")]
#[serde(deny_unknown_fields)]
struct OrganizationBody {
    /// The organization.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// Its name.
    #[serde(default)]
    name: Option<String>,
    /// `active` or `closed`.
    #[serde(default)]
    status: Option<String>,
    /// The document of the modules it has; null for none.
    #[serde(default, deserialize_with = "said")]
    #[schemars(with = "Option<String>")]
    enabled_modules: Option<Option<String>>,
}

/// A field that is there, null or not.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// A batch of changes.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptionChanges")]
#[serde(deny_unknown_fields)]
struct ChangesBody {
    /// Who carries the run out.
    #[schemars(with = "wire::Id")]
    holder: RequestId,
    /// Assignments that go.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    assignments: Vec<AssignmentBody>,
    /// Grants that go.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    grants: Vec<GrantBody>,
    /// Memberships.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    memberships: Vec<MembershipBody>,
    /// Accounts.
    #[serde(default)]
    #[schemars(length(max = ACCOUNTS_MAX))]
    accounts: Vec<AccountBody>,
    /// Roles.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    roles: Vec<RoleBody>,
    /// Modules.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    entitlements: Vec<ModuleBody>,
    /// Organizations.
    #[serde(default)]
    #[schemars(length(max = ROWS_MAX))]
    organizations: Vec<OrganizationBody>,
}

impl From<ChangesBody> for Changes {
    fn from(body: ChangesBody) -> Self {
        let membership = |it: MembershipBody| adoption::MembershipDraft {
            organization: it.organization,
            principal: it.principal,
            status: it.status,
        };
        let account = |it: AccountBody| adoption::AccountDraft {
            principal: it.principal,
            status: it.status,
            login: it.login,
            name: it.name,
        };
        let role = |it: RoleBody| adoption::RoleChange {
            organization: it.organization,
            key: it.key,
            name: it.name,
            permissions: it.permissions,
        };
        let organization = |it: OrganizationBody| adoption::OrganizationDraft {
            organization: it.organization,
            name: it.name,
            status: it.status,
            enabled_modules: it.enabled_modules,
        };
        let modules = body.entitlements.into_iter().map(|it| (it.organization, it.module, it.status));
        Self {
            assignments: body.assignments.into_iter().map(|it| (it.organization, it.id.0)).collect(),
            grants: body.grants.into_iter().map(|it| (it.organization, it.id.0)).collect(),
            memberships: body.memberships.into_iter().map(membership).collect(),
            accounts: body.accounts.into_iter().map(account).collect(),
            roles: body.roles.into_iter().map(role).collect(),
            entitlements: modules.collect(),
            organizations: body.organizations.into_iter().map(organization).collect(),
        }
    }
}

/// How many rows of each kind were changed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionChanged")]
struct ChangedView {
    /// Assignments that went.
    assignments: u64,
    /// Grants that went.
    grants: u64,
    /// Memberships.
    memberships: u64,
    /// Accounts.
    accounts: u64,
    /// Roles.
    roles: u64,
    /// Modules.
    entitlements: u64,
    /// Organizations.
    organizations: u64,
}

impl From<Followed> for ChangedView {
    fn from(it: Followed) -> Self {
        let Followed { assignments, grants, memberships, accounts, roles, entitlements, organizations } = it;
        Self { assignments, grants, memberships, accounts, roles, entitlements, organizations }
    }
}

/// What became of a batch of changes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionFollowed")]
struct FollowedView {
    /// How many rows of each kind were changed.
    changed: ChangedView,
}

async fn follow(call: Call<RunPath, (), ChangesBody>) -> Result<Reply<FollowedView>, Problem> {
    let (holder, run) = (call.body.holder.0, call.path.run);
    let followed = adoption::follow(&call.app, &call.ctx, run, holder, call.body.into()).await?;
    Ok(Reply::new(FollowedView { changed: followed.into() }))
}
