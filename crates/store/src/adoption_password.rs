//! Passwords that came from another system, and what later runs of it made of them, noted as they were: by these rows they are put back.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{Key, PrincipalId, Timestamp};

use crate::{Result, row};

statements! {
    STATES =
        "select a.legacy_id, p.principal_id, p.password_hash, p.password_changed_at, p.created_at, \
         (select max(n.changed_at) from adopted_passwords n where n.principal_id = p.principal_id) \
         from json_each($1) e cross join adopted_users a on a.source_key = $2 and a.legacy_id = e.value \
         cross join principals p on p.principal_id = a.principal_id",
        "select a.legacy_id, p.principal_id, p.password_hash, p.password_changed_at, p.created_at, \
         (select max(n.changed_at) from adopted_passwords n where n.principal_id = p.principal_id) \
         from jsonb_array_elements_text($1) e(v) join adopted_users a on a.source_key = $2 and a.legacy_id = e.v \
         join principals p on p.principal_id = a.principal_id";
    SET = "update principals set password_hash = $3, password_changed_at = $4 where principal_id = $1 and password_hash = $2";
    /// One that never was any: whoever lost theirs has the moment of it.
    SET_FIRST = "update principals set password_hash = $2, password_changed_at = $3 \
                 where principal_id = $1 and password_hash is null and password_changed_at is null";
    /// What was there before the run stays noted, however often the run sets another.
    NOTE = "insert into adopted_passwords (run_no, principal_id, hash_before, changed_at_before, changed_at) values ($1, $2, $3, $4, $5) \
            on conflict (run_no, principal_id) do update set changed_at = excluded.changed_at";
    NOTES = "select n.principal_id, n.hash_before, n.changed_at_before, n.changed_at, p.password_hash, p.password_changed_at \
             from adopted_passwords n join principals p on p.principal_id = n.principal_id \
             where n.run_no = $1 order by n.principal_id limit $2";
    COUNT = "select count(*) from adopted_passwords where run_no = $1";
    FORGET = "delete from adopted_passwords where run_no = $1 and principal_id = $2";
}

/// The password of an account as it is kept, with what tells whether a run set it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordState {
    /// The user's id in the other system.
    pub legacy_id: String,
    /// The account.
    pub principal: PrincipalId,
    /// What is kept of the password; none where the account has none.
    pub kept: Option<String>,
    /// When it was set.
    pub changed_at: Option<Timestamp>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When a run set another last.
    pub followed_at: Option<Timestamp>,
}

impl PasswordState {
    /// Whether a run set it, with the account or later, or there never was one: nobody here set one or took it away.
    #[must_use]
    pub fn is_of_a_run(&self) -> bool {
        match (&self.kept, self.changed_at) {
            (None, changed_at) => changed_at.is_none(),
            (Some(_), Some(at)) => at == self.created_at || Some(at) == self.followed_at,
            (Some(_), None) => false,
        }
    }
}

impl core::fmt::Debug for PasswordState {
    /// Everything but what is kept.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PasswordState").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// A password that a run replaced.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordNote {
    /// The account.
    pub principal: PrincipalId,
    /// What was kept before.
    pub before: Option<String>,
    /// When that was set.
    pub changed_at_before: Option<Timestamp>,
    /// When the run set another.
    pub changed_at: Timestamp,
    /// What is kept now.
    pub kept: Option<String>,
    /// When that was set.
    pub kept_at: Option<Timestamp>,
}

impl core::fmt::Debug for PasswordNote {
    /// Everything but what was kept.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PasswordNote").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// The passwords of the accounts that are linked to these ids there.
pub async fn states(conn: &mut Conn, source: &Key, legacy_ids: &[String]) -> Result<Vec<PasswordState>> {
    row::list(conn, &STATES, params![crate::param::texts(legacy_ids), source], |row| {
        Ok(PasswordState {
            legacy_id: row::text(row, 0)?,
            principal: PrincipalId(row.get_id(1)?),
            kept: row::opt_text(row, 2)?,
            changed_at: row::opt_time(row, 3)?,
            created_at: row::time(row, 4)?,
            followed_at: row::opt_time(row, 5)?,
        })
    })
    .await
}

/// Sets another password where the one is kept that was seen, or none; notes it for the run. Tells whether it was.
pub async fn follow(tx: &mut Tx, run: u64, seen: &PasswordState, kept: &str, now: Timestamp) -> Result<bool> {
    let set = match &seen.kept {
        Some(seen_kept) => tx.execute(&SET, params![seen.principal, seen_kept.as_str(), kept, now]).await?,
        None => tx.execute(&SET_FIRST, params![seen.principal, kept, now]).await?,
    };
    if set == 0 {
        return Ok(false);
    }
    let params = params![run, seen.principal, seen.kept, seen.changed_at, now];
    tx.execute(&NOTE, params).await?;
    Ok(true)
}

fn note(row: RowRef<'_>) -> Result<PasswordNote> {
    Ok(PasswordNote {
        principal: PrincipalId(row.get_id(0)?),
        before: row::opt_text(row, 1)?,
        changed_at_before: row::opt_time(row, 2)?,
        changed_at: row::time(row, 3)?,
        kept: row::opt_text(row, 4)?,
        kept_at: row::opt_time(row, 5)?,
    })
}

/// The first passwords that a run replaced.
pub async fn first(conn: &mut Conn, run: u64, limit: u32) -> Result<Vec<PasswordNote>> {
    row::list(conn, &NOTES, params![run, limit], note).await
}

/// How many there are.
pub async fn count(conn: &mut Conn, run: u64) -> Result<u64> {
    conn.query_one(&COUNT, params![run]).await?.get(0)
}

/// Puts the password back that was there before, where what the run set is still kept.
pub async fn put_back(tx: &mut Tx, it: &PasswordNote) -> Result<bool> {
    let params = params![it.principal, it.kept, it.before, it.changed_at_before];
    Ok(tx.execute(&SET, params).await? > 0)
}

/// Forgets a note.
pub async fn forget(tx: &mut Tx, run: u64, principal: PrincipalId) -> Result<()> {
    tx.execute(&FORGET, params![run, principal]).await?;
    Ok(())
}
