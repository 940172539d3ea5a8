//! How API keys are used: counted, told of when it is unusual, and when they end soon.

use super::api_key::KEYS;
use super::{BOB, Story, Told, Who};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

impl Story {
    async fn me_from(&self, token: &str, address: &str) -> Told {
        let bearer = format!("Bearer {token}");
        self.wire(Method::GET, "/api/v1/me", &[("authorization", &bearer)], Some(address), None).await
    }

    /// What the trail of toys says of keys, newest first.
    pub async fn told_of(&self, action: &str) -> Vec<Value> {
        let path = format!("/api/v1/organizations/toys/audit/events?action={action}");
        self.get(Who::Operator, &path).await.is(200).body["items"].as_array().unwrap().clone()
    }
}

both_engines!(uses_are_counted_and_written_together, async |database| {
    let story = Story::with_developers(database).await;
    let (id, token) = story.key(BOB, json!({"name": "x"})).await;
    let before = story.revision("toys").await;
    for address in ["192.0.2.1", "192.0.2.2", "198.51.100.7"] {
        story.me_from(&token, address).await.is(200);
    }
    let path = format!("{KEYS}/{id}");
    assert_eq!(story.get(BOB, &path).await.is(200).body["use_count"], 0, "no check writes");
    story.wait_seconds(29).await;
    assert_eq!(story.get(BOB, &path).await.is(200).body["use_count"], 0);
    assert_eq!(story.revision("toys").await, before);
    story.wait_seconds(1).await;
    let shown = story.get(BOB, &path).await.is(200).body;
    assert_eq!(
        (&shown["use_count"], &shown["last_used_at"], &shown["last_used_address"]),
        (&json!(3), &json!("2027-01-15T08:00:00Z"), &json!("198.51.100.7"))
    );
    story.me_from(&token, "192.0.2.1").await.is(200);
    story.pass(3_600);
    story.me_from(&token, "192.0.2.1").await.is(200);
    story.wait_seconds(30).await;
    let usage = story.get(BOB, &format!("{path}/usage")).await.is(200).body;
    // What waits is counted in the hour of its last use.
    assert_eq!(
        usage["hours"],
        json!([{"hour": "2027-01-15T08:00:00Z", "uses": 3, "refusals": 0}, {"hour": "2027-01-15T09:00:00Z", "uses": 2, "refusals": 0}])
    );
    let networks: Vec<&str> =
        usage["networks"].as_array().unwrap().iter().map(|it| it["network"].as_str().unwrap()).collect();
    assert_eq!(networks, ["192.0.2.0/24", "198.51.100.0/24"]);
    story.get(BOB, &format!("{path}/usage?days=401")).await.is_problem(422, "invalid");
    story
        .get(BOB, &format!("{KEYS}/0193e7a0-0000-7000-8000-000000000001/usage"))
        .await
        .is_problem(404, "not-found");
    // What waits when the service ends is written, too.
    story.me_from(&token, "192.0.2.1").await.is(200);
    story.app.identity().close(&story.app).await;
    assert_eq!(story.get(BOB, &path).await.is(200).body["use_count"], 6);
});

both_engines!(unusual_use_is_told_on_the_trail, async |database| {
    let story = Story::with_developers(database).await;
    let (id, token) =
        story.key(BOB, json!({"name": "x", "addresses": ["192.0.2.0/24", "198.51.100.0/24"]})).await;
    story.me_from(&token, "192.0.2.1").await.is(200);
    story.wait_seconds(30).await;
    let first = story.told_of("credential.first_use").await;
    assert_eq!(
        (first.len(), &first[0]["target"], &first[0]["after"]["networks"]),
        (1, &json!(id), &json!(["192.0.2.0/24"]))
    );

    story.me_from(&token, "192.0.2.200").await.is(200);
    story.wait_seconds(30).await;
    assert!(story.told_of("credential.new_network").await.is_empty(), "the same network");
    story.me_from(&token, "198.51.100.7").await.is(200);
    story.wait_seconds(30).await;
    let told = story.told_of("credential.new_network").await;
    assert_eq!((told.len(), &told[0]["after"]["networks"]), (1, &json!(["198.51.100.0/24"])));

    for _ in 0..25 {
        story.me_from(&token, "203.0.113.9").await.is(401);
    }
    story.wait_seconds(30).await;
    for _ in 0..25 {
        story.me_from(&token, "203.0.113.9").await.is(401);
    }
    story.wait_seconds(30).await;
    let told = story.told_of("credential.refusals").await;
    assert_eq!((told.len(), &told[0]["after"]["refusals"]), (1, &json!(25)), "one an hour");
    let usage = story.get(BOB, &format!("{KEYS}/{id}/usage")).await.is(200).body;
    assert_eq!(usage["hours"][0]["refusals"], 50);

    // Until 23 o'clock of the next day.
    story.wait_seconds(39 * 3_600).await;
    story.me_from(&token, "192.0.2.1").await.is(200);
    story.wait_seconds(30).await;
    story.me_from(&token, "192.0.2.1").await.is(200);
    story.wait_seconds(3_600).await;
    assert_eq!(story.told_of("credential.first_night").await.len(), 1);
    assert_eq!(story.told_of("credential.new_network").await.len(), 1);
});

both_engines!(a_key_is_the_password_of_basic_and_its_key_id_the_user_name, async |database| {
    let story = Story::with_developers(database).await;
    let (id, token) = story.key(BOB, json!({"name": "x"})).await;
    let shown = story.get(BOB, &format!("{KEYS}/{id}")).await.is(200).body;
    let key_id = shown["key_id"].as_str().unwrap();
    let me = async |credential: &str| {
        let headers = [("authorization", credential)];
        story.wire(Method::GET, "/api/v1/me", &headers, None, None).await
    };
    let basic =
        |user: &str, password: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    me(&basic(key_id, &token)).await.is(200);
    for wrong in [basic(&id, &token), basic("bob@toys.example", "correct horse"), "Basic x".to_owned()] {
        let told = me(&wrong).await.is_problem(401, "unauthenticated");
        assert!(told.body["detail"].as_str().unwrap().contains("`key_id`"), "{:#}", told.body);
        let asked: Vec<_> = told.headers.get_all("www-authenticate").iter().collect();
        assert!(asked.len() == 2 && asked[1].as_bytes().starts_with(b"Basic "), "{asked:?}");
    }
    // Browsers would ask people for their passwords.
    for other in ["Bearer x", "Bearer chk_live_x"] {
        assert_eq!(me(other).await.is(401).headers.get_all("www-authenticate").iter().count(), 1);
    }
});

both_engines!(
    /// Attack 89: what is beyond the rate of a key is among its refusals, and costs no write.
    a_request_beyond_the_rate_of_a_key_is_counted_as_refused,
    async |database| {
        let story = Story::with_developers(database).await;
        let (id, token) = story.key(BOB, json!({"name": "x", "requests_per_minute": 2})).await;
        let before = story.revision("toys").await;
        for status in [200, 200, 429, 429, 429] {
            story.me_from(&token, "192.0.2.1").await.is(status);
        }
        assert_eq!(story.revision("toys").await, before);
        story.wait_seconds(30).await;
        let usage = story.get(BOB, &format!("{KEYS}/{id}/usage")).await.is(200).body;
        assert_eq!((&usage["hours"][0]["uses"], &usage["hours"][0]["refusals"]), (&json!(2), &json!(3)));
    }
);

both_engines!(the_end_of_a_key_is_told_30_7_and_1_days_before, async |database| {
    let story = Story::with_developers(database).await;
    let day = 86_400;
    let (id, _) = story.key(BOB, json!({"name": "x", "expires_at": "2027-02-24T08:00:00Z"})).await;
    let (_, _) = story.key(BOB, json!({"name": "short", "expires_at": "2027-01-15T20:00:00Z"})).await;
    let (gone, _) = story.key(BOB, json!({"name": "gone", "expires_at": "2027-02-24T08:00:00Z"})).await;
    story.delete(BOB, &format!("{KEYS}/{gone}")).await.is(200);
    let told = async || -> Vec<i64> {
        let told = story.told_of("credential.expiring").await;
        assert!(told.iter().all(|it| it["target"] == id), "{told:?}");
        told.iter().map(|it| it["after"]["days"].as_i64().unwrap()).collect()
    };
    story.wait_seconds(3_601).await;
    assert!(told().await.is_empty(), "forty days are left, and the short one was made to be short");
    for (days, expected) in
        [(10, vec![30]), (1, vec![30]), (22, vec![7, 30]), (6, vec![1, 7, 30]), (1, vec![1, 7, 30])]
    {
        story.wait_seconds(days * day).await;
        story.wait_seconds(3_601).await;
        assert_eq!(told().await, expected, "{days}");
    }
});
