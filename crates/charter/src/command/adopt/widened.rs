//! Roles that give more by a run, and that others have here than this system's users: by hand, by another system, or by a role that people built on
//! them. Each is accepted by its key.

use super::handed_over::first;
use super::here::{Here, id, text};
use crate::client::{Call, Client};
use crate::command::generic::every_page;
use crate::failure::Result;
use charter_adopt::accepting::WIDENED;
use charter_adopt::change::Changes;
use charter_kernel::{OrganizationId, counted};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Rows of one page.
const PAGE: &str = "200";

/// An organization, as far as it was asked for.
struct Place<'a> {
    client: &'a Client,
    here: &'a Here,
    organization: OrganizationId,
}

impl Place<'_> {
    async fn list(&self, what: &str, asked: &[(&str, &str)]) -> Result<Vec<Value>> {
        let call = Call::new("GET", format!("/api/v1/organizations/{}/{what}", self.organization));
        let call = asked.iter().fold(call, |call, (name, value)| call.ask(name, *value));
        every_page(self.client, call.ask("limit", PAGE)).await
    }

    /// Members and teams that hold a role by other rows than those of this system's runs; each by its kind and its name.
    async fn holders(&self, role: &str) -> Result<Vec<(String, String)>> {
        let mut holders = Vec::new();
        for it in self.list("assignments", &[("role", role)]).await? {
            if !id(&it, "id").is_some_and(|id| self.here.known.wrote(id)) {
                let subject = it.get("subject").and_then(Value::as_object).into_iter().flatten();
                holders.extend(
                    subject.filter_map(|(kind, name)| Some((kind.clone(), name.as_str()?.to_owned()))),
                );
            }
        }
        Ok(holders)
    }

    /// The members of a team and of the teams below it.
    async fn members(&self, team: &str) -> Result<BTreeSet<String>> {
        let teams = self.list("teams", &[]).await?;
        let mut within = BTreeSet::from([team]);
        let is_below = |it: &&Value, within: &BTreeSet<&str>| {
            within.contains(text(it, "parent")) && !within.contains(text(it, "key"))
        };
        while let Some(below) = teams.iter().find(|it| is_below(it, &within)) {
            within.insert(text(below, "key"));
        }
        let mut members = BTreeSet::new();
        for team in within {
            let found = self.list(&format!("teams/{team}/members"), &[]).await?;
            members.extend(found.iter().map(|it| text(it, "login").to_owned()));
        }
        Ok(members)
    }

    /// Roles that are built on one, over any number of steps, and that somebody has; each with how many members do.
    async fn built_on(&self, role: &str) -> Result<BTreeMap<String, u64>> {
        let roles = self.list("roles", &[]).await?;
        let parents = |it: &Value| -> Vec<String> {
            let parents = it.get("parents").and_then(Value::as_array).into_iter().flatten();
            parents.filter_map(|key| Some(key.as_str()?.to_owned())).collect()
        };
        let mut built = BTreeSet::from([role.to_owned()]);
        loop {
            let next = roles.iter().find(|it| {
                !built.contains(text(it, "key")) && parents(it).iter().any(|parent| built.contains(parent))
            });
            match next {
                Some(next) => _ = built.insert(text(next, "key").to_owned()),
                None => break,
            }
        }
        built.remove(role);
        let mut found = BTreeMap::new();
        for key in built {
            let mut members = BTreeSet::new();
            for (kind, name) in self.holders(&key).await? {
                match kind.as_str() {
                    "team" => members.extend(self.members(&name).await?),
                    _ => _ = members.insert(name),
                }
            }
            if !members.is_empty() {
                found.insert(key, members.len() as u64);
            }
        }
        Ok(found)
    }
}

/// What nobody accepted by name.
pub async fn stopping(
    client: &Client,
    here: &Here,
    changes: &Changes,
    accepted: &BTreeSet<String>,
) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for role in changes.roles.iter().filter(|role| !role.gains.is_empty()) {
        if accepted.contains(&format!("{WIDENED}{}", role.key)) {
            continue;
        }
        let place = Place { client, here, organization: role.organization };
        let holders: Vec<String> =
            place.holders(&role.key).await?.into_iter().map(|(_, name)| name).collect();
        let built = place.built_on(&role.key).await?;
        let by_hand = (!holders.is_empty()).then(|| {
            format!(
                "{} it here by hand or by another system ({})",
                counted(holders.len() as u64, "other holds", "others hold"),
                first(&holders)
            )
        });
        let by_roles = (!built.is_empty()).then(|| {
            let named: Vec<String> = built
                .iter()
                .map(|(key, members)| format!("{key} with {}", counted(*members, "member", "members")))
                .collect();
            let roles = counted(
                built.len() as u64,
                "role that people built on it gives",
                "roles that people built on it give",
            );
            format!("{roles} it to others ({})", first(&named))
        });
        let why: Vec<String> = by_hand.into_iter().chain(by_roles).collect();
        if !why.is_empty() {
            let key = |id: OrganizationId| here.known.organizations.values().find(|(known, _)| *known == id);
            let organization = key(role.organization).map_or("platform", |(_, key)| key.as_str());
            told.push(format!(
                "role {} of {organization} gives more by this run, and {}: take it from them, or accept it with --accept {WIDENED}{}",
                role.key,
                why.join(", and "),
                role.key
            ));
        }
    }
    Ok(told)
}
