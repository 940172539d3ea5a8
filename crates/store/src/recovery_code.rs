//! Recovery codes: keyed hashes, each gone once it is used.

use charter_db::{Conn, Tx};
use charter_kernel::{PrincipalId, Timestamp};

use crate::{Result, row};

statements! {
    INSERT = "insert into recovery_codes (principal_id, code_hash, created_at) values ($1, $2, $3)";
    COUNT = "select count(*) from recovery_codes where principal_id = $1";
    // Of two requests with one code one finds it.
    TAKE = "delete from recovery_codes where principal_id = $1 and code_hash = $2";
    DELETE_OF_PRINCIPAL = "delete from recovery_codes where principal_id = $1";
}

/// Puts codes in the place of those a principal had.
pub async fn replace(tx: &mut Tx, principal: PrincipalId, hashes: &[[u8; 32]], now: Timestamp) -> Result<()> {
    tx.execute(&DELETE_OF_PRINCIPAL, params![principal]).await?;
    for hash in hashes {
        tx.execute(&INSERT, params![principal, hash, now]).await?;
    }
    Ok(())
}

/// How many codes a principal has left.
pub async fn count(conn: &mut Conn, principal: PrincipalId) -> Result<u64> {
    Ok(row::opt(conn, &COUNT, params![principal], |row| row.get(0)).await?.unwrap_or(0))
}

/// Uses a code, once; false when there is none such.
pub async fn take(tx: &mut Tx, principal: PrincipalId, hash: &[u8; 32]) -> Result<bool> {
    Ok(tx.execute(&TAKE, params![principal, hash]).await? > 0)
}
