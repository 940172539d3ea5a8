//! What a client gets for a code: once, for the client, the address and the challenge it was asked with. A code that comes again ends what
//! it gave.

use super::exchange::{
    Issued, Proof, access_token, grants, no_key, refresh_token_of, require_version, session_for,
    session_record,
};
use super::id_token::{self, Saying};
use super::scope::{OFFLINE, OPENID, Scope};
use super::{AUTHORIZATION_CODE, ClientKind, Fault, OauthClient, Refused, Stop, audience, redirect, refused};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::identity::begin::acting_as;
use crate::identity::refresh::end_family;
use crate::identity::seal::is_same;
use crate::identity::{membership, session, session_limits};
use crate::transaction::{Committed, Transaction};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_db::{BoxFuture, Scope as Sees};
use charter_kernel::audit::Outcome;
use charter_kernel::{Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::oauth_code::OauthCode;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What the trail says of a code that came again.
const AGAIN: &str = "an authorization code came again after it was exchanged: it may be in two hands";
const UNKNOWN: &str = "the code is not one that was given to this client";
const ENDED: &str = "the user signed out, or may not act any more";

/// A code as a client brings it.
#[derive(Clone, Copy)]
pub struct CodeDraft<'a> {
    /// The code.
    pub code: &'a str,
    /// Where it was sent.
    pub redirect_uri: &'a str,
    /// What its challenge was made from.
    pub verifier: &'a str,
    /// What the access token is to be for.
    pub resources: &'a [&'a str],
}

fn is_verifier(verifier: &str, challenge: &str) -> bool {
    let is_form = (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'));
    let sum = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    is_same(sum.as_bytes(), challenge.as_bytes()) && is_form
}

/// What is wrong with a code that was not used yet, for this client as it is now.
fn fault_of(
    app: &App,
    client: &OauthClient,
    code: &OauthCode,
    draft: CodeDraft<'_>,
    now: Timestamp,
) -> Option<&'static str> {
    if now >= code.expires_at {
        return Some("the code is over");
    }
    if code.redirect_uri != draft.redirect_uri {
        return Some("redirect_uri is not the one the code was asked with");
    }
    let allowed = Scope::of(client.scopes.clone()).unwrap_or_default();
    let asked = Scope::read(&code.scope).unwrap_or_default();
    let is_registered = redirect::is_registered(&client.redirect_uris, client.kind, &code.redirect_uri);
    if !is_registered || asked.beyond(&allowed, &app.snapshots().index()).is_some() {
        return Some("the client was changed after the code was given: begin again");
    }
    (!is_verifier(draft.verifier, &code.code_challenge))
        .then_some("code_verifier does not fit the challenge the code was asked with")
}

/// What came of taking a code.
enum Taken {
    /// The session began.
    Begun,
    /// It was refused, and is used up.
    Refused(Refused),
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
    grants(client, AUTHORIZATION_CODE)?;
    let (now, platform, organization) = (ctx.now, app.platform(), client.organization);
    let hashes = app.identity().pepper.every_oauth_code(draft.code);
    let found = reading_all!(app.database(), |conn| async move {
        let mut kept = None;
        for hash in hashes {
            if let Some(code) = store::oauth_code::get(conn, organization, &hash).await? {
                kept = Some((code, hash));
            }
        }
        let Some((code, hash)) = kept else { return Ok(None) };
        let principal = store::principal::by_id(conn, code.principal).await?;
        let is_standing = match &principal {
            Some(principal) => membership::is_standing_member(conn, organization, principal.id, now).await?,
            None => false,
        };
        let browser = store::session::get(conn, code.session).await?;
        Ok::<_, charter_db::Error>(Some((code, hash, principal.filter(|_| is_standing), browser)))
    })?;
    let Some((code, hash, principal, browser)) = found.filter(|(code, ..)| code.client == client.id) else {
        return Err(refused(Fault::InvalidGrant, UNKNOWN));
    };
    let scope = Scope::read(&code.scope).unwrap_or_default();
    if scope.has(OPENID) {
        id_token::ready(app, client).await?;
    }
    let fault = fault_of(app, client, &code, draft, now).or_else(|| {
        let is_live = browser.as_ref().is_some_and(|browser| browser.is_live(now));
        (principal.is_none() || !is_live).then_some(ENDED)
    });
    let fault = fault.map(|why| Refused { fault: Fault::InvalidGrant, detail: why.to_owned() });
    let (fault, target) = match (fault, audience::of_token(client, &code.audiences, draft.resources)) {
        (None, Ok(target)) => (None, target),
        (None, Err(refused)) => (Some(refused), None),
        (fault, _) => (fault, None),
    };
    let begun = match (&principal, &fault) {
        (Some(principal), None) => {
            let limits = session_limits::of(app, principal.id, Some(organization), false).await?;
            if client.kind != ClientKind::Confidential && !limits.allow_address(ctx.address) {
                return Err(session_limits::wrong_address().into());
            }
            let proof = Proof {
                amr: &code.amr,
                at: code.authenticated_at,
                parent: Some(code.session),
                audiences: code.audiences.clone(),
            };
            Some(session_for(app, ctx, client, principal, &scope, proof).await?)
        }
        _ => None,
    };
    let ctx_inside = match &principal {
        Some(principal) => acting_as(ctx, principal),
        None => ctx.clone(),
    };
    let (row, id, version) = (begun.clone(), client.id, client.row_version);
    let (who, browser) = (code.principal, code.session);
    let (taken, _) = app
        .write(Sees::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                // Whoever changes the client meanwhile comes before this, or after it and ends what it began.
                require_version(tx, organization, id, version).await?;
                let begins = row.as_ref().map(|session| session.id);
                let told = |action: &'static str, why: &str, outcome: Outcome| {
                    let mut event =
                        audit::event(&ctx_inside, organization, action, "oauth_client", id.to_string());
                    (event.reason, event.outcome) = (why.to_owned(), outcome);
                    event
                };
                let is_member = membership::hold_standing_member(tx, organization, who, now).await?;
                if !store::oauth_code::take(tx, organization, &hash, now, begins).await? {
                    let before = store::oauth_code::get(tx, organization, &hash).await?;
                    let event = told("oauth_code.reuse", AGAIN, Outcome::Denied);
                    let family = before.and_then(|before| before.begun_session);
                    return transaction.commit(event, Vec::new(), Taken::Again(family)).await;
                }
                let may = is_member
                    && store::session::get(tx, browser).await?.is_some_and(|browser| browser.is_live(now));
                let ended = || Refused { fault: Fault::InvalidGrant, detail: ENDED.to_owned() };
                match (row, fault.or_else(|| (!may).then(ended))) {
                    (Some(session), None) => {
                        store::session::insert(tx, &session).await?;
                        let why = "an application exchanged a code";
                        let mut event = session::event(&ctx_inside, platform, &session, "session.begin", why);
                        event.after = Some(session_record(id, &session).to_string());
                        transaction.commit(event, Vec::new(), Taken::Begun).await
                    }
                    (_, fault) => {
                        let why = fault.unwrap_or_else(ended);
                        let event = told("oauth_code.refuse", &why.detail, Outcome::Denied);
                        transaction.commit(event, Vec::new(), Taken::Refused(why)).await
                    }
                }
            }) as BoxFuture<'_, Result<Committed<Taken>, Problem>>
        })
        .await?;
    match taken {
        Taken::Refused(why) => return Err(why.into()),
        Taken::Again(family) => {
            app.identity().token_throttle.take_from_address(ctx.address, now)?;
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
    let (access_token, expires_in) = access_token(app, &session, &scope, target, now)?;
    let id_token = if scope.has(OPENID) {
        let saying = Saying {
            client,
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
