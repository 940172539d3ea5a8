//! The headers every answer has, whatever it says: request id, and the rules a browser is to keep.

use charter_kernel::RequestId;
use charter_kernel::id::parse_uuid;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, Entry, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Name of the request id's header.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const NO_CONTENT: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// The id a client or proxy sent, when it has the form of one (a UUID, with or without hyphens).
pub fn sent_id(headers: &HeaderMap) -> Option<RequestId> {
    let bytes = headers.get(X_REQUEST_ID)?.as_bytes();
    let id = match bytes.len() {
        36 => parse_uuid(bytes)?,
        32 if bytes.iter().all(u8::is_ascii_hexdigit) => {
            u128::from_str_radix(std::str::from_utf8(bytes).ok()?, 16).ok()?
        }
        _ => return None,
    };
    (id != 0).then_some(RequestId(id))
}

/// What a client sent as request id, to be sent back byte for byte: up to 128 visible characters of its own choice.
pub fn sent_text(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(X_REQUEST_ID).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if (1..=128).contains(&value.len()) => {
            value.as_bytes().iter().all(u8::is_ascii_graphic).then(|| value.clone())
        }
        _ => None,
    }
}

/// Puts the headers on; one that a handler set stays.
pub fn seal(headers: &mut HeaderMap, request: RequestId, is_https: bool) {
    headers.reserve(10);
    if let Entry::Vacant(entry) = headers.entry(CONTENT_SECURITY_POLICY) {
        entry.insert(NO_CONTENT);
    }
    if let Entry::Vacant(entry) = headers.entry(CACHE_CONTROL) {
        entry.insert(HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    if is_https {
        headers.insert(
            STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
    }
    headers.insert(X_REQUEST_ID, id_value(request));
}

fn id_value(request: RequestId) -> HeaderValue {
    let mut text = [b'-'; 36];
    let mut shift = 128u32;
    for (at, place) in text.iter_mut().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            continue;
        }
        shift -= 4;
        let digit = (request.0 >> shift & 0xf) as u8;
        *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""))
}
