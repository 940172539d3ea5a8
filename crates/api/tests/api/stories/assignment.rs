use super::{ANN, BOB, CAT, EVE, Story, Who, changes};
use charter_testkit::both_engines;
use serde_json::json;

const ASSIGNMENTS: &str = "/api/v1/organizations/toys/assignments";

both_engines!(an_assignment_gives_a_role_until_it_is_taken_back, async |database| {
    let story = Story::company(database).await;
    let told = story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    assert_eq!(told.body["assignment"]["subject"], json!({"member": "bob@toys.example"}));
    assert!(changes(&told).contains(&"bob@toys.example gained finance.vouchers.create".to_owned()));
    assert!(story.allows("toys", BOB, "finance.vouchers.create").await);
    story.assign(ANN, "toys", BOB, "accountant").await.is_problem(409, "taken");

    let place = format!("{ASSIGNMENTS}/{}", told.body["assignment"]["id"].as_str().unwrap());
    assert_eq!(story.get(ANN, &place).await.is(200).body, told.body["assignment"]);
    let before = story.revision("toys").await;
    let dry = story.delete(ANN, &format!("{place}?dry_run=true")).await.is(200);
    assert!(changes(&dry).contains(&"bob@toys.example lost finance.vouchers.create".to_owned()));
    assert_eq!(story.revision("toys").await, before);
    assert!(story.allows("toys", BOB, "finance.vouchers.create").await);

    let gone = story.delete(ANN, &place).await.is(200);
    assert_eq!(changes(&gone), changes(&dry));
    assert!(!story.allows("toys", BOB, "finance.vouchers.create").await);
    story.delete(ANN, &place).await.is_problem(404, "not-found");
});

both_engines!(an_assignment_counts_inside_its_window_only, async |database| {
    let story = Story::company(database).await;
    let body = |from: &str, to: &str| json!({"role": "accountant", "subject": {"member": "bob@toys.example"}, "from": from, "to": to});
    let told = story.post(ANN, ASSIGNMENTS, body("2027-01-15T07:00:00Z", "2027-01-15T07:59:59Z")).await;
    told.is_problem(422, "invalid");
    let told = story.post(ANN, ASSIGNMENTS, body("2027-01-15T10:00:00Z", "2027-01-15T09:00:00Z")).await;
    told.is_problem(422, "invalid");
    story.post(ANN, ASSIGNMENTS, body("2027-01-15T09:00:00Z", "2027-01-15T10:00:00Z")).await.is(201);
    assert!(!story.allows("toys", BOB, "finance.vouchers.create").await);
    story.wait_seconds(3_600).await;
    assert!(story.allows("toys", BOB, "finance.vouchers.create").await);
    let decision = story.decision("toys", BOB, json!({"permission": "finance.vouchers.create"})).await;
    assert_eq!(decision["valid_until"], "2027-01-15T10:00:00Z");
    assert_eq!(decision["decided_by"]["kind"], "assignment");
    story.wait_seconds(3_600).await;
    assert!(!story.allows("toys", BOB, "finance.vouchers.create").await);
});

both_engines!(an_assignment_that_names_nothing_is_refused_by_field, async |database| {
    let story = Story::company(database).await;
    for (body, field) in [
        (json!({"role": "nobody", "subject": {"member": "bob@toys.example"}}), "role"),
        (json!({"role": "accountant", "subject": {"member": "eve@trade.example"}}), "subject"),
        (json!({"role": "accountant", "subject": {"team": "nowhere"}}), "subject"),
        (json!({"role": "accountant", "subject": {"role": "accountant"}}), "subject"),
        (json!({"role": "accountant", "subject": "bob@toys.example"}), "subject"),
        (
            json!({"role": "accountant", "subject": {"member": "bob@toys.example"}, "condition": "none"}),
            "condition",
        ),
        (json!({"role": "superadmin", "subject": {"member": "bob@toys.example"}}), "role"),
    ] {
        let told = story.post(Who::Operator, ASSIGNMENTS, body).await.is_problem(422, "invalid");
        assert!(told.body["fields"].to_string().contains(field), "{:#}", told.body);
    }
});

both_engines!(duties_stay_apart_unless_the_conflict_is_accepted_for_a_time, async |database| {
    let story = Story::company(database).await;
    for (key, permission) in
        [("writer", "procurement.vendor_bills.create"), ("passer", "procurement.vendor_bills.approve")]
    {
        let body = json!({"key": key, "name": key, "permissions": [{"permission": permission}]});
        story.post(ANN, "/api/v1/organizations/toys/roles", body).await.is(201);
    }
    story.assign(ANN, "toys", BOB, "writer").await.is(201);
    story.assign(ANN, "toys", BOB, "passer").await.is_problem(409, "separation-of-duty");
    let mut body = json!({
        "role": "passer", "subject": {"member": "bob@toys.example"}, "accept_conflicts": "cat is away this week",
    });
    story.post(ANN, ASSIGNMENTS, body.clone()).await.is_problem(422, "invalid");
    body["to"] = json!("2027-01-22T00:00:00Z");
    let told = story.post(ANN, ASSIGNMENTS, body).await.is(201);
    assert!(told.body["warnings"][0].as_str().unwrap().starts_with("accepted: bob@toys.example"));
    story.assign(ANN, "toys", CAT, "passer").await.is(201);
});

both_engines!(assignments_are_listed_by_member_team_and_role, async |database| {
    let story = Story::company(database).await;
    story.post(ANN, "/api/v1/organizations/toys/teams", json!({"key": "desk", "name": "Desk"})).await.is(201);
    story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    story.assign(ANN, "toys", CAT, "accountant").await.is(201);
    story.assign(ANN, "toys", CAT, "planner").await.is(201);
    story.post(ANN, ASSIGNMENTS, json!({"role": "planner", "subject": {"team": "desk"}})).await.is(201);
    assert_eq!(story.all(ANN, ASSIGNMENTS, 2, "/id").await.len(), 5);
    // Made in the same instant, they come in either order.
    let mut roles = story.all(ANN, &format!("{ASSIGNMENTS}?member=cat@toys.example"), 1, "/role").await;
    roles.sort();
    assert_eq!(roles, ["accountant", "planner"]);
    assert_eq!(story.all(ANN, &format!("{ASSIGNMENTS}?team=desk"), 9, "/subject/team").await, ["desk"]);
    assert_eq!(
        story.all(ANN, &format!("{ASSIGNMENTS}?role=accountant"), 1, "/subject/member").await.len(),
        2
    );
    story.get(ANN, &format!("{ASSIGNMENTS}?member=a&team=b")).await.is_problem(422, "invalid");
    story.get(ANN, &format!("{ASSIGNMENTS}?colour=red")).await.is_problem(400, "malformed");
});

both_engines!(
    /// Attack 74.
    the_last_administrator_keeps_the_role,
    async |database| {
    let story = Story::company(database).await;
    let ids = story.all(ANN, &format!("{ASSIGNMENTS}?member=ann@toys.example"), 9, "/id").await;
    let place = format!("{ASSIGNMENTS}/{}", ids[0]);
    story.delete(Who::Operator, &place).await.is_problem(409, "last-administrator");
    story.assign(ANN, "toys", CAT, "org_admin").await.is(201);
    story.delete(CAT, &place).await.is(200);
    story.get(ANN, &place).await.is_problem(403, "forbidden");
    story.get(EVE, &place).await.is_problem(404, "not-found");
});
