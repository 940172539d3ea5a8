//! The way of a request: id, address, caller, guard, then body and handler, then the headers of every answer. One function
//! rather than a stack of layers: each layer would box a future, and the order would stand nowhere.

use super::address::client_address;
use super::answer::{AGED_SECONDS, FACTS_AGE};
use super::body::{lenient, typed_body};
use super::cookie::{Client, Cookies, Crumb};
use super::credential::{Credential, bearer, holds_key, is_basic};
use super::cross_origin;
use super::gate::Gate;
use super::host;
use super::lost;
use super::once::{claim, once};
use super::origin;
use super::page::PageAsked;
use super::patience::within;
use super::place::{Place, Places};
use super::precondition::Precondition;
use super::problem::Refusal;
use super::proxy_user::{self, Named};
use super::raw::RawCall;
use super::route::{Arrived, Guard, Route, Run};
use super::seal::{X_REQUEST_ID, seal, sent_id, sent_text};
use super::system::Documents;
use super::table::Routes;
use super::text::{self, Pairs};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use charter_kernel::problem::RateLimit;
use charter_kernel::{Problem, ProblemKind, RequestId, Revision};
use futures_util::FutureExt;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, Entry, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const AT_LEAST: HeaderName = HeaderName::from_static("charter-at-least");

/// What an installation decides about the edge.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they name the user they signed in, where they may.
    pub proxy_user_header: Option<HeaderName>,
    /// How long a request may take.
    pub timeout: Duration,
    /// Whether clients reach us over TLS (ours or a proxy's): browsers are told to stay on it.
    pub is_https: bool,
    /// The address of this service as clients know it, for examples.
    pub public_url: String,
    /// Whether and how browsers' sessions have cookies.
    pub cookies: Cookies,
    /// Names the service answers to, beside addresses and localhost; none answers to every name. A service that only this machine can
    /// reach is asked under no other, but by a page in a browser whose name was pointed here.
    pub host_names: Option<Vec<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            proxy_user_header: None,
            timeout: Duration::from_secs(15),
            is_https: false,
            public_url: "http://127.0.0.1:8080".to_owned(),
            cookies: Cookies::default(),
            host_names: None,
        }
    }
}

/// The caller of a request that never crossed a network: a command in the same process puts it on the request. What comes
/// from a socket cannot carry one.
#[derive(Debug, Clone)]
pub struct LocalCaller<C>(pub C);

/// What all requests share.
pub(crate) struct Shared {
    pub settings: Settings,
    pub documents: Documents,
}

/// The service over one table: what is given a request and gives the answer.
pub struct Edge<G: Gate> {
    inner: Arc<Inner<G>>,
}

impl<G: Gate> Clone for Edge<G> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

struct Inner<G: Gate> {
    gate: G,
    places: Places<G>,
    shared: Arc<Shared>,
}

impl<G: Gate> Routes<G> {
    /// The service of the table. Paths it does not have are answered with a problem document.
    pub fn into_edge(self, gate: G, settings: Settings) -> Edge<G> {
        let rows: Vec<_> = self.into_rows().into_iter().map(Arc::new).collect();
        let documents = Documents::of(rows.clone(), &settings);
        let shared = Arc::new(Shared { settings, documents });
        Edge { inner: Arc::new(Inner { gate, places: Places::of(rows), shared }) }
    }

    /// The same as a router, to be called in this process or put beside other routes.
    pub fn into_router(self, gate: G, settings: Settings) -> Router {
        let edge = self.into_edge(gate, settings);
        Router::new().fallback(move |request: Request| {
            let edge = edge.clone();
            async move {
                let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
                edge.answer(peer, request).await
            }
        })
    }
}

impl<G: Gate> Edge<G> {
    /// Answers a request that came from a peer.
    pub async fn answer(&self, peer: Option<SocketAddr>, request: Request) -> Response {
        answer(&self.inner, peer, request).await
    }
}

async fn answer<G: Gate>(edge: &Inner<G>, peer: Option<SocketAddr>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (place, names) = edge.places.find(parts.uri.path()).unzip();
    let sent = sent_text(&parts.headers);
    let id = sent_id(&parts.headers).unwrap_or_else(|| RequestId(edge.gate.fresh_id()));
    let settings = &edge.shared.settings;
    let route = place.and_then(|place| place.route(&parts.method));
    let limit = route.and_then(|route| route.timeout).unwrap_or(settings.timeout);
    let had_credential = parts.headers.contains_key(AUTHORIZATION);
    let had_basic = is_basic(&parts.headers);
    let method = parts.method.clone();
    let rate = OnceLock::new();
    let work =
        AssertUnwindSafe(process(edge, place.zip(names), route, id, peer, parts, body, &rate)).catch_unwind();
    let outcome = match within(limit, work).await {
        Some(Ok(outcome)) => outcome,
        Some(Err(panic)) => {
            let what = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(request = %id, %method, path = route.map(Route::path), what, "a handler panicked");
            let detail = "a bug of ours: the log has it under the request id";
            Err(Problem::new(ProblemKind::Internal, detail).into())
        }
        None => {
            let detail = format!(
                "not done within {} s: whether a change was made has to be read",
                limit.as_secs_f32()
            );
            Err(Problem::new(ProblemKind::OutcomeUnknown, detail).retry_after(1).into())
        }
    };
    let mut response = match outcome {
        Ok(response) => response,
        Err(refusal) => {
            Response::from(Refusal { had_credential, had_basic, ..hidden(refusal, id) }.answer(id))
        }
    };
    if let Some(rate) = rate.get() {
        rate_headers(response.headers_mut(), *rate);
    }
    let status = response.status().as_u16();
    tracing::debug!(request = %id, %method, path = route.map(Route::path), status, "answered");
    seal(response.headers_mut(), id, settings.is_https);
    cross_origin::open(route, response.headers_mut());
    let age = edge.gate.facts_age_seconds();
    if age >= AGED_SECONDS {
        response.headers_mut().insert(FACTS_AGE, HeaderValue::from(age));
    }
    if let Some(sent) = sent {
        response.headers_mut().insert(X_REQUEST_ID, sent);
    }
    if status == 401 && route.is_some_and(|route| route.is_lenient) {
        // Programs call these, some of which know nothing but Basic; in a browser it would open a dialog.
        response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"charter\""));
    }
    if method == Method::HEAD { without_body(response) } else { response }
}

/// How much of a key's rate is left, on each answer to it.
fn rate_headers(headers: &mut HeaderMap, rate: RateLimit) {
    headers.insert(RATE_LIMIT, HeaderValue::from(rate.limit));
    headers.insert(RATE_REMAINING, HeaderValue::from(rate.remaining));
    headers.insert(RATE_RESET, HeaderValue::from(rate.reset_seconds));
}

/// The answer to HEAD: everything but the body, its length included.
fn without_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    if let (Some(length), Entry::Vacant(entry)) =
        (body.size_hint().exact().filter(|length| *length > 0), parts.headers.entry(CONTENT_LENGTH))
    {
        entry.insert(HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}

/// What broke inside is for the log; the client learns where to look.
fn hidden(refusal: Refusal, id: RequestId) -> Refusal {
    if refusal.problem.kind != ProblemKind::Internal {
        return refusal;
    }
    tracing::error!(request = %id, detail = refusal.problem.detail, "internal error");
    let problem = Problem::new(ProblemKind::Internal, "a bug of ours: the log has it under the request id");
    Refusal { problem, ..refusal }
}

#[expect(clippy::too_many_arguments, reason = "one request, and where to say how much of a rate is left")]
async fn process<G: Gate>(
    edge: &Inner<G>,
    place: Option<(&Place<G>, Result<Pairs, Problem>)>,
    route: Option<&Route<G>>,
    id: RequestId,
    peer: Option<SocketAddr>,
    mut parts: Parts,
    body: Body,
    rate: &OnceLock<RateLimit>,
) -> Result<Response, Refusal> {
    if let Some(names) = &edge.shared.settings.host_names {
        host::check(&parts, names)?;
    }
    let Some((place, names)) = place else {
        if let Some(answer) = lost::answer(&parts) {
            return Ok(answer);
        }
        return Err(Problem::not_found("no such path: /docs lists them").into());
    };
    if let Some(answer) = cross_origin::preflight(place, &parts) {
        return Ok(answer);
    }
    let Some(route) = route else {
        let detail = format!("{} is not a method of this path", parts.method);
        let problem = Problem::new(ProblemKind::MethodNotAllowed, detail);
        return Err(Refusal { allow: Some(place.allow.clone()), ..problem.into() });
    };
    let gate = &edge.gate;
    let ctx = context(edge, route, id, peer, &mut parts).await.inspect_err(|problem| {
        if let Some(limit) = problem.rate_limit {
            rate.get_or_init(|| limit);
        }
    })?;
    if let Some(limit) = gate.rate_limit(&ctx) {
        rate.get_or_init(|| limit);
    }
    let client = if route.knows_client {
        Client::of(&parts.headers, edge.shared.settings.cookies)?
    } else {
        Client::default()
    };
    let path = names?;
    let at_least = at_least(&parts.headers)?;
    let mut query = text::query_pairs_with(parts.uri.query().unwrap_or_default(), route.repeatable)?;

    let organization = match route.guard {
        Guard::Public(_) => None,
        Guard::SignedIn(_) => {
            signed_in::<G>(&ctx)?;
            None
        }
        Guard::PlatformPermission(_) => {
            signed_in::<G>(&ctx)?;
            Some(gate.platform_organization().await?)
        }
        Guard::Permission(_) => {
            signed_in::<G>(&ctx)?;
            let in_path =
                path.iter().find(|(name, _)| name == "organization").map(|(_, value)| value.as_str());
            let in_query = if in_path.is_none() { text::take(&mut query, "organization") } else { None };
            match in_path.or(in_query.as_deref()) {
                Some(text) => Some(gate.resolve_organization(text).await?),
                None => Some(G::home_organization(&ctx).ok_or_else(|| {
                    text::parameter(
                        "organization",
                        "is missing: say which organization (your credential is for none)",
                    )
                })?),
            }
        }
    };
    // The guard first: who may not be here learns nothing about revisions or bodies.
    let permit = match (organization, route.guard.permission()) {
        (Some(organization), Some(code)) => {
            let found = gate.require(&ctx, organization, code).await;
            Some(found.map_err(|problem| of_platform(route, code, problem))?)
        }
        _ => None,
    };
    if route.is_for_people {
        G::require_person(&ctx)?;
    }
    if route.demands_recent_sign_in {
        gate.require_recent(&ctx)?;
    }
    if let (Some(organization), Some(revision)) = (organization, at_least) {
        gate.reach(&ctx, organization, revision).await?;
    }

    let run = match &route.run {
        Run::Typed(run) => run,
        Run::Raw(run) => {
            let call = RawCall {
                app: gate.clone(),
                ctx,
                request: id,
                parts,
                body,
                at_least,
                permit,
                organization,
                body_limit: route.body_limit,
                shared: Arc::clone(&edge.shared),
            };
            return Ok(run(call).await.map_err(|problem| lenient(route, problem))?);
        }
    };
    let precondition = Precondition::read(&parts.headers)?;
    if route.demands_if_match && !precondition.has_if_match() {
        let detail = "send the header If-Match with the ETag you read, so that nobody's change is lost; on the command line, --if-revision with the revision you read";
        return Err(Problem::new(ProblemKind::PreconditionRequired, detail).into());
    }
    let body = typed_body(route, &parts, body).await.map_err(|problem| lenient(route, problem))?;
    let claim = claim(route, organization, &parts, &body)?;
    let page = if route.is_paged {
        PageAsked::take(route.name, organization, &mut query)?
    } else {
        PageAsked::none()
    };
    let context_of_claim = claim.as_ref().map(|_| ctx.clone());
    let is_read = route.method == Method::GET;
    let known = precondition.clone();
    let arrived = Arrived {
        app: gate.clone(),
        ctx,
        permit,
        organization,
        path,
        query,
        body,
        page,
        precondition,
        at_least,
        request: id,
        status: route.status,
        client,
    };
    let answer = match (claim, context_of_claim) {
        (Some(claim), Some(ctx)) => Box::pin(once(gate, &ctx, &claim, id, run(arrived), route)).await?,
        _ => run(arrived).await.map_err(|problem| lenient(route, problem))?,
    };
    let is_known = is_read && answer.etag.as_ref().is_some_and(|etag| known.has_already(etag));
    Ok(if is_known { answer.not_modified().into() } else { answer.into() })
}

/// What an outsider of the platform is told: whose business a route is and whom to ask. That there is a platform is in the API document.
fn of_platform<G: Gate>(route: &Route<G>, code: &str, problem: Problem) -> Problem {
    if !matches!(route.guard, Guard::PlatformPermission(_)) || problem.kind != ProblemKind::NotFound {
        return problem;
    }
    let detail = format!(
        "this is the business of the platform, not of an organization: it needs {code} in the platform organization; ask whoever runs this installation"
    );
    Problem { detail, ..problem }
}

fn signed_in<G: Gate>(ctx: &G::Context) -> Result<(), Problem> {
    if G::is_signed_in(ctx) {
        return Ok(());
    }
    let detail = "no credential came with the request: send `Authorization: Bearer <token>`";
    Err(Problem::new(ProblemKind::Unauthenticated, detail))
}

async fn context<G: Gate>(
    edge: &Inner<G>,
    route: &Route<G>,
    id: RequestId,
    peer: Option<SocketAddr>,
    parts: &mut Parts,
) -> Result<G::Context, Problem> {
    let gate = &edge.gate;
    let peer = peer.map(|peer| peer.ip());
    let address = client_address(peer, &parts.headers, &edge.shared.settings.trusted_proxies);
    if parts.headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        return Err(Problem::new(ProblemKind::Malformed, "two Authorization headers: send one"));
    }
    if parts.uri.query().is_some_and(holds_key) {
        // Addresses are kept in logs, histories and referrers: a key that stood in one is as good as published.
        let detail = "a secret stands in the address: send it in the `Authorization` header or the body, and replace this one";
        return Err(Problem::new(ProblemKind::Malformed, detail));
    }
    if let Some(LocalCaller(caller)) = parts.extensions.remove::<LocalCaller<G::Caller>>() {
        return Ok(gate.context(caller, id, address));
    }
    let settings = &edge.shared.settings;
    if matches!(route.guard, Guard::Public(_)) {
        // A stale token must not keep anybody from signing in; another site's page must not sign them in as somebody else.
        if !route.is_open_to_pages && !route.judges_origin {
            origin::check(parts, settings, None)?;
        }
        let caller = gate.authenticate(Credential::None, address).await?;
        return Ok(gate.context(caller, id, address));
    }
    let cookie = settings.cookies.read(&parts.headers, Crumb::Session)?;
    let token = bearer(&parts.headers)?;
    let named = proxy_user::named(&parts.headers, peer, settings)?;
    if let Some(Named { login, secret }) = named {
        let caller = gate.authenticate(Credential::Named { login, secret }, address).await?;
        let sent = match (&token, cookie) {
            (Some(token), _) => Some(Credential::Bearer(token)),
            (None, cookie) => cookie.map(Credential::Cookie),
        };
        if let Some(sent) = sent
            && !G::is_same(&caller, &gate.authenticate(sent, address).await?)
        {
            let detail = "the proxy names one principal and the credential proves another: send one of them";
            return Err(Problem::new(ProblemKind::Malformed, detail));
        }
        if sent.is_none() {
            // The proxy knows its users by a cookie of its own, which a browser sends whoever's page asks.
            origin::check(parts, settings, Some(&|_| false))?;
            return Ok(gate.context(caller, id, address));
        }
    }
    match (token, cookie) {
        (Some(token), cookie) => {
            let caller = gate.authenticate(Credential::Bearer(&token), address).await?;
            // A cookie that proves nothing any more is no second credential.
            if let Some(cookie) = cookie
                && let Ok(other) = gate.authenticate(Credential::Cookie(cookie), address).await
                && !G::is_same(&caller, &other)
            {
                let detail = "the token and the cookie are of two principals: send one of them";
                return Err(Problem::new(ProblemKind::Malformed, detail));
            }
            Ok(gate.context(caller, id, address))
        }
        (None, Some(cookie)) => {
            let caller = gate.authenticate(Credential::Cookie(cookie), address).await?;
            let ctx = gate.context(caller, id, address);
            origin::check(parts, settings, Some(&|token: &str| gate.is_csrf_token(&ctx, token)))?;
            Ok(ctx)
        }
        (None, None) => {
            let caller = gate.authenticate(Credential::None, address).await?;
            Ok(gate.context(caller, id, address))
        }
    }
}

fn at_least(headers: &HeaderMap) -> Result<Option<Revision>, Problem> {
    let Some(value) = headers.get(AT_LEAST) else { return Ok(None) };
    let revision = value.to_str().ok().and_then(|text| text.parse().ok()).map(Revision);
    match revision {
        Some(revision) => Ok(Some(revision)),
        None => Err(Problem::new(
            ProblemKind::Malformed,
            "Charter-At-Least is not a revision: expected a whole number",
        )),
    }
}

/// The client's address as the edge sees it, for handlers outside the table.
pub fn address_of(parts: &Parts, settings: &Settings) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    client_address(peer, &parts.headers, &settings.trusted_proxies)
}
