//! Clients and their administrators; clients and themselves.

use super::*;
use crate::stories::{BOB, EVE, PAT};
use charter_testkit::both_engines;

const MEMBERS: &str = "/api/v1/organizations/toys/members";

both_engines!(a_client_is_registered_changed_and_removed_and_its_row_stays, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    let path = format!("{CLIENTS}/{}", shop.id);
    let shown = story.get(ANN, &path).await.is(200).body;
    assert_eq!((&shown["status"], &shown["redirect_uris"]), (&json!("active"), &json!([BACK])));
    assert_eq!(story.all(ANN, CLIENTS, 1, "/id").await, std::slice::from_ref(&shop.id));
    story.get(EVE, &path).await.is_problem(404, "not-found");
    story.get(BOB, &path).await.is_problem(403, "forbidden");
    story.get(EVE, &format!("/api/v1/organizations/trade/oauth-clients/{}", shop.id)).await.is(404);

    let (_, tokens) = story.tokens_of(&shop, "openid offline_access admin.users.read").await;
    story.patch(ANN, &path, json!({"name": "Store"})).await.is(200);
    assert_eq!(story.status(&tokens["access_token"], MEMBERS).await, 200);
    story.patch(ANN, &path, json!({"active": false})).await.is(200);
    assert_eq!(story.status(&tokens["access_token"], MEMBERS).await, 401);
    is_error(
        &story.refresh_of(&shop, tokens["refresh_token"].as_str().unwrap(), "").await,
        401,
        "invalid_client",
    );
    story.open(&asks(&shop, "openid", &[]), "").await.is(400);
    story.patch(ANN, &path, json!({"active": true})).await.is(200);
    is_error(
        &story.refresh_of(&shop, tokens["refresh_token"].as_str().unwrap(), "").await,
        400,
        "invalid_grant",
    );

    // It goes elsewhere: whoever agreed is asked again.
    let (cookies, tokens) = {
        let path = asks(&shop, "openid offline_access admin.users.read", &[]);
        let told = story.type_in(&path, "", ANN_LOGIN, PASSWORD).await;
        let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
        (crumb(&told), tokens)
    };
    let none = asks(&shop, "openid", &[("prompt", "none")]);
    assert!(!one(&story.open(&none, &cookies).await, "code").is_empty());
    let body = json!({"redirect_uris": [BACK, "https://other.example/callback"]});
    story.patch(ANN, &path, body).await.is(200);
    assert_eq!(one(&story.open(&none, &cookies).await, "error"), "consent_required");
    assert_eq!(story.status(&tokens["access_token"], MEMBERS).await, 200);
    let body = json!({"scopes": ["openid"], "grant_types": ["authorization_code"]});
    story.patch(ANN, &path, body).await.is(200);
    assert_eq!(
        story.status(&tokens["access_token"], MEMBERS).await,
        401,
        "what it may ask for no more has ended"
    );

    story.delete(ANN, &path).await.is(204);
    assert_eq!(story.get(ANN, &path).await.is(200).body["status"], "deleted");
    for (method, path, body) in [
        (Method::PATCH, path.clone(), Some(json!({"active": true}))),
        (Method::DELETE, path.clone(), None),
        (Method::POST, format!("{path}/rotate-secret"), Some(json!({}))),
    ] {
        story.send(ANN, method, &path, &[], body).await.is_problem(404, "not-found");
    }
    story.open(&none, &cookies).await.is(400);
    let trail = "/api/v1/organizations/toys/audit/events?action=oauth_client.delete";
    assert_eq!(story.all(Who::Operator, trail, 9, "/target").await, std::slice::from_ref(&shop.id));
});

both_engines!(a_secret_is_replaced_with_or_without_a_while_in_which_both_count, async |database| {
    let story = Story::with_password(database).await;
    let old = story.shop().await;
    let (_, tokens) = story.tokens_of(&old, "openid offline_access admin.users.read").await;
    let path = format!("{CLIENTS}/{}/rotate-secret", old.id);
    let knows = async |shop: &Shop| {
        let told = story.refresh_of(shop, "chr_x", "").await;
        told.body["error"] == "invalid_grant"
    };
    let rotate = async |seconds: u32| {
        let told = story.post(ANN, &path, json!({"overlap_seconds": seconds})).await.is(200);
        Shop { id: old.id.clone(), secret: Some(text(&told.body["client_secret"])) }
    };
    let new = rotate(3_600).await;
    assert!(knows(&old).await && knows(&new).await);
    story.wait_seconds(3_600).await;
    assert!(!knows(&old).await && knows(&new).await);
    let newest = rotate(0).await;
    assert!(!knows(&new).await && knows(&newest).await);
    let again = story.refresh_of(&newest, tokens["refresh_token"].as_str().unwrap(), "").await;
    is_error(&again, 400, "invalid_grant");
    story.post(ANN, &path, json!({"overlap_seconds": 31 * 86_400})).await.is_problem(422, "invalid");
});

both_engines!(a_client_that_could_never_work_is_not_registered, async |database| {
    let story = Story::with_password(database).await;
    let right = json!({
        "name": "Shop", "kind": "confidential", "redirect_uris": [BACK], "scopes": ["openid"],
    });
    let rows = [
        ("redirect_uris", json!([]), 422),
        ("redirect_uris", json!(["http://shop.example/callback"]), 422),
        ("redirect_uris", json!(["https://shop.example/callback#x"]), 422),
        ("redirect_uris", json!(["https://*.example/"]), 422),
        ("redirect_uris", json!(["javascript:alert(1)"]), 422),
        ("post_logout_redirect_uris", json!(["//evil.example"]), 422),
        ("scopes", json!(["sales.dragons.ride"]), 422),
        ("scopes", json!(["admin"]), 422),
        ("scopes", json!(["offline_access"]), 422),
        ("grant_types", json!(["password"]), 422),
        ("grant_types", json!(["implicit"]), 422),
        ("grant_types", json!(["refresh_token"]), 422),
        ("grant_types", json!(["client_credentials"]), 422),
        ("service_account", json!("bob@toys.example"), 422),
        ("service_account", json!("nobody"), 404),
        ("kind", json!("secret"), 422),
        ("name", json!(""), 422),
        ("client_secret", json!("mine"), 422),
    ];
    for (field, value, status) in rows {
        let mut body = right.clone();
        body[field] = value.clone();
        let told = story.post(ANN, CLIENTS, body).await;
        assert_eq!(told.status.as_u16(), status, "{field} {value}: {:#}", told.body);
    }
    assert!(story.all(ANN, CLIENTS, 9, "/id").await.is_empty());
    story.post(ANN, CLIENTS, right).await.is(201);
});

async fn robot(story: &Story, role: Option<&str>) {
    let body = json!({"login": "robot", "kind": "service_account"});
    story.post(Who::Operator, MEMBERS, body).await.is(201);
    if let Some(role) = role {
        let body = json!({"role": role, "subject": {"member": "robot"}});
        story.post(Who::Operator, "/api/v1/organizations/toys/assignments", body).await.is(201);
    }
}

both_engines!(a_client_stands_for_its_service_account_and_no_more, async |database| {
    let story = Story::with_password(database).await;
    robot(&story, Some("org_admin")).await;
    let body = json!({
        "name": "Sync", "kind": "confidential", "grant_types": ["client_credentials"], "service_account": "robot",
        "scopes": ["admin.users.read", "admin.teams.read"],
    });
    let sync = story.register(ANN, body.clone()).await;
    let itself = async |scope: &str| {
        let mut pairs = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            pairs.push(("scope", scope));
        }
        story.ask_token(&sync, &pairs).await
    };
    let told = itself("").await.is(200).body;
    assert_eq!(told["scope"], "admin.users.read admin.teams.read");
    assert!(told["refresh_token"].is_null() && told["id_token"].is_null());
    assert_eq!(story.status(&told["access_token"], MEMBERS).await, 200);
    assert_eq!(story.status(&told["access_token"], "/api/v1/organizations/toys/roles").await, 403);
    let me = story.with_token(&text(&told["access_token"]), Method::GET, "/api/v1/me", None).await.is(200);
    assert_eq!((&me.body["kind"], &me.body["login"]), (&json!("service_account"), &json!("robot")));
    let less = itself("admin.teams.read").await.is(200).body;
    assert_eq!(story.status(&less["access_token"], MEMBERS).await, 403);
    for wider in ["openid", "admin.roles.read", "*", "offline_access"] {
        is_error(&itself(wider).await, 400, "invalid_scope");
    }
    for (grant, error) in [
        ("authorization_code", "unauthorized_client"),
        ("password", "unsupported_grant_type"),
        ("", "invalid_request"),
    ] {
        let pairs = [
            ("grant_type", grant),
            ("code", "x"),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
            ("username", ANN_LOGIN),
            ("password", PASSWORD),
        ];
        is_error(&story.ask_token(&sync, &pairs).await, 400, error);
    }
    let path = format!("{MEMBERS}/robot");
    story.patch(Who::Operator, &path, json!({"status": "suspended"})).await.is(200);
    is_error(&itself("").await, 400, "unauthorized_client");
    assert_ne!(story.status(&told["access_token"], MEMBERS).await, 200);
});

both_engines!(nobody_makes_a_client_that_could_do_what_they_may_not, async |database| {
    let story = Story::with_password(database).await;
    robot(&story, Some("org_admin")).await;
    for permission in [
        "admin.oauth_clients.create",
        "admin.oauth_clients.update",
        "admin.oauth_clients.rotate",
        "admin.users.read",
    ] {
        let body =
            json!({"subject": {"member": "bob@toys.example"}, "permission": permission, "reason": "helps"});
        story.post(Who::Operator, "/api/v1/organizations/toys/grants", body).await.is(201);
    }
    let own = |scope: &str| json!({"name": "Own", "kind": "public", "redirect_uris": [BACK], "scopes": [scope], "first_party": true});
    let sync = |scope: &str| {
        json!({"name": "Sync", "kind": "confidential", "grant_types": ["client_credentials"],
            "service_account": "robot", "scopes": [scope]})
    };
    for body in [own("admin.*.*"), own("*"), sync("admin.*.*")] {
        story.post(BOB, CLIENTS, body).await.is_problem(403, "beyond-giver");
    }
    // One that asks nobody acts as every member who comes by a link: whoever has it has to administer them.
    for scope in ["openid", "admin.users.read"] {
        let told = story.post(BOB, CLIENTS, own(scope)).await.is_problem(403, "beyond-giver");
        assert!(text(&told.body["detail"]).contains("admin.org_settings.update"), "{}", told.body);
    }
    let body = json!({"subject": {"member": "bob@toys.example"}, "permission": "admin.org_settings.update", "reason": "helps"});
    story.post(Who::Operator, "/api/v1/organizations/toys/grants", body).await.is(201);
    story.register(BOB, own("admin.users.read")).await;
    story.register(BOB, sync("admin.users.read")).await;
    // Nor does he turn or learn the secret of one that somebody else made.
    let big = story.register(ANN, sync("admin.*.*")).await;
    let path = format!("{CLIENTS}/{}", big.id);
    story.patch(BOB, &path, json!({"name": "Mine"})).await.is_problem(403, "beyond-giver");
    story.patch(BOB, &path, json!({"active": true})).await.is_problem(403, "beyond-giver");
    // But whoever may change clients may stop one.
    story.patch(BOB, &path, json!({"active": false})).await.is(200);
    story.post(BOB, &format!("{path}/rotate-secret"), json!({})).await.is_problem(403, "beyond-giver");
    // One that asks its users is limited by them.
    let asking = json!({"name": "Asks", "kind": "public", "redirect_uris": [BACK], "scopes": ["*"]});
    let asking = story.register(BOB, asking).await;
    let path = format!("{CLIENTS}/{}", asking.id);
    story.patch(BOB, &path, json!({"first_party": true})).await.is_problem(403, "beyond-giver");
});

both_engines!(who_is_not_the_client_it_says_gets_nothing, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    let public = story
        .register(ANN, json!({"name": "P", "kind": "public", "redirect_uris": [BACK], "scopes": ["openid"]}))
        .await;
    let secret = |secret: &str| Shop { secret: Some(secret.to_owned()), ..shop.clone() };
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let unknown = Shop { id: "0193e7a0-0000-7000-8000-000000000001".to_owned(), ..shop.clone() };
    let bare = Shop { secret: None, ..shop.clone() };
    let dressed = Shop { secret: shop.secret.clone(), ..public.clone() };
    let long = "x".repeat(9_000);
    for wrong in [secret("wrong"), secret(""), secret(&long), unknown, bare, dressed] {
        let told = story.ask_token(&wrong, &pairs).await;
        is_error(&told, 401, "invalid_client");
        assert!(told.header("www-authenticate").starts_with("Basic"));
    }
    // By both ways at once, or by a body that is no form.
    let body = form(&[("grant_type", "refresh_token"), ("client_secret", "x"), ("client_id", &shop.id)]);
    let told =
        story.visit(Method::POST, "/oauth/token", &[("authorization", &shop.basic())], Some(body)).await;
    is_error(&told, 400, "invalid_request");
    let told = story
        .wire(Method::POST, "/oauth/token", &[("authorization", &shop.basic())], None, Some(json!({})))
        .await;
    is_error(&told, 400, "invalid_request");
    let body = form(&[
        ("client_id", &shop.id),
        ("client_secret", shop.secret.as_deref().unwrap()),
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
    ]);
    is_error(&story.visit(Method::POST, "/oauth/token", &[], Some(body)).await, 400, "invalid_grant");
});

both_engines!(the_plan_says_how_many_clients_there_may_be, async |database| {
    let story = Story::with_password(database).await;
    let limit = "/api/v1/organizations/toys/limits/oauth_clients";
    let over = json!({"value": 2, "enforcement": "hard", "reason": "a small plan"});
    story.put(PAT, limit, over).await.is(200);
    let first = story.shop().await;
    let second = story.shop().await;
    let body = json!({"name": "third", "kind": "public", "redirect_uris": [BACK], "scopes": ["openid"]});
    let told = story.post(ANN, CLIENTS, body.clone()).await.is_problem(403, "limit-reached");
    assert!(text(&told.body["detail"]).contains("oauth_clients"), "{}", told.body);
    // One that is switched off can be switched on again, and counts.
    story.patch(ANN, &format!("{CLIENTS}/{}", second.id), json!({"active": false})).await.is(200);
    story.post(ANN, CLIENTS, body.clone()).await.is_problem(403, "limit-reached");
    story.delete(ANN, &format!("{CLIENTS}/{}", first.id)).await.is(204);
    story.post(ANN, CLIENTS, body.clone()).await.is(201);
    story.post(ANN, CLIENTS, body.clone()).await.is_problem(403, "limit-reached");
    let shown = story.get(ANN, "/api/v1/organizations/toys/usage").await.is(200).body.to_string();
    assert!(shown.contains("oauth_clients"), "{shown}");
    story.post(EVE, "/api/v1/organizations/trade/oauth-clients", body).await.is(201);
});

both_engines!(a_former_secret_moves_to_the_newest_pepper_when_it_is_used, async |database| {
    let story = Story::with_password(database).await;
    let (old, unused) = (story.shop().await, story.shop().await);
    let rotate = async |shop: &Shop| {
        let path = format!("{CLIENTS}/{}/rotate-secret", shop.id);
        let told = story.post(ANN, &path, json!({"overlap_seconds": 86_400})).await.is(200);
        Shop { id: shop.id.clone(), secret: Some(text(&told.body["client_secret"])) }
    };
    let (new, newest_unused) = (rotate(&old).await, rotate(&unused).await);
    let knows =
        async |shop: &Shop| story.refresh_of(shop, "chr_x", "").await.body["error"] == "invalid_grant";
    let act = async |path: &str| story.send(PAT, Method::POST, path, &[], None).await;
    act("/api/v1/vault/peppers/rotate").await.is(200);
    story.wait_seconds(140).await;
    let end = "/api/v1/vault/peppers/1/end";
    let left = async || {
        let told = act(&format!("{end}?dry_run=true")).await.is(200).body;
        (told["clients"].as_u64().unwrap(), told["previous_client_secrets"].as_u64().unwrap())
    };
    assert_eq!(left().await, (2, 2));
    assert!(knows(&old).await);
    assert_eq!(left().await, (2, 1), "the newer secret was not used");
    assert!(knows(&new).await && knows(&old).await);
    assert_eq!(left().await, (1, 1));
    // A secret that was made with the newest pepper takes the one so far with its own version along.
    let third = rotate(&new).await;
    assert_eq!(left().await, (1, 1));
    act(end).await.is_problem(409, "in-use");
    act(&format!("{end}?force=true")).await.is(200);
    assert!(knows(&new).await && knows(&third).await);
    assert!(!knows(&unused).await && !knows(&newest_unused).await);
});
