//! Requests with an `Idempotency-Key`: done once, answered as often as asked.

use super::answer::Answer;
use super::body::lenient;
use super::gate::{Claim, Claimed, Gate, StoredAnswer};
use super::problem::Refusal;
use super::route::{Guard, Route};
use axum::body::Bytes;
use charter_kernel::{OrganizationId, Problem, ProblemKind, RequestId};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use sha2::{Digest, Sha256};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The idempotency key of a request that may be done once only.
pub(crate) fn claim<G: Gate>(
    route: &Route<G>,
    organization: Option<OrganizationId>,
    parts: &Parts,
    body: &Bytes,
) -> Result<Option<Claim>, Problem> {
    let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    // Other methods may be repeated as they are, and a caller nobody knows has no keys.
    if route.method != Method::POST || matches!(route.guard, Guard::Public(_)) {
        return Ok(None);
    }
    let wrong = |detail: &str| Problem::new(ProblemKind::Malformed, detail);
    if !route.keeps_answers {
        return Err(wrong(
            "this operation keeps no answers, because they hold a secret or are true for a moment only: send no Idempotency-Key",
        ));
    }
    if values.next().is_some() {
        return Err(wrong("two Idempotency-Key headers: send one"));
    }
    let key = value.as_bytes();
    if !(1..=64).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
        return Err(wrong("Idempotency-Key is not one: expected 1 to 64 visible ASCII characters"));
    }
    let mut sum = Sha256::new();
    sum.update(parts.method.as_str().as_bytes());
    sum.update([0]);
    sum.update(parts.uri.path().as_bytes());
    sum.update([0]);
    sum.update(parts.uri.query().unwrap_or_default().as_bytes());
    sum.update([0]);
    sum.update(body);
    let key = key.iter().copied().map(char::from).collect();
    Ok(Some(Claim { organization, key, request: sum.finalize().into() }))
}

/// Does the work once for a key: later requests get the answer of the first.
pub(crate) async fn once<G: Gate>(
    gate: &G,
    ctx: &G::Context,
    claim: &Claim,
    id: RequestId,
    work: impl Future<Output = Result<Answer, Problem>>,
    route: &Route<G>,
) -> Result<Answer, Refusal> {
    match gate.idempotency_begin(ctx, claim).await? {
        Claimed::Fresh => {}
        Claimed::Answered(stored) => return Ok(replayed(stored)),
        Claimed::Mismatch => {
            let detail = "the key came with another request before: take a new one";
            return Err(Problem::new(ProblemKind::IdempotencyMismatch, detail).into());
        }
        Claimed::InProgress => {
            let detail = "the same request is being worked on, or its outcome was lost: ask again in a moment, then read what is there and go on with a new key";
            return Err(Problem::new(ProblemKind::InProgress, detail).retry_after(1).into());
        }
    }
    let answer = match work.await.map_err(|problem| lenient(route, problem)) {
        Ok(answer) => answer,
        // It may have been done: the key stays claimed, so that it is not done twice.
        Err(problem) if matches!(problem.kind, ProblemKind::OutcomeUnknown | ProblemKind::Internal) => {
            return Err(problem.into());
        }
        // Not done for a reason that may pass: the next try may do it.
        Err(problem) if matches!(problem.kind, ProblemKind::Unavailable | ProblemKind::Throttled) => {
            gate.idempotency_abandon(ctx, claim).await?;
            return Err(problem.into());
        }
        Err(problem) => Refusal::from(problem).answer(id),
    };
    if let Err(problem) = gate.idempotency_finish(ctx, claim, &stored(&answer)).await {
        // The work is done and the client is told so; only a repeated request will find no answer.
        tracing::error!(request = %id, %problem, "the answer could not be kept for its idempotency key");
    }
    Ok(answer)
}

fn stored(answer: &Answer) -> StoredAnswer {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let content_type =
        answer.content_type.iter().map(|value| (CONTENT_TYPE.as_str().to_owned(), text(value)));
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    StoredAnswer {
        status: answer.status.as_u16(),
        headers: content_type.chain(headers).collect(),
        body: answer.body.to_vec(),
    }
}

fn replayed(stored: StoredAnswer) -> Answer {
    let mut answer = Answer {
        status: StatusCode::from_u16(stored.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        content_type: None,
        headers: vec![(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"))],
        etag: None,
        body: Bytes::from(stored.body),
    };
    for (name, value) in stored.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            continue;
        };
        if name == CONTENT_TYPE {
            answer.content_type = Some(value);
        } else {
            answer.headers.push((name, value));
        }
    }
    answer
}
