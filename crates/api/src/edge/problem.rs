//! Problem documents (RFC 9457): every answer that is not what was asked for has this one form.

use super::answer::Answer;
use axum::body::Bytes;
use charter_kernel::{Problem, ProblemKind, RequestId};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

/// What goes before a problem's slug in its `type`.
pub const TYPE_PREFIX: &str = "urn:charter:problem:";

/// Content type of a problem document.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why the request was not done (RFC 9457). A program reads `type` and `reason`; a person reads `detail`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemDocument<'a> {
    /// The kind of problem: `urn:charter:problem:` and a slug that never changes.
    #[serde(rename = "type")]
    kind: String,
    /// The same sentence for every problem of the kind.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What happened, and what to do about it.
    detail: &'a str,
    /// The id of this request, also found in the log and on audit events.
    #[schemars(with = "super::wire::Id")]
    request_id: RequestId,
    /// The reason of the decision that refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The layer that refused it: organization, entitlement or permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'static str>,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldDocument<'a>>,
}

const STEP_UP: &str = "Bearer realm=\"charter\", error=\"insufficient_user_authentication\", \
                       error_description=\"a more recent sign-in is needed\", max_age=\"600\"";

const SECOND_FACTOR: &str = "Bearer realm=\"charter\", error=\"insufficient_user_authentication\", \
                             error_description=\"a second factor is needed\", acr_values=\"mfa\", max_age=\"600\"";

/// A field that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FieldProblem")]
struct FieldDocument<'a> {
    /// Its name, with dots between levels.
    field: &'a str,
    /// What is wrong with it and what is expected.
    detail: &'a str,
}

/// A problem with what the edge knows about it.
#[derive(Debug)]
pub struct Refusal {
    /// The problem.
    pub problem: Problem,
    /// The methods the path has, when the method was wrong.
    pub allow: Option<HeaderValue>,
    /// Whether a credential came with the request.
    pub had_credential: bool,
    /// Whether it came as Basic. Nobody else is asked for that: browsers would ask people for their passwords.
    pub had_basic: bool,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, allow: None, had_credential: false, had_basic: false }
    }
}

impl Refusal {
    /// The answer a client gets.
    pub fn answer(&self, request: RequestId) -> Answer {
        let Problem { kind, detail, fields, retry_after_seconds, reason, rate_limit: _ } = &self.problem;
        let document = ProblemDocument {
            kind: format!("{TYPE_PREFIX}{}", kind.slug()),
            title: kind.title(),
            status: kind.status(),
            detail,
            request_id: request,
            reason: reason.map(|reason| reason.as_str()),
            layer: reason.map(|reason| reason.layer().as_str()),
            fields: fields
                .iter()
                .map(|field| FieldDocument { field: &field.field, detail: &field.detail })
                .collect(),
        };
        let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut answer = Answer::new(status, PROBLEM_JSON, Bytes::from(body));
        if let Some(seconds) = retry_after_seconds {
            answer.headers.push((RETRY_AFTER, HeaderValue::from(*seconds)));
        }
        if kind.status() == 401 {
            let challenge = if *kind == ProblemKind::StepUp {
                // RFC 9470: which sign-in would be recent enough, or strong enough.
                HeaderValue::from_static(STEP_UP)
            } else if *kind == ProblemKind::SecondFactor {
                HeaderValue::from_static(SECOND_FACTOR)
            } else if self.had_credential {
                HeaderValue::from_static("Bearer realm=\"charter\", error=\"invalid_token\"")
            } else {
                HeaderValue::from_static("Bearer realm=\"charter\"")
            };
            answer.headers.push((WWW_AUTHENTICATE, challenge));
            if self.had_basic {
                let challenge = HeaderValue::from_static("Basic realm=\"charter\", charset=\"UTF-8\"");
                answer.headers.push((WWW_AUTHENTICATE, challenge));
            }
        }
        if let Some(allow) = &self.allow {
            answer.headers.push((ALLOW, allow.clone()));
        }
        debug_assert!(!answer.headers.iter().any(|(name, _)| *name == CONTENT_TYPE));
        answer
    }
}
