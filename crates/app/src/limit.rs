//! Limits and usage: what is in force and where it comes from, overrides, counting, and consuming up to a hard limit. Counting is no
//! change of what anybody may do: it takes no revision and leaves no audit event, but each reported event is kept by its key, so that
//! one that is sent again counts once.

use crate::caller::RequestContext;
use crate::entitlement::desk::{By, ChangeOptions, Changed, change};
use crate::entitlement::{Cause, Entry};
use crate::guard::Permit;
use crate::{App, subject, text};
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::catalogue::{Catalogue, Limit};
use charter_kernel::entitlement::{Enforcement, LimitKind, LimitMode, LimitOverrideFact};
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{Key, LimitOverrideId, OrganizationId, Problem, ProblemKind, Reason, Timestamp, Window};
use charter_policy::limits;
use charter_store as store;
use std::sync::Arc;
use store::subscription::SubscriptionStatus;
use store::usage::{GAUGE, UsageRow};

pub use charter_policy::limits::EffectiveLimit;

/// Most events in one batch.
pub const EVENTS_MAX: usize = 1_000;
/// Longest key of an event.
const EVENT_KEY_MAX: usize = 200;
/// Largest amount counted at once.
const AMOUNT_MAX: i64 = 1_000_000_000_000;

/// How much of a limit is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitState {
    /// Far from it.
    Ok,
    /// Beyond the share from which on it warns.
    Warning,
    /// Nothing is left.
    Reached,
    /// More is used than allowed, as after a downgrade.
    Beyond,
}

impl LimitState {
    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Reached => "reached",
            Self::Beyond => "beyond",
        }
    }

    fn of(limit: &EffectiveLimit, used: i64) -> Self {
        match limit.value {
            None => Self::Ok,
            Some(value) if used > value => Self::Beyond,
            Some(value) if used >= value => Self::Reached,
            Some(value) if i128::from(used) * 100 >= i128::from(value) * i128::from(limit.warn_percent) => {
                Self::Warning
            }
            Some(_) => Self::Ok,
        }
    }
}

/// A limit of an organization with its usage.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitView {
    /// The limit as the catalogue has it.
    pub limit: Limit,
    /// What is in force, and where it comes from.
    pub effective: EffectiveLimit,
    /// Used in this period.
    pub used: i64,
    /// Start of this period; none for a gauge.
    pub period_start: Option<Timestamp>,
    /// How much of it is used up.
    pub state: LimitState,
    /// The overrides of it, whether in force or not.
    pub overrides: Vec<LimitOverrideFact>,
}

/// An override to be written.
#[derive(Debug, Clone)]
pub struct LimitDraft {
    /// The limit.
    pub limit: Key,
    /// Replace or add.
    pub mode: LimitMode,
    /// The value; none is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    pub enforcement: Enforcement,
    /// When.
    pub window: Window,
    /// Why.
    pub reason: String,
}

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

/// Whether an amount is within a limit (E9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitAnswer {
    /// Whether it may go on.
    pub allowed: bool,
    /// Why not.
    pub reason: Option<Reason>,
    /// The limit in force.
    pub effective: EffectiveLimit,
    /// Used until now.
    pub used: i64,
    /// What somebody should know.
    pub warning: Option<String>,
}

/// The first instant of the month.
pub fn month_start(at: Timestamp) -> Timestamp {
    let text = at.to_string();
    text.get(..7).and_then(|month| format!("{month}-01T00:00:00Z").parse().ok()).unwrap_or(at)
}

fn period(limit: &Limit, at: Timestamp) -> Timestamp {
    match limit.kind {
        LimitKind::Counter if limit.monthly => month_start(at),
        _ => GAUGE,
    }
}

/// What is used of a limit in the period of an instant.
pub(crate) fn used(usage: &[UsageRow], limit: &Limit, now: Timestamp) -> i64 {
    let start = period(limit, now);
    usage.iter().find(|row| row.limit == limit.key && row.period_start == start).map_or(0, |row| row.used)
}

fn known(catalogue: &Catalogue, key: &Key) -> Result<Limit, Problem> {
    catalogue
        .limits
        .iter()
        .find(|limit| limit.key == *key)
        .cloned()
        .ok_or_else(|| Problem::not_found(format!("no limit {key} in the catalogue")))
}

/// The facts limits come from, without the rest of an organization's.
async fn facts(conn: &mut Conn, organization: OrganizationId) -> Result<OrganizationFacts, Problem> {
    let found = store::organization::get(conn, organization)
        .await?
        .ok_or_else(|| Problem::not_found("no such organization, or you are not a member of it"))?;
    let mut facts = OrganizationFacts {
        organization: found.organization,
        members: Vec::new(),
        teams: Vec::new(),
        roles: Vec::new(),
        assignments: Vec::new(),
        grants: Vec::new(),
        blocks: Vec::new(),
        conditions: Vec::new(),
        resources: Vec::new(),
        entitlements: Vec::new(),
        previews: Vec::new(),
        subscriptions: Vec::new(),
        limit_overrides: store::limit::list(conn, organization).await?,
    };
    facts.entitlements =
        store::entitlement::list(conn, organization).await?.into_iter().map(|row| row.entitlement).collect();
    for row in store::subscription::list(conn, organization).await? {
        if row.status != SubscriptionStatus::Ended {
            let mut fact = row.subscription;
            fact.limits = store::plan::limits(conn, &fact.plan, fact.version).await?;
            facts.subscriptions.push(fact);
        }
    }
    Ok(facts)
}

fn effective(
    facts: &OrganizationFacts,
    catalogue: &Catalogue,
    limit: &Key,
    now: Timestamp,
) -> Result<EffectiveLimit, Problem> {
    limits::effective(facts, catalogue, limit, now)
        .ok_or_else(|| Problem::not_found(format!("no limit {limit} in the catalogue")))
}

/// The limits of an organization, with usage and origin.
pub async fn of_organization(
    app: &App,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<Vec<LimitView>, Problem> {
    let catalogue = app.snapshots().catalogue();
    let (facts, usage) = app
        .database()
        .read(Scope::Organization(organization.bits()), move |conn: &mut Conn| {
            Box::pin(async move {
                Ok((facts(conn, organization).await?, store::usage::list(conn, organization).await?))
            }) as BoxFuture<'_, Result<(OrganizationFacts, Vec<UsageRow>), Problem>>
        })
        .await?;
    let view = |limit: &Limit| {
        let effective = effective(&facts, &catalogue, &limit.key, now)?;
        let used = used(&usage, limit, now);
        Ok(LimitView {
            state: LimitState::of(&effective, used),
            effective,
            used,
            period_start: Some(period(limit, now)).filter(|start| *start != GAUGE),
            overrides: facts.limit_overrides.iter().filter(|it| it.limit == limit.key).cloned().collect(),
            limit: limit.clone(),
        })
    };
    catalogue.limits.iter().map(view).collect()
}

/// What the organization used, period by period.
pub async fn usage(app: &App, organization: OrganizationId) -> Result<Vec<UsageRow>, Problem> {
    reading!(app.database(), organization, |conn| store::usage::list(conn, organization))
}

fn limit_json(limit: &LimitOverrideFact) -> serde_json::Value {
    serde_json::json!({
        "id": limit.id,
        "limit": limit.limit,
        "mode": limit.mode.as_str(),
        "value": limit.value,
        "enforcement": limit.enforcement.as_str(),
        "from": limit.window.from(),
        "to": limit.window.to(),
        "reason": limit.reason,
    })
}

/// Writes an override, in place of the one of the same limit and mode there is.
pub async fn put_override(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    options: ChangeOptions,
    draft: LimitDraft,
) -> Result<Changed<LimitOverrideFact>, Problem> {
    let reason = text::demanded_reason("reason", &draft.reason)?;
    subject::not_over(draft.window, ctx.now)?;
    if draft.mode == LimitMode::Set && draft.value.is_some_and(|value| value < 0) {
        return Err(Problem::invalid("value", "a limit is zero or more; null is unlimited"));
    }
    if draft.mode == LimitMode::Add && draft.value.is_none() {
        return Err(Problem::invalid("value", "say how much is added; to lift the limit, set it to null"));
    }
    if draft.value.is_some_and(|value| value.abs() > AMOUNT_MAX) {
        return Err(Problem::invalid(
            "value",
            format!("at most {AMOUNT_MAX} are allowed; null is unlimited"),
        ));
    }
    change(app, By::request(ctx, Cause::Api), organization, options, move |desk| {
        desk.require_customer()?;
        known(desk.catalogue(), &draft.limit)?;
        let id = LimitOverrideId(desk.fresh_id());
        let overrides = &mut desk.state.facts.limit_overrides;
        let found = overrides.iter_mut().find(|it| it.limit == draft.limit && it.mode == draft.mode);
        let row = LimitOverrideFact {
            id: found.as_ref().map_or(id, |found| found.id),
            limit: draft.limit.clone(),
            mode: draft.mode,
            value: draft.value,
            enforcement: draft.enforcement,
            window: draft.window,
            reason: reason.clone(),
        };
        let old = match found {
            Some(found) => Some(std::mem::replace(found, row.clone())),
            None => {
                overrides.push(row.clone());
                None
            }
        };
        let mut entry = Entry::new("limit.override", "limit", draft.limit.to_string(), &reason);
        entry.limit = Some(draft.limit);
        entry.before = old.as_ref().map(limit_json);
        entry.after = Some(limit_json(&row));
        desk.entries.push(entry);
        Ok(row)
    })
    .await
}

/// Takes the overrides of a limit back; of one mode, or of both.
pub async fn delete_override(
    app: &App,
    ctx: &RequestContext,
    _permit: &Permit,
    organization: OrganizationId,
    options: ChangeOptions,
    (limit, mode): (Key, Option<LimitMode>),
    reason: &str,
) -> Result<Changed<Vec<LimitOverrideFact>>, Problem> {
    let reason = text::demanded_reason("reason", reason)?;
    change(app, By::request(ctx, Cause::Api), organization, options, move |desk| {
        let overrides = &mut desk.state.facts.limit_overrides;
        let goes = |it: &LimitOverrideFact| it.limit == limit && mode.is_none_or(|mode| it.mode == mode);
        let gone: Vec<LimitOverrideFact> = overrides.iter().filter(|it| goes(it)).cloned().collect();
        if gone.is_empty() {
            return Err(Problem::not_found(format!("no override of {limit} in this organization")));
        }
        overrides.retain(|it| !goes(it));
        for old in &gone {
            let mut entry = Entry::new("limit.override_remove", "limit", limit.to_string(), &reason);
            entry.limit = Some(limit.clone());
            entry.before = Some(limit_json(old));
            desk.entries.push(entry);
        }
        Ok(gone)
    })
    .await
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

fn warning(limit: &EffectiveLimit, used: i64) -> Option<String> {
    let value = limit.value?;
    match LimitState::of(limit, used) {
        LimitState::Ok => None,
        LimitState::Warning | LimitState::Reached => {
            Some(format!("{used} of {value} {} are used", limit.limit))
        }
        LimitState::Beyond => {
            Some(format!("{used} {} are used, {} above the limit of {value}", limit.limit, used - value))
        }
    }
}

fn reached(limit: &EffectiveLimit, used: i64, amount: i64) -> Problem {
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
    if amount == 0 || amount.abs() > AMOUNT_MAX {
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

/// Whether an amount more is within a limit, for a decision that names one (E9). Nothing is counted: `consume` does that.
pub async fn check(
    app: &App,
    organization: OrganizationId,
    limit: &Key,
    requested: i64,
    now: Timestamp,
) -> Result<LimitAnswer, Problem> {
    let catalogue = app.snapshots().catalogue();
    let known = known(&catalogue, limit)?;
    let start = period(&known, now);
    let key = known.key.clone();
    let (facts, used) = app
        .database()
        .read(Scope::Organization(organization.bits()), move |conn: &mut Conn| {
            Box::pin(async move {
                Ok((
                    facts(conn, organization).await?,
                    store::usage::get(conn, organization, &key, start).await?,
                ))
            }) as BoxFuture<'_, Result<(OrganizationFacts, i64), Problem>>
        })
        .await?;
    let effective = effective(&facts, &catalogue, &known.key, now)?;
    let wanted = used.saturating_add(requested.max(0));
    let beyond = requested > 0 && effective.value.is_some_and(|value| wanted > value);
    let allowed = !(beyond && effective.enforcement == Enforcement::Hard);
    Ok(LimitAnswer {
        allowed,
        reason: (!allowed).then_some(Reason::LimitReached),
        warning: match effective.enforcement {
            Enforcement::Report => None,
            _ => warning(&effective, wanted),
        },
        effective,
        used,
    })
}
