//! The file in which a plan goes: what somebody accepted or approved, and what can still be carried out, is not written over.

use super::here::text;
use super::runs;
use crate::client::Client;
use crate::failure::{Failure, Result};
use charter_adopt::plan::{FORMAT, Plan};
use serde_json::Value;

/// Refuses when the file holds what is to be kept.
pub async fn look(path: &str, new: &Plan, client: Option<&Client>) -> Result<()> {
    let Ok(there) = std::fs::read(path) else { return Ok(()) };
    let ways = "name another file with --out, or write over it with --force";
    let Some(old) = plan_of(&there) else {
        let is_older = serde_json::from_slice::<Value>(&there)
            .is_ok_and(|value| value.get("format").is_some() && value.get("facts").is_some());
        if is_older || there.is_empty() {
            return Ok(());
        }
        return Err(Failure::new(format!("{path} is there already and is no plan: {ways}")));
    };
    if is_of_no_use(&old, new) || is_more_of_it(&old, new) {
        return Ok(());
    }
    if let Some(client) = client {
        let runs = runs::all(client).await?;
        let own = runs.iter().find(|run| text(run, "plan_hash") == old.hash);
        if let Some(run) = own.filter(|run| runs::UNDER_WAY.contains(&text(run, "state"))) {
            let (who, how) = (runs::named(run), runs::under_way(run));
            return Err(Failure::new(format!("{path} is the plan of {who}, which {how}: {ways}")));
        }
        if own.is_some() {
            return Ok(());
        }
    }
    let who: Vec<&str> = old.approved_by.iter().map(String::as_str).collect();
    let who = match who.is_empty() {
        true => "was accepted by name".to_owned(),
        false => format!("{} approved", who.join(" and ")),
    };
    Err(Failure::new(format!(
        "{path} holds another plan that {who}, that can be carried out, and that nobody carried out yet: {ways}"
    )))
}

/// A plan of this program that nobody changed since.
fn plan_of(text: &[u8]) -> Option<Plan> {
    serde_json::from_slice::<Plan>(text).ok().filter(|plan| plan.format == FORMAT && plan.is_whole())
}

/// Whether an older plan is the same, can be carried out by nobody, or holds nothing that somebody decided.
fn is_of_no_use(old: &Plan, new: &Plan) -> bool {
    let is_same_system = old.source == new.source && old.from == new.from;
    let has_other_rows = is_same_system && (old.facts != new.facts || old.catalogue != new.catalogue);
    let is_undecided = old.accepted.is_empty() && old.approved_by.is_empty();
    old.hash == new.hash || has_other_rows || is_undecided || !old.obstacles().is_empty()
}

/// Whether a plan says all that an older one does, and can be carried out.
fn is_more_of_it(old: &Plan, new: &Plan) -> bool {
    old.source == new.source
        && old.from == new.from
        && old.mapping == new.mapping
        && new.accepted.is_superset(&old.accepted)
        && new.approved_by.is_superset(&old.approved_by)
        && new.obstacles().is_empty()
}
