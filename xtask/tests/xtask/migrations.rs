//! Names and numbers of migrations.

use crate::{one, violations};

#[test]
fn pairs_numbered_from_one_are_in_order() {
    let found = violations(&[
        ("migrations/0001_organizations.sql", ""),
        ("migrations/0001_organizations.down.sql", ""),
        ("migrations/0002_grants.sql", ""),
        ("migrations/0002_grants.down.sql", ""),
        ("migrations/README.md", ""),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_migration_without_its_partner_is_named() {
    one(&violations(&[("migrations/0001_a.sql", "")]), "migrations/0001_a.sql:1:", "0001_a.down.sql");
    one(&violations(&[("migrations/0001_a.down.sql", "")]), "migrations/0001_a.down.sql:1:", "0001_a.sql");
}

#[test]
fn a_gap_and_a_number_used_twice_are_named() {
    let gap = [
        ("migrations/0001_a.sql", ""),
        ("migrations/0001_a.down.sql", ""),
        ("migrations/0003_b.sql", ""),
        ("migrations/0003_b.down.sql", ""),
    ];
    one(&violations(&gap), "migrations/0003_b.sql:1:", "0002");
    let twice = [
        ("migrations/0001_a.sql", ""),
        ("migrations/0001_a.down.sql", ""),
        ("migrations/0001_b.sql", ""),
        ("migrations/0001_b.down.sql", ""),
    ];
    one(&violations(&twice), "migrations/0001_b.sql:1:", "taken");
}

#[test]
fn another_form_of_name_is_refused() {
    one(&violations(&[("migrations/1_a.sql", "")]), "migrations/1_a.sql:1:", "NNNN");
    one(&violations(&[("migrations/notes.txt", "")]), "migrations/notes.txt:1:", "NNNN");
}
