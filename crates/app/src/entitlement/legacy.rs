//! Organizations that still live on their `enabled_modules` document: taking its word over as rows. The way back is
//! `truncate.rs`.

use super::chain::{Cause, Entry};
use super::customers;
use super::desk::{By, ChangeOptions, Changed, Desk, change};
use super::standing::Standings;
use crate::App;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::text;
use charter_kernel::catalogue::ModuleScope;
use charter_kernel::entitlement::{EntitlementFact, EntitlementSource, EntitlementStatus};
use charter_kernel::facts::OrganizationKind;
use charter_kernel::{Key, ModuleKey, OrganizationId, Problem, Timestamp, Window};

/// What taking over one organization's document did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyReport {
    /// The organization.
    pub organization: OrganizationId,
    /// Its key.
    pub key: Key,
    /// Modules that got a row that is enabled.
    pub enabled: Vec<ModuleKey>,
    /// Modules that got a row that is disabled.
    pub disabled: Vec<ModuleKey>,
    /// Modules that have a row already; it stays.
    pub kept: Vec<ModuleKey>,
    /// Modules that several names of the document fold to: on wins.
    pub folded_twice: Vec<ModuleKey>,
    /// Names of the document that are no module.
    pub unknown: Vec<String>,
    /// The document cannot be read. Nothing is written for it, so that it can be mended and taken over then; until then all of it is off.
    pub unreadable: bool,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

fn migration_row(module: &ModuleKey, on: bool, window: Window, reason: &str) -> EntitlementFact {
    EntitlementFact {
        module: module.clone(),
        submodule: None,
        source: EntitlementSource::Migration,
        source_id: String::new(),
        status: if on { EntitlementStatus::Enabled } else { EntitlementStatus::Disabled },
        window,
        grace_until: None,
        read_only_until: None,
        reason: reason.to_owned(),
    }
}

/// Before the first row about a module is written: what the document says of it is kept as a row, because any row stops the fallback.
/// Without this, scheduling a plan or blocking a module for a day would switch it off for good. It ends at `until`, if given.
pub(crate) fn keep_legacy_word(
    desk: &mut Desk<'_>,
    modules: &[ModuleKey],
    until: Option<Timestamp>,
    reason: &str,
) {
    let standings = Standings::new(&desk.state.facts, &desk.index);
    let window = Window::new(None, until).unwrap_or(Window::ALWAYS);
    let kept: Vec<EntitlementFact> = modules
        .iter()
        .filter(|module| !standings.has_row(module) && standings.legacy().on.contains(*module))
        .map(|module| migration_row(module, true, window, reason))
        .collect();
    desk.state.facts.entitlements.extend(kept);
}

/// Opens rows again that end at an instant because a plan was to take over then.
pub(crate) fn reopen_legacy_word(desk: &mut Desk<'_>, until: Timestamp) {
    for row in &mut desk.state.facts.entitlements {
        if row.source == EntitlementSource::Migration && row.window.to() == Some(until) {
            row.window = Window::new(row.window.from(), None).unwrap_or(Window::ALWAYS);
        }
    }
}

fn take_over(desk: &mut Desk<'_>, reason: &str) -> LegacyReport {
    let organization = &desk.state.facts.organization;
    let mut report = LegacyReport {
        organization: organization.id,
        key: organization.key.clone(),
        enabled: Vec::new(),
        disabled: Vec::new(),
        kept: Vec::new(),
        folded_twice: Vec::new(),
        unknown: Vec::new(),
        unreadable: false,
        warnings: Vec::new(),
    };
    if organization.kind == OrganizationKind::Platform {
        return report;
    }
    let standings = Standings::new(&desk.state.facts, &desk.index);
    let legacy = standings.legacy().clone();
    (report.folded_twice, report.unknown) = (legacy.folded_twice, legacy.unknown);
    report.unreadable = legacy.unreadable;
    if report.unreadable {
        report.warnings.push("the document cannot be read: mend it and take it over then".to_owned());
        return report;
    }
    let mut rows = Vec::new();
    for module in &desk.index.catalogue().modules {
        if module.always_on || module.scope == ModuleScope::System {
            continue;
        }
        if standings.has_row(&module.key) {
            report.kept.push(module.key.clone());
            continue;
        }
        let on = legacy.on.contains(&module.key);
        if on { &mut report.enabled } else { &mut report.disabled }.push(module.key.clone());
        rows.push(migration_row(&module.key, on, Window::ALWAYS, reason));
    }
    if rows.is_empty() {
        return report;
    }
    if desk.state.facts.subscriptions.is_empty() {
        report
            .warnings
            .push("it has no plan: hard limits are zero until it has one, or overrides".to_owned());
    }
    let mut entry = Entry::new("entitlement.migrate", "organization", report.key.to_string(), reason);
    entry.before =
        Some(serde_json::json!({ "enabled_modules": desk.state.facts.organization.enabled_modules }));
    entry.after = Some(serde_json::json!({
        "enabled": report.enabled,
        "disabled": report.disabled,
        "kept": report.kept,
        "folded_twice": report.folded_twice,
        "unknown": report.unknown,
    }));
    desk.entries.push(entry);
    desk.state.facts.entitlements.extend(rows);
    report
}

/// Takes over one organization's document: a row of source migration for every module without a row. Done again, it writes nothing.
pub async fn migrate_legacy(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    dry_run: bool,
    reason: &str,
) -> Result<Changed<LegacyReport>, Problem> {
    let reason = text::demanded_reason("reason", reason)?;
    let options = ChangeOptions { dry_run, if_revision: None };
    change(app, By::request(ctx, Cause::Migration), organization, options, move |desk| {
        Ok(take_over(desk, &reason))
    })
    .await
}

/// The same for every organization, each in a transaction of its own: one that is interrupted goes on where it stopped.
pub async fn migrate_legacy_all(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    dry_run: bool,
    reason: &str,
) -> Result<Vec<Changed<LegacyReport>>, Problem> {
    let mut reports = Vec::new();
    let mut after = Some(OrganizationId(0));
    while let Some(from) = after {
        let (page, next) = customers(app, from).await?;
        for (organization, _) in page {
            // Each is stamped when it is written: a long run must not look like a transaction that took too long.
            let ctx = RequestContext { now: app.now(), ..ctx.clone() };
            reports.push(migrate_legacy(app, &ctx, permit, organization, dry_run, reason).await?);
        }
        after = next;
    }
    Ok(reports)
}
