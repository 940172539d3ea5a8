//! A run that changes and removes what an earlier one wrote: noted, put back, and nobody else's row is touched.

use super::undo::content;
use super::{HOLDER, OTHER_HOLDER, RUNS, company, id};
use crate::stories::{ANN, Story, Told, Who};
use charter_testkit::both_engines;
use charter_testkit::content::differing;
use serde_json::{Value, json};

impl Story {
    pub async fn changes(&self, run: u64, mut changes: Value) -> Told {
        changes["holder"] = json!(HOLDER);
        self.post(Who::Operator, &format!("{RUNS}/{run}/changes"), changes).await
    }

    pub async fn held(&self, organization: &str) -> Value {
        let path = format!("/api/v1/adoption/held?source=legacy&organization={organization}");
        self.get(Who::Operator, &path).await.is(200).body
    }

    pub async fn held_account(&self, legacy_id: &str) -> Value {
        let told = self.get(Who::Operator, "/api/v1/adoption/held/accounts?source=legacy").await.is(200).body;
        let found = told["items"].as_array().unwrap().iter().find(|it| it["legacy_id"] == legacy_id);
        found.cloned().unwrap_or_default()
    }

    /// The company, adopted by a run that is proved, and a run after it.
    async fn after(&self) -> (u64, u64) {
        let first = self.begin("p1").await;
        self.rows(first, company(first)).await.is(200);
        self.prove(first).await;
        (first, self.begin("p2").await)
    }
}

/// Everything about the company changed at once.
fn changed(run: u64) -> Value {
    let (shop, ann, bob) = (id(run, 1), id(run, 11), id(run, 12));
    json!({
        "assignments": [{"id": id(run, 21), "organization": shop}],
        "grants": [{"id": id(run, 31), "organization": shop}],
        "accounts": [{"principal": ann, "status": "deactivated", "login": "bob@shop.example", "name": "Anne"},
                     {"principal": bob, "status": "active", "login": "ann@shop.example"}],
        "roles": [{"organization": shop, "key": "adopted_clerk", "name": "Clerks", "permissions": ["sales.orders.read"]}],
        "entitlements": [{"organization": shop, "module": "sales", "status": "disabled"},
                         {"organization": shop, "module": "hr", "status": "enabled"}],
        "organizations": [{"organization": shop, "name": "Shops", "status": "closed", "enabled_modules": null}],
    })
}

both_engines!(all_that_a_run_changed_is_put_back_as_it_was, async |database| {
    let story = Story::company(database).await;
    let (first, second) = story.after().await;
    let before = content(&story).await;
    let shop = id(first, 1);
    let told = story.changes(second, changed(first)).await.is(200).body;
    assert_eq!(
        told["changed"],
        json!({"assignments": 1, "grants": 1, "memberships": 0, "accounts": 2, "roles": 1, "entitlements": 2, "organizations": 1,
               "kept_away": 0})
    );
    // Again it changes nothing, and the first note stands.
    let again = story.changes(second, changed(first)).await.is(200).body;
    assert_eq!(
        again["changed"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>(),
        0,
        "{again:#}"
    );
    assert_eq!(story.held_account("1").await["login"], "bob@shop.example");
    assert_eq!(story.held_account("1").await["status"], "deactivated");
    assert_eq!(story.held_account("2").await["status"], "suspended", "it waits for the proof");
    assert_eq!(story.held_account("2").await["waits"], true);
    let path = format!("/api/v1/organizations/{shop}/members/{}", id(first, 12));
    let member = story.get(Who::Operator, &path).await.is(200).body;
    assert_eq!(member["account_status"], "suspended", "it waits for the proof");
    let held = story.held(&shop).await;
    assert_eq!(
        (&held["organization"]["name"], &held["organization"]["status"]),
        (&json!("Shops"), &json!("closed"))
    );
    story.prove(second).await;
    assert_eq!(story.held_account("2").await["status"], "active");
    assert_eq!(story.undo(second, "before", false).await["state"], "undone");
    assert_eq!(
        differing(&before, &content(&story).await),
        vec!["token_floors"],
        "whoever was signed out stays so"
    );
    // And before it was proved.
    let third = story.begin("p3").await;
    story.changes(third, changed(first)).await.is(200);
    story.undo(third, "before", false).await;
    assert_eq!(differing(&before, &content(&story).await), vec!["token_floors"]);
});

both_engines!(what_no_earlier_run_of_the_source_wrote_is_refused, async |database| {
    let story = Story::company(database).await;
    let (first, _) = story.after().await;
    story.undo(first + 1, "before", false).await;
    let shop = id(first, 1);
    let toys = story.app.resolve_organization("toys").await.unwrap().to_string();
    let ann = story.id_of(ANN).to_string();
    // Another source took something over as well.
    let body = json!({"source": "other", "system": "django", "engine": "postgres", "plan_hash": "o1", "facts_fingerprint": "f1",
                      "plan": {}, "holder": HOLDER});
    let other = story.post(Who::Operator, RUNS, body).await.is(201).body["run"].as_u64().unwrap();
    let rows = json!({
        "holder": HOLDER,
        "organizations": [{"legacy_id": "1", "id": id(other, 1), "key": "yard", "name": "Yard", "status": "active"}],
        "users": [{"legacy_id": "1", "id": id(other, 11), "login": "yan@yard.example", "status": "active"},
                  {"legacy_id": "2", "id": id(first, 11), "login": "ann@shop.example", "status": "active"}],
        "memberships": [{"organization": id(other, 1), "principal": id(other, 11), "status": "active"}],
        "assignments": [{"id": id(other, 21), "organization": id(other, 1), "role": "viewer", "principal": id(other, 11)}],
        "entitlements": [{"organization": id(other, 1), "module": "sales", "status": "enabled"}],
    });
    story.rows(other, rows).await.is(200);
    story.prove(other).await;
    let given = story
        .post(
            Who::Operator,
            "/api/v1/organizations/shop/assignments",
            json!({"role": "viewer", "subject": {"member": "ann@shop.example"}, "reason": "by hand"}),
        )
        .await
        .is(201)
        .body["assignment"]["id"]
        .clone();
    let run = story.begin("p4").await;
    let before = content(&story).await;
    let own = json!({"id": id(first, 21), "organization": shop});
    let cases = [
        (json!({"assignments": [own, {"id": given, "organization": shop}]}), "assignments/1/id"),
        (
            json!({"assignments": [own, {"id": id(other, 21), "organization": id(other, 1)}]}),
            "assignments/1/id",
        ),
        (json!({"assignments": [own, {"id": id(run, 21), "organization": shop}]}), "assignments/1/id"),
        (json!({"assignments": [own, own]}), "assignments/1/id"),
        (json!({"grants": [{"id": given, "organization": shop}]}), "grants/0/id"),
        (json!({"accounts": [{"principal": ann, "status": "deactivated"}]}), "accounts/0/principal"),
        (
            json!({"accounts": [{"principal": id(other, 11), "status": "deactivated"}]}),
            "accounts/0/principal",
        ),
        (
            json!({"accounts": [{"principal": id(first, 11), "status": "deactivated"}]}),
            "accounts/0/principal",
        ),
        (
            json!({"accounts": [{"principal": id(first, 12), "login": "ann@toys.example"}]}),
            "accounts/0/login",
        ),
        (json!({"accounts": [{"principal": id(first, 12), "login": "two words"}]}), "accounts/0/login"),
        (json!({"accounts": [{"principal": id(first, 12), "status": "suspended"}]}), "accounts/0/status"),
        (
            json!({"memberships": [{"organization": toys, "principal": ann, "status": "deactivated"}]}),
            "memberships/0/principal",
        ),
        (
            json!({"memberships": [{"organization": id(other, 1), "principal": id(other, 11), "status": "deactivated"}]}),
            "memberships/0/principal",
        ),
        (
            json!({"memberships": [{"organization": toys, "principal": ann, "status": "removed"}]}),
            "memberships/0/principal",
        ),
        // Rights hang on it still.
        (
            json!({"memberships": [{"organization": shop, "principal": id(first, 11), "status": "removed"}]}),
            "memberships/0/status",
        ),
        (
            json!({"memberships": [{"organization": shop, "principal": id(first, 11), "status": "gone"}]}),
            "memberships/0/status",
        ),
        (
            json!({"roles": [{"organization": toys, "key": "adopted_clerk", "name": "X", "permissions": []}]}),
            "roles/0/key",
        ),
        (
            json!({"roles": [{"organization": shop, "key": "adopted_clerk", "name": "X", "permissions": ["*"]}]}),
            "roles/0/permissions",
        ),
        (
            json!({"roles": [{"organization": shop, "key": "adopted_clerk", "name": "X", "permissions": ["no.such.thing"]}]}),
            "roles/0/permissions/0",
        ),
        (
            json!({"entitlements": [{"organization": toys, "module": "sales", "status": "disabled"}]}),
            "entitlements/0/module",
        ),
        (
            json!({"entitlements": [{"organization": id(other, 1), "module": "sales", "status": "disabled"}]}),
            "entitlements/0/module",
        ),
        (
            json!({"entitlements": [{"organization": shop, "module": "sales", "status": "blocked"}]}),
            "entitlements/0/status",
        ),
        (
            json!({"organizations": [{"organization": toys, "status": "closed"}]}),
            "organizations/0/organization",
        ),
        (
            json!({"organizations": [{"organization": id(other, 1), "status": "closed"}]}),
            "organizations/0/organization",
        ),
        (json!({"organizations": [{"organization": shop, "status": "suspended"}]}), "organizations/0/status"),
        (json!({}), "changes"),
    ];
    for (changes, field) in cases {
        let told = story.changes(run, changes.clone()).await.is_problem(422, "invalid");
        assert!(
            told.body.to_string().contains(&format!("\"{field}\"")),
            "{field} {changes}: {:#}",
            told.body
        );
    }
    assert_eq!(differing(&before, &content(&story).await), Vec::<&str>::new(), "nothing was written");
    // Nobody but the operator, and nobody without the lease.
    story.post(ANN, &format!("{RUNS}/{run}/changes"), json!({"holder": HOLDER})).await.is(403);
    let foreign = json!({"holder": OTHER_HOLDER, "assignments": [own]});
    story.post(Who::Operator, &format!("{RUNS}/{run}/changes"), foreign).await.is_problem(409, "in-progress");
    story.changes(first, json!({"assignments": [own]})).await.is_problem(412, "changed");
});

both_engines!(what_people_changed_of_a_runs_rows_is_theirs, async |database| {
    let story = Story::company(database).await;
    let first = story.begin("p1").await;
    story.rows(first, company(first)).await.is(200);
    story.prove(first).await;
    story.pass(5);
    let shop = id(first, 1);
    let patch = async |path: &str, body: Value| {
        story.patch(Who::Operator, &format!("/api/v1/organizations/shop{path}"), body).await
    };
    patch(
        "/members/ann@shop.example",
        json!({"account_status": "deactivated", "name": "Annie", "reason": "x"}),
    )
    .await
    .is(200);
    patch("", json!({"name": "The Shop", "reason": "x"})).await.is(200);
    let second = story.begin("p2").await;
    let held = story.held_account("1").await;
    assert_eq!((&held["status_settled"], &held["name_settled"]), (&json!(false), &json!(false)));
    assert_eq!(story.held(&shop).await["organization"]["settled"], false);
    for changes in [
        json!({"accounts": [{"principal": id(first, 11), "status": "active"}]}),
        json!({"accounts": [{"principal": id(first, 11), "name": "Ann"}]}),
        json!({"organizations": [{"organization": shop, "name": "Shop"}]}),
    ] {
        let told = story.changes(second, changes).await.is_problem(422, "invalid");
        assert!(told.body.to_string().contains("it stays as people left it"), "{:#}", told.body);
    }
    // What is stopped there is stopped here.
    story
        .changes(second, json!({"organizations": [{"organization": shop, "status": "closed"}]}))
        .await
        .is(200);
    // Bob came over deactivated, by the run: the next may let him in, and with him goes what people did since.
    story
        .changes(second, json!({"accounts": [{"principal": id(first, 12), "status": "active"}]}))
        .await
        .is(200);
    story.prove(second).await;
    story.pass(5);
    patch("/members/bob@shop.example", json!({"name": "Robert", "reason": "x"})).await.is(200);
    let told = story.undo_once(second, "before", false).await.is_problem(409, "in-use");
    assert!(told.body["detail"].as_str().unwrap().contains("1 changed account"), "{:#}", told.body);
    story.undo(second, "before", true).await;
    let bob = story.held_account("2").await;
    assert_eq!(bob["name"], "Robert", "as people left it");
    assert_eq!(bob["status"], "deactivated", "whom the run let in is out again");
});
