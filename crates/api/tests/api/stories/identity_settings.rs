//! What an organization asks of its members' sign-in.

use super::auth::{PASSWORD, token_of};
use super::{ANN, BOB, EVE, Story, Told, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/organizations/toys/identity-settings";
const REFRESH: &str = "/api/v1/auth/refresh";

impl Story {
    async fn log_in_from(&self, address: &str, organization: Option<&str>) -> Told {
        let body = json!({"login": "ann@toys.example", "password": PASSWORD, "organization": organization});
        self.wire(Method::POST, "/api/v1/auth/login", &[], Some(address), Some(body)).await
    }

    async fn ask(&self, settings: Value) {
        self.patch(Who::Operator, PATH, settings).await.is(200);
    }
}

both_engines!(an_administrator_sets_what_sign_in_asks, async |database| {
    let story = Story::with_password(database).await;
    let unset = story.get(ANN, PATH).await.is(200);
    assert!(unset.body["session_idle_minutes"].is_null() && unset.body["sign_in_addresses"].is_null());
    assert_eq!(unset.header("etag"), "\"v0\"");
    let settings =
        json!({"session_idle_minutes": 15, "session_absolute_hours": 10, "sessions_per_member": 2});
    let set = story.patch(ANN, PATH, settings.clone()).await.is(200);
    assert_eq!(
        (&set.body["session_idle_minutes"], &set.body["sessions_per_member"]),
        (&json!(15), &json!(2))
    );
    assert_eq!(set.body["changed_by"], json!(story.id_of(ANN).to_string()));
    assert_eq!(story.get(ANN, PATH).await.is(200).body, set.body);
    let stale = [("if-match", "\"v0\"")];
    story.send(ANN, Method::PATCH, PATH, &stale, Some(settings.clone())).await.is_problem(412, "changed");
    let fresh = [("if-match", "\"v1\"")];
    story.send(ANN, Method::PATCH, PATH, &fresh, Some(settings.clone())).await.is(200);
    for (field, value) in [
        ("session_idle_minutes", json!(0)),
        ("session_idle_minutes", json!(43_201)),
        ("session_absolute_hours", json!(0)),
        // Beyond what the installation lets sessions last, it was taken and never held.
        ("session_absolute_hours", json!(721)),
        ("sessions_per_member", json!(0)),
        ("sign_in_addresses", json!([])),
        ("sign_in_addresses", json!(["192.0.2.1/24"])),
        ("sign_in_addresses", json!(["everywhere"])),
    ] {
        let told = story.patch(ANN, PATH, json!({field: value})).await.is_problem(422, "invalid");
        assert_eq!(told.body["fields"][0]["field"], field);
        if value == json!(721) {
            let detail = told.body["fields"][0]["detail"].as_str().unwrap();
            assert!(detail.contains("1 to 720 is expected here"), "{detail}");
        }
    }
    story.patch(BOB, PATH, settings.clone()).await.is_problem(403, "forbidden");
    story.patch(EVE, PATH, settings).await.is_problem(404, "not-found");
    let events = "/api/v1/organizations/toys/audit/events?action=identity_settings.set";
    assert_eq!(story.all(Who::Operator, events, 50, "/action").await.len(), 2);
});

both_engines!(what_a_change_leaves_out_stays_and_null_takes_it_away, async |database| {
    let story = Story::with_password(database).await;
    story
        .ask(json!({
            "second_factor": "privileged", "sign_in_addresses": ["192.0.2.0/24"], "leaked_keys": "revoke", "session_idle_minutes": 15,
        }))
        .await;
    story.ask(json!({"sessions_per_member": 5})).await;
    let kept = story.get(Who::Operator, PATH).await.is(200).body;
    assert_eq!(
        (&kept["second_factor"], &kept["sign_in_addresses"], &kept["leaked_keys"]),
        (&json!("privileged"), &json!(["192.0.2.0/24"]), &json!("revoke"))
    );
    assert_eq!((&kept["session_idle_minutes"], &kept["sessions_per_member"]), (&json!(15), &json!(5)));
    // What cannot be taken away stays with null; what can goes, and nothing else.
    story.ask(json!({"sign_in_addresses": null, "second_factor": null, "leaked_keys": null})).await;
    let told = story.get(Who::Operator, PATH).await.is(200).body;
    assert!(told["sign_in_addresses"].is_null());
    for field in ["second_factor", "leaked_keys", "session_idle_minutes", "sessions_per_member"] {
        assert_eq!(told[field], kept[field], "{field}");
    }
    // The trail has what was taken away.
    let events = "/api/v1/organizations/toys/audit/events?action=identity_settings.set";
    let events = story.get(Who::Operator, events).await.is(200).body;
    let event = &events["items"][0];
    assert_eq!(event["before"]["sign_in_addresses"], json!(["192.0.2.0/24"]), "{event:#}");
    assert!(event["after"]["sign_in_addresses"].is_null());
    // Nothing replaces the whole.
    story.put(Who::Operator, PATH, json!({"sessions_per_member": 5})).await.is(405);
});

both_engines!(
    /// Attack 35, with the limits of an organization, for sessions that are under way, too.
    an_organization_ends_sessions_earlier,
    async |database| {
        let story = Story::with_password(database).await;
        let refresh = async |token: &Value| {
            story.wire(Method::POST, REFRESH, &[], None, Some(json!({"refresh_token": token}))).await
        };
        let begun = story.log_in("ann@toys.example", PASSWORD).await.is(200).body;
        story.ask(json!({"session_idle_minutes": 15, "session_absolute_hours": 2})).await;
        let mut next = refresh(&begun["refresh_token"]).await.is(200).body;
        for _ in 0..8 {
            story.wait_seconds(14 * 60).await;
            next = refresh(&next["refresh_token"]).await.is(200).body;
        }
        story.wait_seconds(14 * 60).await;
        refresh(&next["refresh_token"]).await.is(401);
        let begun = story.log_in("ann@toys.example", PASSWORD).await.is(200).body;
        assert_eq!(begun["session_expires_at"], "2027-01-15T12:06:00Z");
        story.wait_seconds(15 * 60).await;
        refresh(&begun["refresh_token"]).await.is(401);
    }
);

both_engines!(a_session_too_many_ends_the_one_used_longest_ago, async |database| {
    let story = Story::with_password(database).await;
    story.ask(json!({"sessions_per_member": 2})).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200)));
        story.pass(1);
    }
    let mut statuses = Vec::new();
    for token in &tokens {
        statuses.push(story.with_token(token, Method::GET, "/api/v1/me", None).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 200, 200]);
});

both_engines!(nobody_signs_in_from_an_address_that_is_not_allowed, async |database| {
    let story = Story::with_password(database).await;
    let begun = story.log_in_from("198.51.100.7", None).await.is(200).body;
    story.ask(json!({"sign_in_addresses": ["192.0.2.0/24", "2001:db8::/32"]})).await;
    for outside in ["198.51.100.7", "192.0.3.1"] {
        story.log_in_from(outside, None).await.is_problem(403, "forbidden");
    }
    story.log_in_from("192.0.2.9", None).await.is(200);
    let refresh = json!({"refresh_token": begun["refresh_token"]});
    story.wire(Method::POST, REFRESH, &[], Some("198.51.100.7"), Some(refresh.clone())).await.is(403);
    story.wire(Method::POST, REFRESH, &[], Some("192.0.2.9"), Some(refresh)).await.is(200);
    let begun = "/api/v1/organizations/toys/audit/events?action=session.begin";
    let told = story.get(Who::Operator, begun).await.is(200);
    let denied = told.body["items"].as_array().unwrap().iter().filter(|event| event["outcome"] == "denied");
    let reasons: Vec<&Value> = denied.map(|event| &event["reason"]).collect();
    assert_eq!(reasons, ["from an address the organization does not allow"; 2]);

    // A session for none in particular opens toys as well, so the rules of toys hold for it.
    story.hire("trade", ANN).await;
    story.log_in_from("198.51.100.7", None).await.is(403);
    let trade = token_of(&story.log_in_from("198.51.100.7", Some("trade")).await.is(200));
    let turn = Some(json!({"organization": "toys"}));
    let bearer = format!("Bearer {trade}");
    let headers = [("authorization", bearer.as_str())];
    let told = story.wire(Method::POST, "/api/v1/auth/switch", &headers, Some("198.51.100.7"), turn).await;
    told.is_problem(403, "forbidden");
});

both_engines!(nobody_locks_themselves_out_by_their_own_list, async |database| {
    let story = Story::with_password(database).await;
    let token = token_of(&story.log_in_from("192.0.2.9", Some("toys")).await.is(200));
    let bearer = format!("Bearer {token}");
    let set = async |blocks: Value| {
        let body = Some(json!({"sign_in_addresses": blocks}));
        story.wire(Method::PATCH, PATH, &[("authorization", &bearer)], Some("192.0.2.9"), body).await
    };
    set(json!(["198.51.100.0/24"])).await.is_problem(422, "invalid");
    set(json!(["198.51.100.0/24", "192.0.2.0/24"])).await.is(200);
});
