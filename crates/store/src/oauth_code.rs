//! Authorization codes, each of which is exchanged once. The code is kept as a keyed hash.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OauthClientId, OrganizationId, PrincipalId, SessionId, Timestamp};

use crate::param::texts;
use crate::{Result, row};

statements! {
    INSERT = "insert into oauth_codes (organization_id, code_hash, client_id, principal_id, session_id, redirect_uri, code_challenge, \
              scope, nonce, amr, authenticated_at, created_at, expires_at, audiences) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    GET = "select organization_id, client_id, principal_id, session_id, redirect_uri, code_challenge, scope, nonce, amr, \
           authenticated_at, created_at, expires_at, used_at, begun_session_id, audiences from oauth_codes \
           where organization_id = $1 and code_hash = $2";
    TAKE = "update oauth_codes set used_at = $3, begun_session_id = $4 where organization_id = $1 and code_hash = $2 and used_at is null";
    DELETE_UNUSED = "delete from oauth_codes where organization_id = $1 and client_id = $2 and principal_id = $3 and used_at is null";
    DELETE_UNUSED_OF_PRINCIPAL = "delete from oauth_codes where organization_id = $1 and principal_id = $2 and used_at is null";
    PURGE = "delete from oauth_codes where expires_at < $1";
}

/// An authorization code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthCode {
    /// The organization of its client.
    pub organization: OrganizationId,
    /// The client it was given to.
    pub client: OauthClientId,
    /// Whom it stands for.
    pub principal: PrincipalId,
    /// The browser's session in which it was asked for.
    pub session: SessionId,
    /// Where it was sent.
    pub redirect_uri: String,
    /// What its verifier hashes to (RFC 7636).
    pub code_challenge: String,
    /// What it is for.
    pub scope: String,
    /// What access tokens may be for; nothing is Charter itself.
    pub audiences: Vec<String>,
    /// What the client wants to find in the ID token.
    pub nonce: Option<String>,
    /// How the principal proved itself, joined by spaces.
    pub amr: String,
    /// When it did.
    pub authenticated_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was exchanged.
    pub used_at: Option<Timestamp>,
    /// The session that began.
    pub begun_session: Option<SessionId>,
}

fn code(row: RowRef<'_>) -> Result<OauthCode> {
    Ok(OauthCode {
        organization: row::organization(row)?,
        client: OauthClientId(row.get_id(1)?),
        principal: PrincipalId(row.get_id(2)?),
        session: SessionId(row.get_id(3)?),
        redirect_uri: row::text(row, 4)?,
        code_challenge: row::text(row, 5)?,
        scope: row::text(row, 6)?,
        audiences: row::texts(row, 14)?,
        nonce: row::opt_text(row, 7)?,
        amr: row::text(row, 8)?,
        authenticated_at: row::time(row, 9)?,
        created_at: row::time(row, 10)?,
        expires_at: row::time(row, 11)?,
        used_at: row::opt_time(row, 12)?,
        begun_session: row.get_opt_id(13)?.map(SessionId),
    })
}

/// Keeps a code.
pub async fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    hash: &[u8; 32],
    code: &OauthCode,
) -> Result<()> {
    let it = code;
    tx.execute(
        &INSERT,
        params![
            organization,
            hash,
            it.client,
            it.principal,
            it.session,
            it.redirect_uri,
            it.code_challenge,
            it.scope,
            it.nonce,
            it.amr,
            it.authenticated_at,
            it.created_at,
            it.expires_at,
            texts(&it.audiences)
        ],
    )
    .await?;
    Ok(())
}

/// Forgets the codes of a principal for a client that were not exchanged yet.
pub async fn delete_unused(
    tx: &mut Tx,
    organization: OrganizationId,
    client: OauthClientId,
    principal: PrincipalId,
) -> Result<u64> {
    tx.execute(&DELETE_UNUSED, params![organization, client, principal]).await
}

/// Forgets the codes of a principal in an organization that were not exchanged yet.
pub async fn delete_unused_of_principal(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<u64> {
    tx.execute(&DELETE_UNUSED_OF_PRINCIPAL, params![organization, principal]).await
}

/// The code with this hash, used or not.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    hash: &[u8; 32],
) -> Result<Option<OauthCode>> {
    row::opt(conn, &GET, params![organization, hash], code).await
}

/// Uses a code up, for the session it begins where it begins one. Nothing means: somebody did before.
pub async fn take(
    tx: &mut Tx,
    organization: OrganizationId,
    hash: &[u8; 32],
    now: Timestamp,
    begun: Option<SessionId>,
) -> Result<bool> {
    Ok(tx.execute(&TAKE, params![organization, hash, now, begun]).await? > 0)
}

/// Forgets codes that ended before a time.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}
