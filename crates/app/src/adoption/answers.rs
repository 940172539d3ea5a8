//! What each member of an organization may do in it as a whole, for the proof: equal sets once a page. What waits for the proof of a run
//! (accounts, memberships, the organization) counts as if it were open. Asked without a source, what its runs wrote counts as gone.

use super::held::Runs;
use super::links::limit;
use super::{is_of_run, range_of, require_operator};
use crate::App;
use crate::audit::hex;
use crate::caller::RequestContext;
use crate::snapshot::Snapshot;
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{Key, OrganizationId, PermissionCode, PrincipalId, Problem, Revision};
use charter_policy::PermissionSet;
use charter_store::adoption_hold;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The answers about a page of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The revision they were read from.
    pub revision: Revision,
    /// Every code of the catalogue in force, in the order of the bits.
    pub codes: Vec<PermissionCode>,
    /// Whether the organization may use each module now.
    pub modules: BTreeMap<String, bool>,
    /// Sets of codes, in hexadecimal: the lowest bit of the first byte is the first code.
    pub classes: Vec<String>,
    /// Each member with the number of the set they have.
    pub members: Vec<(PrincipalId, u32)>,
    /// The member to ask the next page with; none at the end.
    pub next: Option<PrincipalId>,
}

/// What the members of an organization may do, after one of them.
pub async fn answers(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    without: Option<Key>,
    after: Option<PrincipalId>,
    asked: Option<u32>,
) -> Result<Answers, Problem> {
    require_operator(ctx)?;
    let limit = limit(asked)? as usize;
    let now = ctx.now;
    // What was written a moment ago by another node counts as well.
    let revision = reading!(app.database(), organization, |conn| async move {
        charter_store::revision::get(conn, organization).await
    })?;
    let what = without.as_ref().map_or(OPENED, Key::as_str).to_owned();
    let supposed = match without {
        Some(source) => Some(by_hand(app, organization, revision, source).await?),
        None => supposed(app, organization, revision).await?,
    };
    let snapshot = match &supposed {
        Some(snapshot) => Arc::clone(snapshot),
        None => app.snapshots().at_least(organization, revision, now).await?,
    };
    let (shard, index) = (snapshot.shard(), snapshot.index());
    let all = shard.members();
    let start = after.map_or(0, |after| all.partition_point(|member| *member <= after));
    let mut page = all.into_iter().skip(start);
    let mut numbers: HashMap<PermissionSet, u32> = HashMap::new();
    let (mut classes, mut members) = (Vec::new(), Vec::new());
    for member in page.by_ref().take(limit) {
        let allowed = shard.allowed_at_large(member, now);
        let number = match numbers.get(&allowed) {
            Some(number) => *number,
            None => {
                let number = classes.len() as u32;
                classes.push(hex(&allowed.to_bytes(index.len())));
                numbers.insert(allowed, number);
                number
            }
        };
        members.push((member, number));
    }
    let next = if page.next().is_some() { members.last().map(|(member, _)| *member) } else { None };
    // Who asks for the next page need not wait for it again.
    app.snapshots().suppose(organization, &what, supposed.filter(|_| next.is_some()));
    let modules =
        shard.entitled_modules(now).into_iter().map(|(key, is_on)| (key.to_owned(), is_on)).collect();
    Ok(Answers { revision: shard.revision(), codes: index.codes().to_vec(), modules, classes, members, next })
}

/// What is supposed of what waits. No source has this name.
const OPENED: &str = "";

/// The organization as it is without the assignments and grants that runs of a source wrote.
async fn by_hand(
    app: &App,
    organization: OrganizationId,
    revision: Revision,
    source: Key,
) -> Result<Arc<Snapshot>, Problem> {
    if let Some(known) = app.snapshots().supposed(organization, source.as_str(), revision) {
        return Ok(known);
    }
    let asked = source.clone();
    let runs = super::run::reading_problem(app, move |conn| {
        Box::pin(async move { Runs::begun(conn, &asked).await })
    })
    .await?;
    let mut facts = crate::facts(app, organization).await?;
    facts.assignments.retain(|row| !runs.made(row.id.0));
    facts.grants.retain(|row| !runs.made(row.id.0));
    app.snapshots().compile(&facts)
}

/// The organization as it will be when what waits for the proof is opened; none where no run is under way.
async fn supposed(
    app: &App,
    organization: OrganizationId,
    revision: Revision,
) -> Result<Option<Arc<Snapshot>>, Problem> {
    if let Some(known) = app.snapshots().supposed(organization, OPENED, revision) {
        return Ok(Some(known));
    }
    let waiting = reading_all!(app.database(), |conn| adoption_hold::waiting(conn, organization, range_of))?;
    let Some(waiting) = waiting else { return Ok(None) };
    let [accounts, memberships, suspended] =
        [waiting.accounts, waiting.memberships, waiting.suspended].map(HashSet::<PrincipalId>::from_iter);
    let mut facts = crate::facts(app, organization).await?;
    for member in &mut facts.members {
        let is_of_one = waiting.runs.iter().any(|run| is_of_run(*run, member.principal.0));
        let is_suspended = member.account_status == PrincipalStatus::Suspended;
        if is_suspended && is_of_one && !suspended.contains(&member.principal)
            || accounts.contains(&member.principal)
        {
            member.account_status = PrincipalStatus::Active;
        }
        if memberships.contains(&member.principal) {
            member.status = PrincipalStatus::Active;
        }
    }
    facts.organization.status = waiting.organization.unwrap_or(facts.organization.status);
    Ok(Some(app.snapshots().compile(&facts)?))
}
