//! Invitations: making, listing and withdrawing them; looking at one's own and accepting it, and the page its link opens.

use crate::auth::SELF_SERVICE;
use crate::edge::{Call, Guard, Items, RawCall, Reply, Route, wire};
use crate::html_page::{self, WHY_PAGE, WHY_SCRIPT};
use axum::response::Response;
use charter_app::App;
use charter_app::identity::invitation::{self, InvitationDraft, Invited, Joined};
use charter_app::identity::newcomer::Introduction;
use charter_kernel::{InvitationId, OrganizationId, PrincipalId, Problem, ProblemKind, RoleKey, Timestamp};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const READ: Guard = Guard::Permission("admin.invitations.read");
const WHY: &str = "whoever is invited may have no account yet; the code of the mail is the proof";
const INVITATIONS: &str = "/api/v1/organizations/{organization}/invitations";
const INVITATION: &str = "/api/v1/organizations/{organization}/invitations/{invitation}";

/// The routes of this folder.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post(INVITATIONS, Guard::Permission("admin.invitations.create"), create)
            .named("invitations.create", "Newcomers", "Invites an address into an organization, by mail.")
            .described(
                "The roles are some of those the organization lets newcomers have, none of a level or with rights beyond \
                 the caller's own. The code goes to the address and to nobody else: it proves whose the address is. It \
                 works once, for 72 hours unless said otherwise, and not after whoever invited lost what they gave.",
            )
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::Taken, ProblemKind::BeyondGiver, ProblemKind::Gone])
            .example(r#"{"email":"dora@toys.example"}"#),
        Route::list(INVITATIONS, READ, list).named(
            "invitations.list",
            "Newcomers",
            "Lists the invitations of an organization, newest first.",
        ),
        Route::get(INVITATION, READ, get)
            .named("invitations.get", "Newcomers", "Shows one invitation.")
            .problems(&[ProblemKind::NotFound]),
        Route::delete(INVITATION, Guard::Permission("admin.invitations.revoke"), revoke)
            .named("invitations.revoke", "Newcomers", "Withdraws an invitation.")
            .problems(&[ProblemKind::NotFound, ProblemKind::Gone]),
        Route::post("/api/v1/invitations/look", Guard::Public(WHY), look)
            .named("invitations.look", "Newcomers", "Tells what an invitation is for. Looking uses nothing up.")
            .problems(&[ProblemKind::Forbidden, ProblemKind::Gone, ProblemKind::Throttled])
            .example(CODE)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::post("/api/v1/invitations/accept", Guard::Public(WHY), accept)
            .named("invitations.accept", "Newcomers", "Accepts an invitation with the code of its mail.")
            .described(
                "Makes an account for the address with the password that is chosen, or, where the address has an account, \
                 joins that one, whose password is then asked for. It signs nobody in.",
            )
            .problems(&[
                ProblemKind::Forbidden,
                ProblemKind::Gone,
                ProblemKind::Taken,
                ProblemKind::Conflict,
                ProblemKind::InvalidCredentials,
                ProblemKind::Throttled,
            ])
            .example(ACCEPTED)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::post("/api/v1/me/invitations", SELF_SERVICE, join)
            .for_people()
            .named("me.accept-invitation", "Own account", "Accepts an invitation with the account one is signed in to.")
            .described("Its address has to be that of the account.")
            .problems(&[ProblemKind::Gone, ProblemKind::Taken, ProblemKind::Conflict])
            .example(CODE)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::raw(Method::GET, "/invitation", Guard::Public(WHY_PAGE), page)
            .named("invitations.page", "Newcomers", "Shows the page that the link of an invitation opens.")
            .gives_type("text/html"),
        Route::raw(Method::GET, "/invitation/page.js", Guard::Public(WHY_SCRIPT), script)
            .named("invitations.script", "Newcomers", "Gives the script of that page.")
            .gives_type("text/javascript"),
    ]
}

const CODE: &str = r#"{"token":"chi_test_000000000000_0000000000000000000000000000000000000000000_000000"}"#;
const ACCEPTED: &str = r#"{"token":"chi_test_000000000000_0000000000000000000000000000000000000000000_000000","name":"Dora","password":"staple the horse to it"}"#;

/// An address to be invited.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewInvitation")]
#[serde(deny_unknown_fields)]
struct InvitationBody {
    /// The address.
    email: String,
    /// Keys of roles that come with it; left out, the organization's default role.
    #[serde(default)]
    roles: Vec<String>,
    /// Hours in which it can be accepted: 72 when left out, 720 at most.
    #[serde(default)]
    hours: Option<u32>,
}

/// An invitation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Invitation")]
struct InvitationView {
    /// Its id.
    #[schemars(with = "wire::Id")]
    id: InvitationId,
    /// The address it is for.
    email: String,
    /// Keys of roles that come with it.
    #[schemars(with = "Vec<String>")]
    roles: Vec<RoleKey>,
    /// `open`, `accepted`, `revoked` or `expired`.
    status: &'static str,
    /// Who invited; null is the operator.
    #[schemars(with = "Option<wire::Id>")]
    invited_by: Option<PrincipalId>,
    /// When it was made.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// When its time is over.
    #[schemars(with = "wire::Time")]
    expires_at: Timestamp,
    /// When it was accepted or withdrawn.
    #[schemars(with = "Option<wire::Time>")]
    closed_at: Option<Timestamp>,
    /// The account that accepted.
    #[schemars(with = "Option<wire::Id>")]
    member_id: Option<PrincipalId>,
}

impl From<invitation::InvitationView> for InvitationView {
    fn from(it: invitation::InvitationView) -> Self {
        Self {
            id: it.id,
            email: it.email,
            roles: it.roles,
            status: it.status,
            invited_by: it.invited_by,
            created_at: it.created_at,
            expires_at: it.expires_at,
            closed_at: it.closed_at,
            member_id: it.principal,
        }
    }
}

/// One invitation.
#[derive(Deserialize, JsonSchema)]
struct InvitationPath {
    /// Its id.
    #[schemars(with = "wire::Id")]
    invitation: InvitationId,
}

async fn create(call: Call<(), (), InvitationBody>) -> Result<Reply<InvitationView>, Problem> {
    let permit = call.permit()?.clone();
    let InvitationBody { email, roles, hours } = call.body;
    let draft = InvitationDraft { email, roles, hours };
    Ok(Reply::new(invitation::create(&call.app, &call.ctx, &permit, draft).await?.into()))
}

async fn list(call: Call) -> Result<Reply<Items<InvitationView>>, Problem> {
    let found = invitation::list(&call.app, &call.ctx, call.permit()?, &call.page()).await?;
    Ok(call.items(found.items.into_iter().map(InvitationView::from), found.next))
}

async fn get(call: Call<InvitationPath>) -> Result<Reply<InvitationView>, Problem> {
    Ok(Reply::new(invitation::get(&call.app, &call.ctx, call.permit()?, call.path.invitation).await?.into()))
}

async fn revoke(call: Call<InvitationPath>) -> Result<Reply<()>, Problem> {
    invitation::revoke(&call.app, &call.ctx, call.permit()?, call.path.invitation).await?;
    Ok(Reply::empty())
}

/// The code of a mail.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "InvitationCode")]
#[serde(deny_unknown_fields)]
struct CodeBody {
    /// The code.
    token: String,
}

/// What an invitation is for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Invited")]
struct InvitedView {
    /// Key of the organization that invites.
    organization: String,
    /// Its name.
    organization_name: String,
    /// The address that is invited.
    email: String,
    /// Keys of roles that come with it.
    #[schemars(with = "Vec<String>")]
    roles: Vec<RoleKey>,
    /// When its time is over.
    #[schemars(with = "wire::Time")]
    expires_at: Timestamp,
    /// Whether the address has an account whose password is asked for; else a new password is chosen.
    has_account: bool,
}

async fn look(call: Call<(), (), CodeBody>) -> Result<Reply<InvitedView>, Problem> {
    let token = Zeroizing::new(call.body.token);
    let Invited { organization, email, roles, expires_at, has_account } =
        invitation::look(&call.app, &call.ctx, &token).await?;
    Ok(Reply::new(InvitedView {
        organization: organization.key.to_string(),
        organization_name: organization.name,
        email,
        roles,
        expires_at,
        has_account,
    }))
}

/// An invitation to be accepted.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "InvitationAcceptance")]
#[serde(deny_unknown_fields)]
struct AcceptBody {
    /// The code of the mail.
    token: String,
    /// Shown name of a new account; the address when left out.
    #[serde(default)]
    name: Option<String>,
    /// The password of a new account, or of the one the address has.
    #[serde(default)]
    password: Option<String>,
}

/// A newcomer who is a member now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Joined")]
pub(crate) struct JoinedView {
    /// Id of the organization.
    #[schemars(with = "wire::Id")]
    organization_id: OrganizationId,
    /// Its key.
    organization: String,
    /// Id of the account.
    #[schemars(with = "wire::Id")]
    member_id: PrincipalId,
    /// Its login.
    login: String,
    /// Whether it was made just now.
    is_new: bool,
}

impl From<Joined> for JoinedView {
    fn from(it: Joined) -> Self {
        Self {
            organization_id: it.organization.id,
            organization: it.organization.key.to_string(),
            member_id: it.principal,
            login: it.login,
            is_new: it.is_new,
        }
    }
}

async fn accept(call: Call<(), (), AcceptBody>) -> Result<Reply<JoinedView>, Problem> {
    let AcceptBody { token, name, password } = call.body;
    let introduction = Introduction { name, password: password.map(Zeroizing::new) };
    let joined = invitation::accept(&call.app, &call.ctx, Zeroizing::new(token), introduction).await?;
    Ok(Reply::new(joined.into()))
}

async fn join(call: Call<(), (), CodeBody>) -> Result<Reply<JoinedView>, Problem> {
    let token = Zeroizing::new(call.body.token);
    let joined = invitation::accept(&call.app, &call.ctx, token, Introduction::default()).await?;
    Ok(Reply::new(joined.into()))
}

async fn page(_call: RawCall<App>) -> Result<Response, Problem> {
    Ok(html_page::page(PAGE))
}

async fn script(_call: RawCall<App>) -> Result<Response, Problem> {
    Ok(html_page::script(SCRIPT))
}
