//! How far a long piece of work has come, on the terminal of whoever waits for it.

use charter_kernel::Timestamp;
use std::io::{IsTerminal, Write};

/// Microseconds between two looks.
const EVERY: i64 = 200_000;
const WIDTH: u64 = 30;

/// A line that moves. Nothing where nobody looks.
pub struct Progress {
    what: &'static str,
    total: u64,
    told: Option<Timestamp>,
    is_shown: bool,
}

impl Progress {
    /// Begins; a total of zero is one that nobody knows.
    pub fn new(what: &'static str, total: u64) -> Self {
        Self { what, total, told: None, is_shown: std::io::stderr().is_terminal() }
    }

    /// Tells how far it has come.
    pub fn at(&mut self, done: u64) {
        if !self.is_shown {
            return;
        }
        let now = crate::installation::now();
        if self.told.is_some_and(|told| now.micros() - told.micros() < EVERY) {
            return;
        }
        self.told = Some(now);
        let line = match self.total {
            0 => format!("\r{} {done}", self.what),
            total => {
                let full = usize::try_from(WIDTH.saturating_mul(done.min(total)) / total).unwrap_or(0);
                let bar =
                    format!("{}{}", "#".repeat(full), ".".repeat((WIDTH as usize).saturating_sub(full)));
                format!("\r{} [{bar}] {done} of {total}", self.what)
            }
        };
        let mut terminal = std::io::stderr().lock();
        let _ = terminal.write_all(line.as_bytes()).and_then(|()| terminal.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.told.is_some() {
            let mut terminal = std::io::stderr().lock();
            let _ = terminal.write_all(b"\r\x1b[K").and_then(|()| terminal.flush());
        }
    }
}
