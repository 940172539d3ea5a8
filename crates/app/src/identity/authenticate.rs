//! From a bearer token to a `Caller`, from memory: the database is asked only when a session or service token is seen for the first time
//! here, or what is remembered is old. Outside there is one answer to every bad credential; what was wrong is counted (`refusal.rs`).

use super::credential_text::{SERVICE_PREFIX, USER_PREFIX};
use super::seal::is_same;
use super::token::{self, Claims, TokenFault};
use super::{
    OPERATOR_PREFIX, credential_caller, legacy_caller, legacy_key, legacy_token, lineage, proxied_caller,
    session, support,
};
use crate::App;
use crate::caller::Caller;
use crate::vault::rehash;
use charter_kernel::{Problem, ProblemKind, Timestamp};
use std::net::IpAddr;
use std::sync::Arc;

/// Why nobody is let in: refused, or not to be judged now.
pub(super) enum Stop {
    /// The credential is bad.
    Refused(TokenFault),
    /// It cannot be judged, or not now.
    Problem(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<TokenFault> for Stop {
    fn from(fault: TokenFault) -> Self {
        Self::Refused(fault)
    }
}

impl App {
    /// The caller a bearer token proves; without one the anonymous caller.
    pub async fn authenticate(
        &self,
        bearer: Option<&str>,
        address: Option<IpAddr>,
    ) -> Result<Caller, Problem> {
        let Some(bearer) = bearer else { return Ok(Caller::Anonymous) };
        let now = self.now();
        let judged = if bearer.starts_with(USER_PREFIX) || bearer.starts_with(SERVICE_PREFIX) {
            credential_caller::caller(self, bearer, address, now).await
        } else if bearer.starts_with(OPERATOR_PREFIX) {
            operator(self, bearer)
        } else if let Some(claims) = self.identity().verified.get(&self.identity().terms, bearer, now) {
            // One of ours, verified before: nobody else need be asked whose it is.
            by_claims(self, &claims, now).await
        } else if legacy_token::is_for_legacy(bearer) {
            legacy_caller::caller(self, bearer, address, now).await
        } else if legacy_key::is_possible(self, bearer) {
            legacy_key::caller(self, bearer, address, now).await
        } else {
            match judged(self, bearer, now).await {
                Ok((claims, known)) => Ok(signed_in(self, &claims, &known)),
                Err(stop) => Err(stop),
            }
        };
        judged.map_err(|stop| self.told(stop, address, now))
    }

    /// The caller the cookie of a browser's session proves.
    pub async fn authenticate_cookie(
        &self,
        cookie: &str,
        address: Option<IpAddr>,
    ) -> Result<Caller, Problem> {
        let now = self.now();
        by_cookie(self, cookie, now).await.map_err(|stop| self.told(stop, address, now))
    }

    /// The caller a trusted proxy names; the proxy shows the secret it shares with us.
    pub async fn authenticate_named(
        &self,
        login: &str,
        secret: &str,
        address: Option<IpAddr>,
    ) -> Result<Caller, Problem> {
        let now = self.now();
        let judged = proxied_caller::caller(self, login, secret, address, now).await;
        judged.map_err(|stop| self.told(stop, address, now))
    }

    fn told(&self, stop: Stop, address: Option<IpAddr>, now: Timestamp) -> Problem {
        match stop {
            Stop::Problem(problem) => problem,
            Stop::Refused(fault) => {
                self.identity().refusals.record(fault, address, now);
                tracing::debug!(fault = fault.as_str(), "a credential was refused");
                Problem::new(
                    ProblemKind::Unauthenticated,
                    "the credential is not valid, or no longer: sign in again, or ask for a new token",
                )
            }
        }
    }
}

async fn by_cookie(app: &App, cookie: &str, now: Timestamp) -> Result<Caller, Stop> {
    let id = session::id_of_cookie(app, cookie).await?.ok_or(TokenFault::Cookie)?;
    app.identity().require_fresh(app, now)?;
    let known = session::known(app, id, now).await?.ok_or(TokenFault::Session)?;
    if !known.is_cookie {
        return Err(TokenFault::Session.into());
    }
    if !known.is_active {
        return Err(TokenFault::Principal.into());
    }
    support::require_supporter(app, &known, now).await?;
    session::note_use(app, id, &known, now);
    rehash::note_cookie(app, id, known.cookie_pepper, cookie);
    Ok(Caller::Principal(known.signed_in_by_cookie(id)))
}

fn operator(app: &App, bearer: &str) -> Result<Caller, Stop> {
    match &app.identity().settings.operator {
        Some(operator) if is_same(operator.token.as_bytes(), bearer.as_bytes()) => {
            Ok(Caller::Operator { account: operator.account.clone() })
        }
        _ => Err(TokenFault::ServiceToken.into()),
    }
}

async fn by_claims(app: &App, claims: &Arc<Claims>, now: Timestamp) -> Result<Caller, Stop> {
    let known = session_of(app, claims, now).await?;
    Ok(signed_in(app, claims, &known))
}

fn signed_in(app: &App, claims: &Arc<Claims>, known: &session::Known) -> Caller {
    Caller::Principal(known.signed_in(claims, &app.snapshots().index()))
}

/// What an access token says and the session it is of, when both may be used.
pub(super) async fn judged(
    app: &App,
    bearer: &str,
    now: Timestamp,
) -> Result<(Arc<Claims>, Arc<session::Known>), Stop> {
    let identity = app.identity();
    let claims = match identity.verified.get(&identity.terms, bearer, now) {
        Some(claims) => claims,
        None => {
            let claims = match token::verify(&identity.keys(), &identity.terms, bearer, now) {
                // Another node may have begun to sign with a key this one has not read yet.
                Err(TokenFault::UnknownKey) if lineage::reload_for_unknown(app, now).await? => {
                    token::verify(&identity.keys(), &identity.terms, bearer, now)
                }
                judged => judged,
            }?;
            let claims = Arc::new(claims);
            identity.verified.put(&identity.terms, bearer, Arc::clone(&claims), now);
            claims
        }
    };
    let known = session_of(app, &claims, now).await?;
    Ok((claims, known))
}

/// The same for a token whose owner is to learn what it is worth, whomever it is for. It is not remembered among those that let somebody in.
pub(super) async fn judged_for_any(
    app: &App,
    bearer: &str,
    now: Timestamp,
) -> Result<(Arc<Claims>, Arc<session::Known>), Stop> {
    match judged(app, bearer, now).await {
        Err(Stop::Refused(TokenFault::Audience)) => {}
        found => return found,
    }
    let identity = app.identity();
    let claims = Arc::new(token::verify_for_any(&identity.keys(), &identity.terms, bearer, now)?);
    let known = session_of(app, &claims, now).await?;
    Ok((claims, known))
}

/// The session a verified token is of, when it may be used.
async fn session_of(app: &App, claims: &Claims, now: Timestamp) -> Result<Arc<session::Known>, Stop> {
    let identity = app.identity();
    identity.require_fresh(app, now)?;
    if identity.floors.load().refuse(claims) {
        return Err(TokenFault::Floor.into());
    }
    let known = session::known(app, claims.sid, now).await?.ok_or(TokenFault::Session)?;
    if known.principal != claims.sub || known.is_cookie || !known.is_of_client(claims) {
        return Err(TokenFault::Session.into());
    }
    if !known.is_active {
        return Err(TokenFault::Principal.into());
    }
    support::require_supporter(app, &known, now).await?;
    Ok(known)
}
