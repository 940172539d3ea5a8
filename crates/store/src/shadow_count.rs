//! What comparing the answers of both rules gave: counts of each day, each flip once, however often it came, and each account with each
//! permission that was compared since the last one.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OrganizationId, PrincipalId, Timestamp};

use crate::{Page, Result, row};

statements! {
    ADD = "insert into shadow_counts (organization_id, since, day, compared, gains, losses, unknown) values ($1, $2, $3, $4, $5, $6, $7) \
           on conflict (organization_id, since, day) do update set compared = shadow_counts.compared + excluded.compared, \
           gains = shadow_counts.gains + excluded.gains, losses = shadow_counts.losses + excluded.losses, \
           unknown = shadow_counts.unknown + excluded.unknown";
    SUM = "select cast(coalesce(sum(compared), 0) as bigint), cast(coalesce(sum(gains), 0) as bigint), \
           cast(coalesce(sum(losses), 0) as bigint), cast(coalesce(sum(unknown), 0) as bigint) from shadow_counts \
           where organization_id = $1 and since = $2 and day >= $3";
    AGAIN = "update shadow_flips set flip_count = flip_count + $5, last_at = $6, ours_reason = $7, theirs_reason = $8 \
             where organization_id = $1 and principal_id = $2 and permission = $3 and is_gain = $4";
    INSERT = "insert into shadow_flips (organization_id, principal_id, permission, is_gain, flip_count, last_at, ours_reason, theirs_reason, first_at) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (organization_id, principal_id, permission, is_gain) \
              do update set flip_count = shadow_flips.flip_count + excluded.flip_count, last_at = excluded.last_at";
    KEPT = "select count(*) from (select 1 from shadow_flips where organization_id = $1 limit $2) kept";
    PAGE = "select organization_id, principal_id, permission, is_gain, ours_reason, theirs_reason, flip_count, first_at, last_at from shadow_flips \
            where organization_id = $1 and (principal_id, permission, is_gain) > ($2, $3, $4) \
            order by principal_id, permission, is_gain limit $5";
    FORGET_FLIPS = "delete from shadow_flips where organization_id = $1";
    PAIR = "insert into shadow_pairs (organization_id, principal_id, permission) values ($1, $2, $3) \
            on conflict (organization_id, principal_id, permission) do nothing";
    FORGET_PAIRS = "delete from shadow_pairs where organization_id = $1";
    FORGET_COUNTS = "delete from shadow_counts where organization_id = $1";
}

/// What was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShadowCounts {
    /// Checks that both rules answered.
    pub compared: u64,
    /// Where ours allowed and the other system's denied.
    pub gains: u64,
    /// Where the other system's allowed and ours denied.
    pub losses: u64,
    /// Checks the other system gave no answer to.
    pub unknown: u64,
}

/// Answers that differed in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flip {
    /// Who.
    pub principal: PrincipalId,
    /// The code of the permission.
    pub permission: String,
    /// Whether ours allowed; else the other system's did.
    pub is_gain: bool,
    /// Why ours answered as it did, the last time.
    pub ours_reason: String,
    /// Why the other system's did.
    pub theirs_reason: String,
    /// How many times.
    pub count: u64,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
}

fn counts(row: RowRef<'_>) -> Result<ShadowCounts> {
    Ok(ShadowCounts { compared: row.get(0)?, gains: row.get(1)?, losses: row.get(2)?, unknown: row.get(3)? })
}

fn flip(row: RowRef<'_>) -> Result<Flip> {
    Ok(Flip {
        principal: PrincipalId(row.get_id(1)?),
        permission: row::text(row, 2)?,
        is_gain: row.get(3)?,
        ours_reason: row::text(row, 4)?,
        theirs_reason: row::text(row, 5)?,
        count: row.get(6)?,
        first_at: row::time(row, 7)?,
        last_at: row::time(row, 8)?,
    })
}

/// Adds to the counts of a day.
pub async fn add(
    tx: &mut Tx,
    organization: OrganizationId,
    since: Timestamp,
    day: Timestamp,
    more: ShadowCounts,
) -> Result<()> {
    let ShadowCounts { compared, gains, losses, unknown } = more;
    tx.execute(&ADD, params![organization, since, day, compared, gains, losses, unknown]).await?;
    Ok(())
}

/// The counts of the days from one on, since a mode began.
pub async fn sum(
    conn: &mut Conn,
    organization: OrganizationId,
    since: Timestamp,
    from_day: Timestamp,
) -> Result<ShadowCounts> {
    Ok(row::opt(conn, &SUM, params![organization, since, from_day], counts).await?.unwrap_or_default())
}

/// Adds to a flip that is kept already; tells whether it was.
pub async fn again(tx: &mut Tx, organization: OrganizationId, it: &Flip) -> Result<bool> {
    let params = params![
        organization,
        it.principal,
        it.permission,
        it.is_gain,
        it.count,
        it.last_at,
        it.ours_reason,
        it.theirs_reason
    ];
    Ok(tx.execute(&AGAIN, params).await? > 0)
}

/// Keeps a flip.
pub async fn insert(tx: &mut Tx, organization: OrganizationId, it: &Flip) -> Result<()> {
    let params = params![
        organization,
        it.principal,
        it.permission,
        it.is_gain,
        it.count,
        it.last_at,
        it.ours_reason,
        it.theirs_reason,
        it.first_at
    ];
    tx.execute(&INSERT, params).await?;
    Ok(())
}

/// How many flips are kept of an organization, as far as `most`.
pub async fn kept(conn: &mut Conn, organization: OrganizationId, most: u32) -> Result<u64> {
    Ok(row::opt(conn, &KEPT, params![organization, most], |row| row.get(0)).await?.unwrap_or(0))
}

/// Flips of an organization after one of them.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: (PrincipalId, &str, bool),
    limit: u32,
) -> Result<Page<Flip>> {
    row::page(conn, &PAGE, params![organization, after.0, after.1, after.2], limit, flip).await
}

/// Keeps that an account was compared about a permission; tells whether it was not kept yet.
pub async fn pair(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
    permission: &str,
) -> Result<bool> {
    Ok(tx.execute(&PAIR, params![organization, principal, permission]).await? > 0)
}

/// Forgets who was compared about what.
pub async fn forget_pairs(tx: &mut Tx, organization: OrganizationId) -> Result<()> {
    tx.execute(&FORGET_PAIRS, params![organization]).await?;
    Ok(())
}

/// Forgets everything that was compared.
pub async fn forget(tx: &mut Tx, organization: OrganizationId) -> Result<()> {
    forget_pairs(tx, organization).await?;
    tx.execute(&FORGET_FLIPS, params![organization]).await?;
    tx.execute(&FORGET_COUNTS, params![organization]).await?;
    Ok(())
}
