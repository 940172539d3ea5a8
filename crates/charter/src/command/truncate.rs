//! `charter entitlements truncate`: the emergency exit back to `enabled_modules`, told module by module before it is taken.

use super::{Invocation, generic, show};
use crate::client::{Call, Client};
use crate::failure::{Failure, Outcome, Result};
use crate::{output, terminal};
use clap::{Arg, ArgAction, Command};
use serde_json::{Value, json};

const EVERY: &str = "every_organization";
const ALL: &str = "all_rows";
const DRY_RUN: &str = "dry_run";
const YES: &str = "yes";
const REASON: &str = "reason";
/// What is typed where it is about all of them.
const EVERY_WORD: &str = "every organization";

pub fn command() -> Command {
    let flag = |id: &'static str, long: &'static str| Arg::new(id).long(long).action(ArgAction::SetTrue);
    Command::new("truncate")
        .about("Take away the rows an adoption wrote, so that enabled_modules decides again")
        .arg(flag(EVERY, "every-organization").help("All of them, each in a step of its own"))
        .arg(
            flag(ALL, "all")
                .help("Every row, not only those of an adoption; subscriptions end, preview lists stay"),
        )
        .arg(
            Arg::new(REASON)
                .long("reason")
                .value_name("TEXT")
                .required(true)
                .help("Why: it stands in the audit trail"),
        )
        .arg(flag(DRY_RUN, "dry-run").help("Tell which modules go on and off, and change nothing"))
        .arg(flag(YES, "yes").help("Do not ask for the organization's key"))
        .after_help("Done again, it changes nothing. What was there before stands in the audit trail.")
}

async fn organizations(invocation: &Invocation<'_>, client: &Client) -> Result<Vec<String>> {
    if !invocation.matches.get_flag(EVERY) {
        let hint = |failure: Failure| Failure::new(format!("{failure}; --every-organization means all"));
        return Ok(vec![client.organization().map_err(hint)?.to_owned()]);
    }
    if invocation.loaded.configuration.organization.is_some() {
        return Err(Failure::new("say --org or --every-organization, not both"));
    }
    let list = Call::of(invocation.operation("organizations.list")?).ask("limit", "200");
    let text = |item: &Value, name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
    let items = generic::every_page(client, list).await?;
    let customers = items.iter().filter(|item| text(item, "kind").as_deref() != Some("platform"));
    Ok(customers.filter_map(|item| text(item, "key")).collect())
}

struct Work<'a> {
    invocation: &'a Invocation<'a>,
    client: &'a Client,
}

impl Work<'_> {
    async fn truncate(&self, organization: &str, is_dry_run: bool) -> Result<Value> {
        let matches = self.invocation.matches;
        let reason = matches.get_one::<String>(REASON).cloned().unwrap_or_default();
        let body = json!({ "all": matches.get_flag(ALL), "reason": reason });
        let call = Call::of(self.invocation.operation("entitlements.truncate")?).within(organization);
        self.client.call(&call.json(&body).ask("dry_run", is_dry_run.to_string())).await?.json()
    }

    async fn run(&self) -> Result {
        let invocation = self.invocation;
        let organizations = organizations(invocation, self.client).await?;
        let is_dry_run = invocation.matches.get_flag(DRY_RUN);
        let mut told = Vec::new();
        let mut is_empty = true;
        for organization in &organizations {
            let answer = self.truncate(organization, true).await?;
            is_empty &= is_nothing(&answer);
            if !invocation.is_json {
                output::print(as_text(organization, &answer).trim_end());
            }
            told.push(json!({ "organization": organization, "result": answer }));
        }
        if !is_dry_run && !is_empty {
            confirm(invocation, &organizations)?;
            told.clear();
            for organization in &organizations {
                let answer = self.truncate(organization, false).await?;
                told.push(json!({ "organization": organization, "result": answer }));
            }
        }
        if invocation.is_json {
            show::raw(&Value::Array(told));
        } else if is_dry_run {
            output::print("nothing was changed");
        } else if !is_empty {
            output::print("done: enabled_modules decides where no row is left");
        }
        Ok(Outcome::Good)
    }
}

fn confirm(invocation: &Invocation<'_>, organizations: &[String]) -> Result<()> {
    if invocation.matches.get_flag(YES) {
        return Ok(());
    }
    let wanted = match organizations {
        [one] if !invocation.matches.get_flag(EVERY) => one.as_str(),
        _ => EVERY_WORD,
    };
    match terminal::word(&format!("type {wanted} to go on: "))? {
        Some(word) if word == wanted => Ok(()),
        _ => Err(Failure::new(format!("that is not {wanted}: nothing was changed"))),
    }
}

fn count(answer: &Value, name: &str) -> u64 {
    answer.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn is_nothing(answer: &Value) -> bool {
    ["modules", "submodules", "subscriptions"].iter().all(|name| count(answer, name) == 0)
}

fn as_text(organization: &str, answer: &Value) -> String {
    if is_nothing(answer) {
        return format!("{organization}: there is nothing to take away");
    }
    let mut text =
        format!("{organization}: {} rows go", count(answer, "modules") + count(answer, "submodules"));
    match count(answer, "subscriptions") {
        0 => {}
        1 => text.push_str(", and a subscription ends"),
        many => text.push_str(&format!(", and {many} subscriptions end")),
    }
    let changes = answer.get("changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if changes.is_empty() {
        text.push_str("; every module stays as it is");
    }
    for change in changes {
        let is_on = change.get("on").and_then(Value::as_bool).unwrap_or_default();
        let turn = if is_on { "off -> on" } else { "on -> off" };
        let module = change.get("module").and_then(Value::as_str).unwrap_or_default();
        text.push_str(&format!("\n  {turn}  {module}"));
    }
    text
}

/// Takes the rows away.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = Work { invocation, client: &client }.run().await;
    client.close().await?;
    done
}
