//! What a change would do: who gains and who loses what. Conditions are not evaluated, as nobody knows the circumstances to
//! come: access is never, at times (when a condition holds), or always, and a change between these is reported.
//!
//! A line about one resource appears only where it says something else than the line about the organization as a whole.

use crate::check::{Assume, Check, CheckResource, Context};
use crate::index::{Index, KindIndex};
use crate::interner::Interner;
use crate::reference::Access;
use crate::set::{PermissionIndex, PermissionSet};
use crate::shard::{CompileError, Overlay, Shard};
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{PermissionCode, PrincipalId, Reach, ResourceRef, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which way access changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// More than before.
    Gained,
    /// Less than before.
    Lost,
}

/// One change of access.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccessChange {
    /// Whose.
    pub principal: PrincipalId,
    /// To do what.
    pub permission: PermissionCode,
    /// On which resource; none for the organization as a whole.
    pub resource: Option<ResourceRef>,
    /// Gained or lost.
    pub direction: Direction,
    /// A condition plays a part, before or after.
    pub conditional: bool,
}

/// The change from one access to another, if it is one.
pub fn change(before: Access, after: Access) -> Option<(Direction, bool)> {
    let direction = match before.cmp(&after) {
        core::cmp::Ordering::Less => Direction::Gained,
        core::cmp::Ordering::Greater => Direction::Lost,
        core::cmp::Ordering::Equal => return None,
    };
    Some((direction, before == Access::Conditional || after == Access::Conditional))
}

/// Compares two states of one organization under one catalogue.
pub fn compare(
    index: &Arc<Index>,
    before: &OrganizationFacts,
    after: &OrganizationFacts,
    now: Timestamp,
) -> Result<Vec<AccessChange>, CompileError> {
    compare_catalogues((index, before), (index, after), now)
}

/// Compares two states that may also differ in their catalogues.
pub fn compare_catalogues(
    before: (&Arc<Index>, &OrganizationFacts),
    after: (&Arc<Index>, &OrganizationFacts),
    now: Timestamp,
) -> Result<Vec<AccessChange>, CompileError> {
    let interner = Interner::new();
    let shards =
        [Shard::compile(before.0, before.1, &interner)?, Shard::compile(after.0, after.1, &interner)?];
    Ok(compare_shards(&shards, [before.1, after.1], now))
}

/// The resources a comparison looks at: registered, or named by a grant or block of either side. A thing known under
/// both names of its kind appears once, under the first.
pub fn resources(index: &Index, sides: [&OrganizationFacts; 2]) -> Vec<ResourceRef> {
    let mut found: BTreeMap<(Option<KindIndex>, Arc<str>), ResourceRef> = BTreeMap::new();
    for facts in sides {
        let registered = facts.resources.iter().map(|it| &it.resource);
        let named = facts.grants.iter().map(|it| &it.reach).chain(facts.blocks.iter().map(|it| &it.reach));
        let named = named
            .filter_map(|reach| if let Reach::Resource(resource) = reach { Some(resource) } else { None });
        for resource in registered.chain(named) {
            let kind = index.kind(resource.kind.as_str());
            let place = found.entry((kind, Arc::clone(&resource.id))).or_insert_with(|| resource.clone());
            if resource < place {
                *place = resource.clone();
            }
        }
    }
    let mut found: Vec<ResourceRef> = found.into_values().collect();
    found.sort();
    found
}

struct Side<'a> {
    shard: &'a Shard,
    never_less: PermissionSet,
    never_more: PermissionSet,
}

impl Side<'_> {
    fn whole(&self, permission: Option<PermissionIndex>) -> Access {
        match permission {
            Some(permission) if self.never_less.contains(permission) => Access::Yes,
            Some(permission) if self.never_more.contains(permission) => Access::Conditional,
            _ => Access::No,
        }
    }

    fn on(
        &self,
        principal: PrincipalId,
        permission: Option<PermissionIndex>,
        resource: &ResourceRef,
        now: Timestamp,
    ) -> Access {
        let Some(permission) = permission else { return Access::No };
        let context = Context::EMPTY;
        let check = Check {
            subject: principal,
            permission,
            minimum_level: None,
            resource: Some(CheckResource {
                kind: resource.kind.as_str(),
                id: &resource.id,
                registered_elsewhere: false,
            }),
            now,
            context: &context,
            ceiling: None,
        };
        if self.shard.decide_assuming(&check, Assume::Worst).is_allow() {
            Access::Yes
        } else if self.shard.decide_assuming(&check, Assume::Best).is_allow() {
            Access::Conditional
        } else {
            Access::No
        }
    }

    /// The permissions that rows of a narrow reach are about, for one member.
    fn narrow(&self, principal: PrincipalId) -> PermissionSet {
        let overlay = self.shard.slot(principal).and_then(|slot| self.shard.overlay(slot));
        let everyone = self.shard.rare.as_deref().and_then(|rare| rare.everyone.as_ref());
        let mut set = PermissionSet::EMPTY;
        for overlay in [overlay, everyone].into_iter().flatten() {
            let overlay: &Overlay = overlay;
            set.add(&overlay.narrow);
        }
        set
    }
}

fn compare_shards(shards: &[Shard; 2], facts: [&OrganizationFacts; 2], now: Timestamp) -> Vec<AccessChange> {
    let [before, after] = shards;
    let same_index = Arc::ptr_eq(&before.index, &after.index);
    let mut codes: BTreeSet<&PermissionCode> = after.index.codes().iter().collect();
    if !same_index {
        codes.extend(before.index.codes());
    }
    let codes: Vec<(&PermissionCode, [Option<PermissionIndex>; 2])> = codes
        .into_iter()
        .map(|code| (code, [before.index.permission(code.as_str()), after.index.permission(code.as_str())]))
        .collect();
    let resources = resources(&after.index, facts);
    // A type whose resources must all be registered answers by the registry: there every permission may differ.
    let registry_decides = |resource: &ResourceRef| {
        shards.iter().any(|shard| {
            shard.index.kind(resource.kind.as_str()).is_none_or(|kind| shard.index.is_registered(kind))
        })
    };
    let decided_by_registry: Vec<bool> = resources.iter().map(registry_decides).collect();
    let mut principals: Vec<PrincipalId> = before.members();
    principals.extend(after.members());
    principals.sort_unstable();
    principals.dedup();
    let mut changes = Vec::new();
    for principal in principals {
        let side = |shard| {
            let shard: &Shard = shard;
            let (never_less, never_more) = shard.bounds(principal, now);
            Side { shard, never_less, never_more }
        };
        let sides = [side(before), side(after)];
        let [was, is] = &sides;
        let narrow = [was.narrow(principal), is.narrow(principal)];
        let nothing_narrow =
            narrow.iter().all(PermissionSet::is_empty) && !decided_by_registry.contains(&true);
        if same_index && nothing_narrow && was.never_less == is.never_less && was.never_more == is.never_more
        {
            continue;
        }
        for (code, [old, new]) in &codes {
            let whole = change(was.whole(*old), is.whole(*new));
            if let Some((direction, conditional)) = whole {
                changes.push(AccessChange {
                    principal,
                    permission: (*code).clone(),
                    resource: None,
                    direction,
                    conditional,
                });
            }
            let [narrow_old, narrow_new] = &narrow;
            let is_narrow = old.is_some_and(|old| narrow_old.contains(old))
                || new.is_some_and(|new| narrow_new.contains(new));
            for (resource, by_registry) in resources.iter().zip(&decided_by_registry) {
                if !is_narrow && !by_registry {
                    continue;
                }
                let on_it =
                    change(was.on(principal, *old, resource, now), is.on(principal, *new, resource, now));
                if let Some((direction, conditional)) = on_it
                    && on_it != whole
                {
                    changes.push(AccessChange {
                        principal,
                        permission: (*code).clone(),
                        resource: Some(resource.clone()),
                        direction,
                        conditional,
                    });
                }
            }
        }
    }
    changes.sort_unstable();
    changes
}
