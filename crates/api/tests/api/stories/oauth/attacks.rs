//! What attackers try, by the numbers of the list.

use super::*;
use charter_testkit::both_engines;

const USER_INFO: &str = "/oauth/userinfo";

/// A page that says what is wrong and sends nobody anywhere.
#[track_caller]
fn stays_here(told: &Told, why: &str) {
    assert_eq!(told.status.as_u16(), 400, "{why}: {}", told.body);
    assert!(told.headers.get("location").is_none(), "{why}");
    assert!(told.body.as_str().is_some_and(|page| page.contains("Nothing was done")), "{why}");
}

both_engines!(
    /// Attacks 48 and 103: where the address is not the registered one, nobody is sent anywhere.
    another_address_is_answered_on_a_page_without_going_there,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop().await;
        for uri in [
            "https://shop.example/callback/",
            "https://shop.example/callback/x",
            "https://shop.example/callback?x=1",
            "https://shop.example/callback#x",
            "https://shop.example/call",
            "https://shop.example:443/callback",
            "https://shop.example@evil.example/callback",
            "https://shop.example.evil.example/callback",
            "https://*.example/callback",
            "http://shop.example/callback",
            "http://localhost:49152/callback",
            "http://127.0.0.1:49152/callback",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "https://shop.example/callback\r\nSet-Cookie: a=b",
            "",
        ] {
            let told = story.open(&asks(&shop, "openid", &[("redirect_uri", uri)]), "").await;
            stays_here(&told, uri);
        }
        for (name, value) in [("client_id", ""), ("client_id", "0193e7a0-0000-7000-8000-000000000001"), ("client_id", "x'--")] {
            let told = story.open(&asks(&shop, "openid", &[(name, value)]), "").await;
            stays_here(&told, value);
        }
        let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", asks(&shop, "openid", &[]));
        story.open(&twice, "").await.is_problem(400, "malformed");
    }
);

both_engines!(
    /// Attack 104.
    a_code_is_worth_nothing_without_the_secret_of_who_asked_for_it,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop().await;
        for other in [
            vec![("code_challenge", "")],
            vec![("code_challenge_method", "")],
            vec![("code_challenge_method", "plain")],
            vec![("code_challenge_method", "s256")],
            vec![("code_challenge", "short")],
            vec![("code_challenge", ""), ("code_challenge_method", "")],
        ] {
            stays_here(&story.open(&asks(&shop, "openid", &other), "").await, "no challenge");
        }
        let (cookies, told) = story.let_in(&asks(&shop, "openid", &[])).await;
        let code = one(&told, "code");
        let pairs = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", BACK)];
        is_error(&story.ask_token(&shop, &pairs).await, 400, "invalid_request");
        let mut wrong = pairs.to_vec();
        wrong.push(("code_verifier", CHALLENGE));
        is_error(&story.ask_token(&shop, &wrong).await, 400, "invalid_grant");
        is_error(&story.exchange(&shop, &code).await, 400, "invalid_grant");
        // Another address than the one it was sent to, and a minute later.
        for (uri, seconds) in [("https://shop.example/other", 0), (BACK, 60)] {
            let code = one(&story.open(&asks(&shop, "openid", &[]), &cookies).await, "code");
            story.wait_seconds(seconds).await;
            let pairs = [
                ("grant_type", "authorization_code"),
                ("code", code.as_str()),
                ("redirect_uri", uri),
                ("code_verifier", VERIFIER),
            ];
            is_error(&story.ask_token(&shop, &pairs).await, 400, "invalid_grant");
        }
    }
);

both_engines!(
    /// Attack 105.
    a_code_that_comes_again_ends_what_it_gave,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop().await;
        let (_, told) = story.let_in(&asks(&shop, "openid offline_access", &[])).await;
        let code = one(&told, "code");
        let tokens = story.exchange(&shop, &code).await.is(200).body;
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 200);
        is_error(&story.exchange(&shop, &code).await, 400, "invalid_grant");
        assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 401);
        let again = story.refresh_of(&shop, tokens["refresh_token"].as_str().unwrap(), "").await;
        is_error(&again, 400, "invalid_grant");
        let trail = "/api/v1/organizations/toys/audit/events?action=oauth_code.reuse";
        assert_eq!(story.all(Who::Operator, trail, 9, "/target").await, std::slice::from_ref(&shop.id));
        is_error(&story.exchange(&shop, &code).await, 400, "invalid_grant");
    }
);

both_engines!(
    /// Attack 105, both at once: one of them gets tokens, and they end.
    of_two_exchanges_of_one_code_none_keeps_anything,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop().await;
        let (_, told) = story.let_in(&asks(&shop, "openid", &[])).await;
        let code = one(&told, "code");
        let both = futures_util::future::join_all((0..2).map(|_| story.exchange(&shop, &code))).await;
        let good: Vec<&Told> = both.iter().filter(|told| told.status.as_u16() == 200).collect();
        assert_eq!(good.len(), 1);
        assert_eq!(story.status(&good[0].body["access_token"], USER_INFO).await, 401);
    }
);

both_engines!(
    /// Attack 105, beside the end of the session the code is of.
    a_code_that_is_exchanged_while_sessions_end_leaves_none,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop().await;
        // The first ID token of an organization has its key made.
        story.tokens_of(&shop, "openid").await;
        for is_first in [true, false] {
            let (_, told) = story.let_in(&asks(&shop, "openid", &[])).await;
            let code = one(&told, "code");
            let path = "/api/v1/organizations/toys/members/ann@toys.example/sessions?reason=stolen";
            let (exchange, end) = (story.exchange(&shop, &code), story.delete(Who::Operator, path));
            let (exchanged, ended) = story.at_once_led(is_first, exchange, end).await;
            ended.is(200);
            if exchanged.status.as_u16() == 200 {
                assert_eq!(story.status(&exchanged.body["access_token"], USER_INFO).await, 401, "{is_first}");
            }
        }
    }
);

both_engines!(
    /// Attack 106: what a client said it finds again, and nobody else's.
    an_answer_is_bound_to_its_request_its_client_and_its_issuer,
    async |database| {
        let story = Story::with_password(database).await;
        let (shop, other) = (story.shop().await, story.shop().await);
        let (cookies, told) = story.let_in(&asks(&shop, "openid", &[("state", "=&%25;<x>"), ("nonce", "mine")])).await;
        assert_eq!((one(&told, "state").as_str(), one(&told, "iss").as_str()), ("=&%25;<x>", "https://charter.example"));
        let code = one(&told, "code");
        is_error(&story.exchange(&other, &code).await, 400, "invalid_grant");
        let tokens = story.exchange(&shop, &code).await.is(200).body;
        assert_eq!(says(tokens["id_token"].as_str().unwrap())["nonce"], "mine");
        let told = story.open(&asks(&shop, "openid", &[("state", ""), ("nonce", "")]), &cookies).await;
        assert!(!sent_to(&told).1.iter().any(|(name, _)| name == "state"));
        let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
        assert!(says(tokens["id_token"].as_str().unwrap())["nonce"].is_null());
        let long = "x".repeat(1_001);
        stays_here(&story.open(&asks(&shop, "openid", &[("state", &long)]), "").await, "long state");
    }
);

both_engines!(
    /// Attack 31: a refresh token that anybody else shows ends what it is of.
    a_refresh_token_is_for_the_client_it_was_given_to,
    async |database| {
        let story = Story::with_password(database).await;
        let (shop, other) = (story.shop().await, story.shop().await);
        for elsewhere in [true, false] {
            let (_, tokens) = story.tokens_of(&shop, "openid offline_access").await;
            let token = text(&tokens["refresh_token"]);
            if elsewhere {
                is_error(&story.refresh_of(&other, &token, "").await, 400, "invalid_grant");
            } else {
                let body = Some(json!({"refresh_token": token}));
                let path = "/api/v1/auth/refresh";
                story.wire(Method::POST, path, &[], None, body).await.is_problem(401, "unauthenticated");
            }
            assert_eq!(story.status(&tokens["access_token"], USER_INFO).await, 401);
            is_error(&story.refresh_of(&shop, &token, "").await, 400, "invalid_grant");
        }
        // Nor does a session of ann's own become an application's.
        let own = story.log_in(ANN_LOGIN, PASSWORD).await.is(200);
        is_error(&story.refresh_of(&shop, own.body["refresh_token"].as_str().unwrap(), "").await, 400, "invalid_grant");
        assert_eq!(story.status(&own.body["access_token"], "/api/v1/me").await, 401);
    }
);

both_engines!(
    /// Attack 32.
    a_refresh_widens_nothing,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop().await;
        let (_, tokens) = story.tokens_of(&shop, "openid offline_access admin.users.read").await;
        let token = text(&tokens["refresh_token"]);
        for wider in ["openid email", "*", "admin.*.read", "admin.users.create"] {
            is_error(&story.refresh_of(&shop, &token, wider).await, 400, "invalid_scope");
        }
        let less = story.refresh_of(&shop, &token, "openid").await.is(200).body;
        assert_eq!(less["scope"], "openid");
        let members = "/api/v1/organizations/toys/members";
        assert_eq!(story.status(&less["access_token"], members).await, 403);
        let all = story.refresh_of(&shop, less["refresh_token"].as_str().unwrap(), "").await.is(200).body;
        assert_eq!(story.status(&all["access_token"], members).await, 200, "the next has the whole scope again");
        story.wait_seconds(60).await;
        is_error(&story.refresh_of(&shop, &token, "").await, 400, "invalid_grant");
        assert_eq!(story.status(&all["access_token"], members).await, 401, "attack 28 holds for applications, too");
    }
);

both_engines!(
    /// Attack 11: an ID token is no access token, and an access token no hint.
    tokens_of_one_type_are_not_taken_for_another,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop().await;
        let (cookies, tokens) = story.tokens_of(&shop, "openid offline_access").await;
        for other in ["id_token", "refresh_token"] {
            assert_eq!(story.status(&tokens[other], USER_INFO).await, 401, "{other}");
        }
        let none = |hint: &str| asks(&shop, "openid", &[("prompt", "none"), ("id_token_hint", hint)]);
        let good = story.open(&none(tokens["id_token"].as_str().unwrap()), &cookies).await;
        assert!(!one(&good, "code").is_empty());
        let (another, x) = (tokens["access_token"].as_str().unwrap(), "x.y.z");
        for hint in [another, x] {
            assert_eq!(one(&story.open(&none(hint), &cookies).await, "error"), "login_required");
        }
    }
);

both_engines!(
    /// Attacks 39, 41 and 43: another site's page signs nobody in and agrees to nothing.
    a_form_counts_from_our_own_page_alone,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop().await;
        let path = asks(&shop, "openid", &[]);
        let typed = form(&[("login", ANN_LOGIN), ("password", PASSWORD), ("do", "sign-in")]);
        for elsewhere in [
            vec![],
            vec![("sec-fetch-site", "cross-site")],
            vec![("sec-fetch-site", "same-site")],
            vec![("origin", "https://evil.example")],
            vec![("origin", "null")],
        ] {
            let told = story.visit(Method::POST, &path, &elsewhere, Some(typed.clone())).await;
            told.is_problem(403, "forbidden");
        }
        let page = story.type_in(&path, "", ANN_LOGIN, PASSWORD).await.is(200);
        let (cookies, token) = (crumb(&page), hidden(&page));
        let agree = async |path: &str, cookies: &str, token: &str| {
            story.send_form(path, cookies, &[("token", token), ("do", "agree")]).await
        };
        let elsewhere = [("cookie", cookies.as_str()), ("sec-fetch-site", "cross-site")];
        let sent = form(&[("token", &token), ("do", "agree")]);
        story.visit(Method::POST, &path, &elsewhere, Some(sent)).await.is_problem(403, "forbidden");
        // For another request, without it, in another session, and too late the page is shown again.
        let wider = asks(&shop, "openid email", &[]);
        for (path, token) in [(&path, ""), (&wider, token.as_str()), (&path, "1800000000.x"), (&path, "x")] {
            let told = agree(path, &cookies, token).await.is(200);
            assert!(told.body.as_str().unwrap().contains("Do you agree?"));
        }
        let other = story.type_in(&path, "", ANN_LOGIN, PASSWORD).await.is(200);
        agree(&path, &crumb(&other), &token).await.is(200);
        story.wait_seconds(600).await;
        agree(&path, &cookies, &token).await.is(200);
        let page = story.open(&path, &cookies).await.is(200);
        agree(&path, &cookies, &hidden(&page)).await.is(303);
    }
);

both_engines!(
    /// Attacks 82 and 94: an application does nothing with its user's account, however much its user agreed to.
    an_application_is_not_its_user,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop_of(&["openid", "*"]).await;
        let (_, tokens) = story.tokens_of(&shop, "openid *").await;
        let token = text(&tokens["access_token"]);
        assert_eq!(story.status(&tokens["access_token"], "/api/v1/organizations/toys/teams").await, 200);
        let session = "/api/v1/me/sessions";
        for (method, path, body) in [
            (Method::GET, "/api/v1/me", None),
            (Method::GET, session, None),
            (Method::POST, "/api/v1/me/sessions/end-others", None),
            (Method::POST, "/api/v1/auth/logout", None),
            (Method::POST, "/api/v1/auth/switch", Some(json!({}))),
            (Method::POST, "/api/v1/auth/reauthenticate", Some(json!({"password": PASSWORD}))),
            (
                Method::POST,
                "/api/v1/me/password",
                Some(json!({"current_password": PASSWORD, "new_password": "another fine horse"})),
            ),
            (Method::POST, CLIENTS, Some(json!({"name": "x", "kind": "public", "redirect_uris": [BACK]}))),
            (
                Method::POST,
                "/api/v1/organizations/toys/service-tokens",
                Some(json!({"account": "robot", "name": "robot"})),
            ),
        ] {
            let told = story.with_token(&token, method, path, body).await;
            assert_eq!(told.status.as_u16(), 403, "{path}: {:#}", told.body);
        }
    }
);

both_engines!(
    /// Attack 85, of clients: a secret is in the answer that makes it and nowhere else.
    a_clients_secret_is_nowhere_but_in_the_answer_that_makes_it,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop().await;
        let secret = shop.secret.clone().unwrap();
        assert_eq!((secret.len(), &secret[..9]), (52, "chclient_"));
        let (_, told) = story.let_in(&asks(&shop, "openid", &[])).await;
        let code = one(&told, "code");
        story.exchange(&shop, &code).await.is(200);
        for path in [CLIENTS.to_owned(), format!("{CLIENTS}/{}", shop.id)] {
            let shown = story.get(ANN, &path).await.is(200).body.to_string();
            assert!(!shown.contains(&secret) && !shown.contains("hash"), "{shown}");
        }
        let trail = story.get(Who::Operator, "/api/v1/organizations/toys/audit/events?limit=200").await.is(200);
        let trail = trail.body.to_string();
        assert!(trail.contains("oauth_client.authorize"));
        assert!(!trail.contains(&secret) && !trail.contains(&code) && !trail.contains(VERIFIER));
    }
);
