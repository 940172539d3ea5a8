//! The one way an organization's entitlements change. A change loads what the organization has under its row lock, lets the use case
//! change it as a value, writes the difference row by row with chained events and audit events, counts the version of its
//! entitlements, and lets this node decide by it before it answers. A dry run does all of it but the writing.

use super::chain::{self, Cause, Entry, Origin};
use crate::App;
use crate::caller::RequestContext;
use crate::clock::World;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::audit::{Actor, AuditEvent, Outcome};
use charter_kernel::catalogue::Catalogue;
use charter_kernel::entitlement::{EntitlementFact, EntitlementSource};
use charter_kernel::facts::{OrganizationFacts, OrganizationKind};
use charter_kernel::{
    Key, ModuleKey, OrganizationId, PrincipalId, Problem, ProblemKind, RequestId, Revision, SubmoduleKey,
    SubscriptionId, Timestamp,
};
use charter_policy::Index;
use charter_store as store;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use store::Given;
use store::plan::PlanRow;
use store::subscription::{SubscriptionRow, SubscriptionStatus};
use store::usage::UsageRow;

/// Which module, submodule, source and source id: one row.
pub(crate) type RowKey = (ModuleKey, Option<SubmoduleKey>, EntitlementSource, String);

/// Key of an entitlement row.
pub(crate) fn row_key(row: &EntitlementFact) -> RowKey {
    (row.module.clone(), row.submodule.clone(), row.source, row.source_id.clone())
}

/// What a scheduled change has cut short: subscriptions with the ends they had before.
pub(crate) type CutShort = Vec<(SubscriptionId, Option<Timestamp>)>;

/// What an organization has, to be changed in place.
#[derive(Clone)]
pub(crate) struct State {
    /// Facts, entitlement rows, preview lists and limit overrides among them.
    pub facts: OrganizationFacts,
    /// Every subscription, ended ones too.
    pub subscriptions: Vec<SubscriptionRow>,
    /// What was used.
    pub usage: Vec<UsageRow>,
    /// Every version of every plan.
    pub plans: Arc<Vec<PlanRow>>,
    /// What each scheduled subscription has cut short.
    pub cut_short: HashMap<SubscriptionId, CutShort>,
    versions: Arc<HashMap<RowKey, u64>>,
}

impl State {
    /// Reads it within a transaction.
    pub async fn read(conn: &mut Conn, organization: OrganizationId) -> Result<Self, Problem> {
        let facts = store::facts::read(conn, organization).await?.ok_or_else(missing)?;
        let rows = store::entitlement::list(conn, organization).await?;
        let versions = rows.iter().map(|row| (row_key(&row.entitlement), row.row_version)).collect();
        let subscriptions = store::subscription::list(conn, organization).await?;
        let usage = store::usage::list(conn, organization).await?;
        let plans = Arc::new(store::plan::list(conn).await?);
        let mut cut_short = HashMap::new();
        if subscriptions.iter().any(|row| row.status == SubscriptionStatus::Scheduled) {
            store::entitlement_event::for_each(conn, organization, 1, |event| -> Result<(), Problem> {
                if let Some((id, cut)) = event.after.as_deref().and_then(read_cut_short) {
                    cut_short.insert(id, cut);
                }
                Ok(())
            })
            .await?;
        }
        Ok(Self { facts, subscriptions, usage, plans, cut_short, versions: Arc::new(versions) })
    }

    /// Reads it outside a write.
    pub async fn load(app: &App, organization: OrganizationId) -> Result<Self, Problem> {
        app.database()
            .read(Scope::Organization(organization.bits()), move |conn: &mut Conn| {
                Box::pin(Self::read(conn, organization)) as BoxFuture<'_, Result<Self, Problem>>
            })
            .await
    }

    /// Brings the subscriptions among the facts in line with the rows.
    pub fn settle(&mut self) {
        self.facts.subscriptions = self
            .subscriptions
            .iter()
            .filter(|row| row.status != SubscriptionStatus::Ended)
            .map(|row| {
                let mut fact = row.subscription.clone();
                fact.limits =
                    self.plan(&fact.plan, fact.version).map(|plan| plan.limits.clone()).unwrap_or_default();
                fact
            })
            .collect();
    }

    /// A version of a plan.
    pub fn plan(&self, key: &Key, version: u32) -> Option<&PlanRow> {
        self.plans.iter().find(|plan| plan.key == *key && plan.version == version)
    }

    /// The subscription with this id.
    pub fn subscription(&self, id: SubscriptionId) -> Option<&SubscriptionRow> {
        self.subscriptions.iter().find(|row| row.subscription.id == id)
    }
}

fn read_cut_short(after: &str) -> Option<(SubscriptionId, CutShort)> {
    let value: serde_json::Value = serde_json::from_str(after).ok()?;
    let id = value.get("subscription")?.get("id")?.as_str()?.parse().ok()?;
    let cut = value.get("cut_short")?.as_array()?;
    let read = |row: &serde_json::Value| {
        let id = row.get("id")?.as_str()?.parse().ok()?;
        let ends_at = row.get("ends_at")?.as_str().and_then(|text| text.parse().ok());
        Some((id, ends_at))
    };
    Some((id, cut.iter().filter_map(read).collect()))
}

/// Who changes it, and why it is changed.
#[derive(Debug, Clone)]
pub(crate) struct By {
    actor: Actor,
    cause: Cause,
    principal: Option<PrincipalId>,
    request: Option<RequestId>,
    address: Option<String>,
    pub now: Timestamp,
}

impl By {
    /// A request.
    pub fn request(ctx: &RequestContext, cause: Cause) -> Self {
        Self {
            actor: ctx.actor(),
            cause,
            principal: ctx.principal().map(|principal| principal.id),
            request: Some(ctx.request),
            address: ctx.address.map(|address| address.to_string()),
            now: ctx.now,
        }
    }

    /// The job that carries out what falls due.
    pub fn sweeper(now: Timestamp) -> Self {
        Self {
            actor: Actor::System { part: "sweeper" },
            cause: Cause::Sweeper,
            principal: None,
            request: None,
            address: None,
            now,
        }
    }

    fn event(&self, organization: OrganizationId, entry: &Entry) -> AuditEvent {
        AuditEvent {
            organization,
            at: self.now,
            actor: self.actor.clone(),
            action: entry.action,
            target_kind: entry.target_kind,
            target: entry.target.clone(),
            outcome: Outcome::Done,
            reason: entry.reason.clone(),
            before: entry.before.as_ref().map(ToString::to_string),
            after: entry.after.as_ref().map(ToString::to_string),
            request: self.request,
            address: self.address.clone(),
        }
    }
}

/// Where a use case works: the state, the catalogue, the instant, and the events it leaves.
pub(crate) struct Desk<'a> {
    pub state: &'a mut State,
    pub entries: Vec<Entry>,
    pub now: Timestamp,
    pub index: Arc<Index>,
    world: World,
}

impl Desk<'_> {
    pub fn catalogue(&self) -> &Catalogue {
        self.index.catalogue()
    }

    pub fn fresh_id(&self) -> u128 {
        self.world.fresh_id()
    }

    /// Refuses for the organization that runs the installation: nothing there is limited by a plan.
    pub fn require_customer(&self) -> Result<(), Problem> {
        if self.state.facts.organization.kind == OrganizationKind::Platform {
            return Err(Problem::invalid(
                "organization",
                "the platform organization has every module: plans and entitlements do not apply to it",
            ));
        }
        Ok(())
    }
}

/// How a change is to be made.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChangeOptions {
    /// Tell what would happen and write nothing.
    pub dry_run: bool,
    /// Refuse when the organization is no longer at this revision.
    pub if_revision: Option<Revision>,
}

/// What a change did, or would do.
#[derive(Debug, Clone)]
pub struct Changed<T> {
    /// What the use case gives.
    pub value: T,
    /// The revision the change made, or the present one when nothing was written.
    pub revision: Revision,
    /// Whether anything was written.
    pub wrote: bool,
    /// Nothing was to be written.
    pub dry_run: bool,
}

impl<T> Changed<T> {
    /// The same result with another value.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Changed<U> {
        Changed { value: turn(self.value), revision: self.revision, wrote: self.wrote, dry_run: self.dry_run }
    }
}

pub(crate) fn missing() -> Problem {
    Problem::not_found("no such organization, or you are not a member of it")
}

fn changed_meanwhile(at: Revision) -> Problem {
    Problem::new(
        ProblemKind::Changed,
        format!("the organization is at revision {at}: read it again and repeat the change"),
    )
}

fn work_on<T>(
    app: &App,
    now: Timestamp,
    options: ChangeOptions,
    state: &mut State,
    work: impl FnOnce(&mut Desk<'_>) -> Result<T, Problem>,
) -> Result<(T, Vec<Entry>), Problem> {
    let at = state.facts.organization.revision;
    if options.if_revision.is_some_and(|expected| expected != at) {
        return Err(changed_meanwhile(at));
    }
    let mut desk =
        Desk { state, entries: Vec::new(), now, index: app.snapshots().index(), world: app.world().clone() };
    let value = work(&mut desk)?;
    let entries = desk.entries;
    state.settle();
    Ok((value, entries))
}

/// Makes one change.
pub(crate) async fn change<T, F>(
    app: &App,
    by: By,
    organization: OrganizationId,
    options: ChangeOptions,
    work: F,
) -> Result<Changed<T>, Problem>
where
    T: Send + 'static,
    F: FnOnce(&mut Desk<'_>) -> Result<T, Problem> + Send + 'static,
{
    if options.dry_run {
        let mut state = State::load(app, organization).await?;
        let revision = state.facts.organization.revision;
        let (value, _) = work_on(app, by.now, options, &mut state, work)?;
        return Ok(Changed { value, revision, wrote: false, dry_run: true });
    }
    let (inside, now) = (app.clone(), by.now);
    let unchanged: Arc<Mutex<Option<(T, Revision)>>> = Arc::default();
    let unchanged_inside = Arc::clone(&unchanged);
    let written = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let app = inside;
                let mut state = State::read(transaction.tx(), organization).await?;
                // The lock is held and the revision bumped already; the state is that of the revision before.
                let revision = Revision(transaction.revision().0.saturating_sub(1));
                state.facts.organization.revision = revision;
                let before = state.clone();
                let (value, entries) = work_on(&app, now, options, &mut state, work)?;
                let rows = write(transaction.tx(), organization, &by, &before, &state).await?;
                let Some(first) = entries.first().filter(|_| rows > 0) else {
                    // Nothing to write and so nothing to record: the transaction, with its bumped revision, is given up.
                    *unchanged_inside.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some((value, revision));
                    return Err(Problem::new(ProblemKind::Internal, "the change changes nothing"));
                };
                let origin = Origin {
                    actor: chain::actor_text(&by.actor),
                    cause: by.cause,
                    at: now,
                    request: by.request,
                };
                chain::append(transaction.tx(), organization, &origin, &entries).await?;
                store::entitlement::bump_version(transaction.tx(), organization).await?;
                let mut more: Vec<AuditEvent> =
                    entries.iter().skip(1).map(|entry| by.event(organization, entry)).collect();
                if app.platform() != organization && by.cause != Cause::Sweeper {
                    // Whoever watches the installation sees it in its trail as well.
                    more.push(by.event(app.platform(), first));
                }
                transaction.commit(by.event(organization, first), more, value).await
            }) as BoxFuture<'_, Result<Committed<T>, Problem>>
        })
        .await;
    let nothing = unchanged.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((value, revision)) = nothing {
        return Ok(Changed { value, revision, wrote: false, dry_run: false });
    }
    let (value, revision) = written?;
    app.snapshots().hear_own(organization, revision).await?;
    Ok(Changed { value, revision, wrote: true, dry_run: false })
}

/// Writes the difference between two states, and tells how many rows it was.
async fn write(
    tx: &mut Tx,
    organization: OrganizationId,
    by: &By,
    before: &State,
    after: &State,
) -> Result<usize, Problem> {
    let changed = Given { by: by.principal, at: by.now };
    let mut rows = 0;

    let old_subscriptions: HashMap<SubscriptionId, &SubscriptionRow> =
        before.subscriptions.iter().map(|row| (row.subscription.id, row)).collect();
    for row in &after.subscriptions {
        match old_subscriptions.get(&row.subscription.id) {
            Some(old) if **old == *row => {}
            Some(_) => {
                rows += 1;
                store::subscription::update(tx, organization, row).await?;
            }
            None => {
                rows += 1;
                store::subscription::insert(tx, organization, row).await?;
            }
        }
    }

    let keyed = |state: &State| -> BTreeMap<RowKey, EntitlementFact> {
        state.facts.entitlements.iter().map(|row| (row_key(row), row.clone())).collect()
    };
    let (old, new) = (keyed(before), keyed(after));
    for (key, row) in &new {
        match old.get(key) {
            Some(old) if old == row => {}
            Some(_) => {
                rows += 1;
                let version = before.versions.get(key).copied().unwrap_or_default();
                if store::entitlement::update(tx, organization, row, version, changed).await?.is_none() {
                    return Err(changed_meanwhile(before.facts.organization.revision));
                }
            }
            None => {
                rows += 1;
                if store::entitlement::insert(tx, organization, row, changed).await?.is_none() {
                    return Err(changed_meanwhile(before.facts.organization.revision));
                }
            }
        }
    }
    for (module, submodule, source, source_id) in old.keys().filter(|key| !new.contains_key(*key)) {
        rows += 1;
        store::entitlement::delete(tx, organization, module, submodule.as_ref(), *source, source_id).await?;
    }

    for preview in after.facts.previews.iter().filter(|it| !before.facts.previews.contains(it)) {
        rows += 1;
        store::preview::add(tx, organization, preview, changed).await?;
    }
    for preview in before.facts.previews.iter().filter(|it| !after.facts.previews.contains(it)) {
        rows += 1;
        store::preview::remove(tx, organization, preview).await?;
    }

    for limit in &after.facts.limit_overrides {
        match before.facts.limit_overrides.iter().find(|old| old.id == limit.id) {
            Some(old) if old == limit => {}
            Some(_) => {
                rows += 1;
                store::limit::update(tx, organization, limit, changed).await?;
            }
            None => {
                rows += 1;
                store::limit::insert(tx, organization, limit, changed).await?;
            }
        }
    }
    for old in &before.facts.limit_overrides {
        if !after.facts.limit_overrides.iter().any(|limit| limit.id == old.id) {
            rows += 1;
            store::limit::delete(tx, organization, &old.limit, old.id).await?;
        }
    }
    Ok(rows)
}
