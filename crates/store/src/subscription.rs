//! Subscriptions of organizations to plans, add-ons and trials.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::entitlement::{SubscriptionFact, SubscriptionKind};
use charter_kernel::{Key, OrganizationId, SubscriptionId, Timestamp};

use crate::row::{self, Span};
use crate::{Page, Result};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select organization_id, subscription_id, kind, plan_key, version, quantity, starts_at, ends_at, status, grace_days, \
             read_only_days, end_action, fallback_plan_key, pinned, created_at, updated_at from org_subscriptions ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into org_subscriptions (organization_id, subscription_id, kind, plan_key, version, quantity, starts_at, ends_at, \
              status, grace_days, read_only_days, end_action, fallback_plan_key, pinned, created_at, updated_at) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
    UPDATE = "update org_subscriptions set plan_key = $3, version = $4, quantity = $5, starts_at = $6, ends_at = $7, status = $8, \
              grace_days = $9, read_only_days = $10, end_action = $11, fallback_plan_key = $12, pinned = $13, updated_at = $14 \
              where organization_id = $1 and subscription_id = $2";
    GET = select!("where organization_id = $1 and subscription_id = $2");
    LIST = select!("where organization_id = $1 order by subscription_id");
    DUE = select!("where organization_id = $1 and status = $2 and ends_at <= $3 order by ends_at, subscription_id");
    BEGINNINGS_DUE = "select organization_id, subscription_id, starts_at from org_subscriptions where status = 'scheduled' \
                      and starts_at <= $1 and (starts_at, organization_id, subscription_id) > ($2, $3, $4) \
                      order by starts_at, organization_id, subscription_id limit $5";
    ENDS_DUE = "select organization_id, subscription_id, ends_at from org_subscriptions where status <> 'ended' \
                and ends_at <= $1 and (ends_at, organization_id, subscription_id) > ($2, $3, $4) \
                order by ends_at, organization_id, subscription_id limit $5";
    ORGANIZATIONS_OF_PLAN = "select distinct organization_id from org_subscriptions where plan_key = $1 and version <> $2 \
                             and status <> 'ended' and organization_id > $3 order by organization_id limit $4";
    FACTS = select!("where organization_id = $1 and status <> 'ended' order by subscription_id");
    ALL_FACTS = select!("where organization_id >= $1 and organization_id <= $2 and status <> 'ended' \
                     order by organization_id, subscription_id");
}

/// What happens at the end of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndAction {
    /// Goes over to another plan, or to the organization's own when none is named.
    FallbackPlan(Option<Key>),
    /// Expires through grace and read-only.
    Expire,
}

/// Where a subscription is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// Begins later.
    Scheduled,
    /// Has begun.
    Active,
    /// Over, or withdrawn; no longer a fact.
    Ended,
}

impl SubscriptionStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Active => "active",
            Self::Ended => "ended",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Scheduled, Self::Active, Self::Ended].into_iter().find(|status| status.as_str() == word)
    }
}

/// A subscription; the limits of its fact are those of the plan and not kept here.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionRow {
    /// The subscription; `limits` is empty when read from this file.
    pub subscription: SubscriptionFact,
    /// Where it is in its life.
    pub status: SubscriptionStatus,
    /// Days of grace after the end.
    pub grace_days: u32,
    /// Days of reading after the grace.
    pub read_only_days: u32,
    /// What happens at the end.
    pub end_action: EndAction,
    /// Stays on its plan version when the plan moves on.
    pub pinned: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

fn fact(row: RowRef<'_>) -> Result<SubscriptionFact> {
    Ok(SubscriptionFact {
        id: SubscriptionId(row.get_id(1)?),
        kind: row::word(row, 2, SubscriptionKind::from_word)?,
        plan: row::parsed(row, 3)?,
        version: row.get(4)?,
        quantity: row.get(5)?,
        window: row::window(row, 6)?,
        limits: Vec::new(),
    })
}

fn subscription(row: RowRef<'_>) -> Result<SubscriptionRow> {
    Ok(SubscriptionRow {
        subscription: fact(row)?,
        status: row::word(row, 8, SubscriptionStatus::from_word)?,
        grace_days: row.get(9)?,
        read_only_days: row.get(10)?,
        end_action: match row.get_text(11)? {
            "expire" => EndAction::Expire,
            _ => EndAction::FallbackPlan(row::opt_key(row, 12)?),
        },
        pinned: row.get_bool(13)?,
        created_at: row::time(row, 14)?,
        updated_at: row::time(row, 15)?,
    })
}

fn end_params(action: &EndAction) -> (&'static str, Option<&Key>) {
    match action {
        EndAction::FallbackPlan(plan) => ("fallback_plan", plan.as_ref()),
        EndAction::Expire => ("expire", None),
    }
}

/// Adds a subscription to a plan version that exists.
pub async fn insert(tx: &mut Tx, organization: OrganizationId, row: &SubscriptionRow) -> Result<()> {
    let it = &row.subscription;
    let (end_action, fallback) = end_params(&row.end_action);
    let (kind, from, to) = (it.kind.as_str(), it.window.from(), it.window.to());
    tx.execute(
        &INSERT,
        params![
            organization,
            it.id,
            kind,
            it.plan,
            it.version,
            it.quantity,
            from,
            to,
            row.status.as_str(),
            row.grace_days,
            row.read_only_days,
            end_action,
            fallback,
            row.pinned,
            row.created_at,
            row.updated_at
        ],
    )
    .await?;
    Ok(())
}

/// Changes everything but the kind.
pub async fn update(tx: &mut Tx, organization: OrganizationId, row: &SubscriptionRow) -> Result<bool> {
    let it = &row.subscription;
    let (end_action, fallback) = end_params(&row.end_action);
    let params = params![
        organization,
        it.id,
        it.plan,
        it.version,
        it.quantity,
        it.window.from(),
        it.window.to(),
        row.status.as_str(),
        row.grace_days,
        row.read_only_days,
        end_action,
        fallback,
        row.pinned,
        row.updated_at
    ];
    Ok(tx.execute(&UPDATE, params).await? > 0)
}

/// The subscription with this id.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    id: SubscriptionId,
) -> Result<Option<SubscriptionRow>> {
    row::opt(conn, &GET, params![organization, id], subscription).await
}

/// Every subscription of the organization, ended ones too.
pub async fn list(conn: &mut Conn, organization: OrganizationId) -> Result<Vec<SubscriptionRow>> {
    row::list(conn, &LIST, params![organization], subscription).await
}

/// The active subscriptions whose end has come, for the sweeper.
pub async fn due(
    conn: &mut Conn,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<Vec<SubscriptionRow>> {
    let active = SubscriptionStatus::Active.as_str();
    row::list(conn, &DUE, params![organization, active, now], subscription).await
}

/// What falls due to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Its begin.
    Begin,
    /// Its end.
    End,
}

/// A subscription whose time has come without its status saying so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueSubscription {
    /// Whose.
    pub organization: OrganizationId,
    /// Which.
    pub subscription: SubscriptionId,
    /// Since when.
    pub at: Timestamp,
}

fn due_subscription(row: RowRef<'_>) -> Result<DueSubscription> {
    Ok(DueSubscription {
        organization: row::organization(row)?,
        subscription: SubscriptionId(row.get_id(1)?),
        at: row::time(row, 2)?,
    })
}

/// The subscriptions that have begun or ended without their status saying so, after one of them, the longest due first. It costs what is
/// due, however many there are. Reads across organizations, so in the installation's scope.
pub async fn all_due(
    conn: &mut Conn,
    due: Due,
    now: Timestamp,
    after: Option<DueSubscription>,
    limit: u32,
) -> Result<Page<DueSubscription>> {
    let statement = match due {
        Due::Begin => &BEGINNINGS_DUE,
        Due::End => &ENDS_DUE,
    };
    let (at, organization, subscription) = after
        .map_or((Timestamp::MIN, OrganizationId(0), SubscriptionId(0)), |after| {
            (after.at, after.organization, after.subscription)
        });
    let params = params![now, at, organization, subscription];
    row::page(conn, statement, params, limit, due_subscription).await
}

/// The organizations after one that have the plan in another version than this. Reads across organizations, so in the installation's scope.
pub async fn organizations_of_plan(
    conn: &mut Conn,
    plan: &Key,
    version: u32,
    after: OrganizationId,
    limit: u32,
) -> Result<Page<OrganizationId>> {
    let params = params![plan, version, after];
    row::page(conn, &ORGANIZATIONS_OF_PLAN, params, limit, row::organization).await
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, SubscriptionFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS, &ALL_FACTS], fact, f).await
}
