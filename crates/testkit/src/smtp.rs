//! A mail server of a test's own: on this machine, one conversation at a time and thread, and as unhelpful as it is told to be.

use crate::listening::{Listening, Mood};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How the server treats who speaks to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Takes every mail.
    Takes,
    /// Accepts connections and says nothing.
    Hangs,
    /// Answers the command that begins with a word by a line, and the others as it should.
    Answers(&'static str, &'static str),
    /// Hangs up in the middle of a mail.
    HangsUp,
}

/// A mail the server took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What came with `AUTH PLAIN`, if anything.
    pub login: Option<String>,
    /// The reverse path.
    pub from: String,
    /// The forward paths.
    pub to: Vec<String>,
    /// Headers and body as they came.
    pub text: String,
}

impl Mood for Manner {
    fn hangs(&self) -> bool {
        *self == Self::Hangs
    }
}

/// A mail server; ends when dropped.
#[derive(Debug)]
pub struct SmtpServer {
    server: Listening<Manner>,
    received: Arc<Mutex<Vec<Received>>>,
}

/// An address on this machine at which nobody listens.
#[must_use]
#[expect(clippy::expect_used, reason = "a test without an address has failed")]
pub fn deserted() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

impl SmtpServer {
    /// A server that runs, with its manner.
    #[must_use]
    pub fn start(manner: Manner) -> Self {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let inside = Arc::clone(&received);
        let server = Listening::start(manner, move |stream, manner, _| converse(stream, manner, &inside));
        Self { server, received }
    }

    /// Its address for `mail_url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.server.address())
    }

    /// Changes its manner.
    pub fn behave(&self, manner: Manner) {
        self.server.behave(manner);
    }

    /// The mails it took.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn converse(stream: TcpStream, manner: &Manner, received: &Mutex<Vec<Received>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    let mut mail = Received { login: None, from: String::new(), to: Vec::new(), text: String::new() };
    let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes());
    let special = |command: &str| match manner {
        Manner::Answers(word, answer) if command.starts_with(word) => Some(*answer),
        _ => None,
    };
    say(special("CONNECT").unwrap_or("220 test ready"))?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let command = line.trim_end();
        let path = || {
            command
                .split_once('<')
                .map_or("", |(_, rest)| rest)
                .split('>')
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        if let Some(answer) = special(command) {
            say(answer)?;
        } else if command.starts_with("EHLO") {
            say("250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN")?;
        } else if let Some(login) = command.strip_prefix("AUTH PLAIN ") {
            mail.login = Some(login.to_owned());
            say("235 welcome")?;
        } else if command.starts_with("MAIL FROM") {
            mail.from = path();
            say("250 go on")?;
        } else if command.starts_with("RCPT TO") {
            mail.to.push(path());
            say("250 go on")?;
        } else if command == "DATA" {
            say("354 go on")?;
            if *manner == Manner::HangsUp {
                return Ok(());
            }
            loop {
                let mut line = String::new();
                if lines.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if line == ".\r\n" {
                    break;
                }
                mail.text.push_str(line.strip_prefix('.').unwrap_or(&line));
            }
            if let Some(answer) = special("END OF DATA") {
                say(answer)?;
                continue;
            }
            received.lock().unwrap_or_else(PoisonError::into_inner).push(mail.clone());
            say("250 taken")?;
        } else if command == "QUIT" {
            return say("221 bye");
        } else {
            say("250 as you like")?;
        }
    }
}
