use super::{ANN, BOB, CAT, Story};
use charter_testkit::both_engines;
use serde_json::json;

const BLOCKS: &str = "/api/v1/organizations/toys/blocks";

both_engines!(a_block_beats_every_right_of_whom_it_stops, async |database| {
    let story = Story::company(database).await;
    story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    story.assign(ANN, "toys", CAT, "accountant").await.is(201);
    story
        .post(
            ANN,
            "/api/v1/organizations/toys/teams",
            json!({"key": "interns", "name": "Interns", "members": ["bob@toys.example"]}),
        )
        .await
        .is(201);
    for (subject, stops_cat) in [
        (json!({"member": "bob@toys.example"}), false),
        (json!({"team": "interns"}), false),
        (json!({"role": "accountant"}), true),
        (json!("everyone"), true),
    ] {
        let body = json!({"subject": subject, "permission": "finance.*.export", "reason": "no data leaves the house"});
        let told = story.post(ANN, BLOCKS, body).await.is(201);
        assert_eq!(told.body["block"]["subject"], subject);
        let decision = story.decision("toys", BOB, json!({"permission": "finance.vouchers.export"})).await;
        assert_eq!(decision["reason"], "blocked");
        assert_eq!(decision["decided_by"]["id"], told.body["block"]["id"]);
        assert_eq!(story.allows("toys", CAT, "finance.vouchers.export").await, !stops_cat);
        assert!(story.allows("toys", BOB, "finance.vouchers.read").await);
        let place = format!("{BLOCKS}/{}", told.body["block"]["id"].as_str().unwrap());
        assert_eq!(story.get(ANN, &place).await.is(200).body, told.body["block"]);
        story.delete(ANN, &place).await.is(200);
        assert!(story.allows("toys", BOB, "finance.vouchers.export").await);
    }
});

both_engines!(a_blocked_account_cannot_be_removed_and_come_back_clean, async |database| {
    let story = Story::company(database).await;
    let body = json!({"subject": {"member": "bob@toys.example"}, "permission": "sales.*.*", "reason": "under inquiry"});
    let told = story.post(ANN, BLOCKS, body).await.is(201);
    story.delete(ANN, "/api/v1/organizations/toys/members/bob@toys.example").await.is_problem(409, "in-use");
    story.delete(ANN, &format!("{BLOCKS}/{}", told.body["block"]["id"].as_str().unwrap())).await.is(200);
    story.delete(ANN, "/api/v1/organizations/toys/members/bob@toys.example").await.is(200);
});

both_engines!(a_block_needs_a_subject_and_a_reason, async |database| {
    let story = Story::company(database).await;
    for body in [
        json!({"subject": "everybody", "permission": "sales.*.*", "reason": "x"}),
        json!({"subject": {"role": "nobody"}, "permission": "sales.*.*", "reason": "x"}),
        json!({"subject": {"team": "nowhere"}, "permission": "sales.*.*", "reason": "x"}),
        json!({"subject": "everyone", "permission": "sales.*.*"}),
        json!({"subject": "everyone", "permission": "sales.*.*", "reason": ""}),
        json!({"subject": "everyone", "permission": "nothing.at.all", "reason": "x"}),
    ] {
        story.post(ANN, BLOCKS, body).await.is_problem(422, "invalid");
    }
    assert!(story.all(ANN, BLOCKS, 9, "/id").await.is_empty());
});
