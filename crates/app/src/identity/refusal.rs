//! Credentials that were refused, on their way to the audit trail: counted by what was wrong, so that a flood of bad tokens costs a
//! bounded number of rows.

use super::token::TokenFault;
use crate::App;
use crate::audit;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::audit::{Actor, Outcome};
use charter_kernel::{Problem, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Refusals are written together at most this often.
const EVERY_SECONDS: i64 = 10;

#[derive(Debug, Clone, Copy)]
struct Tally {
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
    address: Option<IpAddr>,
}

/// Refusals that wait to be written.
#[derive(Debug, Default)]
pub struct Refusals {
    waiting: Mutex<BTreeMap<TokenFault, Tally>>,
}

impl Refusals {
    /// Takes note of a refused credential.
    pub fn record(&self, fault: TokenFault, address: Option<IpAddr>, now: Timestamp) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = waiting.entry(fault).or_insert(Tally { count: 0, first_at: now, last_at: now, address });
        tally.count += 1;
        tally.last_at = now;
        tally.address = address;
    }

    fn due(&self, now: Timestamp) -> BTreeMap<TokenFault, Tally> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = waiting.values().any(|tally| tally.first_at.plus_seconds(EVERY_SECONDS) <= now);
        if is_due { std::mem::take(&mut *waiting) } else { BTreeMap::new() }
    }

    fn give_back(&self, tallies: BTreeMap<TokenFault, Tally>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (fault, tally) in tallies {
            let entry = waiting.entry(fault).or_insert(Tally { count: 0, ..tally });
            entry.count += tally.count;
            entry.first_at = entry.first_at.min(tally.first_at);
        }
    }
}

/// Writes what waits; what cannot be written waits on.
pub async fn flush(app: &App) -> Result<(), Problem> {
    let (platform, now) = (app.platform(), app.now());
    let tallies = app.identity().refusals.due(now);
    if tallies.is_empty() {
        return Ok(());
    }
    let mut events: Vec<_> = tallies
        .iter()
        .map(|(fault, tally)| {
            let mut event =
                audit::system_event("identity", platform, now, "token.refuse", "token", fault.as_str());
            event.actor = Actor::Nobody;
            event.outcome = Outcome::Denied;
            event.address = tally.address.map(|address| address.to_string());
            event.after = Some(format!(
                r#"{{"count":{},"first_at":"{}","last_at":"{}"}}"#,
                tally.count, tally.first_at, tally.last_at
            ));
            event
        })
        .collect();
    let first = events.remove(0);
    let written = app
        .write(Scope::Installation, platform, now, move |transaction: Transaction<'_>| {
            Box::pin(async move { transaction.commit(first, events, ()).await })
                as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await;
    if written.is_err() {
        app.identity().refusals.give_back(tallies);
    }
    written.map(|_| ())
}
