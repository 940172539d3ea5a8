//! What leaves a running service: a forgotten password that comes back through a real mail server, files where there is none, and an
//! event on its way to a webhook.

use crate::program::{Place, Server, mode};
use charter_testkit::receiver::{Receiver, Reception};
use charter_testkit::smtp::{Manner, SmtpServer, deserted};
use serde_json::Value;
use std::time::Duration;

/// Waits for something that a service does within about a second.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what}");
}

/// A company with a user who has a password.
fn begun(place: &Place) {
    place.run(&["organizations", "create", "--key", "toys", "--name", "Toys"]).ended(0);
    place.run(&["members", "add", "--org", "toys", "--login", "ann@toys.example"]).ended(0);
    place.feed(&["password", "set", "ann@toys.example"], "correct horse battery\n").ended(0);
}

fn mails(place: &Place, status: &str) -> Vec<Value> {
    let told = place.run(&["mail", "list", "--status", status, "--json"]).ended(0).json();
    told["items"].as_array().unwrap().clone()
}

fn code_in(text: &str) -> String {
    let (_, rest) = text.split_once("/reset-password#").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

fn reset(place: &Place, code: &str) {
    place.feed(&["auth", "reset-password", "--token", code], "staple the horse to it\n").ended(0);
}

fn signs_in(place: &Place, password: &str) -> bool {
    place.feed(&["auth", "login", "--login", "ann@toys.example"], &format!("{password}\n")).code == 0
}

fn serve(place: &Place, variables: &[(&str, &str)]) -> Server {
    place.serve_with(&[], variables)
}

/// The link to one of our pages in a mail that became a file.
fn mailed_link(place: &Place, page: &str) -> String {
    let folder = place.path("charter-data").join("mail");
    until("the mail becomes a file", || {
        std::fs::read_dir(&folder).ok()?.flatten().find_map(|entry| {
            let text = std::fs::read_to_string(entry.path()).ok()?;
            text.split_whitespace().find(|word| word.contains(&format!("/{page}#"))).map(str::to_owned)
        })
    })
}

#[test]
fn a_newcomer_comes_in_by_the_link_of_a_mail_and_a_password_on_standard_input() {
    let place = Place::new();
    let server = place.serve(&[]);
    begun(&place);
    let settings = ["registration-settings", "set", "--org", "toys", "--json"];
    let all = [
        "--mode",
        "invitation",
        "--domains",
        "plush.example",
        "--roles",
        "viewer",
        "--default-role",
        "viewer",
    ];
    place.run(&[&settings[..], &all].concat()).ended(0);
    let told = place.run(&[&settings[..], &["--mode", "domain"]].concat()).ended(0).json();
    assert_eq!(
        (&told["domains"][0], &told["roles"][0]),
        (&"plush.example".into(), &"viewer".into()),
        "{told}"
    );

    place.run(&["invitations", "create", "--org", "toys", "--email", "fay@shop.example"]).ended(0);
    let accept = ["invitations", "accept", "--token", &mailed_link(&place, "invitation"), "--json"];
    let told = place.feed(&accept, "").ended(2);
    assert!(told.err.contains("password"), "{}", told.err);
    let told = place.feed(&accept, "staple the horse to it\n").ended(0).json();
    assert_eq!(told["login"], "fay@shop.example", "{told}");

    place.run(&["registrations", "ask", "--org", "toys", "--email", "gus@plush.example"]).ended(0);
    let link = mailed_link(&place, "registration");
    let prove = ["registrations", "prove", "--org", "toys", "--token", &link, "--json"];
    let told = place.feed(&prove, "a horse is stapled to this\n").ended(0).json();
    assert_eq!(
        (&told["outcome"], &told["joined"]["login"]),
        (&"joined".into(), &"gus@plush.example".into()),
        "{told}"
    );
    drop(server);
}

#[test]
fn a_forgotten_password_comes_back_through_a_mail_server_that_was_away() {
    let place = Place::new();
    let away = format!("smtp://charter:open-sesame@{}", deserted());
    let server = serve(&place, &[("CHARTER_MAIL_URL", &away)]);
    begun(&place);
    place.run(&["auth", "forgot-password", "--email", "ann@toys.example"]).ended(0);
    place.run(&["auth", "forgot-password", "--email", "nobody@toys.example"]).ended(0);
    // The server is away: the mails wait, and the list says why.
    let waiting = until("the mail server is found to be away", || {
        let found = mails(&place, "queued");
        (found.len() == 2 && found.iter().all(|mail| mail["last_error"].is_string())).then_some(found)
    });
    assert!(waiting.iter().all(|mail| mail["attempts"] == 1 && mail["recipient"] == "a***@toys.example"));
    assert_eq!(server.stop(), 0);
    let log = std::fs::read_to_string(place.path("log")).unwrap();
    assert!(!log.contains("open-sesame") && log.contains("a mail could not be sent"), "{log}");

    let post = SmtpServer::start(Manner::Takes);
    let server = serve(
        &place,
        &[("CHARTER_MAIL_URL", &post.url()), ("CHARTER_MAIL_FROM", "Charter <charter@toys.example>")],
    );
    for mail in &waiting {
        place.run(&["mail", "retry", "--mail", mail["id"].as_str().unwrap()]).ended(0);
    }
    let received = until("two mails arrive", || Some(post.received()).filter(|received| received.len() == 2));
    let link = received.iter().find(|mail| mail.text.contains("/reset-password#")).unwrap();
    assert_eq!(
        (link.from.as_str(), link.to.as_slice()),
        ("charter@toys.example", &["ann@toys.example".to_owned()][..])
    );
    let code = code_in(&link.text);
    assert!(signs_in(&place, "correct horse battery"));
    reset(&place, &code);
    assert!(!signs_in(&place, "correct horse battery") && signs_in(&place, "staple the horse to it"));
    until("the notice arrives", || {
        post.received()
            .iter()
            .any(|mail| mail.text.contains("Subject: Your password was changed"))
            .then_some(())
    });
    // Beside them the owner is told of the new places they signed in from.
    let about_password =
        |mail: &Value| mail["kind"].as_str().is_some_and(|kind| kind.starts_with("password_"));
    until("all are sent", || {
        let sent = mails(&place, "sent").into_iter().filter(about_password).count();
        (sent == 3 && mails(&place, "queued").is_empty()).then_some(())
    });
    assert_eq!(server.stop(), 0);
    let database = std::fs::read(place.path("charter-data/charter.db")).unwrap();
    let holds = |text: &str| database.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!holds(&code) && holds("ann@toys.example"), "the database has the code");
}

#[test]
fn without_a_mail_server_mail_is_a_file_and_production_says_that_mail_waits() {
    let place = Place::new();
    let server = serve(&place, &[]);
    begun(&place);
    place.run(&["auth", "forgot-password", "--email", "ann@toys.example"]).ended(0);
    let folder = place.path("charter-data/mail");
    let (path, text) = until("a file with the link", || {
        std::fs::read_dir(&folder).ok()?.flatten().find_map(|entry| {
            let text = std::fs::read_to_string(entry.path()).ok()?;
            text.contains("/reset-password#").then(|| (entry.path(), text))
        })
    });
    assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
    reset(&place, &code_in(&text));
    assert!(signs_in(&place, "staple the horse to it"));
    assert_eq!(server.stop(), 0);
    let log = std::fs::read_to_string(place.path("log")).unwrap();
    assert!(log.contains(".eml"), "the log says where: {log}");

    let run = place.run(&["config", "check", "--production"]);
    assert!(run.err.contains("mail_url is not set"), "{}", run.err);
    for (name, value) in [
        ("CHARTER_MAIL_URL", "smtp://ann:secret-word@host/path"),
        ("CHARTER_MAIL_URL", "mail.example.com"),
        ("CHARTER_MAIL_FROM", "nobody"),
        ("CHARTER_WEBHOOK_NETWORKS", "10.0.0.0/99"),
    ] {
        let run = place.run_with(&["config", "check"], &[(name, value)]).ended(2);
        assert!(!run.err.contains("secret-word") && !run.out.contains("secret-word"), "{}", run.err);
    }
    let clear = [("CHARTER_MAIL_URL", "smtp://ann:secret-word@mail.example.com?tls=none")];
    let run = place.run_with(&["config", "check", "--production"], &clear).ended(2);
    assert!(
        run.err.contains("in the clear to another machine") && !run.err.contains("secret-word"),
        "{}",
        run.err
    );
}

#[test]
fn an_event_reaches_a_webhook_of_an_allowed_network_and_no_other_inner_address() {
    let place = Place::new();
    let receiver = Receiver::start(Reception::Answers(204));
    let url = format!("http://127.0.0.1:{}/hook", receiver.port());
    let create = |url: &str| {
        place.run(&[
            "webhooks",
            "create",
            "--org",
            "toys",
            "--name",
            "erp",
            "--body-url",
            url,
            "--events",
            "team.*",
            "--json",
        ])
    };
    let server = serve(&place, &[]);
    begun(&place);
    let refused = create(&url).ended(2);
    assert!(refused.err.contains("loopback"), "{}", refused.err);
    assert_eq!(server.stop(), 0);

    let server = serve(&place, &[("CHARTER_WEBHOOK_NETWORKS", "127.0.0.1")]);
    let made = create(&url).ended(0).json();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    place.run(&["teams", "create", "--org", "toys", "--key", "plush", "--name", "Plush"]).ended(0);
    let request = until("the event arrives", || receiver.requests().into_iter().next());
    let told: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(
        (&told["type"], &told["organization"]["key"]),
        (&Value::from("team.create"), &Value::from("toys"))
    );
    assert_eq!(request.header("webhook-id"), told["id"].as_str().unwrap());
    assert!(request.header("webhook-signature").starts_with("v1,"));
    assert_eq!(server.stop(), 0);
}
