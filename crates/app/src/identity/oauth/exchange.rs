//! What a client gets for a code, for a refresh token, and for being itself.

use super::client_secret::Presented;
use super::id_token::{self, Saying};
use super::scope::{OFFLINE, OPENID, Scope};
use super::{
    AUTHORIZATION_CODE, CLIENT_CREDENTIALS, ClientKind, Fault, OauthClient, REFRESH_TOKEN, Refused, Stop,
    client_secret, refused,
};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::identity::begin::{self, Opening, acting_as};
use crate::identity::refresh::{end_family, moved_on};
use crate::identity::seal::is_same;
use crate::identity::{refresh_token, session, session_limits, sign_in, token};
use crate::transaction::{Committed, Transaction};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_db::{BoxFuture, Scope as Sees};
use charter_kernel::audit::Outcome;
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::oauth_code::OauthCode;
use charter_store::principal::Principal;
use charter_store::session::Session;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What the trail says of a code that came again.
const AGAIN: &str = "an authorization code came again after it was exchanged: it may be in two hands";
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

fn grants(client: &OauthClient, grant: &str) -> Result<(), Stop> {
    if client.grant_types.iter().any(|known| known == grant) {
        return Ok(());
    }
    Err(refused(Fault::UnauthorizedClient, NOT_ALLOWED))
}

fn no_key() -> Problem {
    Problem::new(ProblemKind::Unavailable, "no signing key is active yet: try again in a second")
        .retry_after(1)
}

/// The access token of a client's session.
fn access_token(
    app: &App,
    session: &Session,
    scope: &Scope,
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
    let text = token::mint(&identity.keys(), &claims).ok_or_else(no_key)?;
    Ok((Zeroizing::new(text), claims.exp - claims.iat))
}

fn refresh_token_of(app: &App, session: &Session) -> Zeroizing<String> {
    let identity = app.identity();
    refresh_token::make(&identity.pepper, identity.settings.is_live, session.id, session.refresh_counter)
}

/// A session of a client's on behalf of a principal. One that nobody refreshes lasts as long as its only access token.
async fn session_for(
    app: &App,
    ctx: &RequestContext,
    client: &OauthClient,
    principal: &Principal,
    scope: &Scope,
    parent: Option<SessionId>,
) -> Result<Session, Problem> {
    let opening = Opening { kind: begin::SessionKind::Bearer, user_agent: None };
    let begun = begin::begin(app, ctx, principal.id, Some(client.organization), opening).await?;
    let is_lasting = scope.has(OFFLINE) && parent.is_some();
    let life = ctx.now.plus_seconds(app.identity().terms.life_seconds);
    let expires_at = if is_lasting { begun.session.expires_at } else { begun.session.expires_at.min(life) };
    Ok(Session {
        client: Some(client.id),
        scope: Some(scope.text()),
        // What is for the time in which the user is away does not end when they sign out.
        parent: parent.filter(|_| !is_lasting),
        expires_at,
        idle_expires_at: begun.session.idle_expires_at.min(expires_at),
        ..begun.session
    })
}

/// A code as a client brings it.
#[derive(Clone, Copy)]
pub struct CodeDraft<'a> {
    /// The code.
    pub code: &'a str,
    /// Where it was sent.
    pub redirect_uri: &'a str,
    /// What its challenge was made from.
    pub verifier: &'a str,
}

fn is_verifier(verifier: &str, challenge: &str) -> bool {
    let is_form = (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'));
    let sum = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    is_same(sum.as_bytes(), challenge.as_bytes()) && is_form
}

/// What is wrong with a code that was not used yet, for this client.
fn fault_of(code: &OauthCode, draft: CodeDraft<'_>, now: Timestamp) -> Option<&'static str> {
    if now >= code.expires_at {
        return Some("the code is over");
    }
    if code.redirect_uri != draft.redirect_uri {
        return Some("redirect_uri is not the one the code was asked with");
    }
    (!is_verifier(draft.verifier, &code.code_challenge))
        .then_some("code_verifier does not fit the challenge the code was asked with")
}

/// What came of taking a code.
enum Taken {
    /// The session began.
    Begun,
    /// It was refused, and is used up.
    Refused(&'static str),
    /// It was used before; this session came of it.
    Again(Option<SessionId>),
}

/// Exchanges a code. Whatever comes of it, the code is used up.
pub async fn for_code(
    app: &App,
    ctx: &RequestContext,
    client: &OauthClient,
    draft: CodeDraft<'_>,
) -> Result<Issued, Stop> {
    const UNKNOWN: &str = "the code is not one that was given to this client";
    grants(client, AUTHORIZATION_CODE)?;
    let (now, platform, organization) = (ctx.now, app.platform(), client.organization);
    let hash = app.identity().pepper.of_oauth_code(draft.code);
    let found = reading_all!(app.database(), |conn| async move {
        let Some(code) = store::oauth_code::get(conn, organization, &hash).await? else { return Ok(None) };
        let principal = store::principal::by_id(conn, code.principal).await?;
        let is_standing = match &principal {
            Some(principal) => sign_in::is_standing(conn, principal, Some(organization)).await?,
            None => false,
        };
        let browser = store::session::get(conn, code.session).await?;
        Ok::<_, charter_db::Error>(Some((code, principal.filter(|_| is_standing), browser)))
    })?;
    let Some((code, principal, browser)) = found.filter(|(code, ..)| code.client == client.id) else {
        return Err(refused(Fault::InvalidGrant, UNKNOWN));
    };
    let scope = Scope::read(&code.scope).unwrap_or_default();
    if scope.has(OPENID) {
        id_token::ready(app).await?;
    }
    let fault = fault_of(&code, draft, now).or_else(|| {
        let is_live = browser.as_ref().is_some_and(|browser| browser.is_live(now));
        (principal.is_none() || !is_live).then_some("the user signed out, or may not act any more")
    });
    let begun = match (&principal, fault) {
        (Some(principal), None) => {
            let limits = session_limits::of(app, principal.id, Some(organization), false).await?;
            if client.kind != ClientKind::Confidential && !limits.allow_address(ctx.address) {
                return Err(session_limits::wrong_address().into());
            }
            let begun = session_for(app, ctx, client, principal, &scope, Some(code.session)).await?;
            // The application has what its user proved, and no more.
            Some(Session { amr: code.amr.clone(), authenticated_at: code.authenticated_at, ..begun })
        }
        _ => None,
    };
    let ctx_inside = match &principal {
        Some(principal) => acting_as(ctx, principal),
        None => ctx.clone(),
    };
    let (row, id) = (begun.clone(), client.id);
    let (taken, _) = app
        .write(Sees::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                let begins = row.as_ref().map(|session| session.id);
                let told = |action: &'static str, why: &str, outcome: Outcome| {
                    let mut event =
                        audit::event(&ctx_inside, organization, action, "oauth_client", id.to_string());
                    (event.reason, event.outcome) = (why.to_owned(), outcome);
                    event
                };
                if !store::oauth_code::take(tx, organization, &hash, now, begins).await? {
                    let before = store::oauth_code::get(tx, organization, &hash).await?;
                    let event = told("oauth_code.reuse", AGAIN, Outcome::Denied);
                    let family = before.and_then(|before| before.begun_session);
                    return transaction.commit(event, Vec::new(), Taken::Again(family)).await;
                }
                match (row, fault) {
                    (Some(session), None) => {
                        store::session::insert(tx, &session).await?;
                        let why = "an application exchanged a code";
                        let mut event = session::event(&ctx_inside, platform, &session, "session.begin", why);
                        let client =
                            serde_json::json!({ "client_id": id.to_string(), "scope": session.scope });
                        event.after = Some(client.to_string());
                        transaction.commit(event, Vec::new(), Taken::Begun).await
                    }
                    (_, fault) => {
                        let why = fault.unwrap_or(UNKNOWN);
                        let event = told("oauth_code.refuse", why, Outcome::Denied);
                        transaction.commit(event, Vec::new(), Taken::Refused(why)).await
                    }
                }
            }) as BoxFuture<'_, Result<Committed<Taken>, Problem>>
        })
        .await?;
    match taken {
        Taken::Refused(why) => return Err(refused(Fault::InvalidGrant, why)),
        Taken::Again(family) => {
            end_begun(app, ctx, family).await?;
            return Err(refused(
                Fault::InvalidGrant,
                "the code was exchanged before: what it gave has ended",
            ));
        }
        Taken::Begun => {}
    }
    let (Some(session), Some(principal)) = (begun, principal) else {
        return Err(refused(Fault::InvalidGrant, UNKNOWN));
    };
    let (access_token, expires_in) = access_token(app, &session, &scope, now)?;
    let id_token = if scope.has(OPENID) {
        let saying = Saying {
            client: client.id,
            principal: &principal,
            scope: &scope,
            nonce: code.nonce.as_deref(),
            amr: &code.amr,
            authenticated_at: code.authenticated_at,
            access_token: &access_token,
        };
        Some(Zeroizing::new(id_token::mint(app, &saying, now).ok_or_else(no_key)?))
    } else {
        None
    };
    let refresh_token = scope.has(OFFLINE).then(|| refresh_token_of(app, &session));
    Ok(Issued { access_token, expires_in, refresh_token, id_token, scope })
}

/// Ends what a code gave that came again.
async fn end_begun(app: &App, ctx: &RequestContext, family: Option<SessionId>) -> Result<(), Problem> {
    let Some(id) = family else { return Ok(()) };
    let found = reading_all!(app.database(), |conn| store::session::get(conn, id))?;
    match found.filter(|session| session.ended_at.is_none()) {
        Some(session) => match end_family(app, ctx, &session, "session.reuse", AGAIN).await {
            // Somebody else ended it meanwhile.
            Err(problem) if problem.kind == ProblemKind::Unauthenticated => Ok(()),
            done => done,
        },
        None => Ok(()),
    }
}

/// Exchanges a refresh token, for all of its scope or for less.
pub async fn for_refresh(
    app: &App,
    ctx: &RequestContext,
    client: &OauthClient,
    text: &str,
    wanted: Option<&str>,
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
        beyond.map_or(Ok(()), |word| Err(Problem::invalid("scope", format!("{word} is more than was given"))))
    };
    let is_of_user = client.kind != ClientKind::Confidential;
    let moved = moved_on(app, ctx, text, Some(client.id), is_of_user, is_within).await;
    let session = moved.map_err(|problem| match problem.kind {
        ProblemKind::Unauthenticated => refused(Fault::InvalidGrant, problem.detail),
        ProblemKind::Invalid => refused(Fault::InvalidScope, problem.detail),
        _ => Stop::Problem(problem),
    })?;
    let scope = wanted.filter(|wanted| !wanted.is_empty()).unwrap_or_else(|| had(&session));
    let (access_token, expires_in) = access_token(app, &session, &scope, ctx.now)?;
    let refresh_token = Some(refresh_token_of(app, &session));
    Ok(Issued { access_token, expires_in, refresh_token, id_token: None, scope })
}

/// A token for the service account of a client.
pub async fn for_itself(
    app: &App,
    ctx: &RequestContext,
    client: &OauthClient,
    wanted: Option<&str>,
) -> Result<Issued, Stop> {
    grants(client, CLIENT_CREDENTIALS)?;
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
        let is_member = store::membership::get(conn, organization, account).await?.is_some();
        let is_standing = sign_in::is_standing(conn, &found, Some(organization)).await?;
        let is_account = found.kind == PrincipalKind::ServiceAccount;
        Ok::<_, charter_db::Error>((is_standing && is_member && is_account).then_some(found))
    })?;
    let Some(account) = found else {
        return Err(refused(Fault::UnauthorizedClient, "the service account of the client may not act"));
    };
    let mut session = session_for(app, ctx, client, &account, &scope, None).await?;
    "swk".clone_into(&mut session.amr);
    let (row, ctx_inside, id) = (session.clone(), acting_as(ctx, &account), client.id);
    app.write(Sees::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            store::session::insert(transaction.tx(), &row).await?;
            let why = "an application asked for itself";
            let mut event = session::event(&ctx_inside, platform, &row, "session.begin", why);
            let client = serde_json::json!({ "client_id": id.to_string(), "scope": row.scope });
            event.after = Some(client.to_string());
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    let (access_token, expires_in) = access_token(app, &session, &scope, now)?;
    Ok(Issued { access_token, expires_in, refresh_token: None, id_token: None, scope })
}

/// A request for tokens.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "each is the parameter of that name in RFC 6749 or RFC 7636")]
pub struct TokenDraft<'a> {
    pub grant_type: Option<&'a str>,
    pub code: Option<&'a str>,
    pub redirect_uri: Option<&'a str>,
    pub code_verifier: Option<&'a str>,
    pub refresh_token: Option<&'a str>,
    pub scope: Option<&'a str>,
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
            };
            for_code(app, ctx, &client, draft).await
        }
        Some(REFRESH_TOKEN) => {
            let text = draft.refresh_token.ok_or_else(|| missing("refresh_token"))?;
            for_refresh(app, ctx, &client, text, draft.scope).await
        }
        Some(CLIENT_CREDENTIALS) => for_itself(app, ctx, &client, draft.scope).await,
        Some(_) => Err(refused(
            Fault::UnsupportedGrantType,
            "authorization_code, refresh_token and client_credentials are the grants there are",
        )),
        None => Err(missing("grant_type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    #[test]
    fn a_verifier_fits_its_challenge() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(is_verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", challenge));
        for wrong in ["", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK", challenge, &"a".repeat(129)] {
            assert!(!is_verifier(wrong, challenge), "{wrong}");
        }
    }
}
