//! What waits for the proof of a run, and is opened when the equivalence holds: accounts, which come suspended, and memberships and
//! organizations of earlier runs, which stay as they were. What people said of one meanwhile stands: only what was not changed since it was
//! written is opened.

use charter_db::{Conn, Tx};
use charter_kernel::facts::OrganizationStatus;
use charter_kernel::{OrganizationId, PrincipalId, Timestamp};

use crate::adoption_undo::Range;
use crate::{Result, adoption_account, row};

statements! {
    OPENED_AT = "select opened_at from adoption_runs where run_no = $1";
    OPENED_TO = "select opened_to from adoption_runs where run_no = $1";
    SET_OPENED = "update adoption_runs set opened_at = $2, opened_to = null where run_no = $1";
    SET_OPENED_TO = "update adoption_runs set opened_to = $2 where run_no = $1";
    /// Whoever was suspended by hand meanwhile, or since the run was opened, stays so.
    OPEN = "update principals set status = 'active', updated_at = $3 \
            where principal_id >= $1 and principal_id <= $2 and status = 'suspended' and created_at > $4 \
            and updated_at = created_at";
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
        "update principals set status = 'active', updated_at = $2 where status = 'suspended' and (principal_id, updated_at) in \
         (select unhex(c.row_key), c.changed_at from adopted_changes c where c.run_no = $1 and c.kind = 'account' \
         and c.after->>'status' = 'active' and c.before->>'status' <> 'active')",
        "update principals set status = 'active', updated_at = $2 where status = 'suspended' and (principal_id, updated_at) in \
         (select c.row_key::uuid, c.changed_at from adopted_changes c where c.run_no = $1 and c.kind = 'account' \
         and c.after->>'status' = 'active' and c.before->>'status' <> 'active')";
    MEMBERS_AGAIN =
        "select m.principal_id from adopted_changes c join memberships m on m.organization_id = $1 and m.principal_id = unhex(c.row_key) \
         join principals p on p.principal_id = m.principal_id and p.status = 'suspended' and p.updated_at = c.changed_at \
         where c.run_no = $2 and c.kind = 'account' \
         and c.after->>'status' = 'active' and c.before->>'status' <> 'active'",
        "select m.principal_id from adopted_changes c join memberships m on m.organization_id = $1 and m.principal_id = c.row_key::uuid \
         join principals p on p.principal_id = m.principal_id and p.status = 'suspended' and p.updated_at = c.changed_at \
         where c.run_no = $2 and c.kind = 'account' \
         and c.after->>'status' = 'active' and c.before->>'status' <> 'active'";
    /// Memberships of earlier runs that are to be in force again; one that people changed since it was noted is not what it was then.
    OPEN_MEMBERSHIPS =
        "update memberships set status = 'active' where (organization_id, principal_id, status, updated_at) in \
         (select c.organization_id, unhex(c.row_key), c.before->>'status', c.changed_at from adopted_changes c where c.run_no = $1 \
         and c.kind = 'membership' and c.before->>'status' = 'deactivated' and c.after->>'status' = 'active')",
        "update memberships set status = 'active' where (organization_id, principal_id, status, updated_at) in \
         (select c.organization_id, c.row_key::uuid, c.before->>'status', c.changed_at from adopted_changes c where c.run_no = $1 \
         and c.kind = 'membership' and c.before->>'status' = 'deactivated' and c.after->>'status' = 'active')";
    OPEN_ORGANIZATIONS = "update organizations set status = (select n.after->>'status' from adopted_changes n where n.run_no = $1 \
         and n.kind = 'organization' and n.organization_id = organizations.organization_id and n.row_key = '') \
         where (organization_id, status, updated_at) in (select c.organization_id, c.before->>'status', c.changed_at from adopted_changes c \
         where c.run_no = $1 and c.kind = 'organization' and c.before->>'status' = 'closed' and c.after->>'status' <> 'closed')";
    MEMBERSHIPS_AGAIN =
        "select m.principal_id from adopted_changes c join memberships m on m.organization_id = c.organization_id \
         and m.principal_id = unhex(c.row_key) and m.status = c.before->>'status' and m.updated_at = c.changed_at where c.run_no = $1 \
         and c.kind = 'membership' and c.organization_id = $2 and c.before->>'status' = 'deactivated' and c.after->>'status' = 'active'",
        "select m.principal_id from adopted_changes c join memberships m on m.organization_id = c.organization_id \
         and m.principal_id = c.row_key::uuid and m.status = c.before->>'status' and m.updated_at = c.changed_at where c.run_no = $1 \
         and c.kind = 'membership' and c.organization_id = $2 and c.before->>'status' = 'deactivated' and c.after->>'status' = 'active'";
    ORGANIZATION_AGAIN = "select c.after->>'status' from adopted_changes c join organizations o on o.organization_id = c.organization_id \
         and o.status = c.before->>'status' and o.updated_at = c.changed_at where c.run_no = $1 and c.kind = 'organization' \
         and c.organization_id = $2 and c.before->>'status' = 'closed' and c.after->>'status' <> 'closed'";
    RUNS = "select run_no, opened_at from adoption_runs where state in ('applying', 'failed') order by run_no";
    MEMBERS = "select m.principal_id from memberships m join principals p on p.principal_id = m.principal_id \
               where m.organization_id = $1 and m.principal_id >= $2 and m.principal_id < $3 and p.status = 'suspended' and p.created_at > $4 \
               and p.updated_at = p.created_at order by m.principal_id";
    /// Whoever is suspended and was changed since a run made the account waits for no proof.
    SUSPENDED_BY_PEOPLE = "select m.principal_id from memberships m join principals p on p.principal_id = m.principal_id \
               where m.organization_id = $1 and m.principal_id >= $2 and m.principal_id < $3 and p.status = 'suspended' \
               and p.updated_at <> p.created_at order by m.principal_id";
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
        for statement in [&OPEN_MEMBERSHIPS, &OPEN_ORGANIZATIONS] {
            tx.execute(statement, params![run]).await?;
        }
    }
    row::list(tx, &TOUCH, params![run, now, platform], row::organization).await
}

/// The accounts of a run are gone: those that come next wait again.
pub async fn close(tx: &mut Tx, run: u64) -> Result<()> {
    tx.execute(&SET_OPENED, params![run, None::<Timestamp>]).await?;
    Ok(())
}

/// What waits in an organization.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Runs that were never opened: each account of theirs that is suspended waits,
    pub runs: Vec<u64>,
    /// but for these members, whom people suspended.
    pub suspended: Vec<PrincipalId>,
    /// Members whose accounts wait besides.
    pub accounts: Vec<PrincipalId>,
    /// Members whose memberships wait.
    pub memberships: Vec<PrincipalId>,
    /// What the organization itself is to be.
    pub organization: Option<OrganizationStatus>,
}

/// What waits in an organization; none where no run is under way.
pub async fn waiting(
    conn: &mut Conn,
    organization: OrganizationId,
    range_of: impl Fn(u64) -> Range,
) -> Result<Option<Waiting>> {
    let runs: Vec<(u64, Option<Timestamp>)> =
        row::list(conn, &RUNS, &[], |row| Ok((row.get(0)?, row::opt_time(row, 1)?))).await?;
    if runs.is_empty() {
        return Ok(None);
    }
    let who = |row: charter_db::RowRef<'_>| Ok(PrincipalId(row.get_id(0)?));
    let mut waiting = Waiting::default();
    for (run, opened_at) in runs {
        if let Some(since) = opened_at {
            let range = range_of(run);
            let params = params![organization, PrincipalId(range.from), PrincipalId(range.to), since];
            waiting.accounts.extend(row::list(conn, &MEMBERS, params, who).await?);
            continue;
        }
        waiting.runs.push(run);
        let range = range_of(run);
        let params = params![organization, PrincipalId(range.from), PrincipalId(range.to)];
        waiting.suspended.extend(row::list(conn, &SUSPENDED_BY_PEOPLE, params, who).await?);
        waiting.accounts.extend(row::list(conn, &MEMBERS_AGAIN, params![organization, run], who).await?);
        waiting
            .memberships
            .extend(row::list(conn, &MEMBERSHIPS_AGAIN, params![run, organization], who).await?);
        let status = |row: charter_db::RowRef<'_>| row::word(row, 0, OrganizationStatus::from_word);
        let itself = row::opt(conn, &ORGANIZATION_AGAIN, params![run, organization], status).await?;
        waiting.organization = waiting.organization.or(itself);
    }
    Ok(Some(waiting))
}
