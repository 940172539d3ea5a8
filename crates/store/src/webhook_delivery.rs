//! Deliveries to webhooks: what waits, what arrived, what was given up.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{DeliveryId, OrganizationId, Timestamp, WebhookId};

use crate::{Page, Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select organization_id, delivery_id, webhook_id, message_id, event_type, payload, status, attempts, next_attempt_at, \
             created_at, finished_at, last_status, last_error from webhook_deliveries ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into webhook_deliveries (organization_id, delivery_id, webhook_id, message_id, event_type, payload, status, attempts, \
              next_attempt_at, created_at) values ($1, $2, $3, $4, $5, $6, 'waiting', 0, $7, $7)";
    GET = select!("where organization_id = $1 and delivery_id = $2");
    PAGE = select!("where organization_id = $1 and webhook_id = $2 and delivery_id < $3 order by delivery_id desc limit $4");
    DUE = "select d.organization_id, d.delivery_id, d.webhook_id, d.message_id, d.event_type, d.payload, d.status, d.attempts, \
           d.next_attempt_at, d.created_at, d.finished_at, d.last_status, d.last_error from \
           (select organization_id, delivery_id, row_number() over \
            (partition by organization_id order by of_webhook, next_attempt_at, delivery_id) as turn from \
            (select organization_id, delivery_id, next_attempt_at, row_number() over \
             (partition by organization_id, webhook_id order by next_attempt_at, delivery_id) as of_webhook \
             from webhook_deliveries where status = 'waiting' and next_attempt_at <= $1) as due) as ranked \
           join webhook_deliveries d on d.organization_id = ranked.organization_id and d.delivery_id = ranked.delivery_id \
           where ranked.turn <= $2 order by ranked.turn, d.next_attempt_at, d.delivery_id limit $3";
    TAKE = "update webhook_deliveries set attempts = attempts + 1, next_attempt_at = $4 \
            where organization_id = $1 and delivery_id = $2 and attempts = $3 and status = 'waiting'";
    POSTPONE = "update webhook_deliveries set next_attempt_at = $4, last_status = $5, last_error = $6 \
                where organization_id = $1 and delivery_id = $2 and attempts = $3 and status = 'waiting'";
    FINISH = "update webhook_deliveries set status = $4, finished_at = $5, last_status = $6, last_error = $7 \
              where organization_id = $1 and delivery_id = $2 and attempts = $3 and status = 'waiting'";
    DELETE_OF = "delete from webhook_deliveries where organization_id = $1 and webhook_id = $2";
    PURGE = "delete from webhook_deliveries where finished_at < $1";
}

/// Where a delivery is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It waits, or is under way.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryStatus {
    /// The word used on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The status a word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Delivered, Self::Failed].into_iter().find(|status| status.as_str() == word)
    }
}

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The organization.
    pub organization: OrganizationId,
    /// Its id.
    pub id: DeliveryId,
    /// To which webhook.
    pub webhook: WebhookId,
    /// The id of the message.
    pub message: String,
    /// What happened, such as `grant.give`.
    pub event_type: String,
    /// The message, a JSON text.
    pub payload: String,
    /// Where it is on its way.
    pub status: DeliveryStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next_attempt_at: Timestamp,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it arrived or was given up.
    pub finished_at: Option<Timestamp>,
    /// The status the receiver answered with the last time.
    pub last_status: Option<u32>,
    /// What went wrong the last time.
    pub last_error: Option<String>,
}

fn delivery(row: RowRef<'_>) -> Result<Delivery> {
    Ok(Delivery {
        organization: row::organization(row)?,
        id: DeliveryId(row.get_id(1)?),
        webhook: WebhookId(row.get_id(2)?),
        message: row::text(row, 3)?,
        event_type: row::text(row, 4)?,
        payload: row::text(row, 5)?,
        status: row::word(row, 6, DeliveryStatus::from_word)?,
        attempts: row.get(7)?,
        next_attempt_at: row::time(row, 8)?,
        created_at: row::time(row, 9)?,
        finished_at: row::opt_time(row, 10)?,
        last_status: row.get_opt_int(11)?.and_then(|status| u32::try_from(status).ok()),
        last_error: row::opt_text(row, 12)?,
    })
}

/// Queues a delivery.
pub async fn insert(tx: &mut Tx, organization: OrganizationId, delivery: &Delivery) -> Result<()> {
    let it = delivery;
    tx.execute(
        &INSERT,
        params![organization, it.id, it.webhook, it.message, it.event_type, it.payload, it.created_at],
    )
    .await?;
    Ok(())
}

/// The delivery with this id.
pub async fn get(conn: &mut Conn, organization: OrganizationId, id: DeliveryId) -> Result<Option<Delivery>> {
    row::opt(conn, &GET, params![organization, id], delivery).await
}

/// The deliveries to a webhook below an id, newest first.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    webhook: WebhookId,
    below: DeliveryId,
    limit: u32,
) -> Result<Page<Delivery>> {
    row::page(conn, &PAGE, params![organization, webhook, below], limit, delivery).await
}

/// Deliveries that may be tried at an instant: organizations take turns, and so do the webhooks of each, so that nobody's heap keeps the
/// others waiting. Of one organization no more than `turns`. Reads across organizations.
pub async fn due(conn: &mut Conn, now: Timestamp, turns: u32, limit: u32) -> Result<Vec<Delivery>> {
    row::list(conn, &DUE, params![now, turns, limit], delivery).await
}

/// Takes a delivery that was tried so often before, for one sender until an instant; false when another was first.
pub async fn take(
    tx: &mut Tx,
    organization: OrganizationId,
    id: DeliveryId,
    attempts: u32,
    until: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&TAKE, params![organization, id, attempts, until]).await? > 0)
}

/// Puts a taken delivery back until an instant.
pub async fn postpone(
    tx: &mut Tx,
    organization: OrganizationId,
    (id, attempts): (DeliveryId, u32),
    next: Timestamp,
    status: Option<u32>,
    error: &str,
) -> Result<bool> {
    Ok(tx.execute(&POSTPONE, params![organization, id, attempts, next, status, error]).await? > 0)
}

/// Ends a delivery's way.
pub async fn finish(
    tx: &mut Tx,
    organization: OrganizationId,
    (id, attempts): (DeliveryId, u32),
    (outcome, now): (DeliveryStatus, Timestamp),
    status: Option<u32>,
    error: Option<&str>,
) -> Result<bool> {
    let params = params![organization, id, attempts, outcome.as_str(), now, status, error];
    Ok(tx.execute(&FINISH, params).await? > 0)
}

/// Forgets the deliveries to a webhook.
pub async fn delete_of(tx: &mut Tx, organization: OrganizationId, webhook: WebhookId) -> Result<u64> {
    tx.execute(&DELETE_OF, params![organization, webhook]).await
}

/// Forgets deliveries whose way ended before a time, of every organization.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}
