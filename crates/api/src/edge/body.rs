//! Bodies: of what type, how long, and what to say when they are not.

use super::gate::Gate;
use super::route::Route;
use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use charter_kernel::{Problem, ProblemKind};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// Bytes that are set aside for a body before they have come, at most.
const ROOM: usize = 64 * 1024;

/// The same problem, or 400 on routes that know no finer status.
pub(crate) fn lenient<G: Gate>(route: &Route<G>, problem: Problem) -> Problem {
    if route.is_lenient && matches!(problem.kind, ProblemKind::Invalid | ProblemKind::UnsupportedMediaType) {
        return Problem { kind: ProblemKind::Malformed, ..problem };
    }
    problem
}

/// The body of a typed route; empty where none is taken.
pub(crate) async fn typed_body<G: Gate>(
    route: &Route<G>,
    parts: &Parts,
    body: Body,
) -> Result<Bytes, Problem> {
    if route.is_body_optional {
        let bytes = read_body(&parts.headers, body, route.body_limit).await?;
        if bytes.is_empty() {
            return Ok(Bytes::from_static(b"{}"));
        }
        json_only(&parts.headers)?;
        return Ok(bytes);
    }
    if route.takes_body() {
        json_only(&parts.headers)?;
    } else if !matches!(route.method, Method::POST | Method::PUT | Method::PATCH) {
        return Ok(Bytes::new());
    }
    read_body(&parts.headers, body, route.body_limit).await
}

/// Refuses a body that is not plain JSON.
pub(crate) fn json_only(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return refuse("Content-Encoding is not understood: send the body as it is");
    }
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let is_json = match (values.next(), values.next()) {
        (Some(value), None) if value == "application/json" => true,
        (Some(value), None) => value.to_str().is_ok_and(|text| {
            let mut parts = text.split(';').map(str::trim);
            parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
                && parts.all(|part| part.is_empty() || part.eq_ignore_ascii_case("charset=utf-8"))
        }),
        _ => false,
    };
    if is_json { Ok(()) } else { refuse("the body has to be JSON: send Content-Type: application/json") }
}

/// Reads a body as far as a limit.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let too_large =
        || Problem::new(ProblemKind::TooLarge, format!("the body may have {limit} bytes at most"));
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > limit as u64) {
        return Err(too_large());
    }
    match whole(Limited::new(body, limit)).await {
        Ok(bytes) => Ok(bytes),
        Err(flaw) if flaw.is::<LengthLimitError>() => Err(too_large()),
        Err(flaw) => Err(Problem::new(ProblemKind::Malformed, format!("the body could not be read: {flaw}"))),
    }
}

/// All of a body. Most come in one piece, which is the body then.
async fn whole(mut body: Limited<Body>) -> Result<Bytes, BoxError> {
    let Some(first) = body.frame().await else { return Ok(Bytes::new()) };
    let first = first?.into_data().unwrap_or_default();
    if body.is_end_stream() {
        return Ok(first);
    }
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX).min(ROOM);
    let mut all = Vec::with_capacity(first.len() + expected);
    all.extend_from_slice(&first);
    while let Some(frame) = body.frame().await {
        all.extend_from_slice(&frame?.into_data().unwrap_or_default());
    }
    Ok(all.into())
}
