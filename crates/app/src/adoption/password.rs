//! Passwords that changed in the other system since a run took them over, or that came to be there since. They are followed as long as what is
//! kept here is still what a run set, or nobody here ever set one: whoever signed in has a hash of our own since, and whoever set a new password
//! has that. What a run replaced is noted and put back with it.

use super::form::{ROWS_MAX, Ready};
use super::held::Runs;
use super::run::reading_problem;
use super::{Run, known, require_operator};
use crate::App;
use crate::caller::RequestContext;
use crate::identity::adopted_hash::AdoptedHash;
use crate::identity::session;
use charter_db::{Conn, Tx};
use charter_kernel::{Key, Problem, SessionId};
use charter_store::adoption_password::{self as rows, PasswordState};
use std::collections::HashMap;

/// Passwords of one call that are put back.
const PASSWORDS: u32 = 500;

/// Passwords that a run before one set, by the users' ids there.
async fn of_runs(
    conn: &mut Conn,
    source: &Key,
    before: u64,
    legacy_ids: &[String],
) -> Result<HashMap<String, PasswordState>, Problem> {
    let runs = Runs::before(conn, source, before).await?;
    if runs.numbers.is_empty() {
        return Ok(HashMap::new());
    }
    let states = rows::states(conn, source, legacy_ids).await?;
    let states = states.into_iter().filter(|it| runs.made(it.principal.0) && it.is_of_a_run());
    Ok(states.map(|it| (it.legacy_id.clone(), it)).collect())
}

/// Whether the other system has another password by now, or one where none came over.
fn is_other(state: &PasswordState, there: &AdoptedHash) -> bool {
    state.kept.as_ref().is_none_or(|kept| there.is_kept_as(kept) == Some(false))
}

/// How many of these users have another password there by now than a run took over, which a run would follow.
pub async fn changed_passwords(
    app: &App,
    ctx: &RequestContext,
    source: Key,
    users: Vec<(String, String)>,
) -> Result<u64, Problem> {
    require_operator(ctx)?;
    if users.len() > ROWS_MAX {
        return Err(Problem::invalid("users", format!("at most {ROWS_MAX} users are expected")));
    }
    // No id has a zero byte, and PostgreSQL takes none.
    let legacy_ids = users.iter().map(|(legacy_id, _)| legacy_id).filter(|it| !it.contains('\0'));
    let legacy_ids: Vec<String> = legacy_ids.cloned().collect();
    let states = reading_problem(app, move |conn| {
        Box::pin(async move { of_runs(conn, &source, u64::MAX, &legacy_ids).await })
    })
    .await?;
    let is_followed = |(legacy_id, hash): &&(String, String)| {
        let there = AdoptedHash::parse(hash).ok();
        states.get(legacy_id).zip(there).is_some_and(|(state, there)| is_other(state, &there))
    };
    Ok(users.iter().filter(is_followed).count() as u64)
}

/// The users of a batch, by their places, whose passwords are followed, with what is kept now.
pub(super) async fn judge(
    app: &App,
    number: u64,
    ready: &Ready,
) -> Result<HashMap<usize, PasswordState>, Problem> {
    let legacy_ids: Vec<String> = ready.users.iter().map(|(legacy_id, _)| legacy_id.clone()).collect();
    let mut states = reading_problem(app, move |conn| {
        Box::pin(async move {
            let run = known(conn, number).await?;
            of_runs(conn, &run.source, number, &legacy_ids).await
        })
    })
    .await?;
    let mut followed = HashMap::new();
    for (place, ((legacy_id, user), there)) in ready.users.iter().zip(&ready.hashes).enumerate() {
        let Some(there) = there else { continue };
        let state = states.remove(legacy_id).filter(|it| it.principal == user.id && is_other(it, there));
        followed.extend(state.map(|state| (place, state)));
    }
    Ok(followed)
}

/// Sets the passwords of a batch that changed; gives how many, and the sessions that ended with them.
pub(super) async fn follow(
    tx: &mut Tx,
    ctx: &RequestContext,
    run: &Run,
    ready: &Ready,
) -> Result<(u64, Vec<SessionId>), Problem> {
    let (mut count, mut ended) = (0, Vec::new());
    for (place, state) in &ready.followed {
        let Some(kept) = ready.users.get(*place).and_then(|(_, user)| user.password_hash.as_deref()) else {
            continue;
        };
        if rows::follow(tx, run.number, state, kept, ctx.now).await? {
            count += 1;
            let why = "the other system has another password";
            ended.extend(session::end_everywhere(tx, state.principal, why, ctx.now).await?);
        }
    }
    Ok((count, ended))
}

/// Puts some passwords back that a run replaced: not where somebody signed in with the new one since, or set another. Gives how many notes were
/// done, and the sessions that ended.
pub(super) async fn put_back(
    tx: &mut Tx,
    ctx: &RequestContext,
    run: &Run,
) -> Result<(u64, Vec<SessionId>), Problem> {
    let (mut count, mut ended) = (0, Vec::new());
    for note in rows::first(tx, run.number, PASSWORDS).await? {
        let is_as_left =
            note.kept_at == Some(note.changed_at) && note.kept.as_deref().is_some_and(AdoptedHash::is_one);
        if is_as_left && rows::put_back(tx, &note).await? {
            let why = "what a run changed about the account was taken back";
            ended.extend(session::end_everywhere(tx, note.principal, why, ctx.now).await?);
        }
        rows::forget(tx, run.number, note.principal).await?;
        count += 1;
    }
    Ok((count, ended))
}
