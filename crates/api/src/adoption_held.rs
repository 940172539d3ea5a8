//! What runs of a source wrote that stands: read by the next plan of it.

use crate::adoption::{OPERATOR, TAG};
use crate::edge::{Call, Reply, Route, wire};
use charter_app::App;
use charter_app::adoption::{
    self, Held, HeldAccount, HeldEntitlement, HeldMember, HeldOrganization, HeldRole, RemovedRight,
};
use charter_kernel::{
    AssignmentId, GrantId, Key, OrganizationId, Pattern, PrincipalId, Problem, ProblemKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::get("/api/v1/adoption/held", OPERATOR, held)
            .named("adoption.held", TAG, "Tells what runs of a source wrote into an organization, as the operator.")
            .described(
                "Members that have something by runs, by their ids; `next` is what `after` takes for those that follow. Roles and modules come \
                 with the first page, and what people removed by hand. What they gave by hand is not told; what they changed of a run's rows is not \
                 `settled`.",
            )
            .problems(&[ProblemKind::Forbidden, ProblemKind::NotFound])
            .timeout(Duration::from_secs(120)),
        Route::get("/api/v1/adoption/held/accounts", OPERATOR, accounts)
            .named("adoption.held.accounts", TAG, "Lists the accounts of a source's users as they are, as the operator.")
            .described(
                "In the order of their ids there, at most 50,000 at once; `next` is what `after` takes for those that follow. An `own` account was \
                 made by a run of the source and is no other source's.",
            )
            .problems(&[ProblemKind::Forbidden])
            .timeout(Duration::from_secs(120)),
    ]
}

/// Which rows are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HeldQuery {
    /// The other system, by the name the operator gave it.
    #[schemars(with = "wire::Key")]
    source: Key,
    /// The organization.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// Only members after this one.
    #[serde(default)]
    #[schemars(with = "Option<wire::Id>")]
    after: Option<PrincipalId>,
    /// How many members are looked at at most.
    #[serde(default)]
    limit: Option<u32>,
}

/// Which accounts are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HeldAccountsQuery {
    /// The other system, by the name the operator gave it.
    #[schemars(with = "wire::Key")]
    source: Key,
    /// Only those after this id there.
    #[serde(default)]
    after: Option<String>,
    /// How many at most.
    #[serde(default)]
    limit: Option<u32>,
}

/// The account of a user of a source.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HeldAccount")]
struct AccountView {
    /// The user's id there.
    legacy_id: String,
    /// The account.
    #[schemars(with = "wire::Id")]
    principal: PrincipalId,
    /// Its login.
    login: String,
    /// Its name.
    name: String,
    /// `active`, `suspended` or `deactivated`; one that acts again with the proof of a run under way counts as active.
    status: &'static str,
    /// Whether it acts with the proof of a run that is under way.
    waits: bool,
    /// Whether a run of the source made it, and no other source has it.
    own: bool,
    /// Whether its status is one that a run gave it.
    status_settled: bool,
    /// Whether its login and name are those that a run gave it.
    name_settled: bool,
}

impl From<HeldAccount> for AccountView {
    fn from(it: HeldAccount) -> Self {
        Self {
            legacy_id: it.legacy_id,
            principal: it.principal,
            login: it.login,
            name: it.name,
            status: it.status.as_str(),
            waits: it.waits,
            own: it.is_own,
            status_settled: it.is_status_settled,
            name_settled: it.is_name_settled,
        }
    }
}

/// The accounts of a source's users.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HeldAccounts")]
struct AccountsView {
    /// The accounts.
    items: Vec<AccountView>,
    /// What `after` takes for those that follow; null at the end.
    next: Option<String>,
}

/// An organization of a source as it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HeldOrganization")]
struct OrganizationView {
    /// Its name.
    name: String,
    /// `active`, `suspended` or `closed`.
    status: &'static str,
    /// The document of the modules it has.
    enabled_modules: Option<String>,
    /// Whether it opens with the proof of a run that is under way.
    waits: bool,
    /// Whether a run of the source made it.
    own: bool,
    /// Whether it is as a run left it.
    settled: bool,
}

impl From<HeldOrganization> for OrganizationView {
    fn from(it: HeldOrganization) -> Self {
        Self {
            name: it.name,
            status: it.status.as_str(),
            enabled_modules: it.enabled_modules,
            waits: it.waits,
            own: it.is_own,
            settled: it.is_settled,
        }
    }
}

/// A role that a run made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HeldRole")]
struct RoleView {
    /// Its key.
    #[schemars(with = "wire::Key")]
    key: Key,
    /// Its name.
    name: String,
    /// What it gives.
    #[schemars(with = "Vec<wire::Pattern>")]
    permissions: Vec<Pattern>,
    /// Whether it builds on other roles, or gives something under a condition, as no run writes it.
    extended: bool,
    /// Whether it is as a run left it.
    settled: bool,
}

impl From<HeldRole> for RoleView {
    fn from(it: HeldRole) -> Self {
        Self {
            key: it.role.key,
            name: it.role.name,
            extended: !it.role.parents.is_empty()
                || it.role.permissions.iter().any(|line| line.condition.is_some()),
            permissions: it.role.permissions.into_iter().map(|line| line.pattern).collect(),
            settled: it.is_settled,
        }
    }
}

/// A module for which a run wrote a row.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HeldModule")]
struct ModuleView {
    /// The module.
    #[schemars(with = "wire::Key")]
    module: Key,
    /// `enabled` or `disabled`.
    status: String,
    /// Whether it is as a run left it.
    settled: bool,
}

impl From<HeldEntitlement> for ModuleView {
    fn from(it: HeldEntitlement) -> Self {
        Self { module: it.module.module, status: it.module.status, settled: it.is_settled }
    }
}

/// What a member has by runs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HeldMember")]
struct MemberView {
    /// The account.
    #[schemars(with = "wire::Id")]
    principal: PrincipalId,
    /// The membership: `active`, `suspended` or `deactivated`.
    status: &'static str,
    /// Whether the membership is in force with the proof of a run that is under way.
    waits: bool,
    /// Whether a run recorded the membership as its own.
    recorded: bool,
    /// Whether the run that made the account made the membership.
    with_account: bool,
    /// Whether the membership is as a run left it.
    settled: bool,
    /// Whether it is, and nothing hangs on it that people made.
    bare: bool,
    /// Whether the membership is not in force now by dates that people gave it, whatever its status.
    out_of_time: bool,
    /// Assignments of runs, each with its role.
    #[schemars(with = "Vec<(wire::Id, wire::Key)>")]
    assignments: Vec<(AssignmentId, String)>,
    /// Grants of runs, each with its pattern.
    #[schemars(with = "Vec<(wire::Id, wire::Pattern)>")]
    grants: Vec<(GrantId, String)>,
}

impl From<HeldMember> for MemberView {
    fn from(it: HeldMember) -> Self {
        Self {
            principal: it.principal,
            status: it.status.as_str(),
            waits: it.waits,
            recorded: it.is_recorded,
            with_account: it.is_with_account,
            settled: it.is_settled,
            bare: it.is_bare,
            out_of_time: it.is_out_of_time,
            assignments: it.assignments.into_iter().map(|(id, role)| (AssignmentId(id), role)).collect(),
            grants: it.grants.into_iter().map(|(id, pattern)| (GrantId(id), pattern)).collect(),
        }
    }
}

/// What runs of a source wrote into an organization.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Held")]
struct HeldView {
    /// The organization itself.
    organization: OrganizationView,
    /// Roles that runs made.
    roles: Vec<RoleView>,
    /// Modules for which runs wrote rows.
    modules: Vec<ModuleView>,
    /// Members that have something by runs.
    members: Vec<MemberView>,
    /// What people removed by hand, with the first page.
    removed: RemovedView,
    /// What `after` takes for those that follow; null at the end.
    #[schemars(with = "Option<wire::Id>")]
    next: Option<PrincipalId>,
}

/// An assignment or a grant that people removed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HeldRemovedRight")]
struct RemovedRightView {
    /// The id that it had.
    #[schemars(with = "wire::Id")]
    id: AssignmentId,
    /// Whose it was.
    #[schemars(with = "wire::Id")]
    principal: PrincipalId,
    /// `assignment` or `grant`.
    kind: &'static str,
    /// The role or the permission; empty where a version before noted none.
    key: String,
    /// What a role of the organization gave at the time, or the permission; nothing of a role that is shipped.
    gives: Vec<String>,
}

impl From<RemovedRight> for RemovedRightView {
    fn from(it: RemovedRight) -> Self {
        let RemovedRight { id, principal, kind, key, gives } = it;
        Self { id: AssignmentId(id), principal, kind: kind.as_str(), key, gives }
    }
}

/// What people removed by hand of what runs gave.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HeldRemoved")]
struct RemovedView {
    /// Assignments and grants.
    rights: Vec<RemovedRightView>,
    /// Accounts whose memberships they removed, and who are no members again.
    #[schemars(with = "Vec<wire::Id>")]
    members: Vec<PrincipalId>,
    /// Roles that runs made.
    #[schemars(with = "Vec<wire::Key>")]
    roles: Vec<Key>,
}

impl From<Held> for HeldView {
    fn from(it: Held) -> Self {
        Self {
            organization: it.organization.into(),
            roles: it.roles.into_iter().map(RoleView::from).collect(),
            modules: it.modules.into_iter().map(ModuleView::from).collect(),
            members: it.members.into_iter().map(MemberView::from).collect(),
            removed: RemovedView {
                rights: it.removed.rights.into_iter().map(RemovedRightView::from).collect(),
                members: it.removed.members,
                roles: it.removed.roles,
            },
            next: it.next,
        }
    }
}

async fn held(call: Call<(), HeldQuery>) -> Result<Reply<HeldView>, Problem> {
    let HeldQuery { source, organization, after, limit } = call.query;
    let found = adoption::held(&call.app, &call.ctx, source, organization, after, limit).await?;
    Ok(Reply::new(found.into()))
}

async fn accounts(call: Call<(), HeldAccountsQuery>) -> Result<Reply<AccountsView>, Problem> {
    let HeldAccountsQuery { source, after, limit } = call.query;
    let found = adoption::held_accounts(&call.app, &call.ctx, source, after, limit).await?;
    let items = found.items.into_iter().map(AccountView::from).collect();
    Ok(Reply::new(AccountsView { items, next: found.next }))
}
