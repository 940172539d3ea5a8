//! `charter users import`: the users of another system, with the hashes of their passwords. The whole file is looked at before
//! anything is written.

use super::Invocation;
use super::show;
use super::user_file::{self, Fault, FileUser, Format};
use crate::client::{Answer, Call, Client};
use crate::failure::{Failure, Outcome, Result};
use crate::output;
use clap::{Arg, ArgAction, Command};
use serde_json::{Value, json};
use std::io::Read;

const FILE: &str = "file";
const FORMAT: &str = "format";
const DRY_RUN: &str = "dry_run";
/// Users of one call.
const BATCH: usize = 100;
/// Most lines that are told one by one.
const TOLD_MAX: usize = 50;

pub fn import_command() -> Command {
    Command::new("import")
        .about("Take over the users of another system with the hashes of their passwords")
        .arg(Arg::new(FILE).value_name("FILE").required(true).help("The file; - is standard input"))
        .arg(
            Arg::new(FORMAT)
                .long(FORMAT)
                .value_name("FORMAT")
                .value_parser(["csv", "jsonl"])
                .help("csv, with a heading, or jsonl, one object a line; left out, the name of the file tells"),
        )
        .arg(
            Arg::new(DRY_RUN)
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Tell what would become of each user and write nothing"),
        )
        .after_help(
            "Columns: login (or email, username), password_hash (or hash, password), name. Understood are the hashes of bcrypt, Django, \
             passlib, Werkzeug and argon2. Nothing is written while one line is wrong; who has a password here keeps it, so a file can \
             be imported again.",
        )
}

fn format_of(invocation: &Invocation<'_>, file: &str) -> Result<Format> {
    let named = invocation.matches.get_one::<String>(FORMAT).map(String::as_str);
    match named.or_else(|| file.rsplit_once('.').map(|(_, end)| end)) {
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson") => Ok(Format::JsonLines),
        _ => Err(Failure::new(format!("{file}: say --format csv or --format jsonl"))),
    }
}

fn text_of(file: &str) -> Result<String> {
    let read = if file == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|error| Failure::new(format!("{file} cannot be read: {error}")))
}

fn wrong(file: &str, faults: &[Fault]) -> Failure {
    let mut text = format!("{file}: {} lines cannot be taken over; nothing was written", faults.len());
    for fault in faults.iter().take(TOLD_MAX) {
        text.push_str(&format!("\n  line {}: {}", fault.line, fault.detail));
    }
    if faults.len() > TOLD_MAX {
        text.push_str(&format!("\n  and {} more", faults.len() - TOLD_MAX));
    }
    Failure::new(text)
}

/// What the service says of the users of one call, by their lines; none when it says nothing of single users.
fn faults_of(answer: &Answer, batch: &[FileUser]) -> Option<Vec<Fault>> {
    if answer.status != 422 {
        return None;
    }
    let problem = answer.json().ok()?;
    let mut faults = Vec::new();
    for told in problem.get("fields").or_else(|| problem.get("errors"))?.as_array()? {
        let mut place = told.get("field")?.as_str()?.strip_prefix("users/")?.splitn(2, '/');
        let user = batch.get(place.next()?.parse::<usize>().ok()?)?;
        let (field, detail) = (place.next()?, told.get("detail")?.as_str()?);
        // Users are counted by lines here.
        let detail = match detail.strip_prefix("the same login as users/").and_then(|at| at.parse().ok()) {
            Some(first) => format!("the same as on line {}", batch.get::<usize>(first)?.line),
            None => detail.to_owned(),
        };
        faults.push(Fault { line: user.line, detail: format!("{field}: {detail}") });
    }
    (!faults.is_empty()).then_some(faults)
}

async fn send(
    invocation: &Invocation<'_>,
    client: &Client,
    batch: &[FileUser],
    is_dry_run: bool,
) -> Result<Answer> {
    let users: Vec<Value> = batch.iter().map(|user| Value::Object(user.body.clone())).collect();
    let mut call = Call::of(invocation.operation("users.import")?).json(&json!({ "users": users }));
    if is_dry_run {
        call = call.ask(DRY_RUN, "true");
    }
    client.send(&call).await
}

/// Looks at the whole file first, then writes it, call by call.
async fn take_over(
    invocation: &Invocation<'_>,
    client: &Client,
    file: &str,
    users: &[FileUser],
) -> Result<Vec<Value>> {
    let (mut told, mut faults) = (Vec::new(), Vec::new());
    for batch in users.chunks(BATCH) {
        let answer = send(invocation, client, batch, true).await?;
        match faults_of(&answer, batch) {
            Some(found) => faults.extend(found),
            None => told.extend(users_of(&answer.good()?)?),
        }
    }
    if !faults.is_empty() {
        return Err(wrong(file, &faults));
    }
    if invocation.matches.get_flag(DRY_RUN) {
        return Ok(told);
    }
    let mut done = Vec::new();
    for batch in users.chunks(BATCH) {
        let answer = send(invocation, client, batch, false).await.and_then(Answer::good);
        let answer = answer.map_err(|failure| {
            Failure::new(format!(
                "{failure}\n  {} of {} users were taken over before that; import the file again to go on",
                done.len(),
                users.len()
            ))
        })?;
        done.extend(users_of(&answer)?);
    }
    Ok(done)
}

fn users_of(answer: &Answer) -> Result<Vec<Value>> {
    Ok(answer.json()?.get("users").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// Takes the users of a file over.
pub async fn import(invocation: &Invocation<'_>) -> Result {
    let file = invocation.matches.get_one::<String>(FILE).cloned().unwrap_or_default();
    let format = format_of(invocation, &file)?;
    let (users, faults) = user_file::read(&text_of(&file)?, format)
        .map_err(|failure| Failure::new(format!("{file}: {failure}")))?;
    if !faults.is_empty() {
        return Err(wrong(&file, &faults));
    }
    let client = match invocation.matches.get_flag(DRY_RUN) {
        true => Client::connect(&invocation.loaded.configuration).await?,
        false => Client::connect_or_make(&invocation.loaded.configuration).await?,
    };
    let done = take_over(invocation, &client, &file, &users).await;
    client.close().await?;
    print(invocation, &done?);
    Ok(Outcome::Good)
}

fn print(invocation: &Invocation<'_>, users: &[Value]) {
    let is_dry_run = invocation.matches.get_flag(DRY_RUN);
    let text = |user: &Value, name: &str| user.get(name).map(show::cell).unwrap_or_default();
    let count = |outcome: &str| users.iter().filter(|user| text(user, "outcome") == outcome).count();
    let (made, password_set, kept) = (count("made"), count("password_set"), count("kept"));
    let is_wrapped =
        |user: &&Value| user.get("is_wrapped") == Some(&Value::Bool(true)) && text(user, "outcome") != "kept";
    let wrapped = users.iter().filter(is_wrapped).count();
    if invocation.is_json {
        show::raw(&json!({
            "dry_run": is_dry_run, "made": made, "password_set": password_set, "kept": kept, "wrapped": wrapped, "users": users,
        }));
        return;
    }
    let mut told = format!(
        "new accounts: {made}\naccounts that had no password: {password_set}\naccounts that keep the password they have: {kept}\n\
         weak hashes, wrapped in argon2id: {wrapped}"
    );
    let keeping = users.iter().filter(|user| text(user, "outcome") == "kept").take(TOLD_MAX);
    for user in keeping {
        told.push_str(&format!("\n  {} keeps theirs", text(user, "login")));
    }
    if is_dry_run {
        told.push_str("\nnothing was written");
    }
    output::print(&told);
}
