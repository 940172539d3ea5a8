//! Second factors of principals: authenticator apps and passkeys.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{FactorId, PrincipalId, Timestamp};

use crate::param::Document;
use crate::{Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select factor_id, principal_id, kind, name, sealed_secret, last_step, credential_id, passkey, sign_count, created_at, \
             confirmed_at, last_used_at from second_factors ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into second_factors (factor_id, principal_id, kind, name, sealed_secret, last_step, credential_id, passkey, \
              sign_count, created_at, confirmed_at, last_used_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    OF_PRINCIPAL = select!("where principal_id = $1 order by factor_id");
    BY_CREDENTIAL = select!("where credential_id = $1");
    HAS = "select 1 from second_factors where principal_id = $1 and confirmed_at is not null limit 1";
    CONFIRM = "update second_factors set confirmed_at = $3, last_step = $4 where principal_id = $1 and factor_id = $2 \
               and confirmed_at is null";
    // Of two requests with one code the second finds the step taken.
    TAKE_STEP = "update second_factors set last_step = $2, last_used_at = $3 where factor_id = $1 and confirmed_at is not null \
                 and (last_step is null or last_step < $2)";
    // A passkey that does not count says zero each time; one that counts never goes back.
    COUNT_USE = "update second_factors set sign_count = $2, passkey = $3, last_used_at = $4 where factor_id = $1 \
                 and (sign_count < $2 or (sign_count = 0 and $2 = 0))";
    DELETE = "delete from second_factors where principal_id = $1 and factor_id = $2";
    DELETE_SINCE = "delete from second_factors where principal_id = $1 and created_at >= $2";
    DELETE_OF_PRINCIPAL = "delete from second_factors where principal_id = $1";
    PURGE = "delete from second_factors where confirmed_at is null and created_at < $1";
}

/// What a second factor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactorKind {
    /// An authenticator app.
    Totp {
        /// Its seed, sealed under the factor's id.
        sealed_secret: Vec<u8>,
        /// The newest time step a code was taken for.
        last_step: Option<u64>,
    },
    /// A passkey.
    Passkey {
        /// What it is known by.
        credential_id: Vec<u8>,
        /// It, as the library that judges passkeys keeps it (JSON): its public key among other things.
        kept: String,
        /// How often it says it was used; zero when it does not count.
        sign_count: u64,
    },
}

impl FactorKind {
    /// `totp` or `passkey`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Totp { .. } => "totp",
            Self::Passkey { .. } => "passkey",
        }
    }
}

/// A second factor of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// Its id.
    pub id: FactorId,
    /// Whose.
    pub principal: PrincipalId,
    /// What it is.
    pub kind: FactorKind,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its owner showed that they have it; before that it counts for nothing.
    pub confirmed_at: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

fn factor(row: RowRef<'_>) -> Result<SecondFactor> {
    let kind = match row.get_text(2)? {
        "totp" => FactorKind::Totp { sealed_secret: row.get(4)?, last_step: row.get(5)? },
        "passkey" => FactorKind::Passkey {
            credential_id: row.get(6)?,
            kept: row.get_json(7)?.to_owned(),
            sign_count: row.get(8)?,
        },
        other => return Err(row::bad(2, format_args!("{other:?} is no kind of second factor"))),
    };
    Ok(SecondFactor {
        id: FactorId(row.get_id(0)?),
        principal: PrincipalId(row.get_id(1)?),
        kind,
        name: row::text(row, 3)?,
        created_at: row::time(row, 9)?,
        confirmed_at: row::opt_time(row, 10)?,
        last_used_at: row::opt_time(row, 11)?,
    })
}

/// Adds a factor; a passkey that is known already violates `second_factors_credential`.
pub async fn insert(tx: &mut Tx, it: &SecondFactor) -> Result<()> {
    let (secret, step, credential, passkey, count) = match &it.kind {
        FactorKind::Totp { sealed_secret, last_step } => (Some(sealed_secret), *last_step, None, None, 0),
        FactorKind::Passkey { credential_id, kept, sign_count } => {
            (None, None, Some(credential_id), Some(Document(kept)), *sign_count)
        }
    };
    let params = params![
        it.id,
        it.principal,
        it.kind.as_str(),
        it.name,
        secret,
        step,
        credential,
        passkey,
        count,
        it.created_at,
        it.confirmed_at,
        it.last_used_at
    ];
    tx.execute(&INSERT, params).await?;
    Ok(())
}

/// The factors of a principal, oldest first, those that wait to be confirmed among them.
pub async fn of_principal(conn: &mut Conn, principal: PrincipalId) -> Result<Vec<SecondFactor>> {
    row::list(conn, &OF_PRINCIPAL, params![principal], factor).await
}

/// The passkey of this id.
pub async fn by_credential(conn: &mut Conn, credential_id: &[u8]) -> Result<Option<SecondFactor>> {
    row::opt(conn, &BY_CREDENTIAL, params![credential_id], factor).await
}

/// Whether a principal has a factor that counts.
pub async fn has(conn: &mut Conn, principal: PrincipalId) -> Result<bool> {
    row::exists(conn, &HAS, params![principal]).await
}

/// Its owner has shown that they have it, with the code of a step. False when it is not there or was confirmed before.
pub async fn confirm(
    tx: &mut Tx,
    principal: PrincipalId,
    id: FactorId,
    now: Timestamp,
    step: u64,
) -> Result<bool> {
    Ok(tx.execute(&CONFIRM, params![principal, id, now, step]).await? > 0)
}

/// Takes a time step, once; false when it or a later one was taken already.
pub async fn take_step(tx: &mut Tx, id: FactorId, step: u64, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&TAKE_STEP, params![id, step, now]).await? > 0)
}

/// Takes note of what a passkey says of its uses, and keeps it as it is now; false when it has gone back, as a copy of it does.
pub async fn count_use(
    tx: &mut Tx,
    id: FactorId,
    sign_count: u64,
    kept: &str,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&COUNT_USE, params![id, sign_count, Document(kept), now]).await? > 0)
}

/// Removes a factor.
pub async fn delete(tx: &mut Tx, principal: PrincipalId, id: FactorId) -> Result<bool> {
    Ok(tx.execute(&DELETE, params![principal, id]).await? > 0)
}

/// Removes what a principal added from an instant on; gives how many there were.
pub async fn delete_since(tx: &mut Tx, principal: PrincipalId, since: Timestamp) -> Result<u64> {
    tx.execute(&DELETE_SINCE, params![principal, since]).await
}

/// Removes every factor of a principal; gives how many there were.
pub async fn delete_of_principal(tx: &mut Tx, principal: PrincipalId) -> Result<u64> {
    tx.execute(&DELETE_OF_PRINCIPAL, params![principal]).await
}

/// Removes the factors of a principal that were never confirmed.
pub async fn delete_waiting(tx: &mut Tx, principal: PrincipalId) -> Result<()> {
    for waiting in of_principal(tx, principal).await?.iter().filter(|it| it.confirmed_at.is_none()) {
        delete(tx, principal, waiting.id).await?;
    }
    Ok(())
}

/// Forgets factors made before an instant that were never confirmed.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}
