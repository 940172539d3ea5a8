//! A list of breached passwords: no new password stands in it, and none is taken while it cannot be read.

use super::auth::{PASSWORD, token_of};
use super::{Story, Told, Who};
use charter_app::identity::breached::{BreachedPasswords, Sha1};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const BREACHED: &str = "leaked with many others once";
const UNREADABLE: &str = "where the disk is unreadable";

/// A list of one password, beside one at which the disk fails.
#[derive(Debug)]
pub struct Leaked;

impl BreachedPasswords for Leaked {
    fn holds(&self, hash: &Sha1) -> Result<bool, String> {
        // SHA-1 of the two, as `printf '%s' '...' | sha1sum` says.
        match hash[..4] {
            [0x81, 0x4a, 0x72, 0xa7] => Ok(true),
            [0xa1, 0x73, 0x4a, 0x89] => Err("breached.txt: byte 7 cannot be read".to_owned()),
            _ => Ok(false),
        }
    }
}

fn is_refused(told: Told, field: &str) {
    let told = told.is_problem(422, "invalid");
    assert_eq!(told.body["fields"][0]["field"], field);
    assert!(told.body.to_string().contains("rule: breached"), "{:#}", told.body);
}

both_engines!(a_breached_password_is_chosen_nowhere, async |database| {
    let story = Story::with_password(database).await;
    story.take_newcomers("domain").await;
    story.letters().await;
    let operator = "/api/v1/users/ann@toys.example/password";
    let session = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
    let change = async |new: &str| {
        let body: Value = json!({"current_password": PASSWORD, "new_password": new});
        story.with_token(&session, Method::POST, "/api/v1/me/password", Some(body)).await
    };
    story.letters().await;
    story.anonymously("/api/v1/auth/forgot-password", json!({"email": "ann@toys.example"})).await.is(202);
    let code = story.code("reset-password").await;
    let reset = async |new: &str| {
        let body = json!({"token": code, "password": new});
        story.anonymously("/api/v1/auth/reset-password", body).await
    };
    let invitation = json!({"email": "dora@toys.example"});
    story.post(Who::Operator, "/api/v1/organizations/toys/invitations", invitation).await.is(201);
    let token = story.code("invitation").await;
    let accept = async |new: &str| {
        story.anonymously("/api/v1/invitations/accept", json!({"token": token, "password": new})).await
    };
    is_refused(change(BREACHED).await, "new_password");
    is_refused(reset(BREACHED).await, "password");
    is_refused(accept(BREACHED).await, "password");
    is_refused(story.post(Who::Operator, operator, json!({"password": BREACHED})).await, "password");
    // Doubt takes nothing.
    for told in [
        change(UNREADABLE).await,
        reset(UNREADABLE).await,
        accept(UNREADABLE).await,
        story.post(Who::Operator, operator, json!({"password": UNREADABLE})).await,
    ] {
        let told = told.is_problem(503, "unavailable");
        assert_eq!(told.header("retry-after"), "10");
        assert!(!told.body.to_string().contains("breached.txt"), "where the file is, is nobody's business");
    }
    // Nothing changed, nothing was used up, and signing in asks no list.
    story.log_in("ann@toys.example", PASSWORD).await.is(200);
    accept("staple the horse to it").await.is(200);
    reset("a wholly other phrase").await.is(204);
});
