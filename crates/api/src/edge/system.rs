//! The routes every service has: is it alive, is it ready, what is its API.

use super::answer::Answer;
use super::gate::Gate;
use super::openapi;
use super::pages;
use super::pipeline::Settings;
use super::precondition::{ETag, Precondition};
use super::raw::RawCall;
use super::route::{Guard, Route};
use axum::body::Bytes;
use axum::response::Response;
use charter_kernel::Problem;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG};
use http::{HeaderValue, Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// What is told of the API itself. Made when somebody asks for the first time: making it takes many times the memory it has then.
pub(crate) struct Documents {
    describe: Box<dyn Fn() -> Value + Send + Sync>,
    public_url: String,
    made: OnceLock<Made>,
}

struct Made {
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
    pub(crate) fn of<G: Gate>(routes: Vec<Arc<Route<G>>>, settings: &Settings) -> Self {
        Self {
            describe: Box::new(move || openapi::document(routes.iter().map(AsRef::as_ref))),
            public_url: settings.public_url.clone(),
            made: OnceLock::new(),
        }
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let openapi = (self.describe)();
            Made {
                page: Document::new(pages::page(&openapi, &self.public_url)),
                openapi: Document::new(serde_json::to_vec(&openapi).unwrap_or_default()),
                style: Document::new(pages::STYLE),
            }
        })
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
            description,
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

async fn description<G: Gate>(call: RawCall<G>) -> Result<Response, Problem> {
    document(&call, &call.shared.documents.made().openapi, super::answer::JSON)
}

async fn page<G: Gate>(call: RawCall<G>) -> Result<Response, Problem> {
    document(&call, &call.shared.documents.made().page, HTML)
}

async fn style<G: Gate>(call: RawCall<G>) -> Result<Response, Problem> {
    document(&call, &call.shared.documents.made().style, CSS)
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
