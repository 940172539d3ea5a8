//! What patterns match, and what a role holds by them.

use charter_kernel::catalogue::{Catalogue, CatalogueRole};
use charter_kernel::{Pattern, PermissionCode, RoleKey};
use std::collections::{BTreeMap, BTreeSet};

/// The permissions a role of the catalogue holds, parents included.
pub fn codes_of(catalogue: &Catalogue, role: &RoleKey) -> BTreeSet<PermissionCode> {
    let patterns: Vec<&Pattern> = lineage(catalogue, role)
        .into_iter()
        .flat_map(|role| role.role.permissions.iter().map(|line| &line.pattern))
        .collect();
    matching(catalogue, patterns.into_iter())
}

/// The role and every role above it, each once, whatever cycles there are.
fn lineage<'c>(catalogue: &'c Catalogue, role: &RoleKey) -> Vec<&'c CatalogueRole> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![role];
    let mut found = Vec::new();
    while let Some(key) = waiting.pop() {
        if !seen.insert(key) {
            continue;
        }
        if let Some(role) = catalogue.role(key) {
            found.push(role);
            waiting.extend(&role.role.parents);
        }
    }
    found
}

pub(super) fn matching<'p>(
    catalogue: &Catalogue,
    patterns: impl Iterator<Item = &'p Pattern>,
) -> BTreeSet<PermissionCode> {
    let patterns: Vec<&Pattern> = patterns.collect();
    catalogue
        .permissions
        .iter()
        .filter(|permission| patterns.iter().any(|pattern| pattern.matches(&permission.code)))
        .map(|permission| permission.code.clone())
        .collect()
}

pub(super) fn some_of(codes: &BTreeSet<PermissionCode>) -> String {
    let shown: Vec<&str> = codes.iter().take(3).map(PermissionCode::as_str).collect();
    let more = codes.len().saturating_sub(shown.len());
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", shown.join(", "))
}

/// Patterns with the codes each matches.
type Matched<'p> = Vec<(&'p Pattern, BTreeSet<PermissionCode>)>;

/// How many of the patterns match each code: a pattern all of whose codes are matched twice adds nothing.
pub(super) fn matched_times<'p>(
    catalogue: &Catalogue,
    patterns: impl Iterator<Item = &'p Pattern>,
) -> (Matched<'p>, BTreeMap<PermissionCode, usize>) {
    let mut times: BTreeMap<PermissionCode, usize> = BTreeMap::new();
    let each: Matched<'p> =
        patterns.map(|pattern| (pattern, matching(catalogue, std::iter::once(pattern)))).collect();
    for code in each.iter().flat_map(|(_, codes)| codes) {
        *times.entry(code.clone()).or_default() += 1;
    }
    (each, times)
}
