//! Users of another system whom people stopped, or from whom they took something, of what a run gave that is taken back; and roles and modules that
//! they removed or changed. The run's rows go, and what people did about them with it: it is remembered by the user, or by the organization, until a
//! run that is proved brings it again.

use charter_db::{Conn, Tx, Value};
use charter_kernel::{Key, PrincipalId, Timestamp};

use crate::adoption_undo::Range;
use crate::{Result, row};

/// Remembers users, at `$1`, by what follows; who is remembered already stays so.
macro_rules! remember {
    ($($of:expr),*) => {
        concat!(
            "insert into adopted_remembered (source_key, legacy_id, remembered_at) select u.source_key, u.legacy_id, $1 from ",
            $($of,)*
            " on conflict (source_key, legacy_id) do nothing"
        )
    };
}

/// Remembers rows of a kind that the run `$2` recorded in organizations of the source `$3`, at `$1`, and that are not there as it wrote them.
macro_rules! remember_rows {
    ($kind:literal, $gone:literal) => {
        concat!(
            "insert into adopted_remembered_rows (source_key, kind, legacy_id, row_key, remembered_at) \
             select x.source_key, a.kind, x.legacy_id, a.row_key, $1 from adopted_rows a join adopted_organizations x \
             on x.organization_id = a.organization_id and x.source_key = $3 where a.run_no = $2 and a.kind = '",
            $kind,
            "' and ",
            $gone,
            " on conflict (source_key, kind, legacy_id, row_key) do nothing"
        )
    };
}

/// Where people ended a membership, or gave it dates, after it was made: by whatever clock.
macro_rules! ended {
    () => {
        " and (m.status <> 'active' or m.starts_at is not null or m.ends_at is not null) and m.updated_at <> m.created_at"
    };
}

statements! {
    /// Accounts that the run `$2` made, from `$3` to before `$4`.
    ACCOUNTS = remember!(
        "adopted_users u join principals p on p.principal_id = u.principal_id where u.run_no = $2 and u.principal_id >= $3 and u.principal_id < $4 \
         and p.status <> 'active' and p.updated_at <> p.created_at"
    );
    MEMBERSHIPS = remember!(
        "adopted_users u join principal_memberships d on d.principal_id = u.principal_id join memberships m \
         on m.organization_id = d.organization_id and m.principal_id = d.principal_id where u.run_no = $2 and u.principal_id >= $3 \
         and u.principal_id < $4",
        ended!()
    );
    /// Memberships of accounts that were there before it.
    RECORDED =
        remember!(
            "adopted_rows a join adopted_users u on u.principal_id = unhex(a.row_key) and u.source_key = $3 join memberships m \
             on m.organization_id = a.organization_id and m.principal_id = u.principal_id where a.run_no = $2 and a.kind = 'membership'",
            ended!()
        ),
        remember!(
            "adopted_rows a join adopted_users u on u.principal_id = a.row_key::uuid and u.source_key = $3 join memberships m \
             on m.organization_id = a.organization_id and m.principal_id = u.principal_id where a.run_no = $2 and a.kind = 'membership'",
            ended!()
        );
    /// What people removed of rows of the run from its users; of users of runs before it, that is noted by itself.
    RIGHTS = remember!(
        "adopted_removals n join adopted_users u on u.principal_id = n.principal_id and u.run_no = $2 where n.kind <> 'membership' \
         and n.row_id >= $3 and n.row_id < $4"
    );
    LEFT = remember!(
        "adopted_removals n join adopted_users u on u.principal_id = n.principal_id and u.run_no = $2 where n.kind = 'membership' \
         and not exists (select 1 from memberships m where m.organization_id = n.organization_id and m.principal_id = n.principal_id)"
    );
    /// Roles that are not as the run wrote them.
    ROLES = remember_rows!(
        "role",
        "not exists (select 1 from roles r where r.organization_id = a.organization_id and r.role_key = a.row_key and (r.updated_at = r.created_at \
         or exists (select 1 from adopted_changes c where c.run_no >= $2 and c.kind = 'role' and c.organization_id = a.organization_id \
         and c.row_key = a.row_key and c.changed_at = r.updated_at)) and (a.recorded_at is null or a.recorded_at = r.created_at))"
    );
    MODULES = remember_rows!(
        "entitlement",
        "not exists (select 1 from org_entitlements t where t.organization_id = a.organization_id and t.module_key = a.row_key \
         and t.source = 'migration' and t.source_id = '' and (case when a.recorded_at is null then t.row_version = 1 else a.recorded_at = t.changed_at end \
         or exists (select 1 from adopted_changes c where c.run_no >= $2 and c.kind = 'entitlement' and c.organization_id = a.organization_id \
         and c.row_key = a.row_key and c.changed_at = t.changed_at)))"
    );
    ALL = "select legacy_id from adopted_remembered where source_key = $1 order by legacy_id";
    /// Whoever is here again was asked about.
    FORGET = "delete from adopted_remembered where source_key = $1 and legacy_id in (select u.legacy_id from adopted_users u where u.source_key = $1 \
              and u.legacy_id in (select r.legacy_id from adopted_remembered r where r.source_key = $1))";
    ALL_ROWS = "select kind, legacy_id, row_key from adopted_remembered_rows where source_key = $1 order by kind, legacy_id, row_key";
    /// What a run wrote again was asked about.
    FORGET_ROWS = "delete from adopted_remembered_rows where source_key = $1 and exists (select 1 from adopted_organizations x join adopted_rows a \
                   on a.organization_id = x.organization_id and a.kind = adopted_remembered_rows.kind and a.row_key = adopted_remembered_rows.row_key \
                   join adoption_runs r on r.run_no = a.run_no and r.state <> 'undone' where x.source_key = $1 \
                   and x.legacy_id = adopted_remembered_rows.legacy_id)";
}

/// Remembers whom people stopped of those that a run of a source gave something.
pub async fn remember(tx: &mut Tx, source: &Key, run: Range, now: Timestamp) -> Result<u64> {
    let (first, last) = (PrincipalId(run.from), PrincipalId(run.to));
    let of_own: &[Value] = params![now, run.run, first, last];
    let mut count = 0;
    for statement in [&ACCOUNTS, &MEMBERSHIPS] {
        count += tx.execute(statement, of_own).await?;
    }
    count += tx.execute(&RECORDED, params![now, run.run, source]).await?;
    count += tx.execute(&RIGHTS, params![now, run.run, first, last]).await?;
    Ok(count + tx.execute(&LEFT, params![now, run.run]).await?)
}

/// What a run wrote into an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// A role of its own.
    Role,
    /// Whether a module is on.
    Module,
}

impl RowKind {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "role" => Some(Self::Role),
            "entitlement" => Some(Self::Module),
            _ => None,
        }
    }
}

/// A role or a module that people removed or changed of what a run gave that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RememberedRow {
    /// What it is.
    pub kind: RowKind,
    /// The organization, by its id in the other system.
    pub legacy_id: String,
    /// The role or the module.
    pub key: String,
}

/// Remembers roles and modules that people removed or changed of those that a run of a source gave.
pub async fn remember_rows(tx: &mut Tx, source: &Key, run: Range, now: Timestamp) -> Result<u64> {
    let params: &[Value] = params![now, run.run, source];
    Ok(tx.execute(&ROLES, params).await? + tx.execute(&MODULES, params).await?)
}

/// Whom people stopped of users that no run brought again, by their ids in the other system.
pub async fn all(conn: &mut Conn, source: &Key) -> Result<Vec<String>> {
    row::list(conn, &ALL, params![source], |row| row::text(row, 0)).await
}

/// Roles and modules that no run brought again.
pub async fn rows(conn: &mut Conn, source: &Key) -> Result<Vec<RememberedRow>> {
    row::list(conn, &ALL_ROWS, params![source], |row| {
        Ok(RememberedRow {
            kind: row::word(row, 0, RowKind::from_word)?,
            legacy_id: row::text(row, 1)?,
            key: row::text(row, 2)?,
        })
    })
    .await
}

/// Forgets what runs of a source brought again.
pub async fn forget(tx: &mut Tx, source: &Key) -> Result<u64> {
    Ok(tx.execute(&FORGET, params![source]).await? + tx.execute(&FORGET_ROWS, params![source]).await?)
}
