//! What a token is worth (RFC 7662), giving one back (RFC 7009), and who its user is (OpenID Connect).

use super::client_secret::{self, Presented};
use super::id_token::Profile;
use super::scope::{EMAIL, OPENID, PROFILE, Scope};
use super::{ClientKind, Fault, OauthClient, Stop, refused};
use crate::App;
use crate::caller::RequestContext;
use crate::identity::authenticate::{self, judged_for_any};
use crate::identity::own_session::principal_of;
use crate::identity::token::Audience;
use crate::identity::{refresh_token, session};
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope as Sees};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, SessionId};
use charter_store as store;
use charter_store::session::Session;

/// What a token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worth {
    /// What it is for.
    pub scope: String,
    /// The client it was given to; `charter` is nobody's.
    pub client_id: String,
    /// Whom it stands for.
    pub sub: PrincipalId,
    /// Their login, as far as the user lets the client of the token know it.
    pub username: Option<String>,
    /// Who really acts, in a support session.
    pub act: Option<PrincipalId>,
    /// When it ends, in seconds.
    pub exp: i64,
    /// When it was issued, in seconds.
    pub iat: i64,
    /// What it is for the machine it is shown to; refresh tokens have none.
    pub aud: Option<String>,
    /// Its own id; refresh tokens have none.
    pub jti: Option<String>,
    /// The organization.
    pub org: Option<OrganizationId>,
    /// How its principal proved itself.
    pub amr: Vec<String>,
    /// When it did, in seconds.
    pub auth_time: i64,
    /// Whether it opens anything; a refresh token gives others that do.
    pub is_access_token: bool,
}

/// A login, where a scope lets a client know it: the same as in the ID token.
fn shown(scope: &str, kind: PrincipalKind, login: &str) -> Option<String> {
    let scope = Scope::read(scope).unwrap_or_default();
    let may = if login.contains('@') { scope.has(EMAIL) } else { scope.has(PROFILE) };
    (may || kind == PrincipalKind::ServiceAccount).then(|| login.to_owned())
}

/// What a token is worth to a client that asks. One that is over, or none of its business, is worth nothing.
pub async fn introspect(
    app: &App,
    ctx: &RequestContext,
    presented: Presented<'_>,
    token: &str,
) -> Result<Option<Worth>, Stop> {
    let client = client_secret::authenticate(app, ctx, presented).await?;
    if client.kind != ClientKind::Confidential {
        let detail = "only clients that keep a secret ask what a token is worth";
        return Err(refused(Fault::UnauthorizedClient, detail));
    }
    if token.starts_with(refresh_token::PREFIX) {
        return Ok(of_refresh(app, ctx, &client, token).await?);
    }
    let (claims, known) = match judged_for_any(app, token, ctx.now).await {
        Ok(found) => found,
        Err(authenticate::Stop::Refused(_)) => return Ok(None),
        Err(authenticate::Stop::Problem(problem)) => return Err(problem.into()),
    };
    // A token for another organization is none of its business.
    if claims.org != Some(client.organization) {
        return Ok(None);
    }
    let aud = match &claims.aud {
        Audience::One(one) => one.clone(),
        Audience::Several(several) => several.join(" "),
    };
    Ok(Some(Worth {
        scope: claims.scope.clone().unwrap_or_default(),
        client_id: claims.client_id.clone(),
        sub: claims.sub,
        username: shown(claims.scope.as_deref().unwrap_or_default(), known.kind, &known.login),
        act: known.supporter(),
        exp: claims.exp,
        iat: claims.iat,
        aud: Some(aud),
        jti: Some(claims.jti.clone()),
        org: claims.org,
        amr: claims.amr.clone(),
        auth_time: claims.auth_time,
        is_access_token: true,
    }))
}

/// The session of a refresh token that was given to a client, live or not.
async fn session_of_refresh(
    app: &App,
    client: &OauthClient,
    text: &str,
) -> Result<Option<(Session, u64)>, Problem> {
    let identity = app.identity();
    let Some(shown) = refresh_token::read(&identity.pepper, identity.settings.is_live, text) else {
        return Ok(None);
    };
    let found = reading_all!(app.database(), |conn| store::session::get(conn, shown.session))?;
    Ok(found.filter(|session| session.client == Some(client.id)).map(|session| (session, shown.counter)))
}

async fn of_refresh(
    app: &App,
    ctx: &RequestContext,
    client: &OauthClient,
    text: &str,
) -> Result<Option<Worth>, Problem> {
    let Some((session, counter)) = session_of_refresh(app, client, text).await? else { return Ok(None) };
    if !session.is_live(ctx.now) || session.refresh_counter != counter {
        return Ok(None);
    }
    let (who, organization, row, now) = (session.principal, session.organization, session.clone(), ctx.now);
    let found = reading_all!(app.database(), |conn| async move {
        let Some(principal) = store::principal::by_id(conn, who).await? else { return Ok(None) };
        let is_standing = session::is_standing(conn, &row, &principal, now).await?;
        Ok::<_, charter_db::Error>(is_standing.then_some(principal))
    })?;
    let scope = session.scope.unwrap_or_default();
    Ok(found.map(|principal| Worth {
        scope: scope.clone(),
        client_id: client.id.to_string(),
        sub: principal.id,
        username: shown(&scope, principal.kind, &principal.login_folded),
        act: None,
        exp: session.expires_at.min(session.idle_expires_at).seconds(),
        iat: session.refreshed_at.unwrap_or(session.created_at).seconds(),
        aud: None,
        jti: None,
        org: organization,
        amr: session.amr.split(' ').map(str::to_owned).collect(),
        auth_time: session.authenticated_at.seconds(),
        is_access_token: false,
    }))
}

/// Ends what a token of the client belongs to. A token that is none of its own, or over, is nothing to do anything about.
pub async fn revoke(
    app: &App,
    ctx: &RequestContext,
    presented: Presented<'_>,
    token: &str,
) -> Result<(), Stop> {
    let client = client_secret::authenticate(app, ctx, presented).await?;
    let id: Option<SessionId> = if token.starts_with(refresh_token::PREFIX) {
        session_of_refresh(app, &client, token).await?.map(|(session, _)| session.id)
    } else {
        match judged_for_any(app, token, ctx.now).await {
            Ok((claims, known)) => Some(claims.sid).filter(|_| known.client == Some(client.id)),
            Err(authenticate::Stop::Refused(_)) => None,
            Err(authenticate::Stop::Problem(problem)) => return Err(problem.into()),
        }
    };
    match id {
        Some(id) => Ok(end(app, ctx, id).await?),
        None => Ok(()),
    }
}

async fn end(app: &App, ctx: &RequestContext, id: SessionId) -> Result<(), Problem> {
    const WHY: &str = "given back by its client";
    let (platform, now, ctx_inside) = (app.platform(), ctx.now, ctx.clone());
    let ended = app
        .write(Sees::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let gone = || Problem::new(ProblemKind::NotFound, "the session has ended before");
                let found = store::session::get(transaction.tx(), id).await?;
                let session = found.ok_or_else(gone)?;
                if !store::session::end(transaction.tx(), id, WHY, now).await? {
                    return Err(gone());
                }
                let event = session::event(&ctx_inside, platform, &session, "session.end", WHY);
                transaction.commit(event, Vec::new(), ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await;
    session::forget(app, &[id]);
    match ended {
        Err(problem) if problem.kind != ProblemKind::NotFound => Err(problem),
        _ => Ok(()),
    }
}

/// Who the user of an access token is, as far as its scope says.
pub async fn user_info(app: &App, ctx: &RequestContext) -> Result<(PrincipalId, Profile), Problem> {
    let caller = principal_of(ctx)?;
    let scope = caller.by_client.as_ref().and_then(|by| Scope::read(&by.scope).ok()).unwrap_or_default();
    if !scope.has(OPENID) || caller.kind != PrincipalKind::User {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "only an application whose user agreed to the scope openid learns who they are here",
        ));
    }
    let who = caller.id;
    let found = reading_all!(app.database(), |conn| store::principal::by_id(conn, who))?;
    let principal = found.ok_or_else(|| Problem::not_found("the user is gone"))?;
    Ok((who, Profile::of(&principal, &scope)))
}
