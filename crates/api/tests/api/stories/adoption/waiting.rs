//! What a run lets in again acts with its proof and not before: an organization that was closed, a membership that had ended.

use super::undo::content;
use super::{HOLDER, RUNS, company, id, plan};
use crate::stories::{ANN, Story, Who};
use charter_testkit::both_engines;
use charter_testkit::content::differing;
use serde_json::{Value, json};

const READ: &str = "sales.orders.read";

/// A membership of Ann of toys, with what the clerks have.
pub fn ann_too(run: u64, ann: &str) -> Value {
    let shop = id(run, 1);
    json!({
        "holder": HOLDER,
        "users": [{"legacy_id": "99", "id": ann, "login": "ann@toys.example", "status": "active"}],
        "memberships": [{"organization": shop, "principal": ann, "status": "active"}],
        "assignments": [{"id": id(run, 43), "organization": shop, "role": "adopted_clerk", "principal": ann}],
    })
}

impl Story {
    /// How many of the codes a member would have once all is open.
    async fn would_have(&self, member: &str) -> u32 {
        let answers =
            self.get(Who::Operator, "/api/v1/adoption/answers?organization=shop").await.is(200).body;
        let members = answers["members"].as_array().unwrap();
        let class = members.iter().find(|it| it[0] == member).unwrap()[1].as_u64().unwrap() as usize;
        let hex = answers["classes"][class].as_str().unwrap();
        hex.chars().map(|digit| digit.to_digit(16).unwrap().count_ones()).sum()
    }

    async fn may_read(&self, login: &str) -> bool {
        let body = json!({"subject": login, "permission": READ});
        let told = self.post(Who::Operator, "/api/v1/organizations/shop/checks", body).await.is(200);
        told.body["decision"] == "allow"
    }

    async fn standing(&self, shop: &str, member: &str) -> (Value, Value) {
        let held = self.held(shop).await;
        let members = held["members"].as_array().unwrap();
        let found = members.iter().find(|it| it["principal"] == member).unwrap();
        let of = |it: &Value| json!([it["status"], it["waits"]]);
        (of(&held["organization"]), of(found))
    }
}

both_engines!(what_a_run_opens_again_acts_with_its_proof_and_not_before, async |database| {
    let story = Story::company(database).await;
    let ann = story.id_of(ANN).to_string();
    let first = story.begin("p1").await;
    story.rows(first, company(first)).await.is(200);
    story.rows(first, ann_too(first, &ann)).await.is(200);
    story.prove(first).await;
    let shop = id(first, 1);
    assert!(story.may_read("ann@toys.example").await && story.may_read("ann@shop.example").await);
    story.pass(5);
    let second = story.begin("p2").await;
    let membership = |status: &str| json!([{"organization": shop, "principal": ann, "status": status}]);
    let organization = |status: &str| json!([{"organization": shop, "name": "Shops", "status": status}]);
    let stop = json!({"memberships": membership("deactivated"), "organizations": organization("closed")});
    story.changes(second, stop).await.is(200);
    story.prove(second).await;
    assert!(!story.may_read("ann@toys.example").await && !story.may_read("ann@shop.example").await);
    let closed = content(&story).await;

    story.pass(5);
    let third = story.begin("p3").await;
    let open = json!({"memberships": membership("active"), "organizations": [{"organization": shop, "name": "Shop", "status": "active"}]});
    let told = story.changes(third, open.clone()).await.is(200).body["changed"].clone();
    assert_eq!((&told["memberships"], &told["organizations"]), (&json!(1), &json!(1)));
    let waiting = (json!(["closed", true]), json!(["deactivated", true]));
    assert_eq!(story.standing(&shop, &ann).await, waiting);
    assert!(!story.may_read("ann@toys.example").await && !story.may_read("ann@shop.example").await);
    assert!(story.would_have(&ann).await > 0 && story.would_have(&id(first, 11)).await > 0);
    // Sent again, a moment later, it changes nothing and waits on.
    story.pass(5);
    story.post(Who::Operator, RUNS, plan("p3", HOLDER)).await.is(200);
    let again = story.changes(third, open.clone()).await.is(200).body["changed"].clone();
    assert_eq!((&again["memberships"], &again["organizations"]), (&json!(0), &json!(0)));
    assert_eq!(story.standing(&shop, &ann).await, waiting);
    // Taken back before its proof, it is as it was.
    story.undo(third, "before", false).await;
    assert_eq!(differing(&closed, &content(&story).await), Vec::<&str>::new());

    let fourth = story.begin("p4").await;
    story.changes(fourth, open.clone()).await.is(200);
    story.pass(5);
    story.prove(fourth).await;
    let opened = (json!(["active", false]), json!(["active", false]));
    assert_eq!(story.standing(&shop, &ann).await, opened);
    assert!(story.may_read("ann@toys.example").await && story.may_read("ann@shop.example").await);
    assert_eq!(story.held(&shop).await["organization"]["settled"], true, "nobody but a run changed it");
    story.undo(fourth, "before", false).await;
    assert_eq!(differing(&closed, &content(&story).await), Vec::<&str>::new());
});

both_engines!(whom_people_stop_while_it_waits_stays_stopped, async |database| {
    let story = Story::company(database).await;
    let ann = story.id_of(ANN).to_string();
    let first = story.begin("p1").await;
    story.rows(first, company(first)).await.is(200);
    story.rows(first, ann_too(first, &ann)).await.is(200);
    story.prove(first).await;
    let shop = id(first, 1);
    let second = story.begin("p2").await;
    let turn =
        |status: &str| json!({"memberships": [{"organization": shop, "principal": ann, "status": status}]});
    story.pass(5);
    story.changes(second, turn("deactivated")).await.is(200);
    story.prove(second).await;
    let third = story.begin("p3").await;
    story.changes(third, turn("active")).await.is(200);
    story.pass(5);
    let path = "/api/v1/organizations/shop/members/ann@toys.example";
    for status in ["active", "deactivated"] {
        story.patch(Who::Operator, path, json!({"status": status, "reason": "by hand"})).await.is(200);
    }
    assert_eq!(story.would_have(&ann).await, 0, "the proof sees it");
    story.prove(third).await;
    assert!(!story.may_read("ann@toys.example").await);
    let told = story.undo_once(third, "before", false).await.is_problem(409, "in-use");
    assert!(told.body["detail"].as_str().unwrap().contains("1 changed membership"), "{:#}", told.body);
});

both_engines!(an_organization_that_a_rollback_left_closed_opens_with_the_proof, async |database| {
    let story = Story::company(database).await;
    let first = story.begin("p1").await;
    story.rows(first, company(first)).await.is(200);
    story.prove(first).await;
    let shop = id(first, 1);
    // Somebody works in it, so that it has a trail and stays when the run goes.
    let body = json!({"key": "night", "name": "Night", "permissions": [{"permission": READ}], "reason": "x"});
    story.post(Who::Operator, "/api/v1/organizations/shop/roles", body).await.is(201);
    story.undo(first, "before", true).await;
    let closed = content(&story).await;
    let status = async || {
        let told = story.get(Who::Operator, "/api/v1/organizations/shop").await.is(200).body;
        told["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status().await, "closed");
    story.pass(5);
    let second = story.begin("p2").await;
    let mut rows = company(second);
    let text = rows.to_string().replace(&id(second, 1), &shop);
    rows = serde_json::from_str(&text).unwrap();
    story.rows(second, rows.clone()).await.is(200);
    assert_eq!(status().await, "closed", "it waits for the proof");
    assert!(story.would_have(&id(second, 11)).await > 0);
    story.pass(5);
    story.rows(second, rows).await.is(200);
    story.prove(second).await;
    assert_eq!(status().await, "active");
    assert!(story.may_read("ann@shop.example").await);
    story.undo(second, "before", true).await;
    assert_eq!(status().await, "closed");
    let now = content(&story).await;
    let left = differing(&closed, &now);
    // It is closed once more, and the link is of the run that was taken back last.
    assert_eq!(left, ["adopted_closed", "adopted_organizations", "organizations"]);
});

both_engines!(an_account_that_people_suspend_while_it_waits_stays_suspended, async |database| {
    let story = Story::company(database).await;
    let first = story.begin("p1").await;
    story.rows(first, company(first)).await.is(200);
    story.prove(first).await;
    let (shop, ann) = (id(first, 1), id(first, 11));
    let turn = |status: &str| json!({"accounts": [{"principal": ann, "status": status}]});
    let path = "/api/v1/organizations/shop/members/ann@shop.example";
    story.pass(5);
    let second = story.begin("p2").await;
    story.changes(second, turn("deactivated")).await.is(200);
    story.prove(second).await;
    story.pass(5);
    let third = story.begin("p3").await;
    story.changes(third, turn("active")).await.is(200);
    let new = json!({
        "holder": HOLDER,
        "users": [{"legacy_id": "77", "id": id(third, 77), "login": "new@shop.example", "status": "active"}],
        "memberships": [{"organization": shop, "principal": id(third, 77), "status": "active"}],
        "assignments": [{"id": id(third, 87), "organization": shop, "role": "adopted_clerk", "principal": id(third, 77)}],
    });
    story.rows(third, new).await.is(200);
    assert!(story.would_have(&ann).await > 0 && story.would_have(&id(third, 77)).await > 0);
    story.pass(5);
    // They stand as suspended already: whoever says it again means it.
    for login in ["ann@shop.example", "new@shop.example"] {
        let path = format!("/api/v1/organizations/shop/members/{login}");
        let body = json!({"account_status": "suspended", "reason": "by hand"});
        story.patch(Who::Operator, &path, body).await.is(200);
        let trail = "/api/v1/organizations/shop/audit/events?action=member.update&limit=1";
        let event = story.get(Who::Operator, trail).await.is(200).body["items"][0].clone();
        assert_eq!((&event["target"], &event["reason"]), (&json!(login), &json!("by hand")), "{event:#}");
    }
    assert_eq!(story.would_have(&ann).await, 0, "the proof sees it");
    assert_eq!(story.would_have(&id(third, 77)).await, 0, "the proof sees it");
    assert_eq!(story.held_account("1").await["waits"], false);
    story.prove(third).await;
    for login in ["ann@shop.example", "new@shop.example"] {
        assert!(!story.may_read(login).await, "{login}");
    }
    assert_eq!(story.held_account("1").await["status_settled"], false);
    assert_eq!(story.held_account("77").await["status_settled"], false);
    // A rollback of the run leaves out who was left out by hand.
    story.undo(third, "before", true).await;
    assert!(!story.may_read("ann@shop.example").await);
    story.patch(Who::Operator, path, json!({"account_status": "active", "reason": "by hand"})).await.is(200);
    assert!(story.may_read("ann@shop.example").await);
});

both_engines!(whom_a_run_stopped_and_people_stop_again_no_run_lets_in, async |database| {
    let story = Story::company(database).await;
    let ann_of_toys = story.id_of(ANN).to_string();
    let first = story.begin("p1").await;
    story.rows(first, company(first)).await.is(200);
    story.rows(first, ann_too(first, &ann_of_toys)).await.is(200);
    story.prove(first).await;
    let (shop, ann) = (id(first, 1), id(first, 11));
    let turn = |status: &str| {
        json!({"accounts": [{"principal": ann, "status": status}],
               "memberships": [{"organization": shop, "principal": ann_of_toys, "status": status}]})
    };
    story.pass(5);
    let second = story.begin("p2").await;
    story.changes(second, turn("deactivated")).await.is(200);
    story.prove(second).await;
    assert_eq!(story.held_account("1").await["status_settled"], true);
    story.pass(5);
    for (login, field) in [("ann@shop.example", "account_status"), ("ann@toys.example", "status")] {
        let path = format!("/api/v1/organizations/shop/members/{login}");
        story.patch(Who::Operator, &path, json!({field: "deactivated", "reason": "by hand"})).await.is(200);
    }
    assert_eq!(story.held_account("1").await["status_settled"], false);
    let third = story.begin("p3").await;
    story.changes(third, turn("active")).await.is_problem(422, "invalid");
    story.undo(third, "before", false).await;
    // Taken back, the run that stopped them lets nobody in whom people stopped after it.
    story.pass(5);
    story.undo(second, "before", true).await;
    assert!(!story.may_read("ann@shop.example").await && !story.may_read("ann@toys.example").await);
});
