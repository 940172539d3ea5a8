//! What must not happen between two versions, and what deserves a look.

use crate::lint::{Lint, Weight};
use charter_kernel::catalogue::{Catalogue, Severity};
use std::collections::BTreeSet;

/// The module of codes that come with the adoption of another system, and go when that is taken back.
const ADOPTED: &str = "adopted";

pub(super) fn findings(old: &Catalogue, new: &Catalogue) -> Vec<Lint> {
    let mut found = Vec::new();
    let mut add = |severity, rule, at: String, what: String| found.push(Lint { severity, rule, at, what });
    let retired: BTreeSet<&str> = new.retired.iter().map(|(code, _)| code.as_str()).collect();
    for permission in &old.permissions {
        let code = &permission.code;
        let at = format!("permissions.{code}");
        match new.permission(code.as_str()) {
            None if code.module() == ADOPTED => {
                let what = "is gone with the adoption that brought it; whoever had it by that has it no more";
                add(Weight::Warning, "adopted_code_vanished", at, what.to_owned());
            }
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
    let things = |it: &Catalogue| -> BTreeSet<(String, String)> {
        it.permissions.iter().map(|it| (it.code.module().to_owned(), it.code.resource().to_owned())).collect()
    };
    let was_a_name = |name: &str| {
        old.permissions.iter().any(|it| it.code.resource() == name)
            || old.resource_types.iter().any(|it| it.key.as_str() == name)
    };
    for (module, word) in things(old).intersection(&things(new)) {
        let (before, after) = (old.names_of(module, word), new.names_of(module, word));
        let lost = before.difference(&after).map(|name| (*name, "no longer"));
        let taken = after.difference(&before).filter(|name| was_a_name(name)).map(|name| (*name, "now"));
        for (name, says) in lost.chain(taken) {
            let what = format!(
                "{says} stands for the {word} of {module}, so grants, denials and resources written under it would reach other things than before; choose another middle word or type"
            );
            add(Weight::Error, "name_moved", format!("resource_types.{name}"), what);
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
