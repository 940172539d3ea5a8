//! The rows an adoption writes, in bulk: one statement per table and batch, whose rows stand in one JSON parameter. A row that is there
//! already stays as it is and does not count, so that a batch can be repeated. In PostgreSQL `offset 0` has each row look by the key: how many
//! stand in a parameter is not estimated, and a join with a table that was never analyzed reads all of it for each.

use crate::Result;
use crate::bulk::{Cell, Row, ids, pairs, rows};
use charter_db::Tx;
use charter_kernel::{Key, ModuleKey, OrganizationId, Pattern, PrincipalId, RoleKey, Timestamp};

statements! {
    TOUCH =
        "insert into organization_revisions (organization_id, revision, changed_at) \
         select unhex(e.value), 1, $2 from json_each($1) e where true on conflict (organization_id) do update \
         set revision = organization_revisions.revision + 1, changed_at = max(excluded.changed_at, organization_revisions.changed_at)",
        "insert into organization_revisions (organization_id, revision, changed_at) \
         select e.v::uuid, 1, $2 from jsonb_array_elements_text($1) e(v) order by 1 on conflict (organization_id) do update \
         set revision = organization_revisions.revision + 1, changed_at = greatest(excluded.changed_at, organization_revisions.changed_at)";
    ORGANIZATION_KEYS =
        "insert into organization_keys (organization_key, organization_id) select e.value->>'k', unhex(e.value->>'o') from json_each($1) e",
        "insert into organization_keys (organization_key, organization_id) select e.k, e.o from jsonb_to_recordset($1) as e(k text, o uuid)";
    ORGANIZATIONS =
        "insert into organizations (organization_id, organization_key, name, kind, status, enabled_modules, assertable, created_at, updated_at) \
         select unhex(e.value->>'o'), e.value->>'k', e.value->>'n', 'customer', e.value->>'s', e.value->>'m', '[]', $2, $2 from json_each($1) e",
        "insert into organizations (organization_id, organization_key, name, kind, status, enabled_modules, assertable, created_at, updated_at) \
         select e.o, e.k, e.n, 'customer', e.s, e.m, '[]', $2, $2 from jsonb_to_recordset($1) as e(o uuid, k text, n text, s text, m text)";
    LOGINS =
        "insert into logins (login_folded, principal_id) select e.value->>'l', unhex(e.value->>'p') from json_each($1) e",
        "insert into logins (login_folded, principal_id) select e.l, e.p from jsonb_to_recordset($1) as e(l text, p uuid)";
    PRINCIPALS =
        "insert into principals (principal_id, kind, login, login_folded, name, status, password_hash, password_changed_at, created_at, updated_at) \
         select unhex(e.value->>'p'), 'user', e.value->>'l', e.value->>'l', e.value->>'n', e.value->>'s', e.value->>'h', \
         case when e.value->>'h' is not null then $2 end, $2, $2 from json_each($1) e",
        "insert into principals (principal_id, kind, login, login_folded, name, status, password_hash, password_changed_at, created_at, updated_at) \
         select e.p, 'user', e.l, e.l, e.n, e.s, e.h, case when e.h is not null then $2::timestamptz end, $2, $2 \
         from jsonb_to_recordset($1) as e(p uuid, l text, n text, s text, h text)";
    RECORD_ORGANIZATIONS =
        "insert into adopted_rows (run_no, kind, organization_id, row_key) select $2, 'organization', unhex(e.value), '' \
         from json_each($1) e where true on conflict (run_no, kind, organization_id, row_key) do nothing",
        "insert into adopted_rows (run_no, kind, organization_id, row_key) select $2, 'organization', e.v::uuid, '' \
         from jsonb_array_elements_text($1) e(v) on conflict (run_no, kind, organization_id, row_key) do nothing";
    RECORD_MEMBERSHIPS =
        "insert into adopted_rows (run_no, kind, organization_id, row_key, recorded_at) \
         select $2, 'membership', unhex(e.value->>'o'), lower(e.value->>'p'), $3 from json_each($1) e \
         where not exists (select 1 from memberships m where m.organization_id = unhex(e.value->>'o') and m.principal_id = unhex(e.value->>'p')) \
         on conflict (run_no, kind, organization_id, row_key) do update set recorded_at = excluded.recorded_at",
        "insert into adopted_rows (run_no, kind, organization_id, row_key, recorded_at) \
         select $2, 'membership', e.o, replace(e.p::text, '-', ''), $3 from jsonb_to_recordset($1) as e(o uuid, p uuid) \
         where not exists (select 1 from memberships m where m.organization_id = e.o and m.principal_id = e.p offset 0) \
         on conflict (run_no, kind, organization_id, row_key) do update set recorded_at = excluded.recorded_at";
    MEMBERSHIPS =
        "insert into memberships (organization_id, principal_id, status, attributes, created_at, updated_at) \
         select unhex(e.value->>'o'), unhex(e.value->>'p'), e.value->>'s', '{}', $2, $2 from json_each($1) e where true \
         on conflict (organization_id, principal_id) do nothing",
        "insert into memberships (organization_id, principal_id, status, attributes, created_at, updated_at) \
         select e.o, e.p, e.s, '{}', $2, $2 from jsonb_to_recordset($1) as e(o uuid, p uuid, s text) \
         on conflict (organization_id, principal_id) do nothing";
    MEMBERSHIP_DIRECTORY =
        "insert into principal_memberships (principal_id, organization_id) \
         select unhex(e.value->>'p'), unhex(e.value->>'o') from json_each($1) e where true on conflict (principal_id, organization_id) do nothing",
        "insert into principal_memberships (principal_id, organization_id) \
         select e.p, e.o from jsonb_to_recordset($1) as e(o uuid, p uuid) on conflict (principal_id, organization_id) do nothing";
    RECORD_ROLES =
        "insert into adopted_rows (run_no, kind, organization_id, row_key, recorded_at) select $2, 'role', unhex(e.value->>'o'), e.value->>'k', $3 \
         from json_each($1) e where true on conflict (run_no, kind, organization_id, row_key) do update set recorded_at = excluded.recorded_at",
        "insert into adopted_rows (run_no, kind, organization_id, row_key, recorded_at) select $2, 'role', e.o, e.k, $3 \
         from jsonb_to_recordset($1) as e(o uuid, k text) on conflict (run_no, kind, organization_id, row_key) \
         do update set recorded_at = excluded.recorded_at";
    ROLES =
        "insert into roles (organization_id, role_key, name, level, created_at, updated_at) \
         select unhex(e.value->>'o'), e.value->>'k', e.value->>'n', e.value->>'v', $2, $2 from json_each($1) e",
        "insert into roles (organization_id, role_key, name, level, created_at, updated_at) \
         select e.o, e.k, e.n, e.v, $2, $2 from jsonb_to_recordset($1) as e(o uuid, k text, n text, v text)";
    ROLE_LINES =
        "insert into role_permissions (organization_id, role_key, position, pattern) \
         select unhex(e.value->>'o'), e.value->>'k', e.value->>'i', e.value->>'p' from json_each($1) e",
        "insert into role_permissions (organization_id, role_key, position, pattern) \
         select e.o, e.k, e.i, e.p from jsonb_to_recordset($1) as e(o uuid, k text, i bigint, p text)";
    ASSIGNMENTS =
        "insert into assignments (organization_id, assignment_id, role_key, principal_id, reason, given_at) \
         select unhex(e.value->>'o'), unhex(e.value->>'i'), e.value->>'k', unhex(e.value->>'p'), $3, $2 from json_each($1) e where true \
         on conflict (organization_id, assignment_id) do nothing",
        "insert into assignments (organization_id, assignment_id, role_key, principal_id, reason, given_at) \
         select e.o, e.i, e.k, e.p, $3, $2 from jsonb_to_recordset($1) as e(o uuid, i uuid, k text, p uuid) \
         on conflict (organization_id, assignment_id) do nothing";
    GRANTS =
        "insert into grants (organization_id, grant_id, principal_id, pattern, effect, reason, given_at) \
         select unhex(e.value->>'o'), unhex(e.value->>'i'), unhex(e.value->>'p'), e.value->>'t', 'allow', $3, $2 from json_each($1) e where true \
         on conflict (organization_id, grant_id) do nothing",
        "insert into grants (organization_id, grant_id, principal_id, pattern, effect, reason, given_at) \
         select e.o, e.i, e.p, e.t, 'allow', $3, $2 from jsonb_to_recordset($1) as e(o uuid, i uuid, p uuid, t text) \
         on conflict (organization_id, grant_id) do nothing";
    RECORD_ENTITLEMENTS =
        "insert into adopted_rows (run_no, kind, organization_id, row_key, recorded_at) \
         select $2, 'entitlement', unhex(e.value->>'o'), e.value->>'m', $3 from json_each($1) e where not exists (select 1 from org_entitlements t \
         where t.organization_id = unhex(e.value->>'o') and t.module_key = e.value->>'m' and t.source = 'migration' and t.source_id = '') \
         on conflict (run_no, kind, organization_id, row_key) do update set recorded_at = excluded.recorded_at",
        "insert into adopted_rows (run_no, kind, organization_id, row_key, recorded_at) \
         select $2, 'entitlement', e.o, e.m, $3 from jsonb_to_recordset($1) as e(o uuid, m text) where not exists (select 1 from org_entitlements t \
         where t.organization_id = e.o and t.module_key = e.m and t.source = 'migration' and t.source_id = '' offset 0) \
         on conflict (run_no, kind, organization_id, row_key) do update set recorded_at = excluded.recorded_at";
    ENTITLEMENTS =
        "insert into org_entitlements (organization_id, module_key, source, source_id, status, reason, row_version, changed_at) \
         select unhex(e.value->>'o'), e.value->>'m', 'migration', '', e.value->>'s', $3, 1, $2 from json_each($1) e where true \
         on conflict (organization_id, module_key, source, source_id) do nothing",
        "insert into org_entitlements (organization_id, module_key, source, source_id, status, reason, row_version, changed_at) \
         select e.o, e.m, 'migration', '', e.s, $3, 1, $2 from jsonb_to_recordset($1) as e(o uuid, m text, s text) \
         on conflict (organization_id, module_key, source, source_id) do nothing";
    ENTITLEMENT_VERSIONS =
        "insert into org_entitlement_versions (organization_id, version) select unhex(e.value), 1 from json_each($1) e where true \
         on conflict (organization_id) do update set version = org_entitlement_versions.version + 1",
        "insert into org_entitlement_versions (organization_id, version) select e.v::uuid, 1 from jsonb_array_elements_text($1) e(v) order by 1 \
         on conflict (organization_id) do update set version = org_entitlement_versions.version + 1";
}

/// An organization to be written; its status is one of the words of the table.
#[derive(Debug, Clone)]
pub struct NewOrganization {
    /// Its id.
    pub id: OrganizationId,
    /// Its key.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: &'static str,
    /// The document of the modules it has, as found.
    pub enabled_modules: Option<String>,
}

/// An account to be written.
#[derive(Clone)]
pub struct NewUser {
    /// Its id.
    pub id: PrincipalId,
    /// Its login, folded.
    pub login: String,
    /// Shown name.
    pub name: String,
    /// Its status.
    pub status: &'static str,
    /// The hash of its password, as it is kept.
    pub password_hash: Option<String>,
}

impl core::fmt::Debug for NewUser {
    /// Everything but the hash of the password.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("NewUser").field("id", &self.id).field("login", &self.login).finish_non_exhaustive()
    }
}

/// A role to be written.
#[derive(Debug, Clone)]
pub struct NewRole {
    /// Whose.
    pub organization: OrganizationId,
    /// Its key.
    pub key: RoleKey,
    /// Its name.
    pub name: String,
    /// Its level.
    pub level: &'static str,
    /// What it gives.
    pub permissions: Vec<Pattern>,
}

/// A membership to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewMembership {
    /// Where.
    pub organization: OrganizationId,
    /// Whose.
    pub principal: PrincipalId,
    /// Its status.
    pub status: &'static str,
}

/// An assignment to be written.
#[derive(Debug, Clone)]
pub struct NewAssignment {
    /// Its id.
    pub id: u128,
    /// Where.
    pub organization: OrganizationId,
    /// The role.
    pub role: RoleKey,
    /// Whose.
    pub principal: PrincipalId,
}

/// A grant to be written.
#[derive(Debug, Clone)]
pub struct NewGrant {
    /// Its id.
    pub id: u128,
    /// Where.
    pub organization: OrganizationId,
    /// Whose.
    pub principal: PrincipalId,
    /// What it allows.
    pub pattern: Pattern,
}

/// What an organization may use, to be written.
#[derive(Debug, Clone)]
pub struct NewEntitlement {
    /// Whose.
    pub organization: OrganizationId,
    /// The module.
    pub module: ModuleKey,
    /// Its status.
    pub status: &'static str,
}

/// Locks the revisions of organizations, in the order of their ids, and raises them.
pub async fn touch(tx: &mut Tx, organizations: &[OrganizationId], now: Timestamp) -> Result<u64> {
    let mut sorted = organizations.to_vec();
    sorted.sort();
    tx.execute(&TOUCH, params![ids(&sorted), now]).await
}

/// Takes note that a run writes into organizations: where to look when it is taken back.
pub async fn record_organizations(tx: &mut Tx, run: u64, organizations: &[OrganizationId]) -> Result<u64> {
    tx.execute(&RECORD_ORGANIZATIONS, params![ids(organizations), run]).await
}

/// Adds organizations that are not there; a key that is taken violates `organization_keys_pkey`.
pub async fn insert_organizations(tx: &mut Tx, new: &[NewOrganization], now: Timestamp) -> Result<u64> {
    let keys = rows(new.iter().map(|it| Row([("o", it.id.into()), ("k", it.key.as_str().into())])));
    tx.execute(&ORGANIZATION_KEYS, params![keys]).await?;
    let of = new.iter().map(|it| {
        Row([
            ("o", it.id.into()),
            ("k", it.key.as_str().into()),
            ("n", it.name.as_str().into()),
            ("s", it.status.into()),
            ("m", it.enabled_modules.as_deref().into()),
        ])
    });
    tx.execute(&ORGANIZATIONS, params![rows(of), now]).await
}

/// Adds accounts that are not there; a login that is taken violates `logins_pkey`.
pub async fn insert_users(tx: &mut Tx, new: &[NewUser], now: Timestamp) -> Result<u64> {
    let logins = rows(new.iter().map(|it| Row([("l", it.login.as_str().into()), ("p", it.id.into())])));
    tx.execute(&LOGINS, params![logins]).await?;
    let of = new.iter().map(|it| {
        Row([
            ("p", it.id.into()),
            ("l", it.login.as_str().into()),
            ("n", it.name.as_str().into()),
            ("s", it.status.into()),
            ("h", it.password_hash.as_deref().into()),
        ])
    });
    tx.execute(&PRINCIPALS, params![rows(of), now]).await
}

/// Adds roles that are not there, with their lines, and records them.
pub async fn insert_roles(tx: &mut Tx, run: u64, new: &[NewRole], now: Timestamp) -> Result<u64> {
    let roles = rows(new.iter().map(|it| {
        let (key, name) = (it.key.as_str().into(), it.name.as_str().into());
        Row([("o", it.organization.into()), ("k", key), ("n", name), ("v", it.level.into())])
    }));
    tx.execute(&RECORD_ROLES, params![roles, run, now]).await?;
    let inserted = tx.execute(&ROLES, params![roles, now]).await?;
    let lines = new.iter().flat_map(|it| {
        let key = it.key.as_str().into();
        (0_i64..).zip(&it.permissions).map(move |(at, pattern)| {
            Row([("o", it.organization.into()), ("k", key), ("i", at.into()), ("p", pattern.as_str().into())])
        })
    });
    tx.execute(&ROLE_LINES, params![rows(lines)]).await?;
    Ok(inserted)
}

/// Adds memberships. Of those to be recorded, the ones that are new are.
pub async fn insert_memberships(
    tx: &mut Tx,
    run: u64,
    new: &[NewMembership],
    recorded: &[(OrganizationId, PrincipalId)],
    now: Timestamp,
) -> Result<u64> {
    if !recorded.is_empty() {
        tx.execute(&RECORD_MEMBERSHIPS, params![pairs(recorded), run, now]).await?;
    }
    let new =
        rows(new.iter().map(|it| {
            Row([("o", it.organization.into()), ("p", it.principal.into()), ("s", it.status.into())])
        }));
    tx.execute(&MEMBERSHIP_DIRECTORY, params![new]).await?;
    tx.execute(&MEMBERSHIPS, params![new, now]).await
}

/// Adds assignments.
pub async fn insert_assignments(
    tx: &mut Tx,
    new: &[NewAssignment],
    reason: &str,
    now: Timestamp,
) -> Result<u64> {
    let of = new.iter().map(|it| {
        let key = it.role.as_str().into();
        Row([("o", it.organization.into()), ("i", Cell::Id(it.id)), ("k", key), ("p", it.principal.into())])
    });
    tx.execute(&ASSIGNMENTS, params![rows(of), now, reason]).await
}

/// Adds grants that reach the organization as a whole.
pub async fn insert_grants(tx: &mut Tx, new: &[NewGrant], reason: &str, now: Timestamp) -> Result<u64> {
    let of = new.iter().map(|it| {
        let pattern = it.pattern.as_str().into();
        Row([
            ("o", it.organization.into()),
            ("i", Cell::Id(it.id)),
            ("p", it.principal.into()),
            ("t", pattern),
        ])
    });
    tx.execute(&GRANTS, params![rows(of), now, reason]).await
}

/// Adds rows of source migration, counts the version of those organizations' entitlements, and records the rows.
pub async fn insert_entitlements(
    tx: &mut Tx,
    run: u64,
    new: &[NewEntitlement],
    reason: &str,
    now: Timestamp,
) -> Result<u64> {
    let entitlements = rows(new.iter().map(|it| {
        Row([("o", it.organization.into()), ("m", it.module.as_str().into()), ("s", it.status.into())])
    }));
    tx.execute(&RECORD_ENTITLEMENTS, params![entitlements, run, now]).await?;
    let inserted = tx.execute(&ENTITLEMENTS, params![entitlements, now, reason]).await?;
    if inserted > 0 {
        let mut whose: Vec<OrganizationId> = new.iter().map(|it| it.organization).collect();
        whose.sort();
        whose.dedup();
        tx.execute(&ENTITLEMENT_VERSIONS, params![ids(&whose)]).await?;
    }
    Ok(inserted)
}
