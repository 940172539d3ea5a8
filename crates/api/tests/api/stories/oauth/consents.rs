//! What people agreed to, as they see it and take it back; and what an application says of how they proved themselves.

use super::*;
use crate::stories::invitation::{NEW, code_in};
use crate::stories::{BOB, EVE};
use charter_app::clock::Clock;
use charter_app::mail::Letter;
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

both_engines!(what_applications_have_of_an_account_ends_when_it_is_deactivated_for_good, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    story.assign(Who::Operator, "toys", BOB, "org_admin").await.is(201);
    story
        .post(Who::Operator, "/api/v1/organizations/trade/members", json!({"login": ANN_LOGIN}))
        .await
        .is(201);
    let body = json!({
        "name": "Harbour", "kind": "confidential", "redirect_uris": [BACK],
        "grant_types": ["authorization_code", "refresh_token"], "scopes": ["openid", "offline_access"],
    });
    let told = story.post(EVE, "/api/v1/organizations/trade/oauth-clients", body).await.is(201);
    let harbour = Shop {
        id: text(&told.body["client"]["id"]),
        secret: told.body["client_secret"].as_str().map(str::to_owned),
    };
    let account = async |status: &str| {
        let ann = format!("/api/v1/organizations/toys/members/{ANN_LOGIN}");
        story.patch(Who::Operator, &ann, json!({"account_status": status})).await.is(200);
    };
    let mut had = Vec::new();
    for shop in [&shop, &harbour] {
        let (browser, tokens) = story.tokens_of(shop, "openid offline_access").await;
        let waiting = one(&story.open(&asks(shop, "openid", &[]), &browser).await, "code");
        had.push((shop, tokens, waiting));
    }

    // What only rests asks for a new sign-in, and for nothing else.
    account("suspended").await;
    account("active").await;
    story.wait_seconds(31).await;
    for (shop, tokens, _) in &mut had {
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 401);
        let told = story.type_in(&asks(shop, "openid offline_access", &[]), "", ANN_LOGIN, PASSWORD).await;
        *tokens = story.exchange(shop, &one(&told, "code")).await.is(200).body;
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 200);
    }

    account("deactivated").await;
    for (_, tokens, _) in &had {
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 401, "at once");
    }
    account("active").await;
    story.wait_seconds(31).await;
    for (shop, tokens, waiting) in &had {
        assert_eq!(
            story.status(&tokens["access_token"], USER_INFO).await,
            401,
            "she is back, and they are not"
        );
        is_error(&story.refresh_of(shop, &text(&tokens["refresh_token"]), "").await, 400, "invalid_grant");
        is_error(&story.exchange(shop, waiting).await, 400, "invalid_grant");
        let page =
            story.type_in(&asks(shop, "openid offline_access", &[]), "", ANN_LOGIN, PASSWORD).await.is(200);
        assert!(page.body.as_str().unwrap().contains("Do you agree?"), "it has to ask again");
    }
    let own = story.log_in(ANN_LOGIN, PASSWORD).await.is(200);
    let left = story.with_token(&text(&own.body["access_token"]), Method::GET, APPLICATIONS, None).await;
    assert_eq!(left.is(200).body["items"], json!([]));
    for (place, shop) in [("toys", &shop), ("trade", &harbour)] {
        let trail = format!("/api/v1/organizations/{place}/audit/events?action=oauth_client.withdraw");
        let told = story.get(Who::Operator, &trail).await.is(200);
        let events = told.body["items"].as_array().unwrap();
        assert_eq!(events.len(), 1, "{place}");
        assert_eq!(
            (&events[0]["target"], &events[0]["after"]["sessions_ended"]),
            (&json!(shop.id), &json!(1))
        );
        assert_eq!(events[0]["reason"], "the account was deactivated");
    }
});

both_engines!(what_applications_have_ends_with_a_membership_that_is_over_by_its_date, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    story.assign(Who::Operator, "toys", BOB, "org_admin").await.is(201);
    let until = async |seconds: Option<i64>| {
        let to = seconds.map(|seconds| story.clock.now().plus_seconds(seconds).to_string());
        let ann = format!("/api/v1/organizations/toys/members/{ANN_LOGIN}");
        story.patch(BOB, &ann, json!({"to": to})).await.is(200);
    };
    let none = asks(&shop, "openid", &[("prompt", "none")]);
    // Its end is set to this moment; or it comes by itself, and is taken away afterwards.
    for (round, (seconds, waits)) in [(0, 0), (100, 200)].into_iter().enumerate() {
        let (browser, tokens) = story.tokens_of(&shop, "openid offline_access").await;
        let waiting = one(&story.open(&asks(&shop, "openid", &[]), &browser).await, "code");
        // A date that is still to come ends nothing.
        until(Some(50)).await;
        until(None).await;
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 200);
        until(Some(seconds)).await;
        story.wait_seconds(waits).await;
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 401);
        until(None).await;
        story.wait_seconds(31).await;
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 401, "they stay away");
        is_error(&story.refresh_of(&shop, &text(&tokens["refresh_token"]), "").await, 400, "invalid_grant");
        is_error(&story.exchange(&shop, &waiting).await, 400, "invalid_grant");
        assert_eq!(one(&story.open(&none, &browser).await, "error"), "consent_required");
        let trail = "/api/v1/organizations/toys/audit/events?action=oauth_client.withdraw";
        let told = story.get(Who::Operator, trail).await.is(200);
        assert_eq!(told.body["items"].as_array().unwrap().len(), round + 1);
    }
});

both_engines!(
    /// Attack 77: what a thief let in ends with the way back; what was let in long before stays.
    what_was_let_in_with_an_address_that_is_taken_back_ends,
    async |database| {
        const THIEF: &str = "thief@evil.example";
        let story = Story::with_password(database).await;
        let (shop, other) = (story.shop_of(&["openid"]).await, story.shop().await);
        let (browser, _) = story.let_in(&asks(&shop, "openid", &[])).await;
        for _ in 0..2 {
            story.pass(4 * 86_400);
            story.letters().await;
        }
        // Shortly before the change, and after it.
        let early = story.shop_of(&["openid"]).await;
        story.let_in(&asks(&early, "openid", &[])).await;
        let token = text(&story.log_in(ANN_LOGIN, PASSWORD).await.is(200).body["access_token"]);
        story
            .with_token(&token, Method::POST, "/api/v1/me/email", Some(json!({"email": THIEF})))
            .await
            .is(202);
        let code = |letters: &[Letter], to: &str| {
            code_in(letters.iter().find(|it| it.recipient == to).unwrap(), "email")
        };
        let proof = code(&story.letters().await, THIEF);
        let proof = proof.strip_prefix("prove.").unwrap_or(&proof).to_owned();
        story.anonymously("/api/v1/email/prove", json!({"token": proof})).await.is(204);
        let back = code(&story.letters().await, ANN_LOGIN);
        let back = back.strip_prefix("undo.").unwrap_or(&back).to_owned();
        let path = asks(&other, "openid offline_access", &[]);
        let page = story.type_in(&path, "", THIEF, PASSWORD).await.is(200);
        let agreed = [("token", hidden(&page)), ("do", "agree".to_owned())];
        let agreed: Vec<(&str, &str)> = agreed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let thief = crumb(&page);
        let told = story.send_form(&path, &thief, &agreed).await;
        let tokens = story.exchange(&other, &one(&told, "code")).await.is(200).body;
        let waiting = one(&story.open(&path, &thief).await, "code");

        story.anonymously("/api/v1/email/undo", json!({"token": back})).await.is(204);
        is_error(&story.exchange(&other, &waiting).await, 400, "invalid_grant");
        is_error(&story.refresh_of(&other, &text(&tokens["refresh_token"]), "").await, 400, "invalid_grant");
        let reset = json!({"token": story.code("reset-password").await, "password": NEW});
        story.anonymously("/api/v1/auth/reset-password", reset).await.is(204);
        let own = text(&story.log_in(ANN_LOGIN, NEW).await.is(200).body["access_token"]);
        let left = story.with_token(&own, Method::GET, APPLICATIONS, None).await.is(200).body;
        let left: Vec<&Value> = left["items"].as_array().unwrap().iter().map(|it| &it["client_id"]).collect();
        assert_eq!(left, [&json!(shop.id)]);
        let told = story.type_in(&asks(&shop, "openid", &[]), &browser, ANN_LOGIN, NEW).await;
        assert!(!one(&told, "code").is_empty(), "what she let in herself goes on");
        for shop in [&other, &early] {
            let told = story.open(&asks(shop, "openid", &[("prompt", "none")]), &crumb(&told)).await;
            assert_eq!(one(&told, "error"), "consent_required");
        }
        let trail = "/api/v1/organizations/toys/audit/events?action=oauth_client.withdraw";
        let told = story.get(Who::Operator, trail).await.is(200);
        let mut ended: Vec<String> =
            told.body["items"].as_array().unwrap().iter().map(|event| text(&event["target"])).collect();
        let mut expected = vec![other.id.clone(), early.id.clone()];
        ended.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ended, expected);
    }
);

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
