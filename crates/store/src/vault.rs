//! Keys of the vault and versions of the pepper, and how many credentials stand on each. The values they seal are walked by `sealed.rs`.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{CredentialId, OauthClientId, OrganizationId, Timestamp};

use crate::{Result, row};

statements! {
    KEYS = "select key_number, kek_id, wrapped_key, created_at, activates_at, keep_seconds, unreadable, retired_at, destroy_at, \
            destroyed_at from vault_keys order by key_number";
    INSERT_KEY = "insert into vault_keys (key_number, kek_id, wrapped_key, created_at, activates_at, keep_seconds, unreadable) \
                  values ($1, $2, $3, $4, $5, $6, 0)";
    REWRAP = "update vault_keys set kek_id = $2, wrapped_key = $3 where key_number = $1 and destroyed_at is null";
    RETIRE = "update vault_keys set retired_at = $2, destroy_at = $3 \
              where key_number < $1 and retired_at is null and destroyed_at is null returning key_number";
    UNREADABLE = "update vault_keys set unreadable = $2 where key_number = $1";
    REOPEN = "update vault_keys set retired_at = null, destroy_at = null where key_number = $1 and destroyed_at is null";
    DESTROY = "update vault_keys set wrapped_key = null, destroyed_at = $2 where key_number = $1 and destroyed_at is null";
    PEPPERS = "select pepper_version, sealed_pepper, proof, created_at, activates_at, indexed_at, ended_at from vault_peppers \
               order by pepper_version";
    INSERT_PEPPER = "insert into vault_peppers (pepper_version, sealed_pepper, proof, created_at, activates_at) \
                     values ($1, $2, $3, $4, $5)";
    INDEXED = "update vault_peppers set indexed_at = $2 where pepper_version = $1";
    END_PEPPER = "update vault_peppers set sealed_pepper = null, ended_at = $2 where pepper_version = $1 and ended_at is null";
    REHASH_CREDENTIAL = "update credentials set hash = $4, pepper_version = $5 \
                         where organization_id = $1 and credential_id = $2 and hash = $3 and alg = 1 and revoked_at is null";
    REHASH_CLIENT = "update oauth_clients set secret_hash = $4, pepper_version = $5 \
                     where organization_id = $1 and client_id = $2 and secret_hash = $3";
    REHASH_PREVIOUS = "update oauth_clients set previous_secret_hash = $4, previous_pepper_version = $5 \
                       where organization_id = $1 and client_id = $2 and previous_secret_hash = $3";
    /// Counting is asked for by a person, and reads what is counted.
    CREDENTIALS = "select pepper_version, count(*) from credentials where pepper_version is not null and revoked_at is null \
                   and (expires_at is null or expires_at > $1) and alg = 1 group by pepper_version";
    /// The same.
    CLIENTS = "select pepper_version, count(*) from oauth_clients where pepper_version is not null and secret_hash is not null \
               group by pepper_version";
    /// The same.
    COOKIES = "select cookie_pepper, count(*) from sessions where cookie_pepper is not null and cookie_hash is not null and ended_at is null \
               and expires_at > $1 and idle_expires_at > $1 group by cookie_pepper";
    /// Refresh tokens of these sessions were made before an instant, or their cookies by a version of the pepper.
    SESSIONS = "select count(*) from sessions where ended_at is null and expires_at > $1 and idle_expires_at > $1 \
                and (cookie_hash is null and coalesce(refreshed_at, created_at) < $2 \
                     or cookie_hash is not null and (cookie_pepper is null or cookie_pepper = $3))";
    /// The same, of everything else that a keyed hash leads to and that nobody hashes anew.
    OTHERS = "select \
                (select count(*) from recovery_codes where created_at < $2), \
                (select count(*) from invitations where status = 'open' and expires_at > $1 and created_at < $2), \
                (select count(*) from registration_requests where status = 'unproved' and expires_at > $1 and created_at < $2), \
                (select count(*) from email_changes where ended_at is null and asked_at < $2 \
                   and ((proved_at is null and expires_at > $1) or (proved_at is not null and undo_until > $1))), \
                (select count(*) from password_resets where token_hash is not null and used_at is null and expires_at > $1 \
                   and asked_at < $2), \
                (select count(*) from oauth_clients where previous_secret_hash is not null and previous_until > $1 \
                   and (previous_pepper_version is null or previous_pepper_version = $3))";
}

/// A key of the vault.
#[derive(Clone, PartialEq, Eq)]
pub struct VaultKey {
    /// Its number, which stands in everything it sealed.
    pub number: u32,
    /// The key-encryption key that sealed it.
    pub kek: String,
    /// The key, sealed; none once it is destroyed.
    pub wrapped: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it seals.
    pub activates_at: Timestamp,
    /// Seconds the keys before it are kept when nothing is sealed by them any more.
    pub keep_seconds: u32,
    /// Values that could not be opened when they were last to be sealed by it.
    pub unreadable: u64,
    /// When nothing was left that it sealed.
    pub retired_at: Option<Timestamp>,
    /// When it is to be destroyed.
    pub destroy_at: Option<Timestamp>,
    /// When it was destroyed.
    pub destroyed_at: Option<Timestamp>,
}

impl core::fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VaultKey")
            .field("number", &self.number)
            .field("kek", &self.kek)
            .finish_non_exhaustive()
    }
}

fn key(row: RowRef<'_>) -> Result<VaultKey> {
    Ok(VaultKey {
        number: row.get(0)?,
        kek: row::text(row, 1)?,
        wrapped: row.get_opt_bytes(2)?.map(<[u8]>::to_vec),
        created_at: row::time(row, 3)?,
        activates_at: row::time(row, 4)?,
        keep_seconds: row.get(5)?,
        unreadable: row.get(6)?,
        retired_at: row::opt_time(row, 7)?,
        destroy_at: row::opt_time(row, 8)?,
        destroyed_at: row::opt_time(row, 9)?,
    })
}

/// Every key, oldest first.
pub async fn keys(conn: &mut Conn) -> Result<Vec<VaultKey>> {
    row::list(conn, &KEYS, &[], key).await
}

/// Adds a key. A number that is taken violates `vault_keys_pkey`.
pub async fn insert_key(tx: &mut Tx, it: &VaultKey) -> Result<()> {
    let params = params![it.number, it.kek, it.wrapped, it.created_at, it.activates_at, it.keep_seconds];
    tx.execute(&INSERT_KEY, params).await?;
    Ok(())
}

/// Keeps a key sealed by another key-encryption key.
pub async fn rewrap(tx: &mut Tx, number: u32, kek: &str, wrapped: &[u8]) -> Result<bool> {
    Ok(tx.execute(&REWRAP, params![number, kek, wrapped]).await? > 0)
}

/// Notes that nothing is left which keys before this one sealed; gives those.
pub async fn retire_before(
    tx: &mut Tx,
    number: u32,
    now: Timestamp,
    destroy_at: Timestamp,
) -> Result<Vec<u32>> {
    row::list(tx, &RETIRE, params![number, now, destroy_at], |row| row.get(0)).await
}

/// Notes how many values could not be opened.
pub async fn set_unreadable(tx: &mut Tx, number: u32, count: u64) -> Result<()> {
    tx.execute(&UNREADABLE, params![number, count]).await?;
    Ok(())
}

/// Takes back that nothing is left which a key sealed.
pub async fn reopen(tx: &mut Tx, number: u32) -> Result<bool> {
    Ok(tx.execute(&REOPEN, params![number]).await? > 0)
}

/// Destroys a key; false when it was before.
pub async fn destroy(tx: &mut Tx, number: u32, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&DESTROY, params![number, now]).await? > 0)
}

/// A version of the pepper.
#[derive(Clone, PartialEq, Eq)]
pub struct VaultPepper {
    /// Its number, which stands beside what was hashed with it.
    pub version: u32,
    /// The pepper, sealed; none for the one of the configuration, and once it is ended.
    pub sealed: Option<Vec<u8>>,
    /// Tells it from another.
    pub proof: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when hashes are made with it.
    pub activates_at: Timestamp,
    /// When every keyed index was made with it.
    pub indexed_at: Option<Timestamp>,
    /// When it stopped counting.
    pub ended_at: Option<Timestamp>,
}

impl core::fmt::Debug for VaultPepper {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VaultPepper").field("version", &self.version).finish_non_exhaustive()
    }
}

fn pepper(row: RowRef<'_>) -> Result<VaultPepper> {
    Ok(VaultPepper {
        version: row.get(0)?,
        sealed: row.get_opt_bytes(1)?.map(<[u8]>::to_vec),
        proof: row.get_bytes(2)?.to_vec(),
        created_at: row::time(row, 3)?,
        activates_at: row::time(row, 4)?,
        indexed_at: row::opt_time(row, 5)?,
        ended_at: row::opt_time(row, 6)?,
    })
}

/// Every version, oldest first.
pub async fn peppers(conn: &mut Conn) -> Result<Vec<VaultPepper>> {
    row::list(conn, &PEPPERS, &[], pepper).await
}

/// Adds a version. One that is taken violates `vault_peppers_pkey`.
pub async fn insert_pepper(tx: &mut Tx, it: &VaultPepper) -> Result<()> {
    let params = params![it.version, it.sealed, it.proof, it.created_at, it.activates_at];
    tx.execute(&INSERT_PEPPER, params).await?;
    Ok(())
}

/// Notes that every keyed index was made with a version.
pub async fn set_indexed(tx: &mut Tx, version: u32, now: Timestamp) -> Result<()> {
    tx.execute(&INDEXED, params![version, now]).await?;
    Ok(())
}

/// Ends a version; false when it was before.
pub async fn end_pepper(tx: &mut Tx, version: u32, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&END_PEPPER, params![version, now]).await? > 0)
}

/// Puts a hash by another pepper in the place of the one a credential has; false when that changed in between.
pub async fn rehash_credential(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CredentialId,
    old: &[u8],
    new: &[u8],
    version: u32,
) -> Result<bool> {
    Ok(tx.execute(&REHASH_CREDENTIAL, params![organization, id, old, new, version]).await? > 0)
}

/// The same for the secret of an OAuth client.
pub async fn rehash_client(
    tx: &mut Tx,
    organization: OrganizationId,
    id: OauthClientId,
    old: &[u8],
    new: &[u8],
    version: u32,
) -> Result<bool> {
    Ok(tx.execute(&REHASH_CLIENT, params![organization, id, old, new, version]).await? > 0)
}

/// The same for the secret it had before.
pub async fn rehash_previous(
    tx: &mut Tx,
    organization: OrganizationId,
    id: OauthClientId,
    old: &[u8],
    new: &[u8],
    version: u32,
) -> Result<bool> {
    Ok(tx.execute(&REHASH_PREVIOUS, params![organization, id, old, new, version]).await? > 0)
}

fn counted(row: RowRef<'_>) -> Result<(u32, u64)> {
    Ok((row.get(0)?, row.get(1)?))
}

/// How many live credentials stand on each version of the pepper.
pub async fn credentials(conn: &mut Conn, now: Timestamp) -> Result<Vec<(u32, u64)>> {
    row::list(conn, &CREDENTIALS, params![now], counted).await
}

/// How many secrets of OAuth clients do.
pub async fn clients(conn: &mut Conn) -> Result<Vec<(u32, u64)>> {
    row::list(conn, &CLIENTS, &[], counted).await
}

/// How many cookies of live sessions do.
pub async fn cookies(conn: &mut Conn, now: Timestamp) -> Result<Vec<(u32, u64)>> {
    row::list(conn, &COOKIES, params![now], counted).await
}

/// What dies with a version of the pepper beside credentials, clients and sessions, by what it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OtherHashes {
    /// Recovery codes.
    pub recovery_codes: u64,
    /// Open invitations.
    pub invitations: u64,
    /// Requests for an account whose address is to be proved.
    pub registrations: u64,
    /// Changes of an address that are to be proved, or can be undone.
    pub email_changes: u64,
    /// Links for a new password.
    pub password_resets: u64,
    /// Secrets of OAuth clients before their last change, while they count, that were not used since.
    pub previous_client_secrets: u64,
}

/// How many of those are left.
pub async fn others_before(
    conn: &mut Conn,
    now: Timestamp,
    before: Timestamp,
    version: u32,
) -> Result<OtherHashes> {
    let row = conn.query_one(&OTHERS, params![now, before, version]).await?;
    Ok(OtherHashes {
        recovery_codes: row.get(0)?,
        invitations: row.get(1)?,
        registrations: row.get(2)?,
        email_changes: row.get(3)?,
        password_resets: row.get(4)?,
        previous_client_secrets: row.get(5)?,
    })
}

/// How many live sessions have refresh tokens from before an instant, or a cookie that a version hashed.
pub async fn sessions_before(
    conn: &mut Conn,
    now: Timestamp,
    before: Timestamp,
    version: u32,
) -> Result<u64> {
    conn.query_one(&SESSIONS, params![now, before, version]).await?.get(0)
}
