//! Who would get all of the installation by a run. It reaches into every organization, so it comes to nobody by a flag or a word alone: the plan
//! names each, and is not carried out before each was accepted.

use crate::accepting::OVER_ALL;
use crate::change::Kept;
use crate::facts::LegacyUser;
use crate::plan::{Ground, more};
use crate::proof::SUPERUSER;
use crate::rows::{Known, Making, Rows, Source};
use crate::rules::Asking;
use charter_kernel::{OrganizationId, counted};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Those that are named one by one; all are counted.
const NAMED_MAX: usize = 1_000;
/// Those that are named in one line.
const TOLD_MAX: usize = 5;

/// One who would get it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reaching {
    /// Whether somebody accepted it.
    pub accepted: bool,
    /// What the user signs in with.
    pub login: String,
    /// By which roles, by their names there, or by the flag.
    pub by: Vec<String>,
}

/// All who would get it by a run, and have it not by an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverAll {
    /// How many.
    pub users: u64,
    /// Those of them that nobody accepted.
    pub open: u64,
    /// The first of them; those that nobody accepted stand first.
    pub named: Vec<Reaching>,
}

/// What a plan says of what stands already.
pub struct Standing<'a> {
    /// Which organizations and accounts are whose.
    pub known: &'a Known,
    /// Rows of earlier runs that stay.
    pub kept: Option<&'a Kept>,
    /// Whether a row is asked about by another name: people took it away by hand.
    pub is_asked: &'a dyn Fn(&str) -> bool,
    /// Whether there was a run before: then each is accepted by login, as the name of a role that was accepted once lets in nobody later.
    pub is_later: bool,
}

/// By what a user gets it.
fn by(ground: &Ground<'_>, user: LegacyUser<'_>) -> Vec<String> {
    let rules = &ground.intent.rules;
    let is_it = |role: &&u32| rules.over_all.get(**role as usize).copied().unwrap_or(false);
    let roles = ground.facts.role_sets.members(user.roles).iter().filter(is_it);
    let names = roles.filter_map(|role| ground.facts.roles.get(*role as usize)).map(|role| role.name.clone());
    let flag = (user.is_superuser && rules.superuser_over_all).then(|| SUPERUSER.to_owned());
    names.chain(flag).collect()
}

impl OverAll {
    /// Looks who would get it.
    #[must_use]
    pub fn find(ground: &Ground<'_>, standing: &Standing<'_>, accepted: &BTreeSet<String>) -> Self {
        let after = Asking::new(ground.facts, &ground.modules, &ground.universe, &ground.intent.rules);
        let platform = standing.known.platform.unwrap_or(OrganizationId(0)).to_string();
        let mut making = Making::new(Source { kept: standing.kept, ..ground.source(standing.known, 0) });
        let mut found = BTreeSet::new();
        for user in ground.facts.users.iter().filter(|user| after.is_over_all(*user)) {
            let mut rows = Rows::default();
            making.member(user, &mut rows);
            let is_given = |id: &str| !(standing.is_asked)(id);
            if rows.assignments.iter().any(|row| row.organization == platform && is_given(&row.id)) {
                let by = by(ground, user);
                let by_role = !standing.is_later && by.iter().any(|name| accepted.contains(name));
                let accepted = by_role || accepted.contains(&format!("{OVER_ALL}{}", user.login));
                found.insert(Reaching { accepted, login: user.login.to_owned(), by });
            }
        }
        let open = found.iter().filter(|it| !it.accepted).count() as u64;
        Self { users: found.len() as u64, open, named: found.into_iter().take(NAMED_MAX).collect() }
    }

    /// Whether nobody does.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.users == 0
    }

    /// The first of them by name, and by what they get it.
    #[must_use]
    pub fn first(&self) -> String {
        let first = self.named.iter().take(TOLD_MAX);
        let first: Vec<String> = first.map(|it| format!("{} by {}", it.login, it.by.join(" and "))).collect();
        format!("{}{}", first.join(", "), more(self.users, first.len()))
    }

    /// What nobody accepted yet.
    #[must_use]
    pub fn obstacle(&self, is_later: bool) -> Option<String> {
        let open = || self.named.iter().filter(|it| !it.accepted);
        let first: Vec<String> =
            open().take(TOLD_MAX).map(|it| format!("{} by {}", it.login, it.by.join(" and "))).collect();
        let names: BTreeSet<&String> = open().flat_map(|it| &it.by).collect();
        let names: Vec<String> =
            names.iter().take(TOLD_MAX).map(|name| format!("--accept {name:?}")).collect();
        let by_name = match is_later {
            true => String::new(),
            false => format!(", or all who hold it with {}", names.join(" and ")),
        };
        (self.open > 0).then(|| {
            format!(
                "{} all of the installation by this run and had it not before ({}{}): accept each with --accept {OVER_ALL}LOGIN{by_name}",
                counted(self.open, "account gets", "accounts get"),
                first.join(", "),
                more(self.open, first.len()),
            )
        })
    }
}
