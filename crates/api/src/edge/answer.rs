//! Answers: what a handler returns (`Reply`) and what it becomes before it is sent (`Answer`).

use super::precondition::ETag;
use axum::body::{Body, Bytes};
use axum::response::Response;
use charter_kernel::{Problem, ProblemKind, Revision};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use std::any::TypeId;

/// Name of the header that tells the revision an answer was read from or a change has led to.
pub const REVISION: HeaderName = HeaderName::from_static("charter-revision");
/// Name of the header that tells, in seconds, how old the facts behind an answer may be, once the node has not heard of changes for
/// [`AGED_SECONDS`].
pub const FACTS_AGE: HeaderName = HeaderName::from_static("charter-facts-age");
/// Changes are read once a second; from this age on something is in the way, and answers say so.
pub const AGED_SECONDS: i64 = 3;
/// Content type of JSON.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a handler answers with; its status is the one the route declares.
#[derive(Debug)]
pub struct Reply<T> {
    value: T,
    status: Option<StatusCode>,
    etag: Option<ETag>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl<T> Reply<T> {
    /// An answer with a body.
    pub fn new(value: T) -> Self {
        Self { value, status: None, etag: None, headers: Vec::new() }
    }

    /// The same answer with another body.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Reply<U> {
        let Self { value, status, etag, headers } = self;
        Reply { value: turn(value), status, etag, headers }
    }

    /// Another status than the one the route declares, as where nothing was made after all.
    pub fn status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The version of the thing, for `ETag` and later `If-Match`.
    pub fn etag(self, etag: ETag) -> Self {
        Self { etag: Some(etag), ..self }
    }

    /// The address of a thing that was made.
    pub fn location(self, path: impl AsRef<str>) -> Self {
        self.header(LOCATION, path.as_ref())
    }

    /// The revision of the organization's facts the answer stands for.
    pub fn revision(mut self, revision: Revision) -> Self {
        self.headers.push((REVISION, HeaderValue::from(revision.0)));
        self
    }

    /// How long a client may keep the answer; `no-store` where nothing is said.
    pub fn cache(self, directive: &str) -> Self {
        self.header(CACHE_CONTROL, directive)
    }

    /// One more header; a value that cannot stand in a header is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

impl Reply<()> {
    /// An answer without a body.
    pub fn empty() -> Self {
        Self::new(())
    }
}

impl<T: Serialize + JsonSchema + 'static> Reply<T> {
    /// The bytes to send.
    pub(crate) fn into_answer(self, status: StatusCode) -> Result<Answer, Problem> {
        let status = self.status.unwrap_or(status);
        let mut answer = if TypeId::of::<T>() == TypeId::of::<()>() {
            Answer { status, content_type: None, headers: self.headers, etag: self.etag, body: Bytes::new() }
        } else {
            let body = serde_json::to_vec(&self.value).map_err(|flaw| {
                Problem::new(
                    ProblemKind::Internal,
                    format!("the answer could not be written as JSON: {flaw}"),
                )
            })?;
            let mut answer = Answer::new(status, JSON, Bytes::from(body));
            answer.headers = self.headers;
            answer.etag = self.etag;
            answer
        };
        if let Some(etag) = &answer.etag {
            answer.headers.push((ETAG, etag.header()));
        }
        Ok(answer)
    }
}

/// An answer ready to be sent, but for the headers every answer has.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Type of the body; none without one.
    pub content_type: Option<HeaderValue>,
    /// Other headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Version of what is answered with.
    pub etag: Option<ETag>,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// An answer with a body.
    pub fn new(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: Some(content_type), headers: Vec::new(), etag: None, body: body.into() }
    }

    /// An answer of status 200 with a JSON text.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, JSON, body)
    }

    /// The answer to a client that has this version already.
    pub(crate) fn not_modified(self) -> Self {
        Self { status: StatusCode::NOT_MODIFIED, content_type: None, body: Bytes::new(), ..self }
    }
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Self {
        let mut response =
            Self::new(if answer.body.is_empty() { Body::empty() } else { Body::from(answer.body) });
        *response.status_mut() = answer.status;
        let headers = response.headers_mut();
        headers.reserve(16);
        if let Some(content_type) = answer.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        for (name, value) in answer.headers {
            headers.append(name, value);
        }
        response
    }
}
