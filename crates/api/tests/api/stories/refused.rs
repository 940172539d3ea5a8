//! Bad input, row by row: each is a problem document that says what to do, and after each the organization is what it was.

use super::every_route::filled;
use super::{ANN, BOB, PAT, Story, Who};
use axum::body::Body;
use charter_api::edge::LocalCaller;
use charter_testkit::both_engines;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

const TOYS: &str = "/api/v1/organizations/toys";

/// Everything an administrator can see, and the last event of the trail that is not a refusal.
async fn everything(story: &Story) -> Value {
    let mut all = serde_json::Map::new();
    for organization in ["toys", "platform"] {
        for part in ["", "/policy", "/members", "/entitlements", "/subscriptions"] {
            let path = format!("/api/v1/organizations/{organization}{part}");
            all.insert(path.clone(), story.get(Who::Operator, &path).await.is(200).body);
        }
        let path = format!("/api/v1/organizations/{organization}/audit/events");
        let events = story.get(Who::Operator, &path).await.is(200).body["items"].clone();
        let newest = events.as_array().unwrap().iter().find(|event| event["action"] != "check.deny").cloned();
        all.insert(path, newest.unwrap());
    }
    Value::Object(all)
}

impl Story {
    /// Sends a text as a body, whatever it is.
    async fn text(&self, who: Who, method: Method, path: &str, text: impl Into<Body>) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.extension(LocalCaller(self.caller(who))).body(text.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }
}

async fn prepared(story: &Story) {
    let post = async |path: &str, body: Value| story.post(ANN, &format!("{TOYS}/{path}"), body).await.is(201);
    post("teams", json!({"key": "a", "name": "A"})).await;
    post("teams", json!({"key": "b", "name": "B", "parent": "a"})).await;
    post("teams", json!({"key": "c", "name": "C", "parent": "b"})).await;
    post("roles", json!({"key": "first", "name": "First"})).await;
    post("roles", json!({"key": "second", "name": "Second", "parents": ["first"]})).await;
    post("roles", json!({"key": "third", "name": "Third", "parents": ["second"]})).await;
    for permission in ["admin.permissions.assign", "admin.roles.assign", "admin.roles.update"] {
        let body =
            json!({"subject": {"member": "bob@toys.example"}, "permission": permission, "reason": "helps"});
        let told = story.post(ANN, &format!("{TOYS}/grants"), body).await;
        assert!([201, 422].contains(&told.status.as_u16()), "{:#}", told.body);
    }
    let condition = json!({"condition": {"form": "owner"}});
    story.put(ANN, &format!("{TOYS}/conditions/own"), condition).await.is(200);
}

/// Who sends what where, the statuses it may get, and the word the problem has to say.
type Row<'a> = (Who, &'a Method, &'a str, Value, &'a [u16], &'a str);

both_engines!(what_cannot_be_is_a_problem_document_and_changes_nothing, async |database| {
    let story = Story::company(database).await;
    prepared(&story).await;
    let bob = json!({"member": "bob@toys.example"});
    let grant = |field: &str, value: Value| {
        let mut body = json!({"subject": bob, "permission": "sales.invoices.read", "reason": "x"});
        body[field] = value;
        body
    };
    let (post, put, patch, delete) = (Method::POST, Method::PUT, Method::PATCH, Method::DELETE);
    let cel = |text: &str| json!({"condition": {"form": "cel", "expression": text}});
    let window = json!({"role": "viewer", "subject": bob, "from": "2027-03-01T00:00:00Z", "to": "2027-02-01T00:00:00Z"});
    let deep = (0..70).fold(json!({"form": "owner"}), |inner, _| json!({"form": "not", "of": inner}));
    let rows: Vec<Row<'_>> = vec![
        // Unknown codes and patterns that match nothing.
        (ANN, &post, "grants", grant("permission", json!("finance.dragons.ride")), &[422], "permission"),
        (ANN, &post, "grants", grant("permission", json!("dragons.*.*")), &[422], "permission"),
        (ANN, &post, "grants", grant("permission", json!("*.*.ride")), &[422], "permission"),
        (ANN, &post, "grants", grant("permission", json!("sales.*.*.*")), &[422], "permission"),
        (ANN, &post, "grants", grant("reach", json!({"type": "dragons", "id": "1"})), &[422], "type"),
        (ANN, &post, "blocks", grant("permission", json!("dragons.*.*")), &[422], "permission"),
        (ANN, &post, "assignments", json!({"role": "dragon", "subject": bob}), &[422], "role"),
        (ANN, &put, "resources/dragons/1", json!({}), &[404, 422], "type"),
        (
            PAT,
            &put,
            "entitlements/dragons",
            json!({"status": "enabled", "reason": "x"}),
            &[404, 422],
            "module",
        ),
        (PAT, &post, "plan", json!({"plan": "dragon", "reason": "x"}), &[404, 422], "plan"),
        // Cycles.
        (ANN, &patch, "teams/a", json!({"parent": "a"}), &[422], "itself"),
        (ANN, &patch, "teams/a", json!({"parent": "c"}), &[422], ""),
        (ANN, &patch, "roles/first", json!({"parents": ["first"]}), &[422], ""),
        (ANN, &patch, "roles/first", json!({"parents": ["third"]}), &[422], ""),
        // Windows that end before they start.
        (ANN, &post, "assignments", window, &[422], "to"),
        (ANN, &post, "grants", grant("to", json!("2020-01-01T00:00:00Z")), &[422], "to"),
        (
            ANN,
            &post,
            "members",
            json!({"login": "x@toys.example", "from": "2027-03-01T00:00:00Z", "to": "2027-02-01T00:00:00Z"}),
            &[422],
            "to",
        ),
        // Conditions that do not compile.
        (ANN, &put, "conditions/own", cel("resource.amount <"), &[422], "expression"),
        (ANN, &put, "conditions/own", cel("dragon.amount < 1"), &[422], ""),
        (ANN, &put, "conditions/own", cel("1 + 1"), &[422], ""),
        (ANN, &put, "conditions/own", cel(&"(".repeat(2_000)), &[422], ""),
        (ANN, &put, "conditions/own", cel(&"a".repeat(100_000)), &[413, 422], ""),
        (ANN, &put, "conditions/own", json!({"condition": deep}), &[400, 422], ""),
        // Beyond the giver's own.
        (BOB, &post, "grants", grant("permission", json!("sales.invoices.delete")), &[403], ""),
        (BOB, &post, "grants", grant("permission", json!("*")), &[403], ""),
        (BOB, &post, "assignments", json!({"role": "org_admin", "subject": bob}), &[403], ""),
        // The last administrator.
        (Who::Operator, &delete, "members/ann@toys.example", Value::Null, &[409], "administrator"),
        (
            Who::Operator,
            &patch,
            "members/ann@toys.example",
            json!({"status": "deactivated"}),
            &[409],
            "administrator",
        ),
        (
            Who::Operator,
            &patch,
            "members/ann@toys.example",
            json!({"to": "2027-02-01T00:00:00Z"}),
            &[409],
            "administrator",
        ),
        // Wrong types, fields too many and too few.
        (ANN, &post, "teams", json!({"key": 7, "name": "Seven"}), &[422], "key"),
        (ANN, &post, "teams", json!({"key": "k", "name": "K", "colour": "red"}), &[422], "colour"),
        (ANN, &post, "teams", json!({"key": "k"}), &[422], "name"),
        (ANN, &post, "teams", json!([]), &[422], ""),
        (ANN, &post, "teams", json!({"key": "k", "name": "K\u{0}"}), &[422], "name"),
        (ANN, &post, "teams", json!({"key": "k", "name": "x".repeat(100_000)}), &[413, 422], ""),
        (ANN, &post, "policy/apply", json!({"document": "version = 1\n[[teams"}), &[422], ""),
        (ANN, &post, "policy/apply", json!({"document": ""}), &[409, 422], ""),
    ];
    let before = everything(&story).await;
    let mut wrong = Vec::new();
    for (who, method, path, body, statuses, word) in rows {
        let what = format!("{method} {path} {}", body.to_string().chars().take(150).collect::<String>());
        let body = (!body.is_null()).then_some(body);
        let told = story.send(who, method.clone(), &format!("{TOYS}/{path}"), &[], body).await;
        let text = told.body.to_string();
        if !statuses.contains(&told.status.as_u16()) || !text.contains(word) {
            wrong.push(format!("{what}: {} {text}", told.status));
            continue;
        }
        assert_eq!(told.header("content-type"), "application/problem+json", "{what}");
        assert!(told.body["type"].as_str().unwrap().starts_with("urn:charter:problem:"), "{what}");
        assert!(told.body["detail"].as_str().unwrap().len() > 5, "{what}: {:#}", told.body);
        assert!(told.body["detail"].as_str().unwrap().len() < 2_000, "{what}: a detail without end");
        let after = everything(&story).await;
        assert_eq!(before, after, "{what} changed something");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(everything(&story).await, before);
});

both_engines!(what_is_no_json_reaches_no_use_case_of_any_route, async |database| {
    let story = Story::company(database).await;
    let before = everything(&story).await;
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let large = format!("{{\"key\": \"{}\"}}", "x".repeat(3 << 20));
    let bodies: [(&str, &[u8]); 7] = [
        ("cut off", b"{\"key\": \"k\""),
        ("no JSON", b"\x00\x01\x02"),
        ("not UTF-8", b"{\"key\": \"\xff\"}"),
        ("a key twice", b"{\"key\": \"k\", \"key\": \"k\"}"),
        ("a number beyond all bounds", b"{\"key\": 1e999}"),
        ("too deep", deep.as_bytes()),
        ("too large", large.as_bytes()),
    ];
    let mut tried = 0;
    for route in &charter_api::routes() {
        // Forms have stories of their own (`oauth`).
        if !route.takes_body() || route.takes_form_body() {
            continue;
        }
        let path = filled(route.path(), "toys", |name| match name {
            "seq" | "version" => "1".to_owned(),
            _ => "none".to_owned(),
        });
        let who = if route.path().contains("organization}") { ANN } else { Who::Operator };
        for (what, body) in &bodies {
            let (status, told) = story.text(who, route.method().clone(), &path, body.to_vec()).await;
            let is_kept_from = [403, 404, 409].contains(&status);
            assert!([400, 413, 422].contains(&status) || is_kept_from, "{route:?} {what}: {status} {told:#}");
            assert!(told["detail"].is_string() || told.is_string(), "{route:?} {what}: {told:#}");
        }
        tried += 1;
    }
    assert!(tried > 30, "{tried}");
    assert_eq!(everything(&story).await, before);
});

both_engines!(who_asks_for_the_business_of_the_platform_is_told_whom_to_ask, async |database| {
    let story = Story::company(database).await;
    let reason = json!({"reason": "x"});
    for (method, path, body) in [
        (Method::GET, "/api/v1/organizations", None),
        (Method::POST, "/api/v1/organizations/toys/suspend", Some(&reason)),
        (Method::POST, "/api/v1/organizations/trade/suspend", Some(&reason)),
        (Method::POST, "/api/v1/organizations/nowhere/suspend", Some(&reason)),
        (Method::GET, "/api/v1/plans", None),
        (Method::GET, "/api/v1/catalogue/own", None),
    ] {
        let told = story.send(ANN, method, path, &[], body.cloned()).await.is_problem(404, "not-found");
        let detail = told.body["detail"].as_str().unwrap();
        assert!(detail.starts_with("this is the business of the platform"), "{path}: {detail}");
        assert!(detail.ends_with("ask whoever runs this installation"), "{path}: {detail}");
        assert!(
            !detail.contains("toys") && !detail.contains("trade") && !detail.contains("nowhere"),
            "{detail}"
        );
    }
});

both_engines!(a_path_that_can_name_nothing_is_told_in_plain_words, async |database| {
    let story = Story::company(database).await;
    for (path, detail) in [
        ("audit/events/first", "nothing is there: the number in the path is wrong: expected a whole number"),
        ("api-keys/7/release", "nothing is there: the key in the path is not an id: 32 hexadecimal digits"),
        (
            "conditions/Office",
            "nothing is there: the condition in the path is written otherwise: 1 to 64 characters",
        ),
    ] {
        let (method, body) = match path.split('/').next() {
            Some("conditions") => (Method::PUT, Some(json!({"condition": {"form": "owner"}}))),
            Some("api-keys") => (Method::POST, Some(json!({"reason": "x"}))),
            _ => (Method::GET, None),
        };
        let told = story.send(ANN, method, &format!("{TOYS}/{path}"), &[], body).await;
        let told = told.is_problem(404, "not-found");
        assert!(told.body["detail"].as_str().unwrap().starts_with(detail), "{:#}", told.body);
    }
});
