//! Whom a plan after the first is about, one by one: it counts all of them and names the first.

use crate::change::{ACTIVE, CLOSED, Changes, DEACTIVATED};
use serde::{Deserialize, Serialize};

/// How many a plan names.
pub const NAMED_MAX: usize = 1_000;

/// Somebody, or something, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Of accounts `deactivated`, `active_again`, `login`, `name`; of organizations `closed`, `open_again`, `organization_name`; `left` for what
    /// stays as it is, `stops` for what stops the plan.
    pub what: String,
    /// The login it has here, or the name of what is no account.
    pub who: String,
    /// The login or name it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// Why it stays, or stops the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Named {
    /// Of an account that changes.
    #[must_use]
    pub fn of(what: &str, who: &str, now: Option<&str>) -> Self {
        Self { what: what.to_owned(), who: who.to_owned(), now: now.map(str::to_owned), why: None }
    }

    /// Of what stays, or stops a plan.
    #[must_use]
    pub fn why(what: &str, who: &str, why: &str) -> Self {
        Self { why: Some(why.to_owned()), ..Self::of(what, who, None) }
    }
}

/// The accounts and organizations that change.
#[must_use]
pub fn changed(changes: &Changes) -> Vec<Named> {
    let mut named = Vec::new();
    for it in &changes.accounts {
        let who = it.login_before.as_str();
        match it.status {
            Some(DEACTIVATED) => named.push(Named::of("deactivated", who, None)),
            Some(ACTIVE) => named.push(Named::of("active_again", who, None)),
            _ => {}
        }
        named.extend(it.login.as_deref().map(|now| Named::of("login", who, Some(now))));
        named.extend(it.name.as_deref().map(|now| Named::of("name", who, Some(now))));
    }
    for it in &changes.organizations {
        let who = it.name_before.as_str();
        match it.status {
            Some(CLOSED) => named.push(Named::of("closed", who, None)),
            Some(_) => named.push(Named::of("open_again", who, None)),
            None => {}
        }
        named.extend(it.name.as_deref().map(|now| Named::of("organization_name", who, Some(now))));
    }
    // Whoever gets another login and another name stays together.
    named.sort_by(|one, other| (&one.who, &one.what).cmp(&(&other.who, &other.what)));
    named
}
