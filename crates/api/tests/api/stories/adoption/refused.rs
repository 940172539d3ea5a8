//! What is refused, whole and with its place: nothing of it is written.

use super::{HOLDER, OTHER_HOLDER, RUNS, company, id, plan};
use crate::stories::{ANN, Story, Told, Who};
use charter_testkit::both_engines;
use serde_json::{Value, json};

/// Asserts that exactly this field is at fault, and says so.
fn names(told: Told, field: &str, says: &str) {
    let told = told.is_problem(422, "invalid");
    let fields = told.body["errors"].as_array().or(told.body["fields"].as_array()).unwrap().clone();
    let text = json!(fields).to_string();
    assert!(text.contains(&format!("\"{field}\"")) && text.contains(says), "{field} {says}: {:#}", told.body);
}

async fn is_untouched(story: &Story) {
    let told = story.get(Who::Operator, "/api/v1/adoption/users?source=legacy").await.is(200).body;
    assert_eq!(told["items"], json!([]));
    story.get(Who::Operator, "/api/v1/organizations/shop").await.is(404);
    let logins = json!({"logins": ["ann@shop.example", "bob@shop.example"]});
    let told = story.post(Who::Operator, "/api/v1/adoption/accounts", logins).await.is(200).body;
    assert_eq!(told["accounts"], json!([null, null]));
}

/// The company with another value at a pointer.
fn with(run: u64, pointer: &str, value: Value) -> Value {
    let mut rows = company(run);
    *rows.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;
    rows
}

fn doubled(run: u64, kind: &str) -> Value {
    let mut rows = company(run);
    let first = rows[kind][0].clone();
    rows[kind].as_array_mut().unwrap().push(first);
    rows
}

both_engines!(a_row_that_is_wrong_is_named_and_nothing_is_written, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    let toys = story.app.resolve_organization("toys").await.unwrap().to_string();
    let ann = story.id_of(ANN).to_string();
    story
        .post(
            Who::Operator,
            "/api/v1/organizations/toys/members",
            json!({"login": "robot", "kind": "service_account"}),
        )
        .await
        .is(201);
    let foreign = id(run + 1, 5);
    let stranger = "0193e7a0-0000-7000-8000-00000000cccc";
    let cases: Vec<(&str, Value, &str, &str)> = vec![
        ("/organizations/0/id", json!(foreign), "organizations/0/id", "is no id of run"),
        (
            "/organizations/0/key",
            json!("toys"),
            "organizations/0/key",
            "there is an organization toys already",
        ),
        ("/organizations/0/name", json!(""), "organizations/0/name", "characters"),
        ("/organizations/0/status", json!("asleep"), "organizations/0/status", "active, suspended or closed"),
        ("/organizations/0/legacy_id", json!(""), "organizations/0/legacy_id", "characters"),
        ("/roles/0/key", json!("org_admin"), "roles/0/key", "is a shipped role"),
        ("/roles/0/level", json!("boss"), "roles/0/level", "viewer, developer"),
        ("/roles/0/permissions/1", json!("nothing.at.all"), "roles/0/permissions/1", "matches no permission"),
        ("/roles/0/permissions/1", json!("*"), "roles/0/permissions", "reaches the platform"),
        ("/roles/0/organization", json!(stranger), "roles/0/organization", "no organization"),
        ("/users/1/id", json!(foreign), "users/1/login", "is no id of run"),
        ("/users/1/id", json!(ann), "users/1/login", "has the login ann@toys.example"),
        ("/users/1/login", json!("ann@toys.example"), "users/1/login", "an account has the login"),
        ("/users/1/login", json!("robot"), "users/1/login", "a service account has the login"),
        ("/users/1/login", json!("two words"), "users/1/login", "e-mail address"),
        ("/users/1/login", json!("ANN@shop.example"), "users/1/login", "the same as users/0"),
        ("/users/1/status", json!("gone"), "users/1/status", "deactivated"),
        ("/memberships/1/organization", json!(stranger), "memberships/1/organization", "no organization"),
        ("/memberships/1/principal", json!(stranger), "memberships/1/principal", "no account"),
        ("/memberships/1/status", json!("gone"), "memberships/1/status", "deactivated"),
        ("/assignments/0/id", json!(foreign), "assignments/0/id", "is no id of run"),
        ("/assignments/0/role", json!("adopted_nothing"), "assignments/0/role", "no role adopted_nothing"),
        ("/assignments/0/role", json!("superadmin"), "assignments/0/role", "platform organization only"),
        ("/assignments/0/principal", json!(ann), "assignments/0/principal", "is not a member"),
        ("/assignments/0/organization", json!(toys), "assignments/0/role", "no role adopted_clerk"),
        ("/grants/0/id", json!(foreign), "grants/0/id", "is no id of run"),
        ("/grants/0/pattern", json!("nothing.at.all"), "grants/0/pattern", "matches no permission"),
        ("/grants/0/principal", json!(ann), "grants/0/principal", "is not a member"),
        ("/entitlements/0/module", json!("unheard-of"), "entitlements/0/module", "no module unheard-of"),
        ("/entitlements/0/status", json!("on"), "entitlements/0/status", "enabled or disabled"),
        ("/entitlements/0/organization", json!(stranger), "entitlements/0/organization", "no organization"),
    ];
    for (pointer, value, field, says) in cases {
        names(story.rows(run, with(run, pointer, value)).await, field, says);
    }
    let mut weak = company(run);
    weak["users"][0]["password_hash"] = json!("rot13:uhagre2");
    names(story.rows(run, weak).await, "users/0/password_hash", "the format is not known");
    for (kind, field) in [
        ("organizations", "id"),
        ("roles", "key"),
        ("users", "id"),
        ("memberships", "principal"),
        ("assignments", "id"),
        ("grants", "id"),
        ("entitlements", "module"),
    ] {
        names(
            story.rows(run, doubled(run, kind)).await,
            &format!("{kind}/{}/{field}", company(run)[kind].as_array().unwrap().len()),
            "the same as",
        );
    }
    let many: Vec<Value> = (0..5_001u128)
        .map(|it| json!({"organization": toys, "principal": id(run, it), "status": "active"}))
        .collect();
    names(
        story.rows(run, json!({"holder": HOLDER, "memberships": many})).await,
        "memberships",
        "at most 5000",
    );
    names(story.rows(run, json!({"holder": HOLDER})).await, "rows", "there is none");
    let platform = story.app.platform().to_string();
    let rows = json!({"holder": HOLDER, "entitlements": [{"organization": platform, "module": "sales", "status": "enabled"}]});
    names(story.rows(run, rows).await, "entitlements/0/organization", "platform");
    is_untouched(&story).await;
});

both_engines!(a_role_that_is_there_and_allows_something_else_is_not_given, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    let toys = story.app.resolve_organization("toys").await.unwrap().to_string();
    let body =
        json!({"key": "adopted_x", "name": "X", "permissions": [{"permission": "sales.invoices.delete"}]});
    story.post(ANN, "/api/v1/organizations/toys/roles", body).await.is(201);
    let rows = |permission: &str| {
        json!({"holder": HOLDER, "roles": [{"organization": toys, "key": "adopted_x", "name": "X", "level": "viewer",
               "permissions": [permission]}]})
    };
    names(story.rows(run, rows("sales.orders.read")).await, "roles/0/key", "allows something else");
    let told = story.rows(run, rows("sales.invoices.delete")).await.is(200).body;
    assert_eq!(told["inserted"]["roles"], 0, "the same role is the same role");
});

both_engines!(one_at_a_time_and_in_order, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    // Somebody else, with the same plan and with another.
    story.post(Who::Operator, RUNS, plan("p1", OTHER_HOLDER)).await.is_problem(409, "in-progress");
    let told = story.post(Who::Operator, RUNS, plan("p2", OTHER_HOLDER)).await.is_problem(409, "in-progress");
    assert!(
        told.body["detail"].as_str().unwrap().contains(&format!("run {run}"))
            || told.body["detail"].as_str().unwrap().contains("free again at")
    );
    // The place runs out, the run does not.
    story.pass(61);
    let told = story.post(Who::Operator, RUNS, plan("p2", OTHER_HOLDER)).await.is_problem(409, "in-progress");
    assert!(
        told.body["detail"]
            .as_str()
            .unwrap()
            .contains(&format!("run {run} of the source legacy is applying"))
    );
    let other = with(run, "/holder", json!(OTHER_HOLDER));
    story.rows(run, other).await.is(200);
    let told = story.rows(run, company(run)).await.is_problem(409, "in-progress");
    assert!(
        told.body["detail"].as_str().unwrap().contains("it is free again at 2027-01-15T08:02"),
        "{:#}",
        told.body
    );
    story.step(run, "before", "done").await.is_problem(409, "in-progress");
    story.pass(61);
    // Steps come in order, and say why they failed.
    story.step(run, "schema", "running").await.is_problem(409, "in-use");
    story.step(run, "before", "running").await.is(200);
    story.step(run, "schema", "running").await.is_problem(409, "in-use");
    story.step(run, "before", "undone").await.is_problem(422, "invalid");
    story.step(run, "before", "done").await.is(200);
    let told = story.step(run, "schema", "failed").await.is(200);
    assert_eq!((&told.body["state"], &told.body["error"]), (&json!("failed"), &json!("it went wrong")));
    let told = story.rows(run, company(run)).await.is_problem(412, "changed");
    assert!(told.body["detail"].as_str().unwrap().contains("is failed"));
    story.step(run, "schema", "done").await.is_problem(412, "changed");
    story.rows(run + 5, company(run + 5)).await.is_problem(404, "not-found");
    // A plan that failed goes on.
    let told = story.post(Who::Operator, RUNS, plan("p1", HOLDER)).await.is(200);
    assert_eq!((&told.body["state"], &told.body["resumed"]), (&json!("applying"), &json!(true)));
});

both_engines!(nobody_but_the_operator_adopts, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    let all = charter_api::routes();
    let mut tried = 0;
    for route in all.iter().filter(|route| route.path().contains("/adoption/")) {
        let path = crate::stories::every_route::filled(route.path(), "toys", |_| run.to_string());
        let path = match route.name() {
            "adoption.organizations" | "adoption.users" | "adoption.held.accounts" | "adoption.kept-away" => {
                format!("{path}?source=legacy")
            }
            "adoption.answers" => format!("{path}?organization=toys"),
            "adoption.held" => format!("{path}?source=legacy&organization={}", id(run, 1)),
            _ => path,
        };
        let body = route.body_example().map(|text| serde_json::from_str(text).unwrap());
        for who in [ANN, crate::stories::PAT] {
            story
                .send(who, route.method().clone(), &path, &[], body.clone())
                .await
                .is_problem(403, "forbidden");
            tried += 1;
        }
    }
    assert!(tried >= 18);
    is_untouched(&story).await;
});
