//! What people remove by hand of what runs gave: told to the next plan, and kept away where a run was told so, in shadow mode too.

use super::{HOLDER, RUNS, company, id, plan};
use crate::stories::{ANN, Story, Who};
use charter_app::shadow::{Answering, LegacyAnswer, LegacyQuestion, LegacyRule};
use charter_testkit::both_engines;
use serde_json::{Value, json};

const READ: &str = "sales.orders.read";
const OTHER: &str = "sales.customers.create";

/// A system that allows everything.
struct Generous;

impl LegacyRule for Generous {
    fn ask(&self, _: &LegacyQuestion) -> Answering {
        Answering::Now(LegacyAnswer::Allow("everybody may".to_owned()))
    }
}

impl Story {
    async fn removed(&self, shop: &str) -> Value {
        self.held(shop).await["removed"].clone()
    }

    async fn removed_ids(&self, shop: &str) -> Value {
        let removed = self.removed(shop).await;
        removed["rights"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect()
    }

    async fn remove(&self, path: &str) {
        self.delete(Who::Operator, &format!("/api/v1/organizations/shop/{path}")).await.is(200);
    }

    async fn kept(&self, more: &str) -> Value {
        let path = format!("/api/v1/adoption/kept-away?source=legacy{more}");
        self.get(Who::Operator, &path).await.is(200).body
    }

    async fn asked(&self, login: &str, permission: &str) -> [String; 2] {
        let body = json!({"subject": login, "permission": permission});
        let told = self.post(Who::Operator, "/api/v1/organizations/shop/checks", body).await.is(200).body;
        ["decision", "answered_by"].map(|name| told[name].as_str().unwrap_or_default().to_owned())
    }
}

both_engines!(what_people_remove_is_told_until_a_run_gave_it_and_took_it_away_itself, async |database| {
    let story = Story::company(database).await;
    let first = story.begin("p1").await;
    story.rows(first, company(first)).await.is(200);
    story.prove(first).await;
    let (shop, ann, bob) = (id(first, 1), id(first, 11), id(first, 12));
    assert_eq!(story.removed(&shop).await, json!({"rights": [], "members": [], "roles": []}));
    // What people gave is theirs to remove.
    let body = json!({"role": "viewer", "subject": {"member": "ann@shop.example"}, "reason": "by hand"});
    let given = story.post(Who::Operator, "/api/v1/organizations/shop/assignments", body).await.is(201);
    let given = given.body["assignment"]["id"].as_str().unwrap().to_owned();
    story.remove(&format!("assignments/{given}")).await;
    assert_eq!(story.removed(&shop).await["rights"], json!([]));
    story.remove(&format!("assignments/{}", id(first, 21))).await;
    story.remove(&format!("grants/{}", id(first, 31))).await;
    story.remove("roles/adopted_clerk").await;
    story.remove("members/bob@shop.example").await;
    let rights = json!([id(first, 21), id(first, 22), id(first, 31)]);
    assert_eq!(story.removed_ids(&shop).await, rights);
    let told = story.removed(&shop).await;
    assert_eq!((&told["members"], &told["roles"]), (&json!([bob]), &json!(["adopted_clerk"])));
    let gave = &told["rights"][0];
    assert_eq!(
        (&gave["principal"], &gave["kind"], &gave["key"]),
        (&json!(ann), &json!("assignment"), &json!("adopted_clerk"))
    );
    let gives = gave["gives"].to_string();
    assert!(
        gives.contains(READ) && gives.contains("sales.invoices.read"),
        "what the role gave then: {gives}"
    );
    // A run gives some of it back, and the run after it takes that away.
    let second = story.begin("p2").await;
    let back = json!({
        "holder": HOLDER,
        "roles": [{"organization": shop, "key": "adopted_clerk", "name": "Clerk", "level": "viewer", "permissions": [READ]}],
        "memberships": [{"organization": shop, "principal": bob, "status": "active"}],
        "assignments": [{"id": id(second, 21), "organization": shop, "role": "adopted_clerk", "principal": ann}],
    });
    story.rows(second, back).await.is(200);
    story.prove(second).await;
    let told = story.removed(&shop).await;
    assert_eq!((&told["members"], &told["roles"]), (&json!([]), &json!([])));
    let third = story.begin("p3").await;
    let gone = json!({"assignments": [{"id": id(second, 21), "organization": shop}]});
    story.changes(third, gone).await.is(200);
    story.prove(third).await;
    assert_eq!(story.removed_ids(&shop).await, json!([id(first, 22), id(first, 31)]));
    story.undo(third, "before", false).await;
    assert_eq!(story.removed_ids(&shop).await, rights);
});

both_engines!(what_another_sources_run_took_away_hides_nothing, async |database| {
    let story = Story::company(database).await;
    let first = story.begin("p1").await;
    story.rows(first, company(first)).await.is(200);
    story.prove(first).await;
    let (shop, ann) = (id(first, 1), id(first, 11));
    story.remove(&format!("assignments/{}", id(first, 21))).await;
    assert_eq!(story.removed_ids(&shop).await, json!([id(first, 21)]));
    // The other source gives ann the same in the same organization, and takes it away again.
    let other = async |hash: &str| {
        let mut body = plan(hash, HOLDER);
        body["source"] = json!("other");
        story.post(Who::Operator, RUNS, body).await.is(201).body["run"].as_u64().unwrap()
    };
    let second = other("p2").await;
    let row = json!({"id": id(second, 21), "organization": shop, "role": "adopted_clerk", "principal": ann});
    story.rows(second, json!({"holder": HOLDER, "assignments": [row]})).await.is(200);
    story.prove(second).await;
    let third = other("p3").await;
    let gone = json!({"assignments": [{"id": id(second, 21), "organization": shop}]});
    story.changes(third, gone).await.is(200);
    story.prove(third).await;
    assert_eq!(story.removed_ids(&shop).await, json!([id(first, 21)]));
});

both_engines!(what_a_run_keeps_away_is_told_and_stops_in_shadow_mode, async |database| {
    let story = Story::company(database).await;
    let first = story.begin("p1").await;
    story.rows(first, company(first)).await.is(200);
    story.prove(first).await;
    let (shop, ann, bob) = (id(first, 1), id(first, 11), id(first, 12));
    story.app.shadow().ask_by(Box::new(Generous));
    let mode = json!({"mode": "shadow", "force": true, "reason": "for the story"});
    story.put(Who::Operator, "/api/v1/organizations/shop/shadow", mode).await.is(200);
    story.remove(&format!("assignments/{}", id(first, 21))).await;
    let login = "ann@shop.example";
    assert_eq!(story.asked(login, READ).await, ["allow", "legacy"], "nobody said that it stays away");
    let second = story.begin("p2").await;
    let row = |kind: &str, key: &str, gives: Value| json!({"organization": shop, "principal": ann, "kind": kind, "key": key, "gives": gives});
    let clerk = row("assignment", "adopted_clerk", json!([READ]));
    let mut nowhere = clerk.clone();
    nowhere["organization"] = json!(id(first, 99));
    let mut nobody = clerk.clone();
    nobody["principal"] = json!(id(first, 99));
    for (wrong, field) in [
        (json!([nowhere]), "kept_away/0/organization"),
        (json!([clerk, nobody]), "kept_away/1/principal"),
        (json!([row("assignment", "", json!([]))]), "kept_away/0/key"),
        (json!([row("membership", "x", json!([]))]), "kept_away/0/key"),
        (json!([clerk, clerk]), "kept_away/1/key"),
        (json!([row("mood", "x", json!([]))]), "kind"),
    ] {
        let told = story.changes(second, json!({"kept_away": wrong})).await.is_problem(422, "invalid");
        assert!(told.body.to_string().contains(&format!("\"{field}\"")), "{field}: {:#}", told.body);
    }
    let grant = row("grant", "sales.orders.update", json!(["sales.orders.update"]));
    let all = json!({"kept_away": [clerk, grant]});
    let told = story.changes(second, all.clone()).await.is(200);
    assert_eq!(told.body["changed"]["kept_away"], 2);
    assert_eq!(story.changes(second, all).await.is(200).body["changed"]["kept_away"], 0);
    assert_eq!(
        story.kept("").await,
        json!({"noted": true, "items": [], "modules": [], "remembered": [], "remembered_rows": [], "more": false}),
        "not before its proof"
    );
    assert_eq!(story.asked(login, READ).await, ["allow", "legacy"]);
    story.prove(second).await;
    let one = story.kept("&limit=1").await;
    assert_eq!((&one["items"], &one["more"]), (&json!([clerk]), &json!(true)));
    let after = format!("&organization={shop}&principal={ann}&kind=assignment&key=adopted_clerk");
    assert_eq!(
        story.kept(&after).await,
        json!({"noted": true, "items": [grant], "modules": [], "remembered": [], "remembered_rows": [], "more": false})
    );
    let half = format!("/api/v1/adoption/kept-away?source=legacy&organization={shop}");
    story.get(Who::Operator, &half).await.is_problem(422, "invalid");
    story.get(ANN, "/api/v1/adoption/kept-away?source=legacy").await.is(403);
    // A stop of ours: nobody is asked, and nothing differs.
    assert_eq!(story.asked(login, READ).await, ["deny", "charter"]);
    assert_eq!(story.asked(login, OTHER).await, ["allow", "legacy"], "the role never gave it");
    assert_ne!(bob, ann);
    let log = json!({"lines": [{"organization": "7", "user": "1", "permission": READ, "allow": true},
                                                  {"organization": "7", "user": "1", "permission": OTHER, "allow": true}]});
    let told = story.post(Who::Operator, "/api/v1/shadow/replay", log).await.is(200).body;
    assert_eq!(
        (&told["answers"][0]["flip"], &told["answers"][1]["flip"]),
        (&Value::Null, &json!("loss")),
        "{told:#}"
    );
    story.undo(second, "before", false).await;
    assert_eq!(story.kept("").await["items"], json!([]));
    assert_eq!(story.asked(login, READ).await, ["allow", "legacy"]);
});
