//! Leases: one node at a time does a job. A node that dies leaves a lease that runs out.

use charter_db::{Conn, Tx, Value};
use charter_kernel::Timestamp;

use crate::{Result, row};

statements! {
    TAKE = "insert into leases (lease, holder, until) values ($1, $2, $3) on conflict (lease) do update \
            set holder = excluded.holder, until = excluded.until where leases.holder = excluded.holder or leases.until <= $4";
    HELD = "select holder, until from leases where lease = $1";
    GIVE_BACK = "delete from leases where lease = $1 and holder = $2";
}

/// Takes a lease until an instant, or keeps it longer; false while another holds it.
pub async fn take(tx: &mut Tx, lease: &str, holder: u128, until: Timestamp, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&TAKE, params![lease, Value::Id(holder), until, now]).await? > 0)
}

/// Who holds a lease, and until when.
pub async fn held(conn: &mut Conn, lease: &str) -> Result<Option<(u128, Timestamp)>> {
    row::opt(conn, &HELD, params![lease], |row| Ok((row.get_id(0)?, row::time(row, 1)?))).await
}

/// Gives a lease back before its time.
pub async fn give_back(tx: &mut Tx, lease: &str, holder: u128) -> Result<bool> {
    Ok(tx.execute(&GIVE_BACK, params![lease, Value::Id(holder)]).await? > 0)
}
