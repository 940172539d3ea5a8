//! What people took away or stopped since a run of adoption, of what it brought: a rollback forgets it, so it is counted first. What a run wrote
//! has the moment of its record or of its note, or was not touched since it was made: moments are compared for equality, as the clocks of two
//! machines differ and are set.

use charter_db::{Conn, Statement};
use charter_kernel::{OrganizationId, PrincipalId, Timestamp};

use crate::Result;
use crate::adoption_made::{Counted, Made, counted};
use crate::adoption_undo::Range;

/// A statement that ends with a question after notes of the run `$1` and later ones about a row, whose key is an id.
macro_rules! unnoted {
    ($before:literal, $kind:literal, $place:literal, $id:literal, $at:literal) => {
        Statement::forked(
            concat!(
                $before, " and not exists (select 1 from adopted_changes c where c.run_no >= $1 and c.kind = '", $kind, "' and c.organization_id = ",
                "unhex(", $place, ") and c.row_key = lower(hex(", $id, ")) and c.changed_at = ", $at, ")"
            ),
            concat!(
                $before, " and not exists (select 1 from adopted_changes c where c.run_no >= $1 and c.kind = '", $kind, "' and c.organization_id = ",
                "cast(", $place, " as uuid) and c.row_key = replace(", $id, "::text, '-', '') and c.changed_at = ", $at, ")"
            ),
        )
    };
}

const ACCOUNTS: Statement = unnoted!(
    "select count(*) from principals p where p.principal_id >= $2 and p.principal_id < $3 and p.status <> 'active' and p.updated_at <> p.created_at",
    "account",
    "'00000000000000000000000000000000'",
    "p.principal_id",
    "p.updated_at"
);

/// Memberships that ended, were suspended, or have dates by now.
macro_rules! memberships {
    ($before:literal) => {
        Statement::forked(
            concat!(
                $before, " and (m.status <> 'active' or m.starts_at is not null or m.ends_at is not null) and (m.updated_at <> m.created_at or m.updated_at > $4) and not exists (select 1 \
                 from adopted_changes c where c.run_no >= $1 and c.kind = 'membership' and c.organization_id = m.organization_id \
                 and c.row_key = lower(hex(m.principal_id)) and c.changed_at = m.updated_at)"
            ),
            concat!(
                $before, " and (m.status <> 'active' or m.starts_at is not null or m.ends_at is not null) and (m.updated_at <> m.created_at or m.updated_at > $4) and not exists (select 1 \
                 from adopted_changes c where c.run_no >= $1 and c.kind = 'membership' and c.organization_id = m.organization_id \
                 and c.row_key = replace(m.principal_id::text, '-', '') and c.changed_at = m.updated_at)"
            ),
        )
    };
}
const MEMBERSHIPS: Statement = memberships!(
    "select count(*) from principal_memberships d join memberships m on m.organization_id = d.organization_id and m.principal_id = d.principal_id \
     where d.principal_id >= $2 and d.principal_id < $3"
);
/// Those of accounts of other runs, or of none, that the run recorded.
const RECORDED_MEMBERSHIPS: Statement = Statement::forked(
    "select count(*) from adopted_rows a join memberships m on m.organization_id = a.organization_id and m.principal_id = unhex(a.row_key) \
     where a.run_no = $1 and a.kind = 'membership' and (m.status <> 'active' or m.starts_at is not null or m.ends_at is not null) \
     and (m.updated_at <> m.created_at or m.created_at <> a.recorded_at or m.updated_at > $2) and not exists (select 1 from adopted_changes c where c.run_no >= $1 and c.kind = 'membership' \
     and c.organization_id = a.organization_id and c.row_key = a.row_key and c.changed_at = m.updated_at)",
    "select count(*) from adopted_rows a join memberships m on m.organization_id = a.organization_id and m.principal_id = a.row_key::uuid \
     where a.run_no = $1 and a.kind = 'membership' and (m.status <> 'active' or m.starts_at is not null or m.ends_at is not null) \
     and (m.updated_at <> m.created_at or m.created_at <> a.recorded_at or m.updated_at > $2) and not exists (select 1 from adopted_changes c where c.run_no >= $1 and c.kind = 'membership' \
     and c.organization_id = a.organization_id and c.row_key = a.row_key and c.changed_at = m.updated_at)",
);
const ORGANIZATIONS: Statement = Statement::new(
    "select count(*) from organizations o where o.organization_id >= $2 and o.organization_id < $3 and o.status <> 'active' \
     and o.updated_at <> o.created_at and not exists (select 1 from adopted_closed x where x.organization_id = o.organization_id \
     and x.closed_at = o.updated_at) and o.organization_id in (select organization_id from adopted_rows where run_no >= $1 and kind = 'organization') and not exists (select 1 \
     from adopted_changes c where c.run_no >= $1 and c.kind = 'organization' and c.organization_id = o.organization_id and c.row_key = '' \
     and c.changed_at = o.updated_at)",
);

/// Notes of removals about accounts of the run, from `$1` to before `$2`.
macro_rules! removed {
    ($where:literal) => {
        Statement::new(concat!("select count(*) from adopted_removals n where ", $where))
    };
}
const RIGHTS: Statement = removed!("n.kind <> 'membership' and n.principal_id >= $1 and n.principal_id < $2");
const RIGHTS_OF_OTHERS: Statement = removed!(
    "n.kind <> 'membership' and n.organization_id >= $3 and n.organization_id < $4 and (n.principal_id < $1 or n.principal_id >= $2)"
);
const LEFT: Statement = removed!(
    "n.kind = 'membership' and n.principal_id >= $1 and n.principal_id < $2 and not exists (select 1 from memberships m \
     where m.organization_id = n.organization_id and m.principal_id = n.principal_id)"
);
const LEFT_OF_OTHERS: Statement = removed!(
    "n.kind = 'membership' and n.organization_id >= $3 and n.organization_id < $4 and (n.principal_id < $1 or n.principal_id >= $2) \
     and not exists (select 1 from memberships m where m.organization_id = n.organization_id and m.principal_id = n.principal_id)"
);

const ROLES_GONE: Statement = Statement::new(
    "select count(*) from adopted_rows a where a.run_no = $1 and a.kind = 'role' and not exists (select 1 from roles r \
     where r.organization_id = a.organization_id and r.role_key = a.row_key)",
);
/// Roles of keys that the run recorded, which people changed since, or deleted and made anew.
const ROLES_CHANGED: Statement = Statement::new(
    "select count(*) from adopted_rows a join roles r on r.organization_id = a.organization_id and r.role_key = a.row_key \
     where a.run_no = $1 and a.kind = 'role' and (r.updated_at <> r.created_at or r.created_at <> a.recorded_at or r.updated_at > $2) and not exists (select 1 from adopted_changes c where c.run_no >= $1 \
     and c.kind = 'role' and c.organization_id = a.organization_id and c.row_key = a.row_key and c.changed_at = r.updated_at)",
);
const MODULES_GONE: Statement = Statement::new(
    "select count(*) from adopted_rows a where a.run_no = $1 and a.kind = 'entitlement' and not exists (select 1 from org_entitlements t \
     where t.organization_id = a.organization_id and t.module_key = a.row_key and t.source = 'migration' and t.source_id = '')",
);
const MODULES_CHANGED: Statement = Statement::new(
    "select count(*) from adopted_rows a join org_entitlements t on t.organization_id = a.organization_id and t.module_key = a.row_key \
     and t.source = 'migration' and t.source_id = '' where a.run_no = $1 and a.kind = 'entitlement' and (t.row_version > 1 or t.changed_at <> a.recorded_at or t.changed_at > $2) and not exists (select 1 \
     from adopted_changes c where c.run_no >= $1 and c.kind = 'entitlement' and c.organization_id = a.organization_id and c.row_key = a.row_key \
     and c.changed_at = t.changed_at)",
);

/// The statements of this file, by name.
#[must_use]
pub fn statements() -> Vec<(&'static str, &'static Statement)> {
    vec![
        ("ACCOUNTS", &ACCOUNTS),
        ("MEMBERSHIPS", &MEMBERSHIPS),
        ("RECORDED_MEMBERSHIPS", &RECORDED_MEMBERSHIPS),
        ("ORGANIZATIONS", &ORGANIZATIONS),
        ("RIGHTS", &RIGHTS),
        ("RIGHTS_OF_OTHERS", &RIGHTS_OF_OTHERS),
        ("LEFT", &LEFT),
        ("LEFT_OF_OTHERS", &LEFT_OF_OTHERS),
        ("ROLES_GONE", &ROLES_GONE),
        ("ROLES_CHANGED", &ROLES_CHANGED),
        ("MODULES_GONE", &MODULES_GONE),
        ("MODULES_CHANGED", &MODULES_CHANGED),
    ]
}

const RIGHT: (&str, &str) = ("right taken away by hand", "rights taken away by hand");
const MEMBERSHIP: (&str, &str) = ("membership ended by hand", "memberships ended by hand");

/// Rights and memberships, each counted by its own statement.
const fn both(rights: Statement, memberships: Statement) -> [Counted; 2] {
    [(RIGHT.0, RIGHT.1, rights), (MEMBERSHIP.0, MEMBERSHIP.1, memberships)]
}

/// What people took away or stopped since the accounts of the run were opened, but in organizations of its own.
pub async fn elsewhere(conn: &mut Conn, made: &mut Made, run: Range, since: Timestamp) -> Result<()> {
    let (first, last) = (PrincipalId(run.from), PrincipalId(run.to));
    let accounts = [("account stopped by hand", "accounts stopped by hand", ACCOUNTS)];
    counted(conn, made, &accounts, params![run.run, first, last]).await?;
    let memberships = [(MEMBERSHIP.0, MEMBERSHIP.1, MEMBERSHIPS)];
    counted(conn, made, &memberships, params![run.run, first, last, since]).await?;
    let recorded = [(MEMBERSHIP.0, MEMBERSHIP.1, RECORDED_MEMBERSHIPS)];
    counted(conn, made, &recorded, params![run.run, since]).await?;
    counted(conn, made, &both(RIGHTS, LEFT), params![first, last]).await?;
    let gone = [
        ("role removed by hand", "roles removed by hand", ROLES_GONE),
        ("module taken away by hand", "modules taken away by hand", MODULES_GONE),
    ];
    counted(conn, made, &gone, params![run.run]).await?;
    let changed = [
        ("changed role", "changed roles", ROLES_CHANGED),
        ("changed entitlement", "changed entitlements", MODULES_CHANGED),
    ];
    counted(conn, made, &changed, params![run.run, since]).await
}

/// What people took away or stopped since in organizations of these ids that go with the run.
pub async fn in_organizations(conn: &mut Conn, made: &mut Made, run: Range, of: Range) -> Result<()> {
    let (from, to) = (OrganizationId(of.from), OrganizationId(of.to));
    let closed = [("organization closed by hand", "organizations closed by hand", ORGANIZATIONS)];
    counted(conn, made, &closed, params![run.run, from, to]).await?;
    let (first, last) = (PrincipalId(run.from), PrincipalId(run.to));
    counted(conn, made, &both(RIGHTS_OF_OTHERS, LEFT_OF_OTHERS), params![first, last, from, to]).await
}
