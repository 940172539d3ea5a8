//! A forgotten password: asking tells nothing, the mail brings a code, the code works once.

use super::mail::Postbox;
use super::{ANN, BOB, PAT, Story, Told, Who};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use http::Method;
use serde_json::{Value, json};

const OLD: &str = "correct horse battery";
const NEW: &str = "staple the horse to it";

async fn begun(database: TestDatabase) -> Story {
    let story = Story::company(database).await;
    for login in ["ann@toys.example", "bob@toys.example"] {
        let path = format!("/api/v1/users/{login}/password");
        story.post(Who::Operator, &path, json!({"password": OLD})).await.is(200);
    }
    Postbox::new().empty(&story.app).await;
    story
}

async fn forgot(story: &Story, email: &str) -> Told {
    let body = Some(json!({"email": email}));
    story.wire(Method::POST, "/api/v1/auth/forgot-password", &[], None, body).await
}

async fn reset(story: &Story, token: &str, password: &str) -> Told {
    let body = Some(json!({"token": token, "password": password}));
    story.wire(Method::POST, "/api/v1/auth/reset-password", &[], None, body).await
}

/// The code in the one mail that is on its way.
async fn code(story: &Story) -> String {
    story.app.tick().await.unwrap();
    let letters = Postbox::new().empty(&story.app).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    let (_, rest) = letters[0].body.split_once("https://charter.example/reset-password#").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

/// What everybody sees of an answer, but for what differs in every answer.
fn seen(told: &Told) -> (u16, Vec<(String, String)>, Value) {
    let headers = told.headers.iter().filter(|(name, _)| *name != "x-request-id" && *name != "date");
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (told.status.as_u16(), headers, told.body.clone())
}

both_engines!(a_forgotten_password_comes_back_by_mail, async |database| {
    let story = begun(database).await;
    let session = story.log_in("ann@toys.example", OLD).await.is(200).body;
    assert_eq!(Postbox::new().empty(&story.app).await.len(), 1, "a first sign-in is told");
    let old_token = session["access_token"].as_str().unwrap().to_owned();
    forgot(&story, " Ann@Toys.Example ").await.is(202);
    let code = code(&story).await;
    assert_eq!(code.len(), 43, "256 bits");
    // A password that does not meet the rules leaves the code as it was.
    reset(&story, &code, "short").await.is_problem(422, "invalid");
    let told = reset(&story, &code, NEW).await.is(204);
    assert_eq!(told.body, Value::Null, "nobody is signed in by it");
    assert!(told.headers.get("set-cookie").is_none());

    story.with_token(&old_token, Method::GET, "/api/v1/me", None).await.is(401);
    story.log_in("ann@toys.example", OLD).await.is(401);
    story.log_in("ann@toys.example", NEW).await.is(200);
    reset(&story, &code, "and once more please").await.is_problem(401, "invalid-credentials");
    story.log_in("ann@toys.example", NEW).await.is(200);

    let letters = Postbox::new().empty(&story.app).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].recipient.as_str(), letters[0].subject.as_str()),
        ("ann@toys.example", "Your password was changed")
    );
    for action in ["password.forgot", "password.mail-token", "password.reset"] {
        let path = format!("/api/v1/organizations/platform/audit/events?action={action}");
        let events = story.get(Who::Operator, &path).await.is(200).body;
        assert_eq!(events["items"].as_array().unwrap().len(), 1, "{action}");
        let text = events.to_string();
        assert!(!text.contains(&code) && !text.contains(NEW), "a secret is on the trail");
    }
    // Nor does the database have the code: the mail was forgotten when it was sent, and it was sealed before.
    let shown = story.get(PAT, "/api/v1/platform/mail").await.is(200).body.to_string();
    assert!(!shown.contains(&code));
});

// Attack 54, and the accounts that may not act.
both_engines!(nobody_learns_whether_there_is_an_account, async |database| {
    let story = begun(database).await;
    let robot = json!({"login": "robot", "kind": "service_account"});
    story.post(ANN, "/api/v1/organizations/toys/members", robot).await.is(201);
    let suspended = "/api/v1/organizations/toys/members/bob@toys.example";
    story.patch(ANN, suspended, json!({"status": "suspended"})).await.is(200);
    let known = forgot(&story, "ann@toys.example").await.is(202);
    for email in [
        "nobody@toys.example",
        "bob@toys.example",
        "robot",
        "cat@toys.example",
        "no address",
        "",
        "ann@toys.example\r\nBcc: eve@evil.example",
        "a\u{0}b@toys.example",
        &"a".repeat(10_000),
    ] {
        let told = forgot(&story, email).await;
        assert_eq!(seen(&told), seen(&known), "{email:?}");
    }
    story.app.tick().await.unwrap();
    let letters = Postbox::new().empty(&story.app).await;
    let mut readers: Vec<&str> = letters.iter().map(|letter| letter.recipient.as_str()).collect();
    readers.sort_unstable();
    // Cat has no password yet, and may choose her first one.
    assert_eq!(readers, ["ann@toys.example", "cat@toys.example"]);
});

both_engines!(
    one_account_gets_three_mails_an_hour_and_one_address_asks_thirty_times_a_minute,
    async |database| {
        let story = begun(database).await;
        let first = forgot(&story, "ann@toys.example").await.is(202);
        for _ in 0..9 {
            assert_eq!(seen(&forgot(&story, "ANN@toys.example").await), seen(&first));
        }
        story.app.tick().await.unwrap();
        assert_eq!(Postbox::new().empty(&story.app).await.len(), 3);
        story.wait_seconds(3_601).await;
        forgot(&story, "ann@toys.example").await.is(202);
        code(&story).await;

        let path = "/api/v1/auth/forgot-password";
        let ask = async |number: usize| {
            let body = json!({"email": format!("a{number}@toys.example")});
            story.wire(Method::POST, path, &[], Some("192.0.2.1"), Some(body)).await
        };
        for number in 0..30 {
            ask(number).await.is(202);
        }
        ask(30).await.is_problem(429, "throttled");
    }
);

both_engines!(
    a_code_ends_with_its_half_hour_with_the_password_it_was_made_for_and_with_the_account,
    async |database| {
        let story = begun(database).await;
        forgot(&story, "ann@toys.example").await.is(202);
        let late = code(&story).await;
        story.pass(30 * 60);
        reset(&story, &late, NEW).await.is_problem(401, "invalid-credentials");

        // Two codes: using one ends the other, and so does any other change of the password.
        forgot(&story, "ann@toys.example").await.is(202);
        let one = code(&story).await;
        forgot(&story, "ann@toys.example").await.is(202);
        let other = code(&story).await;
        reset(&story, &one, NEW).await.is(204);
        reset(&story, &other, "yet another pass phrase").await.is_problem(401, "invalid-credentials");
        story.log_in("ann@toys.example", NEW).await.is(200);

        forgot(&story, "bob@toys.example").await.is(202);
        Postbox::new().empty(&story.app).await;
        let code = code(&story).await;
        let path = "/api/v1/organizations/toys/members/bob@toys.example";
        story.patch(ANN, path, json!({"status": "suspended"})).await.is(200);
        reset(&story, &code, NEW).await.is_problem(401, "invalid-credentials");
        for wrong in ["", "x", &"A".repeat(43), &"A".repeat(10_000), "' or 1=1 --", "\u{0}"] {
            reset(&story, wrong, NEW).await.is_problem(401, "invalid-credentials");
        }
        assert_ne!(story.id_of(BOB), story.id_of(ANN));
    }
);

both_engines!(a_code_used_twice_at_once_works_once, async |database| {
    let story = begun(database).await;
    forgot(&story, "ann@toys.example").await.is(202);
    let code = code(&story).await;
    let (first, second) =
        tokio::join!(reset(&story, &code, NEW), reset(&story, &code, "another pass phrase"));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 401]);
});

both_engines!(the_page_of_the_link_asks_for_a_password_and_runs_our_script_only, async |database| {
    let story = Story::empty(database).await;
    let page = story.get(Who::Nobody, "/reset-password").await.is(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    let text = page.body.as_str().unwrap();
    assert!(text.contains(r#"<label for="password">"#) && text.contains(r#"autocomplete="new-password""#));
    assert!(!text.contains("onclick") && !text.contains("style="), "nothing inline");
    let script = story.get(Who::Nobody, "/reset-password/page.js").await.is(200);
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert!(script.body.as_str().unwrap().contains("/api/v1/auth/reset-password"));
});

both_engines!(
    /// Attack 99: a password that was reset is not enough where there is a second factor; and it may be shorter beside one (SP 800-63B-4).
    a_reset_skips_no_second_factor,
    async |database| {
        let story = begun(database).await;
        let short = "v8#Kq2!zW";
        forgot(&story, "bob@toys.example").await.is(202);
        let told = reset(&story, &code(&story).await, short).await.is_problem(422, "invalid");
        assert!(told.body["fields"][0]["detail"].as_str().unwrap().contains("at least 15 characters"), "{:#}", told.body);
        let token = story.log_in("ann@toys.example", OLD).await.is(200).body;
        let (phone, _) = story.add_app(token["access_token"].as_str().unwrap()).await;
        Postbox::new().empty(&story.app).await;
        story.pass(30);
        forgot(&story, "ann@toys.example").await.is(202);
        let code = code(&story).await;
        reset(&story, &code, "v8#Kq2!").await.is_problem(422, "invalid");
        reset(&story, &code, short).await.is(204);
        let asked = story.log_in("ann@toys.example", short).await.is(200).body;
        assert!(asked["mfa_required"] == true && asked["access_token"].is_null(), "{asked:#}");
        let challenge = asked["challenge"].as_str().unwrap();
        let begun = story.answer(challenge, json!({"code": phone.code(&story, 0)})).await.is(200).body;

        // Such a password is never the only factor.
        let token = begun["access_token"].as_str().unwrap();
        let listed = story.with_token(token, Method::GET, "/api/v1/me/factors", None).await.is(200).body;
        let path = format!("/api/v1/me/factors/{}", listed["factors"][0]["id"].as_str().unwrap());
        story.with_token(token, Method::DELETE, &path, None).await.is_problem(403, "forbidden");
        let factors = "/api/v1/organizations/toys/members/ann@toys.example/factors?reason=lost%20phone";
        story.delete(Who::Operator, factors).await.is(200);
        story.log_in("ann@toys.example", short).await.is_problem(403, "forbidden");
        let body = json!({"password": OLD});
        story.post(Who::Operator, "/api/v1/users/ann@toys.example/password", body).await.is(200);
        assert!(story.log_in("ann@toys.example", OLD).await.is(200).body["access_token"].is_string());
    }
);
