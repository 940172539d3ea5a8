//! `charter adopt shadow`: whose rule answers in an organization that was taken over, what was answered differently, on and back with one
//! command each; and recorded answers of the other system compared with ours.

use super::super::Invocation;
use super::super::generic::every_page;
use super::super::show;
use super::here::text;
use crate::client::{Answer, Call, Client};
use crate::failure::{Failure, Outcome, Result};
use crate::output;
use clap::{Arg, ArgAction, Command, value_parser};
use serde_json::{Map, Value, json};
use std::time::Duration;

const EVERY: &str = "every_organization";
const AFTER: &str = "after";
/// A shorter time proves nothing.
const AFTER_LEAST: Duration = Duration::from_secs(3_600);
const COMPARED: &str = "compared";
const FORCE: &str = "force";
const NOT_AUTOMATIC: &str = "not_automatic";
const REASON: &str = "reason";
const LIST: &str = "/api/v1/shadow";
const ONE: &str = "/api/v1/organizations/{organization}/shadow";
const TRAIL: &str = "/api/v1/organizations/{organization}/audit/events";
/// Beside a standing: when it went back by itself, and why.
const WENT_BACK: &str = "went_back";

fn switch(id: &'static str, name: &'static str, help: &'static str) -> Arg {
    Arg::new(id).long(name).action(ArgAction::SetTrue).help(help)
}

fn every() -> Arg {
    switch(EVERY, "every-organization", "Every organization that was taken over")
}

fn reason() -> Arg {
    Arg::new(REASON).long("reason").value_name("TEXT").help("Why, for the audit trail")
}

pub fn status_command() -> Command {
    Command::new("status")
        .about("Show whose rule answers in each organization that was taken over, and what was compared")
}

pub fn flips_command() -> Command {
    Command::new("flips").about("Show what was answered differently in an organization, with both reasons")
}

pub fn start_command() -> Command {
    Command::new("start")
        .about("Let the other system's rule answer, and compare ours with it")
        .args([every(), reason()])
}

pub fn back_command() -> Command {
    Command::new("back").about("Go back: the other system's rule answers again").args([every(), reason()])
}

pub fn stop_command() -> Command {
    Command::new("stop").about("Compare no more: our rule answers alone").args([
        every(),
        reason(),
        switch(FORCE, "force", "Do it though the organization was not cut over"),
    ])
}

pub fn cut_over_command() -> Command {
    Command::new("cut-over")
        .about("Let our rule answer, and compare the other system's with it")
        .args([
            every(),
            reason(),
            Arg::new(AFTER)
                .long("after")
                .value_name("SPAN")
                .help("For how long no answer may have differed, such as 12h; 3d when left out, an hour at least"),
            Arg::new(COMPARED)
                .long("compared")
                .value_name("N")
                .value_parser(value_parser!(u64).range(1..))
                .help("How many answers have to have been compared in that time; 1000 when left out, 1 at least"),
            switch(FORCE, "force", "Do it whatever is missing"),
            switch(
                NOT_AUTOMATIC,
                "not-automatic",
                "Stay cut over whatever differs; else a gain, or too many losses, lead back",
            ),
        ])
        .after_help("Exit code 1: something is missing, and the organization was not cut over.")
}

fn told_count(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_u64).unwrap_or_default().to_string()
}

fn table(standings: &[Value]) -> String {
    let time = |it: &Value, name: &str| match it.get(name).and_then(Value::as_str) {
        Some(at) => output::to_the_second(at),
        None => "-".to_owned(),
    };
    let row = |it: &Value| {
        let counts = ["compared", "gains", "losses", "unknown"].map(|name| told_count(it, name));
        let mut row = vec![text(it, "key").to_owned(), text(it, "mode").to_owned(), time(it, "since")];
        row.extend(counts);
        row.push(time(it, "last_flip_at"));
        row
    };
    let mut heading =
        vec!["organization", "mode", "since", "compared", "gains", "losses", "unknown", "last flip"];
    let mut rows: Vec<Vec<String>> = standings.iter().map(row).collect();
    if standings.iter().any(|it| it.get(WENT_BACK).is_some()) {
        heading.push("back by itself since, because");
        for (row, it) in rows.iter_mut().zip(standings) {
            row.push(match it.get(WENT_BACK) {
                Some(back) => {
                    format!("{}: {}", output::to_the_second(text(back, "at")), text(back, "reason"))
                }
                None => "-".to_owned(),
            });
        }
    }
    output::table(&heading, &rows)
}

/// What a cut-over rests on.
fn proof(standing: &Value) -> String {
    let (compared, pairs) =
        (told_count(standing, "compared_since_flip"), told_count(standing, "pairs_since_flip"));
    let since = match standing.get("last_flip_at").and_then(Value::as_str) {
        Some(at) => format!("since answers differed last, at {}", output::to_the_second(at)),
        None => "and none differed".to_owned(),
    };
    let key = text(standing, "key");
    format!("{key}: cut over; answers compared: {compared}, pairs of user and permission: {pairs}, {since}")
}

fn shown(invocation: &Invocation<'_>, standings: &[Value]) {
    if invocation.is_json {
        show::raw(&json!({ "items": standings }));
    } else if standings.is_empty() {
        output::print("no organization was taken over: charter adopt plan and apply come first");
    } else {
        output::print(&table(standings));
    }
}

/// Shows how organizations stand.
pub async fn status(invocation: &Invocation<'_>) -> Result {
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let told = standings(invocation, &client).await;
    client.close().await?;
    shown(invocation, &told?);
    Ok(Outcome::Good)
}

/// Every organization that was taken over, by its key.
async fn all(client: &Client) -> Result<Vec<Value>> {
    let mut all = every_page(client, Call::new("GET", LIST).ask("limit", "200")).await?;
    all.sort_by(|one, other| text(one, "key").cmp(text(other, "key")));
    Ok(all)
}

async fn standings(invocation: &Invocation<'_>, client: &Client) -> Result<Vec<Value>> {
    let mut standings = if invocation.loaded.configuration.organization.is_some() {
        let call = Call::new("GET", ONE).within(client.organization()?);
        vec![client.call(&call).await?.json()?]
    } else {
        all(client).await?
    };
    for it in standings.iter_mut().filter(|it| text(it, "mode") == "shadow") {
        let back = went_back(client, it).await?;
        if let (Some(back), Some(it)) = (back, it.as_object_mut()) {
            it.insert(WENT_BACK.to_owned(), back);
        }
    }
    Ok(standings)
}

/// Why an organization is in shadow mode that went back there by itself: what its trail says of the moment since which it is.
async fn went_back(client: &Client, standing: &Value) -> Result<Option<Value>> {
    let call = Call::new("GET", TRAIL).within(text(standing, "key"));
    let call = call.ask("action", "shadow.back").ask("limit", "1");
    let events = client.call(&call).await?.json()?;
    let event = events.get("items").and_then(Value::as_array).and_then(|items| items.first());
    let event = event.filter(|event| text(event, "at") == text(standing, "since"));
    Ok(event.map(|event| json!({ "at": event.get("at"), "reason": event.get("reason") })))
}

/// Shows flips.
pub async fn flips(invocation: &Invocation<'_>) -> Result {
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let told = async {
        let call = Call::new("GET", format!("{ONE}/flips")).within(client.organization()?);
        every_page(&client, call.ask("limit", "200")).await
    }
    .await;
    client.close().await?;
    let flips = told?;
    if invocation.is_json {
        show::raw(&json!({ "items": flips }));
    } else if flips.is_empty() {
        output::print("no answer differed");
    } else {
        let row = |it: &Value| {
            let mut row: Vec<String> = ["login", "permission", "flip", "ours", "theirs"]
                .map(|name| text(it, name).to_owned())
                .into();
            row.extend([told_count(it, "count"), output::to_the_second(text(it, "last_at"))]);
            row
        };
        let heading = ["account", "permission", "flip", "ours", "the other system", "times", "last"];
        output::print(&output::table(&heading, &flips.iter().map(row).collect::<Vec<_>>()));
    }
    Ok(Outcome::Good)
}

fn body(invocation: &Invocation<'_>, mode: &str) -> Result<Value> {
    let matches = invocation.matches;
    let mut body = Map::from_iter([("mode".to_owned(), json!(mode))]);
    if let Some(reason) = matches.get_one::<String>(REASON) {
        body.insert("reason".to_owned(), json!(reason));
    }
    if mode == "off" || mode == "cut_over" {
        body.insert("force".to_owned(), json!(matches.get_flag(FORCE)));
    }
    if mode == "cut_over" {
        if let Some(text) = matches.get_one::<String>(AFTER) {
            let span = crate::config::text::duration(text).ok_or_else(|| {
                Failure::new(format!("--after {text}: a span such as 12h or 3d is expected"))
            })?;
            if span < AFTER_LEAST {
                return Err(Failure::new(format!("--after {text}: an hour at least is expected")));
            }
            body.insert("after_seconds".to_owned(), json!(span.as_secs()));
        }
        if let Some(count) = matches.get_one::<u64>(COMPARED) {
            body.insert("compared".to_owned(), json!(count));
        }
        body.insert("automatic".to_owned(), json!(!matches.get_flag(NOT_AUTOMATIC)));
    }
    Ok(Value::Object(body))
}

/// Sets the mode of one organization, or of every one that was taken over; one that refuses keeps its mode, and the others go on.
pub async fn set(invocation: &Invocation<'_>, mode: &str) -> Result {
    let body = body(invocation, mode)?;
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = set_all(invocation, &client, &body).await;
    client.close().await?;
    let (standings, refused) = done?;
    if mode == "cut_over" && !invocation.is_json {
        for it in &standings {
            output::print(&proof(it));
        }
    }
    if invocation.is_json {
        let refused: Vec<Value> =
            refused.iter().map(|(key, why)| json!({ "organization": key, "why": why })).collect();
        show::raw(&json!({ "items": standings, "refused": refused }));
    } else if !standings.is_empty() || refused.is_empty() {
        shown(invocation, &standings);
    }
    for (key, why) in &refused {
        output::complain(&format!("{key}: {why}"));
    }
    Ok(if refused.is_empty() { Outcome::Good } else { Outcome::Denied })
}

async fn set_all(
    invocation: &Invocation<'_>,
    client: &Client,
    body: &Value,
) -> Result<(Vec<Value>, Vec<(String, String)>)> {
    let keys: Vec<String> = if invocation.matches.get_flag(EVERY) {
        all(client).await?.iter().map(|it| text(it, "key").to_owned()).collect()
    } else {
        let hint = |failure: Failure| Failure::new(format!("{failure}; --every-organization means all"));
        vec![client.organization().map_err(hint)?.to_owned()]
    };
    let (mut standings, mut refused) = (Vec::new(), Vec::new());
    for key in keys {
        let answer = client.send(&Call::new("PUT", ONE).within(&key).json(body)).await?;
        if answer.status == 409 {
            refused.push((key, text(&answer.json()?, "detail").to_owned()));
        } else {
            standings.push(answer.good().and_then(|it: Answer| it.json())?);
        }
    }
    Ok((standings, refused))
}
