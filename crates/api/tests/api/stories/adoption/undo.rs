//! A run taken back: what is left is what was there before it.

use super::{HOLDER, RUNS, company, id, plan};
use crate::stories::{ANN, EVE, Story, Told, Who};
use charter_testkit::both_engines;
use charter_testkit::content::{Content, Held, differing};
use charter_testkit::database::TestDatabase;
use charter_testkit::fault::Faults;
use http::Method;
use serde_json::{Value, json};

/// What is not compared: trails, revisions, ended sessions, and the records of the run itself.
const NOT_COMPARED: &[&str] = &[
    "audit_events",
    "audit_heads",
    "organization_revisions",
    "adoption_runs",
    "adoption_steps",
    "leases",
    "sessions",
    "org_entitlement_versions",
    "entitlement_events",
    "sign_in_counters",
    "nodes",
    "removed_organizations",
];

pub async fn content(story: &Story) -> Held {
    let database = story.app.database();
    Content::of(database, NOT_COMPARED).await.held(database).await
}

impl Story {
    pub async fn undo_once(&self, run: u64, to: &str, discard: bool) -> Told {
        let body = json!({"holder": HOLDER, "to": to, "discard": discard});
        self.post(Who::Operator, &format!("{RUNS}/{run}/undo"), body).await
    }

    pub async fn undo(&self, run: u64, to: &str, discard: bool) -> Value {
        for _ in 0..50 {
            let told = self.undo_once(run, to, discard).await.is(200);
            if told.body["done"] == true {
                return told.body;
            }
        }
        panic!("it never ends");
    }
}

impl Story {
    /// Takes a run back with all that people made; gives the organizations that stay.
    async fn undo_kept(&self, run: u64) -> Vec<String> {
        let mut kept = Vec::new();
        for _ in 0..50 {
            let told = self.undo_once(run, "before", true).await.is(200);
            kept.extend(
                told.body["kept"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()),
            );
            if told.body["done"] == true {
                return kept;
            }
        }
        panic!("it never ends");
    }
}

/// Rows about an organization and an account that were there before.
fn into_toys(run: u64, toys: &str, ann: &str) -> Value {
    json!({
        "holder": HOLDER,
        "organizations": [{"legacy_id": "9", "id": toys, "key": "toys", "name": "Toys", "status": "active"}],
        "roles": [{"organization": toys, "key": "adopted_x", "name": "X", "level": "viewer", "permissions": ["sales.orders.read"]}],
        "users": [{"legacy_id": "99", "id": ann, "login": "ann@toys.example", "status": "active"}],
        "memberships": [{"organization": toys, "principal": ann, "status": "active"},
                        {"organization": toys, "principal": id(run, 11), "status": "active"},
                        {"organization": id(run, 1), "principal": ann, "status": "active"}],
        "assignments": [{"id": id(run, 41), "organization": toys, "role": "adopted_x", "principal": ann},
                        {"id": id(run, 42), "organization": toys, "role": "viewer", "principal": id(run, 11)},
                        {"id": id(run, 43), "organization": id(run, 1), "role": "viewer", "principal": ann}],
        "grants": [{"id": id(run, 44), "organization": toys, "principal": ann, "pattern": "sales.invoices.read"}],
        "entitlements": [{"organization": toys, "module": "hr", "status": "enabled"}],
    })
}

both_engines!(a_run_that_is_taken_back_leaves_what_was_there_before_it, async |database| {
    let story = Story::company(database).await;
    let before = content(&story).await;
    let toys = story.app.resolve_organization("toys").await.unwrap().to_string();
    let ann = story.id_of(ANN).to_string();
    for plan in ["p1", "p2"] {
        let run = story.begin(plan).await;
        story.rows(run, company(run)).await.is(200);
        story.rows(run, into_toys(run, &toys, &ann)).await.is(200);
        assert_ne!(differing(&before, &content(&story).await), Vec::<&str>::new());
        story.get(Who::Operator, "/api/v1/organizations/shop").await.is(200);
        let undone = story.undo(run, "before", false).await;
        assert_eq!(undone["state"], "undone");
        assert_eq!(differing(&before, &content(&story).await), Vec::<&str>::new());
        story.get(Who::Operator, "/api/v1/organizations/shop").await.is(404);
        // Taken back again it says so, and the same plan gets a new run.
        assert_eq!(story.undo(run, "before", false).await["removed"], json!({}));
    }
});

both_engines!(what_people_made_since_stops_a_rollback_unless_it_is_to_be_discarded, async |database| {
    let story = Story::company(database).await;
    let before = content(&story).await;
    let run = story.begin("p1").await;
    story.rows(run, company(run)).await.is(200);
    story.prove(run).await;
    // A role given by hand brings a trail as well: the organization has to stay.
    let body = json!({"role": "viewer", "subject": {"member": "ann@shop.example"}});
    story.post(Who::Operator, "/api/v1/organizations/shop/assignments", body).await.is(201);
    let body = json!({"key": "crew", "name": "Crew", "members": ["ann@shop.example"]});
    story.post(Who::Operator, "/api/v1/organizations/shop/teams", body).await.is(201);
    let told = story.undo_once(run, "before", false).await.is_problem(409, "in-use");
    let detail = told.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("1 team,") && detail.contains("1 assignment") && detail.contains("1 place in a team"),
        "{detail}"
    );
    assert_eq!(story.get(Who::Operator, &format!("{RUNS}/{run}")).await.is(200).body["state"], "applied");
    story.undo(run, "before", true).await;
    let shop = story.get(Who::Operator, "/api/v1/organizations/shop").await.is(200).body;
    assert_eq!((&shop["status"], &shop["id"]), (&json!("closed"), &json!(id(run, 1))));
    let after = content(&story).await;
    let left = differing(&before, &after);
    assert!(left.iter().all(|it| it.contains("organization") || it.ends_with("_closed")), "{left:?}");
    // The next run takes it up again.
    let next = story.begin("p1").await;
    let mut rows = company(next);
    rows["organizations"][0]["id"] = json!(id(run, 1));
    let text = rows.to_string().replace(&id(next, 1), &id(run, 1));
    story.rows(next, serde_json::from_str(&text).unwrap()).await.is(200);
    let status =
        async || story.get(Who::Operator, "/api/v1/organizations/shop").await.is(200).body["status"].clone();
    assert_eq!(status().await, "closed", "it opens with the proof");
    story.prove(next).await;
    assert_eq!(status().await, "active");
    story.undo(next, "before", false).await;
    assert_eq!(story.get(Who::Operator, "/api/v1/organizations/shop").await.is(200).body["status"], "closed");
});

both_engines!(an_account_that_goes_is_out_at_once, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    story.rows(run, company(run)).await.is(200);
    story.prove(run).await;
    let path = "/api/v1/users/ann@shop.example/password";
    story.post(Who::Operator, path, json!({"password": crate::stories::auth::PASSWORD})).await.is(200);
    let told = story.log_in("ann@shop.example", crate::stories::auth::PASSWORD).await.is(200);
    let token = told.body["access_token"].as_str().unwrap().to_owned();
    let ask = async || story.with_token(&token, Method::GET, "/api/v1/me", None).await;
    ask().await.is(200);
    story.undo_once(run, "before", false).await.is_problem(409, "in-use");
    story.undo(run, "before", true).await;
    ask().await.is(401);
    story
        .log_in("ann@shop.example", crate::stories::auth::PASSWORD)
        .await
        .is_problem(401, "invalid-credentials");
});

both_engines!(steps_are_taken_back_one_by_one, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    story.rows(run, company(run)).await.is(200);
    for step in ["before", "schema", "data", "equivalence"] {
        story.step(run, step, "done").await.is(200);
    }
    assert_eq!(story.undo(run, "data", false).await["state"], "failed");
    let shown = async || story.get(Who::Operator, &format!("{RUNS}/{run}")).await.is(200).body;
    assert_eq!(shown().await["back_to"], "data");
    story.get(Who::Operator, "/api/v1/organizations/shop").await.is(200);
    assert_eq!(story.undo(run, "schema", false).await["state"], "failed");
    story.get(Who::Operator, "/api/v1/organizations/shop").await.is(404);
    let shown = shown().await;
    assert_eq!((&shown["back_to"], &shown["error"]), (&json!("schema"), &Value::Null));
    let states: Vec<&str> =
        shown["steps"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "done", "undone", "undone"]);
    story.post(Who::Operator, RUNS, plan("p1", HOLDER)).await.is(200);
    story.rows(run, company(run)).await.is(200);
    let later = story.undo_once(run, "equivalence", false).await;
    later.is_problem(422, "invalid");
});

both_engines!(a_run_under_another_is_not_taken_back, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    for step in ["before", "schema", "data", "equivalence"] {
        story.step(run, step, "done").await.is(200);
    }
    story.begin("p2").await;
    let told = story.undo_once(run, "before", true).await.is_problem(409, "in-use");
    assert!(told.body["detail"].as_str().unwrap().contains("came after it"));
});

both_engines!(a_rollback_that_fails_at_any_step_goes_on, async |database: TestDatabase| {
    let faults = Faults::new();
    let story = Story::company(database.fail_with(&faults)).await;
    let before = content(&story).await;
    let run = story.begin("p1").await;
    story.rows(run, company(run)).await.is(200);
    faults.taken();
    let mut tried = 0;
    // Each call fails at one step after the other until it is through, and the next call goes on.
    for _ in 0..1_000 {
        faults.fail_after(tried);
        let told = story.undo_once(run, "before", false).await;
        match faults.struck() {
            Some(_) => tried += 1,
            None if told.body["done"] == true => break,
            None => tried = 0,
        }
    }
    assert_eq!(story.get(Who::Operator, &format!("{RUNS}/{run}")).await.is(200).body["state"], "undone");
    assert_eq!(differing(&before, &content(&story).await), Vec::<&str>::new());
});

both_engines!(
    a_run_that_was_never_proved_gives_nobody_anything_and_is_taken_back_unasked,
    async |database| {
        use crate::stories::auth::PASSWORD;
        let story = Story::company(database).await;
        let before = content(&story).await;
        let run = story.begin("p1").await;
        story.rows(run, company(run)).await.is(200);
        let platform = story.app.platform().to_string();
        let (ann, bob) = (id(run, 11), id(run, 12));
        // A superadmin, in an organization that was there before.
        let rows = json!({
            "holder": HOLDER,
            "memberships": [{"organization": platform, "principal": ann, "status": "active"}],
            "assignments": [{"id": id(run, 51), "organization": platform, "role": "superadmin", "principal": ann}],
        });
        story.rows(run, rows).await.is(200);
        let may = async || {
            let body = json!({"subject": ann, "permission": "sales.orders.read"});
            let told = story.post(Who::Operator, "/api/v1/organizations/shop/checks", body).await.is(200);
            told.body["decision"].clone()
        };
        let answers = async || {
            let path = "/api/v1/adoption/answers?organization=shop&limit=1";
            let first = story.get(Who::Operator, path).await.is(200).body;
            let after = first["next"].as_str().unwrap().to_owned();
            let second = story.get(Who::Operator, &format!("{path}&after={after}")).await.is(200).body;
            [first["classes"].clone(), second["classes"].clone()]
        };
        let account = async |login: &str| {
            let told = story
                .post(Who::Operator, "/api/v1/adoption/accounts", json!({"logins": [login]}))
                .await
                .is(200);
            told.body["accounts"][0]["status"].clone()
        };
        let path = "/api/v1/users/ann@shop.example/password";
        story.post(Who::Operator, path, json!({"password": PASSWORD})).await.is(200);
        let proved = answers().await;
        assert_ne!(proved[0], proved[1], "what will be, before it is");
        assert_eq!((may().await, account("ann@shop.example").await), (json!("deny"), json!("suspended")));
        story.log_in("ann@shop.example", PASSWORD).await.is_problem(401, "invalid-credentials");
        for (step, state) in
            [("before", "done"), ("schema", "done"), ("data", "done"), ("equivalence", "failed")]
        {
            story.step(run, step, state).await.is(200);
        }
        assert_eq!((may().await, answers().await), (json!("deny"), proved.clone()));
        // What people made in between keeps nothing from being taken back.
        let body = json!({"key": "crew", "name": "Crew", "members": ["ann@shop.example"]});
        story.post(Who::Operator, "/api/v1/organizations/shop/teams", body).await.is(201);
        story.undo(run, "before", false).await;
        let after = content(&story).await;
        let left = differing(&before, &after);
        assert!(left.iter().all(|it| it.contains("organization") || it.ends_with("_closed")), "{left:?}");

        let next = story.begin("p2").await;
        let mut rows = company(next);
        rows["organizations"][0]["key"] = json!("shop-two");
        rows["organizations"][0]["legacy_id"] = json!("8");
        story.rows(next, rows).await.is(200);
        let may = async |who: u128| {
            let body = json!({"subject": id(next, who), "permission": "sales.orders.read"});
            let told = story.post(Who::Operator, "/api/v1/organizations/shop-two/checks", body).await.is(200);
            told.body["decision"].clone()
        };
        assert_eq!(may(11).await, "deny");
        story.prove(next).await;
        assert_eq!((may(11).await, may(12).await), (json!("allow"), json!("deny")));
        let states = (account("ann@shop.example").await, account("bob@shop.example").await);
        assert_eq!(states, (json!("active"), json!("deactivated")), "{bob}");
        // Proved once more it opens nobody who was suspended since.
        story.pass(1);
        let suspend = json!({"account_status": "suspended", "reason": "left"});
        let path = format!("/api/v1/organizations/shop-two/members/{}", id(next, 11));
        story.send(Who::Operator, Method::PATCH, &path, &[], Some(suspend)).await.is(200);
        story.undo(next, "data", false).await;
        story.post(Who::Operator, RUNS, plan("p2", HOLDER)).await.is(200);
        story.step(next, "equivalence", "done").await.is(200);
        assert_eq!(account("ann@shop.example").await, "suspended");
    }
);

both_engines!(what_people_gave_an_adopted_account_elsewhere_stops_a_rollback, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    story.rows(run, company(run)).await.is(200);
    story.prove(run).await;
    let member = json!({"login": "ann@shop.example"});
    story.post(Who::Operator, "/api/v1/organizations/toys/members", member).await.is(201);
    let subject = json!({"member": "ann@shop.example"});
    let body = json!({"role": "viewer", "subject": subject});
    story.post(ANN, "/api/v1/organizations/toys/assignments", body).await.is(201);
    let body = json!({"subject": subject, "permission": "sales.orders.read", "reason": "helps"});
    story.post(ANN, "/api/v1/organizations/toys/grants", body).await.is(201);
    story
        .put(ANN, "/api/v1/organizations/toys/resources/vouchers/7", json!({"owner": "ann@shop.example"}))
        .await
        .is(200);
    let told = story.undo_once(run, "before", false).await.is_problem(409, "in-use");
    let detail = told.body["detail"].as_str().unwrap();
    for what in ["1 membership", "1 assignment", "1 grant", "1 resource"] {
        assert!(detail.contains(what), "{detail}");
    }
    story.undo(run, "before", true).await;
});

both_engines!(what_people_gave_by_an_adopted_role_or_to_an_older_member_stops_a_rollback, async |database| {
    let story = Story::company(database).await;
    let toys = story.app.resolve_organization("toys").await.unwrap().to_string();
    let ann = story.id_of(ANN).to_string();
    // The role and the memberships come into organizations that stay; of Eve's account there is only a membership.
    let eve = story.id_of(EVE).to_string();
    let run = story.begin("p1").await;
    story.rows(run, company(run)).await.is(200);
    let mut rows = into_toys(run, &toys, &ann);
    rows["users"]
        .as_array_mut()
        .unwrap()
        .push(json!({"legacy_id": "98", "id": eve, "login": "eve@trade.example", "status": "active"}));
    let more = json!({"organization": toys, "principal": eve, "status": "active"});
    rows["memberships"].as_array_mut().unwrap().push(more);
    story.rows(run, rows).await.is(200);
    story.prove(run).await;
    let free = async || {
        let body = json!({"holder": HOLDER, "to": "before", "dry_run": true});
        story.post(Who::Operator, &format!("{RUNS}/{run}/undo"), body).await
    };
    assert_eq!(free().await.is(200).body["done"], false, "what the run wrote is nobody's");
    let toys = |path: &str| format!("/api/v1/organizations/toys/{path}");
    let body = json!({"role": "adopted_x", "subject": {"member": "bob@toys.example"}});
    story.post(ANN, &toys("assignments"), body).await.is(201);
    let body = json!({"key": "crew", "name": "Crew", "members": ["eve@trade.example"]});
    story.post(ANN, &toys("teams"), body).await.is(201);
    let body = json!({"role": "adopted_x", "subject": {"team": "crew"}});
    story.post(ANN, &toys("assignments"), body).await.is(201);
    let body = json!({"subject": {"member": "eve@trade.example"}, "permission": "sales.orders.read", "reason": "helps"});
    story.post(ANN, &toys("grants"), body).await.is(201);
    let body = json!({"key": "more", "name": "More", "level": "viewer", "parents": ["adopted_x"]});
    story.post(ANN, &toys("roles"), body).await.is(201);
    for told in [free().await, story.undo_once(run, "before", false).await] {
        let told = told.is_problem(409, "in-use");
        let detail = told.body["detail"].as_str().unwrap();
        for what in ["2 assignments", "1 place in a team", "1 grant", "1 role built on one that goes"] {
            assert!(detail.contains(what), "{what}: {detail}");
        }
        assert!(!detail.contains("1 team,"), "the team stays: {detail}");
    }
    story.undo(run, "before", true).await;
});

both_engines!(whether_an_older_run_can_be_taken_back_is_told_before_a_newer_one_is, async |database| {
    let story = Story::company(database).await;
    let toys = story.app.resolve_organization("toys").await.unwrap().to_string();
    let first = story.begin("p1").await;
    story.rows(first, company(first)).await.is(200);
    story.prove(first).await;
    // The next run writes into the organization of the first one, about its account and about one of its own, and elsewhere.
    let next = story.begin("p2").await;
    let (shop, ann, cid) = (id(first, 1), id(first, 11), id(next, 13));
    let rows = json!({
        "holder": HOLDER,
        "organizations": [{"legacy_id": "7", "id": shop, "key": "shop", "name": "Shop", "status": "active"},
                          {"legacy_id": "9", "id": toys, "key": "toys", "name": "Toys", "status": "active"}],
        "roles": [{"organization": shop, "key": "adopted_late", "name": "Late", "level": "viewer", "permissions": ["sales.orders.read"]}],
        "users": [{"legacy_id": "3", "id": cid, "login": "cid@shop.example", "status": "active"}],
        "memberships": [{"organization": shop, "principal": cid, "status": "active"},
                        {"organization": toys, "principal": ann, "status": "active"}],
        "assignments": [{"id": id(next, 21), "organization": shop, "role": "adopted_late", "principal": ann},
                        {"id": id(next, 22), "organization": shop, "role": "viewer", "principal": cid},
                        {"id": id(next, 23), "organization": toys, "role": "viewer", "principal": ann}],
        "grants": [{"id": id(next, 24), "organization": shop, "principal": cid, "pattern": "sales.invoices.read"}],
        "entitlements": [{"organization": shop, "module": "crm", "status": "enabled"}],
    });
    story.rows(next, rows).await.is(200);
    story.prove(next).await;
    let free = async |run: u64| {
        let body = json!({"holder": HOLDER, "to": "before", "dry_run": true});
        story.post(Who::Operator, &format!("{RUNS}/{run}/undo"), body).await
    };
    free(next).await.is(200);
    free(first).await.is(200);
    let body = json!({"role": "viewer", "subject": {"member": "ann@shop.example"}});
    story.post(Who::Operator, "/api/v1/organizations/shop/assignments", body).await.is(201);
    let told = free(first).await.is_problem(409, "in-use");
    assert!(told.body["detail"].as_str().unwrap().contains("1 assignment;"), "{:#}", told.body);
    free(next).await.is(200);
    // A run of another system that stands in between is in the way.
    let mut other = plan("p3", HOLDER);
    other["source"] = json!("hr");
    let run = story.post(Who::Operator, RUNS, other).await.is(201).body["run"].as_u64().unwrap();
    story.prove(run).await;
    let told = free(first).await.is_problem(409, "in-use");
    assert!(
        told.body["detail"].as_str().unwrap().contains("of the source hr came after it"),
        "{:#}",
        told.body
    );
    story.undo(run, "before", false).await;
    // The trail of the organization began with that assignment: it stays, and is told by its key.
    story.undo(next, "before", false).await;
    let undone = story.undo_kept(first).await;
    assert_eq!(undone, ["shop"]);
});
