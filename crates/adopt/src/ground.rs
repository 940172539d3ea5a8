//! What a plan is made from, and a proof: the facts, the mapping and the catalogue, brought together; and what they say to both.

use crate::anomaly::{Anomalies, AnomalyKind};
use crate::away::Away;
use crate::facts::{LegacyFacts, LegacyRole, LegacyUser, NONE};
use crate::intent::Intent;
use crate::mapping::{self, Becomes, Mapping};
use crate::modules::Modules;
use crate::plan::{NewOrganization, PlannedRole};
use crate::proof::{Beyond, Difference, Judge, OVER_ALL, Over, SUPERUSER, Verdict};
use crate::rows::{Counts, Known, Making, OrganizationRow, Rows, Source};
use crate::rules::{Asking, Rules, home, is_open};
use crate::universe::{Universe, Unnamed};
use charter_kernel::catalogue::Catalogue;
use charter_policy::Index;
use std::collections::{BTreeMap, BTreeSet};

/// New organizations that a plan names; all are counted.
const NEW_MAX: usize = 1_000;
/// The key of the organization that runs the installation.
const PLATFORM: &str = "platform";

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannotPlan {
    /// A permission of the other system cannot become a code.
    Unnamed(Unnamed),
    /// The catalogue with them is too large, or not one.
    Catalogue(String),
}

impl std::fmt::Display for CannotPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unnamed(Unnamed(name)) => {
                write!(f, "the permission {name:?} cannot become a code of its own")
            }
            Self::Catalogue(why) => f.write_str(why),
        }
    }
}

/// What a plan is made from, and a proof.
pub struct Ground<'a> {
    /// The facts.
    pub facts: &'a LegacyFacts,
    /// The mapping.
    pub mapping: &'a Mapping,
    /// The catalogue in force, the adopted module with it.
    pub catalogue: Catalogue,
    /// All permissions.
    pub universe: Universe,
    /// Which modules are on.
    pub modules: Modules,
    /// The other system's rules.
    pub before: Rules,
    /// What takes their place.
    pub intent: Intent,
    /// What people took away by hand, and stays away.
    pub away: Away,
}

impl<'a> Ground<'a> {
    /// Prepares a plan or a proof.
    pub fn new(
        facts: &'a LegacyFacts,
        mapping: &'a Mapping,
        catalogue: Catalogue,
    ) -> Result<Self, CannotPlan> {
        let index = Index::new(&catalogue).map_err(|error| CannotPlan::Catalogue(error.to_string()))?;
        let universe = Universe::new(facts, &catalogue).map_err(CannotPlan::Unnamed)?;
        let modules = Modules::new(facts, mapping.modules, &index, &universe);
        let before = Rules::before(facts, &catalogue, &universe);
        let intent = Intent::new(facts, mapping, &catalogue, &universe);
        let away = Away::default();
        Ok(Self { facts, mapping, catalogue, universe, modules, before, intent, away })
    }

    /// Compares with what could be done before.
    #[must_use]
    pub fn judge<'g>(&'g self, accepted: &'g BTreeSet<String>, beyond: &'g Beyond) -> Judge<'g> {
        let asking = |rules| Asking::new(self.facts, &self.modules, &self.universe, rules);
        let (before, intended) = (asking(&self.before), asking(&self.intent.rules));
        let judge = Judge::new(
            self.facts,
            &self.universe,
            before,
            intended,
            &self.before,
            &self.intent,
            accepted,
            beyond,
        );
        judge.keeping_away(&self.away)
    }

    /// Who would gain or lose what, with what accounts have beyond it.
    pub fn verdict(
        &self,
        accepted: &BTreeSet<String>,
        beyond: &Beyond,
        each: &mut dyn FnMut(&Difference),
    ) -> Verdict {
        let mut after = Asking::new(self.facts, &self.modules, &self.universe, &self.intent.rules);
        let mut judge = self.judge(accepted, beyond).shown(each);
        for user in self.facts.users.iter() {
            let bits = match self.away.least(self.facts, &mut after, user) {
                Some(least) => least.into(),
                None => after.of(user),
            };
            let is_over_all = match self.away.of(user) {
                Some(less) => after.is_over_all_without(user, less),
                None => after.is_over_all(user),
            };
            let parts = beyond.get(user.login);
            let all = is_over_all || parts.is_some_and(|parts| parts.contains(OVER_ALL));
            judge.user(user, &bits, Over { all, parts });
        }
        judge.verdict()
    }

    /// What accounts of users have of the installation itself that neither the other system nor the mapping gives them.
    #[must_use]
    pub fn beyond<'u>(&'u self, parts: impl Fn(LegacyUser<'u>) -> Option<&'u BTreeSet<String>>) -> Beyond {
        let asking = |rules| Asking::new(self.facts, &self.modules, &self.universe, rules);
        let (before, after) = (asking(&self.before), asking(&self.intent.rules));
        let mut beyond = Beyond::new();
        for user in
            self.facts.users.iter().filter(|user| !before.is_over_all(*user) && !after.is_over_all(*user))
        {
            if let Some(parts) = parts(user) {
                beyond.insert(user.login.to_owned(), parts.clone());
            }
        }
        beyond
    }

    /// What the rows of a run are made of.
    #[must_use]
    pub fn source<'g>(&'g self, known: &'g Known, run: u64) -> Source<'g> {
        Source {
            facts: self.facts,
            intent: &self.intent,
            modules: &self.modules,
            catalogue: &self.catalogue,
            known,
            one: self.mapping.organization.as_ref().map(|one| (&one.key, one.name.as_str())),
            run,
            kept: None,
            away: (!self.away.is_none()).then_some(&self.away),
        }
    }

    /// Roles of which nobody can see what they allowed, where a role is a word; nothing where it is more.
    #[must_use]
    pub fn without_before(&self) -> Option<Vec<String>> {
        if !self.facts.permissions.is_empty() {
            return None;
        }
        let named = |role: &&LegacyRole| mapping::shipped(&self.catalogue, &role.name).is_none();
        Some(self.facts.roles.iter().filter(named).map(|role| role.name.clone()).collect())
    }

    /// Roles that become nothing though nobody can see what they allow, with how many lose them.
    #[must_use]
    pub fn unseen(&self) -> BTreeMap<String, u64> {
        let mut unseen = BTreeMap::new();
        let without: BTreeSet<String> = self.without_before().into_iter().flatten().collect();
        let is_lost =
            |name: &str| without.contains(name) && self.mapping.roles.get(name) == Some(&Becomes::Nothing);
        let lost: Vec<bool> = self.facts.roles.iter().map(|role| is_lost(&role.name)).collect();
        if !lost.contains(&true) {
            return unseen;
        }
        for user in self.facts.users.iter().filter(|user| user.is_active) {
            if !home(self.facts, user).is_some_and(|home| is_open(self.facts, home)) {
                continue;
            }
            for role in self.facts.role_sets.members(user.roles) {
                let role =
                    (lost.get(*role as usize) == Some(&true)).then(|| self.facts.roles.get(*role as usize));
                if let Some(role) = role.flatten() {
                    *unseen.entry(role.name.clone()).or_default() += 1;
                }
            }
        }
        unseen
    }

    /// Rules on records or fields that go, where somebody may do something.
    #[must_use]
    pub fn lifted(&self, anomalies: &Anomalies) -> u64 {
        let count = anomalies.count(AnomalyKind::Condition);
        let mut before = Asking::new(self.facts, &self.modules, &self.universe, &self.before);
        let may = count > 0 && self.facts.users.iter().any(|user| !before.of(user).is_none());
        if may { count } else { 0 }
    }

    /// The organizations that would be made, but for those that are here by their keys: the first, and how many.
    #[must_use]
    pub fn new_organizations(&self, known: &Known, here: &[String]) -> (Vec<NewOrganization>, u64) {
        let making = Making::new(self.source(known, 0));
        let is_new = |row: &&OrganizationRow| {
            !known.organizations.contains_key(&row.legacy_id) && !here.contains(&row.key)
        };
        let new = || making.organizations().iter().filter(is_new);
        let named = |row: &OrganizationRow| NewOrganization {
            legacy_id: row.legacy_id.clone(),
            key: row.key.clone(),
            name: row.name.clone(),
        };
        (new().take(NEW_MAX).map(named).collect(), new().count() as u64)
    }

    /// How many rows there are after a run.
    #[must_use]
    pub fn counts(&self, known: &Known) -> Counts {
        let mut making = Making::new(self.source(known, 0));
        let mut counts = making.frame().counts();
        for user in self.facts.users.iter() {
            let mut rows = Rows::default();
            making.account(user, &mut rows);
            making.member(user, &mut rows);
            counts.add(rows.counts());
        }
        counts
    }

    /// What becomes of each role.
    #[must_use]
    pub fn roles(&self) -> Vec<PlannedRole> {
        let mut users: BTreeMap<u32, u64> = BTreeMap::new();
        for user in self.facts.users.iter() {
            let roles = self.facts.role_sets.members(user.roles).iter().copied();
            for role in roles.chain(user.is_superuser.then_some(NONE)) {
                *users.entry(role).or_default() += 1;
            }
        }
        let codes = |places: &mut dyn Iterator<Item = usize>| {
            let codes = places.filter_map(|place| self.universe.code(place));
            codes.map(|code| code.as_str().to_owned()).collect::<Vec<String>>()
        };
        let planned = |role: u32,
                       name: &str,
                       before: &crate::answers::Bits,
                       after: &crate::answers::Bits,
                       place: &crate::intent::Place| {
            PlannedRole {
                name: name.to_owned(),
                users: users.get(&role).copied().unwrap_or(0),
                becomes: place.over_all.as_ref().or(place.role.as_ref()).map(|key| key.as_str().to_owned()),
                gains: codes(&mut after.without(before)),
                loses: codes(&mut before.without(after)),
            }
        };
        let mut all = Vec::new();
        for (at, role) in self.facts.roles.iter().enumerate() {
            let place = u32::try_from(at).unwrap_or(NONE);
            if let (Some(before), Some(after), Some(intent)) =
                (self.before.roles.get(at), self.intent.rules.roles.get(at), self.intent.roles.get(at))
            {
                all.push(planned(place, &role.name, before, after, intent));
            }
        }
        if users.contains_key(&NONE) {
            let (before, after) = (&self.before.superuser, &self.intent.rules.superuser);
            all.push(planned(NONE, SUPERUSER, before, after, &self.intent.superuser));
        }
        all
    }

    /// Why nobody can tell who may do what in the other system: what was compared with it then says nothing.
    #[must_use]
    pub fn unclear(&self, anomalies: &Anomalies) -> Vec<String> {
        let stopping = anomalies.iter().filter(|(kind, ..)| kind.stops());
        let mut unclear: Vec<String> = stopping.map(|(kind, count, _)| kind.counted(count)).collect();
        let mut names = BTreeSet::new();
        let twins = self.facts.roles.iter().filter(|role| !names.insert(role.name.as_str()));
        unclear.extend(
            twins.map(|role| format!("two roles are called {:?}: rename one of them there", role.name)),
        );
        unclear
    }

    /// What else keeps a plan from being carried out; roles that were there before and are gone do not.
    #[must_use]
    pub fn faults(&self, anomalies: &Anomalies, gone: &BTreeSet<String>) -> Vec<String> {
        let mut faults = self.intent.faults.clone();
        faults.extend(self.unclear(anomalies));
        if self.facts.organizations.is_empty() && self.mapping.organization.is_none() {
            faults.push(
                "the other system knows no organizations: name the one that its users come to under [organization] in the mapping"
                    .to_owned(),
            );
        }
        if self.mapping.organization.as_ref().is_some_and(|one| one.key.as_str() == PLATFORM) {
            faults.push(format!(
                "organization: {PLATFORM} is the organization of those who run this installation: name another key in the mapping"
            ));
        }
        faults.extend(self.oddly_named().map(|name| {
            format!("the role {name:?} has a name by which something else is accepted: rename it there")
        }));
        // A role that went meanwhile does no harm; a name that was mistyped does.
        let mistyped =
            || "there is no such role there; take the line out of the mapping, or mend its name".to_owned();
        faults.extend(
            self.mapped_and_missing()
                .filter(|name| !gone.contains(*name))
                .map(|name| format!("roles.{name:?}: {}", self.moved(name).unwrap_or_else(mistyped))),
        );
        faults
    }
}
