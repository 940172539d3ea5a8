//! The dependency graph against the table of floors.

use serde_json::{Value, json};

fn dependency(name: &str) -> Value {
    json!({ "name": name, "kind": null })
}

fn found(packages: &[(&str, Vec<Value>)]) -> Vec<String> {
    let packages: Vec<Value> = packages
        .iter()
        .map(|(name, dependencies)| {
            let manifest = format!("/repository/crates/{name}/Cargo.toml");
            json!({ "name": name, "manifest_path": manifest, "dependencies": dependencies })
        })
        .collect();
    let metadata = json!({ "workspace_root": "/repository", "packages": packages });
    xtask::floors::check(&metadata).iter().map(ToString::to_string).collect()
}

#[test]
fn a_floor_may_use_the_floors_below_it() {
    let packages = [
        ("charter-kernel", vec![]),
        ("charter-policy", vec![dependency("charter-kernel"), dependency("cel")]),
        ("charter-db", vec![dependency("rusqlite")]),
        ("charter", vec![dependency("charter-policy"), dependency("charter-db")]),
    ];
    assert_eq!(found(&packages), Vec::<String>::new());
}

#[test]
fn a_floor_that_reaches_up_or_sideways_is_named() {
    let packages = [
        ("charter-kernel", vec![]),
        ("charter-db", vec![]),
        ("charter-policy", vec![dependency("charter-db")]),
    ];
    assert_eq!(
        found(&packages),
        ["crates/charter-policy/Cargo.toml:1: remove charter-db: charter-policy may use charter-kernel"]
    );
    let packages = [("charter-kernel", vec![dependency("charter-policy")]), ("charter-policy", vec![])];
    assert_eq!(found(&packages).len(), 1);
}

#[test]
fn a_test_may_use_any_crate() {
    let in_tests = json!({ "name": "charter-testkit", "kind": "dev" });
    assert_eq!(
        found(&[("charter-testkit", vec![]), ("charter-store", vec![in_tests])]),
        Vec::<String>::new()
    );
}

#[test]
fn a_driver_outside_the_seam_and_input_or_output_in_a_pure_crate_are_named() {
    assert_eq!(found(&[("charter-store", vec![dependency("tokio-postgres")])]).len(), 1);
    assert_eq!(found(&[("charter", vec![dependency("rusqlite")])]).len(), 1);
    assert_eq!(found(&[("charter-policy", vec![dependency("tokio")])]).len(), 1);
    assert_eq!(found(&[("charter-kernel", vec![dependency("getrandom")])]).len(), 1);
}

#[test]
fn a_new_crate_needs_a_row_in_the_table() {
    let found = found(&[("charter-ledger", vec![])]);
    assert!(found.iter().all(|it| it.contains("charter-ledger a row")) && found.len() == 1, "{found:?}");
}

#[test]
fn the_workspace_keeps_its_floors() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let metadata = xtask::floors::metadata(root).unwrap();
    let found: Vec<String> = xtask::floors::check(&metadata).iter().map(ToString::to_string).collect();
    assert_eq!(found, Vec::<String>::new());
}
