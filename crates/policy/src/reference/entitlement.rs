//! The step of entitlement: rules E2 to E8 read off the rows of the module and its submodule.

use super::walk::{Walk, span};
use crate::legacy;
use charter_kernel::entitlement::{EntitlementFact, EntitlementSource, EntitlementStatus};
use charter_kernel::{PermissionCode, Reason, Timestamp};

impl<'a> Walk<'a> {
    pub(super) fn entitled(&mut self, code: &PermissionCode, is_platform: bool) -> Result<bool, Reason> {
        let now = self.check.now;
        let facts = self.facts;
        for row in &facts.entitlements {
            for at in [row.window.from(), row.window.to(), row.grace_until, row.read_only_until]
                .into_iter()
                .flatten()
            {
                self.keep_until(Some(at).filter(|at| *at > now));
            }
        }
        if is_platform {
            self.note("entitlement", None, "the platform organization has every module");
            return Ok(false);
        }
        let (Some(module), Some(permission)) =
            (self.index.catalogue().module(code.module()), self.index.catalogue().permission(code.as_str()))
        else {
            return Err(Reason::UnknownPermission);
        };
        // E2
        if module.always_on {
            self.note("entitlement", None, format!("module {} is always on", module.key));
            return Ok(false);
        }
        let of_module: Vec<&EntitlementFact> = facts
            .entitlements
            .iter()
            .filter(|row| row.module == module.key && row.submodule.is_none())
            .collect();
        let of_parts: Vec<&EntitlementFact> = facts
            .entitlements
            .iter()
            .filter(|row| row.module == module.key && row.submodule.is_some())
            .collect();
        let of_this: Vec<&EntitlementFact> = of_parts
            .iter()
            .copied()
            .filter(|row| row.submodule.as_ref() == Some(&permission.submodule))
            .collect();
        let in_force = |rows: &[&'a EntitlementFact], status| -> Vec<&'a EntitlementFact> {
            rows.iter().copied().filter(|row| row.status == status && row.window.is_live(now)).collect()
        };
        let describe = |row: &EntitlementFact| {
            let part = row.submodule.as_ref().map(|it| format!(".{it}")).unwrap_or_default();
            let why = if row.reason.is_empty() { String::new() } else { format!(": {}", row.reason) };
            let of = facts.subscriptions.iter().find(|it| it.id.to_string() == row.source_id);
            let of = of.map(|it| format!(" {}", it.plan)).unwrap_or_default();
            format!(
                "{}{part} is {} by {}{of} {}{why}",
                row.module,
                row.status.as_str(),
                row.source.as_str(),
                span(row.window)
            )
        };
        // E3
        for rows in [&of_module, &of_this] {
            if let Some(row) = in_force(rows, EntitlementStatus::Blocked).first() {
                self.note("entitlement", Some(format!("entitlement {}", row.source.as_str())), describe(row));
                return Err(Reason::EntitlementBlocked);
            }
        }
        #[derive(PartialEq, Clone, Copy)]
        enum Run {
            Full,
            Grace,
            ReadOnly,
        }
        let mut run = Run::Full;
        let mut preview = false;
        let granting: Vec<&EntitlementFact>;
        if of_module.is_empty() {
            // E4
            let legacy = legacy::enabled_modules(facts.organization.enabled_modules.as_deref(), self.index);
            if !legacy.on.contains(&module.key) {
                self.note(
                    "entitlement",
                    None,
                    format!("no row for module {}, and enabled_modules does not have it on", module.key),
                );
                return Err(Reason::NotEntitled);
            }
            self.note(
                "entitlement",
                None,
                format!("no row for module {}: enabled_modules has it on", module.key),
            );
            granting = Vec::new();
        } else {
            let enabled = in_force(&of_module, EntitlementStatus::Enabled);
            let previewing = in_force(&of_module, EntitlementStatus::Preview);
            let ended: Vec<&EntitlementFact> = of_module
                .iter()
                .copied()
                .filter(|row| {
                    row.status == EntitlementStatus::Enabled && row.window.to().is_some_and(|to| to <= now)
                })
                .collect();
            if !enabled.is_empty() {
                // E5
                granting = enabled;
            } else if !previewing.is_empty() {
                // E6
                preview = true;
                granting = previewing;
            } else if let Some(last) = ended.iter().filter_map(|row| row.window.to()).max() {
                // E7
                let last: Vec<&EntitlementFact> =
                    ended.into_iter().filter(|row| row.window.to() == Some(last)).collect();
                let until = |pick: fn(&EntitlementFact) -> Option<Timestamp>| -> Vec<&'a EntitlementFact> {
                    last.iter().copied().filter(|row| pick(row).is_some_and(|until| now < until)).collect()
                };
                let grace = until(|row| row.grace_until);
                let reading = until(|row| row.read_only_until);
                if !grace.is_empty() {
                    run = Run::Grace;
                    granting = grace;
                } else if !reading.is_empty() {
                    run = Run::ReadOnly;
                    granting = reading;
                } else {
                    self.note("entitlement", None, last.first().map(|row| describe(row)).unwrap_or_default());
                    return Err(Reason::EntitlementExpired);
                }
            } else {
                self.note("entitlement", None, format!("no row gives module {} now", module.key));
                return Err(Reason::NotEntitled);
            }
        }
        for row in &granting {
            self.note("entitlement", Some(format!("entitlement {}", row.source.as_str())), describe(row));
        }
        // E8, then the preview list and reading only, which a part may bring in as well
        let counts = |row: &&&EntitlementFact| {
            let after_end = row.window.to().is_some_and(|to| to <= now)
                && match run {
                    Run::Full => false,
                    Run::Grace => row.grace_until.is_some_and(|until| now < until),
                    Run::ReadOnly => {
                        row.grace_until.is_some_and(|until| now < until)
                            || row.read_only_until.is_some_and(|until| now < until)
                    }
                };
            row.status == EntitlementStatus::Enabled && (row.window.is_live(now) || after_end)
        };
        let lists = |source: EntitlementSource, id: &str| {
            of_parts.iter().any(|row| {
                row.source == source
                    && row.source_id == id
                    && matches!(row.status, EntitlementStatus::Enabled | EntitlementStatus::Preview)
            })
        };
        let mut part_in_preview = false;
        let part_allowed = if of_this.iter().any(|row| counts(&row)) {
            true
        } else if !in_force(&of_this, EntitlementStatus::Preview).is_empty() {
            part_in_preview = run == Run::Full;
            run == Run::Full
        } else if !in_force(&of_this, EntitlementStatus::Disabled).is_empty() {
            false
        } else {
            granting.is_empty() || granting.iter().any(|row| !lists(row.source, &row.source_id))
        };
        let listed =
            facts.previews.iter().any(|it| it.module == module.key && it.principal == self.check.subject);
        if (preview || part_in_preview) && !listed {
            self.note(
                "entitlement",
                None,
                format!("module {} is in preview and the account is not on its list", module.key),
            );
            return Err(Reason::PreviewOnly);
        }
        if !part_allowed {
            self.note(
                "entitlement",
                None,
                format!("part {} of module {} is not included", permission.submodule, module.key),
            );
            return Err(Reason::SubmoduleNotEntitled);
        }
        if run == Run::ReadOnly && !matches!(code.action(), "read" | "export") {
            self.note("entitlement", None, format!("module {} can be read and exported only", module.key));
            return Err(Reason::ReadOnly);
        }
        Ok(run == Run::Grace)
    }
}
