//! The chain of entitlement events: like the audit trail one per organization, each event's hash over the hash before it and the
//! event's canonical text.

use crate::App;
use crate::audit::{GENESIS, Verification, hex};
use crate::caller::{Listing, Page};
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::audit::{Actor, CHAIN_FORMAT};
use charter_kernel::{Key, ModuleKey, OrganizationId, Problem, RequestId, SubmoduleKey, Timestamp};
use charter_store as store;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use charter_store::entitlement_event::{Cause, EntitlementEvent};

/// What an event tells, before it has a place in the chain.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What happened, as `noun.verb`.
    pub action: &'static str,
    /// Kind of thing it was done to.
    pub target_kind: &'static str,
    /// Which one.
    pub target: String,
    /// The module, where it is about one.
    pub module: Option<ModuleKey>,
    /// The submodule, where it is about one.
    pub submodule: Option<SubmoduleKey>,
    /// The limit, where it is about one.
    pub limit: Option<Key>,
    /// The thing before.
    pub before: Option<Value>,
    /// The thing after.
    pub after: Option<Value>,
    /// Why.
    pub reason: String,
}

impl Entry {
    /// An entry about a thing, to be filled in.
    pub fn new(
        action: &'static str,
        target_kind: &'static str,
        target: impl Into<String>,
        reason: &str,
    ) -> Self {
        Self {
            action,
            target_kind,
            target: target.into(),
            module: None,
            submodule: None,
            limit: None,
            before: None,
            after: None,
            reason: reason.to_owned(),
        }
    }
}

/// Who and what is behind a change.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub actor: String,
    pub cause: Cause,
    pub at: Timestamp,
    pub request: Option<RequestId>,
}

/// The actor as the chain names it.
pub(crate) fn actor_text(actor: &Actor) -> String {
    match actor {
        Actor::Principal { login, .. } => login.clone(),
        Actor::Operator { account } => format!("operator:{account}"),
        Actor::System { part } => (*part).to_owned(),
        Actor::Nobody => "nobody".to_owned(),
    }
}

/// The text of an event that is hashed.
pub fn canonical(organization: OrganizationId, event: &EntitlementEvent) -> String {
    serde_json::json!([
        CHAIN_FORMAT,
        organization.to_string(),
        event.seq,
        event.at.micros(),
        event.actor,
        event.cause.as_str(),
        event.action,
        event.module,
        event.submodule,
        event.limit,
        event.before,
        event.after,
        event.reason,
        event.correlation.map(|id| id.to_string()),
    ])
    .to_string()
}

fn chained(organization: OrganizationId, event: &EntitlementEvent) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(event.prev_hash);
    hasher.update(canonical(organization, event).as_bytes());
    hasher.finalize().into()
}

/// Appends entries to the chain of an organization whose row lock is held.
pub(crate) async fn append(
    tx: &mut Tx,
    organization: OrganizationId,
    origin: &Origin,
    entries: &[Entry],
) -> Result<(), Problem> {
    let mut head = store::entitlement_event::head(tx, organization).await?;
    for entry in entries {
        let mut event = EntitlementEvent {
            seq: head.seq + 1,
            at: origin.at,
            actor: origin.actor.clone(),
            cause: origin.cause,
            action: entry.action.to_owned(),
            module: entry.module.clone(),
            submodule: entry.submodule.clone(),
            limit: entry.limit.clone(),
            before: entry.before.as_ref().map(Value::to_string),
            after: entry.after.as_ref().map(Value::to_string),
            reason: entry.reason.clone(),
            correlation: origin.request,
            prev_hash: head.hash,
            hash: GENESIS,
        };
        event.hash = chained(organization, &event);
        (head.seq, head.hash) = (event.seq, event.hash);
        store::entitlement_event::append(tx, organization, &event).await?;
    }
    Ok(())
}

/// Events, newest first, one page; of one module or of all.
pub async fn events(
    app: &App,
    organization: OrganizationId,
    module: Option<ModuleKey>,
    page: &Page,
) -> Result<Listing<EntitlementEvent>, Problem> {
    let below = match &page.after {
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
        None => u64::try_from(i64::MAX).unwrap_or(0),
    };
    let limit = page.limit;
    let found = reading!(app.database(), organization, |conn| async move {
        store::entitlement_event::page(conn, organization, module.as_ref(), below, limit).await
    })?;
    let next = if found.more { found.rows.last().map(|row| row.seq.to_string()) } else { None };
    Ok(Listing { items: found.rows, next })
}

/// Walks the whole chain of an organization and tells what does not fit.
pub async fn verify(app: &App, organization: OrganizationId) -> Result<Verification, Problem> {
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
    store::entitlement_event::for_each(conn, organization, 1, |event| -> Result<(), Problem> {
        let mut fault = |what: &str| {
            if found.faults.len() < FAULTS_MAX {
                found.faults.push(format!("event {}: {what}", event.seq));
            }
        };
        if event.seq != found.seq + 1 {
            fault("does not have the number after the one before: events are missing");
        } else if event.prev_hash != previous {
            fault("does not follow the event before it: one of the two was changed or replaced");
        }
        if chained(organization, &event) != event.hash {
            fault("was changed: its hash does not fit its text");
        }
        found.events += 1;
        found.seq = event.seq;
        previous = event.hash;
        Ok(())
    })
    .await?;
    found.head = hex(&previous);
    Ok(found)
}
