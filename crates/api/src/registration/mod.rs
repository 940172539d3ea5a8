//! Newcomers' requests for an account: asking, proving the address, and the page for both; the administrator's list and decisions.

use crate::edge::{Call, Guard, Items, RawCall, Reply, Route, wire};
use crate::html_page::{self, WHY_PAGE, WHY_SCRIPT};
use crate::invitation::JoinedView;
use axum::response::Response;
use charter_app::App;
use charter_app::identity::newcomer::Introduction;
use charter_app::identity::registration::{self, Proved, RegistrationDraft};
use charter_app::identity::registration_desk::{self, RegistrationStatus};
use charter_kernel::{PrincipalId, Problem, ProblemKind, RegistrationId, RoleKey, Timestamp};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const READ: Guard = Guard::Permission("admin.registrations.read");
const WHY: &str = "a newcomer has no account yet; a mail proves their address";
const REGISTRATIONS: &str = "/api/v1/organizations/{organization}/registrations";
const REGISTRATION: &str = "/api/v1/organizations/{organization}/registrations/{registration}";

/// The routes of this folder.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post(REGISTRATIONS, Guard::Public(WHY), ask)
            .named("registrations.ask", "Newcomers", "Asks for an account in an organization that takes requests.")
            .described(
                "The answer is the same whether or not the address has an account. A mail to the address tells the rest. \
                 Nothing comes of the request but what the organization's registration settings let newcomers have.",
            )
            .status(StatusCode::ACCEPTED)
            .problems(&[ProblemKind::NotFound, ProblemKind::Throttled])
            .example(r#"{"email":"dora@toys.example","name":"Dora"}"#)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::post("/api/v1/organizations/{organization}/registrations/prove", Guard::Public(WHY), prove)
            .named("registrations.prove", "Newcomers", "Proves the address of a request with the code of its mail.")
            .described(
                "Where an address of the right domain is enough, the account is made with the password that is chosen, or \
                 the account the address has is joined, whose password is then asked for. Where somebody has to approve, \
                 the request waits, and no password is taken.",
            )
            .problems(&[
                ProblemKind::NotFound,
                ProblemKind::Forbidden,
                ProblemKind::Gone,
                ProblemKind::Taken,
                ProblemKind::Conflict,
                ProblemKind::InvalidCredentials,
                ProblemKind::Throttled,
            ])
            .example(r#"{"token":"7LrXq5d2mJx3hB0vW9cYtK4nP8sZ1aRfU6eGiMoQyEA","password":"staple the horse to it"}"#)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::list(REGISTRATIONS, READ, list)
            .named("registrations.list", "Newcomers", "Lists requests whose address was proved, newest first.")
            .described("A request that has ended is listed for 30 days after its time."),
        Route::get(REGISTRATION, READ, get)
            .named("registrations.get", "Newcomers", "Shows one request.")
            .problems(&[ProblemKind::NotFound]),
        Route::post(
            "/api/v1/organizations/{organization}/registrations/{registration}/approve",
            Guard::Permission("admin.registrations.approve"),
            approve,
        )
        .named("registrations.approve", "Newcomers", "Lets a newcomer in: makes the account and the membership.")
        .described(
            "Nobody approves themselves, or a role above their own. The newcomer gets a mail with which they choose a \
             password, unless they have an account.",
        )
        .problems(&[
            ProblemKind::NotFound,
            ProblemKind::Gone,
            ProblemKind::Taken,
            ProblemKind::BeyondGiver,
            ProblemKind::Conflict,
        ])
        .example(r#"{"reason":"works in the shop"}"#),
        Route::post(
            "/api/v1/organizations/{organization}/registrations/{registration}/reject",
            Guard::Permission("admin.registrations.reject"),
            reject,
        )
        .named("registrations.reject", "Newcomers", "Turns a newcomer down, and tells them why by mail.")
        .problems(&[ProblemKind::NotFound, ProblemKind::Gone])
        .example(r#"{"reason":"nobody here knows you"}"#),
        Route::raw(Method::GET, "/registration", Guard::Public(WHY_PAGE), page)
            .named("registrations.page", "Newcomers", "Shows the page for asking, which the link of a mail opens as well.")
            .gives_type("text/html"),
        Route::raw(Method::GET, "/registration/page.js", Guard::Public(WHY_SCRIPT), script)
            .named("registrations.script", "Newcomers", "Gives the script of that page.")
            .gives_type("text/javascript"),
    ]
}

/// An organization that is asked, by key or id.
#[derive(Deserialize, JsonSchema)]
struct AskedPath {
    /// Key or id of the organization.
    organization: String,
}

/// A newcomer's request.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewRegistration")]
#[serde(deny_unknown_fields)]
struct AskBody {
    /// Their address.
    email: String,
    /// Shown name; the address when left out.
    #[serde(default)]
    name: Option<String>,
    /// Key of the role they ask for, one of those newcomers may get; the default one when left out.
    #[serde(default)]
    role: Option<String>,
}

/// What everybody is told.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RegistrationAsked")]
struct AskedView {
    /// One sentence, always the same.
    detail: &'static str,
}

async fn ask(call: Call<AskedPath, (), AskBody>) -> Result<Reply<AskedView>, Problem> {
    let AskBody { email, name, role } = call.body;
    let draft = RegistrationDraft { email, name, role };
    registration::ask(&call.app, &call.ctx, &call.path.organization, draft).await?;
    Ok(Reply::new(AskedView { detail: "a mail is on its way to the address: it tells what to do next" }))
}

/// The proof of an address.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RegistrationProof")]
#[serde(deny_unknown_fields)]
struct ProveBody {
    /// The code of the mail, or its whole link.
    token: String,
    /// Shown name of a new account; the one that was given with the request when left out.
    #[serde(default)]
    name: Option<String>,
    /// Where nobody has to approve: the password of a new account, or of the one the address has.
    #[serde(default)]
    password: Option<String>,
}

/// What came of a proof.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RegistrationProved")]
struct ProvedView {
    /// `waiting` for an administrator, or `joined`.
    outcome: &'static str,
    /// The new member.
    joined: Option<JoinedView>,
}

async fn prove(call: Call<AskedPath, (), ProveBody>) -> Result<Reply<ProvedView>, Problem> {
    let ProveBody { token, name, password } = call.body;
    let introduction = Introduction { name, password: password.map(Zeroizing::new) };
    let (organization, token) = (&call.path.organization, Zeroizing::new(token));
    let proved = registration::prove(&call.app, &call.ctx, organization, token, introduction).await?;
    Ok(Reply::new(match proved {
        Proved::Waiting => ProvedView { outcome: "waiting", joined: None },
        Proved::Joined(joined) => ProvedView { outcome: "joined", joined: Some(joined.into()) },
    }))
}

/// A request as it is listed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Registration")]
struct RegistrationView {
    /// Its id.
    #[schemars(with = "wire::Id")]
    id: RegistrationId,
    /// The address, which was proved.
    email: String,
    /// The name they gave.
    name: String,
    /// Key of the role they asked for.
    #[schemars(with = "Option<String>")]
    role: Option<RoleKey>,
    /// `waiting`, `approved`, `rejected` or `expired`.
    status: &'static str,
    /// When it was made.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// When its time is over.
    #[schemars(with = "wire::Time")]
    expires_at: Timestamp,
    /// When it was decided.
    #[schemars(with = "Option<wire::Time>")]
    decided_at: Option<Timestamp>,
    /// By whom; null is the operator, or nobody.
    #[schemars(with = "Option<wire::Id>")]
    decided_by: Option<PrincipalId>,
    /// Why.
    reason: Option<String>,
    /// The account that came of it.
    #[schemars(with = "Option<wire::Id>")]
    member_id: Option<PrincipalId>,
}

impl From<registration_desk::RegistrationView> for RegistrationView {
    fn from(it: registration_desk::RegistrationView) -> Self {
        Self {
            id: it.id,
            email: it.email,
            name: it.name,
            role: it.role,
            status: it.status.as_str(),
            created_at: it.created_at,
            expires_at: it.expires_at,
            decided_at: it.decided_at,
            decided_by: it.decided_by,
            reason: it.reason,
            member_id: it.principal,
        }
    }
}

/// Which requests.
#[derive(Debug, Deserialize, JsonSchema)]
struct ListQuery {
    /// Only those of one state: `waiting`, `approved`, `rejected` or `expired`.
    #[serde(default)]
    status: Option<String>,
}

/// One request.
#[derive(Deserialize, JsonSchema)]
struct RegistrationPath {
    /// Its id.
    #[schemars(with = "wire::Id")]
    registration: RegistrationId,
}

async fn list(call: Call<(), ListQuery>) -> Result<Reply<Items<RegistrationView>>, Problem> {
    use RegistrationStatus::{Approved, Expired, Rejected, Waiting};
    let status = match &call.query.status {
        None => None,
        Some(word) => {
            let known = [Waiting, Approved, Rejected, Expired].into_iter().find(|it| it.as_str() == word);
            let expected = "one of waiting, approved, rejected and expired is expected";
            Some(known.ok_or_else(|| Problem::invalid("status", expected))?)
        }
    };
    let found = registration_desk::list(&call.app, &call.ctx, call.permit()?, status, &call.page()).await?;
    Ok(call.items(found.items.into_iter().map(RegistrationView::from), found.next))
}

async fn get(call: Call<RegistrationPath>) -> Result<Reply<RegistrationView>, Problem> {
    let id = call.path.registration;
    Ok(Reply::new(registration_desk::get(&call.app, &call.ctx, call.permit()?, id).await?.into()))
}

/// Why a newcomer is let in.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RegistrationApproval")]
#[serde(deny_unknown_fields)]
struct ApproveBody {
    /// Key of the role they get, one of those newcomers may get; the one they asked for when left out.
    #[serde(default)]
    role: Option<String>,
    /// Why, for the audit trail.
    reason: String,
}

async fn approve(call: Call<RegistrationPath, (), ApproveBody>) -> Result<Reply<RegistrationView>, Problem> {
    let (permit, id) = (call.permit()?.clone(), call.path.registration);
    let ApproveBody { role, reason } = call.body;
    let done = registration_desk::approve(&call.app, &call.ctx, &permit, id, role, reason).await?;
    Ok(Reply::new(done.into()))
}

/// Why a newcomer is turned down.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RegistrationRejection")]
#[serde(deny_unknown_fields)]
struct RejectBody {
    /// Why; the newcomer reads it.
    reason: String,
}

async fn reject(call: Call<RegistrationPath, (), RejectBody>) -> Result<Reply<RegistrationView>, Problem> {
    let (permit, id) = (call.permit()?.clone(), call.path.registration);
    let done = registration_desk::reject(&call.app, &call.ctx, &permit, id, call.body.reason).await?;
    Ok(Reply::new(done.into()))
}

async fn page(_call: RawCall<App>) -> Result<Response, Problem> {
    Ok(html_page::page(PAGE))
}

async fn script(_call: RawCall<App>) -> Result<Response, Problem> {
    Ok(html_page::script(SCRIPT))
}
