//! The outbox: what is queued with a change, sent once, tried again when the server is no help, and seen by those who run the installation.

use super::auth::PASSWORD;
use super::{ANN, BOB, PAT, Story, Who};
use charter_app::App;
use charter_app::mail::{Carrier, Carrying, Letter, Undelivered, deliver_due};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use charter_testkit::fault::Faults;
use http::Method;
use serde_json::json;
use std::sync::{Arc, Mutex};

/// Keeps the letters it was given, or fails as it is told.
#[derive(Default)]
pub struct Postbox {
    letters: Mutex<Vec<Letter>>,
    fault: Mutex<Option<Undelivered>>,
    tried: Mutex<usize>,
}

impl Carrier for Postbox {
    fn carry<'a>(&'a self, letter: &'a Letter) -> Carrying<'a> {
        Box::pin(async move {
            *self.tried.lock().unwrap() += 1;
            match self.fault.lock().unwrap().clone() {
                Some(fault) => Err(fault),
                None => {
                    self.letters.lock().unwrap().push(letter.clone());
                    Ok(())
                }
            }
        })
    }
}

impl Postbox {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on every letter meets this fault.
    fn fails(&self, fault: Option<Undelivered>) {
        *self.fault.lock().unwrap() = fault;
    }

    fn tried(&self) -> usize {
        *self.tried.lock().unwrap()
    }

    /// Sends what is due and gives the letters it took since the last time.
    pub async fn empty(self: &Arc<Self>, app: &App) -> Vec<Letter> {
        let carrier: Arc<dyn Carrier> = Arc::<Self>::clone(self);
        deliver_due(app, &carrier).await.unwrap();
        std::mem::take(&mut *self.letters.lock().unwrap())
    }
}

const MAIL: &str = "/api/v1/platform/mail";

async fn set_password(story: &Story, password: &str) {
    let path = "/api/v1/users/ann@toys.example/password";
    story.post(Who::Operator, path, json!({"password": password})).await.is(200);
}

both_engines!(a_change_queues_its_mail_and_the_mail_is_sent_once, async |database| {
    let story = Story::company(database).await;
    let postbox = Postbox::new();
    set_password(&story, "a long pass phrase").await;
    let told = story.get(PAT, MAIL).await.is(200);
    let mail = &told.body["items"][0];
    assert_eq!(told.body["items"].as_array().unwrap().len(), 1, "{:#}", told.body);
    assert_eq!(
        (&mail["kind"], &mail["status"], &mail["attempts"]),
        (&json!("password_set"), &json!("queued"), &json!(0))
    );
    assert_eq!(mail["recipient"], "a***@toys.example");
    assert_eq!(mail["principal_id"], story.id_of(ANN).to_string());

    let letters = postbox.empty(&story.app).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].recipient, "ann@toys.example");
    assert_eq!(letters[0].subject, "Your password was set");
    assert!(letters[0].body.contains("https://charter.example"), "{}", letters[0].body);
    assert!(!letters[0].body.contains("pass phrase"));
    assert!(postbox.empty(&story.app).await.is_empty());
    let id = letters[0].id.to_string();
    let told = story.get(PAT, &format!("{MAIL}/{id}")).await.is(200);
    assert_eq!(
        (&told.body["status"], &told.body["attempts"], &told.body["recipient"]),
        (&json!("sent"), &json!(1), &json!(null))
    );
    story.send(PAT, Method::POST, &format!("{MAIL}/{id}/retry"), &[], None).await.is_problem(409, "in-use");
    assert!(!story.get(PAT, MAIL).await.is(200).body.to_string().contains("Hello"), "a text is shown");

    // The change is undone, and so is its mail: an unknown user has neither.
    let nobody = "/api/v1/users/nobody@toys.example/password";
    story.post(Who::Operator, nobody, json!({"password": "a long pass phrase"})).await.is(404);
    assert_eq!(story.all(PAT, MAIL, 1, "/id").await.len(), 1);
});

both_engines!(mail_that_cannot_be_sent_waits_longer_and_longer_and_is_then_given_up, async |database| {
    let story = Story::company(database).await;
    let postbox = Postbox::new();
    set_password(&story, "a long pass phrase").await;
    postbox.fails(Some(Undelivered::Later("421 too\r\nbusy".to_owned())));
    let path = format!("{MAIL}?status=queued");
    for (attempt, wait) in [60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400].into_iter().enumerate() {
        assert!(postbox.empty(&story.app).await.is_empty());
        assert_eq!(postbox.tried(), attempt + 1);
        let told = story.get(PAT, &path).await.is(200);
        let mail = &told.body["items"][0];
        assert_eq!((&mail["attempts"], &mail["last_error"]), (&json!(attempt + 1), &json!("421 too busy")));
        story.pass(wait - 1);
        postbox.empty(&story.app).await;
        assert_eq!(postbox.tried(), attempt + 1, "it is tried before its time");
        story.pass(1);
    }
    postbox.empty(&story.app).await;
    let told = story.get(PAT, &format!("{MAIL}?status=failed")).await.is(200);
    let mail = &told.body["items"][0];
    assert_eq!((&mail["attempts"], &mail["next_attempt_at"]), (&json!(9), &json!(null)));
    let retry = format!("{MAIL}/{}/retry", mail["id"].as_str().unwrap());

    // Only who runs the installation sees and repeats.
    story.get(ANN, MAIL).await.is(404);
    story.send(BOB, Method::POST, &retry, &[], None).await.is(404);
    postbox.fails(None);
    let told = story.send(PAT, Method::POST, &retry, &[], None).await.is(200);
    assert_eq!((&told.body["status"], &told.body["attempts"]), (&json!("queued"), &json!(0)));
    assert_eq!(postbox.empty(&story.app).await.len(), 1);
    let path = "/api/v1/organizations/platform/audit/events?action=mail.retry";
    assert_eq!(story.all(Who::Operator, path, 5, "/actor/login").await, ["pat@platform.example"]);
    let told = story.get(PAT, &format!("{MAIL}?status=lost")).await.is_problem(422, "invalid");
    assert!(told.body["detail"].as_str().unwrap().contains("queued"));
});

both_engines!(mail_that_is_refused_has_failed_and_mail_that_comes_too_late_is_not_sent, async |database| {
    let story = Story::company(database).await;
    let postbox = Postbox::new();
    set_password(&story, "a long pass phrase").await;
    postbox.fails(Some(Undelivered::Never("550 no such user".to_owned())));
    postbox.empty(&story.app).await;
    let told = story.get(PAT, &format!("{MAIL}?status=failed")).await.is(200);
    assert_eq!(told.body["items"][0]["last_error"], "550 no such user");

    set_password(&story, "another long pass phrase").await;
    story.wait_seconds(8 * 86_400).await;
    postbox.fails(None);
    assert!(postbox.empty(&story.app).await.is_empty());
    let told = story.get(PAT, &format!("{MAIL}?status=expired")).await.is(200);
    let retry = format!("{MAIL}/{}/retry", told.body["items"][0]["id"].as_str().unwrap());
    story.send(PAT, Method::POST, &retry, &[], None).await.is_problem(409, "in-use");
    // A month later the list has forgotten both.
    story.wait_seconds(31 * 86_400).await;
    assert_eq!(story.all(PAT, MAIL, 5, "/id").await, Vec::<String>::new());
});

both_engines!(
    two_senders_send_a_mail_once_and_a_sender_that_died_loses_none,
    async |database: TestDatabase| {
        let faults = Faults::new();
        let story = Story::company(database.fail_with(&faults)).await;
        for login in ["ann@toys.example", "bob@toys.example", "cat@toys.example"] {
            let path = format!("/api/v1/users/{login}/password");
            story.post(Who::Operator, &path, json!({"password": "a long pass phrase"})).await.is(200);
        }
        let (one, other) = (Postbox::new(), Postbox::new());
        let (first, second) = tokio::join!(one.empty(&story.app), other.empty(&story.app));
        let mut readers: Vec<String> =
            first.into_iter().chain(second).map(|letter| letter.recipient).collect();
        readers.sort();
        assert_eq!(readers, ["ann@toys.example", "bob@toys.example", "cat@toys.example"]);

        // The sender dies at some step: the mail comes again when its time with that sender is over, with the same id.
        for step in 0..6 {
            set_password(&story, &format!("yet another pass phrase {step}")).await;
            let carrier: Arc<dyn Carrier> = Arc::<Postbox>::clone(&one);
            faults.fail_after(step);
            let _outcome = deliver_due(&story.app, &carrier).await;
            let struck = faults.struck();
            let mut letters = std::mem::take(&mut *one.letters.lock().unwrap());
            story.pass(181);
            letters.extend(one.empty(&story.app).await);
            assert!(
                !letters.is_empty() && letters.iter().all(|letter| letter.id == letters[0].id),
                "step {step} {struck:?}"
            );
            assert_eq!(
                story.all(PAT, &format!("{MAIL}?status=queued"), 5, "/id").await,
                Vec::<String>::new()
            );
        }
    }
);

both_engines!(whoever_signs_in_from_somewhere_new_is_told_once, async |database| {
    let story = Story::with_password(database).await;
    let postbox = Postbox::new();
    postbox.empty(&story.app).await;
    let sign_in = async |agent: &str, device: Option<&str>| {
        let mut body = json!({"login": "ann@toys.example", "password": PASSWORD});
        if let Some(device) = device {
            body["device_token"] = json!(device);
        }
        let headers = [("user-agent", agent)];
        story.wire(Method::POST, "/api/v1/auth/login", &headers, Some("192.0.2.7"), Some(body)).await.is(200)
    };
    let device = sign_in("till/1", None).await.body["device_token"].as_str().unwrap().to_owned();
    let letters = postbox.empty(&story.app).await;
    assert_eq!((letters.len(), letters[0].subject.as_str()), (1, "Somebody signed in to your account"));
    assert!(letters[0].body.contains("from the address 192.0.2.7") && letters[0].body.contains("\"till/1\""));
    assert!(letters[0].body.contains("\nhttps://charter.example/account/password\n"), "{}", letters[0].body);
    // The same program from the same address is nothing new, nor is a known device with another program.
    sign_in("till/1", None).await;
    sign_in("till/2", Some(&device)).await;
    assert!(postbox.empty(&story.app).await.is_empty());
    sign_in("evil/1", Some("no device")).await;
    assert_eq!(postbox.empty(&story.app).await.len(), 1);
});
