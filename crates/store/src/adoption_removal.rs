//! What people remove by hand of what runs of adoption gave, noted with the removal; and what runs were told to keep away.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{Key, OrganizationId, PrincipalId, Timestamp};
use serde_json::json;

use crate::bulk::{hex, rows};
use crate::{Page, Result, row};

/// Rows that the runs of a JSON parameter recorded.
macro_rules! recorded {
    (sqlite $rest:literal) => {
        concat!("select distinct a.row_key from json_each($1) e cross join adopted_rows a on a.run_no = e.value ", $rest)
    };
    (postgres $rest:literal) => {
        concat!(
            "select distinct a.row_key from jsonb_array_elements_text($1) e(v) join adopted_rows a on a.run_no = cast(e.v as bigint) ",
            $rest
        )
    };
}

/// The newest run of a source that was opened and stands.
macro_rules! newest {
    ($source:literal) => {
        concat!(
            "(select max(r.run_no) from adoption_runs r where r.source_key = ",
            $source,
            " and r.state <> 'undone' and r.opened_at is not null)"
        )
    };
}

statements! {
    NOTE = "insert into adopted_removals (organization_id, kind, row_id, principal_id, removed_at, row_key, gives) values ($1, $2, $3, $4, $5, $6, $7) \
            on conflict (organization_id, principal_id, kind, row_id) do update set removed_at = excluded.removed_at, row_key = excluded.row_key, \
            gives = excluded.gives";
    /// A membership is noted where the account is somebody's of another system.
    NOTE_MEMBERSHIP =
        "insert into adopted_removals (organization_id, kind, row_id, principal_id, removed_at) \
         select $1, 'membership', u.principal_id, u.principal_id, $3 from adopted_users u where u.principal_id = $2 limit 1 \
         on conflict (organization_id, principal_id, kind, row_id) do update set removed_at = excluded.removed_at",
        "insert into adopted_removals (organization_id, kind, row_id, principal_id, removed_at) \
         select $1::uuid, 'membership', u.principal_id, u.principal_id, $3::timestamptz from adopted_users u where u.principal_id = $2 limit 1 \
         on conflict (organization_id, principal_id, kind, row_id) do update set removed_at = excluded.removed_at";
    RIGHTS = "select row_id, principal_id, kind, row_key, gives from adopted_removals where organization_id = $1 and kind <> 'membership' order by row_id";
    MEMBERS = "select n.row_id from adopted_removals n where n.organization_id = $1 and n.kind = 'membership' and not exists \
               (select 1 from memberships m where m.organization_id = n.organization_id and m.principal_id = n.row_id) order by n.row_id";
    BY_RUNS = "select row_key from adopted_changes where kind in ('assignment', 'grant') and organization_id = $1";
    ROLES =
        recorded!(sqlite "and a.kind = 'role' and a.organization_id = $2 and not exists (select 1 from roles r \
            where r.organization_id = a.organization_id and r.role_key = a.row_key) order by a.row_key"),
        recorded!(postgres "and a.kind = 'role' and a.organization_id = $2 and not exists (select 1 from roles r \
            where r.organization_id = a.organization_id and r.role_key = a.row_key) order by a.row_key");
    /// What any run that stands recorded in organizations of the source, and people removed; what a run that is under way wrote is open still.
    MODULES = "select a.organization_id, a.row_key from adopted_organizations x join adopted_rows a on a.organization_id = x.organization_id \
               and a.kind = 'entitlement' join adoption_runs r on r.run_no = a.run_no and r.state <> 'undone' and r.opened_at is not null \
               where x.source_key = $1 and not exists (select 1 from org_entitlements t where t.organization_id = a.organization_id \
               and t.module_key = a.row_key and t.source = 'migration' and t.source_id = '' and not exists (select 1 from adopted_rows b \
               join adoption_runs q on q.run_no = b.run_no and q.opened_at is null and q.state <> 'undone' where b.kind = 'entitlement' \
               and b.organization_id = t.organization_id and b.row_key = t.module_key)) order by a.organization_id, a.row_key";
    IS_NOTED = concat!("select removals_noted from adoption_runs where run_no = ", newest!("$1"));
    KEEP_AWAY =
        "insert into adopted_kept_away (run_no, organization_id, principal_id, kind, row_key, gives) \
         select $2, unhex(e.value->>'o'), unhex(e.value->>'p'), e.value->>'t', e.value->>'k', e.value->'g' from json_each($1) e where true \
         on conflict (run_no, organization_id, principal_id, kind, row_key) do nothing",
        "insert into adopted_kept_away (run_no, organization_id, principal_id, kind, row_key, gives) \
         select $2, e.o, e.p, e.t, e.k, e.g from jsonb_to_recordset($1) as e(o uuid, p uuid, t text, k text, g jsonb) \
         on conflict (run_no, organization_id, principal_id, kind, row_key) do nothing";
    KEPT_AWAY = concat!(
        "select organization_id, principal_id, kind, row_key, gives from adopted_kept_away where run_no = ", newest!("$1"),
        " and (organization_id, principal_id, kind, row_key) > ($2, $3, $4, $5) order by organization_id, principal_id, kind, row_key limit $6"
    );
    KEPT_AWAY_IN = concat!(
        "select k.organization_id, k.principal_id, k.kind, k.row_key, k.gives from adopted_kept_away k \
         join adoption_runs o on o.run_no = k.run_no where k.organization_id = $1 and k.run_no = ", newest!("o.source_key"),
        " order by k.principal_id, k.kind, k.row_key"
    );
    FORGET = "delete from adopted_kept_away where run_no = $1";
}

/// What people remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemovalKind {
    /// A role of a member.
    Assignment,
    /// A right of a member.
    Grant,
    /// A membership, with all the member has.
    Membership,
}

impl RemovalKind {
    /// The word that is kept.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assignment => "assignment",
            Self::Grant => "grant",
            Self::Membership => "membership",
        }
    }

    /// What a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Assignment, Self::Grant, Self::Membership].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Something that a run was told to keep away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptAway {
    /// Where.
    pub organization: OrganizationId,
    /// From whom.
    pub principal: PrincipalId,
    /// What.
    pub kind: RemovalKind,
    /// The role or the permission; empty for the membership.
    pub key: String,
    /// The patterns it would give, where no shipped role says so.
    pub gives: Vec<String>,
}

fn kept_away(row: RowRef<'_>) -> Result<KeptAway> {
    Ok(KeptAway {
        organization: row::organization(row)?,
        principal: PrincipalId(row.get_id(1)?),
        kind: row::word(row, 2, RemovalKind::from_word)?,
        key: row::text(row, 3)?,
        gives: gives(row, 4)?,
    })
}

fn id(row: RowRef<'_>) -> Result<u128> {
    row.get_id(0)
}

/// An assignment or a grant that people removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedRight {
    /// The id that it had.
    pub id: u128,
    /// From whom.
    pub principal: PrincipalId,
    /// What.
    pub kind: RemovalKind,
    /// The role or the permission; empty where a version before noted none.
    pub key: String,
    /// The patterns that a role of the organization gave, or the permission.
    pub gives: Vec<String>,
}

fn gives(row: RowRef<'_>, index: usize) -> Result<Vec<String>> {
    serde_json::from_str(row.get_json(index)?).map_err(|error| row::bad(index, error))
}

/// Notes that people removed an assignment or a grant.
pub async fn note(
    tx: &mut Tx,
    organization: OrganizationId,
    it: &RemovedRight,
    now: Timestamp,
) -> Result<()> {
    let (kind, id) = (it.kind.as_str(), PrincipalId(it.id));
    let gives = charter_db::Value::Json(json!(it.gives).to_string());
    tx.execute(&NOTE, params![organization, kind, id, it.principal, now, it.key, gives]).await?;
    Ok(())
}

/// Notes that people removed a membership.
pub async fn note_membership(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
    now: Timestamp,
) -> Result<()> {
    tx.execute(&NOTE_MEMBERSHIP, params![organization, principal, now]).await?;
    Ok(())
}

/// Assignments and grants that people removed in an organization.
pub async fn rights(conn: &mut Conn, organization: OrganizationId) -> Result<Vec<RemovedRight>> {
    row::list(conn, &RIGHTS, params![organization], |row| {
        Ok(RemovedRight {
            id: row.get_id(0)?,
            principal: PrincipalId(row.get_id(1)?),
            kind: row::word(row, 2, RemovalKind::from_word)?,
            key: row::text(row, 3)?,
            gives: gives(row, 4)?,
        })
    })
    .await
}

/// Modules that people removed in organizations of a source of those that runs switched there.
pub async fn modules(conn: &mut Conn, source: &Key) -> Result<Vec<(OrganizationId, Key)>> {
    let mut modules =
        row::list(conn, &MODULES, params![source], |row| Ok((row::organization(row)?, row::parsed(row, 1)?)))
            .await?;
    modules.dedup();
    Ok(modules)
}

/// Accounts whose memberships people removed there, and who are no members again.
pub async fn members(conn: &mut Conn, organization: OrganizationId) -> Result<Vec<PrincipalId>> {
    row::list(conn, &MEMBERS, params![organization], |row| Ok(PrincipalId(id(row)?))).await
}

/// Assignments and grants that runs removed there.
pub async fn by_runs(conn: &mut Conn, organization: OrganizationId) -> Result<Vec<u128>> {
    row::list(conn, &BY_RUNS, params![organization], |row| {
        u128::from_str_radix(row.get_text(0)?, 16).map_err(|error| row::bad(0, error))
    })
    .await
}

/// Roles that these runs made there, and that are there no more.
pub async fn roles(conn: &mut Conn, runs: &[u64], organization: OrganizationId) -> Result<Vec<Key>> {
    let runs = rows(runs.iter().map(|run| json!(run)));
    row::list(conn, &ROLES, params![runs, organization], |row| row::parsed(row, 0)).await
}

/// Whether removals were noted since the newest run of a source that stands; none where there is no run.
pub async fn is_noted(conn: &mut Conn, source: &Key) -> Result<Option<bool>> {
    row::opt(conn, &IS_NOTED, params![source], |row| Ok(row.get::<i64>(0)? != 0)).await
}

/// Notes what a run keeps away; what is noted already stays.
pub async fn keep_away(tx: &mut Tx, run: u64, all: &[KeptAway]) -> Result<u64> {
    let of = |it: &KeptAway| {
        let (organization, principal) = (hex(it.organization.0), hex(it.principal.0));
        json!({ "o": organization, "p": principal, "t": it.kind.as_str(), "k": it.key, "g": it.gives })
    };
    tx.execute(&KEEP_AWAY, params![rows(all.iter().map(of)), run]).await
}

/// What the newest run of a source that stands was told to keep away, after one of them.
pub async fn page(
    conn: &mut Conn,
    source: &Key,
    after: Option<&KeptAway>,
    limit: u32,
) -> Result<Page<KeptAway>> {
    let (organization, principal) =
        after.map_or((OrganizationId(0), PrincipalId(0)), |it| (it.organization, it.principal));
    let (kind, key) = after.map_or(("", ""), |it| (it.kind.as_str(), it.key.as_str()));
    row::page(conn, &KEPT_AWAY, params![source, organization, principal, kind, key], limit, kept_away).await
}

/// What newest runs, whatever their sources, keep away in an organization.
pub async fn in_organization(conn: &mut Conn, organization: OrganizationId) -> Result<Vec<KeptAway>> {
    row::list(conn, &KEPT_AWAY_IN, params![organization], kept_away).await
}

/// Forgets what a run kept away.
pub async fn forget(tx: &mut Tx, run: u64) -> Result<u64> {
    tx.execute(&FORGET, params![run]).await
}
