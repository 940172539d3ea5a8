//! Parameters in forms, and answers in the words of RFC 6749.

use crate::edge::text::{self, Pairs};
use crate::edge::{Answer, JSON, RawCall};
use axum::response::Response;
use base64::Engine;
use charter_app::App;
use charter_app::identity::oauth::client_secret::Presented;
use charter_app::identity::oauth::{Fault, Refused, Stop};
use charter_kernel::{Problem, ProblemKind};
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use url::form_urlencoded;

/// What may stand several times (RFC 8707, section 2).
pub(super) const LISTS: [&str; 1] = ["resource"];

/// Parameters of a form or an address. One without a value counts as left out (RFC 6749, section 3.1).
pub(super) struct Form(Pairs);

impl Form {
    /// The parameters of an address or of a body that is a form.
    pub fn of(text: &str) -> Result<Self, Problem> {
        let pairs = text::query_pairs_with(text, &LISTS)?;
        Ok(Self(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect()))
    }

    /// The parameters of a request's body.
    pub async fn read(call: &mut RawCall<App>) -> Result<Self, Problem> {
        let is_form = |value: &HeaderValue| {
            let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        };
        let mut types = call.parts.headers.get_all(CONTENT_TYPE).iter();
        if !types.next().is_some_and(is_form) || types.next().is_some() {
            let detail = "the body has to be a form: send Content-Type: application/x-www-form-urlencoded";
            return Err(Problem::new(ProblemKind::Malformed, detail));
        }
        let bytes = call.bytes().await?;
        let unreadable = |_| Problem::new(ProblemKind::Malformed, "the form is not UTF-8");
        Self::of(std::str::from_utf8(&bytes).map_err(unreadable)?)
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter that may stand several times.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The parameters that have one of these names, as a form.
    pub fn only(&self, names: &[&str]) -> String {
        let kept = self.0.iter().filter(|(name, _)| names.contains(&name.as_str()));
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(kept);
        text.finish()
    }

    /// The same as a text of its own.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }
}

/// How a client says who it is: by the header, or in the form, and never by both.
pub(super) struct Credentials {
    id: String,
    secret: Option<String>,
}

impl Credentials {
    /// What a request shows.
    pub fn read(headers: &HeaderMap, form: &Form) -> Result<Self, Stop> {
        let wrong = |fault, detail: &str| Err(Stop::Refused(Refused { fault, detail: detail.to_owned() }));
        let (id, secret) = (form.get("client_id"), form.text("client_secret"));
        let Some(header) = headers.get(AUTHORIZATION) else {
            return match id {
                Some(id) => Ok(Self { id: id.to_owned(), secret }),
                None => wrong(Fault::InvalidClient, "the client does not say who it is"),
            };
        };
        let Some((user, password)) = header.to_str().ok().and_then(basic) else {
            return wrong(Fault::InvalidClient, "the Authorization header is not `Basic` with id and secret");
        };
        if secret.is_some() || id.is_some_and(|id| id != user) {
            return wrong(
                Fault::InvalidRequest,
                "the client says twice who it is: by the header or in the form",
            );
        }
        // Who keeps no secret may send an empty one.
        Ok(Self { id: user, secret: Some(password).filter(|secret| !secret.is_empty()) })
    }

    /// The same, to be looked at.
    pub fn presented(&self) -> Presented<'_> {
        Presented { id: &self.id, secret: self.secret.as_deref() }
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim_matches(' ')).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((text::decode(user).ok()?, text::decode(password).ok()?))
}

/// The answer to a client that was refused. What cannot be answered, or not now, stays a problem document.
pub(super) fn told(stop: Stop) -> Result<Response, Problem> {
    let refused = match stop {
        Stop::Refused(refused) => refused,
        Stop::Problem(problem) if problem.kind == ProblemKind::Malformed => {
            Refused { fault: Fault::InvalidRequest, detail: problem.detail }
        }
        Stop::Problem(problem) => return Err(problem),
    };
    let is_client = refused.fault == Fault::InvalidClient;
    let status = if is_client { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    let body = json!({ "error": refused.fault.as_str(), "error_description": refused.detail });
    let mut answer = Answer::new(status, JSON, body.to_string());
    if is_client {
        answer.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"charter\"")));
    }
    Ok(answer.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_once_who_it_is() {
        let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let read = |header: Option<String>, form: &str| {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(AUTHORIZATION, header.parse().unwrap());
            }
            let shown = Credentials::read(&headers, &Form::of(form).unwrap());
            shown.map(|shown| (shown.id, shown.secret)).map_err(|stop| match stop {
                Stop::Refused(refused) => refused.fault,
                Stop::Problem(problem) => panic!("{problem}"),
            })
        };
        let basic = |text: &str| Some(format!("Basic {}", encoded(text)));
        let one = |id: &str, secret: Option<&str>| Ok((id.to_owned(), secret.map(str::to_owned)));
        assert_eq!(read(basic("a%3Ab:c%20d"), ""), one("a:b", Some("c d")));
        assert_eq!(read(basic("a:b"), "client_id=a"), one("a", Some("b")));
        assert_eq!(read(basic("a:"), ""), one("a", None));
        assert_eq!(read(None, "client_id=a&client_secret=b"), one("a", Some("b")));
        assert_eq!(read(None, "client_id=a&client_secret="), one("a", None));
        assert_eq!(read(basic("a:b"), "client_secret=b"), Err(Fault::InvalidRequest));
        assert_eq!(read(basic("a:b"), "client_id=c"), Err(Fault::InvalidRequest));
        assert_eq!(read(Some("Bearer x".to_owned()), "client_id=a"), Err(Fault::InvalidClient));
        assert_eq!(read(Some("Basic ???".to_owned()), ""), Err(Fault::InvalidClient));
        assert_eq!(read(None, ""), Err(Fault::InvalidClient));
        assert!(Form::of("client_id=a&client_id=b").is_err());
    }
}
