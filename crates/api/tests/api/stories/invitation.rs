//! Invitations: made within what the organization and the inviter may give, accepted once, by the reader of the mail alone.

use super::auth::PASSWORD;
use super::mail::Postbox;
use super::{ANN, BOB, EVE, Story, Told, Who};
use charter_app::mail::Letter;
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use http::Method;
use serde_json::{Value, json};

pub const SETTINGS: &str = "/api/v1/organizations/toys/registration-settings";
const INVITATIONS: &str = "/api/v1/organizations/toys/invitations";
const ACCEPT: &str = "/api/v1/invitations/accept";
pub const NEW: &str = "staple the horse to it";

impl Story {
    /// The company; toys lets newcomers be viewers or packers.
    pub async fn taking(database: TestDatabase, mode: &str) -> Self {
        let story = Self::company(database).await;
        story.take_newcomers(mode).await;
        story
    }

    pub async fn take_newcomers(&self, mode: &str) {
        let settings = json!({
            "mode": mode, "domains": ["toys.example"], "roles": ["viewer", "packing_operator"], "default_role": "viewer",
        });
        self.patch(Who::Operator, SETTINGS, settings).await.is(200);
    }

    /// Every letter that is on its way.
    pub async fn letters(&self) -> Vec<Letter> {
        self.app.tick().await.unwrap();
        let mut all = Vec::new();
        loop {
            let some = Postbox::new().empty(&self.app).await;
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    }

    /// What stands behind an address of ours in the one letter that is on its way.
    pub async fn code(&self, page: &str) -> String {
        let letters = self.letters().await;
        assert_eq!(letters.len(), 1, "{letters:?}");
        code_in(&letters[0], page)
    }

    async fn invite(&self, email: &str) -> String {
        self.post(ANN, INVITATIONS, json!({"email": email})).await.is(201);
        self.code("invitation").await
    }

    /// Sends a body as somebody unknown.
    pub async fn anonymously(&self, path: &str, body: Value) -> Told {
        self.wire(Method::POST, path, &[], None, Some(body)).await
    }

    async fn accept(&self, token: &str) -> Told {
        self.anonymously(ACCEPT, json!({"token": token, "password": NEW})).await
    }

    pub async fn logins(&self) -> Vec<String> {
        self.all(Who::Operator, "/api/v1/organizations/toys/members", 50, "/login").await
    }
}

pub fn code_in(letter: &Letter, page: &str) -> String {
    let (_, rest) = letter.body.split_once(&format!("https://charter.example/{page}#")).unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

both_engines!(an_invitation_makes_an_account_once, async |database| {
    let story = Story::taking(database, "invitation").await;
    let made = story.post(ANN, INVITATIONS, json!({"email": " Dora@Toys.example "})).await.is(201);
    assert_eq!(
        (&made.body["email"], &made.body["roles"], &made.body["status"]),
        (&json!("dora@toys.example"), &json!(["viewer"]), &json!("open"))
    );
    assert_eq!(made.body["expires_at"], "2027-01-18T08:00:00Z", "72 hours");
    let letters = story.letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].recipient, "dora@toys.example");
    let token = code_in(&letters[0], "invitation");
    assert!(token.starts_with("chi_test_") && token.len() == 72);
    assert!(!made.body.to_string().contains(&token), "whoever invites does not see the code");

    // Opening the link, as scanners of mail do, uses nothing up; neither does looking.
    story.get(Who::Nobody, "/invitation").await.is(200);
    let looked = story.anonymously("/api/v1/invitations/look", json!({"token": token})).await.is(200);
    assert_eq!(
        (&looked.body["organization_name"], &looked.body["email"], &looked.body["has_account"]),
        (&json!("Soft Toys"), &json!("dora@toys.example"), &json!(false))
    );
    story.anonymously(ACCEPT, json!({"token": token})).await.is_problem(422, "invalid");
    let weak = json!({"token": token, "password": "soft toys dora"});
    story.anonymously(ACCEPT, weak).await.is_problem(422, "invalid");

    let joined = json!({"token": token, "password": NEW, "name": "Dora"});
    let joined = story.anonymously(ACCEPT, joined).await.is(200);
    assert_eq!(
        (&joined.body["organization"], &joined.body["is_new"]),
        (&json!("toys"), &json!(true)),
        "{:#}",
        joined.body
    );
    assert!(joined.headers.get("set-cookie").is_none(), "it signs nobody in");
    story.accept(&token).await.is_problem(410, "gone");
    story.log_in("dora@toys.example", NEW).await.is(200);
    let path = "/api/v1/organizations/toys/assignments?member=dora@toys.example";
    assert_eq!(story.all(Who::Operator, path, 50, "/role").await, ["viewer"]);
    let listed = story.get(ANN, INVITATIONS).await.is(200);
    assert_eq!(listed.body["items"][0]["status"], "accepted");
    assert_eq!(listed.body["items"][0]["member_id"], joined.body["member_id"]);
    for action in ["invitation.create", "invitation.accept", "member.add", "role.assign"] {
        let path = format!("/api/v1/organizations/toys/audit/events?action={action}");
        let events = story.get(Who::Operator, &path).await.is(200).body;
        assert!(!events["items"].as_array().unwrap().is_empty(), "{action}");
        assert!(!events.to_string().contains(&token), "the code is on the trail");
    }
});

both_engines!(
    /// Attack 71: replayed, with another's account, too late, withdrawn, tampered with.
    a_code_is_worth_nothing_in_other_hands_or_later,
    async |database| {
        let story = Story::taking(database, "invitation").await;
        let token = story.invite("dora@toys.example").await;
        // Somebody who is signed in as another takes no account's invitation.
        let body = json!({"token": token});
        story.post(EVE, "/api/v1/me/invitations", body.clone()).await.is_problem(403, "forbidden");
        story.post(BOB, "/api/v1/me/invitations", body).await.is_problem(403, "forbidden");
        let last = if token.ends_with('0') { "1" } else { "0" };
        let cut = &token[..71];
        let (other_secret, as_key) = (token.replace("chi_test_", "chi_live_"), token.replace("chi_", "chk_"));
        for bad in ["", "x", cut, &format!("{cut}{last}"), &other_secret, &as_key, &"A".repeat(10_000)] {
            story.accept(bad).await.is_problem(403, "forbidden");
        }
        story.pass(72 * 3_600);
        story.accept(&token).await.is_problem(410, "gone");
        assert_eq!(story.get(ANN, INVITATIONS).await.is(200).body["items"][0]["status"], "expired");

        let token = story.invite("dora@toys.example").await;
        let id = story.get(ANN, INVITATIONS).await.is(200).body["items"][0]["id"].as_str().unwrap().to_owned();
        story.delete(ANN, &format!("{INVITATIONS}/{id}")).await.is(204);
        story.delete(ANN, &format!("{INVITATIONS}/{id}")).await.is_problem(410, "gone");
        story.accept(&token).await.is_problem(410, "gone");

        // Where the organization takes nobody any more, or not with this role, the code is over as well.
        let token = story.invite("dora@toys.example").await;
        story.patch(Who::Operator, SETTINGS, json!({"mode": "off"})).await.is(200);
        story.accept(&token).await.is_problem(410, "gone");
        let none = json!({"mode": "invitation", "roles": [], "default_role": null});
        story.patch(Who::Operator, SETTINGS, none).await.is(200);
        story.accept(&token).await.is_problem(410, "gone");
        story.take_newcomers("invitation").await;
        story.accept(&token).await.is(200);
    }
);

both_engines!(a_change_of_the_settings_of_newcomers_leaves_the_rest_as_it_is, async |database| {
    let story = Story::taking(database, "approval").await;
    let change = async |body: Value| story.patch(Who::Operator, SETTINGS, body).await;
    let shut = change(json!({"mode": "off"})).await.is(200).body;
    assert_eq!(
        (&shut["domains"], &shut["roles"], &shut["default_role"]),
        (&json!(["toys.example"]), &json!(["viewer", "packing_operator"]), &json!("viewer"))
    );
    let told = change(json!({"roles": ["packing_operator"]})).await.is_problem(422, "invalid");
    assert_eq!(told.body["fields"][0]["field"], "default_role");
    let told = change(json!({"roles": ["packing_operator"], "default_role": null})).await.is(200).body;
    assert_eq!((&told["mode"], &told["default_role"]), (&json!("off"), &Value::Null));
    change(json!({"mode": "domain", "domains": []})).await.is_problem(422, "invalid");
    // A role that became privileged since keeps nobody from closing the door.
    let plain = json!({"key": "plain", "name": "Plain", "level": "viewer", "permissions": [{"permission": "sales.orders.read"}]});
    story.post(Who::Operator, "/api/v1/organizations/toys/roles", plain).await.is(201);
    change(json!({"mode": "approval", "roles": ["plain"]})).await.is(200);
    let more = json!({"permissions": [{"permission": "admin.roles.assign"}]});
    story.patch(Who::Operator, "/api/v1/organizations/toys/roles/plain", more).await.is(200);
    change(json!({"mode": "off"})).await.is(200);
    change(json!({"roles": ["plain"]})).await.is_problem(422, "invalid");
});

both_engines!(
    /// Attack 72.
    an_invitation_accepted_twice_at_once_makes_one_member,
    async |database| {
        let story = Story::taking(database, "invitation").await;
        let token = story.invite("dora@toys.example").await;
        let (first, second) = tokio::join!(story.accept(&token), story.accept(&token));
        let statuses = [first.status.as_u16(), second.status.as_u16()];
        assert!(statuses.contains(&200), "{:#} {:#}", first.body, second.body);
        assert!(statuses.iter().any(|status| [410, 503].contains(status)), "{statuses:?}");
        assert_eq!(story.logins().await.iter().filter(|login| *login == "dora@toys.example").count(), 1);
    }
);

both_engines!(
    /// Attack 70, and roles beyond the list, the inviter, and newcomers as such.
    nobody_is_invited_to_more_than_newcomers_get_and_the_inviter_has,
    async |database| {
        let story = Story::taking(database, "invitation").await;
        for role in ["org_admin", "superadmin", "accountant", "nothing", "", "Viewer!"] {
            let body = json!({"email": "dora@toys.example", "roles": [role]});
            story.post(ANN, INVITATIONS, body).await.is_problem(422, "invalid");
        }
        // The list itself takes no privileged role, by whatever way it is one.
        let lines = json!([{"permission": "admin.roles.assign"}]);
        let quiet = json!({"key": "quiet", "name": "Quiet", "level": "viewer", "permissions": lines});
        story.post(Who::Operator, "/api/v1/organizations/toys/roles", quiet).await.is(201);
        for role in ["org_admin", "superadmin", "quiet", "nothing"] {
            let body = json!({"mode": "invitation", "roles": [role]});
            story.patch(Who::Operator, SETTINGS, body).await.is_problem(422, "invalid");
        }
        // A role on the list that became privileged is given to nobody any more.
        let plain = json!({"key": "plain", "name": "Plain", "level": "viewer", "permissions": [{"permission": "sales.orders.read"}]});
        story.post(Who::Operator, "/api/v1/organizations/toys/roles", plain).await.is(201);
        let body = json!({"mode": "invitation", "roles": ["viewer", "plain"], "default_role": "plain"});
        story.patch(ANN, SETTINGS, body).await.is(200);
        let token = story.invite("dora@toys.example").await;
        let more = json!({"permissions": [{"permission": "admin.roles.assign"}]});
        story.patch(Who::Operator, "/api/v1/organizations/toys/roles/plain", more).await.is(200);
        story.accept(&token).await.is_problem(410, "gone");
        let body = json!({"email": "dan@toys.example"});
        story.post(ANN, INVITATIONS, body).await.is_problem(422, "invalid");

        // Bob may invite, and holds nothing else.
        story.take_newcomers("invitation").await;
        let grant = json!({"subject": {"member": "bob@toys.example"}, "permission": "admin.invitations.*", "reason": "helps"});
        story.post(Who::Operator, "/api/v1/organizations/toys/grants", grant).await.is(201);
        let body = json!({"email": "dan@toys.example", "roles": ["packing_operator"]});
        story.post(BOB, INVITATIONS, body).await.is_problem(403, "beyond-giver");
        story.post(EVE, INVITATIONS, json!({"email": "dan@toys.example"})).await.is_problem(404, "not-found");
        // Fields that are nobody's to set.
        for (field, value) in [("role", json!("org_admin")), ("is_superuser", json!(true)), ("token", json!("x"))] {
            let mut body = json!({"email": "dan@toys.example"});
            body[field] = value;
            let told = story.post(ANN, INVITATIONS, body).await;
            assert!([400, 422].contains(&told.status.as_u16()), "{field}: {:#}", told.body);
        }
    }
);

both_engines!(whoever_invited_and_was_sent_away_lets_nobody_in, async |database| {
    let story = Story::taking(database, "invitation").await;
    story.assign(Who::Operator, "toys", BOB, "org_admin").await.is(201);
    story.post(BOB, INVITATIONS, json!({"email": "dora@toys.example"})).await.is(201);
    let token = story.code("invitation").await;
    let bob = "/api/v1/organizations/toys/members/bob@toys.example";
    story.patch(Who::Operator, bob, json!({"status": "suspended"})).await.is(200);
    story.accept(&token).await.is_problem(410, "gone");
    story.patch(Who::Operator, bob, json!({"status": "active"})).await.is(200);
    story.accept(&token).await.is(200);
});

both_engines!(an_account_that_exists_joins_with_its_password_or_signed_in, async |database| {
    let story = Story::taking(database, "invitation").await;
    story.password_for("eve@trade.example").await;
    story.letters().await;
    let token = story.invite("eve@trade.example").await;
    let looked = story.anonymously("/api/v1/invitations/look", json!({"token": token})).await.is(200);
    assert_eq!(looked.body["has_account"], true);
    story.anonymously(ACCEPT, json!({"token": token})).await.is_problem(422, "invalid");
    story.accept(&token).await.is_problem(401, "invalid-credentials");
    let joined = story.anonymously(ACCEPT, json!({"token": token, "password": PASSWORD})).await.is(200);
    assert_eq!(
        (&joined.body["is_new"], &joined.body["member_id"]),
        (&json!(false), &json!(story.id_of(EVE).to_string()))
    );
    let body = json!({"email": "eve@trade.example"});
    story.post(ANN, INVITATIONS, body).await.is_problem(409, "taken");

    // Signed in, nothing else is asked.
    let settings = json!({"mode": "invitation"});
    story.patch(Who::Operator, "/api/v1/organizations/trade/registration-settings", settings).await.is(200);
    story
        .post(EVE, "/api/v1/organizations/trade/invitations", json!({"email": "bob@toys.example"}))
        .await
        .is(201);
    let token = story.code("invitation").await;
    story.post(BOB, "/api/v1/me/invitations", json!({"token": token})).await.is(200);
    story.post(BOB, "/api/v1/me/invitations", json!({"token": token})).await.is_problem(410, "gone");
    // An account without a password, which somebody else made for the address, gets its first one from its owner.
    story
        .post(EVE, "/api/v1/organizations/trade/invitations", json!({"email": "cat@toys.example"}))
        .await
        .is(201);
    let token = story.code("invitation").await;
    let joined = story.accept(&token).await.is(200);
    assert_eq!(joined.body["is_new"], false);
    story.log_in("cat@toys.example", NEW).await.is(200);
});

both_engines!(
    /// Attacks 61 and 62: one mailbox has one invitation however it is written, and what is no address is refused.
    an_address_is_one_however_it_is_written,
    async |database| {
        let story = Story::taking(database, "invitation").await;
        story.invite("dora@toys.example").await;
        for same in ["DORA@TOYS.EXAMPLE", "\u{ff44}ora@toys.example", "dora\u{ff20}toys.example", " dora@toys.example\t"] {
            let told = story.post(ANN, INVITATIONS, json!({"email": same})).await;
            told.is_problem(409, "taken");
        }
        for bad in [
            "dora",
            "",
            "do\u{0}ra@toys.example",
            "dora@toys.example\r\nBcc: eve@evil.example",
            "do\u{202e}ra@toys.example",
            "do\u{200b}ra@toys.example",
            "do\u{ad}ra@toys.example",
            "dora@toys\u{2060}.example",
            "dora@@toys.example",
            "dora@toys..example",
            &format!("{}@toys.example", "a".repeat(64 * 1024)),
        ] {
            let told = story.post(ANN, INVITATIONS, json!({"email": bad})).await;
            told.is_problem(422, "invalid");
        }
        assert!(story.letters().await.is_empty());
    }
);

both_engines!(an_invitation_that_runs_out_is_told_once_and_forgotten_after_a_while, async |database| {
    let story = Story::taking(database, "invitation").await;
    let settings = json!({"mode": "invitation", "roles": ["viewer"], "default_role": "viewer"});
    story.patch(Who::Operator, "/api/v1/organizations/trade/registration-settings", settings).await.is(200);
    let of = |key: &str| format!("/api/v1/organizations/{key}/invitations");
    let events = |key: &str| format!("/api/v1/organizations/{key}/audit/events?action=invitation.expire");
    let mut made = Vec::new();
    for (key, email, hours) in [
        ("toys", "dora@toys.example", 1),
        ("toys", "dan@toys.example", 1),
        ("toys", "late@toys.example", 2),
        ("trade", "dora@toys.example", 1),
    ] {
        let told = story.post(Who::Operator, &of(key), json!({"email": email, "hours": hours})).await.is(201);
        made.push(told.body["id"].as_str().unwrap().to_owned());
    }
    let letters = story.letters().await;
    let taken = code_in(letters.iter().find(|it| it.recipient == "dan@toys.example").unwrap(), "invitation");
    story.accept(&taken).await.is(200);
    let revision = story.revision("toys").await;
    story.wait_seconds(3_599).await;
    assert_eq!(story.all(Who::Operator, &events("toys"), 50, "/target").await, Vec::<String>::new());
    story.wait_seconds(1).await;
    story.wait_seconds(1).await;
    assert_eq!(story.all(Who::Operator, &events("toys"), 50, "/target").await, [made[0].clone()]);
    assert_eq!(story.all(Who::Operator, &events("trade"), 50, "/target").await, [made[3].clone()]);
    let told = story.get(Who::Operator, &events("toys")).await.is(200);
    assert_eq!(told.body["items"][0]["reason"], "nobody accepted it in time");
    assert_eq!(story.revision("toys").await, revision, "that time passes does not move the organization");
    let shown = story.get(ANN, &format!("{INVITATIONS}/{}", made[0])).await.is(200).body;
    assert_eq!((&shown["status"], &shown["closed_at"]), (&json!("expired"), &shown["expires_at"]));
    story.delete(ANN, &format!("{INVITATIONS}/{}", made[0])).await.is_problem(410, "gone");
    // Whoever let it run out may be invited again.
    story.post(ANN, INVITATIONS, json!({"email": "dora@toys.example", "hours": 1})).await.is(201);

    story.wait_seconds(89 * 86_400).await;
    assert_eq!(story.all(ANN, INVITATIONS, 50, "/id").await.len(), 4);
    assert_eq!(story.all(Who::Operator, &events("toys"), 50, "/target").await.len(), 3);
    story.wait_seconds(86_400).await;
    let mut left = story.all(ANN, INVITATIONS, 50, "/id").await;
    left.retain(|id| made.contains(id));
    assert_eq!(left, [made[2].clone()], "the first two ended 90 days ago");
    story.wait_seconds(4 * 3_600).await;
    assert_eq!(story.all(ANN, INVITATIONS, 50, "/id").await, Vec::<String>::new());
    assert_eq!(story.all(Who::Operator, &of("trade"), 50, "/id").await, Vec::<String>::new());
    // A code of one that is forgotten is no code any more.
    story.accept(&taken).await.is_problem(403, "forbidden");
});
