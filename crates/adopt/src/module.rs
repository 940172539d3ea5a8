//! The adopted module: the other system's own permissions as entries of the installation's own document, beside the shipped catalogue.

use crate::facts::LegacyFacts;
use crate::naming::{self, MODULE};
use charter_catalogue::OwnCatalogue;
use charter_kernel::catalogue::{Catalogue, Module, ModuleScope, Permission};
use std::collections::BTreeSet;

/// What the description of a permission begins with that was taken over; its name there follows.
pub const TAKEN_OVER: &str = "Taken over: ";

/// The submodule that all of them stand in.
const SUBMODULE: &str = "permissions";

/// An own document with the permissions of another system in it; those that stood there before stay. The same one when there is nothing
/// to add.
#[must_use]
pub fn with_permissions(own: &OwnCatalogue, shipped: &Catalogue, facts: &LegacyFacts) -> OwnCatalogue {
    let mut own = own.clone();
    let (Ok(key), Ok(submodule)) = (MODULE.parse(), SUBMODULE.parse()) else { return own };
    let known: BTreeSet<String> =
        own.catalogue.permissions.iter().map(|permission| permission.code.as_str().to_owned()).collect();
    let mut actions: BTreeSet<String> =
        own.catalogue.actions.iter().chain(&shipped.actions).map(|(action, _)| action.clone()).collect();
    let mut added = false;
    for name in &facts.permissions {
        let Some(code) = naming::code(name).filter(|code| !known.contains(code.as_str())) else { continue };
        if actions.insert(code.action().to_owned()) {
            own.catalogue
                .actions
                .push((code.action().to_owned(), "Taken over from another system".to_owned()));
        }
        own.catalogue.retired.retain(|(retired, _)| *retired != code);
        own.catalogue.permissions.push(Permission {
            code,
            submodule: Clone::clone(&submodule),
            description: format!("{TAKEN_OVER}{name}"),
            dangerous: false,
        });
        added = true;
    }
    if !added {
        return own;
    }
    if !own.catalogue.modules.iter().any(|module| module.key == key) {
        own.catalogue.modules.push(Module {
            key,
            name: "Adopted".to_owned(),
            description: "Permissions taken over from another system, as they were".to_owned(),
            bundled: false,
            always_on: true,
            scope: ModuleScope::Organization,
            depends_on: Vec::new(),
            legacy_keys: Vec::new(),
            submodules: vec![(submodule, "All of them".to_owned())],
        });
    }
    if own.catalogue.version.is_empty() {
        "adopted-1".clone_into(&mut own.catalogue.version);
    }
    own.sort();
    own
}

/// An own document without them.
#[must_use]
pub fn without_permissions(own: &OwnCatalogue) -> OwnCatalogue {
    let mut own = own.clone();
    let of_module = |code: &charter_kernel::PermissionCode| code.module() == MODULE;
    let used: BTreeSet<String> = own
        .catalogue
        .permissions
        .iter()
        .filter(|permission| !of_module(&permission.code))
        .map(|permission| permission.code.action().to_owned())
        .collect();
    let taken: BTreeSet<String> = own
        .catalogue
        .permissions
        .iter()
        .filter(|permission| of_module(&permission.code))
        .map(|permission| permission.code.action().to_owned())
        .collect();
    own.catalogue.permissions.retain(|permission| !of_module(&permission.code));
    own.catalogue.modules.retain(|module| module.key.as_str() != MODULE);
    own.catalogue.actions.retain(|(action, _)| !taken.contains(action) || used.contains(action));
    own
}
