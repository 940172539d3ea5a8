//! Guesses at passwords: by account, by device, by address, and who is not slowed down by them.

use super::auth::PASSWORD;
use super::{Story, Told};
use charter_testkit::both_engines;
use http::Method;
use serde_json::json;

const LOGIN: &str = "/api/v1/auth/login";

impl Story {
    async fn guess(&self, login: &str, password: &str, from: &str, device: Option<&str>) -> Told {
        let body = json!({"login": login, "password": password, "device_token": device});
        self.wire(Method::POST, LOGIN, &[], Some(from), Some(body)).await
    }
}

both_engines!(
    /// Attack 55: the owner gets in from a device that is known, at once; and from any other after the delay.
    the_owner_is_not_slowed_down_on_a_device_that_is_known,
    async |database| {
        let story = Story::with_password(database).await;
        let ann = "ann@toys.example";
        let begun = story.guess(ann, PASSWORD, "192.0.2.1", None).await.is(200);
        let device = begun.body["device_token"].as_str().unwrap().to_owned();
        for number in 0..1_000 {
            let from = format!("10.0.{}.{}", number / 250, number % 250);
            let told = story.guess(ann, "wrong horse battery", &from, None).await;
            assert_eq!(told.status.as_u16(), if number < 5 { 401 } else { 429 });
        }
        story.guess(ann, PASSWORD, "192.0.2.1", None).await.is_problem(429, "throttled");
        let known = story.guess(ann, PASSWORD, "192.0.2.1", Some(&device)).await.is(200);
        assert!(known.body["device_token"].is_null(), "it is known already");
        for bad in ["", "x", &device[1..], &"A".repeat(10_000)] {
            story.guess(ann, PASSWORD, "192.0.2.1", Some(bad)).await.is_problem(429, "throttled");
        }
        // A stolen device is slowed down as everybody is, and its guesses do not slow down the account.
        for _ in 0..5 {
            story.guess(ann, "wrong horse battery", "192.0.2.2", Some(&device)).await.is(401);
        }
        story.guess(ann, PASSWORD, "192.0.2.2", Some(&device)).await.is_problem(429, "throttled");
        story.pass(2);
        story.guess(ann, PASSWORD, "192.0.2.2", None).await.is(200);
        story.guess(ann, PASSWORD, "192.0.2.2", Some(&device)).await.is(200);
    }
);

both_engines!(
    /// Attack 102: of another account it is worth nothing.
    a_device_is_known_to_its_account_alone,
    async |database| {
        let story = Story::with_password(database).await;
        let begun = story.guess("ann@toys.example", PASSWORD, "192.0.2.1", None).await.is(200);
        let device = begun.body["device_token"].as_str().unwrap().to_owned();
        for _ in 0..5 {
            story.guess("bob@toys.example", PASSWORD, "192.0.2.1", Some(&device)).await.is(401);
        }
        story.guess("bob@toys.example", PASSWORD, "192.0.2.1", Some(&device)).await.is_problem(429, "throttled");
    }
);

both_engines!(
    /// Attacks 58 and 60: an address is slowed down whatever of its own /64 it shows, and nobody else with it.
    an_address_is_its_whole_block_and_nobody_elses,
    async |database| {
        let story = Story::with_password(database).await;
        let mut statuses = Vec::new();
        for number in 0..40 {
            let login = format!("user{number}@toys.example");
            let body = json!({"login": login, "password": "wrong horse battery"});
            let headers = [("x-forwarded-for", "2001:db8:9::1")];
            let from = format!("[2001:db8:1:1::{number:x}]");
            statuses.push(story.wire(Method::POST, LOGIN, &headers, Some(&from), Some(body)).await.status.as_u16());
        }
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 10);
        story.guess("ann@toys.example", PASSWORD, "[2001:db8:9::1]", None).await.is(200);
        story.guess("ann@toys.example", PASSWORD, "[2001:db8:1:2::1]", None).await.is(200);
    }
);

both_engines!(
    /// Attack 61: however a login is written, it is one account and one counter.
    one_login_is_one_counter_however_it_is_written,
    async |database| {
        let story = Story::with_password(database).await;
        let forms = ["ann@toys.example", "ANN@TOYS.EXAMPLE", " Ann@toys.example ", "\u{ff41}nn@toys.example", "ann@Toys.Example"];
        for (number, form) in forms.iter().enumerate() {
            story.guess(form, "wrong horse battery", &format!("192.0.2.{number}"), None).await.is(401);
        }
        story.guess("ann@toys.example", PASSWORD, "192.0.2.99", None).await.is_problem(429, "throttled");
    }
);

both_engines!(
    /// Attack 64: two hundred at once are answered, or told when to come back; nobody waits for ever.
    two_hundred_sign_ins_at_once_are_answered_or_told_when_to_come_back,
    async |database| {
        let story = Story::with_password(database).await;
        let guesses = (0..200).map(|number| {
            let story = &story;
            async move {
                let login = format!("user{number}@toys.example");
                story.guess(&login, "wrong horse battery", &format!("10.1.0.{number}"), None).await
            }
        });
        for told in futures_util::future::join_all(guesses).await {
            match told.status.as_u16() {
                401 => {}
                503 => assert!(!told.header("retry-after").is_empty()),
                other => panic!("{other}: {:#}", told.body),
            }
        }
        story.guess("ann@toys.example", PASSWORD, "192.0.2.1", None).await.is(200);
    }
);
