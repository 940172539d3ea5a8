//! What a run would hand over to somebody else than had it: accounts with their logins, organizations whose ids are of others by now, and roles that
//! others hold as well (`widened.rs`). Each is asked about by name.

use super::desk::send;
use super::here::Here;
use super::widened;
use crate::client::{Call, Client};
use crate::failure::Result;
use charter_adopt::accepting::{HANDED_OVER, LOGINS};
use charter_adopt::change::Changes;
use charter_adopt::plan::{self, Ground};
use charter_adopt::rows::Making;
use charter_kernel::{PrincipalId, counted};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};

/// Logins of one question.
const LOGINS_MAX: usize = 5_000;

/// What nobody accepted by name.
pub async fn stopping(
    client: &Client,
    ground: &Ground<'_>,
    here: &Here,
    changes: &Changes,
    accepted: &BTreeSet<String>,
) -> Result<Vec<String>> {
    let mut told: Vec<String> = renamed(changes, accepted).into_iter().collect();
    told.extend(reused(ground, here, changes, accepted));
    told.extend(keeps_its_login(here, changes));
    told.extend(takes_over(here, changes, accepted));
    told.extend(had_by_another(client, ground, here, accepted).await?);
    told.extend(widened::stopping(client, here, changes, accepted).await?);
    Ok(told)
}

/// Accounts that would get another login: whoever has the id there by now gets the account, with its password and its keys.
fn renamed(changes: &Changes, accepted: &BTreeSet<String>) -> Option<String> {
    let is_open = |login: &str| !accepted.contains(LOGINS) && !accepted.contains(&format!("account:{login}"));
    let turns =
        changes.accounts.iter().filter_map(|it| Some((it.login_before.as_str(), it.login.as_deref()?)));
    let open: Vec<(&str, &str)> = turns.filter(|(_, login)| is_open(login)).collect();
    let shown: Vec<String> =
        open.iter().take(5).map(|(before, login)| format!("{before} -> {login}")).collect();
    let count = open.len() as u64;
    (count > 0).then(|| {
        format!(
            "{} another login there ({}{}): whoever has it gets the account with its password and keys; accept each with --accept \
             account:LOGIN by the new login, or all with --accept {LOGINS}",
            counted(count, "account has", "accounts have"),
            shown.join(", "),
            plan::more(count, shown.len())
        )
    })
}

/// Organizations that a run closed and whose ids are of other names there: somebody else may have the id by now, and would get what is here.
/// So with one of another name of which nobody is left who belonged to it.
fn reused(ground: &Ground<'_>, here: &Here, changes: &Changes, accepted: &BTreeSet<String>) -> Vec<String> {
    let turned: Vec<_> = changes.organizations.iter().filter(|it| it.name.is_some()).collect();
    if turned.is_empty() {
        return Vec::new();
    }
    let making = Making::new(ground.source(&here.known, 0));
    let lists = charter_adopt::rules::by_home(ground.facts, making.organizations().len());
    let coming: BTreeSet<&str> = here.accounts.iter().map(|it| it.legacy_id.as_str()).collect();
    let was_here = |at: &u32| {
        let user = ground.facts.users.get(*at as usize);
        user.is_some_and(|user| here.known.users.contains_key(user.id) && !coming.contains(user.id))
    };
    let mut told = Vec::new();
    for (row, list) in making.organizations().iter().zip(&lists) {
        let Some((id, key)) = here.known.organizations.get(&row.legacy_id) else { continue };
        let Some(it) = turned.iter().find(|it| it.organization == *id) else { continue };
        let why = match it.was_closed {
            true => "is closed here",
            false if list.iter().any(was_here) => continue,
            false => "has none of its users there any more",
        };
        if accepted.contains(&format!("organization:{key}")) {
            continue;
        }
        let (before, name) = (&it.name_before, it.name.as_deref().unwrap_or_default());
        told.push(format!(
            "organization {key} {why}, and its id is of another name there now ({before} -> {name}): whoever it is gets what is here, with its \
             members, keys, webhooks and trail; accept it with --accept organization:{key}, or give the other one an id of its own there"
        ));
    }
    told
}

/// Users who are new there and have logins that accounts give up by the run: what people said here of such an account was said of whoever had its
/// login.
fn takes_over(here: &Here, changes: &Changes, accepted: &BTreeSet<String>) -> Option<String> {
    let renamed: HashSet<PrincipalId> =
        changes.accounts.iter().filter(|it| it.login.is_some()).map(|it| it.principal).collect();
    let is_open = |login: &str| !accepted.contains(&format!("{HANDED_OVER}{login}"));
    let open = here.of_others.iter().filter(|(it, _)| renamed.contains(&it.principal) && is_open(&it.login));
    let open: Vec<String> = open
        .map(|(it, now)| format!("{}, whose account is {now} now, by user {}", it.login, it.legacy_id))
        .collect();
    (!open.is_empty()).then(|| {
        format!(
            "{} there with a login that another account gives up by this run ({}): what people took from that account, or stopped, does not \
             hold for whoever has the login now; accept each as somebody else with --accept {HANDED_OVER}LOGIN",
            counted(open.len() as u64, "user is new", "users are new"),
            first(&open)
        )
    })
}

/// The same of logins that accounts gave up before this run, by another run or by their owners.
async fn had_by_another(
    client: &Client,
    ground: &Ground<'_>,
    here: &Here,
    accepted: &BTreeSet<String>,
) -> Result<Option<String>> {
    // A login that an account has is asked about with that account.
    let have_one = here.accounts.iter().chain(here.of_others.iter().map(|(it, _)| it));
    let have_one: HashSet<&str> = have_one.map(|it| it.legacy_id.as_str()).collect();
    let users = ground.facts.users.iter();
    let new = users.filter(|user| !here.known.users.contains_key(user.id) && !have_one.contains(user.id));
    let is_open = |login: &str| !accepted.contains(&format!("{HANDED_OVER}{login}"));
    let mut new: Vec<(&str, &str)> =
        new.filter(|user| is_open(user.login)).map(|user| (user.id, user.login)).collect();
    new.dedup();
    let mut open = Vec::new();
    for part in new.chunks(LOGINS_MAX) {
        let logins: Vec<&str> = part.iter().map(|(_, login)| *login).collect();
        let body = json!({ "source": here.source, "logins": logins });
        let answer =
            send(client, &Call::new("POST", "/api/v1/adoption/former-logins").json(&body)).await?.json()?;
        let now = answer.get("now").and_then(Value::as_array).into_iter().flatten();
        for ((legacy_id, login), now) in part.iter().zip(now) {
            open.extend(
                now.as_str().map(|now| format!("{login}, whose account is {now} now, by user {legacy_id}")),
            );
        }
    }
    Ok((!open.is_empty()).then(|| {
        format!(
            "{} there with a login that another account had before ({}): what people took from that account, or stopped, does not hold for whoever \
             has the login now; accept each as somebody else with --accept {HANDED_OVER}LOGIN",
            counted(open.len() as u64, "user is new", "users are new"),
            first(&open)
        )
    }))
}

/// Accounts that keep their logins, which somebody else has there by now.
fn keeps_its_login(here: &Here, changes: &Changes) -> Option<String> {
    let renamed: HashSet<PrincipalId> =
        changes.accounts.iter().filter(|it| it.login.is_some()).map(|it| it.principal).collect();
    let kept: Vec<String> = here
        .of_others
        .iter()
        .filter(|(coming, _)| !renamed.contains(&coming.principal))
        .map(|(coming, now)| {
            format!("{}, who is {now} there now, and user {}", coming.login, coming.legacy_id)
        })
        .collect();
    let (count, shown) = (kept.len() as u64, kept.len().min(5));
    (count > 0).then(|| {
        format!(
            "{} here that another user has there ({}{}), and no run renames {}: change the login of the account here, or of the other user \
             there",
            counted(count, "account keeps a login", "accounts keep logins"),
            kept.iter().take(shown).map(String::as_str).collect::<Vec<_>>().join("; "),
            plan::more(count, shown),
            if count == 1 { "it" } else { "them" }
        )
    })
}

/// The first of some, and whether there are more.
pub fn first(all: &[String]) -> String {
    let shown = all.get(..all.len().min(5)).unwrap_or_default();
    format!("{}{}", shown.join(", "), plan::more(all.len() as u64, shown.len()))
}
