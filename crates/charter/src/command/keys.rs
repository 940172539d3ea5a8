//! `charter keys rotate`, also for the `.env` file of a former system, and `charter keys schedule`, which has cron or systemd do that.

use super::{Invocation, show};
use crate::client::{Call, Client};
use crate::failure::{Failure, Outcome, Result};
use crate::{legacy, output};
use charter_app::World;
use charter_app::identity::legacy_secret::{self, HISTORY_MAX};
use charter_kernel::Timestamp;
use clap::{Arg, ArgAction, Command, value_parser};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

const LEGACY: &str = "legacy_file";
const DRY_RUN: &str = "dry_run";
const IF_DUE: &str = "if_due";
const AHEAD: &str = "ahead_seconds";
const PLAN: &str = "plan";
const FORM: &str = "form";
const INSTALL: &str = "install";
const DAY_SECONDS: i64 = 86_400;

fn file() -> Arg {
    Arg::new(LEGACY).value_name("FILE").value_parser(value_parser!(PathBuf))
}

pub fn rotate_command() -> Command {
    Command::new("rotate")
        .about("Publish the next signing key now, or rotate the secret in a former system's .env file")
        .arg(file().long("legacy-env").help("Rotate SECRET_KEY in this .env file of the former system instead"))
        .arg(
            Arg::new(IF_DUE)
                .long("if-due")
                .requires(LEGACY)
                .action(ArgAction::SetTrue)
                .help("Do nothing before KEY_LAST_ROTATED is KEY_ROTATION_DAYS ago"),
        )
        .arg(
            Arg::new(DRY_RUN)
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Tell what would happen and write nothing"),
        )
        .arg(
            Arg::new(AHEAD)
                .long("ahead-seconds")
                .value_name("N")
                .value_parser(value_parser!(u32))
                .conflicts_with(LEGACY)
                .help("Seconds the new key is published before it signs, 600 at least"),
        )
        .arg(
            Arg::new(PLAN)
                .long("plan")
                .value_name("HASH")
                .conflicts_with(LEGACY)
                .help("Do exactly the plan a dry run told, or refuse"),
        )
        .after_help(
            "Signing keys rotate by themselves; this is for doing it early. The former system's file keeps three old secrets, a copy of \
             it stays beside it, and it gets mode 0600.",
        )
}

pub fn schedule_command() -> Command {
    Command::new("schedule")
        .about("Print what has a former system's .env file rotated every night at two, when it is due")
        .arg(file().required(true).help("The .env file"))
        .arg(
            Arg::new(FORM)
                .long("as")
                .value_parser(["cron", "systemd"])
                .default_value("cron")
                .help("A line for crontab, or a systemd service with its timer"),
        )
        .arg(
            Arg::new(INSTALL)
                .long("install")
                .action(ArgAction::SetTrue)
                .help("Put the line into this account's crontab; the old crontab is kept in the data folder"),
        )
}

/// Rotates signing keys, or a former system's secret.
pub async fn rotate(invocation: &Invocation<'_>) -> Result {
    match invocation.matches.get_one::<PathBuf>(LEGACY) {
        Some(path) => rotate_legacy(invocation, path).await,
        None => rotate_own(invocation).await,
    }
}

async fn rotate_own(invocation: &Invocation<'_>) -> Result {
    let mut body = Map::new();
    if let Some(seconds) = invocation.matches.get_one::<u32>(AHEAD) {
        body.insert(AHEAD.to_owned(), json!(seconds));
    }
    if let Some(plan) = invocation.matches.get_one::<String>(PLAN) {
        body.insert(PLAN.to_owned(), json!(plan));
    }
    let mut call = Call::of(invocation.operation("keys.rotate")?).json(&Value::Object(body));
    if invocation.matches.get_flag(DRY_RUN) {
        call.query.push((DRY_RUN.to_owned(), "true".to_owned()));
    }
    let answer = ask(invocation, &call).await?;
    if invocation.is_json {
        show::raw(&answer);
        return Ok(Outcome::Good);
    }
    let part = |name: &str| answer.get(name).map(show::cell).unwrap_or_default();
    let is_dry = answer.get(DRY_RUN).and_then(Value::as_bool).unwrap_or_default();
    let makes = answer.get("makes_key").and_then(Value::as_bool).unwrap_or_default();
    let mut text = match (is_dry, makes) {
        (true, true) => "a new key would be made and published\n".to_owned(),
        (true, false) => format!("the key that waits would be taken: {}\n", part("next")),
        (false, _) => format!("next key: {}, published\n", part("next")),
    };
    text.push_str(&format!("signs from {}, in the place of {}\n", part("activates_at"), part("active")));
    text.push_str(&format!(
        "what that one signed is accepted until {} at the latest\n",
        part("accepted_until")
    ));
    for kid in answer.get("leave").and_then(Value::as_array).into_iter().flatten() {
        text.push_str(&format!("stops verifying then: {}\n", show::cell(kid)));
    }
    if is_dry {
        text.push_str(&format!(
            "nothing was written; to do exactly this: charter keys rotate --plan {}\n",
            part("plan")
        ));
    }
    output::print(&text);
    Ok(Outcome::Good)
}

async fn ask(invocation: &Invocation<'_>, call: &Call) -> Result<Value> {
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = client.call(call).await;
    client.close().await?;
    done?.json()
}

/// 256 random bits, in hexadecimal.
fn fresh_secret() -> String {
    let bytes: [u8; 32] = World::system().random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn rotate_legacy(invocation: &Invocation<'_>, path: &Path) -> Result {
    let is_dry = invocation.matches.get_flag(DRY_RUN);
    let now = crate::installation::now();
    let old = legacy::text(path)?;
    let file = legacy_secret::read(&old)?;
    let due_at = file.rotated_at.map(|at| at.plus_seconds(i64::from(file.rotation_days) * DAY_SECONDS));
    if invocation.matches.get_flag(IF_DUE)
        && let Some(due_at) = due_at.filter(|at| *at > now)
    {
        output::print(&format!("not due before {due_at}: nothing was written\n"));
        return Ok(Outcome::Good);
    }
    let new = legacy_secret::rotated(&old, &fresh_secret(), now)?;
    let kept = file.secrets().take(HISTORY_MAX).count();
    let leave = file.secrets().count() - kept;
    let copy = copy_of(path, now);
    if is_dry {
        output::print(&format!(
            "{}: a new SECRET_KEY of 256 bits, {kept} old ones in SECRET_KEYS_HISTORY, {leave} would leave it\ncopy: {}\nnothing was written\n",
            path.display(),
            copy.display()
        ));
        return Ok(Outcome::Good);
    }
    let shown = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let call = Call::of(invocation.operation("keys.record-legacy-rotation")?)
        .json(&json!({ "file": shown.display().to_string() }));
    ask_quietly(invocation, &call).await?;
    replace(path, &copy, &old, &new)?;
    output::print(&format!(
        "{}: rotated; {kept} old secrets are in the history, {leave} left it\ncopy of the file before: {}\nrestart the former system, so that it signs with the new one\n",
        path.display(),
        copy.display()
    ));
    Ok(Outcome::Good)
}

async fn ask_quietly(invocation: &Invocation<'_>, call: &Call) -> Result<()> {
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = client.call(call).await;
    client.close().await?;
    done?;
    Ok(())
}

fn copy_of(path: &Path, now: Timestamp) -> PathBuf {
    let stamp: String = now.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".before-{stamp}"));
    path.with_file_name(name)
}

/// Keeps a copy, writes the new text beside the file and puts it in its place in one step: a reader finds the old file or the new one.
fn replace(path: &Path, copy: &Path, old: &str, new: &str) -> Result<()> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::new(format!("{}: {error}; the file is as it was", path.display()))
    };
    write_private(copy, old).map_err(|error| failed(copy, error))?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".next");
    let next = path.with_file_name(name);
    let _ = std::fs::remove_file(&next);
    write_private(&next, new)
        .and_then(|()| same_owner(path, &next))
        .and_then(|()| std::fs::rename(&next, path))
        .map_err(|error| {
            let _ = std::fs::remove_file(&next);
            failed(path, error)
        })?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The account the former system runs as goes on reading its file.
#[cfg(unix)]
fn same_owner(old: &Path, new: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let (old, made) = (std::fs::metadata(old)?, std::fs::metadata(new)?);
    if (old.uid(), old.gid()) == (made.uid(), made.gid()) {
        return Ok(());
    }
    std::os::unix::fs::chown(new, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn same_owner(_: &Path, _: &Path) -> std::io::Result<()> {
    Ok(())
}

/// A word of a shell, quoted where it has to be.
fn quoted(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if is_plain && !text.is_empty() { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Prints, or installs, what rotates a former system's file at night.
pub fn schedule(invocation: &Invocation<'_>) -> Result {
    let Some(path) = invocation.matches.get_one::<PathBuf>(LEGACY) else {
        return Err(Failure::new("which file? `charter keys schedule FILE`".to_owned()));
    };
    legacy_secret::read(&legacy::text(path)?)?;
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("charter"));
    let word = |path: &Path| quoted(&absolute(path).display().to_string());
    let data = &invocation.loaded.configuration.data;
    let line =
        format!("{} keys rotate --legacy-env {} --if-due --data {}", word(&program), word(path), word(data));
    let is_systemd = invocation.matches.get_one::<String>(FORM).is_some_and(|form| form == "systemd");
    if is_systemd {
        output::print(&format!(
            "# /etc/systemd/system/charter-legacy-rotation.service\n[Unit]\nDescription=Rotate the former system's secret when it is due\n\n\
             [Service]\nType=oneshot\nExecStart={line}\n\n# /etc/systemd/system/charter-legacy-rotation.timer\n[Unit]\n\
             Description=Every night at two\n\n[Timer]\nOnCalendar=*-*-* 02:00:00\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
        ));
        return Ok(Outcome::Good);
    }
    // A percent sign means a new line to cron.
    let entry = format!("0 2 * * * {}", line.replace('%', r"\%"));
    if !invocation.matches.get_flag(INSTALL) {
        output::print(&format!("{entry}\n"));
        return Ok(Outcome::Good);
    }
    install(&entry, data)
}

fn install(entry: &str, data: &Path) -> Result {
    let no_crontab = |error: std::io::Error| {
        Failure::new(format!("crontab cannot be run: {error}; print the line without --install"))
    };
    let listed = process::Command::new("crontab").arg("-l").output().map_err(no_crontab)?;
    let old = if listed.status.success() {
        String::from_utf8_lossy(&listed.stdout).into_owned()
    } else {
        String::new()
    };
    if old.lines().any(|line| line.trim() == entry) {
        output::print("the crontab has the line already: nothing was written\n");
        return Ok(Outcome::Good);
    }
    let copy = copy_of(&data.join("crontab"), crate::installation::now());
    std::fs::create_dir_all(data)
        .and_then(|()| write_private(&copy, &old))
        .map_err(|error| Failure::new(format!("{}: {error}; the crontab is as it was", copy.display())))?;
    let newline = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
    let mut child =
        process::Command::new("crontab").arg("-").stdin(Stdio::piped()).spawn().map_err(no_crontab)?;
    let written = match child.stdin.take() {
        Some(mut input) => input.write_all(format!("{old}{newline}{entry}\n").as_bytes()),
        None => Ok(()),
    };
    let status = child.wait().map_err(no_crontab)?;
    if written.is_err() || !status.success() {
        return Err(Failure::new(format!(
            "crontab refused the new table; the old one is in {}",
            copy.display()
        )));
    }
    output::print(&format!("installed: {entry}\nthe crontab before: {}\n", copy.display()));
    Ok(Outcome::Good)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_of_a_shell_are_quoted_where_they_have_to_be() {
        assert_eq!(quoted("/srv/erp/.env"), "/srv/erp/.env");
        assert_eq!(quoted("/srv/our erp/.env"), "'/srv/our erp/.env'");
        assert_eq!(quoted("it's; rm -rf"), r"'it'\''s; rm -rf'");
        assert_eq!(quoted(""), "''");
    }
}
