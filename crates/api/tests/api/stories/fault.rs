//! The database fails at each step of each change: whatever the step, nothing is left half done, the node decides by what the
//! database says, and the trail is whole.

use super::auth::PASSWORD;
use super::{ANN, BOB, PAT, Story, Who};
use charter_kernel::{OrganizationId, Revision};
use charter_testkit::both_engines;
use charter_testkit::content::{Content, differing};
use charter_testkit::database::TestDatabase;
use charter_testkit::fault::{Faults, Step};
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;

/// A change to try: requests that prepare it, with the place of an id the change needs, and the change.
struct Change {
    who: Who,
    prepare: Option<(&'static str, Value, &'static str)>,
    method: Method,
    path: &'static str,
    body: Value,
}

fn change(who: Who, method: Method, path: &'static str, body: Value) -> Change {
    Change { who, prepare: None, method, path, body }
}

/// A change of something made just before; `{id}` in its path is where the answer had the pointer.
fn undo(make: &'static str, body: Value, pointer: &'static str, path: &'static str) -> Change {
    Change { who: ANN, prepare: Some((make, body, pointer)), method: Method::DELETE, path, body: Value::Null }
}

const TOYS: &str = "/api/v1/organizations/toys";
const TRADE: &str = "/api/v1/organizations/trade";

/// Stands for the policy in force with one team more.
const POLICY: &str = "{policy}";

const CATALOGUE: &str = include_str!("authzen/data/records.toml");

/// Every kind of change; `{n}` is another number each time.
fn changes() -> Vec<Change> {
    let bob = json!({"member": "bob@toys.example"});
    let team = |key: &str| json!({"key": key, "name": "A team", "members": ["bob@toys.example"]});
    let grant = json!({"subject": bob, "permission": "sales.invoices.read", "reason": "try {n}"});
    let block =
        json!({"subject": {"team": "crowd"}, "permission": "sales.invoices.delete", "reason": "try {n}"});
    let enabled = json!({"status": "enabled", "reason": "try {n}"});
    let trial = json!({"plan": "growth", "days": 10, "reason": "try {n}"});
    let role = json!({"key": "role-{n}", "name": "R", "permissions": [{"permission": "sales.orders.read"}]});
    let client = json!({"name": "App {n}", "kind": "public", "redirect_uris": ["https://shop.example/"], "scopes": ["openid"]});
    let put_condition =
        json!({"condition": {"form": "at_most", "of": "resource", "attribute": "amount", "limit": 5.0}});
    vec![
        change(ANN, Method::POST, "{toys}/teams", team("team-{n}")),
        change(ANN, Method::PATCH, "{toys}/teams/crowd", json!({"name": "Crowd {n}"})),
        undo("{toys}/teams", team("gone-{n}"), "/team/key", "{toys}/teams/{id}"),
        undo("{toys}/teams", team("left-{n}"), "/team/key", "{toys}/teams/{id}/members/bob@toys.example"),
        change(ANN, Method::POST, "{toys}/roles", role),
        change(ANN, Method::PATCH, "{toys}/roles/shopper", json!({"name": "Shopper {n}"})),
        change(ANN, Method::PUT, "{toys}/conditions/c-{n}", put_condition),
        change(ANN, Method::POST, "{toys}/oauth-clients", client.clone()),
        undo("{toys}/oauth-clients", client, "/client/id", "{toys}/oauth-clients/{id}"),
        change(ANN, Method::PUT, "{toys}/resources/vouchers/v-{n}", json!({"owner": "bob@toys.example"})),
        change(
            ANN,
            Method::POST,
            "{toys}/assignments",
            json!({"role": "shopper", "subject": bob, "to": "2028-01-01T00:00:{n}Z"}),
        ),
        undo(
            "{toys}/assignments",
            json!({"role": "viewer", "subject": bob, "to": "2028-01-01T00:00:{n}Z"}),
            "/assignment/id",
            "{toys}/assignments/{id}",
        ),
        change(ANN, Method::POST, "{toys}/grants", grant.clone()),
        undo("{toys}/grants", grant, "/grant/id", "{toys}/grants/{id}"),
        change(ANN, Method::POST, "{toys}/blocks", block.clone()),
        undo("{toys}/blocks", block, "/block/id", "{toys}/blocks/{id}"),
        change(ANN, Method::POST, "{toys}/members", json!({"login": "new-{n}@toys.example"})),
        change(ANN, Method::PATCH, "{toys}/members/cat@toys.example", json!({"name": "Cat {n}"})),
        undo("{toys}/members", json!({"login": "old-{n}@toys.example"}), "/member/id", "{toys}/members/{id}"),
        Change {
            prepare: Some(("{toys}/members", json!({"login": "halt-{n}@toys.example"}), "/member/id")),
            ..change(
                Who::Operator,
                Method::PATCH,
                "{toys}/members/{id}",
                json!({"account_status": "suspended"}),
            )
        },
        change(ANN, Method::PATCH, "{toys}", json!({"name": "Toys {n}"})),
        change(PAT, Method::POST, "/api/v1/organizations", json!({"key": "org-{n}", "name": "Another"})),
        change(PAT, Method::PUT, "{toys}/entitlements/hr", enabled),
        change(PAT, Method::POST, "{toys}/trials", trial),
        change(
            ANN,
            Method::POST,
            "{toys}/service-tokens",
            json!({"account": "robot", "name": "token {n}", "expires_at": "2027-02-01T00:00:00Z"}),
        ),
        change(
            ANN,
            Method::POST,
            "{toys}/webhooks",
            json!({"name": "hook {n}", "url": "https://hooks.example.com/{n}", "events": ["grant.*"]}),
        ),
        undo(
            "{toys}/webhooks",
            json!({"name": "hook {n}", "url": "https://hooks.example.com/{n}", "events": ["*"]}),
            "/webhook/id",
            "{toys}/webhooks/{id}",
        ),
        change(
            Who::Operator,
            Method::POST,
            "/api/v1/users/bob@toys.example/password",
            json!({"password": "a long pass phrase {n}"}),
        ),
        change(
            PAT,
            Method::POST,
            "/api/v1/plans",
            json!({"key": "plan-{n}", "version": {"name": "A plan", "rank": 15, "modules": [{"module": "crm"}], "reason": "x"}}),
        ),
        change(PAT, Method::POST, "/api/v1/keys/rotate", json!({})),
        Change {
            who: PAT,
            prepare: Some(("/api/v1/keys/rotate", json!({}), "/next")),
            method: Method::POST,
            path: "/api/v1/keys/{id}/revoke",
            body: json!({"reason": "try {n}"}),
        },
        change(
            PAT,
            Method::POST,
            "/api/v1/keys/not-before",
            json!({"of_organization": "trade", "not_before": "2020-01-01T00:00:{n}Z", "reason": "try"}),
        ),
        change(PAT, Method::POST, "/api/v1/keys/legacy/rotations", json!({"file": "/srv/erp-{n}/.env"})),
        change(ANN, Method::PATCH, "{toys}/identity-settings", json!({"sign_in_addresses": ["10.0.0.{n}"]})),
    ]
}

/// Every kind of change of plans, limits, policies, the catalogue and organizations; and signing in.
fn larger_changes() -> Vec<Change> {
    let sold = json!({"key": "sold-{n}", "version": {"name": "Sold", "rank": 15, "modules": [{"module": "crm"}], "reason": "x"}});
    vec![
        change(
            PAT,
            Method::POST,
            "{toys}/limits/api_requests/consume",
            json!({"amount": 1, "key": "try-{n}"}),
        ),
        change(PAT, Method::PUT, "{toys}/limits/users", json!({"value": 1000, "reason": "try {n}"})),
        change(PAT, Method::POST, "{toys}/plan", json!({"plan": "growth", "reason": "try {n}"})),
        Change {
            prepare: Some(("/api/v1/plans", sold, "/plan/key")),
            ..change(PAT, Method::POST, "/api/v1/plans/{id}/versions/1/publish", json!({"reason": "agreed"}))
        },
        change(ANN, Method::POST, "{toys}/policy/apply", json!({"document": POLICY, "reason": "try {n}"})),
        change(
            PAT,
            Method::POST,
            "/api/v1/catalogue/apply",
            json!({"document": CATALOGUE.replace("records.1", "walk.{n}")}),
        ),
        change(PAT, Method::POST, "{trade}/suspend", json!({"reason": "try {n}"})),
        change(PAT, Method::POST, "{trade}/resume", json!({"reason": "try {n}"})),
        change(
            Who::Nobody,
            Method::POST,
            "/api/v1/auth/login",
            json!({"login": "cat@toys.example", "password": PASSWORD}),
        ),
    ]
}

fn filled(text: &str, n: usize, id: &str) -> String {
    text.replace("{toys}", TOYS).replace("{trade}", TRADE).replace("{n}", &n.to_string()).replace("{id}", id)
}

async fn body_of(story: &Story, change: &Change, n: usize) -> Option<Value> {
    let mut body = change.body.clone();
    if body["document"] == POLICY {
        let told = story.get(ANN, &format!("{TOYS}/policy")).await.is(200);
        let document = told.body["document"].as_str().unwrap();
        body["document"] = format!("{document}\n[teams.walk-{n}]\nname = \"Walk\"\n").into();
    }
    (!body.is_null()).then(|| serde_json::from_str(&body.to_string().replace("{n}", &n.to_string())).unwrap())
}

/// What the database holds, but for the trail, whose heads have the hash of all of it, and the guesses at sign-in, which count whatever comes
/// of them.
async fn content(story: &Story) -> Content {
    Content::of(story.app.database(), &["audit_events", "sign_in_counters"]).await
}

/// The node decides by what the database says.
async fn agrees(story: &Story, toys: OrganizationId, what: &str) {
    let now = story.app.now();
    let in_memory = story.app.snapshots().snapshot(toys, now).await.unwrap().shard().revision();
    assert_eq!(in_memory, Revision(story.revision("toys").await), "{what}");
    for permission in ["sales.invoices.read", "sales.orders.read", "hr.employees.read"] {
        let told = story.decision("toys", BOB, json!({"permission": permission})).await;
        let plain = story.decision("toys", BOB, json!({"permission": permission, "explain": true})).await;
        assert_eq!(told["decision"], plain["decision"], "{what} {permission}");
        assert_eq!(told["reason"], plain["reason"], "{what} {permission}");
    }
}

async fn whole_trail(story: &Story, what: &str) {
    for organization in ["toys", "trade", "platform"] {
        let path = format!("/api/v1/organizations/{organization}/audit/verify");
        let told = story.send(Who::Operator, Method::POST, &path, &[], None).await.is(200);
        assert_eq!(told.body["verified"], true, "{what}");
    }
}

async fn begun(database: TestDatabase, faults: &Arc<Faults>) -> Story {
    let story = Story::company(database.fail_with(faults)).await;
    let team = json!({"key": "crowd", "name": "Crowd", "members": ["bob@toys.example"]});
    story.post(ANN, &format!("{TOYS}/teams"), team).await.is(201);
    let role = json!({"key": "shopper", "name": "S", "permissions": [{"permission": "sales.orders.read"}]});
    story.post(ANN, &format!("{TOYS}/roles"), role).await.is(201);
    let robot = json!({"login": "robot", "kind": "service_account"});
    story.post(ANN, &format!("{TOYS}/members"), robot).await.is(201);
    let password = json!({"password": PASSWORD});
    story.post(Who::Operator, "/api/v1/users/cat@toys.example/password", password).await.is(200);
    story
}

both_engines!(whatever_step_fails_nothing_is_half_done, async |database| walk(database, changes()).await);

both_engines!(
    /// Attack 121: a change or a sign-in that cannot be written down does not happen.
    whatever_step_of_a_larger_change_or_a_sign_in_fails_nothing_is_half_done,
    async |database| {
    walk(database, larger_changes()).await
});

/// Tries each change with each of its steps failing in turn.
async fn walk(database: TestDatabase, changes: Vec<Change>) {
    let faults = Faults::new();
    let story = begun(database, &faults).await;
    let toys = story.app.resolve_organization("toys").await.unwrap();
    let content = content(&story).await;
    let held = async || content.held(story.app.database()).await;
    let (mut struck_at, mut wrong) = (Vec::new(), Vec::new());
    let count = changes.len();
    for change in changes {
        // A change of hundreds of steps is tried at its first and last ones, and at some between.
        let is_long = change.path.ends_with("/catalogue/apply");
        let mut total = 0;
        if is_long {
            let body = body_of(&story, &change, 99).await;
            faults.mend();
            story.send(change.who, change.method.clone(), change.path, &[], body).await.is(200);
            total = faults.taken();
        }
        // Two digits, as seconds want them.
        let (mut n, mut at) = (10, 0);
        let mut may_be_done = false;
        loop {
            let id = match &change.prepare {
                None => String::new(),
                Some((path, body, pointer)) => {
                    let body =
                        serde_json::from_str(&body.to_string().replace("{n}", &n.to_string())).unwrap();
                    let told = story.post(change.who, &filled(path, n, ""), body).await;
                    assert!(told.status.is_success(), "{path}: {:#}", told.body);
                    told.body.pointer(pointer).unwrap().as_str().unwrap().to_owned()
                }
            };
            let path = filled(change.path, n, &id);
            let what = format!("{} {path}, step {at}", change.method);
            let body = body_of(&story, &change, n).await;
            if path.ends_with("/login") {
                // Nobody is to think that somebody guesses.
                story.wait_seconds(900).await;
            }
            let (before, revision) = (held().await, story.revision("toys").await);
            faults.fail_after(at);
            let told = story.send(change.who, change.method.clone(), &path, &[], body).await;
            let Some(step) = faults.struck() else {
                // What there can be once only was made by the attempt that lost its answer.
                let is_there = may_be_done && told.status.as_u16() == 409;
                assert!(told.status.is_success() || is_there, "{what}: {:#}", told.body);
                break;
            };
            struck_at.push(step);
            n += 1;
            at += if is_long && at >= 8 && at + 12 < total {
                (total / 16).clamp(1, total - 12 - at)
            } else {
                1
            };
            let after = held().await;
            if told.status.is_success() {
                // A step that the request could do without, such as keeping an idempotency key.
                agrees(&story, toys, &what).await;
                continue;
            }
            assert_eq!(told.status.as_u16(), 503, "{what} {step:?}: {:#}", told.body);
            assert!(told.header("retry-after").parse::<u32>().unwrap() > 0, "{what}");
            let slug = told.body["type"].as_str().unwrap();
            match step {
                Step::Begin | Step::Statement | Step::Commit => {
                    // After its commit a request may still read, to show what it made.
                    let expected = if before == after { "unavailable" } else { "outcome-unknown" };
                    if slug != format!("urn:charter:problem:{expected}") {
                        let changed = differing(&before, &after);
                        wrong.push(format!("{what} {step:?}: {slug}, not {expected}: {changed:?} changed"));
                    }
                    if before != after {
                        may_be_done = true;
                        assert!(story.revision("toys").await <= revision + 1, "{what} was done twice");
                    }
                }
                Step::Committed => {
                    assert_eq!(slug, "urn:charter:problem:outcome-unknown", "{what}");
                    may_be_done = true;
                    story.app.tick().await.unwrap();
                }
            }
            agrees(&story, toys, &what).await;
            if n == 99 {
                panic!("{what}: the steps do not end");
            }
        }
        whole_trail(&story, change.path).await;
        agrees(&story, toys, change.path).await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for step in [Step::Begin, Step::Statement, Step::Commit, Step::Committed] {
        let times = struck_at.iter().filter(|struck| **struck == step).count();
        assert!(times >= count, "{step:?} failed only {times} times");
    }
}

both_engines!(whatever_step_fails_a_session_is_there_or_it_is_over, async |database| {
    let faults = Faults::new();
    let story = begun(database, &faults).await;
    let mut struck_at = Vec::new();
    for (method, path, body) in [
        (Method::POST, "/api/v1/auth/logout", Value::Null),
        (Method::POST, "/api/v1/auth/switch", json!({"organization": "trade"})),
        (Method::DELETE, "/api/v1/me/sessions/{id}", Value::Null),
        (
            Method::POST,
            "/api/v1/me/password",
            json!({"current_password": PASSWORD, "new_password": "another long phrase"}),
        ),
    ] {
        let both = json!({"login": "cat@toys.example"});
        story.post(Who::Operator, &format!("{TRADE}/members"), both).await;
        for n in 0..60 {
            let what = format!("{method} {path}, step {n}");
            story.wait_seconds(900).await;
            // Whichever password the attempt before left.
            let password = json!({"password": PASSWORD});
            story.post(Who::Operator, "/api/v1/users/cat@toys.example/password", password).await.is(200);
            let told = story.log_in_to("cat@toys.example", "toys").await.is(200);
            let token = told.body["access_token"].as_str().unwrap().to_owned();
            let own = story.with_token(&token, Method::GET, "/api/v1/me/sessions", None).await.is(200);
            let own =
                own.body["items"].as_array().unwrap().iter().find(|it| it["is_current"] == true).cloned();
            let path = path.replace("{id}", own.unwrap()["id"].as_str().unwrap());
            faults.fail_after(n);
            let body = (!body.is_null()).then(|| body.clone());
            let told = story.with_token(&token, method.clone(), &path, body).await;
            let Some(step) = faults.struck() else {
                assert!(told.status.is_success(), "{what}: {:#}", told.body);
                break;
            };
            struck_at.push(step);
            assert!(n < 59, "{what}: the steps do not end");
            if told.status.is_success() {
                continue;
            }
            assert_eq!(told.status.as_u16(), 503, "{what} {step:?}: {:#}", told.body);
            story.wait_seconds(60).await;
            // On this node and by the database: the session goes on whole, or it is over.
            let left = story.with_token(&token, Method::GET, "/api/v1/me", None).await.status.as_u16();
            let again = story.with_token(&token, Method::POST, "/api/v1/auth/logout", None).await;
            match left {
                200 => assert_eq!(again.status.as_u16(), 204, "{what}: {:#}", again.body),
                _ => assert_eq!((left, again.status.as_u16()), (401, 401), "{what}: {:#}", again.body),
            }
            story.with_token(&token, Method::GET, "/api/v1/me", None).await.is(401);
        }
    }
    whole_trail(&story, "sessions").await;
    for step in [Step::Begin, Step::Statement, Step::Commit, Step::Committed] {
        assert!(struck_at.contains(&step), "{step:?} never failed");
    }
});

both_engines!(a_full_disk_refuses_changes_and_answers_questions, async |database| {
    let faults = Faults::new();
    let story = begun(database, &faults).await;
    let content = content(&story).await;
    let before = content.held(story.app.database()).await;
    faults.fill();
    let body = json!({"key": "late", "name": "Late"});
    let told = story.post(ANN, &format!("{TOYS}/teams"), body.clone()).await.is_problem(503, "unavailable");
    assert!(told.body["detail"].as_str().unwrap().contains("full"), "{:#}", told.body);
    assert!(told.header("retry-after").parse::<u32>().unwrap() >= 10);
    assert!(story.allows("toys", ANN, "admin.users.read").await);
    assert_eq!(differing(&before, &content.held(story.app.database()).await), Vec::<&str>::new());
    faults.mend();
    story.post(ANN, &format!("{TOYS}/teams"), body).await.is(201);
    whole_trail(&story, "after the disk was full").await;
});

both_engines!(
    without_the_database_decisions_go_on_from_memory_until_the_facts_are_too_old,
    async |database| {
        let faults = Faults::new();
        let story = begun(database, &faults).await;
        let limit = i64::from(story.app.settings().max_staleness_seconds);
        let asked = json!({"subject": "bob@toys.example", "permission": "sales.invoices.read"});
        let ask = async || story.post(ANN, &format!("{TOYS}/checks"), asked.clone()).await;
        let told = ask().await.is(200);
        assert_eq!((told.header("charter-facts-age"), &told.body["decision"]), ("", &json!("deny")));
        // The last change before the database goes: the node has just built what it decides by.
        let grant = json!({"subject": {"member": "bob@toys.example"}, "permission": "sales.invoices.read", "reason": "x"});
        story.post(ANN, &format!("{TOYS}/grants"), grant.clone()).await.is(201);

        faults.take_away();
        for seconds in [1, 19, limit - 20] {
            story.pass(seconds);
            assert!(story.app.tick().await.is_err());
            let told = ask().await.is(200);
            assert_eq!(told.body["decision"], "allow");
            let age = story.app.snapshots().age_seconds(story.app.now());
            let marked = if age >= 3 { age.to_string() } else { String::new() };
            assert_eq!(told.header("charter-facts-age"), marked);
            story.post(ANN, &format!("{TOYS}/grants"), grant.clone()).await.is_problem(503, "unavailable");
            story.get(ANN, &format!("{TOYS}/members")).await.is_problem(503, "unavailable");
            let ready = story.get(Who::Nobody, "/readyz").await.is(503);
            assert!(ready.body.to_string().contains("database"), "{:#}", ready.body);
            story.get(Who::Nobody, "/healthz").await.is(200);
        }
        story.pass(1);
        let told = ask().await.is_problem(503, "unavailable");
        assert!(told.header("retry-after").parse::<u32>().unwrap() > 0);
        assert!(told.body["detail"].as_str().unwrap().contains("no decision"), "{:#}", told.body);
        let own = json!({"permission": "sales.invoices.read"});
        story.post(BOB, &format!("{TOYS}/checks"), own).await.is_problem(503, "unavailable");

        faults.mend();
        story.app.tick().await.unwrap();
        let told = ask().await.is(200);
        assert_eq!((told.header("charter-facts-age"), &told.body["decision"]), ("", &json!("allow")));
        story.post(ANN, &format!("{TOYS}/grants"), grant).await.is(201);
        story.get(Who::Nobody, "/readyz").await.is(200);
        whole_trail(&story, "after the database was away").await;
    }
);

both_engines!(an_organization_that_is_not_in_memory_is_not_decided_without_the_database, async |database| {
    let faults = Faults::new();
    let story = begun(database, &faults).await;
    story.app.snapshots().drop_unused(story.app.now().plus_seconds(1));
    faults.take_away();
    let asked = json!({"subject": "ann@toys.example", "permission": "admin.users.read"});
    for who in [ANN, Who::Operator] {
        let told = story.post(who, &format!("{TOYS}/checks"), asked.clone()).await;
        assert!(told.is_problem(503, "unavailable").body.get("decision").is_none());
    }
    faults.mend();
    assert_eq!(story.post(ANN, &format!("{TOYS}/checks"), asked).await.is(200).body["decision"], "allow");
});

both_engines!(refusals_that_could_not_be_written_are_not_forgotten, async |database| {
    let faults = Faults::new();
    let story = begun(database, &faults).await;
    faults.take_away();
    for _ in 0..3 {
        story.get(BOB, &format!("{TOYS}/members")).await.is_problem(403, "forbidden");
    }
    assert!(story.app.flush_denials().await.is_err());
    faults.mend();
    story.app.flush_denials().await.unwrap();
    let path = format!("{TOYS}/audit/events?action=check.deny");
    let kept = story.get(Who::Operator, &path).await.is(200);
    let told: Vec<String> = kept.body["items"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert!(!told.is_empty());
    whole_trail(&story, "refusals").await;
});
