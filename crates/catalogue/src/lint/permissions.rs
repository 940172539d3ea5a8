//! Permission codes: each has an action, a module and a submodule, and a retired one never comes back.

use super::Run;
use std::collections::{BTreeMap, BTreeSet};

impl Run<'_> {
    pub(super) fn permissions(&mut self) {
        let it = self.it;
        let actions: BTreeSet<&str> = it.actions.iter().map(|(action, _)| action.as_str()).collect();
        let mut places: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for permission in &it.permissions {
            let code = &permission.code;
            let at = format!("permissions.{code}");
            if !actions.contains(code.action()) {
                self.error(
                    "action_unknown",
                    at.clone(),
                    format!("action `{}` is not declared; add it to [actions] or use another", code.action()),
                );
            }
            match it.module(code.module()) {
                None => self.error(
                    "module_unknown",
                    at,
                    format!("module `{}` does not exist; add it or correct the code", code.module()),
                ),
                Some(module) => {
                    if !module.submodules.iter().any(|(submodule, _)| *submodule == permission.submodule) {
                        self.error(
                            "submodule_unknown",
                            format!("{at}.submodule"),
                            format!(
                                "module `{}` has no submodule `{}`; add it or name another",
                                module.key, permission.submodule
                            ),
                        );
                    }
                }
            }
            places.entry((code.resource(), code.action())).or_default().insert(code.module());
        }
        let mut shared: BTreeMap<(&str, BTreeSet<&str>), Vec<&str>> = BTreeMap::new();
        for ((resource, action), modules) in places {
            if modules.len() > 1 {
                shared.entry((resource, modules)).or_default().push(action);
            }
        }
        for ((resource, modules), actions) in shared {
            let modules: Vec<&str> = modules.into_iter().collect();
            self.warning(
                "resource_shared",
                format!("permissions.*.{resource}.*"),
                format!(
                    "modules {} share this resource and the actions {}; a question by type and action must name the whole code",
                    modules.join(", "),
                    actions.join(", ")
                ),
            );
        }
    }

    pub(super) fn retired(&mut self) {
        let it = self.it;
        for (code, why) in &it.retired {
            let at = format!("retired.{code}");
            if it.permission(code.as_str()).is_some() {
                self.error(
                    "retired_reused",
                    at.clone(),
                    "this code was retired and must not come back; choose a new code",
                );
            }
            if why.trim().is_empty() {
                self.error(
                    "description_missing",
                    at,
                    "says nothing; write why it was retired and what replaces it",
                );
            }
        }
    }
}
