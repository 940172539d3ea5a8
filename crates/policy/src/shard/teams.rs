//! The teams of one organization as a tree, and who is in which.

use crate::graph::closures;
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{Key, PrincipalId, TeamId};
use std::collections::{BTreeSet, HashMap};

/// The teams of an organization, and who is in which.
#[derive(Default)]
pub(crate) struct Teams {
    pub numbers: HashMap<TeamId, usize>,
    pub keys: Vec<Key>,
    /// Sorted: a member and a team it is directly in.
    pub direct: Vec<(PrincipalId, usize)>,
    pub gives: Vec<BTreeSet<usize>>,
    pub is: Vec<BTreeSet<usize>>,
}

impl Teams {
    pub(crate) fn new(facts: &OrganizationFacts, faults: &mut Vec<String>) -> Self {
        let mut this = Self::default();
        let mut parents: Vec<Vec<TeamId>> = Vec::new();
        for team in &facts.teams {
            let at = *this.numbers.entry(team.id).or_insert_with(|| {
                this.keys.push(team.key.clone());
                parents.push(Vec::new());
                parents.len() - 1
            });
            if let Some(parents) = parents.get_mut(at) {
                parents.extend(team.parent);
            }
            this.direct.extend(team.members.iter().map(|member| (*member, at)));
        }
        this.direct.sort_unstable();
        this.direct.dedup();
        let edges: Vec<Vec<usize>> = parents
            .iter()
            .map(|above| {
                above
                    .iter()
                    .filter_map(|parent| {
                        let found = this.numbers.get(parent).copied();
                        if found.is_none() {
                            faults.push(format!(
                                "team {parent} is named as the team above another, but does not exist"
                            ));
                        }
                        found
                    })
                    .collect()
            })
            .collect();
        let closures = closures(&edges);
        for key in closures.cyclic.iter().filter_map(|at| this.keys.get(*at)) {
            faults.push(format!(
                "team {key}: stands above itself, the teams on the circle give nothing to each other"
            ));
        }
        (this.gives, this.is) = (closures.gives, closures.is);
        this
    }

    /// Numbers of the teams right around a principal.
    pub(super) fn direct_of(&self, principal: PrincipalId) -> &[(PrincipalId, usize)] {
        let start = self.direct.partition_point(|(member, _)| *member < principal);
        let rest = self.direct.get(start..).unwrap_or_default();
        rest.get(..rest.partition_point(|(member, _)| *member == principal)).unwrap_or_default()
    }

    /// Teams that give to a principal, and teams that deny to it.
    pub(crate) fn of(&self, principal: PrincipalId) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let (mut gives, mut is) = (BTreeSet::new(), BTreeSet::new());
        for (_, team) in self.direct_of(principal) {
            gives.extend(self.gives.get(*team).into_iter().flatten());
            is.extend(self.is.get(*team).into_iter().flatten());
        }
        (gives, is)
    }
}
