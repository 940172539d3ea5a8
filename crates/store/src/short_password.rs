//! Whose password is too short to be the only factor: it was chosen beside a second one.

use charter_db::{Conn, Tx};
use charter_kernel::PrincipalId;

use crate::{Result, row};

statements! {
    INSERT = "insert into short_passwords (principal_id) values ($1) on conflict (principal_id) do nothing";
    DELETE = "delete from short_passwords where principal_id = $1";
    HAS = "select 1 from short_passwords where principal_id = $1";
}

/// Notes whether the password that a principal has from now on is too short to be the only factor.
pub async fn note(tx: &mut Tx, principal: PrincipalId, is_short: bool) -> Result<()> {
    tx.execute(if is_short { &INSERT } else { &DELETE }, params![principal]).await?;
    Ok(())
}

/// Whether a principal's password is too short to be the only factor.
pub async fn has(conn: &mut Conn, principal: PrincipalId) -> Result<bool> {
    row::exists(conn, &HAS, params![principal]).await
}
