//! What people removed by hand of what runs gave, and what the newest run keeps away, as the service tells both; and whether a right gives some of
//! it again.

use crate::answers::Bits;
use crate::away::{Kept, What};
use crate::change::lower;
use crate::effect::{Effects, overlap};
use charter_kernel::{AssignmentId, OrganizationId, PrincipalId};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// An assignment or a grant that people removed, as the service tells it.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "each field is what the service tells by that name")]
pub struct RemovedRight {
    pub id: AssignmentId,
    pub principal: PrincipalId,
    pub key: String,
    pub gives: Vec<String>,
}

/// What people removed in an organization, as the service tells it.
#[derive(Debug, Clone, Default, Deserialize)]
#[expect(missing_docs, reason = "each field is what the service tells by that name")]
pub struct Removed {
    pub rights: Vec<RemovedRight>,
    pub members: Vec<PrincipalId>,
    pub roles: Vec<String>,
}

/// Whose rights.
type Whose = (OrganizationId, PrincipalId);

/// A right by the bits of its row, where people removed it; its key and what it gave.
type Gave = (Option<u64>, String, Vec<String>);

/// What people removed, of all organizations, and what the newest run keeps away.
#[derive(Debug, Clone, Default)]
pub struct Removals {
    pub(crate) rows: HashSet<u64>,
    rights: HashMap<Whose, Vec<Gave>>,
    /// Of what people removed, what stands again.
    standing: HashSet<u64>,
    pub(crate) members: HashSet<Whose>,
    pub(crate) roles: HashSet<(OrganizationId, String)>,
    pub(crate) kept: HashSet<Kept>,
    kept_rights: HashMap<Whose, Vec<Gave>>,
    pub(crate) modules: BTreeMap<OrganizationId, BTreeSet<String>>,
    /// Modules that are on where people removed modules.
    pub(crate) on: BTreeMap<OrganizationId, BTreeSet<String>>,
    /// Nobody noted what people removed since the newest run.
    pub is_unnoted: bool,
    /// Rights are looked for by their names alone.
    pub(crate) is_by_name: bool,
}

impl Removals {
    /// What a run keeps away, by itself: whatever else people removed is not known.
    #[must_use]
    pub fn of_kept(away: KeptAway) -> Self {
        let members = away.kept.keys().filter(|(_, _, what)| *what == What::Membership);
        let members = members.map(|(organization, principal, _)| (*organization, *principal)).collect();
        let mut removals = Self { members, is_by_name: true, ..Self::default() };
        removals.keep(away);
        removals
    }

    /// Takes what the newest run keeps away.
    pub fn keep(&mut self, away: KeptAway) {
        for ((organization, principal, what), gives) in away.kept {
            if what != What::Membership {
                let gave = (None, what.words().1.to_owned(), gives);
                self.kept_rights.entry((organization, principal)).or_default().push(gave);
            }
            self.kept.insert((organization, principal, what));
        }
        for (organization, module) in away.modules {
            self.modules.entry(organization).or_default().insert(module);
        }
        self.on.extend(away.on);
        self.is_unnoted |= away.is_unnoted;
    }

    /// Whether nothing is known to be removed, and nothing is in doubt.
    pub(crate) fn is_none(&self) -> bool {
        let is_empty = self.rows.is_empty() && self.members.is_empty() && self.roles.is_empty();
        is_empty && self.kept.is_empty() && self.modules.is_empty() && !self.is_unnoted
    }

    /// Takes what people removed in an organization.
    pub fn add(&mut self, organization: OrganizationId, removed: &Removed) {
        for it in &removed.rights {
            let bits = lower(it.id.0);
            self.rows.insert(bits);
            let gave = (Some(bits), it.key.clone(), it.gives.clone());
            self.rights.entry((organization, it.principal)).or_default().push(gave);
        }
        self.members.extend(removed.members.iter().map(|id| (organization, *id)));
        self.roles.extend(removed.roles.iter().map(|key| (organization, key.clone())));
    }

    /// Takes note that a row stands: a run gave it again since.
    pub(crate) fn stands(&mut self, id: u128) {
        if self.rows.contains(&lower(id)) {
            self.standing.insert(lower(id));
        }
    }

    /// Whether anything was taken from somebody there.
    pub(crate) fn is_about(&self, whose: Whose) -> bool {
        self.rights.contains_key(&whose) || self.kept_rights.contains_key(&whose)
    }

    /// Whether a right gives some of what people took from somebody, or a run keeps from them, and whether a run keeps all of it away.
    pub(crate) fn is_like(
        &self,
        effects: &mut Effects<'_>,
        whose: Whose,
        gives: Option<&Bits>,
    ) -> (bool, bool) {
        let is_open = |(bits, ..): &&Gave| bits.is_none_or(|bits| !self.standing.contains(&bits));
        let mut all = self.rights.get(&whose).into_iter().flatten().filter(is_open);
        let is_removed = all.any(|(_, key, gave)| overlap(gives, effects.of(key, gave).as_deref()));
        let Some(kept) = self.kept_rights.get(&whose) else { return (is_removed, false) };
        let mut away = None::<Bits>;
        let mut is_kept = false;
        for (_, key, gave) in kept {
            let gave = effects.of(key, gave);
            is_kept |= overlap(gives, gave.as_deref());
            if let Some(gave) = gave {
                match &mut away {
                    Some(away) => away.add(&gave),
                    None => away = Some((*gave).clone()),
                }
            }
        }
        let is_all =
            gives.zip(away.as_ref()).is_some_and(|(gives, away)| gives.without(away).next().is_none());
        (is_removed || is_kept, is_kept && is_all)
    }
}

/// What the newest run of a source keeps away, as the service tells it.
#[derive(Debug, Clone, Default)]
pub struct KeptAway {
    /// Rights and memberships, with what they would give where no shipped role says so.
    pub kept: HashMap<Kept, Vec<String>>,
    /// Modules that people removed.
    pub modules: Vec<(OrganizationId, String)>,
    /// Modules that are on in those organizations now, whatever says so: a document, or rows that people made.
    pub on: BTreeMap<OrganizationId, BTreeSet<String>>,
    /// Nobody noted what people removed since that run.
    pub is_unnoted: bool,
}
