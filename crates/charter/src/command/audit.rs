//! `charter audit verify`: the whole chain of an organization, or of all of them.

use super::Invocation;
use crate::client::{Call, Client};
use crate::command::generic::every_page;
use crate::failure::{Outcome, Result};
use crate::output;
use clap::{Arg, ArgAction, Command};
use serde_json::{Value, json};

const ALL: &str = "all";

pub fn verify_command() -> Command {
    Command::new("verify")
        .about("Read the whole trail of an organization and tell what does not fit")
        .arg(
            Arg::new(ALL)
                .long(ALL)
                .action(ArgAction::SetTrue)
                .conflicts_with("organization")
                .help("Every organization, one after the other"),
        )
        .after_help("Exit code 1 when something does not fit. Keep the printed head elsewhere: it shows a cut trail later.")
}

/// Verifies.
pub async fn verify(invocation: &Invocation<'_>) -> Result {
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = verify_with(invocation, &client).await;
    client.close().await?;
    done
}

async fn verify_with(invocation: &Invocation<'_>, client: &Client) -> Result {
    let organizations = if invocation.matches.get_flag(ALL) {
        let list = Call::of(invocation.operation("organizations.list")?).ask("limit", "200");
        let items = every_page(client, list).await?;
        items.iter().filter_map(|item| item.get("key").and_then(Value::as_str).map(str::to_owned)).collect()
    } else {
        vec![client.organization()?.to_owned()]
    };
    let operation = invocation.operation("audit.verify")?;
    let mut reports = Vec::new();
    for organization in organizations {
        let answer = client.call(&Call::of(operation).within(&organization)).await?.json()?;
        if !invocation.is_json {
            tell(&organization, &answer);
        }
        reports.push(json!({ "organization": organization, "verification": answer }));
    }
    let is_whole =
        |report: &Value| report.pointer("/verification/verified").and_then(Value::as_bool) == Some(true);
    let outcome = if reports.iter().all(is_whole) { Outcome::Good } else { Outcome::Denied };
    if invocation.is_json {
        super::show::raw(&Value::Array(reports));
    }
    Ok(outcome)
}

fn tell(organization: &str, answer: &Value) {
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    let head = answer.get("head").and_then(Value::as_str).unwrap_or_default();
    if answer.get("verified").and_then(Value::as_bool) == Some(true) {
        output::print(&format!(
            "{organization}: {} events, the chain is whole, head {head}",
            number("events")
        ));
        return;
    }
    output::print(&format!("{organization}: {} events, THE CHAIN IS BROKEN", number("events")));
    for fault in answer.get("faults").and_then(Value::as_array).into_iter().flatten() {
        output::print(&format!("  {}", super::show::cell(fault)));
    }
}
