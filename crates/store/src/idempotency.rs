//! Answers already given, by the key a caller chose for its request. A row of status 0 is a claim: the work is being done, or
//! was begun by a process that never came back.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OrganizationId, Timestamp};

use crate::{Result, row};

statements! {
    INSERT = "insert into idempotency_keys (organization_id, caller, idempotency_key, request_hash, status, response, created_at) \
              values ($1, $2, $3, $4, $5, $6, $7)";
    GET = "select request_hash, status, response, created_at from idempotency_keys \
           where organization_id = $1 and caller = $2 and idempotency_key = $3";
    CLAIM = "insert into idempotency_keys (organization_id, caller, idempotency_key, request_hash, status, response, created_at) \
             values ($1, $2, $3, $4, 0, '', $5) on conflict (organization_id, caller, idempotency_key) do nothing";
    FINISH = "update idempotency_keys set status = $4, response = $5 \
              where organization_id = $1 and caller = $2 and idempotency_key = $3";
    ABANDON = "delete from idempotency_keys \
               where organization_id = $1 and caller = $2 and idempotency_key = $3 and status = 0";
    PURGE = "delete from idempotency_keys where organization_id = $1 and created_at < $2";
}

/// An answer already given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Hash of the request, to tell a repetition from another request with the same key.
    pub request_hash: Vec<u8>,
    /// HTTP status.
    pub status: u32,
    /// The body.
    pub response: String,
    /// When it was given.
    pub created_at: Timestamp,
}

fn answer(row: RowRef<'_>) -> Result<Answer> {
    Ok(Answer {
        request_hash: row.get_bytes(0)?.to_vec(),
        status: row.get(1)?,
        response: row::text(row, 2)?,
        created_at: row::time(row, 3)?,
    })
}

/// The answer given before to this caller and key. Ask after locking the revision, so that a request sent twice at once waits for the first.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    caller: &str,
    key: &str,
) -> Result<Option<Answer>> {
    row::opt(conn, &GET, params![organization, caller, key], answer).await
}

/// Keeps an answer, in the transaction of the work it is about. A key that is taken violates `idempotency_keys_pkey`.
pub async fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    caller: &str,
    key: &str,
    answer: &Answer,
) -> Result<()> {
    let it = answer;
    let params = params![organization, caller, key, it.request_hash, it.status, it.response, it.created_at];
    tx.execute(&INSERT, params).await?;
    Ok(())
}

/// Claims a key for work about to begin; false when it is taken.
pub async fn claim(
    tx: &mut Tx,
    organization: OrganizationId,
    caller: &str,
    key: &str,
    request_hash: &[u8],
    now: Timestamp,
) -> Result<bool> {
    let params = params![organization, caller, key, request_hash.to_vec(), now];
    Ok(tx.execute(&CLAIM, params).await? == 1)
}

/// Keeps the answer of claimed work.
pub async fn finish(
    tx: &mut Tx,
    organization: OrganizationId,
    caller: &str,
    key: &str,
    status: u32,
    response: &str,
) -> Result<()> {
    tx.execute(&FINISH, params![organization, caller, key, status, response]).await?;
    Ok(())
}

/// Gives a claim back: nothing was done.
pub async fn abandon(tx: &mut Tx, organization: OrganizationId, caller: &str, key: &str) -> Result<()> {
    tx.execute(&ABANDON, params![organization, caller, key]).await?;
    Ok(())
}

/// Forgets answers from before a time.
pub async fn purge(tx: &mut Tx, organization: OrganizationId, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![organization, before]).await
}
