//! Accounts that users of the other system would come to, and organizations that a run would write into, which somebody stopped here: what a run
//! gave there would fail its proof, so the plan names them. What people did about a run that was taken back is in `remembered.rs`.

use super::here::Coming;
use charter_adopt::following::{CLOSED_HERE, STOPPED_HERE};
use charter_adopt::plan::{Ground, more};
use charter_adopt::rows::{Known, Making};
use charter_adopt::rules::{Asking, is_open};
use std::collections::BTreeSet;

/// Accounts that are told by their logins, and organizations by their keys.
const TOLD_MAX: usize = 5;

/// Names those whose users may do something there. Accounts that are linked to other users of the source are looked at with what stands.
pub fn here(ground: &Ground<'_>, accounts: &[Coming]) -> Option<String> {
    let stopped = accounts.iter().filter(|it| !it.is_active && !it.is_linked);
    let stopped: BTreeSet<&str> = stopped.map(|it| it.legacy_id.as_str()).collect();
    told(STOPPED_HERE, &acting(ground, &stopped))
}

/// Those of some users of the other system, by their ids there, who may do something there; by their logins.
pub fn acting<'g>(ground: &'g Ground<'_>, of: &BTreeSet<&str>) -> BTreeSet<&'g str> {
    let mut logins = BTreeSet::new();
    if of.is_empty() {
        return logins;
    }
    let asking = |rules| Asking::new(ground.facts, &ground.modules, &ground.universe, rules);
    let (mut before, mut after) = (asking(&ground.before), asking(&ground.intent.rules));
    for user in ground.facts.users.iter().filter(|user| of.contains(user.id)) {
        let has_more = before.is_over_all(user) || after.is_over_all(user);
        if has_more || !before.of(user).is_none() || !after.of(user).is_none() {
            logins.insert(user.login);
        }
    }
    logins
}

/// The first of some, behind what is said of them.
fn told(what: &str, all: &BTreeSet<&str>) -> Option<String> {
    (!all.is_empty()).then(|| format!("{what} ({})", first(all)))
}

pub fn first(all: &BTreeSet<&str>) -> String {
    let first: Vec<&str> = all.iter().take(TOLD_MAX).copied().collect();
    format!("{}{}", first.join(", "), more(all.len() as u64, first.len()))
}

/// Names organizations of runs that were taken back which people closed, and which are open there.
pub fn organizations(ground: &Ground<'_>, known: &Known) -> Option<String> {
    if known.closed.is_empty() {
        return None;
    }
    let making = Making::new(ground.source(known, 0));
    let places = making.organizations().iter().zip(0..);
    let closed =
        places.filter(|(row, at)| known.closed.contains(&row.legacy_id) && is_open(ground.facts, *at));
    let keys: BTreeSet<&str> = closed.map(|(row, _)| row.key.as_str()).collect();
    told(CLOSED_HERE, &keys)
}
