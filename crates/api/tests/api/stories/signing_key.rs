//! Signing keys over HTTP: looked at, rotated, revoked; floors; tokens of a former system and their end.

use super::auth::{PASSWORD, token_of};
use super::{ANN, PAT, Story, Who};
use charter_app::identity::{legacy_caller, legacy_secret};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const SECRET: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";
/// Signed with it: ann@toys.example, until an hour after the stories begin, who says she is a superadmin.
const LEGACY: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm5AdG95cy5leGFtcGxlIiwiZXhwIjoxODAwMDAzNjAwLCJyb2xlIjoic3VwZXJhZG1pbiJ9.uNodjTbBWi7B-Okg-hALvHb0nZp6tq0mkg6aohRdZdw";

fn states(told: &Value) -> Vec<&str> {
    told["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect()
}

both_engines!(a_key_is_published_signs_and_is_revoked, async |database| {
    let story = Story::company(database).await;
    story
        .post(Who::Operator, "/api/v1/users/ann@toys.example/password", json!({"password": PASSWORD}))
        .await
        .is(200);
    let me = async |token: &str| story.with_token(token, Method::GET, "/api/v1/me", None).await;
    let listed = story.get(PAT, "/api/v1/keys").await.is(200).body;
    assert_eq!(states(&listed), ["active"]);
    assert_eq!(listed["next_at"], "2027-04-16T02:00:00Z");
    assert!(!listed.to_string().contains("private"));
    story.get(ANN, "/api/v1/keys").await.is_problem(404, "not-found");

    let rotate = "/api/v1/keys/rotate";
    let early = story.post(PAT, rotate, json!({"ahead_seconds": 60})).await.is_problem(422, "invalid");
    assert!(early.body.to_string().contains("ahead_seconds"));
    let wish = json!({"ahead_seconds": 600});
    let plan = story.post(PAT, "/api/v1/keys/rotate?dry_run=true", wish.clone()).await.is(200).body;
    assert_eq!((&plan["dry_run"], &plan["next"]), (&json!(true), &Value::Null));
    assert_eq!(story.get(PAT, "/api/v1/keys").await.is(200).body, listed, "a dry run writes nothing");
    let exactly = json!({"ahead_seconds": 600, "plan": plan["plan"]});
    let done = story.post(PAT, rotate, exactly.clone()).await.is(200).body;
    assert_eq!(done["activates_at"], plan["activates_at"]);
    story.post(PAT, rotate, exactly).await.is_problem(412, "changed");
    let jwks = story.wire(Method::GET, "/.well-known/jwks.json", &[], None, None).await.is(200);
    assert_eq!(jwks.body["keys"].as_array().unwrap().len(), 2);

    let before = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
    story.wait_seconds(599).await;
    me(&before).await.is(200);
    let last = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
    story.wait_seconds(1).await;
    assert_eq!(states(&story.get(PAT, "/api/v1/keys").await.is(200).body), ["active", "retiring"]);
    me(&last).await.is(200);
    let now = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));

    let kid = done["next"].as_str().unwrap();
    let revoke = format!("/api/v1/keys/{kid}/revoke");
    story.post(PAT, &revoke, json!({})).await.is_problem(422, "invalid");
    let revoked = story.post(PAT, &revoke, json!({"compromised": true})).await.is(200).body;
    assert_eq!((&revoked["state"], &revoked["revoke_reason"]), (&json!("revoked"), &json!("compromised")));
    me(&now).await.is_problem(401, "unauthenticated");
    me(&last).await.is(200);
    story
        .post(PAT, "/api/v1/keys/nobody/revoke", json!({"compromised": true}))
        .await
        .is_problem(404, "not-found");
    let fresh = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
    let sessions = story.with_token(&fresh, Method::GET, "/api/v1/me/sessions", None).await.is(200);
    assert_eq!(sessions.body["items"].as_array().unwrap().len(), 4, "nobody was signed out");

    story.pass(5);
    let both =
        json!({"of_organization": "toys", "of_principal": story.id_of(ANN).to_string(), "reason": "x"});
    story.post(PAT, "/api/v1/keys/not-before", both).await.is_problem(422, "invalid");
    let floor = json!({"of_principal": story.id_of(ANN).to_string(), "reason": "a stolen laptop"});
    let set = story.post(PAT, "/api/v1/keys/not-before", floor).await.is(200).body;
    assert_eq!(set["scope"], "principal");
    me(&fresh).await.is_problem(401, "unauthenticated");
});

both_engines!(
    /// Attacks 17 and 18 over the wire.
    a_token_of_the_former_system_opens_what_its_user_may_and_ends, async |database| {
    let story = Story::company(database).await;
    let get = async |token: &str, path: &str| story.with_token(token, Method::GET, path, None).await;
    get(LEGACY, "/api/v1/me").await.is_problem(401, "unauthenticated");
    let file = legacy_secret::read(&format!("SECRET_KEY={SECRET}")).unwrap();
    legacy_caller::take(&story.app, &file, &legacy_caller::Terms::default()).await.unwrap();
    let me = get(LEGACY, "/api/v1/me").await.is(200);
    assert_eq!((&me.body["login"], &me.body["amr"]), (&json!("ann@toys.example"), &json!(["legacy"])));
    get(LEGACY, "/api/v1/organizations/toys/members").await.is(200);
    get(LEGACY, "/api/v1/organizations/trade/members").await.is_problem(404, "not-found");
    get(LEGACY, "/api/v1/keys").await.is_problem(404, "not-found");
    let exchange = "/api/v1/auth/exchange";
    let begun = story.with_token(LEGACY, Method::POST, exchange, Some(json!({}))).await.is(200);
    // Whoever has such a token proved nothing here: what takes an account over takes its password.
    let stolen = token_of(&begun);
    for (path, body) in [
        ("/api/v1/me/email", json!({"email": "thief@evil.example"})),
        ("/api/v1/me/factors/totp", json!({})),
    ] {
        story.with_token(&stolen, Method::POST, path, Some(body)).await.is_problem(401, "step-up-required");
    }
    assert_eq!(begun.header("cache-control"), "no-store");
    let ours = token_of(&begun);
    get(&ours, "/api/v1/organizations/toys/members").await.is(200);
    story.with_token(&ours, Method::POST, exchange, Some(json!({}))).await.is_problem(403, "forbidden");
    let told = story.get(PAT, "/api/v1/keys/legacy").await.is(200).body;
    assert_eq!(told["secrets"][0]["accepted"], 5);
    assert!(!told.to_string().contains(SECRET));
    let over = json!({"reason": "switched off"});
    story.post(ANN, "/api/v1/keys/legacy/end", over.clone()).await.is_problem(404, "not-found");
    story.post(PAT, "/api/v1/keys/legacy/end", over.clone()).await.is(204);
    get(LEGACY, "/api/v1/me").await.is_problem(401, "unauthenticated");
    get(&ours, "/api/v1/me").await.is(200);
    story.post(PAT, "/api/v1/keys/legacy/end", over).await.is_problem(404, "not-found");
});

both_engines!(a_dry_run_tells_whom_a_rotation_reaches_and_writes_nothing, async |database| {
    let story = Story::company(database).await;
    let password = json!({"password": PASSWORD});
    story.post(Who::Operator, "/api/v1/users/cat@toys.example/password", password).await.is(200);
    story.log_in("cat@toys.example", PASSWORD).await.is(200);
    let file = legacy_secret::read(&format!("SECRET_KEY={SECRET}")).unwrap();
    legacy_caller::take(&story.app, &file, &legacy_caller::Terms::default()).await.unwrap();
    story.with_token(LEGACY, Method::GET, "/api/v1/me", None).await.is(200);
    story.app.tick().await.unwrap();
    let rotate = "/api/v1/keys/rotate";
    let plan = async || story.post(PAT, &format!("{rotate}?dry_run=true"), json!({})).await.is(200).body;
    let told = plan().await;
    let reaches = &told["reaches"];
    assert_eq!((&told["dry_run"], &reaches["sessions"]), (&json!(true), &json!(1)));
    let secret = &reaches["legacy_secrets"][0];
    assert_eq!((&secret["accepted"], secret["id"].as_str().unwrap().len()), (&json!(1), 12));
    assert!(secret["last_accepted_at"].is_string());
    let nodes = reaches["nodes"].as_array().unwrap();
    assert_eq!((nodes.len(), &nodes[0]["has_newest_keys"]), (1, &json!(true)));
    assert_eq!(plan().await, told, "nothing was written");
    let id = json!({"plan": told["plan"], "lineage": "id"});
    story.post(PAT, rotate, id).await.is_problem(412, "changed");
    let done = story.post(PAT, rotate, json!({"plan": told["plan"]})).await.is(200).body;
    assert_eq!((&done["plan"], &done["reaches"]), (&told["plan"], &Value::Null));
    let after = plan().await;
    assert_eq!(after["reaches"]["nodes"][0]["has_newest_keys"], json!(false));
});

both_engines!(a_secret_that_nobody_seems_to_need_is_proposed_to_be_ended, async |database| {
    let story = Story::company(database).await;
    let take = async |text: String| {
        let file = legacy_secret::read(&text).unwrap();
        legacy_caller::take(&story.app, &file, &legacy_caller::Terms::default()).await.unwrap();
    };
    let hints = async || story.get(PAT, "/api/v1/keys").await.is(200).body["hints"].clone();
    take(format!("SECRET_KEY={SECRET}")).await;
    story.with_token(LEGACY, Method::GET, "/api/v1/me", None).await.is(200);
    story.wait_seconds(10 * 86_400).await;
    let newer = SECRET.chars().rev().collect::<String>();
    take(format!("SECRET_KEY={newer}\nSECRET_KEYS_HISTORY={SECRET}")).await;
    assert_eq!(hints().await, json!([]));
    story.wait_seconds(4 * 86_400).await;
    let told = story.get(PAT, "/api/v1/keys/legacy").await.is(200).body;
    let (first, second) = (&told["secrets"][0], &told["secrets"][1]);
    assert_eq!((&first["hint"], &first["last_accepted_at"]), (&Value::Null, &Value::Null));
    let id = second["id"].as_str().unwrap();
    let hint = second["hint"].as_str().unwrap();
    assert!(
        hint.contains(&format!("`charter keys end-legacy --secret {id} --reason TEXT` ends it")),
        "{hint}"
    );
    assert_eq!(hints().await, json!([hint]));
    let end = async |body: Value| story.post(PAT, "/api/v1/keys/legacy/end", body).await;
    end(json!({"secret": "0123456789ab", "reason": "nobody comes"})).await.is_problem(404, "not-found");
    end(json!({"secret": id, "reason": "nobody comes"})).await.is(204);
    let told = story.get(PAT, "/api/v1/keys/legacy").await.is(200).body;
    assert_eq!(told["secrets"].as_array().unwrap().len(), 1);
    assert_eq!(hints().await, json!([]));
    story.wait_seconds(10 * 86_400).await;
    let all = hints().await;
    assert!(all[0].as_str().unwrap().contains("`charter keys end-legacy --reason TEXT`"), "{all}");
    end(json!({"reason": "nobody comes"})).await.is(204);
    assert_eq!(hints().await, json!([]));
});
