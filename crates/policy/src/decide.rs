//! The decision over a shard, in the order the design gives: names, organization, principal, membership, resource,
//! ceiling, entitlement, block, grants on the one resource, on its type, for the subject, roles. Delegation will stand
//! after the roles.
//!
//! [`Shard::decide`] answers plain members of active organizations at once; everything else takes the walk. Neither takes
//! a lock, and neither allocates unless a CEL condition is reached.

use crate::check::{Assertable, Assume, Check, Context};
use crate::condition::{Asked, Outcome, Owner, Stored};
use crate::entitle::{Entitled, PartState, View};
use crate::index::KindIndex;
use crate::set::{PermissionIndex, PermissionSet};
use crate::shard::{ALWAYS, Attributes, NONE, Overlay, Rare, Registered, Row, Section, Shard, Slot, WHOLE};
use charter_kernel::facts::{OrganizationKind, OrganizationStatus, PrincipalKind, PrincipalStatus};
use charter_kernel::{
    AssignmentId, BlockId, DecidedBy, Decision, GrantId, Key, PermissionCode, PrincipalId, Reason, Timestamp,
};

const NEVER: Timestamp = Timestamp(i64::MAX);

/// What conditions read, taken from the shard only when they ask.
struct Scene<'a> {
    shard: &'a Shard,
    rare: &'a Rare,
    check: &'a Check<'a>,
    kind: Option<KindIndex>,
    is_program: bool,
    permission: &'a PermissionCode,
}

impl Scene<'_> {
    fn registered(&self) -> Option<&Registered> {
        let (kind, resource) = (self.kind?, self.check.resource?);
        self.shard.registered(kind, resource.id)
    }
}

fn find<T>(list: &[T], principal: PrincipalId, key: impl Fn(&T) -> PrincipalId) -> Option<&T> {
    list.binary_search_by_key(&principal, key).ok().and_then(|at| list.get(at))
}

impl Asked for Scene<'_> {
    fn now(&self) -> Timestamp {
        self.check.now
    }
    fn context(&self) -> &Context<'_> {
        self.check.context
    }
    fn assertable(&self) -> &Assertable {
        &self.rare.assertable
    }
    fn subject(&self) -> PrincipalId {
        self.check.subject
    }
    fn subject_kind(&self) -> PrincipalKind {
        if self.is_program { PrincipalKind::ServiceAccount } else { PrincipalKind::User }
    }
    fn subject_attributes(&self) -> Stored<'_> {
        match find(&self.rare.attributes, self.check.subject, |it| it.0) {
            None => Stored::Absent,
            Some((_, Attributes::Map(map))) => Stored::Map(map),
            Some((_, Attributes::Unreadable)) => Stored::Unreadable,
        }
    }
    fn teams(&self) -> &[(Key, bool)] {
        find(&self.rare.teams, self.check.subject, |it| it.0).map_or(&[], |(_, teams)| teams)
    }
    fn is_team(&self, key: &Key) -> bool {
        self.rare.team_keys.contains(key)
    }
    fn permission(&self) -> &PermissionCode {
        self.permission
    }
    fn resource(&self) -> Option<(&str, &str)> {
        self.check.resource.map(|resource| (resource.kind, resource.id))
    }
    fn resource_attributes(&self) -> Stored<'_> {
        match self.registered().map(|it| &it.attributes) {
            None => Stored::Absent,
            Some(Some(Attributes::Map(map))) => Stored::Map(map),
            Some(Some(Attributes::Unreadable) | None) => Stored::Unreadable,
        }
    }
    fn owner(&self) -> Owner {
        match self.registered() {
            Some(it) if it.is_doubtful => Owner::Unknown,
            Some(it) => it.owner.map_or(Owner::Nobody, Owner::Is),
            None => Owner::Unknown,
        }
    }
}

/// One walk over the rows.
struct Walk<'a> {
    scene: Option<Scene<'a>>,
    rare: Option<&'a Rare>,
    permission: PermissionIndex,
    now: Timestamp,
    assume: Assume,
    until: Timestamp,
    fell_away: bool,
}

impl<'a> Walk<'a> {
    fn touches(&self, row: &Row) -> bool {
        self.rare
            .and_then(|rare| rare.sets.get(row.set as usize))
            .is_some_and(|set| set.contains(self.permission))
    }

    fn outcome(&mut self, condition: u32) -> Outcome {
        if condition == ALWAYS {
            return Outcome::True;
        }
        let Some((scene, condition)) = self
            .scene
            .as_ref()
            .and_then(|scene| Some((scene, scene.rare.conditions.get(condition as usize)?)))
        else {
            return Outcome::Unknown;
        };
        if let Some(next) = condition.next_change(self.now) {
            self.until = self.until.min(next);
        }
        condition.evaluate(scene)
    }

    /// Whether an allowing row's conditions hold.
    fn holds(&mut self, row: &Row) -> bool {
        match self.assume {
            _ if !row.is_conditional() => true,
            Assume::Best => true,
            Assume::Worst => false,
            Assume::Nothing => {
                let [first, second] = row.conditions;
                self.outcome(first) == Outcome::True && self.outcome(second) == Outcome::True
            }
        }
    }

    /// Whether a denying row applies: conditions that hold, or that cannot be evaluated.
    fn applies(&mut self, row: &Row) -> bool {
        match self.assume {
            _ if !row.is_conditional() => true,
            Assume::Best => false,
            Assume::Worst => true,
            Assume::Nothing => {
                let [first, second] = row.conditions;
                self.outcome(first) != Outcome::False && self.outcome(second) != Outcome::False
            }
        }
    }

    fn is_live(&mut self, row: &Row) -> bool {
        self.until = self.until.min(row.next_change(self.now));
        row.is_live(self.now)
    }

    /// The block with the lowest id among rows that apply.
    fn blocked(&mut self, rows: &[Row], kind: Option<KindIndex>, found: &mut Option<u128>) {
        for row in rows {
            let covers = row.kind == WHOLE || kind.is_some_and(|kind| kind.0 == row.kind);
            if covers
                && self.touches(row)
                && self.is_live(row)
                && found.is_none_or(|id| row.id < id)
                && self.applies(row)
            {
                *found = Some(row.id);
            }
        }
    }

    /// One level of grants: a deny, else an allow, else silence.
    fn level(&mut self, rows: &[Row], kind: u16) -> Option<(bool, GrantId)> {
        let (mut allow, mut deny) = (None, None);
        for row in rows {
            if row.kind != kind || !self.touches(row) || !self.is_live(row) {
                continue;
            }
            if row.deny {
                if deny.is_none() && self.applies(row) {
                    deny = Some(row.id);
                }
            } else if allow.is_none() && deny.is_none() {
                if self.holds(row) {
                    allow = Some(row.id);
                } else {
                    self.fell_away = true;
                }
            }
        }
        match (deny, allow) {
            (Some(id), _) => Some((false, GrantId(id))),
            (None, Some(id)) => Some((true, GrantId(id))),
            (None, None) => None,
        }
    }
}

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
            if resource.registered_elsewhere || self.index.is_registered(kind) {
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
                Some(kind) => Some(kind),
                None => return nothing(Reason::UnknownType),
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

    /// What a member's roles give without window or condition, whatever is entitled; empty for others.
    pub fn plain_roles(&self, principal: PrincipalId) -> PermissionSet {
        self.slot(principal).and_then(|slot| self.role_set(slot)).map(|set| *set.all()).unwrap_or_default()
    }
}
