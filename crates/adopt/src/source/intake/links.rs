//! What roles allow, and what roles other roles bring with them.

use super::{Intake, cell};
use crate::facts::NONE;
use charter_db::foreign::ForeignRow;
use std::collections::BTreeSet;

impl Intake {
    /// What a role allows: role, permission.
    pub(in super::super) fn role_permission(&mut self, row: ForeignRow<'_>) {
        self.fingerprint.row("role permission", row);
        let role = cell(row, 0).and_then(|id| self.roles.of(id));
        let permission = cell(row, 1).and_then(|id| self.permissions.of(id));
        if let Some((role, permission)) = role.zip(permission)
            && let Some(allowed) = self.allowed.get_mut(role as usize)
        {
            allowed.push(permission);
        }
    }

    /// A role that gives what another gives: role, the role it implies.
    pub(in super::super) fn implied(&mut self, row: ForeignRow<'_>) {
        self.fingerprint.row("implied role", row);
        let role = cell(row, 0).and_then(|id| self.roles.of(id));
        let other = cell(row, 1).and_then(|id| self.roles.of(id));
        self.implied.extend(role.zip(other));
    }

    /// Closes the roles: all rows of what they allow and imply were taken up.
    pub(in super::super) fn close_roles(&mut self) {
        let allowed = closed(std::mem::take(&mut self.allowed), &self.implied);
        let facts = &mut self.heard.facts;
        for (role, permissions) in facts.roles.iter_mut().zip(allowed) {
            role.permissions = facts.permission_sets.keep(permissions);
        }
    }
}

/// What each role allows with what it implies, over any number of steps; rings are no harm.
fn closed(allowed: Vec<Vec<u32>>, implied: &[(u32, u32)]) -> Vec<Vec<u32>> {
    if implied.is_empty() {
        return allowed;
    }
    let mut next: Vec<Vec<u32>> = vec![Vec::new(); allowed.len()];
    for (role, other) in implied {
        if let Some(next) = next.get_mut(*role as usize) {
            next.push(*other);
        }
    }
    let reach = |from: usize| {
        let mut seen = BTreeSet::from([u32::try_from(from).unwrap_or(NONE)]);
        let mut open: Vec<u32> = seen.iter().copied().collect();
        while let Some(at) = open.pop() {
            for other in next.get(at as usize).into_iter().flatten() {
                if seen.insert(*other) {
                    open.push(*other);
                }
            }
        }
        seen
    };
    let of = |from| {
        let mut all: BTreeSet<u32> = BTreeSet::new();
        all.extend(reach(from).into_iter().filter_map(|role| allowed.get(role as usize)).flatten());
        all.into_iter().collect()
    };
    (0..allowed.len()).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_allows_what_it_implies_over_any_number_of_steps_and_rings_end() {
        let allowed = vec![vec![0], vec![1], vec![2], vec![3]];
        let closed = closed(allowed, &[(0, 1), (1, 2), (2, 0), (9, 0), (3, 9)]);
        assert_eq!(closed, [vec![0, 1, 2], vec![0, 1, 2], vec![0, 1, 2], vec![3]]);
    }
}
