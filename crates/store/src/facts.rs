//! The facts of an organization, put together from the rows of all concepts; of one organization, or of every one in bulk.
//!
//! Both ways walk the same path over a span of organizations. Rows come ordered by organization, so one pass over each table merges them;
//! in bulk a span covers some thousand organizations at a time, which bounds the memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use charter_db::{BoxFuture, Conn, Database, Scope};
use charter_kernel::entitlement::PlanLimit;
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{Key, OrganizationId};

use crate::row::Span;
use crate::{
    Result, assignment, block, condition, entitlement, grant, limit, membership, organization, plan, preview,
    resource, role, subscription, team,
};

/// How many organizations are merged at a time in bulk.
const ORGANIZATIONS_AT_ONCE: usize = 1000;

/// The limits of the plan versions met so far.
type PlanLimits = HashMap<(Key, u32), Vec<PlanLimit>>;

/// The facts of one organization, all of one moment, or nothing if there is no such organization.
pub async fn load(database: &Database, organization: OrganizationId) -> Result<Option<OrganizationFacts>> {
    database.read(Scope::Organization(organization.0), move |conn| Box::pin(read(conn, organization))).await
}

/// The facts of one organization within a transaction.
pub async fn read(conn: &mut Conn, organization: OrganizationId) -> Result<Option<OrganizationFacts>> {
    let Some(found) = organization::get(conn, organization).await? else { return Ok(None) };
    let mut facts = vec![empty(found)];
    fill(conn, Span::One(organization), &mut facts, &mut PlanLimits::new()).await?;
    Ok(facts.pop())
}

/// Every organization in spans of some thousand, to be handed out to loaders that work side by side.
#[derive(Debug)]
pub struct Spans {
    spans: Vec<(OrganizationId, OrganizationId)>,
    next: AtomicUsize,
}

impl Spans {
    /// The spans of the organizations there are at this moment.
    pub async fn plan(database: &Database) -> Result<Self> {
        let read = database.read(Scope::Installation, |conn| {
            Box::pin(organization::spans(conn, ORGANIZATIONS_AT_ONCE)) as BoxFuture<'_, _>
        });
        Ok(Self { spans: read.await?, next: AtomicUsize::new(0) })
    }

    fn take(&self) -> Option<(OrganizationId, OrganizationId)> {
        self.spans.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

/// Hands over the facts of the organizations of spans that no other loader took, until none is left; gives how many there were. A span is of
/// one moment, and read in one short transaction. Members come without login and name, which no decision reads. On SQLite `f` runs on a
/// reader's thread.
pub async fn for_each_organization<F>(database: &Database, spans: &Spans, f: F) -> Result<u64>
where
    F: Fn(OrganizationFacts) -> Result<()> + Send + Sync + 'static,
{
    let (mut count, f) = (0u64, Arc::new(f));
    while let Some((first, last)) = spans.take() {
        let f = Arc::clone(&f);
        let read = database.read(Scope::Installation, move |conn| {
            Box::pin(async move { between(conn, first, last, &*f).await }) as BoxFuture<'_, Result<u64>>
        });
        count += read.await?;
    }
    Ok(count)
}

async fn between(
    conn: &mut Conn,
    first: OrganizationId,
    last: OrganizationId,
    f: &(impl Fn(OrganizationFacts) -> Result<()> + Sync),
) -> Result<u64> {
    let mut facts: Vec<_> = organization::between(conn, first, last).await?.into_iter().map(empty).collect();
    fill(conn, Span::Between(first, last), &mut facts, &mut PlanLimits::new()).await?;
    let count = facts.len() as u64;
    facts.into_iter().try_for_each(f)?;
    Ok(count)
}

fn empty(row: organization::OrganizationRow) -> OrganizationFacts {
    OrganizationFacts {
        organization: row.organization,
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
        limit_overrides: Vec::new(),
    }
}

/// Walks along organizations sorted by id, as rows in the same order ask for them.
struct Walk<'a> {
    rest: &'a mut [OrganizationFacts],
}

impl<'a> Walk<'a> {
    fn along(facts: &'a mut [OrganizationFacts]) -> Self {
        Self { rest: facts }
    }

    /// The facts of this organization; a row of one that is not among them belongs to nobody here.
    fn to(&mut self, organization: OrganizationId) -> Option<&mut OrganizationFacts> {
        let passed = self.rest.iter().take_while(|facts| facts.organization.id < organization).count();
        let rest = std::mem::take(&mut self.rest);
        self.rest = rest.get_mut(passed..).unwrap_or_default();
        self.rest.first_mut().filter(|facts| facts.organization.id == organization)
    }
}

/// Fills the organizations of a span, sorted by id, from one pass over each table.
async fn fill(
    conn: &mut Conn,
    span: Span,
    facts: &mut [OrganizationFacts],
    limits: &mut PlanLimits,
) -> Result<()> {
    macro_rules! pass {
        ($each:path => $list:ident) => {
            let mut walk = Walk::along(facts);
            $each(conn, span, |organization, fact| {
                if let Some(facts) = walk.to(organization) {
                    facts.$list.push(fact);
                }
            })
            .await?;
        };
    }

    pass!(membership::each => members);
    pass!(team::each => teams);
    let mut walk = Walk::along(facts);
    team::each_member(conn, span, |organization, (team, principal)| {
        let teams = walk.to(organization).map(|facts| facts.teams.as_mut_slice()).unwrap_or_default();
        if let Some(team) =
            teams.binary_search_by(|one| one.id.cmp(&team)).ok().and_then(|at| teams.get_mut(at))
        {
            team.members.push(principal);
        }
    })
    .await?;
    pass!(role::each => roles);
    let mut walk = Walk::along(facts);
    role::each_parent(conn, span, |organization, (key, parent)| {
        let role = walk.to(organization).and_then(|facts| role::find(&mut facts.roles, &key));
        if let Some(role) = role {
            role.parents.push(parent);
        }
    })
    .await?;
    let mut walk = Walk::along(facts);
    role::each_permission(conn, span, |organization, (key, line)| {
        let role = walk.to(organization).and_then(|facts| role::find(&mut facts.roles, &key));
        if let Some(role) = role {
            role.permissions.push(line);
        }
    })
    .await?;
    pass!(assignment::each => assignments);
    pass!(grant::each => grants);
    pass!(block::each => blocks);
    pass!(condition::each => conditions);
    pass!(resource::each => resources);
    pass!(entitlement::each => entitlements);
    pass!(entitlement::each_sub => entitlements);
    pass!(preview::each => previews);
    pass!(subscription::each => subscriptions);
    pass!(limit::each => limit_overrides);

    for subscription in facts.iter_mut().flat_map(|facts| &mut facts.subscriptions) {
        let plan = (subscription.plan.clone(), subscription.version);
        let known = match limits.get(&plan) {
            Some(known) => known,
            None => {
                let read = plan::limits(conn, &plan.0, plan.1).await?;
                limits.entry(plan).or_insert(read)
            }
        };
        subscription.limits = known.clone();
    }
    Ok(())
}
