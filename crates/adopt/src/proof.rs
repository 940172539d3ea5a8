//! The proof: what everybody may do afterwards beside what they could do before. Nobody gains and nobody loses, or the difference comes
//! from a role that was accepted by its name.

use crate::answers::Bits;
use crate::facts::{LegacyFacts, LegacyUser, NONE};
use crate::intent::Intent;
use crate::rules::{Asking, Rules, home};
use crate::universe::Universe;
use serde::Serialize;
use std::collections::BTreeSet;

/// Differences that are named one by one; all are counted.
pub const NAMED_MAX: usize = 1_000;
/// By this name one accepts what becomes of whoever may do everything.
pub const SUPERUSER: &str = "flag:superuser";
/// What stands for everything of the installation itself.
const OVER_ALL: &str = "*";

/// A user whose rights differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The user's id in the other system.
    pub user: String,
    /// What it signs in with.
    pub login: String,
    /// The organization, by its id in the other system.
    pub organization: Option<String>,
    /// What it could not do before.
    pub gains: Vec<String>,
    /// What it cannot do any more.
    pub losses: Vec<String>,
    /// Whether all of it comes from roles that were accepted.
    pub accepted: bool,
}

/// What was compared, and what came out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Users, once for each organization.
    pub users: u64,
    /// Users times permissions.
    pub pairs: u64,
    /// Pairs that are allowed now and were not.
    pub gains: u64,
    /// Pairs that were allowed and are not now.
    pub losses: u64,
    /// Users with a gain.
    pub users_gaining: u64,
    /// Users with a loss.
    pub users_losing: u64,
    /// Users with a difference that nobody accepted.
    pub unaccepted: u64,
    /// Those users, and then others, by name.
    pub named: Vec<Difference>,
}

impl Verdict {
    /// Whether before is after, but for what was accepted.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.unaccepted == 0
    }
}

/// Compares, user by user.
pub struct Judge<'a> {
    facts: &'a LegacyFacts,
    universe: &'a Universe,
    before: Asking<'a>,
    intended: Asking<'a>,
    rules: &'a Rules,
    intent: &'a Intent,
    accepted: &'a BTreeSet<String>,
    each: Option<&'a mut dyn FnMut(&Difference)>,
    verdict: Verdict,
}

impl<'a> Judge<'a> {
    /// Compares with these rules; `accepted` are roles of the other system by their names.
    #[must_use]
    pub fn new(
        facts: &'a LegacyFacts,
        universe: &'a Universe,
        before: Asking<'a>,
        intended: Asking<'a>,
        rules: &'a Rules,
        intent: &'a Intent,
        accepted: &'a BTreeSet<String>,
    ) -> Self {
        Self {
            facts,
            universe,
            before,
            intended,
            rules,
            intent,
            accepted,
            each: None,
            verdict: Verdict::default(),
        }
    }

    /// Shows every difference to somebody.
    #[must_use]
    pub fn shown(mut self, each: &'a mut dyn FnMut(&Difference)) -> Self {
        self.each = Some(each);
        self
    }

    /// Compares one user: what it may do in its organization, and whether it may do everything of the installation.
    pub fn user(&mut self, user: LegacyUser<'_>, after: &Bits, is_over_all: bool) {
        let before = self.before.of(user);
        let was_over_all = self.before.is_over_all(user);
        self.verdict.users += 1;
        self.verdict.pairs += self.universe.len() as u64;
        if *before == *after && was_over_all == is_over_all {
            return;
        }
        let (gains, losses) = (bits_of(after.without(&before)), bits_of(before.without(after)));
        // What comes from elsewhere than the plan is accepted by nobody, whatever roles a user holds.
        let as_intended = *self.intended.of(user) == *after && self.intended.is_over_all(user) == is_over_all;
        let accepted = as_intended && self.is_accepted(user, &gains, &losses, is_over_all != was_over_all);
        let name = |places: &[usize], more: bool| {
            let codes = places.iter().filter_map(|place| self.universe.code(*place));
            let codes = codes.map(|code| code.as_str().to_owned());
            codes.chain(more.then(|| OVER_ALL.to_owned())).collect::<Vec<String>>()
        };
        let difference = Difference {
            user: user.id.to_owned(),
            login: user.login.to_owned(),
            organization: home(self.facts, user)
                .and_then(|home| self.facts.organizations.get(home as usize))
                .map(|organization| organization.id.clone()),
            gains: name(&gains, is_over_all && !was_over_all),
            losses: name(&losses, was_over_all && !is_over_all),
            accepted,
        };
        let verdict = &mut self.verdict;
        verdict.gains += difference.gains.len() as u64;
        verdict.losses += difference.losses.len() as u64;
        verdict.users_gaining += u64::from(!difference.gains.is_empty());
        verdict.users_losing += u64::from(!difference.losses.is_empty());
        verdict.unaccepted += u64::from(!accepted);
        if let Some(each) = &mut self.each {
            each(&difference);
        }
        // Room for those that nobody accepted is made at the cost of those that were.
        if verdict.named.len() < NAMED_MAX {
            verdict.named.push(difference);
        } else if !accepted && let Some(room) = verdict.named.iter_mut().find(|named| named.accepted) {
            *room = difference;
        }
    }

    /// Whether all of a difference comes from accepted roles: what these give is what may be gained, what they allowed may be lost.
    fn is_accepted(&self, user: LegacyUser<'_>, gains: &[usize], losses: &[usize], over_all: bool) -> bool {
        if self.accepted.is_empty() {
            return false;
        }
        let (mut given, mut taken) = (self.universe.none(), self.universe.none());
        let mut is_over_all = !over_all;
        let held = self.facts.role_sets.members(user.roles).iter().copied();
        for role in held.chain(user.is_superuser.then_some(NONE)) {
            let (name, place) = (self.name(role), role as usize);
            if !self.accepted.contains(name) {
                continue;
            }
            let (after, before) = match role {
                NONE => (Some(&self.intent.rules.superuser), Some(&self.rules.superuser)),
                _ => (self.intent.rules.roles.get(place), self.rules.roles.get(place)),
            };
            after.into_iter().for_each(|bits| given.add(bits));
            before.into_iter().for_each(|bits| taken.add(bits));
            let over = |rules: &Rules| match role {
                NONE => rules.superuser_over_all,
                _ => rules.over_all.get(place).copied().unwrap_or(false),
            };
            is_over_all |= over(&self.intent.rules) || over(self.rules);
        }
        is_over_all
            && gains.iter().all(|place| given.has(*place))
            && losses.iter().all(|place| taken.has(*place))
    }

    fn name(&self, role: u32) -> &str {
        match role {
            NONE => SUPERUSER,
            role => self.facts.roles.get(role as usize).map_or("", |role| role.name.as_str()),
        }
    }

    /// What came out; those that nobody accepted stand first.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        let mut verdict = self.verdict;
        verdict.named.sort_by_key(|difference| difference.accepted);
        verdict
    }
}

fn bits_of(places: impl Iterator<Item = usize>) -> Vec<usize> {
    places.collect()
}
