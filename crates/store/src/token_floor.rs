//! Instants before which no token counts: for everybody, for an organization, for a principal; and before which no token of a former
//! system does that names a principal.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OrganizationId, PrincipalId, Timestamp};

use crate::{Result, row};

statements! {
    // A floor is only ever raised: what was refused once stays refused.
    RAISE = "insert into token_floors (scope, subject_id, not_before, reason, set_at) values ($1, $2, $3, $4, $5) \
             on conflict (scope, subject_id) do update set not_before = excluded.not_before, reason = excluded.reason, \
             set_at = excluded.set_at where token_floors.not_before < excluded.not_before";
    SET_SINCE = "select scope, subject_id, not_before, reason, set_at from token_floors \
                 where set_at >= $1 and scope <> 'former' order by set_at, scope, subject_id";
    // How long a former system's tokens live is not ours to say: their floors stay.
    PURGE = "delete from token_floors where set_at < $1 and scope <> 'former'";
    FORMER = "select not_before from token_floors where scope = 'former' and subject_id = $1";
}

/// How far clocks may be apart, those of two nodes or that of a former system and ours.
pub const LEEWAY_SECONDS: i64 = 60;

/// Whose tokens a floor is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Everybody's.
    Everybody,
    /// Those for one organization.
    Organization(OrganizationId),
    /// One principal's.
    Principal(PrincipalId),
}

impl Whose {
    /// The word of the database and the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everybody => "installation",
            Self::Organization(_) => "organization",
            Self::Principal(_) => "principal",
        }
    }

    const fn bits(self) -> u128 {
        match self {
            Self::Everybody => 0,
            Self::Organization(id) => id.0,
            Self::Principal(id) => id.0,
        }
    }
}

/// A floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFloor {
    /// Whose tokens.
    pub whose: Whose,
    /// Tokens issued before this are refused.
    pub not_before: Timestamp,
    /// Why.
    pub reason: String,
    /// When it was set.
    pub set_at: Timestamp,
}

fn floor(row: RowRef<'_>) -> Result<TokenFloor> {
    let bits = row.get_id(1)?;
    let whose = row::word(row, 0, |word| match word {
        "installation" => Some(0),
        "organization" => Some(1),
        "principal" => Some(2),
        _ => None,
    })?;
    Ok(TokenFloor {
        whose: match whose {
            0 => Whose::Everybody,
            1 => Whose::Organization(OrganizationId(bits)),
            _ => Whose::Principal(PrincipalId(bits)),
        },
        not_before: row::time(row, 2)?,
        reason: row::text(row, 3)?,
        set_at: row::time(row, 4)?,
    })
}

/// Raises a floor; false when it is as high already.
pub async fn raise(tx: &mut Tx, it: &TokenFloor) -> Result<bool> {
    let (scope, subject) = (it.whose.as_str(), charter_db::Value::Id(it.whose.bits()));
    Ok(tx.execute(&RAISE, params![scope, subject, it.not_before, it.reason, it.set_at]).await? > 0)
}

/// Ends the tokens of a former system that name a principal and were issued until now, by whatever clock: whichever is behind the other,
/// none of before is left, and for a minute none is taken.
pub async fn end_former(tx: &mut Tx, principal: PrincipalId, reason: &str, now: Timestamp) -> Result<()> {
    let until = now.plus_seconds(LEEWAY_SECONDS);
    tx.execute(&RAISE, params!["former", principal, until, reason, now]).await?;
    Ok(())
}

/// The instant until which the tokens of a former system that name a principal have ended, where they have.
pub async fn former(conn: &mut Conn, principal: PrincipalId) -> Result<Option<Timestamp>> {
    row::opt(conn, &FORMER, params![principal], |row| row::time(row, 0)).await
}

/// The floors set since an instant, but those of a former system's tokens.
pub async fn set_since(conn: &mut Conn, since: Timestamp) -> Result<Vec<TokenFloor>> {
    row::list(conn, &SET_SINCE, params![since], floor).await
}

/// Forgets floors that were set before a time, below which every token is over anyway.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}
