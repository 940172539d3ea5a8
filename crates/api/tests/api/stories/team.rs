use super::{ANN, BOB, CAT, Story, changes};
use charter_testkit::both_engines;
use serde_json::{Value, json};

const TEAMS: &str = "/api/v1/organizations/toys/teams";

async fn create(story: &Story, key: &str, parent: Option<&str>) {
    story.post(ANN, TEAMS, json!({"key": key, "name": key, "parent": parent})).await.is(201);
}

both_engines!(a_member_of_a_team_holds_what_the_teams_above_hold, async |database| {
    let story = Story::company(database).await;
    create(&story, "finance", None).await;
    create(&story, "payables", Some("finance")).await;
    let assignment = json!({"role": "accountant", "subject": {"team": "finance"}});
    let told = story.post(ANN, "/api/v1/organizations/toys/assignments", assignment).await.is(201);
    assert_eq!(told.body["access_changes_count"], 0);
    assert!(!story.allows("toys", BOB, "sales.invoices.read").await);

    let joined = story
        .send(ANN, http::Method::PUT, &format!("{TEAMS}/payables/members/bob@toys.example"), &[], None)
        .await;
    let joined = joined.is(200);
    assert_eq!(joined.body["team"]["members_count"], 1);
    assert!(
        changes(&joined).contains(&"bob@toys.example gained sales.invoices.read".to_owned()),
        "{:#}",
        joined.body
    );
    assert!(story.allows("toys", BOB, "sales.invoices.read").await);
    assert_eq!(
        story.all(ANN, &format!("{TEAMS}/payables/members"), 10, "/login").await,
        ["bob@toys.example"]
    );

    let left = story.delete(ANN, &format!("{TEAMS}/payables/members/bob@toys.example")).await.is(200);
    assert!(changes(&left).contains(&"bob@toys.example lost sales.invoices.read".to_owned()));
    assert!(!story.allows("toys", BOB, "sales.invoices.read").await);
});

both_engines!(teams_make_a_tree_that_has_no_cycle_and_an_end, async |database| {
    let story = Story::company(database).await;
    create(&story, "t1", None).await;
    for number in 2..=8 {
        create(&story, &format!("t{number}"), Some(&format!("t{}", number - 1))).await;
    }
    let body = json!({"key": "t9", "name": "t9", "parent": "t8"});
    story.post(ANN, TEAMS, body).await.is_problem(422, "invalid");
    story.patch(ANN, &format!("{TEAMS}/t1"), json!({"parent": "t3"})).await.is_problem(422, "invalid");
    story.patch(ANN, &format!("{TEAMS}/t1"), json!({"parent": "t1"})).await.is_problem(422, "invalid");
    story.patch(ANN, &format!("{TEAMS}/t1"), json!({"parent": "nowhere"})).await.is_problem(422, "invalid");
    story.delete(ANN, &format!("{TEAMS}/t3")).await.is_problem(409, "in-use");
    story.post(ANN, TEAMS, json!({"key": "t3", "name": "again"})).await.is_problem(409, "taken");
    story.post(ANN, TEAMS, json!({"key": "T 3", "name": "no key"})).await.is_problem(422, "invalid");

    let told =
        story.patch(ANN, &format!("{TEAMS}/t3"), json!({"parent": null, "name": "Third"})).await.is(200);
    assert_eq!(told.body["team"]["parent"], Value::Null);
    assert_eq!(told.body["team"]["name"], "Third");
    story.delete(ANN, &format!("{TEAMS}/t2")).await.is(200);
    story.get(ANN, &format!("{TEAMS}/t2")).await.is_problem(404, "not-found");
    assert_eq!(story.all(ANN, TEAMS, 3, "/key").await, ["t1", "t3", "t4", "t5", "t6", "t7", "t8"]);
});

both_engines!(a_team_is_made_of_members_of_its_organization, async |database| {
    let story = Story::company(database).await;
    let body = json!({"key": "sales", "name": "Sales", "members": ["bob@toys.example", "cat@toys.example", "bob@toys.example"]});
    let told = story.post(ANN, TEAMS, body).await.is(201);
    assert_eq!(told.body["team"]["members_count"], 2);
    let members = story.all(ANN, &format!("{TEAMS}/sales/members"), 1, "/id").await;
    assert_eq!(members.len(), 2);
    assert!(members.contains(&story.id_of(CAT).to_string()));
    let body = json!({"key": "other", "name": "Other", "members": ["eve@trade.example"]});
    story.post(ANN, TEAMS, body).await.is_problem(422, "invalid");
    let told = story
        .send(ANN, http::Method::PUT, &format!("{TEAMS}/sales/members/eve@trade.example"), &[], None)
        .await;
    told.is_problem(404, "not-found");
});
