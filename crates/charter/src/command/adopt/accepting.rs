//! Which of the names that were accepted somebody knows: accounts and organizations that are here, and what an earlier plan of the source had.

use super::desk::send;
use super::runs;
use crate::client::{Call, Client};
use crate::failure::Result;
use charter_adopt::accepting::{login_of, organization_of};
use charter_adopt::rows::Known;
use charter_app::text;
use charter_kernel::Key;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Logins of one question.
const LOGINS: usize = 5_000;

/// Those of these names that are of this side.
pub async fn known(
    client: &Client,
    source: &Key,
    here: &Known,
    strangers: BTreeSet<&str>,
) -> Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    if strangers.is_empty() {
        return Ok(known);
    }
    let organization = |name: &&&str| organization_of(name).is_some_and(|key| here.taken.contains(key));
    known.extend(strangers.iter().filter(organization).map(|name| (*name).to_owned()));
    // What is no login is nobody's.
    let is_one = |login: &&str| text::login("login", login).is_ok();
    let of = |name| Some((name, login_of(name).filter(is_one)?));
    let logins: Vec<(&str, &str)> = strangers.iter().copied().filter_map(of).collect();
    for part in logins.chunks(LOGINS) {
        let asked: Vec<&str> = part.iter().map(|(_, login)| *login).collect();
        let call = Call::new("POST", "/api/v1/adoption/accounts").json(&json!({ "logins": asked }));
        let answer = send(client, &call).await?.json()?;
        let found = answer.get("accounts").and_then(Value::as_array).into_iter().flatten();
        let is_here = found.map(|account| account.get("id").is_some_and(Value::is_string));
        known.extend(
            part.iter().zip(is_here).filter(|(_, is_here)| *is_here).map(|((name, _), _)| (*name).to_owned()),
        );
    }
    known.extend(earlier(client, source, &strangers).await?);
    Ok(known)
}

/// Those of these names with which an earlier plan of the source was accepted: what was no mistake then may be gone since.
pub async fn earlier(client: &Client, source: &Key, names: &BTreeSet<&str>) -> Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    for run in
        runs::all(client).await?.iter().filter(|run| super::here::text(run, "source") == source.as_str())
    {
        if known.len() == names.len() {
            break;
        }
        let Ok(plan) = runs::plan_of(client, runs::number(run)).await else { continue };
        known.extend(plan.accepted.into_iter().filter(|name| names.contains(name.as_str())));
    }
    Ok(known)
}
