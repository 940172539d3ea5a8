//! What a browser is told at a path that there is not: the way to one's own account. Programs get a problem document as everywhere.

use super::answer::Answer;
use axum::body::Bytes;
use axum::response::Response;
use http::header::{ACCEPT, CONTENT_SECURITY_POLICY, LOCATION, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// Where people find what is theirs.
const ACCOUNT: &str = "/account";
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
     <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>There is no such page</title>\n\
     <link rel=\"stylesheet\" href=\"/docs/style.css\">\n</head>\n<body>\n<main>\n<h1>There is no such page</h1>\n\
     <p>You find what is yours at <a href=\"/account\">your account</a>. Programs find what they ask for in \
     <a href=\"/docs\">the API</a>.</p>\n</main>\n</body>\n</html>\n";

/// Whether a page is asked for by name: browsers do so where somebody goes to an address, programs seldom.
fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .any(|one| one.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html")))
}

/// The answer to a browser that goes to a path that there is not; none for everybody else.
pub(super) fn answer(parts: &Parts) -> Option<Response> {
    if !matches!(parts.method, Method::GET | Method::HEAD) || !wants_page(&parts.headers) {
        return None;
    }
    let mut answer = if parts.uri.path() == "/" {
        let headers = vec![(LOCATION, HeaderValue::from_static(ACCOUNT))];
        Answer { status: StatusCode::SEE_OTHER, content_type: None, headers, etag: None, body: Bytes::new() }
    } else {
        let mut page = Answer::new(StatusCode::NOT_FOUND, HTML, PAGE);
        page.headers.push((CONTENT_SECURITY_POLICY, POLICY));
        page
    };
    answer.headers.push((VARY, HeaderValue::from_static("accept")));
    Some(answer.into())
}
