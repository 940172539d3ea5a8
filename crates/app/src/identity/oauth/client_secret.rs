//! Secrets of clients, and whether who asks is the client it says it is. A secret is 256 bits at random, shown once, and kept as a keyed
//! hash; the one before it may be taken as well for a while.

use super::{ClientKind, ClientStatus, Fault, OauthClient, Stop, refused};
use crate::App;
use crate::caller::RequestContext;
use crate::identity::begin::random_word;
use crate::vault::rehash;
use charter_kernel::OauthClientId;
use charter_store as store;
use zeroize::Zeroizing;

/// What every secret begins with.
pub const PREFIX: &str = "chclient_";
/// Digits of a secret: 43 of 62 are 256 bits.
const DIGITS: usize = 43;
/// Longest secret that is looked at.
const LENGTH_MAX: usize = 200;

/// A new secret, and its hash with the version of the pepper.
pub(super) fn generate(app: &App) -> (Zeroizing<String>, u32, Vec<u8>) {
    let secret = Zeroizing::new(format!("{PREFIX}{}", *random_word(app, DIGITS)));
    let (version, hash) = app.identity().pepper.stamped_client_secret(&secret);
    (secret, version, hash.to_vec())
}

/// How a client says who it is.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its secret, where it keeps one.
    pub secret: Option<&'a str>,
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presented").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The active client of an id.
pub(super) async fn active(app: &App, id: &str) -> Result<Option<OauthClient>, Stop> {
    let Ok(id) = id.parse::<OauthClientId>() else { return Ok(None) };
    let found = reading_all!(app.database(), |conn| store::oauth_client::anywhere(conn, id))?;
    Ok(found.filter(|client| client.status == ClientStatus::Active))
}

fn is_secret(app: &App, ctx: &RequestContext, client: Option<&OauthClient>, secret: &str) -> bool {
    let (pepper, nothing) = (&app.identity().pepper, [0; 32]);
    let hash = client.and_then(|client| client.secret_hash.as_deref()).unwrap_or(&nothing);
    // The same work, whether or not there is such a client.
    let is_newest = pepper.is_client_secret(secret, hash);
    let previous = client
        .filter(|client| client.previous_until.is_some_and(|until| ctx.now < until))
        .and_then(|client| client.previous_secret_hash.as_deref())
        .unwrap_or(&nothing);
    let is_previous = pepper.is_client_secret(secret, previous);
    match client {
        Some(client) if is_newest => rehash::note_client(app, client, secret),
        Some(client) if is_previous => rehash::note_previous(app, client, secret),
        _ => {}
    }
    is_newest | is_previous
}

/// The client that asks, when it is the one it says it is. Who cannot keep a secret shows none.
pub async fn authenticate(
    app: &App,
    ctx: &RequestContext,
    presented: Presented<'_>,
) -> Result<OauthClient, Stop> {
    let client = active(app, presented.id).await?;
    let secret = presented.secret.filter(|secret| secret.len() <= LENGTH_MAX);
    let is_right = match (presented.secret, client.as_ref().map(|client| client.kind)) {
        (None, Some(ClientKind::Public | ClientKind::Native)) => true,
        (Some(_), Some(ClientKind::Public | ClientKind::Native)) => false,
        _ => is_secret(app, ctx, client.as_ref(), secret.unwrap_or_default()),
    };
    match client {
        Some(client) if is_right => Ok(client),
        _ => {
            app.identity().token_throttle.take_from_address(ctx.address, ctx.now)?;
            let detail = "no such client, or its secret is wrong";
            Err(refused(Fault::InvalidClient, detail))
        }
    }
}
