//! Ctrl-C, and the word of a system that shuts down, from the step on in which a command runs: whoever listens once has to listen to the end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell says of a program that a signal ended: 128 and its number.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// Waits for somebody to end the rescue.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Begins to listen.
    pub fn listen() -> Result<Self, String> {
        let of = |kind| signal(kind).map_err(|error| format!("signals cannot be watched: {error}"));
        Ok(Self { interrupt: of(SignalKind::interrupt())?, terminate: of(SignalKind::terminate())? })
    }

    /// Does some work; the exit code when somebody ended it.
    pub async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Result<T, u8> {
        tokio::select! {
            done = work => Ok(done),
            _ = self.interrupt.recv() => Err(INTERRUPTED),
            _ = self.terminate.recv() => Err(TERMINATED),
        }
    }
}

/// The same where nobody may be listening yet: then a signal ends the program itself.
pub async fn unless<T>(stop: &mut Option<Stop>, work: impl Future<Output = T>) -> Result<T, u8> {
    match stop {
        Some(stop) => stop.unless(work).await,
        None => Ok(work.await),
    }
}
