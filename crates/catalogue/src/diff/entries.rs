//! A catalogue as entries of named fields, each a text, so that two can be compared.

use charter_kernel::catalogue::{Catalogue, ModuleScope, Severity};
use std::collections::BTreeMap;

pub(super) type Fields = BTreeMap<String, String>;

pub(super) type Entries = BTreeMap<String, Fields>;

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

pub(super) fn actions(it: &Catalogue) -> Entries {
    it.actions.iter().map(|(key, text)| (key.clone(), fields([("description", text.clone())]))).collect()
}

pub(super) fn retired(it: &Catalogue) -> Entries {
    it.retired.iter().map(|(code, why)| (code.to_string(), fields([("reason", why.clone())]))).collect()
}

fn scope(scope: ModuleScope) -> String {
    match scope {
        ModuleScope::Organization => "org",
        ModuleScope::System => "system",
    }
    .to_owned()
}

pub(super) fn modules(it: &Catalogue) -> Entries {
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

pub(super) fn permissions(it: &Catalogue) -> Entries {
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

pub(super) fn conflicts(it: &Catalogue) -> Entries {
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

pub(super) fn limits(it: &Catalogue) -> Entries {
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

pub(super) fn plans(it: &Catalogue) -> Entries {
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

pub(super) fn resource_types(it: &Catalogue) -> Entries {
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

pub(super) fn role_words(it: &Catalogue) -> Entries {
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
