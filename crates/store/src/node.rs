//! The nodes that run: when each was seen last, and what stands for the signing keys it has read.

use charter_db::{Conn, RowRef, Tx, Value};
use charter_kernel::Timestamp;

use crate::{Result, row};

statements! {
    BEAT = "insert into nodes (node_id, version, started_at, seen_at, signing_keys) values ($1, $2, $3, $4, $5) \
            on conflict (node_id) do update set seen_at = excluded.seen_at, signing_keys = excluded.signing_keys";
    LEAVE = "delete from nodes where node_id = $1";
    PURGE = "delete from nodes where seen_at < $1";
    SEEN = "select node_id, version, started_at, seen_at, signing_keys from nodes where seen_at > $1 order by started_at, node_id";
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is known by: it chose it when it started.
    pub id: u128,
    /// Its version of the program.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was seen last.
    pub seen_at: Timestamp,
    /// What stands for the signing keys it has read.
    pub signing_keys: String,
}

fn node(row: RowRef<'_>) -> Result<Node> {
    Ok(Node {
        id: row.get_id(0)?,
        version: row::text(row, 1)?,
        started_at: row::time(row, 2)?,
        seen_at: row::time(row, 3)?,
        signing_keys: row::text(row, 4)?,
    })
}

/// Says that a node runs.
pub async fn beat(tx: &mut Tx, it: &Node) -> Result<()> {
    let params = params![Value::Id(it.id), it.version, it.started_at, it.seen_at, it.signing_keys];
    tx.execute(&BEAT, params).await?;
    Ok(())
}

/// Says that a node has stopped.
pub async fn leave(tx: &mut Tx, node: u128) -> Result<()> {
    tx.execute(&LEAVE, params![Value::Id(node)]).await?;
    Ok(())
}

/// Forgets nodes that were not seen since an instant.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}

/// The nodes that were seen since an instant, the oldest first.
pub async fn seen_since(conn: &mut Conn, since: Timestamp) -> Result<Vec<Node>> {
    row::list(conn, &SEEN, params![since], node).await
}
