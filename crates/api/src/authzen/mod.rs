//! AuthZEN 1.0: five questions and a metadata document, as the certification scenario asks them. Every fault of a request is 400, a
//! denial is 200. The organization is the one the caller's credential belongs to, or the one in the path.
//!
//! `wire` is the JSON that comes in, `asking` the question it holds, `answer` the JSON that goes out; `evaluation` and `search`
//! are the endpoints, `token` the paging, `metadata` the discovery document, `shapes` what the API document says of all this.

mod answer;
mod asking;
mod evaluation;
mod metadata;
mod search;
mod shapes;
mod token;
mod wire;

use crate::edge::{Guard, RawCall, Route};
use axum::body::Bytes;
use axum::response::Response;
use charter_app::snapshot::Snapshot;
use charter_app::{App, RequestContext, check};
use charter_kernel::{OrganizationId, Problem, ProblemKind, Revision};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use schemars::JsonSchema;
use shapes::{
    AuthzenActionSearch, AuthzenDecision, AuthzenDecisions, AuthzenEvaluation, AuthzenEvaluations,
    AuthzenResourceSearch, AuthzenResults, AuthzenSubjectSearch,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use wire::bad;

/// A raw call to one of these endpoints.
type Raw = RawCall<App>;

/// Bytes of one question at most.
const LIMIT: usize = 64 * 1024;

/// Bytes of a batch at most.
const BATCH_LIMIT: usize = 4 * 1024 * 1024;

const WHY: &str = "the handler asks whether the caller may put questions about the organization";

/// A call whose caller may ask, with its body and the snapshot all of it is answered from.
struct Arrived {
    app: App,
    ctx: RequestContext,
    organization: OrganizationId,
    at_least: Option<Revision>,
    snapshot: Arc<Snapshot>,
    body: Bytes,
}

impl Arrived {
    /// Looks at the caller before the body. The organization is the one in the path, or else the one of the credential.
    async fn of(mut call: Raw) -> Result<Self, Problem> {
        let named =
            call.parts.uri.path().strip_prefix("/organizations/").and_then(|rest| rest.split('/').next());
        let organization = match named {
            Some(text) => call.app.resolve_organization(text).await?,
            None => call.ctx.principal().and_then(|principal| principal.organization).ok_or_else(|| {
                bad("the credential belongs to no organization: ask below /organizations/{organization}/access/v1/")
            })?,
        };
        call.app.may_ask(&call.ctx, organization, None).await?;
        require_json(&call.parts.headers)?;
        let body = call.bytes().await?;
        let snapshot = check::pinned(&call.app, &call.ctx, organization, call.at_least).await;
        let snapshot = snapshot
            .inspect_err(|problem| call.app.note_served(&call.ctx, organization, 1, Some(problem)))?;
        let RawCall { app, ctx, at_least, .. } = call;
        Ok(Self { app, ctx, organization, at_least, snapshot, body })
    }
}

/// A request has to say that it is JSON, with whatever parameters.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let is_json = match (types.next(), types.next()) {
        (Some(kind), None) => {
            let kind = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
        }
        _ => false,
    };
    if is_json { Ok(()) } else { Err(bad("the content type has to be application/json")) }
}

const PROBLEMS: &[ProblemKind] = &[ProblemKind::Forbidden, ProblemKind::NotFound];

/// An endpoint at its two paths.
fn both<A, R, F>(
    paths: [(&'static str, &'static str); 2],
    summary: &'static str,
    example: &'static str,
    ask: fn(Raw) -> F,
) -> [Route<App>; 2]
where
    A: JsonSchema + 'static,
    R: JsonSchema + 'static,
    F: Future<Output = Result<Response, Problem>> + Send + 'static,
{
    paths.map(|(path, name)| {
        Route::raw(Method::POST, path, Guard::SignedIn(WHY), ask)
            .named(name, "AuthZEN", summary)
            .takes::<A>()
            .gives::<R>()
            .example(example)
            .problems(PROBLEMS)
            .body_limit(LIMIT)
            .bad_request_only()
    })
}

macro_rules! at {
    ($path:literal, $name:literal) => {
        [
            (concat!("/access/v1/", $path), concat!("authzen.", $name)),
            (
                concat!("/organizations/{organization}/access/v1/", $path),
                concat!("authzen.organization-", $name),
            ),
        ]
    };
}

const QUESTION: &str = r#"{"subject": {"type": "user", "id": "ann@toys.example"}, "action": {"name": "read"}, "resource": {"type": "product", "id": "bear"}}"#;
const QUESTIONS: &str = r#"{"subject": {"type": "user", "id": "ann@toys.example"}, "resource": {"type": "product", "id": "bear"}, "evaluations": [{"action": {"name": "read"}}, {"action": {"name": "delete"}}]}"#;
const SUBJECTS: &str = r#"{"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "product", "id": "bear"}, "page": {"limit": 50}}"#;
const RESOURCES: &str = r#"{"subject": {"type": "user", "id": "ann@toys.example"}, "action": {"name": "read"}, "resource": {"type": "product"}}"#;
const ACTIONS: &str = r#"{"subject": {"type": "user", "id": "ann@toys.example"}, "resource": {"type": "product", "id": "bear"}}"#;

/// The routes of AuthZEN.
pub fn routes() -> Vec<Route<App>> {
    let one = "May this subject do this to this resource?";
    let many = "Answers many questions from one snapshot at one instant.";
    let who = "Lists the subjects who may do this to this resource.";
    let on = "Lists the resources on which the subject may do this.";
    let what = "Lists the actions the subject may do to this resource.";
    let mut rows = Vec::new();
    rows.extend(both::<AuthzenEvaluation, AuthzenDecision, _>(
        at!("evaluation", "evaluation"),
        one,
        QUESTION,
        evaluation::one,
    ));
    rows.extend(
        both::<AuthzenEvaluations, AuthzenDecisions, _>(
            at!("evaluations", "evaluations"),
            many,
            QUESTIONS,
            evaluation::many,
        )
        .map(|route| route.body_limit(BATCH_LIMIT).timeout(Duration::from_secs(30))),
    );
    rows.extend(both::<AuthzenSubjectSearch, AuthzenResults, _>(
        at!("search/subject", "search-subject"),
        who,
        SUBJECTS,
        search::subjects,
    ));
    rows.extend(both::<AuthzenResourceSearch, AuthzenResults, _>(
        at!("search/resource", "search-resource"),
        on,
        RESOURCES,
        search::resources,
    ));
    rows.extend(both::<AuthzenActionSearch, AuthzenResults, _>(
        at!("search/action", "search-action"),
        what,
        ACTIONS,
        search::actions,
    ));
    rows.extend(metadata::routes());
    rows
}
