//! `charter policy`: the access policy of an organization as one file: export, plan, apply, and test.

use super::{Invocation, document, generic, show};
use crate::client::{Answer, Call, Client};
use crate::failure::{Outcome, Result};
use crate::output;
use clap::{Arg, ArgAction, Command};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const FILE: &str = "file";
const REASON: &str = "reason";
const ACCEPT: &str = "accept-conflicts";
const IF_REVISION: &str = "if-revision";
const VERBOSE: &str = "verbose";

fn file(help: &'static str) -> Arg {
    Arg::new(FILE).value_name("FILE").required(true).help(help)
}

pub fn export_command() -> Command {
    Command::new("export").about("Print the policy of an organization as a document")
}

pub fn plan_command() -> Command {
    Command::new("plan")
        .about("Say who would gain and who would lose what, and change nothing")
        .arg(file("The document, or - for standard input"))
        .arg(accept())
}

pub fn apply_command() -> Command {
    Command::new("apply")
        .about("Put a document in force; what it leaves out is taken away")
        .arg(file("The document, or - for standard input"))
        .arg(Arg::new(REASON).long(REASON).value_name("TEXT").help("Why, for the audit trail"))
        .arg(accept())
        .arg(
            Arg::new(IF_REVISION)
                .long(IF_REVISION)
                .value_name("NUMBER")
                .help("Refuse when the organization is no longer at this revision (`policy plan` prints it)"),
        )
}

fn accept() -> Arg {
    Arg::new(ACCEPT)
        .long(ACCEPT)
        .value_name("REASON")
        .help("Accept conflicts of duties that come of it, for this reason")
}

pub fn test_command() -> Command {
    Command::new("test")
        .about("Run expected decisions; exit code 1 when one comes otherwise")
        .arg(file("The cases, or - for standard input"))
        .arg(Arg::new(VERBOSE).long(VERBOSE).action(ArgAction::SetTrue).help("Also show what is as expected"))
}

async fn send(invocation: &Invocation<'_>, make: impl Fn(&Client) -> Result<Call>) -> Result<Answer> {
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = match make(&client) {
        Ok(call) => client.call(&call).await,
        Err(failure) => Err(failure),
    };
    client.close().await?;
    done
}

fn given(invocation: &Invocation<'_>, name: &str) -> Option<String> {
    invocation.matches.try_get_one::<String>(name).ok().flatten().cloned()
}

/// Prints the document, byte for byte.
pub async fn export(invocation: &Invocation<'_>) -> Result {
    let operation = invocation.operation("policy.export")?;
    let answer = send(invocation, |client| Ok(Call::of(operation).within(client.organization()?))).await?;
    if invocation.is_json && answer.json().is_ok() {
        show::raw(&answer.json()?);
    } else {
        output::exactly(&document::text(&answer)?);
    }
    Ok(Outcome::Good)
}

/// `plan` and `apply`.
pub async fn change(id: &str, invocation: &Invocation<'_>) -> Result {
    let operation = invocation.operation(id)?;
    let text = generic::read_input(&given(invocation, FILE).unwrap_or_default())?;
    let mut fields = Map::new();
    fields.extend(given(invocation, REASON).map(|reason| ("reason".to_owned(), reason.into())));
    fields.extend(given(invocation, ACCEPT).map(|reason| ("accept_conflicts".to_owned(), reason.into())));
    let answer = send(invocation, |client| {
        let mut call = document::call(operation, text.clone(), fields.clone()).within(client.organization()?);
        call.headers.extend(given(invocation, IF_REVISION).map(|revision| {
            let number = revision.strip_prefix('r').unwrap_or(&revision);
            ("if-match".to_owned(), format!("\"r{number}\""))
        }));
        Ok(call)
    })
    .await?
    .json()?;
    if invocation.is_json {
        show::raw(&answer);
    } else {
        output::print(&changes(&answer));
    }
    Ok(Outcome::Good)
}

/// One change of access: its sign, what it is about, and the action. Actions on the same things are told on one line.
fn parts(change: &Value) -> (Kind, String) {
    let part = |name: &str| change.get(name).map(show::cell).unwrap_or_default();
    let permission = part("permission");
    let (about, action) = permission.rsplit_once('.').unwrap_or(("", permission.as_str()));
    let mut circumstances = String::new();
    if let Some(resource) = change.get("resource").filter(|resource| resource.is_object()) {
        let part = |name: &str| resource.get(name).map(show::cell).unwrap_or_default();
        circumstances = match part("id").as_str() {
            "" => format!(" on every {}", part("type")),
            id => format!(" on {}:{id}", part("type")),
        };
    }
    if change.get("conditional").and_then(Value::as_bool) == Some(true) {
        circumstances.push_str(" (under a condition)");
    }
    let sign = if part("change") == "gained" { '+' } else { '-' };
    ((sign, about.to_owned(), circumstances), action.to_owned())
}

/// Sign, module and resource, and where and when it counts.
type Kind = (char, String, String);
/// Changes of access by kind, with the actions of each.
type Lines = BTreeMap<Kind, BTreeSet<String>>;

fn told(lines: &Lines) -> String {
    let mut text = String::new();
    for ((sign, about, circumstances), actions) in lines {
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        let between = if actions.len() == 1 { "." } else { ": " };
        let line = format!("{about}{between}{}{circumstances}", actions.join(", "));
        text.push_str(&output::wrapped(&format!("  {sign} "), &line));
    }
    text
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What an edit does: who gains and who loses what, by name, those with the same changes together; then the rows.
fn changes(answer: &Value) -> String {
    let rows = |name: &str| answer.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let access = rows("access_changes");
    let mut by_login: BTreeMap<&str, Lines> = BTreeMap::new();
    for change in access {
        let login = change.get("login").and_then(Value::as_str).unwrap_or_default();
        let (kind, action) = parts(change);
        by_login.entry(login).or_default().entry(kind).or_default().insert(action);
    }
    let people = by_login.len();
    let mut alike: BTreeMap<Lines, Vec<&str>> = BTreeMap::new();
    for (login, lines) in by_login {
        alike.entry(lines).or_default().push(login);
    }
    let mut groups: Vec<(Vec<&str>, Lines)> =
        alike.into_iter().map(|(lines, logins)| (logins, lines)).collect();
    groups.sort();
    let mut text = String::new();
    for (logins, lines) in groups {
        text.push_str(&output::wrapped("", &logins.join(", ")));
        // What is gained comes before what is lost.
        text.push_str(&told(&lines));
        text.push('\n');
    }
    let count = answer.get("access_changes_count").and_then(Value::as_u64).unwrap_or_default();
    let count = usize::try_from(count).unwrap_or(usize::MAX).max(access.len());
    if count > access.len() {
        text.push_str(&format!("... and {} more changes of access\n\n", count - access.len()));
    }
    if !rows("changes").is_empty() {
        text.push_str("rows:\n");
        for row in rows("changes") {
            let part = |name: &str| row.get(name).map(show::cell).unwrap_or_default();
            text.push_str(&format!("  {} {}\n", part("action"), part("target")));
        }
        text.push('\n');
    }
    for warning in rows("warnings") {
        text.push_str(&output::wrapped("warning: ", &show::cell(warning)));
    }
    let other: Vec<String> = rows("changes")
        .iter()
        .filter(|row| row.get("action").and_then(Value::as_str) == Some("condition.update"))
        .filter_map(|row| row.get("target").map(show::cell))
        .collect();
    if !other.is_empty() {
        let note = format!(
            "what is given under {} is given under other circumstances than before; `policy test` shows whether \
             that is meant",
            other.join(", ")
        );
        text.push_str(&output::wrapped("note: ", &note));
    }
    let whose = match count {
        0 if !other.is_empty() => "nobody gains or loses a right as a whole".to_owned(),
        0 => "nobody's access changes".to_owned(),
        _ => {
            let who = counted(people, "account gains or loses", "accounts gain or lose");
            format!("{who} access, {}", counted(count, "change", "changes"))
        }
    };
    let is_dry = answer.get("dry_run").and_then(Value::as_bool).unwrap_or(false);
    let revision = answer.get("revision").map(show::cell).unwrap_or_default();
    let what = match (is_dry, rows("changes").is_empty()) {
        (_, true) => format!("the document says what is in force at revision {revision}"),
        (true, false) => format!("nothing was written: the organization is at revision {revision}"),
        (false, false) => format!("in force since revision {revision}"),
    };
    format!("{text}{whose}; {what}\n")
}

/// Runs cases.
pub async fn test(invocation: &Invocation<'_>) -> Result {
    let operation = invocation.operation("policy.test")?;
    let text = generic::read_input(&given(invocation, FILE).unwrap_or_default())?;
    let answer = send(invocation, |client| {
        Ok(document::call(operation, text.clone(), Map::new()).within(client.organization()?))
    })
    .await?
    .json()?;
    let results = answer.get("results").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let passed = |result: &Value| result.get("passed").and_then(Value::as_bool) == Some(true);
    let failed = results.iter().filter(|result| !passed(result)).count();
    if invocation.is_json {
        show::raw(&answer);
    } else {
        let is_verbose = invocation.matches.get_flag(VERBOSE);
        for result in results.iter().filter(|result| is_verbose || !passed(result)) {
            output::print(&case(result, passed(result)));
        }
        output::print(&format!(
            "{} cases: {} as expected, {failed} not",
            results.len(),
            results.len() - failed
        ));
    }
    Ok(if failed == 0 && !results.is_empty() { Outcome::Good } else { Outcome::Denied })
}

fn case(result: &Value, is_passed: bool) -> String {
    let part = |name: &str| result.get(name).map(show::cell).unwrap_or_default();
    let verdict = if is_passed { "ok  " } else { "FAIL" };
    let mut text = format!("{verdict} line {}: {}\n", part("line"), part("name"));
    if is_passed {
        return text;
    }
    if part("question") != part("name") {
        text.push_str(&format!("       {}\n", part("question")));
    }
    let reason = |reason: String| if reason.is_empty() { reason } else { format!(" ({reason})") };
    text.push_str(&format!("     - expected {}{}\n", part("expected"), reason(part("expected_reason"))));
    text.push_str(&format!(
        "     + got      {}{}: {}\n",
        part("got"),
        reason(part("got_reason")),
        part("got_sentence")
    ));
    if !part("because").is_empty() {
        text.push_str(&format!("       decided by {}\n", part("because")));
    }
    text
}
