//! The decision over a shard, in the order the design gives: names, organization, principal, membership, resource,
//! ceiling, entitlement, block, grants on the one resource, on its type, for the subject, roles. Delegation will stand
//! after the roles.
//!
//! [`Shard::decide`] answers plain members of active organizations at once; everything else takes the walk. Neither takes
//! a lock, and neither allocates unless a CEL condition is reached.

mod rows;
mod scene;
mod walk;

use crate::check::{Assume, Check};
use crate::entitle::{PartState, View};
use crate::index::KindIndex;
use crate::set::{PermissionIndex, PermissionSet};
use crate::shard::{NONE, Overlay, Registered, Shard, Slot};
use charter_kernel::facts::{OrganizationKind, OrganizationStatus};
use charter_kernel::{DecidedBy, Decision, PrincipalId, Reason, Timestamp};

const NEVER: Timestamp = Timestamp(i64::MAX);

impl Shard {
    /// Answers a question. Takes no lock and never allocates, but for a condition written in CEL.
    pub fn decide(&self, check: &Check<'_>) -> Decision {
        match self.decide_plain(check) {
            Some(decision) => decision,
            None => self.decide_assuming(check, Assume::Nothing),
        }
    }

    /// The answer, where nothing but roles has a say.
    #[inline(always)]
    fn decide_plain(&self, check: &Check<'_>) -> Option<Decision> {
        let permission = check.permission;
        if self.status != OrganizationStatus::Active {
            return None;
        }
        let slot = self.slot(check.subject)?;
        if slot.is_special() || check.ceiling.is_some_and(|ceiling| !ceiling.contains(permission)) {
            return None;
        }
        if let Some(resource) = &check.resource {
            let kind = self.index.kind(resource.kind)?;
            if resource.registered_elsewhere
                || self.index.is_registered(kind)
                || self.index.misnamed(kind).contains(permission)
            {
                return None;
            }
        }
        let (view, until) = self.timeline.at(check.now);
        if !view.allowed.contains(permission) {
            let reason = self.denied(view, permission)?;
            return Some(self.answer(reason, DecidedBy::Nothing, until));
        }
        if view.grace.contains(permission) {
            return None;
        }
        if let Some(rare) = self.rare.as_deref() {
            let touches = |overlay: &Overlay| overlay.touched.contains(permission);
            if slot.overlay() != NONE && rare.overlays.get(slot.overlay() as usize).is_none_or(touches) {
                return None;
            }
            if rare.everyone.as_ref().is_some_and(touches) {
                return None;
            }
        }
        let set = self.role_set(slot)?;
        let (reason, decided_by) = if set.gives(permission, check.minimum_level) {
            (Reason::GrantedByRole, DecidedBy::Roles)
        } else if check.minimum_level.is_some() && set.all().contains(permission) {
            (Reason::LevelTooLow, DecidedBy::Nothing)
        } else {
            (Reason::NoGrant, DecidedBy::Nothing)
        };
        Some(self.answer(reason, decided_by, until))
    }

    #[inline]
    fn answer(&self, reason: Reason, decided_by: DecidedBy, valid_until: Option<Timestamp>) -> Decision {
        Decision { reason, decided_by, revision: self.revision(), valid_until, in_grace: false }
    }

    /// The denial that a permission outside the view gets from everybody, if it is the same for everybody.
    #[inline]
    fn denied(&self, view: &View, permission: PermissionIndex) -> Option<Reason> {
        if self.index.system.contains(permission) {
            return (self.kind != OrganizationKind::Platform).then_some(Reason::SystemScope);
        }
        let (at, _) = self.index.part(permission)?;
        match view.parts.get(at)? {
            PartState::Denied(reason) => Some(*reason),
            _ => None,
        }
    }

    pub(crate) fn registered(&self, kind: KindIndex, id: &str) -> Option<&Registered> {
        let resources = &self.rare.as_deref()?.resources;
        let at = resources.binary_search_by(|it| (it.kind, &*it.id).cmp(&(kind, id))).ok()?;
        resources.get(at)
    }

    pub(crate) fn overlay(&self, slot: &Slot) -> Option<&Overlay> {
        self.rare.as_deref().and_then(|rare| rare.overlays.get(slot.overlay() as usize))
    }

    pub(crate) fn previewed(&self, principal: PrincipalId, module: u16) -> bool {
        self.rare.as_deref().is_some_and(|rare| rare.previews.binary_search(&(principal, module)).is_ok())
    }

    /// What a member's roles give without window or condition, whatever is entitled; empty for others.
    pub fn plain_roles(&self, principal: PrincipalId) -> PermissionSet {
        self.slot(principal)
            .and_then(|slot| self.role_set(slot))
            .map(|set| set.all().clone())
            .unwrap_or_default()
    }
}
