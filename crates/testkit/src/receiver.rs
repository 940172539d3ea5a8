//! A receiver of HTTP requests of a test's own: on this machine, and as unhelpful as it is told to be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How the receiver treats a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reception {
    /// Answers with a status.
    Answers(u16),
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

#[derive(Debug)]
struct Shared {
    reception: Mutex<Reception>,
    requests: Mutex<Vec<Request>>,
    connections: Mutex<usize>,
    is_over: AtomicBool,
}

/// A receiver; ends when dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// A receiver that runs.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::disallowed_methods,
        reason = "a test without its receiver has failed; Drop joins the thread"
    )]
    pub fn start(reception: Reception) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            reception: Mutex::new(reception),
            requests: Mutex::default(),
            connections: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let inside = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                if inside.is_over.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                *inside.connections.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                let reception = inside.reception.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if reception == Reception::Hangs {
                    silent.push(stream);
                } else {
                    // Whoever hangs up early is no fault of the receiver.
                    let _ended = receive(stream, &reception, &inside);
                }
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes its reception.
    pub fn behave(&self, reception: Reception) {
        *self.shared.reception.lock().unwrap_or_else(PoisonError::into_inner) = reception;
    }

    /// The requests it got.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often somebody connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn receive(stream: TcpStream, reception: &Reception, shared: &Shared) -> std::io::Result<()> {
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
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    match reception {
        Reception::Answers(status) => {
            write!(out, "HTTP/1.1 {status} Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        Reception::Redirects(to) => {
            write!(
                out,
                "HTTP/1.1 307 Over there\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
        }
        Reception::Babbles => {
            write!(out, "HTTP/1.1 200 Well\r\ncontent-type: text/plain\r\n\r\n")?;
            while out.write_all(&[b'x'; 1024]).is_ok() && !shared.is_over.load(Ordering::Acquire) {}
            Ok(())
        }
        Reception::Hangs | Reception::HangsUp => Ok(()),
    }
}
