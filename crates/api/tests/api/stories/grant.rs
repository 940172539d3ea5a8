use super::{ANN, BOB, CAT, Story, changes};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const GRANTS: &str = "/api/v1/organizations/toys/grants";

fn to_bob(permission: &str) -> Value {
    json!({"subject": {"member": "bob@toys.example"}, "permission": permission, "reason": "covers for cat"})
}

both_engines!(a_grant_reaches_what_it_says_until_it_is_revoked, async |database| {
    let story = Story::company(database).await;
    let mut body = to_bob("finance.vouchers.approve");
    body["reach"] = json!({"type": "vouchers", "id": "1042"});
    let told = story.post(ANN, GRANTS, body).await.is(201);
    assert_eq!(told.body["grant"]["given_by"], "ann@toys.example");
    assert_eq!(told.body["grant"]["reach"], json!({"type": "vouchers", "id": "1042"}));
    assert_eq!(changes(&told), ["bob@toys.example gained finance.vouchers.approve"]);
    assert_eq!(told.body["access_changes"][0]["resource"], json!({"type": "vouchers", "id": "1042"}));
    let on = async |id: &str| {
        let check =
            json!({"permission": "finance.vouchers.approve", "resource": {"type": "vouchers", "id": id}});
        story.decision("toys", BOB, check).await
    };
    let decision = on("1042").await;
    assert_eq!(
        (&decision["decision"], &decision["reason"]),
        (&json!("allow"), &json!("granted_on_resource"))
    );
    assert_eq!(decision["decided_by"], json!({"kind": "grant", "id": told.body["grant"]["id"]}));
    assert_eq!(on("1043").await["reason"], "no_grant");

    let place = format!("{GRANTS}/{}", told.body["grant"]["id"].as_str().unwrap());
    assert_eq!(story.get(ANN, &place).await.is(200).body, told.body["grant"]);
    story.delete(ANN, &place).await.is(200);
    assert_eq!(on("1042").await["decision"], "deny");
    story.get(ANN, &place).await.is_problem(404, "not-found");
});

both_engines!(a_denial_beats_a_grant_and_tells_that_its_end_opens_access_again, async |database| {
    let story = Story::company(database).await;
    story.post(ANN, GRANTS, to_bob("sales.invoices.*")).await.is(201);
    let mut body = to_bob("sales.invoices.delete");
    body["effect"] = json!("deny");
    body["to"] = json!("2027-02-01T00:00:00Z");
    let told = story.post(ANN, GRANTS, body).await.is(201);
    assert_eq!(changes(&told), ["bob@toys.example lost sales.invoices.delete"]);
    assert!(told.body["warnings"][0].as_str().unwrap().contains("open again"));
    let decision = story.decision("toys", BOB, json!({"permission": "sales.invoices.delete"})).await;
    assert_eq!(decision["reason"], "denied_for_subject");
    assert!(story.allows("toys", BOB, "sales.invoices.read").await);
    story.wait_seconds(20 * 86_400).await;
    assert!(story.allows("toys", BOB, "sales.invoices.delete").await);
});

both_engines!(
    /// Attack 74.
    nobody_gives_what_they_do_not_hold_nor_raises_themselves,
    async |database| {
    let story = Story::company(database).await;
    for permission in ["admin.permissions.assign", "admin.permissions.revoke", "sales.invoices.read"] {
        story.post(ANN, GRANTS, to_bob(permission)).await.is(201);
    }
    let mut body = json!({"subject": {"member": "cat@toys.example"}, "permission": "sales.invoices.read", "reason": "help"});
    story.post(BOB, GRANTS, body.clone()).await.is(201);
    body["permission"] = json!("sales.invoices.delete");
    story.post(BOB, GRANTS, body.clone()).await.is_problem(403, "beyond-giver");
    body["permission"] = json!("*");
    story.post(BOB, GRANTS, body.clone()).await.is_problem(403, "beyond-giver");
    story.post(BOB, GRANTS, to_bob("sales.invoices.delete")).await.is_problem(403, "beyond-giver");
    assert!(!story.allows("toys", BOB, "sales.invoices.delete").await);

    let mut denial = to_bob("sales.invoices.read");
    denial["effect"] = json!("deny");
    let told = story.post(ANN, GRANTS, denial).await.is(201);
    let place = format!("{GRANTS}/{}", told.body["grant"]["id"].as_str().unwrap());
    story.delete(BOB, &place).await.is_problem(403, "beyond-giver");
    assert!(!story.allows("toys", BOB, "sales.invoices.read").await);
    assert!(story.allows("toys", CAT, "sales.invoices.read").await);
});

both_engines!(nobody_raises_themselves_by_what_their_own_conditions_read, async |database| {
    let story = Story::company(database).await;
    let toys = |rest: &str| format!("/api/v1/organizations/toys/{rest}");
    for permission in ["admin.permissions.assign", "admin.teams.update"] {
        story.post(ANN, GRANTS, to_bob(permission)).await.is(201);
    }
    story.post(ANN, &toys("teams"), json!({"key": "bears", "name": "Bears"})).await.is(201);
    let conditions = [
        ("own", "sales.invoices.read", json!({"form": "owner"})),
        (
            "small",
            "sales.orders.read",
            json!({"form": "at_most", "of": "resource", "attribute": "amount", "limit": 10}),
        ),
        ("bears", "sales.orders.approve", json!({"form": "all", "of": [{"form": "team", "team": "bears"}]})),
    ];
    for (key, permission, condition) in conditions {
        let place = toys(&format!("conditions/{key}"));
        story.put(ANN, &place, json!({"condition": condition})).await.is(200);
        let mut body = to_bob(permission);
        body["condition"] = json!(key);
        story.post(ANN, GRANTS, body).await.is(201);
    }
    let mine = json!({"owner": "bob@toys.example"});
    let team = toys("teams/bears/members/bob@toys.example");
    story.put(BOB, &toys("resources/invoices/1"), mine.clone()).await.is_problem(403, "beyond-giver");
    story
        .put(BOB, &toys("resources/orders/1"), json!({"attributes": {"amount": 5}}))
        .await
        .is_problem(403, "beyond-giver");
    story.send(BOB, Method::PUT, &team, &[], None).await.is_problem(403, "beyond-giver");
    // What has no say in the own rights is free, and whoever holds the right anyway may do all of it.
    story.put(BOB, &toys("resources/invoices/2"), json!({"owner": "cat@toys.example"})).await.is(200);
    story.put(BOB, &toys("resources/products/1"), json!({"attributes": {"amount": 5}})).await.is(200);
    story.send(BOB, Method::PUT, &toys("teams/bears/members/cat@toys.example"), &[], None).await.is(200);
    story.put(ANN, &toys("resources/invoices/1"), mine).await.is(200);
    story.send(ANN, Method::PUT, &team, &[], None).await.is(200);
    assert!(story.allows("toys", BOB, "sales.orders.approve").await);
    let mut block = to_bob("sales.orders.approve");
    block["condition"] = json!("bears");
    story.post(ANN, &toys("blocks"), block).await.is(201);
    story.delete(BOB, &team).await.is_problem(403, "beyond-giver");
    story.delete(ANN, &team).await.is(200);
});

both_engines!(a_grant_that_means_nothing_is_refused_by_field, async |database| {
    let story = Story::company(database).await;
    for (name, value, field) in [
        ("permission", json!("finance.dragons.ride"), "permission"),
        ("permission", json!("finance"), "permission"),
        ("subject", json!({"member": "nobody@toys.example"}), "subject"),
        ("reason", json!("  "), "reason"),
        ("reason", Value::Null, "reason"),
        ("effect", json!("maybe"), "effect"),
        ("condition", json!("none"), "condition"),
        ("reach", json!({"type": "dragon"}), "resource"),
        ("reach", json!({"id": "7"}), "type"),
        ("reach", json!({"type": "vouchers", "id": ""}), "reach"),
        ("to", json!("2027-01-15T08:00:00Z"), "to"),
        ("to", json!("tomorrow"), "to"),
    ] {
        let mut body = to_bob("sales.invoices.read");
        body[name] = value;
        let told = story.post(ANN, GRANTS, body).await.is_problem(422, "invalid");
        assert!(told.body["fields"].to_string().contains(field), "{field}: {:#}", told.body);
    }
});

both_engines!(an_edit_of_an_older_revision_changes_nothing, async |database| {
    let story = Story::company(database).await;
    let shown = story.get(ANN, "/api/v1/organizations/toys/members/bob@toys.example").await.is(200);
    let etag = shown.header("etag").to_owned();
    assert_eq!(etag, format!("\"r{}\"", story.revision("toys").await));
    let give = async |etag: &str| {
        let headers = [("if-match", etag)];
        story.send(ANN, Method::POST, GRANTS, &headers, Some(to_bob("sales.invoices.read"))).await
    };
    let told = give(&etag).await.is(201);
    assert_eq!(told.header("etag"), format!("\"r{}\"", told.body["revision"]));
    assert_eq!(told.header("charter-revision"), told.body["revision"].to_string());
    give(&etag).await.is_problem(412, "changed");
    give("\"v1\"").await.is_problem(412, "changed");
    give(told.header("etag")).await.is(201);
    assert_eq!(story.all(ANN, &format!("{GRANTS}?member=bob@toys.example"), 1, "/permission").await.len(), 2);
});

both_engines!(a_repeated_request_with_its_key_gives_one_grant, async |database| {
    let story = Story::company(database).await;
    let give = async |key: &str, body: Value| {
        story.send(ANN, Method::POST, GRANTS, &[("idempotency-key", key)], Some(body)).await
    };
    let first = give("k1", to_bob("sales.invoices.read")).await.is(201);
    let again = give("k1", to_bob("sales.invoices.read")).await.is(201);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.body, again.body);
    give("k1", to_bob("sales.orders.read")).await.is_problem(422, "idempotency-mismatch");
    assert_eq!(story.all(ANN, GRANTS, 9, "/id").await.len(), 1);
});
