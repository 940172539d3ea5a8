//! A receiver of HTTP requests of a test's own: on this machine, and as unhelpful as it is told to be.

use crate::listening::{Listening, Mood};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How the receiver treats a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reception {
    /// Answers with a status.
    Answers(u16),
    /// Answers with a status and a body.
    Says(u16, String),
    /// Leads somewhere else.
    Redirects(String),
    /// Accepts connections and says nothing.
    Hangs,
    /// Answers well, and never ends.
    Babbles,
    /// Hangs up.
    HangsUp,
}

/// A request it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method and path.
    pub line: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

impl Request {
    /// The value of a header; empty without one.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl Mood for Reception {
    fn hangs(&self) -> bool {
        *self == Self::Hangs
    }
}

/// A receiver; ends when dropped.
#[derive(Debug)]
pub struct Receiver {
    server: Listening<Reception>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// A receiver that runs.
    #[must_use]
    pub fn start(reception: Reception) -> Self {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let inside = Arc::clone(&requests);
        let server = Listening::start(reception, move |stream, reception, is_over| {
            receive(stream, reception, &inside, is_over)
        });
        Self { server, requests }
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// Changes its reception.
    pub fn behave(&self, reception: Reception) {
        self.server.behave(reception);
    }

    /// The requests it got.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often somebody connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.server.connections()
    }
}

fn receive(
    stream: TcpStream,
    reception: &Reception,
    requests: &Mutex<Vec<Request>>,
    is_over: &dyn Fn() -> bool,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        if input.read_line(&mut header)? == 0 || header == "\r\n" {
            break;
        }
        if let Some((name, value)) = header.trim_end().split_once(": ") {
            headers.push((name.to_lowercase(), value.to_owned()));
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    let request = Request {
        line: line.trim_end().to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    match reception {
        Reception::Answers(status) => {
            write!(out, "HTTP/1.1 {status} Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        Reception::Says(status, body) => {
            let length = body.len();
            write!(
                out,
                "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
        }
        Reception::Redirects(to) => {
            write!(
                out,
                "HTTP/1.1 307 Over there\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
        }
        Reception::Babbles => {
            write!(out, "HTTP/1.1 200 Well\r\ncontent-type: text/plain\r\n\r\n")?;
            while out.write_all(&[b'x'; 1024]).is_ok() && !is_over() {}
            Ok(())
        }
        Reception::Hangs | Reception::HangsUp => Ok(()),
    }
}
