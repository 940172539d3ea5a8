//! What is there already of the rows that an adoption is about to write: one question per table, however many rows.

use charter_db::{Conn, RowRef};
use charter_kernel::facts::{Level, OrganizationKind, OrganizationStatus, PrincipalKind, PrincipalStatus};
use charter_kernel::{Key, ModuleKey, OrganizationId, PrincipalId, RoleKey, Timestamp};

use crate::bulk::{self, hex, pairs, rows};
use crate::{Result, row};

statements! {
    PRINCIPALS =
        "select p.principal_id, p.login_folded, p.kind, p.status from json_each($1) e \
         cross join principals p on p.principal_id = unhex(e.value)",
        "select p.principal_id, p.login_folded, p.kind, p.status from jsonb_array_elements_text($1) e(v) \
         join principals p on p.principal_id = e.v::uuid";
    LOGINS =
        "select p.principal_id, l.login_folded, p.kind, p.status from json_each($1) e \
         cross join logins l on l.login_folded = e.value cross join principals p on p.principal_id = l.principal_id",
        "select p.principal_id, l.login_folded, p.kind, p.status from jsonb_array_elements_text($1) e(v) \
         join logins l on l.login_folded = e.v join principals p on p.principal_id = l.principal_id";
    ORGANIZATIONS =
        "select o.organization_id, o.organization_key, o.kind, o.status, exists (select 1 from adopted_closed c \
         where c.organization_id = o.organization_id and c.closed_at = o.updated_at and o.status = 'closed') from json_each($1) e \
         cross join organizations o on o.organization_id = unhex(e.value)",
        "select o.organization_id, o.organization_key, o.kind, o.status, exists (select 1 from adopted_closed c \
         where c.organization_id = o.organization_id and c.closed_at = o.updated_at and o.status = 'closed') from jsonb_array_elements_text($1) e(v) \
         join organizations o on o.organization_id = e.v::uuid";
    KEYS =
        "select k.organization_id, k.organization_key from json_each($1) e cross join organization_keys k on k.organization_key = e.value",
        "select k.organization_id, k.organization_key from jsonb_array_elements_text($1) e(v) \
         join organization_keys k on k.organization_key = e.v";
    ROLES =
        "select r.organization_id, r.role_key, r.level, \
         exists (select 1 from role_parents p where p.organization_id = r.organization_id and p.role_key = r.role_key) \
         from json_each($1) e cross join roles r on r.organization_id = unhex(e.value->>'o') and r.role_key = e.value->>'k'",
        "select r.organization_id, r.role_key, r.level, \
         exists (select 1 from role_parents p where p.organization_id = r.organization_id and p.role_key = r.role_key) \
         from jsonb_to_recordset($1) as e(o uuid, k text) join roles r on r.organization_id = e.o and r.role_key = e.k";
    ROLE_LINES =
        "select l.organization_id, l.role_key, l.pattern, l.condition_key from json_each($1) e \
         cross join role_permissions l on l.organization_id = unhex(e.value->>'o') and l.role_key = e.value->>'k'",
        "select l.organization_id, l.role_key, l.pattern, l.condition_key from jsonb_to_recordset($1) as e(o uuid, k text) \
         join role_permissions l on l.organization_id = e.o and l.role_key = e.k";
    RECORDED_ROLES =
        "select a.organization_id, a.row_key from json_each($1) e \
         cross join adopted_rows a on a.run_no = $2 and a.kind = 'role' and a.organization_id = unhex(e.value->>'o') and a.row_key = e.value->>'k' \
         where a.recorded_at is null or exists (select 1 from roles r where r.organization_id = a.organization_id and r.role_key = a.row_key \
         and r.created_at = a.recorded_at)",
        "select a.organization_id, a.row_key from jsonb_to_recordset($1) as e(o uuid, k text) \
         join adopted_rows a on a.run_no = $2 and a.kind = 'role' and a.organization_id = e.o and a.row_key = e.k \
         where a.recorded_at is null or exists (select 1 from roles r where r.organization_id = a.organization_id and r.role_key = a.row_key \
         and r.created_at = a.recorded_at)";
    MEMBERSHIPS =
        "select m.organization_id, m.principal_id from json_each($1) e \
         cross join memberships m on m.organization_id = unhex(e.value->>'o') and m.principal_id = unhex(e.value->>'p')",
        "select m.organization_id, m.principal_id from jsonb_to_recordset($1) as e(o uuid, p uuid) \
         join memberships m on m.organization_id = e.o and m.principal_id = e.p";
    MIGRATED =
        "select t.organization_id, t.module_key from json_each($1) e cross join org_entitlements t \
         on t.organization_id = unhex(e.value->>'o') and t.module_key = e.value->>'m' and t.source = 'migration' and t.source_id = ''",
        "select t.organization_id, t.module_key from jsonb_to_recordset($1) as e(o uuid, m text) join org_entitlements t \
         on t.organization_id = e.o and t.module_key = e.m and t.source = 'migration' and t.source_id = ''";
    KEPT =
        "select c.principal_id, c.old_email_hash, c.undo_until from json_each($1) e \
         cross join email_changes c on c.old_email_hash = unhex(e.value) \
         where c.undo_until > $2 and c.proved_at is not null and c.ended_at is null",
        "select c.principal_id, c.old_email_hash, c.undo_until from jsonb_array_elements_text($1) e(v) \
         join email_changes c on c.old_email_hash = decode(e.v, 'hex') \
         where c.undo_until > $2 and c.proved_at is not null and c.ended_at is null";
}

/// An account that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPrincipal {
    /// Its id.
    pub id: PrincipalId,
    /// Its login, folded.
    pub login: String,
    /// User or service account.
    pub kind: PrincipalKind,
    /// Where it is in its life.
    pub status: PrincipalStatus,
}

/// An organization that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOrganization {
    /// Its id.
    pub id: OrganizationId,
    /// Its key.
    pub key: Key,
    /// Platform or customer.
    pub kind: OrganizationKind,
    /// Where it is in its life.
    pub status: OrganizationStatus,
    /// Whether a rollback closed it, and nobody changed it since.
    pub is_taken_back: bool,
}

/// A role of an organization's own that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRole {
    /// Whose.
    pub organization: OrganizationId,
    /// Its key.
    pub key: RoleKey,
    /// Its level.
    pub level: Level,
    /// Whether it inherits from others.
    pub has_parents: bool,
}

/// A line of a role that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLine {
    /// Whose role.
    pub organization: OrganizationId,
    /// The role.
    pub role: RoleKey,
    /// What it gives.
    pub pattern: String,
    /// Whether a condition stands before it.
    pub is_conditional: bool,
}

fn principal(row: RowRef<'_>) -> Result<KnownPrincipal> {
    Ok(KnownPrincipal {
        id: PrincipalId(row.get_id(0)?),
        login: row::text(row, 1)?,
        kind: row::word(row, 2, PrincipalKind::from_word)?,
        status: row::word(row, 3, PrincipalStatus::from_word)?,
    })
}

/// The accounts among these ids.
pub async fn principals(conn: &mut Conn, of: &[PrincipalId]) -> Result<Vec<KnownPrincipal>> {
    row::list(conn, &PRINCIPALS, params![bulk::principals(of)], principal).await
}

/// The accounts with these logins, folded.
pub async fn logins(conn: &mut Conn, logins: &[String]) -> Result<Vec<KnownPrincipal>> {
    row::list(conn, &LOGINS, params![crate::param::texts(logins)], principal).await
}

/// The organizations among these ids.
pub async fn organizations(conn: &mut Conn, of: &[OrganizationId]) -> Result<Vec<KnownOrganization>> {
    row::list(conn, &ORGANIZATIONS, params![bulk::ids(of)], |row| {
        Ok(KnownOrganization {
            id: row::organization(row)?,
            key: row::parsed(row, 1)?,
            kind: row::word(row, 2, OrganizationKind::from_word)?,
            status: row::word(row, 3, OrganizationStatus::from_word)?,
            is_taken_back: row.get_bool(4)?,
        })
    })
    .await
}

/// The organizations with these keys.
pub async fn keys(conn: &mut Conn, keys: &[String]) -> Result<Vec<(String, OrganizationId)>> {
    row::list(conn, &KEYS, params![crate::param::texts(keys)], |row| {
        Ok((row::text(row, 1)?, row::organization(row)?))
    })
    .await
}

fn of_roles(roles: &[(OrganizationId, RoleKey)]) -> charter_db::Value {
    rows(roles.iter().map(|(organization, key)| serde_json::json!({ "o": hex(organization.0), "k": key })))
}

/// The organizations' own roles among these.
pub async fn roles(conn: &mut Conn, roles: &[(OrganizationId, RoleKey)]) -> Result<Vec<KnownRole>> {
    row::list(conn, &ROLES, params![of_roles(roles)], |row| {
        Ok(KnownRole {
            organization: row::organization(row)?,
            key: row::parsed(row, 1)?,
            level: row::word(row, 2, Level::from_word)?,
            has_parents: row.get_bool(3)?,
        })
    })
    .await
}

/// The lines of these roles.
pub async fn role_lines(conn: &mut Conn, roles: &[(OrganizationId, RoleKey)]) -> Result<Vec<KnownLine>> {
    row::list(conn, &ROLE_LINES, params![of_roles(roles)], |row| {
        Ok(KnownLine {
            organization: row::organization(row)?,
            role: row::parsed(row, 1)?,
            pattern: row::text(row, 2)?,
            is_conditional: row.get_opt_text(3)?.is_some(),
        })
    })
    .await
}

/// Those of these roles that the run itself wrote into organizations that were there before it.
pub async fn recorded_roles(
    conn: &mut Conn,
    run: u64,
    roles: &[(OrganizationId, RoleKey)],
) -> Result<Vec<(OrganizationId, RoleKey)>> {
    row::list(conn, &RECORDED_ROLES, params![of_roles(roles), run], |row| {
        Ok((row::organization(row)?, row::parsed(row, 1)?))
    })
    .await
}

/// Those of these who are members.
pub async fn memberships(
    conn: &mut Conn,
    of: &[(OrganizationId, PrincipalId)],
) -> Result<Vec<(OrganizationId, PrincipalId)>> {
    row::list(conn, &MEMBERSHIPS, params![pairs(of)], |row| {
        Ok((row::organization(row)?, PrincipalId(row.get_id(1)?)))
    })
    .await
}

/// Those of these modules that the organizations have a row of source migration for.
pub async fn migrated(
    conn: &mut Conn,
    of: &[(OrganizationId, ModuleKey)],
) -> Result<Vec<(OrganizationId, ModuleKey)>> {
    let of = rows(of.iter().map(|(id, module)| serde_json::json!({ "o": hex(id.0), "m": module })));
    row::list(conn, &MIGRATED, params![of], |row| Ok((row::organization(row)?, row::parsed(row, 1)?))).await
}

/// Of keyed hashes of addresses: those that are kept for whoever gave them up, and until when.
pub async fn kept(
    conn: &mut Conn,
    hashes: &[[u8; 32]],
    now: Timestamp,
) -> Result<Vec<([u8; 32], PrincipalId, Timestamp)>> {
    let text = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hashes = rows(hashes.iter().map(text));
    row::list(conn, &KEPT, params![hashes, now], |row| {
        Ok((row.get(1)?, PrincipalId(row.get_id(0)?), row::time(row, 2)?))
    })
    .await
}
