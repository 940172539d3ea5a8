//! Keys that stand twice, descriptions that say nothing or too much, and actions.

use super::Run;
use charter_kernel::PermissionCode;
use std::collections::BTreeSet;

/// The most words a description may have.
const DESCRIPTION_WORDS: usize = 12;

impl Run<'_> {
    /// The document's form keeps keys unique; a catalogue from elsewhere has to prove it.
    pub(super) fn unique_keys(&mut self) {
        let it = self.it;
        let mut all: Vec<String> = Vec::new();
        all.extend(it.actions.iter().map(|(action, _)| format!("actions.{action}")));
        all.extend(it.retired.iter().map(|(code, _)| format!("retired.{code}")));
        all.extend(it.modules.iter().map(|module| format!("modules.{}", module.key)));
        for module in &it.modules {
            let key = &module.key;
            all.extend(
                module
                    .submodules
                    .iter()
                    .map(|(submodule, _)| format!("modules.{key}.submodules.{submodule}")),
            );
        }
        all.extend(it.permissions.iter().map(|permission| format!("permissions.{}", permission.code)));
        all.extend(it.roles.iter().map(|role| format!("roles.{}", role.role.key)));
        all.extend(it.conflicts.iter().map(|conflict| format!("conflicts.{}", conflict.key)));
        all.extend(it.limits.iter().map(|limit| format!("limits.{}", limit.key)));
        for plan in &it.plans {
            all.push(format!("plans.{}", plan.key));
            all.extend(plan.limits.iter().map(|limit| format!("plans.{}.limits.{}", plan.key, limit.limit)));
        }
        for kind in &it.resource_types {
            all.push(format!("resource_types.{}", kind.key));
            all.extend(
                kind.actions
                    .iter()
                    .map(|action| format!("resource_types.{}.actions.{}", kind.key, action.action)),
            );
        }
        let mut seen = BTreeSet::new();
        for at in all {
            if !seen.insert(at.clone()) {
                self.error("key_twice", at, "stands here twice; remove one");
            }
        }
    }

    fn described(&mut self, at: String, text: &str) {
        let words = text.split_whitespace().count();
        if words == 0 {
            self.error("description_missing", at, "says nothing; describe it in a few words");
        } else if words > DESCRIPTION_WORDS {
            self.error(
                "description_long",
                at,
                format!("has {words} words; say it in at most {DESCRIPTION_WORDS}"),
            );
        }
    }

    pub(super) fn descriptions(&mut self) {
        let it = self.it;
        for (action, text) in &it.actions {
            self.described(format!("actions.{action}"), text);
        }
        for module in &it.modules {
            let key = &module.key;
            self.described(format!("modules.{key}.name"), &module.name);
            self.described(format!("modules.{key}.description"), &module.description);
            for (submodule, text) in &module.submodules {
                self.described(format!("modules.{key}.submodules.{submodule}"), text);
            }
        }
        for permission in &it.permissions {
            self.described(format!("permissions.{}.description", permission.code), &permission.description);
        }
        for role in &it.roles {
            let key = &role.role.key;
            self.described(format!("roles.{key}.name"), &role.role.name);
            self.described(format!("roles.{key}.description"), &role.description);
        }
        for conflict in &it.conflicts {
            self.described(format!("conflicts.{}.why", conflict.key), &conflict.why);
        }
        for limit in &it.limits {
            self.described(format!("limits.{}.description", limit.key), &limit.description);
            self.described(format!("limits.{}.unit", limit.key), &limit.unit);
        }
        for plan in &it.plans {
            self.described(format!("plans.{}.name", plan.key), &plan.name);
            self.described(format!("plans.{}.description", plan.key), &plan.description);
        }
        for kind in &it.resource_types {
            self.described(format!("resource_types.{}.name", kind.key), &kind.name);
        }
    }

    pub(super) fn actions(&mut self) {
        let it = self.it;
        let used: BTreeSet<&str> = it.permissions.iter().map(|permission| permission.code.action()).collect();
        for (action, _) in &it.actions {
            if format!("module.resource.{action}").parse::<PermissionCode>().is_err() {
                self.error(
                    "action_form",
                    format!("actions.{action}"),
                    "cannot be the last word of a code; use a-z, 0-9 and _",
                );
            }
            if !used.contains(action.as_str()) {
                self.warning(
                    "action_unused",
                    format!("actions.{action}"),
                    "no permission uses it; remove it or add the permission",
                );
            }
        }
    }
}
