//! Blocks: denials that nothing overrides.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::{BlockFact, BlockSubject};
use charter_kernel::{BlockId, OrganizationId, PrincipalId, RoleKey, TeamId};

use crate::row::{self, Span};
use crate::{Given, Page, Result};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select organization_id, block_id, subject_kind, principal_id, team_id, role_key, pattern, resource_kind, resource_id, \
             starts_at, ends_at, condition_key, reason, conflict_key, given_by, given_at from blocks ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into blocks (organization_id, block_id, subject_kind, principal_id, team_id, role_key, pattern, resource_kind, \
              resource_id, starts_at, ends_at, condition_key, reason, conflict_key, given_by, given_at) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
    UPDATE = "update blocks set starts_at = $3, ends_at = $4, condition_key = $5, reason = $6, given_by = $7, given_at = $8 \
              where organization_id = $1 and block_id = $2";
    DELETE = "delete from blocks where organization_id = $1 and block_id = $2";
    DELETE_OF_TEAM = "delete from blocks where organization_id = $1 and team_id = $2";
    GET = select!("where organization_id = $1 and block_id = $2");
    PAGE = select!("where organization_id = $1 and block_id > $2 order by block_id limit $3");
    OF_PRINCIPAL = select!("where organization_id = $1 and principal_id = $2 order by block_id");
    OF_ROLE = select!("where organization_id = $1 and role_key = $2 order by block_id");
    FACTS = select!("where organization_id = $1 order by block_id");
    ALL_FACTS = select!("where organization_id >= $1 and organization_id <= $2 order by organization_id, block_id");
}

/// A block with who set it.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockRow {
    /// The block.
    pub block: BlockFact,
    /// Who set it, and when.
    pub given: Given,
}

fn subject(row: RowRef<'_>) -> Result<BlockSubject> {
    Ok(match row.get_text(2)? {
        "principal" => BlockSubject::Principal(PrincipalId(row.get_id(3)?)),
        "team" => BlockSubject::Team(TeamId(row.get_id(4)?)),
        "role" => BlockSubject::Role(row::parsed(row, 5)?),
        "everyone" => BlockSubject::Everyone,
        other => return Err(row::bad(2, format_args!("{other:?} is none of the known words"))),
    })
}

fn block(row: RowRef<'_>) -> Result<BlockRow> {
    Ok(BlockRow {
        block: BlockFact {
            id: BlockId(row.get_id(1)?),
            subject: subject(row)?,
            pattern: row::parsed(row, 6)?,
            reach: row::reach(row, 7)?,
            window: row::window(row, 9)?,
            condition: row::opt_key(row, 11)?,
            reason: row::text(row, 12)?,
            conflict: row::opt_key(row, 13)?,
        },
        given: Given { by: row.get_opt_id(14)?.map(PrincipalId), at: row::time(row, 15)? },
    })
}

fn fact(row: RowRef<'_>) -> Result<BlockFact> {
    Ok(block(row)?.block)
}

/// Adds a block.
pub async fn insert(tx: &mut Tx, organization: OrganizationId, row: &BlockRow) -> Result<()> {
    let (it, given) = (&row.block, row.given);
    let (kind, principal, team, role) = match &it.subject {
        BlockSubject::Principal(principal) => ("principal", Some(*principal), None, None),
        BlockSubject::Team(team) => ("team", None, Some(*team), None),
        BlockSubject::Role(role) => ("role", None, None, Some(role)),
        BlockSubject::Everyone => ("everyone", None, None, None),
    };
    let [resource_kind, resource] = row::reach_params(&it.reach);
    let (from, to) = (it.window.from(), it.window.to());
    tx.execute(
        &INSERT,
        params![
            organization,
            it.id,
            kind,
            principal,
            team,
            role,
            it.pattern,
            resource_kind,
            resource,
            from,
            to,
            it.condition,
            it.reason,
            it.conflict,
            given.by,
            given.at
        ],
    )
    .await?;
    Ok(())
}

/// Changes window, condition, reason and who set it; subject, pattern and reach stay.
pub async fn update(tx: &mut Tx, organization: OrganizationId, row: &BlockRow) -> Result<bool> {
    let (it, given) = (&row.block, row.given);
    let (from, to) = (it.window.from(), it.window.to());
    let params = params![organization, it.id, from, to, it.condition, it.reason, given.by, given.at];
    Ok(tx.execute(&UPDATE, params).await? > 0)
}

/// Removes a block.
pub async fn delete(tx: &mut Tx, organization: OrganizationId, block: BlockId) -> Result<bool> {
    Ok(tx.execute(&DELETE, params![organization, block]).await? > 0)
}

/// Removes the blocks of a team.
pub async fn delete_of_team(tx: &mut Tx, organization: OrganizationId, team: TeamId) -> Result<u64> {
    tx.execute(&DELETE_OF_TEAM, params![organization, team]).await
}

/// The block with this id.
pub async fn get(conn: &mut Conn, organization: OrganizationId, block: BlockId) -> Result<Option<BlockRow>> {
    row::opt(conn, &GET, params![organization, block], self::block).await
}

/// The blocks after an id.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: BlockId,
    limit: u32,
) -> Result<Page<BlockRow>> {
    row::page(conn, &PAGE, params![organization, after], limit, block).await
}

/// The blocks that name a principal.
pub async fn of_principal(
    conn: &mut Conn,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<Vec<BlockRow>> {
    row::list(conn, &OF_PRINCIPAL, params![organization, principal], block).await
}

/// The blocks that name a role.
pub async fn of_role(conn: &mut Conn, organization: OrganizationId, role: &RoleKey) -> Result<Vec<BlockRow>> {
    row::list(conn, &OF_ROLE, params![organization, role], block).await
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, BlockFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS, &ALL_FACTS], fact, f).await
}
