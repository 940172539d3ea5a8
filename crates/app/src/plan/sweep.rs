//! The job that moves the status of subscriptions that have begun or ended. Decisions do not wait for it: the rows carry their instants.
//! Two nodes may run it at once, for each organization is worked on under its row lock, from what is there then.

use super::rows::json;
use super::{SubscriptionRow, SubscriptionStatus};
use crate::App;
use crate::entitlement::Entry;
use crate::entitlement::desk::{By, ChangeOptions, Desk, change};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{OrganizationId, Problem, ProblemKind};
use charter_store as store;
use std::collections::BTreeSet;
use store::subscription::Due;

/// Usage events are kept this long: the time within which the same event may be sent again.
const USAGE_EVENT_DAYS: i64 = 90;
const DAY_SECONDS: i64 = 86_400;
/// Rows that are read or forgotten at once.
const PAGE: u32 = 500;

/// What one run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Subscriptions that have begun.
    pub begun: usize,
    /// Subscriptions that have ended.
    pub ended: usize,
}

fn step(desk: &mut Desk<'_>) -> Swept {
    let (now, mut swept) = (desk.now, Swept::default());
    for row in &mut desk.state.subscriptions {
        let window = row.subscription.window;
        let next = match row.status {
            SubscriptionStatus::Ended => continue,
            _ if window.is_over(now) => SubscriptionStatus::Ended,
            SubscriptionStatus::Scheduled if window.is_live(now) => SubscriptionStatus::Active,
            _ => continue,
        };
        let action = match next {
            SubscriptionStatus::Active => {
                swept.begun += 1;
                "subscription.begin"
            }
            _ => {
                swept.ended += 1;
                "subscription.end"
            }
        };
        row.status = next;
        row.updated_at = now;
        let reason = if action == "subscription.begin" { "its time has come" } else { "its time is over" };
        let mut entry = Entry::new(action, "subscription", row.subscription.id.to_string(), reason);
        entry.after = Some(serde_json::json!({ "swept": json(&SubscriptionRow::clone(row)) }));
        desk.entries.push(entry);
    }
    swept
}

/// Moves what has fallen due, in every organization. Its cost is what is due, not how many organizations there are.
pub async fn sweep(app: &App) -> Result<Swept, Problem> {
    let mut swept = Swept::default();
    for due in [Due::Begin, Due::End] {
        let (now, mut after) = (app.now(), None);
        loop {
            let page = reading_all!(app.database(), |conn| {
                store::subscription::all_due(conn, due, now, after, PAGE)
            })?;
            let organizations: BTreeSet<_> = page.rows.iter().map(|row| row.organization).collect();
            for organization in organizations {
                let done = sweep_one(app, organization).await?;
                swept.begun += done.begun;
                swept.ended += done.ended;
            }
            after = page.rows.last().copied();
            if !page.more {
                break;
            }
        }
    }
    Ok(swept)
}

async fn sweep_one(app: &App, organization: OrganizationId) -> Result<Swept, Problem> {
    let by = By::sweeper(app.now());
    match change(app, by, organization, ChangeOptions::default(), |desk| Ok(step(desk))).await {
        Ok(done) if done.wrote => Ok(done.value),
        Ok(_) => Ok(Swept::default()),
        Err(problem) if problem.kind == ProblemKind::Unavailable => Err(problem),
        Err(problem) => {
            // One organization must not hold up the others.
            tracing::error!(%organization, %problem, "subscriptions that have fallen due were not moved");
            Ok(Swept::default())
        }
    }
}

/// Forgets usage events that are too old to come again; their counts stay. Once a day is enough. The writes are short, so that nobody
/// waits long behind one.
pub async fn forget_usage_events(app: &App) -> Result<u64, Problem> {
    let before = app.now().plus_seconds(-USAGE_EVENT_DAYS * DAY_SECONDS);
    let mut forgotten = 0;
    loop {
        let gone = app
            .database()
            .write(Scope::Installation, move |tx: &mut Tx| {
                Box::pin(async move { Ok(store::usage::purge_all(tx, before, PAGE).await?) })
                    as BoxFuture<'_, Result<u64, Problem>>
            })
            .await?;
        forgotten += gone;
        if gone < u64::from(PAGE) {
            return Ok(forgotten);
        }
    }
}
