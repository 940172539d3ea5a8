//! Registered resources, and the directory of the organizations they are registered in.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::ResourceFact;
use charter_kernel::{OrganizationId, PrincipalId, ResourceRef, ResourceTypeKey, Timestamp};

use crate::param::Document;
use crate::row::{self, Span};
use crate::{Page, Result};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select organization_id, resource_kind, resource_id, owner_id, attributes from resources ",
            $rest
        )
    };
}

statements! {
    PUT = "insert into resources (organization_id, resource_kind, resource_id, owner_id, attributes, created_at, updated_at) \
           values ($1, $2, $3, $4, $5, $6, $6) on conflict (organization_id, resource_kind, resource_id) \
           do update set owner_id = excluded.owner_id, attributes = excluded.attributes, updated_at = excluded.updated_at";
    PUT_HOME = "insert into resource_homes (resource_kind, resource_id, organization_id) values ($2, $3, $1) \
                on conflict (resource_kind, resource_id, organization_id) do nothing";
    PUT_KIND = "insert into resource_kinds (resource_kind) values ($1) on conflict (resource_kind) do nothing";
    KINDS = "select resource_kind from resource_kinds order by resource_kind";
    DELETE = "delete from resources where organization_id = $1 and resource_kind = $2 and resource_id = $3";
    DELETE_HOME = "delete from resource_homes where organization_id = $1 and resource_kind = $2 and resource_id = $3";
    GET = select!("where organization_id = $1 and resource_kind = $2 and resource_id = $3");
    PAGE = select!("where organization_id = $1 and (resource_kind, resource_id) > ($2, $3) order by resource_kind, resource_id limit $4");
    OF_KIND = select!("where organization_id = $1 and resource_kind = $2 and resource_id > $3 order by resource_id limit $4");
    OF_OWNER = select!("where organization_id = $1 and owner_id = $2 and (resource_kind, resource_id) > ($3, $4) \
                        order by resource_kind, resource_id limit $5");
    ELSEWHERE = "select organization_id from resource_homes where resource_kind = $2 and resource_id = $3 and organization_id <> $1 \
                 limit 1";
    FACTS = select!("where organization_id = $1 order by resource_kind, resource_id");
    ALL_FACTS = select!("where organization_id >= $1 and organization_id <= $2 order by organization_id, resource_kind, resource_id");
}

fn resource(row: RowRef<'_>) -> Result<ResourceFact> {
    Ok(ResourceFact {
        resource: ResourceRef { kind: row::parsed(row, 1)?, id: row.get_text(2)?.into() },
        owner: row.get_opt_id(3)?.map(PrincipalId),
        attributes: row::text(row, 4)?,
    })
}

/// Registers a resource, or replaces its owner and attributes.
pub async fn put(
    tx: &mut Tx,
    organization: OrganizationId,
    resource: &ResourceFact,
    now: Timestamp,
) -> Result<()> {
    let (kind, id) = (&resource.resource.kind, &*resource.resource.id);
    let params = params![organization, kind, id, resource.owner, Document(&resource.attributes), now];
    tx.execute(&PUT, params).await?;
    tx.execute(&PUT_HOME, params![organization, kind, id]).await?;
    tx.execute(&PUT_KIND, params![kind]).await?;
    Ok(())
}

/// The types of which anything was ever registered, in any organization.
pub async fn kinds(conn: &mut Conn) -> Result<Vec<String>> {
    row::list(conn, &KINDS, &[], |row| row::text(row, 0)).await
}

/// Forgets a resource.
pub async fn delete(tx: &mut Tx, organization: OrganizationId, resource: &ResourceRef) -> Result<bool> {
    tx.execute(&DELETE_HOME, params![organization, resource.kind, &*resource.id]).await?;
    Ok(tx.execute(&DELETE, params![organization, resource.kind, &*resource.id]).await? > 0)
}

/// The resource, if it is registered.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    resource: &ResourceRef,
) -> Result<Option<ResourceFact>> {
    row::opt(conn, &GET, params![organization, resource.kind, &*resource.id], self::resource).await
}

/// The resources after a type and id; two empty texts come before all.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: (&str, &str),
    limit: u32,
) -> Result<Page<ResourceFact>> {
    row::page(conn, &PAGE, params![organization, after.0, after.1], limit, resource).await
}

/// The resources of one type after an id; the empty text comes before all.
pub async fn of_kind(
    conn: &mut Conn,
    organization: OrganizationId,
    kind: &ResourceTypeKey,
    after: &str,
    limit: u32,
) -> Result<Page<ResourceFact>> {
    row::page(conn, &OF_KIND, params![organization, kind, after], limit, resource).await
}

/// The resources of one owner after a type and id.
pub async fn of_owner(
    conn: &mut Conn,
    organization: OrganizationId,
    owner: PrincipalId,
    after: (&str, &str),
    limit: u32,
) -> Result<Page<ResourceFact>> {
    row::page(conn, &OF_OWNER, params![organization, owner, after.0, after.1], limit, resource).await
}

/// Whether another organization registered a resource of this type and id. Two organizations may both use an id, so ask only when
/// the resource is not registered here.
pub async fn registered_elsewhere(
    conn: &mut Conn,
    organization: OrganizationId,
    resource: &ResourceRef,
) -> Result<bool> {
    row::exists(conn, &ELSEWHERE, params![organization, resource.kind, &*resource.id]).await
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, ResourceFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS, &ALL_FACTS], resource, f).await
}
