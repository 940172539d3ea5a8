//! The credential of a request: one `Authorization` header, a bearer token or a service token in Basic clothes; or a browser's cookie.

use super::text::decode;
use base64::Engine;
use charter_kernel::{Problem, ProblemKind};
use http::HeaderMap;
use http::header::AUTHORIZATION;
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
}

/// The token of the `Authorization` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, Problem> {
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
        None => Err(Problem::new(ProblemKind::Unauthenticated, "expected `Authorization: Bearer <token>`")),
    }
}

/// The service token that Basic credentials carry as password, its key id as user name: some clients can send nothing else.
/// People's passwords never travel this way: what is not a service token is no credential.
fn basic(encoded: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    let (user, password) = (decode(user).ok()?, decode(password).ok()?);
    let key_id = password.strip_prefix("chs_")?.split('_').nth(1)?;
    (user == key_id).then_some(password)
}
