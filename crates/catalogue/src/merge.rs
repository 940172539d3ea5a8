//! An installation's own document beside the shipped catalogue. It adds; it never redefines or weakens what ships.

use crate::Fault;
use charter_kernel::catalogue::{Catalogue, CatalogueRole, Module};
use charter_kernel::facts::RolePermission;
use charter_kernel::{ModuleKey, Pattern, RoleKey, SubmoduleKey};

/// What an installation adds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OwnCatalogue {
    /// Whole entries of its own; the version is the document's.
    pub catalogue: Catalogue,
    /// Submodules added to modules that ship: `[modules.X.submodules]` without a `[modules.X]`.
    pub more_submodules: Vec<(ModuleKey, Vec<(SubmoduleKey, String)>)>,
    /// Own permissions added to roles that ship: `[roles.X]` with nothing but `permissions`.
    pub more_permissions: Vec<(RoleKey, Vec<Pattern>)>,
}

impl OwnCatalogue {
    /// Brings every list into its order.
    pub fn sort(&mut self) {
        let own = &mut self.catalogue;
        own.actions.sort();
        own.retired.sort();
        own.modules.sort_by(|left, right| left.key.cmp(&right.key));
        for Module { depends_on, legacy_keys, submodules, .. } in &mut own.modules {
            depends_on.sort();
            legacy_keys.sort();
            submodules.sort();
        }
        own.permissions.sort_by(|left, right| left.code.cmp(&right.code));
        own.roles.sort_by(|left, right| left.role.key.cmp(&right.role.key));
        for CatalogueRole { role, aliases, .. } in &mut own.roles {
            role.parents.sort();
            role.permissions.sort_by(|left, right| left.pattern.cmp(&right.pattern));
            aliases.sort();
        }
        own.conflicts.sort_by(|left, right| left.key.cmp(&right.key));
        for conflict in &mut own.conflicts {
            conflict.left.sort();
            conflict.right.sort();
        }
        own.limits.sort_by(|left, right| left.key.cmp(&right.key));
        own.plans.sort_by(|left, right| left.key.cmp(&right.key));
        for plan in &mut own.plans {
            plan.modules.sort();
            plan.limits.sort_by(|left, right| left.limit.cmp(&right.limit));
        }
        own.resource_types.sort_by(|left, right| left.key.cmp(&right.key));
        for kind in &mut own.resource_types {
            kind.actions.sort_by(|left, right| left.action.cmp(&right.action));
        }
        self.more_submodules.sort();
        self.more_permissions.sort();
    }
}

/// Puts an installation's own document beside a catalogue. Run `lint` on the result: a clash of meaning, such as an own role that breaks a
/// shipped conflict, shows there.
pub fn merge(base: &Catalogue, own: &OwnCatalogue) -> Result<Catalogue, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut made = OwnCatalogue { catalogue: base.clone(), ..OwnCatalogue::default() };
    let merged = &mut made.catalogue;
    let added = &own.catalogue;
    merged.version = format!("{}+{}", base.version, added.version);

    let mut shipped_already = |section: &str, key: &str| {
        faults.push(Fault {
            line: None,
            at: format!("{section}.{key}"),
            what: format!("`{key}` ships with Charter and cannot be redefined; choose another name"),
        });
    };
    macro_rules! add {
        ($section:ident, $name:literal, |$entry:ident| $key:expr) => {
            for $entry in &added.$section {
                let key = &$key;
                if base.$section.iter().any(|$entry| $key == *key) {
                    shipped_already($name, &key.to_string());
                } else {
                    merged.$section.push($entry.clone());
                }
            }
        };
    }
    add!(actions, "actions", |entry| entry.0);
    add!(modules, "modules", |entry| entry.key);
    add!(permissions, "permissions", |entry| entry.code);
    add!(roles, "roles", |entry| entry.role.key);
    add!(conflicts, "conflicts", |entry| entry.key);
    add!(limits, "limits", |entry| entry.key);
    add!(plans, "plans", |entry| entry.key);
    add!(resource_types, "resource_types", |entry| entry.key);

    let mut fault = |at: String, what: String| faults.push(Fault { line: None, at, what });
    for (code, why) in &added.retired {
        if base.permission(code.as_str()).is_some() || base.retired.iter().any(|(retired, _)| retired == code)
        {
            fault(
                format!("retired.{code}"),
                format!("`{code}` ships with Charter; an own document retires own codes only"),
            );
        } else {
            merged.retired.push((code.clone(), why.clone()));
        }
    }
    for permission in &added.permissions {
        let code = &permission.code;
        if base.retired.iter().any(|(retired, _)| retired == code) {
            fault(
                format!("permissions.{code}"),
                format!("`{code}` was retired by Charter and its meaning is taken; choose another code"),
            );
        }
        if base
            .module(code.module())
            .is_some_and(|module| module.scope == charter_kernel::catalogue::ModuleScope::System)
        {
            fault(
                format!("permissions.{code}"),
                format!(
                    "module `{}` runs the installation; add permissions to a module of scope org",
                    code.module()
                ),
            );
        }
    }
    for module in &added.modules {
        if module.scope == charter_kernel::catalogue::ModuleScope::System {
            fault(
                format!("modules.{}.scope", module.key),
                "an own module works inside one organization; write scope = \"org\"".to_owned(),
            );
        }
    }
    for role in &added.roles {
        if role.sod_exempt {
            fault(
                format!("roles.{}.sod_exempt", role.role.key),
                "an own role may not be exempt from conflicts, that would weaken the shipped ones; write false".to_owned(),
            );
        }
        if role.system {
            fault(
                format!("roles.{}.scope", role.role.key),
                "an own role is held inside one organization; write scope = \"org\"".to_owned(),
            );
        }
    }
    for (module, submodules) in &own.more_submodules {
        let at = format!("modules.{module}.submodules");
        let Some(target) = merged.modules.iter_mut().find(|entry| entry.key == *module) else {
            fault(at, format!("module `{module}` does not ship; define it whole, beginning with its name"));
            continue;
        };
        if target.scope == charter_kernel::catalogue::ModuleScope::System {
            fault(at, format!("module `{module}` runs the installation and takes no additions"));
            continue;
        }
        for (submodule, description) in submodules {
            if target.submodules.iter().any(|(known, _)| known == submodule) {
                fault(
                    format!("{at}.{submodule}"),
                    format!("`{submodule}` ships with Charter and cannot be redefined; leave it out"),
                );
            } else {
                target.submodules.push((submodule.clone(), description.clone()));
            }
        }
    }
    for (role, patterns) in &own.more_permissions {
        let at = format!("roles.{role}.permissions");
        let Some(target) = merged.roles.iter_mut().find(|entry| entry.role.key == *role) else {
            fault(at, format!("role `{role}` does not ship; define it whole, beginning with its name"));
            continue;
        };
        for pattern in patterns {
            let shipped = base.permissions.iter().find(|permission| pattern.matches(&permission.code));
            if let Some(permission) = shipped {
                fault(
                    at.clone(),
                    format!(
                        "`{pattern}` would give `{role}` the shipped permission {}; a shipped role takes own permissions only",
                        permission.code
                    ),
                );
            } else {
                target.role.permissions.push(RolePermission { pattern: pattern.clone(), condition: None });
            }
        }
    }
    if faults.is_empty() {
        made.sort();
        Ok(made.catalogue)
    } else {
        faults.sort();
        Err(faults)
    }
}
