//! Pages of this service. They say nothing before their scripts ask it. What the link of a mail proves stands behind the # of its address,
//! which browsers send to nobody: opening the page, as scanners of mail do, uses nothing up; its script sends it when its reader says so.

use crate::edge::Answer;
use axum::body::Bytes;
use axum::response::Response;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, StatusCode};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

/// Why nobody is asked who they are before they see such a page.
pub(crate) const WHY_PAGE: &str = "a page without anything in it: what its link proves is sent by its script";
/// The same of its script.
pub(crate) const WHY_SCRIPT: &str = "a script of a page is no secret";

/// A page.
pub(crate) fn page(text: impl Into<Bytes>) -> Response {
    let mut answer = Answer::new(StatusCode::OK, HTML, text);
    answer.headers.push((CONTENT_SECURITY_POLICY, POLICY));
    answer.into()
}

/// Its script.
pub(crate) fn script(text: &'static str) -> Response {
    Answer::new(StatusCode::OK, JAVASCRIPT, text).into()
}
