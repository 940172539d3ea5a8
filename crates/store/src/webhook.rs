//! Webhooks of an organization, and how far each has read the trail. What is delivered to them is in `webhook_delivery.rs`.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OrganizationId, PrincipalId, Timestamp, WebhookId};

use crate::param::texts;
use crate::{Page, Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select organization_id, webhook_id, name, url, events, status, disabled_reason, secret, previous_secret, previous_until, \
             cursor_seq, failing_since, created_by, created_at, updated_at, row_version from webhooks ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into webhooks (organization_id, webhook_id, name, url, events, status, secret, cursor_seq, created_by, created_at, \
              updated_at, row_version) values ($1, $2, $3, $4, $5, 'active', $6, $7, $8, $9, $9, 1)";
    GET = select!("where organization_id = $1 and webhook_id = $2");
    PAGE = select!("where organization_id = $1 and webhook_id > $2 order by webhook_id limit $3");
    COUNT = "select count(*) from webhooks where organization_id = $1";
    UPDATE = "update webhooks set name = $4, url = $5, events = $6, status = $7, disabled_reason = $8, failing_since = $9, \
              cursor_seq = $10, updated_at = $11, row_version = row_version + 1 \
              where organization_id = $1 and webhook_id = $2 and row_version = $3";
    ROTATE = "update webhooks set secret = $3, previous_secret = $4, previous_until = $5, updated_at = $6, row_version = row_version + 1 \
              where organization_id = $1 and webhook_id = $2";
    DISABLE = "update webhooks set status = 'disabled', disabled_reason = $3, updated_at = $4, row_version = row_version + 1 \
               where organization_id = $1 and webhook_id = $2 and status = 'active'";
    FAILING = "update webhooks set failing_since = $3 where organization_id = $1 and webhook_id = $2 and failing_since is null";
    WELL = "update webhooks set failing_since = null where organization_id = $1 and webhook_id = $2 and failing_since is not null";
    MOVE_CURSOR = "update webhooks set cursor_seq = $4 where organization_id = $1 and webhook_id = $2 and cursor_seq = $3 \
                   and status = 'active'";
    DELETE = "delete from webhooks where organization_id = $1 and webhook_id = $2";
    /// From what changed to its webhooks, and never the other way round: each engine is held to that order by its own words.
    BEHIND = "select w.organization_id, w.webhook_id, w.cursor_seq, r.changed_at from organization_revisions r \
              cross join audit_heads h on h.organization_id = r.organization_id \
              cross join webhooks w on w.organization_id = r.organization_id \
              where r.changed_at >= $1 and w.status = 'active' and h.seq > w.cursor_seq \
              order by r.changed_at, w.organization_id, w.webhook_id limit $2",
             "select w.organization_id, w.webhook_id, w.cursor_seq, r.changed_at from organization_revisions r \
              cross join lateral (select seq from audit_heads where organization_id = r.organization_id offset 0) h \
              cross join lateral (select organization_id, webhook_id, cursor_seq from webhooks \
               where organization_id = r.organization_id and status = 'active' and cursor_seq < h.seq offset 0) w \
              where r.changed_at >= $1 order by r.changed_at, w.organization_id, w.webhook_id limit $2";
}

/// A webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
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
    /// Why it was switched off, where Charter did it.
    pub disabled_reason: Option<String>,
    /// The secret, sealed.
    pub secret: Vec<u8>,
    /// The secret before it, sealed.
    pub previous_secret: Option<Vec<u8>>,
    /// Until when that one signs as well.
    pub previous_until: Option<Timestamp>,
    /// The number of the last event of the trail that was looked at.
    pub cursor: u64,
    /// Since when no delivery succeeded.
    pub failing_since: Option<Timestamp>,
    /// Who made it; none is the operator.
    pub created_by: Option<PrincipalId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its version.
    pub row_version: u64,
}

impl core::fmt::Debug for Webhook {
    /// Everything but the secrets.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Webhook").field("id", &self.id).field("url", &self.url).finish_non_exhaustive()
    }
}

/// A webhook that has not looked at all of its organization's trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// The organization.
    pub organization: OrganizationId,
    /// The webhook.
    pub webhook: WebhookId,
    /// The number of the last event it looked at.
    pub cursor: u64,
    /// When its organization was last changed.
    pub changed_at: Timestamp,
}

fn webhook(row: RowRef<'_>) -> Result<Webhook> {
    Ok(Webhook {
        organization: row::organization(row)?,
        id: WebhookId(row.get_id(1)?),
        name: row::text(row, 2)?,
        url: row::text(row, 3)?,
        events: row::texts(row, 4)?,
        is_active: row.get_text(5)? == "active",
        disabled_reason: row::opt_text(row, 6)?,
        secret: row.get_bytes(7)?.to_vec(),
        previous_secret: row.get_opt_bytes(8)?.map(<[u8]>::to_vec),
        previous_until: row::opt_time(row, 9)?,
        cursor: row.get(10)?,
        failing_since: row::opt_time(row, 11)?,
        created_by: row.get_opt_id(12)?.map(PrincipalId),
        created_at: row::time(row, 13)?,
        updated_at: row::time(row, 14)?,
        row_version: row.get(15)?,
    })
}

fn behind(row: RowRef<'_>) -> Result<Behind> {
    Ok(Behind {
        organization: row::organization(row)?,
        webhook: WebhookId(row.get_id(1)?),
        cursor: row.get(2)?,
        changed_at: row::time(row, 3)?,
    })
}

/// Adds a webhook.
pub async fn insert(tx: &mut Tx, organization: OrganizationId, webhook: &Webhook) -> Result<()> {
    let it = webhook;
    let events = texts(&it.events);
    tx.execute(
        &INSERT,
        params![
            organization,
            it.id,
            it.name,
            it.url,
            events,
            it.secret,
            it.cursor,
            it.created_by,
            it.created_at
        ],
    )
    .await?;
    Ok(())
}

/// The webhook with this id.
pub async fn get(conn: &mut Conn, organization: OrganizationId, id: WebhookId) -> Result<Option<Webhook>> {
    row::opt(conn, &GET, params![organization, id], webhook).await
}

/// The webhooks after an id, in the order they were made.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: WebhookId,
    limit: u32,
) -> Result<Page<Webhook>> {
    row::page(conn, &PAGE, params![organization, after], limit, webhook).await
}

/// How many webhooks an organization has.
pub async fn count(conn: &mut Conn, organization: OrganizationId) -> Result<u64> {
    conn.query_one(&COUNT, params![organization]).await?.get(0)
}

/// Writes what may change of a webhook that still has the version it was read with.
pub async fn update(tx: &mut Tx, organization: OrganizationId, webhook: &Webhook) -> Result<bool> {
    let it = webhook;
    let status = if it.is_active { "active" } else { "disabled" };
    let events = texts(&it.events);
    let params = params![
        organization,
        it.id,
        it.row_version,
        it.name,
        it.url,
        events,
        status,
        it.disabled_reason,
        it.failing_since,
        it.cursor,
        it.updated_at
    ];
    Ok(tx.execute(&UPDATE, params).await? > 0)
}

/// Puts a new secret in place; the one before signs as well until its time is over.
pub async fn rotate(
    tx: &mut Tx,
    organization: OrganizationId,
    id: WebhookId,
    secret: &[u8],
    previous: Option<(&[u8], Timestamp)>,
    now: Timestamp,
) -> Result<bool> {
    let (previous, until) = previous.unzip();
    Ok(tx.execute(&ROTATE, params![organization, id, secret, previous, until, now]).await? > 0)
}

/// Switches an active webhook off.
pub async fn disable(
    tx: &mut Tx,
    organization: OrganizationId,
    id: WebhookId,
    reason: &str,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&DISABLE, params![organization, id, reason, now]).await? > 0)
}

/// Notes that a delivery failed, unless one did before and none has succeeded since.
pub async fn failing(tx: &mut Tx, organization: OrganizationId, id: WebhookId, now: Timestamp) -> Result<()> {
    tx.execute(&FAILING, params![organization, id, now]).await?;
    Ok(())
}

/// Notes that a delivery succeeded.
pub async fn well(tx: &mut Tx, organization: OrganizationId, id: WebhookId) -> Result<()> {
    tx.execute(&WELL, params![organization, id]).await?;
    Ok(())
}

/// Moves the cursor of an active webhook from one event to another; false when somebody else did.
pub async fn move_cursor(
    tx: &mut Tx,
    organization: OrganizationId,
    id: WebhookId,
    from: u64,
    to: u64,
) -> Result<bool> {
    Ok(tx.execute(&MOVE_CURSOR, params![organization, id, from, to]).await? > 0)
}

/// Removes a webhook; its deliveries go first.
pub async fn delete(tx: &mut Tx, organization: OrganizationId, id: WebhookId) -> Result<bool> {
    Ok(tx.execute(&DELETE, params![organization, id]).await? > 0)
}

/// Webhooks of organizations changed at a time or later that have not looked at all of their trail. Reads across organizations.
pub async fn behind_since(conn: &mut Conn, since: Timestamp, limit: u32) -> Result<Vec<Behind>> {
    row::list(conn, &BEHIND, params![since, limit], behind).await
}
