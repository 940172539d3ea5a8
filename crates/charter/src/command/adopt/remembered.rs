//! What people stopped, took away, removed or changed of what a run gave that was taken back: that went with the run's rows, and is remembered. Whoever
//! or whatever would come again by a plan is asked about by name.

use super::here::text;
use super::stopped::{acting, first};
use crate::client::{Call, Client};
use crate::failure::Result;
use charter_adopt::plan::Ground;
use charter_adopt::rows::{Known, Making, Rows};
use charter_adopt::taken::{BACK, MODULES_BACK};
use charter_kernel::{Key, counted};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const TAKEN_BACK: &str = "of what a run gave that was taken back since";
const BY_NAME: &str = "that wants two people by name, --approved-by NAME twice";

/// Of a source.
#[derive(Debug, Default)]
pub struct Remembered {
    /// Users whom people stopped, or from whom they took something, by their ids there.
    users: BTreeSet<String>,
    /// Roles that people removed or changed, with the organizations by their ids there.
    roles: BTreeSet<(String, String)>,
    /// Organizations whose modules they removed or changed.
    modules: BTreeSet<String>,
}

/// Asks for it.
pub async fn ask(client: &Client, source: &Key) -> Result<Remembered> {
    let call = Call::new("GET", "/api/v1/adoption/kept-away").ask("source", source.as_str());
    let page = super::desk::send(client, &call.ask("limit", "1")).await?.json()?;
    let list = |name: &str| page.get(name).and_then(Value::as_array).into_iter().flatten();
    let mut remembered = Remembered {
        users: list("remembered").filter_map(|id| Some(id.as_str()?.to_owned())).collect(),
        ..Remembered::default()
    };
    for row in list("remembered_rows") {
        let organization = text(row, "organization").to_owned();
        match text(row, "kind") {
            "role" => _ = remembered.roles.insert((organization, text(row, "key").to_owned())),
            _ => _ = remembered.modules.insert(organization),
        }
    }
    Ok(remembered)
}

/// Names that may be accepted, of organizations that may not be here.
pub fn names(ground: &Ground<'_>, known: &Known, of: &Remembered) -> Vec<String> {
    modules(ground, known, of).iter().map(|key| format!("{MODULES_BACK}{key}")).collect()
}

/// The organizations, by their keys, whose modules a run would switch again.
fn modules(ground: &Ground<'_>, known: &Known, of: &Remembered) -> BTreeSet<String> {
    if of.modules.is_empty() {
        return BTreeSet::new();
    }
    let making = Making::new(ground.source(known, 0));
    let again = making
        .organizations()
        .iter()
        .filter(|row| of.modules.contains(&row.legacy_id) && !ground.away.has_modules(&row.id));
    again.map(|row| row.key.clone()).collect()
}

/// Users, by their logins, who would get roles again; each with the first of these.
fn holders<'g>(ground: &'g Ground<'_>, known: &Known, of: &Remembered) -> BTreeMap<&'g str, String> {
    let mut holders = BTreeMap::new();
    if of.roles.is_empty() {
        return holders;
    }
    let mut making = Making::new(ground.source(known, 0));
    let mut roles: HashMap<(String, String), String> = HashMap::new();
    for row in making.organizations() {
        for (_, role) in of.roles.iter().filter(|(organization, _)| *organization == row.legacy_id) {
            roles.insert((row.id.clone(), role.clone()), format!("role {role} of {}", row.key));
        }
    }
    for user in ground.facts.users.iter() {
        let mut rows = Rows::default();
        making.member(user, &mut rows);
        let again = rows.assignments.into_iter().find_map(|row| roles.get(&(row.organization, row.role)));
        if let Some(role) = again {
            holders.entry(user.login).or_insert_with(|| role.clone());
        }
    }
    holders
}

/// What keeps a plan from being carried out: each is let in by name, with two people's approval.
pub fn stopping(
    ground: &Ground<'_>,
    known: &Known,
    of: &Remembered,
    accepted: &BTreeSet<String>,
    approved_by: &BTreeSet<String>,
) -> Vec<String> {
    let is_back = |prefix: &str, name: &str| accepted.contains(&format!("{prefix}{name}"));
    let users = acting(ground, &of.users.iter().map(String::as_str).collect());
    let (back, open): (BTreeSet<&str>, BTreeSet<&str>) =
        users.into_iter().partition(|login| is_back(BACK, login));
    let holders = holders(ground, known, of);
    let (again, without): (BTreeMap<&str, String>, BTreeMap<&str, String>) =
        holders.into_iter().partition(|(login, _)| is_back(BACK, login));
    let modules = modules(ground, known, of);
    let (on, off): (BTreeSet<&str>, BTreeSet<&str>) =
        modules.iter().map(String::as_str).partition(|key| is_back(MODULES_BACK, key));
    let mut told = Vec::new();
    if !open.is_empty() {
        told.push(format!(
            "people stopped {} here, or took something from them, {TAKEN_BACK} ({}): accept each as let in again with --accept back:LOGIN, or stop \
             them there",
            counted(open.len() as u64, "user", "users"),
            first(&open)
        ));
    }
    if !without.is_empty() {
        let named: Vec<String> = without.iter().map(|(login, role)| format!("{login}: {role}")).collect();
        told.push(format!(
            "people removed or changed roles here, {TAKEN_BACK}, that {} again ({}): accept each who does with --accept back:LOGIN, or take the role \
             from them there",
            counted(named.len() as u64, "user gets", "users get"),
            first(&named.iter().map(String::as_str).collect())
        ));
    }
    if !off.is_empty() {
        told.push(format!(
            "people removed or changed modules here, {TAKEN_BACK}, in {} ({}): accept each as the other system says with --accept modules-back:KEY",
            counted(off.len() as u64, "organization", "organizations"),
            first(&off)
        ));
    }
    if !told.is_empty() || approved_by.len() >= 2 {
        return told;
    }
    if !back.is_empty() {
        told.push(format!(
            "{} let in again whom people stopped here, or from whom they took something, {TAKEN_BACK} ({}): {BY_NAME}",
            counted(back.len() as u64, "user is", "users are"),
            first(&back)
        ));
    }
    if !again.is_empty() || !on.is_empty() {
        let parts = [
            (again.len() as u64, "user gets a role", "users get roles"),
            (on.len() as u64, "organization gets modules", "organizations get modules"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, more)| counted(*count, one, more))
            .collect();
        told.push(format!(
            "{} again that people removed or changed here, {TAKEN_BACK}: {BY_NAME}",
            parts.join(", and ")
        ));
    }
    told
}
