//! A route: one row of the table, with its guard, its words, its shapes and its handler.

use super::answer::{Answer, Reply};
use super::call::Call;
use super::cookie::Client;
use super::gate::Gate;
use super::json;
use super::page::{Items, PageAsked};
use super::precondition::Precondition;
use super::raw::RawCall;
use super::text::{self, Pairs};
use axum::body::Bytes;
use axum::response::Response;
use charter_app::App;
use charter_kernel::{OrganizationId, Problem, ProblemKind, RequestId, Revision};
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Body bytes a route takes when it does not say.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// Who may use a route. There is no fifth way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Whoever holds the permission in the organization: the one in the path; else the one in the query (`organization`);
    /// else the one the credential was issued for.
    Permission(&'static str),
    /// Whoever holds the permission in the platform organization.
    PlatformPermission(&'static str),
    /// Anybody who is signed in, and why that is enough.
    SignedIn(&'static str),
    /// Anybody, and why.
    Public(&'static str),
}

impl Guard {
    /// The permission, where one is needed.
    pub fn permission(&self) -> Option<&'static str> {
        match self {
            Self::Permission(code) | Self::PlatformPermission(code) => Some(code),
            Self::SignedIn(_) | Self::Public(_) => None,
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission(code) => write!(f, "needs the permission {code}"),
            Self::PlatformPermission(code) => {
                write!(f, "needs the permission {code} in the platform organization")
            }
            Self::SignedIn(why) => write!(f, "needs a sign-in: {why}"),
            Self::Public(why) => write!(f, "open to anybody: {why}"),
        }
    }
}

/// A shape: gives the schema of a type.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The shapes of what goes in and out.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shapes {
    pub path: Option<Shape>,
    pub query: Option<Shape>,
    pub body: Option<Shape>,
    pub reply: Option<Shape>,
}

/// One request on its way to a typed handler.
pub(crate) struct Arrived<G: Gate> {
    pub app: G,
    pub ctx: G::Context,
    pub permit: Option<G::Permit>,
    pub organization: Option<OrganizationId>,
    pub path: Pairs,
    pub query: Pairs,
    pub body: Bytes,
    pub page: PageAsked,
    pub precondition: Precondition,
    pub at_least: Option<Revision>,
    pub request: RequestId,
    pub status: StatusCode,
    pub client: Client,
}

type Typed<G> = Arc<dyn Fn(Arrived<G>) -> BoxFuture<'static, Result<Answer, Problem>> + Send + Sync>;
type Raw<G> = Arc<dyn Fn(RawCall<G>) -> BoxFuture<'static, Result<Response, Problem>> + Send + Sync>;

pub(crate) enum Run<G: Gate> {
    Typed(Typed<G>),
    Raw(Raw<G>),
}

/// One route.
pub struct Route<G: Gate = App> {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) guard: Guard,
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) problems: &'static [ProblemKind],
    pub(crate) example: Option<&'static str>,
    pub(crate) body_type: &'static str,
    pub(crate) reply_type: &'static str,
    pub(crate) other_types: &'static [&'static str],
    pub(crate) is_conditional: bool,
    pub(crate) body_limit: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) is_paged: bool,
    pub(crate) is_lenient: bool,
    pub(crate) keeps_answers: bool,
    pub(crate) is_open_to_pages: bool,
    pub(crate) judges_origin: bool,
    pub(crate) repeatable: &'static [&'static str],
    pub(crate) demands_if_match: bool,
    pub(crate) demands_recent_sign_in: bool,
    pub(crate) knows_client: bool,
    pub(crate) is_for_people: bool,
    pub(crate) demands_strict_body: bool,
    pub(crate) is_body_optional: bool,
    pub(crate) shapes: Shapes,
    pub(crate) run: Run<G>,
}

fn is_unit<T: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<()>()
}

fn shape<T: JsonSchema + 'static>() -> Option<Shape> {
    if is_unit::<T>() { None } else { Some(SchemaGenerator::subschema_for::<T>) }
}

fn inline<T: JsonSchema + 'static>() -> Option<Shape> {
    if is_unit::<T>() { None } else { Some(T::json_schema) }
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $verb:ident = $method:ident;)*) => {$(
        $(#[$doc])*
        pub fn $verb<P, Q, B, T, F, R>(path: &'static str, guard: Guard, handler: F) -> Self
        where
            P: DeserializeOwned + JsonSchema + Send + 'static,
            Q: DeserializeOwned + JsonSchema + Send + 'static,
            B: DeserializeOwned + JsonSchema + Send + 'static,
            T: Serialize + JsonSchema + Send + 'static,
            F: Fn(Call<P, Q, B, G>) -> R + Send + Sync + 'static,
            R: Future<Output = Result<Reply<T>, Problem>> + Send + 'static,
        {
            Self::typed(Method::$method, path, guard, handler)
        }
    )*};
}

impl<G: Gate> Route<G> {
    verbs! {
        /// A route that reads.
        get = GET;
        /// A route that does or makes something; takes an `Idempotency-Key`.
        post = POST;
        /// A route that replaces something.
        put = PUT;
        /// A route that changes something in part.
        patch = PATCH;
        /// A route that removes something.
        delete = DELETE;
    }

    /// A route that reads a list page by page: `limit` and `cursor` are taken out of the query before `Q` is read.
    pub fn list<P, Q, T, F, R>(path: &'static str, guard: Guard, handler: F) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        T: Serialize + JsonSchema + Send + 'static,
        F: Fn(Call<P, Q, (), G>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reply<Items<T>>, Problem>> + Send + 'static,
    {
        Self { is_paged: true, ..Self::typed(Method::GET, path, guard, handler) }
    }

    fn typed<P, Q, B, T, F, R>(method: Method, path: &'static str, guard: Guard, handler: F) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        B: DeserializeOwned + JsonSchema + Send + 'static,
        T: Serialize + JsonSchema + Send + 'static,
        F: Fn(Call<P, Q, B, G>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reply<T>, Problem>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let run: Typed<G> = Arc::new(move |arrived: Arrived<G>| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let body = if is_unit::<B>() {
                    if !arrived.body.is_empty() {
                        return Err(Problem::new(
                            ProblemKind::Malformed,
                            "this operation takes no body: send none",
                        ));
                    }
                    json::read(b"null")?
                } else {
                    json::read(&arrived.body)?
                };
                let call = Call {
                    path: if is_unit::<P>() { json::read(b"null")? } else { text::read_path(&arrived.path)? },
                    query: text::read_query(&arrived.query)?,
                    body,
                    app: arrived.app,
                    ctx: arrived.ctx,
                    page_asked: arrived.page,
                    precondition: arrived.precondition,
                    at_least: arrived.at_least,
                    request: arrived.request,
                    permit: arrived.permit,
                    organization: arrived.organization,
                    client: arrived.client,
                };
                handler(call).await?.into_answer(arrived.status)
            })
        });
        Self {
            status: if is_unit::<T>() { StatusCode::NO_CONTENT } else { StatusCode::OK },
            shapes: Shapes {
                path: inline::<P>(),
                query: inline::<Q>(),
                body: shape::<B>(),
                reply: shape::<T>(),
            },
            demands_strict_body: true,
            ..Self::with(method, path, guard, Run::Typed(run))
        }
    }

    /// A route that reads its request and writes its response itself. Request id, address, authentication, guard, time-out
    /// and the headers of every answer are still the edge's.
    pub fn raw<F, R>(method: Method, path: &'static str, guard: Guard, handler: F) -> Self
    where
        F: Fn(RawCall<G>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        Self::with(method, path, guard, Run::Raw(Arc::new(move |call| Box::pin(handler(call)))))
    }

    fn with(method: Method, path: &'static str, guard: Guard, run: Run<G>) -> Self {
        Self {
            method,
            path,
            guard,
            name: "",
            summary: "",
            description: "",
            tag: "",
            status: StatusCode::OK,
            problems: &[],
            example: None,
            body_type: "application/json",
            reply_type: "application/json",
            other_types: &[],
            is_conditional: false,
            body_limit: BODY_LIMIT,
            timeout: None,
            is_paged: false,
            is_lenient: false,
            keeps_answers: true,
            is_open_to_pages: false,
            judges_origin: false,
            repeatable: &[],
            demands_if_match: false,
            demands_recent_sign_in: false,
            knows_client: false,
            is_for_people: false,
            demands_strict_body: false,
            is_body_optional: false,
            shapes: Shapes::default(),
            run,
        }
    }

    /// The operation's name, its tag and what it does in one sentence. The name is unique and made of words joined by dots
    /// (`grants.give`): the command line uses them as its command.
    pub fn named(self, name: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self { name, tag, summary, ..self }
    }

    /// More about it than the summary.
    pub fn described(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// The status of a good answer, where it is neither 200 nor (without a body) 204.
    pub fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Problems besides those every route of its kind has.
    pub fn problems(self, problems: &'static [ProblemKind]) -> Self {
        Self { problems, ..self }
    }

    /// A body that works, as a JSON text.
    pub fn example(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }

    /// How long a body may be.
    pub fn body_limit(self, body_limit: usize) -> Self {
        Self { body_limit, ..self }
    }

    /// How long it may take, where that is not the common limit.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Every fault of the body is 400, never 415 or 422 (AuthZEN).
    pub fn bad_request_only(self) -> Self {
        Self { is_lenient: true, demands_strict_body: false, ..self }
    }

    /// Answers are never kept for an `Idempotency-Key` (they hold a secret): the header is refused.
    pub fn keeps_no_answers(self) -> Self {
        Self { keeps_answers: false, ..self }
    }

    /// No body at all is the same as `{}`.
    pub fn body_may_be_missing(self) -> Self {
        Self { is_body_optional: true, ..self }
    }

    /// A change without `If-Match` is refused (428).
    pub fn demands_if_match(self) -> Self {
        Self { demands_if_match: true, ..self }
    }

    /// Only for people who proved within ten minutes that it is them (401, `step-up-required`). Programs with a credential of their own
    /// and the operator at the machine are not concerned.
    pub fn demands_recent_sign_in(self) -> Self {
        Self { demands_recent_sign_in: true, ..self }
    }

    /// Only for people and the operator at the machine: who comes with an API key or service token is refused (403).
    pub fn for_people(self) -> Self {
        Self { is_for_people: true, ..self }
    }

    /// The handler is told what the client says of itself: its program, its cookies.
    pub fn knows_client(self) -> Self {
        Self { knows_client: true, ..self }
    }

    /// The type of the body, for the document of a raw route.
    pub fn takes<B: JsonSchema + 'static>(mut self) -> Self {
        self.shapes.body = shape::<B>();
        self
    }

    /// The same of a body that is a form.
    pub fn takes_form<B: JsonSchema + 'static>(self) -> Self {
        Self { body_type: "application/x-www-form-urlencoded", ..self.takes::<B>() }
    }

    /// Pages of every other origin may ask and read the answer. They never do so with a cookie: what shows who asks stands in the request.
    pub fn open_to_pages(self) -> Self {
        Self { is_open_to_pages: true, ..self }
    }

    /// The handler judges itself where a form comes from: some of them change nothing.
    pub fn judges_origin(self) -> Self {
        Self { judges_origin: true, ..self }
    }

    /// Parameters of the address that may stand several times.
    pub fn repeats(self, names: &'static [&'static str]) -> Self {
        Self { repeatable: names, ..self }
    }

    /// The type of the query, for the document of a raw route.
    pub fn asks<Q: JsonSchema + 'static>(mut self) -> Self {
        self.shapes.query = inline::<Q>();
        self
    }

    /// The type of the answer, for the document of a raw route.
    pub fn gives<T: JsonSchema + 'static>(mut self) -> Self {
        self.shapes.reply = shape::<T>();
        self
    }

    /// The content type of the answer, for the document of a raw route.
    pub fn gives_type(self, reply_type: &'static str) -> Self {
        Self { reply_type, ..self }
    }

    /// Other content types the answer may have, with the same schema.
    pub fn gives_also(self, other_types: &'static [&'static str]) -> Self {
        Self { other_types, ..self }
    }

    /// The answer carries an `ETag`; who sends it back as `If-None-Match` is told when nothing changed (304).
    pub fn conditional(self) -> Self {
        Self { is_conditional: true, ..self }
    }

    /// Whether it is only for people.
    pub fn is_for_people(&self) -> bool {
        self.is_for_people
    }

    /// Its method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Its path, with `{names}`.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Who may use it.
    pub fn guard(&self) -> Guard {
        self.guard
    }

    /// Its operation id.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its tag.
    pub fn tag(&self) -> &'static str {
        self.tag
    }

    /// What it does.
    pub fn summary(&self) -> &'static str {
        self.summary
    }

    /// More about it than the summary.
    pub fn description(&self) -> &'static str {
        self.description
    }

    /// A body that works.
    pub fn body_example(&self) -> Option<&'static str> {
        self.example
    }

    /// Whether it gives pages of a list.
    pub fn is_paged(&self) -> bool {
        self.is_paged
    }

    /// Whether it takes a body.
    pub fn takes_body(&self) -> bool {
        self.shapes.body.is_some()
    }

    /// Whether its body is a form.
    pub fn takes_form_body(&self) -> bool {
        self.takes_body() && self.body_type != "application/json"
    }

    /// The names in its path, in order.
    pub fn path_names(&self) -> Vec<&'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
    }

    /// Whether the organization may be named in the query because the path does not name it.
    pub fn takes_organization_in_query(&self) -> bool {
        matches!(self.guard, Guard::Permission(_)) && !self.path_names().contains(&"organization")
    }
}

impl<G: Gate> fmt::Debug for Route<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}): {}", self.method, self.path, self.name, self.guard)
    }
}
