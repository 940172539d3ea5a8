//! What runs of a source wrote that stands: what the next run of it sets beside what the other system says by then.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{Key, ModuleKey, OrganizationId, Pattern, PrincipalId, RoleKey, Timestamp};
use serde_json::json;

use crate::bulk::{hex, principals, rows};
use crate::{Page, Result, row};

macro_rules! link {
    ($rest:literal) => {
        concat!(
            "select a.legacy_id, a.principal_id, a.told_sum, p.login_folded, p.name, p.status, p.created_at, p.updated_at, \
             exists (select 1 from adopted_users b where b.principal_id = a.principal_id and b.source_key <> a.source_key) ",
            $rest
        )
    };
}

/// Rows that the runs of a JSON parameter recorded.
macro_rules! recorded {
    (sqlite $columns:expr, $rest:literal) => {
        concat!(
            "select ",
            $columns,
            " from json_each($1) e cross join adopted_rows a on a.run_no = e.value ",
            $rest
        )
    };
    (postgres $columns:expr, $rest:literal) => {
        concat!(
            "select ",
            $columns,
            " from jsonb_array_elements_text($1) e(v) join adopted_rows a on a.run_no = cast(e.v as bigint) ",
            $rest
        )
    };
}

/// Whether the row that a run recorded is the one it wrote: runs before a version that noted when are told by when their accounts were opened.
macro_rules! is_written {
    ($at:literal) => {
        concat!(
            "(case when a.recorded_at is null then exists (select 1 from adoption_runs o where o.run_no = a.run_no and ", $at,
            " <= o.opened_at) else a.recorded_at = ", $at, " end)"
        )
    };
}

statements! {
    RUNS = "select run_no, opened_at from adoption_runs where source_key = $1 and state <> 'undone' \
            and opened_at is not null order by run_no";
    RUNS_BEGUN = "select run_no from adoption_runs where source_key = $1 and state <> 'undone' order by run_no";
    MEMBERS = "select principal_id, status, created_at, updated_at, (starts_at is null and ends_at is null and attributes = '{}'), starts_at, ends_at \
               from memberships where organization_id = $1 and principal_id > $2 order by principal_id limit $3";
    MEMBER = "select principal_id, status, created_at, updated_at, (starts_at is null and ends_at is null and attributes = '{}'), starts_at, ends_at \
              from memberships where organization_id = $1 and principal_id = $2";
    ASSIGNMENTS = "select assignment_id, principal_id, role_key from assignments where organization_id = $1 and principal_id >= $2 \
                   and principal_id <= $3 and assignment_id < $4 order by principal_id, assignment_id";
    GRANTS = "select grant_id, principal_id, pattern from grants where organization_id = $1 and principal_id >= $2 \
              and principal_id <= $3 and grant_id < $4 order by principal_id, grant_id";
    RECORDED_MEMBERS =
        concat!(recorded!(sqlite "a.row_key", "and a.kind = 'membership' and a.organization_id = $2 and a.row_key >= $3 and a.row_key <= $4 \
            join memberships m on m.organization_id = a.organization_id and m.principal_id = unhex(a.row_key) where "), is_written!("m.created_at")),
        concat!(recorded!(postgres "a.row_key", "and a.kind = 'membership' and a.organization_id = $2 and a.row_key >= $3 and a.row_key <= $4 \
            join memberships m on m.organization_id = a.organization_id and m.principal_id = a.row_key::uuid where "), is_written!("m.created_at"));
    WROTE_INTO =
        recorded!(sqlite "a.run_no", "and a.kind = 'organization' and a.organization_id = $2 and a.row_key = ''"),
        recorded!(postgres "a.run_no", "and a.kind = 'organization' and a.organization_id = $2 and a.row_key = ''");
    RECORDED_ROLES =
        recorded!(sqlite concat!("a.row_key, r.created_at, r.updated_at, ", is_written!("r.created_at")), "and a.kind = 'role' and a.organization_id = $2 \
            join roles r on r.organization_id = a.organization_id and r.role_key = a.row_key order by a.row_key"),
        recorded!(postgres concat!("a.row_key, r.created_at, r.updated_at, ", is_written!("r.created_at")), "and a.kind = 'role' and a.organization_id = $2 \
            join roles r on r.organization_id = a.organization_id and r.role_key = a.row_key order by a.row_key");
    RECORDED_MODULES =
        recorded!(sqlite concat!("a.row_key, t.status, t.reason, t.row_version, t.changed_by, t.changed_at, ", is_written!("t.changed_at")), "and a.kind = 'entitlement' \
            and a.organization_id = $2 join org_entitlements t on t.organization_id = a.organization_id and t.module_key = a.row_key \
            and t.source = 'migration' and t.source_id = '' order by a.row_key"),
        recorded!(postgres concat!("a.row_key, t.status, t.reason, t.row_version, t.changed_by, t.changed_at, ", is_written!("t.changed_at")), "and a.kind = 'entitlement' \
            and a.organization_id = $2 join org_entitlements t on t.organization_id = a.organization_id and t.module_key = a.row_key \
            and t.source = 'migration' and t.source_id = '' order by a.row_key");
    MIGRATED = "select module_key, status, reason, row_version, changed_by, changed_at from org_entitlements \
                where organization_id = $1 and source = 'migration' and source_id = '' order by module_key";
    LINKS_PAGE = link!(
        "from adopted_users a join principals p on p.principal_id = a.principal_id \
         where a.source_key = $1 and a.legacy_id > $2 order by a.legacy_id limit $3"
    );
    LINKS_OF =
        link!(
            "from json_each($1) e cross join adopted_users a on a.principal_id = unhex(e.value) cross join principals p \
             on p.principal_id = a.principal_id where a.source_key = $2"
        ),
        link!(
            "from jsonb_array_elements_text($1) e(v) join adopted_users a on a.principal_id = e.v::uuid join principals p \
             on p.principal_id = a.principal_id where a.source_key = $2"
        );
    TELL = "update adopted_users set told_sum = $3 where source_key = $1 and principal_id = $2";
    SET_LOGIN = "insert into logins (login_folded, principal_id) values ($1, $2)";
    FREE_LOGIN = "delete from logins where login_folded = $1 and principal_id = $2";
    SET_ACCOUNT = "update principals set login = $2, login_folded = $2, name = $3, status = $4, updated_at = $5, email_verified_at = $6 \
                   where principal_id = $1";
    SET_MEMBERSHIP = "update memberships set status = $3, updated_at = $4 where organization_id = $1 and principal_id = $2";
    SET_MODULE = "update org_entitlements set status = $3, reason = $4, row_version = $5, changed_by = $6, changed_at = $7 \
                  where organization_id = $1 and module_key = $2 and source = 'migration' and source_id = ''";
    SET_ORGANIZATION = "update organizations set name = $2, status = $3, enabled_modules = $4, updated_at = $5 where organization_id = $1";
    ROLE_TIMES = "select created_at, updated_at from roles where organization_id = $1 and role_key = $2";
}

/// When a row was made and when it was changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Times {
    /// Whether nobody changed it since it was made.
    #[must_use]
    pub fn is_untouched(self) -> bool {
        self.created_at == self.updated_at
    }
}

/// A membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldMembership {
    /// Whose.
    pub principal: PrincipalId,
    /// Where it is in its life.
    pub status: PrincipalStatus,
    /// When it was changed.
    pub times: Times,
    /// Whether it has no dates and no attributes.
    pub is_plain: bool,
    /// When it begins to be in force, where people said so.
    pub starts_at: Option<Timestamp>,
    /// When it ends, where people said so.
    pub ends_at: Option<Timestamp>,
}

/// A row with an id of a run: an assignment with its role, or a grant with its pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow<T> {
    /// Its id.
    pub id: u128,
    /// Whose.
    pub principal: PrincipalId,
    /// What it gives.
    pub gives: T,
}

/// What is on by a row of the source migration that a run wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldModule {
    /// The module.
    pub module: ModuleKey,
    /// Its status.
    pub status: String,
    /// Why.
    pub reason: String,
    /// How often it was changed, from one.
    pub row_version: u64,
    /// Who changed it last; nobody is the operator or Charter itself.
    pub changed_by: Option<PrincipalId>,
    /// When.
    pub changed_at: Timestamp,
}

/// An account with the user of the source that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAccount {
    /// The user's id there.
    pub legacy_id: String,
    /// The account.
    pub principal: PrincipalId,
    /// What stands for the login and the name that a run gave it last.
    pub told_sum: Option<i64>,
    /// Its login, folded.
    pub login: String,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub status: PrincipalStatus,
    /// When it was changed.
    pub times: Times,
    /// Whether a user of another source has it as well.
    pub is_shared: bool,
}

fn module(row: RowRef<'_>) -> Result<HeldModule> {
    Ok(HeldModule {
        module: row::parsed(row, 0)?,
        status: row::text(row, 1)?,
        reason: row::text(row, 2)?,
        row_version: row.get(3)?,
        changed_by: row.get_opt_id(4)?.map(PrincipalId),
        changed_at: row::time(row, 5)?,
    })
}

fn times(row: RowRef<'_>, index: usize) -> Result<Times> {
    Ok(Times { created_at: row::time(row, index)?, updated_at: row::time(row, index + 1)? })
}

fn membership(row: RowRef<'_>) -> Result<HeldMembership> {
    Ok(HeldMembership {
        principal: PrincipalId(row.get_id(0)?),
        status: row::word(row, 1, PrincipalStatus::from_word)?,
        times: times(row, 2)?,
        is_plain: row.get_bool(4)?,
        starts_at: row::opt_time(row, 5)?,
        ends_at: row::opt_time(row, 6)?,
    })
}

fn account(row: RowRef<'_>) -> Result<HeldAccount> {
    Ok(HeldAccount {
        legacy_id: row::text(row, 0)?,
        principal: PrincipalId(row.get_id(1)?),
        told_sum: row.get(2)?,
        login: row::text(row, 3)?,
        name: row::text(row, 4)?,
        status: row::word(row, 5, PrincipalStatus::from_word)?,
        times: times(row, 6)?,
        is_shared: row.get_bool(8)?,
    })
}

fn numbers(runs: &[u64]) -> charter_db::Value {
    rows(runs.iter().map(|run| json!(run)))
}

/// The runs of a source that stand, with when each was opened first.
pub async fn runs(conn: &mut Conn, source: &Key) -> Result<Vec<(u64, Option<Timestamp>)>> {
    row::list(conn, &RUNS, params![source], |row| Ok((row.get(0)?, row::opt_time(row, 1)?))).await
}

/// Those, and one that is under way.
pub async fn runs_begun(conn: &mut Conn, source: &Key) -> Result<Vec<u64>> {
    row::list(conn, &RUNS_BEGUN, params![source], |row| row.get(0)).await
}

/// Members of an organization after one of them.
pub async fn members(
    conn: &mut Conn,
    organization: OrganizationId,
    after: PrincipalId,
    limit: u32,
) -> Result<Page<HeldMembership>> {
    row::page(conn, &MEMBERS, params![organization, after], limit, membership).await
}

/// One membership.
pub async fn member(
    conn: &mut Conn,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<Option<HeldMembership>> {
    row::opt(conn, &MEMBER, params![organization, principal], membership).await
}

/// Assignments of members from one to another whose ids lie below one.
pub async fn assignments(
    conn: &mut Conn,
    organization: OrganizationId,
    (first, last): (PrincipalId, PrincipalId),
    below: u128,
) -> Result<Vec<HeldRow<RoleKey>>> {
    let params = params![organization, first, last, PrincipalId(below)];
    row::list(conn, &ASSIGNMENTS, params, |row| {
        Ok(HeldRow {
            id: row.get_id(0)?,
            principal: PrincipalId(row.get_id(1)?),
            gives: row::parsed(row, 2)?,
        })
    })
    .await
}

/// The same of grants.
pub async fn grants(
    conn: &mut Conn,
    organization: OrganizationId,
    (first, last): (PrincipalId, PrincipalId),
    below: u128,
) -> Result<Vec<HeldRow<Pattern>>> {
    let params = params![organization, first, last, PrincipalId(below)];
    row::list(conn, &GRANTS, params, |row| {
        Ok(HeldRow {
            id: row.get_id(0)?,
            principal: PrincipalId(row.get_id(1)?),
            gives: row::parsed(row, 2)?,
        })
    })
    .await
}

/// Members from one to another whose memberships these runs recorded.
pub async fn recorded_members(
    conn: &mut Conn,
    runs: &[u64],
    organization: OrganizationId,
    (first, last): (PrincipalId, PrincipalId),
) -> Result<Vec<PrincipalId>> {
    let params = params![numbers(runs), organization, hex(first.0), hex(last.0)];
    row::list(conn, &RECORDED_MEMBERS, params, |row| {
        let key = row.get_text(0)?;
        u128::from_str_radix(key, 16).map(PrincipalId).map_err(|error| row::bad(0, error))
    })
    .await
}

/// Those of these runs that wrote into an organization.
pub async fn wrote_into(conn: &mut Conn, runs: &[u64], organization: OrganizationId) -> Result<Vec<u64>> {
    row::list(conn, &WROTE_INTO, params![numbers(runs), organization], |row| row.get(0)).await
}

/// A role of a key that runs recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRole {
    /// Its key.
    pub key: RoleKey,
    /// When it was changed.
    pub times: Times,
    /// Whether one of them wrote it; otherwise people deleted that one and made another.
    pub is_written: bool,
}

/// The roles of an organization that these runs made, or that have their keys by now.
pub async fn recorded_roles(
    conn: &mut Conn,
    runs: &[u64],
    organization: OrganizationId,
) -> Result<Vec<RecordedRole>> {
    let mut roles = row::list(conn, &RECORDED_ROLES, params![numbers(runs), organization], |row| {
        Ok(RecordedRole { key: row::parsed(row, 0)?, times: times(row, 1)?, is_written: row.get_bool(3)? })
    })
    .await?;
    roles.dedup_by(|later, it| {
        let is_one = later.key == it.key;
        it.is_written |= is_one && later.is_written;
        is_one
    });
    Ok(roles)
}

/// The modules of an organization for which these runs wrote rows, each with whether the row was one of these when it was changed last.
pub async fn recorded_modules(
    conn: &mut Conn,
    runs: &[u64],
    organization: OrganizationId,
) -> Result<Vec<(HeldModule, bool)>> {
    let params = params![numbers(runs), organization];
    let recorded = |row: RowRef<'_>| Ok((module(row)?, row.get_bool(6)?));
    let mut modules = row::list(conn, &RECORDED_MODULES, params, recorded).await?;
    modules.dedup_by(|later, it| {
        let is_one = later.0.module == it.0.module;
        it.1 |= is_one && later.1;
        is_one
    });
    Ok(modules)
}

/// The rows of the source migration of an organization.
pub async fn migrated(conn: &mut Conn, organization: OrganizationId) -> Result<Vec<HeldModule>> {
    row::list(conn, &MIGRATED, params![organization], module).await
}

/// Accounts of the users of a source, by their ids there, after one of them.
pub async fn accounts(conn: &mut Conn, source: &Key, after: &str, limit: u32) -> Result<Page<HeldAccount>> {
    row::page(conn, &LINKS_PAGE, params![source, after], limit, account).await
}

/// The same of these accounts.
pub async fn accounts_of(conn: &mut Conn, source: &Key, of: &[PrincipalId]) -> Result<Vec<HeldAccount>> {
    let of = principals(of);
    row::list(conn, &LINKS_OF, params![of, source], account).await
}

/// When a role was made and changed last.
pub async fn role_times(
    conn: &mut Conn,
    organization: OrganizationId,
    role: &RoleKey,
) -> Result<Option<Times>> {
    row::opt(conn, &ROLE_TIMES, params![organization, role], |row| times(row, 0)).await
}

/// Says what stands for the login and the name that the source gave an account.
pub async fn tell(tx: &mut Tx, source: &Key, principal: PrincipalId, sum: Option<i64>) -> Result<()> {
    tx.execute(&TELL, params![source, principal, sum]).await?;
    Ok(())
}

/// Gives up the login of an account.
pub async fn free_login(tx: &mut Tx, login: &str, principal: PrincipalId) -> Result<()> {
    tx.execute(&FREE_LOGIN, params![login, principal]).await?;
    Ok(())
}

/// Takes a login for an account; one that is taken violates `logins_pkey`.
pub async fn set_login(tx: &mut Tx, login: &str, principal: PrincipalId) -> Result<()> {
    tx.execute(&SET_LOGIN, params![login, principal]).await?;
    Ok(())
}

/// An account as it is to be, but for the directory of logins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountState {
    /// Its login, folded.
    pub login: String,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub status: PrincipalStatus,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When its address was proved.
    pub email_verified_at: Option<Timestamp>,
}

/// Changes an account.
pub async fn set_account(tx: &mut Tx, principal: PrincipalId, it: &AccountState) -> Result<()> {
    let params =
        params![principal, it.login, it.name, it.status.as_str(), it.updated_at, it.email_verified_at];
    tx.execute(&SET_ACCOUNT, params).await?;
    Ok(())
}

/// Changes where a membership is in its life.
pub async fn set_membership(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
    status: PrincipalStatus,
    updated_at: Timestamp,
) -> Result<()> {
    tx.execute(&SET_MEMBERSHIP, params![organization, principal, status.as_str(), updated_at]).await?;
    Ok(())
}

/// Changes a row of the source migration.
pub async fn set_module(tx: &mut Tx, organization: OrganizationId, it: &HeldModule) -> Result<()> {
    let params =
        params![organization, it.module, it.status, it.reason, it.row_version, it.changed_by, it.changed_at];
    tx.execute(&SET_MODULE, params).await?;
    Ok(())
}

/// Changes name, state and document of modules of an organization.
pub async fn set_organization(
    tx: &mut Tx,
    organization: OrganizationId,
    name: &str,
    status: &str,
    enabled_modules: Option<&str>,
    updated_at: Timestamp,
) -> Result<()> {
    tx.execute(&SET_ORGANIZATION, params![organization, name, status, enabled_modules, updated_at]).await?;
    Ok(())
}
