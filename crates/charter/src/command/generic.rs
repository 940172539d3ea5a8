//! A command for an operation of the API: path and query parameters and the fields of the body are flags, `--body` gives a
//! whole body, lists are tables and follow their cursors with `--all`.

use super::{Invocation, arguments, show, told};
use crate::client::{Answer, Call, Client, escape, no_organization};
use crate::failure::{Failure, Outcome, Result};
use crate::operation::{Field, Form, Operation};
use crate::terminal;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};
use std::io::Read;

const ORGANIZATION: &str = "organization";
const BODY: &str = "body";
const ALL: &str = "all";
const LIMIT: &str = "limit";
const CURSOR: &str = "cursor";
/// Items of a page, at most.
pub const PAGE: usize = 200;

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Query,
    Header,
    Body,
}

impl Place {
    fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Body => "body",
        }
    }
}

/// One flag of an operation.
struct Flag<'a> {
    place: Place,
    field: &'a Field,
    name: String,
}

/// The flags of an operation. A name that is taken gets its place in front.
fn flags(operation: &Operation) -> Vec<Flag<'_>> {
    let places = [
        (Place::Path, operation.path_fields.as_slice()),
        (Place::Query, operation.query_fields.as_slice()),
        (Place::Header, operation.header_fields.as_slice()),
        (Place::Body, operation.body_fields.as_deref().unwrap_or_default()),
    ];
    let mut flags: Vec<Flag<'_>> = Vec::new();
    for (place, fields) in places {
        for field in fields.iter().filter(|field| !takes_organization(operation, place, field)) {
            let name = field.name.to_lowercase().trim_start_matches("charter-").replace(['_', '.'], "-");
            let is_taken = arguments::is_taken(&name) || flags.iter().any(|flag| flag.name == name);
            let name = if is_taken { format!("{}-{name}", place.word()) } else { name };
            flags.push(Flag { place, field, name });
        }
    }
    flags
}

/// Whether a value is the organization that the common flag names.
fn takes_organization(operation: &Operation, place: Place, field: &Field) -> bool {
    let is_named_before = || {
        let before = operation.path_fields.iter().chain(&operation.query_fields);
        before.into_iter().any(|field| field.name == ORGANIZATION)
    };
    field.name == ORGANIZATION
        && field.form == Form::Text
        && match place {
            Place::Path | Place::Query => true,
            Place::Body => !is_named_before(),
            Place::Header => false,
        }
}

/// The command of an operation.
pub fn command(operation: &Operation) -> Command {
    let mut command = Command::new(operation.id.clone()).about(operation.summary.clone());
    let mut after = format!("{} {}", operation.method, operation.path);
    if !operation.description.is_empty() {
        after = format!("{}\n\n{after}", operation.description);
    }
    for flag in flags(operation).iter().filter(|flag| flag.field.form != Form::Password) {
        command = command.arg(argument(flag));
    }
    if let Some(fields) = &operation.body_fields {
        let help = "The whole body: a JSON file, or - for standard input; flags win over it";
        command = command.arg(Arg::new(BODY).long(BODY).value_name("FILE").help(help));
        if let Some(example) = &operation.example {
            after.push_str(&format!("\n\nA body that works: {example}"));
        } else if fields.is_empty() {
            after.push_str("\n\nThe body has several forms: give it with --body.");
        }
    }
    if operation.is_paged {
        command = command
            .arg(Arg::new(ALL).long(ALL).action(ArgAction::SetTrue).help("Every page, to the end"))
            .arg(Arg::new(LIMIT).long(LIMIT).value_name("NUMBER").help("Items on a page"))
            .arg(Arg::new(CURSOR).long(CURSOR).value_name("CURSOR").help("Go on where a page ended"));
    }
    command.after_help(after)
}

fn argument(flag: &Flag<'_>) -> Arg {
    let field = flag.field;
    let mut help = field.summary.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
    if field.form == Form::Tagged {
        let forms: Vec<String> = field.words.iter().map(|word| format!("{word}:...")).collect();
        help = format!("{help} [{}]", forms.join(", "));
    } else if !field.words.is_empty() {
        help = format!("{help} [{}]", field.words.join(", "));
    }
    if field.is_required && flag.place == Place::Body {
        help.push_str(" (required)");
    }
    let arg = Arg::new(flag.name.clone())
        .long(flag.name.clone())
        .help(help.trim().to_owned())
        .required(field.is_required && matches!(flag.place, Place::Path | Place::Query));
    match field.form {
        Form::Switch => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("true|false")
        }
        Form::Texts => arg.action(ArgAction::Append).value_name("TEXT,..."),
        Form::Number => arg.value_name("NUMBER").allow_hyphen_values(true),
        Form::Json => arg.value_name("JSON"),
        Form::Tagged => arg.value_name("KIND:TEXT"),
        Form::Thing => arg.value_name("TYPE[:ID]"),
        Form::Text | Form::Password => arg.value_name("TEXT").allow_hyphen_values(true),
    }
}

/// What somebody does first on an empty place: it makes an installation. Everything else asks for one that is there.
const BEGINS: &[&str] = &["organizations.create"];

/// Runs it.
pub async fn run(operation: &Operation, invocation: &Invocation<'_>) -> Result {
    let call = call(operation, invocation)?;
    let configuration = &invocation.loaded.configuration;
    let client = match BEGINS.contains(&operation.id.as_str()) {
        true => Client::connect_or_make(configuration).await?,
        false => Client::connect(configuration).await?,
    };
    let done = follow(operation, invocation, &client, call).await;
    client.close().await?;
    done
}

async fn follow(
    operation: &Operation,
    invocation: &Invocation<'_>,
    client: &Client,
    mut call: Call,
) -> Result {
    if !operation.is_paged {
        let answer = client.call(&call).await?;
        print(operation, &call, &answer, invocation.is_json)?;
        return Ok(Outcome::Good);
    }
    let matches = invocation.matches;
    let is_all = matches.get_flag(ALL);
    let limit = matches.get_one::<String>(LIMIT).cloned().or_else(|| is_all.then(|| PAGE.to_string()));
    call.query.extend(limit.map(|limit| (LIMIT.to_owned(), limit)));
    call.query.extend(matches.get_one::<String>(CURSOR).map(|cursor| (CURSOR.to_owned(), cursor.clone())));
    if !is_all {
        let page = client.call(&call).await?.json()?;
        show::page(&page, invocation.is_json);
        return Ok(Outcome::Good);
    }
    let items = every_page(client, call).await?;
    show::page(&json!({ "items": items, "next_cursor": Value::Null }), invocation.is_json);
    Ok(Outcome::Good)
}

/// The items of all pages of a list.
pub async fn every_page(client: &Client, call: Call) -> Result<Vec<Value>> {
    pages(client, call, None).await
}

/// The items of a list, page by page, to its end or until there are enough.
pub async fn pages(client: &Client, call: Call, most: Option<usize>) -> Result<Vec<Value>> {
    pages_by(async |call: &Call| client.call(call).await, call, most).await
}

/// The same, however a page is asked for.
pub async fn pages_by(
    ask: impl AsyncFn(&Call) -> Result<Answer>,
    call: Call,
    most: Option<usize>,
) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut call = call;
    loop {
        let page = ask(&call).await?.json()?;
        items.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
        if most.is_some_and(|most| items.len() >= most) {
            items.truncate(most.unwrap_or_default());
            return Ok(items);
        }
        match page.get("next_cursor").and_then(Value::as_str).filter(|cursor| !cursor.is_empty()) {
            Some(cursor) => {
                call.query.retain(|(name, _)| name != CURSOR);
                call.query.push((CURSOR.to_owned(), cursor.to_owned()));
            }
            None => return Ok(items),
        }
    }
}

fn print(operation: &Operation, call: &Call, answer: &Answer, is_json: bool) -> Result<()> {
    let is_json_answer = answer.header("content-type").is_none_or(|kind| kind.contains("json"));
    if !is_json_answer {
        crate::output::exactly(&answer.text());
        return Ok(());
    }
    let answer = answer.json()?;
    let sent = call.body.as_ref().and_then(|(_, body)| serde_json::from_slice(body).ok()).unwrap_or_default();
    match told::instead(operation, &answer, &sent).filter(|_| !is_json) {
        Some(words) => crate::output::print(&words),
        None => {
            if let Some(words) = told::before(operation).filter(|_| !is_json) {
                crate::output::print(words);
            }
            show::value(&answer, is_json);
        }
    }
    Ok(())
}

/// The call that the arguments describe.
fn call(operation: &Operation, invocation: &Invocation<'_>) -> Result<Call> {
    let matches = invocation.matches;
    let organization = invocation.loaded.configuration.organization.as_deref();
    let mut call = Call::new(&operation.method, operation.path.clone());
    let mut body = Map::new();
    if operation.path_fields.iter().any(|field| field.name == ORGANIZATION) {
        let organization = organization.ok_or_else(no_organization)?;
        call.path = call.path.replace("{organization}", &escape(organization));
    } else if operation.query_fields.iter().any(|field| field.name == ORGANIZATION) {
        call.query
            .extend(organization.map(|organization| (ORGANIZATION.to_owned(), organization.to_owned())));
    } else if operation
        .body_fields
        .iter()
        .flatten()
        .any(|field| takes_organization(operation, Place::Body, field))
        && let Some(organization) = organization
    {
        body.insert(ORGANIZATION.to_owned(), organization.into());
    }
    for flag in flags(operation) {
        let given = given(&flag, matches)?;
        let Some(value) = given else { continue };
        let name = &flag.field.name;
        match flag.place {
            Place::Path => call.path = call.path.replace(&format!("{{{name}}}"), &escape(&plain(&value))),
            Place::Query => match &value {
                Value::Array(values) => {
                    let texts: Vec<String> = values.iter().map(plain).collect();
                    call.query.push((name.clone(), texts.join(",")));
                }
                value => call.query.push((name.clone(), plain(value))),
            },
            Place::Header => call.headers.push((name.to_lowercase(), plain(&value))),
            Place::Body => {
                body.insert(name.clone(), value);
            }
        }
    }
    if operation.body_fields.is_some() {
        call = call.json(&whole_body(matches, body)?);
    }
    Ok(call)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Asks for a password that the operation takes; where it may do without, for one or none.
fn ask(flag: &Flag<'_>) -> Result<Option<Value>> {
    let what = flag.field.name.replace('_', " ");
    let is_new = flag.field.name.starts_with("new");
    let secret = match (flag.field.is_required, is_new) {
        (false, _) => terminal::optional_password(&what)?,
        (true, true) => Some(terminal::new_password(&what)?),
        (true, false) => Some(terminal::password(&what)?),
    };
    Ok(secret.map(|secret| Value::String(secret.reveal().to_owned())))
}

/// What was given for a flag, in the form of its field.
fn given(flag: &Flag<'_>, matches: &ArgMatches) -> Result<Option<Value>> {
    if flag.field.form == Form::Password {
        return if matches.contains_id(BODY) { Ok(None) } else { ask(flag) };
    }
    let Some(texts) = matches.get_many::<String>(&flag.name) else { return Ok(None) };
    let texts: Vec<&String> = texts.collect();
    let text = texts.last().map(|text| text.as_str()).unwrap_or_default();
    let wrong = |expected: &str| Failure::new(format!("--{} {text}: {expected} is expected", flag.name));
    Ok(Some(match flag.field.form {
        Form::Text | Form::Password => Value::String(text.to_owned()),
        Form::Tagged if !text.starts_with('{') => match text.split_once(':') {
            Some((tag, value)) if flag.field.words.iter().any(|word| word == tag) => json!({ tag: value }),
            _ => {
                return Err(wrong(&format!(
                    "one of {} with a colon and a text",
                    flag.field.words.join(", ")
                )));
            }
        },
        Form::Thing if !text.starts_with('{') => match text.split_once(':') {
            Some((kind, id)) => json!({ "type": kind, "id": id }),
            None => json!({ "type": text }),
        },
        Form::Number => match serde_json::from_str(text) {
            Ok(Value::Number(number)) => Value::Number(number),
            _ => return Err(wrong("a number")),
        },
        Form::Switch => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(wrong("true or false")),
        },
        Form::Texts => texts
            .iter()
            .flat_map(|text| text.split(','))
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(Value::from)
            .collect(),
        Form::Json | Form::Tagged | Form::Thing => match serde_json::from_str(text) {
            Ok(value) => value,
            Err(_) if !text.starts_with(['{', '[', '"']) => Value::String(text.to_owned()),
            Err(error) => return Err(Failure::new(format!("--{} is not JSON: {error}", flag.name))),
        },
    }))
}

/// The body of a file or of standard input, with the flags laid over it.
fn whole_body(matches: &ArgMatches, fields: Map<String, Value>) -> Result<Value> {
    let Some(path) = matches.get_one::<String>(BODY) else { return Ok(Value::Object(fields)) };
    let text = read_input(path)?;
    let body: Value =
        serde_json::from_str(&text).map_err(|error| Failure::new(format!("{path} is not JSON: {error}")))?;
    match body {
        Value::Object(mut body) => {
            body.extend(fields);
            Ok(Value::Object(body))
        }
        body if fields.is_empty() => Ok(body),
        _ => Err(Failure::new(format!("{path} is not a JSON object, so no flags can be laid over it"))),
    }
}

/// The text of a file, or of standard input for `-`.
pub fn read_input(path: &str) -> Result<String> {
    if path == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))
}
