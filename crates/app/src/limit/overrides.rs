//! Limits changed by hand for one organization: at most one override that sets and one that adds per limit.

use super::{AMOUNT_MAX, known};
use crate::caller::RequestContext;
use crate::entitlement::desk::{By, ChangeOptions, Changed, change};
use crate::entitlement::{Cause, Entry};
use crate::guard::Permit;
use crate::{App, subject, text};
use charter_kernel::entitlement::{Enforcement, LimitMode, LimitOverrideFact};
use charter_kernel::{Key, LimitOverrideId, OrganizationId, Problem, Window};

/// An override to be written.
#[derive(Debug, Clone)]
pub struct LimitDraft {
    /// The limit.
    pub limit: Key,
    /// Replace or add.
    pub mode: LimitMode,
    /// The value; none is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    pub enforcement: Enforcement,
    /// When.
    pub window: Window,
    /// Why.
    pub reason: String,
}

fn limit_json(limit: &LimitOverrideFact) -> serde_json::Value {
    serde_json::json!({
        "id": limit.id,
        "limit": limit.limit,
        "mode": limit.mode.as_str(),
        "value": limit.value,
        "enforcement": limit.enforcement.as_str(),
        "from": limit.window.from(),
        "to": limit.window.to(),
        "reason": limit.reason,
    })
}

/// Writes an override, in place of the one of the same limit and mode there is.
pub async fn put_override(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    options: ChangeOptions,
    draft: LimitDraft,
) -> Result<Changed<LimitOverrideFact>, Problem> {
    let reason = text::demanded_reason("reason", &draft.reason)?;
    subject::not_over(draft.window, ctx.now)?;
    if draft.mode == LimitMode::Set && draft.value.is_some_and(|value| value < 0) {
        return Err(Problem::invalid("value", "a limit is zero or more; null is unlimited"));
    }
    if draft.mode == LimitMode::Add && draft.value.is_none() {
        return Err(Problem::invalid("value", "say how much is added; to lift the limit, set it to null"));
    }
    if draft.value.is_some_and(|value| value.unsigned_abs() > AMOUNT_MAX.unsigned_abs()) {
        return Err(Problem::invalid(
            "value",
            format!("at most {AMOUNT_MAX} are allowed; null is unlimited"),
        ));
    }
    change(app, By::request(ctx, Cause::Api), organization, options, move |desk| {
        desk.require_customer()?;
        known(desk.catalogue(), &draft.limit)?;
        let id = LimitOverrideId(desk.fresh_id());
        let overrides = &mut desk.state.facts.limit_overrides;
        let found = overrides.iter_mut().find(|it| it.limit == draft.limit && it.mode == draft.mode);
        let row = LimitOverrideFact {
            id: found.as_ref().map_or(id, |found| found.id),
            limit: draft.limit.clone(),
            mode: draft.mode,
            value: draft.value,
            enforcement: draft.enforcement,
            window: draft.window,
            reason: reason.clone(),
        };
        let old = match found {
            Some(found) => Some(std::mem::replace(found, row.clone())),
            None => {
                overrides.push(row.clone());
                None
            }
        };
        let mut entry = Entry::new("limit.override", "limit", draft.limit.to_string(), &reason);
        entry.limit = Some(draft.limit);
        entry.before = old.as_ref().map(limit_json);
        entry.after = Some(limit_json(&row));
        desk.entries.push(entry);
        Ok(row)
    })
    .await
}

/// Takes the overrides of a limit back; of one mode, or of both.
pub async fn delete_override(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    options: ChangeOptions,
    (limit, mode): (Key, Option<LimitMode>),
    reason: &str,
) -> Result<Changed<Vec<LimitOverrideFact>>, Problem> {
    let reason = text::demanded_reason("reason", reason)?;
    change(app, By::request(ctx, Cause::Api), organization, options, move |desk| {
        let overrides = &mut desk.state.facts.limit_overrides;
        let goes = |it: &LimitOverrideFact| it.limit == limit && mode.is_none_or(|mode| it.mode == mode);
        let gone: Vec<LimitOverrideFact> = overrides.iter().filter(|it| goes(it)).cloned().collect();
        if gone.is_empty() {
            return Err(Problem::not_found(format!("no override of {limit} in this organization")));
        }
        overrides.retain(|it| !goes(it));
        for old in &gone {
            let mut entry = Entry::new("limit.override_remove", "limit", limit.to_string(), &reason);
            entry.limit = Some(limit.clone());
            entry.before = Some(limit_json(old));
            desk.entries.push(entry);
        }
        Ok(gone)
    })
    .await
}
