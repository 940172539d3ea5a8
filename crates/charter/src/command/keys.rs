//! `charter keys rotate` and `charter keys revoke`. The `.env` file of a former system is rotated by `legacy_keys.rs`, at night by what
//! `key_timer.rs` installs; the other commands on keys are made from the API.

use super::{Invocation, legacy_keys, show};
use crate::client::{Call, Client, escape};
use crate::failure::{Outcome, Result};
use crate::output;
use clap::{Arg, ArgAction, Command, value_parser};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// The file of a former system.
pub const LEGACY: &str = "legacy_file";
/// Tell and write nothing.
pub const DRY_RUN: &str = "dry_run";
/// Only when its time has come.
pub const IF_DUE: &str = "if_due";
const AHEAD: &str = "ahead_seconds";
const PLAN: &str = "plan";
const LINEAGE: &str = "lineage";
const KID: &str = "kid";
const COMPROMISED: &str = "compromised";
const REASON: &str = "reason";

/// The flag that names the file of a former system.
pub fn legacy_file() -> Arg {
    Arg::new(LEGACY).long("legacy-env").value_name("FILE").value_parser(value_parser!(PathBuf))
}

pub fn rotate_command() -> Command {
    Command::new("rotate")
        .about("Publish the next signing key now, or rotate the secret in a former system's .env file")
        .arg(legacy_file().help("Rotate SECRET_KEY in this .env file of the former system instead"))
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
            Arg::new(LINEAGE)
                .long(LINEAGE)
                .value_name("WHICH")
                .value_parser(["access", "id", "id_rs256"])
                .conflicts_with(LEGACY)
                .help("Which keys are meant: those of access tokens (the default), or of ID tokens"),
        )
        .arg(
            Arg::new(PLAN)
                .long("plan")
                .value_name("HASH")
                .conflicts_with_all([LEGACY, DRY_RUN])
                .help("Do exactly the plan a dry run told, or refuse; with the same --lineage and --ahead-seconds"),
        )
        .after_help(
            "Signing keys rotate by themselves; this is for doing it early. The former system's file keeps three old secrets, a copy of \
             it stays beside it, and it gets mode 0600.",
        )
}

pub fn revoke_command() -> Command {
    Command::new("revoke")
        .about("Refuse everything a signing key signed, at once and for good; nobody is signed out")
        .arg(
            Arg::new(KID)
                .value_name("KID")
                .required(true)
                .allow_hyphen_values(true)
                .help("Its id, as `charter keys list` shows it"),
        )
        .arg(
            Arg::new(COMPROMISED)
                .long(COMPROMISED)
                .action(ArgAction::SetTrue)
                .help("Somebody else may have it: the key that waits to sign is revoked with it"),
        )
        .arg(
            Arg::new(REASON)
                .long(REASON)
                .value_name("TEXT")
                .required_unless_present(COMPROMISED)
                .help("Why, for the audit trail"),
        )
}

/// Rotates signing keys, or a former system's secret.
pub async fn rotate(invocation: &Invocation<'_>) -> Result {
    match invocation.matches.get_one::<PathBuf>(LEGACY) {
        Some(path) => legacy_keys::rotate(invocation, path).await,
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
    let lineage = invocation.matches.get_one::<String>(LINEAGE);
    body.extend(lineage.map(|lineage| (LINEAGE.to_owned(), json!(lineage))));
    let mut call = Call::of(invocation.operation("keys.rotate")?).json(&Value::Object(body));
    if invocation.matches.get_flag(DRY_RUN) {
        call.query.push((DRY_RUN.to_owned(), "true".to_owned()));
    }
    let answer = ask(invocation, &call).await?;
    if invocation.is_json {
        show::raw(&answer);
        return Ok(Outcome::Good);
    }
    let mut again = lineage.map_or_else(String::new, |lineage| format!("--lineage {lineage} "));
    if let Some(seconds) = invocation.matches.get_one::<u32>(AHEAD) {
        again.push_str(&format!("--ahead-seconds {seconds} "));
    }
    output::print(&told(&answer, &again, &super::data_flag(&invocation.loaded.configuration)));
    Ok(Outcome::Good)
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// Whom a rotation reaches.
fn reached(reaches: &Value) -> String {
    let part = |of: &Value, name: &str| of.get(name).map(show::cell).unwrap_or_default();
    let mut text = format!("live sessions: {}, all of which go on\n", part(reaches, "sessions"));
    for secret in items(reaches, "legacy_secrets") {
        let last = match secret.get("last_accepted_at").and_then(Value::as_str) {
            Some(at) => format!("the last at {}", output::to_the_second(at)),
            None => "none so far".to_owned(),
        };
        let (id, accepted) = (part(secret, "id"), part(secret, "accepted"));
        text.push_str(&format!("legacy secret {id} stays: its tokens were taken {accepted} times, {last}\n"));
    }
    let mut nodes = items(reaches, "nodes").peekable();
    if nodes.peek().is_none() {
        text.push_str("no node runs\n");
    }
    for node in nodes {
        let has = node.get("has_newest_keys").and_then(Value::as_bool).unwrap_or_default();
        let what = if has { "has read the keys as they are now" } else { "has not read the newest keys yet" };
        let (id, seen_at) = (part(node, "id"), part(node, "seen_at"));
        text.push_str(&format!("node {id} {what}, seen at {}\n", output::to_the_second(&seen_at)));
    }
    text
}

fn told(answer: &Value, again: &str, data: &str) -> String {
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
        "what that one signed is accepted until {} at the latest; sessions go on\n",
        part("accepted_until")
    ));
    for kid in items(answer, "leave") {
        text.push_str(&format!("leaves the history then: {}\n", show::cell(kid)));
    }
    if is_dry {
        text.push_str(&answer.get("reaches").map(reached).unwrap_or_default());
        text.push_str(&format!(
            "nothing was written; to do exactly this: charter keys rotate{data} {again}--plan {}\n",
            part("plan")
        ));
    }
    text.trim_end().to_owned()
}

/// Revokes a signing key.
pub async fn revoke(invocation: &Invocation<'_>) -> Result {
    let matches = invocation.matches;
    let kid = matches.get_one::<String>(KID).cloned().unwrap_or_default();
    let mut body = Map::new();
    body.insert(COMPROMISED.to_owned(), Value::Bool(matches.get_flag(COMPROMISED)));
    body.extend(matches.get_one::<String>(REASON).map(|reason| (REASON.to_owned(), reason.as_str().into())));
    let mut call = Call::of(invocation.operation("keys.revoke")?).json(&Value::Object(body));
    call.path = call.path.replace("{kid}", &escape(&kid));
    let answer = ask(invocation, &call).await?;
    if invocation.is_json {
        show::raw(&answer);
    } else {
        output::print(&format!(
            "{kid} is revoked: what it signed is refused here within a second, and by whoever keeps our public keys within five minutes\n\
             sessions go on; clients get a new token"
        ));
    }
    Ok(Outcome::Good)
}

/// Asks the service, or the installation itself when none runs.
pub async fn ask(invocation: &Invocation<'_>, call: &Call) -> Result<Value> {
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = client.call(call).await;
    client.close().await?;
    let answer = done?;
    if answer.text().is_empty() { Ok(Value::Null) } else { answer.json() }
}
