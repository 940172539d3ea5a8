//! Organizations among themselves: a credential asks about its own, by whatever path.

use super::{
    ACTION, ENDPOINTS, EVALUATION, EVALUATIONS, RESOURCE, Records, SUBJECT, Who, gateway, good_body, question,
};
use crate::stories::ANN;
use charter_testkit::both_engines;
use http::Method;
use serde_json::json;

both_engines!(a_path_that_names_the_organization_asks_about_that_one, async |database| {
    let records = Records::open(database).await;
    let id = records.story.app.resolve_organization("records").await.unwrap().to_string();
    for endpoint in ENDPOINTS {
        for name in ["records", &id] {
            let here =
                records.ask(&format!("/organizations/{name}{endpoint}"), good_body(endpoint)).await.is(200);
            assert_eq!(here.body, records.ask(endpoint, good_body(endpoint)).await.is(200).body);
        }
        for name in ["toys", "trade", "nowhere", "01890000-0000-7000-8000-000000000001", "%2e%2e"] {
            let told = records.ask(&format!("/organizations/{name}{endpoint}"), good_body(endpoint)).await;
            told.is_problem(404, "not-found");
        }
    }
});

both_engines!(ids_of_another_organization_are_unknown_ones, async |database| {
    let records = Records::open(database).await;
    let sold = json!({"status": "enabled", "reason": "sold"});
    records.story.put(Who::Operator, "/api/v1/organizations/toys/entitlements/cert", sold).await.is(200);
    let theirs = json!({"attributes": {"status": "active"}});
    records
        .story
        .put(Who::Operator, "/api/v1/organizations/toys/resources/record/secret", theirs)
        .await
        .is(200);
    let ann = records.story.id_of(ANN).to_string();
    for subject in ["ann@toys.example", &ann] {
        let told = records.ask(EVALUATION, question(subject, "read", "record-1")).await.is(200);
        assert_eq!(told.body["decision"], false);
        let reason = told.body["context"]["reason"].as_str().unwrap();
        assert!(["unknown_subject", "not_a_member"].contains(&reason), "{reason}");
    }
    assert!(!records.is_allowed(question("alice", "read", "secret")).await);
    let mut body = question("alice", "read", "record-1");
    body["evaluations"] = json!([{"resource": {"type": "record", "id": "secret"}}, {"subject": {"type": "user", "id": ann}}, {}]);
    let told = records.ask(EVALUATIONS, body).await.is(200);
    let found: Vec<_> =
        told.body["evaluations"].as_array().unwrap().iter().map(|it| &it["decision"]).collect();
    assert_eq!(found, [&json!(false), &json!(false), &json!(true)]);
    for (endpoint, body) in [
        (SUBJECT, question("x", "read", "secret")),
        (RESOURCE, question(&ann, "read", "x")),
        (ACTION, question(&ann, "read", "record-1")),
        (ACTION, question("alice", "read", "secret")),
    ] {
        assert_eq!(records.ask(endpoint, body).await.is(200).body["results"], json!([]), "{endpoint}");
    }
    let told = records.ask(RESOURCE, question("alice", "read", "x")).await.is(200);
    assert!(!told.body.to_string().contains("secret"));
});

both_engines!(a_token_of_another_organization_asks_about_its_own_people, async |database| {
    let records = Records::open(database).await;
    let (token, _) = gateway(&records.story, "trade", "door").await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let body = question("alice", "read", "record-1").to_string();
    let told = records.raw(Method::POST, EVALUATION, &headers, body.clone()).await.is(200);
    assert_eq!(
        (&told.body["decision"], &told.body["context"]["layer"]),
        (&json!(false), &told.body["context"]["layer"])
    );
    let there = format!("/organizations/records{EVALUATION}");
    records.raw(Method::POST, &there, &headers, body).await.is_problem(404, "not-found");
    // A page token of one organization opens nothing in another.
    let mut search = question("alice", "read", "x");
    search["page"] = json!({"limit": 1});
    let next = records.ask(RESOURCE, search.clone()).await.is(200).body["page"]["next_token"].clone();
    assert_ne!(next, "");
    search["page"]["token"] = next;
    records.ask(RESOURCE, search.clone()).await.is(200);
    records.raw(Method::POST, RESOURCE, &headers, search.to_string()).await.is_problem(400, "malformed");
});

both_engines!(denials_that_were_told_are_on_the_trail, async |database| {
    let records = Records::open(database).await;
    for _ in 0..3 {
        assert!(!records.is_allowed(question("bob", "delete", "record-1")).await);
    }
    records.story.app.flush_denials().await.unwrap();
    let path = "/api/v1/organizations/records/audit/events?action=check.deny";
    assert_eq!(
        records.story.all(Who::Operator, path, 9, "/target").await,
        ["record:delete on record:record-1"]
    );
});
