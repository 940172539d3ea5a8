//! What conditions read, taken from the shard only when they ask.

use crate::check::{Assertable, Check, Context};
use crate::condition::{Asked, Owner, Stored};
use crate::index::KindIndex;
use crate::shard::{Attributes, Rare, Registered, Shard};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{Key, PermissionCode, PrincipalId, Timestamp};

/// What conditions read, taken from the shard only when they ask.
pub(super) struct Scene<'a> {
    pub(super) shard: &'a Shard,
    pub(super) rare: &'a Rare,
    pub(super) check: &'a Check<'a>,
    pub(super) kind: Option<KindIndex>,
    pub(super) is_program: bool,
    pub(super) permission: &'a PermissionCode,
}

impl Scene<'_> {
    fn registered(&self) -> Option<&Registered> {
        let (kind, resource) = (self.kind?, self.check.resource?);
        self.shard.registered(kind, resource.id)
    }
}

pub(super) fn find<T>(list: &[T], principal: PrincipalId, key: impl Fn(&T) -> PrincipalId) -> Option<&T> {
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
