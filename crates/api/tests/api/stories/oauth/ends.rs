//! What a token is worth, and how what an application was given ends.

use super::*;
use crate::stories::{BOB, EVE};
use charter_testkit::both_engines;

const USER_INFO: &str = "/oauth/userinfo";

impl Story {
    async fn by_client(&self, shop: &Shop, path: &str, token: &str) -> Told {
        let basic = shop.basic();
        self.visit(Method::POST, path, &[("authorization", &basic)], Some(form(&[("token", token)]))).await
    }

    async fn worth(&self, shop: &Shop, token: &Value) -> Value {
        self.by_client(shop, "/oauth/introspect", token.as_str().unwrap()).await.is(200).body
    }
}

both_engines!(a_client_learns_what_a_token_for_its_organization_is_worth, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    let body = json!({"name": "Backend", "kind": "confidential", "grant_types": []});
    let backend = story.register(ANN, body).await;
    let (_, tokens) = story.tokens_of(&shop, "openid offline_access admin.users.read").await;
    let worth = story.worth(&backend, &tokens["access_token"]).await;
    assert_eq!((&worth["active"], &worth["client_id"]), (&json!(true), &json!(shop.id)));
    assert_eq!(
        (&worth["username"], &worth["scope"]),
        (&json!(null), &tokens["scope"]),
        "her address is her own"
    );
    let (_, open) = story.tokens_of(&shop, "openid email").await;
    assert_eq!(story.worth(&backend, &open["access_token"]).await["username"], "ann@toys.example");
    assert_eq!((&worth["iss"], &worth["token_type"]), (&json!("https://charter.example"), &json!("Bearer")));
    assert_eq!(worth["exp"].as_i64().unwrap() - worth["iat"].as_i64().unwrap(), 600);
    assert_eq!(story.worth(&shop, &tokens["refresh_token"]).await["active"], true);
    let nothing = json!({"active": false});
    assert_eq!(story.worth(&backend, &tokens["refresh_token"]).await, nothing, "another client's");
    for junk in [&tokens["id_token"], &json!("junk"), &json!("chr_test_x"), &json!("a.b.c")] {
        assert_eq!(story.worth(&backend, junk).await, nothing, "{junk}");
    }
    // A client of another organization learns nothing of it.
    let body = json!({"name": "Spy", "kind": "confidential", "grant_types": []});
    let told = story.post(EVE, "/api/v1/organizations/trade/oauth-clients", body).await.is(201);
    let spy = Shop {
        id: text(&told.body["client"]["id"]),
        secret: told.body["client_secret"].as_str().map(str::to_owned),
    };
    assert_eq!(story.worth(&spy, &tokens["access_token"]).await, nothing);
    let public = json!({"name": "P", "kind": "public", "redirect_uris": [BACK], "scopes": ["openid"]});
    let public = story.register(ANN, public).await;
    let body = form(&[("client_id", &public.id), ("token", "x")]);
    is_error(
        &story.visit(Method::POST, "/oauth/introspect", &[], Some(body)).await,
        400,
        "unauthorized_client",
    );
    let basic = shop.basic();
    let told = story
        .visit(Method::POST, "/oauth/introspect", &[("authorization", &basic)], Some(String::new()))
        .await;
    is_error(&told, 400, "invalid_request");
    story.wait_seconds(700).await;
    assert_eq!(story.worth(&backend, &tokens["access_token"]).await, nothing, "over");
});

both_engines!(a_client_gives_back_its_own_tokens_and_no_others, async |database| {
    let story = Story::with_password(database).await;
    let (shop, other) = (story.shop().await, story.shop().await);
    for given_back in ["access_token", "refresh_token"] {
        let (_, tokens) = story.tokens_of(&shop, "openid offline_access").await;
        let token = tokens[given_back].as_str().unwrap();
        story.by_client(&other, "/oauth/revoke", token).await.is(200);
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 200, "{given_back}");
        story.by_client(&shop, "/oauth/revoke", token).await.is(200);
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 401, "{given_back}");
        let again = story.refresh_of(&shop, tokens["refresh_token"].as_str().unwrap(), "").await;
        is_error(&again, 400, "invalid_grant");
        story.by_client(&shop, "/oauth/revoke", token).await.is(200);
    }
    story.by_client(&shop, "/oauth/revoke", "junk").await.is(200);
});

both_engines!(signing_out_ends_what_applications_had_for_that_while, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    let (cookies, lasting) = story.tokens_of(&shop, "openid offline_access").await;
    let told = story.open(&asks(&shop, "openid", &[]), &cookies).await;
    let passing = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
    assert!(passing["refresh_token"].is_null());
    let late = one(&story.open(&asks(&shop, "openid", &[]), &cookies).await, "code");

    let leave = format!(
        "/oauth/logout?{}",
        form(&[
            ("id_token_hint", lasting["id_token"].as_str().unwrap()),
            ("post_logout_redirect_uri", "https://shop.example/bye"),
            ("state", "s"),
        ])
    );
    let page = story.open(&leave, &cookies).await.is(200);
    assert!(page.body.as_str().unwrap().contains("Shop &amp; &lt;Co&gt;"));
    assert_eq!(
        story.status(&passing["access_token"], USER_INFO).await,
        200,
        "looking at the page ends nothing"
    );
    let elsewhere = [("cookie", cookies.as_str()), ("sec-fetch-site", "cross-site")];
    let sent = form(&[("token", &hidden(&page)), ("do", "sign-out")]);
    story.visit(Method::POST, &leave, &elsewhere, Some(sent)).await.is(403);
    story.send_form(&leave, &cookies, &[("do", "sign-out")]).await.is(400);
    let told = story.send_form(&leave, &cookies, &[("token", &hidden(&page)), ("do", "sign-out")]).await;
    assert_eq!((sent_to(&told).0.as_str(), one(&told, "state").as_str()), ("https://shop.example/bye", "s"));
    assert!(told.header("set-cookie").starts_with("__Host-ch_s=;"));

    assert_eq!(story.status(&passing["access_token"], USER_INFO).await, 401);
    is_error(&story.exchange(&shop, &late).await, 400, "invalid_grant");
    assert_eq!(story.status(&lasting["access_token"], USER_INFO).await, 200, "that is for while she is away");
    story.refresh_of(&shop, lasting["refresh_token"].as_str().unwrap(), "").await.is(200);
    let page = story.open(&leave, &cookies).await.is(200);
    assert!(page.body.as_str().unwrap().contains("Go on?"), "whose browser it is, the token does not tell");
    let told = story.send_form(&leave, "", &[("do", "sign-out")]).await;
    assert_eq!((sent_to(&told).0.as_str(), one(&told, "state").as_str()), ("https://shop.example/bye", "s"));
    let other = story.shop().await;
    let hint = lasting["id_token"].as_str().unwrap();
    for wrong in [
        vec![("id_token_hint", hint), ("post_logout_redirect_uri", "https://evil.example/")],
        vec![
            ("id_token_hint", hint),
            ("client_id", other.id.as_str()),
            ("post_logout_redirect_uri", "https://shop.example/bye"),
        ],
        vec![("post_logout_redirect_uri", "https://evil.example/"), ("client_id", shop.id.as_str())],
        vec![("post_logout_redirect_uri", "https://shop.example/bye")],
        vec![("post_logout_redirect_uri", "https://shop.example/bye"), ("client_id", "x")],
        vec![("post_logout_redirect_uri", "https://shop.example/bye/"), ("client_id", shop.id.as_str())],
        vec![],
    ] {
        let told = story.open(&format!("/oauth/logout?{}", form(&wrong)), &cookies).await.is(200);
        assert!(told.headers.get("location").is_none(), "{wrong:?}");
    }
});

both_engines!(
    /// Anybody can write a client's id into a link, or an ID token they got for themselves: it takes nobody anywhere before they say so.
    a_person_is_asked_before_they_are_sent_on,
    async |database| {
        let story = Story::with_password(database).await;
        let (shop, other) = (story.shop().await, story.shop().await);
        let (cookies, tokens) = story.tokens_of(&shop, "openid").await;
        let (_, foreign) = story.tokens_of(&other, "openid").await;
        let hint = text(&tokens["id_token"]);
        let forged = format!("{}x", hint.trim_end_matches(|last: char| last != '.'));
        let base = [("client_id", shop.id.as_str()), ("post_logout_redirect_uri", "https://shop.example/bye")];
        let leave = |more: &[(&str, &str)]| format!("/oauth/logout?{}", form(&[&base[..], more].concat()));
        let unproved = [
            leave(&[]),
            leave(&[("id_token_hint", "junk")]),
            leave(&[("id_token_hint", &forged)]),
            leave(&[("id_token_hint", &hint)]),
        ];
        let foreign = leave(&[("id_token_hint", foreign["id_token"].as_str().unwrap())]);
        for link in &unproved {
            let page = story.open(link, "").await.is(200);
            let body = page.body.as_str().unwrap();
            assert!(body.contains("Go on?") && body.contains("<strong>shop.example</strong>"), "{body}");
            let told = story.send_form(link, "", &[("do", "sign-out")]).await;
            assert_eq!(sent_to(&told).0, "https://shop.example/bye", "they said so");
            let elsewhere = [("sec-fetch-site", "cross-site")];
            story.visit(Method::POST, link, &elsewhere, Some(form(&[("do", "sign-out")]))).await.is(403);

            let page = story.open(link, &cookies).await.is(200);
            assert!(page.body.as_str().unwrap().contains("Sign out?"));
            assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 200, "looking ends nothing");
        }
        for cookies in ["", cookies.as_str()] {
            let told = story.open(&foreign, cookies).await.is(200);
            let body = told.body.as_str().unwrap();
            assert!(!body.contains("<strong>shop.example") && !body.contains("Go on"), "another client's: {body}");
            let unregistered = [("client_id", shop.id.as_str()), ("post_logout_redirect_uri", "https://evil.example/")];
            let told = story.open(&format!("/oauth/logout?{}", form(&unregistered)), cookies).await.is(200);
            assert!(!told.body.as_str().unwrap().contains("<strong>evil.example"));
        }
        let own = &unproved[3];
        let page = story.open(own, &cookies).await.is(200);
        let agreed = [("token", &*hidden(&page)), ("do", "sign-out")];
        let told = story.send_form(own, &cookies, &agreed).await;
        assert_eq!(sent_to(&told).0, "https://shop.example/bye");
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 401, "signed out");
        let page = story.open(own, &cookies).await.is(200);
        assert!(page.body.as_str().unwrap().contains("Go on?"), "the token outlives the session it is of");
    }
);

both_engines!(what_ends_its_user_ends_an_application, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    story.assign(Who::Operator, "toys", BOB, "org_admin").await.is(201);
    let ends = [
        ("/api/v1/users/ann@toys.example/password", Method::POST, json!({"password": "another fine horse"})),
        (
            "/api/v1/organizations/toys/members/ann@toys.example",
            Method::PATCH,
            json!({"account_status": "suspended"}),
        ),
    ];
    let mut password = PASSWORD;
    for (path, method, body) in ends {
        let request = asks(&shop, "openid offline_access", &[("prompt", "consent")]);
        let page = story.type_in(&request, "", ANN_LOGIN, password).await.is(200);
        let agreed = [("token", hidden(&page)), ("do", "agree".to_owned())];
        let agreed: Vec<(&str, &str)> = agreed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let told = story.send_form(&request, &crumb(&page), &agreed).await;
        let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 200);
        story.send(Who::Operator, method, path, &[], Some(body)).await.is(200);
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 401, "{path}");
        let again = story.refresh_of(&shop, tokens["refresh_token"].as_str().unwrap(), "").await;
        is_error(&again, 400, "invalid_grant");
        password = "another fine horse";
    }
});
