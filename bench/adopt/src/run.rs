//! One command as a process of its own: how long, and the most memory it had.

use crate::Arguments;
use crate::application::{Application, Beside};
use std::process::Stdio;
use std::time::{Duration, Instant};

pub struct Ran {
    pub took: Duration,
    /// Of resident memory.
    pub most_bytes: u64,
}

fn most(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// How long a command works and is stopped in turn beside an application, and how long it takes until that is so.
const TURN: Duration = Duration::from_millis(2_000);
const CHANGE: Duration = Duration::from_millis(300);

/// Stops a process, or lets it go on.
fn signal(process: u32, name: &str) {
    // A process that has ended is no fault.
    let _ = std::process::Command::new("kill").args([name, &process.to_string()]).stderr(Stdio::null()).status();
}

/// Runs `charter adopt ...` to its end. Beside an application it is stopped every other moment, so that what the application waits beside it and
/// alone comes from the same minutes of the same machine; the time it stood still does not count.
pub async fn run(asked: &Arguments, own: &str, words: &[&str], application: Option<&Application>) -> Ran {
    let began = Instant::now();
    let mut command = tokio::process::Command::new(&asked.charter);
    command.arg("adopt").args(words).env("CHARTER_DATABASE", own).env("CHARTER_DATA", &asked.data);
    let mut child = command.stdin(Stdio::null()).spawn().expect("charter starts");
    let process = child.id().expect("it runs");
    let (mut most_bytes, mut stopped, mut turned, mut is_stopped) = (0, Duration::ZERO, began, false);
    let status = loop {
        most_bytes = most(process).unwrap_or(most_bytes);
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Some(application) = application else { continue };
        let since = turned.elapsed();
        if since >= TURN {
            signal(process, if is_stopped { "-CONT" } else { "-STOP" });
            stopped += if is_stopped { since } else { Duration::ZERO };
            (is_stopped, turned) = (!is_stopped, Instant::now());
            application.beside(Beside::Change);
        } else if since >= CHANGE {
            application.beside(if is_stopped { Beside::Nothing } else { Beside::Command });
        }
    };
    if let Some(application) = application {
        application.beside(Beside::Change);
    }
    assert!(status.success(), "charter adopt {} ended with {status}", words[0]);
    Ran { took: began.elapsed() - stopped, most_bytes }
}
