//! What changes between two versions, for a person and for a program.

use charter_catalogue::diff::Became;
use charter_catalogue::{Weight, diff, shipped};
use charter_kernel::catalogue::{Catalogue, Severity};

fn changed(change: impl FnOnce(&mut Catalogue)) -> Catalogue {
    let mut it = shipped().unwrap();
    change(&mut it);
    it.version = "2027.1.0".to_owned();
    it
}

fn rules(old: &Catalogue, new: &Catalogue) -> Vec<(Weight, &'static str, String)> {
    diff(old, new).findings.into_iter().map(|finding| (finding.severity, finding.rule, finding.at)).collect()
}

#[test]
fn a_catalogue_does_not_differ_from_itself() {
    let it = shipped().unwrap();
    let between = diff(&it, &it);
    assert!(between.is_empty() && between.may_apply());
    assert_eq!(between.to_string(), "catalogue 2026.11.0 -> 2026.11.0\nnothing differs\n");
}

#[test]
fn a_code_that_vanishes_unlisted_is_an_error_and_a_listed_one_is_not() {
    let old = shipped().unwrap();
    let gone =
        changed(|it| it.permissions.retain(|permission| permission.code.as_str() != "crm.leads.export"));
    let found = rules(&old, &gone);
    let lost = "crm.leads.export";
    if old.permission(lost).is_some() {
        assert_eq!(found, [(Weight::Error, "code_vanished", format!("permissions.{lost}"))]);
        assert!(!diff(&old, &gone).may_apply());
    } else {
        panic!("the test needs another code");
    }
    let listed = changed(|it| {
        it.permissions.retain(|permission| permission.code.as_str() != lost);
        it.retired.push((lost.parse().unwrap(), "Nobody exported leads".to_owned()));
    });
    let between = diff(&old, &listed);
    assert!(between.may_apply() && between.findings.is_empty(), "{between}");
    let losers: Vec<&str> =
        between.roles.iter().filter(|role| role.loses == [lost]).map(|role| role.key.as_str()).collect();
    assert_eq!(losers, ["crm_agent", "manager", "org_admin", "superadmin"]);
    assert_eq!(rules(&listed, &old), [(Weight::Error, "retired_dropped", format!("retired.{lost}"))]);
}

#[test]
fn a_change_of_meaning_is_flagged() {
    let old = shipped().unwrap();
    let moved = changed(|it| {
        for permission in &mut it.permissions {
            if permission.code.as_str() == "crm.leads.read" {
                permission.submodule = "contacts".parse().unwrap();
            }
        }
    });
    assert_eq!(rules(&old, &moved), [(Weight::Error, "code_moved", "permissions.crm.leads.read".to_owned())]);
    let tame = changed(|it| {
        for permission in &mut it.permissions {
            if permission.code.as_str() == "admin.roles.assign" {
                permission.dangerous = false;
            }
        }
        for conflict in &mut it.conflicts {
            if conflict.key.as_str() == "payment_self_approval" {
                conflict.severity = Severity::Warn;
            }
        }
        it.conflicts.retain(|conflict| conflict.key.as_str() != "order_self_approval");
        it.roles.retain(|role| role.role.key.as_str() != "viewer");
        for module in &mut it.modules {
            if module.key.as_str() == "email" {
                module.always_on = false;
            }
        }
    });
    assert_eq!(
        rules(&old, &tame),
        [
            (Weight::Warning, "always_on_dropped", "modules.email.always_on".to_owned()),
            (Weight::Warning, "conflict_dropped", "conflicts.order_self_approval".to_owned()),
            (Weight::Warning, "conflict_weakened", "conflicts.payment_self_approval".to_owned()),
            (Weight::Warning, "danger_dropped", "permissions.admin.roles.assign".to_owned()),
            (Weight::Warning, "role_vanished", "roles.viewer".to_owned()),
        ]
    );
    let other_scope = changed(|it| {
        for module in &mut it.modules {
            if module.key.as_str() == "crm" {
                module.scope = charter_kernel::catalogue::ModuleScope::System;
            }
        }
        it.modules.retain(|module| module.key.as_str() != "transport");
    });
    assert_eq!(
        rules(&old, &other_scope),
        [
            (Weight::Error, "scope_changed", "modules.crm.scope".to_owned()),
            (Weight::Warning, "module_vanished", "modules.transport".to_owned()),
        ]
    );
}

#[test]
fn a_name_of_things_never_comes_to_stand_for_others() {
    let old = shipped().unwrap();
    let code = |code: &str, it: &mut Catalogue| {
        let mut permission = it.permissions[0].clone();
        permission.code = code.parse().unwrap();
        it.permissions.push(permission);
    };
    // Products get a second module: `products` would stand for those of sales alone, and rows under it lose those of inventory.
    let second = changed(|it| code("sales.products.read", it));
    assert_eq!(rules(&old, &second), [(Weight::Error, "name_moved", "resource_types.products".to_owned())]);
    // The type goes, and with it the rows written under it.
    let gone = changed(|it| it.resource_types.retain(|kind| kind.key.as_str() != "warehouse"));
    let moved = rules(&old, &gone);
    assert!(
        moved.contains(&(Weight::Error, "name_moved", "resource_types.warehouse".to_owned())),
        "{moved:?}"
    );
    // A new type takes a word nobody else uses: rows under the word reach the same things as before.
    let named = changed(|it| {
        let mut lead = it.resource_types[0].clone();
        lead.key = "lead".parse().unwrap();
        lead.actions.truncate(1);
        lead.actions[0].permission = "crm.leads.read".parse().unwrap();
        it.resource_types.push(lead);
    });
    assert_eq!(rules(&old, &named), []);
    assert_eq!(named.names_of("crm", "leads").into_iter().collect::<Vec<_>>(), ["lead", "leads"]);
    assert_eq!(second.names_of("inventory", "products").into_iter().collect::<Vec<_>>(), ["product"]);
    assert_eq!(second.names_of("sales", "products").into_iter().collect::<Vec<_>>(), ["products"]);
}

#[test]
fn roles_plans_limits_and_conflicts_are_compared_field_by_field() {
    let old = shipped().unwrap();
    let new = changed(|it| {
        for role in &mut it.roles {
            if role.role.key.as_str() == "viewer" {
                role.role.name = "Reader".to_owned();
                role.role.permissions.push(charter_kernel::facts::RolePermission {
                    pattern: "audit.events.read".parse().unwrap(),
                    condition: None,
                });
            }
        }
        for plan in &mut it.plans {
            if plan.key.as_str() == "starter" {
                plan.modules.retain(|module| module.as_str() != "crm");
                for limit in &mut plan.limits {
                    if limit.limit.as_str() == "users" {
                        limit.value = Some(8);
                    }
                }
            }
        }
        it.limits.retain(|limit| limit.key.as_str() != "storage");
    });
    let between = diff(&old, &new);
    assert_eq!(
        between.to_string(),
        "catalogue 2026.11.0 -> 2027.1.0\n\
         \n\
         limits: 0 added, 1 removed, 0 changed\n  \
           - storage\n\
         \n\
         plans: 0 added, 0 removed, 1 changed\n  \
           ~ starter\n      \
               limits.users: \"10 (hard)\" -> \"8 (hard)\"\n      \
               modules: \"crm, finance, inventory, reports, sales\" -> \"finance, inventory, reports, sales\"\n\
         \n\
         roles: who holds one of these gains or loses\n  \
           ~ viewer (gains 1, loses 0)\n      \
               name: \"Viewer\" -> \"Reader\"\n      \
               + audit.events.read\n"
    );
    let json = serde_json::to_value(&between).unwrap();
    assert_eq!(json.pointer("/roles/0/gains/0").unwrap(), "audit.events.read");
    assert_eq!(json.pointer("/plans/0/became").unwrap(), "changed");
    assert!(between.roles.iter().all(|role| role.became == Became::Changed));
}
