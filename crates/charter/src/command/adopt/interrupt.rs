//! Ctrl-C, and the word of a system that shuts down, while a run is written or taken back: the command says how far it came.

use crate::failure::{Failure, Outcome, Result};
use crate::output;
use std::fmt::Display;

/// What a shell says of a program that a signal ended: 128 and its number.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// Waits for somebody to end the command.
pub struct Stop {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    /// Begins to listen.
    #[cfg(unix)]
    pub fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let of =
            |kind| signal(kind).map_err(|error| Failure::new(format!("signals cannot be watched: {error}")));
        Ok(Self { interrupt: of(SignalKind::interrupt())?, terminate: of(SignalKind::terminate())? })
    }

    #[cfg(not(unix))]
    pub fn listen() -> Result<Self> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn asked(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => INTERRUPTED,
            _ = self.terminate.recv() => TERMINATED,
        }
    }

    #[cfg(not(unix))]
    async fn asked(&mut self) -> u8 {
        let _ = tokio::signal::ctrl_c().await;
        INTERRUPTED
    }

    /// Does some work; the exit code when somebody ended it.
    pub async fn unless<T>(&mut self, work: impl Future<Output = T>) -> std::result::Result<T, u8> {
        tokio::select! {
            done = work => Ok(done),
            code = self.asked() => Err(code),
        }
    }
}

/// Says what was done.
pub fn told(code: u8, what: impl Display) -> Outcome {
    output::complain(&format!("charter: stopped: {what}"));
    Outcome::Stopped(code)
}
