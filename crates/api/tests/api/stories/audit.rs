use super::{ANN, BOB, EVE, Story, Who};
use charter_testkit::both_engines;
use serde_json::{Value, json};

const EVENTS: &str = "/api/v1/organizations/toys/audit/events";

both_engines!(every_edit_leaves_an_event_that_says_who_what_and_why, async |database| {
    let story = Story::company(database).await;
    let body = json!({"subject": {"member": "bob@toys.example"}, "permission": "sales.invoices.read", "reason": "covers for cat"});
    let told = story.post(ANN, "/api/v1/organizations/toys/grants", body).await.is(201);
    let id = told.body["grant"]["id"].as_str().unwrap();
    let newest = story.get(ANN, &format!("{EVENTS}?limit=1")).await.is(200).body["items"][0].clone();
    assert_eq!(newest["action"], "grant.give");
    assert_eq!(newest["actor"]["login"], "ann@toys.example");
    assert_eq!(newest["actor"]["id"], story.id_of(ANN).to_string());
    assert_eq!((&newest["target_kind"], &newest["target"]), (&json!("grant"), &json!(id)));
    assert_eq!(newest["reason"], "covers for cat");
    assert_eq!(newest["after"]["pattern"], "sales.invoices.read");
    assert_eq!(newest["request_id"], told.header("x-request-id"));
    assert_eq!(story.get(ANN, &format!("{EVENTS}/{}", newest["seq"])).await.is(200).body, newest);
    story.get(ANN, &format!("{EVENTS}/100000")).await.is_problem(404, "not-found");

    let place = format!("/api/v1/organizations/toys/grants/{id}?reason=cat%20is%20back");
    story.delete(ANN, &place).await.is(200);
    let newest = story.get(ANN, &format!("{EVENTS}?limit=1")).await.is(200).body["items"][0].clone();
    assert_eq!((&newest["action"], &newest["reason"]), (&json!("grant.revoke"), &json!("cat is back")));
    assert_eq!(newest["before"]["pattern"], "sales.invoices.read");
});

both_engines!(the_trail_is_read_by_action_actor_and_target, async |database| {
    let story = Story::company(database).await;
    story.assign(ANN, "toys", BOB, "planner").await.is(201);
    let all = story.all(Who::Operator, EVENTS, 3, "/action").await;
    assert_eq!(all.len(), story.get(ANN, EVENTS).await.is(200).body["items"].as_array().unwrap().len());
    assert_eq!(
        story.all(ANN, &format!("{EVENTS}?action=role.assign"), 1, "/actor/login").await,
        ["ann@toys.example", "keeper"]
    );
    assert_eq!(
        story.all(ANN, &format!("{EVENTS}?actor=ann@toys.example"), 9, "/action").await,
        ["role.assign"]
    );
    let of_bob = format!("{EVENTS}?target_kind=member&target=bob@toys.example");
    assert_eq!(story.all(ANN, &of_bob, 9, "/action").await, ["member.add"]);
    story.get(ANN, &format!("{EVENTS}?action=a&actor=ann@toys.example")).await.is_problem(422, "invalid");
    story.get(ANN, &format!("{EVENTS}?target=a")).await.is_problem(422, "invalid");
    story.get(ANN, &format!("{EVENTS}?actor=nobody@toys.example")).await.is_problem(422, "invalid");
    story.get(BOB, EVENTS).await.is_problem(403, "forbidden");
    story.get(EVE, EVENTS).await.is_problem(404, "not-found");
});

both_engines!(the_chain_verifies_and_its_head_can_be_kept_elsewhere, async |database| {
    let story = Story::company(database).await;
    for role in ["planner", "accountant"] {
        story.assign(ANN, "toys", BOB, role).await.is(201);
    }
    let verify = "/api/v1/organizations/toys/audit/verify";
    let told = story.post(Who::Operator, verify, Value::Null).await;
    assert_eq!(told.status.as_u16(), 400, "it takes no body");
    let told = story.send(Who::Operator, http::Method::POST, verify, &[], None).await.is(200);
    assert_eq!(told.body["verified"], true, "{:#}", told.body);
    let newest = story.get(ANN, &format!("{EVENTS}?limit=1")).await.is(200).body["items"][0].clone();
    assert_eq!((&told.body["seq"], &told.body["head"]), (&newest["seq"], &newest["hash"]));
});

both_engines!(refusals_are_events_too_and_the_same_ones_are_counted, async |database| {
    let story = Story::company(database).await;
    for _ in 0..5 {
        story.get(BOB, "/api/v1/organizations/toys/members").await.is_problem(403, "forbidden");
    }
    story
        .post(BOB, "/api/v1/organizations/toys/checks", json!({"permission": "finance.vouchers.approve"}))
        .await
        .is(200);
    story.app.flush_denials().await.unwrap();
    let told = story.get(ANN, &format!("{EVENTS}?actor=bob@toys.example")).await.is(200);
    let items = told.body["items"].as_array().unwrap();
    let users = items.iter().find(|event| event["target"] == "admin.users.read").unwrap();
    assert_eq!((&users["outcome"], &users["reason"]), (&json!("denied"), &json!("no_grant")));
    assert_eq!(users["after"]["count"], 5);
    assert!(items.iter().any(|event| event["target"] == "finance.vouchers.approve"));
});
