//! Floors: which crate may depend on which. Cargo keeps a floor from using what it does not list; this table keeps
//! the list itself short. Dependencies of tests are free: a test may look down from any height.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::Finding;

/// One crate, the crates of the workspace it may use, and whether it is pure.
struct Floor {
    name: &'static str,
    may_use: &'static [&'static str],
    kind: Kind,
}

#[derive(PartialEq, Eq)]
enum Kind {
    /// Values in, values out: no clock, randomness, I/O, async, SQL or HTTP.
    Pure,
    /// The one crate that names the database drivers.
    Seam,
    Ordinary,
}

const ANY: &[&str] = &["*"];

const FLOORS: &[Floor] = &[
    Floor { name: "charter-kernel", may_use: &[], kind: Kind::Pure },
    Floor { name: "charter-catalogue", may_use: &["charter-kernel"], kind: Kind::Pure },
    Floor { name: "charter-policy", may_use: &["charter-kernel"], kind: Kind::Pure },
    Floor { name: "charter-db", may_use: &["charter-kernel"], kind: Kind::Seam },
    Floor { name: "charter-store", may_use: &["charter-kernel", "charter-db"], kind: Kind::Ordinary },
    Floor {
        name: "charter-app",
        may_use: &["charter-kernel", "charter-catalogue", "charter-policy", "charter-store", "charter-db"],
        kind: Kind::Ordinary,
    },
    Floor {
        name: "charter-api",
        may_use: &["charter-kernel", "charter-catalogue", "charter-policy", "charter-app"],
        kind: Kind::Ordinary,
    },
    Floor { name: "charter-courier", may_use: &["charter-kernel", "charter-app"], kind: Kind::Ordinary },
    Floor {
        name: "charter-adopt",
        may_use: &["charter-kernel", "charter-catalogue", "charter-policy", "charter-db"],
        kind: Kind::Ordinary,
    },
    Floor { name: "charter", may_use: ANY, kind: Kind::Ordinary },
    Floor { name: "charter-testkit", may_use: ANY, kind: Kind::Ordinary },
    Floor { name: "xtask", may_use: ANY, kind: Kind::Ordinary },
];

const DRIVERS: &[&str] = &["rusqlite", "tokio-postgres", "tokio-postgres-rustls", "deadpool-postgres"];

const NOT_IN_PURE: &[&str] = &[
    "tokio",
    "futures-util",
    "axum",
    "http",
    "tower",
    "reqwest",
    "getrandom",
    "aws-lc-rs",
    "rustls",
    "tracing",
    "tempfile",
];

/// The workspace as Cargo sees it, read without the network.
///
/// # Errors
/// When Cargo cannot be run or does not answer with its document.
pub fn metadata(root: &Path) -> Result<Value, String> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata is not JSON: {error}"))
}

/// Every dependency that leads to a floor the crate may not touch.
#[must_use]
pub fn check(metadata: &Value) -> Vec<Finding> {
    let packages = metadata.get("packages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let root = metadata.get("workspace_root").and_then(Value::as_str).unwrap_or_default();
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let members: Vec<String> = packages.iter().map(|package| text(package, "name")).collect();
    let mut findings = Vec::new();
    for package in packages {
        let name = text(package, "name");
        let manifest = text(package, "manifest_path");
        let path = manifest.strip_prefix(root).unwrap_or(&manifest).trim_start_matches(['/', '\\']);
        let Some(floor) = FLOORS.iter().find(|floor| floor.name == name) else {
            findings.push(Finding::new(
                path,
                1,
                format!("give {name} a row in the table of xtask/src/floors.rs: which crates may it use?"),
            ));
            continue;
        };
        let dependencies =
            package.get("dependencies").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for dependency in dependencies.iter().filter(|dependency| text(dependency, "kind") != "dev") {
            let used = text(dependency, "name");
            if let Some(advice) = floor.objection(&used, &members) {
                findings.push(Finding::new(path, line_of(&manifest, &used), advice));
            }
        }
    }
    findings
}

impl Floor {
    fn objection(&self, used: &str, members: &[String]) -> Option<String> {
        let name = self.name;
        if members.iter().any(|member| member == used) {
            if self.may_use == ANY || self.may_use.contains(&used) {
                return None;
            }
            let allowed = if self.may_use.is_empty() {
                "no crate of the workspace".to_owned()
            } else {
                self.may_use.join(", ")
            };
            return Some(format!("remove {used}: {name} may use {allowed}"));
        }
        if DRIVERS.contains(&used) && self.kind != Kind::Seam {
            return Some(format!("remove {used}: only charter-db names a database driver; speak through it"));
        }
        if NOT_IN_PURE.contains(&used) && self.kind == Kind::Pure {
            return Some(format!("remove {used}: {name} is pure; take the value as an argument instead"));
        }
        None
    }
}

/// The line of a manifest that lists a dependency; 1 when the manifest cannot be read.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let Ok(text) = std::fs::read_to_string(manifest) else { return 1 };
    let names = |line: &str| {
        line.trim_start().strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    text.lines().position(names).map_or(1, |index| index + 1)
}
