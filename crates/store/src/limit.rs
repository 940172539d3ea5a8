//! Limits changed for one organization.

use charter_db::{Conn, RowRef, Tx, Value};
use charter_kernel::entitlement::{Enforcement, LimitMode, LimitOverrideFact};
use charter_kernel::{Key, LimitOverrideId, OrganizationId};

use crate::row::{self, Span};
use crate::{Given, Result};

statements! {
    INSERT = "insert into org_limit_overrides (organization_id, limit_key, override_id, mode, value, enforcement, starts_at, ends_at, \
              reason, changed_by, changed_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    UPDATE = "update org_limit_overrides set mode = $4, value = $5, enforcement = $6, starts_at = $7, ends_at = $8, reason = $9, \
              changed_by = $10, changed_at = $11 where organization_id = $1 and limit_key = $2 and override_id = $3";
    DELETE = "delete from org_limit_overrides where organization_id = $1 and limit_key = $2 and override_id = $3";
    LIST = "select organization_id, limit_key, override_id, mode, value, enforcement, starts_at, ends_at, reason \
            from org_limit_overrides where organization_id = $1 order by limit_key, override_id";
    ALL_FACTS = "select organization_id, limit_key, override_id, mode, value, enforcement, starts_at, ends_at, reason \
             from org_limit_overrides where organization_id >= $1 and organization_id <= $2 \
             order by organization_id, limit_key, override_id";
}

fn limit(row: RowRef<'_>) -> Result<LimitOverrideFact> {
    Ok(LimitOverrideFact {
        limit: row::parsed(row, 1)?,
        id: LimitOverrideId(row.get_id(2)?),
        mode: row::word(row, 3, LimitMode::from_word)?,
        value: row.get_opt_int(4)?,
        enforcement: row::word(row, 5, Enforcement::from_word)?,
        window: row::window(row, 6)?,
        reason: row::text(row, 8)?,
    })
}

fn row_params(organization: OrganizationId, it: &LimitOverrideFact, changed: Given) -> [Value; 11] {
    let (mode, enforcement, from, to) =
        (it.mode.as_str(), it.enforcement.as_str(), it.window.from(), it.window.to());
    let params: &[Value; 11] = params![
        organization,
        it.limit,
        it.id,
        mode,
        it.value,
        enforcement,
        from,
        to,
        it.reason,
        changed.by,
        changed.at
    ];
    params.clone()
}

/// Adds an override.
pub async fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    limit: &LimitOverrideFact,
    changed: Given,
) -> Result<()> {
    tx.execute(&INSERT, &row_params(organization, limit, changed)).await?;
    Ok(())
}

/// Replaces an override of the same limit and id.
pub async fn update(
    tx: &mut Tx,
    organization: OrganizationId,
    limit: &LimitOverrideFact,
    changed: Given,
) -> Result<bool> {
    Ok(tx.execute(&UPDATE, &row_params(organization, limit, changed)).await? > 0)
}

/// Removes an override.
pub async fn delete(
    tx: &mut Tx,
    organization: OrganizationId,
    limit: &Key,
    id: LimitOverrideId,
) -> Result<bool> {
    Ok(tx.execute(&DELETE, params![organization, limit, id]).await? > 0)
}

/// The overrides of the organization.
pub async fn list(conn: &mut Conn, organization: OrganizationId) -> Result<Vec<LimitOverrideFact>> {
    row::list(conn, &LIST, params![organization], limit).await
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, LimitOverrideFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&LIST, &ALL_FACTS], limit, f).await
}
