//! Organizations and the directory of their keys.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::{OrganizationFact, OrganizationKind, OrganizationStatus};
use charter_kernel::{Key, OrganizationId, Revision, Timestamp};

use crate::{Page, Result, param, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select o.organization_id, o.organization_key, o.name, o.kind, o.status, o.enabled_modules, coalesce(r.revision, 0), \
             o.assertable, o.created_at, o.updated_at from organizations o \
             left join organization_revisions r on r.organization_id = o.organization_id ",
            $rest
        )
    };
}

statements! {
    INSERT_KEY = "insert into organization_keys (organization_key, organization_id) values ($2, $1)";
    INSERT = "insert into organizations (organization_id, organization_key, name, kind, status, enabled_modules, assertable, \
              created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $8)";
    UPDATE = "update organizations set name = $2, status = $3, enabled_modules = $4, assertable = $5, updated_at = $6 \
              where organization_id = $1";
    GET = select!("where o.organization_id = $1");
    ID_BY_KEY = "select organization_id from organization_keys where organization_key = $1";
    PAGE = select!("where o.organization_id > $1 order by o.organization_id limit $2");
    /// A join would make PostgreSQL read every revision for a span of organizations.
    BETWEEN = "select o.organization_id, o.organization_key, o.name, o.kind, o.status, o.enabled_modules, \
               coalesce((select r.revision from organization_revisions r where r.organization_id = o.organization_id), 0), \
               o.assertable, o.created_at, o.updated_at from organizations o \
               where o.organization_id >= $1 and o.organization_id <= $2 order by o.organization_id";
    IDS = "select organization_id from organizations where organization_id > $1 order by organization_id";
}

/// An organization with its times.
#[derive(Debug, Clone, PartialEq)]
pub struct OrganizationRow {
    /// The organization.
    pub organization: OrganizationFact,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

fn organization(row: RowRef<'_>) -> Result<OrganizationRow> {
    Ok(OrganizationRow {
        organization: OrganizationFact {
            id: row::organization(row)?,
            key: row::parsed(row, 1)?,
            name: row::text(row, 2)?,
            kind: row::word(row, 3, OrganizationKind::from_word)?,
            status: row::word(row, 4, OrganizationStatus::from_word)?,
            enabled_modules: row::opt_text(row, 5)?,
            revision: Revision(row.get(6)?),
            assertable: row::texts(row, 7)?,
        },
        created_at: row::time(row, 8)?,
        updated_at: row::time(row, 9)?,
    })
}

/// Adds an organization; its revision begins with the first `revision::bump`. A key that is taken violates `organization_keys_pkey`.
pub async fn insert(tx: &mut Tx, organization: &OrganizationFact, now: Timestamp) -> Result<()> {
    let it = organization;
    tx.execute(&INSERT_KEY, params![it.id, it.key]).await?;
    let (kind, status, assertable) = (it.kind.as_str(), it.status.as_str(), param::texts(&it.assertable));
    tx.execute(&INSERT, params![it.id, it.key, it.name, kind, status, it.enabled_modules, assertable, now])
        .await?;
    Ok(())
}

/// Changes name, status, legacy modules and assertable attributes; key and kind stay.
pub async fn update(tx: &mut Tx, organization: &OrganizationFact, now: Timestamp) -> Result<bool> {
    let it = organization;
    let (status, assertable) = (it.status.as_str(), param::texts(&it.assertable));
    let params = params![it.id, it.name, status, it.enabled_modules, assertable, now];
    Ok(tx.execute(&UPDATE, params).await? > 0)
}

/// The organization with this id.
pub async fn get(conn: &mut Conn, organization: OrganizationId) -> Result<Option<OrganizationRow>> {
    row::opt(conn, &GET, params![organization], self::organization).await
}

/// The id of the organization with this key.
pub async fn by_key(conn: &mut Conn, key: &Key) -> Result<Option<OrganizationId>> {
    row::opt(conn, &ID_BY_KEY, params![key], row::organization).await
}

/// The organizations whose ids lie between two, both included, in the order of their ids.
pub(crate) async fn between(
    conn: &mut Conn,
    first: OrganizationId,
    last: OrganizationId,
) -> Result<Vec<OrganizationRow>> {
    row::list(conn, &BETWEEN, params![first, last], organization).await
}

/// All organizations in spans of at most `size`, each as its first and last id.
pub(crate) async fn spans(conn: &mut Conn, size: usize) -> Result<Vec<(OrganizationId, OrganizationId)>> {
    let mut spans: Vec<(OrganizationId, OrganizationId)> = Vec::new();
    let mut count = 0;
    conn.for_each(&IDS, params![OrganizationId(0)], |row: RowRef<'_>| -> Result<()> {
        let id = row::organization(row)?;
        match spans.last_mut() {
            Some((_, last)) if count % size != 0 => *last = id,
            _ => spans.push((id, id)),
        }
        count += 1;
        Ok(())
    })
    .await?;
    Ok(spans)
}

/// The organizations after an id, in the order they were made.
pub async fn page(conn: &mut Conn, after: OrganizationId, limit: u32) -> Result<Page<OrganizationRow>> {
    row::page(conn, &PAGE, params![after], limit, organization).await
}
