//! How often tokens of each secret of a former system were taken, by all nodes together.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::Timestamp;

use crate::{Result, row};

statements! {
    // Nodes add to what the others counted.
    ADD = "insert into legacy_secrets (secret_id, taken_at, accepted, last_accepted_at, ended_at, named_by) \
           values ($1, $2, $3, $4, $5, $6) \
           on conflict (secret_id) do update set \
           taken_at = case when excluded.taken_at < legacy_secrets.taken_at then excluded.taken_at else legacy_secrets.taken_at end, \
           accepted = legacy_secrets.accepted + excluded.accepted, \
           last_accepted_at = case when excluded.last_accepted_at is null or excluded.last_accepted_at < legacy_secrets.last_accepted_at \
                              then legacy_secrets.last_accepted_at else excluded.last_accepted_at end, \
           ended_at = coalesce(legacy_secrets.ended_at, excluded.ended_at), \
           named_by = case when excluded.named_by > legacy_secrets.named_by then excluded.named_by else legacy_secrets.named_by end";
    END = "update legacy_secrets set ended_at = $2 where secret_id = $1 and ended_at is null";
    TAKE = "delete from legacy_secrets where secret_id = $1 returning secret_id, taken_at, accepted, last_accepted_at, ended_at, named_by";
    // On PostgreSQL somebody may end it between the look at it and this.
    FORGET = "delete from legacy_secrets where secret_id = $1 and ended_at is null";
    LIST = "select secret_id, taken_at, accepted, last_accepted_at, ended_at, named_by from legacy_secrets order by taken_at, secret_id";
    ENDED_UNTIL = "select count(*) from legacy_secrets where ended_at is not null and named_by <= $1";
}

/// What is known of the use of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyUse {
    /// What the secret is called.
    pub id: String,
    /// Since when its tokens are taken.
    pub taken_at: Timestamp,
    /// How many requests came by a token of it.
    pub accepted: u64,
    /// When the last of them did.
    pub last_accepted_at: Option<Timestamp>,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
    /// The version of the pepper by which it is called so; zero where that was not written down.
    pub named_by: u32,
}

impl LegacyUse {
    /// A secret of which no token came yet.
    #[must_use]
    pub fn unused(id: String, named_by: u32, taken_at: Timestamp) -> Self {
        Self { id, taken_at, accepted: 0, last_accepted_at: None, ended_at: None, named_by }
    }
}

fn legacy_use(row: RowRef<'_>) -> Result<LegacyUse> {
    Ok(LegacyUse {
        id: row::text(row, 0)?,
        taken_at: row::time(row, 1)?,
        accepted: row.get(2)?,
        last_accepted_at: row::opt_time(row, 3)?,
        ended_at: row::opt_time(row, 4)?,
        named_by: row.get(5)?,
    })
}

/// Adds to what is known of a secret.
pub async fn add(tx: &mut Tx, it: &LegacyUse) -> Result<()> {
    let params = params![it.id, it.taken_at, it.accepted, it.last_accepted_at, it.ended_at, it.named_by];
    tx.execute(&ADD, params).await?;
    Ok(())
}

/// Ends a secret for good; false when it was before.
pub async fn end(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&END, params![id, now]).await? > 0)
}

/// Forgets a secret, unless it was ended: that is never forgotten; false when nothing was.
pub async fn forget(tx: &mut Tx, id: &str) -> Result<bool> {
    Ok(tx.execute(&FORGET, params![id]).await? > 0)
}

/// Takes a secret away, to call it by another name; gives what was known of it.
pub async fn take(tx: &mut Tx, id: &str) -> Result<Option<LegacyUse>> {
    row::opt(tx, &TAKE, params![id], legacy_use).await
}

/// How many that were ended are called so by a version of the pepper, or by one before it.
pub async fn ended_until(conn: &mut Conn, version: u32) -> Result<u64> {
    conn.query_one(&ENDED_UNTIL, params![version]).await?.get(0)
}

/// All of them, the oldest first.
pub async fn list(conn: &mut Conn) -> Result<Vec<LegacyUse>> {
    row::list(conn, &LIST, &[], legacy_use).await
}
