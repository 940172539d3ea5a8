//! Webhooks: what happens in an organization is told to addresses it names, signed, and again until it arrives.
//!
//! Whoever makes or turns a webhook must be allowed to read the trail, because the trail is what it sends. `spread.rs` reads the trail on
//! behalf of each webhook, `post.rs` sends what waits, `delivery.rs` lists and repeats, `target.rs` says where nothing may be sent,
//! `signature.rs` proves who sends.

mod delivery;
pub mod event;
mod post;
pub mod signature;
mod spread;
pub mod target;

pub use delivery::{deliveries, redeliver, test};
pub use post::{Answer, Courier, Delivering, Parcel, Sending, deliver_due, purge};
pub use spread::{Mark, spread};

use crate::App;
use crate::audit;
use crate::caller::{Listing, Page, RequestContext};
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use crate::{limit, text};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, Timestamp, WebhookId};
use charter_store as store;
use store::webhook::Webhook;
use zeroize::Zeroizing;

pub use charter_store::webhook_delivery::{Delivery, DeliveryStatus};

/// The permission to read what webhooks send.
const TRAIL: &str = "audit.events.read";
/// The limit of the plan.
const LIMIT: &str = "webhooks";
/// Longest time two secrets are in force.
const OVERLAP_SECONDS_MAX: u32 = 30 * 86_400;

/// A webhook to be made.
#[derive(Debug, Clone)]
pub struct WebhookDraft {
    /// What it is for.
    pub name: String,
    /// Where events go.
    pub url: String,
    /// Patterns of event types.
    pub events: Vec<String>,
}

/// What may change about a webhook; what is left out stays.
#[derive(Debug, Clone, Default)]
pub struct WebhookUpdate {
    /// What it is for.
    pub name: Option<String>,
    /// Where events go.
    pub url: Option<String>,
    /// Patterns of event types.
    pub events: Option<Vec<String>>,
    /// Whether events go there.
    pub is_active: Option<bool>,
}

/// A webhook as it is shown: all but its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookView {
    /// The organization.
    pub organization: OrganizationId,
    /// Its id.
    pub id: WebhookId,
    /// What it is for.
    pub name: String,
    /// Where events go.
    pub url: String,
    /// Patterns of event types.
    pub events: Vec<String>,
    /// Whether events go there.
    pub is_active: bool,
    /// Why Charter switched it off.
    pub disabled_reason: Option<String>,
    /// Until when the secret before the present one signs as well.
    pub previous_secret_until: Option<Timestamp>,
    /// Since when no delivery succeeded.
    pub failing_since: Option<Timestamp>,
    /// Who made it; none is the operator.
    pub created_by: Option<PrincipalId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl From<Webhook> for WebhookView {
    fn from(it: Webhook) -> Self {
        Self {
            organization: it.organization,
            id: it.id,
            name: it.name,
            url: it.url,
            events: it.events,
            is_active: it.is_active,
            disabled_reason: it.disabled_reason,
            previous_secret_until: it.previous_until,
            failing_since: it.failing_since,
            created_by: it.created_by,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}

/// A webhook with its new secret, which is seen here and never again.
pub struct WithSecret {
    /// The webhook.
    pub webhook: WebhookView,
    /// The secret.
    pub secret: Zeroizing<String>,
}

impl std::fmt::Debug for WithSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WithSecret").field("webhook", &self.webhook.id).finish_non_exhaustive()
    }
}

fn missing(id: WebhookId) -> Problem {
    Problem::not_found(format!("no webhook {id} in this organization"))
}

/// What a secret is sealed under.
fn sealed_as(id: WebhookId) -> String {
    format!("webhook {id}")
}

fn new_secret(app: &App, id: WebhookId) -> Result<(Zeroizing<String>, Vec<u8>), Problem> {
    let secret = Zeroizing::new(app.world().random::<32>());
    let sealed =
        app.identity().sealer().seal(&sealed_as(id), secret.as_slice(), app.world().random()).map_err(
            |error| Problem::new(ProblemKind::Internal, format!("a secret cannot be sealed: {error}")),
        )?;
    Ok((signature::text(secret.as_slice()), sealed))
}

async fn checked_url(app: &App, url: &str) -> Result<String, Problem> {
    let rules = app.webhook_rules();
    rules.read_and_resolve(url).await.map(String::from).map_err(|why| Problem::invalid("url", why))
}

fn checked_events(events: &[String]) -> Result<(), Problem> {
    event::fault(events).map_or(Ok(()), |why| Err(Problem::invalid("events", why)))
}

/// A webhook as the trail has it: without the query of its address, which may hold a key of the receiver.
fn record(it: &Webhook) -> String {
    let url = it.url.split('?').next().unwrap_or_default();
    serde_json::json!({ "name": it.name, "url": url, "events": it.events, "active": it.is_active })
        .to_string()
}

fn told(ctx: &RequestContext, it: &Webhook, action: &'static str) -> AuditEvent {
    audit::event(ctx, it.organization, action, "webhook", it.id.to_string())
}

async fn one(tx: &mut Tx, organization: OrganizationId, id: WebhookId) -> Result<Webhook, Problem> {
    store::webhook::get(tx, organization, id).await?.ok_or_else(|| missing(id))
}

/// Runs one change of an organization's webhooks.
async fn changing<T: Send + 'static>(
    app: &App,
    organization: OrganizationId,
    now: Timestamp,
    body: impl for<'a> FnOnce(Transaction<'a>) -> BoxFuture<'a, Result<Committed<T>, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let (value, revision) =
        app.write(Scope::Organization(organization.bits()), organization, now, body).await?;
    app.snapshots().hear_own(organization, revision).await?;
    Ok(value)
}

/// Makes a webhook. It is told what happens from now on.
pub async fn create(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    draft: WebhookDraft,
) -> Result<WithSecret, Problem> {
    let (organization, now) = (permit.organization(), ctx.now);
    app.require(ctx, organization, TRAIL).await?;
    checked_events(&draft.events)?;
    let id = WebhookId(app.fresh_id());
    let (secret, sealed) = new_secret(app, id)?;
    let mut webhook = Webhook {
        organization,
        id,
        name: text::name("name", &draft.name)?,
        url: checked_url(app, &draft.url).await?,
        events: draft.events,
        is_active: true,
        disabled_reason: None,
        secret: sealed,
        previous_secret: None,
        previous_until: None,
        cursor: 0,
        failing_since: None,
        created_by: ctx.principal().map(|caller| caller.id),
        created_at: now,
        updated_at: now,
        row_version: 1,
    };
    let (ctx_inside, catalogue) = (ctx.clone(), app.snapshots().catalogue());
    let webhook = changing(app, organization, now, move |mut transaction| {
        Box::pin(async move {
            let tx = transaction.tx();
            let count = store::webhook::count(tx, organization).await?;
            limit::keep_within(tx, &catalogue, organization, LIMIT, count + 1, now).await?;
            webhook.cursor = store::audit::head(tx, organization).await?.map_or(0, |head| head.seq);
            store::webhook::insert(tx, organization, &webhook).await?;
            let mut event = told(&ctx_inside, &webhook, "webhook.create");
            event.after = Some(record(&webhook));
            transaction.commit(event, Vec::new(), webhook).await
        })
    })
    .await?;
    Ok(WithSecret { webhook: webhook.into(), secret })
}

/// One webhook.
pub async fn get(app: &App, permit: &Permit, id: WebhookId) -> Result<WebhookView, Problem> {
    let organization = permit.organization();
    let found = reading!(app.database(), organization, |conn| store::webhook::get(conn, organization, id))?;
    found.map(WebhookView::from).ok_or_else(|| missing(id))
}

/// Webhooks in the order they were made, one page.
pub async fn list(app: &App, permit: &Permit, page: &Page) -> Result<Listing<WebhookView>, Problem> {
    let (organization, limit) = (permit.organization(), page.limit);
    let after = match &page.after {
        None => WebhookId(0),
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
    };
    let found = reading!(app.database(), organization, |conn| store::webhook::page(
        conn,
        organization,
        after,
        limit
    ))?;
    let next = if found.more { found.rows.last().map(|row| row.id.to_string()) } else { None };
    Ok(Listing { items: found.rows.into_iter().map(WebhookView::from).collect(), next })
}

/// Changes a webhook. One that is switched on again is told what happens from then on.
pub async fn update(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: WebhookId,
    update: WebhookUpdate,
) -> Result<WebhookView, Problem> {
    let (organization, now) = (permit.organization(), ctx.now);
    app.require(ctx, organization, TRAIL).await?;
    let name = update.name.as_deref().map(|name| text::name("name", name)).transpose()?;
    let url = match &update.url {
        Some(url) => Some(checked_url(app, url).await?),
        None => None,
    };
    update.events.as_deref().map_or(Ok(()), checked_events)?;
    let ctx_inside = ctx.clone();
    changing(app, organization, now, move |mut transaction| {
        Box::pin(async move {
            let tx = transaction.tx();
            let before = one(tx, organization, id).await?;
            let mut after = before.clone();
            after.name = name.unwrap_or(after.name);
            after.url = url.unwrap_or(after.url);
            after.events = update.events.unwrap_or(after.events);
            after.updated_at = now;
            match update.is_active {
                Some(true) if !before.is_active => {
                    (after.is_active, after.disabled_reason, after.failing_since) = (true, None, None);
                    after.cursor =
                        store::audit::head(tx, organization).await?.map_or(before.cursor, |head| head.seq);
                }
                Some(false) => (after.is_active, after.disabled_reason) = (false, None),
                _ => {}
            }
            if !store::webhook::update(tx, organization, &after).await? {
                return Err(Problem::new(ProblemKind::Changed, "the webhook changed meanwhile: try again")
                    .retry_after(1));
            }
            let mut event = told(&ctx_inside, &after, "webhook.update");
            (event.before, event.after) = (Some(record(&before)), Some(record(&after)));
            transaction.commit(event, Vec::new(), WebhookView::from(after)).await
        })
    })
    .await
}

/// Removes a webhook with its deliveries.
pub async fn delete(app: &App, ctx: &RequestContext, permit: &Permit, id: WebhookId) -> Result<(), Problem> {
    let (organization, now, ctx_inside) = (permit.organization(), ctx.now, ctx.clone());
    let catalogue = app.snapshots().catalogue();
    changing(app, organization, now, move |mut transaction| {
        Box::pin(async move {
            let tx = transaction.tx();
            let before = one(tx, organization, id).await?;
            store::webhook_delivery::delete_of(tx, organization, id).await?;
            store::webhook::delete(tx, organization, id).await?;
            let count = store::webhook::count(tx, organization).await?;
            limit::note(tx, &catalogue, organization, LIMIT, count, now).await?;
            let mut event = told(&ctx_inside, &before, "webhook.delete");
            event.before = Some(record(&before));
            transaction.commit(event, Vec::new(), ()).await
        })
    })
    .await
}

/// Gives a webhook a new secret; the old one signs as well for a while.
pub async fn rotate_secret(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: WebhookId,
    overlap_seconds: u32,
) -> Result<WithSecret, Problem> {
    let (organization, now, ctx_inside) = (permit.organization(), ctx.now, ctx.clone());
    if overlap_seconds > OVERLAP_SECONDS_MAX {
        return Err(Problem::invalid(
            "overlap_seconds",
            format!("at most {OVERLAP_SECONDS_MAX} (30 days) are allowed"),
        ));
    }
    let (secret, sealed) = new_secret(app, id)?;
    let webhook = changing(app, organization, now, move |mut transaction| {
        Box::pin(async move {
            let tx = transaction.tx();
            let before = one(tx, organization, id).await?;
            let until = now.plus_seconds(i64::from(overlap_seconds));
            let previous = (overlap_seconds > 0).then_some((before.secret.as_slice(), until));
            store::webhook::rotate(tx, organization, id, &sealed, previous, now).await?;
            let after = one(tx, organization, id).await?;
            let mut event = told(&ctx_inside, &after, "webhook.rotate-secret");
            event.after = Some(serde_json::json!({ "previous_until": after.previous_until }).to_string());
            transaction.commit(event, Vec::new(), WebhookView::from(after)).await
        })
    })
    .await?;
    Ok(WithSecret { webhook, secret })
}
