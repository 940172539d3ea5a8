//! Another address for one's account: asking for it, proving it, taking the change back, and the page the links of the mails open.

use crate::auth::SELF_SERVICE;
use crate::edge::{Call, Guard, RawCall, Reply, Route};
use crate::html_page::{self, WHY_PAGE, WHY_SCRIPT};
use axum::response::Response;
use charter_app::App;
use charter_app::identity::email_change;
use charter_kernel::{Problem, ProblemKind};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const WHY: &str = "the code of a mail is the proof, and its reader may be signed in nowhere";
const CODE: &str = r#"{"token":"7LrXq5d2mJx3hB0vW9cYtK4nP8sZ1aRfU6eGiMoQyEA"}"#;

/// The routes of this folder.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post("/api/v1/me/email", SELF_SERVICE, ask)
            .for_people()
            .named("me.change-email", "Own account", "Asks for another address for one's account.")
            .described(
                "A mail to the new address proves it within a day; until then nothing changes. The answer is the same \
                 whether or not the address has an account.",
            )
            .status(StatusCode::ACCEPTED)
            .problems(&[ProblemKind::Throttled])
            .example(r#"{"email":"ann@plush.example"}"#)
            .body_limit(16 * 1024)
            .demands_recent_sign_in()
            .keeps_no_answers(),
        Route::post("/api/v1/email/prove", Guard::Public(WHY), prove)
            .named("email.prove", "Own account", "Proves a new address with the code of its mail; it is the login from now on.")
            .described("Every session ends. The old address gets a mail with which the change is taken back within a week.")
            .problems(&[ProblemKind::Gone, ProblemKind::Taken, ProblemKind::Throttled])
            .example(CODE)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::post("/api/v1/email/undo", Guard::Public(WHY), undo)
            .named("email.undo", "Own account", "Takes a change of address back with the code of the mail to the old one.")
            .described(
                "Every session ends, and so does a password that was set since the change was asked for. A mail to the old \
                 address lets its reader choose a new one.",
            )
            .problems(&[ProblemKind::Gone, ProblemKind::Taken, ProblemKind::Throttled])
            .example(CODE)
            .body_limit(16 * 1024)
            .keeps_no_answers(),
        Route::raw(Method::GET, "/email", Guard::Public(WHY_PAGE), page)
            .named("email.page", "Own account", "Shows the page that the links of these mails open.")
            .gives_type("text/html"),
        Route::raw(Method::GET, "/email/page.js", Guard::Public(WHY_SCRIPT), script)
            .named("email.script", "Own account", "Gives the script of that page.")
            .gives_type("text/javascript"),
    ]
}

/// Another address.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "EmailChange")]
#[serde(deny_unknown_fields)]
struct AskBody {
    /// The new address.
    email: String,
}

/// What everybody is told.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EmailChangeAsked")]
struct AskedView {
    /// One sentence, always the same.
    detail: &'static str,
}

async fn ask(call: Call<(), (), AskBody>) -> Result<Reply<AskedView>, Problem> {
    email_change::ask(&call.app, &call.ctx, &call.body.email).await?;
    Ok(Reply::new(AskedView { detail: "a mail is on its way to the new address: it tells what to do next" }))
}

/// The code of a mail.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "EmailChangeCode")]
#[serde(deny_unknown_fields)]
struct CodeBody {
    /// The code.
    token: String,
}

async fn prove(call: Call<(), (), CodeBody>) -> Result<Reply<()>, Problem> {
    let token = Zeroizing::new(call.body.token);
    email_change::prove(&call.app, &call.ctx, &token).await?;
    Ok(Reply::empty())
}

async fn undo(call: Call<(), (), CodeBody>) -> Result<Reply<()>, Problem> {
    let token = Zeroizing::new(call.body.token);
    email_change::undo(&call.app, &call.ctx, &token).await?;
    Ok(Reply::empty())
}

async fn page(_call: RawCall<App>) -> Result<Response, Problem> {
    Ok(html_page::page(PAGE))
}

async fn script(_call: RawCall<App>) -> Result<Response, Problem> {
    Ok(html_page::script(SCRIPT))
}
