//! One command as a process of its own: how long, and the most memory it had.

use crate::Arguments;
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

/// Runs `charter adopt ...` to its end.
pub async fn run(asked: &Arguments, own: &str, words: &[&str]) -> Ran {
    let began = Instant::now();
    let mut command = tokio::process::Command::new(&asked.charter);
    command.arg("adopt").args(words).env("CHARTER_DATABASE", own).env("CHARTER_DATA", &asked.data);
    let mut child = command.stdin(Stdio::null()).spawn().expect("charter starts");
    let process = child.id().expect("it runs");
    let mut most_bytes = 0;
    let status = loop {
        most_bytes = most(process).unwrap_or(most_bytes);
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(status.success(), "charter adopt {} ended with {status}", words[0]);
    Ran { took: began.elapsed(), most_bytes }
}
