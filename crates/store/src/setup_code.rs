//! One-time codes that let the first administrator in; only hashes are kept.

use charter_db::{Conn, Tx};
use charter_kernel::Timestamp;

use crate::{Result, row};

statements! {
    INSERT = "insert into setup_codes (hash, created_at, expires_at) values ($1, $2, $3)";
    DELETE_UNUSED = "delete from setup_codes where used_at is null";
    USE = "update setup_codes set used_at = $2 where hash = $1 and used_at is null and expires_at > $2";
    ANY_USED = "select 1 from setup_codes where used_at is not null limit 1";
}

/// Replaces the unused codes by this one.
pub async fn replace(tx: &mut Tx, hash: &[u8], now: Timestamp, expires_at: Timestamp) -> Result<()> {
    tx.execute(&DELETE_UNUSED, &[]).await?;
    tx.execute(&INSERT, params![hash, now, expires_at]).await?;
    Ok(())
}

/// Uses a code up; false when it is unknown, used or over.
pub async fn use_up(tx: &mut Tx, hash: &[u8], now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&USE, params![hash, now]).await? > 0)
}

/// Whether a code was ever used: the installation has been set up.
pub async fn any_used(conn: &mut Conn) -> Result<bool> {
    row::exists(conn, &ANY_USED, &[]).await
}
