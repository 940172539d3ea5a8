//! The way of somebody into an application.

use super::*;
use crate::stories::{BOB, EVE};
use charter_testkit::both_engines;

const MEMBERS: &str = "/api/v1/organizations/toys/members";
const USER_INFO: &str = "/oauth/userinfo";

both_engines!(somebody_signs_in_agrees_and_the_application_is_let_in, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    let path = asks(&shop, "openid profile email offline_access admin.users.read", &[]);
    let page = story.open(&path, "").await.is(200);
    let shown = page.body.as_str().unwrap();
    assert!(shown.contains("Shop &amp; &lt;Co&gt;") && !shown.contains("<Co>"));
    assert!(
        shown.contains("href=\"/forgot-password#application\" target=\"_blank\""),
        "the way to a new password"
    );
    let policy = page.header("content-security-policy");
    assert!(
        !policy.contains("form-action"),
        "browsers hold where the application sends people on to it: {policy}"
    );
    assert!(
        policy.contains("default-src 'none'; script-src 'self'; ")
            && policy.contains("frame-ancestors 'none'")
    );
    assert!(!policy.contains("unsafe") && !shown.contains("onclick"));

    let wrong = story.type_in(&path, "", ANN_LOGIN, "wrong horse battery").await.is(401);
    assert!(wrong.body.as_str().unwrap().contains("login or password is wrong"));
    assert!(wrong.headers.get("set-cookie").is_none());
    let page = story.type_in(&path, "", ANN_LOGIN, PASSWORD).await.is(200);
    let cookies = crumb(&page);
    let shown = page.body.as_str().unwrap();
    for said in [
        "ann@toys.example",
        "Soft Toys",
        "see your e-mail address",
        "<code>admin.users.read</code>",
        "href=\"/account/sessions\"",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let told = story.send_form(&path, &cookies, &[("token", &hidden(&page)), ("do", "agree")]).await;
    assert_eq!(sent_to(&told).0, BACK);
    assert_eq!(one(&told, "state"), "a state & more");
    assert_eq!(one(&told, "iss"), "https://charter.example");

    let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(600)));
    assert_eq!(tokens["scope"], "openid profile email offline_access admin.users.read");
    assert!(text(&tokens["refresh_token"]).starts_with("chr_test_"));
    let access = says(tokens["access_token"].as_str().unwrap());
    assert_eq!((&access["client_id"], &access["scope"]), (&json!(shop.id), &tokens["scope"]));
    let id = says(tokens["id_token"].as_str().unwrap());
    assert_eq!((&id["aud"], &id["iss"]), (&json!(shop.id), &json!("https://charter.example")));
    assert_eq!(id["sub"], json!(story.id_of(ANN).to_string()));
    assert_eq!((&id["email"], &id["amr"]), (&json!("ann@toys.example"), &json!(["pwd"])));
    assert_eq!(id["email_verified"], false, "the operator made the account, and nobody proved the address");
    assert_eq!(id["acr"], "urn:charter:acr:single-factor");
    // The keys of ID tokens began with it, and are published beside those of access tokens.
    let keys = story.get(Who::Nobody, "/.well-known/jwks.json").await.is(200).body;
    let algs: Vec<&Value> = keys["keys"].as_array().unwrap().iter().map(|key| &key["alg"]).collect();
    assert_eq!(algs, [&json!("EdDSA"), &json!("ES256")]);
    let kid = &keys["keys"][1]["kid"];
    let header = text(&tokens["id_token"]).split('.').next().unwrap().to_owned();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": kid}));
    let body = json!({"lineage": "id", "ahead_seconds": 600});
    let planned = story.post(Who::Operator, "/api/v1/keys/rotate", body).await.is(200).body;
    assert_eq!(&planned["active"], kid);
    story
        .post(Who::Operator, &format!("/api/v1/keys/{}/revoke", text(kid)), json!({"compromised": true}))
        .await
        .is(200);
    let listed = story.get(Who::Operator, "/api/v1/keys").await.is(200).body;
    let of_id = listed["keys"].as_array().unwrap().iter().filter(|key| key["purpose"] == "id");
    let mut states: Vec<&str> = of_id.map(|key| key["state"].as_str().unwrap()).collect();
    states.sort_unstable();
    assert_eq!(states, ["active", "revoked", "revoked"]);

    let who = story.with_token(&text(&tokens["access_token"]), Method::GET, USER_INFO, None).await.is(200);
    assert_eq!((&who.body["sub"], &who.body["email"]), (&id["sub"], &json!("ann@toys.example")));
    assert_eq!(story.status(&tokens["access_token"], MEMBERS).await, 200);
    // Ann may read teams; the application may not.
    assert_eq!(story.status(&tokens["access_token"], "/api/v1/organizations/toys/teams").await, 403);
    assert_eq!(story.status(&tokens["access_token"], "/api/v1/organizations/trade/members").await, 404);

    // Signed in and agreed already: nothing is asked a second time, not even where nothing may be.
    for more in [vec![], vec![("prompt", "none")], vec![("scope", "openid email"), ("prompt", "none")]] {
        let told = story.open(&asks(&shop, "openid profile admin.users.read", &more), &cookies).await;
        assert!(!one(&told, "code").is_empty(), "{more:?}");
    }
    let listed = story.visit(Method::GET, "/api/v1/me/sessions", &[("cookie", &cookies)], None).await.is(200);
    let of_shop: Vec<&Value> = listed.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["client_id"] == json!(shop.id))
        .collect();
    assert_eq!(of_shop.len(), 1, "its owner sees what the application has, and can end it");
    assert_eq!(of_shop[0]["client_name"], "Shop & <Co>");
});

both_engines!(nobody_is_asked_where_the_client_says_so_and_everybody_where_it_says_that, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    let none = asks(&shop, "openid", &[("prompt", "none")]);
    let told = story.open(&none, "").await;
    assert_eq!(
        (one(&told, "error"), one(&told, "state")),
        ("login_required".to_owned(), "a state & more".to_owned())
    );
    assert_eq!(one(&told, "iss"), "https://charter.example");
    let page = story.type_in(&asks(&shop, "openid", &[]), "", ANN_LOGIN, PASSWORD).await.is(200);
    let cookies = crumb(&page);
    assert_eq!(one(&story.open(&none, &cookies).await, "error"), "consent_required");
    let path = asks(&shop, "openid", &[]);
    let page = story.open(&path, &cookies).await.is(200);
    let told = story.send_form(&path, &cookies, &[("token", &hidden(&page)), ("do", "refuse")]).await;
    assert_eq!(one(&told, "error"), "access_denied");
    assert_eq!(one(&story.open(&none, &cookies).await, "error"), "consent_required");
    let page = story.open(&path, &cookies).await.is(200);
    story.send_form(&path, &cookies, &[("token", &hidden(&page)), ("do", "agree")]).await.is(303);
    assert!(!one(&story.open(&none, &cookies).await, "code").is_empty());

    let again = asks(&shop, "openid", &[("prompt", "consent")]);
    let page = story.open(&again, &cookies).await.is(200);
    assert!(page.body.as_str().unwrap().contains("Do you agree?"));
    story.send_form(&again, &cookies, &[("token", &hidden(&page)), ("do", "agree")]).await.is(303);

    let login = asks(&shop, "openid", &[("prompt", "login"), ("login_hint", "\"><b>")]);
    let page = story.open(&login, &cookies).await.is(200);
    assert!(page.body.as_str().unwrap().contains("value=\"&quot;&gt;&lt;b&gt;\""));
    let told = story.type_in(&login, &cookies, ANN_LOGIN, PASSWORD).await;
    assert!(!one(&told, "code").is_empty());
    assert_ne!(crumb(&told), cookies, "who proves it again has a new cookie");
    let cookies = crumb(&told);
    story.wait_seconds(120).await;
    let young = asks(&shop, "openid", &[("max_age", "60")]);
    story.open(&young, &cookies).await.is(200);
    let young = asks(&shop, "openid", &[("max_age", "60"), ("prompt", "none")]);
    assert_eq!(one(&story.open(&young, &cookies).await, "error"), "login_required");
    let old = asks(&shop, "openid", &[("max_age", "121"), ("prompt", "none")]);
    assert!(!one(&story.open(&old, &cookies).await, "code").is_empty());
});

both_engines!(a_client_that_asks_wrongly_is_told_where_it_registered, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop_of(&["openid", "sales.*.read"]).await;
    let (cookies, _) = story.let_in(&asks(&shop, "openid", &[])).await;
    let path = "/api/v1/users/eve@trade.example/password";
    story.post(Who::Operator, path, json!({"password": PASSWORD})).await.is(200);
    let theirs = crumb(&story.type_in(&asks(&shop, "openid", &[]), "", "eve@trade.example", PASSWORD).await);
    for (other, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "unsupported_response_type"),
        (("response_type", "code id_token"), "unsupported_response_type"),
        (("response_mode", "fragment"), "invalid_request"),
        (("request", "eyJhbGciOiJub25lIn0.e30."), "request_not_supported"),
        (("request_uri", "https://evil.example/x"), "request_uri_not_supported"),
        (("registration", "{}"), "registration_not_supported"),
        (("scope", ""), "invalid_scope"),
        (("scope", "openid email"), "invalid_scope"),
        (("scope", "sales.*.*"), "invalid_scope"),
        (("scope", "*"), "invalid_scope"),
        (("scope", "admin"), "invalid_scope"),
        (("scope", "openid offline_access"), "invalid_scope"),
        (("prompt", "none login"), "invalid_request"),
        (("prompt", "create"), "invalid_request"),
        (("max_age", "-1"), "invalid_request"),
        (("nonce", "ü"), "invalid_request"),
    ] {
        let path = asks(&shop, "openid", &[other]);
        let told = story.open(&path, &cookies).await;
        assert_eq!((sent_to(&told).0.as_str(), one(&told, "error").as_str()), (BACK, error), "{other:?}");
        assert_eq!(one(&told, "state"), "a state & more");
        // Whoever is a stranger to the organization goes where its administrators registered when they say so, and not before.
        for cookies in ["", "__Host-ch_s=x", theirs.as_str()] {
            let told = story.open(&path, cookies).await.is(400);
            let page = told.body.as_str().unwrap();
            assert!(told.headers.get("location").is_none() && page.contains("Nothing was done"), "{page}");
            assert!(page.contains(&format!("href=\"{BACK}?error={error}&amp;")), "{page}");
            assert!(page.contains("<strong>shop.example</strong>") && page.contains("Shop &amp; &lt;Co&gt;"));
        }
        if other.0 != "prompt" {
            let told = story.open(&format!("{path}&prompt=none"), "").await;
            assert_eq!(one(&told, "error"), error, "{other:?}: a client that asked for silence waits for it");
        }
    }
    let path = asks(&shop, "openid", &[]);
    let told = story.visit(Method::HEAD, &path, &[], None).await;
    assert_eq!(told.status.as_u16(), 405);
});

both_engines!(only_members_of_its_organization_sign_in_to_a_client, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    for who in [EVE, BOB] {
        let Who::Named(login) = who else { unreachable!() };
        let path = format!("/api/v1/users/{login}/password");
        story.post(Who::Operator, &path, json!({"password": PASSWORD})).await.is(200);
    }
    let path = asks(&shop, "openid admin.users.read", &[]);
    let told = story.type_in(&path, "", "eve@trade.example", PASSWORD).await.is(403);
    let page = told.body.as_str().unwrap();
    assert!(page.contains("no member") && page.contains("error=access_denied"), "{page}");
    assert!(page.contains("signed in as <strong>eve@trade.example</strong>") && !page.contains("Soft Toys"));
    let other = story.send_form(&path, &crumb(&told), &[("do", "other")]).await.is(200);
    let asked = other.body.as_str().unwrap();
    assert!(
        asked.contains("name=\"login\"") && asked.contains("admin.users.read"),
        "the request goes on: {asked}"
    );
    assert!(
        told.headers.get("location").is_none(),
        "the address is one of another organization's administrators"
    );
    let none = asks(&shop, "openid", &[("prompt", "none")]);
    let told = story.open(&none, &crumb(&told)).await;
    assert_eq!((sent_to(&told).0.as_str(), one(&told, "error").as_str()), (BACK, "access_denied"));
    // Bob may read no members: neither may what he lets in.
    let page = story.type_in(&path, "", "bob@toys.example", PASSWORD).await.is(200);
    let cookies = crumb(&page);
    let told = story.send_form(&path, &cookies, &[("token", &hidden(&page)), ("do", "agree")]).await;
    let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
    assert_eq!(story.status(&tokens["access_token"], MEMBERS).await, 403);
    story.assign(Who::Operator, "toys", BOB, "org_admin").await.is(201);
    assert_eq!(
        story.status(&tokens["access_token"], MEMBERS).await,
        200,
        "his rights are those of this moment"
    );
});

both_engines!(the_organizations_own_application_asks_nobody_whether_they_agree, async |database| {
    let story = Story::with_password(database).await;
    let body = json!({
        "name": "Portal", "kind": "public", "redirect_uris": [BACK], "scopes": ["openid", "sales.*.read"], "first_party": true,
    });
    let portal = story.register(ANN, body).await;
    assert_eq!(portal.secret, None);
    let told = story.type_in(&asks(&portal, "openid", &[]), "", ANN_LOGIN, PASSWORD).await;
    let tokens = story.exchange(&portal, &one(&told, "code")).await.is(200).body;
    assert!(tokens["refresh_token"].is_null() && tokens["id_token"].is_string());
    let told = story.with_token(&text(&tokens["access_token"]), Method::GET, USER_INFO, None).await.is(200);
    assert_eq!(
        told.body,
        json!({"sub": story.id_of(ANN).to_string()}),
        "of what it did not ask for it learns nothing"
    );
});

both_engines!(an_application_on_a_device_listens_on_any_port_of_it, async |database| {
    let story = Story::with_password(database).await;
    let body = json!({
        "name": "Tool", "kind": "native", "redirect_uris": ["http://127.0.0.1/cb"], "scopes": ["openid"],
    });
    let tool = story.register(ANN, body).await;
    let back = "http://127.0.0.1:49152/cb";
    let (_, told) = story.let_in(&asks(&tool, "openid", &[("redirect_uri", back)])).await;
    assert_eq!(sent_to(&told).0, back);
    let pairs =
        |uri| [("grant_type", "authorization_code"), ("redirect_uri", uri), ("code_verifier", VERIFIER)];
    let code = one(&told, "code");
    let with = |uri| {
        let mut all = pairs(uri).to_vec();
        all.push(("code", code.as_str()));
        all
    };
    story.ask_token(&tool, &with(back)).await.is(200);
});

both_engines!(what_the_service_can_do_is_said_in_two_places_and_is_true, async |database| {
    let story = Story::empty(database).await;
    let openid = story.get(Who::Nobody, "/.well-known/openid-configuration").await.is(200).body;
    let oauth = story.get(Who::Nobody, "/.well-known/oauth-authorization-server").await.is(200).body;
    assert_eq!(openid, oauth);
    let routes = charter_api::routes();
    for (name, value) in openid.as_object().unwrap() {
        let Some(place) = value.as_str().and_then(|place| place.strip_prefix("https://charter.example"))
        else {
            continue;
        };
        if name != "issuer" {
            assert!(routes.iter().any(|route| route.path() == place), "{name}: {place}");
        }
    }
    assert_eq!(openid["issuer"], "https://charter.example");
    assert_eq!(openid["code_challenge_methods_supported"], json!(["S256"]));
});

both_engines!(a_client_that_knows_nothing_else_gets_its_id_tokens_in_rs256, async |database| {
    let story = Story::with_password(database).await;
    let body = json!({
        "name": "Old", "kind": "confidential", "redirect_uris": [BACK], "scopes": ["openid"], "id_token_alg": "RS256",
    });
    let old = story.register(ANN, body).await;
    let (_, tokens) = story.tokens_of(&old, "openid").await;
    let part = |token: &Value, at: usize| -> Value {
        let part = text(token).split('.').nth(at).unwrap().to_owned();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let header = part(&tokens["id_token"], 0);
    assert_eq!(header["alg"], "RS256");
    assert_eq!(part(&tokens["access_token"], 0)["alg"], "EdDSA", "access tokens are for Charter alone");
    let keys = story.get(Who::Nobody, "/.well-known/jwks.json").await.is(200).body;
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    assert_eq!((&key["kty"], &key["alg"], &key["e"]), (&json!("RSA"), &json!("RS256"), &json!("AQAB")));

    // It is known again where it is shown as a hint, and the other lineage is one of its own.
    let hint = text(&tokens["id_token"]);
    let leave = format!("/oauth/logout?{}", form(&[("id_token_hint", &hint)]));
    story.open(&leave, "").await.is(200);
    let (_, tokens) = story.tokens_of(&story.shop().await, "openid").await;
    assert_eq!(part(&tokens["id_token"], 0)["alg"], "ES256");
    let body = json!({"lineage": "id_rs256", "ahead_seconds": 600});
    let planned = story.post(Who::Operator, "/api/v1/keys/rotate", body).await.is(200).body;
    assert_eq!(planned["active"], header["kid"]);
    let path = format!("/api/v1/keys/{}/revoke", text(&header["kid"]));
    story.post(Who::Operator, &path, json!({"compromised": true})).await.is(200);
    let (_, tokens) = story.tokens_of(&old, "openid").await;
    let next = part(&tokens["id_token"], 0);
    assert_eq!(next["alg"], "RS256");
    assert_ne!(next["kid"], header["kid"]);
    let change = json!({"id_token_alg": "HS256"});
    story.send(ANN, Method::PATCH, &format!("{CLIENTS}/{}", old.id), &[], Some(change)).await.is(422);
});

both_engines!(an_address_is_told_as_proved_once_its_owner_read_a_mail, async |database| {
    let story = Story::with_password(database).await;
    story.letters().await;
    story.anonymously("/api/v1/auth/forgot-password", json!({"email": ANN_LOGIN})).await.is(202);
    let code = story.code("reset-password").await;
    let body = json!({"token": code, "password": PASSWORD});
    story.anonymously("/api/v1/auth/reset-password", body).await.is(204);
    let shop = story.shop().await;
    for (scope, told) in [("openid email", json!(true)), ("openid", Value::Null)] {
        let (_, answer) = story.let_in(&asks(&shop, scope, &[])).await;
        let tokens = story.exchange(&shop, &one(&answer, "code")).await.is(200).body;
        assert_eq!(says(tokens["id_token"].as_str().unwrap())["email_verified"], told, "{scope}");
        let who =
            story.with_token(&text(&tokens["access_token"]), Method::GET, USER_INFO, None).await.is(200);
        assert_eq!(who.body["email_verified"], told, "{scope}");
    }
});

both_engines!(a_request_for_a_code_may_come_as_a_form_from_the_clients_page, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    let (cookies, _) = story.let_in(&asks(&shop, "openid", &[])).await;
    let asked = asks(&shop, "openid", &[("prompt", "none")]);
    let (_, query) = asked.split_once('?').unwrap();
    for headers in [
        vec![("sec-fetch-site", "cross-site"), ("origin", "https://shop.example")],
        // No browser at all, and a browser that sent its cookie along: the form by itself does nothing.
        vec![],
        vec![("cookie", cookies.as_str()), ("sec-fetch-site", "cross-site")],
    ] {
        let told = story.visit(Method::POST, "/oauth/authorize", &headers, Some(query.to_owned())).await;
        let (place, pairs) = sent_to(&told);
        assert_eq!(place, "/oauth/authorize");
        assert!(told.headers.get("set-cookie").is_none());
        let state = pairs.iter().find(|(name, _)| name == "state").map(|(_, value)| value.as_str());
        assert_eq!(state, Some("a state & more"));
        let to = told.header("location").to_owned();
        assert!(!one(&story.open(&to, &cookies).await, "code").is_empty(), "as if it had come so");
        assert_eq!(one(&story.open(&to, "").await, "error"), "login_required");
    }
    // What somebody typed is in no address, and a form that says what to do is one of our pages', from our pages alone.
    let typed = form(&[("login", ANN_LOGIN), ("password", PASSWORD), ("token", "x")]);
    let told = story.visit(Method::POST, "/oauth/authorize", &[], Some(format!("{query}&{typed}"))).await;
    let to = told.header("location");
    assert!(!to.contains("password") && !to.contains("login=") && !to.contains("token="), "{to}");
    let signs_in = format!("{query}&{typed}&do=sign-in");
    let headers = [("sec-fetch-site", "cross-site")];
    let told = story.visit(Method::POST, &asked, &headers, Some(signs_in)).await;
    told.is_problem(403, "forbidden");
    // What is wrong is said where it is asked again, and a form that is none is sent nowhere.
    let wrong = query.replace("shop.example", "evil.example");
    let told = story.visit(Method::POST, "/oauth/authorize", &[], Some(wrong)).await;
    story.open(told.header("location"), &cookies).await.is(400);
    let twice = format!("{query}&client_id={}", shop.id);
    story.visit(Method::POST, "/oauth/authorize", &[], Some(twice)).await.is(400);
    story.visit(Method::POST, "/oauth/authorize", &[], Some("state=x".to_owned())).await.is(403);
});
