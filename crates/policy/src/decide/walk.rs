//! The whole walk, for whoever is not plain: every step of the order.

use super::NEVER;
use super::rows::Walk;
use super::scene::{Scene, find};
use crate::check::{Assume, Check};
use crate::entitle::Entitled;
use crate::shard::{Overlay, Section, Shard, Slot, WHOLE};
use charter_kernel::facts::{OrganizationKind, OrganizationStatus, PrincipalStatus};
use charter_kernel::{AssignmentId, BlockId, DecidedBy, Decision, Reason};

impl Shard {
    /// The whole walk, with conditions evaluated or taken in one direction.
    #[inline(never)]
    pub(crate) fn decide_assuming(&self, check: &Check<'_>, assume: Assume) -> Decision {
        let rare = self.rare.as_deref();
        let mut walk = Walk {
            scene: None,
            rare,
            permission: check.permission,
            now: check.now,
            assume,
            until: NEVER,
            fell_away: false,
        };
        let (reason, decided_by, in_grace) = self.walk(check, &mut walk);
        Decision {
            reason,
            decided_by,
            revision: self.revision(),
            valid_until: (walk.until < NEVER).then_some(walk.until),
            in_grace,
        }
    }

    fn walk<'a>(&'a self, check: &'a Check<'a>, walk: &mut Walk<'a>) -> (Reason, DecidedBy, bool) {
        let nothing = |reason| (reason, DecidedBy::Nothing, false);
        let (index, permission, now) = (&self.index, check.permission, check.now);
        // 0 names
        let Some(code) = index.code(permission) else { return nothing(Reason::UnknownPermission) };
        let kind = match &check.resource {
            None => None,
            Some(resource) => match index.kind(resource.kind) {
                Some(kind) if !index.misnamed(kind).contains(permission) => Some(kind),
                _ => return nothing(Reason::UnknownType),
            },
        };
        // 1 organization
        if index.system.contains(permission) && self.kind != OrganizationKind::Platform {
            return nothing(Reason::SystemScope);
        }
        let slot = self.slot(check.subject);
        let overlay = slot.and_then(|slot| self.overlay(slot));
        if let Some(rare) = walk.rare {
            let is_program = slot.is_some_and(Slot::is_program);
            walk.scene = Some(Scene { shard: self, rare, check, kind, is_program, permission: code });
        }
        match self.status {
            OrganizationStatus::Active => {}
            OrganizationStatus::Closed => return nothing(Reason::OrganizationClosed),
            OrganizationStatus::Suspended => {
                let administers = index.suspended.contains(permission)
                    && slot.is_some_and(|slot| {
                        self.role_set(slot).is_some_and(|set| set.administers)
                            || overlay.is_some_and(|overlay| {
                                overlay
                                    .section(Section::Administers)
                                    .iter()
                                    .any(|row| walk.is_live(row) && walk.holds(row))
                            })
                    });
                if !administers {
                    return nothing(Reason::OrganizationSuspended);
                }
            }
        }
        // 2 principal, 3 membership
        let Some(slot) = slot else { return nothing(Reason::NotAMember) };
        if slot.is_special() {
            let Some((_, status, window)) =
                walk.rare.and_then(|rare| find(&rare.extras, check.subject, |it| it.0))
            else {
                return nothing(Reason::NotAMember);
            };
            if *status != PrincipalStatus::Active {
                return nothing(Reason::PrincipalInactive);
            }
            if let Some(next) = window.next_change(now) {
                walk.until = walk.until.min(next);
            }
            if !window.is_live(now) {
                return nothing(Reason::NotAMember);
            }
        }
        // 4 resource
        if check.resource.is_some_and(|resource| resource.registered_elsewhere) {
            return nothing(Reason::CrossOrganization);
        }
        if let (Some(kind), Some(resource)) = (kind, &check.resource)
            && index.is_registered(kind)
            && self.registered(kind, resource.id).is_none()
        {
            return nothing(Reason::UnknownResource);
        }
        // 5 ceiling
        if check.ceiling.is_some_and(|ceiling| !ceiling.contains(permission)) {
            return nothing(Reason::OutOfScope);
        }
        // 6 entitlement
        let (view, next) = self.timeline.at(now);
        walk.until = walk.until.min(next.unwrap_or(NEVER));
        let in_grace = match view.check(index, permission, |module| self.previewed(check.subject, module)) {
            Entitled::Yes { in_grace } => in_grace,
            Entitled::No(reason) => return nothing(reason),
        };
        // 7 block
        let overlays = [overlay, walk.rare.and_then(|rare| rare.everyone.as_ref())];
        let touching = |overlay: &&Overlay| overlay.touched.contains(permission);
        let mut block = None;
        for overlay in overlays.into_iter().flatten().filter(touching) {
            walk.blocked(overlay.section(Section::Block), kind, &mut block);
            if let (Some(kind), Some(resource)) = (kind, &check.resource) {
                walk.blocked(overlay.on(Section::BlockOnResource, kind, resource.id), Some(kind), &mut block);
            }
        }
        if let Some(id) = block {
            return (Reason::Blocked, DecidedBy::Block(BlockId(id)), false);
        }
        // 8 the one resource, 9 its type, 10 the subject
        let overlay = overlay.filter(touching);
        if let Some(overlay) = overlay {
            if let (Some(kind), Some(resource)) = (kind, &check.resource) {
                let rows = overlay.on(Section::OnResource, kind, resource.id);
                if let Some((allow, id)) = walk.level(rows, kind.0) {
                    let reason = if allow { Reason::GrantedOnResource } else { Reason::DeniedOnResource };
                    return (reason, DecidedBy::Grant(id), allow && in_grace);
                }
                if let Some((allow, id)) = walk.level(overlay.section(Section::OnType), kind.0) {
                    let reason = if allow { Reason::GrantedOnType } else { Reason::DeniedOnType };
                    return (reason, DecidedBy::Grant(id), allow && in_grace);
                }
            }
            if let Some((allow, id)) = walk.level(overlay.section(Section::OnOrganization), WHOLE) {
                let reason = if allow { Reason::GrantedToSubject } else { Reason::DeniedForSubject };
                return (reason, DecidedBy::Grant(id), allow && in_grace);
            }
        }
        // 11 roles
        let mut too_low = false;
        if let Some(set) = self.role_set(slot) {
            if set.gives(permission, check.minimum_level) {
                return (Reason::GrantedByRole, DecidedBy::Roles, in_grace);
            }
            too_low = set.all().contains(permission);
        }
        for row in overlay.map_or(&[][..], |overlay| overlay.section(Section::Role)) {
            if !walk.touches(row) || !walk.is_live(row) {
                continue;
            }
            if check.minimum_level.is_some_and(|minimum| row.level < minimum) {
                too_low = true;
            } else if walk.holds(row) {
                return (Reason::GrantedByRole, DecidedBy::Assignment(AssignmentId(row.id)), in_grace);
            } else {
                walk.fell_away = true;
            }
        }
        // 14 nothing left
        nothing(if walk.fell_away {
            Reason::ConditionNotMet
        } else if too_low {
            Reason::LevelTooLow
        } else {
            Reason::NoGrant
        })
    }
}
