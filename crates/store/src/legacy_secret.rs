//! How often tokens of each secret of a former system were taken, by all nodes together.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::Timestamp;

use crate::{Result, row};

statements! {
    // Nodes add to what the others counted.
    ADD = "insert into legacy_secrets (secret_id, taken_at, accepted, last_accepted_at, ended_at) values ($1, $2, $3, $4, $5) \
           on conflict (secret_id) do update set \
           taken_at = case when excluded.taken_at < legacy_secrets.taken_at then excluded.taken_at else legacy_secrets.taken_at end, \
           accepted = legacy_secrets.accepted + excluded.accepted, \
           last_accepted_at = case when excluded.last_accepted_at is null or excluded.last_accepted_at < legacy_secrets.last_accepted_at \
                              then legacy_secrets.last_accepted_at else excluded.last_accepted_at end, \
           ended_at = coalesce(legacy_secrets.ended_at, excluded.ended_at)";
    END = "update legacy_secrets set ended_at = $2 where secret_id = $1 and ended_at is null";
    TAKE = "delete from legacy_secrets where secret_id = $1 returning secret_id, taken_at, accepted, last_accepted_at, ended_at";
    LIST = "select secret_id, taken_at, accepted, last_accepted_at, ended_at from legacy_secrets order by taken_at, secret_id";
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
}

impl LegacyUse {
    /// A secret of which no token came yet.
    #[must_use]
    pub fn unused(id: String, taken_at: Timestamp) -> Self {
        Self { id, taken_at, accepted: 0, last_accepted_at: None, ended_at: None }
    }
}

fn legacy_use(row: RowRef<'_>) -> Result<LegacyUse> {
    Ok(LegacyUse {
        id: row::text(row, 0)?,
        taken_at: row::time(row, 1)?,
        accepted: row.get(2)?,
        last_accepted_at: row::opt_time(row, 3)?,
        ended_at: row::opt_time(row, 4)?,
    })
}

/// Adds to what is known of a secret.
pub async fn add(tx: &mut Tx, it: &LegacyUse) -> Result<()> {
    tx.execute(&ADD, params![it.id, it.taken_at, it.accepted, it.last_accepted_at, it.ended_at]).await?;
    Ok(())
}

/// Ends a secret for good; false when it was before.
pub async fn end(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&END, params![id, now]).await? > 0)
}

/// Forgets a secret; gives what was known of it.
pub async fn take(tx: &mut Tx, id: &str) -> Result<Option<LegacyUse>> {
    row::opt(tx, &TAKE, params![id], legacy_use).await
}

/// All of them, the oldest first.
pub async fn list(conn: &mut Conn) -> Result<Vec<LegacyUse>> {
    row::list(conn, &LIST, &[], legacy_use).await
}
