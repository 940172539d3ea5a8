//! Principals and the directory of their logins.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::{PrincipalKind, PrincipalStatus};
use charter_kernel::{PrincipalId, Timestamp};

use crate::{Page, Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select p.principal_id, p.kind, p.login, p.login_folded, p.name, p.status, p.password_hash, p.password_changed_at, \
             p.created_at, p.updated_at, p.email_verified_at from principals p ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into principals (principal_id, kind, login, login_folded, name, status, password_hash, password_changed_at, \
              created_at, updated_at, email_verified_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    INSERT_LOGIN = "insert into logins (login_folded, principal_id) values ($1, $2)";
    DELETE_LOGIN = "delete from logins where login_folded = $1 and principal_id = $2";
    UPDATE = "update principals set login = $2, login_folded = $3, name = $4, status = $5, updated_at = $6 where principal_id = $1";
    SET_PASSWORD = "update principals set password_hash = $2, password_changed_at = $3, updated_at = $3 where principal_id = $1";
    SET_FIRST_PASSWORD = "update principals set password_hash = $2, password_changed_at = $3, updated_at = $3 \
                          where principal_id = $1 and password_hash is null";
    SET_EMAIL_VERIFIED = "update principals set email_verified_at = $2 where principal_id = $1";
    REHASH = "update principals set password_hash = $3 where principal_id = $1 and password_hash = $2";
    BY_ID = select!("where p.principal_id = $1");
    /// Writers of SQLite are serial anyway.
    HOLD = "select status from principals where principal_id = $1", "select status from principals where principal_id = $1 for share";
    BY_LOGIN = select!("join logins l on l.principal_id = p.principal_id where l.login_folded = $1");
    LOGIN_TAKEN = "select principal_id from logins where login_folded = $1";
    PAGE = select!("where p.principal_id > $1 order by p.principal_id limit $2");
}

/// A user or a service account.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its id.
    pub id: PrincipalId,
    /// User or service account.
    pub kind: PrincipalKind,
    /// Its login, as typed.
    pub login: String,
    /// Its login, folded for comparison.
    pub login_folded: String,
    /// Shown name.
    pub name: String,
    /// Where it is in its life.
    pub status: PrincipalStatus,
    /// Hash of its password, where it has one.
    pub password_hash: Option<String>,
    /// When the password was set.
    pub password_changed_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When its owner proved the address it has for a login, by a mail to it; none while nobody did.
    pub email_verified_at: Option<Timestamp>,
}

impl core::fmt::Debug for Principal {
    /// Everything but the hash of the password.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Principal")
            .field("id", &self.id)
            .field("login", &self.login)
            .field("status", &self.status)
            .finish()
    }
}

fn principal(row: RowRef<'_>) -> Result<Principal> {
    Ok(Principal {
        id: PrincipalId(row.get_id(0)?),
        kind: row::word(row, 1, PrincipalKind::from_word)?,
        login: row::text(row, 2)?,
        login_folded: row::text(row, 3)?,
        name: row::text(row, 4)?,
        status: row::word(row, 5, PrincipalStatus::from_word)?,
        password_hash: row::opt_text(row, 6)?,
        password_changed_at: row::opt_time(row, 7)?,
        created_at: row::time(row, 8)?,
        updated_at: row::time(row, 9)?,
        email_verified_at: row::opt_time(row, 10)?,
    })
}

/// Adds a principal; a login that is taken violates `logins_pkey`.
pub async fn insert(tx: &mut Tx, principal: &Principal) -> Result<()> {
    let it = principal;
    tx.execute(&INSERT_LOGIN, params![it.login_folded, it.id]).await?;
    let (kind, status) = (it.kind.as_str(), it.status.as_str());
    tx.execute(
        &INSERT,
        params![
            it.id,
            kind,
            it.login,
            it.login_folded,
            it.name,
            status,
            it.password_hash,
            it.password_changed_at,
            it.created_at,
            it.updated_at,
            it.email_verified_at
        ],
    )
    .await?;
    Ok(())
}

/// Changes login, name and status from the row read before to the one given.
pub async fn update(tx: &mut Tx, before: &Principal, after: &Principal) -> Result<bool> {
    let it = after;
    if before.login_folded != it.login_folded {
        tx.execute(&DELETE_LOGIN, params![before.login_folded, it.id]).await?;
        tx.execute(&INSERT_LOGIN, params![it.login_folded, it.id]).await?;
    }
    let params = params![it.id, it.login, it.login_folded, it.name, it.status.as_str(), it.updated_at];
    Ok(tx.execute(&UPDATE, params).await? > 0)
}

/// Sets or removes the password.
pub async fn set_password(
    tx: &mut Tx,
    principal: PrincipalId,
    hash: Option<&str>,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&SET_PASSWORD, params![principal, hash, now]).await? > 0)
}

/// Sets the password of somebody who has none; false when they have one.
pub async fn set_first_password(
    tx: &mut Tx,
    principal: PrincipalId,
    hash: &str,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&SET_FIRST_PASSWORD, params![principal, hash, now]).await? > 0)
}

/// Says when the address was proved, or that it is not.
pub async fn set_email_verified(tx: &mut Tx, principal: PrincipalId, at: Option<Timestamp>) -> Result<bool> {
    Ok(tx.execute(&SET_EMAIL_VERIFIED, params![principal, at]).await? > 0)
}

/// Replaces the hash of a password by another of the same password, unless the hash is not that one any more.
pub async fn rehash(tx: &mut Tx, principal: PrincipalId, from: &str, to: &str) -> Result<bool> {
    Ok(tx.execute(&REHASH, params![principal, from, to]).await? > 0)
}

/// The principal with this id.
pub async fn by_id(conn: &mut Conn, principal: PrincipalId) -> Result<Option<Principal>> {
    row::opt(conn, &BY_ID, params![principal], self::principal).await
}

/// Holds the account: nobody changes it before this is final, and what a change under way makes of it is seen. Gives its status.
pub async fn hold(tx: &mut Tx, principal: PrincipalId) -> Result<Option<PrincipalStatus>> {
    row::opt(tx, &HOLD, params![principal], |row| row::word(row, 0, PrincipalStatus::from_word)).await
}

/// The principal with this login, folded.
pub async fn by_login(conn: &mut Conn, login_folded: &str) -> Result<Option<Principal>> {
    row::opt(conn, &BY_LOGIN, params![login_folded], principal).await
}

/// Whether somebody has this login, folded.
pub async fn login_taken(conn: &mut Conn, login_folded: &str) -> Result<bool> {
    row::exists(conn, &LOGIN_TAKEN, params![login_folded]).await
}

/// The principals after an id, in the order they were made.
pub async fn page(conn: &mut Conn, after: PrincipalId, limit: u32) -> Result<Page<Principal>> {
    row::page(conn, &PAGE, params![after], limit, principal).await
}
