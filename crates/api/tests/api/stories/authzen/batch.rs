//! Batches: defaults, faults of single items, short cuts, limits.

use super::{EVALUATIONS, Records, question};
use charter_testkit::both_engines;
use serde_json::{Value, json};

fn decisions(body: &Value) -> Vec<bool> {
    body["evaluations"].as_array().unwrap().iter().map(|it| it["decision"].as_bool().unwrap()).collect()
}

both_engines!(a_fault_in_one_item_is_that_items_alone, async |database| {
    let records = Records::open(database).await;
    let good = question("alice", "read", "record-1");
    let faults = [
        json!({"subject": "alice"}),
        json!({"subject": ["user", "alice"]}),
        json!({"subject": {"type": "user"}}),
        json!({"subject": {"type": "user", "id": 7}}),
        json!({"action": {}}),
        json!({"action": {"name": true}}),
        json!({"resource": {"type": "record"}}),
        json!({"resource": {"type": "record", "id": "record-1", "properties": "x"}}),
        json!({"context": [1]}),
        json!("alice"),
        json!([good]),
        json!(7),
        Value::Null,
    ];
    for fault in faults {
        let mut body = good.clone();
        body["evaluations"] = json!([{}, fault, {"action": {"name": "fly"}}, {}]);
        let told = records.ask(EVALUATIONS, body).await.is(200);
        assert_eq!(decisions(&told.body), [true, false, false, true], "{fault}");
        let error = &told.body["evaluations"][1]["context"]["error"];
        assert_eq!(error["status"], 400, "{fault}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{fault}");
        assert_eq!(told.body["evaluations"][2]["context"]["reason"], "unknown_permission");
    }
    let told = records.ask(EVALUATIONS, json!({"evaluations": [{"subject": "x"}]})).await.is(200);
    assert_eq!(decisions(&told.body), [false]);
});

both_engines!(a_faulty_item_stops_as_a_denial_and_never_as_a_permit, async |database| {
    let records = Records::open(database).await;
    for fault in [json!({"subject": "alice"}), json!({"resource": {"type": "record"}})] {
        for (semantic, expected) in [
            (json!("execute_all"), vec![true, true, false, true, false]),
            (json!("deny_on_first_deny"), vec![true, true, false]),
            (json!("permit_on_first_permit"), vec![true]),
            (Value::Null, vec![true, true, false, true, false]),
        ] {
            let mut body = question("alice", "read", "record-1");
            body["evaluations"] = json!([{}, {}, fault, {}, {"action": {"name": "delete"}}]);
            body["options"] = json!({"evaluations_semantic": semantic, "another": 1});
            let told = records.ask(EVALUATIONS, body).await.is(200);
            assert_eq!(decisions(&told.body), expected, "{semantic} {fault}");
        }
        let mut body = question("alice", "read", "record-1");
        body["evaluations"] = json!([fault, {"action": {"name": "delete"}}, {}, {}]);
        body["options"] = json!({"evaluations_semantic": "permit_on_first_permit"});
        assert_eq!(decisions(&records.ask(EVALUATIONS, body).await.is(200).body), [false, false, true]);
    }
});

both_engines!(what_is_wrong_with_the_whole_batch_is_refused, async |database| {
    let records = Records::open(database).await;
    for (key, value) in [
        ("evaluations", json!({})),
        ("evaluations", json!("all")),
        ("options", json!([])),
        ("options", json!("execute_all")),
        ("options", json!({"evaluations_semantic": "bogus"})),
        ("options", json!({"evaluations_semantic": 1})),
        ("subject", json!("alice")),
        ("subject", json!(["user", "alice"])),
        ("subject", json!({"type": 1})),
        ("action", json!([])),
        ("resource", json!(1)),
    ] {
        let mut body = question("alice", "read", "record-1");
        body["evaluations"] = json!([{}]);
        body[key] = value.clone();
        records.ask(EVALUATIONS, body).await.is_problem(400, "malformed");
    }
});

both_engines!(a_default_is_replaced_whole_and_null_is_absent, async |database| {
    let records = Records::open(database).await;
    let mut body = question("alice", "write", "record-1");
    body["resource"]["properties"] = json!({"status": "archived"});
    body["options"] = Value::Null;
    body["evaluations"] = json!([
        {"subject": null, "action": null, "resource": null, "context": null},
        {"resource": {"type": "record", "id": "record-2"}},
        {"resource": {"id": "record-1"}},
        {"subject": {"type": "user", "id": "bob"}, "resource": {"type": "record", "id": "record-2"}},
    ]);
    let told = records.ask(EVALUATIONS, body.clone()).await.is(200);
    assert_eq!(decisions(&told.body), [true, false, false, true]);
    assert_eq!(told.body["evaluations"][2]["context"]["error"]["message"], "resource.type is missing");
    for none in [json!([]), Value::Null] {
        body["evaluations"] = none;
        let told = records.ask(EVALUATIONS, body.clone()).await.is(200);
        assert_eq!((&told.body["decision"], told.body.get("evaluations")), (&json!(true), None));
    }
    body["subject"] = Value::Null;
    records.ask(EVALUATIONS, body).await.is_problem(400, "malformed");
    // An incomplete default spoils the items that inherit it, and no others.
    let told = records
        .ask(
            EVALUATIONS,
            json!({
                "subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"},
                "evaluations": [{}, {"subject": {"type": "user", "id": "bob"}}],
            }),
        )
        .await
        .is(200);
    assert_eq!(decisions(&told.body), [false, true]);
});

both_engines!(a_batch_holds_thousands_and_refuses_more, async |database| {
    let records = Records::open(database).await;
    let body = |count: usize| {
        let actions = ["read", "delete", "write"];
        let items: Vec<Value> =
            (0..count).map(|number| json!({"action": {"name": actions[number % 3]}})).collect();
        let mut body = question("alice", "read", "record-1");
        body["evaluations"] = json!(items);
        body
    };
    let told = records.ask(EVALUATIONS, body(5_000)).await.is(200);
    let expected: Vec<bool> = (0..5_000).map(|number| number % 3 != 1).collect();
    assert_eq!(decisions(&told.body), expected);
    let revision = &told.body["evaluations"][0]["context"]["revision"];
    let all = told.body["evaluations"].as_array().unwrap();
    assert!(all.iter().all(|it| it["context"]["revision"] == *revision), "one snapshot answers all");
    records.ask(EVALUATIONS, body(5_001)).await.is_problem(400, "malformed");
});
