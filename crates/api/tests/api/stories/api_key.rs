//! API keys over HTTP: made, shown once, listed, used within their scopes, changed, rotated, revoked.

use super::auth::{PASSWORD, token_of};
use super::every_route::filled;
use super::{ANN, BOB, CAT, EVE, Story, Told, Who};
use charter_api::edge::Guard;
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

pub const KEYS: &str = "/api/v1/api-keys";

/// What a developer holds beside their work.
pub const DEVELOPER: [&str; 5] = ["create", "read", "revoke", "rotate", "update"];

impl Story {
    /// The company, where bob and cat may have keys of their own and see invoices.
    pub async fn with_developers(database: charter_testkit::database::TestDatabase) -> Self {
        let story = Self::company(database).await;
        let mut permissions: Vec<Value> = DEVELOPER
            .iter()
            .map(|action| json!({"permission": format!("admin.api_keys.{action}")}))
            .collect();
        permissions.push(json!({"permission": "sales.*.read"}));
        permissions.push(json!({"permission": "finance.vouchers.read"}));
        permissions.push(json!({"permission": "admin.users.read"}));
        let role = json!({"key": "developer", "name": "Developer", "permissions": permissions});
        story.post(Who::Operator, "/api/v1/organizations/toys/roles", role).await.is(201);
        for who in [BOB, CAT] {
            story.assign(Who::Operator, "toys", who, "developer").await.is(201);
        }
        story
    }

    /// Makes a key; its id and its text.
    pub async fn key(&self, who: Who, body: Value) -> (String, String) {
        let made = self.post(who, KEYS, body).await.is(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made.body["api_key"]["id"]), text(&made.body["token"]))
    }

    /// Whether a credential may do something in toys.
    pub async fn may(&self, token: &str, permission: &str) -> bool {
        let path = "/api/v1/organizations/toys/checks";
        let told = self.with_token(token, Method::POST, path, Some(json!({"permission": permission}))).await;
        told.is(200).body["decision"] == "allow"
    }

    pub async fn me(&self, token: &str) -> Told {
        self.with_token(token, Method::GET, "/api/v1/me", None).await
    }
}

both_engines!(
    /// Attack 85 on the way.
    a_developer_makes_a_key_sees_it_once_uses_it_and_revokes_it, async |database| {
        let story = Story::with_developers(database).await;
        let body = json!({"name": "nightly report", "scopes": ["sales:read"], "expires_at": "2027-06-01T00:00:00Z"});
        let made = story.post(BOB, KEYS, body).await.is(201);
        let (token, key) = (made.body["token"].as_str().unwrap(), &made.body["api_key"]);
        let id = key["id"].as_str().unwrap().to_owned();
        assert_eq!(token.len(), 72);
        assert!(token.starts_with("chk_test_"), "{token}");
        assert_eq!(made.header("location"), format!("{KEYS}/{id}"));
        assert_eq!(made.header("cache-control"), "no-store");
        assert_eq!((&key["state"], &key["owner_kind"], &key["name"]), (&json!("live"), &json!("user"), &json!("nightly report")));
        assert_eq!(key["preview"], token[..21]);

        let me = story.me(token).await.is(200);
        assert_eq!((&me.body["kind"], &me.body["login"]), (&json!("user"), &json!("bob@toys.example")));
        assert!(story.may(token, "sales.invoices.read").await);
        assert!(!story.may(token, "finance.vouchers.read").await, "bob may, the key's scopes do not say so");
        assert!(!story.may(token, "sales.invoices.create").await, "the scope does not say so");

        let path = format!("{KEYS}/{id}");
        for shown in [story.get(BOB, KEYS).await.is(200), story.get(BOB, &path).await.is(200)] {
            let text = shown.body.to_string();
            assert!(text.contains("nightly report"), "{text}");
            assert!(!text.contains(&token[22..65]) && !text.contains("hash"), "{text}");
        }
        let trail = story.get(Who::Operator, "/api/v1/organizations/toys/audit/events?action=credential.issue").await.is(200);
        let trail = trail.body["items"][0]["after"].to_string();
        assert!(trail.contains(&token[9..21]) && !trail.contains(&token[22..65]) && !trail.contains("hash"), "{trail}");

        let revoked = story.delete(BOB, &format!("{path}?reason=done")).await.is(200);
        assert_eq!((&revoked.body["state"], &revoked.body["revoke_reason"]), (&json!("revoked"), &json!("done")));
        story.me(token).await.is_problem(401, "unauthenticated");
        assert_eq!(story.get(BOB, KEYS).await.is(200).each("/state"), ["revoked"], "it stays for the trail");
        story.delete(BOB, &path).await.is_problem(409, "in-use");
    }
);

both_engines!(
    /// Attacks 78 and 84.
    keys_of_others_are_not_there, async |database| {
        let story = Story::with_developers(database).await;
        let (id, token) = story.key(BOB, json!({"name": "x"})).await;
        let path = format!("{KEYS}/{id}");
        let rotate = json!({"overlap_seconds": 0});
        // Of another user, an administrator too, and of another organization.
        for who in [CAT, ANN, EVE] {
            story.get(who, &path).await.is_problem(404, "not-found");
            story.patch(who, &path, json!({"name": "y"})).await.is_problem(404, "not-found");
            story.post(who, &format!("{path}/rotate"), rotate.clone()).await.is_problem(404, "not-found");
            story.delete(who, &path).await.is_problem(404, "not-found");
            assert_eq!(story.get(who, KEYS).await.is(200).body["items"], json!([]));
        }
        for other in ["0193e7a0-0000-7000-8000-000000000001", "0193e7a0-0000-7000-8000-000000000002"] {
            story.get(BOB, &format!("{KEYS}/{other}")).await.is_problem(404, "not-found");
        }
        story.get(BOB, &format!("{KEYS}?account=cat@toys.example")).await.is_problem(404, "not-found");
        story.get(EVE, &format!("{path}?organization=toys")).await.is_problem(404, "not-found");
        let foreign = "/api/v1/organizations/trade/members";
        story.with_token(&token, Method::GET, foreign, None).await.is_problem(404, "not-found");
        story.me(&token).await.is(200);
    }
);

both_engines!(
    /// Attack 78: somebody who works in two organizations has keys for one.
    a_key_opens_one_organization_whatever_else_its_owner_is_a_member_of, async |database| {
        let story = Story::with_developers(database).await;
        story.hire("trade", CAT).await;
        story.assign(Who::Operator, "trade", CAT, "org_admin").await.is(201);
        let (_, token) = story.key(CAT, json!({"name": "for toys"})).await;
        let me = story.me(&token).await.is(200);
        assert_eq!(me.body["organizations"].as_array().unwrap().len(), 1, "{}", me.body);
        assert_eq!(me.body["organizations"][0]["key"], "toys");
        let mut asked = 0;
        for route in &charter_api::routes() {
            let names_it = route.path_names().contains(&"organization");
            if matches!(route.guard(), Guard::Public(_)) || !(names_it || route.takes_organization_in_query()) {
                continue;
            }
            let mut path = filled(route.path(), "trade", |name| match name {
                "seq" | "version" => "1".to_owned(),
                "type" => "vouchers".to_owned(),
                _ => "0193e7a0-0000-7000-8000-000000000001".to_owned(),
            });
            if !names_it {
                path = format!("{path}?organization=trade");
            }
            let body = route.takes_body().then(|| {
                serde_json::from_str(route.body_example().unwrap_or("{}")).unwrap()
            });
            let told = story.with_token(&token, route.method().clone(), &path, body).await;
            assert_eq!(told.status.as_u16(), 404, "{route:?} {path}: {:#}", told.body);
            asked += 1;
        }
        assert!(asked > 80, "{asked}");
    }
);

both_engines!(
    /// Attack 83, and what else happens to an owner.
    a_key_never_may_more_than_its_owner_at_that_moment, async |database| {
        let story = Story::with_developers(database).await;
        let (_, token) = story.key(BOB, json!({"name": "all of mine", "scopes": ["full"]})).await;
        let (_, wide) = story.key(BOB, json!({"name": "no limit"})).await;
        for token in [&token, &wide] {
            assert!(story.may(token, "finance.vouchers.read").await);
            assert!(!story.may(token, "finance.vouchers.approve").await);
        }
        let role = json!({"permissions": [{"permission": "sales.*.read"}, {"permission": "admin.api_keys.read"}]});
        story.patch(Who::Operator, "/api/v1/organizations/toys/roles/developer", role).await.is(200);
        for token in [&token, &wide] {
            assert!(!story.may(token, "finance.vouchers.read").await);
            assert!(story.may(token, "sales.invoices.read").await);
        }
        let member = "/api/v1/organizations/toys/members/bob@toys.example";
        story.patch(Who::Operator, member, json!({"status": "suspended"})).await.is(200);
        story.me(&token).await.is_problem(401, "unauthenticated");
        story.patch(Who::Operator, member, json!({"status": "active"})).await.is(200);
        story.me(&token).await.is(200);
        story.delete(Who::Operator, member).await.is(200);
        story.me(&token).await.is_problem(401, "unauthenticated");
    }
);

both_engines!(
    /// Attack 81: by a change, by rotation, by what looks like a scope.
    a_key_never_gets_wider, async |database| {
        let story = Story::with_developers(database).await;
        let body = json!({"name": "x", "scopes": ["sales:read", "finance:read"], "expires_at": "2027-06-01T00:00:00Z"});
        let (id, _) = story.key(BOB, body).await;
        let path = format!("{KEYS}/{id}");
        for wrong in [
            json!({"scopes": ["sales:read", "read"]}), json!({"scopes": ["sales"]}), json!({"scopes": ["*"]}),
            json!({"scopes": ["*.*.*"]}), json!({"scopes": ["Sales:read"]}), json!({"scopes": ["s\u{0430}les:read"]}),
            json!({"scopes": []}), json!({"scopes": ["admin.users.read"]}), json!({"expires_at": "2027-06-01T00:00:01Z"}),
            json!({"expires_at": "2020-01-01T00:00:00Z"}), json!({"requests_per_minute": 0}), json!({"addresses": []}),
        ] {
            story.patch(BOB, &path, wrong.clone()).await.is_problem(422, "invalid");
        }
        for wrong in [json!({"scopes": null, "owner": "x"}), json!({"principal": "x"}), json!({"hash": "x"}), json!({"kind": "s"})] {
            assert!(story.patch(BOB, &path, wrong).await.status.is_client_error());
        }
        for wrong in ["*", "FULL", "\u{ff46}ull", "sales:*", "platform.*.*.*"] {
            story.post(BOB, KEYS, json!({"name": "x", "scopes": [wrong]})).await.is_problem(422, "invalid");
        }
        let narrow = json!({"name": "y", "scopes": ["sales.invoices.read"], "expires_at": "2027-05-01T00:00:00Z",
            "addresses": ["192.0.2.0/24"], "requests_per_minute": 60});
        let before = story.get(BOB, &path).await.is(200);
        let changed = story.patch(BOB, &path, narrow).await.is(200);
        assert_eq!((&changed.body["name"], &changed.body["scopes"]), (&json!("y"), &json!(["sales.invoices.read"])));
        assert_eq!((&changed.body["addresses"], &changed.body["requests_per_minute"]), (&json!(["192.0.2.0/24"]), &json!(60)));
        story.patch(BOB, &path, json!({"scopes": ["sales:read"]})).await.is_problem(422, "invalid");
        let stale = [("if-match", before.header("etag"))];
        story.send(BOB, Method::PATCH, &path, &stale, Some(json!({"name": "z"}))).await.is_problem(412, "changed");
        let changed = story.patch(BOB, &path, json!({"addresses": null, "requests_per_minute": null})).await.is(200);
        assert_eq!((&changed.body["addresses"], &changed.body["requests_per_minute"]), (&json!(null), &json!(null)));

        let rotated = story.post(BOB, &format!("{path}/rotate"), json!({"overlap_seconds": 60})).await.is(201);
        let new = &rotated.body["api_key"];
        assert_eq!((&new["scopes"], &new["expires_at"]), (&changed.body["scopes"], &changed.body["expires_at"]));
        for wrong in [json!({"overlap_seconds": 60, "scopes": ["full"]}), json!({"overlap_seconds": 2_592_001})] {
            let path = format!("{KEYS}/{}/rotate", new["id"].as_str().unwrap());
            assert!(story.post(BOB, &path, wrong).await.status.is_client_error());
        }
    }
);

both_engines!(a_rotated_key_goes_on_for_its_overlap_and_never_beyond_its_end, async |database| {
    let story = Story::with_developers(database).await;
    let (id, old) = story.key(BOB, json!({"name": "x", "expires_at": "2027-01-15T10:00:00Z"})).await;
    let rotate = |id: &str| format!("{KEYS}/{id}/rotate");
    let day = json!({"overlap_seconds": 86_400});
    let rotated = story.post(BOB, &rotate(&id), day.clone()).await.is(201);
    let new = rotated.body["token"].as_str().unwrap();
    let new_id = rotated.body["api_key"]["id"].as_str().unwrap();
    assert_eq!(rotated.body["api_key"]["successor_of"], id);
    let shown = story.get(BOB, &format!("{KEYS}/{id}")).await.is(200);
    assert_eq!(shown.body["overlap_until"], "2027-01-15T10:00:00Z", "not beyond its own end");
    story.me(&old).await.is(200);
    story.me(new).await.is(200);
    story.post(BOB, &rotate(&id), day.clone()).await.is_problem(409, "in-use");
    let at_once = story.post(BOB, &rotate(new_id), json!({"overlap_seconds": 0})).await.is(201);
    story.me(new).await.is_problem(401, "unauthenticated");
    let newest = at_once.body["token"].as_str().unwrap();
    story.me(newest).await.is(200);
    story.pass(3_600);
    story.me(newest).await.is(200);
    story.pass(3_600);
    story.me(newest).await.is_problem(401, "unauthenticated");
    story.me(&old).await.is_problem(401, "unauthenticated");
    story
        .post(BOB, &rotate(at_once.body["api_key"]["id"].as_str().unwrap()), day)
        .await
        .is_problem(409, "in-use");
    let mut states = story.get(BOB, KEYS).await.is(200).each("/state");
    states.sort();
    assert_eq!(states, ["expired", "replaced", "revoked"]);
    let trail = "/api/v1/organizations/toys/audit/events?action=credential.rotate";
    assert_eq!(story.get(Who::Operator, trail).await.is(200).body["items"].as_array().unwrap().len(), 2);
});

both_engines!(
    /// Attacks 80 and 88; the reason is for the trail, outside there is one answer.
    a_key_works_in_its_time_and_from_its_addresses, async |database| {
        let story = Story::with_developers(database).await;
        let dated = json!({"name": "x", "not_before": "2027-01-15T09:00:00Z", "expires_at": "2027-01-15T10:00:00Z"});
        let (id, token) = story.key(BOB, dated).await;
        assert_eq!(story.get(BOB, &format!("{KEYS}/{id}")).await.is(200).body["state"], "not_yet");
        let early = story.me(&token).await.is_problem(401, "unauthenticated");
        story.pass(3_600);
        story.me(&token).await.is(200);
        story.pass(3_600);
        let late = story.me(&token).await.is_problem(401, "unauthenticated");

        let (_, placed) = story.key(BOB, json!({"name": "x", "addresses": ["192.0.2.0/24", "2001:db8::/32"]})).await;
        let bearer = format!("Bearer {placed}");
        let from = async |address: &str, headers: &[(&str, &str)]| {
            let headers: Vec<_> = headers.iter().copied().chain([("authorization", bearer.as_str())]).collect();
            story.wire(Method::GET, "/api/v1/me", &headers, Some(address), None).await
        };
        for inside in ["192.0.2.9", "[::ffff:192.0.2.9]", "[2001:db8::1]"] {
            from(inside, &[]).await.is(200);
        }
        for outside in ["192.0.3.9", "[::1]", "127.0.0.1", "[::ffff:192.0.3.9]", "[2001:db9::1]"] {
            let forged = [("x-forwarded-for", "192.0.2.9"), ("x-real-ip", "192.0.2.9"), ("forwarded", "for=192.0.2.9")];
            let told = from(outside, &forged).await.is_problem(401, "unauthenticated");
            assert_eq!(told.body["detail"], early.body["detail"]);
        }
        assert_eq!(early.body["detail"], late.body["detail"]);
        story.pass(10);
        story.app.tick().await.unwrap();
        let trail = "/api/v1/organizations/platform/audit/events?action=token.refuse";
        let mut kinds = story.get(Who::Operator, trail).await.is(200).each("/target");
        kinds.sort();
        assert_eq!(kinds, ["api_key.address", "api_key.time"]);
    }
);

both_engines!(
    /// Attack 89 on one node; what two of them do is in the tests of nodes.
    a_key_has_a_rate_of_its_own_and_says_what_is_left, async |database| {
        let story = Story::with_developers(database).await;
        let (_, token) = story.key(BOB, json!({"name": "x", "requests_per_minute": 10})).await;
        for left in (0..10).rev() {
            let told = story.me(&token).await.is(200);
            assert_eq!((told.header("ratelimit-limit"), told.header("ratelimit-remaining")), ("10", left.to_string().as_str()));
        }
        let refused = story.me(&token).await.is_problem(429, "throttled");
        assert_eq!((refused.header("retry-after"), refused.header("ratelimit-remaining"), refused.header("ratelimit-reset")), ("6", "0", "60"));
        let (_, other) = story.key(BOB, json!({"name": "y"})).await;
        assert_eq!(story.me(&other).await.is(200).header("ratelimit-limit"), "");
        story.pass(6);
        let forbidden = story.with_token(&token, Method::POST, "/api/v1/auth/logout", None).await;
        assert_eq!(forbidden.is(403).header("ratelimit-remaining"), "0", "on every answer");
        story.me(&token).await.is_problem(429, "throttled");
    }
);

both_engines!(
    /// Attacks 82 and 94: what is for people is not for keys, whatever their owner may.
    a_key_makes_no_keys_and_reaches_no_password_and_no_session, async |database| {
        let story = Story::with_developers(database).await;
        let (id, token) = story.key(ANN, json!({"name": "everything of an administrator"})).await;
        let nobody = "0193e7a0-0000-7000-8000-000000000001";
        let mut asked = 0;
        for route in charter_api::routes().iter().filter(|route| route.is_for_people()) {
            let path = filled(route.path(), "toys", |name| if name == "key" { id.clone() } else { nobody.to_owned() });
            let body = route.body_example().map(|text| serde_json::from_str(text).unwrap());
            let told = story.with_token(&token, route.method().clone(), &path, body).await;
            assert_eq!(told.status.as_u16(), 403, "{route:?}: {:#}", told.body);
            asked += 1;
        }
        assert!(asked >= 13, "{asked}");
        for name in ["auth.logout", "auth.switch", "auth.reauthenticate", "me.change-password", "me.sessions", "me.end-session", "users.set-password", "api-keys.create", "service-tokens.create"] {
            assert!(charter_api::routes().iter().any(|route| route.name() == name && route.is_for_people()), "{name}");
        }
        // Who found a key may at least give it back.
        story.with_token(&token, Method::DELETE, &format!("{KEYS}/{id}"), None).await.is(200);
        story.me(&token).await.is_problem(401, "unauthenticated");
    }
);

both_engines!(
    /// Attack 93, and 22 and 67 with keys.
    a_key_counts_in_its_header_and_nowhere_else, async |database| {
        let story = Story::with_developers(database).await;
        let (_, token) = story.key(BOB, json!({"name": "x"})).await;
        for path in [format!("/api/v1/me?api_key={token}"), format!("/api/v1/me?access_token={token}"), format!("/api/v1/me?x={token}")] {
            story.wire(Method::GET, &path, &[], None, None).await.is_problem(400, "malformed");
            story.with_token(&token, Method::GET, &path, None).await.is_problem(400, "malformed");
        }
        for cookie in [format!("api_key={token}"), format!("__Host-ch_s={token}"), format!("session={token}")] {
            story.wire(Method::GET, "/api/v1/me", &[("cookie", &cookie)], None, None).await.is_problem(401, "unauthenticated");
        }
        // Clients of older systems have a header of their own; two credentials are one too many.
        let key = ("x-api-key", token.as_str());
        story.wire(Method::GET, "/api/v1/me", &[key], None, None).await.is(200);
        story.wire(Method::GET, "/api/v1/me", &[key, key], None, None).await.is_problem(400, "malformed");
        let both = [key, ("authorization", &format!("Bearer {token}"))];
        story.wire(Method::GET, "/api/v1/me", &both, None, None).await.is_problem(400, "malformed");
        let id = story.id_of(ANN).to_string();
        let forged = [("x-user-id", id.as_str()), ("x-forwarded-user", "ann@toys.example"), ("x-org-id", "trade"), ("x-roles", "superadmin")];
        story.wire(Method::GET, "/api/v1/me", &forged, None, None).await.is_problem(401, "unauthenticated");
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(forged);
        let me = story.wire(Method::GET, "/api/v1/me", &headers, None, None).await.is(200);
        assert_eq!(me.body["login"], "bob@toys.example");
        story.wire(Method::GET, "/api/v1/me", &[("authorization", &bearer), ("authorization", &bearer)], None, None).await.is_problem(400, "malformed");
    }
);

both_engines!(a_service_account_s_keys_are_both_kinds_of_the_same, async |database| {
    let story = Story::with_developers(database).await;
    let robot = json!({"login": "web-shop", "kind": "service_account"});
    story.post(ANN, "/api/v1/organizations/toys/members", robot).await.is(201);
    let viewer = json!({"role": "viewer", "subject": {"member": "web-shop"}});
    story.post(Who::Operator, "/api/v1/organizations/toys/assignments", viewer).await.is(201);
    let body = json!({"name": "shop", "account": "web-shop", "scopes": ["read"]});
    // Bob may make keys, and none that may do more than he may.
    story.post(BOB, KEYS, body.clone()).await.is_problem(403, "beyond-giver");
    let (id, token) = story.key(ANN, body).await;
    assert!(token.starts_with("chs_test_"));
    assert_eq!(story.me(&token).await.is(200).body["login"], "web-shop");
    let path = format!("{KEYS}/{id}/rotate");
    story.post(BOB, &path, json!({"overlap_seconds": 0})).await.is_problem(403, "beyond-giver");
    let rotated = story.post(ANN, &path, json!({"overlap_seconds": 0})).await.is(201);
    let token = rotated.body["token"].as_str().unwrap();
    let listed = story.get(ANN, "/api/v1/organizations/toys/service-tokens").await.is(200);
    assert_eq!(listed.each("/name"), ["shop", "shop"]);
    assert_eq!(
        story.get(ANN, &format!("{KEYS}?account=web-shop&state=live")).await.is(200).each("/owner_kind"),
        ["service_account"]
    );
    // The key outlives who made it.
    story.hire("toys", Who::Named("new@toys.example")).await;
    story.assign(Who::Operator, "toys", Who::Named("new@toys.example"), "org_admin").await.is(201);
    story.delete(Who::Operator, "/api/v1/organizations/toys/members/ann@toys.example").await.is(200);
    story.me(token).await.is(200);
    let own = format!("{KEYS}?organization=toys");
    story.post(Who::Operator, &own, json!({"name": "x"})).await.is_problem(422, "invalid");
    story
        .post(Who::Operator, &own, json!({"name": "x", "account": "bob@toys.example"}))
        .await
        .is_problem(422, "invalid");
    story.post(Who::Operator, &own, json!({"name": "x", "account": "web-shop"})).await.is(201);
});

both_engines!(the_scopes_are_listed_with_what_they_hold, async |database| {
    let story = Story::with_developers(database).await;
    let told = story.get(BOB, "/api/v1/api-key-scopes").await.is(200);
    assert_eq!(told.body["items"].as_array().unwrap().len(), 12);
    assert_eq!(told.each("/scope")[..3], ["full", "read", "access"]);
});

both_engines!(making_a_key_asks_that_a_person_signed_in_lately, async |database| {
    let story = Story::with_developers(database).await;
    let path = "/api/v1/users/bob@toys.example/password";
    story.post(Who::Operator, path, json!({"password": PASSWORD})).await.is(200);
    let token = token_of(&story.log_in_to("bob@toys.example", "toys").await.is(200));
    let make = async || story.with_token(&token, Method::POST, KEYS, Some(json!({"name": "x"}))).await;
    make().await.is(201);
    story.pass(599);
    make().await.is(201);
    story.pass(1);
    make().await.is(401);
});
