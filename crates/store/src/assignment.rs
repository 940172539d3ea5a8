//! Assignments: roles given to principals and teams.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::AssignmentFact;
use charter_kernel::{AssignmentId, OrganizationId, PrincipalId, RoleKey, TeamId};

use crate::row::{self, Span};
use crate::{Given, Page, Result};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select organization_id, assignment_id, role_key, principal_id, team_id, starts_at, ends_at, condition_key, reason, \
             given_by, given_at from assignments ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into assignments (organization_id, assignment_id, role_key, principal_id, team_id, starts_at, ends_at, \
              condition_key, reason, given_by, given_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    UPDATE = "update assignments set starts_at = $3, ends_at = $4, condition_key = $5, reason = $6, given_by = $7, given_at = $8 \
              where organization_id = $1 and assignment_id = $2";
    DELETE = "delete from assignments where organization_id = $1 and assignment_id = $2";
    DELETE_OF_PRINCIPAL = "delete from assignments where organization_id = $1 and principal_id = $2";
    DELETE_OF_TEAM = "delete from assignments where organization_id = $1 and team_id = $2";
    GET = select!("where organization_id = $1 and assignment_id = $2");
    PAGE = select!("where organization_id = $1 and assignment_id > $2 order by assignment_id limit $3");
    OF_PRINCIPAL = select!("where organization_id = $1 and principal_id = $2 order by assignment_id");
    OF_TEAM = select!("where organization_id = $1 and team_id = $2 order by assignment_id");
    OF_ROLE = select!("where organization_id = $1 and role_key = $2 and assignment_id > $3 order by assignment_id limit $4");
    FACTS = "select organization_id, assignment_id, role_key, principal_id, team_id, starts_at, ends_at, condition_key from assignments \
             where organization_id = $1 order by assignment_id";
    ALL_FACTS = "select organization_id, assignment_id, role_key, principal_id, team_id, starts_at, ends_at, condition_key from assignments \
             where organization_id >= $1 and organization_id <= $2 order by organization_id, assignment_id";
}

/// An assignment with who gave it and why.
#[derive(Debug, Clone, PartialEq)]
pub struct AssignmentRow {
    /// The assignment.
    pub assignment: AssignmentFact,
    /// Why it was given.
    pub reason: String,
    /// Who gave it, and when.
    pub given: Given,
}

fn fact(row: RowRef<'_>) -> Result<AssignmentFact> {
    Ok(AssignmentFact {
        id: AssignmentId(row.get_id(1)?),
        role: row::parsed(row, 2)?,
        subject: row::subject(row, 3)?,
        window: row::window(row, 5)?,
        condition: row::opt_key(row, 7)?,
    })
}

pub(crate) fn assignment(row: RowRef<'_>) -> Result<AssignmentRow> {
    Ok(AssignmentRow {
        assignment: fact(row)?,
        reason: row::text(row, 8)?,
        given: Given { by: row.get_opt_id(9)?.map(PrincipalId), at: row::time(row, 10)? },
    })
}

/// Adds an assignment.
pub async fn insert(tx: &mut Tx, organization: OrganizationId, row: &AssignmentRow) -> Result<()> {
    let (it, given) = (&row.assignment, row.given);
    let [principal, team] = row::subject_params(it.subject);
    let (from, to) = (it.window.from(), it.window.to());
    tx.execute(
        &INSERT,
        params![
            organization,
            it.id,
            it.role,
            principal,
            team,
            from,
            to,
            it.condition,
            row.reason,
            given.by,
            given.at
        ],
    )
    .await?;
    Ok(())
}

/// Changes window, condition, reason and giver; role and subject stay.
pub async fn update(tx: &mut Tx, organization: OrganizationId, row: &AssignmentRow) -> Result<bool> {
    let (it, given) = (&row.assignment, row.given);
    let (from, to) = (it.window.from(), it.window.to());
    let params = params![organization, it.id, from, to, it.condition, row.reason, given.by, given.at];
    Ok(tx.execute(&UPDATE, params).await? > 0)
}

/// Removes an assignment.
pub async fn delete(tx: &mut Tx, organization: OrganizationId, assignment: AssignmentId) -> Result<bool> {
    Ok(tx.execute(&DELETE, params![organization, assignment]).await? > 0)
}

/// Removes the assignments of a principal.
pub async fn delete_of_principal(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<u64> {
    tx.execute(&DELETE_OF_PRINCIPAL, params![organization, principal]).await
}

/// Removes the assignments of a team.
pub async fn delete_of_team(tx: &mut Tx, organization: OrganizationId, team: TeamId) -> Result<u64> {
    tx.execute(&DELETE_OF_TEAM, params![organization, team]).await
}

/// The assignment with this id.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    id: AssignmentId,
) -> Result<Option<AssignmentRow>> {
    row::opt(conn, &GET, params![organization, id], assignment).await
}

/// The assignments after an id.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: AssignmentId,
    limit: u32,
) -> Result<Page<AssignmentRow>> {
    row::page(conn, &PAGE, params![organization, after], limit, assignment).await
}

/// The assignments of a principal, without those through teams.
pub async fn of_principal(
    conn: &mut Conn,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<Vec<AssignmentRow>> {
    row::list(conn, &OF_PRINCIPAL, params![organization, principal], assignment).await
}

/// The assignments of a team.
pub async fn of_team(
    conn: &mut Conn,
    organization: OrganizationId,
    team: TeamId,
) -> Result<Vec<AssignmentRow>> {
    row::list(conn, &OF_TEAM, params![organization, team], assignment).await
}

/// The assignments of a role after an id.
pub async fn of_role(
    conn: &mut Conn,
    organization: OrganizationId,
    role: &RoleKey,
    after: AssignmentId,
    limit: u32,
) -> Result<Page<AssignmentRow>> {
    row::page(conn, &OF_ROLE, params![organization, role, after], limit, assignment).await
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, AssignmentFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS, &ALL_FACTS], fact, f).await
}
