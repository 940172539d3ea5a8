//! What a run of adoption wrote besides accounts and organizations of its own, found and removed.

use charter_db::{Conn, Statement, Tx};
use charter_kernel::{ModuleKey, OrganizationId, PrincipalId, Timestamp};

use crate::bulk::ids;
use crate::{Result, row};

const WORK: Statement = Statement::new(
    "select a.organization_id from adopted_rows a where a.run_no = $1 and a.kind = 'organization' and a.row_key = '' \
     order by a.organization_id limit $2",
);
const UNDONE_RUNS: Statement =
    Statement::new("select run_no from adoption_runs where state = 'undone' order by run_no");
const OPEN: Statement = Statement::new(
    "select o.organization_id from adopted_rows a join organizations o on o.organization_id = a.organization_id \
     where a.run_no = $1 and a.kind = 'organization' and o.status <> 'closed' and a.organization_id >= $2 and a.organization_id < $3 \
     order by a.organization_id limit $4",
);

/// A statement whose list of organizations is the JSON parameter `$1`.
macro_rules! listed {
    ($($before:literal),* ; $after:literal) => {
        Statement::forked(
            concat!($($before,)* " in (select unhex(value) from json_each($1))", $after),
            concat!($($before,)* " in (select v::uuid from jsonb_array_elements_text($1) e(v))", $after),
        )
    };
}

/// A statement about members whose memberships the run `$2` recorded in the listed organizations.
macro_rules! of_recorded {
    ($($before:literal),* ; $after:literal) => {
        Statement::forked(
            concat!($($before,)* " (organization_id, principal_id) in (select a.organization_id, unhex(a.row_key) from adopted_rows a \
                where a.run_no = $2 and a.kind = 'membership' and a.organization_id in (select unhex(value) from json_each($1)))", $after),
            concat!($($before,)* " (organization_id, principal_id) in (select a.organization_id, a.row_key::uuid from adopted_rows a \
                where a.run_no = $2 and a.kind = 'membership' and a.organization_id in (select v::uuid from jsonb_array_elements_text($1) e(v)))", $after),
        )
    };
}

macro_rules! of_recorded_roles {
    ($before:literal, $role:literal) => {
        listed!(
            $before, " where (organization_id, ", $role, ") in (select a.organization_id, a.row_key from adopted_rows a \
             where a.run_no = $2 and a.kind = 'role' and a.organization_id"; ")"
        )
    };
}

/// Rows of the run in organizations that stay, in order: what allows goes first.
const WRITTEN: &[(&str, Statement)] = &[
    (
        "assignments",
        listed!("delete from assignments where organization_id"; " and assignment_id >= $2 and assignment_id < $3"),
    ),
    ("grants", listed!("delete from grants where organization_id"; " and grant_id >= $2 and grant_id < $3")),
    (
        "adopted_removals",
        listed!("delete from adopted_removals where organization_id"; " and principal_id >= $2 and principal_id < $3"),
    ),
];
const RECORDED: &[(&str, Statement)] = &[
    ("assignments", of_recorded_roles!("delete from assignments", "role_key")),
    ("assignments", of_recorded!("delete from assignments where"; "")),
    ("grants", of_recorded!("delete from grants where"; "")),
    ("team_members", of_recorded!("delete from team_members where"; "")),
    ("blocks", of_recorded!("delete from blocks where"; "")),
    ("org_previews", of_recorded!("delete from org_previews where"; "")),
    ("oauth_consents", of_recorded!("delete from oauth_consents where"; "")),
    (
        "credential_rates",
        of_recorded!("delete from credential_rates where (organization_id, credential_id) in (select organization_id, credential_id from credentials where"; ")"),
    ),
    (
        "credential_networks",
        of_recorded!("delete from credential_networks where (organization_id, credential_id) in (select organization_id, credential_id from credentials where"; ")"),
    ),
    (
        "credential_uses",
        of_recorded!("delete from credential_uses where (organization_id, credential_id) in (select organization_id, credential_id from credentials where"; ")"),
    ),
    (
        "credential_keys",
        of_recorded!("delete from credential_keys where key_id in (select key_id from credentials where"; ")"),
    ),
    ("credentials", of_recorded!("delete from credentials where"; "")),
    ("principal_memberships", of_recorded!("delete from principal_memberships where"; "")),
    ("memberships", of_recorded!("delete from memberships where"; "")),
    ("blocks", of_recorded_roles!("delete from blocks", "role_key")),
    ("role_parents", of_recorded_roles!("delete from role_parents", "parent_key")),
    ("role_parents", of_recorded_roles!("delete from role_parents", "role_key")),
    ("role_permissions", of_recorded_roles!("delete from role_permissions", "role_key")),
    ("roles", of_recorded_roles!("delete from roles", "role_key")),
];
const ENTITLEMENTS: Statement = listed!(
    "delete from org_entitlements where source = 'migration' and source_id = '' and (organization_id, module_key) in \
     (select a.organization_id, a.row_key from adopted_rows a where a.run_no = $2 and a.kind = 'entitlement' and a.organization_id"; ")"
);
const RECORDED_MODULES: Statement = listed!(
    "select a.organization_id, a.row_key from adopted_rows a where a.run_no = $2 and a.kind = 'entitlement' and a.organization_id";
    " order by a.organization_id, a.row_key"
);
const FORGET: Statement = listed!("delete from adopted_rows where run_no = $2 and organization_id"; "");
const CLOSE: Statement = listed!("update organizations set status = 'closed', updated_at = $2 where status <> 'closed' and organization_id"; "");
/// Those that people suspended or closed before are theirs to open.
const NOTE_CLOSED: Statement = listed!(
    "insert into adopted_closed (organization_id, closed_at) select o.organization_id, $2 from organizations o \
     where o.status <> 'closed' and o.status <> 'suspended' and o.organization_id";
    " on conflict (organization_id) do update set closed_at = excluded.closed_at"
);
const FORGET_USERS: Statement = Statement::new("delete from adopted_users where run_no = $1");
/// Links of organizations that a run made, this one or one before, stay for as long as the organization does.
const FORGET_ORGANIZATIONS: Statement =
    Statement::new("delete from adopted_organizations where run_no = $1 and organization_id >= $2");

/// The statements of this file, by name.
#[must_use]
pub fn statements() -> Vec<(&'static str, &'static Statement)> {
    let lists = WRITTEN.iter().chain(RECORDED);
    lists
        .map(|(name, statement)| (*name, statement))
        .chain([
            ("WORK", &WORK),
            ("UNDONE_RUNS", &UNDONE_RUNS),
            ("OPEN", &OPEN),
            ("ENTITLEMENTS", &ENTITLEMENTS),
            ("RECORDED_MODULES", &RECORDED_MODULES),
            ("FORGET", &FORGET),
            ("CLOSE", &CLOSE),
            ("NOTE_CLOSED", &NOTE_CLOSED),
            ("FORGET_USERS", &FORGET_USERS),
            ("FORGET_ORGANIZATIONS", &FORGET_ORGANIZATIONS),
        ])
        .collect()
}

/// A run with the range of its ids, the end not included.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// The run.
    pub run: u64,
    /// The first id it may have.
    pub from: u128,
    /// The first id it may not have any more.
    pub to: u128,
}

/// Runs that were taken back.
pub async fn undone_runs(conn: &mut Conn) -> Result<Vec<u64>> {
    row::list(conn, &UNDONE_RUNS, &[], |row| row.get(0)).await
}

/// Organizations with ids of a range, into which the run wrote, and that are not closed.
pub async fn open(conn: &mut Conn, run: u64, range: Range, limit: u32) -> Result<Vec<OrganizationId>> {
    let params = params![run, OrganizationId(range.from), OrganizationId(range.to), limit];
    row::list(conn, &OPEN, params, row::organization).await
}

/// Closes organizations: nobody does anything there any more. Those that were open are noted, as the next run may open them again.
pub async fn close(tx: &mut Tx, of: &[OrganizationId], now: Timestamp) -> Result<u64> {
    tx.execute(&NOTE_CLOSED, params![ids(of), now]).await?;
    tx.execute(&CLOSE, params![ids(of), now]).await
}

/// Some organizations into which the run wrote, of those that are left.
pub async fn work(conn: &mut Conn, run: u64, limit: u32) -> Result<Vec<OrganizationId>> {
    row::list(conn, &WORK, params![run, limit], row::organization).await
}

/// Removes what the run wrote into organizations that stay: assignments and grants by their ids, then what it recorded, with all that
/// hangs on it. Entitlements are left.
pub async fn remove_written(tx: &mut Tx, range: Range, of: &[OrganizationId]) -> Result<u64> {
    let mut removed = 0;
    for (_, statement) in WRITTEN {
        removed +=
            tx.execute(statement, params![ids(of), PrincipalId(range.from), PrincipalId(range.to)]).await?;
    }
    for (_, statement) in RECORDED {
        removed += tx.execute(statement, params![ids(of), range.run]).await?;
    }
    Ok(removed)
}

/// The modules for which the run wrote rows into these organizations.
pub async fn modules(
    conn: &mut Conn,
    run: u64,
    of: &[OrganizationId],
) -> Result<Vec<(OrganizationId, ModuleKey)>> {
    row::list(conn, &RECORDED_MODULES, params![ids(of), run], |row| {
        Ok((row::organization(row)?, row::parsed(row, 1)?))
    })
    .await
}

/// Removes those rows.
pub async fn remove_entitlements(tx: &mut Tx, run: u64, of: &[OrganizationId]) -> Result<u64> {
    tx.execute(&ENTITLEMENTS, params![ids(of), run]).await
}

/// These organizations are done.
pub async fn forget(tx: &mut Tx, run: u64, of: &[OrganizationId]) -> Result<u64> {
    tx.execute(&FORGET, params![ids(of), run]).await
}

/// Forgets the links of the run, but those of organizations that runs made and that had to stay.
pub async fn forget_links(tx: &mut Tx, range: Range) -> Result<()> {
    tx.execute(&FORGET_USERS, params![range.run]).await?;
    tx.execute(&FORGET_ORGANIZATIONS, params![range.run, OrganizationId(range.to)]).await?;
    Ok(())
}
