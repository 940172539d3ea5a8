//! Tokens of a former system end where its user is signed out everywhere: by a new password, however it came, and by ending sessions.

use super::auth::{PASSWORD, token_of};
use super::invitation::NEW;
use super::{ANN, BOB, Story, Who};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_app::identity::{legacy_caller, legacy_secret};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use http::Method;
use serde_json::{Value, json};

pub const SECRET: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";
const EXCHANGE: &str = "/api/v1/auth/exchange";
const END: &str = "/api/v1/organizations/toys/members/ann@toys.example/sessions";

pub fn signed(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes())))
}

impl Story {
    /// The company with a password for ann, where tokens of a former system are taken.
    async fn after_a_former_system(database: TestDatabase) -> Self {
        let story = Self::with_password(database).await;
        let file = legacy_secret::read(&format!("SECRET_KEY={SECRET}")).unwrap();
        legacy_caller::take(&story.app, &file, &legacy_caller::Terms::default()).await.unwrap();
        // The password that was just set ends what was issued until now, by clocks that may be a minute apart.
        story.pass(61);
        story.letters().await;
        story
    }

    /// A token the former system issues now.
    fn former(&self, login: &str) -> String {
        let now = self.now().seconds();
        signed(&json!({"sub": login, "iat": now, "exp": now + 7 * 86_400}))
    }

    pub async fn takes(&self, token: &str) -> bool {
        match self.with_token(token, Method::GET, "/api/v1/me", None).await.status.as_u16() {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }

    /// Somebody's former token, once it was shown to be taken and a minute went by.
    async fn good_until_now(&self, login: &str) -> String {
        let token = self.former(login);
        assert!(self.takes(&token).await);
        self.pass(60);
        token
    }

    /// It is over for good, and one that comes after is none the worse.
    async fn is_over(&self, token: &str, login: &str) {
        assert!(!self.takes(token).await);
        self.with_token(token, Method::POST, EXCHANGE, Some(json!({}))).await.is(401);
        // Nobody can tell by which clock it came before: for a minute none is taken.
        self.pass(60);
        assert!(!self.takes(&self.former(login)).await);
        self.pass(1);
        assert!(self.takes(&self.former(login)).await);
    }
}

both_engines!(a_new_password_ends_the_tokens_of_a_former_system, async |database| {
    let story = Story::after_a_former_system(database).await;
    let (ann, bob) = ("ann@toys.example", "bob@toys.example");
    let of_bob = story.good_until_now(bob).await;
    let timeless = signed(&json!({"sub": ann, "exp": story.now().seconds() + 7 * 86_400}));

    // Ann changes hers.
    let token = story.good_until_now(ann).await;
    let session = token_of(&story.log_in(ann, PASSWORD).await.is(200));
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    story.with_token(&session, Method::POST, "/api/v1/me/password", Some(body)).await.is(200);
    story.is_over(&token, ann).await;

    // She forgot it, and a mail brings another.
    let token = story.good_until_now(ann).await;
    story.letters().await;
    story.anonymously("/api/v1/auth/forgot-password", json!({"email": ann})).await.is(202);
    let code = story.code("reset-password").await;
    let body = json!({"token": code, "password": "a wholly other phrase"});
    story.anonymously("/api/v1/auth/reset-password", body).await.is(204);
    story.is_over(&token, ann).await;

    // The operator sets one.
    let token = story.good_until_now(ann).await;
    let path = "/api/v1/users/ann@toys.example/password";
    story.post(Who::Operator, path, json!({"password": "yet another long phrase"})).await.is(200);
    story.is_over(&token, ann).await;

    // One that does not say when it was issued never counts again; others' go on.
    assert!(!story.takes(&timeless).await);
    assert!(story.takes(&of_bob).await);
    story
        .post(Who::Operator, "/api/v1/users/bob@toys.example/password", json!({"password": NEW}))
        .await
        .is(200);
    story.is_over(&of_bob, bob).await;
});

both_engines!(
    /// The session is written and not committed when the others end, or the other way around.
    a_token_that_is_exchanged_while_sessions_end_leaves_none,
    async |database| {
        let story = Story::after_a_former_system(database).await;
        let ann = "ann@toys.example";
        let path = format!("{END}?reason=stolen");
        for is_first in [true, false] {
            let token = story.good_until_now(ann).await;
            let exchange = story.with_token(&token, Method::POST, EXCHANGE, Some(json!({})));
            let end = story.delete(Who::Operator, &path);
            let (exchanged, ended) = story.at_once_led(is_first, exchange, end).await;
            ended.is(200);
            if exchanged.status.as_u16() == 200 {
                assert!(!story.takes(&token_of(&exchanged)).await, "{is_first}");
            }
            assert!(!story.takes(&token).await);
            story.pass(120);
        }
    }
);

both_engines!(whoever_is_signed_out_everywhere_has_no_token_of_a_former_system_left, async |database| {
    let story = Story::after_a_former_system(database).await;
    let ann = "ann@toys.example";
    let first = story.former(ann);
    let exchanged = story.with_token(&first, Method::POST, EXCHANGE, None).await.is(200);
    story.pass(60);

    // By herself: the session she does it in goes on, and so does its token.
    let token = story.good_until_now(ann).await;
    let session = token_of(&story.log_in(ann, PASSWORD).await.is(200));
    story.pass(5);
    story.with_token(&session, Method::POST, "/api/v1/me/sessions/end-others", None).await.is(200);
    story.is_over(&token, ann).await;
    assert!(!story.takes(&first).await && !story.takes(&token_of(&exchanged)).await);
    assert!(story.takes(&session).await);

    // By an administrator of the one organization she belongs to.
    let token = story.good_until_now(ann).await;
    story.delete(BOB, &format!("{END}?reason=stolen")).await.is_problem(403, "forbidden");
    assert!(story.takes(&token).await);
    story.delete(ANN, &format!("{END}?reason=stolen")).await.is(200);
    story.is_over(&token, ann).await;

    // By the end of the account, and it stays so when that is taken back.
    let bob = "bob@toys.example";
    let token = story.good_until_now(bob).await;
    let path = "/api/v1/organizations/toys/members/bob@toys.example";
    story.patch(Who::Operator, path, json!({"account_status": "suspended", "reason": "x"})).await.is(200);
    assert!(!story.takes(&token).await);
    story.patch(Who::Operator, path, json!({"account_status": "active", "reason": "x"})).await.is(200);
    story.is_over(&token, bob).await;
});
