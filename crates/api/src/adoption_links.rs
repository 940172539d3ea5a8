//! Which is which: organizations and users of another system here; and what members may do, for the proof.

use crate::adoption::{OPERATOR, TAG};
use crate::edge::{Call, Reply, Route, wire};
use charter_app::App;
use charter_app::adoption::{self, KnownPrincipal, OrganizationLink, UserLink};
use charter_kernel::{Key, OrganizationId, PermissionCode, PrincipalId, Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::get("/api/v1/adoption/organizations", OPERATOR, organizations)
            .named("adoption.organizations", TAG, "Lists which organization of another system is which one here, as the operator.")
            .described("In the order of their ids there, at most 50,000 at once; `next` is what `after` takes for those that follow.")
            .problems(&[ProblemKind::Forbidden]),
        Route::get("/api/v1/adoption/users", OPERATOR, users)
            .named("adoption.users", TAG, "Lists which user of another system is which account here, as the operator.")
            .described("In the order of their ids there, at most 50,000 at once; `next` is what `after` takes for those that follow.")
            .problems(&[ProblemKind::Forbidden]),
        Route::post("/api/v1/adoption/accounts", OPERATOR, accounts)
            .named("adoption.accounts", TAG, "Tells which logins are accounts already, as the operator.")
            .described("At most 5,000 at once. The answer has an account or null for each login, in their order.")
            .problems(&[ProblemKind::Forbidden])
            .example(r#"{"logins":["ann@toys.example","nobody@toys.example"]}"#)
            .body_limit(2 * 1024 * 1024)
            .keeps_no_answers(),
        Route::post("/api/v1/adoption/former-logins", OPERATOR, former_logins)
            .named("adoption.former-logins", TAG, "Tells which logins accounts of another system's users had before, as the operator.")
            .described(
                "At most 5,000 at once. The answer has the login by now, or null, for each login, in their order: that of the account which gave it up, \
                 by a run or by its owner. Whoever comes with it may be somebody else.",
            )
            .problems(&[ProblemKind::Forbidden])
            .example(r#"{"source":"legacy","logins":["ann@toys.example","nobody@toys.example"]}"#)
            .body_limit(2 * 1024 * 1024)
            .keeps_no_answers(),
        Route::get("/api/v1/adoption/answers", OPERATOR, answers)
            .named("adoption.answers", TAG, "Tells what each member of an organization may do in it as a whole, as the operator.")
            .described(
                "Members by their ids, at most 50,000 at once; `next` is what `after` takes for those that follow. Sets of codes stand once: \
                 each member has the number of one. Conditions are judged as if nothing were known of the request.",
            )
            .problems(&[ProblemKind::Forbidden, ProblemKind::NotFound])
            .timeout(Duration::from_secs(120)),
    ]
}

/// Which links are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinksQuery {
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

/// An organization of another system and the one it is here.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptedOrganizationLink")]
struct OrganizationLinkView {
    /// Its id there.
    legacy_id: String,
    /// The organization here.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// Its key.
    #[schemars(with = "wire::Key")]
    key: Key,
    /// Its status.
    status: String,
    /// Whether the run that linked it stands.
    stands: bool,
    /// Whether it is closed because a run was taken back, and nobody changed it since: the next run opens it.
    opens: bool,
}

impl From<OrganizationLink> for OrganizationLinkView {
    fn from(it: OrganizationLink) -> Self {
        Self {
            legacy_id: it.legacy_id,
            organization: it.organization,
            key: it.key,
            status: it.status,
            stands: it.stands,
            opens: it.opens,
        }
    }
}

/// Organizations of another system.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptedOrganizationLinks")]
struct OrganizationLinksView {
    /// The links.
    items: Vec<OrganizationLinkView>,
    /// What `after` takes for those that follow; null at the end.
    next: Option<String>,
}

/// A user of another system and the account they have here.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptedUserLink")]
struct UserLinkView {
    /// Their id there.
    legacy_id: String,
    /// The account here.
    #[schemars(with = "wire::Id")]
    principal: PrincipalId,
    /// Whether a user of another source has the account as well.
    shared: bool,
}

impl From<UserLink> for UserLinkView {
    fn from(it: UserLink) -> Self {
        Self { legacy_id: it.legacy_id, principal: it.principal, shared: it.is_shared }
    }
}

/// Users of another system.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptedUserLinks")]
struct UserLinksView {
    /// The links.
    items: Vec<UserLinkView>,
    /// What `after` takes for those that follow; null at the end.
    next: Option<String>,
}

/// Logins that may be accounts.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AskedLogins")]
#[serde(deny_unknown_fields)]
struct AccountsBody {
    /// The logins.
    #[schemars(length(max = 5_000))]
    logins: Vec<String>,
}

/// An account that has one of the logins.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AccountOfLogin")]
struct AccountView {
    /// Its id.
    #[schemars(with = "wire::Id")]
    id: PrincipalId,
    /// `user` or `service_account`.
    kind: &'static str,
    /// `active`, `suspended` or `deactivated`.
    status: &'static str,
}

impl From<KnownPrincipal> for AccountView {
    fn from(it: KnownPrincipal) -> Self {
        Self { id: it.id, kind: it.kind.as_str(), status: it.status.as_str() }
    }
}

/// The accounts that have the logins.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AccountsOfLogins")]
struct AccountsView {
    /// An account or null for each login, in their order.
    accounts: Vec<Option<AccountView>>,
}

/// Logins that accounts of another system's users may have had.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AskedFormerLogins")]
#[serde(deny_unknown_fields)]
struct FormerLoginsBody {
    /// The other system, by the name the operator gave it.
    #[schemars(with = "wire::Key")]
    source: Key,
    /// The logins.
    #[schemars(length(max = 5_000))]
    logins: Vec<String>,
}

/// The accounts that had the logins.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FormerLogins")]
struct FormerLoginsView {
    /// The login by now, or null, for each login, in their order.
    now: Vec<Option<String>>,
}

/// Whose answers are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AnswersQuery {
    /// Key or id of the organization.
    organization: String,
    /// What they may do without the assignments and grants that runs of this source wrote.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    without: Option<Key>,
    /// Only members after this one.
    #[serde(default)]
    #[schemars(with = "Option<wire::Id>")]
    after: Option<PrincipalId>,
    /// How many at most.
    #[serde(default)]
    limit: Option<u32>,
}

/// What members of an organization may do in it as a whole.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionAnswers")]
struct AnswersView {
    /// The revision of the organization it was read from.
    revision: u64,
    /// Every code of the catalogue in force, in the order of the bits.
    #[schemars(with = "Vec<wire::Code>")]
    codes: Vec<PermissionCode>,
    /// Whether the organization may use each module now.
    modules: BTreeMap<String, bool>,
    /// Sets of codes, in hexadecimal: the lowest bit of the first byte is the first code.
    classes: Vec<String>,
    /// Each member with the number of the set they have.
    #[schemars(with = "Vec<(wire::Id, u32)>")]
    members: Vec<(PrincipalId, u32)>,
    /// What `after` takes for those that follow; null at the end.
    #[schemars(with = "Option<wire::Id>")]
    next: Option<PrincipalId>,
}

async fn organizations(call: Call<(), LinksQuery>) -> Result<Reply<OrganizationLinksView>, Problem> {
    let LinksQuery { source, after, limit } = call.query;
    let found = adoption::organizations(&call.app, &call.ctx, source, after, limit).await?;
    let items = found.items.into_iter().map(OrganizationLinkView::from).collect();
    Ok(Reply::new(OrganizationLinksView { items, next: found.next }))
}

async fn users(call: Call<(), LinksQuery>) -> Result<Reply<UserLinksView>, Problem> {
    let LinksQuery { source, after, limit } = call.query;
    let found = adoption::users(&call.app, &call.ctx, source, after, limit).await?;
    let items = found.items.into_iter().map(UserLinkView::from).collect();
    Ok(Reply::new(UserLinksView { items, next: found.next }))
}

async fn accounts(call: Call<(), (), AccountsBody>) -> Result<Reply<AccountsView>, Problem> {
    let found = adoption::accounts(&call.app, &call.ctx, call.body.logins).await?;
    let accounts = found.into_iter().map(|it| it.map(AccountView::from)).collect();
    Ok(Reply::new(AccountsView { accounts }))
}

async fn former_logins(call: Call<(), (), FormerLoginsBody>) -> Result<Reply<FormerLoginsView>, Problem> {
    let FormerLoginsBody { source, logins } = call.body;
    let now = adoption::former_logins(&call.app, &call.ctx, source, logins).await?;
    Ok(Reply::new(FormerLoginsView { now }))
}

async fn answers(call: Call<(), AnswersQuery>) -> Result<Reply<AnswersView>, Problem> {
    let AnswersQuery { organization, without, after, limit } = call.query;
    adoption::require_operator(&call.ctx)?;
    let organization: OrganizationId = call.app.resolve_organization(&organization).await?;
    let found = adoption::answers(&call.app, &call.ctx, organization, without, after, limit).await?;
    Ok(Reply::new(AnswersView {
        revision: found.revision.0,
        codes: found.codes,
        modules: found.modules,
        classes: found.classes,
        members: found.members,
        next: found.next,
    }))
}
