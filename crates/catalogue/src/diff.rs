//! What a new version of a catalogue changes: entry by entry, field by field, and for each role the permissions it gains and loses.

use crate::lint::{Lint, Weight, codes_of};
use charter_kernel::PermissionCode;
use charter_kernel::catalogue::{Catalogue, ModuleScope, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

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

type Fields = BTreeMap<String, String>;
type Entries = BTreeMap<String, Fields>;

fn fields<const N: usize>(list: [(&str, String); N]) -> Fields {
    list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn joined<T: ToString>(list: &[T]) -> String {
    let mut list: Vec<String> = list.iter().map(ToString::to_string).collect();
    list.sort();
    list.join(", ")
}

fn yes_no(flag: bool) -> String {
    (if flag { "yes" } else { "no" }).to_owned()
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

fn actions(it: &Catalogue) -> Entries {
    it.actions.iter().map(|(key, text)| (key.clone(), fields([("description", text.clone())]))).collect()
}

fn retired(it: &Catalogue) -> Entries {
    it.retired.iter().map(|(code, why)| (code.to_string(), fields([("reason", why.clone())]))).collect()
}

fn scope(scope: ModuleScope) -> String {
    match scope {
        ModuleScope::Organization => "org",
        ModuleScope::System => "system",
    }
    .to_owned()
}

fn modules(it: &Catalogue) -> Entries {
    let entry = |module: &charter_kernel::catalogue::Module| {
        let mut made = fields([
            ("name", module.name.clone()),
            ("description", module.description.clone()),
            ("bundled", yes_no(module.bundled)),
            ("always_on", yes_no(module.always_on)),
            ("scope", scope(module.scope)),
            ("depends_on", joined(&module.depends_on)),
            ("legacy_keys", joined(&module.legacy_keys)),
        ]);
        for (submodule, description) in &module.submodules {
            made.insert(format!("submodules.{submodule}"), description.clone());
        }
        (module.key.to_string(), made)
    };
    it.modules.iter().map(entry).collect()
}

fn permissions(it: &Catalogue) -> Entries {
    let entry = |permission: &charter_kernel::catalogue::Permission| {
        let made = fields([
            ("submodule", permission.submodule.to_string()),
            ("description", permission.description.clone()),
            ("dangerous", yes_no(permission.dangerous)),
        ]);
        (permission.code.to_string(), made)
    };
    it.permissions.iter().map(entry).collect()
}

fn conflicts(it: &Catalogue) -> Entries {
    let entry = |conflict: &charter_kernel::catalogue::Conflict| {
        let severity = match conflict.severity {
            Severity::Block => "block",
            Severity::Warn => "warn",
        };
        let made = fields([
            ("severity", severity.to_owned()),
            ("left", joined(&conflict.left)),
            ("right", joined(&conflict.right)),
            ("why", conflict.why.clone()),
        ]);
        (conflict.key.to_string(), made)
    };
    it.conflicts.iter().map(entry).collect()
}

fn limits(it: &Catalogue) -> Entries {
    let entry = |limit: &charter_kernel::catalogue::Limit| {
        let made = fields([
            ("description", limit.description.clone()),
            ("unit", limit.unit.clone()),
            ("kind", limit.kind.as_str().to_owned()),
            ("period", (if limit.monthly { "month" } else { "none" }).to_owned()),
        ]);
        (limit.key.to_string(), made)
    };
    it.limits.iter().map(entry).collect()
}

fn plans(it: &Catalogue) -> Entries {
    let entry = |plan: &charter_kernel::catalogue::Plan| {
        let mut made = fields([
            ("name", plan.name.clone()),
            ("description", plan.description.clone()),
            ("rank", plan.rank.to_string()),
            ("trial_days", plan.trial_days.to_string()),
            ("modules", joined(&plan.modules)),
        ]);
        for limit in &plan.limits {
            let value = limit.value.map_or_else(|| "unlimited".to_owned(), |value| value.to_string());
            made.insert(
                format!("limits.{}", limit.limit),
                format!("{value} ({})", limit.enforcement.as_str()),
            );
        }
        (plan.key.to_string(), made)
    };
    it.plans.iter().map(entry).collect()
}

fn resource_types(it: &Catalogue) -> Entries {
    let entry = |kind: &charter_kernel::catalogue::ResourceType| {
        let mut made = fields([("name", kind.name.clone()), ("registered", kind.registered.to_string())]);
        for action in &kind.actions {
            let text = format!("{} from level {}", action.permission, action.minimum_level.as_str());
            made.insert(format!("actions.{}", action.action), text);
        }
        (kind.key.to_string(), made)
    };
    it.resource_types.iter().map(entry).collect()
}

fn role_words(it: &Catalogue) -> Entries {
    let entry = |role: &charter_kernel::catalogue::CatalogueRole| {
        let made = fields([
            ("name", role.role.name.clone()),
            ("description", role.description.clone()),
            ("level", role.role.level.as_str().to_owned()),
            ("scope", (if role.system { "system" } else { "org" }).to_owned()),
            ("aliases", joined(&role.aliases)),
            ("sod_exempt", yes_no(role.sod_exempt)),
            ("parents", joined(&role.role.parents)),
        ]);
        (role.role.key.to_string(), made)
    };
    it.roles.iter().map(entry).collect()
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

fn findings(old: &Catalogue, new: &Catalogue) -> Vec<Lint> {
    let mut found = Vec::new();
    let mut add = |severity, rule, at: String, what: String| found.push(Lint { severity, rule, at, what });
    let retired: BTreeSet<&str> = new.retired.iter().map(|(code, _)| code.as_str()).collect();
    for permission in &old.permissions {
        let code = &permission.code;
        let at = format!("permissions.{code}");
        match new.permission(code.as_str()) {
            None if !retired.contains(code.as_str()) => {
                add(
                    Weight::Error,
                    "code_vanished",
                    at,
                    "is gone without a word; list it under [retired] with the reason".to_owned(),
                );
            }
            None => {}
            Some(now) => {
                if now.submodule != permission.submodule {
                    add(
                        Weight::Error,
                        "code_moved",
                        at.clone(),
                        format!(
                            "moved from submodule `{}` to `{}`, so other entitlements decide about it; retire the code and add a new one",
                            permission.submodule, now.submodule
                        ),
                    );
                }
                if permission.dangerous && !now.dangerous {
                    add(
                        Weight::Warning,
                        "danger_dropped",
                        at,
                        "is no longer dangerous: nothing asks again before it is used or given".to_owned(),
                    );
                }
            }
        }
    }
    for (code, _) in &old.retired {
        if !retired.contains(code.as_str()) {
            add(
                Weight::Error,
                "retired_dropped",
                format!("retired.{code}"),
                "was retired and left the list, so it could be used again; keep it there".to_owned(),
            );
        }
    }
    for module in &old.modules {
        let at = format!("modules.{}", module.key);
        match new.module(module.key.as_str()) {
            None => {
                let what = "is gone; organizations that are entitled to it lose it";
                add(Weight::Warning, "module_vanished", at, what.to_owned());
            }
            Some(now) => {
                if now.scope != module.scope {
                    let what = "works in another scope now, so each of its codes means something else; add a new module instead";
                    add(Weight::Error, "scope_changed", format!("{at}.scope"), what.to_owned());
                }
                if module.always_on && !now.always_on {
                    let what = "is no longer always on: organizations without an entitlement lose it";
                    add(Weight::Warning, "always_on_dropped", format!("{at}.always_on"), what.to_owned());
                }
            }
        }
    }
    for conflict in &old.conflicts {
        let at = format!("conflicts.{}", conflict.key);
        match new.conflicts.iter().find(|now| now.key == conflict.key) {
            None => add(
                Weight::Warning,
                "conflict_dropped",
                at,
                "is gone: the combination is no longer watched".to_owned(),
            ),
            Some(now) if conflict.severity == Severity::Block && now.severity == Severity::Warn => {
                add(
                    Weight::Warning,
                    "conflict_weakened",
                    at,
                    "only warns now and no longer refuses".to_owned(),
                );
            }
            Some(_) => {}
        }
    }
    for role in &old.roles {
        if new.role(&role.role.key).is_none() {
            let what = "is gone; who holds it loses everything it gave";
            add(Weight::Warning, "role_vanished", format!("roles.{}", role.role.key), what.to_owned());
        }
    }
    found.sort();
    found
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

fn sign(became: Became) -> char {
    match became {
        Became::Added => '+',
        Became::Removed => '-',
        Became::Changed => '~',
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &[FieldChange]) -> fmt::Result {
    let shown = |value: &Option<String>| match value.as_deref() {
        None => "nothing".to_owned(),
        Some("") => "empty".to_owned(),
        Some(text) => format!("\"{text}\""),
    };
    for field in fields {
        writeln!(f, "      {}: {} -> {}", field.field, shown(&field.before), shown(&field.after))?;
    }
    Ok(())
}

impl fmt::Display for CatalogueDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "catalogue {} -> {}", self.version_before, self.version_after)?;
        if self.is_empty() {
            writeln!(f, "nothing differs")?;
        }
        for (name, changes) in self.sections() {
            if changes.is_empty() {
                continue;
            }
            let count = |which| changes.iter().filter(|change| change.became == which).count();
            let (added, removed, changed) =
                (count(Became::Added), count(Became::Removed), count(Became::Changed));
            writeln!(f, "\n{name}: {added} added, {removed} removed, {changed} changed")?;
            for change in changes {
                writeln!(f, "  {} {}", sign(change.became), change.key)?;
                write_fields(f, &change.fields)?;
            }
        }
        if !self.roles.is_empty() {
            writeln!(f, "\nroles: who holds one of these gains or loses")?;
            for role in &self.roles {
                let (gains, loses) = (role.gains.len(), role.loses.len());
                writeln!(f, "  {} {} (gains {gains}, loses {loses})", sign(role.became), role.key)?;
                write_fields(f, &role.fields)?;
                for code in &role.gains {
                    writeln!(f, "      + {code}")?;
                }
                for code in &role.loses {
                    writeln!(f, "      - {code}")?;
                }
            }
        }
        if !self.findings.is_empty() {
            writeln!(f, "\nfindings")?;
            for finding in &self.findings {
                writeln!(f, "  {finding}")?;
            }
        }
        Ok(())
    }
}
