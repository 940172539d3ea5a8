//! The metadata document.

use super::{Records, Who, question};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const PATH: &str = "/.well-known/authzen-configuration";

both_engines!(the_endpoints_are_found_from_the_configured_address_alone, async |database| {
    let records = Records::open(database).await;
    for place in ["", "/organizations/records"] {
        let headers = [("host", "evil.example"), ("x-forwarded-host", "evil.example")];
        let told = records.raw(Method::GET, &format!("{PATH}{place}"), &headers, "").await.is(200);
        assert_eq!(told.header("content-type"), "application/json");
        assert_eq!(told.header("cache-control"), "public, max-age=3600");
        let base = format!("https://charter.example{place}");
        let expected = json!({
            "policy_decision_point": base,
            "access_evaluation_endpoint": format!("{base}/access/v1/evaluation"),
            "access_evaluations_endpoint": format!("{base}/access/v1/evaluations"),
            "search_subject_endpoint": format!("{base}/access/v1/search/subject"),
            "search_resource_endpoint": format!("{base}/access/v1/search/resource"),
            "search_action_endpoint": format!("{base}/access/v1/search/action"),
        });
        assert_eq!(told.body, expected);
        // What it names is there.
        for (_, url) in told.body.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("endpoint")) {
            let path = url.as_str().unwrap().strip_prefix("https://charter.example").unwrap();
            let body = question("alice", "read", "record-1");
            records.ask(path, body).await.is(200);
        }
    }
});

both_engines!(without_an_https_address_there_is_no_document, async |database| {
    let records = Records::open(database).await;
    let told = records.story.get(Who::Nobody, PATH).await.is_problem(404, "not-found");
    assert!(told.body["detail"].as_str().unwrap().contains("public_url"));
    assert_eq!(told.body["policy_decision_point"], Value::Null);
});
