//! Limits: what is in force and where it comes from, and whether an amount is within it. `usage.rs` counts, `overrides.rs` changes.

mod overrides;
mod usage;

pub use overrides::{LimitDraft, delete_override, put_override};
pub use usage::{Consumed, Counted, EVENTS_MAX, UsageEvent, consume, record_usage, usage};

use crate::App;
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::catalogue::{Catalogue, Limit};
use charter_kernel::entitlement::{Enforcement, LimitKind, LimitOverrideFact};
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{Key, OrganizationId, Problem, Reason, Timestamp};
use charter_policy::limits;
use charter_store as store;
use store::subscription::SubscriptionStatus;
use store::usage::{GAUGE, UsageRow};

pub use charter_policy::limits::EffectiveLimit;

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

/// Keeps what Charter itself counts within the plan: notes the count, and refuses one beyond a hard limit.
pub(crate) async fn keep_within(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    limit: &str,
    count: u64,
    now: Timestamp,
) -> Result<(), Problem> {
    require_within(tx, catalogue, organization, limit, count, now).await?;
    note(tx, catalogue, organization, limit, count, now).await
}

/// Refuses a count beyond a hard limit of the plan, and notes nothing.
pub(crate) async fn require_within(
    conn: &mut Conn,
    catalogue: &Catalogue,
    organization: OrganizationId,
    limit: &str,
    count: u64,
    now: Timestamp,
) -> Result<(), Problem> {
    let Some(limit) = catalogue.limits.iter().find(|known| known.key.as_str() == limit) else {
        return Ok(());
    };
    let effective = effective(&facts(conn, organization).await?, catalogue, &limit.key, now)?;
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if effective.enforcement == Enforcement::Hard && effective.value.is_some_and(|value| count > value) {
        return Err(usage::reached(&effective, count - 1, 1));
    }
    Ok(())
}

/// Notes how much there is of what Charter itself counts.
pub(crate) async fn note(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    limit: &str,
    count: u64,
    now: Timestamp,
) -> Result<(), Problem> {
    let Some(limit) = catalogue.limits.iter().find(|known| known.key.as_str() == limit) else {
        return Ok(());
    };
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    store::usage::set(tx, organization, &limit.key, period(limit, now), count, now).await?;
    Ok(())
}

fn warning(limit: &EffectiveLimit, used: i64) -> Option<String> {
    let value = limit.value?;
    match LimitState::of(limit, used) {
        LimitState::Ok => None,
        LimitState::Warning | LimitState::Reached => {
            Some(format!("{used} of {value} {} are used", limit.limit))
        }
        LimitState::Beyond => Some(format!(
            "{used} {} are used, {} above the limit of {value}",
            limit.limit,
            used.saturating_sub(value)
        )),
    }
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
