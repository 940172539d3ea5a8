//! What people agreed to, as they see it and take it back; and what an application says of how they proved themselves.

use super::*;
use crate::stories::BOB;
use charter_app::clock::Clock;
use charter_testkit::both_engines;

const APPLICATIONS: &str = "/api/v1/me/applications";
const USER_INFO: &str = "/oauth/userinfo";

both_engines!(somebody_sees_what_they_let_in_and_takes_it_back, async |database| {
    let story = Story::with_password(database).await;
    let (shop, other) = (story.shop().await, story.shop_of(&["openid"]).await);
    let cookie = story.log_in(ANN_LOGIN, PASSWORD).await.is(200);
    let ann = text(&cookie.body["access_token"]);
    let mine = async |path: &str| story.with_token(&ann, Method::GET, path, None).await.is(200).body;
    assert_eq!(mine(APPLICATIONS).await, json!({"items": [], "next_cursor": null}));

    let (browser, tokens) = story.tokens_of(&shop, "openid email offline_access").await;
    story.tokens_of(&other, "openid").await;
    let all = mine(APPLICATIONS).await;
    let scope_of = |shop: &Shop| {
        let items = all["items"].as_array().unwrap();
        items.iter().find(|it| it["client_id"] == json!(shop.id)).map(|it| it["scope"].clone())
    };
    assert_eq!(scope_of(&shop), Some(json!("openid email offline_access")));
    assert_eq!((scope_of(&other), all["items"].as_array().unwrap().len()), (Some(json!("openid")), 2));
    // One at a time it is the same list.
    let first = mine(&format!("{APPLICATIONS}?limit=1")).await;
    assert_eq!(first["items"][0], all["items"][0]);
    let next = text(&first["next_cursor"]);
    let second = mine(&format!("{APPLICATIONS}?limit=1&cursor={next}")).await;
    assert_eq!(second["items"][0], all["items"][1]);
    assert!(second.get("next_cursor").is_none_or(Value::is_null), "{second}");

    // A code that was given before is worth nothing afterwards.
    let waiting = one(&story.open(&asks(&shop, "openid", &[]), &browser).await, "code");
    let one_of = format!("{APPLICATIONS}/{}", shop.id);
    let access = text(&tokens["access_token"]);
    story.with_token(&access, Method::GET, APPLICATIONS, None).await.is(403);
    story.with_token(&access, Method::DELETE, &one_of, None).await.is(403);
    story.with_token(&ann, Method::DELETE, &one_of, None).await.is(204);
    assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 401);
    is_error(&story.refresh_of(&shop, &text(&tokens["refresh_token"]), "").await, 400, "invalid_grant");
    is_error(&story.exchange(&shop, &waiting).await, 400, "invalid_grant");
    let left = mine(APPLICATIONS).await;
    assert_eq!(
        (left["items"][0]["client_id"].clone(), left["items"].as_array().unwrap().len()),
        (json!(other.id), 1)
    );
    let page = story.open(&asks(&shop, "openid", &[]), &browser).await.is(200);
    assert!(page.body.as_str().unwrap().contains("Do you agree?"), "it has to ask again");
    story.with_token(&ann, Method::DELETE, &one_of, None).await.is(404);
    story.with_token(&ann, Method::DELETE, &format!("{APPLICATIONS}/nobody"), None).await.is(404);
});

both_engines!(what_applications_have_of_a_member_ends_with_the_membership_for_good, async |database| {
    const MEMBERS: &str = "/api/v1/organizations/toys/members";
    let story = Story::with_password(database).await;
    let (shop, other) = (story.shop().await, story.shop_of(&["openid"]).await);
    story.assign(Who::Operator, "toys", BOB, "org_admin").await.is(201);
    let ann = format!("{MEMBERS}/{ANN_LOGIN}");
    let paused = |status: &str| Some(json!({"status": status}));
    let removes: [&dyn Fn() -> (Method, Option<Value>); 2] =
        [&|| (Method::DELETE, None), &|| (Method::PATCH, paused("deactivated"))];
    for (round, ends) in removes.iter().enumerate() {
        let (browser, tokens) = story.tokens_of(&shop, "openid offline_access").await;
        let (_, passing) = story.tokens_of(&other, "openid").await;
        let waiting = one(&story.open(&asks(&shop, "openid", &[]), &browser).await, "code");
        let refresh = text(&tokens["refresh_token"]);

        // What only rests goes on afterwards.
        story.send(BOB, Method::PATCH, &ann, &[], paused("suspended")).await.is(200);
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 401);
        story.send(BOB, Method::PATCH, &ann, &[], paused("active")).await.is(200);
        story.wait_seconds(31).await;
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 200);
        let none = asks(&shop, "openid", &[("prompt", "none")]);
        assert!(!one(&story.open(&none, &browser).await, "code").is_empty());

        let (method, body) = ends();
        story.send(BOB, method.clone(), &ann, &[], body).await.is(200);
        for token in [&tokens["access_token"], &passing["access_token"]] {
            assert_eq!(story.status(token, USER_INFO).await, 401, "at once");
        }
        match method {
            Method::DELETE => {
                story.post(BOB, MEMBERS, json!({"login": ANN_LOGIN})).await.is(201);
                story.assign(Who::Operator, "toys", ANN, "org_admin").await.is(201);
            }
            _ => drop(story.send(BOB, Method::PATCH, &ann, &[], paused("active")).await.is(200)),
        }
        story.wait_seconds(31).await;
        for token in [&tokens["access_token"], &passing["access_token"]] {
            assert_eq!(story.status(token, USER_INFO).await, 401, "she is back, and they are not");
        }
        is_error(&story.refresh_of(&shop, &refresh, "").await, 400, "invalid_grant");
        is_error(&story.exchange(&shop, &waiting).await, 400, "invalid_grant");
        let told = story.open(&none, &browser).await;
        assert_eq!(one(&told, "error"), "consent_required", "she is asked again");
        let own = story.log_in(ANN_LOGIN, PASSWORD).await.is(200);
        let left = story.with_token(&text(&own.body["access_token"]), Method::GET, APPLICATIONS, None).await;
        assert_eq!(left.is(200).body["items"], json!([]));

        let trail = "/api/v1/organizations/toys/audit/events?action=oauth_client.withdraw";
        let told = story.get(Who::Operator, trail).await.is(200);
        let events: Vec<&Value> = told.body["items"].as_array().unwrap().iter().collect();
        assert_eq!(events.len(), 2 * (round + 1));
        let newest = &events[..2];
        for client in [&shop, &other] {
            let event = newest.iter().find(|event| event["target"] == json!(client.id)).unwrap();
            assert_eq!(event["actor"]["login"], "bob@toys.example");
            assert_eq!(event["after"]["principal"], json!(story.id_of(ANN).to_string()));
            assert_eq!(event["request_id"], newest[0]["request_id"], "with the change itself");
        }
    }
});

both_engines!(
    an_application_says_when_its_user_proved_themselves_and_does_nothing_dangerous,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop_of(&["openid", "admin.*.*"]).await;
        let (cookies, _) = story.let_in(&asks(&shop, "openid admin.*.*", &[])).await;
        let signed_in_at = story.clock.now().seconds();
        story.wait_seconds(700).await;
        let told = story.open(&asks(&shop, "openid admin.*.*", &[("prompt", "none")]), &cookies).await;
        let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
        for token in ["access_token", "id_token"] {
            assert_eq!(says(tokens[token].as_str().unwrap())["auth_time"], json!(signed_in_at), "{token}");
        }
        // Not even a moment after the sign-in: what asks for a recent one asks its owner.
        let told = story
            .type_in(&asks(&shop, "openid admin.*.*", &[("prompt", "login")]), &cookies, ANN_LOGIN, PASSWORD)
            .await;
        let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
        let token = text(&tokens["access_token"]);
        let release = "/api/v1/organizations/toys/api-keys/01a3185c-5000-7506-a68a-a507b9748236/release";
        for (path, body) in [
            (release, json!({"reason": "it was a test"})),
            (CLIENTS, json!({"name": "Other", "kind": "confidential", "grant_types": []})),
        ] {
            let told = story.with_token(&token, Method::POST, path, Some(body)).await.is(403);
            assert!(text(&told.body["detail"]).contains("application does not do it"), "{}", told.body);
        }
        story.with_token(&token, Method::GET, CLIENTS, None).await.is(200);
    }
);

both_engines!(pages_of_other_origins_read_what_is_open_to_them_and_nothing_else, async |database| {
    let story = Story::with_password(database).await;
    let page = [("origin", "https://page.example"), ("access-control-request-method", "POST")];
    for path in ["/oauth/token", "/oauth/revoke", USER_INFO] {
        let told = story.visit(Method::OPTIONS, path, &page, None).await.is(204);
        assert_eq!(told.header("access-control-allow-origin"), "*");
        assert!(told.header("access-control-allow-headers").contains("authorization"));
        assert!(told.headers.get("access-control-allow-credentials").is_none(), "never with a cookie");
    }
    for path in ["/oauth/introspect", "/oauth/authorize", "/api/v1/auth/login", "/api/v1/me/password"] {
        let told = story.visit(Method::OPTIONS, path, &page, None).await.is(405);
        assert!(told.headers.get("access-control-allow-origin").is_none(), "{path}");
    }
    let page = [("origin", "https://page.example"), ("sec-fetch-site", "cross-site")];
    for path in ["/.well-known/openid-configuration", "/.well-known/jwks.json"] {
        let told = story.visit(Method::GET, path, &page, None).await.is(200);
        assert_eq!(told.header("access-control-allow-origin"), "*");
    }
    let told = story
        .visit(Method::POST, "/oauth/token", &page, Some("grant_type=x&client_id=y".to_owned()))
        .await
        .is(401);
    assert_eq!(told.header("access-control-allow-origin"), "*", "a page reads why, too");
    let body = json!({
        "name": "Page", "kind": "public", "redirect_uris": [BACK], "grant_types": ["authorization_code"], "scopes": ["openid"],
    });
    let shop = story.register(ANN, body).await;
    let (_, told) = story.let_in(&asks(&shop, "openid", &[])).await;
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", &one(&told, "code")),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
        ("client_id", &shop.id),
    ];
    let tokens = story.visit(Method::POST, "/oauth/token", &page, Some(form(&pairs))).await.is(200).body;
    let bearer = format!("Bearer {}", text(&tokens["access_token"]));
    let told = story
        .visit(Method::GET, USER_INFO, &[page[0], page[1], ("authorization", &bearer)], None)
        .await
        .is(200);
    assert_eq!(told.header("access-control-allow-origin"), "*");
});
