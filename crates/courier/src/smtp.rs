//! Letters by SMTP, over TLS unless the server is on this machine or somebody said otherwise.

use crate::letter::{Sender, message};
use charter_app::mail::{Carrier, Carrying, Letter, Undelivered};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::response::{Category, Severity};
use lettre::transport::smtp::{Error, extension::ClientId};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::fmt;
use std::time::Duration;
use url::{Host, Url};

/// How long one command of the conversation may take.
const COMMAND: Duration = Duration::from_secs(15);
/// How long a whole conversation may take.
const CONVERSATION: Duration = Duration::from_secs(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    /// TLS from the first byte.
    Wrapped,
    /// STARTTLS, or nothing is sent.
    Required,
    /// In the clear.
    Plain,
}

/// A mail server: `smtp://user:password@host:587?tls=required`, `smtps://host`.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<(String, String)>,
    is_local: bool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.shown())
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = rest.split_at_checked(2).ok_or("a % is not followed by two digits")?;
            let digits = std::str::from_utf8(digits).map_err(|_| "a % is not followed by two digits")?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| "a % is not followed by two digits")?);
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).map_err(|_| "the user or password is not UTF-8".to_owned())
}

impl Server {
    /// The server an address names.
    ///
    /// # Errors
    /// What is wrong with the address; never a part of it, which may be the password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text.trim()).map_err(|error| format!("is no address: {error}"))?;
        let is_wrapped = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            _ => return Err("begins neither with smtp:// nor with smtps://".to_owned()),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("has a path, which a mail server has not".to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_local = host == "localhost"
            || match Host::parse(url.host_str().unwrap_or_default()) {
                Ok(Host::Ipv4(address)) => address.is_loopback(),
                Ok(Host::Ipv6(address)) => address.is_loopback(),
                _ => false,
            };
        let mut security = match (is_wrapped, is_local) {
            (true, _) => Security::Wrapped,
            (false, true) => Security::Plain,
            (false, false) => Security::Required,
        };
        for (name, value) in url.query_pairs() {
            security = match (&*name, &*value, is_wrapped) {
                ("tls", "required", false) => Security::Required,
                ("tls", "none", false) => Security::Plain,
                ("tls", "required", true) => Security::Wrapped,
                _ => return Err("has a parameter other than tls=required and tls=none".to_owned()),
            };
        }
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some((decoded(user)?, decoded(password.unwrap_or_default())?)),
        };
        let usual = match security {
            Security::Wrapped => 465,
            Security::Required => 587,
            Security::Plain => 25,
        };
        Ok(Self { host, port: url.port().unwrap_or(usual), security, credentials, is_local })
    }

    /// The server without user and password.
    pub fn shown(&self) -> String {
        let (scheme, tls) = match self.security {
            Security::Wrapped => ("smtps", ""),
            Security::Required => ("smtp", "?tls=required"),
            Security::Plain => ("smtp", "?tls=none"),
        };
        let who = if self.credentials.is_some() { "***@" } else { "" };
        format!("{scheme}://{who}{}:{}{tls}", self.host, self.port)
    }

    /// Whether mail, and a password, would travel in the clear to another machine.
    pub fn is_in_the_clear(&self) -> bool {
        self.security == Security::Plain && !self.is_local
    }
}

/// Carries letters to a mail server.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    sender: Sender,
    patience: Duration,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("sender", &self.sender).finish_non_exhaustive()
    }
}

impl Smtp {
    /// With a server, and who letters are from.
    ///
    /// # Errors
    /// When TLS cannot be made ready on this machine.
    pub fn new(server: &Server, sender: Sender) -> Result<Self, String> {
        Self::with_patience(server, sender, CONVERSATION)
    }

    /// The same, with a time after which a conversation is broken off.
    ///
    /// # Errors
    /// When TLS cannot be made ready on this machine.
    pub fn with_patience(server: &Server, sender: Sender, patience: Duration) -> Result<Self, String> {
        let parameters = || {
            TlsParameters::new(server.host.clone()).map_err(|error| format!("TLS is not available: {error}"))
        };
        let tls = match server.security {
            Security::Wrapped => Tls::Wrapper(parameters()?),
            Security::Required => Tls::Required(parameters()?),
            Security::Plain => Tls::None,
        };
        // The name of this machine is nobody's business: the domain letters are from does.
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
            .port(server.port)
            .tls(tls)
            .hello_name(ClientId::Domain(sender.domain().to_owned()))
            .timeout(Some(COMMAND));
        if let Some((user, password)) = &server.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Self { transport: builder.build(), sender, patience })
    }
}

/// An error with its causes.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// A 55x is about this letter or its reader. Everything else, a refused password among it, may be mended while the letter waits.
fn undelivered(error: &Error) -> Undelivered {
    let is_final = error.status().is_some_and(|code| {
        code.severity == Severity::PermanentNegativeCompletion && code.category == Category::MailSystem
    });
    if is_final { Undelivered::Never(told(error)) } else { Undelivered::Later(told(error)) }
}

impl Carrier for Smtp {
    fn carry<'a>(&'a self, letter: &'a Letter) -> Carrying<'a> {
        Box::pin(async move {
            let message = message(&self.sender, letter)?;
            match tokio::time::timeout(self.patience, self.transport.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(undelivered(&error)),
                Err(_) => Err(Undelivered::Later("the mail server does not come to an end".to_owned())),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_of_a_server_or_a_sender_makes_a_reader_stumble_or_shows_a_password() {
        let seeds = [
            "smtp://user:pass%20wOrd@mail.example:587?tls=required",
            "smtps://mail.example",
            "smtp://127.0.0.1:1025?tls=none",
            "Charter <charter@example.com>",
        ];
        for text in charter_testkit::hostile::texts(&seeds, 3_000) {
            if let Ok(server) = Server::parse(&text) {
                let (shown, host) = (server.shown(), server.host.as_str());
                if let Some((_, password)) =
                    server.credentials.as_ref().filter(|(_, password)| password.len() > 8)
                {
                    assert!(!shown.contains(password) || host.contains(password), "{text:?}");
                }
                let again = Server::parse(&shown.replace("***@", ""));
                assert!(
                    again.is_ok_and(|again| (again.port, again.security) == (server.port, server.security)),
                    "{text:?}"
                );
            }
            let _ = Sender::parse(&text);
        }
    }

    #[test]
    fn an_address_of_a_server_is_read_and_shown_without_its_password() {
        for (text, shown) in [
            (
                "smtp://ann:p%40ss@mail.example.com:2525?tls=required",
                "smtp://***@mail.example.com:2525?tls=required",
            ),
            ("smtp://mail.example.com", "smtp://mail.example.com:587?tls=required"),
            ("smtp://mail.example.com?tls=none", "smtp://mail.example.com:25?tls=none"),
            ("smtps://mail.example.com/", "smtps://mail.example.com:465"),
            ("smtp://127.0.0.1:1025", "smtp://127.0.0.1:1025?tls=none"),
            ("smtp://localhost", "smtp://localhost:25?tls=none"),
            ("smtp://[::1]:25", "smtp://::1:25?tls=none"),
        ] {
            assert_eq!(Server::parse(text).unwrap().shown(), shown);
        }
        let server = Server::parse("smtp://ann:p%40ss%3a@mail.example.com").unwrap();
        assert_eq!(server.credentials, Some(("ann".to_owned(), "p@ss:".to_owned())));
        assert!(!format!("{server:?}").contains("p@ss"));
        assert!(Server::parse("smtp://mail.example.com?tls=none").unwrap().is_in_the_clear());
        assert!(!Server::parse("smtp://127.0.0.1").unwrap().is_in_the_clear());
        for wrong in [
            "",
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp://host/path",
            "smtp://host?tls=opportunistic",
            "smtps://host?tls=none",
            "smtp://a:%zz@host",
        ] {
            let fault = Server::parse(wrong).unwrap_err();
            assert!(!fault.contains("zz"), "{fault}");
        }
    }
}
