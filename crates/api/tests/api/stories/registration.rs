//! Newcomers ask for an account: what they are told, what they get, who decides.

use super::auth::PASSWORD;
use super::invitation::{NEW, SETTINGS, code_in};
use super::{ANN, BOB, CAT, EVE, Story, Told, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const REGISTRATIONS: &str = "/api/v1/organizations/toys/registrations";
const PROVE: &str = "/api/v1/organizations/toys/registrations/prove";

/// What everybody sees of an answer, but for what differs in every answer.
fn seen(told: &Told) -> (u16, Vec<(String, String)>, Value) {
    let headers = told.headers.iter().filter(|(name, _)| *name != "x-request-id" && *name != "date");
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (told.status.as_u16(), headers, told.body.clone())
}

impl Story {
    async fn ask_in(&self, email: &str) -> Told {
        self.anonymously(REGISTRATIONS, json!({"email": email, "name": "Click https://evil.example"})).await
    }

    async fn token_for(&self, email: &str) -> String {
        self.ask_in(email).await.is(202);
        let link = self.code("registration").await;
        link.split_once('.').unwrap().1.to_owned()
    }

    /// A request whose address is proved; gives its id.
    async fn waiting(&self, email: &str) -> String {
        let token = self.token_for(email).await;
        let told = self.anonymously(PROVE, json!({"token": token})).await.is(200);
        assert_eq!(told.body, json!({"outcome": "waiting", "joined": null}));
        let listed = self.get(ANN, &format!("{REGISTRATIONS}?status=waiting")).await.is(200);
        listed.body["items"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn decide(&self, who: Who, id: &str, what: &str, body: Value) -> Told {
        self.post(who, &format!("{REGISTRATIONS}/{id}/{what}"), body).await
    }

    /// A name that gets Bob past the guard of the desk and gives him nothing else.
    async fn bob_decides(&self) {
        let grant = json!({"subject": {"member": "bob@toys.example"}, "permission": "admin.registrations.*", "reason": "helps"});
        self.post(Who::Operator, "/api/v1/organizations/toys/grants", grant).await.is(201);
    }
}

both_engines!(an_address_of_the_domain_comes_in_by_a_mail, async |database| {
    let story = Story::taking(database, "domain").await;
    story.ask_in("dora@toys.example").await.is(202);
    let letters = story.letters().await;
    assert_eq!(letters.len(), 1);
    assert!(!letters[0].body.contains("evil"), "what a stranger typed is mailed to nobody");
    let link = code_in(&letters[0], "registration");
    let (organization, token) = link.split_once('.').unwrap();
    assert_eq!(organization, story.app.resolve_organization("toys").await.unwrap().to_string());
    // Attack 76: opening the link uses nothing up.
    story.get(Who::Nobody, "/registration").await.is(200);
    assert!(story.get(Who::Nobody, PROVE).await.status.is_client_error());
    let told = story.anonymously(PROVE, json!({"token": token})).await.is_problem(422, "invalid");
    assert_eq!(told.body["fields"][0]["field"], "password");
    assert!(!story.logins().await.contains(&"dora@toys.example".to_owned()), "nobody before the proof");
    // People copy the whole link as well.
    let whole = format!("https://charter.example/registration#{link}");
    let told = story.anonymously(PROVE, json!({"token": whole, "password": NEW})).await.is(200);
    assert_eq!((&told.body["outcome"], &told.body["joined"]["is_new"]), (&json!("joined"), &json!(true)));
    story.anonymously(PROVE, json!({"token": token, "password": NEW})).await.is_problem(410, "gone");
    story.log_in("dora@toys.example", NEW).await.is(200);
    let path = "/api/v1/organizations/toys/assignments?member=dora@toys.example";
    assert_eq!(story.all(Who::Operator, path, 50, "/role").await, ["viewer"]);
    for email in [
        "dora@trade.example",
        "dora@sub.toys.example",
        "dora@toys.example.evil.example",
        "dora@xtoys.example",
    ] {
        story.ask_in(email).await.is_problem(422, "invalid");
    }
});

both_engines!(
    /// Attack 53: an address that has an account is told nothing else, and its owner gets a mail.
    nobody_learns_from_the_answer_whether_there_is_an_account,
    async |database| {
        let story = Story::taking(database, "approval").await;
        let open = json!({"mode": "approval", "domains": [], "roles": ["viewer"], "default_role": "viewer"});
        story.patch(Who::Operator, SETTINGS, open).await.is(200);
        let revision = story.revision("toys").await;
        let unknown = story.ask_in("dora@toys.example").await.is(202);
        for email in ["ann@toys.example", "eve@trade.example", "CAT@toys.example"] {
            assert_eq!(seen(&story.ask_in(email).await), seen(&unknown), "{email}");
        }
        assert_eq!(story.revision("toys").await, revision, "strangers do not move the organization");
        let mut kinds: Vec<_> =
            story.letters().await.into_iter().map(|letter| (letter.recipient, letter.subject)).collect();
        kinds.sort();
        let expected = [
            ("ann@toys.example", "You have an account already"),
            ("cat@toys.example", "You have an account already"),
            ("dora@toys.example", "Prove your address"),
            ("eve@trade.example", "You have an account already"),
        ];
        assert_eq!(kinds, expected.map(|(to, subject)| (to.to_owned(), subject.to_owned())));
        // An organization that takes nobody and one that is not there are the same.
        let nowhere = story.anonymously("/api/v1/organizations/nowhere/registrations", json!({"email": "a@b.example"})).await;
        let closed = story.anonymously("/api/v1/organizations/trade/registrations", json!({"email": "a@b.example"})).await;
        assert_eq!(seen(&nowhere.is_problem(404, "not-found")).1, seen(&closed.is_problem(404, "not-found")).1);
    }
);

both_engines!(
    /// Attack 69: nothing but what the form has, and no role but those listed.
    a_form_cannot_be_stretched,
    async |database| {
        let story = Story::taking(database, "domain").await;
        for (field, value) in [
            ("is_superuser", json!(true)),
            ("org_id", json!("x")),
            ("organization", json!("platform")),
            ("email_verified", json!(true)),
            ("status", json!("active")),
            ("permissions", json!(["*"])),
            ("roles", json!(["org_admin"])),
            ("password", json!(NEW)),
        ] {
            for path in [REGISTRATIONS, PROVE] {
                if (path, field) == (PROVE, "password") {
                    continue;
                }
                let mut body = json!({"email": "dora@toys.example"});
                if path == PROVE {
                    body = json!({"token": "x"});
                }
                body[field] = value.clone();
                let told = story.anonymously(path, body).await;
                assert!([400, 422].contains(&told.status.as_u16()), "{path} {field}: {:#}", told.body);
            }
        }
        for role in ["org_admin", "superadmin", "accountant", "admin", "VIEWER "] {
            let body = json!({"email": "dora@toys.example", "role": role});
            story.anonymously(REGISTRATIONS, body).await.is_problem(422, "invalid");
        }
        let body = json!({"email": "dora@toys.example", "role": "packing_operator"});
        story.anonymously(REGISTRATIONS, body).await.is(202);
        let link = story.code("registration").await;
        let token = link.split_once('.').unwrap().1;
        story.anonymously(PROVE, json!({"token": token, "password": NEW})).await.is(200);
        let path = "/api/v1/organizations/toys/assignments?member=dora@toys.example";
        assert_eq!(story.all(Who::Operator, path, 50, "/role").await, ["packing_operator"]);
    }
);

both_engines!(an_administrator_lets_a_newcomer_in, async |database| {
    let story = Story::taking(database, "approval").await;
    let token = story.token_for("dora@toys.example").await;
    assert!(story.get(ANN, REGISTRATIONS).await.is(200).body["items"].as_array().unwrap().is_empty());
    let body = json!({"token": token, "password": NEW});
    story.anonymously(PROVE, body).await.is_problem(422, "invalid");
    story.anonymously(PROVE, json!({"token": token})).await.is(200);
    story.anonymously(PROVE, json!({"token": token})).await.is_problem(410, "gone");
    assert!(
        !story.logins().await.contains(&"dora@toys.example".to_owned()),
        "no account before the approval"
    );
    story.log_in("dora@toys.example", NEW).await.is(401);
    let listed = story.get(ANN, &format!("{REGISTRATIONS}?status=waiting")).await.is(200);
    let request = &listed.body["items"][0];
    assert_eq!((&request["email"], &request["status"]), (&json!("dora@toys.example"), &json!("waiting")));
    let id = request["id"].as_str().unwrap().to_owned();
    story
        .decide(CAT, &id, "approve", json!({"reason": "works in the shop"}))
        .await
        .is_problem(403, "forbidden");
    // An approval takes a reason as a rejection does.
    for body in [json!({}), json!({"reason": " "})] {
        let told = story.decide(ANN, &id, "approve", body).await.is_problem(422, "invalid");
        assert_eq!(told.body["fields"][0]["field"], "reason");
    }
    let done = story.decide(ANN, &id, "approve", json!({"reason": "works in the shop"})).await.is(200);
    assert_eq!(
        (&done.body["status"], &done.body["decided_by"], &done.body["reason"]),
        (&json!("approved"), &json!(story.id_of(ANN).to_string()), &json!("works in the shop"))
    );
    story.decide(ANN, &id, "approve", json!({"reason": "works in the shop"})).await.is_problem(410, "gone");
    story.decide(ANN, &id, "reject", json!({"reason": "no"})).await.is_problem(410, "gone");
    let token = story.code("reset-password").await;
    let body = json!({"token": token, "password": NEW});
    story.anonymously("/api/v1/auth/reset-password", body).await.is(204);
    story.log_in("dora@toys.example", NEW).await.is(200);
    for action in
        ["registration.ask", "registration.mail-token", "registration.prove", "registration.approve"]
    {
        let path = format!("/api/v1/organizations/toys/audit/events?action={action}");
        let events = story.get(Who::Operator, &path).await.is(200).body;
        assert_eq!(events["items"].as_array().unwrap().len(), 1, "{action}");
    }
});

both_engines!(a_newcomer_is_turned_down_with_a_reason, async |database| {
    let story = Story::taking(database, "approval").await;
    let id = story.waiting("dora@toys.example").await;
    story.decide(ANN, &id, "reject", json!({"reason": " "})).await.is_problem(422, "invalid");
    let done = story.decide(ANN, &id, "reject", json!({"reason": "nobody here knows you"})).await.is(200);
    assert_eq!(done.body["status"], "rejected");
    let letters = story.letters().await;
    assert_eq!(letters[0].recipient, "dora@toys.example");
    assert!(letters[0].body.contains("nobody here knows you"));
    story.decide(ANN, &id, "approve", json!({"reason": "works in the shop"})).await.is_problem(410, "gone");
    let listed = story.get(ANN, &format!("{REGISTRATIONS}?status=rejected")).await.is(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    story.get(EVE, REGISTRATIONS).await.is_problem(404, "not-found");
    // Two requests of one address: one waits.
    let one = story.token_for("dan@toys.example").await;
    let two = story.token_for("DAN@toys.example").await;
    story.anonymously(PROVE, json!({"token": one})).await.is(200);
    story.anonymously(PROVE, json!({"token": two})).await.is(200);
    let listed = story.get(ANN, &format!("{REGISTRATIONS}?status=waiting")).await.is(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
});

both_engines!(
    /// Attack 73.
    nobody_approves_themselves_or_above_their_own_level,
    async |database| {
        let story = Story::taking(database, "approval").await;
        story.bob_decides().await;
        let id = story.waiting("dora@toys.example").await;
        story.decide(BOB, &id, "approve", json!({"reason": "works in the shop"})).await.is_problem(403, "beyond-giver");
        let body = json!({"role": "packing_operator", "reason": "packs"});
        story.decide(BOB, &id, "approve", body).await.is_problem(403, "beyond-giver");
        for role in ["org_admin", "superadmin", "accountant"] {
            story.decide(ANN, &id, "approve", json!({"role": role, "reason": "wants it"})).await.is_problem(422, "invalid");
        }
        assert!(!story.logins().await.contains(&"dora@toys.example".to_owned()));
        // Eve administers trade and asks at toys, where somebody gave her the desk before she is a member: she is none, and gets nowhere.
        let open = json!({"mode": "approval", "domains": [], "roles": ["viewer"], "default_role": "viewer"});
        story.patch(Who::Operator, SETTINGS, open).await.is(200);
        let eves = story.waiting("eve@trade.example").await;
        story.decide(EVE, &eves, "approve", json!({"reason": "works in the shop"})).await.is_problem(404, "not-found");
        // Ann's own address at another organization: she administers it too, by its operator's hand, and still may not decide for herself.
        let settings = json!({"mode": "approval", "domains": [], "roles": ["viewer"], "default_role": "viewer"});
        story.patch(Who::Operator, SETTINGS, settings).await.is(200);
        let token = story.token_for("fay@toys.example").await;
        story.anonymously(PROVE, json!({"token": token})).await.is(200);
        story.hire("toys", Who::Named("fay@toys.example")).await;
        let fay = Who::Named("fay@toys.example");
        story.assign(Who::Operator, "toys", fay, "org_admin").await.is(201);
        let listed = story.get(fay, &format!("{REGISTRATIONS}?status=waiting")).await.is(200);
        let own = listed.body["items"].as_array().unwrap().iter().find(|it| it["email"] == "fay@toys.example").unwrap();
        let own = own["id"].as_str().unwrap();
        story.decide(fay, own, "approve", json!({"reason": "works in the shop"})).await.is_problem(403, "forbidden");
        story.decide(fay, own, "reject", json!({"reason": "mine"})).await.is_problem(403, "forbidden");
        story.decide(ANN, &id, "approve", json!({"reason": "works in the shop"})).await.is(200);
        story.decide(ANN, &eves, "approve", json!({"reason": "works in the shop"})).await.is(200);
        assert!(story.logins().await.contains(&"eve@trade.example".to_owned()));
    }
);

both_engines!(a_request_ends_after_three_days, async |database| {
    let story = Story::taking(database, "approval").await;
    let late = story.token_for("dan@toys.example").await;
    let id = story.waiting("dora@toys.example").await;
    story.pass(72 * 3_600);
    story.anonymously(PROVE, json!({"token": late})).await.is_problem(410, "gone");
    story.decide(ANN, &id, "approve", json!({"reason": "works in the shop"})).await.is_problem(410, "gone");
    story.wait_seconds(1).await;
    let listed = story.get(ANN, &format!("{REGISTRATIONS}?status=expired")).await.is(200);
    assert_eq!(listed.body["items"][0]["id"], id);
    let events = "/api/v1/organizations/toys/audit/events?action=registration.expire";
    assert_eq!(story.all(Who::Operator, events, 50, "/action").await.len(), 2);
    story.wait_seconds(86 * 86_400).await;
    assert_eq!(story.all(ANN, REGISTRATIONS, 50, "/id").await, [id]);
    story.wait_seconds(5 * 86_400).await;
    assert!(story.get(ANN, REGISTRATIONS).await.is(200).body["items"].as_array().unwrap().is_empty());
});

both_engines!(an_account_of_elsewhere_joins_by_the_domain_with_its_password, async |database| {
    let story = Story::taking(database, "domain").await;
    let domains = json!({"mode": "domain", "domains": ["trade.example"], "default_role": null});
    story.patch(Who::Operator, SETTINGS, domains).await.is(200);
    story.password_for("eve@trade.example").await;
    story.letters().await;
    let token = story.token_for("eve@trade.example").await;
    story
        .anonymously(PROVE, json!({"token": token, "password": NEW}))
        .await
        .is_problem(401, "invalid-credentials");
    let told = story.anonymously(PROVE, json!({"token": token, "password": PASSWORD})).await.is(200);
    assert_eq!(told.body["joined"]["is_new"], false);
    let path = "/api/v1/organizations/toys/assignments?member=eve@trade.example";
    assert!(story.all(Who::Operator, path, 50, "/role").await.is_empty(), "no default role, no role");
});

both_engines!(requests_are_slowed_down_by_mailbox_address_and_organization, async |database| {
    let story = Story::taking(database, "domain").await;
    // One mailbox, however it is written: three mails within an hour, and always the same answer.
    let first = story.ask_in("dora@toys.example").await.is(202);
    for same in
        ["DORA@toys.example", "dora+a@toys.example", "\u{ff44}ora+b@toys.example", "dora+c@toys.example"]
    {
        assert_eq!(seen(&story.ask_in(same).await), seen(&first));
    }
    assert_eq!(story.letters().await.len(), 3);
    let ask = async |number: usize, from: &str| {
        let body = json!({"email": format!("a{number}@toys.example")});
        story.wire(Method::POST, REGISTRATIONS, &[], Some(from), Some(body)).await
    };
    story.pass(60);
    for number in 0..30 {
        ask(number, &format!("192.0.2.{number}")).await.is(202);
    }
    ask(30, "192.0.2.30").await.is_problem(429, "throttled");
    story.pass(60);
    for number in 0..30 {
        ask(100 + number, "192.0.2.99").await.is(202);
    }
    ask(130, "192.0.2.99").await.is_problem(429, "throttled");
});

both_engines!(what_is_no_address_or_name_is_refused, async |database| {
    let story = Story::taking(database, "domain").await;
    for bad in [
        "",
        "dora",
        "do\u{0}ra@toys.example",
        "dora@toys.example\r\nBcc: eve@evil.example",
        "do\u{202e}ra@toys.example",
        "do\u{200d}ra@toys.example",
        &format!("{}@toys.example", "a".repeat(10_000)),
    ] {
        story.ask_in(bad).await.is_problem(422, "invalid");
        let body = json!({"email": "dora@toys.example", "name": format!("D{bad}\u{0}")});
        story.anonymously(REGISTRATIONS, body).await.is_problem(422, "invalid");
    }
    // 64 kB is more than the route takes.
    story.ask_in(&"a".repeat(64 * 1024)).await.is_problem(413, "too-large");
    for bad in ["x", "", "' or 1=1 --", "\u{0}", &"A".repeat(43)] {
        story.anonymously(PROVE, json!({"token": bad})).await.is_problem(403, "forbidden");
    }
    assert!(story.letters().await.is_empty());
});

both_engines!(guesses_at_a_whole_organization_slow_all_of_them_down_but_known_devices, async |database| {
    let story = Story::with_password(database).await;
    let guess = async |login: String, password: &str, number: usize, device: Option<&str>| {
        let body = json!({"login": login, "password": password, "device_token": device});
        let from = format!("10.1.{}.{}", number / 250, number % 250);
        story.wire(Method::POST, "/api/v1/auth/login", &[], Some(&from), Some(body)).await
    };
    let ann = || "ann@toys.example".to_owned();
    let begun = guess(ann(), PASSWORD, 0, None).await.is(200);
    let device = begun.body["device_token"].as_str().unwrap().to_owned();
    // Whether the accounts exist makes no difference.
    for number in 0..300 {
        guess(format!("user{number}@toys.example"), "wrong horse battery", number + 1, None).await.is(401);
    }
    guess("nobody@toys.example".to_owned(), "wrong horse battery", 400, None)
        .await
        .is_problem(429, "throttled");
    guess(ann(), PASSWORD, 401, None).await.is_problem(429, "throttled");
    guess(ann(), PASSWORD, 402, Some(&device)).await.is(200);
    guess("eve@trade.example".to_owned(), "wrong horse battery", 403, None).await.is(401);
    story.pass(1);
    guess(ann(), PASSWORD, 404, None).await.is(200);
});

both_engines!(
    /// Whoever may only set this opened the door to a role the operator had listed, and had somebody come in with it.
    nobody_opens_the_door_to_a_role_they_could_not_give,
    async |database| {
        let story = Story::company(database).await;
        let closed = json!({"mode": "off", "domains": ["toys.example"], "roles": ["packing_operator"]});
        let version = story.patch(Who::Operator, SETTINGS, closed.clone()).await.is(200).body["row_version"].clone();
        let grant = json!({"subject": {"member": "bob@toys.example"}, "permission": "admin.org_settings.*", "reason": "helps"});
        story.post(Who::Operator, "/api/v1/organizations/toys/grants", grant).await.is(201);
        let opened = async |how: Value| story.patch(BOB, SETTINGS, how).await;
        for how in [
            json!({"mode": "invitation"}),
            json!({"mode": "domain"}),
            json!({"mode": "approval"}),
            json!({"mode": "domain", "domains": ["evil.example"]}),
            json!({"mode": "approval", "domains": []}),
            json!({"domains": ["toys.example", "evil.example"]}),
            json!({"default_role": "packing_operator"}),
        ] {
            let told = opened(how).await.is_problem(403, "beyond-giver");
            assert!(told.body["detail"].as_str().unwrap().contains("packing_operator"), "{:#}", told.body);
        }
        assert_eq!(story.get(BOB, SETTINGS).await.is(200).body["row_version"], version);
        story.patch(Who::Operator, SETTINGS, json!({"mode": "approval", "default_role": "packing_operator"})).await.is(200);
        for how in [json!({"mode": "domain"}), json!({"domains": []}), json!({"domains": ["evil.example"]})] {
            opened(how).await.is_problem(403, "beyond-giver");
        }
        // Closing it is free, whatever is listed.
        story.patch(Who::Operator, SETTINGS, json!({"domains": ["toys.example", "trade.example"]})).await.is(200);
        for how in [
            json!({"domains": ["toys.example"]}),
            json!({"default_role": null}),
            json!({"mode": "invitation"}),
            json!({"mode": "off"}),
            json!({"domains": []}),
        ] {
            opened(how).await.is(200);
        }
        // So is opening it to nobody's role, and to those of whoever opens it.
        opened(json!({"mode": "approval", "roles": []})).await.is(200);
        story.patch(Who::Operator, SETTINGS, closed).await.is(200);
        story.patch(ANN, SETTINGS, json!({"mode": "domain", "default_role": "packing_operator"})).await.is(200);
    }
);
