//! The proof: what everybody may do afterwards beside what they could do before. Nobody gains and nobody loses, or the difference comes
//! from a role that was accepted by its name.

use crate::accepting::{MISSING_LOGIN, ORPHAN, UNFIT_LOGIN};
use crate::answers::Bits;
use crate::away::Away;
use crate::change::is_none;
use crate::facts::{LegacyFacts, LegacyUser, NONE};
use crate::intent::Intent;
use crate::rules::{Asking, Rules, home};
use crate::universe::Universe;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Differences that are named one by one; all are counted.
pub const NAMED_MAX: usize = 1_000;
/// By this name one accepts what becomes of whoever may do everything.
pub const SUPERUSER: &str = "flag:superuser";
/// What stands for everything of the installation itself.
pub const OVER_ALL: &str = "*";

/// What accounts may do of the installation itself though nobody in the other system is said to have it, by their logins: codes, or
/// [`OVER_ALL`].
pub type Beyond = BTreeMap<String, BTreeSet<String>>;

/// What a user may do of the installation itself, across organizations.
#[derive(Debug, Clone, Copy, Default)]
pub struct Over<'a> {
    /// Everything.
    pub all: bool,
    /// Or these codes.
    pub parts: Option<&'a BTreeSet<String>>,
}

impl Over<'_> {
    /// What it is in words that a plan has.
    fn words(self) -> BTreeSet<String> {
        if self.all {
            return BTreeSet::from([OVER_ALL.to_owned()]);
        }
        self.parts.cloned().unwrap_or_default()
    }
}

/// Whether all of it is among what is known.
#[must_use]
pub fn is_among(words: &BTreeSet<String>, known: Option<&BTreeSet<String>>) -> bool {
    words.is_empty() || known.is_some_and(|known| known.contains(OVER_ALL) || words.is_subset(known))
}

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
    /// Whether the user belongs to no organization that is there, and so to none here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_left_out: bool,
    /// Whether the user's login can be none here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_nameless: bool,
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
    /// Users with either.
    pub users_differing: u64,
    /// Users with a difference that nobody accepted.
    pub unaccepted: u64,
    /// Users who hold something and belong to no organization that is there.
    #[serde(default, skip_serializing_if = "is_none")]
    pub left_out: u64,
    /// Users who hold something and have no login that can be one here.
    #[serde(default, skip_serializing_if = "is_none")]
    pub nameless: u64,
    /// Those of them whom nobody accepted.
    #[serde(default, skip_serializing_if = "is_none")]
    pub nameless_open: u64,
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
    beyond: &'a Beyond,
    away: Option<&'a Away>,
    each: Option<&'a mut dyn FnMut(&Difference)>,
    verdict: Verdict,
}

impl<'a> Judge<'a> {
    /// Compares with these rules; `accepted` are roles of the other system by their names, and accounts that may have what is `beyond`.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each is one side of the comparison")]
    pub fn new(
        facts: &'a LegacyFacts,
        universe: &'a Universe,
        before: Asking<'a>,
        intended: Asking<'a>,
        rules: &'a Rules,
        intent: &'a Intent,
        accepted: &'a BTreeSet<String>,
        beyond: &'a Beyond,
    ) -> Self {
        Self {
            facts,
            universe,
            before,
            intended,
            rules,
            intent,
            accepted,
            beyond,
            away: None,
            each: None,
            verdict: Verdict::default(),
        }
    }

    /// Takes what is kept away as lost by everybody's leave.
    #[must_use]
    pub const fn keeping_away(mut self, away: &'a Away) -> Self {
        self.away = Some(away);
        self
    }

    /// Shows every difference to somebody.
    #[must_use]
    pub fn shown(mut self, each: &'a mut dyn FnMut(&Difference)) -> Self {
        self.each = Some(each);
        self
    }

    /// What a user may do that is kept away. Modules that people removed may be on by the organization's document.
    pub fn regained(&mut self, user: LegacyUser<'_>, after: &Bits) -> Bits {
        let mut regained = self.universe.none();
        if let Some(less) = self.away.and_then(|away| away.of(user)) {
            let (intended, least) = (self.intended.of(user), self.intended.without(user, less));
            let away = intended.without(&least).filter(|place| after.has(*place));
            away.for_each(|place| regained.set(place));
        }
        regained
    }

    /// Compares one user: what it may do in its organization, and what of the installation itself.
    pub fn user(&mut self, user: LegacyUser<'_>, after: &Bits, over: Over<'_>) {
        let none = self.universe.none();
        self.user_with(user, after, over, &none);
    }

    /// The same of one who may do something that is kept away, and has it by runs: nobody accepted that.
    pub fn user_with(&mut self, user: LegacyUser<'_>, after: &Bits, over: Over<'_>, regained: &Bits) {
        let before = self.before.of(user);
        let was_over_all = self.before.is_over_all(user);
        self.verdict.users += 1;
        self.verdict.pairs += self.universe.len() as u64;
        let more = if was_over_all { BTreeSet::new() } else { over.words() };
        let is_less = was_over_all && !over.all;
        if !over.all && home(self.facts, user).is_none() && user.is_active && self.holds(user) {
            self.left_out(user, more, was_over_all);
            return;
        }
        if *before == *after && more.is_empty() && !is_less && regained.is_none() {
            return;
        }
        let (mut gains, losses) = (bits_of(after.without(&before)), bits_of(before.without(after)));
        // What comes from elsewhere than the plan is accepted by nobody, whatever roles a user holds; but for what an account had that was
        // here before, when that was accepted by the name of the account.
        let intended_over_all = self.intended.is_over_all(user);
        let intended = self.intended.of(user);
        // What is kept away may be missing, and nothing else; what people gave again by hand is no more than was meant.
        let less = self.away.and_then(|away| away.of(user));
        let least = self.away.and_then(|away| away.least(self.facts, &mut self.intended, user));
        let is_least_over_all =
            less.map_or(intended_over_all, |less| self.intended.is_over_all_without(user, less));
        let may_miss =
            |place: usize| intended.has(place) && least.as_ref().is_some_and(|least| !least.has(place));
        let is_as_meant = after.without(&intended).next().is_none() && intended.without(after).all(may_miss);
        let is_over_all_as_meant = if over.all { intended_over_all } else { !is_least_over_all };
        let is_beyond = !intended_over_all && !more.is_empty();
        let is_known = self.accepted.contains(&format!("account:{}", user.login))
            && is_among(&more, self.beyond.get(user.login));
        let as_intended = is_as_meant && (is_over_all_as_meant || is_beyond) && (!is_beyond || is_known);
        let is_less_by_role = is_less && (is_least_over_all || !intended_over_all);
        let by_role = is_less_by_role || (!more.is_empty() && !is_beyond);
        let by_roles: Vec<usize> = losses.iter().copied().filter(|place| !may_miss(*place)).collect();
        let is_all_known = gains.is_empty() && by_roles.is_empty() && !by_role;
        let accepted = as_intended
            && regained.is_none()
            && (is_all_known || self.is_accepted(user, &gains, &by_roles, by_role));
        gains.extend(regained.iter().filter(|place| before.has(*place)));
        let name = |places: &[usize], more: BTreeSet<String>| {
            let codes = places.iter().filter_map(|place| self.universe.code(*place));
            codes.map(|code| code.as_str().to_owned()).chain(more).collect::<Vec<String>>()
        };
        let less = BTreeSet::from_iter(is_less.then(|| OVER_ALL.to_owned()));
        let difference = Difference {
            user: user.id.to_owned(),
            login: user.login.to_owned(),
            organization: home(self.facts, user)
                .and_then(|home| self.facts.organizations.get(home as usize))
                .map(|organization| organization.id.clone()),
            gains: name(&gains, more),
            losses: name(&losses, less),
            accepted,
            is_left_out: false,
            is_nameless: false,
        };
        self.take(difference);
    }

    /// Whether a user holds anything.
    fn holds(&self, user: LegacyUser<'_>) -> bool {
        let has_roles = !self.facts.role_sets.members(user.roles).is_empty();
        has_roles || user.is_superuser || !self.facts.permission_sets.members(user.permissions).is_empty()
    }

    /// One who belongs to no organization that is there comes to none here, and loses what is held.
    fn left_out(&mut self, user: LegacyUser<'_>, more: BTreeSet<String>, was_over_all: bool) {
        let held = self.before.held(user);
        let codes = held.iter().filter_map(|place| self.universe.code(place));
        let all = was_over_all.then(|| OVER_ALL.to_owned());
        let is_known = more.is_empty()
            || (self.accepted.contains(&format!("account:{}", user.login))
                && is_among(&more, self.beyond.get(user.login)));
        let difference = Difference {
            user: user.id.to_owned(),
            login: user.login.to_owned(),
            organization: None,
            gains: more.into_iter().collect(),
            losses: codes.map(|code| code.as_str().to_owned()).chain(all).collect(),
            accepted: is_known && self.accepted.contains(ORPHAN),
            is_left_out: true,
            is_nameless: false,
        };
        self.take(difference);
    }

    /// Those whose logins can be none here come to nothing, and lose what is held.
    fn nameless(&mut self) {
        let facts = self.facts;
        for user in facts.nameless.iter() {
            let held = self.before.held(user);
            let codes = held.iter().filter_map(|place| self.universe.code(place));
            let all = self.before.is_over_all(user).then(|| OVER_ALL.to_owned());
            let (login, name) = match user.login {
                "" => (format!("user {}", user.id), MISSING_LOGIN),
                login => (login.to_owned(), UNFIT_LOGIN),
            };
            let organization = home(facts, user).and_then(|home| facts.organizations.get(home as usize));
            let difference = Difference {
                user: user.id.to_owned(),
                login,
                organization: organization.map(|organization| organization.id.clone()),
                gains: Vec::new(),
                losses: codes.map(|code| code.as_str().to_owned()).chain(all).collect(),
                accepted: self.accepted.contains(name),
                is_left_out: false,
                is_nameless: true,
            };
            self.take(difference);
        }
    }

    /// Takes a difference in.
    fn take(&mut self, difference: Difference) {
        let (accepted, is_left_out) = (difference.accepted, difference.is_left_out);
        let verdict = &mut self.verdict;
        verdict.left_out += u64::from(is_left_out);
        verdict.nameless += u64::from(difference.is_nameless);
        verdict.nameless_open += u64::from(difference.is_nameless && !accepted);
        verdict.gains += difference.gains.len() as u64;
        verdict.losses += difference.losses.len() as u64;
        verdict.users_gaining += u64::from(!difference.gains.is_empty());
        verdict.users_losing +=
            u64::from(is_left_out || difference.is_nameless || !difference.losses.is_empty());
        verdict.users_differing += 1;
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
    pub fn verdict(mut self) -> Verdict {
        self.nameless();
        let mut verdict = self.verdict;
        verdict.named.sort_by_key(|difference| difference.accepted);
        verdict
    }
}

fn bits_of(places: impl Iterator<Item = usize>) -> Vec<usize> {
    places.collect()
}
