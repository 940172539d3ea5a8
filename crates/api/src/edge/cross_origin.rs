//! What pages of other origins may read: routes that say so, and nothing else. Browsers ask before they send a page's header along, and are
//! answered for those routes alone. Any origin may, because none of these routes looks at a cookie: a page learns what it has a code or a
//! token for.

use super::gate::Gate;
use super::place::Place;
use super::route::Route;
use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

const ANY: HeaderValue = HeaderValue::from_static("*");
/// What a page may send along beside what it may always.
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type");
/// For how long a browser need not ask again, in seconds: the longest that browsers heed.
const AGE: HeaderValue = HeaderValue::from_static("7200");

/// The answer to a browser that asks whether a page may use a route of this place.
pub(super) fn preflight<G: Gate>(place: &Place<G>, parts: &Parts) -> Option<Response> {
    if parts.method != Method::OPTIONS || !parts.headers.contains_key(ORIGIN) {
        return None;
    }
    let wanted = parts.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let method = Method::from_bytes(wanted.as_bytes()).ok()?;
    place.route(&method).filter(|route| route.is_open_to_pages)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, place.allow.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, AGE);
    Some(response)
}

/// Lets pages read an answer of a route that is open to them, good or bad.
pub(super) fn open<G: Gate>(route: Option<&Route<G>>, headers: &mut HeaderMap) {
    if route.is_some_and(|route| route.is_open_to_pages) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    }
}
