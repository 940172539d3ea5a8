//! `charter catalogue`: a new version of the catalogue, or an installation's own entries beside it.

use super::{Invocation, document, generic, show};
use crate::client::{Call, Client};
use crate::failure::{Outcome, Result};
use crate::output;
use clap::{Arg, Command};
use serde_json::{Map, Value};

const FILE: &str = "file";

fn with_file(name: &'static str, about: &'static str) -> Command {
    let file = Arg::new(FILE).value_name("FILE").required(true).help("The document, or - for standard input");
    Command::new(name).about(about).arg(file)
}

pub fn lint_command() -> Command {
    with_file(
        "lint",
        "Say what the rules of catalogues find in a document; exit code 1 when it may not be applied",
    )
}

pub fn diff_command() -> Command {
    with_file("diff", "Say what a document would change; exit code 1 when it may not be applied")
}

pub fn apply_command() -> Command {
    with_file("apply", "Put a document in force: a new version of the catalogue, or one's own entries")
}

pub fn export_command() -> Command {
    Command::new("export").about("Print the installation's own entries as a document")
}

/// `lint`, `diff` and `apply`.
pub async fn propose(id: &str, invocation: &Invocation<'_>) -> Result {
    let operation = invocation.operation(id)?;
    let path = invocation.matches.get_one::<String>(FILE).cloned().unwrap_or_default();
    let call = document::call(operation, generic::read_input(&path)?, Map::new());
    let client = match id == "catalogue.apply" {
        true => Client::connect_or_make(&invocation.loaded.configuration).await?,
        false => Client::connect(&invocation.loaded.configuration).await?,
    };
    let done = client.call(&call).await;
    client.close().await?;
    let answer = done?.json()?;
    let may_apply = answer.get("may_apply").and_then(Value::as_bool).unwrap_or(false);
    if invocation.is_json {
        show::raw(&answer);
    } else {
        output::print(&told(id, &answer, may_apply));
    }
    Ok(if may_apply { Outcome::Good } else { Outcome::Denied })
}

fn told(id: &str, answer: &Value, may_apply: bool) -> String {
    let flag = |name: &str| answer.get(name).and_then(Value::as_bool).unwrap_or(false);
    let mut text = answer.get("diff").map(difference).unwrap_or_default();
    let in_diff = answer.pointer("/diff/findings").and_then(Value::as_array).into_iter().flatten();
    for finding in answer.get("findings").and_then(Value::as_array).into_iter().flatten().chain(in_diff) {
        let part = |name: &str| finding.get(name).map(show::cell).unwrap_or_default();
        text.push_str(&format!("{} {} ({}): {}\n", part("severity"), part("at"), part("rule"), part("what")));
    }
    text.push_str(match () {
        () if flag("same") => "it says what is in force already\n",
        () if flag("applied") => "in force\n",
        () if !may_apply => "it may not be applied\n",
        () if id == "catalogue.lint" => "no errors\n",
        () => "it may be applied\n",
    });
    text
}

/// Entries that came, went or changed, a line each.
fn difference(diff: &Value) -> String {
    let part = |value: &Value, name: &str| value.get(name).map(show::cell).unwrap_or_default();
    let mut text = String::new();
    let (before, after) = (part(diff, "version_before"), part(diff, "version_after"));
    if before != after {
        text.push_str(&format!("version {before} -> {after}\n"));
    }
    let sections = diff.as_object().into_iter().flatten().filter(|(name, _)| *name != "findings");
    for (section, changes) in sections {
        for change in changes.as_array().into_iter().flatten() {
            let sign = match part(change, "became").as_str() {
                "added" => "+",
                "removed" => "-",
                _ => "~",
            };
            text.push_str(&format!("{sign} {} {}\n", section.replace('_', " "), part(change, "key")));
            for field in change.get("fields").and_then(Value::as_array).into_iter().flatten() {
                let (before, after) = (part(field, "before"), part(field, "after"));
                text.push_str(&format!("    {}: {before} -> {after}\n", part(field, "field")));
            }
            for (name, sign) in [("gains", "+"), ("loses", "-")] {
                for code in change.get(name).and_then(Value::as_array).into_iter().flatten() {
                    text.push_str(&format!("    {sign} {}\n", show::cell(code)));
                }
            }
        }
    }
    text
}

/// Prints the installation's own document.
pub async fn export(invocation: &Invocation<'_>) -> Result {
    let call = Call::of(invocation.operation("catalogue.own")?);
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = client.call(&call).await;
    client.close().await?;
    let answer = done?.json()?;
    match answer.get("document").and_then(Value::as_str) {
        _ if invocation.is_json => show::raw(&answer),
        Some(document) => output::exactly(document),
        None => output::complain("the installation has no entries of its own beside the shipped catalogue"),
    }
    Ok(Outcome::Good)
}
