//! One organization's facts, compiled: an immutable snapshot that decides (`decide`) and searches (`search`).
//!
//! Nearly every member holds plain roles only: one probe of the member table finds the set of what the roles give, one bit
//! answers. Whatever is not plain (grants, blocks, windows, conditions) stands in an *overlay* of rows, flattened over
//! teams and roles, that members with the same rows share; its `touched` set says for which permissions the rows matter.

mod assignments;
mod blocks;
mod compile;
mod grants;
mod overlay;
mod resources;
mod roles;
mod rows;
mod slot;
mod teams;

pub use compile::CompileError;
pub(crate) use overlay::{ALWAYS, Overlay, Row, Section, WHOLE};
pub(crate) use resources::{Attributes, Registered};
pub(crate) use roles::Roles;
pub(crate) use slot::{NONE, Slot};
pub(crate) use teams::Teams;

use crate::check::Assertable;
use crate::condition::CompiledCondition;
use crate::entitle::Timeline;
use crate::index::Index;
use crate::interner::RoleSet;
use crate::set::PermissionSet;
use charter_kernel::facts::{OrganizationKind, OrganizationStatus, PrincipalStatus};
use charter_kernel::{Key, OrganizationId, PrincipalId, Revision, Timestamp, Window};
use slot::{SET, place};
use std::sync::Arc;

/// Keys of teams, and whether membership is beyond doubt.
type TeamList = Box<[(Key, bool)]>;

/// Whatever most organizations lack.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    pub overlays: Box<[Overlay]>,
    /// Blocks on everybody.
    pub everyone: Option<Overlay>,
    pub sets: Box<[PermissionSet]>,
    pub conditions: Box<[Arc<CompiledCondition>]>,
    /// Members that are not active or have a window.
    pub extras: Box<[(PrincipalId, PrincipalStatus, Window)]>,
    /// Principals on preview lists, with the number of the module.
    pub previews: Box<[(PrincipalId, u16)]>,
    pub attributes: Box<[(PrincipalId, Attributes)]>,
    pub resources: Box<[Registered]>,
    pub team_keys: Box<[Key]>,
    /// Teams of each member, and whether each is beyond doubt.
    pub teams: Box<[(PrincipalId, TeamList)]>,
    pub assertable: Assertable,
    pub faults: Box<[String]>,
}

/// An immutable snapshot of one organization.
#[derive(Debug)]
pub struct Shard {
    pub(crate) index: Arc<Index>,
    organization: OrganizationId,
    revision: Revision,
    pub(crate) status: OrganizationStatus,
    pub(crate) kind: OrganizationKind,
    member_count: u32,
    slots: Box<[Slot]>,
    sets: Box<[Arc<RoleSet>]>,
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) rare: Option<Box<Rare>>,
}

impl Shard {
    /// The place of a member.
    #[inline]
    pub(crate) fn slot(&self, principal: PrincipalId) -> Option<&Slot> {
        let (high, low) = ((principal.0 >> 64) as u64, principal.0 as u64);
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = place(high, low, mask);
        loop {
            let slot = self.slots.get(at)?;
            if slot.set == NONE {
                return None;
            }
            if slot.low == low && slot.high == high {
                return Some(slot);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    pub(crate) fn role_set(&self, slot: &Slot) -> Option<&RoleSet> {
        self.sets.get((slot.set & SET) as usize).map(|set| &**set)
    }

    /// The members, in the order of their ids.
    pub fn members(&self) -> Vec<PrincipalId> {
        let mut members: Vec<PrincipalId> =
            self.slots.iter().filter(|slot| slot.set != NONE).map(Slot::principal).collect();
        members.sort_unstable();
        members
    }

    /// Version of the facts.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The organization.
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// Where the organization is in its life.
    pub fn status(&self) -> OrganizationStatus {
        self.status
    }

    /// Platform or customer.
    pub fn kind(&self) -> OrganizationKind {
        self.kind
    }

    /// The catalogue it was compiled against.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// How many members there are.
    pub fn member_count(&self) -> usize {
        self.member_count as usize
    }

    /// Rows that are wrong, each with what it was taken for.
    pub fn faults(&self) -> &[String] {
        self.rare.as_deref().map_or(&[], |rare| &rare.faults)
    }

    /// The next instant at which some row of the organization starts or ends.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let (_, entitlement) = self.timeline.at(now);
        let rare = self.rare.as_deref();
        let rows = rare
            .into_iter()
            .flat_map(|rare| rare.overlays.iter().chain(&rare.everyone).flat_map(Overlay::rows))
            .map(|row| row.next_change(now));
        let members = rare
            .into_iter()
            .flat_map(|rare| &rare.extras)
            .filter_map(|(_, _, window)| window.next_change(now));
        entitlement.into_iter().chain(rows).chain(members).filter(|at| *at < Timestamp(i64::MAX)).min()
    }

    /// Memory of its own, without what it shares with other shards.
    pub fn memory_bytes(&self) -> usize {
        let rare = self.rare.as_deref().map_or(0, |rare| {
            let overlay = |overlay: &Overlay| {
                size_of::<Overlay>()
                    + size_of_val(overlay.rows())
                    + overlay.rows().iter().filter_map(|row| row.resource.as_ref()).map(|id| id.len()).sum::<usize>()
            };
            size_of::<Rare>()
                + rare.overlays.iter().chain(&rare.everyone).map(overlay).sum::<usize>()
                + rare.sets.iter().map(PermissionSet::memory).sum::<usize>()
                + rare.conditions.len() * size_of::<usize>()
                + rare.extras.len() * size_of::<(PrincipalId, PrincipalStatus, Window)>()
                + rare.previews.len() * size_of::<(PrincipalId, u16)>()
                // Attributes are JSON trees; 256 bytes each is what a handful of words takes.
                + rare.attributes.len() * (size_of::<(PrincipalId, Attributes)>() + 256)
                + rare.resources.iter().map(|it| size_of::<Registered>() + it.id.len() + 256 * usize::from(it.attributes.is_some())).sum::<usize>()
                + rare.teams.iter().map(|(_, teams)| size_of::<(PrincipalId, TeamList)>() + teams.len() * 40).sum::<usize>()
                + rare.team_keys.len() * 40
                + rare.faults.iter().map(|fault| size_of::<String>() + fault.len()).sum::<usize>()
        });
        size_of::<Self>()
            + self.slots.len() * size_of::<Slot>()
            + self.sets.len() * size_of::<Arc<RoleSet>>()
            + rare
    }

    /// Memory of the parts that equal shards share: role sets and the timeline.
    pub fn shared_bytes(&self) -> usize {
        self.sets.iter().map(|set| set.memory()).sum::<usize>() + self.timeline.memory_bytes()
    }
}
