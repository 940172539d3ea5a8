//! One mailbox, many organizations: what nobody asked for is bounded whoever sends it, and nobody learns from it who is known here.

use super::auth::{PASSWORD, token_of};
use super::{Story, Told, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

/// Mails that a mailbox gets at once.
const AT_ONCE: usize = 20;

fn seen(told: &Told) -> (u16, Value) {
    (told.status.as_u16(), told.body.clone())
}

impl Story {
    /// An organization more, which takes whoever asks.
    async fn found(&self, key: &str) {
        let body = json!({"key": key, "name": key});
        self.post(Who::Operator, "/api/v1/organizations", body).await.is(201);
        let settings = json!({"mode": "approval", "roles": ["viewer"], "default_role": "viewer"});
        let path = format!("/api/v1/organizations/{key}/registration-settings");
        self.patch(Who::Operator, &path, settings).await.is(200);
    }

    async fn invites(&self, key: &str, email: &str) -> Told {
        let path = format!("/api/v1/organizations/{key}/invitations");
        self.post(Who::Operator, &path, json!({"email": email})).await
    }

    async fn asks(&self, key: &str, email: &str) -> Told {
        self.anonymously(&format!("/api/v1/organizations/{key}/registrations"), json!({"email": email})).await
    }
}

both_engines!(
    /// Whoever may found organizations does not flood anybody's mailbox through them.
    a_mailbox_gets_so_many_mails_a_day_from_all_organizations_together, async |database| {
    let story = Story::company(database).await;
    let keys: Vec<String> = (0..AT_ONCE + 2).map(|number| format!("shell{number}")).collect();
    for key in &keys {
        story.found(key).await;
    }
    // However the address is written.
    for (number, key) in keys.iter().take(AT_ONCE).enumerate() {
        let email = if number % 2 == 0 { "dora@far.example".to_owned() } else { format!("Dora+{number}@far.example") };
        story.invites(key, &email).await.is(201);
    }
    assert_eq!(story.letters().await.len(), AT_ONCE);
    let last = &keys[AT_ONCE];
    let told = story.invites(last, "dora@far.example").await.is_problem(429, "throttled");
    assert!(told.body["detail"].as_str().unwrap().contains("this address got as many mails"));
    assert!(told.header("retry-after").parse::<i64>().unwrap() > 3_600);
    // Nothing of it was written, and others are invited.
    let path = format!("/api/v1/organizations/{last}/invitations");
    assert_eq!(story.all(Who::Operator, &path, 50, "/email").await, Vec::<String>::new());
    story.invites(last, "dan@far.example").await.is(201);
    story.letters().await;

    // Strangers have a measure of their own: nobody keeps a mailbox shut by what others may send to it.
    story.asks(last, "dora@far.example").await.is(202);
    let to: Vec<String> = story.letters().await.into_iter().map(|letter| letter.recipient).collect();
    assert_eq!(to, ["dora@far.example"]);
    // So is somebody who wants the address for their own account, known or not.
    story.post(Who::Operator, "/api/v1/users/ann@toys.example/password", json!({"password": PASSWORD})).await.is(200);
    let ann = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
    let body = Some(json!({"email": "dora@far.example"}));
    story.with_token(&ann, Method::POST, "/api/v1/me/email", body).await.is_problem(429, "throttled");
    // A forgotten password is its owner's own affair, and counted elsewhere.
    story.letters().await;
    story.anonymously("/api/v1/auth/forgot-password", json!({"email": "ann@toys.example"})).await.is(202);
    assert_eq!(story.letters().await.len(), 1);

    // A twentieth of a day later there is room for one.
    story.pass(86_400 / AT_ONCE as i64);
    story.invites(last, "dora@far.example").await.is(201);
    story.invites(&keys[AT_ONCE + 1], "dora@far.example").await.is_problem(429, "throttled");
});

both_engines!(
    /// One organization does not use up what all may send.
    a_mailbox_gets_five_mails_a_day_from_one_organization, async |database| {
    let story = Story::company(database).await;
    for key in ["shell", "other"] {
        story.found(key).await;
    }
    for number in 0..5 {
        story.invites("shell", &format!("dora+{number}@far.example")).await.is(201);
    }
    story.invites("shell", "dora@far.example").await.is_problem(429, "throttled");
    story.invites("other", "dora@far.example").await.is(201);
});

both_engines!(a_mailbox_that_is_full_is_so_for_known_addresses_too, async |database| {
    let story = Story::company(database).await;
    let mut answers = Vec::new();
    for number in 0..AT_ONCE + 1 {
        let key = format!("shell{number}");
        story.found(&key).await;
        for email in ["ann@toys.example", "dora@far.example"] {
            answers.push(seen(&story.asks(&key, email).await));
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]) && answers[0].0 == 202);
    let mut to: Vec<String> = story.letters().await.into_iter().map(|letter| letter.recipient).collect();
    to.sort();
    let each = |email: &str| vec![email.to_owned(); AT_ONCE];
    assert_eq!(to, [each("ann@toys.example"), each("dora@far.example")].concat());
});
