//! The difference between two states of an organization's access policy, row by row, in an order in which it can be written:
//! what is referred to comes before what refers to it, and deletions the other way round.

use charter_kernel::facts::{
    AssignmentFact, BlockFact, ConditionFact, GrantFact, MemberFact, OrganizationFacts, ResourceFact,
    RoleFact, TeamFact,
};
use charter_kernel::{PrincipalId, TeamId};
use std::collections::HashMap;
use std::hash::Hash;

/// One row that is new, different, or gone.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit<T> {
    /// New.
    Insert(T),
    /// Different: before and after.
    Update(T, T),
    /// Gone.
    Delete(T),
}

impl<T> Edit<T> {
    /// The row before, where there was one.
    pub fn before(&self) -> Option<&T> {
        match self {
            Self::Insert(_) => None,
            Self::Update(before, _) | Self::Delete(before) => Some(before),
        }
    }

    /// The row after, where there is one.
    pub fn after(&self) -> Option<&T> {
        match self {
            Self::Delete(_) => None,
            Self::Update(_, after) | Self::Insert(after) => Some(after),
        }
    }

    /// The row as it is now, or as it last was.
    pub fn row(&self) -> &T {
        match self {
            Self::Insert(row) | Self::Update(_, row) | Self::Delete(row) => row,
        }
    }
}

/// One change of an access policy.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is named for the row it changes")]
pub enum Change {
    Member(Edit<MemberFact>),
    /// A member, before and after, of whose account somebody said what it is in its life, though it may be that already.
    AccountSaid(MemberFact, MemberFact),
    Team(Edit<TeamFact>),
    TeamMember {
        team: TeamId,
        principal: PrincipalId,
        joins: bool,
    },
    Condition(Edit<ConditionFact>),
    Role(Edit<RoleFact>),
    Resource(Edit<ResourceFact>),
    Assignment(Edit<AssignmentFact>),
    Grant(Edit<GrantFact>),
    Block(Edit<BlockFact>),
}

fn edits<T: PartialEq + Clone, K: Hash + Eq>(
    before: &[T],
    after: &[T],
    key: impl Fn(&T) -> K,
) -> Vec<Edit<T>> {
    // Rows keep their places but for what was touched: the common head and tail are no difference.
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (before, after) = (before.get(head..).unwrap_or_default(), after.get(head..).unwrap_or_default());
    let tail = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
    let before = before.get(..before.len() - tail).unwrap_or_default();
    let after = after.get(..after.len() - tail).unwrap_or_default();
    let mut old: HashMap<K, &T> = before.iter().map(|row| (key(row), row)).collect();
    let mut found = Vec::new();
    for row in after {
        match old.remove(&key(row)) {
            None => found.push(Edit::Insert(row.clone())),
            Some(was) if was != row => found.push(Edit::Update(was.clone(), row.clone())),
            Some(_) => {}
        }
    }
    found
        .extend(before.iter().filter(|row| old.contains_key(&key(row))).map(|row| Edit::Delete(row.clone())));
    found
}

/// The changes that turn one state into the other.
pub fn changes(before: &OrganizationFacts, after: &OrganizationFacts) -> Vec<Change> {
    let members = edits(&before.members, &after.members, |row| row.principal);
    let mut teams = teams_in_order(after, edits(&before.teams, &after.teams, |row| row.id));
    let conditions = edits(&before.conditions, &after.conditions, |row| row.key.clone());
    let roles = roles_in_order(edits(&before.roles, &after.roles, |row| row.key.clone()));
    let resources = edits(&before.resources, &after.resources, |row| row.resource.clone());
    let assignments = edits(&before.assignments, &after.assignments, |row| row.id);
    let grants = edits(&before.grants, &after.grants, |row| row.id);
    let blocks = edits(&before.blocks, &after.blocks, |row| row.id);

    let mut first = Vec::new();
    let mut last = Vec::new();
    let mut joins = Vec::new();
    for edit in &teams {
        // A new team is written with its members, a deleted one goes with them.
        if let Edit::Update(was, is) = edit {
            let one = |principal: &PrincipalId, joins| Change::TeamMember {
                team: is.id,
                principal: *principal,
                joins,
            };
            joins.extend(was.members.iter().filter(|id| !is.members.contains(id)).map(|id| one(id, false)));
            joins.extend(is.members.iter().filter(|id| !was.members.contains(id)).map(|id| one(id, true)));
        }
    }
    teams.retain(|edit| match edit {
        Edit::Update(was, is) => (&was.key, &was.name, was.parent) != (&is.key, &is.name, is.parent),
        _ => true,
    });
    fn split<T>(
        edits: Vec<Edit<T>>,
        wrap: fn(Edit<T>) -> Change,
        first: &mut Vec<Change>,
        last: &mut Vec<Change>,
    ) {
        for edit in edits {
            if matches!(edit, Edit::Delete(_)) { last.push(wrap(edit)) } else { first.push(wrap(edit)) }
        }
    }
    split(members, Change::Member, &mut first, &mut last);
    split(conditions, Change::Condition, &mut first, &mut last);
    split(teams, Change::Team, &mut first, &mut last);
    split(roles, Change::Role, &mut first, &mut last);
    first.extend(joins);
    split(resources, Change::Resource, &mut first, &mut last);
    split(assignments, Change::Assignment, &mut first, &mut last);
    split(grants, Change::Grant, &mut first, &mut last);
    split(blocks, Change::Block, &mut first, &mut last);
    last.reverse();
    first.extend(last);
    first
}

/// New teams after the team above them; deleted ones before it (the caller reverses deletions).
fn teams_in_order(after: &OrganizationFacts, mut edits: Vec<Edit<TeamFact>>) -> Vec<Edit<TeamFact>> {
    let parents: HashMap<TeamId, Option<TeamId>> = after
        .teams
        .iter()
        .map(|team| (team.id, team.parent))
        .chain(edits.iter().filter_map(|edit| match edit {
            Edit::Delete(team) => Some((team.id, team.parent)),
            _ => None,
        }))
        .collect();
    let depth = |id: TeamId| {
        let mut depth = 0;
        let mut above = parents.get(&id).copied().flatten();
        while let Some(next) = above
            && depth < 64
        {
            depth += 1;
            above = parents.get(&next).copied().flatten();
        }
        depth
    };
    edits.sort_by_key(|edit| depth(edit.row().id));
    edits
}

/// New roles after the roles they inherit from.
fn roles_in_order(edits: Vec<Edit<RoleFact>>) -> Vec<Edit<RoleFact>> {
    let mut waiting = edits;
    let mut ordered: Vec<Edit<RoleFact>> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let keys: Vec<_> = waiting.iter().map(|edit| edit.row().key.clone()).collect();
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|edit| {
            !edit.row().parents.iter().any(|parent| keys.contains(parent) && *parent != edit.row().key)
        });
        if ready.is_empty() {
            // A cycle, which the rules refuse before anything is written.
            ordered.extend(rest);
            return ordered;
        }
        ordered.extend(ready);
        waiting = rest;
    }
    ordered
}
