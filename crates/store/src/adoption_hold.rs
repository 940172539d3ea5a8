//! Accounts of a run that wait for its proof: they come suspended, and are opened when the equivalence holds.

use charter_db::{Conn, Tx};
use charter_kernel::{OrganizationId, PrincipalId, Timestamp};

use crate::adoption_undo::Range;
use crate::{Result, adoption_account, row};

statements! {
    OPENED_AT = "select opened_at from adoption_runs where run_no = $1";
    OPENED_TO = "select opened_to from adoption_runs where run_no = $1";
    SET_OPENED = "update adoption_runs set opened_at = $2, opened_to = null where run_no = $1";
    SET_OPENED_TO = "update adoption_runs set opened_to = $2 where run_no = $1";
    /// Whoever was suspended by hand since the run was opened stays so.
    OPEN = "update principals set status = 'active', updated_at = $3 \
            where principal_id >= $1 and principal_id <= $2 and status = 'suspended' and created_at > $4";
    TOUCH =
        "insert into organization_revisions (organization_id, revision, changed_at) \
         select organization_id, 1, $2 from adopted_rows where run_no = $1 and kind = 'organization' and organization_id <> $3 \
         order by organization_id on conflict (organization_id) do update \
         set revision = organization_revisions.revision + 1, changed_at = max(excluded.changed_at, organization_revisions.changed_at) \
         returning organization_id",
        "insert into organization_revisions (organization_id, revision, changed_at) \
         select organization_id, 1, $2 from adopted_rows where run_no = $1 and kind = 'organization' and organization_id <> $3 \
         order by organization_id on conflict (organization_id) do update \
         set revision = organization_revisions.revision + 1, changed_at = greatest(excluded.changed_at, organization_revisions.changed_at) \
         returning organization_id";
    /// Accounts of earlier runs that are to act again.
    OPEN_AGAIN =
        "update principals set status = 'active', updated_at = $2 where status = 'suspended' and principal_id in \
         (select unhex(c.row_key) from adopted_changes c where c.run_no = $1 and c.kind = 'account' \
         and c.after->>'status' = 'active' and c.before->>'status' <> 'active')",
        "update principals set status = 'active', updated_at = $2 where status = 'suspended' and principal_id in \
         (select c.row_key::uuid from adopted_changes c where c.run_no = $1 and c.kind = 'account' \
         and c.after->>'status' = 'active' and c.before->>'status' <> 'active')";
    MEMBERS_AGAIN =
        "select m.principal_id from adopted_changes c join memberships m on m.organization_id = $1 and m.principal_id = unhex(c.row_key) \
         join principals p on p.principal_id = m.principal_id and p.status = 'suspended' where c.run_no = $2 and c.kind = 'account' \
         and c.after->>'status' = 'active' and c.before->>'status' <> 'active' limit $3",
        "select m.principal_id from adopted_changes c join memberships m on m.organization_id = $1 and m.principal_id = c.row_key::uuid \
         join principals p on p.principal_id = m.principal_id and p.status = 'suspended' where c.run_no = $2 and c.kind = 'account' \
         and c.after->>'status' = 'active' and c.before->>'status' <> 'active' limit $3";
    RUNS = "select run_no, opened_at from adoption_runs where state in ('applying', 'failed') order by run_no";
    MEMBERS = "select m.principal_id from memberships m join principals p on p.principal_id = m.principal_id \
               where m.organization_id = $1 and m.principal_id >= $2 and m.principal_id < $3 and p.status = 'suspended' and p.created_at > $4 \
               order by m.principal_id limit $5";
}

/// The first instant there is.
const EVER: Timestamp = Timestamp(0);

/// When the accounts of a run were opened first.
pub async fn opened_at(conn: &mut Conn, run: u64) -> Result<Option<Timestamp>> {
    Ok(row::opt(conn, &OPENED_AT, params![run], |row| row::opt_time(row, 0)).await?.flatten())
}

/// Opens accounts that wait, as many as one statement may take, after those that were opened before; whether more are left.
pub async fn open(tx: &mut Tx, range: Range, limit: u32, now: Timestamp) -> Result<bool> {
    let opened_to = row::opt(tx, &OPENED_TO, params![range.run], |row| row.get_opt_id(0)).await?.flatten();
    let from = opened_to.map_or(range.from, |last| last + 1);
    let Some((first, last)) = adoption_account::next(tx, from, range.to, limit).await? else {
        return Ok(false);
    };
    let before = opened_at(tx, range.run).await?;
    tx.execute(&OPEN, params![first, last, now, before.unwrap_or(EVER)]).await?;
    tx.execute(&SET_OPENED_TO, params![range.run, last]).await?;
    Ok(adoption_account::next(tx, last.0 + 1, range.to, 1).await?.is_some())
}

/// Says that all are open; gives the organizations the run wrote into, whose revisions rose, but for the one named, whose revision rises
/// anyway.
pub async fn opened(
    tx: &mut Tx,
    run: u64,
    platform: OrganizationId,
    now: Timestamp,
) -> Result<Vec<OrganizationId>> {
    let before = opened_at(tx, run).await?;
    tx.execute(&SET_OPENED, params![run, before.unwrap_or(now)]).await?;
    // Whoever was suspended by hand since stays so.
    if before.is_none() {
        tx.execute(&OPEN_AGAIN, params![run, now]).await?;
    }
    row::list(tx, &TOUCH, params![run, now, platform], row::organization).await
}

/// The accounts of a run are gone: those that come next wait again.
pub async fn close(tx: &mut Tx, run: u64) -> Result<()> {
    tx.execute(&SET_OPENED, params![run, None::<Timestamp>]).await?;
    Ok(())
}

/// The runs whose accounts may wait, with when each was opened first.
pub async fn runs(conn: &mut Conn) -> Result<Vec<(u64, Option<Timestamp>)>> {
    row::list(conn, &RUNS, &[], |row| Ok((row.get(0)?, row::opt_time(row, 1)?))).await
}

/// Members of an organization whose accounts wait.
pub async fn members(
    conn: &mut Conn,
    organization: OrganizationId,
    range: Range,
    opened_at: Option<Timestamp>,
    limit: u32,
) -> Result<Vec<PrincipalId>> {
    let since = opened_at.unwrap_or(EVER);
    let params = params![organization, PrincipalId(range.from), PrincipalId(range.to), since, limit];
    let who = |row: charter_db::RowRef<'_>| Ok(PrincipalId(row.get_id(0)?));
    let mut waiting = row::list(conn, &MEMBERS, params, who).await?;
    if opened_at.is_none() {
        waiting.extend(row::list(conn, &MEMBERS_AGAIN, params![organization, range.run, limit], who).await?);
    }
    Ok(waiting)
}
