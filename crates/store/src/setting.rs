//! Settings of the installation: JSON documents by key.

use charter_db::{Conn, Tx};
use charter_kernel::Timestamp;

use crate::param::Document;
use crate::{Result, row};

statements! {
    PUT = "insert into settings (setting_key, value, changed_at) values ($1, $2, $3) \
           on conflict (setting_key) do update set value = excluded.value, changed_at = excluded.changed_at";
    INSERT = "insert into settings (setting_key, value, changed_at) values ($1, $2, $3) on conflict (setting_key) do nothing";
    DELETE = "delete from settings where setting_key = $1";
    GET = "select value from settings where setting_key = $1";
    LIST = "select setting_key, value from settings order by setting_key";
}

/// Sets a value, a JSON text.
pub async fn put(tx: &mut Tx, key: &str, value: &str, now: Timestamp) -> Result<()> {
    tx.execute(&PUT, params![key, Document(value), now]).await?;
    Ok(())
}

/// Sets a value that is not set yet; false when one was there.
pub async fn insert(tx: &mut Tx, key: &str, value: &str, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&INSERT, params![key, Document(value), now]).await? > 0)
}

/// Removes a value.
pub async fn delete(tx: &mut Tx, key: &str) -> Result<bool> {
    Ok(tx.execute(&DELETE, params![key]).await? > 0)
}

/// The value of a key, a JSON text.
pub async fn get(conn: &mut Conn, key: &str) -> Result<Option<String>> {
    row::opt(conn, &GET, params![key], |row| row::text(row, 0)).await
}

/// Every key with its value.
pub async fn list(conn: &mut Conn) -> Result<Vec<(String, String)>> {
    row::list(conn, &LIST, &[], |row| Ok((row::text(row, 0)?, row::text(row, 1)?))).await
}
