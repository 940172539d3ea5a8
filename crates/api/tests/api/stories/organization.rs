use super::{ANN, BOB, EVE, PAT, Story, Who, changes};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const ORGANIZATIONS: &str = "/api/v1/organizations";

both_engines!(an_organization_is_created_by_the_platform_and_named_by_key_or_id, async |database| {
    let story = Story::company(database).await;
    let body = json!({"key": "north", "name": "North", "enabled_modules": {"finance": true}});
    story.post(ANN, ORGANIZATIONS, body.clone()).await.is_problem(404, "not-found");
    let told = story.post(PAT, ORGANIZATIONS, body.clone()).await.is(201);
    assert_eq!(told.header("location"), "/api/v1/organizations/north");
    assert_eq!((&told.body["status"], &told.body["kind"]), (&json!("active"), &json!("customer")));
    assert_eq!(told.body["enabled_modules"], json!({"finance": true}));
    story.post(PAT, ORGANIZATIONS, body).await.is_problem(409, "taken");
    story.post(PAT, ORGANIZATIONS, json!({"key": "No Key", "name": "x"})).await.is_problem(422, "invalid");
    let by_id = format!("{ORGANIZATIONS}/{}", told.body["id"].as_str().unwrap());
    assert_eq!(story.get(PAT, &by_id).await.is(200).body["key"], "north");
    assert_eq!(story.get(PAT, "/api/v1/organizations/north").await.is(200).body["key"], "north");
    let mut keys = story.all(PAT, ORGANIZATIONS, 2, "/key").await;
    keys.sort();
    assert_eq!(keys, ["north", "platform", "toys", "trade"]);
    story.get(ANN, ORGANIZATIONS).await.is_problem(404, "not-found");
});

both_engines!(an_organization_is_shown_to_its_own_and_to_the_platform, async |database| {
    let story = Story::company(database).await;
    story.get(ANN, "/api/v1/organizations/toys").await.is(200);
    story.get(PAT, "/api/v1/organizations/toys").await.is(200);
    story.get(BOB, "/api/v1/organizations/toys").await.is_problem(403, "forbidden");
    story.get(EVE, "/api/v1/organizations/toys").await.is_problem(404, "not-found");
    story.get(ANN, "/api/v1/organizations/nowhere").await.is_problem(404, "not-found");
    story
        .get(ANN, "/api/v1/organizations/0193e7a0-0000-7000-8000-000000000001")
        .await
        .is_problem(404, "not-found");
    story.get(Who::Nobody, "/api/v1/organizations/toys").await.is_problem(401, "unauthenticated");
});

both_engines!(an_organization_changes_its_name_and_what_callers_may_assert, async |database| {
    let story = Story::company(database).await;
    let place = "/api/v1/organizations/toys";
    let etag = story.get(ANN, place).await.is(200).header("etag").to_owned();
    let change = json!({"name": "Softer Toys", "assertable": ["resource.amount", "subject.*"]});
    let told =
        story.send(ANN, Method::PATCH, place, &[("if-match", &etag)], Some(change.clone())).await.is(200);
    assert_eq!((&told.body["name"], &told.body["assertable"]), (&change["name"], &change["assertable"]));
    story
        .send(ANN, Method::PATCH, place, &[("if-match", &etag)], Some(change))
        .await
        .is_problem(412, "changed");
    story.patch(ANN, place, json!({"assertable": ["everything"]})).await.is_problem(422, "invalid");
    story.patch(BOB, place, json!({"name": "Mine"})).await.is_problem(403, "forbidden");
    assert_eq!(story.get(ANN, place).await.body["revision"], told.body["revision"]);
});

both_engines!(what_is_asserted_counts_once_the_organization_says_so, async |database| {
    let story = Story::company(database).await;
    let small =
        json!({"condition": {"form": "at_most", "of": "resource", "attribute": "amount", "limit": 1000}});
    story.put(ANN, "/api/v1/organizations/toys/conditions/small", small).await.is(200);
    let grant = json!({
        "subject": {"member": "bob@toys.example"}, "permission": "finance.vouchers.approve", "condition": "small", "reason": "small ones",
    });
    story.post(ANN, "/api/v1/organizations/toys/grants", grant).await.is(201);
    let check = json!({
        "permission": "finance.vouchers.approve", "resource": {"type": "vouchers", "id": "1", "properties": {"amount": 5}},
    });
    assert_eq!(story.decision("toys", BOB, check.clone()).await["decision"], "deny");
    story.patch(ANN, "/api/v1/organizations/toys", json!({"assertable": ["resource.amount"]})).await.is(200);
    assert_eq!(story.decision("toys", BOB, check).await["decision"], "allow");
});

both_engines!(a_suspended_organization_denies_until_it_is_resumed, async |database| {
    let story = Story::company(database).await;
    let turn = async |who: Who, verb: &str, body: Value| {
        story.post(who, &format!("/api/v1/organizations/toys/{verb}"), body).await
    };
    turn(ANN, "suspend", json!({"reason": "x"})).await.is_problem(404, "not-found");
    turn(PAT, "suspend", json!({"reason": " "})).await.is_problem(422, "invalid");
    turn(PAT, "suspend", json!({})).await.is_problem(422, "invalid");
    turn(PAT, "suspend", json!({"reason": "unpaid"})).await.is(200);
    let told = story.get(ANN, "/api/v1/organizations/toys/members").await.is_problem(403, "forbidden");
    assert_eq!(told.body["reason"], "org_suspended");
    turn(PAT, "resume", json!({"reason": "paid"})).await.is(200);
    story.get(ANN, "/api/v1/organizations/toys/members").await.is(200);
    let told = turn(PAT, "close", json!({"reason": "left"})).await.is(200);
    assert_eq!(told.body["status"], "closed");
    assert_eq!(
        story.decision("toys", ANN, json!({"permission": "admin.users.read"})).await["reason"],
        "org_closed"
    );
    story
        .post(PAT, "/api/v1/organizations/platform/suspend", json!({"reason": "x"}))
        .await
        .is_problem(403, "forbidden");
});

both_engines!(the_modules_of_an_older_system_are_kept_by_the_platform, async |database| {
    let story = Story::company(database).await;
    let place = "/api/v1/organizations/toys/enabled-modules";
    story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    assert!(story.allows("toys", BOB, "finance.vouchers.create").await);
    story.put(ANN, place, json!({"enabled_modules": []})).await.is_problem(404, "not-found");
    let told = story.put(PAT, place, json!({"enabled_modules": ["sales"]})).await.is(200);
    assert_eq!(told.body["enabled_modules"], json!(["sales"]));
    let decision = story.decision("toys", BOB, json!({"permission": "finance.vouchers.create"})).await;
    assert_eq!((&decision["reason"], &decision["layer"]), (&json!("not_entitled"), &json!("entitlement")));
});

both_engines!(a_change_of_an_organization_is_tried_first_and_tells_who_loses_what, async |database| {
    let story = Story::company(database).await;
    story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    let revision = story.revision("toys").await;
    let place = "/api/v1/organizations/toys";
    let told = story.patch(ANN, &format!("{place}?dry_run=true"), json!({"name": "Other"})).await.is(200);
    assert_eq!((&told.body["name"], &told.body["dry_run"]), (&json!("Other"), &json!(true)));
    assert_eq!(told.body["access_changes_count"], 0);
    let without = json!({"enabled_modules": ["inventory", "procurement", "sales"]});
    let told =
        story.put(PAT, &format!("{place}/enabled-modules?dry_run=true"), without.clone()).await.is(200);
    let lost = "bob@toys.example lost finance.vouchers.create".to_owned();
    assert!(changes(&told).contains(&lost), "{:#}", told.body);
    let stop = json!({"reason": "unpaid"});
    let told = story.post(PAT, &format!("{place}/suspend?dry_run=true"), stop.clone()).await.is(200);
    assert_eq!(told.body["status"], "suspended");
    assert!(changes(&told).contains(&lost));
    story
        .post(PAT, "/api/v1/organizations/platform/close?dry_run=true", stop)
        .await
        .is_problem(403, "forbidden");
    assert_eq!(story.revision("toys").await, revision, "nothing was written");
    assert!(story.allows("toys", BOB, "finance.vouchers.create").await);
    let told = story.put(PAT, &format!("{place}/enabled-modules"), without).await.is(200);
    assert_eq!(told.body["dry_run"], false);
    assert!(changes(&told).contains(&lost));
    assert!(!story.allows("toys", BOB, "finance.vouchers.create").await);
});

both_engines!(a_refusal_names_its_reason, async |database| {
    let story = Story::company(database).await;
    let members = "/api/v1/organizations/toys/members";
    let told = story.get(BOB, members).await.is_problem(403, "forbidden");
    assert_eq!((&told.body["reason"], &told.body["layer"]), (&json!("no_grant"), &json!("permission")));
    story.assign(ANN, "toys", BOB, "org_admin").await.is(201);
    story.get(BOB, members).await.is(200);
    let block = json!({
        "subject": {"member": "bob@toys.example"}, "permission": "admin.users.read", "reason": "on leave",
    });
    story.post(ANN, "/api/v1/organizations/toys/blocks", block).await.is(201);
    let told = story.get(BOB, members).await.is_problem(403, "forbidden");
    assert_eq!(told.body["reason"], "blocked");
});

both_engines!(answers_from_old_facts_tell_their_age_and_end_at_the_longest_staleness, async |database| {
    let story = Story::company(database).await;
    let check = json!({"subject": "ann@toys.example", "permission": "admin.users.read"});
    let ask = async || story.post(ANN, "/api/v1/organizations/toys/checks", check.clone()).await;
    assert_eq!(ask().await.is(200).header("charter-facts-age"), "");
    story.wait_without_news(1);
    assert_eq!(ask().await.is(200).header("charter-facts-age"), "", "as fresh as the poll keeps them");
    story.wait_without_news(4);
    let told = ask().await.is(200);
    assert_eq!((told.header("charter-facts-age"), &told.body["age_seconds"]), ("5", &json!(5)));
    let told = story.get(ANN, "/api/v1/organizations/toys/members").await.is(200);
    assert_eq!(told.header("charter-facts-age"), "5");
    story.wait_without_news(7 * 86_400);
    assert_eq!(ask().await.is_problem(503, "unavailable").header("retry-after"), "1");
    story.get(ANN, "/api/v1/organizations/toys/members").await.is_problem(503, "unavailable");
    story.wait_seconds(0).await;
    assert_eq!(ask().await.is(200).header("charter-facts-age"), "");
});

both_engines!(facts_grow_old_also_where_the_clock_is_set_back, async |database| {
    let story = Story::company(database).await;
    let check = json!({"subject": "ann@toys.example", "permission": "admin.users.read"});
    let ask = async || story.post(ANN, "/api/v1/organizations/toys/checks", check.clone()).await;
    story.wait_seconds(0).await;
    ask().await.is(200);
    story.set_back(30 * 86_400);
    assert_eq!(ask().await.is(200).header("charter-facts-age"), "");
    story.wait_without_news(5);
    assert_eq!(ask().await.is(200).body["age_seconds"], 5);
    story.wait_without_news(7 * 86_400);
    ask().await.is_problem(503, "unavailable");
    story.wait_seconds(0).await;
    assert_eq!(ask().await.is(200).header("charter-facts-age"), "");
});
