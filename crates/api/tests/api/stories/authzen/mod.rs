//! AuthZEN over HTTP, with the credential of a policy enforcement point: the world of the certification scenario, and stories in it.

mod batch;
mod certification;
mod discovery;
mod fault;
mod guide;
mod isolation;
mod paging;
mod properties;

use super::{Story, Told, Who};
use axum::Router;
use axum::body::Body;
use charter_api::edge::Settings;
use charter_testkit::database::TestDatabase;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

const CATALOGUE: &str = include_str!("data/records.toml");

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";
const SUBJECT: &str = "/access/v1/search/subject";
const RESOURCE: &str = "/access/v1/search/resource";
const ACTION: &str = "/access/v1/search/action";

const ENDPOINTS: [&str; 5] = [EVALUATION, EVALUATIONS, SUBJECT, RESOURCE, ACTION];

/// The organization `records` with alice and bob, two records, and the gateway that asks about them.
struct Records {
    story: Story,
    router: Router,
    /// The gateway's service token.
    token: String,
    /// Its id.
    token_id: String,
}

fn place(rest: &str) -> String {
    format!("/api/v1/organizations/records/{rest}")
}

impl Records {
    async fn open(database: TestDatabase) -> Self {
        let story = Story::company(database).await;
        let by = Who::Operator;
        story.post(by, "/api/v1/catalogue/apply", json!({"document": CATALOGUE})).await.is(200);
        let body = json!({"key": "records", "name": "Records", "enabled_modules": []});
        story.post(by, "/api/v1/organizations", body).await.is(201);
        let sold = json!({"status": "enabled", "reason": "sold"});
        story.put(by, &place("entitlements/cert"), sold).await.is(200);
        for (login, attributes) in [("alice", json!({})), ("bob", json!({"role": "admin"}))] {
            let body = json!({"login": login, "attributes": attributes});
            story.post(by, &place("members"), body).await.is(201);
        }
        for (id, status) in [("record-1", "active"), ("record-2", "archived")] {
            let body = json!({"attributes": {"status": status}});
            story.put(by, &place(&format!("resources/record/{id}")), body).await.is(200);
        }
        let equals = |of: &str, attribute: &str, value: Value| json!({"form": "equals", "of": of, "attribute": attribute, "value": value});
        for (key, condition) in [
            ("in-use", json!({"form": "cel", "expression": "resource.properties.status != \"archived\""})),
            ("soft", equals("action", "soft", json!(true))),
            (
                "archivist",
                json!({"form": "all", "of": [equals("subject", "role", json!("admin")), equals("resource", "status", json!("archived"))]}),
            ),
        ] {
            story
                .put(by, &place(&format!("conditions/{key}")), json!({"condition": condition}))
                .await
                .is(200);
        }
        let roles = [
            ("cert_reader", json!([{"permission": "cert.record.read"}]), vec!["alice", "bob"]),
            (
                "cert_writer",
                json!([{"permission": "cert.record.write", "condition": "in-use"}]),
                vec!["alice"],
            ),
            (
                "cert_archivist",
                json!([{"permission": "cert.record.write", "condition": "archivist"}]),
                vec!["alice", "bob"],
            ),
        ];
        for (key, permissions, holders) in roles {
            let body = json!({"key": key, "name": key, "permissions": permissions});
            story.post(by, &place("roles"), body).await.is(201);
            for holder in holders {
                let body = json!({"role": key, "subject": {"member": holder}});
                story.post(by, &place("assignments"), body).await.is(201);
            }
        }
        let grant = json!({
            "subject": {"member": "alice"}, "permission": "cert.record.delete", "condition": "soft", "reason": "her records",
        });
        story.post(by, &place("grants"), grant).await.is(201);
        let (token, token_id) = gateway(&story, "records", "gateway").await;
        let settings = Settings {
            public_url: "https://charter.example/".to_owned(),
            is_https: true,
            ..Settings::default()
        };
        let router = charter_api::routes().into_router(story.app.clone(), settings);
        Self { story, router, token, token_id }
    }

    /// Sends a request whose headers and body are as given.
    async fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Told {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Told { status: parts.status, headers: parts.headers, body }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Asks as the gateway, with a text as body.
    async fn ask_text(&self, path: &str, body: impl Into<Body>) -> Told {
        let headers = [("authorization", &*self.bearer()), ("content-type", "application/json")];
        self.raw(Method::POST, path, &headers, body).await
    }

    /// Asks as the gateway.
    async fn ask(&self, path: &str, body: Value) -> Told {
        self.ask_text(path, body.to_string()).await
    }

    /// Whether a question is answered by yes.
    async fn is_allowed(&self, question: Value) -> bool {
        let told = self.ask(EVALUATION, question).await.is(200);
        told.body["decision"].as_bool().unwrap()
    }
}

/// A service account that may ask about an organization, and a token for it.
async fn gateway(story: &Story, organization: &str, login: &str) -> (String, String) {
    let place = |rest: &str| format!("/api/v1/organizations/{organization}/{rest}");
    let by = Who::Operator;
    story.post(by, &place("members"), json!({"login": login, "kind": "service_account"})).await.is(201);
    let asker =
        json!({"key": "asker", "name": "May ask", "permissions": [{"permission": "admin.permissions.read"}]});
    story.post(by, &place("roles"), asker).await.is(201);
    let body = json!({"role": "asker", "subject": {"member": login}});
    story.post(by, &place("assignments"), body).await.is(201);
    let body = json!({"account": login, "name": "policy enforcement"});
    let made = story.post(by, &place("service-tokens"), body).await.is(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made.body["token"]), text(&made.body["service_token"]["id"]))
}

fn question(subject: &str, action: &str, record: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": subject},
        "action": {"name": action},
        "resource": {"type": "record", "id": record},
    })
}

/// A body each endpoint answers.
fn good_body(endpoint: &str) -> Value {
    let mut body = question("alice", "read", "record-1");
    if endpoint == EVALUATIONS {
        body["evaluations"] = json!([{}]);
    }
    body
}
