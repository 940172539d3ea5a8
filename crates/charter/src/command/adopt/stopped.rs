//! Accounts that users of the other system would come to, and organizations that a run would write into, which somebody stopped here: what a run
//! gave there would fail its proof, so the plan names them. So it does with users whom people stopped of a run that was taken back: that they were
//! stopped went with their accounts.

use super::here::Coming;
use charter_adopt::following::{CLOSED_HERE, STOPPED_HERE};
use charter_adopt::plan::{Ground, more};
use charter_adopt::rows::{Known, Making};
use charter_adopt::rules::{Asking, is_open};
use charter_adopt::taken::BACK;
use charter_kernel::counted;
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
fn acting<'g>(ground: &'g Ground<'_>, of: &BTreeSet<&str>) -> BTreeSet<&'g str> {
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

fn first(all: &BTreeSet<&str>) -> String {
    let first: Vec<&str> = all.iter().take(TOLD_MAX).copied().collect();
    format!("{}{}", first.join(", "), more(all.len() as u64, first.len()))
}

/// Names users whom people stopped, or from whom they took something, of what a run gave that was taken back, and who may do something there still:
/// each is let in by name, with two people's approval.
pub fn remembered(
    ground: &Ground<'_>,
    users: &BTreeSet<String>,
    accepted: &BTreeSet<String>,
    approved_by: &BTreeSet<String>,
) -> Option<String> {
    let acting = acting(ground, &users.iter().map(String::as_str).collect());
    let (back, open): (BTreeSet<&str>, BTreeSet<&str>) =
        acting.into_iter().partition(|login| accepted.contains(&format!("{BACK}{login}")));
    if !open.is_empty() {
        return Some(format!(
            "people stopped {} here, or took something from them, of what a run gave that was taken back since ({}): accept each as let in again \
             with --accept back:LOGIN, or stop them there",
            counted(open.len() as u64, "user", "users"),
            first(&open)
        ));
    }
    (!back.is_empty() && approved_by.len() < 2).then(|| {
        format!(
            "{} let in again whom people stopped here, or from whom they took something, of what a run gave that was taken back since ({}): that \
             wants two people by name, --approved-by NAME twice",
            counted(back.len() as u64, "user is", "users are"),
            first(&back)
        )
    })
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
