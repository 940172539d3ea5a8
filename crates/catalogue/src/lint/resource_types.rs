//! Types of resource: their actions are declared, their permissions exist, and no type hides another name.

use super::Run;
use super::patterns::some_of;
use charter_kernel::PermissionCode;
use std::collections::BTreeSet;

impl Run<'_> {
    pub(super) fn resource_types(&mut self) {
        let it = self.it;
        for kind in &it.resource_types {
            let at = format!("resource_types.{}", kind.key);
            if kind.actions.is_empty() {
                self.error("type_empty", at.clone(), "has no actions; add at least one");
            }
            for action in &kind.actions {
                let at = format!("{at}.actions.{}", action.action);
                if !it.actions.iter().any(|(known, _)| *known == action.action) {
                    self.error(
                        "action_unknown",
                        at.clone(),
                        format!(
                            "action `{}` is not declared; add it to [actions] or use another",
                            action.action
                        ),
                    );
                }
                if it.permission(action.permission.as_str()).is_none() {
                    self.error(
                        "permission_unknown",
                        at.clone(),
                        format!("permission {} does not exist; add it or name another", action.permission),
                    );
                }
                let hidden: BTreeSet<PermissionCode> = it
                    .permissions
                    .iter()
                    .map(|permission| &permission.code)
                    .filter(|code| code.resource() == kind.key.as_str() && code.action() == action.action)
                    .filter(|code| **code != action.permission)
                    .cloned()
                    .collect();
                if !hidden.is_empty() {
                    self.error(
                        "type_hides_permission",
                        at,
                        format!(
                            "type `{}` and action `{}` already mean {}; name the type differently",
                            kind.key,
                            action.action,
                            some_of(&hidden)
                        ),
                    );
                }
            }
        }
    }
}
