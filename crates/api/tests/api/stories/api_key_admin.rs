//! All API keys of an organization: listed, changed many at once, reported as leaked, taken over from a former system.

use super::api_key::KEYS;
use super::{ANN, BOB, CAT, EVE, Story, Who};
use charter_app::identity::credential_text::{CredentialKind, generate};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const ALL: &str = "/api/v1/organizations/toys/api-keys";
const REPORTS: &str = "/.well-known/leaked-keys";

both_engines!(who_looks_after_all_keys_sees_and_revokes_them, async |database| {
    let story = Story::with_developers(database).await;
    let (bobs, token) = story.key(BOB, json!({"name": "b", "scopes": ["sales:read"]})).await;
    let (cats, other) = story.key(CAT, json!({"name": "c"})).await;
    for who in [BOB, CAT] {
        story.get(who, ALL).await.is_problem(403, "forbidden");
        story.delete(who, &format!("{ALL}/{bobs}")).await.is_problem(403, "forbidden");
        story
            .post(who, &format!("{ALL}/bulk-revoke"), json!({"dry_run": false}))
            .await
            .is_problem(403, "forbidden");
    }
    story.get(EVE, ALL).await.is_problem(404, "not-found");
    let mut names = story.get(ANN, ALL).await.is(200).each("/name");
    names.sort();
    assert_eq!(names, ["b", "c"]);
    for (filter, expected) in [
        ("owner=bob@toys.example", vec!["b"]),
        ("scope=sales:read", vec!["b"]),
        ("kind=user&state=live", vec!["b", "c"]),
        ("kind=service_account", vec![]),
        ("state=revoked", vec![]),
        ("unused_since=2027-01-01T00:00:00Z", vec!["b", "c"]),
        ("created_before=2027-01-15T08:00:00Z", vec![]),
        ("expires_before=2040-01-01T00:00:00Z", vec![]),
    ] {
        let mut found = story.get(ANN, &format!("{ALL}?{filter}")).await.is(200).each("/name");
        found.sort();
        assert_eq!(found, expected, "{filter}");
    }
    assert_eq!(story.all(ANN, ALL, 1, "/name").await.len(), 2, "page by page");
    story.get(ANN, &format!("{ALL}?state=odd")).await.is_problem(422, "invalid");
    story.delete(ANN, &format!("{ALL}/{bobs}?reason=left")).await.is(200);
    story.me(&token).await.is_problem(401, "unauthenticated");
    story.me(&other).await.is(200);
    assert_ne!(bobs, cats);
});

both_engines!(many_keys_are_revoked_after_a_dry_run_with_an_event_each, async |database| {
    let story = Story::with_developers(database).await;
    let mut tokens = Vec::new();
    for number in 0..5 {
        tokens.push(story.key(BOB, json!({"name": format!("key {number}")})).await);
    }
    let (_, spared) = story.key(CAT, json!({"name": "spared"})).await;
    let path = format!("{ALL}/bulk-revoke");
    let body =
        |dry_run: Value| json!({"owner": "bob@toys.example", "reason": "bob has left", "dry_run": dry_run});
    for dry in [body(json!(true)), json!({"owner": "bob@toys.example"})] {
        let told = story.post(ANN, &path, dry).await.is(200).body;
        assert_eq!(
            (&told["dry_run"], &told["changed"], &told["has_more"]),
            (&json!(true), &json!(5), &json!(false))
        );
    }
    story.me(&tokens[0].1).await.is(200);
    assert!(story.told_of("credential.revoke").await.is_empty());
    let done = story.post(ANN, &path, body(json!(false))).await.is(200).body;
    assert_eq!((&done["changed"], &done["keys"][0]["api_key"]["state"]), (&json!(5), &json!("revoked")));
    for (_, token) in &tokens {
        story.me(token).await.is_problem(401, "unauthenticated");
    }
    story.me(&spared).await.is(200);
    let events = story.told_of("credential.revoke").await;
    assert!(events.len() == 5 && events.iter().all(|it| it["reason"] == "bob has left"));
    let again = story.post(ANN, &path, body(json!(false))).await.is(200).body;
    assert_eq!(
        (&again["changed"], &again["keys"][0]["left_alone"]),
        (&json!(0), &json!("the key was revoked before"))
    );
});

both_engines!(many_keys_are_rotated_but_nobody_gets_another_user_s_key, async |database| {
    let story = Story::with_developers(database).await;
    let robot = json!({"login": "web-shop", "kind": "service_account"});
    story.post(ANN, "/api/v1/organizations/toys/members", robot).await.is(201);
    let (_, bobs) = story.key(BOB, json!({"name": "bob's"})).await;
    let (_, own) = story.key(ANN, json!({"name": "own"})).await;
    let (_, shop) = story.key(ANN, json!({"name": "shop", "account": "web-shop"})).await;
    let path = format!("{ALL}/bulk-rotate");
    let dry = story.post(ANN, &path, json!({"overlap_seconds": 0})).await.is(200).body;
    assert_eq!((&dry["changed"], &dry["keys"][0]["successor"]), (&json!(2), &json!(null)));
    let done = story.post(ANN, &path, json!({"overlap_seconds": 0, "dry_run": false})).await.is(200).body;
    for key in done["keys"].as_array().unwrap() {
        let is_bobs = key["api_key"]["name"] == "bob's";
        assert_eq!(key["left_alone"].is_string(), is_bobs, "{key}");
        assert_eq!(key["successor"]["token"].is_string(), !is_bobs);
        if !is_bobs {
            story.me(key["successor"]["token"].as_str().unwrap()).await.is(200);
        }
    }
    story.me(&bobs).await.is(200);
    for old in [&own, &shop] {
        story.me(old).await.is_problem(401, "unauthenticated");
    }
    assert_eq!(story.told_of("credential.rotate").await.len(), 2);
});

both_engines!(a_key_found_in_the_open_is_put_aside_by_who_has_all_of_it, async |database| {
    let story = Story::with_developers(database).await;
    let (id, token) = story.key(BOB, json!({"name": "x"})).await;
    let report = async |tokens: &[&str], from: &str| {
        let body: Vec<Value> = tokens.iter().map(|token| json!({"token": token, "type": "charter", "url": "https://code.example/a", "source": "content", "extra": 1})).collect();
        story.wire(Method::POST, REPORTS, &[], Some(from), Some(json!(body))).await
    };
    // The id is public, the check is computed by anybody: neither stops a key.
    let mut forged = token.clone().into_bytes();
    forged[30] = if forged[30] == b'a' { b'b' } else { b'a' };
    let forged = String::from_utf8(forged).unwrap();
    let told = report(&[&token[..21], &forged, "x", "", "chk_live_x"], "192.0.2.1").await.is(200);
    assert!(told.body.as_array().unwrap().iter().all(|it| it["label"] == "false_positive"), "{}", told.body);
    story.me(&token).await.is(200);

    let told = report(&[&token], "192.0.2.1").await.is(200);
    assert_eq!(told.body[0]["label"], "true_positive");
    assert!(!told.body.to_string().contains(&token[22..65]), "the answer repeats no key");
    story.me(&token).await.is_problem(401, "unauthenticated");
    report(&[&token], "192.0.2.1").await.is(200);
    let events = story.told_of("credential.leaked").await;
    assert_eq!(
        (events.len(), &events[0]["target"], &events[0]["reason"]),
        (1, &json!(id), &json!("policy: quarantine"))
    );
    assert!(!events[0].to_string().contains(&token[22..65]));
    assert_eq!(story.get(BOB, &format!("{KEYS}/{id}")).await.is(200).body["state"], "quarantined");

    // Its owner takes another; who looks after keys may take it back in use.
    story
        .post(BOB, &format!("{KEYS}/{id}/rotate"), json!({"overlap_seconds": 60}))
        .await
        .is_problem(422, "invalid");
    let release = format!("{ALL}/{id}/release");
    story.post(BOB, &release, json!({"reason": "mine"})).await.is_problem(403, "forbidden");
    story.post(ANN, &release, json!({"reason": "our own test"})).await.is(200);
    story.me(&token).await.is(200);
    story.post(ANN, &release, json!({"reason": "again"})).await.is_problem(409, "in-use");

    let settings = "/api/v1/organizations/toys/identity-settings";
    story.patch(ANN, settings, json!({"leaked_keys": "odd"})).await.is_problem(422, "invalid");
    for (policy, status, state) in [("notify", 200, "live"), ("revoke", 401, "revoked")] {
        let told = story.patch(ANN, settings, json!({"leaked_keys": policy})).await.is(200);
        assert_eq!(told.body["leaked_keys"], policy);
        report(&[&token], "192.0.2.1").await.is(200);
        story.me(&token).await.is(status);
        assert_eq!(story.get(BOB, &format!("{KEYS}/{id}")).await.is(200).body["state"], state);
    }
    // Reports are no way to guess.
    let (mut last, mut seed) = (200, 0u8);
    for _ in 0..40 {
        let guess = generate(CredentialKind::User, false, || {
            seed = seed.wrapping_add(1);
            core::array::from_fn(|at| (at as u8).wrapping_mul(7).wrapping_add(seed))
        });
        last = report(&[&guess.text], "192.0.2.77").await.status.as_u16();
    }
    assert_eq!(last, 429);
    for wrong in
        [json!([]), json!({"token": token}), json!([{"url": "x"}]), json!(vec![json!({"token": "x"}); 101])]
    {
        let told = story.wire(Method::POST, REPORTS, &[], None, Some(wrong)).await;
        assert!(told.status.is_client_error());
    }
});

/// A key of the former system, and what that kept of it.
const OLD: &str = "ak_12345.This-Is-A-Key-Of-The-Old-System";
const OLD_HASH: &str = "$2b$04$abcdefghijklmnopqrstuuwDUG6xo15mby.8e/LX/l.e8IJG0FqjS";
/// One of 72 characters, all of which bcrypt reads.
const LONG_HASH: &str = "$2b$04$abcdefghijklmnopqrstuuswtGz9mrcRUmTHvsiG3vne8gDvQW5gK";

fn import(prefix: &str, hash: &str, owner: &str) -> Value {
    json!({"keys": [{"prefix": prefix, "hash": hash, "owner": owner, "name": "old key", "scopes": ["sales:read"]}]})
}

both_engines!(
    /// Attack 92: its own hash stays as it was.
    a_key_of_the_former_system_works_and_gets_a_fast_hash_on_its_first_use, async |database| {
        let story = Story::with_developers(database).await;
        let path = format!("{ALL}/import");
        story.me(OLD).await.is_problem(401, "unauthenticated");
        let mut dry = import("ak_12345", OLD_HASH, "bob@toys.example");
        dry["dry_run"] = json!(true);
        story.post(Who::Operator, &path, dry).await.is(200);
        story.me(OLD).await.is_problem(401, "unauthenticated");
        let made = story.post(Who::Operator, &path, import("ak_12345", OLD_HASH, "bob@toys.example")).await.is(201);
        assert!(!made.body.to_string().contains("$2b$"));
        let key = &made.body["keys"][0];
        assert_eq!((&key["is_adopted"], &key["owner_kind"]), (&json!(true), &json!("user")));
        let id = key["id"].as_str().unwrap();

        assert_eq!(story.me(OLD).await.is(200).body["login"], "bob@toys.example");
        assert_eq!(story.app.identity().legacy_keys().evaluations(), 1);
        for _ in 0..20 {
            story.me(OLD).await.is(200);
            story.me("ak_12345.This-Is-Another-Key").await.is_problem(401, "unauthenticated");
        }
        assert_eq!(story.app.identity().legacy_keys().evaluations(), 1, "from the first use on it is one of ours");
        assert!(story.may(OLD, "sales.invoices.read").await && !story.may(OLD, "finance.vouchers.read").await);
        let shown = story.get(BOB, &format!("{KEYS}/{id}")).await.is(200);
        assert!(!shown.body.to_string().contains("$2b$") && !shown.body.to_string().contains("Old-System"));
        assert_eq!(story.told_of("credential.upgrade").await.len(), 1);

        story.post(Who::Operator, &path, import("ak_12345", OLD_HASH, "cat@toys.example")).await.is_problem(409, "taken");
        let rotated = story.post(BOB, &format!("{KEYS}/{id}/rotate"), json!({"overlap_seconds": 0})).await.is(201);
        assert!(rotated.body["token"].as_str().unwrap().starts_with("chk_test_"));
        story.me(OLD).await.is_problem(401, "unauthenticated");
    }
);

both_engines!(
    /// Attack 90.
    bcrypt_never_sees_more_of_a_key_than_it_reads, async |database| {
        let story = Story::with_developers(database).await;
        let keys = json!({"keys": [
            {"prefix": "ak_12345", "hash": LONG_HASH, "owner": "bob@toys.example", "name": "long"},
            {"prefix": "ak_99", "hash": OLD_HASH, "owner": "bob@toys.example", "name": "short prefix"},
        ]});
        story.post(Who::Operator, &format!("{ALL}/import"), keys.clone()).await.is_problem(422, "invalid");
        let mut right = keys;
        right["keys"][1]["prefix"] = json!("ak_999");
        story.post(Who::Operator, &format!("{ALL}/import"), right).await.is(201);
        let long = format!("ak_12345.{}", "x".repeat(63));
        assert_eq!(long.len(), 72);
        for junk in [format!("{long}x"), format!("{long}.evil"), format!("{long}\u{e9}"), "x".repeat(4_000)] {
            assert!(story.app.authenticate(Some(&junk), None).await.is_err());
        }
        for nul in [format!("{}\0", &long[..70]), format!("{long}\0"), "ak_12345\0".to_owned()] {
            assert!(story.app.authenticate(Some(&nul), None).await.is_err());
        }
        assert_eq!(story.app.identity().legacy_keys().evaluations(), 0, "refused before it is hashed");
        story.me(&long).await.is(200);
    }
);

both_engines!(
    /// Attack 91.
    a_known_prefix_is_no_lever_against_the_cores, async |database| {
        let story = Story::with_developers(database).await;
        story.post(Who::Operator, &format!("{ALL}/import"), import("ak_12345", OLD_HASH, "bob@toys.example")).await.is(201);
        for number in 0..100 {
            story.app.authenticate(Some(&format!("ak_12345.wrong-{number}")), None).await.unwrap_err();
        }
        assert_eq!(story.app.identity().legacy_keys().evaluations(), 5);
        // The same wrong key is not evaluated again, and others' minutes are their own.
        story.pass(61);
        for _ in 0..10 {
            story.app.authenticate(Some("ak_12345.wrong-again"), None).await.unwrap_err();
        }
        assert_eq!(story.app.identity().legacy_keys().evaluations(), 6);
        story.me(OLD).await.is(200);
    }
);

both_engines!(a_longer_prefix_of_another_organization_hides_no_key, async |database| {
    let story = Story::with_developers(database).await;
    let toys = import("ak_12345", OLD_HASH, "bob@toys.example");
    story.post(Who::Operator, &format!("{ALL}/import"), toys).await.is(201);
    let trade = import("ak_12345.This", LONG_HASH, "eve@trade.example");
    let path = "/api/v1/organizations/trade/api-keys/import";
    story.post(Who::Operator, path, trade).await.is(201);
    for _ in 0..20 {
        story.me("ak_12345.This-Is-Another-Key").await;
    }
    story.pass(61);
    assert_eq!(story.me(OLD).await.is(200).body["login"], "bob@toys.example");
});

both_engines!(nobody_takes_a_key_over_that_may_do_more_than_they_may, async |database| {
    let story = Story::with_developers(database).await;
    let keeper =
        json!({"key": "keeper", "name": "Keeper", "permissions": [{"permission": "admin.api_keys.*"}]});
    story.post(Who::Operator, "/api/v1/organizations/toys/roles", keeper).await.is(201);
    story.assign(Who::Operator, "toys", CAT, "keeper").await.is(201);
    let path = format!("{ALL}/import");
    let mut body = import("ak_12345", OLD_HASH, "ann@toys.example");
    body["keys"][0]["scopes"] = json!(["access"]);
    story.post(CAT, &path, body).await.is_problem(403, "beyond-giver");
    for wrong in [
        import("chk_live", OLD_HASH, "bob@toys.example"),
        import("ak_12345", "plain", "bob@toys.example"),
        import("ak_12345", &OLD_HASH.replace("04", "31"), "bob@toys.example"),
    ] {
        story.post(CAT, &path, wrong).await.is_problem(422, "invalid");
    }
    story
        .post(CAT, &path, import("ak_12345", OLD_HASH, "nobody@toys.example"))
        .await
        .is_problem(404, "not-found");
    story
        .post(BOB, &path, import("ak_12345", OLD_HASH, "bob@toys.example"))
        .await
        .is_problem(403, "forbidden");
});

// The dry run promised what was refused then, and a list that had grown could not be sent again.
both_engines!(a_list_of_old_keys_is_sent_again_and_its_dry_run_tells_what_would_happen, async |database| {
    let story = Story::with_developers(database).await;
    let path = format!("{ALL}/import");
    let told = async |mut body: Value, is_dry: bool| {
        body["dry_run"] = json!(is_dry);
        story.post(Who::Operator, &path, body).await
    };
    let first = import("ak_12345", OLD_HASH, "bob@toys.example");
    told(first.clone(), false).await.is(201);
    let mut more = first.clone();
    let new = &import("ak_99999", LONG_HASH, "cat@toys.example")["keys"][0];
    more["keys"].as_array_mut().unwrap().push(new.clone());
    for (is_dry, status) in [(true, 200), (false, 201)] {
        let body = told(more.clone(), is_dry).await.is(status).body;
        let owners = |of: &str| -> Vec<String> {
            body[of].as_array().unwrap().iter().map(|key| key["owner_id"].to_string()).collect()
        };
        assert_eq!((owners("keys").len(), owners("kept").len()), (1, 1), "{body:#}");
        assert_ne!(owners("keys"), owners("kept"));
    }
    let body = told(more.clone(), false).await.is(200).body;
    assert_eq!((body["keys"].clone(), body["kept"].as_array().unwrap().len()), (json!([]), 2));
    assert_eq!(story.told_of("credential.adopt").await.len(), 2, "nothing is told of what was kept");
    story.me(OLD).await.is(200);

    let mut other_hash = more.clone();
    other_hash["keys"][1]["hash"] = json!(OLD_HASH);
    let mut other_owner = more.clone();
    other_owner["keys"][1]["owner"] = json!("bob@toys.example");
    let mut twice = more.clone();
    twice["keys"][1] = more["keys"][0].clone();
    for is_dry in [true, false] {
        for wrong in [&other_hash, &other_owner] {
            let body = told(wrong.clone(), is_dry).await.is_problem(409, "taken").body;
            let detail = body["detail"].as_str().unwrap();
            assert!(detail.contains("keys.1.prefix: `ak_99999` is in already"), "{detail}");
        }
        told(twice.clone(), is_dry).await.is_problem(422, "invalid");
        let mut elsewhere = import("ak_12345", OLD_HASH, "eve@trade.example");
        elsewhere["dry_run"] = json!(is_dry);
        let body = story.post(Who::Operator, "/api/v1/organizations/trade/api-keys/import", elsewhere).await;
        let body = body.is_problem(409, "taken").body;
        assert!(
            body["detail"]
                .as_str()
                .unwrap()
                .contains("keys.0.prefix: `ak_12345` is the prefix of a key of another")
        );
    }
});

both_engines!(a_dry_run_of_old_keys_is_held_to_the_plan, async |database| {
    let story = Story::with_developers(database).await;
    let limit = json!({"value": 1, "reason": "a small plan"});
    story.put(Who::Operator, "/api/v1/organizations/toys/limits/api_keys", limit).await.is(200);
    story
        .post(Who::Operator, &format!("{ALL}/import"), import("ak_12345", OLD_HASH, "bob@toys.example"))
        .await
        .is(201);
    for is_dry in [true, false] {
        let mut body = import("ak_99999", LONG_HASH, "bob@toys.example");
        body["dry_run"] = json!(is_dry);
        story.post(Who::Operator, &format!("{ALL}/import"), body).await.is_problem(403, "limit-reached");
    }
});
