//! Writes down how keys were used: their counts in one batch every half a minute, what they took from their rates about once a second,
//! and tells on the audit trail what is unusual about it and which keys end soon. A check of a key never waits for any of it.

use super::key_use::{Counted, KeyUse};
use super::notice::{self, Notice};
use crate::App;
use crate::audit;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store as store;
use charter_store::credential::Credential;
use charter_store::credential_use::HourOfUse;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Counts are written at most this often.
const EVERY_SECONDS: i64 = 30;
/// Most keys in one transaction.
const BATCH: usize = 500;
/// Refusals of one key between two batches from which on it is worth an alert.
const BURST: u64 = 20;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// For how long hourly counts are kept.
const KEPT_DAYS: i64 = 400;
/// Days before its end on which the owner of a key is told.
const NOTICE_DAYS: [u32; 3] = [1, 7, 30];

fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp(at.micros() - at.micros().rem_euclid(HOUR * 1_000_000))
}

/// Night is 22 to 6 o'clock UTC: an organization has no time zone of its own.
fn is_night(at: Timestamp) -> bool {
    let hour = at.micros().div_euclid(HOUR * 1_000_000).rem_euclid(24);
    !(6..22).contains(&hour)
}

/// Writes what is due, or everything when the service ends. What cannot be written waits on.
pub(super) async fn flush(app: &App, now: Timestamp, is_last: bool) {
    let identity = app.identity();
    share(app, now).await;
    let flushed_at = Timestamp(identity.keys_flushed_at.load(Ordering::Acquire));
    if !is_last && flushed_at.plus_seconds(EVERY_SECONDS) > now {
        return;
    }
    identity.keys_flushed_at.store(now.micros(), Ordering::Release);
    let counted: Vec<(Arc<KeyUse>, Counted)> = identity
        .key_uses
        .all(now)
        .into_iter()
        .filter_map(|it| it.drain().map(|counted| (it, counted)))
        .collect();
    for batch in counted.chunks(BATCH) {
        if let Err(problem) = write(app, batch).await {
            tracing::warn!(%problem, "how API keys were used could not be written: it waits on");
            batch.iter().for_each(|(key, counted)| key.give_back(counted));
            continue;
        }
        for (key, counted) in batch {
            if let Err(problem) = unusual(app, key, counted, now).await {
                tracing::warn!(%problem, credential = %key.credential, "an alert about an API key could not be written");
            }
        }
    }
}

async fn write(app: &App, batch: &[(Arc<KeyUse>, Counted)]) -> Result<(), Problem> {
    let batch = batch.to_vec();
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                for (key, it) in &batch {
                    let (organization, id) = (key.organization, key.credential);
                    if it.uses > 0 {
                        let address = it.address.map(|address| address.to_string());
                        let address = address.as_deref();
                        store::credential::note_use(tx, organization, id, it.last_at, address, it.uses)
                            .await?;
                    }
                    let hour = HourOfUse { hour: hour_of(it.last_at), uses: it.uses, refusals: it.refusals };
                    store::credential_use::add(tx, organization, id, hour).await?;
                }
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}

/// Adds up with other nodes what was taken from rates.
async fn share(app: &App, now: Timestamp) {
    let taken = app.identity().key_uses.taken();
    if taken.is_empty() {
        return;
    }
    let batch = taken.clone();
    let told: Result<Vec<Timestamp>, Problem> = app
        .database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                let mut told = Vec::with_capacity(batch.len());
                for (key, micros) in &batch {
                    let (organization, id) = (key.organization, key.credential);
                    told.push(store::credential_use::take(tx, organization, id, now, *micros).await?);
                }
                Ok(told)
            }) as BoxFuture<'_, Result<Vec<Timestamp>, Problem>>
        })
        .await;
    match told {
        Ok(told) => taken.iter().zip(told).for_each(|((key, _), full_at)| key.learn_rate(full_at)),
        Err(problem) => {
            tracing::warn!(%problem, "rates of API keys could not be shared: this node counts alone");
            taken.iter().for_each(|(key, micros)| key.give_back_taken(*micros));
        }
    }
}

fn event(key: &KeyUse, now: Timestamp, action: &'static str, after: &serde_json::Value) -> AuditEvent {
    let mut event = audit::system_event(
        "identity",
        key.organization,
        now,
        action,
        "credential",
        key.credential.to_string(),
    );
    event.after = Some(after.to_string());
    event
}

/// What somebody should hear of: the first use, a network it never came from, many refusals, a first night.
async fn unusual(app: &App, key: &KeyUse, counted: &Counted, now: Timestamp) -> Result<(), Problem> {
    let (organization, id) = (key.organization, key.credential);
    let hour = hour_of(counted.last_at);
    let asks_night = counted.uses > 0 && is_night(counted.last_at) && key.is_first_night();
    let mut events = Vec::new();
    let mut new_networks = Vec::new();
    if !counted.networks.is_empty() || asks_night {
        let (known, hours) = reading!(app.database(), organization, |conn| async move {
            let known = store::credential_use::networks(conn, organization, id).await?;
            let since = now.plus_seconds(-KEPT_DAYS * DAY);
            let hours = store::credential_use::hours(conn, organization, id, since).await?;
            Ok::<_, charter_db::Error>((known, hours))
        })?;
        new_networks = counted.networks.clone();
        new_networks.retain(|network| !known.iter().any(|it| it.network == *network));
        if !new_networks.is_empty() {
            let told = serde_json::json!({ "networks": new_networks, "address": counted.address });
            events.push(if known.is_empty() {
                event(key, now, "credential.first_use", &told)
            } else {
                event(key, now, "credential.new_network", &told)
            });
        }
        // What other nodes wrote of this very night is a night that was told of.
        let had_night = hours
            .iter()
            .any(|it| it.uses > 0 && is_night(it.hour) && (it.hour != hour || it.uses > counted.uses));
        let had_days = hours.iter().any(|it| it.uses > 0 && it.hour.plus_seconds(DAY) <= counted.last_at);
        if asks_night && had_days && !had_night {
            let told = serde_json::json!({ "address": counted.address, "at": counted.last_at });
            events.push(event(key, now, "credential.first_night", &told));
        }
    }
    if counted.refusals >= BURST && key.may_alert(now) {
        let told = serde_json::json!({ "refusals": counted.refusals });
        events.push(event(key, now, "credential.refusals", &told));
    }
    let learned = counted.networks.clone();
    if !events.is_empty() {
        let first = events.remove(0);
        app.write(
            Scope::Organization(organization.bits()),
            organization,
            now,
            move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    for network in &new_networks {
                        store::credential_use::add_network(transaction.tx(), organization, id, network, now)
                            .await?;
                    }
                    transaction.commit(first, events, ()).await
                }) as BoxFuture<'_, Result<Committed<()>, Problem>>
            },
        )
        .await?;
    }
    learned.iter().for_each(|network| key.learn_network(network));
    Ok(())
}

/// Tells on the trail which keys end in 30, 7 and 1 days, each once; forgets old counts. Called about once an hour.
pub(super) async fn hourly(app: &App, now: Timestamp) -> Result<(), Problem> {
    let before = now.plus_seconds(-KEPT_DAYS * DAY);
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                store::credential_use::purge(tx, before).await?;
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await?;
    let until = now.plus_seconds(i64::from(NOTICE_DAYS[2]) * DAY);
    let ending = reading_all!(app.database(), |conn| store::credential::expiring(conn, now, until))?;
    for row in ending {
        let Some(days) = notice(&row, now) else { continue };
        match tell(app, row, days, now).await {
            Err(problem) if problem.kind != ProblemKind::InUse => return Err(problem),
            _ => {}
        }
    }
    Ok(())
}

/// The notice that is due about a key's end. A key made for less than a notice's days was known to end then when it was made.
fn notice(row: &Credential, now: Timestamp) -> Option<u32> {
    let end = row.window.to()?;
    let days = NOTICE_DAYS.into_iter().find(|days| now.plus_seconds(i64::from(*days) * DAY) >= end)?;
    let is_news = row.notice_days.is_none_or(|told| told > days);
    (is_news && row.created_at.plus_seconds(i64::from(days) * DAY) < end).then_some(days)
}

async fn tell(app: &App, row: Credential, days: u32, now: Timestamp) -> Result<(), Problem> {
    let (organization, id) = (row.organization, row.id);
    let mut event = audit::system_event(
        "identity",
        organization,
        now,
        "credential.expiring",
        "credential",
        id.to_string(),
    );
    event.after = Some(
        serde_json::json!({ "name": row.name, "key_id": row.key_id, "days": days, "expires_at": row.window.to() })
            .to_string(),
    );
    let app_inside = app.clone();
    // Mail of the installation is written beside what belongs to the organization.
    app.write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            if !store::credential::note_notice(transaction.tx(), organization, id, days).await? {
                return Err(Problem::new(ProblemKind::InUse, "another node has told it"));
            }
            if let Some(expires_at) = row.window.to() {
                let notice = Notice::ApiKeyExpiring { key: row.name, days, expires_at };
                notice::queue(&app_inside, transaction.tx(), row.principal, notice, now).await?;
            }
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn night_is_from_22_to_6() {
        let at = |hour: i64| Timestamp::from_seconds(1_800_000_000 - 8 * HOUR + hour * HOUR);
        let nights: Vec<i64> = (0..24).filter(|hour| is_night(at(*hour))).collect();
        assert_eq!(nights, [0, 1, 2, 3, 4, 5, 22, 23]);
        assert_eq!(hour_of(at(3).plus_seconds(3_599)), at(3));
    }
}
