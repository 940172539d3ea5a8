//! The shipped roles by every permission, as ticks a person can review.

use charter_kernel::Reason;
use charter_kernel::facts::{AssignmentFact, OrganizationKind, Subject};
use charter_kernel::{AssignmentId, Window};
use charter_policy::{Check, Context, Index, Interner, Shard};
use std::fmt::Write as _;
use std::sync::Arc;

/// Lines of the matrix: each role asked in an organization that has every module, as the engine answers.
fn matrix() -> String {
    let catalogue = charter_catalogue::parse(charter_catalogue::SHIPPED).unwrap();
    let index = Arc::new(Index::new(&catalogue).unwrap());
    let columns: Vec<Vec<bool>> = catalogue
        .roles
        .iter()
        .map(|role| {
            let mut facts = crate::world::facts();
            facts.organization.kind =
                if role.system { OrganizationKind::Platform } else { OrganizationKind::Customer };
            facts.entitlements =
                catalogue.modules.iter().map(|module| crate::world::enabled(module.key.as_str())).collect();
            facts.assignments.push(AssignmentFact {
                id: AssignmentId(1),
                role: role.role.key.clone(),
                subject: Subject::Principal(crate::world::principal(1)),
                window: Window::ALWAYS,
                condition: None,
            });
            let shard = Shard::compile(&index, &facts, &Interner::new()).unwrap();
            index
                .all()
                .iter()
                .map(|permission| {
                    let decision = shard.decide(&Check {
                        subject: crate::world::principal(1),
                        permission,
                        minimum_level: None,
                        resource: None,
                        now: crate::world::NOW,
                        context: &Context::EMPTY,
                        ceiling: None,
                    });
                    let expected = [Reason::GrantedByRole, Reason::NoGrant, Reason::SystemScope];
                    assert!(expected.contains(&decision.reason), "{decision:?}");
                    decision.is_allow()
                })
                .collect()
        })
        .collect();
    let mut text = String::from(
        "Who may do what by role alone, in an organization that has every module; superadmin in the platform organization.\n\
         x = may, . = may not, ! = dangerous. Columns:\n",
    );
    for (at, role) in catalogue.roles.iter().enumerate() {
        let count = columns[at].iter().filter(|may| **may).count();
        let letter = char::from(b'a' + at as u8);
        writeln!(
            text,
            "  {letter} {:<22} {:<10} {count:>3}",
            role.role.key.as_str(),
            role.role.level.as_str()
        )
        .unwrap();
    }
    let letters: String = (0..columns.len()).map(|at| char::from(b'a' + at as u8)).collect();
    for (row, code) in index.codes().iter().enumerate() {
        let starts_module = row == 0 || index.codes()[row - 1].module() != code.module();
        if starts_module {
            writeln!(text, "\n  {:<44} {letters}", code.module()).unwrap();
        }
        let danger = if catalogue.permission(code.as_str()).unwrap().dangerous { '!' } else { ' ' };
        let ticks: String = columns.iter().map(|column| if column[row] { 'x' } else { '.' }).collect();
        writeln!(text, "{danger} {:<44} {ticks}", code.as_str()).unwrap();
    }
    text
}

#[test]
fn the_matrix_of_roles_and_permissions_is_as_reviewed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/matrix.txt");
    let found = matrix();
    if std::env::var_os("CHARTER_ACCEPT_MATRIX").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let reviewed = std::fs::read_to_string(path).unwrap_or_default();
    let changed: Vec<String> = found
        .lines()
        .filter(|line| !reviewed.lines().any(|it| it == *line))
        .map(|line| format!("+ {line}"))
        .chain(
            reviewed
                .lines()
                .filter(|line| !found.lines().any(|it| it == *line))
                .map(|line| format!("- {line}")),
        )
        .collect();
    assert!(
        found == reviewed,
        "roles give something else than reviewed:\n{}\nif that is meant, run the tests with CHARTER_ACCEPT_MATRIX=1 and review tests/matrix.txt",
        changed.join("\n")
    );
}

#[test]
fn the_shipped_catalogue_has_the_roles_its_design_counts() {
    let catalogue = charter_catalogue::parse(charter_catalogue::SHIPPED).unwrap();
    let index = Index::new(&catalogue).unwrap();
    let counts: Vec<(&str, usize)> =
        ["superadmin", "org_admin", "manager", "auditor", "finance_manager", "viewer"]
            .into_iter()
            .map(|role| (role, index.shipped_role(&role.parse().unwrap()).unwrap().len()))
            .collect();
    assert_eq!(
        counts,
        [
            ("superadmin", 445),
            ("org_admin", 410),
            ("manager", 138),
            ("auditor", 116),
            ("finance_manager", 96),
            ("viewer", 17)
        ]
    );
}

#[test]
fn patterns_as_sets_are_patterns_as_texts() {
    let catalogue = charter_catalogue::parse(charter_catalogue::SHIPPED).unwrap();
    let index = Index::new(&catalogue).unwrap();
    let mut patterns: Vec<String> =
        ["*", "*.*.*", "*.*.read", "platform.*.*", "platform.*.read", "*.accounts.*", "no.*.*", "a.b.c"]
            .map(Into::into)
            .to_vec();
    for role in &catalogue.roles {
        patterns.extend(role.role.permissions.iter().map(|line| line.pattern.to_string()));
    }
    for pattern in patterns {
        let pattern: charter_kernel::Pattern = pattern.parse().unwrap();
        let set = index.pattern(&pattern);
        for (at, code) in index.codes().iter().enumerate() {
            let permission = charter_policy::PermissionIndex(at as u16);
            assert_eq!(set.contains(permission), pattern.matches(code), "{pattern} {code}");
            assert_eq!(index.permission(code.as_str()), Some(permission));
        }
    }
}

#[test]
fn types_of_the_shipped_catalogue_have_two_names() {
    let index = Index::new(&charter_catalogue::parse(charter_catalogue::SHIPPED).unwrap()).unwrap();
    for (one, other) in [
        ("account", "accounts"),
        ("api_key", "api_keys"),
        ("backup", "backups"),
        ("dashboard", "boards"),
        ("product", "products"),
        ("report", "definitions"),
        ("warehouse", "warehouses"),
        ("webhook", "webhooks"),
    ] {
        assert_eq!(index.kind(one), index.kind(other), "{one} {other}");
        assert!(index.kind(one).is_some());
    }
    assert_ne!(index.kind("warehouse"), index.kind("transactions"));
    assert_eq!(index.kind("nothing"), None);
}
