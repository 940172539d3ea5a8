use super::{ANN, BOB, EVE, Story};
use charter_testkit::both_engines;
use serde_json::json;

const RESOURCES: &str = "/api/v1/organizations/toys/resources";

both_engines!(what_is_registered_of_a_resource_wins_over_what_a_caller_says, async |database| {
    let story = Story::company(database).await;
    let place = format!("{RESOURCES}/vouchers/V%2F1");
    let told = story
        .put(ANN, &place, json!({"owner": "bob@toys.example", "attributes": {"amount": 900}}))
        .await
        .is(200);
    assert_eq!(told.body["resource"]["id"], "V/1");
    assert_eq!(told.body["resource"]["owner"], "bob@toys.example");
    let small =
        json!({"condition": {"form": "at_most", "of": "resource", "attribute": "amount", "limit": 1000}});
    story.put(ANN, "/api/v1/organizations/toys/conditions/small", small).await.is(200);
    let body = json!({
        "subject": {"member": "bob@toys.example"}, "permission": "finance.vouchers.approve", "condition": "small", "reason": "small ones",
    });
    story.post(ANN, "/api/v1/organizations/toys/grants", body).await.is(201);
    let with = async |amount: i64| {
        let resource = json!({"type": "vouchers", "id": "V/1", "properties": {"amount": amount}});
        story
            .decision("toys", BOB, json!({"permission": "finance.vouchers.approve", "resource": resource}))
            .await
    };
    assert_eq!(with(5_000).await["decision"], "allow");
    story.put(ANN, &place, json!({"attributes": {"amount": 5000}})).await.is(200);
    assert_eq!(with(900).await["reason"], "condition_not_met");
    assert_eq!(story.get(ANN, &place).await.is(200).body["owner"], json!(null));
    story.delete(ANN, &place).await.is(200);
    story.get(ANN, &place).await.is_problem(404, "not-found");
});

both_engines!(a_resource_of_another_organization_is_denied_at_once, async |database| {
    let story = Story::company(database).await;
    let check =
        json!({"permission": "finance.vouchers.approve", "resource": {"type": "vouchers", "id": "1"}});
    assert_eq!(story.decision("trade", EVE, check.clone()).await["decision"], "allow");
    story.put(ANN, &format!("{RESOURCES}/vouchers/1"), json!({})).await.is(200);
    assert_eq!(story.decision("trade", EVE, check.clone()).await["reason"], "cross_organization");
    // A denial says the same with and without an explanation, and tells nobody what others have registered.
    let other = check["resource"].clone();
    for permission in ["platform.backups.read", check["permission"].as_str().unwrap_or("sales.invoices.read")]
    {
        let mut asked = json!({"subject": "eve@trade.example", "permission": permission, "resource": other});
        let plain = story.decision("trade", EVE, asked.clone()).await;
        asked["explain"] = json!(true);
        let explained = story.decision("trade", EVE, asked.clone()).await;
        assert_eq!((&plain["decision"], &plain["reason"]), (&explained["decision"], &explained["reason"]));
    }
    let mut nameless = check.clone();
    nameless["resource"]["id"] = json!("");
    story.post(EVE, "/api/v1/organizations/trade/checks", nameless).await.is_problem(422, "invalid");
    let asked = json!({"type": "vouchers", "permission": "finance.vouchers.approve"});
    let told = story.post(EVE, "/api/v1/organizations/trade/search/resources", asked).await.is(200);
    assert!(told.each("/id").is_empty());
    // Both may number from 1: a resource that is registered here as well is the one meant here.
    story.put(EVE, "/api/v1/organizations/trade/resources/vouchers/1", json!({})).await.is(200);
    assert_eq!(story.decision("trade", EVE, check).await["decision"], "allow");
});

both_engines!(resources_are_listed_by_type, async |database| {
    let story = Story::company(database).await;
    for (kind, id) in [("vouchers", "2"), ("vouchers", "10"), ("product", "bear"), ("product", "\u{e4}ffle")]
    {
        let id: String = id.bytes().map(|byte| format!("%{byte:02x}")).collect();
        story.put(ANN, &format!("{RESOURCES}/{kind}/{id}"), json!({})).await.is(200);
    }
    assert_eq!(story.all(ANN, RESOURCES, 3, "/id").await.len(), 4);
    assert_eq!(story.all(ANN, &format!("{RESOURCES}?type=vouchers"), 1, "/id").await, ["10", "2"]);
    story.put(ANN, &format!("{RESOURCES}/dragon/1"), json!({})).await.is_problem(422, "invalid");
    story
        .put(ANN, &format!("{RESOURCES}/vouchers/3"), json!({"owner": "eve@trade.example"}))
        .await
        .is_problem(422, "invalid");
    story
        .put(ANN, &format!("{RESOURCES}/vouchers/3"), json!({"attributes": 7}))
        .await
        .is_problem(422, "invalid");
});
