//! Usage: counters and gauges per limit, and the events that were already counted.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{Key, OrganizationId, Timestamp};

use crate::{Result, row};

statements! {
    ADD = "insert into org_usage (organization_id, limit_key, period_start, used, updated_at) values ($1, $2, $3, $4, $5) \
           on conflict (organization_id, limit_key, period_start) do update set used = org_usage.used + excluded.used, \
           updated_at = excluded.updated_at returning used";
    ADD_WITHIN = "insert into org_usage (organization_id, limit_key, period_start, used, updated_at) values ($1, $2, $3, $4, $5) \
                  on conflict (organization_id, limit_key, period_start) do update set used = org_usage.used + excluded.used, \
                  updated_at = excluded.updated_at where org_usage.used + excluded.used <= $6 returning used";
    SET = "insert into org_usage (organization_id, limit_key, period_start, used, updated_at) values ($1, $2, $3, $4, $5) \
           on conflict (organization_id, limit_key, period_start) do update set used = excluded.used, updated_at = excluded.updated_at";
    SET_NEWER = "insert into org_usage (organization_id, limit_key, period_start, used, updated_at) values ($1, $2, $3, $4, $5) \
                 on conflict (organization_id, limit_key, period_start) do update set used = excluded.used, \
                 updated_at = excluded.updated_at where org_usage.updated_at <= excluded.updated_at";
    GET = "select used from org_usage where organization_id = $1 and limit_key = $2 and period_start = $3";
    LIST = "select limit_key, period_start, used, updated_at from org_usage where organization_id = $1 order by limit_key, period_start";
    RECORD = "insert into usage_events (organization_id, event_key, limit_key, amount, at) values ($1, $2, $3, $4, $5) \
              on conflict (organization_id, event_key) do nothing";
    PURGE = "delete from usage_events where organization_id = $1 and at < $2";
    PURGE_ALL = "delete from usage_events where (organization_id, event_key) in \
                 (select organization_id, event_key from usage_events where at < $1 order by at limit $2)";
}

/// Start of the period of a gauge, which has none.
pub const GAUGE: Timestamp = Timestamp(0);

/// What an organization used of a limit in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The limit.
    pub limit: Key,
    /// Start of the period; [`GAUGE`] for a gauge.
    pub period_start: Timestamp,
    /// How much.
    pub used: i64,
    /// When it was last counted.
    pub updated_at: Timestamp,
}

fn usage(row: RowRef<'_>) -> Result<UsageRow> {
    Ok(UsageRow {
        limit: row::parsed(row, 0)?,
        period_start: row::time(row, 1)?,
        used: row.get(2)?,
        updated_at: row::time(row, 3)?,
    })
}

/// Adds to a counter or gauge (less than zero takes away), in one statement that loses nothing to others; gives the sum.
pub async fn add(
    tx: &mut Tx,
    organization: OrganizationId,
    limit: &Key,
    period_start: Timestamp,
    amount: i64,
    now: Timestamp,
) -> Result<i64> {
    tx.query_one(&ADD, params![organization, limit, period_start, amount, now]).await?.get(0)
}

/// The same, if the sum stays within a bound; gives nothing when it would not, and then nothing was added.
pub async fn add_within(
    tx: &mut Tx,
    organization: OrganizationId,
    limit: &Key,
    period_start: Timestamp,
    amount: i64,
    bound: i64,
    now: Timestamp,
) -> Result<Option<i64>> {
    // The statement's bound guards the row that is there; the first row has nothing to add to.
    if amount > bound {
        return Ok(None);
    }
    let params = params![organization, limit, period_start, amount, now, bound];
    row::opt(tx, &ADD_WITHIN, params, |row| row.get(0)).await
}

/// Sets a gauge to what was counted anew.
pub async fn set(
    tx: &mut Tx,
    organization: OrganizationId,
    limit: &Key,
    period_start: Timestamp,
    used: i64,
    now: Timestamp,
) -> Result<()> {
    tx.execute(&SET, params![organization, limit, period_start, used, now]).await?;
    Ok(())
}

/// The same, unless a later count is there already.
pub async fn set_newer(
    tx: &mut Tx,
    organization: OrganizationId,
    limit: &Key,
    period_start: Timestamp,
    used: i64,
    counted_at: Timestamp,
) -> Result<()> {
    tx.execute(&SET_NEWER, params![organization, limit, period_start, used, counted_at]).await?;
    Ok(())
}

/// What was used of a limit in a period.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    limit: &Key,
    period_start: Timestamp,
) -> Result<i64> {
    let found = row::opt(conn, &GET, params![organization, limit, period_start], |row| row.get(0)).await?;
    Ok(found.unwrap_or(0))
}

/// Everything the organization used, period by period.
pub async fn list(conn: &mut Conn, organization: OrganizationId) -> Result<Vec<UsageRow>> {
    row::list(conn, &LIST, params![organization], usage).await
}

/// Notes an event by its key; false when it was noted before and must not be counted again.
pub async fn record(
    tx: &mut Tx,
    organization: OrganizationId,
    event_key: &str,
    limit: &Key,
    amount: i64,
    at: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&RECORD, params![organization, event_key, limit, amount, at]).await? > 0)
}

/// Forgets events from before a time; their counts stay.
pub async fn purge(tx: &mut Tx, organization: OrganizationId, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![organization, before]).await
}

/// The same for every organization, the oldest first and at most so many: fewer than that are the last. In the installation's scope.
pub async fn purge_all(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64> {
    tx.execute(&PURGE_ALL, params![before, limit]).await
}
