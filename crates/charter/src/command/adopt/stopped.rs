//! Accounts that users of the other system would come to, and that nobody lets act here: what a run gave to these would fail its proof, so the
//! plan names them.

use super::here::Coming;
use charter_adopt::following::STOPPED_HERE;
use charter_adopt::plan::{Ground, more};
use charter_adopt::rules::Asking;
use std::collections::BTreeSet;

/// Accounts that are told by their logins.
const TOLD_MAX: usize = 5;

/// Names those whose users may do something there. Accounts that are linked to other users of the source are looked at with what stands.
pub fn here(ground: &Ground<'_>, accounts: &[Coming]) -> Option<String> {
    let stopped = accounts.iter().filter(|it| !it.is_active && !it.is_linked);
    let stopped: BTreeSet<&str> = stopped.map(|it| it.legacy_id.as_str()).collect();
    if stopped.is_empty() {
        return None;
    }
    let asking = |rules| Asking::new(ground.facts, &ground.modules, &ground.universe, rules);
    let (mut before, mut after) = (asking(&ground.before), asking(&ground.intent.rules));
    let mut logins = BTreeSet::new();
    for user in ground.facts.users.iter().filter(|user| stopped.contains(user.id)) {
        let has_more = before.is_over_all(user) || after.is_over_all(user);
        if has_more || !before.of(user).is_none() || !after.of(user).is_none() {
            logins.insert(user.login);
        }
    }
    let first: Vec<&str> = logins.iter().take(TOLD_MAX).copied().collect();
    let rest = more(logins.len() as u64, first.len());
    (!logins.is_empty()).then(|| format!("{STOPPED_HERE} ({}{rest})", first.join(", ")))
}
