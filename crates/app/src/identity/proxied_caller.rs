//! The caller a trusted proxy names: somebody it signed in by its own means. They have their account's rights and no session of ours, so
//! what asks for a recent sign-in asks them for one here.

use super::authenticate::Stop;
use super::seal::is_same;
use super::token::TokenFault;
use super::{membership, session_limits};
use crate::App;
use crate::caller::{Caller, SignedIn};
use crate::text;
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{Problem, Timestamp};
use charter_store as store;
use charter_store::principal::Principal;
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// How a caller proved itself whom a proxy named.
pub const PROXY: &str = "proxy";

/// What a trusted proxy shows when it names a user.
#[derive(Clone)]
pub struct ProxySecret(pub Zeroizing<String>);

impl std::fmt::Debug for ProxySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxySecret(..)")
    }
}

/// The user of a login, when they may act and be here from an address.
async fn user(app: &App, login: &str, address: Option<IpAddr>) -> Result<Option<Principal>, Problem> {
    let (settings, wanted) = (app.identity().settings.clone(), text::fold_login(login));
    let found = reading_all!(app.database(), |conn| async move {
        let Some(found) = store::principal::by_login(conn, &wanted).await? else { return Ok(None) };
        if found.kind != PrincipalKind::User || !membership::is_standing(conn, &found, None).await? {
            return Ok(None);
        }
        let limits = session_limits::read(conn, &settings, found.id, None, false).await?;
        Ok::<_, charter_db::Error>(Some((found, limits)))
    })?;
    match found {
        Some((_, limits)) if !limits.allow_address(address) => Err(session_limits::wrong_address()),
        found => Ok(found.map(|(principal, _)| principal)),
    }
}

/// The caller a proxy names.
pub(super) async fn caller(
    app: &App,
    login: &str,
    secret: &str,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Caller, Stop> {
    let identity = app.identity();
    let shared = identity.settings.proxy_secret.as_ref().ok_or(TokenFault::Proxy)?;
    if !is_same(shared.0.as_bytes(), secret.as_bytes()) {
        return Err(TokenFault::Proxy.into());
    }
    identity.require_fresh(app, now)?;
    let principal = user(app, login, address).await?.ok_or(TokenFault::Principal)?;
    let caller = SignedIn { amr: vec![PROXY.to_owned()], ..SignedIn::without_session(principal) };
    Ok(Caller::Principal(Arc::new(caller)))
}
