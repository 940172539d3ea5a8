//! The credential of a request: one `Authorization` header, a bearer token or a service token in Basic clothes; a browser's cookie; or
//! the name a trusted proxy gives.

use super::text::decode;
use base64::Engine;
use charter_kernel::{Problem, ProblemKind};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use std::borrow::Cow;

/// What proves who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// Nothing.
    None,
    /// The token of the `Authorization` header.
    Bearer(&'a str),
    /// The cookie of a browser's session.
    Cookie(&'a str),
    /// What a trusted proxy says.
    Named {
        /// The login of whoever it signed in.
        login: &'a str,
        /// The secret it shares with this service.
        secret: &'a str,
    },
}

/// Name of the header in which clients of older systems send their keys.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

const EXPECTED: &str = "expected `Authorization: Bearer <token>`, or an API key as the password of Basic with its `key_id` as user name";

/// The token of the `Authorization` header, or the key in that of older systems' clients.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, Problem> {
    let mut keys = headers.get_all(API_KEY).iter();
    if let Some(key) = keys.next() {
        if keys.next().is_some() || headers.contains_key(AUTHORIZATION) {
            return Err(Problem::new(
                ProblemKind::Malformed,
                "two credentials came with the request: send X-API-Key or Authorization, once",
            ));
        }
        return match key.to_str() {
            Ok(key) => Ok(Some(Cow::Borrowed(key))),
            Err(_) => Err(Problem::new(ProblemKind::Unauthenticated, "the key in X-API-Key is none")),
        };
    }
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        let token = token.trim_matches(' ');
        if scheme.eq_ignore_ascii_case("basic") {
            return basic(token).map(Cow::Owned);
        }
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(Cow::Borrowed(token))
    });
    match token {
        Some(token) => Ok(Some(token)),
        None => Err(Problem::new(ProblemKind::Unauthenticated, EXPECTED)),
    }
}

/// Whether the credential of a request is Basic.
pub(crate) fn is_basic(headers: &HeaderMap) -> bool {
    let scheme = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    scheme.is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
}

/// The API key or service token that Basic credentials carry as password, its key id as user name: some clients can send nothing else.
/// People's passwords never travel this way: what is no key is no credential.
fn basic(encoded: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    let (user, password) = (decode(user).ok()?, decode(password).ok()?);
    let key_id = ["chk_", "chs_"].iter().find_map(|kind| password.strip_prefix(kind))?.split('_').nth(1)?;
    (user == key_id).then_some(password)
}

/// Whether the query of an address holds what looks like one of our keys.
pub(crate) fn holds_key(query: &str) -> bool {
    ["chk_live_", "chk_test_", "chs_live_", "chs_test_", "chr_live_", "chr_test_", "chclient_"]
        .iter()
        .any(|form| query.contains(form))
}
