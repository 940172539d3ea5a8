//! Entitlements over time: the rules E1 to E8, worked out once per stretch of time in which no row starts or ends.

use crate::index::Index;
use crate::legacy;
use crate::set::{PermissionIndex, PermissionSet};
use charter_kernel::entitlement::{EntitlementFact, EntitlementSource, EntitlementStatus};
use charter_kernel::facts::OrganizationKind;
use charter_kernel::{Key, Reason, Timestamp, Window};

/// How a part of a module stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PartState {
    Allowed,
    /// Allowed, with a warning.
    Grace,
    /// Reading and export only.
    ReadOnly,
    /// For principals on the preview list.
    Preview,
    /// The module is in preview, but this part is not in it.
    PreviewWithoutPart,
    Denied(Reason),
}

/// What an organization may use during one stretch of time.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    /// For everybody, grace included.
    pub allowed: PermissionSet,
    /// The part of `allowed` that runs in grace.
    pub grace: PermissionSet,
    /// State of each part, numbered as in the index.
    pub parts: Box<[PartState]>,
}

/// The answer of the entitlement step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entitled {
    Yes { in_grace: bool },
    No(Reason),
}

impl View {
    pub(crate) fn check(
        &self,
        index: &Index,
        permission: PermissionIndex,
        previewed: impl Fn(u16) -> bool,
    ) -> Entitled {
        if self.allowed.contains(permission) {
            return Entitled::Yes { in_grace: self.grace.contains(permission) };
        }
        let Some((at, part)) = index.part(permission) else { return Entitled::No(Reason::UnknownPermission) };
        match self.parts.get(at) {
            Some(PartState::Preview) if previewed(part.module) => Entitled::Yes { in_grace: false },
            Some(PartState::PreviewWithoutPart) if previewed(part.module) => {
                Entitled::No(Reason::SubmoduleNotEntitled)
            }
            Some(PartState::Preview | PartState::PreviewWithoutPart) => Entitled::No(Reason::PreviewOnly),
            Some(PartState::ReadOnly) => Entitled::No(Reason::ReadOnly),
            Some(PartState::Denied(reason)) => Entitled::No(*reason),
            // Allowed parts are in `allowed`; what is not there belongs to the platform organization.
            Some(PartState::Allowed | PartState::Grace) | None => Entitled::No(Reason::SystemScope),
        }
    }

    /// What a principal may use here, given the modules previewed.
    pub(crate) fn for_principal(&self, index: &Index, previewed: impl Fn(u16) -> bool) -> PermissionSet {
        let mut set = self.allowed.clone();
        for (part, state) in index.parts.iter().zip(&self.parts) {
            if *state == PartState::Preview && previewed(part.module) {
                set.add(&part.permissions.without(&index.system));
            }
        }
        set
    }
}

/// Views in order, each in force from its instant on.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Timeline {
    first: View,
    later: Box<[(Timestamp, View)]>,
}

impl Timeline {
    /// The view in force, and when the next one takes over.
    #[inline]
    pub(crate) fn at(&self, now: Timestamp) -> (&View, Option<Timestamp>) {
        if self.later.is_empty() {
            return (&self.first, None);
        }
        let next = self.later.partition_point(|(from, _)| *from <= now);
        let view =
            next.checked_sub(1).and_then(|at| self.later.get(at)).map_or(&self.first, |(_, view)| view);
        (view, self.later.get(next).map(|(from, _)| *from))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let view = size_of::<View>() + self.first.parts.len() * size_of::<PartState>();
        size_of::<Self>() + self.later.len() * (view + size_of::<Timestamp>())
    }
}

/// The rows of one module.
#[derive(Default)]
struct ModuleRows<'a> {
    module: Vec<&'a EntitlementFact>,
    parts: Vec<(&'a Key, &'a EntitlementFact)>,
}

enum ModuleState<'a> {
    Granted { state: PartState, by: Vec<(EntitlementSource, &'a str)> },
    Denied(Reason),
}

fn live(window: Window, status: EntitlementStatus, row: &EntitlementFact, now: Timestamp) -> bool {
    row.status == status && window.is_live(now)
}

impl<'a> ModuleRows<'a> {
    fn state(&self, legacy_on: bool, now: Timestamp) -> ModuleState<'a> {
        let in_force = |status| self.module.iter().filter(move |row| live(row.window, status, row, now));
        let by = |rows: &mut dyn Iterator<Item = &&'a EntitlementFact>| -> Vec<(EntitlementSource, &'a str)> {
            rows.map(|row| (row.source, row.source_id.as_str())).collect()
        };
        if in_force(EntitlementStatus::Blocked).next().is_some() {
            return ModuleState::Denied(Reason::EntitlementBlocked);
        }
        if self.module.is_empty() {
            return if legacy_on {
                ModuleState::Granted { state: PartState::Allowed, by: Vec::new() }
            } else {
                ModuleState::Denied(Reason::NotEntitled)
            };
        }
        let enabled = by(&mut in_force(EntitlementStatus::Enabled));
        if !enabled.is_empty() {
            return ModuleState::Granted { state: PartState::Allowed, by: enabled };
        }
        let preview = by(&mut in_force(EntitlementStatus::Preview));
        if !preview.is_empty() {
            return ModuleState::Granted { state: PartState::Preview, by: preview };
        }
        let ended = || {
            self.module
                .iter()
                .filter(|row| row.status == EntitlementStatus::Enabled && row.window.is_over(now))
        };
        let Some(last) = ended().filter_map(|row| row.window.to()).max() else {
            return ModuleState::Denied(Reason::NotEntitled);
        };
        let last = || ended().filter(move |row| row.window.to() == Some(last));
        let grace = by(&mut last().filter(|row| row.grace_until.is_some_and(|until| now < until)));
        if !grace.is_empty() {
            return ModuleState::Granted { state: PartState::Grace, by: grace };
        }
        let reading = by(&mut last().filter(|row| row.read_only_until.is_some_and(|until| now < until)));
        if !reading.is_empty() {
            return ModuleState::Granted { state: PartState::ReadOnly, by: reading };
        }
        ModuleState::Denied(Reason::EntitlementExpired)
    }

    fn part(&self, state: &ModuleState<'a>, submodule: &Key, now: Timestamp) -> PartState {
        let rows = || self.parts.iter().filter(|(key, _)| *key == submodule).map(|(_, row)| *row);
        let in_force = |status| rows().any(|row| live(row.window, status, row, now));
        if in_force(EntitlementStatus::Blocked) {
            return PartState::Denied(Reason::EntitlementBlocked);
        }
        let (state, by) = match state {
            ModuleState::Denied(reason) => return PartState::Denied(*reason),
            ModuleState::Granted { state, by } => (*state, by),
        };
        let refused = if state == PartState::Preview {
            PartState::PreviewWithoutPart
        } else {
            PartState::Denied(Reason::SubmoduleNotEntitled)
        };
        // While the module runs on in grace or read only, so do its parts that ended with it.
        let before = |until: Option<Timestamp>| until.is_some_and(|until| now < until);
        let runs_on = |row: &EntitlementFact| {
            row.window.is_over(now)
                && match state {
                    PartState::Grace => before(row.grace_until),
                    PartState::ReadOnly => before(row.grace_until) || before(row.read_only_until),
                    _ => false,
                }
        };
        if rows()
            .any(|row| row.status == EntitlementStatus::Enabled && (row.window.is_live(now) || runs_on(row)))
        {
            return state;
        }
        if in_force(EntitlementStatus::Preview) {
            return match state {
                PartState::Allowed | PartState::Preview => PartState::Preview,
                _ => refused,
            };
        }
        if in_force(EntitlementStatus::Disabled) {
            return refused;
        }
        let lists_parts = |source: &(EntitlementSource, &str)| {
            self.parts.iter().any(|(_, row)| {
                matches!(row.status, EntitlementStatus::Enabled | EntitlementStatus::Preview)
                    && (row.source, row.source_id.as_str()) == *source
            })
        };
        if by.is_empty() || !by.iter().all(lists_parts) { state } else { refused }
    }
}

fn view(index: &Index, rows: &[ModuleRows<'_>], legacy_on: &[bool], now: Timestamp) -> View {
    let mut allowed = index.always_on.clone();
    let mut grace = PermissionSet::EMPTY;
    let states: Vec<ModuleState<'_>> =
        rows.iter().zip(legacy_on).map(|(rows, legacy_on)| rows.state(*legacy_on, now)).collect();
    let mut parts = Vec::with_capacity(index.parts.len());
    for part in &index.parts {
        let module = usize::from(part.module);
        let is_always_on = part.permissions.meets(&index.always_on);
        let state = match (rows.get(module), states.get(module)) {
            _ if is_always_on => PartState::Allowed,
            (Some(rows), Some(state)) => rows.part(state, &part.submodule, now),
            _ => PartState::Denied(Reason::NotEntitled),
        };
        match state {
            PartState::Allowed => allowed.add(&part.permissions),
            PartState::Grace => {
                allowed.add(&part.permissions);
                grace.add(&part.permissions);
            }
            PartState::ReadOnly => allowed.add(&part.permissions.intersect(&index.reads)),
            _ => {}
        }
        parts.push(state);
    }
    View { allowed: allowed.without(&index.system), grace: grace.without(&index.system), parts: parts.into() }
}

/// Compiles the timeline of an organization; `faults` receives rows that name nothing.
pub(crate) fn compile(
    index: &Index,
    kind: OrganizationKind,
    enabled_modules: Option<&str>,
    facts: &[EntitlementFact],
    faults: &mut Vec<String>,
) -> Timeline {
    if kind == OrganizationKind::Platform {
        let parts = index.parts.iter().map(|_| PartState::Allowed).collect();
        let first = View { allowed: index.all().clone(), grace: PermissionSet::EMPTY, parts };
        return Timeline { first, later: Box::default() };
    }
    let modules = &index.catalogue().modules;
    let mut rows: Vec<ModuleRows<'_>> = modules.iter().map(|_| ModuleRows::default()).collect();
    let mut edges: Vec<Timestamp> = Vec::new();
    for row in facts {
        let Some(of_module) =
            index.module_number(row.module.as_str()).and_then(|at| rows.get_mut(usize::from(at)))
        else {
            faults
                .push(format!("entitlement row for module {}: the catalogue has no such module", row.module));
            continue;
        };
        match &row.submodule {
            None => of_module.module.push(row),
            Some(submodule) => of_module.parts.push((submodule, row)),
        }
        edges.extend(
            [row.window.from(), row.window.to(), row.grace_until, row.read_only_until].into_iter().flatten(),
        );
    }
    let legacy_on: Vec<bool> = if enabled_modules.is_some() && rows.iter().any(|rows| rows.module.is_empty())
    {
        let legacy = legacy::enabled_modules(enabled_modules, index);
        if legacy.unreadable {
            faults.push(
                "enabled_modules: the document cannot be read, everything in it counts as off".to_owned(),
            );
        }
        modules.iter().map(|module| legacy.on.contains(&module.key)).collect()
    } else {
        vec![false; modules.len()]
    };
    edges.sort_unstable();
    edges.dedup();
    let mut later: Vec<(Timestamp, View)> = Vec::new();
    let first = view(index, &rows, &legacy_on, Timestamp(i64::MIN));
    for edge in edges {
        let next = view(index, &rows, &legacy_on, edge);
        if later.last().map_or(&first, |(_, view)| view) != &next {
            later.push((edge, next));
        }
    }
    Timeline { first, later: later.into() }
}
