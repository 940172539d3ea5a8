//! Members of an organization.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::shown::{self, EditQuery, Mentioned, RemovalQuery, Shown, edited_answer, nowhere};
use charter_app::member::{self, MemberDraft, MemberUpdate};
use charter_app::names::Names;
use charter_kernel::facts::{MemberFact, PrincipalKind, PrincipalStatus};
use charter_kernel::{PrincipalId, Problem, ProblemKind, Timestamp};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Kind of account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// A person.
    #[default]
    User,
    /// A program.
    ServiceAccount,
}

impl From<AccountKind> for PrincipalKind {
    fn from(kind: AccountKind) -> Self {
        match kind {
            AccountKind::User => Self::User,
            AccountKind::ServiceAccount => Self::ServiceAccount,
        }
    }
}

impl From<PrincipalKind> for AccountKind {
    fn from(kind: PrincipalKind) -> Self {
        match kind {
            PrincipalKind::User => Self::User,
            PrincipalKind::ServiceAccount => Self::ServiceAccount,
        }
    }
}

/// Where an account is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// May act.
    Active,
    /// Stopped for a while.
    Suspended,
    /// Ended.
    Deactivated,
}

impl From<AccountStatus> for PrincipalStatus {
    fn from(status: AccountStatus) -> Self {
        match status {
            AccountStatus::Active => Self::Active,
            AccountStatus::Suspended => Self::Suspended,
            AccountStatus::Deactivated => Self::Deactivated,
        }
    }
}

impl From<PrincipalStatus> for AccountStatus {
    fn from(status: PrincipalStatus) -> Self {
        match status {
            PrincipalStatus::Active => Self::Active,
            PrincipalStatus::Suspended => Self::Suspended,
            PrincipalStatus::Deactivated => Self::Deactivated,
        }
    }
}

/// A member of an organization.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Member {
    /// Id of the account.
    #[schemars(with = "wire::Id")]
    pub id: PrincipalId,
    /// User or service account.
    pub kind: AccountKind,
    /// E-mail of a user, name of a service account.
    pub login: String,
    /// Shown name.
    pub name: String,
    /// Where the membership is in its life: may act here, or not.
    pub status: AccountStatus,
    /// Where the account is in its life, in all its organizations; whoever runs the installation says.
    pub account_status: AccountStatus,
    /// First instant of the membership.
    #[schemars(with = "Option<wire::Time>")]
    pub from: Option<Timestamp>,
    /// First instant after the membership.
    #[schemars(with = "Option<wire::Time>")]
    pub to: Option<Timestamp>,
    /// Attributes in this organization, read by conditions.
    #[schemars(with = "wire::Json")]
    pub attributes: Value,
}

impl From<MemberFact> for Member {
    fn from(row: MemberFact) -> Self {
        Self {
            id: row.principal,
            kind: row.kind.into(),
            login: row.login,
            name: row.name,
            status: row.status.into(),
            account_status: row.account_status.into(),
            from: row.window.from(),
            to: row.window.to(),
            attributes: shown::json_value(&row.attributes),
        }
    }
}

impl Shown for Member {
    type Row = MemberFact;

    fn mention(_: &MemberFact, _: &mut Mentioned) {}

    fn of(row: MemberFact, _: &Names) -> Self {
        row.into()
    }
}

/// A member to be added.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// User or service account.
    #[serde(default)]
    pub kind: AccountKind,
    /// E-mail of a user, name of a service account; an account that exists becomes a member here as well.
    pub login: String,
    /// Shown name; the login when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// First instant of the membership; at once when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub from: Option<Timestamp>,
    /// First instant after the membership; without an end when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub to: Option<Timestamp>,
    /// Attributes in this organization.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub attributes: Option<Map<String, Value>>,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What changes about a member; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberChange {
    /// Shown name.
    #[serde(default)]
    pub name: Option<String>,
    /// The membership here: active, suspended or deactivated; needs admin.users.deactivate as well.
    #[serde(default)]
    pub status: Option<AccountStatus>,
    /// The account in all its organizations: active, suspended or deactivated; for the operator.
    #[serde(default)]
    pub account_status: Option<AccountStatus>,
    /// First instant of the membership; null opens it.
    #[serde(default, deserialize_with = "shown::present")]
    #[schemars(with = "Option<wire::Time>")]
    pub from: Option<Option<Timestamp>>,
    /// First instant after the membership; null opens it.
    #[serde(default, deserialize_with = "shown::present")]
    #[schemars(with = "Option<wire::Time>")]
    pub to: Option<Option<Timestamp>>,
    /// Attributes in this organization, replaced whole.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub attributes: Option<Map<String, Value>>,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
    /// Accept separation-of-duty conflicts that come of it, for this reason.
    #[serde(default)]
    pub accept_conflicts: Option<String>,
}

/// One member's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct MemberPath {
    /// Login or id of the member.
    pub member: String,
}

edited_answer!(EditedMember { member: Member });

async fn list(call: Call) -> Result<Reply<Items<Member>>, Problem> {
    let found = member::list(&call.app, call.permit()?, &call.page()).await?;
    Ok(call.listing(found))
}

async fn add(call: Call<(), EditQuery, NewMember>) -> Result<Reply<EditedMember>, Problem> {
    let organization = call.organization()?;
    let body = &call.body;
    let options = shown::options(&call.precondition, call.query.dry_run, body.reason.as_deref(), None)?;
    let draft = MemberDraft {
        kind: body.kind.into(),
        login: body.login.clone(),
        name: body.name.clone(),
        window: shown::window(body.from, body.to)?,
        attributes: body.attributes.as_ref().map(shown::object_text).unwrap_or_default(),
    };
    let edited = member::add(&call.app, &call.ctx, call.permit()?, options, draft).await?;
    let place = |member: &Member| Some(format!("/api/v1/organizations/{organization}/members/{}", member.id));
    EditedMember::answer(&call.app, organization, edited, place).await
}

async fn get(call: Call<MemberPath>) -> Result<Reply<Member>, Problem> {
    let revision = shown::revision(&call.app, &call.ctx, call.organization()?).await?;
    let found = member::get(&call.app, call.permit()?, &call.path.member).await?;
    Ok(shown::versioned(found.into(), revision))
}

async fn update(call: Call<MemberPath, EditQuery, MemberChange>) -> Result<Reply<EditedMember>, Problem> {
    let organization = call.organization()?;
    let body = &call.body;
    if body.status.is_some() || body.account_status.is_some() {
        call.app.require(&call.ctx, organization, "admin.users.deactivate").await?;
    }
    let options = shown::options(
        &call.precondition,
        call.query.dry_run,
        body.reason.as_deref(),
        body.accept_conflicts.as_deref(),
    )?;
    let update = MemberUpdate {
        name: body.name.clone(),
        status: body.status.map(Into::into),
        account_status: body.account_status.map(Into::into),
        from: body.from,
        to: body.to,
        attributes: body.attributes.as_ref().map(shown::object_text),
    };
    let who = call.path.member.clone();
    let edited = member::update(&call.app, &call.ctx, call.permit()?, options, who, update).await?;
    EditedMember::answer(&call.app, organization, edited, nowhere).await
}

async fn remove(call: Call<MemberPath, RemovalQuery>) -> Result<Reply<EditedMember>, Problem> {
    let options = call.query.options(&call.precondition)?;
    let who = call.path.member.clone();
    let edited = member::remove(&call.app, &call.ctx, call.permit()?, options, who).await?;
    EditedMember::answer(&call.app, call.organization()?, edited, nowhere).await
}

const MEMBERS: &str = "/api/v1/organizations/{organization}/members";
const MEMBER: &str = "/api/v1/organizations/{organization}/members/{member}";

/// The routes of members.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(MEMBERS, Guard::Permission("admin.users.read"), list).named(
            "members.list",
            "Members",
            "Lists the members of an organization.",
        ),
        Route::post(MEMBERS, Guard::Permission("admin.users.create"), add)
            .named("members.add", "Members", "Adds a member to an organization.")
            .described(
                "An account that exists in the installation keeps its id and name. One that belongs only to \
                 organizations the caller is not a member of is added by the operator.",
            )
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::Taken, ProblemKind::BeyondGiver])
            .example(r#"{"login": "ann@toys.example", "name": "Ann Toys"}"#),
        Route::get(MEMBER, Guard::Permission("admin.users.read"), get).named(
            "members.get",
            "Members",
            "Shows one member.",
        ),
        Route::patch(MEMBER, Guard::Permission("admin.users.update"), update)
            .named("members.update", "Members", "Changes a member's name, status, dates or attributes.")
            .problems(&[ProblemKind::BeyondGiver, ProblemKind::LastAdministrator, ProblemKind::Conflict])
            .example(r#"{"status": "suspended", "reason": "left the company"}"#),
        Route::delete(MEMBER, Guard::Permission("admin.users.delete"), remove)
            .named("members.remove", "Members", "Removes a member with everything given to it by name.")
            .problems(&[ProblemKind::InUse, ProblemKind::LastAdministrator]),
    ]
}
