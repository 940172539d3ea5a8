//! Denials, counted while they are identical, until they go to the audit trail as one event.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OrganizationId, PrincipalId, Timestamp};

use crate::{Result, row};

statements! {
    ADD = "insert into denial_counts (organization_id, window_start, principal_id, permission, resource, reason, count, first_at, last_at) \
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
           on conflict (organization_id, window_start, principal_id, permission, resource, reason) \
           do update set count = denial_counts.count + excluded.count, last_at = excluded.last_at";
    DUE = "select organization_id, window_start, principal_id, permission, resource, reason, count, first_at, last_at from denial_counts \
           where organization_id = $1 and window_start < $2 order by window_start, principal_id, permission, resource, reason limit $3";
    DELETE = "delete from denial_counts where organization_id = $1 and window_start = $2 and principal_id = $3 and permission = $4 \
              and resource = $5 and reason = $6";
}

/// Identical denials in one window of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenialCount {
    /// Start of the window.
    pub window_start: Timestamp,
    /// Who was denied; zeros for somebody unknown.
    pub principal: PrincipalId,
    /// The permission, as asked.
    pub permission: String,
    /// The resource as `type:id`; empty for none.
    pub resource: String,
    /// The reason's word.
    pub reason: String,
    /// How many times.
    pub count: u64,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
}

fn denial(row: RowRef<'_>) -> Result<DenialCount> {
    Ok(DenialCount {
        window_start: row::time(row, 1)?,
        principal: PrincipalId(row.get_id(2)?),
        permission: row::text(row, 3)?,
        resource: row::text(row, 4)?,
        reason: row::text(row, 5)?,
        count: row.get(6)?,
        first_at: row::time(row, 7)?,
        last_at: row::time(row, 8)?,
    })
}

/// Counts denials; those already counted in the window are added to.
pub async fn add(tx: &mut Tx, organization: OrganizationId, denial: &DenialCount) -> Result<()> {
    let it = denial;
    tx.execute(
        &ADD,
        params![
            organization,
            it.window_start,
            it.principal,
            it.permission,
            it.resource,
            it.reason,
            it.count,
            it.first_at,
            it.last_at
        ],
    )
    .await?;
    Ok(())
}

/// The counts of windows that began before a time, oldest first.
pub async fn due(
    conn: &mut Conn,
    organization: OrganizationId,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<DenialCount>> {
    row::list(conn, &DUE, params![organization, before, limit], denial).await
}

/// Forgets a count that has gone to the trail.
pub async fn delete(tx: &mut Tx, organization: OrganizationId, denial: &DenialCount) -> Result<bool> {
    let it = denial;
    let params = params![organization, it.window_start, it.principal, it.permission, it.resource, it.reason];
    Ok(tx.execute(&DELETE, params).await? > 0)
}
