//! Sign-in sessions, keyed by the id a token carries.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OauthClientId, OrganizationId, PrincipalId, SessionId, Timestamp};

use crate::param::texts;
use crate::{Page, Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select session_id, principal_id, organization_id, amr, authenticated_at, created_at, expires_at, idle_expires_at, ended_at, \
             end_reason, refresh_counter, refreshed_at, address, user_agent, cookie_hash, supporter_id, \
             supporter_login, support_reason, client_id, scope, parent_session_id, audiences, cookie_pepper from sessions ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into sessions (session_id, principal_id, organization_id, amr, authenticated_at, created_at, expires_at, \
              idle_expires_at, ended_at, end_reason, refresh_counter, refreshed_at, address, user_agent, cookie_hash, supporter_id, \
              supporter_login, support_reason, client_id, scope, parent_session_id, audiences, cookie_pepper) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)";
    GET = select!("where session_id = $1");
    BY_COOKIE = select!("where cookie_hash = $1");
    OF_PRINCIPAL = select!("where principal_id = $1 and (created_at, session_id) > ($2, $3) order by created_at, session_id limit $4");
    FAMILIAR = "select session_id from sessions where principal_id = $1 and address is not distinct from $2 \
                and user_agent is not distinct from $3 limit 1";
    REFRESH = "update sessions set refresh_counter = refresh_counter + 1, refreshed_at = $3, idle_expires_at = $4, expires_at = $5 \
               where session_id = $1 and refresh_counter = $2 and ended_at is null and expires_at > $3 and idle_expires_at > $3 \
               returning refresh_counter";
    END = "update sessions set ended_at = $2, end_reason = $3 where session_id = $1 and ended_at is null";
    END_OF_PRINCIPAL = "update sessions set ended_at = $2, end_reason = $3 where principal_id = $1 and ended_at is null \
                        returning session_id";
    END_OTHERS = "update sessions set ended_at = $3, end_reason = $4 where principal_id = $1 and session_id <> $2 and ended_at is null \
                  returning session_id";
    END_OF_CLIENT = "update sessions set ended_at = $2, end_reason = $3 where client_id = $1 and ended_at is null and expires_at > $2 \
                     returning session_id";
    END_OF_GRANT = "update sessions set ended_at = $3, end_reason = $4 where client_id = $1 and principal_id = $2 and ended_at is null and expires_at > $3 \
                    returning session_id";
    END_OF_MEMBER = "update sessions set ended_at = $3, end_reason = $4 where principal_id = $1 and organization_id = $2 \
                     and client_id is not null and ended_at is null and expires_at > $3 returning session_id, client_id";
    END_OF_PARENT = "update sessions set ended_at = $2, end_reason = $3 where parent_session_id = $1 and ended_at is null and expires_at > $2 \
                     returning session_id";
    // A session is used on every node: what was seen last stays.
    TOUCH = "update sessions set refreshed_at = $2, idle_expires_at = $3 \
             where session_id = $1 and ended_at is null and idle_expires_at < $3";
    END_SURPLUS = "update sessions set ended_at = $3, end_reason = $4 where session_id in (select session_id from sessions \
                   where principal_id = $1 and organization_id is not distinct from $2 and ended_at is null and client_id is null and expires_at > $3 \
                   and idle_expires_at > $3 order by coalesce(refreshed_at, created_at) desc, session_id desc limit 10000 offset $5) \
                   returning session_id";
    REHASH = "update sessions set cookie_hash = $2, cookie_pepper = $3 where session_id = $1 and cookie_hash is not null and ended_at is null \
              and (cookie_pepper is null or cookie_pepper < $3)";
    LIVE = "select count(*) from sessions where ended_at is null and expires_at > $1 and idle_expires_at > $1";
    ENDED_SINCE = "select session_id from sessions where ended_at >= $1 order by ended_at, session_id";
    // What an application had for ten minutes is forgotten sooner: no code and no refresh token of it can come again.
    PURGE = "delete from sessions where expires_at < $1 or expires_at < $2 and client_id is not null";
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub principal: PrincipalId,
    /// In which organization, once one is chosen.
    pub organization: Option<OrganizationId>,
    /// Methods proved at sign-in (RFC 8176), joined by spaces.
    pub amr: String,
    /// When they were proved.
    pub authenticated_at: Timestamp,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When it ends if it is not refreshed.
    pub idle_expires_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
    /// Why it was ended.
    pub end_reason: Option<String>,
    /// The counter its newest refresh token carries.
    pub refresh_counter: u64,
    /// When it was last refreshed.
    pub refreshed_at: Option<Timestamp>,
    /// The address it began from.
    pub address: Option<String>,
    /// The program it began from.
    pub user_agent: Option<String>,
    /// The keyed hash of its cookie, for sessions of browsers.
    pub cookie_hash: Option<Vec<u8>>,
    /// Which pepper that was made with, where it is known.
    pub cookie_pepper: Option<u32>,
    /// Who acts as the principal, for support sessions.
    pub support: Option<Support>,
    /// The OAuth client that has it, on behalf of its principal.
    pub client: Option<OauthClientId>,
    /// What the client may do by it, in the words of OAuth.
    pub scope: Option<String>,
    /// What the client's access tokens may be for; nothing is Charter itself.
    pub audiences: Vec<String>,
    /// The browser's session it ends with.
    pub parent: Option<SessionId>,
}

/// Who acts as the principal of a session, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    /// Who.
    pub by: PrincipalId,
    /// Their login when it began.
    pub login: String,
    /// Why.
    pub reason: String,
}

impl Session {
    /// Whether it may still be used.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at && now < self.idle_expires_at
    }
}

fn session(row: RowRef<'_>) -> Result<Session> {
    Ok(Session {
        id: SessionId(row.get_id(0)?),
        principal: PrincipalId(row.get_id(1)?),
        organization: row.get_opt_id(2)?.map(OrganizationId),
        amr: row::text(row, 3)?,
        authenticated_at: row::time(row, 4)?,
        created_at: row::time(row, 5)?,
        expires_at: row::time(row, 6)?,
        idle_expires_at: row::time(row, 7)?,
        ended_at: row::opt_time(row, 8)?,
        end_reason: row::opt_text(row, 9)?,
        refresh_counter: row.get(10)?,
        refreshed_at: row::opt_time(row, 11)?,
        address: row::opt_text(row, 12)?,
        user_agent: row::opt_text(row, 13)?,
        cookie_hash: row.get(14)?,
        support: support(row)?,
        client: row.get_opt_id(18)?.map(OauthClientId),
        scope: row::opt_text(row, 19)?,
        parent: row.get_opt_id(20)?.map(SessionId),
        audiences: row::texts(row, 21)?,
        cookie_pepper: row.get(22)?,
    })
}

fn support(row: RowRef<'_>) -> Result<Option<Support>> {
    let Some(by) = row.get_opt_id(15)?.map(PrincipalId) else { return Ok(None) };
    Ok(Some(Support { by, login: row::text(row, 16)?, reason: row::text(row, 17)? }))
}

/// Begins a session.
pub async fn insert(tx: &mut Tx, session: &Session) -> Result<()> {
    let it = session;
    tx.execute(
        &INSERT,
        params![
            it.id,
            it.principal,
            it.organization,
            it.amr,
            it.authenticated_at,
            it.created_at,
            it.expires_at,
            it.idle_expires_at,
            it.ended_at,
            it.end_reason,
            it.refresh_counter,
            it.refreshed_at,
            it.address,
            it.user_agent,
            it.cookie_hash,
            it.support.as_ref().map(|support| support.by),
            it.support.as_ref().map(|support| support.login.as_str()),
            it.support.as_ref().map(|support| support.reason.as_str()),
            it.client,
            it.scope,
            it.parent,
            texts(&it.audiences),
            it.cookie_pepper
        ],
    )
    .await?;
    Ok(())
}

/// The session with this id, live or not.
pub async fn get(conn: &mut Conn, session: SessionId) -> Result<Option<Session>> {
    row::opt(conn, &GET, params![session], self::session).await
}

/// Whether the same principal began another session from the same address with the same program, as far back as sessions are kept.
pub async fn is_familiar(conn: &mut Conn, session: &Session) -> Result<bool> {
    let params = params![session.principal, session.address, session.user_agent];
    Ok(row::opt(conn, &FAMILIAR, params, |row| row.get_id(0)).await?.is_some())
}

/// The session a cookie leads to, live or not.
pub async fn by_cookie(conn: &mut Conn, hash: &[u8]) -> Result<Option<Session>> {
    row::opt(conn, &BY_COOKIE, params![hash], session).await
}

/// The sessions of a principal after a time and id, oldest first.
pub async fn of_principal(
    conn: &mut Conn,
    principal: PrincipalId,
    after: (Timestamp, SessionId),
    limit: u32,
) -> Result<Page<Session>> {
    row::page(conn, &OF_PRINCIPAL, params![principal, after.0, after.1], limit, session).await
}

/// Moves a live session's counter on if it is still the one presented; gives the next one. Nothing means: used already, or over.
pub async fn refresh(
    tx: &mut Tx,
    session: SessionId,
    counter: u64,
    now: Timestamp,
    idle_expires_at: Timestamp,
    expires_at: Timestamp,
) -> Result<Option<u64>> {
    let params = params![session, counter, now, idle_expires_at, expires_at];
    row::opt(tx, &REFRESH, params, |row| row.get(0)).await
}

/// Takes note that a live session was used, and until when it may rest now.
pub async fn touch(
    tx: &mut Tx,
    session: SessionId,
    now: Timestamp,
    idle_expires_at: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&TOUCH, params![session, now, idle_expires_at]).await? > 0)
}

/// Keeps the hash of a live session's cookie by a newer pepper; false when it was kept before. The session was found by that cookie,
/// and has no other.
pub async fn rehash(tx: &mut Tx, session: SessionId, hash: &[u8], version: u32) -> Result<bool> {
    Ok(tx.execute(&REHASH, params![session, hash, version]).await? > 0)
}

/// How many sessions are live.
pub async fn live(conn: &mut Conn, now: Timestamp) -> Result<u64> {
    conn.query_one(&LIVE, params![now]).await?.get(0)
}

/// Ends a session; one that has ended stays as it is.
pub async fn end(tx: &mut Tx, session: SessionId, reason: &str, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&END, params![session, now, reason]).await? > 0)
}

/// Ends every session of a principal; gives those it ended.
pub async fn end_of_principal(
    tx: &mut Tx,
    principal: PrincipalId,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    row::list(tx, &END_OF_PRINCIPAL, params![principal, now, reason], |row| Ok(SessionId(row.get_id(0)?)))
        .await
}

/// Ends every session of a client; gives those it ended.
pub async fn end_of_client(
    tx: &mut Tx,
    client: OauthClientId,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    row::list(tx, &END_OF_CLIENT, params![client, now, reason], |row| Ok(SessionId(row.get_id(0)?))).await
}

/// Ends every session that a client has on behalf of a principal; gives those it ended.
pub async fn end_of_grant(
    tx: &mut Tx,
    client: OauthClientId,
    principal: PrincipalId,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    row::list(tx, &END_OF_GRANT, params![client, principal, now, reason], |row| Ok(SessionId(row.get_id(0)?)))
        .await
}

/// Ends what clients of an organization have on behalf of a member, or as it; gives each session it ended, with its client.
pub async fn end_of_member(
    tx: &mut Tx,
    principal: PrincipalId,
    organization: OrganizationId,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<(SessionId, OauthClientId)>> {
    let params = params![principal, organization, now, reason];
    let ended = |row: RowRef<'_>| Ok((SessionId(row.get_id(0)?), OauthClientId(row.get_id(1)?)));
    row::list(tx, &END_OF_MEMBER, params, ended).await
}

/// Ends what clients were given by a browser's session; gives what it ended.
pub async fn end_of_parent(
    tx: &mut Tx,
    parent: SessionId,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    row::list(tx, &END_OF_PARENT, params![parent, now, reason], |row| Ok(SessionId(row.get_id(0)?))).await
}

/// Ends every session of a principal but one; gives those it ended.
pub async fn end_others(
    tx: &mut Tx,
    principal: PrincipalId,
    kept: SessionId,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    let params = params![principal, kept, now, reason];
    row::list(tx, &END_OTHERS, params, |row| Ok(SessionId(row.get_id(0)?))).await
}

/// Ends the live sessions of a principal for an organization, or for none, beyond the number that were used last; gives those it ended.
pub async fn end_surplus(
    tx: &mut Tx,
    principal: PrincipalId,
    organization: Option<OrganizationId>,
    kept: u32,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<SessionId>> {
    let params = params![principal, organization, now, reason, kept];
    row::list(tx, &END_SURPLUS, params, |row| Ok(SessionId(row.get_id(0)?))).await
}

/// The sessions that were ended at a time or later: what a node forgets when it polls.
pub async fn ended_since(conn: &mut Conn, time: Timestamp) -> Result<Vec<SessionId>> {
    row::list(conn, &ENDED_SINCE, params![time], |row| Ok(SessionId(row.get_id(0)?))).await
}

/// Forgets sessions that expired before a time.
pub async fn purge(tx: &mut Tx, before: Timestamp, of_clients: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before, of_clients]).await
}
