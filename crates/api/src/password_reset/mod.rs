//! A forgotten password: asking for a mail, choosing a new one with what the mail brought, and the pages for both.

use crate::edge::{Call, Guard, RawCall, Reply, Route};
use crate::html_page::{self, WHY_PAGE, WHY_SCRIPT};
use axum::response::Response;
use charter_app::App;
use charter_app::identity::password_reset;
use charter_kernel::{Problem, ProblemKind};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const FORGOT_PAGE: &str = include_str!("forgot.html");
const FORGOT_SCRIPT: &str = include_str!("forgot.js");
const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const WHY: &str = "whoever forgot their password has no credential; a mail is the proof";

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post("/api/v1/auth/forgot-password", Guard::Public(WHY), forgot)
            .named("auth.forgot-password", "Sign-in", "Sends a mail with which a forgotten password can be replaced.")
            .described(
                "The answer is the same whether or not there is such an account. An account that may not act gets no mail, \
                 and nobody gets more than three within an hour.",
            )
            .status(StatusCode::ACCEPTED)
            .problems(&[ProblemKind::Throttled])
            .example(r#"{"email":"ann@toys.example"}"#)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::post("/api/v1/auth/reset-password", Guard::Public(WHY), reset)
            .named("auth.reset-password", "Sign-in", "Sets a new password with the code of a mail.")
            .described(
                "The code works once, for half an hour unless its mail says otherwise, and only while the account has the password it had then. Every \
                 session ends and none begins: sign in with the new password.",
            )
            .problems(&[ProblemKind::InvalidCredentials, ProblemKind::Throttled])
            .example(r#"{"token":"7LrXq5d2mJx3hB0vW9cYtK4nP8sZ1aRfU6eGiMoQyEA","password":"staple the horse to it"}"#)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::raw(Method::GET, "/forgot-password", Guard::Public(WHY_PAGE), forgot_page)
            .named("auth.forgot-password.page", "Sign-in", "Shows the page on which somebody asks for that mail.")
            .gives_type("text/html"),
        Route::raw(Method::GET, "/forgot-password/page.js", Guard::Public(WHY_SCRIPT), forgot_script)
            .named("auth.forgot-password.script", "Sign-in", "Gives the script of that page.")
            .gives_type("text/javascript"),
        Route::raw(Method::GET, "/reset-password", Guard::Public(WHY_PAGE), page)
            .named("auth.reset-password.page", "Sign-in", "Shows the page that the link of a mail opens.")
            .gives_type("text/html"),
        Route::raw(Method::GET, "/reset-password/page.js", Guard::Public(WHY_SCRIPT), script)
            .named("auth.reset-password.script", "Sign-in", "Gives the script of that page.")
            .gives_type("text/javascript"),
    ]
}

/// Who forgot their password.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ForgottenPassword")]
#[serde(deny_unknown_fields)]
struct ForgotBody {
    /// E-mail of the account; `login` is understood as well.
    #[serde(alias = "login")]
    email: String,
}

/// What everybody is told.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PasswordResetAsked")]
struct AskedView {
    /// What became of it, the same whoever is asked about: it tells how mail leaves this service.
    detail: &'static str,
}

async fn forgot(call: Call<(), (), ForgotBody>) -> Result<Reply<AskedView>, Problem> {
    password_reset::ask(&call.app, &call.ctx, &call.body.email).await?;
    Ok(Reply::new(AskedView { detail: password_reset::asked(&call.app) }))
}

/// A new password, and the proof that it may be set.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PasswordReset")]
#[serde(deny_unknown_fields)]
struct ResetBody {
    /// The code of the mail.
    token: String,
    /// The new password.
    password: String,
}

async fn reset(call: Call<(), (), ResetBody>) -> Result<Reply<()>, Problem> {
    let ResetBody { token, password } = call.body;
    let token = Zeroizing::new(token);
    password_reset::reset(&call.app, &call.ctx, &token, Zeroizing::new(password)).await?;
    Ok(Reply::empty())
}

async fn forgot_page(_call: RawCall<App>) -> Result<Response, Problem> {
    Ok(html_page::page(FORGOT_PAGE))
}

async fn forgot_script(_call: RawCall<App>) -> Result<Response, Problem> {
    Ok(html_page::script(FORGOT_SCRIPT))
}

async fn page(_call: RawCall<App>) -> Result<Response, Problem> {
    Ok(html_page::page(PAGE))
}

async fn script(_call: RawCall<App>) -> Result<Response, Problem> {
    Ok(html_page::script(SCRIPT))
}
