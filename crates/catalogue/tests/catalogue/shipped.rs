//! What ships is what its head comment and the design say.

use charter_catalogue::{parse, print, shipped};
use charter_kernel::catalogue::{Catalogue, Severity};
use std::collections::BTreeSet;

fn codes(catalogue: &Catalogue, role: &str) -> BTreeSet<String> {
    let role = &catalogue.role(&role.parse().unwrap()).unwrap().role;
    catalogue
        .permissions
        .iter()
        .filter(|permission| role.permissions.iter().any(|line| line.pattern.matches(&permission.code)))
        .map(|permission| permission.code.to_string())
        .collect()
}

#[test]
fn the_shipped_catalogue_has_the_counts_of_its_header() {
    let it = shipped().unwrap();
    assert_eq!(it.version, "2026.11.0");
    assert_eq!(it.modules.len(), 18);
    assert_eq!(it.modules.iter().filter(|module| module.bundled).count(), 13);
    assert_eq!(it.modules.iter().map(|module| module.submodules.len()).sum::<usize>(), 47);
    assert_eq!(it.permissions.len(), 445);
    assert_eq!(it.permissions.iter().filter(|permission| permission.dangerous).count(), 106);
    assert_eq!(it.actions.len(), 28);
    assert_eq!(it.roles.len(), 22);
    assert_eq!(it.roles.iter().map(|role| role.aliases.len()).sum::<usize>(), 84);
    assert_eq!(it.conflicts.len(), 26);
    assert_eq!(it.conflicts.iter().filter(|conflict| conflict.severity == Severity::Block).count(), 20);
    assert_eq!(it.plans.len(), 4);
    assert_eq!(it.limits.len(), 11);
    assert_eq!(it.resource_types.len(), 8);
    assert_eq!(it.resource_types.iter().map(|kind| kind.actions.len()).sum::<usize>(), 45);
    assert!(it.retired.is_empty());
}

#[test]
fn each_shipped_role_holds_as_many_codes_as_the_design_counts() {
    let it = shipped().unwrap();
    for (role, level, count, dangerous) in [
        ("superadmin", "admin", 445, 106),
        ("org_admin", "admin", 410, 85),
        ("manager", "manager", 138, 8),
        ("auditor", "viewer", 116, 5),
        ("finance_manager", "manager", 96, 27),
        ("accountant", "developer", 69, 3),
        ("production_manager", "manager", 65, 8),
        ("planner", "developer", 55, 2),
        ("warehouse_manager", "manager", 54, 7),
        ("crm_agent", "developer", 47, 0),
        ("sales_officer", "developer", 43, 0),
        ("purchasing_manager", "manager", 38, 3),
        ("qc_inspector", "developer", 33, 2),
        ("purchasing_officer", "developer", 30, 3),
        ("warehouse_operator", "developer", 25, 0),
        ("hr_officer", "developer", 19, 5),
        ("viewer", "viewer", 17, 0),
        ("cutting_operator", "viewer", 16, 0),
        ("embroidery_operator", "viewer", 16, 0),
        ("sewing_operator", "viewer", 16, 0),
        ("finishing_operator", "viewer", 16, 0),
        ("packing_operator", "viewer", 16, 0),
    ] {
        let held = codes(&it, role);
        assert_eq!(held.len(), count, "{role}");
        let found = held.iter().filter(|code| it.permission(code).unwrap().dangerous).count();
        assert_eq!(found, dangerous, "{role}");
        assert_eq!(it.role(&role.parse().unwrap()).unwrap().role.level.as_str(), level, "{role}");
    }
}

#[test]
fn the_printed_catalogue_reads_back_to_an_equal_one_and_prints_the_same() {
    let it = shipped().unwrap();
    let printed = print(&it);
    let again = parse(&printed).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(again, it);
    assert_eq!(print(&again), printed);
}

#[test]
fn the_shipped_catalogue_keeps_every_rule_and_deserves_two_looks() {
    let found = charter_catalogue::lint(&shipped().unwrap());
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "warning: roles.manager: holds sales.price_lists.update and sales.orders.create, against conflict `price_and_order`: Selling \
             below price to friends [conflict_touched]",
            "warning: permissions.*.schedules.*: modules production, reports share this resource and the actions create, read, update; a \
             question by type and action must name the whole code [resource_shared]",
        ]
    );
}
