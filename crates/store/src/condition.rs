//! Conditions: named predicates of an organization, kept as documents.

use charter_db::{Conn, Error, RowRef, Tx};
use charter_kernel::facts::ConditionFact;
use charter_kernel::{ConditionKey, OrganizationId, Timestamp};

use crate::param::Document;
use crate::row::{self, Span};
use crate::{Page, Result};

statements! {
    INSERT = "insert into conditions (organization_id, condition_key, condition, created_at, updated_at) values ($1, $2, $3, $4, $4)";
    UPDATE = "update conditions set condition = $3, updated_at = $4 where organization_id = $1 and condition_key = $2";
    DELETE = "delete from conditions where organization_id = $1 and condition_key = $2";
    GET = "select organization_id, condition_key, condition from conditions where organization_id = $1 and condition_key = $2";
    PAGE = "select organization_id, condition_key, condition from conditions \
            where organization_id = $1 and condition_key > $2 order by condition_key limit $3";
    FACTS = "select organization_id, condition_key, condition from conditions where organization_id = $1 order by condition_key";
    ALL_FACTS = "select organization_id, condition_key, condition from conditions \
             where organization_id >= $1 and organization_id <= $2 order by organization_id, condition_key";
}

fn condition(row: RowRef<'_>) -> Result<ConditionFact> {
    Ok(ConditionFact {
        key: row::parsed(row, 1)?,
        condition: serde_json::from_str(row.get_json(2)?).map_err(|error| row::bad(2, error))?,
    })
}

fn document(condition: &ConditionFact) -> Result<String> {
    serde_json::to_string(&condition.condition)
        .map_err(|error| Error::Statement(format!("the condition cannot be written: {error}")))
}

/// Adds a condition; a key that is taken violates `conditions_pkey`.
pub async fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    condition: &ConditionFact,
    now: Timestamp,
) -> Result<()> {
    let document = document(condition)?;
    tx.execute(&INSERT, params![organization, condition.key, Document(&document), now]).await?;
    Ok(())
}

/// Replaces what a condition says.
pub async fn update(
    tx: &mut Tx,
    organization: OrganizationId,
    condition: &ConditionFact,
    now: Timestamp,
) -> Result<bool> {
    let document = document(condition)?;
    Ok(tx.execute(&UPDATE, params![organization, condition.key, Document(&document), now]).await? > 0)
}

/// Removes a condition; refused while something refers to it.
pub async fn delete(tx: &mut Tx, organization: OrganizationId, key: &ConditionKey) -> Result<bool> {
    Ok(tx.execute(&DELETE, params![organization, key]).await? > 0)
}

/// The condition with this key.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    key: &ConditionKey,
) -> Result<Option<ConditionFact>> {
    row::opt(conn, &GET, params![organization, key], condition).await
}

/// The conditions after a key; the empty text comes before all.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: &str,
    limit: u32,
) -> Result<Page<ConditionFact>> {
    row::page(conn, &PAGE, params![organization, after], limit, condition).await
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, ConditionFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS, &ALL_FACTS], condition, f).await
}
