//! Forgotten passwords: what was asked, and the keyed hashes of the tokens that were mailed.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{PrincipalId, Timestamp};

use crate::{Result, row};

statements! {
    INSERT = "insert into password_resets (reset_id, login_hash, login, asked_at, expires_at) values ($1, $2, $3, $4, $5)";
    ASKED_SINCE = "select count(*) from password_resets where login_hash = $1 and asked_at > $2";
    WAITING = "select reset_id, login from password_resets where login is not null and asked_at <= $1 \
               order by asked_at, reset_id limit $2";
    TAKE = "update password_resets set login = null where reset_id = $1 and login is not null";
    ISSUE = "update password_resets set principal_id = $2, token_hash = $3, bound_to = $4, expires_at = $5 where reset_id = $1";
    BY_TOKEN = "select principal_id, bound_to from password_resets \
                where token_hash = $1 and used_at is null and expires_at > $2";
    USE = "update password_resets set used_at = $2 where token_hash = $1 and used_at is null and expires_at > $2";
    PURGE = "delete from password_resets where expires_at < $1";
}

/// A token that may still be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Whose.
    pub principal: PrincipalId,
    /// Keyed hash of the account and its password hash at that time.
    pub bound_to: Vec<u8>,
}

fn issued(row: RowRef<'_>) -> Result<Issued> {
    Ok(Issued { principal: PrincipalId(row.get_id(0)?), bound_to: row.get_bytes(1)?.to_vec() })
}

/// Notes that somebody asked; the login is sealed.
pub async fn insert(
    tx: &mut Tx,
    reset: u128,
    login_hash: &[u8; 32],
    login: &[u8],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    tx.execute(&INSERT, params![charter_db::Value::Id(reset), login_hash, login, now, expires_at]).await?;
    Ok(())
}

/// How often a login was asked for since a time.
pub async fn asked_since(conn: &mut Conn, login_hash: &[u8; 32], since: Timestamp) -> Result<u64> {
    conn.query_one(&ASKED_SINCE, params![login_hash, since]).await?.get(0)
}

/// What was asked until an instant and nobody has looked at yet: id and sealed login, oldest first.
pub async fn waiting(conn: &mut Conn, now: Timestamp, limit: u32) -> Result<Vec<(u128, Vec<u8>)>> {
    row::list(conn, &WAITING, params![now, limit], |row| Ok((row.get_id(0)?, row.get_bytes(1)?.to_vec())))
        .await
}

/// Takes one for the caller alone, and forgets the login; false when another was first.
pub async fn take(tx: &mut Tx, reset: u128) -> Result<bool> {
    Ok(tx.execute(&TAKE, params![charter_db::Value::Id(reset)]).await? > 0)
}

/// Adds the token that was made.
pub async fn issue(
    tx: &mut Tx,
    reset: u128,
    principal: PrincipalId,
    token_hash: &[u8; 32],
    bound_to: &[u8; 32],
    expires_at: Timestamp,
) -> Result<()> {
    let reset = charter_db::Value::Id(reset);
    tx.execute(&ISSUE, params![reset, principal, token_hash, bound_to, expires_at]).await?;
    Ok(())
}

/// The token with this hash, if it may be used at an instant.
pub async fn by_token(conn: &mut Conn, token_hash: &[u8; 32], now: Timestamp) -> Result<Option<Issued>> {
    row::opt(conn, &BY_TOKEN, params![token_hash, now], issued).await
}

/// Uses a token up; false when another was first.
pub async fn use_up(tx: &mut Tx, token_hash: &[u8; 32], now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&USE, params![token_hash, now]).await? > 0)
}

/// Forgets what ran out before a time.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}
