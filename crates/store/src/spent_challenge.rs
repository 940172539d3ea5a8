//! Challenges that were answered: none is answered twice.

use charter_db::Tx;
use charter_kernel::Timestamp;

use crate::Result;

statements! {
    SPEND = "insert into spent_challenges (challenge, expires_at) values ($1, $2) on conflict (challenge) do nothing";
    PURGE = "delete from spent_challenges where expires_at < $1";
}

/// Spends a challenge; false when it was spent before.
pub async fn spend(tx: &mut Tx, challenge: &[u8], expires_at: Timestamp) -> Result<bool> {
    Ok(tx.execute(&SPEND, params![challenge, expires_at]).await? > 0)
}

/// Forgets those nobody could answer any more.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}
