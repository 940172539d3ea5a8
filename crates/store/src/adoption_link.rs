//! Which organization and which user of another system is which one here.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{Key, OrganizationId, PrincipalId};

use crate::bulk::{Row, rows};
use crate::{Page, Result, row};

statements! {
    ORGANIZATIONS_PAGE = "select a.organization_id, a.legacy_id, o.organization_key, o.status, exists (select 1 from adoption_runs r \
                          join adoption_steps s on s.run_no = r.run_no and s.step = 'data' and s.state <> 'undone' \
                          where r.run_no = a.run_no and r.opened_at is not null), exists (select 1 from adopted_closed c \
                          where c.organization_id = o.organization_id and c.closed_at = o.updated_at and o.status = 'closed') \
                          or exists (select 1 from adopted_changes c join adoption_runs r on r.run_no = c.run_no and r.opened_at is null \
                          where c.kind = 'organization' and c.organization_id = o.organization_id and c.row_key = '' and c.changed_at = o.updated_at) \
                          from adopted_organizations a \
                          join organizations o on o.organization_id = a.organization_id \
                          where a.source_key = $1 and a.legacy_id > $2 order by a.legacy_id limit $3";
    /// Where there is one source only, nobody is looked for in others.
    USERS_PAGE = "select a.principal_id, a.legacy_id, (exists (select 1 from adoption_runs r where r.source_key < $1) \
                  or exists (select 1 from adoption_runs r where r.source_key > $1)) and exists (select 1 from adopted_users b where b.principal_id = a.principal_id \
                  and b.source_key <> a.source_key) from adopted_users a where a.source_key = $1 and a.legacy_id > $2 \
                  order by a.legacy_id limit $3";
    /// Links of the same organization by a run that was taken back become this run's.
    LINK_ORGANIZATIONS =
        "insert into adopted_organizations (source_key, legacy_id, organization_id, run_no) \
         select $2, e.value->>'l', unhex(e.value->>'o'), $3 from json_each($1) e where true \
         on conflict (source_key, legacy_id) do update set run_no = excluded.run_no \
         where adopted_organizations.organization_id = excluded.organization_id and adopted_organizations.run_no <> excluded.run_no \
         and exists (select 1 from adoption_runs r where r.run_no = adopted_organizations.run_no and r.state = 'undone')",
        "insert into adopted_organizations (source_key, legacy_id, organization_id, run_no) \
         select $2, e.l, e.o, $3 from jsonb_to_recordset($1) as e(l text, o uuid) \
         on conflict (source_key, legacy_id) do update set run_no = excluded.run_no \
         where adopted_organizations.organization_id = excluded.organization_id and adopted_organizations.run_no <> excluded.run_no \
         and exists (select 1 from adoption_runs r where r.run_no = adopted_organizations.run_no and r.state = 'undone')";
    LINK_USERS =
        "insert into adopted_users (source_key, legacy_id, principal_id, run_no, told_sum) \
         select $2, e.value->>'l', unhex(e.value->>'p'), $3, e.value->>'s' from json_each($1) e where true on conflict (source_key, legacy_id) do nothing",
        "insert into adopted_users (source_key, legacy_id, principal_id, run_no, told_sum) \
         select $2, e.l, e.p, $3, e.s from jsonb_to_recordset($1) as e(l text, p uuid, s bigint) on conflict (source_key, legacy_id) do nothing";
    LINKED_ORGANIZATIONS =
        "select a.organization_id, a.legacy_id, a.run_no from json_each($1) e cross join adopted_organizations a \
         on a.source_key = $2 and a.legacy_id = e.value",
        "select a.organization_id, a.legacy_id, a.run_no from jsonb_array_elements_text($1) e(v) join adopted_organizations a \
         on a.source_key = $2 and a.legacy_id = e.v";
    /// While a run is under way, nobody is anybody by it.
    STANDING_USER = "select a.principal_id from adopted_users a join adoption_runs r on r.run_no = a.run_no \
                     where a.source_key = $1 and a.legacy_id = $2 and r.opened_at is not null and r.state <> 'undone'";
    LINKED_USERS =
        "select a.principal_id, a.legacy_id from json_each($1) e cross join adopted_users a on a.source_key = $2 and a.legacy_id = e.value",
        "select a.principal_id, a.legacy_id from jsonb_array_elements_text($1) e(v) join adopted_users a \
         on a.source_key = $2 and a.legacy_id = e.v";
}

/// An organization of another system and the one it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationLink {
    /// Its id there.
    pub legacy_id: String,
    /// The organization here.
    pub organization: OrganizationId,
    /// Its key.
    pub key: Key,
    /// Its status.
    pub status: String,
    /// Whether rows of the run that linked it stand.
    pub stands: bool,
    /// Whether the next run opens it, or one that is under way: a rollback closed it, and nobody changed it since.
    pub opens: bool,
}

/// A user of another system and the account they have here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserLink {
    /// Their id there.
    pub legacy_id: String,
    /// The account here.
    pub principal: PrincipalId,
    /// Whether a user of another source has it as well.
    pub is_shared: bool,
}

fn user(row: RowRef<'_>) -> Result<UserLink> {
    Ok(UserLink {
        principal: PrincipalId(row.get_id(0)?),
        legacy_id: row::text(row, 1)?,
        is_shared: row.get_bool(2)?,
    })
}

/// Organizations of a source after an id there; the empty text comes before all.
pub async fn organizations(
    conn: &mut Conn,
    source: &Key,
    after: &str,
    limit: u32,
) -> Result<Page<OrganizationLink>> {
    row::page(conn, &ORGANIZATIONS_PAGE, params![source, after], limit, |row| {
        Ok(OrganizationLink {
            organization: row::organization(row)?,
            legacy_id: row::text(row, 1)?,
            key: row::parsed(row, 2)?,
            status: row::text(row, 3)?,
            stands: row.get_bool(4)?,
            opens: row.get_bool(5)?,
        })
    })
    .await
}

/// Users of a source after an id there; the empty text comes before all.
pub async fn users(conn: &mut Conn, source: &Key, after: &str, limit: u32) -> Result<Page<UserLink>> {
    row::page(conn, &USERS_PAGE, params![source, after], limit, user).await
}

fn list(texts: &[String]) -> charter_db::Value {
    crate::param::texts(texts)
}

/// The organizations that are linked to these ids there, and by which run.
pub async fn linked_organizations(
    conn: &mut Conn,
    source: &Key,
    legacy_ids: &[String],
) -> Result<Vec<(String, (OrganizationId, u64))>> {
    row::list(conn, &LINKED_ORGANIZATIONS, params![list(legacy_ids), source], |row| {
        Ok((row::text(row, 1)?, (row::organization(row)?, row.get(2)?)))
    })
    .await
}

/// The accounts that are linked to these ids there.
pub async fn linked_users(
    conn: &mut Conn,
    source: &Key,
    legacy_ids: &[String],
) -> Result<Vec<(String, PrincipalId)>> {
    row::list(conn, &LINKED_USERS, params![list(legacy_ids), source], |row| {
        Ok((row::text(row, 1)?, PrincipalId(row.get_id(0)?)))
    })
    .await
}

/// The account that a user there has by a run that stands.
pub async fn standing_user(conn: &mut Conn, source: &Key, legacy_id: &str) -> Result<Option<PrincipalId>> {
    row::opt(conn, &STANDING_USER, params![source, legacy_id], |row| Ok(PrincipalId(row.get_id(0)?))).await
}

/// Links organizations; gives how many links are new or become this run's.
pub async fn link_organizations(
    tx: &mut Tx,
    source: &Key,
    run: u64,
    links: &[(String, OrganizationId)],
) -> Result<u64> {
    let rows =
        rows(links.iter().map(|(legacy, id)| Row([("l", legacy.as_str().into()), ("o", (*id).into())])));
    tx.execute(&LINK_ORGANIZATIONS, params![rows, source, run]).await
}

/// Links users, with what stands for the login and name each was given; gives how many links are new.
pub async fn link_users(
    tx: &mut Tx,
    source: &Key,
    run: u64,
    links: &[(String, PrincipalId, i64)],
) -> Result<u64> {
    let rows = rows(links.iter().map(|(legacy, id, sum)| {
        Row([("l", legacy.as_str().into()), ("p", (*id).into()), ("s", (*sum).into())])
    }));
    tx.execute(&LINK_USERS, params![rows, source, run]).await
}
