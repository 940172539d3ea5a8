//! The pages of sign-in and of one's own account: a password, second factors, passkeys. They ask the same routes as every other client;
//! their scripts come from this service alone.

use crate::edge::{Answer, Guard, RawCall, Route};
use axum::response::Response;
use charter_app::App;
use charter_kernel::Problem;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, Method, StatusCode};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        page("/sign-in", include_str!("sign_in.html")).named(
            "pages.sign-in",
            "Pages",
            "Shows the page of sign-in.",
        ),
        page("/account", include_str!("account.html")).named(
            "pages.account",
            "Pages",
            "Shows the page of one's own second factors.",
        ),
        script("/sign-in/page.js", include_str!("sign_in.js")).named(
            "pages.sign-in.script",
            "Pages",
            "Gives the script of the page of sign-in.",
        ),
        script("/account/page.js", include_str!("page.js")).named(
            "pages.script",
            "Pages",
            "Gives the script both pages share.",
        ),
        script("/account/factors.js", include_str!("account.js")).named(
            "pages.account.script",
            "Pages",
            "Gives the script of the page of second factors.",
        ),
    ]
}

fn page(path: &'static str, text: &'static str) -> Route<App> {
    let guard = Guard::Public("the page says nothing; what it asks for has guards of its own");
    Route::raw(Method::GET, path, guard, move |_: RawCall<App>| async move {
        let mut answer = Answer::new(StatusCode::OK, HTML, text);
        answer.headers.push((CONTENT_SECURITY_POLICY, POLICY));
        Ok::<Response, Problem>(answer.into())
    })
    .gives_type("text/html")
}

fn script(path: &'static str, text: &'static str) -> Route<App> {
    Route::raw(
        Method::GET,
        path,
        Guard::Public("a script of a page is no secret"),
        move |_: RawCall<App>| async move {
            Ok::<Response, Problem>(Answer::new(StatusCode::OK, JAVASCRIPT, text).into())
        },
    )
    .gives_type("text/javascript")
}
