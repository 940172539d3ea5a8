//! A gate and a handful of routes: toys of the organization `toys`, seen by ann who may, by bob who may not.

use axum::Router;
use axum::body::Body;
use charter_api::edge::{
    Call, Claim, Claimed, Credential, ETag, Gate, Guard, Items, Readiness, Reply, Route, Routes, Settings,
    StoredAnswer,
};
use charter_kernel::problem::RateLimit;
use charter_kernel::{OrganizationId, Problem, ProblemKind, Reason, RequestId, Revision};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

pub const TOYS: OrganizationId = OrganizationId(1);
pub const TRADE: OrganizationId = OrganizationId(2);
pub const PLATFORM: OrganizationId = OrganizationId(9);

/// Who is calling, by name.
#[derive(Debug, Clone, PartialEq)]
pub enum Who {
    Nobody,
    Named(&'static str),
}

#[derive(Debug, Clone)]
pub struct Context {
    pub who: Who,
    pub address: Option<IpAddr>,
}

#[derive(Debug)]
pub struct Permit(pub OrganizationId);

#[derive(Clone, Default)]
pub struct Fake(Arc<State>);

/// The request a key was used for, and its answer once there is one.
type Kept = ([u8; 32], Option<StoredAnswer>);

#[derive(Default)]
pub struct State {
    ids: AtomicU64,
    pub made: AtomicU64,
    pub faults: Mutex<Vec<(&'static str, &'static str)>>,
    pub answers: Mutex<HashMap<String, Kept>>,
}

impl std::ops::Deref for Fake {
    type Target = State;
    fn deref(&self) -> &State {
        &self.0
    }
}

fn id_of(ctx: &Context, claim: &Claim) -> String {
    format!("{:?} {}", ctx.who, claim.key)
}

impl Gate for Fake {
    type Caller = Who;
    type Context = Context;
    type Permit = Permit;

    fn fresh_id(&self) -> u128 {
        u128::from(self.ids.fetch_add(1, Ordering::Relaxed)) + 0xabc0
    }

    async fn authenticate(&self, sent: Credential<'_>, _address: Option<IpAddr>) -> Result<Who, Problem> {
        match sent {
            Credential::None => Ok(Who::Nobody),
            Credential::Bearer("ann" | "chs_live_k1_s_c") | Credential::Cookie("ann") => {
                Ok(Who::Named("ann"))
            }
            Credential::Bearer("bob") | Credential::Cookie("bob") => Ok(Who::Named("bob")),
            Credential::Bearer("eve") => Ok(Who::Named("eve")),
            _ => Err(Problem::new(ProblemKind::Unauthenticated, "the token is not valid")),
        }
    }

    fn is_same(one: &Who, other: &Who) -> bool {
        one == other
    }

    fn is_csrf_token(&self, ctx: &Context, token: &str) -> bool {
        matches!(ctx.who, Who::Named(name) if token == format!("{name}-page"))
    }

    fn require_person(_: &Context) -> Result<(), Problem> {
        Ok(())
    }

    fn rate_limit(&self, _: &Context) -> Option<RateLimit> {
        None
    }

    fn require_recent(&self, ctx: &Context) -> Result<(), Problem> {
        match ctx.who {
            Who::Named("bob") => Err(Problem::new(ProblemKind::StepUp, "prove again who you are")),
            _ => Ok(()),
        }
    }

    fn context(&self, who: Who, _request: RequestId, address: Option<IpAddr>) -> Context {
        Context { who, address }
    }

    fn is_signed_in(ctx: &Context) -> bool {
        ctx.who != Who::Nobody
    }

    async fn resolve_organization(&self, text: &str) -> Result<OrganizationId, Problem> {
        match text {
            "toys" => Ok(TOYS),
            "trade" => Ok(TRADE),
            _ => Err(Problem::not_found("no such organization, or you are not a member of it")),
        }
    }

    fn home_organization(ctx: &Context) -> Option<OrganizationId> {
        (ctx.who == Who::Named("ann")).then_some(TOYS)
    }

    async fn platform_organization(&self) -> Result<OrganizationId, Problem> {
        Ok(PLATFORM)
    }

    async fn reach(&self, _ctx: &Context, _: OrganizationId, revision: Revision) -> Result<(), Problem> {
        if revision.0 <= 7 {
            return Ok(());
        }
        Err(Problem::new(ProblemKind::Unavailable, "that revision is not known yet").retry_after(1))
    }

    async fn require(
        &self,
        ctx: &Context,
        at: OrganizationId,
        code: &'static str,
    ) -> Result<Permit, Problem> {
        match (&ctx.who, at) {
            (Who::Named("ann"), TOYS | TRADE) if code.starts_with("toys.") => Ok(Permit(at)),
            (Who::Named("ann" | "bob"), TOYS | PLATFORM) => {
                Err(Problem::new(ProblemKind::Forbidden, format!("{code} is needed"))
                    .because(Reason::NoGrant))
            }
            _ => Err(Problem::not_found("no such organization, or you are not a member of it")),
        }
    }

    fn facts_age_seconds(&self) -> i64 {
        0
    }

    async fn readiness(&self) -> Vec<Readiness> {
        let faults = self.faults.lock().unwrap();
        ["database", "migrations", "snapshot"]
            .into_iter()
            .map(|name| Readiness {
                name,
                fault: faults.iter().find(|(of, _)| *of == name).map(|(_, fault)| (*fault).to_owned()),
            })
            .collect()
    }

    async fn idempotency_begin(&self, ctx: &Context, claim: &Claim) -> Result<Claimed, Problem> {
        let mut answers = self.answers.lock().unwrap();
        Ok(match answers.get(&id_of(ctx, claim)) {
            None => {
                answers.insert(id_of(ctx, claim), (claim.request, None));
                Claimed::Fresh
            }
            Some((request, _)) if *request != claim.request => Claimed::Mismatch,
            Some((_, None)) => Claimed::InProgress,
            Some((_, Some(answer))) => Claimed::Answered(answer.clone()),
        })
    }

    async fn idempotency_finish(
        &self,
        ctx: &Context,
        claim: &Claim,
        answer: &StoredAnswer,
    ) -> Result<(), Problem> {
        self.answers.lock().unwrap().insert(id_of(ctx, claim), (claim.request, Some(answer.clone())));
        Ok(())
    }

    async fn idempotency_abandon(&self, ctx: &Context, claim: &Claim) -> Result<(), Problem> {
        self.answers.lock().unwrap().remove(&id_of(ctx, claim));
        Ok(())
    }
}

/// A toy as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Toy {
    /// Its name.
    pub name: String,
    /// How often it was changed.
    pub version: u64,
}

impl From<String> for Toy {
    fn from(name: String) -> Self {
        Self { name, version: 3 }
    }
}

/// A toy as it is made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToyDraft {
    /// Its name.
    pub name: String,
    /// Price in cents.
    #[serde(default)]
    #[allow(dead_code, reason = "only read from JSON")]
    pub price_cents: Option<u32>,
    /// Its parts.
    #[serde(default)]
    #[allow(dead_code, reason = "only read from JSON")]
    pub parts: Vec<Part>,
}

/// A part of a toy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its code.
    #[allow(dead_code, reason = "only read from JSON")]
    pub code: String,
}

/// One toy's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ToyPath {
    /// Name of the toy.
    pub toy: String,
}

/// Which toys to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    Red,
    Blue,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct ToyFilter {
    /// Only those of a colour.
    #[serde(default)]
    pub colour: Option<Colour>,
    /// Only those that are cheap.
    #[serde(default)]
    pub is_cheap: bool,
}

/// The caller as the edge knows it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Me {
    who: String,
    address: Option<IpAddr>,
}

async fn list(call: Call<(), ToyFilter, (), Fake>) -> Result<Reply<Items<Toy>>, Problem> {
    let mut all: Vec<String> = (0..120).map(|number| format!("toy-{number:03}")).collect();
    if matches!(call.query.colour, Some(Colour::Red | Colour::Blue)) || call.query.is_cheap {
        all.truncate(60);
    }
    let after = call.page_asked.after.clone().unwrap_or_default();
    let mut rest = all.into_iter().filter(|name| *name > after);
    let items: Vec<String> = rest.by_ref().take(call.page_asked.limit as usize).collect();
    let next = rest.next().and_then(|_| items.last().cloned());
    Ok(call.items(items, next))
}

async fn get(call: Call<ToyPath, (), (), Fake>) -> Result<Reply<Toy>, Problem> {
    assert_eq!(call.permit()?.0, call.organization()?);
    let etag = ETag::version(3);
    Ok(Reply::new(Toy::from(call.path.toy)).etag(etag).revision(Revision(7)))
}

async fn make(call: Call<(), (), ToyDraft, Fake>) -> Result<Reply<Toy>, Problem> {
    let made = call.app.made.fetch_add(1, Ordering::SeqCst);
    match call.body.name.as_str() {
        "panic" => panic!("the shelf broke"),
        "taken" => Err(Problem::new(ProblemKind::Taken, "a toy has that name")),
        "away" if made == 0 => Err(Problem::new(ProblemKind::Unavailable, "the database is away")),
        "slow" => {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            Err(Problem::new(ProblemKind::Internal, "never"))
        }
        "bug" => Err(Problem::new(ProblemKind::Internal, "secret table toys is broken")),
        _ => Ok(Reply::new(Toy::from(call.body.name)).location("/toys/1").etag(ETag::version(1))),
    }
}

async fn change(call: Call<ToyPath, (), ToyDraft, Fake>) -> Result<Reply<Toy>, Problem> {
    call.precondition.check(&ETag::version(3))?;
    assert_eq!(call.precondition.expected_version()?, Some(3));
    Ok(Reply::new(Toy { name: call.body.name, version: 4 }).etag(ETag::version(4)))
}

async fn remove(_call: Call<ToyPath, (), (), Fake>) -> Result<Reply<()>, Problem> {
    Ok(Reply::empty())
}

async fn press(_call: Call<(), (), (), Fake>) -> Result<Reply<()>, Problem> {
    Ok(Reply::empty())
}

async fn me(call: Call<(), (), (), Fake>) -> Result<Reply<Me>, Problem> {
    Ok(Reply::new(Me { who: format!("{:?}", call.ctx.who), address: call.ctx.address }))
}

async fn system(_call: Call<(), (), (), Fake>) -> Result<Reply<()>, Problem> {
    Ok(Reply::empty())
}

pub fn routes() -> Routes<Fake> {
    const TAG: &str = "Toys";
    const READ: Guard = Guard::Permission("toys.toys.read");
    const WRITE: Guard = Guard::Permission("toys.toys.write");
    Routes::new().with([
        Route::list("/api/v1/organizations/{organization}/toys", READ, list).named(
            "toys.list",
            TAG,
            "Lists toys",
        ),
        Route::post("/api/v1/organizations/{organization}/toys", WRITE, make)
            .named("toys.make", TAG, "Makes a toy")
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::Taken])
            .example(r#"{"name": "bear", "price_cents": 1990}"#)
            .timeout(std::time::Duration::from_millis(200)),
        Route::get("/api/v1/organizations/{organization}/toys/{toy}", READ, get).named(
            "toys.get",
            TAG,
            "Shows one toy",
        ),
        Route::put("/api/v1/organizations/{organization}/toys/{toy}", WRITE, change)
            .named("toys.change", TAG, "Changes a toy")
            .demands_if_match(),
        Route::delete("/api/v1/organizations/{organization}/toys/{toy}", WRITE, remove).named(
            "toys.remove",
            TAG,
            "Removes a toy",
        ),
        Route::post("/api/v1/press", Guard::SignedIn("a button everybody may press"), press).named(
            "button.press",
            TAG,
            "Presses the button",
        ),
        Route::post("/api/v1/toys", WRITE, make)
            .named("toys.make-at-home", TAG, "Makes a toy in the caller's organization")
            .bad_request_only(),
        Route::post("/api/v1/secrets", Guard::SignedIn("makes a secret of one's own"), press)
            .named("secrets.make", TAG, "Makes a secret")
            .keeps_no_answers(),
        Route::get("/api/v1/me", Guard::SignedIn("everybody may see who they are"), me).named(
            "me.get",
            TAG,
            "Shows the caller",
        ),
        Route::get("/api/v1/hello", Guard::Public("a greeting"), me).named("hello.get", TAG, "Greets"),
        Route::get("/api/v1/system", Guard::PlatformPermission("platform.system.read"), system).named(
            "system.get",
            TAG,
            "Shows the system",
        ),
        Route::raw(
            Method::POST,
            "/access/echo",
            Guard::Permission("toys.toys.read"),
            |mut call: charter_api::edge::RawCall<Fake>| async move {
                let body = call.bytes().await?;
                Ok(charter_api::edge::Answer::json(body).into())
            },
        )
        .named("echo", TAG, "Echoes")
        .body_limit(100),
    ])
}

/// A service of these routes.
pub struct Service {
    pub gate: Fake,
    pub router: Router,
}

/// What came back.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Answered {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The slug of a problem document.
    pub fn slug(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let document = self.json();
        assert_eq!(document["status"], self.status);
        assert_eq!(document["request_id"], self.header("x-request-id"));
        assert!(document["title"].is_string() && document["detail"].is_string());
        document["type"].as_str().unwrap().strip_prefix("urn:charter:problem:").unwrap().to_owned()
    }
}

impl Default for Service {
    fn default() -> Self {
        Self::with(Settings::default())
    }
}

impl Service {
    pub fn with(settings: Settings) -> Self {
        let gate = Fake::default();
        Self { router: routes().into_router(gate.clone(), settings), gate }
    }

    pub async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answered {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// A request by ann.
    pub async fn ann(&self, method: &str, path: &str, body: &str) -> Answered {
        self.send(ask(method, path, &[("authorization", "Bearer ann")], body)).await
    }
}

pub fn ask(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/json");
    }
    request.body(Body::from(body.to_owned())).unwrap()
}
