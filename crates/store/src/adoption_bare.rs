//! Memberships on which nothing hangs that people made: a run may take such a one away, and puts it back as it was.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{OrganizationId, PrincipalId, Timestamp};
use std::collections::BTreeSet;

use crate::param::Document;
use crate::{Result, row};

/// What people may make of a membership, but for rows that runs write, too.
macro_rules! made {
    ($($table:literal $column:literal)*) => {
        concat!(
            "select principal_id from assignments where organization_id = $1 and principal_id >= $2 and principal_id <= $3 and assignment_id >= $4 \
             union select principal_id from grants where organization_id = $1 and principal_id >= $2 and principal_id <= $3 and grant_id >= $4",
            $(" union select ", $column, " from ", $table, " where organization_id = $1 and ", $column, " >= $2 and ", $column, " <= $3"),*
        )
    };
}

statements! {
    MADE = made!(
        "team_members" "principal_id" "blocks" "principal_id" "org_previews" "principal_id" "credentials" "principal_id"
        "oauth_consents" "principal_id" "resources" "owner_id"
    );
    STATE = "select status, starts_at, ends_at, attributes, created_at, updated_at from memberships \
             where organization_id = $1 and principal_id = $2";
    INSERT = "insert into memberships (organization_id, principal_id, status, starts_at, ends_at, attributes, created_at, updated_at) \
              values ($1, $2, $3, $4, $5, $6, $7, $8)";
    INSERT_DIRECTORY = "insert into principal_memberships (principal_id, organization_id) values ($2, $1) \
                        on conflict (principal_id, organization_id) do nothing";
}

/// Members from one to another of whom people made something in an organization; of assignments and grants those count whose ids begin there.
pub async fn with_more(
    conn: &mut Conn,
    organization: OrganizationId,
    (first, last): (PrincipalId, PrincipalId),
    from: u128,
) -> Result<BTreeSet<PrincipalId>> {
    let params = params![organization, first, last, PrincipalId(from)];
    let found = row::list(conn, &MADE, params, |row| Ok(row.get_opt_id(0)?.map(PrincipalId))).await?;
    Ok(found.into_iter().flatten().collect())
}

/// A membership, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipState {
    /// Where it is in its life.
    pub status: PrincipalStatus,
    /// From when it counts.
    pub starts_at: Option<Timestamp>,
    /// Until when.
    pub ends_at: Option<Timestamp>,
    /// What is kept about the member, a JSON object.
    pub attributes: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

fn state(row: RowRef<'_>) -> Result<MembershipState> {
    Ok(MembershipState {
        status: row::word(row, 0, PrincipalStatus::from_word)?,
        starts_at: row::opt_time(row, 1)?,
        ends_at: row::opt_time(row, 2)?,
        attributes: row.get_json(3)?.to_owned(),
        created_at: row::time(row, 4)?,
        updated_at: row::time(row, 5)?,
    })
}

/// A membership as it is.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<Option<MembershipState>> {
    row::opt(conn, &STATE, params![organization, principal], state).await
}

/// Makes a membership as it was.
pub async fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
    it: &MembershipState,
) -> Result<()> {
    let attributes = Document(&it.attributes);
    let params = params![
        organization,
        principal,
        it.status.as_str(),
        it.starts_at,
        it.ends_at,
        attributes,
        it.created_at,
        it.updated_at
    ];
    tx.execute(&INSERT, params).await?;
    tx.execute(&INSERT_DIRECTORY, params![organization, principal]).await?;
    Ok(())
}
