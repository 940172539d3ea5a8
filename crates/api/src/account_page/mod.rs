//! The pages of sign-in and of one's own account: organizations, password, second factors, sessions. They ask the same routes as every
//! other client; their scripts come from this service alone.

use crate::edge::{Guard, RawCall, Route};
use crate::html_page::{self, WHY_SCRIPT};
use axum::body::Bytes;
use axum::response::Response;
use charter_app::App;
use charter_app::identity::passkey;
use charter_kernel::Problem;
use http::Method;

const TAG: &str = "Pages";

/// A page of one's own account.
struct OwnPage {
    path: &'static str,
    /// What the list of these pages calls it.
    word: &'static str,
    title: &'static str,
    /// Its script.
    script: &'static str,
    /// What asks and tells the same, where there are no scripts.
    route: &'static str,
    body: &'static str,
    name: &'static str,
    summary: &'static str,
}

const OWN: [OwnPage; 4] = [
    OwnPage {
        path: "/account",
        word: "Account",
        title: "Your account",
        script: "/account/overview.js",
        route: "GET /api/v1/me",
        body: include_str!("overview.html"),
        name: "pages.account",
        summary: "Shows the page of one's own account and organizations.",
    },
    OwnPage {
        path: "/account/password",
        word: "Password and address",
        title: "Password and address",
        script: "/account/password.js",
        route: "POST /api/v1/me/password",
        body: include_str!("password.html"),
        name: "pages.password",
        summary: "Shows the page that changes one's own password and address.",
    },
    OwnPage {
        path: "/account/factors",
        word: "Second factors",
        title: "Second factors",
        script: "/account/factors.js",
        route: "GET /api/v1/me/factors",
        body: include_str!("factors.html"),
        name: "pages.factors",
        summary: "Shows the page of one's own second factors.",
    },
    OwnPage {
        path: "/account/sessions",
        word: "Sessions and applications",
        title: "Sessions and applications",
        script: "/account/sessions.js",
        route: "GET /api/v1/me/sessions",
        body: include_str!("sessions.html"),
        name: "pages.sessions",
        summary: "Shows the page of one's own sessions and of the applications one let in.",
    },
];

/// Path, name, summary and text of each script.
const SCRIPTS: [(&str, &str, &str, &str); 9] = [
    (
        "/sign-in/page.js",
        "pages.sign-in.script",
        "Gives the script of the page of sign-in.",
        include_str!("sign_in.js"),
    ),
    ("/account/page.js", "pages.script", "Gives the script that all pages share.", include_str!("page.js")),
    (
        "/account/account.js",
        "pages.own.script",
        "Gives the script that the pages of one's own account share.",
        include_str!("account.js"),
    ),
    (
        "/account/proof.js",
        "pages.proof.script",
        "Gives the script that has one prove again who one is.",
        include_str!("proof.js"),
    ),
    (
        "/account/overview.js",
        "pages.account.script",
        "Gives the script of the page of one's own account.",
        include_str!("overview.js"),
    ),
    (
        "/account/password.js",
        "pages.password.script",
        "Gives the script of the page of password and address.",
        include_str!("password.js"),
    ),
    (
        "/account/factors.js",
        "pages.factors.script",
        "Gives the script of the page of second factors.",
        include_str!("factors.js"),
    ),
    (
        "/account/sessions.js",
        "pages.sessions.script",
        "Gives the script of the page of sessions.",
        include_str!("sessions.js"),
    ),
    (
        "/account/applications.js",
        "pages.applications.script",
        "Gives the script that lists applications on that page.",
        include_str!("applications.js"),
    ),
];

/// The routes of this folder.
pub fn routes() -> Vec<Route<App>> {
    let sign_in = Bytes::from_static(include_str!("sign_in.html").as_bytes());
    let mut routes =
        vec![page("/sign-in", sign_in).named("pages.sign-in", TAG, "Shows the page of sign-in.")];
    routes.extend(OWN.iter().map(|it| page(it.path, framed(it)).named(it.name, TAG, it.summary)));
    routes.extend(
        SCRIPTS.into_iter().map(|(path, name, summary, text)| script(path, text).named(name, TAG, summary)),
    );
    routes
}

/// Proving again who one is, in the page that asks for it.
const PROOF: &str = include_str!("proof.html");

/// A page of one's own account in the frame of all of them.
fn framed(page: &OwnPage) -> Bytes {
    let OwnPage { title, script, route, body, .. } = page;
    let links: String =
        OWN.iter().map(|it| format!("<li><a href=\"{}\">{}</a></li>\n", it.path, it.word)).collect();
    Bytes::from(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/docs/style.css\">\n<script src=\"{script}\" type=\"module\"></script>\n</head>\n<body>\n\
         <nav aria-label=\"Your account\">\n<ul>\n{links}</ul>\n</nav>\n<main>\n<h1>{title}</h1>\n\
         <noscript><p>This page needs scripts. Without them, see <code>{route}</code>.</p></noscript>\n\
         <p>You are signed in as <strong id=\"who\">…</strong>. <button type=\"button\" id=\"sign-out\">Sign out</button></p>\n\
         <p id=\"support\" role=\"alert\" hidden></p>\n{body}{PROOF}<p id=\"told\" role=\"status\"></p>\n</main>\n</body>\n</html>\n"
    ))
}

fn page(path: &'static str, text: Bytes) -> Route<App> {
    let guard = Guard::Public("the page says nothing; what it asks for has guards of its own");
    let without = without_passkeys(&text);
    Route::raw(Method::GET, path, guard, move |call: RawCall<App>| {
        let text = if passkey::is_possible(&call.app) { text.clone() } else { without.clone() };
        async move { Ok::<Response, Problem>(html_page::page(text)) }
    })
    .gives_type("text/html")
}

/// The same page where browsers allow no passkeys: what is for them is not shown.
fn without_passkeys(text: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(text);
    Bytes::from(text.replacen("<body>", "<body data-passkeys=\"none\">", 1))
}

fn script(path: &'static str, text: &'static str) -> Route<App> {
    Route::raw(Method::GET, path, Guard::Public(WHY_SCRIPT), move |_: RawCall<App>| async move {
        Ok::<Response, Problem>(html_page::script(text))
    })
    .gives_type("text/javascript")
}
