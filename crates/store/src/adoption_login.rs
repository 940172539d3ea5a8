//! Logins that accounts of another system's users had here and gave up: by a run that followed another login there, or by their owners. Whoever comes
//! with one of them by a later run may be somebody else.

use charter_db::Conn;
use charter_kernel::{Key, PrincipalId};

use crate::adoption_change::id_of;
use crate::bulk::rows;
use crate::param::texts;
use crate::{Result, row};

statements! {
    /// What a run noted stands as long as the run does.
    GIVEN_UP_BY_RUNS =
        "select c.before->>'login', c.row_key from adoption_runs r join adopted_changes c on c.run_no = r.run_no and c.kind = 'account' \
         where r.source_key = $1 and r.state <> 'undone' and c.before->>'login' in (select e.value from json_each($2) e) \
         and c.before->>'login' <> c.after->>'login'",
        "select c.before->>'login', c.row_key from adoption_runs r join adopted_changes c on c.run_no = r.run_no and c.kind = 'account' \
         where r.source_key = $1 and r.state <> 'undone' and c.before->>'login' in (select e.v from jsonb_array_elements_text($2) e(v)) \
         and c.before->>'login' <> c.after->>'login'";
    /// By the keyed hashes of addresses; a change that was taken back gave nothing up.
    GIVEN_UP_BY_OWNERS =
        "select c.old_email_hash, c.principal_id from json_each($2) e cross join email_changes c on c.old_email_hash = unhex(e.value) \
         cross join adopted_users u on u.principal_id = c.principal_id and u.source_key = $1 where c.proved_at is not null and c.ended_at is null",
        "select c.old_email_hash, c.principal_id from jsonb_array_elements_text($2) e(v) cross join lateral (select h.old_email_hash, h.principal_id \
         from email_changes h where h.old_email_hash = decode(e.v, 'hex') and h.proved_at is not null and h.ended_at is null offset 0) c \
         join adopted_users u on u.principal_id = c.principal_id and u.source_key = $1";
}

/// Those of these logins that runs of a source took from accounts, each with the account.
pub async fn given_up_by_runs(
    conn: &mut Conn,
    source: &Key,
    logins: &[String],
) -> Result<Vec<(String, PrincipalId)>> {
    let found = row::list(conn, &GIVEN_UP_BY_RUNS, params![source, texts(logins)], |row| {
        Ok((row::text(row, 0)?, id_of(row.get_text(1)?).map(PrincipalId)))
    })
    .await?;
    Ok(found.into_iter().filter_map(|(login, id)| Some((login, id?))).collect())
}

/// Those of these keyed hashes of addresses that owners of accounts of a source's users gave up, each with the account.
pub async fn given_up_by_owners(
    conn: &mut Conn,
    source: &Key,
    hashes: &[[u8; 32]],
) -> Result<Vec<([u8; 32], PrincipalId)>> {
    let text = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hashes = rows(hashes.iter().map(text));
    row::list(conn, &GIVEN_UP_BY_OWNERS, params![source, hashes], |row| {
        Ok((row.get(0)?, PrincipalId(row.get_id(1)?)))
    })
    .await
}
