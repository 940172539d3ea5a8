//! Revisions: the row that every writer of an organization's data locks first, and the sequence other nodes poll.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OrganizationId, Revision, Timestamp};

use crate::{Page, Result, row};

statements! {
    BUMP = "insert into organization_revisions (organization_id, revision, changed_at) values ($1, 1, $2) \
            on conflict (organization_id) do update set revision = organization_revisions.revision + 1, \
            changed_at = case when excluded.changed_at > organization_revisions.changed_at \
            then excluded.changed_at else organization_revisions.changed_at end returning revision";
    GET = "select revision from organization_revisions where organization_id = $1";
    CHANGED = "select organization_id, revision, changed_at from organization_revisions \
               where (changed_at, organization_id) > ($1, $2) order by changed_at, organization_id limit $3";
}

/// How far a poll reaches back before the last change it saw: a transaction that took its time, or a clock that is a little behind,
/// commits a change with an earlier time than one already seen. Longer than a statement may run.
pub const OVERLAP_SECONDS: i64 = 60;

/// An organization's revision, as the poll sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The organization.
    pub organization: OrganizationId,
    /// Its revision.
    pub revision: Revision,
    /// When it was changed.
    pub changed_at: Timestamp,
}

fn change(row: RowRef<'_>) -> Result<Change> {
    Ok(Change {
        organization: row::organization(row)?,
        revision: Revision(row.get(1)?),
        changed_at: row::time(row, 2)?,
    })
}

/// Locks the organization's row until the end of the transaction, and gives the next revision. The first thing a write does.
pub async fn bump(tx: &mut Tx, organization: OrganizationId, now: Timestamp) -> Result<Revision> {
    Ok(Revision(tx.query_one(&BUMP, params![organization, now]).await?.get(0)?))
}

/// The revision of an organization; zero before its first write.
pub async fn get(conn: &mut Conn, organization: OrganizationId) -> Result<Revision> {
    let found = conn.query_opt(&GET, params![organization]).await?;
    Ok(Revision(found.map(|row| row.get(0)).transpose()?.unwrap_or(0)))
}

/// The organizations changed since a time, less the overlap, oldest first: the caller compares revisions, and pages on with
/// [`changed_after`] the last one. Reads across organizations, so in the installation's scope.
pub async fn changed_since(conn: &mut Conn, time: Timestamp, limit: u32) -> Result<Page<Change>> {
    let from = time.plus_seconds(-OVERLAP_SECONDS);
    row::page(conn, &CHANGED, params![from, OrganizationId(0)], limit, change).await
}

/// The changes that follow this one in the order of time.
pub async fn changed_after(conn: &mut Conn, last: &Change, limit: u32) -> Result<Page<Change>> {
    row::page(conn, &CHANGED, params![last.changed_at, last.organization], limit, change).await
}
