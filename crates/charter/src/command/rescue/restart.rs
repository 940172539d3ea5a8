//! Step 4: the other system is started again, by a command or by whoever listens at an address.

use super::interrupt::{self, Stop};
use super::{Rescue, report::Step};
use crate::command::adopt::record;
use crate::folder::make_folder;
use clap::{Arg, value_parser};
use rustix::process::{Pid, Signal, getpgrp, getpid, kill_process, kill_process_group};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

const RESTART: &str = "restart";
const HOOK: &str = "hook";
const PATIENCE: &str = "restart_timeout";
/// How often the command is looked after.
const PAUSE: Duration = Duration::from_millis(50);
/// How often it is looked after once it was told to end.
const ROUNDS: u32 = 40;

pub fn arguments() -> [Arg; 3] {
    [
        Arg::new(RESTART)
            .long(RESTART)
            .value_name("COMMAND")
            .help("Step 4: the command that starts the other system again, given to sh"),
        Arg::new(HOOK)
            .long(HOOK)
            .value_name("URL")
            .help("Step 4: an address that is told of the rescue by POST"),
        Arg::new(PATIENCE)
            .long("restart-timeout")
            .value_name("SECONDS")
            .default_value("120")
            .value_parser(value_parser!(u64).range(1..=3600))
            .help("Step 4: how long the command may take"),
    ]
}

/// How the command and what it begins are kept together, so that all of it can be ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    /// By a group of its own.
    Own,
    /// By being ours. In a group of its own it would be stopped as soon as it asked somebody at the terminal, as `sudo` does.
    Ours,
}

impl Group {
    /// Where there is a terminal that the command could ask at, it is in the group that the terminal listens to.
    fn fit() -> Self {
        let is_ours = fs::File::open("/dev/tty").is_ok() && gather();
        if is_ours { Self::Ours } else { Self::Own }
    }
}

/// Has what the command leaves behind come to us, so that it can be found; whether that can be done.
#[cfg(target_os = "linux")]
fn gather() -> bool {
    rustix::process::set_child_subreaper(Some(getpid())).is_ok()
}

/// Elsewhere it is found by its group alone.
#[cfg(not(target_os = "linux"))]
const fn gather() -> bool {
    false
}

/// A process, as the system tells of it.
struct Process {
    number: i32,
    parent: i32,
    group: i32,
    /// Whether it ended, and is only still noted.
    is_over: bool,
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let process = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let told = fs::read(entry.path().join("stat")).ok()?;
        let told = String::from_utf8_lossy(&told);
        // Its name stands in brackets, and may hold anything.
        let mut words = told.rsplit(") ").next()?.split(' ');
        let is_over = matches!(words.next()?, "Z" | "X");
        let (parent, group) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Process { number, parent, group, is_over })
    };
    entries.filter_map(process).collect()
}

/// What runs below us in our group.
fn below() -> Vec<Pid> {
    let (all, group) = (processes(), getpgrp().as_raw_pid());
    let mut parents = vec![getpid().as_raw_pid()];
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            parents.push(process.number);
            if process.group == group && !process.is_over {
                found.extend(Pid::from_raw(process.number));
            }
        }
    }
    found
}

/// Ends the command and what it began; says what came of it.
async fn end(child: &mut Child, group: Group) -> String {
    if group == Group::Own {
        // What runs on is told below, whatever this says.
        let _sent = kill_process_group(Pid::from_child(child), Signal::KILL);
    }
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        left = if group == Group::Ours { below() } else { Vec::new() };
        for process in &left {
            let _sent = kill_process(*process, Signal::KILL);
        }
        let is_over = !matches!(child.try_wait(), Ok(None));
        if is_over && left.is_empty() {
            return "was stopped with what it began".to_owned();
        }
        tokio::time::sleep(PAUSE).await;
    }
    if left.is_empty() {
        left.push(Pid::from_child(child));
    }
    let numbers: Vec<String> = left.iter().map(|process| process.as_raw_pid().to_string()).collect();
    format!("could not be stopped as a whole: look for process {}", numbers.join(", "))
}

/// Waits until the command ended.
async fn over(child: &mut Child) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Why the command did not end well, and the exit code where a signal to us was it.
struct Wrong {
    why: String,
    code: Option<u8>,
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self { why, code: None }
    }
}

/// Runs the command; what it says goes into a file, so that a program it leaves behind holds nothing of ours.
async fn command(rescue: &Rescue<'_>, text: &str, stop: &mut Stop) -> Result<String, Wrong> {
    let folder = record::folder(&rescue.configuration.data);
    make_folder(&rescue.configuration.data)?;
    make_folder(&folder)?;
    let path = folder.join(format!("rescue-{}-restart.log", rescue.stamp));
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(wrong)?;
    let also = log.try_clone().map_err(wrong)?;
    let group = Group::fit();
    let mut shell = Command::new("sh");
    shell.args(["-c", text]).stdin(Stdio::null()).stdout(log).stderr(also);
    if group == Group::Own {
        shell.process_group(0);
    }
    let mut child = shell.spawn().map_err(|error| format!("sh cannot be run: {error}"))?;
    let seconds = rescue.matches.get_one::<u64>(PATIENCE).copied().unwrap_or_default();
    let waited = tokio::time::timeout(Duration::from_secs(seconds), stop.unless(over(&mut child))).await;
    let said = || {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        if last.is_empty() { last } else { format!("; it said: {last}") }
    };
    match waited {
        Ok(Ok(Ok(status))) if status.success() => Ok(format!("`{text}` ended well{}", said())),
        Ok(Ok(Ok(status))) => Err(format!("`{text}` ended with {status}{}", said()).into()),
        Ok(Ok(Err(error))) => Err(format!("`{text}` cannot be waited for: {error}").into()),
        Ok(Err(code)) => {
            let ended = end(&mut child, group).await;
            let why = format!("`{text}` was not waited for, as a signal came, and {ended}{}", said());
            Err(Wrong { why, code: Some(code) })
        }
        Err(_) => {
            let ended = end(&mut child, group).await;
            Err(format!("`{text}` did not end in {seconds} seconds and {ended}{}", said()).into())
        }
    }
}

async fn hook(rescue: &Rescue<'_>, url: &str) -> Result<String, String> {
    let client = super::sign_in::client(url)?;
    let body = json!({
        "event": "charter.rescue",
        "at": rescue.now.to_string(),
        "run": rescue.record.as_ref().map(|record| record.run),
        "account": rescue.configuration.account,
    });
    let answer = client.post(url).json(&body).send().await;
    let answer = answer.map_err(|error| format!("{url}: {}", super::sign_in::innermost(&error)))?;
    let status = answer.status();
    if status.is_success() {
        Ok(format!("{url} answered {status}"))
    } else {
        Err(format!("{url} answered {status}"))
    }
}

/// Step 4; the exit code where a signal ended it. From the command on somebody listens for signals.
pub async fn run(rescue: &Rescue<'_>, stop: &mut Option<Stop>, step: &mut Step) -> Result<(), u8> {
    let given = |name: &str| rescue.matches.get_one::<String>(name).cloned();
    let (restart, url) = (given(RESTART), given(HOOK));
    if restart.is_none() && url.is_none() {
        step.nothing("neither --restart nor --hook was given: start the other system again by hand");
    }
    if let Some(text) = restart {
        if rescue.is_dry_run {
            step.would(format!("run `{text}`"));
        } else {
            match Stop::listen() {
                Ok(listening) => match command(rescue, &text, stop.insert(listening)).await {
                    Ok(told) => step.tell(told),
                    Err(Wrong { why, code }) => {
                        step.fail(why);
                        code.map_or(Ok(()), Err)?;
                    }
                },
                Err(wrong) => step.fail(wrong),
            }
        }
    }
    if let Some(url) = url {
        if rescue.is_dry_run {
            step.would(format!("tell {url}"));
        } else {
            match interrupt::unless(stop, hook(rescue, &url)).await? {
                Ok(told) => step.tell(told),
                Err(wrong) => step.fail(wrong),
            }
        }
    }
    Ok(())
}
