//! An address that was given up is kept for its owner while the change can be taken back, and what was made meanwhile ends with it.

use super::auth::{PASSWORD, token_of};
use super::invitation::{NEW, code_in};
use super::{ANN, EVE, Story, Told, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const KEYS: &str = "/api/v1/api-keys";
const HASH: &str = "pbkdf2_sha256$260000$seasalt$YlZ2Vggtqdc61YjArZuoApoBh9JNGYoDRBUGu6tcJQo=";

fn seen(told: &Told) -> (u16, Value) {
    (told.status.as_u16(), told.body.clone())
}

impl Story {
    /// Ann has another address from now on; gives the code that takes it back.
    pub async fn ann_moves_to(&self, email: &str) -> String {
        let ann = token_of(&self.log_in("ann@toys.example", PASSWORD).await.is(200));
        self.letters().await;
        self.with_token(&ann, Method::POST, "/api/v1/me/email", Some(json!({"email": email}))).await.is(202);
        let code = self.code("email").await;
        let body = json!({"token": code.strip_prefix("prove.").unwrap()});
        self.anonymously("/api/v1/email/prove", body).await.is(204);
        self.code("email").await.strip_prefix("undo.").unwrap().to_owned()
    }

    pub async fn take_back(&self, token: &str) -> Told {
        self.anonymously("/api/v1/email/undo", json!({"token": token})).await
    }
}

both_engines!(nobody_gets_an_account_with_an_address_that_is_kept_for_its_owner, async |database| {
    let story = Story::with_password(database).await;
    let open = json!({"mode": "approval", "roles": ["viewer"], "default_role": "viewer"});
    for key in ["toys", "trade"] {
        story
            .patch(Who::Operator, &format!("/api/v1/organizations/{key}/registration-settings"), open.clone())
            .await
            .is(200);
    }
    let (old, ask) = ("ann@toys.example", "/api/v1/organizations/trade/registrations");
    let back = story.ann_moves_to("ann@plush.example").await;

    for key in ["toys", "trade"] {
        let path = format!("/api/v1/organizations/{key}/members");
        let told = story.post(Who::Operator, &path, json!({"login": old})).await.is_problem(409, "taken");
        assert!(
            told.body["detail"].as_str().unwrap().contains("kept for its owner until 2027-01-22"),
            "{:#}",
            told.body
        );
        story
            .post(Who::Operator, &format!("{path}?dry_run=true"), json!({"login": old}))
            .await
            .is_problem(409, "taken");
    }
    story
        .post(EVE, "/api/v1/organizations/trade/members", json!({"login": old}))
        .await
        .is_problem(409, "taken");
    story
        .post(EVE, "/api/v1/organizations/trade/invitations", json!({"email": " Ann@Toys.example"}))
        .await
        .is_problem(409, "taken");
    let users = json!({"users": [{"login": old, "password_hash": HASH}]});
    let told = story.post(Who::Operator, "/api/v1/users/import", users).await.is_problem(422, "invalid");
    assert_eq!(told.body["fields"][0]["field"], "users/0/login");
    // From outside it looks like any other address; its reader is told.
    let free = story.anonymously(ask, json!({"email": "dora@toys.example"})).await.is(202);
    assert_eq!(seen(&story.anonymously(ask, json!({"email": old})).await), seen(&free));
    let letters = story.letters().await;
    let letter = letters.iter().find(|it| it.recipient == old).unwrap();
    assert_eq!(letter.subject, "Your address is kept for its owner");
    assert!(!letter.body.contains('#'), "there is nothing to prove");
    // Another account does not move to it, and is not told why.
    story.password_for("bob@toys.example").await;
    let bob = token_of(&story.log_in("bob@toys.example", PASSWORD).await.is(200));
    story.letters().await;
    let body = Some(json!({"email": old}));
    story.with_token(&bob, Method::POST, "/api/v1/me/email", body).await.is(202);
    assert!(!story.letters().await[0].body.contains('#'));
    // Its owner goes back to it, in either way.
    assert!(story.logins().await.contains(&"ann@plush.example".to_owned()));
    story.take_back(&back).await.is(204);
    assert!(story.logins().await.contains(&old.to_owned()));
});

both_engines!(an_address_is_free_when_the_way_back_ends_and_always_for_its_owner, async |database| {
    let story = Story::with_password(database).await;
    let back = story.ann_moves_to("ann@plush.example").await;
    let trade = "/api/v1/organizations/trade/members";
    // The owner moves back by a change of her own.
    let ann = token_of(&story.log_in("ann@plush.example", PASSWORD).await.is(200));
    story.letters().await;
    let body = Some(json!({"email": "ann@toys.example"}));
    story.with_token(&ann, Method::POST, "/api/v1/me/email", body).await.is(202);
    let code = story.code("email").await;
    let body = json!({"token": code.strip_prefix("prove.").unwrap()});
    story.anonymously("/api/v1/email/prove", body).await.is(204);
    story.post(Who::Operator, trade, json!({"login": "ann@plush.example"})).await.is_problem(409, "taken");
    // What she went back to is hers, and another organization invites her there.
    let open = json!({"mode": "approval", "roles": ["viewer"], "default_role": "viewer"});
    story.patch(Who::Operator, "/api/v1/organizations/trade/registration-settings", open).await.is(200);
    let invitations = "/api/v1/organizations/trade/invitations";
    story.post(Who::Operator, invitations, json!({"email": "ann@toys.example"})).await.is(201);
    story
        .post(Who::Operator, invitations, json!({"email": "ann@plush.example"}))
        .await
        .is_problem(409, "taken");
    story.pass(7 * 86_400);
    story.post(Who::Operator, trade, json!({"login": "ann@plush.example"})).await.is(201);
    story.take_back(&back).await.is_problem(410, "gone");
});

both_engines!(
    /// Attack 77 goes on: a key outlives every session.
    keys_that_were_made_with_the_change_end_when_it_is_taken_back, async |database| {
    let story = Story::with_password(database).await;
    let robot = json!({"login": "web-shop", "kind": "service_account"});
    story.post(ANN, "/api/v1/organizations/toys/members", robot).await.is(201);
    let make = async |name: &str, account: Option<&str>| {
        let made = story.post(ANN, KEYS, json!({"name": name, "account": account})).await.is(201).body;
        (made["api_key"]["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
    };
    let (_, long_ago) = make("laptop", None).await;
    let (_, shop) = make("shop", Some("web-shop")).await;
    for _ in 0..2 {
        story.wait_seconds(4 * 86_400).await;
    }
    let (before, shortly_before) = make("phone", None).await;
    let (_, shop_before) = make("shop two", Some("web-shop")).await;
    story.pass(60);
    let back = story.ann_moves_to("thief@evil.example").await;
    story.pass(60);
    let (since, meanwhile) = make("thief", None).await;
    let (aside, shop_meanwhile) = make("thief's shop", Some("web-shop")).await;
    let of_bob = story.me(&shop_meanwhile).await.is(200);
    assert_eq!(of_bob.body["login"], "web-shop");

    story.take_back(&back).await.is(204);
    for (token, is_good) in [
        (&long_ago, true), (&shop, true), (&shop_before, true),
        (&shortly_before, false), (&meanwhile, false), (&shop_meanwhile, false),
    ] {
        assert_eq!(story.me(token).await.status.as_u16(), if is_good { 200 } else { 401 });
    }
    let mut revoked = story.all(Who::Operator, "/api/v1/organizations/toys/audit/events?action=credential.revoke", 50, "/target").await;
    revoked.sort();
    let mut expected = vec![before, since];
    expected.sort();
    assert_eq!(revoked, expected);
    let events = "/api/v1/organizations/toys/audit/events?action=credential.quarantine";
    assert_eq!(story.all(Who::Operator, events, 50, "/target").await, std::slice::from_ref(&aside));
    let told = story.get(Who::Operator, events).await.is(200);
    assert_eq!(told.body["items"][0]["reason"], "a change of the address was taken back");
    assert_eq!(told.body["items"][0]["actor"]["login"], "ann@toys.example");
    // Who has looked takes what was put aside in use again.
    story.post(Who::Operator, &format!("/api/v1/organizations/toys/api-keys/{aside}/release"), json!({"reason": "ours"})).await.is(200);
    story.me(&shop_meanwhile).await.is(200);
    let letters = story.letters().await;
    let letter = letters.iter().find(|it| it.subject == "Your account has its old address again").unwrap();
    assert!(letter.body.contains("API keys"), "{}", letter.body);
    let code = code_in(letter, "reset-password");
    story.anonymously("/api/v1/auth/reset-password", json!({"token": code, "password": NEW})).await.is(204);
});
