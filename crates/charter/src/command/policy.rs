//! `charter policy`: the access policy of an organization as one file: export, plan, apply, and test.

use super::{Invocation, document, generic, show};
use crate::client::{Answer, Call, Client};
use crate::failure::{Outcome, Result};
use crate::output;
use clap::{Arg, ArgAction, Command};
use serde_json::{Map, Value};

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
        output::print(&document::text(&answer)?);
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
        call.headers.extend(
            given(invocation, IF_REVISION).map(|revision| ("if-match".to_owned(), format!("\"{revision}\""))),
        );
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

/// What an edit does to people's access, a line each.
fn changes(answer: &Value) -> String {
    let rows = answer.get("access_changes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut text = String::new();
    for change in rows {
        let part = |name: &str| change.get(name).map(show::cell).unwrap_or_default();
        let verb = if part("change") == "gained" { "+" } else { "-" };
        text.push_str(&format!("{verb} {} {}", part("login"), part("permission")));
        if let Some(resource) = change.get("resource").filter(|resource| resource.is_object()) {
            let part = |name: &str| resource.get(name).map(show::cell).unwrap_or_default();
            text.push_str(&format!(" on {}", [part("type"), part("id")].join(":").trim_end_matches(':')));
        }
        if change.get("conditional").and_then(Value::as_bool) == Some(true) {
            text.push_str(" (under a condition)");
        }
        text.push('\n');
    }
    let count = answer.get("access_changes_count").and_then(Value::as_u64).unwrap_or(rows.len() as u64);
    if count > rows.len() as u64 {
        text.push_str(&format!("... and {} more\n", count - rows.len() as u64));
    }
    for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        text.push_str(&format!("warning: {}\n", show::cell(warning)));
    }
    let is_dry = answer.get("dry_run").and_then(Value::as_bool).unwrap_or(false);
    let revision = answer.get("revision").map(show::cell).unwrap_or_default();
    let nobody = if count == 0 { "nobody's access changes; " } else { "" };
    let ending = if is_dry {
        format!("{nobody}nothing was written, the organization is at revision {revision}\n")
    } else {
        format!("{nobody}in force, the organization is at revision {revision}\n")
    };
    text + &ending
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
