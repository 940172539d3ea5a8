//! Entitlement rows: `org_entitlements` for modules, `org_subentitlements` for submodules, and their version for other readers.

use charter_db::{Conn, RowRef, Statement, Tx, Value};
use charter_kernel::entitlement::{EntitlementFact, EntitlementSource, EntitlementStatus};
use charter_kernel::{ModuleKey, OrganizationId, PrincipalId, SubmoduleKey};

use crate::row::{self, Span};
use crate::{Given, Result};

macro_rules! select {
    (module, $rest:literal) => {
        concat!(
            "select organization_id, module_key, null, source, source_id, status, starts_at, ends_at, grace_until, read_only_until, \
             reason, row_version, changed_by, changed_at from org_entitlements ",
            $rest
        )
    };
    (submodule, $rest:literal) => {
        concat!(
            "select organization_id, module_key, submodule_key, source, source_id, status, starts_at, ends_at, grace_until, \
             read_only_until, reason, row_version, changed_by, changed_at from org_subentitlements ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into org_entitlements (organization_id, module_key, source, source_id, status, starts_at, ends_at, grace_until, \
              read_only_until, reason, row_version, changed_by, changed_at) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $12) \
              on conflict (organization_id, module_key, source, source_id) do nothing returning row_version";
    INSERT_SUB = "insert into org_subentitlements (organization_id, module_key, source, source_id, status, starts_at, ends_at, \
                  grace_until, read_only_until, reason, row_version, changed_by, changed_at, submodule_key) \
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $12, $13) \
                  on conflict (organization_id, module_key, submodule_key, source, source_id) do nothing returning row_version";
    UPDATE = "update org_entitlements set status = $5, starts_at = $6, ends_at = $7, grace_until = $8, read_only_until = $9, \
              reason = $10, row_version = row_version + 1, changed_by = $11, changed_at = $12 \
              where organization_id = $1 and module_key = $2 and source = $3 and source_id = $4 and row_version = $13 \
              returning row_version";
    UPDATE_SUB = "update org_subentitlements set status = $5, starts_at = $6, ends_at = $7, grace_until = $8, read_only_until = $9, \
                  reason = $10, row_version = row_version + 1, changed_by = $11, changed_at = $12 \
                  where organization_id = $1 and module_key = $2 and source = $3 and source_id = $4 and submodule_key = $13 \
                  and row_version = $14 returning row_version";
    DELETE = "delete from org_entitlements where organization_id = $1 and module_key = $2 and source = $3 and source_id = $4";
    DELETE_SUB = "delete from org_subentitlements where organization_id = $1 and module_key = $2 and submodule_key = $3 \
                  and source = $4 and source_id = $5";
    LIST = select!(module, "where organization_id = $1 order by module_key, source, source_id");
    LIST_SUB = select!(submodule, "where organization_id = $1 order by module_key, submodule_key, source, source_id");
    OF_MODULE = select!(module, "where organization_id = $1 and module_key = $2 order by source, source_id");
    OF_MODULE_SUB = select!(submodule, "where organization_id = $1 and module_key = $2 order by submodule_key, source, source_id");
    OF_SOURCE = select!(module, "where organization_id = $1 and source = $2 and source_id = $3 order by module_key");
    OF_SOURCE_SUB = select!(submodule, "where organization_id = $1 and source = $2 and source_id = $3 order by module_key, submodule_key");
    BUMP_VERSION = "insert into org_entitlement_versions (organization_id, version) values ($1, 1) \
                    on conflict (organization_id) do update set version = org_entitlement_versions.version + 1 returning version";
    VERSION = "select version from org_entitlement_versions where organization_id = $1";
    ALL_FACTS = select!(module, "where organization_id >= $1 and organization_id <= $2 order by organization_id, module_key, source, source_id");
    ALL_FACTS_SUB = select!(submodule, "where organization_id >= $1 and organization_id <= $2 \
                        order by organization_id, module_key, submodule_key, source, source_id");
}

/// An entitlement with its version and who changed it.
#[derive(Debug, Clone, PartialEq)]
pub struct EntitlementRow {
    /// The entitlement.
    pub entitlement: EntitlementFact,
    /// Grows by one with each change; a writer names the one it read.
    pub row_version: u64,
    /// Who changed it last, and when.
    pub changed: Given,
}

fn fact(row: RowRef<'_>) -> Result<EntitlementFact> {
    Ok(EntitlementFact {
        module: row::parsed(row, 1)?,
        submodule: row::opt_key(row, 2)?,
        source: row::word(row, 3, EntitlementSource::from_word)?,
        source_id: row::text(row, 4)?,
        status: row::word(row, 5, EntitlementStatus::from_word)?,
        window: row::window(row, 6)?,
        grace_until: row::opt_time(row, 8)?,
        read_only_until: row::opt_time(row, 9)?,
        reason: row::text(row, 10)?,
    })
}

fn entitlement(row: RowRef<'_>) -> Result<EntitlementRow> {
    Ok(EntitlementRow {
        entitlement: fact(row)?,
        row_version: row.get(11)?,
        changed: Given { by: row.get_opt_id(12)?.map(PrincipalId), at: row::time(row, 13)? },
    })
}

fn row_params(organization: OrganizationId, it: &EntitlementFact, changed: Given) -> Vec<Value> {
    let (source, status, from, to) =
        (it.source.as_str(), it.status.as_str(), it.window.from(), it.window.to());
    let params: &[Value] = params![
        organization,
        it.module,
        source,
        it.source_id,
        status,
        from,
        to,
        it.grace_until,
        it.read_only_until,
        it.reason,
        changed.by,
        changed.at
    ];
    let mut params = params.to_vec();
    if let Some(submodule) = &it.submodule {
        params.push(submodule.as_str().into());
    }
    params
}

/// Adds a row; gives its version, or nothing when a row of this module, submodule and source is there already.
pub async fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    entitlement: &EntitlementFact,
    changed: Given,
) -> Result<Option<u64>> {
    let statement = if entitlement.submodule.is_some() { &INSERT_SUB } else { &INSERT };
    let params = row_params(organization, entitlement, changed);
    row::opt(tx, statement, &params, |row| row.get(0)).await
}

/// Changes the row of this module, submodule and source if it still has the version the caller read; gives the next version.
pub async fn update(
    tx: &mut Tx,
    organization: OrganizationId,
    entitlement: &EntitlementFact,
    read_version: u64,
    changed: Given,
) -> Result<Option<u64>> {
    let statement = if entitlement.submodule.is_some() { &UPDATE_SUB } else { &UPDATE };
    let mut params = row_params(organization, entitlement, changed);
    params.extend_from_slice(params![read_version]);
    row::opt(tx, statement, &params, |row| row.get(0)).await
}

/// Removes a row, such as an override taken back; rows of plans are ended and stay.
pub async fn delete(
    tx: &mut Tx,
    organization: OrganizationId,
    module: &ModuleKey,
    submodule: Option<&SubmoduleKey>,
    source: EntitlementSource,
    source_id: &str,
) -> Result<bool> {
    let source = source.as_str();
    let gone = match submodule {
        Some(submodule) => {
            tx.execute(&DELETE_SUB, params![organization, module, submodule, source, source_id]).await?
        }
        None => tx.execute(&DELETE, params![organization, module, source, source_id]).await?,
    };
    Ok(gone > 0)
}

/// Every row of the organization: those of modules, then those of submodules.
pub async fn list(conn: &mut Conn, organization: OrganizationId) -> Result<Vec<EntitlementRow>> {
    both(conn, [&LIST, &LIST_SUB], params![organization]).await
}

/// The rows of one module: its own, then those of its submodules.
pub async fn of_module(
    conn: &mut Conn,
    organization: OrganizationId,
    module: &ModuleKey,
) -> Result<Vec<EntitlementRow>> {
    both(conn, [&OF_MODULE, &OF_MODULE_SUB], params![organization, module]).await
}

/// The rows of one source, such as one subscription.
pub async fn of_source(
    conn: &mut Conn,
    organization: OrganizationId,
    source: EntitlementSource,
    source_id: &str,
) -> Result<Vec<EntitlementRow>> {
    both(conn, [&OF_SOURCE, &OF_SOURCE_SUB], params![organization, source.as_str(), source_id]).await
}

async fn both(conn: &mut Conn, statements: [&Statement; 2], params: &[Value]) -> Result<Vec<EntitlementRow>> {
    let mut rows = Vec::new();
    for statement in statements {
        rows.extend(row::list(conn, statement, params, entitlement).await?);
    }
    Ok(rows)
}

/// Counts a change of entitlements, for readers of `org_entitlement_versions`.
pub async fn bump_version(tx: &mut Tx, organization: OrganizationId) -> Result<u64> {
    tx.query_one(&BUMP_VERSION, params![organization]).await?.get(0)
}

/// How many changes of entitlements there were.
pub async fn version(conn: &mut Conn, organization: OrganizationId) -> Result<u64> {
    Ok(row::opt(conn, &VERSION, params![organization], |row| row.get(0)).await?.unwrap_or(0))
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, EntitlementFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&LIST, &ALL_FACTS], fact, f).await
}

pub(crate) async fn each_sub(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, EntitlementFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&LIST_SUB, &ALL_FACTS_SUB], fact, f).await
}
