//! The emergency exit: rows go, and the `enabled_modules` document decides again wherever no row is left (rule E4).

use super::chain::{Cause, Entry};
use super::desk::{By, ChangeOptions, Changed, Desk, change};
use super::row_json;
use super::standing::Standings;
use crate::App;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::text;
use charter_kernel::entitlement::EntitlementSource;
use charter_kernel::{ModuleKey, OrganizationId, Problem};
use store::subscription::SubscriptionStatus;

use charter_store as store;

/// What the emergency exit removed, or would remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncated {
    /// Rows of modules.
    pub modules: usize,
    /// Rows of submodules.
    pub submodules: usize,
    /// Subscriptions that were ended.
    pub subscriptions: usize,
    /// Modules that stand otherwise afterwards.
    pub changes: Vec<ModuleChange>,
}

/// A module that is on and goes off, or the other way round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleChange {
    /// The module.
    pub module: ModuleKey,
    /// Whether it is on afterwards.
    pub on: bool,
}

/// Which modules are usable now, in the order of the catalogue.
fn standing(desk: &Desk<'_>) -> Vec<(ModuleKey, bool)> {
    let standings = Standings::new(&desk.state.facts, &desk.index);
    let modules = &desk.index.catalogue().modules;
    modules
        .iter()
        .map(|module| (module.key.clone(), standings.module(module, desk.now).is_usable()))
        .collect()
}

/// Removes rows of `org_entitlements` and `org_subentitlements`: those an adoption wrote (source migration), or with `all` every one, and
/// ends the subscriptions too, so that they write none again. Preview lists, events, usage and limit overrides stay. Done again, it
/// writes nothing.
pub async fn truncate(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    options: ChangeOptions,
    all: bool,
    reason: &str,
) -> Result<Changed<Truncated>, Problem> {
    let reason = text::demanded_reason("reason", reason)?;
    change(app, By::request(ctx, Cause::Api), organization, options, move |desk| {
        desk.require_customer()?;
        let now = desk.now;
        let before = standing(desk);
        let rows = std::mem::take(&mut desk.state.facts.entitlements);
        let (rows, kept): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| all || row.source == EntitlementSource::Migration);
        desk.state.facts.entitlements = kept;
        let mut ended = Vec::new();
        let open = |row: &&mut store::subscription::SubscriptionRow| row.status != SubscriptionStatus::Ended;
        for row in desk.state.subscriptions.iter_mut().filter(|_| all).filter(open) {
            row.status = SubscriptionStatus::Ended;
            row.updated_at = now;
            ended.push(row.subscription.id);
        }
        let changes: Vec<ModuleChange> = before
            .iter()
            .zip(standing(desk))
            .filter(|((_, was), (_, on))| was != on)
            .map(|(_, (module, on))| ModuleChange { module, on })
            .collect();
        let truncated = Truncated {
            modules: rows.iter().filter(|row| row.submodule.is_none()).count(),
            submodules: rows.iter().filter(|row| row.submodule.is_some()).count(),
            subscriptions: ended.len(),
            changes,
        };
        let key = desk.state.facts.organization.key.to_string();
        let mut entry = Entry::new("entitlement.truncate", "organization", key, &reason);
        entry.before = Some(serde_json::json!({
            "rows": rows.iter().map(row_json).collect::<Vec<_>>(),
            "subscriptions": ended,
        }));
        let named = |on: bool| -> Vec<&ModuleKey> {
            truncated.changes.iter().filter(|it| it.on == on).map(|it| &it.module).collect()
        };
        entry.after = Some(serde_json::json!({ "on": named(true), "off": named(false) }));
        desk.entries.push(entry);
        Ok(truncated)
    })
    .await
}
