//! Kinds of resource: the two names of one thing, and the permission that a kind and an action stand for.

use super::Index;
use super::text_table::TextTable;
use crate::set::{PermissionIndex, PermissionSet};
use charter_kernel::PermissionCode;
use charter_kernel::facts::Level;
use std::collections::BTreeSet;

/// Number of a kind of resource; the singular and the plural name of one kind share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindIndex(pub u16);

/// An action of a kind of resource.
#[derive(Debug)]
pub(super) struct KindAction {
    name: Box<str>,
    permission: PermissionIndex,
    minimum_level: Option<Level>,
}

impl Index {
    /// Kinds: every type of resource and every middle word. The middle word that most actions of a type stand for is
    /// its plural name, unless another type claims it too or several modules use it. A word that is nobody's plural name
    /// is a kind of its own, but not for the permissions a type took it for: there the type's name alone is the thing's name.
    pub(super) fn name_kinds(&mut self) {
        let mut names: BTreeSet<Box<str>> = self.by_resource.keys().cloned().collect();
        names.extend(self.catalogue.resource_types.iter().map(|kind| kind.key.as_str().into()));
        let names: Vec<Box<str>> = names.into_iter().collect();
        let number = |name: &str| names.binary_search_by(|it| (**it).cmp(name)).ok();
        let mut kind_of: Vec<u16> = (0..names.len()).map(|at| at as u16).collect();
        for (word, kind) in self.catalogue.plural_names() {
            if let (Some(word), Some(kind)) = (number(word), number(kind))
                && let Some(slot) = kind_of.get_mut(word)
            {
                *slot = kind as u16;
            }
        }
        let claims = self.catalogue.plural_claims();
        self.kind_names = (0..names.len())
            .map(|at| {
                names
                    .iter()
                    .zip(&kind_of)
                    .filter(|(_, kind)| usize::from(**kind) == at)
                    .map(|(name, _)| name.clone())
                    .collect()
            })
            .collect();
        self.misnamed = (0..names.len())
            .map(|at| {
                let word = names.get(at).map_or("", |name| &**name);
                let is_own = kind_of.get(at).is_some_and(|kind| usize::from(*kind) == at);
                let is_type = self.catalogue.resource_types.iter().any(|it| it.key.as_str() == word);
                let claiming = claims.get(word).filter(|_| is_own && !is_type);
                claiming
                    .into_iter()
                    .flatten()
                    .flat_map(|kind| &kind.actions)
                    .filter(|action| action.permission.resource() == word)
                    .map(|action| {
                        let of_module =
                            self.by_module.get(action.permission.module()).cloned().unwrap_or_default();
                        of_module.intersect(&self.by_resource.get(word).cloned().unwrap_or_default())
                    })
                    .fold(PermissionSet::EMPTY, |all, some| all.union(&some))
            })
            .collect();
        self.kinds = TextTable::new(names.clone());
        self.kind_of = kind_of.into();
        self.kind_actions = names.iter().map(|name| self.actions_of(name)).collect();
        let mut registered = vec![false; self.kind_of.len()];
        for kind in self.catalogue.resource_types.iter().filter(|kind| kind.registered) {
            if let Some(flag) =
                self.kind(kind.key.as_str()).and_then(|kind| registered.get_mut(usize::from(kind.0)))
            {
                *flag = true;
            }
        }
        self.registered = registered.into();
    }

    /// The kind a name stands for, singular or plural.
    #[inline]
    pub fn kind(&self, name: &str) -> Option<KindIndex> {
        let at = self.kinds.get(name)?;
        self.kind_of.get(usize::from(at)).copied().map(KindIndex)
    }

    /// Whether every resource of the kind is registered, so that an id that is not does not exist.
    #[inline]
    pub fn is_registered(&self, kind: KindIndex) -> bool {
        self.registered.get(usize::from(kind.0)).is_some_and(|flag| *flag)
    }

    /// Permissions whose things have another name than this: with `invoice` for the invoices of finance, and invoices in
    /// sales too, `invoices` stands for those of sales only, or one thing of finance had two names and two sets of rows.
    #[inline]
    pub fn misnamed(&self, kind: KindIndex) -> PermissionSet {
        self.misnamed.get(usize::from(kind.0)).cloned().unwrap_or_default()
    }

    /// The names of a kind.
    pub fn kind_names(&self, kind: KindIndex) -> impl Iterator<Item = &str> {
        self.kind_names.get(usize::from(kind.0)).into_iter().flatten().map(|name| &**name)
    }

    /// The permission that a type of resource and an action name, with the level the type demands, if any: an action of the
    /// type, else the one code with one of the kind's names as its middle word. A full permission code as action stands
    /// for itself.
    pub fn resolve(&self, kind: &str, action: &str) -> Option<(PermissionIndex, Option<Level>)> {
        let named = self.named_actions(kind).iter().find(|it| *it.name == *action);
        match named {
            Some(named) => Some((named.permission, named.minimum_level)),
            None if action.contains('.') => self.permission(action).map(|permission| (permission, None)),
            None => None,
        }
    }

    fn named_actions(&self, kind: &str) -> &[KindAction] {
        self.kinds.get(kind).and_then(|at| self.kind_actions.get(usize::from(at))).map_or(&[], |them| them)
    }

    fn find_action(&self, kind: &str, action: &str) -> Option<(PermissionIndex, Option<Level>)> {
        let of_type = |name: &str| {
            let kind = self.catalogue.resource_types.iter().find(|it| it.key.as_str() == name)?;
            let action = kind.actions.iter().find(|it| it.action == action)?;
            Some((self.permission(action.permission.as_str())?, Some(action.minimum_level)))
        };
        if let Some(found) = of_type(kind) {
            return Some(found);
        }
        let same_thing = self.kind(kind).and_then(|kind| self.kind_names(kind).find_map(of_type));
        let names = self.kind(kind).into_iter().flat_map(|kind| self.kind_names(kind));
        let named = names.filter_map(|name| self.by_resource.get(name)).flat_map(PermissionSet::iter);
        let mut codes =
            named.filter(|permission| self.code(*permission).is_some_and(|code| code.action() == action));
        match (codes.next(), codes.next()) {
            (Some(permission), None) => match same_thing {
                Some((of_type, level)) if of_type == permission => Some((permission, level)),
                _ => Some((permission, None)),
            },
            (None, _) => same_thing,
            (Some(_), Some(_)) => None,
        }
    }

    /// The names of actions that resolve for a kind of resource, sorted.
    pub fn actions(&self, kind: &str) -> Vec<&str> {
        self.named_actions(kind).iter().map(|action| &*action.name).collect()
    }

    fn actions_of(&self, kind: &str) -> Box<[KindAction]> {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for name in self.kind(kind).into_iter().flat_map(|number| self.kind_names(number)) {
            if let Some(kind) = self.catalogue.resource_types.iter().find(|it| it.key.as_str() == name) {
                names.extend(kind.actions.iter().map(|action| action.action.as_str()));
            }
            for permission in self.by_resource.get(name).into_iter().flat_map(PermissionSet::iter) {
                names.extend(self.code(permission).map(PermissionCode::action));
            }
        }
        let found = |name: &&str| {
            let (permission, minimum_level) = self.find_action(kind, name)?;
            Some(KindAction { name: (*name).into(), permission, minimum_level })
        };
        names.iter().filter_map(found).collect()
    }

    /// The permissions that the actions of a kind of resource stand for.
    pub fn kind_permissions(&self, kind: &str) -> PermissionSet {
        let named = self.kind(kind).into_iter().flat_map(|number| self.kind_names(number));
        named.fold(PermissionSet::EMPTY, |set, name| {
            let of_type = self.catalogue.resource_types.iter().filter(|it| it.key.as_str() == name);
            let actions = of_type.flat_map(|it| &it.actions);
            let stood_for =
                actions.filter_map(|action| self.permission(action.permission.as_str())).collect();
            set.union(&stood_for).union(&self.by_resource.get(name).cloned().unwrap_or_default())
        })
    }
}
