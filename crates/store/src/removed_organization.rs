//! Organizations that were removed whole, for a day: a node that was away learns here what it must no longer remember.

use charter_db::{Conn, RowRef, Statement, Tx};
use charter_kernel::{Key, OrganizationId, Timestamp};

use crate::bulk::ids;
use crate::{Page, Result, row};

/// How long a removal is told of, in seconds. A node that was away for longer forgets everything.
pub const KEPT_SECONDS: i64 = 24 * 60 * 60;

macro_rules! record {
    ($list:literal) => {
        concat!(
            "insert into removed_organizations (organization_id, organization_key, removed_at) \
             select organization_id, organization_key, $2 from organizations where organization_id in (",
            $list,
            ") on conflict (organization_id) do update set organization_key = excluded.organization_key, removed_at = excluded.removed_at \
             returning organization_id, organization_key, removed_at"
        )
    };
}

const RECORD: Statement = Statement::forked(
    record!("select unhex(value) from json_each($1)"),
    record!("select v::uuid from jsonb_array_elements_text($1) e(v)"),
);
const SINCE: Statement = Statement::new(
    "select organization_id, organization_key, removed_at from removed_organizations \
     where (removed_at, organization_id) > ($1, $2) order by removed_at, organization_id limit $3",
);
const PURGE: Statement = Statement::new("delete from removed_organizations where removed_at < $1");

/// The statements of this file, by name.
#[must_use]
pub fn statements() -> Vec<(&'static str, &'static Statement)> {
    vec![("RECORD", &RECORD), ("SINCE", &SINCE), ("PURGE", &PURGE)]
}

/// An organization that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its id.
    pub organization: OrganizationId,
    /// The key it had.
    pub key: Key,
    /// When it was removed.
    pub removed_at: Timestamp,
}

fn removed(row: RowRef<'_>) -> Result<Removed> {
    Ok(Removed {
        organization: row::organization(row)?,
        key: row::parsed(row, 1)?,
        removed_at: row::time(row, 2)?,
    })
}

/// Takes note of organizations that the transaction is about to remove.
pub async fn record(tx: &mut Tx, of: &[OrganizationId], now: Timestamp) -> Result<Vec<Removed>> {
    row::list(tx, &RECORD, params![ids(of), now], removed).await
}

/// What was removed since an instant, less the overlap of the poll for changes; [`after`] goes on.
pub async fn since(conn: &mut Conn, time: Timestamp, limit: u32) -> Result<Page<Removed>> {
    let from = time.plus_seconds(-crate::revision::OVERLAP_SECONDS);
    row::page(conn, &SINCE, params![from, OrganizationId(0)], limit, removed).await
}

/// What was removed after this one.
pub async fn after(conn: &mut Conn, last: &Removed, limit: u32) -> Result<Page<Removed>> {
    row::page(conn, &SINCE, params![last.removed_at, last.organization], limit, removed).await
}

/// Forgets what was removed before an instant.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}
