//! Webhooks: what happens is told to whom it was promised, signed, once and again until it arrives.

use super::mail::Postbox;
use super::shadow::{self, Shadowed};
use super::{ANN, BOB, EVE, PAT, Story, Told, Who};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use charter_app::App;
use charter_app::webhook::{Answer, Courier, Delivering, Parcel, Sending, deliver_due, signature, spread};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use charter_testkit::fault::Faults;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

const HOOKS: &str = "/api/v1/organizations/toys/webhooks";

/// Keeps the parcels it was given and answers as it is told.
struct Van {
    parcels: Mutex<Vec<Parcel>>,
    answer: Mutex<Answer>,
}

impl Courier for Van {
    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Delivering<'a> {
        Box::pin(async move {
            self.parcels.lock().unwrap().push(parcel.clone());
            if parcel.url.contains("hangs") {
                return std::future::pending().await;
            }
            self.answer.lock().unwrap().clone()
        })
    }
}

impl Van {
    fn new() -> Arc<Self> {
        Arc::new(Self { parcels: Mutex::default(), answer: Mutex::new(Answer::Status(200)) })
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// One round: what happened is queued, what is due is sent; gives what was sent.
    async fn round(self: &Arc<Self>, app: &App) -> Vec<Parcel> {
        spread(app).await.unwrap();
        let courier: Arc<dyn Courier> = Arc::<Self>::clone(self);
        while deliver_due(app, &courier).await.unwrap() > 0 {}
        std::mem::take(&mut *self.parcels.lock().unwrap())
    }
}

async fn make(story: &Story, events: Value) -> (String, String) {
    let body = json!({"name": "ledger", "url": "https://hooks.example.com/toys", "events": events});
    let told = story.post(ANN, HOOKS, body).await.is(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&told.body["webhook"]["id"]), text(&told.body["secret"]))
}

async fn give(story: &Story, n: usize) -> Told {
    let reason = format!("helps {n}");
    let body = json!({"subject": {"member": "bob@toys.example"}, "permission": "sales.invoices.read", "reason": reason});
    story.post(ANN, "/api/v1/organizations/toys/grants", body).await.is(201)
}

async fn ask(story: &Story, who: Who, path: &str) -> Told {
    story.send(who, Method::POST, path, &[], None).await
}

fn events(parcels: &[Parcel]) -> Vec<String> {
    let kind = |parcel: &Parcel| {
        serde_json::from_str::<Value>(&parcel.body).unwrap()["type"].as_str().unwrap().to_owned()
    };
    parcels.iter().map(kind).collect()
}

/// Whether a parcel is signed by a secret.
fn is_signed(parcel: &Parcel, secret: &str) -> bool {
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let expected = signature::sign([secret.as_slice()], &parcel.id, parcel.timestamp, &parcel.body);
    parcel.signature.split(' ').any(|one| one == expected)
}

both_engines!(what_happens_is_told_to_whom_it_was_promised_and_signed, async |database| {
    let story = Story::company(database).await;
    let van = Van::new();
    give(&story, 0).await;
    let (id, secret) = make(&story, json!(["grant.*"])).await;
    assert_eq!(secret.len(), 6 + 44);
    let (all, _) = make(&story, json!(["*"])).await;
    let grant = give(&story, 1).await;
    // Another organization's doings are not told here.
    let team = json!({"key": "traders", "name": "Traders"});
    story.post(EVE, "/api/v1/organizations/trade/teams", team).await.is(201);

    let parcels = van.round(&story.app).await;
    let mut found = events(&parcels);
    found.sort();
    // The second webhook is told of its own making, and nothing of what was before.
    assert_eq!(found, ["grant.give", "grant.give", "webhook.create"]);
    let signed: Vec<&Parcel> = parcels.iter().filter(|parcel| is_signed(parcel, &secret)).collect();
    assert_eq!(signed.len(), 1, "what was before the webhook is not told, nor what it did not ask for");
    let parcel = signed[0];
    assert_eq!(parcel.url, "https://hooks.example.com/toys");
    assert_eq!(parcel.timestamp, story.app.now().seconds());
    let told: Value = serde_json::from_str(&parcel.body).unwrap();
    assert_eq!((&told["id"], &told["type"]), (&json!(parcel.id), &json!("grant.give")));
    assert_eq!(told["organization"]["key"], "toys");
    assert_eq!(told["data"]["actor"]["login"], "ann@toys.example");
    assert_eq!(told["data"]["target"]["id"], grant.body["grant"]["id"]);
    assert_eq!((&told["data"]["outcome"], &told["data"]["reason"]), (&json!("done"), &json!("helps 1")));
    assert_eq!(told["data"]["after"]["reason"], "helps 1");
    assert!(told["data"].get("address").is_none());
    assert!(van.round(&story.app).await.is_empty(), "once");

    let told = story.get(ANN, &format!("{HOOKS}/{id}/deliveries")).await.is(200);
    let delivery = &told.body["items"][0];
    assert_eq!(
        (&delivery["status"], &delivery["attempts"], &delivery["last_status"]),
        (&json!("delivered"), &json!(1), &json!(200))
    );
    assert_eq!(delivery["message_id"], parcel.id);
    // The secret is nowhere to be seen again.
    for path in [
        HOOKS.to_owned(),
        format!("{HOOKS}/{id}"),
        format!("{HOOKS}/{id}/deliveries"),
        "/api/v1/organizations/toys/audit/events".to_owned(),
    ] {
        let told = story.get(ANN, &path).await.is(200);
        assert!(
            !told.body.to_string().contains(&secret[6..]) && !told.body.to_string().contains("whsec_"),
            "{path}"
        );
    }
    story.delete(ANN, &format!("{HOOKS}/{all}")).await.is(204);
    give(&story, 2).await;
    assert_eq!(events(&van.round(&story.app).await), ["grant.give"]);
});

both_engines!(
    a_delivery_that_fails_is_tried_for_three_days_and_then_its_webhook_is_switched_off,
    async |database| {
        let story = Story::company(database).await;
        let van = Van::new();
        let (id, _) = make(&story, json!(["grant.*"])).await;
        give(&story, 1).await;
        van.answers(Answer::Status(500));
        let first = van.round(&story.app).await;
        assert_eq!(first.len(), 1);
        for wait in [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400] {
            story.pass(wait - 1);
            assert!(van.round(&story.app).await.is_empty(), "before its time");
            story.pass(1);
            let again = van.round(&story.app).await;
            assert_eq!((again.len(), &again[0].id, &again[0].body), (1, &first[0].id, &first[0].body));
            assert!(again[0].timestamp > first[0].timestamp && again[0].signature != first[0].signature);
        }
        let told = story.get(ANN, &format!("{HOOKS}/{id}")).await.is(200);
        assert_eq!(told.body["active"], false);
        assert!(told.body["disabled_reason"].as_str().unwrap().contains("500"), "{:#}", told.body);
        let path = "/api/v1/organizations/toys/audit/events?action=webhook.disable";
        assert_eq!(story.all(ANN, path, 5, "/target").await, [id.as_str()]);
        let letters = Postbox::new().empty(&story.app).await;
        assert_eq!((letters.len(), letters[0].recipient.as_str()), (1, "ann@toys.example"));
        assert!(letters[0].body.contains("ledger") && letters[0].body.contains("toys"));
        let told = story.get(ANN, &format!("{HOOKS}/{id}/deliveries")).await.is(200);
        assert_eq!(
            (&told.body["items"][0]["status"], &told.body["items"][0]["attempts"]),
            (&json!("failed"), &json!(10))
        );

        // Switched off, it is told nothing, and neither tried out nor repeated to; on again, it is told what happens then.
        give(&story, 2).await;
        van.answers(Answer::Status(204));
        assert!(van.round(&story.app).await.is_empty());
        ask(&story, ANN, &format!("{HOOKS}/{id}/test")).await.is_problem(409, "in-use");
        story.patch(ANN, &format!("{HOOKS}/{id}"), json!({"active": true})).await.is(200);
        give(&story, 3).await;
        let parcels = van.round(&story.app).await;
        assert_eq!(parcels.len(), 1);
        assert!(parcels[0].body.contains("helps 3"));
        // What was given up can be repeated: the same message.
        let delivery = told.body["items"][0]["id"].as_str().unwrap();
        ask(&story, ANN, &format!("{HOOKS}/{id}/deliveries/{delivery}/redeliver")).await.is(202);
        let parcels = van.round(&story.app).await;
        assert_eq!((parcels.len(), &parcels[0].id, &parcels[0].body), (1, &first[0].id, &first[0].body));
    }
);

both_engines!(a_receiver_that_is_gone_is_not_called_again_and_one_that_comes_back_is, async |database| {
    let story = Story::company(database).await;
    let van = Van::new();
    let (id, _) = make(&story, json!(["grant.*"])).await;
    give(&story, 1).await;
    van.answers(Answer::None("no answer:\r\nconnection refused".to_owned()));
    van.round(&story.app).await;
    let told = story.get(ANN, &format!("{HOOKS}/{id}/deliveries")).await.is(200);
    let delivery = &told.body["items"][0];
    assert_eq!(
        (&delivery["last_error"], &delivery["status"]),
        (&json!("no answer: connection refused"), &json!("waiting"))
    );
    assert!(story.get(ANN, &format!("{HOOKS}/{id}")).await.is(200).body["failing_since"].is_string());
    van.answers(Answer::Status(200));
    story.pass(5);
    van.round(&story.app).await;
    assert_eq!(story.get(ANN, &format!("{HOOKS}/{id}")).await.is(200).body["failing_since"], Value::Null);

    van.answers(Answer::Status(307));
    give(&story, 2).await;
    van.round(&story.app).await;
    let told = story.get(ANN, &format!("{HOOKS}/{id}/deliveries")).await.is(200);
    assert_eq!(
        (&told.body["items"][0]["last_status"], &told.body["items"][0]["status"]),
        (&json!(307), &json!("waiting"))
    );
    van.answers(Answer::Status(410));
    give(&story, 3).await;
    van.round(&story.app).await;
    let told = story.get(ANN, &format!("{HOOKS}/{id}")).await.is(200);
    assert_eq!(
        (&told.body["active"], &told.body["disabled_reason"]),
        (&json!(false), &json!("the receiver answered 410 Gone"))
    );
    // What still waited is given up with it.
    story.pass(86_400);
    assert!(van.round(&story.app).await.is_empty());
    let statuses = story.all(ANN, &format!("{HOOKS}/{id}/deliveries"), 10, "/status").await;
    assert_eq!(statuses.iter().filter(|status| *status == "failed").count(), 2);
});

both_engines!(a_new_secret_signs_beside_the_old_one_until_its_time_is_over, async |database| {
    let story = Story::company(database).await;
    let van = Van::new();
    let (id, old) = make(&story, json!(["grant.*"])).await;
    let told = story
        .post(ANN, &format!("{HOOKS}/{id}/rotate-secret"), json!({"overlap_seconds": 3_600}))
        .await
        .is(200);
    let new = told.body["secret"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    give(&story, 1).await;
    let parcels = van.round(&story.app).await;
    assert!(is_signed(&parcels[0], &old) && is_signed(&parcels[0], &new));
    story.pass(3_600);
    give(&story, 2).await;
    let parcels = van.round(&story.app).await;
    assert!(!is_signed(&parcels[0], &old) && is_signed(&parcels[0], &new));
    let told =
        story.post(ANN, &format!("{HOOKS}/{id}/rotate-secret"), json!({"overlap_seconds": 0})).await.is(200);
    give(&story, 3).await;
    let parcels = van.round(&story.app).await;
    assert!(!is_signed(&parcels[0], &new) && is_signed(&parcels[0], told.body["secret"].as_str().unwrap()));
    let path = format!("{HOOKS}/{id}/rotate-secret");
    story.post(ANN, &path, json!({"overlap_seconds": 31 * 86_400})).await.is_problem(422, "invalid");
});

both_engines!(a_message_that_tries_a_webhook_out_arrives, async |database| {
    let story = Story::company(database).await;
    let van = Van::new();
    let (id, secret) = make(&story, json!(["role.assign"])).await;
    let told = ask(&story, ANN, &format!("{HOOKS}/{id}/test")).await.is(202);
    assert_eq!((&told.body["event_type"], &told.body["status"]), (&json!("webhook.test"), &json!("waiting")));
    let parcels = van.round(&story.app).await;
    assert_eq!(events(&parcels), ["webhook.test"]);
    assert!(is_signed(&parcels[0], &secret));
    // A key of the receiver in its address goes to the receiver alone.
    let keyed = json!({"url": "https://hooks.example.com/toys?key=sesame"});
    story.patch(ANN, &format!("{HOOKS}/{id}"), keyed).await.is(200);
    ask(&story, ANN, &format!("{HOOKS}/{id}/test")).await.is(202);
    assert!(van.round(&story.app).await[0].url.ends_with("?key=sesame"));
    let trail = story.get(ANN, "/api/v1/organizations/toys/audit/events").await.is(200);
    assert!(!trail.body.to_string().contains("sesame"));
    let nothing = "0193e7a0-0000-7000-8000-000000000001";
    ask(&story, ANN, &format!("{HOOKS}/{id}/deliveries/{nothing}/redeliver"))
        .await
        .is_problem(404, "not-found");
    ask(&story, ANN, &format!("{HOOKS}/{nothing}/test")).await.is_problem(404, "not-found");
});

// Attack 114, at save; and what else is no webhook.
both_engines!(a_webhook_leads_to_a_public_address_and_wants_something, async |database| {
    let story = Story::company(database).await;
    let (id, _) = make(&story, json!(["grant.*"])).await;
    for url in [
        "http://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:169.254.169.254]/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://10.0.0.1/",
        "https://100.64.0.1/",
        "https://[fd00::1]/",
        "https://localhost/",
        "https://db.internal/",
        "file:///etc/passwd",
        "gopher://hooks.example.com/",
        "https://ann:secret@hooks.example.com/",
        "hooks.example.com",
        "",
    ] {
        let body = json!({"name": "x", "url": url, "events": ["*"]});
        let told = story.post(ANN, HOOKS, body).await.is_problem(422, "invalid");
        assert_eq!(told.body["fields"][0]["field"], "url", "{url}");
        story.patch(ANN, &format!("{HOOKS}/{id}"), json!({"url": url})).await.is_problem(422, "invalid");
    }
    for events in [json!([]), json!(["grant"]), json!(["*.*"]), json!([""]), json!(vec!["*"; 51])] {
        let body = json!({"name": "x", "url": "https://hooks.example.com/", "events": events});
        let told = story.post(ANN, HOOKS, body).await.is_problem(422, "invalid");
        assert_eq!(told.body["fields"][0]["field"], "events");
    }
    assert_eq!(story.all(ANN, HOOKS, 9, "/id").await, [id]);
});

both_engines!(who_may_not_read_the_trail_has_it_sent_nowhere, async |database| {
    let story = Story::company(database).await;
    let lines = json!([{"permission": "admin.webhooks.*"}]);
    let role = json!({"key": "integrator", "name": "Integrator", "permissions": lines});
    story.post(ANN, "/api/v1/organizations/toys/roles", role).await.is(201);
    story.assign(ANN, "toys", BOB, "integrator").await.is(201);
    let body = json!({"name": "mine", "url": "https://evil.example/", "events": ["*"]});
    let told = story.post(BOB, HOOKS, body.clone()).await.is_problem(403, "forbidden");
    assert!(told.body["detail"].as_str().unwrap().contains("audit.events.read"), "{:#}", told.body);
    let (id, _) = make(&story, json!(["*"])).await;
    story.patch(BOB, &format!("{HOOKS}/{id}"), json!({"url": "https://evil.example/"})).await.is(403);
    story.get(BOB, &format!("{HOOKS}/{id}")).await.is(200);
    story.post(EVE, HOOKS, body).await.is_problem(404, "not-found");
    story.get(EVE, &format!("{HOOKS}/{id}")).await.is(404);
});

both_engines!(the_plan_says_how_many_webhooks_there_may_be, async |database| {
    let story = Story::company(database).await;
    let over = json!({"value": 2, "enforcement": "hard", "reason": "a small plan"});
    story.put(PAT, "/api/v1/organizations/toys/limits/webhooks", over).await.is(200);
    let (first, _) = make(&story, json!(["*"])).await;
    make(&story, json!(["*"])).await;
    let body = json!({"name": "third", "url": "https://hooks.example.com/", "events": ["*"]});
    story.post(ANN, HOOKS, body.clone()).await.is_problem(403, "limit-reached");
    story.delete(ANN, &format!("{HOOKS}/{first}")).await.is(204);
    story.post(ANN, HOOKS, body).await.is(201);
});

both_engines!(receivers_that_hang_hold_their_own_places_and_keep_nobody_else_waiting, async |database| {
    let story = Story::company(database).await;
    let van = Van::new();
    let courier: Arc<dyn Courier> = Arc::<Van>::clone(&van);
    for name in ["one", "two", "three"] {
        let body = json!({"name": name, "url": format!("https://hooks.example.com/hangs/{name}"), "events": ["grant.*"]});
        story.post(ANN, HOOKS, body).await.is(201);
    }
    let body = json!({"name": "theirs", "url": "https://hooks.example.com/trade", "events": ["team.*"]});
    story.post(EVE, "/api/v1/organizations/trade/webhooks", body).await.is(201);
    for n in 0..10 {
        give(&story, n).await;
    }
    story.pass(1);
    let team = json!({"key": "traders", "name": "Traders"});
    story.post(EVE, "/api/v1/organizations/trade/teams", team).await.is(201);
    spread(&story.app).await.unwrap();
    let mut sending = Sending::default();
    assert_eq!(sending.begin_due(&story.app, &courier).await.unwrap(), 8 + 1);
    sending.ended().await.unwrap();
    let of = |end: &str| van.parcels.lock().unwrap().iter().filter(|one| one.url.ends_with(end)).count();
    assert_eq!(of("/trade"), 1);
    // The webhooks of one organization take turns as well, and none has more than four.
    assert_eq!(sending.begin_due(&story.app, &courier).await.unwrap(), 0, "every place of theirs is taken");
    while ["/one", "/two", "/three"].map(of).iter().sum::<usize>() < 8 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let names = ["/one", "/two", "/three"].map(of);
    assert_eq!(names.iter().sum::<usize>(), 8);
    assert!(names.iter().all(|count| (2..=3).contains(count)), "{names:?}");
    // The others still get through.
    let team = json!({"key": "more", "name": "More"});
    story.post(EVE, "/api/v1/organizations/trade/teams", team).await.is(201);
    spread(&story.app).await.unwrap();
    assert_eq!(sending.begin_due(&story.app, &courier).await.unwrap(), 1);
    sending.ended().await.unwrap();
    assert_eq!(of("/trade"), 2);
});

both_engines!(an_organization_that_goes_back_to_the_other_system_by_itself_tells_it, async |database| {
    let it = Shadowed::company(database).await;
    make(&it.story, json!(["shadow.back"])).await;
    it.mode(shadow::TOYS, "shadow").await;
    it.mode(shadow::TOYS, "cut_over").await;
    assert_eq!(it.ask(BOB, shadow::DELETE).await[0], "allow");
    assert_eq!(it.stands(shadow::TOYS).await["mode"], "shadow");
    let parcels = Van::new().round(&it.story.app).await;
    assert_eq!(parcels.len(), 1);
    let told: Value = serde_json::from_str(&parcels[0].body).unwrap();
    assert_eq!((&told["type"], &told["organization"]["key"]), (&json!("shadow.back"), &json!("toys")));
    assert_eq!(told["data"]["reason"], "1 answer allowed what the other system denies");
    assert_eq!(
        (&told["data"]["before"]["mode"], &told["data"]["after"]["mode"]),
        (&json!("cut_over"), &json!("shadow"))
    );
});

async fn begun(database: TestDatabase, faults: &Arc<Faults>) -> Story {
    Story::company(database.fail_with(faults)).await
}

both_engines!(two_nodes_send_once_and_whatever_step_fails_every_event_arrives, async |database| {
    let faults = Faults::new();
    let story = begun(database, &faults).await;
    let (one, other) = (Van::new(), Van::new());
    make(&story, json!(["grant.*"])).await;
    for n in 0..5 {
        give(&story, n).await;
    }
    let (first, second) = tokio::join!(one.round(&story.app), other.round(&story.app));
    let ids: Vec<String> = first.into_iter().chain(second).map(|parcel| parcel.id).collect();
    let unique: BTreeSet<&String> = ids.iter().collect();
    assert_eq!((ids.len(), unique.len()), (5, 5));

    for step in 0..14 {
        give(&story, 100 + step).await;
        let courier: Arc<dyn Courier> = Arc::<Van>::clone(&one);
        faults.fail_after(step);
        let _spread = spread(&story.app).await;
        let _delivered = deliver_due(&story.app, &courier).await;
        faults.struck();
        let mut parcels = std::mem::take(&mut *one.parcels.lock().unwrap());
        story.pass(61);
        parcels.extend(one.round(&story.app).await);
        let ids: BTreeSet<&String> = parcels.iter().map(|parcel| &parcel.id).collect();
        assert_eq!(ids.len(), 1, "step {step}: {ids:?}");
        assert!(parcels.iter().all(|parcel| parcel.body.contains(&format!("helps {}", 100 + step))));
    }
});

// What docs/guide/signing-keys.md promises to whoever verifies our tokens elsewhere.
both_engines!(a_leaked_signing_key_is_told_to_a_webhook_of_the_platform, async |database| {
    let (story, van) = (Story::company(database).await, Van::new());
    let body = json!({
        "name": "verifiers", "url": "https://hooks.example.com/keys", "events": ["signing_key.revoke", "signing_key.activate"],
    });
    let made = story.post(PAT, "/api/v1/organizations/platform/webhooks", body).await.is(201).body;
    story.post(PAT, "/api/v1/keys/rotate", json!({})).await.is(200);
    assert_eq!(van.round(&story.app).await.len(), 0, "a rotation that was planned is no alarm");
    let listed = story.get(PAT, "/api/v1/keys").await.is(200).body;
    let of_state = |state: &str| {
        let keys = listed["keys"].as_array().unwrap().iter();
        let mut found = keys.filter(|key| key["state"] == state).map(|key| key["kid"].as_str().unwrap());
        found.next().unwrap().to_owned()
    };
    let (active, waiting) = (of_state("active"), of_state("pending"));
    let revoke = format!("/api/v1/keys/{active}/revoke");
    story.post(PAT, &revoke, json!({"compromised": true})).await.is(200);
    let parcels = van.round(&story.app).await;
    assert!(parcels.iter().all(|parcel| is_signed(parcel, made["secret"].as_str().unwrap())));
    let mut told: Vec<(String, String)> = parcels
        .iter()
        .map(|parcel| {
            let told: Value = serde_json::from_str(&parcel.body).unwrap();
            (
                told["type"].as_str().unwrap().to_owned(),
                told["data"]["target"]["id"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    told.sort();
    let now = story.app.identity().keys().signer_kid().unwrap().to_owned();
    let mut expected: Vec<(String, String)> = [("activate", now), ("revoke", active), ("revoke", waiting)]
        .map(|(what, kid)| (format!("signing_key.{what}"), kid))
        .into();
    expected.sort();
    assert_eq!(told, expected);
});
