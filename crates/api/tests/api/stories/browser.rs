//! Browsers: sessions by cookie, and what another site's page cannot do with one.

use super::auth::{PASSWORD, token_of};
use super::{PAT, Story, Told, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const LOGIN: &str = "/api/v1/auth/login";
const SESSIONS: &str = "/api/v1/me/sessions";
const OTHERS: &str = "/api/v1/me/sessions/end-others";
const HERE: (&str, &str) = ("sec-fetch-site", "same-origin");

/// The value of the cookie an answer sets, and that it is set as it should be.
fn cookie_of(told: &Told, name: &str) -> Option<String> {
    let mut found = None;
    for header in told.headers.get_all("set-cookie") {
        let text = header.to_str().unwrap();
        let (pair, rules) = text.split_once(';').unwrap();
        for rule in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(rules.split("; ").any(|found| found.trim() == rule), "{text}");
        }
        assert!(text.starts_with("__Host-") && !rules.contains("Domain"), "{text}");
        if let Some(value) = pair.strip_prefix(&format!("{name}=")) {
            found = Some(value.to_owned());
        }
    }
    found
}

impl Story {
    /// Signs in as a browser that has these cookies.
    async fn open_browser(&self, login: &str, cookies: &str, organization: Option<&str>) -> Told {
        let body =
            json!({"login": login, "password": PASSWORD, "session": "cookie", "organization": organization});
        let headers = [HERE, ("cookie", cookies), ("user-agent", "Lynx/2.9")];
        self.wire(Method::POST, LOGIN, &headers, Some("192.0.2.1"), Some(body)).await
    }

    /// Sends a request as a page of ours does.
    async fn browse(&self, cookie: &str, method: Method, path: &str, body: Option<Value>) -> Told {
        self.browse_with(cookie, method, path, &[HERE], body).await
    }

    async fn browse_with(
        &self,
        cookie: &str,
        method: Method,
        path: &str,
        more: &[(&str, &str)],
        body: Option<Value>,
    ) -> Told {
        let cookie = format!("theme=dark; __Host-ch_s={cookie}");
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(more);
        self.wire(method, path, &headers, Some("192.0.2.1"), body).await
    }
}

fn session_cookie(told: &Told) -> String {
    cookie_of(told, "__Host-ch_s").expect("the answer sets a session's cookie")
}

both_engines!(
    /// Attacks 33 and 37.
    a_browser_signs_in_works_and_signs_out,
    async |database| {
        let story = Story::with_password(database).await;
        let begun = story.open_browser("ann@toys.example", "", None).await.is(200);
        let cookie = session_cookie(&begun);
        assert_eq!(cookie.len(), 43);
        for absent in ["access_token", "refresh_token", "token_type", "device_token"] {
            assert!(begun.body[absent].is_null(), "{absent}");
        }
        assert!(!begun.body.to_string().contains(&cookie));
        let me = story.browse(&cookie, Method::GET, "/api/v1/me", None).await.is(200);
        assert_eq!((&me.body["login"], &me.body["amr"]), (&json!("ann@toys.example"), &json!(["pwd"])));
        assert_eq!(me.body["csrf_token"], begun.body["csrf_token"]);
        assert_eq!(me.header("cache-control"), "no-store");
        let listed = story.browse(&cookie, Method::GET, SESSIONS, None).await.is(200);
        let one = &listed.body["items"][0];
        assert_eq!((&one["kind"], &one["user_agent"], &one["address"]), (&json!("cookie"), &json!("Lynx/2.9"), &json!("192.0.2.1")));
        let out = story.browse(&cookie, Method::POST, "/api/v1/auth/logout", None).await.is(204);
        assert_eq!(cookie_of(&out, "__Host-ch_s").as_deref(), Some(""));
        assert!(out.header("set-cookie").contains("Max-Age=0"));
        story.browse(&cookie, Method::GET, "/api/v1/me", None).await.is_problem(401, "unauthenticated");
        for wrong in ["", "x", &"a".repeat(43), &"a".repeat(5_000), "ä"] {
            story.browse(wrong, Method::GET, "/api/v1/me", None).await.is_problem(401, "unauthenticated");
        }
    }
);

both_engines!(
    /// Attacks 25 and 26: each proof gives a new cookie, and the one before opens nothing.
    a_cookie_is_new_after_each_proof_and_the_old_one_is_dead,
    async |database| {
        let story = Story::with_password(database).await;
        story.hire("trade", Who::Named("ann@toys.example")).await;
        let planted = "a".repeat(43);
        let begun = story.open_browser("ann@toys.example", &format!("__Host-ch_s={planted}"), Some("toys")).await.is(200);
        let mut cookie = session_cookie(&begun);
        assert_ne!(cookie, planted);
        let body = json!({"password": PASSWORD});
        let steps = [
            ("/api/v1/auth/switch", json!({"organization": "trade"})),
            ("/api/v1/auth/reauthenticate", body),
            ("/api/v1/me/password", json!({"current_password": PASSWORD, "new_password": "another fine horse"})),
        ];
        for (path, body) in steps {
            let told = story.browse(&cookie, Method::POST, path, Some(body)).await.is(200);
            let next = session_cookie(&told);
            story.browse(&cookie, Method::GET, "/api/v1/me", None).await.is(401);
            story.browse(&next, Method::GET, "/api/v1/me", None).await.is(200);
            cookie = next;
        }
        let body = json!({"login": "ann@toys.example", "password": "another fine horse", "session": "cookie"});
        let present = format!("__Host-ch_s={cookie}");
        let again = story.wire(Method::POST, LOGIN, &[HERE, ("cookie", &present)], None, Some(body)).await.is(200);
        assert_ne!(session_cookie(&again), cookie);
        story.browse(&cookie, Method::GET, "/api/v1/me", None).await.is(401);
    }
);

both_engines!(
    /// Attack 22: a token and a cookie in one request are of one principal, or nobody's.
    a_token_and_a_cookie_of_two_people_are_refused,
    async |database| {
        let story = Story::with_password(database).await;
        story.post(Who::Operator, "/api/v1/users/bob@toys.example/password", json!({"password": PASSWORD})).await.is(200);
        let ann = session_cookie(&story.open_browser("ann@toys.example", "", None).await.is(200));
        let both = async |login: &str| {
            let bearer = format!("Bearer {}", token_of(&story.log_in(login, PASSWORD).await.is(200)));
            story.browse_with(&ann, Method::GET, "/api/v1/me", &[("authorization", &bearer)], None).await
        };
        both("bob@toys.example").await.is_problem(400, "malformed");
        both("ann@toys.example").await.is(200);
        let bearer = [("authorization", "Bearer nonsense")];
        story.browse_with(&ann, Method::GET, "/api/v1/me", &bearer, None).await.is_problem(401, "unauthenticated");
        let twice = format!("{ann}; __Host-ch_s={ann}");
        story.browse(&twice, Method::GET, "/api/v1/me", None).await.is_problem(400, "malformed");
    }
);

both_engines!(
    /// Attacks 39, 40 and 41.
    a_page_of_another_site_changes_nothing_with_a_cookie,
    async |database| {
        let story = Story::with_password(database).await;
        let begun = story.open_browser("ann@toys.example", "", None).await.is(200);
        let cookie = session_cookie(&begun);
        let refused: &[&[(&str, &str)]] = &[
            &[],
            &[("x-csrf-token", "")],
            &[("x-csrf-token", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "null")],
            &[("origin", "https://evil.example")],
            &[("origin", "http://127.0.0.1:8080.evil.example")],
            &[("origin", "https://evil.example?http://127.0.0.1:8080")],
            &[("origin", "https://127.0.0.1:8080")],
            &[("origin", "http://127.0.0.1:9090")],
            &[("referer", "http://127.0.0.1:8080/")],
        ];
        let token = begun.body["csrf_token"].as_str().unwrap();
        let elsewhere = [("sec-fetch-site", "cross-site"), ("x-csrf-token", token)];
        for headers in refused.iter().copied().chain([elsewhere.as_slice()]) {
            for (method, path) in [
                (Method::POST, OTHERS.to_owned()),
                (Method::POST, "/api/v1/auth/logout".to_owned()),
                (Method::DELETE, format!("{SESSIONS}/{}", begun.body["session_id"].as_str().unwrap())),
            ] {
                let told = story.browse_with(&cookie, method, &path, headers, None).await;
                assert_eq!(told.status.as_u16(), 403, "{headers:?} {path}");
            }
            story.browse_with(&cookie, Method::GET, "/api/v1/me", headers, None).await.is(200);
        }
        for headers in [[HERE], [("sec-fetch-site", "none")], [("origin", "http://127.0.0.1:8080")], [("x-csrf-token", token)]] {
            story.browse_with(&cookie, Method::POST, OTHERS, &headers, None).await.is(200);
        }
        // The token of one session is no other's.
        let other = session_cookie(&story.open_browser("ann@toys.example", "", None).await.is(200));
        story.browse_with(&other, Method::POST, OTHERS, &[("x-csrf-token", token)], None).await.is(403);
    }
);

both_engines!(
    /// Attack 43: nobody is signed in to somebody else's account by a page of theirs.
    a_page_of_another_site_signs_nobody_in,
    async |database| {
        let story = Story::with_password(database).await;
        for headers in [[("sec-fetch-site", "cross-site")], [("sec-fetch-site", "same-site")], [("origin", "https://evil.example")]] {
            for kind in ["cookie", "bearer"] {
                let body = json!({"login": "ann@toys.example", "password": PASSWORD, "session": kind});
                let told = story.wire(Method::POST, LOGIN, &headers, None, Some(body)).await.is_problem(403, "forbidden");
                assert!(told.headers.get("set-cookie").is_none());
            }
        }
        let told = story.log_in("ann@toys.example", PASSWORD).await.is(200);
        assert!(told.headers.get("set-cookie").is_none(), "programs get no cookies");
    }
);

both_engines!(
    /// Attacks 42 and 45.
    a_form_of_a_browser_is_no_request_and_a_header_is_no_method,
    async |database| {
        let story = Story::with_password(database).await;
        let cookie = session_cookie(&story.open_browser("ann@toys.example", "", None).await.is(200));
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let told = story.browse_with(&cookie, Method::POST, "/api/v1/auth/switch", &[HERE, ("content-type", kind)], None).await;
            told.is_problem(415, "unsupported-media-type");
            let told = story.wire(Method::POST, LOGIN, &[HERE, ("content-type", kind)], None, None).await;
            told.is_problem(415, "unsupported-media-type");
        }
        let session = format!("{SESSIONS}/{}", "01890000-0000-7000-8000-000000000001");
        for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
            story.browse_with(&cookie, Method::GET, &session, &[(name, "DELETE")], None).await.is(405);
            story.browse_with(&cookie, Method::POST, "/api/v1/me", &[HERE, (name, "GET")], None).await.is(405);
        }
    }
);

both_engines!(
    /// Attack 35, for browsers: half an hour of rest, half a day in the end.
    a_browsers_session_ends_when_it_rests_and_in_the_end_anyway,
    async |database| {
        let story = Story::with_password(database).await;
        let resting = session_cookie(&story.open_browser("ann@toys.example", "", None).await.is(200));
        let used = session_cookie(&story.open_browser("ann@toys.example", "", None).await.is(200));
        for _ in 0..24 {
            story.browse(&used, Method::GET, "/api/v1/me", None).await.is(200);
            story.wait_seconds(1_790).await;
        }
        story.browse(&resting, Method::GET, "/api/v1/me", None).await.is(401);
        let listed = story.browse(&used, Method::GET, SESSIONS, None).await.is(200);
        assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
        assert_ne!(listed.body["items"][0]["last_used_at"], listed.body["items"][0]["created_at"]);
        story.wait_seconds(12 * 3_600 - 24 * 1_790).await;
        story.browse(&used, Method::GET, "/api/v1/me", None).await.is(401);
    }
);

both_engines!(
    /// Attacks 46, 47 and 51: on good answers and on problems alike.
    every_answer_tells_browsers_the_rules,
    async |database| {
        let story = Story::with_password(database).await;
        let cookie = session_cookie(&story.open_browser("ann@toys.example", "", None).await.is(200));
        let evil = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
        for (method, path) in [
            (Method::GET, "/api/v1/me"),
            (Method::GET, "/nowhere"),
            (Method::GET, "/docs"),
            (Method::OPTIONS, LOGIN),
            (Method::POST, LOGIN),
            (Method::POST, OTHERS),
        ] {
            let told = story.browse_with(&cookie, method, path, &evil, None).await;
            assert!(told.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
            assert_eq!(told.header("x-content-type-options"), "nosniff");
            assert_eq!(told.header("referrer-policy"), "no-referrer");
            assert_eq!(told.header("cross-origin-opener-policy"), "same-origin");
            let shared = told.headers.keys().filter(|name| name.as_str().starts_with("access-control"));
            assert_eq!(shared.count(), 0, "{path}");
        }
    }
);

both_engines!(a_cookie_moves_to_the_newest_pepper_when_it_is_used, async |database| {
    let story = Story::with_password(database).await;
    let used = session_cookie(&story.open_browser("ann@toys.example", "", None).await.is(200));
    let unused = session_cookie(&story.open_browser("ann@toys.example", "", None).await.is(200));
    let act = async |path: &str| story.send(PAT, Method::POST, path, &[], None).await;
    let on_versions = async || {
        let told = story.get(PAT, "/api/v1/vault").await.is(200).body;
        let peppers = told["peppers"].as_array().unwrap();
        peppers.iter().map(|pepper| pepper["cookies"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let moves = async || {
        let path = "/api/v1/organizations/platform/audit/events?action=pepper.rehash";
        story.get(Who::Operator, path).await.is(200).body["items"].as_array().unwrap().len()
    };
    story.browse(&used, Method::GET, "/api/v1/me", None).await.is(200);
    story.app.tick().await.unwrap();
    assert_eq!((on_versions().await, moves().await), (vec![2], 0), "nothing changes, nothing is written");
    act("/api/v1/vault/peppers/rotate").await.is(200);
    story.wait_seconds(140).await;
    for _ in 0..3 {
        story.browse(&used, Method::GET, "/api/v1/me", None).await.is(200);
        story.app.tick().await.unwrap();
        assert_eq!((on_versions().await, moves().await), (vec![1, 1], 1), "once");
    }
    let end = "/api/v1/vault/peppers/1/end";
    let plan = act(&format!("{end}?dry_run=true")).await.is(200).body;
    assert_eq!(plan["sessions"], 1, "{plan:#}");
    act(end).await.is_problem(409, "in-use");
    act(&format!("{end}?force=true")).await.is(200);
    story.browse(&used, Method::GET, "/api/v1/me", None).await.is(200);
    story.browse(&unused, Method::GET, "/api/v1/me", None).await.is(401);
});
