//! Credentials of callers (service tokens, API keys) and the directory of their key ids.

use charter_db::{Conn, RowRef, Tx, Value};
use charter_kernel::{CredentialId, OrganizationId, PrincipalId, Timestamp, Window};

use crate::{Page, Result, param, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select c.organization_id, c.credential_id, c.principal_id, c.kind, c.key_id, c.alg, c.pepper_version, c.hash, c.name, c.scopes, \
             c.addresses, c.not_before, c.expires_at, c.revoked_at, c.revoked_by, c.revoke_reason, c.successor_of, c.overlap_until, \
             c.created_by, c.created_at, c.last_used_at, c.last_used_address, c.use_count, c.row_version, c.requests_per_minute, \
             c.upgraded_hash, c.quarantined_at, c.notice_days from credentials c ",
            $rest
        )
    };
}

statements! {
    INSERT_KEY = "insert into credential_keys (key_id, organization_id, credential_id) values ($2, $1, $3)";
    INSERT = "insert into credentials (organization_id, credential_id, principal_id, kind, key_id, alg, pepper_version, hash, name, scopes, \
              addresses, not_before, expires_at, successor_of, overlap_until, created_by, created_at, requests_per_minute, use_count, row_version) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 0, 1)";
    GET = select!("where c.organization_id = $1 and c.credential_id = $2");
    BY_KEY_ID = select!("join credential_keys k on k.organization_id = c.organization_id and k.credential_id = c.credential_id \
                         where k.key_id = $1");
    PAGE = select!("where c.organization_id = $1 and c.credential_id > $2 order by c.credential_id limit $3");
    OF_PRINCIPAL = select!("where c.organization_id = $1 and c.principal_id = $2 order by c.credential_id");
    PAGE_OF_PRINCIPAL = select!("where c.organization_id = $1 and c.principal_id = $2 and c.credential_id > $3 order by c.credential_id limit $4");
    MADE_SINCE = select!("where c.organization_id = $1 and c.created_by = $2 and c.created_at >= $3 and c.revoked_at is null order by c.credential_id");
    UPDATE = "update credentials set name = $3, scopes = $4, addresses = $5, expires_at = $6, requests_per_minute = $7, notice_days = null, \
              row_version = row_version + 1 where organization_id = $1 and credential_id = $2 and revoked_at is null";
    COUNT_LIVE = "select count(*) from credentials where organization_id = $1 and revoked_at is null \
                  and (expires_at is null or expires_at > $2) and (overlap_until is null or overlap_until > $2)";
    REVOKE = "update credentials set revoked_at = $3, revoked_by = $4, revoke_reason = $5, row_version = row_version + 1 \
              where organization_id = $1 and credential_id = $2 and revoked_at is null";
    REVOKE_OF_PRINCIPAL = "update credentials set revoked_at = $3, revoked_by = $4, revoke_reason = $5, row_version = row_version + 1 \
                           where organization_id = $1 and principal_id = $2 and revoked_at is null returning credential_id";
    OVERLAP = "update credentials set overlap_until = $3, row_version = row_version + 1 \
               where organization_id = $1 and credential_id = $2 and revoked_at is null";
    UPGRADE = "update credentials set upgraded_hash = $3, pepper_version = $4, row_version = row_version + 1 \
               where organization_id = $1 and credential_id = $2";
    QUARANTINE = "update credentials set quarantined_at = $3, row_version = row_version + 1 \
                  where organization_id = $1 and credential_id = $2 and revoked_at is null";
    NOTICED = "update credentials set notice_days = $3 where organization_id = $1 and credential_id = $2 \
               and (notice_days is null or notice_days > $3)";
    EXPIRING = select!("where c.expires_at is not null and c.revoked_at is null and c.expires_at > $1 and c.expires_at <= $2 \
                        order by c.expires_at, c.organization_id, c.credential_id");
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
    /// How many requests a minute it is good for; none is no limit of its own.
    pub requests_per_minute: Option<u32>,
    /// Keyed hash of an adopted key's whole text, from its first use on.
    pub upgraded_hash: Option<Vec<u8>>,
    /// When it was put aside because it was reported as leaked.
    pub quarantined_at: Option<Timestamp>,
    /// For how many days before its end its owner was told last.
    pub notice_days: Option<u32>,
}

fn number(row: RowRef<'_>, index: usize) -> Result<Option<u32>> {
    let found: Option<u64> = row.get(index)?;
    Ok(found.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
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
        requests_per_minute: number(row, 24)?,
        upgraded_hash: row.get_opt_bytes(25)?.map(<[u8]>::to_vec),
        quarantined_at: row::opt_time(row, 26)?,
        notice_days: number(row, 27)?,
    })
}

fn list(list: &Option<Vec<String>>) -> Value {
    list.as_deref().map_or(Value::Null, param::texts)
}

/// Adds a credential as it was made: never used, never revoked. A key id that is taken violates `credential_keys_pkey`.
pub async fn insert(tx: &mut Tx, credential: &Credential) -> Result<()> {
    let it = credential;
    tx.execute(&INSERT_KEY, params![it.organization, it.key_id, it.id]).await?;
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
            it.created_at,
            it.requests_per_minute
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

/// The credentials somebody made since a time, for themselves and others, and nobody revoked.
pub async fn made_since(
    conn: &mut Conn,
    organization: OrganizationId,
    by: PrincipalId,
    since: Timestamp,
) -> Result<Vec<Credential>> {
    row::list(conn, &MADE_SINCE, params![organization, by, since], credential).await
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

/// How many credentials of an organization are neither revoked nor over.
pub async fn count_live(conn: &mut Conn, organization: OrganizationId, now: Timestamp) -> Result<u64> {
    conn.query_one(&COUNT_LIVE, params![organization, now]).await?.get(0)
}

/// The credentials of a principal after an id.
pub async fn page_of_principal(
    conn: &mut Conn,
    organization: OrganizationId,
    principal: PrincipalId,
    after: CredentialId,
    limit: u32,
) -> Result<Page<Credential>> {
    let params = params![organization, principal, after];
    row::page(conn, &PAGE_OF_PRINCIPAL, params, limit, credential).await
}

/// Changes what may be changed of a credential: name, scopes, addresses, end, rate. Notices of its end begin anew.
pub async fn update(tx: &mut Tx, it: &Credential) -> Result<bool> {
    let params = params![
        it.organization,
        it.id,
        it.name,
        list(&it.scopes),
        list(&it.addresses),
        it.window.to(),
        it.requests_per_minute
    ];
    Ok(tx.execute(&UPDATE, params).await? > 0)
}

/// Puts a keyed hash of an adopted key beside the hash it came with.
pub async fn upgrade(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CredentialId,
    hash: &[u8],
    pepper_version: u32,
) -> Result<bool> {
    Ok(tx.execute(&UPGRADE, params![organization, id, hash, pepper_version]).await? > 0)
}

/// Puts a credential aside, or takes it back in use.
pub async fn set_quarantine(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CredentialId,
    at: Option<Timestamp>,
) -> Result<bool> {
    Ok(tx.execute(&QUARANTINE, params![organization, id, at]).await? > 0)
}

/// Takes note that a credential's owner was told of its end so many days before; false when they were told that before.
pub async fn note_notice(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CredentialId,
    days: u32,
) -> Result<bool> {
    Ok(tx.execute(&NOTICED, params![organization, id, days]).await? > 0)
}

/// The credentials that end after one instant and not after another, of every organization.
pub async fn expiring(conn: &mut Conn, after: Timestamp, until: Timestamp) -> Result<Vec<Credential>> {
    row::list(conn, &EXPIRING, params![after, until], credential).await
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
