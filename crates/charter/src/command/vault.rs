//! `charter vault status`, `rotate` and `encrypt-existing`. The other commands of the vault are made from the API.

use super::{Invocation, show};
use crate::client::{Call, Client};
use crate::failure::{Failure, Outcome, Result};
use crate::output;
use clap::{Arg, ArgAction, Command, value_parser};
use serde_json::{Map, Value, json};
use std::time::Duration;

const DRY_RUN: &str = "dry_run";
const PEPPER: &str = "pepper";
const KEEP: &str = "keep_seconds";
const REWRAP: &str = "rewrap_only";
const NO_WAIT: &str = "no_wait";
const PAUSE: Duration = Duration::from_millis(500);

fn dry_run() -> Arg {
    Arg::new(DRY_RUN)
        .long("dry-run")
        .action(ArgAction::SetTrue)
        .help("Tell what would happen and write nothing")
}

pub fn status_command() -> Command {
    Command::new("status")
        .about("Show the keys of the vault, what each sealed, how far a rotation is, and the peppers")
}

pub fn rotate_command() -> Command {
    Command::new("rotate")
        .about("Make a new key of the vault and seal everything by it again, or begin a new pepper")
        .arg(
            Arg::new(PEPPER)
                .long(PEPPER)
                .action(ArgAction::SetTrue)
                .conflicts_with_all([KEEP, REWRAP])
                .help("Begin a new pepper instead; credentials move to it when they are used"),
        )
        .arg(
            Arg::new(KEEP)
                .long("keep-seconds")
                .value_name("N")
                .value_parser(value_parser!(u32))
                .help("Seconds the old key is kept when nothing is sealed by it any more: 3600 at least, a day by default"),
        )
        .arg(
            Arg::new(REWRAP)
                .long("rewrap-only")
                .action(ArgAction::SetTrue)
                .help("Make no key: seal those there are by the newest key-encryption key"),
        )
        .arg(dry_run())
        .arg(
            Arg::new(NO_WAIT)
                .long("no-wait")
                .action(ArgAction::SetTrue)
                .help("Leave the rest to the service that runs"),
        )
        .after_help(
            "Cut short, it goes on by itself while a service runs, or when `charter vault advance` is called. Everything can be read \
             all the time.",
        )
}

pub fn encrypt_command() -> Command {
    Command::new("encrypt-existing")
        .about("Seal by the vault what was stored before there was one; cut short, do it again")
        .arg(dry_run())
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

fn cell(value: &Value, key: &str) -> String {
    value.get(key).map(show::cell).unwrap_or_default()
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Shows the vault.
pub async fn status(invocation: &Invocation<'_>) -> Result {
    let answer = super::keys::ask(invocation, &Call::of(invocation.operation("vault.status")?)).await?;
    if invocation.is_json {
        show::raw(&answer);
    } else {
        output::print(told(&answer).trim_end());
    }
    Ok(Outcome::Good)
}

fn told(answer: &Value) -> String {
    let mut text = String::new();
    for kek in items(answer, "key_encryption_keys") {
        let is_newest = kek.get("is_newest").and_then(Value::as_bool).unwrap_or_default();
        let sealed: Vec<String> = items(kek, "keys").map(show::cell).collect();
        let is_needed = kek.get("is_needed").and_then(Value::as_bool).unwrap_or(true);
        let what = match (is_newest, is_needed, sealed.is_empty()) {
            (true, _, _) => "seals new keys".to_owned(),
            (false, false, _) => {
                "no longer needed here; keep it as long as any backup from before".to_owned()
            }
            (false, true, true) => {
                "still needed: values are left that no vault key sealed (`charter vault encrypt-existing`)"
                    .to_owned()
            }
            (false, true, false) => format!("still needed: it sealed vault keys {}", sealed.join(", ")),
        };
        text.push_str(&format!("key-encryption key {}: {what}\n", cell(kek, "id")));
    }
    for key in items(answer, "keys") {
        text.push_str(&format!(
            "vault key {}: {}, {} values, sealed by {}",
            cell(key, "key"),
            cell(key, "state"),
            number(key, "values"),
            cell(key, "key_encryption_key")
        ));
        if cell(key, "state") == "retired" {
            text.push_str(&format!(", destroyed at {}", cell(key, "destroy_at")));
        }
        text.push('\n');
    }
    for count in items(answer, "values") {
        let by = match count.get("key").and_then(Value::as_u64) {
            Some(key) => format!("vault key {key}"),
            None => "no vault key: `charter vault encrypt-existing` seals them".to_owned(),
        };
        text.push_str(&format!("  {}: {} by {by}\n", cell(count, "column"), number(count, "values")));
    }
    if let Some(progress) = answer.get("rotation").filter(|it| it.is_object()) {
        text.push_str(&format!("rotation under way: {}\n", progressed(progress)));
    }
    for pepper in items(answer, "peppers") {
        text.push_str(&format!(
            "pepper {}: {}, {} credentials, {} OAuth clients, {} sessions of browsers\n",
            cell(pepper, "version"),
            cell(pepper, "state"),
            number(pepper, "credentials"),
            number(pepper, "clients"),
            number(pepper, "cookies")
        ));
    }
    text
}

fn progressed(progress: &Value) -> String {
    let mut text = format!(
        "{} of {} values are sealed by vault key {}",
        number(progress, "done"),
        number(progress, "total"),
        number(progress, "key")
    );
    match number(progress, "unreadable") {
        0 => {}
        1 => text.push_str("; 1 cannot be opened: the log names it, and its key is kept"),
        count => {
            text.push_str(&format!("; {count} cannot be opened: the log names them, and their key is kept"))
        }
    }
    text
}

/// Rotates the key of the vault, or the pepper.
pub async fn rotate(invocation: &Invocation<'_>) -> Result {
    let matches = invocation.matches;
    let is_pepper = matches.get_flag(PEPPER);
    let mut body = Map::new();
    if let Some(seconds) = matches.get_one::<u32>(KEEP) {
        body.insert(KEEP.to_owned(), json!(seconds));
    }
    if matches.get_flag(REWRAP) {
        body.insert(REWRAP.to_owned(), json!(true));
    }
    let mut call = if is_pepper {
        Call::of(invocation.operation("vault.rotate-pepper")?)
    } else {
        Call::of(invocation.operation("vault.rotate")?).json(&Value::Object(body))
    };
    let is_dry = matches.get_flag(DRY_RUN);
    if is_dry {
        call.query.push((DRY_RUN.to_owned(), "true".to_owned()));
    }
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = rotated(invocation, &client, &call, is_dry || is_pepper || matches.get_flag(NO_WAIT)).await;
    client.close().await?;
    done
}

async fn rotated(invocation: &Invocation<'_>, client: &Client, call: &Call, is_all: bool) -> Result {
    let answer = client.call(call).await?.json()?;
    if invocation.is_json {
        show::raw(&answer);
    } else {
        output::print(&planned(&answer));
    }
    if answer.get("key").is_none_or(Value::is_null)
        && answer.get("version").is_none()
        && items(&answer, "rewrapped").next().is_none()
        && !invocation.is_json
    {
        output::print(
            "nothing to do: every key of the vault is sealed by the newest key-encryption key already",
        );
    }
    if is_all || answer.get("key").is_none_or(Value::is_null) {
        return Ok(Outcome::Good);
    }
    let advance = Call::of(invocation.operation("vault.advance")?);
    let begun = json!({ "done": 0, "total": number(&answer, "values"), "key": number(&answer, "key"), "unreadable": 0 });
    let mut last = progressed(&begun);
    output::complain(&last);
    loop {
        let told = client.call(&advance).await?.json()?;
        let Some(progress) = told.get("rotation").filter(|it| it.is_object()) else { break };
        let line = progressed(progress);
        if line != last {
            output::complain(&line);
            last = line;
        }
        if number(progress, "unreadable") > 0 {
            return Err(Failure::new(
                "the rotation cannot end while there are values that cannot be opened: restore or remove what the log names; everything else \
                 is sealed by the new key",
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
    if !invocation.is_json {
        output::print(
            "everything is sealed by the new key; `charter vault status` shows when the old one is destroyed",
        );
    }
    Ok(Outcome::Good)
}

fn planned(answer: &Value) -> String {
    let would =
        if answer.get(DRY_RUN).and_then(Value::as_bool).unwrap_or_default() { "would be" } else { "is" };
    if answer.get("version").is_some() {
        return format!(
            "pepper {} {would} made; hashes are made by it from {}\n{} credentials stand on the one before, each until it is used next",
            cell(answer, "version"),
            cell(answer, "activates_at"),
            number(answer, "credentials")
        );
    }
    let rewrapped: Vec<String> = items(answer, "rewrapped").map(show::cell).collect();
    let mut text = Vec::new();
    if answer.get("key").is_some_and(|key| !key.is_null()) {
        text.push(format!(
            "vault key {} {would} made, sealed by key-encryption key {}; it seals from {}",
            cell(answer, "key"),
            cell(answer, "key_encryption_key"),
            cell(answer, "activates_at")
        ));
        text.push(format!(
            "{} values are to be sealed again; then the old key is kept for {} s and destroyed",
            number(answer, "values"),
            number(answer, "keep_seconds")
        ));
    }
    if !rewrapped.is_empty() {
        text.push(format!(
            "sealed by key-encryption key {} now: vault keys {}",
            cell(answer, "key_encryption_key"),
            rewrapped.join(", ")
        ));
    }
    text.join("\n")
}

/// Seals what was stored before there was a vault.
pub async fn encrypt_existing(invocation: &Invocation<'_>) -> Result {
    let is_dry = invocation.matches.get_flag(DRY_RUN);
    let mut call = Call::of(invocation.operation("vault.encrypt-existing")?);
    if is_dry {
        call.query.push((DRY_RUN.to_owned(), "true".to_owned()));
    }
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = encrypted(invocation, &client, &call, is_dry).await;
    client.close().await?;
    done
}

async fn encrypted(invocation: &Invocation<'_>, client: &Client, call: &Call, is_dry: bool) -> Result {
    let mut sealed = 0;
    loop {
        let answer = client.call(call).await?.json()?;
        sealed += number(&answer, "sealed");
        let (remaining, unreadable) = (number(&answer, "remaining"), number(&answer, "unreadable"));
        if !is_dry && remaining > unreadable && number(&answer, "sealed") > 0 {
            output::complain(&format!("{sealed} values are sealed, {remaining} are left"));
            continue;
        }
        if invocation.is_json {
            show::raw(&answer);
        } else if is_dry {
            for count in items(&answer, "columns") {
                output::print(&format!("{}: {}", cell(count, "column"), number(count, "values")));
            }
            output::print(&format!("{remaining} values would be sealed by the vault; nothing was written"));
        } else {
            output::print(&format!("{sealed} values are sealed by the vault, {remaining} are left"));
        }
        if remaining > 0 && !is_dry {
            return Err(Failure::new(format!("{remaining} values cannot be opened: the log names them")));
        }
        return Ok(Outcome::Good);
    }
}
