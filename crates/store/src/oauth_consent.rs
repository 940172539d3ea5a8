//! What people agreed that a client may do on their behalf.

use charter_db::{Conn, Tx};
use charter_kernel::{OauthClientId, OrganizationId, PrincipalId, Timestamp};

use crate::{Result, row};

statements! {
    PUT = "insert into oauth_consents (organization_id, client_id, principal_id, scope, given_at) values ($1, $2, $3, $4, $5) \
           on conflict (organization_id, client_id, principal_id) do update set scope = excluded.scope, given_at = excluded.given_at";
    GET = "select scope from oauth_consents where organization_id = $1 and client_id = $2 and principal_id = $3";
    DELETE_OF_CLIENT = "delete from oauth_consents where organization_id = $1 and client_id = $2";
}

/// Keeps what somebody agreed to, in place of what they agreed to before.
pub async fn put(
    tx: &mut Tx,
    organization: OrganizationId,
    client: OauthClientId,
    principal: PrincipalId,
    scope: &str,
    now: Timestamp,
) -> Result<()> {
    tx.execute(&PUT, params![organization, client, principal, scope, now]).await?;
    Ok(())
}

/// What somebody agreed to.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    client: OauthClientId,
    principal: PrincipalId,
) -> Result<Option<String>> {
    row::opt(conn, &GET, params![organization, client, principal], |row| row::text(row, 0)).await
}

/// Forgets what people agreed to about a client: everybody is asked again.
pub async fn delete_of_client(
    tx: &mut Tx,
    organization: OrganizationId,
    client: OauthClientId,
) -> Result<u64> {
    tx.execute(&DELETE_OF_CLIENT, params![organization, client]).await
}
