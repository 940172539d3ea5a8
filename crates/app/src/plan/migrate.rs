//! Moving subscriptions to another version of their plan: first printed per organization, then made, each in a transaction of its own.

use super::preview::Preview;
use super::rows::{add, cut_json, json, move_end};
use super::{PlanStatus, SubscriptionStatus};
use crate::caller::RequestContext;
use crate::entitlement::desk::{By, ChangeOptions, Changed, CutShort, Desk, change};
use crate::entitlement::{Cause, Entry};
use crate::guard::Permit;
use crate::{App, text};
use charter_kernel::{Key, OrganizationId, Problem, SubscriptionId, Window};
use charter_store as store;

/// Which subscriptions are moved.
#[derive(Debug, Clone)]
pub struct MigrateOptions {
    /// To which version; the newest published one when left out.
    pub version: Option<u32>,
    /// Only of this organization.
    pub organization: Option<OrganizationId>,
    /// Pinned ones too.
    pub include_pinned: bool,
    /// Tell what would happen and write nothing.
    pub dry_run: bool,
    /// Why.
    pub reason: String,
}

/// What moving one organization means.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationReport {
    /// The organization.
    pub organization: OrganizationId,
    /// Its key.
    pub key: Key,
    /// The subscriptions that are moved, with the version each comes from.
    pub from: Vec<(SubscriptionId, u32)>,
    /// The version they come to.
    pub to: u32,
    /// Subscriptions that are pinned and stay.
    pub pinned: Vec<SubscriptionId>,
    /// Modules gained and lost, limits lowered, usage above them.
    pub preview: Preview,
    /// It was written.
    pub applied: bool,
}

fn move_all(
    desk: &mut Desk<'_>,
    plan: &Key,
    version: u32,
    include_pinned: bool,
    reason: &str,
) -> Result<MigrationReport, Problem> {
    desk.state.settle();
    let before = desk.state.clone();
    let target = desk
        .state
        .plan(plan, version)
        .cloned()
        .ok_or_else(|| Problem::not_found(format!("no version {version} of a plan {plan}")))?;
    let (mut from, mut pinned) = (Vec::new(), Vec::new());
    for row in before.subscriptions.iter().filter(|row| row.status != SubscriptionStatus::Ended) {
        let it = &row.subscription;
        if it.plan != *plan || it.version == version || it.window.is_over(desk.now) {
            continue;
        }
        if row.pinned && !include_pinned {
            pinned.push(it.id);
            continue;
        }
        from.push((it.id, it.version));
        let begins_later = it.window.from().is_some_and(|from| from > desk.now);
        let mut moved = row.clone();
        (moved.subscription.version, moved.updated_at) = (version, desk.now);
        let mut entry = Entry::new("plan.migrate", "subscription", it.id.to_string(), reason);
        entry.before = Some(json(row));
        if begins_later {
            // Nothing of it was ever in force: it keeps its id and gets the other version's rows.
            let source_id = it.id.to_string();
            desk.state.facts.entitlements.retain(|fact| fact.source_id != source_id);
            desk.state.subscriptions.retain(|other| other.subscription.id != it.id);
            add(desk, moved.clone(), &target, reason);
            let cut = desk.state.cut_short.get(&it.id).cloned().unwrap_or_default();
            entry.after =
                Some(serde_json::json!({ "subscription": json(&moved), "cut_short": cut_json(&cut) }));
        } else {
            let end = it.window.to();
            move_end(desk, it.id, Some(desk.now));
            moved.subscription.id = SubscriptionId(desk.fresh_id());
            moved.subscription.window = Window::new(Some(desk.now), end)
                .map_err(|error| Problem::invalid("window", error.to_string()))?;
            (moved.created_at, moved.status) = (desk.now, SubscriptionStatus::Active);
            add(desk, moved.clone(), &target, reason);
            // A change that was scheduled at the end of the old one now stands at the end of this one.
            for cut in desk.state.cut_short.values_mut() {
                for (id, _) in cut.iter_mut().filter(|(id, _)| *id == it.id) {
                    *id = moved.subscription.id;
                }
            }
            entry.after = Some(
                serde_json::json!({ "subscription": json(&moved), "cut_short": cut_json(&CutShort::new()) }),
            );
        }
        desk.entries.push(entry);
    }
    desk.state.settle();
    let preview = Preview::compare(&desk.index, &before, desk.state, desk.now, desk.now);
    for entry in &mut desk.entries {
        if let Some(serde_json::Value::Object(after)) = &mut entry.after {
            after.insert("preview".to_owned(), serde_json::to_value(&preview).unwrap_or_default());
        }
    }
    let organization = &desk.state.facts.organization;
    Ok(MigrationReport {
        organization: organization.id,
        key: organization.key.clone(),
        from,
        to: version,
        pinned,
        preview,
        applied: false,
    })
}

/// Moves the subscriptions of a plan to another of its versions.
pub async fn migrate(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    plan: Key,
    options: MigrateOptions,
) -> Result<Vec<MigrationReport>, Problem> {
    let reason = text::demanded_reason("reason", &options.reason)?;
    let target = super::get(app, &plan, options.version).await?;
    if target.status != PlanStatus::Published {
        return Err(Problem::invalid(
            "version",
            format!("version {} of {plan} is {}, not published", target.version, target.status.as_str()),
        ));
    }
    let version = target.version;
    let mut reports = Vec::new();
    let mut after = OrganizationId(0);
    loop {
        let wanted = plan.clone();
        let page = match options.organization {
            Some(one) => store::Page { rows: vec![one], more: false },
            None => reading_all!(app.database(), |conn| async move {
                store::subscription::organizations_of_plan(conn, &wanted, version, after, 500).await
            })?,
        };
        for organization in &page.rows {
            let by = By::request(&RequestContext { now: app.now(), ..ctx.clone() }, Cause::PlanPublish);
            let (plan, reason) = (plan.clone(), reason.clone());
            let include_pinned = options.include_pinned;
            let change_options = ChangeOptions { dry_run: options.dry_run, if_revision: None };
            let Changed { value, wrote, .. } = change(app, by, *organization, change_options, move |desk| {
                move_all(desk, &plan, version, include_pinned, &reason)
            })
            .await?;
            if !value.from.is_empty() || !value.pinned.is_empty() {
                reports.push(MigrationReport { applied: wrote, ..value });
            }
        }
        match page.rows.last().filter(|_| page.more) {
            Some(last) => after = *last,
            None => return Ok(reports),
        }
    }
}
