//! A line to a PostgreSQL server that fails when told to: all connections over it end just before or after certain words are sent, and it stays
//! down until it is mended, or lets everybody in again at once.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// When a line fails that waits for words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The server never hears them.
    Before,
    /// The server hears them, and nobody hears its answer.
    After,
}

/// How long it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// Whoever connects again is let in.
    Short,
    /// Nobody is let in until [`Line::mend`].
    Lasting,
}

/// A line; ends when dropped.
#[derive(Debug)]
pub struct Line {
    url: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    server: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_over: bool,
    is_down: bool,
    waits_for: VecDeque<Fault>,
    failures: usize,
    ends: Vec<End>,
}

#[derive(Debug)]
struct Fault {
    /// Words that are still to be heard, one after the other.
    words: VecDeque<String>,
    moment: Moment,
    outage: Outage,
}

/// One end of a connection.
#[derive(Debug)]
enum End {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl End {
    fn again(&self) -> std::io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    fn shut(&self) {
        // It may be shut already.
        let _shut = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    fn hear(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn say(&mut self, part: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(part),
            Self::Unix(stream) => stream.write_all(part),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self) -> std::io::Result<End> {
        match self.server.starts_with('/') {
            true => UnixStream::connect(&self.server).map(End::Unix),
            false => TcpStream::connect(&self.server).map(End::Tcp),
        }
    }

    /// Carries what one end says to the other; words are waited for in what a client says.
    fn carry(&self, mut from: End, mut to: End, is_client: bool) -> std::io::Result<()> {
        let mut buffer = vec![0; 65_536];
        let mut heard = Vec::new();
        loop {
            let read = from.hear(&mut buffer)?;
            let part = buffer.get(..read).unwrap_or_default();
            if part.is_empty() {
                return Ok(());
            }
            match is_client.then(|| self.moment(part, &mut heard)).flatten() {
                Some(Moment::Before) => return self.fail(),
                Some(Moment::After) => {
                    to.say(part)?;
                    return self.fail();
                }
                None => to.say(part)?,
            }
        }
    }

    /// Whether the last of the words was heard that are waited for; keeps what may be the beginning of them.
    fn moment(&self, part: &[u8], heard: &mut Vec<u8>) -> Option<Moment> {
        let mut state = self.state();
        heard.extend_from_slice(part);
        while let Some(fault) = state.waits_for.front_mut()
            && let Some(words) = fault.words.front()
        {
            let length = words.len().max(1);
            let Some(at) = heard.windows(length).position(|part| part == words.as_bytes()) else {
                drop(heard.drain(..heard.len().saturating_sub(length)));
                return None;
            };
            drop(heard.drain(..at + length));
            fault.words.pop_front();
            if fault.words.is_empty() {
                return Some(fault.moment);
            }
        }
        heard.clear();
        None
    }

    fn fail(&self) -> std::io::Result<()> {
        let mut state = self.state();
        if let Some(fault) = state.waits_for.pop_front() {
            state.failures += 1;
            state.is_down = fault.outage == Outage::Lasting;
            state.ends.drain(..).for_each(|end| end.shut());
        }
        Ok(())
    }
}

impl Line {
    /// A line to the server of an address.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::disallowed_methods,
        reason = "a test without its line has failed; Drop joins the thread, which others end with"
    )]
    pub fn to(url: &str) -> Self {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
        let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("postgres", authority));
        let folder = query.split('&').find_map(|pair| pair.strip_prefix("host=/"));
        let server = match folder {
            Some(folder) => format!("/{folder}/.s.PGSQL.5432"),
            None if host.contains(':') => host.to_owned(),
            None => format!("{host}:5432"),
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { server, state: Mutex::default() });
        let inside = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut state = inside.state();
                if state.is_over {
                    return;
                }
                let (false, Ok(stream)) = (state.is_down, stream) else { continue };
                let Ok(server) = inside.server() else { continue };
                let client = End::Tcp(stream);
                for (pair, is_client) in [([&client, &server], true), ([&server, &client], false)] {
                    let ([Ok(from), Ok(to)], [Ok(here), Ok(there)]) =
                        (pair.map(End::again), pair.map(End::again))
                    else {
                        continue;
                    };
                    let shared = Arc::clone(&inside);
                    std::thread::spawn(move || {
                        let _ended = shared.carry(from, to, is_client);
                        // Whoever hangs up ends both directions.
                        here.shut();
                        there.shut();
                    });
                }
                state.ends.extend([client, server]);
            }
        });
        let url = format!("postgres://{user}@{address}/{name}");
        Self { url, address, shared, thread: Some(thread) }
    }

    /// The address of the same database over this line.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Has it fail once more, when the last of these words is sent, one after the other, and after whatever it was told to fail at before.
    pub fn fail_at(&self, words: &[&str], moment: Moment, outage: Outage) {
        let words = words.iter().map(|it| (*it).to_owned()).collect();
        self.shared.state().waits_for.push_back(Fault { words, moment, outage });
    }

    /// Ends every connection, and lets nobody in.
    pub fn take_down(&self) {
        let mut state = self.shared.state();
        state.is_down = true;
        state.ends.drain(..).for_each(|end| end.shut());
    }

    /// Lets everybody in, and waits for no words.
    pub fn mend(&self) {
        let mut state = self.shared.state();
        state.is_down = false;
        state.waits_for.clear();
    }

    /// How often it failed since it was asked last; what it still waits for is forgotten.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.mend();
        std::mem::take(&mut self.shared.state().failures)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.take_down();
        self.shared.state().is_over = true;
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}
