//! Whom people stop of what a run gave that is taken back: remembered for the next plan, until a run that is proved brings them again.

use super::waiting::ann_too;
use super::{HOLDER, RUNS, company, id};
use crate::stories::{ANN, Story, Who};
use charter_testkit::both_engines;
use serde_json::{Value, json};

/// More users of the company, each with one role.
fn crew(run: u64) -> Value {
    let shop = id(run, 1);
    let of = |number: u128| (number.to_string(), id(run, 10 + number), format!("u{number}@shop.example"));
    let numbers = [3, 4, 5, 6];
    let user = |number| {
        let (legacy_id, id, login) = of(number);
        json!({"legacy_id": legacy_id, "id": id, "login": login, "status": "active"})
    };
    let membership = |number| json!({"organization": shop, "principal": of(number).1, "status": "active"});
    let assignment = |number| json!({"id": id(run, 60 + number), "organization": shop, "role": "adopted_clerk", "principal": of(number).1});
    json!({
        "holder": HOLDER,
        "users": numbers.map(user),
        "memberships": numbers.map(membership),
        "assignments": numbers.map(assignment),
    })
}

impl Story {
    async fn remembered(&self, source: &str) -> Value {
        let path = format!("/api/v1/adoption/kept-away?source={source}");
        self.get(Who::Operator, &path).await.is(200).body["remembered"].clone()
    }

    async fn member(&self, login: &str, change: Value) {
        let path = format!("/api/v1/organizations/shop/members/{login}");
        self.patch(Who::Operator, &path, change).await.is(200);
    }
}

both_engines!(whom_people_stop_of_a_run_that_is_taken_back_is_remembered, async |database| {
    let story = Story::company(database).await;
    let ann = story.id_of(ANN).to_string();
    let first = story.begin("p1").await;
    for rows in [company(first), ann_too(first, &ann), crew(first)] {
        story.rows(first, rows).await.is(200);
    }
    story.pass(5);
    story.member("ann@shop.example", json!({"account_status": "suspended", "reason": "by hand"})).await;
    story.member("u3@shop.example", json!({"status": "deactivated", "reason": "by hand"})).await;
    story.member("ann@toys.example", json!({"status": "suspended", "reason": "by hand"})).await;
    for path in [format!("assignments/{}", id(first, 64)), "members/u5@shop.example".to_owned()] {
        story.delete(Who::Operator, &format!("/api/v1/organizations/shop/{path}")).await.is(200);
    }
    assert_eq!(story.remembered("legacy").await, json!([]), "what stands is asked about by itself");
    let told = story.undo_once(first, "before", false).await.is(200);
    assert_eq!(told.body["remembered"], 5);
    story.undo(first, "before", false).await;
    assert_eq!(story.remembered("legacy").await, json!(["1", "3", "4", "5", "99"]));
    assert_eq!(story.remembered("other").await, json!([]));
    let page = "/api/v1/adoption/kept-away?source=legacy";
    let after = format!("{page}&organization={}&principal={}&kind=grant", id(first, 1), id(first, 11));
    assert_eq!(story.get(Who::Operator, &after).await.is(200).body["remembered"], json!([]));

    // Whoever is here again was asked about.
    let second = story.begin("p2").await;
    let mut rows = company(second);
    rows["organizations"][0]["key"] = json!("shop-two");
    rows["organizations"][0]["legacy_id"] = json!("8");
    story.rows(second, rows).await.is(200);
    assert_eq!(story.remembered("legacy").await, json!(["1", "3", "4", "5", "99"]), "nothing is proved yet");
    story.prove(second).await;
    assert_eq!(story.remembered("legacy").await, json!(["3", "4", "5", "99"]));

    // Of what was proved it is remembered, too, once people let it go.
    story.pass(5);
    let path = "/api/v1/organizations/shop-two/members/ann@shop.example";
    let stop = json!({"account_status": "deactivated", "reason": "by hand"});
    story.patch(Who::Operator, path, stop).await.is(200);
    story.undo_once(second, "before", false).await.is_problem(409, "in-use");
    assert_eq!(story.remembered("legacy").await, json!(["3", "4", "5", "99"]));
    story.undo(second, "before", true).await;
    assert_eq!(story.remembered("legacy").await, json!(["1", "3", "4", "5", "99"]));
});

both_engines!(whom_people_stop_is_told_also_where_the_clock_was_ahead_during_the_run, async |database| {
    let story = Story::company(database).await;
    let ann = story.id_of(ANN).to_string();
    story.pass(86_400);
    let run = story.begin("p1").await;
    for rows in [company(run), ann_too(run, &ann), crew(run)] {
        story.rows(run, rows).await.is(200);
        story.pass(1);
    }
    story.prove(run).await;
    story.set_back(86_400);
    let body = json!({"holder": HOLDER, "to": "before", "dry_run": true});
    let told = story.post(Who::Operator, &format!("{RUNS}/{run}/undo"), body).await.is(200);
    assert_eq!(told.body["discarded"], json!({}), "nobody touched anything");

    story.member("ann@shop.example", json!({"account_status": "suspended", "reason": "by hand"})).await;
    story.member("u3@shop.example", json!({"status": "deactivated", "reason": "by hand"})).await;
    story.member("ann@toys.example", json!({"status": "suspended", "reason": "by hand"})).await;
    let shop = "/api/v1/organizations/shop";
    story.patch(Who::Operator, &format!("{shop}/roles/adopted_clerk"), json!({"name": "Mine"})).await.is(200);
    story.post(Who::Operator, &format!("{shop}/suspend"), json!({"reason": "by hand"})).await.is(200);
    let told = story.undo_once(run, "before", false).await.is_problem(409, "in-use");
    let detail = told.body["detail"].as_str().unwrap();
    for said in [
        "1 account stopped by hand",
        "2 memberships ended by hand",
        "1 changed role",
        "1 organization closed by hand",
    ] {
        assert!(detail.contains(said), "{said}: {detail}");
    }
    let told = story.undo_once(run, "before", true).await.is(200);
    assert_eq!((&told.body["remembered"], &told.body["remembered_rows"]), (&json!(3), &json!(1)));
    story.undo(run, "before", true).await;
    assert_eq!(story.remembered("legacy").await, json!(["1", "3", "99"]));
});
