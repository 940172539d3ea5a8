//! A load generator small enough that the server is what is measured: two threads, each with half of the connections, each sending
//! a request on every one of its connections and then reading every answer. While one thread waits, the server works for the other.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 32;
const PATIENCE: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// The `ETag`, where there is one.
    pub etag: Option<String>,
    /// Body.
    pub body: String,
}

/// The bytes of one request.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// One kept connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Where an answer's parts are in the buffer.
struct Frame {
    status: u16,
    head: usize,
    body: usize,
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(address: SocketAddr) -> Result<Self, String> {
        let open = || {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = open().map_err(|flaw: std::io::Error| format!("no connection to {address}: {flaw}"))?;
        Ok(Self { stream, buffer: vec![0; 64 * 1024] })
    }

    fn send(&mut self, request: &[u8]) -> Result<(), String> {
        self.stream.write_all(request).map_err(|flaw| format!("a request could not be sent: {flaw}"))
    }

    fn receive(&mut self) -> Result<Frame, String> {
        let mut filled = 0;
        loop {
            if let Some(frame) = self.buffer.get(..filled).and_then(frame)
                && filled >= frame.head + frame.body
            {
                return Ok(frame);
            }
            if filled == self.buffer.len() {
                self.buffer.resize(2 * filled, 0);
            }
            let free = self.buffer.get_mut(filled..).unwrap_or_default();
            match self.stream.read(free) {
                Ok(0) => return Err("the server closed a connection".to_owned()),
                Ok(read) => filled += read,
                Err(flaw) => return Err(format!("no answer: {flaw}")),
            }
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn call(&mut self, request: &[u8]) -> Result<Answer, String> {
        self.send(request)?;
        let frame = self.receive()?;
        let text =
            |from, to| String::from_utf8_lossy(self.buffer.get(from..to).unwrap_or_default()).into_owned();
        let etag = text(0, frame.head)
            .lines()
            .find_map(|line| line.strip_prefix("etag: ").map(|etag| etag.trim().to_owned()));
        Ok(Answer { status: frame.status, etag, body: text(frame.head, frame.head + frame.body) })
    }
}

/// The parts of an answer, once its headers are there.
fn frame(bytes: &[u8]) -> Option<Frame> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(bytes.get(..head)?).ok()?;
    let status = text.get(9..12)?.parse().ok()?;
    let length = text.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
    let body = if matches!(status, 204 | 304) { 0 } else { length?.parse().ok()? };
    Some(Frame { status, head, body })
}

/// The connections to one server.
#[derive(Debug)]
pub struct Client {
    halves: Vec<Vec<Connection>>,
}

impl Client {
    /// Opens all of them.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(address: SocketAddr) -> Result<Self, String> {
        let half = || (0..CONNECTIONS / 2).map(|_| Connection::open(address)).collect::<Result<_, _>>();
        Ok(Self { halves: vec![half()?, half()?] })
    }

    /// Sends the same request over and over; gives how many were answered, and how long that took.
    ///
    /// # Errors
    /// When an answer has another status.
    pub fn run(&mut self, request: &[u8], status: u16, span: Duration) -> Result<(u64, Duration), String> {
        let begin = now();
        let counts: Vec<Result<u64, String>> = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .halves
                .iter_mut()
                .map(|half| scope.spawn(move || rounds(half, request, status, begin + span)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())))
                .collect()
        });
        let count = counts.into_iter().sum::<Result<u64, String>>()?;
        Ok((count, now() - begin))
    }
}

fn rounds(connections: &mut [Connection], request: &[u8], status: u16, end: Instant) -> Result<u64, String> {
    let mut count = 0;
    while now() < end {
        for connection in connections.iter_mut() {
            connection.send(request)?;
        }
        for connection in connections.iter_mut() {
            let frame = connection.receive()?;
            if frame.status != status {
                return Err(format!("status {} came back instead of {status}", frame.status));
            }
            count += 1;
        }
    }
    Ok(count)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}
