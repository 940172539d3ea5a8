//! The OpenAPI 3.1 document, written from the route table and the schemas of the wire types.

use super::gate::Gate;
use super::page::{LIMIT_DEFAULT, LIMIT_MAX};
use super::problem::{ProblemDocument, TYPE_PREFIX};
use super::route::{Guard, Route};
use super::table::Routes;
use charter_kernel::ProblemKind;
use http::Method;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SCHEMAS: &str = "#/components/schemas/";

/// A generator whose named schemas are components.
pub(crate) fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator()
}

/// The names of the properties of a schema.
pub(crate) fn property_names(schema: &Schema) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

/// Whether an object schema, or one it refers to at its top, takes fields it does not name.
pub(crate) fn lets_unknown_fields_pass(schema: &Schema, generator: &SchemaGenerator) -> bool {
    object_is_open(schema.as_value(), generator, 0)
}

fn object_is_open(schema: &Value, generator: &SchemaGenerator, depth: usize) -> bool {
    if depth > 8 {
        return false;
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix(SCHEMAS))
    {
        return generator
            .definitions()
            .get(name)
            .is_some_and(|target| object_is_open(target, generator, depth + 1));
    }
    ["anyOf", "oneOf"].iter().any(|key| {
        let choices = schema.get(*key).and_then(Value::as_array);
        choices
            .is_some_and(|choices| choices.iter().any(|choice| object_is_open(choice, generator, depth + 1)))
    }) || (schema.get("properties").is_some()
        && schema.get("additionalProperties") != Some(&Value::Bool(false)))
}

impl<G: Gate> Routes<G> {
    /// The OpenAPI 3.1 document of the table.
    pub fn openapi(&self) -> Value {
        document(self)
    }
}

/// The OpenAPI 3.1 document of some routes.
pub(super) fn document<'a, G: Gate>(routes: impl IntoIterator<Item = &'a Route<G>>) -> Value {
    let mut generator = generator();
    let _ = generator.subschema_for::<ProblemDocument<'static>>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut tags: Vec<&str> = Vec::new();
    for route in routes {
        if !tags.contains(&route.tag) {
            tags.push(route.tag);
        }
        let operation = operation(route, &mut generator);
        paths.entry(route.path).or_default().insert(route.method.as_str().to_lowercase(), operation);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Charter",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "May this principal do this to that, here, now?",
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }, { "basic": [] }],
        "tags": tags.iter().map(|tag| json!({ "name": tag })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token from POST /api/v1/auth/login, or a service token.",
                },
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "A service token as password and its key id (the third part of it) as user name, for \
                        clients that can send nothing else. People's passwords are not taken.",
                },
            },
            "parameters": parameters(),
            "headers": headers(),
            "examples": problem_examples(),
            "schemas": schemas,
        },
    })
}

const DESCRIPTION: &str = "Times are RFC 3339 in UTC, ids are UUIDs. Unknown fields, unknown parameters and keys that stand \
twice are refused. Every problem is a problem document (RFC 9457) with a `type` that never changes. Lists are paged by \
`limit` and `cursor`. `POST` takes an `Idempotency-Key`. Things with a version carry an `ETag`; send it back as `If-Match` \
so that no change is lost. `Charter-At-Least: <revision>` asks for an answer that knows of a change made before. \
An answer with `Charter-Facts-Age: <seconds>` was given from memory: the database has not been heard from for so long.";

fn parameters() -> Value {
    json!({
        "limit": {
            "name": "limit", "in": "query", "description": "How many items at most.",
            "schema": { "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT },
        },
        "cursor": {
            "name": "cursor", "in": "query",
            "description": "The `next_cursor` of the page before. The filters must stay the same.",
            "schema": { "type": "string" },
        },
        "organization": {
            "name": "organization", "in": "query",
            "description": "Key or id of the organization; without it the one the credential was issued for.",
            "schema": { "type": "string" },
        },
        "idempotency_key": {
            "name": "Idempotency-Key", "in": "header",
            "description": "A key of your own choice: the same request with the same key is done once.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]{1,64}$" },
        },
        "if_match": {
            "name": "If-Match", "in": "header", "required": true,
            "description": "The ETag you read; another version is refused with 412.",
            "schema": { "type": "string" },
        },
        "if_none_match": {
            "name": "If-None-Match", "in": "header",
            "description": "The ETag you have; while nothing changed the answer is 304 without a body.",
            "schema": { "type": "string" },
        },
        "at_least": {
            "name": "Charter-At-Least", "in": "header",
            "description": "A revision (from `Charter-Revision`) the answer has to know of.",
            "schema": { "type": "integer", "minimum": 0 },
        },
        "etag": {
            "description": "The version of the answer, to send back as `If-None-Match`.",
            "schema": { "type": "string" },
        },
    })
}

fn headers() -> Value {
    json!({
        "request_id": {
            "description": "The request's id: what you sent, or a new one.",
            "schema": { "type": "string" },
        },
        "retry_after": {
            "description": "Seconds after which to try again.",
            "schema": { "type": "integer", "minimum": 0 },
        },
    })
}

/// A document of each kind of problem, which operations refer to.
fn problem_examples() -> Value {
    let example = |kind: &ProblemKind| {
        let value = json!({
            "type": format!("{TYPE_PREFIX}{}", kind.slug()),
            "title": kind.title(),
            "status": kind.status(),
            "detail": "what happened, and what to do about it",
            "request_id": "0193e7a0-0000-7000-8000-000000000001",
        });
        (kind.slug().to_owned(), json!({ "summary": kind.title(), "value": value }))
    };
    Value::Object(ProblemKind::ALL.iter().map(example).collect())
}

fn operation<G: Gate>(route: &Route<G>, generator: &mut SchemaGenerator) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".into(), route.name.into());
    operation.insert("tags".into(), json!([route.tag]));
    operation.insert("summary".into(), route.summary.into());
    let guard = format!("{}.", upper_first(&route.guard.to_string()));
    let description =
        if route.description.is_empty() { guard } else { format!("{}\n\n{guard}", route.description) };
    operation.insert("description".into(), description.into());
    if matches!(route.guard, Guard::Public(_)) {
        operation.insert("security".into(), json!([]));
    }
    if let Some(code) = route.guard.permission() {
        operation.insert("x-charter-permission".into(), code.into());
    }
    let parameters = parameters_of(route, generator);
    if !parameters.is_empty() {
        operation.insert("parameters".into(), parameters.into());
    }
    if let Some(shape) = route.shapes.body {
        let mut media = Map::new();
        media.insert("schema".into(), shape(generator).to_value());
        if let Some(example) = route.example.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            media.insert("example".into(), example);
        }
        let body = json!({ "required": !route.is_body_optional, "content": { route.body_type: media } });
        operation.insert("requestBody".into(), body);
    }
    let mut responses = Map::new();
    let mut good = Map::new();
    good.insert("description".into(), "Done.".into());
    good.insert("headers".into(), json!({ "X-Request-ID": { "$ref": "#/components/headers/request_id" } }));
    if let Some(shape) = route.shapes.reply {
        let schema = shape(generator).to_value();
        let types = std::iter::once(route.reply_type).chain(route.other_types.iter().copied());
        let content: Map<String, Value> =
            types.map(|kind| (kind.to_owned(), json!({ "schema": schema }))).collect();
        good.insert("content".into(), content.into());
    } else if route.reply_type != "application/json" {
        good.insert("content".into(), json!({ route.reply_type: {} }));
    }
    if route.is_conditional {
        let tag = json!({ "$ref": "#/components/headers/etag" });
        if let Some(headers) = good.get_mut("headers").and_then(Value::as_object_mut) {
            headers.insert("ETag".into(), tag.clone());
        }
        let unchanged = json!({
            "description": "Nothing changed: what `If-None-Match` names is still current. There is no body.",
            "headers": { "X-Request-ID": { "$ref": "#/components/headers/request_id" }, "ETag": tag },
        });
        responses.insert("304".to_owned(), unchanged);
    }
    responses.insert(route.status.as_str().to_owned(), Value::Object(good));
    for (status, kinds) in problems_of(route) {
        let titles: Vec<&str> = kinds.iter().map(|kind| kind.title()).collect();
        let slugs: Vec<&str> = kinds.iter().map(|kind| kind.slug()).collect();
        let examples: Map<String, Value> = slugs
            .iter()
            .map(|slug| ((*slug).to_owned(), json!({ "$ref": format!("#/components/examples/{slug}") })))
            .collect();
        let mut problem = json!({
            "description": format!("{}.", titles.join("; ")),
            "headers": { "X-Request-ID": { "$ref": "#/components/headers/request_id" } },
            "content": {
                "application/problem+json": {
                    "schema": { "$ref": format!("{SCHEMAS}Problem") },
                    "examples": examples,
                },
            },
            "x-charter-problems": slugs,
        });
        if matches!(status, 429 | 503)
            && let Some(headers) = problem.get_mut("headers").and_then(Value::as_object_mut)
        {
            headers.insert("Retry-After".into(), json!({ "$ref": "#/components/headers/retry_after" }));
        }
        responses.insert(status.to_string(), problem);
    }
    operation.insert("responses".into(), Value::Object(responses));
    Value::Object(operation)
}

fn upper_first(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

fn parameters_of<G: Gate>(route: &Route<G>, generator: &mut SchemaGenerator) -> Vec<Value> {
    let shared = |name: &str| json!({ "$ref": format!("#/components/parameters/{name}") });
    let mut parameters = Vec::new();
    let path = route.shapes.path.map(|shape| shape(generator)).unwrap_or_default();
    for name in route.path_names() {
        let mut schema = match path.get("properties").and_then(|properties| properties.get(name)) {
            Some(schema) => schema.clone(),
            None if name == "organization" => {
                json!({ "type": "string", "description": "Key or id of the organization." })
            }
            None => json!({ "type": "string" }),
        };
        let description = take_description(&mut schema);
        parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": description, "schema": schema,
        }));
    }
    if let Some(shape) = route.shapes.query {
        let query = shape(generator);
        let required: Vec<&str> = query
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        for (name, schema) in query.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let mut schema = schema.clone();
            let description = take_description(&mut schema);
            not_null(&mut schema);
            parameters.push(json!({
                "name": name, "in": "query", "required": required.contains(&name.as_str()),
                "description": description, "schema": schema,
            }));
        }
    }
    if route.is_paged {
        parameters.extend([shared("limit"), shared("cursor")]);
    }
    if route.takes_organization_in_query() {
        parameters.push(shared("organization"));
    }
    if route.method == Method::POST
        && route.keeps_answers
        && matches!(route.run, super::route::Run::Typed(_))
        && !matches!(route.guard, Guard::Public(_))
    {
        parameters.push(shared("idempotency_key"));
    }
    if route.demands_if_match {
        parameters.push(shared("if_match"));
    }
    if route.is_conditional {
        parameters.push(shared("if_none_match"));
    }
    if route.guard.permission().is_some() {
        parameters.push(shared("at_least"));
    }
    parameters
}

fn take_description(schema: &mut Value) -> String {
    let taken = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    taken.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A parameter that may be left out is not sent as null.
fn not_null(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = schema.get("type") {
        let mut types: Vec<Value> = types.iter().filter(|kind| *kind != "null").cloned().collect();
        if let (1, Some(only)) = (types.len(), types.pop()) {
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get("anyOf") {
        let mut left: Vec<Value> = choices
            .iter()
            .filter(|choice| choice.get("type").is_none_or(|kind| kind != "null"))
            .cloned()
            .collect();
        if left.len() == 1
            && let Some(Value::Object(only)) = left.pop()
        {
            schema.remove("anyOf");
            schema.extend(only);
        }
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

/// The problems a route can answer with, by status.
fn problems_of<G: Gate>(route: &Route<G>) -> BTreeMap<u16, Vec<ProblemKind>> {
    use ProblemKind::{
        Changed, Forbidden, IdempotencyMismatch, InProgress, Internal, Invalid, Malformed, NotFound,
        OutcomeUnknown, PreconditionRequired, SecondFactor, StepUp, TooLarge, Unauthenticated, Unavailable,
        UnsupportedMediaType,
    };
    let mut kinds: Vec<ProblemKind> = vec![Internal, Unavailable];
    if route.method != Method::GET {
        kinds.push(OutcomeUnknown);
    }
    let is_typed = matches!(route.run, super::route::Run::Typed(_));
    if is_typed || route.takes_body() || route.shapes.query.is_some() {
        kinds.push(Malformed);
    }
    match route.guard {
        Guard::Permission(_) | Guard::PlatformPermission(_) => {
            kinds.extend([Unauthenticated, SecondFactor, Forbidden, NotFound]);
        }
        Guard::SignedIn(_) => kinds.push(Unauthenticated),
        Guard::Public(_) => {}
    }
    if route.shapes.path.is_some() {
        kinds.push(NotFound);
    }
    if route.takes_body() {
        kinds.push(TooLarge);
        if !route.is_lenient {
            kinds.extend([UnsupportedMediaType, Invalid]);
        }
    }
    if route.method == Method::POST
        && is_typed
        && route.keeps_answers
        && !matches!(route.guard, Guard::Public(_))
    {
        kinds.extend([InProgress, IdempotencyMismatch]);
    }
    if route.demands_if_match {
        kinds.extend([Changed, PreconditionRequired]);
    }
    if route.demands_recent_sign_in {
        kinds.push(StepUp);
    }
    kinds.extend(route.problems);
    let mut seen = BTreeSet::new();
    let mut by_status: BTreeMap<u16, Vec<ProblemKind>> = BTreeMap::new();
    for kind in kinds {
        if seen.insert(kind.slug()) {
            by_status.entry(kind.status()).or_default().push(kind);
        }
    }
    by_status
}
