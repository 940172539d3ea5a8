//! What a change would do: who gains and who loses what. Conditions are not evaluated, as nobody knows the circumstances to
//! come: access is never, at times (when a condition holds), or always, and a change between these is reported.
//!
//! A line about one resource appears only where it says something else than the line about the organization as a whole;
//! of a resource that comes or goes, only the permissions that its own actions stand for are told.

use crate::check::{Assume, Check, CheckResource, Context};
use crate::index::{Index, KindIndex};
use crate::interner::Interner;
use crate::reference::Access;
use crate::set::{PermissionIndex, PermissionSet};
use crate::shard::{CompileError, Row, Shard, WHOLE};
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

    /// The rows of a narrow reach that concern one member.
    fn narrow(&self, principal: PrincipalId) -> Narrow<'_> {
        let rare = self.shard.rare.as_deref();
        let overlay = self.shard.slot(principal).and_then(|slot| self.shard.overlay(slot));
        let mut narrow = Narrow { permissions: PermissionSet::EMPTY, rows: Vec::new(), shard: self.shard };
        for overlay in [overlay, rare.and_then(|rare| rare.everyone.as_ref())].into_iter().flatten() {
            if !overlay.narrow.is_empty() {
                narrow.permissions.add(&overlay.narrow);
                narrow.rows.extend(overlay.rows().iter().filter(|row| row.kind != WHOLE));
            }
        }
        narrow
    }
}

/// Rows that reach a type or one resource.
struct Narrow<'a> {
    permissions: PermissionSet,
    rows: Vec<&'a Row>,
    shard: &'a Shard,
}

impl Narrow<'_> {
    /// The rows about a permission.
    fn about(&self, permission: Option<PermissionIndex>) -> Vec<&Row> {
        let Some(permission) = permission.filter(|permission| self.permissions.contains(*permission)) else {
            return Vec::new();
        };
        let sets = self.shard.rare.as_deref().map(|rare| &*rare.sets).unwrap_or_default();
        let about = |row: &&&Row| sets.get(row.set as usize).is_some_and(|set| set.contains(permission));
        self.rows.iter().filter(about).copied().collect()
    }
}

/// How rows reach a resource.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Not,
    ByType,
    ByItself,
}

fn reached(rows: &[&Row], kind: Option<KindIndex>, id: &str) -> Reached {
    let of_kind = rows.iter().filter(|row| kind.is_some_and(|kind| kind.0 == row.kind));
    of_kind.fold(Reached::Not, |reached, row| match row.resource.as_deref() {
        None => reached.max(Reached::ByType),
        Some(own) if own == id => Reached::ByItself,
        Some(_) => reached,
    })
}

/// How a resource stands before and after.
struct Place {
    /// Its kind and whether it exists, before and after: resources that agree in it differ by rows of their own only.
    class: [Option<KindIndex>; 2],
    stands: [bool; 2],
    /// It comes or goes with the change: its type demands that resources are registered, or is itself new or gone.
    appears: bool,
    permissions: [PermissionSet; 2],
}

impl Place {
    fn new(shards: &[Shard; 2], resource: &ResourceRef) -> Self {
        let class = shards.each_ref().map(|shard| shard.index.kind(resource.kind.as_str()));
        let stands = shards.each_ref().map(|shard| {
            shard.index.kind(resource.kind.as_str()).is_some_and(|kind| {
                !shard.index.is_registered(kind) || shard.registered(kind, &resource.id).is_some()
            })
        });
        let [before, after] = stands;
        let permissions = shards.each_ref().map(|shard| shard.index.kind_permissions(resource.kind.as_str()));
        Self { class, stands, appears: before != after, permissions }
    }

    /// Of a resource that comes or goes only the permissions its own actions stand for are told.
    fn is_about(&self, old: Option<PermissionIndex>, new: Option<PermissionIndex>) -> bool {
        let [before, after] = &self.permissions;
        old.is_some_and(|old| before.contains(old)) || new.is_some_and(|new| after.contains(new))
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
    let places: Vec<Place> = resources.iter().map(|resource| Place::new(shards, resource)).collect();
    let any_by_registry = places.iter().any(|place| place.appears);
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
        let nothing_narrow = narrow.iter().all(|narrow| narrow.rows.is_empty()) && !any_by_registry;
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
            let is_narrow = old.is_some_and(|old| narrow_old.permissions.contains(old))
                || new.is_some_and(|new| narrow_new.permissions.contains(new));
            if !is_narrow && !any_by_registry {
                continue;
            }
            let rows = [narrow_old.about(*old), narrow_new.about(*new)];
            let mut by_class: Vec<(&Place, Option<(Direction, bool)>)> = Vec::new();
            for (resource, place) in resources.iter().zip(&places) {
                if place.appears && !place.is_about(*old, *new) {
                    continue;
                }
                let [rows_old, rows_new] = &rows;
                let [kind_old, kind_new] = place.class;
                let reach =
                    reached(rows_old, kind_old, &resource.id).max(reached(rows_new, kind_new, &resource.id));
                if reach == Reached::Not && !place.appears {
                    continue;
                }
                let same = |it: &&(&Place, Option<(Direction, bool)>)| {
                    (it.0.class, it.0.stands) == (place.class, place.stands)
                };
                let known = if reach == Reached::ByItself { None } else { by_class.iter().find(same) };
                let on_it = match known {
                    Some((_, on_it)) => *on_it,
                    None => {
                        change(was.on(principal, *old, resource, now), is.on(principal, *new, resource, now))
                    }
                };
                if reach != Reached::ByItself && known.is_none() {
                    by_class.push((place, on_it));
                }
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
