//! Roles that keep what they allowed there, where the organization is another system's as well, or people's own. Those who may do everything get theirs by
//! a key of its own where the usual one is taken; what a run of the source made keeps its key. Other keys that are taken stop the first plan.

use super::here::{Here, text};
use super::legacy::Legacy;
use super::runs;
use crate::client::{Call, Client};
use crate::command::generic::every_page;
use crate::failure::{Failure, Result};
use charter_adopt::facts::LegacyFacts;
use charter_adopt::intent::SUPERUSER_ROLE;
use charter_adopt::mapping::{Becomes, Mapping};
use charter_adopt::plan::{Ground, Plan};
use charter_adopt::proof::SUPERUSER;
use charter_adopt::rows::{Making, ONE};
use charter_kernel::Key;
use serde_json::Value;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

/// What stops the first plan: roles of the keys that are there and allow something else.
pub async fn stopping(client: &Client, ground: &Ground<'_>, here: &Here) -> Result<Vec<String>> {
    let making = Making::new(ground.source(&here.known, 0));
    let linked = here.known.organizations.values().map(|(id, key)| (id.to_string(), key));
    let linked: HashMap<String, &Key> = linked.collect();
    let mut there: HashMap<&Key, Vec<Value>> = HashMap::new();
    let mut told = Vec::new();
    for row in making.frame().roles {
        let Some(organization) = linked.get(&row.organization) else { continue };
        let roles = match there.entry(*organization) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(roles(client, organization).await?),
        };
        let list =
            |role: &Value, name: &str| role.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let is_same = |role: &Value| {
            let lines = list(role, "permissions");
            let gives: BTreeSet<&str> = lines.iter().map(|line| text(line, "permission")).collect();
            let is_plain = lines.iter().all(|line| text(line, "condition").is_empty());
            let wanted: BTreeSet<&str> = row.permissions.iter().map(String::as_str).collect();
            is_plain
                && list(role, "parents").is_empty()
                && text(role, "level") == row.level
                && gives == wanted
        };
        if roles.iter().any(|role| text(role, "key") == row.key && !is_same(role)) {
            told.push(format!(
                "{organization} has a role {} already, and it allows something else than {:?} there: rename one of both, or let the mapping name another \
                 role",
                row.key, row.name
            ));
        }
    }
    Ok(told)
}

async fn roles(client: &Client, organization: &Key) -> Result<Vec<Value>> {
    let list = Call::new("GET", format!("/api/v1/organizations/{organization}/roles"));
    every_page(client, list.ask("limit", "200")).await
}

/// The key in a plan; none where nobody gets the role.
pub fn of_plan(plan: &Plan) -> Option<Key> {
    let superuser = plan.roles.iter().find(|role| role.name == SUPERUSER)?;
    superuser.becomes.as_deref().filter(|key| key.starts_with(SUPERUSER_ROLE))?.parse().ok()
}

/// Has the mapping of the next plan say it.
pub async fn settle(here: &Here, found: &mut Legacy) -> Result<()> {
    if let Some(mapping) = &mut found.mapping {
        mapping.superuser_role = role(here, &found.heard.facts, mapping).await?;
    }
    Ok(())
}

/// The key for the next plan; none where it is the usual one.
async fn role(here: &Here, facts: &LegacyFacts, mapping: &Mapping) -> Result<Option<Key>> {
    let is_given = mapping.superuser == Becomes::Own && facts.users.iter().any(|user| user.is_superuser);
    // Only an organization that the mapping names by key can be another system's as well.
    let Some((client, one)) = here.client.as_ref().zip(mapping.organization.as_ref()) else {
        return Ok(None);
    };
    if !is_given || !facts.organizations.is_empty() {
        return Ok(None);
    }
    let is_own = |run: &&Value| text(run, "source") == here.source.as_str() && text(run, "state") != "undone";
    for run in runs::all(client).await?.iter().filter(is_own) {
        if let Ok(plan) = runs::plan_of(client, runs::number(run)).await
            && let Some(key) = of_plan(&plan)
        {
            return Ok(Some(key));
        }
    }
    let linked = here.known.organizations.get(ONE).map(|(_, key)| key);
    let organization = linked.unwrap_or(&one.key);
    if !here.known.taken.contains(organization.as_str()) {
        return Ok(None);
    }
    if !roles(client, organization).await?.iter().any(|role| text(role, "key") == SUPERUSER_ROLE) {
        return Ok(None);
    }
    let key = format!("{SUPERUSER_ROLE}-{}", here.source);
    key.parse().map(Some).map_err(|wrong| {
        Failure::new(format!(
            "{organization} has the role {SUPERUSER_ROLE} of another system already, and {key} is no key of a role ({wrong}): give this one a shorter \
             name with --source"
        ))
    })
}
