//! Guesses at sign-in, and mails that nobody asked for, counted for all nodes together.

use charter_db::{Conn, Tx};
use charter_kernel::Timestamp;

use crate::{Result, row};

statements! {
    // The row is locked until the transaction ends: guesses made at the same time count one after the other.
    LOCK = "insert into sign_in_counters (kind, counter_key, guesses, counted_at) values ($1, $2, 0, $3) \
            on conflict (kind, counter_key) do update set guesses = sign_in_counters.guesses returning guesses, counted_at";
    SET = "update sign_in_counters set guesses = $3, counted_at = $4 where kind = $1 and counter_key = $2";
    FORGIVE = "delete from sign_in_counters where kind = $1 and counter_key = $2";
    GET = "select counted_at from sign_in_counters where kind = $1 and counter_key = $2";
    PURGE = "delete from sign_in_counters where counted_at < $1";
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Guesses at an account.
    Account,
    /// Guesses from an address.
    Address,
    /// Guesses at anybody of an organization, or requests made to it.
    Organization,
    /// Mails to one mailbox that its owner did not ask for.
    Mailbox,
}

impl Counted {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Address => "address",
            Self::Organization => "organization",
            Self::Mailbox => "mailbox",
        }
    }
}

/// Locks a counter and gives its guesses and time; one that is new has no guesses and the time given.
pub async fn lock(tx: &mut Tx, kind: Counted, key: &[u8], now: Timestamp) -> Result<(u32, Timestamp)> {
    let found = row::opt(tx, &LOCK, params![kind.as_str(), key, now], |row| {
        let guesses: u64 = row.get(0)?;
        Ok((u32::try_from(guesses).unwrap_or(u32::MAX), row::time(row, 1)?))
    })
    .await?;
    Ok(found.unwrap_or((0, now)))
}

/// Sets a counter that is locked.
pub async fn set(tx: &mut Tx, kind: Counted, key: &[u8], guesses: u32, at: Timestamp) -> Result<()> {
    tx.execute(&SET, params![kind.as_str(), key, guesses, at]).await?;
    Ok(())
}

/// Forgets the guesses of a counter.
pub async fn forgive(tx: &mut Tx, kind: Counted, key: &[u8]) -> Result<()> {
    tx.execute(&FORGIVE, params![kind.as_str(), key]).await?;
    Ok(())
}

/// The time of a counter, where there is one.
pub async fn time_of(conn: &mut Conn, kind: Counted, key: &[u8]) -> Result<Option<Timestamp>> {
    row::opt(conn, &GET, params![kind.as_str(), key], |row| row::time(row, 0)).await
}

/// Forgets counters that were last touched before an instant.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}
