//! Invitations of an organization, and the directory that says whose a token is. Addresses are sealed before they come here.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{InvitationId, OrganizationId, PrincipalId, RoleKey, Timestamp};

use crate::param::texts;
use crate::{Page, Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select invitation_id, token_hash, email_hash, email, roles, status, invited_by, created_at, expires_at, closed_at, closed_by, \
             principal_id from invitations ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into invitations (organization_id, invitation_id, token_hash, email_hash, email, roles, status, invited_by, \
              created_at, expires_at) values ($1, $2, $3, $4, $5, $6, 'open', $7, $8, $9)";
    INSERT_HOME = "insert into invitation_homes (token_id, organization_id, invitation_id) values ($2, $1, $3)";
    HOME = "select organization_id, invitation_id from invitation_homes where token_id = $1";
    GET = select!("where organization_id = $1 and invitation_id = $2");
    IS_OPEN = "select 1 from invitations where organization_id = $1 and email_hash = $2 and status = 'open' and expires_at > $3";
    PAGE = select!("where organization_id = $1 and invitation_id < $2 order by invitation_id desc limit $3");
    ACCEPT = "update invitations set status = 'accepted', closed_at = $3, closed_by = $4, principal_id = $4 \
              where organization_id = $1 and invitation_id = $2 and status = 'open' and closed_at is null and expires_at > $3";
    REVOKE = "update invitations set status = 'revoked', closed_at = $3, closed_by = $4 \
              where organization_id = $1 and invitation_id = $2 and status = 'open' and closed_at is null";
    OVERDUE = "select organization_id, invitation_id from invitations where status = 'open' and closed_at is null and expires_at <= $1 \
               order by expires_at, organization_id, invitation_id limit $2";
    // It stays open in the table, and is closed: nobody accepted it and nobody withdrew it.
    EXPIRE = "update invitations set closed_at = expires_at \
              where organization_id = $1 and invitation_id = $2 and status = 'open' and closed_at is null and expires_at <= $3";
    PURGE_HOMES = "delete from invitation_homes where invitation_id in \
                   (select invitation_id from invitations where closed_at is not null and closed_at < $1)";
    PURGE = "delete from invitations where closed_at is not null and closed_at < $1";
}

/// Where an invitation is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitationStatus {
    /// It may be accepted, while its time is not over.
    Open,
    /// It was accepted.
    Accepted,
    /// It was withdrawn.
    Revoked,
    /// Its time was over.
    Expired,
}

impl InvitationStatus {
    /// The word used on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Accepted, Self::Revoked].into_iter().find(|status| status.as_str() == word)
    }
}

/// An invitation.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Keyed hash of the token that was mailed.
    pub token_hash: Vec<u8>,
    /// Keyed hash of the address.
    pub email_hash: Vec<u8>,
    /// The address, sealed.
    pub email: Vec<u8>,
    /// Roles that come with it.
    pub roles: Vec<RoleKey>,
    /// Where it is in its life.
    pub status: InvitationStatus,
    /// Who invited; none is the operator.
    pub invited_by: Option<PrincipalId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its time is over.
    pub expires_at: Timestamp,
    /// When it was accepted, withdrawn, or ran out.
    pub closed_at: Option<Timestamp>,
    /// By whom; none is the operator, or nobody yet.
    pub closed_by: Option<PrincipalId>,
    /// The account that accepted.
    pub principal: Option<PrincipalId>,
}

impl core::fmt::Debug for Invitation {
    /// Everything but whom it is for.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Invitation").field("id", &self.id).field("status", &self.status).finish()
    }
}

fn invitation(row: RowRef<'_>) -> Result<Invitation> {
    let closed_at = row::opt_time(row, 9)?;
    let status = match row::word(row, 5, InvitationStatus::from_word)? {
        InvitationStatus::Open if closed_at.is_some() => InvitationStatus::Expired,
        status => status,
    };
    Ok(Invitation {
        id: InvitationId(row.get_id(0)?),
        token_hash: row.get_bytes(1)?.to_vec(),
        email_hash: row.get_bytes(2)?.to_vec(),
        email: row.get_bytes(3)?.to_vec(),
        roles: row::keys(row, 4)?,
        status,
        invited_by: row.get_opt_id(6)?.map(PrincipalId),
        created_at: row::time(row, 7)?,
        expires_at: row::time(row, 8)?,
        closed_at,
        closed_by: row.get_opt_id(10)?.map(PrincipalId),
        principal: row.get_opt_id(11)?.map(PrincipalId),
    })
}

/// Adds an invitation, and says whose the public part of its token is.
pub async fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    token_id: &str,
    it: &Invitation,
) -> Result<()> {
    let roles: Vec<String> = it.roles.iter().map(ToString::to_string).collect();
    let params = params![
        organization,
        it.id,
        it.token_hash,
        it.email_hash,
        it.email,
        texts(&roles),
        it.invited_by,
        it.created_at,
        it.expires_at
    ];
    tx.execute(&INSERT, params).await?;
    tx.execute(&INSERT_HOME, params![organization, token_id, it.id]).await?;
    Ok(())
}

/// Whose invitation the public part of a token names.
pub async fn home(conn: &mut Conn, token_id: &str) -> Result<Option<(OrganizationId, InvitationId)>> {
    row::opt(conn, &HOME, params![token_id], |row| {
        Ok((row::organization(row)?, InvitationId(row.get_id(1)?)))
    })
    .await
}

/// One invitation.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    id: InvitationId,
) -> Result<Option<Invitation>> {
    row::opt(conn, &GET, params![organization, id], invitation).await
}

/// Whether an address has an invitation that may be accepted.
pub async fn is_open(
    conn: &mut Conn,
    organization: OrganizationId,
    email_hash: &[u8; 32],
    now: Timestamp,
) -> Result<bool> {
    row::exists(conn, &IS_OPEN, params![organization, email_hash, now]).await
}

/// Invitations, newest first, from below an id.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    below: InvitationId,
    limit: u32,
) -> Result<Page<Invitation>> {
    row::page(conn, &PAGE, params![organization, below], limit, invitation).await
}

/// Uses an invitation up; false when another was first, or its time is over.
pub async fn accept(
    tx: &mut Tx,
    organization: OrganizationId,
    id: InvitationId,
    principal: PrincipalId,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&ACCEPT, params![organization, id, now, principal]).await? > 0)
}

/// Withdraws an invitation; false when it is open no more.
pub async fn revoke(
    tx: &mut Tx,
    organization: OrganizationId,
    id: InvitationId,
    by: Option<PrincipalId>,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&REVOKE, params![organization, id, now, by]).await? > 0)
}

/// Open invitations of any organization whose time is over.
pub async fn overdue(
    conn: &mut Conn,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(OrganizationId, InvitationId)>> {
    row::list(conn, &OVERDUE, params![now, limit], |row| {
        Ok((row::organization(row)?, InvitationId(row.get_id(1)?)))
    })
    .await
}

/// Ends an invitation whose time is over; false when it ended before.
pub async fn expire(
    tx: &mut Tx,
    organization: OrganizationId,
    id: InvitationId,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&EXPIRE, params![organization, id, now]).await? > 0)
}

/// Forgets invitations that ended before a time.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE_HOMES, params![before]).await?;
    tx.execute(&PURGE, params![before]).await
}
