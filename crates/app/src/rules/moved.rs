//! What an edit moves under the giver's own feet: conditions read who owns a resource, what is kept of it, and who is in which team. An
//! edit of these gives no right by name, and yet a condition may hold after it that did not before.

use super::giver::Potential;
use charter_kernel::facts::{OrganizationFacts, ResourceFact};
use charter_kernel::{Condition, ConditionKey, Key, PrincipalId, condition::AttributeOf};
use charter_policy::{Index, PermissionSet};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The conditions an edit may turn for the one who makes it.
#[derive(Default)]
pub(super) struct Moved {
    /// They may hold now: by a team that was joined, by a resource that was changed.
    holds: [HashSet<ConditionKey>; 2],
    /// They may hold no longer.
    falls: [HashSet<ConditionKey>; 2],
    /// What may be done to the kinds of the resources that were changed.
    of_kinds: PermissionSet,
}

/// Keys of the teams a member is in, and of those above them.
fn teams(facts: &OrganizationFacts, member: PrincipalId) -> BTreeSet<Key> {
    let by_id: HashMap<_, _> = facts.teams.iter().map(|team| (team.id, team)).collect();
    let mut found = BTreeSet::new();
    for team in facts.teams.iter().filter(|team| team.members.contains(&member)) {
        let mut next = Some(team);
        while let Some(team) = next
            && found.insert(team.key.clone())
        {
            next = team.parent.and_then(|parent| by_id.get(&parent).copied());
        }
    }
    found
}

fn any(condition: &Condition, is: &impl Fn(&Condition) -> bool) -> bool {
    match condition {
        Condition::All { of } | Condition::Any { of } => of.iter().any(|part| any(part, is)),
        one => is(one),
    }
}

impl Moved {
    pub(super) fn new(
        index: &Index,
        giver: PrincipalId,
        before: &OrganizationFacts,
        after: &OrganizationFacts,
    ) -> Self {
        let (was_in, is_in) = (teams(before, giver), teams(after, giver));
        let (mut owns_more, mut owns_less, mut is_kept_otherwise) = (false, false, false);
        let mut of_kinds = PermissionSet::EMPTY;
        let mut compare = |was: Option<&ResourceFact>, is: Option<&ResourceFact>| {
            let owned = |row: Option<&ResourceFact>| row.is_some_and(|row| row.owner == Some(giver));
            let kept = |row: Option<&ResourceFact>| row.map_or("{}".to_owned(), |row| row.attributes.clone());
            let (owner, attributes) = (owned(is) != owned(was), kept(was) != kept(is));
            if let Some(row) = was.or(is).filter(|_| owner || attributes) {
                of_kinds = of_kinds.union(&index.kind_permissions(row.resource.kind.as_str()));
            }
            owns_more |= owner && owned(is);
            owns_less |= owner && owned(was);
            is_kept_otherwise |= attributes;
        };
        if before.resources != after.resources {
            let was: HashMap<_, _> = before.resources.iter().map(|row| (&row.resource, row)).collect();
            let is: HashSet<_> = after.resources.iter().map(|row| &row.resource).collect();
            after.resources.iter().for_each(|row| compare(was.get(&row.resource).copied(), Some(row)));
            before
                .resources
                .iter()
                .filter(|row| !is.contains(&row.resource))
                .for_each(|row| compare(Some(row), None));
        }
        let keys = |is: &dyn Fn(&Condition) -> bool| {
            let rows = after.conditions.iter().filter(|row| any(&row.condition, &is));
            rows.map(|row| row.key.clone()).collect()
        };
        let by_team = |joined: BTreeSet<&Key>| {
            keys(&|one| match one {
                Condition::Team { team } => joined.contains(team),
                Condition::Cel { .. } => was_in != is_in,
                _ => false,
            })
        };
        let by_resource = |owned: bool| {
            keys(&|one| match one {
                Condition::Owner {} => owned,
                Condition::AtMost { of, .. } | Condition::Equals { of, .. } | Condition::OneOf { of, .. } => {
                    is_kept_otherwise && *of == AttributeOf::Resource
                }
                Condition::Cel { .. } => owns_more || owns_less || is_kept_otherwise,
                _ => false,
            })
        };
        Self {
            holds: [by_team(is_in.difference(&was_in).collect()), by_resource(owns_more)],
            falls: [by_team(was_in.difference(&is_in).collect()), by_resource(owns_less)],
            of_kinds,
        }
    }

    /// Whether a row under this condition that stops the giver from these may no longer do so.
    pub(super) fn loosens(&self, condition: Option<&ConditionKey>, codes: &PermissionSet) -> bool {
        condition.is_some_and(|key| {
            let [by_team, by_resource] = &self.falls;
            by_team.contains(key) || by_resource.contains(key) && !codes.intersect(&self.of_kinds).is_empty()
        })
    }

    /// What the giver may come to hold by the conditions that may hold now, beyond what is held anyway.
    pub(super) fn gained(
        &self,
        index: &Index,
        after: &OrganizationFacts,
        giver: PrincipalId,
        held: &PermissionSet,
    ) -> PermissionSet {
        let under = |keys: &HashSet<ConditionKey>| {
            let stays =
                |condition: &Option<ConditionKey>| condition.as_ref().is_none_or(|key| keys.contains(key));
            let mut facts = after.clone();
            facts.assignments.retain(|row| stays(&row.condition));
            facts.grants.retain(|row| stays(&row.condition));
            for role in &mut facts.roles {
                role.permissions.retain(|line| stays(&line.condition));
            }
            Potential::new(index, &facts).of(giver)
        };
        let [by_team, by_resource] = &self.holds;
        if by_team.is_empty() && by_resource.is_empty() {
            return PermissionSet::EMPTY;
        }
        let plain = under(&HashSet::new());
        let by_resource = under(by_resource).intersect(&self.of_kinds);
        under(by_team).union(&by_resource).without(&plain).without(held)
    }
}
