//! Denials on their way to the audit trail: identical ones within a minute become one event with a count, so that a caller who
//! is refused a million times costs a bounded number of rows.

use crate::{App, audit};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::audit::{Actor, AuditEvent, Outcome};
use charter_kernel::{OrganizationId, PrincipalId, Problem, Reason, RequestId, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Characters of a text that are kept.
const CHARACTERS_MAX: usize = 300;

/// Up to two texts, read as one with a colon between them; nothing is copied before it has to be kept.
#[derive(Debug, Clone, Copy, Hash)]
pub struct Joined<'a>(pub &'a str, pub Option<&'a str>);

impl Joined<'_> {
    fn kept(self) -> String {
        let mut text = match self {
            Self(only, None) => only.to_owned(),
            Self(first, Some(second)) => format!("{first}:{second}"),
        };
        if let Some((end, _)) = text.char_indices().nth(CHARACTERS_MAX) {
            text.truncate(end);
        }
        text
    }

    fn is(self, kept: &str) -> bool {
        let whole = match self {
            Self(only, None) => only == kept,
            Self(first, Some(second)) => {
                kept.strip_prefix(first).and_then(|rest| rest.strip_prefix(':')) == Some(second)
            }
        };
        whole || (kept.len() >= CHARACTERS_MAX && self.kept() == kept)
    }
}

/// One refusal.
#[derive(Debug, Clone, Copy)]
pub struct Denial<'a> {
    /// Where.
    pub organization: OrganizationId,
    /// Who was refused.
    pub principal: PrincipalId,
    /// Its login, for readers.
    pub login: &'a str,
    /// What was asked for: a permission, or a type and an action.
    pub permission: Joined<'a>,
    /// On which resource: type and id.
    pub resource: Option<Joined<'a>>,
    /// Why it was refused.
    pub reason: Reason,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The request.
    pub request: Option<RequestId>,
    /// When.
    pub at: Timestamp,
}

/// The first of some equal refusals, and how many there were.
struct Counted {
    organization: OrganizationId,
    principal: PrincipalId,
    login: String,
    permission: String,
    resource: Option<String>,
    reason: Reason,
    address: Option<IpAddr>,
    request: Option<RequestId>,
    at: Timestamp,
    last_at: Timestamp,
    count: u64,
}

impl Counted {
    fn first(denial: &Denial<'_>) -> Self {
        Self {
            organization: denial.organization,
            principal: denial.principal,
            login: Joined(denial.login, None).kept(),
            permission: denial.permission.kept(),
            resource: denial.resource.map(Joined::kept),
            reason: denial.reason,
            address: denial.address,
            request: denial.request,
            at: denial.at,
            last_at: denial.at,
            count: 1,
        }
    }

    fn is(&self, denial: &Denial<'_>) -> bool {
        (self.organization, self.principal, self.reason)
            == (denial.organization, denial.principal, denial.reason)
            && denial.permission.is(&self.permission)
            && match (denial.resource, &self.resource) {
                (None, None) => true,
                (Some(asked), Some(kept)) => asked.is(kept),
                _ => false,
            }
    }
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
    /// By the hash of what makes refusals equal.
    counted: HashMap<u64, Vec<Counted>>,
    distinct: usize,
    beyond: HashMap<OrganizationId, (u64, Timestamp)>,
}

impl Denials {
    /// Takes note of a refusal; it is written with the next flush.
    pub fn record(&self, denial: &Denial<'_>) {
        let Denial { organization, principal, permission, resource, reason, .. } = *denial;
        let mut guard = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = &mut *guard;
        let place =
            waiting.counted.hasher().hash_one((organization, principal, permission, resource, reason));
        let same = waiting.counted.get_mut(&place);
        if let Some(counted) = same.and_then(|alike| alike.iter_mut().find(|counted| counted.is(denial))) {
            counted.count += 1;
            counted.last_at = denial.at;
        } else if waiting.distinct >= DISTINCT_MAX {
            let beyond = waiting.beyond.entry(organization).or_insert((0, denial.at));
            beyond.0 += 1;
        } else {
            waiting.counted.entry(place).or_default().push(Counted::first(denial));
            waiting.distinct += 1;
        }
    }

    fn take(&self) -> BTreeMap<OrganizationId, Vec<AuditEvent>> {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let mut events: BTreeMap<OrganizationId, Vec<AuditEvent>> = BTreeMap::new();
        for counted in waiting.counted.into_values().flatten() {
            events.entry(counted.organization).or_default().push(event_of(counted));
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
    let (count, last_at) = (counted.count, counted.last_at);
    let target = match &counted.resource {
        Some(resource) => format!("{} on {resource}", counted.permission),
        None => counted.permission,
    };
    AuditEvent {
        organization: counted.organization,
        at: counted.at,
        actor: Actor::Principal { id: counted.principal, login: counted.login },
        action: "check.deny",
        target_kind: "permission",
        target,
        outcome: Outcome::Denied,
        reason: counted.reason.as_str().to_owned(),
        before: None,
        after: (count > 1).then(|| format!(r#"{{"count":{count},"last_at":"{last_at}"}}"#)),
        request: counted.request,
        address: counted.address.map(|address| address.to_string()),
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
                self.shadow().unaudited(organization, &problem);
                self.denials().give_back(organization, count, at);
                failed = Some(problem);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial<'a>(permission: Joined<'a>, resource: Option<Joined<'a>>) -> Denial<'a> {
        Denial {
            organization: OrganizationId(1),
            principal: PrincipalId(2),
            login: "ann@toys.example",
            permission,
            resource,
            reason: Reason::NoGrant,
            address: None,
            request: None,
            at: Timestamp::from_seconds(1_000),
        }
    }

    #[test]
    fn equal_refusals_are_one_event_and_different_ones_are_not() {
        let (denials, long) = (Denials::default(), "é".repeat(400));
        let ids = ["1", "2", "1", &long, "1", &long];
        for id in ids {
            denials.record(&denial(Joined("account", Some("read")), Some(Joined("account", Some(id)))));
        }
        denials.record(&denial(Joined("finance.accounts.read", None), None));
        let events = denials.take().remove(&OrganizationId(1)).unwrap();
        let mut told: Vec<(&str, Option<&str>)> =
            events.iter().map(|event| (event.target.as_str(), event.after.as_deref())).collect();
        told.sort_unstable();
        let end = "\"last_at\":\"1970-01-01T00:16:40Z\"}";
        let (twice, thrice) = (format!("{{\"count\":2,{end}"), format!("{{\"count\":3,{end}"));
        let cut = format!("account:read on account:{}", "é".repeat(292));
        assert_eq!(
            told,
            [
                ("account:read on account:1", Some(thrice.as_str())),
                ("account:read on account:2", None),
                (cut.as_str(), Some(twice.as_str())),
                ("finance.accounts.read", None),
            ]
        );
        assert!(denials.take().is_empty());
    }

    #[test]
    fn what_is_told_apart_is_bounded() {
        let denials = Denials::default();
        for id in 0..DISTINCT_MAX + 7 {
            denials.record(&denial(
                Joined("account", Some("read")),
                Some(Joined("account", Some(&id.to_string()))),
            ));
        }
        let events = denials.take().remove(&OrganizationId(1)).unwrap();
        assert_eq!(events.len(), DISTINCT_MAX + 1);
        assert!(events.iter().any(|event| event.reason.starts_with("7 more denials")));
    }
}
