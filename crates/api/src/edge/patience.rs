//! How long a connection may be silent, and a request take. One clock a connection, which ticks a few times within the allowed time and
//! looks whether anything happened since: a request costs two counters rather than timers that are set and taken down.

use http::Version;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Ticks in the time a connection may be silent.
const TICKS: u32 = 8;

/// The outcome of work that is done within the limit. Most is done when it is looked at for the second time, once its body was read; only
/// then a timer is set.
pub(crate) async fn within<F: Future>(limit: Duration, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut has_waited = false;
    let early = poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if has_waited => Poll::Ready(None),
        Poll::Pending => {
            has_waited = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    });
    match early.await {
        Some(outcome) => Some(outcome),
        None => tokio::time::timeout(limit, work).await.ok(),
    }
}

/// What the clock of a connection sees of it.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Requests begun and pieces of answers sent; it only has to differ. What a client sends of a request that is not whole yet is no
    /// sign of life.
    beats: AtomicU32,
    /// Requests being worked on: their time is bounded by themselves.
    running: AtomicU32,
    has_spoken: AtomicBool,
    /// HTTP/2 asks its peer now and then, and closes by itself.
    is_asking: AtomicBool,
}

/// A request that is being worked on, until dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<Pulse>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pulse {
    /// A request has come.
    pub fn begin(this: &Arc<Self>, version: Version) -> Running {
        if !this.has_spoken.load(Ordering::Relaxed) {
            this.has_spoken.store(true, Ordering::Relaxed);
            this.is_asking.store(version == Version::HTTP_2, Ordering::Relaxed);
        }
        this.running.fetch_add(1, Ordering::Relaxed);
        this.beat();
        Running(Arc::clone(this))
    }

    fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Done when the connection was silent for as long as it may be.
    pub async fn lost(&self, allowed: Duration) {
        let tick = allowed / TICKS;
        let (mut seen, mut silent) = (self.beats.load(Ordering::Relaxed), 0);
        // A beat may have come just after a tick: with that tick counted, silence ends in time, never late.
        while silent < TICKS {
            tokio::time::sleep(tick).await;
            if !self.has_spoken.load(Ordering::Relaxed) {
                // What was sent before the first request, such as the settings of HTTP/2, proves nothing.
                silent += 1;
                continue;
            }
            if self.is_asking.load(Ordering::Relaxed) {
                return std::future::pending().await;
            }
            let beats = self.beats.load(Ordering::Relaxed);
            let is_alive = beats != seen || self.running.load(Ordering::Relaxed) > 0;
            silent = if is_alive { 1 } else { silent + 1 };
            seen = beats;
        }
    }
}

/// A stream whose answers count as signs of life.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: TcpStream,
    pulse: Arc<Pulse>,
}

impl Watched {
    /// Watches a stream.
    pub fn new(stream: TcpStream, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse }
    }

    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.pulse.beat();
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
