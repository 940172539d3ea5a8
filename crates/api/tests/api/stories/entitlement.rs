use super::{ANN, BOB, EVE, PAT, Story, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const TOYS: &str = "/api/v1/organizations/toys";
const DAY: i64 = 86_400;

fn toys(rest: &str) -> String {
    format!("{TOYS}/{rest}")
}

/// What the list says of a module.
fn standing<'a>(entitlements: &'a Value, module: &str) -> &'a Value {
    entitlements["modules"].as_array().unwrap().iter().find(|it| it["module"] == module).unwrap()
}

both_engines!(an_administrator_sees_what_the_organization_may_use_and_why, async |database| {
    let story = Story::company(database).await;
    let told = story.get(ANN, "/api/v1/entitlements/org").await.is(200);
    assert_eq!(told.body["key"], "toys");
    assert_eq!((&told.body["legacy"], &told.body["plan"]), (&json!(true), &Value::Null));
    assert_eq!(standing(&told.body, "finance")["reason"], "legacy");
    assert_eq!(standing(&told.body, "dashboard")["reason"], "always_on");
    let hr = standing(&told.body, "hr");
    assert_eq!(
        (&hr["entitled"], &hr["access"], &hr["reason"]),
        (&json!(false), &json!("denied"), &json!("not_entitled"))
    );
    assert!(told.body["modules"].as_array().unwrap().iter().all(|it| it["module"] != "platform"));
    let asked = story
        .get(ANN, "/api/v1/entitlements/check?module=finance&submodule=ledger&action=read")
        .await
        .is(200);
    assert_eq!(asked.body["entitled"], true);
    story.get(ANN, "/api/v1/entitlements/check?module=nothing").await.is_problem(404, "not-found");
    // The same of the organization by name, for its people and those of the platform, and nobody else.
    for who in [ANN, PAT, Who::Operator] {
        story.get(who, &toys("effective-entitlements")).await.is(200);
        story.get(who, &toys("entitlements")).await.is(200);
    }
    story.get(BOB, &toys("entitlements")).await.is_problem(403, "forbidden");
    story.get(EVE, &toys("entitlements")).await.is_problem(404, "not-found");
    assert_eq!(story.all(BOB, "/api/v1/modules", 5, "/key").await.len(), 18);
});

both_engines!(only_the_platform_overrides_and_each_override_says_why, async |database| {
    let story = Story::company(database).await;
    let sold = json!({"status": "enabled", "reason": "sold"});
    story.put(ANN, &toys("entitlements/hr"), sold.clone()).await.is_problem(404, "not-found");
    story
        .put(PAT, &toys("entitlements/hr"), json!({"status": "enabled", "reason": " "}))
        .await
        .is_problem(422, "invalid");
    story
        .put(PAT, &toys("entitlements/hr"), json!({"status": "on", "reason": "x"}))
        .await
        .is_problem(422, "invalid");
    let tried = story.put(PAT, &toys("entitlements/hr?dry_run=true"), sold.clone()).await.is(200);
    assert_eq!(tried.body["dry_run"], true);
    assert!(!story.allows("toys", ANN, "hr.employees.read").await);
    let told = story.put(PAT, &toys("entitlements/hr"), sold.clone()).await.is(200);
    assert_eq!(told.body["entitlement"]["source"], "override");
    assert!(story.allows("toys", ANN, "hr.employees.read").await);
    // If-Match names the revision that was read.
    let stale = [("if-match", "\"r1\"")];
    let refused = story.send(PAT, Method::PUT, &toys("entitlements/hr"), &stale, Some(sold)).await;
    refused.is_problem(412, "changed");
    let blocked = json!({"status": "blocked", "reason": "done elsewhere"});
    story.put(PAT, &toys("entitlements/hr/payroll"), blocked.clone()).await.is(200);
    assert!(!story.allows("toys", ANN, "hr.payroll_runs.read").await);
    assert!(story.allows("toys", ANN, "hr.employees.read").await);
    story.put(PAT, &toys("entitlements/hr/nothing"), blocked.clone()).await.is_problem(404, "not-found");
    // Procurement and sales need inventory.
    let refused =
        story.put(PAT, &toys("entitlements/inventory"), blocked.clone()).await.is_problem(409, "in-use");
    assert!(refused.body["detail"].as_str().unwrap().contains("procurement, sales"), "{:#}", refused.body);
    let told = story
        .put(PAT, &toys("entitlements/transport"), json!({"status": "enabled", "reason": "x"}))
        .await
        .is(200);
    assert_eq!(told.body["missing"], json!([]));
    let told = story
        .put(PAT, &toys("entitlements/marketing"), json!({"status": "enabled", "reason": "x"}))
        .await
        .is(200);
    assert_eq!(told.body["missing"], json!(["crm"]));
    story.delete(PAT, &toys("entitlements/hr/payroll")).await.is_problem(422, "invalid");
    story.delete(PAT, &toys("entitlements/hr/payroll?reason=back")).await.is(200);
    story.delete(PAT, &toys("entitlements/hr/payroll?reason=back")).await.is_problem(404, "not-found");
    assert!(story.allows("toys", ANN, "hr.payroll_runs.read").await);
    // A preview, for those on the list.
    story.put(PAT, &toys("entitlements/crm"), json!({"status": "preview", "reason": "a look"})).await.is(200);
    assert!(!story.allows("toys", ANN, "crm.leads.read").await);
    let place = toys("previews/crm/ann@toys.example");
    story.put(PAT, &place, json!({"reason": "a tester"})).await.is(200);
    assert!(story.allows("toys", ANN, "crm.leads.read").await);
    story.delete(PAT, &format!("{place}?reason=done")).await.is(200);
    assert!(!story.allows("toys", ANN, "crm.leads.read").await);
    // Everything is in the chain, newest first, and the chain is whole.
    let actions = story.all(ANN, &toys("entitlement-events"), 3, "/action").await;
    assert_eq!(actions.len(), 8);
    assert_eq!(actions[0], "preview.remove");
    let of_hr = story.all(ANN, &toys("entitlement-events?module=hr"), 50, "/action").await;
    assert_eq!(of_hr, ["entitlement.override_remove", "entitlement.override", "entitlement.override"]);
    let verified = story.get(ANN, &toys("entitlement-events/verification")).await.is(200);
    assert_eq!((&verified.body["verified"], &verified.body["events"]), (&json!(true), &json!(8)));
});

both_engines!(a_plan_a_downgrade_and_a_trial_over_http, async |database| {
    let story = Story::company(database).await;
    let body = json!({"plan": "growth", "ends_at": "2027-02-14T08:00:00Z", "reason": "contract 4711"});
    story.post(ANN, &toys("plan"), body.clone()).await.is_problem(404, "not-found");
    let tried = story.post(PAT, &toys("plan?dry_run=true"), body.clone()).await.is(200);
    assert_eq!(tried.body["preview"]["gained"], json!(["crm", "production", "quality", "reports"]));
    story.post(PAT, &toys("plan"), body.clone()).await.is(200);
    story.post(PAT, &toys("plan"), body).await.is_problem(409, "taken");
    assert!(story.allows("toys", ANN, "production.work_orders.create").await);
    let now = json!({"plan": "starter", "when": "now", "reason": "too dear"});
    story.post(PAT, &toys("plan"), now).await.is_problem(422, "invalid");
    let told = story.post(PAT, &toys("plan"), json!({"plan": "starter", "reason": "too dear"})).await.is(200);
    assert_eq!(told.body["subscription"]["status"], "scheduled");
    assert_eq!(told.body["subscription"]["starts_at"], "2027-02-14T08:00:00Z");
    let users: Vec<&str> = told.body["preview"]["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["login"].as_str().unwrap())
        .collect();
    assert_eq!(users, ["ann@toys.example"]);
    story.wait_seconds(37 * DAY).await;
    assert!(!story.allows("toys", ANN, "production.work_orders.create").await);
    assert!(story.allows("toys", ANN, "production.work_orders.read").await);
    let told = story.decision("toys", ANN, json!({"permission": "production.work_orders.create"})).await;
    assert_eq!((&told["reason"], &told["layer"]), (&json!("read_only"), &json!("entitlement")));
    let all = story.get(ANN, &toys("subscriptions")).await.is(200);
    assert_eq!(all.each("/kind"), ["plan", "plan"]);
    let trial = json!({"plan": "growth", "days": 10, "reason": "wants it back"});
    let told = story.post(PAT, &toys("trials"), trial.clone()).await.is(200);
    let id = told.body["subscription"]["id"].as_str().unwrap().to_owned();
    assert!(story.allows("toys", ANN, "production.work_orders.create").await);
    story.post(PAT, &toys("trials"), trial).await.is_problem(409, "taken");
    story.delete(PAT, &toys(&format!("addons/{id}?reason=over"))).await.is_problem(404, "not-found");
    story.delete(PAT, &toys(&format!("subscriptions/{id}?reason=over"))).await.is(200);
    assert!(!story.allows("toys", ANN, "production.work_orders.create").await);
});

both_engines!(plans_are_drafted_published_moved_to_and_retired, async |database| {
    let story = Story::company(database).await;
    let version = |users: i64| {
        json!({"name": "Workshop", "rank": 15, "modules": [{"module": "inventory"}, {"module": "finance", "submodule": "ledger"}],
               "limits": [{"limit": "users", "value": users}], "reason": "small makers"})
    };
    let new = json!({"key": "workshop", "version": version(20)});
    story.post(ANN, "/api/v1/plans", new.clone()).await.is_problem(404, "not-found");
    let told = story.post(PAT, "/api/v1/plans", new.clone()).await.is(201);
    assert_eq!(told.body["plan"]["status"], "draft");
    assert_eq!(told.header("location"), "/api/v1/plans/workshop/versions/1");
    story.post(PAT, "/api/v1/plans", new).await.is_problem(409, "taken");
    story.get(PAT, "/api/v1/plans/workshop").await.is_problem(404, "not-found");
    let on = json!({"plan": "workshop", "reason": "ordered"});
    story.post(PAT, &toys("plan"), on.clone()).await.is_problem(422, "invalid");
    story.post(PAT, "/api/v1/plans/workshop/versions/1/publish", json!({"reason": "agreed"})).await.is(200);
    story
        .post(PAT, "/api/v1/plans/workshop/versions/1/publish", json!({"reason": "agreed"}))
        .await
        .is_problem(409, "in-use");
    story.post(PAT, &toys("plan"), on.clone()).await.is(200);
    assert!(!story.allows("toys", ANN, "finance.tax_codes.read").await, "a part that is not in the plan");
    let told = story.post(PAT, "/api/v1/plans/workshop/versions", version(2)).await.is(201);
    assert_eq!(told.body["plan"]["version"], 2);
    story.delete(PAT, "/api/v1/plans/workshop/versions/2?reason=no").await.is(200);
    story.post(PAT, "/api/v1/plans/workshop/versions", version(2)).await.is(201);
    story.post(PAT, "/api/v1/plans/workshop/versions/2/publish", json!({"reason": "agreed"})).await.is(200);
    let why = json!({"reason": "the new offer"});
    let told = story.post(PAT, "/api/v1/plans/workshop/migrate?dry_run=true", why.clone()).await.is(200);
    let report = &told.body["organizations"][0];
    assert_eq!(
        (&report["key"], &report["moved"][0]["from"], &report["to"]),
        (&json!("toys"), &json!(1), &json!(2))
    );
    assert_eq!(report["preview"]["limits_lowered"][0]["after"], 2);
    let told = story.post(PAT, "/api/v1/plans/workshop/migrate", why).await.is(200);
    assert_eq!(told.body["organizations"][0]["applied"], true);
    let own = story.get(ANN, "/api/v1/entitlements/org").await.is(200);
    assert_eq!(own.body["plan"], json!({"plan": "workshop", "version": 2}));
    story
        .post(PAT, "/api/v1/plans/workshop/versions/2/retire", json!({"reason": "no longer sold"}))
        .await
        .is(200);
    let versions = story.get(PAT, "/api/v1/plans/workshop/versions").await.is(200);
    assert_eq!(versions.each("/status"), ["published", "retired"]);
    assert!(story.all(PAT, "/api/v1/plans", 2, "/key").await.len() >= 6);
    let wrong = json!({"name": "X", "rank": 1, "modules": [{"module": "platform"}], "reason": "x"});
    story.post(PAT, "/api/v1/plans/workshop/versions", wrong).await.is_problem(422, "invalid");
    // An add-on is a plan beside the plan.
    let told = story
        .post(PAT, &toys("addons"), json!({"plan": "starter", "quantity": 2, "reason": "ordered"}))
        .await
        .is(200);
    let id = told.body["subscription"]["id"].as_str().unwrap().to_owned();
    let users = story.get(ANN, &toys("limits")).await.is(200);
    let users =
        users.body["items"].as_array().unwrap().iter().find(|it| it["limit"] == "users").unwrap().clone();
    assert_eq!(users["value"], 2 + 2 * 10);
    story.delete(PAT, &toys(&format!("addons/{id}?reason=over"))).await.is(200);
});

both_engines!(limits_are_changed_counted_and_kept, async |database| {
    let story = Story::company(database).await;
    let limit = toys("limits/warehouses");
    story.put(PAT, &limit, json!({"value": -1, "reason": "x"})).await.is_problem(422, "invalid");
    story
        .put(PAT, &toys("limits/nothing"), json!({"value": 1, "reason": "x"}))
        .await
        .is_problem(404, "not-found");
    let told = story.put(PAT, &limit, json!({"value": 2, "reason": "agreed"})).await.is(200);
    assert_eq!(told.body["overrides"][0]["mode"], "set");
    let consume = toys("limits/warehouses/consume");
    for used in 1..=2 {
        let told = story.post(PAT, &consume, json!({"amount": 1, "key": format!("w-{used}")})).await.is(200);
        assert_eq!(told.body["used"], used);
    }
    let told = story.post(PAT, &consume, json!({"amount": 1, "key": "w-2"})).await.is(200);
    assert_eq!(told.body["repeated"], true);
    let refused = story.post(PAT, &consume, json!({"amount": 1})).await.is_problem(403, "limit-reached");
    assert_eq!(
        (&refused.body["reason"], &refused.body["layer"]),
        (&json!("limit_reached"), &json!("entitlement"))
    );
    let told = story.get(ANN, &toys("limits/warehouses/check?amount=1")).await.is(200);
    assert_eq!((&told.body["allowed"], &told.body["reason"]), (&json!(false), &json!("limit_reached")));
    story.post(PAT, &consume, json!({"amount": -1})).await.is(200);
    story.post(ANN, &consume, json!({"amount": 1})).await.is_problem(404, "not-found");
    story.put(PAT, &limit, json!({"mode": "add", "value": 3, "reason": "a gift"})).await.is(200);
    let all = story.get(ANN, &toys("limits")).await.is(200);
    let seen = all.body["items"].as_array().unwrap().iter().find(|it| it["limit"] == "warehouses").unwrap();
    assert_eq!((&seen["value"], &seen["used"], &seen["state"]), (&json!(5), &json!(1), &json!("ok")));
    assert_eq!(seen["overrides"].as_array().unwrap().len(), 2);
    let told = story.delete(PAT, &toys("limits/warehouses?mode=add&reason=over")).await.is(200);
    assert_eq!(told.body["overrides"].as_array().unwrap().len(), 1);
    let event = json!({"key": "i-1", "limit": "invoices_posted", "amount": 3});
    let batch = json!({"organization": "toys", "events": [event]});
    let first = story.post(PAT, "/api/v1/usage/events", batch.clone()).await.is(200);
    let again = story.post(PAT, "/api/v1/usage/events", batch).await.is(200);
    assert_eq!((&first.body["counted"], &again.body["repeated"]), (&json!(1), &json!(1)));
    let usage = story.get(ANN, &toys("usage")).await.is(200);
    assert_eq!(usage.each("/limit"), ["invoices_posted", "warehouses"]);
    assert_eq!(usage.body["items"][0]["period_start"], "2027-01-01T00:00:00Z");
    story.get(BOB, &toys("limits")).await.is_problem(403, "forbidden");
});

both_engines!(the_legacy_document_is_taken_over_and_brought_back, async |database| {
    let story = Story::company(database).await;
    let migrate = |dry_run: bool| json!({"organization": "toys", "dry_run": dry_run, "reason": "going over"});
    let path = "/api/v1/entitlements/migrate-legacy";
    story.post(ANN, path, migrate(true)).await.is_problem(404, "not-found");
    let tried = story.post(PAT, path, migrate(true)).await.is(200);
    let on = json!(["finance", "inventory", "procurement", "sales"]);
    assert_eq!((&tried.body["organizations"][0]["enabled"], &tried.body["dry_run"]), (&on, &json!(true)));
    let done = story.post(PAT, path, migrate(false)).await.is(200);
    assert_eq!(done.body["organizations"][0]["written"], true);
    let all = story.post(PAT, path, json!({"reason": "the rest"})).await.is(200);
    let mut written: Vec<bool> =
        all.body["organizations"].as_array().unwrap().iter().map(|it| it["written"] == true).collect();
    written.sort_unstable();
    assert_eq!(written, [false, true], "toys was done, trade was not");
    let own = story.get(ANN, "/api/v1/entitlements/org").await.is(200);
    assert_eq!(
        (&own.body["legacy"], &standing(&own.body, "sales")["source"]),
        (&json!(false), &json!("migration"))
    );
    let told =
        story.post(PAT, &toys("truncate-entitlements"), json!({"reason": "it went wrong"})).await.is(200);
    assert_eq!((&told.body["modules"], &told.body["changes"]), (&json!(13), &json!([])));
    let again = story
        .post(PAT, &toys("truncate-entitlements"), json!({"all": true, "reason": "it went wrong"}))
        .await;
    assert_eq!(again.is(200).body["modules"], 0);
    let own = story.get(ANN, "/api/v1/entitlements/org").await.is(200);
    assert_eq!(
        (&own.body["legacy"], &standing(&own.body, "sales")["reason"]),
        (&json!(true), &json!("legacy"))
    );
    assert!(story.allows("toys", ANN, "sales.orders.read").await);
});

both_engines!(a_check_that_names_a_limit_is_denied_beyond_a_hard_one, async |database| {
    let story = Story::company(database).await;
    story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    let ask = |amount: i64| json!({"permission": "finance.vouchers.create", "limit": "warehouses", "amount": amount});
    assert_eq!(story.decision("toys", BOB, ask(5)).await["decision"], "allow", "nothing limits yet");
    let three = json!({"value": 3, "enforcement": "hard", "reason": "agreed"});
    story.put(PAT, &toys("limits/warehouses"), three).await.is(200);
    assert_eq!(story.decision("toys", BOB, ask(3)).await["decision"], "allow");
    let mut beyond = ask(4);
    for explain in [false, true] {
        beyond["explain"] = json!(explain);
        let told = story.decision("toys", BOB, beyond.clone()).await;
        assert_eq!(
            (&told["decision"], &told["reason"], &told["layer"]),
            (&json!("deny"), &json!("limit_reached"), &json!("entitlement"))
        );
    }
    let soft = json!({"value": 3, "enforcement": "soft", "reason": "agreed"});
    story.put(PAT, &toys("limits/warehouses"), soft).await.is(200);
    let told = story.decision("toys", BOB, ask(4)).await;
    assert_eq!(told["decision"], "allow");
    assert!(told["warning"].as_str().unwrap().contains("above the limit of 3"), "{told:#}");
    for wrong in
        [json!({"limit": "dragons"}), json!({"limit": "warehouses", "amount": 0}), json!({"amount": 1})]
    {
        let mut check = json!({"subject": "bob@toys.example", "permission": "finance.vouchers.create"});
        check.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        story.post(Who::Operator, &toys("checks"), check).await.is_problem(422, "invalid");
    }
});
