//! Text to catalogue: strict about keys, types and words, and complete about faults. References between entries are for `lint`.

use crate::document::{self, Fault, Faults, Table, Value};
use crate::merge::OwnCatalogue;
use charter_kernel::catalogue::{
    Catalogue, CataloguePlanLimit, CatalogueRole, Conflict, Limit, Module, ModuleScope, Permission, Plan,
    ResourceAction, ResourceType, Severity,
};
use charter_kernel::entitlement::{Enforcement, LimitKind};
use charter_kernel::facts::{Level, RoleFact, RolePermission};
use charter_kernel::{Key, Pattern, PermissionCode};

pub(crate) const FORMAT: &str = "charter-catalogue/1";
pub(crate) const OWN_FORMAT: &str = "charter-catalogue-extension/1";
pub(crate) const LEVELS: [Level; 4] = [Level::Admin, Level::Manager, Level::Developer, Level::Viewer];

/// Reads a whole catalogue.
pub fn parse(text: &str) -> Result<Catalogue, Vec<Fault>> {
    document::read(text, |root, faults| {
        format_is(root, FORMAT, faults);
        let own = walk(root, faults, false)?;
        if let Some(word) = root.need("unmapped_legacy_role", faults) {
            word.word(faults, &["deny"], |text| (text == "deny").then_some(()));
        }
        levels(root, faults);
        Some(own.catalogue)
    })
}

/// Reads an installation's own document, to be merged beside a catalogue.
pub fn parse_own(text: &str) -> Result<OwnCatalogue, Vec<Fault>> {
    document::read(text, |root, faults| {
        format_is(root, OWN_FORMAT, faults);
        walk(root, faults, true)
    })
}

fn format_is(root: &Table<'_, '_>, wanted: &str, faults: &mut Faults) {
    let Some(value) = root.maybe("format") else {
        root.fault(faults, format!("`format` is missing; add the line format = \"{wanted}\" at the top"));
        return;
    };
    if let Some(found) = value.text(faults)
        && found != wanted
    {
        value.fault(faults, format!("`{found}` is another format; write format = \"{wanted}\""));
    }
}

/// The numbers are fixed; they stand in the document for its readers.
fn levels(root: &Table<'_, '_>, faults: &mut Faults) {
    let Some(table) = root.need("levels", faults).and_then(|value| value.table(faults)) else { return };
    for level in LEVELS {
        let Some(value) = table.need(level.as_str(), faults) else { continue };
        let wanted = level as i64;
        if value.integer(faults).is_some_and(|number| number != wanted) {
            value.fault(faults, format!("the number of this level is fixed; write {wanted}"));
        }
    }
    table.finish(faults);
}

fn section<'d, 'i>(
    root: &Table<'d, 'i>,
    name: &str,
    faults: &mut Faults,
) -> Vec<(String, usize, Value<'d, 'i>)> {
    match root.maybe(name) {
        Some(value) => value.table(faults).map(|table| table.entries()).unwrap_or_default(),
        None => Vec::new(),
    }
}

fn key(text: &str, at: usize, path: &str, faults: &mut Faults) -> Option<Key> {
    match text.parse() {
        Ok(key) => Some(key),
        Err(error) => {
            faults.add(at, path, format!("`{text}` is {error}"));
            None
        }
    }
}

fn code(text: &str, at: usize, path: &str, faults: &mut Faults) -> Option<PermissionCode> {
    match text.parse() {
        Ok(code) => Some(code),
        Err(error) => {
            faults.add(at, path, format!("`{text}` is {error}"));
            None
        }
    }
}

fn text(table: &Table<'_, '_>, name: &str, faults: &mut Faults) -> Option<String> {
    table.need(name, faults).and_then(|value| value.text(faults))
}

fn flag(table: &Table<'_, '_>, name: &str, faults: &mut Faults) -> Option<bool> {
    table.need(name, faults).and_then(|value| value.flag(faults))
}

fn keys(table: &Table<'_, '_>, name: &str, faults: &mut Faults) -> Option<Vec<Key>> {
    let mut list: Vec<Key> = table.need(name, faults)?.list_parsed(faults);
    list.sort();
    Some(list)
}

fn texts(table: &Table<'_, '_>, name: &str, faults: &mut Faults) -> Option<Vec<String>> {
    let items = table.need(name, faults)?.list(faults)?;
    let mut list: Vec<String> = items.iter().filter_map(|item| item.text(faults)).collect();
    list.sort();
    Some(list)
}

fn patterns(table: &Table<'_, '_>, name: &str, faults: &mut Faults) -> Option<Vec<Pattern>> {
    let mut list: Vec<Pattern> = table.need(name, faults)?.list_parsed(faults);
    list.sort();
    Some(list)
}

fn scope(table: &Table<'_, '_>, faults: &mut Faults) -> Option<ModuleScope> {
    table.need("scope", faults)?.word(faults, &["org", "system"], |word| match word {
        "org" => Some(ModuleScope::Organization),
        "system" => Some(ModuleScope::System),
        _ => None,
    })
}

fn walk(root: &Table<'_, '_>, faults: &mut Faults, own: bool) -> Option<OwnCatalogue> {
    let mut made = OwnCatalogue::default();
    let catalogue = &mut made.catalogue;
    if let Some(version) = root.need("version", faults) {
        catalogue.version = version.text(faults).unwrap_or_default();
        if catalogue.version.trim().is_empty() {
            version.fault(faults, "the version is empty; write one such as \"2026.11.0\"");
        }
    }
    for (word, offset, value) in section(root, "actions", faults) {
        if code(&format!("module.resource.{word}"), offset, &value.at, &mut Faults::default()).is_none() {
            faults.add(
                offset,
                value.at.clone(),
                format!("`{word}` cannot be the last word of a permission code; use a-z, 0-9 and _"),
            );
        }
        if let Some(description) = value.text(faults) {
            catalogue.actions.push((word, description));
        }
    }
    for (word, offset, value) in section(root, "retired", faults) {
        if let (Some(code), Some(why)) = (code(&word, offset, &value.at, faults), value.text(faults)) {
            catalogue.retired.push((code, why));
        }
    }
    for (word, offset, value) in section(root, "modules", faults) {
        let Some(module) = key(&word, offset, &value.at, faults) else { continue };
        let Some(table) = value.table(faults) else { continue };
        if own && !table.has("name") {
            made.more_submodules.push((module, submodules(&table, faults)));
            table.finish(faults);
        } else if let Some(module) = one_module(module, &table, faults) {
            catalogue.modules.push(module);
        }
    }
    for (word, offset, value) in section(root, "permissions", faults) {
        let Some(code) = code(&word, offset, &value.at, faults) else { continue };
        let Some(table) = value.table(faults) else { continue };
        catalogue.permissions.extend(permission(code, &table, faults));
    }
    for (word, offset, value) in section(root, "roles", faults) {
        let Some(role_key) = key(&word, offset, &value.at, faults) else { continue };
        let Some(table) = value.table(faults) else { continue };
        if own && !table.has("name") {
            let patterns = patterns(&table, "permissions", faults).unwrap_or_default();
            made.more_permissions.push((role_key, patterns));
            table.finish(faults);
        } else {
            catalogue.roles.extend(role(role_key, &table, faults));
        }
    }
    for (word, offset, value) in section(root, "conflicts", faults) {
        let Some(conflict_key) = key(&word, offset, &value.at, faults) else { continue };
        let Some(table) = value.table(faults) else { continue };
        catalogue.conflicts.extend(conflict(conflict_key, &table, faults));
    }
    for (word, offset, value) in section(root, "limits", faults) {
        let Some(limit_key) = key(&word, offset, &value.at, faults) else { continue };
        let Some(table) = value.table(faults) else { continue };
        catalogue.limits.extend(limit(limit_key, &table, faults));
    }
    for (word, offset, value) in section(root, "plans", faults) {
        let Some(plan_key) = key(&word, offset, &value.at, faults) else { continue };
        let Some(table) = value.table(faults) else { continue };
        catalogue.plans.extend(plan(plan_key, &table, faults));
    }
    for (word, offset, value) in section(root, "resource_types", faults) {
        let Some(type_key) = key(&word, offset, &value.at, faults) else { continue };
        let Some(table) = value.table(faults) else { continue };
        catalogue.resource_types.extend(resource_type(type_key, &table, faults));
    }
    made.sort();
    Some(made)
}

fn submodules(table: &Table<'_, '_>, faults: &mut Faults) -> Vec<(Key, String)> {
    let Some(inner) = table.need("submodules", faults).and_then(|value| value.table(faults)) else {
        return Vec::new();
    };
    let mut list = Vec::new();
    for (word, offset, value) in inner.entries() {
        if let (Some(key), Some(description)) = (key(&word, offset, &value.at, faults), value.text(faults)) {
            list.push((key, description));
        }
    }
    list.sort();
    list
}

fn one_module(key: Key, table: &Table<'_, '_>, faults: &mut Faults) -> Option<Module> {
    let name = text(table, "name", faults);
    let description = text(table, "description", faults);
    let bundled = flag(table, "bundled", faults);
    let always_on = flag(table, "always_on", faults);
    let scope = scope(table, faults);
    let depends_on = keys(table, "depends_on", faults);
    let legacy_keys = texts(table, "legacy_keys", faults);
    let submodules = submodules(table, faults);
    table.finish(faults);
    Some(Module {
        key,
        name: name?,
        description: description?,
        bundled: bundled?,
        always_on: always_on?,
        scope: scope?,
        depends_on: depends_on?,
        legacy_keys: legacy_keys?,
        submodules,
    })
}

fn permission(code: PermissionCode, table: &Table<'_, '_>, faults: &mut Faults) -> Option<Permission> {
    let submodule = table.need("submodule", faults).and_then(|value| value.parsed(faults));
    let description = text(table, "description", faults);
    let dangerous = flag(table, "dangerous", faults);
    table.finish(faults);
    Some(Permission { code, submodule: submodule?, description: description?, dangerous: dangerous? })
}

fn level(value: &Value<'_, '_>, faults: &mut Faults) -> Option<Level> {
    value.word(faults, &LEVELS.map(Level::as_str), Level::from_word)
}

fn role(key: Key, table: &Table<'_, '_>, faults: &mut Faults) -> Option<CatalogueRole> {
    let name = text(table, "name", faults);
    let description = text(table, "description", faults);
    let level = table.need("level", faults).and_then(|value| level(&value, faults));
    let scope = scope(table, faults);
    let aliases = texts(table, "aliases", faults);
    let sod_exempt = flag(table, "sod_exempt", faults);
    let mut parents: Vec<Key> =
        table.maybe("parents").map(|value| value.list_parsed(faults)).unwrap_or_default();
    parents.sort();
    let permissions = patterns(table, "permissions", faults);
    table.finish(faults);
    Some(CatalogueRole {
        role: RoleFact {
            key,
            name: name?,
            parents,
            permissions: permissions?
                .into_iter()
                .map(|pattern| RolePermission { pattern, condition: None })
                .collect(),
            level: level?,
        },
        description: description?,
        system: scope? == ModuleScope::System,
        aliases: aliases?,
        sod_exempt: sod_exempt?,
    })
}

fn conflict(key: Key, table: &Table<'_, '_>, faults: &mut Faults) -> Option<Conflict> {
    let severity = table.need("severity", faults).and_then(|value| {
        value.word(faults, &["block", "warn"], |word| match word {
            "block" => Some(Severity::Block),
            "warn" => Some(Severity::Warn),
            _ => None,
        })
    });
    let left = patterns(table, "left", faults);
    let right = patterns(table, "right", faults);
    let why = text(table, "why", faults);
    table.finish(faults);
    Some(Conflict { key, severity: severity?, left: left?, right: right?, why: why? })
}

fn limit(key: Key, table: &Table<'_, '_>, faults: &mut Faults) -> Option<Limit> {
    let description = text(table, "description", faults);
    let unit = text(table, "unit", faults);
    let kind = table
        .need("kind", faults)
        .and_then(|value| value.word(faults, &["gauge", "counter"], LimitKind::from_word));
    let monthly = table.need("period", faults).and_then(|value| {
        value.word(faults, &["none", "month"], |word| match word {
            "none" => Some(false),
            "month" => Some(true),
            _ => None,
        })
    });
    table.finish(faults);
    Some(Limit { key, description: description?, unit: unit?, kind: kind?, monthly: monthly? })
}

fn plan(plan_key: Key, table: &Table<'_, '_>, faults: &mut Faults) -> Option<Plan> {
    let name = text(table, "name", faults);
    let description = text(table, "description", faults);
    let rank = table.need("rank", faults).and_then(|value| value.integer(faults));
    let trial_days = table.need("trial_days", faults).and_then(|value| {
        let days = value.integer(faults)?;
        let fits = u32::try_from(days).ok().filter(|days| *days <= 3650);
        if fits.is_none() {
            value.fault(faults, format!("{days} days is no trial; write 0 (none) to 3650"));
        }
        fits
    });
    let modules = keys(table, "modules", faults);
    let mut limits = Vec::new();
    if let Some(inner) = table.maybe("limits").and_then(|value| value.table(faults)) {
        for (word, offset, value) in inner.entries() {
            let limit = key(&word, offset, &value.at, faults);
            let Some(entry) = value.table(faults) else { continue };
            let number = entry.maybe("value").and_then(|value| {
                let number = value.integer(faults)?;
                if number < 0 {
                    value.fault(faults, "a limit is 0 or more; leave `value` out for unlimited");
                }
                Some(number)
            });
            let enforcement = entry
                .need("enforcement", faults)
                .and_then(|value| value.word(faults, &["hard", "soft", "report"], Enforcement::from_word));
            entry.finish(faults);
            if let (Some(limit), Some(enforcement)) = (limit, enforcement) {
                limits.push(CataloguePlanLimit { limit, value: number, enforcement });
            }
        }
    }
    table.finish(faults);
    Some(Plan {
        key: plan_key,
        name: name?,
        description: description?,
        rank: rank?,
        trial_days: trial_days?,
        modules: modules?,
        limits,
    })
}

fn resource_type(key: Key, table: &Table<'_, '_>, faults: &mut Faults) -> Option<ResourceType> {
    let name = text(table, "name", faults);
    let registered = table.maybe("registered").and_then(|value| value.flag(faults)).unwrap_or(false);
    let mut actions = Vec::new();
    if let Some(inner) = table.need("actions", faults).and_then(|value| value.table(faults)) {
        for (action, _, value) in inner.entries() {
            let Some(entry) = value.table(faults) else { continue };
            let minimum = entry.need("minimum_level", faults).and_then(|value| level(&value, faults));
            let permission = entry.need("permission", faults).and_then(|value| value.parsed(faults));
            entry.finish(faults);
            if let (Some(minimum_level), Some(permission)) = (minimum, permission) {
                actions.push(ResourceAction { action, minimum_level, permission });
            }
        }
    }
    table.finish(faults);
    Some(ResourceType { key, name: name?, registered, actions })
}
