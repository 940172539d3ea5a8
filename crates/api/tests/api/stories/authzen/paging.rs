//! Pages of the searches: complete over all pages, with tokens that belong to one question.

use super::{ACTION, RESOURCE, Records, SUBJECT, Who, place, question};
use charter_testkit::both_engines;
use serde_json::{Value, json};

/// Records 1 to 7 beside those of the scenario.
async fn with_more(records: &Records) {
    for number in 3..8 {
        let path = place(&format!("resources/record/record-{number}"));
        records.story.put(Who::Operator, &path, json!({"attributes": {"status": "active"}})).await.is(200);
    }
}

fn search() -> Value {
    json!({
        "subject": {"type": "user", "id": "alice", "properties": {"a": 1, "b": [true]}},
        "action": {"name": "read"},
        "resource": {"type": "record"},
        "context": {"channel": "web"},
    })
}

fn ids(body: &Value) -> Vec<String> {
    body["results"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

both_engines!(pages_together_are_the_whole_answer_whatever_their_size, async |database| {
    let records = Records::open(database).await;
    with_more(&records).await;
    let whole = records.ask(RESOURCE, search()).await.is(200);
    let all = ids(&whole.body);
    assert_eq!(all.len(), 7);
    assert_eq!(whole.body["page"], json!({"next_token": "", "count": 7}));
    for limit in 1..9 {
        for repeats_limit in [true, false] {
            let mut found = Vec::new();
            let mut body = search();
            body["page"] = json!({"limit": limit});
            loop {
                let told = records.ask(RESOURCE, body.clone()).await.is(200);
                let page = ids(&told.body);
                assert_eq!(told.body["page"]["count"], page.len());
                let next = told.body["page"]["next_token"].as_str().unwrap().to_owned();
                assert!(page.len() == limit || next.is_empty());
                found.extend(page);
                if next.is_empty() {
                    break;
                }
                body["page"] = json!({"token": next, "unknown": {"x": 1}});
                if repeats_limit {
                    body["page"]["limit"] = json!(limit);
                }
            }
            assert_eq!(found, all, "{limit}");
        }
    }
});

both_engines!(a_page_goes_on_although_the_facts_changed_between, async |database| {
    let records = Records::open(database).await;
    with_more(&records).await;
    let mut body = search();
    body["page"] = json!({"limit": 3});
    let first = records.ask(RESOURCE, body.clone()).await.is(200);
    assert_eq!(ids(&first.body), ["record-1", "record-2", "record-3"]);
    records.story.delete(Who::Operator, &place("resources/record/record-3")).await.is(200);
    records.story.delete(Who::Operator, &place("resources/record/record-5")).await.is(200);
    body["page"] = json!({"token": first.body["page"]["next_token"]});
    let second = records.ask(RESOURCE, body).await.is(200);
    assert_eq!(ids(&second.body), ["record-4", "record-6", "record-7"]);
    assert_eq!(second.body["page"]["next_token"], "");
});

both_engines!(a_token_belongs_to_its_question, async |database| {
    let records = Records::open(database).await;
    with_more(&records).await;
    let mut body = search();
    body["page"] = json!({"limit": 2, "properties": {"order": "id"}});
    let token = records.ask(RESOURCE, body.clone()).await.is(200).body["page"]["next_token"].clone();
    body["page"]["token"] = token.clone();
    records.ask(RESOURCE, body.clone()).await.is(200);
    // The same question, written in another way, with members that no endpoint reads.
    let text = format!(
        r#"{{ "extra": 1, "page": {{"properties": {{ "order" : "id" }}, "token": {token}}}, "context": {{"channel":"w\u0065b"}},
            "resource": {{"id": "ignored", "type":"record"}}, "action": {{"name":"read", "x": 1}},
            "subject": {{"properties":{{"b":[ true ],"a":1}},"id":"alice","type":"user"}} }}"#
    );
    records.ask_text(RESOURCE, text).await.is(200);
    for (pointer, value) in [
        ("/subject/id", json!("bob")),
        ("/subject/type", json!("service_account")),
        ("/subject/properties", json!({"a": 2})),
        ("/action/name", json!("write")),
        ("/resource/type", json!("product")),
        ("/context", json!({"channel": "phone"})),
        ("/context", Value::Null),
        ("/page/limit", json!(3)),
        ("/page/limit", json!(0)),
        ("/page/properties", json!({"order": "name"})),
        ("/page/properties", Value::Null),
        ("/page/token", json!("AAAA")),
        ("/page/token", json!("!")),
        ("/page/token", json!(format!("{}A", token.as_str().unwrap()))),
        ("/page/token", json!(token.as_str().unwrap()[1..])),
        ("/page/token", json!(7)),
        ("/page/limit", json!(-1)),
        ("/page/limit", json!(1.5)),
        ("/page/limit", json!("2")),
        ("/page/properties", json!("id")),
        ("/page", json!([])),
        ("/page", json!(1)),
    ] {
        let mut changed = body.clone();
        *changed.pointer_mut(pointer).unwrap() = value.clone();
        records.ask(RESOURCE, changed).await.is_problem(400, "malformed");
    }
    for endpoint in [SUBJECT, ACTION] {
        let mut other = body.clone();
        other["resource"]["id"] = json!("record-1");
        records.ask(endpoint, other).await.is_problem(400, "malformed");
    }
});

both_engines!(nothing_asked_gives_nothing_and_too_much_gives_the_most, async |database| {
    let records = Records::open(database).await;
    let mut body = search();
    body["page"] = json!({"limit": 0});
    let told = records.ask(RESOURCE, body.clone()).await.is(200);
    assert_eq!((told.body["page"]["count"].clone(), &told.body["results"]), (json!(0), &json!([])));
    assert_ne!(told.body["page"]["next_token"], "", "there is something");
    body["resource"]["type"] = json!("spaceship");
    assert_eq!(records.ask(RESOURCE, body.clone()).await.is(200).body["page"]["next_token"], "");
    body = search();
    for limit in [json!(1_000_000_000_000_u64), Value::Null] {
        body["page"] = json!({"limit": limit, "token": null});
        let told = records.ask(RESOURCE, body.clone()).await.is(200);
        assert_eq!((ids(&told.body).len(), &told.body["page"]["next_token"]), (2, &json!("")));
    }
});

both_engines!(subjects_and_actions_come_in_pages_too, async |database| {
    let records = Records::open(database).await;
    for (endpoint, expected) in [(SUBJECT, 2), (ACTION, 2)] {
        let mut body = question("alice", "read", "record-1");
        body["page"] = json!({"limit": 1});
        let mut found = Vec::new();
        for _ in 0..9 {
            let told = records.ask(endpoint, body.clone()).await.is(200);
            found.extend(told.body["results"].as_array().unwrap().clone());
            let next = told.body["page"]["next_token"].clone();
            if next == "" {
                break;
            }
            body["page"]["token"] = next;
        }
        assert_eq!(found.len(), expected, "{endpoint}: {found:?}");
        assert!(found.windows(2).all(|pair| pair[0] != pair[1]));
    }
});

both_engines!(service_accounts_are_subjects_of_their_own_type, async |database| {
    let records = Records::open(database).await;
    let body = json!({"role": "cert_reader", "subject": {"member": "gateway"}});
    records.story.post(Who::Operator, &place("assignments"), body).await.is(201);
    let found = async |kind: &str| {
        let mut body = question("x", "read", "record-1");
        body["subject"] = json!({"type": kind});
        records.ask(SUBJECT, body).await.is(200).body["results"].clone()
    };
    assert_eq!(found("service_account").await, json!([{"type": "service_account", "id": "gateway"}]));
    assert_eq!(found("client").await, json!([{"type": "client", "id": "gateway"}]));
    assert_eq!(found("user").await.as_array().unwrap().len(), 2);
    let mut asked = question("gateway", "read", "record-1");
    assert!(!records.is_allowed(asked.clone()).await, "it is no user");
    for endpoint in [RESOURCE, ACTION] {
        assert_eq!(
            records.ask(endpoint, asked.clone()).await.is(200).body["results"],
            json!([]),
            "{endpoint}"
        );
    }
    asked["subject"]["type"] = json!("service_account");
    assert!(records.is_allowed(asked.clone()).await);
    for endpoint in [RESOURCE, ACTION] {
        assert_ne!(
            records.ask(endpoint, asked.clone()).await.is(200).body["results"],
            json!([]),
            "{endpoint}"
        );
    }
});
