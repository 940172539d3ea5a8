//! `charter check`, `who-can`, `what-can` and `list-resources`: the questions people ask all day.

use super::decision::{self, Asked};
use super::{Invocation, generic, show};
use crate::client::{Call, Client};
use crate::failure::{Failure, Outcome, Result};
use crate::output;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};

const PERMISSION: &str = "permission";
const SUBJECT: &str = "as";
const RESOURCE: &str = "resource";
const TYPE: &str = "type";
const EXPLAIN: &str = "explain";
const AT: &str = "at";
const ADDRESS: &str = "address";
const MFA: &str = "mfa";
const PROPERTY: &str = "property";
const KIND: &str = "kind";
const FIRST: &str = "first";

const PERMISSION_HELP: &str =
    "A permission (finance.invoices.approve), or an action (approve) on the type of the resource";

fn permission() -> Arg {
    Arg::new(PERMISSION).value_name("PERMISSION").required(true).help(PERMISSION_HELP)
}

fn subject() -> Arg {
    Arg::new(SUBJECT)
        .long(SUBJECT)
        .value_name("LOGIN")
        .help("Whose rights: login or id; one's own when left out")
}

fn resource() -> Arg {
    Arg::new(RESOURCE)
        .long(RESOURCE)
        .value_name("TYPE:ID")
        .help("The thing it is about, such as invoice:1042")
}

/// What describes the request that is thought of.
fn circumstances(command: Command) -> Command {
    command
        .arg(Arg::new(ADDRESS).long(ADDRESS).value_name("IP").help("Where the request comes from"))
        .arg(Arg::new(MFA).long(MFA).action(ArgAction::SetTrue).help("A second factor was proved"))
        .arg(
            Arg::new(PROPERTY)
                .long(PROPERTY)
                .value_name("NAME=VALUE")
                .action(ArgAction::Append)
                .help("An attribute: resource.amount=900, subject.department=sales, action.x=1, context.x=1"),
        )
}

pub fn check_command() -> Command {
    circumstances(
        Command::new("check")
            .about("May somebody do something? Exit code 0 is allow, 1 is deny, 2 an error")
            .arg(permission())
            .arg(subject())
            .arg(resource()),
    )
    .arg(
        Arg::new(TYPE)
            .long(TYPE)
            .value_name("TYPE")
            .help("The type an action is done to, where no resource names it"),
    )
    .arg(
        Arg::new(EXPLAIN)
            .long(EXPLAIN)
            .action(ArgAction::SetTrue)
            .help("Tell which rows decided and what would change it"),
    )
    .arg(
        Arg::new(AT)
            .long(AT)
            .value_name("TIME")
            .requires(EXPLAIN)
            .help("As of another instant (2026-03-01T08:30:00Z), by the facts of today; with --explain"),
    )
}

fn pages(command: Command) -> Command {
    command.arg(
        Arg::new(FIRST)
            .long(FIRST)
            .value_name("NUMBER")
            .value_parser(clap::value_parser!(usize))
            .help("Stop after so many; the whole answer when left out"),
    )
}

pub fn who_can_command() -> Command {
    pages(circumstances(
        Command::new("who-can").about("Everybody who may do something").arg(permission()).arg(resource()),
    ))
    .arg(
        Arg::new(TYPE)
            .long(TYPE)
            .value_name("TYPE")
            .help("The type an action is done to, where no resource names it"),
    )
    .arg(Arg::new(KIND).long(KIND).value_name("KIND").help("Only `user` or only `service_account`"))
}

pub fn what_can_command() -> Command {
    pages(circumstances(
        Command::new("what-can").about("Everything somebody may do").arg(subject()).arg(resource()),
    ))
}

pub fn list_resources_command() -> Command {
    pages(circumstances(
        Command::new("list-resources")
            .about("The resources on which somebody may do something")
            .arg(permission())
            .arg(subject())
            .arg(Arg::new(TYPE).long(TYPE).value_name("TYPE").required(true).help("The type of resource")),
    ))
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.try_get_one::<String>(name).ok().flatten().map(String::as_str)
}

fn is_set(matches: &ArgMatches, name: &str) -> bool {
    matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false)
}

/// A value of an attribute: a number, true or false where it reads as one, a text otherwise.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// The question in the words of the API.
fn question(matches: &ArgMatches) -> Result<Map<String, Value>> {
    let mut body = Map::new();
    if let Some(asked) = text(matches, PERMISSION) {
        let name = if asked.contains('.') { "permission" } else { "action" };
        body.insert(name.to_owned(), asked.into());
    }
    body.extend(text(matches, SUBJECT).map(|login| ("subject".to_owned(), login.into())));
    body.extend(text(matches, TYPE).map(|kind| ("type".to_owned(), kind.into())));
    body.extend(text(matches, AT).map(|at| ("at".to_owned(), at.into())));
    body.extend(text(matches, KIND).map(|kind| ("subject_kind".to_owned(), kind.into())));
    let mut context = Map::new();
    context.extend(text(matches, ADDRESS).map(|address| ("address".to_owned(), address.into())));
    if is_set(matches, MFA) {
        context.insert("mfa".to_owned(), true.into());
    }
    let mut of_resource = Map::new();
    for given in matches.try_get_many::<String>(PROPERTY).ok().flatten().into_iter().flatten() {
        let (name, given_value) = given.split_once('=').ok_or_else(|| {
            Failure::new(format!("--property {given}: NAME=VALUE is expected, such as resource.amount=900"))
        })?;
        let (owner, name) = name.split_once('.').unwrap_or(("resource", name));
        let place = match owner {
            "resource" => &mut of_resource,
            "context" => &mut context,
            "subject" | "action" => {
                let place = body.entry(format!("{owner}_properties")).or_insert_with(|| json!({}));
                match place.as_object_mut() {
                    Some(place) => place,
                    None => continue,
                }
            }
            _ => {
                let wrong =
                    format!("--property {given}: it begins with resource., subject., action. or context.");
                return Err(Failure::new(wrong));
            }
        };
        place.insert(name.to_owned(), value(given_value));
    }
    match text(matches, RESOURCE) {
        Some(resource) => {
            let (kind, id) = resource.split_once(':').ok_or_else(|| {
                Failure::new(format!("--resource {resource}: TYPE:ID is expected, such as invoice:1042"))
            })?;
            let mut thing = json!({ "type": kind, "id": id });
            if let (false, Some(thing)) = (of_resource.is_empty(), thing.as_object_mut()) {
                thing.insert("properties".to_owned(), Value::Object(of_resource));
            }
            body.insert("resource".to_owned(), thing);
        }
        None if !of_resource.is_empty() => {
            return Err(Failure::new("--property resource...: name the resource with --resource TYPE:ID"));
        }
        None => {}
    }
    if !context.is_empty() {
        body.insert("context".to_owned(), Value::Object(context));
    }
    Ok(body)
}

/// An action says nothing without the type it is done to.
fn refuse_an_action_on_nothing(matches: &ArgMatches) -> Result<()> {
    match text(matches, PERMISSION) {
        Some(word) if !word.contains('.') && text(matches, RESOURCE).or(text(matches, TYPE)).is_none() => {
            Err(Failure::new(format!(
                "{word} is an action: say what it is done to with --resource TYPE:ID or --type TYPE, or ask for a \
                 permission, such as finance.invoices.{word}"
            )))
        }
        _ => Ok(()),
    }
}

/// Answers a check.
pub async fn check(invocation: &Invocation<'_>) -> Result {
    refuse_an_action_on_nothing(invocation.matches)?;
    let mut body = question(invocation.matches)?;
    let is_explained = is_set(invocation.matches, EXPLAIN);
    if is_explained {
        body.insert(EXPLAIN.to_owned(), true.into());
    }
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = ask(invocation, &client, &Value::Object(body)).await;
    client.close().await?;
    let answer = done?;
    let is_allowed = match answer.get("decision").and_then(Value::as_str) {
        Some("allow") => true,
        Some("deny") => false,
        _ => return Err(Failure::new("the answer holds no decision: nothing is allowed")),
    };
    if invocation.is_json {
        show::raw(&answer);
    } else {
        let asked = Asked {
            subject: text(invocation.matches, SUBJECT).unwrap_or_default(),
            what: text(invocation.matches, PERMISSION).unwrap_or_default(),
            resource: text(invocation.matches, RESOURCE),
            organization: invocation.loaded.configuration.organization.as_deref().unwrap_or_default(),
        };
        output::print(&decision::told(&answer, &asked));
        if !is_explained && !is_allowed {
            output::print("\n--explain tells how it came, and what would change it");
        }
    }
    Ok(if is_allowed { Outcome::Good } else { Outcome::Denied })
}

async fn ask(invocation: &Invocation<'_>, client: &Client, body: &Value) -> Result<Value> {
    let call = Call::of(invocation.operation("check")?).within(client.organization()?).json(body);
    client.call(&call).await?.json()
}

/// Runs a search to its end.
pub async fn search(id: &str, invocation: &Invocation<'_>) -> Result {
    refuse_an_action_on_nothing(invocation.matches)?;
    let body = Value::Object(question(invocation.matches)?);
    let first = invocation.matches.get_one::<usize>(FIRST).copied();
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = found(id, invocation, &client, &body, first).await;
    client.close().await?;
    let items = done?;
    if invocation.is_json {
        show::raw(&json!({ "items": items }));
    } else {
        output::print(&show::list(&items));
    }
    Ok(Outcome::Good)
}

async fn found(
    id: &str,
    invocation: &Invocation<'_>,
    client: &Client,
    body: &Value,
    first: Option<usize>,
) -> Result<Vec<Value>> {
    let call = Call::of(invocation.operation(id)?).within(client.organization()?).json(body);
    let limit = first.unwrap_or(generic::PAGE).clamp(1, generic::PAGE).to_string();
    generic::pages(client, call.ask("limit", limit), first).await
}
