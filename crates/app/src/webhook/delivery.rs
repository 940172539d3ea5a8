//! Deliveries to webhooks as people see them: listed, repeated, and made to try a webhook out.

use super::event::{self, About};
use super::{Delivery, DeliveryStatus, changing, get, one, told};
use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::guard::Permit;
use charter_db::Tx;
use charter_kernel::{DeliveryId, OrganizationId, Problem, ProblemKind, Timestamp, WebhookId};
use charter_store as store;
use store::webhook::Webhook;

/// The deliveries to a webhook, newest first, one page.
pub async fn deliveries(
    app: &App,
    permit: &Permit,
    id: WebhookId,
    page: &Page,
) -> Result<Listing<Delivery>, Problem> {
    get(app, permit, id).await?;
    let (organization, limit) = (permit.organization(), page.limit);
    let below = match &page.after {
        None => DeliveryId(u128::MAX),
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
    };
    let found = reading!(app.database(), organization, |conn| store::webhook_delivery::page(
        conn,
        organization,
        id,
        below,
        limit
    ))?;
    let next = if found.more { found.rows.last().map(|row| row.id.to_string()) } else { None };
    Ok(Listing { items: found.rows, next })
}

/// A delivery that has yet to say something.
pub(super) fn fresh(app: &App, webhook: &Webhook, now: Timestamp) -> Delivery {
    Delivery {
        organization: webhook.organization,
        id: DeliveryId(app.fresh_id()),
        webhook: webhook.id,
        message: String::new(),
        event_type: String::new(),
        payload: String::new(),
        status: DeliveryStatus::Waiting,
        attempts: 0,
        next_attempt_at: now,
        created_at: now,
        finished_at: None,
        last_status: None,
        last_error: None,
    }
}

/// The organization as messages name it.
pub(super) async fn about(tx: &mut Tx, organization: OrganizationId) -> Result<About, Problem> {
    let found = store::organization::get(tx, organization).await?;
    let found =
        found.ok_or_else(|| Problem::not_found("no such organization, or you are not a member of it"))?;
    Ok(About { id: organization, key: found.organization.key })
}

/// Queues another delivery, made of the webhook as it is behind the lock.
async fn queue(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    id: WebhookId,
    repeated: Option<DeliveryId>,
) -> Result<Delivery, Problem> {
    let (now, ctx_inside, app_inside) = (ctx.now, ctx.clone(), app.clone());
    changing(app, organization, now, move |mut transaction| {
        Box::pin(async move {
            let tx = transaction.tx();
            let webhook = one(tx, organization, id).await?;
            if !webhook.is_active {
                return Err(Problem::new(
                    ProblemKind::InUse,
                    "the webhook is switched off: switch it on first",
                ));
            }
            let mut delivery = fresh(&app_inside, &webhook, now);
            let action = match repeated {
                Some(earlier) => {
                    let found = store::webhook_delivery::get(tx, organization, earlier).await?;
                    let found = found.filter(|found| found.webhook == id).ok_or_else(|| {
                        Problem::not_found(format!("no delivery {earlier} to this webhook"))
                    })?;
                    (delivery.message, delivery.event_type) = (found.message, found.event_type);
                    delivery.payload = found.payload;
                    "webhook.redeliver"
                }
                None => {
                    let about = about(tx, organization).await?;
                    delivery.message = format!("evt_test_{:032x}", delivery.id.bits());
                    event::TEST.clone_into(&mut delivery.event_type);
                    delivery.payload = event::test_payload(&delivery.message, &id.to_string(), now, &about);
                    "webhook.try"
                }
            };
            store::webhook_delivery::insert(tx, organization, &delivery).await?;
            let mut event = told(&ctx_inside, &webhook, action);
            event.after =
                Some(serde_json::json!({ "delivery": delivery.id, "message": delivery.message }).to_string());
            transaction.commit(event, Vec::new(), delivery).await
        })
    })
    .await
}

/// Repeats a delivery: the same message, with a delivery of its own.
pub async fn redeliver(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: WebhookId,
    delivery: DeliveryId,
) -> Result<Delivery, Problem> {
    queue(app, ctx, permit.organization(), id, Some(delivery)).await
}

/// Sends a webhook a message that says nothing, to try it out.
pub async fn test(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: WebhookId,
) -> Result<Delivery, Problem> {
    queue(app, ctx, permit.organization(), id, None).await
}
