//! The audit trail: a chain of events per organization, only ever added to. The text that is hashed is the business of `charter-app`.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::audit::{Actor, AuditEvent, Outcome};
use charter_kernel::{OrganizationId, PrincipalId, RequestId, Timestamp};

use crate::{Page, Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select organization_id, seq, at, actor_kind, actor_id, actor_login, action, target_kind, target, outcome, reason, before, \
             after, request_id, address, previous_hash, hash from audit_events ",
            $rest
        )
    };
}

statements! {
    LOCK_HEAD = "insert into audit_heads (organization_id, seq, hash) values ($1, 0, $2) \
                 on conflict (organization_id) do update set seq = audit_heads.seq returning seq, hash";
    MOVE_HEAD = "update audit_heads set seq = $2, hash = $3 where organization_id = $1";
    HEAD = "select seq, hash from audit_heads where organization_id = $1";
    INSERT = "insert into audit_events (organization_id, seq, at, actor_kind, actor_id, actor_login, action, target_kind, target, outcome, \
              reason, before, after, request_id, address, previous_hash, hash) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    GET = select!("where organization_id = $1 and seq = $2");
    PAGE = select!("where organization_id = $1 and seq > $2 and seq < $3 order by seq desc limit $4");
    PAGE_OF_ACTION = select!("where organization_id = $1 and action = $5 and seq > $2 and seq < $3 order by seq desc limit $4");
    PAGE_OF_ACTOR = select!("where organization_id = $1 and actor_id = $5 and seq > $2 and seq < $3 order by seq desc limit $4");
    PAGE_OF_TARGET = select!("where organization_id = $1 and target_kind = $5 and target = $6 and seq > $2 and seq < $3 \
                              order by seq desc limit $4");
    OF_REQUEST = select!("where organization_id = $1 and request_id = $2 order by seq");
    FIRST_SINCE = "select seq from audit_events where organization_id = $1 and at >= $2 order by at, seq limit 1";
    EACH = select!("where organization_id = $1 and seq >= $2 and seq <= $3 order by seq");
}

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// An event as it is kept: with its place in the chain.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `AuditEvent`, then its place in the chain")]
pub struct AuditRow {
    pub organization: OrganizationId,
    pub seq: u64,
    pub at: Timestamp,
    /// `principal`, `operator`, `system` or `nobody`.
    pub actor_kind: String,
    /// The principal.
    pub actor_id: Option<PrincipalId>,
    /// The principal's login, the operator's account, or the part of Charter.
    pub actor_login: Option<String>,
    pub action: String,
    pub target_kind: String,
    pub target: String,
    pub outcome: Outcome,
    pub reason: String,
    pub before: Option<String>,
    pub after: Option<String>,
    pub request: Option<RequestId>,
    pub address: Option<String>,
    pub previous_hash: Hash,
    pub hash: Hash,
}

impl AuditRow {
    /// An event at its place in the chain; its own hash is zero until the caller has computed it from the rest.
    #[must_use]
    pub fn new(event: &AuditEvent, seq: u64, previous_hash: Hash) -> Self {
        let (kind, id, login) = match &event.actor {
            Actor::Principal { id, login } => ("principal", Some(*id), Some(login.clone())),
            Actor::Operator { account } => ("operator", None, Some(account.clone())),
            Actor::System { part } => ("system", None, Some((*part).to_owned())),
            Actor::Nobody => ("nobody", None, None),
        };
        Self {
            organization: event.organization,
            seq,
            at: event.at,
            actor_kind: kind.to_owned(),
            actor_id: id,
            actor_login: login,
            action: event.action.to_owned(),
            target_kind: event.target_kind.to_owned(),
            target: event.target.clone(),
            outcome: event.outcome,
            reason: event.reason.clone(),
            before: event.before.clone(),
            after: event.after.clone(),
            request: event.request,
            address: event.address.clone(),
            previous_hash,
            hash: [0; 32],
        }
    }
}

/// What a reader of the trail looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Everything.
    All,
    /// One action, such as `grant.give`.
    Action(String),
    /// One principal's doings.
    Actor(PrincipalId),
    /// What was done to one thing.
    Target {
        /// Its kind.
        kind: String,
        /// Which one.
        target: String,
    },
}

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the last event; zero before the first.
    pub seq: u64,
    /// Its hash; zeros before the first.
    pub hash: Hash,
}

fn head_of(row: RowRef<'_>) -> Result<Head> {
    Ok(Head { seq: row.get(0)?, hash: row.get(1)? })
}

fn event(row: RowRef<'_>) -> Result<AuditRow> {
    Ok(AuditRow {
        organization: row::organization(row)?,
        seq: row.get(1)?,
        at: row::time(row, 2)?,
        actor_kind: row::text(row, 3)?,
        actor_id: row.get_opt_id(4)?.map(PrincipalId),
        actor_login: row::opt_text(row, 5)?,
        action: row::text(row, 6)?,
        target_kind: row::text(row, 7)?,
        target: row::text(row, 8)?,
        outcome: row::word(row, 9, Outcome::from_word)?,
        reason: row::text(row, 10)?,
        before: row::opt_text(row, 11)?,
        after: row::opt_text(row, 12)?,
        request: row.get_opt_id(13)?.map(RequestId),
        address: row::opt_text(row, 14)?,
        previous_hash: row.get(15)?,
        hash: row.get(16)?,
    })
}

/// Locks the end of the chain until the transaction ends, and gives it: what [`append`] goes on from.
pub async fn lock_head(tx: &mut Tx, organization: OrganizationId) -> Result<Head> {
    let zeros: Hash = [0; 32];
    head_of(tx.query_one(&LOCK_HEAD, params![organization, zeros]).await?.as_ref())
}

/// The end of the chain.
pub async fn head(conn: &mut Conn, organization: OrganizationId) -> Result<Option<Head>> {
    row::opt(conn, &HEAD, params![organization], head_of).await
}

/// Adds events that follow the locked head, hashes computed, and moves the head to the last of them.
pub async fn append(tx: &mut Tx, organization: OrganizationId, rows: &[AuditRow]) -> Result<()> {
    for it in rows {
        tx.execute(
            &INSERT,
            params![
                organization,
                it.seq,
                it.at,
                it.actor_kind,
                it.actor_id,
                it.actor_login,
                it.action,
                it.target_kind,
                it.target,
                it.outcome.as_str(),
                it.reason,
                it.before,
                it.after,
                it.request,
                it.address,
                it.previous_hash,
                it.hash
            ],
        )
        .await?;
    }
    if let Some(last) = rows.last() {
        tx.execute(&MOVE_HEAD, params![organization, last.seq, last.hash]).await?;
    }
    Ok(())
}

/// The event with this number.
pub async fn get(conn: &mut Conn, organization: OrganizationId, seq: u64) -> Result<Option<AuditRow>> {
    row::opt(conn, &GET, params![organization, seq], event).await
}

/// Events newest first, with numbers above one and below another (neither included).
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    filter: &Filter,
    above: u64,
    below: u64,
    limit: u32,
) -> Result<Page<AuditRow>> {
    let limit_param = i64::from(limit) + 1;
    let range = params![organization, above, below, limit_param];
    let (statement, more) = match filter {
        Filter::All => (&PAGE, Vec::new()),
        Filter::Action(action) => (&PAGE_OF_ACTION, params![action].to_vec()),
        Filter::Actor(actor) => (&PAGE_OF_ACTOR, params![actor].to_vec()),
        Filter::Target { kind, target } => (&PAGE_OF_TARGET, params![kind, target].to_vec()),
    };
    let mut rows = row::list(conn, statement, &[range.as_slice(), &more].concat(), event).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    Ok(Page { rows, more })
}

/// The events a request caused.
pub async fn of_request(
    conn: &mut Conn,
    organization: OrganizationId,
    request: RequestId,
) -> Result<Vec<AuditRow>> {
    row::list(conn, &OF_REQUEST, params![organization, request], event).await
}

/// The number of the first event at or after a time, to turn times into the bounds of a page.
pub async fn first_since(
    conn: &mut Conn,
    organization: OrganizationId,
    time: Timestamp,
) -> Result<Option<u64>> {
    row::opt(conn, &FIRST_SINCE, params![organization, time], |row| row.get(0)).await
}

/// Hands over the events from one number to another (both included) in their order, in constant memory: to verify or export.
pub async fn for_each<E: From<charter_db::Error> + Send>(
    conn: &mut Conn,
    organization: OrganizationId,
    from: u64,
    to: u64,
    mut f: impl FnMut(AuditRow) -> core::result::Result<(), E> + Send,
) -> core::result::Result<(), E> {
    conn.for_each(&EACH, params![organization, from, to], |row| f(event(row)?)).await
}
