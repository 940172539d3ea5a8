//! Nobody gives what they do not hold, and nobody raises themselves.

use super::moved::Moved;
use super::{DEPTH_MAX, new};
use charter_kernel::facts::{BlockSubject, OrganizationFacts, Reach, Subject};
use charter_kernel::{ConditionKey, Effect, PrincipalId, Problem, ProblemKind, RoleKey, TeamId, Timestamp};
use charter_policy::{Index, PermissionSet, all_role_codes, role_codes};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What each member could do by roles and allowing grants if every window were open and every condition true.
pub(super) struct Potential {
    above: HashMap<TeamId, Vec<TeamId>>,
    teams_of: HashMap<PrincipalId, BTreeSet<TeamId>>,
    rows_of: HashMap<Subject, PermissionSet>,
}

impl Potential {
    pub(super) fn new(index: &Index, facts: &OrganizationFacts) -> Self {
        let parents: HashMap<TeamId, Option<TeamId>> =
            facts.teams.iter().map(|team| (team.id, team.parent)).collect();
        let mut above: HashMap<TeamId, Vec<TeamId>> = HashMap::new();
        for team in &facts.teams {
            let mut chain = vec![team.id];
            let mut next = team.parent;
            while let Some(id) = next
                && chain.len() <= DEPTH_MAX
            {
                chain.push(id);
                next = parents.get(&id).copied().flatten();
            }
            above.insert(team.id, chain);
        }
        let mut teams_of: HashMap<PrincipalId, BTreeSet<TeamId>> = HashMap::new();
        for team in &facts.teams {
            for member in &team.members {
                teams_of.entry(*member).or_default().extend(above.get(&team.id).into_iter().flatten());
            }
        }
        let codes = all_role_codes(index, facts);
        let mut rows_of: HashMap<Subject, PermissionSet> = HashMap::new();
        for row in &facts.assignments {
            let codes = codes.get(&row.role).cloned().unwrap_or_default();
            rows_of.entry(row.subject).or_default().add(&codes);
        }
        for row in facts.grants.iter().filter(|row| row.effect == Effect::Allow) {
            rows_of.entry(row.subject).or_default().add(&index.pattern(&row.pattern));
        }
        Self { above, teams_of, rows_of }
    }

    pub(super) fn of(&self, principal: PrincipalId) -> PermissionSet {
        let mut all = self.rows_of.get(&Subject::Principal(principal)).cloned().unwrap_or_default();
        for team in self.teams_of.get(&principal).into_iter().flatten() {
            if let Some(codes) = self.rows_of.get(&Subject::Team(*team)) {
                all.add(codes);
            }
        }
        all
    }

    fn of_team(&self, team: TeamId) -> PermissionSet {
        let mut all = PermissionSet::default();
        for id in self.above.get(&team).into_iter().flatten() {
            if let Some(codes) = self.rows_of.get(&Subject::Team(*id)) {
                all.add(codes);
            }
        }
        all
    }
}

/// What a principal may come to hold by roles and grants, whatever their windows and conditions.
pub(crate) fn may_hold(index: &Index, facts: &OrganizationFacts, principal: PrincipalId) -> PermissionSet {
    Potential::new(index, facts).of(principal)
}

/// What the giver holds now by roles and grants of the whole organization, without condition.
pub(crate) fn held_by(
    index: &Index,
    facts: &OrganizationFacts,
    giver: PrincipalId,
    now: Timestamp,
) -> PermissionSet {
    let mut certain = facts.clone();
    certain.assignments.retain(|row| row.window.is_live(now) && row.condition.is_none());
    certain.grants.retain(|row| {
        row.window.is_live(now)
            && row.condition.is_none()
            && row.effect == Effect::Allow
            && row.reach == Reach::Organization
    });
    for role in &mut certain.roles {
        role.permissions.retain(|line| line.condition.is_none());
    }
    Potential::new(index, &certain).of(giver)
}

fn first_codes(index: &Index, codes: &PermissionSet) -> String {
    let shown: Vec<&str> = codes
        .iter()
        .take(5)
        .filter_map(|code| index.code(code))
        .map(charter_kernel::PermissionCode::as_str)
        .collect();
    let more = codes.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// The first new or changed row that gives more than `held`, with what it gives beyond.
fn rows_beyond(
    index: &Index,
    held: &PermissionSet,
    before: &OrganizationFacts,
    after: &OrganizationFacts,
) -> Option<(PermissionSet, String)> {
    let beyond = |codes: PermissionSet, what: String| {
        let codes = codes.without(held);
        (!codes.is_empty()).then_some((codes, what))
    };
    // A condition that changed may hold where it did not: every row under it counts as given anew.
    let changed: HashSet<&ConditionKey> =
        new(&before.conditions, &after.conditions).map(|row| &row.key).collect();
    let under =
        |condition: &Option<ConditionKey>| condition.as_ref().is_some_and(|key| changed.contains(key));
    let assignments = new(&before.assignments, &after.assignments)
        .chain(after.assignments.iter().filter(|row| under(&row.condition)))
        .find_map(|row| {
            beyond(role_codes(index, after, &row.role), format!("with the role {}, the subject", row.role))
        });
    let grants = new(&before.grants, &after.grants)
        .chain(after.grants.iter().filter(|row| under(&row.condition)))
        .filter(|row| row.effect == Effect::Allow)
        .find_map(|row| beyond(index.pattern(&row.pattern), "the subject of the grant".to_owned()));
    let roles = after.roles.iter().find_map(|role| {
        let old = before.roles.iter().find(|other| other.key == role.key);
        let lines = role
            .permissions
            .iter()
            .filter(|line| under(&line.condition) || !old.is_some_and(|old| old.permissions.contains(line)))
            .fold(PermissionSet::default(), |all, line| all.union(&index.pattern(&line.pattern)));
        let parents = role
            .parents
            .iter()
            .filter(|parent| !old.is_some_and(|old| old.parents.contains(parent)))
            .fold(PermissionSet::default(), |all, parent| all.union(&role_codes(index, after, parent)));
        beyond(lines.union(&parents), format!("the role {}", role.key))
    });
    assignments.or(grants).or(roles)
}

/// Nobody gives what they do not hold, and nobody raises themselves: neither by a new right nor by lifting what stops them.
pub(super) fn beyond_giver(
    index: &Index,
    giver: PrincipalId,
    ceiling: Option<&PermissionSet>,
    before: &OrganizationFacts,
    after: &OrganizationFacts,
    now: Timestamp,
) -> Result<(), Problem> {
    let held = held_by(index, before, giver, now);
    // A credential gives no more than it could do itself.
    let held = match ceiling {
        Some(ceiling) => held.intersect(ceiling),
        None => held,
    };
    let (was, will) = (Potential::new(index, before), Potential::new(index, after));
    let refuse = |gained: &PermissionSet, whom: &str| {
        Problem::new(
            ProblemKind::BeyondGiver,
            format!(
                "{whom} would get {}, which you do not hold yourself: ask somebody who does",
                first_codes(index, gained)
            ),
        )
    };
    rows_beyond(index, &held, before, after).map_or(Ok(()), |(codes, what)| Err(refuse(&codes, &what)))?;
    for member in &after.members {
        let gained = will.of(member.principal).without(&was.of(member.principal)).without(&held);
        if !gained.is_empty() {
            return Err(refuse(&gained, &member.login));
        }
    }
    for team in &after.teams {
        let gained = will.of_team(team.id).without(&was.of_team(team.id)).without(&held);
        if !gained.is_empty() {
            return Err(refuse(&gained, &format!("team {}", team.key)));
        }
    }
    let moved = Moved::new(index, giver, before, after);
    let gained = moved.gained(index, after, giver, &held);
    if !gained.is_empty() {
        return Err(Problem::new(
            ProblemKind::BeyondGiver,
            format!(
                "a condition on your own rights reads this, so you could come to hold {}: somebody else has to change it",
                first_codes(index, &gained)
            ),
        ));
    }
    let stops_giver = |facts: &OrganizationFacts, moved: &Moved| -> BTreeSet<String> {
        let still = |pattern, condition: &Option<ConditionKey>| {
            !moved.loosens(condition.as_ref(), &index.pattern(pattern))
        };
        let teams = Potential::new(index, facts).teams_of.remove(&giver).unwrap_or_default();
        let mine = |subject: Subject| match subject {
            Subject::Principal(id) => id == giver,
            Subject::Team(id) => teams.contains(&id),
        };
        let roles: HashSet<&RoleKey> =
            facts.assignments.iter().filter(|row| mine(row.subject)).map(|row| &row.role).collect();
        let denials = facts
            .grants
            .iter()
            .filter(|row| row.effect == Effect::Deny && mine(row.subject) && !row.window.is_over(now))
            .filter(|row| still(&row.pattern, &row.condition))
            .map(|row| {
                format!("denial {} {:?}", row.id, (&row.pattern, &row.reach, row.window, &row.condition))
            });
        let blocks = facts
            .blocks
            .iter()
            .filter(|row| !row.window.is_over(now) && still(&row.pattern, &row.condition))
            .filter(|row| match &row.subject {
                BlockSubject::Principal(id) => mine(Subject::Principal(*id)),
                BlockSubject::Team(id) => mine(Subject::Team(*id)),
                BlockSubject::Role(key) => roles.contains(key),
                BlockSubject::Everyone => false,
            })
            .map(|row| {
                format!("block {} {:?}", row.id, (&row.pattern, &row.reach, row.window, &row.condition))
            });
        denials.chain(blocks).collect()
    };
    if let Some(lifted) =
        stops_giver(before, &Moved::default()).difference(&stops_giver(after, &moved)).next()
    {
        let words: Vec<&str> = lifted.split(' ').take(2).collect();
        return Err(Problem::new(
            ProblemKind::BeyondGiver,
            format!("{} stops you: somebody else has to change or lift it", words.join(" ")),
        ));
    }
    let attributes = |facts: &OrganizationFacts| {
        facts
            .members
            .iter()
            .find(|member| member.principal == giver)
            .map(|member| (member.attributes.clone(), member.window))
    };
    if attributes(before) != attributes(after) {
        return Err(Problem::new(
            ProblemKind::BeyondGiver,
            "your own membership and attributes are changed by somebody else: conditions read them",
        ));
    }
    Ok(())
}
