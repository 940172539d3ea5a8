//! The routes every service has: is it alive, is it ready, what is its API.

use super::answer::Answer;
use super::gate::Gate;
use super::pages;
use super::pipeline::Settings;
use super::precondition::{ETag, Precondition};
use super::raw::RawCall;
use super::route::{Guard, Route};
use super::table::Routes;
use axum::body::Bytes;
use axum::response::Response;
use charter_kernel::Problem;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG};
use http::{HeaderValue, Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Texts made once, when the router is.
pub(crate) struct Documents {
    openapi: Document,
    page: Document,
    style: Document,
}

struct Document {
    body: Bytes,
    etag: ETag,
}

impl Document {
    fn new(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self { etag: ETag::of(&body), body }
    }
}

impl Documents {
    pub(crate) fn of<G: Gate>(routes: &Routes<G>, settings: &Settings) -> Self {
        let openapi = routes.openapi();
        let page = pages::page(&openapi, &settings.public_url);
        Self {
            openapi: Document::new(serde_json::to_vec(&openapi).unwrap_or_default()),
            page: Document::new(page),
            style: Document::new(pages::STYLE),
        }
    }
}

/// Whether the service may be sent requests.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ready {
    /// `ready`, or `not_ready` when a check failed.
    status: &'static str,
    /// Each thing that has to hold.
    checks: Vec<ReadyCheck>,
}

/// One thing that has to hold.
#[derive(Debug, Serialize, JsonSchema)]
struct ReadyCheck {
    /// Its name.
    name: &'static str,
    /// Whether it holds.
    is_ready: bool,
    /// What is wrong, when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// The process is alive.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Alive {
    /// Always `alive`.
    status: &'static str,
    /// Version of Charter.
    version: &'static str,
}

pub(crate) fn routes<G: Gate>() -> Vec<Route<G>> {
    const TAG: &str = "Service";
    let open = Guard::Public;
    vec![
        Route::raw(Method::GET, "/healthz", open("a supervisor has no credential"), alive)
            .named("service.alive", TAG, "Says that the process is alive.")
            .gives::<Alive>(),
        Route::raw(Method::GET, "/readyz", open("a load balancer has no credential"), ready)
            .named("service.ready", TAG, "Says whether requests can be answered, and what is missing if not.")
            .described("503 with the same body when a check fails.")
            .gives::<Ready>(),
        Route::raw(
            Method::GET,
            "/api/v1/openapi.json",
            open("the description of the API is no secret"),
            openapi,
        )
        .named("service.openapi", TAG, "Gives this document."),
        Route::raw(Method::GET, "/docs", open("the description of the API is no secret"), page)
            .named("service.docs", TAG, "Shows the API as a page to read.")
            .gives_type("text/html"),
        Route::raw(Method::GET, "/docs/style.css", open("a stylesheet is no secret"), style)
            .named("service.docs.style", TAG, "Gives the stylesheet of that page.")
            .gives_type("text/css"),
    ]
}

fn json_answer(status: StatusCode, value: &impl Serialize) -> Response {
    Answer { status, ..Answer::json(serde_json::to_vec(value).unwrap_or_default()) }.into()
}

async fn alive<G: Gate>(_call: RawCall<G>) -> Result<Response, Problem> {
    Ok(json_answer(StatusCode::OK, &Alive { status: "alive", version: env!("CARGO_PKG_VERSION") }))
}

async fn ready<G: Gate>(call: RawCall<G>) -> Result<Response, Problem> {
    let checks: Vec<ReadyCheck> = call
        .app
        .readiness()
        .await
        .into_iter()
        .map(|check| ReadyCheck { name: check.name, is_ready: check.fault.is_none(), fault: check.fault })
        .collect();
    let (status, word) = if checks.iter().all(|check| check.is_ready) {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    Ok(json_answer(status, &Ready { status: word, checks }))
}

async fn openapi<G: Gate>(call: RawCall<G>) -> Result<Response, Problem> {
    document(&call, &call.shared.documents.openapi, super::answer::JSON)
}

async fn page<G: Gate>(call: RawCall<G>) -> Result<Response, Problem> {
    document(&call, &call.shared.documents.page, HTML)
}

async fn style<G: Gate>(call: RawCall<G>) -> Result<Response, Problem> {
    document(&call, &call.shared.documents.style, CSS)
}

fn document<G: Gate>(call: &RawCall<G>, document: &Document, kind: HeaderValue) -> Result<Response, Problem> {
    let mut answer = Answer::new(StatusCode::OK, kind.clone(), document.body.clone());
    answer.headers.push((CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, must-revalidate")));
    answer.headers.push((ETAG, document.etag.header()));
    if kind == HTML {
        answer.headers.push((CONTENT_SECURITY_POLICY, PAGE_POLICY));
    }
    if Precondition::read(&call.parts.headers)?.has_already(&document.etag) {
        return Ok(answer.not_modified().into());
    }
    Ok(answer.into())
}
