//! Grants: rights and denials outside roles.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::GrantFact;
use charter_kernel::{Effect, GrantId, OrganizationId, PrincipalId, ResourceRef, TeamId};

use crate::row::{self, Span};
use crate::{Page, Result};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select organization_id, grant_id, principal_id, team_id, pattern, resource_kind, resource_id, effect, starts_at, ends_at, \
             condition_key, reason, given_by, given_at from grants ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into grants (organization_id, grant_id, principal_id, team_id, pattern, resource_kind, resource_id, effect, \
              starts_at, ends_at, condition_key, reason, given_by, given_at) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    UPDATE = "update grants set effect = $3, starts_at = $4, ends_at = $5, condition_key = $6, reason = $7, given_by = $8, \
              given_at = $9 where organization_id = $1 and grant_id = $2";
    DELETE = "delete from grants where organization_id = $1 and grant_id = $2";
    DELETE_OF_PRINCIPAL = "delete from grants where organization_id = $1 and principal_id = $2";
    DELETE_OF_TEAM = "delete from grants where organization_id = $1 and team_id = $2";
    DELETE_OF_RESOURCE = "delete from grants where organization_id = $1 and resource_kind = $2 and resource_id = $3";
    GET = select!("where organization_id = $1 and grant_id = $2");
    PAGE = select!("where organization_id = $1 and grant_id > $2 order by grant_id limit $3");
    OF_PRINCIPAL = select!("where organization_id = $1 and principal_id = $2 order by grant_id");
    OF_TEAM = select!("where organization_id = $1 and team_id = $2 order by grant_id");
    OF_RESOURCE = select!("where organization_id = $1 and resource_kind = $2 and resource_id = $3 order by grant_id");
    FACTS = select!("where organization_id = $1 order by grant_id");
    ALL_FACTS = select!("where organization_id >= $1 and organization_id <= $2 order by organization_id, grant_id");
}

pub(crate) fn grant(row: RowRef<'_>) -> Result<GrantFact> {
    Ok(GrantFact {
        id: GrantId(row.get_id(1)?),
        subject: row::subject(row, 2)?,
        pattern: row::parsed(row, 4)?,
        reach: row::reach(row, 5)?,
        effect: row::word(row, 7, Effect::from_word)?,
        window: row::window(row, 8)?,
        condition: row::opt_key(row, 10)?,
        reason: row::text(row, 11)?,
        given_by: row.get_opt_id(12)?.map(PrincipalId),
        given_at: row::time(row, 13)?,
    })
}

/// Adds a grant.
pub async fn insert(tx: &mut Tx, organization: OrganizationId, grant: &GrantFact) -> Result<()> {
    let it = grant;
    let [principal, team] = row::subject_params(it.subject);
    let [kind, resource] = row::reach_params(&it.reach);
    let (effect, from, to) = (it.effect.as_str(), it.window.from(), it.window.to());
    tx.execute(
        &INSERT,
        params![
            organization,
            it.id,
            principal,
            team,
            it.pattern,
            kind,
            resource,
            effect,
            from,
            to,
            it.condition,
            it.reason,
            it.given_by,
            it.given_at
        ],
    )
    .await?;
    Ok(())
}

/// Changes effect, window, condition, reason and giver; subject, pattern and reach stay.
pub async fn update(tx: &mut Tx, organization: OrganizationId, grant: &GrantFact) -> Result<bool> {
    let it = grant;
    let (effect, from, to) = (it.effect.as_str(), it.window.from(), it.window.to());
    let params =
        params![organization, it.id, effect, from, to, it.condition, it.reason, it.given_by, it.given_at];
    Ok(tx.execute(&UPDATE, params).await? > 0)
}

/// Removes a grant.
pub async fn delete(tx: &mut Tx, organization: OrganizationId, grant: GrantId) -> Result<bool> {
    Ok(tx.execute(&DELETE, params![organization, grant]).await? > 0)
}

/// Removes the grants of a principal.
pub async fn delete_of_principal(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<u64> {
    tx.execute(&DELETE_OF_PRINCIPAL, params![organization, principal]).await
}

/// Removes the grants of a team.
pub async fn delete_of_team(tx: &mut Tx, organization: OrganizationId, team: TeamId) -> Result<u64> {
    tx.execute(&DELETE_OF_TEAM, params![organization, team]).await
}

/// Removes the grants on one resource.
pub async fn delete_of_resource(
    tx: &mut Tx,
    organization: OrganizationId,
    resource: &ResourceRef,
) -> Result<u64> {
    tx.execute(&DELETE_OF_RESOURCE, params![organization, resource.kind, &*resource.id]).await
}

/// The grant with this id.
pub async fn get(conn: &mut Conn, organization: OrganizationId, grant: GrantId) -> Result<Option<GrantFact>> {
    row::opt(conn, &GET, params![organization, grant], self::grant).await
}

/// The grants after an id.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: GrantId,
    limit: u32,
) -> Result<Page<GrantFact>> {
    row::page(conn, &PAGE, params![organization, after], limit, grant).await
}

/// The grants of a principal, without those through teams.
pub async fn of_principal(
    conn: &mut Conn,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<Vec<GrantFact>> {
    row::list(conn, &OF_PRINCIPAL, params![organization, principal], grant).await
}

/// The grants of a team.
pub async fn of_team(conn: &mut Conn, organization: OrganizationId, team: TeamId) -> Result<Vec<GrantFact>> {
    row::list(conn, &OF_TEAM, params![organization, team], grant).await
}

/// The grants on exactly this resource.
pub async fn of_resource(
    conn: &mut Conn,
    organization: OrganizationId,
    resource: &ResourceRef,
) -> Result<Vec<GrantFact>> {
    row::list(conn, &OF_RESOURCE, params![organization, resource.kind, &*resource.id], grant).await
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, GrantFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS, &ALL_FACTS], grant, f).await
}
