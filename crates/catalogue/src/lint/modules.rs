//! Modules: what they depend on, their legacy names, their submodules, and whether anybody can reach them.

use super::Run;
use super::cycles::cycles;
use charter_kernel::PermissionCode;
use charter_kernel::catalogue::ModuleScope;
use std::collections::BTreeMap;

impl Run<'_> {
    pub(super) fn modules(&mut self) {
        let it = self.it;
        let mut legacy: BTreeMap<String, &str> = BTreeMap::new();
        for module in &it.modules {
            legacy.insert(module.key.as_str().to_owned(), module.key.as_str());
        }
        let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for module in &it.modules {
            let key = module.key.as_str();
            let at = format!("modules.{key}");
            if format!("{key}.resource.read").parse::<PermissionCode>().is_err() {
                self.error(
                    "module_form",
                    at.clone(),
                    "cannot be the first word of a code; use a-z, 0-9 and _",
                );
            }
            edges.insert(key, module.depends_on.iter().map(|needed| needed.as_str()).collect());
            for needed in &module.depends_on {
                let at = format!("{at}.depends_on");
                match it.module(needed.as_str()) {
                    None => self.error("dependency_unknown", at, format!("module `{needed}` does not exist; add it or leave it out")),
                    Some(other) if other.scope == ModuleScope::System && module.scope != ModuleScope::System => self.error(
                        "dependency_system",
                        at,
                        format!("`{needed}` works across organizations and is never part of a plan; leave it out"),
                    ),
                    Some(other) if module.always_on && !other.always_on => self.error(
                        "dependency_optional",
                        at,
                        format!("`{key}` is always on but needs `{needed}`, which can be switched off; make both always on or neither"),
                    ),
                    Some(_) => {}
                }
            }
            for name in &module.legacy_keys {
                let at = format!("{at}.legacy_keys");
                let folded = name.trim().to_lowercase();
                if folded != *name || folded.is_empty() {
                    self.error(
                        "legacy_key_form",
                        at.clone(),
                        format!("`{name}` is compared in lower case without blanks; write `{folded}`"),
                    );
                }
                match legacy.insert(folded, key) {
                    Some(other) if other == key => {
                        self.error(
                            "legacy_key_twice",
                            at,
                            format!("`{name}` already means this module; remove it"),
                        );
                    }
                    Some(other) => self.error(
                        "legacy_key_twice",
                        at,
                        format!("`{name}` already means module `{other}`; keep it at one of them"),
                    ),
                    None => {}
                }
            }
            if module.submodules.is_empty() {
                self.error("module_empty", at.clone(), "has no submodules; add at least one");
            }
            for (submodule, _) in &module.submodules {
                let used = it
                    .permissions
                    .iter()
                    .any(|permission| permission.code.module() == key && permission.submodule == *submodule);
                if !used {
                    self.warning(
                        "submodule_empty",
                        format!("{at}.submodules.{submodule}"),
                        "no permission belongs to it",
                    );
                }
            }
            let reached = it.roles.iter().any(|role| {
                let held = self.held.get(&role.role.key);
                let reaches = held.is_some_and(|held| held.iter().any(|code| code.module() == key));
                !role.system && role.sod_exempt && reaches
            });
            if module.scope == ModuleScope::Organization && !reached {
                self.warning(
                    "module_unreached",
                    at,
                    "no administrator role of organizations holds any of its permissions, so nobody there can give them",
                );
            }
        }
        for cycle in cycles(&edges) {
            let first = cycle.first().copied().unwrap_or_default();
            self.error(
                "dependency_cycle",
                format!("modules.{first}.depends_on"),
                format!("goes round: {} -> {first}; cut it", cycle.join(" -> ")),
            );
        }
    }
}
