//! Usage: counting what happened, and consuming up to a hard limit. Counting is no change of what anybody may do: it takes no
//! revision and leaves no audit event, but each reported event is kept by its key, so that one that is sent again counts once.

use super::{AMOUNT_MAX, LimitState, effective, facts, known, period, warning};
use crate::App;
use crate::guard::Permit;
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::catalogue::{Catalogue, Limit};
use charter_kernel::entitlement::{Enforcement, LimitKind};
use charter_kernel::{Key, OrganizationId, Problem, ProblemKind, Reason, Timestamp};
use charter_policy::limits::EffectiveLimit;
use charter_store as store;
use std::sync::Arc;
use store::usage::UsageRow;

/// Most events in one batch.
pub const EVENTS_MAX: usize = 1_000;
/// Longest key of an event.
const EVENT_KEY_MAX: usize = 200;

/// Usage to be counted.
#[derive(Debug, Clone)]
pub struct UsageEvent {
    /// Chosen by the caller: the same event counts once.
    pub key: String,
    /// The limit.
    pub limit: Key,
    /// How many more of a counter; the whole count of a gauge.
    pub amount: i64,
    /// When it happened.
    pub at: Timestamp,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Events counted now.
    pub counted: usize,
    /// Events that were counted before.
    pub repeated: usize,
    /// Limits that are reached or exceeded, with what is used of them.
    pub reached: Vec<(Key, i64)>,
}

/// What is known after something was consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
    /// The limit.
    pub limit: Key,
    /// Used, with this.
    pub used: i64,
    /// The value; none is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    pub enforcement: Enforcement,
    /// How much of it is used up.
    pub state: LimitState,
    /// It was counted before, by its key.
    pub repeated: bool,
    /// What somebody should know.
    pub warning: Option<String>,
}

/// What the organization used, period by period.
pub async fn usage(app: &App, organization: OrganizationId) -> Result<Vec<UsageRow>, Problem> {
    reading!(app.database(), organization, |conn| store::usage::list(conn, organization))
}

/// Refuses events that say nothing sensible.
fn checked(catalogue: &Catalogue, events: &[UsageEvent], now: Timestamp) -> Result<(), Problem> {
    if events.is_empty() || events.len() > EVENTS_MAX {
        return Err(Problem::invalid("events", format!("1 to {EVENTS_MAX} events are expected")));
    }
    for (at, event) in events.iter().enumerate() {
        let field = |name: &str| format!("events.{at}.{name}");
        let limit = known(catalogue, &event.limit)
            .map_err(|problem| Problem::invalid(field("limit"), problem.detail))?;
        let right = !event.key.is_empty()
            && event.key.len() <= EVENT_KEY_MAX
            && event.key.bytes().all(|byte| byte.is_ascii_graphic());
        if !right {
            return Err(Problem::invalid(
                field("key"),
                format!("1 to {EVENT_KEY_MAX} visible ASCII characters are expected"),
            ));
        }
        let least = if limit.kind == LimitKind::Counter { 1 } else { 0 };
        if !(least..=AMOUNT_MAX).contains(&event.amount) {
            return Err(Problem::invalid(
                field("amount"),
                format!("a whole number from {least} to {AMOUNT_MAX} is expected"),
            ));
        }
        if event.at > now.plus_seconds(300) {
            return Err(Problem::invalid(field("at"), format!("lies ahead: it is {now} now")));
        }
        if event.at < now.plus_seconds(-60 * 86_400) {
            return Err(Problem::invalid(
                field("at"),
                "is more than 60 days ago: it cannot be told from one counted before",
            ));
        }
    }
    Ok(())
}

/// Counts a batch of usage; an event whose key was counted before counts no more. What happened is counted beyond a limit too.
pub async fn record_usage(
    app: &App,
    _permit: &Permit,
    organization: OrganizationId,
    events: Vec<UsageEvent>,
    now: Timestamp,
) -> Result<Counted, Problem> {
    let catalogue = app.snapshots().catalogue();
    checked(&catalogue, &events, now)?;
    app.database()
        .write(Scope::Organization(organization.bits()), move |tx: &mut Tx| {
            Box::pin(async move { count(tx, &catalogue, organization, events, now).await })
                as BoxFuture<'_, Result<Counted, Problem>>
        })
        .await
}

async fn count(
    tx: &mut Tx,
    catalogue: &Arc<Catalogue>,
    organization: OrganizationId,
    mut events: Vec<UsageEvent>,
    now: Timestamp,
) -> Result<Counted, Problem> {
    let facts = facts(tx, organization).await?;
    // One order for all batches, so that two of them never wait for each other; a gauge takes its newest count last.
    events.sort_by(|a, b| (&a.limit, a.at, &a.key).cmp(&(&b.limit, b.at, &b.key)));
    let mut counted = Counted { counted: 0, repeated: 0, reached: Vec::new() };
    let mut touched: Vec<Limit> = Vec::new();
    for event in &events {
        let limit = known(catalogue, &event.limit)?;
        if !store::usage::record(tx, organization, &event.key, &event.limit, event.amount, event.at).await? {
            counted.repeated += 1;
            continue;
        }
        counted.counted += 1;
        let start = period(&limit, event.at);
        match limit.kind {
            LimitKind::Counter => {
                store::usage::add(tx, organization, &limit.key, start, event.amount, event.at).await?;
            }
            LimitKind::Gauge => {
                store::usage::set_newer(tx, organization, &limit.key, start, event.amount, event.at).await?;
            }
        }
        if !touched.iter().any(|known| known.key == limit.key) {
            touched.push(limit);
        }
    }
    for limit in touched {
        let effective = effective(&facts, catalogue, &limit.key, now)?;
        let used = store::usage::get(tx, organization, &limit.key, period(&limit, now)).await?;
        if matches!(LimitState::of(&effective, used), LimitState::Reached | LimitState::Beyond) {
            counted.reached.push((limit.key, used));
        }
    }
    Ok(counted)
}

pub(super) fn reached(limit: &EffectiveLimit, used: i64, amount: i64) -> Problem {
    let value = limit.value.unwrap_or_default();
    Problem::new(
        ProblemKind::LimitReached,
        format!(
            "{}: {used} of {value} are used, {amount} more would go beyond ({})",
            limit.limit,
            limit.from.join(", ")
        ),
    )
    .because(Reason::LimitReached)
}

/// Uses an amount of a limit, and refuses what would go beyond a hard one: in one statement on the counting row, so that two at once
/// never exceed it together. Less than zero gives back of a gauge. With a key the same use counts once.
pub async fn consume(
    app: &App,
    _permit: &Permit,
    organization: OrganizationId,
    limit: Key,
    amount: i64,
    key: Option<String>,
    now: Timestamp,
) -> Result<Consumed, Problem> {
    let catalogue = app.snapshots().catalogue();
    let known = known(&catalogue, &limit)?;
    if amount == 0 || amount.unsigned_abs() > AMOUNT_MAX.unsigned_abs() {
        return Err(Problem::invalid("amount", format!("1 to {AMOUNT_MAX} is expected")));
    }
    if amount < 0 && known.kind == LimitKind::Counter {
        return Err(Problem::invalid(
            "amount",
            format!("{limit} counts what happened: nothing can be given back"),
        ));
    }
    if key.as_ref().is_some_and(|key| {
        key.is_empty() || key.len() > EVENT_KEY_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic())
    }) {
        return Err(Problem::invalid(
            "key",
            format!("1 to {EVENT_KEY_MAX} visible ASCII characters are expected"),
        ));
    }
    app.database()
        .write(Scope::Organization(organization.bits()), move |tx: &mut Tx| {
            Box::pin(async move {
                let facts = facts(tx, organization).await?;
                let effective = effective(&facts, &catalogue, &known.key, now)?;
                let start = period(&known, now);
                let mut repeated = false;
                if let Some(key) = &key {
                    repeated = !store::usage::record(tx, organization, key, &known.key, amount, now).await?;
                }
                let used = if repeated {
                    store::usage::get(tx, organization, &known.key, start).await?
                } else if let (Enforcement::Hard, Some(value), true) =
                    (effective.enforcement, effective.value, amount > 0)
                {
                    match store::usage::add_within(tx, organization, &known.key, start, amount, value, now)
                        .await?
                    {
                        Some(used) => used,
                        None => {
                            let used = store::usage::get(tx, organization, &known.key, start).await?;
                            return Err(reached(&effective, used, amount));
                        }
                    }
                } else {
                    let used = store::usage::add(tx, organization, &known.key, start, amount, now).await?;
                    if used < 0 {
                        // More was given back than taken: the count begins anew at nothing.
                        store::usage::set(tx, organization, &known.key, start, 0, now).await?;
                    }
                    used.max(0)
                };
                Ok(Consumed {
                    limit: known.key,
                    used,
                    value: effective.value,
                    enforcement: effective.enforcement,
                    state: LimitState::of(&effective, used),
                    repeated,
                    warning: warning(&effective, used),
                })
            }) as BoxFuture<'_, Result<Consumed, Problem>>
        })
        .await
}
