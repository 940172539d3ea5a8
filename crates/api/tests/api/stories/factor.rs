//! Second factors over HTTP: authenticator apps, recovery codes, and the ways around them that are closed.

use super::auth::{PASSWORD, token_of};
use super::{ANN, BOB, CAT, EVE, Story, Told, Who};
use charter_app::identity::totp;
use charter_kernel::Timestamp;
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use http::Method;
use serde_json::{Value, json};

const MFA: &str = "/api/v1/auth/mfa";
const FACTORS: &str = "/api/v1/me/factors";
const TOTP: &str = "/api/v1/me/factors/totp";
const CODES: &str = "/api/v1/me/recovery-codes";
pub const LOGIN: &str = "ann@toys.example";

/// An authenticator app.
pub struct Phone {
    seed: Vec<u8>,
}

impl Phone {
    /// One that was shown the secret.
    fn reading(secret: &str) -> Self {
        let mut bits = String::new();
        for letter in secret.bytes() {
            let value =
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).unwrap();
            bits.push_str(&format!("{value:05b}"));
        }
        let seed = bits.as_bytes().chunks_exact(8);
        let byte = |chunk: &[u8]| u8::from_str_radix(std::str::from_utf8(chunk).unwrap(), 2).unwrap();
        Self { seed: seed.map(byte).collect() }
    }

    /// What it shows so many steps from now.
    pub fn code(&self, story: &Story, off: i64) -> String {
        totp::code(&self.seed, story.now().plus_seconds(off * 30)).unwrap().to_string()
    }
}

/// Somebody with an authenticator app.
pub struct Equipped {
    pub story: Story,
    pub phone: Phone,
    pub token: String,
    pub recovery: Vec<String>,
}

impl Story {
    pub fn now(&self) -> Timestamp {
        use charter_app::clock::Clock;
        self.clock.now()
    }

    /// Adds an authenticator app, and gives it with the answer to its confirmation.
    pub async fn add_app(&self, token: &str) -> (Phone, Told) {
        let new = self.with_token(token, Method::POST, TOTP, Some(json!({"name": "phone"}))).await.is(201);
        let phone = Phone::reading(new.body["secret"].as_str().unwrap());
        let path = format!("{TOTP}/{}/confirm", new.body["id"].as_str().unwrap());
        let body = json!({"code": phone.code(self, 0)});
        let added = self.with_token(token, Method::POST, &path, Some(body)).await.is(200);
        (phone, added)
    }

    pub async fn answer(&self, challenge: &str, proof: Value) -> Told {
        let mut body = proof;
        body["challenge"] = json!(challenge);
        self.wire(Method::POST, MFA, &[], Some("192.0.2.1"), Some(body)).await
    }

    /// Signs in with the password, and gives the challenge.
    pub async fn challenge(&self, login: &str) -> String {
        let told = self.log_in(login, PASSWORD).await.is(200);
        assert_eq!(told.body["mfa_required"], true, "{:#}", told.body);
        assert!(told.body["access_token"].is_null() && told.body["refresh_token"].is_null());
        assert!(told.headers.get("set-cookie").is_none());
        told.body["challenge"].as_str().unwrap().to_owned()
    }

    pub async fn works(&self, token: &str) -> bool {
        self.with_token(token, Method::GET, "/api/v1/me", None).await.status.as_u16() == 200
    }
}

/// Ann of toys with an authenticator app.
pub async fn equipped(database: TestDatabase) -> Equipped {
    let story = Story::with_password(database).await;
    let token = token_of(&story.log_in(LOGIN, PASSWORD).await.is(200));
    let (phone, added) = story.add_app(&token).await;
    let texts = added.body["recovery_codes"].as_array().unwrap();
    let recovery = texts.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    let token = added.body["session"]["access_token"].as_str().unwrap().to_owned();
    story.pass(60);
    Equipped { story, phone, token, recovery }
}

both_engines!(
    /// Attack 26: the session's id changes with the factor.
    somebody_adds_an_authenticator_app_and_signs_in_with_it,
    async |database| {
        let story = Story::with_password(database).await;
        let elsewhere = token_of(&story.log_in(LOGIN, PASSWORD).await.is(200));
        let begun = story.log_in(LOGIN, PASSWORD).await.is(200);
        let token = token_of(&begun);
        let new = story.with_token(&token, Method::POST, TOTP, Some(json!({"name": "phone"}))).await.is(201);
        assert_eq!(new.header("cache-control"), "no-store");
        let secret = new.body["secret"].as_str().unwrap();
        assert_eq!(secret.len(), 32);
        assert_eq!(
            new.body["uri"],
            format!("otpauth://totp/charter.example:ann%40toys.example?secret={secret}&issuer=charter.example")
        );
        // It does not count yet.
        story.log_in(LOGIN, PASSWORD).await.is(200).body["access_token"].as_str().unwrap();
        let listed = story.with_token(&token, Method::GET, FACTORS, None).await.is(200);
        assert_eq!(listed.body, json!({"factors": [], "recovery_codes_left": 0, "demanded_by": []}));

        let (phone, added) = story.add_app(&token).await;
        let next = added.body["session"]["access_token"].as_str().unwrap().to_owned();
        assert_ne!(added.body["session"]["session_id"], begun.body["session_id"]);
        assert!(!story.works(&token).await && !story.works(&elsewhere).await && story.works(&next).await);
        let codes = added.body["recovery_codes"].as_array().unwrap();
        assert_eq!(codes.len(), 10);
        assert!(codes.iter().all(|code| code.as_str().unwrap().len() == 29));
        let listed = story.with_token(&next, Method::GET, FACTORS, None).await.is(200);
        assert_eq!((&listed.body["recovery_codes_left"], &listed.body["factors"][0]["kind"]), (&json!(10), &json!("totp")));
        let seen = listed.body.to_string();
        assert!(!seen.contains(secret) && codes.iter().all(|code| !seen.contains(code.as_str().unwrap())));

        story.pass(30);
        let told = story.log_in(LOGIN, PASSWORD).await.is(200);
        assert_eq!((&told.body["methods"], &told.body["expires_in"]), (&json!(["totp", "recovery_code"]), &json!(300)));
        let challenge = told.body["challenge"].as_str().unwrap();
        let done = story.answer(challenge, json!({"code": phone.code(&story, 0)})).await.is(200);
        let me = story.with_token(&token_of(&done), Method::GET, "/api/v1/me", None).await.is(200);
        assert_eq!(me.body["amr"], json!(["pwd", "otp", "mfa"]));
        let refresh = json!({"refresh_token": done.body["refresh_token"]});
        let refreshed = story.wire(Method::POST, "/api/v1/auth/refresh", &[], None, Some(refresh)).await.is(200);
        let me = story.with_token(&token_of(&refreshed), Method::GET, "/api/v1/me", None).await.is(200);
        assert_eq!(me.body["amr"], json!(["pwd", "otp", "mfa"]));

        let trail = "/api/v1/organizations/toys/audit/events";
        for (action, times) in [("mfa.enroll", 1), ("session.challenge", 1)] {
            let found = story.all(Who::Operator, &format!("{trail}?action={action}"), 50, "/target").await;
            assert_eq!(found.len(), times, "{action}");
        }
    }
);

both_engines!(
    /// Attack 95: in the same step, in the next one, and in two requests at once.
    a_code_is_taken_once,
    async |database| {
        let Equipped { story, phone, .. } = equipped(database).await;
        let code = phone.code(&story, 0);
        let (one, other, third) =
            (story.challenge(LOGIN).await, story.challenge(LOGIN).await, story.challenge(LOGIN).await);
        let both = futures_util::future::join(
            story.answer(&one, json!({"code": code})),
            story.answer(&other, json!({"code": code})),
        )
        .await;
        let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{:#} {:#}", both.0.body, both.1.body);
        story.answer(&third, json!({"code": code})).await.is_problem(401, "invalid-credentials");
        story.pass(30);
        story.answer(&third, json!({"code": code})).await.is_problem(401, "invalid-credentials");
        // One that is older than the newest that was taken is worth nothing, even when it was never used.
        story.answer(&third, json!({"code": phone.code(&story, 1)})).await.is(200);
        let fourth = story.challenge(LOGIN).await;
        story.answer(&fourth, json!({"code": phone.code(&story, 0)})).await.is_problem(401, "invalid-credentials");
    }
);

both_engines!(
    /// Attack 96.
    a_code_two_steps_off_is_refused,
    async |database| {
        let Equipped { story, phone, .. } = equipped(database).await;
        story.pass(60);
        let challenge = story.challenge(LOGIN).await;
        for off in [-2, 2] {
            let told = story.answer(&challenge, json!({"code": phone.code(&story, off)})).await;
            told.is_problem(401, "invalid-credentials");
        }
        story.answer(&challenge, json!({"code": phone.code(&story, -1)})).await.is(200);
        let challenge = story.challenge(LOGIN).await;
        story.answer(&challenge, json!({"code": phone.code(&story, 1)})).await.is(200);
    }
);

both_engines!(
    /// Attack 97.
    wrong_codes_are_counted_by_account_and_signing_in_anew_resets_nothing,
    async |database| {
        let Equipped { story, phone, recovery, .. } = equipped(database).await;
        let mut statuses = Vec::new();
        for number in 0..10 {
            let challenge = story.challenge(LOGIN).await;
            let body = json!({"challenge": challenge, "code": "000000"});
            let from = format!("192.0.2.{number}");
            statuses.push(story.wire(Method::POST, MFA, &[], Some(&from), Some(body)).await.status.as_u16());
        }
        assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429, 429, 429]);
        let challenge = story.challenge(LOGIN).await;
        let right = json!({"code": phone.code(&story, 0)});
        let told = story.answer(&challenge, right.clone()).await.is_problem(429, "throttled");
        assert!(!told.header("retry-after").is_empty());
        story.answer(&challenge, json!({"recovery_code": recovery[0]})).await.is_problem(429, "throttled");
        story.pass(2);
        story.answer(&challenge, json!({"code": phone.code(&story, 0)})).await.is(200);
        let path = "/api/v1/organizations/toys/audit/events?action=session.begin";
        let reasons = story.all(Who::Operator, path, 50, "/reason").await;
        assert_eq!(reasons.iter().filter(|reason| *reason == "wrong second factor").count(), 5);
    }
);

both_engines!(
    /// Attack 98.
    a_recovery_code_is_used_once,
    async |database| {
        let Equipped { story, token, recovery, .. } = equipped(database).await;
        let (one, other) = (story.challenge(LOGIN).await, story.challenge(LOGIN).await);
        let proof = json!({"recovery_code": recovery[0]});
        let both =
            futures_util::future::join(story.answer(&one, proof.clone()), story.answer(&other, proof.clone())).await;
        let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{:#} {:#}", both.0.body, both.1.body);
        let again = story.challenge(LOGIN).await;
        story.answer(&again, proof).await.is_problem(401, "invalid-credentials");
        // However it is typed.
        let typed = recovery[1].to_lowercase().replace('-', " ").replace('0', "o");
        story.answer(&again, json!({"recovery_code": typed})).await.is(200);
        let left = async |token: &str| {
            story.with_token(token, Method::GET, FACTORS, None).await.is(200).body["recovery_codes_left"].clone()
        };
        assert_eq!(left(&token).await, 8);
        let events = "/api/v1/organizations/toys/audit/events?action=mfa.use_recovery_code";
        assert_eq!(story.all(Who::Operator, events, 50, "/target").await.len(), 2);
        let renewed = story.with_token(&token, Method::POST, CODES, None).await.is(200);
        assert_eq!((renewed.body["recovery_codes"].as_array().unwrap().len(), left(&token).await), (10, json!(10)));
        let challenge = story.challenge(LOGIN).await;
        story.answer(&challenge, json!({"recovery_code": recovery[2]})).await.is(401);
        story.answer(&challenge, json!({"recovery_code": renewed.body["recovery_codes"][0]})).await.is(200);
    }
);

both_engines!(
    /// Attack 99: the challenge opens nothing but the question it is for, and nothing leads around it.
    nothing_leads_around_the_second_factor,
    async |database| {
        let Equipped { story, phone, token, .. } = equipped(database).await;
        let challenge = story.challenge(LOGIN).await;
        assert!(!story.works(&challenge).await, "it is no access token");
        for (path, body) in [
            ("/api/v1/auth/refresh", json!({"refresh_token": challenge})),
            ("/api/v1/auth/switch", json!({"organization": "toys"})),
            ("/api/v1/auth/exchange", json!({"organization": "toys"})),
            ("/api/v1/auth/reauthenticate", json!({"password": PASSWORD})),
        ] {
            story.with_token(&challenge, Method::POST, path, Some(body)).await.is(401);
        }
        let cookie = format!("__Host-ch_s={challenge}");
        story.wire(Method::GET, "/api/v1/me", &[("cookie", &cookie)], None, None).await.is(401);
        for empty in [json!({}), json!({"code": null})] {
            story.answer(&challenge, empty).await.is_problem(422, "invalid");
        }
        let both = json!({"code": "000000", "recovery_code": "x"});
        story.answer(&challenge, both).await.is_problem(422, "invalid");

        // A browser is given no cookie before the factor.
        let body = json!({"login": LOGIN, "password": PASSWORD, "session": "cookie"});
        let asked = story.wire(Method::POST, "/api/v1/auth/login", &[], None, Some(body)).await.is(200);
        assert!(asked.headers.get("set-cookie").is_none());
        let of_browser = asked.body["challenge"].as_str().unwrap();
        let done = story.answer(of_browser, json!({"code": phone.code(&story, 0)})).await.is(200);
        assert!(done.header("set-cookie").starts_with("__Host-ch_s=") && done.body["access_token"].is_null());

        // A password that the operator set, and a device that is known, skip nothing.
        let path = format!("/api/v1/users/{LOGIN}/password");
        story.post(Who::Operator, &path, json!({"password": PASSWORD})).await.is(200);
        story.answer(&challenge, json!({"code": phone.code(&story, 1)})).await.is_problem(401, "unauthenticated");
        assert!(!story.works(&token).await);
        let next = story.challenge(LOGIN).await;
        let begun = story.answer(&next, json!({"code": phone.code(&story, 1)})).await.is(200);
        let body = json!({"login": LOGIN, "password": PASSWORD, "device_token": begun.body["device_token"]});
        let asked = story.wire(Method::POST, "/api/v1/auth/login", &[], None, Some(body)).await.is(200);
        assert_eq!(asked.body["mfa_required"], true);

        // What comes after keeps what was proved and adds nothing to it.
        let body = json!({"organization": "toys"});
        let turned = story.with_token(&token_of(&begun), Method::POST, "/api/v1/auth/switch", Some(body)).await.is(200);
        let me = story.with_token(&token_of(&turned), Method::GET, "/api/v1/me", None).await.is(200);
        assert_eq!(me.body["amr"], json!(["pwd", "otp", "mfa"]));
    }
);

both_engines!(a_challenge_is_for_one_program_one_password_and_five_minutes, async |database| {
    let Equipped { story, phone, .. } = equipped(database).await;
    let challenge = story.challenge(LOGIN).await;
    let code = json!({"challenge": challenge, "code": phone.code(&story, 0)});
    let elsewhere =
        story.wire(Method::POST, MFA, &[("user-agent", "till/2")], None, Some(code.clone())).await;
    elsewhere.is_problem(401, "unauthenticated");
    let done = story.wire(Method::POST, MFA, &[], None, Some(code)).await.is(200);
    story.pass(30);
    // It was answered.
    story.answer(&challenge, json!({"code": phone.code(&story, 0)})).await.is_problem(401, "unauthenticated");
    let late = story.challenge(LOGIN).await;
    let before = story.challenge(LOGIN).await;
    let body = json!({"current_password": PASSWORD, "new_password": "another fine horse"});
    story.with_token(&token_of(&done), Method::POST, "/api/v1/me/password", Some(body)).await.is(200);
    story.answer(&before, json!({"code": phone.code(&story, 0)})).await.is_problem(401, "unauthenticated");
    story.pass(300);
    story.answer(&late, json!({"code": phone.code(&story, 0)})).await.is_problem(401, "unauthenticated");
    // Another site's page cannot answer it.
    let told = story.log_in(LOGIN, "another fine horse").await.is(200);
    let body = json!({"challenge": told.body["challenge"], "code": phone.code(&story, 0)});
    let headers = [("sec-fetch-site", "cross-site")];
    story.wire(Method::POST, MFA, &headers, None, Some(body.clone())).await.is_problem(403, "forbidden");
    story.wire(Method::POST, MFA, &[], None, Some(body)).await.is(200);
});

both_engines!(
    /// Attack 100.
    a_factor_is_added_with_its_code_and_changed_with_a_recent_sign_in,
    async |database| {
        let Equipped { story, phone, token, .. } = equipped(database).await;
        let new = story.with_token(&token, Method::POST, TOTP, Some(json!({}))).await.is(201);
        let path = format!("{TOTP}/{}/confirm", new.body["id"].as_str().unwrap());
        for code in ["000000", "", &phone.code(&story, 0)] {
            let told = story.with_token(&token, Method::POST, &path, Some(json!({"code": code}))).await;
            assert_eq!(told.is_problem(422, "invalid").body["fields"][0]["field"], "code");
        }
        let listed = story.with_token(&token, Method::GET, FACTORS, None).await.is(200);
        assert_eq!(listed.body["factors"].as_array().unwrap().len(), 1);
        let factor = listed.body["factors"][0]["id"].as_str().unwrap().to_owned();

        story.pass(540);
        let first = format!("{FACTORS}/{factor}");
        let refused = [(Method::POST, TOTP, Some(json!({}))), (Method::POST, CODES, None), (Method::DELETE, &first, None)];
        for (method, path, body) in refused {
            let told = story.with_token(&token, method, path, body).await.is_problem(401, "step-up-required");
            assert!(told.header("www-authenticate").contains("insufficient_user_authentication"));
        }
        let body = json!({"code": "000000"});
        story.with_token(&token, Method::POST, &path, Some(body)).await.is_problem(401, "step-up-required");

        // Proving it again asks for both.
        let again = async |body: Value| {
            story.with_token(&token, Method::POST, "/api/v1/auth/reauthenticate", Some(body)).await
        };
        again(json!({"password": PASSWORD})).await.is_problem(401, "second-factor-required");
        again(json!({"password": PASSWORD, "code": "000000"})).await.is_problem(401, "invalid-credentials");
        again(json!({"password": "wrong horse", "code": phone.code(&story, 0)})).await.is_problem(401, "invalid-credentials");
        let proved = again(json!({"password": PASSWORD, "code": phone.code(&story, 0)})).await.is(200);
        let token = token_of(&proved);
        let me = story.with_token(&token, Method::GET, "/api/v1/me", None).await.is(200);
        assert_eq!(me.body["amr"], json!(["pwd", "otp", "mfa"]));

        let other = story.challenge(LOGIN).await;
        story.pass(30);
        let other = token_of(&story.answer(&other, json!({"code": phone.code(&story, 0)})).await.is(200));
        story.with_token(&token, Method::DELETE, &first, None).await.is(204);
        assert!(!story.works(&token).await && !story.works(&other).await);
        let token = token_of(&story.log_in(LOGIN, PASSWORD).await.is(200));
        story.with_token(&token, Method::DELETE, &first, None).await.is_problem(404, "not-found");
        let listed = story.with_token(&token, Method::GET, FACTORS, None).await.is(200);
        assert_eq!(listed.body, json!({"factors": [], "recovery_codes_left": 0, "demanded_by": []}));
        story.with_token(&token, Method::POST, CODES, None).await.is_problem(404, "not-found");
        assert!(story.log_in(LOGIN, PASSWORD).await.is(200).body["access_token"].is_string());
        let events = "/api/v1/organizations/platform/audit/events?action=mfa.remove";
        assert_eq!(story.all(Who::Operator, events, 50, "/target").await.len(), 1);
    }
);

both_engines!(nobody_touches_the_factors_of_others, async |database| {
    let Equipped { story, token, .. } = equipped(database).await;
    let path = "/api/v1/users/bob@toys.example/password";
    story.post(Who::Operator, path, json!({"password": PASSWORD})).await.is(200);
    let bob = token_of(&story.log_in("bob@toys.example", PASSWORD).await.is(200));
    let listed = story.with_token(&token, Method::GET, FACTORS, None).await.is(200);
    let factor = listed.body["factors"][0]["id"].as_str().unwrap();
    story
        .with_token(&bob, Method::DELETE, &format!("{FACTORS}/{factor}"), None)
        .await
        .is_problem(404, "not-found");
    let new = story.with_token(&token, Method::POST, TOTP, Some(json!({}))).await.is(201);
    let phone = Phone::reading(new.body["secret"].as_str().unwrap());
    let confirm = format!("{TOTP}/{}/confirm", new.body["id"].as_str().unwrap());
    let body = json!({"code": phone.code(&story, 0)});
    story.with_token(&bob, Method::POST, &confirm, Some(body.clone())).await.is_problem(404, "not-found");
    let second = story.with_token(&token, Method::POST, &confirm, Some(body)).await.is(200);
    assert!(second.body["recovery_codes"].is_null(), "there are some already");
});

both_engines!(an_administrator_resets_the_factors_of_who_works_here_alone, async |database| {
    let Equipped { story, token, phone, .. } = equipped(database).await;
    story.hire("toys", EVE).await;
    story.assign(Who::Operator, "toys", BOB, "org_admin").await.is(201);
    let path = format!("/api/v1/organizations/toys/members/{LOGIN}/factors");
    let reset = format!("{path}?reason=lost%20phone");
    let listed = story.get(BOB, &path).await.is(200);
    assert_eq!(listed.body["factors"][0]["kind"], "totp");
    story.delete(BOB, &path).await.is_problem(422, "invalid");
    story.delete(BOB, &format!("{path}?reason=%20")).await.is_problem(422, "invalid");
    story.delete(ANN, &reset).await.is_problem(403, "forbidden");
    story.delete(CAT, &reset).await.is_problem(403, "forbidden");
    // Ann works in another organization as well: its administrators rely on her factor, too.
    story.hire("trade", ANN).await;
    story.delete(BOB, &reset).await.is_problem(403, "forbidden");
    story
        .delete(EVE, "/api/v1/organizations/trade/members/ann@toys.example/factors?reason=x")
        .await
        .is_problem(403, "forbidden");
    assert!(story.works(&token).await);
    let told = story.delete(Who::Operator, &reset).await.is(200);
    assert_eq!(told.body, json!({"factors_removed": 1, "sessions_ended": 1}));
    assert!(!story.works(&token).await);
    story.delete(Who::Operator, &reset).await.is_problem(404, "not-found");
    let events = "/api/v1/organizations/toys/audit/events?action=mfa.reset";
    assert_eq!(story.all(Who::Operator, events, 50, "/reason").await, ["lost phone"]);

    let body = json!({"login": LOGIN, "password": PASSWORD, "organization": "toys"});
    let begun = story.wire(Method::POST, "/api/v1/auth/login", &[], None, Some(body)).await.is(200);
    story.add_app(&token_of(&begun)).await;
    story.delete(Who::Operator, "/api/v1/organizations/trade/members/ann@toys.example").await.is(200);
    // Who may reset factors, and nothing else, resets nobody's who may do more than they.
    let body = json!({"subject": {"member": "cat@toys.example"}, "permission": "admin.mfa.reset", "reason": "helps"});
    story.post(Who::Operator, "/api/v1/organizations/toys/grants", body).await.is(201);
    story.delete(CAT, &reset).await.is_problem(403, "beyond-giver");
    story.delete(BOB, &reset).await.is(200);
    drop(phone);
});

both_engines!(with_the_last_factor_every_session_ends, async |database| {
    let Equipped { story, token, .. } = equipped(database).await;
    let listed = story.with_token(&token, Method::GET, FACTORS, None).await.is(200);
    let factor = listed.body["factors"][0]["id"].as_str().unwrap().to_owned();
    story.with_token(&token, Method::DELETE, &format!("{FACTORS}/{factor}"), None).await.is(204);
    assert!(!story.works(&token).await, "it would go on saying that it showed one");
    let again = token_of(&story.log_in(LOGIN, PASSWORD).await.is(200));
    let me = story.with_token(&again, Method::GET, "/api/v1/me", None).await.is(200);
    assert_eq!(me.body["amr"], json!(["pwd"]));
});

both_engines!(a_new_password_proves_no_more_than_the_session_did, async |database| {
    let Equipped { story, token, .. } = equipped(database).await;
    let before = story.with_token(&token, Method::GET, "/api/v1/me", None).await.is(200).body;
    story.pass(300);
    let body = json!({"current_password": PASSWORD, "new_password": "staple the horse to it"});
    let changed = story.with_token(&token, Method::POST, "/api/v1/me/password", Some(body)).await.is(200);
    let after = story.with_token(&token_of(&changed), Method::GET, "/api/v1/me", None).await.is(200).body;
    assert_eq!(
        after["authenticated_at"], before["authenticated_at"],
        "the password alone is no second factor"
    );
    assert!(!story.works(&token).await);
});
