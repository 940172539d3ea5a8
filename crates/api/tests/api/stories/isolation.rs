//! Tries every route with another organization's ids: each answers as if there were nothing, and nothing changes.

use super::every_route::filled;
use super::{ANN, BOB, EVE, Story, Who};
use charter_api::edge::Guard;
use charter_testkit::both_engines;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What toys has, by the name a path gives it.
async fn belongings(story: &Story) -> BTreeMap<&'static str, String> {
    let toys = |rest: &str| format!("/api/v1/organizations/toys/{rest}");
    story
        .post(ANN, &toys("teams"), json!({"key": "plush", "name": "Plush", "members": ["bob@toys.example"]}))
        .await
        .is(201);
    let lines = json!([{"permission": "sales.orders.read"}]);
    story
        .post(ANN, &toys("roles"), json!({"key": "plusher", "name": "Plusher", "permissions": lines}))
        .await
        .is(201);
    let condition = json!({"condition": {"form": "owner"}});
    story.put(ANN, &toys("conditions/plush"), condition).await.is(200);
    story.put(ANN, &toys("resources/vouchers/plush-1"), json!({"owner": "bob@toys.example"})).await.is(200);
    let assignment = json!({"role": "plusher", "subject": {"team": "plush"}});
    let assignment = story.post(ANN, &toys("assignments"), assignment).await.is(201);
    let grant = json!({"subject": {"member": "bob@toys.example"}, "permission": "sales.invoices.read", "reason": "helps"});
    let grant = story.post(ANN, &toys("grants"), grant).await.is(201);
    let block =
        json!({"subject": {"team": "plush"}, "permission": "sales.invoices.delete", "reason": "never"});
    let block = story.post(ANN, &toys("blocks"), block).await.is(201);
    let robot = json!({"login": "robot", "kind": "service_account"});
    story.post(ANN, &toys("members"), robot).await.is(201);
    let token = json!({"account": "robot", "name": "one", "expires_at": "2027-02-01T00:00:00Z"});
    let token = story.post(ANN, &toys("service-tokens"), token).await.is(201);
    let hook = json!({"name": "ledger", "url": "https://hooks.example.com/toys", "events": ["*"]});
    let hook = story.post(ANN, &toys("webhooks"), hook).await.is(201);
    let hook = hook.body["webhook"]["id"].as_str().unwrap().to_owned();
    let path = toys(&format!("webhooks/{hook}/test"));
    let delivery = story.send(ANN, http::Method::POST, &path, &[], None).await.is(202);
    let shop = json!({"name": "Shop", "kind": "confidential", "redirect_uris": ["https://shop.example/"], "scopes": ["openid"]});
    let shop = story.post(ANN, &toys("oauth-clients"), shop).await.is(201);
    let trial = json!({"plan": "growth", "days": 10, "reason": "a try"});
    let trial = story.post(super::PAT, &toys("trials"), trial).await.is(200);
    story.take_newcomers("approval").await;
    let invitation =
        story.post(ANN, &toys("invitations"), json!({"email": "dora@toys.example"})).await.is(201);
    story.letters().await;
    let registrations = toys("registrations");
    story.anonymously(&registrations, json!({"email": "dan@toys.example"})).await.is(202);
    let link = story.code("registration").await;
    let proof = json!({"token": link.split_once('.').unwrap().1});
    story.anonymously(&format!("{registrations}/prove"), proof).await.is(200);
    let registration = story.get(ANN, &registrations).await.is(200);
    let key = story.post(ANN, "/api/v1/api-keys", json!({"name": "one"})).await.is(201);
    story.password_for("bob@toys.example").await;
    let (_, session) = story.signed_in("bob@toys.example", Some("toys")).await;
    let id = |told: &super::Told, thing: &str| told.body[thing]["id"].as_str().unwrap().to_owned();
    BTreeMap::from([
        ("member", story.id_of(BOB).to_string()),
        ("user_id", story.id_of(BOB).to_string()),
        ("team", "plush".to_owned()),
        ("role", "plusher".to_owned()),
        ("condition", "plush".to_owned()),
        ("type", "vouchers".to_owned()),
        ("id", "plush-1".to_owned()),
        ("assignment", id(&assignment, "assignment")),
        ("grant", id(&grant, "grant")),
        ("block", id(&block, "block")),
        ("session", session),
        ("invitation", invitation.body["id"].as_str().unwrap().to_owned()),
        ("registration", registration.body["items"][0]["id"].as_str().unwrap().to_owned()),
        ("key", id(&key, "api_key")),
        ("token", id(&token, "service_token")),
        ("subscription", id(&trial, "subscription")),
        ("client", id(&shop, "client")),
        ("webhook", hook),
        ("delivery", delivery.body["id"].as_str().unwrap().to_owned()),
        ("module", "hr".to_owned()),
        ("submodule", "payroll".to_owned()),
    ])
}

/// Everything an organization's administrator can see of it.
async fn everything(story: &Story, organization: &str) -> Value {
    let mut all = serde_json::Map::new();
    for list in [
        "service-tokens",
        "webhooks",
        "invitations",
        "registrations",
        "subscriptions",
        "entitlements",
        "members",
        "teams",
        "roles",
        "assignments",
        "grants",
        "blocks",
        "conditions",
        "resources",
    ] {
        let path = format!("/api/v1/organizations/{organization}/{list}");
        all.insert(list.to_owned(), story.get(Who::Operator, &path).await.is(200).body["items"].clone());
    }
    all.insert("revision".to_owned(), json!(story.revision(organization).await));
    Value::Object(all)
}

/// Routes about things that are no organization's own: numbers that every organization counts for itself, names of the catalogue and
/// its plans, which all share, as they do the installation's signing keys and mails, runs of adoption, which are the operator's only, and one's
/// own account, which has stories in `auth`.
const NOT_ANYBODYS: &[&str] = &[
    "adoption.runs.follow",
    "adoption.runs.proof",
    "adoption.runs.rows",
    "adoption.runs.show",
    "adoption.runs.step",
    "adoption.runs.undo",
    "audit.get",
    "keys.revoke",
    "limits.check",
    "limits.consume",
    "limits.override",
    "limits.remove-override",
    "mail.retry",
    "mail.show",
    "me.confirm-totp",
    "me.remove-factor",
    "plans.discard",
    "plans.draft",
    "plans.get",
    "plans.migrate",
    "plans.publish",
    "plans.retire",
    "plans.version",
    "plans.versions",
    "users.set-password",
    "vault.end-pepper",
];

/// A body that would work in one's own organization.
fn body_that_works(name: &str) -> Option<Value> {
    Some(match name {
        "members.update" => json!({"name": "Other"}),
        "teams.update" => json!({"name": "Other"}),
        "roles.update" => json!({"name": "Other"}),
        "api-keys.update" => json!({"name": "Other"}),
        _ => return None,
    })
}

both_engines!(ids_of_another_organization_mean_nothing_in_ones_own, async |database| {
    let story = Story::company(database).await;
    let theirs = belongings(&story).await;
    let before = (everything(&story, "toys").await, everything(&story, "trade").await);
    // What may be created in one's own organization under a name that another has taken in theirs; and one's own sessions, which ask
    // for a session first (`session`).
    let apart = ["conditions.put", "resources.put", "me.end-session", "me.withdraw-application"];
    let (mut tried, mut not_anybodys) = (Vec::new(), Vec::new());
    for route in &charter_api::routes() {
        let names = route.path_names();
        let is_about_a_thing = names.iter().any(|name| *name != "organization");
        let is_known = names.iter().all(|name| *name == "organization" || theirs.contains_key(name));
        if matches!(route.guard(), Guard::Public(_)) || !is_about_a_thing || apart.contains(&route.name()) {
            continue;
        }
        if !is_known {
            not_anybodys.push(route.name());
            continue;
        }
        let mut path = filled(route.path(), "trade", |name| theirs[name].clone());
        if ["members.end-session", "members.end-sessions"].contains(&route.name()) {
            path.push_str("?reason=theirs");
        }
        let body = body_that_works(route.name()).or_else(|| {
            route.takes_body().then(|| serde_json::from_str(route.body_example().unwrap_or("{}")).unwrap())
        });
        let told = story.send(EVE, route.method().clone(), &path, &[], body).await;
        assert_eq!(told.status.as_u16(), 404, "{route:?} {path}: {:#}", told.body);
        tried.push(route.name());
    }
    assert!(tried.len() >= 22, "{tried:?}");
    not_anybodys.sort_unstable();
    assert_eq!(
        not_anybodys, NOT_ANYBODYS,
        "a new route needs something of toys in `belongings`, or a reason here"
    );
    assert_eq!((everything(&story, "toys").await, everything(&story, "trade").await), before);

    let trade = |rest: &str| format!("/api/v1/organizations/trade/{rest}");
    story.put(EVE, &trade("conditions/plush"), json!({"condition": {"form": "owner"}})).await.is(200);
    story.put(EVE, &trade("resources/vouchers/plush-1"), json!({})).await.is(200);
    assert_eq!(everything(&story, "toys").await, before.0);
});

both_engines!(names_of_another_organization_in_a_body_or_query_are_refused, async |database| {
    let story = Story::company(database).await;
    let theirs = belongings(&story).await;
    let before = (everything(&story, "toys").await, everything(&story, "trade").await);
    let trade = |rest: &str| format!("/api/v1/organizations/trade/{rest}");
    let (bob, team) = (json!({"member": theirs["member"]}), json!({"team": "plush"}));
    for (path, body) in [
        ("assignments", json!({"role": "accountant", "subject": bob})),
        ("assignments", json!({"role": "accountant", "subject": team})),
        ("assignments", json!({"role": "plusher", "subject": {"member": "eve@trade.example"}})),
        (
            "assignments",
            json!({"role": "accountant", "subject": {"member": "eve@trade.example"}, "condition": "plush"}),
        ),
        ("grants", json!({"subject": bob, "permission": "sales.orders.read", "reason": "x"})),
        ("grants", json!({"subject": team, "permission": "sales.orders.read", "reason": "x"})),
        ("blocks", json!({"subject": bob, "permission": "sales.orders.read", "reason": "x"})),
        ("blocks", json!({"subject": {"role": "plusher"}, "permission": "sales.orders.read", "reason": "x"})),
        ("teams", json!({"key": "mine", "name": "Mine", "parent": "plush"})),
        ("teams", json!({"key": "mine", "name": "Mine", "members": [theirs["member"]]})),
        ("roles", json!({"key": "mine", "name": "Mine", "parents": ["plusher"]})),
        (
            "roles",
            json!({"key": "mine", "name": "Mine", "permissions": [{"permission": "sales.orders.read", "condition": "plush"}]}),
        ),
    ] {
        let told = story.post(EVE, &trade(path), body.clone()).await;
        assert_eq!(told.status.as_u16(), 422, "{path} {body}: {:#}", told.body);
    }
    let owner = json!({"owner": theirs["member"]});
    story.put(EVE, &trade("resources/vouchers/7"), owner).await.is_problem(422, "invalid");
    let condition = json!({"condition": {"form": "team", "team": "plush"}});
    story.put(EVE, &trade("conditions/mine"), condition).await.is_problem(422, "invalid");
    for path in
        ["assignments?team=plush", "grants?team=plush", &format!("grants?member={}", theirs["member"])]
    {
        let told = story.get(EVE, &trade(path)).await;
        assert_eq!(told.status.as_u16(), 422, "{path}: {:#}", told.body);
    }
    assert_eq!((everything(&story, "toys").await, everything(&story, "trade").await), before);
});

both_engines!(nothing_of_another_organization_changes_an_answer, async |database| {
    let story = Story::company(database).await;
    let theirs = belongings(&story).await;
    let ask =
        async |body: Value| story.post(EVE, "/api/v1/organizations/trade/checks", body).await.is(200).body;
    for subject in [theirs["member"].as_str(), "bob@toys.example"] {
        let told = ask(json!({"subject": subject, "permission": "sales.invoices.read"})).await;
        assert_eq!(told["decision"], "deny", "{told:#}");
        assert!(["unknown_subject", "not_a_member"].contains(&told["reason"].as_str().unwrap()));
        let held = json!({"subject": subject});
        let told = story.post(EVE, "/api/v1/organizations/trade/search/what-can", held).await.is(200);
        assert_eq!(told.body["items"], json!([]));
    }
    let anybody = json!({"permission": "sales.invoices.read"});
    let told = story.post(EVE, "/api/v1/organizations/trade/search/who-can", anybody).await.is(200);
    assert_eq!(told.each("/login"), ["eve@trade.example"]);
    let path =
        format!("/api/v1/organizations/trade/audit/events?target_kind=grant&target={}", theirs["grant"]);
    assert_eq!(story.get(EVE, &path).await.is(200).body["items"], json!([]));
    let list = story.all(EVE, "/api/v1/organizations/trade/members", 9, "/login").await;
    assert_eq!(list, ["eve@trade.example"]);
});

both_engines!(
    a_credential_for_one_organization_answers_nothing_about_another_its_owner_belongs_to,
    async |database| {
        let story = Story::company(database).await;
        let member = json!({"login": "bob@toys.example"});
        story.post(Who::Operator, "/api/v1/organizations/trade/members", member).await.is(201);
        let own = json!({"permission": "sales.invoices.read"});
        story.post(BOB, "/api/v1/organizations/toys/checks", own.clone()).await.is(200);
        story.post(BOB, "/api/v1/organizations/trade/checks", own).await.is_problem(404, "not-found");
        story.get(BOB, "/api/v1/me/permissions?organization=trade").await.is_problem(404, "not-found");
    }
);

// Whoever administers one organization could learn name and state of everybody in the others, and take from their
// administrators the right to suspend them, by adding their logins.
both_engines!(an_account_of_another_organization_is_not_drawn_in, async |database| {
    let story = Story::company(database).await;
    let (trade, toys) = ("/api/v1/organizations/trade/members", "/api/v1/organizations/toys/members");
    for path in [trade.to_owned(), format!("{trade}?dry_run=true")] {
        let told =
            story.post(EVE, &path, json!({"login": "bob@toys.example"})).await.is_problem(409, "taken");
        assert!(!told.body.to_string().contains(&story.id_of(BOB).to_string()), "{:#}", told.body);
    }
    let robot = json!({"login": "robot", "kind": "service_account"});
    story.post(ANN, toys, robot.clone()).await.is(201);
    story.post(EVE, trade, robot).await.is_problem(409, "taken");
    assert_eq!(story.all(EVE, trade, 9, "/login").await, ["eve@trade.example"]);
    let path = format!("{toys}/bob@toys.example");
    story.patch(ANN, &path, json!({"status": "suspended"})).await.is(200);

    // The operator adds it; who is at home in both organizations may as well; and a former member comes back.
    const DAN: Who = Who::Named("dan@trade.example");
    story.hire("trade", DAN).await;
    story.assign(Who::Operator, "trade", DAN, "org_admin").await.is(201);
    story.post(Who::Operator, toys, json!({"login": "dan@trade.example"})).await.is(201);
    story.post(DAN, trade, json!({"login": "cat@toys.example"})).await.is(201);
    story.delete(ANN, &path).await.is(200);
    story.post(ANN, toys, json!({"login": "bob@toys.example"})).await.is(201);
});
