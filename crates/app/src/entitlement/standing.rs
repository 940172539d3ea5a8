//! How each module and submodule of an organization stands, with the row that says so: the rules E2 to E8 of the middle layer over
//! plain rows. The engine compiles the same rules into its timeline; a test holds the two together.

use charter_kernel::catalogue::{Module, ModuleScope};
use charter_kernel::entitlement::{EntitlementFact, EntitlementSource, EntitlementStatus, PreviewFact};
use charter_kernel::facts::{OrganizationFacts, OrganizationKind};
use charter_kernel::{ModuleKey, PrincipalId, Reason, SubmoduleKey, Timestamp};
use charter_policy::Index;
use charter_policy::legacy::{self, LegacyModules};
use std::collections::HashMap;

/// How far the organization may use a module or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Wholly.
    Full,
    /// Wholly, for a while after its end.
    Grace,
    /// Reading and export go on after the end.
    ReadOnly,
    /// For the principals on the preview list.
    Preview,
    /// Not at all.
    Denied,
}

impl Access {
    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Grace => "grace",
            Self::ReadOnly => "read_only",
            Self::Preview => "preview",
            Self::Denied => "denied",
        }
    }
}

/// The answer about one module or submodule, and the row it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing<'a> {
    /// How far.
    pub access: Access,
    /// Why, as a word: `always_on`, `legacy`, `enabled`, `grace`, `read_only`, `preview`, or the reason of a denial.
    pub reason: &'static str,
    /// The row that decides; none for rules without one.
    pub row: Option<&'a EntitlementFact>,
    /// Every row that gives it: source and its id.
    by: Vec<(EntitlementSource, &'a str)>,
}

impl<'a> Standing<'a> {
    fn plain(access: Access, reason: &'static str) -> Self {
        Self { access, reason, row: None, by: Vec::new() }
    }

    fn denied(reason: Reason, row: Option<&'a EntitlementFact>) -> Self {
        Self { access: Access::Denied, reason: reason.as_str(), row, by: Vec::new() }
    }

    /// Whether members may use it for an action: reading and export go on while it is read only. A preview counts for those on its list.
    pub fn allows(&self, action: Option<&str>, previewed: bool) -> bool {
        match self.access {
            Access::Full | Access::Grace => true,
            Access::ReadOnly => matches!(action, Some("read" | "export")),
            Access::Preview => previewed,
            Access::Denied => false,
        }
    }

    /// Whether it is usable at all.
    pub fn is_usable(&self) -> bool {
        self.access != Access::Denied
    }
}

#[derive(Default)]
struct ModuleRows<'a> {
    own: Vec<&'a EntitlementFact>,
    parts: Vec<(&'a SubmoduleKey, &'a EntitlementFact)>,
}

/// The rows of an organization, sorted by module, with what its legacy document says.
pub struct Standings<'a> {
    rows: HashMap<&'a str, ModuleRows<'a>>,
    legacy: LegacyModules,
    is_platform: bool,
    previews: &'a [PreviewFact],
}

fn ended_last<'a>(rows: &[&'a EntitlementFact], now: Timestamp) -> Vec<&'a EntitlementFact> {
    let ended = |row: &&&EntitlementFact| row.status == EntitlementStatus::Enabled && row.window.is_over(now);
    let last = rows.iter().filter(ended).filter_map(|row| row.window.to()).max();
    rows.iter().filter(ended).filter(|row| row.window.to() == last).copied().collect()
}

fn before(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_some_and(|until| now < until)
}

/// The row to show among several that give the same: the one that lasts longest, then by source.
fn longest<'a>(rows: &[&'a EntitlementFact]) -> Option<&'a EntitlementFact> {
    rows.iter().copied().min_by_key(|row| {
        (std::cmp::Reverse(row.window.to().map_or(i64::MAX, Timestamp::micros)), row.source)
    })
}

impl<'a> Standings<'a> {
    /// Sorts the rows of an organization.
    pub fn new(facts: &'a OrganizationFacts, index: &Index) -> Self {
        let mut rows: HashMap<&str, ModuleRows<'_>> = HashMap::new();
        for row in &facts.entitlements {
            let of = rows.entry(row.module.as_str()).or_default();
            match &row.submodule {
                None => of.own.push(row),
                Some(submodule) => of.parts.push((submodule, row)),
            }
        }
        Self {
            rows,
            legacy: legacy::enabled_modules(facts.organization.enabled_modules.as_deref(), index),
            is_platform: facts.organization.kind == OrganizationKind::Platform,
            previews: &facts.previews,
        }
    }

    /// What the legacy document says.
    pub fn legacy(&self) -> &LegacyModules {
        &self.legacy
    }

    /// Whether any row, in force or not, is about the module itself: then the legacy document has no say in it.
    pub fn has_row(&self, module: &ModuleKey) -> bool {
        self.rows.get(module.as_str()).is_some_and(|rows| !rows.own.is_empty())
    }

    /// Whether the principal is on the preview list of the module.
    pub fn is_previewed(&self, module: &ModuleKey, principal: PrincipalId) -> bool {
        self.previews.iter().any(|it| it.module == *module && it.principal == principal)
    }

    fn given(&self, module: &Module) -> Option<Standing<'a>> {
        if self.is_platform {
            return Some(Standing::plain(Access::Full, "platform"));
        }
        if module.scope == ModuleScope::System {
            return Some(Standing::denied(Reason::SystemScope, None));
        }
        module.always_on.then(|| Standing::plain(Access::Full, "always_on"))
    }

    /// How a module stands.
    pub fn module(&self, module: &Module, now: Timestamp) -> Standing<'a> {
        if let Some(given) = self.given(module) {
            return given;
        }
        let own: &[&'a EntitlementFact] = self.rows.get(module.key.as_str()).map_or(&[], |rows| &rows.own);
        let live = |status| -> Vec<&'a EntitlementFact> {
            own.iter().filter(|row| row.status == status && row.window.is_live(now)).copied().collect()
        };
        let given = |access, reason, rows: Vec<&'a EntitlementFact>| Standing {
            access,
            reason,
            row: longest(&rows),
            by: rows.iter().map(|row| (row.source, row.source_id.as_str())).collect(),
        };
        let blocked = live(EntitlementStatus::Blocked);
        if !blocked.is_empty() {
            return Standing::denied(Reason::EntitlementBlocked, longest(&blocked));
        }
        if own.is_empty() {
            return if self.legacy.on.contains(&module.key) {
                Standing::plain(Access::Full, "legacy")
            } else {
                Standing::denied(Reason::NotEntitled, None)
            };
        }
        let enabled = live(EntitlementStatus::Enabled);
        if !enabled.is_empty() {
            return given(Access::Full, "enabled", enabled);
        }
        let preview = live(EntitlementStatus::Preview);
        if !preview.is_empty() {
            return given(Access::Preview, "preview", preview);
        }
        let last = ended_last(own, now);
        if last.is_empty() {
            return Standing::denied(Reason::NotEntitled, live(EntitlementStatus::Disabled).first().copied());
        }
        let grace: Vec<_> = last.iter().filter(|row| before(row.grace_until, now)).copied().collect();
        if !grace.is_empty() {
            return given(Access::Grace, "grace", grace);
        }
        let reading: Vec<_> = last.iter().filter(|row| before(row.read_only_until, now)).copied().collect();
        if !reading.is_empty() {
            return given(Access::ReadOnly, "read_only", reading);
        }
        Standing::denied(Reason::EntitlementExpired, last.first().copied())
    }

    /// How a part of a module stands.
    pub fn submodule(&self, module: &Module, submodule: &SubmoduleKey, now: Timestamp) -> Standing<'a> {
        if let Some(given) = self.given(module) {
            return given;
        }
        let whole = self.module(module, now);
        let parts: &[(&'a SubmoduleKey, &'a EntitlementFact)] =
            self.rows.get(module.key.as_str()).map_or(&[], |rows| &rows.parts);
        let rows: Vec<&'a EntitlementFact> =
            parts.iter().filter(|(key, _)| *key == submodule).map(|(_, row)| *row).collect();
        let live = |status| rows.iter().copied().find(|row| row.status == status && row.window.is_live(now));
        if let Some(row) = live(EntitlementStatus::Blocked) {
            return Standing::denied(Reason::EntitlementBlocked, Some(row));
        }
        if !whole.is_usable() {
            return whole;
        }
        let runs_on = |row: &EntitlementFact| {
            row.window.is_over(now)
                && match whole.access {
                    Access::Grace => before(row.grace_until, now),
                    Access::ReadOnly => before(row.grace_until, now) || before(row.read_only_until, now),
                    _ => false,
                }
        };
        let refused = |row| Standing::denied(Reason::SubmoduleNotEntitled, row);
        let enabled = rows.iter().copied().find(|row| {
            row.status == EntitlementStatus::Enabled && (row.window.is_live(now) || runs_on(row))
        });
        if enabled.is_some() {
            return Standing { row: enabled, ..whole };
        }
        if let Some(row) = live(EntitlementStatus::Preview) {
            return match whole.access {
                Access::Full | Access::Preview => {
                    Standing { access: Access::Preview, reason: "preview", row: Some(row), by: Vec::new() }
                }
                _ => refused(Some(row)),
            };
        }
        if let Some(row) = live(EntitlementStatus::Disabled) {
            return refused(Some(row));
        }
        let lists_parts = |source: &(EntitlementSource, &str)| {
            parts.iter().any(|(_, row)| {
                matches!(row.status, EntitlementStatus::Enabled | EntitlementStatus::Preview)
                    && (row.source, row.source_id.as_str()) == *source
            })
        };
        if whole.by.is_empty() || !whole.by.iter().all(lists_parts) { whole } else { refused(None) }
    }

    /// The next instant at which the answer about a module, or a part of it, becomes another by itself.
    pub fn until(
        &self,
        module: &Module,
        submodule: Option<&SubmoduleKey>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let rows = self.rows.get(module.key.as_str())?;
        let mut edges: Vec<Timestamp> = rows
            .own
            .iter()
            .copied()
            .chain(rows.parts.iter().map(|(_, row)| *row))
            .flat_map(|row| [row.window.from(), row.window.to(), row.grace_until, row.read_only_until])
            .flatten()
            .filter(|edge| *edge > now)
            .collect();
        edges.sort_unstable();
        let answer = |at| {
            let standing = match submodule {
                None => self.module(module, at),
                Some(submodule) => self.submodule(module, submodule, at),
            };
            (standing.access, standing.reason)
        };
        let present = answer(now);
        edges.into_iter().find(|edge| answer(*edge) != present)
    }

    /// The modules a module needs that cannot be used.
    pub fn missing(&self, module: &Module, index: &Index, now: Timestamp) -> Vec<ModuleKey> {
        module
            .depends_on
            .iter()
            .filter(|needed| {
                index
                    .catalogue()
                    .module(needed.as_str())
                    .is_none_or(|needed| !self.module(needed, now).is_usable())
            })
            .cloned()
            .collect()
    }

    /// The usable modules that need this one.
    pub fn dependents(&self, module: &ModuleKey, index: &Index, now: Timestamp) -> Vec<ModuleKey> {
        index
            .catalogue()
            .modules
            .iter()
            .filter(|other| other.depends_on.contains(module) && self.module(other, now).is_usable())
            .map(|other| other.key.clone())
            .collect()
    }
}
