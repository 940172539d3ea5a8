//! Another address for one's account: proved by the new one, told to the old one, taken back within a week.

use super::auth::{PASSWORD, token_of};
use super::invitation::{NEW, code_in};
use super::{ANN, Story, Told, Who};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use http::Method;
use serde_json::json;

const ASK: &str = "/api/v1/me/email";

/// The company; ann is signed in, and every mail so far is read.
async fn begun(database: TestDatabase) -> (Story, String) {
    let story = Story::with_password(database).await;
    let token = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
    story.letters().await;
    (story, token)
}

async fn ask(story: &Story, token: &str, email: &str) -> Told {
    story.with_token(token, Method::POST, ASK, Some(json!({"email": email}))).await
}

/// With all that stands behind the `#` of the link, as people copy it.
async fn prove(story: &Story, code: &str) -> Told {
    story.anonymously("/api/v1/email/prove", json!({"token": code})).await
}

async fn undo(story: &Story, code: &str) -> Told {
    let token = code.strip_prefix("undo.").unwrap_or(code);
    story.anonymously("/api/v1/email/undo", json!({"token": token})).await
}

both_engines!(an_address_changes_once_the_new_one_is_proved, async |database| {
    let (story, token) = begun(database).await;
    ask(&story, &token, " Ann@Plush.example ").await.is(202);
    let letters = story.letters().await;
    assert_eq!((letters.len(), letters[0].recipient.as_str()), (1, "ann@plush.example"));
    let code = code_in(&letters[0], "email");
    // Attack 76: opening the link uses nothing up, and nothing changed yet.
    story.get(Who::Nobody, "/email").await.is(200);
    story.log_in("ann@plush.example", PASSWORD).await.is(401);
    story.log_in("ann@toys.example", PASSWORD).await.is(200);
    prove(&story, &code).await.is(204);
    prove(&story, &code).await.is_problem(410, "gone");
    story.with_token(&token, Method::GET, "/api/v1/me", None).await.is(401);
    story.log_in("ann@toys.example", PASSWORD).await.is(401);
    let begun = story.log_in("ann@plush.example", PASSWORD).await.is(200);
    let me = story.with_token(&token_of(&begun), Method::GET, "/api/v1/me", None).await.is(200);
    assert_eq!(me.body["login"], "ann@plush.example");
    assert!(story.logins().await.contains(&"ann@plush.example".to_owned()));
    for action in ["email.ask", "email.change"] {
        let path = format!("/api/v1/organizations/platform/audit/events?action={action}");
        assert_eq!(story.all(Who::Operator, &path, 50, "/action").await.len(), 1, "{action}");
    }
});

both_engines!(
    /// Attack 77: a recent sign-in, a notice to the old address, and a way back that ends what a thief has.
    the_old_address_takes_the_change_back,
    async |database| {
        let (story, token) = begun(database).await;
        story.pass(601);
        let stale = story.with_token(&token, Method::GET, "/api/v1/me", None).await;
        assert!([200, 401].contains(&stale.status.as_u16()));
        let told = ask(&story, &token, "thief@evil.example").await;
        assert_eq!(told.status.as_u16(), 401, "{:#}", told.body);
        let token = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
        ask(&story, &token, "thief@evil.example").await.is(202);
        let code = code_in(story.letters().await.iter().find(|it| it.recipient.starts_with("thief")).unwrap(), "email");
        // A reset that was asked for before goes to the old address, and ends with the change.
        prove(&story, &code).await.is(204);
        let letters = story.letters().await;
        let notice = letters.iter().find(|it| it.recipient == "ann@toys.example").unwrap();
        assert_eq!(notice.subject, "The address of your account was changed");
        let back = code_in(notice, "email");
        // The thief chooses a password by mail, and moves on to yet another address.
        story.anonymously("/api/v1/auth/forgot-password", json!({"email": "thief@evil.example"})).await.is(202);
        let reset = story.code("reset-password").await;
        let body = json!({"token": reset, "password": NEW});
        story.anonymously("/api/v1/auth/reset-password", body).await.is(204);
        let thief = token_of(&story.log_in("thief@evil.example", NEW).await.is(200));
        ask(&story, &thief, "far@evil.example").await.is(202);
        let further = story.letters().await;
        let further = code_in(further.iter().find(|it| it.recipient == "far@evil.example").unwrap(), "email");
        prove(&story, &further).await.is(204);
        let thief = token_of(&story.log_in("far@evil.example", NEW).await.is(200));
        ask(&story, &thief, "next@evil.example").await.is(202);
        let letters = story.letters().await;
        let next = code_in(letters.iter().find(|it| it.recipient == "next@evil.example").unwrap(), "email");
        let thiefs_back = code_in(letters.iter().find(|it| it.recipient == "thief@evil.example" && it.subject.contains("changed")).unwrap(), "email");
        story.anonymously("/api/v1/auth/forgot-password", json!({"email": "far@evil.example"})).await.is(202);
        let reset = story.code("reset-password").await;

        story.pass(6 * 86_400);
        undo(&story, &back).await.is(204);
        undo(&story, &back).await.is_problem(410, "gone");
        for gone in [&next, &further] {
            prove(&story, gone).await.is_problem(410, "gone");
        }
        undo(&story, &thiefs_back).await.is_problem(410, "gone");
        story.with_token(&thief, Method::GET, "/api/v1/me", None).await.is(401);
        story.log_in("far@evil.example", NEW).await.is(401);
        story.log_in("ann@toys.example", NEW).await.is(401);
        let body = json!({"token": reset, "password": "the thief chose another"});
        story.anonymously("/api/v1/auth/reset-password", body).await.is_problem(401, "invalid-credentials");
        let code = story.code("reset-password").await;
        let body = json!({"token": code, "password": "a wholly other phrase"});
        story.anonymously("/api/v1/auth/reset-password", body).await.is(204);
        story.log_in("ann@toys.example", "a wholly other phrase").await.is(200);
    }
);

both_engines!(the_way_back_ends_after_a_week, async |database| {
    let (story, token) = begun(database).await;
    ask(&story, &token, "ann@plush.example").await.is(202);
    let code = story.code("email").await;
    prove(&story, &code).await.is(204);
    let back = story.code("email").await;
    story.pass(7 * 86_400);
    undo(&story, &back).await.is_problem(410, "gone");
});

both_engines!(nobody_learns_or_takes_an_address_that_is_taken, async |database| {
    let (story, token) = begun(database).await;
    let free = ask(&story, &token, "ann@plush.example").await.is(202);
    let taken = ask(&story, &token, "bob@toys.example").await.is(202);
    assert_eq!(free.body, taken.body);
    let letters = story.letters().await;
    let to_bob = letters.iter().find(|it| it.recipient == "bob@toys.example").unwrap();
    assert!(!to_bob.body.contains('#'), "no code in it");
    // Only the last one that was asked for can be proved.
    let to_plush = letters.iter().find(|it| it.recipient == "ann@plush.example").unwrap();
    prove(&story, &code_in(to_plush, "email")).await.is_problem(410, "gone");
    // An address that somebody took meanwhile is theirs.
    ask(&story, &token, "dora@toys.example").await.is(202);
    let code = story.code("email").await;
    story.hire("toys", Who::Named("dora@toys.example")).await;
    prove(&story, &code).await.is_problem(409, "taken");
    for bad in [
        "",
        "ann",
        "ANN@toys.example",
        "a\u{0}@b.example",
        "a@b.example\r\nBcc: c@d.example",
        "a\u{202e}@b.example",
    ] {
        ask(&story, &token, bad).await.is_problem(422, "invalid");
    }
    for number in 0..2 {
        ask(&story, &token, &format!("a{number}@b.example")).await.is(202);
    }
    ask(&story, &token, "a3@b.example").await.is_problem(429, "throttled");
    for bad in ["", "x", &"A".repeat(43), "' or 1=1 --", "\u{0}"] {
        prove(&story, bad).await.is_problem(410, "gone");
        undo(&story, bad).await.is_problem(410, "gone");
    }
    assert_ne!(story.id_of(ANN), story.id_of(Who::Named("dora@toys.example")));
});

both_engines!(a_new_password_ends_a_change_that_somebody_else_asked_for, async |database| {
    let (story, thief) = begun(database).await;
    let asked = async |story: &Story, token: &str| {
        ask(story, token, "thief@evil.example").await.is(202);
        let letters = story.letters().await;
        code_in(letters.iter().find(|it| it.recipient == "thief@evil.example").unwrap(), "email")
    };
    let code = asked(&story, &thief).await;
    story.pass(1);
    // The owner finds out, and chooses another password.
    let owner = token_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    story.with_token(&owner, Method::POST, "/api/v1/me/password", Some(body)).await.is(200);
    prove(&story, &code).await.is_problem(410, "gone");
    // Ending every other session is enough as well.
    let thief = token_of(&story.log_in("ann@toys.example", NEW).await.is(200));
    let code = asked(&story, &thief).await;
    let owner = token_of(&story.log_in("ann@toys.example", NEW).await.is(200));
    story.with_token(&owner, Method::POST, "/api/v1/me/sessions/end-others", None).await.is(200);
    prove(&story, &code).await.is_problem(410, "gone");
});

both_engines!(the_way_back_ends_what_was_added_with_the_change_and_leaves_what_was_there, async |database| {
    let (story, token) = begun(database).await;
    let (phone, _) = story.add_app(&token).await;
    let counts = async |story: &Story| {
        let path = "/api/v1/organizations/toys/members/ann@toys.example/factors";
        story.get(Who::Operator, path).await.is(200).body["factors"].as_array().unwrap().len()
    };
    for _ in 0..2 {
        story.pass(4 * 86_400);
        story.letters().await;
    }
    assert_eq!(counts(&story).await, 1);
    // Somebody with the account's session and factor takes it over, and adds a passkey's like of their own.
    let challenge = story.challenge("ann@toys.example").await;
    let signed_in = story.answer(&challenge, json!({"code": phone.code(&story, 0)})).await.is(200);
    let (_, added) = story.add_app(&token_of(&signed_in)).await;
    let session = added.body["session"]["access_token"].as_str().unwrap().to_owned();
    ask(&story, &session, "thief@evil.example").await.is(202);
    let letters = story.letters().await;
    let code = code_in(letters.iter().find(|it| it.recipient == "thief@evil.example").unwrap(), "email");
    prove(&story, &code).await.is(204);
    let back =
        code_in(story.letters().await.iter().find(|it| it.recipient == "ann@toys.example").unwrap(), "email");
    undo(&story, &back).await.is(204);
    assert_eq!(counts(&story).await, 1, "the owner's own stays: an old mailbox leads past nothing");
    story.log_in("ann@toys.example", PASSWORD).await.is(401);
});
