//! Every case of the certification scenario: Basic, Batch and Search, Core and Properties.

use super::{Records, SUBJECT, Told, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CASES: &str = include_str!("data/certification.jsonl");

fn cases() -> Vec<Value> {
    CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn results(body: &Value) -> BTreeSet<String> {
    body["results"].as_array().map(|list| list.iter().map(Value::to_string).collect()).unwrap_or_default()
}

async fn send(records: &Records, case: &Value, body: Option<&Value>) -> Told {
    let bearer = match case["auth"].as_str() {
        None => Some(records.bearer()),
        Some("none") => None,
        Some(_) => Some("Bearer chs_live_0123456789AB_wrong".to_owned()),
    };
    let mut headers = vec![("content-type", "application/json")];
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        headers.retain(|(known, _)| known != name);
        headers.push((name, value.as_str().unwrap()));
    }
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    let text = match (case["raw"].as_str(), body) {
        (Some(raw), _) => raw.to_owned(),
        (None, Some(body)) => body.to_string(),
        (None, None) => String::new(),
    };
    let method: Method = case["method"].as_str().unwrap_or("POST").parse().unwrap();
    records.raw(method, case["path"].as_str().unwrap(), &headers, text).await
}

fn is_expected(case: &Value, told: &Told) -> Result<(), String> {
    let status = json!(told.status.as_u16());
    if case["status"] != status && !case["status"].as_array().is_some_and(|list| list.contains(&status)) {
        return Err(format!("status {status}"));
    }
    if status == 200 && told.header("content-type") != "application/json" {
        return Err("content type".to_owned());
    }
    if case.get("decision").is_some_and(|expected| told.body["decision"] != *expected) {
        return Err("decision".to_owned());
    }
    if let Some(expected) = case.get("evaluations") {
        let found: Vec<&Value> = told.body["evaluations"].as_array().into_iter().flatten().collect();
        let found: Vec<&Value> = found.iter().map(|it| &it["decision"]).collect();
        if json!(found) != *expected || told.body.get("decision").is_some() {
            return Err("evaluations".to_owned());
        }
    }
    if case["absent"].as_str().is_some_and(|key| told.body.get(key).is_some()) {
        return Err("a key that has to be absent".to_owned());
    }
    if case["echo"] == true && told.header("x-request-id") != case["headers"]["x-request-id"] {
        return Err("x-request-id".to_owned());
    }
    if case["expect_header"].as_str().is_some_and(|name| told.header(name).is_empty()) {
        return Err("header".to_owned());
    }
    let found = results(&told.body);
    let named = |key: &str| -> BTreeSet<String> {
        case[key].as_array().into_iter().flatten().map(Value::to_string).collect()
    };
    if case["follow_pages"] != true && !found.is_superset(&named("includes")) {
        return Err("results do not include".to_owned());
    }
    if case.get("results").is_some() && found != named("results") {
        return Err("results".to_owned());
    }
    Ok(())
}

async fn follow_pages(records: &Records, case: &Value) -> BTreeSet<String> {
    let mut body = case["body"].clone();
    let mut found = BTreeSet::new();
    for _ in 0..100 {
        let told = send(records, case, Some(&body)).await.is(200);
        let page = results(&told.body);
        assert!(page.len() <= 1, "{}", told.body);
        found.extend(page);
        let next = told.body["page"]["next_token"].as_str().unwrap();
        if next.is_empty() {
            return found;
        }
        body["page"]["token"] = json!(next);
    }
    panic!("100 pages and no end");
}

async fn every_case(records: &Records) {
    let all = cases();
    assert_eq!(all.len(), 141);
    let mut failed = Vec::new();
    for case in &all {
        let id = case["id"].as_str().unwrap();
        let told = send(records, case, case.get("body")).await;
        if let Err(what) = is_expected(case, &told) {
            failed.push(format!("{id}: {what}: {} {}", told.status, told.body));
            continue;
        }
        for _ in 1..case["repeat"].as_u64().unwrap_or(1) {
            assert_eq!(send(records, case, case.get("body")).await.body, told.body, "{id} is idempotent");
        }
        if let Some(same) = case["same_as"].as_str() {
            let same = all.iter().find(|it| it["id"] == same).unwrap();
            let other = send(records, same, same.get("body")).await;
            assert_eq!(results(&told.body), results(&other.body), "{id}");
        }
        if case["follow_pages"] == true {
            let includes: BTreeSet<String> =
                case["includes"].as_array().unwrap().iter().map(Value::to_string).collect();
            assert!(follow_pages(records, case).await.is_superset(&includes), "{id}");
        }
    }
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), all.len(), failed.join("\n"));
}

both_engines!(every_case_of_the_certification_scenario_passes, async |database| {
    let records = Records::open(database).await;
    every_case(&records).await;
});

both_engines!(every_case_passes_when_what_callers_say_counts, async |database| {
    let records = Records::open(database).await;
    let body = json!({"assertable": ["subject.*", "resource.*"]});
    records.story.patch(Who::Operator, "/api/v1/organizations/records", body).await.is(200);
    every_case(&records).await;
});

both_engines!(each_result_of_a_search_is_true_when_asked_as_an_evaluation, async |database| {
    let records = Records::open(database).await;
    for case in cases().iter().filter(|case| case["path"].as_str().unwrap().contains("/search/")) {
        if case["status"] != 200 {
            continue;
        }
        let (path, body) = (case["path"].as_str().unwrap(), &case["body"]);
        let told = records.ask(path, body.clone()).await.is(200);
        for result in told.body["results"].as_array().unwrap() {
            let mut asked = body.clone();
            let sought = if path == SUBJECT { "subject" } else { path.rsplit('/').next().unwrap() };
            let properties = asked[sought]["properties"].take();
            asked[sought] = result.clone();
            if sought != "action" && !properties.is_null() {
                asked[sought]["properties"] = properties;
            }
            assert!(records.is_allowed(asked.clone()).await, "{}: {asked}", case["id"]);
        }
    }
});
