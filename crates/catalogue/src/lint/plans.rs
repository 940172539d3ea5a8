//! Plans and limits: what a plan includes exists, is not always on, and brings what it needs.

use super::Run;
use charter_kernel::catalogue::ModuleScope;
use std::collections::{BTreeMap, BTreeSet};

impl Run<'_> {
    pub(super) fn limits(&mut self) {
        use charter_kernel::entitlement::LimitKind;
        for limit in &self.it.limits {
            let at = format!("limits.{}.period", limit.key);
            match (limit.kind, limit.monthly) {
                (LimitKind::Gauge, true) => self.error(
                    "limit_period",
                    at,
                    "a gauge counts what exists now and has no period; write \"none\"",
                ),
                (LimitKind::Counter, false) => self.warning(
                    "limit_period",
                    at,
                    "a counter without a period only ever grows; write \"month\"",
                ),
                _ => {}
            }
        }
    }

    pub(super) fn plans(&mut self) {
        let it = self.it;
        let mut ranks: BTreeMap<i64, &str> = BTreeMap::new();
        for plan in &it.plans {
            let at = format!("plans.{}", plan.key);
            if let Some(other) = ranks.insert(plan.rank, plan.key.as_str()) {
                self.warning(
                    "rank_shared",
                    format!("{at}.rank"),
                    format!("plan `{other}` has it too, so neither is an upgrade of the other"),
                );
            }
            let mut seen = BTreeSet::new();
            for key in &plan.modules {
                let at = format!("{at}.modules");
                if !seen.insert(key) {
                    self.error("key_twice", at.clone(), format!("`{key}` stands here twice; remove one"));
                }
                match it.module(key.as_str()) {
                    None => self.error(
                        "module_unknown",
                        at,
                        format!("module `{key}` does not exist; add it or leave it out"),
                    ),
                    Some(module) if module.scope == ModuleScope::System => self.error(
                        "plan_module_system",
                        at,
                        format!(
                            "`{key}` works across organizations and is never part of a plan; leave it out"
                        ),
                    ),
                    Some(module) if module.always_on => {
                        self.error(
                            "plan_module_always_on",
                            at,
                            format!("`{key}` is always on and needs no mention; leave it out"),
                        );
                    }
                    Some(module) => {
                        for needed in &module.depends_on {
                            let there = plan.modules.contains(needed)
                                || it.module(needed.as_str()).is_some_and(|needed| needed.always_on);
                            if !there {
                                self.error(
                                    "plan_dependency",
                                    at.clone(),
                                    format!("`{key}` needs `{needed}`; add it to the plan"),
                                );
                            }
                        }
                    }
                }
            }
            for limit in &plan.limits {
                let at = format!("{at}.limits.{}", limit.limit);
                if !it.limits.iter().any(|known| known.key == limit.limit) {
                    self.error(
                        "limit_unknown",
                        at.clone(),
                        "no such limit exists; add it to [limits] or leave it out",
                    );
                }
                if limit.value.is_some_and(|value| value < 0) {
                    self.error("limit_negative", at, "a limit is 0 or more; leave `value` out for unlimited");
                }
            }
        }
    }
}
