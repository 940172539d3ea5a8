//! Teams and their direct members.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::TeamFact;
use charter_kernel::{OrganizationId, PrincipalId, TeamId, TeamKey, Timestamp};

use crate::row::{self, Span};
use crate::{Page, Result};

statements! {
    INSERT = "insert into teams (organization_id, team_id, team_key, name, parent_id, created_at, updated_at) \
              values ($1, $2, $3, $4, $5, $6, $6)";
    UPDATE = "update teams set team_key = $3, name = $4, parent_id = $5, updated_at = $6 where organization_id = $1 and team_id = $2";
    DELETE = "delete from teams where organization_id = $1 and team_id = $2";
    GET = "select organization_id, team_id, team_key, name, parent_id from teams where organization_id = $1 and team_id = $2";
    ID_BY_KEY = "select team_id from teams where organization_id = $1 and team_key = $2";
    PAGE = "select organization_id, team_id, team_key, name, parent_id from teams \
            where organization_id = $1 and team_id > $2 order by team_id limit $3";
    ADD_MEMBER = "insert into team_members (organization_id, team_id, principal_id, added_at) values ($1, $2, $3, $4) \
                  on conflict (organization_id, team_id, principal_id) do nothing";
    REMOVE_MEMBER = "delete from team_members where organization_id = $1 and team_id = $2 and principal_id = $3";
    REMOVE_PRINCIPAL = "delete from team_members where organization_id = $1 and principal_id = $2";
    REMOVE_ALL = "delete from team_members where organization_id = $1 and team_id = $2";
    MEMBERS = "select organization_id, team_id, principal_id from team_members \
               where organization_id = $1 and team_id >= $2 and team_id <= $3 order by team_id, principal_id";
    OF_PRINCIPAL = "select team_id from team_members where organization_id = $1 and principal_id = $2 order by team_id";
    FACTS = "select organization_id, team_id, team_key, name, parent_id from teams where organization_id = $1 order by team_id";
    ALL_FACTS = "select organization_id, team_id, team_key, name, parent_id from teams \
             where organization_id >= $1 and organization_id <= $2 order by organization_id, team_id";
    FACTS_MEMBERS = "select organization_id, team_id, principal_id from team_members \
                     where organization_id = $1 order by team_id, principal_id";
    ALL_FACTS_MEMBERS = "select organization_id, team_id, principal_id from team_members \
                     where organization_id >= $1 and organization_id <= $2 order by organization_id, team_id, principal_id";
}

/// A team whose members have not been read yet.
fn team(row: RowRef<'_>) -> Result<TeamFact> {
    Ok(TeamFact {
        id: TeamId(row.get_id(1)?),
        key: row::parsed(row, 2)?,
        name: row::text(row, 3)?,
        parent: row.get_opt_id(4)?.map(TeamId),
        members: Vec::new(),
    })
}

fn member(row: RowRef<'_>) -> Result<(TeamId, PrincipalId)> {
    Ok((TeamId(row.get_id(1)?), PrincipalId(row.get_id(2)?)))
}

/// Adds a team with its members; a key that is taken violates `teams_key`.
pub async fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    team: &TeamFact,
    now: Timestamp,
) -> Result<()> {
    tx.execute(&INSERT, params![organization, team.id, team.key, team.name, team.parent, now]).await?;
    for principal in &team.members {
        add_member(tx, organization, team.id, *principal, now).await?;
    }
    Ok(())
}

/// Changes key, name and parent; members stay.
pub async fn update(
    tx: &mut Tx,
    organization: OrganizationId,
    team: &TeamFact,
    now: Timestamp,
) -> Result<bool> {
    let params = params![organization, team.id, team.key, team.name, team.parent, now];
    Ok(tx.execute(&UPDATE, params).await? > 0)
}

/// Removes a team with its list of members; refused while a team, assignment, grant or block refers to it.
pub async fn delete(tx: &mut Tx, organization: OrganizationId, team: TeamId) -> Result<bool> {
    tx.execute(&REMOVE_ALL, params![organization, team]).await?;
    Ok(tx.execute(&DELETE, params![organization, team]).await? > 0)
}

/// The team with this id.
pub async fn get(conn: &mut Conn, organization: OrganizationId, team: TeamId) -> Result<Option<TeamFact>> {
    let Some(mut found) = row::opt(conn, &GET, params![organization, team], self::team).await? else {
        return Ok(None);
    };
    let members = row::list(conn, &MEMBERS, params![organization, team, team], member).await?;
    found.members = members.into_iter().map(|(_, principal)| principal).collect();
    Ok(Some(found))
}

/// The id of the team with this key.
pub async fn by_key(conn: &mut Conn, organization: OrganizationId, key: &TeamKey) -> Result<Option<TeamId>> {
    row::opt(conn, &ID_BY_KEY, params![organization, key], |row| Ok(TeamId(row.get_id(0)?))).await
}

/// The teams after an id, with their members.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: TeamId,
    limit: u32,
) -> Result<Page<TeamFact>> {
    let mut page = row::page(conn, &PAGE, params![organization, after], limit, team).await?;
    if let (Some(first), Some(last)) = (page.rows.first(), page.rows.last()) {
        let members = row::list(conn, &MEMBERS, params![organization, first.id, last.id], member).await?;
        fill(&mut page.rows, &members);
    }
    Ok(page)
}

/// Puts members into their teams; both are in the order of the team's id.
fn fill(teams: &mut [TeamFact], members: &[(TeamId, PrincipalId)]) {
    for team in teams {
        let from = members.partition_point(|(id, _)| *id < team.id);
        let of_team = members.iter().skip(from).take_while(|(id, _)| *id == team.id);
        team.members = of_team.map(|(_, principal)| *principal).collect();
    }
}

/// Adds a member of the organization to a team; one who is there already stays.
pub async fn add_member(
    tx: &mut Tx,
    organization: OrganizationId,
    team: TeamId,
    principal: PrincipalId,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&ADD_MEMBER, params![organization, team, principal, now]).await? > 0)
}

/// Takes a member out of a team.
pub async fn remove_member(
    tx: &mut Tx,
    organization: OrganizationId,
    team: TeamId,
    principal: PrincipalId,
) -> Result<bool> {
    Ok(tx.execute(&REMOVE_MEMBER, params![organization, team, principal]).await? > 0)
}

/// Takes a principal out of every team of the organization.
pub async fn delete_of_principal(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<u64> {
    tx.execute(&REMOVE_PRINCIPAL, params![organization, principal]).await
}

/// The teams a principal is a direct member of.
pub async fn of_principal(
    conn: &mut Conn,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<Vec<TeamId>> {
    row::list(conn, &OF_PRINCIPAL, params![organization, principal], |row| Ok(TeamId(row.get_id(0)?))).await
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, TeamFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS, &ALL_FACTS], team, f).await
}

pub(crate) async fn each_member(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, (TeamId, PrincipalId)) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS_MEMBERS, &ALL_FACTS_MEMBERS], member, f).await
}
