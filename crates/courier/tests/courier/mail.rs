//! Mail: the conversation, the message, and every way a server fails.

use charter_app::mail::{Carrier, Letter, Undelivered};
use charter_courier::{Folder, NoServer, Sender, Server, Smtp};
use charter_kernel::{MailId, Timestamp};
use charter_testkit::smtp::{Manner, SmtpServer, deserted};
use std::time::Duration;

fn letter() -> Letter {
    Letter {
        id: MailId(0x0193_e7a0_0000_7000_8000_0000_0000_0001),
        at: Timestamp::from_seconds(1_800_000_000),
        recipient: "bob@toys.example".to_owned(),
        subject: "Your password was changed".to_owned(),
        body: "Hello Bob,\n\n.a line that begins with a dot\nand Zoë’s name\n".to_owned(),
    }
}

fn sender() -> Sender {
    Sender::parse("Charter <charter@charter.example>").unwrap()
}

fn smtp(url: &str) -> Smtp {
    Smtp::with_patience(&Server::parse(url).unwrap(), sender(), Duration::from_secs(2)).unwrap()
}

#[tokio::test]
async fn a_letter_arrives_as_a_message_with_its_id_and_no_more_than_one_reader() {
    let server = SmtpServer::start(Manner::Takes);
    let url = server.url().replace("smtp://", "smtp://charter:open%20sesame@");
    smtp(&url).carry(&letter()).await.unwrap();
    let received = server.received();
    let [mail] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("charter@charter.example", &["bob@toys.example".to_owned()][..])
    );
    // NUL charter NUL open sesame
    assert_eq!(mail.login.as_deref(), Some("AGNoYXJ0ZXIAb3BlbiBzZXNhbWU="));
    let (head, body) = mail.text.split_once("\r\n\r\n").unwrap();
    for line in [
        "From: Charter <charter@charter.example>",
        "To: bob@toys.example",
        "Subject: Your password was changed",
        "Message-ID: <0193e7a0-0000-7000-8000-000000000001@charter.example>",
        "Date: Fri, 15 Jan 2027 08:00:00 +0000",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} is missing:\n{head}");
    }
    assert!(body.contains(".a line that begins with a dot"), "{body}");
}

/// Attack 62: what people call themselves, or type as their address, begins no header and adds no reader.
#[tokio::test]
async fn a_line_break_in_a_text_begins_no_header() {
    let server = SmtpServer::start(Manner::Takes);
    let carrier = smtp(&server.url());
    let mut wicked = letter();
    wicked.subject = "Hi\r\nBcc: eve@evil.example\r\n\r\nPay here".to_owned();
    // Refused or made harmless: either way nobody else reads it.
    let _outcome = carrier.carry(&wicked).await;
    for recipient in [
        "bob@toys.example\r\nBcc: eve@evil.example",
        "bob@toys.example>\r\nRCPT TO:<eve@evil.example",
        "bob@toys.example, eve@evil.example",
        "\"bob\r\n\"@toys.example",
        "bob",
        "",
    ] {
        let wicked = Letter { recipient: recipient.to_owned(), ..letter() };
        let outcome = carrier.carry(&wicked).await;
        assert!(matches!(outcome, Err(Undelivered::Never(_))), "{recipient:?}: {outcome:?}");
    }
    for mail in server.received() {
        assert_eq!(mail.to, ["bob@toys.example"]);
        let head = mail.text.split_once("\r\n\r\n").unwrap().0;
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{head}");
    }
    for wrong in ["charter", "a@b.example\r\nBcc: eve@evil.example", "", "a@b.example, c@d.example"] {
        assert!(Sender::parse(wrong).is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_no_help_delays_a_letter_and_one_that_refuses_it_ends_its_way() {
    let later = |outcome: Result<(), Undelivered>, what: &str| match outcome {
        Err(Undelivered::Later(error)) => {
            assert!(!error.is_empty() && !error.contains("sesame"), "{what}: {error}");
        }
        other => panic!("{what}: {other:?}"),
    };
    later(smtp(&format!("smtp://{}", deserted())).carry(&letter()).await, "nobody listens");
    later(NoServer.carry(&letter()).await, "no server");

    let server = SmtpServer::start(Manner::Hangs);
    let carrier = smtp(&server.url());
    later(carrier.carry(&letter()).await, "hangs");
    for (word, answer) in [
        ("CONNECT", "421 too busy"),
        ("CONNECT", "554 go away"),
        ("EHLO", "421 closing"),
        ("MAIL", "451 try later"),
        ("RCPT", "450 mailbox busy"),
        ("END OF DATA", "452 disk full"),
        ("RCPT", "530 authentication required"),
    ] {
        server.behave(Manner::Answers(word, answer));
        let outcome = carrier.carry(&letter()).await;
        if answer.starts_with("55") {
            assert!(outcome.is_err());
        } else {
            later(outcome, answer);
        }
    }
    server.behave(Manner::HangsUp);
    later(carrier.carry(&letter()).await, "hangs up");
    server.behave(Manner::Answers("AUTH", "535 wrong password"));
    let with_login = server.url().replace("smtp://", "smtp://charter:sesame@");
    later(smtp(&with_login).carry(&letter()).await, "wrong password");

    for (word, answer) in [("RCPT", "550 no such user"), ("END OF DATA", "554 looks like spam")] {
        server.behave(Manner::Answers(word, answer));
        let outcome = carrier.carry(&letter()).await;
        let told = answer.split_once(' ').unwrap().1;
        assert!(matches!(&outcome, Err(Undelivered::Never(error)) if error.contains(told)), "{outcome:?}");
    }
    assert_eq!(server.received(), []);
    // A server without TLS is not spoken to where TLS is demanded.
    server.behave(Manner::Takes);
    later(smtp(&format!("{}?tls=required", server.url())).carry(&letter()).await, "no TLS");
    assert_eq!(server.received(), []);
    carrier.carry(&letter()).await.unwrap();
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn without_a_server_a_letter_becomes_a_file_that_its_owner_alone_reads() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("mail");
    Folder::new(&folder, sender()).carry(&letter()).await.unwrap();
    let path = folder.join("0193e7a0-0000-7000-8000-000000000001.eml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("Subject: Your password was changed\r\n") && text.contains("To: bob@toys.example\r\n")
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path.as_path()), mode(folder.as_path())), (0o600, 0o700));
    }
    // A folder that cannot be written delays a letter.
    std::fs::write(place.path().join("file"), "").unwrap();
    let outcome = Folder::new(place.path().join("file/mail"), sender()).carry(&letter()).await;
    assert!(matches!(outcome, Err(Undelivered::Later(_))), "{outcome:?}");
}
