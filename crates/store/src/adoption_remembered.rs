//! Users of another system whom people stopped, or from whom they took something, of what a run gave that is taken back. The run's rows go, and
//! what people did about them with it: it is remembered by the user, until a run that is proved brings the user again.

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

/// Where people ended a membership, or gave it dates, later than at `$3`.
macro_rules! ended {
    () => {
        " and (m.status <> 'active' or m.starts_at is not null or m.ends_at is not null) and m.updated_at > m.created_at and m.updated_at > $3"
    };
}

statements! {
    /// Accounts that the run `$2` made, from `$4` to before `$5`.
    ACCOUNTS = remember!(
        "adopted_users u join principals p on p.principal_id = u.principal_id where u.run_no = $2 and u.principal_id >= $4 and u.principal_id < $5 \
         and p.status <> 'active' and p.updated_at > p.created_at and p.updated_at > $3"
    );
    MEMBERSHIPS = remember!(
        "adopted_users u join principal_memberships d on d.principal_id = u.principal_id join memberships m \
         on m.organization_id = d.organization_id and m.principal_id = d.principal_id where u.run_no = $2 and u.principal_id >= $4 \
         and u.principal_id < $5",
        ended!()
    );
    /// Memberships of accounts that were there before it.
    RECORDED =
        remember!(
            "adopted_rows a join adopted_users u on u.principal_id = unhex(a.row_key) and u.source_key = $4 join memberships m \
             on m.organization_id = a.organization_id and m.principal_id = u.principal_id where a.run_no = $2 and a.kind = 'membership'",
            ended!()
        ),
        remember!(
            "adopted_rows a join adopted_users u on u.principal_id = a.row_key::uuid and u.source_key = $4 join memberships m \
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
    ALL = "select legacy_id from adopted_remembered where source_key = $1 order by legacy_id";
    /// Whoever is here again was asked about.
    FORGET = "delete from adopted_remembered where source_key = $1 and legacy_id in (select u.legacy_id from adopted_users u where u.source_key = $1 \
              and u.legacy_id in (select r.legacy_id from adopted_remembered r where r.source_key = $1))";
}

/// The first instant there is.
const EVER: Timestamp = Timestamp(0);

/// Remembers whom people stopped of those that a run of a source gave something, since it was opened, or ever where it was not.
pub async fn remember(
    tx: &mut Tx,
    source: &Key,
    run: Range,
    opened_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<u64> {
    let (first, last) = (PrincipalId(run.from), PrincipalId(run.to));
    let since = opened_at.unwrap_or(EVER);
    let of_own: &[Value] = params![now, run.run, since, first, last];
    let mut count = 0;
    for statement in [&ACCOUNTS, &MEMBERSHIPS] {
        count += tx.execute(statement, of_own).await?;
    }
    count += tx.execute(&RECORDED, params![now, run.run, since, source]).await?;
    count += tx.execute(&RIGHTS, params![now, run.run, first, last]).await?;
    Ok(count + tx.execute(&LEFT, params![now, run.run]).await?)
}

/// Whom people stopped of users that no run brought again, by their ids in the other system.
pub async fn all(conn: &mut Conn, source: &Key) -> Result<Vec<String>> {
    row::list(conn, &ALL, params![source], |row| row::text(row, 0)).await
}

/// Forgets those whom runs of a source brought again.
pub async fn forget(tx: &mut Tx, source: &Key) -> Result<u64> {
    tx.execute(&FORGET, params![source]).await
}
