use super::{ANN, BOB, CAT, EVE, PAT, Story};
use charter_testkit::both_engines;
use serde_json::json;

both_engines!(the_plain_forms_give_check_list_and_revoke, async |database| {
    let story = Story::company(database).await;
    let check = json!({"user_id": "bob@toys.example", "permission": "sales.invoices.read"});
    let told = story.post(ANN, "/api/v1/permissions/check", check.clone()).await.is(200);
    assert_eq!(told.body, json!({"allowed": false, "reason": "no_grant"}));

    let grant = json!({
        "user_id": story.id_of(BOB).to_string(), "permission": "sales.invoices.read", "reason": "asked for it",
        "expires_at": "2028-01-01T00:00:00Z",
    });
    story.post(BOB, "/api/v1/permissions/grant", grant.clone()).await.is_problem(403, "forbidden");
    story
        .post(EVE, "/api/v1/permissions/grant?organization=toys", grant.clone())
        .await
        .is_problem(404, "not-found");
    story.post(EVE, "/api/v1/permissions/grant", grant.clone()).await.is_problem(422, "invalid");
    story.post(ANN, "/api/v1/permissions/grant", grant).await.is(201);
    assert_eq!(story.post(ANN, "/api/v1/permissions/check", check).await.is(200).body["allowed"], true);
    let own = json!({"permission": "sales.invoices.read", "organization": "toys"});
    assert_eq!(story.post(BOB, "/api/v1/permissions/check", own).await.is(200).body["allowed"], true);

    let mine = story.get(BOB, "/api/v1/permissions/me").await.is(200);
    assert_eq!(mine.body["permissions"], json!(["sales.invoices.read"]));
    let by_ann = story.get(ANN, &format!("/api/v1/permissions/{}", story.id_of(BOB))).await.is(200);
    assert_eq!(by_ann.body, mine.body);
    story.get(CAT, "/api/v1/permissions/bob@toys.example").await.is_problem(403, "forbidden");
    story.get(ANN, "/api/v1/permissions/eve@trade.example").await.is_problem(404, "not-found");
    story.get(PAT, "/api/v1/permissions/bob@toys.example?organization=toys").await.is(200);

    let revoke = "/api/v1/permissions/revoke?user_id=bob@toys.example&permission=sales.invoices.read";
    story.delete(BOB, revoke).await.is_problem(403, "forbidden");
    assert_eq!(story.delete(ANN, revoke).await.is(200).body["revoked"], 1);
    story.delete(ANN, revoke).await.is_problem(404, "not-found");
    assert_eq!(story.get(BOB, "/api/v1/permissions/me").await.is(200).body["permissions"], json!([]));
});

both_engines!(a_plain_form_that_says_half_is_refused, async |database| {
    let story = Story::company(database).await;
    let half = json!({"permission": "sales.invoices.read", "resource_id": "1"});
    story.post(ANN, "/api/v1/permissions/check", half).await.is_problem(422, "invalid");
    let half = json!({"user_id": "bob@toys.example", "permission": "sales.invoices.read", "reason": "x", "resource_id": "1"});
    story.post(ANN, "/api/v1/permissions/grant", half).await.is_problem(422, "invalid");
    story
        .delete(ANN, "/api/v1/permissions/revoke?user_id=bob@toys.example")
        .await
        .is_problem(400, "malformed");
});
