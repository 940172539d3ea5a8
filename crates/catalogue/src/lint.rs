//! The rules a catalogue keeps beyond its form: what its head comment promises, each with a name. An error makes a catalogue unfit to apply; a
//! warning is for a person to judge.

use charter_kernel::catalogue::{Catalogue, CatalogueRole, ModuleScope, Severity};
use charter_kernel::{Pattern, PermissionCode, RoleKey};
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

/// The most words a description may have.
const DESCRIPTION_WORDS: usize = 12;
/// The most roles in a line of inheritance.
const ROLE_DEPTH: usize = 8;

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

fn matching<'p>(
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

/// A role name as legacy names are compared: lower case, spaces and dashes as underscores.
pub fn fold_role_name(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

fn some_of(codes: &BTreeSet<PermissionCode>) -> String {
    let shown: Vec<&str> = codes.iter().take(3).map(PermissionCode::as_str).collect();
    let more = codes.len().saturating_sub(shown.len());
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", shown.join(", "))
}

/// A cycle among named things, as the names along it, the smallest first.
fn cycles<'c>(edges: &BTreeMap<&'c str, Vec<&'c str>>) -> BTreeSet<Vec<&'c str>> {
    let mut found = BTreeSet::new();
    for start in edges.keys() {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut waiting = vec![*start];
        let mut closed = false;
        while let Some(here) = waiting.pop() {
            for next in edges.get(here).into_iter().flatten() {
                if next == start {
                    came_from.insert(start, here);
                    closed = true;
                } else if !came_from.contains_key(next) {
                    came_from.insert(next, here);
                    waiting.push(next);
                }
            }
        }
        if closed {
            let mut path = vec![*start];
            let mut here = came_from.get(start).copied();
            while let Some(step) = here.filter(|step| step != start) {
                path.push(step);
                here = came_from.get(step).copied();
            }
            path.reverse();
            let smallest = path.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
            path.rotate_left(smallest);
            found.insert(path);
        }
    }
    found
}

/// Patterns with the codes each matches.
type Matched<'p> = Vec<(&'p Pattern, BTreeSet<PermissionCode>)>;

/// How many of the patterns match each code: a pattern all of whose codes are matched twice adds nothing.
fn matched_times<'p>(
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

struct Run<'c> {
    it: &'c Catalogue,
    /// What each role holds, parents included.
    held: BTreeMap<&'c RoleKey, BTreeSet<PermissionCode>>,
    found: Vec<Lint>,
}

impl Run<'_> {
    fn error(&mut self, rule: &'static str, at: impl Into<String>, what: impl Into<String>) {
        self.found.push(Lint { severity: Weight::Error, rule, at: at.into(), what: what.into() });
    }

    fn warning(&mut self, rule: &'static str, at: impl Into<String>, what: impl Into<String>) {
        self.found.push(Lint { severity: Weight::Warning, rule, at: at.into(), what: what.into() });
    }

    /// The document's form keeps keys unique; a catalogue from elsewhere has to prove it.
    fn unique_keys(&mut self) {
        let it = self.it;
        let mut all: Vec<String> = Vec::new();
        all.extend(it.actions.iter().map(|(action, _)| format!("actions.{action}")));
        all.extend(it.retired.iter().map(|(code, _)| format!("retired.{code}")));
        all.extend(it.modules.iter().map(|module| format!("modules.{}", module.key)));
        for module in &it.modules {
            let key = &module.key;
            all.extend(
                module
                    .submodules
                    .iter()
                    .map(|(submodule, _)| format!("modules.{key}.submodules.{submodule}")),
            );
        }
        all.extend(it.permissions.iter().map(|permission| format!("permissions.{}", permission.code)));
        all.extend(it.roles.iter().map(|role| format!("roles.{}", role.role.key)));
        all.extend(it.conflicts.iter().map(|conflict| format!("conflicts.{}", conflict.key)));
        all.extend(it.limits.iter().map(|limit| format!("limits.{}", limit.key)));
        for plan in &it.plans {
            all.push(format!("plans.{}", plan.key));
            all.extend(plan.limits.iter().map(|limit| format!("plans.{}.limits.{}", plan.key, limit.limit)));
        }
        for kind in &it.resource_types {
            all.push(format!("resource_types.{}", kind.key));
            all.extend(
                kind.actions
                    .iter()
                    .map(|action| format!("resource_types.{}.actions.{}", kind.key, action.action)),
            );
        }
        let mut seen = BTreeSet::new();
        for at in all {
            if !seen.insert(at.clone()) {
                self.error("key_twice", at, "stands here twice; remove one");
            }
        }
    }

    fn described(&mut self, at: String, text: &str) {
        let words = text.split_whitespace().count();
        if words == 0 {
            self.error("description_missing", at, "says nothing; describe it in a few words");
        } else if words > DESCRIPTION_WORDS {
            self.error(
                "description_long",
                at,
                format!("has {words} words; say it in at most {DESCRIPTION_WORDS}"),
            );
        }
    }

    fn descriptions(&mut self) {
        let it = self.it;
        for (action, text) in &it.actions {
            self.described(format!("actions.{action}"), text);
        }
        for module in &it.modules {
            let key = &module.key;
            self.described(format!("modules.{key}.name"), &module.name);
            self.described(format!("modules.{key}.description"), &module.description);
            for (submodule, text) in &module.submodules {
                self.described(format!("modules.{key}.submodules.{submodule}"), text);
            }
        }
        for permission in &it.permissions {
            self.described(format!("permissions.{}.description", permission.code), &permission.description);
        }
        for role in &it.roles {
            let key = &role.role.key;
            self.described(format!("roles.{key}.name"), &role.role.name);
            self.described(format!("roles.{key}.description"), &role.description);
        }
        for conflict in &it.conflicts {
            self.described(format!("conflicts.{}.why", conflict.key), &conflict.why);
        }
        for limit in &it.limits {
            self.described(format!("limits.{}.description", limit.key), &limit.description);
            self.described(format!("limits.{}.unit", limit.key), &limit.unit);
        }
        for plan in &it.plans {
            self.described(format!("plans.{}.name", plan.key), &plan.name);
            self.described(format!("plans.{}.description", plan.key), &plan.description);
        }
        for kind in &it.resource_types {
            self.described(format!("resource_types.{}.name", kind.key), &kind.name);
        }
    }

    fn actions(&mut self) {
        let it = self.it;
        let used: BTreeSet<&str> = it.permissions.iter().map(|permission| permission.code.action()).collect();
        for (action, _) in &it.actions {
            if format!("module.resource.{action}").parse::<PermissionCode>().is_err() {
                self.error(
                    "action_form",
                    format!("actions.{action}"),
                    "cannot be the last word of a code; use a-z, 0-9 and _",
                );
            }
            if !used.contains(action.as_str()) {
                self.warning(
                    "action_unused",
                    format!("actions.{action}"),
                    "no permission uses it; remove it or add the permission",
                );
            }
        }
    }

    fn modules(&mut self) {
        let it = self.it;
        let mut legacy: BTreeMap<String, &str> = BTreeMap::new();
        for module in &it.modules {
            legacy.insert(module.key.as_str().to_owned(), module.key.as_str());
        }
        let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for module in &it.modules {
            let key = module.key.as_str();
            let at = format!("modules.{key}");
            if format!("{key}.resource.read").parse::<PermissionCode>().is_err() {
                self.error(
                    "module_form",
                    at.clone(),
                    "cannot be the first word of a code; use a-z, 0-9 and _",
                );
            }
            edges.insert(key, module.depends_on.iter().map(|needed| needed.as_str()).collect());
            for needed in &module.depends_on {
                let at = format!("{at}.depends_on");
                match it.module(needed.as_str()) {
                    None => self.error("dependency_unknown", at, format!("module `{needed}` does not exist; add it or leave it out")),
                    Some(other) if other.scope == ModuleScope::System && module.scope != ModuleScope::System => self.error(
                        "dependency_system",
                        at,
                        format!("`{needed}` works across organizations and is never part of a plan; leave it out"),
                    ),
                    Some(other) if module.always_on && !other.always_on => self.error(
                        "dependency_optional",
                        at,
                        format!("`{key}` is always on but needs `{needed}`, which can be switched off; make both always on or neither"),
                    ),
                    Some(_) => {}
                }
            }
            for name in &module.legacy_keys {
                let at = format!("{at}.legacy_keys");
                let folded = name.trim().to_lowercase();
                if folded != *name || folded.is_empty() {
                    self.error(
                        "legacy_key_form",
                        at.clone(),
                        format!("`{name}` is compared in lower case without blanks; write `{folded}`"),
                    );
                }
                match legacy.insert(folded, key) {
                    Some(other) if other == key => {
                        self.error(
                            "legacy_key_twice",
                            at,
                            format!("`{name}` already means this module; remove it"),
                        );
                    }
                    Some(other) => self.error(
                        "legacy_key_twice",
                        at,
                        format!("`{name}` already means module `{other}`; keep it at one of them"),
                    ),
                    None => {}
                }
            }
            if module.submodules.is_empty() {
                self.error("module_empty", at.clone(), "has no submodules; add at least one");
            }
            for (submodule, _) in &module.submodules {
                let used = it
                    .permissions
                    .iter()
                    .any(|permission| permission.code.module() == key && permission.submodule == *submodule);
                if !used {
                    self.warning(
                        "submodule_empty",
                        format!("{at}.submodules.{submodule}"),
                        "no permission belongs to it",
                    );
                }
            }
            let reached = it.roles.iter().any(|role| {
                let held = self.held.get(&role.role.key);
                let reaches = held.is_some_and(|held| held.iter().any(|code| code.module() == key));
                !role.system && role.sod_exempt && reaches
            });
            if module.scope == ModuleScope::Organization && !reached {
                self.warning(
                    "module_unreached",
                    at,
                    "no administrator role of organizations holds any of its permissions, so nobody there can give them",
                );
            }
        }
        for cycle in cycles(&edges) {
            let first = cycle.first().copied().unwrap_or_default();
            self.error(
                "dependency_cycle",
                format!("modules.{first}.depends_on"),
                format!("goes round: {} -> {first}; cut it", cycle.join(" -> ")),
            );
        }
    }

    fn permissions(&mut self) {
        let it = self.it;
        let actions: BTreeSet<&str> = it.actions.iter().map(|(action, _)| action.as_str()).collect();
        let mut places: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for permission in &it.permissions {
            let code = &permission.code;
            let at = format!("permissions.{code}");
            if !actions.contains(code.action()) {
                self.error(
                    "action_unknown",
                    at.clone(),
                    format!("action `{}` is not declared; add it to [actions] or use another", code.action()),
                );
            }
            match it.module(code.module()) {
                None => self.error(
                    "module_unknown",
                    at,
                    format!("module `{}` does not exist; add it or correct the code", code.module()),
                ),
                Some(module) => {
                    if !module.submodules.iter().any(|(submodule, _)| *submodule == permission.submodule) {
                        self.error(
                            "submodule_unknown",
                            format!("{at}.submodule"),
                            format!(
                                "module `{}` has no submodule `{}`; add it or name another",
                                module.key, permission.submodule
                            ),
                        );
                    }
                }
            }
            places.entry((code.resource(), code.action())).or_default().insert(code.module());
        }
        let mut shared: BTreeMap<(&str, BTreeSet<&str>), Vec<&str>> = BTreeMap::new();
        for ((resource, action), modules) in places {
            if modules.len() > 1 {
                shared.entry((resource, modules)).or_default().push(action);
            }
        }
        for ((resource, modules), actions) in shared {
            let modules: Vec<&str> = modules.into_iter().collect();
            self.warning(
                "resource_shared",
                format!("permissions.*.{resource}.*"),
                format!(
                    "modules {} share this resource and the actions {}; a question by type and action must name the whole code",
                    modules.join(", "),
                    actions.join(", ")
                ),
            );
        }
    }

    fn retired(&mut self) {
        let it = self.it;
        for (code, why) in &it.retired {
            let at = format!("retired.{code}");
            if it.permission(code.as_str()).is_some() {
                self.error(
                    "retired_reused",
                    at.clone(),
                    "this code was retired and must not come back; choose a new code",
                );
            }
            if why.trim().is_empty() {
                self.error(
                    "description_missing",
                    at,
                    "says nothing; write why it was retired and what replaces it",
                );
            }
        }
    }

    fn roles(&mut self) {
        let it = self.it;
        let system_modules: BTreeSet<&str> = it
            .modules
            .iter()
            .filter(|module| module.scope == ModuleScope::System)
            .map(|module| module.key.as_str())
            .collect();
        let edges: BTreeMap<&str, Vec<&str>> = it
            .roles
            .iter()
            .map(|role| {
                (role.role.key.as_str(), role.role.parents.iter().map(|parent| parent.as_str()).collect())
            })
            .collect();
        for cycle in cycles(&edges) {
            let first = cycle.first().copied().unwrap_or_default();
            self.error(
                "role_cycle",
                format!("roles.{first}.parents"),
                format!("goes round: {} -> {first}; cut it", cycle.join(" -> ")),
            );
        }
        for entry in &it.roles {
            let role = &entry.role;
            let at = format!("roles.{}", role.key);
            for parent in &role.parents {
                match it.role(parent) {
                    None => self.error("parent_unknown", format!("{at}.parents"), format!("role `{parent}` does not exist; add it or leave it out")),
                    Some(above) if above.system && !entry.system => self.error(
                        "parent_system",
                        format!("{at}.parents"),
                        format!("`{parent}` is held in the platform organization only; a role of organizations cannot inherit it"),
                    ),
                    Some(above) if above.role.level > role.level => self.error(
                        "parent_level",
                        format!("{at}.level"),
                        format!("is lower than the level of its parent `{parent}`; raise it to {}", above.role.level.as_str()),
                    ),
                    Some(_) => {}
                }
            }
            if too_deep(it, &role.key) {
                self.error(
                    "role_depth",
                    format!("{at}.parents"),
                    format!("inherits through more than {ROLE_DEPTH} roles; flatten it"),
                );
            }
            self.role_patterns(entry, &at);
            let held = self.held.get(&role.key).cloned().unwrap_or_default();
            if held.is_empty() {
                self.error("role_empty", at.clone(), "holds no permission; add one or remove the role");
            }
            let mut unread: BTreeSet<PermissionCode> = BTreeSet::new();
            for code in &held {
                let read = format!("{}.{}.read", code.module(), code.resource());
                if code.action() != "read" && it.permission(&read).is_some() && !held.contains(read.as_str())
                {
                    unread.insert(code.clone());
                }
            }
            for code in unread {
                self.error(
                    "change_without_read",
                    format!("{at}.permissions"),
                    format!("may {code} but not read it; add {}.{}.read", code.module(), code.resource()),
                );
            }
            let beyond: BTreeSet<PermissionCode> =
                held.iter().filter(|code| system_modules.contains(code.module())).cloned().collect();
            if !entry.system && !beyond.is_empty() {
                self.error(
                    "platform_reached",
                    format!("{at}.permissions"),
                    format!(
                        "a role of organizations reaches {}; only a role of scope system may",
                        some_of(&beyond)
                    ),
                );
            }
            if !entry.system {
                self.role_conflicts(entry, &held, &at);
            }
        }
    }

    fn role_patterns(&mut self, entry: &CatalogueRole, at: &str) {
        let it = self.it;
        let mut inherited: BTreeSet<&PermissionCode> = BTreeSet::new();
        let above: Vec<BTreeSet<PermissionCode>> =
            entry.role.parents.iter().filter_map(|parent| self.held.get(parent).cloned()).collect();
        inherited.extend(above.iter().flatten());
        let (each, times) = matched_times(it, entry.role.permissions.iter().map(|line| &line.pattern));
        for (pattern, matched) in each {
            let place = format!("{at}.permissions");
            let twice = |code| times.get(code).is_some_and(|times| *times > 1);
            if matched.is_empty() {
                self.error(
                    "pattern_empty",
                    place,
                    format!("`{pattern}` matches no permission; correct or remove it"),
                );
            } else if matched.iter().all(|code| twice(code) || inherited.contains(code)) {
                self.error(
                    "pattern_redundant",
                    place,
                    format!("`{pattern}` adds nothing to the other lines; remove it"),
                );
            }
        }
    }

    fn role_conflicts(&mut self, entry: &CatalogueRole, held: &BTreeSet<PermissionCode>, at: &str) {
        if entry.sod_exempt {
            return;
        }
        let it = self.it;
        for conflict in &it.conflicts {
            let side = |patterns: &[Pattern]| {
                held.iter().find(|code| patterns.iter().any(|pattern| pattern.matches(code))).cloned()
            };
            let (Some(left), Some(right)) = (side(&conflict.left), side(&conflict.right)) else { continue };
            let what =
                format!("holds {left} and {right}, against conflict `{}`: {}", conflict.key, conflict.why);
            match conflict.severity {
                Severity::Block => {
                    self.error("conflict_broken", at.to_owned(), format!("{what}; take one of them out"))
                }
                Severity::Warn => self.warning("conflict_touched", at.to_owned(), what),
            }
        }
    }

    fn aliases(&mut self) {
        let it = self.it;
        let mut taken: BTreeMap<String, &RoleKey> =
            it.roles.iter().map(|role| (fold_role_name(role.role.key.as_str()), &role.role.key)).collect();
        for role in &it.roles {
            let key = &role.role.key;
            for alias in &role.aliases {
                let at = format!("roles.{key}.aliases");
                let folded = fold_role_name(alias);
                if folded != *alias || folded.is_empty() {
                    self.error("alias_form", at.clone(), format!("`{alias}` is compared in lower case with _ for blanks and dashes; write `{folded}`"));
                }
                match taken.insert(folded, key) {
                    Some(other) if other == key => {
                        self.error("alias_twice", at, format!("`{alias}` already means this role; remove it"))
                    }
                    Some(other) => {
                        self.error(
                            "alias_twice",
                            at,
                            format!("`{alias}` already means role `{other}`; keep it at one of them"),
                        );
                    }
                    None => {}
                }
            }
        }
    }

    fn conflicts(&mut self) {
        let it = self.it;
        for conflict in &it.conflicts {
            let at = format!("conflicts.{}", conflict.key);
            for (side, patterns) in [("left", &conflict.left), ("right", &conflict.right)] {
                let place = format!("{at}.{side}");
                if patterns.is_empty() {
                    self.error(
                        "conflict_side_empty",
                        place.clone(),
                        "names nothing; name at least one permission",
                    );
                }
                let (each, times) = matched_times(it, patterns.iter());
                for (pattern, matched) in each {
                    if matched.is_empty() {
                        self.error(
                            "pattern_empty",
                            place.clone(),
                            format!("`{pattern}` matches no permission; correct or remove it"),
                        );
                    } else if matched.iter().all(|code| times.get(code).is_some_and(|times| *times > 1)) {
                        self.error(
                            "pattern_redundant",
                            place.clone(),
                            format!("`{pattern}` adds nothing to the others; remove it"),
                        );
                    }
                }
            }
            let left = matching(it, conflict.left.iter());
            let both: BTreeSet<PermissionCode> =
                matching(it, conflict.right.iter()).intersection(&left).cloned().collect();
            if !both.is_empty() {
                self.error(
                    "conflict_with_itself",
                    at,
                    format!(
                        "{} stands on both sides; a permission cannot conflict with itself",
                        some_of(&both)
                    ),
                );
            }
        }
    }

    fn limits(&mut self) {
        use charter_kernel::entitlement::LimitKind;
        for limit in &self.it.limits {
            let at = format!("limits.{}.period", limit.key);
            match (limit.kind, limit.monthly) {
                (LimitKind::Gauge, true) => self.error(
                    "limit_period",
                    at,
                    "a gauge counts what exists now and has no period; write \"none\"",
                ),
                (LimitKind::Counter, false) => self.warning(
                    "limit_period",
                    at,
                    "a counter without a period only ever grows; write \"month\"",
                ),
                _ => {}
            }
        }
    }

    fn plans(&mut self) {
        let it = self.it;
        let mut ranks: BTreeMap<i64, &str> = BTreeMap::new();
        for plan in &it.plans {
            let at = format!("plans.{}", plan.key);
            if let Some(other) = ranks.insert(plan.rank, plan.key.as_str()) {
                self.warning(
                    "rank_shared",
                    format!("{at}.rank"),
                    format!("plan `{other}` has it too, so neither is an upgrade of the other"),
                );
            }
            let mut seen = BTreeSet::new();
            for key in &plan.modules {
                let at = format!("{at}.modules");
                if !seen.insert(key) {
                    self.error("key_twice", at.clone(), format!("`{key}` stands here twice; remove one"));
                }
                match it.module(key.as_str()) {
                    None => self.error(
                        "module_unknown",
                        at,
                        format!("module `{key}` does not exist; add it or leave it out"),
                    ),
                    Some(module) if module.scope == ModuleScope::System => self.error(
                        "plan_module_system",
                        at,
                        format!(
                            "`{key}` works across organizations and is never part of a plan; leave it out"
                        ),
                    ),
                    Some(module) if module.always_on => {
                        self.error(
                            "plan_module_always_on",
                            at,
                            format!("`{key}` is always on and needs no mention; leave it out"),
                        );
                    }
                    Some(module) => {
                        for needed in &module.depends_on {
                            let there = plan.modules.contains(needed)
                                || it.module(needed.as_str()).is_some_and(|needed| needed.always_on);
                            if !there {
                                self.error(
                                    "plan_dependency",
                                    at.clone(),
                                    format!("`{key}` needs `{needed}`; add it to the plan"),
                                );
                            }
                        }
                    }
                }
            }
            for limit in &plan.limits {
                let at = format!("{at}.limits.{}", limit.limit);
                if !it.limits.iter().any(|known| known.key == limit.limit) {
                    self.error(
                        "limit_unknown",
                        at.clone(),
                        "no such limit exists; add it to [limits] or leave it out",
                    );
                }
                if limit.value.is_some_and(|value| value < 0) {
                    self.error("limit_negative", at, "a limit is 0 or more; leave `value` out for unlimited");
                }
            }
        }
    }

    fn resource_types(&mut self) {
        let it = self.it;
        for kind in &it.resource_types {
            let at = format!("resource_types.{}", kind.key);
            if kind.actions.is_empty() {
                self.error("type_empty", at.clone(), "has no actions; add at least one");
            }
            for action in &kind.actions {
                let at = format!("{at}.actions.{}", action.action);
                if !it.actions.iter().any(|(known, _)| *known == action.action) {
                    self.error(
                        "action_unknown",
                        at.clone(),
                        format!(
                            "action `{}` is not declared; add it to [actions] or use another",
                            action.action
                        ),
                    );
                }
                if it.permission(action.permission.as_str()).is_none() {
                    self.error(
                        "permission_unknown",
                        at.clone(),
                        format!("permission {} does not exist; add it or name another", action.permission),
                    );
                }
                let hidden: BTreeSet<PermissionCode> = it
                    .permissions
                    .iter()
                    .map(|permission| &permission.code)
                    .filter(|code| code.resource() == kind.key.as_str() && code.action() == action.action)
                    .filter(|code| **code != action.permission)
                    .cloned()
                    .collect();
                if !hidden.is_empty() {
                    self.error(
                        "type_hides_permission",
                        at,
                        format!(
                            "type `{}` and action `{}` already mean {}; name the type differently",
                            kind.key,
                            action.action,
                            some_of(&hidden)
                        ),
                    );
                }
            }
        }
    }
}

/// Whether a line of inheritance from here is longer than allowed; a cycle is.
fn too_deep(catalogue: &Catalogue, role: &RoleKey) -> bool {
    let mut row: BTreeSet<&RoleKey> = BTreeSet::from([role]);
    for _ in 0..ROLE_DEPTH {
        let roles = row.iter().filter_map(|key| catalogue.role(key));
        row = roles
            .flat_map(|role| &role.role.parents)
            .filter(|parent| catalogue.role(parent).is_some())
            .collect();
    }
    !row.is_empty()
}
