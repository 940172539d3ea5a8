//! What people change by hand: overrides, and who is on a preview list. An override is `enabled`, `preview` or `blocked`; to switch a
//! module off against its plan one blocks it.

use super::chain::{Cause, Entry};
use super::desk::{By, ChangeOptions, Changed, Desk, change};
use super::standing::{Access, Standings};
use super::{legacy, member, part, row_json};
use crate::App;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::{subject, text};
use charter_kernel::catalogue::{Module, ModuleScope};
use charter_kernel::entitlement::{EntitlementFact, EntitlementSource, EntitlementStatus, PreviewFact};
use charter_kernel::{ModuleKey, OrganizationId, Problem, ProblemKind, SubmoduleKey, Timestamp, Window};

/// What an override says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverrideKind {
    /// On, whatever the plan says.
    Enabled,
    /// For the principals on the preview list.
    Preview,
    /// Off, whatever anything else says.
    Blocked,
}

impl OverrideKind {
    const fn status(self) -> EntitlementStatus {
        match self {
            Self::Enabled => EntitlementStatus::Enabled,
            Self::Preview => EntitlementStatus::Preview,
            Self::Blocked => EntitlementStatus::Blocked,
        }
    }
}

/// An override to be written.
#[derive(Debug, Clone)]
pub struct OverrideDraft {
    /// The module.
    pub module: ModuleKey,
    /// The submodule, or the whole module.
    pub submodule: Option<SubmoduleKey>,
    /// What it says.
    pub kind: OverrideKind,
    /// When it is in force.
    pub window: Window,
    /// Why.
    pub reason: String,
}

/// An override as written.
#[derive(Debug, Clone, PartialEq)]
pub struct OverrideView {
    /// The row; none when it was removed.
    pub row: Option<EntitlementFact>,
    /// The modules it needs that cannot be used: nothing is switched on in silence.
    pub missing: Vec<ModuleKey>,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

fn changeable(module: &Module) -> Result<(), Problem> {
    if module.scope == ModuleScope::System {
        return Err(Problem::invalid(
            "module",
            format!("{} belongs to the platform organization: no organization is entitled to it", module.key),
        ));
    }
    if module.always_on {
        return Err(Problem::invalid(
            "module",
            format!("{} is always on: entitlements do not switch it", module.key),
        ));
    }
    Ok(())
}

/// Refuses a change after which a module that can be used needs one that no longer can.
fn keep_dependents(
    desk: &Desk<'_>,
    before: &[(Timestamp, Vec<ModuleKey>)],
    module: &Module,
) -> Result<(), Problem> {
    let standings = Standings::new(&desk.state.facts, &desk.index);
    for (at, dependents) in before {
        if standings.module(module, *at).is_usable() {
            continue;
        }
        let now_lost: Vec<&str> = dependents.iter().map(ModuleKey::as_str).collect();
        if !now_lost.is_empty() {
            return Err(Problem::new(
                ProblemKind::InUse,
                format!(
                    "{} is needed by {}, which can be used at {at}: block {} first",
                    module.key,
                    now_lost.join(", "),
                    if now_lost.len() == 1 { "it" } else { "them" }
                ),
            ));
        }
    }
    Ok(())
}

/// The usable modules that need this one, at each instant that matters, while this one can be used.
fn dependents(desk: &Desk<'_>, module: &Module, instants: &[Timestamp]) -> Vec<(Timestamp, Vec<ModuleKey>)> {
    let standings = Standings::new(&desk.state.facts, &desk.index);
    instants
        .iter()
        .filter(|at| standings.module(module, **at).is_usable())
        .map(|at| (*at, standings.dependents(&module.key, &desk.index, *at)))
        .collect()
}

/// Writes an override, in place of the one there is.
pub async fn put_override(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    options: ChangeOptions,
    draft: OverrideDraft,
) -> Result<Changed<OverrideView>, Problem> {
    let reason = text::demanded_reason("reason", &draft.reason)?;
    subject::not_over(draft.window, ctx.now)?;
    change(app, By::request(ctx, Cause::Api), organization, options, move |desk| {
        desk.require_customer()?;
        let index = desk.index.clone();
        let module = part(&index, &draft.module, draft.submodule.as_ref())?;
        changeable(module)?;
        let starts = draft.window.from().map_or(desk.now, |from| from.max(desk.now));
        let before = dependents(desk, module, &[starts]);
        legacy::keep_legacy_word(desk, std::slice::from_ref(&draft.module), None, &reason);
        let row = EntitlementFact {
            module: draft.module.clone(),
            submodule: draft.submodule.clone(),
            source: EntitlementSource::Override,
            source_id: String::new(),
            status: draft.kind.status(),
            window: draft.window,
            grace_until: None,
            read_only_until: None,
            reason: reason.clone(),
        };
        let rows = &mut desk.state.facts.entitlements;
        let found = rows.iter_mut().find(|it| is_override(it, &draft.module, draft.submodule.as_ref()));
        let old = match found {
            Some(found) => Some(std::mem::replace(found, row.clone())),
            None => {
                rows.push(row.clone());
                None
            }
        };
        if draft.submodule.is_none() {
            keep_dependents(desk, &before, module)?;
        }
        let standings = Standings::new(&desk.state.facts, &desk.index);
        let missing = match draft.kind {
            OverrideKind::Blocked => Vec::new(),
            _ => standings.missing(module, &desk.index, starts),
        };
        let mut warnings: Vec<String> = missing
            .iter()
            .map(|needed| format!("{} needs {needed}, which cannot be used", module.key))
            .collect();
        if let Some(submodule) = &draft.submodule
            && draft.kind != OverrideKind::Blocked
            && !standings.submodule(module, submodule, starts).is_usable()
        {
            warnings.push(format!(
                "{submodule} still cannot be used: the module {} itself cannot ({})",
                module.key,
                standings.module(module, starts).reason
            ));
        }
        if draft.kind == OverrideKind::Preview
            && draft.submodule.is_none()
            && standings.module(module, starts).access == Access::Full
        {
            warnings.push(format!(
                "{} is on for everybody by another row: the preview changes nothing",
                module.key
            ));
        }
        let mut entry = Entry::new("entitlement.override", "module", target(&row), &reason);
        (entry.module, entry.submodule) = (Some(draft.module.clone()), draft.submodule.clone());
        entry.before = old.as_ref().map(row_json);
        entry.after = Some(row_json(&row));
        desk.entries.push(entry);
        Ok(OverrideView { row: Some(row), missing, warnings })
    })
    .await
}

fn is_override(row: &EntitlementFact, module: &ModuleKey, submodule: Option<&SubmoduleKey>) -> bool {
    row.source == EntitlementSource::Override && row.module == *module && row.submodule.as_ref() == submodule
}

fn target(row: &EntitlementFact) -> String {
    match &row.submodule {
        Some(submodule) => format!("{}/{submodule}", row.module),
        None => row.module.to_string(),
    }
}

/// Takes an override back.
pub async fn delete_override(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    options: ChangeOptions,
    (module, submodule): (ModuleKey, Option<SubmoduleKey>),
    reason: &str,
) -> Result<Changed<OverrideView>, Problem> {
    let reason = text::demanded_reason("reason", reason)?;
    change(app, By::request(ctx, Cause::Api), organization, options, move |desk| {
        let index = desk.index.clone();
        let known = part(&index, &module, submodule.as_ref())?;
        let before = dependents(desk, known, &[desk.now]);
        let rows = &mut desk.state.facts.entitlements;
        let at = rows
            .iter()
            .position(|row| is_override(row, &module, submodule.as_ref()))
            .ok_or_else(|| Problem::not_found(format!("no override of {module} in this organization")))?;
        let old = rows.remove(at);
        if submodule.is_none() {
            keep_dependents(desk, &before, known)?;
        }
        let mut entry = Entry::new("entitlement.override_remove", "module", target(&old), &reason);
        (entry.module, entry.submodule) = (Some(module), submodule);
        entry.before = Some(row_json(&old));
        desk.entries.push(entry);
        Ok(OverrideView { row: None, missing: Vec::new(), warnings: Vec::new() })
    })
    .await
}

/// Puts a member on the preview list of a module.
pub async fn add_preview(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    module: ModuleKey,
    who: String,
    reason: &str,
) -> Result<Changed<PreviewFact>, Problem> {
    let reason = text::demanded_reason("reason", reason)?;
    change(app, By::request(ctx, Cause::Api), organization, ChangeOptions::default(), move |desk| {
        let index = desk.index.clone();
        changeable(part(&index, &module, None)?)?;
        let principal = member(&desk.state.facts, &who)?;
        let preview = PreviewFact { module: module.clone(), principal };
        if !desk.state.facts.previews.contains(&preview) {
            desk.state.facts.previews.push(preview.clone());
        }
        let mut entry = Entry::new("preview.add", "principal", principal.to_string(), &reason);
        entry.module = Some(module);
        entry.after = Some(serde_json::json!({ "principal": principal }));
        desk.entries.push(entry);
        Ok(preview)
    })
    .await
}

/// Takes a member off the preview list of a module.
pub async fn remove_preview(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    module: ModuleKey,
    who: String,
    reason: &str,
) -> Result<Changed<PreviewFact>, Problem> {
    let reason = text::demanded_reason("reason", reason)?;
    change(app, By::request(ctx, Cause::Api), organization, ChangeOptions::default(), move |desk| {
        // One who is no member any more may still be on a list: an id is taken as it is.
        let principal = match who.parse() {
            Ok(id) => id,
            Err(_) => member(&desk.state.facts, &who)?,
        };
        let preview = PreviewFact { module: module.clone(), principal };
        let previews = &mut desk.state.facts.previews;
        let at = previews
            .iter()
            .position(|it| *it == preview)
            .ok_or_else(|| Problem::not_found(format!("{who:?} is not on the preview list of {module}")))?;
        previews.remove(at);
        let mut entry = Entry::new("preview.remove", "principal", principal.to_string(), &reason);
        entry.module = Some(module);
        entry.before = Some(serde_json::json!({ "principal": principal }));
        desk.entries.push(entry);
        Ok(preview)
    })
    .await
}
