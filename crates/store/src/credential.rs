//! Credentials of callers (service tokens, API keys) and the directory of their key ids.

use charter_db::{Conn, RowRef, Tx, Value};
use charter_kernel::{CredentialId, OrganizationId, PrincipalId, Timestamp, Window};

use crate::{Page, Result, param, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select c.organization_id, c.credential_id, c.principal_id, c.kind, c.key_id, c.alg, c.pepper_version, c.hash, c.name, c.scopes, \
             c.addresses, c.not_before, c.expires_at, c.revoked_at, c.revoked_by, c.revoke_reason, c.successor_of, c.overlap_until, \
             c.created_by, c.created_at, c.last_used_at, c.last_used_address, c.use_count, c.row_version from credentials c ",
            $rest
        )
    };
}

statements! {
    INSERT_KEY = "insert into credential_keys (key_id, organization_id, credential_id) values ($2, $1, $3)";
    INSERT = "insert into credentials (organization_id, credential_id, principal_id, kind, key_id, alg, pepper_version, hash, name, scopes, \
              addresses, not_before, expires_at, successor_of, overlap_until, created_by, created_at, use_count, row_version) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0, 1)";
    GET = select!("where c.organization_id = $1 and c.credential_id = $2");
    BY_KEY_ID = select!("join credential_keys k on k.organization_id = c.organization_id and k.credential_id = c.credential_id \
                         where k.key_id = $1");
    PAGE = select!("where c.organization_id = $1 and c.credential_id > $2 order by c.credential_id limit $3");
    OF_PRINCIPAL = select!("where c.organization_id = $1 and c.principal_id = $2 order by c.credential_id");
    REVOKE = "update credentials set revoked_at = $3, revoked_by = $4, revoke_reason = $5, row_version = row_version + 1 \
              where organization_id = $1 and credential_id = $2 and revoked_at is null";
    REVOKE_OF_PRINCIPAL = "update credentials set revoked_at = $3, revoked_by = $4, revoke_reason = $5, row_version = row_version + 1 \
                           where organization_id = $1 and principal_id = $2 and revoked_at is null returning credential_id";
    OVERLAP = "update credentials set overlap_until = $3, row_version = row_version + 1 \
               where organization_id = $1 and credential_id = $2 and revoked_at is null";
    REHASH = "update credentials set alg = $3, pepper_version = $4, hash = $5, row_version = row_version + 1 \
              where organization_id = $1 and credential_id = $2";
    USED = "update credentials set last_used_at = $3, last_used_address = $4, use_count = use_count + $5 \
            where organization_id = $1 and credential_id = $2";
}

/// How a credential's secret is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// HMAC-SHA-256 with a version of the pepper.
    Hmac,
    /// bcrypt, as an adopted system left it.
    Bcrypt,
    /// SHA-256, as imported.
    Sha256,
}

impl HashAlgorithm {
    const fn number(self) -> i64 {
        match self {
            Self::Hmac => 1,
            Self::Bcrypt => 2,
            Self::Sha256 => 3,
        }
    }
}

/// A caller's credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The organization it works in.
    pub organization: OrganizationId,
    /// Its id.
    pub id: CredentialId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// The letter after `ch` in the token: `k` user key, `s` service token.
    pub kind: char,
    /// The public part of the token.
    pub key_id: String,
    /// How the secret is hashed.
    pub alg: HashAlgorithm,
    /// Which pepper, for HMAC.
    pub pepper_version: Option<u32>,
    /// Hash of the secret.
    pub hash: Vec<u8>,
    /// Its name, for people.
    pub name: String,
    /// What it is limited to; none is everything its principal may.
    pub scopes: Option<Vec<String>>,
    /// Address ranges it may come from; none is anywhere.
    pub addresses: Option<Vec<String>>,
    /// When it may be used.
    pub window: Window,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Who revoked it.
    pub revoked_by: Option<PrincipalId>,
    /// Why it was revoked.
    pub revoke_reason: Option<String>,
    /// The credential it replaces.
    pub successor_of: Option<CredentialId>,
    /// Replaced, and valid until then only.
    pub overlap_until: Option<Timestamp>,
    /// Who made it.
    pub created_by: Option<PrincipalId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, some seconds late.
    pub last_used_at: Option<Timestamp>,
    /// From where it was last used.
    pub last_used_address: Option<String>,
    /// How often it was used.
    pub use_count: u64,
    /// Grows with each change that matters to a check.
    pub row_version: u64,
}

fn credential(row: RowRef<'_>) -> Result<Credential> {
    Ok(Credential {
        organization: row::organization(row)?,
        id: CredentialId(row.get_id(1)?),
        principal: PrincipalId(row.get_id(2)?),
        kind: row::parsed(row, 3)?,
        key_id: row::text(row, 4)?,
        alg: match row.get_int(5)? {
            1 => HashAlgorithm::Hmac,
            2 => HashAlgorithm::Bcrypt,
            3 => HashAlgorithm::Sha256,
            other => return Err(row::bad(5, format_args!("{other} is no known algorithm"))),
        },
        pepper_version: row.get(6)?,
        hash: row.get_bytes(7)?.to_vec(),
        name: row::text(row, 8)?,
        scopes: row::opt_texts(row, 9)?,
        addresses: row::opt_texts(row, 10)?,
        window: row::window(row, 11)?,
        revoked_at: row::opt_time(row, 13)?,
        revoked_by: row.get_opt_id(14)?.map(PrincipalId),
        revoke_reason: row::opt_text(row, 15)?,
        successor_of: row.get_opt_id(16)?.map(CredentialId),
        overlap_until: row::opt_time(row, 17)?,
        created_by: row.get_opt_id(18)?.map(PrincipalId),
        created_at: row::time(row, 19)?,
        last_used_at: row::opt_time(row, 20)?,
        last_used_address: row::opt_text(row, 21)?,
        use_count: row.get(22)?,
        row_version: row.get(23)?,
    })
}

/// Adds a credential as it was made: never used, never revoked. A key id that is taken violates `credential_keys_pkey`.
pub async fn insert(tx: &mut Tx, credential: &Credential) -> Result<()> {
    let it = credential;
    tx.execute(&INSERT_KEY, params![it.organization, it.key_id, it.id]).await?;
    let list = |list: &Option<Vec<String>>| list.as_deref().map_or(Value::Null, param::texts);
    tx.execute(
        &INSERT,
        params![
            it.organization,
            it.id,
            it.principal,
            it.kind.to_string(),
            it.key_id,
            it.alg.number(),
            it.pepper_version,
            it.hash,
            it.name,
            list(&it.scopes),
            list(&it.addresses),
            it.window.from(),
            it.window.to(),
            it.successor_of,
            it.overlap_until,
            it.created_by,
            it.created_at
        ],
    )
    .await?;
    Ok(())
}

/// The credential with this id.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    id: CredentialId,
) -> Result<Option<Credential>> {
    row::opt(conn, &GET, params![organization, id], credential).await
}

/// The credential with this key id, in whichever organization: asked before the caller is known, so in the installation's scope.
pub async fn by_key_id(conn: &mut Conn, key_id: &str) -> Result<Option<Credential>> {
    row::opt(conn, &BY_KEY_ID, params![key_id], credential).await
}

/// The credentials after an id.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: CredentialId,
    limit: u32,
) -> Result<Page<Credential>> {
    row::page(conn, &PAGE, params![organization, after], limit, credential).await
}

/// The credentials of a principal.
pub async fn of_principal(
    conn: &mut Conn,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<Vec<Credential>> {
    row::list(conn, &OF_PRINCIPAL, params![organization, principal], credential).await
}

/// Revokes a credential; revoked is for good.
pub async fn revoke(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CredentialId,
    by: Option<PrincipalId>,
    reason: &str,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&REVOKE, params![organization, id, now, by, reason]).await? > 0)
}

/// Revokes every credential of a principal; gives those it revoked.
pub async fn revoke_of_principal(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
    by: Option<PrincipalId>,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<CredentialId>> {
    let params = params![organization, principal, now, by, reason];
    row::list(tx, &REVOKE_OF_PRINCIPAL, params, |row| Ok(CredentialId(row.get_id(0)?))).await
}

/// Lets a replaced credential go on until a time.
pub async fn set_overlap(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CredentialId,
    until: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&OVERLAP, params![organization, id, until]).await? > 0)
}

/// Replaces the hash, when the pepper was rotated or an adopted hash is upgraded.
pub async fn rehash(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CredentialId,
    alg: HashAlgorithm,
    pepper_version: Option<u32>,
    hash: &[u8],
) -> Result<bool> {
    let params = params![organization, id, alg.number(), pepper_version, hash];
    Ok(tx.execute(&REHASH, params).await? > 0)
}

/// Notes uses gathered in memory; changes no version, as no check depends on it.
pub async fn note_use(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CredentialId,
    last_used_at: Timestamp,
    address: Option<&str>,
    times: u64,
) -> Result<bool> {
    Ok(tx.execute(&USED, params![organization, id, last_used_at, address, times]).await? > 0)
}
