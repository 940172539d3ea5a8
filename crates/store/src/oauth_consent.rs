//! What people agreed that a client may do on their behalf, for each audience of its tokens.

use std::collections::BTreeMap;

use charter_db::{Conn, RowRef, Tx, Value};
use charter_kernel::{OauthClientId, OrganizationId, PrincipalId, Timestamp};

use crate::{Page, Result, row};

statements! {
    PUT = "insert into oauth_consents (organization_id, client_id, principal_id, scope, given_at, audiences) values ($1, $2, $3, $4, $5, $6) \
           on conflict (organization_id, client_id, principal_id) \
           do update set scope = excluded.scope, given_at = excluded.given_at, audiences = excluded.audiences";
    GET = "select audiences from oauth_consents where organization_id = $1 and client_id = $2 and principal_id = $3";
    OF_PRINCIPAL = "select c.client_id, o.name, c.scope, c.given_at, c.organization_id, c.audiences from oauth_consents c \
                    join oauth_clients o on o.organization_id = c.organization_id and o.client_id = c.client_id \
                    where c.organization_id = $1 and c.principal_id = $2 and c.client_id > $3 order by c.client_id limit $4";
    DELETE = "delete from oauth_consents where organization_id = $1 and client_id = $2 and principal_id = $3";
    DELETE_OF_PRINCIPAL = "delete from oauth_consents where organization_id = $1 and principal_id = $2 returning client_id";
    DELETE_SINCE = "delete from oauth_consents where organization_id = $1 and principal_id = $2 and given_at >= $3 returning client_id";
    DELETE_OF_CLIENT = "delete from oauth_consents where organization_id = $1 and client_id = $2";
}

/// The scope that was agreed to, by audience.
pub type Agreed = BTreeMap<String, String>;

fn agreed(row: RowRef<'_>, index: usize) -> Result<Agreed> {
    serde_json::from_str(row.get_json(index)?).map_err(|error| row::bad(index, error))
}

/// Every word that was agreed to, whatever for.
fn all_words(agreed: &Agreed) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in agreed.values().flat_map(|scope| scope.split(' ')) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" ")
}

/// Keeps what somebody agreed to, in place of what they agreed to before.
pub async fn put(
    tx: &mut Tx,
    organization: OrganizationId,
    client: OauthClientId,
    principal: PrincipalId,
    agreed: &Agreed,
    now: Timestamp,
) -> Result<()> {
    let by_audience = Value::Json(serde_json::json!(agreed).to_string());
    tx.execute(&PUT, params![organization, client, principal, all_words(agreed), now, by_audience]).await?;
    Ok(())
}

/// What somebody agreed to.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    client: OauthClientId,
    principal: PrincipalId,
) -> Result<Option<Agreed>> {
    row::opt(conn, &GET, params![organization, client, principal], |row| agreed(row, 0)).await
}

/// What somebody agreed to that one client may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthConsent {
    /// The organization of the client.
    pub organization: OrganizationId,
    /// The client.
    pub client: OauthClientId,
    /// What people know it as.
    pub name: String,
    /// What it may do, in the words of OAuth.
    pub scope: String,
    /// What of it for which audience.
    pub agreed: Agreed,
    /// When they agreed last.
    pub given_at: Timestamp,
}

/// What somebody agreed to in an organization, in the order in which the clients were registered, one page.
pub async fn of_principal(
    conn: &mut Conn,
    organization: OrganizationId,
    principal: PrincipalId,
    after: OauthClientId,
    limit: u32,
) -> Result<Page<OauthConsent>> {
    row::page(conn, &OF_PRINCIPAL, params![organization, principal, after], limit, |row| {
        Ok(OauthConsent {
            organization: OrganizationId(row.get_id(4)?),
            client: OauthClientId(row.get_id(0)?),
            name: row::text(row, 1)?,
            scope: row::text(row, 2)?,
            agreed: agreed(row, 5)?,
            given_at: row::time(row, 3)?,
        })
    })
    .await
}

/// Forgets what somebody agreed to about a client; tells whether there was anything.
pub async fn delete(
    tx: &mut Tx,
    organization: OrganizationId,
    client: OauthClientId,
    principal: PrincipalId,
) -> Result<bool> {
    Ok(tx.execute(&DELETE, params![organization, client, principal]).await? == 1)
}

/// Forgets what people agreed to about a client: everybody is asked again.
pub async fn delete_of_client(
    tx: &mut Tx,
    organization: OrganizationId,
    client: OauthClientId,
) -> Result<u64> {
    tx.execute(&DELETE_OF_CLIENT, params![organization, client]).await
}

/// Forgets what somebody agreed to in an organization; gives the clients they had let in.
pub async fn delete_of_principal(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<Vec<OauthClientId>> {
    row::list(tx, &DELETE_OF_PRINCIPAL, params![organization, principal], |row| {
        Ok(OauthClientId(row.get_id(0)?))
    })
    .await
}

/// Forgets what somebody agreed to in an organization since an instant; gives the clients they had let in.
pub async fn delete_since(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
    since: Timestamp,
) -> Result<Vec<OauthClientId>> {
    row::list(tx, &DELETE_SINCE, params![organization, principal, since], |row| {
        Ok(OauthClientId(row.get_id(0)?))
    })
    .await
}
