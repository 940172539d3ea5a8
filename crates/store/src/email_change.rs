//! Changes of addresses, and the keyed hashes of the tokens that were mailed. Addresses are sealed before they come here.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{EmailChangeId, PrincipalId, Timestamp};

use crate::{Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select change_id, principal_id, old_email, new_email, proof_hash, undo_hash, asked_at, expires_at, proved_at, \
             undo_until from email_changes ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into email_changes (change_id, principal_id, old_email, new_email, proof_hash, undo_hash, asked_at, \
              expires_at, old_email_hash) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    ASKED_SINCE = "select count(*) from email_changes where principal_id = $1 and asked_at > $2";
    BY_PROOF = select!("where proof_hash = $1 and proved_at is null and ended_at is null and expires_at > $2");
    BY_UNDO = select!("where undo_hash = $1 and proved_at is not null and ended_at is null and undo_until > $2");
    END_UNPROVED = "update email_changes set ended_at = $2 where principal_id = $1 and proved_at is null and ended_at is null";
    PROVE = "update email_changes set proved_at = $2, undo_until = $3 where change_id = $1 and proved_at is null and ended_at is null";
    END = "update email_changes set ended_at = $2 where change_id = $1 and ended_at is null";
    END_OTHERS = "update email_changes set ended_at = $3 where principal_id = $1 and change_id <> $2 and proved_at is null and ended_at is null";
    /// Undoing a change undoes those that came after it.
    END_LATER = "update email_changes set ended_at = $3 where principal_id = $1 and asked_at >= $2 and ended_at is null";
    KEPT = "select principal_id, undo_until from email_changes where old_email_hash = $1 and undo_until > $2 and proved_at is not null \
            and ended_at is null order by undo_until desc limit 1";
    /// An address that the account of another system's user gave up is kept: a run asks about whoever comes with it.
    PURGE = "delete from email_changes where expires_at < $1 and not (proved_at is not null and ended_at is null and exists \
             (select 1 from adopted_users u where u.principal_id = email_changes.principal_id limit 1 offset 0))";
}

/// A change of an address.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailChange {
    /// Its id.
    pub id: EmailChangeId,
    /// Whose.
    pub principal: PrincipalId,
    /// The address before, sealed.
    pub old_email: Vec<u8>,
    /// The address after, sealed.
    pub new_email: Vec<u8>,
    /// Keyed hash of the token that proves the new address.
    pub proof_hash: Vec<u8>,
    /// Keyed hash of the token that takes the change back.
    pub undo_hash: Vec<u8>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Until when the new address may be proved.
    pub expires_at: Timestamp,
    /// When it was proved.
    pub proved_at: Option<Timestamp>,
    /// Until when the change may be taken back.
    pub undo_until: Option<Timestamp>,
}

impl core::fmt::Debug for EmailChange {
    /// Everything but the addresses and hashes.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EmailChange").field("id", &self.id).field("principal", &self.principal).finish()
    }
}

fn change(row: RowRef<'_>) -> Result<EmailChange> {
    Ok(EmailChange {
        id: EmailChangeId(row.get_id(0)?),
        principal: PrincipalId(row.get_id(1)?),
        old_email: row.get_bytes(2)?.to_vec(),
        new_email: row.get_bytes(3)?.to_vec(),
        proof_hash: row.get_bytes(4)?.to_vec(),
        undo_hash: row.get_bytes(5)?.to_vec(),
        asked_at: row::time(row, 6)?,
        expires_at: row::time(row, 7)?,
        proved_at: row::opt_time(row, 8)?,
        undo_until: row::opt_time(row, 9)?,
    })
}

/// Notes that somebody asked for a change; those they asked for before and did not prove end.
pub async fn insert(tx: &mut Tx, it: &EmailChange, old_email_hash: &[u8; 32]) -> Result<()> {
    let params = params![
        it.id,
        it.principal,
        it.old_email,
        it.new_email,
        it.proof_hash,
        it.undo_hash,
        it.asked_at,
        it.expires_at,
        old_email_hash
    ];
    tx.execute(&INSERT, params).await?;
    tx.execute(&END_OTHERS, params![it.principal, it.id, it.asked_at]).await?;
    Ok(())
}

/// How often somebody asked since a time.
pub async fn asked_since(conn: &mut Conn, principal: PrincipalId, since: Timestamp) -> Result<u64> {
    conn.query_one(&ASKED_SINCE, params![principal, since]).await?.get(0)
}

/// The change a proof is for, while it may be proved.
pub async fn by_proof(conn: &mut Conn, hash: &[u8; 32], now: Timestamp) -> Result<Option<EmailChange>> {
    row::opt(conn, &BY_PROOF, params![hash, now], change).await
}

/// The change that a token takes back, while it may be.
pub async fn by_undo(conn: &mut Conn, hash: &[u8; 32], now: Timestamp) -> Result<Option<EmailChange>> {
    row::opt(conn, &BY_UNDO, params![hash, now], change).await
}

/// For whom an address that was given up is kept, and until when.
pub async fn kept(
    conn: &mut Conn,
    old_email_hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<(PrincipalId, Timestamp)>> {
    row::opt(conn, &KEPT, params![old_email_hash, now], |row| {
        Ok((PrincipalId(row.get_id(0)?), row::time(row, 1)?))
    })
    .await
}

/// Ends the changes of a principal that were not proved yet.
pub async fn end_unproved(tx: &mut Tx, principal: PrincipalId, now: Timestamp) -> Result<u64> {
    tx.execute(&END_UNPROVED, params![principal, now]).await
}

/// Uses the proof up; false when another was first.
pub async fn prove(tx: &mut Tx, id: EmailChangeId, now: Timestamp, undo_until: Timestamp) -> Result<bool> {
    Ok(tx.execute(&PROVE, params![id, now, undo_until]).await? > 0)
}

/// Uses the way back up, and ends what was asked for after this change; false when another was first.
pub async fn undo(tx: &mut Tx, it: &EmailChange, now: Timestamp) -> Result<bool> {
    let is_first = tx.execute(&END, params![it.id, now]).await? > 0;
    tx.execute(&END_LATER, params![it.principal, it.asked_at, now]).await?;
    Ok(is_first)
}

/// Forgets what could be proved until before a time, but for what the next run of an adoption has to know.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}
