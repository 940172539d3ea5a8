//! Requests of newcomers for an account. Addresses and names are sealed before they come here.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OrganizationId, PrincipalId, RegistrationId, RoleKey, Timestamp};

use crate::{Page, Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select organization_id, request_id, email_hash, email, name, role, status, created_at, expires_at, proved_at, decided_at, \
             decided_by, reason, principal_id from registration_requests ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into registration_requests (organization_id, request_id, email_hash, mailbox_hash, email, name, role, status, \
              created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, 'asked', $8, $9)";
    ASKED_SINCE = "select count(*) from registration_requests where organization_id = $1 and mailbox_hash = $2 and created_at > $3";
    WAITING_FOR_MAIL = select!("where status = 'asked' and created_at <= $1 order by created_at, organization_id, request_id limit $2");
    OVERDUE = "select organization_id, request_id from registration_requests \
               where status in ('asked', 'unproved', 'waiting') and expires_at <= $1 order by expires_at, organization_id, request_id limit $2";
    GET = select!("where organization_id = $1 and request_id = $2");
    BY_TOKEN = select!("where organization_id = $1 and token_hash = $2");
    IS_WAITING = "select 1 from registration_requests where organization_id = $1 and email_hash = $2 and status = 'waiting'";
    PAGE = select!("where organization_id = $1 and request_id < $2 and status in ('waiting', 'approved', 'rejected', 'expired') \
                    and proved_at is not null order by request_id desc limit $3");
    PAGE_OF_STATUS = select!("where organization_id = $1 and status = $3 and request_id < $2 and proved_at is not null \
                              order by request_id desc limit $4");
    MAIL = "update registration_requests set status = 'unproved', token_hash = $3 \
            where organization_id = $1 and request_id = $2 and status = 'asked'";
    PROVE = "update registration_requests set status = 'waiting', proved_at = $3 \
             where organization_id = $1 and request_id = $2 and status = 'unproved' and expires_at > $3";
    CLOSE = "update registration_requests set status = $4, decided_at = $5, decided_by = $6, reason = $7, principal_id = $8 \
             where organization_id = $1 and request_id = $2 and status = $3";
    PURGE = "delete from registration_requests where status in ('approved', 'rejected', 'expired') and expires_at < $1";
}

/// Where a request is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationStatus {
    /// Nobody has looked at it.
    Asked,
    /// A mail was sent to its address.
    Unproved,
    /// Its address is proved; somebody has to decide.
    Waiting,
    /// An account came of it.
    Approved,
    /// It was turned down.
    Rejected,
    /// Its time was over.
    Expired,
}

impl RegistrationStatus {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Asked, Self::Unproved, Self::Waiting, Self::Approved, Self::Rejected, Self::Expired];

    /// The word used on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Unproved => "unproved",
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    /// The status a word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A request.
#[derive(Clone, PartialEq, Eq)]
pub struct Registration {
    /// The organization that is asked.
    pub organization: OrganizationId,
    /// Its id.
    pub id: RegistrationId,
    /// Keyed hash of the address.
    pub email_hash: Vec<u8>,
    /// The address, sealed.
    pub email: Vec<u8>,
    /// The name, sealed.
    pub name: Vec<u8>,
    /// The role that is asked for, where one is.
    pub role: Option<RoleKey>,
    /// Where it is in its life.
    pub status: RegistrationStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its time is over.
    pub expires_at: Timestamp,
    /// When its address was proved.
    pub proved_at: Option<Timestamp>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// By whom; none is the operator, or nobody.
    pub decided_by: Option<PrincipalId>,
    /// Why.
    pub reason: Option<String>,
    /// The account that came of it.
    pub principal: Option<PrincipalId>,
}

impl core::fmt::Debug for Registration {
    /// Everything but whom it is about.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Registration").field("id", &self.id).field("status", &self.status).finish()
    }
}

fn registration(row: RowRef<'_>) -> Result<Registration> {
    Ok(Registration {
        organization: row::organization(row)?,
        id: RegistrationId(row.get_id(1)?),
        email_hash: row.get_bytes(2)?.to_vec(),
        email: row.get_bytes(3)?.to_vec(),
        name: row.get_bytes(4)?.to_vec(),
        role: row::opt_key(row, 5)?,
        status: row::word(row, 6, RegistrationStatus::from_word)?,
        created_at: row::time(row, 7)?,
        expires_at: row::time(row, 8)?,
        proved_at: row::opt_time(row, 9)?,
        decided_at: row::opt_time(row, 10)?,
        decided_by: row.get_opt_id(11)?.map(PrincipalId),
        reason: row::opt_text(row, 12)?,
        principal: row.get_opt_id(13)?.map(PrincipalId),
    })
}

/// Notes that somebody asked.
pub async fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    it: &Registration,
    mailbox_hash: &[u8; 32],
) -> Result<()> {
    let params = params![
        organization,
        it.id,
        it.email_hash,
        mailbox_hash,
        it.email,
        it.name,
        it.role,
        it.created_at,
        it.expires_at
    ];
    tx.execute(&INSERT, params).await?;
    Ok(())
}

/// How often a mailbox was asked for since a time.
pub async fn asked_since(
    conn: &mut Conn,
    organization: OrganizationId,
    mailbox_hash: &[u8; 32],
    since: Timestamp,
) -> Result<u64> {
    conn.query_one(&ASKED_SINCE, params![organization, mailbox_hash, since]).await?.get(0)
}

/// What was asked of any organization until an instant and nobody has looked at yet, oldest first.
pub async fn waiting_for_mail(conn: &mut Conn, now: Timestamp, limit: u32) -> Result<Vec<Registration>> {
    row::list(conn, &WAITING_FOR_MAIL, params![now, limit], registration).await
}

/// Open requests of any organization whose time is over.
pub async fn overdue(
    conn: &mut Conn,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(OrganizationId, RegistrationId)>> {
    row::list(conn, &OVERDUE, params![now, limit], |row| {
        Ok((row::organization(row)?, RegistrationId(row.get_id(1)?)))
    })
    .await
}

/// One request.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    id: RegistrationId,
) -> Result<Option<Registration>> {
    row::opt(conn, &GET, params![organization, id], registration).await
}

/// The request whose token has this hash.
pub async fn by_token(
    conn: &mut Conn,
    organization: OrganizationId,
    token_hash: &[u8; 32],
) -> Result<Option<Registration>> {
    row::opt(conn, &BY_TOKEN, params![organization, token_hash], registration).await
}

/// Whether a request of an address waits for a decision.
pub async fn is_waiting(conn: &mut Conn, organization: OrganizationId, email_hash: &[u8]) -> Result<bool> {
    row::exists(conn, &IS_WAITING, params![organization, email_hash]).await
}

/// Requests whose address was proved, newest first, from below an id.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    below: RegistrationId,
    status: Option<RegistrationStatus>,
    limit: u32,
) -> Result<Page<Registration>> {
    match status {
        None => row::page(conn, &PAGE, params![organization, below], limit, registration).await,
        Some(status) => {
            let params = params![organization, below, status.as_str()];
            row::page(conn, &PAGE_OF_STATUS, params, limit, registration).await
        }
    }
}

/// Adds the token that is mailed; false when another was first.
pub async fn mail(
    tx: &mut Tx,
    organization: OrganizationId,
    id: RegistrationId,
    token_hash: &[u8; 32],
) -> Result<bool> {
    Ok(tx.execute(&MAIL, params![organization, id, token_hash]).await? > 0)
}

/// Uses the token up: the address is proved. False when another was first, or the time is over.
pub async fn prove(
    tx: &mut Tx,
    organization: OrganizationId,
    id: RegistrationId,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&PROVE, params![organization, id, now]).await? > 0)
}

/// How a request ends.
#[derive(Debug, Clone)]
pub struct Closing {
    /// What it becomes.
    pub status: RegistrationStatus,
    /// When.
    pub at: Timestamp,
    /// Who says so; none is the operator, or nobody.
    pub by: Option<PrincipalId>,
    /// Why.
    pub reason: String,
    /// The account that came of it.
    pub principal: Option<PrincipalId>,
}

/// Ends a request that is in a state; false when it is in another.
pub async fn close(
    tx: &mut Tx,
    organization: OrganizationId,
    id: RegistrationId,
    from: RegistrationStatus,
    it: &Closing,
) -> Result<bool> {
    let params =
        params![organization, id, from.as_str(), it.status.as_str(), it.at, it.by, it.reason, it.principal];
    Ok(tx.execute(&CLOSE, params).await? > 0)
}

/// Forgets ended requests of any organization whose time was over before an instant.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}
