//! Signing in and out, who one is, one's own sessions and password, the first administrator, and the public keys of our tokens.

use crate::edge::{Call, ETag, Guard, Items, Reply, Route, wire};
use charter_app::App;
use charter_app::caller::SignedIn;
use charter_app::identity::session::{self, session_of};
use charter_app::identity::setup::{self, SetupDraft};
use charter_app::identity::sign_in::{self, Me, OwnMembership, SignIn, SignInDraft};
use charter_app::identity::{legacy_caller, own_password};
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, SessionId, Timestamp};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const THROTTLED: &[ProblemKind] = &[ProblemKind::InvalidCredentials, ProblemKind::Throttled];
const SELF_SERVICE: Guard = Guard::SignedIn("everybody sees and ends what is their own");

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post("/api/v1/auth/login", Guard::Public("whoever signs in has no credential yet"), login)
            .named("auth.login", "Sign-in", "Signs in with e-mail and password.")
            .described(
                "An unknown login, a wrong password and an account that may not act get the same answer. After five wrong \
                 guesses an account is delayed (429 with Retry-After), never locked. The token is sent as \
                 `Authorization: Bearer <token>`; before it ends, `POST /api/v1/auth/switch` gives another.",
            )
            .problems(THROTTLED)
            .example(r#"{"login":"ann@toys.example","password":"correct horse battery","organization":"toys"}"#)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::post("/api/v1/auth/logout", SELF_SERVICE, logout)
            .named("auth.logout", "Sign-in", "Signs out: the session ends, with every token made for it."),
        Route::post("/api/v1/auth/switch", SELF_SERVICE, switch)
            .named("auth.switch", "Sign-in", "Gives a new token, for the same or another organization one is a member of.")
            .described("For another organization the session is replaced and the old token ends.")
            .example(r#"{"organization":"trade"}"#)
            .keeps_no_answers(),
        Route::post("/api/v1/auth/exchange", Guard::SignedIn("whoever came with a token of the former system"), exchange)
            .named("auth.exchange", "Sign-in", "Exchanges a token of the former system for a session, without a new sign-in.")
            .problems(&[ProblemKind::Forbidden])
            .example(r#"{"organization":"toys"}"#)
            .keeps_no_answers(),
        Route::get("/api/v1/me", Guard::SignedIn("everybody may know who they are"), me)
            .named("me.show", "Own account", "Tells who is asking, and the organizations they are members of."),
        Route::list("/api/v1/me/sessions", SELF_SERVICE, sessions)
            .named("me.sessions", "Own account", "Lists one's own sessions, oldest first."),
        Route::delete("/api/v1/me/sessions/{session}", SELF_SERVICE, end_session)
            .named("me.end-session", "Own account", "Ends one of one's own sessions.")
            .problems(&[ProblemKind::NotFound]),
        Route::post("/api/v1/me/password", SELF_SERVICE, change_password)
            .named("me.change-password", "Own account", "Changes one's own password. Every session ends; the answer is a new one.")
            .problems(THROTTLED)
            .example(r#"{"current_password":"correct horse battery","new_password":"staple the horse to it"}"#)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::post(
            "/api/v1/users/{user}/password",
            Guard::SignedIn("only the operator at the machine gets past the use case"),
            set_password,
        )
        .named("users.set-password", "Sign-in", "Sets a user's password, as the operator at the machine.")
        .problems(&[ProblemKind::Forbidden, ProblemKind::NotFound])
        .example(r#"{"password":"correct horse battery"}"#)
        .body_limit(16 * 1024)
        .keeps_no_answers(),
        Route::post("/api/v1/setup", Guard::Public("a new installation has nobody who could sign in; a one-time code is asked for"), set_up)
            .named("setup.complete", "Sign-in", "Makes the first administrator of a new installation, with its one-time code.")
            .status(StatusCode::CREATED)
            .problems(THROTTLED)
            .example(r#"{"code":"4F2PN-8S0XA-ZZ1VD-3KQ7M-WEC55-0T9HB","login":"ann@toys.example","password":"correct horse battery"}"#)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::get("/.well-known/jwks.json", Guard::Public("verifiers of our tokens need the public keys"), keys)
            .named("keys.public", "Sign-in", "Gives the public keys of our access tokens (RFC 7517)."),
    ]
}

/// What is typed to sign in.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SignIn")]
#[serde(deny_unknown_fields)]
struct LoginBody {
    /// E-mail; `email` and `username` are understood as well.
    #[serde(alias = "email", alias = "username")]
    login: String,
    /// Password.
    password: String,
    /// Key or id of the organization to work in; left out, the only one there is, or any.
    #[serde(default)]
    organization: Option<String>,
}

/// A token and the session it was made for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AccessToken")]
struct TokenView {
    /// The access token.
    access_token: String,
    /// How it is sent.
    token_type: &'static str,
    /// Seconds until it ends.
    expires_in: i64,
    /// When it ends.
    #[schemars(with = "wire::Time")]
    expires_at: Timestamp,
    /// The session.
    #[schemars(with = "wire::Id")]
    session_id: SessionId,
    /// When the session ends at the latest.
    #[schemars(with = "wire::Time")]
    session_expires_at: Timestamp,
    /// The principal.
    #[schemars(with = "wire::Id")]
    principal_id: PrincipalId,
    /// The organization it is for; none is any the principal is a member of.
    #[schemars(with = "Option<wire::Id>")]
    organization_id: Option<OrganizationId>,
}

impl TokenView {
    fn of(begun: SignIn, now: Timestamp) -> Self {
        Self {
            access_token: begun.token.to_string(),
            token_type: "Bearer",
            expires_in: begun.expires_at.seconds() - now.seconds(),
            expires_at: begun.expires_at,
            session_id: begun.session.id,
            session_expires_at: begun.session.expires_at,
            principal_id: begun.session.principal,
            organization_id: begun.session.organization,
        }
    }
}

async fn login(call: Call<(), (), LoginBody>) -> Result<Reply<TokenView>, Problem> {
    let user_agent = call.user_agent();
    let LoginBody { login, password, organization } = call.body;
    let draft = SignInDraft { login, password: Zeroizing::new(password), organization, user_agent };
    let begun = sign_in::sign_in(&call.app, &call.ctx, draft).await?;
    Ok(Reply::new(TokenView::of(begun, call.ctx.now)))
}

async fn logout(call: Call) -> Result<Reply<()>, Problem> {
    session::sign_out(&call.app, &call.ctx).await?;
    Ok(Reply::empty())
}

/// Where to turn to.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SwitchOrganization")]
#[serde(deny_unknown_fields)]
struct SwitchBody {
    /// Key or id of the organization; left out, the same.
    #[serde(default)]
    organization: Option<String>,
}

async fn switch(call: Call<(), (), SwitchBody>) -> Result<Reply<TokenView>, Problem> {
    let begun = sign_in::switch(&call.app, &call.ctx, call.body.organization).await?;
    Ok(Reply::new(TokenView::of(begun, call.ctx.now)))
}

async fn exchange(call: Call<(), (), SwitchBody>) -> Result<Reply<TokenView>, Problem> {
    let begun =
        legacy_caller::exchange(&call.app, &call.ctx, call.body.organization.clone(), call.user_agent())
            .await?;
    Ok(Reply::new(TokenView::of(begun, call.ctx.now)))
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
    /// When the credential ends.
    #[schemars(with = "Option<wire::Time>")]
    expires_at: Option<Timestamp>,
}

impl From<Me> for MeView {
    fn from(me: Me) -> Self {
        let organizations = me.organizations.into_iter().map(Into::into).collect();
        match me.principal {
            Some(SignedIn { id, kind, login, name, session, organization, amr, expires_at, .. }) => Self {
                kind: kind.as_str(),
                id: Some(id),
                login,
                name,
                session_id: session,
                organization_id: organization,
                organizations,
                amr,
                expires_at,
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
                    expires_at: None,
                }
            }
        }
    }
}

async fn me(call: Call) -> Result<Reply<MeView>, Problem> {
    Ok(Reply::new(sign_in::me(&call.app, &call.ctx).await?.into()))
}

/// A session.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
struct SessionView {
    /// Its id.
    #[schemars(with = "wire::Id")]
    id: SessionId,
    /// Whether this request came by it.
    is_current: bool,
    /// The organization it is for; none is any.
    #[schemars(with = "Option<wire::Id>")]
    organization_id: Option<OrganizationId>,
    /// How one proved oneself (RFC 8176).
    amr: Vec<String>,
    /// When it began.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// When it ends at the latest.
    #[schemars(with = "wire::Time")]
    expires_at: Timestamp,
    /// The address it began from.
    address: Option<String>,
}

async fn sessions(call: Call) -> Result<Reply<Items<SessionView>>, Problem> {
    let (_, current) = session_of(&call.ctx)?;
    let found = session::list_own(&call.app, &call.ctx, &call.page()).await?;
    let views = found.items.into_iter().map(|it| SessionView {
        id: it.id,
        is_current: it.id == current,
        organization_id: it.organization,
        amr: it.amr.split(' ').map(str::to_owned).collect(),
        created_at: it.created_at,
        expires_at: it.expires_at,
        address: it.address,
    });
    Ok(call.items(views, found.next))
}

/// One session.
#[derive(Deserialize, JsonSchema)]
struct SessionPath {
    /// Its id.
    #[schemars(with = "wire::Id")]
    session: SessionId,
}

async fn end_session(call: Call<SessionPath>) -> Result<Reply<()>, Problem> {
    session::end_own(&call.app, &call.ctx, call.path.session).await?;
    Ok(Reply::empty())
}

/// The present password and the next.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PasswordChange")]
#[serde(deny_unknown_fields)]
struct PasswordChangeBody {
    /// The password so far.
    current_password: String,
    /// The password from now on: 12 characters or more.
    new_password: String,
}

async fn change_password(call: Call<(), (), PasswordChangeBody>) -> Result<Reply<TokenView>, Problem> {
    let PasswordChangeBody { current_password, new_password } = call.body;
    let (current, new) = (Zeroizing::new(current_password), Zeroizing::new(new_password));
    let begun = own_password::change(&call.app, &call.ctx, current, new).await?;
    Ok(Reply::new(TokenView::of(begun, call.ctx.now)))
}

/// One user of the installation.
#[derive(Deserialize, JsonSchema)]
struct UserPath {
    /// E-mail.
    user: String,
}

/// A password to be set.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewPassword")]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    /// The password from now on: 12 characters or more.
    password: String,
}

/// What setting a password did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PasswordSet")]
struct PasswordSetView {
    /// How many sessions ended.
    sessions_ended: usize,
}

async fn set_password(call: Call<UserPath, (), PasswordBody>) -> Result<Reply<PasswordSetView>, Problem> {
    let password = Zeroizing::new(call.body.password);
    let sessions_ended = own_password::set(&call.app, &call.ctx, &call.path.user, password).await?;
    Ok(Reply::new(PasswordSetView { sessions_ended }))
}

/// The first administrator.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Setup")]
#[serde(deny_unknown_fields)]
struct SetupBody {
    /// The one-time code `charter serve` printed.
    code: String,
    /// E-mail.
    login: String,
    /// Shown name; the e-mail when left out.
    #[serde(default)]
    name: Option<String>,
    /// Password: 12 characters or more.
    password: String,
}

async fn set_up(call: Call<(), (), SetupBody>) -> Result<Reply<TokenView>, Problem> {
    let SetupBody { code, login, name, password } = call.body;
    let draft = SetupDraft { code: Zeroizing::new(code), login, name, password: Zeroizing::new(password) };
    let begun = setup::complete(&call.app, &call.ctx, draft).await?;
    Ok(Reply::new(TokenView::of(begun, call.ctx.now)))
}

/// Public keys (RFC 7517).
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PublicKeys")]
struct KeysView {
    /// The keys.
    keys: Vec<KeyView>,
}

/// One public key (RFC 8037).
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PublicKey")]
struct KeyView {
    /// `OKP`.
    kty: String,
    /// `Ed25519`.
    crv: String,
    /// `EdDSA`.
    alg: String,
    /// `sig`.
    #[serde(rename = "use")]
    purpose: String,
    /// The id tokens name it by.
    kid: String,
    /// The public key, base64url.
    x: String,
}

async fn keys(call: Call) -> Result<Reply<KeysView>, Problem> {
    let keys = call.app.identity().keys();
    let view: KeysView = serde_json::from_str(keys.document())
        .map_err(|error| Problem::new(ProblemKind::Internal, format!("the document of keys: {error}")))?;
    Ok(Reply::new(view).etag(ETag::of(keys.document().as_bytes())).cache("public, max-age=300"))
}
