use super::{ANN, BOB, CAT, EVE, PAT, Story, Who};
use charter_testkit::both_engines;
use serde_json::{Value, json};

const CHECKS: &str = "/api/v1/organizations/toys/checks";

both_engines!(a_check_tells_decision_reason_row_and_revision, async |database| {
    let story = Story::company(database).await;
    story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    let body = json!({"subject": "Bob@Toys.example", "permission": "finance.vouchers.create"});
    let told = story.post(ANN, CHECKS, body).await.is(200);
    assert_eq!(told.body["decision"], "allow");
    assert_eq!(told.body["reason"], "granted_by_role");
    assert_eq!(told.body["layer"], "permission");
    assert_eq!(told.body["sentence"], "a role allows it");
    assert_eq!(told.body["permission"], "finance.vouchers.create");
    assert_eq!(told.body["decided_by"], json!({"kind": "roles"}));
    assert_eq!(told.body["revision"], story.revision("toys").await);
    assert_eq!(told.body["valid_until"], Value::Null);
    assert_eq!(told.body["age_seconds"], 0);
    assert_eq!(told.header("cache-control"), "no-store");

    let by_id = json!({"subject": story.id_of(BOB).to_string(), "permission": "finance.vouchers.create"});
    assert_eq!(story.post(ANN, CHECKS, by_id).await.is(200).body, told.body);
    let denied = json!({"subject": "cat@toys.example", "permission": "finance.vouchers.create"});
    let told = story.post(ANN, CHECKS, denied).await.is(200);
    assert_eq!((&told.body["decision"], &told.body["reason"]), (&json!("deny"), &json!("no_grant")));
    assert_eq!(told.body["decided_by"], Value::Null);
});

both_engines!(an_action_on_a_type_names_a_permission, async |database| {
    let story = Story::company(database).await;
    story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    let ask = async |body: Value| story.decision("toys", BOB, body).await;
    let told = ask(json!({"type": "vouchers", "action": "create"})).await;
    assert_eq!(
        (&told["decision"], &told["permission"]),
        (&json!("allow"), &json!("finance.vouchers.create"))
    );
    let told = ask(json!({"resource": {"type": "product", "id": "bear"}, "action": "read"})).await;
    assert_eq!(
        (&told["decision"], &told["permission"]),
        (&json!("allow"), &json!("inventory.products.read"))
    );
    assert_eq!(ask(json!({"type": "product", "action": "delete"})).await["decision"], "deny");
    assert_eq!(ask(json!({"type": "dragon", "action": "ride"})).await["reason"], "unknown_type");
    assert_eq!(ask(json!({"type": "vouchers", "action": "ride"})).await["reason"], "unknown_permission");
    assert_eq!(ask(json!({"permission": "finance.dragons.ride"})).await["reason"], "unknown_permission");
    assert_eq!(ask(json!({"permission": "crm.leads.read"})).await["layer"], "entitlement");
});

both_engines!(members_ask_about_themselves_and_administrators_about_everybody, async |database| {
    let story = Story::company(database).await;
    let about = |subject: &str| json!({"subject": subject, "permission": "admin.users.read"});
    assert_eq!(
        story.post(ANN, CHECKS, json!({"permission": "admin.users.read"})).await.is(200).body["decision"],
        "allow"
    );
    assert_eq!(
        story.post(BOB, CHECKS, json!({"permission": "admin.users.read"})).await.is(200).body["decision"],
        "deny"
    );
    story.post(BOB, CHECKS, about("bob@toys.example")).await.is(200);
    story.post(BOB, CHECKS, about("cat@toys.example")).await.is_problem(403, "forbidden");
    story.post(ANN, CHECKS, about("cat@toys.example")).await.is(200);
    story.post(PAT, CHECKS, about("cat@toys.example")).await.is(200);
    story.post(EVE, CHECKS, about("cat@toys.example")).await.is_problem(404, "not-found");
    story.post(EVE, CHECKS, json!({"permission": "admin.users.read"})).await.is_problem(404, "not-found");
    story.post(Who::Nobody, CHECKS, about("cat@toys.example")).await.is_problem(401, "unauthenticated");
    let told = story.post(ANN, CHECKS, about("nobody@toys.example")).await.is(200);
    assert_eq!(told.body["reason"], "unknown_subject");
    let told = story.post(ANN, CHECKS, about("eve@trade.example")).await.is(200);
    assert_eq!(told.body["decision"], "deny");
});

both_engines!(an_explanation_names_the_rows_and_what_would_help, async |database| {
    let story = Story::company(database).await;
    let body =
        json!({"subject": "bob@toys.example", "permission": "finance.vouchers.approve", "explain": true});
    let told = story.post(ANN, CHECKS, body.clone()).await.is(200);
    assert_eq!(told.body["reason"], "no_grant");
    let roles = told.body["remedies"][0]["roles"].to_string();
    assert!(roles.contains("finance_manager"), "{:#}", told.body);
    assert!(!told.body["path"].as_array().unwrap().is_empty());
    let own = json!({"permission": "finance.vouchers.approve", "explain": true});
    story.post(BOB, CHECKS, own).await.is_problem(403, "forbidden");

    let grant = json!({
        "subject": {"member": "bob@toys.example"}, "permission": "finance.vouchers.approve",
        "from": "2027-02-01T00:00:00Z", "reason": "from february",
    });
    story.post(ANN, "/api/v1/organizations/toys/grants", grant).await.is(201);
    let mut later = body.clone();
    later["at"] = json!("2027-02-02T00:00:00Z");
    assert_eq!(story.post(ANN, CHECKS, later).await.is(200).body["decision"], "allow");
    assert_eq!(story.post(ANN, CHECKS, body).await.is(200).body["decision"], "deny");
    let at_only = json!({"permission": "finance.vouchers.approve", "at": "2027-02-02T00:00:00Z"});
    story.post(ANN, CHECKS, at_only).await.is_problem(422, "invalid");
});

both_engines!(a_question_that_is_none_is_refused_by_field, async |database| {
    let story = Story::company(database).await;
    for (body, field) in [
        (json!({}), "permission"),
        (json!({"permission": "a.b.c", "action": "read"}), "action"),
        (json!({"action": "read"}), "type"),
        (json!({"action": "read", "type": "product", "resource": {"type": "vouchers", "id": "1"}}), "type"),
        (json!({"permission": "a.b.c", "resource": {"type": "vouchers"}}), "resource"),
        (json!({"permission": "a.b.c", "context": {"address": "here"}}), "context.address"),
        (json!({"permission": "a.b.c", "context": {"mfa": "yes"}}), "context.mfa"),
        (json!({"permission": "a.b.c", "context": {"amr": "pwd"}}), "context.amr"),
        (json!({"permission": 7}), "permission"),
        (json!({"permission": "a.b.c", "who": "ann"}), "who"),
    ] {
        let told = story.post(ANN, CHECKS, body).await.is_problem(422, "invalid");
        assert!(told.body["fields"].to_string().contains(field), "{field}: {:#}", told.body);
    }
    story.post(Who::Operator, CHECKS, json!({"permission": "a.b.c"})).await.is_problem(422, "invalid");
});

both_engines!(a_batch_is_answered_from_one_revision_with_defaults, async |database| {
    let story = Story::company(database).await;
    story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    let batch = format!("{CHECKS}/batch");
    let body = json!({
        "defaults": {"subject": "bob@toys.example", "permission": "finance.vouchers.create"},
        "checks": [
            {}, {"subject": "cat@toys.example"}, {"permission": "finance.vouchers.approve"}, {"action": "read", "type": "product"},
        ],
    });
    let told = story.post(ANN, &batch, body).await.is(200);
    let decisions: Vec<&Value> =
        told.body["answers"].as_array().unwrap().iter().map(|answer| &answer["decision"]).collect();
    assert_eq!(decisions, ["allow", "deny", "deny", "allow"]);
    assert_eq!(told.body["revision"], story.revision("toys").await);

    let many: Vec<Value> = (0..1_000).map(|_| json!({"permission": "finance.vouchers.create"})).collect();
    let told = story.post(BOB, &batch, json!({"checks": many})).await.is(200);
    assert_eq!(told.body["answers"].as_array().unwrap().len(), 1_000);
    let too_many: Vec<Value> = (0..1_001).map(|_| json!({"permission": "finance.vouchers.create"})).collect();
    story.post(BOB, &batch, json!({"checks": too_many})).await.is_problem(422, "invalid");
    let others =
        json!({"checks": [{"permission": "a.b.c"}, {"permission": "a.b.c", "subject": "cat@toys.example"}]});
    story.post(BOB, &batch, others).await.is_problem(403, "forbidden");
    let told = story
        .post(ANN, &batch, json!({"checks": [{"permission": "a.b.c"}, {}]}))
        .await
        .is_problem(422, "invalid");
    assert_eq!(told.body["fields"][0]["field"], "checks.1.permission");
});

both_engines!(a_check_waits_for_the_revision_it_asks_for, async |database| {
    let story = Story::company(database).await;
    let revision = story.revision("toys").await;
    let at_least = async |revision: u64| {
        let headers = [("charter-at-least", revision.to_string())];
        let headers = [(headers[0].0, headers[0].1.as_str())];
        let body = Some(json!({"subject": "bob@toys.example", "permission": "admin.users.read"}));
        story.send(ANN, http::Method::POST, CHECKS, &headers, body).await
    };
    at_least(revision).await.is(200);
    at_least(revision + 1).await.is_problem(503, "unavailable");
    story.assign(ANN, "toys", CAT, "accountant").await.is(201);
    at_least(revision + 1).await.is(200);
});

both_engines!(questions_from_the_platform_leave_no_refusal_on_the_trail, async |database| {
    let story = Story::company(database).await;
    story
        .post(PAT, CHECKS, json!({"subject": "bob@toys.example", "permission": "admin.users.read"}))
        .await
        .is(200);
    story.get(PAT, "/api/v1/organizations/toys").await.is(200);
    story.app.flush_denials().await.unwrap();
    let by_pat = format!("/api/v1/organizations/toys/audit/events?actor={}", story.id_of(PAT));
    assert!(story.all(Who::Operator, &by_pat, 9, "/action").await.is_empty());
});

both_engines!(one_thing_has_no_second_name_that_its_denials_do_not_reach, async |database| {
    let story = Story::company(database).await;
    let own = json!({"document": include_str!("../../../../catalogue/examples/toys.toml")});
    story.post(PAT, "/api/v1/catalogue/apply", own).await.is(200);
    story.assign(ANN, "toys", BOB, "org_admin").await.is(201);
    let deny = |kind: &str| {
        json!({
            "subject": {"member": "bob@toys.example"}, "permission": "finance.invoices.read", "effect": "deny",
            "reach": {"type": kind, "id": "1043"}, "reason": "his brother's bill",
        })
    };
    // Finance's invoices are the type `invoice`; sales has invoices too, so `invoices` alone stands for those of sales.
    let told = story
        .post(ANN, "/api/v1/organizations/toys/grants", deny("invoices"))
        .await
        .is_problem(422, "invalid");
    assert!(
        told.body["detail"].as_str().unwrap_or_default().contains("say invoice")
            || told.body.to_string().contains("say invoice")
    );
    story.post(ANN, "/api/v1/organizations/toys/grants", deny("invoice")).await.is(201);
    for (permission, kind, reason) in [
        ("finance.invoices.read", "invoice", "denied_on_resource"),
        ("finance.invoices.read", "invoices", "unknown_type"),
        ("sales.invoices.read", "invoices", "granted_by_role"),
    ] {
        for explain in [false, true] {
            let asked = json!({
                "subject": "bob@toys.example", "permission": permission, "resource": {"type": kind, "id": "1043"}, "explain": explain,
            });
            let told = story.post(ANN, CHECKS, asked).await.is(200);
            assert_eq!(told.body["reason"], reason, "{permission} {kind}");
            if explain && reason == "unknown_type" {
                assert!(told.body["path"].to_string().contains("ask about invoice:1043"), "{:#}", told.body);
            }
        }
    }
});
