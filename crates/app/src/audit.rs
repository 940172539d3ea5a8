//! The audit trail: every change and every denial, in the transaction of the change, chained per organization.
//!
//! Each event's hash is SHA-256 over the hash before it and the event's canonical text, a JSON array of its fields in a fixed order
//! (`canonical`). Whoever has the rows can verify the chain with any SHA-256. An edit, a deletion, an insertion or a fork shows at
//! the first event that no longer fits; a cut tail shows against the head row and against any checkpoint kept elsewhere.

use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::guard::Permit;
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::audit::{Actor, AuditEvent, CHAIN_FORMAT, Outcome};
use charter_kernel::{OrganizationId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use sha2::{Digest, Sha256};

/// Hash of the event before the first.
pub const GENESIS: [u8; 32] = [0; 32];

/// An event of the trail with its place in the chain.
pub use charter_store::audit::AuditRow;

/// What a reader of the trail asks for.
pub use charter_store::audit::Filter;

/// Result of verifying one organization's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// How many events were read.
    pub events: u64,
    /// Hash of the last one, in hexadecimal: write it down elsewhere, and a cut or forked trail shows later.
    pub head: String,
    /// Sequence number of the last one.
    pub seq: u64,
    /// What is wrong, in order; empty when the chain is whole.
    pub faults: Vec<String>,
}

/// The text of an event that is hashed.
pub fn canonical(row: &AuditRow) -> String {
    serde_json::json!([
        CHAIN_FORMAT,
        row.organization.to_string(),
        row.seq,
        row.at.micros(),
        row.actor_kind,
        row.actor_id.map(|id| id.to_string()),
        row.actor_login,
        row.action,
        row.target_kind,
        row.target,
        row.outcome.as_str(),
        row.reason,
        row.before,
        row.after,
        row.request.map(|id| id.to_string()),
        row.address,
    ])
    .to_string()
}

/// The hash of an event that follows `previous`.
pub fn chained(previous: &[u8], row: &AuditRow) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(canonical(row).as_bytes());
    hasher.finalize().into()
}

/// Hexadecimal, lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Appends events to the chains of their organizations, in the transaction of the change they tell of.
pub async fn append(tx: &mut Tx, events: impl IntoIterator<Item = AuditEvent>) -> Result<(), Problem> {
    let mut by_organization: std::collections::BTreeMap<OrganizationId, Vec<AuditEvent>> = Default::default();
    for event in events {
        by_organization.entry(event.organization).or_default().push(event);
    }
    for (organization, events) in by_organization {
        let mut head = store::audit::lock_head(tx, organization).await?;
        let mut rows = Vec::with_capacity(events.len());
        for event in &events {
            let mut row = AuditRow::new(event, head.seq + 1, head.hash);
            row.hash = chained(&row.previous_hash, &row);
            (head.seq, head.hash) = (row.seq, row.hash);
            rows.push(row);
        }
        store::audit::append(tx, organization, &rows).await?;
    }
    Ok(())
}

/// Events, newest first, one page; the cursor is the number of the last event seen.
pub async fn list(
    app: &App,
    permit: &Permit,
    filter: Filter,
    page: &Page,
) -> Result<Listing<AuditRow>, Problem> {
    let (organization, limit) = (permit.organization(), page.limit);
    let below = match &page.after {
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
        None => u64::try_from(i64::MAX).unwrap_or(0),
    };
    let found = reading!(app.database(), organization, |conn| async move {
        store::audit::page(conn, organization, &filter, 0, below, limit).await
    })?;
    let next = if found.more { found.rows.last().map(|row| row.seq.to_string()) } else { None };
    Ok(Listing { items: found.rows, next })
}

/// One event.
pub async fn get(app: &App, permit: &Permit, seq: u64) -> Result<AuditRow, Problem> {
    let organization = permit.organization();
    reading!(app.database(), organization, |conn| store::audit::get(conn, organization, seq))?
        .ok_or_else(|| Problem::not_found(format!("no audit event {seq} in this organization")))
}

/// Walks the whole chain of an organization and tells what does not fit.
pub async fn verify(app: &App, permit: &Permit) -> Result<Verification, Problem> {
    verify_organization(app, permit.organization()).await
}

/// The same without a permit, for the operator's commands and the start of the service.
pub async fn verify_organization(app: &App, organization: OrganizationId) -> Result<Verification, Problem> {
    app.database()
        .read(Scope::Organization(organization.bits()), move |conn: &mut Conn| {
            Box::pin(walk(conn, organization)) as BoxFuture<'_, Result<Verification, Problem>>
        })
        .await
}

async fn walk(conn: &mut Conn, organization: OrganizationId) -> Result<Verification, Problem> {
    const FAULTS_MAX: usize = 100;
    let mut found = Verification { events: 0, head: String::new(), seq: 0, faults: Vec::new() };
    let mut previous = GENESIS;
    let head = store::audit::head(conn, organization).await?;
    store::audit::for_each(conn, organization, 1, i64::MAX as u64, |row: AuditRow| -> Result<(), Problem> {
        let mut fault = |what: String| {
            if found.faults.len() < FAULTS_MAX {
                found.faults.push(format!("event {}: {what}", row.seq));
            }
        };
        if row.seq != found.seq + 1 {
            fault(format!(
                "follows event {}: {} events are missing",
                found.seq,
                row.seq.saturating_sub(found.seq + 1)
            ));
        } else if row.previous_hash != previous {
            fault("does not follow the event before it: one of the two was changed or replaced".to_owned());
        }
        if chained(&row.previous_hash, &row) != row.hash {
            fault("was changed: its hash does not fit its text".to_owned());
        }
        found.events += 1;
        found.seq = row.seq;
        previous = row.hash;
        Ok(())
    })
    .await?;
    match head {
        Some(head) if head.seq != found.seq => {
            found.faults.push(format!(
                "the trail ends at event {}, its head says {}: events were cut off",
                found.seq, head.seq
            ));
        }
        Some(head) if head.hash != previous => {
            found.faults.push(format!("the head's hash is not that of event {}", found.seq));
        }
        None if found.events > 0 => found.faults.push("the head of the trail is missing".to_owned()),
        _ => {}
    }
    found.head = hex(&previous);
    Ok(found)
}

/// An event about something done through a request.
pub fn event(
    ctx: &RequestContext,
    organization: OrganizationId,
    action: &'static str,
    target_kind: &'static str,
    target: impl Into<String>,
) -> AuditEvent {
    AuditEvent {
        organization,
        at: ctx.now,
        actor: ctx.actor(),
        action,
        target_kind,
        target: target.into(),
        outcome: Outcome::Done,
        reason: String::new(),
        before: None,
        after: None,
        request: Some(ctx.request),
        address: ctx.address.map(|address| address.to_string()),
    }
}

/// An event about something Charter did by itself.
pub fn system_event(
    part: &'static str,
    organization: OrganizationId,
    now: Timestamp,
    action: &'static str,
    target_kind: &'static str,
    target: impl Into<String>,
) -> AuditEvent {
    AuditEvent {
        organization,
        at: now,
        actor: Actor::System { part },
        action,
        target_kind,
        target: target.into(),
        outcome: Outcome::Done,
        reason: String::new(),
        before: None,
        after: None,
        request: None,
        address: None,
    }
}

/// The problem told when a chain does not verify.
pub fn broken(verification: &Verification) -> Problem {
    Problem::new(
        ProblemKind::Internal,
        format!(
            "the audit chain does not verify: {}",
            verification.faults.first().map_or("", String::as_str)
        ),
    )
}
