//! What a new version of a catalogue changes: entry by entry, field by field, and for each role the permissions it gains and loses.

mod entries;
mod findings;
mod print;

use crate::lint::{Lint, Weight, codes_of};
use charter_kernel::PermissionCode;
use charter_kernel::catalogue::Catalogue;
use entries::{
    Entries, Fields, actions, conflicts, limits, modules, permissions, plans, resource_types, retired,
    role_words,
};
use findings::findings;
use std::collections::BTreeSet;

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Became {
    Added,
    Removed,
    Changed,
}

/// One field of a changed entry.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// Its value before, as text; none when it was not there.
    pub before: Option<String>,
    /// Its value after, as text; none when it is gone.
    pub after: Option<String>,
}

/// One entry that was added, removed or changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EntryChange {
    /// Its key.
    pub key: String,
    /// What became of it.
    pub became: Became,
    /// What changed in it; empty when it was added or removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
}

/// A role that changed, or whose reach changed because permissions came and went.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RoleChange {
    /// The role's key.
    pub key: String,
    /// What became of it.
    pub became: Became,
    /// What changed in its words, not in its permissions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// Permissions it holds now and did not before.
    pub gains: Vec<String>,
    /// Permissions it held before and does not now.
    pub loses: Vec<String>,
}

/// Everything between two catalogues.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[expect(missing_docs, reason = "each field is a list of what it names")]
pub struct CatalogueDiff {
    pub version_before: String,
    pub version_after: String,
    pub actions: Vec<EntryChange>,
    pub retired: Vec<EntryChange>,
    pub modules: Vec<EntryChange>,
    pub permissions: Vec<EntryChange>,
    pub roles: Vec<RoleChange>,
    pub conflicts: Vec<EntryChange>,
    pub limits: Vec<EntryChange>,
    pub plans: Vec<EntryChange>,
    pub resource_types: Vec<EntryChange>,
    /// What must not happen between two versions, and what deserves a look.
    pub findings: Vec<Lint>,
}

impl CatalogueDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.sections().iter().all(|(_, changes)| changes.is_empty())
    }

    /// Whether the new version may replace the old one.
    pub fn may_apply(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Weight::Error)
    }

    fn sections(&self) -> [(&'static str, &[EntryChange]); 8] {
        [
            ("actions", &self.actions),
            ("retired", &self.retired),
            ("modules", &self.modules),
            ("permissions", &self.permissions),
            ("conflicts", &self.conflicts),
            ("limits", &self.limits),
            ("plans", &self.plans),
            ("resource types", &self.resource_types),
        ]
    }
}

fn compare(before: &Entries, after: &Entries) -> Vec<EntryChange> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let change = |became, fields| EntryChange { key: key.clone(), became, fields };
        match (before.get(key), after.get(key)) {
            (None, Some(_)) => changes.push(change(Became::Added, Vec::new())),
            (Some(_), None) => changes.push(change(Became::Removed, Vec::new())),
            (Some(old), Some(new)) if old != new => {
                changes.push(change(Became::Changed, field_changes(old, new)))
            }
            _ => {}
        }
    }
    changes
}

fn field_changes(old: &Fields, new: &Fields) -> Vec<FieldChange> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| FieldChange {
            field: name.clone(),
            before: old.get(name).cloned(),
            after: new.get(name).cloned(),
        })
        .collect()
}

fn role_changes(old: &Catalogue, new: &Catalogue) -> Vec<RoleChange> {
    let held = |it: &Catalogue, key: &str| -> BTreeSet<PermissionCode> {
        key.parse().map(|key| codes_of(it, &key)).unwrap_or_default()
    };
    let (before, after) = (role_words(old), role_words(new));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let (was, is) = (held(old, key), held(new, key));
        let gains: Vec<String> = is.difference(&was).map(ToString::to_string).collect();
        let loses: Vec<String> = was.difference(&is).map(ToString::to_string).collect();
        let (became, fields) = match (before.get(key), after.get(key)) {
            (None, _) => (Became::Added, Vec::new()),
            (_, None) => (Became::Removed, Vec::new()),
            (Some(old), Some(new)) => (Became::Changed, field_changes(old, new)),
        };
        if became != Became::Changed || !fields.is_empty() || !gains.is_empty() || !loses.is_empty() {
            changes.push(RoleChange { key: key.clone(), became, fields, gains, loses });
        }
    }
    changes
}

/// Compares two catalogues.
pub fn diff(old: &Catalogue, new: &Catalogue) -> CatalogueDiff {
    CatalogueDiff {
        version_before: old.version.clone(),
        version_after: new.version.clone(),
        actions: compare(&actions(old), &actions(new)),
        retired: compare(&retired(old), &retired(new)),
        modules: compare(&modules(old), &modules(new)),
        permissions: compare(&permissions(old), &permissions(new)),
        roles: role_changes(old, new),
        conflicts: compare(&conflicts(old), &conflicts(new)),
        limits: compare(&limits(old), &limits(new)),
        plans: compare(&plans(old), &plans(new)),
        resource_types: compare(&resource_types(old), &resource_types(new)),
        findings: findings(old, new),
    }
}
