//! OAuth clients of an organization, and the directory that says whose client an id is.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OauthClientId, OrganizationId, PrincipalId, Timestamp};

use crate::param::texts;
use crate::{Page, Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select organization_id, client_id, name, kind, redirect_uris, post_logout_redirect_uris, grant_types, scopes, is_first_party, \
             service_account_id, pepper_version, secret_hash, previous_secret_hash, previous_until, status, created_by, created_at, \
             updated_at, row_version, id_token_alg, audiences, previous_pepper_version from oauth_clients ",
            $rest
        )
    };
}

statements! {
    INSERT_HOME = "insert into oauth_client_homes (client_id, organization_id) values ($2, $1)";
    INSERT = "insert into oauth_clients (organization_id, client_id, name, kind, redirect_uris, post_logout_redirect_uris, grant_types, \
              scopes, is_first_party, service_account_id, pepper_version, secret_hash, status, created_by, created_at, updated_at, \
              row_version, id_token_alg, audiences) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, 1, $16, $17)";
    HOME = "select organization_id from oauth_client_homes where client_id = $1";
    GET = select!("where organization_id = $1 and client_id = $2");
    PAGE = select!("where organization_id = $1 and client_id > $2 order by client_id limit $3");
    COUNT = "select count(*) from oauth_clients where organization_id = $1 and status <> 'deleted'";
    UPDATE = "update oauth_clients set name = $4, redirect_uris = $5, post_logout_redirect_uris = $6, grant_types = $7, scopes = $8, \
              is_first_party = $9, service_account_id = $10, status = $11, updated_at = $12, id_token_alg = $13, audiences = $14, row_version = row_version + 1 \
              where organization_id = $1 and client_id = $2 and row_version = $3";
    HOLD = "update oauth_clients set row_version = row_version \
            where organization_id = $1 and client_id = $2 and row_version = $3 and status = 'active'";
    ROTATE = "update oauth_clients set pepper_version = $3, secret_hash = $4, previous_secret_hash = $5, previous_pepper_version = pepper_version, previous_until = $6, \
              updated_at = $7, row_version = row_version + 1 where organization_id = $1 and client_id = $2 and status <> 'deleted'";
    DELETE = "update oauth_clients set status = 'deleted', secret_hash = null, previous_secret_hash = null, previous_until = null, \
              updated_at = $3, row_version = row_version + 1 where organization_id = $1 and client_id = $2 and status <> 'deleted'";
}

macro_rules! words {
    ($($(#[$doc:meta])* $type:ident { $($(#[$of:meta])* $name:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$of])* $name),* }

        impl $type {
            /// The word used on the wire and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $word),* } }

            /// The value a word names.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> { match word { $($word => Some(Self::$name),)* _ => None } }
        }
    )*};
}

words! {
    /// Where a client runs, and so whether it can keep a secret.
    ClientKind {
        /// On a server of its own: it keeps a secret.
        Confidential = "confidential",
        /// In a browser: it keeps none.
        Public = "public",
        /// On a device of its user: it keeps none, and listens on a port of that device.
        Native = "native",
    }
    /// How the ID tokens of a client are signed.
    IdTokenAlg {
        /// ECDSA over P-256.
        Es256 = "ES256",
        /// RSA, for those who know nothing else.
        Rs256 = "RS256",
    }
    /// Where a client is in its life.
    ClientStatus {
        /// It may be used.
        Active = "active",
        /// It may not, until it is enabled again.
        Disabled = "disabled",
        /// It may not, for good; kept for the trail.
        Deleted = "deleted",
    }
}

/// An OAuth client.
#[derive(Clone, PartialEq, Eq)]
pub struct OauthClient {
    /// The organization.
    pub organization: OrganizationId,
    /// Its id, which it tells everybody.
    pub id: OauthClientId,
    /// What people know it as.
    pub name: String,
    /// Where it runs.
    pub kind: ClientKind,
    /// Where browsers may be sent back to.
    pub redirect_uris: Vec<String>,
    /// Where they may be sent after signing out.
    pub post_logout_redirect_uris: Vec<String>,
    /// How it may ask for tokens.
    pub grant_types: Vec<String>,
    /// What it may ask for.
    pub scopes: Vec<String>,
    /// Whether it is the organization's own.
    pub is_first_party: bool,
    /// Whom its client credentials stand for.
    pub service_account: Option<PrincipalId>,
    /// Which pepper the hash of its secret was made with.
    pub pepper_version: Option<u32>,
    /// Keyed hash of its secret.
    pub secret_hash: Option<Vec<u8>>,
    /// Keyed hash of the secret before it.
    pub previous_secret_hash: Option<Vec<u8>>,
    /// Which pepper that was made with, where it is known.
    pub previous_pepper_version: Option<u32>,
    /// Until when that one is taken as well.
    pub previous_until: Option<Timestamp>,
    /// How its ID tokens are signed.
    pub id_token_alg: IdTokenAlg,
    /// What its access tokens may be for besides Charter itself.
    pub audiences: Vec<String>,
    /// Where it is in its life.
    pub status: ClientStatus,
    /// Who made it; none is the operator.
    pub created_by: Option<PrincipalId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its version.
    pub row_version: u64,
}

impl core::fmt::Debug for OauthClient {
    /// Everything but the hashes.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OauthClient").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

fn client(row: RowRef<'_>) -> Result<OauthClient> {
    Ok(OauthClient {
        organization: row::organization(row)?,
        id: OauthClientId(row.get_id(1)?),
        name: row::text(row, 2)?,
        kind: row::word(row, 3, ClientKind::from_word)?,
        redirect_uris: row::texts(row, 4)?,
        post_logout_redirect_uris: row::texts(row, 5)?,
        grant_types: row::texts(row, 6)?,
        scopes: row::texts(row, 7)?,
        is_first_party: row.get(8)?,
        service_account: row.get_opt_id(9)?.map(PrincipalId),
        pepper_version: row.get(10)?,
        secret_hash: row.get(11)?,
        previous_secret_hash: row.get(12)?,
        previous_until: row::opt_time(row, 13)?,
        status: row::word(row, 14, ClientStatus::from_word)?,
        created_by: row.get_opt_id(15)?.map(PrincipalId),
        created_at: row::time(row, 16)?,
        updated_at: row::time(row, 17)?,
        row_version: row.get(18)?,
        id_token_alg: row::word(row, 19, IdTokenAlg::from_word)?,
        audiences: row::texts(row, 20)?,
        previous_pepper_version: row.get(21)?,
    })
}

/// Adds a client.
pub async fn insert(tx: &mut Tx, organization: OrganizationId, client: &OauthClient) -> Result<()> {
    let it = client;
    tx.execute(&INSERT_HOME, params![organization, it.id]).await?;
    tx.execute(
        &INSERT,
        params![
            organization,
            it.id,
            it.name,
            it.kind.as_str(),
            texts(&it.redirect_uris),
            texts(&it.post_logout_redirect_uris),
            texts(&it.grant_types),
            texts(&it.scopes),
            it.is_first_party,
            it.service_account,
            it.pepper_version,
            it.secret_hash,
            it.status.as_str(),
            it.created_by,
            it.created_at,
            it.id_token_alg.as_str(),
            texts(&it.audiences)
        ],
    )
    .await?;
    Ok(())
}

/// The client with this id in an organization.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    id: OauthClientId,
) -> Result<Option<OauthClient>> {
    row::opt(conn, &GET, params![organization, id], client).await
}

/// The client with this id, whosever it is.
pub async fn anywhere(conn: &mut Conn, id: OauthClientId) -> Result<Option<OauthClient>> {
    match row::opt(conn, &HOME, params![id], row::organization).await? {
        Some(organization) => get(conn, organization, id).await,
        None => Ok(None),
    }
}

/// Clients after an id, in the order they were made.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: OauthClientId,
    limit: u32,
) -> Result<Page<OauthClient>> {
    row::page(conn, &PAGE, params![organization, after], limit, client).await
}

/// How many clients an organization has, switched off or not.
pub async fn count(conn: &mut Conn, organization: OrganizationId) -> Result<u64> {
    conn.query_one(&COUNT, params![organization]).await?.get(0)
}

/// Holds a client that is active and still the version that was read: nobody changes it before this is final.
pub async fn hold(
    tx: &mut Tx,
    organization: OrganizationId,
    client: OauthClientId,
    version: u64,
) -> Result<bool> {
    Ok(tx.execute(&HOLD, params![organization, client, version]).await? == 1)
}

/// Changes a client if it is still the version that was read.
pub async fn update(tx: &mut Tx, organization: OrganizationId, client: &OauthClient) -> Result<bool> {
    let it = client;
    let params = params![
        organization,
        it.id,
        it.row_version,
        it.name,
        texts(&it.redirect_uris),
        texts(&it.post_logout_redirect_uris),
        texts(&it.grant_types),
        texts(&it.scopes),
        it.is_first_party,
        it.service_account,
        it.status.as_str(),
        it.updated_at,
        it.id_token_alg.as_str(),
        texts(&it.audiences)
    ];
    Ok(tx.execute(&UPDATE, params).await? > 0)
}

/// Gives a client a new secret; the one before it is taken as well until an instant.
pub async fn rotate(
    tx: &mut Tx,
    organization: OrganizationId,
    id: OauthClientId,
    secret: (u32, &[u8]),
    previous: Option<(&[u8], Timestamp)>,
    now: Timestamp,
) -> Result<bool> {
    let (hash, until) = previous.unzip();
    let params = params![organization, id, secret.0, secret.1, hash, until, now];
    Ok(tx.execute(&ROTATE, params).await? > 0)
}

/// Removes a client for good; its row stays for the trail, without its secrets.
pub async fn delete(
    tx: &mut Tx,
    organization: OrganizationId,
    id: OauthClientId,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&DELETE, params![organization, id, now]).await? > 0)
}
