//! Bent and rotten texts on every way into the service: bodies, paths, parameters, headers. Each is answered, none with a fault of
//! ours, and none lets anybody in. `charter_testkit::hostile` says how to go on for longer.

use super::{ANN, Story, Who};
use axum::body::Body;
use charter_testkit::both_engines;
use charter_testkit::hostile::texts;
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

const CASES: u32 = 300;

impl Story {
    /// Sends bytes as a body, or a header, as they are; none when no client could send them.
    async fn send_raw(
        &self,
        who: Who,
        method: Method,
        path: &str,
        header: Option<(&str, &str)>,
        body: &str,
    ) -> Option<u16> {
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some((name, value)) = header {
            let name: HeaderName = name.parse().unwrap();
            request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
        if who != Who::Nobody {
            request = request.extension(charter_api::edge::LocalCaller(self.caller(who)));
        }
        let request = request.body(Body::from(body.to_owned())).ok()?;
        Some(self.router.clone().oneshot(request).await.unwrap().status().as_u16())
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

both_engines!(bodies_are_answered_whatever_they_are, async |database| {
    let story = Story::company(database).await;
    let check = json!({"subject": "ann@toys.example", "permission": "finance.invoices.read", "at": "2027-01-15T08:00:00Z",
        "resource": {"type": "invoice", "id": "1042", "attributes": {"amount": 900}}, "context": {"address": "10.1.2.3", "mfa": true}});
    let evaluation = json!({"subject": {"type": "user", "id": "ann@toys.example"}, "action": {"name": "read", "properties": {"soft": true}},
        "resource": {"type": "invoice", "id": "1", "properties": {"status": "active"}}, "context": {"time": "2027-01-15T08:00:00Z"}});
    let evaluations = json!({"subject": {"type": "user", "id": "ann@toys.example"}, "options": {"evaluations_semantic": "deny_on_first_deny"},
        "evaluations": [{"action": {"name": "read"}, "resource": {"type": "invoice", "id": "1"}}]});
    let condition = json!({"condition": {"form": "cel", "expression": "resource.amount < 1000 && context.mfa == true || subject.level in [1, 2]"}});
    let times = json!({"condition": {"form": "all", "of": [{"form": "address", "ranges": ["10.0.0.0/8"]},
        {"form": "weekly", "days": ["mon"], "from": "08:00", "to": "17:00", "zone": "Europe/Berlin"}]}});
    let login =
        json!({"login": "ann@toys.example", "password": "correct horse battery", "organization": "toys"});
    let import = json!({"users": [{"login": "x@old.example", "name": "X", "password_hash": "pbkdf2:sha256:1000$salt$00"}]});
    let (check, evaluation, evaluations) =
        (check.to_string(), evaluation.to_string(), evaluations.to_string());
    let (condition, times, login, import) =
        (condition.to_string(), times.to_string(), login.to_string(), import.to_string());
    let seeds = [&*check, &*evaluation, &*evaluations, &*condition, &*times, &*login, &*import];
    let ways = [
        (Who::Operator, Method::POST, "/api/v1/organizations/toys/checks"),
        (Who::Operator, Method::POST, "/organizations/toys/access/v1/evaluation"),
        (Who::Operator, Method::POST, "/organizations/toys/access/v1/evaluations"),
        (ANN, Method::PUT, "/api/v1/organizations/toys/conditions/bent?dry_run=true"),
        (Who::Nobody, Method::POST, "/api/v1/auth/login"),
        (Who::Operator, Method::POST, "/api/v1/users/import?dry_run=true"),
    ];
    for text in texts(&seeds, CASES) {
        for (who, method, path) in &ways {
            let status = story.send_raw(*who, method.clone(), path, None, &text).await;
            assert!(status.is_none_or(|status| status < 500), "{path} answers {status:?} to {text:?}");
            assert!(*who != Who::Nobody || status != Some(200) || text == login, "{text:?} lets somebody in");
        }
    }
});

both_engines!(parameters_and_paths_are_answered_whatever_they_are, async |database| {
    let story = Story::company(database).await;
    let page = story.get(ANN, "/api/v1/organizations/toys/roles?limit=5").await.is(200);
    let cursor = page.body["next_cursor"].as_str().unwrap().to_owned();
    let seeds =
        [&*cursor, "ann@toys.example", "01890000-0000-7000-8000-000000000001", "5", "finance.invoices.read"];
    let roles: Vec<Value> = page.body["items"].as_array().unwrap().clone();
    for text in texts(&seeds, CASES) {
        let text = escaped(&text.chars().take(600).collect::<String>());
        let ways = [
            format!("/api/v1/organizations/toys/roles?limit=5&cursor={text}"),
            format!("/api/v1/organizations/toys/members?limit={text}"),
            format!("/api/v1/organizations/toys/members/{text}"),
            format!("/api/v1/organizations/{text}/members"),
            format!("/api/v1/organizations/toys/audit/events?from={text}"),
        ];
        for path in ways {
            let status = story.send_raw(ANN, Method::GET, &path, None, "").await;
            assert!(status.is_none_or(|status| status < 500), "{path} answers {status:?}");
        }
    }
    let again =
        story.get(ANN, &format!("/api/v1/organizations/toys/roles?limit=5&cursor={cursor}")).await.is(200);
    assert!(again.body["items"].as_array().unwrap().iter().all(|role| !roles.contains(role)));
});

both_engines!(headers_are_answered_whatever_they_are, async |database| {
    let story = Story::company(database).await;
    let seeds = [
        "Bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln",
        "Basic YW5uQHRveXMuZXhhbXBsZTpwYXNz",
        "\"7\", W/\"8\", *",
        "192.0.2.1, [2001:db8::1]:443, unknown",
        "for=192.0.2.60;proto=http;by=203.0.113.43",
        "__Host-ch_s=0123456789abcdef; other=1",
        "application/json; charset=utf-8",
        "0190aaaa-key-1",
    ];
    let names = [
        "authorization",
        "if-match",
        "if-none-match",
        "x-forwarded-for",
        "forwarded",
        "cookie",
        "origin",
        "sec-fetch-site",
        "accept",
        "accept-language",
        "idempotency-key",
        "x-request-id",
        "user-agent",
    ];
    for text in texts(&seeds, CASES) {
        let text: String = text.chars().take(2_000).collect();
        for name in names {
            let (path, who) = (
                "/api/v1/organizations/toys/members",
                if name == "authorization" { Who::Nobody } else { ANN },
            );
            let status = story.send_raw(who, Method::GET, path, Some((name, &text)), "").await;
            assert!(status.is_none_or(|status| status < 500), "{name}: {text:?} is answered {status:?}");
            assert!(who == ANN || status != Some(200), "{name}: {text:?} lets somebody in");
        }
    }
});
