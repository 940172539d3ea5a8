//! Separation of duties: what one person holds that the catalogue says one person must not hold together.
//!
//! Held is whatever may come to be used: through roles, teams and grants, in force now or later, conditions taken as met,
//! denials not counted. A holder of a role that the catalogue exempts, in force now and without condition, is exempt.

use crate::index::Index;
use crate::set::PermissionSet;
use crate::shard::{Roles, Teams};
use charter_kernel::catalogue::Severity;
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{
    Effect, Key, Pattern, PermissionCode, PrincipalId, RoleKey, Subject, TeamId, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

/// A permission held, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Held {
    /// The permission.
    pub permission: PermissionCode,
    /// The rows that give it: `assignment <id>` or `grant <id>`.
    pub through: Vec<String>,
}

/// A conflict that one principal holds both sides of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldConflict {
    /// Who.
    pub principal: PrincipalId,
    /// The conflict of the catalogue.
    pub conflict: Key,
    /// How it is kept.
    pub severity: Severity,
    /// What could go wrong.
    pub why: String,
    /// What is held of one side.
    pub left: Vec<Held>,
    /// What is held of the other.
    pub right: Vec<Held>,
}

struct Source {
    row: String,
    subject: Subject,
    set: PermissionSet,
    exempts: bool,
}

/// The holdings of an organization, ready to be asked for many principals.
pub struct Holdings<'a> {
    index: &'a Index,
    teams: Teams,
    by_principal: BTreeMap<PrincipalId, Vec<Source>>,
    by_team: BTreeMap<TeamId, Vec<Source>>,
    sides: Vec<[PermissionSet; 2]>,
}

impl<'a> Holdings<'a> {
    /// Reads the facts as they are to be, at `now`.
    pub fn new(index: &'a Index, facts: &OrganizationFacts, now: Timestamp) -> Self {
        let mut faults = Vec::new();
        let roles = Roles::new(index, facts, &mut faults);
        let teams = Teams::new(facts, &mut faults);
        let mut this = Self {
            index,
            teams,
            by_principal: BTreeMap::new(),
            by_team: BTreeMap::new(),
            sides: index
                .catalogue()
                .conflicts
                .iter()
                .map(|conflict| {
                    let side = |patterns: &[Pattern]| {
                        patterns
                            .iter()
                            .fold(PermissionSet::EMPTY, |set, pattern| set.union(&index.pattern(pattern)))
                    };
                    [side(&conflict.left), side(&conflict.right)]
                })
                .collect(),
        };
        for assignment in facts.assignments.iter().filter(|row| !row.window.is_over(now)) {
            let Some((_, role)) = roles.get(&assignment.role).filter(|(_, role)| role.gives_anything) else {
                continue;
            };
            let set =
                role.lines.iter().fold(role.set.clone(), |set, (permissions, _)| set.union(permissions));
            let exempt = role.gives.iter().filter_map(|at| roles.roles.get(*at)).any(|role| role.sod_exempt);
            this.add(Source {
                row: format!("assignment {}", assignment.id),
                subject: assignment.subject,
                set,
                exempts: exempt && assignment.window.is_live(now) && assignment.condition.is_none(),
            });
        }
        for grant in facts.grants.iter().filter(|row| row.effect == Effect::Allow && !row.window.is_over(now))
        {
            this.add(Source {
                row: format!("grant {}", grant.id),
                subject: grant.subject,
                set: index.pattern(&grant.pattern),
                exempts: false,
            });
        }
        this
    }

    fn add(&mut self, source: Source) {
        match source.subject {
            Subject::Principal(principal) => self.by_principal.entry(principal).or_default().push(source),
            Subject::Team(team) => self.by_team.entry(team).or_default().push(source),
        }
    }

    fn sources(&self, principal: PrincipalId) -> Vec<&Source> {
        // Teams that stand in a circle count as well: holding more than one thinks is the danger here.
        let (_, teams) = self.teams.of(principal);
        let own = self.by_principal.get(&principal).into_iter().flatten();
        let numbers = self.teams.numbers.iter().filter(|(_, at)| teams.contains(at)).map(|(team, _)| team);
        let through_teams = numbers.filter_map(|team| self.by_team.get(team)).flatten();
        let mut sources: Vec<&Source> = own.chain(through_teams).collect();
        sources.sort_by(|a, b| a.row.cmp(&b.row));
        sources
    }

    /// The conflicts a principal holds, in the order of the catalogue.
    pub fn conflicts(&self, principal: PrincipalId) -> Vec<HeldConflict> {
        let sources = self.sources(principal);
        if sources.iter().any(|source| source.exempts) {
            return Vec::new();
        }
        let held = sources.iter().fold(PermissionSet::EMPTY, |set, source| set.union(&source.set));
        let mut found = Vec::new();
        for (conflict, [left, right]) in self.index.catalogue().conflicts.iter().zip(&self.sides) {
            let (left, right) = (held.intersect(left), held.intersect(right));
            if left.is_empty() || right.is_empty() {
                continue;
            }
            // One permission alone is on both sides of nothing: two are needed.
            if left.union(&right).len() < 2 {
                continue;
            }
            let name = |side: PermissionSet| {
                side.iter()
                    .filter_map(|permission| {
                        let mut through: Vec<String> = sources
                            .iter()
                            .filter(|source| source.set.contains(permission))
                            .map(|source| source.row.clone())
                            .collect();
                        through.dedup();
                        Some(Held { permission: self.index.code(permission)?.clone(), through })
                    })
                    .collect()
            };
            found.push(HeldConflict {
                principal,
                conflict: conflict.key.clone(),
                severity: conflict.severity,
                why: conflict.why.clone(),
                left: name(left),
                right: name(right),
            });
        }
        found
    }
}

/// The conflicts one principal would hold.
pub fn conflicts(
    index: &Index,
    facts: &OrganizationFacts,
    principal: PrincipalId,
    now: Timestamp,
) -> Vec<HeldConflict> {
    Holdings::new(index, facts, now).conflicts(principal)
}

/// The conflicts that several principals would hold, in their order.
pub fn conflicts_of(
    index: &Index,
    facts: &OrganizationFacts,
    principals: impl IntoIterator<Item = PrincipalId>,
    now: Timestamp,
) -> Vec<HeldConflict> {
    let holdings = Holdings::new(index, facts, now);
    let principals: BTreeSet<PrincipalId> = principals.into_iter().collect();
    principals.into_iter().flat_map(|principal| holdings.conflicts(principal)).collect()
}

/// Whom a change to a team concerns: its members and those of the teams below it.
pub fn members_of_team(facts: &OrganizationFacts, team: TeamId) -> BTreeSet<PrincipalId> {
    let teams = Teams::new(facts, &mut Vec::new());
    let Some(number) = teams.numbers.get(&team) else { return BTreeSet::new() };
    let within = |at: &usize| teams.is.get(*at).is_some_and(|above| above.contains(number));
    teams.direct.iter().filter(|(_, at)| within(at)).map(|(member, _)| *member).collect()
}

/// Whom a change to a role concerns: everybody who is assigned it, or a role that inherits from it, now or later.
pub fn holders_of_role(
    index: &Index,
    facts: &OrganizationFacts,
    role: &RoleKey,
    now: Timestamp,
) -> BTreeSet<PrincipalId> {
    let roles = Roles::new(index, facts, &mut Vec::new());
    let mut holders = BTreeSet::new();
    for assignment in facts.assignments.iter().filter(|row| !row.window.is_over(now)) {
        let Some((_, held)) = roles.get(&assignment.role) else { continue };
        let inherits =
            held.gives.iter().chain(&held.is).filter_map(|at| roles.roles.get(*at)).any(|it| it.key == *role);
        if !inherits && held.key != *role {
            continue;
        }
        match assignment.subject {
            Subject::Principal(principal) => {
                holders.insert(principal);
            }
            Subject::Team(team) => holders.extend(members_of_team(facts, team)),
        }
    }
    holders
}
