//! From the trail to the webhooks. An audit event is written in the transaction of its change, so the trail is the outbox already: each
//! webhook has a cursor on it, and nothing has to be written beside the change. Events become final in the order of their numbers, so
//! a cursor passes none by. Several nodes may do this at once: whoever moves the cursor queues the deliveries, in one transaction.

use super::Delivery;
use super::delivery::{about, fresh};
use super::event::{is_wanted, message_id, payload};
use crate::App;
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{Problem, Timestamp};
use charter_store as store;
use std::sync::atomic::{AtomicI64, Ordering};
use store::audit::AuditRow;
use store::webhook::Behind;

/// Events looked at in one transaction.
const EVENTS_AT_ONCE: u64 = 200;
/// Webhooks found in one look.
const WEBHOOKS_AT_ONCE: u32 = 200;
/// Looks in one round, so that a flood of events does not keep the round from ending.
const LOOKS: usize = 20;

/// Up to when this node has seen every change.
#[derive(Debug, Default)]
pub struct Mark(AtomicI64);

/// Queues deliveries of what happened since the last time; gives how many. Called about once a second.
pub async fn spread(app: &App) -> Result<usize, Problem> {
    let started = app.now();
    let mark = &app.inner.webhook_mark.0;
    let since = Timestamp(mark.load(Ordering::Acquire)).plus_seconds(-store::revision::OVERLAP_SECONDS);
    let since = since.max(Timestamp(0));
    let mut queued = 0;
    for _ in 0..LOOKS {
        let behind =
            reading_all!(app.database(), |conn| store::webhook::behind_since(conn, since, WEBHOOKS_AT_ONCE))?;
        if behind.is_empty() {
            mark.fetch_max(started.micros(), Ordering::AcqRel);
            return Ok(queued);
        }
        for one in behind {
            queued += advance(app, one).await?;
        }
    }
    Ok(queued)
}

async fn advance(app: &App, behind: Behind) -> Result<usize, Problem> {
    let (now, app_inside, organization) = (app.now(), app.clone(), behind.organization);
    app.database()
        .write(Scope::Organization(organization.bits()), move |tx: &mut Tx| {
            Box::pin(async move {
                let found = store::webhook::get(tx, organization, behind.webhook).await?;
                let Some(webhook) = found.filter(|it| it.is_active && it.cursor == behind.cursor) else {
                    return Ok(0);
                };
                let (from, to) = (webhook.cursor + 1, webhook.cursor + EVENTS_AT_ONCE);
                let mut events: Vec<AuditRow> = Vec::new();
                let mut last = webhook.cursor;
                store::audit::for_each(tx, organization, from, to, |row: AuditRow| -> Result<(), Problem> {
                    last = row.seq;
                    if is_wanted(&webhook.events, &row.action) {
                        events.push(row);
                    }
                    Ok(())
                })
                .await?;
                if last == webhook.cursor
                    || !store::webhook::move_cursor(tx, organization, webhook.id, webhook.cursor, last)
                        .await?
                {
                    return Ok(0);
                }
                if events.is_empty() {
                    return Ok(0);
                }
                let about = about(tx, organization).await?;
                for row in &events {
                    let delivery = Delivery {
                        message: message_id(organization, row.seq),
                        event_type: row.action.clone(),
                        payload: payload(row, &about),
                        ..fresh(&app_inside, &webhook, now)
                    };
                    store::webhook_delivery::insert(tx, organization, &delivery).await?;
                }
                Ok(events.len())
            }) as BoxFuture<'_, Result<usize, Problem>>
        })
        .await
}
