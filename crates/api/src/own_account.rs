//! One's own account: who one is, one's sessions and password.

use crate::auth::{SELF_SERVICE, THROTTLED};
use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::signed_in::{self, SignedInView};
use charter_app::App;
use charter_app::caller::{Listing, SignedIn};
use charter_app::identity::begin::csrf_token;
use charter_app::identity::own_password;
use charter_app::identity::own_session::{self, Session};
use charter_app::identity::sign_in::{self, Me, OwnMembership};
use charter_app::identity::support::Support;
use charter_kernel::{
    OauthClientId, OrganizationId, PrincipalId, Problem, ProblemKind, SessionId, Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::get("/api/v1/me", Guard::SignedIn("everybody may know who they are"), me)
            .named(
                "me.show",
                "Own account",
                "Tells who is asking, and the organizations they are members of.",
            )
            .knows_client(),
        Route::list("/api/v1/me/sessions", SELF_SERVICE, sessions).for_people().named(
            "me.sessions",
            "Own account",
            "Lists one's own sessions, oldest first.",
        ),
        Route::delete("/api/v1/me/sessions/{session}", SELF_SERVICE, end_session)
            .for_people()
            .named("me.end-session", "Own account", "Ends one of one's own sessions.")
            .problems(&[ProblemKind::NotFound]),
        Route::post("/api/v1/me/sessions/end-others", SELF_SERVICE, end_others)
            .for_people()
            .named(
                "me.end-other-sessions",
                "Own account",
                "Ends every session of one's own but the present one.",
            )
            .demands_recent_sign_in(),
        Route::post("/api/v1/me/password", SELF_SERVICE, change_password)
            .for_people()
            .named(
                "me.change-password",
                "Own account",
                "Changes one's own password. Every session ends; the answer is a new one.",
            )
            .problems(THROTTLED)
            .example(
                r#"{"current_password":"correct horse battery","new_password":"staple the horse to it"}"#,
            )
            .body_limit(16 * 1024)
            .demands_recent_sign_in()
            .knows_client()
            .keeps_no_answers(),
    ]
}

/// An organization one is a member of.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnMembership")]
struct MembershipView {
    /// Its id.
    #[schemars(with = "wire::Id")]
    id: OrganizationId,
    /// Its key.
    key: String,
    /// Its name.
    name: String,
    /// `active`, `suspended` or `closed`.
    status: &'static str,
}

impl From<OwnMembership> for MembershipView {
    fn from(it: OwnMembership) -> Self {
        Self { id: it.id, key: it.key, name: it.name, status: it.status.as_str() }
    }
}

/// Who is asking.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnAccount")]
struct MeView {
    /// `user`, `service_account`, or `operator` for whoever works at the machine.
    kind: &'static str,
    /// The id; the operator has none.
    #[schemars(with = "Option<wire::Id>")]
    id: Option<PrincipalId>,
    /// E-mail, name of the service account, or the operator's account at the machine.
    login: String,
    /// Shown name.
    name: String,
    /// The session, for users.
    #[schemars(with = "Option<wire::Id>")]
    session_id: Option<SessionId>,
    /// The organization the credential is for; none is any of those listed.
    #[schemars(with = "Option<wire::Id>")]
    organization_id: Option<OrganizationId>,
    /// The organizations one is a member of now.
    organizations: Vec<MembershipView>,
    /// How one proved oneself (RFC 8176).
    amr: Vec<String>,
    /// When one did so last; programs have no such instant.
    #[schemars(with = "Option<wire::Time>")]
    authenticated_at: Option<Timestamp>,
    /// For a browser's session: what pages send as `X-CSRF-Token` when the browser sends neither `Sec-Fetch-Site` nor `Origin`.
    csrf_token: Option<String>,
    /// When the credential ends.
    #[schemars(with = "Option<wire::Time>")]
    expires_at: Option<Timestamp>,
    /// In a support session: who really acts. Show it as long as it is there.
    support: Option<SupportView>,
}

/// Who acts as the member in a support session.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Support")]
pub struct SupportView {
    /// Id of whoever acts.
    #[schemars(with = "wire::Id")]
    by_id: PrincipalId,
    /// Their login.
    by: String,
    /// Why.
    reason: String,
}

impl SupportView {
    /// How it is shown.
    pub fn of(it: &Support) -> Self {
        Self { by_id: it.by, by: it.login.clone(), reason: it.reason.clone() }
    }
}

impl From<Me> for MeView {
    fn from(me: Me) -> Self {
        let organizations = me.organizations.into_iter().map(Into::into).collect();
        match me.principal {
            Some(SignedIn {
                id,
                kind,
                login,
                name,
                session,
                organization,
                amr,
                authenticated_at,
                expires_at,
                support,
                ..
            }) => Self {
                kind: kind.as_str(),
                id: Some(id),
                login,
                name,
                session_id: session,
                organization_id: organization,
                organizations,
                amr,
                authenticated_at,
                csrf_token: None,
                expires_at,
                support: support.as_deref().map(SupportView::of),
            },
            None => {
                let account = me.operator.unwrap_or_default();
                Self {
                    kind: "operator",
                    id: None,
                    login: account.clone(),
                    name: account,
                    session_id: None,
                    organization_id: None,
                    organizations,
                    amr: Vec::new(),
                    authenticated_at: None,
                    csrf_token: None,
                    expires_at: None,
                    support: None,
                }
            }
        }
    }
}

async fn me(call: Call) -> Result<Reply<MeView>, Problem> {
    let mut view = MeView::from(sign_in::me(&call.app, &call.ctx).await?);
    if call.client.session.is_some() {
        view.csrf_token = view.session_id.map(|session| csrf_token(&call.app, session));
    }
    Ok(Reply::new(view))
}

/// A session.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub struct SessionView {
    /// Its id.
    #[schemars(with = "wire::Id")]
    id: SessionId,
    /// Whether this request came by it.
    is_current: bool,
    /// `bearer` for tokens, `cookie` for a browser.
    kind: &'static str,
    /// The OAuth client that has it, where an application acts on behalf of its owner.
    #[schemars(with = "Option<wire::Id>")]
    client_id: Option<OauthClientId>,
    /// Its name.
    client_name: Option<String>,
    /// What the application was given.
    scope: Option<String>,
    /// The organization it is for; none is any.
    #[schemars(with = "Option<wire::Id>")]
    organization_id: Option<OrganizationId>,
    /// How one proved oneself (RFC 8176).
    amr: Vec<String>,
    /// When one did so last.
    #[schemars(with = "wire::Time")]
    authenticated_at: Timestamp,
    /// When it began.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// When it was last refreshed or, by a browser, used; to within a minute or two.
    #[schemars(with = "wire::Time")]
    last_used_at: Timestamp,
    /// When it ends at the latest.
    #[schemars(with = "wire::Time")]
    expires_at: Timestamp,
    /// The address it began from.
    address: Option<String>,
    /// The program it began from, as it calls itself.
    user_agent: Option<String>,
    /// For a support session: who acts, and why.
    support: Option<SupportView>,
}

impl SessionView {
    /// A session as its owner or an administrator sees it.
    fn of(it: Session, current: Option<SessionId>, clients: &BTreeMap<OauthClientId, String>) -> Self {
        Self {
            id: it.id,
            is_current: Some(it.id) == current,
            kind: if it.cookie_hash.is_some() { "cookie" } else { "bearer" },
            client_id: it.client,
            client_name: it.client.and_then(|client| clients.get(&client).cloned()),
            scope: it.scope,
            organization_id: it.organization,
            amr: it.amr.split(' ').map(str::to_owned).collect(),
            authenticated_at: it.authenticated_at,
            created_at: it.created_at,
            last_used_at: it.refreshed_at.unwrap_or(it.created_at),
            expires_at: it.expires_at,
            address: it.address,
            user_agent: it.user_agent,
            support: it.support.as_ref().map(SupportView::of),
        }
    }

    /// One page of a list of sessions.
    pub async fn listed<P, Q, B>(
        call: &Call<P, Q, B>,
        found: Listing<Session>,
        current: Option<SessionId>,
    ) -> Result<Reply<Items<Self>>, Problem> {
        let clients = own_session::clients_of(&call.app, &found.items).await?;
        let views = found.items.into_iter().map(|it| Self::of(it, current, &clients));
        Ok(call.items(views, found.next))
    }
}

async fn sessions(call: Call) -> Result<Reply<Items<SessionView>>, Problem> {
    let (_, current) = own_session::session_of(&call.ctx)?;
    let found = own_session::list_own(&call.app, &call.ctx, &call.page()).await?;
    SessionView::listed(&call, found, Some(current)).await
}

/// One session.
#[derive(Deserialize, JsonSchema)]
struct SessionPath {
    /// Its id.
    #[schemars(with = "wire::Id")]
    session: SessionId,
}

async fn end_session(call: Call<SessionPath>) -> Result<Reply<()>, Problem> {
    own_session::end_own(&call.app, &call.ctx, call.path.session).await?;
    Ok(Reply::empty())
}

/// What ending sessions did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SessionsEnded")]
pub struct SessionsEnded {
    /// How many ended.
    pub sessions_ended: usize,
}

async fn end_others(call: Call) -> Result<Reply<SessionsEnded>, Problem> {
    let sessions_ended = own_session::end_others(&call.app, &call.ctx).await?;
    Ok(Reply::new(SessionsEnded { sessions_ended }))
}

/// The present password and the next.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PasswordChange")]
#[serde(deny_unknown_fields)]
struct PasswordChangeBody {
    /// The password so far.
    current_password: String,
    /// The password from now on: as long as the rules for passwords ask for, at most 1,024 bytes.
    new_password: String,
}

async fn change_password(call: Call<(), (), PasswordChangeBody>) -> Result<Reply<SignedInView>, Problem> {
    let PasswordChangeBody { current_password, new_password } = call.body;
    let (current, new) = (Zeroizing::new(current_password), Zeroizing::new(new_password));
    let begun = own_password::change(&call.app, &call.ctx, current, new).await?;
    Ok(signed_in::answer(begun, &call.client, call.ctx.now))
}
