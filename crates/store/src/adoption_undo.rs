//! What a run of adoption wrote besides accounts and organizations of its own, found and removed; and what people made since.

use charter_db::{Conn, Statement, Tx};
use charter_kernel::{ModuleKey, OrganizationId, PrincipalId, Timestamp};

use crate::adoption_row::ids;
use crate::{Result, row};

/// The organizations into which the run `$1` wrote.
macro_rules! count {
    ($($before:literal),*) => {
        Statement::new(concat!(
            $($before,)*
            " in (select organization_id from adopted_rows where run_no = $1 and kind = 'organization')"
        ))
    };
    ($($before:literal),* ; $after:literal) => {
        Statement::new(concat!(
            $($before,)*
            " in (select organization_id from adopted_rows where run_no = $1 and kind = 'organization')", $after
        ))
    };
}

/// The organizations in which accounts of the run `$1` are members though it did not write into them.
macro_rules! elsewhere {
    ($($before:literal),*) => {
        Statement::new(concat!(
            $($before,)*
            " in (select d.organization_id from principal_memberships d where d.principal_id >= $2 and d.principal_id < $3 \
             and d.organization_id not in (select organization_id from adopted_rows where run_no = $1 and kind = 'organization'))"
        ))
    };
}

macro_rules! made_since {
    (whole { $($whole:literal $what_whole:literal;)* } members { $($member:literal $what:literal $own:literal;)* }) => {
        /// What people made since, by what it is called: rows of the run's own organizations, ids of which lie from `$2` to before `$3`.
        const IN_ORGANIZATIONS: &[(&str, Statement)] = &[$((
            $what_whole,
            count!("select count(*) from ", $whole, " where organization_id >= $2 and organization_id < $3 and organization_id"),
        )),*];
        /// The same of rows about members: of its organizations, and of its accounts in those it wrote into.
        const ABOUT_MEMBERS: &[(&str, Statement)] = &[$((
            $what,
            count!("select count(*) from ", $member, " where ((organization_id >= $2 and organization_id < $3) or (principal_id >= $2 and principal_id < $3)) ",
                $own, " and organization_id"),
        )),*];
        /// The same of what its accounts have in organizations that it did not write into: that goes with them.
        const ELSEWHERE: &[(&str, Statement)] = &[$((
            $what,
            elsewhere!("select count(*) from ", $member, " where principal_id >= $2 and principal_id < $3 and organization_id"),
        )),*];
    };
}

made_since! {
    whole {
        "teams" "teams";
        "conditions" "conditions";
        "resources" "resources";
        "org_subscriptions" "subscriptions";
        "org_subentitlements" "entitlements of parts";
        "org_limit_overrides" "limits";
        "webhooks" "webhooks";
        "oauth_clients" "applications";
        "organization_identity_settings" "settings of sign-in";
        "registration_settings" "settings of registration";
        "invitations" "invitations";
    }
    members {
        "assignments" "assignments" "and not (assignment_id >= $2 and assignment_id < $3)";
        "grants" "grants" "and not (grant_id >= $2 and grant_id < $3)";
        "team_members" "places in teams" "";
        "blocks" "blocks" "";
        "org_previews" "previews" "";
        "credentials" "keys" "";
        "oauth_consents" "agreements" "";
    }
}

/// Rows that a fork tells from those the run recorded: ids stand in its records in hexadecimal.
macro_rules! unrecorded {
    ($before:literal, $sqlite:literal, $postgres:literal, $after:literal) => {
        Statement::forked(concat!($before, $sqlite, $after), concat!($before, $postgres, $after))
    };
}

const MEMBERSHIPS_SINCE: Statement = unrecorded!(
    "select count(*) from memberships m where organization_id >= $2 and organization_id < $3 and not (principal_id >= $2 and principal_id < $3) \
     and not exists (select 1 from adopted_rows a where a.run_no = $1 and a.kind = 'membership' and a.organization_id = m.organization_id and a.row_key = ",
    "lower(hex(m.principal_id))",
    "replace(m.principal_id::text, '-', '')",
    ")"
);
/// Memberships of its accounts elsewhere, by the directory that tells of them.
const PLACES_SINCE: Statement = elsewhere!(
    "select count(*) from principal_memberships where principal_id >= $2 and principal_id < $3 and organization_id"
);
/// What its accounts own elsewhere, and in the organizations it wrote into that stay.
const OWNED_SINCE: Statement = Statement::new(
    "select count(*) from resources where owner_id >= $2 and owner_id < $3 and not (organization_id >= $2 and organization_id < $3) \
     and organization_id in (select d.organization_id from principal_memberships d where d.principal_id >= $2 and d.principal_id < $3) \
     and cast($1 as bigint) > 0",
);
const ROLES_SINCE: Statement = Statement::new(
    "select count(*) from roles r where organization_id >= $2 and organization_id < $3 and not exists (select 1 from adopted_rows a \
     where a.run_no = $1 and a.kind = 'role' and a.organization_id = r.organization_id and a.row_key = r.role_key)",
);
const ENTITLEMENTS_SINCE: Statement = Statement::new(
    "select count(*) from org_entitlements t where organization_id >= $2 and organization_id < $3 and not (source = 'migration' \
     and exists (select 1 from adopted_rows a where a.run_no = $1 and a.kind = 'entitlement' and a.organization_id = t.organization_id \
     and a.row_key = t.module_key))",
);
/// Assignments of roles that the run brought to organizations that were there before it, given since.
const GIVEN_SINCE: Statement = Statement::new(
    "select count(*) from adopted_rows a join assignments t on t.organization_id = a.organization_id and t.role_key = a.row_key \
     where a.run_no = $1 and a.kind = 'role' and not (a.organization_id >= $2 and a.organization_id < $3) \
     and not (t.principal_id is not null and t.principal_id >= $2 and t.principal_id < $3) \
     and not (t.assignment_id >= $2 and t.assignment_id < $3)",
);
const SESSIONS_SINCE: Statement = Statement::new(
    "select count(*) from sessions where principal_id >= $2 and principal_id < $3 and ended_at is null and cast($1 as bigint) > 0",
);
const FACTORS_SINCE: Statement = Statement::new(
    "select count(*) from second_factors where principal_id >= $2 and principal_id < $3 and cast($1 as bigint) > 0",
);

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
const FORGET_USERS: Statement = Statement::new("delete from adopted_users where run_no = $1");
/// Links of organizations that a run made, this one or one before, stay for as long as the organization does.
const FORGET_ORGANIZATIONS: Statement =
    Statement::new("delete from adopted_organizations where run_no = $1 and organization_id >= $2");

/// The statements of this file, by name.
#[must_use]
pub fn statements() -> Vec<(&'static str, &'static Statement)> {
    let lists = IN_ORGANIZATIONS.iter().chain(ABOUT_MEMBERS).chain(ELSEWHERE).chain(WRITTEN).chain(RECORDED);
    lists
        .map(|(name, statement)| (*name, statement))
        .chain([
            ("MEMBERSHIPS_SINCE", &MEMBERSHIPS_SINCE),
            ("PLACES_SINCE", &PLACES_SINCE),
            ("OWNED_SINCE", &OWNED_SINCE),
            ("ROLES_SINCE", &ROLES_SINCE),
            ("ENTITLEMENTS_SINCE", &ENTITLEMENTS_SINCE),
            ("GIVEN_SINCE", &GIVEN_SINCE),
            ("SESSIONS_SINCE", &SESSIONS_SINCE),
            ("FACTORS_SINCE", &FACTORS_SINCE),
            ("WORK", &WORK),
            ("UNDONE_RUNS", &UNDONE_RUNS),
            ("OPEN", &OPEN),
            ("ENTITLEMENTS", &ENTITLEMENTS),
            ("RECORDED_MODULES", &RECORDED_MODULES),
            ("FORGET", &FORGET),
            ("CLOSE", &CLOSE),
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

/// What people made since about what the run brought, by what it is called; only what there is.
pub async fn made_since(conn: &mut Conn, range: Range) -> Result<Vec<(&'static str, u64)>> {
    let own = [
        ("memberships", &MEMBERSHIPS_SINCE),
        ("memberships", &PLACES_SINCE),
        ("resources", &OWNED_SINCE),
        ("roles", &ROLES_SINCE),
        ("entitlements", &ENTITLEMENTS_SINCE),
        ("assignments", &GIVEN_SINCE),
        ("sessions", &SESSIONS_SINCE),
        ("second factors", &FACTORS_SINCE),
    ];
    let lists = IN_ORGANIZATIONS
        .iter()
        .chain(ABOUT_MEMBERS)
        .chain(ELSEWHERE)
        .map(|(what, statement)| (*what, statement));
    let mut found: Vec<(&'static str, u64)> = Vec::new();
    for (what, statement) in lists.chain(own) {
        let params = params![range.run, OrganizationId(range.from), OrganizationId(range.to)];
        let count: u64 = conn.query_one(statement, params).await?.get(0)?;
        match found.iter_mut().find(|(known, _)| *known == what) {
            Some((_, sum)) => *sum += count,
            None => found.push((what, count)),
        }
    }
    found.retain(|(_, count)| *count > 0);
    Ok(found)
}

/// What people made since in organizations with ids of another range, into which the run wrote.
pub async fn made_in_organizations(conn: &mut Conn, range: Range) -> Result<Vec<(&'static str, u64)>> {
    let mut found = Vec::new();
    for (what, statement) in IN_ORGANIZATIONS {
        let params = params![range.run, OrganizationId(range.from), OrganizationId(range.to)];
        let count: u64 = conn.query_one(statement, params).await?.get(0)?;
        if count > 0 {
            found.push((*what, count));
        }
    }
    Ok(found)
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

/// Closes organizations: nobody does anything there any more.
pub async fn close(tx: &mut Tx, of: &[OrganizationId], now: Timestamp) -> Result<u64> {
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
