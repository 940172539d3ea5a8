//! The loop of a server of a test's own: on this machine, one connection after the other, until it is dropped. What is said on a connection is
//! the business of the server; one that hangs is kept and told nothing.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// How a server treats a connection now.
pub(crate) trait Mood: Clone + Send + 'static {
    /// Whether it accepts connections and says nothing.
    fn hangs(&self) -> bool;
}

#[derive(Debug)]
struct Shared<M> {
    mood: Mutex<M>,
    connections: AtomicUsize,
    is_over: AtomicBool,
}

/// A server that listens; ends when dropped.
#[derive(Debug)]
pub(crate) struct Listening<M> {
    address: SocketAddr,
    shared: Arc<Shared<M>>,
    thread: Option<JoinHandle<()>>,
}

impl<M: Mood> Listening<M> {
    /// A server that runs; `answer` has a connection, the mood of the moment, and learns when the server is over.
    #[expect(
        clippy::expect_used,
        clippy::disallowed_methods,
        reason = "a test without its server has failed; Drop joins the thread"
    )]
    pub fn start<A>(mood: M, answer: A) -> Self
    where
        A: Fn(TcpStream, &M, &dyn Fn() -> bool) -> std::io::Result<()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            mood: Mutex::new(mood),
            connections: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let inside = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let is_over = || inside.is_over.load(Ordering::Acquire);
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                if is_over() {
                    return;
                }
                let Ok(stream) = stream else { continue };
                inside.connections.fetch_add(1, Ordering::AcqRel);
                let mood = inside.mood.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if mood.hangs() {
                    silent.push(stream);
                } else {
                    // Whoever hangs up early is no fault of the server.
                    let _ended = answer(stream, &mood, &is_over);
                }
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes its mood.
    pub fn behave(&self, mood: M) {
        *self.shared.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }
}

impl<M> Drop for Listening<M> {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}
