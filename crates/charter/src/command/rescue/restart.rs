//! Step 4: the other system is started again, by a command or by whoever listens at an address.

use super::{Rescue, report::Step};
use crate::command::adopt::record;
use crate::folder::make_folder;
use clap::{Arg, value_parser};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const RESTART: &str = "restart";
const HOOK: &str = "hook";
const PATIENCE: &str = "restart_timeout";
/// How often the command is looked after.
const PAUSE: Duration = Duration::from_millis(50);

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

/// Ends the command and what it began.
fn stop(child: &mut Child) -> std::io::Result<()> {
    kill_process_group(Pid::from_child(child), Signal::KILL)?;
    child.wait().map(drop)
}

/// Runs the command; what it says goes into a file, so that a program it leaves behind holds nothing of ours.
async fn command(rescue: &Rescue<'_>, text: &str) -> Result<String, String> {
    let folder = record::folder(&rescue.configuration.data);
    make_folder(&rescue.configuration.data)?;
    make_folder(&folder)?;
    let path = folder.join(format!("rescue-{}-restart.log", rescue.stamp));
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(wrong)?;
    let also = log.try_clone().map_err(wrong)?;
    let mut child = Command::new("sh")
        .args(["-c", text])
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(also)
        // A group of its own, so that what it began ends with it.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("sh cannot be run: {error}"))?;
    let seconds = rescue.matches.get_one::<u64>(PATIENCE).copied().unwrap_or_default();
    let ended = tokio::time::timeout(Duration::from_secs(seconds), async {
        loop {
            match child.try_wait() {
                Ok(None) => tokio::time::sleep(PAUSE).await,
                other => return other,
            }
        }
    });
    let said = || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        if last.is_empty() { last } else { format!("; it said: {last}") }
    };
    match ended.await {
        Ok(Ok(Some(status))) if status.success() => Ok(format!("`{text}` ended well{}", said())),
        Ok(Ok(Some(status))) => Err(format!("`{text}` ended with {status}{}", said())),
        Ok(Ok(None)) => Err(format!("`{text}` did not end")),
        Ok(Err(error)) => Err(format!("`{text}` cannot be waited for: {error}")),
        Err(_) => {
            let stopped = match stop(&mut child) {
                Ok(()) => "was stopped with what it began".to_owned(),
                Err(error) => format!("could not be stopped ({error}): look for process {}", child.id()),
            };
            Err(format!("`{text}` did not end in {seconds} seconds and {stopped}{}", said()))
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

/// Step 4.
pub async fn run(rescue: &Rescue<'_>, step: &mut Step) {
    let given = |name: &str| rescue.matches.get_one::<String>(name).cloned();
    let (restart, url) = (given(RESTART), given(HOOK));
    if restart.is_none() && url.is_none() {
        step.nothing("neither --restart nor --hook was given: start the other system again by hand");
    }
    if let Some(text) = restart {
        if rescue.is_dry_run {
            step.would(format!("run `{text}`"));
        } else {
            match command(rescue, &text).await {
                Ok(told) => step.tell(told),
                Err(wrong) => step.fail(wrong),
            }
        }
    }
    if let Some(url) = url {
        if rescue.is_dry_run {
            step.would(format!("tell {url}"));
        } else {
            match hook(rescue, &url).await {
                Ok(told) => step.tell(told),
                Err(wrong) => step.fail(wrong),
            }
        }
    }
}
