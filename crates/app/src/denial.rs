//! Denials on their way to the audit trail: identical ones within a minute become one event with a count, so that a caller who
//! is refused a million times costs a bounded number of rows.

use crate::{App, audit};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::audit::{Actor, AuditEvent, Outcome};
use charter_kernel::{OrganizationId, PrincipalId, Problem, Reason, RequestId, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// One refusal.
#[derive(Debug, Clone)]
pub struct Denial {
    /// Where.
    pub organization: OrganizationId,
    /// Who was refused.
    pub principal: PrincipalId,
    /// Its login, for readers.
    pub login: String,
    /// What was asked for.
    pub permission: String,
    /// On which resource, as `type:id`.
    pub resource: Option<String>,
    /// Why it was refused.
    pub reason: Reason,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The request.
    pub request: Option<RequestId>,
    /// When.
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Same {
    organization: OrganizationId,
    principal: PrincipalId,
    permission: String,
    resource: Option<String>,
    reason: Reason,
}

struct Counted {
    first: Denial,
    last_at: Timestamp,
    count: u64,
}

/// At most this many different refusals are told apart between two flushes; the rest is counted per organization.
const DISTINCT_MAX: usize = 10_000;

/// Refusals that wait to be written.
#[derive(Default)]
pub struct Denials {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    counted: HashMap<Same, Counted>,
    beyond: HashMap<OrganizationId, (u64, Timestamp)>,
}

impl Denials {
    /// Takes note of a refusal; it is written with the next flush.
    pub fn record(&self, denial: Denial) {
        let same = Same {
            organization: denial.organization,
            principal: denial.principal,
            permission: denial.permission.clone(),
            resource: denial.resource.clone(),
            reason: denial.reason,
        };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = waiting.counted.get_mut(&same) {
            counted.count += 1;
            counted.last_at = denial.at;
        } else if waiting.counted.len() >= DISTINCT_MAX {
            let beyond = waiting.beyond.entry(denial.organization).or_insert((0, denial.at));
            beyond.0 += 1;
        } else {
            waiting.counted.insert(same, Counted { last_at: denial.at, first: denial, count: 1 });
        }
    }

    fn take(&self) -> BTreeMap<OrganizationId, Vec<AuditEvent>> {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let mut events: BTreeMap<OrganizationId, Vec<AuditEvent>> = BTreeMap::new();
        for counted in waiting.counted.into_values() {
            events.entry(counted.first.organization).or_default().push(event_of(counted));
        }
        for (organization, (count, at)) in waiting.beyond {
            events.entry(organization).or_default().push(AuditEvent {
                organization,
                at,
                actor: Actor::System { part: "denials" },
                action: "check.deny",
                target_kind: "permission",
                target: "*".to_owned(),
                outcome: Outcome::Denied,
                reason: format!("{count} more denials, too many different ones to list"),
                before: None,
                after: None,
                request: None,
                address: None,
            });
        }
        for list in events.values_mut() {
            list.sort_by(|a, b| (a.at, &a.target).cmp(&(b.at, &b.target)));
        }
        events
    }

    fn give_back(&self, organization: OrganizationId, events: usize, at: Timestamp) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let beyond = waiting.beyond.entry(organization).or_insert((0, at));
        beyond.0 += events as u64;
    }
}

fn event_of(counted: Counted) -> AuditEvent {
    let Counted { first, last_at, count } = counted;
    let target = match &first.resource {
        Some(resource) => format!("{} on {resource}", first.permission),
        None => first.permission.clone(),
    };
    AuditEvent {
        organization: first.organization,
        at: first.at,
        actor: Actor::Principal { id: first.principal, login: first.login },
        action: "check.deny",
        target_kind: "permission",
        target,
        outcome: Outcome::Denied,
        reason: first.reason.as_str().to_owned(),
        before: None,
        after: (count > 1).then(|| format!(r#"{{"count":{count},"last_at":"{last_at}"}}"#)),
        request: first.request,
        address: first.address.map(|address| address.to_string()),
    }
}

impl App {
    /// Writes the refusals that wait. What cannot be written is kept as a count and tried again.
    pub async fn flush_denials(&self) -> Result<(), Problem> {
        let mut failed = None;
        for (organization, events) in self.denials().take() {
            let (count, at) = (events.len(), events.first().map_or(self.now(), |event| event.at));
            let written: Result<(), Problem> = self
                .database()
                .write(Scope::Organization(organization.bits()), move |tx: &mut Tx| {
                    Box::pin(async move { audit::append(tx, events).await })
                        as BoxFuture<'_, Result<(), Problem>>
                })
                .await;
            if let Err(problem) = written {
                self.denials().give_back(organization, count, at);
                failed = Some(problem);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
