//! Searching: who can, what can, which resources, which actions. Each asks the engine for every candidate, so that a search
//! can never disagree with a check; the engine is fast enough for that.

use crate::check::{Assume, Check, CheckResource, Context};
use crate::entitle::PartState;
use crate::index::KindIndex;
use crate::set::{PermissionIndex, PermissionSet};
use crate::shard::{Overlay, Shard};
use charter_kernel::facts::{Level, OrganizationStatus};
use charter_kernel::{PrincipalId, Timestamp};
use std::collections::BTreeSet;

/// A check without its subject.
#[derive(Debug, Clone, Copy)]
pub struct WhoCan<'a> {
    /// The permission.
    pub permission: PermissionIndex,
    /// The level the action demands of roles.
    pub minimum_level: Option<Level>,
    /// What it is to be done to.
    pub resource: Option<CheckResource<'a>>,
    /// The server's clock.
    pub now: Timestamp,
    /// What is known of the request.
    pub context: &'a Context<'a>,
}

/// What a principal can do in the organization as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhatCan {
    /// Allowed now, under the circumstances given.
    pub allowed: PermissionSet,
    /// Those, allowed or not, whose answer hangs on a condition.
    pub conditional: PermissionSet,
}

impl Shard {
    /// The members who are allowed, in the order of their ids, beginning after `after`.
    pub fn who_can<'a>(
        &'a self,
        asked: &'a WhoCan<'a>,
        after: Option<PrincipalId>,
    ) -> impl Iterator<Item = PrincipalId> + 'a {
        let members = self.members();
        let start = after.map_or(0, |after| members.partition_point(|member| *member <= after));
        members.into_iter().skip(start).filter(move |member| {
            let check = Check {
                subject: *member,
                permission: asked.permission,
                minimum_level: asked.minimum_level,
                resource: asked.resource,
                now: asked.now,
                context: asked.context,
                ceiling: None,
            };
            self.decide(&check).is_allow()
        })
    }

    /// Every permission the principal has in the organization as a whole.
    pub fn what_can(&self, subject: PrincipalId, now: Timestamp, context: &Context<'_>) -> WhatCan {
        let check = |permission| Check {
            subject,
            permission,
            minimum_level: None,
            resource: None,
            now,
            context,
            ceiling: None,
        };
        let allowed = self
            .index
            .all()
            .iter()
            .filter(|permission| self.decide(&check(*permission)).is_allow())
            .collect();
        let (never_less, never_more) = self.bounds(subject, now);
        WhatCan { allowed, conditional: never_more.without(&never_less) }
    }

    /// The same as what [`Self::what_can`] finds allowed when nothing is known of the request, for asking about every member: only what
    /// rows of theirs touch is decided one by one.
    pub fn allowed_at_large(&self, subject: PrincipalId, now: Timestamp) -> PermissionSet {
        let (mut allowed, walked) = self.plain(subject, now);
        for permission in walked.iter() {
            let check = Check {
                subject,
                permission,
                minimum_level: None,
                resource: None,
                now,
                context: &Context::EMPTY,
                ceiling: None,
            };
            if self.decide(&check).is_allow() {
                allowed.insert(permission);
            }
        }
        allowed
    }

    /// The modules the organization may use now, whole or in part, grace included, each with whether it may.
    pub fn entitled_modules(&self, now: Timestamp) -> Vec<(&str, bool)> {
        let (view, _) = self.timeline.at(now);
        let mut found: Vec<(&str, bool)> = Vec::new();
        for module in &self.index.catalogue().modules {
            let number = self.index.module_number(module.key.as_str());
            let parts = self.index.parts.iter().zip(&view.parts);
            let is_on = parts
                .filter(|(part, _)| Some(part.module) == number)
                .any(|(_, state)| matches!(state, PartState::Allowed | PartState::Grace));
            found.push((module.key.as_str(), is_on));
        }
        found
    }

    /// What a member has by roles alone, and the codes on which rows of theirs, or their standing, have a say.
    fn plain(&self, subject: PrincipalId, now: Timestamp) -> (PermissionSet, PermissionSet) {
        let Some(slot) = self.slot(subject) else { return (PermissionSet::EMPTY, PermissionSet::EMPTY) };
        if self.status != OrganizationStatus::Active || slot.is_special() {
            return (PermissionSet::EMPTY, self.index.all().clone());
        }
        let overlays = [self.overlay(slot), self.rare.as_deref().and_then(|rare| rare.everyone.as_ref())];
        let mut touched = PermissionSet::EMPTY;
        for overlay in overlays.into_iter().flatten() {
            touched.add(&overlay.touched);
        }
        let (view, _) = self.timeline.at(now);
        let entitled = view.for_principal(&self.index, |module| self.previewed(subject, module));
        (self.plain_roles(subject).intersect(&entitled).without(&touched), touched)
    }

    /// What the principal has in the organization as a whole whatever the circumstances, and what it has at best.
    pub(crate) fn bounds(&self, subject: PrincipalId, now: Timestamp) -> (PermissionSet, PermissionSet) {
        let (plain, walked) = self.plain(subject, now);
        let context = Context::EMPTY;
        let (mut worst, mut best) = (plain.clone(), plain);
        for permission in walked.iter() {
            let check = Check {
                subject,
                permission,
                minimum_level: None,
                resource: None,
                now,
                context: &context,
                ceiling: None,
            };
            if self.decide_assuming(&check, Assume::Worst).is_allow() {
                worst.insert(permission);
            }
            if self.decide_assuming(&check, Assume::Best).is_allow() {
                best.insert(permission);
            }
        }
        (worst, best)
    }

    /// The resources of a kind that are registered, or that a row of anybody names.
    pub(crate) fn known_resources(&self, kind: KindIndex) -> BTreeSet<&str> {
        let Some(rare) = self.rare.as_deref() else { return BTreeSet::new() };
        let registered = rare.resources.iter().filter(|it| it.kind == kind).map(|it| &*it.id);
        let named = rare
            .overlays
            .iter()
            .chain(&rare.everyone)
            .flat_map(Overlay::rows)
            .filter(|row| row.kind == kind.0)
            .filter_map(|row| row.resource.as_deref());
        registered.chain(named).collect()
    }

    /// The ids of resources on which the subject of a check is allowed, in order, beginning after `after`: those that are
    /// registered, and those that rows name. The check's own resource is not read.
    pub fn resources<'a>(
        &'a self,
        check: &'a Check<'a>,
        kind: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a str> + 'a {
        let known = self.index.kind(kind).map(|kind| self.known_resources(kind)).unwrap_or_default();
        known.into_iter().filter(move |id| after.is_none_or(|after| *id > after)).filter(move |id| {
            let resource = Some(CheckResource { kind, id, registered_elsewhere: false });
            self.decide(&Check { resource, ..*check }).is_allow()
        })
    }

    /// The names of the actions allowed on a resource, each with the permission it stands for, in order. The check's own
    /// permission and level are not read.
    pub fn actions<'a>(
        &'a self,
        check: &Check<'_>,
        resource: CheckResource<'a>,
    ) -> Vec<(&'a str, PermissionIndex)> {
        let names = self.index.actions(resource.kind);
        names
            .into_iter()
            .filter_map(|name| {
                let (permission, minimum_level) = self.index.resolve(resource.kind, name)?;
                let check = Check { permission, minimum_level, resource: Some(resource), ..*check };
                self.decide(&check).is_allow().then_some((name, permission))
            })
            .collect()
    }
}
