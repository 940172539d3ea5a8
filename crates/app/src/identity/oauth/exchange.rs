//! What a client gets for a code, for a refresh token, and for being itself.

use super::client_secret::Presented;
use super::code_exchange::{CodeDraft, for_code};
use super::scope::{OFFLINE, Scope};
use super::{
    AUTHORIZATION_CODE, CLIENT_CREDENTIALS, ClientKind, Fault, OauthClient, REFRESH_TOKEN, Refused, Stop,
    audience, client_secret, refused,
};
use crate::App;
use crate::caller::{RequestContext, SignedIn, is_multi_factor};
use crate::identity::begin::{self, Opening, acting_as};
use crate::identity::refresh::moved_on;
use crate::identity::token::{self, Audience};
use crate::identity::{demand, membership, refresh_token, session};
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope as Sees, Tx};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{OauthClientId, OrganizationId, Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::principal::Principal;
use charter_store::session::Session;
use zeroize::Zeroizing;

/// The parameter of RFC 8707.
const RESOURCE: &str = "resource";
const NOT_ALLOWED: &str = "the client may not use this grant";

/// What a client gets.
pub struct Issued {
    /// The access token.
    pub access_token: Zeroizing<String>,
    /// Seconds until it ends.
    pub expires_in: i64,
    /// What the next is asked for with.
    pub refresh_token: Option<Zeroizing<String>>,
    /// Who signed in.
    pub id_token: Option<Zeroizing<String>>,
    /// What the tokens are for.
    pub scope: Scope,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("scope", &self.scope).finish_non_exhaustive()
    }
}

pub(super) fn grants(client: &OauthClient, grant: &str) -> Result<(), Stop> {
    if client.grant_types.iter().any(|known| known == grant) {
        return Ok(());
    }
    Err(refused(Fault::UnauthorizedClient, NOT_ALLOWED))
}

pub(super) fn no_key() -> Problem {
    Problem::new(ProblemKind::Unavailable, "no signing key is active yet: try again in a second")
        .retry_after(1)
}

/// The access token of a client's session: for a resource, or for Charter itself.
pub(super) fn access_token(
    app: &App,
    session: &Session,
    scope: &Scope,
    resource: Option<String>,
    now: Timestamp,
) -> Result<(Zeroizing<String>, i64), Problem> {
    let identity = app.identity();
    let mut claims = identity.terms.claims(
        now,
        app.fresh_id(),
        session.principal,
        session.organization,
        session.id,
        session.amr.split(' ').map(str::to_owned).collect(),
        session.authenticated_at,
        session.expires_at,
        None,
    );
    claims.client_id = session.client.map(|client| client.to_string()).unwrap_or_default();
    claims.scope = Some(scope.text());
    if let Some(resource) = resource {
        claims.aud = Audience::One(resource);
    }
    let text = token::mint(&identity.keys(), &claims).ok_or_else(no_key)?;
    Ok((Zeroizing::new(text), claims.exp - claims.iat))
}

pub(super) fn refresh_token_of(app: &App, session: &Session) -> Zeroizing<String> {
    let identity = app.identity();
    refresh_token::make(&identity.pepper, identity.settings.is_live, session.id, session.refresh_counter)
}

/// Refuses when a client is another than was read, and holds it: what ends it has to wait, and then ends what began here, too.
pub(super) async fn require_version(
    tx: &mut Tx,
    organization: OrganizationId,
    id: OauthClientId,
    version: u64,
) -> Result<(), Problem> {
    if store::oauth_client::hold(tx, organization, id, version).await? {
        return Ok(());
    }
    let detail = "the client was changed meanwhile: try again";
    Err(Problem::new(ProblemKind::Unavailable, detail).retry_after(1))
}

/// Why nothing is given: the membership was removed, or ended, between a look and the change.
pub(super) fn membership_changed() -> Problem {
    Problem::new(ProblemKind::Unavailable, "the membership was changed meanwhile: try again").retry_after(1)
}

/// How somebody proved themselves, and when: an application's session says what happened in the browser, not when the code came back.
pub(super) struct Proof<'a> {
    /// The methods, joined by spaces.
    pub amr: &'a str,
    /// When.
    pub at: Timestamp,
    /// The browser's session.
    pub parent: Option<SessionId>,
    /// What access tokens may be for; nothing is Charter itself.
    pub audiences: Vec<String>,
}

/// What the trail has of a client's session.
pub(super) fn session_record(client: OauthClientId, session: &Session) -> serde_json::Value {
    serde_json::json!({
        "client_id": client.to_string(),
        "scope": session.scope,
        "audiences": session.audiences,
    })
}

/// A session of a client's on behalf of a principal. One that nobody refreshes lasts as long as its only access token.
pub(super) async fn session_for(
    app: &App,
    ctx: &RequestContext,
    client: &OauthClient,
    principal: &Principal,
    scope: &Scope,
    proof: Proof<'_>,
) -> Result<Session, Problem> {
    let opening = Opening { kind: begin::SessionKind::Bearer, user_agent: None };
    let begun = begin::begin(app, ctx, principal.id, Some(client.organization), opening).await?;
    let is_lasting = scope.has(OFFLINE) && proof.parent.is_some();
    let life = ctx.now.plus_seconds(app.identity().terms.life_seconds);
    let expires_at = if is_lasting { begun.session.expires_at } else { begun.session.expires_at.min(life) };
    Ok(Session {
        client: Some(client.id),
        scope: Some(scope.text()),
        audiences: proof.audiences,
        // What is for the time in which the user is away does not end when they sign out.
        parent: proof.parent.filter(|_| !is_lasting),
        amr: proof.amr.to_owned(),
        authenticated_at: proof.at,
        expires_at,
        idle_expires_at: begun.session.idle_expires_at.min(expires_at),
        ..begun.session
    })
}

/// Exchanges a refresh token, for all of its scope or for less.
pub async fn for_refresh(
    app: &App,
    ctx: &RequestContext,
    client: &OauthClient,
    text: &str,
    wanted: Option<&str>,
    resources: &[&str],
) -> Result<Issued, Stop> {
    grants(client, REFRESH_TOKEN)?;
    let index = app.snapshots().index();
    let wanted = match wanted {
        None => None,
        Some(text) => Some(Scope::read(text).map_err(|why| refused(Fault::InvalidScope, why))?),
    };
    let had =
        |session: &Session| Scope::read(session.scope.as_deref().unwrap_or_default()).unwrap_or_default();
    let is_within = |session: &Session| {
        let beyond = wanted.as_ref().and_then(|wanted| wanted.beyond(&had(session), &index));
        if let Some(word) = beyond {
            return Err(Problem::invalid("scope", format!("{word} is more than was given")));
        }
        let target = audience::of_token(client, &session.audiences, resources);
        target.map(drop).map_err(|refused| Problem::invalid(RESOURCE, refused.detail))
    };
    let is_of_user = client.kind != ClientKind::Confidential;
    let moved = moved_on(app, ctx, text, Some(client.id), is_of_user, is_within).await;
    let session = moved.map_err(|problem| match problem.kind {
        ProblemKind::Unauthenticated => refused(Fault::InvalidGrant, problem.detail),
        ProblemKind::Invalid if problem.fields.iter().any(|it| it.field == RESOURCE) => {
            refused(Fault::InvalidTarget, problem.detail)
        }
        ProblemKind::Invalid => refused(Fault::InvalidScope, problem.detail),
        _ => Stop::Problem(problem),
    })?;
    require_demanded(app, ctx, client, &session).await?;
    let scope = wanted.filter(|wanted| !wanted.is_empty()).unwrap_or_else(|| had(&session));
    let target = audience::of_token(client, &session.audiences, resources)?;
    let (access_token, expires_in) = access_token(app, &session, &scope, target, ctx.now)?;
    let refresh_token = Some(refresh_token_of(app, &session));
    Ok(Issued { access_token, expires_in, refresh_token, id_token: None, scope })
}

/// Refuses to go on for a user who let the application in without a second factor, where one is demanded of them by now.
async fn require_demanded(
    app: &App,
    ctx: &RequestContext,
    client: &OauthClient,
    session: &Session,
) -> Result<(), Stop> {
    if is_multi_factor(session.amr.split(' ')) {
        return Ok(());
    }
    let who = session.principal;
    let found = reading_all!(app.database(), |conn| store::principal::by_id(conn, who))?;
    let Some(principal) = found.filter(|it| it.kind == PrincipalKind::User) else { return Ok(()) };
    let caller = SignedIn::without_session(principal);
    if demand::is_made_of(app, ctx, &caller, client.organization).await? {
        return Err(refused(Fault::InvalidGrant, "the organization demands a second factor: sign in again"));
    }
    Ok(())
}

/// A token for the service account of a client.
pub async fn for_itself(
    app: &App,
    ctx: &RequestContext,
    client: &OauthClient,
    wanted: Option<&str>,
    resources: &[&str],
) -> Result<Issued, Stop> {
    grants(client, CLIENT_CREDENTIALS)?;
    let target = audience::of_itself(client, resources)?;
    let (now, platform, organization) = (ctx.now, app.platform(), client.organization);
    let allowed = Scope::of(client.scopes.clone()).unwrap_or_default().of_permissions();
    let scope = match wanted {
        None => allowed,
        Some(text) => {
            let wanted = Scope::read(text).map_err(|why| refused(Fault::InvalidScope, why))?;
            if let Some(word) = wanted.beyond(&allowed, &app.snapshots().index()) {
                let detail = format!("the client may not ask for {word} for itself");
                return Err(refused(Fault::InvalidScope, detail));
            }
            wanted
        }
    };
    let Some(account) = client.service_account else {
        return Err(refused(Fault::UnauthorizedClient, NOT_ALLOWED));
    };
    let found = reading_all!(app.database(), |conn| async move {
        let Some(found) = store::principal::by_id(conn, account).await? else { return Ok(None) };
        let is_standing = membership::is_standing_member(conn, organization, account, now).await?;
        let is_account = found.kind == PrincipalKind::ServiceAccount;
        Ok::<_, charter_db::Error>((is_standing && is_account).then_some(found))
    })?;
    let Some(account) = found else {
        return Err(refused(Fault::UnauthorizedClient, "the service account of the client may not act"));
    };
    let given = target.iter().cloned().collect();
    let proof = Proof { amr: "swk", at: now, parent: None, audiences: given };
    let session = session_for(app, ctx, client, &account, &scope, proof).await?;
    let (row, ctx_inside, id) = (session.clone(), acting_as(ctx, &account), client.id);
    let version = client.row_version;
    app.write(Sees::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            require_version(transaction.tx(), organization, id, version).await?;
            if !membership::hold_standing_member(transaction.tx(), organization, row.principal, now).await? {
                return Err(membership_changed());
            }
            store::session::insert(transaction.tx(), &row).await?;
            let why = "an application asked for itself";
            let mut event = session::event(&ctx_inside, platform, &row, "session.begin", why);
            let client = session_record(id, &row);
            event.after = Some(client.to_string());
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    let (access_token, expires_in) = access_token(app, &session, &scope, target, now)?;
    Ok(Issued { access_token, expires_in, refresh_token: None, id_token: None, scope })
}

/// A request for tokens.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "each is the parameter of that name in RFC 6749, RFC 7636 or RFC 8707")]
pub struct TokenDraft<'a> {
    pub grant_type: Option<&'a str>,
    pub code: Option<&'a str>,
    pub redirect_uri: Option<&'a str>,
    pub code_verifier: Option<&'a str>,
    pub refresh_token: Option<&'a str>,
    pub scope: Option<&'a str>,
    pub resources: &'a [&'a str],
}

/// Gives tokens to a client that says who it is.
pub async fn tokens(
    app: &App,
    ctx: &RequestContext,
    presented: Presented<'_>,
    draft: TokenDraft<'_>,
) -> Result<Issued, Stop> {
    let client = client_secret::authenticate(app, ctx, presented).await?;
    let missing = |name: &str| {
        Stop::Refused(Refused { fault: Fault::InvalidRequest, detail: format!("{name} is missing") })
    };
    match draft.grant_type {
        Some(AUTHORIZATION_CODE) => {
            let draft = CodeDraft {
                code: draft.code.ok_or_else(|| missing("code"))?,
                redirect_uri: draft.redirect_uri.ok_or_else(|| missing("redirect_uri"))?,
                verifier: draft.code_verifier.ok_or_else(|| missing("code_verifier"))?,
                resources: draft.resources,
            };
            for_code(app, ctx, &client, draft).await
        }
        Some(REFRESH_TOKEN) => {
            let text = draft.refresh_token.ok_or_else(|| missing("refresh_token"))?;
            for_refresh(app, ctx, &client, text, draft.scope, draft.resources).await
        }
        Some(CLIENT_CREDENTIALS) => for_itself(app, ctx, &client, draft.scope, draft.resources).await,
        Some(_) => Err(refused(
            Fault::UnsupportedGrantType,
            "authorization_code, refresh_token and client_credentials are the grants there are",
        )),
        None => Err(missing("grant_type")),
    }
}
