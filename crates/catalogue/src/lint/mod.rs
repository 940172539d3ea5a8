//! The rules a catalogue keeps beyond its form: what its head comment promises, each with a name. An error makes a catalogue unfit to apply; a
//! warning is for a person to judge.

mod conflicts;
mod cycles;
mod modules;
mod patterns;
mod permissions;
mod plans;
mod resource_types;
mod roles;
mod words;

pub use patterns::codes_of;

use charter_kernel::catalogue::Catalogue;
use charter_kernel::{PermissionCode, RoleKey};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// The catalogue must not be applied.
    Error,
    /// A person should look.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Lint {
    /// Error or warning.
    pub severity: Weight,
    /// The rule, by a name that never changes.
    pub rule: &'static str,
    /// The place, as a path of keys.
    pub at: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Weight::Error => "error",
            Weight::Warning => "warning",
        };
        write!(f, "{severity}: {}: {} [{}]", self.at, self.what, self.rule)
    }
}

/// Checks every rule; errors first, then by rule and place. No errors means the catalogue may be applied.
pub fn lint(catalogue: &Catalogue) -> Vec<Lint> {
    let held =
        catalogue.roles.iter().map(|role| (&role.role.key, codes_of(catalogue, &role.role.key))).collect();
    let mut run = Run { it: catalogue, held, found: Vec::new() };
    run.unique_keys();
    run.descriptions();
    run.actions();
    run.modules();
    run.permissions();
    run.retired();
    run.roles();
    run.aliases();
    run.conflicts();
    run.limits();
    run.plans();
    run.resource_types();
    run.found.sort();
    run.found.dedup();
    run.found
}

/// A role name as legacy names are compared: lower case, spaces and dashes as underscores.
pub fn fold_role_name(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

struct Run<'c> {
    it: &'c Catalogue,
    /// What each role holds, parents included.
    held: BTreeMap<&'c RoleKey, BTreeSet<PermissionCode>>,
    found: Vec<Lint>,
}

impl Run<'_> {
    pub(super) fn error(&mut self, rule: &'static str, at: impl Into<String>, what: impl Into<String>) {
        self.found.push(Lint { severity: Weight::Error, rule, at: at.into(), what: what.into() });
    }

    pub(super) fn warning(&mut self, rule: &'static str, at: impl Into<String>, what: impl Into<String>) {
        self.found.push(Lint { severity: Weight::Warning, rule, at: at.into(), what: what.into() });
    }
}
