//! Signing out because a client asks (OpenID Connect RP-Initiated Logout). Nobody is signed out without being asked, and nobody is sent
//! anywhere that is not registered, or before they say so: an ID token only names the client, as its id does. Anybody can write either
//! into a link, and whoever has a client here has tokens of it.

use super::client_secret::active;
use super::{Stop, id_token, redirect};
use crate::App;
use charter_kernel::Problem;

/// A request to sign somebody out.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each is the parameter of that name in OpenID Connect RP-Initiated Logout")]
pub struct LogoutDraft {
    pub id_token_hint: Option<String>,
    pub client_id: Option<String>,
    pub post_logout_redirect_uri: Option<String>,
    pub state: Option<String>,
}

/// What is known of the client that asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parting {
    /// Its name, where it says truly who it is.
    pub client: Option<String>,
    /// Where to go afterwards, as registered, with its `state`.
    pub target: Option<Target>,
}

/// Where somebody goes afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The whole address.
    pub uri: String,
    /// Where that is, as people read it.
    pub place: String,
}

/// Reads a request. What cannot be believed is left out: signing out is never refused.
pub async fn read(app: &App, draft: &LogoutDraft) -> Result<Parting, Problem> {
    let shown = draft.id_token_hint.as_deref().and_then(|token| id_token::read_hint(app, token));
    let id = match (&draft.client_id, shown) {
        (Some(id), Some(shown)) if *id != shown.client.to_string() => return Ok(Parting::default()),
        (Some(id), _) => id.clone(),
        (None, Some(shown)) => shown.client.to_string(),
        (None, None) => return Ok(Parting::default()),
    };
    let client = match active(app, &id).await {
        Ok(Some(client)) => client,
        Ok(None) | Err(Stop::Refused(_)) => return Ok(Parting::default()),
        Err(Stop::Problem(problem)) => return Err(problem),
    };
    let known = draft
        .post_logout_redirect_uri
        .as_deref()
        .filter(|uri| redirect::is_registered(&client.post_logout_redirect_uris, client.kind, uri));
    let state: Vec<(&str, &str)> = draft.state.as_deref().map(|state| ("state", state)).into_iter().collect();
    let target = known.map(|uri| Target {
        uri: if state.is_empty() { uri.to_owned() } else { redirect::with(uri, &state) },
        place: redirect::place(uri),
    });
    Ok(Parting { client: Some(client.name), target })
}
