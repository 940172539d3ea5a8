//! Keys that sign tokens: pending, active, retiring, retired, revoked.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::Timestamp;

use crate::{Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select kid, purpose, alg, state, public_key, sealed_private, created_at, published_at, activates_at, retired_at, removed_at, \
             revoked_at, revoke_reason from signing_keys ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into signing_keys (kid, purpose, alg, state, public_key, sealed_private, created_at, published_at, activates_at) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    ACTIVATE = "update signing_keys set state = 'active', activates_at = $2 where kid = $1 and state = 'pending'";
    RESCHEDULE = "update signing_keys set activates_at = $2 where kid = $1 and state = 'pending'";
    RETIRE = "update signing_keys set state = 'retiring', retired_at = $2, sealed_private = null where kid = $1 and state = 'active'";
    REMOVE = "update signing_keys set state = 'retired', removed_at = $2 where kid = $1 and state = 'retiring'";
    REVOKE = "update signing_keys set state = 'revoked', revoked_at = $2, revoke_reason = $3, sealed_private = null \
              where kid = $1 and state <> 'revoked'";
    GET = select!("where kid = $1");
    OF_LINEAGE = select!("where purpose = $1 and alg = $2 order by created_at, activates_at, kid");
    LIST = select!("order by created_at, activates_at, kid");
}

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Published, does not sign yet.
    Pending,
    /// Signs.
    Active,
    /// Verifies only; its private part is destroyed.
    Retiring,
    /// Gone.
    Retired,
    /// Refused at once.
    Revoked,
}

impl KeyState {
    /// The word used on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Pending, Self::Active, Self::Retiring, Self::Retired, Self::Revoked]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// A signing key.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name in tokens.
    pub kid: String,
    /// What it signs: `access`, `id`, `export` or `internal`.
    pub purpose: String,
    /// `EdDSA`, `ES256` or `RS256`.
    pub alg: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// Its public part.
    pub public_key: Vec<u8>,
    /// Its private part, sealed; pending and active keys have one.
    pub sealed_private: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it is published.
    pub published_at: Timestamp,
    /// From when it signs.
    pub activates_at: Timestamp,
    /// When it stopped signing.
    pub retired_at: Option<Timestamp>,
    /// When it stopped verifying.
    pub removed_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Why it was revoked.
    pub revoke_reason: Option<String>,
}

impl core::fmt::Debug for SigningKey {
    /// Everything but the private part.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("purpose", &self.purpose)
            .field("state", &self.state)
            .finish()
    }
}

fn key(row: RowRef<'_>) -> Result<SigningKey> {
    Ok(SigningKey {
        kid: row::text(row, 0)?,
        purpose: row::text(row, 1)?,
        alg: row::text(row, 2)?,
        state: row::word(row, 3, KeyState::from_word)?,
        public_key: row.get_bytes(4)?.to_vec(),
        sealed_private: row.get_opt_bytes(5)?.map(<[u8]>::to_vec),
        created_at: row::time(row, 6)?,
        published_at: row::time(row, 7)?,
        activates_at: row::time(row, 8)?,
        retired_at: row::opt_time(row, 9)?,
        removed_at: row::opt_time(row, 10)?,
        revoked_at: row::opt_time(row, 11)?,
        revoke_reason: row::opt_text(row, 12)?,
    })
}

/// Adds a key, pending or active. A second active one of a lineage violates `signing_keys_active`.
pub async fn insert(tx: &mut Tx, key: &SigningKey) -> Result<()> {
    let it = key;
    let (state, private) = (it.state.as_str(), &it.sealed_private);
    let params = params![
        it.kid,
        it.purpose,
        it.alg,
        state,
        it.public_key,
        private,
        it.created_at,
        it.published_at,
        it.activates_at
    ];
    tx.execute(&INSERT, params).await?;
    Ok(())
}

/// Lets a pending key sign; the active one must have been retired before.
pub async fn activate(tx: &mut Tx, kid: &str, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&ACTIVATE, params![kid, now]).await? > 0)
}

/// Lets a pending key sign from another instant.
pub async fn reschedule(tx: &mut Tx, kid: &str, activates_at: Timestamp) -> Result<bool> {
    Ok(tx.execute(&RESCHEDULE, params![kid, activates_at]).await? > 0)
}

/// Stops the active key from signing and destroys its private part.
pub async fn retire(tx: &mut Tx, kid: &str, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&RETIRE, params![kid, now]).await? > 0)
}

/// Stops a retiring key from verifying.
pub async fn remove(tx: &mut Tx, kid: &str, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&REMOVE, params![kid, now]).await? > 0)
}

/// Revokes a key, whatever its state, and destroys its private part.
pub async fn revoke(tx: &mut Tx, kid: &str, reason: &str, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&REVOKE, params![kid, now, reason]).await? > 0)
}

/// The key with this name.
pub async fn get(conn: &mut Conn, kid: &str) -> Result<Option<SigningKey>> {
    row::opt(conn, &GET, params![kid], key).await
}

/// The keys of a lineage in the order in which they were made.
pub async fn of_lineage(conn: &mut Conn, purpose: &str, alg: &str) -> Result<Vec<SigningKey>> {
    row::list(conn, &OF_LINEAGE, params![purpose, alg], key).await
}

/// All keys, oldest first.
pub async fn list(conn: &mut Conn) -> Result<Vec<SigningKey>> {
    row::list(conn, &LIST, &[], key).await
}
