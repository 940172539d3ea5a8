//! Roles an organization made itself, with their parents and lines; the shipped ones live in the catalogue.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::{Level, RoleFact, RolePermission};
use charter_kernel::{OrganizationId, RoleKey, Timestamp};

use crate::row::{self, Span};
use crate::{Page, Result};

statements! {
    INSERT = "insert into roles (organization_id, role_key, name, level, created_at, updated_at) values ($1, $2, $3, $4, $5, $5)";
    INSERT_PARENT = "insert into role_parents (organization_id, role_key, position, parent_key) values ($1, $2, $3, $4)";
    INSERT_PERMISSION = "insert into role_permissions (organization_id, role_key, position, pattern, condition_key) \
                         values ($1, $2, $3, $4, $5)";
    UPDATE = "update roles set name = $3, level = $4, updated_at = $5 where organization_id = $1 and role_key = $2";
    DELETE = "delete from roles where organization_id = $1 and role_key = $2";
    DELETE_PARENTS = "delete from role_parents where organization_id = $1 and role_key = $2";
    DELETE_PERMISSIONS = "delete from role_permissions where organization_id = $1 and role_key = $2";
    EXISTS = "select 1 from roles where organization_id = $1 and role_key = $2";
    CHILDREN = "select role_key from role_parents where organization_id = $1 and parent_key = $2 order by role_key";
    PAGE = "select organization_id, role_key, name, level from roles \
            where organization_id = $1 and role_key >= $2 and role_key > $3 order by role_key limit $4";
    PARENTS = "select organization_id, role_key, parent_key from role_parents \
               where organization_id = $1 and role_key >= $2 and role_key <= $3 order by role_key, position";
    PERMISSIONS = "select organization_id, role_key, pattern, condition_key from role_permissions \
                   where organization_id = $1 and role_key >= $2 and role_key <= $3 order by role_key, position";
    FACTS = "select organization_id, role_key, name, level from roles where organization_id = $1 order by role_key";
    ALL_FACTS = "select organization_id, role_key, name, level from roles \
             where organization_id >= $1 and organization_id <= $2 order by organization_id, role_key";
    FACTS_PARENTS = "select organization_id, role_key, parent_key from role_parents \
                     where organization_id = $1 order by role_key, position";
    ALL_FACTS_PARENTS = "select organization_id, role_key, parent_key from role_parents \
                     where organization_id >= $1 and organization_id <= $2 order by organization_id, role_key, position";
    FACTS_PERMISSIONS = "select organization_id, role_key, pattern, condition_key from role_permissions \
                         where organization_id = $1 order by role_key, position";
    ALL_FACTS_PERMISSIONS = "select organization_id, role_key, pattern, condition_key from role_permissions \
                         where organization_id >= $1 and organization_id <= $2 order by organization_id, role_key, position";
}

/// A role whose parents and lines have not been read yet.
fn role(row: RowRef<'_>) -> Result<RoleFact> {
    Ok(RoleFact {
        key: row::parsed(row, 1)?,
        name: row::text(row, 2)?,
        level: row::word(row, 3, Level::from_word)?,
        parents: Vec::new(),
        permissions: Vec::new(),
    })
}

fn parent(row: RowRef<'_>) -> Result<(RoleKey, RoleKey)> {
    Ok((row::parsed(row, 1)?, row::parsed(row, 2)?))
}

fn permission(row: RowRef<'_>) -> Result<(RoleKey, RolePermission)> {
    Ok((
        row::parsed(row, 1)?,
        RolePermission { pattern: row::parsed(row, 2)?, condition: row::opt_key(row, 3)? },
    ))
}

/// Adds a role with its parents and lines; a key that is taken violates `roles_pkey`.
pub async fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    role: &RoleFact,
    now: Timestamp,
) -> Result<()> {
    tx.execute(&INSERT, params![organization, role.key, role.name, role.level.as_str(), now]).await?;
    insert_lines(tx, organization, role).await
}

async fn insert_lines(tx: &mut Tx, organization: OrganizationId, role: &RoleFact) -> Result<()> {
    for (position, parent) in (0i64..).zip(&role.parents) {
        tx.execute(&INSERT_PARENT, params![organization, role.key, position, parent]).await?;
    }
    for (position, line) in (0i64..).zip(&role.permissions) {
        let params = params![organization, role.key, position, line.pattern, line.condition];
        tx.execute(&INSERT_PERMISSION, params).await?;
    }
    Ok(())
}

async fn delete_lines(tx: &mut Tx, organization: OrganizationId, key: &RoleKey) -> Result<()> {
    tx.execute(&DELETE_PARENTS, params![organization, key]).await?;
    tx.execute(&DELETE_PERMISSIONS, params![organization, key]).await?;
    Ok(())
}

/// Replaces name, level, parents and lines.
pub async fn update(
    tx: &mut Tx,
    organization: OrganizationId,
    role: &RoleFact,
    now: Timestamp,
) -> Result<bool> {
    let params = params![organization, role.key, role.name, role.level.as_str(), now];
    if tx.execute(&UPDATE, params).await? == 0 {
        return Ok(false);
    }
    delete_lines(tx, organization, &role.key).await?;
    insert_lines(tx, organization, role).await?;
    Ok(true)
}

/// Removes a role with its parents and lines. Who else refers to its key (children, assignments, blocks) is for the caller to ask first.
pub async fn delete(tx: &mut Tx, organization: OrganizationId, key: &RoleKey) -> Result<bool> {
    delete_lines(tx, organization, key).await?;
    Ok(tx.execute(&DELETE, params![organization, key]).await? > 0)
}

/// The role with this key.
pub async fn get(conn: &mut Conn, organization: OrganizationId, key: &RoleKey) -> Result<Option<RoleFact>> {
    let page = filled(conn, organization, key.as_str(), "", 1).await?;
    Ok(page.rows.into_iter().next().filter(|role| &role.key == key))
}

/// Whether the organization has a role of its own with this key.
pub async fn exists(conn: &mut Conn, organization: OrganizationId, key: &RoleKey) -> Result<bool> {
    row::exists(conn, &EXISTS, params![organization, key]).await
}

/// The roles that name this one as a parent.
pub async fn children(conn: &mut Conn, organization: OrganizationId, key: &RoleKey) -> Result<Vec<RoleKey>> {
    row::list(conn, &CHILDREN, params![organization, key], |row| row::parsed(row, 0)).await
}

/// The roles after a key; the empty text comes before all.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: &str,
    limit: u32,
) -> Result<Page<RoleFact>> {
    filled(conn, organization, "", after, limit).await
}

async fn filled(
    conn: &mut Conn,
    organization: OrganizationId,
    from: &str,
    after: &str,
    limit: u32,
) -> Result<Page<RoleFact>> {
    let mut page = row::page(conn, &PAGE, params![organization, from, after], limit, role).await?;
    let (Some(first), Some(last)) = (page.rows.first(), page.rows.last()) else { return Ok(page) };
    let params = params![organization, first.key, last.key];
    let parents = row::list(conn, &PARENTS, params, parent).await?;
    let permissions = row::list(conn, &PERMISSIONS, params, permission).await?;
    for (key, parent) in parents {
        if let Some(role) = find(&mut page.rows, &key) {
            role.parents.push(parent);
        }
    }
    for (key, line) in permissions {
        if let Some(role) = find(&mut page.rows, &key) {
            role.permissions.push(line);
        }
    }
    Ok(page)
}

/// The role with this key among roles sorted by key.
pub(crate) fn find<'a>(roles: &'a mut [RoleFact], key: &RoleKey) -> Option<&'a mut RoleFact> {
    let index = roles.binary_search_by(|role| role.key.cmp(key)).ok()?;
    roles.get_mut(index)
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, RoleFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS, &ALL_FACTS], role, f).await
}

pub(crate) async fn each_parent(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, (RoleKey, RoleKey)) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS_PARENTS, &ALL_FACTS_PARENTS], parent, f).await
}

pub(crate) async fn each_permission(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, (RoleKey, RolePermission)) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS_PERMISSIONS, &ALL_FACTS_PERMISSIONS], permission, f).await
}
