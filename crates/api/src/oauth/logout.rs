//! `/oauth/logout`: a client sends a browser here to sign its user out. The page asks; only its form signs anybody out.

use super::authorize::redirect;
use super::form::Form;
use super::visit::Visit;
use super::{LOGOUT, TAG, page};
use crate::edge::{Crumb, Gate, Guard, RawCall, Route};
use axum::response::Response;
use charter_app::App;
use charter_app::identity::begin::csrf_token;
use charter_app::identity::oauth::logout::{self, LogoutDraft, Parting};
use charter_app::identity::own_session;
use charter_kernel::Problem;
use http::header::SET_COOKIE;
use http::{HeaderValue, Method};

const WHY: &str = "whoever is sent here is asked on the page, and known by the cookie of their browser";

/// The routes of this file.
pub(super) fn routes() -> Vec<Route<App>> {
    vec![
        Route::raw(Method::GET, LOGOUT, Guard::Public(WHY), asked)
            .named("oauth.logout", TAG, "Asks a browser's user whether they want to sign out, as a client wishes.")
            .described(
                "OpenID Connect RP-Initiated Logout. `post_logout_redirect_uri` has to be registered for the client that \
                 `client_id` or `id_token_hint` names; otherwise the way ends on a page here. The page asks before it leads \
                 anywhere, even where nobody is signed in: whose browser it is, no `id_token_hint` tells.",
            )
            .gives_type("text/html"),
        Route::raw(Method::POST, LOGOUT, Guard::Public(WHY), answered)
            .named("oauth.logout.answer", TAG, "Signs a browser's user out, when the form of that page says so.")
            .gives_type("text/html")
            .body_limit(16 * 1024),
    ]
}

async fn parting(visit: &Visit) -> Result<Parting, Problem> {
    let form = Form::of(visit.query())?;
    let draft = LogoutDraft {
        id_token_hint: form.text("id_token_hint"),
        client_id: form.text("client_id"),
        post_logout_redirect_uri: form.text("post_logout_redirect_uri"),
        state: form.text("state"),
    };
    logout::read(&visit.app, &draft).await
}

async fn asked(call: RawCall<App>) -> Result<Response, Problem> {
    let visit = Visit::of(call)?;
    let parting = parting(&visit).await?;
    let ctx = visit.by_cookie().await?;
    let action = format!("{LOGOUT}?{}", visit.query());
    let Some((caller, session)) = ctx.principal().and_then(|caller| Some((caller, caller.session?))) else {
        return match &parting.target {
            Some(target) => {
                let client = parting.client.as_deref().unwrap_or_default();
                Ok(page::leave(client, &target.place, &action).answer())
            }
            None => Ok(page::signed_out().answer()),
        };
    };
    let token = csrf_token(&visit.app, session);
    let place = parting.target.as_ref().map(|target| target.place.as_str());
    Ok(page::sign_out(parting.client.as_deref(), &caller.login, &action, &token, place).answer())
}

async fn answered(mut call: RawCall<App>) -> Result<Response, Problem> {
    let form = Form::read(&mut call).await?;
    let visit = Visit::of(call)?;
    visit.require_here()?;
    let parting = parting(&visit).await?;
    let ctx = visit.by_cookie().await?;
    let is_known = ctx.principal().is_some();
    if is_known && !form.get("token").is_some_and(|token| visit.app.is_csrf_token(&ctx, token)) {
        return Ok(page::wrong("the page was shown in another session: go back and try again").answer());
    }
    if is_known {
        own_session::sign_out(&visit.app, &ctx).await?;
    }
    let gone = visit
        .client
        .cookies
        .set(Crumb::Session, "", 0)
        .and_then(|header| HeaderValue::from_str(&header).ok());
    let headers: Vec<_> = gone.map(|header| (SET_COOKIE, header)).into_iter().collect();
    match parting.target {
        Some(target) => redirect(&target.uri, headers),
        None => Ok(page::signed_out().with(headers).answer()),
    }
}
