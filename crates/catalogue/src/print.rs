//! Catalogue to text: canonical, sorted, the same bytes for the same catalogue, and read back to an equal one.

use crate::document::{quote, quote_list};
use crate::merge::OwnCatalogue;
use crate::parse::{FORMAT, LEVELS, OWN_FORMAT};
use charter_kernel::Pattern;
use charter_kernel::catalogue::{Catalogue, ModuleScope, Severity};
use std::fmt::Write;

/// Writes the canonical document of a catalogue.
pub fn print(catalogue: &Catalogue) -> String {
    let own = OwnCatalogue { catalogue: catalogue.clone(), ..OwnCatalogue::default() };
    text(own, false).unwrap_or_default()
}

/// Writes the canonical document of an installation's own additions.
pub fn print_own(own: &OwnCatalogue) -> String {
    text(own.clone(), true).unwrap_or_default()
}

fn lines<'a>(out: &mut String, name: &str, patterns: impl Iterator<Item = &'a Pattern>) -> std::fmt::Result {
    writeln!(out, "{name} = [")?;
    for pattern in patterns {
        writeln!(out, "  {},", quote(pattern.as_str()))?;
    }
    writeln!(out, "]")
}

fn on_one_line(patterns: &[Pattern]) -> String {
    quote_list(patterns.iter().map(Pattern::as_str))
}

/// A key of the document: bare where TOML allows it.
fn bare(key: &str) -> String {
    let plain =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if plain { key.to_owned() } else { quote(key) }
}

fn text(mut own: OwnCatalogue, extension: bool) -> Result<String, std::fmt::Error> {
    own.sort();
    let catalogue = &own.catalogue;
    let mut out = String::with_capacity(96 * 1024);
    writeln!(out, "format = {}", quote(if extension { OWN_FORMAT } else { FORMAT }))?;
    writeln!(out, "version = {}", quote(&catalogue.version))?;
    if !extension {
        writeln!(out, "unmapped_legacy_role = \"deny\"")?;
    }
    if !(extension && catalogue.retired.is_empty()) {
        writeln!(out, "\n[retired]")?;
    }
    for (code, why) in &catalogue.retired {
        writeln!(out, "{} = {}", quote(code.as_str()), quote(why))?;
    }
    if !(extension && catalogue.actions.is_empty()) {
        writeln!(out, "\n[actions]")?;
    }
    for (action, description) in &catalogue.actions {
        writeln!(out, "{} = {}", bare(action), quote(description))?;
    }
    for module in &catalogue.modules {
        let key = &module.key;
        writeln!(out, "\n[modules.{key}]")?;
        writeln!(out, "name = {}", quote(&module.name))?;
        writeln!(out, "description = {}", quote(&module.description))?;
        writeln!(out, "bundled = {}", module.bundled)?;
        writeln!(out, "always_on = {}", module.always_on)?;
        let scope = match module.scope {
            ModuleScope::Organization => "org",
            ModuleScope::System => "system",
        };
        writeln!(out, "scope = {}", quote(scope))?;
        writeln!(out, "depends_on = {}", quote_list(&module.depends_on))?;
        writeln!(out, "legacy_keys = {}", quote_list(&module.legacy_keys))?;
        writeln!(out, "[modules.{key}.submodules]")?;
        for (submodule, description) in &module.submodules {
            writeln!(out, "{submodule} = {}", quote(description))?;
        }
    }
    for (module, submodules) in &own.more_submodules {
        writeln!(out, "\n[modules.{module}.submodules]")?;
        for (submodule, description) in submodules {
            writeln!(out, "{submodule} = {}", quote(description))?;
        }
    }
    if !(extension && catalogue.permissions.is_empty()) {
        writeln!(out, "\n[permissions]")?;
    }
    for permission in &catalogue.permissions {
        writeln!(
            out,
            "{} = {{ submodule = {}, description = {}, dangerous = {} }}",
            quote(permission.code.as_str()),
            quote(permission.submodule.as_str()),
            quote(&permission.description),
            permission.dangerous
        )?;
    }
    for role in &catalogue.roles {
        writeln!(out, "\n[roles.{}]", role.role.key)?;
        writeln!(out, "name = {}", quote(&role.role.name))?;
        writeln!(out, "description = {}", quote(&role.description))?;
        writeln!(out, "level = {}", quote(role.role.level.as_str()))?;
        writeln!(out, "scope = {}", quote(if role.system { "system" } else { "org" }))?;
        writeln!(out, "aliases = {}", quote_list(&role.aliases))?;
        writeln!(out, "sod_exempt = {}", role.sod_exempt)?;
        if !role.role.parents.is_empty() {
            writeln!(out, "parents = {}", quote_list(&role.role.parents))?;
        }
        lines(&mut out, "permissions", role.role.permissions.iter().map(|line| &line.pattern))?;
    }
    for (role, patterns) in &own.more_permissions {
        writeln!(out, "\n[roles.{role}]")?;
        lines(&mut out, "permissions", patterns.iter())?;
    }
    for conflict in &catalogue.conflicts {
        writeln!(out, "\n[conflicts.{}]", conflict.key)?;
        let severity = match conflict.severity {
            Severity::Block => "block",
            Severity::Warn => "warn",
        };
        writeln!(out, "severity = {}", quote(severity))?;
        writeln!(out, "left = {}", on_one_line(&conflict.left))?;
        writeln!(out, "right = {}", on_one_line(&conflict.right))?;
        writeln!(out, "why = {}", quote(&conflict.why))?;
    }
    for limit in &catalogue.limits {
        writeln!(out, "\n[limits.{}]", limit.key)?;
        writeln!(out, "description = {}", quote(&limit.description))?;
        writeln!(out, "unit = {}", quote(&limit.unit))?;
        writeln!(out, "kind = {}", quote(limit.kind.as_str()))?;
        writeln!(out, "period = {}", quote(if limit.monthly { "month" } else { "none" }))?;
    }
    for plan in &catalogue.plans {
        writeln!(out, "\n[plans.{}]", plan.key)?;
        writeln!(out, "name = {}", quote(&plan.name))?;
        writeln!(out, "description = {}", quote(&plan.description))?;
        writeln!(out, "rank = {}", plan.rank)?;
        writeln!(out, "trial_days = {}", plan.trial_days)?;
        writeln!(out, "modules = {}", quote_list(&plan.modules))?;
        if !plan.limits.is_empty() {
            writeln!(out, "[plans.{}.limits]", plan.key)?;
        }
        for limit in &plan.limits {
            let value = limit.value.map(|value| format!("value = {value}, ")).unwrap_or_default();
            let enforcement = quote(limit.enforcement.as_str());
            writeln!(out, "{} = {{ {value}enforcement = {enforcement} }}", limit.limit)?;
        }
    }
    if !extension {
        writeln!(out, "\n[levels]")?;
        for level in LEVELS {
            writeln!(out, "{} = {}", level.as_str(), level as i64)?;
        }
    }
    for kind in &catalogue.resource_types {
        writeln!(out, "\n[resource_types.{}]", kind.key)?;
        writeln!(out, "name = {}", quote(&kind.name))?;
        if kind.registered {
            writeln!(out, "registered = true")?;
        }
        writeln!(out, "[resource_types.{}.actions]", kind.key)?;
        for action in &kind.actions {
            writeln!(
                out,
                "{} = {{ minimum_level = {}, permission = {} }}",
                bare(&action.action),
                quote(action.minimum_level.as_str()),
                quote(action.permission.as_str())
            )?;
        }
    }
    Ok(out)
}
