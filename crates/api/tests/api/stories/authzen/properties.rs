//! Properties and context: whose word counts, and that no value of them breaks a question.

use super::{EVALUATION, Records, Who, place, question};
use charter_testkit::both_engines;
use serde_json::{Value, json};

both_engines!(what_is_stored_wins_over_what_is_sent, async |database| {
    let records = Records::open(database).await;
    let write = |who: &str, record: &str, status: &str| {
        let mut body = question(who, "write", record);
        body["resource"]["properties"] = json!({"status": status});
        body
    };
    let body = json!({"assertable": ["subject.*", "resource.*"]});
    for round in 0..2 {
        assert!(!records.is_allowed(write("alice", "record-2", "active")).await, "round {round}");
        assert!(records.is_allowed(write("alice", "record-1", "archived")).await);
        let mut sent = write("alice", "record-2", "archived");
        sent["subject"]["properties"] = json!({"role": "admin"});
        // Alice has no role stored: her word counts where the organization lets callers say it.
        assert_eq!(records.is_allowed(sent).await, round == 1);
        records.story.patch(Who::Operator, "/api/v1/organizations/records", body.clone()).await.is(200);
    }
});

both_engines!(a_boolean_is_not_its_text, async |database| {
    let records = Records::open(database).await;
    for (soft, allowed) in [
        (json!(true), true),
        (json!(false), false),
        (json!("true"), false),
        (json!(1), false),
        (Value::Null, false),
        (json!([true]), false),
    ] {
        let mut body = question("alice", "delete", "record-1");
        body["action"]["properties"] = json!({"soft": soft});
        assert_eq!(records.is_allowed(body).await, allowed, "{soft}");
    }
    assert!(!records.is_allowed(question("alice", "delete", "record-1")).await);
});

both_engines!(no_value_in_the_context_is_a_fault, async |database| {
    let records = Records::open(database).await;
    let office = json!({"condition": {"form": "all", "of": [
        {"form": "address", "ranges": ["10.0.0.0/8"]},
        {"form": "assurance", "mfa": true},
        {"form": "equals", "of": "context", "attribute": "channel", "value": "web"},
    ]}});
    records.story.put(Who::Operator, &place("conditions/office"), office).await.is(200);
    let grant = json!({
        "subject": {"member": "bob"}, "permission": "cert.record.delete", "condition": "office", "reason": "on site",
    });
    records.story.post(Who::Operator, &place("grants"), grant).await.is(201);
    let with = async |context: Value| {
        let mut body = question("bob", "delete", "record-1");
        body["context"] = context;
        records.is_allowed(body).await
    };
    assert!(
        with(json!({"ip": "10.1.2.3", "mfa": true, "channel": "web", "time": "yesterday", "x": {"y": []}}))
            .await
    );
    assert!(with(json!({"address": "10.1.2.3", "mfa": true, "channel": "web"})).await);
    for context in [
        json!({"ip": "192.0.2.1", "mfa": true, "channel": "web"}),
        json!({"ip": "here", "mfa": true, "channel": "web"}),
        json!({"ip": 10, "mfa": true, "channel": "web"}),
        json!({"ip": "10.1.2.3", "mfa": "yes", "channel": "web"}),
        json!({"ip": "10.1.2.3", "mfa": true, "amr": "pwd"}),
        json!({"ip": "10.1.2.3", "mfa": true, "channel": ["web"]}),
        json!({}),
        Value::Null,
    ] {
        assert!(!with(context.clone()).await, "{context}");
    }
});

both_engines!(an_answer_says_why_and_never_when, async |database| {
    let records = Records::open(database).await;
    let revision = records.story.revision("records").await;
    for (body, decision, reason, layer) in [
        (question("alice", "read", "record-1"), true, "granted_by_role", "permission"),
        (question("bob", "write", "record-1"), false, "condition_not_met", "permission"),
        (question("bob", "fly", "record-1"), false, "unknown_permission", "organization"),
        (question("carol", "read", "record-1"), false, "unknown_subject", "organization"),
        (question("", "read", "record-1"), false, "unknown_subject", "organization"),
        (question("ALICE", "read", "record-1"), true, "granted_by_role", "permission"),
        (question("alice", "cert.record.read", "record-1"), true, "granted_by_role", "permission"),
    ] {
        let first = records.ask(EVALUATION, body.clone()).await.is(200);
        let context = json!({"reason": reason, "layer": layer, "revision": revision});
        assert_eq!(first.body, json!({"decision": decision, "context": context}), "{body}");
        records.story.wait_seconds(40).await;
        assert_eq!(records.ask(EVALUATION, body).await.is(200).body, first.body);
    }
    let mut spaceship = question("alice", "read", "record-1");
    spaceship["resource"]["type"] = json!("spaceship");
    let told = records.ask(EVALUATION, spaceship).await.is(200);
    assert_eq!(
        (&told.body["decision"], &told.body["context"]["reason"]),
        (&json!(false), &json!("unknown_type"))
    );
    let mut robot = question("alice", "read", "record-1");
    robot["subject"]["type"] = json!("robot");
    let told = records.ask(EVALUATION, robot).await.is(200);
    assert_eq!(told.body["context"]["reason"], "unknown_subject");
});

both_engines!(an_answer_that_will_end_says_until_when, async |database| {
    let records = Records::open(database).await;
    let grant = json!({
        "subject": {"member": "bob"}, "permission": "cert.record.delete", "to": "2027-02-01T00:00:00Z", "reason": "for a while",
    });
    records.story.post(Who::Operator, &place("grants"), grant).await.is(201);
    let told = records.ask(EVALUATION, question("bob", "delete", "record-1")).await.is(200);
    assert_eq!(told.body["decision"], true);
    assert_eq!(told.body["context"]["valid_until"], "2027-02-01T00:00:00Z");
});
