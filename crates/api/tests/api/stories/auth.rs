//! Signing in, tokens on the wire, one's own sessions and password, the first administrator.

use super::{ANN, BOB, EVE, Story, Told, Who};
use axum::body::Body;
use axum::extract::ConnectInfo;
use charter_testkit::both_engines;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tower::ServiceExt;

pub const PASSWORD: &str = "correct horse battery";

impl Story {
    /// Sends a request as it comes over the wire: with these headers, from this address.
    pub async fn wire(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        from: Option<&str>,
        body: Option<Value>,
    ) -> Told {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        if let Some(from) = from {
            let address: SocketAddr = format!("{from}:4711").parse().unwrap();
            request = request.extension(ConnectInfo(address));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Told { status: parts.status, headers: parts.headers, body }
    }

    /// Sends a request with a token.
    pub async fn with_token(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Told {
        self.wire(method, path, &[("authorization", &format!("Bearer {token}"))], None, body).await
    }

    pub async fn log_in(&self, login: &str, password: &str) -> Told {
        let body = json!({"login": login, "password": password});
        self.wire(Method::POST, "/api/v1/auth/login", &[], None, Some(body)).await
    }

    pub async fn log_in_to(&self, login: &str, organization: &str) -> Told {
        let body = json!({"login": login, "password": PASSWORD, "organization": organization});
        self.wire(Method::POST, "/api/v1/auth/login", &[], None, Some(body)).await
    }

    /// The company, with a password for ann.
    pub async fn with_password(database: charter_testkit::database::TestDatabase) -> Self {
        let story = Self::company(database).await;
        let path = "/api/v1/users/ann@toys.example/password";
        story.post(Who::Operator, path, json!({"password": PASSWORD})).await.is(200);
        story
    }
}

pub fn token_of(told: &Told) -> String {
    told.body["access_token"].as_str().unwrap().to_owned()
}

both_engines!(somebody_signs_in_works_and_signs_out, async |database| {
    let story = Story::with_password(database).await;
    let begun = story.log_in("Ann@Toys.example", PASSWORD).await.is(200);
    assert_eq!((&begun.body["token_type"], &begun.body["expires_in"]), (&json!("Bearer"), &json!(600)));
    assert_eq!(begun.header("cache-control"), "no-store");
    let token = token_of(&begun);

    let me = story.with_token(&token, Method::GET, "/api/v1/me", None).await.is(200);
    assert_eq!((&me.body["kind"], &me.body["login"]), (&json!("user"), &json!("ann@toys.example")));
    assert_eq!(me.body["organizations"][0]["key"], "toys");
    assert_eq!(me.body["session_id"], begun.body["session_id"]);
    let members = "/api/v1/organizations/toys/members";
    story.with_token(&token, Method::GET, members, None).await.is(200);
    let trade = story.with_token(&token, Method::GET, "/api/v1/organizations/trade/members", None).await;
    let trade = trade.is_problem(404, "not-found").body["detail"].clone();
    let unknown = story
        .with_token(
            &token,
            Method::GET,
            "/api/v1/organizations/01890000-0000-7000-8000-000000000001/members",
            None,
        )
        .await;
    assert_eq!(trade, unknown.is_problem(404, "not-found").body["detail"]);

    let another = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
    let sessions = story.with_token(&token, Method::GET, "/api/v1/me/sessions", None).await.is(200);
    assert_eq!(sessions.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        sessions.body["items"].as_array().unwrap().iter().filter(|it| it["is_current"] == true).count(),
        1
    );
    let foreign = "/api/v1/me/sessions/01890000-0000-7000-8000-000000000001";
    story.with_token(&token, Method::DELETE, foreign, None).await.is_problem(404, "not-found");

    story.with_token(&token, Method::POST, "/api/v1/auth/logout", None).await.is(204);
    let out =
        story.with_token(&token, Method::GET, "/api/v1/me", None).await.is_problem(401, "unauthenticated");
    assert!(out.header("www-authenticate").contains("invalid_token"));
    story.with_token(&another, Method::GET, "/api/v1/me", None).await.is(200);
    story.wire(Method::GET, "/api/v1/me", &[], None, None).await.is_problem(401, "unauthenticated");
});

both_engines!(
    /// Attack 52: status, body and headers are the same, whoever is asked for.
    nobody_learns_which_accounts_exist,
    async |database| {
        let story = Story::with_password(database).await;
        let suspended = json!({"status": "suspended"});
        story.post(Who::Operator, "/api/v1/users/cat@toys.example/password", json!({"password": PASSWORD})).await.is(200);
        story.patch(Who::Operator, "/api/v1/organizations/toys/members/cat@toys.example", suspended).await.is(200);
        let mut answers = Vec::new();
        for (login, password) in [
            ("nobody@toys.example", PASSWORD),
            ("ann@toys.example", "wrong horse battery"),
            ("bob@toys.example", PASSWORD),
            ("cat@toys.example", PASSWORD),
            ("not an e-mail", PASSWORD),
        ] {
            let mut told = story.log_in(login, password).await.is_problem(401, "invalid-credentials");
            told.headers.remove("x-request-id");
            told.body.as_object_mut().unwrap().remove("request_id");
            answers.push((told.status, told.body, told.headers));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    }
);

both_engines!(
    /// Attacks 1, 5, 11, 19, 20 over the wire: one answer to every bad token. What was wrong with each is tried beside `token.rs`.
    bad_tokens_get_one_answer,
    async |database| {
        let story = Story::with_password(database).await;
        let token = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
        let parts: Vec<&str> = token.split('.').collect();
        let (head, body, sign) = (parts[0], parts[1], parts[2]);
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
        let mut details = Vec::new();
        for bad in [
            format!("{none}.{body}."),
            format!("{head}.{body}."),
            format!("{head}.{body}.{sign}x"),
            format!("{head}.{body}.{sign}.x"),
            format!("{head}.{head}.{sign}"),
            format!("{none}.{body}.{sign}"),
            "x".repeat(7_000),
            "chs_live_0123456789AB_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg_4Qwdqo".to_owned(),
            "cho_0123456789".to_owned(),
        ] {
            let told = story.with_token(&bad, Method::GET, "/api/v1/me", None).await;
            details.push(told.is_problem(401, "unauthenticated").body["detail"].clone());
        }
        assert!(details.iter().all(|detail| *detail == details[0]), "{details:?}");
        story.with_token(&token, Method::GET, "/api/v1/me", None).await.is(200);
    }
);

both_engines!(
    /// Attacks 22, 23 and 93.
    a_token_comes_once_and_in_its_header,
    async |database| {
        let story = Story::with_password(database).await;
        let token = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
        let bearer = format!("Bearer {token}");
        let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
        story.wire(Method::GET, "/api/v1/me", &twice, None, None).await.is_problem(400, "malformed");
        for path in [format!("/api/v1/me?access_token={token}"), format!("/api/v1/me?token={token}")] {
            story.wire(Method::GET, &path, &[], None, None).await.is_problem(401, "unauthenticated");
        }
        let cookie = format!("access_token={token}; __Host-ch_s={token}");
        story.wire(Method::GET, "/api/v1/me", &[("cookie", &cookie)], None, None).await.is_problem(401, "unauthenticated");
        let basic = [("authorization", "Basic YW5uOnB3")];
        story.wire(Method::GET, "/api/v1/me", &basic, None, None).await.is_problem(401, "unauthenticated");
        let stale = [("authorization", "Bearer stale")];
        let body = json!({"email": "ann@toys.example", "password": PASSWORD, "organization": "toys"});
        story.wire(Method::POST, "/api/v1/auth/login", &stale, None, Some(body)).await.is(200);
    }
);

both_engines!(
    /// Attacks 55, 56 and 57: what a client writes into forwarding headers makes it nobody else.
    guessing_is_slowed_down_by_account_and_by_address,
    async |database| {
        let story = Story::with_password(database).await;
        let guess = async |login: &str, from: &str, forwarded: &str| {
            let headers = [
                ("x-forwarded-for", forwarded),
                ("x-real-ip", forwarded),
                ("forwarded", &format!("for={forwarded}")),
                ("cf-connecting-ip", forwarded),
            ];
            let body = json!({"login": login, "password": "wrong horse battery"});
            story.wire(Method::POST, "/api/v1/auth/login", &headers, Some(from), Some(body)).await
        };
        let mut statuses = Vec::new();
        for number in 0..40 {
            let told = guess(&format!("user{number}@toys.example"), "192.0.2.1", &format!("198.51.100.{number}")).await;
            statuses.push(told.status.as_u16());
        }
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 10);
        let other = guess("user99@toys.example", "192.0.2.2", "192.0.2.1").await;
        other.is(401);
        for low in 0..5 {
            guess("ann@toys.example", &format!("203.0.113.{low}"), "192.0.2.1").await.is(401);
        }
        let slowed = guess("ann@toys.example", "203.0.113.9", "192.0.2.1").await.is_problem(429, "throttled");
        assert_eq!(slowed.header("retry-after"), "2");
        story.wait_seconds(2).await;
        story.log_in("ann@toys.example", PASSWORD).await.is(200);
    }
);

both_engines!(a_password_is_changed_by_who_knows_it, async |database| {
    let story = Story::with_password(database).await;
    let token = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
    let change = async |token: &str, current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        story.with_token(token, Method::POST, "/api/v1/me/password", Some(body)).await
    };
    change(&token, "wrong horse battery", "another fine horse").await.is_problem(401, "invalid-credentials");
    let weak = change(&token, PASSWORD, "short").await.is_problem(422, "invalid");
    assert_eq!(weak.body["fields"][0]["field"], "new_password");
    let begun = change(&token, PASSWORD, "another fine horse").await.is(200);
    story.with_token(&token, Method::GET, "/api/v1/me", None).await.is(401);
    story.with_token(&token_of(&begun), Method::GET, "/api/v1/me", None).await.is(200);
    story.log_in("ann@toys.example", PASSWORD).await.is(401);
    let others =
        story.post(ANN, "/api/v1/users/bob@toys.example/password", json!({"password": PASSWORD})).await;
    others.is_problem(403, "forbidden");
});

both_engines!(the_first_administrator_sets_the_installation_up_once, async |database| {
    let story = Story::empty(database).await;
    let code = charter_app::identity::setup::code(&story.app).await.unwrap().unwrap().to_string();
    let set_up = async |code: &str, login: &str| {
        let body = json!({"code": code, "login": login, "password": PASSWORD});
        story.wire(Method::POST, "/api/v1/setup", &[], Some("192.0.2.1"), Some(body)).await
    };
    set_up("AAAAA-BBBBB", "root@toys.example").await.is_problem(401, "invalid-credentials");
    let begun = set_up(&code, "root@toys.example").await.is(201);
    let body = json!({"key": "toys", "name": "Soft Toys"});
    story.with_token(&token_of(&begun), Method::POST, "/api/v1/organizations", Some(body)).await.is(201);
    set_up(&code, "second@toys.example").await.is_problem(401, "invalid-credentials");
    story.log_in("root@toys.example", PASSWORD).await.is(200);
});

both_engines!(the_public_keys_are_published, async |database| {
    let story = Story::empty(database).await;
    let path = "/.well-known/jwks.json";
    let told = story.wire(Method::GET, path, &[], None, None).await.is(200);
    let keys = told.body["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (&keys[0]["kty"], &keys[0]["crv"], &keys[0]["alg"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"))
    );
    assert!(keys[0].get("d").is_none());
    assert_eq!(told.header("cache-control"), "public, max-age=300");
    let known = [("if-none-match", told.header("etag"))];
    story.wire(Method::GET, path, &known, None, None).await.is(304);
});

both_engines!(a_service_token_is_made_shown_once_used_and_revoked, async |database| {
    let story = Story::company(database).await;
    let members = "/api/v1/organizations/toys/members";
    let robot = json!({"login": "web-shop", "kind": "service_account"});
    story.post(ANN, members, robot).await.is(201);
    let assignment = json!({"role": "viewer", "subject": {"member": "web-shop"}});
    story.post(ANN, "/api/v1/organizations/toys/assignments", assignment).await.is(201);
    let path = "/api/v1/organizations/toys/service-tokens";
    let body = json!({"account": "web-shop", "name": "shop server", "scopes": ["dashboard.*.read"], "expires_at": "2027-02-01T00:00:00Z"});
    let made = story.post(ANN, path, body).await.is(201);
    let token = made.body["token"].as_str().unwrap().to_owned();
    let id = made.body["service_token"]["id"].as_str().unwrap().to_owned();
    assert!(made.header("location").ends_with(&format!("/service-tokens/{id}")));

    let me = story.with_token(&token, Method::GET, "/api/v1/me", None).await.is(200);
    assert_eq!((&me.body["kind"], &me.body["login"]), (&json!("service_account"), &json!("web-shop")));
    story.with_token(&token, Method::GET, members, None).await.is_problem(403, "forbidden");
    story.with_token(&token, Method::POST, "/api/v1/auth/logout", None).await.is_problem(403, "forbidden");
    story
        .with_token(&token, Method::GET, "/api/v1/organizations/trade/members", None)
        .await
        .is_problem(404, "not-found");

    // About itself a limited credential is told what it can do, not what its account could: a ceiling is a step of every answer.
    let asks = async |place: &str, body: Value| {
        let place = format!("/api/v1/organizations/toys/{place}");
        story.with_token(&token, Method::POST, &place, Some(body)).await.is(200).body
    };
    for (permission, reason) in
        [("dashboard.boards.read", "granted_by_role"), ("sales.invoices.read", "out_of_scope")]
    {
        for subject in [json!(null), json!("web-shop")] {
            let told = asks("checks", json!({"subject": subject, "permission": permission})).await;
            assert_eq!(told["reason"], reason, "{told}");
            let told =
                asks("checks/batch", json!({"checks": [{"subject": subject, "permission": permission}]}))
                    .await;
            assert!(told.to_string().contains(reason), "{told}");
        }
    }
    let can = asks("search/what-can", json!({})).await;
    let can: Vec<&str> =
        can["items"].as_array().unwrap().iter().map(|item| item["permission"].as_str().unwrap()).collect();
    assert!(!can.is_empty() && can.iter().all(|code| code.starts_with("dashboard.")), "{can:?}");

    for shown in [story.get(ANN, path).await.is(200), story.get(ANN, &format!("{path}/{id}")).await.is(200)] {
        let text = shown.body.to_string();
        assert!(
            text.contains("shop server") && !text.contains(&token[22..65]) && !text.contains("hash"),
            "{text}"
        );
    }
    story.post(BOB, path, json!({"account": "web-shop", "name": "x"})).await.is_problem(403, "forbidden");
    story.post(EVE, path, json!({"account": "web-shop", "name": "x"})).await.is_problem(404, "not-found");
    story
        .get(EVE, &format!("/api/v1/organizations/trade/service-tokens/{id}"))
        .await
        .is_problem(404, "not-found");

    let revoked = story.delete(ANN, &format!("{path}/{id}?reason=lost")).await.is(200);
    assert_eq!(revoked.body["revoke_reason"], "lost");
    story.with_token(&token, Method::GET, "/api/v1/me", None).await.is_problem(401, "unauthenticated");
    assert_eq!(
        story.get(ANN, path).await.is(200).body["items"].as_array().unwrap().len(),
        1,
        "it stays for the trail"
    );
});

both_engines!(the_trail_says_with_what_somebody_signed_in, async |database| {
    let story = Story::company(database).await;
    let password = json!({"password": "a long pass phrase"});
    story.post(Who::Operator, "/api/v1/users/bob@toys.example/password", password).await.is(200);
    let endless = format!("Firefox/{}", "9".repeat(900));
    let tried = async |typed: &str, agent: &str| {
        let body = json!({"login": "bob@toys.example", "password": typed});
        let headers = [("user-agent", agent)];
        story.wire(Method::POST, "/api/v1/auth/login", &headers, None, Some(body)).await
    };
    tried("a long pass phrase", "Firefox/140").await.is(200);
    tried("a long pass phrase", &endless).await.is(200);
    tried("another", "curl/8").await.is(401);
    let newest = async |organization: &str| {
        let path = format!("/api/v1/organizations/{organization}/audit/events?action=session.begin");
        story.get(Who::Operator, &path).await.is(200).body["items"].clone()
    };
    let told = newest("toys").await.to_string();
    assert!(told.contains("Firefox/140"), "{told}");
    assert!(told.contains(&endless[..200]) && !told.contains(&endless[..201]), "{told}");
    let told = newest("platform").await.to_string();
    assert!(told.contains("curl/8") && told.contains("login_hash"), "{told}");
});

both_engines!(about_itself_a_limited_credential_is_told_the_same_by_authzen, async |database| {
    let story = Story::company(database).await;
    let toys = |rest: &str| format!("/api/v1/organizations/toys/{rest}");
    let robot = json!({"login": "web-shop", "kind": "service_account"});
    story.post(ANN, &toys("members"), robot).await.is(201);
    let asker = json!({"key": "asker", "name": "May ask", "permissions": [{"permission": "admin.permissions.read"}, {"permission": "sales.invoices.read"}]});
    story.post(Who::Operator, &toys("roles"), asker).await.is(201);
    for role in ["viewer", "asker"] {
        let body = json!({"role": role, "subject": {"member": "web-shop"}});
        story.post(Who::Operator, &toys("assignments"), body).await.is(201);
    }
    let scopes = json!(["dashboard.*.read", "admin.permissions.read"]);
    let body = json!({"account": "web-shop", "name": "shop server", "scopes": scopes});
    let made = story.post(Who::Operator, &toys("service-tokens"), body).await.is(201);
    let token = made.body["token"].as_str().unwrap().to_owned();
    let account = story.get(ANN, &toys("members/web-shop")).await.is(200).body["id"].clone();
    let asks = async |path: &str, body: Value| {
        story.with_token(&token, Method::POST, path, Some(body)).await.is(200).body
    };
    for (code, kind, allowed) in
        [("dashboard.boards.read", "boards", true), ("sales.invoices.read", "invoices", false)]
    {
        for login in [json!("web-shop"), account.clone()] {
            let asked = json!({
                "subject": {"type": "service_account", "id": login},
                "action": {"name": code},
                "resource": {"type": kind, "id": "1"},
            });
            let told = asks("/access/v1/evaluation", asked.clone()).await;
            assert_eq!(told["decision"], allowed, "{told}");
            let mut many = asked.clone();
            many["evaluations"] = json!([{}, {}]);
            let told = asks("/access/v1/evaluations", many).await;
            assert_eq!(told["evaluations"][1]["decision"], allowed, "{told}");
            let told = asks("/access/v1/search/subject", asked.clone()).await;
            assert_eq!(told["results"].to_string().contains("web-shop"), allowed, "{told}");
            let told = asks("/access/v1/search/action", asked).await;
            assert_eq!(told["results"].to_string().contains("read"), allowed, "{told}");
        }
        let told = asks(&toys("checks"), json!({"subject": "web-shop", "permission": code})).await;
        assert_eq!(told["decision"] == "allow", allowed, "{told}");
        let told = asks(&toys("search/who-can"), json!({"permission": code})).await;
        assert_eq!(told.to_string().contains("web-shop"), allowed, "{told}");
        // About others, and asked by others, the ceiling is none of the answer.
        let told = story
            .post(ANN, &toys("checks"), json!({"subject": "web-shop", "permission": code}))
            .await
            .is(200);
        assert_eq!(told.body["decision"], "allow");
        let told =
            asks(&toys("checks"), json!({"subject": "ann@toys.example", "permission": "admin.users.read"}))
                .await;
        assert_eq!(told["decision"], "allow", "{told}");
    }
});
