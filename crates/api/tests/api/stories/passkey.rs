//! Passkeys over HTTP: as second factor, alone, and in each way they must not be taken.

use super::auth::{PASSWORD, token_of};
use super::factor::{Equipped, LOGIN, equipped};
use super::mail::Postbox;
use super::{Story, Told, Who};
use charter_testkit::authenticator::Passkey;
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const NEW: &str = "/api/v1/me/factors/passkeys";
const OPTIONS: &str = "/api/v1/auth/passkey/options";
const ALONE: &str = "/api/v1/auth/passkey";
const HERE: &str = "https://charter.example";

impl Story {
    async fn new_passkey(&self, token: &str) -> Value {
        self.with_token(token, Method::POST, &format!("{NEW}/options"), None).await.is(200).body
    }

    async fn add_passkey(&self, token: &str) -> (Passkey, Told) {
        let options = self.new_passkey(token).await;
        let (passkey, handed) = Passkey::make(&options["public_key"], HERE);
        let body = json!({"challenge": options["challenge"], "name": "laptop", "credential": handed});
        let told = self.with_token(token, Method::POST, NEW, Some(body)).await.is(201);
        (passkey, told)
    }

    async fn passkey_options(&self) -> Value {
        self.wire(Method::POST, OPTIONS, &[], Some("192.0.2.1"), None).await.is(200).body
    }

    async fn alone(&self, options: &Value, handed: Value) -> Told {
        let body = json!({"challenge": options["challenge"], "credential": handed});
        self.wire(Method::POST, ALONE, &[], Some("192.0.2.1"), Some(body)).await
    }

    async fn amr(&self, token: &str) -> Value {
        self.with_token(token, Method::GET, "/api/v1/me", None).await.is(200).body["amr"].clone()
    }
}

/// Ann of toys with a passkey.
async fn with_passkey(database: charter_testkit::database::TestDatabase) -> (Story, Passkey, String) {
    let story = Story::with_password(database).await;
    let token = token_of(&story.log_in(LOGIN, PASSWORD).await.is(200));
    let (passkey, told) = story.add_passkey(&token).await;
    let token = told.body["session"]["access_token"].as_str().unwrap().to_owned();
    (story, passkey, token)
}

both_engines!(a_passkey_is_a_second_factor_and_enough_without_a_password, async |database| {
    let story = Story::with_password(database).await;
    let first = token_of(&story.log_in(LOGIN, PASSWORD).await.is(200));
    let elsewhere = token_of(&story.log_in(LOGIN, PASSWORD).await.is(200));
    let options = story.new_passkey(&first).await;
    let asked = &options["public_key"];
    assert_eq!((&asked["rp"]["id"], &asked["attestation"]), (&json!("charter.example"), &json!("none")));
    assert_eq!(asked["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(asked["excludeCredentials"], json!([]));
    let (mut passkey, added) = story.add_passkey(&first).await;
    assert_eq!(added.body["recovery_codes"].as_array().unwrap().len(), 10);
    let token = added.body["session"]["access_token"].as_str().unwrap().to_owned();
    assert!(!story.works(&first).await && !story.works(&elsewhere).await);
    assert_eq!(story.amr(&token).await, json!(["pwd", "hwk", "mfa"]));
    let again = story.new_passkey(&token).await;
    assert_eq!(again["public_key"]["excludeCredentials"].as_array().unwrap().len(), 1);

    let told = story.log_in(LOGIN, PASSWORD).await.is(200);
    assert_eq!(told.body["methods"], json!(["passkey", "recovery_code"]));
    let handed = passkey.answer(&told.body["passkey"]);
    let done =
        story.answer(told.body["challenge"].as_str().unwrap(), json!({"passkey": handed})).await.is(200);
    assert_eq!(story.amr(&token_of(&done)).await, json!(["pwd", "hwk", "mfa"]));

    let options = story.passkey_options().await;
    assert_eq!(options["public_key"]["allowCredentials"], json!([]), "whoever asks learns of no account");
    let handed = passkey.answer(&options["public_key"]);
    let done = story.alone(&options, handed.clone()).await.is(200);
    assert_eq!(story.amr(&token_of(&done)).await, json!(["hwk", "mfa"]));
    let toys = story.app.resolve_organization("toys").await.unwrap().to_string();
    assert_eq!(done.body["organization_id"], json!(toys));
    assert!(done.body["refresh_token"].is_string());

    // From a new place its owner is told.
    let post = Postbox::new();
    post.empty(&story.app).await;
    for (address, letters) in [("192.0.2.1", 0), ("198.51.100.7", 1), ("198.51.100.7", 0)] {
        let options = story.passkey_options().await;
        let handed = passkey.answer(&options["public_key"]);
        let body = json!({"challenge": options["challenge"], "credential": handed});
        story.wire(Method::POST, ALONE, &[], Some(address), Some(body)).await.is(200);
        let told = post.empty(&story.app).await;
        assert_eq!(told.len(), letters, "{told:?}");
        assert!(told.iter().all(|letter| letter.recipient == LOGIN && letter.body.contains(address)));
    }

    // A second one, that does not count its uses, and does not say whose it is beside a password.
    let (mut other, told) = story.add_passkey(&token).await;
    assert!(told.body["recovery_codes"].is_null());
    other.counts = false;
    for _ in 0..2 {
        let options = story.passkey_options().await;
        let handed = other.answer(&options["public_key"]);
        story.alone(&options, handed).await.is(200);
    }
    let told = story.log_in(LOGIN, PASSWORD).await.is(200);
    let mut handed = other.answer(&told.body["passkey"]);
    handed["response"].as_object_mut().unwrap().remove("userHandle");
    let challenge = told.body["challenge"].as_str().unwrap();
    story.answer(challenge, json!({"passkey": handed.clone()})).await.is(200);
    let body = json!({"session": "cookie", "challenge": "x", "credential": handed});
    story.wire(Method::POST, ALONE, &[], None, Some(body)).await.is_problem(401, "unauthenticated");
});

both_engines!(
    /// Attack 101: wrong origin, wrong relying party, another kind of ceremony, no check of the user, another challenge.
    a_passkey_counts_on_this_site_for_this_challenge_and_with_its_user_checked,
    async |database| {
        let (story, mut passkey, token) = with_passkey(database).await;
        let wrong = async |handed: Value, options: &Value| {
            story.alone(options, handed).await.is_problem(401, "invalid-credentials");
        };
        let options = story.passkey_options().await;
        let asked = &options["public_key"];
        for origin in ["https://charter.example.evil", "http://charter.example", "https://charter.example:8443", "null", ""] {
            passkey.origin = origin.to_owned();
            wrong(passkey.answer(asked), &options).await;
        }
        passkey.origin = HERE.to_owned();
        passkey.party = Some("evil.example".to_owned());
        wrong(passkey.answer(asked), &options).await;
        passkey.party = None;
        passkey.verifies = false;
        wrong(passkey.answer(asked), &options).await;
        passkey.verifies = true;
        wrong(passkey.answer_as("webauthn.create", asked), &options).await;
        let of_other = passkey.answer(&story.passkey_options().await["public_key"]);
        wrong(of_other, &options).await;
        for part in ["signature", "authenticatorData", "clientDataJSON", "userHandle"] {
            let mut handed = passkey.answer(asked);
            let text = handed["response"][part].as_str().unwrap().to_owned();
            let changed = if text.starts_with('M') { "N" } else { "M" };
            handed["response"][part] = json!(format!("{changed}{}", &text[1..]));
            wrong(handed, &options).await;
        }
        for bad in [json!({}), json!(null), json!({"rawId": "", "type": "public-key", "response": {}})] {
            story.alone(&options, bad).await.is_problem(422, "invalid");
        }
        // All that took nothing from the challenge.
        let handed = passkey.answer(asked);
        story.alone(&options, handed).await.is(200);
        let path = "/api/v1/organizations/platform/audit/events?action=session.begin";
        assert_eq!(story.all(Who::Operator, path, 50, "/reason").await.iter().filter(|it| *it == "wrong passkey").count(), 13);

        // New ones are judged the same.
        let options = story.new_passkey(&token).await;
        for origin in ["https://evil.example", HERE] {
            let (_, mut handed) = Passkey::make(&options["public_key"], origin);
            if origin == HERE {
                handed["response"]["attestationObject"] = json!("oA");
            }
            let body = json!({"challenge": options["challenge"], "credential": handed});
            story.with_token(&token, Method::POST, NEW, Some(body)).await.is_problem(401, "invalid-credentials");
        }
        let (_, handed) = Passkey::make(&story.new_passkey(&token).await["public_key"], HERE);
        let body = json!({"challenge": options["challenge"], "credential": handed});
        story.with_token(&token, Method::POST, NEW, Some(body)).await.is_problem(401, "invalid-credentials");
    }
);

both_engines!(
    /// Attack 101: the same answer again, one after the other and at once; an answer for another program.
    a_challenge_is_answered_once,
    async |database| {
        let (story, mut passkey, _) = with_passkey(database).await;
        passkey.counts = false;
        let options = story.passkey_options().await;
        let handed = passkey.answer(&options["public_key"]);
        let both =
            futures_util::future::join(story.alone(&options, handed.clone()), story.alone(&options, handed.clone())).await;
        let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{:#} {:#}", both.0.body, both.1.body);
        story.alone(&options, handed).await.is_problem(401, "unauthenticated");
        let options = story.passkey_options().await;
        let handed = passkey.answer(&options["public_key"]);
        let body = json!({"challenge": options["challenge"], "credential": handed});
        let headers = [("user-agent", "till/2")];
        story.wire(Method::POST, ALONE, &headers, None, Some(body)).await.is_problem(401, "unauthenticated");
        story.pass(300);
        let late = passkey.answer(&options["public_key"]);
        story.alone(&options, late).await.is_problem(401, "unauthenticated");
    }
);

both_engines!(
    /// Attack 101: a passkey that was used less often than it was is a copy.
    a_passkey_that_goes_back_is_refused,
    async |database| {
        let (story, mut passkey, _) = with_passkey(database).await;
        for (count, status) in [(7, 200), (7, 401), (3, 401), (0, 401), (8, 200)] {
            let options = story.passkey_options().await;
            passkey.counts = false;
            passkey.count = count;
            let handed = passkey.answer(&options["public_key"]);
            story.alone(&options, handed).await.is(status);
        }
        let path = "/api/v1/organizations/platform/audit/events?action=session.begin";
        let reasons = story.all(Who::Operator, path, 50, "/reason").await;
        assert_eq!(reasons.iter().filter(|reason| reason.contains("went back")).count(), 3);
    }
);

both_engines!(a_passkey_is_of_one_account_and_challenges_are_for_one_thing, async |database| {
    let Equipped { story, token, .. } = equipped(database).await;
    story
        .post(Who::Operator, "/api/v1/users/bob@toys.example/password", json!({"password": PASSWORD}))
        .await
        .is(200);
    let bob = token_of(&story.log_in("bob@toys.example", PASSWORD).await.is(200));
    let options = story.new_passkey(&bob).await;
    let (mut of_bob, handed) = Passkey::make(&options["public_key"], HERE);
    let body = json!({"challenge": options["challenge"], "name": "laptop", "credential": handed});
    // The challenge was bob's.
    story.with_token(&token, Method::POST, NEW, Some(body.clone())).await.is_problem(401, "unauthenticated");
    let told = story.with_token(&bob, Method::POST, NEW, Some(body)).await.is(201);
    let bob = told.body["session"]["access_token"].as_str().unwrap().to_owned();
    // Neither his passkey nor the challenge for another thing is ann's second factor.
    let asked = story.log_in(LOGIN, PASSWORD).await.is(200);
    assert!(asked.body["passkey"].is_null());
    let challenge = asked.body["challenge"].as_str().unwrap();
    let options = story.passkey_options().await;
    let handed = of_bob.answer(&options["public_key"]);
    story.answer(challenge, json!({"passkey": handed.clone()})).await.is_problem(401, "invalid-credentials");
    let other = options["challenge"].as_str().unwrap();
    story.answer(other, json!({"passkey": handed})).await.is_problem(401, "unauthenticated");
    let options = json!({"challenge": challenge});
    let handed = of_bob.answer(&json!({"challenge": "AAAA", "rpId": "charter.example"}));
    story.alone(&options, handed).await.is_problem(401, "unauthenticated");
    // One passkey is added once.
    let options = story.new_passkey(&bob).await;
    let (_, handed) = Passkey::make(&options["public_key"], HERE);
    let body = json!({"challenge": options["challenge"], "credential": handed});
    let told = story.with_token(&bob, Method::POST, NEW, Some(body.clone())).await.is(201);
    let bob = told.body["session"]["access_token"].as_str().unwrap().to_owned();
    story.with_token(&bob, Method::POST, NEW, Some(body)).await.is_problem(401, "unauthenticated");
});

both_engines!(a_passkey_proves_again_who_it_is, async |database| {
    let (story, mut passkey, token) = with_passkey(database).await;
    story.pass(600);
    let refused = story.with_token(&token, Method::POST, &format!("{NEW}/options"), None).await;
    refused.is(401);
    let begun = {
        let options = story.passkey_options().await;
        let handed = passkey.answer(&options["public_key"]);
        token_of(&story.alone(&options, handed).await.is(200))
    };
    story.pass(599);
    story.new_passkey(&begun).await;
    story.pass(1);
    let told = story.log_in(LOGIN, PASSWORD).await.is(200);
    let handed = passkey.answer(&told.body["passkey"]);
    let begun = token_of(
        &story.answer(told.body["challenge"].as_str().unwrap(), json!({"passkey": handed})).await.is(200),
    );
    story.pass(599);
    let again = async |body: Value| {
        story.with_token(&begun, Method::POST, "/api/v1/auth/reauthenticate", Some(body)).await
    };
    let options = story.passkey_options().await;
    let handed = passkey.answer(&options["public_key"]);
    again(json!({"passkey": handed.clone()})).await.is_problem(422, "invalid");
    again(json!({})).await.is_problem(401, "second-factor-required");
    again(json!({"passkey": handed.clone(), "challenge": "x"})).await.is_problem(401, "unauthenticated");
    let proved = again(json!({"passkey": handed, "challenge": options["challenge"]})).await.is(200);
    story.pass(10);
    story.new_passkey(&token_of(&proved)).await;
    assert_eq!(story.amr(&token_of(&proved)).await, json!(["pwd", "hwk", "mfa"]));
});
