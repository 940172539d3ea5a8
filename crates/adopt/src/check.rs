//! What the catalogue and the mapping say of what was read: roles that become nothing because nobody said what, and modules that nobody
//! knows. The documents of modules are read by the rule that is in force for organizations without entitlements of their own.

use crate::anomaly::AnomalyKind;
use crate::mapping::{Becomes, Mapping, shipped};
use crate::source::Heard;
use charter_kernel::catalogue::Catalogue;
use charter_policy::legacy::enabled_modules;
use charter_policy::{Index, IndexError};
use std::collections::HashMap;

/// Longest name of a module that is shown whole.
const SHOWN_MAX: usize = 80;

/// A name of the other system in quotes, with what would turn or hide text by its number.
#[must_use]
pub fn shown(name: &str) -> String {
    let cut: String = name.chars().take(SHOWN_MAX).collect();
    format!("{cut:?}")
}

/// Notes the roles that are neither shipped nor mapped, with each user who holds one, and modules that cannot be told.
pub fn judge(heard: &mut Heard, mapping: Option<&Mapping>, catalogue: &Catalogue) -> Result<(), IndexError> {
    judge_roles(heard, mapping, catalogue);
    if heard.facts.organizations.iter().any(|organization| organization.enabled_modules.is_some()) {
        judge_modules(heard, &Index::new(catalogue)?);
    }
    Ok(())
}

/// A role that came with permissions keeps them; a word or a bare name has to be shipped or mapped.
fn judge_roles(heard: &mut Heard, mapping: Option<&Mapping>, catalogue: &Catalogue) {
    let facts = &heard.facts;
    if !facts.permissions.is_empty() {
        return;
    }
    let is_known = |name: &str| match mapping.and_then(|mapping| mapping.roles.get(name)) {
        Some(becomes) => *becomes != Becomes::Unknown,
        None => shipped(catalogue, name).is_some(),
    };
    let unknown: HashMap<u32, &str> = facts
        .roles
        .iter()
        .enumerate()
        .filter(|(_, role)| !is_known(&role.name))
        .filter_map(|(place, role)| u32::try_from(place).ok().map(|place| (place, role.name.as_str())))
        .collect();
    if unknown.is_empty() {
        return;
    }
    for user in facts.users.iter() {
        for name in facts.role_sets.members(user.roles).iter().filter_map(|role| unknown.get(role)) {
            let row = format!("user {}", user.id);
            heard.anomalies.note(
                AnomalyKind::UnknownRole,
                row,
                format!("{}: neither shipped nor mapped", shown(name)),
            );
        }
    }
}

fn judge_modules(heard: &mut Heard, index: &Index) {
    for organization in &heard.facts.organizations {
        let row = || format!("organization {}", organization.id);
        let told = enabled_modules(organization.enabled_modules.as_deref(), index);
        if told.unreadable {
            let found = shown(organization.enabled_modules.as_deref().unwrap_or_default());
            heard.anomalies.note(AnomalyKind::UnreadableModules, row(), found);
        }
        for name in &told.unknown {
            heard.anomalies.note(AnomalyKind::UnknownModule, row(), shown(name));
        }
        for (module, value) in &told.odd {
            let detail =
                format!("{}: {}", module.as_str(), value.chars().take(SHOWN_MAX).collect::<String>());
            heard.anomalies.note(AnomalyKind::OddModule, row(), detail);
        }
        for module in &told.folded_twice {
            heard.anomalies.note(AnomalyKind::DoubledModule, row(), module.as_str());
        }
    }
}
