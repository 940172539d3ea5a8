//! What a run of adoption would take with it if it were taken back, counted.

use charter_db::{Conn, RowRef};
use charter_kernel::{OrganizationId, PrincipalId};

use crate::adoption_undo::Range;
use crate::{Result, row};

statements! {
    USERS = "select count(*) from principals where principal_id >= $1 and principal_id < $2";
    MEMBERSHIPS = "select count(*) from principal_memberships where principal_id >= $1 and principal_id < $2";
    RECORDED = "select kind, count(*) from adopted_rows where run_no = $1 and kind <> 'organization' group by kind order by kind";
    ASSIGNMENTS = "select count(*) from adopted_rows a join assignments t on t.organization_id = a.organization_id \
                   and t.assignment_id >= $2 and t.assignment_id < $3 where a.run_no = $1 and a.kind = 'organization'";
    GRANTS = "select count(*) from adopted_rows a join grants t on t.organization_id = a.organization_id \
              and t.grant_id >= $2 and t.grant_id < $3 where a.run_no = $1 and a.kind = 'organization'";
    ORGANIZATIONS = "select organization_id from adopted_rows where run_no = $1 and kind = 'organization' \
                     and organization_id >= $2 and organization_id < $3 order by organization_id";
}

/// Rows of a run that go with it, by kind; organizations are counted apart.
pub async fn rows(conn: &mut Conn, range: Range) -> Result<Vec<(&'static str, u64)>> {
    let (first, last) = (PrincipalId(range.from), PrincipalId(range.to));
    let kind = |row: RowRef<'_>| Ok((row::text(row, 0)?, row.get::<u64>(1)?));
    let recorded = row::list(conn, &RECORDED, params![range.run], kind).await?;
    let of =
        |word: &str| recorded.iter().filter(|(kind, _)| kind == word).map(|(_, count)| *count).sum::<u64>();
    let users: u64 = conn.query_one(&USERS, params![first, last]).await?.get(0)?;
    let own: u64 = conn.query_one(&MEMBERSHIPS, params![first, last]).await?.get(0)?;
    let assignments: u64 = conn.query_one(&ASSIGNMENTS, params![range.run, first, last]).await?.get(0)?;
    let grants: u64 = conn.query_one(&GRANTS, params![range.run, first, last]).await?.get(0)?;
    Ok(vec![
        ("users", users),
        ("memberships", own + of("membership")),
        ("roles", of("role")),
        ("assignments", assignments),
        ("grants", grants),
        ("entitlements", of("entitlement")),
    ])
}

/// Organizations into which a run wrote, with ids of a range.
pub async fn organizations(conn: &mut Conn, run: u64, range: Range) -> Result<Vec<OrganizationId>> {
    let (from, to) = (OrganizationId(range.from), OrganizationId(range.to));
    row::list(conn, &ORGANIZATIONS, params![run, from, to], row::organization).await
}
