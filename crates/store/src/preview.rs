//! Preview lists: principals who may use a module of which the organization has a preview.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::entitlement::PreviewFact;
use charter_kernel::{OrganizationId, PrincipalId};

use crate::row::{self, Span};
use crate::{Given, Result};

statements! {
    ADD = "insert into org_previews (organization_id, module_key, principal_id, added_by, added_at) values ($1, $2, $3, $4, $5) \
           on conflict (organization_id, module_key, principal_id) do nothing";
    REMOVE = "delete from org_previews where organization_id = $1 and module_key = $2 and principal_id = $3";
    REMOVE_PRINCIPAL = "delete from org_previews where organization_id = $1 and principal_id = $2";
    LIST = "select organization_id, module_key, principal_id from org_previews where organization_id = $1 \
            order by module_key, principal_id";
    ALL_FACTS = "select organization_id, module_key, principal_id from org_previews \
             where organization_id >= $1 and organization_id <= $2 order by organization_id, module_key, principal_id";
}

fn preview(row: RowRef<'_>) -> Result<PreviewFact> {
    Ok(PreviewFact { module: row::parsed(row, 1)?, principal: PrincipalId(row.get_id(2)?) })
}

/// Puts a principal on a module's list; one who is there already stays.
pub async fn add(
    tx: &mut Tx,
    organization: OrganizationId,
    preview: &PreviewFact,
    added: Given,
) -> Result<bool> {
    let params = params![organization, preview.module, preview.principal, added.by, added.at];
    Ok(tx.execute(&ADD, params).await? > 0)
}

/// Takes a principal off a module's list.
pub async fn remove(tx: &mut Tx, organization: OrganizationId, preview: &PreviewFact) -> Result<bool> {
    Ok(tx.execute(&REMOVE, params![organization, preview.module, preview.principal]).await? > 0)
}

/// Takes a principal off every list of the organization.
pub async fn delete_of_principal(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<u64> {
    tx.execute(&REMOVE_PRINCIPAL, params![organization, principal]).await
}

/// The lists of the organization.
pub async fn list(conn: &mut Conn, organization: OrganizationId) -> Result<Vec<PreviewFact>> {
    row::list(conn, &LIST, params![organization], preview).await
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, PreviewFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&LIST, &ALL_FACTS], preview, f).await
}
